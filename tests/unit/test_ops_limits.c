/* RAD_TEST_LINK: rad_model
 * Operators under bad input and no memory: what a file may say is refused by name before anything is allocated; fused parts of a node. */
#include "op_case.h"

#define HUGE_DIM ((int64_t)1 << 40)

/* ---------------------------------------------------------------- refusals */

static void data(op_case *c, int rank, const int64_t *dim) {
    op_in_f32(c, rank, dim, op_sequence(64, 1));
}

static void test_shape_refusals(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Add", 14);
    data(&c, OP_DIMS(2, 3));
    data(&c, OP_DIMS(2));
    op_expect_refusal(&c, 1, "cannot be broadcast");
    op_begin(&c, "Add", 6); /* not on request */
    data(&c, OP_DIMS(2, 3));
    data(&c, OP_DIMS(3));
    op_expect_refusal(&c, 1, "cannot be broadcast");
    op_begin(&c, "PRelu", 16); /* the slope may not be the larger one */
    data(&c, OP_DIMS(3));
    data(&c, OP_DIMS(2, 3));
    op_expect_refusal(&c, 1, "cannot be broadcast");
    op_begin(&c, "Add", 14);
    data(&c, OP_DIMS(2));
    op_in_i64(&c, 2, OP_LONGS(1, 2));
    op_expect_refusal(&c, 1, "int64");
    op_begin(&c, "Sin", 7);
    op_in_i64(&c, 2, OP_LONGS(1, 2));
    op_expect_refusal(&c, 1, "int64");
    op_begin(&c, "Conv", 17);
    data(&c, OP_DIMS(1, 3, 4, 4));
    data(&c, OP_DIMS(2, 2, 3, 3));
    op_expect_refusal(&c, 1, "do not fit");
    op_begin(&c, "Conv", 17);
    data(&c, OP_DIMS(1, 2, 3, 3));
    data(&c, OP_DIMS(2, 2, 3, 3));
    data(&c, OP_DIMS(3));
    op_expect_refusal(&c, 1, "one per output channel");
    op_begin(&c, "Conv", 17); /* three output channels do not divide into two groups */
    data(&c, OP_DIMS(1, 4, 2, 2));
    data(&c, OP_DIMS(3, 2, 1, 1));
    op_int(&c, "group", 2);
    op_expect_refusal(&c, 1, "do not fit");
    op_begin(&c, "ConvTranspose", 17);
    data(&c, OP_DIMS(1, 2, 3, 3));
    data(&c, OP_DIMS(3, 2, 2, 2));
    op_expect_refusal(&c, 1, "do not fit");
    op_begin(&c, "Gemm", 13);
    data(&c, OP_DIMS(2, 3));
    data(&c, OP_DIMS(2, 3));
    op_expect_refusal(&c, 1, "do not fit");
    op_begin(&c, "MatMul", 13);
    data(&c, OP_DIMS(2, 2, 3));
    data(&c, OP_DIMS(3, 3, 3));
    op_expect_refusal(&c, 1, "do not fit");
    op_begin(&c, "Concat", 13);
    data(&c, OP_DIMS(2, 3));
    data(&c, OP_DIMS(3, 3));
    op_int(&c, "axis", 1);
    op_expect_refusal(&c, 1, "differ in more than axis 1");
    op_begin(&c, "Reshape", 13);
    data(&c, OP_DIMS(2, 3));
    op_in_i64(&c, 2, OP_LONGS(-1, 4));
    op_expect_refusal(&c, 1, "cannot become");
    op_begin(&c, "Transpose", 13);
    data(&c, OP_DIMS(2, 3));
    op_ints(&c, "perm", 2, OP_LONGS(0, 0));
    op_expect_refusal(&c, 1, "not a permutation");
    op_begin(&c, "Squeeze", 13);
    data(&c, OP_DIMS(2, 3));
    op_in_i64(&c, 1, OP_LONGS(0));
    op_expect_refusal(&c, 1, "not 1");
    op_begin(&c, "Unsqueeze", 13);
    data(&c, OP_DIMS(2, 3));
    op_in_i64(&c, 2, OP_LONGS(0, -4));
    op_expect_refusal(&c, 1, "given twice");
    op_begin(&c, "Split", 13);
    data(&c, OP_DIMS(5));
    op_expect_refusal(&c, 2, "does not divide");
    op_begin(&c, "Split", 13);
    data(&c, OP_DIMS(5));
    op_in_i64(&c, 2, OP_LONGS(6, -1));
    op_expect_refusal(&c, 2, "do not add up");
    op_begin(&c, "Slice", 13);
    data(&c, OP_DIMS(5));
    op_in_i64(&c, 1, OP_LONGS(0));
    op_in_i64(&c, 1, OP_LONGS(5));
    op_in_none(&c);
    op_in_i64(&c, 1, OP_LONGS(0));
    op_expect_refusal(&c, 1, "step 0");
    op_begin(&c, "Softmax", 13);
    data(&c, OP_DIMS(2, 3));
    op_int(&c, "axis", 2);
    op_expect_refusal(&c, 1, "axis 2 is outside");
    op_begin(&c, "Expand", 13);
    data(&c, OP_DIMS(2));
    op_in_i64(&c, 1, OP_LONGS(3));
    op_expect_refusal(&c, 1, "cannot be expanded");
    op_begin(&c, "GroupNormalization", 18);
    data(&c, OP_DIMS(1, 3, 2));
    data(&c, OP_DIMS(2));
    data(&c, OP_DIMS(2));
    op_int(&c, "num_groups", 2);
    op_expect_refusal(&c, 1, "do not divide into 2 groups");
}

static void test_unsupported_refusals(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Reshape", 13);
    data(&c, OP_DIMS(2, 3));
    op_in_i64(&c, 1, OP_LONGS(6));
    op_not_constant(&c);
    op_expect_refusal(&c, 1, "must be a constant");
    op_begin(&c, "BatchNormalization", 15);
    data(&c, OP_DIMS(2, 3));
    for (int i = 0; i < 4; i++)
        data(&c, OP_DIMS(3));
    op_int(&c, "training_mode", 1);
    op_expect_refusal(&c, 1, "training mode");
    op_begin(&c, "BatchNormalization", 6);
    data(&c, OP_DIMS(2, 3));
    for (int i = 0; i < 4; i++)
        data(&c, OP_DIMS(3));
    op_expect_refusal(&c, 1, "training mode");
    op_begin(&c, "Dropout", 13);
    data(&c, OP_DIMS(2, 3));
    op_in_number(&c, 0.5f);
    op_in(&c, RAD_DT_BOOL, 0, NULL, "\1");
    op_expect_refusal(&c, 1, "training mode");
    op_begin(&c, "Cast", 13);
    data(&c, OP_DIMS(2, 3));
    op_int(&c, "to", RAD_DT_STRING);
    op_expect_refusal(&c, 1, "element type 8 (string)");
    op_begin(&c, "Pad", 13);
    data(&c, OP_DIMS(2, 3));
    op_in_i64(&c, 4, OP_LONGS(0, 0, 1, 1));
    op_text(&c, "mode", "wrap");
    op_expect_refusal(&c, 1, "unknown at opset 13");
    op_begin(&c, "Resize", 13);
    data(&c, OP_DIMS(1, 1, 2, 2));
    op_in_none(&c);
    op_in_f32(&c, OP_DIMS(4), OP_LIST(1, 1, 2, 2));
    op_text(&c, "mode", "lanczos");
    op_expect_refusal(&c, 1, "'lanczos'");
    op_begin(&c, "Upsample", 10);
    data(&c, OP_DIMS(1, 1, 2, 2));
    op_in_f32(&c, OP_DIMS(4), OP_LIST(1, 1, 2, 2));
    op_expect_refusal(&c, 1, "replaced by Resize");
    op_begin(&c, "Gelu", 20);
    data(&c, OP_DIMS(2));
    op_text(&c, "approximate", "fast");
    op_expect_refusal(&c, 1, "'fast'");
}

/* A few bytes that ask for terabytes. */
static void test_limits(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "ConstantOfShape", 9);
    op_in_i64(&c, 2, OP_LONGS(HUGE_DIM, HUGE_DIM));
    op_expect_refusal(&c, 1, "limit");
    op_begin(&c, "ConstantOfShape", 9);
    op_in_i64(&c, 1, OP_LONGS(-1));
    op_expect_refusal(&c, 1, "limit");
    op_begin(&c, "Tile", 13);
    data(&c, OP_DIMS(2, 2));
    op_in_i64(&c, 2, OP_LONGS(INT64_MAX, 1));
    op_expect_refusal(&c, 1, "repeat");
    op_begin(&c, "Tile", 13);
    data(&c, OP_DIMS(2, 2));
    op_in_i64(&c, 2, OP_LONGS(HUGE_DIM, HUGE_DIM));
    op_expect_refusal(&c, 1, "limit");
    op_begin(&c, "Expand", 13);
    data(&c, OP_DIMS(1, 1));
    op_in_i64(&c, 2, OP_LONGS(HUGE_DIM, HUGE_DIM));
    op_expect_refusal(&c, 1, "cannot be expanded");
    op_begin(&c, "Pad", 13);
    data(&c, OP_DIMS(2));
    op_in_i64(&c, 2, OP_LONGS(INT64_MAX, INT64_MAX));
    op_expect_refusal(&c, 1, "pads");
    op_begin(&c, "Pad", 13);
    data(&c, OP_DIMS(2));
    op_in_i64(&c, 2, OP_LONGS(-2, -1));
    op_expect_refusal(&c, 1, "pads");
    op_begin(&c, "Resize", 13);
    data(&c, OP_DIMS(1, 1, 2, 2));
    op_in_none(&c);
    op_in_f32(&c, OP_DIMS(4), OP_LIST(1, 1, 1e30f, 1));
    op_expect_refusal(&c, 1, "cannot become");
    op_begin(&c, "Resize", 13);
    data(&c, OP_DIMS(1, 1, 2, 2));
    op_in_none(&c);
    op_in_f32(&c, OP_DIMS(4), OP_LIST(1, 1, NAN, 1));
    op_expect_refusal(&c, 1, "cannot become");
    op_begin(&c, "Range", 11);
    op_in_number(&c, 0);
    op_in_number(&c, INFINITY);
    op_in_number(&c, 1);
    op_expect_refusal(&c, 1, "not a range");
    op_begin(&c, "Range", 11);
    op_in_number(&c, 0);
    op_in_number(&c, 1);
    op_in_number(&c, 0);
    op_expect_refusal(&c, 1, "not a range");
    op_begin(&c, "Reshape", 13);
    data(&c, OP_DIMS(2));
    op_in_i64(&c, 9, OP_LONGS(1, 1, 1, 1, 1, 1, 1, 1, 2));
    op_expect_refusal(&c, 1, "at most 8");
    op_begin(&c, "DepthToSpace", 13);
    data(&c, OP_DIMS(1, 4, 2, 2));
    op_int(&c, "blocksize", INT64_MAX);
    op_expect_refusal(&c, 1, "blocksize");
    op_begin(&c, "ConvTranspose", 17);
    data(&c, OP_DIMS(1, 2, 2, 2));
    data(&c, OP_DIMS(2, 1, 2, 2));
    op_int(&c, "group", -1);
    op_expect_refusal(&c, 1, "group");
}

/* ---------------------------------------------------------------- no memory */

static void conv(op_case *c) {
    op_begin(c, "Conv", 17);
    data(c, OP_DIMS(1, 2, 3, 3));
    data(c, OP_DIMS(2, 2, 2, 2));
    data(c, OP_DIMS(2));
}

static void deconv(op_case *c) {
    op_begin(c, "ConvTranspose", 17);
    data(c, OP_DIMS(1, 2, 3, 3));
    data(c, OP_DIMS(2, 1, 2, 2));
}

static void pool(op_case *c) {
    op_begin(c, "MaxPool", 17);
    data(c, OP_DIMS(1, 2, 3, 3));
    op_ints(c, "kernel_shape", 2, OP_LONGS(2, 2));
}

static void gemm(op_case *c) {
    op_begin(c, "Gemm", 13);
    data(c, OP_DIMS(2, 3));
    data(c, OP_DIMS(2, 4));
    data(c, OP_DIMS(4));
    op_int(c, "transA", 1);
}

static void matmul(op_case *c) {
    op_begin(c, "MatMul", 13);
    data(c, OP_DIMS(2, 2, 3));
    data(c, OP_DIMS(3, 2));
}

static void layer_norm(op_case *c) {
    op_begin(c, "LayerNormalization", 17);
    data(c, OP_DIMS(2, 3));
    data(c, OP_DIMS(3));
    data(c, OP_DIMS(3));
}

static void lrn(op_case *c) {
    op_begin(c, "LRN", 13);
    data(c, OP_DIMS(1, 3, 2));
    op_int(c, "size", 3);
}

static void softmax(op_case *c) {
    op_begin(c, "Softmax", 13);
    data(c, OP_DIMS(2, 3));
}

static void instance_norm(op_case *c) {
    op_begin(c, "InstanceNormalization", 13);
    data(c, OP_DIMS(1, 2, 3));
    data(c, OP_DIMS(2));
    data(c, OP_DIMS(2));
}

static void add(op_case *c) {
    op_begin(c, "Add", 14);
    data(c, OP_DIMS(2, 3));
    data(c, OP_DIMS(3));
}

static void log_sum_exp(op_case *c) {
    op_begin(c, "ReduceLogSumExp", 13);
    data(c, OP_DIMS(2, 3));
}

static void pad(op_case *c) {
    op_begin(c, "Pad", 13);
    data(c, OP_DIMS(2, 3));
    op_in_i64(c, 4, OP_LONGS(1, 1, 1, 1));
}

static void resize(op_case *c) {
    op_begin(c, "Resize", 13);
    data(c, OP_DIMS(1, 1, 2, 2));
    op_in_none(c);
    op_in_f32(c, OP_DIMS(4), OP_LIST(1, 1, 2, 2));
    op_text(c, "mode", "cubic");
}

/* Whatever allocation fails: NOMEM naming the node, nothing lost (the sanitizer looks), and it works again afterwards. */
static void test_out_of_memory(void **state) {
    (void)state;
    void (*const make[])(op_case *) = {conv,    deconv,        pool, gemm,        matmul, layer_norm, lrn,
                                       softmax, instance_norm, add,  log_sum_exp, pad,    resize};
    for (size_t i = 0; i < sizeof make / sizeof make[0]; i++) {
        op_case c;
        make[i](&c);
        assert_int_equal(op_infer(&c, 1), RAD_OK);
        int64_t fail = 1;
        for (;; fail++) {
            rad_mem_fail_after(fail);
            const rad_status st = op_eval(&c);
            rad_mem_fail_after(0);
            if (st == RAD_OK)
                break;
            assert_int_equal(st, RAD_E_NOMEM);
            assert_non_null(strstr(c.err.text, "node 'n'"));
        }
        assert_true(fail > 1 && fail < 20);
        op_end(&c);
    }
}

/* ---------------------------------------------------------------- fusion */

static void fused(rad_fused_act act, float alpha, float beta, const float *want) {
    op_case c;
    const float r[] = {1, -4, 3, 0};
    rad_tensor residual = {RAD_DT_F32, {1, {4}}, NULL};
    const void *p = r;
    memcpy(&residual.data, &p, sizeof p);
    op_begin(&c, "Add", 14);
    op_in_f32(&c, OP_DIMS(4), OP_LIST(1, 2, 3, -3));
    op_in_number(&c, 0);
    op_run(&c, 1);
    c.node.residual = 0;
    c.node.act = act;
    c.node.act_alpha = alpha;
    c.node.act_beta = beta;
    assert_int_equal(rad_node_eval(&c.node, c.in, &residual, c.out, &c.err), RAD_OK);
    op_expect(&c, 0, OP_DIMS(4), want, 1e-7);
    assert_int_equal(rad_node_eval(&c.node, c.in, NULL, c.out, &c.err), RAD_E_INTERNAL);
    op_end(&c);
}

static void test_fused(void **state) {
    (void)state;
    fused(RAD_FUSE_NONE, 0, 0, OP_LIST(2, -2, 6, -3));
    fused(RAD_FUSE_RELU, 0, 0, OP_LIST(2, 0, 6, 0));
    fused(RAD_FUSE_CLIP, -2.5f, 5, OP_LIST(2, -2, 5, -2.5f));
    fused(RAD_FUSE_LEAKY, 0.5f, 0, OP_LIST(2, -1, 6, -1.5f));
    fused(RAD_FUSE_SIGMOID, 0, 0, OP_LIST(0.88079708f, 0.11920292f, 0.99752738f, 0.04742587f));
    fused(RAD_FUSE_TANH, 0, 0, OP_LIST(0.96402758f, -0.96402758f, 0.99998771f, -0.99505475f));
    fused(RAD_FUSE_SWISH, 0, 0, OP_LIST(1.76159416f, -0.23840584f, 5.98516426f, -0.14227762f));
    fused(RAD_FUSE_HARDSWISH, 0, 0, OP_LIST(1.66666667f, -0.33333333f, 6, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_refusals), cmocka_unit_test(test_unsupported_refusals),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
