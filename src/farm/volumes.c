/* volumes.c: reference-counted volumes by path, least recently used thrown out first. Failures are not kept. */
#include "volumes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    char *path;
    rad_volume *volume;
    rad_status st;
    rad_error err;
    int refs;
    bool loading;
    uint64_t used; /* larger = later */
};

struct rad_volumes {
    pthread_mutex_t lock;
    pthread_cond_t loaded;
    struct entry *head;
    size_t idle, idle_max;
    uint64_t clock;
};

rad_status rad_volumes_create(size_t idle_max, rad_volumes **ret, rad_error *err) {
    rad_volumes *v = rad_calloc(1, sizeof *v);
    if (!v)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->loaded, NULL);
    v->idle_max = idle_max;
    *ret = v;
    return RAD_OK;
}

static void drop(rad_volumes *v, struct entry *e) {
    for (struct entry **at = &v->head; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    rad_volume_destroy(&e->volume);
    free(e->path);
    free(e);
}

void rad_volumes_destroy(rad_volumes **vp) {
    rad_volumes *v = *vp;
    if (!v)
        return;
    while (v->head)
        drop(v, v->head);
    pthread_cond_destroy(&v->loaded);
    pthread_mutex_destroy(&v->lock);
    free(v);
    *vp = NULL;
}

/* Called with the lock held. */
static void let_go(rad_volumes *v, struct entry *e) {
    if (--e->refs > 0)
        return;
    if (e->st != RAD_OK) {
        drop(v, e);
        return;
    }
    v->idle += e->volume->bytes;
    e->used = ++v->clock;
    while (v->idle > v->idle_max) {
        struct entry *oldest = NULL;
        for (struct entry *k = v->head; k; k = k->next)
            if (k->refs == 0 && (!oldest || k->used < oldest->used))
                oldest = k;
        v->idle -= oldest->volume->bytes;
        drop(v, oldest);
    }
}

rad_status rad_volumes_get(rad_volumes *v, const char *path, const rad_volume **ret, int64_t *ret_bytes, rad_error *err) {
    *ret_bytes = 0;
    pthread_mutex_lock(&v->lock);
    struct entry *e = v->head;
    while (e && strcmp(e->path, path) != 0)
        e = e->next;
    if (e) {
        if (e->refs++ == 0)
            v->idle -= e->volume->bytes;
        while (e->loading)
            pthread_cond_wait(&v->loaded, &v->lock);
    } else {
        e = rad_calloc(1, sizeof *e);
        char *copy = rad_strdup(path);
        if (!e || !copy) {
            free(e);
            free(copy);
            pthread_mutex_unlock(&v->lock);
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
        }
        e->path = copy;
        e->refs = 1;
        e->loading = true;
        e->next = v->head;
        v->head = e;
        pthread_mutex_unlock(&v->lock);
        rad_volume *volume = NULL;
        rad_error why = {0};
        rad_status st = rad_volume_load(path, &volume, &why);
        if (st == RAD_E_IO) /* file servers hiccup */
            st = rad_volume_load(path, &volume, &why);
        pthread_mutex_lock(&v->lock);
        e->volume = volume;
        e->st = st;
        e->err = why;
        e->loading = false;
        pthread_cond_broadcast(&v->loaded);
        if (st == RAD_OK)
            *ret_bytes = (int64_t)volume->info.file_bytes;
    }
    rad_status st = e->st;
    if (st == RAD_OK) {
        *ret = e->volume;
    } else {
        (void)rad_error_set(err, st, "%s", e->err.text);
        let_go(v, e);
    }
    pthread_mutex_unlock(&v->lock);
    return st;
}

void rad_volumes_release(rad_volumes *v, const rad_volume *volume) {
    pthread_mutex_lock(&v->lock);
    for (struct entry *e = v->head; e; e = e->next)
        if (!e->loading && e->volume == volume) {
            let_go(v, e);
            break;
        }
    pthread_mutex_unlock(&v->lock);
}
