/* bvalue: which volumes of a diffusion-weighted 4-D image have which b-value, from the table that dcm2niix and BIDS put beside it (.bval:
 * one number per volume, s/mm2, separated by blanks), and the volumes that a job's `b_value` means.
 *
 * Scanners state one b-value as 995, 1000, 1005: numbers that lie within a tolerance of each other are one b-value.
 */
#ifndef RADCOHORT_BVALUE_H
#define RADCOHORT_BVALUE_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_B_VALUE 100000.0 /* s/mm2: several times what any gradient system reaches; beyond it a number is none */
#define RAD_MAX_B_VOLUMES 32767
#define RAD_MAX_B_BYTES ((size_t)1 << 20) /* of one table */

/* 5 % of a b-value, at least 20 s/mm2. */
double rad_b_tolerance(double b);

/* Volumes of a 4-D image whose mean stands for it. */
typedef struct rad_pick {
    int64_t n, total;      /* n > 0; volumes of the image by its table */
    const int64_t *volume; /* [n] ascending, zero-based along the fourth axis */
    const char *text;      /* the same for people, the database and result keys: "1,5-9" */
} rad_pick;

typedef struct rad_b_table {
    int64_t n;
    double *value; /* [n] per volume; owned */
} rad_b_table;
/* Errors: NOTFOUND, IO, LIMIT, FORMAT (no number, or one that is no b-value; nothing at all), NOMEM. */
rad_status rad_b_table_read(const char *path, rad_b_table *ret, rad_error *err) RAD_MUST_CHECK;
void rad_b_table_release(rad_b_table *t);
/* The table that lies beside an image: its name with .bval for .nii or .nii.gz. NULL for other names, and when memory is out. free(). */
char *rad_b_table_beside(const char *image);
/* The b-values, one for each group within the tolerance (its first): "0, 50, 800". Cut at the end of the buffer. */
void rad_b_table_list(const rad_b_table *t, char *buf, size_t cap);
/* How many groups there are. */
int64_t rad_b_table_count(const rad_b_table *t);

/* For a 4-D image of which a job takes the first volume: CHANNEL when the table beside it tells of several b-values (which of them is first
 * is chance), RAD_OK else. */
rad_status rad_b_check_plain(const char *image, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
