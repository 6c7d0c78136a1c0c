/* roc: area under the empirical ROC curve and its DeLong variance.
 *
 * Every comparison count is an integer, so that perfect separation, all ties and equal placements give exactly 0, 1/2 or 1 and a variance
 * of exactly 0, and the order of rows cannot move a bit.
 */
#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>

#include "radcohort/stats.h"
#include "rank.h"

static rad_status check_level(double level, rad_error *err)
{
    if (!(level > 0 && level < 1))
        return rad_error_set(err, RAD_E_USAGE, "level %g: a confidence level lies between 0 and 1 (0.95, say)", level);
    return RAD_OK;
}

/* Placement counts c = 2 #{other < x} + #{other == x} of sorted `own` against sorted `other`; calls of one tie group share a count.
 * First pass: sum of c. Second pass (mean given): sum of squared integer deviations n_own * c - sum. */
static int64_t placement_sum(const uint64_t *own, int64_t n_own, const uint64_t *other, int64_t n_other)
{
    int64_t sum = 0, below = 0, upto = 0;
    for (int64_t i = 0, j; i < n_own; i = j) {
        const uint64_t k = own[i];
        for (j = i + 1; j < n_own && own[j] == k; j++)
            ;
        while (below < n_other && other[below] < k)
            below++;
        if (upto < below)
            upto = below;
        while (upto < n_other && other[upto] == k)
            upto++;
        sum += (j - i) * (below + upto);
    }
    return sum;
}

static double placement_squares(const uint64_t *own, int64_t n_own, const uint64_t *other, int64_t n_other, int64_t sum)
{
    double squares = 0;
    int64_t below = 0, upto = 0;
    for (int64_t i = 0, j; i < n_own; i = j) {
        const uint64_t k = own[i];
        for (j = i + 1; j < n_own && own[j] == k; j++)
            ;
        while (below < n_other && other[below] < k)
            below++;
        if (upto < below)
            upto = below;
        while (upto < n_other && other[upto] == k)
            upto++;
        const double d = (double)(n_own * (below + upto) - sum);
        squares += (double)(j - i) * d * d;
    }
    return squares;
}

static void interval_delong(rad_estimate *e, double level)
{
    const double z = gsl_cdf_ugaussian_Pinv(0.5 + level / 2);
    e->lower = fmax(0, e->est - z * e->se);
    e->upper = fmin(1, e->est + z * e->se);
    if (e->se > 0)
        e->p = 2 * gsl_cdf_ugaussian_Q(fabs(e->est - 0.5) / e->se);
}

rad_status rad_auc(const int8_t *label, const double *score, int64_t n, double level, rad_estimate *ret, rad_error *err)
{
    rad_status st = check_level(level, err);
    if (st != RAD_OK)
        return st;
    rad_estimate e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN};
    int64_t n1 = 0, n0 = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(score[i])) {
            n1 += label[i] == 1;
            n0 += label[i] == 0;
        }
    e.n = n1 + n0;
    e.n_pos = n1;
    e.n_missing = n - e.n;
    if (n1 == 0 || n0 == 0) {
        e.reason = e.n == 0 ? "no scored case" : n1 == 0 ? "no positive case" : "no negative case";
        *ret = e;
        return RAD_OK;
    }
    /* one buffer: positives from the front, negatives behind them */
    uint64_t *key = rad_malloc((size_t)e.n * sizeof *key);
    if (!key)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %lld scores", (long long)e.n);
    uint64_t *pos = key, *neg = key + n1;
    for (int64_t i = 0, p = 0, q = 0; i < n; i++)
        if (!isnan(score[i])) {
            if (label[i] == 1)
                pos[p++] = rad_key_of(score[i]);
            else if (label[i] == 0)
                neg[q++] = rad_key_of(score[i]);
        }
    st = rad_key_sort(pos, n1, err);
    if (st == RAD_OK)
        st = rad_key_sort(neg, n0, err);
    if (st == RAD_OK) {
        const int64_t sum1 = placement_sum(pos, n1, neg, n0), whole = 2 * n1 * n0;
        e.est = (double)sum1 / (double)whole;
        if (n1 < 2 || n0 < 2) {
            e.reason = n1 < 2 ? "one positive case: no variance" : "one negative case: no variance";
        } else {
            const double w = (double)whole;
            const double s10 = placement_squares(pos, n1, neg, n0, sum1) / w / w / (double)(n1 - 1);
            const double s01 = placement_squares(neg, n0, pos, n1, whole - sum1) / w / w / (double)(n0 - 1);
            e.se = sqrt(s10 / (double)n1 + s01 / (double)n0);
            interval_delong(&e, level);
            if (!(e.se > 0))
                e.reason = "DeLong variance is 0: the interval is a point, not evidence of certainty";
        }
        *ret = e;
    }
    free(key);
    return st;
}

rad_status rad_auc_difference(const rad_estimate *a, const rad_estimate *b, double level, rad_estimate *ret, rad_error *err)
{
    const rad_status st = check_level(level, err);
    if (st != RAD_OK)
        return st;
    rad_estimate e = {.est = a->est - b->est, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN};
    e.n = a->n + b->n;
    e.n_pos = a->n_pos + b->n_pos;
    e.n_missing = a->n_missing + b->n_missing;
    if (isnan(e.est) || isnan(a->se) || isnan(b->se)) {
        e.reason = isnan(a->est) || isnan(a->se) ? a->reason : b->reason;
    } else {
        e.se = sqrt(a->se * a->se + b->se * b->se);
        const double z = gsl_cdf_ugaussian_Pinv(0.5 + level / 2);
        e.lower = fmax(-1, e.est - z * e.se);
        e.upper = fmin(1, e.est + z * e.se);
        if (e.se > 0)
            e.p = 2 * gsl_cdf_ugaussian_Q(fabs(e.est) / e.se);
        else
            e.reason = "both variances are 0: no test";
    }
    *ret = e;
    return RAD_OK;
}
