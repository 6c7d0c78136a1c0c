/* gpu_bench.c: images per second of one network on a GPU, data resident and from host memory.
 *
 *   gpu_bench MODEL.onnx PRECISION BATCH STREAMS
 * prints "resident IMAGES_PER_S" (the forward pass alone, by the device's clock) and "host IMAGES_PER_S" (STREAMS threads, each copying its
 * batch in and its result out). Exit 77 where there is no usable GPU.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/backend.h"

enum { WARM = 5, RUNS = 50, MAX_STREAMS = 16 };

struct stream {
    const rad_backend_ops *ops;
    const rad_graph *g;
    rad_exec *exec;
    float *in, *out;
    rad_status st;
    rad_error err;
};

static void *run(void *arg) {
    struct stream *s = arg;
    const rad_tensor in = {RAD_DT_F32, s->g->value[s->g->input[0]].shape, s->in};
    rad_tensor out = {RAD_DT_F32, s->g->value[s->g->output[0]].shape, s->out};
    for (int i = 0; i < RUNS && s->st == RAD_OK; i++)
        s->st = s->ops->exec_run(s->exec, &in, &out, &s->err);
    return NULL;
}

static rad_status prepare_stream(struct stream *s, const rad_backend_ops *ops, const rad_graph *g, rad_plan *plan, rad_error *err) {
    const size_t n_in = (size_t)rad_shape_count(&g->value[g->input[0]].shape),
                 n_out = (size_t)rad_shape_count(&g->value[g->output[0]].shape);
    *s = (struct stream){.ops = ops, .g = g, .in = rad_aligned(n_in * sizeof *s->in), .out = rad_aligned(n_out * sizeof *s->out)};
    if (s->in == NULL || s->out == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    for (size_t i = 0; i < n_in; i++)
        s->in[i] = (float)((i * 2654435761u >> 7) % 1000) / 500.0f - 1.0f;
    rad_status st = ops->exec_create(plan, &s->exec, err);
    const rad_tensor in = {RAD_DT_F32, g->value[g->input[0]].shape, s->in};
    rad_tensor out = {RAD_DT_F32, g->value[g->output[0]].shape, s->out};
    for (int i = 0; i < WARM && st == RAD_OK; i++)
        st = ops->exec_run(s->exec, &in, &out, err);
    return st;
}

int main(int argc, char **argv) {
    rad_backend *be = NULL;
    rad_model *m = NULL;
    rad_graph *g = NULL;
    rad_plan *plan = NULL;
    struct stream stream[MAX_STREAMS];
    pthread_t thread[MAX_STREAMS];
    rad_precision p = RAD_PREC_FP32;
    int64_t batch = 0, n_stream = 0;
    double seconds = 0;
    rad_error err = {0};
    rad_status st = RAD_OK;
    void *state = NULL;
    memset(stream, 0, sizeof stream);
    if (argc != 5 || !rad_parse_int(argv[3], &batch) || !rad_parse_int(argv[4], &n_stream) || batch < 1 || n_stream < 1 ||
        n_stream > MAX_STREAMS) {
        (void)fprintf(stderr, "usage: gpu_bench MODEL.onnx PRECISION BATCH STREAMS\n");
        return 2;
    }
    if (rad_backend_open("cudnn", &be, &err) != RAD_OK) {
        (void)printf("SKIP: %s\n", err.text);
        return 77;
    }
    const rad_backend_ops *ops = rad_backend_get_ops(be, &state);
    RAD_TRY(rad_precision_parse(argv[2], &p, &err));
    RAD_TRY(rad_model_open(argv[1], &m, &err));
    RAD_TRY(rad_graph_build(m, &(rad_graph_opts){.batch = batch}, &g, &err));
    RAD_TRY(rad_backend_refuse(be, g, p, &err));
    RAD_TRY(ops->plan_create(state, g, p, &plan, &err));
    for (int i = 0; i < n_stream; i++)
        RAD_TRY(prepare_stream(&stream[i], ops, g, plan, &err));
    RAD_TRY(rad_cudnn_replay(stream[0].exec, RUNS, &seconds, &err));
    (void)printf("resident %.1f\n", (double)batch * RUNS / seconds);
    const double start = rad_clock_seconds();
    for (int i = 0; i < n_stream; i++)
        if (pthread_create(&thread[i], NULL, run, &stream[i]) != 0) {
            st = rad_error_set(&err, RAD_E_NOMEM, "cannot start a thread");
            n_stream = i;
        }
    for (int i = 0; i < n_stream; i++) {
        (void)pthread_join(thread[i], NULL);
        if (stream[i].st != RAD_OK) {
            st = stream[i].st;
            err = stream[i].err;
        }
    }
    (void)printf("host %.1f\n", (double)(batch * n_stream) * RUNS / (rad_clock_seconds() - start));
out:
    if (st != RAD_OK)
        (void)fprintf(stderr, "gpu_bench: %s\n", err.text);
    for (int i = 0; i < MAX_STREAMS; i++) {
        if (stream[i].exec != NULL)
            stream[i].ops->exec_destroy(stream[i].exec);
        free(stream[i].in);
        free(stream[i].out);
    }
    if (plan != NULL)
        ops->plan_destroy(plan);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    rad_backend_close(&be);
    return st == RAD_OK ? 0 : 1;
}
