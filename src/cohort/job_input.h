/* job_input.h (private to src/cohort): parts of a job with a file of their own: an input, class activation maps. */
#ifndef RAD_COHORT_JOB_INPUT_H
#define RAD_COHORT_JOB_INPUT_H

#include "job_yaml.h"
#include "radcohort/job.h"

/* Reads the mapping under inputs.NAME. Mistakes become issues; r->st says whether memory ran out. */
void job_read_input(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_unit unit,
                    rad_input_spec *spec);
/* The mapping under `cam`, or NULL; after classes and models. */
void job_read_cam(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job);
/* The canonical text of a valid spec, in the arena. Errors: NOMEM. */
rad_status job_canonical_text(arena *a, const rad_input_spec *spec, char **ret, rad_error *err) RAD_MUST_CHECK;

#endif
