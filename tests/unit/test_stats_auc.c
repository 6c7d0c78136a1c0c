/* AUC and DeLong variance: brute force, exact small cases, invariances, degenerate groups. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "radcohort/stats.h"

static uint64_t rng(uint64_t *s) {
    *s += 0x9e3779b97f4a7c15u;
    uint64_t z = *s;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static rad_estimate auc(const int8_t *y, const double *x, int64_t n) {
    rad_estimate e;
    rad_error err = {0};
    assert_int_equal(rad_auc(y, x, n, 0.95, &e, &err), RAD_OK);
    return e;
}

/* The definition, O(n^2), with placement values kept as doubles. */
static void brute(const int8_t *y, const double *x, int64_t n, double *ret_auc, double *ret_var) {
    double n1 = 0, n0 = 0, sum = 0, s10 = 0, s01 = 0;
    for (int64_t i = 0; i < n; i++) {
        n1 += y[i] == 1;
        n0 += y[i] == 0;
        for (int64_t j = 0; j < n; j++)
            if (y[i] == 1 && y[j] == 0)
                sum += x[i] > x[j] ? 1 : x[i] == x[j] ? 0.5 : 0;
    }
    const double a = sum / n1 / n0;
    for (int64_t i = 0; i < n; i++) {
        double v = 0;
        for (int64_t j = 0; j < n; j++)
            if (y[j] != y[i])
                v += x[i] > x[j] ? 1 : x[i] == x[j] ? 0.5 : 0;
        if (y[i] == 1)
            s10 += (v / n0 - a) * (v / n0 - a);
        else
            s01 += (1 - v / n1 - a) * (1 - v / n1 - a);
    }
    *ret_auc = a;
    *ret_var = s10 / (n1 - 1) / n1 + s01 / (n0 - 1) / n0;
}

static void test_brute_force(void **state) {
    (void)state;
    uint64_t s = 1;
    for (int round = 0; round < 200; round++) {
        enum { N = 90 };
        int8_t y[N];
        double x[N], a, v;
        const uint64_t levels = 2 + rng(&s) % 60;
        for (int i = 0; i < N; i++) {
            y[i] = (int8_t)(i < 2 ? 1 : i < 4 ? 0 : rng(&s) % 2);
            x[i] = (double)(rng(&s) % levels) / 7.0 - 3.0;
        }
        brute(y, x, N, &a, &v);
        const rad_estimate e = auc(y, x, N);
        assert_true(fabs(e.est - a) < 1e-14);
        assert_true(fabs(e.se * e.se - v) < 1e-14);
    }
}

static void test_invariance(void **state) {
    (void)state;
    enum { N = 500 };
    uint64_t s = 7;
    int8_t y[N], y2[2 * N];
    double x[N], t[N], x2[2 * N];
    for (int i = 0; i < N; i++) {
        y[i] = (int8_t)(rng(&s) % 3 == 0);
        x[i] = (double)(rng(&s) % 200) + 20 * y[i]; /* whole numbers: the transform below must not merge neighbours */
    }
    const rad_estimate e = auc(y, x, N);
    assert_true(e.lower < e.est && e.est < e.upper && e.reason == NULL);
    /* a strictly increasing transform moves nothing, to the bit */
    for (int i = 0; i < N; i++)
        t[i] = exp(x[i] / 50) - 7;
    rad_estimate f = auc(y, t, N);
    assert_true(f.est == e.est && f.se == e.se);
    /* nor does the order of rows */
    for (int i = 0; i < N; i++) {
        y2[i] = y[(i * 137) % N];
        x2[i] = x[(i * 137) % N];
    }
    f = auc(y2, x2, N);
    assert_true(f.est == e.est && f.se == e.se && f.p == e.p);
    /* swapped labels or negated scores mirror the curve */
    for (int i = 0; i < N; i++)
        y2[i] = (int8_t)(1 - y[i]);
    f = auc(y2, x, N);
    assert_true(fabs(f.est - (1 - e.est)) < 1e-15 && fabs(f.se - e.se) < 1e-15);
    for (int i = 0; i < N; i++)
        t[i] = -x[i];
    f = auc(y2, t, N);
    assert_true(f.est == e.est && fabs(f.se - e.se) < 1e-15);
    /* doubling the data keeps the area and halves the variance but for the n - 1 */
    for (int i = 0; i < 2 * N; i++) {
        y2[i] = y[i % N];
        x2[i] = x[i % N];
    }
    f = auc(y2, x2, 2 * N);
    assert_true(f.est == e.est);
    assert_true(fabs(f.se * f.se / (e.se * e.se) - 0.5) < 0.01);
}

static void test_degenerate(void **state) {
    (void)state;
    const int8_t y[6] = {1, 1, 1, 0, 0, 0}, one[6] = {1, 1, 1, 1, 1, 1}, single[6] = {1, 0, 0, 0, 0, 0}, odd[6] = {1, 1, 2, 0, 0, -1};
    const double sep[6] = {0.9, 0.8, 0.7, 0.3, 0.2, 0.1}, tie[6] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5},
                 zero[6] = {0.0, -0.0, 0.0, -0.0, 0.0, 0.0};
    const double holes[6] = {0.9, NAN, 0.7, 0.3, 0.2, NAN};
    rad_estimate e = auc(y, sep, 6);
    assert_true(e.est == 1 && e.se == 0 && e.lower == 1 && e.upper == 1 && isnan(e.p) && e.reason);
    e = auc(y, tie, 6);
    assert_true(e.est == 0.5 && e.se == 0 && e.reason);
    e = auc(y, zero, 6);
    assert_true(e.est == 0.5);
    e = auc(one, sep, 6);
    assert_true(isnan(e.est) && isnan(e.se) && isnan(e.lower) && strcmp(e.reason, "no negative case") == 0);
    e = auc(single, sep, 6);
    assert_true(e.est == 1 && isnan(e.se) && isnan(e.lower) && e.reason);
    e = auc(y, holes, 6);
    assert_true(e.n == 4 && e.n_pos == 2 && e.n_missing == 2);
    e = auc(odd, sep, 6);
    assert_true(e.n == 4 && e.n_missing == 2);
    e = auc(y, sep, 0);
    assert_true(isnan(e.est) && e.n == 0 && e.reason);
    /* 0.1 + 0.2 is not 0.3 */
    const int8_t yy[2] = {1, 0};
    const double xx[2] = {0.1 + 0.2, 0.3};
    assert_true(auc(yy, xx, 2).est == 1);
    rad_error err = {0};
    const double inf[4] = {INFINITY, 1, 0, -INFINITY};
    const int8_t yi[4] = {1, 1, 0, 0};
    assert_true(auc(yi, inf, 4).est == 1);
    e.est = 42;
    assert_int_equal(rad_auc(y, sep, 6, 1.0, &e, &err), RAD_E_USAGE);
    assert_true(e.est == 42);
    rad_mem_fail_after(1);
    assert_int_equal(rad_auc(y, sep, 6, 0.95, &e, &err), RAD_E_NOMEM);
    rad_mem_fail_after(0);
    assert_true(e.est == 42);
}

static void test_difference(void **state) {
    (void)state;
    rad_error err = {0};
    rad_estimate a = {.est = 0.9, .se = 0.03, .n = 100, .n_pos = 40}, b = {.est = 0.8, .se = 0.04, .n = 50, .n_pos = 20}, d;
    assert_int_equal(rad_auc_difference(&a, &b, 0.95, &d, &err), RAD_OK);
    assert_true(fabs(d.est - 0.1) < 1e-15 && fabs(d.se - 0.05) < 1e-15);
    assert_true(fabs(d.p - 0.04550026389635842) < 1e-12);
    assert_true(fabs(d.lower - (0.1 - 1.959963984540054 * 0.05)) < 1e-12);
    assert_true(d.n == 150 && d.n_pos == 60 && d.reason == NULL);
    b.est = b.se = NAN;
    b.reason = "no positive case";
    assert_int_equal(rad_auc_difference(&a, &b, 0.95, &d, &err), RAD_OK);
    assert_true(isnan(d.est) && isnan(d.p) && d.reason == b.reason);
    a.se = 0;
    b = a;
    assert_int_equal(rad_auc_difference(&a, &b, 0.95, &d, &err), RAD_OK);
    assert_true(d.est == 0 && isnan(d.p) && d.reason);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_brute_force), cmocka_unit_test(test_invariance),
                                       cmocka_unit_test(test_degenerate), cmocka_unit_test(test_difference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
