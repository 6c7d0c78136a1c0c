/* statistics_ordinal.c: jobs whose classes are ordered grades: how near the expected grade and the call come to the truth. */
#include "statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static const char SQL_GRADED[] = "SELECT count(*) FROM run_class WHERE run_id = ?1 AND grade IS NOT NULL";
static const char SQL_LESIONS[] =
    "SELECT rp.center_id, rp.cohort = 'external', m.patient_id, t.grade, g.grade, k.grade FROM manifest m"
    " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
    " LEFT JOIN run_class t ON t.run_id = m.run_id AND t.class_index = m.class_index"
    " LEFT JOIN case_grade g ON g.run_model_id = ?2 AND g.unit = 'lesion' AND g.patient_id = m.patient_id"
    "  AND coalesce(g.case_id, 0) = m.case_id"
    " LEFT JOIN run_class k ON k.run_id = m.run_id AND k.class_index = g.call WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_PATIENTS[] =
    "SELECT rp.center_id, rp.cohort = 'external', rp.patient_id, t.grade, g.grade, k.grade FROM run_patient rp"
    " JOIN patient p ON p.patient_id = rp.patient_id"
    " LEFT JOIN run_class t ON t.run_id = rp.run_id AND t.class_index = rp.class_index"
    " LEFT JOIN case_grade g ON g.run_model_id = ?2 AND g.unit = 'patient' AND g.patient_id = rp.patient_id AND coalesce(g.case_id, 0) = 0"
    " LEFT JOIN run_class k ON k.run_id = rp.run_id AND k.class_index = g.call WHERE rp.run_id = ?1 ORDER BY p.patient";

typedef struct graded {
    rad_observation unit; /* score: the expected grade */
    double truth, call;
} graded;

typedef struct grades {
    graded *item; /* in the order of patient, lesion and study names */
    int64_t n, cap;
    double *column; /* [4, n]: truth, score, call, patient */
    const char **level;
} grades;

static rad_status read_units(rad_computation *c, grades *g, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, c->unit == RAD_UNIT_LESION ? SQL_LESIONS : SQL_PATIENTS);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->model[c->at_model].id);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if (g->n == g->cap) {
            int64_t cap = g->cap ? 2 * g->cap : 1024;
            graded *p = rad_realloc(g->item, (size_t)cap, sizeof *p);
            if (!p) {
                s = rad_statistics_no_memory(c, err);
                break;
            }
            g->item = p;
            g->cap = cap;
        }
        g->item[g->n++] = (graded){.unit = {.center = sqlite3_column_int64(q.stmt, 0),
                                            .external = sqlite3_column_int(q.stmt, 1),
                                            .patient = sqlite3_column_int64(q.stmt, 2),
                                            .score = rad_column_real(&q, 4)},
                                   .truth = rad_column_real(&q, 3),
                                   .call = rad_column_real(&q, 5)};
    }
    rad_query_end(&q);
    if (s != RAD_OK)
        return s;
    g->column = rad_calloc(4 * (size_t)g->n + 1, sizeof *g->column);
    g->level = rad_calloc((size_t)g->n + 1, sizeof *g->level);
    if (!g->column || !g->level)
        return rad_statistics_no_memory(c, err);
    for (int64_t i = 0; i < g->n; i++)
        g->level[i] = ""; /* patients have no names worth telling to a statistic */
    return RAD_OK;
}

static const struct {
    const char *name, *field, *method;
} ROW[] = {
    {"kappa_quadratic", "kappa_quadratic", "highest class score against grade; Cohen 1968, delta method"},
    {"ordinal_c_index", "c_index", "expected grade against grade, pairs of different grades; ties 1/2; delta method"},
    {"kendall_tau_b", "kendall_tau_b", "expected grade against grade; delta method"},
    {"spearman", "spearman", "expected grade against grade; delta method, Fisher's z"},
    {"grade_mae", "mae", "mean |expected grade - grade|, grades; delta method"},
    {"grade_call_mae", "mae_call", "mean |grade of the highest class score - grade|, grades; delta method"},
};

static double get(const rad_doc *doc, const char *statistic, const char *part, bool clustered) {
    char path[64];
    snprintf(path, sizeof path, "%s.%s%s", statistic, part, clustered ? "_clustered" : "");
    return rad_doc_get(doc, path);
}

static rad_status put_statistic(rad_computation *c, const rad_stratum *g, const rad_doc *doc, int row, const char *query, rad_error *err) {
    const int64_t n = (int64_t)rad_doc_get(doc, "n"), n_cluster = (int64_t)rad_doc_get(doc, "n_cluster");
    const char *why = rad_doc_get_reason(doc);
    const bool shared = n_cluster < n;
    rad_status s = RAD_OK;
    for (int clustered = 0; clustered <= (shared ? 1 : 0) && s == RAD_OK; clustered++) {
        char name[64], method[160];
        snprintf(name, sizeof name, "%s%s", ROW[row].name, clustered ? "_clustered" : "");
        snprintf(method, sizeof method, "%s%s", ROW[row].method,
                 clustered ? ", patients as clusters"
                 : shared  ? RAD_STATISTICS_INDEPENDENT
                           : "");
        rad_measure v = {.e = {.est = get(doc, ROW[row].field, "est", false),
                               .se = get(doc, ROW[row].field, "se", clustered),
                               .lower = get(doc, ROW[row].field, "lower", clustered),
                               .upper = get(doc, ROW[row].field, "upper", clustered),
                               .p = get(doc, ROW[row].field, "p", clustered),
                               .n = n,
                               .n_missing = (int64_t)rad_doc_get(doc, "n_missing")}};
        if (isnan(v.e.est))
            snprintf(v.reason, sizeof v.reason, "%s", why ? why : "all units have one grade, or one score");
        const rad_row_text t = {.name = name, .method = method, .n_cluster = n_cluster, .query = query, .kind = RAD_ROW_INTERVAL};
        s = rad_statistics_put(c, g, &t, &v, err);
    }
    return s;
}

static rad_status put_stratum(rad_computation *c, const rad_stratum *stratum, void *payload, rad_error *err) {
    grades *g = payload;
    rad_doc *doc = NULL;
    int64_t n = 0, patients = 0, last = -1;
    double *column[4];
    for (int k = 0; k < 4; k++)
        column[k] = g->column + k * g->n;
    for (int64_t i = 0; i < g->n; i++) {
        const graded *x = &g->item[i];
        if (!rad_statistics_holds(stratum, &x->unit))
            continue;
        patients += x->unit.patient != last;
        last = x->unit.patient;
        column[0][n] = x->truth;
        column[1][n] = x->unit.score;
        column[2][n] = x->call;
        column[3][n++] = (double)(patients - 1);
    }
    if (n == 0)
        return RAD_OK;
    const rad_column of[] = {{"truth", column[0], NULL, 0},
                             {"score", column[1], NULL, 0},
                             {"call", column[2], NULL, 0},
                             {"patient", column[3], g->level, patients}};
    rad_status s = rad_measure_call("ordinal_json", &(rad_frame){n, 4, of}, &(rad_arg){RAD_STORE_LEVEL, NULL}, 1, &doc, err);
    char *place = rad_statistics_place(stratum, "center", "cohort");
    char *query =
        place ? sqlite3_mprintf("SELECT cohort, patient, lesion, label_grade, grade, call_grade FROM v_case_grade WHERE run_id = %lld"
                                " AND model = %Q AND unit = %Q%s AND label_grade IS NOT NULL",
                                (long long)c->run, c->model[c->at_model].name, rad_unit_name(c->unit), place)
              : NULL;
    sqlite3_free(place);
    if (s == RAD_OK && !query)
        s = rad_statistics_no_memory(c, err);
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW && s == RAD_OK; i++)
        s = put_statistic(c, stratum, doc, (int)i, query, err);
    sqlite3_free(query);
    rad_doc_destroy(&doc);
    return s;
}

rad_status rad_statistics_ordinal(rad_computation *c, rad_error *err) {
    grades g = {0};
    int64_t graded_classes = 0;
    rad_query q = rad_query_start(c->st, SQL_GRADED);
    rad_bind_int(&q, c->run);
    rad_status s = rad_query_int(&q, &graded_classes, err);
    if (s != RAD_OK || graded_classes == 0)
        return s;
    c->class_index = -1;
    s = read_units(c, &g, err);
    if (s == RAD_OK)
        s = rad_statistics_each_stratum(c, put_stratum, &g, err);
    free(g.item);
    free(g.column);
    free(g.level);
    return s;
}
