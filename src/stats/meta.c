/* meta: inverse-variance pooling of centers, fixed and random effects, with one optional moderator. Symbols as in metafor (Viechtbauer
 * 2010), whose numbers these are. */
#include "impl.h"

static const char *const methods[] = {"FE", "DL", "REML", "ML", "PM", "HS", NULL};
typedef enum method { FE, DL, REML, ML, PM, HS } method;
static const char *const tests[] = {"z", "knha", NULL};
static const char *const scales[] = {"auc", "logit", NULL};

/* More than any consortium; k x k matrices are formed. */
#define META_MAX_SITES 2000
enum { MAX_ITERATIONS = 10000 };

typedef struct fit {
    int64_t k, p;                                  /* sites, coefficients (1, or 2 with a moderator) */
    double beta[2], se[2], tau2, q, q_df, typical; /* typical = the "typical" sampling variance of Higgins & Thompson */
    double stat, df;
} fit;

/* Weighted least squares with w = 1 / (v + tau2): beta, its covariance (p x p), residual Q. */
static void wls(const double *y, const double *v, const double *x, int64_t k, int64_t p, double tau2, double beta[2], double cov[4],
                double *ret_q) {
    double s[4] = {0}, t[2] = {0};
    for (int64_t i = 0; i < k; i++) {
        const double w = 1 / (v[i] + tau2), z[2] = {1, x ? x[i] : 0};
        for (int64_t a = 0; a < p; a++) {
            t[a] += w * z[a] * y[i];
            for (int64_t b = 0; b < p; b++)
                s[a * 2 + b] += w * z[a] * z[b];
        }
    }
    if (p == 1) {
        cov[0] = 1 / s[0];
        cov[1] = cov[2] = cov[3] = 0;
    } else {
        const double det = s[0] * s[3] - s[1] * s[2];
        cov[0] = s[3] / det;
        cov[3] = s[0] / det;
        cov[1] = cov[2] = -s[1] / det;
    }
    for (int64_t a = 0; a < 2; a++)
        beta[a] = cov[a * 2] * t[0] + cov[a * 2 + 1] * t[1];
    double q = 0;
    for (int64_t i = 0; i < k; i++) {
        const double e = y[i] - beta[0] - (x ? beta[1] * x[i] : 0);
        q += e * e / (v[i] + tau2);
    }
    *ret_q = q;
}

/* tr P, tr PP and y'PPy for P = W - W X (X'WX)^-1 X'W. */
static void traces(const double *y, const double *v, const double *x, int64_t k, int64_t p, double tau2, double *ret_p, double *ret_pp,
                   double *ret_ypy) {
    double beta[2], cov[4], q, tp = 0, tpp = 0, ypy = 0;
    wls(y, v, x, k, p, tau2, beta, cov, &q);
    for (int64_t i = 0; i < k; i++) {
        const double wi = 1 / (v[i] + tau2), zi[2] = {1, x ? x[i] : 0}, e = y[i] - beta[0] - (x ? beta[1] * x[i] : 0);
        ypy += wi * wi * e * e;
        for (int64_t j = 0; j < k; j++) {
            const double wj = 1 / (v[j] + tau2), zj[2] = {1, x ? x[j] : 0};
            double h = 0;
            for (int64_t a = 0; a < p; a++)
                for (int64_t b = 0; b < p; b++)
                    h += zi[a] * cov[a * 2 + b] * zj[b];
            const double pij = (i == j ? wi : 0) - wi * h * wj;
            tp += i == j ? pij : 0;
            tpp += pij * pij;
        }
    }
    *ret_p = tp;
    *ret_pp = tpp;
    *ret_ypy = ypy;
}

/* Fisher scoring of the (restricted) likelihood in tau2, from 0 upwards; stops when a step no longer changes the value. */
static double scoring(const double *y, const double *v, const double *x, int64_t k, int64_t p, double start, bool restricted,
                      bool *ret_ok) {
    double tau2 = start;
    for (int it = 0; it < MAX_ITERATIONS; it++) {
        double tp, tpp, ypy, step;
        traces(y, v, x, k, p, tau2, &tp, &tpp, &ypy);
        if (restricted) {
            step = (ypy - tp) / tpp;
        } else {
            double w = 0, ww = 0;
            for (int64_t i = 0; i < k; i++) {
                w += 1 / (v[i] + tau2);
                ww += 1 / ((v[i] + tau2) * (v[i] + tau2));
            }
            step = (ypy - w) / ww;
        }
        const double next = rad_at_least(tau2 + step, 0);
        if (fabs(next - tau2) <= 1e-14 * fmax(1e-300, tau2) || (next == 0 && tau2 == 0)) {
            *ret_ok = true;
            return next;
        }
        tau2 = next;
    }
    *ret_ok = false;
    return tau2;
}

/* tau2 at which the generalised Q equals target; Q falls in tau2. 0 when it starts below. */
static double solve_q(const double *y, const double *v, const double *x, int64_t k, int64_t p, double target) {
    double beta[2], cov[4], q, lo = 0, hi = 1e-8;
    wls(y, v, x, k, p, 0, beta, cov, &q);
    if (q <= target)
        return 0;
    for (int i = 0; i < 200 && q > target; i++) {
        hi *= 4;
        wls(y, v, x, k, p, hi, beta, cov, &q);
    }
    for (int i = 0; i < 200; i++) {
        const double mid = (lo + hi) / 2;
        wls(y, v, x, k, p, mid, beta, cov, &q);
        if (q > target)
            lo = mid;
        else
            hi = mid;
    }
    return (lo + hi) / 2;
}

static fit fit_meta(const double *y, const double *v, const double *x, int64_t k, method how, bool knha, rad_doc *doc) {
    const int64_t p = x ? 2 : 1;
    fit f = {.k = k, .p = p, .tau2 = 0};
    double cov[4], w = 0, ww = 0, tp, tpp, ypy;
    for (int64_t i = 0; i < k; i++) {
        w += 1 / v[i];
        ww += 1 / (v[i] * v[i]);
    }
    wls(y, v, x, k, p, 0, f.beta, cov, &f.q);
    f.q_df = (double)(k - p);
    traces(y, v, x, k, p, 0, &tp, &tpp, &ypy);
    f.typical = f.q_df > 0 ? f.q_df / tp : NAN;
    bool ok = true;
    if (k > p && how != FE) {
        const double dl = rad_at_least((f.q - f.q_df) / tp, 0);
        switch (how) {
        case DL:
            f.tau2 = dl;
            break;
        case HS:
            f.tau2 = rad_at_least((f.q - (double)k) / w, 0);
            break;
        case PM:
            f.tau2 = solve_q(y, v, x, k, p, f.q_df);
            break;
        case REML:
        case ML:
            f.tau2 = scoring(y, v, x, k, p, dl, how == REML, &ok);
            break;
        case FE:
            break;
        }
    }
    if (!ok && doc)
        rad_doc_reason(doc, "tau2 did not converge in %d steps", MAX_ITERATIONS);
    double q_star;
    wls(y, v, x, k, p, f.tau2, f.beta, cov, &q_star);
    const double scale = knha && k > p ? q_star / (double)(k - p) : 1; /* Hartung & Knapp 2001, Sidik & Jonkman 2002 */
    for (int64_t a = 0; a < p; a++)
        f.se[a] = sqrt(scale * cov[a * 2 + a]);
    f.df = knha ? (double)(k - p) : INFINITY;
    return f;
}

static double share(const fit *f, method how, double tau2) /* I2 in percent */
{
    if (f->k < 2)
        return NAN;
    if (how == FE)
        return f->q > 0 ? rad_at_least(100 * (f->q - f->q_df) / f->q, 0) : 0;
    return 100 * tau2 / (tau2 + f->typical);
}

static void put_fit(const fit *f, const double *y, const double *v, method how, double level, bool back, rad_doc *doc) {
    const double est = f->beta[0], se = f->se[0], k = (double)f->k;
    const double q = isinf(f->df) ? rad_z_level(level) : rad_q_t(0.5 + level / 2, f->df);
    const double spread = sqrt(f->tau2 + se * se), t = f->k > 2 ? rad_q_t(0.5 + level / 2, k - 2) : NAN;
    const bool random = how != FE && f->k > 1;
    rad_doc_int(doc, "k", f->k);
    rad_doc_text(doc, "method", methods[how]);
    rad_doc_num(doc, "estimate", est);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "lower", est - q * se);
    rad_doc_num(doc, "upper", est + q * se);
    rad_doc_num(doc, "stat", est / se);
    rad_doc_num(doc, "p", rad_p_t_two_sided(est / se, f->df));
    rad_doc_num(doc, "tau2", f->tau2);
    rad_doc_num(doc, "tau", sqrt(f->tau2));
    rad_doc_num(doc, "Q", f->q);
    rad_doc_num(doc, "Q_df", f->q_df);
    rad_doc_num(doc, "Q_p", f->k > 1 ? rad_p_chisq(f->q, f->q_df) : NAN);
    rad_doc_num(doc, "I2", share(f, how, f->tau2));
    rad_doc_num(doc, "H2", f->k < 2 ? NAN : how == FE ? f->q / f->q_df : f->tau2 / f->typical + 1);
    rad_doc_num(doc, "I2_from_Q", share(f, FE, 0));
    const double pl = random ? est - q * spread : NAN, pu = random ? est + q * spread : NAN;
    rad_doc_num(doc, "pi_lower", pl);
    rad_doc_num(doc, "pi_upper", pu);
    rad_doc_num(doc, "pi_t_lower", random ? est - t * spread : NAN);
    rad_doc_num(doc, "pi_t_upper", random ? est + t * spread : NAN);
    double tl = NAN, tu = NAN;
    if (random) { /* Q-profile, Viechtbauer 2007 */
        tl = solve_q(y, v, NULL, f->k, 1, gsl_cdf_chisq_Pinv(0.5 + level / 2, f->q_df));
        tu = solve_q(y, v, NULL, f->k, 1, gsl_cdf_chisq_Pinv(0.5 - level / 2, f->q_df));
    }
    rad_doc_num(doc, "tau2_ci_lower", tl);
    rad_doc_num(doc, "tau2_ci_upper", tu);
    rad_doc_num(doc, "I2_ci_lower", 100 * tl / (tl + f->typical));
    rad_doc_num(doc, "I2_ci_upper", 100 * tu / (tu + f->typical));
    if (back) {
        rad_doc_num(doc, "estimate_back", rad_expit(est));
        rad_doc_num(doc, "lower_back", rad_expit(est - q * se));
        rad_doc_num(doc, "upper_back", rad_expit(est + q * se));
        rad_doc_num(doc, "pi_lower_back", random ? rad_expit(pl) : NAN);
        rad_doc_num(doc, "pi_upper_back", random ? rad_expit(pu) : NAN);
    }
    if (f->k == 1)
        rad_doc_reason(doc, "one site: heterogeneity undefined");
    else if (f->k == 2)
        rad_doc_reason(doc, "two sites: no t prediction interval (k - 2 = 0)");
}

typedef struct sites {
    int64_t k;
    double *y, *v, *x;
    const char **name;
} sites;

static void sites_release(sites *s) {
    free(s->y);
    free(s->v);
    free(s->x);
    free(s->name);
}

static rad_status sites_init(sites *s, int64_t n, rad_error *err) {
    if (n > META_MAX_SITES)
        return rad_error_set(err, RAD_E_LIMIT, "%lld sites: at most %d", (long long)n, META_MAX_SITES);
    s->y = rad_new_doubles(n);
    s->v = rad_new_doubles(n);
    s->x = rad_new_doubles(n);
    s->name = rad_calloc((size_t)n + 1, sizeof *s->name);
    return s->y && s->v && s->x && s->name ? RAD_OK : rad_no_memory(err);
}

/* One row per site with its weight and the pooled value without it, then the pooled row. */
static void put_rows(const sites *s, method how, bool knha, double level, rad_doc *doc) {
    const fit all = fit_meta(s->y, s->v, NULL, s->k, how, knha, NULL);
    const double z = rad_z_level(level);
    double *y = rad_new_doubles(s->k), *v = rad_new_doubles(s->k), w = 0;
    for (int64_t i = 0; i < s->k; i++)
        w += 1 / (s->v[i] + all.tau2);
    rad_doc_open_list(doc, "rows");
    for (int64_t i = 0; y && v && i < s->k; i++) {
        int64_t m = 0;
        for (int64_t j = 0; j < s->k; j++)
            if (j != i) {
                y[m] = s->y[j];
                v[m++] = s->v[j];
            }
        rad_doc_open(doc, NULL);
        if (s->name[i])
            rad_doc_text(doc, "site", s->name[i]);
        rad_doc_num(doc, "yi", s->y[i]);
        rad_doc_num(doc, "se", sqrt(s->v[i]));
        rad_doc_num(doc, "lower", s->y[i] - z * sqrt(s->v[i]));
        rad_doc_num(doc, "upper", s->y[i] + z * sqrt(s->v[i]));
        rad_doc_num(doc, "weight", 100 / (s->v[i] + all.tau2) / w);
        rad_doc_open(doc, "without");
        if (m > 0) {
            const fit rest = fit_meta(y, v, NULL, m, how, knha, NULL);
            const double q = isinf(rest.df) ? z : rad_q_t(0.5 + level / 2, rest.df);
            rad_doc_num(doc, "estimate", rest.beta[0]);
            rad_doc_num(doc, "se", rest.se[0]);
            rad_doc_num(doc, "lower", rest.beta[0] - q * rest.se[0]);
            rad_doc_num(doc, "upper", rest.beta[0] + q * rest.se[0]);
            rad_doc_num(doc, "Q", rest.q);
            rad_doc_num(doc, "tau2", rest.tau2);
            rad_doc_num(doc, "I2", share(&rest, how, rest.tau2));
        }
        rad_doc_close(doc);
        rad_doc_close(doc);
    }
    rad_doc_open(doc, NULL);
    const double q = isinf(all.df) ? z : rad_q_t(0.5 + level / 2, all.df);
    rad_doc_text(doc, "site", "pooled");
    rad_doc_num(doc, "yi", all.beta[0]);
    rad_doc_num(doc, "se", all.se[0]);
    rad_doc_num(doc, "lower", all.beta[0] - q * all.se[0]);
    rad_doc_num(doc, "upper", all.beta[0] + q * all.se[0]);
    rad_doc_num(doc, "weight", 100);
    rad_doc_close(doc);
    rad_doc_close(doc);
    free(y);
    free(v);
}

static rad_status options(const rad_arg *arg, int n_arg, int at, method *ret_how, bool *ret_knha, double *ret_level, rad_error *err) {
    int how, test;
    rad_status st = rad_arg_word(rad_arg_text(arg, n_arg, at, "REML"), "method", methods, &how, err);
    if (st == RAD_OK)
        st = rad_arg_word(rad_arg_text(arg, n_arg, at + 1, "z"), "test", tests, &test, err);
    if (st == RAD_OK)
        st = rad_arg_fraction(arg, n_arg, at + 2, "level", 0.95, ret_level, err);
    if (st == RAD_OK) {
        *ret_how = (method)how;
        *ret_knha = test == 1;
    }
    return st;
}

/* Columns [site,] yi, vi. */
static rad_status meta_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    method how = REML;
    bool knha = false;
    double level = 0.95;
    sites s = {0};
    const bool named = f->n_column == 3;
    const double *y = f->column[named ? 1 : 0].value, *v = f->column[named ? 2 : 1].value;
    rad_status st;
    RAD_TRY(options(arg, n_arg, 0, &how, &knha, &level, err));
    RAD_TRY(sites_init(&s, f->n, err));
    int64_t excluded = 0;
    for (int64_t i = 0; i < f->n; i++) {
        if (isnan(y[i]) || !(v[i] > 0)) {
            excluded++;
            continue;
        }
        s.name[s.k] = named && !isnan(f->column[0].value[i]) ? f->column[0].level[(int64_t)f->column[0].value[i]] : NULL;
        s.y[s.k] = y[i];
        s.v[s.k++] = v[i];
    }
    rad_doc_int(doc, "n_excluded", excluded);
    if (excluded)
        rad_doc_reason(doc, "%lld sites without a value or with variance 0 left out", (long long)excluded);
    if (s.k == 0) {
        rad_doc_reason(doc, "no site to pool");
        goto out;
    }
    const fit m = fit_meta(s.y, s.v, NULL, s.k, how, knha, doc);
    put_fit(&m, s.y, s.v, how, level, false, doc);
    put_rows(&s, how, knha, level, doc);
out:
    sites_release(&s);
    return st;
}

/* Columns yi, vi, moderator. */
static rad_status regression_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    method how = REML;
    bool knha = false;
    double level = 0.95;
    sites s = {0};
    rad_status st;
    RAD_TRY(options(arg, n_arg, 0, &how, &knha, &level, err));
    RAD_TRY(sites_init(&s, f->n, err));
    for (int64_t i = 0; i < f->n; i++) {
        const double y = f->column[0].value[i], v = f->column[1].value[i], x = f->column[2].value[i];
        if (isnan(y) || !(v > 0) || isnan(x))
            continue;
        s.y[s.k] = y;
        s.v[s.k] = v;
        s.x[s.k++] = x;
    }
    rad_doc_int(doc, "k", s.k);
    rad_doc_int(doc, "n_excluded", f->n - s.k);
    bool varies = false;
    for (int64_t i = 1; i < s.k; i++)
        varies = varies || s.x[i] != s.x[0];
    if (s.k < 3 || !varies) {
        rad_doc_reason(doc, s.k < 3 ? "fewer than three sites" : "the moderator is the same at all sites");
        goto out;
    }
    const fit m = fit_meta(s.y, s.v, s.x, s.k, how, knha, doc), plain = fit_meta(s.y, s.v, NULL, s.k, how, knha, NULL);
    const double stat = m.beta[1] / m.se[1], q = isinf(m.df) ? rad_z_level(level) : rad_q_t(0.5 + level / 2, m.df);
    rad_doc_num(doc, "intercept", m.beta[0]);
    rad_doc_num(doc, "se_intercept", m.se[0]);
    rad_doc_num(doc, "slope", m.beta[1]);
    rad_doc_num(doc, "se_slope", m.se[1]);
    rad_doc_num(doc, "slope_lower", m.beta[1] - q * m.se[1]);
    rad_doc_num(doc, "slope_upper", m.beta[1] + q * m.se[1]);
    rad_doc_num(doc, "p_slope", rad_p_t_two_sided(stat, m.df));
    rad_doc_num(doc, "QM", stat * stat);
    rad_doc_num(doc, "QM_p", isinf(m.df) ? rad_p_chisq(stat * stat, 1) : rad_p_f(stat * stat, 1, m.df));
    rad_doc_num(doc, "QE", m.q);
    rad_doc_num(doc, "QE_p", rad_p_chisq(m.q, m.q_df));
    rad_doc_num(doc, "tau2", m.tau2);
    rad_doc_num(doc, "R2", plain.tau2 > 0 ? rad_at_least(100 * (plain.tau2 - m.tau2) / plain.tau2, 0) : NAN);
out:
    sites_release(&s);
    return st;
}

/* ---------------------------------------------------------------- AUC by center */

static rad_status centers_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int scale;
    method how = REML;
    bool knha = false;
    double level = 0.95;
    sites s = {0};
    const rad_column *g = &f->column[2];
    rad_estimate *each = NULL, *without = NULL, whole;
    int8_t *label = rad_malloc((size_t)f->n + 1), *part = rad_malloc((size_t)f->n + 1);
    rad_status st;
    if (!label || !part) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_arg_word(rad_arg_text(arg, n_arg, 0, "logit"), "scale", scales, &scale, err));
    RAD_TRY(options(arg, n_arg, 1, &how, &knha, &level, err));
    RAD_TRY(sites_init(&s, g->n_level, err));
    each = rad_calloc((size_t)g->n_level + 1, sizeof *each);
    without = rad_calloc((size_t)g->n_level + 1, sizeof *without);
    if (!each || !without) {
        st = rad_no_memory(err);
        goto out;
    }
    rad_labels(&f->column[0], f->n, label);
    for (int64_t i = 0; i < f->n; i++)
        if (isnan(g->value[i]))
            label[i] = -1;
    RAD_TRY(rad_auc(label, f->column[1].value, f->n, level, &whole, err));
    for (int64_t k = 0; k < g->n_level; k++)
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < f->n; i++)
                part[i] = (g->value[i] == (double)k) == (side == 0) ? label[i] : -1;
            RAD_TRY(rad_auc(part, f->column[1].value, f->n, level, side == 0 ? &each[k] : &without[k], err));
        }
    rad_doc_open(doc, "pooled_cases"); /* all patients in one curve: another question than the mean center */
    rad_doc_int(doc, "n", whole.n);
    rad_doc_num(doc, "auc", whole.est);
    rad_doc_num(doc, "lower", whole.lower);
    rad_doc_num(doc, "upper", whole.upper);
    rad_doc_close(doc);
    rad_doc_open_list(doc, "excluded");
    for (int64_t k = 0; k < g->n_level; k++) {
        const rad_estimate *e = &each[k];
        if (e->se > 0 && (scale == 0 || (e->est > 0 && e->est < 1))) {
            const double d = scale == 0 ? 1 : e->est * (1 - e->est);
            s.name[s.k] = g->level[k];
            s.y[s.k] = scale == 0 ? e->est : rad_logit(e->est);
            s.v[s.k++] = e->se * e->se / (d * d);
        } else {
            rad_doc_text(doc, NULL, g->level[k]);
            rad_doc_reason(doc, "center '%s' cannot be pooled: %s", g->level[k], e->reason ? e->reason : "AUC is 0 or 1");
        }
    }
    rad_doc_close(doc);
    rad_doc_open_list(doc, "used");
    for (int64_t k = 0; k < s.k; k++)
        rad_doc_text(doc, NULL, s.name[k]);
    rad_doc_close(doc);
    rad_doc_open_list(doc, "rows");
    for (int64_t k = 0; k < g->n_level; k++) {
        rad_doc_open(doc, NULL);
        rad_doc_text(doc, "center", g->level[k]);
        rad_doc_int(doc, "n", each[k].n);
        rad_doc_int(doc, "n_pos", each[k].n_pos);
        rad_doc_num(doc, "auc", each[k].est);
        rad_doc_num(doc, "se", each[k].se);
        rad_doc_num(doc, "lower", each[k].lower);
        rad_doc_num(doc, "upper", each[k].upper);
        rad_doc_int(doc, "n_without", without[k].n);
        rad_doc_num(doc, "auc_without", without[k].est);
        rad_doc_num(doc, "lower_without", without[k].lower);
        rad_doc_num(doc, "upper_without", without[k].upper);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    if (s.k == 0) {
        rad_doc_reason(doc, "no center to pool");
        goto out;
    }
    const fit m = fit_meta(s.y, s.v, NULL, s.k, how, knha, doc);
    rad_doc_text(doc, "scale", scales[scale]);
    put_fit(&m, s.y, s.v, how, level, scale == 1, doc);
    rad_doc_open(doc, "meta");
    put_rows(&s, how, knha, level, doc);
    rad_doc_close(doc);
out:
    sites_release(&s);
    free(each);
    free(without);
    free(label);
    free(part);
    return st;
}

#define META_ARGS "[, method = 'REML'[, test = 'z'[, level = 0.95]]]"

static const rad_stat_function functions[] = {
    {"meta_estimate", "yi, vi" META_ARGS, "pooled value; method FE, DL, REML, ML, PM or HS; test 'z' or 'knha' (Hartung-Knapp)", "estimate",
     "nn", "ttn", 2, 0, RAD_STAT_AGGREGATE, meta_doc},
    {"meta_tau2", "yi, vi" META_ARGS, "variance between sites", "tau2", "nn", "ttn", 2, 0, RAD_STAT_AGGREGATE, meta_doc},
    {"meta_i2", "yi, vi" META_ARGS, "I2 in percent as metafor prints it: tau2 / (tau2 + typical variance); (Q - df) / Q for FE", "I2", "nn",
     "ttn", 2, 0, RAD_STAT_AGGREGATE, meta_doc},
    {"meta_json", "yi, vi" META_ARGS,
     "pooled value, Cochran Q, tau2 with Q-profile limits, I2, H2, prediction intervals (normal or t k-1 as "
     "metafor, and t k-2 of Higgins/Riley), leave-one-out",
     NULL, "nn", "ttn", 2, 0, RAD_STAT_AGGREGATE, meta_doc},
    {"meta_analysis", "'SELECT site, yi, vi ...'" META_ARGS, "forest plot: one row per site with its weight, then the pooled row",
     "site,yi,se,lower,upper,weight", "cnn", "ttn", 1, 0, RAD_STAT_TABLE, meta_doc},
    {"meta_regression_json", "yi, vi, moderator" META_ARGS, "mixed-effects meta-regression on one moderator", NULL, "nnn", "ttn", 3, 0,
     RAD_STAT_AGGREGATE, regression_doc},
    {"centers_json", "label, score, center[, scale = 'logit'[, method = 'REML'[, test = 'z'[, level = 0.95]]]]",
     "AUC by center, pooled over centers on the AUC or logit scale and over patients, leave-one-center-out; centers that cannot be pooled "
     "are "
     "listed",
     NULL, "nnc", "tttn", 3, 0, RAD_STAT_AGGREGATE, centers_doc},
    {"centers", "'SELECT label, score, center ...'[, scale = 'logit'[, method = 'REML'[, test = 'z'[, level = 0.95]]]]",
     "AUC by center beside the AUC of all others", "center,n,n_pos,auc,se,lower,upper,n_without,auc_without,lower_without,upper_without",
     "nnc", "tttn", 1, 0, RAD_STAT_TABLE, centers_doc},
};
RAD_STAT_TOPIC(rad_topic_meta, functions);
