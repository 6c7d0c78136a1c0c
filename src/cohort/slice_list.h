/* slice_list.h (private to src/cohort): the column `slices` of lesions and images. */
#ifndef RAD_COHORT_SLICE_LIST_H
#define RAD_COHORT_SLICE_LIST_H

#include "arena.h"

/* "12,15-18" as an ascending list in the arena. False when memory is out; a mistake is told in `why` (else ""), and the list is empty. */
bool slice_list_parse(arena *a, const char *text, int64_t *ret_n, int64_t **ret, char *why, size_t cap);

#endif
