/* logistic: what is said about a logistic model. Fitting is in logit.c, formulas in design.c. */
#include "design.h"
#include "impl.h"
#include "logit.h"

static const char *const methods[] = {"ml", "firth", NULL};

typedef struct model {
    rad_design d;
    rad_logit_model f, null;
    bool firth;
    double level, n1;
    char **aliased; /* names of dropped columns */
    int64_t n_aliased;
} model;

static void model_release(model *m) {
    rad_design_release(&m->d);
    rad_logit_release(&m->f);
    rad_logit_release(&m->null);
    for (int64_t j = 0; j < m->n_aliased && m->aliased; j++)
        free(m->aliased[j]);
    free(m->aliased);
}

static rad_status drop_aliased(model *m, rad_doc *doc, rad_error *err) {
    bool *drop = rad_calloc((size_t)m->d.p, sizeof *drop);
    rad_status st = RAD_OK;
    int64_t n;
    if (!drop)
        return rad_no_memory(err);
    RAD_TRY(rad_design_aliased(&m->d, drop, &n, err));
    m->aliased = rad_calloc((size_t)n + 1, sizeof *m->aliased);
    if (!m->aliased) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t j = 0; j < m->d.p; j++)
        if (drop[j]) {
            if (doc)
                rad_doc_reason(doc, "'%s' is a linear combination of earlier terms and was left out", m->d.name[j]);
            if (!(m->aliased[m->n_aliased] = rad_strdup(m->d.name[j]))) {
                st = rad_no_memory(err);
                goto out;
            }
            m->n_aliased++;
        }
    rad_design_drop(&m->d, drop);
out:
    free(drop);
    return st;
}

/* *ret_ok false (and a reason) when nothing can be fitted. */
static rad_status model_init(const rad_frame *f, const char *formula, bool firth, double level, model *m, bool *ret_ok, rad_doc *doc,
                             rad_error *err) {
    rad_status st;
    m->firth = firth;
    m->level = level;
    *ret_ok = false;
    RAD_TRY(rad_design_init(f, formula, &m->d, err));
    if (m->d.random)
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "formula: (1|g) is for mixed_logistic; cluster(g) gives robust errors here"));
    for (int64_t i = 0; i < m->d.n; i++)
        m->n1 += m->d.y[i];
    const double n = (double)m->d.n;
    if (m->d.n == 0 || m->n1 == 0 || m->n1 == n) {
        rad_doc_reason(doc, m->d.n == 0 ? "no complete row" : "the outcome is the same in all rows");
        goto out;
    }
    RAD_TRY(drop_aliased(m, doc, err));
    RAD_TRY(rad_logit_fit(m->d.x, m->d.y, NULL, m->d.n, m->d.p, firth, -1, 0, NULL, &m->f, err));
    rad_design only;
    RAD_TRY(rad_design_without(&m->d, -1, &only, err));
    st = rad_logit_fit(only.x, only.y, NULL, only.n, only.p, firth, -1, 0, NULL, &m->null, err);
    rad_design_release(&only);
    *ret_ok = st == RAD_OK;
    if (m->f.separated)
        rad_doc_reason(doc, "separation: the outcome is predicted perfectly in part, a coefficient is infinite; use method 'firth'");
    else if (st == RAD_OK && !m->f.converged)
        rad_doc_reason(doc, "the fit did not converge");
out:
    return st;
}

/* Coefficients still moving in the last step, in units of their column's spread. */
static bool runs_away(const model *m, int64_t j) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < m->d.n; i++)
        mean += m->d.x[i * m->d.p + j] / (double)m->d.n;
    for (int64_t i = 0; i < m->d.n; i++)
        var += pow(m->d.x[i * m->d.p + j] - mean, 2) / (double)m->d.n;
    return m->f.separated && j > 0 && fabs(m->f.step[j]) * sqrt(var) > 1e-3;
}

/* Variance inflation: S_jj (S^-1)_jj of the centred cross-products. */
static rad_status inflation(const model *m, double *vif, rad_error *err) {
    const int64_t p = m->d.p, k = p - 1;
    double *s = rad_new_doubles(k * k), *inv = rad_new_doubles(k * k), *mean = rad_new_doubles(p);
    rad_status st = s && inv && mean ? RAD_OK : rad_no_memory(err);
    bool ok = false;
    if (st == RAD_OK && k > 0) {
        for (int64_t i = 0; i < m->d.n; i++)
            for (int64_t j = 0; j < p; j++)
                mean[j] += m->d.x[i * p + j] / (double)m->d.n;
        for (int64_t i = 0; i < m->d.n; i++)
            for (int64_t a = 0; a < k; a++)
                for (int64_t b = 0; b < k; b++)
                    s[a * k + b] += (m->d.x[i * p + a + 1] - mean[a + 1]) * (m->d.x[i * p + b + 1] - mean[b + 1]);
        st = rad_spd_inverse(s, k, inv, NULL, &ok, err);
    }
    for (int64_t j = 0; j < p; j++)
        vif[j] = j > 0 && ok ? s[(j - 1) * k + j - 1] * inv[(j - 1) * k + j - 1] : NAN;
    free(s);
    free(inv);
    free(mean);
    return st;
}

/* Sandwich with scores summed by cluster (Liang & Zeger 1986); HC0, no small-sample factor. */
static rad_status robust(const model *m, double *cov, rad_error *err) {
    const int64_t p = m->d.p, g = m->d.n_group;
    double *sum = rad_new_doubles(g * p), *meat = rad_new_doubles(p * p), *half = rad_new_doubles(p * p);
    rad_status st = sum && meat && half ? RAD_OK : rad_no_memory(err);
    if (st == RAD_OK) {
        for (int64_t i = 0; i < m->d.n; i++)
            for (int64_t j = 0; j < p; j++)
                sum[m->d.group[i] * p + j] += m->d.x[i * p + j] * (m->d.y[i] - m->f.mu[i]);
        for (int64_t c = 0; c < g; c++)
            for (int64_t a = 0; a < p; a++)
                for (int64_t b = 0; b < p; b++)
                    meat[a * p + b] += sum[c * p + a] * sum[c * p + b];
        for (int64_t a = 0; a < p; a++)
            for (int64_t b = 0; b < p; b++)
                for (int64_t t = 0; t < p; t++)
                    half[a * p + b] += m->f.cov[a * p + t] * meat[t * p + b];
        memset(cov, 0, (size_t)(p * p) * sizeof *cov);
        for (int64_t a = 0; a < p; a++)
            for (int64_t b = 0; b < p; b++)
                for (int64_t t = 0; t < p; t++)
                    cov[a * p + b] += half[a * p + t] * m->f.cov[t * p + b];
    }
    free(sum);
    free(meat);
    free(half);
    return st;
}

static rad_status put_coefficients(const model *m, bool profile, rad_doc *doc, rad_error *err) {
    const int64_t p = m->d.p;
    const double z = rad_z_level(m->level), n = (double)m->d.n, g = (double)m->d.n_group;
    double *vif = rad_new_doubles(p), *cov = rad_new_doubles(p * p);
    rad_status st = vif && cov ? RAD_OK : rad_no_memory(err);
    if (st == RAD_OK)
        st = inflation(m, vif, err);
    if (st == RAD_OK && m->d.group)
        st = robust(m, cov, err);
    rad_doc_open_list(doc, "rows");
    for (int64_t j = 0; j < p && st == RAD_OK; j++) {
        const bool gone = runs_away(m, j);
        const double b = gone ? copysign(INFINITY, m->f.beta[j]) : m->f.beta[j], se = gone ? NAN : sqrt(m->f.cov[j * p + j]);
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "term", m->d.name[j]);
        rad_doc_num(doc, "estimate", b);
        rad_doc_num(doc, "se", se);
        rad_doc_num(doc, "z", b / se);
        rad_doc_num(doc, "p", rad_p_two_sided(b / se));
        rad_doc_num(doc, "or", exp(b));
        rad_doc_num(doc, "or_lower", exp(b - z * se));
        rad_doc_num(doc, "or_upper", exp(b + z * se));
        rad_doc_num(doc, "vif", vif[j]);
        if (m->d.group) {
            const double r = sqrt(cov[j * p + j]);
            rad_doc_num(doc, "robust_se", r);
            rad_doc_num(doc, "robust_se_adjusted", r * sqrt(g / (g - 1) * (n - 1) / (n - (double)p))); /* HC1 with G/(G-1) */
            rad_doc_num(doc, "robust_p", rad_p_two_sided(b / r));
        }
        if (profile && !m->f.separated) {
            double lo, hi, chi2 = NAN;
            rad_logit_model zero = {0};
            st = rad_logit_profile(m->d.x, m->d.y, m->d.n, p, m->firth, &m->f, j, m->level, &lo, &hi, err);
            if (st == RAD_OK)
                st = rad_logit_fit(m->d.x, m->d.y, NULL, m->d.n, p, m->firth, j, 0, m->f.beta, &zero, err);
            if (st == RAD_OK)
                chi2 = rad_at_least(2 * (m->f.loglik - zero.loglik), 0);
            rad_logit_release(&zero);
            rad_doc_num(doc, "pl_lower", lo);
            rad_doc_num(doc, "pl_upper", hi);
            rad_doc_num(doc, "pl_chi2", chi2);
            rad_doc_num(doc, "pl_p", rad_p_chisq(chi2, 1));
        }
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    free(vif);
    free(cov);
    return st;
}

/* Likelihood ratio and joint Wald test of each term that no product contains. */
static rad_status put_terms(const model *m, rad_doc *doc, rad_error *err) {
    const int64_t p = m->d.p;
    rad_status st = RAD_OK;
    rad_doc_open_list(doc, "terms");
    for (int64_t t = 0; t < m->d.n_term; t++) {
        bool inner = false;
        int64_t df = 0;
        for (int64_t u = 0; u < m->d.n_term; u++)
            inner = inner || rad_design_contains(&m->d, t, u);
        for (int64_t j = 0; j < p; j++)
            df += m->d.term_of[j] == t;
        if (inner || df == 0)
            continue;
        rad_design without = {0};
        rad_logit_model f = {0};
        double *v = rad_new_doubles(df * df), *b = rad_new_doubles(df), wald = NAN;
        int64_t rank = 0, a = 0;
        st = v && b ? RAD_OK : rad_no_memory(err);
        if (st == RAD_OK)
            st = rad_design_without(&m->d, t, &without, err);
        if (st == RAD_OK)
            st = rad_logit_fit(without.x, without.y, NULL, without.n, without.p, m->firth, -1, 0, NULL, &f, err);
        for (int64_t i = 0; i < p && st == RAD_OK; i++) {
            if (m->d.term_of[i] != t)
                continue;
            int64_t c = 0;
            b[a] = m->f.beta[i];
            for (int64_t j = 0; j < p; j++)
                if (m->d.term_of[j] == t)
                    v[a * df + c++] = m->f.cov[i * p + j];
            a++;
        }
        if (st == RAD_OK && !m->f.separated)
            st = rad_quadratic_pinv(v, b, df, &wald, &rank, err);
        if (st == RAD_OK) {
            const double lr = 2 * (m->f.loglik - f.loglik);
            rad_doc_open(doc, NULL);
            rad_doc_text(doc, "term", m->d.term[t]);
            rad_doc_int(doc, "df", df);
            rad_doc_num(doc, "lr_chi2", lr);
            rad_doc_num(doc, "p", rad_p_chisq(lr, (double)df));
            rad_doc_num(doc, "wald_chi2", wald);
            rad_doc_num(doc, "wald_p", rad_p_chisq(wald, (double)df));
            rad_doc_close(doc);
        }
        rad_design_release(&without);
        rad_logit_release(&f);
        free(v);
        free(b);
        if (st != RAD_OK)
            break;
    }
    rad_doc_close(doc);
    return st;
}

static rad_status put_fit(const model *m, rad_doc *doc, rad_error *err) {
    const double n = (double)m->d.n, p = (double)m->d.p, ll = m->f.loglik, l0 = m->null.loglik, lr = 2 * (ll - l0);
    rad_estimate c;
    int8_t *label = rad_malloc((size_t)m->d.n + 1);
    if (!label)
        return rad_no_memory(err);
    for (int64_t i = 0; i < m->d.n; i++)
        label[i] = (int8_t)m->d.y[i];
    const rad_status st = rad_auc(label, m->f.mu, m->d.n, m->level, &c, err);
    free(label);
    if (st != RAD_OK)
        return st;
    const double cox = 1 - exp(2 / n * (l0 - ll)), events = fmin(m->n1, n - m->n1);
    rad_doc_num(doc, "loglik", ll);
    rad_doc_num(doc, "loglik_null", l0);
    rad_doc_num(doc, "deviance", -2 * ll);
    rad_doc_num(doc, "null_deviance", -2 * l0);
    rad_doc_num(doc, "df_residual", n - p);
    rad_doc_num(doc, "aic", -2 * ll + 2 * p);
    rad_doc_num(doc, "bic", -2 * ll + log(n) * p);
    rad_doc_num(doc, "lr_chi2", lr);
    rad_doc_num(doc, "lr_df", p - 1);
    rad_doc_num(doc, "lr_p", rad_p_chisq(lr, p - 1));
    rad_doc_num(doc, "mcfadden_r2", 1 - ll / l0);
    rad_doc_num(doc, "cox_snell_r2", cox);
    rad_doc_num(doc, "nagelkerke_r2", cox / (1 - exp(2 / n * l0)));
    rad_doc_num(doc, "c_statistic", c.est);
    rad_doc_num(doc, "events", events);
    rad_doc_num(doc, "events_per_variable", p > 1 ? events / (p - 1) : NAN);
    if (p > 1 && events / (p - 1) < 10)
        rad_doc_reason(doc, "%.1f events per variable: below 10, estimates may be biased away from 0", events / (p - 1));
    return RAD_OK;
}

static rad_status logistic_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int method;
    double level;
    bool ok;
    model m = {0};
    rad_status st;
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 1, "ml"), "method", methods, &method, err));
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    const bool profile = rad_arg_num(arg, n_arg, 3, method == 1) != 0;
    RAD_TRY(model_init(f, rad_arg_text(arg, n_arg, 0, NULL), method == 1, level, &m, &ok, doc, err));
    rad_doc_int(doc, "n", m.d.n);
    rad_doc_num(doc, "n_pos", m.n1);
    rad_doc_int(doc, "n_missing", m.d.n_missing);
    rad_doc_text(doc, "method", methods[method]);
    if (!ok)
        goto out;
    rad_doc_int(doc, "n_coef", m.d.p + m.n_aliased);
    rad_doc_int(doc, "rank", m.d.p);
    rad_doc_open_list(doc, "aliased");
    for (int64_t j = 0; j < m.n_aliased; j++)
        rad_doc_text(doc, NULL, m.aliased[j]);
    rad_doc_close(doc);
    rad_doc_bool(doc, "converged", m.f.converged);
    rad_doc_bool(doc, "separated", m.f.separated);
    rad_doc_open_list(doc, "separated_terms");
    for (int64_t j = 0; j < m.d.p; j++)
        if (runs_away(&m, j))
            rad_doc_text(doc, NULL, m.d.name[j]);
    rad_doc_close(doc);
    RAD_TRY(put_fit(&m, doc, err));
    RAD_TRY(put_coefficients(&m, profile, doc, err));
    RAD_TRY(put_terms(&m, doc, err));
out:
    model_release(&m);
    return st;
}

/* Likelihood ratio test of two nested formulas on the rows complete for the larger one. */
static rad_status nested_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    bool ok[2] = {false, false};
    model m[2] = {{.level = 0}, {.level = 0}};
    rad_status st = RAD_OK;
    for (int i = 0; i < 2; i++) {
        const char *formula = rad_arg_text(arg, n_arg, i, NULL);
        if (!formula)
            RAD_TRY(rad_error_set(err, RAD_E_USAGE, "expected two formulas, the full one first"));
        RAD_TRY(model_init(f, formula, false, 0.95, &m[i], &ok[i], doc, err));
    }
    const int64_t df = m[0].d.p - m[1].d.p;
    double chi2 = NAN;
    if (ok[0] && ok[1] && m[0].d.n == m[1].d.n && df > 0)
        chi2 = 2 * (m[0].f.loglik - m[1].f.loglik);
    else
        rad_doc_reason(doc, m[0].d.n != m[1].d.n ? "the formulas use different rows: leave out rows with missing values first"
                                                 : "the second formula is not a smaller one");
    rad_doc_open_list(doc, "rows");
    rad_doc_open(doc, NULL);
    rad_doc_num(doc, "chi2", chi2);
    rad_doc_int(doc, "df", df);
    rad_doc_num(doc, "p", rad_p_chisq(chi2, (double)df));
    rad_doc_int(doc, "n", m[0].d.n);
    rad_doc_close(doc);
    rad_doc_close(doc);
out:
    model_release(&m[0]);
    model_release(&m[1]);
    return st;
}

static const rad_stat_function functions[] = {
    {"logistic", "'SELECT y, x1, x2 ...'[, formula[, method = 'ml'[, level = 0.95[, profile]]]]",
     "logistic regression: y is 0/1, text columns are categories against their first level; formula as in R ('y ~ a + factor(b) + a:b + "
     "cluster(g)'), all columns when left out. method 'ml' (Wald limits) or 'firth' (Jeffreys penalty, Firth 1993, profile limits). "
     "Separation is "
     "flagged, aliased terms are left out by name, variance inflation and events per variable are given; cluster(g) adds sandwich errors. "
     "document: fit statistics and likelihood-ratio and Wald tests by term",
     "term,estimate,se,z,p,or,or_lower,or_upper,vif,pl_lower,pl_upper,pl_p,robust_se,robust_p", "a+", "ttnn", 1, 0, RAD_STAT_TABLE,
     logistic_doc},
    {"logistic_compare", "'SELECT ...', full, reduced", "likelihood-ratio test of two nested logistic models", "chi2,df,p,n", "a+", "tt", 3,
     0, RAD_STAT_TABLE, nested_doc},
};
RAD_STAT_TOPIC(rad_topic_logistic, functions);
