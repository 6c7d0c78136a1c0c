/* spool.c: see spool.h. */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "RADSPL1\n"
#define RECORD "REC1"
#define END "END1"
#define MARK 4                           /* bytes of RECORD and END */
#define SUM ((size_t)RAD_XXH128_HEX - 1) /* digits of a checksum */
#define NAME_TRIES 100

struct rad_spool {
    char *path;
    int fd;
    size_t head, size; /* bytes of the header; of the whole file */
    int64_t n_record;
    bool failed;
};

static rad_status io_error(rad_error *err, const char *what, const char *path) {
    return rad_error_set(err, RAD_E_IO, "cannot %s '%s': %s", what, path, strerror(errno));
}

static void put_size(uint8_t le[8], uint64_t v) {
    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_size(const uint8_t le[8]) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)le[i] << (8 * i);
    return v;
}

/* ---------------------------------------------------------------- writing */

static rad_status write_all(const rad_spool *s, const void *data, size_t size, rad_error *err) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(s->fd, (const char *)data + done, size - done);
        if (n < 0 && errno != EINTR)
            return io_error(err, "write", s->path);
        done += n > 0 ? (size_t)n : 0;
    }
    return RAD_OK;
}

/* Appends all of it or nothing. */
static rad_status append(rad_spool *s, const void *data, size_t size, rad_error *err) {
    if (s->failed)
        return rad_error_set(err, RAD_E_IO, "'%s': an earlier write failed", s->path);
    rad_status st = write_all(s, data, size, err);
    if (st == RAD_OK) {
        s->size += size;
        return RAD_OK;
    }
    s->failed = true;
    if (ftruncate(s->fd, (off_t)s->size) != 0)
        return rad_error_prefix(err, st, "(and the file could not be cut back) ");
    return st;
}

static rad_status put_block(rad_buf *b, const char *mark, const void *data, size_t size, rad_error *err) {
    uint8_t le[8];
    char sum[RAD_XXH128_HEX];
    put_size(le, size);
    rad_xxh128(data, size, sum);
    rad_status st = RAD_OK;
    RAD_TRY(rad_buf_put(b, mark, strlen(mark), err));
    RAD_TRY(rad_buf_put(b, le, sizeof le, err));
    RAD_TRY(rad_buf_put(b, sum, SUM, err));
    RAD_TRY(rad_buf_put(b, data, size, err));
out:
    return st;
}

static uint64_t random_word(void) {
    uint64_t v = 0;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &v, sizeof v) != (ssize_t)sizeof v) /* then O_EXCL finds a free name all the same */
        v = (uint64_t)getpid() * 0x9e3779b97f4a7c15U + (uint64_t)(rad_clock_seconds() * 1e9);
    if (fd >= 0)
        (void)close(fd);
    return v;
}

static rad_status open_new(rad_spool *s, const char *dir, const char *name, rad_error *err) {
    for (int i = 0; i < NAME_TRIES; i++) {
        free(s->path);
        s->path = rad_asprintf("%s/%s-%016llx%s", dir, name, (unsigned long long)random_word(), RAD_SPOOL_SUFFIX);
        if (!s->path)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
        s->fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (s->fd >= 0 || errno != EEXIST)
            break;
    }
    return s->fd >= 0 ? RAD_OK : io_error(err, "create", s->path);
}

rad_status rad_spool_create(const char *dir, const char *name, const rad_spool_head *head, rad_spool **ret, rad_error *err) {
    rad_status st = RAD_OK;
    char *above = rad_path_dir(dir);
    rad_buf text, b;
    rad_buf_init(&text, RAD_MAX_SPOOL_HEAD);
    rad_buf_init(&b, 2 * (size_t)RAD_MAX_SPOOL_HEAD);
    rad_spool *s = rad_calloc(1, sizeof *s);
    if (!s || !above) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a spool file");
        goto out;
    }
    s->fd = -1;
    RAD_TRY(rad_mkdirs(above, err));
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        st = io_error(err, "make folder", dir);
        goto out;
    }
    RAD_TRY(open_new(s, dir, name, err));
    RAD_TRY(rad_buf_printf(&text, err, "identity %s\nspace %s\nrank %lld\nhost %s\ndevice %s\n", head->identity, head->space,
                           (long long)head->rank, head->host, head->device));
    RAD_TRY(put_block(&b, MAGIC, text.data, text.size, err));
    RAD_TRY(append(s, b.data, b.size, err));
    s->head = s->size;
    *ret = s;
    s = NULL;
out:
    if (s)
        rad_spool_close(&s, s->fd >= 0);
    free(above);
    rad_buf_release(&text);
    rad_buf_release(&b);
    return st;
}

rad_status rad_spool_put(rad_spool *s, const void *message, size_t size, rad_error *err) {
    rad_buf b;
    rad_buf_init(&b, 2 * RAD_MAX_MESSAGE);
    rad_status st = put_block(&b, RECORD, message, size, err);
    if (st == RAD_OK)
        st = append(s, b.data, b.size, err); /* one write: a killed process leaves a whole record or a torn last one */
    if (st == RAD_OK)
        s->n_record++;
    rad_buf_release(&b);
    return st;
}

rad_status rad_spool_sync(rad_spool *s, rad_error *err) {
    return fsync(s->fd) == 0 ? RAD_OK : io_error(err, "flush", s->path);
}

rad_status rad_spool_finish(rad_spool *s, rad_error *err) {
    uint8_t end[MARK + 8];
    memcpy(end, END, MARK);
    put_size(end + MARK, (uint64_t)s->n_record);
    rad_status st = append(s, end, sizeof end, err);
    return st == RAD_OK ? rad_spool_sync(s, err) : st;
}

rad_status rad_spool_clear(rad_spool *s, rad_error *err) {
    if (ftruncate(s->fd, (off_t)s->head) != 0)
        return io_error(err, "empty", s->path);
    s->size = s->head;
    s->n_record = 0;
    s->failed = false;
    return RAD_OK;
}

size_t rad_spool_size(const rad_spool *s) {
    return s->size - s->head;
}

void rad_spool_close(rad_spool **sp, bool remove) {
    rad_spool *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    if (s->fd >= 0)
        (void)close(s->fd);
    if (remove)
        (void)unlink(s->path);
    free(s->path);
    free(s);
}

/* ---------------------------------------------------------------- reading */

struct reader {
    const uint8_t *p;
    size_t left;
};

/* A block behind `mark`; false when it is not there, whole and sound. */
static bool get_block(struct reader *r, const char *mark, const uint8_t **ret, size_t *ret_size) {
    size_t n = strlen(mark), frame = n + 8 + SUM;
    char sum[RAD_XXH128_HEX];
    if (r->left < frame || memcmp(r->p, mark, n) != 0)
        return false;
    uint64_t size = get_size(r->p + n);
    if (size > RAD_MAX_MESSAGE || size > r->left - frame)
        return false;
    rad_xxh128(r->p + frame, (size_t)size, sum);
    if (memcmp(sum, r->p + n + 8, SUM) != 0)
        return false;
    *ret = r->p + frame;
    *ret_size = (size_t)size;
    r->p += frame + (size_t)size;
    r->left -= frame + (size_t)size;
    return true;
}

/* The value of `key` in a header's text, which ends with a newline. */
static bool get_value(const char *text, const char *key, char *ret, size_t cap) {
    size_t k = strlen(key);
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        if (strncmp(line, key, k) != 0 || line[k] != ' ')
            continue;
        size_t n = (size_t)(end - line) - k - 1;
        if (n >= cap)
            return false;
        memcpy(ret, line + k + 1, n);
        ret[n] = 0;
        return true;
    }
    return false;
}

static bool get_head(struct reader *r, rad_spool_head *ret) {
    const uint8_t *data;
    size_t size;
    char text[RAD_MAX_SPOOL_HEAD + 1], rank[24];
    if (!get_block(r, MAGIC, &data, &size) || size > RAD_MAX_SPOOL_HEAD || memchr(data, 0, size))
        return false;
    memcpy(text, data, size);
    text[size] = 0;
    *ret = (rad_spool_head){.rank = 0};
    return get_value(text, "identity", ret->identity, sizeof ret->identity) && get_value(text, "space", ret->space, sizeof ret->space) &&
           get_value(text, "host", ret->host, sizeof ret->host) && get_value(text, "device", ret->device, sizeof ret->device) &&
           get_value(text, "rank", rank, sizeof rank) && rad_parse_int(rank, &ret->rank);
}

static void note_damage(rad_spool_report *r, const char *path, int64_t n, size_t left) {
    const char *name = strrchr(path, '/');
    if (r->damaged++ == 0)
        snprintf(r->example, sizeof r->example, "'%.80s': %zu bytes behind record %lld are no record", name ? name + 1 : path, left,
                 (long long)n);
}

static rad_status read_file(const char *path, const char *identity, const char *space, rad_spool_take take, void *state,
                            rad_spool_report *report, rad_error *err) {
    rad_map m = {0};
    rad_error why = {0};
    rad_status st = rad_map_open(path, RAD_MAX_SPOOL_FILE, &m, &why);
    if (st == RAD_E_NOTFOUND) /* its writer has just removed it */
        return RAD_OK;
    if (st != RAD_OK)
        return rad_error_set(err, st, "%s", why.text);
    struct reader r = {m.data, m.size};
    rad_spool_head head;
    int64_t n = 0;
    if (m.size == 0 || !get_head(&r, &head)) {
        note_damage(report, path, 0, m.size);
        goto out;
    }
    if (strcmp(head.identity, identity) != 0 || (space && strcmp(head.space, space) != 0)) {
        report->foreign++;
        goto out;
    }
    report->files++;
    const uint8_t *data;
    size_t size;
    while (get_block(&r, RECORD, &data, &size)) {
        RAD_TRY(take(state, &head, data, size, err));
        report->records++;
        n++;
    }
    if (r.left == MARK + 8 && memcmp(r.p, END, MARK) == 0 && get_size(r.p + MARK) == (uint64_t)n)
        report->complete++;
    else if (r.left > 0)
        note_damage(report, path, n, r.left);
out:
    rad_map_close(&m);
    return st;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **name, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(name[i]);
    free(name);
}

static bool is_spool(const char *name) {
    size_t n = strlen(name), k = strlen(RAD_SPOOL_SUFFIX);
    return n > k && strcmp(name + n - k, RAD_SPOOL_SUFFIX) == 0;
}

/* The spool files of a folder, by name, with their paths. */
static rad_status list(const char *dir, char ***ret, size_t *ret_n, rad_error *err) {
    char **name = NULL;
    size_t n = 0, cap = 0;
    DIR *d = opendir(dir);
    *ret = NULL;
    *ret_n = 0;
    if (!d)
        return errno == ENOENT ? RAD_OK : io_error(err, "read folder", dir);
    bool full = false;
    for (struct dirent *e; !full && (e = readdir(d));) {
        if (!is_spool(e->d_name))
            continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            char **more = rad_realloc(name, cap, sizeof *name);
            full = !more;
            name = more ? more : name;
        }
        if (!full && !(name[n] = rad_path_join(dir, e->d_name)))
            full = true;
        n += !full;
    }
    (void)closedir(d);
    if (full) {
        free_names(name, n);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the files of '%s'", dir);
    }
    if (n > 0)
        qsort(name, n, sizeof *name, by_name);
    *ret = name;
    *ret_n = n;
    return RAD_OK;
}

rad_status rad_spool_read(const char *dir, const char *identity, const char *space, rad_spool_take take, void *state, rad_spool_report *ret,
                          rad_error *err) {
    char **name;
    size_t n;
    rad_spool_report report = {0};
    rad_status st = list(dir, &name, &n, err);
    if (st != RAD_OK)
        return st;
    for (size_t i = 0; i < n && st == RAD_OK; i++)
        st = read_file(name[i], identity, space, take, state, &report, err);
    free_names(name, n);
    if (st == RAD_OK)
        *ret = report;
    return st;
}

void rad_spool_remove(const char *dir, const char *identity) {
    char **name;
    size_t n;
    if (list(dir, &name, &n, NULL) != RAD_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        rad_map m = {0};
        rad_spool_head head;
        bool mine = !identity;
        if (!mine && rad_map_open(name[i], RAD_MAX_SPOOL_FILE, &m, NULL) == RAD_OK) {
            struct reader r = {m.data, m.size};
            mine = m.size > 0 && get_head(&r, &head) && strcmp(head.identity, identity) == 0;
            rad_map_close(&m);
        }
        if (mine)
            (void)unlink(name[i]);
    }
    free_names(name, n);
    (void)rmdir(dir); /* fails when something else is in it */
}
