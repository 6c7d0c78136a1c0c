/* statistics_folds.c: cross-validation. Every fold by itself, the pooled out-of-fold scores, and the means of the folds with intervals that
 * take the folds as what they are: other networks, whose scores need not be on one scale. The variances hold for the networks at hand; how
 * much other training data would have changed them no single cross-validation tells. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AUC_METHOD                                                                                                                         \
    "mean of the folds' AUCs; influence curve (LeDell, Petersen & van der Laan 2015)%s; for these networks, not for other training data"
#define SHARE_METHOD "mean of the folds' shares; influence curve as for the AUC%s; for these networks, not for other training data%s"

#define Z 1.959963984540054 /* normal quantile of (1 + RAD_STORE_LEVEL) / 2 */
_Static_assert(RAD_STORE_LEVEL == 0.95, "Z belongs to this level");

/* Folds of the units at hand, ascending. */
typedef struct fold_list {
    int64_t n, item[RAD_MAX_FOLDS + 1];
} fold_list;

static void add_fold(fold_list *l, int64_t fold) {
    int64_t at = l->n;
    for (int64_t i = 0; i < l->n; i++)
        if (l->item[i] == fold)
            return;
    if (l->n == RAD_MAX_FOLDS + 1)
        return;
    for (; at > 0 && l->item[at - 1] > fold; at--)
        l->item[at] = l->item[at - 1];
    l->item[at] = fold;
    l->n++;
}

static int64_t place_of(const fold_list *l, int64_t fold) {
    int64_t i = 0;
    while (i < l->n && l->item[i] != fold)
        i++;
    return i;
}

static rad_status put_fold(rad_computation *c, const rad_stratum *g, rad_error *err) {
    static const char *const NAME[2] = {"auc", "auc_clustered"};
    static const char *const METHOD[3] = {"empirical AUC, no interval", "DeLong", "Obuchowski 1997, patients as clusters"};
    rad_auc_pair v = {.n_cluster = rad_statistics_select(c, g)};
    rad_status s = rad_measure_auc(&c->sample, &v.naive, err);
    v.shared = v.n_cluster < v.naive.e.n;
    if (s == RAD_OK && v.shared)
        s = rad_measure_auc_clustered(&c->sample, &v.clustered, err);
    if (s == RAD_OK)
        s = rad_statistics_put_pair(c, g, NAME, METHOD, NULL, NULL, &v, err);
    return s == RAD_OK && rad_statistics_binary(c) ? rad_statistics_points(c, g, err) : s;
}

static rad_status put_auc(rad_computation *c, const rad_stratum *g, const fold_list *l, int64_t n_cluster, rad_error *err) {
    const rad_sample *m = &c->sample;
    char method[200], number[RAD_MAX_FOLDS + 1][24];
    const char *level[RAD_MAX_FOLDS + 1];
    int64_t used = 0, n_pos = 0;
    rad_doc *doc = NULL;
    const char **nobody = rad_calloc((size_t)m->n_cluster + 1, sizeof *nobody);
    if (!nobody)
        return rad_statistics_no_memory(c, err);
    for (int64_t i = 0; i < m->n_cluster; i++)
        nobody[i] = "";
    for (int64_t i = 0; i < l->n; i++) {
        snprintf(number[i], sizeof number[i], "%lld", (long long)l->item[i]);
        level[i] = number[i];
    }
    for (int64_t i = 0; i < m->n; i++) {
        c->x[i] = m->label[i] < 0 ? (double)NAN : m->label[i];
        c->x_cluster[i] = (double)place_of(l, c->obs[c->source[i]].fold);
        const bool is_used = m->label[i] >= 0 && !isnan(m->score[i]);
        used += is_used;
        n_pos += is_used && m->label[i] == 1;
    }
    const bool shared = n_cluster < used;
    const rad_column column[] = {{"label", c->x, NULL, 0},
                                 {"score", m->score, NULL, 0},
                                 {"fold", c->x_cluster, level, l->n},
                                 {"patient", m->cluster, nobody, m->n_cluster}};
    rad_status s = rad_measure_call(shared ? "cv_auc_clustered_json" : "cv_auc_json", &(rad_frame){m->n, shared ? 4 : 3, column},
                                    &(rad_arg){RAD_STORE_LEVEL, NULL}, 1, &doc, err);
    if (s == RAD_OK) {
        rad_measure v = {.e = {.est = rad_doc_get(doc, "cvauc"),
                               .se = rad_doc_get(doc, "se"),
                               .lower = rad_doc_get(doc, "lower"),
                               .upper = rad_doc_get(doc, "upper"),
                               .p = NAN,
                               .n = used,
                               .n_pos = n_pos,
                               .n_missing = m->n - used}};
        const char *why = rad_doc_get_reason(doc);
        snprintf(v.reason, sizeof v.reason, "%.150s", why ? why : "");
        snprintf(method, sizeof method, AUC_METHOD, shared ? ", patients as clusters" : "");
        const rad_row_text t = {
            .name = "auc_cv", .method = method, .n_cluster = n_cluster, .where = " AND label IS NOT NULL", .kind = RAD_ROW_INTERVAL};
        s = rad_statistics_put(c, g, &t, &v, err);
    }
    rad_doc_destroy(&doc);
    free(nobody);
    return s;
}

/* Mean over the folds of the share of correct calls among units of one label (-1: any). With N units of that label in K folds, n_k of them
 * in fold k, the unit's influence is (call right - share of its fold) / (K n_k); those of a patient are added, and their squares give the
 * variance. */
static rad_status put_share(rad_computation *c, const rad_stratum *g, const fold_list *l, const rad_operating_point *p, const char *name,
                            int label, rad_error *err) {
    const rad_sample *m = &c->sample;
    double right[RAD_MAX_FOLDS + 1] = {0}, all[RAD_MAX_FOLDS + 1] = {0}, sum = 0, var = 0, mean = 0;
    rad_measure v = {.e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN}};
    double last = -1;
    int64_t n_cluster = 0, empty = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const bool used = m->label[i] >= 0 && !isnan(m->score[i]);
        v.e.n_missing += !used;
        if (!used || (label >= 0 && m->label[i] != label))
            continue;
        const int64_t k = place_of(l, c->obs[c->source[i]].fold);
        const bool ok = (m->score[i] >= p->threshold) == (m->label[i] == 1);
        all[k]++;
        right[k] += ok;
        v.e.n++;
        v.e.n_pos += ok;
    }
    for (int64_t k = 0; k < l->n; k++) {
        empty += all[k] == 0;
        mean += all[k] > 0 ? right[k] / all[k] : 0;
    }
    mean /= (double)l->n;
    for (int64_t i = 0; i < m->n && empty == 0; i++) {
        if (m->label[i] < 0 || isnan(m->score[i]) || (label >= 0 && m->label[i] != label))
            continue;
        const int64_t k = place_of(l, c->obs[c->source[i]].fold);
        if (m->cluster[i] != last) {
            var += sum * sum;
            sum = 0;
            n_cluster++;
        }
        last = m->cluster[i];
        sum += (((m->score[i] >= p->threshold) == (m->label[i] == 1)) - right[k] / all[k]) / ((double)l->n * all[k]);
    }
    var += sum * sum;
    if (empty > 0) {
        snprintf(v.reason, sizeof v.reason, "%lld of %lld folds have no such unit", (long long)empty, (long long)l->n);
    } else {
        v.e.est = mean;
        v.e.se = sqrt(var);
        v.e.lower = fmax(0, mean - Z * v.e.se);
        v.e.upper = fmin(1, mean + Z * v.e.se);
    }
    char method[240], where[40] = "";
    snprintf(method, sizeof method, SHARE_METHOD, n_cluster < v.e.n ? ", patients as clusters" : "", rad_statistics_origin(g, p));
    if (label >= 0)
        snprintf(where, sizeof where, " AND label = %d", label);
    const rad_row_text t = {
        .name = name, .point = p->name, .method = method, .n_cluster = n_cluster, .where = where, .kind = RAD_ROW_INTERVAL};
    return rad_statistics_put(c, g, &t, &v, err);
}

static rad_status put_shares(rad_computation *c, const rad_stratum *g, const fold_list *l, rad_error *err) {
    static const struct {
        const char *name;
        int label;
    } SHARE[] = {{"sensitivity_cv", 1}, {"specificity_cv", 0}, {"accuracy_cv", -1}};
    rad_status s = RAD_OK;
    for (int i = 0; i < c->n_point + (c->tuned.name != NULL); i++) {
        const rad_operating_point *p = i < c->n_point ? &c->point[i] : &c->tuned;
        for (int k = 0; k < 3 && s == RAD_OK && !isnan(p->threshold); k++)
            s = put_share(c, g, l, p, SHARE[k].name, SHARE[k].label, err);
    }
    return s;
}

rad_status rad_statistics_folds(rad_computation *c, rad_error *err) {
    fold_list l = {0};
    rad_status s = RAD_OK;
    if (c->model[c->at_model].folds == 0 || c->unit == RAD_UNIT_SLICE)
        return RAD_OK;
    for (int64_t i = 0; i < c->n_obs; i++)
        if (c->obs[i].fold >= 0)
            add_fold(&l, c->obs[i].fold);
    for (int64_t i = 0; i < l.n && s == RAD_OK; i++) {
        char name[24];
        snprintf(name, sizeof name, "%lld", (long long)l.item[i]);
        const rad_stratum one = {"fold", name, NULL, -1, -1, 1 + l.item[i]};
        s = put_fold(c, &one, err);
    }
    const rad_stratum all = {"fold", "all", NULL, -1, -1, -1};
    if (l.n < 2 || s != RAD_OK)
        return s;
    if ((s = put_fold(c, &all, err)) != RAD_OK)
        return s;
    const int64_t n_cluster = rad_statistics_select(c, &all);
    s = put_auc(c, &all, &l, n_cluster, err);
    return s == RAD_OK && rad_statistics_binary(c) ? put_shares(c, &all, &l, err) : s;
}
