/* seal_marks.h (private to src/store): the names and tags of sealed rows, by which `radcohort verify` says which row is not what it was.
 *
 * A part of a seal's marks is a row after the other: bytes shared with the name before (1), bytes of the rest (2), the rest, the row's tag
 * (RAD_SEAL_TAG). Where nearly the same was sealed before, in an earlier run of the job, the parts name that seal as their base, and stand
 * against its rows in order: the length 0xffff is a step, told by the byte before it. 0: the next rows of the base as they are, how many
 * (4); 1: so many rows of the base are not there (4); 2: the next row of the base with another tag (RAD_SEAL_TAG). A base has none itself.
 */
#ifndef RAD_STORE_SEAL_MARKS_H
#define RAD_STORE_SEAL_MARKS_H

#include "seal.h"

/* Reads them in order. */
typedef struct rad_seal_marks {
    struct rad_store *st;
    int64_t seal, part;
    rad_buf b;
    size_t at;
    uint32_t copy; /* rows of the base that follow */
    bool there;    /* name and tag are those of a row */
    bool may_have_base;
    char name[RAD_MAX_SEAL_NAME];
    size_t n_name;
    uint8_t tag[RAD_SEAL_TAG];
    struct rad_seal_marks *base;
} rad_seal_marks;
/* Owned by the caller. Errors: NOMEM. */
rad_status rad_seal_marks_open(struct rad_store *st, int64_t seal, rad_seal_marks **ret, rad_error *err) RAD_MUST_CHECK;
void rad_seal_marks_close(rad_seal_marks **m);
/* The next row, or there = false: at the end, and where the marks are damaged. */
rad_status rad_seal_marks_next(rad_seal_marks *m, rad_error *err) RAD_MUST_CHECK;

/* As memcmp over the bytes that both have, then the shorter first. */
int rad_seal_name_order(const char *a, size_t n, const char *b, size_t m);

/* Seals all rows of an object as `seal`: their marks into the file, their hash into `sum` (initialised). */
rad_status rad_seal_put_marks(struct rad_store *st, int64_t run, const rad_seal_object *o, int64_t seal, rad_seal_sum *sum,
                              rad_error *err) RAD_MUST_CHECK;

#endif
