/* finish.c: the end of a run. Slice scores become lesion and patient scores by the run's rules, and nothing may have disappeared:
 * every case and patient of every model is scored or excluded (promise 3). Rules and scores come from the file alone, so that a finished
 * run can be worked on without its job. */
#include "aggregation.h"
#include "copies.h"
#include "grades.h"
#include "seal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_CLEAR_SCORES[] =
    "DELETE FROM case_score WHERE run_model_id IN (SELECT run_model_id FROM run_model WHERE run_id = ?1)";
static const char SQL_CLEAR_EXCLUSIONS[] = "DELETE FROM exclusion WHERE run_id = ?1 AND stage = 'aggregate'";
static const char SQL_MODELS[] = "SELECT run_model_id FROM run_model WHERE run_id = ?1 AND position = ?2";
static const char SQL_LESION_SCORE[] = "INSERT INTO case_score (run_model_id, patient_id, case_key, class_index, score, n_part, n_missing)"
                                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)";
static const char SQL_PATIENT_SCORE[] =
    "INSERT INTO case_score (run_model_id, patient_id, case_key, class_index, score, n_part, n_missing)"
    " SELECT ?1, ?2, 0, ?3, ?4, ?5, (SELECT count(*) FROM manifest m WHERE m.run_id = ?6 AND m.patient_id = ?2) - ?5";
/* Patients whose cases were all excluded; in a job whose cases are patients the case's own exclusion says it already. First those
 * that no model could score (one row), then the rest. */
#define NO_PATIENT_SCORE                                                                                                                   \
    " AND EXISTS (SELECT 1 FROM manifest m WHERE m.run_id = rp.run_id AND m.patient_id = rp.patient_id)"                                   \
    " AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.run_id = rp.run_id AND e.unit = 'patient'"                                         \
    "                   AND e.patient_id = rp.patient_id AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id))"
#define FIRST_REASON                                                                                                                       \
    "coalesce((SELECT e.reason FROM exclusion e JOIN manifest m ON m.case_id = e.case_id WHERE m.run_id = rp.run_id"                       \
    " AND m.patient_id = rp.patient_id ORDER BY m.position, e.exclusion_id LIMIT 1), 'notfound')"
static const char SQL_EXCLUDE_PATIENTS_ALL[] =
    "INSERT INTO exclusion (run_id, unit, patient_id, stage, reason, text)"
    " SELECT rp.run_id, 'patient', rp.patient_id, 'aggregate', " FIRST_REASON ", 'no lesion of the patient could be scored'"
    " FROM run_patient rp JOIN run_model rm ON rm.run_id = rp.run_id AND rm.position = 0 WHERE rp.run_id = ?1"
    " AND NOT EXISTS (SELECT 1 FROM run_model o JOIN case_score s ON s.run_model_id = o.run_model_id AND s.case_key = 0"
    "                   AND s.patient_id = rp.patient_id WHERE o.run_id = rp.run_id)" NO_PATIENT_SCORE;
static const char SQL_EXCLUDE_PATIENTS[] =
    "INSERT INTO exclusion (run_id, unit, patient_id, run_model_id, stage, reason, text)"
    " SELECT rp.run_id, 'patient', rp.patient_id, rm.run_model_id, 'aggregate', " FIRST_REASON
    ", 'no lesion of the patient could be scored' FROM run_patient rp JOIN run_model rm ON rm.run_id = rp.run_id WHERE rp.run_id = ?1"
    " AND NOT EXISTS (SELECT 1 FROM case_score s WHERE s.run_model_id = rm.run_model_id AND s.case_key = 0"
    "                   AND s.patient_id = rp.patient_id)" NO_PATIENT_SCORE;
static const char SQL_CHECK[] =
    "SELECT model, case_unit, n_case, n_scored, n_excluded, n_neither, n_both, n_patient_neither FROM v_manifest_check"
    " WHERE run_id = ?1 AND (n_neither > 0 OR n_both > 0 OR n_patient_neither > 0) LIMIT 1";
static const char SQL_FIRST_LOST[] =
    "SELECT p.patient, l.lesion, m.study FROM manifest m JOIN run_model rm ON rm.run_id = m.run_id AND rm.model = ?2"
    " JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = ?1"
    " AND (SELECT count(*) FROM run_result rr WHERE rr.case_id = m.case_id AND rr.run_model_id = rm.run_model_id)"
    "  + EXISTS (SELECT 1 FROM exclusion e WHERE e.case_id = m.case_id AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id))"
    " <> 1 ORDER BY m.position LIMIT 1";
static const char SQL_STATE[] = "SELECT state, job_sha256 FROM run WHERE run_id = ?1";
static const char SQL_SET_STATE[] = "UPDATE run SET state = ?2, finished = ?3 WHERE run_id = ?1";
static const char SQL_SET_HASH[] = "UPDATE run SET result_sha256 = ?2 WHERE run_id = ?1";
static const char SQL_EXCLUDED[] = "SELECT (SELECT count(DISTINCT case_id) FROM exclusion WHERE run_id = ?1)"
                                   " + (SELECT count(DISTINCT patient_id) FROM exclusion WHERE run_id = ?1 AND case_id IS NULL"
                                   "     AND stage = 'intake')";

/* ---------------------------------------------------------------- aggregation */

/* A case's scores, waiting for its patient. */
typedef struct case_part {
    int64_t patient, order;
    double score[RAD_MAX_CLASSES + RAD_MAX_ENDPOINTS];
} case_part;

typedef struct aggregation {
    struct rad_store *st;
    int64_t run, run_model;
    rad_scheme scheme;
    double *scratch, *matrix;
    int64_t cap_scratch;
    case_part *part;
    int64_t n_part, cap_part;
} aggregation;

/* Room for `n` parts. */
static rad_status make_room(aggregation *a, int64_t n, rad_error *err) {
    if (n <= a->cap_scratch)
        return RAD_OK;
    double *p = rad_realloc(a->scratch, (size_t)n, sizeof *p);
    a->scratch = p ? p : a->scratch;
    double *m = p ? rad_realloc(a->matrix, (size_t)n * (size_t)rad_scheme_rows(&a->scheme), sizeof *m) : NULL;
    a->matrix = m ? m : a->matrix;
    if (!m)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " scores", n);
    a->cap_scratch = n;
    return RAD_OK;
}

static rad_status put_case(void *payload, int64_t case_id, int64_t patient, const double *part, int64_t n, rad_error *err) {
    aggregation *a = payload;
    rad_status s = make_room(a, n, err);
    if (s == RAD_OK && a->n_part == a->cap_part) {
        int64_t more = a->cap_part ? a->cap_part * 2 : 256;
        case_part *p = rad_realloc(a->part, (size_t)more, sizeof *p);
        if (!p)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " cases", more);
        a->part = p;
        a->cap_part = more;
    }
    if (s != RAD_OK)
        return s;
    case_part *c = &a->part[a->n_part];
    *c = (case_part){.patient = patient, .order = a->n_part};
    rad_scheme_reduce(&a->scheme, a->scheme.case_rule, part, n, a->scratch, c->score);
    a->n_part++;
    for (int k = 0; a->scheme.lesions && k < rad_scheme_rows(&a->scheme) && s == RAD_OK; k++) {
        rad_query q = rad_query_start(a->st, SQL_LESION_SCORE);
        rad_bind_int(&q, a->run_model);
        rad_bind_int(&q, patient);
        rad_bind_int(&q, case_id);
        rad_bind_int(&q, k);
        rad_bind_real(&q, c->score[k]);
        rad_bind_int(&q, n);
        s = rad_query_exec(&q, err);
    }
    return s;
}

static int by_patient(const void *x, const void *y) {
    const case_part *a = x, *b = y;
    if (a->patient != b->patient)
        return a->patient < b->patient ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static rad_status put_patient(aggregation *a, const case_part *part, int64_t n, rad_error *err) {
    double score[RAD_MAX_CLASSES + RAD_MAX_ENDPOINTS];
    const int rows = rad_scheme_rows(&a->scheme);
    rad_status s = make_room(a, n, err);
    if (s != RAD_OK)
        return s;
    for (int k = 0; k < rows; k++)
        for (int64_t i = 0; i < n; i++)
            a->matrix[k * n + i] = part[i].score[k];
    rad_scheme_reduce(&a->scheme, a->scheme.patient_rule, a->matrix, n, a->scratch, score);
    for (int k = 0; k < rows && s == RAD_OK; k++) {
        rad_query q = rad_query_start(a->st, SQL_PATIENT_SCORE);
        rad_bind_int(&q, a->run_model);
        rad_bind_int(&q, part->patient);
        rad_bind_int(&q, k);
        rad_bind_real(&q, score[k]);
        rad_bind_int(&q, n);
        rad_bind_int(&q, a->run);
        s = rad_query_exec(&q, err);
    }
    return s;
}

static rad_status aggregate_patients(aggregation *a, rad_error *err) {
    rad_status s = RAD_OK;
    if (a->n_part > 0)
        qsort(a->part, (size_t)a->n_part, sizeof *a->part, by_patient);
    for (int64_t i = 0, j; i < a->n_part && s == RAD_OK; i = j) {
        for (j = i; j < a->n_part && a->part[j].patient == a->part[i].patient; j++)
            ;
        s = put_patient(a, &a->part[i], j - i, err);
    }
    return s;
}

static rad_status run_sql(struct rad_store *st, const char *sql, int64_t run, rad_error *err) {
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, run);
    return rad_query_exec(&q, err);
}

static rad_status next_model(struct rad_store *st, int64_t run, int position, int64_t *ret_run_model, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_MODELS);
    rad_bind_int(&q, run);
    rad_bind_int(&q, position);
    rad_status s = rad_query_row(&q, &row, err);
    *ret_run_model = s == RAD_OK && row ? sqlite3_column_int64(q.stmt, 0) : 0;
    rad_query_end(&q);
    return s;
}

rad_status rad_finish_aggregate(struct rad_store *st, int64_t run, rad_error *err) {
    aggregation a = {.st = st, .run = run};
    rad_status s = run_sql(st, SQL_CLEAR_SCORES, run, err);
    if (s == RAD_OK)
        s = run_sql(st, SQL_CLEAR_EXCLUSIONS, run, err);
    if (s == RAD_OK)
        s = rad_scheme_read(st, run, &a.scheme, err);
    for (int i = 0; s == RAD_OK; i++) {
        s = next_model(st, run, i, &a.run_model, err);
        if (s != RAD_OK || a.run_model == 0)
            break;
        a.n_part = 0;
        s = rad_scheme_each_case(st, &a.scheme, run, a.run_model, put_case, &a, err);
        if (s == RAD_OK)
            s = aggregate_patients(&a, err);
    }
    free(a.scratch);
    free(a.matrix);
    free(a.part);
    if (s == RAD_OK)
        s = run_sql(st, SQL_EXCLUDE_PATIENTS_ALL, run, err);
    if (s == RAD_OK)
        s = run_sql(st, SQL_EXCLUDE_PATIENTS, run, err);
    return s;
}

/* ---------------------------------------------------------------- promise 3 */

rad_status rad_finish_check(struct rad_store *st, int64_t run, rad_error *err) {
    bool row = false;
    char model[128], unit[16], text[200];
    rad_query q = rad_query_start(st, SQL_CHECK);
    rad_bind_int(&q, run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK || !row)
        return s;
    snprintf(model, sizeof model, "%s", rad_column_text(&q, 0));
    snprintf(unit, sizeof unit, "%s", rad_column_text(&q, 1));
    snprintf(text, sizeof text, "%lld cases, %lld scored, %lld excluded, %lld neither, %lld both, %lld patients neither",
             (long long)sqlite3_column_int64(q.stmt, 2), (long long)sqlite3_column_int64(q.stmt, 3),
             (long long)sqlite3_column_int64(q.stmt, 4), (long long)sqlite3_column_int64(q.stmt, 5),
             (long long)sqlite3_column_int64(q.stmt, 6), (long long)sqlite3_column_int64(q.stmt, 7));
    rad_query_end(&q);
    q = rad_query_start(st, SQL_FIRST_LOST);
    rad_bind_int(&q, run);
    rad_bind_text(&q, model);
    s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    const char *lesion = row ? rad_column_text(&q, 1) : NULL;
    s = rad_error_set(err, RAD_E_STORE,
                      "run %" PRId64 ", model '%s': not every %s is either scored or excluded (%s); first: patient '%s'%s%s; the run is "
                      "marked failed, start it again: these cases are done once more",
                      run, model, unit, text, row ? rad_column_text(&q, 0) : "?", lesion ? ", lesion " : "", lesion ? lesion : "");
    rad_query_end(&q);
    return s;
}

/* ---------------------------------------------------------------- the end */

static rad_status set_state(struct rad_store *st, int64_t run, const char *state, rad_error *err) {
    char now[RAD_TIME_TEXT];
    rad_clock_utc(now);
    rad_query q = rad_query_start(st, SQL_SET_STATE);
    rad_bind_int(&q, run);
    rad_bind_text(&q, state);
    rad_bind_text(&q, now);
    return rad_query_exec(&q, err);
}

/* What the run has come to, in the file itself: rows that are lost or changed later cannot speak for themselves. */
static rad_status set_hash(struct rad_store *st, int64_t run, rad_error *err) {
    char hash[RAD_SHA256_HEX];
    rad_status s = rad_store_result_hash(st, run, hash, err);
    if (s != RAD_OK)
        return s;
    rad_query q = rad_query_start(st, SQL_SET_HASH);
    rad_bind_int(&q, run);
    rad_bind_text(&q, hash);
    return rad_query_exec(&q, err);
}

static rad_status read_state(struct rad_store *st, int64_t run, const rad_job *job, bool *ret_finished, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_STATE);
    rad_bind_int(&q, run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (!row)
        return rad_error_set(err, RAD_E_STORE, "'%s' has no run %" PRId64, st->path, run);
    *ret_finished = strcmp(rad_column_text(&q, 0), "finished") == 0;
    if (strcmp(rad_column_text(&q, 1), job->sha256) != 0)
        s = rad_error_set(err, RAD_E_INTERNAL, "run %" PRId64 " is not of job '%s'", run, job->name);
    rad_query_end(&q);
    return s;
}

/* Leaves the run resumable after a failed check; what was aggregated is taken back. */
static rad_status fail_run(struct rad_store *st, int64_t run, rad_status why, rad_error *err) {
    rad_error ignored = {0};
    (void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    rad_status s = rad_tx_begin(st, &ignored);
    if (s == RAD_OK)
        s = set_state(st, run, "failed", &ignored);
    if (s == RAD_OK)
        s = rad_tx_commit(st, &ignored);
    if (rad_tx_end(st, s) != RAD_OK)
        return rad_error_prefix(err, why, "(and the run could not be marked failed: %s) ", ignored.text);
    return why;
}

rad_status rad_store_finish_run(rad_store *st, int64_t run, const rad_job *job, int64_t *ret_excluded, rad_error *err) {
    bool finished = false;
    int64_t excluded = 0;
    rad_status s = rad_store_flush(st, err);
    if (s == RAD_OK)
        s = read_state(st, run, job, &finished, err);
    if (s == RAD_OK && !finished) {
        if ((s = rad_tx_begin(st, err)) != RAD_OK)
            return s;
        s = rad_finish_aggregate(st, run, err);
        if (s == RAD_OK)
            s = rad_finish_grades(st, run, err);
        if (s == RAD_OK)
            s = rad_finish_copies(st, run, err);
        if (s == RAD_OK && (s = rad_finish_check(st, run, err)) != RAD_OK)
            return fail_run(st, run, s, err);
        if (s == RAD_OK)
            s = rad_finish_statistics(st, run, err);
        if (s == RAD_OK)
            s = set_hash(st, run, err);
        if (s == RAD_OK)
            s = set_state(st, run, "finished", err);
        if (s == RAD_OK)
            s = rad_seal_run(st, run, err);
        if (s == RAD_OK)
            s = rad_tx_offer(st, false, err);
        if (s == RAD_OK)
            s = rad_scratch_publish(st, err);
        s = rad_tx_end(st, s);
    }
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_EXCLUDED);
        rad_bind_int(&q, run);
        s = rad_query_int(&q, &excluded, err);
    }
    if (s == RAD_OK)
        *ret_excluded = excluded;
    return s;
}
