/* read.c: what commands and tests ask: the state of a run, its exclusions, its statistics, and the hash of its results. */
#include "db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_LAST_RUN[] = "SELECT max(run_id) FROM run";
static const char SQL_LEFT[] = "SELECT r.run_id, (SELECT count(*) FROM manifest m JOIN work w ON w.case_id = m.case_id"
                               "  WHERE m.run_id = r.run_id AND w.state IN ('pending', 'leased')) FROM run r WHERE r.identity = ?1"
                               " ORDER BY r.state = 'finished' DESC, r.run_id DESC LIMIT 1";
static const char SQL_STATUS[] =
    "SELECT state, job, backend, precision, case_unit, started, coalesce(finished, ''), sessions, session_done,"
    " (julianday(coalesce(finished, 'now')) - julianday(session_started)) * 86400.0 FROM run WHERE run_id = ?1";
static const char SQL_STATES[] =
    "SELECT count(*), sum(w.state IN ('done', 'quarantined')), sum(w.state = 'leased'), sum(w.state = 'pending')"
    " FROM manifest m JOIN work w ON w.case_id = m.case_id WHERE m.run_id = ?1";
/* Some models of a case may be excluded at intake, long before the case is done. */
static const char SQL_EXCLUDED[] =
    "SELECT count(DISTINCT e.case_id) FROM exclusion e JOIN work w ON w.case_id = e.case_id AND w.state IN ('done', 'quarantined')"
    " WHERE e.run_id = ?1";
static const char SQL_SCORED[] = "SELECT count(*) FROM manifest m"
                                 " JOIN work w ON w.case_id = m.case_id AND w.state IN ('done', 'quarantined')"
                                 " WHERE m.run_id = ?1 AND NOT EXISTS (SELECT 1 FROM exclusion e WHERE e.case_id = m.case_id)";
static const char SQL_NO_CASE[] = "SELECT count(DISTINCT e.patient_id) FROM exclusion e WHERE e.run_id = ?1 AND e.case_id IS NULL"
                                  " AND e.stage = 'intake'";
static const char SQL_REUSED[] =
    "SELECT sum(n), sum(reused), sum(n = reused) FROM (SELECT count(*) AS n, sum(rr.reused) AS reused FROM manifest m"
    " JOIN run_result rr ON rr.case_id = m.case_id WHERE m.run_id = ?1 GROUP BY m.case_id)";
static const char SQL_WARNINGS[] = "SELECT count(*) FROM warning WHERE run_id = ?1";
/* What is said alike of many comes once. */
static const char SQL_WARNING_LIST[] =
    "SELECT stage, text, count(*) AS n, min(coalesce(patient || coalesce(' ' || lesion, ''), path)) FROM v_warning WHERE run_id = ?1"
    " GROUP BY stage, text ORDER BY n DESC, stage, text";
static const char SQL_LEFT_CASES[] =
    "SELECT p.patient, l.lesion, m.study FROM manifest m JOIN work w ON w.case_id = m.case_id JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = ?1 AND w.state IN ('pending', 'leased') ORDER BY m.position";
static const char SQL_TIMES[] = "SELECT coalesce(sum(t.read_s), 0), coalesce(sum(t.inflate_s), 0), coalesce(sum(t.prepare_s), 0),"
                                " coalesce(sum(t.wait_s), 0), coalesce(sum(t.infer_s), 0), coalesce(sum(t.write_s), 0)"
                                " FROM manifest m JOIN time_ledger t ON t.case_id = m.case_id WHERE m.run_id = ?1";
static const char SQL_COPIES[] = "SELECT count(*), coalesce(sum(leakage), 0) FROM v_near_copy WHERE run_id = ?1";
static const char SQL_EXCLUSIONS[] =
    "SELECT unit, stage, reason, min(text), count(DISTINCT coalesce(case_id, -patient_id)) AS n FROM exclusion WHERE run_id = ?1"
    " GROUP BY unit, stage, reason ORDER BY n DESC, unit, stage, reason";
static const char SQL_STATISTICS[] =
    "SELECT v.model, v.class, v.unit, v.stratum, v.name, v.method, v.reason, v.stratum_kind, v.cohort, v.point, v.query, v.n, v.n_pos,"
    " v.n_missing, v.n_cluster, v.est, v.se, v.lower, v.upper, v.level, v.p, v.versus, v.p_adjusted FROM v_statistic v"
    " JOIN run_model rm ON rm.run_id = v.run_id AND rm.model = v.model LEFT JOIN run_class k ON k.run_id = v.run_id AND k.class = v.class"
    " WHERE v.run_id = ?1 ORDER BY rm.position, CASE v.unit WHEN 'lesion' THEN 0 WHEN 'patient' THEN 1 ELSE 2 END, k.class_index IS NULL, "
    "k.class_index,"
    " CASE v.stratum_kind WHEN 'all' THEN 0 WHEN 'cohort' THEN 1 WHEN 'center' THEN 2 WHEN 'fold' THEN 3 ELSE 4 END, v.cohort = "
    "'external', v.stratum,"
    " coalesce(v.point, ''), v.name, coalesce(v.versus, '')";
/* The hash's rows, each in an order made of names only. */
static const char SQL_HASH_CASES[] =
    "SELECT rm.model, s.unit, p.patient, coalesce(l.lesion, ''), coalesce(m.study, ''), k.class, s.score FROM run_model rm"
    " JOIN case_score s ON s.run_model_id = rm.run_model_id JOIN patient p ON p.patient_id = s.patient_id"
    " JOIN run_class k ON k.run_id = rm.run_id AND k.class_index = s.class_index LEFT JOIN manifest m ON m.case_id = s.case_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE rm.run_id = ?1 ORDER BY 1, 2, 3, 4, 5, s.class_index";
static const char SQL_HASH_SLICES[] =
    "SELECT rm.model, 'slice', p.patient, coalesce(l.lesion, ''), m.study, k.class, ss.score, s.slice, s.stored_slice, s.x0, s.y0,"
    " s.x1, s.y1 FROM manifest m JOIN run_result rr ON rr.case_id = m.case_id JOIN run_model rm ON rm.run_model_id = rr.run_model_id"
    " JOIN slice s ON s.result_id = rr.result_id JOIN slice_score ss ON ss.result_id = s.result_id AND ss.slice = s.slice"
    " JOIN run_class k ON k.run_id = m.run_id AND k.class_index = ss.class_index JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = ?1 ORDER BY 1, 3, 4, 5, ss.class_index, s.slice";
static const char SQL_HASH_EXCLUSIONS[] =
    "SELECT coalesce(model, ''), unit, patient, coalesce(lesion, ''), coalesce(study, ''), stage, reason FROM v_exclusion"
    " WHERE run_id = ?1 ORDER BY 1, 2, 3, 4, 5, 6, 7";

static rad_status no_run(struct rad_store *st, int64_t run, rad_error *err) {
    return rad_error_set(err, RAD_E_NOTFOUND, "'%s' has no run %" PRId64, st->path, run);
}

rad_status rad_store_last_run(rad_store *st, int64_t *ret_run, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_LAST_RUN);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    int64_t run = row ? rad_column_index(&q, 0) : -1;
    rad_query_end(&q);
    if (run < 0)
        return rad_error_set(err, RAD_E_NOTFOUND, "'%s' holds no run yet", st->path);
    *ret_run = run;
    return RAD_OK;
}

rad_status rad_store_count_left(rad_store *st, const char *identity, bool *ret_known, int64_t *ret, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_LEFT);
    rad_bind_text(&q, identity);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    *ret_known = row;
    *ret = row ? sqlite3_column_int64(q.stmt, 1) : 0;
    rad_query_end(&q);
    return RAD_OK;
}

/* ---------------------------------------------------------------- status */

static void copy_text(char *to, size_t cap, const char *from) {
    snprintf(to, cap, "%s", from ? from : "");
}

static rad_status read_run(struct rad_store *st, rad_run_status *r, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_STATUS);
    rad_bind_int(&q, r->run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (!row)
        return no_run(st, r->run, err);
    copy_text(r->state, sizeof r->state, rad_column_text(&q, 0));
    copy_text(r->job, sizeof r->job, rad_column_text(&q, 1));
    copy_text(r->backend, sizeof r->backend, rad_column_text(&q, 2));
    copy_text(r->precision, sizeof r->precision, rad_column_text(&q, 3));
    copy_text(r->case_unit, sizeof r->case_unit, rad_column_text(&q, 4));
    copy_text(r->started, sizeof r->started, rad_column_text(&q, 5));
    copy_text(r->finished, sizeof r->finished, rad_column_text(&q, 6));
    r->sessions = sqlite3_column_int64(q.stmt, 7);
    r->session_done = sqlite3_column_int64(q.stmt, 8);
    r->session_s = sqlite3_column_double(q.stmt, 9);
    rad_query_end(&q);
    return RAD_OK;
}

/* A query of some numbers over a run. */
static rad_status read_numbers(struct rad_store *st, const char *sql, int64_t run, int n, double *ret, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, run);
    rad_status s = rad_query_row(&q, &row, err);
    for (int i = 0; i < n && s == RAD_OK; i++)
        ret[i] = row ? sqlite3_column_double(q.stmt, i) : 0;
    rad_query_end(&q);
    return s;
}

rad_status rad_store_run_status(rad_store *st, int64_t run, rad_run_status *ret, rad_error *err) {
    rad_run_status r = {.run = run};
    double state[4] = {0}, scored = 0, excluded = 0, no_case = 0, warnings = 0, reused[3] = {0}, times[6] = {0}, copies[2] = {0};
    rad_status s = RAD_OK;
    /* One transaction, so that the numbers belong together while a writer is at work. */
    bool own = sqlite3_get_autocommit(st->db);
    if (own)
        s = rad_sql_script(st, "BEGIN", "reading the status", err);
    if (s == RAD_OK)
        s = read_run(st, &r, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_STATES, run, 4, state, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_SCORED, run, 1, &scored, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_EXCLUDED, run, 1, &excluded, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_NO_CASE, run, 1, &no_case, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_WARNINGS, run, 1, &warnings, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_REUSED, run, 3, reused, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_TIMES, run, 6, times, err);
    if (s == RAD_OK)
        s = read_numbers(st, SQL_COPIES, run, 2, copies, err);
    if (own)
        (void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    if (s != RAD_OK)
        return s;
    r.n_case = (int64_t)state[0];
    r.n_done = (int64_t)state[1];
    r.n_leased = (int64_t)state[2];
    r.n_pending = (int64_t)state[3];
    r.n_scored = (int64_t)scored;
    r.n_excluded = (int64_t)excluded;
    r.n_no_case = (int64_t)no_case;
    r.n_warning = (int64_t)warnings;
    r.n_copy = (int64_t)copies[0];
    r.n_leak = (int64_t)copies[1];
    r.n_result = (int64_t)reused[0];
    r.n_reused = (int64_t)reused[1];
    r.n_case_reused = (int64_t)reused[2];
    r.read_s = times[0];
    r.inflate_s = times[1];
    r.prepare_s = times[2];
    r.wait_s = times[3];
    r.infer_s = times[4];
    r.write_s = times[5];
    r.writer = st->mode == RAD_STORE_WRITE || rad_lock_is_held(st->path);
    *ret = r;
    return RAD_OK;
}

rad_status rad_store_each_exclusion(rad_store *st, int64_t run, int (*row)(const rad_exclusion_count *c, void *payload), void *payload,
                                    rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_EXCLUSIONS);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more) {
        rad_exclusion_count c = {rad_column_text(&q, 0), rad_column_text(&q, 1), rad_column_text(&q, 2), rad_column_text(&q, 3),
                                 sqlite3_column_int64(q.stmt, 4)};
        if (row(&c, payload) != 0)
            break;
    }
    rad_query_end(&q);
    return s;
}

rad_status rad_store_each_warning(rad_store *st, int64_t run, int (*row)(const rad_warning_count *c, void *payload), void *payload,
                                  rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_WARNING_LIST);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more) {
        rad_warning_count c = {rad_column_text(&q, 0), rad_column_text(&q, 1), rad_column_text(&q, 3), sqlite3_column_int64(q.stmt, 2)};
        if (row(&c, payload) != 0)
            break;
    }
    rad_query_end(&q);
    return s;
}

rad_status rad_store_each_left(rad_store *st, int64_t run,
                               int (*row)(const char *patient, const char *lesion, const char *study, void *payload), void *payload,
                               rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_LEFT_CASES);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more)
        if (row(rad_column_text(&q, 0), rad_column_text(&q, 1), rad_column_text(&q, 2), payload) != 0)
            break;
    rad_query_end(&q);
    return s;
}

rad_status rad_store_each_statistic(rad_store *st, int64_t run, int (*row)(const rad_statistic_row *r, void *payload), void *payload,
                                    rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_STATISTICS);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more) {
        rad_statistic_row r = {
            .model = rad_column_text(&q, 0),
            .class_name = rad_column_text(&q, 1),
            .unit = rad_column_text(&q, 2),
            .stratum = rad_column_text(&q, 3),
            .name = rad_column_text(&q, 4),
            .method = rad_column_text(&q, 5),
            .reason = rad_column_text(&q, 6),
            .stratum_kind = rad_column_text(&q, 7),
            .cohort = rad_column_text(&q, 8),
            .point = rad_column_text(&q, 9),
            .query = rad_column_text(&q, 10),
            .n = sqlite3_column_int64(q.stmt, 11),
            .n_pos = sqlite3_column_int64(q.stmt, 12),
            .n_missing = sqlite3_column_int64(q.stmt, 13),
            .n_cluster = sqlite3_column_int64(q.stmt, 14),
            .est = rad_column_real(&q, 15),
            .se = rad_column_real(&q, 16),
            .lower = rad_column_real(&q, 17),
            .upper = rad_column_real(&q, 18),
            .level = rad_column_real(&q, 19),
            .p = rad_column_real(&q, 20),
            .versus = rad_column_text(&q, 21),
            .p_adjusted = rad_column_real(&q, 22),
        };
        if (row(&r, payload) != 0)
            break;
    }
    rad_query_end(&q);
    return s;
}

/* ---------------------------------------------------------------- result hash */

#define HASH_CHUNK ((size_t)1 << 20)

/* Text is hashed in chunks, each together with the hash so far: memory stays small, and chunk borders depend on the text alone. */
static rad_status fold_in(rad_buf *b, char hex[RAD_SHA256_HEX], rad_error *err) {
    rad_status s = rad_buf_put(b, hex, strlen(hex), err);
    if (s == RAD_OK)
        s = rad_sha256(b->data, b->size, hex, err);
    rad_buf_clear(b);
    return s;
}

static rad_status hash_rows(struct rad_store *st, int64_t run, const char *sql, int n_text, bool score, int n_int, rad_buf *b,
                            char hex[RAD_SHA256_HEX], rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, sql);
    rad_bind_int(&q, run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        int c = 0;
        for (; c < n_text && s == RAD_OK; c++)
            s = rad_buf_printf(b, err, "%s\t", rad_column_text(&q, c));
        if (score && s == RAD_OK) { /* the IEEE bytes, not digits */
            double v = sqlite3_column_double(q.stmt, c++);
            uint64_t bits;
            memcpy(&bits, &v, sizeof bits);
            s = rad_buf_printf(b, err, "%016" PRIx64 "\t", bits);
        }
        for (int i = 0; i < n_int && s == RAD_OK; i++)
            s = rad_buf_printf(b, err, "%lld\t", (long long)sqlite3_column_int64(q.stmt, c++));
        if (s == RAD_OK)
            s = rad_buf_put(b, "\n", 1, err);
        if (s == RAD_OK && b->size >= HASH_CHUNK)
            s = fold_in(b, hex, err);
        if (s != RAD_OK)
            break;
    }
    rad_query_end(&q);
    return s;
}

rad_status rad_store_result_hash(rad_store *st, int64_t run, char ret_hex[RAD_SHA256_HEX], rad_error *err) {
    char hex[RAD_SHA256_HEX] = "";
    rad_buf b;
    rad_run_status state;
    rad_status s = rad_store_run_status(st, run, &state, err);
    if (s != RAD_OK)
        return s;
    rad_buf_init(&b, 2 * HASH_CHUNK);
    s = rad_buf_printf(&b, err, "radcohort results 1\ncases\n");
    if (s == RAD_OK)
        s = hash_rows(st, run, SQL_HASH_CASES, 6, true, 0, &b, hex, err);
    if (s == RAD_OK)
        s = rad_buf_printf(&b, err, "slices\n");
    if (s == RAD_OK)
        s = hash_rows(st, run, SQL_HASH_SLICES, 6, true, 6, &b, hex, err);
    if (s == RAD_OK)
        s = rad_buf_printf(&b, err, "exclusions\n");
    if (s == RAD_OK)
        s = hash_rows(st, run, SQL_HASH_EXCLUSIONS, 7, false, 0, &b, hex, err);
    if (s == RAD_OK)
        s = fold_in(&b, hex, err);
    rad_buf_release(&b);
    if (s == RAD_OK)
        memcpy(ret_hex, hex, RAD_SHA256_HEX);
    return s;
}
