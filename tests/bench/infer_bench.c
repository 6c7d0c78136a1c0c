/* infer_bench.c: keeps one network loaded and runs it on demand, so that infer_bench.py can take turns between runtimes.
 *
 *   infer_bench MODEL.onnx THREADS BACKEND PRECISION [BATCH]
 * prints "ready GFLOP_PER_IMAGE", then answers each line "N" on stdin with the seconds that N images took, by the clock and of processor
 * time. "quit" prints the peak memory in kilobytes.
 *
 * With BATCH it runs what an engine without promise 1 would run: one plan of exactly that batch, its threads sharing each operation. The
 * difference is the price of the promise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "infer/backend.h"
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

/* The engine, or (engine NULL) one plan of a fixed batch. */
struct runner {
    rad_engine *engine;
    const rad_backend_ops *ops;
    rad_graph *graph;
    rad_plan *plan;
    rad_exec *exec;
};

static void release(struct runner *r) {
    rad_engine_destroy(&r->engine);
    if (r->exec != NULL)
        r->ops->exec_destroy(r->exec);
    if (r->plan != NULL)
        r->ops->plan_destroy(r->plan);
    rad_graph_destroy(&r->graph);
}

static rad_status make_fixed(struct runner *r, rad_backend *be, rad_model *m, const rad_engine_opts *opts, int64_t batch, rad_error *err) {
    void *state = NULL;
    double gain = 1.0;
    r->ops = rad_backend_get_ops(be, &state);
    rad_status st = rad_graph_build(m, &(rad_graph_opts){.batch = batch}, &r->graph, err);
    if (st == RAD_OK)
        st = r->ops->plan_create(state, r->graph, opts->precision, &r->plan, err);
    bool busy = opts->threads > 1 && r->ops->exec_create_team != NULL;
    for (int tries = 0; st == RAD_OK && busy && tries < 20; tries++)
        st = r->ops->exec_create_team(r->plan, opts->threads, &r->exec, &gain, &busy, err);
    if (st == RAD_OK && r->exec == NULL)
        st = r->ops->exec_create(r->plan, &r->exec, err);
    return st;
}

static rad_status run(struct runner *r, float *x, int64_t n, float *y, rad_error *err) {
    if (r->engine != NULL)
        return rad_engine_run(r->engine, x, n, y, NULL, err);
    const rad_value *in = &r->graph->value[r->graph->input[0]], *out = &r->graph->value[r->graph->output[0]];
    if (n != in->shape.dim[0])
        return rad_error_set(err, RAD_E_USAGE, "asked for %lld images of a plan for %lld", (long long)n, (long long)in->shape.dim[0]);
    const rad_tensor t_in = {.dtype = in->dtype, .shape = in->shape, .data = x};
    rad_tensor t_out = {.dtype = out->dtype, .shape = out->shape, .data = y};
    return r->ops->exec_run(r->exec, &t_in, &t_out, err);
}

/* Elements of one image's input and output, and the arithmetic in it. */
static void measure(const struct runner *r, size_t *ret_in, size_t *ret_out, double *ret_gflop) {
    rad_shape in, out;
    if (r->engine != NULL) {
        rad_engine_get_shapes(r->engine, &in, &out, NULL);
        *ret_in = (size_t)rad_shape_count(&in);
        *ret_out = (size_t)rad_shape_count(&out);
        *ret_gflop = gflop(rad_engine_graph(r->engine));
        return;
    }
    const rad_shape *x = &r->graph->value[r->graph->input[0]].shape, *y = &r->graph->value[r->graph->output[0]].shape;
    *ret_in = (size_t)(rad_shape_count(x) / x->dim[0]);
    *ret_out = (size_t)(rad_shape_count(y) / x->dim[0]);
    *ret_gflop = gflop(r->graph) / (double)x->dim[0];
}

static int serve(struct runner *r) {
    rad_error err = {0};
    char line[32];
    int64_t n = 0, room = 0;
    float *x = NULL, *y = NULL;
    int code = 0;
    size_t x_count = 0, y_count = 0;
    double work = 0.0;
    measure(r, &x_count, &y_count, &work);
    (void)printf("ready %.4f\n", work);
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
        if (x == NULL || y == NULL || run(r, x, n, y, &err) != RAD_OK) {
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
    struct runner r = {0};
    rad_error err = {0};
    rad_engine_opts opts = {.precision = RAD_PREC_FP32};
    int64_t threads = 1, batch = 0;
    int code = 1;
    if (argc < 5 || argc > 6 || !rad_parse_int(argv[2], &threads) || (argc == 6 && (!rad_parse_int(argv[5], &batch) || batch < 1))) {
        (void)fprintf(stderr, "usage: infer_bench MODEL.onnx THREADS BACKEND PRECISION [BATCH]\n");
        return 2;
    }
    opts.threads = (int)threads;
    if (rad_precision_parse(argv[4], &opts.precision, &err) == RAD_OK && rad_backend_open(argv[3], &be, &err) == RAD_OK &&
        rad_model_open(argv[1], &m, &err) == RAD_OK &&
        (batch > 0 ? make_fixed(&r, be, m, &opts, batch, &err) : rad_engine_create(be, m, &opts, &r.engine, &err)) == RAD_OK)
        code = serve(&r);
    else
        (void)fprintf(stderr, "infer_bench: %s\n", err.text);
    release(&r);
    rad_model_close(&m);
    rad_backend_close(&be);
    return code;
}
