/* Element types and shapes. */
#include <stdio.h>
#include <string.h>

#include "radcohort/model.h"

size_t rad_dtype_size(rad_dtype t) {
    switch (t) {
    case RAD_DT_U8:
    case RAD_DT_I8:
    case RAD_DT_BOOL:
        return 1;
    case RAD_DT_U16:
    case RAD_DT_I16:
    case RAD_DT_F16:
    case RAD_DT_BF16:
        return 2;
    case RAD_DT_F32:
    case RAD_DT_I32:
    case RAD_DT_U32:
        return 4;
    case RAD_DT_F64:
    case RAD_DT_I64:
    case RAD_DT_U64:
        return 8;
    case RAD_DT_NONE:
    case RAD_DT_STRING:
        break;
    }
    return 0;
}

const char *rad_dtype_name(rad_dtype t) {
    switch (t) {
    case RAD_DT_F32:
        return "float32";
    case RAD_DT_U8:
        return "uint8";
    case RAD_DT_I8:
        return "int8";
    case RAD_DT_U16:
        return "uint16";
    case RAD_DT_I16:
        return "int16";
    case RAD_DT_I32:
        return "int32";
    case RAD_DT_I64:
        return "int64";
    case RAD_DT_STRING:
        return "string";
    case RAD_DT_BOOL:
        return "bool";
    case RAD_DT_F16:
        return "float16";
    case RAD_DT_F64:
        return "float64";
    case RAD_DT_U32:
        return "uint32";
    case RAD_DT_U64:
        return "uint64";
    case RAD_DT_BF16:
        return "bfloat16";
    case RAD_DT_NONE:
        break;
    }
    return "unknown";
}

int64_t rad_shape_count(const rad_shape *s) {
    if (s->rank < 0 || s->rank > RAD_MAX_RANK)
        return -1;
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < s->rank; i++) {
        int64_t d = s->dim[i];
        if (d < 0)
            return -1;
        if (d == 0) {
            empty = true;
            continue;
        }
        /* zeros are left out of the product so that [2^40, 2^40, 0] is as absurd as [2^40, 2^40] */
        if (d > (int64_t)RAD_MAX_TENSOR_BYTES / n)
            return -1;
        n *= d;
    }
    return empty ? 0 : n;
}

bool rad_shape_equal(const rad_shape *a, const rad_shape *b) {
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

const char *rad_shape_text(const rad_shape *s, char *buf, size_t cap) {
    if (cap == 0)
        return buf;
    if (s->rank < 0) {
        snprintf(buf, cap, "[unknown]");
        return buf;
    }
    size_t at = 0;
    int k = snprintf(buf, cap, "[");
    for (int i = 0; i < s->rank && k >= 0; i++) {
        at += (size_t)k;
        if (at >= cap)
            return buf;
        k = s->dim[i] < 0 ? snprintf(buf + at, cap - at, "%s?", i ? ", " : "")
                          : snprintf(buf + at, cap - at, "%s%lld", i ? ", " : "", (long long)s->dim[i]);
    }
    if (k >= 0 && (at += (size_t)k) < cap)
        snprintf(buf + at, cap - at, "]");
    return buf;
}
