/* torture.c: preloaded by torture.py. Does one thing to one process, at one place that a seed has chosen, and writes down which cases were
 * computed. By environment:
 *   TORTURE_ROOT    the folder of the run: only what happens to files below it counts
 *   TORTURE_EVENT   KIND:N:ACTION. The N-th time that KIND happens in a process, ACTION follows, once in a session.
 *                   KIND: change (any call that alters a file), write, sync, rename, image (an image is opened), record (of a finished
 * case) ACTION: kill (before the call), after (kill behind it), tear (half of the write, then kill), job (kills the launcher as well), full
 * (this and every later write of all processes: no space), full-once, error (EIO, once), short (half a write), again (EINTR), usr1, int,
 * term (to the launching process), stop (the stop file), hang (for ever), freeze (SIGSTOP), cut (of an image just opened: half of it is
 * gone) TORTURE_RANK    only in this rank (of Open MPI) TORTURE_BOSS    process id of the launching process TORTURE_STOP    the stop file
 *   TORTURE_MARK    made when it has happened: what, where
 *   TORTURE_LEDGER  one line for every case that was computed: session, process, case
 *   TORTURE_SESSION number of the session
 *   TORTURE_COUNT   at the end of a process: how often each KIND happened */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHANGE, WRITE, SYNC, RENAME, IMAGE, RECORD, N_KIND };
static const char *const kind_name[N_KIND] = {"change", "write", "sync", "rename", "image", "record"};
enum { RECORD_FRAME = 44, RECORD_CASE = RECORD_FRAME + 40, CASE_END = RECORD_CASE + 8 };

typedef int open_function(const char *, int, ...);
typedef ssize_t write_function(int, const void *, size_t);
typedef ssize_t pwrite_function(int, const void *, size_t, off_t);
typedef int fd_function(int);
typedef int truncate_function(int, off_t);
typedef int rename_function(const char *, const char *);
typedef int path_function(const char *);

static atomic_long count[N_KIND];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *root, *mark, *action;
static int kind = -1;
static long at;
static _Thread_local int doomed; /* the process dies behind the call that it is in */
static struct {
    open_function *open;
    write_function *write;
    pwrite_function *pwrite;
    fd_function *fsync, *fdatasync;
    truncate_function *ftruncate;
    rename_function *rename;
    path_function *unlink;
} real;

static void start(void) {
    real.open = (open_function *)dlsym(RTLD_NEXT, "open64");
    real.write = (write_function *)dlsym(RTLD_NEXT, "write");
    real.pwrite = (pwrite_function *)dlsym(RTLD_NEXT, "pwrite64");
    real.fsync = (fd_function *)dlsym(RTLD_NEXT, "fsync");
    real.fdatasync = (fd_function *)dlsym(RTLD_NEXT, "fdatasync");
    real.ftruncate = (truncate_function *)dlsym(RTLD_NEXT, "ftruncate64");
    real.rename = (rename_function *)dlsym(RTLD_NEXT, "rename");
    real.unlink = (path_function *)dlsym(RTLD_NEXT, "unlink");
    root = getenv("TORTURE_ROOT");
    mark = getenv("TORTURE_MARK");
    const char *event = getenv("TORTURE_EVENT"), *only = getenv("TORTURE_RANK"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!event || !mark || (only && (!rank || strcmp(only, rank) != 0)))
        return;
    for (int k = 0; k < N_KIND; k++) {
        size_t n = strlen(kind_name[k]);
        if (strncmp(event, kind_name[k], n) == 0 && event[n] == ':') {
            char *end;
            at = strtol(event + n + 1, &end, 10);
            action = *end == ':' ? end + 1 : "";
            kind = k;
        }
    }
}

static int below(const char *path) {
    pthread_once(&once, start);
    return root && path && (path[0] != '/' || strncmp(path, root, strlen(root)) == 0); /* the current folder is below it */
}

/* Of a file: false for sockets and pipes. */
static int path_of(int fd, char *ret, size_t cap) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret, cap - 1);
    ret[n > 0 ? n : 0] = 0;
    return n > 0 && ret[0] == '/';
}

static void append(const char *variable, const char *text, size_t n) {
    const char *path = getenv(variable);
    int fd = path ? real.open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd >= 0 && real.write(fd, text, n) < 0)
        _exit(99);
    if (fd >= 0)
        close(fd);
}

__attribute__((destructor)) static void say_counts(void) {
    char line[256];
    int n = 0;
    for (int k = 0; k < N_KIND; k++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s %ld ", kind_name[k], atomic_load(&count[k]));
    line[n++] = '\n';
    if (real.open)
        append("TORTURE_COUNT", line, (size_t)n);
}

static int is(const char *what) {
    return action && strcmp(action, what) == 0;
}

/* The first process of the session to come here is the one. */
static int first(const char *where) {
    int fd = real.open(mark, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return 0;
    if (real.write(fd, where, strlen(where)) < 0)
        _exit(99);
    close(fd);
    return 1;
}

static void signal_boss(int number) {
    const char *boss = getenv("TORTURE_BOSS");
    kill(boss ? (pid_t)strtol(boss, NULL, 10) : getpid(), number);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Counts; true when it is now, and what does not need the call's arguments is done. */
static int happens(int k, const char *where) {
    long n = atomic_fetch_add(&count[k], 1) + 1;
    if (k != kind || n != at || !first(where))
        return 0;
    if (is("kill"))
        die();
    if (is("job")) {
        kill(getppid(), SIGKILL);
        die();
    }
    if (is("usr1") || is("int") || is("term"))
        signal_boss(is("usr1") ? SIGUSR1 : is("int") ? SIGINT : SIGTERM);
    if (is("freeze"))
        kill(getpid(), SIGSTOP);
    if (is("stop")) {
        const char *path = getenv("TORTURE_STOP");
        int fd = path ? real.open(path, O_WRONLY | O_CREAT, 0600) : -1;
        if (fd >= 0)
            close(fd);
    }
    if (is("hang"))
        for (;;)
            sleep(1000);
    return 1;
}

/* True when the disk is full by now. */
static int is_full(void) {
    return is("full") && access(mark, F_OK) == 0;
}

/* Of a call that is no write: 0, or an errno that it fails with. */
static int fails(int k, const char *path) {
    int now = happens(CHANGE, path);
    now = (k != CHANGE && happens(k, path)) || now;
    doomed = now && (is("after") || is("tear"));
    if (now && is("error"))
        return EIO;
    if ((now && is("full-once")) || is_full())
        return ENOSPC;
    return 0;
}

static int begins_record(const void *data, size_t n) {
    return n > CASE_END && memcmp(data, "REC1", 4) == 0;
}

static void note_record(const void *data) {
    uint64_t id = 0;
    char line[96];
    const char *session = getenv("TORTURE_SESSION");
    for (int i = 7; i >= 0; i--)
        id = id << 8 | ((const uint8_t *)data)[RECORD_CASE + i];
    int n = snprintf(line, sizeof line, "%s %ld %llu\n", session ? session : "0", (long)getpid(), (unsigned long long)id);
    append("TORTURE_LEDGER", line, (size_t)n);
}

static ssize_t do_write(int fd, const void *data, size_t n, int placed, off_t offset) {
    return placed ? real.pwrite(fd, data, n, offset) : real.write(fd, data, n);
}

static ssize_t put(int fd, const void *data, size_t n, int placed, off_t offset) {
    char path[4096];
    pthread_once(&once, start);
    if (fd <= 2 || !root || !path_of(fd, path, sizeof path) || !below(path))
        return do_write(fd, data, n, placed, offset);
    int now = happens(CHANGE, path), record = !placed && begins_record(data, n);
    now = happens(WRITE, path) || now;
    if (record) {
        note_record(data);
        now = happens(RECORD, path) || now;
    }
    if ((now && (is("full") || is("full-once"))) || is_full()) {
        ssize_t part = now && n > 1 ? do_write(fd, data, n / 2, placed, offset) : -1; /* as a disk does: the last block still fits */
        if (part > 0)
            return part;
        errno = ENOSPC;
        return -1;
    }
    if (now && (is("error") || is("again"))) {
        errno = is("error") ? EIO : EINTR;
        return -1;
    }
    if (now && (is("short") || is("tear"))) {
        ssize_t part = do_write(fd, data, n > 1 ? n / 2 : n, placed, offset);
        if (is("tear"))
            die();
        return part;
    }
    ssize_t done = do_write(fd, data, n, placed, offset);
    if (now && is("after"))
        die();
    return done;
}

ssize_t write(int fd, const void *data, size_t n) {
    return put(fd, data, n, 0, 0);
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t offset) {
    return put(fd, data, n, 1, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t n, off_t offset) {
    return put(fd, data, n, 1, offset);
}

#define WRAP_FD(name, k, parameters, call)                                                                                                 \
    int name parameters {                                                                                                                  \
        char path[4096];                                                                                                                   \
        pthread_once(&once, start);                                                                                                        \
        int mine = root && path_of(fd, path, sizeof path) && below(path), why = mine ? fails(k, path) : 0;                                 \
        if (why) {                                                                                                                         \
            errno = why;                                                                                                                   \
            return -1;                                                                                                                     \
        }                                                                                                                                  \
        int done = call;                                                                                                                   \
        if (mine && doomed)                                                                                                                \
            die();                                                                                                                         \
        return done;                                                                                                                       \
    }
WRAP_FD(fsync, SYNC, (int fd), real.fsync(fd))
WRAP_FD(fdatasync, SYNC, (int fd), real.fdatasync(fd))
WRAP_FD(ftruncate, CHANGE, (int fd, off_t n), real.ftruncate(fd, n))
WRAP_FD(ftruncate64, CHANGE, (int fd, off_t n), real.ftruncate(fd, n))

int rename(const char *from, const char *to) {
    int mine = below(to), why = mine ? fails(RENAME, to) : 0;
    if (why) {
        errno = why;
        return -1;
    }
    int done = real.rename(from, to);
    if (mine && doomed)
        die();
    return done;
}

int unlink(const char *path) {
    int mine = below(path), why = mine ? fails(CHANGE, path) : 0;
    if (why == EIO) {
        errno = why;
        return -1;
    }
    int done = real.unlink(path);
    if (mine && doomed)
        die();
    return done;
}

static int is_image(const char *path) {
    return strstr(path, "cohort/") && strstr(path, ".nii");
}

static int do_open(const char *path, int flags, mode_t mode) {
    int mine = below(path), why = 0;
    if (mine && (flags & O_CREAT))
        why = fails(CHANGE, path);
    int cut = mine && !(flags & (O_CREAT | O_WRONLY | O_RDWR)) && is_image(path) && happens(IMAGE, path) && is("cut");
    if (why) {
        errno = why;
        return -1;
    }
    int fd = real.open(path, flags, mode);
    struct stat s;
    if (cut && fd >= 0 && fstat(fd, &s) == 0 && truncate(path, s.st_size / 2) != 0)
        _exit(99);
    if (mine && (flags & O_CREAT) && doomed)
        die();
    return fd;
}

#define WRAP_OPEN(name)                                                                                                                    \
    int name(const char *path, int flags, ...) {                                                                                           \
        va_list ap;                                                                                                                        \
        va_start(ap, flags);                                                                                                               \
        mode_t mode = (flags & O_CREAT) ? va_arg(ap, mode_t) : 0;                                                                          \
        va_end(ap);                                                                                                                        \
        pthread_once(&once, start);                                                                                                        \
        return do_open(path, flags, mode);                                                                                                 \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)
