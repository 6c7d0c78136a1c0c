/* Laying out a network by several threads: the bits of one thread, whatever the places of the weights in the file; errors as of one. */
#include "unit.h"

#include <math.h>

#include "onnx_writer.h"
#include "radcohort/infer.h"

enum { C = 96, SIDE = 24, LAYERS = 12, CLASSES = 3 };

static float weight[LAYERS][C * C * 9], bias[LAYERS][C], last[C * CLASSES];

static void fill(float *p, size_t n, unsigned seed) {
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (float)(seed >> 8) / (float)(1u << 24) - 0.5f;
    }
}

/* Names of every length: the weights lie at all remainders of four in the file. One weight is read by two nodes, one as it is. */
static void network(onnx_writer *w) {
    char x[16] = "x", y[16], name[32];
    onnx_begin(w, 17);
    onnx_input(w, "x", 1, (int64_t[]){1, C, SIDE, SIDE}, 4);
    for (int i = 0; i < LAYERS; i++) {
        fill(weight[i], C * C * 9, 7 + (unsigned)i);
        fill(bias[i], C, 70 + (unsigned)i);
        const int k = i % 4 == 1 ? 1 : 3;
        snprintf(name, sizeof name, "w%.*s", i, "aaaaaaaaaaaa");
        onnx_init_f32(w, name, (int64_t[]){C, C, k, k}, 4, weight[i]);
        snprintf(name, sizeof name, "b%d", i);
        onnx_init_f32(w, name, (int64_t[]){C}, 1, bias[i]);
    }
    for (int i = 0; i <= LAYERS; i++) {
        const int of = i < LAYERS ? i : 1; /* the last one shares the weights of the second */
        char b[32];
        snprintf(name, sizeof name, "w%.*s", of, "aaaaaaaaaaaa");
        snprintf(b, sizeof b, "b%d", of);
        snprintf(y, sizeof y, "y%d", i);
        onnx_simple(w, "Conv", x, name, b, NULL, y);
        snprintf(x, sizeof x, "r%d", i);
        onnx_simple(w, "Relu", y, NULL, NULL, NULL, x);
    }
    fill(last, C * CLASSES, 700);
    onnx_init_f32(w, "scale", (int64_t[]){C, 1, 1}, 3, bias[0]);
    onnx_init_f32(w, "last", (int64_t[]){C, CLASSES}, 2, last);
    onnx_simple(w, "Mul", x, "scale", NULL, NULL, "m");
    onnx_simple(w, "GlobalAveragePool", "m", NULL, NULL, NULL, "p");
    onnx_simple(w, "Flatten", "p", NULL, NULL, NULL, "f");
    onnx_simple(w, "MatMul", "f", "last", NULL, NULL, "y");
    onnx_output(w, "y");
    onnx_end(w);
}

static rad_status run(rad_backend *be, const onnx_writer *w, int threads, const float *in, float out[CLASSES], rad_error *err) {
    rad_model *m = NULL;
    rad_engine *e = NULL;
    const rad_engine_opts o = {.precision = RAD_PREC_FP32, .threads = threads};
    rad_status st = rad_model_open_memory(w->model.p, w->model.n, "t.onnx", &m, err);
    if (st == RAD_OK)
        st = rad_engine_create(be, m, &o, &e, err);
    if (st == RAD_OK)
        st = rad_engine_run(e, in, 1, out, NULL, err);
    rad_engine_destroy(&e);
    rad_model_close(&m);
    return st;
}

static void any_number_of_threads(void **state) {
    (void)state;
    static float in[C * SIDE * SIDE];
    float truth[CLASSES], one[CLASSES], out[CLASSES];
    rad_error err = {0};
    rad_backend *be = NULL, *ref = NULL;
    onnx_writer w = {0};
    if (!rad_backend_probe("onednn", err.text, sizeof err.text))
        skip();
    fill(in, C * SIDE * SIDE, 3);
    network(&w);
    assert_ok(rad_backend_open("onednn", &be, &err));
    assert_ok(rad_backend_open("ref", &ref, &err));
    assert_ok(run(ref, &w, 1, in, truth, &err));
    assert_ok(run(be, &w, 1, in, one, &err));
    for (int i = 0; i < CLASSES; i++)
        assert_true(fabs((double)one[i] - (double)truth[i]) < 1e-4 * (1 + fabs((double)truth[i])));
    for (int round = 0; round < 24; round++) { /* who does what changes every time */
        const int threads = 2 + round * round % 32;
        assert_ok(run(be, &w, threads, in, out, &err));
        assert_memory_equal(out, one, sizeof one);
    }
    rad_backend_close(&ref);
    rad_backend_close(&be);
    onnx_release(&w);
}

/* Memory that runs out anywhere while it is laid out, by one thread as by several: said, and nothing is left behind. */
static void out_of_memory(void **state) {
    (void)state;
    static float in[C * SIDE * SIDE];
    float out[CLASSES];
    rad_error err = {0};
    rad_backend *be = NULL;
    onnx_writer w = {0};
    if (!rad_backend_probe("onednn", err.text, sizeof err.text))
        skip();
    network(&w);
    assert_ok(rad_backend_open("onednn", &be, &err));
    rad_status st = RAD_E_NOMEM;
    for (int64_t n = 1; st != RAD_OK && n < 20000; n += n < 300 ? 7 : 61) {
        err = (rad_error){0};
        rad_mem_fail_after(n);
        st = run(be, &w, 1, in, out, &err);
        rad_mem_fail_after(0);
        if (st != RAD_OK)
            assert_int_equal(st, RAD_E_NOMEM);
    }
    assert_int_equal(st, RAD_OK);
    rad_backend_close(&be);
    onnx_release(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
