/* model_net.h: layers of small generated networks, and the comparison of a graph with and without its passes. */
#ifndef RAD_MODEL_NET_H
#define RAD_MODEL_NET_H

#include "unit.h"

#include "graph_eval.h"
#include "onnx_writer.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define N_DIMS(...) (sizeof(DIMS(__VA_ARGS__)) / sizeof(int64_t))
#define D(...) DIMS(__VA_ARGS__), N_DIMS(__VA_ARGS__)

static uint32_t rng;
static inline float uniform(void) {
    rng = rng * 1664525u + 1013904223u;
    return (float)(rng >> 8) * 0x1p-23f - 1;
}

/* Initializer of small random numbers; `low` is added to each (variances must be positive). */
static inline void weights(onnx_writer *w, const char *name, const int64_t *dims, size_t n, float low) {
    float v[4096];
    size_t count = 1;
    for (size_t i = 0; i < n; i++)
        count *= (size_t)dims[i];
    assert_true(count <= 4096);
    for (size_t i = 0; i < count; i++)
        v[i] = uniform() + low;
    onnx_init_f32(w, name, dims, n, v);
}

static inline void conv(onnx_writer *w, const char *op, const char *in, const char *out, const int64_t *wdims, size_t rank, bool bias,
                        int64_t pad, int64_t group) {
    char k[32], b[32];
    int64_t pads[6] = {pad, pad, pad, pad, pad, pad}, m = op[4] == 'T' ? wdims[1] * group : wdims[0];
    snprintf(k, sizeof k, "%s_w", out);
    snprintf(b, sizeof b, "%s_b", out);
    weights(w, k, wdims, rank, 0);
    if (bias)
        weights(w, b, DIMS(m), 1, 0);
    onnx_node_begin(w, op, out);
    onnx_node_in(w, in);
    onnx_node_in(w, k);
    if (bias)
        onnx_node_in(w, b);
    onnx_node_out(w, out);
    onnx_attr_ints(w, "pads", pads, 2 * (rank - 2));
    onnx_attr_int(w, "group", group);
    onnx_node_end(w);
}

static inline void norm(onnx_writer *w, const char *in, const char *out, int64_t c) {
    static const char *const part[4] = {"scale", "bias", "mean", "var"};
    char names[4][32];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s_%s", out, part[i]);
        weights(w, names[i], DIMS(c), 1, i == 3 ? 1.5f : 0);
    }
    onnx_node_begin(w, "BatchNormalization", out);
    onnx_node_in(w, in);
    for (int i = 0; i < 4; i++)
        onnx_node_in(w, names[i]);
    onnx_node_out(w, out);
    onnx_attr_float(w, "epsilon", 1e-3f);
    onnx_node_end(w);
}

static inline void start_opset(onnx_writer *w, const int64_t *dims, int n, int opset) {
    *w = (onnx_writer){0};
    rng = 12345;
    onnx_begin(w, opset);
    onnx_input(w, "x", 1, dims, n);
}

static inline void start(onnx_writer *w, const int64_t *dims, int n) {
    start_opset(w, dims, n, 17);
}

/* Builds with and without passes, evaluates both, compares, checks the operators left ("Conv+ Relu", '+' = activation fused, '~' =
 * residual) and releases the writer. */
static inline void expect(onnx_writer *w, const char *output, const char *want, const char *tap) {
    rad_error err;
    rad_model *m = NULL;
    rad_graph *g = NULL, *plain = NULL;
    char got[512] = "";
    void **a = NULL, **b = NULL;
    onnx_output(w, output);
    onnx_end(w);
    assert_ok(rad_model_open_memory(w->model.p, w->model.n, "t.onnx", &m, &err));
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.tap = tap}, &g, &err));
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.tap = tap, .no_fold = true}, &plain, &err));
    for (int i = 0; i < g->n_node; i++) {
        size_t at = strlen(got);
        snprintf(got + at, sizeof got - at, "%s%s%s%s", i ? " " : "", g->node[i].op->name, g->node[i].residual >= 0 ? "~" : "",
                 g->node[i].act != RAD_FUSE_NONE ? "+" : "");
    }
    if (strcmp(got, want) != 0)
        fail_msg("'%s': nodes are '%s', expected '%s'", output, got, want);
    float *x[4];
    const void *in[4];
    for (int i = 0; i < g->n_input; i++) {
        int64_t n = rad_shape_count(&g->value[g->input[i]].shape);
        in[i] = x[i] = malloc((size_t)n * sizeof(float));
        for (int64_t k = 0; k < n; k++)
            x[i][k] = 3 * uniform();
    }
    assert_ok(graph_eval(g, in, &a, &err));
    assert_ok(graph_eval(plain, in, &b, &err));
    assert_int_equal(g->n_output, plain->n_output);
    for (int k = 0; k < g->n_output; k++) {
        const rad_value *v = &g->value[g->output[k]];
        assert_true(rad_shape_equal(&v->shape, &plain->value[plain->output[k]].shape));
        assert_string_equal(v->name, plain->value[plain->output[k]].name);
        double d = graph_difference(a[k], b[k], rad_shape_count(&v->shape));
        if (!(d < 1e-6))
            fail_msg("'%s': output %d differs by %g after the passes", output, k, d);
    }
    /* the bookkeeping that backends rely on */
    for (int v = 0; v < g->n_value; v++) {
        int uses = 0, made = g->value[v].producer;
        for (int i = 0; i < g->n_node; i++) {
            for (int k = 0; k < g->node[i].n_input; k++)
                uses += g->node[i].input[k] == v;
            uses += g->node[i].residual == v;
            for (int k = 0; k < g->node[i].n_output; k++)
                assert_true((g->node[i].output[k] == v) == (made == i && g->node[i].output[k] == v));
        }
        for (int k = 0; k < g->n_output; k++)
            uses += g->output[k] == v;
        assert_int_equal(uses, g->value[v].n_use);
    }
    for (int i = 0; i < g->n_node; i++)
        for (int k = 0; k <= g->node[i].n_input; k++) {
            int v = k < g->node[i].n_input ? g->node[i].input[k] : g->node[i].residual;
            assert_true(v < 0 || g->value[v].producer < i);
        }
    graph_eval_release(g, a);
    graph_eval_release(plain, b);
    for (int i = 0; i < g->n_input; i++)
        free(x[i]);
    rad_graph_destroy(&g);
    rad_graph_destroy(&plain);
    rad_model_close(&m);
    onnx_release(w);
}

#endif
