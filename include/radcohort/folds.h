/* folds: which file of a model scores which patient. A model without folds has one file; one with `folds: K` has K, of which exactly the
 * one whose number is the patient's fold scores him, and with `without_fold: mean` one more place that stands for the mean of all K.
 *
 * The files of a job are numbered through: model after model, folds ascending, the mean last. All arrays "per file" are in this order.
 */
#ifndef RADCOHORT_FOLDS_H
#define RADCOHORT_FOLDS_H

#include "radcohort/cohort.h"
#include "radcohort/job.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_TRAINED_BYTES ((size_t)256 << 20) /* of one trained_on table */
#define RAD_FOLD_TROUBLE 5                        /* patients named in one message */

/* Places of one model, and of all. */
int rad_model_count_files(const rad_model_spec *m);
int rad_job_count_files(const rad_job *job);
/* Place of the first file of a model. */
int rad_job_first_file(const rad_job *job, int model);
/* True for a place that stands for the mean of the `folds` files before it. */
bool rad_job_file_is_mean(const rad_job *job, int file, int *ret_model);
/* The file that scores a patient of this fold (-1: none) for `model`, or -1: none may. `first_fold`: number of the model's first file. */
int rad_job_find_file(const rad_job *job, int model, int64_t first_fold, int64_t fold);

/* The job with one model per file, for those who run networks: `path` is the file's, `folds` is 0, but K for a mean; `name` says the fold;
 * no when_missing. Borrows everything else: the job outlives it. */
typedef struct rad_files {
    rad_job job;
    char **text; /* owned names and paths, [2 * job.n_model] */
} rad_files;
/* first_fold [job->n_model]. Errors: NOMEM. */
rad_status rad_files_create(const rad_job *job, const int64_t *first_fold, rad_files **ret, rad_error *err) RAD_MUST_CHECK;
void rad_files_destroy(rad_files **f);

/* Fills m->first_fold (folds are numbered from 0 or from 1) and m->no_fold. Issues: a number outside 0..K-1 and 1..K, with the patient; a
 * patient whom the file that would score a case of his has seen, by the trained_on tables (a warning when the job declares a split that was
 * not made over patients). Then rad_split_check. Errors: NOMEM. */
rad_status rad_folds_check(const rad_cohort *c, const rad_job *job, rad_manifest *m, rad_issues *issues, rad_error *err) RAD_MUST_CHECK;
/* Reads the job's table of what was divided, if it names one: columns patient, lesion (optional), part (training, test), one row for each
 * thing that was divided. Fills m->split_warning, which is a warning too. Issues: mistakes of the table; what the job says to be whole
 * lies in both parts. Errors: NOMEM. */
rad_status rad_split_check(const rad_cohort *c, const rad_job *job, rad_manifest *m, rad_issues *issues, rad_error *err) RAD_MUST_CHECK;
/* A column `fold` of lesions or images that does not agree with the patient's is an issue. */
void rad_folds_check_straddling(const rad_cohort *c, rad_issues *issues);

#define RAD_FOLD_SEED_COLUMN "fold_seed"
/* The patients table as TSV with the column `fold` in place of the one it may have (-1: n/a), and the covariate RAD_FOLD_SEED_COLUMN. Other
 * fields stay as they are written; what is not known becomes n/a. fold [c->n_patient] in table order. Appended to `out`. */
rad_status rad_folds_write(const rad_cohort *c, const int64_t *fold, const char *seed, rad_buf *out, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
