/* diff_record.c: see replay.h. */
#include "db.h"

#include "radcohort/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_RECORD[] =
    "SELECT state, job, job_text, job_path, cohort_dir, backend, backend_version, precision, radcohort_version, cohort_sha256,"
    " coalesce(result_sha256, ''), ' ' || coalesce(command_line, '') || ' ' LIKE '% --allow-outside %', (SELECT count(*) FROM run_model rm"
    " JOIN run_model_file f ON f.run_model_id = rm.run_model_id WHERE rm.run_id = r.run_id) FROM run r WHERE run_id = ?1";
static const char SQL_FILE[] =
    "SELECT mo.sha256 FROM run_model rm JOIN run_model_file f ON f.run_model_id = rm.run_model_id JOIN model mo ON mo.model_id = f.model_id"
    " WHERE rm.run_id = ?1 ORDER BY rm.position, f.position LIMIT 1 OFFSET ?2";
static const char SQL_IMAGES[] =
    "SELECT p.patient, coalesce(l.lesion, ''), m.study, u.input, u.channel, i.path, v.content || iif(u.volumes = '', '', ' volumes ' || "
    "u.volumes) FROM manifest m"
    " JOIN image_use u ON u.case_id = m.case_id JOIN image i ON i.image_id = u.image_id LEFT JOIN volume v ON v.volume_id = u.volume_id"
    " JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = ?1"
    " ORDER BY 1, 2, 3, 4, 5";

static void copy(char *to, size_t cap, const char *from) {
    snprintf(to, cap, "%s", from ? from : "");
}

static bool own(char **to, const char *from) {
    *to = from ? rad_strdup(from) : NULL;
    return !from || *to;
}

rad_status rad_store_read_record(rad_store *st, int64_t run, rad_run_record *ret, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_RECORD);
    rad_bind_int(&q, run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (!row)
        return rad_error_set(err, RAD_E_NOTFOUND, "'%s' has no run %" PRId64, st->path, run);
    ret->run = run;
    copy(ret->state, sizeof ret->state, rad_column_text(&q, 0));
    copy(ret->backend, sizeof ret->backend, rad_column_text(&q, 5));
    copy(ret->backend_version, sizeof ret->backend_version, rad_column_text(&q, 6));
    copy(ret->precision, sizeof ret->precision, rad_column_text(&q, 7));
    copy(ret->version, sizeof ret->version, rad_column_text(&q, 8));
    copy(ret->cohort_sha256, sizeof ret->cohort_sha256, rad_column_text(&q, 9));
    copy(ret->result_sha256, sizeof ret->result_sha256, rad_column_text(&q, 10));
    ret->allow_outside = sqlite3_column_int(q.stmt, 11) != 0;
    ret->n_file = sqlite3_column_int64(q.stmt, 12);
    if (!own(&ret->job, rad_column_text(&q, 1)) || !own(&ret->job_text, rad_column_text(&q, 2)) ||
        !own(&ret->job_path, rad_column_text(&q, 3)) || !own(&ret->cohort_dir, rad_column_text(&q, 4)))
        s = rad_error_set(err, RAD_E_NOMEM, "out of memory to read run %" PRId64, run);
    rad_query_end(&q);
    return s;
}

void rad_run_record_release(rad_run_record *r) {
    free(r->job);
    free(r->job_text);
    free(r->job_path);
    free(r->cohort_dir);
    *r = (rad_run_record){0};
}

rad_status rad_store_find_file(rad_store *st, int64_t run, int64_t position, char ret[RAD_SHA256_HEX], rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_FILE);
    rad_bind_int(&q, run);
    rad_bind_int(&q, position);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    copy(ret, RAD_SHA256_HEX, row ? rad_column_text(&q, 0) : "");
    rad_query_end(&q);
    return RAD_OK;
}

static const char *cell(sqlite3_stmt *q, int i) {
    const char *t = (const char *)sqlite3_column_text(q, i);
    return t ? t : "";
}

static char *tell(sqlite3_stmt *a, sqlite3_stmt *b, bool in_a, bool in_b) {
    sqlite3_stmt *n = in_a ? a : b;
    const char *lesion = cell(n, 1), *was = in_a ? cell(a, 6) : "", *is = in_b ? cell(b, 6) : "";
    char *what = !in_b            ? rad_strdup("the cohort holds no such image any more")
                 : !in_a          ? rad_strdup("the run had no such image")
                 : is[0] == '\0'  ? rad_asprintf("it cannot be read any more; its content was %s", was)
                 : was[0] == '\0' ? rad_asprintf("it could not be read then; its content is %s now", is)
                                  : rad_asprintf("its content was %s and is %s now", was, is);
    char *all = what ? rad_asprintf("image '%s' of patient %s%s%s (input %s, channel %s): %s", cell(in_b ? b : a, 5), cell(n, 0),
                                    lesion[0] ? ", lesion " : "", lesion, cell(n, 3), cell(n, 4), what)
                     : NULL;
    free(what);
    return all;
}

rad_status rad_store_other_image(rad_store *a, int64_t run_a, rad_store *b, int64_t run_b, char **ret, rad_error *err) {
    sqlite3_stmt *x = NULL, *y = NULL;
    char *found = NULL;
    bool over = false, differs = false;
    rad_status st = RAD_OK;
    int rc = sqlite3_prepare_v2(a->db, SQL_IMAGES, -1, &x, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(x, 1, run_a);
    if (rc != SQLITE_OK)
        RAD_TRY(rad_sql_fail(a, rc, "looking for images that changed", err));
    rc = sqlite3_prepare_v2(b->db, SQL_IMAGES, -1, &y, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(y, 1, run_b);
    if (rc != SQLITE_OK)
        RAD_TRY(rad_sql_fail(b, rc, "looking for images that changed", err));
    while (!over && !differs) {
        const int ra = sqlite3_step(x), rb = sqlite3_step(y);
        if (ra != SQLITE_ROW && ra != SQLITE_DONE)
            RAD_TRY(rad_sql_fail(a, ra, "looking for images that changed", err));
        if (rb != SQLITE_ROW && rb != SQLITE_DONE)
            RAD_TRY(rad_sql_fail(b, rb, "looking for images that changed", err));
        over = ra == SQLITE_DONE && rb == SQLITE_DONE;
        differs = (ra == SQLITE_ROW) != (rb == SQLITE_ROW);
        int order = 0; /* of the names; the file's path may be another one */
        for (int i = 0; i < 7 && !over && !differs && order == 0; i++)
            order = i == 5 ? 0 : strcmp(cell(x, i), cell(y, i));
        differs = differs || order != 0;
        if (differs) {
            int name = 0;
            for (int i = 0; i < 5 && ra == SQLITE_ROW && rb == SQLITE_ROW && name == 0; i++)
                name = strcmp(cell(x, i), cell(y, i));
            found = tell(x, y, ra == SQLITE_ROW && name <= 0, rb == SQLITE_ROW && (ra != SQLITE_ROW || name >= 0));
            if (!found)
                RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "out of memory to name an image that changed"));
        }
    }
    *ret = found;
out:
    (void)sqlite3_finalize(x);
    (void)sqlite3_finalize(y);
    return st;
}
