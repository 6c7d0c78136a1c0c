#include "proportion.h"

#include "impl.h"

const char *const rad_interval_names[] = {"wilson", "clopper-pearson", "agresti-coull", "jeffreys", "wald", "wilson-cc", NULL};

/* Root of the score equation for the shifted proportion p (Wilson 1927; p = k/n without continuity correction). */
static double score_root(double p, double n, double z, int sign) {
    const double h = z * z / (2 * n);
    return (p + h + sign * z * sqrt(p * (1 - p) / n + h / (2 * n))) / (1 + 2 * h);
}

void rad_proportion_interval(rad_interval method, double k, double n, double level, double *ret_lower, double *ret_upper) {
    double lo = NAN, hi = NAN;
    if (n > 0 && k >= 0 && k <= n) {
        const double z = rad_z_level(level), p = k / n, tail = (1 - level) / 2;
        switch (method) {
        case RAD_WILSON:
            lo = k > 0 ? score_root(p, n, z, -1) : 0;
            hi = k < n ? score_root(p, n, z, 1) : 1;
            break;
        case RAD_CLOPPER_PEARSON:
            lo = k > 0 ? rad_q_beta(tail, k, n - k + 1) : 0;
            hi = k < n ? 1 - rad_q_beta(tail, n - k, k + 1) : 1;
            break;
        case RAD_AGRESTI_COULL: {
            const double nn = n + z * z, pp = (k + z * z / 2) / nn, se = sqrt(pp * (1 - pp) / nn);
            lo = pp - z * se;
            hi = pp + z * se;
            break;
        }
        case RAD_JEFFREYS:
            lo = k > 0 ? rad_q_beta(tail, k + 0.5, n - k + 0.5) : 0;
            hi = k < n ? 1 - rad_q_beta(tail, n - k + 0.5, k + 0.5) : 1;
            break;
        case RAD_WALD: {
            const double se = sqrt(p * (1 - p) / n);
            lo = p - z * se;
            hi = p + z * se;
            break;
        }
        case RAD_WILSON_CC: { /* R prop.test(correct = TRUE), which tests against 1/2 */
            const double yates = fmin(0.5, fabs(k - n / 2)) / n;
            lo = p - yates <= 0 ? 0 : score_root(p - yates, n, z, -1);
            hi = p + yates >= 1 ? 1 : score_root(p + yates, n, z, 1);
            break;
        }
        }
    }
    *ret_lower = lo;
    *ret_upper = hi;
}

void rad_proportion_put(rad_doc *doc, double k, double n, double level) {
    static const struct {
        rad_interval method;
        const char *lower, *upper;
    } all[] = {{RAD_WILSON, "wilson_lower", "wilson_upper"}, {RAD_CLOPPER_PEARSON, "cp_lower", "cp_upper"},
               {RAD_AGRESTI_COULL, "ac_lower", "ac_upper"},  {RAD_JEFFREYS, "jeffreys_lower", "jeffreys_upper"},
               {RAD_WALD, "wald_lower", "wald_upper"},       {RAD_WILSON_CC, "wilson_cc_lower", "wilson_cc_upper"}};
    rad_doc_num(doc, "k", k);
    rad_doc_num(doc, "n", n);
    rad_doc_num(doc, "estimate", n > 0 ? k / n : NAN);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double lo, hi;
        rad_proportion_interval(all[i].method, k, n, level, &lo, &hi);
        rad_doc_num(doc, all[i].lower, lo);
        rad_doc_num(doc, all[i].upper, hi);
    }
}

/* ---------------------------------------------------------------- 2 x 2 tables */

/* log of the hypergeometric weight of cell x, up to a constant. */
static double log_weight(double x, double row1, double row2, double col1) {
    return -lgamma(x + 1) - lgamma(row1 - x + 1) - lgamma(col1 - x + 1) - lgamma(row2 - col1 + x + 1);
}

/* Tables on the way from the smallest to the largest cell; a million of them is 8 MiB and a second for the limits. */
#define FISHER_MAX_SUPPORT 1000000

typedef struct hyper {
    int64_t lo, n; /* cell values lo .. lo + n - 1 */
    double *log_w;
} hyper;

static bool hyper_init(int64_t a, int64_t b, int64_t c, int64_t d, hyper *h) {
    const int64_t row1 = a + b, row2 = c + d, col1 = a + c, hi = row1 < col1 ? row1 : col1;
    h->lo = col1 > row2 ? col1 - row2 : 0;
    h->n = hi - h->lo + 1;
    h->log_w = h->n <= FISHER_MAX_SUPPORT ? rad_new_doubles(h->n) : NULL;
    for (int64_t i = 0; i < h->n && h->log_w; i++)
        h->log_w[i] = log_weight((double)(h->lo + i), (double)row1, (double)row2, (double)col1);
    return h->log_w != NULL;
}

double rad_fisher_p(int64_t a, int64_t b, int64_t c, int64_t d) {
    hyper h;
    if (!hyper_init(a, b, c, d, &h))
        return NAN;
    const double mine = h.log_w[a - h.lo];
    double top = -INFINITY, as_extreme = 0, all = 0;
    for (int64_t i = 0; i < h.n; i++)
        top = fmax(top, h.log_w[i]);
    for (int64_t i = 0; i < h.n; i++) {
        const double w = exp(h.log_w[i] - top);
        all += w;
        if (h.log_w[i] <= mine + log1p(1e-7))
            as_extreme += w;
    }
    free(h.log_w);
    return rad_at_most(as_extreme / all, 1);
}

typedef enum moment { MEAN, LOWER_TAIL, UPPER_TAIL } moment;

/* Mean, P(X <= x) or P(X >= x) of Fisher's noncentral hypergeometric distribution with log odds ratio t. */
static double noncentral(const hyper *h, double t, moment what, int64_t at) {
    double top = -INFINITY, sum = 0, part = 0;
    for (int64_t i = 0; i < h->n; i++)
        top = fmax(top, h->log_w[i] + t * (double)i);
    for (int64_t i = 0; i < h->n; i++) {
        const double w = exp(h->log_w[i] + t * (double)i - top);
        const int64_t x = h->lo + i;
        sum += w;
        part += what == MEAN ? w * (double)x : (what == LOWER_TAIL ? x <= at : x >= at) ? w : 0;
    }
    return part / sum;
}

static double solve_log_or(const hyper *h, moment what, int64_t at, double target) {
    double lo = -50, hi = 50;
    const bool rising = what != LOWER_TAIL;
    for (int i = 0; i < 60 && hi - lo > 1e-14; i++) {
        const double t = (lo + hi) / 2, v = noncentral(h, t, what, at);
        if ((v < target) == rising)
            lo = t;
        else
            hi = t;
    }
    return exp((lo + hi) / 2);
}

void rad_fisher_odds_ratio(int64_t a, int64_t b, int64_t c, int64_t d, double level, double *ret_or, double *ret_lower, double *ret_upper) {
    hyper h;
    const double tail = (1 - level) / 2;
    *ret_or = *ret_lower = *ret_upper = NAN;
    if (!hyper_init(a, b, c, d, &h))
        return;
    const int64_t hi = h.lo + h.n - 1;
    if (h.n > 1) {
        *ret_or = a == h.lo ? 0 : a == hi ? INFINITY : solve_log_or(&h, MEAN, a, (double)a);
        *ret_lower = a == h.lo ? 0 : solve_log_or(&h, UPPER_TAIL, a, tail);
        *ret_upper = a == hi ? INFINITY : solve_log_or(&h, LOWER_TAIL, a, tail);
    }
    free(h.log_w);
}

double rad_chisq_2x2(double a, double b, double c, double d, bool yates) {
    const double n = a + b + c + d, r1 = a + b, r2 = c + d, c1 = a + c, c2 = b + d;
    if (!(r1 > 0 && r2 > 0 && c1 > 0 && c2 > 0))
        return NAN;
    const double e = r1 * c1 / n, off = fabs(a - e) - (yates ? fmin(0.5, fabs(a - e)) : 0);
    return off * off * (1 / e + n / (r1 * c2) + n / (r2 * c1) + n / (r2 * c2));
}

/* ---------------------------------------------------------------- documents */

static rad_status count_args(const rad_arg *arg, int n_arg, double *ret_k, double *ret_n, rad_error *err) {
    const double k = rad_arg_num(arg, n_arg, 0, NAN), n = rad_arg_num(arg, n_arg, 1, NAN);
    if (!isnan(k) && !isnan(n) && !(k >= 0 && k <= n))
        return rad_error_set(err, RAD_E_USAGE, "%g of %g: expected 0 <= k <= n", k, n);
    *ret_k = k;
    *ret_n = n;
    return RAD_OK;
}

/* k of n and the level; the document gets the reason when there is no share. */
static rad_status share_args(const rad_arg *arg, int n_arg, rad_doc *doc, double *ret_k, double *ret_n, double *ret_level, rad_error *err) {
    rad_status st = count_args(arg, n_arg, ret_k, ret_n, err);
    if (st == RAD_OK)
        st = rad_arg_fraction(arg, n_arg, 2, "level", 0.95, ret_level, err);
    if (st == RAD_OK && (!(*ret_n > 0) || isnan(*ret_k)))
        rad_doc_reason(doc, *ret_n == 0 ? "nobody to count (n = 0)" : "k or n is missing");
    return st;
}

static rad_status proportion_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double k = NAN, n = NAN, level;
    const rad_status st = share_args(arg, n_arg, doc, &k, &n, &level, err);
    if (st != RAD_OK)
        return st;
    rad_proportion_put(doc, k, n, level);
    return RAD_OK;
}

/* Wilson's limits alone: asked for at every point of a curve, where beta quantiles would take most of the time. */
static rad_status wilson_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double k = NAN, n = NAN, level, lower, upper;
    const rad_status st = share_args(arg, n_arg, doc, &k, &n, &level, err);
    if (st != RAD_OK)
        return st;
    rad_proportion_interval(RAD_WILSON, k, n, level, &lower, &upper);
    rad_doc_num(doc, "wilson_lower", lower);
    rad_doc_num(doc, "wilson_upper", upper);
    return RAD_OK;
}

/* Newcombe 1998, method 10: two Wilson intervals combined. */
static void newcombe(double x1, double n1, double x2, double n2, double level, double *ret_lower, double *ret_upper) {
    double l1, u1, l2, u2;
    const double p1 = x1 / n1, p2 = x2 / n2, d = p1 - p2;
    rad_proportion_interval(RAD_WILSON, x1, n1, level, &l1, &u1);
    rad_proportion_interval(RAD_WILSON, x2, n2, level, &l2, &u2);
    *ret_lower = d - sqrt((p1 - l1) * (p1 - l1) + (u2 - p2) * (u2 - p2));
    *ret_upper = d + sqrt((u1 - p1) * (u1 - p1) + (p2 - l2) * (p2 - l2));
}

static rad_status two_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double x1 = NAN, n1 = NAN, x2 = NAN, n2 = NAN, level;
    rad_status st = count_args(arg, n_arg, &x1, &n1, err);
    if (st == RAD_OK)
        st = count_args(arg + 2, n_arg - 2, &x2, &n2, err);
    if (st == RAD_OK)
        st = rad_arg_fraction(arg, n_arg, 4, "level", 0.95, &level, err);
    if (st != RAD_OK)
        return st;
    double lower = NAN, upper = NAN, chi2 = NAN, yates = NAN, fisher = NAN, se = NAN;
    if (n1 > 0 && n2 > 0 && !isnan(x1) && !isnan(x2)) {
        newcombe(x1, n1, x2, n2, level, &lower, &upper);
        chi2 = rad_chisq_2x2(x1, n1 - x1, x2, n2 - x2, false);
        yates = rad_chisq_2x2(x1, n1 - x1, x2, n2 - x2, true);
        fisher = rad_fisher_p((int64_t)x1, (int64_t)(n1 - x1), (int64_t)x2, (int64_t)(n2 - x2));
        se = sqrt(x1 / n1 * (1 - x1 / n1) / n1 + x2 / n2 * (1 - x2 / n2) / n2);
        if (isnan(chi2))
            rad_doc_reason(doc, "all or none in both groups: no chi-square");
    } else {
        rad_doc_reason(doc, "a group is empty");
    }
    const double d = x1 / n1 - x2 / n2, z = rad_z_level(level);
    rad_doc_num(doc, "x1", x1);
    rad_doc_num(doc, "n1", n1);
    rad_doc_num(doc, "x2", x2);
    rad_doc_num(doc, "n2", n2);
    rad_doc_num(doc, "diff", d);
    rad_doc_num(doc, "newcombe_lower", lower);
    rad_doc_num(doc, "newcombe_upper", upper);
    rad_doc_num(doc, "wald_lower", d - z * se);
    rad_doc_num(doc, "wald_upper", d + z * se);
    rad_doc_num(doc, "chi2", chi2);
    rad_doc_num(doc, "p", rad_p_chisq(chi2, 1));
    rad_doc_num(doc, "chi2_yates", yates);
    rad_doc_num(doc, "p_yates", rad_p_chisq(yates, 1));
    rad_doc_num(doc, "p_fisher", fisher);
    return RAD_OK;
}

#define LIMIT(name, what, field, doc)                                                                                                      \
    { name, "k, n[, level = 0.95]", what, field, "", "nnn", 2, 0, RAD_STAT_SCALAR, doc }
#define PROPORTION(name, what, field) LIMIT(name, what, field, proportion_doc)

static const rad_stat_function functions[] = {
    LIMIT("wilson_lower", "lower score limit of k/n without continuity correction (Wilson 1927)", "wilson_lower", wilson_doc),
    LIMIT("wilson_upper", "upper score limit of k/n without continuity correction (Wilson 1927)", "wilson_upper", wilson_doc),
    PROPORTION("clopper_pearson_lower", "lower exact limit of k/n by beta quantiles (Clopper & Pearson 1934)", "cp_lower"),
    PROPORTION("clopper_pearson_upper", "upper exact limit of k/n by beta quantiles (Clopper & Pearson 1934)", "cp_upper"),
    PROPORTION("agresti_coull_lower", "lower limit by Agresti & Coull 1998; may leave [0,1]", "ac_lower"),
    PROPORTION("agresti_coull_upper", "upper limit by Agresti & Coull 1998; may leave [0,1]", "ac_upper"),
    PROPORTION("jeffreys_lower", "lower Jeffreys limit, beta(k + 1/2, n - k + 1/2); 0 for k = 0 (Brown, Cai & DasGupta 2001)",
               "jeffreys_lower"),
    PROPORTION("jeffreys_upper", "upper Jeffreys limit; 1 for k = n", "jeffreys_upper"),
    PROPORTION("proportion_json",
               "k/n with Wilson (plain and continuity-corrected), Clopper-Pearson, Agresti-Coull, Jeffreys and Wald limits", NULL),
    {"two_proportions_json", "x1, n1, x2, n2[, level = 0.95]",
     "x1/n1 - x2/n2 in independent groups: Newcombe 1998 method 10, Wald, chi-square plain and with Yates' correction, Fisher", NULL, "",
     "nnnnn", 4, 0, RAD_STAT_SCALAR, two_doc},
    {"two_proportions_p", "x1, n1, x2, n2[, level = 0.95]", "p of the chi-square test without correction", "p", "", "nnnnn", 4, 0,
     RAD_STAT_SCALAR, two_doc},
    {"fisher_p", "x1, n1, x2, n2", "two-sided p of Fisher's exact test", "p_fisher", "", "nnnn", 4, 0, RAD_STAT_SCALAR, two_doc},
};
RAD_STAT_TOPIC(rad_topic_proportion, functions);
