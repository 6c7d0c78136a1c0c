/* power: what a study of given counts can show, before it is run. Scores are binormal with equal variances: AUC = Phi(delta / sqrt 2); the
 * variance is that of the U-statistic itself (Hanley & McNeil 1982 with the exact binormal moments), checked by simulation. */
#include "impl.h"

enum { GRID = 161 };

typedef struct moments {
    double a1, a2; /* AUCs */
    double q1, q2; /* same positive against two negatives, by model */
    double q12;    /* positive's two models against different negatives */
    double same;   /* both models right on one pair */
} moments;

/* Normal expectations by the trapezoid rule on +-8, which for these smooth integrands is at rounding. */
static void weights(double *x, double *w) {
    double sum = 0;
    for (int i = 0; i < GRID; i++) {
        x[i] = -8 + 16.0 * i / (GRID - 1);
        w[i] = exp(-x[i] * x[i] / 2);
        sum += w[i];
    }
    for (int i = 0; i < GRID; i++)
        w[i] /= sum;
}

static moments binormal(double a1, double a2, double rho) {
    double x[GRID], w[GRID];
    const double root2 = 1.4142135623730950488, d1 = root2 * rad_qnorm(a1), d2 = root2 * rad_qnorm(a2),
                 rest = sqrt(rad_at_least(1 - rho * rho, 0));
    moments m = {.a1 = a1, .a2 = a2};
    weights(x, w);
    for (int i = 0; i < GRID; i++) {
        const double p1 = gsl_cdf_ugaussian_P(x[i] + d1), p2 = gsl_cdf_ugaussian_P(x[i] + d2);
        m.q1 += w[i] * p1 * p1;
        m.q2 += w[i] * p2 * p2;
        double inner = 0;
        for (int j = 0; j < GRID; j++)
            inner += w[j] * gsl_cdf_ugaussian_P(rho * x[i] + rest * x[j] + d2);
        m.q12 += w[i] * p1 * inner;
    }
    /* The pair's difference over root 2 is N(delta / root 2, 1) in both models, correlation rho:
     * P(Z1 < c1, Z2 < c2) = E[Phi((c2 - rho Z1) / rest); Z1 < c1], on the uniform scale so that no grid cell is cut */
    const double c2 = d2 / root2;
    const int steps = 4000;
    for (int i = 0; i < steps; i++) {
        const double u = (i + 0.5) / steps * a1, z = rad_qnorm(u);
        const double cond = rest > 1e-9 ? gsl_cdf_ugaussian_P((c2 - rho * z) / rest) : (rho * z < c2 ? 1 : 0);
        m.same += cond * a1 / steps;
    }
    return m;
}

static double variance(double a, double q, double n1, double n0) {
    return (a * (1 - a) + (n1 - 1) * (q - a * a) + (n0 - 1) * (q - a * a)) / (n1 * n0);
}

static double covariance(const moments *m, double n1, double n0) {
    const double p = m->a1 * m->a2;
    return (m->same - p + (n1 - 1) * (m->q12 - p) + (n0 - 1) * (m->q12 - p)) / (n1 * n0);
}

static double diff_variance(double a1, double a2, double rho, double n1, double n0) {
    const moments m = binormal(a1, a2, rho);
    return variance(a1, m.q1, n1, n0) + variance(a2, m.q2, n1, n0) - 2 * covariance(&m, n1, n0);
}

static double power_of(double d, double se, double level) {
    const double z = rad_z_level(level);
    return gsl_cdf_ugaussian_P(fabs(d) / se - z) + gsl_cdf_ugaussian_P(-fabs(d) / se - z);
}

/* Smallest AUC above a1 that is found with the wanted power; NaN when not even 1 is. */
static double detectable(double a1, double rho, double n1, double n0, double level, double wanted) {
    double lo = a1, hi = 1 - 1e-9;
    if (power_of(hi - a1, sqrt(diff_variance(a1, hi, rho, n1, n0)), level) < wanted)
        return NAN;
    for (int i = 0; i < 60; i++) {
        const double mid = (lo + hi) / 2;
        if (power_of(mid - a1, sqrt(diff_variance(a1, mid, rho, n1, n0)), level) < wanted)
            lo = mid;
        else
            hi = mid;
    }
    return hi;
}

/* Share of simulated studies in which the paired DeLong test rejects. */
static rad_status simulate(double a1, double a2, double rho, int64_t n1, int64_t n0, double level, int64_t b, uint64_t seed, double *ret,
                           rad_error *err) {
    rad_status st = RAD_OK;
    const int64_t n = n1 + n0;
    const double root2 = 1.4142135623730950488, d[2] = {root2 * rad_qnorm(a1), root2 * rad_qnorm(a2)},
                 rest = sqrt(rad_at_least(1 - rho * rho, 0));
    double *y = rad_new_doubles(n), *s1 = rad_new_doubles(n), *s2 = rad_new_doubles(n);
    rad_doc *doc = NULL;
    int64_t rejected = 0;
    const rad_stat_function *test = rad_stat_function_find("auc_diff_p");
    if (!y || !s1 || !s2 || !test) {
        st = rad_no_memory(err);
        goto out;
    }
    const rad_column column[3] = {{.value = y}, {.value = s1}, {.value = s2}};
    const rad_frame f = {.n = n, .n_column = 3, .column = column};
    for (int64_t r = 0; r < b; r++) {
        for (int64_t i = 0; i < n; i++) { /* Box-Muller from two counter-based uniforms */
            const double u = rad_uniform(seed, (uint64_t)r, (uint64_t)(2 * i)), v = rad_uniform(seed, (uint64_t)r, (uint64_t)(2 * i + 1));
            const double radius = sqrt(-2 * log1p(-u)), z1 = radius * cos(6.283185307179586477 * v),
                         z2 = radius * sin(6.283185307179586477 * v);
            y[i] = i < n1;
            s1[i] = z1 + y[i] * d[0];
            s2[i] = rho * z1 + rest * z2 + y[i] * d[1];
        }
        const rad_arg arg = {.num = level};
        RAD_TRY(rad_doc_create(&doc, err));
        RAD_TRY(test->fn(&f, &arg, 1, doc, err));
        rejected += rad_doc_get(doc, "p") < 1 - level;
        rad_doc_destroy(&doc);
    }
    *ret = (double)rejected / (double)b;
out:
    rad_doc_destroy(&doc);
    free(y);
    free(s1);
    free(s2);
    return st;
}

static rad_status counts(const rad_arg *arg, int n_arg, double *ret_n1, double *ret_n0, rad_error *err) {
    *ret_n1 = rad_arg_num(arg, n_arg, 0, NAN);
    *ret_n0 = rad_arg_num(arg, n_arg, 1, NAN);
    if (!(*ret_n1 >= 2 && *ret_n0 >= 2 && *ret_n1 <= 1e7 && *ret_n0 <= 1e7))
        return rad_error_set(err, RAD_E_USAGE, "%g positives and %g negatives: expected at least 2 of each", *ret_n1, *ret_n0);
    return RAD_OK;
}

static rad_status width_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double n1, n0, auc, level;
    rad_status st = counts(arg, n_arg, &n1, &n0, err);
    if (st == RAD_OK)
        st = rad_arg_fraction(arg, n_arg, 2, "AUC", NAN, &auc, err);
    if (st == RAD_OK)
        st = rad_arg_fraction(arg, n_arg, 3, "level", 0.95, &level, err);
    if (st != RAD_OK)
        return st;
    const moments m = binormal(auc, auc, 0);
    const double se = sqrt(variance(auc, m.q1, n1, n0)), z = rad_z_level(level);
    rad_doc_num(doc, "auc", auc);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "width", 2 * z * se);
    rad_doc_num(doc, "lower", rad_at_least(auc - z * se, 0));
    rad_doc_num(doc, "upper", rad_at_most(auc + z * se, 1));
    return RAD_OK;
}

static rad_status diff_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double n1, n0, a1, a2, level, wanted, simulated = NAN;
    rad_status st;
    RAD_TRY(counts(arg, n_arg, &n1, &n0, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "AUC 1", NAN, &a1, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 3, "AUC 2", NAN, &a2, err));
    const double rho = rad_arg_num(arg, n_arg, 4, 0.5), reps = rad_arg_num(arg, n_arg, 7, 0);
    RAD_TRY(rad_arg_fraction(arg, n_arg, 5, "level", 0.95, &level, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 6, "power", 0.8, &wanted, err));
    if (!(rho >= 0 && rho < 1) || !(reps >= 0 && reps <= 100000))
        RAD_TRY(
            rad_error_set(err, RAD_E_USAGE, "correlation %g, %g replicates: expected 0 <= correlation < 1 and at most 100000", rho, reps));
    const double se = sqrt(diff_variance(a1, a2, rho, n1, n0)), d = a2 - a1;
    const double found = detectable(a1, rho, n1, n0, level, wanted);
    if (isnan(found))
        rad_doc_reason(doc, "not even an AUC of 1 would be found with this power");
    if (reps >= 1)
        RAD_TRY(simulate(a1, a2, rho, (int64_t)n1, (int64_t)n0, level, (int64_t)reps, RAD_STAT_SEED, &simulated, err));
    rad_doc_num(doc, "diff", d);
    rad_doc_num(doc, "se_diff", se);
    rad_doc_num(doc, "width", 2 * rad_z_level(level) * se);
    rad_doc_num(doc, "power", power_of(d, se, level));
    rad_doc_num(doc, "simulated_power", simulated);
    rad_doc_num(doc, "detectable_auc", found);
    rad_doc_num(doc, "detectable_diff", found - a1);
    rad_doc_num(doc, "wanted_power", wanted);
out:
    return st;
}

/* Columns center, n_pos, n_neg; constants auc, correlation, level, power. */
static rad_status centers_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double auc, level, wanted, all1 = 0, all0 = 0;
    const double rho = rad_arg_num(arg, n_arg, 1, 0.5);
    rad_status st;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "AUC", NAN, &auc, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 3, "power", 0.8, &wanted, err));
    if (!(rho >= 0 && rho < 1))
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "correlation %g: expected 0 <= correlation < 1", rho));
    const moments m = binormal(auc, auc, 0);
    const double z = rad_z_level(level);
    rad_doc_open_list(doc, "rows");
    for (int64_t i = 0; i <= f->n; i++) { /* the last row: all centers together */
        const double n1 = i < f->n ? f->column[1].value[i] : all1, n0 = i < f->n ? f->column[2].value[i] : all0;
        const bool enough = n1 >= 2 && n0 >= 2;
        const double se = enough ? sqrt(variance(auc, m.q1, n1, n0)) : NAN;
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "center",
                     i == f->n                      ? "all"
                     : isnan(f->column[0].value[i]) ? ""
                                                    : f->column[0].level[(int64_t)f->column[0].value[i]]);
        rad_doc_num(doc, "n_pos", n1);
        rad_doc_num(doc, "n_neg", n0);
        rad_doc_num(doc, "se", se);
        rad_doc_num(doc, "lower", rad_at_least(auc - z * se, 0));
        rad_doc_num(doc, "upper", rad_at_most(auc + z * se, 1));
        rad_doc_num(doc, "width", 2 * z * se);
        rad_doc_num(doc, "detectable_diff", enough ? detectable(auc, rho, n1, n0, level, wanted) - auc : NAN);
        rad_doc_close(doc);
        if (!enough)
            rad_doc_reason(doc, "a center with fewer than two positives or negatives has no interval");
        all1 += n1;
        all0 += n0;
    }
    rad_doc_close(doc);
out:
    return st;
}

#define DIFF_ARGS "n_pos, n_neg, auc1, auc2[, correlation = 0.5[, level = 0.95[, power = 0.8[, replicates = 0]]]]"

static const rad_stat_function functions[] = {
    {"power_auc_width", "n_pos, n_neg, auc[, level = 0.95]", "expected width of the interval of one AUC, binormal scores", "width", "",
     "nnnn", 3, 0, RAD_STAT_SCALAR, width_doc},
    {"power_auc_json", "n_pos, n_neg, auc[, level = 0.95]", "expected standard error and interval of one AUC", NULL, "", "nnnn", 3, 0,
     RAD_STAT_SCALAR, width_doc},
    {"power_auc_diff", DIFF_ARGS, "power of the paired DeLong test of two AUCs whose scores have this correlation within classes", "power",
     "", "nnnnnnnn", 4, 0, RAD_STAT_SCALAR, diff_doc},
    {"power_detectable_diff", DIFF_ARGS, "smallest AUC difference above auc1 that is found with the wanted power", "detectable_diff", "",
     "nnnnnnnn", 4, 0, RAD_STAT_SCALAR, diff_doc},
    {"power_auc_diff_json", DIFF_ARGS, "analytic power, detectable difference and interval width; simulated power when replicates > 0",
     NULL, "", "nnnnnnnn", 4, 0, RAD_STAT_SCALAR, diff_doc},
    {"power_centers", "'SELECT center, n_pos, n_neg ...', auc[, correlation = 0.5[, level = 0.95[, power = 0.8]]]",
     "what each center, and all together, can show: expected interval of the AUC and the difference to a second model that is found",
     "center,n_pos,n_neg,se,lower,upper,width,detectable_diff", "cnn", "nnnn", 2, 0, RAD_STAT_TABLE, centers_doc},
};
RAD_STAT_TOPIC(rad_topic_power, functions);
