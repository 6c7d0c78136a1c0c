/* fuzz_onnx: hostile bytes as an ONNX file: opened, built for several batches with and without passes, and small graphs evaluated.
 * A bad file is an error of the model that names the file; what is accepted must be well formed.
 * RAD_TEST_LINK: rad_model */
#include <stdlib.h>
#include <string.h>

#include "../unit/graph_eval.h"
#include "fuzz.h"

static void require(bool ok) {
    if (!ok)
        abort();
}

static void check_error(rad_status st, const rad_error *err) {
    require(st == RAD_E_MODEL || st == RAD_E_NOMEM);
    require(strstr(err->text, "fuzz.onnx") != NULL);
}

static void check_graph(const rad_graph *g) {
    for (int i = 0; i < g->n_node; i++) {
        const rad_node *n = &g->node[i];
        for (int k = 0; k < n->n_input; k++)
            require(n->input[k] >= -1 && n->input[k] < g->n_value && (n->input[k] < 0 || g->value[n->input[k]].producer < i));
        for (int k = 0; k < n->n_output; k++)
            require(n->output[k] >= -1 && n->output[k] < g->n_value && (n->output[k] < 0 || g->value[n->output[k]].producer == i));
        require(n->residual >= -1 && n->residual < g->n_value);
    }
    for (int k = 0; k < g->n_output; k++)
        require(g->value[g->output[k]].producer >= 0);
    for (int v = 0; v < g->n_value; v++)
        require(rad_shape_count(&g->value[v].shape) >= 0);
    char text[1024];
    require(rad_graph_describe(g, text, sizeof text) > 0);
}

/* The work of one evaluation stays small: a fuzzer wants thousands of runs per second. */
static bool is_small(const rad_graph *g) {
    int64_t total = 0;
    for (int v = 0; v < g->n_value; v++) {
        total += rad_shape_count(&g->value[v].shape);
        if (total > 3000)
            return false;
    }
    return g->n_node <= 100;
}

static void evaluate(const rad_graph *g) {
    const void **in = calloc((size_t)g->n_input + 1, sizeof *in);
    void **out = NULL;
    rad_error err = {0};
    require(in != NULL);
    for (int i = 0; i < g->n_input; i++) {
        size_t n = graph_bytes(&g->value[g->input[i]]);
        uint8_t *x = malloc(n + 1);
        require(x != NULL);
        for (size_t k = 0; k < n; k++)
            x[k] = (uint8_t)(k & 1); /* small numbers of any type */
        in[i] = x;
    }
    if (graph_eval(g, in, &out, &err) == RAD_OK)
        graph_eval_release(g, out);
    for (int i = 0; i < g->n_input; i++) {
        void *x;
        memcpy(&x, &in[i], sizeof x);
        free(x);
    }
    free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const rad_graph_opts way[] = {{.batch = 0}, {.batch = 1}, {.batch = 3}, {.batch = 3, .no_fold = true}};
    rad_error err = {0};
    rad_model *m = NULL;
    rad_status st = rad_model_open_memory(data, size, "fuzz.onnx", &m, &err);
    if (st != RAD_OK) {
        require(m == NULL);
        check_error(st, &err);
        return 0;
    }
    for (size_t i = 0; i < sizeof way / sizeof way[0]; i++) {
        rad_graph *g = NULL;
        st = rad_graph_build(m, &way[i], &g, &err);
        if (st != RAD_OK) {
            require(g == NULL);
            check_error(st, &err);
            continue;
        }
        check_graph(g);
        if (is_small(g))
            evaluate(g);
        rad_graph_destroy(&g);
    }
    rad_model_close(&m);
    return 0;
}
