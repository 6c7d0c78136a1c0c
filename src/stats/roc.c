/* roc: area under the empirical ROC curve and its DeLong variance.
 *
 * Every comparison count is an integer, so that perfect separation, all ties and equal placements give exactly 0, 1/2 or 1 and a variance
 * of exactly 0, and the order of rows cannot move a bit.
 */
#include "curve.h"
#include "impl.h"

static rad_status check_level(double level, rad_error *err) {
    if (!(level > 0 && level < 1))
        return rad_error_set(err, RAD_E_USAGE, "level %g: a confidence level lies between 0 and 1 (0.95, say)", level);
    return RAD_OK;
}

/* Placement counts c = 2 #{other < x} + #{other == x} of sorted `own` against sorted `other`; calls of one tie group share a count.
 * First pass: sum of c. Second pass (mean given): sum of squared integer deviations n_own * c - sum. */
static int64_t placement_sum(const uint64_t *own, int64_t n_own, const uint64_t *other, int64_t n_other) {
    int64_t sum = 0, below = 0, upto = 0;
    for (int64_t i = 0, j; i < n_own; i = j) {
        const uint64_t k = own[i];
        for (j = i + 1; j < n_own && own[j] == k; j++)
            ;
        while (below < n_other && other[below] < k)
            below++;
        if (upto < below)
            upto = below;
        while (upto < n_other && other[upto] == k)
            upto++;
        sum += (j - i) * (below + upto);
    }
    return sum;
}

static double placement_squares(const uint64_t *own, int64_t n_own, const uint64_t *other, int64_t n_other, int64_t sum) {
    double squares = 0;
    int64_t below = 0, upto = 0;
    for (int64_t i = 0, j; i < n_own; i = j) {
        const uint64_t k = own[i];
        for (j = i + 1; j < n_own && own[j] == k; j++)
            ;
        while (below < n_other && other[below] < k)
            below++;
        if (upto < below)
            upto = below;
        while (upto < n_other && other[upto] == k)
            upto++;
        const double d = (double)(n_own * (below + upto) - sum);
        squares += (double)(j - i) * d * d;
    }
    return squares;
}

static void interval_delong(rad_estimate *e, double level) {
    const double z = gsl_cdf_ugaussian_Pinv(0.5 + level / 2);
    e->lower = rad_at_least(e->est - z * e->se, 0);
    e->upper = rad_at_most(e->est + z * e->se, 1);
    if (e->se > 0)
        e->p = 2 * gsl_cdf_ugaussian_Q(fabs(e->est - 0.5) / e->se);
}

rad_status rad_auc(const int8_t *label, const double *score, int64_t n, double level, rad_estimate *ret, rad_error *err) {
    rad_status st = check_level(level, err);
    if (st != RAD_OK)
        return st;
    rad_estimate e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN};
    int64_t n1 = 0, n0 = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(score[i])) {
            n1 += label[i] == 1;
            n0 += label[i] == 0;
        }
    e.n = n1 + n0;
    e.n_pos = n1;
    e.n_missing = n - e.n;
    if (n1 == 0 || n0 == 0) {
        e.reason = e.n == 0 ? "no scored case" : n1 == 0 ? "no positive case" : "no negative case";
        *ret = e;
        return RAD_OK;
    }
    /* one buffer: positives from the front, negatives behind them */
    uint64_t *key = rad_malloc((size_t)e.n * sizeof *key);
    if (!key)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %lld scores", (long long)e.n);
    uint64_t *pos = key, *neg = key + n1;
    for (int64_t i = 0, p = 0, q = 0; i < n; i++)
        if (!isnan(score[i])) {
            if (label[i] == 1)
                pos[p++] = rad_key_of(score[i]);
            else if (label[i] == 0)
                neg[q++] = rad_key_of(score[i]);
        }
    st = rad_key_sort(pos, n1, err);
    if (st == RAD_OK)
        st = rad_key_sort(neg, n0, err);
    if (st == RAD_OK) {
        const int64_t sum1 = placement_sum(pos, n1, neg, n0), whole = 2 * n1 * n0;
        e.est = (double)sum1 / (double)whole;
        if (n1 < 2 || n0 < 2) {
            e.reason = n1 < 2 ? "one positive case: no variance" : "one negative case: no variance";
        } else {
            const double w = (double)whole;
            const double s10 = placement_squares(pos, n1, neg, n0, sum1) / w / w / (double)(n1 - 1);
            const double s01 = placement_squares(neg, n0, pos, n1, whole - sum1) / w / w / (double)(n0 - 1);
            e.se = sqrt(s10 / (double)n1 + s01 / (double)n0);
            interval_delong(&e, level);
            if (!(e.se > 0))
                e.reason = "DeLong variance is 0: the interval is a point, not evidence of certainty";
        }
        *ret = e;
    }
    free(key);
    return st;
}

rad_status rad_auc_difference(const rad_estimate *a, const rad_estimate *b, double level, rad_estimate *ret, rad_error *err) {
    const rad_status st = check_level(level, err);
    if (st != RAD_OK)
        return st;
    rad_estimate e = {.est = a->est - b->est, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN};
    e.n = a->n + b->n;
    e.n_pos = a->n_pos + b->n_pos;
    e.n_missing = a->n_missing + b->n_missing;
    if (isnan(e.est) || isnan(a->se) || isnan(b->se)) {
        e.reason = isnan(a->est) || isnan(a->se) ? a->reason : b->reason;
    } else {
        e.se = sqrt(a->se * a->se + b->se * b->se);
        const double z = gsl_cdf_ugaussian_Pinv(0.5 + level / 2);
        e.lower = rad_at_least(e.est - z * e.se, -1);
        e.upper = rad_at_most(e.est + z * e.se, 1);
        if (e.se > 0)
            e.p = 2 * gsl_cdf_ugaussian_Q(fabs(e.est) / e.se);
        else
            e.reason = "both variances are 0: no test";
    }
    *ret = e;
    return RAD_OK;
}

/* ---------------------------------------------------------------- documents */

static const char *const methods[] = {"delong", "logit", "hanley-mcneil", "bootstrap", NULL};
enum { DELONG, LOGIT, HANLEY, BOOTSTRAP };

static double hanley_var(double a, double n1, double n0) {
    const double q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
    return (a * (1 - a) + (n1 - 1) * (q1 - a * a) + (n0 - 1) * (q2 - a * a)) / (n1 * n0);
}

/* Normal approximation of the Mann-Whitney test, variance corrected for ties, no continuity correction. */
static double mann_whitney_p(const rad_curve *c, double auc) {
    const double n1 = (double)c->n_pos, n0 = (double)c->n_neg, n = n1 + n0;
    double ties = 0;
    for (int64_t j = 1; j < c->n_point; j++) {
        const double t = (double)(c->tp[j] - c->tp[j - 1] + c->fp[j] - c->fp[j - 1]);
        ties += t * t * t - t;
    }
    const double var = n1 * n0 / 12 * (n + 1 - ties / (n * (n - 1)));
    return var > 0 ? rad_p_two_sided((auc * n1 * n0 - n1 * n0 / 2) / sqrt(var)) : NAN;
}

static rad_status bootstrap_interval(const rad_curve *c, double level, int64_t b, uint64_t seed, double *ret_se, double *ret_lower,
                                     double *ret_upper, rad_error *err) {
    rad_status st = RAD_OK;
    int64_t *pp = rad_new_ints(c->n_pos), *pn = rad_new_ints(c->n_neg), *gp = rad_new_ints(c->n_point), *gn = rad_new_ints(c->n_point);
    double *value = rad_new_doubles(b), mean, var;
    if (!pp || !pn || !gp || !gn || !value) {
        st = rad_no_memory(err);
    } else {
        rad_curve_points_of(c, pp, pn);
        for (int64_t r = 0; r < b; r++)
            value[r] = rad_curve_resample(c, pp, pn, seed, (uint64_t)r, gp, gn);
        rad_mean_var(value, b, &mean, &var);
        rad_sort_doubles(value, b);
        *ret_se = sqrt(var);
        *ret_lower = rad_quantile7(value, b, (1 - level) / 2);
        *ret_upper = rad_quantile7(value, b, (1 + level) / 2);
    }
    free(pp);
    free(pn);
    free(gp);
    free(gn);
    free(value);
    return st;
}

static rad_status auc_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    int method;
    rad_curve c = {0};
    rad_status st;
    int8_t *label = rad_malloc((size_t)f->n + 1);
    if (!label)
        return rad_no_memory(err);
    rad_labels(&f->column[0], f->n, label);
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 1, "delong"), "method", methods, &method, err));
    const double b = rad_arg_num(arg, n_arg, 2, RAD_STAT_BOOT), seed = rad_arg_num(arg, n_arg, 3, RAD_STAT_SEED);
    if (!(b >= 2 && b <= RAD_STAT_BOOT_MAX) || !(seed >= 0 && seed < 9e15))
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "bootstrap: %g replicates, seed %g: expected 2 to %d and a seed of at least 0", b, seed,
                              RAD_STAT_BOOT_MAX));
    rad_estimate e;
    RAD_TRY(rad_auc(label, f->column[1].value, f->n, level, &e, err));
    const double n1 = (double)e.n_pos, n0 = (double)(e.n - e.n_pos), z = rad_z_level(level), var = e.se * e.se;
    double logit_se = NAN, logit_lower = NAN, logit_upper = NAN, boot_se = NAN, lower = e.lower, upper = e.upper, se = e.se, u = NAN,
           p_u = NAN;
    if (e.se > 0 && e.est > 0 && e.est < 1) {
        logit_se = e.se / (e.est * (1 - e.est));
        logit_lower = rad_expit(rad_logit(e.est) - z * logit_se);
        logit_upper = rad_expit(rad_logit(e.est) + z * logit_se);
    }
    const double hv = n1 > 0 && n0 > 0 ? hanley_var(e.est, n1, n0) : NAN;
    if (e.n_pos > 0 && e.n > e.n_pos) {
        RAD_TRY(rad_curve_init(label, f->column[1].value, f->n, &c, err));
        u = e.est * n1 * n0;
        p_u = mann_whitney_p(&c, e.est);
    }
    if (method == LOGIT) {
        lower = logit_lower;
        upper = logit_upper;
        if (isnan(lower) && !e.reason)
            rad_doc_reason(doc, "AUC is 0 or 1: no logit interval");
    } else if (method == HANLEY) {
        se = sqrt(hv);
        lower = rad_at_least(e.est - z * se, 0);
        upper = rad_at_most(e.est + z * se, 1);
    } else if (method == BOOTSTRAP && e.n_pos > 0 && e.n > e.n_pos) {
        RAD_TRY(bootstrap_interval(&c, level, (int64_t)b, (uint64_t)seed, &boot_se, &lower, &upper, err));
        se = boot_se;
    }
    rad_doc_int(doc, "n", e.n);
    rad_doc_int(doc, "n_pos", e.n_pos);
    rad_doc_int(doc, "n_neg", e.n - e.n_pos);
    rad_doc_int(doc, "n_missing", e.n_missing);
    rad_doc_num(doc, "auc", e.est);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "var", method == DELONG || method == LOGIT ? var : se * se);
    rad_doc_num(doc, "lower", lower);
    rad_doc_num(doc, "upper", upper);
    rad_doc_num(doc, "lower_raw", e.est - z * se);
    rad_doc_num(doc, "upper_raw", e.est + z * se);
    rad_doc_num(doc, "p", e.p);
    rad_doc_num(doc, "level", level);
    rad_doc_text(doc, "method", methods[method]);
    rad_doc_num(doc, "logit", e.est > 0 && e.est < 1 ? rad_logit(e.est) : NAN);
    rad_doc_num(doc, "se_logit", logit_se);
    rad_doc_num(doc, "logit_lower", logit_lower);
    rad_doc_num(doc, "logit_upper", logit_upper);
    rad_doc_num(doc, "hanley_mcneil_var", hv);
    rad_doc_num(doc, "U", u);
    rad_doc_num(doc, "p_mann_whitney", p_u);
    if (method == BOOTSTRAP) {
        rad_doc_int(doc, "replicates", (int64_t)b);
        rad_doc_num(doc, "seed", seed);
    }
    rad_doc_bool(doc, "degenerate", e.reason != NULL);
    if (e.reason)
        rad_doc_reason(doc, "%s", e.reason);
out:
    rad_curve_release(&c);
    free(label);
    return st;
}

/* Area between two values of the abscissa under the polyline (x, y), x rising; both axes are counts. */
static double area_between(const int64_t *x, const int64_t *y, int64_t n, double nx, double ny, double from, double to) {
    double area = 0;
    for (int64_t j = 1; j < n; j++) {
        const double x0 = (double)x[j - 1] / nx, x1 = (double)x[j] / nx, y0 = (double)y[j - 1] / ny, y1 = (double)y[j] / ny;
        const double a = fmax(x0, from), b = fmin(x1, to);
        if (b > a)
            area += (b - a) * ((y0 + (y1 - y0) * (a - x0) / (x1 - x0)) + (y0 + (y1 - y0) * (b - x0) / (x1 - x0))) / 2;
    }
    return area;
}

static rad_status partial_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    static const char *const focuses[] = {"specificity", "sensitivity", NULL};
    int focus;
    rad_curve c = {0};
    rad_status st;
    double hi = rad_arg_num(arg, n_arg, 0, 1), lo = rad_arg_num(arg, n_arg, 1, 0.9);
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 2, "specificity"), "focus", focuses, &focus, err));
    if (hi < lo) {
        const double t = hi;
        hi = lo;
        lo = t;
    }
    if (!(lo >= 0 && hi <= 1 && lo < hi))
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "partial AUC between %g and %g: expected two different numbers from 0 to 1", lo, hi));
    RAD_TRY(rad_curve_of_frame(f, &c, err));
    double area = NAN, corrected = NAN;
    if (c.n_pos == 0 || c.n_neg == 0) {
        rad_doc_reason(doc, c.n_pos == 0 ? "no positive case" : "no negative case");
    } else {
        const double n1 = (double)c.n_pos, n0 = (double)c.n_neg;
        if (focus == 0) {
            area = area_between(c.fp, c.tp, c.n_point, n0, n1, 1 - hi, 1 - lo);
        } else { /* the same curve seen from the other axis: specificity over sensitivity */
            double fpr_area = area_between(c.tp, c.fp, c.n_point, n1, n0, lo, hi);
            area = (hi - lo) - fpr_area;
        }
        const double least = ((1 - hi) + (1 - lo)) * (hi - lo) / 2, most = hi - lo;
        corrected = area >= least ? (1 + (area - least) / (most - least)) / 2 : NAN;
        if (isnan(corrected))
            rad_doc_reason(doc, "below the diagonal: McClish's correction is undefined");
    }
    rad_doc_int(doc, "n", c.n_pos + c.n_neg);
    rad_doc_int(doc, "n_missing", c.n_missing);
    rad_doc_num(doc, "pauc", area);
    rad_doc_num(doc, "pauc_corrected", corrected);
out:
    rad_curve_release(&c);
    return st;
}

static rad_status points_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    rad_curve c = {0};
    rad_status st;
    RAD_TRY(rad_curve_of_frame(f, &c, err));
    const double n1 = (double)c.n_pos, n0 = (double)c.n_neg;
    rad_doc_int(doc, "n_missing", c.n_missing);
    rad_doc_open_list(doc, "rows");
    for (int64_t j = 0; j < c.n_point; j++) {
        rad_doc_open(doc, NULL);
        rad_doc_num(doc, "threshold", c.threshold[j]);
        rad_doc_num(doc, "fpr", c.n_neg ? (double)c.fp[j] / n0 : NAN);
        rad_doc_num(doc, "tpr", c.n_pos ? (double)c.tp[j] / n1 : NAN);
        rad_doc_int(doc, "tp", c.tp[j]);
        rad_doc_int(doc, "fp", c.fp[j]);
        rad_doc_int(doc, "fn", c.n_pos - c.tp[j]);
        rad_doc_int(doc, "tn", c.n_neg - c.fp[j]);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    if (c.n_pos == 0 || c.n_neg == 0)
        rad_doc_reason(doc, c.n_pos == 0 ? "no positive case" : "no negative case");
out:
    rad_curve_release(&c);
    return st;
}

/* probit(sensitivity) = a + b probit(1 - specificity), least squares through the inner points of the empirical curve. */
static rad_status binormal_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    rad_curve c = {0};
    rad_status st;
    RAD_TRY(rad_curve_of_frame(f, &c, err));
    double sx = 0, sy = 0, sxx = 0, sxy = 0, m = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < c.n_point; j++) {
            if (c.tp[j] == 0 || c.tp[j] == c.n_pos || c.fp[j] == 0 || c.fp[j] == c.n_neg)
                continue;
            const double x = rad_qnorm((double)c.fp[j] / (double)c.n_neg), y = rad_qnorm((double)c.tp[j] / (double)c.n_pos);
            if (pass == 0) {
                sx += x;
                sy += y;
                m++;
            } else {
                sxx += (x - sx / m) * (x - sx / m);
                sxy += (x - sx / m) * (y - sy / m);
            }
        }
    const double b = sxx > 0 ? sxy / sxx : NAN, a = sy / m - b * sx / m;
    if (isnan(b))
        rad_doc_reason(doc, "fewer than two points inside the unit square: no binormal curve");
    rad_doc_int(doc, "n_points", (int64_t)m);
    rad_doc_num(doc, "a", a);
    rad_doc_num(doc, "b", b);
    rad_doc_num(doc, "auc", isnan(b) ? NAN : gsl_cdf_ugaussian_P(a / sqrt(1 + b * b)));
    rad_doc_open_list(doc, "rows");
    for (int i = 0; !isnan(b) && i <= 100; i++) {
        const double x = i / 100.0;
        rad_doc_open(doc, NULL);
        rad_doc_num(doc, "fpr", x);
        rad_doc_num(doc, "tpr", i == 0 ? 0 : i == 100 ? 1 : gsl_cdf_ugaussian_P(a + b * rad_qnorm(x)));
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
out:
    rad_curve_release(&c);
    return st;
}

static rad_status precision_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    rad_curve c = {0};
    rad_status st;
    RAD_TRY(rad_curve_of_frame(f, &c, err));
    double ap = c.n_pos ? 0 : NAN, trapezoid = ap, last = 1;
    for (int64_t j = 1; j < c.n_point && c.n_pos; j++) {
        const double step = (double)(c.tp[j] - c.tp[j - 1]) / (double)c.n_pos, precision = (double)c.tp[j] / (double)(c.tp[j] + c.fp[j]);
        ap += step * precision;
        trapezoid += step * (precision + last) / 2;
        last = precision;
    }
    if (c.n_pos == 0)
        rad_doc_reason(doc, "no positive case");
    rad_doc_int(doc, "n", c.n_pos + c.n_neg);
    rad_doc_num(doc, "average_precision", ap);
    rad_doc_num(doc, "pr_auc_trapezoid", trapezoid);
    rad_doc_int(doc, "n_distinct", c.n_point - 1);
out:
    rad_curve_release(&c);
    return st;
}

#define AUC_ARGS "label, score[, level = 0.95[, method = 'delong'[, replicates = 2000[, seed]]]]"
#define AUC_FN(name, what, field)                                                                                                          \
    { name, AUC_ARGS, what, field, "nn", "ntnn", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, auc_doc }
#define DELONG_SOURCE "DeLong, DeLong & Clarke-Pearson 1988, computed in O(n log n) (Sun & Xu 2014); assumes independent cases"

static const rad_stat_function functions[] = {
    AUC_FN("auc",
           "area under the empirical ROC curve, ties 1/2 (Mann-Whitney U / (n1 n0)); label 1 = positive, higher score = more positive",
           "auc"),
    AUC_FN("auc_var", "variance of the AUC: " DELONG_SOURCE, "var"),
    AUC_FN("auc_se", "standard error of the AUC: " DELONG_SOURCE, "se"),
    AUC_FN("auc_lower",
           "lower limit of the AUC. method: 'delong' (truncated to [0,1]), 'logit' (Pepe 2003 p. 107), 'hanley-mcneil' (1982), "
           "'bootstrap' (stratified, percentile, counter-based seed)",
           "lower"),
    AUC_FN("auc_upper", "upper limit of the AUC, as auc_lower", "upper"),
    AUC_FN("auc_p", "two-sided p of AUC = 0.5, z test with the DeLong variance", "p"),
    AUC_FN("auc_reason", "why auc or its interval is NULL or a point; NULL when nothing is wrong", "reason"),
    AUC_FN("auc_json", "all of the above as JSON, with counts, Hanley-McNeil variance and the Mann-Whitney test", NULL),
    {"auc_partial", "label, score[, from = 1[, to = 0.9[, focus = 'specificity']]]",
     "partial AUC between two specificities (or sensitivities), linear interpolation", "pauc", "nn", "nnt", 2, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, partial_doc},
    {"auc_partial_corrected", "label, score[, from = 1[, to = 0.9[, focus = 'specificity']]]",
     "partial AUC scaled to 0.5 .. 1 (McClish 1989); NULL below the diagonal", "pauc_corrected", "nn", "nnt", 2, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, partial_doc},
    {"auc_partial_json", "label, score[, from = 1[, to = 0.9[, focus = 'specificity']]]", "partial AUC, plain and corrected, as JSON", NULL,
     "nn", "nnt", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, partial_doc},
    {"roc_json", "label, score", "the empirical ROC curve as JSON, one point per distinct score", NULL, "nn", "", 2, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, points_doc},
    {"roc_points", "'SELECT label, score ...'", "the empirical ROC curve: positive is score >= threshold; one row per distinct score",
     "threshold,fpr,tpr,tp,fp,fn,tn", "nn", "", 1, 0, RAD_STAT_TABLE, points_doc},
    {"roc_binormal_json", "label, score",
     "smooth ROC curve probit(tpr) = a + b probit(fpr), least squares on the empirical points; "
     "AUC = Phi(a / sqrt(1 + b^2)) (as pROC::smooth)",
     NULL, "nn", "", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, binormal_doc},
    {"roc_binormal", "'SELECT label, score ...'", "101 points of the binormal curve", "fpr,tpr", "nn", "", 1, 0, RAD_STAT_TABLE,
     binormal_doc},
    {"average_precision", "label, score", "sum over distinct thresholds of (recall step) x precision, no interpolation",
     "average_precision", "nn", "", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, precision_doc},
    {"precision_recall_json", "label, score", "average precision and the (optimistic) trapezoid area", NULL, "nn", "", 2,
     RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, precision_doc},
};
RAD_STAT_TOPIC(rad_topic_roc, functions);
