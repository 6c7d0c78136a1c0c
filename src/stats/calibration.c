/* calibration: how far predicted probabilities are from what happened, and what acting on them is worth. */
#include "impl.h"
#include "logit.h"

typedef struct sample {
    int64_t n, n_missing;
    double *y, *p, *sorted;
} sample;

static void release(sample *s) {
    free(s->y);
    free(s->p);
    free(s->sorted);
}

static rad_status init(const rad_frame *f, sample *s, rad_error *err) {
    s->y = rad_new_doubles(f->n);
    s->p = rad_new_doubles(f->n);
    s->sorted = rad_new_doubles(f->n);
    if (!s->y || !s->p || !s->sorted)
        return rad_no_memory(err);
    for (int64_t i = 0; i < f->n; i++) {
        const double y = f->column[0].value[i], p = f->column[1].value[i];
        if ((y != 0 && y != 1) || isnan(p))
            continue;
        if (!(p >= 0 && p <= 1))
            return rad_error_set(err, RAD_E_USAGE, "probability %g: expected numbers from 0 to 1", p);
        s->y[s->n] = y;
        s->sorted[s->n] = p;
        s->p[s->n++] = p;
    }
    s->n_missing = f->n - s->n;
    rad_sort_doubles(s->sorted, s->n);
    return RAD_OK;
}

/* ---------------------------------------------------------------- bins */

#define CALIBRATION_MAX_BINS 1000

typedef struct bins { /* bin k holds (edge[k-1], edge[k]]; the last edge is infinite */
    int64_t k;
    double edge[CALIBRATION_MAX_BINS], n[CALIBRATION_MAX_BINS], p[CALIBRATION_MAX_BINS], y[CALIBRATION_MAX_BINS];
} bins;

static int64_t bin_of(const bins *b, double p) {
    int64_t lo = 0, hi = b->k - 1;
    while (lo < hi) {
        const int64_t mid = (lo + hi) / 2;
        if (p <= b->edge[mid])
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Sums by bin. */
static void fill(const sample *s, bins *b) {
    for (int64_t k = 0; k < b->k; k++)
        b->n[k] = b->p[k] = b->y[k] = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const int64_t k = bin_of(b, s->p[i]);
        b->n[k]++;
        b->p[k] += s->p[i];
        b->y[k] += s->y[i];
    }
}

static void equal_width(const sample *s, int64_t k, bins *b) {
    b->k = k;
    for (int64_t i = 0; i < k; i++)
        b->edge[i] = i + 1 < k ? (double)(i + 1) / (double)k : INFINITY;
    fill(s, b);
}

/* Quantiles, type 7. Equal probabilities are never split: equal edges leave an empty bin between them. */
static void equal_mass(const sample *s, int64_t k, bins *b) {
    b->k = 0;
    for (int64_t i = 1; i <= k; i++) {
        const double e = i < k ? rad_quantile7(s->sorted, s->n, (double)i / (double)k) : INFINITY;
        b->edge[b->k++] = e;
    }
    fill(s, b);
}

static void put_bins(const sample *s, const bins *b, rad_doc *doc) {
    double ece = 0, mce = 0, place = 0;
    rad_doc_open_list(doc, "rows");
    for (int64_t k = 0; k < b->k; k++) {
        if (b->n[k] == 0)
            continue;
        const double p = b->p[k] / b->n[k], y = b->y[k] / b->n[k], gap = fabs(p - y);
        place++;
        ece += b->n[k] / (double)s->n * gap;
        mce = fmax(mce, gap);
        rad_doc_open(doc, NULL);
        rad_doc_int(doc, "bin", k + 1);
        rad_doc_num(doc, "n", b->n[k]);
        rad_doc_num(doc, "mean_pred", p);
        rad_doc_num(doc, "mean_obs", y);
        rad_doc_num(doc, "lower_edge", k ? b->edge[k - 1] : 0);
        rad_doc_num(doc, "upper_edge", isinf(b->edge[k]) ? 1 : b->edge[k]);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    rad_doc_num(doc, "ece", s->n ? ece : NAN);
    rad_doc_num(doc, "mce", s->n ? mce : NAN);
    rad_doc_num(doc, "n_bins", place);
}

static const char *const strategies[] = {"equal_width", "equal_mass", NULL};

static rad_status bin_args(const rad_arg *arg, int n_arg, int64_t *ret_k, int *ret_how, rad_error *err) {
    const double k = rad_arg_num(arg, n_arg, 0, 10);
    if (!(k >= 1 && k <= CALIBRATION_MAX_BINS))
        return rad_error_set(err, RAD_E_USAGE, "%g bins: expected 1 to %d", k, CALIBRATION_MAX_BINS);
    *ret_k = (int64_t)k;
    return rad_arg_word(rad_arg_text(arg, n_arg, 1, "equal_width"), "strategy", strategies, ret_how, err);
}

static rad_status bins_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    sample s = {0};
    int how = 0;
    int64_t k = 0;
    rad_status st;
    bins *b = rad_malloc(sizeof *b);
    if (!b)
        return rad_no_memory(err);
    RAD_TRY(bin_args(arg, n_arg, &k, &how, err));
    RAD_TRY(init(f, &s, err));
    if (s.n == 0)
        rad_doc_reason(doc, "no complete case");
    (how == 0 ? equal_width : equal_mass)(&s, k, b);
    rad_doc_int(doc, "n", s.n);
    rad_doc_int(doc, "n_missing", s.n_missing);
    rad_doc_text(doc, "strategy", strategies[how]);
    put_bins(&s, b, doc);
out:
    release(&s);
    free(b);
    return st;
}

/* ---------------------------------------------------------------- Brier score, Hosmer-Lemeshow */

static void put_brier(const sample *s, const bins *b, rad_doc *doc) {
    const double n = (double)s->n;
    double brier = 0, loss = 0, all = 0, rel = 0, res = 0, wbv = 0, wbc = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double p = s->p[i], y = s->y[i], c = fmin(1 - 1e-15, fmax(1e-15, p));
        const int64_t k = bin_of(b, p);
        const double pk = b->p[k] / b->n[k], yk = b->y[k] / b->n[k];
        brier += (p - y) * (p - y) / n;
        loss -= (y == 1 ? log(c) : log1p(-c)) / n;
        all += y / n;
        wbv += (p - pk) * (p - pk) / n;
        wbc += 2 * (y - yk) * (p - pk) / n;
    }
    for (int64_t k = 0; k < b->k; k++)
        if (b->n[k] > 0) {
            const double pk = b->p[k] / b->n[k], yk = b->y[k] / b->n[k];
            rel += b->n[k] / n * (pk - yk) * (pk - yk);
            res += b->n[k] / n * (yk - all) * (yk - all);
        }
    const double unc = all * (1 - all);
    const bool ok = s->n > 0;
    rad_doc_num(doc, "brier", ok ? brier : NAN);
    rad_doc_num(doc, "log_loss", ok ? loss : NAN);
    rad_doc_num(doc, "brier_scaled", ok && unc > 0 ? 1 - brier / unc : NAN);
    rad_doc_num(doc, "reliability", ok ? rel : NAN);
    rad_doc_num(doc, "resolution", ok ? res : NAN);
    rad_doc_num(doc, "uncertainty", ok ? unc : NAN);
    rad_doc_num(doc, "within_bin_variance", ok ? wbv : NAN);
    rad_doc_num(doc, "within_bin_covariance", ok ? wbc : NAN);
}

static void put_hosmer(const sample *s, int64_t g, bins *b, rad_doc *doc) {
    /* cuts at unique(quantile(p, 0:g/g)) */
    double chi2 = 0, groups = 0;
    int64_t kept = 0;
    equal_mass(s, g, b);
    for (int64_t k = 0; k < b->k; k++) /* (lo, hi] with the lowest included: an edge at the lowest value is no cut */
        if (b->edge[k] > (kept ? b->edge[kept - 1] : s->sorted[0]))
            b->edge[kept++] = b->edge[k];
    b->k = kept;
    fill(s, b);
    rad_doc_open(doc, "hosmer_lemeshow");
    rad_doc_open_list(doc, "observed1");
    for (int64_t k = 0; k < b->k; k++)
        if (b->n[k] > 0)
            rad_doc_num(doc, NULL, b->y[k]);
    rad_doc_close(doc);
    rad_doc_open_list(doc, "expected1");
    for (int64_t k = 0; k < b->k; k++) {
        if (b->n[k] == 0)
            continue;
        groups++;
        const double o = b->y[k], e = b->p[k], o0 = b->n[k] - o, e0 = b->n[k] - e;
        rad_doc_num(doc, NULL, e);
        chi2 += (o == e ? 0 : (o - e) * (o - e) / e) + (o0 == e0 ? 0 : (o0 - e0) * (o0 - e0) / e0);
    }
    rad_doc_close(doc);
    const bool ok = groups > 2;
    rad_doc_num(doc, "chi2", ok ? chi2 : NAN);
    rad_doc_num(doc, "groups", groups);
    rad_doc_num(doc, "df", ok ? groups - 2 : NAN);
    rad_doc_num(doc, "p", ok ? rad_p_chisq(chi2, groups - 2) : NAN);
    rad_doc_num(doc, "df_external", ok ? groups : NAN);
    rad_doc_num(doc, "p_external", ok ? rad_p_chisq(chi2, groups) : NAN);
    rad_doc_close(doc);
    if (!ok)
        rad_doc_reason(doc, "fewer than three groups of different probabilities: no Hosmer-Lemeshow test");
}

/* ---------------------------------------------------------------- regression on the logit */

static rad_status put_regression(const sample *s, double level, rad_doc *doc, rad_error *err) {
    rad_status st = RAD_OK;
    double *x = rad_new_doubles(2 * s->n), *one = rad_new_doubles(s->n), *logit = rad_new_doubles(s->n), *y = rad_new_doubles(s->n);
    rad_logit_model line = {0}, citl = {0};
    if (!x || !one || !logit || !y) {
        st = rad_no_memory(err);
        goto out;
    }
    int64_t n = 0;
    double events = 0, expected = 0, top = 0, bottom = 0, ll01 = 0;
    bool varies = false;
    for (int64_t i = 0; i < s->n; i++) {
        const double p = s->p[i];
        events += s->y[i];
        expected += p;
        top += (s->y[i] - p) * (1 - 2 * p);
        bottom += (1 - 2 * p) * (1 - 2 * p) * p * (1 - p);
        if (p == 0 || p == 1)
            continue; /* no logit: excluded and counted */
        logit[n] = rad_logit(p);
        varies = varies || (n > 0 && logit[n] != logit[0]);
        x[2 * n] = one[n] = 1;
        x[2 * n + 1] = logit[n];
        ll01 += s->y[i] * log(p) + (1 - s->y[i]) * log1p(-p);
        y[n++] = s->y[i];
    }
    double n1 = 0;
    for (int64_t i = 0; i < n; i++)
        n1 += y[i];
    const bool both = n1 > 0 && n1 < (double)n;
    double a[4] = {NAN, NAN, NAN, NAN}, c[2] = {NAN, NAN}, lr = NAN;
    if (both) {
        RAD_TRY(rad_logit_fit(one, y, logit, n, 1, false, -1, 0, NULL, &citl, err));
        c[0] = citl.beta[0];
        c[1] = sqrt(citl.cov[0]);
    } else {
        rad_doc_reason(doc, "one class only: no calibration line");
    }
    if (both && varies) {
        RAD_TRY(rad_logit_fit(x, y, NULL, n, 2, false, -1, 0, NULL, &line, err));
        if (line.separated) {
            rad_doc_reason(doc, "the probabilities separate the classes: slope is infinite");
        } else {
            a[0] = line.beta[0];
            a[1] = sqrt(line.cov[0]);
            a[2] = line.beta[1];
            a[3] = sqrt(line.cov[3]);
            lr = 2 * (line.loglik - ll01);
        }
    } else if (both) {
        rad_doc_reason(doc, "all probabilities are equal: slope undefined");
    }
    const double z = rad_z_level(level), sz = bottom > 0 ? top / sqrt(bottom) : NAN;
    rad_doc_open(doc, "regression");
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_excluded", s->n - n);
    rad_doc_num(doc, "citl", c[0]);
    rad_doc_num(doc, "citl_se", c[1]);
    rad_doc_num(doc, "citl_lower", c[0] - z * c[1]);
    rad_doc_num(doc, "citl_upper", c[0] + z * c[1]);
    rad_doc_num(doc, "intercept", a[0]);
    rad_doc_num(doc, "intercept_se", a[1]);
    rad_doc_num(doc, "slope", a[2]);
    rad_doc_num(doc, "slope_se", a[3]);
    rad_doc_num(doc, "slope_lower", a[2] - z * a[3]);
    rad_doc_num(doc, "slope_upper", a[2] + z * a[3]);
    rad_doc_num(doc, "lr_test_0_1", lr);
    rad_doc_num(doc, "lr_p", rad_p_chisq(lr, 2));
    rad_doc_num(doc, "oe_ratio", expected > 0 ? events / expected : NAN);
    rad_doc_num(doc, "spiegelhalter_z", sz);
    rad_doc_num(doc, "spiegelhalter_p", rad_p_two_sided(sz));
    rad_doc_close(doc);
    if (n < s->n)
        rad_doc_reason(doc, "%lld probabilities of exactly 0 or 1 have no logit and were left out of the calibration line",
                       (long long)(s->n - n));
out:
    rad_logit_release(&line);
    rad_logit_release(&citl);
    free(x);
    free(one);
    free(logit);
    free(y);
    return st;
}

/* ---------------------------------------------------------------- smooth curve */

/* Local quadratic at x0, tricube weights over the nearest 3/4 of the cases (Cleveland's loess, degree 2, computed directly). */
static double loess_at(const sample *s, double x0) {
    const int64_t n = s->n, q = (int64_t)floor(0.75 * (double)n);
    /* the q-th smallest distance: cases are sorted, so the nearest ones form a window */
    int64_t lo = 0, hi = n;
    while (hi - lo > q) {
        if (x0 - s->sorted[lo] > s->sorted[hi - 1] - x0)
            lo++;
        else
            hi--;
    }
    const double width = fmax(x0 - s->sorted[lo], s->sorted[hi - 1] - x0);
    double m[9] = {0}, t[3] = {0};
    for (int64_t i = 0; i < n; i++) {
        const double d = s->p[i] - x0;
        if (fabs(d) > width)
            continue;
        const double u = width > 0 ? fabs(d) / width : 0, w = pow(1 - u * u * u, 3), z[3] = {1, d, d * d};
        for (int a = 0; a < 3; a++) {
            t[a] += w * z[a] * s->y[i];
            for (int b = 0; b < 3; b++)
                m[3 * a + b] += w * z[a] * z[b];
        }
    }
    /* Gaussian elimination; a window with fewer distinct values falls back to the weighted mean */
    const double mean = t[0] / m[0];
    for (int c = 0; c < 3; c++) {
        if (!(fabs(m[4 * c]) > 1e-14 * fabs(m[0])))
            return mean;
        for (int r = 0; r < 3; r++) {
            if (r == c)
                continue;
            const double f = m[3 * r + c] / m[4 * c];
            for (int k = 0; k < 3; k++)
                m[3 * r + k] -= f * m[3 * c + k];
            t[r] -= f * t[c];
        }
    }
    return t[0] / m[0];
}

enum { CURVE_POINTS = 257 };

static rad_status put_smooth(const sample *s, rad_doc *doc, rad_error *err) {
    double at[CURVE_POINTS], value[CURVE_POINTS], ici = 0;
    int64_t k = 0;
    if (s->n < 20 || s->sorted[0] == s->sorted[s->n - 1]) {
        rad_doc_num(doc, "ici", NAN);
        rad_doc_reason(doc, "too few different probabilities for a smooth calibration curve");
        return RAD_OK;
    }
    double *gap = rad_new_doubles(s->n);
    if (!gap)
        return rad_no_memory(err);
    for (int64_t i = 0; i < CURVE_POINTS; i++) {
        const double x = rad_quantile7(s->sorted, s->n, (double)i / (CURVE_POINTS - 1));
        if (k == 0 || x > at[k - 1]) {
            at[k] = x;
            value[k++] = rad_at_most(rad_at_least(loess_at(s, x), 0), 1);
        }
    }
    for (int64_t i = 0, j = 0; i < s->n; i++) { /* sorted and at[] both rise */
        const double x = s->sorted[i];
        while (j + 2 < k && x > at[j + 1])
            j++;
        const double u = (x - at[j]) / (at[j + 1] - at[j]);
        gap[i] = fabs(value[j] + u * (value[j + 1] - value[j]) - x);
        ici += gap[i] / (double)s->n;
    }
    rad_sort_doubles(gap, s->n);
    rad_doc_num(doc, "ici", ici);
    rad_doc_num(doc, "e50", rad_quantile7(gap, s->n, 0.5));
    rad_doc_num(doc, "e90", rad_quantile7(gap, s->n, 0.9));
    rad_doc_num(doc, "emax", gap[s->n - 1]);
    free(gap);
    return RAD_OK;
}

static rad_status calibration_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    sample s = {0};
    int how = 0;
    int64_t k = 0;
    double level;
    rad_status st;
    bins *b = rad_malloc(sizeof *b);
    if (!b)
        return rad_no_memory(err);
    RAD_TRY(bin_args(arg, n_arg, &k, &how, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    RAD_TRY(init(f, &s, err));
    rad_doc_int(doc, "n", s.n);
    rad_doc_int(doc, "n_missing", s.n_missing);
    if (s.n == 0) {
        rad_doc_reason(doc, "no complete case");
        goto out;
    }
    (how == 0 ? equal_width : equal_mass)(&s, k, b);
    put_brier(&s, b, doc);
    put_bins(&s, b, doc);
    put_hosmer(&s, k, b, doc);
    RAD_TRY(put_regression(&s, level, doc, err));
    RAD_TRY(put_smooth(&s, doc, err));
out:
    release(&s);
    free(b);
    return st;
}

/* Without groups and without the smooth curve, which costs a pass over all cases for each of its points. */
static rad_status line_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    sample s = {0};
    double level;
    rad_status st;
    bins *b = rad_malloc(sizeof *b);
    if (!b)
        return rad_no_memory(err);
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    RAD_TRY(init(f, &s, err));
    rad_doc_int(doc, "n", s.n);
    rad_doc_int(doc, "n_missing", s.n_missing);
    if (s.n == 0) {
        rad_doc_reason(doc, "no complete case");
        goto out;
    }
    equal_width(&s, 10, b);
    put_brier(&s, b, doc);
    RAD_TRY(put_regression(&s, level, doc, err));
out:
    release(&s);
    free(b);
    return st;
}

/* ---------------------------------------------------------------- decision curve */

enum { CURVE_MAX = 1000 };

static rad_status decision_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    sample s = {0};
    int64_t k = 0;
    rad_status st;
    double *t = rad_new_doubles(CURVE_MAX);
    if (!t)
        return rad_no_memory(err);
    const char *list = rad_arg_text(arg, n_arg, 0, NULL);
    if (list)
        RAD_TRY(rad_arg_numbers(list, "thresholds", t, CURVE_MAX, &k, err));
    else
        for (; k < 99; k++)
            t[k] = (double)(k + 1) / 100; /* not k * 0.01, which misses 0.35 and others by an ulp */
    RAD_TRY(init(f, &s, err));
    double n1 = 0;
    for (int64_t i = 0; i < s.n; i++)
        n1 += s.y[i];
    const double n = (double)s.n, prevalence = n1 / n;
    if (s.n == 0)
        rad_doc_reason(doc, "no complete case");
    rad_doc_int(doc, "n", s.n);
    rad_doc_num(doc, "prevalence", prevalence);
    rad_doc_open_list(doc, "rows");
    for (int64_t j = 0; j < k && s.n > 0; j++) {
        if (!(t[j] > 0 && t[j] < 1))
            RAD_TRY(rad_error_set(err, RAD_E_USAGE, "threshold %g: expected numbers between 0 and 1", t[j]));
        double tp = 0, fp = 0;
        for (int64_t i = 0; i < s.n; i++)
            if (s.p[i] >= t[j]) {
                tp += s.y[i];
                fp += 1 - s.y[i];
            }
        const double odds = t[j] / (1 - t[j]), nb = tp / n - fp / n * odds, all = prevalence - (1 - prevalence) * odds;
        rad_doc_open(doc, NULL);
        rad_doc_num(doc, "threshold", t[j]);
        rad_doc_num(doc, "net_benefit", nb);
        rad_doc_num(doc, "treat_all", all);
        rad_doc_num(doc, "treat_none", 0);
        rad_doc_num(doc, "std_net_benefit", prevalence > 0 ? nb / prevalence : NAN);
        rad_doc_num(doc, "interventions_avoided_per100", 100 * (nb - all) / odds);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
out:
    release(&s);
    free(t);
    return st;
}

#define CAL_ARGS "y, p[, bins = 10[, strategy = 'equal_width'[, level = 0.95]]]"
#define CAL(name, what, field)                                                                                                             \
    { name, CAL_ARGS, what, field, "nn", "ntn", 2, 0, RAD_STAT_AGGREGATE, calibration_doc }

static const rad_stat_function functions[] = {
    CAL("brier", "mean of (p - y)^2", "brier"),
    CAL("ece", "expected calibration error: sum of n_b/n |mean p - mean y| over bins (lo, hi]; strategy 'equal_width' or 'equal_mass'",
        "ece"),
    CAL("calibration_slope", "slope of y on logit p (Cox 1958); 1 is ideal", "regression.slope"),
    CAL("calibration_intercept", "calibration in the large: intercept with slope fixed at 1", "regression.citl"),
    CAL("ici", "integrated calibration index: mean |loess - p| (Austin & Steyerberg 2019), local quadratic, span 3/4", "ici"),
    CAL("hosmer_lemeshow_p", "p with groups - 2 degrees of freedom (development sample)", "hosmer_lemeshow.p"),
    CAL("calibration_json",
        "Brier score with decomposition (rel - res + unc + within-bin terms, Stephenson 2008), log loss, ECE and MCE, "
        "Hosmer-Lemeshow for development and external use, calibration line with limits, Spiegelhalter z, ICI",
        NULL),
    {"calibration_line_json", "y, p[, level = 0.95]",
     "Brier score with decomposition and the calibration line alone: what calibration_json costs without its smooth curve", NULL, "nn", "n",
     2, 0, RAD_STAT_AGGREGATE, line_doc},
    {"calibration_bins", "'SELECT y, p ...'[, bins = 10[, strategy = 'equal_width']]",
     "points of the reliability diagram, empty bins left out", "bin,n,mean_pred,mean_obs,lower_edge,upper_edge", "nn", "nt", 1, 0,
     RAD_STAT_TABLE, bins_doc},
    {"calibration_bins_json", "y, p[, bins = 10[, strategy = 'equal_width']]", "the same as JSON", NULL, "nn", "nt", 2, 0,
     RAD_STAT_AGGREGATE, bins_doc},
    {"decision_curve", "'SELECT y, p ...'[, thresholds]",
     "net benefit TP/n - FP/n t/(1-t) beside treat-all (Vickers & Elkin 2006); thresholds '0.1,0.2', every hundredth when left out",
     "threshold,net_benefit,treat_all,treat_none,std_net_benefit,interventions_avoided_per100", "nn", "t", 1, 0, RAD_STAT_TABLE,
     decision_doc},
    {"decision_curve_json", "y, p[, thresholds]", "the same as JSON", NULL, "nn", "t", 2, 0, RAD_STAT_AGGREGATE, decision_doc},
};
RAD_STAT_TOPIC(rad_topic_calibration, functions);
