/* impl: what the statistics files share. Private to src/stats. */
#ifndef RADCOHORT_STATS_IMPL_H
#define RADCOHORT_STATS_IMPL_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_cdf.h>

#include "radcohort/stats.h"
#include "rank.h"

/* A topic's functions; registry.c lists the topics. */
typedef struct rad_stat_topic {
    const rad_stat_function *functions;
    int64_t n;
} rad_stat_topic;
#define RAD_STAT_TOPIC(name, array) const rad_stat_topic name = {array, (int64_t)(sizeof array / sizeof *array)}
extern const rad_stat_topic rad_topic_roc, rad_topic_compare, rad_topic_cluster, rad_topic_multiclass, rad_topic_cutoff,
    rad_topic_proportion, rad_topic_agreement, rad_topic_paired, rad_topic_mrmc, rad_topic_logistic, rad_topic_mixed, rad_topic_calibration,
    rad_topic_meta, rad_topic_cv, rad_topic_multiplicity, rad_topic_drift, rad_topic_table1, rad_topic_contingency, rad_topic_describe,
    rad_topic_power, rad_topic_audit, rad_topic_special, rad_topic_matched, rad_topic_ordinal, rad_topic_aggregate;

/* ---- arguments */
double rad_arg_num(const rad_arg *arg, int n_arg, int i, double otherwise);
const char *rad_arg_text(const rad_arg *arg, int n_arg, int i, const char *otherwise);
/* A number that must lie in (0, 1): a level, a specificity. */
rad_status rad_arg_fraction(const rad_arg *arg, int n_arg, int i, const char *what, double otherwise, double *ret,
                            rad_error *err) RAD_MUST_CHECK;
/* Index of `text` in NULL-terminated `known`; USAGE with the known words otherwise. */
rad_status rad_arg_word(const char *text, const char *what, const char *const *known, int *ret, rad_error *err) RAD_MUST_CHECK;
/* "0.1,0.2,0.5" or "a,b,c" into at most max items. */
rad_status rad_arg_numbers(const char *text, const char *what, double *ret, int64_t max, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;

/* ---- memory: arrays of n (at least 1) zeroed doubles or int64_t; NULL when memory is out */
double *rad_new_doubles(int64_t n);
int64_t *rad_new_ints(int64_t n);
rad_status rad_no_memory(rad_error *err);

/* ---- distributions, tails computed directly (never 1 - p) */
double rad_qnorm(double p);
double rad_z_level(double level); /* 1.96 for 0.95 */
double rad_p_two_sided(double z);
double rad_p_chisq(double x, double df); /* upper tail; NaN for df <= 0 */
double rad_p_f(double x, double df1, double df2);
double rad_p_t_two_sided(double t, double df);
double rad_t_tail(double t, double df);                /* P(T > t), finite df */
double rad_q_t(double p, double df);                   /* lower-tail quantile, df = infinity allowed */
double rad_p_binomial(int64_t k, int64_t n, double p); /* P(X <= k) */
double rad_d_binomial(int64_t k, int64_t n, double p);
double rad_q_beta(double p, double a, double b);
double rad_p_kolmogorov(double x); /* upper tail of the limit distribution */
double rad_logit(double p);
double rad_expit(double x);

/* fmax and fmin drop a NaN, which would print 0 or 1 where nothing is known. */
static inline double rad_at_least(double x, double least) {
    return x < least ? least : x;
}
static inline double rad_at_most(double x, double most) {
    return x > most ? most : x;
}

/* ---- samples */
/* Quantile type 7 of sorted x, with R's own order of operations. */
double rad_quantile7(const double *sorted, int64_t n, double p);
void rad_sort_doubles(double *x, int64_t n); /* no NaN */
/* Mean and n-1 variance, two passes; var is NaN for n < 2. */
void rad_mean_var(const double *x, int64_t n, double *ret_mean, double *ret_var);

/* Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): value depends on (seed, replicate, draw) alone, so results are the
 * same for any number of threads. Uniform in [0, 1) with 53 bits. */
double rad_uniform(uint64_t seed, uint64_t replicate, uint64_t draw);
/* Integer in [0, n). */
int64_t rad_uniform_int(uint64_t seed, uint64_t replicate, uint64_t draw, int64_t n);
/* Seed used when none is given; stated in the documents. */
enum { RAD_STAT_SEED = 20240229, RAD_STAT_BOOT = 2000 };
#define RAD_STAT_BOOT_MAX 1000000

/* ---- small symmetric matrices, row-major k x k */
/* x' A^- x with the pseudo-inverse (eigenvalues below 1e-12 of the largest are 0); *ret_rank = rank. */
rad_status rad_quadratic_pinv(const double *a, const double *x, int64_t k, double *ret, int64_t *ret_rank, rad_error *err) RAD_MUST_CHECK;
/* Inverse of a positive definite matrix and log determinant; *ret_ok false when it is not positive definite. */
rad_status rad_spd_inverse(const double *a, int64_t k, double *ret_inverse, double *ret_logdet, bool *ret_ok,
                           rad_error *err) RAD_MUST_CHECK;

/* ---- frames */
/* 0/1 labels out of a number column: 1 = positive, 0 = negative, anything else -1 (missing). */
void rad_labels(const rad_column *c, int64_t n, int8_t *ret);
/* keep[0..*ret_n): rows where columns [from, to) are all present. */
int64_t rad_complete(const rad_frame *f, int64_t from, int64_t to, int64_t *ret_keep);
/* One scale for category columns [from, to): the words of `list` ("a,b,c", their order kept) or, when it is NULL, all levels sorted.
 * code[c * n + i] is the place on the scale, -1 for missing or not on it. Everything is released with rad_scale_release. */
typedef struct rad_scale {
    int64_t n_level;
    char **level;
    int64_t *code;
} rad_scale;
rad_status rad_scale_init(const rad_frame *f, int64_t from, int64_t to, const char *list, rad_scale *ret, rad_error *err) RAD_MUST_CHECK;
void rad_scale_release(rad_scale *s);
#define RAD_SCALE_MAX 1000

#endif
