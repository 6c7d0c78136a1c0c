/* Merges parallel convolutions of one input whose results are summed into one convolution (RepVGG, Ding et al., CVPR 2021: 3x3 + 1x1 +
 * batch norm of the input itself). Convolution is linear, so the kernels are added where they meet: the smaller kernel lies inside the
 * larger one at the offset of their paddings, and a batch norm is a 1x1 kernel with its scale on the diagonal.
 *
 * On whenever folding is on. Off when strides, groups or output sizes differ, when the smaller kernel does not fall on the taps of the
 * larger one, when a branch has another reader or is an output, or when the weights are not constant. Sums are taken in double and rounded
 * once; the largest rounding and the difference of both forms on a probe are kept for the record. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

typedef struct branch {
    rad_node *node;
    bool is_norm;
    rad_affine norm;
    rad_window_params win;
    double *w, *bias; /* w NULL for norms */
    int64_t m, c;     /* outputs; inputs per group */
} branch;

static void release(branch *br) {
    rad_affine_release(&br->norm);
    free(br->w);
    free(br->bias);
    br->w = br->bias = NULL;
}

static bool is_candidate(const rad_build *b, const rad_node *n) {
    if (rad_node_is(n, "BatchNormalization"))
        return true;
    return rad_node_is(n, "Conv") && n->residual < 0 && n->act == RAD_FUSE_NONE && rad_build_is_const(b, n->input[1], RAD_DT_F32) &&
           (n->n_input < 3 || n->input[2] < 0 || rad_build_is_const(b, n->input[2], RAD_DT_F32));
}

/* Geometry only; norms become 1x1 windows. */
static bool read_window(const rad_build *b, branch *br) {
    const rad_node *n = br->node;
    const rad_shape *x = &b->g->value[n->input[0]].shape;
    br->is_norm = rad_node_is(n, "BatchNormalization");
    if (!br->is_norm) {
        const rad_shape *w = &b->g->value[n->input[1]].shape;
        br->m = w->dim[0];
        br->c = w->dim[1];
        return rad_window_params_get(n, x, w, &br->win, NULL) == RAD_OK;
    }
    if (x->rank < 3 || x->rank > 5)
        return false;
    br->m = x->dim[1];
    br->win = (rad_window_params){.n_axis = x->rank - 2, .group = 1};
    for (int i = 0; i < br->win.n_axis; i++) {
        br->win.kernel[i] = br->win.stride[i] = br->win.dilation[i] = 1;
        br->win.in[i] = br->win.out[i] = x->dim[i + 2];
    }
    return true;
}

/* Whether `small` lies on taps of `host`; ret_at: its first tap there. */
static bool fits(const branch *host, const branch *small, int64_t ret_at[3]) {
    const rad_window_params *h = &host->win, *s = &small->win;
    if (host->is_norm || h->n_axis != s->n_axis || host->m != small->m || (!small->is_norm && h->group != s->group))
        return false;
    for (int i = 0; i < h->n_axis; i++) {
        int64_t lead = h->pad_begin[i] - s->pad_begin[i];
        if (h->stride[i] != s->stride[i] || h->out[i] != s->out[i] || h->in[i] != s->in[i] || lead < 0 || lead % h->dilation[i])
            return false;
        if (s->kernel[i] > 1 && s->dilation[i] != h->dilation[i])
            return false;
        ret_at[i] = lead / h->dilation[i];
        if (ret_at[i] + s->kernel[i] > h->kernel[i])
            return false;
    }
    return !small->is_norm || small->m == host->c * h->group;
}

static rad_status read_numbers(const rad_build *b, branch *br, bool *ret_ok, rad_error *err) {
    const rad_node *n = br->node;
    *ret_ok = true;
    if (br->is_norm)
        return rad_build_read_norm(b, n, &br->norm, ret_ok, err);
    rad_status st = rad_build_read_doubles(b, n->input[1], &br->w, NULL, err);
    if (st != RAD_OK)
        return st;
    if (n->n_input > 2 && n->input[2] >= 0)
        return rad_build_read_doubles(b, n->input[2], &br->bias, NULL, err);
    br->bias = rad_calloc((size_t)br->m + 1, sizeof *br->bias);
    return br->bias ? RAD_OK : rad_onnx_nomem(b->model, err);
}

static int64_t taps(const rad_window_params *p) {
    int64_t n = 1;
    for (int i = 0; i < p->n_axis; i++)
        n *= p->kernel[i];
    return n;
}

/* Tap number `t` of `s` as tap number of `h`, `at` being the place of its first one. */
static int64_t tap_in_host(const rad_window_params *h, const rad_window_params *s, const int64_t at[3], int64_t t) {
    int64_t index[3] = {0, 0, 0}, out = 0;
    for (int i = s->n_axis - 1; i >= 0; i--) {
        index[i] = t % s->kernel[i] + at[i];
        t /= s->kernel[i];
    }
    for (int i = 0; i < h->n_axis; i++)
        out = out * h->kernel[i] + index[i];
    return out;
}

/* Probe input for channel c, tap t: fixed numbers in [-1, 1). */
static double probe(int64_t c, int64_t t) {
    uint64_t z = ((uint64_t)c << 20) + (uint64_t)t + 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)(int64_t)(z ^ (z >> 31)) * 0x1p-63;
}

/* Largest |merged - sum of branches| over all outputs at one probe position, relative to the largest output. */
static double probe_difference(const branch *host, const branch *small, const int64_t at[3], const float *w, const float *bias) {
    int64_t k = taps(&host->win), ks = taps(&small->win), m_per = host->m / host->win.group;
    double worst = 0, largest = 0;
    for (int64_t o = 0; o < host->m; o++) {
        int64_t first = o / m_per * host->c;
        double two = host->bias[o] + (small->is_norm ? small->norm.shift[o] : small->bias[o]), one = (double)bias[o];
        for (int64_t c = 0; c < host->c; c++) {
            for (int64_t t = 0; t < k; t++) {
                double x = probe(first + c, t);
                two += host->w[(o * host->c + c) * k + t] * x;
                one += (double)w[(o * host->c + c) * k + t] * x;
            }
            for (int64_t t = 0; !small->is_norm && t < ks; t++)
                two += small->w[(o * host->c + c) * ks + t] * probe(first + c, tap_in_host(&host->win, &small->win, at, t));
        }
        if (small->is_norm)
            two += small->norm.scale[o] * probe(o, tap_in_host(&host->win, &small->win, at, 0));
        worst = fmax(worst, fabs(one - two));
        largest = fmax(largest, fabs(two));
    }
    return largest > 0 ? worst / largest : worst;
}

static rad_status merge(rad_build *b, branch *host, const branch *small, const int64_t at[3], rad_error *err) {
    rad_graph *g = b->g;
    rad_node *n = host->node;
    rad_status st = RAD_OK;
    int64_t k = taps(&host->win), ks = taps(&small->win), m_per = host->m / host->win.group;
    size_t n_w = (size_t)(host->m * host->c * k);
    double *w = rad_malloc((n_w + 1) * sizeof *w), *bias = rad_malloc(((size_t)host->m + 1) * sizeof *bias);
    int v_w, v_b;
    if (!w || !bias) {
        st = rad_onnx_nomem(b->model, err);
        goto out;
    }
    memcpy(w, host->w, n_w * sizeof *w);
    for (int64_t o = 0; o < host->m; o++) {
        bias[o] = host->bias[o] + (small->is_norm ? small->norm.shift[o] : small->bias[o]);
        if (small->is_norm) {
            int64_t c = o - o / m_per * host->c; /* the input channel of the same number, counted within its group */
            w[(o * host->c + c) * k + tap_in_host(&host->win, &small->win, at, 0)] += small->norm.scale[o];
            continue;
        }
        for (int64_t c = 0; c < host->c; c++)
            for (int64_t t = 0; t < ks; t++)
                w[(o * host->c + c) * k + tap_in_host(&host->win, &small->win, at, t)] += small->w[(o * host->c + c) * ks + t];
    }
    rad_shape s_w = g->value[n->input[1]].shape, s_b = {.rank = 1, .dim = {host->m}};
    RAD_TRY(rad_build_add_floats(b, g->value[n->input[1]].name, &s_w, w, &v_w, &b->stats.branch_weight_change, err));
    RAD_TRY(rad_build_add_floats(b, g->value[n->output[0]].name, &s_b, bias, &v_b, &b->stats.branch_weight_change, err));
    b->stats.branch_output_change =
        fmax(b->stats.branch_output_change, probe_difference(host, small, at, g->value[v_w].data, g->value[v_b].data));
    rad_build_set_input(b, n, 1, v_w);
    RAD_TRY(rad_build_grow_inputs(b, n, 3, err));
    rad_build_set_input(b, n, 2, v_b);
out:
    free(w);
    free(bias);
    return st;
}

/* Merges the producers of values x and y when they are branches of one input; *ret_host stays NULL when not. The other node is killed. */
static rad_status try_pair(rad_build *b, int x, int y, rad_node **ret_host, rad_error *err) {
    branch p = {.node = rad_build_sole_producer(b, x)}, q = {.node = rad_build_sole_producer(b, y)};
    branch *host = &p, *small = &q;
    rad_status st = RAD_OK;
    int64_t at[3];
    bool ok;
    *ret_host = NULL;
    if (x == y || !p.node || !q.node || !is_candidate(b, p.node) || !is_candidate(b, q.node) || p.node->input[0] != q.node->input[0])
        return RAD_OK;
    if (!read_window(b, &p) || !read_window(b, &q))
        return RAD_OK;
    if (!fits(host, small, at)) {
        host = &q;
        small = &p;
        if (!fits(host, small, at))
            return RAD_OK;
    }
    RAD_TRY(read_numbers(b, small, &ok, err));
    if (!ok)
        goto out;
    RAD_TRY(read_numbers(b, host, &ok, err));
    RAD_TRY(merge(b, host, small, at, err));
    if (small->is_norm) {
        b->stats.norms_kept--;
        b->stats.norms++;
    }
    b->stats.branches++;
    *ret_host = host->node;
    rad_build_kill(b, small->node);
out:
    release(&p);
    release(&q);
    return st;
}

rad_status rad_pass_branch(rad_build *b, rad_error *err) {
    rad_status st = RAD_OK;
    for (int i = 0; i < b->g->n_node; i++) {
        rad_node *n = &b->g->node[i];
        if (!rad_node_is(n, "Add") && !rad_node_is(n, "Sum"))
            continue;
        for (int x = 0; x < n->n_input; x++)
            for (int y = x + 1; y < n->n_input; y++) {
                rad_node *host;
                RAD_TRY(try_pair(b, n->input[x], n->input[y], &host, err));
                if (!host)
                    continue;
                rad_build_set_input(b, n, x, host->output[0]);
                rad_build_set_input(b, n, y, n->input[n->n_input - 1]);
                rad_build_set_input(b, n, n->n_input - 1, -1);
                n->n_input--;
                y = x; /* again with the merged one */
                if (n->n_input == 1)
                    rad_build_take_output(b, host, n);
            }
    }
out:
    return st;
}
