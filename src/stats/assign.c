/* assign.c: random folds. */
#include "radcohort/stats.h"

#include <gsl/gsl_rng.h>
#include <stdlib.h>

typedef struct member {
    int64_t stratum, at;
} member;

static int by_stratum(const void *x, const void *y) {
    const member *a = x, *b = y;
    if (a->stratum != b->stratum)
        return a->stratum < b->stratum ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

rad_status rad_assign_folds(const int64_t *stratum, int64_t n, int64_t n_fold, uint64_t seed, int64_t *ret, rad_error *err) {
    rad_status st = RAD_OK;
    member *m = rad_calloc((size_t)n + 1, sizeof *m);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (!m || !rng) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to assign folds to %lld units", (long long)n);
        goto out;
    }
    if (n_fold < 1 || n_fold > n || seed > UINT32_MAX) {
        st = rad_error_set(err, RAD_E_USAGE,
                           "%lld folds of %lld units, seed %llu: expected 1 to as many folds as units, and a seed below 2^32",
                           (long long)n_fold, (long long)n, (unsigned long long)seed);
        goto out;
    }
    gsl_rng_set(rng, (unsigned long)seed);
    for (int64_t i = 0; i < n; i++)
        m[i] = (member){stratum[i], i};
    qsort(m, (size_t)n, sizeof *m, by_stratum);
    for (int64_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && m[to].stratum == m[from].stratum; to++)
            ;
        for (int64_t i = to - 1; i > from; i--) { /* Fisher & Yates 1938, Durstenfeld's order */
            const int64_t j = from + (int64_t)gsl_rng_uniform_int(rng, (unsigned long)(i - from + 1));
            const member t = m[i];
            m[i] = m[j];
            m[j] = t;
        }
    }
    for (int64_t i = 0; i < n; i++) /* dealt on from stratum to stratum: the folds' sizes differ by one at most, within strata too */
        ret[m[i].at] = i % n_fold;
out:
    free(m);
    if (rng)
        gsl_rng_free(rng);
    return st;
}
