/* migrate.c: see migrate.h. */
#include "migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const char rad_embedded_schema_sql[];
extern const char rad_embedded_data_dictionary_sql[];

static const char SQL_META[] = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
static const char SQL_MAKE_ID[] =
    "INSERT INTO meta (key, value) VALUES ('file_id', lower(hex(randomblob(16)))) ON CONFLICT (key) DO NOTHING";
/* A step that makes a table again (new one, copy, drop, rename: sqlite.org/lang_altertable.html) cannot do so while others and views refer
 * to it. */
static const char SQL_FREE[] = "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON";
static const char SQL_BOUND[] = "PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = OFF";
static const char SQL_FORGET[] = "DELETE FROM data_dictionary";
static const char SQL_BROKEN[] = "SELECT count(*) FROM pragma_foreign_key_check";

const rad_migration *rad_migration_current(void) {
    static const rad_migration CURRENT = {RAD_STORE_SCHEMA_VERSION, rad_embedded_schema_sql, rad_embedded_data_dictionary_sql, NULL};
    return &CURRENT;
}

/* ---------------------------------------------------------------- the copy */

static rad_status copy_pages(struct rad_store *st, const char *path, rad_error *err) {
    sqlite3 *to = NULL;
    rad_status s = RAD_OK;
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(to, "main", st->db, "main") : NULL;
    if (!b) {
        s = rad_error_set(err, RAD_E_STORE, "'%s': cannot write the copy '%s': %s", st->path, path, to ? sqlite3_errmsg(to) : "no memory");
    } else {
        rc = sqlite3_backup_step(b, -1);
        (void)sqlite3_backup_finish(b);
        if (rc != SQLITE_DONE)
            s = rad_error_set(err, RAD_E_STORE, "'%s': cannot write the copy '%s': %s; make room, or move the file", st->path, path,
                              sqlite3_errstr(rc));
    }
    (void)sqlite3_close(to);
    return s;
}

/* The name appears when the copy is whole and on the disk. */
static rad_status back_up(struct rad_store *st, int64_t version, char **ret, rad_error *err) {
    rad_status s = RAD_OK;
    struct stat sb;
    char *name = rad_asprintf("%s.v%" PRId64 ".backup", st->path, version), *temp = name ? rad_asprintf("%s.tmp", name) : NULL;
    const char *source = st->file ? st->file : st->path;
    if (!name || !temp) {
        s = rad_error_set(err, RAD_E_NOMEM, "out of memory to copy '%s'", st->path);
        goto out;
    }
    (void)unlink(temp); /* of a process that was killed */
    const mode_t mode = stat(source, &sb) == 0 ? sb.st_mode & 0777 : 0600;
    int fd = open(temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        s = rad_error_set(err, RAD_E_STORE, "cannot make '%s', the copy before the schema is brought up to date: %s", temp,
                          strerror(errno));
        goto out;
    }
    s = copy_pages(st, temp, err);
    if (s == RAD_OK && (fsync(fd) != 0 || rename(temp, name) != 0))
        s = rad_error_set(err, RAD_E_STORE, "cannot write '%s': %s", name, strerror(errno));
    (void)close(fd);
    if (s != RAD_OK)
        (void)unlink(temp);
out:
    free(temp);
    if (s == RAD_OK)
        *ret = name;
    else
        free(name);
    return s;
}

/* ---------------------------------------------------------------- the steps */

static rad_status mark(struct rad_store *st, int64_t version, rad_error *err) {
    char text[64];
    rad_query q = rad_query_start(st, SQL_META);
    rad_bind_text(&q, "schema_made_by");
    rad_bind_text(&q, rad_version());
    rad_status s = rad_query_exec(&q, err);
    if (s == RAD_OK) {
        q = rad_query_start(st, SQL_MAKE_ID);
        s = rad_query_exec(&q, err);
    }
    snprintf(text, sizeof text, "PRAGMA user_version = %" PRId64, version);
    return s == RAD_OK ? rad_sql_script(st, text, "making the schema", err) : s;
}

static rad_status make(struct rad_store *st, const rad_migration *m, rad_error *err) {
    rad_status s = rad_sql_script(st, m->schema, "making the schema", err);
    return s == RAD_OK ? rad_sql_script(st, m->dictionary, "making the schema", err) : s;
}

static rad_status bring_forward(struct rad_store *st, const rad_migration *m, int64_t from, rad_error *err) {
    int64_t broken = 0;
    rad_status s = RAD_OK;
    for (int64_t v = from; v < m->version && s == RAD_OK; v++) {
        s = rad_sql_script(st, m->step[v - 1], "bringing the schema up to date", err);
        if (s != RAD_OK)
            s = rad_error_prefix(err, s, "from version %" PRId64 " to %" PRId64 ": ", v, v + 1);
    }
    if (s == RAD_OK)
        s = rad_sql_script(st, SQL_FORGET, "bringing the schema up to date", err);
    if (s == RAD_OK)
        s = rad_sql_script(st, m->dictionary, "bringing the schema up to date", err);
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_BROKEN);
        s = rad_query_int(&q, &broken, err);
    }
    if (s == RAD_OK && broken > 0)
        s = rad_error_set(err, RAD_E_STORE, "'%s': %" PRId64 " rows would refer to nothing after the schema is brought up to date",
                          st->path, broken);
    return s;
}

rad_status rad_migrate(struct rad_store *st, const rad_migration *m, int64_t from, rad_error *err) {
    char *copy = NULL;
    rad_status s = RAD_OK;
    if (from == m->version)
        return RAD_OK;
    if (from > 0)
        s = back_up(st, from, &copy, err);
    if (s == RAD_OK && from > 0)
        s = rad_sql_script(st, SQL_FREE, "bringing the schema up to date", err);
    if (s != RAD_OK)
        goto out;
    s = rad_tx_begin(st, err);
    if (s == RAD_OK)
        s = from == 0 ? make(st, m, err) : bring_forward(st, m, from, err);
    if (s == RAD_OK)
        s = mark(st, m->version, err);
    if (s == RAD_OK)
        s = rad_tx_commit(st, err);
    s = rad_tx_end(st, s);
    if (s == RAD_OK && from > 0)
        s = rad_sql_script(st, SQL_BOUND, "bringing the schema up to date", err);
    if (s == RAD_OK && from > 0)
        rad_log(RAD_LOG_INFO, "'%s': schema version %" PRId64 " is now %" PRId64 "; a copy of the file as it was is '%s'", st->path, from,
                m->version, copy);
    else if (s != RAD_OK && from > 0)
        s = rad_error_prefix(err, s, "the file is as it was (schema version %" PRId64 "): ", from);
out:
    free(copy);
    return s;
}
