/* grades.c: jobs whose classes are ordered grades: the expected grade of lesions and patients beside the scores of the classes.
 *
 * A slice's expected grade is the sum over classes of grade times score, in the order of the classes; slices become cases and cases
 * patients by the run's own rules, as a class's scores do. The call is the class with the highest score of the unit, of equal ones the
 * lower. */
#include "grades.h"

#include "radcohort/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_ORDINAL[] = "SELECT count(*) FROM run_class WHERE run_id = ?1 AND grade IS NOT NULL";
static const char SQL_CLEAR[] = "DELETE FROM case_grade WHERE run_model_id IN (SELECT run_model_id FROM run_model WHERE run_id = ?1)";
static const char SQL_RULES[] = "SELECT case_unit, lesion_rule, patient_rule FROM run WHERE run_id = ?1";
static const char SQL_MODELS[] = "SELECT run_model_id FROM run_model WHERE run_id = ?1 AND position = ?2";
static const char SQL_SLICES[] = "SELECT m.case_id, m.patient_id, ss.slice, k.grade, ss.score FROM manifest m"
                                 " CROSS JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = ?2"
                                 " CROSS JOIN slice_score ss ON ss.result_id = rr.result_id"
                                 " CROSS JOIN run_class k ON k.run_id = m.run_id AND k.class_index = ss.class_index"
                                 " WHERE m.run_id = ?1 ORDER BY m.position, ss.slice, ss.class_index";
static const char SQL_PUT[] =
    "INSERT INTO case_grade (run_model_id, unit, patient_id, case_id, grade, call) SELECT ?1, ?2, ?3, ?4, ?5,"
    " (SELECT s.class_index FROM case_score s WHERE s.run_model_id = ?1 AND s.unit = ?2 AND s.patient_id = ?3"
    "   AND coalesce(s.case_id, 0) = coalesce(?4, 0) AND EXISTS (SELECT 1 FROM run_model rm JOIN run_class k ON k.run_id = rm.run_id"
    "   WHERE rm.run_model_id = ?1 AND k.class_index = s.class_index AND k.rule IS NULL) ORDER BY s.score DESC, s.class_index LIMIT 1)";

typedef struct part { /* a case, waiting for its patient */
    int64_t patient;
    double grade;
} part;

typedef struct grading {
    struct rad_store *st;
    int64_t run, run_model;
    bool lesions;
    char case_rule[RAD_MAX_RULE], patient_rule[RAD_MAX_RULE];
    double *slice; /* of the case in hand */
    int64_t n_slice, cap_slice;
    part *item;
    int64_t n_item, cap_item;
} grading;

static rad_status grow(void **item, int64_t *cap, int64_t n, size_t size, rad_error *err) {
    if (n < *cap)
        return RAD_OK;
    int64_t more = *cap ? *cap * 2 : 1024;
    void *p = rad_realloc(*item, (size_t)more, size);
    if (!p)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " grades", more);
    *item = p;
    *cap = more;
    return RAD_OK;
}

/* case_id 0: the patient. */
static rad_status put(grading *g, int64_t patient, int64_t case_id, double grade, rad_error *err) {
    rad_query q = rad_query_start(g->st, SQL_PUT);
    rad_bind_int(&q, g->run_model);
    rad_bind_text(&q, case_id ? "lesion" : "patient");
    rad_bind_int(&q, patient);
    rad_bind_index(&q, case_id ? case_id : -1);
    rad_bind_real(&q, grade);
    return rad_query_exec(&q, err);
}

static rad_status close_case(grading *g, int64_t case_id, int64_t patient, rad_error *err) {
    rad_status s = RAD_OK;
    if (g->n_slice == 0)
        return RAD_OK;
    double grade = rad_aggregate_scores(g->case_rule, g->slice, g->n_slice);
    if (g->lesions)
        s = put(g, patient, case_id, grade, err);
    void *p = g->item;
    if (s == RAD_OK)
        s = grow(&p, &g->cap_item, g->n_item, sizeof *g->item, err);
    if (s == RAD_OK) {
        g->item = p;
        g->item[g->n_item++] = (part){patient, grade};
    }
    g->n_slice = 0;
    return s;
}

static rad_status grade_cases(grading *g, rad_error *err) {
    int64_t case_id = -1, patient = -1, slice = -1;
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(g->st, SQL_SLICES);
    rad_bind_int(&q, g->run);
    rad_bind_int(&q, g->run_model);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        int64_t c = sqlite3_column_int64(q.stmt, 0), z = sqlite3_column_int64(q.stmt, 2);
        if (c != case_id && (s = close_case(g, case_id, patient, err)) != RAD_OK)
            break;
        if (c != case_id || z != slice) {
            void *p = g->slice;
            if ((s = grow(&p, &g->cap_slice, g->n_slice, sizeof *g->slice, err)) != RAD_OK)
                break;
            g->slice = p;
            g->slice[g->n_slice++] = 0;
        }
        case_id = c;
        slice = z;
        patient = sqlite3_column_int64(q.stmt, 1);
        g->slice[g->n_slice - 1] += sqlite3_column_double(q.stmt, 3) * sqlite3_column_double(q.stmt, 4);
    }
    rad_query_end(&q);
    return s == RAD_OK ? close_case(g, case_id, patient, err) : s;
}

static int by_patient(const void *x, const void *y) {
    const part *a = x, *b = y;
    return (a->patient > b->patient) - (a->patient < b->patient);
}

static rad_status grade_patients(grading *g, rad_error *err) {
    rad_status s = RAD_OK;
    double *list = rad_calloc((size_t)g->n_item + 1, sizeof *list);
    if (!list)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " grades", g->n_item);
    if (g->n_item > 0)
        qsort(g->item, (size_t)g->n_item, sizeof *g->item, by_patient);
    for (int64_t i = 0, j; i < g->n_item && s == RAD_OK; i = j) {
        for (j = i; j < g->n_item && g->item[j].patient == g->item[i].patient; j++)
            list[j - i] = g->item[j].grade;
        s = put(g, g->item[i].patient, 0, rad_aggregate_scores(g->patient_rule, list, j - i), err);
    }
    free(list);
    return s;
}

static rad_status read_rules(grading *g, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(g->st, SQL_RULES);
    rad_bind_int(&q, g->run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK || !row)
        return s == RAD_OK ? rad_error_set(err, RAD_E_STORE, "'%s' has no run %" PRId64, g->st->path, g->run) : s;
    g->lesions = strcmp(rad_column_text(&q, 0), "lesion") == 0;
    snprintf(g->case_rule, sizeof g->case_rule, "%s", rad_column_text(&q, g->lesions ? 1 : 2));
    snprintf(g->patient_rule, sizeof g->patient_rule, "%s", rad_column_text(&q, 2));
    rad_query_end(&q);
    return RAD_OK;
}

rad_status rad_finish_grades(struct rad_store *st, int64_t run, rad_error *err) {
    grading g = {.st = st, .run = run};
    int64_t ordinal = 0;
    rad_query q = rad_query_start(st, SQL_CLEAR);
    rad_bind_int(&q, run);
    rad_status s = rad_query_exec(&q, err);
    q = rad_query_start(st, SQL_ORDINAL);
    rad_bind_int(&q, run);
    if (s == RAD_OK)
        s = rad_query_int(&q, &ordinal, err);
    if (s == RAD_OK && ordinal > 0)
        s = read_rules(&g, err);
    for (int position = 0; s == RAD_OK && ordinal > 0; position++) {
        bool row = false;
        q = rad_query_start(st, SQL_MODELS);
        rad_bind_int(&q, run);
        rad_bind_int(&q, position);
        s = rad_query_row(&q, &row, err);
        if (s != RAD_OK || !row)
            break;
        g.run_model = sqlite3_column_int64(q.stmt, 0);
        rad_query_end(&q);
        g.n_item = g.n_slice = 0;
        s = grade_cases(&g, err);
        if (s == RAD_OK)
            s = grade_patients(&g, err);
    }
    free(g.slice);
    free(g.item);
    return s;
}
