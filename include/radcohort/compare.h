/* compare: two runs side by side, in one result file or in two. Used by `radcohort diff` (what moved), `radcohort replay` (is it the same
 * to the bit) and whatever reports on two nights.
 *
 * Rows of both runs are matched by names (model, patient, lesion, study, class, ...), never by ids. */
#ifndef RADCOHORT_COMPARE_H
#define RADCOHORT_COMPARE_H

#include "radcohort/base.h"
#include "radcohort/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rad_compare_kind {
    RAD_COMPARE_SLICE,     /* score of a slice with its region */
    RAD_COMPARE_MAP,       /* class activation map of a slice */
    RAD_COMPARE_SCORE,     /* score of a lesion or patient */
    RAD_COMPARE_CALL,      /* by an operating point; by grade; by the largest score where classes are more than two */
    RAD_COMPARE_EXCLUSION, /* unit without a score */
    RAD_COMPARE_STATISTIC
} rad_compare_kind;
#define RAD_COMPARE_KINDS 6
const char *rad_compare_kind_name(rad_compare_kind k); /* "slice score", "map", "score", "call", "exclusion", "statistic" */

typedef struct rad_compare_side {
    const char *center, *detail;           /* detail: call, "stage: reason", "method; reason"; NULL: none */
    double value, lower, upper, threshold; /* NaN: none. value: score, energy of a map, estimate */
    int64_t n;                             /* of a statistic; -1: none */
    int label;                             /* 1: of the class, 0: not, -1: not known */
} rad_compare_side;

typedef struct rad_compare_row { /* strings live for the call; "" where the kind has none */
    rad_compare_kind kind;
    const char *model, *unit, *patient, *lesion, *study, *class_name, *point, *stratum_kind, *stratum, *name, *versus;
    int64_t slice;              /* -1: none */
    bool has_before, has_after; /* false: only the other run has the row */
    rad_compare_side before, after;
} rad_compare_row;

typedef struct rad_compare_count {
    int64_t n_both, n_changed; /* rows of both runs; those among them that differ */
    int64_t n_before, n_after; /* rows of only one */
    double largest;            /* change of `value` */
} rad_compare_count;

/* Calls `row` for what differs, kind by kind in the order of the enum, each in the order of its names; a non-zero return stops.
 * `kinds`: bits 1 << kind. `exact`: any bit counts, of every field that is stored and follows from the inputs (both classes of two-class
 * jobs, regions, intervals, p values, methods, counts); otherwise a changed score, call, exclusion (stage or reason), or a changed estimate
 * or n of a statistic. `a` and `b` may be one handle. Errors: NOTFOUND (no such run), STORE, NOMEM. */
rad_status rad_store_compare(rad_store *a, int64_t run_a, rad_store *b, int64_t run_b, unsigned kinds, bool exact,
                             int (*row)(const rad_compare_row *r, void *payload), void *payload, rad_compare_count ret[RAD_COMPARE_KINDS],
                             rad_error *err) RAD_MUST_CHECK;

/* The finished run of the same job before `run`. Errors: NOTFOUND, STORE. */
rad_status rad_store_run_before(rad_store *st, int64_t run, int64_t *ret, rad_error *err) RAD_MUST_CHECK;

/* "score of model 'net', patient P1, lesion L1, class malignant" in `ret`. */
#define RAD_COMPARE_PLACE 400
void rad_compare_place(const rad_compare_row *r, char ret[RAD_COMPARE_PLACE]);

#ifdef __cplusplus
}
#endif
#endif
