/* agreement: what confusion matrices share. Private to src/stats. */
#ifndef RADCOHORT_STATS_AGREEMENT_H
#define RADCOHORT_STATS_AGREEMENT_H

#include "radcohort/stats.h"

typedef enum rad_weights { RAD_WEIGHTS_NONE, RAD_WEIGHTS_LINEAR, RAD_WEIGHTS_QUADRATIC } rad_weights;

typedef struct rad_kappa {
    double n, po, pe, kappa, se, se0; /* se: non-null, for intervals; se0: under kappa = 0, for the z test */
} rad_kappa;
/* Cohen's (weighted) kappa of a k x k table of counts, row-major (Fleiss, Cohen & Everitt 1969). kappa is NaN when pe = 1.
 * Errors: NOMEM. */
rad_status rad_kappa_of(const double *table, int64_t k, rad_weights weights, rad_kappa *ret, rad_error *err) RAD_MUST_CHECK;

#endif
