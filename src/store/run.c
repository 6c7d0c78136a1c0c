/* run.c: the life of a run: begin or take up again, leases, stop. */
#include "seal.h"

#include "radcohort/folds.h"

#include <stdlib.h>
#include <string.h>

static const char SQL_FIND_RUN[] = "SELECT run_id, state FROM run WHERE identity = ?1 ORDER BY state = 'finished', run_id DESC LIMIT 1";
static const char SQL_RUN_MODELS[] = "SELECT run_model_id FROM run_model WHERE run_id = ?1 ORDER BY position";
static const char SQL_RUN_FILES[] = "SELECT f.model_id FROM run_model rm JOIN run_model_file f ON f.run_model_id = rm.run_model_id"
                                    " WHERE rm.run_id = ?1 ORDER BY rm.position, f.position";
/* Leases left over from a session that died count as lost, which makes the next session careful with them (sched.h). They condemn a case
 * only when nothing else can have been the reason: the session finished nothing and held nothing but this case. */
static const char SQL_TAKE_UP[] =
    "UPDATE work SET state = 'pending', rank = NULL, attempts = max(attempts - 1, 0), lost = lost + 1, interrupted = interrupted + ?2"
    " WHERE state = 'leased' AND case_id IN (SELECT case_id FROM manifest WHERE run_id = ?1)";
static const char SQL_FRUITLESS[] = "SELECT (SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id"
                                    "         WHERE m.run_id = r.run_id AND w.state IN ('done', 'quarantined')) <= r.session_done"
                                    "   AND (SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id"
                                    "         WHERE m.run_id = r.run_id AND w.state = 'leased') = 1 FROM run r WHERE r.run_id = ?1";
/* A run that failed its final check has cases that are neither scored nor excluded: they are done again. */
static const char SQL_REOPEN[] =
    "UPDATE work SET state = 'pending', attempts = 0, lost = 0, interrupted = 0 WHERE state = 'done'"
    " AND case_id IN (SELECT m.case_id FROM manifest m"
    " JOIN run_model rm ON rm.run_id = m.run_id WHERE m.run_id = ?1"
    " AND NOT EXISTS (SELECT 1 FROM run_result rr WHERE rr.case_id = m.case_id AND rr.run_model_id = rm.run_model_id)"
    " AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.case_id = m.case_id"
    "                   AND (e.run_model_id IS NULL OR e.run_model_id = rm.run_model_id)))";
static const char SQL_SESSION[] =
    "UPDATE run SET state = 'running', finished = NULL, radcohort_version = ?2, versions = ?3, host = ?4, launch_mode = ?5,"
    " command_line = ?6, n_rank = ?7, threads = ?8, session_started = ?9, sessions = sessions + 1, job_sha256 = ?10, job_text = ?11, "
    "job_path = ?12,"
    " session_done = (SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id"
    "                  WHERE m.run_id = ?1 AND w.state IN ('done', 'quarantined')) WHERE run_id = ?1";
static const char SQL_COUNT_PENDING[] =
    "SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id WHERE m.run_id = ?1 AND w.state = 'pending'";
static const char SQL_PENDING[] =
    "SELECT m.case_id, m.position, max(w.attempts, iif(w.interrupted >= ?2, ?3, 0)), w.lost"
    " FROM manifest m JOIN work w ON w.case_id = m.case_id WHERE m.run_id = ?1 AND w.state = 'pending' ORDER BY m.position";
/* A network is known by its graph: two files of one graph share their results. Class activation maps have keys of their own. */
static const char SQL_KNOWN[] =
    "SELECT known FROM (SELECT result_key AS known, result_id FROM result WHERE model_id IN (SELECT same.model_id FROM run_model rm"
    " JOIN run_model_file f ON f.run_model_id = rm.run_model_id JOIN model mo ON mo.model_id = f.model_id"
    " JOIN model same ON same.graph_hash = mo.graph_hash WHERE rm.run_id = ?1)"
    " UNION ALL SELECT cam_key, result_id FROM cam WHERE EXISTS (SELECT 1 FROM run_model WHERE run_id = ?1 AND cam_rule IS NOT NULL)"
    " ORDER BY result_id DESC LIMIT ?2) ORDER BY known";
static const char SQL_LEASE[] =
    "UPDATE work SET state = 'leased', rank = ?2, attempts = attempts + 1 WHERE case_id = ?1 AND state IN ('pending', 'leased')"
    " AND EXISTS (SELECT 1 FROM manifest m WHERE m.case_id = ?1 AND m.run_id = ?3)";
static const char SQL_RETURN[] =
    "UPDATE work SET state = 'pending', rank = NULL, attempts = max(attempts - 1, 0) WHERE case_id = ?1 AND state = 'leased'"
    " AND EXISTS (SELECT 1 FROM manifest m WHERE m.case_id = ?1 AND m.run_id = ?2)";
static const char SQL_RETURN_ALL[] =
    "UPDATE work SET state = 'pending', rank = NULL, attempts = max(attempts - 1, 0) WHERE state = 'leased'"
    " AND case_id IN (SELECT case_id FROM manifest WHERE run_id = ?1)";
/* Whoever writes holds the lock: a run that claims to be running was interrupted, and another one goes on in its place. */
static const char SQL_STOP_OTHERS[] = "UPDATE run SET state = 'stopped' WHERE run_id <> ?1 AND state = 'running'";
static const char SQL_STOP[] = "UPDATE run SET state = 'stopped' WHERE run_id = ?1 AND state = 'running'";

static rad_status find_run(struct rad_store *st, const char *identity, int64_t *ret_run, bool *ret_finished, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_FIND_RUN);
    rad_bind_text(&q, identity);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    *ret_run = row ? sqlite3_column_int64(q.stmt, 0) : 0;
    *ret_finished = row && strcmp(rad_column_text(&q, 1), "finished") == 0;
    rad_query_end(&q);
    return RAD_OK;
}

static rad_status read_ids(struct rad_store *st, const char *sql, int64_t run, int n, int64_t *ret, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, run);
    for (int i = 0; (s = rad_query_row(&q, &row, err)) == RAD_OK && row && i < n; i++)
        ret[i] = sqlite3_column_int64(q.stmt, 0);
    rad_query_end(&q);
    return s;
}

static rad_status read_run_models(struct rad_store *st, int64_t run, const rad_job *job, rad_error *err) {
    rad_status s = read_ids(st, SQL_RUN_MODELS, run, job->n_model, st->run_model_id, err);
    return s == RAD_OK ? read_ids(st, SQL_RUN_FILES, run, rad_job_count_files(job), st->file_model_id, err) : s;
}

static rad_status take_up(struct rad_store *st, int64_t run, const rad_run_info *info, rad_error *err) {
    int64_t fruitless = 0;
    char now[RAD_TIME_TEXT];
    rad_clock_utc(now);
    rad_status s = read_run_models(st, run, info->job, err);
    if (s != RAD_OK)
        return s;
    rad_query q = rad_query_start(st, SQL_FRUITLESS);
    rad_bind_int(&q, run);
    if ((s = rad_query_int(&q, &fruitless, err)) != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_TAKE_UP);
    rad_bind_int(&q, run);
    rad_bind_int(&q, fruitless);
    if ((s = rad_query_exec(&q, err)) != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_REOPEN);
    rad_bind_int(&q, run);
    if ((s = rad_query_exec(&q, err)) != RAD_OK)
        return s;
    char *path = rad_path_absolute(info->job->path);
    q = rad_query_start(st, SQL_SESSION);
    rad_bind_int(&q, run);
    rad_bind_text(&q, rad_version());
    rad_bind_text(&q, info->versions_json && info->versions_json[0] ? info->versions_json : NULL);
    rad_bind_text(&q, info->host);
    rad_bind_text(&q, info->launch_mode);
    rad_bind_text(&q, info->command_line);
    rad_bind_int(&q, info->n_rank);
    rad_bind_int(&q, info->threads);
    rad_bind_text(&q, now);
    rad_bind_text(&q, info->job->sha256);
    rad_bind_text(&q, info->job->text);
    rad_bind_text(&q, path);
    s = rad_query_exec(&q, err);
    free(path);
    return s;
}

static rad_status read_pending(struct rad_store *st, int64_t run, rad_pending_case **ret, int64_t *ret_n, rad_error *err) {
    int64_t n = 0, i = 0;
    bool row = false;
    rad_query q = rad_query_start(st, SQL_COUNT_PENDING);
    rad_bind_int(&q, run);
    rad_status s = rad_query_int(&q, &n, err);
    if (s != RAD_OK)
        return s;
    rad_pending_case *p = rad_calloc((size_t)n + 1, sizeof *p);
    if (!p)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld cases", (long long)n);
    q = rad_query_start(st, SQL_PENDING);
    rad_bind_int(&q, run);
    rad_bind_int(&q, RAD_STORE_MAX_FRUITLESS);
    rad_bind_int(&q, RAD_STORE_ATTEMPTS_SPENT);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && i < n) {
        p[i].case_id = sqlite3_column_int64(q.stmt, 0);
        p[i].manifest_index = sqlite3_column_int64(q.stmt, 1);
        p[i].attempts = sqlite3_column_int(q.stmt, 2);
        p[i].lost = sqlite3_column_int(q.stmt, 3);
        i++;
    }
    rad_query_end(&q);
    if (s != RAD_OK) {
        free(p);
        return s;
    }
    *ret = p;
    *ret_n = n;
    return RAD_OK;
}

/* Room for the ids of the run that this handle works on; the old run's are dropped. */
static rad_status make_room(struct rad_store *st, const rad_run_info *info, rad_error *err) {
    int64_t *rm = rad_calloc((size_t)info->job->n_model + 1, sizeof *rm),
            *m = rad_calloc((size_t)rad_job_count_files(info->job) + 1, sizeof *m);
    if (!rm || !m) {
        free(rm);
        free(m);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %d models", info->job->n_model);
    }
    free(st->run_model_id);
    free(st->file_model_id);
    free(st->image_id);
    st->run_model_id = rm;
    st->file_model_id = m;
    st->image_id = NULL;
    st->n_image = 0;
    st->run = 0;
    return RAD_OK;
}

rad_status rad_store_begin_run(rad_store *st, const rad_run_info *info, int64_t *ret_run, bool *ret_resumed, bool *ret_finished,
                               rad_pending_case **ret_pending, int64_t *ret_n, rad_error *err) {
    rad_status s = RAD_OK;
    int64_t run = 0, n = 0;
    bool finished = false, resumed = false;
    rad_pending_case *pending = NULL;
    rad_row_ids ids = {0};
    char identity[RAD_SHA256_HEX];
    if ((s = rad_store_flush(st, err)) != RAD_OK) /* a failure below must not take another run's results along */
        return s;
    if ((s = rad_store_identify(info, identity, err)) != RAD_OK || (s = make_room(st, info, err)) != RAD_OK)
        return s;
    if ((s = rad_tx_begin(st, err)) != RAD_OK)
        return s;
    s = rad_rows_upsert_cohort(st, info->cohort, &ids, err);
    if (s == RAD_OK)
        s = find_run(st, identity, &run, &finished, err);
    if (s == RAD_OK && run == 0)
        s = rad_rows_insert_run(st, info, identity, &ids, &run, err);
    else if (s == RAD_OK && finished)
        s = read_run_models(st, run, info->job, err);
    else if (s == RAD_OK) {
        resumed = true;
        s = take_up(st, run, info, err);
    }
    if (s == RAD_OK)
        s = rad_seal_cohort(st, run, err);
    if (s == RAD_OK && !finished) {
        rad_query q = rad_query_start(st, SQL_STOP_OTHERS);
        rad_bind_int(&q, run);
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK)
        s = read_pending(st, run, &pending, &n, err);
    if (s == RAD_OK)
        s = rad_tx_commit(st, err);
    s = rad_tx_end(st, s);
    if (s == RAD_OK) {
        st->run = run;
        st->n_model = info->job->n_model;
        st->n_file = rad_job_count_files(info->job);
        st->n_class = info->job->n_class;
        st->n_image = info->cohort->n_image;
        st->image_id = ids.image;
        ids.image = NULL;
        *ret_run = run;
        *ret_resumed = resumed;
        *ret_finished = finished;
        *ret_pending = pending;
        *ret_n = n;
    } else {
        free(pending);
    }
    rad_row_ids_release(&ids);
    return s;
}

rad_status rad_store_known_keys(rad_store *st, int64_t run, int64_t max, uint8_t **ret, int64_t *ret_n, rad_error *err) {
    size_t cap = 0;
    int64_t n = 0;
    uint8_t *key = NULL;
    bool row = false;
    rad_query q = rad_query_start(st, SQL_KNOWN);
    rad_bind_int(&q, run);
    rad_bind_int(&q, max);
    rad_status s;
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if ((size_t)n == cap) {
            cap = cap ? 2 * cap : 1024;
            uint8_t *more = rad_realloc(key, cap, RAD_SHA256_BYTES);
            if (!more) {
                s = rad_error_set(err, RAD_E_NOMEM, "out of memory for the keys of %zu stored results", cap);
                break;
            }
            key = more;
        }
        const char *hex = rad_column_text(&q, 0);
        if (hex && rad_sha256_bytes(hex, key + n * RAD_SHA256_BYTES)) /* what is no key cannot be asked for */
            n++;
    }
    rad_query_end(&q);
    if (s != RAD_OK) {
        free(key);
        return s;
    }
    *ret = key;
    *ret_n = n;
    return RAD_OK;
}

rad_status rad_store_put_lease(rad_store *st, int64_t run, const int64_t *case_id, int64_t n, int rank, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    for (int64_t i = 0; i < n && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_LEASE);
        rad_bind_int(&q, case_id[i]);
        rad_bind_int(&q, rank);
        rad_bind_int(&q, run);
        s = rad_query_exec(&q, err);
        if (s == RAD_OK && sqlite3_changes(st->db) == 0)
            s = rad_error_set(err, RAD_E_INTERNAL, "case %lld of run %lld cannot be leased: it is done or not of this run",
                              (long long)case_id[i], (long long)run);
    }
    return rad_tx_end(st, s);
}

rad_status rad_store_lease(rad_store *st, int64_t run, const int64_t *case_id, int64_t n, int rank, rad_error *err) {
    rad_status s = rad_store_put_lease(st, run, case_id, n, rank, err);
    return s == RAD_OK ? rad_tx_end(st, rad_tx_offer(st, false, err)) : s;
}

rad_status rad_store_return(rad_store *st, int64_t run, const int64_t *case_id, int64_t n, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    for (int64_t i = 0; i < n && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_RETURN);
        rad_bind_int(&q, case_id[i]);
        rad_bind_int(&q, run);
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK)
        s = rad_tx_offer(st, false, err);
    return rad_tx_end(st, s);
}

rad_status rad_store_stop_run(rad_store *st, int64_t run, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    rad_query q = rad_query_start(st, SQL_RETURN_ALL);
    rad_bind_int(&q, run);
    s = rad_query_exec(&q, err);
    if (s == RAD_OK) {
        q = rad_query_start(st, SQL_STOP);
        rad_bind_int(&q, run);
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK)
        s = rad_tx_offer(st, false, err);
    if (s == RAD_OK)
        s = rad_scratch_publish(st, err);
    return rad_tx_end(st, s);
}

rad_status rad_store_flush(rad_store *st, rad_error *err) {
    if (st->failed)
        return rad_tx_begin(st, err); /* says why */
    rad_status s = rad_tx_offer(st, true, err);
    return rad_tx_end(st, s == RAD_OK ? rad_scratch_publish_due(st, err) : s);
}
