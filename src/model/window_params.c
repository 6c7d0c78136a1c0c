/* Convolution and pooling windows with everything explicit: auto_pad, ceil_mode, output_shape and defaults resolved.
 * Formulas: ONNX operator specification of Conv, ConvTranspose, MaxPool and AveragePool. */
#include <string.h>

#include "radcohort/model.h"

/* Largest kernel, stride, dilation, padding: keeps every product below inside 64 bits (tensor dims are at most 2^32). */
#define RAD_MAX_WINDOW ((int64_t)1 << 24)

static rad_status fail(const rad_node *n, rad_error *err, const char *what) {
    return rad_error_set(err, RAD_E_MODEL, "node '%.160s' (%s): %s", n->name, n->op->name, what);
}

/* An optional list of `count` integers in [low, RAD_MAX_WINDOW]. */
static rad_status read_ints(const rad_node *n, const char *name, int count, int64_t low, int64_t missing, int64_t *ret, rad_error *err) {
    const rad_attr *a = rad_node_attr(n, name);
    if (a && a->n != count)
        return rad_error_set(err, RAD_E_MODEL, "node '%.160s' (%s): attribute '%s' has %lld numbers, expected %d", n->name, n->op->name,
                             name, (long long)a->n, count);
    for (int i = 0; i < count; i++) {
        ret[i] = a ? a->ints[i] : missing;
        if (a && (ret[i] < low || ret[i] > RAD_MAX_WINDOW))
            return rad_error_set(err, RAD_E_MODEL, "node '%.160s' (%s): attribute '%s' holds %lld, expected %lld to %lld", n->name,
                                 n->op->name, name, (long long)ret[i], (long long)low, (long long)RAD_MAX_WINDOW);
    }
    return RAD_OK;
}

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* SAME: as many outputs as strides fit; the odd pad goes to the end (SAME_UPPER) or the beginning (SAME_LOWER). */
static void split_pad(int64_t total, bool upper, int64_t *begin, int64_t *end) {
    *begin = upper ? total / 2 : total - total / 2;
    *end = total - *begin;
}

static rad_status transposed_axis(const rad_node *n, const char *auto_pad, const rad_attr *output_shape, int i, rad_window_params *p,
                                  rad_error *err) {
    int64_t reach = p->stride[i] * (p->in[i] - 1) + (p->kernel[i] - 1) * p->dilation[i] + 1;
    bool same = strncmp(auto_pad, "SAME", 4) == 0;
    if (output_shape || same) {
        p->out[i] = output_shape ? output_shape->ints[output_shape->n - p->n_axis + i] : p->in[i] * p->stride[i];
        if (p->out[i] < 1 || p->out[i] > (int64_t)RAD_MAX_TENSOR_BYTES)
            return fail(n, err, "attribute 'output_shape' is not positive or too large");
        int64_t total = reach + p->output_pad[i] - p->out[i];
        if (total < 0) { /* more than the kernels reach: the rest is bias alone, as with output_padding */
            p->output_pad[i] -= total;
            total = 0;
        }
        split_pad(total, strcmp(auto_pad, "SAME_UPPER") == 0, &p->pad_begin[i], &p->pad_end[i]);
    } else {
        p->out[i] = reach + p->output_pad[i] - p->pad_begin[i] - p->pad_end[i];
    }
    return RAD_OK;
}

static rad_status window_axis(const rad_node *n, const char *auto_pad, int i, rad_window_params *p, rad_error *err) {
    int64_t reach = (p->kernel[i] - 1) * p->dilation[i] + 1;
    if (strncmp(auto_pad, "SAME", 4) == 0) {
        p->out[i] = (p->in[i] + p->stride[i] - 1) / p->stride[i];
        split_pad(max64(0, (p->out[i] - 1) * p->stride[i] + reach - p->in[i]), strcmp(auto_pad, "SAME_UPPER") == 0, &p->pad_begin[i],
                  &p->pad_end[i]);
        return RAD_OK;
    }
    int64_t room = p->in[i] + p->pad_begin[i] + p->pad_end[i] - reach;
    if (room < 0)
        return fail(n, err, "the window is larger than its padded input");
    p->out[i] = room / p->stride[i] + 1;
    /* ceil_mode adds a last, cut window unless it would lie in the padding alone (as PyTorch and ONNX Runtime do) */
    if (p->ceil_mode && room % p->stride[i] && p->out[i] * p->stride[i] < p->in[i] + p->pad_begin[i])
        p->out[i]++;
    return RAD_OK;
}

rad_status rad_window_params_get(const rad_node *n, const rad_shape *x, const rad_shape *w, rad_window_params *ret, rad_error *err) {
    bool transposed = strcmp(n->op->name, "ConvTranspose") == 0, conv = transposed || strcmp(n->op->name, "Conv") == 0;
    bool global = strncmp(n->op->name, "Global", 6) == 0;
    rad_window_params p = {.n_axis = x->rank - 2, .group = 1};
    rad_status st;
    if (x->rank < 3 || x->rank > 5)
        return rad_error_set(err, RAD_E_MODEL,
                             "node '%.160s' (%s): its input has %d dims, expected 3 to 5 (batch, channels, 1 to 3 spatial)", n->name,
                             n->op->name, x->rank);
    for (int i = 0; i < p.n_axis; i++) {
        p.in[i] = x->dim[i + 2];
        if (p.in[i] < 1 || p.in[i] > (int64_t)RAD_MAX_TENSOR_BYTES)
            return fail(n, err, "its input has an empty or too large spatial axis");
    }
    if (global) {
        for (int i = 0; i < p.n_axis; i++) {
            p.kernel[i] = p.in[i];
            p.stride[i] = p.dilation[i] = p.out[i] = 1;
        }
        *ret = p;
        return RAD_OK;
    }
    const char *auto_pad = rad_node_attr_string(n, "auto_pad", "NOTSET");
    bool notset = strcmp(auto_pad, "NOTSET") == 0, valid = strcmp(auto_pad, "VALID") == 0;
    if (!notset && !valid && strcmp(auto_pad, "SAME_UPPER") != 0 && strcmp(auto_pad, "SAME_LOWER") != 0)
        return fail(n, err, "attribute 'auto_pad' must be NOTSET, VALID, SAME_UPPER or SAME_LOWER");
    if (conv && (!w || w->rank != x->rank))
        return fail(n, err, "weights must have as many dims as the input");
    if (!conv && !rad_node_attr(n, "kernel_shape"))
        return fail(n, err, "attribute 'kernel_shape' is required");
    if ((st = read_ints(n, "kernel_shape", p.n_axis, 1, 0, p.kernel, err)) != RAD_OK ||
        (st = read_ints(n, "strides", p.n_axis, 1, 1, p.stride, err)) != RAD_OK ||
        (st = read_ints(n, "dilations", p.n_axis, 1, 1, p.dilation, err)) != RAD_OK)
        return st;
    for (int i = 0; conv && i < p.n_axis; i++) {
        if (!rad_node_attr(n, "kernel_shape"))
            p.kernel[i] = w->dim[i + 2];
        if (p.kernel[i] != w->dim[i + 2] || p.kernel[i] < 1 || p.kernel[i] > RAD_MAX_WINDOW)
            return fail(n, err, "attribute 'kernel_shape' and the weights disagree");
    }
    if (notset) {
        int64_t pads[6];
        if ((st = read_ints(n, "pads", 2 * p.n_axis, 0, 0, pads, err)) != RAD_OK)
            return st;
        for (int i = 0; i < p.n_axis; i++) {
            p.pad_begin[i] = pads[i];
            p.pad_end[i] = pads[p.n_axis + i];
        }
    }
    if (conv) {
        p.group = rad_node_attr_int(n, "group", 1);
        if (p.group < 1 || p.group > RAD_MAX_WINDOW)
            return fail(n, err, "attribute 'group' must be positive");
    } else {
        p.ceil_mode = rad_node_attr_int(n, "ceil_mode", 0) != 0;
        p.count_include_pad = rad_node_attr_int(n, "count_include_pad", 0) != 0;
    }
    const rad_attr *output_shape = transposed ? rad_node_attr(n, "output_shape") : NULL;
    if (output_shape && output_shape->n != p.n_axis && output_shape->n != p.n_axis + 2)
        return fail(n, err, "attribute 'output_shape' must have one number per spatial axis");
    if (transposed && (st = read_ints(n, "output_padding", p.n_axis, 0, 0, p.output_pad, err)) != RAD_OK)
        return st;
    for (int i = 0; i < p.n_axis; i++) {
        st = transposed ? transposed_axis(n, auto_pad, output_shape, i, &p, err) : window_axis(n, auto_pad, i, &p, err);
        if (st != RAD_OK)
            return st;
        if (p.out[i] < 1)
            return fail(n, err, "its output would be empty");
    }
    *ret = p;
    return RAD_OK;
}
