/* proportion: intervals of k out of n, and 2 x 2 tests. Private to src/stats. */
#ifndef RADCOHORT_STATS_PROPORTION_H
#define RADCOHORT_STATS_PROPORTION_H

#include "radcohort/stats.h"

typedef enum rad_interval { RAD_WILSON, RAD_CLOPPER_PEARSON, RAD_AGRESTI_COULL, RAD_JEFFREYS, RAD_WALD, RAD_WILSON_CC } rad_interval;
/* Words for rad_arg_word in the order of rad_interval. */
extern const char *const rad_interval_names[];
/* NaN for n = 0. Wilson, Clopper-Pearson and Jeffreys give exactly 0 for k = 0 and exactly 1 for k = n. */
void rad_proportion_interval(rad_interval method, double k, double n, double level, double *ret_lower, double *ret_upper);
/* k, n, estimate, and every interval, into the open object. */
void rad_proportion_put(rad_doc *doc, double k, double n, double level);

/* Two-sided Fisher test of a 2 x 2 table (tables as likely as the observed one or less; R's relative tolerance 1e-7). NaN above a million
 * possible tables. */
double rad_fisher_p(int64_t a, int64_t b, int64_t c, int64_t d);
/* Conditional maximum-likelihood odds ratio and its exact interval. */
void rad_fisher_odds_ratio(int64_t a, int64_t b, int64_t c, int64_t d, double level, double *ret_or, double *ret_lower, double *ret_upper);
/* Chi-square of a 2 x 2 table; correction min(1/2, |O - E|) when yates. NaN with an empty margin. */
double rad_chisq_2x2(double a, double b, double c, double d, bool yates);

#endif
