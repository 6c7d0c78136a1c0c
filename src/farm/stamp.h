/* stamp.h (private to src/farm): whether a case's files are still those that the run was planned with. */
#ifndef RAD_FARM_STAMP_H
#define RAD_FARM_STAMP_H

#include "radcohort/cohort.h"

#include <stdint.h>

/* Of a file's size and time of change (of a pair: both files'), or that it is missing. The stamp of a case is the sum over its files, each
 * once. */
uint64_t rad_stamp_of_look(const rad_file_look *f);
uint64_t rad_stamp_path(const char *path);

#endif
