/* nightly_known.c: what the database knows of a case before a night's run: the last look at its files, the results and lasting failures
 * under its keys, and what was different the last time. Reads only. */
#include "db.h"
#include "radcohort/nightly.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_PRIOR_RUN[] =
    "SELECT coalesce(max(run_id), 0) FROM run WHERE job = ?1 AND state = 'finished' AND (?2 = 0 OR run_id < ?2)";
static const char SQL_FILE[] = "SELECT bytes, inode, seconds, nanoseconds, content, since_run FROM file_stamp WHERE path = ?1";
static const char SQL_RESULT[] = "SELECT count(*) FROM result WHERE result_key = ?1";
static const char SQL_CAM[] = "SELECT count(*) FROM cam WHERE cam_key = ?1";
static const char SQL_FAILURE[] = "SELECT stage, reason, text FROM failed_result WHERE result_key = ?1";
static const char SQL_CASE[] =
    "SELECT (SELECT m.case_id FROM manifest m WHERE m.run_id = ?1 AND m.patient_id = p.patient_id"
    "           AND coalesce(m.lesion_id, 0) = coalesce(l.lesion_id, 0) AND m.study = ?4 AND (?3 IS NULL) = (l.lesion_id IS NULL)),"
    " EXISTS (SELECT 1 FROM manifest m WHERE m.run_id = ?1 AND m.patient_id = p.patient_id),"
    " EXISTS (SELECT 1 FROM manifest m WHERE m.run_id = ?1 AND m.patient_id = p.patient_id"
    "            AND coalesce(m.lesion_id, 0) = coalesce(l.lesion_id, 0) AND (?3 IS NULL) = (l.lesion_id IS NULL))"
    "  FROM patient p LEFT JOIN lesion l ON l.patient_id = p.patient_id AND l.lesion = ?3 WHERE p.patient = ?2";
static const char SQL_ANY[] = "SELECT EXISTS (SELECT 1 FROM result) OR EXISTS (SELECT 1 FROM failed_result)";
static const char SQL_MODEL[] =
    "SELECT rm.run_model_id, rm.input, rm.input_text, coalesce(rm.output, ''), rm.activation, r.precision, r.backend_version"
    "  FROM run_model rm JOIN run r ON r.run_id = rm.run_id WHERE rm.run_id = ?1 AND rm.model = ?2";
static const char SQL_GRAPH[] =
    "SELECT EXISTS (SELECT 1 FROM run_result rr JOIN result re ON re.result_id = rr.result_id JOIN model mo ON mo.model_id = re.model_id"
    "                WHERE rr.case_id = ?1 AND rr.run_model_id = ?2 AND mo.graph_hash = ?3)"
    " OR (NOT EXISTS (SELECT 1 FROM run_result rr WHERE rr.case_id = ?1 AND rr.run_model_id = ?2)"
    "     AND EXISTS (SELECT 1 FROM run_model_file f JOIN model mo ON mo.model_id = f.model_id"
    "                  WHERE f.run_model_id = ?2 AND mo.graph_hash = ?3))";
static const char SQL_IMAGES[] =
    "SELECT u.channel, v.content, i.sequence, u.volumes FROM image_use u JOIN image i ON i.image_id = u.image_id"
    "  LEFT JOIN volume v ON v.volume_id = u.volume_id WHERE u.case_id = ?1 AND u.input = ?2";
static const char SQL_SLICES[] = "SELECT i.slices FROM image_use u JOIN image i ON i.image_id = u.image_id"
                                 " WHERE u.case_id = ?1 AND u.input = ?2 AND u.channel = 0";
static const char SQL_LESION[] = "SELECT l.i0, l.j0, l.k0, l.i1, l.j1, l.k1, l.point_i, l.point_j, l.point_k, l.slices, l.mask"
                                 "  FROM manifest m JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.case_id = ?1";
static const char SQL_FAILED[] = "SELECT reason FROM exclusion WHERE case_id = ?1 AND (run_model_id IS NULL OR run_model_id = ?2) LIMIT 1";
static const char SQL_PRIOR[] = "SELECT p.patient, l.lesion FROM manifest m JOIN patient p ON p.patient_id = m.patient_id"
                                "  LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = ?1 ORDER BY m.position";

void rad_night_reasons_text(unsigned reasons, char ret[RAD_NIGHT_REASONS_TEXT]) {
    static const char *const NAME[RAD_NIGHT_REASONS] = {"new-patient", "new-lesion", "new-study",   "image",  "mask",
                                                        "region",      "model",      "preparation", "engine", "retry",
                                                        "map",         "result",     "stored",      "failed", "intake"};
    size_t used = 0;
    ret[0] = 0;
    for (int i = 0; i < RAD_NIGHT_REASONS; i++)
        if (reasons & (1u << i) && used < RAD_NIGHT_REASONS_TEXT)
            used += (size_t)snprintf(ret + used, RAD_NIGHT_REASONS_TEXT - used, "%s%s", used ? "," : "", NAME[i]);
    if (used == 0)
        snprintf(ret, RAD_NIGHT_REASONS_TEXT, "unchanged");
}

void rad_night_release(rad_night *n) {
    for (int64_t i = 0; n->item && i < n->n_case; i++) {
        free(n->item[i].patient);
        free(n->item[i].lesion);
        free(n->item[i].study);
        free(n->item[i].center);
    }
    for (int64_t i = 0; n->file && i < n->n_file; i++)
        free(n->file[i].path);
    for (int64_t i = 0; n->gone && i < n->n_gone; i++) {
        free(n->gone[i].patient);
        free(n->gone[i].lesion);
        free(n->gone[i].path);
    }
    free(n->item);
    free(n->key);
    free(n->file);
    free(n->gone);
    free(n->job);
    *n = (rad_night){0};
}

rad_status rad_night_hold(rad_store *st, bool on, rad_error *err) {
    if (on == !sqlite3_get_autocommit(st->db))
        return RAD_OK;
    return rad_sql_script(st, on ? "BEGIN" : "COMMIT", "looking at the last night", err);
}

rad_status rad_night_prior_run(rad_store *st, const char *job, int64_t before, int64_t *ret, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_PRIOR_RUN);
    rad_bind_text(&q, job);
    rad_bind_int(&q, before);
    return rad_query_int(&q, ret, err);
}

rad_status rad_night_find_file(rad_store *st, const char *path, rad_night_file *ret, bool *ret_found, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_FILE);
    rad_bind_text(&q, path);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (row) {
        const char *content = rad_column_text(&q, 4);
        ret->look = (rad_file_look){.looked = true,
                                    .bytes = (uint64_t)sqlite3_column_int64(q.stmt, 0),
                                    .inode = (uint64_t)sqlite3_column_int64(q.stmt, 1),
                                    .seconds = sqlite3_column_int64(q.stmt, 2),
                                    .nanoseconds = (int32_t)sqlite3_column_int64(q.stmt, 3)};
        snprintf(ret->before, sizeof ret->before, "%s", content ? content : "");
        ret->since = sqlite3_column_int64(q.stmt, 5);
    }
    *ret_found = row;
    rad_query_end(&q);
    return RAD_OK;
}

static rad_status count_of(rad_store *st, const char *sql, const char *key, bool *ret, rad_error *err) {
    int64_t n = 0;
    rad_query q = rad_query_start(st, sql);
    rad_bind_text(&q, key);
    rad_status s = rad_query_int(&q, &n, err);
    *ret = n > 0;
    return s;
}

rad_status rad_night_has_result(rad_store *st, const char *key, bool *ret, rad_error *err) {
    return count_of(st, SQL_RESULT, key, ret, err);
}

rad_status rad_night_has_cam(rad_store *st, const char *cam_key, bool *ret, rad_error *err) {
    return count_of(st, SQL_CAM, cam_key, ret, err);
}

rad_status rad_night_has_any(rad_store *st, bool *ret, rad_error *err) {
    int64_t n = 0;
    rad_query q = rad_query_start(st, SQL_ANY);
    rad_status s = rad_query_int(&q, &n, err);
    *ret = n > 0;
    return s;
}

static rad_status status_of(const char *reason) {
    for (int i = RAD_E_NOTFOUND; i >= RAD_E_FOLD; i--)
        if (reason && strcmp(rad_status_reason((rad_status)i), reason) == 0)
            return (rad_status)i;
    return RAD_E_FORMAT;
}

rad_status rad_night_find_failure(rad_store *st, const char *key, rad_night_failure *ret, bool *ret_found, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_FAILURE);
    rad_bind_text(&q, key);
    rad_status s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row) {
        ret->status = status_of(rad_column_text(&q, 1));
        snprintf(ret->stage, sizeof ret->stage, "%s", rad_column_text(&q, 0));
        snprintf(ret->text, sizeof ret->text, "%s", rad_column_text(&q, 2));
    }
    *ret_found = s == RAD_OK && row;
    rad_query_end(&q);
    return s;
}

rad_status rad_night_find_case(rad_store *st, int64_t run, const char *patient, const char *lesion, const char *study, int64_t *ret,
                               unsigned *ret_seen, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_CASE);
    rad_bind_int(&q, run);
    rad_bind_text(&q, patient);
    rad_bind_text(&q, lesion);
    rad_bind_text(&q, study);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    *ret = row && rad_column_index(&q, 0) > 0 ? rad_column_index(&q, 0) : 0;
    *ret_seen = 0;
    if (row && sqlite3_column_int(q.stmt, 1))
        *ret_seen |= RAD_NIGHT_NEW_PATIENT;
    if (row && sqlite3_column_int(q.stmt, 2))
        *ret_seen |= RAD_NIGHT_NEW_LESION;
    rad_query_end(&q);
    return RAD_OK;
}

/* ---------------------------------------------------------------- what differs */

static void add(unsigned *reasons, rad_night_reason why, char detail[120], const char *fmt, ...) RAD_PRINTF(4, 5);
static void add(unsigned *reasons, rad_night_reason why, char detail[120], const char *fmt, ...) {
    va_list ap;
    *reasons |= why;
    if (detail[0])
        return;
    va_start(ap, fmt);
    (void)vsnprintf(detail, 120, fmt, ap);
    va_end(ap);
}

static bool same_text(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static rad_status explain_lesion(rad_store *st, int64_t prior_case, const rad_night_now *now, unsigned *reasons, char detail[120],
                                 rad_error *err) {
    const rad_lesion *l = now->lesion;
    bool row = false, other = false;
    rad_query q = rad_query_start(st, SQL_LESION);
    rad_bind_int(&q, prior_case);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK || !row)
        return s;
    const bool had_box = sqlite3_column_type(q.stmt, 0) != SQLITE_NULL, had_point = sqlite3_column_type(q.stmt, 6) != SQLITE_NULL;
    other = had_box != l->has_box || had_point != l->has_point;
    for (int i = 0; i < 6 && had_box && l->has_box; i++)
        other = other || sqlite3_column_int64(q.stmt, i) != l->box[i];
    for (int i = 0; i < 3 && had_point && l->has_point; i++)
        other = other || sqlite3_column_double(q.stmt, 6 + i) != l->point[i];
    other = other || !same_text(rad_column_text(&q, 9), l->slices);
    if (other)
        add(reasons, RAD_NIGHT_REGION, detail, "box, point or slices of the lesion's row");
    if (now->uses_mask && (now->mask_moved || !same_text(rad_column_text(&q, 10), l->mask)))
        add(reasons, RAD_NIGHT_MASK, detail, "%.100s", l->mask ? l->mask : "no mask any more");
    rad_query_end(&q);
    return RAD_OK;
}

static rad_status explain_images(rad_store *st, int64_t prior_case, const char *input, const rad_night_now *now, unsigned *reasons,
                                 char detail[120], rad_error *err) {
    bool row = false;
    int seen = 0, used = 0;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_IMAGES);
    rad_bind_int(&q, prior_case);
    rad_bind_text(&q, input);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        const int64_t c = sqlite3_column_int64(q.stmt, 0);
        const char *content = rad_column_text(&q, 1);
        seen++;
        if (c >= now->n_channel || !now->content[c] || (content && strcmp(content, now->content[c]) != 0) ||
            !same_text(rad_column_text(&q, 3), now->volumes[c]))
            add(reasons, RAD_NIGHT_IMAGE, detail, "sequence %.80s", rad_column_text(&q, 2));
    }
    for (int c = 0; c < now->n_channel; c++)
        used += now->content[c] != NULL;
    if (s == RAD_OK && used != seen)
        add(reasons, RAD_NIGHT_IMAGE, detail, "%d images, %d before", used, seen);
    if (s != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_SLICES);
    rad_bind_int(&q, prior_case);
    rad_bind_text(&q, input);
    s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row && !same_text(rad_column_text(&q, 0), now->slices))
        add(reasons, RAD_NIGHT_REGION, detail, "slices of the image's row");
    rad_query_end(&q);
    return s;
}

rad_status rad_night_explain(rad_store *st, int64_t run, int64_t prior_case, const rad_night_now *now, unsigned *ret_reasons,
                             char detail[120], rad_error *err) {
    bool row = false;
    int64_t model = 0, same = 0;
    char input[80] = "";
    unsigned mine = 0, *reasons = &mine; /* of this model: another one may have the same */
    rad_query q = rad_query_start(st, SQL_MODEL);
    rad_bind_int(&q, run);
    rad_bind_text(&q, now->model);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (!row) {
        add(reasons, RAD_NIGHT_MODEL, detail, "model %.64s is new", now->model);
        *ret_reasons |= mine;
        return RAD_OK;
    }
    model = sqlite3_column_int64(q.stmt, 0);
    snprintf(input, sizeof input, "%s", rad_column_text(&q, 1));
    if (!same_text(rad_column_text(&q, 2), now->input_text) || !same_text(rad_column_text(&q, 3), now->output) ||
        !same_text(rad_column_text(&q, 4), now->activation))
        add(reasons, RAD_NIGHT_PREPARATION, detail, "input, output or activation of model %.64s", now->model);
    if (!same_text(rad_column_text(&q, 5), now->precision) || !same_text(rad_column_text(&q, 6), now->backend_version))
        add(reasons, RAD_NIGHT_ENGINE, detail, "now %.16s on %.90s", now->precision, now->backend_version);
    rad_query_end(&q);
    q = rad_query_start(st, SQL_GRAPH);
    rad_bind_int(&q, prior_case);
    rad_bind_int(&q, model);
    rad_bind_text(&q, now->graph_hash);
    if ((s = rad_query_int(&q, &same, err)) != RAD_OK)
        return s;
    if (!same)
        add(reasons, RAD_NIGHT_MODEL, detail, "model %.64s has other weights, or another file of it scores the patient", now->model);
    s = explain_images(st, prior_case, input, now, reasons, detail, err);
    if (s == RAD_OK && now->lesion)
        s = explain_lesion(st, prior_case, now, reasons, detail, err);
    *ret_reasons |= mine;
    if (s != RAD_OK || mine != 0)
        return s;
    q = rad_query_start(st, SQL_FAILED);
    rad_bind_int(&q, prior_case);
    rad_bind_int(&q, model);
    s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row)
        add(reasons, RAD_NIGHT_RETRY, detail, "failed before: %.60s", rad_column_text(&q, 0));
    else if (s == RAD_OK)
        add(reasons, RAD_NIGHT_RESULT, detail, "no result of model %.64s is stored", now->model);
    rad_query_end(&q);
    *ret_reasons |= mine;
    return s;
}

rad_status rad_night_each_prior(rad_store *st, int64_t run, int (*row)(const char *patient, const char *lesion, void *payload),
                                void *payload, rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_PRIOR);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more)
        if (row(rad_column_text(&q, 0), rad_column_text(&q, 1), payload) != 0)
            break;
    rad_query_end(&q);
    return s;
}
