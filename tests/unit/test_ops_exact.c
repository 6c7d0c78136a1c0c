/* RAD_TEST_LINK: rad_model
 * Operators whose results are known exactly: element types, rounding, NaN, broadcasting, shapes, what moves data, sums that need double. */
#include "op_case.h"

static const float nan_ = NAN, inf_ = INFINITY;

static void one_f32(const char *op, int opset, int64_t n, const float *x, const float *want) {
    op_case c;
    op_begin(&c, op, opset);
    op_in_f32(&c, 1, &n, x);
    op_run(&c, 1);
    op_expect(&c, 0, 1, &n, want, 0);
    op_end(&c);
}

static void two_i64(const char *op, int64_t n, const int64_t *a, const int64_t *b, const int64_t *want) {
    op_case c;
    op_begin(&c, op, 17);
    op_in_i64(&c, n, a);
    op_in_i64(&c, n, b);
    op_run(&c, 1);
    op_expect_i64(&c, 0, 1, &n, want);
    op_end(&c);
}

/* ---------------------------------------------------------------- table */

static void test_table(void **state) {
    (void)state;
    size_t n;
    const rad_op_def *const *list = rad_op_list(&n);
    assert_true(n > 100);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(rad_op_find(list[i]->name, NULL), list[i]);
        assert_ptr_equal(rad_op_find(list[i]->name, "ai.onnx"), list[i]);
        assert_true(i == 0 || strcmp(list[i - 1]->name, list[i]->name) < 0);
        assert_non_null(list[i]->infer);
        assert_non_null(list[i]->eval);
        assert_true(list[i]->min_in <= list[i]->max_in || list[i]->max_in < 0);
        for (const rad_op_attr *a = list[i]->attr; a->name != NULL; a++)
            assert_true(a->kind != RAD_ATTR_NONE && a->since >= 1 && (a->until == 0 || a->until >= a->since));
    }
    assert_null(rad_op_find("Convolution", ""));
    assert_null(rad_op_find("Gelu", "com.microsoft"));
    assert_null(rad_op_find("", ""));
}

/* ---------------------------------------------------------------- numbers */

static void test_rounding_and_nan(void **state) {
    (void)state;
    one_f32("Round", 11, 6, OP_LIST(0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.51f), OP_LIST(0, 2, 2, -0.0f, -2, -3));
    one_f32("Floor", 13, 3, OP_LIST(-1.5f, 1.2f, 2), OP_LIST(-2, 1, 2));
    one_f32("Sign", 13, 4, OP_LIST(-3, 0, 2, nan_), OP_LIST(-1, 0, 1, nan_));
    one_f32("Relu", 14, 3, OP_LIST(-1, nan_, 2), OP_LIST(0, nan_, 2));
    one_f32("HardSigmoid", 6, 4, OP_LIST(-10, 0, 10, nan_), OP_LIST(0, 0.5f, 1, nan_));
    one_f32("HardSwish", 14, 3, OP_LIST(-3, 3, nan_), OP_LIST(-0.0f, 3, nan_));
    one_f32("ThresholdedRelu", 10, 3, OP_LIST(0.5f, 1, 1.5f), OP_LIST(0, 0, 1.5f));
    one_f32("Softplus", 1, 2, OP_LIST(1000, -1000), OP_LIST(1000, 0));
    one_f32("Sigmoid", 13, 2, OP_LIST(-1000, 1000), OP_LIST(0, 1));
    one_f32("Softmax", 13, 3, OP_LIST(1e30f, 1e30f, -1e30f), OP_LIST(0.5f, 0.5f, 0));
    one_f32("Hardmax", 13, 4, OP_LIST(1, 3, 3, 2), OP_LIST(0, 1, 0, 0));
    one_f32("Reciprocal", 13, 3, OP_LIST(4, 0, inf_), OP_LIST(0.25f, inf_, 0));
}

static void test_integers(void **state) {
    (void)state;
    op_case c;
    two_i64("Div", 5, OP_LONGS(7, -7, 7, -7, INT64_MIN), OP_LONGS(2, 2, -2, -2, -1), OP_LONGS(3, -3, -3, 3, INT64_MIN));
    two_i64("Mod", 4, OP_LONGS(7, -7, 7, -7), OP_LONGS(3, 3, -3, -3), OP_LONGS(1, 2, -2, -1));
    two_i64("Pow", 5, OP_LONGS(3, -2, 2, -1, 10), OP_LONGS(4, 3, -1, -3, 0), OP_LONGS(81, -8, 0, -1, 1));
    two_i64("Mul", 2, OP_LONGS(INT64_MAX, (int64_t)1 << 53), OP_LONGS(2, 3), OP_LONGS(-2, 3 * ((int64_t)1 << 53)));
    two_i64("Add", 1, OP_LONGS(((int64_t)1 << 53) + 1), OP_LONGS(0), OP_LONGS(((int64_t)1 << 53) + 1)); /* double would lose the 1 */

    op_begin(&c, "Div", 14);
    op_in_i64(&c, 1, OP_LONGS(1));
    op_in_i64(&c, 1, OP_LONGS(0));
    assert_int_equal(op_infer(&c, 1), RAD_OK);
    assert_int_equal(op_eval(&c), RAD_E_MODEL);
    assert_non_null(strstr(c.err.text, "division by zero"));
    op_end(&c);

    /* uint64 above the range of int64 */
    const uint64_t big[2] = {UINT64_MAX, 5}, small[2] = {7, UINT64_MAX - 1};
    op_begin(&c, "Max", 13);
    op_in(&c, RAD_DT_U64, OP_DIMS(2), big);
    op_in(&c, RAD_DT_U64, OP_DIMS(2), small);
    op_run(&c, 1);
    assert_true(((const uint64_t *)c.out[0].data)[0] == UINT64_MAX && ((const uint64_t *)c.out[0].data)[1] == UINT64_MAX - 1);
    op_end(&c);
    const uint64_t low = 6, high = UINT64_MAX - 4;
    op_begin(&c, "Clip", 12);
    op_in(&c, RAD_DT_U64, OP_DIMS(2), big);
    op_in(&c, RAD_DT_U64, 0, NULL, &low);
    op_in(&c, RAD_DT_U64, 0, NULL, &high);
    op_run(&c, 1);
    assert_true(((const uint64_t *)c.out[0].data)[0] == high && ((const uint64_t *)c.out[0].data)[1] == low);
    op_end(&c);
    op_begin(&c, "ReduceMin", 13);
    op_in(&c, RAD_DT_U64, OP_DIMS(2), small);
    op_run(&c, 1);
    assert_true(((const uint64_t *)c.out[0].data)[0] == 7);
    op_end(&c);
}

static void cast(rad_dtype from, rad_dtype to, int64_t n, const void *x, const void *want) {
    op_case c;
    op_begin(&c, "Cast", 13);
    op_in(&c, from, 1, &n, x);
    op_int(&c, "to", to);
    op_run(&c, 1);
    op_expect_shape(&c, 0, to, 1, &n);
    assert_memory_equal(c.out[0].data, want, (size_t)n * rad_dtype_size(to));
    op_end(&c);
}

static void test_cast(void **state) {
    (void)state;
    cast(RAD_DT_F32, RAD_DT_I32, 6, OP_LIST(-1.9f, 1.9f, 3e9f, -3e9f, nan_, inf_),
         ((const int32_t[]){-1, 1, INT32_MAX, INT32_MIN, 0, INT32_MAX}));
    cast(RAD_DT_F32, RAD_DT_U8, 4, OP_LIST(-1, 255.9f, 256, 3.5f), ((const uint8_t[]){0, 255, 255, 3}));
    cast(RAD_DT_F32, RAD_DT_BOOL, 4, OP_LIST(0, -0.0f, nan_, 0.1f), ((const uint8_t[]){0, 0, 1, 1}));
    cast(RAD_DT_I64, RAD_DT_I8, 3, OP_LONGS(300, -1, -129), ((const int8_t[]){44, -1, 127}));
    cast(RAD_DT_I64, RAD_DT_BOOL, 2, OP_LONGS(256, 0), ((const uint8_t[]){1, 0}));
    cast(RAD_DT_F64, RAD_DT_U64, 2, ((const double[]){1.8446744073709552e19, 9.3e18}),
         ((const uint64_t[]){UINT64_MAX, 9300000000000000000u}));
    /* ties to even; the last to round to 65504; overflow; the smallest subnormal and half of it */
    cast(RAD_DT_F64, RAD_DT_F16, 8, ((const double[]){1.00048828125, 1.00146484375, 65519.99, 65520, 0x1p-24, 0x1p-25, -0.0, 0x1.8p-25}),
         ((const uint16_t[]){0x3c00, 0x3c02, 0x7bff, 0x7c00, 1, 0, 0x8000, 1}));
    /* straight from double: over float32 this one would round up twice */
    cast(RAD_DT_F64, RAD_DT_F16, 1, ((const double[]){1.00048828125 - 0x1p-40}), ((const uint16_t[]){0x3c00}));
    cast(RAD_DT_F32, RAD_DT_BF16, 3, OP_LIST(1.00390625f, 1.01171875f, 3.4e38f), ((const uint16_t[]){0x3f80, 0x3f82, 0x7f80}));
}

/* Every float16 number survives the way to float32 and back. */
static void test_half_round_trip(void **state) {
    (void)state;
    op_case c, d;
    uint16_t *all = malloc(65536 * sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    op_begin(&c, "Cast", 13);
    op_in(&c, RAD_DT_F16, OP_DIMS(65536), all);
    op_int(&c, "to", RAD_DT_F32);
    op_run(&c, 1);
    op_begin(&d, "Cast", 13);
    op_in(&d, RAD_DT_F32, OP_DIMS(65536), c.out[0].data);
    op_int(&d, "to", RAD_DT_F16);
    op_run(&d, 1);
    const float *f = c.out[0].data;
    const uint16_t *back = d.out[0].data;
    for (int i = 0; i < 65536; i++) {
        if (isnan(f[i]))
            assert_true((i & 0x7c00) == 0x7c00 && (i & 0x3ff) != 0 && (back[i] & 0x7e00) == 0x7e00);
        else
            assert_int_equal(back[i], i);
    }
    assert_true(f[0x3c00] == 1.0f && f[0x7bff] == 65504.0f && f[0x0001] == 0x1p-24f && f[0xfc00] == -inf_);
    op_end(&c);
    op_end(&d);
    free(all);
}

/* Sums that cancel in float32. */
static void test_double_sums(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Sum", 13);
    op_in_number(&c, 1e8f);
    op_in_number(&c, 1);
    op_in_number(&c, -1e8f);
    op_run(&c, 1);
    op_expect(&c, 0, 0, NULL, OP_LIST(1), 0);
    op_end(&c);
    op_begin(&c, "ReduceSum", 11);
    op_in_f32(&c, OP_DIMS(3), OP_LIST(1e8f, 1, -1e8f));
    op_int(&c, "keepdims", 0);
    op_run(&c, 1);
    op_expect(&c, 0, 0, NULL, OP_LIST(1), 0);
    op_end(&c);
    for (int transposed = 0; transposed < 2; transposed++) {
        op_begin(&c, "Gemm", 13);
        op_in_f32(&c, OP_DIMS(1, 3), OP_LIST(1e8f, 1, -1e8f));
        if (transposed)
            op_in_f32(&c, OP_DIMS(1, 3), OP_LIST(1, 1, 1));
        else
            op_in_f32(&c, OP_DIMS(3, 1), OP_LIST(1, 1, 1));
        op_int(&c, "transB", transposed);
        op_run(&c, 1);
        op_expect(&c, 0, OP_DIMS(1, 1), OP_LIST(1), 0);
        op_end(&c);
    }
    op_begin(&c, "Conv", 11);
    op_in_f32(&c, OP_DIMS(1, 3, 1), OP_LIST(1e8f, 1, -1e8f));
    op_in_f32(&c, OP_DIMS(1, 3, 1), OP_LIST(1, 1, 1));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(1, 1, 1), OP_LIST(1), 0);
    op_end(&c);
    op_begin(&c, "GlobalAveragePool", 1);
    op_in_f32(&c, OP_DIMS(1, 1, 4), OP_LIST(1e8f, 4, -1e8f, 0));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(1, 1, 1), OP_LIST(1), 0);
    op_end(&c);
}

/* ---------------------------------------------------------------- broadcasting */

static void test_broadcast(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Add", 14); /* both sides grow; the result has axes of either */
    op_in_f32(&c, OP_DIMS(2, 1, 3), OP_LIST(1, 2, 3, 4, 5, 6));
    op_in_f32(&c, OP_DIMS(2, 1), OP_LIST(10, 20));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2, 2, 3), OP_LIST(11, 12, 13, 21, 22, 23, 14, 15, 16, 24, 25, 26), 0);
    op_end(&c);
    op_begin(&c, "Mul", 14); /* an empty axis stays empty */
    op_in_f32(&c, OP_DIMS(0, 3), OP_LIST(0));
    op_in_number(&c, 2);
    op_run(&c, 1);
    op_expect_shape(&c, 0, RAD_DT_F32, OP_DIMS(0, 3));
    op_end(&c);
    op_begin(&c, "Sub", 6); /* before opset 7: on request, at an axis */
    op_in_f32(&c, OP_DIMS(1, 2, 2), OP_LIST(1, 2, 3, 4));
    op_in_f32(&c, OP_DIMS(2), OP_LIST(1, 3));
    op_int(&c, "broadcast", 1);
    op_int(&c, "axis", 1);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(1, 2, 2), OP_LIST(0, 1, 0, 1), 0);
    op_end(&c);
    op_begin(&c, "Where", 16);
    op_in(&c, RAD_DT_BOOL, OP_DIMS(2, 1), ((const uint8_t[]){1, 0}));
    op_in_i64(&c, 3, OP_LONGS(1, 2, 3));
    op_in(&c, RAD_DT_I64, 0, NULL, OP_LONGS(9));
    op_run(&c, 1);
    op_expect_i64(&c, 0, OP_DIMS(2, 3), OP_LONGS(1, 2, 3, 9, 9, 9));
    op_end(&c);
    op_begin(&c, "Clip", 13); /* crossing limits: the upper wins */
    op_in_f32(&c, OP_DIMS(3), OP_LIST(0, 5, nan_));
    op_in_number(&c, 4);
    op_in_number(&c, 2);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(3), OP_LIST(2, 2, nan_), 0);
    op_end(&c);
    op_begin(&c, "Max", 13);
    op_in_f32(&c, OP_DIMS(3), OP_LIST(1, nan_, 3));
    op_in_f32(&c, OP_DIMS(3), OP_LIST(nan_, 2, 2));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(3), OP_LIST(nan_, nan_, 3), 0);
    op_end(&c);
}

/* ---------------------------------------------------------------- axes and indices */

static void test_softmax_before_13(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Softmax", 11); /* everything from axis 1 on is one line */
    op_in_f32(&c, OP_DIMS(1, 2, 2), OP_LIST(0, 0, 0, 0));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(1, 2, 2), OP_LIST(0.25f, 0.25f, 0.25f, 0.25f), 0);
    op_end(&c);
    op_begin(&c, "Softmax", 13);
    op_in_f32(&c, OP_DIMS(1, 2, 2), OP_LIST(0, 0, 0, 0));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(1, 2, 2), OP_LIST(0.5f, 0.5f, 0.5f, 0.5f), 0);
    op_end(&c);
}

static void nearest_case(const char *rounding, const float *want) {
    op_case c;
    op_begin(&c, "Resize", 13);
    op_in_f32(&c, OP_DIMS(4), OP_LIST(0, 1, 2, 3));
    op_in_none(&c);
    op_in_none(&c);
    op_in_i64(&c, 1, OP_LONGS(8));
    op_text(&c, "coordinate_transformation_mode", "asymmetric");
    op_text(&c, "nearest_mode", rounding);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(8), want, 0);
    op_end(&c);
}

static void test_resize_rounding(void **state) {
    (void)state;
    op_case c;
    nearest_case("floor", OP_LIST(0, 0, 1, 1, 2, 2, 3, 3));
    nearest_case("ceil", OP_LIST(0, 1, 1, 2, 2, 3, 3, 3));
    nearest_case("round_prefer_floor", OP_LIST(0, 0, 1, 1, 2, 2, 3, 3)); /* every second position is a half */
    nearest_case("round_prefer_ceil", OP_LIST(0, 1, 1, 2, 2, 3, 3, 3));
    op_begin(&c, "Resize", 13); /* 10 * 0.7 is below 7 in double, 7 in the standard's float */
    op_in_f32(&c, OP_DIMS(10), op_sequence(10, 1));
    op_in_none(&c);
    op_in_f32(&c, OP_DIMS(1), OP_LIST(0.7f));
    op_run(&c, 1);
    op_expect_shape(&c, 0, RAD_DT_F32, OP_DIMS(7));
    op_end(&c);
    op_begin(&c, "Resize", 18); /* one scale for both axes, sizes rounded half up */
    op_in_f32(&c, OP_DIMS(2, 4), op_sequence(8, 1));
    op_in_none(&c);
    op_in_none(&c);
    op_in_i64(&c, 2, OP_LONGS(5, 5));
    op_text(&c, "keep_aspect_ratio_policy", "not_larger");
    op_run(&c, 1);
    op_expect_shape(&c, 0, RAD_DT_F32, OP_DIMS(3, 5));
    op_end(&c);
}

/* Exponentials beyond the range of double, and an empty line. */
static void test_log_sum_exp(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "ReduceLogSumExp", 18);
    op_in_f32(&c, OP_DIMS(2, 2), OP_LIST(1e4f, -1e4f, -1e4f, -inf_));
    op_in_i64(&c, 1, OP_LONGS(1));
    op_int(&c, "keepdims", 0);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2), OP_LIST(1e4f, -1e4f), 0);
    op_end(&c);
    op_begin(&c, "ReduceSum", 13); /* no axes and told so: nothing happens */
    op_in_f32(&c, OP_DIMS(2), OP_LIST(1, 2));
    op_in_i64(&c, 0, OP_LONGS(0));
    op_int(&c, "noop_with_empty_axes", 1);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2), OP_LIST(1, 2), 0);
    op_end(&c);
}

static void test_arg_and_pool_index(void **state) {
    (void)state;
    op_case c;
    for (int last = 0; last < 2; last++) {
        op_begin(&c, "ArgMax", 13);
        op_in_f32(&c, OP_DIMS(2, 3), OP_LIST(1, 5, 5, 7, 7, 2));
        op_int(&c, "axis", -1);
        op_int(&c, "keepdims", 0);
        op_int(&c, "select_last_index", last);
        op_run(&c, 1);
        op_expect_i64(&c, 0, OP_DIMS(2), last ? OP_LONGS(2, 1) : OP_LONGS(1, 0));
        op_end(&c);
    }
    for (int column_major = 0; column_major < 2; column_major++) {
        op_begin(&c, "MaxPool", 12);
        op_in_f32(&c, OP_DIMS(1, 2, 2, 3), OP_LIST(1, 2, 9, 4, 5, 6, 8, 2, 3, 4, 5, nan_));
        op_ints(&c, "kernel_shape", 2, OP_LONGS(2, 3));
        op_int(&c, "storage_order", column_major);
        op_run(&c, 2);
        op_expect(&c, 0, OP_DIMS(1, 2, 1, 1), OP_LIST(9, nan_), 0);
        op_expect_i64(&c, 1, OP_DIMS(1, 2, 1, 1), column_major ? OP_LONGS(4, 11) : OP_LONGS(2, 11));
        op_end(&c);
    }
}

static void slice_case(int64_t start, int64_t end, int64_t step, int64_t n, const float *want) {
    op_case c;
    op_begin(&c, "Slice", 13);
    op_in_f32(&c, OP_DIMS(5), OP_LIST(0, 1, 2, 3, 4));
    op_in_i64(&c, 1, &start);
    op_in_i64(&c, 1, &end);
    op_in_i64(&c, 1, OP_LONGS(-1));
    op_in_i64(&c, 1, &step);
    op_run(&c, 1);
    op_expect(&c, 0, 1, &n, want, 0);
    op_end(&c);
}

static void test_slice(void **state) {
    (void)state;
    slice_case(1, 4, 2, 2, OP_LIST(1, 3));
    slice_case(-2, INT64_MAX, 1, 2, OP_LIST(3, 4));
    slice_case(INT64_MAX, INT64_MIN, -2, 3, OP_LIST(4, 2, 0));
    slice_case(3, 0, -1, 3, OP_LIST(3, 2, 1));
    slice_case(INT64_MIN, INT64_MAX, INT64_MAX, 1, OP_LIST(0));
    slice_case(4, 4, 1, 0, OP_LIST(0));
    slice_case(9, 2, 1, 0, OP_LIST(0));
    slice_case(-9, -8, -1, 1, OP_LIST(0)); /* the start is clamped to the first element; numpy has nothing here */
}

static void test_split_and_concat(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Split", 18); /* the last part is what is left */
    op_in_f32(&c, OP_DIMS(2, 5), OP_LIST(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    op_int(&c, "axis", 1);
    op_int(&c, "num_outputs", 3);
    op_run(&c, 3);
    op_expect(&c, 1, OP_DIMS(2, 2), OP_LIST(2, 3, 7, 8), 0);
    op_expect(&c, 2, OP_DIMS(2, 1), OP_LIST(4, 9), 0);
    op_end(&c);
    op_begin(&c, "Concat", 13);
    op_in_f32(&c, OP_DIMS(2, 1), OP_LIST(1, 2));
    op_in_f32(&c, OP_DIMS(2, 0), OP_LIST(0));
    op_in_f32(&c, OP_DIMS(2, 2), OP_LIST(3, 4, 5, 6));
    op_int(&c, "axis", -1);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2, 3), OP_LIST(1, 3, 4, 2, 5, 6), 0);
    op_end(&c);
}

static void test_gather_and_repeat(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Gather", 13);
    op_in_f32(&c, OP_DIMS(2, 3), OP_LIST(0, 1, 2, 3, 4, 5));
    op_in(&c, RAD_DT_I32, OP_DIMS(2), ((const int32_t[]){-1, 0}));
    op_int(&c, "axis", 1);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2, 2), OP_LIST(2, 0, 5, 3), 0);
    op_end(&c);
    op_begin(&c, "Gather", 13);
    op_in_f32(&c, OP_DIMS(2), OP_LIST(0, 1));
    op_in_i64(&c, 1, OP_LONGS(2));
    assert_int_equal(op_infer(&c, 1), RAD_OK);
    assert_int_equal(op_eval(&c), RAD_E_MODEL);
    assert_non_null(strstr(c.err.text, "index 2 is outside"));
    op_end(&c);
    op_begin(&c, "Tile", 13);
    op_in_f32(&c, OP_DIMS(2, 2), OP_LIST(1, 2, 3, 4));
    op_in_i64(&c, 2, OP_LONGS(2, 2));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(4, 4), OP_LIST(1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4), 0);
    op_end(&c);
    op_begin(&c, "Expand", 13);
    op_in_f32(&c, OP_DIMS(2, 1), OP_LIST(1, 2));
    op_in_i64(&c, 3, OP_LONGS(2, 1, 2));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2, 2, 2), OP_LIST(1, 1, 2, 2, 1, 1, 2, 2), 0);
    op_end(&c);
}

static void test_blocks_and_transpose(void **state) {
    (void)state;
    op_case c, d;
    op_begin(&c, "DepthToSpace", 13); /* depth first: the block index is slower than the channel */
    op_in_f32(&c, OP_DIMS(1, 8, 1, 1), OP_LIST(0, 1, 2, 3, 4, 5, 6, 7));
    op_int(&c, "blocksize", 2);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(1, 2, 2, 2), OP_LIST(0, 2, 4, 6, 1, 3, 5, 7), 0);
    op_begin(&d, "SpaceToDepth", 13);
    op_in_f32(&d, OP_DIMS(1, 2, 2, 2), c.out[0].data);
    op_int(&d, "blocksize", 2);
    op_run(&d, 1);
    op_expect(&d, 0, OP_DIMS(1, 8, 1, 1), OP_LIST(0, 1, 2, 3, 4, 5, 6, 7), 0);
    op_end(&c);
    op_end(&d);
    op_begin(&c, "Transpose", 13);
    op_in_f32(&c, OP_DIMS(2, 1, 3), OP_LIST(0, 1, 2, 3, 4, 5));
    op_ints(&c, "perm", 3, OP_LONGS(2, 0, 1));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(3, 2, 1), OP_LIST(0, 3, 1, 4, 2, 5), 0);
    op_end(&c);
    op_begin(&c, "Pad", 11); /* negative pads crop; the constant is of the data's type */
    op_in(&c, RAD_DT_I64, OP_DIMS(2, 2), OP_LONGS(1, 2, 3, 4));
    op_in_i64(&c, 4, OP_LONGS(0, 1, -1, 1));
    op_in(&c, RAD_DT_I64, 0, NULL, OP_LONGS(-7));
    op_run(&c, 1);
    op_expect_i64(&c, 0, OP_DIMS(1, 4), OP_LONGS(-7, 1, 2, -7));
    op_end(&c);
    op_begin(&c, "Pad", 19);
    op_in_f32(&c, OP_DIMS(3), OP_LIST(1, 2, 3));
    op_in_i64(&c, 2, OP_LONGS(2, 4));
    op_text(&c, "mode", "wrap");
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(9), OP_LIST(2, 3, 1, 2, 3, 1, 2, 3, 1), 0);
    op_end(&c);
}

/* ---------------------------------------------------------------- shapes */

static void shape_case(const char *op, int opset, int n_in, const int64_t *in, int n_list, const int64_t *list, int n_want,
                       const int64_t *want) {
    op_case c;
    int64_t count = 1;
    for (int i = 0; i < n_in; i++)
        count *= in[i];
    op_begin(&c, op, opset);
    op_in_f32(&c, n_in, in, op_sequence(count, 1));
    if (n_list >= 0)
        op_in_i64(&c, n_list, list);
    op_run(&c, 1);
    op_expect(&c, 0, n_want, want, op_sequence(count, 1), 0);
    op_end(&c);
}

static void test_shapes(void **state) {
    (void)state;
    op_case c;
    shape_case("Reshape", 13, OP_DIMS(2, 3, 4), OP_DIMS(0, -1), OP_DIMS(2, 12));
    shape_case("Reshape", 13, OP_DIMS(0, 3), OP_DIMS(0, 3, 1), OP_DIMS(0, 3, 1));
    shape_case("Squeeze", 13, OP_DIMS(1, 3, 1), OP_DIMS(-1), OP_DIMS(1, 3));
    shape_case("Squeeze", 13, OP_DIMS(1, 3, 1), -1, NULL, OP_DIMS(3));
    shape_case("Unsqueeze", 13, OP_DIMS(3), OP_DIMS(-1, 0), OP_DIMS(1, 3, 1));
    shape_case("Flatten", 13, OP_DIMS(2, 3, 4), -1, NULL, OP_DIMS(2, 12));
    op_begin(&c, "Flatten", 13);
    op_in_f32(&c, OP_DIMS(2, 2), OP_LIST(1, 2, 3, 4));
    op_int(&c, "axis", 2);
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(4, 1), OP_LIST(1, 2, 3, 4), 0);
    op_end(&c);
    op_begin(&c, "Shape", 15);
    op_in_f32(&c, OP_DIMS(2, 3, 4), op_sequence(24, 1));
    op_int(&c, "start", -2);
    op_run(&c, 1);
    op_expect_i64(&c, 0, OP_DIMS(2), OP_LONGS(3, 4));
    op_end(&c);
    op_begin(&c, "Range", 11);
    op_in(&c, RAD_DT_I64, 0, NULL, OP_LONGS(5));
    op_in(&c, RAD_DT_I64, 0, NULL, OP_LONGS(0));
    op_in(&c, RAD_DT_I64, 0, NULL, OP_LONGS(-2));
    op_run(&c, 1);
    op_expect_i64(&c, 0, OP_DIMS(3), OP_LONGS(5, 3, 1));
    op_end(&c);
    op_begin(&c, "ConstantOfShape", 9);
    op_in_i64(&c, 2, OP_LONGS(2, 1));
    op_run(&c, 1);
    op_expect(&c, 0, OP_DIMS(2, 1), OP_LIST(0, 0), 0);
    op_end(&c);
    op_begin(&c, "Dropout", 13); /* inference: the data pass, the mask is all true */
    op_in_f32(&c, OP_DIMS(2), OP_LIST(1, 2));
    op_run(&c, 2);
    op_expect(&c, 0, OP_DIMS(2), OP_LIST(1, 2), 0);
    op_expect_shape(&c, 1, RAD_DT_BOOL, OP_DIMS(2));
    assert_memory_equal(c.out[1].data, "\1\1", 2);
    op_end(&c);
    op_begin(&c, "Dropout", 7); /* the mask was of the data's type then */
    op_in_f32(&c, OP_DIMS(2), OP_LIST(1, 2));
    op_run(&c, 2);
    op_expect(&c, 1, OP_DIMS(2), OP_LIST(1, 1), 0);
    op_end(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_rounding_and_nan),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_half_round_trip),
        cmocka_unit_test(test_double_sums),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_softmax_before_13),
        cmocka_unit_test(test_resize_rounding),
        cmocka_unit_test(test_log_sum_exp),
        cmocka_unit_test(test_arg_and_pool_index),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_split_and_concat),
        cmocka_unit_test(test_gather_and_repeat),
        cmocka_unit_test(test_blocks_and_transpose),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
