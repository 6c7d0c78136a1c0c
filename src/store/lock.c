/* lock.c: one writer per database. A POSIX record lock on PATH.lock, which the kernel drops with the process, however it ends; the
 * file holds a line that says who has it. Not a lock on the database itself: closing any descriptor of that would drop SQLite's. */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rad_lock {
    char *path;
    int fd;
};

#define LOCK_LINE 160
#define LOCK_TRIES 20 /* another process may remove the file between open and lock */

static struct flock whole_file(short type) {
    struct flock f;
    memset(&f, 0, sizeof f);
    f.l_type = type;
    f.l_whence = SEEK_SET;
    return f;
}

static rad_status held_by(const char *path, int fd, rad_error *err) {
    char line[LOCK_LINE] = "";
    ssize_t n = pread(fd, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = 0;
    line[strcspn(line, "\n")] = 0;
    return rad_error_set(err, RAD_E_STORE, "'%s' is being written by another process (%s); wait for it, stop it, or name another file",
                         path, line[0] ? line : "unknown");
}

static rad_status write_holder(int fd) {
    char host[64] = "?", when[RAD_TIME_TEXT], line[LOCK_LINE];
    (void)gethostname(host, sizeof host - 1);
    rad_clock_utc(when);
    int n = snprintf(line, sizeof line, "host %s, process %ld, since %s\n", host, (long)getpid(), when);
    return ftruncate(fd, 0) == 0 && pwrite(fd, line, (size_t)n, 0) == n ? RAD_OK : RAD_E_IO;
}

rad_status rad_lock_take(const char *path, struct rad_lock **ret, rad_error *err) {
    rad_status st = RAD_OK;
    struct rad_lock *l = rad_calloc(1, sizeof *l);
    if (!l)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the lock of '%s'", path);
    l->fd = -1;
    l->path = rad_asprintf("%s.lock", path);
    if (!l->path) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the lock of '%s'", path);
        goto out;
    }
    for (int i = 0; i < LOCK_TRIES; i++) {
        l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (l->fd < 0) {
            st = rad_error_set(err, RAD_E_STORE, "cannot make '%s': %s; the folder of the database must exist and be writable", l->path,
                               strerror(errno));
            goto out;
        }
        struct flock f = whole_file(F_WRLCK);
        if (fcntl(l->fd, F_SETLK, &f) != 0) {
            if (errno == EACCES || errno == EAGAIN)
                st = held_by(path, l->fd, err);
            else
                st = rad_error_set(err, RAD_E_STORE, "cannot lock '%s': %s; the file system must offer POSIX locks", l->path,
                                   strerror(errno));
            goto out;
        }
        struct stat a, b;
        if (fstat(l->fd, &a) == 0 && stat(l->path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev) {
            if (write_holder(l->fd) != RAD_OK)
                st = rad_error_set(err, RAD_E_STORE, "cannot write '%s': %s", l->path, strerror(errno));
            else
                *ret = l;
            goto out;
        }
        (void)close(l->fd); /* its last holder removed it under us */
        l->fd = -1;
    }
    st = rad_error_set(err, RAD_E_STORE, "cannot hold '%s': other processes keep replacing it", l->path);
out:
    if (st != RAD_OK) {
        if (l->fd >= 0)
            (void)close(l->fd);
        free(l->path);
        free(l);
    }
    return st;
}

void rad_lock_release(struct rad_lock **lock) {
    struct rad_lock *l = *lock;
    if (!l)
        return;
    (void)unlink(l->path); /* while still held: see the inode check above */
    (void)close(l->fd);
    free(l->path);
    free(l);
    *lock = NULL;
}

bool rad_lock_is_held(const char *path) {
    bool held = false;
    char *name = rad_asprintf("%s.lock", path);
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        struct flock f = whole_file(F_WRLCK);
        held = fcntl(fd, F_GETLK, &f) == 0 && f.l_type != F_UNLCK;
        (void)close(fd);
    }
    free(name);
    return held;
}
