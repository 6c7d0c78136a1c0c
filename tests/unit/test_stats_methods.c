/* Properties of the statistics that need no reference data: exact small cases, brute force, invariances, one method reduced to another. */
#include <math.h>

#include "unit.h"

#include "radcohort/stats.h"

enum { N = 240 };

static uint64_t rng(uint64_t *s) {
    *s += 0x9e3779b97f4a7c15u;
    uint64_t z = *s;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *s) {
    return (double)(rng(s) >> 11) * 0x1p-53;
}

/* The document of a function on columns of numbers; a column whose letter is a category gets level names "0", "1", ... */
static rad_doc *call(const char *name, const double *const *col, int n_col, int64_t n, const rad_arg *arg, int n_arg) {
    rad_error err = {0};
    rad_doc *doc = NULL;
    const rad_stat_function *s = rad_stat_function_find(name);
    rad_column column[8] = {0};
    char text[N][24];
    const char *level[N];
    assert_non_null(s);
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "%d", i);
        level[i] = text[i];
    }
    const size_t nc = strlen(s->columns);
    for (int c = 0; c < n_col; c++) {
        const bool repeats = nc && s->columns[nc - 1] == '+';
        const size_t last = repeats ? nc - 2 : nc - 1;
        column[c].value = col[c];
        if (s->columns[(size_t)c < last ? (size_t)c : last] == 'c') {
            double top = 0;
            for (int64_t i = 0; i < n; i++)
                top = fmax(top, isnan(col[c][i]) ? 0 : col[c][i]);
            column[c].n_level = (int64_t)top + 1;
            column[c].level = level;
            assert_true(top < N);
        }
    }
    const rad_frame f = {.n = n, .n_column = n_col, .column = column};
    assert_ok(rad_doc_create(&doc, &err));
    assert_ok(rad_stat_call(s, &f, arg, n_arg, doc, &err));
    return doc;
}

static double number(const char *name, const char *path, const double *const *col, int n_col, int64_t n, const rad_arg *arg, int n_arg) {
    rad_doc *d = call(name, col, n_col, n, arg, n_arg);
    const double x = rad_doc_get(d, path);
    rad_doc_destroy(&d);
    return x;
}

#define close_to(a, b, tol) assert_true(fabs((a) - (b)) <= (tol))
#define NUM(x) ((rad_arg){.num = (x), .text = #x})
#define TXT(s) ((rad_arg){.num = NAN, .text = (s)})

static void sample(uint64_t seed, double *y, double *a, double *b, double *cluster) {
    for (int i = 0; i < N; i++) {
        y[i] = (double)(rng(&seed) % 3 == 0);
        a[i] = floor(40 * uniform(&seed)) + 10 * y[i];
        b[i] = floor(40 * uniform(&seed)) + 6 * y[i] + floor(a[i] / 4);
        cluster[i] = (double)(i % 60);
    }
}

/* Clusters of one case: Obuchowski 1997 is DeLong 1988. Every case twice in its own cluster: the variance of the single cases. */
static void test_clusters(void **state) {
    (void)state;
    double y[2 * N], a[2 * N], b[2 * N], g[2 * N], unused[N];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sample(seed, y, a, b, unused);
        for (int i = 0; i < N; i++)
            g[i] = i;
        const double *col[3] = {y, a, g}, *pair[4] = {y, a, b, g};
        const double plain = number("auc_var", "var", col, 2, N, NULL, 0);
        const double diff = number("auc_diff_json", "se_diff", pair, 3, N, NULL, 0);
        close_to(number("auc_clustered_json", "var", col, 3, N, NULL, 0), plain, 1e-15);
        close_to(number("auc_diff_clustered_json", "se_diff", pair, 4, N, NULL, 0), diff, 1e-14);
        for (int i = 0; i < N; i++) {
            y[N + i] = y[i];
            a[N + i] = a[i];
            b[N + i] = b[i];
            g[N + i] = g[i];
        }
        close_to(number("auc_clustered_json", "var", col, 3, 2 * N, NULL, 0), plain, 1e-15);
        assert_true(number("auc_clustered_json", "naive_se", col, 3, 2 * N, NULL, 0) < 0.8 * sqrt(plain));
        close_to(number("auc_diff_clustered_json", "se_diff", pair, 4, 2 * N, NULL, 0), diff, 1e-14);
    }
}

/* Covariance of two AUCs from the definition, O(n^2). */
static void test_covariance(void **state) {
    (void)state;
    double y[N], x[2][N], g[N];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        sample(seed, y, x[0], x[1], g);
        double v[2][N], auc[2] = {0}, n1 = 0, cov = 0, s1 = 0, s0 = 0;
        for (int i = 0; i < N; i++)
            n1 += y[i];
        const double n0 = N - n1;
        for (int m = 0; m < 2; m++)
            for (int i = 0; i < N; i++) {
                v[m][i] = 0;
                for (int j = 0; j < N; j++)
                    if (y[j] != y[i]) {
                        const double d = y[i] == 1 ? x[m][i] - x[m][j] : x[m][j] - x[m][i];
                        v[m][i] += (d > 0 ? 1 : d == 0 ? 0.5 : 0) / (y[i] == 1 ? n0 : n1);
                    }
                auc[m] += y[i] * v[m][i] / n1;
            }
        for (int i = 0; i < N; i++)
            *(y[i] == 1 ? &s1 : &s0) += (v[0][i] - auc[0]) * (v[1][i] - auc[1]);
        cov = s1 / (n1 - 1) / n1 + s0 / (n0 - 1) / n0;
        const double *col[3] = {y, x[0], x[1]};
        close_to(number("auc_diff_json", "cov", col, 3, N, NULL, 0), cov, 1e-15);
        close_to(number("auc_diff_json", "auc2", col, 3, N, NULL, 0), auc[1], 1e-14);
        /* a pair is the k-model test with k = 2 */
        const double z = number("auc_diff_json", "z", col, 3, N, NULL, 0);
        const rad_arg arg[2] = {TXT("none"), NUM(0.95)};
        close_to(number("auc_compare_json", "chisq", col, 3, N, arg, 2), z * z, 1e-9 * z * z + 1e-12);
        const double *same[3] = {y, x[0], x[0]};
        assert_true(number("auc_diff_json", "z", same, 3, N, NULL, 0) == 0 && number("auc_diff_json", "p", same, 3, N, NULL, 0) == 1);
    }
}

/* Results do not depend on the order of rows, to the bit. */
static void test_row_order(void **state) {
    (void)state;
    double y[N], a[N], b[N], g[N], p[4][N];
    sample(3, y, a, b, g);
    for (int i = 0; i < N; i++)
        a[i] = (a[i] + uniform(&(uint64_t){(uint64_t)i}) / 3) / 51;
    for (int i = 0; i < N; i++) {
        const int j = (i * 77 + 5) % N;
        p[0][i] = y[j];
        p[1][i] = a[j];
        p[2][i] = b[j];
        p[3][i] = g[j];
    }
    const double *col[4] = {y, a, b, g}, *mixed[4] = {p[0], p[1], p[2], p[3]};
    const struct {
        const char *name, *path;
        int n_col;
    } all[] = {{"auc_diff_json", "se_diff", 3},
               {"auc_diff_clustered_json", "se_diff", 4},
               {"auc_diff_bootstrap_json", "lower", 3},
               {"calibration_json", "brier", 2},
               {"calibration_json", "regression.slope", 2},
               {"calibration_json", "ici", 2},
               {"bland_altman_json", "sd", 2},
               {"ccc_json", "ccc", 2},
               {"correlation_json", "pearson", 2},
               {"precision_recall_json", "average_precision", 2}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const double u = number(all[k].name, all[k].path, col, all[k].n_col, N, NULL, 0),
                     v = number(all[k].name, all[k].path, mixed, all[k].n_col, N, NULL, 0);
        if (u != v || isnan(u))
            fail_msg("%s.%s: %.17g and %.17g", all[k].name, all[k].path, u, v);
    }
    /* the bootstrap draws from sorted cases: same interval for any order, and the same twice */
    const rad_arg boot[4] = {NUM(0.95), TXT("bootstrap"), NUM(500), NUM(7)};
    const double l = number("auc_json", "lower", col, 2, N, boot, 4);
    assert_true(l == number("auc_json", "lower", mixed, 2, N, boot, 4) && l > 0.4 && l < number("auc_json", "auc", col, 2, N, NULL, 0));
}

/* P(X <= k) by summing exact binomial terms in long double. */
static double binomial_tail(int k, int n, double p) {
    long double sum = 0, term = powl(1 - (long double)p, n);
    for (int i = 0; i <= k; i++) {
        sum += term;
        term = term * (n - i) / (i + 1) * (long double)p / (1 - (long double)p);
    }
    return (double)sum;
}

static void test_proportions(void **state) {
    (void)state;
    for (int n = 1; n <= 60; n += 7)
        for (int k = 0; k <= n; k++) {
            const rad_arg arg[2] = {{.num = k}, {.num = n}};
            rad_doc *d = call("proportion_json", NULL, 0, 0, arg, 2);
            const double lo = rad_doc_get(d, "cp_lower"), hi = rad_doc_get(d, "cp_upper"), wl = rad_doc_get(d, "wilson_lower"),
                         wu = rad_doc_get(d, "wilson_upper"), p = (double)k / n;
            if (k > 0) /* the limit is where the tail is 2.5 % */
                close_to(1 - binomial_tail(k - 1, n, lo), 0.025, 1e-12);
            else
                assert_true(lo == 0 && wl == 0);
            if (k < n)
                close_to(binomial_tail(k, n, hi), 0.025, 1e-12);
            else
                assert_true(hi == 1 && wu == 1);
            assert_true(lo <= p && p <= hi && wl <= p && p <= wu && lo <= wl + 0.02 && hi >= wu - 0.02);
            rad_doc_destroy(&d);
        }
    const rad_arg none[2] = {{.num = 0}, {.num = 0}};
    rad_doc *d = call("proportion_json", NULL, 0, 0, none, 2);
    assert_true(isnan(rad_doc_get(d, "wilson_lower")) && rad_doc_get_reason(d));
    rad_doc_destroy(&d);
}

/* Fisher's test by summing the tables, McNemar by summing the binomial. */
static void test_exact_tests(void **state) {
    (void)state;
    uint64_t s = 11;
    for (int round = 0; round < 50; round++) {
        const int a = (int)(rng(&s) % 9), b = (int)(rng(&s) % 9), c = (int)(rng(&s) % 9), e = (int)(rng(&s) % 9) + 1, r1 = a + b,
                  c1 = a + c, n = a + b + c + e;
        if (r1 == 0)
            continue;
        long double all = 0, part = 0, w[20] = {0};
        for (int x = c1 - (n - r1) > 0 ? c1 - (n - r1) : 0; x <= (r1 < c1 ? r1 : c1); x++) {
            w[x] = expl(lgammal(r1 + 1) - lgammal(x + 1) - lgammal(r1 - x + 1) + lgammal(n - r1 + 1) - lgammal(c1 - x + 1) -
                        lgammal(n - r1 - c1 + x + 1));
            all += w[x];
        }
        for (int x = 0; x < 20; x++)
            if (w[x] > 0 && w[x] <= w[a] * (1 + 1e-7L))
                part += w[x];
        const rad_arg arg[4] = {{.num = a}, {.num = r1}, {.num = c}, {.num = n - r1}};
        close_to(number("fisher_p", "p_fisher", NULL, 0, 0, arg, 4), (double)(part / all), 1e-10);
        const rad_arg m[4] = {{.num = 5}, {.num = b}, {.num = c}, {.num = 5}};
        const double exact = fmin(1, 2 * binomial_tail(b < c ? b : c, b + c, 0.5));
        close_to(number("mcnemar_table_json", "p_exact", NULL, 0, 0, m, 4), b + c ? exact : 1, 1e-12);
    }
    const rad_arg audit[4] = {{.num = 39 - 31}, {.num = 0}, {.num = 8}, {.num = 3}};
    close_to(number("mcnemar_table_json", "smallest_p_exact", NULL, 0, 0, audit, 4), 0.0078125, 1e-15);
}

/* Logistic regression of one 0/1 variable is the 2 x 2 table: log odds ratio and Woolf's error. A separating variable is flagged. */
static void test_logistic(void **state) {
    (void)state;
    const int cell[2][2] = {{17, 9}, {6, 21}};
    double y[64], x[64];
    int n = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < cell[i][j]; k++) {
                y[n] = i;
                x[n++] = j;
            }
    rad_error err = {0};
    rad_column column[2] = {{.name = "y", .value = y}, {.name = "x", .value = x}};
    const rad_frame f = {.n = n, .n_column = 2, .column = column};
    rad_doc *d = NULL;
    assert_ok(rad_doc_create(&d, &err));
    assert_ok(rad_stat_call(rad_stat_function_find("logistic"), &f, NULL, 0, d, &err));
    close_to(rad_doc_get(d, "rows[1].estimate"), log(17.0 * 21 / (9.0 * 6)), 1e-12);
    close_to(rad_doc_get(d, "rows[1].se"), sqrt(1 / 17.0 + 1 / 9.0 + 1 / 6.0 + 1 / 21.0), 1e-12);
    close_to(rad_doc_get(d, "terms[0].wald_chi2"), pow(rad_doc_get(d, "rows[1].z"), 2), 1e-9);
    assert_true(rad_doc_get(d, "separated") == 0);
    rad_doc_destroy(&d);
    for (int i = 0; i < n; i++)
        x[i] = y[i] * 2 + (double)i / 100;
    assert_ok(rad_doc_create(&d, &err));
    assert_ok(rad_stat_call(rad_stat_function_find("logistic"), &f, NULL, 0, d, &err));
    assert_true(rad_doc_get(d, "separated") == 1 && strstr(rad_doc_get_reason(d), "firth") && isinf(rad_doc_get(d, "rows[1].estimate")));
    rad_doc_destroy(&d);
    const rad_arg firth[2] = {{.num = NAN}, TXT("firth")};
    assert_ok(rad_doc_create(&d, &err));
    assert_ok(rad_stat_call(rad_stat_function_find("logistic"), &f, firth, 2, d, &err));
    assert_true(rad_doc_get(d, "rows[1].estimate") > 0 && isfinite(rad_doc_get(d, "rows[1].pl_lower")));
    rad_doc_destroy(&d);
    const rad_arg wrong[1] = {TXT("y ~ z")};
    assert_ok(rad_doc_create(&d, &err));
    assert_fails(rad_stat_call(rad_stat_function_find("logistic"), &f, wrong, 1, d, &err), RAD_E_USAGE, "no column 'z'");
    rad_doc_destroy(&d);
}

/* Paule-Mandel: the generalised Q at tau2 is k - 1. Equal variances: DL, REML and PM agree. */
static void test_meta(void **state) {
    (void)state;
    const double y[5] = {0.1, 0.9, 0.4, 1.3, 0.2}, v[5] = {0.04, 0.02, 0.09, 0.05, 0.03}, same[5] = {0.04, 0.04, 0.04, 0.04, 0.04};
    const double *col[2] = {y, v}, *flat[2] = {y, same};
    const rad_arg pm = TXT("PM"), dl = TXT("DL"), reml = TXT("REML");
    const double tau2 = number("meta_json", "tau2", col, 2, 5, &pm, 1);
    double w = 0, m = 0, q = 0;
    for (int i = 0; i < 5; i++) {
        w += 1 / (v[i] + tau2);
        m += y[i] / (v[i] + tau2);
    }
    for (int i = 0; i < 5; i++)
        q += (y[i] - m / w) * (y[i] - m / w) / (v[i] + tau2);
    close_to(q, 4, 1e-10);
    const double a = number("meta_json", "tau2", flat, 2, 5, &dl, 1);
    close_to(number("meta_json", "tau2", flat, 2, 5, &pm, 1), a, 1e-12);
    close_to(number("meta_json", "tau2", flat, 2, 5, &reml, 1), a, 1e-12);
}

/* Perfect agreement, chance agreement, one category only. */
static void test_agreement(void **state) {
    (void)state;
    double a[N], b[N], one[N];
    for (int i = 0; i < N; i++) {
        a[i] = i % 4;
        b[i] = i / 4 % 4; /* independent of a */
        one[i] = 2;
    }
    const double *same[2] = {a, a}, *apart[2] = {a, b}, *constant[2] = {one, one};
    close_to(number("kappa_json", "kappa", same, 2, N, NULL, 0), 1, 1e-15);
    close_to(number("kappa_json", "kappa", apart, 2, N, NULL, 0), 0, 1e-15);
    assert_true(isnan(number("kappa_json", "kappa", constant, 2, N, NULL, 0)));
    const rad_arg all[1] = {{.num = NAN}};
    close_to(number("fleiss_kappa_json", "kappa", same, 2, N, all, 1), 1, 1e-15);
    close_to(number("gwet_ac1_json", "ac1", same, 2, N, all, 1), 1, 1e-15);
    const rad_arg level[1] = {NUM(0.95)};
    close_to(number("icc_json", "icc_2_1", same, 2, N, level, 1), 1, 1e-15);
    assert_true(number("ccc_json", "ccc", same, 2, N, NULL, 0) == 1);
}

/* Analytic power is what a simulation of 4,000 studies finds (standard error 0.8 %); more cases, more power. */
static void test_power(void **state) {
    (void)state;
    const double counts[3][2] = {{50, 140}, {136, 32}, {20, 20}};
    for (int k = 0; k < 3; k++) {
        const rad_arg arg[8] = {{.num = counts[k][0]}, {.num = counts[k][1]}, NUM(0.8), NUM(0.9), NUM(0.4), NUM(0.95), NUM(0.8), NUM(4000)};
        rad_doc *d = call("power_auc_diff_json", NULL, 0, 0, arg, 8);
        close_to(rad_doc_get(d, "power"), rad_doc_get(d, "simulated_power"), 0.04);
        const double need = rad_doc_get(d, "detectable_auc");
        rad_doc_destroy(&d);
        const rad_arg there[7] = {{.num = counts[k][0]}, {.num = counts[k][1]}, NUM(0.8), {.num = need}, NUM(0.4), NUM(0.95), NUM(0.8)};
        if (!isnan(need))
            close_to(number("power_auc_diff_json", "power", NULL, 0, 0, there, 7), 0.8, 1e-6);
    }
}

/* What the published abstracts cannot have been. */
static void test_audit(void **state) {
    (void)state;
    rad_error err = {0};
    rad_claims c;
    rad_doc *d = NULL;
    rad_claims_init(&c);
    c.sensitivity = "74.8 %";
    c.specificity = "79.1 %";
    c.accuracy = "77.0 %";
    assert_ok(rad_doc_create(&d, &err));
    assert_ok(rad_audit(&c, d, &err));
    assert_true(rad_doc_get(d, "feasible") == 1 &&
                strstr(rad_doc_get_text(d, "findings[0].text"), "at least 213 items (77/103 and 87/110)"));
    rad_doc_destroy(&d);
    c.cases = 177;
    assert_ok(rad_doc_create(&d, &err));
    assert_ok(rad_audit(&c, d, &err));
    assert_true(rad_doc_get(d, "feasible") == 0);
    rad_doc_destroy(&d);
    c.accuracy = "high";
    assert_ok(rad_doc_create(&d, &err));
    assert_fails(rad_audit(&c, d, &err), RAD_E_USAGE, "accuracy 'high'");
    rad_doc_destroy(&d);
}

/* Where nothing is known nothing is printed: no limit of a group without a variance is 0 or 1. */
static void test_undefined(void **state) {
    (void)state;
    const double y[4] = {1, 1, 1, 1}, x[4] = {0.1, 0.4, 0.2, 0.3}, g[4] = {0, 0, 1, 1}, one[4] = {1, 0, 0, 0};
    const double *col[3] = {y, x, g}, *single[3] = {one, x, g};
    static const char *const methods[] = {"delong", "logit", "hanley-mcneil", "bootstrap"};
    for (int m = 0; m < 4; m++) {
        const rad_arg arg[2] = {NUM(0.95), {.num = NAN, .text = methods[m]}};
        assert_true(isnan(number("auc_json", "auc", col, 2, 4, arg, 2)));
        assert_true(isnan(number("auc_json", "lower", col, 2, 4, arg, 2)) && isnan(number("auc_json", "upper", col, 2, 4, arg, 2)));
    }
    assert_true(isnan(number("auc_json", "lower", single, 2, 4, NULL, 0)) && number("auc_json", "auc", single, 2, 4, NULL, 0) == 0);
    static const char *const paths[][2] = {{"auc_clustered_json", "lower"},
                                           {"auc_clustered_json", "naive_lower"},
                                           {"auc_clustered_json", "naive_upper"},
                                           {"cv_auc_json", "lower"},
                                           {"cv_auc_json", "upper"},
                                           {"cv_auc_json", "cvauc"},
                                           {"centers_json", "estimate"},
                                           {"centers_json", "rows[0].lower"}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (!isnan(number(paths[i][0], paths[i][1], col, 3, 4, NULL, 0)))
            fail_msg("%s.%s of one class is a number", paths[i][0], paths[i][1]);
}

/* Every function gives a document on no rows at all and on one row, and survives every allocation that fails. */
static void test_all_functions(void **state) {
    (void)state;
    const double zero[1] = {0};
    const char *const level[1] = {"a"};
    assert_true(rad_stat_function_count() > 150);
    for (int64_t i = 0; i < rad_stat_function_count(); i++) {
        const rad_stat_function *s = rad_stat_function_at(i);
        assert_ptr_equal(rad_stat_function_find(s->name), s); /* names are unique */
        assert_true(s->signature && s->doc && strlen(s->doc) > 5);
        const size_t plus = strcspn(s->columns, "+");
        rad_column column[16] = {0};
        rad_arg arg[16];
        const int na = (int)strlen(s->args);
        for (size_t c = 0; c < plus; c++)
            column[c] =
                (rad_column){.name = "x", .value = zero, .level = s->columns[c] == 'c' ? level : NULL, .n_level = s->columns[c] == 'c'};
        for (int a = 0; a < na; a++)
            arg[a] = s->kind == RAD_STAT_SCALAR ? (rad_arg){.num = 0.5, .text = "0.5"} : (rad_arg){.num = NAN};
        for (int64_t n = 0; n <= 1; n++) {
            const rad_frame f = {.n = n, .n_column = (int64_t)plus, .column = column};
            rad_error err = {0};
            for (int64_t fail = 0; fail < 60; fail++) {
                rad_doc *d = NULL;
                assert_ok(rad_doc_create(&d, &err));
                rad_mem_fail_after(fail);
                const rad_status st = rad_stat_call(s, &f, arg, s->kind == RAD_STAT_SCALAR ? s->required : 0, d, &err);
                rad_mem_fail_after(0);
                assert_true(st == RAD_OK || st == RAD_E_USAGE || st == RAD_E_NOMEM);
                if (fail == 0)
                    assert_true(st != RAD_E_NOMEM);
                rad_doc_destroy(&d);
                if (fail > 0 && st != RAD_E_NOMEM)
                    break;
            }
        }
    }
}

static void test_columns(void **state) {
    (void)state;
    rad_error err = {0};
    rad_column_builder *b = NULL;
    rad_column c;
    assert_ok(rad_column_builder_create('c', &b, &err));
    const char *const words[] = {"10", "9", "NA", "2.5", "9", "", NULL};
    for (int i = 0; i < 7; i++)
        assert_ok(rad_column_builder_put_text(b, words[i], &err));
    assert_ok(rad_column_builder_put_number(b, 9, &err));
    assert_ok(rad_column_builder_view(b, &c, &err));
    assert_int_equal(c.n_level, 3); /* by number, not by letter: 2.5, 9, 10 */
    assert_string_equal(c.level[0], "2.5");
    assert_string_equal(c.level[2], "10");
    assert_true(c.value[0] == 2 && c.value[1] == 1 && isnan(c.value[2]) && isnan(c.value[5]) && isnan(c.value[6]) && c.value[7] == 1);
    rad_column_builder_drop_first(b);
    assert_ok(rad_column_builder_view(b, &c, &err));
    assert_int_equal(c.n_level, 2); /* 10 has left the window */
    rad_column_builder_destroy(&b);
    assert_ok(rad_column_builder_create('n', &b, &err));
    assert_fails(rad_column_builder_put_text(b, "M", &err), RAD_E_FORMAT, "'M'");
    assert_ok(rad_column_builder_put_text(b, "0.1", &err));
    rad_column_builder_destroy(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clusters),    cmocka_unit_test(test_covariance),  cmocka_unit_test(test_row_order),
        cmocka_unit_test(test_proportions), cmocka_unit_test(test_exact_tests), cmocka_unit_test(test_logistic),
        cmocka_unit_test(test_meta),        cmocka_unit_test(test_agreement),   cmocka_unit_test(test_all_functions),
        cmocka_unit_test(test_columns),     cmocka_unit_test(test_power),       cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_audit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
