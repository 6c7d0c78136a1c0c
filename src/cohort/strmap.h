/* strmap.h (private to src/cohort): keys of one to three parts -> a row number. Keys are borrowed: they must outlive the map.
 * A part is a text or a number; ("P1", 3) and ("P13", "") differ because every part is hashed with its length. */
#ifndef RAD_COHORT_STRMAP_H
#define RAD_COHORT_STRMAP_H

#include "radcohort/base.h"

typedef struct strmap_key {
    const char *text[3]; /* NULL counts as "" */
    int64_t number[2];
} strmap_key;

typedef struct strmap {
    struct strmap_slot *slot;
    strmap_key *key; /* of each slot; none where `same` tells */
    size_t n, cap;   /* cap is a power of two or 0 */
    /* Whether row `value` of `rows` has the key: a large map does without copies of its keys. Set before the first use, or NULL. */
    bool (*same)(const void *rows, int64_t value, const strmap_key *key);
    const void *rows;
} strmap;

void strmap_release(strmap *m);
/* The value under `key`, or -1. */
int64_t strmap_get(const strmap *m, const strmap_key *key);
/* Puts `value` unless the key is there already; *ret_old gets the value that was there, or -1. Errors: NOMEM. */
rad_status strmap_put(strmap *m, const strmap_key *key, int64_t value, int64_t *ret_old, rad_error *err) RAD_MUST_CHECK;

#endif
