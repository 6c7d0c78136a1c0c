/* limit.h (private to src/farm): where the time of a session went. */
#ifndef RAD_FARM_LIMIT_H
#define RAD_FARM_LIMIT_H

#include "radcohort/farm.h"
#include "radcohort/store.h"

/* Adds a case's times and bytes to the session's. */
void rad_farm_add_times(rad_farm_outcome *o, const rad_case_result *r);

#endif
