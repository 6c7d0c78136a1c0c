/* known.c: see known.h. */
#include "known.h"

#include <stdlib.h>
#include <string.h>

void rad_known_release(rad_known *k) {
    free(k->key);
    *k = (rad_known){0};
}

rad_status rad_known_append(rad_known *k, const uint8_t *key, int64_t n, rad_error *err) {
    if (n < 0 || n > RAD_MAX_KNOWN_KEYS - k->n)
        return rad_error_set(err, RAD_E_LIMIT, "more than %d keys of stored results", RAD_MAX_KNOWN_KEYS);
    const uint8_t *before = k->n > 0 ? k->key + (k->n - 1) * RAD_SHA256_BYTES : NULL;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *at = key + i * RAD_SHA256_BYTES;
        if (before && memcmp(before, at, RAD_SHA256_BYTES) >= 0)
            return rad_error_set(err, RAD_E_COMM, "the keys of stored results are not in order; do all ranks run the same radcohort?");
        before = at;
    }
    if (n == 0)
        return RAD_OK;
    uint8_t *all = rad_malloc((size_t)(k->n + n) * RAD_SHA256_BYTES);
    if (!all)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld keys of stored results", (long long)(k->n + n));
    if (k->n > 0)
        memcpy(all, k->key, (size_t)k->n * RAD_SHA256_BYTES);
    memcpy(all + k->n * RAD_SHA256_BYTES, key, (size_t)n * RAD_SHA256_BYTES);
    free(k->key);
    k->key = all;
    k->n += n;
    return RAD_OK;
}

static int compare(const void *a, const void *b) {
    return memcmp(a, b, RAD_SHA256_BYTES);
}

bool rad_known_has(const rad_known *k, const char *hex) {
    uint8_t key[RAD_SHA256_BYTES];
    return k && k->n > 0 && rad_sha256_bytes(hex, key) && bsearch(key, k->key, (size_t)k->n, RAD_SHA256_BYTES, compare);
}
