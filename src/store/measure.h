/* measure.h (private to src/store): the calls into src/stats that the statistic rows need, with their reasons as text of our own. */
#ifndef RAD_STORE_MEASURE_H
#define RAD_STORE_MEASURE_H

#include "radcohort/stats.h"

#define RAD_STORE_LEVEL 0.95

typedef struct rad_measure {
    rad_estimate e;   /* e.reason is unused */
    char reason[160]; /* "" = none */
} rad_measure;

/* Units of one stratum: label 0/1 (else unknown), score (NaN: none), cluster 0 .. n_cluster - 1 (the patient). */
typedef struct rad_sample {
    int64_t n, n_cluster;
    int8_t *label;
    double *score, *cluster;
} rad_sample;

/* A function of src/stats by its SQL name. The caller destroys *ret. */
rad_status rad_measure_call(const char *name, const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc **ret,
                            rad_error *err) RAD_MUST_CHECK;
/* Holm's adjustment of p [n] (NaN = no test) into ret [n]. */
rad_status rad_measure_holm(const double *p, int64_t n, double *ret, rad_error *err) RAD_MUST_CHECK;
/* AUC with DeLong's variance, units taken as independent. */
rad_status rad_measure_auc(const rad_sample *s, rad_measure *ret, rad_error *err) RAD_MUST_CHECK;
/* AUC with Obuchowski's variance (1997), clusters independent; limits truncated to [0, 1] as DeLong's are. p is NaN. */
rad_status rad_measure_auc_clustered(const rad_sample *s, rad_measure *ret, rad_error *err) RAD_MUST_CHECK;
/* AUC of a minus AUC of b from independent groups. */
rad_status rad_measure_auc_difference(const rad_measure *a, const rad_measure *b, rad_measure *ret, rad_error *err) RAD_MUST_CHECK;
/* Share of `x` [n] (0 or 1) that is 1: Wilson's interval; n_pos counts the ones. */
rad_status rad_measure_proportion(const double *x, int64_t n, rad_measure *ret, rad_error *err) RAD_MUST_CHECK;
/* The same with the ratio estimator's variance over clusters and limits on the logit scale. */
rad_status rad_measure_proportion_clustered(const double *x, const double *cluster, int64_t n, int64_t n_cluster, rad_measure *ret,
                                            rad_error *err) RAD_MUST_CHECK;
/* Agreement of the calls `a` and `b` [n], which index level [n_level]: kappa with its interval and p. weights: "none", "quadratic", with
 * the levels in their order as `list` ("0,1,2"); both NULL: Cohen's, levels in any order. ret->e.n is n, n_missing 0. */
rad_status rad_measure_kappa(const double *a, const double *b, int64_t n, const char *const *level, int64_t n_level, const char *weights,
                             const char *list, rad_measure *ret, rad_error *err) RAD_MUST_CHECK;

#endif
