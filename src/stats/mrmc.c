/* mrmc: several readers, several tests, the same cases (Obuchowski & Rockette 1995; Hillis 2007, 2014; DBM as the same analysis on
 * pseudovalues). Figure of merit: empirical AUC. The design must be fully crossed; cases without all ratings are left out and counted. */
#include "impl.h"

/* tests x readers: the covariance matrix has the square of it. */
#define MRMC_MAX_CELLS 512

typedef struct mrmc {
    int64_t t, r, cells, n, n1, n0, dropped;
    const rad_column *tests, *readers;
    int8_t *truth;     /* by complete case */
    double *x;         /* cells x n, cell = test * r + reader */
    double *auc;       /* cells */
    double *row, *col; /* cells x n1, cells x n0: pairs won by each positive and negative, ties 1/2 */
    double *cov;       /* cells x cells */
} mrmc;

static void release(mrmc *m) {
    free(m->truth);
    free(m->x);
    free(m->auc);
    free(m->row);
    free(m->col);
    free(m->cov);
}

/* Columns test (or NULL), reader, case, truth, rating. */
static rad_status load(int64_t n_row, const rad_column *test, const rad_column *reader, const rad_column *cases, const double *truth,
                       const double *rating, mrmc *m, rad_error *err) {
    rad_status st = RAD_OK;
    m->tests = test;
    m->readers = reader;
    m->t = test ? test->n_level : 1;
    m->r = reader->n_level;
    m->cells = m->t * m->r;
    const int64_t nc = cases->n_level;
    if (m->cells > MRMC_MAX_CELLS)
        return rad_error_set(err, RAD_E_LIMIT, "%lld tests x %lld readers: at most %d cells", (long long)m->t, (long long)m->r,
                             MRMC_MAX_CELLS);
    double *x = rad_new_doubles(m->cells * nc), *y = rad_new_doubles(nc);
    int64_t *twice = rad_new_ints(nc);
    if (!x || !y || !twice) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t i = 0; i < m->cells * nc; i++)
        x[i] = NAN;
    for (int64_t i = 0; i < nc; i++)
        y[i] = NAN;
    for (int64_t i = 0; i < n_row; i++) {
        if ((test && isnan(test->value[i])) || isnan(reader->value[i]) || isnan(cases->value[i]))
            continue;
        const int64_t c = (int64_t)cases->value[i], cell = (test ? (int64_t)test->value[i] : 0) * m->r + (int64_t)reader->value[i];
        if (!isnan(x[cell * nc + c]) || (!isnan(y[c]) && y[c] != truth[i]))
            twice[c] = 1; /* two ratings in one cell, or two truths: not a crossed design */
        x[cell * nc + c] = rating[i];
        y[c] = truth[i];
    }
    m->truth = rad_malloc((size_t)nc + 1);
    m->x = rad_new_doubles(m->cells * nc);
    if (!m->truth || !m->x) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t c = 0; c < nc; c++) {
        bool ok = (y[c] == 0 || y[c] == 1) && !twice[c];
        for (int64_t k = 0; k < m->cells && ok; k++)
            ok = !isnan(x[k * nc + c]);
        if (!ok) {
            m->dropped++;
            continue;
        }
        for (int64_t k = 0; k < m->cells; k++)
            m->x[k * nc + m->n] = x[k * nc + c];
        m->truth[m->n++] = (int8_t)y[c];
    }
    for (int64_t k = 1; k < m->cells; k++) /* close the gaps: stride nc becomes n */
        memmove(m->x + k * m->n, m->x + k * nc, (size_t)m->n * sizeof *m->x);
    for (int64_t c = 0; c < m->n; c++)
        m->n1 += m->truth[c];
    m->n0 = m->n - m->n1;
out:
    free(x);
    free(y);
    free(twice);
    return st;
}

static double wins(double a, double b) {
    return a > b ? 1 : a == b ? 0.5 : 0;
}

static rad_status placements(mrmc *m, rad_error *err) {
    m->auc = rad_new_doubles(m->cells);
    m->row = rad_new_doubles(m->cells * m->n1);
    m->col = rad_new_doubles(m->cells * m->n0);
    m->cov = rad_new_doubles(m->cells * m->cells);
    if (!m->auc || !m->row || !m->col || !m->cov)
        return rad_no_memory(err);
    for (int64_t k = 0; k < m->cells; k++) {
        const double *x = m->x + k * m->n;
        int64_t p = 0;
        for (int64_t i = 0; i < m->n; i++) {
            if (m->truth[i] != 1)
                continue;
            int64_t q = 0;
            for (int64_t j = 0; j < m->n; j++) {
                if (m->truth[j] != 0)
                    continue;
                const double w = wins(x[i], x[j]);
                m->row[k * m->n1 + p] += w;
                m->col[k * m->n0 + q++] += w;
            }
            m->auc[k] += m->row[k * m->n1 + p++];
        }
        m->auc[k] /= (double)m->n1 * (double)m->n0;
    }
    return RAD_OK;
}

typedef enum cov_method { COV_JACKKNIFE, COV_DELONG, COV_UNBIASED } cov_method;
static const char *const cov_names[] = {"jackknife", "DeLong", "unbiased", NULL};

static double cov_delong(const mrmc *m, int64_t a, int64_t b) {
    const double n1 = (double)m->n1, n0 = (double)m->n0;
    double s1 = 0, s0 = 0;
    for (int64_t i = 0; i < m->n1; i++)
        s1 += (m->row[a * m->n1 + i] / n0 - m->auc[a]) * (m->row[b * m->n1 + i] / n0 - m->auc[b]);
    for (int64_t i = 0; i < m->n0; i++)
        s0 += (m->col[a * m->n0 + i] / n1 - m->auc[a]) * (m->col[b * m->n0 + i] / n1 - m->auc[b]);
    return s1 / (n1 - 1) / n1 + s0 / (n0 - 1) / n0;
}

/* AUC without case i. */
static double without(const mrmc *m, int64_t cell, bool positive, int64_t i) {
    const double n1 = (double)m->n1, n0 = (double)m->n0, all = m->auc[cell] * n1 * n0;
    return positive ? (all - m->row[cell * m->n1 + i]) / ((n1 - 1) * n0) : (all - m->col[cell * m->n0 + i]) / (n1 * (n0 - 1));
}

static double cov_jackknife(const mrmc *m, int64_t a, int64_t b) {
    const double n = (double)m->n;
    double ma = 0, mb = 0, s = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < m->n; i++) {
            const bool pos = i < m->n1;
            const double x = without(m, a, pos, pos ? i : i - m->n1), y = without(m, b, pos, pos ? i : i - m->n1);
            if (pass == 0) {
                ma += x / n;
                mb += y / n;
            } else {
                s += (x - ma) * (y - mb);
            }
        }
    return (n - 1) / n * s;
}

/* Unbiased U-statistic estimate (Gallas 2006): moments of the success matrix over equal and different cases. */
static double cov_unbiased(const mrmc *m, int64_t a, int64_t b) {
    const double n1 = (double)m->n1, n0 = (double)m->n0;
    const double *x = m->x + a * m->n, *y = m->x + b * m->n;
    double both = 0, rows = 0, cols = 0;
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < m->n && m->truth[i] == 1; j++)
            if (m->truth[j] == 0)
                both += wins(x[i], x[j]) * wins(y[i], y[j]);
    for (int64_t i = 0; i < m->n1; i++)
        rows += m->row[a * m->n1 + i] * m->row[b * m->n1 + i];
    for (int64_t i = 0; i < m->n0; i++)
        cols += m->col[a * m->n0 + i] * m->col[b * m->n0 + i];
    const double all = m->auc[a] * m->auc[b] * n1 * n1 * n0 * n0;
    const double apart = (all - rows - cols + both) / (n1 * (n1 - 1) * n0 * (n0 - 1)); /* no case shared: the square of the mean */
    return m->auc[a] * m->auc[b] - apart;
}

static void covariances(mrmc *m, cov_method how) {
    for (int64_t a = 0; a < m->cells; a++)
        for (int64_t b = a; b < m->cells; b++) {
            const double v = how == COV_DELONG      ? cov_delong(m, a, b)
                             : how == COV_JACKKNIFE ? cov_jackknife(m, a, b)
                                                    : cov_unbiased(m, a, b);
            m->cov[a * m->cells + b] = m->cov[b * m->cells + a] = v;
        }
}

typedef struct parts {
    double ms_t, ms_r, ms_tr, error, cov1, cov2, cov3, mean;
    double test_mean[MRMC_MAX_CELLS], test_ms[MRMC_MAX_CELLS], test_error[MRMC_MAX_CELLS], test_cov2[MRMC_MAX_CELLS];
} parts;

static double mean_of(double sum, double n) {
    return n > 0 ? sum / n : 0;
}

static void decompose(const mrmc *m, parts *p) {
    const double t = (double)m->t, r = (double)m->r;
    double reader[MRMC_MAX_CELLS] = {0};
    *p = (parts){0};
    for (int64_t i = 0; i < m->t; i++)
        for (int64_t j = 0; j < m->r; j++) {
            const double a = m->auc[i * m->r + j];
            p->test_mean[i] += a / r;
            reader[j] += a / t;
            p->mean += a / (t * r);
        }
    for (int64_t i = 0; i < m->t; i++) {
        p->ms_t += r * (p->test_mean[i] - p->mean) * (p->test_mean[i] - p->mean) / (t - 1);
        for (int64_t j = 0; j < m->r; j++) {
            const double a = m->auc[i * m->r + j], off = a - p->test_mean[i] - reader[j] + p->mean;
            p->ms_tr += off * off / ((t - 1) * (r - 1));
            p->test_ms[i] += (a - p->test_mean[i]) * (a - p->test_mean[i]) / (r - 1);
        }
    }
    for (int64_t j = 0; j < m->r; j++)
        p->ms_r += t * (reader[j] - p->mean) * (reader[j] - p->mean) / (r - 1);
    double s[4] = {0}, n[4] = {0};
    for (int64_t a = 0; a < m->cells; a++)
        for (int64_t b = 0; b < m->cells; b++) {
            const bool test = a / m->r == b / m->r, who = a % m->r == b % m->r;
            const int kind = test && who ? 0 : who ? 1 : test ? 2 : 3;
            const double v = m->cov[a * m->cells + b];
            s[kind] += v;
            n[kind]++;
            if (kind == 0)
                p->test_error[a / m->r] += v / r;
            if (kind == 2)
                p->test_cov2[a / m->r] += v / (r * (r - 1));
        }
    p->error = mean_of(s[0], n[0]);
    p->cov1 = mean_of(s[1], n[1]);
    p->cov2 = mean_of(s[2], n[2]);
    p->cov3 = mean_of(s[3], n[3]);
}

static void put_interval(rad_doc *doc, double est, double se, double df, double level, bool test) {
    const double q = isinf(df) ? rad_z_level(level) : rad_q_t(0.5 + level / 2, df), stat = est / se;
    rad_doc_num(doc, "estimate", est);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "lower", est - q * se);
    rad_doc_num(doc, "upper", est + q * se);
    if (test) {
        rad_doc_num(doc, "stat", stat);
        rad_doc_num(doc, "p", rad_p_t_two_sided(stat, df));
    }
    if (!isinf(df))
        rad_doc_num(doc, "df", df);
}

typedef enum analysis { RRRC, FRRC, RRFC } analysis;

static void put_analysis(const mrmc *m, const parts *p, analysis how, double level, rad_doc *doc) {
    static const char *const names[] = {"RRRC", "FRRC", "RRFC"};
    const double t = (double)m->t, r = (double)m->r, df_tr = (t - 1) * (r - 1), shared = p->cov2 - p->cov3;
    const double den = how == RRRC   ? p->ms_tr + rad_at_least(r * shared, 0)
                       : how == FRRC ? p->error - p->cov1 + (r - 1) * shared
                                     : p->ms_tr;
    const double df2 = how == RRRC ? den * den / (p->ms_tr * p->ms_tr / df_tr) : how == FRRC ? INFINITY : df_tr;
    rad_doc_open(doc, names[how]);
    rad_doc_open(doc, "test");
    rad_doc_num(doc, "MS_T", p->ms_t);
    rad_doc_num(doc, "MS_T_R", p->ms_tr);
    rad_doc_num(doc, "Cov1", p->cov1);
    rad_doc_num(doc, "Cov2", p->cov2);
    rad_doc_num(doc, "Cov3", p->cov3);
    rad_doc_num(doc, "Denominator", den);
    if (how == FRRC) {
        const double x2 = (t - 1) * p->ms_t / den, c1 = (double)m->n - 1;
        rad_doc_num(doc, "X2", x2);
        rad_doc_num(doc, "df", t - 1);
        rad_doc_num(doc, "p", rad_p_chisq(x2, t - 1));
        /* DBM software refers the same ratio to F with cases - 1 degrees of freedom */
        rad_doc_num(doc, "dbm_F", p->ms_t / den);
        rad_doc_num(doc, "dbm_p", rad_p_f(p->ms_t / den, t - 1, (t - 1) * c1));
    } else {
        rad_doc_num(doc, "F", p->ms_t / den);
        rad_doc_num(doc, "df1", t - 1);
        rad_doc_num(doc, "df2", df2);
        rad_doc_num(doc, "p", rad_p_f(p->ms_t / den, t - 1, df2));
    }
    rad_doc_close(doc);
    rad_doc_open_list(doc, "differences");
    for (int64_t i = 0; i < m->t; i++)
        for (int64_t j = i + 1; j < m->t; j++) {
            char name[100];
            snprintf(name, sizeof name, "%.48s-%.48s", m->tests->level[i], m->tests->level[j]);
            rad_doc_open(doc, NULL);
            rad_doc_text(doc, "comparison", name);
            put_interval(doc, p->test_mean[i] - p->test_mean[j], sqrt(2 / r * den), df2, level, true);
            rad_doc_close(doc);
        }
    rad_doc_close(doc);
    rad_doc_open_list(doc, "means");
    for (int64_t i = 0; i < m->t; i++) {
        const double ms = p->test_ms[i], with = ms + rad_at_least(r * p->test_cov2[i], 0);
        const double var = how == RRRC ? with / r : how == FRRC ? (p->test_error[i] + (r - 1) * p->test_cov2[i]) / r : ms / r;
        const double df = how == RRRC ? with * with / (ms * ms / (r - 1)) : how == FRRC ? INFINITY : r - 1;
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "modality", m->tests->level[i]);
        put_interval(doc, p->test_mean[i], sqrt(var), df, level, false);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    rad_doc_close(doc);
}

static bool explain(const mrmc *m, int64_t need_tests, rad_doc *doc) {
    if (m->dropped)
        rad_doc_reason(doc, "%lld cases without all ratings (or with two in one cell) left out", (long long)m->dropped);
    if (m->n1 < 2 || m->n0 < 2)
        rad_doc_reason(doc, "fewer than two complete positive or negative cases");
    else if (m->r < 2 || m->t < need_tests)
        rad_doc_reason(doc, m->r < 2 ? "one reader only" : "one test only");
    else
        return true;
    return false;
}

static rad_status mrmc_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int how;
    double level;
    mrmc m = {0};
    rad_status st;
    parts *p = rad_malloc(sizeof *p);
    if (!p)
        return rad_no_memory(err);
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 0, "jackknife"), "covariance", cov_names, &how, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    const rad_column *c = f->column;
    RAD_TRY(load(f->n, &c[0], &c[1], &c[2], c[3].value, c[4].value, &m, err));
    rad_doc_int(doc, "n_readers", m.r);
    rad_doc_int(doc, "n_modalities", m.t);
    rad_doc_int(doc, "n_cases", m.n);
    rad_doc_int(doc, "n_cases_left_out", m.dropped);
    rad_doc_text(doc, "covariance", cov_names[how]);
    if (!explain(&m, 2, doc))
        goto out;
    RAD_TRY(placements(&m, err));
    covariances(&m, (cov_method)how);
    decompose(&m, p);
    rad_doc_open_list(doc, "auc");
    for (int64_t k = 0; k < m.cells; k++) {
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "modality", m.tests->level[k / m.r]);
        rad_doc_text(doc, "reader", m.readers->level[k % m.r]);
        rad_doc_num(doc, "auc", m.auc[k]);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    const double t = (double)m.t, n = (double)m.n;
    rad_doc_open(doc, "components");
    rad_doc_num(doc, "var_reader", (p->ms_r - p->ms_tr) / t - p->cov1 + p->cov3);
    rad_doc_num(doc, "var_test_reader", p->ms_tr - p->error + p->cov1 + (p->cov2 - p->cov3));
    rad_doc_num(doc, "error", p->error);
    rad_doc_num(doc, "cov1", p->cov1);
    rad_doc_num(doc, "cov2", p->cov2);
    rad_doc_num(doc, "cov3", p->cov3);
    rad_doc_close(doc);
    rad_doc_open(doc, "dbm_varcom"); /* of pseudovalues: n times the covariances */
    rad_doc_num(doc, "VarR", (p->ms_r - p->ms_tr) / t - p->cov1 + p->cov3);
    rad_doc_num(doc, "VarC", n * p->cov3);
    rad_doc_num(doc, "VarTR", p->ms_tr - p->error + p->cov1 + (p->cov2 - p->cov3));
    rad_doc_num(doc, "VarTC", n * (p->cov2 - p->cov3));
    rad_doc_num(doc, "VarRC", n * (p->cov1 - p->cov3));
    rad_doc_num(doc, "VarErr", n * (p->error - p->cov1 - p->cov2 + p->cov3));
    rad_doc_close(doc);
    for (int a = RRRC; a <= RRFC; a++)
        put_analysis(&m, p, (analysis)a, level, doc);
out:
    release(&m);
    free(p);
    return st;
}

/* One fixed model (its name among the readers) against random readers: differences model - reader, random readers and cases, one treatment
 * (Hillis 2014 eq. for a single test; the model has no reader variance of its own). */
static rad_status fixed_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int how;
    double level;
    mrmc m = {0};
    rad_status st;
    const char *name = rad_arg_text(arg, n_arg, 0, "");
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 1, "jackknife"), "covariance", cov_names, &how, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    const rad_column *c = f->column;
    RAD_TRY(load(f->n, NULL, &c[0], &c[1], c[2].value, c[3].value, &m, err));
    int64_t model = -1;
    for (int64_t k = 0; k < m.r; k++)
        if (strcmp(m.readers->level[k], name) == 0)
            model = k;
    const double r = (double)(m.r - 1);
    rad_doc_int(doc, "n_cases", m.n);
    rad_doc_int(doc, "n_readers", m.r - (model >= 0));
    if (model < 0)
        rad_doc_reason(doc, "no reader is called '%s'", name);
    if (!explain(&m, 1, doc) || model < 0 || m.r < 3) {
        if (model >= 0 && m.r < 3)
            rad_doc_reason(doc, "at least two readers besides the model are needed");
        goto out;
    }
    RAD_TRY(placements(&m, err));
    covariances(&m, (cov_method)how);
    double mean = 0, ms = 0, var = 0, cov2 = 0, readers = 0;
    rad_doc_open_list(doc, "auc");
    for (int64_t k = 0; k < m.r; k++) {
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "reader", m.readers->level[k]);
        rad_doc_num(doc, "auc", m.auc[k]);
        rad_doc_close(doc);
        if (k != model) {
            mean += (m.auc[model] - m.auc[k]) / r;
            readers += m.auc[k] / r;
        }
    }
    rad_doc_close(doc);
    const double *v = m.cov;
    const int64_t n = m.cells;
    for (int64_t i = 0; i < m.r; i++) {
        if (i == model)
            continue;
        const double d = m.auc[model] - m.auc[i] - mean;
        ms += d * d / (r - 1);
        for (int64_t j = 0; j < m.r; j++) {
            if (j == model)
                continue;
            const double cov = v[model * n + model] - v[model * n + i] - v[model * n + j] + v[i * n + j];
            if (i == j)
                var += cov / r;
            else
                cov2 += cov / (r * (r - 1));
        }
    }
    const double with = ms + rad_at_least(r * cov2, 0), se = sqrt(with / r), df = with * with / (ms * ms / (r - 1));
    rad_doc_num(doc, "auc_model", m.auc[model]);
    rad_doc_num(doc, "auc_readers", readers);
    rad_doc_num(doc, "MS_R", ms);
    rad_doc_num(doc, "error", var);
    rad_doc_num(doc, "cov2", cov2);
    put_interval(doc, mean, se, df, level, true);
    if (!(se > 0))
        rad_doc_reason(doc, "no variance: no test");
out:
    release(&m);
    return st;
}

static const rad_stat_function functions[] = {
    {"mrmc_json", "test, reader, case, truth, rating[, covariance = 'jackknife'[, level = 0.95]]",
     "multi-reader multi-case analysis of AUCs: Obuchowski-Rockette with Hillis' degrees of freedom for random readers and cases (RRRC), "
     "fixed "
     "readers (FRRC: chi-square, and DBM's F), fixed cases (RRFC); variance components in OR and DBM form; covariance 'jackknife', "
     "'DeLong' or "
     "'unbiased' (Gallas 2006). A negative Cov2 - Cov3 counts as 0 in the RRRC denominator",
     NULL, "cccnn", "tn", 5, 0, RAD_STAT_AGGREGATE, mrmc_doc},
    {"mrmc_p", "test, reader, case, truth, rating[, covariance = 'jackknife'[, level = 0.95]]",
     "p of equal tests, random readers and cases", "RRRC.test.p", "cccnn", "tn", 5, 0, RAD_STAT_AGGREGATE, mrmc_doc},
    {"mrmc_model_json", "reader, case, truth, rating, model[, covariance = 'jackknife'[, level = 0.95]]",
     "one fixed model (the reader of that name) against the mean of the readers, random readers and cases, Hillis' degrees of freedom",
     NULL, "ccnn", "ttn", 5, 0, RAD_STAT_AGGREGATE, fixed_doc},
};
RAD_STAT_TOPIC(rad_topic_mrmc, functions);
