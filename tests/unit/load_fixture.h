/* load_fixture.h: NIfTI files made byte by byte from the standard's field offsets, without nifticlib. */
#ifndef RAD_LOAD_FIXTURE_H
#define RAD_LOAD_FIXTURE_H

#include "unit.h"

#include <libdeflate.h>
#include <math.h>

#include "radcohort/load.h"

enum fx_field {
    FX_DIM,
    FX_DATATYPE,
    FX_PIXDIM,
    FX_OFFSET,
    FX_SLOPE,
    FX_INTER,
    FX_QFORM,
    FX_SFORM,
    FX_QUATERN,
    FX_QOFFSET,
    FX_SROW,
    FX_INTENT,
    FX_UNITS
};

typedef struct fx { /* what to write */
    int version;
    bool big, pair;
    uint8_t head[560];
    size_t n_head; /* 352 or 544; 348 or 540 for the .hdr of a pair */
} fx;

static inline void fx_put(uint8_t *at, uint64_t bits, int bytes, bool big) {
    for (int i = 0; i < bytes; i++)
        at[big ? bytes - 1 - i : i] = (uint8_t)(bits >> (8 * i));
}

static inline void fx_put_float(uint8_t *at, double v, int bytes, bool big) {
    uint64_t bits = 0;
    if (bytes == 4) {
        float f = (float)v;
        uint32_t b;
        memcpy(&b, &f, 4);
        bits = b;
    } else
        memcpy(&bits, &v, 8);
    fx_put(at, bits, bytes, big);
}

/* Sets element `i` of a field. */
static inline void fx_set(fx *x, enum fx_field f, int i, double v) {
    static const struct {
        int at1, size1;
        bool float1;
        int at2, size2;
        bool float2;
    } where[] = {
        [FX_DIM] = {40, 2, false, 16, 8, false},     [FX_DATATYPE] = {70, 2, false, 12, 2, false},
        [FX_PIXDIM] = {76, 4, true, 104, 8, true},   [FX_OFFSET] = {108, 4, true, 168, 8, false},
        [FX_SLOPE] = {112, 4, true, 176, 8, true},   [FX_INTER] = {116, 4, true, 184, 8, true},
        [FX_QFORM] = {252, 2, false, 344, 4, false}, [FX_SFORM] = {254, 2, false, 348, 4, false},
        [FX_QUATERN] = {256, 4, true, 352, 8, true}, [FX_QOFFSET] = {268, 4, true, 376, 8, true},
        [FX_SROW] = {280, 4, true, 400, 8, true},    [FX_INTENT] = {68, 2, false, 504, 4, false},
        [FX_UNITS] = {123, 1, false, 500, 4, false},
    };
    bool one = x->version == 1, is_float = one ? where[f].float1 : where[f].float2;
    int size = one ? where[f].size1 : where[f].size2;
    uint8_t *at = x->head + (one ? where[f].at1 : where[f].at2) + i * size;
    if (is_float)
        fx_put_float(at, v, size, x->big);
    else
        fx_put(at, (uint64_t)(int64_t)v, size, x->big);
}

/* A header with an sform of 2 mm in RAS, no slope. */
static inline fx fx_make(int version, bool big, bool pair, int datatype, int n_dim, const int64_t *dim) {
    fx x = {.version = version, .big = big, .pair = pair};
    size_t size = version == 1 ? 348 : 540;
    fx_put(x.head, size, 4, big);
    if (version == 1)
        memcpy(x.head + 344, pair ? "ni1" : "n+1", 4);
    else
        memcpy(x.head + 4, pair ? "ni2\0\r\n\032\n" : "n+2\0\r\n\032\n", 8);
    x.n_head = pair ? size : size + 4;
    fx_set(&x, FX_DIM, 0, n_dim);
    for (int i = 0; i < 7; i++)
        fx_set(&x, FX_DIM, i + 1, i < n_dim ? (double)dim[i] : 1);
    fx_set(&x, FX_DATATYPE, 0, datatype);
    for (int i = 0; i < 4; i++)
        fx_set(&x, FX_PIXDIM, i, i ? 2 : 1);
    fx_set(&x, FX_OFFSET, 0, pair ? 0 : (double)x.n_head);
    fx_set(&x, FX_SFORM, 0, 1);
    for (int i = 0; i < 3; i++)
        fx_set(&x, FX_SROW, 5 * i, 2);
    return x;
}

typedef struct fx_bytes {
    uint8_t *p;
    size_t n;
} fx_bytes; /* free p */

static inline fx_bytes fx_gzip(const uint8_t *p, size_t n) {
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(6);
    fx_bytes out = {.n = libdeflate_gzip_compress_bound(z, n)};
    out.p = malloc(out.n);
    out.n = libdeflate_gzip_compress(z, p, n, out.p, out.n);
    assert_true(out.n > 0);
    libdeflate_free_compressor(z);
    return out;
}

static inline fx_bytes fx_join(const uint8_t *a, size_t na, const uint8_t *b, size_t nb) {
    fx_bytes out = {.p = malloc(na + nb + 1), .n = na + nb};
    memcpy(out.p, a, na);
    if (nb)
        memcpy(out.p + na, b, nb);
    return out;
}

static inline void fx_write(const char *path, const uint8_t *p, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(n ? fwrite(p, 1, n, f) : 0, n);
    assert_int_equal(fclose(f), 0);
}

/* The single file `path`, compressed when asked. */
static inline void fx_write_single(const char *path, const fx *x, const uint8_t *voxel, size_t n, bool gz) {
    fx_bytes all = fx_join(x->head, x->n_head, voxel, n);
    if (gz) {
        fx_bytes z = fx_gzip(all.p, all.n);
        fx_write(path, z.p, z.n);
        free(z.p);
    } else
        fx_write(path, all.p, all.n);
    free(all.p);
}

#endif
