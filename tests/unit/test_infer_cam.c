/* Class activation maps on small generated networks: the identity mean(map) + bias = logit for every kind of head that has a map, the
 * reason for every kind that has none, and the same bits whatever else is computed. */
#include "unit.h"

#include <math.h>

#include "onnx_writer.h"
#include "radcohort/infer.h"

enum { CHANNELS = 24, CLASSES = 5, MOST = 32 * CHANNELS * 64 };

static uint32_t rng;
static float uniform(void) {
    rng = rng * 1664525u + 1013904223u;
    return (float)(rng >> 8) * 0x1p-23f - 1.0f;
}

static void init(onnx_writer *w, const char *name, const int64_t *dims, size_t rank, float low) {
    static float v[8192];
    size_t n = 1;
    for (size_t i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    assert_true(n <= sizeof v / sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = uniform() + low;
    onnx_init_f32(w, name, dims, rank, v);
}

#define DIMS(...) ((int64_t[]){__VA_ARGS__}), (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* x -> Conv 3x3 -> Relu -> "f" [batch, CHANNELS, 6, 7]; ready for a head */
static void body(onnx_writer *w, int64_t batch, int opset) {
    *w = (onnx_writer){0};
    rng = 4711;
    onnx_begin(w, opset);
    onnx_input(w, "x", 1, (int64_t[]){batch, 3, 6, 7}, 4);
    init(w, "w0", DIMS(CHANNELS, 3, 3, 3), 0);
    init(w, "b0", DIMS(CHANNELS), 0);
    onnx_node_begin(w, "Conv", "conv");
    onnx_node_in(w, "x");
    onnx_node_in(w, "w0");
    onnx_node_in(w, "b0");
    onnx_node_out(w, "c");
    onnx_attr_ints(w, "pads", DIMS(1, 1, 1, 1));
    onnx_node_end(w);
    onnx_simple(w, "Relu", "c", NULL, NULL, NULL, "f");
}

static void with_ints(onnx_writer *w, const char *op, const char *in, const char *out, const char *attr, const int64_t *v, size_t n,
                      int64_t keepdims) {
    onnx_node_begin(w, op, out);
    onnx_node_in(w, in);
    onnx_node_out(w, out);
    onnx_attr_ints(w, attr, v, n);
    if (keepdims >= 0)
        onnx_attr_int(w, "keepdims", keepdims);
    onnx_node_end(w);
}

static void with_int(onnx_writer *w, const char *op, const char *in, const char *out, const char *attr, int64_t v) {
    onnx_node_begin(w, op, out);
    onnx_node_in(w, in);
    onnx_node_out(w, out);
    onnx_attr_int(w, attr, v);
    onnx_node_end(w);
}

static void gemm(onnx_writer *w, const char *in, const char *out, int64_t n_in, int64_t n_out, bool transposed) {
    char k[32], b[32];
    snprintf(k, sizeof k, "%s_w", out);
    snprintf(b, sizeof b, "%s_b", out);
    if (transposed)
        init(w, k, DIMS(n_out, n_in), 0);
    else
        init(w, k, DIMS(n_in, n_out), 0);
    init(w, b, DIMS(n_out), 0);
    onnx_node_begin(w, "Gemm", out);
    onnx_node_in(w, in);
    onnx_node_in(w, k);
    onnx_node_in(w, b);
    onnx_node_out(w, out);
    onnx_attr_int(w, "transB", transposed);
    onnx_attr_float(w, "alpha", transposed ? 1.0f : 0.5f);
    onnx_attr_float(w, "beta", transposed ? 1.0f : -2.0f);
    onnx_node_end(w);
}

struct setup {
    onnx_writer w;
    rad_model *model;
    rad_backend *backend;
    rad_engine *engine;
    rad_cam *cam;
};

static void open(struct setup *s, const char *output) {
    rad_error err;
    onnx_output(&s->w, output);
    onnx_end(&s->w);
    assert_ok(rad_model_open_memory(s->w.model.p, s->w.model.n, "t.onnx", &s->model, &err));
}

static void drop(struct setup *s) {
    rad_cam_destroy(&s->cam);
    rad_engine_destroy(&s->engine);
    rad_backend_close(&s->backend);
    rad_model_close(&s->model);
    onnx_release(&s->w);
}

static void fill(float *x, size_t n) {
    rng = 99;
    for (size_t i = 0; i < n; i++)
        x[i] = uniform();
}

/* The network has a map, taken from `tap` with the shape `shape`, whose mean plus bias is the logit of every class; *score is compared with
 * the logit after `last` (NULL: none). */
static void expect_map(struct setup *s, const char *output, const char *tap, const rad_shape *shape, const char *last) {
    rad_error err;
    static float x[3 * 3 * 6 * 7], out[3 * CHANNELS], plain[3 * CHANNELS], f[MOST], map[512];
    rad_shape got, f_shape;
    int64_t n_in;
    rad_engine_opts opts = {.threads = 2};
    open(s, output);
    assert_ok(rad_cam_create(s->model, &opts, &s->cam, &err));
    assert_string_equal(rad_cam_tap(s->cam), tap);
    rad_cam_get_shape(s->cam, &got);
    assert_true(rad_shape_equal(&got, shape));
    assert_ok(rad_backend_open("ref", &s->backend, &err));
    assert_ok(rad_engine_create(s->backend, s->model, &opts, &s->engine, &err));
    fill(x, sizeof x / sizeof *x);
    assert_ok(rad_engine_run(s->engine, x, 3, plain, NULL, &err));
    rad_engine_destroy(&s->engine);
    opts.tap = rad_cam_tap(s->cam);
    assert_ok(rad_engine_create(s->backend, s->model, &opts, &s->engine, &err));
    rad_engine_get_shapes(s->engine, NULL, NULL, &f_shape);
    n_in = rad_shape_count(&f_shape);
    assert_true(3 * n_in <= MOST);
    assert_ok(rad_engine_run(s->engine, x, 3, out, f, &err));
    const int64_t n_class = rad_cam_class_count(s->cam), n_pos = rad_shape_count(&got);
    assert_memory_equal(out, plain, (size_t)(3 * n_class) * sizeof *out); /* the tap does not change the score */
    assert_true(n_pos <= 512);
    for (int64_t i = 0; i < 3; i++) {
        double logit[CHANNELS], sum = 0;
        for (int64_t c = 0; c < n_class; c++) {
            double mean = 0;
            assert_ok(rad_cam_compute(s->cam, c, f + i * n_in, map, &err));
            for (int64_t p = 0; p < n_pos; p++)
                mean += (double)map[p] / (double)n_pos;
            logit[c] = mean + rad_cam_bias(s->cam)[c];
            sum += exp(logit[c]);
        }
        for (int64_t c = 0; c < n_class; c++) {
            double want = logit[c];
            if (last && strcmp(last, "Softmax") == 0)
                want = exp(logit[c]) / sum;
            else if (last && strcmp(last, "LogSoftmax") == 0)
                want = logit[c] - log(sum);
            else if (last && strcmp(last, "Sigmoid") == 0)
                want = 1 / (1 + exp(-logit[c]));
            else if (last && strcmp(last, "Tanh") == 0)
                want = tanh(logit[c]);
            if (!(fabs(want - (double)out[i * n_class + c]) < 2e-5))
                fail_msg("'%s' class %d: map and bias give %.9g, the network %.9g", output, (int)c, want, (double)out[i * n_class + c]);
        }
    }
    drop(s);
}

static const rad_shape PLANE = {.rank = 2, .dim = {6, 7}};

/* ---------------------------------------------------------------- heads that have a map */

static void poolings(void **state) {
    (void)state;
    struct setup s = {0};
    for (int kind = 0; kind < 9; kind++) {
        const bool newest = kind == 8;
        const char *pooled = "p";
        body(&s.w, 1, newest ? 18 : 17);
        onnx_init_i64(&s.w, "flat", DIMS(3), (int64_t[]){0, CHANNELS, -1});
        onnx_init_i64(&s.w, "axes", DIMS(2), (int64_t[]){-1, -2});
        if (kind == 0) {
            onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
        } else if (kind == 1) {
            with_ints(&s.w, "ReduceMean", "f", "p", "axes", DIMS(2, 3), 1);
        } else if (kind == 2) {
            with_ints(&s.w, "ReduceMean", "f", "p", "axes", DIMS(-2, -1), 0);
        } else if (kind == 3) { /* x.mean(3).mean(2) */
            with_ints(&s.w, "ReduceMean", "f", "p0", "axes", DIMS(3), 0);
            with_ints(&s.w, "ReduceMean", "p0", "p", "axes", DIMS(2), 0);
        } else if (kind == 4) { /* the same, axes kept, and the other way round */
            with_ints(&s.w, "ReduceMean", "f", "p0", "axes", DIMS(2), 1);
            with_ints(&s.w, "ReduceMean", "p0", "p", "axes", DIMS(3), 1);
        } else if (kind == 5) { /* x.flatten(2).mean(-1) */
            onnx_simple(&s.w, "Reshape", "f", "flat", NULL, NULL, "v");
            with_ints(&s.w, "ReduceMean", "v", "p", "axes", DIMS(-1), 0);
        } else if (kind == 6) {
            with_ints(&s.w, "AveragePool", "f", "p", "kernel_shape", DIMS(6, 7), -1);
        } else if (kind == 7) { /* Keras: channels last in the graph, a transpose in front of the pooling */
            with_ints(&s.w, "Transpose", "f", "t", "perm", DIMS(0, 2, 3, 1), -1);
            with_ints(&s.w, "ReduceMean", "t", "p", "axes", DIMS(1, 2), 0);
        } else { /* axes as an input */
            onnx_simple(&s.w, "ReduceMean", "f", "axes", NULL, NULL, "p");
        }
        with_int(&s.w, "Flatten", pooled, "v2", "axis", 1);
        gemm(&s.w, "v2", "y", CHANNELS, CLASSES, true);
        expect_map(&s, "y", "f", &PLANE, NULL);
    }

    body(&s.w, 1, 17); /* channels last up to the pooling: the map is where an activation makes it */
    with_ints(&s.w, "Transpose", "f", "t", "perm", DIMS(0, 2, 3, 1), -1);
    onnx_simple(&s.w, "Elu", "t", NULL, NULL, NULL, "e");
    with_ints(&s.w, "ReduceMean", "e", "p", "axes", DIMS(1, 2), 0);
    gemm(&s.w, "p", "y", CHANNELS, CLASSES, false);
    expect_map(&s, "y", "e", &PLANE, NULL);

    body(&s.w, 1, 17); /* part of the map pooled, then averaged: the map is what the average reads */
    with_ints(&s.w, "AveragePool", "f", "a", "kernel_shape", DIMS(2, 2), -1);
    onnx_simple(&s.w, "GlobalAveragePool", "a", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
    expect_map(&s, "y", "a", &(rad_shape){.rank = 2, .dim = {5, 6}}, NULL);

    for (int rank = 1; rank <= 3; rank += 2) { /* signals and volumes */
        s.w = (onnx_writer){0};
        rng = 5;
        onnx_begin(&s.w, 17);
        onnx_input(&s.w, "x", 1, rank == 1 ? (int64_t[]){1, 3, 42} : (int64_t[]){1, 3, 2, 3, 7}, rank + 2);
        if (rank == 1)
            init(&s.w, "w0", DIMS(CHANNELS, 3, 1), 0);
        else
            init(&s.w, "w0", DIMS(CHANNELS, 3, 1, 1, 1), 0);
        onnx_simple(&s.w, "Conv", "x", "w0", NULL, NULL, "f");
        onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
        with_int(&s.w, "Flatten", "p", "v", "axis", 1);
        gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
        expect_map(&s, "y", "f", rank == 1 ? &(rad_shape){.rank = 1, .dim = {42}} : &(rad_shape){.rank = 3, .dim = {2, 3, 7}}, NULL);
    }
}

static void layers(void **state) {
    (void)state;
    struct setup s = {0};
    static const char *const last[] = {"Softmax", "LogSoftmax", "Sigmoid", "Tanh"};
    for (int k = 0; k < 4; k++) {
        body(&s.w, 1, 17);
        onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
        with_int(&s.w, "Flatten", "p", "v", "axis", 1);
        gemm(&s.w, "v", "l", CHANNELS, CLASSES, k % 2);
        onnx_simple(&s.w, last[k], "l", NULL, NULL, NULL, "y");
        expect_map(&s, "y", "f", &PLANE, last[k]);
    }

    for (int k = 0; k < 2; k++) { /* MatMul and bias; squeezed, with a dropout that does nothing */
        body(&s.w, 1, 17);
        onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
        onnx_init_i64(&s.w, "hw", DIMS(2), (int64_t[]){2, 3});
        onnx_simple(&s.w, "Squeeze", "p", "hw", NULL, NULL, "v");
        onnx_simple(&s.w, "Dropout", "v", NULL, NULL, NULL, "d");
        init(&s.w, "k", DIMS(CHANNELS, CLASSES), 0);
        init(&s.w, "b", DIMS(CLASSES), 0);
        onnx_simple(&s.w, "MatMul", "d", "k", NULL, NULL, "m");
        onnx_simple(&s.w, k ? "Sub" : "Add", k ? "b" : "m", k ? "m" : "b", NULL, NULL, "y");
        expect_map(&s, "y", "f", &PLANE, NULL);
    }

    body(&s.w, 1, 17); /* 1x1 convolution after the pooling */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    init(&s.w, "k", DIMS(CLASSES, CHANNELS, 1, 1), 0);
    init(&s.w, "b", DIMS(CLASSES), 0);
    onnx_simple(&s.w, "Conv", "p", "k", "b", NULL, "l");
    with_int(&s.w, "Flatten", "l", "v", "axis", 1);
    onnx_simple(&s.w, "Sigmoid", "v", NULL, NULL, NULL, "y");
    expect_map(&s, "y", "f", &PLANE, "Sigmoid");

    body(&s.w, 1, 17); /* and before: the channels are the classes */
    init(&s.w, "k", DIMS(CLASSES, CHANNELS, 1, 1), 0);
    onnx_simple(&s.w, "Conv", "f", "k", NULL, NULL, "l");
    onnx_simple(&s.w, "GlobalAveragePool", "l", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "y", "axis", 1);
    expect_map(&s, "y", "l", &PLANE, NULL);

    body(&s.w, 1, 17); /* norm, scale, shift and two matrices: all of it is one */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    init(&s.w, "n0", DIMS(CHANNELS), 0);
    init(&s.w, "n1", DIMS(CHANNELS), 0);
    init(&s.w, "n2", DIMS(CHANNELS), 0);
    init(&s.w, "n3", DIMS(CHANNELS), 1.5f);
    init(&s.w, "c0", DIMS(1, CHANNELS), 2);
    init(&s.w, "c1", DIMS(1), 2);
    onnx_node_begin(&s.w, "BatchNormalization", "n");
    onnx_node_in(&s.w, "v");
    for (int i = 0; i < 4; i++)
        onnx_node_in(&s.w, (const char *const[]){"n0", "n1", "n2", "n3"}[i]);
    onnx_node_out(&s.w, "n");
    onnx_node_end(&s.w);
    onnx_simple(&s.w, "Div", "n", "c0", NULL, NULL, "q");
    gemm(&s.w, "q", "g", CHANNELS, 7, false);
    onnx_simple(&s.w, "Mul", "c1", "g", NULL, NULL, "h");
    gemm(&s.w, "h", "y", 7, CLASSES, true);
    expect_map(&s, "y", "f", &PLANE, NULL);

    for (int k = 0; k < 2; k++) { /* features less a constant, and the other way round */
        body(&s.w, 1, 17);
        onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
        with_int(&s.w, "Flatten", "p", "v", "axis", 1);
        init(&s.w, "c0", DIMS(1, CHANNELS), 0);
        onnx_simple(&s.w, "Sub", k ? "c0" : "v", k ? "v" : "c0", NULL, NULL, "d");
        gemm(&s.w, "d", "y", CHANNELS, CLASSES, true);
        expect_map(&s, "y", "f", &PLANE, NULL);
    }

    body(&s.w, 1, 17); /* a mean over channels is a map of its own, not a part of the pooling */
    with_ints(&s.w, "ReduceMean", "f", "s", "axes", DIMS(1), 1);
    with_ints(&s.w, "ReduceMean", "s", "p", "axes", DIMS(2, 3), 0);
    gemm(&s.w, "p", "y", 1, CLASSES, true);
    expect_map(&s, "y", "s", &PLANE, NULL);

    body(&s.w, 1, 17); /* a residual sum in front of the pooling is in the map already */
    onnx_simple(&s.w, "Add", "f", "c", NULL, NULL, "r");
    onnx_simple(&s.w, "GlobalAveragePool", "r", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, 1, true);
    expect_map(&s, "y", "r", &PLANE, NULL);
}

/* A file that exists at its own batch alone. */
static void fixed_batch(void **state) {
    (void)state;
    struct setup s = {0};
    body(&s.w, 4, 17);
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    onnx_init_i64(&s.w, "shape", DIMS(2), (int64_t[]){4, CHANNELS});
    onnx_simple(&s.w, "Reshape", "p", "shape", NULL, NULL, "v0");
    onnx_init_i64(&s.w, "sizes", DIMS(2), (int64_t[]){1, 3});
    onnx_node_begin(&s.w, "Split", "split");
    onnx_node_in(&s.w, "f");
    onnx_node_in(&s.w, "sizes");
    onnx_node_out(&s.w, "s0");
    onnx_node_out(&s.w, "s1");
    onnx_attr_int(&s.w, "axis", 0);
    onnx_node_end(&s.w);
    onnx_node_begin(&s.w, "Concat", "join");
    onnx_node_in(&s.w, "s0");
    onnx_node_in(&s.w, "s1");
    onnx_node_out(&s.w, "j");
    onnx_attr_int(&s.w, "axis", 0);
    onnx_node_end(&s.w);
    onnx_simple(&s.w, "GlobalAveragePool", "j", NULL, NULL, NULL, "pj");
    with_int(&s.w, "Flatten", "pj", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
    expect_map(&s, "y", "j", &PLANE, NULL);
}

/* ---------------------------------------------------------------- heads that have none */

static void expect_none(struct setup *s, const char *output, const char *why) {
    rad_error err;
    open(s, output);
    assert_fails(rad_cam_create(s->model, &(rad_engine_opts){.threads = 1}, &s->cam, &err), RAD_E_MODEL, why);
    assert_null(s->cam);
    drop(s);
}

static void refusals(void **state) {
    (void)state;
    struct setup s = {0};
    rad_error err;
    body(&s.w, 1, 17);
    with_int(&s.w, "Flatten", "f", "v", "axis", 1);
    init(&s.w, "k", DIMS(CHANNELS * 42, CLASSES), 0);
    onnx_simple(&s.w, "MatMul", "v", "k", NULL, NULL, "y");
    expect_none(&s, "y", "the map 'f' of [24, 6, 7] is not averaged but flattened");

    body(&s.w, 1, 17); /* averaged to 2x2 only */
    with_ints(&s.w, "AveragePool", "f", "p", "kernel_shape", DIMS(5, 6), -1);
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS * 4, CLASSES, true);
    expect_none(&s, "y", "the map 'p' of [24, 2, 2] is not averaged but flattened");

    body(&s.w, 1, 17); /* one window that is not all of the map */
    onnx_node_begin(&s.w, "AveragePool", "p");
    onnx_node_in(&s.w, "f");
    onnx_node_out(&s.w, "p");
    onnx_attr_ints(&s.w, "kernel_shape", DIMS(5, 6));
    onnx_attr_ints(&s.w, "strides", DIMS(7, 7));
    onnx_node_end(&s.w);
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
    expect_none(&s, "y", "AveragePool 'p' does not average [24, 6, 7] over all positions");

    body(&s.w, 1, 17); /* two classifiers added, the sum fused into one of them */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    onnx_simple(&s.w, "GlobalMaxPool", "f", NULL, NULL, NULL, "m");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    with_int(&s.w, "Flatten", "m", "u", "axis", 1);
    gemm(&s.w, "v", "g", CHANNELS, CLASSES, true);
    gemm(&s.w, "u", "h", CHANNELS, CLASSES, true);
    onnx_simple(&s.w, "Add", "g", "h", NULL, NULL, "y");
    expect_none(&s, "y", "two branches are added in Gemm");

    body(&s.w, 1, 17); /* two activations */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "l", CHANNELS, CLASSES, true);
    onnx_simple(&s.w, "Sigmoid", "l", NULL, NULL, NULL, "t");
    onnx_simple(&s.w, "Softmax", "t", NULL, NULL, NULL, "y");
    expect_none(&s, "y", "changes the output after its linear layer");

    static const char *const hidden[] = {"Relu", "HardSwish", "Sigmoid", "Elu"};
    static const char *const hidden_text[] = {
        "Gemm 'h0' with its activation lies between pooling and output", "Gemm 'h0' with its activation lies between pooling and output",
        "Gemm 'h0' with its activation lies between pooling and output", "Elu 'h' between pooling and output is not linear"};
    for (int k = 0; k < 4; k++) {
        body(&s.w, 1, 17);
        onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
        with_int(&s.w, "Flatten", "p", "v", "axis", 1);
        gemm(&s.w, "v", "h0", CHANNELS, 8, true);
        onnx_simple(&s.w, hidden[k], "h0", NULL, NULL, NULL, "h");
        gemm(&s.w, "h", "y", 8, CLASSES, true);
        expect_none(&s, "y", hidden_text[k]);
    }

    body(&s.w, 1, 17); /* two pooled branches side by side */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    onnx_simple(&s.w, "GlobalMaxPool", "f", NULL, NULL, NULL, "m");
    onnx_node_begin(&s.w, "Concat", "both");
    onnx_node_in(&s.w, "p");
    onnx_node_in(&s.w, "m");
    onnx_node_out(&s.w, "both");
    onnx_attr_int(&s.w, "axis", 1);
    onnx_node_end(&s.w);
    with_int(&s.w, "Flatten", "both", "v", "axis", 1);
    gemm(&s.w, "v", "y", 2 * CHANNELS, CLASSES, true);
    expect_none(&s, "y", "Concat 'both' joins 2 branches");

    body(&s.w, 1, 17); /* added */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    onnx_simple(&s.w, "GlobalMaxPool", "f", NULL, NULL, NULL, "m");
    onnx_simple(&s.w, "Add", "p", "m", NULL, NULL, "a");
    with_int(&s.w, "Flatten", "a", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
    expect_none(&s, "y", "Add 'a' joins two computed tensors");

    body(&s.w, 1, 17);
    onnx_simple(&s.w, "GlobalMaxPool", "f", NULL, NULL, NULL, "m");
    with_int(&s.w, "Flatten", "m", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
    expect_none(&s, "y", "GlobalMaxPool 'm' takes a maximum");

    body(&s.w, 1, 17); /* normalised per sample */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    init(&s.w, "g", DIMS(CHANNELS), 0);
    onnx_simple(&s.w, "LayerNormalization", "v", "g", NULL, NULL, "n");
    gemm(&s.w, "n", "y", CHANNELS, CLASSES, true);
    expect_none(&s, "y", "LayerNormalization 'n' between pooling and output is not linear");

    body(&s.w, 1, 17); /* averaged over channels and columns: a profile of rows, not of channels */
    with_ints(&s.w, "ReduceMean", "f", "p", "axes", DIMS(1, 3), 0);
    gemm(&s.w, "p", "y", 6, CLASSES, true);
    expect_none(&s, "y", "ReduceMean 'p' does not average [24, 6, 7] over all positions");

    body(&s.w, 1, 17); /* an output cut off */
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "l", CHANNELS, CLASSES, true);
    onnx_simple(&s.w, "Relu", "l", NULL, NULL, NULL, "y");
    expect_none(&s, "y", "changes the output after its linear layer");

    s.w = (onnx_writer){0}; /* no image at all */
    onnx_begin(&s.w, 17);
    onnx_input(&s.w, "x", 1, (int64_t[]){1, 8}, 2);
    gemm(&s.w, "x", "y", 8, CLASSES, true);
    expect_none(&s, "y", "the input is reached and nothing was averaged");

    body(&s.w, 1, 17);
    onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
    with_int(&s.w, "Flatten", "p", "v", "axis", 1);
    gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
    open(&s, "y");
    assert_fails(rad_cam_create(s.model, &(rad_engine_opts){.output = "z", .threads = 1}, &s.cam, &err), RAD_E_MODEL, "no output 'z'");
    assert_ok(rad_cam_create(s.model, &(rad_engine_opts){.output = "y", .threads = 1}, &s.cam, &err));
    assert_fails(rad_cam_compute(s.cam, CLASSES, NULL, NULL, &err), RAD_E_USAGE, "there is no class 5 to map: the network has 5");
    assert_fails(rad_cam_compute(s.cam, -1, NULL, NULL, &err), RAD_E_USAGE, "there is no class -1");
    rad_cam_destroy(&s.cam);
    for (int64_t after = 1; after < 200; after++) { /* every allocation may fail */
        rad_mem_fail_after(after);
        err = (rad_error){0};
        rad_status st = rad_cam_create(s.model, &(rad_engine_opts){.threads = 1}, &s.cam, &err);
        rad_mem_fail_after(0);
        if (st == RAD_OK)
            break;
        assert_int_equal(st, RAD_E_NOMEM);
        assert_null(s.cam);
    }
    assert_non_null(s.cam);
    drop(&s);
}

/* ---------------------------------------------------------------- promise 1 */

static void same_bits(void **state) {
    (void)state;
    enum { N = 9, IN = 3 * 6 * 7, F = CHANNELS * 42 };
    static const char *const backends[] = {"ref", "onednn"};
    static float x[N * IN], out[N * CLASSES], f[N * F], alone_out[CLASSES], alone_f[F], map[42], alone_map[42];
    char text[256];
    rad_error err;
    for (int b = 0; b < 2; b++) {
        if (!rad_backend_probe(backends[b], text, sizeof text))
            continue;
        for (int threads = 1; threads <= 4; threads += 3) {
            struct setup s = {0};
            body(&s.w, 1, 17);
            onnx_simple(&s.w, "GlobalAveragePool", "f", NULL, NULL, NULL, "p");
            with_int(&s.w, "Flatten", "p", "v", "axis", 1);
            gemm(&s.w, "v", "y", CHANNELS, CLASSES, true);
            open(&s, "y");
            rad_engine_opts opts = {.threads = threads};
            assert_ok(rad_cam_create(s.model, &opts, &s.cam, &err));
            opts.tap = rad_cam_tap(s.cam);
            assert_ok(rad_backend_open(backends[b], &s.backend, &err));
            assert_ok(rad_engine_create(s.backend, s.model, &opts, &s.engine, &err));
            fill(x, sizeof x / sizeof *x);
            assert_ok(rad_engine_run(s.engine, x, N, out, f, &err));
            for (int i = N - 1; i >= 0; i--) {
                assert_ok(rad_engine_run(s.engine, x + i * IN, 1, alone_out, alone_f, &err));
                assert_ok(rad_cam_compute(s.cam, 2, f + i * F, map, &err));
                assert_ok(rad_cam_compute(s.cam, 2, alone_f, alone_map, &err));
                assert_memory_equal(map, alone_map, sizeof map);
            }
            drop(&s);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poolings), cmocka_unit_test(layers),    cmocka_unit_test(fixed_batch),
        cmocka_unit_test(refusals), cmocka_unit_test(same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
