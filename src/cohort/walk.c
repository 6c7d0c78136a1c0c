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
    const struct place *place; /* in order; of the same path the first is asked for */
    int64_t n, next;
    rad_file_look *look;             /* by place.at, or */
    char (*content)[RAD_XXH128_HEX]; /* the contents are wanted */
    rad_status st;
    rad_error err;
    pthread_mutex_t lock;
};

static int by_path(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    const int c = strcmp(a->path, b->path);
    return c != 0 ? c : (a->at > b->at) - (a->at < b->at);
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static rad_file_look look_at(const char *path) {
    struct stat s;
    rad_file_look l = {.looked = true};
    if (stat(path, &s) != 0) {
        l.error = (int16_t)errno;
    } else if (!S_ISREG(s.st_mode)) {
        l.error = EISDIR;
    } else {
        l.bytes = (uint64_t)s.st_size;
        l.inode = (uint64_t)s.st_ino;
        l.seconds = (int64_t)s.st_mtim.tv_sec;
        l.nanoseconds = (int32_t)s.st_mtim.tv_nsec;
    }
    return l;
}

/* The half `ext` of a pair under the one name or the other, which becomes *ret_path (owned by the caller) unless `ret_path` is NULL. */
static rad_file_look look_at_half(const char *path, const char *ext, char **ret_path) {
    rad_file_look l = {.error = ENOENT, .looked = true};
    for (int other = 0; other < 2 && l.error == ENOENT; other++) {
        char *name = rad_pair_half(path, ext, other == 1);
        if (!name)
            return (rad_file_look){.error = ENOMEM, .looked = true};
        l = look_at(name);
        if (ret_path && l.error == 0)
            *ret_path = name;
        else
            free(name);
    }
    return l;
}

rad_file_look rad_file_look_at(const char *path) {
    if (!rad_pair_named(path))
        return look_at(path);
    const rad_file_look h = look_at_half(path, ".hdr", NULL), i = h.error == 0 ? look_at_half(path, ".img", NULL) : h;
    if (i.error != 0)
        return (rad_file_look){.error = i.error, .looked = true, .pair = true};
    const uint64_t when_h = mix(mix((uint64_t)h.seconds) ^ (uint64_t)h.nanoseconds),
                   when = mix(mix(when_h ^ (uint64_t)i.seconds) ^ (uint64_t)i.nanoseconds);
    return (rad_file_look){.looked = true,
                           .pair = true,
                           .bytes = h.bytes + i.bytes,
                           .inode = mix(mix(h.inode) ^ i.inode) ^ mix(h.bytes),
                           .seconds = h.seconds > i.seconds ? h.seconds : i.seconds,
                           .nanoseconds = (int32_t)(when % 1000000000u)};
}

static rad_status hash_pair(const char *path, char ret[RAD_XXH128_HEX], rad_error *err) {
    rad_map h = {0}, i = {0};
    char *header = NULL, *data = NULL;
    rad_status st = RAD_OK;
    if (look_at_half(path, ".hdr", &header).error == ENOMEM || look_at_half(path, ".img", &data).error == ENOMEM)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    if (st == RAD_OK && header && data && rad_map_open(header, SIZE_MAX, &h, NULL) == RAD_OK) {
        if (rad_map_open(data, SIZE_MAX, &i, NULL) == RAD_OK) {
            st = rad_xxh128_two(&h, &i, ret, err);
            rad_map_close(&i);
        }
        rad_map_close(&h);
    }
    free(header);
    free(data);
    return st;
}

/* The content as src/load states it: XXH3-128 of the file's bytes, of a pair the .hdr's and then the .img's. What cannot be read has none.
 */
static rad_status hash_file(const char *path, char ret[RAD_XXH128_HEX], rad_error *err) {
    rad_map m = {0};
    if (rad_pair_named(path))
        return hash_pair(path, ret, err);
    if (rad_map_open(path, SIZE_MAX, &m, NULL) == RAD_OK) {
        rad_xxh128(m.data, m.size, ret);
        rad_map_close(&m);
    }
    return RAD_OK;
}

static rad_status see(const struct walk *w, const struct place *p, rad_error *err) {
    rad_status st = RAD_OK;
    char *full = rad_path_join(w->dir, p->path);
    if (!full)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    if (w->content)
        st = hash_file(full, w->content[p->at], err);
    else {
        w->look[p->at] = rad_file_look_at(full);
        if (w->look[p->at].error == ENOMEM)
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    }
    free(full);
    return st;
}

static bool is_twin(const struct place *place, int64_t i) {
    return i > 0 && strcmp(place[i].path, place[i - 1].path) == 0;
}

static void *work(void *state) {
    struct walk *w = state;
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        const int64_t first = w->next, end = first + (w->content ? 1 : CHUNK) < w->n ? first + (w->content ? 1 : CHUNK) : w->n;
        const bool over = first >= w->n || w->st != RAD_OK;
        w->next = over ? w->next : end;
        (void)pthread_mutex_unlock(&w->lock);
        if (over)
            return NULL;
        rad_error why = {0};
        rad_status st = RAD_OK;
        for (int64_t i = first; i < end && st == RAD_OK; i++)
            st = is_twin(w->place, i) ? RAD_OK : see(w, &w->place[i], &why);
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
    const int64_t enough = w->content ? w->n : w->n / FILES_PER_THREAD;
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

static bool in_order(const struct place *place, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (by_path(&place[i - 1], &place[i]) > 0)
            return false;
    return true;
}

/* Fills w->look or w->content. */
static rad_status walk(struct walk *w, const char *const *path, int64_t n, int threads, rad_error *err) {
    struct place *place = rad_calloc((size_t)n + 1, sizeof *place);
    if (!place)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory to look at %lld files", (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (path[i])
            place[w->n++] = (struct place){path[i], i};
    if (!in_order(place, w->n)) /* tables are, as a rule */
        qsort(place, (size_t)w->n, sizeof *place, by_path);
    w->place = place;
    rad_status st = run(w, threads, err);
    for (int64_t i = 1; i < w->n && st == RAD_OK; i++)
        if (is_twin(place, i) && w->content)
            memcpy(w->content[place[i].at], w->content[place[i - 1].at], sizeof *w->content);
        else if (is_twin(place, i))
            w->look[place[i].at] = w->look[place[i - 1].at];
    free(place);
    return st;
}

rad_status rad_walk_files(const char *dir, const char *const *path, int64_t n, int threads, rad_file_look *ret, rad_error *err) {
    struct walk w = {.dir = dir, .look = ret};
    return walk(&w, path, n, threads, err);
}

rad_status rad_walk_contents(const char *dir, const char *const *path, int64_t n, int threads, char (*ret)[RAD_XXH128_HEX],
                             rad_error *err) {
    struct walk w = {.dir = dir, .content = ret};
    return walk(&w, path, n, threads, err);
}

bool rad_file_look_same(const rad_file_look *a, const rad_file_look *b) {
    return a->error == b->error && a->bytes == b->bytes && a->inode == b->inode && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds;
}
