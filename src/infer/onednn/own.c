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

/* Winograd's filtering for dense 3 x 3 windows, in float32 throughout: fewer multiplications, not less precision (the points of F(4 x 4)
 * are chosen for it, see own_points.h).
 *
 * Its tiles are of 4 x 4 where the weights, four times as many as in the network, stay in a cache or are used often enough to pay for their
 * way from memory; else of 2 x 2. Few channels leave little but the transforms: these go directly. */
static enum dn_own_way choose_way(const struct dn_own *o) {
    for (int i = 0; i < 2; i++)
        if (o->kernel[i] != 3 || o->stride[i] != 1 || o->dilation[i] != 1)
            return DN_OWN_DIRECT;
    if (o->channels < 32 || o->filters < 32 || o->out[0] < 4 || o->out[1] < 4)
        return DN_OWN_DIRECT;
    const int64_t tiles = ((o->out[0] + 3) / 4) * ((o->out[1] + 3) / 4);
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
#ifdef __SANITIZE_THREAD__ /* OpenMP's library is not instrumented: what its barriers order would be taken for races. The bits are the     \
                              same */
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
    static const char *const names[] = {"own:direct", "own:winograd_2x2", "own:winograd_4x4"};
    return names[o->way];
}
