/* contingency: two categories against each other. */
#include "impl.h"
#include "proportion.h"

/* Tables of two columns that Fisher's test enumerates; above that it is left out by name. */
#define FISHER_MAX_TABLES 20000000.0

typedef struct cross {
    int64_t r, c;
    double n, missing;
    double *cell, *row, *col;
    const char *const *row_name, *const *col_name;
} cross;

static void release(cross *t) {
    free(t->cell);
    free(t->row);
    free(t->col);
}

static rad_status init(const rad_frame *f, int64_t a, int64_t b, cross *t, rad_error *err) {
    const rad_column *x = &f->column[a], *y = &f->column[b];
    t->r = x->n_level;
    t->c = y->n_level;
    t->row_name = x->level;
    t->col_name = y->level;
    if (t->r > RAD_SCALE_MAX || t->c > RAD_SCALE_MAX)
        return rad_error_set(err, RAD_E_LIMIT, "more than %d categories", RAD_SCALE_MAX);
    t->cell = rad_new_doubles(t->r * t->c);
    t->row = rad_new_doubles(t->r);
    t->col = rad_new_doubles(t->c);
    if (!t->cell || !t->row || !t->col)
        return rad_no_memory(err);
    for (int64_t i = 0; i < f->n; i++) {
        if (isnan(x->value[i]) || isnan(y->value[i])) {
            t->missing++;
            continue;
        }
        const int64_t r = (int64_t)x->value[i], c = (int64_t)y->value[i];
        t->cell[r * t->c + c]++;
        t->row[r]++;
        t->col[c]++;
        t->n++;
    }
    return RAD_OK;
}

typedef struct fisher {
    const cross *t;
    bool by_rows; /* the long side are the rows, the two categories the columns */
    int64_t k;
    double mine, part, all, top;
} fisher;

/* Walks all tables with the same margins along the long side; `left` = what the first of the two categories still has to give. */
static void walk(fisher *f, int64_t at, double left, double weight) {
    const double m = f->by_rows ? f->t->row[at] : f->t->col[at];
    if (at == f->k - 1) {
        if (left < 0 || left > m)
            return;
        const double w = weight - lgamma(left + 1) - lgamma(m - left + 1), p = exp(w - f->top);
        f->all += p;
        if (w <= f->mine + 1e-7)
            f->part += p;
        return;
    }
    for (double x = 0; x <= fmin(m, left); x++)
        walk(f, at + 1, left - x, weight - lgamma(x + 1) - lgamma(m - x + 1));
}

/* Exact p of an r x 2 (or 2 x c) table; NaN when it has more than two of both or too many tables. */
static double fisher_p(const cross *t) {
    if ((t->r != 2 && t->c != 2) || t->r < 2 || t->c < 2)
        return NAN;
    fisher f = {.t = t, .by_rows = t->c == 2};
    f.k = f.by_rows ? t->r : t->c;
    double tables = 1;
    for (int64_t i = 0; i < f.k; i++) {
        const double m = f.by_rows ? t->row[i] : t->col[i], x = f.by_rows ? t->cell[i * 2] : t->cell[i];
        f.mine -= lgamma(x + 1) + lgamma(m - x + 1);
        if (i + 1 < f.k)
            tables *= m + 1;
    }
    if (tables > FISHER_MAX_TABLES)
        return NAN;
    f.top = f.mine;
    walk(&f, 0, f.by_rows ? t->col[0] : t->row[0], 0);
    return rad_at_most(f.part / f.all, 1);
}

static void put_tests(const cross *t, rad_doc *doc) {
    double chi2 = 0, g = 0, least = INFINITY, small = 0, rows = 0, cols = 0;
    for (int64_t i = 0; i < t->r; i++)
        rows += t->row[i] > 0;
    for (int64_t j = 0; j < t->c; j++)
        cols += t->col[j] > 0;
    const double df = (rows - 1) * (cols - 1);
    for (int64_t i = 0; i < t->r; i++)
        for (int64_t j = 0; j < t->c; j++) {
            const double e = t->row[i] * t->col[j] / t->n, o = t->cell[i * t->c + j];
            if (!(e > 0))
                continue;
            chi2 += (o - e) * (o - e) / e;
            g += o > 0 ? 2 * o * log(o / e) : 0;
            least = fmin(least, e);
            small += e < 5;
        }
    const bool ok = df > 0;
    const double v = sqrt(chi2 / t->n / fmin(rows - 1, cols - 1));
    rad_doc_num(doc, "chi2", ok ? chi2 : NAN);
    rad_doc_num(doc, "df", ok ? df : NAN);
    rad_doc_num(doc, "p", ok ? rad_p_chisq(chi2, df) : NAN);
    rad_doc_num(doc, "g_lr", ok ? g : NAN);
    rad_doc_num(doc, "g_p", ok ? rad_p_chisq(g, df) : NAN);
    rad_doc_num(doc, "cramers_v", ok ? v : NAN);
    rad_doc_num(doc, "min_expected", ok ? least : NAN);
    rad_doc_num(doc, "n_expected_lt5", small);
    double yates = NAN, exact = NAN;
    if (t->r == 2 && t->c == 2 && ok)
        yates = rad_chisq_2x2(t->cell[0], t->cell[1], t->cell[2], t->cell[3], true);
    if (ok)
        exact = fisher_p(t);
    rad_doc_num(doc, "chi2_yates", yates);
    rad_doc_num(doc, "p_yates", rad_p_chisq(yates, 1));
    rad_doc_num(doc, "p_fisher", exact);
    if (!ok)
        rad_doc_reason(doc, t->n > 0 ? "one of the variables is constant: no test" : "no complete case");
    else if (small > 0)
        rad_doc_reason(doc, "%.0f expected counts below 5: read Fisher's p", small);
}

static rad_status contingency_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    cross t = {0};
    const rad_status st = init(f, 0, 1, &t, err);
    if (st == RAD_OK) {
        rad_doc_num(doc, "n", t.n);
        rad_doc_num(doc, "n_missing", t.missing);
        rad_doc_open_list(doc, "rows");
        for (int64_t i = 0; i < t.r; i++)
            rad_doc_text(doc, NULL, t.row_name[i]);
        rad_doc_close(doc);
        rad_doc_open_list(doc, "cols");
        for (int64_t j = 0; j < t.c; j++)
            rad_doc_text(doc, NULL, t.col_name[j]);
        rad_doc_close(doc);
        rad_doc_open_list(doc, "counts");
        for (int64_t i = 0; i < t.r; i++) {
            rad_doc_open_list(doc, NULL);
            for (int64_t j = 0; j < t.c; j++)
                rad_doc_int(doc, NULL, (int64_t)t.cell[i * t.c + j]);
            rad_doc_close(doc);
        }
        rad_doc_close(doc);
        put_tests(&t, doc);
    }
    release(&t);
    return st;
}

/* Yang & Dalton 2012: sqrt(d' S^- d), d the difference of the shares, S the mean of the two multinomial covariances. */
static rad_status smd(const cross *t, int64_t a, int64_t b, double *ret, rad_error *err) {
    const int64_t k = t->c;
    double *s = rad_new_doubles(k * k), *d = rad_new_doubles(k), q = NAN;
    int64_t rank = 0;
    rad_status st = s && d ? RAD_OK : rad_no_memory(err);
    *ret = NAN;
    if (st == RAD_OK && t->row[a] > 0 && t->row[b] > 0) {
        bool same = true;
        for (int64_t i = 0; i < k; i++) {
            const double p = t->cell[a * k + i] / t->row[a], u = t->cell[b * k + i] / t->row[b];
            d[i] = p - u;
            same = same && d[i] == 0;
            for (int64_t j = 0; j < k; j++) {
                const double pj = t->cell[a * k + j] / t->row[a], uj = t->cell[b * k + j] / t->row[b];
                s[i * k + j] = ((i == j ? p : 0) - p * pj + (i == j ? u : 0) - u * uj) / 2;
            }
        }
        /* the pseudo-inverse of the full matrix equals leaving one category out, as d sums to 0 */
        st = rad_quadratic_pinv(s, d, k, &q, &rank, err);
        if (st == RAD_OK)
            *ret = rank > 0 ? sqrt(q) : same ? 0 : INFINITY;
    }
    free(s);
    free(d);
    return st;
}

static int64_t level_of(const rad_column *c, const char *name) {
    for (int64_t k = 0; name && k < c->n_level; k++)
        if (strcmp(c->level[k], name) == 0)
            return k;
    return -1;
}

static rad_status smd_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    cross t = {0};
    double value = NAN;
    rad_status st = init(f, 1, 0, &t, err); /* rows: groups */
    if (st == RAD_OK) {
        int64_t a = level_of(&f->column[1], rad_arg_text(arg, n_arg, 0, NULL)),
                b = level_of(&f->column[1], rad_arg_text(arg, n_arg, 1, NULL));
        if (n_arg < 2 && t.r == 2) {
            a = 0;
            b = 1;
        }
        if (a < 0 || b < 0)
            rad_doc_reason(doc, "no such group: name two of the groups");
        else
            st = smd(&t, a, b, &value, err);
    }
    rad_doc_num(doc, "smd", value);
    release(&t);
    return st;
}

static rad_status psi_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    cross t = {0};
    rad_status st = init(f, 1, 0, &t, err);
    const double eps = rad_arg_num(arg, n_arg, 2, 1e-4);
    const int64_t a = level_of(&f->column[1], rad_arg_text(arg, n_arg, 0, NULL)),
                  b = level_of(&f->column[1], rad_arg_text(arg, n_arg, 1, NULL));
    if (st == RAD_OK && (a < 0 || b < 0 || a == b))
        rad_doc_reason(doc, "no such period: name the baseline and the current one");
    else if (st == RAD_OK) {
        cross two = {.r = 2, .c = t.c};
        two.cell = rad_new_doubles(2 * t.c);
        two.row = rad_new_doubles(2);
        two.col = rad_new_doubles(t.c);
        if (!two.cell || !two.row || !two.col) {
            st = rad_no_memory(err);
        } else {
            double psi = 0;
            const char *const names[2] = {"p_baseline", "p_current"};
            rad_doc_open_list(doc, "levels");
            for (int64_t j = 0; j < t.c; j++)
                rad_doc_text(doc, NULL, t.col_name[j]);
            rad_doc_close(doc);
            for (int s = 0; s < 2; s++) {
                const int64_t r = s ? b : a;
                rad_doc_open_list(doc, names[s]);
                for (int64_t j = 0; j < t.c; j++) {
                    two.cell[s * t.c + j] = t.cell[r * t.c + j];
                    two.col[j] += t.cell[r * t.c + j];
                    two.row[s] += t.cell[r * t.c + j];
                    two.n += t.cell[r * t.c + j];
                    rad_doc_num(doc, NULL, t.cell[r * t.c + j] / t.row[r]);
                }
                rad_doc_close(doc);
            }
            for (int64_t j = 0; j < t.c; j++) {
                const double p = fmax(eps, two.cell[j] / two.row[0]), u = fmax(eps, two.cell[t.c + j] / two.row[1]);
                psi += (u - p) * log(u / p);
            }
            rad_doc_num(doc, "psi", psi);
            rad_doc_num(doc, "eps", eps);
            put_tests(&two, doc);
        }
        release(&two);
    }
    release(&t);
    return st;
}

static const rad_stat_function functions[] = {
    {"contingency_json", "a, b",
     "two categories: counts, chi-square (Yates for 2 x 2: min(1/2, |O - E|)), G test, Cramer's V, smallest expected "
     "count, Fisher's exact test when one of them has two categories",
     NULL, "cc", "", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, contingency_doc},
    {"chisq_p", "a, b", "p of the chi-square test of two categories", "p", "cc", "", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE,
     contingency_doc},
    {"smd_categorical", "category, group[, group1, group2]", "standardised difference of shares (Yang & Dalton 2012), absolute", "smd",
     "cc", "tt", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, smd_doc},
    {"smd_categorical_json", "category, group[, group1, group2]", "the same as JSON", NULL, "cc", "tt", 2, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, smd_doc},
    {"psi_categorical", "category, period, baseline, current[, eps = 0.0001]",
     "population stability index sum (c - b) ln(c / b), shares below eps raised to eps", "psi", "cc", "ttn", 4, RAD_STAT_ORDER_FREE,
     RAD_STAT_AGGREGATE, psi_doc},
    {"psi_categorical_json", "category, period, baseline, current[, eps = 0.0001]", "PSI with shares and the chi-square test", NULL, "cc",
     "ttn", 4, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, psi_doc},
};
RAD_STAT_TOPIC(rad_topic_contingency, functions);
