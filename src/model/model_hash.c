/* model_hash.c: the identity of a model's file, found while the file is already being read for other things, and whether it is still the
 * same when the last of them is done. */
#include "model_internal.h"

#include <stdlib.h>
#include <string.h>

static void hash(struct rad_model_hasher *h) {
    h->status = rad_map_xxh128(&h->map, false, h->seed, h->quick, h->sha256, &h->err);
}

static void *hasher_main(void *hasher) {
    hash(hasher);
    return NULL;
}

rad_status rad_hasher_start(const void *data, size_t size, bool own_thread, struct rad_model_hasher **ret, rad_error *err) {
    struct rad_model_hasher *h = rad_calloc(1, sizeof *h);
    if (!h)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a model");
    h->map = (rad_map){.data = data, .size = size};
    rad_status st = rad_random_bytes(&h->seed, sizeof h->seed, err);
    if (st != RAD_OK) {
        free(h);
        return st;
    }
    (void)pthread_mutex_init(&h->lock, NULL);
    h->running = own_thread && pthread_create(&h->thread, NULL, hasher_main, h) == 0;
    if (!h->running)
        hash(h);
    *ret = h;
    return RAD_OK;
}

static void join(struct rad_model_hasher *h) {
    (void)pthread_mutex_lock(&h->lock);
    if (h->running)
        (void)pthread_join(h->thread, NULL);
    h->running = false;
    (void)pthread_mutex_unlock(&h->lock);
}

rad_status rad_hasher_wait(struct rad_model_hasher *h, rad_error *err) {
    join(h);
    return h->status == RAD_OK ? RAD_OK : rad_error_set(err, h->status, "%s", h->err.text);
}

rad_status rad_hasher_compare(struct rad_model_hasher *h, bool *ret_same, rad_error *err) {
    char now[RAD_XXH128_HEX];
    rad_status st = rad_hasher_wait(h, err);
    if (st == RAD_OK)
        st = rad_map_xxh128(&h->map, true, h->seed, now, NULL, err);
    if (st == RAD_OK)
        *ret_same = strcmp(now, h->quick) == 0;
    return st;
}

void rad_hasher_destroy(struct rad_model_hasher **ph) {
    struct rad_model_hasher *h = *ph;
    *ph = NULL;
    if (!h)
        return;
    join(h);
    (void)pthread_mutex_destroy(&h->lock);
    free(h);
}
