/* TensorProto and ValueInfoProto. Raw contents stay where they are in the mapped file; only typed (varint) and small unaligned ones are
 * copied. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ONNX stores little-endian numbers and they are used in place");

/* Misaligned contents up to this size are copied, so that shapes, axes and biases are always aligned; large weights stay zero-copy. */
#define COPY_BYTES 4096

rad_status rad_onnx_fail(const rad_model *m, rad_error *err, const char *fmt, ...) {
    char text[RAD_ERROR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return rad_error_set(err, RAD_E_MODEL, "model '%s': %s", m->file, text);
}

rad_status rad_onnx_nomem(const rad_model *m, rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "model '%s': out of memory", m->file);
}

rad_status rad_onnx_text(rad_model *m, const onnx_field *f, const char *what, const char *where, const char **ret, rad_error *err) {
    if (f->wire != ONNX_BYTES)
        return rad_onnx_fail(m, err, "%s: %s is not a string", where, what);
    size_t n = (size_t)(f->bytes.end - f->bytes.p);
    if (n > RAD_MAX_NAME_BYTES)
        return rad_onnx_fail(m, err, "%s: %s has %zu bytes, more than %d", where, what, n, RAD_MAX_NAME_BYTES);
    if (n && memchr(f->bytes.p, 0, n))
        return rad_onnx_fail(m, err, "%s: %s has a NUL byte inside", where, what);
    const char *s = n ? rad_arena_text(m->arena, f->bytes.p, n) : "";
    if (!s)
        return rad_onnx_nomem(m, err);
    *ret = s;
    return RAD_OK;
}

/* Which typed field of TensorProto carries a dtype: 4 float, 5 int32, 7 int64, 10 double, 11 uint64. */
static uint32_t typed_field(rad_dtype t) {
    switch (t) {
    case RAD_DT_F32:
        return 4;
    case RAD_DT_U8:
    case RAD_DT_I8:
    case RAD_DT_U16:
    case RAD_DT_I16:
    case RAD_DT_I32:
    case RAD_DT_BOOL:
    case RAD_DT_F16:
    case RAD_DT_BF16:
        return 5;
    case RAD_DT_I64:
        return 7;
    case RAD_DT_F64:
        return 10;
    case RAD_DT_U32:
    case RAD_DT_U64:
        return 11;
    case RAD_DT_NONE:
    case RAD_DT_STRING:
        break;
    }
    return 0;
}

static bool narrow(rad_dtype t, int64_t v, uint8_t *out) {
    int64_t lo = 0, hi = 0;
    switch (t) {
    case RAD_DT_I8:
        lo = INT8_MIN, hi = INT8_MAX;
        break;
    case RAD_DT_U8:
        hi = UINT8_MAX;
        break;
    case RAD_DT_BOOL:
        hi = 1;
        break;
    case RAD_DT_I16:
        lo = INT16_MIN, hi = INT16_MAX;
        break;
    case RAD_DT_U16:
    case RAD_DT_F16:
    case RAD_DT_BF16:
        hi = UINT16_MAX;
        break;
    case RAD_DT_I32:
        lo = INT32_MIN, hi = INT32_MAX;
        break;
    case RAD_DT_U32:
        hi = UINT32_MAX;
        break;
    default:
        lo = INT64_MIN, hi = INT64_MAX;
        break; /* I64, U64: all 64 bits */
    }
    if (v < lo || v > hi)
        return false;
    uint64_t u = (uint64_t)v;
    memcpy(out, &u, rad_dtype_size(t)); /* little-endian: the low bytes come first */
    return true;
}

/* Contents from the typed field `number` of `s` into *ret (zero-copy when one packed field of fixed-width numbers holds them all). */
static rad_status typed_data(rad_model *m, onnx_span s, const char *where, rad_dtype t, int64_t count, const void **ret, rad_error *err) {
    uint32_t number = typed_field(t);
    size_t width = number == 4 ? 4 : number == 10 ? 8 : 0;
    int64_t have = 0;
    int n_field = 0;
    onnx_field f, last = {0};
    onnx_span walk = s;
    while (rad_onnx_next(&walk, &f) > 0) {
        if (f.number != number)
            continue;
        int64_t k = width ? rad_onnx_count_fixed(&f, width) : rad_onnx_count_varints(&f);
        if (k < 0)
            return rad_onnx_fail(m, err, "%s: its numbers are malformed", where);
        have += k;
        n_field++;
        last = f;
    }
    if (have != count)
        return rad_onnx_fail(m, err, "%s: its shape needs %lld %s numbers, the file has %lld", where, (long long)count, rad_dtype_name(t),
                             (long long)have);
    if (width && n_field == 1 && last.wire == ONNX_BYTES) {
        *ret = last.bytes.p;
        return RAD_OK;
    }
    size_t bytes;
    if (!rad_mul_size((size_t)count, rad_dtype_size(t), &bytes))
        return rad_onnx_fail(m, err, "%s: its size overflows", where);
    uint8_t *out = rad_arena_alloc(m->arena, bytes + 1, 1);
    if (!out)
        return rad_onnx_nomem(m, err);
    *ret = out;
    walk = s;
    while (rad_onnx_next(&walk, &f) > 0) {
        if (f.number != number)
            continue;
        if (width) {
            rad_onnx_read_fixed(&f, width, out);
            out += (size_t)rad_onnx_count_fixed(&f, width) * width;
            continue;
        }
        int64_t k = rad_onnx_count_varints(&f);
        int64_t *v = rad_malloc((size_t)k * sizeof *v + 1);
        if (!v)
            return rad_onnx_nomem(m, err);
        rad_onnx_read_varints(&f, v);
        for (int64_t i = 0; i < k; i++, out += rad_dtype_size(t))
            if (!narrow(t, v[i], out)) {
                rad_status st = rad_onnx_fail(m, err, "%s: number %lld does not fit %s", where, (long long)v[i], rad_dtype_name(t));
                free(v);
                return st;
            }
        free(v);
    }
    return RAD_OK;
}

rad_status rad_onnx_tensor(rad_model *m, onnx_span s, const char *where, const char **ret_name, rad_tensor *ret, rad_error *err) {
    rad_tensor t = {.dtype = RAD_DT_NONE};
    const char *name = "";
    char named[192];
    bool has_raw = false, has_strings = false;
    onnx_span raw = {0}, walk = s;
    onnx_field f;
    int got;
    while ((got = rad_onnx_next(&walk, &f)) > 0)
        if (f.number == 8) {
            rad_status st = rad_onnx_text(m, &f, "the tensor's name", where, &name, err);
            if (st != RAD_OK)
                return st;
        }
    if (got < 0)
        return rad_onnx_fail(m, err, "%s: the tensor is malformed or cut off", where);
    if (name[0]) {
        snprintf(named, sizeof named, "%s '%.100s'", where, name);
        where = named;
    }
    walk = s;
    while (rad_onnx_next(&walk, &f) > 0) {
        switch (f.number) {
        case 1: {
            int64_t k = rad_onnx_count_varints(&f);
            if (k < 0)
                return rad_onnx_fail(m, err, "%s: malformed dims", where);
            if (k > RAD_MAX_RANK - t.shape.rank)
                return rad_onnx_fail(m, err, "%s: more than %d dims", where, RAD_MAX_RANK);
            rad_onnx_read_varints(&f, t.shape.dim + t.shape.rank);
            t.shape.rank += (int)k;
            break;
        }
        case 2:
            if (f.wire != ONNX_VARINT || f.value > 64)
                return rad_onnx_fail(m, err, "%s: malformed element type", where);
            t.dtype = (rad_dtype)f.value;
            break;
        case 3:
            return rad_onnx_fail(m, err, "%s: tensors in segments are not supported; save the model again with a current exporter", where);
        case 6:
            has_strings = true;
            break;
        case 9:
            if (f.wire != ONNX_BYTES)
                return rad_onnx_fail(m, err, "%s: malformed raw data", where);
            has_raw = true;
            raw = f.bytes;
            break;
        case 13:
            return rad_onnx_fail(m, err,
                                 "%s: its numbers are in a separate (external data) file, which is not supported; save the model "
                                 "as one file (onnx.save_model(..., save_as_external_data=False))",
                                 where);
        case 14:
            if (f.wire != ONNX_VARINT || f.value != 0)
                return rad_onnx_fail(m, err, "%s: external data is not supported; save the model as one file", where);
            break;
        default:
            break;
        }
    }
    if (has_strings || t.dtype == RAD_DT_STRING)
        return rad_onnx_fail(m, err, "%s: string tensors are not supported", where);
    size_t width = rad_dtype_size(t.dtype);
    if (width == 0)
        return rad_onnx_fail(m, err, "%s: element type %d is not supported (expected float, double, float16, bfloat16, bool or integers)",
                             where, (int)t.dtype);
    char text[160];
    int64_t count = rad_shape_count(&t.shape);
    size_t bytes;
    if (count < 0 || !rad_mul_size((size_t)count, width, &bytes) || bytes > RAD_MAX_TENSOR_BYTES)
        return rad_onnx_fail(m, err, "%s: shape %s is negative or too large", where, rad_shape_text(&t.shape, text, sizeof text));
    const void *data = NULL;
    if (has_raw) {
        size_t have = (size_t)(raw.end - raw.p);
        if (have != bytes)
            return rad_onnx_fail(m, err, "%s: shape %s of %s needs %zu bytes, the file has %zu", where,
                                 rad_shape_text(&t.shape, text, sizeof text), rad_dtype_name(t.dtype), bytes, have);
        data = raw.p;
    } else {
        rad_status st = typed_data(m, s, where, t.dtype, count, &data, err);
        if (st != RAD_OK)
            return st;
    }
    bool is_float = t.dtype == RAD_DT_F32 || t.dtype == RAD_DT_F16 || t.dtype == RAD_DT_BF16 || t.dtype == RAD_DT_F64;
    if (!data || ((uintptr_t)data % width && (!is_float || bytes <= COPY_BYTES))) {
        void *copy = rad_arena_alloc(m->arena, bytes + 1, 1);
        if (!copy)
            return rad_onnx_nomem(m, err);
        if (bytes)
            memcpy(copy, data, bytes);
        data = copy;
    }
    memcpy(&t.data, &data, sizeof data); /* read-only by contract: rad_value.data is const */
    if (ret_name)
        *ret_name = name;
    *ret = t;
    return RAD_OK;
}

static bool read_shape(onnx_span s, rad_shape *ret) {
    onnx_field f, d;
    int got;
    ret->rank = 0;
    while ((got = rad_onnx_next(&s, &f)) > 0) {
        if (f.number != 1)
            continue;
        if (f.wire != ONNX_BYTES || ret->rank == RAD_MAX_RANK)
            return false;
        int64_t dim = -1;
        int inner;
        while ((inner = rad_onnx_next(&f.bytes, &d)) > 0)
            if (d.number == 1 && d.wire == ONNX_VARINT)
                dim = (int64_t)d.value < 0 ? -1 : (int64_t)d.value;
        if (inner < 0)
            return false;
        ret->dim[ret->rank++] = dim;
    }
    return got == 0;
}

rad_status rad_onnx_value_info(rad_model *m, onnx_span s, const char *where, const char **ret_name, rad_dtype *ret_dtype,
                               rad_shape *ret_shape, rad_error *err) {
    const char *name = "";
    rad_dtype dtype = RAD_DT_NONE;
    rad_shape shape = {.rank = -1};
    onnx_field f, t, e;
    int got = 0, mid = 0, low = 0;
    bool other = false, bad_rank = false;
    while ((got = rad_onnx_next(&s, &f)) > 0) {
        if (f.number == 1) {
            rad_status st = rad_onnx_text(m, &f, "its name", where, &name, err);
            if (st != RAD_OK)
                return st;
        }
        if (f.number != 2 || f.wire != ONNX_BYTES)
            continue;
        while (mid >= 0 && low >= 0 && (mid = rad_onnx_next(&f.bytes, &t)) > 0) {
            if (t.wire == ONNX_BYTES && (t.number == 4 || t.number == 5 || t.number == 7 || t.number == 8 || t.number == 9))
                other = true; /* sequence, map, opaque, sparse tensor, optional */
            if (t.number != 1 || t.wire != ONNX_BYTES)
                continue;
            while ((low = rad_onnx_next(&t.bytes, &e)) > 0) {
                if (e.number == 1 && e.wire == ONNX_VARINT && e.value <= 64)
                    dtype = (rad_dtype)e.value;
                if (e.number == 2 && e.wire == ONNX_BYTES && !read_shape(e.bytes, &shape)) {
                    bad_rank = true;
                    break;
                }
            }
        }
    }
    if (name[0] == '\0' && got >= 0)
        return rad_onnx_fail(m, err, "%s has no name", where);
    if (bad_rank)
        return rad_onnx_fail(m, err, "%s '%.100s': its shape is malformed or has more than %d dims", where, name, RAD_MAX_RANK);
    if (got < 0 || mid < 0 || low < 0)
        return rad_onnx_fail(m, err, "%s '%.100s': malformed or cut off", where, name);
    if (other)
        return rad_onnx_fail(m, err, "%s '%.100s': only tensors are supported, not sequences, maps or optionals", where, name);
    *ret_name = name;
    *ret_dtype = dtype;
    *ret_shape = shape;
    return RAD_OK;
}
