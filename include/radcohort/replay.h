/* replay: what a run was made of, as the result file remembers it. Used by `radcohort replay`. */
#ifndef RADCOHORT_REPLAY_H
#define RADCOHORT_REPLAY_H

#include "radcohort/base.h"
#include "radcohort/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rad_run_record {
    int64_t run;
    char state[16];
    char *job, *job_text, *job_path, *cohort_dir; /* owned; job_path and cohort_dir may be NULL */
    bool allow_outside;                           /* the command line said so */
    char backend[64], backend_version[256], precision[16], version[64];
    char cohort_sha256[RAD_SHA256_HEX], result_sha256[RAD_SHA256_HEX]; /* "": the run did not finish */
    int64_t n_file;
} rad_run_record;
/* Errors: NOTFOUND, STORE, NOMEM. Release in any case. */
rad_status rad_store_read_record(rad_store *st, int64_t run, rad_run_record *ret, rad_error *err) RAD_MUST_CHECK;
void rad_run_record_release(rad_run_record *r);

/* SHA-256 that the file at `position` (among all files of the job) had in the run; "" when there is none. */
rad_status rad_store_find_file(rad_store *st, int64_t run, int64_t position, char ret[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;

/* The first image whose content in run `b` is not that of run `a`, by patient, lesion, study, input and channel, as a text in *ret (owned
 * by the caller), or NULL: all are the same. */
rad_status rad_store_other_image(rad_store *a, int64_t run_a, rad_store *b, int64_t run_b, char **ret, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
