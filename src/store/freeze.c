/* freeze.c: see freeze.h. */
#include "db.h"

#include "radcohort/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_CHUNK ((size_t)1 << 20)

static const char SQL_STATES[] = "SELECT sum(state = 'finished'), sum(state = 'running'), count(*) FROM run";
static const char SQL_TABLES[] = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                                 " AND name <> 'freeze' ORDER BY name";
static const char SQL_OBJECTS[] = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                                  " AND name <> 'freeze' ORDER BY type, name";
static const char SQL_MAKE[] =
    "PRAGMA journal_mode = DELETE; CREATE TABLE freeze (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT OR REPLACE INTO data_dictionary (object, column_name, description) VALUES"
    " ('freeze', '', 'this file was frozen: what it holds is not to change any more (radcohort freeze --check FILE)'),"
    " ('freeze', 'key', 'content_sha256: of the definitions and rows of all other tables; radcohort_version: who froze it; source_file_id:"
    " meta.file_id of the result file (not of a public one); runs: how many it holds'),"
    " ('freeze', 'value', 'the value');";
static const char SQL_FREEZE[] = "INSERT INTO freeze (key, value) SELECT 'content_sha256', ?1 UNION ALL SELECT 'radcohort_version', ?2"
                                 " UNION ALL SELECT 'runs', CAST(?3 AS TEXT)";
static const char SQL_SOURCE[] = "INSERT INTO freeze (key, value) SELECT 'source_file_id', value FROM meta WHERE key = 'file_id'";
static const char SQL_RUNS[] =
    "SELECT run_id, job, started, coalesce(finished, ''), backend_version, precision, radcohort_version, coalesce(host, ''), identity,"
    " coalesce(result_sha256, '') FROM run WHERE state = 'finished' ORDER BY run_id";
static const char SQL_MODELS[] =
    "SELECT rm.run_id, rm.model, f.file, mo.sha256 FROM run r JOIN run_model rm ON rm.run_id = r.run_id"
    " JOIN run_model_file f ON f.run_model_id = rm.run_model_id JOIN model mo ON mo.model_id = f.model_id WHERE r.state = 'finished'"
    " ORDER BY rm.run_id, rm.position, f.position";

/* ---------------------------------------------------------------- the hash */

typedef struct digest {
    rad_buf b;
    char hex[RAD_SHA256_HEX];
} digest;

/* Text is hashed in chunks, each together with the hash so far: memory stays small, and chunk borders depend on the text alone. */
static rad_status fold_in(digest *d, rad_error *err) {
    rad_status st = rad_buf_put(&d->b, d->hex, strlen(d->hex), err);
    if (st == RAD_OK)
        st = rad_sha256(d->b.data, d->b.size, d->hex, err);
    rad_buf_clear(&d->b);
    return st;
}

/* Type, length and bytes: no value looks like two others. */
static rad_status put_cell(digest *d, sqlite3_stmt *q, int i, rad_error *err) {
    const int type = sqlite3_column_type(q, i);
    if (type == SQLITE_NULL)
        return rad_buf_put(&d->b, "N\n", 2, err);
    if (type == SQLITE_INTEGER)
        return rad_buf_printf(&d->b, err, "I%lld\n", (long long)sqlite3_column_int64(q, i));
    if (type == SQLITE_FLOAT) {
        const double v = sqlite3_column_double(q, i);
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        return rad_buf_printf(&d->b, err, "R%016" PRIx64 "\n", bits);
    }
    const void *bytes = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(q, i) : sqlite3_column_blob(q, i);
    const size_t n = (size_t)sqlite3_column_bytes(q, i);
    rad_status st = rad_buf_printf(&d->b, err, "%c%zu\n", type == SQLITE_TEXT ? 'T' : 'B', n);
    for (size_t at = 0; st == RAD_OK && at < n; at += HASH_CHUNK) {
        st = rad_buf_put(&d->b, (const char *)bytes + at, n - at < HASH_CHUNK ? n - at : HASH_CHUNK, err);
        if (st == RAD_OK && d->b.size >= HASH_CHUNK)
            st = fold_in(d, err);
    }
    return st;
}

static rad_status sql_failed(sqlite3 *db, const char *path, rad_error *err) {
    if (sqlite3_errcode(db) == SQLITE_NOMEM)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory working on '%s'", path);
    return rad_error_set(err, RAD_E_STORE, "'%s': %s (code %d)", path, sqlite3_errmsg(db), sqlite3_extended_errcode(db));
}

static rad_status hash_query(sqlite3 *db, const char *path, const char *sql, digest *d, int64_t *n_row, rad_error *err) {
    sqlite3_stmt *q = NULL;
    rad_status st = RAD_OK;
    int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(q);
        for (int i = 0; rc == SQLITE_ROW && i < sqlite3_column_count(q); i++)
            RAD_TRY(put_cell(d, q, i, err));
        if (rc == SQLITE_ROW && d->b.size >= HASH_CHUNK)
            RAD_TRY(fold_in(d, err));
        *n_row += rc == SQLITE_ROW;
    }
    if (rc != SQLITE_DONE)
        st = sql_failed(db, path, err);
out:
    (void)sqlite3_finalize(q);
    return st;
}

/* SELECT of all columns, ordered by all of them: the order of storage does not count. */
static char *table_query(sqlite3 *db, const char *table) {
    sqlite3_stmt *q = NULL;
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" ORDER BY 1", table);
    char *count = sqlite3_mprintf("SELECT count(*) FROM pragma_table_info(%Q)", table);
    int n = 0;
    if (count && sqlite3_prepare_v2(db, count, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        n = sqlite3_column_int(q, 0);
    (void)sqlite3_finalize(q);
    sqlite3_free(count);
    for (int i = 2; i <= n && sql; i++)
        sql = sqlite3_mprintf("%z, %d", sql, i);
    if (n == 0) {
        sqlite3_free(sql);
        return NULL;
    }
    return sql;
}

static rad_status hash_content(sqlite3 *db, const char *path, rad_freeze_report *r, rad_error *err) {
    sqlite3_stmt *q = NULL;
    int64_t n_object = 0;
    digest d = {.hex = ""};
    rad_buf_init(&d.b, 4 * HASH_CHUNK);
    rad_status st = RAD_OK;
    RAD_TRY(rad_buf_printf(&d.b, err, "radcohort freeze 1\n"));
    RAD_TRY(hash_query(db, path, SQL_OBJECTS, &d, &n_object, err));
    int rc = sqlite3_prepare_v2(db, SQL_TABLES, -1, &q, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(q);
        if (rc != SQLITE_ROW)
            break;
        const char *table = (const char *)sqlite3_column_text(q, 0);
        char *sql = table_query(db, table);
        st = sql ? rad_buf_printf(&d.b, err, "table %s\n", table) : rad_error_set(err, RAD_E_NOMEM, "out of memory for '%s'", path);
        if (st == RAD_OK)
            st = hash_query(db, path, sql, &d, &r->n_row, err);
        sqlite3_free(sql);
        if (st != RAD_OK)
            goto out;
        r->n_table++;
    }
    if (rc != SQLITE_DONE)
        RAD_TRY(sql_failed(db, path, err));
    RAD_TRY(fold_in(&d, err));
    memcpy(r->content, d.hex, sizeof r->content);
out:
    (void)sqlite3_finalize(q);
    rad_buf_release(&d.b);
    return st;
}

static rad_status hash_file(const char *path, rad_freeze_report *r, rad_error *err) {
    rad_map m = {0};
    rad_status st = rad_map_open(path, SIZE_MAX, &m, err);
    if (st != RAD_OK)
        return st;
    r->bytes = (int64_t)m.size;
    st = rad_map_sha256(&m, true, r->file, err);
    rad_map_close(&m);
    return st;
}

/* ---------------------------------------------------------------- freezing */

static rad_status may_freeze(struct rad_store *st, const char *to, rad_freeze_report *r, rad_error *err) {
    struct stat sb;
    bool row = false;
    if (lstat(to, &sb) == 0)
        return rad_error_set(err, RAD_E_USAGE, "'%s' is there already: what is frozen is not written over; name another file", to);
    rad_query q = rad_query_start(st, SQL_STATES);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    const int64_t finished = sqlite3_column_int64(q.stmt, 0), running = sqlite3_column_int64(q.stmt, 1);
    r->n_run = sqlite3_column_int64(q.stmt, 2);
    rad_query_end(&q);
    if (running > 0 && rad_lock_is_held(st->path))
        return rad_error_set(err, RAD_E_USAGE, "'%s' is being written by a run; freeze it when 'radcohort status' says finished", st->path);
    return finished > 0 ? RAD_OK
                        : rad_error_set(err, RAD_E_USAGE, "'%s' holds no finished run: there is nothing to freeze yet; start its job again",
                                        st->path);
}

static rad_status copy_into(struct rad_store *st, const char *to, rad_error *err) {
    sqlite3_stmt *q = NULL;
    rad_status s = rad_sql_script(st, "PRAGMA query_only = OFF", "copying it", err); /* else not even another file may be written */
    if (s != RAD_OK)
        return s;
    int rc = sqlite3_prepare_v2(st->db, "VACUUM INTO ?1", -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(q, 1, to, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc != SQLITE_DONE)
        s = rad_sql_fail(st, sqlite3_extended_errcode(st->db), "copying it", err);
    (void)sqlite3_finalize(q);
    rad_status back = rad_sql_script(st, "PRAGMA query_only = ON", "copying it", err);
    return s == RAD_OK ? back : s;
}

static rad_status put_freeze(sqlite3 *db, const char *path, const rad_freeze_report *r, rad_error *err) {
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, SQL_FREEZE, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(q, 1, r->content, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(q, 2, rad_version(), -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(q, 3, r->n_run);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_DONE && sqlite3_table_column_metadata(db, NULL, "meta", NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK)
        rc = sqlite3_exec(db, SQL_SOURCE, NULL, NULL, NULL) == SQLITE_OK ? SQLITE_DONE : SQLITE_ERROR;
    rad_status st = rc == SQLITE_DONE ? RAD_OK : sql_failed(db, path, err);
    (void)sqlite3_finalize(q);
    return st;
}

static rad_status settle(const char *from, const char *to, rad_error *err) {
    const int fd = open(from, O_RDONLY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0 && fchmod(fd, 0444) == 0;
    if (fd >= 0)
        (void)close(fd);
    /* link, not rename: what came to be there in the meantime stays */
    if (!ok || link(from, to) != 0)
        return rad_error_set(err, RAD_E_IO, "cannot write '%s': %s", to, strerror(errno));
    return RAD_OK;
}

rad_status rad_freeze_start(rad_store *st, const char *to, bool copy, char **ret_half, rad_freeze_report *ret, rad_error *err) {
    rad_freeze_report r = {0};
    char *half = rad_asprintf("%s.half", to);
    rad_status s = half ? may_freeze(st, to, &r, err) : rad_error_set(err, RAD_E_NOMEM, "out of memory for '%s'", to);
    if (s == RAD_OK)
        (void)unlink(half); /* of a freeze that was interrupted */
    if (s == RAD_OK && copy) {
        const mode_t before = umask(0077);
        s = copy_into(st, half, err);
        (void)umask(before);
        if (s != RAD_OK)
            (void)unlink(half);
    }
    if (s != RAD_OK) {
        free(half);
        return s;
    }
    r.n_run = copy ? r.n_run : 1;
    *ret_half = half;
    *ret = r;
    return RAD_OK;
}

rad_status rad_freeze_seal(const char *half, const char *to, rad_freeze_report *io, rad_error *err) {
    rad_freeze_report r = {.n_run = io->n_run};
    sqlite3 *db = NULL;
    rad_status st = RAD_OK;
    if (sqlite3_open_v2(half, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_exec(db, SQL_MAKE, NULL, NULL, NULL) != SQLITE_OK)
        RAD_TRY(sql_failed(db, half, err));
    RAD_TRY(hash_content(db, half, &r, err));
    RAD_TRY(put_freeze(db, half, &r, err));
    (void)sqlite3_close_v2(db);
    db = NULL;
    RAD_TRY(hash_file(half, &r, err));
    RAD_TRY(settle(half, to, err));
    *io = r;
out:
    (void)sqlite3_close_v2(db);
    return st;
}

/* ---------------------------------------------------------------- checking */

rad_status rad_freeze_check(const char *path, rad_freeze_report *ret, bool *ret_same, char ret_was[RAD_SHA256_HEX], rad_error *err) {
    rad_freeze_report r = {0};
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    rad_status st = RAD_OK;
    RAD_TRY(hash_file(path, &r, err));
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        RAD_TRY(sql_failed(db, path, err));
    if (sqlite3_prepare_v2(db, "SELECT value FROM freeze WHERE key = 'content_sha256'", -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW)
        RAD_TRY(rad_error_set(err, RAD_E_USAGE,
                              "'%s' was not frozen (it has no table freeze with a content_sha256); 'radcohort verify' checks "
                              "a result file",
                              path));
    snprintf(ret_was, RAD_SHA256_HEX, "%s", (const char *)sqlite3_column_text(q, 0));
    RAD_TRY(hash_content(db, path, &r, err));
    *ret_same = strcmp(ret_was, r.content) == 0;
    *ret = r;
out:
    (void)sqlite3_finalize(q);
    (void)sqlite3_close_v2(db);
    return st;
}

/* ---------------------------------------------------------------- what is told beside it */

rad_status rad_freeze_each_run(rad_store *st, int (*run)(const rad_freeze_run *r, void *payload),
                               int (*model)(const rad_freeze_model *m, void *payload), void *payload, rad_error *err) {
    bool more = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_RUNS);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more) {
        const rad_freeze_run r = {.run = sqlite3_column_int64(q.stmt, 0),
                                  .job = rad_column_text(&q, 1),
                                  .started = rad_column_text(&q, 2),
                                  .finished = rad_column_text(&q, 3),
                                  .backend_version = rad_column_text(&q, 4),
                                  .precision = rad_column_text(&q, 5),
                                  .version = rad_column_text(&q, 6),
                                  .host = rad_column_text(&q, 7),
                                  .identity = rad_column_text(&q, 8),
                                  .result_sha256 = rad_column_text(&q, 9)};
        if (run(&r, payload) != 0)
            break;
    }
    rad_query_end(&q);
    if (s != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_MODELS);
    while ((s = rad_query_row(&q, &more, err)) == RAD_OK && more) {
        const rad_freeze_model m = {sqlite3_column_int64(q.stmt, 0), rad_column_text(&q, 1), rad_column_text(&q, 2),
                                    rad_column_text(&q, 3)};
        if (model(&m, payload) != 0)
            break;
    }
    rad_query_end(&q);
    return s;
}
