/* RAD_TEST_LINK: rad_model
 * Operators against PyTorch (op_torch_values.h): convolutions, pools, norms, resizing, activations. Exact cases and the standard's odd
 * corners are in test_ops_exact.c. */
#include "op_case.h"
#include "op_torch_values.h"

#define NEAR 3e-7 /* the values are rounded to float32 once, as ours are */

static const int64_t dims_x[] = {2, 4, 6, 5};

/* Input number `place` of the case from the sequence of seed place + 1, as in make_op_values.py. */
static void sequence_in(op_case *c, int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    op_in_f32(c, rank, dim, op_sequence(n, c->node.n_input + 1));
}

static void finish(op_case *c, int rank, const int64_t *dim, const float *want) {
    op_run(c, 1);
    op_expect(c, 0, rank, dim, want, NEAR);
    op_end(c);
}

static void test_conv(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Conv", 17);
    sequence_in(&c, 4, dims_x);
    sequence_in(&c, OP_DIMS(3, 4, 3, 2));
    sequence_in(&c, OP_DIMS(3));
    op_ints(&c, "strides", 2, OP_LONGS(2, 1));
    op_ints(&c, "pads", 4, OP_LONGS(1, 0, 1, 0));
    op_ints(&c, "dilations", 2, OP_LONGS(1, 2));
    finish(&c, OP_DIMS(2, 3, 3, 3), torch_conv2d_strided);

    op_begin(&c, "Conv", 11);
    sequence_in(&c, 4, dims_x);
    sequence_in(&c, OP_DIMS(6, 2, 2, 2));
    op_int(&c, "group", 2);
    op_ints(&c, "strides", 2, OP_LONGS(2, 2));
    finish(&c, OP_DIMS(2, 6, 3, 2), torch_conv2d_groups);

    op_begin(&c, "Conv", 17);
    sequence_in(&c, OP_DIMS(1, 4, 6, 5));
    sequence_in(&c, OP_DIMS(4, 1, 3, 3));
    sequence_in(&c, OP_DIMS(4));
    op_int(&c, "group", 4);
    op_text(&c, "auto_pad", "SAME_UPPER");
    finish(&c, OP_DIMS(1, 4, 6, 5), torch_conv2d_depthwise);

    op_begin(&c, "Conv", 17); /* one kernel position: the spatial axes are taken as one row */
    sequence_in(&c, 4, dims_x);
    sequence_in(&c, OP_DIMS(2, 4, 1, 1));
    sequence_in(&c, OP_DIMS(2));
    finish(&c, OP_DIMS(2, 2, 6, 5), torch_conv2d_pointwise);

    op_begin(&c, "Conv", 17); /* pads are all begins, then all ends */
    sequence_in(&c, 4, dims_x);
    sequence_in(&c, OP_DIMS(2, 4, 3, 3));
    op_ints(&c, "strides", 2, OP_LONGS(2, 2));
    op_ints(&c, "pads", 4, OP_LONGS(0, 2, 1, 0));
    finish(&c, OP_DIMS(2, 2, 3, 3), torch_conv2d_asymmetric);

    op_begin(&c, "Conv", 17);
    sequence_in(&c, OP_DIMS(2, 3, 9));
    sequence_in(&c, OP_DIMS(2, 3, 3));
    sequence_in(&c, OP_DIMS(2));
    op_ints(&c, "strides", 1, OP_LONGS(2));
    op_ints(&c, "pads", 2, OP_LONGS(2, 2));
    finish(&c, OP_DIMS(2, 2, 6), torch_conv1d);

    op_begin(&c, "Conv", 17);
    sequence_in(&c, OP_DIMS(1, 2, 4, 4, 5));
    sequence_in(&c, OP_DIMS(2, 2, 2, 3, 2));
    sequence_in(&c, OP_DIMS(2));
    op_ints(&c, "strides", 3, OP_LONGS(1, 2, 2));
    op_ints(&c, "pads", 6, OP_LONGS(1, 1, 0, 1, 1, 0));
    finish(&c, OP_DIMS(1, 2, 5, 2, 2), torch_conv3d);
}

static void test_conv_transpose(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "ConvTranspose", 17);
    sequence_in(&c, OP_DIMS(1, 4, 3, 4));
    sequence_in(&c, OP_DIMS(4, 2, 3, 3));
    sequence_in(&c, OP_DIMS(4));
    op_int(&c, "group", 2);
    op_ints(&c, "strides", 2, OP_LONGS(2, 2));
    op_ints(&c, "pads", 4, OP_LONGS(1, 1, 1, 1));
    op_ints(&c, "output_padding", 2, OP_LONGS(1, 0));
    finish(&c, OP_DIMS(1, 4, 6, 7), torch_deconv2d);

    op_begin(&c, "ConvTranspose", 17);
    sequence_in(&c, OP_DIMS(1, 2, 3, 3));
    sequence_in(&c, OP_DIMS(2, 2, 2, 2));
    op_ints(&c, "strides", 2, OP_LONGS(1, 2));
    op_ints(&c, "dilations", 2, OP_LONGS(2, 2));
    finish(&c, OP_DIMS(1, 2, 5, 7), torch_deconv2d_dilated);

    op_begin(&c, "ConvTranspose", 11);
    sequence_in(&c, OP_DIMS(1, 2, 2, 2, 3));
    sequence_in(&c, OP_DIMS(2, 1, 2, 2, 2));
    sequence_in(&c, OP_DIMS(1));
    op_ints(&c, "strides", 3, OP_LONGS(2, 2, 2));
    finish(&c, OP_DIMS(1, 1, 4, 4, 6), torch_deconv3d);
}

static void pool_case(const char *op, bool ceil, bool include, int rank, const int64_t *dim, const float *want) {
    op_case c;
    op_begin(&c, op, 19);
    sequence_in(&c, 4, dims_x);
    op_ints(&c, "kernel_shape", 2, OP_LONGS(3, 3));
    op_ints(&c, "strides", 2, OP_LONGS(2, 2));
    op_ints(&c, "pads", 4, OP_LONGS(1, 1, 1, 1));
    op_int(&c, "ceil_mode", ceil);
    if (include)
        op_int(&c, "count_include_pad", 1);
    finish(&c, rank, dim, want);
}

static void test_pool(void **state) {
    (void)state;
    op_case c;
    pool_case("MaxPool", true, false, OP_DIMS(2, 4, 4, 3), torch_maxpool_ceil);
    pool_case("AveragePool", true, true, OP_DIMS(2, 4, 4, 3), torch_avgpool_include);
    pool_case("AveragePool", true, false, OP_DIMS(2, 4, 4, 3), torch_avgpool_exclude);

    op_begin(&c, "MaxPool", 12);
    sequence_in(&c, 4, dims_x);
    op_ints(&c, "kernel_shape", 2, OP_LONGS(2, 2));
    op_ints(&c, "strides", 2, OP_LONGS(2, 1));
    op_ints(&c, "dilations", 2, OP_LONGS(2, 1));
    finish(&c, OP_DIMS(2, 4, 2, 4), torch_maxpool_dilated);

    op_begin(&c, "AveragePool", 11);
    sequence_in(&c, OP_DIMS(1, 2, 4, 4, 4));
    op_ints(&c, "kernel_shape", 3, OP_LONGS(2, 2, 2));
    op_ints(&c, "strides", 3, OP_LONGS(2, 1, 2));
    finish(&c, OP_DIMS(1, 2, 2, 3, 2), torch_avgpool3d);

    op_begin(&c, "LpPool", 11);
    sequence_in(&c, OP_DIMS(1, 4, 6, 5));
    op_ints(&c, "kernel_shape", 2, OP_LONGS(2, 2));
    op_ints(&c, "strides", 2, OP_LONGS(2, 2));
    finish(&c, OP_DIMS(1, 4, 3, 2), torch_lppool);

    op_begin(&c, "GlobalAveragePool", 17);
    sequence_in(&c, 4, dims_x);
    finish(&c, OP_DIMS(2, 4, 1, 1), torch_global_average);
}

static void test_norm(void **state) {
    (void)state;
    op_case c;
    float variance[4];
    const float *v = op_sequence(4, 5);
    for (int i = 0; i < 4; i++)
        variance[i] = fabsf(v[i]) + 0.5f;
    op_begin(&c, "BatchNormalization", 15);
    sequence_in(&c, OP_DIMS(1, 4, 6, 5));
    sequence_in(&c, OP_DIMS(4));
    sequence_in(&c, OP_DIMS(4));
    sequence_in(&c, OP_DIMS(4));
    op_in_f32(&c, OP_DIMS(4), variance);
    op_float(&c, "epsilon", 1e-3f);
    finish(&c, OP_DIMS(1, 4, 6, 5), torch_batch_norm);

    /* the second sample alone: statistics of one sample never see another */
    const float *both = op_sequence(240, 1);
    op_begin(&c, "InstanceNormalization", 17);
    op_in_f32(&c, OP_DIMS(1, 4, 6, 5), both + 120);
    sequence_in(&c, OP_DIMS(4));
    sequence_in(&c, OP_DIMS(4));
    finish(&c, OP_DIMS(1, 4, 6, 5), torch_instance_norm);

    op_begin(&c, "GroupNormalization", 21);
    op_in_f32(&c, OP_DIMS(1, 4, 6, 5), both + 120);
    sequence_in(&c, OP_DIMS(4));
    sequence_in(&c, OP_DIMS(4));
    op_int(&c, "num_groups", 2);
    finish(&c, OP_DIMS(1, 4, 6, 5), torch_group_norm);

    op_begin(&c, "LayerNormalization", 17);
    sequence_in(&c, OP_DIMS(3, 2, 5));
    sequence_in(&c, OP_DIMS(2, 5));
    sequence_in(&c, OP_DIMS(2, 5));
    op_int(&c, "axis", 1);
    finish(&c, OP_DIMS(3, 2, 5), torch_layer_norm);

    op_begin(&c, "LRN", 13);
    sequence_in(&c, OP_DIMS(1, 6, 2, 3));
    op_int(&c, "size", 5);
    op_float(&c, "alpha", 0.3f);
    op_float(&c, "beta", 0.7f);
    op_float(&c, "bias", 1.5f);
    finish(&c, OP_DIMS(1, 6, 2, 3), torch_lrn);

    op_begin(&c, "Softmax", 13);
    sequence_in(&c, OP_DIMS(2, 3, 4));
    op_int(&c, "axis", 1);
    finish(&c, OP_DIMS(2, 3, 4), torch_softmax);
    op_begin(&c, "LogSoftmax", 13);
    sequence_in(&c, OP_DIMS(2, 3, 4));
    finish(&c, OP_DIMS(2, 3, 4), torch_log_softmax);
}

/* mode, coordinates, target size of [1, 2, 6, 5]. */
static void resize_case(const char *mode, const char *coordinates, const char *rounding, bool antialias, int64_t h, int64_t w,
                        const float *want) {
    op_case c;
    op_begin(&c, "Resize", 18);
    sequence_in(&c, OP_DIMS(1, 2, 6, 5));
    op_in_none(&c);
    op_in_none(&c);
    op_in_i64(&c, 4, OP_LONGS(1, 2, h, w));
    op_text(&c, "mode", mode);
    op_text(&c, "coordinate_transformation_mode", coordinates);
    op_text(&c, "nearest_mode", rounding);
    if (antialias) {
        op_int(&c, "antialias", 1);
        op_int(&c, "exclude_outside", 1);
    }
    finish(&c, OP_DIMS(1, 2, h, w), want);
}

static void test_resize(void **state) {
    (void)state;
    op_case c;
    resize_case("linear", "pytorch_half_pixel", "floor", false, 4, 8, torch_bilinear);
    resize_case("linear", "half_pixel", "floor", false, 4, 8, torch_bilinear);
    resize_case("linear", "align_corners", "floor", false, 4, 8, torch_bilinear_corners);
    resize_case("cubic", "pytorch_half_pixel", "floor", false, 9, 3, torch_bicubic);
    resize_case("linear", "half_pixel", "floor", true, 3, 2, torch_bilinear_antialias);
    resize_case("nearest", "asymmetric", "floor", false, 9, 3, torch_nearest);

    op_begin(&c, "Resize", 13);
    sequence_in(&c, OP_DIMS(1, 1, 2, 3, 3));
    op_in_none(&c);
    op_in_f32(&c, OP_DIMS(5), OP_LIST(1, 1, 2, 2, 2));
    op_text(&c, "mode", "linear");
    finish(&c, OP_DIMS(1, 1, 4, 6, 6), torch_trilinear);
}

static void test_pad_and_shuffle(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Pad", 13);
    sequence_in(&c, OP_DIMS(1, 2, 6, 5));
    op_in_i64(&c, 8, OP_LONGS(0, 0, 3, 2, 0, 0, 2, 1));
    op_text(&c, "mode", "reflect");
    finish(&c, OP_DIMS(1, 2, 11, 8), torch_pad_reflect);
    op_begin(&c, "Pad", 18); /* the axes that are padded, from the back */
    sequence_in(&c, OP_DIMS(1, 2, 6, 5));
    op_in_i64(&c, 4, OP_LONGS(2, 1, 1, 2));
    op_in_none(&c);
    op_in_i64(&c, 2, OP_LONGS(-1, 2));
    op_text(&c, "mode", "edge");
    finish(&c, OP_DIMS(1, 2, 9, 8), torch_pad_edge);
    op_begin(&c, "DepthToSpace", 13);
    sequence_in(&c, OP_DIMS(1, 8, 2, 3));
    op_int(&c, "blocksize", 2);
    op_text(&c, "mode", "CRD");
    finish(&c, OP_DIMS(1, 2, 4, 6), torch_pixel_shuffle);
}

static void test_products(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "Gemm", 13);
    sequence_in(&c, OP_DIMS(3, 4));
    sequence_in(&c, OP_DIMS(5, 4));
    sequence_in(&c, OP_DIMS(5));
    op_int(&c, "transB", 1);
    op_float(&c, "alpha", 0.5f);
    op_float(&c, "beta", 2.0f);
    finish(&c, OP_DIMS(3, 5), torch_gemm);
    op_begin(&c, "MatMul", 13);
    sequence_in(&c, OP_DIMS(2, 1, 3, 4));
    sequence_in(&c, OP_DIMS(3, 4, 2));
    finish(&c, OP_DIMS(2, 3, 3, 2), torch_matmul);
}

/* f(factor * x) on 24 numbers. */
static void activation(const char *op, float factor, const char *attr, float value, const float *want) {
    op_case c;
    float x[24];
    const float *s = op_sequence(24, 1);
    for (int i = 0; i < 24; i++)
        x[i] = factor * s[i];
    op_begin(&c, op, 20);
    op_in_f32(&c, OP_DIMS(24), x);
    if (attr != NULL && strcmp(attr, "approximate") == 0)
        op_text(&c, attr, "tanh");
    else if (attr != NULL)
        op_float(&c, attr, value);
    finish(&c, OP_DIMS(24), want);
}

static void test_activations(void **state) {
    (void)state;
    op_case c;
    activation("Gelu", 1, NULL, 0, torch_gelu);
    activation("Gelu", 1, "approximate", 0, torch_gelu_tanh);
    activation("Mish", 1, NULL, 0, torch_mish);
    activation("Elu", 1, "alpha", 1.5f, torch_elu);
    activation("Selu", 1, NULL, 0, torch_selu);
    activation("Celu", 1, "alpha", 0.7f, torch_celu);
    activation("Softplus", 1, NULL, 0, torch_softplus);
    activation("Softsign", 1, NULL, 0, torch_softsign);
    activation("Sigmoid", 4, NULL, 0, torch_sigmoid);
    activation("Tanh", 1, NULL, 0, torch_tanh);
    activation("Erf", 1, NULL, 0, torch_erf);
    activation("HardSwish", 3, NULL, 0, torch_hardswish);
    activation("LeakyRelu", 1, "alpha", 0.1f, torch_leaky_relu);
    for (int opset = 6; opset <= 16; opset += 10) { /* up to opset 6 a list is a slope per channel, later it needs its ones */
        op_begin(&c, "PRelu", opset);
        sequence_in(&c, OP_DIMS(1, 4, 6, 5));
        if (opset == 6)
            sequence_in(&c, OP_DIMS(4));
        else
            sequence_in(&c, OP_DIMS(4, 1, 1));
        finish(&c, OP_DIMS(1, 4, 6, 5), torch_prelu);
    }
}

static void test_reductions(void **state) {
    (void)state;
    op_case c;
    op_begin(&c, "ReduceLogSumExp", 13);
    sequence_in(&c, OP_DIMS(2, 3, 4));
    op_ints(&c, "axes", 1, OP_LONGS(1));
    op_int(&c, "keepdims", 0);
    finish(&c, OP_DIMS(2, 4), torch_logsumexp);
    op_begin(&c, "ReduceL2", 18);
    sequence_in(&c, OP_DIMS(2, 3, 4));
    op_in_i64(&c, 2, OP_LONGS(0, -1));
    finish(&c, OP_DIMS(1, 3, 1), torch_norm2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),     cmocka_unit_test(test_conv_transpose), cmocka_unit_test(test_pool),
        cmocka_unit_test(test_norm),     cmocka_unit_test(test_resize),         cmocka_unit_test(test_pad_and_shuffle),
        cmocka_unit_test(test_products), cmocka_unit_test(test_activations),    cmocka_unit_test(test_reductions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
