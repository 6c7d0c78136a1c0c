/* RAD_TEST_LINK: rad_cudnnplan rad_model
 * The cuDNN backend's translators and kernels, run on the CPU by their own inline functions, against the operators' definitions: for
 * channel counts that are and are not multiples of 8, in float32 and with float16 storage. */
#include "op_case.h"

#include "infer/cudnn/plan.h"

/* Some operators make float32 sums of a few hundred terms of size 4: 1e-5. float16 keeps 11 bits of every input and output. */
static const double limit[] = {[RAD_PREC_FP32] = 1e-5, [RAD_PREC_FP16] = 6e-3};

/* Outputs `want` of a graph fed with x, by its plan on the CPU. */
static void compare(const rad_graph *g, const rad_tensor *x, const rad_tensor *want, rad_precision p, const char *name) {
    rad_error err;
    struct g_plan *plan = NULL;
    const int64_t n = rad_shape_count(&x->shape), n_out = rad_shape_count(&want->shape);
    float *in = malloc((size_t)n * sizeof *in), *y = malloc((size_t)n_out * sizeof *y);
    assert_true(in != NULL && y != NULL);
    memcpy(in, x->data, (size_t)n * sizeof *in);
    const rad_tensor t = {RAD_DT_F32, x->shape, in};
    rad_tensor out = {RAD_DT_F32, want->shape, y};
    for (int i = 0; i < g->n_node; i++) {
        char why[256];
        if (!g_supports(g, &g->node[i], p, why, sizeof why))
            fail_msg("%s is refused: %s", g->node[i].op->name, why);
    }
    assert_ok(g_plan_build(g, p, &plan, &err));
    assert_ok(g_plan_run_host(plan, &t, &out, &err));
    double largest = 1;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n_out; i++) {
            float w;
            memcpy(&w, (const char *)want->data + i * 4, sizeof w);
            if (pass == 0)
                largest = fmax(largest, fabs((double)w));
            else if (!(fabs((double)y[i] - (double)w) <= limit[p] * largest))
                fail_msg("%s, %d nodes, %s: element %lld is %.9g, want %.9g", name, g->n_node, p == RAD_PREC_FP32 ? "fp32" : "fp16",
                         (long long)i, (double)y[i], (double)w);
        }
    g_plan_free(plan);
    free(in);
    free(y);
}

enum { FILTERS = 4 };

static rad_value plain_value(const rad_shape *s, const void *data, int producer) {
    return (rad_value){.name = "v", .dtype = RAD_DT_F32, .shape = *s, .data = data, .producer = producer, .n_use = 1};
}

/* The node between a pool of one place, which brings its input into the layout of images, and a convolution, which reads what the node left
 * in the padding of the channels. `value` has room for more; the node is node[1] already. */
static void between(const op_case *c, rad_graph *g, rad_value *value, rad_node *node) {
    static const int64_t one[3] = {1, 1, 1};
    rad_error err;
    const rad_shape s = c->out[0].shape, xs = c->in[0].shape;
    const int x = c->n_value, w = x + 1, y = x + 2, output = c->output[0];
    int conv_in[2] = {output, w}, conv_out = y, pool_in = x, pool_out = 0;
    float want[4096];
    rad_shape ws = s, ys = s;
    rad_attr kernel = {.name = "kernel_shape", .kind = RAD_ATTR_INTS, .n = xs.rank - 2, .ints = one};
    ws.dim[0] = ys.dim[1] = FILTERS;
    for (int i = 2; i < s.rank; i++)
        ws.dim[i] = 1;
    value[0].producer = 0;
    value[output].producer = 1;
    value[x] = plain_value(&xs, NULL, -1);
    value[w] = plain_value(&ws, op_sequence(FILTERS * s.dim[1], 7), -1);
    value[y] = plain_value(&ys, NULL, 2);
    node[0] = (rad_node){.op = rad_op_find("MaxPool", ""),
                         .name = "before",
                         .n_input = 1,
                         .n_output = 1,
                         .input = &pool_in,
                         .output = &pool_out,
                         .n_attr = 1,
                         .attr = &kernel,
                         .opset = 17,
                         .residual = -1};
    node[2] = (rad_node){.op = rad_op_find("Conv", ""),
                         .name = "after",
                         .n_input = 2,
                         .n_output = 1,
                         .input = conv_in,
                         .output = &conv_out,
                         .opset = 17,
                         .residual = -1};
    assert_true(rad_shape_count(&ys) <= 4096);
    rad_tensor t[2] = {c->out[0], {RAD_DT_F32, ws, NULL}}, out = {RAD_DT_F32, ys, want};
    memcpy(&t[1].data, &value[w].data, sizeof t[1].data);
    assert_ok(rad_node_eval(&node[2], t, NULL, &out, &err));
    *g = (rad_graph){.n_value = c->n_value + 3,
                     .value = value,
                     .n_node = 3,
                     .node = node,
                     .n_input = 1,
                     .n_output = 1,
                     .input = &pool_in,
                     .output = &conv_out,
                     .hash = "test"};
    for (int p = RAD_PREC_FP32; p <= RAD_PREC_FP16; p += RAD_PREC_FP16 - RAD_PREC_FP32)
        compare(g, &c->in[0], &out, (rad_precision)p, c->node.op->name);
}

/* The node alone in a graph, its first input fed, the others constant; then between two others. */
static void finish(op_case *c) {
    rad_value value[2 * OP_CASE_MAX + 4];
    rad_node node[3];
    int input = 0, output;
    op_run(c, 1);
    output = c->output[0];
    for (int v = 0; v < c->n_value; v++) {
        value[v] = c->value[v];
        value[v].name = "v";
        value[v].n_use = 1;
        value[v].producer = v == output ? 0 : -1;
    }
    value[input].data = value[output].data = NULL;
    node[1] = c->node;
    node[1].n_output = 1;
    rad_graph g = {.n_value = c->n_value,
                   .value = value,
                   .n_node = 1,
                   .node = node + 1,
                   .n_input = 1,
                   .n_output = 1,
                   .input = &input,
                   .output = &output,
                   .hash = "test"};
    for (int p = RAD_PREC_FP32; p <= RAD_PREC_FP16; p += RAD_PREC_FP16 - RAD_PREC_FP32)
        compare(&g, &c->in[0], &c->out[0], (rad_precision)p, c->node.op->name);
    if (c->out[0].shape.rank >= 3 && c->out[0].shape.rank <= 5 && c->in[0].shape.rank >= 3 && c->in[0].shape.rank <= 5)
        between(c, &g, value, node);
    op_end(c);
}

static void in(op_case *c, int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    op_in_f32(c, rank, dim, op_sequence(n, c->node.n_input + 1));
}

static void begin(op_case *c, const char *op, int opset, int rank, const int64_t *dim) {
    op_begin(c, op, opset);
    in(c, rank, dim);
}

static void convolutions(void **state) {
    (void)state;
    static const int64_t channels[][3] = {{3, 5, 1}, {8, 16, 1}, {16, 16, 2}, {12, 12, 12}, {6, 9, 3}, {16, 8, 8}};
    op_case c;
    for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
        const int64_t x = channels[k][0], y = channels[k][1], g = channels[k][2];
        begin(&c, "Conv", 17, OP_DIMS(2, x, 9, 7)); /* asymmetric, strided, dilated */
        in(&c, OP_DIMS(y, x / g, 3, 2));
        in(&c, OP_DIMS(y));
        op_int(&c, "group", g);
        op_ints(&c, "strides", 2, OP_LONGS(2, 1));
        op_ints(&c, "pads", 4, OP_LONGS(1, 0, 2, 1));
        op_ints(&c, "dilations", 2, OP_LONGS(1, 2));
        finish(&c);
        begin(&c, "Conv", 11, OP_DIMS(2, x, 4, 5, 3)); /* volumes */
        in(&c, OP_DIMS(y, x / g, 2, 3, 3));
        op_int(&c, "group", g);
        op_text(&c, "auto_pad", "SAME_UPPER");
        finish(&c);
        begin(&c, "Conv", 11, OP_DIMS(3, x, 20)); /* rows */
        in(&c, OP_DIMS(y, x / g, 5));
        in(&c, OP_DIMS(y));
        op_int(&c, "group", g);
        finish(&c);
        begin(&c, "ConvTranspose", 11, OP_DIMS(2, x, 5, 4));
        in(&c, OP_DIMS(x, y / g, 3, 3));
        in(&c, OP_DIMS(y));
        op_int(&c, "group", g);
        op_ints(&c, "strides", 2, OP_LONGS(2, 3));
        op_ints(&c, "pads", 4, OP_LONGS(1, 0, 1, 1));
        op_ints(&c, "output_padding", 2, OP_LONGS(1, 0));
        finish(&c);
    }
}

static void pools(void **state) {
    (void)state;
    static const char *const op[] = {"MaxPool", "AveragePool"};
    op_case c;
    for (int channels = 3; channels <= 16; channels += 13)
        for (int k = 0; k < 2; k++)
            for (int ceil = 0; ceil < 2; ceil++)
                for (int with = 0; with < 2 - (k == 0); with++) {
                    begin(&c, op[k], 17, OP_DIMS(2, channels, 9, 8));
                    op_ints(&c, "kernel_shape", 2, OP_LONGS(3, 2));
                    op_ints(&c, "strides", 2, OP_LONGS(2, 3));
                    op_ints(&c, "pads", 4, OP_LONGS(1, 0, 0, 1));
                    op_int(&c, "ceil_mode", ceil);
                    if (k == 1)
                        op_int(&c, "count_include_pad", with);
                    finish(&c);
                    begin(&c, op[k], 17, OP_DIMS(1, channels, 5, 4, 6));
                    op_ints(&c, "kernel_shape", 3, OP_LONGS(2, 2, 3));
                    finish(&c);
                }
    for (int channels = 3; channels <= 16; channels += 13) {
        begin(&c, "GlobalAveragePool", 1, OP_DIMS(3, channels, 11, 7));
        finish(&c);
        begin(&c, "GlobalMaxPool", 1, OP_DIMS(3, channels, 5, 3, 2));
        finish(&c);
        begin(&c, "ReduceMean", 13, OP_DIMS(2, channels, 6, 5));
        op_ints(&c, "axes", 2, OP_LONGS(2, -1));
        op_int(&c, "keepdims", 0);
        finish(&c);
        begin(&c, "ReduceL2", 13, OP_DIMS(2, channels, 6, 5));
        op_ints(&c, "axes", 1, OP_LONGS(1));
        finish(&c);
        begin(&c, "ReduceMax", 13, OP_DIMS(2, channels, 37));
        op_ints(&c, "axes", 1, OP_LONGS(2));
        finish(&c);
    }
}

static void rows(void **state) {
    (void)state;
    op_case c;
    for (int axis = 0; axis < 4; axis++) {
        begin(&c, "Softmax", 13, OP_DIMS(2, 5, 3, 41));
        op_int(&c, "axis", axis);
        finish(&c);
        begin(&c, "LogSoftmax", 11, OP_DIMS(2, 5, 3, 4));
        op_int(&c, "axis", axis);
        finish(&c);
    }
    begin(&c, "LayerNormalization", 17, OP_DIMS(2, 3, 5, 20));
    in(&c, OP_DIMS(20));
    in(&c, OP_DIMS(20));
    finish(&c);
    begin(&c, "LayerNormalization", 17, OP_DIMS(2, 3, 50));
    in(&c, OP_DIMS(3, 50));
    op_int(&c, "axis", 1);
    finish(&c);
    begin(&c, "InstanceNormalization", 6, OP_DIMS(2, 6, 5, 4));
    in(&c, OP_DIMS(6));
    in(&c, OP_DIMS(6));
    finish(&c);
    begin(&c, "GroupNormalization", 21, OP_DIMS(2, 6, 5, 4));
    in(&c, OP_DIMS(6));
    in(&c, OP_DIMS(6));
    op_int(&c, "num_groups", 3);
    finish(&c);
    begin(&c, "BatchNormalization", 15, OP_DIMS(2, 5, 4, 3));
    in(&c, OP_DIMS(5));
    in(&c, OP_DIMS(5));
    in(&c, OP_DIMS(5));
    op_in_f32(&c, OP_DIMS(5), OP_LIST(0.5f, 1.0f, 2.0f, 0.25f, 4.0f));
    finish(&c);
}

static void products(void **state) {
    (void)state;
    op_case c;
    begin(&c, "Gemm", 13, OP_DIMS(3, 21));
    in(&c, OP_DIMS(10, 21));
    in(&c, OP_DIMS(10));
    op_int(&c, "transB", 1);
    op_float(&c, "alpha", 0.5f);
    op_float(&c, "beta", 2.0f);
    finish(&c);
    begin(&c, "MatMul", 13, OP_DIMS(2, 4, 5, 12));
    in(&c, OP_DIMS(12, 7));
    finish(&c);
    begin(&c, "MatMul", 13, OP_DIMS(2, 3, 5, 6)); /* batches, one of them broadcast */
    in(&c, OP_DIMS(3, 6, 4));
    finish(&c);
}

static void functions_and_broadcasts(void **state) {
    (void)state;
    static const char *const one[] = {
        "Abs", "Celu", "Clip",  "Cos",  "Elu",     "Erf",  "Exp", "Floor",    "HardSigmoid", "HardSwish", "LeakyRelu",      "Mish",
        "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign",    "Tanh",      "ThresholdedRelu"};
    static const char *const two[] = {"Add", "Sub", "Mul", "Max", "Min", "PRelu"};
    op_case c;
    for (size_t k = 0; k < sizeof one / sizeof *one; k++) {
        const bool steps = strcmp(one[k], "Floor") == 0 || strcmp(one[k], "Round") == 0 || strcmp(one[k], "Sign") == 0;
        begin(&c, one[k], 18,
              OP_DIMS(2, steps ? 1 : 5, 4, steps ? 1 : 3)); /* steps: as float32, where rounding cannot move a value over one */
        if (strcmp(one[k], "Clip") == 0) {
            op_in_number(&c, -0.5f);
            op_in_number(&c, 1.25f);
        }
        finish(&c);
    }
    for (size_t k = 0; k < sizeof two / sizeof *two; k++) {
        static const int64_t shape[][4] = {{2, 5, 4, 3}, {1, 5, 1, 1}, {1, 1, 1, 1}, {1, 1, 4, 3}, {1, 5, 1, 3}};
        for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
            begin(&c, two[k], 16, OP_DIMS(2, 5, 4, 3));
            in(&c, 4, shape[s]);
            finish(&c);
        }
        begin(&c, two[k], 16, OP_DIMS(2, 5, 4, 3));
        in(&c, OP_DIMS(3));
        finish(&c);
    }
}

static void moves(void **state) {
    (void)state;
    static const char *const pad[] = {"constant", "edge", "reflect"};
    op_case c;
    for (int channels = 3; channels <= 8; channels += 5) {
        for (int axis = 0; axis < 4; axis++) {
            begin(&c, "Concat", 13, OP_DIMS(2, channels, 4, 3));
            in(&c, OP_DIMS(2, channels, 4, 3));
            in(&c, OP_DIMS(2, channels, 4, 3));
            op_int(&c, "axis", axis);
            finish(&c);
        }
        for (int k = 0; k < 3; k++) {
            begin(&c, "Pad", 13, OP_DIMS(2, channels, 4, 5));
            op_in_i64(&c, 8, OP_LONGS(0, k == 0, 2, 1, 0, k == 0 ? 2 : 0, 1, -2));
            if (k == 0)
                op_in_number(&c, 1.5f);
            op_text(&c, "mode", pad[k]);
            finish(&c);
        }
        begin(&c, "Transpose", 13, OP_DIMS(2, channels, 4, 5));
        op_ints(&c, "perm", 4, OP_LONGS(0, 3, 1, 2));
        finish(&c);
        begin(&c, "Slice", 13, OP_DIMS(2, channels, 9, 5));
        op_in_i64(&c, 3, OP_LONGS(1, -2, 4));
        op_in_i64(&c, 3, OP_LONGS(3, 0, -6));
        op_in_i64(&c, 3, OP_LONGS(1, 2, 3));
        op_in_i64(&c, 3, OP_LONGS(1, -2, -1));
        finish(&c);
        begin(&c, "Gather", 13, OP_DIMS(2, channels, 4, 5));
        op_in_i64(&c, 3, OP_LONGS(2, 0, -1));
        op_int(&c, "axis", 1);
        finish(&c);
        begin(&c, "Reshape", 13, OP_DIMS(2, channels, 4, 5));
        op_in_i64(&c, 3, OP_LONGS(2, 20, -1));
        finish(&c);
        begin(&c, "Expand", 13, OP_DIMS(2, channels, 1, 5));
        op_in_i64(&c, 4, OP_LONGS(2, channels, 3, 5));
        finish(&c);
        for (int linear = 0; linear < 2; linear++) {
            begin(&c, "Resize", 13, OP_DIMS(1, channels, 4, 5));
            op_in_none(&c);
            op_in_f32(&c, OP_DIMS(4), OP_LIST(1.0f, 1.0f, 2.5f, 0.6f));
            op_text(&c, "mode", linear ? "linear" : "nearest");
            finish(&c);
        }
    }
    begin(&c, "DepthToSpace", 13, OP_DIMS(2, 12, 3, 4));
    op_int(&c, "blocksize", 2);
    finish(&c);
    begin(&c, "DepthToSpace", 13, OP_DIMS(2, 12, 3, 4));
    op_int(&c, "blocksize", 2);
    op_text(&c, "mode", "CRD");
    finish(&c);
    begin(&c, "SpaceToDepth", 13, OP_DIMS(2, 3, 6, 4));
    op_int(&c, "blocksize", 2);
    finish(&c);
}

/* Every float16 and bfloat16 comes back from float32; halfway cases go to even. */
static void element_types_round_to_nearest_even(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = k_from_half((uint16_t)h), b = k_from_bf16((uint16_t)h);
        if (f == f)
            assert_int_equal(k_to_half(f), h);
        else
            assert_true(isnan(k_from_half(k_to_half(f))));
        if (b == b)
            assert_int_equal(k_to_bf16(b), h);
        else
            assert_true(isnan(k_from_bf16(k_to_bf16(b))));
    }
    assert_true(k_to_half(2049.0f) == k_to_half(2048.0f) && k_to_half(2051.0f) == k_to_half(2052.0f));
    assert_true(k_to_half(65519.0f) == k_to_half(65504.0f) && isinf(k_from_half(k_to_half(65520.0f))));
    assert_true(k_to_half(2.98023223876953125e-8f) == 0 && k_to_half(2.99e-8f) == 1 && k_to_half(-1e-9f) == 0x8000u);
    assert_true(k_to_bf16(257.0f) == k_to_bf16(256.0f) && k_to_bf16(259.0f) == k_to_bf16(260.0f));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(pools),
        cmocka_unit_test(rows),
        cmocka_unit_test(products),
        cmocka_unit_test(functions_and_broadcasts),
        cmocka_unit_test(moves),
        cmocka_unit_test(element_types_round_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
