/* oneDNN plans against plain evaluation in double: every translator, the layouts between them, and the places where memory is shared
 * (residual sums in place, element-wise nodes in place, views, concatenation) when somebody still needs what would be overwritten. */
#include "unit.h"

#include "graph_eval.h"
#include "onnx_writer.h"
#include "radcohort/infer.h"

#define D(...) (int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
#define DU(...) (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static float noise[1 << 16];

static void init(onnx_writer *w, const char *name, const int64_t *dims, size_t n) {
    onnx_init_f32(w, name, dims, n, noise + strlen(name) * 13 + (size_t)name[strlen(name) - 1]);
}

static void attr_window(onnx_writer *w, const int64_t *kernel, const int64_t *stride, const int64_t *pads, const int64_t *dilation,
                        size_t n) {
    if (kernel != NULL)
        onnx_attr_ints(w, "kernel_shape", kernel, n);
    if (stride != NULL)
        onnx_attr_ints(w, "strides", stride, n);
    if (pads != NULL)
        onnx_attr_ints(w, "pads", pads, 2 * n);
    if (dilation != NULL)
        onnx_attr_ints(w, "dilations", dilation, n);
}

static void conv(onnx_writer *w, const char *op, const char *x, const char *weights, const char *bias, const char *y, int64_t group,
                 const int64_t *stride, const int64_t *pads, const int64_t *dilation, size_t n) {
    onnx_node_begin(w, op, y);
    onnx_node_in(w, x);
    onnx_node_in(w, weights);
    if (bias != NULL)
        onnx_node_in(w, bias);
    onnx_node_out(w, y);
    attr_window(w, NULL, stride, pads, dilation, n);
    onnx_attr_int(w, "group", group);
    onnx_node_end(w);
}

static void node(onnx_writer *w, const char *op, const char *a, const char *b, const char *y, const char *attr, int64_t v) {
    onnx_node_begin(w, op, y);
    onnx_node_in(w, a);
    if (b != NULL)
        onnx_node_in(w, b);
    onnx_node_out(w, y);
    if (attr != NULL)
        onnx_attr_int(w, attr, v);
    onnx_node_end(w);
}

/* Runs the model as built (folded and fused, or not) on both; every output must agree. Twice, because a plan must not eat its own weights.
 */
static void compare(onnx_writer *w, const char *what, double limit) {
    rad_error err = {0};
    rad_model *m = NULL;
    rad_backend *be = NULL;
    onnx_end(w);
    assert_ok(rad_model_open_memory(w->model.p, w->model.n, what, &m, &err));
    assert_ok(rad_backend_open("onednn", &be, &err));
    for (int raw = 0; raw < 2; raw++) {
        rad_graph *g = NULL;
        void **want = NULL, *got[4] = {0};
        const void *in[4];
        rad_tensor t_in[4], t_out[4];
        assert_ok(rad_graph_build(m, &(rad_graph_opts){.no_fold = raw == 1}, &g, &err));
        for (int i = 0; i < g->n_input; i++) {
            in[i] = noise + i * 1000;
            t_in[i] = (rad_tensor){.dtype = RAD_DT_F32, .shape = g->value[g->input[i]].shape, .data = noise + i * 1000};
        }
        assert_ok(graph_eval(g, in, &want, &err));
        for (int i = 0; i < g->n_output; i++) {
            const rad_value *v = &g->value[g->output[i]];
            got[i] = malloc(graph_bytes(v) + 1);
            t_out[i] = (rad_tensor){.dtype = v->dtype, .shape = v->shape, .data = got[i]};
        }
        for (int again = 0; again < 2; again++) {
            assert_ok(rad_backend_run_graph(be, g, RAD_PREC_FP32, t_in, t_out, &err));
            for (int i = 0; i < g->n_output; i++) {
                const rad_value *v = &g->value[g->output[i]];
                assert_int_equal(v->dtype, RAD_DT_F32);
                const double d = graph_difference(got[i], want[i], rad_shape_count(&v->shape));
                if (!(d <= limit))
                    fail_msg("%s (%s): output %d is off by %g of its largest", what, raw ? "as written" : "folded", i, d);
            }
        }
        for (int i = 0; i < g->n_output; i++)
            free(got[i]);
        graph_eval_release(g, want);
        rad_graph_destroy(&g);
    }
    rad_backend_close(&be);
    rad_model_close(&m);
    onnx_release(w);
}

static void test_conv(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int64_t c, k, group, kernel, stride, begin, end, dilation, size;
    } cases[] = {
        {"stem", 3, 64, 1, 7, 2, 3, 3, 1, 33},
        {"1x1", 64, 32, 1, 1, 1, 0, 0, 1, 14},
        {"1x1 stride", 32, 48, 1, 1, 2, 0, 0, 1, 15},
        {"3x3", 32, 64, 1, 3, 1, 1, 1, 1, 12},
        {"winograd", 64, 64, 1, 3, 1, 1, 1, 1, 28},
        {"3x3 stride", 16, 32, 1, 3, 2, 1, 1, 1, 13},
        {"odd channels", 7, 5, 1, 3, 1, 1, 1, 1, 9},
        {"same lower", 8, 8, 1, 4, 1, 2, 1, 1, 9},
        {"dilated", 16, 16, 1, 3, 1, 2, 2, 2, 16},
        {"depthwise", 32, 32, 32, 3, 1, 1, 1, 1, 14},
        {"depthwise odd", 9, 9, 9, 5, 2, 2, 2, 1, 17},
        {"grouped", 64, 64, 4, 3, 1, 1, 1, 1, 10},
        {"grouped odd", 12, 18, 3, 3, 1, 0, 2, 1, 11},
        {"no output overlap", 4, 6, 1, 2, 3, 0, 0, 1, 11},
        {"winograd valid", 32, 64, 1, 3, 1, 0, 0, 1, 30},
        {"winograd asymmetric", 48, 64, 1, 3, 1, 0, 2, 1, 24},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int bias = 0; bias < 2; bias++) {
            onnx_writer w = {0};
            onnx_begin(&w, 17);
            onnx_input(&w, "x", 1, D(1, cases[i].c, cases[i].size, cases[i].size + 3));
            init(&w, "w", DU(cases[i].k, cases[i].c / cases[i].group, cases[i].kernel, cases[i].kernel));
            init(&w, "b", DU(cases[i].k));
            conv(&w, "Conv", "x", "w", bias ? "b" : NULL, "y", cases[i].group, (int64_t[]){cases[i].stride, cases[i].stride},
                 (int64_t[]){cases[i].begin, cases[i].begin, cases[i].end, cases[i].end}, (int64_t[]){cases[i].dilation, cases[i].dilation},
                 2);
            node(&w, "Relu", "y", NULL, "z", NULL, 0);
            onnx_output(&w, bias ? "z" : "y");
            compare(&w, cases[i].what, 1e-5);
        }
}

static void test_conv_dims(void **state) {
    (void)state;
    onnx_writer w = {0};
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, D(2, 16, 6, 7, 8));
    init(&w, "w", DU(16, 16, 3, 1, 3));
    conv(&w, "Conv", "x", "w", NULL, "y", 1, (int64_t[]){1, 2, 1}, (int64_t[]){1, 0, 1, 1, 0, 1}, NULL, 3);
    onnx_output(&w, "y");
    compare(&w, "3d", 1e-5);
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, D(2, 6, 33));
    init(&w, "w", DU(10, 3, 5));
    conv(&w, "Conv", "x", "w", NULL, "y", 2, (int64_t[]){2}, (int64_t[]){2, 1}, NULL, 1);
    onnx_output(&w, "y");
    compare(&w, "1d", 1e-5);
    for (int64_t group = 1; group <= 2; group++)
        for (int64_t more = 0; more < 2; more++) {
            onnx_begin(&w, 17);
            onnx_input(&w, "x", 1, D(1, 8, 7, 9));
            init(&w, "w", DU(8, 6, 3, 3));
            init(&w, "b", DU(6 * group));
            onnx_node_begin(&w, "ConvTranspose", "y");
            onnx_node_in(&w, "x");
            onnx_node_in(&w, "w");
            onnx_node_in(&w, "b");
            onnx_node_out(&w, "y");
            attr_window(&w, NULL, (int64_t[]){2, 2}, (int64_t[]){1, 0, 1, 1}, NULL, 2);
            onnx_attr_ints(&w, "output_padding", (int64_t[]){more, more}, 2);
            onnx_attr_int(&w, "group", group);
            onnx_node_end(&w);
            onnx_output(&w, "y");
            compare(&w, "transposed", 1e-5);
        }
    /* weights that are computed, not constant */
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, D(1, 8, 7, 9));
    onnx_input(&w, "v", 1, D(12, 4, 3, 3));
    conv(&w, "Conv", "x", "v", NULL, "y", 2, NULL, NULL, NULL, 2);
    onnx_output(&w, "y");
    compare(&w, "computed weights", 1e-5);
}

/* y = relu(conv(a) + r) where r is, in turn, dead afterwards, read again, the convolution's own input, a graph input, a graph output. */
static void test_residual(void **state) {
    (void)state;
    for (int shape = 0; shape < 2; shape++) { /* direct and Winograd: other layouts */
        const int64_t size = shape ? 28 : 10, kernel = shape ? 3 : 1;
        for (int kind = 0; kind < 5; kind++) {
            onnx_writer w = {0};
            const char *a = "a", *r = "r";
            onnx_begin(&w, 17);
            onnx_input(&w, "x", 1, D(1, 64, size, size));
            init(&w, "w1", DU(64, 64, 1, 1));
            init(&w, "w2", DU(64, 64, kernel, kernel));
            init(&w, "w3", DU(64, 64, kernel, kernel));
            const int64_t p = kernel / 2;
            conv(&w, "Conv", "x", "w1", NULL, "r", 1, NULL, NULL, NULL, 2);
            conv(&w, "Conv", "x", "w2", NULL, "a", 1, NULL, (int64_t[]){p, p, p, p}, NULL, 2);
            if (kind == 2)
                a = "r";
            if (kind == 3)
                r = "x";
            conv(&w, "Conv", a, "w3", NULL, "c", 1, NULL, (int64_t[]){p, p, p, p}, NULL, 2);
            node(&w, "Add", "c", r, "s", NULL, 0);
            node(&w, "Relu", "s", NULL, "y", NULL, 0);
            onnx_output(&w, "y");
            if (kind == 1) {
                node(&w, "Mul", "y", "r", "q", NULL, 0);
                onnx_output(&w, "q");
            }
            if (kind == 4)
                onnx_output(&w, "r");
            compare(&w, "residual", 1e-5);
        }
    }
}

static void test_pool(void **state) {
    (void)state;
    static const char *const ops[] = {"MaxPool", "AveragePool"};
    for (int op = 0; op < 2; op++)
        for (int ceil = 0; ceil < 2; ceil++)
            for (int count = 0; count < 2; count++)
                for (int64_t c = 5; c <= 16; c += 11) {
                    onnx_writer w = {0};
                    onnx_begin(&w, 17);
                    onnx_input(&w, "x", 1, D(1, c, 10, 12));
                    init(&w, "w", DU(c, c, 1, 1));
                    conv(&w, "Conv", "x", "w", NULL, "v", 1, NULL, NULL, NULL, 2);
                    onnx_node_begin(&w, ops[op], "p");
                    onnx_node_in(&w, "v");
                    onnx_node_out(&w, "y");
                    attr_window(&w, (int64_t[]){3, 3}, (int64_t[]){2, 3}, (int64_t[]){1, 0, 1, 1}, NULL, 2);
                    onnx_attr_int(&w, "ceil_mode", ceil);
                    if (op == 1)
                        onnx_attr_int(&w, "count_include_pad", count);
                    onnx_node_end(&w);
                    node(&w, op == 0 ? "GlobalMaxPool" : "GlobalAveragePool", "y", NULL, "z", NULL, 0);
                    onnx_output(&w, "y");
                    onnx_output(&w, "z");
                    compare(&w, ops[op], 1e-5);
                }
    onnx_writer w = {0};
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, D(1, 4, 10, 12));
    onnx_node_begin(&w, "MaxPool", "p");
    onnx_node_in(&w, "x");
    onnx_node_out(&w, "y");
    attr_window(&w, (int64_t[]){2, 3}, (int64_t[]){1, 2}, NULL, (int64_t[]){3, 2}, 2);
    onnx_node_end(&w);
    onnx_output(&w, "y");
    compare(&w, "dilated", 0.0);
}

static void test_reduce(void **state) {
    (void)state;
    static const char *const ops[] = {"ReduceMean", "ReduceMax"};
    static const int64_t axes[][2] = {{2, 3}, {1, 3}, {-1, -1}, {0, 1}};
    for (int op = 0; op < 2; op++)
        for (int keep = 0; keep < 2; keep++)
            for (int a = 0; a < 4; a++) {
                onnx_writer w = {0};
                onnx_begin(&w, 13);
                onnx_input(&w, "x", 1, D(2, 20, 5, 6));
                init(&w, "w", DU(24, 20, 1, 1));
                conv(&w, "Conv", "x", "w", NULL, "v", 1, NULL, NULL, NULL, 2);
                onnx_node_begin(&w, ops[op], "r");
                onnx_node_in(&w, "v");
                onnx_node_out(&w, "y");
                onnx_attr_ints(&w, "axes", axes[a], a == 2 ? 1 : 2);
                onnx_attr_int(&w, "keepdims", keep);
                onnx_node_end(&w);
                onnx_output(&w, "y");
                compare(&w, ops[op], 1e-5);
            }
}

static void test_unary(void **state) {
    (void)state;
    static const char *const ops[] = {"Abs",  "Elu", "Exp",         "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Softplus",   "Sqrt",
                                      "Tanh", "Neg", "HardSigmoid", "Erf",       "Gelu",      "Selu", "Softmax", "LogSoftmax", "Clip"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (int used_again = 0; used_again < 2; used_again++) { /* may the node write over its input? */
            onnx_writer w = {0};
            onnx_begin(&w, strcmp(ops[i], "Gelu") == 0 ? 20 : 17);
            onnx_input(&w, "x", 1, D(1, 12, 5, 7));
            init(&w, "low", NULL, 0);
            init(&w, "w", DU(20, 12, 1, 1));
            conv(&w, "Conv", "x", "w", NULL, "v", 1, NULL, NULL, NULL, 2);
            node(&w, "Abs", "v", NULL, "a", NULL, 0);
            const char *x = strcmp(ops[i], "Sqrt") == 0 ? "a" : "v";
            onnx_node_begin(&w, ops[i], "u");
            onnx_node_in(&w, x);
            if (strcmp(ops[i], "Clip") == 0)
                onnx_node_in(&w, "low");
            onnx_node_out(&w, "y");
            onnx_node_end(&w);
            onnx_output(&w, "y");
            if (used_again) {
                node(&w, "Sub", x, "y", "z", NULL, 0);
                onnx_output(&w, "z");
            }
            compare(&w, ops[i], 4e-6);
        }
    static const float scalars[][3] = {{1.41421354f, 1, 0.5f}, {1.41421354f, 1, 0.25f}, {1.41421354f, 0.5f, 0.5f}, {1.5f, 1, 0.5f}};
    for (int k = 0; k < 6; k++) { /* Gelu written out, and what only looks like it */
        onnx_writer w = {0};
        const float *c = scalars[k < 4 ? k : 0];
        onnx_begin(&w, 17);
        onnx_input(&w, "x", 1, D(1, 12, 5, 7));
        init(&w, "w", DU(20, 12, 1, 1));
        onnx_init_f32(&w, "root", NULL, 0, &c[0]);
        onnx_init_f32(&w, "one", NULL, 0, &c[1]);
        onnx_init_f32(&w, "half", NULL, 0, &c[2]);
        conv(&w, "Conv", "x", "w", NULL, "v", 1, NULL, NULL, NULL, 2);
        node(&w, "Div", "v", "root", "d", NULL, 0);
        node(&w, "Erf", "d", NULL, "e", NULL, 0);
        node(&w, "Add", "e", "one", "a", NULL, 0);
        node(&w, "Mul", k == 4 ? "d" : "v", "a", "m", NULL, 0);
        node(&w, "Mul", "m", "half", "y", NULL, 0);
        onnx_output(&w, "y");
        if (k == 5)
            onnx_output(&w, "a");
        compare(&w, "gelu", 2e-6);
    }
    onnx_writer w = {0};
    onnx_begin(&w, 11); /* softmax over everything from the axis on */
    onnx_input(&w, "x", 1, D(2, 3, 4, 5));
    node(&w, "Softmax", "x", NULL, "y", "axis", 2);
    onnx_output(&w, "y");
    compare(&w, "softmax 11", 1e-6);
}

static void test_binary(void **state) {
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Max", "Min"};
    static const int64_t second[][4] = {{2, 20, 5, 6}, {1, 20, 1, 1}, {1, 1, 1, 1}, {2, 1, 5, 6},
                                        {2, 20, 1, 1}, {1, 1, 5, 6},  {1, 1, 1, 6}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        for (size_t s = 0; s < sizeof second / sizeof *second; s++)
            for (int swapped = 0; swapped < 2; swapped++) {
                onnx_writer w = {0};
                onnx_begin(&w, 17);
                onnx_input(&w, "x", 1, D(2, 16, 5, 6));
                onnx_input(&w, "b", 1, D(second[s][0], second[s][1], second[s][2], second[s][3]));
                init(&w, "w", DU(20, 16, 1, 1));
                init(&w, "three", DU(1));
                conv(&w, "Conv", "x", "w", NULL, "v", 1, NULL, NULL, NULL, 2);
                node(&w, "Abs", "b", NULL, "c0", NULL, 0);
                node(&w, "Exp", "c0", NULL, "c", NULL, 0); /* away from zero, for Div */
                node(&w, "Exp", "v", NULL, "d", NULL, 0);
                node(&w, ops[i], swapped ? "c" : "d", swapped ? "d" : "c", "y", NULL, 0);
                node(&w, ops[i], "y", "y", "z", NULL, 0);
                onnx_output(&w, "y");
                onnx_output(&w, "z");
                compare(&w, ops[i], 4e-6);
            }
}

static void test_norm(void **state) {
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        onnx_writer w = {0};
        static float variance[20];
        for (int i = 0; i < 20; i++)
            variance[i] = 0.25f + (float)i;
        onnx_begin(&w, 17);
        onnx_input(&w, "x", 1, D(1, 20, 5, 6));
        init(&w, "s", DU(20));
        init(&w, "b", DU(20));
        init(&w, "m", DU(20));
        onnx_init_f32(&w, "v", DU(20), variance);
        onnx_node_begin(&w, "BatchNormalization", "bn");
        onnx_node_in(&w, "x");
        onnx_node_in(&w, "s");
        onnx_node_in(&w, "b");
        onnx_node_in(&w, "m");
        onnx_node_in(&w, "v");
        onnx_node_out(&w, "n");
        onnx_node_end(&w);
        node(&w, relu ? "Relu" : "Tanh", "n", NULL, "y", NULL, 0);
        onnx_output(&w, "y");
        compare(&w, "batch norm", 1e-6);
    }
    onnx_writer w = {0};
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, D(1, 12, 12, 10));
    init(&w, "s", DU(20));
    init(&w, "b", DU(20));
    init(&w, "w", DU(20, 12, 1, 1));
    init(&w, "w2", DU(30, 20, 1, 1));
    init(&w, "m", DU(20, 20));
    conv(&w, "Conv", "x", "w", NULL, "v", 1, NULL, NULL, NULL, 2);
    onnx_node_begin(&w, "Transpose", "t");
    onnx_node_in(&w, "v");
    onnx_node_out(&w, "t");
    onnx_attr_ints(&w, "perm", (int64_t[]){0, 2, 3, 1}, 4);
    onnx_node_end(&w);
    onnx_simple(&w, "LayerNormalization", "t", "s", "b", NULL, "n");
    onnx_simple(&w, "MatMul", "n", "m", NULL, NULL, "q");
    onnx_node_begin(&w, "Transpose", "t2");
    onnx_node_in(&w, "q");
    onnx_node_out(&w, "t2");
    onnx_attr_ints(&w, "perm", (int64_t[]){0, 3, 1, 2}, 4);
    onnx_node_end(&w);
    conv(&w, "Conv", "t2", "w2", NULL, "y", 1, NULL, NULL, NULL, 2);
    onnx_output(&w, "y");
    onnx_output(&w, "t");
    compare(&w, "channels-last block", 1e-5);
}

static void test_products(void **state) {
    (void)state;
    for (int trans = 0; trans < 2; trans++)
        for (int bias = 0; bias < 3; bias++) {
            onnx_writer w = {0};
            onnx_begin(&w, 17);
            onnx_input(&w, "x", 1, D(3, 16, 2, 2));
            if (trans)
                init(&w, "w", DU(10, 64));
            else
                init(&w, "w", DU(64, 10));
            if (bias == 1)
                init(&w, "b", DU(10));
            else
                init(&w, "b", DU(3, 1));
            node(&w, "Flatten", "x", NULL, "f", NULL, 0);
            onnx_node_begin(&w, "Gemm", "g");
            onnx_node_in(&w, "f");
            onnx_node_in(&w, "w");
            if (bias)
                onnx_node_in(&w, "b");
            onnx_node_out(&w, "y");
            onnx_attr_int(&w, "transB", trans);
            if (bias == 2)
                onnx_attr_float(&w, "beta", 0.5f);
            onnx_node_end(&w);
            onnx_output(&w, "y");
            compare(&w, "gemm", 1e-5);
        }
    onnx_writer w = {0};
    onnx_begin(&w, 17);
    onnx_input(&w, "a", 1, D(2, 1, 5, 7));
    onnx_input(&w, "b", 1, D(3, 7, 4));
    node(&w, "MatMul", "a", "b", "y", NULL, 0);
    onnx_output(&w, "y");
    compare(&w, "batched matmul", 1e-5);
}

/* Concatenation of every mixture: fits channel blocks or not, the same tensor twice, growing as in a dense block, inputs used elsewhere. */
static void test_concat(void **state) {
    (void)state;
    for (int64_t c = 16; c <= 24; c += 8)
        for (int64_t batch = 1; batch <= 2; batch++) {
            onnx_writer w = {0};
            onnx_begin(&w, 17);
            onnx_input(&w, "x", 1, D(batch, c, 8, 8));
            init(&w, "w1", DU(c, c, 1, 1));
            init(&w, "w2", DU(32, 2 * c, 3, 3));
            init(&w, "w3", DU(16, 2 * c + 32, 1, 1));
            conv(&w, "Conv", "x", "w1", NULL, "f", 1, NULL, NULL, NULL, 2);
            node(&w, "Relu", "f", NULL, "g", NULL, 0);
            node(&w, "Concat", "f", "g", "k1", "axis", 1);
            conv(&w, "Conv", "k1", "w2", NULL, "h", 1, NULL, (int64_t[]){1, 1, 1, 1}, NULL, 2);
            onnx_node_begin(&w, "Concat", "k2");
            onnx_node_in(&w, "f");
            onnx_node_in(&w, "g");
            onnx_node_in(&w, "h");
            onnx_node_out(&w, "k2");
            onnx_attr_int(&w, "axis", 1);
            onnx_node_end(&w);
            node(&w, "Tanh", "k2", NULL, "t", NULL, 0);
            conv(&w, "Conv", "t", "w3", NULL, "q", 1, NULL, NULL, NULL, 2);
            node(&w, "Concat", "q", "q", "k3", "axis", 1);
            node(&w, "Concat", "k3", "k2", "k4", "axis", -3);
            node(&w, "Concat", "f", "g", "k5", "axis", 2);
            onnx_output(&w, "k4");
            onnx_output(&w, "k5");
            onnx_output(&w, "h");
            compare(&w, "concat", 1e-5);
        }
}

/* Views of views of a tensor that is written over in the end, and an output that is only a view of the input. */
static void test_views(void **state) {
    (void)state;
    onnx_writer w = {0};
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, D(2, 6, 4, 5));
    onnx_init_i64(&w, "shape", DU(3), (int64_t[]){2, 12, 10});
    onnx_init_i64(&w, "axes", DU(1), (int64_t[]){1});
    onnx_simple(&w, "Reshape", "x", "shape", NULL, NULL, "r");
    onnx_simple(&w, "Unsqueeze", "r", "axes", NULL, NULL, "u");
    onnx_simple(&w, "Tanh", "r", NULL, NULL, NULL, "t");
    onnx_simple(&w, "Squeeze", "u", "axes", NULL, NULL, "s");
    onnx_simple(&w, "Sub", "s", "t", NULL, NULL, "y");
    onnx_simple(&w, "Identity", "u", NULL, NULL, NULL, "v");
    onnx_output(&w, "y");
    onnx_output(&w, "v");
    onnx_output(&w, "t");
    compare(&w, "views", 1e-6);
    onnx_begin(&w, 17); /* nodes that only the operator table knows, between fast ones */
    onnx_input(&w, "x", 1, D(1, 6, 8, 8));
    init(&w, "w", DU(6, 6, 3, 3));
    conv(&w, "Conv", "x", "w", NULL, "a", 1, NULL, (int64_t[]){1, 1, 1, 1}, NULL, 2);
    onnx_simple(&w, "Erf", "a", NULL, NULL, NULL, "e");
    onnx_node_begin(&w, "DepthToSpace", "d");
    onnx_node_in(&w, "e");
    onnx_node_out(&w, "d");
    onnx_attr_int(&w, "blocksize", 1);
    onnx_node_end(&w);
    conv(&w, "Conv", "d", "w", NULL, "b", 1, NULL, (int64_t[]){1, 1, 1, 1}, NULL, 2);
    onnx_simple(&w, "Add", "b", "e", NULL, NULL, "y");
    onnx_output(&w, "y");
    compare(&w, "evaluated", 1e-5);
}

static int prepare(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
        noise[i] = unit_number((uint32_t)i);
    return 0;
}

int main(void) {
    char text[512];
    if (!rad_backend_probe("onednn", text, sizeof text)) {
        printf("SKIP: onednn is %s\n", text);
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),     cmocka_unit_test(test_conv_dims), cmocka_unit_test(test_residual), cmocka_unit_test(test_pool),
        cmocka_unit_test(test_reduce),   cmocka_unit_test(test_unary),     cmocka_unit_test(test_binary),   cmocka_unit_test(test_norm),
        cmocka_unit_test(test_products), cmocka_unit_test(test_concat),    cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
