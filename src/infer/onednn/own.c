/* own.c: which convolutions are ours, and which way they go. */
#include "own.h"

#include <math.h>

int64_t dn_own_share(int64_t count, int64_t i, int64_t n) {
    return count * i / n;
}

struct dn_panels dn_own_panels(int64_t filters) {
    const int64_t vectors = filters / DN_LANES;
    return (struct dn_panels){.count = (vectors + DN_PANEL_VECTORS - 1) / DN_PANEL_VECTORS, .vectors = vectors};
}

int64_t dn_own_panel_first(const struct dn_panels *p, int64_t i) {
    return dn_own_share(p->vectors, i, p->count);
}

void dn_own_soon(struct dn_tile *t, int64_t i, const float *next, int64_t lines) {
    const bool is_needed = i < t->vectors;
    t->soon = is_needed ? next + i * lines * DN_LANES : next;
    t->soon_step = is_needed ? DN_LANES : 0;
}

/* The activation as limits; false when it is none. */
static bool limits(const rad_post *post, struct dn_own *o) {
    o->sum = post->sum;
    o->clamp = post->act;
    if (!post->act)
        return true;
    o->low = post->alg == dnnl_eltwise_clip ? post->alpha : 0.0f;
    o->high = post->alg == dnnl_eltwise_clip ? post->beta : INFINITY;
    return post->alg == dnnl_eltwise_clip || (post->alg == dnnl_eltwise_relu && post->alpha == 0.0f);
}

static int64_t count_tiles(const struct dn_own *o, int64_t step) {
    return ((o->out[0] + step - 1) / step) * ((o->out[1] + step - 1) / step);
}

/* Of stride 2 there is less to save, 81 or 25 products of a tile for 144 or 36; results over the edge and the transforms, whose share grows
 * as channels get fewer, lose it again. The limits are where 3 % were left of it in measurements of some 60 shapes: tiles of 4 x 4 need 36
 * tiles to share their weights and a tenth fewer products than tiles of 2 x 2. */
static enum dn_own_way choose_strided(const struct dn_own *o) {
    const int64_t tiles2 = count_tiles(o, 2), tiles4 = count_tiles(o, 4);
    const int64_t direct = 9 * o->out[0] * o->out[1], products2 = 25 * tiles2, products4 = 81 * tiles4;
    const bool has_many = o->channels + o->filters >= 96 || tiles4 >= 64;
    if (tiles4 >= 36 && has_many && 10 * products4 <= 9 * products2 && 5 * products4 <= 4 * direct)
        return DN_OWN_STRIDED4;
    const bool saves = o->channels >= 96 ? 5 * products2 <= 4 * direct : 4 * products2 <= 3 * direct;
    return tiles2 >= 16 && o->channels >= 64 && o->filters >= 64 && saves ? DN_OWN_STRIDED2 : DN_OWN_DIRECT;
}

/* Winograd's filtering for dense 3 x 3 windows, in float32 throughout: fewer multiplications, not less precision (the points of F(4 x 4)
 * are chosen for it, see own_points.h). Of stride 1 or 2 along both axes.
 *
 * Its tiles are of 4 x 4 where the weights, four times as many as in the network, stay in a cache or are used often enough to pay for their
 * way from memory; else of 2 x 2. Few channels leave little but the transforms: these go directly. */
static enum dn_own_way choose_way(const struct dn_own *o) {
    for (int i = 0; i < 2; i++)
        if (o->kernel[i] != 3 || o->stride[i] != o->stride[0] || o->stride[i] > 2 || o->dilation[i] != 1)
            return DN_OWN_DIRECT;
    if (o->channels < 32 || o->filters < 32 || o->out[0] < 4 || o->out[1] < 4)
        return DN_OWN_DIRECT;
    if (o->stride[0] == 2)
        return choose_strided(o);
    const int64_t tiles = count_tiles(o, 4);
    const bool near = o->channels * o->filters <= 192 * 192 && tiles > 4;
    return near || tiles >= 24 ? DN_OWN_WINOGRAD4 : DN_OWN_WINOGRAD2;
}

bool dn_own_choose(const rad_window_params *w, int64_t images, int64_t channels, int64_t filters, const rad_post *post,
                   struct dn_own *ret) {
    struct dn_own o = {.images = images, .channels = channels, .filters = filters};
    if (!rad_prim_has_avx512() || w->n_axis != 2 || w->group != 1 || channels % DN_LANES != 0 || filters % DN_LANES != 0 ||
        !limits(post, &o))
        return false;
    for (int i = 0; i < 2; i++) {
        o.in[i] = w->in[i];
        o.out[i] = w->out[i];
        o.kernel[i] = w->kernel[i];
        o.stride[i] = w->stride[i];
        o.dilation[i] = w->dilation[i];
        o.pad[i] = w->pad_begin[i];
    }
    o.way = choose_way(&o);
    *ret = o;
    return true;
}

#ifdef __x86_64__
bool dn_own_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) {
    return o->way == DN_OWN_DIRECT ? dn_own_direct_sizes(o, threads, ret_weight_bytes, ret_scratch_bytes)
                                   : dn_own_winograd_sizes(o, threads, ret_weight_bytes, ret_scratch_bytes);
}

void dn_own_pack(const struct dn_own *o, const void *weights, float *ret) {
    if (o->way == DN_OWN_DIRECT)
        dn_own_direct_pack(o, weights, ret);
    else
        dn_own_winograd_pack(o, weights, ret);
}

void dn_own_run(const struct dn_own *o, const struct dn_own_data *d, int threads) {
    struct dn_own_data one = *d;
#ifdef __SANITIZE_THREAD__
    /* OpenMP's library is not instrumented: what its barriers order would be taken for races. The bits are the same. */
    threads = 1;
#endif
    for (int64_t i = 0; i < o->images; i++) {
        if (o->way == DN_OWN_DIRECT)
            dn_own_direct_run(o, &one, threads);
        else
            dn_own_winograd_run(o, &one, threads);
        one.src += o->in[0] * o->in[1] * o->channels;
        one.dst += o->out[0] * o->out[1] * o->filters;
    }
}
#else
bool dn_own_sizes(const struct dn_own *o, int threads, size_t *ret_weight_bytes, size_t *ret_scratch_bytes) {
    (void)o;
    (void)threads;
    *ret_weight_bytes = *ret_scratch_bytes = 0;
    return false; /* none is chosen either: there is no AVX-512 */
}

void dn_own_pack(const struct dn_own *o, const void *weights, float *ret) {
    (void)o;
    (void)weights;
    (void)ret;
}

void dn_own_run(const struct dn_own *o, const struct dn_own_data *d, int threads) {
    (void)o;
    (void)d;
    (void)threads;
}
#endif

const char *dn_own_name(const struct dn_own *o) {
    static const char *const names[] = {"own:direct", "own:winograd_2x2", "own:winograd_4x4", "own:strided_2x2", "own:strided_4x4"};
    return names[o->way];
}
