/* audit: can the numbers of an abstract all be true? A rate printed with d digits stands for the whole interval that rounds to it; rates of
 * n cases must be whole numbers over n. */
#include "impl.h"

/* A larger test set than this can give any three rates of three digits. */
enum { SEARCH_MAX = 5000 };

typedef struct claim {
    bool given;
    double low, high; /* what rounds to it, as a fraction */
    const char *text;
} claim;

void rad_claims_init(rad_claims *c) {
    *c = (rad_claims){.n = NAN,
                      .n_pos = NAN,
                      .n_neg = NAN,
                      .cases = NAN,
                      .positive_fraction = NAN,
                      .paired_n = NAN,
                      .paired_first = NAN,
                      .paired_second = NAN};
}

/* "0.95", "95%", "74.8 %", "74.8" (above 1: percent). The interval includes both ends: papers round halves either way. */
static rad_status read_claim(const char *text, const char *what, claim *ret, rad_error *err) {
    *ret = (claim){.text = text};
    if (!text)
        return RAD_OK;
    char number[40];
    size_t len = strcspn(text, " %");
    double x;
    if (len >= sizeof number)
        len = sizeof number - 1;
    memcpy(number, text, len);
    number[len] = 0;
    if (!rad_parse_double(number, &x) || !(x >= 0 && x <= 100))
        return rad_error_set(err, RAD_E_USAGE, "%s '%.40s': expected a rate such as 0.95, 95%% or 74.8 %%", what, text);
    const char *dot = strchr(number, '.');
    const int digits = dot ? (int)strlen(dot + 1) : 0;
    const bool percent = strchr(text, '%') || x > 1;
    const double unit = pow(10, -digits) / (percent ? 100 : 1), value = percent ? x / 100 : x;
    ret->given = true;
    ret->low = value - unit / 2;
    ret->high = value + unit / 2;
    return RAD_OK;
}

typedef struct range {
    double low, high; /* whole numbers; empty when low > high */
} range;

static range counts(const claim *c, double n) {
    const double slack = 1e-9 * (1 + n);
    if (!c->given)
        return (range){0, n};
    return (range){rad_at_least(ceil(c->low * n - slack), 0), fmin(n, floor(c->high * n + slack))};
}

static bool fits(const claim rate[3], double n1, double n0) {
    const range tp = counts(&rate[0], n1), tn = counts(&rate[1], n0), all = counts(&rate[2], n1 + n0);
    return tp.low <= tp.high && tn.low <= tn.high && fmax(all.low, tp.low + tn.low) <= fmin(all.high, tp.high + tn.high);
}

static void put_finding(rad_doc *doc, const char *check, bool ok, bool *all, const char *fmt, ...) RAD_PRINTF(5, 6);
static void put_finding(rad_doc *doc, const char *check, bool ok, bool *all, const char *fmt, ...) {
    char text[RAD_ERROR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    *all = *all && ok;
    rad_doc_open(doc, NULL);
    rad_doc_text(doc, "check", check);
    rad_doc_bool(doc, "ok", ok);
    rad_doc_text(doc, "text", text);
    rad_doc_close(doc);
}

/* Smallest n1 + n0 for which the three rates can hold; 0 when none up to SEARCH_MAX. */
static double smallest(const claim rate[3], double *ret_n1) {
    for (int n = 2; n <= SEARCH_MAX; n++)
        for (int n1 = 1; n1 < n; n1++)
            if (fits(rate, n1, n - n1)) {
                *ret_n1 = n1;
                return n;
            }
    return 0;
}

static bool split_exists(const claim rate[3], double n) {
    for (double n1 = 1; n1 < n; n1++)
        if (fits(rate, n1, n - n1))
            return true;
    return false;
}

static void audit_rates(const rad_claims *c, const claim rate[3], rad_doc *doc, bool *all) {
    const char *s = rate[0].given ? rate[0].text : "?", *p = rate[1].given ? rate[1].text : "?", *a = rate[2].given ? rate[2].text : "?";
    double n1 = c->n_pos, n0 = c->n_neg;
    if (isnan(n0) && !isnan(n1) && !isnan(c->n))
        n0 = c->n - n1;
    if (isnan(n1) && !isnan(n0) && !isnan(c->n))
        n1 = c->n - n0;
    if (!isnan(n1) && !isnan(n0)) {
        const range tp = counts(&rate[0], n1), tn = counts(&rate[1], n0), right = counts(&rate[2], n1 + n0);
        if (rate[0].given)
            put_finding(doc, "sensitivity", tp.low <= tp.high, all,
                        tp.low <= tp.high ? "sensitivity %s of %.0f is %.0f to %.0f correct"
                                          : "sensitivity %s of %.0f: no whole number between %.0f and %.0f",
                        s, n1, tp.low, tp.high);
        if (rate[1].given)
            put_finding(doc, "specificity", tn.low <= tn.high, all,
                        tn.low <= tn.high ? "specificity %s of %.0f is %.0f to %.0f correct"
                                          : "specificity %s of %.0f: no whole number between %.0f and %.0f",
                        p, n0, tn.low, tn.high);
        if (rate[0].given && rate[1].given && rate[2].given && tp.low <= tp.high && tn.low <= tn.high) {
            const bool ok = fits(rate, n1, n0);
            put_finding(doc, "accuracy", ok, all,
                        "%.0f to %.0f of %.0f are correct, an accuracy of %.1f to %.1f %%; reported %s is %.0f to %.0f: %s",
                        tp.low + tn.low, tp.high + tn.high, n1 + n0, 100 * (tp.low + tn.low) / (n1 + n0),
                        100 * (tp.high + tn.high) / (n1 + n0), a, right.low, right.high,
                        ok ? "possible" : "no whole numbers give all three");
        }
    } else if (!isnan(c->n) && c->n <= SEARCH_MAX) {
        const bool ok = split_exists(rate, c->n);
        put_finding(doc, "rates", ok, all,
                    ok ? "%s / %s / %s are possible with some split of %.0f" : "%s / %s / %s: no split of %.0f gives them", s, p, a, c->n);
    }
    if (rate[0].given && rate[1].given && rate[2].given && isnan(n1)) {
        double pos = 0;
        const double n = smallest(rate, &pos);
        const bool enough = !(n > c->cases), found = n > 0;
        if (!found) {
            put_finding(doc, "smallest_n", false, all, "%s / %s / %s: impossible for every n up to %d", s, p, a, SEARCH_MAX);
        } else {
            const range tp = counts(&rate[0], pos), tn = counts(&rate[1], n - pos);
            put_finding(doc, "smallest_n", enough, all,
                        "sensitivity %s, specificity %s, accuracy %s need at least %.0f items (%.0f/%.0f and %.0f/%.0f)%s", s, p, a, n,
                        tp.low, pos, tn.low, n - pos, enough ? "" : ": more than the cases there are, so the unit is something else");
        }
    }
}

/* p of "<0.001" or "0.03": the largest value it stands for, and the smallest. */
static rad_status read_p(const char *text, double *ret_low, double *ret_high, rad_error *err) {
    const char *number = text + strspn(text, "<=> ");
    double x;
    if (!rad_parse_double(number, &x) || !(x > 0 && x <= 1))
        return rad_error_set(err, RAD_E_USAGE, "p '%.40s': expected a number such as 0.03 or <0.001", text);
    const char *dot = strchr(number, '.');
    const double unit = pow(10, dot ? -(double)strlen(dot + 1) : 0);
    *ret_low = text[0] == '<' ? 0 : text[0] == '>' ? x : x - unit / 2;
    *ret_high = text[0] == '<' ? x : text[0] == '>' ? 1 : x + unit / 2;
    return RAD_OK;
}

static rad_status audit_pair(const rad_claims *c, rad_doc *doc, bool *all, rad_error *err) {
    const int64_t n = (int64_t)c->paired_n, x = (int64_t)c->paired_first, y = (int64_t)c->paired_second;
    if (x < 0 || y < 0 || x > n || y > n)
        return rad_error_set(err, RAD_E_USAGE, "pair: %lld and %lld of %lld", (long long)x, (long long)y, (long long)n);
    const int64_t d = x > y ? x - y : y - x, hi = x > y ? x : y, most = (n - hi) < (x < y ? x : y) ? n - hi : (x < y ? x : y);
    double low = 0, high = 1, least = 1, least_chi2 = 1;
    bool possible = c->p == NULL;
    if (c->p) {
        const rad_status st = read_p(c->p, &low, &high, err);
        if (st != RAD_OK)
            return st;
    }
    for (int64_t b = 0; b <= most; b++) { /* b cases the other way, b + d this way */
        const double exact = rad_at_most(2 * rad_p_binomial(b, 2 * b + d, 0.5), 1), m = (double)(2 * b + d);
        const double chi2 = m > 0 ? rad_p_chisq((double)(d * d) / m, 1) : 1, midp = exact - rad_d_binomial(b, 2 * b + d, 0.5);
        const double cc = m > 0 && d > 0 ? rad_p_chisq((double)((d - 1) * (d - 1)) / m, 1) : 1;
        const double kinds[4] = {exact, chi2, midp, cc};
        least = fmin(least, exact);
        least_chi2 = fmin(least_chi2, chi2);
        for (int k = 0; k < 4; k++)
            possible = possible || (kinds[k] >= low - 1e-12 && kinds[k] <= high + 1e-12 && (low > 0 || kinds[k] < high));
    }
    put_finding(doc, "mcnemar", possible, all, "%lld against %lld of %lld: McNemar's p is at least %.2g exactly (%.2g by chi-square)%s%s%s",
                (long long)x, (long long)y, (long long)n, least, least_chi2, c->p ? "; reported " : "", c->p ? c->p : "",
                c->p ? (possible ? " is attainable" : " is not attainable at this unit") : "");
    return RAD_OK;
}

/* Units per Hanley & McNeil 1982 with n1 = f n positives: the variance is nearly proportional to 1/n; bisection on n. */
static double implied_units(double auc, double se, double f) {
    double lo = 2, hi = 1e9;
    const double q1 = auc / (2 - auc), q2 = 2 * auc * auc / (1 + auc);
    for (int i = 0; i < 200; i++) {
        const double n = sqrt(lo * hi), n1 = f * n, n0 = n - n1;
        const double var = (auc * (1 - auc) + (n1 - 1) * (q1 - auc * auc) + (n0 - 1) * (q2 - auc * auc)) / (n1 * n0);
        if (var > se * se)
            lo = n;
        else
            hi = n;
    }
    return sqrt(lo * hi);
}

static rad_status audit_interval(const rad_claims *c, const claim auc, rad_doc *doc, bool *all, rad_error *err) {
    claim lower, upper;
    rad_status st = read_claim(c->auc_lower, "lower limit", &lower, err);
    if (st == RAD_OK)
        st = read_claim(c->auc_upper, "upper limit", &upper, err);
    if (st != RAD_OK)
        return st;
    if (!lower.given || !upper.given)
        return RAD_OK;
    const double a = (auc.low + auc.high) / 2, l = (lower.low + lower.high) / 2, u = (upper.low + upper.high) / 2;
    const bool inside = l <= a && a <= u;
    put_finding(doc, "interval", inside, all, "AUC %s lies %s its interval %s to %s", auc.text, inside ? "in" : "outside", lower.text,
                upper.text);
    if (!inside || !(u > l) || !(a > 0 && a < 1))
        return RAD_OK;
    const double n = !isnan(c->n) ? c->n : c->n_pos + c->n_neg, se = (u - l) / 2 / 1.959963984540054;
    double f = c->positive_fraction;
    if (isnan(f) && !isnan(c->n_pos) && n > 0)
        f = c->n_pos / n;
    const double from = implied_units(a, se, isnan(f) ? 0.5 : f), to = implied_units(a, se, isnan(f) ? 0.2 : f);
    /* Hanley-McNeil is off by some ten percent against DeLong; a factor of two is not that. */
    const double low = fmin(from, to), high = fmax(from, to);
    const bool ok = isnan(n) || (n <= 2 * high && n >= low / 2);
    rad_doc_open(doc, NULL);
    rad_doc_text(doc, "check", "implied_units");
    rad_doc_bool(doc, "ok", ok);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "units_low", low);
    rad_doc_num(doc, "units_high", high);
    char text[RAD_ERROR_TEXT];
    char claimed[80] = "";
    if (!isnan(n))
        snprintf(claimed, sizeof claimed, ", reported %.0f %s: ", n, c->unit ? c->unit : "units");
    if (isnan(f))
        snprintf(text, sizeof text, "interval %s to %s is that of %.0f to %.0f independent units (50 to 20 %% positive)%s%s", lower.text,
                 upper.text, low, high, claimed,
                 isnan(n) ? ""
                 : ok     ? "consistent"
                          : "another unit, or a variance that ignores or inflates dependence");
    else
        snprintf(text, sizeof text, "interval %s to %s is that of %.0f independent units (%.0f %% positive)%s%s", lower.text, upper.text,
                 low, 100 * f, claimed,
                 isnan(n) ? ""
                 : ok     ? "consistent"
                          : "another unit, or a variance that ignores or inflates dependence");
    rad_doc_text(doc, "text", text);
    rad_doc_close(doc);
    *all = *all && ok;
    return RAD_OK;
}

rad_status rad_audit(const rad_claims *c, rad_doc *doc, rad_error *err) {
    claim rate[3], auc;
    bool all = true;
    rad_status st;
    RAD_TRY(read_claim(c->sensitivity, "sensitivity", &rate[0], err));
    RAD_TRY(read_claim(c->specificity, "specificity", &rate[1], err));
    RAD_TRY(read_claim(c->accuracy, "accuracy", &rate[2], err));
    RAD_TRY(read_claim(c->auc, "AUC", &auc, err));
    if (c->name)
        rad_doc_text(doc, "name", c->name);
    rad_doc_open_list(doc, "findings");
    if (rate[0].given || rate[1].given || rate[2].given)
        audit_rates(c, rate, doc, &all);
    if (!isnan(c->paired_n) && !isnan(c->paired_first) && !isnan(c->paired_second))
        RAD_TRY(audit_pair(c, doc, &all, err));
    if (auc.given)
        RAD_TRY(audit_interval(c, auc, doc, &all, err));
    rad_doc_close(doc);
    rad_doc_bool(doc, "feasible", all);
out:
    return st;
}

/* ---------------------------------------------------------------- SQL */

static rad_status rates_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    rad_claims c;
    rad_claims_init(&c);
    c.sensitivity = rad_arg_text(arg, n_arg, 0, NULL);
    c.specificity = rad_arg_text(arg, n_arg, 1, NULL);
    c.accuracy = rad_arg_text(arg, n_arg, 2, NULL);
    c.n_pos = rad_arg_num(arg, n_arg, 3, NAN);
    c.n_neg = rad_arg_num(arg, n_arg, 4, NAN);
    c.n = rad_arg_num(arg, n_arg, 5, NAN);
    c.cases = rad_arg_num(arg, n_arg, 6, NAN);
    return rad_audit(&c, doc, err);
}

static rad_status pair_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    rad_claims c;
    rad_claims_init(&c);
    c.paired_n = rad_arg_num(arg, n_arg, 0, NAN);
    c.paired_first = rad_arg_num(arg, n_arg, 1, NAN);
    c.paired_second = rad_arg_num(arg, n_arg, 2, NAN);
    c.p = rad_arg_text(arg, n_arg, 3, NULL);
    return rad_audit(&c, doc, err);
}

static rad_status interval_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    rad_claims c;
    rad_claims_init(&c);
    c.auc = rad_arg_text(arg, n_arg, 0, NULL);
    c.auc_lower = rad_arg_text(arg, n_arg, 1, NULL);
    c.auc_upper = rad_arg_text(arg, n_arg, 2, NULL);
    c.n = rad_arg_num(arg, n_arg, 3, NAN);
    c.positive_fraction = rad_arg_num(arg, n_arg, 4, NAN);
    return rad_audit(&c, doc, err);
}

static const rad_stat_function functions[] = {
    {"audit_rates_json", "sensitivity, specificity, accuracy[, n_pos, n_neg[, n[, cases]]]",
     "whether whole numbers exist that give the rates as printed (texts such as '0.95' or '74.8 %'), and the smallest n that can", NULL, "",
     "tttnnnn", 3, 0, RAD_STAT_SCALAR, rates_doc},
    {"audit_pair_json", "n, correct1, correct2[, p]",
     "smallest p that McNemar's test can give, and whether the reported one ('<0.001') is attainable", NULL, "", "nnnt", 3, 0,
     RAD_STAT_SCALAR, pair_doc},
    {"audit_auc_json", "auc, lower, upper[, n[, positive_fraction]]",
     "independent units that the width of the interval implies (Hanley & McNeil 1982), beside the n reported", NULL, "", "tttnn", 3, 0,
     RAD_STAT_SCALAR, interval_doc},
};
RAD_STAT_TOPIC(rad_topic_audit, functions);
