/* own_winograd.c: 3 x 3 convolutions of stride 1 or 2 in Winograd's form, block of tiles by block of tiles: sources are transformed into
 * the second cache, multiplied panel by panel, and each panel's results transformed back while they are there. own_points.h has the
 * arithmetic. */
#include "own.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "own_points.h"

/* Bytes that the transformed sources of a block take at most: where all weights stay in the second cache, few; where they have to be
 * fetched again for each block, more, so that there are fewer blocks. */
enum { NEAR_WEIGHTS = 768 << 10, NEAR_BYTES = 192 << 10, FAR_BYTES = 1 << 20, LEAST_TILES = 2 * DN_TILE_ROWS };

struct grid {
    int64_t stride, step, side;     /* of the window; results and sources of a tile's side */
    int64_t edge, points, products; /* points of the weights on a side, and in all; products of a tile */
    int64_t columns, tiles, blocks; /* tiles are counted row by row; blocks of them are as equal as can be */
    int64_t most;                   /* tiles of a block */
    size_t source_step;             /* floats of a block's sources from point to point */
};

static struct grid grid_of(const struct dn_own *o) {
    struct grid g = {.stride = o->way == DN_OWN_STRIDED2 || o->way == DN_OWN_STRIDED4 ? 2 : 1,
                     .step = o->way == DN_OWN_WINOGRAD4 || o->way == DN_OWN_STRIDED4 ? 4 : 2};
    g.side = g.stride * (g.step - 1) + 3;
    g.edge = g.step + 2;
    g.points = g.edge * g.edge;
    g.products = g.side * g.side;
    g.columns = (o->out[1] + g.step - 1) / g.step;
    g.tiles = g.columns * ((o->out[0] + g.step - 1) / g.step);
    const int64_t pixel_bytes = o->channels * (int64_t)sizeof(float), tile_bytes = g.products * pixel_bytes;
    int64_t most = (g.points * pixel_bytes * o->filters <= NEAR_WEIGHTS ? NEAR_BYTES : FAR_BYTES) / tile_bytes;
    most = most < LEAST_TILES ? LEAST_TILES : most;
    g.blocks = (g.tiles + most - 1) / most;
    g.most = (g.tiles + g.blocks - 1) / g.blocks;
    /* A cache line more than there are: points a power of two apart would fall into the same places of the first cache. */
    g.source_step = (size_t)(g.most * o->channels + DN_LANES);
    return g;
}

static size_t source_bytes(const struct grid *g) {
    return (size_t)g->products * g->source_step * sizeof(float);
}

static size_t product_bytes(const struct grid *g) {
    return (size_t)(g->products * g->most * DN_PANEL_VECTORS * DN_LANES) * sizeof(float);
}

bool dn_own_winograd_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) {
    const struct grid g = grid_of(o);
    size_t n = 0;
    return rad_mul_size(source_bytes(&g) + product_bytes(&g), (size_t)threads, ret_scratch_bytes) &&
           rad_mul_size((size_t)o->channels, (size_t)o->filters, &n) && rad_mul_size(n, (size_t)g.points, &n) &&
           rad_mul_size(n, sizeof(float), ret_weight_bytes);
}

/* To [panel][point][channel][filter of the panel], transformed in double. */
void dn_own_winograd_pack(const struct dn_own *o, const void *weights, float *ret) {
    const struct dn_panels panels = dn_own_panels(o->filters);
    const struct grid g = grid_of(o);
    for (int64_t p = 0; p < panels.count; p++) {
        const int64_t first = dn_own_panel_first(&panels, p), width = (dn_own_panel_first(&panels, p + 1) - first) * DN_LANES;
        float *panel = ret + first * DN_LANES * g.points * o->channels;
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t f = 0; f < width; f += DN_LANES) {
                float w[DN_LANES][9];
                for (int64_t i = 0; i < DN_LANES; i++)
                    memcpy(w[i], (const char *)weights + ((first * DN_LANES + f + i) * o->channels + c) * (int64_t)sizeof w[i],
                           sizeof w[i]);
                dn_own_points_of_weights(g.edge, g.stride, w, panel + c * width + f, (size_t)(o->channels * width));
            }
    }
}

/* Sources of tiles first to end - 1 of the block that starts at tile `block`. */
static void transform_sources(const struct dn_own *o, const struct grid *g, const float *src, int64_t block, int64_t first, int64_t end,
                              float *ret) {
    for (int64_t t = first; t < end; t++) {
        const int64_t y = (t / g->columns) * g->step * g->stride - o->pad[0];
        const int64_t x = (t % g->columns) * g->step * g->stride - o->pad[1];
        const struct dn_window w = {.src = src,
                                    .origin = (y * o->in[1] + x) * o->channels,
                                    .row_step = o->in[1] * o->channels,
                                    .column_step = o->channels,
                                    .first = {y < 0 ? -y : 0, x < 0 ? -x : 0},
                                    .end = {o->in[0] - y, o->in[1] - x}};
        float *to = ret + (t - block) * o->channels;
        if (g->stride == 1)
            (g->step == 4 ? dn_own_points_of_sources4 : dn_own_points_of_sources2)(&w, o->channels, to, g->source_step);
        else
            (g->step == 4 ? dn_own_strided_sources4 : dn_own_strided_sources2)(&w, o->channels, to, g->source_step);
    }
}

static void transform_results(const struct dn_own *o, const struct grid *g, const struct dn_own_data *d, int64_t first, int64_t end,
                              int64_t vector, int64_t vectors, const float *product) {
    const size_t step = (size_t)((end - first) * vectors * DN_LANES);
    for (int64_t t = first; t < end; t++) {
        const int64_t y = (t / g->columns) * g->step, x = (t % g->columns) * g->step;
        const struct dn_result r = {.dst = d->dst + (y * o->out[1] + x) * o->filters + vector * DN_LANES,
                                    .bias = d->bias + vector * DN_LANES,
                                    .row_step = o->out[1] * o->filters,
                                    .column_step = o->filters,
                                    .rows = o->out[0] - y,
                                    .columns = o->out[1] - x,
                                    .sum = o->sum,
                                    .clamp = o->clamp,
                                    .low = o->low,
                                    .high = o->high};
        const float *from = product + (t - first) * vectors * DN_LANES;
        if (g->stride == 1)
            (g->step == 4 ? dn_own_results_of_points4 : dn_own_results_of_points2)(&r, vectors, from, step);
        else
            (g->step == 4 ? dn_own_strided_results4 : dn_own_strided_results2)(&r, vectors, from, step);
    }
}

/* Products of a tile by the weights of point `p`: how many; *ret_first: the first of them, which the others follow (see own_points.h). */
static int64_t products_of(const struct grid *g, int64_t p, int64_t *ret_first) {
    const int64_t y = p / g->edge, x = p % g->edge, even = g->step + 1;
    *ret_first = g->stride == 1 ? p : y < even ? y * g->side + x : even * g->side + x * g->step;
    return g->stride == 1 ? 1 : (y < even ? 1 : g->step) * (x < even ? 1 : g->step);
}

/* One panel of the block of tiles first to end - 1. */
static void run_panel(const struct dn_own *o, const struct grid *g, const struct dn_own_data *d, int64_t first, int64_t end,
                      const struct dn_panels *panels, int64_t panel, const float *source, float *product) {
    const int64_t vector = dn_own_panel_first(panels, panel), n = end - first;
    const float *row[DN_TILE_ROWS];
    struct dn_tile t = {.vectors = (int)(dn_own_panel_first(panels, panel + 1) - vector), .taps = 1, .channels = o->channels, .row = row};
    const int64_t width = t.vectors * DN_LANES;
    const float *weights = d->weights + vector * DN_LANES * g->points * o->channels;
    static const float zeros[DN_PANEL_VECTORS * DN_LANES] = {0};
    t.start = zeros;
    t.result_step = (size_t)width;
    for (int64_t p = 0; p < g->points; p++) {
        const bool is_last = p + 1 == g->points && panel + 1 == panels->count;
        t.weights = weights + p * o->channels * width;
        const float *soon = is_last ? d->weights : t.weights + o->channels * width;
        int64_t spot = 0, tile = 0;
        const int64_t rows = products_of(g, p, &spot) * n, parts = (rows + DN_TILE_ROWS - 1) / DN_TILE_ROWS;
        const int64_t least = rows / parts, larger = rows % parts; /* rows of a tile; tiles with one more */
        float *result = product + spot * n * width;
        for (int64_t i = 0, from = 0; i < parts; from += t.rows, i++) {
            t.rows = (int)(i < larger ? least + 1 : least);
            for (int r = 0; r < t.rows; r++) {
                row[r] = source + (size_t)spot * g->source_step + tile * o->channels;
                if (++tile == n) {
                    tile = 0;
                    spot++;
                }
            }
            t.result = result + from * width;
            dn_own_soon(&t, i, soon, o->channels);
            dn_own_tile(&t);
        }
    }
    transform_results(o, g, d, first, end, vector, t.vectors, product);
}

static int64_t largest_share(int64_t count, int threads) {
    return (count + threads - 1) / threads;
}

/* Threads take blocks of tiles of their own, or panels of the same block, whichever leaves the longest thread less. */
static void run_share(const struct dn_own *o, const struct dn_own_data *d, int me, int threads) {
    const struct grid g = grid_of(o);
    const struct dn_panels panels = dn_own_panels(o->filters);
    const bool by_block = largest_share(g.blocks, threads) * panels.count <= largest_share(panels.count, threads) * g.blocks;
    const size_t source = source_bytes(&g) / sizeof(float), product = product_bytes(&g) / sizeof(float);
    float *sources = (float *)d->scratch + (by_block ? (size_t)me * source : 0);
    float *products = (float *)d->scratch + (size_t)threads * source + (size_t)me * product;
    const int64_t block = by_block ? dn_own_share(g.blocks, me, threads) : 0;
    const int64_t block_end = by_block ? dn_own_share(g.blocks, me + 1, threads) : g.blocks;
    for (int64_t b = block; b < block_end; b++) {
        const int64_t first = dn_own_share(g.tiles, b, g.blocks), end = dn_own_share(g.tiles, b + 1, g.blocks), n = end - first;
        if (by_block) {
            transform_sources(o, &g, d->src, first, first, end, sources);
            for (int64_t p = 0; p < panels.count; p++)
                run_panel(o, &g, d, first, end, &panels, p, sources, products);
            continue;
        }
        transform_sources(o, &g, d->src, first, first + dn_own_share(n, me, threads), first + dn_own_share(n, me + 1, threads), sources);
#pragma omp barrier
        for (int64_t p = dn_own_share(panels.count, me, threads); p < dn_own_share(panels.count, me + 1, threads); p++)
            run_panel(o, &g, d, first, end, &panels, p, sources, products);
#pragma omp barrier
    }
}

void dn_own_winograd_run(const struct dn_own *o, const struct dn_own_data *d, int threads) {
    if (threads <= 1) {
        run_share(o, d, 0, 1);
        return;
    }
#pragma omp parallel num_threads(threads)
    run_share(o, d, omp_get_thread_num(), omp_get_num_threads());
}
