/* sqlext: the statistics as SQL functions. The same code is the loadable extension radstats (entry point sqlite3_radstats_init) and is
 * linked into radcohort through this one call. */
#ifndef RADCOHORT_SQLEXT_H
#define RADCOHORT_SQLEXT_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;
/* Registers every function of radcohort/stats.h with the connection, and the table radstats_functions that lists them.
 * Errors: STORE (SQLite refuses), NOMEM. */
rad_status rad_sqlext_register(struct sqlite3 *db, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
