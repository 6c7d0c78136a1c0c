/* statistics_readers.c: readers beside the model, on the units that both have judged. The reader's call is that of the readings table; the
 * model's is score >= threshold. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_READERS[] =
    "SELECT DISTINCT rd.reader FROM reading rd JOIN run_patient rp ON rp.run_id = ?1 AND rp.patient_id = rd.patient_id"
    " JOIN run_class k ON k.run_id = ?1 AND k.class = rd.call WHERE rd.repeat = 0 AND (rd.lesion_id IS NOT NULL) = ?2 ORDER BY rd.reader";
/* One row per unit, in the order of the observations; NULL: not read, or a call that is no class. */
static const char SQL_LESION_CALLS[] =
    "SELECT (SELECT max(cp.class_index = ?3) FROM reading rd JOIN run_class k ON k.run_id = ?1 AND k.class = rd.call"
    " JOIN run_class_part cp ON cp.run_id = ?1 AND (cp.part_index = k.class_index OR cp.class_index = k.class_index)"
    " WHERE (k.rule IS NULL OR k.class_index = ?3) AND rd.patient_id = m.patient_id AND rd.lesion_id = m.lesion_id AND rd.reader = ?2 AND "
    "rd.repeat = 0)"
    " FROM manifest m JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
    " WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_PATIENT_CALLS[] =
    "SELECT (SELECT max(cp.class_index = ?3) FROM reading rd JOIN run_class k ON k.run_id = ?1 AND k.class = rd.call"
    " JOIN run_class_part cp ON cp.run_id = ?1 AND (cp.part_index = k.class_index OR cp.class_index = k.class_index)"
    " WHERE (k.rule IS NULL OR k.class_index = ?3) AND rd.patient_id = rp.patient_id AND rd.lesion_id IS NULL AND rd.reader = ?2 AND "
    "rd.repeat = 0)"
    " FROM run_patient rp JOIN patient p ON p.patient_id = rp.patient_id WHERE rp.run_id = ?1 ORDER BY p.patient";

typedef struct reading {
    const char *reader;
    int8_t *call;            /* [n_obs]; -1 = none */
    double *x, *y, *group;   /* [n_obs] of a stratum: model right, reader right, patient */
    double *truth, *said[2]; /* the label; calls of model and reader */
    const char **level;
} reading;

/* One share: which labels it is of. */
static const struct {
    const char *reader, *against, *midp, *smallest, *clustered;
    int label;
} SHARE[] = {
    {"reader_sensitivity", "sensitivity_vs_reader", "sensitivity_vs_reader_midp", "sensitivity_vs_reader_smallest_p",
     "sensitivity_vs_reader_clustered", 1},
    {"reader_specificity", "specificity_vs_reader", "specificity_vs_reader_midp", "specificity_vs_reader_smallest_p",
     "specificity_vs_reader_clustered", 0},
    {"reader_accuracy", "accuracy_vs_reader", "accuracy_vs_reader_midp", "accuracy_vs_reader_smallest_p", "accuracy_vs_reader_clustered",
     -1},
};

static char *reader_query(const rad_computation *c, const rad_stratum *g, const char *reader, int label) {
    char *place = rad_statistics_place(g, "s.center", "s.cohort");
    char *query =
        place
            ? sqlite3_mprintf("SELECT s.cohort, s.patient, s.lesion, s.label, s.score, r.call FROM v_case_score s"
                              " JOIN patient p ON p.patient = s.patient JOIN reading r ON r.patient_id = p.patient_id AND r.reader = %Q "
                              "AND r.repeat = 0"
                              " JOIN run_class k ON k.run_id = s.run_id AND k.class = r.call"
                              " LEFT JOIN lesion l ON l.lesion_id = r.lesion_id"
                              " WHERE s.run_id = %lld AND s.model = %Q AND s.unit = '%s' AND s.class = %Q AND l.lesion IS s.lesion%s%s",
                              reader, (long long)c->run, c->model[c->at_model].name, rad_unit_name(c->unit), c->class_name[c->class_index],
                              label < 0   ? " AND s.label IS NOT NULL"
                              : label > 0 ? " AND s.label = 1"
                                          : " AND s.label = 0",
                              place)
            : NULL;
    sqlite3_free(place);
    return query;
}

/* Units with label, score and call; returns their number. */
static int64_t select_read(const rad_computation *c, const rad_stratum *g, int label, double threshold, const reading *r,
                           int64_t *ret_missing, int64_t *ret_cluster) {
    int64_t n = 0, last = -1;
    *ret_missing = *ret_cluster = 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        const rad_observation *o = &c->obs[i];
        if (!rad_statistics_holds(g, o) || (label >= 0 && o->label != label))
            continue;
        if (o->label < 0 || isnan(o->score) || r->call[i] < 0) {
            ++*ret_missing;
            continue;
        }
        *ret_cluster += o->patient != last;
        last = o->patient;
        r->x[n] = (o->score >= threshold) == (o->label == 1);
        r->y[n] = r->call[i] == o->label;
        r->truth[n] = o->label;
        r->group[n++] = (double)(*ret_cluster - 1);
    }
    return n;
}

static rad_status put(rad_computation *c, const rad_stratum *g, const reading *r, rad_row_text t, int label, const rad_measure *v,
                      rad_error *err) {
    char *query = reader_query(c, g, r->reader, label);
    if (!query)
        return rad_statistics_no_memory(c, err);
    t.query = query;
    t.versus = r->reader;
    rad_status s = rad_statistics_put(c, g, &t, v, err);
    sqlite3_free(query);
    return s;
}

static rad_status put_alone(rad_computation *c, const rad_stratum *g, size_t k, const reading *r, rad_error *err) {
    int64_t missing, n_cluster;
    rad_measure v;
    const int64_t n = select_read(c, g, SHARE[k].label, 0, r, &missing, &n_cluster);
    rad_status s = rad_measure_proportion(r->y, n, &v, err);
    v.e.n_missing = missing;
    const rad_row_text t = {
        .name = SHARE[k].reader, .method = n_cluster < n ? "Wilson" RAD_STATISTICS_INDEPENDENT : "Wilson", .n_cluster = n_cluster};
    return s == RAD_OK ? put(c, g, r, t, SHARE[k].label, &v, err) : s;
}

/* Agreement of model and reader, whatever the truth; r->x and r->y say on each of n units whether they are right, r->truth which is. */
static rad_status put_kappa(rad_computation *c, const rad_stratum *g, const rad_operating_point *p, const reading *r, int64_t n,
                            int64_t missing, int64_t n_cluster, rad_error *err) {
    static const char *const level[] = {"0", "1"};
    char method[160];
    rad_measure v;
    for (int64_t i = 0; i < n; i++) {
        r->said[0][i] = (r->x[i] > 0) == (r->truth[i] > 0);
        r->said[1][i] = (r->y[i] > 0) == (r->truth[i] > 0);
    }
    const rad_status st = rad_measure_kappa(r->said[0], r->said[1], n, level, 2, NULL, NULL, &v, err);
    if (st != RAD_OK)
        return st;
    v.e.n_missing = missing;
    snprintf(method, sizeof method, "Cohen's kappa of the calls%s%s", n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "",
             rad_statistics_origin(g, p));
    const rad_row_text t = {.name = "kappa_vs_reader", .point = p->name, .method = method, .n_cluster = n_cluster};
    return put(c, g, r, t, -1, &v, err);
}

static rad_status put_against(rad_computation *c, const rad_stratum *g, const rad_operating_point *p, size_t k, const reading *r,
                              rad_error *err) {
    const rad_arg level = {RAD_STORE_LEVEL, NULL};
    const int label = SHARE[k].label;
    int64_t missing, n_cluster, n_pos = 0;
    rad_doc *doc = NULL;
    const int64_t n = select_read(c, g, label, p->threshold, r, &missing, &n_cluster);
    for (int64_t i = 0; i < n; i++)
        n_pos += r->x[i] > 0;
    const rad_column column[] = {{"model", r->x, NULL, 0}, {"reader", r->y, NULL, 0}, {"patient", r->group, r->level, n_cluster}};
    rad_status st;
    RAD_TRY(rad_measure_call("mcnemar_json", &(rad_frame){n, 2, column}, &level, 1, &doc, err));
    const char *why = rad_doc_get_reason(doc);
    rad_measure v = {.e = {.est = rad_doc_get(doc, "diff"),
                           .se = NAN,
                           .lower = rad_doc_get(doc, "newcombe10_lower"),
                           .upper = rad_doc_get(doc, "newcombe10_upper"),
                           .p = n ? rad_doc_get(doc, "p_exact") : (double)NAN,
                           .n = n,
                           .n_pos = n_pos,
                           .n_missing = missing}};
    snprintf(v.reason, sizeof v.reason, "%s", n == 0 ? "no unit that model and reader have both judged" : why ? why : "");
    char method[200];
    const char *dependent = n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "", *tuned = rad_statistics_origin(g, p);
    snprintf(method, sizeof method, "model minus reader, Newcombe 1998 method 10; exact McNemar test%s%s", dependent, tuned);
    rad_row_text t = {.name = SHARE[k].against, .point = p->name, .method = method, .n_cluster = n_cluster};
    RAD_TRY(put(c, g, r, t, label, &v, err));
    v.e.est = v.e.p = n ? rad_doc_get(doc, "p_midp") : (double)NAN;
    t.name = SHARE[k].midp;
    t.kind = RAD_ROW_BARE;
    snprintf(method, sizeof method, "mid-p McNemar test (Fagerland 2013)%s%s", dependent, tuned);
    RAD_TRY(put(c, g, r, t, label, &v, err));
    v.e.est = n ? rad_doc_get(doc, "smallest_p_exact") : (double)NAN;
    v.e.p = NAN;
    t.name = SHARE[k].smallest;
    snprintf(method, sizeof method, "smallest exact p that this many discordant pairs can give%s", tuned);
    RAD_TRY(put(c, g, r, t, label, &v, err));
    for (int side = 0; side < 2; side++) { /* the discordant pairs themselves */
        char name[64];
        snprintf(name, sizeof name, "%s_%s", SHARE[k].against, side ? "n01" : "n10");
        v.e.est = n ? rad_doc_get(doc, side ? "c" : "b") : (double)NAN;
        v.reason[0] = '\0';
        t.name = name;
        snprintf(method, sizeof method, "units that the model has %s and the reader %s%s", side ? "wrong" : "right",
                 side ? "right" : "wrong", tuned);
        RAD_TRY(put(c, g, r, t, label, &v, err));
    }
    if (label < 0)
        RAD_TRY(put_kappa(c, g, p, r, n, missing, n_cluster, err));
    if (n_cluster == n)
        goto out;
    rad_doc_destroy(&doc);
    RAD_TRY(rad_measure_call("mcnemar_clustered_json", &(rad_frame){n, 3, column}, NULL, 0, &doc, err));
    why = rad_doc_get_reason(doc);
    v.e.est = rad_doc_get(doc, "diff");
    v.e.se = rad_doc_get(doc, "se_diff");
    v.e.lower = v.e.est - 1.959963984540054 * v.e.se;
    v.e.upper = v.e.est + 1.959963984540054 * v.e.se;
    v.e.p = rad_doc_get(doc, "obuchowski_p");
    snprintf(v.reason, sizeof v.reason, "%s", isnan(v.e.p) ? (why ? why : "no test") : "");
    t.name = SHARE[k].clustered;
    t.kind = RAD_ROW_INTERVAL;
    snprintf(method, sizeof method, "model minus reader, ratio estimator; test of Obuchowski 1998, patients as clusters%s", tuned);
    RAD_TRY(put(c, g, r, t, label, &v, err));
out:
    rad_doc_destroy(&doc);
    return st;
}

static rad_status put_reader(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    const reading *r = payload;
    rad_status s = RAD_OK;
    bool any = false;
    for (int64_t i = 0; i < c->n_obs && !any; i++)
        any = rad_statistics_holds(g, &c->obs[i]) && r->call[i] >= 0;
    for (size_t k = 0; any && k < sizeof SHARE / sizeof *SHARE && s == RAD_OK; k++) {
        s = put_alone(c, g, k, r, err);
        for (int i = 0; i < c->n_point + (c->tuned.name != NULL) && s == RAD_OK; i++)
            if (i == c->n_point || !isnan(c->point[i].threshold))
                s = put_against(c, g, i < c->n_point ? &c->point[i] : &c->tuned, k, r, err);
    }
    return s;
}

static rad_status read_calls(rad_computation *c, const reading *r, rad_error *err) {
    bool row = false;
    int64_t n = 0;
    rad_status s;
    rad_query q = rad_query_start(c->st, c->unit == RAD_UNIT_LESION ? SQL_LESION_CALLS : SQL_PATIENT_CALLS);
    rad_bind_int(&q, c->run);
    rad_bind_text(&q, r->reader);
    rad_bind_int(&q, c->class_index);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && n < c->n_obs)
        r->call[n++] = (int8_t)rad_column_index(&q, 0);
    rad_query_end(&q);
    if (s == RAD_OK && n != c->n_obs)
        s = rad_error_set(err, RAD_E_INTERNAL, "reader '%s' has %lld units, the model %lld", r->reader, (long long)n, (long long)c->n_obs);
    return s;
}

static rad_status read_readers(rad_computation *c, char ***ret, size_t *ret_n, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_READERS);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->unit == RAD_UNIT_LESION);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        char *name = rad_strdup(rad_column_text(&q, 0)), **p = name ? rad_realloc(*ret, *ret_n + 1, sizeof *p) : NULL;
        if (!p) {
            free(name);
            s = rad_statistics_no_memory(c, err);
            break;
        }
        *ret = p;
        p[(*ret_n)++] = name;
    }
    rad_query_end(&q);
    return s;
}

rad_status rad_statistics_readers(rad_computation *c, rad_error *err) {
    char **reader = NULL;
    size_t n = 0;
    const size_t rows = (size_t)c->n_obs + 1;
    reading r = {0};
    rad_status st;
    RAD_TRY(read_readers(c, &reader, &n, err));
    if (n == 0)
        goto out;
    r = (reading){.call = rad_calloc(rows, sizeof *r.call),
                  .x = rad_calloc(rows, sizeof *r.x),
                  .y = rad_calloc(rows, sizeof *r.y),
                  .group = rad_calloc(rows, sizeof *r.group),
                  .truth = rad_calloc(rows, sizeof *r.truth),
                  .said = {rad_calloc(rows, sizeof *r.said[0]), rad_calloc(rows, sizeof *r.said[1])},
                  .level = rad_calloc(rows, sizeof *r.level)};
    if (!r.call || !r.x || !r.y || !r.group || !r.truth || !r.said[0] || !r.said[1] || !r.level) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    for (size_t i = 0; i < rows; i++)
        r.level[i] = "";
    for (size_t i = 0; i < n; i++) {
        r.reader = reader[i];
        RAD_TRY(read_calls(c, &r, err));
        RAD_TRY(rad_statistics_each_stratum(c, put_reader, &r, err));
    }
out:
    for (size_t i = 0; i < n; i++)
        free(reader[i]);
    free(reader);
    free(r.call);
    free(r.x);
    free(r.y);
    free(r.group);
    free(r.truth);
    free(r.said[0]);
    free(r.said[1]);
    free(r.level);
    return st;
}
