/* trouble.c: preloaded by tests of what a cluster does to a process. By environment:
 *   TROUBLE_HANG=PART     the first open of a path that contains PART never returns (a file system that hangs); TROUBLE_MARK names a file
 * that says it has happened TROUBLE_LOCKS=none    every lock is granted and seen by nobody; =refuse: none is granted (ENOLCK)
 *   TROUBLE_RECORDS=FILE  one byte is appended for every record of a spool: a finished case
 *   TROUBLE_READONLY=FILE once that file is there, nothing can be written or made (EROFS), as on a file system that was remounted
 *   TROUBLE_SOCKETS=FILE  one line for every socket: the library or program that asked for it */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int open_function(const char *, int, ...);
typedef int fcntl_function(int, int, ...);
typedef int socket_function(int, int, int);
typedef ssize_t write_function(int, const void *, size_t);

static void *real(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

static int real_open(const char *path, int flags, mode_t mode) {
    open_function *f = (open_function *)real("open64");
    return f(path, flags, mode);
}

static void note(const char *variable, const char *text, size_t n) {
    const char *path = getenv(variable);
    int fd = path ? real_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd >= 0) {
        write_function *w = (write_function *)real("write");
        if (w(fd, text, n) < 0)
            _exit(99);
        close(fd);
    }
}

static void maybe_hang(const char *path) {
    const char *part = getenv("TROUBLE_HANG"), *mark = getenv("TROUBLE_MARK");
    if (!part || !mark || !strstr(path, part))
        return;
    int fd = real_open(mark, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return;
    close(fd);
    for (;;)
        sleep(1000);
}

static int readonly(void) {
    const char *mark = getenv("TROUBLE_READONLY");
    if (!mark || access(mark, F_OK) != 0)
        return 0;
    errno = EROFS;
    return 1;
}

#define WRAP_OPEN(name)                                                                                                                    \
    int name(const char *path, int flags, ...) {                                                                                           \
        va_list ap;                                                                                                                        \
        va_start(ap, flags);                                                                                                               \
        mode_t mode = (flags & O_CREAT) ? va_arg(ap, mode_t) : 0;                                                                          \
        va_end(ap);                                                                                                                        \
        maybe_hang(path);                                                                                                                  \
        if ((flags & (O_CREAT | O_WRONLY)) && readonly())                                                                                  \
            return -1;                                                                                                                     \
        return real_open(path, flags, mode);                                                                                               \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)

static int lock(const char *name, int fd, int command, void *argument) {
    const char *how = getenv("TROUBLE_LOCKS");
    int set = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    int get = command == F_GETLK || command == F_OFD_GETLK;
    if (how && set && strcmp(how, "refuse") == 0) {
        errno = ENOLCK;
        return -1;
    }
    if (how && strcmp(how, "none") == 0 && (set || get)) {
        if (get)
            ((struct flock *)argument)->l_type = F_UNLCK;
        return 0;
    }
    fcntl_function *f = (fcntl_function *)real(name);
    return f(fd, command, argument);
}

#define WRAP_FCNTL(name)                                                                                                                   \
    int name(int fd, int command, ...) {                                                                                                   \
        va_list ap;                                                                                                                        \
        va_start(ap, command);                                                                                                             \
        void *argument = va_arg(ap, void *);                                                                                               \
        va_end(ap);                                                                                                                        \
        return lock(#name, fd, command, argument);                                                                                         \
    }
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

typedef ssize_t pwrite_function(int, const void *, size_t, off_t);

ssize_t pwrite64(int fd, const void *data, size_t n, off_t at) {
    pwrite_function *w = (pwrite_function *)real("pwrite64");
    return readonly() ? -1 : w(fd, data, n, at);
}

ssize_t write(int fd, const void *data, size_t n) {
    if (fd > 2 && readonly())
        return -1;
    write_function *w = (write_function *)real("write");
    ssize_t done = w(fd, data, n);
    if (done == (ssize_t)n && n > 44 && memcmp(data, "REC1", 4) == 0)
        note("TROUBLE_RECORDS", "x", 1);
    return done;
}

int socket(int domain, int type, int protocol) {
    Dl_info who;
    if (dladdr(__builtin_return_address(0), &who) && who.dli_fname) {
        char line[512];
        size_t k = strlen(who.dli_fname);
        if (k < sizeof line - 1) {
            memcpy(line, who.dli_fname, k);
            line[k] = '\n';
            note("TROUBLE_SOCKETS", line, k + 1);
        }
    }
    socket_function *s = (socket_function *)real("socket");
    return s(domain, type, protocol);
}
