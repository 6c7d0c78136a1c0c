/* statistics_ratings.c: agreement of two ratings of the same units, of two readers and of a reader with himself: kappa weighted by the
 * square of the distance. Its categories are all whole numbers from the lowest to the highest rating that any reader gave, so that a step
 * is a step even where nobody used it. */
#include "statistics_reading.h"

#include <math.h>
#include <stdlib.h>

#define MAX_STEPS 100 /* of a scale of ratings */

typedef struct scale {
    const rad_reading_set *s;
    double *a, *b; /* [n_obs] of a stratum */
    double low;
    int n; /* 0: the ratings are no scale of whole numbers */
    char number[MAX_STEPS][16];
    const char *level[MAX_STEPS];
    char list[MAX_STEPS * 16];
} scale;

static void find_scale(const rad_computation *c, scale *k) {
    double low = INFINITY, high = -INFINITY;
    bool whole = true;
    for (int r = 0; r < k->s->n_reader; r++)
        for (int64_t i = 0; i < 2 * c->n_obs; i++) {
            const rad_reader_row *x = &k->s->reader[r];
            const double v = i < c->n_obs ? x->rating[i] : x->rating_again[i - c->n_obs];
            if (isnan(v))
                continue;
            whole = whole && floor(v) == v && fabs(v) < 1e6;
            low = fmin(low, v);
            high = fmax(high, v);
        }
    if (!whole || !(high >= low) || high - low >= MAX_STEPS)
        return;
    k->low = low;
    k->n = (int)(high - low) + 1;
    size_t at = 0;
    for (int i = 0; i < k->n; i++) {
        snprintf(k->number[i], sizeof k->number[i], "%d", i);
        k->level[i] = k->number[i];
        at += (size_t)snprintf(k->list + at, sizeof k->list - at, "%s%d", i ? "," : "", i);
    }
}

static rad_status put_kappa(rad_computation *c, const rad_stratum *g, scale *k, const double *x, const double *y, const char *name,
                            const char *versus, int count, char *said, rad_error *err) {
    rad_measure v = {.e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN}};
    int64_t n_cluster = 0, last = -1;
    rad_status st = RAD_OK;
    char *query = said ? rad_reading_query(c, g, -1, count, said) : NULL;
    if (!query) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    for (int64_t i = 0; i < c->n_obs; i++) {
        if (!rad_statistics_holds(g, &c->obs[i]))
            continue;
        if (!rad_reading_counts(c, g, i) || isnan(x[i]) || isnan(y[i])) {
            v.e.n_missing++;
            continue;
        }
        n_cluster += c->obs[i].patient != last;
        last = c->obs[i].patient;
        k->a[v.e.n] = x[i] - k->low;
        k->b[v.e.n++] = y[i] - k->low;
    }
    if (v.e.n == 0)
        goto out;
    snprintf(v.reason, sizeof v.reason, "the ratings are no scale of whole numbers");
    if (k->n > 0) {
        const int64_t missing = v.e.n_missing;
        RAD_TRY(rad_measure_kappa(k->a, k->b, v.e.n, k->level, k->n, "quadratic", k->list, &v, err));
        v.e.n_missing = missing;
    }
    const rad_row_text t = {.name = name,
                            .method = n_cluster < v.e.n ? "quadratic-weighted kappa of the ratings" RAD_STATISTICS_INDEPENDENT
                                                        : "quadratic-weighted kappa of the ratings",
                            .versus = versus,
                            .query = query,
                            .n_cluster = n_cluster};
    st = rad_statistics_put(c, g, &t, &v, err);
out:
    sqlite3_free(query);
    sqlite3_free(said);
    return st;
}

static rad_status put_stratum(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    scale *k = payload;
    rad_status st = RAD_OK;
    for (int i = 0; i < k->s->n_reader && st == RAD_OK && g->center < 0; i++) {
        const rad_reader_row *x = &k->s->reader[i];
        if (!x->rates)
            continue;
        st = put_kappa(c, g, k, x->rating, x->rating_again, "rating_kappa_intra_reader", x->name, 2,
                       sqlite3_mprintf("r.repeat < 2 AND r.rating IS NOT NULL AND r.reader = %Q", x->name), err);
        for (int j = i + 1; j < k->s->n_reader && st == RAD_OK; j++) {
            const rad_reader_row *y = &k->s->reader[j];
            char *versus = y->rates ? rad_asprintf("%s and %s", x->name, y->name) : NULL;
            if (!y->rates)
                continue;
            st = versus
                     ? put_kappa(c, g, k, x->rating, y->rating, "rating_kappa_between_readers", versus, 2,
                                 sqlite3_mprintf("r.repeat = 0 AND r.rating IS NOT NULL AND r.reader IN (%Q, %Q)", x->name, y->name), err)
                     : rad_statistics_no_memory(c, err);
            free(versus);
        }
    }
    return st;
}

rad_status rad_statistics_ratings(rad_computation *c, const rad_reading_set *s, rad_error *err) {
    rad_status st = RAD_OK;
    scale *k = rad_calloc(1, sizeof *k);
    if (k) {
        k->s = s;
        k->a = rad_calloc((size_t)c->n_obs + 1, sizeof *k->a);
        k->b = rad_calloc((size_t)c->n_obs + 1, sizeof *k->b);
    }
    if (!k || !k->a || !k->b) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    find_scale(c, k);
    st = rad_statistics_each_stratum(c, put_stratum, k, err);
out:
    if (k) {
        free(k->a);
        free(k->b);
    }
    free(k);
    return st;
}
