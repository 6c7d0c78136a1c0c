/* strmap.c: open addressing with linear probing, at most two thirds full. */
#include "strmap.h"

#include <stdlib.h>
#include <string.h>

typedef struct strmap_slot {
    int64_t value; /* -1 = free */
    uint64_t hash;
} slot;

/* Eight bytes at a time over length and bytes of every part, then the 64-bit finaliser of
 * MurmurHash3 so that low bits are good. */
static uint64_t step(uint64_t h, uint64_t word) {
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 32);
}

static uint64_t hash_key(const strmap_key *k) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < 3; i++) {
        const char *s = k->text[i] ? k->text[i] : "";
        const size_t n = strlen(s);
        h = step(h, n);
        for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
            uint64_t word = 0;
            memcpy(&word, s + at, n - at < sizeof word ? n - at : sizeof word);
            h = step(h, word);
        }
    }
    h = step(step(h, (uint64_t)k->number[0]), (uint64_t)k->number[1]);
    h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

static bool key_equal(const strmap_key *a, const strmap_key *b) {
    for (int i = 0; i < 3; i++)
        if (strcmp(a->text[i] ? a->text[i] : "", b->text[i] ? b->text[i] : "") != 0)
            return false;
    return a->number[0] == b->number[0] && a->number[1] == b->number[1];
}

void strmap_release(strmap *m) {
    free(m->slot);
    free(m->key);
    *m = (strmap){0};
}

/* The slot that holds the key, or the free one where it belongs. cap > 0. */
static size_t find(const strmap *m, const strmap_key *key, uint64_t hash) {
    size_t mask = m->cap - 1, i = (size_t)hash & mask;
    while (m->slot[i].value >= 0 &&
           (m->slot[i].hash != hash || !(m->same ? m->same(m->rows, m->slot[i].value, key) : key_equal(&m->key[i], key))))
        i = (i + 1) & mask;
    return i;
}

int64_t strmap_get(const strmap *m, const strmap_key *key) {
    return m->cap ? m->slot[find(m, key, hash_key(key))].value : -1;
}

static rad_status grow(strmap *m, rad_error *err) {
    strmap next = *m;
    next.cap = m->cap ? m->cap * 2 : 64;
    next.slot = rad_realloc(NULL, next.cap, sizeof *next.slot);
    next.key = m->same ? NULL : rad_realloc(NULL, next.cap, sizeof *next.key);
    if (!next.slot || !(m->same || next.key)) {
        free(next.slot);
        free(next.key);
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %zu keys", next.cap);
    }
    for (size_t i = 0; i < next.cap; i++)
        next.slot[i].value = -1;
    for (size_t i = 0; i < m->cap; i++) {
        size_t k = (size_t)m->slot[i].hash & (next.cap - 1);
        if (m->slot[i].value < 0)
            continue;
        while (next.slot[k].value >= 0)
            k = (k + 1) & (next.cap - 1);
        next.slot[k] = m->slot[i];
        if (next.key)
            next.key[k] = m->key[i];
    }
    free(m->slot);
    free(m->key);
    *m = next;
    return RAD_OK;
}

rad_status strmap_put(strmap *m, const strmap_key *key, int64_t value, int64_t *ret_old, rad_error *err) {
    if (m->n >= m->cap / 3 * 2) {
        rad_status st = grow(m, err);
        if (st != RAD_OK)
            return st;
    }
    const uint64_t hash = hash_key(key);
    const size_t i = find(m, key, hash);
    *ret_old = m->slot[i].value;
    if (*ret_old < 0) {
        m->slot[i] = (slot){.value = value, .hash = hash};
        if (m->key)
            m->key[i] = *key;
        m->n++;
    }
    return RAD_OK;
}
