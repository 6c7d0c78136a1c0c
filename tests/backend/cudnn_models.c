/* cudnn_models.c: plans of the cuDNN backend for whole networks, without a GPU.
 *
 *   cudnn_models host PRECISION LIMIT FOLDER...
 *       FOLDER holds model*.onnx, input.f32 and output.f32 (two samples): every network through its plan on the CPU; prints the largest
 * error relative to the largest output, and fails above LIMIT. Also: the second sample twice must give the same bits in both places.
 *   cudnn_models plan DEVICE.json PRECISION MODEL.onnx...       (built where cuDNN is found)
 *       every distinct convolution of the network, at the backend's batch, planned by cuDNN for the described device; fails when there is
 * one without an engine, and when a plan does not come back from its text.
 */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/cudnn/plan.h"
#ifdef RAD_HAVE_CUDNN
#include "infer/cudnn/desc.h"
#endif

#define MAX_FILE ((size_t)1 << 30)

static int complain(const char *what, const rad_error *err) {
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    return 1;
}

/* ---------------------------------------------------------------- on the CPU */

static int check_host(const char *folder, const char *file, rad_precision p, double limit) {
    char path[1200];
    rad_model *m = NULL;
    rad_graph *g = NULL;
    struct g_plan *plan = NULL;
    char *x = NULL, *want = NULL;
    float *y = NULL;
    size_t n_x = 0, n_want = 0;
    rad_error err = {0};
    rad_status st = RAD_OK;
    (void)snprintf(path, sizeof path, "%s/input.f32", folder);
    RAD_TRY(rad_file_read(path, MAX_FILE, &x, &n_x, &err));
    (void)snprintf(path, sizeof path, "%s/output.f32", folder);
    RAD_TRY(rad_file_read(path, MAX_FILE, &want, &n_want, &err));
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    RAD_TRY(rad_model_open(path, &m, &err));
    RAD_TRY(rad_graph_build(m, &(rad_graph_opts){.batch = 2}, &g, &err));
    RAD_TRY(g_plan_build(g, p, &plan, &err));
    for (int i = 0; i < g->n_node; i++) {
        char why[256] = "";
        if (!g_supports(g, &g->node[i], p, why, sizeof why)) {
            st = rad_error_set(&err, RAD_E_MODEL, "'%s' is refused: %s", g->node[i].name, why);
            goto out;
        }
    }
    rad_tensor in = {RAD_DT_F32, g->value[g->input[0]].shape, x}, out = {RAD_DT_F32, g->value[g->output[0]].shape, NULL};
    const size_t count = (size_t)rad_shape_count(&out.shape);
    if (n_x != (size_t)rad_shape_count(&in.shape) * sizeof(float) || n_want != count * sizeof(float)) {
        st = rad_error_set(&err, RAD_E_SHAPE, "input or output has another size");
        goto out;
    }
    y = rad_calloc(count, sizeof *y);
    out.data = y;
    if (y == NULL) {
        st = rad_error_set(&err, RAD_E_NOMEM, "no memory");
        goto out;
    }
    RAD_TRY(g_plan_run_host(plan, &in, &out, &err));
    double off = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        float w;
        memcpy(&w, want + i * sizeof w, sizeof w);
        const double d = fabs((double)y[i] - (double)w);
        off = d > off || isnan(d) ? d : off;
        largest = fabs((double)w) > largest ? fabs((double)w) : largest;
    }
    memcpy(x, x + n_x / 2, n_x / 2);
    RAD_TRY(g_plan_run_host(plan, &in, &out, &err));
    const bool same = memcmp(y, y + count / 2, count / 2 * sizeof *y) == 0;
    (void)printf("%s: %d steps for %d nodes, off by %.2e of the largest output%s\n", path, plan->n_step, g->n_node, off / largest,
                 same ? "" : "; places of the batch differ");
    if (!(off <= limit * largest) || !same)
        st = rad_error_set(&err, RAD_E_DEVICE, "limit %g", limit);
out:
    g_plan_free(plan);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    free(x);
    free(want);
    free(y);
    return st == RAD_OK ? 0 : complain(path, &err);
}

static int run_host(int argc, char **argv) {
    rad_precision p = strcmp(argv[0], "fp16") == 0 ? RAD_PREC_FP16 : strcmp(argv[0], "bf16") == 0 ? RAD_PREC_BF16 : RAD_PREC_FP32;
    double limit = 0;
    int bad = rad_parse_double(argv[1], &limit) ? 0 : 1, seen = 0;
    for (int i = 2; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        const struct dirent *e;
        while (dir != NULL && (e = readdir(dir)) != NULL) {
            const char *dot = strrchr(e->d_name, '.');
            if (strncmp(e->d_name, "model", 5) != 0 || dot == NULL || strcmp(dot, ".onnx") != 0)
                continue;
            bad += check_host(argv[i], e->d_name, p, limit);
            seen++;
        }
        if (dir != NULL)
            (void)closedir(dir);
    }
    (void)printf("%d networks, %d wrong\n", seen, bad);
    return seen > 0 && bad == 0 ? 0 : 1;
}

/* ---------------------------------------------------------------- planned by cuDNN */

#ifdef RAD_HAVE_CUDNN
static int plan_model(const cu_target *t, const char *path, rad_precision p) {
    rad_model *m = NULL;
    rad_graph *g = NULL;
    struct g_plan *plan = NULL;
    cu_conv *seen = NULL;
    int n = 0, bad = 0, fallback = 0;
    int64_t workspace = 0;
    rad_error err = {0};
    rad_status st = RAD_OK;
    const double start = rad_clock_seconds();
    RAD_TRY(rad_model_open(path, &m, &err));
    RAD_TRY(rad_graph_build(m, &(rad_graph_opts){.batch = 32}, &g, &err));
    RAD_TRY(g_plan_build(g, p, &plan, &err));
    seen = rad_calloc((size_t)plan->n_step + 1, sizeof *seen);
    for (int i = 0; seen != NULL && i < plan->n_step; i++) {
        const struct g_step *s = &plan->step[i];
        cu_engine e = {0}, again = {0};
        int k = 0;
        if (s->kind != G_CONV) {
            if (s->args.kind == K_CONV)
                (void)printf("  '%s' runs on our own convolution kernel\n", g->node[s->node].name);
            continue;
        }
        while (k < n && memcmp(&seen[k], &s->conv, sizeof *seen) != 0)
            k++;
        if (k < n)
            continue;
        memcpy(&seen[n++], &s->conv, sizeof *seen);
        if (cu_engine_choose(t, &s->conv, (int64_t)1 << 30, NULL, NULL, &e, &err) != RAD_OK) {
            bad += complain(g->node[s->node].name, &err);
            continue;
        }
        workspace = e.workspace > workspace ? e.workspace : workspace;
        fallback += e.mode == 2;
        char *json = cu_engine_to_json(&e);
        if (json == NULL || !cu_engine_from_json(t, json, &again) || again.workspace != e.workspace) {
            (void)fprintf(stderr, "%s: its plan does not come back from text\n", g->node[s->node].name);
            bad++;
        }
        free(json);
        cu_engine_release(&again);
        cu_engine_release(&e);
    }
    (void)printf("%s: %d distinct convolutions, %d without an engine, %d from the fallback list, workspace %.1f MB, %.2f s\n", path, n, bad,
                 fallback, (double)workspace / 1e6, rad_clock_seconds() - start);
out:
    free(seen);
    g_plan_free(plan);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    return st == RAD_OK ? bad : complain(path, &err);
}

static int run_plan(int argc, char **argv) {
    char *json = NULL;
    size_t size = 0;
    cu_target t = {0};
    rad_error err = {0};
    int bad = 0;
    const rad_precision p = strcmp(argv[1], "fp16") == 0   ? RAD_PREC_FP16
                            : strcmp(argv[1], "bf16") == 0 ? RAD_PREC_BF16
                            : strcmp(argv[1], "tf32") == 0 ? RAD_PREC_TF32
                                                           : RAD_PREC_FP32;
    if (rad_file_read(argv[0], MAX_FILE, &json, &size, &err) != RAD_OK || cu_device_from_json(json, &t.device, &err) != RAD_OK) {
        free(json);
        return complain(argv[0], &err);
    }
    for (int i = 2; i < argc; i++)
        bad += plan_model(&t, argv[i], p);
    (void)cudnnBackendDestroyDescriptor(t.device);
    free(json);
    return bad == 0 ? 0 : 1;
}
#endif

int main(int argc, char **argv) {
    if (argc >= 5 && strcmp(argv[1], "host") == 0)
        return run_host(argc - 2, argv + 2);
#ifdef RAD_HAVE_CUDNN
    if (argc >= 5 && strcmp(argv[1], "plan") == 0)
        return run_plan(argc - 2, argv + 2);
#endif
    (void)fprintf(stderr, "usage: cudnn_models host PRECISION LIMIT FOLDER... | cudnn_models plan DEVICE.json PRECISION MODEL.onnx...\n");
    return 2;
}
