/* rank: order-preserving keys, radix sort and mid-ranks for scores. Private to src/stats.
 *
 * Ties are decided by exact equality of doubles (0.1 + 0.2 is not 0.3); -0.0 and 0.0 are one value.
 */
#ifndef RADCOHORT_STATS_RANK_H
#define RADCOHORT_STATS_RANK_H

#include <string.h>

#include "radcohort/base.h"

/* Maps a finite or infinite double to an unsigned integer of the same order. x must not be NaN. */
static inline uint64_t rad_key_of(double x) {
    uint64_t u;
    x += 0.0; /* -0.0 becomes 0.0 */
    memcpy(&u, &x, sizeof u);
    return (u & 0x8000000000000000u) ? ~u : u | 0x8000000000000000u;
}

static inline double rad_key_value(uint64_t k) {
    double x;
    k = (k & 0x8000000000000000u) ? k & 0x7fffffffffffffffu : ~k;
    memcpy(&x, &k, sizeof x);
    return x;
}

/* Sorts key[0..n) upwards; O(n), stable. Errors: NOMEM. */
rad_status rad_key_sort(uint64_t *key, int64_t n, rad_error *err) RAD_MUST_CHECK;
/* The same with a payload: index[i] travels with key[i]. */
rad_status rad_key_sort_index(uint64_t *key, int64_t *index, int64_t n, rad_error *err) RAD_MUST_CHECK;
/* Order of x[0..n) (no NaN): x[order[0]] <= x[order[1]] <= ...; equal values keep their order. */
rad_status rad_order(const double *x, int64_t n, int64_t *ret_order, rad_error *err) RAD_MUST_CHECK;
/* Mid-ranks, 1-based: the mean of the places that equal values share. Returns in *ret_ties sum(t^3 - t) over groups (may be NULL). */
rad_status rad_midranks(const double *x, int64_t n, double *ret_rank, double *ret_ties, rad_error *err) RAD_MUST_CHECK;

#endif
