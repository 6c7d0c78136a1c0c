/* drift: two runs on the same cases, and two periods of the same variable. */
#include "impl.h"

/* Pairs complete in columns 0 and 1. */
static rad_status pairs(const rad_frame *f, double **ret_a, double **ret_b, int64_t *ret_n, rad_error *err) {
    double *a = rad_new_doubles(f->n), *b = rad_new_doubles(f->n);
    if (!a || !b) {
        free(a);
        free(b);
        return rad_no_memory(err);
    }
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (!isnan(f->column[0].value[i]) && !isnan(f->column[1].value[i])) {
            a[n] = f->column[0].value[i];
            b[n++] = f->column[1].value[i];
        }
    *ret_a = a;
    *ret_b = b;
    *ret_n = n;
    return RAD_OK;
}

/* Limits of agreement, Bland & Altman 1986/1999, d = a - b. */
static void put_bland(const double *a, const double *b, int64_t n, double level, rad_doc *doc, double *d) {
    double bias, var, most = 0, changed = 0;
    for (int64_t i = 0; i < n; i++) {
        d[i] = a[i] - b[i];
        most = fmax(most, fabs(d[i]));
        changed += d[i] != 0;
    }
    rad_mean_var(d, n, &bias, &var);
    const double nd = (double)n, sd = sqrt(var), t = n > 1 ? rad_q_t(0.5 + level / 2, nd - 1) : NAN, z = rad_z_level(level);
    const double se3 = sqrt(3 * var / nd), exact = sd * sqrt(1 / nd + z * z / (2 * (nd - 1))), lo = bias - 1.96 * sd, hi = bias + 1.96 * sd;
    rad_doc_num(doc, "bias", bias);
    rad_doc_num(doc, "sd", sd);
    rad_doc_num(doc, "bias_lower", bias - t * sd / sqrt(nd));
    rad_doc_num(doc, "bias_upper", bias + t * sd / sqrt(nd));
    rad_doc_num(doc, "loa_lower", lo);
    rad_doc_num(doc, "loa_upper", hi);
    rad_doc_num(doc, "loa_lower_z", bias - z * sd);
    rad_doc_num(doc, "loa_upper_z", bias + z * sd);
    rad_doc_num(doc, "loa_lower_ci_lower", lo - t * se3);
    rad_doc_num(doc, "loa_lower_ci_upper", lo + t * se3);
    rad_doc_num(doc, "loa_upper_ci_lower", hi - t * se3);
    rad_doc_num(doc, "loa_upper_ci_upper", hi + t * se3);
    rad_doc_num(doc, "se_loa_3", se3);
    rad_doc_num(doc, "se_loa_exactish", exact);
    rad_doc_num(doc, "max_abs_diff", n ? most : NAN);
    rad_doc_num(doc, "n_changed", changed);
}

static rad_status bland_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *a = NULL, *b = NULL;
    int64_t n = 0;
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st == RAD_OK)
        st = pairs(f, &a, &b, &n, err);
    double *d = rad_new_doubles(f->n);
    if (st == RAD_OK && !d)
        st = rad_no_memory(err);
    if (st == RAD_OK) {
        rad_doc_int(doc, "n", n);
        rad_doc_int(doc, "n_excluded", f->n - n);
        put_bland(a, b, n, level, doc, d);
        if (n < 2)
            rad_doc_reason(doc, n ? "one pair: no spread" : "no complete pair");
    }
    free(a);
    free(b);
    free(d);
    return st;
}

/* Lin 1989 with n-denominators; limits by the z transform (as epiR). */
static rad_status ccc_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *a = NULL, *b = NULL, ma, va, mb, vb, s = 0;
    int64_t n = 0;
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    if (st == RAD_OK)
        st = pairs(f, &a, &b, &n, err);
    if (st != RAD_OK)
        return st;
    const double nd = (double)n;
    rad_mean_var(a, n, &ma, &va);
    rad_mean_var(b, n, &mb, &vb);
    for (int64_t i = 0; i < n; i++)
        s += (a[i] - ma) * (b[i] - mb);
    const double gap = (ma - mb) * (ma - mb), k = (nd - 1) / nd, den = k * (va + vb) + gap;
    const bool same = va == vb && gap == 0 && s == va * (nd - 1);
    const double ccc = n < 2 ? NAN : den > 0 ? (same ? 1 : 2 * s / nd / den) : NAN;
    const double r = va > 0 && vb > 0 ? (same ? 1 : s / (nd - 1) / sqrt(va * vb)) : NAN;
    const double u = (mb - ma) / sqrt(sqrt(k * va) * sqrt(k * vb)), c2 = ccc * ccc;
    /* Lin 1989, corrected 2000; atanh(1) has no variance */
    const double var = (1 - r * r) * c2 * (1 - c2) / (r * r) + 2 * ccc * c2 * (1 - ccc) * u * u / r - c2 * c2 * u * u * u * u / (2 * r * r);
    const double sep = sqrt(var / (nd - 2)), set = sep / (1 - c2), z = rad_z_level(level);
    const bool limits = n > 2 && fabs(ccc) < 1;
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_excluded", f->n - n);
    rad_doc_num(doc, "ccc", ccc);
    rad_doc_num(doc, "lower", limits ? tanh(atanh(ccc) - z * set) : ccc);
    rad_doc_num(doc, "upper", limits ? tanh(atanh(ccc) + z * set) : ccc);
    rad_doc_num(doc, "pearson", r);
    rad_doc_num(doc, "c_b", isnan(r) ? NAN : ccc / r);
    rad_doc_num(doc, "scale_shift", va > 0 ? sqrt(vb) / sqrt(va) : NAN);
    rad_doc_num(doc, "location_shift", u);
    rad_doc_num(doc, "ccc_nminus1", n > 1 && va + vb + gap > 0 ? (same ? 1 : 2 * s / (nd - 1) / (va + vb + gap)) : NAN);
    if (isnan(ccc))
        rad_doc_reason(doc, n < 2 ? "fewer than two pairs" : "both columns are one constant: undefined");
    else if (!limits)
        rad_doc_reason(doc, "perfect agreement: the interval is a point");
    free(a);
    free(b);
    return st;
}

/* ---------------------------------------------------------------- ICC */

static void put_icc(rad_doc *doc, const char *name, double icc, double lower, double upper, double f) {
    char key[40];
    const struct {
        const char *suffix;
        double x;
    } out[] = {{"", icc}, {"_lower", lower}, {"_upper", upper}, {"_F", f}};
    for (size_t i = 0; i < sizeof out / sizeof *out; i++) {
        snprintf(key, sizeof key, "icc_%s%s", name, out[i].suffix);
        rad_doc_num(doc, key, out[i].x);
    }
}

static double q_f(double p, double d1, double d2) {
    return isfinite(d1) && isfinite(d2) && d1 > 0 && d2 > 0 ? gsl_cdf_fdist_Pinv(p, d1, d2) : NAN;
}

/* Shrout & Fleiss 1979, McGraw & Wong 1996: one-way random, two-way agreement, two-way consistency; single and mean of k. */
static rad_status icc_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level;
    const int64_t k = f->n_column;
    rad_status st = rad_arg_fraction(arg, n_arg, 0, "level", 0.95, &level, err);
    int64_t *keep = rad_new_ints(f->n);
    double *col = rad_new_doubles(k);
    if (st == RAD_OK && (!keep || !col))
        st = rad_no_memory(err);
    if (st != RAD_OK) {
        free(keep);
        free(col);
        return st;
    }
    const int64_t n = rad_complete(f, 0, k, keep);
    const double nd = (double)n, kd = (double)k;
    double all = 0, rows = 0, cols = 0, total = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++) {
            all += f->column[c].value[keep[i]] / (nd * kd);
            col[c] += f->column[c].value[keep[i]] / nd;
        }
    double within = 0; /* spread around each row's mean, computed directly: 0 for identical columns */
    for (int64_t i = 0; i < n; i++) {
        double mean = 0;
        for (int64_t c = 0; c < k; c++)
            mean += (f->column[c].value[keep[i]] - f->column[0].value[keep[i]]) / kd;
        mean += f->column[0].value[keep[i]];
        rows += kd * (mean - all) * (mean - all);
        for (int64_t c = 0; c < k; c++) {
            const double x = f->column[c].value[keep[i]];
            within += (x - mean) * (x - mean);
            total += (x - all) * (x - all);
        }
    }
    for (int64_t c = 0; c < k; c++)
        cols += nd * (col[c] - all) * (col[c] - all);
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_excluded", f->n - n);
    rad_doc_int(doc, "k", k);
    const double msr = rows / (nd - 1), msw = within / (nd * (kd - 1)), msc = cols / (kd - 1),
                 mse = rad_at_least(within - cols, 0) / ((nd - 1) * (kd - 1));
    if (n < 2 || k < 2 || !(total > 0)) {
        rad_doc_reason(doc, n < 2 || k < 2 ? "at least two complete rows and two columns are needed" : "all values are equal");
        goto out;
    }
    const double tail = (1 - level) / 2, up = 1 - tail;
    const double f1 = msr / msw, f1l = f1 / q_f(up, nd - 1, nd * (kd - 1)), f1u = f1 * q_f(up, nd * (kd - 1), nd - 1);
    const double f3 = msr / mse, df3 = (nd - 1) * (kd - 1), f3l = f3 / q_f(up, nd - 1, df3), f3u = f3 * q_f(up, df3, nd - 1);
    const bool perfect = within == 0;
    put_icc(doc, "1_1", (msr - msw) / (msr + (kd - 1) * msw), perfect ? 1 : (f1l - 1) / (f1l + kd - 1),
            perfect ? 1 : (f1u - 1) / (f1u + kd - 1), f1);
    put_icc(doc, "1_k", (msr - msw) / msr, perfect ? 1 : 1 - 1 / f1l, perfect ? 1 : 1 - 1 / f1u, f1);
    put_icc(doc, "3_1", (msr - mse) / (msr + (kd - 1) * mse), perfect ? 1 : (f3l - 1) / (f3l + kd - 1),
            perfect ? 1 : (f3u - 1) / (f3u + kd - 1), f3);
    put_icc(doc, "3_k", (msr - mse) / msr, perfect ? 1 : 1 - 1 / f3l, perfect ? 1 : 1 - 1 / f3u, f3);
    /* agreement: Satterthwaite degrees of freedom */
    const double r = (msr - mse) / (msr + (kd - 1) * mse + kd / nd * (msc - mse)), a = kd * r / (nd * (1 - r)),
                 b = 1 + kd * r * (nd - 1) / (nd * (1 - r));
    const double v = (a * msc + b * mse) * (a * msc + b * mse) / (a * msc * a * msc / (kd - 1) + b * mse * b * mse / df3);
    const double fl = q_f(up, nd - 1, v), fu = q_f(up, v, nd - 1);
    const double lo = nd * (msr - fl * mse) / (fl * (kd * msc + (kd * nd - kd - nd) * mse) + nd * msr);
    const double hi = nd * (fu * msr - mse) / (kd * msc + (kd * nd - kd - nd) * mse + nd * fu * msr);
    put_icc(doc, "2_1", r, perfect ? 1 : lo, perfect ? 1 : hi, f3);
    const double rk = (msr - mse) / (msr + (msc - mse) / nd);
    /* as irr::icc: the degrees of freedom restart from ICC(A,k) in the formula of ICC(A,1) */
    const double ak = kd * rk / (nd * (1 - rk)), bk = 1 + kd * rk * (nd - 1) / (nd * (1 - rk));
    const double vk = (ak * msc + bk * mse) * (ak * msc + bk * mse) / (ak * msc * ak * msc / (kd - 1) + bk * mse * bk * mse / df3);
    const double flk = q_f(up, nd - 1, vk), fuk = q_f(up, vk, nd - 1);
    put_icc(doc, "2_k", rk, perfect ? 1 : nd * (msr - flk * mse) / (flk * (msc - mse) + nd * msr),
            perfect ? 1 : nd * (fuk * msr - mse) / (msc - mse + nd * fuk * msr), f3);
    if (perfect)
        rad_doc_reason(doc, "perfect agreement: the interval is a point");
out:
    free(keep);
    free(col);
    return st;
}

/* ---------------------------------------------------------------- tests of paired numbers, flips */

static rad_status paired_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    double *a = NULL, *b = NULL, mean, var, ties = 0, v = 0, mae = 0, mse = 0, pos = 0, neg = 0;
    int64_t n = 0, m = 0;
    rad_status st = pairs(f, &a, &b, &n, err);
    double *d = rad_new_doubles(f->n), *size = rad_new_doubles(f->n), *rank = rad_new_doubles(f->n), *rank2 = rad_new_doubles(f->n);
    if (st == RAD_OK && (!d || !size || !rank || !rank2))
        st = rad_no_memory(err);
    if (st != RAD_OK)
        goto out;
    const double nd = (double)n;
    for (int64_t i = 0; i < n; i++) {
        d[i] = a[i] - b[i];
        mae += fabs(d[i]) / nd;
        mse += d[i] * d[i] / nd;
        pos += d[i] > 0;
        neg += d[i] < 0;
    }
    rad_mean_var(d, n, &mean, &var);
    const double t = var > 0 ? mean / sqrt(var / nd) : NAN;
    for (int64_t i = 0; i < n; i++)
        if (d[i] != 0)
            d[m++] = d[i];
    for (int64_t i = 0; i < m; i++)
        size[i] = fabs(d[i]);
    RAD_TRY(rad_midranks(size, m, rank, &ties, err));
    for (int64_t i = 0; i < m; i++)
        v += d[i] > 0 ? rank[i] : 0;
    const double md = (double)m, wv = md * (md + 1) * (2 * md + 1) / 24 - ties / 48, off = v - md * (md + 1) / 4;
    const double corrected = off - (off > 0 ? 0.5 : off < 0 ? -0.5 : 0);
    RAD_TRY(rad_midranks(a, n, rank, NULL, err));
    RAD_TRY(rad_midranks(b, n, rank2, NULL, err));
    double r[2] = {NAN, NAN};
    for (int w = 0; w < 2; w++) {
        const double *x = w ? rank : a, *y = w ? rank2 : b;
        double mx, vx, my, vy, s = 0;
        rad_mean_var(x, n, &mx, &vx);
        rad_mean_var(y, n, &my, &vy);
        for (int64_t i = 0; i < n; i++)
            s += (x[i] - mx) * (y[i] - my);
        if (vx > 0 && vy > 0)
            r[w] = s / (nd - 1) / sqrt(vx) / sqrt(vy);
    }
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_excluded", f->n - n);
    rad_doc_num(doc, "t", t);
    rad_doc_num(doc, "t_p", rad_p_t_two_sided(t, nd - 1));
    rad_doc_num(doc, "wilcoxon_V", v);
    rad_doc_num(doc, "wilcoxon_p", m > 0 && wv > 0 ? rad_p_two_sided(off / sqrt(wv)) : NAN);
    rad_doc_num(doc, "wilcoxon_p_cc", m > 0 && wv > 0 ? rad_p_two_sided(corrected / sqrt(wv)) : NAN);
    rad_doc_num(doc, "sign_p", m > 0 ? rad_at_most(2 * rad_p_binomial((int64_t)fmin(pos, neg), m, 0.5), 1) : NAN);
    rad_doc_num(doc, "pearson", r[0]);
    rad_doc_num(doc, "spearman", r[1]);
    rad_doc_num(doc, "mae", n ? mae : NAN);
    rad_doc_num(doc, "rmse", n ? sqrt(mse) : NAN);
    if (m == 0)
        rad_doc_reason(doc, n ? "no pair differs: no test" : "no complete pair");
out:
    free(a);
    free(b);
    free(d);
    free(size);
    free(rank);
    free(rank2);
    return st;
}

static rad_status flips_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)err;
    const double threshold = rad_arg_num(arg, n_arg, 0, 0.5);
    double t[4] = {0}, missing = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const double a = f->column[0].value[i], b = f->column[1].value[i];
        if (isnan(a) || isnan(b))
            missing++;
        else
            t[(a >= threshold ? 0 : 2) + (b >= threshold ? 0 : 1)]++;
    }
    const double n = t[0] + t[1] + t[2] + t[3], m = t[1] + t[2], chi2 = m > 0 ? (t[1] - t[2]) * (t[1] - t[2]) / m : NAN;
    rad_doc_num(doc, "threshold", threshold);
    rad_doc_num(doc, "n_missing", missing);
    rad_doc_num(doc, "both_pos", t[0]);
    rad_doc_num(doc, "a_only", t[1]);
    rad_doc_num(doc, "b_only", t[2]);
    rad_doc_num(doc, "both_neg", t[3]);
    rad_doc_num(doc, "flip_rate", n > 0 ? m / n : NAN);
    rad_doc_num(doc, "mcnemar_chi2", chi2);
    rad_doc_num(doc, "mcnemar_p", rad_p_chisq(chi2, 1));
    rad_doc_num(doc, "mcnemar_exact_p", rad_at_most(2 * rad_p_binomial((int64_t)fmin(t[1], t[2]), (int64_t)m, 0.5), 1));
    if (m == 0)
        rad_doc_reason(doc, n > 0 ? "no call flipped" : "no complete pair");
    return RAD_OK;
}

/* ---------------------------------------------------------------- PSI */

enum { PSI_MAX_EDGES = 1000 };

/* Columns x, period; constants: baseline, current, edges (text; inner deciles of the baseline when left out), eps. */
static rad_status psi_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    const rad_column *g = &f->column[1];
    const char *name[2] = {rad_arg_text(arg, n_arg, 0, NULL), rad_arg_text(arg, n_arg, 1, NULL)}, *list = rad_arg_text(arg, n_arg, 2, NULL);
    const double eps = rad_arg_num(arg, n_arg, 3, 1e-4);
    int64_t which[2] = {-1, -1}, k = 0, n[2] = {0, 0};
    rad_status st;
    double *edge = rad_new_doubles(PSI_MAX_EDGES), *base = rad_new_doubles(f->n), *share = rad_new_doubles(2 * (PSI_MAX_EDGES + 1));
    if (!edge || !base || !share) {
        st = rad_no_memory(err);
        goto out;
    }
    st = RAD_OK;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; name[s] && i < g->n_level; i++)
            if (strcmp(g->level[i], name[s]) == 0)
                which[s] = i;
    if (which[0] < 0 || which[1] < 0 || which[0] == which[1]) {
        rad_doc_reason(doc, "no such period: name the baseline and the current one");
        goto out;
    }
    if (!(eps > 0 && eps < 1))
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "eps %g: expected a number between 0 and 1", eps));
    for (int64_t i = 0; i < f->n; i++)
        if (g->value[i] == (double)which[0] && !isnan(f->column[0].value[i]))
            base[n[0]++] = f->column[0].value[i];
    if (list) {
        RAD_TRY(rad_arg_numbers(list, "edges", edge, PSI_MAX_EDGES, &k, err));
        for (int64_t i = 1; i < k; i++)
            if (!(edge[i] > edge[i - 1]))
                RAD_TRY(rad_error_set(err, RAD_E_USAGE, "edges: expected rising numbers"));
    } else {
        rad_sort_doubles(base, n[0]);
        for (; k < 9; k++)
            edge[k] = rad_quantile7(base, n[0], (double)(k + 1) / 10);
    }
    n[0] = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const int s = g->value[i] == (double)which[0] ? 0 : g->value[i] == (double)which[1] ? 1 : -1;
        const double x = f->column[0].value[i];
        if (s < 0 || isnan(x))
            continue;
        int64_t b = 0;
        while (b < k && x > edge[b])
            b++;
        share[s * (PSI_MAX_EDGES + 1) + b]++;
        n[s]++;
    }
    if (n[0] == 0 || n[1] == 0) {
        rad_doc_reason(doc, "a period without values");
        goto out;
    }
    rad_doc_open_list(doc, "edges");
    for (int64_t i = 0; i < k; i++)
        rad_doc_num(doc, NULL, edge[i]);
    rad_doc_close(doc);
    const char *const keys[2] = {"p_baseline", "p_current"};
    for (int s = 0; s < 2; s++) {
        rad_doc_open_list(doc, keys[s]);
        for (int64_t b = 0; b <= k; b++)
            rad_doc_num(doc, NULL, share[s * (PSI_MAX_EDGES + 1) + b] /= (double)n[s]);
        rad_doc_close(doc);
    }
    double psi = 0, js = 0;
    for (int64_t b = 0; b <= k; b++) {
        const double p = share[b], q = share[PSI_MAX_EDGES + 1 + b], m = (p + q) / 2, pe = fmax(p, eps), qe = fmax(q, eps);
        psi += (qe - pe) * log(qe / pe);
        js += (p > 0 ? p * log(p / m) / 2 : 0) + (q > 0 ? q * log(q / m) / 2 : 0);
    }
    rad_doc_num(doc, "psi", psi);
    rad_doc_num(doc, "js_divergence", js);
    rad_doc_num(doc, "eps", eps);
out:
    free(edge);
    free(base);
    free(share);
    return st;
}

#define PSI_ARGS "x, period, baseline, current[, edges[, eps = 0.0001]]"

static const rad_stat_function functions[] = {
    {"bland_altman_json", "a, b[, level = 0.95]",
     "bias a - b, limits of agreement bias +- 1.96 sd with limits sqrt(3 s^2 / n) (Bland & Altman 1986, 1999)", NULL, "nn", "n", 2, 0,
     RAD_STAT_AGGREGATE, bland_doc},
    {"icc", "level, x1, x2, ...", "ICC(2,1): two-way random, agreement, single (Shrout & Fleiss 1979)", "icc_2_1", "n+", "n", 3, 0,
     RAD_STAT_AGGREGATE, icc_doc},
    {"icc_json", "level, x1, x2, ...", "all six ICCs with limits (McGraw & Wong 1996)", NULL, "n+", "n", 3, 0, RAD_STAT_AGGREGATE, icc_doc},
    {"ccc", "a, b[, level = 0.95]", "Lin's concordance correlation (1989), n-denominators", "ccc", "nn", "n", 2, 0, RAD_STAT_AGGREGATE,
     ccc_doc},
    {"ccc_json", "a, b[, level = 0.95]", "Lin's concordance with z-transform limits, bias factor and shifts; ccc_nminus1 uses n - 1", NULL,
     "nn", "n", 2, 0, RAD_STAT_AGGREGATE, ccc_doc},
    {"paired_numbers_json", "a, b", "paired t, Wilcoxon signed rank (zeros dropped, tie-corrected), sign test, correlations, MAE, RMSE",
     NULL, "nn", "", 2, 0, RAD_STAT_AGGREGATE, paired_doc},
    {"flips_json", "a, b[, threshold = 0.5]", "calls (>= threshold) that differ between two runs, with McNemar's test", NULL, "nn", "n", 2,
     RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, flips_doc},
    {"flip_rate", "a, b[, threshold = 0.5]", "share of calls that differ between two runs", "flip_rate", "nn", "n", 2, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, flips_doc},
    {"psi", PSI_ARGS, "population stability index; edges '0.1,0.2', inner deciles of the baseline when left out; bins (lo, hi]", "psi",
     "nc", "tttn", 4, 0, RAD_STAT_AGGREGATE, psi_doc},
    {"psi_json", PSI_ARGS, "PSI with edges and shares, Jensen-Shannon divergence (no eps)", NULL, "nc", "tttn", 4, 0, RAD_STAT_AGGREGATE,
     psi_doc},
};
RAD_STAT_TOPIC(rad_topic_drift, functions);
