/* curve: the empirical ROC curve as counts at distinct scores. Private to src/stats. */
#ifndef RADCOHORT_STATS_CURVE_H
#define RADCOHORT_STATS_CURVE_H

#include "radcohort/base.h"
#include "radcohort/stats.h"

/* Point j: cases with score >= threshold[j] are called positive; tp[j] and fp[j] of them are right and wrong. Point 0 calls nobody
 * (threshold +infinity), point n_point - 1 calls everybody (the smallest score). Tied scores share a point. */
typedef struct rad_curve {
    int64_t n_point, n_pos, n_neg, n_missing;
    double *threshold;
    int64_t *tp, *fp;
} rad_curve;

/* label 1 or 0, anything else missing; NaN scores are missing. Errors: NOMEM. */
rad_status rad_curve_init(const int8_t *label, const double *score, int64_t n, rad_curve *ret, rad_error *err) RAD_MUST_CHECK;
/* The same from a frame whose first columns are label and score. */
rad_status rad_curve_of_frame(const rad_frame *f, rad_curve *ret, rad_error *err) RAD_MUST_CHECK;
void rad_curve_release(rad_curve *c);

/* Area under the curve of one stratified bootstrap replicate: as many positives and negatives drawn with replacement.
 * `group_pos` and `group_neg` (n_point entries each) are scratch and hold the drawn counts by point afterwards. */
double rad_curve_resample(const rad_curve *c, const int64_t *point_of_pos, const int64_t *point_of_neg, uint64_t seed, uint64_t replicate,
                          int64_t *group_pos, int64_t *group_neg);
/* point_of_pos[i], i < n_pos: the point at which the i-th highest positive enters; the same for negatives. */
void rad_curve_points_of(const rad_curve *c, int64_t *point_of_pos, int64_t *point_of_neg);

#endif
