/* rad_graph_build: clone of the model's graph -> shapes -> passes -> compact, immutable rad_graph. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static void release(rad_build *b) {
    if (b->g) {
        free(b->g->value);
        free(b->g);
    }
    free(b->is_output);
    free(b->owned);
    rad_arena_destroy(&b->arena);
    *b = (rad_build){0};
}

static int find_value(const rad_model *m, const char *name) {
    for (int v = 0; v < m->g.n_value; v++)
        if (strcmp(m->g.value[v].name, name) == 0)
            return v;
    return -1;
}

static rad_status unknown_tap(const rad_model *m, const char *tap, rad_error *err) {
    const char **names = rad_calloc((size_t)m->g.n_value + 1, sizeof *names);
    if (!names)
        return rad_onnx_nomem(m, err);
    for (int v = 0; v < m->g.n_value; v++)
        names[v] = m->g.value[v].name;
    const char *near = rad_nearest_word(tap, names);
    rad_status st = rad_onnx_fail(m, err, "it has no tensor '%.100s' to tap%s%.100s%s", tap, near ? "; did you mean '" : "",
                                  near ? near : "", near ? "'?" : "");
    free(names);
    return st;
}

/* An output that is an input or a constant gets an Identity node: every output has a producer, so backends need no special case. */
static rad_status give_producer(rad_build *b, int k, rad_error *err) {
    rad_graph *g = b->g;
    int v = g->output[k];
    if (g->value[v].producer >= 0)
        return RAD_OK;
    const rad_op_def *op = rad_op_find("Identity", "");
    int fresh, *io = rad_arena_alloc(b->arena, 2, sizeof *io);
    if (!io || !op)
        return rad_onnx_nomem(b->model, err);
    rad_shape s = g->value[v].shape;
    rad_status st = rad_build_add_const(b, g->value[v].name, g->value[v].dtype, &s, NULL, &fresh, err);
    if (st != RAD_OK)
        return st;
    io[0] = v;
    io[1] = fresh;
    g->node[g->n_node] = (rad_node){.op = op,
                                    .name = g->value[v].name,
                                    .n_input = 1,
                                    .n_output = 1,
                                    .input = io,
                                    .output = io + 1,
                                    .opset = b->model->opset,
                                    .residual = -1};
    g->value[fresh].producer = g->n_node++;
    g->output[k] = fresh;
    b->is_output[v] = false;
    b->is_output[fresh] = true;
    return RAD_OK;
}

static rad_status clone(const rad_model *m, const char *tap, rad_build *b, rad_error *err) {
    rad_status st = RAD_OK;
    const rad_graph *from = &m->g;
    *b = (rad_build){.model = m, .arena = rad_arena_create(), .g = rad_calloc(1, sizeof *b->g)};
    b->cap_value = from->n_value + 16;
    b->cap_node = from->n_node + from->n_output + 1;
    if (!b->g || !b->arena)
        return rad_onnx_nomem(m, err);
    rad_graph *g = b->g;
    g->value = rad_malloc((size_t)b->cap_value * sizeof *g->value);
    b->is_output = rad_calloc((size_t)b->cap_value, sizeof *b->is_output);
    b->owned = rad_calloc((size_t)b->cap_value, sizeof *b->owned);
    g->node = rad_arena_alloc(b->arena, (size_t)b->cap_node, sizeof *g->node);
    g->input = rad_arena_alloc(b->arena, (size_t)from->n_input + 1, sizeof *g->input);
    g->output = rad_arena_alloc(b->arena, (size_t)from->n_output + 1, sizeof *g->output);
    if (!g->value || !b->is_output || !b->owned || !g->node || !g->input || !g->output)
        return rad_onnx_nomem(m, err);
    g->n_value = from->n_value;
    g->n_node = from->n_node;
    g->n_input = from->n_input;
    g->n_output = from->n_output;
    if (from->n_value)
        memcpy(g->value, from->value, (size_t)from->n_value * sizeof *g->value);
    if (from->n_node)
        memcpy(g->node, from->node, (size_t)from->n_node * sizeof *g->node);
    for (int i = 0; i < g->n_node; i++) { /* passes edit these lists in place */
        rad_node *n = &g->node[i];
        int *io = rad_arena_alloc(b->arena, (size_t)n->n_input + (size_t)n->n_output + 1, sizeof *io);
        if (!io)
            return rad_onnx_nomem(m, err);
        if (n->n_input)
            memcpy(io, n->input, (size_t)n->n_input * sizeof *io);
        if (n->n_output)
            memcpy(io + n->n_input, n->output, (size_t)n->n_output * sizeof *io);
        n->input = io;
        n->output = io + n->n_input;
    }
    if (from->n_input)
        memcpy(g->input, from->input, (size_t)from->n_input * sizeof *g->input);
    memcpy(g->output, from->output, (size_t)from->n_output * sizeof *g->output);
    if (tap) {
        int v = find_value(m, tap);
        if (v < 0 || m->kind[v] == VALUE_UNDEFINED)
            return unknown_tap(m, tap, err);
        g->output[g->n_output++] = v;
    }
    for (int k = 0; k < g->n_output; k++)
        b->is_output[g->output[k]] = true;
    return st;
}

static rad_status set_input_shapes(rad_build *b, const rad_graph_opts *o, rad_error *err) {
    const rad_model *m = b->model;
    char text[160], declared[160];
    if (o->n_shape && o->n_shape != b->g->n_input)
        return rad_onnx_fail(m, err, "%d input shapes given, the graph has %d inputs", o->n_shape, b->g->n_input);
    for (int i = 0; i < b->g->n_input; i++) {
        rad_value *v = &b->g->value[b->g->input[i]];
        if (o->n_shape) {
            if (v->shape.rank >= 0 && v->shape.rank != o->shape[i].rank)
                return rad_onnx_fail(m, err, "input '%.100s' was given the shape %s, the file declares %s", v->name,
                                     rad_shape_text(&o->shape[i], text, sizeof text), rad_shape_text(&v->shape, declared, sizeof declared));
            v->shape = o->shape[i];
        }
        if (o->batch > 0 && v->shape.rank > 0)
            v->shape.dim[0] = o->batch;
        rad_shape_text(&v->shape, text, sizeof text);
        if (v->shape.rank < 0)
            return rad_onnx_fail(m, err, "input '%.100s' has no shape in the file: state it (--shape)", v->name);
        for (int d = 0; d < v->shape.rank; d++)
            if (v->shape.dim[d] < 0)
                return rad_onnx_fail(m, err, "input '%.100s' is %s: dim %d is open, state the shape (--shape) or the batch", v->name, text,
                                     d);
        size_t bytes;
        int64_t count = rad_shape_count(&v->shape);
        if (count < 0 || !rad_mul_size((size_t)count, rad_dtype_size(v->dtype), &bytes) || bytes > RAD_MAX_TENSOR_BYTES)
            return rad_onnx_fail(m, err, "input '%.100s' is %s: more than %zu bytes", v->name, text, RAD_MAX_TENSOR_BYTES);
    }
    return RAD_OK;
}

/* The batch that the file fixes for every input; 0 when open or not the same everywhere. */
static int64_t fixed_batch(const rad_model *m) {
    int64_t batch = 0;
    for (int i = 0; i < m->g.n_input; i++) {
        const rad_shape *s = &m->g.value[m->g.input[i]].shape;
        if (s->rank < 1 || s->dim[0] < 1 || (batch && batch != s->dim[0]))
            return 0;
        batch = s->dim[0];
    }
    return batch;
}

/* Shapes at the file's own fixed batch, by value of the model; *ret NULL when it has none (free()). */
static rad_status own_shapes(const rad_model *m, const rad_graph_opts *o, int64_t batch0, rad_shape **ret, rad_error *err) {
    rad_build b;
    rad_graph_opts own = *o;
    own.batch = batch0;
    rad_shape *shape = rad_malloc(((size_t)m->g.n_value + 1) * sizeof *shape);
    rad_status st = clone(m, NULL, &b, err);
    if (st != RAD_OK)
        goto out;
    if (!shape) {
        st = rad_onnx_nomem(m, err);
        goto out;
    }
    RAD_TRY(set_input_shapes(&b, &own, err));
    RAD_TRY(rad_build_infer(&b, false, NULL, 0, 0, err));
    for (int v = 0; v < m->g.n_value; v++)
        shape[v] = b.g->value[v].shape;
    *ret = shape;
    shape = NULL;
out:
    free(shape);
    release(&b);
    return st;
}

static rad_status check_batch(const rad_build *b, const rad_shape *shape0, int64_t batch0, int64_t batch, rad_error *err) {
    char text[160];
    for (int k = 0; k < b->model->g.n_output; k++) {
        int v0 = b->model->g.output[k];
        const rad_shape *s = &b->g->value[b->g->output[k]].shape;
        if (shape0[v0].rank < 1 || shape0[v0].dim[0] != batch0 || (s->rank >= 1 && s->dim[0] == batch))
            continue;
        int p = b->model->g.value[v0].producer;
        return rad_onnx_fail(b->model, err,
                             "it cannot run at batch %lld: output '%.100s' of node '%.100s' becomes %s (a shape frozen at batch %lld); "
                             "export the network with a dynamic batch",
                             (long long)batch, b->model->g.value[v0].name, p >= 0 ? b->model->g.node[p].name : "-",
                             rad_shape_text(s, text, sizeof text), (long long)batch0);
    }
    return RAD_OK;
}

/* Drops removed nodes and unused values and numbers the rest; gives back contents of constants that nothing reads. */
static rad_status compact(rad_build *b, rad_error *err) {
    rad_graph *g = b->g;
    int n_node = 0, n_value = 0;
    rad_build_recount(b);
    int *to = rad_malloc(((size_t)g->n_value + 1) * sizeof *to);
    if (!to)
        return rad_onnx_nomem(b->model, err);
    for (int v = 0; v < g->n_value; v++) {
        to[v] = g->value[v].n_use > 0 || g->value[v].producer >= 0 ? 0 : -1;
        if (to[v] < 0 && b->owned[v]) {
            void *block;
            memcpy(&block, &g->value[v].data, sizeof block);
            rad_arena_release_block(b->arena, block);
        }
    }
    for (int i = 0; i < g->n_input; i++)
        to[g->input[i]] = 0;
    for (int v = 0; v < g->n_value; v++)
        if (to[v] == 0) {
            to[v] = n_value;
            g->value[n_value++] = g->value[v];
        }
    g->n_value = n_value;
    for (int i = 0; i < g->n_node; i++) {
        rad_node *n = &g->node[i];
        if (!n->op)
            continue;
        for (int k = 0; k < n->n_input; k++)
            n->input[k] = n->input[k] < 0 ? -1 : to[n->input[k]];
        for (int k = 0; k < n->n_output; k++)
            n->output[k] = n->output[k] < 0 ? -1 : to[n->output[k]];
        n->residual = n->residual < 0 ? -1 : to[n->residual];
        g->node[n_node++] = *n;
    }
    g->n_node = n_node;
    for (int i = 0; i < g->n_input; i++)
        g->input[i] = to[g->input[i]];
    for (int k = 0; k < g->n_output; k++)
        g->output[k] = to[g->output[k]];
    free(to);
    rad_build_recount(b);
    return RAD_OK;
}

rad_status rad_graph_build(rad_model *m, const rad_graph_opts *opts, rad_graph **ret, rad_error *err) {
    static const rad_graph_opts none = {0};
    const rad_graph_opts *o = opts ? opts : &none;
    rad_build b = {0};
    rad_shape *shape0 = NULL;
    graph_owner *owner = NULL;
    int64_t batch0 = o->batch > 0 ? fixed_batch(m) : 0;
    rad_status st = RAD_OK;
    if (o->batch < 0)
        return rad_onnx_fail(m, err, "a batch of %lld makes no sense", (long long)o->batch);
    if (batch0 == o->batch)
        batch0 = 0;
    if (batch0)
        RAD_TRY(own_shapes(m, o, batch0, &shape0, err));
    RAD_TRY(clone(m, o->tap, &b, err));
    b.stats.node_in = b.g->n_node;
    RAD_TRY(set_input_shapes(&b, o, err));
    for (int k = 0; k < b.g->n_output; k++)
        RAD_TRY(give_producer(&b, k, err));
    RAD_TRY(rad_build_infer(&b, !o->no_fold, shape0, batch0, o->batch, err));
    if (shape0)
        RAD_TRY(check_batch(&b, shape0, batch0, o->batch, err));
    rad_build_recount(&b);
    rad_pass_dead(&b);
    if (!o->no_fold) {
        RAD_TRY(rad_pass_identity(&b, err));
        RAD_TRY(rad_pass_pad(&b, err));
        RAD_TRY(rad_pass_norm(&b, err));
        RAD_TRY(rad_pass_scale(&b, err));
        RAD_TRY(rad_pass_branch(&b, err));
        RAD_TRY(rad_pass_fuse(&b, err));
        rad_pass_dead(&b);
    }
    RAD_TRY(compact(&b, err));
    b.stats.node_out = b.g->n_node;
    b.g->batch = o->batch;
    owner = rad_calloc(1, sizeof *owner);
    if (!owner) {
        st = rad_onnx_nomem(m, err);
        goto out;
    }
    RAD_TRY(rad_graph_hash(b.g, err));
    *owner = (graph_owner){.model = m, .arena = b.arena, .stats = b.stats};
    b.g->arena = owner;
    owner = NULL;
    *ret = b.g;
    b.g = NULL;
    b.arena = NULL;
out:
    free(shape0);
    free(owner);
    release(&b);
    return st;
}

void rad_graph_drop_pages(const rad_graph *g) {
    const graph_owner *owner = g->arena;
    rad_model_drop_pages(owner->model);
}

void rad_graph_destroy(rad_graph **pg) {
    rad_graph *g = pg ? *pg : NULL;
    if (!g)
        return;
    graph_owner *owner = g->arena;
    rad_arena_destroy(&owner->arena);
    free(owner);
    free(g->value);
    free(g);
    *pg = NULL;
}
