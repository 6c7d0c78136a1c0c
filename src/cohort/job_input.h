/* job_input.h (private to src/cohort): parts of a job with a file of their own: an input, class activation maps. */
#ifndef RAD_COHORT_JOB_INPUT_H
#define RAD_COHORT_JOB_INPUT_H

#include "job_yaml.h"
#include "radcohort/job.h"

/* Reads the mapping under inputs.NAME. Mistakes become issues; r->st says whether memory ran out. */
void job_read_input(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_unit unit,
                    rad_input_spec *spec);
/* folds, without_fold and trained_on of a model; after its file. */
void job_read_folds(yaml_reader *r, const yaml_node_t *const *v, const key_def *k, const yaml_where *w, const char *dir, rad_model_spec *m);
/* aggregate, collapse, operating_points and split; after classes and models. */
void job_read_measures(yaml_reader *r, const yaml_node_t *const *v, const yaml_where *root, const char *dir, rad_job *job);
/* The mapping under `cam`, or NULL; after classes and models. */
void job_read_cam(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job);
/* The list under `regressions`, or NULL; after models. */
void job_read_regressions(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job);
/* The list under `select`, or NULL: which patients the job is about. */
void job_read_select(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job);
/* The key `ordinal`, after classes and models. */
void job_read_ordinal(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *root, rad_job *job);
/* job_bids.c: the mapping under `bids`, or NULL. */
void job_read_bids(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_bids_spec *ret);
/* Numbers of a list, or the only one; how many, -1 after a mistake. */
int job_read_ints(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int64_t *ret);
/* The same for key `key` below `where`. */
int job_read_numbers(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, double *ret);
/* job_volume.c: the key `volume` among an input's values `v`, and what goes with it. The rest of the input has been read. */
void job_read_volume(yaml_reader *r, const yaml_node_t *const *v, const yaml_node_t *input, const yaml_where *where, rad_input_spec *spec);
/* The canonical text of a valid spec, in the arena. Errors: NOMEM. */
rad_status job_canonical_text(arena *a, const rad_input_spec *spec, char **ret, rad_error *err) RAD_MUST_CHECK;

#endif
