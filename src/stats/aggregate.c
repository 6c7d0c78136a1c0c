/* aggregate.c: max, mean and median of scores, independent of their order. */
#include "radcohort/aggregate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAME[] = {[RAD_AGG_MAX] = "max", [RAD_AGG_MEAN] = "mean", [RAD_AGG_MEDIAN] = "median"};
#define N_RULE (sizeof NAME / sizeof NAME[0])

const char *rad_aggregate_name(rad_aggregate rule) {
    return NAME[rule];
}

bool rad_aggregate_parse(const char *name, rad_aggregate *ret) {
    for (size_t i = 0; i < N_RULE; i++)
        if (strcmp(NAME[i], name) == 0) {
            *ret = (rad_aggregate)i;
            return true;
        }
    return false;
}

static int by_value(const void *a, const void *b) {
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

double rad_aggregate_scores(rad_aggregate rule, double *score, int64_t n) {
    if (n <= 0)
        return NAN;
    qsort(score, (size_t)n, sizeof *score, by_value);
    switch (rule) {
    case RAD_AGG_MEAN: {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += score[i];
        return sum / (double)n;
    }
    case RAD_AGG_MEDIAN:
        return n % 2 ? score[n / 2] : (score[n / 2 - 1] + score[n / 2]) / 2;
    case RAD_AGG_MAX:
        break;
    }
    return score[n - 1];
}
