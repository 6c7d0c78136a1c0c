/* cluster: proportions, AUC bootstrap and McNemar tests when cases come in clusters (slices or lesions in patients). */
#include "curve.h"
#include "impl.h"
#include "proportion.h"

static rad_status boot_args(const rad_arg *arg, int n_arg, int at, int64_t *ret_b, uint64_t *ret_seed, rad_error *err) {
    const double b = rad_arg_num(arg, n_arg, at, RAD_STAT_BOOT), seed = rad_arg_num(arg, n_arg, at + 1, RAD_STAT_SEED);
    if (!(b >= 2 && b <= RAD_STAT_BOOT_MAX) || !(seed >= 0 && seed < 9e15))
        return rad_error_set(err, RAD_E_USAGE, "bootstrap: %g replicates, seed %g: expected 2 to %d and a seed of at least 0", b, seed,
                             RAD_STAT_BOOT_MAX);
    *ret_b = (int64_t)b;
    *ret_seed = (uint64_t)seed;
    return RAD_OK;
}

/* Interval and spread of replicates (NaN ones left out); sorts them. */
static void put_replicates(rad_doc *doc, double *value, int64_t b, double level, const char *se, const char *lower, const char *upper) {
    int64_t m = 0;
    for (int64_t r = 0; r < b; r++)
        if (!isnan(value[r]))
            value[m++] = value[r];
    double mean, var;
    rad_mean_var(value, m, &mean, &var);
    rad_sort_doubles(value, m);
    rad_doc_num(doc, se, sqrt(var));
    rad_doc_num(doc, lower, rad_quantile7(value, m, (1 - level) / 2));
    rad_doc_num(doc, upper, rad_quantile7(value, m, (1 + level) / 2));
    rad_doc_int(doc, "replicates", m);
    if (m < b)
        rad_doc_reason(doc, "%lld bootstrap replicates without both classes left out", (long long)(b - m));
}

/* ---------------------------------------------------------------- proportion */

static rad_status proportion_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    int64_t b = 0;
    uint64_t seed = 0;
    rad_status st;
    const int64_t nl = f->column[1].n_level;
    double *k = rad_new_doubles(nl), *n = rad_new_doubles(nl), *value = NULL;
    if (!k || !n) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    RAD_TRY(boot_args(arg, n_arg, 1, &b, &seed, err));
    double x = 0, all = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const double y = f->column[0].value[i], c = f->column[1].value[i];
        if ((y != 0 && y != 1) || isnan(c))
            continue;
        k[(int64_t)c] += y;
        n[(int64_t)c]++;
        x += y;
        all++;
    }
    int64_t m = 0;
    for (int64_t c = 0; c < nl; c++)
        if (n[c] > 0) {
            k[m] = k[c];
            n[m++] = n[c];
        }
    const double p = x / all, md = (double)m, z = rad_z_level(level);
    double s = 0;
    for (int64_t c = 0; c < m; c++)
        s += (k[c] - n[c] * p) * (k[c] - n[c] * p);
    const double se = m > 1 ? sqrt(md / (md - 1) * s) / all : NAN;
    const bool inner = se > 0 && p > 0 && p < 1;
    const double lse = se / (p * (1 - p));
    if (m < 2)
        rad_doc_reason(doc, m == 0 ? "no case" : "one cluster: no variance");
    else if (!(se > 0))
        rad_doc_reason(doc, "all or none: the cluster variance is 0, not evidence of certainty");
    double wl, wu;
    rad_proportion_interval(RAD_WILSON, x, all, level, &wl, &wu);
    rad_doc_int(doc, "n", (int64_t)all);
    rad_doc_int(doc, "n_missing", f->n - (int64_t)all);
    rad_doc_int(doc, "n_clusters", m);
    rad_doc_int(doc, "x", (int64_t)x);
    rad_doc_num(doc, "estimate", all > 0 ? p : NAN);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "lower", p - z * se);
    rad_doc_num(doc, "upper", p + z * se);
    rad_doc_num(doc, "logit_lower", inner ? rad_expit(rad_logit(p) - z * lse) : NAN);
    rad_doc_num(doc, "logit_upper", inner ? rad_expit(rad_logit(p) + z * lse) : NAN);
    rad_doc_num(doc, "design_effect", inner ? se * se / (p * (1 - p) / all) : NAN);
    rad_doc_num(doc, "naive_wilson_lower", wl);
    rad_doc_num(doc, "naive_wilson_upper", wu);
    value = rad_new_doubles(b);
    if (!value) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t r = 0; r < b; r++) {
        double bk = 0, bn = 0;
        for (int64_t c = 0; c < m; c++) {
            const int64_t who = rad_uniform_int(seed, (uint64_t)r, (uint64_t)c, m);
            bk += k[who];
            bn += n[who];
        }
        value[r] = bn > 0 ? bk / bn : NAN;
    }
    if (m > 1)
        put_replicates(doc, value, b, level, "boot_se", "boot_lower", "boot_upper");
out:
    free(k);
    free(n);
    free(value);
    return st;
}

/* ---------------------------------------------------------------- bootstrap of AUCs */

/* k curves on the same complete cases, and which point each case enters at. */
typedef struct boot {
    int64_t k, n, n_cluster;
    rad_curve curve[2];
    int64_t *point[2];
    int64_t *group; /* cluster of each case */
    int8_t *label;
    int64_t *draws, *gp, *gn;
} boot;

static void boot_release(boot *b) {
    for (int m = 0; m < 2; m++) {
        rad_curve_release(&b->curve[m]);
        free(b->point[m]);
    }
    free(b->group);
    free(b->label);
    free(b->draws);
    free(b->gp);
    free(b->gn);
}

static rad_status boot_init(const rad_frame *f, int64_t k, int64_t cluster, boot *b, rad_error *err) {
    rad_status st = RAD_OK;
    double *score = rad_new_doubles(f->n);
    int64_t *keep = rad_new_ints(f->n), *number = rad_new_ints(cluster >= 0 ? f->column[cluster].n_level : 1), most = 1;
    b->k = k;
    b->label = rad_malloc((size_t)f->n + 1);
    b->group = rad_new_ints(f->n);
    b->draws = rad_new_ints(f->n);
    if (!score || !keep || !number || !b->label || !b->group || !b->draws) {
        st = rad_no_memory(err);
        goto out;
    }
    const int64_t n_all = rad_complete(f, 0, f->n_column, keep);
    for (int64_t i = 0; i < n_all; i++) {
        const double y = f->column[0].value[keep[i]];
        if (y != 0 && y != 1)
            continue;
        if (cluster >= 0) {
            int64_t *c = &number[(int64_t)f->column[cluster].value[keep[i]]];
            if (*c == 0)
                *c = ++b->n_cluster;
            b->group[b->n] = *c - 1;
        }
        keep[b->n] = keep[i];
        b->label[b->n++] = (int8_t)y;
    }
    for (int64_t m = 0; m < k; m++) {
        for (int64_t i = 0; i < b->n; i++)
            score[i] = f->column[1 + m].value[keep[i]];
        RAD_TRY(rad_curve_init(b->label, score, b->n, &b->curve[m], err));
        b->point[m] = rad_new_ints(b->n);
        if (!b->point[m]) {
            st = rad_no_memory(err);
            goto out;
        }
        const rad_curve *c = &b->curve[m];
        for (int64_t i = 0; i < b->n; i++) { /* thresholds fall from point 1 on */
            int64_t lo = 1, hi = c->n_point - 1;
            while (lo < hi) {
                const int64_t mid = (lo + hi) / 2;
                if (c->threshold[mid] <= score[i])
                    hi = mid;
                else
                    lo = mid + 1;
            }
            b->point[m][i] = lo;
        }
        most = c->n_point > most ? c->n_point : most;
    }
    b->gp = rad_new_ints(most);
    b->gn = rad_new_ints(most);
    if (!b->gp || !b->gn)
        st = rad_no_memory(err);
out:
    free(score);
    free(keep);
    free(number);
    return st;
}

static double boot_auc(const boot *b, int64_t m) {
    const rad_curve *c = &b->curve[m];
    memset(b->gp, 0, (size_t)c->n_point * sizeof *b->gp);
    memset(b->gn, 0, (size_t)c->n_point * sizeof *b->gn);
    int64_t n1 = 0, n0 = 0, sum = 0, above = 0;
    for (int64_t i = 0; i < b->n; i++)
        if (b->label[i] == 1) {
            b->gp[b->point[m][i]] += b->draws[i];
            n1 += b->draws[i];
        } else {
            b->gn[b->point[m][i]] += b->draws[i];
            n0 += b->draws[i];
        }
    for (int64_t j = 1; j < c->n_point; j++) {
        sum += b->gn[j] * (2 * above + b->gp[j]);
        above += b->gp[j];
    }
    return n1 && n0 ? (double)sum / (2 * (double)n1 * (double)n0) : NAN;
}

static void draw_stratified(const boot *b, uint64_t seed, int64_t r, const int64_t *pos, const int64_t *neg) {
    const int64_t n1 = b->curve[0].n_pos, n0 = b->curve[0].n_neg;
    memset(b->draws, 0, (size_t)b->n * sizeof *b->draws);
    for (int64_t i = 0; i < n1; i++)
        b->draws[pos[rad_uniform_int(seed, (uint64_t)r, (uint64_t)i, n1)]]++;
    for (int64_t i = 0; i < n0; i++)
        b->draws[neg[rad_uniform_int(seed, (uint64_t)r, (uint64_t)(n1 + i), n0)]]++;
}

static rad_status cluster_boot_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *value = NULL;
    int64_t reps = 0, *times = NULL;
    uint64_t seed = 0;
    boot b = {0};
    rad_status st;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    RAD_TRY(boot_args(arg, n_arg, 1, &reps, &seed, err));
    RAD_TRY(boot_init(f, 1, 2, &b, err));
    value = rad_new_doubles(reps);
    times = rad_new_ints(b.n_cluster);
    if (!value || !times) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t i = 0; i < b.n; i++)
        b.draws[i] = 1;
    rad_doc_int(doc, "n", b.n);
    rad_doc_int(doc, "n_missing", f->n - b.n);
    rad_doc_int(doc, "n_clusters", b.n_cluster);
    rad_doc_num(doc, "auc", boot_auc(&b, 0));
    if (b.curve[0].n_pos == 0 || b.curve[0].n_neg == 0) {
        rad_doc_reason(doc, b.curve[0].n_pos == 0 ? "no positive case" : "no negative case");
        goto out;
    }
    for (int64_t r = 0; r < reps; r++) {
        memset(times, 0, (size_t)b.n_cluster * sizeof *times);
        for (int64_t c = 0; c < b.n_cluster; c++)
            times[rad_uniform_int(seed, (uint64_t)r, (uint64_t)c, b.n_cluster)]++;
        for (int64_t i = 0; i < b.n; i++)
            b.draws[i] = times[b.group[i]];
        value[r] = boot_auc(&b, 0);
    }
    put_replicates(doc, value, reps, level, "se", "lower", "upper");
    rad_doc_num(doc, "seed", (double)seed);
out:
    boot_release(&b);
    free(value);
    free(times);
    return st;
}

static rad_status pair_boot_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *value = NULL;
    int64_t reps = 0, *pos = NULL, *neg = NULL;
    uint64_t seed = 0;
    boot b = {0};
    rad_status st;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err));
    RAD_TRY(boot_args(arg, n_arg, 1, &reps, &seed, err));
    RAD_TRY(boot_init(f, 2, -1, &b, err));
    value = rad_new_doubles(reps);
    pos = rad_new_ints(b.n);
    neg = rad_new_ints(b.n);
    if (!value || !pos || !neg) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t i = 0, p = 0, q = 0; i < b.n; i++) {
        b.draws[i] = 1;
        if (b.label[i] == 1)
            pos[p++] = i;
        else
            neg[q++] = i;
    }
    const double a1 = boot_auc(&b, 0), a2 = boot_auc(&b, 1), d = a1 - a2;
    rad_doc_int(doc, "n", b.n);
    rad_doc_num(doc, "auc1", a1);
    rad_doc_num(doc, "auc2", a2);
    rad_doc_num(doc, "diff", d);
    if (isnan(d)) {
        rad_doc_reason(doc, "one class only");
        goto out;
    }
    for (int64_t r = 0; r < reps; r++) {
        draw_stratified(&b, seed, r, pos, neg);
        value[r] = boot_auc(&b, 0) - boot_auc(&b, 1);
    }
    double mean, var;
    rad_mean_var(value, reps, &mean, &var);
    put_replicates(doc, value, reps, level, "se_diff", "lower", "upper");
    rad_doc_num(doc, "z", var > 0 ? d / sqrt(var) : NAN);
    rad_doc_num(doc, "p", var > 0 ? rad_p_two_sided(d / sqrt(var)) : NAN);
    rad_doc_num(doc, "seed", (double)seed);
    if (!(var > 0))
        rad_doc_reason(doc, "all replicates are equal: no test");
out:
    boot_release(&b);
    free(value);
    free(pos);
    free(neg);
    return st;
}

/* ---------------------------------------------------------------- McNemar */

/* Eliasziw & Donner 1991: the McNemar statistic over an inflation 1 + (nc - 1) rho, rho the correlation of discordance within clusters.
 * cells: per cluster a, b, c, d. A correlation below 0 is taken as 0 (no deflation). */
static double eliasziw(const double (*cell)[4], int64_t m, double chi2, double *ret_rho, double *ret_inflation) {
    double n = 0, sum_b = 0, sum_c = 0, kd = 0, s = 0, p[4] = {0};
    for (int64_t i = 0; i < m; i++) {
        for (int j = 0; j < 4; j++) {
            n += cell[i][j];
            p[j] += cell[i][j];
        }
        sum_b += cell[i][1];
        sum_c += cell[i][2];
        kd += cell[i][1] + cell[i][2] > 0;
        s += cell[i][1] + cell[i][2];
    }
    const double k = (double)m, nbar = n / k, sbar = s / kd;
    double spread = 0, bms = 0, wms = 0, disc = 0;
    for (int64_t i = 0; i < m; i++) {
        const double ni = cell[i][0] + cell[i][1] + cell[i][2] + cell[i][3], si = cell[i][1] + cell[i][2];
        spread += (ni - nbar) * (ni - nbar);
        if (si > 0)
            disc += (si - sbar) * (si - sbar);
        for (int j = 0; j < 4; j++) {
            const double off = cell[i][j] - ni * p[j] / n;
            bms += off * off / ni;
            wms += cell[i][j] * (ni - cell[i][j]) / ni;
        }
    }
    const double n0 = nbar - spread / (k * (k - 1) * nbar);
    bms /= k;
    wms /= k * (nbar - 1);
    const double star = (bms - wms) / (bms + (n0 - 1) * wms);
    const double odds = (1 - star) / star;
    const double rho = star > 0 ? 1 / (1 + sum_b / n * odds + sum_c / n * odds) : 0;
    const double s0 = sbar - disc / (kd * (kd - 1) * sbar), nc = s0 + kd * (sbar - s0);
    *ret_rho = rho;
    *ret_inflation = kd > 1 && isfinite(rho) ? 1 + (nc - 1) * rho : NAN;
    return chi2 / *ret_inflation;
}

static rad_status mcnemar_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    const int64_t nl = f->column[2].n_level;
    double(*cell)[4] = rad_calloc((size_t)(nl > 0 ? nl : 1), sizeof *cell);
    if (!cell)
        return rad_no_memory(err);
    int64_t used = 0, m = 0, multiple = 0;
    double b = 0, c = 0, square = 0, cross = 0, size = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const double x = f->column[0].value[i], y = f->column[1].value[i], g = f->column[2].value[i];
        if ((x != 0 && x != 1) || (y != 0 && y != 1) || isnan(g))
            continue;
        cell[(int64_t)g][(x == 1 ? 0 : 2) + (y == 1 ? 0 : 1)]++;
        used++;
    }
    for (int64_t i = 0; i < nl; i++) {
        const double n = cell[i][0] + cell[i][1] + cell[i][2] + cell[i][3], d = cell[i][1] - cell[i][2];
        if (n == 0)
            continue;
        b += cell[i][1];
        c += cell[i][2];
        square += d * d;
        cross += d * n;
        size += n * n;
        multiple += n > 1;
        memmove(cell[m++], cell[i], sizeof *cell);
    }
    const double md = (double)m, d = b - c, plain = b + c > 0 ? d * d / (b + c) : NAN, n = (double)used;
    /* ratio estimator of the difference d/n: sum (d_c - n_c d/n)^2 */
    const double residual = rad_at_least(square - 2 * cross * d / n + size * d * d / (n * n), 0);
    const double obuchowski = square > 0 && m > 1 ? d * d * (md - 1) / (md * square) : NAN;
    const double durkalski = square > 0 ? d * d / square : NAN;
    double rho = NAN, inflation = NAN, ed = NAN;
    if (b + c > 0 && m > 1 && multiple > 0)
        ed = eliasziw((const double(*)[4])cell, m, plain, &rho, &inflation);
    if (b + c == 0)
        rad_doc_reason(doc, "no discordant pair: no test");
    else if (multiple == 0)
        rad_doc_reason(doc, "every cluster has one case: Eliasziw-Donner needs clusters, use mcnemar_json");
    rad_doc_int(doc, "n", used);
    rad_doc_int(doc, "n_clusters", m);
    rad_doc_int(doc, "n_missing", f->n - used);
    rad_doc_num(doc, "b", b);
    rad_doc_num(doc, "c", c);
    rad_doc_num(doc, "diff", used > 0 ? d / n : NAN);
    rad_doc_num(doc, "se_diff", m > 1 ? sqrt(md / (md - 1) * residual) / n : NAN);
    rad_doc_num(doc, "naive_chi2", plain);
    rad_doc_num(doc, "naive_p", rad_p_chisq(plain, 1));
    rad_doc_num(doc, "eliasziw_donner_chi2", ed);
    rad_doc_num(doc, "eliasziw_donner_p", rad_p_chisq(ed, 1));
    rad_doc_num(doc, "rho", rho);
    rad_doc_num(doc, "inflation", inflation);
    rad_doc_num(doc, "obuchowski_chi2", obuchowski);
    rad_doc_num(doc, "obuchowski_p", rad_p_chisq(obuchowski, 1));
    rad_doc_num(doc, "durkalski_chi2", durkalski);
    rad_doc_num(doc, "durkalski_p", rad_p_chisq(durkalski, 1));
    free(cell);
    return RAD_OK;
}

#define PROPORTION_FN(name, what, field)                                                                                                   \
    {                                                                                                                                      \
        name, "x, cluster[, level = 0.95[, replicates = 2000[, seed]]]", what, field, "nc", "nnn", 2, RAD_STAT_ORDER_FREE,                 \
            RAD_STAT_AGGREGATE, proportion_doc                                                                                             \
    }

static const rad_stat_function functions[] = {
    PROPORTION_FN("proportion_clustered_lower",
                  "lower limit, ratio estimator: se = sqrt(m/(m-1) sum (k_c - n_c p)^2) / n; use FILTER "
                  "(WHERE label = 1) for sensitivity",
                  "lower"),
    PROPORTION_FN("proportion_clustered_upper", "upper limit, ratio estimator", "upper"),
    PROPORTION_FN("proportion_clustered_json",
                  "share of x = 1 with clusters: ratio estimator, logit limits, design effect, naive Wilson limits, "
                  "cluster bootstrap",
                  NULL),
    {"auc_cluster_bootstrap_json", "label, score, cluster[, level = 0.95[, replicates = 2000[, seed]]]",
     "percentile interval of the AUC from resampled clusters; counter-based random numbers", NULL, "nnc", "nnn", 3, 0, RAD_STAT_AGGREGATE,
     cluster_boot_doc},
    {"auc_diff_bootstrap_json", "label, score1, score2[, level = 0.95[, replicates = 2000[, seed]]]",
     "stratified bootstrap of the paired AUC difference: percentile interval, z = D / sd(D*) (as pROC)", NULL, "nnn", "nnn", 3, 0,
     RAD_STAT_AGGREGATE, pair_boot_doc},
    {"mcnemar_clustered_json", "x1, x2, cluster",
     "McNemar test of clustered pairs (0/1): Eliasziw & Donner 1991, Obuchowski 1998, Durkalski 2003, beside the naive one", NULL, "nnc",
     "", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, mcnemar_doc},
    {"mcnemar_clustered_p", "x1, x2, cluster", "p by Obuchowski 1998: (sum d)^2 (m-1) / (m sum d^2), d = discordance by cluster",
     "obuchowski_p", "nnc", "", 3, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, mcnemar_doc},
};
RAD_STAT_TOPIC(rad_topic_cluster, functions);
