/* statistics_reading.h (private to src/store): what readers said about the units at hand, reader by reader. */
#ifndef RAD_STORE_STATISTICS_READING_H
#define RAD_STORE_STATISTICS_READING_H

#include "statistics.h"

typedef struct rad_reader_row {
    char *name;
    int *call, *again;             /* [n_obs] class of the first and second reading; -1 = none. At an endpoint 1 = it, 0 = another class */
    double *rating, *rating_again; /* [n_obs]; NaN = none */
    double experience;             /* years; NaN = not stated */
    bool rates, calls;             /* there is a rating, a call */
} rad_reader_row;

typedef struct rad_reading_set {
    rad_reader_row *reader;
    int n_reader;
} rad_reading_set;

/* Readers of the unit at hand by name, units in the order of c->obs. Errors: STORE, NOMEM. */
rad_status rad_reading_set_read(rad_computation *c, rad_reading_set *ret, rad_error *err) RAD_MUST_CHECK;
void rad_reading_set_release(rad_reading_set *s);
/* The SQL behind a row about readers: the units of this label (-1: any known) of which `count` readings (-1: one or more) are as `said`, a
 * condition on v_reading r. sqlite3_free; NULL: no memory. */
char *rad_reading_query(const rad_computation *c, const rad_stratum *g, int label, int count, const char *said);
/* Unit i counts: in the stratum, with label and score. */
static inline bool rad_reading_counts(const rad_computation *c, const rad_stratum *g, int64_t i) {
    return rad_statistics_holds(g, &c->obs[i]) && c->obs[i].label >= 0 && c->obs[i].score == c->obs[i].score;
}
/* The call that speaks for what the scores at hand are of. */
static inline int rad_reading_positive(const rad_computation *c) {
    return c->class_index < c->n_class ? c->class_index : 1;
}
/* Agreement of ratings (statistics_ratings.c). */
rad_status rad_statistics_ratings(rad_computation *c, const rad_reading_set *s, rad_error *err) RAD_MUST_CHECK;
/* Features against the truth, one reader after the other (statistics_features.c). */
rad_status rad_statistics_features(rad_computation *c, const rad_reading_set *s, rad_error *err) RAD_MUST_CHECK;

#endif
