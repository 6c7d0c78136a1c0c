/* Merges an explicit Pad with zeros into the convolution or pooling that reads it. On whenever folding is on; exact:
 * - Conv pads with zeros itself.
 * - AveragePool: zeros of the Pad count in the divisor, so count_include_pad becomes 1; only when the pool pads nothing of its own or
 *   counts its own padding already. Stays off with ceil_mode, where the divisor of cut windows depends on which padding is whose.
 * - MaxPool pads with minus infinity, which is the same only when its input is never negative (it comes from Relu, Sigmoid, or Clip from 0
 *   up); off for its index output and ceil_mode.
 * Off as well when the Pad touches batch or channels, crops, or something else reads its output. */
#include <math.h>
#include <string.h>

#include "model_internal.h"

/* Zero padding of the spatial axes by constant amounts >= 0 into begin/end; false for any other Pad. */
static bool read_zero_pad(const rad_build *b, const rad_node *n, int64_t begin[3], int64_t end[3]) {
    const rad_graph *g = b->g;
    int rank = g->value[n->input[0]].shape.rank;
    const rad_attr *a = rad_node_attr(n, "pads");
    const int64_t *pads = a ? a->ints : NULL;
    int64_t count = a ? a->n : 0;
    if (strcmp(rad_node_attr_string(n, "mode", "constant"), "constant") != 0 || rank < 3 || rank > 5)
        return false;
    if (!(fabs(rad_node_attr_float(n, "value", 0)) <= 0))
        return false;
    if (n->n_input > 3) /* chosen axes (opset 18): rare enough to stay as it is */
        return false;
    if (n->n_input > 2 && n->input[2] >= 0) {
        const rad_value *v = &g->value[n->input[2]];
        float zero;
        if (!v->data || v->dtype != RAD_DT_F32 || rad_shape_count(&v->shape) != 1)
            return false;
        memcpy(&zero, v->data, sizeof zero);
        if (!(fabsf(zero) <= 0))
            return false;
    }
    if (!a) {
        if (n->n_input < 2 || !rad_build_is_const(b, n->input[1], RAD_DT_I64))
            return false;
        pads = g->value[n->input[1]].data;
        count = rad_shape_count(&g->value[n->input[1]].shape);
    }
    if (count != 2 * rank)
        return false;
    for (int i = 0; i < rank; i++) {
        int64_t lo = pads[i], hi = pads[rank + i];
        if (lo < 0 || hi < 0 || (i < 2 && (lo || hi)))
            return false;
        if (i >= 2) {
            begin[i - 2] = lo;
            end[i - 2] = hi;
        }
    }
    return true;
}

static bool never_negative(const rad_build *b, int v) {
    int p = b->g->value[v].producer;
    const rad_node *n = p >= 0 ? &b->g->node[p] : NULL;
    if (!n || !n->op)
        return false;
    if (rad_node_is(n, "Relu") || rad_node_is(n, "Sigmoid") || rad_node_is(n, "HardSigmoid"))
        return true;
    if (!rad_node_is(n, "Clip"))
        return false;
    float low = (float)rad_node_attr_float(n, "min", -1);
    if (n->n_input > 1 && rad_build_is_const(b, n->input[1], RAD_DT_F32) && rad_shape_count(&b->g->value[n->input[1]].shape) == 1)
        memcpy(&low, b->g->value[n->input[1]].data, sizeof low);
    return low >= 0;
}

static bool can_merge(const rad_build *b, const rad_node *n, const rad_node *pad, const rad_window_params *p, const int64_t begin[3],
                      const int64_t end[3]) {
    bool own = false, small = true;
    for (int i = 0; i < p->n_axis; i++) {
        own = own || p->pad_begin[i] || p->pad_end[i];
        small = small && begin[i] + p->pad_begin[i] < p->kernel[i] && end[i] + p->pad_end[i] < p->kernel[i];
    }
    if (rad_node_is(n, "Conv"))
        return true;
    if (p->ceil_mode || !small) /* libraries want every window to touch the image */
        return false;
    if (rad_node_is(n, "AveragePool"))
        return n->opset >= 7 && (!own || p->count_include_pad);
    return rad_node_is(n, "MaxPool") && !own && (n->n_output < 2 || n->output[1] < 0) && never_negative(b, pad->input[0]);
}

rad_status rad_pass_pad(rad_build *b, rad_error *err) {
    rad_graph *g = b->g;
    rad_status st = RAD_OK;
    for (int i = 0; i < g->n_node; i++) {
        rad_node *n = &g->node[i];
        if (!rad_node_is(n, "Conv") && !rad_node_is(n, "AveragePool") && !rad_node_is(n, "MaxPool"))
            continue;
        rad_node *pad = rad_build_sole_producer(b, n->input[0]);
        int64_t begin[3], end[3], pads[6];
        rad_window_params p;
        const rad_shape *w = rad_node_is(n, "Conv") ? &g->value[n->input[1]].shape : NULL;
        if (!pad || !rad_node_is(pad, "Pad") || !read_zero_pad(b, pad, begin, end) ||
            rad_window_params_get(n, &g->value[n->input[0]].shape, w, &p, NULL) != RAD_OK || !can_merge(b, n, pad, &p, begin, end))
            continue;
        for (int k = 0; k < p.n_axis; k++) {
            pads[k] = p.pad_begin[k] + begin[k];
            pads[p.n_axis + k] = p.pad_end[k] + end[k];
        }
        RAD_TRY(rad_build_set_attr_ints(b, n, "pads", pads, 2 * p.n_axis, err));
        if (rad_node_attr(n, "auto_pad")) /* resolved above for the padded size */
            RAD_TRY(rad_build_set_attr_string(b, n, "auto_pad", "NOTSET", err));
        if (rad_node_is(n, "AveragePool"))
            RAD_TRY(rad_build_set_attr_int(b, n, "count_include_pad", 1, err));
        rad_build_set_input(b, n, 0, pad->input[0]);
        rad_build_kill(b, pad);
        b->stats.pads++;
    }
out:
    return st;
}
