/* table1: numbers by group: description, two-group and k-group tests, standardised differences, correlation. */
#include "impl.h"

static void put_description(rad_doc *doc, double *x, int64_t n) /* sorts x */
{
    double mean, var;
    rad_mean_var(x, n, &mean, &var);
    rad_sort_doubles(x, n);
    rad_doc_int(doc, "n", n);
    rad_doc_num(doc, "mean", mean);
    rad_doc_num(doc, "sd", sqrt(var));
    rad_doc_num(doc, "median", rad_quantile7(x, n, 0.5));
    rad_doc_num(doc, "q1", rad_quantile7(x, n, 0.25));
    rad_doc_num(doc, "q3", rad_quantile7(x, n, 0.75));
    rad_doc_num(doc, "min", n ? x[0] : NAN);
    rad_doc_num(doc, "max", n ? x[n - 1] : NAN);
}

static rad_status describe_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    double *x = rad_new_doubles(f->n);
    if (!x)
        return rad_no_memory(err);
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (!isnan(f->column[0].value[i]))
            x[n++] = f->column[0].value[i];
    rad_doc_int(doc, "n_missing", f->n - n);
    put_description(doc, x, n);
    if (n < 2)
        rad_doc_reason(doc, n ? "one value: no standard deviation" : "no value");
    free(x);
    return RAD_OK;
}

/* ---------------------------------------------------------------- two groups */

/* Exact two-sided Kolmogorov-Smirnov p given ties: share of lattice paths that leave the band, checked only between distinct values
 * (Schroer & Trenkler 1995, as R >= 4.2). */
static double ks_exact(const double *pooled, int64_t m, int64_t n, double d) {
    double *u = rad_new_doubles(n + 1), p = NAN;
    if (!u)
        return p;
    const double md = (double)m, nd = (double)n, q = (0.5 + floor(d * md * nd - 1e-7)) / (md * nd);
    for (int64_t i = 0; i <= m; i++)
        for (int64_t j = 0; j <= n; j++) {
            const int64_t at = i + j;
            const bool check = at > 0 && (at == m + n || pooled[at - 1] != pooled[at]);
            double v = i == 0 && j == 0 ? 1 : 0;
            if (i > 0)
                v += u[j] * (double)i / (double)at;
            if (j > 0)
                v += u[j - 1] * (double)j / (double)at;
            u[j] = check && fabs((double)i / md - (double)j / nd) >= q ? 0 : v;
        }
    p = 1 - u[n];
    free(u);
    return rad_at_most(rad_at_least(p, 0), 1);
}

/* The limit distribution as R's ks.test sums it: to 1e-6, which for x < 1 leaves one term. Kept beside the full sum because published p
 * values come from it. */
static double ks_as_r(double x) {
    const double pi = 3.14159265358979323846, tolerance = 1e-6;
    if (x <= 0)
        return 1;
    if (x < 1) {
        const int most = (int)sqrt(2 - log(tolerance));
        double s = 0;
        for (int k = 1; k < most; k += 2)
            s += exp(-(double)(k * k) * pi * pi / (8 * x * x) - log(x));
        return 1 - s * sqrt(2 * pi);
    }
    double old = 0, sum = 1, sign = -1;
    for (int k = 1; fabs(old - sum) > tolerance; k++, sign = -sign) {
        old = sum;
        sum += 2 * sign * exp(-2.0 * x * x * k * k);
    }
    return 1 - sum;
}

static void put_two(rad_doc *doc, double *x, int64_t n1, double *y, int64_t n2, double level) /* sorts both */
{
    double m1, v1, m2, v2;
    const double a = (double)n1, b = (double)n2, n = a + b;
    rad_mean_var(x, n1, &m1, &v1);
    rad_mean_var(y, n2, &m2, &v2);
    rad_sort_doubles(x, n1);
    rad_sort_doubles(y, n2);
    const double sw = v1 / a + v2 / b, df = sw * sw / (v1 * v1 / (a * a * (a - 1)) + v2 * v2 / (b * b * (b - 1)));
    const double t = sw > 0 ? (m1 - m2) / sqrt(sw) : NAN, q = isnan(t) ? NAN : rad_q_t(0.5 + level / 2, df);
    const double sp = ((a - 1) * v1 + (b - 1) * v2) / (n - 2) * (1 / a + 1 / b), tp = sp > 0 ? (m1 - m2) / sqrt(sp) : NAN;
    rad_doc_int(doc, "n1", n1);
    rad_doc_int(doc, "n2", n2);
    rad_doc_num(doc, "mean1", m1);
    rad_doc_num(doc, "mean2", m2);
    rad_doc_num(doc, "sd1", sqrt(v1));
    rad_doc_num(doc, "sd2", sqrt(v2));
    rad_doc_num(doc, "welch_t", t);
    rad_doc_num(doc, "welch_df", isnan(t) ? NAN : df);
    rad_doc_num(doc, "welch_p", rad_p_t_two_sided(t, df));
    rad_doc_num(doc, "welch_lower", m1 - m2 - q * sqrt(sw));
    rad_doc_num(doc, "welch_upper", m1 - m2 + q * sqrt(sw));
    rad_doc_num(doc, "pooled_t", tp);
    rad_doc_num(doc, "pooled_df", n - 2);
    rad_doc_num(doc, "pooled_p", rad_p_t_two_sided(tp, n - 2));
    /* merge: ranks, ties, empirical distributions */
    double u = 0, ties = 0, d = 0, w1 = 0, last = NAN;
    for (int64_t i = 0, j = 0; i < n1 || j < n2;) {
        const double v = j >= n2 || (i < n1 && x[i] <= y[j]) ? x[i] : y[j];
        if (!isnan(last))
            w1 += (v - last) * fabs((double)i / a - (double)j / b);
        double c1 = 0, c2 = 0;
        const double below = (double)j;
        for (; i < n1 && x[i] == v; i++)
            c1++;
        for (; j < n2 && y[j] == v; j++)
            c2++;
        u += c1 * (below + c2 / 2);
        ties += (c1 + c2) * ((c1 + c2) * (c1 + c2) - 1);
        d = fmax(d, fabs((double)i / a - (double)j / b));
        last = v;
    }
    const double var = a * b / 12 * (n + 1 - ties / (n * (n - 1))), off = u - a * b / 2;
    const double corrected = off - (off > 0 ? 0.5 : off < 0 ? -0.5 : 0);
    rad_doc_num(doc, "U", n1 && n2 ? u : NAN);
    rad_doc_num(doc, "auc", n1 && n2 ? u / (a * b) : NAN);
    rad_doc_num(doc, "p_nocc", var > 0 ? rad_p_two_sided(off / sqrt(var)) : NAN);
    rad_doc_num(doc, "p_cc", var > 0 ? rad_p_two_sided(corrected / sqrt(var)) : NAN);
    rad_doc_num(doc, "D", n1 && n2 ? d : NAN);
    rad_doc_num(doc, "p_asymptotic", n1 && n2 ? ks_as_r(sqrt(a * b / n) * d) : NAN);
    rad_doc_num(doc, "p_limit", n1 && n2 ? rad_p_kolmogorov(sqrt(a * b / n) * d) : NAN);
    double exact = NAN;
    if (n1 && n2 && a * b <= 1e7) { /* the lattice has n1 x n2 points */
        double *pooled = rad_new_doubles(n1 + n2);
        if (pooled) {
            memcpy(pooled, x, (size_t)n1 * sizeof *x);
            memcpy(pooled + n1, y, (size_t)n2 * sizeof *y);
            rad_sort_doubles(pooled, n1 + n2);
            exact = ks_exact(pooled, n1, n2, d);
            free(pooled);
        }
    }
    rad_doc_num(doc, "p_exact", exact);
    rad_doc_num(doc, "wasserstein1", n1 && n2 ? w1 : NAN);
    const double pool = sqrt((v1 + v2) / 2), pool_n = sqrt((v1 * (a - 1) / a + v2 * (b - 1) / b) / 2);
    rad_doc_num(doc, "smd", pool > 0 ? (m1 - m2) / pool : m1 == m2 ? 0 : NAN);
    rad_doc_num(doc, "smd_n_denominator", pool_n > 0 ? (m1 - m2) / pool_n : NAN);
    if (n1 < 2 || n2 < 2)
        rad_doc_reason(doc, "a group with fewer than two values");
    else if (!(sw > 0))
        rad_doc_reason(doc, "both groups are constant: no t test");
}

static rad_status two_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    const rad_column *g = &f->column[1];
    rad_status st;
    double *x = rad_new_doubles(f->n), *y = rad_new_doubles(f->n);
    if (!x || !y) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    const char *first = rad_arg_text(arg, n_arg, 0, g->n_level > 0 ? g->level[0] : ""), *second = rad_arg_text(arg, n_arg, 1, NULL);
    if (!second && g->n_level == 2)
        second = g->level[strcmp(first, g->level[0]) == 0];
    int64_t n1 = 0, n2 = 0;
    for (int64_t i = 0; i < f->n; i++) {
        if (isnan(f->column[0].value[i]) || isnan(g->value[i]))
            continue;
        const char *name = g->level[(int64_t)g->value[i]];
        if (strcmp(name, first) == 0)
            x[n1++] = f->column[0].value[i];
        else if (second && strcmp(name, second) == 0)
            y[n2++] = f->column[0].value[i];
    }
    rad_doc_text(doc, "group1", first);
    rad_doc_text(doc, "group2", second ? second : "");
    put_two(doc, x, n1, y, n2, level);
out:
    free(x);
    free(y);
    return st;
}

/* ---------------------------------------------------------------- k groups */

typedef struct group {
    double n, mean, var;
} group;

/* One-way analysis of variance of values v by group numbers g. */
static void anova(const double *v, const int64_t *g, int64_t n, int64_t k, group *each, double *ret_f, double *ret_between,
                  double *ret_within) {
    double all = 0, between = 0, within = 0, groups = 0;
    for (int64_t c = 0; c < k; c++)
        each[c] = (group){0};
    for (int64_t i = 0; i < n; i++) {
        each[g[i]].n++;
        each[g[i]].mean += v[i];
        all += v[i];
    }
    all /= (double)n;
    for (int64_t c = 0; c < k; c++)
        each[c].mean /= each[c].n;
    for (int64_t i = 0; i < n; i++)
        each[g[i]].var += (v[i] - each[g[i]].mean) * (v[i] - each[g[i]].mean);
    for (int64_t c = 0; c < k; c++) {
        if (each[c].n == 0)
            continue;
        groups++;
        between += each[c].n * (each[c].mean - all) * (each[c].mean - all);
        within += each[c].var;
        each[c].var /= each[c].n - 1;
    }
    *ret_between = between;
    *ret_within = within;
    *ret_f = within > 0 ? between / (groups - 1) / (within / ((double)n - groups)) : NAN;
}

static void put_welch(const group *each, int64_t k, rad_doc *doc) {
    double w = 0, mean = 0, top = 0, tail = 0;
    const double kd = (double)k;
    for (int64_t c = 0; c < k; c++) {
        w += each[c].n / each[c].var;
        mean += each[c].n / each[c].var * each[c].mean;
    }
    mean /= w;
    for (int64_t c = 0; c < k; c++) {
        const double wc = each[c].n / each[c].var;
        top += wc * (each[c].mean - mean) * (each[c].mean - mean);
        tail += (1 - wc / w) * (1 - wc / w) / (each[c].n - 1);
    }
    tail /= kd * kd - 1;
    const double f = top / ((kd - 1) * (1 + 2 * (kd - 2) * tail));
    rad_doc_num(doc, "welch_F", f);
    rad_doc_num(doc, "welch_df2", 1 / (3 * tail));
    rad_doc_num(doc, "welch_p", rad_p_f(f, kd - 1, 1 / (3 * tail)));
}

static rad_status put_groups(const double *v, const int64_t *g, int64_t n, int64_t k, rad_doc *doc, rad_error *err) {
    double stat, between, within, ties = 0, h = 0, bartlett, pooled = 0, logs = 0, inv = 0;
    rad_status st = RAD_OK;
    group *each = rad_calloc((size_t)k, sizeof *each);
    double *rank = rad_new_doubles(n), *dev = rad_new_doubles(n), *part = rad_new_doubles(n);
    if (!each || !rank || !dev || !part) {
        st = rad_no_memory(err);
        goto out;
    }
    const double nd = (double)n, kd = (double)k;
    anova(v, g, n, k, each, &stat, &between, &within);
    rad_doc_num(doc, "F", stat);
    rad_doc_num(doc, "df1", kd - 1);
    rad_doc_num(doc, "df2", nd - kd);
    rad_doc_num(doc, "p", rad_p_f(stat, kd - 1, nd - kd));
    rad_doc_num(doc, "ss_between", between);
    rad_doc_num(doc, "ss_within", within);
    put_welch(each, k, doc);
    for (int64_t c = 0; c < k; c++) {
        pooled += (each[c].n - 1) * each[c].var / (nd - kd);
        logs += (each[c].n - 1) * log(each[c].var);
        inv += 1 / (each[c].n - 1);
    }
    bartlett = ((nd - kd) * log(pooled) - logs) / (1 + (inv - 1 / (nd - kd)) / (3 * (kd - 1)));
    rad_doc_num(doc, "bartlett", bartlett);
    rad_doc_num(doc, "bartlett_p", rad_p_chisq(bartlett, kd - 1));
    for (int64_t c = 0; c < k; c++) { /* Brown-Forsythe: distances from the group's median */
        int64_t m = 0;
        for (int64_t i = 0; i < n; i++)
            if (g[i] == c)
                part[m++] = v[i];
        rad_sort_doubles(part, m);
        const double median = rad_quantile7(part, m, 0.5);
        for (int64_t i = 0; i < n; i++)
            if (g[i] == c)
                dev[i] = fabs(v[i] - median);
    }
    anova(dev, g, n, k, each, &stat, &between, &within);
    rad_doc_num(doc, "levene_median_F", stat);
    rad_doc_num(doc, "levene_p", rad_p_f(stat, kd - 1, nd - kd));
    RAD_TRY(rad_midranks(v, n, rank, &ties, err));
    for (int64_t c = 0; c < k; c++) {
        double sum = 0, m = 0;
        for (int64_t i = 0; i < n; i++)
            if (g[i] == c) {
                sum += rank[i];
                m++;
            }
        h += sum * sum / m;
    }
    h = (12 * h / (nd * (nd + 1)) - 3 * (nd + 1)) / (1 - ties / (nd * nd * nd - nd));
    rad_doc_open(doc, "kruskal_wallis");
    rad_doc_num(doc, "H", h);
    rad_doc_num(doc, "df", kd - 1);
    rad_doc_num(doc, "p", rad_p_chisq(h, kd - 1));
    rad_doc_close(doc);
out:
    free(each);
    free(rank);
    free(dev);
    free(part);
    return st;
}

static rad_status groups_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    const rad_column *c = &f->column[1];
    double *v = rad_new_doubles(f->n);
    int64_t *g = rad_new_ints(f->n), *map = rad_new_ints(c->n_level), n = 0, k = 0;
    rad_status st = v && g && map ? RAD_OK : rad_no_memory(err);
    for (int64_t i = 0; i < f->n && st == RAD_OK; i++) {
        if (isnan(f->column[0].value[i]) || isnan(c->value[i]))
            continue;
        int64_t *m = &map[(int64_t)c->value[i]];
        if (*m == 0)
            *m = ++k;
        v[n] = f->column[0].value[i];
        g[n++] = *m - 1;
    }
    if (st == RAD_OK) {
        rad_doc_int(doc, "n", n);
        rad_doc_int(doc, "n_missing", f->n - n);
        rad_doc_int(doc, "n_groups", k);
        if (k >= 2 && n > k)
            st = put_groups(v, g, n, k, doc, err);
        else
            rad_doc_reason(doc, k < 2 ? "one group only" : "no spread within groups");
    }
    free(v);
    free(g);
    free(map);
    return st;
}

/* ---------------------------------------------------------------- correlation */

/* Kendall's tau-b counts pairs: n^2. */
#define KENDALL_MAX 20000

static double pearson(const double *x, const double *y, int64_t n) {
    double mx, vx, my, vy, s = 0;
    rad_mean_var(x, n, &mx, &vx);
    rad_mean_var(y, n, &my, &vy);
    for (int64_t i = 0; i < n; i++)
        s += (x[i] - mx) * (y[i] - my);
    return vx > 0 && vy > 0 ? s / (double)(n - 1) / sqrt(vx) / sqrt(vy) : NAN;
}

static void tie_sums(double *sorted, int64_t n, double *ret_t5, double *ret_t1, double *ret_t2) /* sorts */
{
    rad_sort_doubles(sorted, n);
    *ret_t5 = *ret_t1 = *ret_t2 = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && sorted[j] == sorted[i]; j++)
            ;
        const double t = (double)(j - i);
        *ret_t5 += t * (t - 1) * (2 * t + 5);
        *ret_t1 += t * (t - 1);
        *ret_t2 += t * (t - 1) * (t - 2);
    }
}

static rad_status correlation_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    rad_status st;
    double *x = rad_new_doubles(f->n), *y = rad_new_doubles(f->n), *rx = rad_new_doubles(f->n), *ry = rad_new_doubles(f->n);
    if (!x || !y || !rx || !ry) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (!isnan(f->column[0].value[i]) && !isnan(f->column[1].value[i])) {
            x[n] = f->column[0].value[i];
            y[n++] = f->column[1].value[i];
        }
    const double nd = (double)n, r = pearson(x, y, n), z = rad_z_level(level) / sqrt(nd - 3), fisher = atanh(r);
    RAD_TRY(rad_midranks(x, n, rx, NULL, err));
    RAD_TRY(rad_midranks(y, n, ry, NULL, err));
    const double rho = pearson(rx, ry, n);
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_missing", f->n - n);
    rad_doc_num(doc, "pearson", r);
    rad_doc_num(doc, "pearson_p", rad_p_t_two_sided(r * sqrt((nd - 2) / (1 - r * r)), nd - 2));
    rad_doc_num(doc, "pearson_lower", n > 3 ? tanh(fisher - z) : NAN);
    rad_doc_num(doc, "pearson_upper", n > 3 ? tanh(fisher + z) : NAN);
    rad_doc_num(doc, "spearman", rho);
    rad_doc_num(doc, "spearman_p", rad_p_t_two_sided(rho * sqrt((nd - 2) / (1 - rho * rho)), nd - 2));
    double tau = NAN, p = NAN;
    if (n <= KENDALL_MAX && !isnan(r)) {
        double s = 0, a5, a1, a2, b5, b1, b2;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = i + 1; j < n; j++)
                s += ((x[i] > x[j]) - (x[i] < x[j])) * ((y[i] > y[j]) - (y[i] < y[j]));
        tie_sums(x, n, &a5, &a1, &a2);
        tie_sums(y, n, &b5, &b1, &b2);
        const double pairs = nd * (nd - 1);
        const double var = (pairs * (2 * nd + 5) - a5 - b5) / 18 + a1 * b1 / (2 * pairs) + a2 * b2 / (9 * pairs * (nd - 2));
        tau = s / sqrt((pairs - a1) / 2) / sqrt((pairs - b1) / 2);
        p = rad_p_two_sided(s / sqrt(var));
    } else if (n > KENDALL_MAX) {
        rad_doc_reason(doc, "more than %d pairs: Kendall's tau left out", KENDALL_MAX);
    }
    rad_doc_num(doc, "kendall_b", tau);
    rad_doc_num(doc, "kendall_p", p);
    if (isnan(r))
        rad_doc_reason(doc, n < 2 ? "fewer than two pairs" : "a constant column");
out:
    free(x);
    free(y);
    free(rx);
    free(ry);
    return st;
}

/* ---------------------------------------------------------------- duplicates */

/* Columns id, label, score; rad_stat_call has sorted the rows by all three, missing ids last. */
static rad_status duplicates_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    (void)err;
    int64_t rows = 0, ids = 0, exact = 0, conflicts = 0, truths = 0, variants = 0;
    bool truth_differs = false;
    const double *id = f->column[0].value, *y = f->column[1].value, *x = f->column[2].value;
    for (int64_t i = 0; i < f->n && !isnan(id[i]); i++) {
        rows++;
        const bool same_id = i > 0 && id[i] == id[i - 1];
        const bool same_y = same_id && (y[i] == y[i - 1] || (isnan(y[i]) && isnan(y[i - 1])));
        const bool same_x = same_id && (x[i] == x[i - 1] || (isnan(x[i]) && isnan(x[i - 1])));
        if (!same_id) {
            conflicts += variants > 1;
            truths += truth_differs;
            ids++;
            variants = 1;
            truth_differs = false;
        } else if (same_y && same_x) {
            exact++;
        } else {
            variants++;
            truth_differs = truth_differs || !same_y;
        }
    }
    rad_doc_int(doc, "n_rows", rows);
    rad_doc_int(doc, "n_ids", ids);
    rad_doc_int(doc, "n_exact_duplicate_rows", exact);
    rad_doc_int(doc, "n_conflicting_ids", conflicts + (variants > 1));
    rad_doc_int(doc, "n_ids_conflicting_truth", truths + truth_differs);
    return RAD_OK;
}

#define TWO "x, group[, group1, group2[, level = 0.95]]"

static const rad_stat_function functions[] = {
    {"describe_json", "x", "n, missing, mean, standard deviation (n - 1), median and quartiles (type 7), range", NULL, "n", "", 1, 0,
     RAD_STAT_AGGREGATE, describe_doc},
    {"quartile1", "x", "lower quartile, type 7", "q1", "n", "", 1, 0, RAD_STAT_AGGREGATE, describe_doc},
    {"median7", "x", "median (quantile type 7)", "median", "n", "", 1, 0, RAD_STAT_AGGREGATE, describe_doc},
    {"quartile3", "x", "upper quartile, type 7", "q3", "n", "", 1, 0, RAD_STAT_AGGREGATE, describe_doc},
    {"two_groups_json", TWO,
     "t tests (Welch, pooled), Mann-Whitney (tie-corrected, with and without continuity correction), Kolmogorov-Smirnov (limit and exact "
     "with "
     "ties), standardised difference (n - 1), Wasserstein distance; group1 - group2",
     NULL, "nc", "ttn", 2, 0, RAD_STAT_AGGREGATE, two_doc},
    {"welch_p", TWO, "p of Welch's t test", "welch_p", "nc", "ttn", 2, 0, RAD_STAT_AGGREGATE, two_doc},
    {"mann_whitney_p", TWO, "p of the Mann-Whitney test with continuity correction", "p_cc", "nc", "ttn", 2, 0, RAD_STAT_AGGREGATE,
     two_doc},
    {"smd", TWO, "standardised mean difference (m1 - m2) / sqrt((s1^2 + s2^2) / 2), signed", "smd", "nc", "ttn", 2, 0, RAD_STAT_AGGREGATE,
     two_doc},
    {"groups_json", "x, group", "one-way analysis of variance, Welch's F, Kruskal-Wallis, Bartlett, Brown-Forsythe", NULL, "nc", "", 2, 0,
     RAD_STAT_AGGREGATE, groups_doc},
    {"kruskal_p", "x, group", "p of the Kruskal-Wallis test, tie-corrected", "kruskal_wallis.p", "nc", "", 2, 0, RAD_STAT_AGGREGATE,
     groups_doc},
    {"duplicates_json", "id, label, score", "rows that occur twice, and ids whose label or score differs between rows", NULL, "cnn", "", 3,
     0, RAD_STAT_AGGREGATE, duplicates_doc},
    {"correlation_json", "x, y[, level = 0.95]", "Pearson, Spearman and Kendall tau-b with p values", NULL, "nn", "n", 2, 0,
     RAD_STAT_AGGREGATE, correlation_doc},
};
RAD_STAT_TOPIC(rad_topic_table1, functions);
