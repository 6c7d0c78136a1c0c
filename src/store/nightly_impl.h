/* nightly_impl.h (private to src/store/nightly*.c). */
#ifndef RAD_STORE_NIGHTLY_IMPL_H
#define RAD_STORE_NIGHTLY_IMPL_H

#include "db.h"
#include "radcohort/nightly.h"

/* Room for one more behind n entries. */
bool rad_night_grow(void **list, int64_t n, size_t size) RAD_MUST_CHECK;
rad_status rad_night_no_memory(rad_error *err);
/* A copy, or NULL for NULL. */
char *rad_night_column(rad_query *q, int i);
/* Fills r->drift; r->run is set. */
rad_status rad_night_find_drift(rad_store *st, const char *job, rad_night_report *r, rad_error *err) RAD_MUST_CHECK;

#endif
