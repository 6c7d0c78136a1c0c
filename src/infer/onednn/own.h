/* own.h (private to onednn/): dense two-dimensional float32 convolutions of channels-last images by kernels of ours, on processors with
 * AVX-512. They stand beside the library's because they are quicker: they read the layout of the network as it is (no reorders around
 * Winograd's form), keep what they work on in the second cache, and fetch the next weights while they work on these.
 *
 * Which way a convolution goes is decided by its shape alone, and each element of a result is one chain of additions in an order that the
 * shape fixes: the same bits for any number of threads. All functions are pure but for what they write; any thread may call them. */
#ifndef RAD_ONEDNN_OWN_H
#define RAD_ONEDNN_OWN_H

#include "prim.h"

enum dn_own_way {
    DN_OWN_DIRECT,    /* sums over window and channels as they stand */
    DN_OWN_WINOGRAD2, /* F(2 x 2, 3 x 3) of Lavin and Gray 2016: 2.25 times fewer products, 1.8 times the weights */
    DN_OWN_WINOGRAD4, /* F(4 x 4, 3 x 3): 4 times fewer products, 4 times the weights */
    DN_OWN_STRIDED2,  /* 3 x 3 of stride 2, by phases, tiles of 2 x 2: 1.44 times fewer products, 1.8 times the weights */
    DN_OWN_STRIDED4   /* tiles of 4 x 4: 1.78 times fewer products, 4 times the weights */
};

struct dn_own {
    enum dn_own_way way;
    int64_t images;            /* each by itself: the bits do not depend on their number */
    int64_t in[2], out[2];     /* rows and columns */
    int64_t channels, filters; /* multiples of 16 */
    int64_t kernel[2], stride[2], dilation[2], pad[2];
    bool sum;   /* the result's memory holds what is added before the activation */
    bool clamp; /* the activation: to [low, high]; NaN stays NaN */
    float low, high;
};

/* All arrays are aligned to 64 bytes. */
struct dn_own_data {
    const float *src;     /* [images][rows][columns][channels] */
    const float *weights; /* as dn_own_pack() leaves them */
    const float *bias;    /* [filters] */
    float *dst;           /* [images][rows][columns][filters] */
    void *scratch;        /* dn_own_scratch() bytes */
};

/* False: not ours to do (another shape or activation, no AVX-512); use the library. */
bool dn_own_choose(const rad_window_params *w, int64_t images, int64_t channels, int64_t filters, const rad_post *post, struct dn_own *ret);
/* False when a size overflows. */
bool dn_own_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) RAD_MUST_CHECK;
/* `weights`: [filters][channels][kernel rows][kernel columns], row-major, of any alignment. */
void dn_own_pack(const struct dn_own *o, const void *weights, float *ret);
void dn_own_run(const struct dn_own *o, const struct dn_own_data *d, int threads);
const char *dn_own_name(const struct dn_own *o);

/* ---------------------------------------------------------------- between the files of the kernels */

/* Filters are worked on in panels of up to 4 vectors of 16; the panels of `filters` are as equal as can be. */
enum { DN_LANES = 16, DN_PANEL_VECTORS = 4, DN_TILE_ROWS = 6 };

struct dn_panels {
    int64_t count, vectors; /* of all panels */
};
struct dn_panels dn_own_panels(int64_t filters);
/* First vector of panel `i` (i = count: the end). */
int64_t dn_own_panel_first(const struct dn_panels *p, int64_t i);
/* Share `i` of `n` shares of `count` things: its first (i = n: the end). */
int64_t dn_own_share(int64_t count, int64_t i, int64_t n);

/* result[r] = clamp(start[r] + sum over taps t and channels c of row[t][r][c] * weights[t][c] + add[r]), r < rows <= DN_TILE_ROWS, each a
 * row of vectors * 16 floats; products are added one after the other in the order of t and c. */
struct dn_tile {
    int rows, vectors;
    int64_t taps, channels;
    const float *const *row; /* [taps][DN_TILE_ROWS] */
    const float *weights;    /* [taps][channels][vectors * 16] */
    const float *start;
    size_t start_step; /* floats from row to row; 0 = the same for all */
    const float *add;  /* NULL = none */
    size_t add_step;
    float *result;
    size_t result_step;
    bool clamp;
    float low, high;
    const float *soon; /* a line from here on is fetched into the second cache for each tap and channel */
    size_t soon_step;  /* floats; 0 = the same again */
};
/* The first tiles of a panel fetch the next one at `next`, of t->vectors times `lines` cache lines: one vector's width each. */
void dn_own_soon(struct dn_tile *t, int64_t i, const float *next, int64_t lines);
void dn_own_tile(const struct dn_tile *t);

bool dn_own_direct_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) RAD_MUST_CHECK;
void dn_own_direct_pack(const struct dn_own *o, const void *weights, float *ret);
/* These run one image. */
void dn_own_direct_run(const struct dn_own *o, const struct dn_own_data *d, int threads);
bool dn_own_winograd_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) RAD_MUST_CHECK;
void dn_own_winograd_pack(const struct dn_own *o, const void *weights, float *ret);
void dn_own_winograd_run(const struct dn_own *o, const struct dn_own_data *d, int threads);

#endif
