/* Each graph pass on small generated networks: the changed graph has the expected nodes and computes what the unchanged one does, and the
 * pass stays off where it would not be exact. */
#include "model_net.h"

/* ---------------------------------------------------------------- batch norms */

static void norms(void **state) {
    (void)state;
    onnx_writer w;
    start(&w, DIMS(2, 3, 6, 6), 4);
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), false, 1, 1);
    norm(&w, "c", "y", 4);
    expect(&w, "y", "Conv", NULL);

    start(&w, DIMS(2, 4, 6, 6), 4); /* groups, with bias */
    conv(&w, "Conv", "x", "c", D(6, 2, 3, 3), true, 1, 2);
    norm(&w, "c", "y", 6);
    expect(&w, "y", "Conv", NULL);

    start(&w, DIMS(2, 4, 5), 3); /* one spatial axis */
    conv(&w, "Conv", "x", "c", D(6, 4, 3), true, 1, 1);
    norm(&w, "c", "y", 6);
    expect(&w, "y", "Conv", NULL);

    start(&w, DIMS(1, 2, 4, 4, 4), 5); /* three */
    conv(&w, "Conv", "x", "c", D(3, 2, 3, 3, 3), true, 1, 1);
    norm(&w, "c", "y", 3);
    expect(&w, "y", "Conv", NULL);

    for (int64_t group = 1; group <= 2; group++) { /* transposed: channels are the second axis, within groups */
        start(&w, DIMS(2, 4, 6, 6), 4);
        conv(&w, "ConvTranspose", "x", "c", D(4, 3, 3, 3), group == 1, 1, group);
        norm(&w, "c", "y", 3 * group);
        expect(&w, "y", "ConvTranspose", NULL);
    }

    for (int k = 0; k < 4; k++) { /* Gemm with both layouts, with and without bias, alpha and beta not 1 */
        start(&w, DIMS(3, 5), 2);
        weights(&w, "k", k & 1 ? DIMS(4, 5) : DIMS(5, 4), 2, 0);
        weights(&w, "b", DIMS(4), 1, 0);
        onnx_node_begin(&w, "Gemm", "g");
        onnx_node_in(&w, "x");
        onnx_node_in(&w, "k");
        if (k & 2)
            onnx_node_in(&w, "b");
        onnx_node_out(&w, "g");
        onnx_attr_float(&w, "alpha", 0.5f);
        onnx_attr_float(&w, "beta", 3);
        onnx_attr_int(&w, "transB", k & 1);
        onnx_node_end(&w);
        norm(&w, "g", "y", 4);
        expect(&w, "y", "Gemm", NULL);
    }

    start(&w, DIMS(3, 5), 2); /* MatMul has no bias: becomes Gemm */
    weights(&w, "k", DIMS(5, 4), 2, 0);
    onnx_simple(&w, "MatMul", "x", "k", NULL, NULL, "g");
    norm(&w, "g", "y", 4);
    expect(&w, "y", "Gemm", NULL);
}

static void norms_that_stay(void **state) {
    (void)state;
    onnx_writer w;
    start(&w, DIMS(2, 3, 6, 6), 4); /* no producer to take it */
    norm(&w, "x", "n", 3);
    conv(&w, "Conv", "n", "y", D(4, 3, 3, 3), false, 1, 1);
    expect(&w, "y", "BatchNormalization Conv", NULL);

    start(&w, DIMS(2, 3, 6, 6), 4); /* a second reader */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), false, 1, 1);
    norm(&w, "c", "n", 3);
    onnx_simple(&w, "Mul", "n", "c", NULL, NULL, "y");
    expect(&w, "y", "Conv BatchNormalization Mul", NULL);

    start(&w, DIMS(2, 3, 6, 6), 4); /* the value between is tapped */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), false, 1, 1);
    norm(&w, "c", "y", 3);
    expect(&w, "y", "Conv BatchNormalization", "c");

    start(&w, DIMS(2, 3, 6, 6), 4); /* and is an output */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), false, 1, 1);
    norm(&w, "c", "y", 3);
    onnx_output(&w, "c");
    expect(&w, "y", "Conv BatchNormalization", NULL);

    start(&w, DIMS(2, 4, 5), 3); /* channels of the norm are not those of the product, though as many */
    weights(&w, "k", DIMS(5, 4), 2, 0);
    onnx_simple(&w, "MatMul", "x", "k", NULL, NULL, "g");
    norm(&w, "g", "y", 4);
    expect(&w, "y", "MatMul BatchNormalization", NULL);

    start(&w, DIMS(1, 2, 2, 2), 4); /* weights are an input */
    onnx_input(&w, "k", 1, DIMS(2, 2, 1, 1), 4);
    onnx_simple(&w, "Conv", "x", "k", NULL, NULL, "c");
    norm(&w, "c", "y", 2);
    expect(&w, "y", "Conv BatchNormalization", NULL);
}

/* One weight tensor for two convolutions: each gets its own copy. */
static void shared_weights(void **state) {
    (void)state;
    onnx_writer w;
    start(&w, DIMS(1, 3, 6, 6), 4);
    weights(&w, "k", DIMS(3, 3, 3, 3), 4, 0);
    onnx_simple(&w, "Conv", "x", "k", NULL, NULL, "a");
    norm(&w, "a", "an", 3);
    onnx_simple(&w, "Conv", "an", "k", NULL, NULL, "b");
    norm(&w, "b", "bn", 3);
    onnx_simple(&w, "Relu", "bn", NULL, NULL, NULL, "y");
    expect(&w, "y", "Conv Conv+", NULL);
}

/* ---------------------------------------------------------------- scales */

static void scales(void **state) {
    (void)state;
    onnx_writer w;
    static const struct {
        const char *op;
        bool first; /* constant is the first operand */
        int shape;  /* 0 scalar, 1 [C,1,1], 2 [1,C,1,1], 3 [W], 4 [2,1,1,1] widens */
        const char *want;
    } t[] = {
        {"Mul", false, 0, "Conv"},    {"Mul", true, 0, "Conv"},      {"Mul", false, 1, "Conv"},     {"Add", true, 1, "Conv"},
        {"Add", false, 2, "Conv"},    {"Sub", false, 1, "Conv"},     {"Sub", true, 1, "Conv"},      {"Div", false, 1, "Conv"},
        {"Div", true, 1, "Conv Div"}, {"Mul", false, 3, "Conv Mul"}, {"Add", false, 4, "Conv Add"}, {"Mul", false, 4, "Conv Mul"},
    };
    static const int64_t dims[5][4] = {{0}, {4, 1, 1}, {1, 4, 1, 1}, {6}, {2, 1, 1, 1}};
    static const size_t rank[5] = {0, 3, 4, 1, 4};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
        for (int bias = 0; bias < 2; bias++) {
            start(&w, DIMS(1, 3, 6, 6), 4);
            conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), bias, 1, 1);
            weights(&w, "k", dims[t[i].shape], rank[t[i].shape], 2);
            onnx_simple(&w, t[i].op, t[i].first ? "k" : "c", t[i].first ? "c" : "k", NULL, NULL, "y");
            expect(&w, "y", t[i].want, NULL);
        }

    start(&w, DIMS(1, 3, 6, 6), 4); /* the residual scale of Inception-ResNet-v2, then the whole block */
    conv(&w, "Conv", "x", "c", D(3, 3, 1, 1), true, 0, 1);
    weights(&w, "k", DIMS(1), 0, 0);
    onnx_simple(&w, "Mul", "c", "k", NULL, NULL, "s");
    onnx_simple(&w, "Add", "s", "x", NULL, NULL, "r");
    onnx_simple(&w, "Relu", "r", NULL, NULL, NULL, "y");
    expect(&w, "y", "Conv~+", NULL);

    start(&w, DIMS(1, 3, 6, 4), 4); /* as many columns as channels, but along the other axis */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    weights(&w, "k", DIMS(4), 1, 2);
    onnx_simple(&w, "Mul", "c", "k", NULL, NULL, "y");
    expect(&w, "y", "Conv Mul", NULL);

    start(&w, DIMS(2, 7, 5), 3); /* MatMul in three dims: its scale folds along the last axis, a shift cannot */
    weights(&w, "m", DIMS(5, 4), 2, 0);
    weights(&w, "k", DIMS(4), 1, 0);
    onnx_simple(&w, "MatMul", "x", "m", NULL, NULL, "g");
    onnx_simple(&w, "Mul", "g", "k", NULL, NULL, "s");
    onnx_simple(&w, "Add", "s", "k", NULL, NULL, "y");
    expect(&w, "y", "MatMul Add", NULL);

    start(&w, DIMS(3, 5), 2); /* in two it becomes Gemm */
    weights(&w, "m", DIMS(5, 4), 2, 0);
    weights(&w, "k", DIMS(4), 1, 0);
    onnx_simple(&w, "MatMul", "x", "m", NULL, NULL, "g");
    onnx_simple(&w, "Add", "k", "g", NULL, NULL, "y");
    expect(&w, "y", "Gemm", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* division by zero is not folded into infinities */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    onnx_init_f32(&w, "zero", D(1), (float[]){0});
    onnx_simple(&w, "Add", "c", "c", NULL, NULL, "d");
    onnx_simple(&w, "Mul", "d", "zero", NULL, NULL, "y");
    expect(&w, "y", "Conv Add Mul", NULL);
}

/* ---------------------------------------------------------------- paddings */

static void pad(onnx_writer *w, const char *in, const char *out, const int64_t pads[8], float value, const char *mode) {
    char p[32], v[32];
    snprintf(p, sizeof p, "%s_pads", out);
    snprintf(v, sizeof v, "%s_value", out);
    onnx_init_i64(w, p, D(8), pads);
    onnx_init_f32(w, v, NULL, 0, &value);
    onnx_node_begin(w, "Pad", out);
    onnx_node_in(w, in);
    onnx_node_in(w, p);
    onnx_node_in(w, v);
    onnx_node_out(w, out);
    onnx_attr_text(w, "mode", mode);
    onnx_node_end(w);
}

static void pool(onnx_writer *w, const char *op, const char *in, const char *out, int64_t own, int64_t count_pad, int64_t ceil) {
    onnx_node_begin(w, op, out);
    onnx_node_in(w, in);
    onnx_node_out(w, out);
    onnx_attr_ints(w, "kernel_shape", D(3, 3));
    onnx_attr_ints(w, "strides", D(2, 2));
    onnx_attr_ints(w, "pads", D(own, own, own, own));
    if (op[0] == 'A')
        onnx_attr_int(w, "count_include_pad", count_pad);
    onnx_attr_int(w, "ceil_mode", ceil);
    onnx_node_end(w);
}

static void paddings(void **state) {
    (void)state;
    onnx_writer w;
    static const int64_t even[8] = {0, 0, 1, 1, 0, 0, 1, 1}, odd[8] = {0, 0, 0, 1, 0, 0, 2, 0}, none[8] = {0},
                         crop[8] = {0, 0, -1, 0, 0, 0, 1, 0}, channel[8] = {0, 1, 0, 0, 0, 0, 0, 0}, wide[8] = {0, 0, 3, 3, 0, 0, 3, 3};
    static const struct {
        const int64_t *pads;
        float value;
        const char *mode, *want;
        int64_t channels;
    } on_conv[] = {
        {even, 0, "constant", "Conv", 3}, {odd, 0, "constant", "Conv", 3},      {wide, 0, "constant", "Conv", 3},
        {none, 0, "constant", "Conv", 3}, {even, 1, "constant", "Pad Conv", 3}, {even, 0, "reflect", "Pad Conv", 3},
        {even, 0, "edge", "Pad Conv", 3}, {crop, 0, "constant", "Pad Conv", 3}, {channel, 0, "constant", "Pad Conv", 4},
    };
    for (size_t i = 0; i < sizeof on_conv / sizeof on_conv[0]; i++) {
        start(&w, DIMS(2, 3, 7, 6), 4);
        pad(&w, "x", "p", on_conv[i].pads, on_conv[i].value, on_conv[i].mode);
        conv(&w, "Conv", "p", "y", D(4, on_conv[i].channels, 3, 3), true, 1, 1);
        expect(&w, "y", on_conv[i].want, NULL);
    }

    start(&w, DIMS(2, 3, 7, 6), 4); /* SAME is resolved for the padded size */
    pad(&w, "x", "p", odd, 0, "constant");
    weights(&w, "k", DIMS(4, 3, 3, 3), 4, 0);
    onnx_node_begin(&w, "Conv", "y");
    onnx_node_in(&w, "p");
    onnx_node_in(&w, "k");
    onnx_node_out(&w, "y");
    onnx_attr_text(&w, "auto_pad", "SAME_UPPER");
    onnx_attr_ints(&w, "strides", D(2, 2));
    onnx_node_end(&w);
    expect(&w, "y", "Conv", NULL);

    static const struct {
        const char *op;
        bool relu;
        const int64_t *pads;
        int64_t own, count_pad, ceil;
        const char *want;
    } on_pool[] = {
        {"AveragePool", false, even, 0, 0, 0, "AveragePool"},     {"AveragePool", false, odd, 0, 1, 0, "AveragePool"},
        {"AveragePool", false, even, 1, 1, 0, "AveragePool"},     {"AveragePool", false, even, 1, 0, 0, "Pad AveragePool"},
        {"AveragePool", false, even, 0, 0, 1, "Pad AveragePool"}, {"AveragePool", false, wide, 0, 0, 0, "Pad AveragePool"},
        {"MaxPool", true, even, 0, 0, 0, "Relu MaxPool"},         {"MaxPool", false, even, 0, 0, 0, "Pad MaxPool"},
        {"MaxPool", true, even, 1, 0, 0, "Relu Pad MaxPool"},     {"MaxPool", true, even, 0, 0, 1, "Relu Pad MaxPool"},
    };
    for (size_t i = 0; i < sizeof on_pool / sizeof on_pool[0]; i++) {
        /* own padding of 1 and 2 more must stay below the kernel of 3 */
        start(&w, DIMS(2, 3, 7, 6), 4);
        if (on_pool[i].relu)
            onnx_simple(&w, "Relu", "x", NULL, NULL, NULL, "r");
        pad(&w, on_pool[i].relu ? "r" : "x", "p", on_pool[i].pads, 0, "constant");
        pool(&w, on_pool[i].op, "p", "y", on_pool[i].own, on_pool[i].count_pad, on_pool[i].ceil);
        expect(&w, "y", on_pool[i].want, NULL);
    }
}

/* ---------------------------------------------------------------- identities, folding, dead nodes */

static void identities(void **state) {
    (void)state;
    onnx_writer w;
    static const char *const plain[] = {"Identity", "Dropout", "Concat", "Sum", "Max", "Flatten", "Transpose"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        start(&w, DIMS(2, 3), 2);
        onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
        onnx_node_begin(&w, plain[i], "i");
        onnx_node_in(&w, "e");
        onnx_node_out(&w, "i");
        if (strcmp(plain[i], "Concat") == 0)
            onnx_attr_int(&w, "axis", 1);
        if (strcmp(plain[i], "Transpose") == 0)
            onnx_attr_ints(&w, "perm", D(0, 1));
        onnx_node_end(&w);
        onnx_simple(&w, "Neg", "i", NULL, NULL, NULL, "n");
        onnx_simple(&w, "Add", "n", "i", NULL, NULL, "y");
        expect(&w, "y", "Exp Neg Add", NULL);
    }

    start(&w, DIMS(2, 2), 2); /* a transposition of a square is not one */
    onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
    onnx_node_begin(&w, "Transpose", "y");
    onnx_node_in(&w, "e");
    onnx_node_out(&w, "y");
    onnx_attr_ints(&w, "perm", D(1, 0));
    onnx_node_end(&w);
    expect(&w, "y", "Exp Transpose", NULL);

    start(&w, DIMS(4), 1); /* nor is a reversal */
    onnx_init_i64(&w, "from", D(1), DIMS(-1));
    onnx_init_i64(&w, "to", D(1), DIMS(-100));
    onnx_init_i64(&w, "axis", D(1), DIMS(0));
    onnx_init_i64(&w, "step", D(1), DIMS(-1));
    onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
    onnx_node_begin(&w, "Slice", "y");
    onnx_node_in(&w, "e");
    onnx_node_in(&w, "from");
    onnx_node_in(&w, "to");
    onnx_node_in(&w, "axis");
    onnx_node_in(&w, "step");
    onnx_node_out(&w, "y");
    onnx_node_end(&w);
    expect(&w, "y", "Exp Slice", NULL);

    start(&w, DIMS(2, 3), 2); /* at an output the producer takes its name */
    onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
    onnx_simple(&w, "Identity", "e", NULL, NULL, NULL, "y");
    expect(&w, "y", "Exp", NULL);

    start(&w, DIMS(2, 3), 2); /* unless it has another reader, also one behind a removed identity */
    onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
    onnx_simple(&w, "Identity", "e", NULL, NULL, NULL, "i");
    onnx_simple(&w, "Identity", "e", NULL, NULL, NULL, "y");
    onnx_simple(&w, "Neg", "i", NULL, NULL, NULL, "z");
    onnx_output(&w, "z");
    expect(&w, "y", "Exp Identity Neg", NULL);

    start(&w, DIMS(2, 3), 2); /* input as output, constant as output */
    weights(&w, "k", DIMS(3), 1, 0);
    onnx_output(&w, "k");
    expect(&w, "x", "Identity Identity", NULL);

    start(&w, DIMS(2, 3), 2); /* what nobody reads goes, with all that led to it */
    onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
    onnx_simple(&w, "Neg", "e", NULL, NULL, NULL, "f");
    onnx_simple(&w, "Abs", "x", NULL, NULL, NULL, "y");
    expect(&w, "y", "Abs", NULL);

    start(&w, DIMS(2, 3), 2); /* constants meet before the run */
    weights(&w, "a", DIMS(3), 1, 0);
    weights(&w, "b", DIMS(3), 1, 0);
    onnx_simple(&w, "Mul", "a", "b", NULL, NULL, "ab");
    onnx_simple(&w, "Exp", "ab", NULL, NULL, NULL, "e");
    onnx_simple(&w, "Add", "x", "e", NULL, NULL, "y");
    expect(&w, "y", "Add", NULL);
}

/* ---------------------------------------------------------------- batches */

/* x [2, 4, 2, 3] -> Reshape to the shape given -> Relu, built for another batch; dim 0 of the output. */
static rad_status reshaped(int64_t batch, const int64_t *to, size_t n, int64_t *ret_first, rad_error *err) {
    onnx_writer w;
    rad_model *m = NULL;
    rad_graph *g = NULL;
    start(&w, DIMS(2, 4, 2, 3), 4);
    onnx_init_i64(&w, "to", DIMS((int64_t)n), 1, to);
    onnx_simple(&w, "Reshape", "x", "to", NULL, NULL, "flat");
    onnx_simple(&w, "Relu", "flat", NULL, NULL, NULL, "y");
    onnx_output(&w, "y");
    onnx_end(&w);
    rad_status st = rad_model_open_memory(w.model.p, w.model.n, "t.onnx", &m, err);
    if (st == RAD_OK)
        st = rad_graph_build(m, &(rad_graph_opts){.batch = batch}, &g, err);
    if (st == RAD_OK)
        *ret_first = g->value[g->output[0]].shape.dim[0];
    rad_graph_destroy(&g);
    rad_model_close(&m);
    onnx_release(&w);
    return st;
}

static void batches(void **state) {
    (void)state;
    rad_error err;
    int64_t first = 0;
    static const int64_t b[] = {1, 2, 4, 5};
    for (size_t i = 0; i < sizeof b / sizeof b[0]; i++) {
        assert_ok(reshaped(b[i], D(2, 24), &first, &err)); /* frozen at 2, moves */
        assert_int_equal(first, b[i]);
        assert_ok(reshaped(b[i], D(2, -1), &first, &err));
        assert_int_equal(first, b[i]);
        assert_ok(reshaped(b[i], D(-1, 24), &first, &err));
        assert_int_equal(first, b[i]);
        assert_ok(reshaped(b[i], D(0, -1), &first, &err));
        assert_int_equal(first, b[i]);
    }
    assert_ok(reshaped(1, D(4, 12), &first, &err)); /* two rows per sample */
    assert_int_equal(first, 2);
    assert_ok(reshaped(4, D(4, -1), &first, &err));
    assert_int_equal(first, 8);
    assert_ok(reshaped(2, D(3, -1), &first, &err)); /* mixes samples: as it is, but at no other batch */
    assert_fails(reshaped(4, D(3, -1), &first, &err), RAD_E_MODEL, "node 'flat' (Reshape): its target shape, frozen for batch 2");
}

/* Outputs at batch 5 are those of the five samples alone. */
static void samples_do_not_mix(void **state) {
    (void)state;
    rad_error err;
    onnx_writer w;
    rad_model *m = NULL;
    rad_graph *one = NULL, *five = NULL;
    float x[5 * 3 * 36];
    void **a = NULL, **b = NULL;
    start(&w, DIMS(2, 3, 6, 6), 4);
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    norm(&w, "c", "n", 4);
    onnx_init_i64(&w, "to", D(2), DIMS(2, 144));
    onnx_simple(&w, "Reshape", "n", "to", NULL, NULL, "y");
    onnx_output(&w, "y");
    onnx_end(&w);
    assert_ok(rad_model_open_memory(w.model.p, w.model.n, "t.onnx", &m, &err));
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.batch = 1}, &one, &err));
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.batch = 5}, &five, &err));
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        x[i] = uniform();
    const void *in[1] = {x};
    assert_ok(graph_eval(five, in, &a, &err));
    for (int s = 0; s < 5; s++) {
        in[0] = x + s * 108;
        assert_ok(graph_eval(one, in, &b, &err));
        assert_memory_equal((float *)a[0] + s * 144, b[0], 144 * sizeof(float));
        graph_eval_release(one, b);
    }
    graph_eval_release(five, a);
    rad_graph_destroy(&one);
    rad_graph_destroy(&five);
    rad_model_close(&m);
    onnx_release(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms),   cmocka_unit_test(norms_that_stay),    cmocka_unit_test(shared_weights),
        cmocka_unit_test(scales),  cmocka_unit_test(paddings),           cmocka_unit_test(identities),
        cmocka_unit_test(batches), cmocka_unit_test(samples_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
