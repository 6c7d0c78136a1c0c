/* copies.h (private to src/store): images that two patients share, exactly or nearly. */
#ifndef RAD_STORE_COPIES_H
#define RAD_STORE_COPIES_H

#include "db.h"

#define RAD_NEAR_COPY 0.95        /* least cosine between the signatures of near copies */
#define RAD_NEAR_COPY_OWN 0.8     /* the same once the mean of their sequence is taken off, ... */
#define RAD_COPY_MEAN_OF 10       /* ... which is done from so many images of the sequence on */
#define RAD_MAX_COPY_PAIRS 10000  /* kept of one run: beyond that something else is wrong with the cohort */
#define RAD_MAX_COPY_WARNINGS 100 /* of those; all pairs are rows of v_near_copy */

typedef struct rad_copy_item {
    int64_t volume, patient, image;
    char *signature; /* hexadecimal digits, or NULL */
    char *sequence;
} rad_copy_item;
/* `a` comes before `b` in the list. same: one volume. */
typedef rad_status rad_copy_fn(void *payload, int64_t a, int64_t b, double similarity, bool same, rad_error *err);
/* Every pair of items of different patients that have one volume, or signatures of one sequence and length that are near by both measures.
 * No pair is missed; the order of the calls depends on the items only. `similarity`: the cosine without the mean where that is taken.
 * Errors: NOMEM, what `each` returns. */
rad_status rad_copies_find(const rad_copy_item *item, int64_t n_item, rad_copy_fn *each, void *payload, rad_error *err) RAD_MUST_CHECK;
/* The run's pairs into near_copy, the first of them as warnings. */
rad_status rad_finish_copies(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;

#endif
