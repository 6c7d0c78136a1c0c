/* stats: pure statistics. No files, no SQL, no clock. GSL for distributions, linear algebra and minimisation.
 *
 * Conventions: label 1 = positive, 0 = negative; higher score = more positive; ties count one half (mid-ranks); a missing score is NaN and
 * is counted, not used. An undefined result is NaN with a reason (static text), never 0 and never an error. Every docstring states the
 * formula's source.
 */
#ifndef RADCOHORT_STATS_H
#define RADCOHORT_STATS_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One estimate with its interval. NaN = undefined; `reason` then says why (static storage), else NULL. */
typedef struct rad_estimate {
    double est, se, lower, upper, p;
    int64_t n, n_pos, n_missing;
    const char *reason;
} rad_estimate;

/* Area under the ROC curve with DeLong variance (DeLong, DeLong, Clarke-Pearson 1988; O(n log n) by Sun & Xu 2014) and a two-sided
 * interval at `level` (0.95), truncated to [0, 1]. label[i] is 0 or 1 (other values count as missing). p is for AUC = 0.5. */
rad_status rad_auc(const int8_t *label, const double *score, int64_t n, double level, rad_estimate *ret, rad_error *err) RAD_MUST_CHECK;
/* AUC of group 1 minus group 2, independent groups; z test with variance V1 + V2. n, n_pos are sums. */
rad_status rad_auc_difference(const rad_estimate *a, const rad_estimate *b, double level, rad_estimate *ret, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
