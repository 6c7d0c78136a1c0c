/* open.c: opening, creating and migrating the file.
 *
 * A new file and an older one get today's schema in one transaction (migrate.h). The journal is DELETE: WAL needs shared memory, which
 * network file systems do not have, and a run's file often lies on one. */
#include "db.h"
#include "migrate.h"
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char SQL_FORMAT[] =
    "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
    " (SELECT count(*) FROM sqlite_schema), (SELECT journal_mode FROM pragma_journal_mode)";
static const char SQL_ID[] = "SELECT value FROM meta WHERE key = 'file_id'";

/* cache_spill off: a spill would take the exclusive lock in the middle of a batch and keep readers out. */
static const char SQL_SETTINGS[] =
    "PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536; PRAGMA cache_spill = OFF; PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;";
static const char SQL_WRITER[] = "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;";
static const char SQL_READER[] = "PRAGMA query_only = ON;";

static rad_status make_file(const char *path, unsigned mode, rad_error *err) {
    rad_status st = RAD_OK;
    char *dir = rad_path_dir(path);
    if (!dir)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory opening '%s'", path);
    RAD_TRY(rad_mkdirs(dir, err));
    /* Scores of patients: for the owner alone unless the caller says otherwise. The journal takes the same mode. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd >= 0)
        (void)close(fd);
    else if (errno != EEXIST)
        st = rad_error_set(err, RAD_E_STORE, "cannot create '%s': %s", path, strerror(errno));
out:
    free(dir);
    return st == RAD_E_IO || st == RAD_E_NOTFOUND ? rad_error_prefix(err, RAD_E_STORE, "cannot create '%s': ", path) : st;
}

typedef struct file_format {
    int64_t application_id, version, n_object;
    bool wal;
} file_format;

static rad_status read_format(struct rad_store *st, file_format *ret, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_FORMAT);
    rad_status s = rad_query_row(&q, &row, err);
    if (s == RAD_E_STORE && sqlite3_errcode(st->db) == SQLITE_NOTADB)
        return rad_error_set(err, RAD_E_USAGE, "'%s' is not a radcohort result file; name another one", st->path);
    if (s != RAD_OK)
        return s;
    const char *journal = rad_column_text(&q, 3);
    *ret = (file_format){sqlite3_column_int64(q.stmt, 0), sqlite3_column_int64(q.stmt, 1), sqlite3_column_int64(q.stmt, 2),
                         journal && strcmp(journal, "wal") == 0};
    rad_query_end(&q);
    return RAD_OK;
}

static rad_status check_format(struct rad_store *st, const file_format *f, rad_error *err) {
    bool empty = f->application_id == 0 && f->version == 0 && f->n_object == 0;
    if (empty && st->mode == RAD_STORE_WRITE)
        return RAD_OK;
    if (f->application_id != RAD_STORE_APPLICATION_ID)
        return rad_error_set(err, RAD_E_USAGE, "'%s' is %s; name a file that 'radcohort run' wrote, or a new one", st->path,
                             empty ? "empty" : "an SQLite file of another program");
    if (f->wal)
        return rad_error_set(err, RAD_E_USAGE,
                             "'%s' is in WAL mode, which is not safe on network file systems; close all programs that "
                             "use it and run: sqlite3 '%s' 'PRAGMA journal_mode = DELETE'",
                             st->path, st->path);
    if (f->version > RAD_STORE_SCHEMA_VERSION)
        return rad_error_set(err, RAD_E_STORE, "'%s' has schema version %lld, made by a newer radcohort; this one knows %d: update it",
                             st->path, (long long)f->version, RAD_STORE_SCHEMA_VERSION);
    if (f->version < RAD_STORE_SCHEMA_VERSION && st->mode == RAD_STORE_READ)
        return rad_error_set(
            err, RAD_E_STORE,
            "'%s' has the older schema version %lld, and reading changes nothing; 'radcohort stats' on it brings it to %d, after a copy "
            "was put beside it",
            st->path, (long long)f->version, RAD_STORE_SCHEMA_VERSION);
    return RAD_OK;
}

rad_status rad_store_open(const char *path, rad_store_mode mode, rad_store **ret, rad_error *err) {
    return rad_store_open_opts(path, mode, NULL, ret, err);
}

rad_status rad_store_open_opts(const char *path, rad_store_mode mode, const rad_store_opts *o, rad_store **ret, rad_error *err) {
    const unsigned bits = o && o->file_mode ? o->file_mode : 0600;
    const char *scratch = o && mode == RAD_STORE_WRITE ? o->scratch : NULL;
    rad_status st = RAD_OK;
    struct stat sb;
    rad_store *db = NULL;
    if (mode == RAD_STORE_READ && stat(path, &sb) != 0)
        return rad_error_set(err, RAD_E_NOTFOUND, "no database '%s': %s", path, strerror(errno));
    if (stat(path, &sb) == 0 && !S_ISREG(sb.st_mode))
        return rad_error_set(err, RAD_E_STORE, "'%s' is not a regular file", path);
    db = rad_calloc(1, sizeof *db);
    if (!db || !(db->path = rad_strdup(path))) {
        free(db);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory opening '%s'", path);
    }
    db->mode = mode;
    if (mode == RAD_STORE_WRITE) {
        RAD_TRY(make_file(path, bits, err));
        RAD_TRY(rad_lock_take(path, &db->lock, err));
        if (scratch)
            RAD_TRY(rad_scratch_begin(db, scratch, bits, err));
        else
            RAD_TRY(rad_place_probe_locks(path, err));
    }
    /* Readers open for writing too, where they may, so that they can roll back the journal of a writer that was killed. */
    int rc =
        sqlite3_open_v2(db->file ? db->file : path, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK) {
        st = rad_sql_fail(db, rc, "opening it", err);
        goto out;
    }
    (void)sqlite3_busy_timeout(db->db, RAD_STORE_BUSY_MS);
    file_format f = {0};
    RAD_TRY(read_format(db, &f, err));
    RAD_TRY(check_format(db, &f, err));
    RAD_TRY(rad_sql_script(db, SQL_SETTINGS, "setting it up", err));
    if (mode == RAD_STORE_WRITE) {
        if (sqlite3_db_readonly(db->db, "main")) {
            st = rad_error_set(err, RAD_E_STORE, "'%s' is read-only; check its permissions or name another file", path);
            goto out;
        }
        RAD_TRY(rad_sql_script(db, SQL_WRITER, "setting it up", err));
        RAD_TRY(rad_migrate(db, rad_migration_current(), f.version, err));
    } else {
        RAD_TRY(rad_sql_script(db, SQL_READER, "setting it up", err));
    }
    *ret = db;
out:
    if (st != RAD_OK)
        rad_store_close(&db);
    return st;
}

rad_status rad_store_get_id(rad_store *st, char ret_hex[RAD_STORE_ID_TEXT], rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(st, SQL_ID);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    snprintf(ret_hex, RAD_STORE_ID_TEXT, "%s", row ? rad_column_text(&q, 0) : "");
    rad_query_end(&q);
    return ret_hex[0] ? RAD_OK : rad_error_set(err, RAD_E_STORE, "'%s' has no file_id in its table meta; name a new file", st->path);
}

void rad_store_close(rad_store **st) {
    rad_store *db = *st;
    if (!db)
        return;
    for (int i = 0; i < db->n_cache; i++)
        (void)sqlite3_finalize(db->cache[i].stmt);
    if (db->file && db->db && !sqlite3_get_autocommit(db->db))
        (void)sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    if (db->db)
        rad_scratch_end(db);
    (void)sqlite3_close_v2(db->db); /* an open transaction is rolled back: only what was flushed counts */
    rad_lock_release(&db->lock);
    free(db->file);
    free(db->image_id);
    free(db->run_model_id);
    free(db->file_model_id);
    free(db->path);
    free(db);
    *st = NULL;
}
