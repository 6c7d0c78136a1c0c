/* stats_bench: time and memory of the statistics on one core, as a table. With a file name, also writes the sample of the paired test
 * there for stats_bench.R (the same with pROC). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "radcohort/stats.h"

static uint64_t next(uint64_t *s) {
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 11;
}

static double peak_mib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static void line(const char *what, int64_t n, double seconds, double input_mib) {
    printf("%-58s %11lld %9.3f %11.0f %10.0f\n", what, (long long)n, seconds, input_mib, peak_mib());
}

static rad_status call(const char *name, const double *const *col, int n_col, int64_t n, const rad_arg *arg, int n_arg, const char *path,
                       double *ret) {
    rad_doc *doc = NULL;
    rad_column column[8] = {0};
    for (int c = 0; c < n_col; c++)
        column[c].value = col[c];
    const rad_frame f = {.n = n, .n_column = n_col, .column = column};
    rad_status st = rad_doc_create(&doc, NULL);
    if (st == RAD_OK)
        st = rad_stat_call(rad_stat_function_find(name), &f, arg, n_arg, doc, NULL);
    if (st == RAD_OK)
        *ret = rad_doc_get(doc, path);
    rad_doc_destroy(&doc);
    return st;
}

int main(int argc, char **argv) {
    enum { MODELS = 6, CASES = 50000 };
    printf("%-58s %11s %9s %11s %10s\n", "what", "cases", "s", "input MiB", "peak MiB");
    uint64_t s = 1;
    double *col[1 + MODELS];
    for (int c = 0; c <= MODELS; c++)
        if (!(col[c] = malloc(CASES * sizeof **col)))
            return 1;
    for (int i = 0; i < CASES; i++) {
        col[0][i] = (double)(next(&s) % 3 == 0);
        for (int c = 1; c <= MODELS; c++)
            col[c][i] = (double)next(&s) * 0x1p-53 + (0.1 + 0.03 * c) * col[0][i] + (c > 1 ? 0.5 * col[1][i] : 0);
    }
    FILE *out = argc > 1 ? fopen(argv[1], "w") : NULL;
    for (int i = 0; i < CASES && out; i++) {
        fprintf(out, "%.0f", col[0][i]);
        for (int c = 1; c <= MODELS; c++)
            fprintf(out, "\t%.17g", col[c][i]);
        fprintf(out, "\n");
    }
    if (out)
        fclose(out);
    const rad_arg arg[2] = {{.num = NAN, .text = "holm"}, {.num = 0.95, .text = "0.95"}};
    double x;
    double t = rad_clock_seconds();
    if (call("auc_compare_json", (const double *const *)col, 1 + MODELS, CASES, arg, 2, "chisq", &x) != RAD_OK)
        return 1;
    line("paired DeLong, 6 models, 15 pairs, overall test", CASES, rad_clock_seconds() - t, (1 + MODELS) * CASES * 8.0 / 1048576);
    const rad_arg boot[2] = {{.num = 0.95, .text = "0.95"}, {.num = NAN, .text = "bootstrap"}};
    t = rad_clock_seconds();
    if (call("auc_lower", (const double *const *)col, 2, CASES, boot, 2, "lower", &x) != RAD_OK)
        return 1;
    line("stratified bootstrap of one AUC, 2000 replicates", CASES, rad_clock_seconds() - t, 2 * CASES * 8.0 / 1048576);
    for (int64_t n = 100000; n <= 10000000; n *= 10) {
        int8_t *label = malloc((size_t)n);
        double *score = malloc((size_t)n * sizeof *score);
        if (!label || !score)
            return 1;
        for (int64_t i = 0; i < n; i++) {
            label[i] = next(&s) % 4 == 0;
            score[i] = (double)next(&s) * 0x1p-53 + 0.2 * label[i];
        }
        rad_estimate e;
        t = rad_clock_seconds();
        if (rad_auc(label, score, n, 0.95, &e, NULL) != RAD_OK)
            return 1;
        line("AUC with DeLong variance and interval", n, rad_clock_seconds() - t, 9.0 * (double)n / 1048576);
        free(label);
        free(score);
    }
    for (int c = 0; c <= MODELS; c++)
        free(col[c]);
    return 0;
}
