/* aggregation.h (private to src/store): from the scores of parts to the score of a unit, for all classes and endpoints of a run at once.
 *
 * Rows of a matrix of scores are the classes of the run in their order, then its endpoints; columns are parts (slices of a case, cases of
 * a patient). */
#ifndef RAD_STORE_AGGREGATION_H
#define RAD_STORE_AGGREGATION_H

#include "db.h"

typedef struct rad_scheme { /* what a run declares */
    int n_class, n_endpoint, positive;
    int only; /* -1; after rad_scheme_narrow the class that is the only row */
    struct {
        uint64_t of;
        bool argmax;
    } endpoint[RAD_MAX_ENDPOINTS];
    double vote_threshold;
    bool lesions; /* cases are lesions */
    /* slices to case, cases to patient; for cases that are a patient's studies both are the patient's rule */
    char case_rule[RAD_MAX_RULE], patient_rule[RAD_MAX_RULE];
} rad_scheme;

/* Errors: STORE (no such run, a rule that is not known). */
rad_status rad_scheme_read(struct rad_store *st, int64_t run, rad_scheme *ret, rad_error *err) RAD_MUST_CHECK;
/* Where only the positive class counts, the rest is not read: it becomes the only row. Any other run's scheme stays as it is. */
void rad_scheme_narrow(rad_scheme *s);
/* Classes and endpoints: the rows of a matrix. */
int rad_scheme_rows(const rad_scheme *s);
/* Fills the endpoints' rows of a matrix [rows, n] of slices from those of the classes: sums in the order of classes, or 1 where the highest
 * class is one of the endpoint's. */
void rad_scheme_collapse(const rad_scheme *s, double *part, int64_t n);
/* One score per row out of `part` [rows, n]; `scratch` [n]. An argmax endpoint follows from the classes' results. `part` is not changed. */
void rad_scheme_reduce(const rad_scheme *s, const char *rule, const double *part, int64_t n, double *scratch, double *ret);

/* All slice scores of a model, case after case, positions ascending. `part` [rows, n] has its endpoints filled. */
typedef rad_status rad_case_fn(void *payload, int64_t case_id, int64_t patient, const double *part, int64_t n, rad_error *err);
rad_status rad_scheme_each_case(struct rad_store *st, const rad_scheme *s, int64_t run, int64_t run_model, rad_case_fn *each, void *payload,
                                rad_error *err) RAD_MUST_CHECK;

#endif
