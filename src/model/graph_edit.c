/* Edits of a graph under construction: what passes are written in. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static rad_status nomem(const rad_build *b, rad_error *err) {
    return rad_onnx_nomem(b->model, err);
}

bool rad_node_is(const rad_node *n, const char *op) {
    return n->op && strcmp(n->op->name, op) == 0;
}

void rad_build_recount(rad_build *b) {
    rad_graph *g = b->g;
    for (int v = 0; v < g->n_value; v++) {
        g->value[v].n_use = 0;
        g->value[v].producer = -1;
    }
    for (int i = 0; i < g->n_node; i++) {
        const rad_node *n = &g->node[i];
        if (!n->op)
            continue;
        for (int k = 0; k < n->n_input; k++)
            if (n->input[k] >= 0)
                g->value[n->input[k]].n_use++;
        if (n->residual >= 0)
            g->value[n->residual].n_use++;
        for (int k = 0; k < n->n_output; k++)
            if (n->output[k] >= 0)
                g->value[n->output[k]].producer = i;
    }
    for (int k = 0; k < g->n_output; k++)
        g->value[g->output[k]].n_use++;
}

rad_node *rad_build_sole_producer(rad_build *b, int v) {
    if (v < 0 || b->g->value[v].n_use != 1 || b->g->value[v].producer < 0)
        return NULL;
    rad_node *n = &b->g->node[b->g->value[v].producer];
    return n->op && n->output[0] == v ? n : NULL;
}

bool rad_build_is_const(const rad_build *b, int v, rad_dtype t) {
    return v >= 0 && b->g->value[v].data && b->g->value[v].producer < 0 && b->g->value[v].dtype == t;
}

static void drop_use(rad_build *b, int v) {
    if (v < 0 || --b->g->value[v].n_use > 0 || !b->owned[v])
        return;
    void *block;
    memcpy(&block, &b->g->value[v].data, sizeof block);
    rad_arena_release_block(b->arena, block);
    b->g->value[v].data = NULL;
    b->owned[v] = false;
}

void rad_build_set_input(rad_build *b, rad_node *n, int k, int v) {
    int old = n->input[k];
    n->input[k] = v;
    if (v >= 0)
        b->g->value[v].n_use++;
    drop_use(b, old);
}

void rad_build_kill(rad_build *b, rad_node *n) {
    for (int k = 0; k < n->n_input; k++)
        drop_use(b, n->input[k]);
    drop_use(b, n->residual);
    for (int k = 0; k < n->n_output; k++)
        if (n->output[k] >= 0)
            b->g->value[n->output[k]].producer = -1;
    n->op = NULL;
}

void rad_build_take_output(rad_build *b, rad_node *to, rad_node *from) {
    int v = from->output[0];
    rad_build_kill(b, from);
    b->g->value[to->output[0]].producer = -1;
    to->output[0] = v;
    b->g->value[v].producer = (int)(to - b->g->node);
}

rad_status rad_build_add_const(rad_build *b, const char *name, rad_dtype t, const rad_shape *s, void *block, int *ret, rad_error *err) {
    rad_graph *g = b->g;
    if (g->n_value == b->cap_value) {
        int cap = b->cap_value ? b->cap_value * 2 : 64;
        rad_value *value = rad_realloc(g->value, (size_t)cap, sizeof *value);
        if (value)
            g->value = value;
        bool *is_output = value ? rad_realloc(b->is_output, (size_t)cap, sizeof *is_output) : NULL;
        if (is_output)
            b->is_output = is_output;
        bool *owned = is_output ? rad_realloc(b->owned, (size_t)cap, sizeof *owned) : NULL;
        if (!owned)
            return nomem(b, err);
        b->owned = owned;
        b->cap_value = cap;
    }
    int v = g->n_value++;
    b->is_output[v] = false;
    b->owned[v] = block != NULL;
    g->value[v] = (rad_value){.name = name, .dtype = t, .shape = *s, .data = block, .producer = -1};
    *ret = v;
    return RAD_OK;
}

static double half_to_double(uint16_t h) {
    int e = (h >> 10) & 31, f = h & 1023;
    double x = e == 31 ? (f ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
    return h & 0x8000 ? -x : x;
}

rad_status rad_build_read_doubles(const rad_build *b, int v, double **ret, int64_t *ret_n, rad_error *err) {
    const rad_value *c = &b->g->value[v];
    int64_t n = rad_shape_count(&c->shape);
    double *x = n < 0 ? NULL : rad_malloc(((size_t)n + 1) * sizeof *x);
    if (!x)
        return nomem(b, err);
    const uint8_t *p = c->data;
    size_t w = rad_dtype_size(c->dtype);
    for (int64_t i = 0; i < n; i++, p += w) {
        float f;
        uint16_t h;
        uint32_t u;
        switch (c->dtype) {
        case RAD_DT_F32:
            memcpy(&f, p, sizeof f);
            x[i] = (double)f;
            break;
        case RAD_DT_F64:
            memcpy(&x[i], p, sizeof x[i]);
            break;
        case RAD_DT_F16:
            memcpy(&h, p, sizeof h);
            x[i] = half_to_double(h);
            break;
        case RAD_DT_BF16:
            memcpy(&h, p, sizeof h);
            u = (uint32_t)h << 16;
            memcpy(&f, &u, sizeof f);
            x[i] = (double)f;
            break;
        default:
            free(x);
            return rad_error_set(err, RAD_E_INTERNAL, "model '%s': constant '%s' is not a float tensor", b->model->file, c->name);
        }
    }
    *ret = x;
    if (ret_n)
        *ret_n = n;
    return RAD_OK;
}

rad_status rad_build_add_floats(rad_build *b, const char *name, const rad_shape *s, const double *x, int *ret, double *change,
                                rad_error *err) {
    int64_t n = rad_shape_count(s);
    float *p = rad_arena_block(b->arena, (size_t)n * sizeof *p);
    if (!p)
        return nomem(b, err);
    for (int64_t i = 0; i < n; i++) {
        p[i] = (float)x[i];
        if (change && fabs((double)p[i] - x[i]) > *change)
            *change = fabs((double)p[i] - x[i]);
    }
    return rad_build_add_const(b, name, RAD_DT_F32, s, p, ret, err);
}

rad_status rad_build_grow_inputs(rad_build *b, rad_node *n, int n_input, rad_error *err) {
    if (n->n_input >= n_input)
        return RAD_OK;
    int *input = rad_arena_alloc(b->arena, (size_t)n_input, sizeof *input);
    if (!input)
        return nomem(b, err);
    for (int k = 0; k < n_input; k++)
        input[k] = k < n->n_input ? n->input[k] : -1;
    n->input = input;
    n->n_input = n_input;
    return RAD_OK;
}

/* Attributes are shared with the model, so a change copies the list. */
static rad_status set_attr(rad_build *b, rad_node *n, const rad_attr *a, rad_error *err) {
    int at = 0;
    while (at < n->n_attr && strcmp(n->attr[at].name, a->name) != 0)
        at++;
    rad_attr *attr = rad_arena_alloc(b->arena, (size_t)n->n_attr + 1, sizeof *attr);
    if (!attr)
        return nomem(b, err);
    if (n->n_attr)
        memcpy(attr, n->attr, (size_t)n->n_attr * sizeof *attr);
    attr[at] = *a;
    n->attr = attr;
    n->n_attr += at == n->n_attr;
    return RAD_OK;
}

rad_status rad_build_set_attr_int(rad_build *b, rad_node *n, const char *name, int64_t v, rad_error *err) {
    return set_attr(b, n, &(rad_attr){.name = name, .kind = RAD_ATTR_INT, .i = v}, err);
}

rad_status rad_build_set_attr_float(rad_build *b, rad_node *n, const char *name, double v, rad_error *err) {
    return set_attr(b, n, &(rad_attr){.name = name, .kind = RAD_ATTR_FLOAT, .f = v}, err);
}

rad_status rad_build_set_attr_ints(rad_build *b, rad_node *n, const char *name, const int64_t *v, int64_t count, rad_error *err) {
    int64_t *copy = rad_arena_alloc(b->arena, (size_t)count + 1, sizeof *copy);
    if (!copy)
        return nomem(b, err);
    memcpy(copy, v, (size_t)count * sizeof *copy);
    return set_attr(b, n, &(rad_attr){.name = name, .kind = RAD_ATTR_INTS, .n = count, .ints = copy}, err);
}

rad_status rad_build_set_attr_string(rad_build *b, rad_node *n, const char *name, const char *v, rad_error *err) {
    return set_attr(b, n, &(rad_attr){.name = name, .kind = RAD_ATTR_STRING, .s = v}, err);
}
