/* multiplicity: adjusted p values. Private to src/stats. */
#ifndef RADCOHORT_STATS_MULTIPLICITY_H
#define RADCOHORT_STATS_MULTIPLICITY_H

#include "radcohort/base.h"

/* Words for rad_arg_word; the index is the method of rad_p_adjust. */
extern const char *const rad_adjust_methods[];
/* Adjusted p values in the order of p; NaN stays NaN and is not counted. Errors: NOMEM. */
rad_status rad_p_adjust(const double *p, int64_t n, int method, double *ret, rad_error *err) RAD_MUST_CHECK;

#endif
