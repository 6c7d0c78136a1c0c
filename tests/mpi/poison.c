/* poison.c: preloaded by t_poison.sh. Opening a file whose path contains $POISON_PATH ends the process with signal $POISON_SIGNAL: a study
 * that takes its rank down, as a crash of a library or of the memory limit does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(const char *path) {
    const char *poison = getenv("POISON_PATH"), *number = getenv("POISON_SIGNAL");
    if (poison && number && strstr(path, poison))
        raise((int)strtol(number, NULL, 10));
}

typedef int open_function(const char *, int, ...);

static int forward(const char *name, const char *path, int flags, mode_t mode) {
    open_function *f = (open_function *)dlsym(RTLD_NEXT, name);
    check(path);
    return f(path, flags, mode);
}

#define WRAP(name)                                                                                                                         \
    int name(const char *path, int flags, ...) {                                                                                           \
        va_list ap;                                                                                                                        \
        va_start(ap, flags);                                                                                                               \
        mode_t mode = (flags & O_CREAT) ? va_arg(ap, mode_t) : 0;                                                                          \
        va_end(ap);                                                                                                                        \
        return forward(#name, path, flags, mode);                                                                                          \
    }
WRAP(open)
WRAP(open64)
