/* scratch.c: a database that is built on a disk of the node and published as a whole. The published file is never written in place: a copy
 * is made beside it, flushed, and renamed over it, so that whoever opens it has one moment of the run, whatever its file system makes of
 * locks. */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PAGES 4096 /* of 4 KiB in one step */

/* All pages of `from` into `to`. */
static int copy(sqlite3 *from, sqlite3 *to) {
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return sqlite3_errcode(to);
    int rc;
    do
        rc = sqlite3_backup_step(b, COPY_PAGES);
    while (rc == SQLITE_OK);
    int end = sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? end : rc;
}

static int make(const char *path, unsigned mode) {
    (void)unlink(path); /* of an earlier process that was killed; the lock of the published file keeps others away */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static rad_status sync_path(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return ok ? RAD_OK : RAD_E_IO;
}

rad_status rad_scratch_begin(struct rad_store *st, const char *folder, unsigned mode, rad_error *err) {
    rad_status s = RAD_OK;
    struct stat sb;
    sqlite3 *from = NULL, *to = NULL;
    char sum[RAD_XXH128_HEX], *dir = rad_path_dir(st->path), *whole = NULL;
    const char *base = strrchr(st->path, '/');
    if (dir && stat(dir, &sb) == 0) /* one name however the path is spelled */
        whole = rad_asprintf("%llu:%llu/%s", (unsigned long long)sb.st_dev, (unsigned long long)sb.st_ino, base ? base + 1 : st->path);
    if (!whole) {
        s = rad_error_set(err, RAD_E_STORE, "'%s': the folder of the database cannot be found: %s", st->path, strerror(errno));
        goto out;
    }
    rad_xxh128(whole, strlen(whole), sum);
    st->mode_bits = mode;
    st->file = rad_asprintf("%s/radcohort-%s.sqlite", folder, sum);
    if (!st->file) {
        s = rad_error_set(err, RAD_E_NOMEM, "out of memory opening '%s'", st->path);
        goto out;
    }
    if (rad_mkdirs(folder, err) != RAD_OK || make(st->file, 0600) != 0) {
        s = rad_error_set(err, RAD_E_STORE, "cannot make '%s' in the scratch folder: %s", st->file, strerror(errno));
        goto out;
    }
    if (stat(st->path, &sb) != 0 || sb.st_size == 0)
        goto out;
    int rc = sqlite3_open_v2(st->path, &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_open_v2(st->file, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = copy(from, to);
    if (rc == SQLITE_NOTADB)
        s = rad_error_set(err, RAD_E_USAGE, "'%s' is not a radcohort result file; name another one", st->path);
    else if (rc != SQLITE_OK)
        s = rad_error_set(err, RAD_E_STORE, "cannot copy '%s' to '%s': %s (code %d)", st->path, st->file, sqlite3_errstr(rc), rc);
out:
    (void)sqlite3_close(from);
    (void)sqlite3_close(to);
    free(whole);
    free(dir);
    return s;
}

rad_status rad_scratch_publish(struct rad_store *st, rad_error *err) {
    if (!st->file || !sqlite3_get_autocommit(st->db))
        return RAD_OK;
    const double begin = rad_clock_seconds();
    sqlite3 *to = NULL;
    char *dir = rad_path_dir(st->path), *tmp = rad_asprintf("%s.publish.tmp", st->path);
    rad_status s = RAD_OK;
    if (!dir || !tmp) {
        s = rad_error_set(err, RAD_E_NOMEM, "out of memory publishing '%s'", st->path);
        goto out;
    }
    if (make(tmp, st->mode_bits) != 0) {
        s = rad_error_set(err, RAD_E_STORE, "cannot make '%s': %s", tmp, strerror(errno));
        goto out;
    }
    /* one process knows of this file: no locks, no journal */
    int rc = sqlite3_open_v2(tmp, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, "unix-none");
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = copy(st->db, to);
    int closed = sqlite3_close(to);
    rc = rc == SQLITE_OK ? closed : rc;
    if (rc != SQLITE_OK)
        s = rad_error_set(err, RAD_E_STORE, "cannot publish '%s': %s (code %d); what was committed stays there as '%s.unpublished'",
                          st->path, sqlite3_errstr(rc), rc, st->file);
    else if (sync_path(tmp) != RAD_OK || rename(tmp, st->path) != 0)
        s = rad_error_set(err, RAD_E_STORE, "cannot publish '%s': %s; what was committed stays there as '%s.unpublished'", st->path,
                          strerror(errno), st->file);
    else
        (void)sync_path(dir); /* not every file system lets a folder be flushed */
    if (s != RAD_OK) {
        (void)unlink(tmp);
        goto out;
    }
    st->behind = false;
    st->published = rad_clock_seconds();
    st->publish_cost = st->published - begin;
out:
    free(dir);
    free(tmp);
    return s;
}

rad_status rad_scratch_publish_due(struct rad_store *st, rad_error *err) {
    const double wait = st->publish_cost * RAD_STORE_PUBLISH_SHARE;
    if (!st->file || !st->behind ||
        rad_clock_seconds() - st->published < (wait > RAD_STORE_PUBLISH_SECONDS ? wait : RAD_STORE_PUBLISH_SECONDS))
        return RAD_OK;
    return rad_scratch_publish(st, err);
}

void rad_scratch_end(struct rad_store *st) {
    if (!st->file)
        return;
    char *kept = rad_asprintf("%s.unpublished", st->file);
    if (!st->behind || rad_scratch_publish(st, NULL) == RAD_OK || !kept || rename(st->file, kept) != 0)
        (void)unlink(st->file); /* nothing of a patient stays on the node */
    free(kept);
}

bool rad_store_is_durable(const rad_store *st) {
    return !st->file || !st->behind;
}
