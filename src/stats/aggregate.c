/* aggregate.c: one score out of those of the parts, independent of their order. */
#include "impl.h"

#define RAD_SHELL_MOST 512

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

/* Noisy or (Pearl 1988): at least one part is positive, parts taken as independent. */
static double noisy_or(const double *sorted, int64_t n) {
    double none = 1;
    for (int64_t i = 0; i < n; i++)
        none *= 1 - sorted[i];
    return 1 - none;
}

typedef struct aggregate_rule {
    const char *name;
    double (*of)(const double *sorted, int64_t n);
} aggregate_rule;

static const aggregate_rule RULE[] = {{"max", largest}, {"mean", mean}, {"median", median}, {"noisy-or", noisy_or}, {"majority", mean}};

/* K of "top-K", or 0. */
static int64_t top_of(const char *name) {
    int64_t k = 0;
    bool is = strncmp(name, "top-", 4) == 0 && name[4] >= '1' && name[4] <= '9' && rad_parse_int(name + 4, &k);
    return is && k <= RAD_MAX_TOP_RULE ? k : 0;
}

static const aggregate_rule *find(const char *name) {
    for (size_t i = 0; i < sizeof RULE / sizeof RULE[0]; i++)
        if (strcmp(RULE[i].name, name) == 0)
            return &RULE[i];
    return NULL;
}

bool rad_aggregate_is_rule(const char *rule) {
    return find(rule) != NULL || top_of(rule) > 0;
}

static int by_value(const void *a, const void *b) {
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* A case has tens or hundreds of parts: there a sort without a call per comparison is several times as fast. */
static void sort_scores(double *x, int64_t n) {
    static const int GAP[] = {132, 57, 23, 10, 4, 1}; /* Ciura 2001 */
    if (n > RAD_SHELL_MOST) {
        qsort(x, (size_t)n, sizeof *x, by_value);
        return;
    }
    for (size_t g = 0; g < sizeof GAP / sizeof *GAP; g++)
        for (int64_t i = GAP[g]; i < n; i++) {
            const double v = x[i];
            int64_t j = i;
            for (; j >= GAP[g] && x[j - GAP[g]] > v; j -= GAP[g])
                x[j] = x[j - GAP[g]];
            x[j] = v;
        }
}

double rad_aggregate_scores(const char *rule, double *score, int64_t n) {
    const aggregate_rule *r = find(rule);
    int64_t top = r ? 0 : top_of(rule);
    if ((!r && top == 0) || n <= 0)
        return (double)NAN;
    sort_scores(score, n);
    if (top > 0)
        return top < n ? mean(score + (n - top), top) : mean(score, n);
    return r->of(score, n);
}

/* ---------------------------------------------------------------- the same as an SQL aggregate */

static rad_status aggregate_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    const char *rule = rad_arg_text(arg, n_arg, 0, "");
    if (!rad_aggregate_is_rule(rule))
        return rad_error_set(err, RAD_E_USAGE, "rule '%s': expected max, mean, median, noisy-or, majority, or top-K (K from 1 to %d)", rule,
                             RAD_MAX_TOP_RULE);
    double *x = rad_new_doubles(f->n);
    if (!x)
        return rad_no_memory(err);
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (!isnan(f->column[0].value[i]))
            x[n++] = f->column[0].value[i];
    rad_doc_int(doc, "n", n);
    rad_doc_num(doc, "score", rad_aggregate_scores(rule, x, n));
    free(x);
    return RAD_OK;
}

static const rad_stat_function functions[] = {
    {"aggregate_scores", "score, rule",
     "one score out of those of the parts, by a rule of the job file: 'max', 'mean', 'median', 'noisy-or' (Pearl 1988), 'top-K' (mean of "
     "the K "
     "highest), 'majority' (scores are then votes, 0 or 1); missing scores are left out",
     "score", "n", "t", 2, RAD_STAT_ORDER_FREE, RAD_STAT_AGGREGATE, aggregate_doc},
};
RAD_STAT_TOPIC(rad_topic_aggregate, functions);
