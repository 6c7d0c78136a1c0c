/* convert_sidecar.h (private to src/cohort): the fields of a JSON sidecar (BIDS names, as dcm2niix writes them) that may be kept, and the
 * image covariates that they become. Whatever is not in the list is not kept: sidecars hold names, dates and addresses. */
#ifndef RAD_COHORT_CONVERT_SIDECAR_H
#define RAD_COHORT_CONVERT_SIDECAR_H

#include <jansson.h>

#include "arena.h"
#include "radcohort/convert.h"

/* Reads a file that holds one JSON object. Errors: NOTFOUND, IO, LIMIT, FORMAT, NOMEM. */
rad_status sidecar_read(const char *path, json_t **ret, rad_error *err) RAD_MUST_CHECK;
/* A new object with the allowed fields alone, of the expected kinds; NULL when memory is out. */
json_t *sidecar_clean(const json_t *raw);
int sidecar_count(void);
/* Name of the k-th covariate; with its unit. */
const char *sidecar_column(int k);
/* Its value as text in the arena; *ret NULL when the sidecar has none. */
rad_status sidecar_value(const json_t *o, int k, arena *a, char **ret, rad_error *err) RAD_MUST_CHECK;
/* "axial", "coronal" or "sagittal" by the largest part of the normal of (row, column) cosines; NULL when they are none. */
const char *sidecar_orientation(const double v[6]);
/* b-values of an FSL .bval file as a sorted list without repeats; NULL (RAD_OK) when there is none. Errors: NOMEM. */
rad_status sidecar_b_values(const char *path, json_t **ret, rad_error *err) RAD_MUST_CHECK;

#endif
