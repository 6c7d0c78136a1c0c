/* The sort behind ranks and AUCs against qsort, at sizes on both sides of every change of method, and stable. */
#include "unit.h"

#include "stats/rank.h"

#include <math.h>

static uint64_t next(uint64_t *s) {
    *s += 0x9e3779b97f4a7c15u;
    uint64_t z = *s;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return (z ^ (z >> 27)) * 0x94d049bb133111ebu;
}

/* Values of one kind: scores in [0, 1], few different ones, one only, any sign and size, falling. */
static double value_of(int kind, int64_t i, uint64_t *s) {
    const double u = (double)(next(s) >> 11) * 0x1p-53;
    switch (kind) {
    case 0:
        return u;
    case 1:
        return (double)(next(s) % 7) / 7;
    case 2:
        return 0.25;
    case 3:
        return (u - 0.5) * exp2((double)(next(s) % 2000) - 1000);
    default:
        return -(double)i;
    }
}

typedef struct item {
    double x;
    int64_t at;
} item;

static int by_value(const void *a, const void *b) {
    const item *x = a, *y = b;
    return x->x < y->x ? -1 : x->x > y->x ? 1 : (x->at > y->at) - (x->at < y->at);
}

static void test_order(void **state) {
    (void)state;
    static const int64_t N[] = {0, 1, 2, 48, 49, 300, 8192, 8193, 100000, 700000};
    uint64_t s = 3;
    for (size_t k = 0; k < sizeof N / sizeof *N; k++)
        for (int kind = 0; kind < 5; kind++) {
            const int64_t n = N[k];
            double *x = malloc((size_t)(n + 1) * sizeof *x);
            item *want = malloc((size_t)(n + 1) * sizeof *want);
            int64_t *order = malloc((size_t)(n + 1) * sizeof *order);
            uint64_t *key = malloc((size_t)(n + 1) * sizeof *key);
            assert_true(x && want && order && key);
            for (int64_t i = 0; i < n; i++) {
                x[i] = value_of(kind, i, &s);
                want[i] = (item){x[i], i};
                key[i] = rad_key_of(x[i]);
            }
            qsort(want, (size_t)n, sizeof *want, by_value);
            assert_int_equal(rad_order(x, n, order, NULL), RAD_OK);
            assert_int_equal(rad_key_sort(key, n, NULL), RAD_OK);
            for (int64_t i = 0; i < n; i++) {
                assert_int_equal(order[i], want[i].at);
                assert_true(rad_key_value(key[i]) == want[i].x);
            }
            free(x);
            free(want);
            free(order);
            free(key);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
