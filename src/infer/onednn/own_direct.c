/* own_direct.c: a convolution as sums over its window and channels. */
#include "own.h"

#include <omp.h>
#include <string.h>

/* Bytes of the second cache (1 MB or more where there is AVX-512) that one panel of weights, fetched while the one before is worked on, and
 * the pixels of a block may take. They move no bit: sums that are put down in between stay what they are. */
enum { PANEL_BYTES = 256 << 10, BLOCK_BYTES = 256 << 10, LEAST_BLOCK = 64 };

static int64_t taps_of(const struct dn_own *o) {
    return o->kernel[0] * o->kernel[1];
}

static int64_t panel_bytes(int64_t channels) {
    return channels * DN_PANEL_VECTORS * DN_LANES * (int64_t)sizeof(float);
}

/* Equal slices of the channels, so many that the weights of one of them, at one tap, are no more than a panel should be. */
static int64_t slices_of(const struct dn_own *o) {
    int64_t n = 1;
    while (panel_bytes(o->channels / n) > PANEL_BYTES && o->channels % (2 * n) == 0)
        n *= 2;
    return n;
}

/* Taps (of slices) whose weights of one panel are worked on together. */
static int64_t group_taps(const struct dn_own *o) {
    const int64_t slices = slices_of(o), all = taps_of(o) * slices, n = PANEL_BYTES / panel_bytes(o->channels / slices);
    return n < 1 ? 1 : n < all ? n : all;
}

/* Blocks of pixels, as equal as can be. */
static int64_t count_blocks(const struct dn_own *o) {
    const int64_t pixels = o->out[0] * o->out[1];
    int64_t most = BLOCK_BYTES / (o->channels * o->stride[0] * o->stride[1] * (int64_t)sizeof(float));
    most = most < LEAST_BLOCK ? LEAST_BLOCK : most;
    return (pixels + most - 1) / most;
}

static int64_t largest_block(const struct dn_own *o) {
    const int64_t pixels = o->out[0] * o->out[1], n = count_blocks(o);
    return (pixels + n - 1) / n;
}

/* What a thread keeps: a pixel of zeros, addresses of the pixels of a block's tiles at each tap, sums put down between groups of taps. */
struct room {
    float *zeros;
    const float **row; /* [tiles][taps of slices][DN_TILE_ROWS] */
    float *sum;        /* [pixels of the block][width of a panel] */
};

static bool room_bytes(const struct dn_own *o, size_t ret_part[3], size_t *ret_all) {
    const int64_t most = largest_block(o), tiles = (most + DN_TILE_ROWS - 1) / DN_TILE_ROWS;
    ret_part[0] = (size_t)o->channels * sizeof(float);
    if (!rad_mul_size((size_t)(taps_of(o) * slices_of(o)), (size_t)tiles * DN_TILE_ROWS * sizeof(float *), &ret_part[1]) ||
        !rad_mul_size((size_t)most, DN_PANEL_VECTORS * DN_LANES * sizeof(float), &ret_part[2]))
        return false;
    *ret_all = 0;
    for (int i = 0; i < 3; i++) {
        ret_part[i] = (ret_part[i] + 63) & ~(size_t)63;
        if (!rad_add_size(*ret_all, ret_part[i], ret_all))
            return false;
    }
    return true;
}

bool dn_own_direct_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) {
    size_t part[3], all = 0, n = 0;
    return room_bytes(o, part, &all) && rad_mul_size(all, (size_t)threads, ret_scratch_bytes) &&
           rad_mul_size((size_t)o->channels, (size_t)o->filters, &n) && rad_mul_size(n, (size_t)taps_of(o), &n) &&
           rad_mul_size(n, sizeof(float), ret_weight_bytes);
}

/* To [panel][tap][channel][filter of the panel]. */
void dn_own_direct_pack(const struct dn_own *o, const void *weights, float *ret) {
    const struct dn_panels panels = dn_own_panels(o->filters);
    const int64_t taps = taps_of(o);
    for (int64_t p = 0; p < panels.count; p++) {
        const int64_t first = dn_own_panel_first(&panels, p) * DN_LANES, width = dn_own_panel_first(&panels, p + 1) * DN_LANES - first;
        float *panel = ret + first * taps * o->channels;
        for (int64_t f = 0; f < width; f++)
            for (int64_t c = 0; c < o->channels; c++)
                for (int64_t t = 0; t < taps; t++)
                    memcpy(&panel[(t * o->channels + c) * width + f],
                           (const char *)weights + (((first + f) * o->channels + c) * taps + t) * (int64_t)sizeof(float), sizeof(float));
    }
}

/* Pixels first to end - 1, in tiles as equal as can be. */
struct block {
    int64_t first, end, tiles;
    int64_t least, larger; /* pixels of a tile; tiles that have one more, which come first */
};

static struct block block_of(int64_t first, int64_t end) {
    struct block b = {.first = first, .end = end, .tiles = (end - first + DN_TILE_ROWS - 1) / DN_TILE_ROWS};
    b.least = (end - first) / b.tiles;
    b.larger = (end - first) % b.tiles;
    return b;
}

/* The address at each tap (of each slice) of the pixel under the window at (y, x) of the result, DN_TILE_ROWS apart. */
static void find_window(const struct dn_own *o, const float *src, const float *zeros, int64_t y, int64_t x, const float **ret) {
    const int64_t slices = slices_of(o), width = o->channels / slices;
    for (int64_t ky = 0; ky < o->kernel[0]; ky++)
        for (int64_t kx = 0; kx < o->kernel[1]; kx++) {
            const int64_t iy = y * o->stride[0] - o->pad[0] + ky * o->dilation[0], ix = x * o->stride[1] - o->pad[1] + kx * o->dilation[1];
            const bool inside = iy >= 0 && iy < o->in[0] && ix >= 0 && ix < o->in[1];
            const float *pixel = inside ? src + (iy * o->in[1] + ix) * o->channels : zeros;
            for (int64_t s = 0; s < slices; s++, ret += DN_TILE_ROWS)
                *ret = pixel + s * width;
        }
}

static void find_rows(const struct dn_own *o, const float *src, const struct room *room, const struct block *b) {
    const int64_t taps = taps_of(o) * slices_of(o);
    int64_t y = b->first / o->out[1], x = b->first % o->out[1];
    for (int64_t i = 0; i < b->tiles; i++)
        for (int64_t r = 0; r < (i < b->larger ? b->least + 1 : b->least); r++) {
            find_window(o, src, room->zeros, y, x, room->row + i * taps * DN_TILE_ROWS + r);
            if (++x == o->out[1]) {
                x = 0;
                y++;
            }
        }
}

static void run_panel(const struct dn_own *o, const struct dn_own_data *d, const struct room *room, const struct block *b,
                      const struct dn_panels *panels, int64_t panel) {
    const int64_t vector = dn_own_panel_first(panels, panel), slices = slices_of(o), taps = taps_of(o) * slices;
    const int64_t group = group_taps(o), channels = o->channels / slices;
    const size_t filters = (size_t)o->filters;
    struct dn_tile t = {.vectors = (int)(dn_own_panel_first(panels, panel + 1) - vector), .channels = channels};
    const int64_t width = t.vectors * DN_LANES;
    const float *weights = d->weights + vector * DN_LANES * taps * channels;
    for (int64_t tap = 0; tap < taps; tap += group) {
        t.taps = taps - tap < group ? taps - tap : group;
        t.weights = weights + tap * channels * width;
        const int64_t lines = t.taps * channels; /* of one vector of the panel */
        const bool is_first = tap == 0, is_last = tap + t.taps == taps;
        const float *soon = is_last && panel + 1 == panels->count ? d->weights : t.weights + lines * width;
        float *dst = d->dst + b->first * o->filters + vector * DN_LANES, *sum = room->sum;
        t.clamp = is_last && o->clamp;
        t.low = o->low;
        t.high = o->high;
        t.start_step = is_first ? 0 : (size_t)width;
        t.add_step = filters;
        t.result_step = is_last ? filters : (size_t)width;
        for (int64_t i = 0; i < b->tiles; i++) {
            t.rows = (int)(i < b->larger ? b->least + 1 : b->least);
            t.row = room->row + (i * taps + tap) * DN_TILE_ROWS;
            t.start = is_first ? d->bias + vector * DN_LANES : sum;
            t.add = is_last && o->sum ? dst : NULL;
            t.result = is_last ? dst : sum;
            dn_own_soon(&t, i, soon, lines);
            dn_own_tile(&t);
            dst += t.rows * o->filters;
            sum += t.rows * width;
        }
    }
}

/* Thread `me` of `threads`: a share of the panels where they come out even, else of the pixels. */
static void run_share(const struct dn_own *o, const struct dn_own_data *d, int me, int threads) {
    const struct dn_panels panels = dn_own_panels(o->filters);
    const int64_t pixels = o->out[0] * o->out[1];
    const bool by_panel = panels.count % threads == 0 || panels.count >= 8 * threads;
    const int64_t first = by_panel ? 0 : dn_own_share(pixels, me, threads), end = by_panel ? pixels : dn_own_share(pixels, me + 1, threads);
    const int64_t panel = by_panel ? dn_own_share(panels.count, me, threads) : 0;
    const int64_t panel_end = by_panel ? dn_own_share(panels.count, me + 1, threads) : panels.count;
    const int64_t most = largest_block(o), blocks = (end - first + most - 1) / most;
    size_t part[3], all = 0;
    if (!room_bytes(o, part, &all)) /* was asked for when the scratch was made */
        return;
    char *mine = (char *)d->scratch + all * (size_t)me;
    const struct room room = {.zeros = (float *)(void *)mine,
                              .row = (const float **)(void *)(mine + part[0]),
                              .sum = (float *)(void *)(mine + part[0] + part[1])};
    memset(room.zeros, 0, part[0]);
    for (int64_t i = 0; i < blocks; i++) {
        const struct block b = block_of(first + dn_own_share(end - first, i, blocks), first + dn_own_share(end - first, i + 1, blocks));
        find_rows(o, d->src, &room, &b);
        for (int64_t p = panel; p < panel_end; p++)
            run_panel(o, d, &room, &b, &panels, p);
    }
}

void dn_own_direct_run(const struct dn_own *o, const struct dn_own_data *d, int threads) {
    if (threads <= 1) {
        run_share(o, d, 0, 1);
        return;
    }
#pragma omp parallel num_threads(threads)
    run_share(o, d, omp_get_thread_num(), omp_get_num_threads());
}
