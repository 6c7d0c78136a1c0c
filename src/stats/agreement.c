/* agreement: two or more raters on categories. */
#include "agreement.h"

#include "impl.h"

static double weight(int64_t i, int64_t j, int64_t k, rad_weights w) {
    const double d = k > 1 ? fabs((double)(i - j)) / (double)(k - 1) : 0;
    return w == RAD_WEIGHTS_NONE ? (i == j ? 1 : 0) : w == RAD_WEIGHTS_LINEAR ? 1 - d : 1 - d * d;
}

rad_status rad_kappa_of(const double *table, int64_t k, rad_weights weights, rad_kappa *ret, rad_error *err) {
    rad_kappa r = {.kappa = NAN, .se = NAN, .se0 = NAN, .po = NAN, .pe = NAN};
    double *row = rad_new_doubles(k), *col = rad_new_doubles(k), *wi = rad_new_doubles(k), *wj = rad_new_doubles(k);
    if (!row || !col || !wi || !wj) {
        free(row);
        free(col);
        free(wi);
        free(wj);
        return rad_no_memory(err);
    }
    double po = 0, pe = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            r.n += table[i * k + j];
            row[i] += table[i * k + j];
            col[j] += table[i * k + j];
            po += weight(i, j, k, weights) * table[i * k + j];
        }
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            const double w = weight(i, j, k, weights);
            pe += w * row[i] * col[j];
            wi[i] += w * col[j] / r.n; /* mean weight of row i over the other rater's margin, and of column j */
            wj[j] += w * row[i] / r.n;
        }
    if (r.n > 0) {
        r.po = po / r.n;
        r.pe = pe / (r.n * r.n);
        if (pe < r.n * r.n) /* equal: both constant on one category */
            r.kappa = (r.po - r.pe) / (1 - r.pe);
    }
    if (!isnan(r.kappa)) {
        double s = 0, s0 = 0;
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < k; j++) {
                const double w = weight(i, j, k, weights), e = w * (1 - r.pe) - (wi[i] + wj[j]) * (1 - r.po), e0 = w - (wi[i] + wj[j]);
                s += table[i * k + j] / r.n * e * e;
                s0 += row[i] * col[j] / (r.n * r.n) * e0 * e0;
            }
        const double c = r.po * r.pe - 2 * r.pe + r.po;
        r.se = sqrt(rad_at_least(s - c * c, 0)) / ((1 - r.pe) * (1 - r.pe) * sqrt(r.n));
        r.se0 = sqrt(rad_at_least(s0 - r.pe * r.pe, 0)) / ((1 - r.pe) * sqrt(r.n));
    }
    *ret = r;
    free(row);
    free(col);
    free(wi);
    free(wj);
    return RAD_OK;
}

/* Counts of (first, second) over rows complete in both; column 2, when there is one, is the count of the row. */
static rad_status pair_table(const rad_frame *f, const char *list, rad_scale *s, double **ret, double *ret_missing, rad_error *err) {
    rad_status st = rad_scale_init(f, 0, 2, list, s, err);
    if (st != RAD_OK)
        return st;
    double *t = rad_new_doubles(s->n_level * s->n_level);
    if (!t) {
        rad_scale_release(s);
        return rad_no_memory(err);
    }
    *ret_missing = 0;
    for (int64_t i = 0; i < f->n; i++) {
        const int64_t a = s->code[i], b = s->code[f->n + i];
        const double n = f->n_column > 2 ? f->column[2].value[i] : 1;
        if (a < 0 || b < 0 || !(n >= 0))
            (*ret_missing)++;
        else
            t[a * s->n_level + b] += n;
    }
    *ret = t;
    return RAD_OK;
}

static const char *const weight_names[] = {"none", "linear", "quadratic", NULL};

static rad_status kappa_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int w;
    double level, *t = NULL, missing;
    rad_scale s = {0};
    rad_status st;
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 0, "none"), "weights", weight_names, &w, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    RAD_TRY(pair_table(f, rad_arg_text(arg, n_arg, 1, NULL), &s, &t, &missing, err));
    rad_kappa k;
    RAD_TRY(rad_kappa_of(t, s.n_level, (rad_weights)w, &k, err));
    const double z = rad_z_level(level);
    if (isnan(k.kappa))
        rad_doc_reason(doc, k.n > 0 ? "both raters are constant on one category: kappa undefined" : "no complete pair");
    rad_doc_num(doc, "n", k.n);
    rad_doc_num(doc, "n_missing", missing);
    rad_doc_num(doc, "po", k.po);
    rad_doc_num(doc, "pe", k.pe);
    rad_doc_num(doc, "kappa", k.kappa);
    rad_doc_num(doc, "se", k.se);
    rad_doc_num(doc, "se0", k.se0);
    rad_doc_num(doc, "lower", k.kappa - z * k.se);
    rad_doc_num(doc, "upper", k.kappa + z * k.se);
    rad_doc_num(doc, "z", k.se0 > 0 ? k.kappa / k.se0 : NAN);
    rad_doc_num(doc, "p", k.se0 > 0 ? rad_p_two_sided(k.kappa / k.se0) : NAN);
    rad_doc_text(doc, "weights", weight_names[w]);
    rad_doc_int(doc, "n_categories", s.n_level);
out:
    rad_scale_release(&s);
    free(t);
    return st;
}

/* Bowker 1948 and Stuart-Maxwell of a square table. */
static rad_status symmetry_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double *t = NULL, missing, *d = NULL, *v = NULL;
    rad_scale s = {0};
    rad_status st;
    RAD_TRY(pair_table(f, rad_arg_text(arg, n_arg, 0, NULL), &s, &t, &missing, err));
    const int64_t k = s.n_level;
    double chi2 = 0, pairs = 0, n = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++) {
            n += t[i * k + j];
            const double m = t[i * k + j] + t[j * k + i], off = t[i * k + j] - t[j * k + i];
            if (j > i && m > 0) {
                chi2 += off * off / m;
                pairs++;
            }
        }
    const double df = (double)(k * (k - 1)) / 2;
    rad_doc_int(doc, "n", (int64_t)n);
    rad_doc_num(doc, "n_missing", missing);
    rad_doc_num(doc, "chi2", pairs > 0 ? chi2 : NAN);
    rad_doc_num(doc, "df", df);
    rad_doc_num(doc, "p", pairs > 0 ? rad_p_chisq(chi2, df) : NAN);
    rad_doc_num(doc, "df_nonzero_pairs", pairs);
    rad_doc_num(doc, "p_nonzero_pairs", pairs > 0 ? rad_p_chisq(chi2, pairs) : NAN);
    if (pairs == 0)
        rad_doc_reason(doc, "no disagreement: symmetry cannot be tested");
    d = rad_new_doubles(k);
    v = rad_new_doubles(k * k);
    if (!d || !v) {
        st = rad_no_memory(err);
        goto out;
    }
    double sm = NAN;
    int64_t rank = 0;
    for (int64_t i = 0; i < k; i++) {
        double row = 0, col = 0;
        for (int64_t j = 0; j < k; j++) {
            row += t[i * k + j];
            col += t[j * k + i];
            v[i * k + j] = i == j ? 0 : -(t[i * k + j] + t[j * k + i]);
        }
        d[i] = row - col;
        v[i * k + i] = row + col - 2 * t[i * k + i];
    }
    if (k > 0 && pairs > 0) /* the full matrix has rank k - 1: its pseudo-inverse is the usual test with one category left out */
        RAD_TRY(rad_quadratic_pinv(v, d, k, &sm, &rank, err));
    rad_doc_num(doc, "stuart_maxwell_chi2", sm);
    rad_doc_int(doc, "stuart_maxwell_df", rank);
    rad_doc_num(doc, "stuart_maxwell_p", rank > 0 ? rad_p_chisq(sm, (double)rank) : NAN);
out:
    rad_scale_release(&s);
    free(t);
    free(d);
    free(v);
    return st;
}

static rad_status cochran_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    const int64_t k = f->n_column;
    double *col = rad_new_doubles(k), all = 0, squares = 0;
    if (!col)
        return rad_no_memory(err);
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++) {
        double row = 0;
        bool ok = true;
        for (int64_t c = 0; c < k && ok; c++) {
            const double x = f->column[c].value[i];
            ok = x == 0 || x == 1;
            row += x;
        }
        if (!ok)
            continue;
        n++;
        for (int64_t c = 0; c < k; c++)
            col[c] += f->column[c].value[i];
        all += row;
        squares += row * row;
    }
    double sum = 0;
    for (int64_t c = 0; c < k; c++)
        sum += col[c] * col[c];
    const double kd = (double)k, bottom = kd * all - squares;
    const double q = bottom > 0 ? (kd - 1) * (kd * sum - all * all) / bottom : NAN;
    rad_doc_int(doc, "n", n);
    rad_doc_int(doc, "n_missing", f->n - n);
    rad_doc_num(doc, "q", q);
    rad_doc_int(doc, "df", k - 1);
    rad_doc_num(doc, "p", rad_p_chisq(q, kd - 1));
    if (isnan(q))
        rad_doc_reason(doc, "no case on which the columns differ: no test");
    free(col);
    return RAD_OK;
}

/* ---------------------------------------------------------------- many raters */

typedef struct ratings { /* count[i * k + c]: raters that put item i into category c; m[i] of them */
    int64_t n, k, raters;
    double *count, *m;
    rad_scale scale;
} ratings;

static void ratings_release(ratings *r) {
    free(r->count);
    free(r->m);
    rad_scale_release(&r->scale);
}

static rad_status ratings_init(const rad_frame *f, const char *list, bool complete, ratings *r, rad_error *err) {
    rad_status st = rad_scale_init(f, 0, f->n_column, list, &r->scale, err);
    if (st != RAD_OK)
        return st;
    r->k = r->scale.n_level;
    r->raters = f->n_column;
    r->count = rad_new_doubles(f->n * r->k);
    r->m = rad_new_doubles(f->n);
    if (!r->count || !r->m)
        return rad_no_memory(err);
    for (int64_t i = 0; i < f->n; i++) {
        double m = 0;
        for (int64_t c = 0; c < f->n_column; c++) {
            const int64_t v = r->scale.code[c * f->n + i];
            if (v >= 0) {
                r->count[r->n * r->k + v]++;
                m++;
            }
        }
        if (complete ? m == (double)f->n_column : m > 0)
            r->m[r->n++] = m;
        else
            memset(r->count + r->n * r->k, 0, (size_t)r->k * sizeof *r->count);
    }
    return RAD_OK;
}

static void put_fleiss(const ratings *r, rad_doc *doc) {
    const double n = (double)r->n, m = (double)r->raters;
    double agree = 0, pe = 0, pq = 0, pqd = 0;
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t c = 0; c < r->k; c++)
            agree += r->count[i * r->k + c] * (r->count[i * r->k + c] - 1);
    agree /= n * m * (m - 1);
    for (int64_t c = 0; c < r->k; c++) {
        double p = 0;
        for (int64_t i = 0; i < r->n; i++)
            p += r->count[i * r->k + c] / (n * m);
        pe += p * p;
        pq += p * (1 - p);
        pqd += p * (1 - p) * (1 - 2 * p);
    }
    const double kappa = pe < 1 ? (agree - pe) / (1 - pe) : NAN;
    const double se = sqrt(2 / (pq * pq * n * m * (m - 1)) * (pq * pq - pqd));
    rad_doc_num(doc, "kappa", kappa);
    rad_doc_num(doc, "se0", se);
    rad_doc_num(doc, "z", se > 0 ? kappa / se : NAN);
    rad_doc_num(doc, "p", se > 0 ? rad_p_two_sided(kappa / se) : NAN);
    rad_doc_open(doc, "by_category");
    for (int64_t c = 0; c < r->k; c++) {
        double p = 0, s = 0;
        for (int64_t i = 0; i < r->n; i++) {
            p += r->count[i * r->k + c] / (n * m);
            s += r->count[i * r->k + c] * r->count[i * r->k + c];
        }
        const double pj = (s - n * m * p) / (n * m * (m - 1) * p);
        rad_doc_num(doc, r->scale.level[c], p > 0 && p < 1 ? (pj - p) / (1 - p) : NAN);
    }
    rad_doc_close(doc);
    if (isnan(kappa))
        rad_doc_reason(doc, "all ratings are one category: kappa undefined");
}

static rad_status fleiss_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    ratings r = {0};
    const char *list = rad_arg_text(arg, n_arg, 0, NULL);
    const rad_status st = ratings_init(f, list && *list ? list : NULL, true, &r, err);
    if (st == RAD_OK) {
        rad_doc_int(doc, "n", r.n);
        rad_doc_int(doc, "n_missing", f->n - r.n);
        rad_doc_int(doc, "raters", r.raters);
        if (r.n > 0 && r.raters > 1)
            put_fleiss(&r, doc);
        else
            rad_doc_reason(doc, r.n == 0 ? "no item rated by all" : "one rater only");
    }
    ratings_release(&r);
    return st;
}

/* Gwet 2008, items with missing ratings allowed (his 2014 form of pa, pi and the variance). */
static void put_gwet(const ratings *r, double level, rad_doc *doc) {
    double pa = 0, pe = 0, n2 = 0;
    const double n = (double)r->n, q = (double)r->k;
    double ac1 = NAN, var = NAN;
    for (int64_t i = 0; i < r->n; i++) {
        if (r->m[i] < 2)
            continue;
        double s = 0;
        for (int64_t c = 0; c < r->k; c++)
            s += r->count[i * r->k + c] * (r->count[i * r->k + c] - 1);
        pa += s / (r->m[i] * (r->m[i] - 1));
        n2++;
    }
    pa /= n2;
    double pi[RAD_SCALE_MAX];
    for (int64_t c = 0; c < r->k; c++) {
        pi[c] = 0;
        for (int64_t i = 0; i < r->n; i++)
            pi[c] += r->count[i * r->k + c] / r->m[i] / n;
        pe += pi[c] * (1 - pi[c]);
    }
    pe /= q - 1;
    if (n2 > 0 && q > 1) {
        ac1 = (pa - pe) / (1 - pe);
        double sum = 0;
        for (int64_t i = 0; i < r->n; i++) {
            double s = 0, e = 0;
            for (int64_t c = 0; c < r->k; c++) {
                s += r->count[i * r->k + c] * (r->count[i * r->k + c] - 1);
                e += r->count[i * r->k + c] / r->m[i] * (1 - pi[c]);
            }
            const double pai = r->m[i] > 1 ? n / n2 * s / (r->m[i] * (r->m[i] - 1)) : 0;
            const double x = (pai - (r->m[i] > 1 ? n / n2 : 0) * pe) / (1 - pe) - 2 * (1 - ac1) * (e / (q - 1) - pe) / (1 - pe);
            sum += (x - ac1) * (x - ac1);
        }
        var = r->n > 1 ? sum / (n * (n - 1)) : NAN;
    } else {
        rad_doc_reason(doc, n2 > 0 ? "one category only: AC1 undefined" : "no item with two ratings");
    }
    const double t = r->n > 1 ? rad_q_t(0.5 + level / 2, n - 1) : NAN;
    rad_doc_num(doc, "pa", pa);
    rad_doc_num(doc, "pe", pe);
    rad_doc_num(doc, "ac1", ac1);
    rad_doc_num(doc, "se", sqrt(var));
    rad_doc_num(doc, "lower", ac1 - t * sqrt(var));
    rad_doc_num(doc, "upper", rad_at_most(ac1 + t * sqrt(var), 1));
}

static rad_status gwet_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    ratings r = {0};
    const char *list = rad_arg_text(arg, n_arg, 0, NULL);
    const rad_status st = ratings_init(f, list && *list ? list : NULL, false, &r, err);
    if (st == RAD_OK) {
        rad_doc_int(doc, "n", r.n);
        rad_doc_int(doc, "raters", r.raters);
        put_gwet(&r, 0.95, doc);
    }
    ratings_release(&r);
    return st;
}

static const char *const alpha_levels[] = {"nominal", "ordinal", "interval", NULL};

/* Krippendorff's alpha: 1 - observed over expected disagreement of the coincidence matrix. */
static rad_status alpha_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int how;
    ratings r = {0};
    double *o = NULL, *margin = NULL;
    rad_status st;
    const char *list = rad_arg_text(arg, n_arg, 1, NULL);
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 0, "nominal"), "measurement", alpha_levels, &how, err));
    RAD_TRY(ratings_init(f, list && *list ? list : NULL, false, &r, err));
    const int64_t k = r.k;
    o = rad_new_doubles(k * k);
    margin = rad_new_doubles(k);
    if (!o || !margin) {
        st = rad_no_memory(err);
        goto out;
    }
    double n = 0, observed = 0, expected = 0;
    int64_t units = 0;
    bool complete = r.n == f->n;
    for (int64_t i = 0; i < r.n; i++) {
        complete = complete && r.m[i] == (double)r.raters;
        if (r.m[i] < 2)
            continue;
        units++;
        for (int64_t a = 0; a < k; a++)
            for (int64_t b = 0; b < k; b++)
                o[a * k + b] += r.count[i * k + a] * (r.count[i * k + b] - (a == b ? 1 : 0)) / (r.m[i] - 1);
    }
    for (int64_t a = 0; a < k; a++)
        for (int64_t b = 0; b < k; b++)
            margin[a] += o[a * k + b];
    for (int64_t a = 0; a < k; a++)
        n += margin[a];
    for (int64_t a = 0; a < k; a++)
        for (int64_t b = a + 1; b < k; b++) {
            double delta = 1, x, y;
            if (how == 1) {
                delta = -(margin[a] + margin[b]) / 2;
                for (int64_t g = a; g <= b; g++)
                    delta += margin[g];
                delta *= delta;
            } else if (how == 2) {
                if (!rad_parse_double(r.scale.level[a], &x) || !rad_parse_double(r.scale.level[b], &y))
                    RAD_TRY(rad_error_set(err, RAD_E_USAGE, "alpha for intervals needs numbers as categories, got '%s'", r.scale.level[a]));
                delta = (x - y) * (x - y);
            }
            observed += delta * o[a * k + b];
            expected += delta * margin[a] * margin[b];
        }
    const double alpha = expected > 0 ? 1 - (n - 1) * observed / expected : NAN;
    /* irr::kripp.alpha leaves out the division by m - 1 when no rating is missing, which moves its n - 1 */
    const double scale = complete ? (double)(f->n_column - 1) : 1;
    rad_doc_int(doc, "n", units);
    rad_doc_int(doc, "raters", r.raters);
    rad_doc_num(doc, "alpha", alpha);
    rad_doc_num(doc, "alpha_irr", expected > 0 ? 1 - (n * scale - 1) / scale * observed / expected : NAN);
    rad_doc_text(doc, "measurement", alpha_levels[how]);
    if (isnan(alpha))
        rad_doc_reason(doc, "no variation among the ratings: alpha undefined");
out:
    ratings_release(&r);
    free(o);
    free(margin);
    return st;
}

#define KAPPA(name, what, field)                                                                                                           \
    {                                                                                                                                      \
        name, "rating1, rating2[, weights = 'none'[, categories[, level = 0.95]]]", what, field, "cc", "ttn", 2, RAD_STAT_ORDER_FREE,      \
            RAD_STAT_AGGREGATE, kappa_doc                                                                                                  \
    }

static const rad_stat_function functions[] = {
    KAPPA("kappa", "Cohen's kappa; weights 'none', 'linear', 'quadratic' over the categories 'a,b,c' (all that occur when left out)",
          "kappa"),
    KAPPA("kappa_lower", "lower limit with the non-null standard error (Fleiss, Cohen & Everitt 1969)", "lower"),
    KAPPA("kappa_upper", "upper limit with the non-null standard error", "upper"),
    KAPPA("kappa_json", "kappa with non-null and null standard errors, z test, observed and expected agreement", NULL),
    {"kappa_counts_json", "rating1, rating2, n[, weights = 'none'[, categories[, level = 0.95]]]", "kappa from counts", NULL, "ccn", "ttn",
     3, 0, RAD_STAT_AGGREGATE, kappa_doc},
    {"bowker_p", "rating1, rating2[, categories]", "p of Bowker's test of symmetry; empty pairs stay in the degrees of freedom (as R)", "p",
     "cc", "t", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, symmetry_doc},
    {"bowker_json", "rating1, rating2[, categories]", "Bowker 1948 symmetry and Stuart-Maxwell marginal homogeneity", NULL, "cc", "t", 2,
     RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, symmetry_doc},
    {"bowker_counts_json", "rating1, rating2, n[, categories]", "the same from counts", NULL, "ccn", "t", 3, 0, RAD_STAT_AGGREGATE,
     symmetry_doc},
    {"cochran_q_json", "x1, x2, ...", "Cochran's Q of k 0/1 columns on the same cases: (k-1)(k sum C^2 - N^2) / (kN - sum L^2)", NULL, "n+",
     "", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, cochran_doc},
    {"cochran_q_p", "x1, x2, ...", "p of Cochran's Q", "p", "n+", "", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, cochran_doc},
    {"fleiss_kappa", "categories, rating1, rating2, ...", "Fleiss' kappa of items rated by all (categories NULL: all that occur)", "kappa",
     "c+", "t", 3, 0, RAD_STAT_AGGREGATE, fleiss_doc},
    {"fleiss_kappa_json", "categories, rating1, rating2, ...", "Fleiss' kappa with the 1979 null standard error and kappa by category",
     NULL, "c+", "t", 3, 0, RAD_STAT_AGGREGATE, fleiss_doc},
    {"gwet_ac1", "categories, rating1, rating2, ...", "Gwet's AC1 (2008), missing ratings allowed", "ac1", "c+", "t", 3, 0,
     RAD_STAT_AGGREGATE, gwet_doc},
    {"gwet_ac1_json", "categories, rating1, rating2, ...", "Gwet's AC1 with his variance over items and t interval", NULL, "c+", "t", 3, 0,
     RAD_STAT_AGGREGATE, gwet_doc},
    {"krippendorff_alpha", "measurement, categories, rating1, rating2, ...",
     "Krippendorff's alpha, 'nominal', 'ordinal' or 'interval'; missing ratings allowed", "alpha", "c+", "tt", 4, 0, RAD_STAT_AGGREGATE,
     alpha_doc},
    {"krippendorff_alpha_json", "measurement, categories, rating1, rating2, ...", "Krippendorff's alpha as JSON", NULL, "c+", "tt", 4, 0,
     RAD_STAT_AGGREGATE, alpha_doc},
};
RAD_STAT_TOPIC(rad_topic_agreement, functions);
