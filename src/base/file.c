/* file.c: whole files with a stated maximum, atomic writes, paths. */
#define _DEFAULT_SOURCE /* madvise: POSIX's own posix_madvise does nothing for DONTNEED in glibc */
#include "radcohort/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static rad_status sys_error(rad_error *err, const char *doing, const char *path) {
    int e = errno;
    char why[128];
    if (strerror_r(e, why, sizeof why) != 0)
        snprintf(why, sizeof why, "error %d", e);
    rad_status code = e == ENOENT || e == ENOTDIR ? RAD_E_NOTFOUND : e == ENOMEM ? RAD_E_NOMEM : RAD_E_IO;
    return rad_error_set(err, code, "cannot %s '%s': %s", doing, path, why);
}

/* Opens a regular file no larger than `max`. O_NONBLOCK so that a FIFO in the archive cannot hang the open. */
static rad_status open_regular(const char *path, size_t max, int *ret_fd, size_t *ret_size, rad_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sys_error(err, "open", path);
    struct stat s;
    rad_status st = RAD_OK;
    if (fstat(fd, &s) != 0)
        st = sys_error(err, "stat", path);
    else if (!S_ISREG(s.st_mode))
        st = rad_error_set(err, RAD_E_FORMAT, "'%s' is not a regular file", path);
    else if ((uint64_t)s.st_size > max)
        st = rad_error_set(err, RAD_E_LIMIT, "'%s' has %lld bytes, the limit is %zu", path, (long long)s.st_size, max);
    if (st != RAD_OK) {
        close(fd);
        return st;
    }
    *ret_fd = fd;
    *ret_size = (size_t)s.st_size;
    return RAD_OK;
}

rad_status rad_map_open(const char *path, size_t max, rad_map *ret, rad_error *err) {
    int fd = -1;
    size_t size = 0;
    rad_status st = open_regular(path, max, &fd, &size, err);
    if (st != RAD_OK)
        return st;
    void *p = NULL;
    if (size) {
        p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            st = sys_error(err, "map", path);
    }
    close(fd);
    if (st == RAD_OK)
        *ret = (rad_map){.data = p, .size = size};
    return st;
}

void rad_map_close(rad_map *m) {
    if (m->data) {
        union {
            const uint8_t *c;
            void *v;
        } u = {.c = m->data};
        munmap(u.v, m->size);
    }
    *m = (rad_map){0};
}

void rad_map_drop_pages(const rad_map *m) {
    if (m->data) {
        union {
            const uint8_t *c;
            void *v;
        } u = {.c = m->data};
        (void)madvise(u.v, m->size, MADV_DONTNEED);
    }
}

rad_status rad_file_read(const char *path, size_t max, char **ret_data, size_t *ret_size, rad_error *err) {
    int fd = -1;
    size_t size = 0, done = 0;
    rad_status st = open_regular(path, max, &fd, &size, err);
    if (st != RAD_OK)
        return st;
    char *data = rad_malloc(size + 1);
    if (!data)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the %zu bytes of '%s'", size, path);
    while (st == RAD_OK && done < size) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            st = sys_error(err, "read", path);
        else if (n == 0)
            st = rad_error_set(err, RAD_E_TRUNCATED, "'%s' became shorter while it was read", path);
        else
            done += (size_t)n;
    }
    close(fd);
    if (st != RAD_OK) {
        free(data);
        return st;
    }
    data[size] = '\0';
    *ret_data = data;
    *ret_size = size;
    return RAD_OK;
}

rad_status rad_file_write_atomic(const char *path, const void *data, size_t size, rad_error *err) {
    return rad_file_write_atomic_mode(path, 0666, data, size, err);
}

rad_status rad_file_write_atomic_mode(const char *path, unsigned mode, const void *data, size_t size, rad_error *err) {
    rad_status st = RAD_OK;
    int fd = -1;
    /* the process id and a place on the thread's own stack keep two writers of one name apart */
    char *tmp = rad_asprintf("%s.%ld-%jx.tmp", path, (long)getpid(), (uintmax_t)(uintptr_t)&fd);
    if (!tmp)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        st = sys_error(err, "create", tmp);
        free(tmp);
        return st;
    }
    for (size_t done = 0; st == RAD_OK && done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno != EINTR)
            st = sys_error(err, "write", tmp);
        else if (n > 0)
            done += (size_t)n;
    }
    if (st == RAD_OK && fsync(fd) != 0)
        st = sys_error(err, "flush", tmp);
    if (close(fd) != 0 && st == RAD_OK)
        st = sys_error(err, "close", tmp);
    if (st == RAD_OK && rename(tmp, path) != 0)
        st = sys_error(err, "rename to", path);
    if (st != RAD_OK)
        unlink(tmp);
    free(tmp);
    return st;
}

rad_status rad_mkdirs(const char *path, rad_error *err) {
    rad_status st = RAD_OK;
    char *p = rad_strdup(path);
    if (!p)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
    for (char *s = p + 1; p[0] && st == RAD_OK; s++) {
        char c = *s;
        if (c != '/' && c != '\0')
            continue;
        *s = '\0';
        struct stat info;
        if (mkdir(p, 0777) != 0 && (errno != EEXIST || stat(p, &info) != 0 || !S_ISDIR(info.st_mode)))
            st = sys_error(err, "make folder", p);
        *s = c;
        if (c == '\0')
            break;
    }
    free(p);
    return st;
}

char *rad_path_join(const char *dir, const char *name) {
    if (!dir || !dir[0] || name[0] == '/')
        return rad_strdup(name);
    const size_t n = strlen(dir), slash = dir[n - 1] != '/', m = strlen(name);
    char *p = rad_malloc(n + slash + m + 1);
    if (!p)
        return NULL;
    memcpy(p, dir, n);
    p[n] = '/';
    memcpy(p + n + slash, name, m + 1);
    return p;
}

char *rad_path_dir(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return rad_strdup(".");
    return slash == path ? rad_strdup("/") : rad_strndup(path, (size_t)(slash - path));
}

char *rad_path_absolute(const char *path) {
    char here[4096];
    return path[0] == '/' ? rad_strdup(path) : getcwd(here, sizeof here) ? rad_path_join(here, path) : NULL;
}

bool rad_path_is_inside(const char *rel) {
    if (rel[0] == '/')
        return false;
    for (const char *s = rel; *s;) {
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.')
            return false;
        s += n;
        while (*s == '/')
            s++;
    }
    return true;
}
