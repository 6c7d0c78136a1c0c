/* matched: rows that belong together: conditional logistic regression by stratum (Breslow & Day 1980, exact denominators by recursion,
 * Gail, Lubin & Rubinstein 1981) and generalised estimating equations with an exchangeable correlation (Liang & Zeger 1986). */
#include "design.h"
#include "impl.h"
#include "logit.h"

enum { MAX_STEPS = 100 };

static void put_row(rad_doc *doc, const char *name, double b, double se, double level, const char *se_name) {
    const double z = rad_z_level(level);
    rad_doc_open(doc, NULL);
    rad_doc_text(doc, "term", name);
    rad_doc_num(doc, "estimate", b);
    rad_doc_num(doc, se_name, se);
    rad_doc_num(doc, "z", b / se);
    rad_doc_num(doc, "p", rad_p_two_sided(b / se));
    rad_doc_num(doc, "or", exp(b));
    rad_doc_num(doc, "or_lower", exp(b - z * se));
    rad_doc_num(doc, "or_upper", exp(b + z * se));
    rad_doc_close(doc);
}

/* Formula with cluster(g) or strata(g), fitted columns without aliases. False and a reason when there is nothing to fit. */
static rad_status prepare(const rad_frame *f, const char *formula, rad_design *d, bool *ret_ok, rad_doc *doc, rad_error *err) {
    bool *drop = NULL;
    int64_t n = 0;
    double n1 = 0;
    *ret_ok = false;
    rad_status st = rad_design_init(f, formula, d, err);
    if (st != RAD_OK)
        return st;
    if (!d->group || d->random)
        return rad_error_set(err, RAD_E_USAGE, "formula: expected the groups as 'strata(g)' or 'cluster(g)'");
    rad_doc_int(doc, "n", d->n);
    rad_doc_int(doc, "n_missing", d->n_missing);
    rad_doc_int(doc, "n_groups", d->n_group);
    for (int64_t i = 0; i < d->n; i++)
        n1 += d->y[i];
    if (d->n == 0 || n1 == 0 || n1 == (double)d->n) {
        rad_doc_reason(doc, d->n == 0 ? "no complete row" : "the outcome is the same in all rows");
        return RAD_OK;
    }
    drop = rad_calloc((size_t)d->p, sizeof *drop);
    if (!drop)
        return rad_no_memory(err);
    st = rad_design_aliased(d, drop, &n, err);
    if (st == RAD_OK && n > 0) {
        rad_doc_reason(doc, "%lld aliased columns left out", (long long)n);
        rad_design_drop(d, drop);
    }
    free(drop);
    *ret_ok = st == RAD_OK;
    return st;
}

/* ---------------------------------------------------------------- conditional */

/* Sum over all ways to choose m of the rows of a stratum of exp(sum of eta), with first and second derivatives in beta, by the recursion
 * over rows B(k, r) = B(k, r-1) + exp(eta_r) B(k-1, r-1). tab: (m + 1) x (1 + p + p^2). Scaled by the largest eta against overflow. */
static void stratum(const rad_design *d, const int64_t *row, int64_t n, int64_t m, const double *beta, double *tab, double *ret_loglik,
                    double *grad, double *info) {
    const int64_t p = d->p - 1, w = 1 + p + p * p; /* the intercept drops out */
    double top = -INFINITY, ll = 0;
    memset(tab, 0, (size_t)((m + 1) * w) * sizeof *tab);
    tab[0] = 1;
    for (int64_t r = 0; r < n; r++) {
        double eta = 0;
        for (int64_t j = 0; j < p; j++)
            eta += d->x[row[r] * d->p + 1 + j] * beta[j];
        top = fmax(top, eta);
        ll += d->y[row[r]] * eta;
        for (int64_t j = 0; j < p; j++)
            grad[j] += d->y[row[r]] * d->x[row[r] * d->p + 1 + j];
    }
    for (int64_t r = 0; r < n; r++) {
        const double *x = d->x + row[r] * d->p + 1;
        double eta = -top;
        for (int64_t j = 0; j < p; j++)
            eta += x[j] * beta[j];
        const double e = exp(eta);
        for (int64_t k = r + 1 < m ? r + 1 : m; k > 0; k--) {
            double *to = tab + k * w;
            const double *from = tab + (k - 1) * w;
            for (int64_t a = 0; a < p; a++)
                for (int64_t b = 0; b < p; b++)
                    to[1 + p + a * p + b] +=
                        e * (from[1 + p + a * p + b] + x[a] * from[1 + b] + x[b] * from[1 + a] + x[a] * x[b] * from[0]);
            for (int64_t a = 0; a < p; a++)
                to[1 + a] += e * (from[1 + a] + x[a] * from[0]);
            to[0] += e * from[0];
        }
    }
    const double *b = tab + m * w;
    for (int64_t i = 0; i < p; i++) {
        grad[i] -= b[1 + i] / b[0];
        for (int64_t j = 0; j < p; j++)
            info[i * p + j] += b[1 + p + i * p + j] / b[0] - b[1 + i] * b[1 + j] / (b[0] * b[0]);
    }
    *ret_loglik += ll - log(b[0]) - (double)m * top;
}

static rad_status conditional_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, *beta = NULL, *grad = NULL, *info = NULL, *cov = NULL, *tab = NULL, *trial = NULL, ll = 0, last = -INFINITY;
    int64_t *first = NULL, *member = NULL, used = 0;
    rad_design d = {0};
    bool ok = false, converged = false;
    rad_status st;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    RAD_TRY(prepare(f, rad_arg_text(arg, n_arg, 0, NULL), &d, &ok, doc, err));
    const int64_t p = d.p - 1;
    if (!ok || p < 1) {
        if (ok)
            rad_doc_reason(doc, "no term besides the strata");
        goto out;
    }
    RAD_TRY(rad_design_groups(&d, &first, &member, err));
    beta = rad_new_doubles(p);
    trial = rad_new_doubles(p);
    grad = rad_new_doubles(p);
    info = rad_new_doubles(p * p);
    cov = rad_new_doubles(p * p);
    tab = rad_new_doubles((d.n + 1) * (1 + p + p * p));
    if (!beta || !trial || !grad || !info || !cov || !tab) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int it = 0; it < MAX_STEPS && !converged; it++) {
        memset(grad, 0, (size_t)p * sizeof *grad);
        memset(info, 0, (size_t)(p * p) * sizeof *info);
        ll = 0;
        used = 0;
        for (int64_t g = 0; g < d.n_group; g++) {
            int64_t m = 0;
            const int64_t n = first[g + 1] - first[g];
            for (int64_t k = first[g]; k < first[g + 1]; k++)
                m += d.y[member[k]] == 1;
            if (m == 0 || m == n)
                continue; /* a stratum of one outcome says nothing */
            used++;
            stratum(&d, member + first[g], n, m, beta, tab, &ll, grad, info);
        }
        if (used == 0)
            break;
        if (ll < last - 1e-9 * (1 + fabs(last))) { /* too far: back half the way */
            for (int64_t j = 0; j < p; j++)
                beta[j] = (beta[j] + trial[j]) / 2;
            continue;
        }
        bool definite;
        double most = 0;
        RAD_TRY(rad_spd_inverse(info, p, cov, NULL, &definite, err));
        if (!definite)
            break;
        last = ll;
        for (int64_t a = 0; a < p; a++) {
            double step = 0;
            trial[a] = beta[a];
            for (int64_t b = 0; b < p; b++)
                step += cov[a * p + b] * grad[b];
            most = fmax(most, fabs(step) / sqrt(cov[a * p + a]));
            beta[a] += step;
        }
        converged = most < 1e-9;
    }
    rad_doc_int(doc, "n_strata_used", used);
    if (used == 0 || !converged) {
        rad_doc_reason(doc, used == 0 ? "no stratum has both outcomes"
                                      : "the fit did not converge: separation within strata, or an aliased term");
        goto out;
    }
    rad_doc_open_list(doc, "rows");
    for (int64_t j = 0; j < p; j++)
        put_row(doc, d.name[j + 1], beta[j], sqrt(cov[j * p + j]), level, "se");
    rad_doc_close(doc);
    rad_doc_num(doc, "loglik", ll);
out:
    rad_design_release(&d);
    free(first);
    free(member);
    free(beta);
    free(trial);
    free(grad);
    free(info);
    free(cov);
    free(tab);
    return st;
}

/* ---------------------------------------------------------------- GEE */

typedef struct gee {
    const rad_design *d;
    const int64_t *first, *member;
    double *beta, *mu, *info, *score, *meat, *one;
} gee;

/* Score, information and squared group scores with working correlation alpha. With z = (y - mu) / s and u = x s (s = sqrt of the variance),
 * R^-1 = (I - c 11') / (1 - alpha), c = alpha / (1 + (n - 1) alpha). */
static void accumulate(const gee *q, double alpha) {
    const rad_design *d = q->d;
    const int64_t p = d->p;
    memset(q->info, 0, (size_t)(p * p) * sizeof *q->info);
    memset(q->meat, 0, (size_t)(p * p) * sizeof *q->meat);
    memset(q->score, 0, (size_t)p * sizeof *q->score);
    double *su = q->one, *gs = q->one + p;
    for (int64_t g = 0; g < d->n_group; g++) {
        const double n = (double)(q->first[g + 1] - q->first[g]), c = alpha / (1 + (n - 1) * alpha);
        double sz = 0;
        memset(su, 0, (size_t)(2 * p) * sizeof *su);
        for (int64_t k = q->first[g]; k < q->first[g + 1]; k++) {
            const int64_t i = q->member[k];
            const double v = q->mu[i] * (1 - q->mu[i]), s = sqrt(v);
            sz += (d->y[i] - q->mu[i]) / s;
            for (int64_t a = 0; a < p; a++) {
                const double x = d->x[i * p + a];
                su[a] += x * s;
                gs[a] += x * (d->y[i] - q->mu[i]);
                for (int64_t b = 0; b < p; b++)
                    q->info[a * p + b] += v * x * d->x[i * p + b] / (1 - alpha);
            }
        }
        for (int64_t a = 0; a < p; a++) {
            gs[a] = (gs[a] - c * su[a] * sz) / (1 - alpha);
            q->score[a] += gs[a];
            for (int64_t b = 0; b < p; b++)
                q->info[a * p + b] -= c * su[a] * su[b] / (1 - alpha);
        }
        for (int64_t a = 0; a < p; a++)
            for (int64_t b = 0; b < p; b++)
                q->meat[a * p + b] += gs[a] * gs[b];
    }
}

static double correlation(const gee *q) {
    const rad_design *d = q->d;
    double scale = 0, cross = 0, pairs = 0;
    for (int64_t g = 0; g < d->n_group; g++) {
        double s = 0, ss = 0;
        const double n = (double)(q->first[g + 1] - q->first[g]);
        for (int64_t k = q->first[g]; k < q->first[g + 1]; k++) {
            const int64_t i = q->member[k];
            const double r = (d->y[i] - q->mu[i]) / sqrt(q->mu[i] * (1 - q->mu[i]));
            s += r;
            ss += r * r;
        }
        scale += ss;
        cross += (s * s - ss) / 2;
        pairs += n * (n - 1) / 2;
    }
    return pairs > 0 ? cross / pairs / (scale / (double)d->n) : 0;
}

static void predict(const gee *q) {
    for (int64_t i = 0; i < q->d->n; i++) {
        double eta = 0;
        for (int64_t j = 0; j < q->d->p; j++)
            eta += q->d->x[i * q->d->p + j] * q->beta[j];
        q->mu[i] = rad_expit(eta);
    }
}

static rad_status gee_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    double level, alpha = 0, *cov = NULL, *half = NULL;
    int64_t *first = NULL, *member = NULL;
    rad_design d = {0};
    rad_logit_model start = {0};
    gee q = {.d = &d};
    bool ok = false, converged = false, definite = true;
    rad_status st;
    RAD_TRY(rad_arg_fraction(arg, n_arg, 1, "level", 0.95, &level, err));
    RAD_TRY(prepare(f, rad_arg_text(arg, n_arg, 0, NULL), &d, &ok, doc, err));
    if (!ok)
        goto out;
    const int64_t p = d.p;
    RAD_TRY(rad_logit_fit(d.x, d.y, NULL, d.n, p, false, -1, 0, NULL, &start, err));
    if (start.separated) {
        rad_doc_reason(doc, "separation: no estimate; use logistic with method 'firth'");
        goto out;
    }
    RAD_TRY(rad_design_groups(&d, &first, &member, err));
    q.first = first;
    q.member = member;
    q.beta = start.beta;
    q.mu = rad_new_doubles(d.n);
    q.info = rad_new_doubles(p * p);
    q.score = rad_new_doubles(p);
    q.meat = rad_new_doubles(p * p);
    q.one = rad_new_doubles(2 * p);
    cov = rad_new_doubles(p * p);
    half = rad_new_doubles(p * p);
    if (!q.mu || !q.info || !q.score || !q.meat || !q.one || !cov || !half) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int it = 0; it < MAX_STEPS && !converged && definite; it++) {
        predict(&q);
        alpha = correlation(&q);
        accumulate(&q, alpha);
        RAD_TRY(rad_spd_inverse(q.info, p, cov, NULL, &definite, err));
        double most = 0;
        for (int64_t a = 0; a < p && definite; a++) {
            double step = 0;
            for (int64_t b = 0; b < p; b++)
                step += cov[a * p + b] * q.score[b];
            q.beta[a] += step;
            most = fmax(most, fabs(step) / sqrt(cov[a * p + a]));
        }
        converged = most < 1e-10;
    }
    if (!converged || !definite) {
        rad_doc_reason(doc, "the estimating equations did not converge");
        goto out;
    }
    for (int64_t a = 0; a < p; a++)
        for (int64_t b = 0; b < p; b++)
            for (int64_t t = 0; t < p; t++)
                half[a * p + b] += cov[a * p + t] * q.meat[t * p + b];
    rad_doc_open_list(doc, "rows");
    for (int64_t a = 0; a < p; a++) {
        double v = 0;
        for (int64_t t = 0; t < p; t++)
            v += half[a * p + t] * cov[t * p + a];
        put_row(doc, d.name[a], q.beta[a], sqrt(v), level, "robust_se");
    }
    rad_doc_close(doc);
    rad_doc_num(doc, "alpha", alpha);
out:
    rad_design_release(&d);
    rad_logit_release(&start);
    free(first);
    free(member);
    free(q.mu);
    free(q.info);
    free(q.score);
    free(q.meat);
    free(q.one);
    free(cov);
    free(half);
    return st;
}

static const rad_stat_function functions[] = {
    {"conditional_logistic", "'SELECT y, x, g ...', formula[, level = 0.95]",
     "conditional logistic regression, 'y ~ x + strata(g)', exact likelihood; strata with one outcome contribute nothing",
     "term,estimate,se,z,p,or,or_lower,or_upper", "a+", "tn", 2, 0, RAD_STAT_TABLE, conditional_doc},
    {"gee_logistic", "'SELECT y, x, g ...', formula[, level = 0.95]",
     "logistic estimating equations, 'y ~ x + cluster(g)', exchangeable working correlation, sandwich errors",
     "term,estimate,robust_se,z,p,or,or_lower,or_upper", "a+", "tn", 2, 0, RAD_STAT_TABLE, gee_doc},
};
RAD_STAT_TOPIC(rad_topic_matched, functions);
