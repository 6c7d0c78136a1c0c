/* Protobuf wire format over bytes in place: no copies, no recursion, every length checked against its parent.
 * https://protobuf.dev/programming-guides/encoding/ ; groups (wire types 3 and 4) do not occur in ONNX and are malformed here. */
#include <string.h>

#include "model_internal.h"

static bool take_varint(const uint8_t **pp, const uint8_t *end, uint64_t *ret) {
    uint64_t v = 0;
    const uint8_t *p = *pp;
    for (int shift = 0; shift < 70; shift += 7) {
        if (p == end)
            return false;
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return false; /* more than 64 bits */
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *pp = p;
            *ret = v;
            return true;
        }
    }
    return false;
}

int rad_onnx_next(onnx_span *s, onnx_field *ret) {
    if (s->p == s->end)
        return 0;
    uint64_t key, v = 0;
    if (s->depth > RAD_MAX_NESTING || !take_varint(&s->p, s->end, &key) || key >> 3 == 0 || key >> 3 > 536870911u)
        return -1;
    *ret = (onnx_field){.number = (uint32_t)(key >> 3), .bytes = {.depth = s->depth + 1}};
    size_t left;
    switch (key & 7) {
    case ONNX_VARINT:
        ret->wire = ONNX_VARINT;
        return take_varint(&s->p, s->end, &ret->value) ? 1 : -1;
    case ONNX_FIXED64:
    case ONNX_FIXED32: {
        size_t width = (key & 7) == ONNX_FIXED64 ? 8 : 4;
        ret->wire = width == 8 ? ONNX_FIXED64 : ONNX_FIXED32;
        if ((size_t)(s->end - s->p) < width)
            return -1;
        for (size_t i = 0; i < width; i++)
            ret->value |= (uint64_t)s->p[i] << (8 * i);
        s->p += width;
        return 1;
    }
    case ONNX_BYTES:
        ret->wire = ONNX_BYTES;
        if (!take_varint(&s->p, s->end, &v))
            return -1;
        left = (size_t)(s->end - s->p);
        if (v > left)
            return -1;
        ret->bytes.p = s->p;
        s->p += (size_t)v;
        ret->bytes.end = s->p;
        return 1;
    default:
        return -1;
    }
}

int64_t rad_onnx_count_varints(const onnx_field *f) {
    if (f->wire == ONNX_VARINT)
        return 1;
    if (f->wire != ONNX_BYTES)
        return -1;
    int64_t n = 0;
    uint64_t v;
    for (const uint8_t *p = f->bytes.p; p != f->bytes.end; n++)
        if (!take_varint(&p, f->bytes.end, &v))
            return -1;
    return n;
}

int64_t rad_onnx_count_fixed(const onnx_field *f, size_t width) {
    if (f->wire == (width == 8 ? ONNX_FIXED64 : ONNX_FIXED32))
        return 1;
    size_t size = (size_t)(f->bytes.end - f->bytes.p);
    if (f->wire != ONNX_BYTES || size % width)
        return -1;
    return (int64_t)(size / width);
}

void rad_onnx_read_varints(const onnx_field *f, int64_t *out) {
    if (f->wire == ONNX_VARINT) {
        out[0] = (int64_t)f->value;
        return;
    }
    uint64_t v;
    for (const uint8_t *p = f->bytes.p; p != f->bytes.end && take_varint(&p, f->bytes.end, &v);)
        *out++ = (int64_t)v;
}

void rad_onnx_read_fixed(const onnx_field *f, size_t width, uint8_t *out) {
    if (f->wire == ONNX_BYTES) {
        if (f->bytes.end != f->bytes.p)
            memcpy(out, f->bytes.p, (size_t)(f->bytes.end - f->bytes.p));
        return;
    }
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(f->value >> (8 * i));
}
