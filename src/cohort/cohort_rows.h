/* cohort_rows.h (private to src/cohort): the five tables: their columns and what a row becomes. */
#ifndef RAD_COHORT_ROWS_H
#define RAD_COHORT_ROWS_H

#include "arena.h"
#include "radcohort/cohort.h"
#include "strmap.h"
#include "table.h"

enum { COHORT_COMMON = 64 };

typedef struct cohort_builder {
    rad_cohort *c;
    const rad_cohort_opts *opts;
    arena *arena;
    int dir_fd;                 /* the cohort folder, for file checks */
    bool have[RAD_TABLE_COUNT]; /* the table could be read, or is optional and absent; else nothing is said about rows that refer to it */
    int64_t cap_center, cap_patient, cap_image, cap_lesion, cap_reading;
    /* names of further columns, copied once per table */
    char **extra_name;
    int64_t n_extra_name;
    /* keys already seen -> index. `image` holds the rows of those paths alone that are there twice */
    strmap center, patient, lesion, image, path, reading;
    int64_t last_patient;        /* the one that was asked for last: rows follow the order of patients.tsv more often than not */
    char *common[COHORT_COMMON]; /* texts that many rows share (sequences, labels, ...), by their hash */
} cohort_builder;

/* Sets up the maps of an empty builder whose cohort is there. */
void cohort_builder_init(cohort_builder *b);

extern const table_def cohort_table[RAD_TABLE_COUNT];
typedef rad_status cohort_row_function(table *t, const table_row *row, rad_error *err);
extern cohort_row_function *const cohort_row[RAD_TABLE_COUNT];

#endif
