/* strmap.c: open addressing with linear probing, at most two thirds full. */
#include "strmap.h"

#include <stdlib.h>
#include <string.h>

typedef struct strmap_slot {
    strmap_key key;
    int64_t value; /* -1 = free */
    uint64_t hash;
} slot;

/* FNV-1a over length and bytes of every part, then the 64-bit finaliser of MurmurHash3 so that low bits are good. */
static uint64_t hash_bytes(uint64_t h, const void *p, size_t n) {
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_key(const strmap_key *k) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < 3; i++) {
        const char *s = k->text[i] ? k->text[i] : "";
        size_t n = strlen(s);
        h = hash_bytes(h, &n, sizeof n);
        h = hash_bytes(h, s, n);
    }
    h = hash_bytes(h, k->number, sizeof k->number);
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
    *m = (strmap){0};
}

/* The slot that holds the key, or the free one where it belongs. cap > 0. */
static slot *find(const strmap *m, const strmap_key *key, uint64_t hash) {
    size_t mask = m->cap - 1, i = (size_t)hash & mask;
    while (m->slot[i].value >= 0 && (m->slot[i].hash != hash || !key_equal(&m->slot[i].key, key)))
        i = (i + 1) & mask;
    return &m->slot[i];
}

int64_t strmap_get(const strmap *m, const strmap_key *key) {
    return m->cap ? find(m, key, hash_key(key))->value : -1;
}

static rad_status grow(strmap *m, rad_error *err) {
    strmap next = {.n = m->n, .cap = m->cap ? m->cap * 2 : 64};
    next.slot = rad_realloc(NULL, next.cap, sizeof(slot));
    if (!next.slot)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %zu keys", next.cap);
    for (size_t i = 0; i < next.cap; i++)
        next.slot[i].value = -1;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slot[i].value >= 0)
            *find(&next, &m->slot[i].key, m->slot[i].hash) = m->slot[i];
    free(m->slot);
    *m = next;
    return RAD_OK;
}

rad_status strmap_put(strmap *m, const strmap_key *key, int64_t value, int64_t *ret_old, rad_error *err) {
    if (m->n >= m->cap / 3 * 2) {
        rad_status st = grow(m, err);
        if (st != RAD_OK)
            return st;
    }
    uint64_t hash = hash_key(key);
    slot *s = find(m, key, hash);
    *ret_old = s->value;
    if (s->value < 0) {
        *s = (slot){.key = *key, .value = value, .hash = hash};
        m->n++;
    }
    return RAD_OK;
}
