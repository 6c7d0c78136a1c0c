/* statistics_centers.c: strata against each other: internal against external, against every external center, and the mean center with the
 * spread between centers. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static bool has_units(const rad_auc_pair *v) {
    return v->naive.e.n + v->naive.e.n_missing > 0;
}

static rad_status difference(const rad_auc_pair *a, const rad_auc_pair *b, rad_auc_pair *ret, rad_error *err) {
    *ret = (rad_auc_pair){.n_cluster = a->n_cluster + b->n_cluster, .shared = a->shared || b->shared};
    rad_status s = rad_measure_auc_difference(&a->naive, &b->naive, &ret->naive, err);
    if (s == RAD_OK && ret->shared)
        s = rad_measure_auc_difference(a->shared ? &a->clustered : &a->naive, b->shared ? &b->clustered : &b->naive, &ret->clustered, err);
    return s;
}

rad_status rad_statistics_contrasts(rad_computation *c, const rad_auc_pair *in, const rad_auc_pair *ex, const rad_auc_pair *by_center,
                                    rad_error *err) {
    static const char *const NAME[2] = {"auc_difference", "auc_difference_clustered"};
    static const char *const METHOD[3] = {"difference of empirical AUCs, no interval", "unpaired DeLong, z test",
                                          "unpaired Obuchowski 1997, patients as clusters, z test"};
    const rad_stratum cohorts = {"contrast", "internal - external", NULL, -1, -1, 0};
    rad_auc_pair v, *each = NULL;
    double *p = NULL, *adjusted = NULL;
    rad_status st = RAD_OK;
    if (!has_units(in) || !has_units(ex))
        return RAD_OK;
    RAD_TRY(difference(in, ex, &v, err));
    RAD_TRY(rad_statistics_put_pair(c, &cohorts, NAME, METHOD, NULL, NULL, &v, err));
    if (!by_center)
        goto out;
    const int64_t n = c->n_center;
    each = rad_calloc((size_t)n + 1, sizeof *each);
    p = rad_calloc(2 * (size_t)n + 1, sizeof *p);
    adjusted = rad_calloc(2 * (size_t)n + 1, sizeof *adjusted);
    if (!each || !p || !adjusted) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        p[i] = p[n + i] = NAN;
        if (!c->center[i].external || !has_units(&by_center[i]))
            continue;
        RAD_TRY(difference(in, &by_center[i], &each[i], err));
        p[i] = each[i].naive.e.p;
        p[n + i] = each[i].shared ? each[i].clustered.e.p : (double)NAN;
    }
    RAD_TRY(rad_measure_holm(p, n, adjusted, err));
    RAD_TRY(rad_measure_holm(p + n, n, adjusted + n, err));
    for (int64_t i = 0; i < n; i++) {
        if (!c->center[i].external || !has_units(&by_center[i]))
            continue;
        char *name = rad_asprintf("internal - %s", c->center[i].name);
        if (!name) {
            st = rad_statistics_no_memory(c, err);
            goto out;
        }
        const rad_stratum g = {"contrast", name, NULL, -1, -1, 0};
        st =
            rad_statistics_put_pair(c, &g, NAME, METHOD, c->center[i].name, (const double[2]){adjusted[i], adjusted[n + i]}, &each[i], err);
        free(name);
        if (st != RAD_OK)
            goto out;
    }
out:
    free(each);
    free(p);
    free(adjusted);
    return st;
}

/* ---------------------------------------------------------------- the mean center */

typedef struct pooled_kind {
    const char *name, *method;
    const char *est, *lower, *upper, *p; /* fields of meta_json; p NULL: none */
    bool logit;                          /* to be brought back to the scale of the AUC */
} pooled_kind;
static const pooled_kind POOLED[] = {
    {"auc_centers_reml", "mean center: random effects, REML, logit scale, normal limits", "estimate", "lower", "upper", NULL, true},
    {"auc_centers_prediction", "mean center, with the interval for a further center: REML, logit scale, t with k - 2 (Higgins 2009)",
     "estimate", "pi_t_lower", "pi_t_upper", NULL, true},
    {"auc_centers_tau2", "variance of the logit AUC between centers: REML, limits by Q profile; p: Cochran's Q", "tau2", "tau2_ci_lower",
     "tau2_ci_upper", "Q_p", false},
    {"auc_centers_i2", "percent of the variance that lies between centers: REML, limits by Q profile; p: Cochran's Q", "I2", "I2_ci_lower",
     "I2_ci_upper", "Q_p", false},
};
static const pooled_kind POOLED_DL = {"auc_centers_dl",
                                      "mean center: random effects, DerSimonian-Laird, logit scale, normal limits",
                                      "estimate",
                                      "lower",
                                      "upper",
                                      NULL,
                                      true};

enum { MAX_POOLED = 1024 };
typedef struct pooled {
    double y[MAX_POOLED], v[MAX_POOLED];
    int64_t k, n, n_pos, n_missing, n_cluster, left_out;
    bool shared, clustered;
} pooled;

static double from_doc(const rad_doc *doc, const char *field, bool logit) {
    const double x = rad_doc_get(doc, field);
    return logit ? 1 / (1 + exp(-x)) : x;
}

static rad_status put_pooled(rad_computation *c, const pooled *s, const pooled_kind *kind, rad_doc *doc, rad_error *err) {
    const rad_stratum g = {"contrast", "centers", NULL, -1, -1, 0};
    rad_measure v = {.e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN}};
    if (doc) {
        v.e.est = from_doc(doc, kind->est, kind->logit);
        v.e.lower = from_doc(doc, kind->lower, kind->logit);
        v.e.upper = from_doc(doc, kind->upper, kind->logit);
        if (kind->p)
            v.e.p = rad_doc_get(doc, kind->p);
    } else {
        snprintf(v.reason, sizeof v.reason, "fewer than two centers have an AUC between 0 and 1 with a variance");
    }
    if (doc && s->left_out > 0)
        snprintf(v.reason, sizeof v.reason, "%lld centers whose AUC is 0, 1 or undefined are left out", (long long)s->left_out);
    else if (doc && (isnan(v.e.est) || isnan(v.e.lower)))
        snprintf(v.reason, sizeof v.reason, "%s", rad_doc_get_reason(doc) ? rad_doc_get_reason(doc) : "not defined for these centers");
    v.e.n = s->n;
    v.e.n_pos = s->n_pos;
    v.e.n_missing = s->n_missing;
    char name[64], method[200];
    snprintf(name, sizeof name, "%s%s", kind->name, s->clustered ? "_clustered" : "");
    snprintf(method, sizeof method, "%s; centers' variances by %s", kind->method,
             s->clustered ? "Obuchowski 1997, patients as clusters"
             : s->shared  ? "DeLong" RAD_STATISTICS_INDEPENDENT
                          : "DeLong");
    const rad_row_text t = {.name = name, .method = method, .n_cluster = s->n_cluster, .where = " AND label IS NOT NULL"};
    return rad_statistics_put(c, &g, &t, &v, err);
}

rad_status rad_statistics_pooled(rad_computation *c, const rad_auc_pair *by_center, rad_error *err) {
    if (c->n_center < 2 || c->n_center > MAX_POOLED)
        return RAD_OK;
    rad_status st = RAD_OK;
    rad_doc *reml = NULL, *dl = NULL;
    bool any_shared = false;
    pooled *s = rad_calloc(1, sizeof *s);
    if (!s)
        return rad_statistics_no_memory(c, err);
    for (int64_t i = 0; i < c->n_center; i++)
        any_shared = any_shared || by_center[i].shared;
    for (int clustered = 0; clustered < 1 + any_shared; clustered++) {
        *s = (pooled){.shared = any_shared, .clustered = clustered};
        for (int64_t i = 0; i < c->n_center; i++) {
            const rad_auc_pair *a = &by_center[i];
            const rad_estimate *e = clustered && a->shared ? &a->clustered.e : &a->naive.e;
            s->n += e->n;
            s->n_pos += e->n_pos;
            s->n_missing += e->n_missing;
            s->n_cluster += a->n_cluster;
            if (!(e->est > 0 && e->est < 1 && e->se > 0)) {
                s->left_out += has_units(a);
                continue;
            }
            const double d = e->est * (1 - e->est); /* delta method */
            s->y[s->k] = log(e->est / (1 - e->est));
            s->v[s->k++] = e->se * e->se / (d * d);
        }
        if (s->k >= 2) {
            /* meta_json works on any scale: the back-transformation to AUCs is ours */
            const rad_column column[] = {{"yi", s->y, NULL, 0}, {"vi", s->v, NULL, 0}};
            const rad_frame f = {s->k, 2, column};
            RAD_TRY(
                rad_measure_call("meta_json", &f, (const rad_arg[]){{NAN, "REML"}, {NAN, "z"}, {RAD_STORE_LEVEL, NULL}}, 3, &reml, err));
            RAD_TRY(rad_measure_call("meta_json", &f, (const rad_arg[]){{NAN, "DL"}, {NAN, "z"}, {RAD_STORE_LEVEL, NULL}}, 3, &dl, err));
        }
        for (size_t i = 0; i < sizeof POOLED / sizeof *POOLED; i++)
            RAD_TRY(put_pooled(c, s, &POOLED[i], reml, err));
        RAD_TRY(put_pooled(c, s, &POOLED_DL, dl, err));
        rad_doc_destroy(&reml);
        rad_doc_destroy(&dl);
    }
out:
    rad_doc_destroy(&reml);
    rad_doc_destroy(&dl);
    free(s);
    return st;
}
