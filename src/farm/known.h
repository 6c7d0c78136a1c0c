/* known.h (private to src/farm): the content keys of the results that the database holds already. What is among them is not computed. */
#ifndef RAD_FARM_KNOWN_H
#define RAD_FARM_KNOWN_H

#include "radcohort/base.h"

#define RAD_MAX_KNOWN_KEYS 4000000 /* 32 bytes each on every rank; results beyond are computed again, and stored once all the same */

typedef struct rad_known { /* read-only while workers use it */
    uint8_t *key;          /* [n, RAD_SHA256_BYTES], ascending; owned */
    int64_t n;
} rad_known;

void rad_known_release(rad_known *k);
/* Appends `n` keys, each above the one before. Errors: COMM (not ascending), LIMIT, NOMEM. */
rad_status rad_known_append(rad_known *k, const uint8_t *key, int64_t n, rad_error *err) RAD_MUST_CHECK;
/* `hex`: 64 lower-case digits; anything else is not among them. `k` may be NULL. */
bool rad_known_has(const rad_known *k, const char *hex);

#endif
