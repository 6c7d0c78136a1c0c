/* bids.h (private to src/cohort): a BIDS folder as the tables of a cohort. */
#ifndef RAD_COHORT_BIDS_H
#define RAD_COHORT_BIDS_H

#include "cohort_rows.h"

/* The tables as TSV texts; NULL: the table is read from the folder, as everywhere. Owned by the caller. */
typedef struct bids_tables {
    char *text[RAD_TABLE_COUNT];
    size_t size[RAD_TABLE_COUNT];
    char *file[RAD_TABLE_COUNT]; /* for messages */
} bids_tables;

/* dataset_description.json is there, and no images table. */
bool bids_is_dataset(int dir_fd);
/* Mistakes become issues. Errors: NOMEM, LIMIT. */
rad_status bids_make_tables(const char *dir, const rad_bids_spec *spec, bids_tables *ret, rad_issues *issues,
                            rad_error *err) RAD_MUST_CHECK;
void bids_tables_release(bids_tables *t);

/* bids_people.c: participants.tsv. `subject`: the sub-* folders, sorted. */
rad_status bids_people(const char *dir, const rad_bids_spec *spec, char *const *subject, size_t n, bids_tables *ret, rad_issues *issues,
                       rad_error *err) RAD_MUST_CHECK;

#endif
