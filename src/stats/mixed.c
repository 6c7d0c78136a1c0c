/* mixed: logistic regression of clustered rows: random intercept by adaptive quadrature (Pinheiro & Bates 1995; one point =
 * Laplace). */

#include "design.h"
#include "impl.h"
#include "logit.h"

#include <gsl/gsl_integration.h>

enum { MAX_POINTS = 51, MAX_NEWTON = 200 };

typedef struct glmm {
    const rad_design *d;
    int64_t q;                                   /* quadrature points */
    double node[MAX_POINTS], weight[MAX_POINTS]; /* Gauss-Hermite for exp(-x^2) */
    int64_t *first, *member;                     /* rows by group: member[first[g] .. first[g + 1]) */
    double *eta;
} glmm;

static double log1pexp(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double group_value(const glmm *m, int64_t g, double s, double u) {
    double ll = -u * u / 2;
    for (int64_t k = m->first[g]; k < m->first[g + 1]; k++) {
        const int64_t i = m->member[k];
        const double e = m->eta[i] + s * u;
        ll += m->d->y[i] * e - log1pexp(e);
    }
    return ll;
}

/* Marginal log likelihood; par = beta[p], standard deviation of the intercept. */
static double loglik(const glmm *m, const double *par) {
    const rad_design *d = m->d;
    const double s = par[d->p];
    double total = 0;
    for (int64_t i = 0; i < d->n; i++) {
        m->eta[i] = 0;
        for (int64_t j = 0; j < d->p; j++)
            m->eta[i] += d->x[i * d->p + j] * par[j];
    }
    for (int64_t g = 0; g < d->n_group; g++) {
        double u = 0, curve = 1;
        for (int it = 0; it < 100; it++) { /* mode of the integrand: concave, Newton */
            double grad = -u;
            curve = 1;
            for (int64_t k = m->first[g]; k < m->first[g + 1]; k++) {
                const int64_t i = m->member[k];
                const double p = rad_expit(m->eta[i] + s * u);
                grad += s * (d->y[i] - p);
                curve += s * s * p * (1 - p);
            }
            const double step = grad / curve;
            u += step;
            if (fabs(step) < 1e-12)
                break;
        }
        const double width = 1 / sqrt(curve), top = group_value(m, g, s, u);
        double sum = 0;
        for (int64_t k = 0; k < m->q; k++) {
            const double x = m->node[k];
            sum += m->weight[k] * exp(x * x + group_value(m, g, s, u + 1.4142135623730950488 * width * x) - top);
        }
        total += top + log(1.4142135623730950488 * width * sum) - 0.91893853320467274178; /* log sqrt(2 pi) of the prior */
    }
    return total;
}

static rad_status quadrature(glmm *m, rad_error *err) {
    gsl_integration_fixed_workspace *w = gsl_integration_fixed_alloc(gsl_integration_fixed_hermite, (size_t)m->q, 0, 1, 0, 0);
    if (!w)
        return rad_no_memory(err);
    for (int64_t k = 0; k < m->q; k++) {
        m->node[k] = gsl_integration_fixed_nodes(w)[k];
        m->weight[k] = gsl_integration_fixed_weights(w)[k];
    }
    gsl_integration_fixed_free(w);
    return RAD_OK;
}

/* Central differences: gradient (n) and Hessian (n x n). Steps of 1e-4 in units of each coefficient's error keep 1e-8 of the curvature. */
static void derivatives(const glmm *m, double *par, const double *h, int64_t n, double *grad, double *hess) {
    const double f0 = loglik(m, par);
    for (int64_t a = 0; a < n; a++) {
        const double keep = par[a];
        par[a] = keep + h[a];
        const double up = loglik(m, par);
        par[a] = keep - h[a];
        const double down = loglik(m, par);
        grad[a] = (up - down) / (2 * h[a]);
        hess[a * n + a] = (up - 2 * f0 + down) / (h[a] * h[a]);
        for (int64_t b = 0; b < a; b++) {
            const double other = par[b];
            double v[4];
            for (int c = 0; c < 4; c++) {
                par[a] = keep + (c & 1 ? h[a] : -h[a]);
                par[b] = other + (c & 2 ? h[b] : -h[b]);
                v[c] = loglik(m, par);
            }
            par[b] = other;
            hess[a * n + b] = hess[b * n + a] = (v[3] - v[2] - v[1] + v[0]) / (4 * h[a] * h[b]);
        }
        par[a] = keep;
    }
}

static rad_status maximise(const glmm *m, double *par, const double *scale, double *cov, double *ret_ll, bool *ret_ok, rad_error *err) {
    const int64_t n = m->d->p + 1;
    rad_status st = RAD_OK;
    double *h = rad_new_doubles(n), *grad = rad_new_doubles(n), *hess = rad_new_doubles(n * n), *step = rad_new_doubles(n),
           *trial = rad_new_doubles(n);
    *ret_ok = false;
    if (!h || !grad || !hess || !step || !trial) {
        st = rad_no_memory(err);
        goto out;
    }
    double ll = loglik(m, par);
    for (int it = 0; it < MAX_NEWTON; it++) {
        bool definite;
        double norm = 0, factor = 1, next = ll;
        for (int64_t a = 0; a < n; a++)
            h[a] = 1e-3 * scale[a];
        derivatives(m, par, h, n, grad, hess);
        for (int64_t a = 0; a < n * n; a++)
            hess[a] = -hess[a];
        RAD_TRY(rad_spd_inverse(hess, n, cov, NULL, &definite, err));
        for (int64_t a = 0; a < n; a++) {
            step[a] = definite ? 0 : grad[a] * scale[a] * scale[a]; /* away from the top: scaled gradient */
            for (int64_t b = 0; b < n && definite; b++)
                step[a] += cov[a * n + b] * grad[b];
            norm = fmax(norm, fabs(step[a]) / scale[a]);
        }
        if (definite && norm < 1e-6) {
            *ret_ok = true;
            break;
        }
        for (int t = 0; t < 40; t++, factor /= 2) {
            for (int64_t a = 0; a < n; a++)
                trial[a] = par[a] + factor * step[a];
            trial[n - 1] = fabs(trial[n - 1]); /* the sign of the deviation is arbitrary */
            next = loglik(m, trial);
            if (next > ll)
                break;
        }
        if (!(next > ll)) { /* no step gains: at the top to rounding */
            *ret_ok = definite;
            break;
        }
        memcpy(par, trial, (size_t)n * sizeof *par);
        ll = next;
    }
    *ret_ll = ll;
out:
    free(h);
    free(grad);
    free(hess);
    free(step);
    free(trial);
    return st;
}

static bool usable(const rad_design *d, rad_doc *doc) {
    double n1 = 0;
    for (int64_t i = 0; i < d->n; i++)
        n1 += d->y[i];
    if (d->n == 0 || n1 == 0 || n1 == (double)d->n) {
        rad_doc_reason(doc, d->n == 0 ? "no complete row" : "the outcome is the same in all rows");
        return false;
    }
    return true;
}

static rad_status remove_aliased(rad_design *d, rad_doc *doc, rad_error *err) {
    bool *drop = rad_calloc((size_t)d->p, sizeof *drop);
    int64_t n = 0;
    if (!drop)
        return rad_no_memory(err);
    const rad_status st = rad_design_aliased(d, drop, &n, err);
    if (st == RAD_OK && n > 0) {
        rad_doc_reason(doc, "%lld aliased columns left out", (long long)n);
        rad_design_drop(d, drop);
    }
    free(drop);
    return st;
}

static void put_row(rad_doc *doc, const char *name, double b, double se, double z) {
    rad_doc_open(doc, NULL);
    rad_doc_text(doc, "term", name);
    rad_doc_num(doc, "estimate", b);
    rad_doc_num(doc, "se", se);
    rad_doc_num(doc, "z", b / se);
    rad_doc_num(doc, "p", rad_p_two_sided(b / se));
    rad_doc_num(doc, "or", exp(b));
    rad_doc_num(doc, "or_lower", exp(b - z * se));
    rad_doc_num(doc, "or_upper", exp(b + z * se));
    rad_doc_close(doc);
}

static rad_status mixed_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *par = NULL, *scale = NULL, *cov = NULL, ll = NAN;
    rad_design d = {0};
    rad_logit_model plain = {0};
    glmm m = {.d = &d};
    bool ok = false;
    rad_status st;
    const char *formula = rad_arg_text(arg, n_arg, 0, NULL);
    const double points = rad_arg_num(arg, n_arg, 1, 15);
    RAD_TRY(rad_arg_fraction(arg, n_arg, 2, "level", 0.95, &level, err));
    if (!(points >= 1 && points <= MAX_POINTS))
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "%g quadrature points: expected 1 (Laplace) to %d", points, MAX_POINTS));
    m.q = (int64_t)points;
    RAD_TRY(rad_design_init(f, formula, &d, err));
    if (!d.random)
        RAD_TRY(rad_error_set(err, RAD_E_USAGE, "formula: expected one random intercept '(1|g)'"));
    rad_doc_int(doc, "n", d.n);
    rad_doc_int(doc, "n_missing", d.n_missing);
    rad_doc_int(doc, "n_groups", d.n_group);
    if (!usable(&d, doc))
        goto out;
    RAD_TRY(remove_aliased(&d, doc, err));
    RAD_TRY(rad_logit_fit(d.x, d.y, NULL, d.n, d.p, false, -1, 0, NULL, &plain, err));
    if (plain.separated) {
        rad_doc_reason(doc, "separation: no maximum; use logistic with method 'firth'");
        goto out;
    }
    par = rad_new_doubles(d.p + 1);
    scale = rad_new_doubles(d.p + 1);
    cov = rad_new_doubles((d.p + 1) * (d.p + 1));
    m.eta = rad_new_doubles(d.n);
    if (!par || !scale || !cov || !m.eta) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(rad_design_groups(&d, &m.first, &m.member, err));
    RAD_TRY(quadrature(&m, err));
    for (int64_t j = 0; j < d.p; j++) {
        par[j] = plain.beta[j];
        scale[j] = sqrt(plain.cov[j * d.p + j]);
    }
    par[d.p] = 0.7;
    scale[d.p] = 0.2;
    RAD_TRY(maximise(&m, par, scale, cov, &ll, &ok, err));
    const double z = rad_z_level(level), s = par[d.p], lr = rad_at_least(2 * (ll - plain.loglik), 0);
    if (!ok)
        rad_doc_reason(doc, s < 1e-3 ? "the variance of the intercept is 0: the plain model says the same" : "the fit did not converge");
    rad_doc_open_list(doc, "rows");
    for (int64_t j = 0; j < d.p; j++)
        put_row(doc, d.name[j], par[j], ok ? sqrt(cov[j * (d.p + 1) + j]) : s < 1e-3 ? scale[j] : NAN, z);
    rad_doc_close(doc);
    rad_doc_num(doc, "sd_random", s);
    rad_doc_num(doc, "icc_latent", s * s / (s * s + 3.2898681336964528729)); /* pi^2 / 3 */
    rad_doc_num(doc, "loglik", ll);
    rad_doc_num(doc, "loglik_plain", plain.loglik);
    rad_doc_num(doc, "lr_chi2", lr);
    rad_doc_num(doc, "lr_p", rad_p_chisq(lr, 1) / 2); /* the variance is on its boundary: half of chi-square 0, half of 1 */
    rad_doc_num(doc, "points", points);
out:
    rad_design_release(&d);
    rad_logit_release(&plain);
    free(m.first);
    free(m.member);
    free(m.eta);
    free(par);
    free(scale);
    free(cov);
    return st;
}

#define MIXED "'SELECT y, x, g ...', formula[, points = 15[, level = 0.95]]"

static const rad_stat_function functions[] = {
    {"mixed_logistic", MIXED,
     "logistic regression with a random intercept, 'y ~ x + (1|center)', by adaptive Gauss-Hermite quadrature (points = 1: Laplace); "
     "errors from "
     "the observed information of all parameters. document: standard deviation, latent ICC, test of no variance",
     "term,estimate,se,z,p,or,or_lower,or_upper", "a+", "tnn", 2, 0, RAD_STAT_TABLE, mixed_doc},
};
RAD_STAT_TOPIC(rad_topic_mixed, functions);
