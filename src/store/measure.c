/* measure.c: see measure.h. The functions are those that SQL offers, called by name, so that a row and an SQL query cannot disagree. */
#include "measure.h"

#include <math.h>
#include <stdlib.h>

static void set_reason(rad_measure *m, const char *text) {
    snprintf(m->reason, sizeof m->reason, "%s", text ? text : "");
}

static rad_status out_of_memory(int64_t n, rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory for a statistic of %lld units", (long long)n);
}

rad_status rad_measure_call(const char *name, const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc **ret, rad_error *err) {
    rad_doc *doc = NULL;
    const rad_stat_function *s = rad_stat_function_find(name);
    if (!s)
        return rad_error_set(err, RAD_E_INTERNAL, "no statistic '%s'", name);
    rad_status st = rad_doc_create(&doc, err);
    if (st == RAD_OK)
        st = rad_stat_call(s, f, arg, n_arg, doc, err);
    if (st == RAD_OK)
        *ret = doc;
    else
        rad_doc_destroy(&doc);
    return st;
}

/* A category column needs names for its levels; clusters have none worth telling. */
static const char **nameless(int64_t n) {
    const char **level = rad_calloc((size_t)n + 1, sizeof *level);
    for (int64_t i = 0; level && i < n; i++)
        level[i] = "";
    return level;
}

rad_status rad_measure_holm(const double *p, int64_t n, double *ret, rad_error *err) {
    rad_doc *doc = NULL;
    rad_doc_row row;
    const rad_column column[] = {{"p", p, NULL, 0}};
    rad_status st = rad_measure_call("p_adjust", &(rad_frame){n, 1, column}, &(rad_arg){NAN, "holm"}, 1, &doc, err);
    bool more = st == RAD_OK && rad_doc_row_first(doc, "rows", &row);
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        ret[i] = more ? rad_doc_row_get(doc, &row, "p_adjusted") : (double)NAN;
        more = more && rad_doc_row_next(doc, &row);
    }
    rad_doc_destroy(&doc);
    return st;
}

rad_status rad_measure_auc(const rad_sample *s, rad_measure *ret, rad_error *err) {
    rad_status st = rad_auc(s->label, s->score, s->n, RAD_STORE_LEVEL, &ret->e, err);
    if (st == RAD_OK)
        set_reason(ret, ret->e.reason);
    return st;
}

rad_status rad_measure_auc_clustered(const rad_sample *s, rad_measure *ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_doc *doc = NULL;
    const char **level = nameless(s->n_cluster);
    double *label = rad_calloc((size_t)s->n + 1, sizeof *label);
    if (!level || !label) {
        st = out_of_memory(s->n, err);
        goto out;
    }
    for (int64_t i = 0; i < s->n; i++)
        label[i] = s->label[i] == 0 || s->label[i] == 1 ? s->label[i] : (double)NAN;
    const rad_column column[] = {{"label", label, NULL, 0}, {"score", s->score, NULL, 0}, {"cluster", s->cluster, level, s->n_cluster}};
    RAD_TRY(rad_measure_call("auc_clustered_json", &(rad_frame){s->n, 3, column}, &(rad_arg){RAD_STORE_LEVEL, NULL}, 1, &doc, err));
    *ret = (rad_measure){.e = {.est = rad_doc_get(doc, "auc"),
                               .se = rad_doc_get(doc, "se"),
                               .lower = rad_doc_get(doc, "lower"),
                               .upper = rad_doc_get(doc, "upper"),
                               .p = NAN,
                               .n = (int64_t)rad_doc_get(doc, "n"),
                               .n_pos = (int64_t)rad_doc_get(doc, "n_pos"),
                               .n_missing = (int64_t)rad_doc_get(doc, "n_missing")}};
    if (!isnan(ret->e.lower)) {
        ret->e.lower = fmax(0, ret->e.lower);
        ret->e.upper = fmin(1, ret->e.upper);
    }
    set_reason(ret, rad_doc_get_reason(doc));
out:
    free(level);
    free(label);
    rad_doc_destroy(&doc);
    return st;
}

rad_status rad_measure_auc_difference(const rad_measure *a, const rad_measure *b, rad_measure *ret, rad_error *err) {
    rad_estimate x = a->e, y = b->e;
    x.reason = a->reason[0] ? a->reason : NULL;
    y.reason = b->reason[0] ? b->reason : NULL;
    rad_status st = rad_auc_difference(&x, &y, RAD_STORE_LEVEL, &ret->e, err);
    if (st == RAD_OK)
        set_reason(ret, ret->e.reason);
    return st;
}

rad_status rad_measure_proportion(const double *x, int64_t n, rad_measure *ret, rad_error *err) {
    rad_doc *doc = NULL;
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        k += x[i] > 0;
    const rad_arg arg[] = {{(double)k, NULL}, {(double)n, NULL}, {RAD_STORE_LEVEL, NULL}};
    *ret = (rad_measure){.e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN, .n = n, .n_pos = k}};
    if (n == 0) {
        set_reason(ret, "no unit");
        return RAD_OK;
    }
    rad_status st = rad_measure_call("proportion_json", &(rad_frame){0, 0, NULL}, arg, 3, &doc, err);
    if (st == RAD_OK) {
        ret->e.est = (double)k / (double)n;
        ret->e.lower = rad_doc_get(doc, "wilson_lower");
        ret->e.upper = rad_doc_get(doc, "wilson_upper");
        set_reason(ret, rad_doc_get_reason(doc));
    }
    rad_doc_destroy(&doc);
    return st;
}

rad_status rad_measure_proportion_clustered(const double *x, const double *cluster, int64_t n, int64_t n_cluster, rad_measure *ret,
                                            rad_error *err) {
    rad_doc *doc = NULL;
    const char **level = nameless(n_cluster);
    if (!level)
        return out_of_memory(n, err);
    /* Its cluster bootstrap is not wanted here: as few replicates as it takes. */
    const rad_arg arg[] = {{RAD_STORE_LEVEL, NULL}, {2, NULL}};
    const rad_column column[] = {{"x", x, NULL, 0}, {"cluster", cluster, level, n_cluster}};
    rad_status st = rad_measure_call("proportion_clustered_json", &(rad_frame){n, 2, column}, arg, 2, &doc, err);
    if (st == RAD_OK) {
        double inner = rad_doc_get(doc, "logit_lower");
        *ret = (rad_measure){.e = {.est = rad_doc_get(doc, "estimate"),
                                   .se = rad_doc_get(doc, "se"),
                                   .lower = inner,
                                   .upper = rad_doc_get(doc, "logit_upper"),
                                   .p = NAN,
                                   .n = n,
                                   .n_pos = (int64_t)rad_doc_get(doc, "x")}};
        const char *reason = rad_doc_get_reason(doc);
        set_reason(ret, reason && isnan(inner) ? reason : NULL);
    }
    free(level);
    rad_doc_destroy(&doc);
    return st;
}

rad_status rad_measure_kappa(const double *a, const double *b, int64_t n, const char *const *level, int64_t n_level, const char *weights,
                             const char *list, rad_measure *ret, rad_error *err) {
    const rad_column column[] = {{"first", a, level, n_level}, {"second", b, level, n_level}};
    const rad_arg arg[] = {{NAN, weights}, {NAN, list}, {RAD_STORE_LEVEL, NULL}};
    rad_doc *doc = NULL;
    rad_status st = rad_measure_call("kappa_json", &(rad_frame){n, 2, column}, arg, weights ? 3 : 0, &doc, err);
    if (st != RAD_OK)
        return st;
    *ret = (rad_measure){.e = {.est = rad_doc_get(doc, "kappa"),
                               .se = rad_doc_get(doc, "se"),
                               .lower = rad_doc_get(doc, "lower"),
                               .upper = rad_doc_get(doc, "upper"),
                               .p = rad_doc_get(doc, "p"),
                               .n = n}};
    set_reason(ret, isnan(ret->e.est) ? rad_doc_get_reason(doc) : NULL);
    rad_doc_destroy(&doc);
    return RAD_OK;
}
