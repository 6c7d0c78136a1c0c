/* walk.c: one look at many files. Paths are put into the order of their folders first, so that the metadata server of a network file system
 * answers for one folder after the other out of its cache, and a few threads keep a few questions under way: neither one at a time over
 * milliseconds of latency, nor thousands at once. A path that occurs more than once is asked for once. */
#include "radcohort/cohort.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK 256           /* files that a thread takes at once: about a folder */
#define FILES_PER_THREAD 64 /* fewer are not worth a thread */

struct place {
    const char *path;
    int64_t at;
};

struct walk {
    const char *dir;
    const struct place *place; /* distinct, in order */
    int64_t n, next;
    rad_file_look *look; /* by place.at */
    bool hash;
    rad_status st;
    rad_error err;
    pthread_mutex_t lock;
};

static int by_path(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    const int c = strcmp(a->path, b->path);
    return c != 0 ? c : (a->at > b->at) - (a->at < b->at);
}

static bool names_pair(const char *path) {
    const size_t n = strlen(path);
    const char *end = n > 3 && strcmp(path + n - 3, ".gz") == 0 ? path + n - 3 : path + n;
    return end - path > 4 && (strncmp(end - 4, ".hdr", 4) == 0 || strncmp(end - 4, ".img", 4) == 0);
}

static rad_status look_at(const struct walk *w, const char *path, rad_file_look *ret, rad_error *err) {
    struct stat s;
    char *full = rad_path_join(w->dir, path);
    if (!full)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    const bool there = stat(full, &s) == 0;
    *ret = (rad_file_look){.error = there ? 0 : errno, .looked = true, .pair = names_pair(path)};
    free(full);
    if (there) {
        ret->bytes = (uint64_t)s.st_size;
        ret->inode = (uint64_t)s.st_ino;
        ret->seconds = (int64_t)s.st_mtim.tv_sec;
        ret->nanoseconds = (long)s.st_mtim.tv_nsec;
    }
    return RAD_OK;
}

/* The content as src/load states it: XXH3-128 of the file's bytes. What cannot be read has none. */
static rad_status hash_one(const struct walk *w, const char *path, rad_file_look *ret, rad_error *err) {
    rad_map m = {0};
    char *full = rad_path_join(w->dir, path);
    if (!full)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    if (!ret->pair && rad_map_open(full, SIZE_MAX, &m, NULL) == RAD_OK) {
        rad_xxh128(m.data, m.size, ret->content);
        rad_map_close(&m);
    }
    free(full);
    return RAD_OK;
}

static void *work(void *state) {
    struct walk *w = state;
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        const int64_t first = w->next, end = first + (w->hash ? 1 : CHUNK) < w->n ? first + (w->hash ? 1 : CHUNK) : w->n;
        const bool over = first >= w->n || w->st != RAD_OK;
        w->next = over ? w->next : end;
        (void)pthread_mutex_unlock(&w->lock);
        if (over)
            return NULL;
        rad_error why = {0};
        rad_status st = RAD_OK;
        for (int64_t i = first; i < end && st == RAD_OK; i++) {
            const struct place *p = &w->place[i];
            st = w->hash ? hash_one(w, p->path, &w->look[p->at], &why) : look_at(w, p->path, &w->look[p->at], &why);
        }
        if (st != RAD_OK) {
            (void)pthread_mutex_lock(&w->lock);
            w->st = st;
            w->err = why;
            (void)pthread_mutex_unlock(&w->lock);
        }
    }
}

static rad_status run(struct walk *w, int threads, rad_error *err) {
    pthread_t thread[RAD_MAX_WALKERS];
    const int64_t enough = w->hash ? w->n : w->n / FILES_PER_THREAD;
    int n = threads < RAD_MAX_WALKERS ? threads : RAD_MAX_WALKERS, started = 0;
    if (pthread_mutex_init(&w->lock, NULL) != 0)
        return rad_error_set(err, RAD_E_NOMEM, "cannot make a lock to look at files");
    if (n > enough)
        n = (int)enough;
    for (; started < n - 1; started++)
        if (pthread_create(&thread[started], NULL, work, w) != 0)
            break; /* fewer do it, too */
    (void)work(w);
    for (int i = 0; i < started; i++)
        (void)pthread_join(thread[i], NULL);
    (void)pthread_mutex_destroy(&w->lock);
    return w->st == RAD_OK ? RAD_OK : rad_error_set(err, w->st, "%s", w->err.text);
}

static rad_status walk(const char *dir, const char *const *path, int64_t n, int threads, bool hash, rad_file_look *ret, rad_error *err) {
    rad_status st = RAD_OK;
    struct walk w = {.dir = dir, .look = ret, .hash = hash};
    struct place *place = rad_calloc((size_t)n + 1, sizeof *place), *one = rad_calloc((size_t)n + 1, sizeof *one);
    int64_t n_place = 0;
    if (!place || !one) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory to look at %lld files", (long long)n);
        goto out;
    }
    for (int64_t i = 0; i < n; i++)
        if (path[i])
            place[n_place++] = (struct place){path[i], i};
    qsort(place, (size_t)n_place, sizeof *place, by_path);
    for (int64_t i = 0; i < n_place; i++)
        if (i == 0 || strcmp(place[i].path, place[i - 1].path) != 0)
            one[w.n++] = place[i];
    w.place = one;
    RAD_TRY(run(&w, threads, err));
    for (int64_t i = 1; i < n_place; i++) /* twins */
        if (strcmp(place[i].path, place[i - 1].path) == 0)
            ret[place[i].at] = ret[place[i - 1].at];
out:
    free(place);
    free(one);
    return st;
}

rad_status rad_walk_files(const char *dir, const char *const *path, int64_t n, int threads, rad_file_look *ret, rad_error *err) {
    return walk(dir, path, n, threads, false, ret, err);
}

rad_status rad_walk_contents(const char *dir, const char *const *path, int64_t n, int threads, rad_file_look *ret, rad_error *err) {
    return walk(dir, path, n, threads, true, ret, err);
}

bool rad_file_look_same(const rad_file_look *a, const rad_file_look *b) {
    return a->error == b->error && a->bytes == b->bytes && a->inode == b->inode && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds;
}
