/* db.c: statements, transactions and the mapping of SQLite's codes. Knows nothing of the schema. */
#include "db.h"

#include <math.h>
#include <string.h>

static const char SQL_BEGIN[] = "BEGIN IMMEDIATE";
static const char SQL_COMMIT[] = "COMMIT";

static const char *way_out(int rc) {
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return "the disk or the quota is full; make room and start again: the run goes on from the last commit";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program holds the file; close it (sqlite3, DBeaver, R) and start again: the run goes on from the last commit";
    case SQLITE_READONLY:
        return "the file or its folder is read-only; check the permissions of both";
    case SQLITE_CANTOPEN:
        return "the file or its journal cannot be opened; check that the folder exists and is writable";
    case SQLITE_IOERR:
        return "the file system failed; check it (dmesg, quota, mount) and start again: the run goes on from the last commit";
    case SQLITE_NOTADB:
        return "this is not a radcohort result file; name another one";
    case SQLITE_CORRUPT:
        return "the file is damaged; restore a copy, or let 'sqlite3 FILE .recover' save what it can";
    case SQLITE_CONSTRAINT:
        return "a rule of the schema would be broken; nothing was changed";
    default:
        return "nothing was changed";
    }
}

rad_status rad_sql_fail(struct rad_store *st, int rc, const char *doing, rad_error *err) {
    if ((rc & 0xff) == SQLITE_NOMEM)
        return rad_error_set(err, RAD_E_NOMEM, "'%s': out of memory while %s", st->path, doing);
    st->held = (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
    const char *text = st->db ? sqlite3_errmsg(st->db) : sqlite3_errstr(rc);
    return rad_error_set(err, RAD_E_STORE, "'%s': %s while %s (code %d): %s", st->path, text, doing, rc, way_out(rc));
}

rad_status rad_sql_script(struct rad_store *st, const char *sql, const char *doing, rad_error *err) {
    int rc = sqlite3_exec(st->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? RAD_OK : rad_sql_fail(st, sqlite3_extended_errcode(st->db), doing, err);
}

/* ---------------------------------------------------------------- statements */

rad_query rad_query_start(struct rad_store *st, const char *sql) {
    rad_query q = {.store = st, .sql = sql, .next = 1, .rc = SQLITE_OK};
    for (int i = 0; i < st->n_cache; i++)
        if (st->cache[i].sql == sql) {
            q.stmt = st->cache[i].stmt;
            sqlite3_reset(q.stmt);
            sqlite3_clear_bindings(q.stmt);
            return q;
        }
    if (st->n_cache == RAD_STORE_MAX_STATEMENTS) {
        q.rc = SQLITE_FULL;
        return q;
    }
    q.rc = sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q.stmt, NULL);
    if (q.rc == SQLITE_OK) {
        st->cache[st->n_cache].sql = sql;
        st->cache[st->n_cache].stmt = q.stmt;
        st->n_cache++;
    }
    return q;
}

static void bound(rad_query *q, int rc) {
    if (q->rc == SQLITE_OK)
        q->rc = rc;
    q->next++;
}

void rad_bind_int(rad_query *q, int64_t v) {
    bound(q, q->rc == SQLITE_OK ? sqlite3_bind_int64(q->stmt, q->next, v) : q->rc);
}

void rad_bind_null(rad_query *q) {
    bound(q, q->rc == SQLITE_OK ? sqlite3_bind_null(q->stmt, q->next) : q->rc);
}

void rad_bind_index(rad_query *q, int64_t v) {
    if (v < 0)
        rad_bind_null(q);
    else
        rad_bind_int(q, v);
}

void rad_bind_text(rad_query *q, const char *v) {
    bound(q, q->rc == SQLITE_OK ? sqlite3_bind_text(q->stmt, q->next, v, -1, SQLITE_STATIC) : q->rc);
}

void rad_bind_blob(rad_query *q, const rad_buf *v) {
    bound(q, q->rc == SQLITE_OK ? sqlite3_bind_blob64(q->stmt, q->next, v->size > 0 ? v->data : "", v->size, SQLITE_STATIC) : q->rc);
}

void rad_bind_real(rad_query *q, double v) {
    if (isnan(v))
        rad_bind_null(q);
    else
        bound(q, q->rc == SQLITE_OK ? sqlite3_bind_double(q->stmt, q->next, v) : q->rc);
}

rad_status rad_query_row(rad_query *q, bool *ret_row, rad_error *err) {
    int rc = q->rc == SQLITE_OK ? sqlite3_step(q->stmt) : q->rc;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_row = rc == SQLITE_ROW;
        if (rc == SQLITE_DONE)
            sqlite3_reset(q->stmt);
        return RAD_OK;
    }
    char doing[64];
    snprintf(doing, sizeof doing, "running '%.40s...'", q->sql);
    rad_status st = rad_sql_fail(q->store, q->rc == SQLITE_OK ? sqlite3_extended_errcode(q->store->db) : rc, doing, err);
    if (q->stmt)
        sqlite3_reset(q->stmt);
    return st;
}

rad_status rad_query_exec(rad_query *q, rad_error *err) {
    bool row = false;
    rad_status st = rad_query_row(q, &row, err);
    if (st == RAD_OK)
        rad_query_end(q);
    return st;
}

rad_status rad_query_int(rad_query *q, int64_t *ret, rad_error *err) {
    bool row = false;
    rad_status st = rad_query_row(q, &row, err);
    if (st != RAD_OK)
        return st;
    if (!row)
        return rad_error_set(err, RAD_E_STORE, "'%s': no row from '%.60s'", q->store->path, q->sql);
    *ret = sqlite3_column_int64(q->stmt, 0);
    rad_query_end(q);
    return RAD_OK;
}

void rad_query_end(rad_query *q) {
    if (q->stmt)
        sqlite3_reset(q->stmt);
}

double rad_column_real(rad_query *q, int i) {
    return sqlite3_column_type(q->stmt, i) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(q->stmt, i);
}

int64_t rad_column_index(rad_query *q, int i) {
    return sqlite3_column_type(q->stmt, i) == SQLITE_NULL ? -1 : sqlite3_column_int64(q->stmt, i);
}

const char *rad_column_text(rad_query *q, int i) {
    return (const char *)sqlite3_column_text(q->stmt, i);
}

/* ---------------------------------------------------------------- transactions */

rad_status rad_tx_begin(struct rad_store *st, rad_error *err) {
    if (st->mode != RAD_STORE_WRITE)
        return rad_error_set(err, RAD_E_STORE, "'%s' is open for reading", st->path);
    if (st->failed)
        return rad_error_set(err, RAD_E_STORE, "'%s': an earlier write failed; start again: the run goes on from the last commit",
                             st->path);
    if (!sqlite3_get_autocommit(st->db))
        return RAD_OK;
    rad_query q = rad_query_start(st, SQL_BEGIN);
    rad_status s = rad_query_exec(&q, err);
    if (s == RAD_OK) {
        st->batch_cases = 0;
        st->batch_since = rad_clock_seconds();
    }
    return s;
}

rad_status rad_tx_commit(struct rad_store *st, rad_error *err) {
    if (sqlite3_get_autocommit(st->db))
        return RAD_OK;
    rad_query q = rad_query_start(st, SQL_COMMIT);
    rad_status s = rad_query_exec(&q, err);
    st->behind = st->behind || s == RAD_OK;
    return s;
}

rad_status rad_tx_offer(struct rad_store *st, bool again, rad_error *err) {
    rad_error why = {0};
    if (sqlite3_get_autocommit(st->db)) {
        st->held = false;
        return RAD_OK;
    }
    if (st->held && !again)
        return RAD_OK;
    (void)sqlite3_busy_timeout(st->db, RAD_STORE_TRY_MS);
    st->held = false;
    rad_status s = rad_tx_commit(st, &why);
    (void)sqlite3_busy_timeout(st->db, RAD_STORE_BUSY_MS);
    if (s != RAD_OK && st->held && !sqlite3_get_autocommit(st->db))
        return RAD_OK;
    return s == RAD_OK ? s : rad_error_set(err, s, "%s", why.text);
}

bool rad_store_is_held(const rad_store *st) {
    return st->held;
}

rad_status rad_tx_end(struct rad_store *st, rad_status status) {
    if (status == RAD_OK)
        return RAD_OK;
    /* SQLite may have rolled back by itself (full disk, I/O): then this does nothing. */
    if (!sqlite3_get_autocommit(st->db))
        (void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    st->failed = true;
    return status;
}
