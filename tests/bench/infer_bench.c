/* infer_bench.c: keeps one network loaded and runs it on demand, so that infer_bench.py can take turns between runtimes.
 *
 *   infer_bench MODEL.onnx THREADS BACKEND PRECISION
 * prints "ready GFLOP_PER_IMAGE", then answers each line "N" on stdin with the seconds that N images took, by the clock and of
 * processor time. "quit" prints the peak memory in
 * kilobytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "radcohort/infer.h"

/* Multiply-adds of convolutions and fully connected layers, twice, in units of 1e9: the usual count. */
static double gflop(const rad_graph *g) {
    double sum = 0.0;
    for (int i = 0; i < g->n_node; i++) {
        const rad_node *n = &g->node[i];
        if (strcmp(n->op->name, "Conv") != 0 && strcmp(n->op->name, "Gemm") != 0 && strcmp(n->op->name, "MatMul") != 0)
            continue;
        const rad_shape *w = &g->value[n->input[1]].shape, *y = &g->value[n->output[0]].shape;
        const double columns = (double)y->dim[strcmp(n->op->name, "Conv") == 0 ? 1 : y->rank - 1];
        sum += 2.0 * (double)rad_shape_count(y) * (double)rad_shape_count(w) / columns;
    }
    return sum * 1e-9;
}

static double cpu_seconds(void) {
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int serve(rad_engine *e) {
    rad_shape in, out;
    rad_error err = {0};
    char line[32];
    int64_t n = 0, room = 0;
    float *x = NULL, *y = NULL;
    int code = 0;
    rad_engine_get_shapes(e, &in, &out, NULL);
    const size_t x_count = (size_t)rad_shape_count(&in), y_count = (size_t)rad_shape_count(&out);
    (void)printf("ready %.4f\n", gflop(rad_engine_graph(e)));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
        line[strcspn(line, "\n")] = '\0';
        if (!rad_parse_int(line, &n) || n < 1 || n > 100000)
            break;
        if (n > room) {
            free(x);
            free(y);
            x = rad_malloc((size_t)n * x_count * sizeof *x);
            y = rad_malloc((size_t)n * y_count * sizeof *y);
            room = n;
            for (size_t i = 0; x != NULL && i < (size_t)n * x_count; i++)
                x[i] = (float)((i * 2654435761u >> 7) & 1023) / 1024.0f - 0.5f;
        }
        const double start = rad_clock_seconds(), busy = cpu_seconds();
        if (x == NULL || y == NULL || rad_engine_run(e, x, n, y, NULL, &err) != RAD_OK) {
            (void)fprintf(stderr, "infer_bench: %s\n", err.text);
            code = 1;
            break;
        }
        (void)printf("%.9f %.9f\n", rad_clock_seconds() - start, cpu_seconds() - busy);
        (void)fflush(stdout);
    }
    free(x);
    free(y);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        (void)printf("%ld\n", usage.ru_maxrss);
    return code;
}

int main(int argc, char **argv) {
    rad_backend *be = NULL;
    rad_model *m = NULL;
    rad_engine *e = NULL;
    rad_error err = {0};
    rad_engine_opts opts = {.precision = RAD_PREC_FP32};
    int64_t threads = 1;
    int code = 1;
    if (argc != 5 || !rad_parse_int(argv[2], &threads)) {
        (void)fprintf(stderr, "usage: infer_bench MODEL.onnx THREADS BACKEND PRECISION\n");
        return 2;
    }
    opts.threads = (int)threads;
    if (rad_precision_parse(argv[4], &opts.precision, &err) == RAD_OK && rad_backend_open(argv[3], &be, &err) == RAD_OK &&
        rad_model_open(argv[1], &m, &err) == RAD_OK && rad_engine_create(be, m, &opts, &e, &err) == RAD_OK)
        code = serve(e);
    else
        (void)fprintf(stderr, "infer_bench: %s\n", err.text);
    rad_engine_destroy(&e);
    rad_model_close(&m);
    rad_backend_close(&be);
    return code;
}
