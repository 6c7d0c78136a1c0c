/* statistics_points.c: what follows from a threshold: shares, likelihood ratios, the point tuned on the internal cohort, calibration. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Share of correct calls among units of one label (or -1: any) and one call (or -1: any). */
typedef struct share_kind {
    const char *name[2];
    int label, call;
} share_kind;
static const share_kind SHARE[] = {
    {{"sensitivity", "sensitivity_clustered"}, 1, -1},
    {{"specificity", "specificity_clustered"}, 0, -1},
    {{"accuracy", "accuracy_clustered"}, -1, -1},
    {{"ppv", "ppv_clustered"}, -1, 1},
    {{"npv", "npv_clustered"}, -1, 0},
};
enum { N_SHARE = sizeof SHARE / sizeof *SHARE };

static rad_status put_share(rad_computation *c, const rad_stratum *g, const rad_operating_point *p, const share_kind *k, rad_error *err) {
    rad_measure v;
    int64_t n = 0, n_cluster = 0, missing = 0;
    double last = -1;
    const rad_sample *m = &c->sample;
    for (int64_t i = 0; i < m->n; i++) {
        if (m->label[i] < 0 || isnan(m->score[i])) {
            missing++;
            continue;
        }
        const bool call = m->score[i] >= p->threshold;
        if ((k->label >= 0 && m->label[i] != k->label) || (k->call >= 0 && call != (k->call > 0)))
            continue;
        c->x[n] = call == (m->label[i] == 1);
        if (m->cluster[i] != last)
            n_cluster++;
        last = m->cluster[i];
        c->x_cluster[n] = (double)(n_cluster - 1);
        n++;
    }
    const bool shared = n_cluster < n, slices = c->unit == RAD_UNIT_SLICE;
    char where[80] = "", method[200];
    if (k->label >= 0)
        snprintf(where, sizeof where, " AND label = %d", k->label);
    else if (k->call >= 0)
        snprintf(where, sizeof where, " AND score %s %.17g", k->call ? ">=" : "<", p->threshold);
    snprintf(method, sizeof method, "%s%s",
             !shared  ? "Wilson"
             : slices ? "share, no interval"
                      : "Wilson" RAD_STATISTICS_INDEPENDENT,
             rad_statistics_origin(g, p));
    rad_row_text t = {.name = k->name[0],
                      .point = p->name,
                      .n_cluster = n_cluster,
                      .kind = shared && slices ? RAD_ROW_DEPENDENT : RAD_ROW_INTERVAL,
                      .method = method,
                      .where = where};
    rad_status s = rad_measure_proportion(c->x, n, &v, err);
    v.e.n_missing = missing;
    if (s == RAD_OK)
        s = rad_statistics_put(c, g, &t, &v, err);
    if (s == RAD_OK && shared) {
        s = rad_measure_proportion_clustered(c->x, c->x_cluster, n, n_cluster, &v, err);
        v.e.n_missing = missing;
        snprintf(method, sizeof method, "ratio estimator, patients as clusters, logit limits%s", rad_statistics_origin(g, p));
        t.name = k->name[1];
        t.kind = RAD_ROW_INTERVAL;
        if (s == RAD_OK)
            s = rad_statistics_put(c, g, &t, &v, err);
    }
    return s;
}

/* Numbers of the whole 2 x 2 table: what the document calls them, and their limits if it has some. */
static const struct {
    const char *name, *field, *lower, *upper, *method, *infinite;
} WHOLE[] = {
    {"balanced_accuracy", "balanced_accuracy", NULL, NULL, "mean of sensitivity and specificity", NULL},
    {"f1", "f1", NULL, NULL, "2 TP / (2 TP + FP + FN)", NULL},
    {"mcc", "mcc", NULL, NULL, "Matthews correlation", NULL},
    {"lr_pos", "lr_pos", "lr_pos_lower", "lr_pos_upper", "log method (Simel 1991)", "no false positive: the ratio has no finite value"},
    {"lr_neg", "lr_neg", "lr_neg_lower", "lr_neg_upper", "log method (Simel 1991)", "no true negative: the ratio has no finite value"},
};

static rad_status put_whole(rad_computation *c, const rad_stratum *g, const rad_operating_point *p, int64_t n_cluster, rad_error *err) {
    const rad_sample *m = &c->sample;
    int64_t cell[4] = {0}, n = 0; /* tp, fp, fn, tn */
    for (int64_t i = 0; i < m->n; i++)
        if (m->label[i] >= 0 && !isnan(m->score[i])) {
            cell[m->score[i] >= p->threshold ? (m->label[i] ? 0 : 1) : (m->label[i] ? 2 : 3)]++;
            n++;
        }
    rad_arg arg[5];
    for (int i = 0; i < 4; i++)
        arg[i] = (rad_arg){(double)cell[i], NULL};
    arg[4] = (rad_arg){RAD_STORE_LEVEL, NULL};
    rad_doc *doc = NULL;
    rad_status s = rad_measure_call("table2x2_json", &(rad_frame){0, 0, NULL}, arg, 5, &doc, err);
    const char *why = s == RAD_OK ? rad_doc_get_reason(doc) : NULL;
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE && s == RAD_OK; i++) {
        rad_measure v = {.e = {.est = rad_doc_get(doc, WHOLE[i].field),
                               .se = NAN,
                               .lower = WHOLE[i].lower ? rad_doc_get(doc, WHOLE[i].lower) : (double)NAN,
                               .upper = WHOLE[i].upper ? rad_doc_get(doc, WHOLE[i].upper) : (double)NAN,
                               .p = NAN,
                               .n = n,
                               .n_pos = cell[0] + cell[2],
                               .n_missing = m->n - n}};
        if (isinf(v.e.est)) {
            v.e.est = NAN;
            snprintf(v.reason, sizeof v.reason, "%s", WHOLE[i].infinite);
        } else if (isnan(v.e.est)) {
            snprintf(v.reason, sizeof v.reason, "%s", n == 0 ? "no unit" : why ? why : "an empty row or column of the 2 x 2 table");
        } else if (WHOLE[i].lower && isnan(v.e.lower)) {
            snprintf(v.reason, sizeof v.reason, "a cell of the 2 x 2 table is 0: no limits");
        }
        char method[200];
        snprintf(method, sizeof method, "%s%s%s", WHOLE[i].method, WHOLE[i].lower && n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "",
                 rad_statistics_origin(g, p));
        const rad_row_text t = {.name = WHOLE[i].name,
                                .point = p->name,
                                .method = method,
                                .n_cluster = n_cluster,
                                .where = " AND label IS NOT NULL",
                                .kind = WHOLE[i].lower ? RAD_ROW_INTERVAL : RAD_ROW_BARE};
        s = rad_statistics_put(c, g, &t, &v, err);
    }
    rad_doc_destroy(&doc);
    return s;
}

static int64_t clusters_used(const rad_sample *m) {
    int64_t n = 0;
    double last = -1;
    for (int64_t i = 0; i < m->n; i++)
        if (m->label[i] >= 0 && !isnan(m->score[i]) && m->cluster[i] != last) {
            last = m->cluster[i];
            n++;
        }
    return n;
}

rad_status rad_statistics_points(rad_computation *c, const rad_stratum *g, rad_error *err) {
    rad_status s = RAD_OK;
    const bool slices = c->unit == RAD_UNIT_SLICE;
    const int64_t n_cluster = clusters_used(&c->sample);
    for (int i = 0; i < c->n_point + (c->tuned.name != NULL) && s == RAD_OK; i++) {
        const rad_operating_point *p = i < c->n_point ? &c->point[i] : &c->tuned;
        if (isnan(p->threshold))
            continue; /* could not be tuned: its row says why */
        for (int k = 0; k < N_SHARE && s == RAD_OK; k++)
            s = put_share(c, g, p, &SHARE[k], err);
        if (s == RAD_OK && !slices)
            s = put_whole(c, g, p, n_cluster, err);
    }
    return s;
}

/* ---------------------------------------------------------------- calibration */

static const struct {
    const char *name, *field, *se, *lower, *upper, *method;
} CALIBRATION[] = {
    {"brier", "brier", NULL, NULL, NULL, "mean squared difference of score and label"},
    {"calibration_slope", "regression.slope", "regression.slope_se", "regression.slope_lower", "regression.slope_upper",
     "Cox 1958: logit of the score; 1 is ideal"},
    {"calibration_intercept", "regression.citl", "regression.citl_se", "regression.citl_lower", "regression.citl_upper",
     "calibration in the large, slope 1; 0 is ideal"},
};

rad_status rad_statistics_calibration(rad_computation *c, const rad_stratum *g, rad_error *err) {
    const rad_sample *m = &c->sample;
    const int64_t n_cluster = clusters_used(m);
    int64_t n = 0, n_pos = 0;
    bool outside = false;
    for (int64_t i = 0; i < m->n; i++)
        if (m->label[i] >= 0 && !isnan(m->score[i])) {
            outside = outside || m->score[i] < 0 || m->score[i] > 1;
            c->x[n] = m->label[i];
            c->x_cluster[n++] = m->score[i];
            n_pos += m->label[i];
        }
    const rad_column column[] = {{"y", c->x, NULL, 0}, {"p", c->x_cluster, NULL, 0}};
    rad_doc *doc = NULL;
    if (outside)
        return RAD_OK; /* no probabilities after all: a sum of them, or a network that ends in its own activation */
    rad_status s = rad_measure_call("calibration_line_json", &(rad_frame){n, 2, column}, &(rad_arg){RAD_STORE_LEVEL, NULL}, 1, &doc, err);
    const char *why = s == RAD_OK ? rad_doc_get_reason(doc) : NULL;
    for (size_t i = 0; i < sizeof CALIBRATION / sizeof *CALIBRATION && s == RAD_OK; i++) {
        const bool line = CALIBRATION[i].lower != NULL;
        rad_measure v = {.e = {.est = rad_doc_get(doc, CALIBRATION[i].field),
                               .se = line ? rad_doc_get(doc, CALIBRATION[i].se) : (double)NAN,
                               .lower = line ? rad_doc_get(doc, CALIBRATION[i].lower) : (double)NAN,
                               .upper = line ? rad_doc_get(doc, CALIBRATION[i].upper) : (double)NAN,
                               .p = NAN,
                               .n = n,
                               .n_pos = n_pos,
                               .n_missing = m->n - n}};
        if (isnan(v.e.est) || line)
            snprintf(v.reason, sizeof v.reason, "%s", n == 0 ? "no unit" : why ? why : "");
        char method[200];
        snprintf(method, sizeof method, "%s%s", CALIBRATION[i].method, line && n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "");
        const rad_row_text t = {.name = CALIBRATION[i].name,
                                .method = method,
                                .n_cluster = n_cluster,
                                .where = " AND label IS NOT NULL",
                                .kind = line ? RAD_ROW_INTERVAL : RAD_ROW_BARE};
        s = rad_statistics_put(c, g, &t, &v, err);
    }
    rad_doc_destroy(&doc);
    return s;
}
