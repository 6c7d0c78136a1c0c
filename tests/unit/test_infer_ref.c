/* The reference backend: places of values in the arena, outputs that no node makes, what a run checks. */
#include "infer/backend.h"
#include "onnx_writer.h"
#include "unit.h"

typedef struct net {
    onnx_writer w;
    rad_model *m;
    rad_graph *g;
    rad_backend *be;
} net;

static void node(onnx_writer *w, const char *op, const char *a, const char *b, const char *y) {
    onnx_node_begin(w, op, y);
    onnx_node_in(w, a);
    if (b != NULL)
        onnx_node_in(w, b);
    onnx_node_out(w, y);
    onnx_node_end(w);
}

static void net_build(net *n, bool no_fold) {
    rad_error err = {0};
    onnx_end(&n->w);
    assert_ok(rad_model_open_memory(n->w.model.p, n->w.model.n, "net", &n->m, &err));
    assert_ok(rad_graph_build(n->m, &(const rad_graph_opts){.no_fold = no_fold}, &n->g, &err));
    assert_ok(rad_backend_open("ref", &n->be, &err));
}

static void net_end(net *n) {
    rad_graph_destroy(&n->g);
    rad_model_close(&n->m);
    rad_backend_close(&n->be);
    onnx_release(&n->w);
}

static rad_tensor f32(int64_t count, float *data) {
    return (rad_tensor){RAD_DT_F32, {1, {count}}, data};
}

/* A long chain with a value that is kept to the end: memory is used again, but never that of a value that is still to be read. */
static void test_reuse(void **state) {
    (void)state;
    enum { N = 1000, STEPS = 20 };
    net n = {0};
    rad_error err = {0};
    float one[N], x[N], y[N];
    char name[STEPS + 1][16];
    for (int i = 0; i < N; i++) {
        one[i] = 1;
        x[i] = (float)i;
    }
    onnx_begin(&n.w, 17);
    onnx_input(&n.w, "x", 1, (const int64_t[]){N}, 1);
    onnx_init_f32(&n.w, "one", (const int64_t[]){N}, 1, one);
    node(&n.w, "Neg", "x", NULL, "kept");
    (void)snprintf(name[0], sizeof name[0], "x");
    for (int i = 0; i < STEPS; i++) {
        (void)snprintf(name[i + 1], sizeof name[i + 1], "v%d", i);
        node(&n.w, i % 2 != 0 ? "Mul" : "Add", name[i], "one", name[i + 1]);
    }
    node(&n.w, "Add", name[STEPS], "kept", "y");
    onnx_output(&n.w, "y");
    net_build(&n, true);
    void *at;
    const rad_backend_ops *ops = rad_backend_get_ops(n.be, &at);
    rad_plan *plan;
    char text[4096];
    assert_ok(ops->plan_create(at, n.g, RAD_PREC_FP32, &plan, &err));
    assert_true(ops->plan_describe(plan, text, sizeof text) < sizeof text);
    size_t bytes = 0;
    assert_int_equal(sscanf(text, "ref: 22 nodes, plain loops in double, %zu bytes", &bytes), 1);
    assert_true(bytes >= 3 * N * sizeof(float) && bytes < 4 * N * sizeof(float)); /* kept, and two that alternate */
    assert_true(ops->plan_describe(plan, text, 10) > 10 && strlen(text) == 9);
    ops->plan_destroy(plan);
    for (int run = 0; run < 2; run++) {
        memset(y, 0xa5, sizeof y);
        const rad_tensor in = f32(N, x);
        rad_tensor out = f32(N, y);
        assert_ok(rad_backend_run_graph(n.be, n.g, RAD_PREC_FP32, &in, &out, &err));
        for (int i = 0; i < N; i++)
            assert_true(y[i] == STEPS / 2);
    }
    net_end(&n);
}

/* Outputs that are an input, a constant, the same value twice, and one that other nodes read as well. */
static void test_odd_outputs(void **state) {
    (void)state;
    for (int no_fold = 0; no_fold < 2; no_fold++) {
        net n = {0};
        rad_error err = {0};
        float two[2] = {2, 2}, x[2] = {1, -3}, y[4][2];
        onnx_begin(&n.w, 17);
        onnx_input(&n.w, "x", 1, (const int64_t[]){2}, 1);
        onnx_init_f32(&n.w, "two", (const int64_t[]){2}, 1, two);
        node(&n.w, "Mul", "x", "two", "a");
        node(&n.w, "Abs", "a", NULL, "b");
        onnx_output(&n.w, "x");
        onnx_output(&n.w, "two");
        onnx_output(&n.w, "a");
        onnx_output(&n.w, "b");
        net_build(&n, no_fold != 0);
        const rad_tensor in = f32(2, x);
        rad_tensor out[4] = {f32(2, y[0]), f32(2, y[1]), f32(2, y[2]), f32(2, y[3])};
        assert_ok(rad_backend_run_graph(n.be, n.g, RAD_PREC_FP32, &in, out, &err));
        const float want[4][2] = {{1, -3}, {2, 2}, {2, -6}, {2, 6}};
        assert_memory_equal(y, want, sizeof want);
        net_end(&n);
    }
}

static void test_checks(void **state) {
    (void)state;
    net n = {0};
    rad_error err = {0};
    float x[3] = {1, 2, 3}, y[3];
    onnx_begin(&n.w, 17);
    onnx_input(&n.w, "x", 1, (const int64_t[]){3}, 1);
    node(&n.w, "Neg", "x", NULL, "y");
    onnx_output(&n.w, "y");
    net_build(&n, false);
    rad_tensor in = f32(3, x), out = f32(3, y), bad = f32(2, x);
    assert_fails(rad_backend_run_graph(n.be, n.g, RAD_PREC_FP32, &bad, &out, &err), RAD_E_SHAPE,
                 "input 'x' is float32 [2], expected float32 [3]");
    bad = f32(2, y);
    assert_fails(rad_backend_run_graph(n.be, n.g, RAD_PREC_FP32, &in, &bad, &err), RAD_E_SHAPE, "output 'y'");
    assert_fails(rad_backend_run_graph(n.be, n.g, RAD_PREC_BF16, &in, &out, &err), RAD_E_DEVICE, "no bf16");
    for (int64_t fail = 1;; fail++) {
        rad_mem_fail_after(fail);
        const rad_status st = rad_backend_run_graph(n.be, n.g, RAD_PREC_FP32, &in, &out, &err);
        rad_mem_fail_after(0);
        if (st == RAD_OK)
            break;
        assert_int_equal(st, RAD_E_NOMEM);
        assert_true(fail < 50);
    }
    assert_true(y[2] == -3);
    net_end(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_odd_outputs),
        cmocka_unit_test(test_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
