/* Pairs of near copies: all of them and no others, against a comparison of every pair; and how long 50,000 volumes take.
 * RAD_TEST_LINK: rad_store */
#include "unit.h"

#include "store/copies.h"

#include <math.h>

static char sequence[] = "T2";

enum { N = 1500, PLANTED = 60, LENGTH = 164 };

static uint64_t random_state = 88172645463325252u;
static double uniform(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

/* As anatomy makes them: a shape that all share, and a few strong coordinates. `other`: a noisy copy of that one. */
static void make(const int8_t *other, double noise, int8_t *out) {
    for (int k = 0; k < LENGTH; k++) {
        double scale = 60.0 / (1 + k / 8.0), v = other ? other[k] : 0.7 * scale * cos(k) + scale * (uniform() + uniform() - 1);
        v += other ? noise * (uniform() - 0.5) : 0;
        out[k] = (int8_t)lround(fmax(-127, fmin(127, v)));
    }
}

static char *hex(const int8_t *v) {
    char *text = calloc(2 * LENGTH + 1, 1);
    for (int k = 0; k < LENGTH; k++)
        snprintf(text + 2 * k, 3, "%02x", (unsigned)(uint8_t)v[k]);
    return text;
}

static double cosine(const int8_t *a, const int8_t *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int k = 0; k < LENGTH; k++) {
        ab += (double)a[k] * b[k];
        aa += (double)a[k] * a[k];
        bb += (double)b[k] * b[k];
    }
    return ab / sqrt(aa * bb);
}

static double length2(const int8_t *a) {
    double sum = 0;
    for (int k = 0; k < LENGTH; k++)
        sum += (double)a[k] * a[k];
    return sum;
}

static double own_cosine(const double *a, const double *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int k = 0; k < LENGTH; k++) {
        ab += a[k] * b[k];
        aa += a[k] * a[k];
        bb += b[k] * b[k];
    }
    return ab / sqrt(aa * bb);
}

typedef struct found {
    int64_t n, n_same, a[10000], b[10000];
    double similarity[10000];
} found;

static rad_status collect(void *payload, int64_t a, int64_t b, double similarity, bool same, rad_error *err) {
    found *f = payload;
    (void)err;
    assert_true(a < b && f->n < 10000);
    f->a[f->n] = a;
    f->b[f->n] = b;
    f->n_same += same;
    f->similarity[f->n++] = similarity;
    return RAD_OK;
}

static void all_pairs_and_no_others(void **state) {
    (void)state;
    int8_t(*v)[LENGTH] = calloc(N, sizeof *v);
    rad_copy_item *item = calloc(N, sizeof *item);
    found *f = calloc(1, sizeof *f);
    rad_error err = {0};
    for (int i = 0; i < N; i++) {
        make(i >= N - PLANTED ? v[(i * 7) % (N - PLANTED)] : NULL, i % 4 ? i % 20 : 0, v[i]);
        if (i >= N - PLANTED && i % 4 == 0) /* as far as it may be, in the coordinate that the volumes are sorted by */
            v[i][0] = (int8_t)(v[i][0] + (v[i][0] > 40 ? -36 : 36));
        item[i] = (rad_copy_item){
            .volume = i == 3 ? 2 : i, .patient = i / 2, .image = i, .sequence = sequence, .signature = i % 97 == 5 ? NULL : hex(v[i])};
    }
    assert_ok(rad_copies_find(item, N, collect, f, &err));
    int64_t want = 0;
    double(*own)[LENGTH] = calloc(N, sizeof *own);
    for (int k = 0; k < LENGTH; k++) {
        double mean = 0, n = 0;
        for (int i = 0; i < N; i++)
            if (item[i].signature) {
                mean += v[i][k] / sqrt(length2(v[i]));
                n++;
            }
        for (int i = 0; i < N; i++)
            own[i][k] = v[i][k] / sqrt(length2(v[i])) - mean / n;
    }
    for (int i = 0; i < N; i++)
        for (int j = i + 1; j < N; j++) {
            double raw = cosine(v[i], v[j]), c = own_cosine(own[i], own[j]);
            if (!item[i].signature || !item[j].signature || item[i].patient == item[j].patient || fabs(c - RAD_NEAR_COPY_OWN) < 1e-5 ||
                fabs(raw - RAD_NEAR_COPY) < 1e-5)
                continue;
            int64_t at = 0;
            while (at < f->n && (f->a[at] != i || f->b[at] != j))
                at++;
            assert_true((raw > RAD_NEAR_COPY && c > RAD_NEAR_COPY_OWN) == (at < f->n));
            want += at < f->n;
            if (at < f->n)
                assert_true(fabs(f->similarity[at] - c) < 1e-5);
        }
    assert_int_equal(f->n, want);
    assert_true(want >= PLANTED / 3 && want < 2 * PLANTED);
    assert_int_equal(f->n_same, 0); /* items 2 and 3 share a volume, and a patient */
    item[3].patient = N;
    f->n = 0;
    assert_ok(rad_copies_find(item, N, collect, f, &err));
    assert_int_equal(f->n_same, 1);
    assert_true(f->a[0] == 2 && f->b[0] == 3 && f->similarity[0] == 1);
    for (int i = 0; i < N; i++)
        free(item[i].signature);
    free(v);
    free(own);
    free(item);
    free(f);
}

/* `test_store_copies --time`: the cost of 50,000 volumes; not a test, as it depends on the machine. */
static int time_many(void) {
    enum { MANY = 50000 };
    rad_copy_item *item = calloc(MANY, sizeof *item);
    found *f = calloc(1, sizeof *f);
    int8_t v[LENGTH];
    for (int i = 0; i < MANY; i++) {
        make(NULL, 0, v);
        item[i] = (rad_copy_item){.volume = i, .patient = i, .image = i, .sequence = sequence, .signature = hex(v)};
    }
    double t = rad_clock_seconds();
    rad_status st = rad_copies_find(item, MANY, collect, f, NULL);
    printf("%d volumes: %.2f s, %lld pairs\n", MANY, rad_clock_seconds() - t, (long long)f->n);
    for (int i = 0; i < MANY; i++)
        free(item[i].signature);
    free(item);
    free(f);
    return st == RAD_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--time") == 0)
        return time_many();
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_pairs_and_no_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
