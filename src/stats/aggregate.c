/* aggregate.c: max, mean and median of scores, independent of their order. */
#include "radcohort/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double largest(const double *sorted, int64_t n) {
    return sorted[n - 1];
}

static double mean(const double *sorted, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += sorted[i];
    return sum / (double)n;
}

static double median(const double *sorted, int64_t n) {
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

typedef struct aggregate_rule {
    const char *name;
    double (*of)(const double *sorted, int64_t n);
} aggregate_rule;

static const aggregate_rule RULE[] = {{"max", largest}, {"mean", mean}, {"median", median}};

static const aggregate_rule *find(const char *name) {
    for (size_t i = 0; i < sizeof RULE / sizeof RULE[0]; i++)
        if (strcmp(RULE[i].name, name) == 0)
            return &RULE[i];
    return NULL;
}

bool rad_aggregate_is_rule(const char *rule) {
    return find(rule) != NULL;
}

static int by_value(const void *a, const void *b) {
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

double rad_aggregate_scores(const char *rule, double *score, int64_t n) {
    const aggregate_rule *r = find(rule);
    if (!r || n <= 0)
        return (double)NAN;
    qsort(score, (size_t)n, sizeof *score, by_value);
    return r->of(score, n);
}
