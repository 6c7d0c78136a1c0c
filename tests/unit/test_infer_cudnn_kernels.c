/* RAD_TEST_LINK: rad_cudnnplan rad_model
 * The cuDNN backend's translators and kernels, run on the CPU by their own inline functions, against the operators' definitions: for
 * channel counts that are and are not multiples of 8, in float32 and with float16 storage. */
#include "op_case.h"

#include "infer/cudnn/plan.h"

/* Some operators make float32 sums of a few hundred terms of size 4: 1e-5. float16 keeps 11 bits of every input and output. */
static const double limit[] = {[RAD_PREC_FP32] = 1e-5, [RAD_PREC_FP16] = 6e-3};

static void compare(const op_case *c, const struct g_plan *plan, rad_precision p) {
    rad_error err;
    float *y = malloc((size_t)rad_shape_count(&c->out[0].shape) * sizeof *y);
    rad_tensor out = {RAD_DT_F32, c->out[0].shape, y};
    float *x = malloc((size_t)rad_shape_count(&c->in[0].shape) * sizeof *x);
    assert_non_null(x);
    memcpy(x, c->in[0].data, (size_t)rad_shape_count(&c->in[0].shape) * sizeof *x);
    const rad_tensor in = {RAD_DT_F32, c->in[0].shape, x};
    assert_ok(g_plan_run_host(plan, &in, &out, &err));
    double largest = 1;
    for (int64_t i = 0; i < rad_shape_count(&out.shape); i++) {
        float want;
        memcpy(&want, (const char *)c->out[0].data + i * 4, sizeof want);
        largest = fmax(largest, fabs((double)want));
    }
    for (int64_t i = 0; i < rad_shape_count(&out.shape); i++) {
        float want;
        memcpy(&want, (const char *)c->out[0].data + i * 4, sizeof want);
        if (!(fabs((double)y[i] - (double)want) <= limit[p] * largest))
            fail_msg("%s %s: element %lld is %.9g, want %.9g", c->node.op->name, p == RAD_PREC_FP32 ? "fp32" : "fp16", (long long)i,
                     (double)y[i], (double)want);
    }
    free(x);
    free(y);
}

/* The node alone in a graph, its first input fed, the others constant. */
static void finish(op_case *c) {
    rad_error err;
    int input = 0, output;
    op_run(c, 1);
    output = c->output[0];
    for (int v = 0; v < c->n_value; v++) {
        c->value[v].name = "v";
        c->value[v].n_use = 1;
        c->value[v].producer = v == output ? 0 : -1;
    }
    c->value[input].data = c->value[output].data = NULL;
    c->node.n_output = 1;
    rad_graph g = {.n_value = c->n_value,
                   .value = c->value,
                   .n_node = 1,
                   .node = &c->node,
                   .n_input = 1,
                   .n_output = 1,
                   .input = &input,
                   .output = &output,
                   .hash = "test"};
    for (int k = 0; k < 2; k++) {
        struct g_plan *plan = NULL;
        char why[256];
        const rad_precision p = k == 0 ? RAD_PREC_FP32 : RAD_PREC_FP16;
        if (!g_supports(&g, &c->node, p, why, sizeof why))
            fail_msg("%s is refused: %s", c->node.op->name, why);
        assert_ok(g_plan_build(&g, p, &plan, &err));
        compare(c, plan, p);
        g_plan_free(plan);
    }
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
