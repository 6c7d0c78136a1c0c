/* Simulations: 95 % intervals cover the truth in 95 +- 1 % of studies with clustered cases, where the naive ones do not.
 *
 * Cases of a cluster share a normal effect; the truth is known in closed form. 3,000 studies: standard error of the coverage 0.4 %. */
#include <math.h>

#include "unit.h"

#include "radcohort/stats.h"

enum { STUDIES = 3000, CLUSTERS = 400, MOST = 5, REPLICATES = 2000 };

static uint64_t next(uint64_t *s) {
    *s += 0x9e3779b97f4a7c15u;
    uint64_t z = *s;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *s) {
    return ((double)(next(s) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *s) {
    const double r = sqrt(-2 * log(uniform(s)));
    return r * cos(6.283185307179586 * uniform(s));
}

typedef struct study {
    int n;
    double label[CLUSTERS * MOST], a[CLUSTERS * MOST], b[CLUSTERS * MOST], group[CLUSTERS * MOST], call1[CLUSTERS * MOST],
        call2[CLUSTERS * MOST];
} study;

/* Two scores N(delta y, 1); a case shares sqrt(rho) of its noise with its cluster and half of the rest with the other score. */
static void draw(study *d, uint64_t seed, double delta_a, double delta_b) {
    const double rho = 0.5;
    d->n = 0;
    for (int c = 0; c < CLUSTERS; c++) {
        const int size = 1 + (int)(next(&seed) % MOST);
        const double ua = normal(&seed), ub = 0.7 * ua + sqrt(1 - 0.49) * normal(&seed);
        const double positive = uniform(&seed); /* cases of a patient are of one kind more often than not */
        for (int i = 0; i < size; i++, d->n++) {
            const double ea = normal(&seed), eb = 0.5 * ea + sqrt(0.75) * normal(&seed);
            d->label[d->n] = uniform(&seed) < positive;
            d->a[d->n] = sqrt(rho) * ua + sqrt(1 - rho) * ea + delta_a * d->label[d->n];
            d->b[d->n] = sqrt(rho) * ub + sqrt(1 - rho) * eb + delta_b * d->label[d->n];
            d->group[d->n] = c;
            d->call1[d->n] = d->a[d->n] > 0.3;
            d->call2[d->n] = d->b[d->n] > 0.3;
        }
    }
}

static rad_doc *call(const char *name, const double *const *col, int n_col, int n) {
    static const char *names[CLUSTERS];
    static char text[CLUSTERS][8];
    rad_error err = {0};
    rad_doc *doc = NULL;
    rad_column column[4] = {0};
    const rad_stat_function *s = rad_stat_function_find(name);
    for (int c = 0; c < CLUSTERS; c++) {
        snprintf(text[c], sizeof text[c], "%d", c);
        names[c] = text[c];
    }
    for (int c = 0; c < n_col; c++)
        column[c] = (rad_column){.value = col[c], .level = s->columns[c] == 'c' ? names : NULL, .n_level = CLUSTERS};
    const rad_frame f = {.n = n, .n_column = n_col, .column = column};
    const rad_arg arg[2] = {{.num = 0.95}, {.num = 2}}; /* no bootstrap here */
    assert_ok(rad_doc_create(&doc, &err));
    assert_ok(s->fn(&f, arg, strchr(s->args, 'n') ? (strlen(s->args) > 1 ? 2 : 1) : 0, doc, &err));
    return doc;
}

static bool covers(const rad_doc *d, const char *lower, const char *upper, double truth) {
    return rad_doc_get(d, lower) <= truth && truth <= rad_doc_get(d, upper);
}

/* Phi by the complementary error function. */
static double phi(double x) {
    return 0.5 * erfc(-x / 1.4142135623730951);
}

static void expect_of(const char *what, int hits, int studies, double low, double high) {
    const double share = 100.0 * hits / studies;
    print_message("%-40s %.2f %%\n", what, share);
    if (share < low || share > high)
        fail_msg("%s: %.2f %%, expected %.1f to %.1f", what, share, low, high);
}

static void expect(const char *what, int hits, double low, double high) {
    expect_of(what, hits, STUDIES, low, high);
}

static void test_auc(void **state) {
    (void)state;
    static study d;
    const double delta_a = 1.2, delta_b = 0.9, auc = phi(delta_a / 1.4142135623730951), diff = auc - phi(delta_b / 1.4142135623730951);
    int clustered = 0, logit = 0, naive = 0, paired = 0;
    for (int r = 0; r < STUDIES; r++) {
        draw(&d, (uint64_t)r * 1000003u + 17, delta_a, delta_b);
        const double *one[3] = {d.label, d.a, d.group}, *two[4] = {d.label, d.a, d.b, d.group};
        rad_doc *x = call("auc_clustered_json", one, 3, d.n), *y = call("auc_diff_clustered_json", two, 4, d.n);
        clustered += covers(x, "lower", "upper", auc);
        logit += covers(x, "logit_lower", "logit_upper", auc);
        naive += covers(x, "naive_lower", "naive_upper", auc);
        paired += covers(y, "lower", "upper", diff);
        rad_doc_destroy(&x);
        rad_doc_destroy(&y);
    }
    /* Pairs of one cluster share its effect, so the plain estimate leans away from 1/2 by pairs within clusters: below 1 % of all pairs. */
    print_message("%-40s %.2f %%\n", "AUC, logit", 100.0 * logit / STUDIES);
    expect("AUC, Obuchowski", clustered, 94, 96);
    expect("AUC difference, Obuchowski", paired, 94, 96);
    print_message("%-40s %.2f %%\n", "AUC, naive DeLong", 100.0 * naive / STUDIES);
}

static void test_proportion(void **state) {
    (void)state;
    static study d;
    int ratio = 0, naive = 0, rejected[3] = {0};
    for (int r = 0; r < STUDIES; r++) {
        draw(&d, (uint64_t)r * 7919u + 5, 0, 0); /* scores without the label: both calls have the same true share */
        const double *one[2] = {d.call1, d.group}, *two[3] = {d.call1, d.call2, d.group};
        rad_doc *x = call("proportion_clustered_json", one, 2, d.n), *y = call("mcnemar_clustered_json", two, 3, d.n);
        const double truth = phi(-0.3);
        ratio += covers(x, "lower", "upper", truth);
        naive += covers(x, "naive_wilson_lower", "naive_wilson_upper", truth);
        rejected[0] += rad_doc_get(y, "obuchowski_p") < 0.05;
        rejected[1] += rad_doc_get(y, "eliasziw_donner_p") < 0.05;
        rejected[2] += rad_doc_get(y, "naive_p") < 0.05;
        rad_doc_destroy(&x);
        rad_doc_destroy(&y);
    }
    expect("share, ratio estimator", ratio, 94, 96);
    expect("share, naive Wilson", naive, 50, 90);
    expect("McNemar, Obuchowski: rejects a true null", rejected[0], 4, 6);
    print_message("%-40s %.2f %%\n", "McNemar, Eliasziw-Donner", 100.0 * rejected[1] / STUDIES);
    print_message("%-40s %.2f %%\n", "McNemar, naive", 100.0 * rejected[2] / STUDIES);
}

/* The validation sets of jobs/liver-mri: three centers, 9,426 images of 366 patients, who share half of the noise of their images. Patients
 * are malignant or benign as a whole, so that no pair lies within a cluster and the truth is Phi(delta / sqrt 2) again. */
static void test_three_centers(void **state) {
    (void)state;
    enum { IMAGES = 9426, CENTERS = 3 };
    static const int images[CENTERS] = {5172, 2916, 1338}, patients[CENTERS] = {201, 113, 52}, malignant[CENTERS] = {111, 63, 29};
    static double label[IMAGES], score[IMAGES], group[IMAGES];
    const double delta = 1.9, rho = 0.5, truth = phi(delta / 1.4142135623730951);
    int clustered = 0, naive = 0;
    double width = 0, naive_width = 0;
    for (int r = 0; r < REPLICATES; r++) {
        uint64_t seed = (uint64_t)r * 15485863u + 3;
        int n = 0, patient = 0;
        for (int c = 0; c < CENTERS; c++)
            for (int p = 0; p < patients[c]; p++, patient++) {
                const double own = normal(&seed);
                const int size = images[c] / patients[c] + (p < images[c] % patients[c]);
                for (int i = 0; i < size; i++, n++) {
                    label[n] = p < malignant[c];
                    score[n] = sqrt(rho) * own + sqrt(1 - rho) * normal(&seed) + delta * label[n];
                    group[n] = patient;
                }
            }
        assert_int_equal(n, IMAGES);
        const double *column[3] = {label, score, group};
        rad_doc *x = call("auc_clustered_json", column, 3, n);
        clustered += covers(x, "lower", "upper", truth);
        naive += covers(x, "naive_lower", "naive_upper", truth);
        width += rad_doc_get(x, "upper") - rad_doc_get(x, "lower");
        naive_width += rad_doc_get(x, "naive_upper") - rad_doc_get(x, "naive_lower");
        rad_doc_destroy(&x);
    }
    print_message("AUC %.3f of 9,426 images: half-widths %.4f clustered, %.4f naive\n", truth, width / REPLICATES / 2,
                  naive_width / REPLICATES / 2);
    expect_of("AUC of images, patients as clusters", clustered, REPLICATES, 94, 96);
    expect_of("AUC of images, naive DeLong", naive, REPLICATES, 10, 70);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_auc), cmocka_unit_test(test_proportion), cmocka_unit_test(test_three_centers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
