/* volumes.c: reference-counted images by path, least recently used thrown out first. Failures are not kept.
 *
 * Two kinds of locks: the table's, held for a moment, and each image's own, held while its file is read, so that images are read side by
 * side. An image keeps what was read of it; a further reading that wants more takes both ranges, and the smaller volume stays until nobody
 * uses the image. */
#include "volumes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    struct kept *next;
    rad_volume *volume;
};

/* Images kept beside those in use, however small they are: the table is a list, a lesion's neighbour is among the last, and blocks that lie
 * here are not there for the next volume. */
#define MAX_IDLE_IMAGES 32

struct rad_shared_image {
    rad_shared_image *next;
    char *path;
    rad_volume_pick pick; /* of these, which are owned */
    int64_t *volumes;
    char *text;
    int refs;      /* the table's lock */
    uint64_t used; /* the table's lock; larger = later */
    size_t idle;   /* the table's lock: bytes counted as idle */
    bool rests;    /* the table's lock: counted in n_idle */
    pthread_mutex_t lock;
    rad_image_file *file; /* closed while nobody uses the image */
    rad_image_info info;  /* of its header; without warning; read without the lock by those who opened it, so it is written once */
    bool told;            /* it is there */
    rad_volume *volume;   /* the widest so far */
    struct kept *older;
};

struct rad_volumes {
    pthread_mutex_t lock;
    rad_volumes_opts o;
    rad_shared_image *head;
    rad_spare *spare;
    size_t idle;
    int n_idle;
    uint64_t clock;
};

rad_status rad_volumes_create(const rad_volumes_opts *o, rad_volumes **ret, rad_error *err) {
    rad_volumes *v = rad_calloc(1, sizeof *v);
    if (!v)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    rad_status st = rad_spare_create(o->idle_max, &v->spare, err);
    if (st != RAD_OK) {
        free(v);
        return st;
    }
    pthread_mutex_init(&v->lock, NULL);
    v->o = *o;
    *ret = v;
    return RAD_OK;
}

static void drop_older(rad_shared_image *e) {
    while (e->older) {
        struct kept *k = e->older;
        e->older = k->next;
        rad_volume_destroy(&k->volume);
        free(k);
    }
}

static void free_names(rad_shared_image *e) {
    free(e->path);
    free(e->volumes);
    free(e->text);
}

/* Copies of what tells it from the others; false when memory is out. */
static bool name_image(rad_shared_image *e, const char *path, const rad_volume_pick *pick) {
    e->volumes = rad_calloc((size_t)pick->n + 1, sizeof *e->volumes);
    e->text = rad_strdup(pick->text);
    e->path = rad_strdup(path);
    e->pick = (rad_volume_pick){pick->n, pick->total, e->volumes, e->text};
    for (int64_t i = 0; e->volumes && i < pick->n; i++)
        e->volumes[i] = pick->volume[i];
    return e->path && e->volumes && e->text;
}

static void drop(rad_volumes *v, rad_shared_image *e) {
    for (rad_shared_image **at = &v->head; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    v->idle -= e->idle;
    v->n_idle -= e->rests;
    drop_older(e);
    rad_volume_destroy(&e->volume);
    rad_image_file_close(&e->file);
    pthread_mutex_destroy(&e->lock);
    free_names(e);
    free(e);
}

void rad_volumes_destroy(rad_volumes **vp) {
    rad_volumes *v = *vp;
    if (!v)
        return;
    while (v->head)
        drop(v, v->head);
    rad_spare_destroy(&v->spare);
    pthread_mutex_destroy(&v->lock);
    free(v);
    *vp = NULL;
}

/* ---------------------------------------------------------------- in and out of the table */

/* The entry for these volumes of `path`, one reference more. */
static rad_shared_image *take(rad_volumes *v, const char *path, const rad_volume_pick *pick) {
    pthread_mutex_lock(&v->lock);
    rad_shared_image *e = v->head;
    while (e && (strcmp(e->path, path) != 0 || strcmp(e->pick.text, pick->text) != 0))
        e = e->next;
    if (!e && (e = rad_calloc(1, sizeof *e))) {
        if (name_image(e, path, pick)) {
            pthread_mutex_init(&e->lock, NULL);
            e->next = v->head;
            v->head = e;
        } else {
            free_names(e);
            free(e);
            e = NULL;
        }
    }
    if (e) {
        e->refs++;
        v->idle -= e->idle;
        v->n_idle -= e->rests;
        e->idle = 0;
        e->rests = false;
    }
    pthread_mutex_unlock(&v->lock);
    return e;
}

void rad_volumes_close(rad_volumes *v, rad_shared_image **image) {
    rad_shared_image *e = *image;
    *image = NULL;
    if (!e)
        return;
    pthread_mutex_lock(&v->lock);
    if (--e->refs == 0) { /* nobody holds its lock, nobody can get at it but through the table */
        drop_older(e);
        rad_image_file_close(&e->file);
        e->used = ++v->clock;
        e->idle = e->volume ? e->volume->bytes : 0;
        v->idle += e->idle;
        e->rests = true;
        v->n_idle++;
        if (!e->volume)
            drop(v, e);
    }
    while (v->idle > v->o.idle_max || v->n_idle > MAX_IDLE_IMAGES) {
        rad_shared_image *oldest = NULL;
        for (rad_shared_image *k = v->head; k; k = k->next)
            if (k->refs == 0 && (!oldest || k->used < oldest->used))
                oldest = k;
        drop(v, oldest);
    }
    pthread_mutex_unlock(&v->lock);
}

/* ---------------------------------------------------------------- reading; with the image's lock held */

static rad_status open_file(const rad_volumes *v, rad_shared_image *e, rad_error *err) {
    if (e->file)
        return RAD_OK;
    rad_status st = rad_image_file_open(e->path, v->o.cache, &e->file, err);
    if (st == RAD_E_IO) /* file servers hiccup */
        st = rad_image_file_open(e->path, v->o.cache, &e->file, err);
    if (st == RAD_OK && e->pick.n > 0)
        st = rad_image_file_select(e->file, e->pick.volume, e->pick.n, e->pick.total, err);
    if (st == RAD_OK)
        rad_image_file_use_spare(e->file, v->spare);
    else
        rad_image_file_close(&e->file);
    return st;
}

static bool covers(const rad_volume *v, rad_planes p) {
    int64_t plane = v->info.dim[0] * v->info.dim[1], all = plane;
    for (int d = 2; d < 7; d++)
        all *= v->info.dim[d];
    int64_t have = (int64_t)(v->bytes / rad_voxel_size(v->info.type)), from = p.end < 0 ? 0 : p.first * plane,
            to = p.end < 0 ? all : p.end * plane;
    return v->first <= from && to <= v->first + have;
}

/* Both what is there and what is wanted: a third lesion often lies between. */
static rad_planes widen(const rad_volume *v, rad_planes p) {
    int64_t plane = v->info.dim[0] * v->info.dim[1], have = (int64_t)(v->bytes / rad_voxel_size(v->info.type)), first = v->first / plane,
            end = (v->first + have) / plane;
    if (p.end >= 0) {
        p.first = first < p.first ? first : p.first;
        p.end = end > p.end ? end : p.end;
    }
    return p;
}

static rad_status read_planes(rad_volumes *v, rad_shared_image *e, rad_planes planes, rad_error *err) {
    rad_volume *volume = NULL;
    struct kept *k = e->volume ? rad_calloc(1, sizeof *k) : NULL;
    if (e->volume && !k)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for an image");
    if (e->volume)
        planes = widen(e->volume, planes);
    rad_status st = open_file(v, e, err);
    if (st == RAD_OK)
        st = rad_image_file_read(e->file, planes.first, planes.end, v->o.verify, &volume, err);
    if (st == RAD_E_IO) {
        rad_image_file_close(&e->file);
        st = open_file(v, e, err);
        if (st == RAD_OK)
            st = rad_image_file_read(e->file, planes.first, planes.end, v->o.verify, &volume, err);
    }
    if (st != RAD_OK) {
        free(k);
        return st;
    }
    if (k) {
        *k = (struct kept){e->older, e->volume};
        e->older = k;
    }
    e->volume = volume;
    return RAD_OK;
}

rad_status rad_volumes_open(rad_volumes *v, const char *path, const rad_volume_pick *pick, rad_shared_image **ret, rad_error *err) {
    static const rad_volume_pick none = {.text = ""};
    rad_shared_image *e = take(v, path, pick ? pick : &none);
    if (!e)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    pthread_mutex_lock(&e->lock);
    rad_status st = e->volume ? RAD_OK : open_file(v, e, err);
    if (st == RAD_OK && !e->told) {
        e->info = *rad_image_file_info(e->file);
        e->info.warning = NULL;
        e->told = true;
    }
    pthread_mutex_unlock(&e->lock);
    if (st == RAD_OK)
        *ret = e;
    else
        rad_volumes_close(v, &e);
    return st;
}

const rad_image_info *rad_shared_info(const rad_shared_image *e) {
    return &e->info;
}

/* The file's own counts. */
static rad_read_cost cost_of(const rad_shared_image *e) {
    return e->file ? (rad_read_cost){(int64_t)rad_image_file_bytes_read(e->file), rad_image_file_inflate_seconds(e->file)}
                   : (rad_read_cost){0, 0};
}

/* What they moved by; a file that was opened anew counts from 0. */
static rad_read_cost cost_since(const rad_shared_image *e, rad_read_cost before) {
    const rad_read_cost now = cost_of(e);
    if (now.bytes < before.bytes)
        return now;
    return (rad_read_cost){now.bytes - before.bytes, now.inflate_s > before.inflate_s ? now.inflate_s - before.inflate_s : 0};
}

rad_status rad_shared_content(rad_volumes *v, rad_shared_image *e, char ret[RAD_XXH128_HEX], char **ret_warning, rad_read_cost *ret_cost,
                              rad_error *err) {
    rad_status st = RAD_OK;
    pthread_mutex_lock(&e->lock);
    rad_read_cost before = cost_of(e);
    if (e->volume)
        memcpy(ret, e->volume->content, RAD_XXH128_HEX);
    else if ((st = open_file(v, e, err)) == RAD_OK)
        st = rad_image_file_content(e->file, ret, err);
    if (st == RAD_E_IO) {
        rad_image_file_close(&e->file);
        before = (rad_read_cost){0, 0};
        st = open_file(v, e, err);
        if (st == RAD_OK)
            st = rad_image_file_content(e->file, ret, err);
    }
    *ret_cost = cost_since(e, before);
    const char *warning = st != RAD_OK ? NULL : e->volume ? e->volume->info.warning : rad_image_file_info(e->file)->warning;
    *ret_warning = warning ? rad_strdup(warning) : NULL;
    if (warning && !*ret_warning)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a warning");
    pthread_mutex_unlock(&e->lock);
    return st;
}

rad_status rad_shared_read(rad_volumes *v, rad_shared_image *e, rad_planes planes, const rad_volume **ret, rad_read_cost *ret_cost,
                           rad_error *err) {
    rad_status st = RAD_OK;
    *ret_cost = (rad_read_cost){0, 0};
    pthread_mutex_lock(&e->lock);
    if (!e->volume || !covers(e->volume, planes)) {
        const rad_read_cost before = cost_of(e);
        st = read_planes(v, e, planes, err);
        *ret_cost = cost_since(e, before);
    }
    *ret = e->volume;
    pthread_mutex_unlock(&e->lock);
    return st;
}
