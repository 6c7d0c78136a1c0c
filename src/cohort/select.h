/* select.h (private to src/cohort): keys of a job that name columns or values of the cohort: `select`, `regressions`, `sequence`. */
#ifndef RAD_COHORT_SELECT_H
#define RAD_COHORT_SELECT_H

#include "arena.h"
#include "radcohort/cohort.h"

/* Fills `unselected` and `n_unselected` of the manifest; array and texts in the arena. A column without values and values that nobody
 * has become issues. Errors: NOMEM. */
rad_status rad_select_patients(const rad_cohort *c, const rad_job *job, arena *a, rad_manifest *m, rad_issues *issues,
                               rad_error *err) RAD_MUST_CHECK;

/* Predictors of the job's regressions that the cohort does not have become issues. */
void rad_regressions_check(const rad_cohort *c, const rad_job *job, rad_issues *issues);

/* Sequences of the job's inputs that no image has become warnings. */
void rad_sequences_check(const rad_cohort *c, const rad_job *job, rad_issues *issues);

/* Calls of readers that are no class become warnings: those that are an endpoint, and the others. */
void rad_calls_check(const rad_cohort *c, const rad_job *job, const rad_manifest *m, rad_issues *issues);

#endif
