/* job_input.h (private to src/cohort): one input of a job, from YAML to rad_input_spec. */
#ifndef RAD_COHORT_JOB_INPUT_H
#define RAD_COHORT_JOB_INPUT_H

#include "job_yaml.h"
#include "radcohort/job.h"

/* Reads the mapping under inputs.NAME. Mistakes become issues; r->st says whether memory ran out. */
void job_read_input(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_unit unit,
                    rad_input_spec *spec);
/* The canonical text of a valid spec, in the arena. Errors: NOMEM. */
rad_status job_canonical_text(arena *a, const rad_input_spec *spec, char **ret, rad_error *err) RAD_MUST_CHECK;

#endif
