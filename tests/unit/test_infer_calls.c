/* The engine under several callers at a time: each gets its own samples' bits and its own failures. And a graph that was built before. */
#include "unit.h"

#include <math.h>
#include <pthread.h>

#include "onnx_writer.h"
#include "radcohort/infer.h"

enum { SIDE = 9, SAMPLE = 3 * SIDE * SIDE, CLASSES = 4, MOST = 12, CALLERS = 4, ROUNDS = 40 };

static void fill(float *p, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)i * 2654435761u + seed * 40503u;
        v ^= v >> 15;
        p[i] = (float)(v & 0xffff) / 65536.0f - 0.5f;
    }
}

static void network(onnx_writer *w) {
    static float w1[16 * 27], w2[CLASSES * 16], bias[16];
    fill(w1, sizeof w1 / sizeof *w1, 1);
    fill(w2, sizeof w2 / sizeof *w2, 2);
    fill(bias, 16, 3);
    onnx_begin(w, 17);
    onnx_input(w, "x", 1, (int64_t[]){-1, 3, -1, -1}, 4);
    onnx_init_f32(w, "w1", (int64_t[]){16, 3, 3, 3}, 4, w1);
    onnx_init_f32(w, "w2", (int64_t[]){16, CLASSES}, 2, w2);
    onnx_init_f32(w, "b1", (int64_t[]){16}, 1, bias);
    onnx_simple(w, "Conv", "x", "w1", "b1", NULL, "c");
    onnx_simple(w, "Relu", "c", NULL, NULL, NULL, "r");
    onnx_simple(w, "GlobalAveragePool", "r", NULL, NULL, NULL, "p");
    onnx_simple(w, "Flatten", "p", NULL, NULL, NULL, "f");
    onnx_simple(w, "MatMul", "f", "w2", NULL, NULL, "y");
    onnx_output(w, "y");
    onnx_end(w);
}

struct setup {
    onnx_writer w;
    rad_model *model;
    rad_backend *backend;
};

static void make(struct setup *s, const char *backend) {
    rad_error err = {0};
    network(&s->w);
    assert_ok(rad_model_open_memory(s->w.model.p, s->w.model.n, "t.onnx", &s->model, &err));
    assert_ok(rad_backend_open(backend, &s->backend, &err));
}

static void drop(struct setup *s) {
    rad_model_close(&s->model);
    rad_backend_close(&s->backend);
    onnx_release(&s->w);
}

struct caller {
    rad_engine *engine;
    const float *in, *truth;
    int number;
    bool broken; /* gives a sample that has no finite output */
    int wrong;
};

static void *call(void *arg) {
    struct caller *c = arg;
    float out[MOST * CLASSES], in[MOST * SAMPLE];
    for (int round = 0; round < ROUNDS; round++) {
        const int n = 1 + (round * 5 + c->number * 3) % MOST, first = (round + c->number) % (MOST - n + 1);
        const int bad = c->broken ? round % n : -1;
        rad_error err = {0};
        memcpy(in, c->in + first * SAMPLE, (size_t)n * SAMPLE * sizeof *in);
        if (bad >= 0)
            in[bad * SAMPLE] = INFINITY;
        const rad_status st = rad_engine_run(c->engine, in, n, out, NULL, &err);
        char named[32];
        snprintf(named, sizeof named, "sample %d of %d", bad, n);
        c->wrong += bad >= 0 ? st != RAD_E_NONFINITE || !strstr(err.text, named) : st != RAD_OK;
        for (int i = 0; i < n; i++)
            c->wrong += i != bad && memcmp(out + i * CLASSES, c->truth + (first + i) * CLASSES, CLASSES * sizeof *out) != 0;
    }
    return NULL;
}

static void test_callers(void **state) {
    (void)state;
    static const char *const backends[] = {"ref", "onednn"};
    float *in = rad_malloc(MOST * SAMPLE * sizeof *in), truth[MOST * CLASSES];
    assert_non_null(in);
    fill(in, MOST * SAMPLE, 7);
    for (size_t b = 0; b < sizeof backends / sizeof *backends; b++) {
        char text[512];
        if (!rad_backend_probe(backends[b], text, sizeof text))
            continue;
        for (int threads = 1; threads <= 3; threads++) {
            struct setup s = {0};
            rad_error err = {0};
            rad_engine *e = NULL;
            const rad_engine_opts o = {.precision = RAD_PREC_FP32, .threads = threads, .sample = {3, SIDE, SIDE}};
            make(&s, backends[b]);
            assert_ok(rad_engine_create(s.backend, s.model, &o, &e, &err));
            for (int i = 0; i < MOST; i++)
                assert_ok(rad_engine_run(e, in + i * SAMPLE, 1, truth + i * CLASSES, NULL, &err));
            struct caller c[CALLERS];
            pthread_t thread[CALLERS];
            for (int i = 0; i < CALLERS; i++) {
                c[i] = (struct caller){.engine = e, .in = in, .truth = truth, .number = i, .broken = i == 2};
                assert_int_equal(pthread_create(&thread[i], NULL, call, &c[i]), 0);
            }
            for (int i = 0; i < CALLERS; i++) {
                pthread_join(thread[i], NULL);
                assert_int_equal(c[i].wrong, 0);
            }
            rad_engine_destroy(&e);
            drop(&s);
        }
    }
    free(in);
}

/* Taken where it is the one that the engine would build, left where it is not; the same bits either way. */
static void test_graph_of_before(void **state) {
    (void)state;
    struct setup s = {0};
    rad_error err = {0};
    float in[2 * SAMPLE], truth[2 * CLASSES], out[2 * CLASSES], tap[2 * 16];
    fill(in, 2 * SAMPLE, 9);
    make(&s, "ref");
    for (int k = 0; k < 5; k++) {
        static const int64_t side[] = {0, SIDE, SIDE, SIDE + 1, SIDE};
        const int64_t batch = k == 4 ? 2 : 1;
        const rad_shape shape = {4, {batch, 3, side[k], side[k]}};
        const rad_graph_opts go = {.batch = batch, .n_shape = 1, .shape = &shape};
        rad_graph *g = NULL;
        rad_engine *e = NULL;
        rad_engine_opts o = {.precision = RAD_PREC_FP32, .threads = 2, .sample = {3, SIDE, SIDE}, .graph = &g};
        if (k > 0)
            assert_ok(rad_graph_build(s.model, &go, &g, &err));
        const rad_graph *given = g;
        o.tap = k == 2 ? "p" : NULL;
        assert_ok(rad_engine_create(s.backend, s.model, &o, &e, &err));
        assert_true(k == 1 ? g == NULL && rad_engine_graph(e) == given : g == given);
        assert_ok(rad_engine_run(e, in, 2, k == 0 ? truth : out, k == 2 ? tap : NULL, &err));
        if (k > 0)
            assert_memory_equal(out, truth, sizeof out);
        rad_engine_destroy(&e);
        rad_graph_destroy(&g);
    }
    drop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_callers), cmocka_unit_test(test_graph_of_before)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
