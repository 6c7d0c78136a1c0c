/* table.h (private to src/cohort): one TSV or CSV file, row by row, through libcsv. Knows columns, not what they mean. */
#ifndef RAD_COHORT_TABLE_H
#define RAD_COHORT_TABLE_H

#include "radcohort/base.h"
#include "radcohort/issue.h"

#define TABLE_MAX_COLUMNS 1024 /* of one file */

typedef enum column_need { /* bits */
                           COLUMN_OPTIONAL = 0,
                           COLUMN_REQUIRED = 1, /* the header must have it */
                           COLUMN_FILLED = 2,   /* every field has a value */
                           COLUMN_STATED = 4,   /* never empty: a value that is not known is written "n/a" */
                           COLUMN_KEEP_NA = 8,  /* "NA" is a value here (the country code of Namibia) */
                           COLUMN_ID = COLUMN_REQUIRED | COLUMN_FILLED
} column_need;

typedef struct table_column {
    const char *name;
    int need; /* of column_need */
} table_column;

typedef struct table_def {
    const char *name;           /* "patients": the file is patients.tsv or patients.csv */
    const table_column *column; /* ends with name NULL */
    bool required;              /* the file must be there */
    bool covariates;            /* further columns are kept (else they are warned about) */
} table_def;

/* One row, borrowed: valid until the row function returns. */
typedef struct table_row {
    int64_t line;       /* where the row begins */
    const char **known; /* per column of the definition; NULL = absent, empty, "n/a" or "NA" */
    int64_t n_extra;
    const char *const *extra_name;
    const char **extra; /* per further column, NULL as above */
} table_row;

typedef struct table {
    const table_def *def;
    const char *file; /* path for messages */
    rad_issues *issues;
    bool *has; /* per column of the definition: the header has it; set before the first row */
    void *payload;
    /* Called per row whose fields could be told apart; a required field may still be NULL (reported already). Errors: NOMEM (stops). */
    rad_status (*row)(struct table *t, const table_row *row, rad_error *err);
} table;

/* Reads `size` bytes of text (changed in place: bytes that are no UTF-8 become '?' after they were reported). Mistakes become issues.
 * Errors: NOMEM. */
rad_status table_read(table *t, char *text, size_t size, bool is_csv, rad_error *err) RAD_MUST_CHECK;

/* "file:line: column 'x': error: ..." for column `c` of the definition. */
void table_mistake(const table *t, rad_severity sev, int64_t line, const char *column, const char *fmt, ...) RAD_PRINTF(5, 6);

#endif
