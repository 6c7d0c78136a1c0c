/* model_bytes.h: a model in memory opened and built, and one small model that is well formed. */
#ifndef RAD_MODEL_BYTES_H
#define RAD_MODEL_BYTES_H

#include "unit.h"

#include "onnx_writer.h"
#include "radcohort/model.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define N_DIMS(...) (sizeof(DIMS(__VA_ARGS__)) / sizeof(int64_t))
#define D(...) DIMS(__VA_ARGS__), N_DIMS(__VA_ARGS__)

static inline rad_status open_bytes(const onnx_bytes *b, rad_model **m, rad_error *err) {
    *m = NULL;
    return rad_model_open_memory(b->p, b->n, "t.onnx", m, err);
}

static inline rad_status build(const onnx_bytes *b, const rad_graph_opts *o, rad_error *err) {
    rad_model *m;
    rad_graph *g = NULL;
    rad_status st = open_bytes(b, &m, err);
    if (st == RAD_OK)
        st = rad_graph_build(m, o, &g, err);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    return st;
}

/* x [2,3,8,8] -> Conv 3x3 -> Relu -> y */
static inline void small(onnx_writer *w, const char *prefix, float scale) {
    float weights[4 * 3 * 9], bias[4] = {1, -2, 0.5f, 3};
    char x[32], k[32], b[32], c[32], y[32];
    for (int i = 0; i < 108; i++)
        weights[i] = scale * (float)(i % 7 - 3);
    snprintf(x, sizeof x, "%sx", prefix);
    snprintf(k, sizeof k, "%sw", prefix);
    snprintf(b, sizeof b, "%sb", prefix);
    snprintf(c, sizeof c, "%sc", prefix);
    snprintf(y, sizeof y, "%sy", prefix);
    onnx_begin(w, 17);
    onnx_input(w, x, 1, DIMS(2, 3, 8, 8), 4);
    onnx_init_f32(w, k, D(4, 3, 3, 3), weights);
    onnx_init_f32(w, b, D(4), bias);
    onnx_node_begin(w, "Conv", c);
    onnx_node_in(w, x);
    onnx_node_in(w, k);
    onnx_node_in(w, b);
    onnx_node_out(w, c);
    onnx_attr_ints(w, "pads", D(1, 1, 1, 1));
    onnx_node_end(w);
    onnx_simple(w, "Relu", c, NULL, NULL, NULL, y);
    onnx_output(w, y);
    onnx_end(w);
}

#endif
