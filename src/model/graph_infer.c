/* Static shapes for every value, and constant folding on the way: shapes come only from the inputs, never from the file's value_info,
 * so a graph exported at one batch is rebuilt for another.
 *
 * Folding is what makes shape subgraphs (Shape-Gather-Concat-Reshape) static; it is bounded so that a small hostile file cannot ask for
 * unlimited memory or time: what is over a bound simply stays a node. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

#define FOLD_BYTES ((size_t)16 << 20) /* an output up to this size is always folded */
#define FOLD_GROWTH 4                 /* larger ones only up to this multiple of their inputs' bytes (uint8 -> float32) */
#define FOLD_TOTAL ((size_t)64 << 20) /* all folded constants together, beside FOLD_GROWTH times the file */
#define FOLD_WORK ((int64_t)1 << 32)  /* multiply-adds of all folded sums together: seconds */
#define FOLD_SHAPE_COUNT 1024         /* what "only what shapes need" folds */

static rad_status node_error(const rad_build *b, const rad_node *n, rad_error *err, rad_status st) {
    if (err && strstr(err->text, n->name))
        return rad_error_prefix(err, st, "model '%s': ", b->model->file);
    return rad_error_prefix(err, st, "model '%s': node '%.100s' (%s): ", b->model->file, n->name, n->op->name);
}

static rad_status check_outputs(const rad_build *b, const rad_node *n, rad_error *err) {
    char text[160];
    for (int k = 0; k < n->n_output; k++) {
        if (n->output[k] < 0)
            continue;
        const rad_value *v = &b->g->value[n->output[k]];
        size_t width = rad_dtype_size(v->dtype), bytes;
        int64_t count = rad_shape_count(&v->shape);
        if (width == 0 || count < 0 || !rad_mul_size((size_t)count, width, &bytes) || bytes > RAD_MAX_TENSOR_BYTES)
            return rad_onnx_fail(
                b->model, err, "node '%.100s' (%s): its output '%.100s' would be %s %s: open, negative or more than %zu bytes", n->name,
                n->op->name, v->name, rad_dtype_name(v->dtype), rad_shape_text(&v->shape, text, sizeof text), RAD_MAX_TENSOR_BYTES);
    }
    return RAD_OK;
}

/* Multiply-adds per output element, from above. */
static int64_t work_per_output(const rad_build *b, const rad_node *n) {
    bool window =
        strstr(n->op->name, "Pool") || strncmp(n->op->name, "Reduce", 6) == 0 || rad_node_is(n, "LRN") || rad_node_is(n, "Resize");
    bool conv = rad_node_is(n, "Conv") || rad_node_is(n, "ConvTranspose"), matmul = rad_node_is(n, "MatMul") || rad_node_is(n, "Gemm");
    if ((!window && !conv && !matmul) || n->n_input < 1 || n->input[0] < 0)
        return 1;
    if (!matmul) {
        const rad_shape *s = &b->g->value[n->input[conv ? 1 : 0]].shape;
        int64_t count = rad_shape_count(s);
        return count > 0 ? count : 1;
    }
    const rad_shape *s = &b->g->value[n->input[0]].shape;
    int64_t most = 1;
    for (int i = 0; i < s->rank; i++)
        most = s->dim[i] > most ? s->dim[i] : most;
    return most;
}

/* What folding has used up so far. */
typedef struct fold_budget {
    size_t bytes;
    int64_t work;
} fold_budget;

static bool can_fold(const rad_build *b, const rad_node *n, bool all, fold_budget *budget) {
    const rad_graph *g = b->g;
    bool of_shape = rad_node_is(n, "Shape") || rad_node_is(n, "Size");
    size_t in_bytes = 0, out_bytes = 0;
    int64_t out_count = 0;
    for (int k = 0; k < n->n_input; k++) {
        if (n->input[k] < 0)
            continue;
        const rad_value *v = &g->value[n->input[k]];
        if (!v->data && !of_shape)
            return false;
        in_bytes += (size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype);
    }
    for (int k = 0; k < n->n_output; k++) {
        if (n->output[k] < 0)
            continue;
        if (b->is_output[n->output[k]])
            return false; /* a backend makes every output */
        const rad_value *v = &g->value[n->output[k]];
        int64_t count = rad_shape_count(&v->shape);
        if (!all && count > FOLD_SHAPE_COUNT)
            return false;
        out_count += count;
        out_bytes += (size_t)count * rad_dtype_size(v->dtype);
    }
    if (!of_shape) {
        int64_t per = work_per_output(b, n);
        size_t most = FOLD_TOTAL + FOLD_GROWTH * b->model->size;
        if (out_count > (FOLD_WORK - budget->work) / per || out_bytes > most - budget->bytes ||
            (out_bytes > FOLD_BYTES && out_bytes / FOLD_GROWTH > in_bytes))
            return false;
        budget->work += out_count * per;
    }
    budget->bytes += out_bytes;
    return true;
}

/* Aligned contents of constant v: itself, or a copy in *ret_copy (free()). */
static bool aligned(const rad_value *v, void **ret_data, void **ret_copy) {
    const void *p = v->data;
    size_t width = rad_dtype_size(v->dtype), bytes = (size_t)rad_shape_count(&v->shape) * width;
    if (p && (uintptr_t)p % width) {
        *ret_copy = rad_malloc(bytes + 1);
        if (!*ret_copy)
            return false;
        memcpy(*ret_copy, p, bytes);
        p = *ret_copy;
    }
    memcpy(ret_data, &p, sizeof p);
    return true;
}

static rad_status fold(rad_build *b, rad_node *n, rad_error *err) {
    rad_graph *g = b->g;
    rad_status st = RAD_OK;
    size_t n_in = (size_t)n->n_input, n_out = (size_t)n->n_output;
    rad_tensor *in = rad_calloc(n_in + 1, sizeof *in), *out = rad_calloc(n_out + 1, sizeof *out);
    void **copy = rad_calloc(n_in + 1, sizeof *copy);
    if (!in || !out || !copy) {
        st = rad_onnx_nomem(b->model, err);
        goto out;
    }
    for (size_t k = 0; k < n_in; k++) {
        if (n->input[k] < 0)
            continue;
        const rad_value *v = &g->value[n->input[k]];
        in[k] = (rad_tensor){.dtype = v->dtype, .shape = v->shape};
        if (!aligned(v, &in[k].data, &copy[k])) {
            st = rad_onnx_nomem(b->model, err);
            goto out;
        }
    }
    for (size_t k = 0; k < n_out; k++) {
        if (n->output[k] < 0)
            continue;
        const rad_value *v = &g->value[n->output[k]];
        size_t bytes = (size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype);
        out[k] = (rad_tensor){.dtype = v->dtype, .shape = v->shape, .data = rad_arena_block(b->arena, bytes)};
        if (!out[k].data) {
            st = rad_onnx_nomem(b->model, err);
            goto out;
        }
    }
    st = rad_node_eval(n, in, NULL, out, err);
    if (st != RAD_OK) {
        st = node_error(b, n, err, st);
        goto out;
    }
    for (size_t k = 0; k < n_out; k++)
        if (n->output[k] >= 0) {
            g->value[n->output[k]].data = out[k].data;
            b->owned[n->output[k]] = true;
            g->value[n->output[k]].producer = -1;
        }
    n->op = NULL;
    b->stats.folded++;
out:
    if (copy)
        for (size_t k = 0; k < n_in; k++)
            free(copy[k]);
    free(copy);
    free(in);
    free(out);
    return st;
}

/* A target shape that the exporter froze at its own batch: when dim 0 of the data input counts whole samples (it grew with the batch), a
 * frozen dim 0 of the target grows alike. Exact: dim 0 is outermost, so each sample keeps its own elements. A frozen dim 0 that is no
 * multiple of the file's batch would mix samples; that network has no other batch. */
static rad_status rebatch(rad_build *b, rad_node *n, const rad_shape *shape0, int64_t batch0, int64_t batch, rad_error *err) {
    int at = rad_node_is(n, "Reshape") || rad_node_is(n, "Expand") ? 1 : rad_node_is(n, "Resize") ? 3 : -1;
    if (at < 0 || n->n_input <= at || n->input[at] < 0 || n->input[0] < 0 || n->output[0] < 0)
        return RAD_OK;
    const rad_value *target = &b->g->value[n->input[at]];
    const rad_shape *x0 = &shape0[n->input[0]], *y0 = &shape0[n->output[0]], *x = &b->g->value[n->input[0]].shape;
    int64_t count = target->data && target->dtype == RAD_DT_I64 ? rad_shape_count(&target->shape) : 0;
    if (count < 1 || x0->rank < 1 || y0->rank < 1 || x->rank < 1 || x0->dim[0] % batch0 || x->dim[0] % batch ||
        x->dim[0] / batch != x0->dim[0] / batch0)
        return RAD_OK;
    const int64_t *dim = target->data;
    if (dim[0] != y0->dim[0]) /* open (-1, 0), or made from the shape of an input */
        return RAD_OK;
    if (y0->dim[0] % batch0) {
        if (y0->dim[0] == 1) /* all samples side by side: the other dims decide */
            return RAD_OK;
        return rad_onnx_fail(b->model, err,
                             "node '%.100s' (%s): its target shape, frozen for batch %lld, starts with %lld, which mixes samples; "
                             "export the network with a dynamic batch",
                             n->name, n->op->name, (long long)batch0, (long long)dim[0]);
    }
    int64_t per_sample = dim[0] / batch0;
    if (per_sample > (int64_t)RAD_MAX_TENSOR_BYTES / batch)
        return RAD_OK; /* the shape rule refuses it */
    int64_t *copy = rad_arena_block(b->arena, (size_t)count * sizeof *copy);
    if (!copy)
        return rad_onnx_nomem(b->model, err);
    memcpy(copy, dim, (size_t)count * sizeof *copy);
    copy[0] = per_sample * batch;
    int v;
    rad_shape s = target->shape;
    rad_status st = rad_build_add_const(b, target->name, RAD_DT_I64, &s, copy, &v, err);
    if (st != RAD_OK)
        return st;
    n->input[at] = v;
    b->stats.rebatched++;
    return RAD_OK;
}

rad_status rad_build_infer(rad_build *b, bool all, const rad_shape *shape0, int64_t batch0, int64_t batch, rad_error *err) {
    fold_budget budget = {0};
    for (int i = 0; i < b->g->n_node; i++) {
        rad_node *n = &b->g->node[i];
        rad_status st = shape0 ? rebatch(b, n, shape0, batch0, batch, err) : RAD_OK;
        if (st != RAD_OK)
            return st;
        st = n->op->infer(b->g, n, err);
        if (st != RAD_OK)
            return node_error(b, n, err, st);
        if ((st = check_outputs(b, n, err)) != RAD_OK)
            return st;
        if (can_fold(b, n, all, &budget) && (st = fold(b, n, err)) != RAD_OK)
            return st;
    }
    return RAD_OK;
}
