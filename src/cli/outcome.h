/* outcome.h (private to src/cli): how the outcome of a run is told, by the commands that end in one. */
#ifndef RAD_CLI_OUTCOME_H
#define RAD_CLI_OUTCOME_H

#include "radcohort/farm.h"

#include <jansson.h>

/* A new reference; NULL when memory is out. */
json_t *rad_run_outcome_json(const rad_farm_outcome *o);
void rad_run_print_outcome(const rad_farm_outcome *o);

#endif
