/* design: a frame and a formula become a design matrix. Private to src/stats.
 *
 * Formula, as in R: "y ~ a + factor(b) + a:b + a*b + (1|g) + cluster(g)", strata(g) like
 * cluster(g). Names are those of the columns; factor() makes a number a
 * category; categories are coded against their first level (treatment contrasts), columns are called "name=level", products "a:b". Without
 * a formula the first column is y and every other column a term.
 */
#ifndef RADCOHORT_STATS_DESIGN_H
#define RADCOHORT_STATS_DESIGN_H

#include "radcohort/stats.h"

/* n x p doubles are held, and p x p matrices are inverted at every step. */
#define RAD_DESIGN_MAX_COLUMNS 500

typedef struct rad_design {
    int64_t n, p, n_missing, n_term;
    double *x;      /* n x p, row-major; column 0 is the intercept */
    double *y;      /* 0/1 */
    int64_t *group; /* of (1|g), cluster(g) or strata(g); NULL without one. Numbers 0 .. n_group - 1 */
    int64_t n_group;
    bool random;      /* (1|g) rather than cluster(g) */
    char **name;      /* p */
    int64_t *term_of; /* p; -1 for the intercept */
    char **term;      /* n_term */
    int64_t *order;   /* n_term: variables multiplied in it */
} rad_design;

rad_status rad_design_init(const rad_frame *f, const char *formula, rad_design *ret, rad_error *err) RAD_MUST_CHECK;
void rad_design_release(rad_design *d);
/* True when term `b` contains all variables of term `a` and more ("a:b" contains "a"). */
bool rad_design_contains(const rad_design *d, int64_t a, int64_t b);
/* A copy without the columns of `term` (-1: all but the intercept). Borrowed names; release with rad_design_release. */
rad_status rad_design_without(const rad_design *d, int64_t term, rad_design *ret, rad_error *err) RAD_MUST_CHECK;
/* Marks columns that are linear combinations of earlier ones (aliased[p]). Returns how many. Errors: NOMEM. */
rad_status rad_design_aliased(const rad_design *d, bool *ret_aliased, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;
/* Rows by group: member[first[g] .. first[g + 1]). Caller frees both. Errors: NOMEM. */
rad_status rad_design_groups(const rad_design *d, int64_t **ret_first, int64_t **ret_member, rad_error *err) RAD_MUST_CHECK;
/* Removes aliased columns in place. */
void rad_design_drop(rad_design *d, const bool *drop);

#endif
