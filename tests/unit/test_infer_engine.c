/* The engine: shapes, outputs, taps; the same bits for any batch, position and thread count; and every way it can fail. */
#include "unit.h"

#include <unistd.h>

#include "onnx_writer.h"
#include "radcohort/infer.h"

enum { SAMPLE = 3 * 9 * 9, CLASSES = 5, MOST = 11 };

static void fill(float *p, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++)
        p[i] = unit_number((uint32_t)i + seed * 7919u);
}

/* x [batch,3,9,9] -> Conv 3x3 (20) -> Relu -> Conv 3x3 (64) -> Relu -> mean -> (`odd`) -> Gemm (5) -> y, and z = Relu(y) */
static void network(onnx_writer *w, int64_t batch, const char *odd) {
    static float w1[20 * 27], w2[64 * 180], w3[CLASSES * 64], bias[64];
    fill(w1, sizeof w1 / sizeof *w1, 1);
    fill(w2, sizeof w2 / sizeof *w2, 2);
    fill(w3, sizeof w3 / sizeof *w3, 3);
    fill(bias, 64, 4);
    onnx_begin(w, 17);
    onnx_input(w, "x", 1, (int64_t[]){batch, 3, 9, 9}, 4);
    onnx_init_f32(w, "w1", (int64_t[]){20, 3, 3, 3}, 4, w1);
    onnx_init_f32(w, "w2", (int64_t[]){64, 20, 3, 3}, 4, w2);
    onnx_init_f32(w, "w3", (int64_t[]){CLASSES, 64}, 2, w3);
    onnx_init_f32(w, "b1", (int64_t[]){20}, 1, bias);
    onnx_init_f32(w, "b2", (int64_t[]){64}, 1, bias);
    onnx_init_f32(w, "b3", (int64_t[]){CLASSES}, 1, bias);
    onnx_simple(w, "Conv", "x", "w1", "b1", NULL, "c1");
    onnx_simple(w, "Relu", "c1", NULL, NULL, NULL, "r1");
    onnx_simple(w, "Conv", "r1", "w2", "b2", NULL, "c2");
    onnx_simple(w, "Relu", "c2", NULL, NULL, NULL, "r2");
    onnx_simple(w, "GlobalAveragePool", "r2", NULL, NULL, NULL, "p");
    onnx_simple(w, "Flatten", "p", NULL, NULL, NULL, odd != NULL ? "f0" : "f");
    if (odd != NULL && strcmp(odd, "reshape") == 0) {
        onnx_init_i64(w, "shape", (int64_t[]){2}, 1, (int64_t[]){4, 64});
        onnx_simple(w, "Reshape", "f0", "shape", NULL, NULL, "f");
    } else if (odd != NULL) { /* taken apart by samples and put together again: exists at batch 4 alone */
        onnx_init_i64(w, "sizes", (int64_t[]){2}, 1, (int64_t[]){1, 3});
        onnx_node_begin(w, "Split", "split");
        onnx_node_in(w, "f0");
        onnx_node_in(w, "sizes");
        onnx_node_out(w, "s0");
        onnx_node_out(w, "s1");
        onnx_attr_int(w, "axis", 0);
        onnx_node_end(w);
        onnx_node_begin(w, "Concat", "join");
        onnx_node_in(w, "s0");
        onnx_node_in(w, "s1");
        onnx_node_out(w, "f1");
        onnx_attr_int(w, "axis", 0);
        onnx_node_end(w);
        /* and mixed: half of the batch's mean comes off every sample */
        onnx_node_begin(w, "ReduceMean", "mean");
        onnx_node_in(w, "f1");
        onnx_node_out(w, "mean");
        onnx_attr_ints(w, "axes", (int64_t[]){0}, 1);
        onnx_node_end(w);
        onnx_init_f32(w, "half", (int64_t[]){1}, 1, (float[]){0.5f});
        onnx_simple(w, "Mul", "mean", "half", NULL, NULL, "m");
        onnx_simple(w, "Sub", "f1", "m", NULL, NULL, "f");
    }
    onnx_node_begin(w, "Gemm", "fc");
    onnx_node_in(w, "f");
    onnx_node_in(w, "w3");
    onnx_node_in(w, "b3");
    onnx_node_out(w, "y");
    onnx_attr_int(w, "transB", 1);
    onnx_node_end(w);
    onnx_simple(w, "Relu", "y", NULL, NULL, NULL, "z");
    onnx_output(w, "y");
    onnx_output(w, "z");
    onnx_end(w);
}

struct setup {
    onnx_writer w;
    rad_model *model;
    rad_backend *backend;
    rad_engine *engine;
};

static rad_status make(struct setup *s, const char *backend, const rad_engine_opts *opts, rad_error *err) {
    rad_status st = rad_model_open_memory(s->w.model.p, s->w.model.n, "t.onnx", &s->model, err);
    if (st == RAD_OK)
        st = rad_backend_open(backend, &s->backend, err);
    if (st == RAD_OK)
        st = rad_engine_create(s->backend, s->model, opts, &s->engine, err);
    return st;
}

static void drop(struct setup *s) {
    rad_engine_destroy(&s->engine);
    rad_model_close(&s->model);
    rad_backend_close(&s->backend);
    onnx_release(&s->w);
    *s = (struct setup){0};
}

/* How many of the backends this build has. */
static const char *const backends[] = {"ref", "checked", "onednn"};

static bool is_usable(const char *name) {
    char text[512];
    return rad_backend_probe(name, text, sizeof text);
}

static void test_same_bits(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[MOST * SAMPLE], alone[MOST * CLASSES], got[MOST * CLASSES], shuffled[MOST * SAMPLE];
    fill(x, sizeof x / sizeof *x, 9);
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        if (!is_usable(backends[b]))
            continue;
        for (int threads = 1; threads <= 8; threads += threads < 3 ? 1 : 5) {
            struct setup s = {0};
            network(&s.w, -1, NULL);
            assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = threads}, &err));
            if (threads == 1)
                for (int i = 0; i < MOST; i++)
                    assert_ok(rad_engine_run(s.engine, x + i * SAMPLE, 1, alone + i * CLASSES, NULL, &err));
            for (int n = 0; n <= MOST; n++) {
                memset(got, 0xff, sizeof got);
                assert_ok(rad_engine_run(s.engine, x, n, got, NULL, &err));
                assert_memory_equal(got, alone, (size_t)n * CLASSES * sizeof *got);
            }
            for (int i = 0; i < MOST; i++)
                memcpy(shuffled + i * SAMPLE, x + (i * 7 + 3) % MOST * SAMPLE, SAMPLE * sizeof *x);
            assert_ok(rad_engine_run(s.engine, shuffled, MOST, got, NULL, &err));
            for (int i = 0; i < MOST; i++)
                assert_memory_equal(got + i * CLASSES, alone + (i * 7 + 3) % MOST * CLASSES, CLASSES * sizeof *got);
            drop(&s);
        }
    }
}

static void test_backends_agree(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[2 * SAMPLE], want[2 * CLASSES], got[2 * CLASSES];
    fill(x, sizeof x / sizeof *x, 5);
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        struct setup s = {0};
        if (!is_usable(backends[b]))
            continue;
        network(&s.w, 2, NULL);
        assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = 2}, &err));
        assert_ok(rad_engine_run(s.engine, x, 2, b == 0 ? want : got, NULL, &err));
        for (int i = 0; b > 0 && i < 2 * CLASSES; i++)
            assert_float_equal(got[i], want[i], 1e-5);
        drop(&s);
    }
}

/* Networks exported at batch 4: one whose Reshape can be moved to any batch, one that exists at 4 alone. Each sample must see nothing of
 * the others. */
static void test_fixed_batch(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[5 * SAMPLE], want[5 * CLASSES], got[5 * CLASSES], alone[CLASSES];
    char text[8192];
    fill(x, sizeof x / sizeof *x, 6);
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        struct setup s = {0};
        if (!is_usable(backends[b]))
            continue;
        network(&s.w, -1, NULL);
        assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = 1}, &err));
        assert_ok(rad_engine_run(s.engine, x, 5, want, NULL, &err));
        drop(&s);
        for (int odd = 0; odd < 2; odd++) {
            network(&s.w, 4, odd == 0 ? "reshape" : "split");
            assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = 2}, &err));
            (void)rad_engine_describe(s.engine, text, sizeof text);
            assert_non_null(strstr(text, odd == 0 ? "plan of batch 1," : "plan of batch 4 "));
            memset(got, 0, sizeof got);
            assert_ok(rad_engine_run(s.engine, x, 5, got, NULL, &err));
            /* the same in pieces that lie apart and in another order */
            const rad_host_run piece[] = {{x + 3 * SAMPLE, 2}, {x, 0}, {x, 3}};
            float pieces[5 * CLASSES];
            assert_ok(rad_engine_run_parts(s.engine, piece, 3, pieces, NULL, &err));
            assert_memory_equal(pieces, got + 3 * CLASSES, 2 * CLASSES * sizeof *got);
            assert_memory_equal(pieces + 2 * CLASSES, got, 3 * CLASSES * sizeof *got);
            if (odd == 0)
                assert_memory_equal(got, want, sizeof got);
            for (int i = 0; i < 5; i++) {
                assert_ok(rad_engine_run(s.engine, x + i * SAMPLE, 1, alone, NULL, &err));
                assert_memory_equal(got + i * CLASSES, alone, sizeof alone);
            }
            drop(&s);
        }
    }
}

static void test_outputs_and_tap(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[2 * SAMPLE], y[2 * CLASSES], z[2 * CLASSES], tap[2 * 64 * 25];
    rad_shape in, out, tap_shape;
    fill(x, sizeof x / sizeof *x, 8);
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        struct setup s = {0};
        if (!is_usable(backends[b]))
            continue;
        network(&s.w, -1, NULL);
        assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = 1, .tap = "r2"}, &err));
        rad_engine_get_shapes(s.engine, &in, &out, &tap_shape);
        assert_int_equal(in.rank, 3);
        assert_int_equal(rad_shape_count(&in), SAMPLE);
        assert_int_equal(rad_shape_count(&out), CLASSES);
        assert_int_equal(rad_shape_count(&tap_shape), 64 * 25);
        assert_ok(rad_engine_run(s.engine, x, 2, y, tap, &err));
        for (size_t c = 0; c < 64; c++) /* the head on the tapped map gives the output: what class activation maps stand on */
            for (size_t i = 0; i < 25; i++)
                assert_true(tap[64 * 25 + c * 25 + i] >= 0.0f);
        drop(&s);
        network(&s.w, -1, NULL);
        assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = 1, .output = "z"}, &err));
        assert_ok(rad_engine_run(s.engine, x, 2, z, NULL, &err));
        for (int i = 0; i < 2 * CLASSES; i++)
            assert_float_equal(z[i], y[i] > 0 ? y[i] : 0, 1e-6);
        drop(&s);
    }
}

static void test_refusals(void **state) {
    (void)state;
    rad_error err = {0};
    struct setup s = {0};
    rad_backend *be = NULL;
    network(&s.w, -1, NULL);
    assert_fails(make(&s, "ref", &(rad_engine_opts){.threads = 0}, &err), RAD_E_USAGE, "threads");
    rad_backend_close(&s.backend);
    rad_model_close(&s.model);
    assert_fails(make(&s, "ref", &(rad_engine_opts){.threads = 1, .tap = "nowhere"}, &err), RAD_E_MODEL, "nowhere");
    rad_backend_close(&s.backend);
    rad_model_close(&s.model);
    assert_fails(make(&s, "ref", &(rad_engine_opts){.threads = 1, .output = "nowhere"}, &err), RAD_E_MODEL, "nowhere");
    rad_backend_close(&s.backend);
    rad_model_close(&s.model);
    assert_fails(make(&s, "ref", &(rad_engine_opts){.threads = 1, .precision = RAD_PREC_BF16}, &err), RAD_E_DEVICE, "fp32");
    assert_fails(rad_backend_open("onednm", &be, &err), RAD_E_USAGE, "did you mean 'onednn'");
    assert_fails(rad_backend_open("zzzzzzzz", &be, &err), RAD_E_USAGE, "known are");
    assert_null(be);
    if (is_usable("onednn")) {
        rad_backend_close(&s.backend);
        rad_model_close(&s.model);
        assert_fails(make(&s, "onednn", &(rad_engine_opts){.threads = 1, .precision = RAD_PREC_FP16}, &err), RAD_E_DEVICE, "fp16");
    }
    rad_precision p = RAD_PREC_TF32;
    assert_fails(rad_precision_parse("fp64", &p, &err), RAD_E_USAGE, "fp32");
    assert_int_equal(p, RAD_PREC_TF32);
    drop(&s);
}

static void test_nonfinite(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[4 * SAMPLE], y[4 * CLASSES], want[CLASSES];
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        struct setup s = {0};
        if (!is_usable(backends[b]))
            continue;
        fill(x, sizeof x / sizeof *x, 12);
        network(&s.w, -1, NULL);
        assert_ok(make(&s, backends[b], &(rad_engine_opts){.threads = 2}, &err));
        assert_ok(rad_engine_run(s.engine, x + 3 * SAMPLE, 1, want, NULL, &err));
        x[2 * SAMPLE + 40] = 1e38f * 1e10f; /* infinity */
        assert_fails(rad_engine_run(s.engine, x, 4, y, NULL, &err), RAD_E_NONFINITE, "sample 2 of 4");
        assert_memory_equal(y + 3 * CLASSES, want, sizeof want);  /* the good ones are there */
        assert_ok(rad_engine_run(s.engine, x, 2, y, NULL, &err)); /* and nothing of the bad one stays */
        drop(&s);
    }
}

static void test_fail_on_demand(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[5 * SAMPLE], y[5 * CLASSES];
    fill(x, sizeof x / sizeof *x, 3);
    struct setup s = {0};
    network(&s.w, -1, NULL);
    assert_int_equal(setenv("RAD_CHECKED_FAIL", "plan_create:1", 1), 0);
    assert_fails(make(&s, "checked", &(rad_engine_opts){.threads = 1}, &err), RAD_E_DEVICE, "plan_create number 1");
    drop(&s);
    network(&s.w, -1, NULL);
    assert_int_equal(setenv("RAD_CHECKED_FAIL", "exec_run:3", 1), 0);
    assert_ok(make(&s, "checked", &(rad_engine_opts){.threads = 1}, &err));
    assert_fails(rad_engine_run(s.engine, x, 5, y, NULL, &err), RAD_E_DEVICE, "exec_run number 3");
    assert_ok(rad_engine_run(s.engine, x, 5, y, NULL, &err)); /* the device has recovered */
    drop(&s);
    network(&s.w, -1, NULL);
    assert_int_equal(setenv("RAD_CHECKED_FAIL", "exec_run:2+", 1), 0);
    assert_ok(make(&s, "checked", &(rad_engine_opts){.threads = 3}, &err));
    assert_ok(rad_engine_run(s.engine, x, 1, y, NULL, &err));
    assert_fails(rad_engine_run(s.engine, x, 5, y, NULL, &err), RAD_E_DEVICE, "exec_run");
    assert_fails(rad_engine_run(s.engine, x, 1, y, NULL, &err), RAD_E_DEVICE, "exec_run");
    drop(&s);
    network(&s.w, -1, NULL);
    assert_int_equal(setenv("RAD_CHECKED_FAIL", "sometimes", 1), 0);
    assert_fails(make(&s, "checked", &(rad_engine_opts){.threads = 1}, &err), RAD_E_USAGE, "RAD_CHECKED_FAIL");
    drop(&s);
    assert_int_equal(unsetenv("RAD_CHECKED_FAIL"), 0);
}

/* Every allocation of creation fails once: a status each time, nothing leaked (address sanitizer), nothing half made. */
static void test_out_of_memory(void **state) {
    (void)state;
    rad_error err = {0};
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        if (!is_usable(backends[b]))
            continue;
        rad_status st = RAD_E_NOMEM;
        int tries = 0;
        for (int64_t n = 1; st != RAD_OK && n < 20000; n++, tries++) {
            struct setup s = {0};
            network(&s.w, -1, NULL);
            assert_ok(rad_model_open_memory(s.w.model.p, s.w.model.n, "t.onnx", &s.model, &err));
            assert_ok(rad_backend_open(backends[b], &s.backend, &err));
            rad_mem_fail_after(n);
            st = rad_engine_create(s.backend, s.model, &(rad_engine_opts){.threads = 2}, &s.engine, &err);
            rad_mem_fail_after(0);
            assert_true(st == RAD_OK || st == RAD_E_NOMEM);
            assert_true((st == RAD_OK) == (s.engine != NULL));
            drop(&s);
        }
        assert_int_equal(st, RAD_OK);
        assert_true(tries > 10);
    }
}

/* One fully connected layer. oneDNN 2.6.3 sums its products in another order for each team of three and more: such a team must not be
 * taken. */
static void test_order_of_sums(void **state) {
    (void)state;
    enum { IN = 2048, OUT = 1000 };
    rad_error err = {0};
    static float w[OUT * IN], x[3 * IN], bias[OUT], alone[3 * OUT], got[3 * OUT];
    if (!is_usable("onednn"))
        skip();
    fill(w, sizeof w / sizeof *w, 6);
    fill(x, sizeof x / sizeof *x, 7);
    fill(bias, OUT, 8);
    for (int threads = 1; threads <= 8; threads++) {
        struct setup s = {0};
        onnx_begin(&s.w, 17);
        onnx_input(&s.w, "x", 1, (int64_t[]){-1, IN}, 2);
        onnx_init_f32(&s.w, "w", (int64_t[]){IN, OUT}, 2, w);
        onnx_init_f32(&s.w, "b", (int64_t[]){OUT}, 1, bias);
        onnx_simple(&s.w, "Gemm", "x", "w", "b", NULL, "y");
        onnx_output(&s.w, "y");
        onnx_end(&s.w);
        assert_ok(make(&s, "onednn", &(rad_engine_opts){.threads = threads}, &err));
        for (int i = 0; threads == 1 && i < 3; i++)
            assert_ok(rad_engine_run(s.engine, x + i * IN, 1, alone + i * OUT, NULL, &err));
        for (int i = 0; i < 9; i++) { /* a team is made after some calls */
            const int n = 1 + i % 3;
            assert_ok(rad_engine_run(s.engine, x, n, got, NULL, &err));
            assert_memory_equal(got, alone, (size_t)n * OUT * sizeof *got);
        }
        drop(&s);
    }
}

/* Threads join for one sample only to be quicker: when there is no memory for that, the sample is computed all the same. */
static void test_no_memory_for_a_team(void **state) {
    (void)state;
    rad_error err = {0};
    static float x[SAMPLE], want[CLASSES], got[CLASSES];
    fill(x, SAMPLE, 9);
    if (!is_usable("onednn"))
        skip();
    for (int64_t n = 0; n < 40; n++) {
        struct setup s = {0};
        network(&s.w, -1, NULL);
        assert_ok(make(&s, "onednn", &(rad_engine_opts){.threads = 2}, &err));
        for (int i = 0; i < 2; i++)
            assert_ok(rad_engine_run(s.engine, x, 1, want, NULL, &err));
        rad_mem_fail_after(n); /* the third call makes the team */
        const rad_status st = rad_engine_run(s.engine, x, 1, got, NULL, &err);
        rad_mem_fail_after(0);
        assert_ok(st);
        assert_memory_equal(got, want, sizeof got);
        drop(&s);
    }
}

/* Threads that share one processor wait for each other in every step: a team gives up in the midst of a sample, and its bits stay. */
static void test_busy_processors(void **state) {
    (void)state;
    enum { PLANES = 64, SIDE = 40, STEPS = 6, LAST = SIDE - 2 * STEPS };
    rad_error err = {0};
    static float w[PLANES * PLANES * 9], x[PLANES * SIDE * SIDE], alone[PLANES * LAST * LAST], got[PLANES * LAST * LAST];
    char command[128], name[2][8] = {"x", ""};
    struct setup s = {0};
    (void)snprintf(command, sizeof command, "taskset -apc 0 %ld > /dev/null 2>&1", (long)getpid());
    if (!is_usable("onednn"))
        skip();
    fill(w, sizeof w / sizeof *w, 6);
    fill(x, sizeof x / sizeof *x, 7);
    for (int threads = 1; threads <= 2; threads++) {
        onnx_begin(&s.w, 17);
        onnx_input(&s.w, "x", 1, (int64_t[]){-1, PLANES, SIDE, SIDE}, 4);
        onnx_init_f32(&s.w, "w", (int64_t[]){PLANES, PLANES, 3, 3}, 4, w);
        for (int i = 0; i < STEPS; i++) {
            (void)snprintf(name[(i + 1) % 2], sizeof name[0], "y%d", i);
            onnx_simple(&s.w, "Conv", name[i % 2], "w", NULL, NULL, name[(i + 1) % 2]);
        }
        onnx_output(&s.w, name[STEPS % 2]);
        onnx_end(&s.w);
        (void)snprintf(name[0], sizeof name[0], "x");
        assert_ok(make(&s, "onednn", &(rad_engine_opts){.threads = threads}, &err));
        for (int i = 0; i < 24; i++) {
            if (threads == 2 && i == 12 && system(command) != 0) /* all threads of this process, from here on; the last test of all */
                skip();
            memset(got, 0, sizeof got);
            assert_ok(rad_engine_run(s.engine, x, 1, threads == 1 ? alone : got, NULL, &err));
            if (threads == 2)
                assert_memory_equal(got, alone, sizeof got);
        }
        drop(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),       cmocka_unit_test(test_backends_agree),
        cmocka_unit_test(test_fixed_batch),     cmocka_unit_test(test_outputs_and_tap),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_nonfinite),
        cmocka_unit_test(test_fail_on_demand),  cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_order_of_sums),   cmocka_unit_test(test_no_memory_for_a_team),
        cmocka_unit_test(test_busy_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
