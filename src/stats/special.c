/* special: distribution functions, so that a p value in SQL can be checked in SQL. */
#include "impl.h"

enum { LOWER, UPPER };
static const char *const tails[] = {"lower", "upper", NULL};

static rad_status tail_of(const rad_arg *arg, int n_arg, int i, int *ret, rad_error *err) {
    return rad_arg_word(rad_arg_text(arg, n_arg, i, "lower"), "tail", tails, ret, err);
}

static double normal_tail(double x) /* P(X > x) */
{
    return isnan(x) ? NAN : 0.5 * erfc(x / 1.4142135623730950488);
}

static rad_status put(rad_doc *doc, double value, bool defined, const char *why) {
    rad_doc_num(doc, "value", defined ? value : NAN);
    if (!defined)
        rad_doc_reason(doc, "%s", why);
    return RAD_OK;
}

static rad_status pnorm_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    int tail;
    const rad_status st = tail_of(arg, n_arg, 1, &tail, err);
    const double x = rad_arg_num(arg, n_arg, 0, NAN);
    return st == RAD_OK ? put(doc, normal_tail(tail == UPPER ? x : -x), !isnan(x), "x is missing") : st;
}

static rad_status qnorm_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    (void)err;
    const double p = rad_arg_num(arg, n_arg, 0, NAN);
    return put(doc, p <= 0 ? -INFINITY : p >= 1 ? INFINITY : rad_qnorm(p), p >= 0 && p <= 1, "p outside [0, 1]");
}

static rad_status pt_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    int tail;
    const rad_status st = tail_of(arg, n_arg, 2, &tail, err);
    if (st != RAD_OK)
        return st;
    const double t = rad_arg_num(arg, n_arg, 0, NAN), df = rad_arg_num(arg, n_arg, 1, NAN);
    const bool ok = isfinite(t) && df > 0 && isfinite(df);
    return put(doc, !ok ? NAN : rad_t_tail(tail == UPPER ? t : -t, df), ok, "t must be finite, df above 0");
}

static rad_status qt_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    (void)err;
    const double p = rad_arg_num(arg, n_arg, 0, NAN), df = rad_arg_num(arg, n_arg, 1, NAN);
    const bool ok = p > 0 && p < 1 && df > 0;
    return put(doc, ok ? rad_q_t(p, df) : NAN, ok, "expected 0 < p < 1 and df > 0");
}

static rad_status pchisq_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    int tail;
    const rad_status st = tail_of(arg, n_arg, 2, &tail, err);
    if (st != RAD_OK)
        return st;
    const double x = rad_arg_num(arg, n_arg, 0, NAN), df = rad_arg_num(arg, n_arg, 1, NAN);
    const bool ok = !isnan(x) && df > 0;
    return put(doc, !ok ? NAN : tail == UPPER ? rad_p_chisq(x, df) : x <= 0 ? 0 : gsl_cdf_chisq_P(x, df), ok, "df must be above 0");
}

static rad_status qchisq_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    (void)err;
    const double p = rad_arg_num(arg, n_arg, 0, NAN), df = rad_arg_num(arg, n_arg, 1, NAN);
    const bool ok = p >= 0 && p < 1 && df > 0;
    return put(doc, ok ? gsl_cdf_chisq_Pinv(p, df) : NAN, ok, "expected 0 <= p < 1 and df > 0");
}

static rad_status pf_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    int tail;
    const rad_status st = tail_of(arg, n_arg, 3, &tail, err);
    if (st != RAD_OK)
        return st;
    const double x = rad_arg_num(arg, n_arg, 0, NAN), d1 = rad_arg_num(arg, n_arg, 1, NAN), d2 = rad_arg_num(arg, n_arg, 2, NAN);
    const bool ok = !isnan(x) && d1 > 0 && d2 > 0;
    return put(doc, !ok ? NAN : tail == UPPER ? rad_p_f(x, d1, d2) : x <= 0 ? 0 : gsl_cdf_fdist_P(x, d1, d2), ok, "df must be above 0");
}

static rad_status pbeta_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    int tail;
    const rad_status st = tail_of(arg, n_arg, 3, &tail, err);
    if (st != RAD_OK)
        return st;
    const double x = rad_arg_num(arg, n_arg, 0, NAN), a = rad_arg_num(arg, n_arg, 1, NAN), b = rad_arg_num(arg, n_arg, 2, NAN);
    const bool ok = !isnan(x) && a > 0 && b > 0;
    const double lower = x <= 0 ? 0 : x >= 1 ? 1 : ok ? gsl_cdf_beta_P(x, a, b) : NAN;
    const double upper = x <= 0 ? 1 : x >= 1 ? 0 : ok ? gsl_cdf_beta_Q(x, a, b) : NAN;
    return put(doc, tail == UPPER ? upper : lower, ok, "shapes must be above 0");
}

static rad_status qbeta_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    (void)err;
    const double x = rad_q_beta(rad_arg_num(arg, n_arg, 0, NAN), rad_arg_num(arg, n_arg, 1, NAN), rad_arg_num(arg, n_arg, 2, NAN));
    return put(doc, x, !isnan(x), "expected 0 <= p <= 1 and shapes above 0");
}

static rad_status pbinom_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    (void)err;
    const double k = rad_arg_num(arg, n_arg, 0, NAN), n = rad_arg_num(arg, n_arg, 1, NAN), p = rad_arg_num(arg, n_arg, 2, NAN);
    const bool ok = !isnan(k) && n >= 0 && n < 1e15 && fabs(k) < 1e15 && p >= 0 && p <= 1;
    return put(doc, ok ? rad_p_binomial((int64_t)floor(k), (int64_t)n, p) : NAN, ok, "expected n >= 0 and 0 <= p <= 1");
}

static rad_status lgamma_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    (void)err;
    const double x = rad_arg_num(arg, n_arg, 0, NAN);
    return put(doc, x > 0 ? lgamma(x) : NAN, x > 0, "x must be above 0");
}

static rad_status kolmogorov_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    int tail;
    const rad_status st = tail_of(arg, n_arg, 1, &tail, err);
    if (st != RAD_OK)
        return st;
    const double x = rad_arg_num(arg, n_arg, 0, NAN), upper = rad_p_kolmogorov(x);
    return put(doc, tail == UPPER ? upper : 1 - upper, !isnan(x), "x is missing");
}

#define FN(name, signature, what, args, required, fn)                                                                                      \
    { name, signature, what, "value", "", args, required, 0, RAD_STAT_SCALAR, fn }

static const rad_stat_function functions[] = {
    FN("pnorm", "x[, tail = 'lower']", "normal distribution; tail 'upper' is computed directly, not as 1 - p", "nt", 1, pnorm_doc),
    FN("qnorm", "p", "normal quantile", "n", 1, qnorm_doc),
    FN("pt", "t, df[, tail = 'lower']", "Student's t distribution, df need not be whole", "nnt", 2, pt_doc),
    FN("qt", "p, df", "Student's t quantile", "nn", 2, qt_doc),
    FN("pchisq", "x, df[, tail = 'lower']", "chi-square distribution", "nnt", 2, pchisq_doc),
    FN("qchisq", "p, df", "chi-square quantile", "nn", 2, qchisq_doc),
    FN("pf", "x, df1, df2[, tail = 'lower']", "F distribution", "nnnt", 3, pf_doc),
    FN("pbeta", "x, a, b[, tail = 'lower']", "beta distribution (regularised incomplete beta)", "nnnt", 3, pbeta_doc),
    FN("qbeta", "p, a, b", "beta quantile", "nnn", 3, qbeta_doc),
    FN("pbinom", "k, n, p", "P(X <= k) of the binomial distribution", "nnn", 3, pbinom_doc),
    FN("lgamma", "x", "log of the gamma function, x > 0", "n", 1, lgamma_doc),
    FN("kolmogorov", "x[, tail = 'lower']", "limit distribution of the Kolmogorov-Smirnov statistic sqrt(n) D", "nt", 1, kolmogorov_doc),
};
RAD_STAT_TOPIC(rad_topic_special, functions);
