/* ordinal: a score and a call against an ordered truth (a grade).
 *
 * All variances are those of the delta method: each unit's influence on the estimate (Hampel 1974), summed within clusters when units share
 * one (a patient), var = m / (m - 1) sum_c (sum_{i in c} IF_i)^2 / n^2 over m clusters; units without clusters are their own. For weighted
 * kappa this is Fleiss, Cohen & Everitt (1969) times n / (n - 1); for tau-b the ASE1 of Brown & Benedetti (1977), for the c-index of two
 * grades nearly DeLong's. Limits are normal, of Spearman's rho on Fisher's z, truncated to what the statistic can be.
 *
 * 1. kappa_quadratic  agreement of call and truth, weights 1 - (a - b)^2 / (k - 1)^2 over the k grades first .. last of both (Cohen 1968).
 * 2. kendall_tau_b    score and truth; ties as Kendall (1945).
 * 3. spearman         correlation of mid-ranks of score and truth.
 * 4. c_index          P(the unit of the higher grade has the higher score) over pairs of different grades, ties of the score one half: the
 *                     ordinal AUC (Harrell 1982; (Somers' d + 1) / 2 with the truth as the independent variable).
 * 5. mae, mae_call    mean |score - truth|, mean |call - truth|.
 */
#include "impl.h"

#define MAX_GRADES 256

typedef struct graded {
    int64_t n, n_cluster, k; /* k grades, first .. first + k - 1 */
    double first;
    double *truth, *score, *call;
    int64_t *cluster; /* [n] 0 .. n_cluster - 1 */
    double *u, *v;    /* [n] influence, scratch */
    double *sum;      /* [n_cluster + 1] */
} graded;

static void release(graded *g) {
    free(g->truth);
    free(g->score);
    free(g->call);
    free(g->cluster);
    free(g->u);
    free(g->v);
    free(g->sum);
}

/* Complete rows; clusters by first appearance of their level. */
static rad_status take(const rad_frame *f, graded *g, rad_error *err) {
    const int64_t n_level = f->n_column > 3 ? f->column[3].n_level : 0;
    g->truth = rad_new_doubles(f->n);
    g->score = rad_new_doubles(f->n);
    g->call = rad_new_doubles(f->n);
    g->cluster = rad_new_ints(f->n);
    g->u = rad_new_doubles(f->n);
    g->v = rad_new_doubles(f->n);
    g->sum = rad_new_doubles(f->n + 1);
    int64_t *number = rad_new_ints(n_level);
    if (!g->truth || !g->score || !g->call || !g->cluster || !g->u || !g->v || !g->sum || !number) {
        free(number);
        return rad_no_memory(err);
    }
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < f->n; i++) {
        const double t = f->column[0].value[i], s = f->column[1].value[i], c = f->column[2].value[i];
        const double cluster = n_level ? f->column[3].value[i] : 0;
        if (isnan(t) || isnan(s) || isnan(c) || isnan(cluster))
            continue;
        if (n_level && number[(int64_t)cluster] == 0)
            number[(int64_t)cluster] = ++g->n_cluster;
        g->cluster[g->n] = n_level ? number[(int64_t)cluster] - 1 : g->n;
        g->truth[g->n] = t;
        g->score[g->n] = s;
        g->call[g->n++] = c;
        low = fmin(low, fmin(t, c));
        high = fmax(high, fmax(t, c));
    }
    free(number);
    if (!n_level)
        g->n_cluster = g->n;
    for (int64_t i = 0; i < g->n; i++)
        if (g->truth[i] != floor(g->truth[i]) || g->call[i] != floor(g->call[i]) || !(high - low < MAX_GRADES))
            return rad_error_set(err, RAD_E_USAGE, "truth and call must be whole numbers, at most %d of them", MAX_GRADES);
    g->first = g->n ? low : 0;
    g->k = g->n ? (int64_t)(high - low) + 1 : 0;
    return RAD_OK;
}

/* Standard error from the influences `u`, units taken as clustered or not. */
static double error_of(const graded *g, const double *u, bool clustered) {
    const int64_t m = clustered ? g->n_cluster : g->n;
    double total = 0;
    for (int64_t c = 0; c < m; c++)
        g->sum[c] = 0;
    for (int64_t i = 0; i < g->n; i++)
        g->sum[clustered ? g->cluster[i] : i] += u[i];
    for (int64_t c = 0; c < m; c++)
        total += g->sum[c] * g->sum[c];
    return m > 1 ? sqrt((double)m / (double)(m - 1) * total) / (double)g->n : (double)NAN;
}

typedef struct range {
    double low, high;
    bool fisher; /* limits on Fisher's z */
    double null; /* value of no relation, NaN: no test */
} range;

static void put(rad_doc *doc, const graded *g, const char *name, double est, range r, double level) {
    const double z = rad_z_level(level);
    rad_doc_open(doc, name);
    rad_doc_num(doc, "est", est);
    for (int clustered = 0; clustered < 2; clustered++) {
        double se = isnan(est) ? (double)NAN : error_of(g, g->u, clustered), lower = est - z * se, upper = est + z * se;
        if (r.fisher) {
            const double f = atanh(est), s = se / (1 - est * est);
            lower = fabs(est) < 1 ? tanh(f - z * s) : (double)NAN;
            upper = fabs(est) < 1 ? tanh(f + z * s) : (double)NAN;
        }
        rad_doc_num(doc, clustered ? "se_clustered" : "se", se);
        rad_doc_num(doc, clustered ? "lower_clustered" : "lower", rad_at_least(lower, r.low));
        rad_doc_num(doc, clustered ? "upper_clustered" : "upper", rad_at_most(upper, r.high));
        rad_doc_num(doc, clustered ? "p_clustered" : "p", se > 0 ? rad_p_two_sided((est - r.null) / se) : (double)NAN);
    }
    rad_doc_close(doc);
}

/* ---------------------------------------------------------------- agreement of calls */

static rad_status put_kappa(rad_doc *doc, const graded *g, double level, rad_error *err) {
    const int64_t k = g->k;
    double *p = rad_new_doubles(k), *q = rad_new_doubles(k), *wp = rad_new_doubles(k), *wq = rad_new_doubles(k), po = 0, pe = 0;
    if (!p || !q || !wp || !wq) {
        free(p);
        free(q);
        free(wp);
        free(wq);
        return rad_no_memory(err);
    }
    const double n = (double)g->n, scale = k > 1 ? (double)((k - 1) * (k - 1)) : 1;
    for (int64_t i = 0; i < g->n; i++) {
        const double d = g->truth[i] - g->call[i];
        p[(int64_t)(g->truth[i] - g->first)] += 1 / n;
        q[(int64_t)(g->call[i] - g->first)] += 1 / n;
        po += (1 - d * d / scale) / n;
    }
    for (int64_t a = 0; a < k; a++)
        for (int64_t b = 0; b < k; b++) {
            const double w = 1 - (double)((a - b) * (a - b)) / scale;
            wq[a] += w * q[b]; /* of a call drawn at random against truth a */
            wp[b] += w * p[a];
            pe += w * p[a] * q[b];
        }
    const double kappa = pe < 1 ? (po - pe) / (1 - pe) : (double)NAN;
    for (int64_t i = 0; i < g->n; i++) {
        const double d = g->truth[i] - g->call[i], o = 1 - d * d / scale - po;
        const double e = wq[(int64_t)(g->truth[i] - g->first)] + wp[(int64_t)(g->call[i] - g->first)] - 2 * pe;
        g->u[i] = (o * (1 - pe) - e * (1 - po)) / ((1 - pe) * (1 - pe));
    }
    put(doc, g, "kappa_quadratic", kappa, (range){-1, 1, false, NAN}, level);
    free(p);
    free(q);
    free(wp);
    free(wq);
    return RAD_OK;
}

/* ---------------------------------------------------------------- pairs */

typedef struct pair_counts { /* per unit, over all units, divided by n */
    double *ahead, *level;   /* truth and score differ in the same direction; less those of opposite ones; and halves of score ties */
    double *truth, *score;   /* units of another truth; of another score */
} pair_counts;

/* Units in the order of the score, groups of equal score at a time; below and above are counts per grade. O(n k). */
static void count_pairs(const graded *g, const int64_t *order, int64_t *below, int64_t *in_all, int64_t *equal, const pair_counts *c) {
    const double n = (double)g->n;
    for (int64_t i = 0; i < g->n; i++)
        in_all[(int64_t)(g->truth[i] - g->first)]++;
    for (int64_t i = 0, j; i < g->n; i = j) {
        for (j = i; j < g->n && g->score[order[j]] == g->score[order[i]]; j++)
            equal[(int64_t)(g->truth[order[j]] - g->first)]++;
        for (int64_t t = i; t < j; t++) {
            const int64_t grade = (int64_t)(g->truth[order[t]] - g->first);
            int64_t same = 0, opposite = 0, tied = 0;
            for (int64_t a = 0; a < g->k; a++) {
                const int64_t above = in_all[a] - below[a] - equal[a];
                same += a < grade ? below[a] : a > grade ? above : 0;
                opposite += a < grade ? above : a > grade ? below[a] : 0;
                tied += a != grade ? equal[a] : 0;
            }
            c->ahead[order[t]] = (double)(same - opposite) / n;
            c->level[order[t]] = ((double)same + 0.5 * (double)tied) / n;
            c->truth[order[t]] = (double)(g->n - in_all[grade]) / n;
            c->score[order[t]] = (double)(g->n - (j - i)) / n;
        }
        for (int64_t a = 0; a < g->k; a++) {
            below[a] += equal[a];
            equal[a] = 0;
        }
    }
}

static double mean_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

static rad_status put_pairs(rad_doc *doc, const graded *g, double level, rad_error *err) {
    rad_status st = RAD_OK;
    const int64_t n = g->n;
    pair_counts c = {rad_new_doubles(n), rad_new_doubles(n), rad_new_doubles(n), rad_new_doubles(n)};
    int64_t *order = rad_new_ints(n), *count = rad_new_ints(3 * g->k);
    if (!c.ahead || !c.level || !c.truth || !c.score || !order || !count) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_order(g->score, n, order, err));
    count_pairs(g, order, count, count + g->k, count + 2 * g->k, &c);
    const double p = mean_of(c.ahead, n), wt = mean_of(c.truth, n), ws = mean_of(c.score, n), a = mean_of(c.level, n);
    const double tau = wt > 0 && ws > 0 ? p / sqrt(wt * ws) : (double)NAN, index = wt > 0 ? a / wt : (double)NAN;
    for (int64_t i = 0; i < n; i++) /* a mean over pairs has twice the unit's deviation as influence */
        g->u[i] = 2 * (c.ahead[i] - p) / sqrt(wt * ws) - tau * ((c.truth[i] - wt) / wt + (c.score[i] - ws) / ws);
    put(doc, g, "kendall_tau_b", tau, (range){-1, 1, false, 0}, level);
    for (int64_t i = 0; i < n; i++)
        g->u[i] = 2 * (c.level[i] - index * c.truth[i]) / wt;
    put(doc, g, "c_index", index, (range){0, 1, false, 0.5}, level);
out:
    free(c.ahead);
    free(c.level);
    free(c.truth);
    free(c.score);
    free(order);
    free(count);
    return st;
}

/* ---------------------------------------------------------------- ranks */

/* ret[i] = mean over j of w[j] h(x[i], x[j]), h = 1 when x[j] is above x[i], 1/2 when equal. `order` sorts x. */
static void weight_above(const double *x, const int64_t *order, const double *w, int64_t n, double *ret) {
    double above = 0;
    for (int64_t j = n, i; j > 0; j = i) {
        double equal = 0;
        for (i = j; i > 0 && x[order[i - 1]] == x[order[j - 1]]; i--)
            equal += w[order[i - 1]];
        for (int64_t t = i; t < j; t++)
            ret[order[t]] = (above + 0.5 * equal) / (double)n;
        above += equal;
    }
}

static rad_status put_spearman(rad_doc *doc, const graded *g, double level, rad_error *err) {
    rad_status st = RAD_OK;
    const int64_t n = g->n;
    double *u = rad_new_doubles(n), *v = rad_new_doubles(n), *part[4], suv = 0, suu = 0, svv = 0;
    int64_t *by_truth = rad_new_ints(n), *by_score = rad_new_ints(n);
    for (int i = 0; i < 4; i++)
        part[i] = rad_new_doubles(n);
    if (!u || !v || !by_truth || !by_score || !part[0] || !part[1] || !part[2] || !part[3]) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_order(g->truth, n, by_truth, err));
    RAD_TRY(rad_order(g->score, n, by_score, err));
    RAD_TRY(rad_midranks(g->truth, n, u, NULL, err));
    RAD_TRY(rad_midranks(g->score, n, v, NULL, err));
    for (int64_t i = 0; i < n; i++) { /* mid-distribution functions about their mean, 1/2 */
        u[i] = (u[i] - 0.5) / (double)n - 0.5;
        v[i] = (v[i] - 0.5) / (double)n - 0.5;
        suv += u[i] * v[i] / (double)n;
        suu += u[i] * u[i] / (double)n;
        svv += v[i] * v[i] / (double)n;
    }
    const double rho = suu > 0 && svv > 0 ? suv / sqrt(suu * svv) : (double)NAN;
    weight_above(g->truth, by_truth, v, n, part[0]); /* how unit i moves the ranks of the others */
    weight_above(g->score, by_score, u, n, part[1]);
    weight_above(g->truth, by_truth, u, n, part[2]);
    weight_above(g->score, by_score, v, n, part[3]);
    for (int64_t i = 0; i < n; i++) {
        const double uv = u[i] * v[i] + part[0][i] + part[1][i] - 3 * suv, uu = u[i] * u[i] + 2 * part[2][i] - 3 * suu,
                     vv = v[i] * v[i] + 2 * part[3][i] - 3 * svv;
        g->u[i] = uv / sqrt(suu * svv) - rho / 2 * (uu / suu + vv / svv);
    }
    put(doc, g, "spearman", rho, (range){-1, 1, true, 0}, level);
out:
    for (int i = 0; i < 4; i++)
        free(part[i]);
    free(u);
    free(v);
    free(by_truth);
    free(by_score);
    return st;
}

/* ---------------------------------------------------------------- errors */

static void put_error(rad_doc *doc, const graded *g, const char *name, const double *x, double level) {
    for (int64_t i = 0; i < g->n; i++)
        g->v[i] = fabs(x[i] - g->truth[i]);
    const double mean = g->n ? mean_of(g->v, g->n) : (double)NAN;
    for (int64_t i = 0; i < g->n; i++)
        g->u[i] = g->v[i] - mean;
    put(doc, g, name, mean, (range){0, INFINITY, false, NAN}, level);
}

static rad_status ordinal_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    graded g = {0};
    double level;
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st == RAD_OK)
        st = take(f, &g, err);
    if (st != RAD_OK)
        goto out;
    rad_doc_int(doc, "n", g.n);
    rad_doc_int(doc, "n_cluster", g.n_cluster);
    rad_doc_int(doc, "n_missing", f->n - g.n);
    if (g.n < 2) {
        rad_doc_reason(doc, "fewer than two units with truth, score and call");
        goto out;
    }
    RAD_TRY(put_kappa(doc, &g, level, err));
    RAD_TRY(put_pairs(doc, &g, level, err));
    RAD_TRY(put_spearman(doc, &g, level, err));
    put_error(doc, &g, "mae", g.score, level);
    put_error(doc, &g, "mae_call", g.call, level);
    if (g.n_cluster < 2)
        rad_doc_reason(doc, "one cluster: no clustered error");
out:
    release(&g);
    return st;
}

static const rad_stat_function functions[] = {
    {"ordinal_json", "truth, score, call, cluster[, level = 0.95]",
     "an ordered truth (whole numbers) against score and call: quadratic-weighted kappa, Kendall's tau-b, Spearman's rho, c-index (ordinal "
     "AUC), "
     "mean absolute errors; delta-method errors of independent units and of clusters",
     NULL, "nnnc", "n", 4, 0, RAD_STAT_AGGREGATE, ordinal_doc},
    {"ordinal_c_index", "truth, score, call, cluster[, level = 0.95]",
     "probability that of two units of different grade the higher one has the higher score, ties one half (ordinal AUC; Harrell 1982)",
     "c_index.est", "nnnc", "n", 4, 0, RAD_STAT_AGGREGATE, ordinal_doc},
};
RAD_STAT_TOPIC(rad_topic_ordinal, functions);
