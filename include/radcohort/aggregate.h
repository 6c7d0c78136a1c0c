/* aggregate: the scores of the units below (slices of a lesion, lesions of a patient) brought to one. Part of src/stats; pure. */
#ifndef RADCOHORT_AGGREGATE_H
#define RADCOHORT_AGGREGATE_H

#include "radcohort/base.h"
#include "radcohort/job.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Name of a rule as in the job file: "max", "mean", "median". Static storage. */
const char *rad_aggregate_name(rad_aggregate rule);
/* False when the name is unknown. */
bool rad_aggregate_parse(const char *name, rad_aggregate *ret) RAD_MUST_CHECK;

/* One score out of `score` [n], all finite. `score` is put into ascending order, so that the result does not depend on the order in
 * which the parts are given: the mean adds in that order, in double. The median of an even number is the mean of the two middle ones
 * (as numpy.median). NaN when n is 0. Thread-safe for distinct `score`. */
double rad_aggregate_scores(rad_aggregate rule, double *score, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
