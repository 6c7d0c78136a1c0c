/* place.c: see place.h. A lock of an open file description (F_OFD_SETLK) and one of the process (F_GETLK) keep each other out even within
 * one process, and go the same way through the kernel to the file system as SQLite's: so one process can find out what two would meet. */
#define _GNU_SOURCE 1 /* F_OFD_SETLK, in POSIX since 2024 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_MOUNTINFO ((size_t)16 << 20)

/* Shared by several machines, or answered by a program whose locks are its own affair. */
static bool is_network(const char *type) {
    static const char *const known[] = {"nfs", "nfs4", "lustre", "gpfs",     "beegfs", "cifs",   "smb3",  "smbfs", "ceph", "glusterfs",
                                        "afs", "9p",   "pvfs2",  "orangefs", "panfs",  "wekafs", "ocfs2", "gfs2",  NULL};
    for (int i = 0; known[i]; i++)
        if (strcmp(type, known[i]) == 0)
            return true;
    return strncmp(type, "fuse", 4) == 0;
}

/* An option of a comma-separated list. */
static bool has_option(const char *list, size_t n, const char *option) {
    size_t k = strlen(option);
    for (const char *at = list, *end = list + n; at < end;) {
        size_t len = strcspn(at, ",");
        if (at + len > end)
            len = (size_t)(end - at);
        if (len == k && strncmp(at, option, k) == 0)
            return true;
        at += len + 1;
    }
    return false;
}

/* One line: "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS". */
static bool parse_line(const char *line, const char *end, unsigned major, unsigned minor, rad_place *ret) {
    unsigned a, b;
    int id, parent;
    if (sscanf(line, "%d %d %u:%u ", &id, &parent, &a, &b) != 4 || a != major || b != minor)
        return false;
    const char *dash = line;
    while ((dash = strstr(dash, " - ")) && dash < end && strncmp(dash, " - ", 3) != 0)
        dash++;
    if (!dash || dash >= end)
        return false;
    const char *type = dash + 3;
    size_t n = strcspn(type, " \n");
    rad_place p = {.type = ""};
    if (n >= sizeof p.type)
        return false;
    memcpy(p.type, type, n);
    const char *source = type + n;
    source += *source == ' ';
    const char *super = source + strcspn(source, " \n");
    super += *super == ' ';
    size_t k = super < end ? (size_t)(end - super) : 0;
    static const char *const local[] = {"nolock", "local_lock=all", "local_lock=posix", "localflock", "noflock", "nobrl", NULL};
    for (int i = 0; local[i]; i++)
        p.local_lock = p.local_lock || has_option(super, k, local[i]);
    p.network = is_network(p.type);
    *ret = p;
    return true;
}

rad_place rad_place_parse(const char *mountinfo, unsigned major, unsigned minor) {
    rad_place p = {.type = ""};
    for (const char *line = mountinfo, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        (void)parse_line(line, end, major, minor, &p);
    }
    return p;
}

/* /proc's files have no size: read to their end. */
static char *read_mounts(void) {
    rad_buf b;
    char part[4096];
    rad_buf_init(&b, MAX_MOUNTINFO);
    FILE *f = fopen("/proc/self/mountinfo", "re");
    for (size_t n; f && (n = fread(part, 1, sizeof part, f)) > 0;)
        if (rad_buf_put(&b, part, n, NULL) != RAD_OK)
            break;
    if (f)
        (void)fclose(f);
    return b.data;
}

rad_place rad_place_of(const char *path) {
    rad_place p = {.type = ""};
    struct stat s;
    char *text = stat(path, &s) == 0 ? read_mounts() : NULL;
    if (text)
        p = rad_place_parse(text, major(s.st_dev), minor(s.st_dev));
    free(text);
    return p;
}

/* RAD_OK: it keeps others out. */
static rad_status probe(const char *path, int one, int two, rad_error *err) {
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(one, F_OFD_SETLK, &f) != 0 && errno != EINVAL) /* EINVAL: a kernel without them; nothing is known then */
        return rad_error_set(err, RAD_E_STORE,
                             "the file system of '%s' refuses locks (%s), without which two programs could write the file at once: name a "
                             "file on another one, or build it on a disk of the node with '--scratch DIR'",
                             path, strerror(errno));
    f = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(two, F_GETLK, &f) == 0 && f.l_type == F_UNLCK)
        return rad_error_set(err, RAD_E_STORE,
                             "locks on the file system of '%s' keep nobody out: two programs could write the file at once and destroy it; "
                             "name a file on another one, or build it on a disk of the node with '--scratch DIR'",
                             path);
    return RAD_OK;
}

rad_status rad_place_probe_locks(const char *path, rad_error *err) {
    char *name = rad_asprintf("%s.%ld.probe.tmp", path, (long)getpid());
    if (!name)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory opening '%s'", path);
    rad_status st = RAD_OK;
    int one = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), two = one >= 0 ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (two < 0)
        st = rad_error_set(err, RAD_E_STORE, "cannot make '%s': %s; the folder of the database must exist and be writable", name,
                           strerror(errno));
    else
        st = probe(path, one, two, err);
    if (one >= 0) {
        rad_place p = rad_place_of(name);
        if (st == RAD_OK && p.local_lock)
            st = rad_error_set(err, RAD_E_STORE,
                               "'%s' lies on %s mounted without locks between nodes (nolock, local_lock, localflock or nobrl): two nodes "
                               "could write the file at once; name a file on another one, or build it on a disk of the node with "
                               "'--scratch DIR'",
                               path, p.type);
        (void)unlink(name);
        (void)close(one);
    }
    if (two >= 0)
        (void)close(two);
    free(name);
    return st;
}
