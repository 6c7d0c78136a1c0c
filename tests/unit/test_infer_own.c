/* Our own convolutions against sums in double: every way, weights in panels of every width, windows that reach over each edge, sums that
 * are put down between groups of taps and slices of channels; and the same bits for any number of threads. */
#include "unit.h"

#if __has_include(<oneapi/dnnl/dnnl.h>)
#include "infer/onednn/own.h"

#include <math.h>

struct shape {
    const char *what;
    enum dn_own_way way;
    int64_t rows, columns, channels, filters, kernel[2], stride[2], dilation[2], begin[2], end[2];
};

static const struct shape shapes[] = {
    {"1x1, one panel", DN_OWN_DIRECT, 9, 7, 16, 16, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1, panels of 3 and 2 vectors", DN_OWN_DIRECT, 5, 8, 48, 80, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1, stride", DN_OWN_DIRECT, 15, 14, 32, 64, {1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1, slices of channels", DN_OWN_DIRECT, 3, 5, 2048, 32, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1, blocks of pixels", DN_OWN_DIRECT, 20, 21, 1024, 16, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"1x1, padded", DN_OWN_DIRECT, 4, 4, 16, 32, {1, 1}, {1, 1}, {1, 1}, {1, 0}, {0, 2}},
    {"3x3, stride, groups of taps", DN_OWN_DIRECT, 11, 10, 288, 64, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3, slices of channels and groups of taps", DN_OWN_DIRECT, 5, 4, 1056, 16, {3, 3}, {2, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3, dilated", DN_OWN_DIRECT, 12, 9, 32, 48, {3, 3}, {1, 1}, {2, 3}, {2, 3}, {2, 3}},
    {"3x3, few channels", DN_OWN_DIRECT, 8, 9, 16, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"1x7", DN_OWN_DIRECT, 6, 17, 64, 96, {1, 7}, {1, 1}, {1, 1}, {0, 3}, {0, 3}},
    {"5x5, uneven strides", DN_OWN_DIRECT, 13, 13, 48, 64, {5, 5}, {1, 3}, {1, 1}, {2, 2}, {2, 2}},
    {"3x3, tiles of 4", DN_OWN_WINOGRAD4, 12, 12, 32, 32, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3, tiles of 4 over each edge", DN_OWN_WINOGRAD4, 13, 10, 32, 80, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3, tiles of 4, not padded, blocks of them", DN_OWN_WINOGRAD4, 31, 41, 64, 48, {3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
    {"3x3, tiles of 4, padded on one side", DN_OWN_WINOGRAD4, 17, 18, 32, 64, {3, 3}, {1, 1}, {1, 1}, {0, 2}, {2, 1}},
    {"3x3, tiles of 2, few pixels", DN_OWN_WINOGRAD2, 7, 7, 48, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3, tiles of 2, many weights, blocks of them", DN_OWN_WINOGRAD2, 16, 18, 352, 320, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3/2, tiles of 2", DN_OWN_STRIDED2, 16, 16, 64, 64, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3/2, tiles of 2 over each edge, not padded", DN_OWN_STRIDED2, 28, 31, 96, 80, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
    {"3x3/2, tiles of 2, padded at the end, blocks of them", DN_OWN_STRIDED2, 36, 34, 288, 64, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {1, 2}},
    {"3x3/2, tiles of 4", DN_OWN_STRIDED4, 47, 48, 48, 48, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3/2, tiles of 4 over each edge, blocks of them", DN_OWN_STRIDED4, 53, 58, 64, 80, {3, 3}, {2, 2}, {1, 1}, {2, 1}, {1, 0}},
    {"3x3/2, tiles of 4, not padded, one column more", DN_OWN_STRIDED4, 50, 67, 48, 48, {3, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
    {"3x3/2, few pixels", DN_OWN_DIRECT, 14, 14, 64, 64, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3/2, few channels", DN_OWN_DIRECT, 28, 28, 48, 64, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3/2, few of both", DN_OWN_DIRECT, 48, 48, 32, 32, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}},
    {"3x3, uneven strides", DN_OWN_DIRECT, 48, 24, 64, 64, {3, 3}, {2, 1}, {1, 1}, {1, 1}, {1, 1}},
};

static float *numbers(size_t n, uint32_t seed) {
    float *x = rad_aligned(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = unit_number((uint32_t)i + seed);
    return x;
}

static bool choose(const struct shape *s, int64_t images, const rad_post *post, struct dn_own *ret) {
    rad_window_params w = {.n_axis = 2, .group = 1};
    for (int i = 0; i < 2; i++) {
        w.in[i] = i == 0 ? s->rows : s->columns;
        w.kernel[i] = s->kernel[i];
        w.stride[i] = s->stride[i];
        w.dilation[i] = s->dilation[i];
        w.pad_begin[i] = s->begin[i];
        w.pad_end[i] = s->end[i];
        w.out[i] = (w.in[i] + s->begin[i] + s->end[i] - (s->kernel[i] - 1) * s->dilation[i] - 1) / s->stride[i] + 1;
    }
    return dn_own_choose(&w, images, s->channels, s->filters, post, ret);
}

/* One element before bias and activation, and the sum of its products' magnitudes. */
static double exact(const struct shape *s, const float *x, const float *w, int64_t y, int64_t c, int64_t f, double *ret_magnitude) {
    double sum = 0.0;
    *ret_magnitude = 0.0;
    for (int64_t i = 0; i < s->kernel[0]; i++)
        for (int64_t j = 0; j < s->kernel[1]; j++) {
            const int64_t iy = y * s->stride[0] - s->begin[0] + i * s->dilation[0],
                          ix = c * s->stride[1] - s->begin[1] + j * s->dilation[1];
            for (int64_t k = 0; iy >= 0 && iy < s->rows && ix >= 0 && ix < s->columns && k < s->channels; k++) {
                const double product = (double)x[(iy * s->columns + ix) * s->channels + k] *
                                       (double)w[((f * s->channels + k) * s->kernel[0] + i) * s->kernel[1] + j];
                sum += product;
                *ret_magnitude += fabs(product);
            }
        }
    return sum;
}

static void run(const struct dn_own *o, struct dn_own_data d, int threads) {
    size_t weights = 0, room = 0;
    assert_true(dn_own_sizes(o, threads, &weights, &room));
    d.scratch = rad_aligned(room);
    assert_non_null(d.scratch);
    memset(d.scratch, 0xff, room); /* NaN: nothing is read that was not written */
    dn_own_run(o, &d, threads);
    free(d.scratch);
}

static void check(const struct shape *s, bool sum, const rad_post *act) {
    rad_post post = *act;
    struct dn_own o;
    size_t weight_bytes = 0, room = 0;
    post.sum = sum;
    assert_true(choose(s, 2, &post, &o));
    if (o.way != s->way)
        fail_msg("%s goes by %s", s->what, dn_own_name(&o));
    assert_true(dn_own_sizes(&o, 1, &weight_bytes, &room));
    const size_t n = (size_t)(o.images * o.out[0] * o.out[1] * o.filters);
    const int64_t in = s->rows * s->columns * s->channels, pixels = o.out[0] * o.out[1];
    float *x = numbers((size_t)(o.images * in), 1), *bias = numbers((size_t)s->filters, 77);
    float *w = numbers((size_t)(s->filters * s->channels * s->kernel[0] * s->kernel[1]), 1000), *before = numbers(n, 5);
    float *packed = rad_aligned(weight_bytes), *y = rad_aligned(n * sizeof *y), *again = rad_aligned(n * sizeof *y);
    assert_true(packed != NULL && y != NULL && again != NULL);
    dn_own_pack(&o, w, packed);
    struct dn_own_data d = {.src = x, .weights = packed, .bias = bias, .dst = y};
    memcpy(y, before, n * sizeof *y);
    run(&o, d, 1);
    static const double limits[] = {3e-7, 5e-7, 1e-6, 3e-7, 3e-7}; /* of the magnitudes summed */
    const double limit = limits[o.way];
    for (size_t i = 0; i < n; i += n / 300 + 1) {
        const int64_t f = (int64_t)i % o.filters, pixel = (int64_t)i / o.filters;
        double magnitude = 0.0;
        double want = exact(s, x + pixel / pixels * in, w, pixel % pixels / o.out[1], pixel % o.out[1], f, &magnitude) + (double)bias[f] +
                      (sum ? (double)before[i] : 0.0);
        if (o.clamp)
            want = fmin(fmax(want, (double)o.low), (double)o.high);
        if (!(fabs((double)y[i] - want) <= limit * (magnitude + 1.0)))
            fail_msg("%s: element %zu is %g, not %g", s->what, i, (double)y[i], want);
    }
    d.dst = again;
    for (int threads = 2; threads <= 5; threads++) {
        memcpy(again, before, n * sizeof *y);
        run(&o, d, threads);
        if (memcmp(y, again, n * sizeof *y) != 0)
            fail_msg("%s: %d threads have other bits", s->what, threads);
    }
    free(x);
    free(bias);
    free(w);
    free(before);
    free(packed);
    free(y);
    free(again);
}

static const rad_post none = {0}, relu = {.act = true, .alg = dnnl_eltwise_relu},
                      clip = {.act = true, .alg = dnnl_eltwise_clip, .alpha = -0.25f, .beta = 0.5f};

static void test_shapes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check(&shapes[i], i % 2 == 0, i % 3 == 0 ? &relu : i % 3 == 1 ? &none : &clip);
    check(&shapes[0], true, &clip);
    check(&shapes[12], true, &relu);
    check(&shapes[12], false, &none);
    check(&shapes[16], true, &clip);
    check(&shapes[18], true, &relu);
    check(&shapes[21], false, &clip);
}

/* What is not a number stays none, in its own elements (direct) or its tile's. */
static void test_nan(void **state) {
    (void)state;
    static const int which[] = {0, 12, 18, 21};
    for (int k = 0; k < 4; k++) {
        const struct shape *s = &shapes[which[k]];
        struct dn_own o;
        size_t weight_bytes = 0, room = 0;
        assert_true(choose(s, 1, &relu, &o) && dn_own_sizes(&o, 1, &weight_bytes, &room));
        const size_t n = (size_t)(o.out[0] * o.out[1] * o.filters);
        float *x = numbers((size_t)(s->rows * s->columns * s->channels), 1), *bias = numbers((size_t)s->filters, 77);
        float *w = numbers((size_t)(s->filters * s->channels * s->kernel[0] * s->kernel[1]), 1000);
        float *packed = rad_aligned(weight_bytes), *y = rad_aligned(n * sizeof *y);
        assert_true(packed != NULL && y != NULL);
        x[3] = NAN;
        dn_own_pack(&o, w, packed);
        run(&o, (struct dn_own_data){.src = x, .weights = packed, .bias = bias, .dst = y}, 1);
        for (int64_t f = 0; f < o.filters; f++)
            assert_true(isnan(y[f]) != 0);
        assert_true(isnan(y[n - 1]) == 0);
        free(x);
        free(bias);
        free(w);
        free(packed);
        free(y);
    }
}

static void test_not_ours(void **state) {
    (void)state;
    const rad_post swish = {.act = true, .alg = dnnl_eltwise_swish, .alpha = 1.0f};
    const rad_post leaky = {.act = true, .alg = dnnl_eltwise_relu, .alpha = 0.1f};
    struct shape s = shapes[0];
    struct dn_own o;
    assert_true(choose(&s, 1, &none, &o));
    assert_false(choose(&s, 1, &swish, &o));
    assert_false(choose(&s, 1, &leaky, &o));
    s.channels = 24;
    assert_false(choose(&s, 1, &none, &o));
    s.channels = 16;
    s.filters = 40;
    assert_false(choose(&s, 1, &none, &o));
    o = (struct dn_own){
        .out = {1, 1}, .in = {1, 1}, .channels = INT64_C(1) << 40, .filters = INT64_C(1) << 40, .kernel = {1, 1}, .stride = {1, 1}};
    size_t weights = 0, room = 0;
    assert_false(dn_own_sizes(&o, 1, &weights, &room));
}

int main(void) {
    if (!rad_prim_has_avx512()) {
        puts("SKIP: our convolutions need AVX-512");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_nan), cmocka_unit_test(test_not_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
    puts("SKIP: built without oneDNN");
    return 77;
}
#endif
