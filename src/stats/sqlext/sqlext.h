/* sqlext: what the files of the extension share. Built twice: with SQLITE_CORE into radcohort, without as the loadable extension. */
#ifndef RADCOHORT_STATS_SQLEXT_H
#define RADCOHORT_STATS_SQLEXT_H

#include <sqlite3ext.h>
#ifndef SQLITE_CORE
extern const sqlite3_api_routines *sqlite3_api;
#endif

#include "radcohort/sqlext.h"
#include "radcohort/stats.h"

enum { SQLEXT_MAX_ARGS = 64 };

/* Cells of one row into the builders; a text that is no number in a number column is an error that names the function. */
rad_status sqlext_put(rad_column_builder *b, sqlite3_value *v, rad_error *err) RAD_MUST_CHECK;
/* A constant argument; *ret borrows the text of `v`. */
void sqlext_arg(sqlite3_value *v, rad_arg *ret);
/* Columns the function takes when it is called with n_given arguments, and where they start; false when the number does not fit. */
bool sqlext_layout(const rad_stat_function *s, int n_given, int *ret_columns, int *ret_first_column);
/* Letter of column i. */
char sqlext_letter(const rad_stat_function *s, int i);
/* The value or the JSON of a finished document becomes the result. */
void sqlext_result(sqlite3_context *ctx, const rad_stat_function *s, const rad_doc *doc);
void sqlext_fail(sqlite3_context *ctx, const rad_stat_function *s, rad_status st, const rad_error *err);

int sqlext_register_aggregate(sqlite3 *db, const rad_stat_function *s);
int sqlext_register_scalar(sqlite3 *db, const rad_stat_function *s);
int sqlext_register_table(sqlite3 *db, const rad_stat_function *s);
int sqlext_register_list(sqlite3 *db);

#endif
