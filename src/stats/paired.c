/* paired: two 0/1 calls on the same cases. Table: a both 1, b first only, c second only, d neither. */
#include "impl.h"
#include "proportion.h"

static double tango_z(double b, double c, double n, double delta) {
    const double qa = 2 * n, qb = -b - c + (2 * n - b + c) * delta, qc = -c * delta * (1 - delta);
    const double q21 = (sqrt(rad_at_least(qb * qb - 4 * qa * qc, 0)) - qb) / (2 * qa);
    const double var = n * (2 * q21 + delta * (1 - delta));
    const double top = b - c - n * delta;
    return var > 0 ? top / sqrt(var) : top > 0 ? INFINITY : top < 0 ? -INFINITY : 0;
}

/* Tango 1998: the score statistic falls in delta; bisection for +-z. */
static double tango_limit(double b, double c, double n, double z) {
    double lo = -1, hi = 1;
    for (int i = 0; i < 100; i++) {
        const double mid = (lo + hi) / 2;
        if (tango_z(b, c, n, mid) > z)
            lo = mid;
        else
            hi = mid;
    }
    return (lo + hi) / 2;
}

/* Newcombe 1998 method 10: Wilson limits of both shares, joined with a continuity-corrected phi. */
static void newcombe10(double a, double b, double c, double d, double level, double *ret_lower, double *ret_upper) {
    const double n = a + b + c + d, p1 = (a + b) / n, p2 = (a + c) / n;
    double l1, u1, l2, u2, phi = 0;
    rad_proportion_interval(RAD_WILSON, a + b, n, level, &l1, &u1);
    rad_proportion_interval(RAD_WILSON, a + c, n, level, &l2, &u2);
    const double root = sqrt(a + b) * sqrt(c + d) * sqrt(a + c) * sqrt(b + d), cross = a * d - b * c;
    if (root > 0)
        phi = (cross > n / 2 ? cross - n / 2 : cross >= 0 ? 0 : cross) / root;
    const double dl1 = p1 - l1, du1 = u1 - p1, dl2 = p2 - l2, du2 = u2 - p2, diff = p1 - p2;
    *ret_lower = diff - sqrt(rad_at_least(dl1 * dl1 - 2 * phi * dl1 * du2 + du2 * du2, 0));
    *ret_upper = diff + sqrt(rad_at_least(du1 * du1 - 2 * phi * du1 * dl2 + dl2 * dl2, 0));
}

/* Two-sided exact p of b against c: twice the smaller binomial tail. */
static double exact_p(int64_t b, int64_t c) {
    return rad_at_most(2 * rad_p_binomial(b < c ? b : c, b + c, 0.5), 1);
}

static void put_table(rad_doc *doc, double a, double b, double c, double d, double level) {
    const double n = a + b + c + d, m = b + c, diff = n > 0 ? (b - c) / n : NAN, z = rad_z_level(level);
    const int64_t bi = (int64_t)b, ci = (int64_t)c, mi = bi + ci;
    const double chi2 = m > 0 ? (b - c) * (b - c) / m : NAN;
    const double cc = m > 0 ? (b == c ? 0 : (fabs(b - c) - 1) * (fabs(b - c) - 1) / m) : NAN;
    double lo, hi, l10 = NAN, u10 = NAN;
    rad_doc_num(doc, "a", a);
    rad_doc_num(doc, "b", b);
    rad_doc_num(doc, "c", c);
    rad_doc_num(doc, "d", d);
    rad_doc_int(doc, "n", (int64_t)n);
    rad_doc_num(doc, "n_discordant", m);
    rad_doc_num(doc, "p1", n > 0 ? (a + b) / n : NAN);
    rad_doc_num(doc, "p2", n > 0 ? (a + c) / n : NAN);
    rad_doc_num(doc, "diff", diff);
    rad_doc_num(doc, "chi2", chi2);
    rad_doc_num(doc, "p_chi2", rad_p_chisq(chi2, 1));
    rad_doc_num(doc, "chi2_cc", cc);
    rad_doc_num(doc, "p_cc", rad_p_chisq(cc, 1));
    rad_doc_num(doc, "p_exact", exact_p(bi, ci));
    rad_doc_num(doc, "p_midp", bi == ci ? 1 : exact_p(bi, ci) - rad_d_binomial(bi < ci ? bi : ci, mi, 0.5));
    /* all discordant pairs on one side: nothing smaller can come out of this many */
    rad_doc_num(doc, "smallest_p_exact", exact_p(0, mi));
    rad_doc_num(doc, "smallest_p_chi2", m > 0 ? rad_p_chisq(m, 1) : NAN);
    rad_proportion_interval(RAD_CLOPPER_PEARSON, b, m, level, &lo, &hi);
    rad_doc_num(doc, "or_discordant", c > 0 ? b / c : b > 0 ? INFINITY : NAN);
    rad_doc_num(doc, "or_lower", lo / (1 - lo));
    rad_doc_num(doc, "or_upper", hi / (1 - hi));
    const double wald = n > 0 ? sqrt(m - (b - c) * (b - c) / n) / n : NAN;
    rad_doc_num(doc, "wald_lower", diff - z * wald);
    rad_doc_num(doc, "wald_upper", diff + z * wald);
    if (n > 0)
        newcombe10(a, b, c, d, level, &l10, &u10);
    rad_doc_num(doc, "newcombe10_lower", l10);
    rad_doc_num(doc, "newcombe10_upper", u10);
    rad_doc_num(doc, "tango_lower", n > 0 ? tango_limit(b, c, n, z) : NAN);
    rad_doc_num(doc, "tango_upper", n > 0 ? tango_limit(b, c, n, -z) : NAN);
    const double p12 = (b + 1) / (n + 2), p21 = (c + 1) / (n + 2), bp = sqrt((p12 + p21 - (p12 - p21) * (p12 - p21)) / (n + 2));
    rad_doc_num(doc, "bonett_price_lower", n > 0 ? p12 - p21 - z * bp : NAN);
    rad_doc_num(doc, "bonett_price_upper", n > 0 ? p12 - p21 + z * bp : NAN);
    const double am = sqrt(m + 1 - (b - c) * (b - c) / (n + 2)) / (n + 2), ad = (b - c) / (n + 2);
    rad_doc_num(doc, "agresti_min_lower", n > 0 ? ad - z * am : NAN);
    rad_doc_num(doc, "agresti_min_upper", n > 0 ? ad + z * am : NAN);
    rad_doc_num(doc, "level", level);
    if (m == 0)
        rad_doc_reason(doc, n > 0 ? "no discordant pair: chi-square undefined, exact p is 1" : "no complete pair");
}

static rad_status counts_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)f;
    double level, x[4];
    const rad_status st = rad_arg_fraction(arg, n_arg, 4, "level", 0.95, &level, err);
    if (st != RAD_OK)
        return st;
    for (int i = 0; i < 4; i++) {
        x[i] = rad_arg_num(arg, n_arg, i, NAN);
        if (!(x[i] >= 0 && x[i] < 1e15 && floor(x[i]) == x[i]))
            return rad_error_set(err, RAD_E_USAGE, "count %d is %g: expected a (both), b, c (first only, second only), d as whole numbers",
                                 i + 1, x[i]);
    }
    put_table(doc, x[0], x[1], x[2], x[3], level);
    return RAD_OK;
}

static rad_status rows_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, t[4] = {0}, missing = 0;
    const rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st != RAD_OK)
        return st;
    for (int64_t i = 0; i < f->n; i++) {
        const double x = f->column[0].value[i], y = f->column[1].value[i];
        if ((x != 0 && x != 1) || (y != 0 && y != 1)) {
            missing++;
            continue;
        }
        t[(x == 1 ? 0 : 2) + (y == 1 ? 0 : 1)]++;
    }
    rad_doc_num(doc, "n_missing", missing);
    put_table(doc, t[0], t[1], t[2], t[3], level);
    return RAD_OK;
}

/* ---------------------------------------------------------------- both tests against the truth */

typedef struct cross { /* s: diseased, r: not; first index test 1, second test 2 */
    double s[2][2], r[2][2];
} cross;

/* Leisenring, Alonzo & Pepe 2000: score test over all results of kind `call`; z tells test 2 from test 1, y the truth. */
static double generalised_score(const cross *t, int call) {
    double n[2] = {0}, good[2] = {0};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const double all = t->s[i][j] + t->r[i][j], y = call ? t->s[i][j] : t->r[i][j];
            n[0] += i == call ? all : 0;
            n[1] += j == call ? all : 0;
            good[0] += i == call ? y : 0;
            good[1] += j == call ? y : 0;
        }
    const double total = n[0] + n[1], zbar = n[1] / total, ybar = (good[0] + good[1]) / total;
    const double top = good[0] * (0 - zbar) + good[1] * (1 - zbar);
    double var = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const double z = (i == call ? 0 - zbar : 0) + (j == call ? 1 - zbar : 0);
            const double right = call ? t->s[i][j] : t->r[i][j], wrong = call ? t->r[i][j] : t->s[i][j];
            var += z * z * (right * (1 - ybar) * (1 - ybar) + wrong * ybar * ybar);
        }
    return var > 0 ? top * top / var : NAN;
}

/* Kosinski 2013: weighted generalised score statistic. */
static double weighted_score(const cross *t, int call, double *ret_v1, double *ret_v2) {
    double n[2] = {0}, good[2] = {0};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const double all = t->s[i][j] + t->r[i][j], y = call ? t->s[i][j] : t->r[i][j];
            n[0] += i == call ? all : 0;
            n[1] += j == call ? all : 0;
            good[0] += i == call ? y : 0;
            good[1] += j == call ? y : 0;
        }
    *ret_v1 = n[0] > 0 ? good[0] / n[0] : NAN;
    *ret_v2 = n[1] > 0 ? good[1] / n[1] : NAN;
    const double p = (good[0] + good[1]) / (n[0] + n[1]);
    const double right = call ? t->s[call][call] : t->r[call][call], wrong = call ? t->r[call][call] : t->s[call][call];
    const double c = (right * (1 - p) * (1 - p) + wrong * p * p) / (n[0] + n[1]);
    const double var = (p * (1 - p) - 2 * c) * (1 / n[0] + 1 / n[1]), d = *ret_v1 - *ret_v2;
    return var > 0 ? d * d / var : NAN;
}

static void put_share(rad_doc *doc, const char *prefix, double both, double first, double second, double neither, double level) {
    char name[40];
    const double n = both + first + second + neither, p1 = (both + first) / n, p2 = (both + second) / n, m = first + second;
    const double chi2 = m > 0 ? (first - second) * (first - second) / m : NAN, z = rad_z_level(level);
    const double rel = p2 / p1, se = sqrt(m / ((both + first) * (both + second)));
    const struct {
        const char *suffix;
        double x;
    } out[] = {{"1", p1}, {"2", p2}, {"_chi2", chi2}, {"_p", rad_p_chisq(chi2, 1)}, {"_p_exact", exact_p((int64_t)first, (int64_t)second)}};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, out[i].suffix);
        rad_doc_num(doc, name, out[i].x);
    }
    snprintf(name, sizeof name, "rel_%s", prefix);
    rad_doc_num(doc, name, rel);
    snprintf(name, sizeof name, "rel_%s_lower", prefix);
    rad_doc_num(doc, name, exp(log(rel) - z * se));
    snprintf(name, sizeof name, "rel_%s_upper", prefix);
    rad_doc_num(doc, name, exp(log(rel) + z * se));
}

static rad_status truth_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    const rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st != RAD_OK)
        return st;
    cross t = {0};
    int64_t used = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const double y = f->column[0].value[i], a = f->column[1].value[i], b = f->column[2].value[i];
        if ((y != 0 && y != 1) || (a != 0 && a != 1) || (b != 0 && b != 1))
            continue;
        (y == 1 ? t.s : t.r)[(int)a][(int)b]++;
        used++;
    }
    rad_doc_int(doc, "n", used);
    rad_doc_int(doc, "n_missing", f->n - used);
    put_share(doc, "sens", t.s[1][1], t.s[1][0], t.s[0][1], t.s[0][0], level);
    put_share(doc, "spec", t.r[0][0], t.r[0][1], t.r[1][0], t.r[1][1], level);
    for (int call = 1; call >= 0; call--) {
        const char *prefix = call ? "ppv" : "npv";
        char name[40];
        double v1, v2;
        const double w = weighted_score(&t, call, &v1, &v2), g = generalised_score(&t, call);
        const struct {
            const char *suffix;
            double x;
        } out[] = {{"1", v1}, {"2", v2}, {"_gs_chi2", g}, {"_gs_p", rad_p_chisq(g, 1)}, {"_wgs_chi2", w}, {"_wgs_p", rad_p_chisq(w, 1)}};
        for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
            snprintf(name, sizeof name, "%s%s", prefix, out[i].suffix);
            rad_doc_num(doc, name, out[i].x);
        }
    }
    if (t.s[0][0] + t.s[0][1] + t.s[1][0] + t.s[1][1] == 0 || t.r[0][0] + t.r[0][1] + t.r[1][0] + t.r[1][1] == 0)
        rad_doc_reason(doc, "one class only");
    return RAD_OK;
}

#define MCNEMAR(name, what, field)                                                                                                         \
    { name, "x1, x2[, level = 0.95]", what, field, "nn", "n", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, rows_doc }

static const rad_stat_function functions[] = {
    MCNEMAR("mcnemar_p", "exact two-sided p of McNemar's test of two 0/1 columns (binomial, b of b + c at 1/2)", "p_exact"),
    MCNEMAR("mcnemar_midp", "mid-p of McNemar's test (Fagerland 2013)", "p_midp"),
    MCNEMAR("mcnemar_chi2", "(b - c)^2 / (b + c), no continuity correction", "chi2"),
    MCNEMAR("mcnemar_smallest_p", "the smallest exact p that this many discordant pairs can give", "smallest_p_exact"),
    MCNEMAR("mcnemar_json",
            "McNemar's test (chi-square plain and corrected, exact, mid-p, smallest attainable p), discordant odds ratio, and the "
            "difference of the two shares by Newcombe 1998 method 10, Tango 1998, Bonett-Price 2012, Agresti-Min 2005, Wald",
            NULL),
    {"mcnemar_table_json", "a, b, c, d[, level = 0.95]", "the same from counts: a both, b first only, c second only, d neither", NULL, "",
     "nnnnn", 4, 0, RAD_STAT_SCALAR, counts_doc},
    {"paired_tests_json", "truth, call1, call2[, level = 0.95]",
     "two tests against one truth: sensitivity and specificity by McNemar, relative values (test 2 / test 1), PPV and NPV by the "
     "generalised "
     "score test (Leisenring 2000) and its weighted form (Kosinski 2013)",
     NULL, "nnn", "n", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, truth_doc},
};
RAD_STAT_TOPIC(rad_topic_paired, functions);
