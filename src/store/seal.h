/* seal.h (private to src/store): the chain of hashes that `radcohort verify` follows (rad_store_verify).
 *
 * A result is sealed when it is stored, the tables of a run when it is finished or its statistics are computed again. A run's seal is over
 * rows in an order made of names only, without internal ids, times, ranks and hosts: it does not depend on the order in which results came.
 * Each seal is over the one before it, from run to run; what depends on when, where and by how many ranks (RAD_SEAL_ASIDE) hangs on the
 * chain without being a link of it. The cohort's tables belong to no run: they are sealed each time they are read, and the newest seal
 * counts. Beside each hash stand marks, a name and four bytes per row, by which a changed, deleted or inserted row is named.
 */
#ifndef RAD_STORE_SEAL_H
#define RAD_STORE_SEAL_H

#include "db.h"

#define RAD_SEAL_ROWS 4096 /* rows of one part: what is hashed together, and whose marks are one blob */
#define RAD_SEAL_TAG 4     /* bytes of a row's mark */
#define RAD_MAX_SEAL_NAME 4096
#define RAD_MAX_SEAL_PART ((size_t)1 << 26)
#define RAD_SEAL_BREAK '\x1f' /* between the words of a row's name */

/* Objects that are no links of the chain, for SQL. */
#define RAD_SEAL_ASIDE "('provenance', 'work', 'time_ledger', 'nightly', 'nightly_case', 'drift')"

typedef enum rad_seal_kind {
    RAD_SEAL_RUN,   /* of a finished run: sealed at its end */
    RAD_SEAL_NIGHT, /* of a run's nights: written when it is finished, sealed then */
    RAD_SEAL_COHORT /* of the file: sealed when the tables are read */
} rad_seal_kind;

typedef struct rad_seal_object { /* rows that are sealed together */
    const char *name;            /* the table */
    const char *sql;             /* ?1: the run, if of one; first column: the row's name; ordered by all that is there */
    rad_seal_kind kind;
} rad_seal_object;
/* NULL past the end. Order of sealing. */
const rad_seal_object *rad_seal_object_at(int i);

typedef struct rad_seal_row {
    char name[RAD_MAX_SEAL_NAME];
    size_t n_name;
    uint8_t digest[RAD_SHA256_BYTES];
} rad_seal_row;
/* The next row of a started query of an object; `scratch` is any buffer. */
rad_status rad_seal_next(rad_query *q, rad_buf *scratch, bool *ret_row, rad_seal_row *ret, rad_error *err) RAD_MUST_CHECK;

typedef struct rad_seal_sum { /* the hash of many rows */
    int64_t n;
    rad_buf digests; /* of the part that is not full */
    char content[RAD_SHA256_HEX];
} rad_seal_sum;
void rad_seal_sum_init(rad_seal_sum *s);
void rad_seal_sum_release(rad_seal_sum *s);
/* *ret_full: a part ends with this row. */
rad_status rad_seal_sum_add(rad_seal_sum *s, const rad_seal_row *r, bool *ret_full, rad_error *err) RAD_MUST_CHECK;
rad_status rad_seal_sum_end(rad_seal_sum *s, rad_error *err) RAD_MUST_CHECK;

/* The link: over the one before it ("" for the first), the run's identity, the object, and its rows. */
rad_status rad_seal_link(const char *previous, const char *identity, const char *object, int64_t n, const char *content,
                         char ret[RAD_SHA256_HEX], rad_error *err) RAD_MUST_CHECK;

/* The stored result as it is read back: its seal and its marks ([n_slice] of slice and tag, then [n_class, n_slice] of tags, all 4 bytes,
 * little-endian). *ret_mark is appended to. */
rad_status rad_seal_read_result(struct rad_store *st, int64_t result, char ret[RAD_SHA256_HEX], rad_buf *ret_mark,
                                rad_error *err) RAD_MUST_CHECK;
/* Both into the file. */
rad_status rad_seal_result(struct rad_store *st, int64_t result, rad_error *err) RAD_MUST_CHECK;
/* All that changed of a finished run since it was sealed, its nights too. Within a transaction, as the next two. */
rad_status rad_seal_run(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;
/* Its nights alone; nothing when it is not finished: they are sealed at its end. */
rad_status rad_seal_nights(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;
/* The cohort's tables, where they changed, as those that `run` was begun with. */
rad_status rad_seal_cohort(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;
/* Started and bound: rows of an object. */
rad_query rad_seal_start(struct rad_store *st, const rad_seal_object *o, int64_t run);
bool rad_seal_is_aside(const char *object);

#endif
