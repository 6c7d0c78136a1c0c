/* check.h (private to src/cli): what `radcohort check` finds out, gathered before anything is printed. */
#ifndef RAD_CLI_CHECK_H
#define RAD_CLI_CHECK_H

#include "radcohort/cohort.h"

#define CHECK_MAX_GROUPS 200 /* different reasons kept; further cases are counted under the last one */
#define CHECK_EXAMPLES 3

/* Cases (or images) that share a reason. */
typedef struct check_group {
    int input;         /* index into job->input; -1: unused images */
    const char *stage; /* "intake", "load", "prepare" */
    rad_status status;
    char *why; /* without the details of the single case */
    int64_t n;
    char *example[CHECK_EXAMPLES]; /* who, and the details */
} check_group;

typedef struct check_groups {
    check_group *item;
    int64_t n, cap;
} check_groups;

typedef struct check_model {
    bool ok;
    char *input_shape, *output_shape; /* of one sample; NULL when not known */
    int64_t parameters;
    int opset, n_node;
} check_model;

typedef struct check {
    const char *job_path;
    bool allow_outside, no_headers;
    rad_job *job;
    rad_cohort *cohort;
    rad_manifest *manifest;
    rad_issues issues;
    check_model *model;                   /* [job->n_model] */
    char *backend;                        /* "onednn: oneDNN 2.6.3 ..." or NULL */
    int64_t (*matched)[RAD_MAX_CHANNELS]; /* [job->n_input]: cases whose channel has exactly one image */
    int64_t *input_ok;                    /* [job->n_input]: cases that can be prepared */
    int64_t n_excluded;                   /* cases that at least one model could not score */
    int64_t n_no_case;                    /* patients without a case */
    int64_t *count;                       /* [n_center][n_class + 1]: cases by label, the last is "not known" */
    check_groups excluded, unused;
} check;

/* Counts one more under (input, stage, why up to its first parenthesis). `who` is borrowed. Errors: NOMEM. */
rad_status check_group_add(check_groups *g, int input, const char *stage, rad_status status, const char *why, const char *who,
                           rad_error *err) RAD_MUST_CHECK;
void check_groups_release(check_groups *g);

/* Opens and builds every model without folds, asks the backend; what is wrong becomes issues. Errors: NOMEM. */
rad_status check_models(check *k, rad_error *err) RAD_MUST_CHECK;
/* The same for models with folds, whose files are known once the manifest is. Errors: NOMEM. */
rad_status check_folds(check *k, rad_error *err) RAD_MUST_CHECK;
/* Goes through the manifest: files, headers, masks; fills matched, input_ok, n_excluded, count and the groups. Errors: NOMEM. */
rad_status check_cases(check *k, rad_error *err) RAD_MUST_CHECK;

void check_print_text(const check *k);
/* Errors: NOMEM. */
rad_status check_print_json(const check *k, int exit_code, rad_error *err) RAD_MUST_CHECK;

#endif
