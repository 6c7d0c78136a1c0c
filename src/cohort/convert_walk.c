/* convert_walk.c: the files of a DICOM tree, and which of them make a series. Links to folders are not followed, so that no tree is
 * endless. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert_impl.h"
#include "strmap.h"
#include "utf8.h"

enum { MAX_TOLD = 20 };

void convert_show_path(const char *path, char out[200]) {
    size_t n = strlen(path), from = n > 190 ? n - 190 : 0;
    while (from < n && ((unsigned char)path[from] & 0xC0) == 0x80)
        from++;
    snprintf(out, 200, "%s%s", from ? "..." : "", path + from);
    for (char *s = out; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            *s = '?';
    utf8_scrub(out);
}

static void tell(convert *c, int64_t *n, const char *path, const char *text) {
    char shown[200];
    convert_show_path(path, shown);
    if ((*n)++ < MAX_TOLD)
        rad_issues_add(c->issues, RAD_SEVERITY_WARNING, shown, 0, NULL, "%s", text);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the files of the DICOM tree");
}

static rad_status add_file(convert *c, char *path, rad_error *err) {
    if (c->n_file >= RAD_MAX_CONVERT_FILES)
        return rad_error_set(err, RAD_E_LIMIT, "more than %lld files below '%.200s': convert its folders one by one",
                             (long long)RAD_MAX_CONVERT_FILES, c->opts->source);
    if (c->n_file == c->cap_file) {
        int64_t cap = c->cap_file ? c->cap_file * 2 : 1024;
        convert_file *f = rad_realloc(c->file, (size_t)cap, sizeof *f);
        if (!f)
            return no_memory(err);
        c->file = f;
        c->cap_file = cap;
    }
    c->file[c->n_file++] = (convert_file){.path = path, .series = -1, .next = -1};
    return RAD_OK;
}

/* Names of a folder, sorted: the same tree gives the same order on every file system. */
static rad_status list_folder(convert *c, const char *dir, char ***ret, size_t *ret_n, rad_error *err) {
    size_t n = 0, cap = 0;
    char **name = NULL;
    rad_status st = RAD_OK;
    DIR *d = opendir(dir);
    if (!d) {
        tell(c, &c->out->n_unreadable, dir, "the folder cannot be opened: nothing in it is converted");
        *ret_n = 0;
        return RAD_OK;
    }
    errno = 0;
    for (struct dirent *e = readdir(d); e && st == RAD_OK; errno = 0, e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            char **p = rad_realloc(name, cap, sizeof *p);
            if (!p) {
                st = no_memory(err);
                break;
            }
            name = p;
        }
        if (!(name[n] = rad_strdup(e->d_name)))
            st = no_memory(err);
        else
            n++;
    }
    if (st == RAD_OK && errno != 0)
        tell(c, &c->out->n_unreadable, dir, "the folder cannot be read to its end: what is missing is not converted");
    closedir(d);
    if (n)
        qsort(name, n, sizeof *name, by_name);
    *ret = name;
    *ret_n = n;
    return st;
}

static rad_status walk(convert *c, const char *dir, int depth, rad_error *err) {
    char **name = NULL;
    size_t n = 0;
    rad_status st = list_folder(c, dir, &name, &n, err);
    for (size_t i = 0; i < n && st == RAD_OK; i++) {
        char *path = rad_path_join(dir, name[i]);
        struct stat s;
        if (!path) {
            st = no_memory(err);
            break;
        }
        bool is_link = false, ok = lstat(path, &s) == 0;
        if (ok && S_ISLNK(s.st_mode)) {
            is_link = true;
            ok = stat(path, &s) == 0;
        }
        if (!ok) {
            tell(c, &c->out->n_unreadable, path, is_link ? "a link that leads nowhere" : "the file cannot be looked at");
        } else if (S_ISDIR(s.st_mode) && is_link) {
            tell(c, &c->out->n_link, path, "a link to a folder is not followed: convert that folder by its own name");
        } else if (S_ISDIR(s.st_mode) && depth >= RAD_MAX_CONVERT_DEPTH) {
            tell(c, &c->out->n_unreadable, path, "folders are nested too deep: nothing in it is converted");
        } else if (S_ISDIR(s.st_mode)) {
            char *real = realpath(path, NULL);
            bool is_target = real && strcmp(real, c->cohort) == 0; /* the cohort folder may lie inside the tree */
            free(real);
            if (!is_target)
                st = walk(c, path, depth + 1, err);
        } else if (S_ISREG(s.st_mode)) {
            st = add_file(c, path, err);
            if (st == RAD_OK)
                path = NULL;
        }
        free(path);
    }
    for (size_t i = 0; i < n; i++)
        free(name[i]);
    free(name);
    return st;
}

rad_status convert_walk(convert *c, rad_error *err) {
    struct stat s;
    if (stat(c->source, &s) != 0 || !S_ISDIR(s.st_mode))
        return rad_error_set(err, RAD_E_USAGE, "'%.300s' is no folder: the folder with the DICOM files was expected", c->source);
    rad_status st = walk(c, c->source, 0, err);
    c->out->n_file = c->n_file;
    return st;
}

/* ---------------------------------------------------------------- headers, in parallel */

typedef struct gather {
    convert *c;
    _Atomic int64_t next;
    pthread_mutex_t lock;
    strmap map; /* patient, study, series -> series */
    rad_status st;
    rad_error err;
} gather;

static bool is_directory_file(const dicom_series *s) {
    return strcmp(s->text[DICOM_SOP_CLASS], "1.2.840.10008.1.3.10") == 0; /* DICOMDIR */
}

static void widen(dicom_series *into, const dicom_series *from) {
    for (int k = 0; k < DICOM_NUMBER_COUNT; k++) {
        if (isnan(into->low[k]) || from->low[k] < into->low[k])
            into->low[k] = from->low[k];
        if (isnan(into->high[k]) || from->high[k] > into->high[k])
            into->high[k] = from->high[k];
    }
}

/* Under the lock. The result does not depend on the order in which threads come: texts are those of the first file by path. */
static rad_status add_instance(gather *g, int64_t index, const dicom_series *head, rad_error *err) {
    convert *c = g->c;
    int64_t old = -1;
    char who[2 * DICOM_TEXT + 2];
    snprintf(who, sizeof who, "%s\\%s", head->text[DICOM_PATIENT_ID], head->text[DICOM_ISSUER]);
    strmap_key key = {.text = {who, head->text[DICOM_STUDY_UID], head->text[DICOM_SERIES_UID]}};
    int64_t k = strmap_get(&g->map, &key);
    if (k < 0) {
        if (c->n_series == c->cap_series) {
            int64_t cap = c->cap_series ? c->cap_series * 2 : 64;
            convert_series *p = rad_realloc(c->series, (size_t)cap, sizeof *p);
            if (!p)
                return no_memory(err);
            c->series = p;
            c->cap_series = cap;
        }
        k = c->n_series;
        for (int i = 0; i < 3; i++)
            if (!(key.text[i] = arena_strdup(c->arena, key.text[i])))
                return no_memory(err);
        if (strmap_put(&g->map, &key, k, &old, err) != RAD_OK)
            return RAD_E_NOMEM;
        c->series[c->n_series++] = (convert_series){.head = *head, .first = index, .last = -1, .patient = -1, .center = -1};
    } else {
        dicom_series wide = index < c->series[k].first ? *head : c->series[k].head;
        widen(&wide, index < c->series[k].first ? &c->series[k].head : head);
        c->series[k].head = wide;
        if (index < c->series[k].first)
            c->series[k].first = index;
    }
    convert_series *s = &c->series[k];
    c->file[index].series = k;
    c->file[index].next = s->last;
    s->last = index;
    s->n_file++;
    return RAD_OK;
}

static void *read_some(void *payload) {
    gather *g = payload;
    convert *c = g->c;
    dicom_series *head = rad_malloc(sizeof *head);
    for (;;) {
        int64_t i = atomic_fetch_add(&g->next, 1);
        rad_error err = {0};
        bool is_dicom = false;
        if (i >= c->n_file)
            break;
        convert_file *f = &c->file[i];
        rad_status st = head ? dicom_read(f->path, &is_dicom, head, &f->i, &f->size, &f->mtime, &err) : no_memory(&err);
        pthread_mutex_lock(&g->lock);
        if (st == RAD_OK && is_dicom && !is_directory_file(head))
            st = add_instance(g, i, head, &err);
        c->out->n_dicom += is_dicom;
        c->out->n_other += st == RAD_OK && !is_dicom;
        if (st == RAD_E_NOMEM && g->st == RAD_OK) {
            g->st = st;
            g->err = err;
        } else if (st != RAD_OK) {
            f->why = rad_strdup(err.text);
        }
        bool stop = g->st != RAD_OK;
        pthread_mutex_unlock(&g->lock);
        if (stop)
            break;
    }
    free(head);
    return NULL;
}

typedef struct ordered {
    int64_t instance, index;
    uint64_t sop[2], size;
} ordered;

static int by_instance(const void *a, const void *b) {
    const ordered *x = a, *y = b;
    if (x->instance != y->instance)
        return x->instance < y->instance ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_sop(const void *a, const void *b) {
    const ordered *x = a, *y = b;
    for (int i = 0; i < 2; i++)
        if (x->sop[i] != y->sop[i])
            return x->sop[i] < y->sop[i] ? -1 : 1;
    if (x->size != y->size) /* what a broken copy left is no image */
        return x->size > y->size ? -1 : 1;
    return by_instance(a, b);
}

/* Files of a series in order; copies of one instance count once (the longest stays, of several the first by path). */
static rad_status order_files(convert *c, convert_series *s, rad_error *err) {
    ordered *o = rad_calloc((size_t)s->n_file, sizeof *o);
    s->file = arena_alloc(c->arena, (size_t)s->n_file, sizeof *s->file);
    if (!o || !s->file) {
        free(o);
        return no_memory(err);
    }
    int64_t n = 0, kept = 0;
    for (int64_t i = s->last; i >= 0; i = c->file[i].next)
        o[n++] = (ordered){c->file[i].i.instance, i, {c->file[i].i.sop[0], c->file[i].i.sop[1]}, c->file[i].size};
    qsort(o, (size_t)n, sizeof *o, by_sop);
    for (int64_t i = 0; i < n; i++) {
        bool same = kept > 0 && (o[i].sop[0] || o[i].sop[1]) && o[i].sop[0] == o[kept - 1].sop[0] && o[i].sop[1] == o[kept - 1].sop[1];
        if (!same)
            o[kept++] = o[i];
    }
    qsort(o, (size_t)kept, sizeof *o, by_instance);
    for (int64_t i = 0; i < kept; i++)
        s->file[i] = o[i].index;
    s->n_duplicate = n - kept;
    s->n_file = kept;
    c->out->n_duplicate += n - kept;
    free(o);
    return RAD_OK;
}

static int by_first(const void *a, const void *b) {
    const convert_series *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

rad_status convert_read_headers(convert *c, rad_error *err) {
    gather g = {.c = c};
    pthread_t thread[RAD_MAX_CONVERT_JOBS];
    int n = 0;
    pthread_mutex_init(&g.lock, NULL);
    while (n < c->opts->jobs && n < RAD_MAX_CONVERT_JOBS && pthread_create(&thread[n], NULL, read_some, &g) == 0)
        n++;
    if (n == 0)
        read_some(&g);
    for (int i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&g.lock);
    strmap_release(&g.map);
    if (g.st != RAD_OK) {
        if (err)
            *err = g.err;
        return g.st;
    }
    for (int64_t i = 0; i < c->n_file; i++)
        if (c->file[i].why)
            tell(c, &c->out->n_unreadable, c->file[i].path, c->file[i].why);
    if (c->n_series)
        qsort(c->series, (size_t)c->n_series, sizeof *c->series, by_first);
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < c->n_series && st == RAD_OK; i++) {
        for (int64_t f = c->series[i].last; f >= 0; f = c->file[f].next)
            c->file[f].series = i;
        st = order_files(c, &c->series[i], err);
    }
    c->out->n_series = c->n_series;
    return st;
}
