/* explain: a number of a result file back through its SQL to cases, slices, images, networks and machines. Used by `radcohort explain`. */
#ifndef RADCOHORT_EXPLAIN_H
#define RADCOHORT_EXPLAIN_H

#include "radcohort/base.h"
#include "radcohort/store.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_EXPLAIN_COLUMNS 40

typedef enum rad_explain_type { RAD_EXPLAIN_NULL, RAD_EXPLAIN_INTEGER, RAD_EXPLAIN_REAL, RAD_EXPLAIN_TEXT } rad_explain_type;
typedef struct rad_explain_cell {
    const char *name;
    rad_explain_type type;
    const char *text; /* of a TEXT, else NULL */
    double real;
    int64_t integer;
} rad_explain_cell;
/* One row of one section. Sections come in this order, each only when there is something: statistic, score, call, grade, slice, map, case,
 * exclusion, warning, reading, image, network, machine, run. Strings live for the call. */
typedef struct rad_explain_row {
    const char *section;
    int n;
    const rad_explain_cell *cell;
} rad_explain_row;

/* What `key` is: the number of a row of v_statistic; name/model/stratum/unit[/point][/class][/versus] of one, in any order after the name,
 * a part as it is or with what it is (center=C3, cohort=external, class=benign); a patient, or patient/lesion, with a model, class=C and
 * slice=K after it; the first eight or more digits of a result key. `run` 0: the newest, or that of the statistic's number.
 * *ret_query: SQL of the rows behind a statistic (caller frees), or NULL. Errors: USAGE (nothing or more than one thing of that name: some
 * of them are told), STORE, NOMEM. */
rad_status rad_store_explain(rad_store *st, int64_t run, const char *key, int (*row)(const rad_explain_row *r, void *payload),
                             void *payload, int64_t *ret_run, char **ret_query, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
