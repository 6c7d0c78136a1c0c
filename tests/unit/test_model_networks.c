/* The networks of ../shared/models, every export variant: they open, take batches 1, 2 and 5, and the folded graph computes what the file
 * says, in plain evaluation, to 1e-5 of the largest output; both reproduce PyTorch's own output. Skips when the folder is missing. */
#include "unit.h"

#include <dirent.h>

#include "graph_eval.h"

static char root[1024];

static const char *shared_folder(void) {
    const char *shared = getenv("RADCOHORT_SHARED"), *source = getenv("RAD_SOURCE");
    if (shared)
        snprintf(root, sizeof root, "%s/models", shared);
    else
        snprintf(root, sizeof root, "%s/../shared/models", source ? source : ".");
    return root;
}

static float *read_floats(const char *network, const char *file, size_t *ret_n) {
    char path[2048], *data = NULL;
    size_t size;
    rad_error err;
    snprintf(path, sizeof path, "%s/%s/%s", root, network, file);
    assert_ok(rad_file_read(path, (size_t)1 << 28, &data, &size, &err));
    *ret_n = size / sizeof(float);
    return (float *)(void *)data;
}

/* One file at one batch; the input holds two samples, which are repeated to fill it. */
static void check(const char *network, const char *file, int64_t batch, const float *input, size_t n_in, const float *output,
                  size_t n_out) {
    char path[2048];
    rad_error err;
    rad_model *m = NULL;
    rad_graph *folded = NULL, *plain = NULL;
    void **a = NULL, **b = NULL;
    snprintf(path, sizeof path, "%s/%s/%s", root, network, file);
    assert_ok(rad_model_open(path, &m, &err));
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.batch = batch}, &folded, &err));
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.batch = batch, .no_fold = true}, &plain, &err));
    assert_true(folded->n_node <= plain->n_node);
    const rad_shape *s = &folded->value[folded->output[0]].shape;
    assert_int_equal(s->dim[0], batch);
    if (batch > 2) { /* shapes alone: the numbers are those of batches 1 and 2 */
        rad_graph_destroy(&folded);
        rad_graph_destroy(&plain);
        rad_model_close(&m);
        return;
    }
    assert_true(n_in / 2 * (size_t)batch == (size_t)rad_shape_count(&folded->value[folded->input[0]].shape));
    const void *in[1] = {input};
    assert_ok(graph_eval(folded, in, &a, &err));
    assert_ok(graph_eval(plain, in, &b, &err));
    int64_t n = rad_shape_count(s);
    assert_int_equal((size_t)n, n_out / 2 * (size_t)batch);
    double passes = graph_difference(a[0], b[0], n), torch = graph_difference(a[0], output, n);
    if (!(passes < 1e-5) || !(torch < 1e-4))
        fail_msg("%s at batch %lld: folded and unfolded differ by %g, folded and PyTorch by %g", path, (long long)batch, passes, torch);
    graph_eval_release(folded, a);
    graph_eval_release(plain, b);
    rad_graph_destroy(&folded);
    rad_graph_destroy(&plain);
    rad_model_close(&m);
}

static void every_network(void **state) {
    (void)state;
    static const char *const variant[] = {"model.onnx",          "model_op11.onnx", "model_op13.onnx",   "model_dyn.onnx",
                                          "model_dyn_op11.onnx", "model_bn.onnx",   "model_bn_op11.onnx"};
    DIR *d = opendir(root);
    int n_network = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[2048];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s/model.onnx", root, e->d_name);
        if (access(path, R_OK) != 0)
            continue;
        size_t n_in, n_out;
        float *input = read_floats(e->d_name, "input.f32", &n_in), *output = read_floats(e->d_name, "output.f32", &n_out);
        for (size_t v = 0; v < sizeof variant / sizeof variant[0]; v++) {
            check(e->d_name, variant[v], 5, input, n_in, output, n_out);
            check(e->d_name, variant[v], 1, input, n_in, output, n_out);
            if (v == 0) /* a fixed batch of 2 rebuilt for 1 above; here as it is */
                check(e->d_name, variant[v], 2, input, n_in, output, n_out);
        }
        free(input);
        free(output);
        n_network++;
    }
    closedir(d);
    assert_true(n_network >= 16);
}

/* RepVGG in training form folds to as many convolutions as the deployed one has, and says how exactly. */
static void repvgg_folds_to_its_deployed_form(void **state) {
    (void)state;
    static const char *const pair[2] = {"repvgg_a0/model.onnx", "repvgg_a0_deploy/model.onnx"};
    int n_node[2];
    for (int i = 0; i < 2; i++) {
        char path[2048], text[1024];
        rad_error err;
        rad_model *m = NULL;
        rad_graph *g = NULL;
        snprintf(path, sizeof path, "%s/%s", root, pair[i]);
        assert_ok(rad_model_open(path, &m, &err));
        assert_ok(rad_graph_build(m, &(rad_graph_opts){.batch = 1}, &g, &err));
        n_node[i] = g->n_node;
        rad_graph_describe(g, text, sizeof text);
        if (i == 0)
            assert_non_null(strstr(text, "branches merged 11 (largest weight change"));
        rad_graph_destroy(&g);
        rad_model_close(&m);
    }
    assert_int_equal(n_node[0], n_node[1]);
}

int main(void) {
    if (access(shared_folder(), R_OK) != 0) {
        printf("SKIP: no folder %s\n", root);
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_network), cmocka_unit_test(repvgg_folds_to_its_deployed_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
