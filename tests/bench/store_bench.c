/* store_bench.c: how many scores per second go through rad_store_put_result into the file, what a committed lease costs, and how
 * long the end of a run takes. `store_bench [PATIENTS [SLICES [MODELS]]]`; with `-k FILE` as the first two arguments the file is kept (the
 * script tests make their result files this way), and `backwards` at the end lets the results come in the other order. */
#include "../unit/store_fixture.h"

#include <sys/stat.h>

static void die(const rad_error *err) {
    fprintf(stderr, "store_bench: %s\n", err->text);
    exit(1);
}
#define OK(call)                                                                                                                           \
    do {                                                                                                                                   \
        if ((call) != RAD_OK)                                                                                                              \
            die(&err);                                                                                                                     \
    } while (0)

static int number(char **argv, int argc, int i, int otherwise, int max) {
    int64_t v = otherwise;
    if (i < argc && (!rad_parse_int(argv[i], &v) || v < 1 || v > max)) {
        fprintf(stderr, "store_bench: '%s': a number from 1 to %d was expected\n", argv[i], max);
        exit(2);
    }
    return (int)v;
}

int main(int argc, char **argv) {
    const char *keep = argc > 2 && strcmp(argv[1], "-k") == 0 ? argv[2] : NULL;
    int first = keep ? 3 : 1;
    int n_patient = number(argv, argc, first, 2000, 1000000), n_slice = number(argv, argc, first + 1, 20, FX_MAX_SLICE);
    int n_model = number(argv, argc, first + 2, 2, FX_MAX_MODEL);
    const bool backwards = argc > first + 3 && strcmp(argv[first + 3], "backwards") == 0;
    char own[160];
    rad_error err = {0};
    rad_store *st = NULL;
    rad_pending_case *p = NULL;
    int64_t run = 0, n = 0, excluded = 0;
    bool resumed, finished;
    fixture f;
    fx_result *b = malloc(sizeof *b);
    const char *folder = keep ? NULL : unit_folder();
    snprintf(own, sizeof own, "%s/bench.sqlite", folder ? folder : "");
    const char *path = keep ? keep : own;
    fx_create(&f, (fx_shape){.n_center = 4,
                             .n_patient = n_patient,
                             .n_lesion = 2,
                             .n_class = 2,
                             .n_model = n_model,
                             .n_slice = n_slice,
                             .trouble = keep != NULL});
    OK(rad_store_open(path, RAD_STORE_WRITE, &st, &err));
    double t0 = rad_clock_seconds();
    OK(rad_store_begin_run(st, &f.info, &run, &resumed, &finished, &p, &n, &err));
    double t1 = rad_clock_seconds(), make = 0, lease = 0;
    int64_t scores = 0, leases = 0;
    for (int64_t i = 0; i < n; i++) {
        double a = rad_clock_seconds();
        if (i % 64 == 0) { /* as a coordinator does: a handful of cases per message */
            int64_t id[64], m = n - i < 64 ? n - i : 64;
            for (int64_t k = 0; k < m; k++)
                id[k] = p[i + k].case_id;
            OK(rad_store_lease(st, run, id, m, 1, &err));
            lease += rad_clock_seconds() - a;
            leases++;
            a = rad_clock_seconds();
        }
        const rad_pending_case *next = &p[backwards ? n - 1 - i : i];
        rad_case_result *r = fx_make(&f, next->manifest_index, next->case_id, -1, b);
        for (int m = 0; m < r->n_model; m++)
            scores += r->model[m].n_slice * f.job.n_class;
        make += rad_clock_seconds() - a;
        OK(rad_store_put_result(st, run, r, &err));
    }
    OK(rad_store_flush(st, &err));
    double t2 = rad_clock_seconds();
    OK(rad_store_finish_run(st, run, &f.job, &excluded, &err));
    double t3 = rad_clock_seconds();
    rad_store_close(&st);
    struct stat sb;
    double bytes = stat(path, &sb) == 0 ? (double)sb.st_size : 0;
    if (keep) {
        printf("%s: run %lld, %lld cases\n", path, (long long)run, (long long)f.manifest.n_case);
    } else {
        double put = t2 - t1 - make - lease;
        printf("begin    %8.0f cases/s (%lld cases, %d models)\n", (double)f.manifest.n_case / (t1 - t0), (long long)f.manifest.n_case,
               n_model);
        printf("put      %8.0f scores/s, %.0f cases/s (%lld scores in %.2f s, commits included)\n", (double)scores / put, (double)n / put,
               (long long)scores, put);
        printf("lease    %8.2f ms each, of 64 cases, committed (%lld)\n", 1e3 * lease / (double)leases, (long long)leases);
        printf("finish   %8.0f scores/s (%.2f s: aggregation, check, statistics)\n", (double)scores / (t3 - t2), t3 - t2);
        printf("file     %8.1f bytes per score\n", bytes / (double)scores);
    }
    free(p);
    free(b);
    fx_destroy(&f);
    if (folder)
        unit_remove(folder);
    return 0;
}
