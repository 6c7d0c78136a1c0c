/* logit: maximum likelihood of the logistic model, plain and penalised. Private to src/stats. */
#ifndef RADCOHORT_STATS_LOGIT_H
#define RADCOHORT_STATS_LOGIT_H

#include "radcohort/stats.h"

typedef struct rad_logit_model {
    int64_t p;
    double *beta, *cov, *step; /* p, p x p, last Newton step */
    double *mu;                /* n fitted probabilities */
    double loglik;             /* with the penalty 1/2 log det I for Firth */
    int iterations;
    bool converged;
    bool separated; /* the likelihood has no maximum: a coefficient runs to infinity (Albert & Anderson 1984) */
} rad_logit_model;

/* x: n x p row-major, first column the intercept; offset may be NULL. firth: Jeffreys penalty (Firth 1993, Heinze & Schemper 2002).
 * hold >= 0: coefficient `hold` stays at `value` and the others are fitted (a point of the profile); for Firth the penalty is still that of
 * all coefficients. start: p values or NULL. Errors: NOMEM. */
rad_status rad_logit_fit(const double *x, const double *y, const double *offset, int64_t n, int64_t p, bool firth, int64_t hold,
                         double value, const double *start, rad_logit_model *ret, rad_error *err) RAD_MUST_CHECK;
void rad_logit_release(rad_logit_model *f);
/* Limits of coefficient j where twice the drop of the profile log likelihood is the chi-square quantile of `level`. */
rad_status rad_logit_profile(const double *x, const double *y, int64_t n, int64_t p, bool firth, const rad_logit_model *best, int64_t j,
                             double level, double *ret_lower, double *ret_upper, rad_error *err) RAD_MUST_CHECK;

#endif
