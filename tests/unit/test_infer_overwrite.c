/* A model file that somebody overwrites or cuts while it is in use: what was planned is what was hashed, or nothing is. */
#include "unit.h"

#include <fcntl.h>

#include "onnx_writer.h"
#include "radcohort/infer.h"

enum { N = 640, K = 480 }; /* a file large enough to be hashed and laid out by threads */

/* x [1, N] -> Gemm -> Mul by a vector, which stays a constant of its own in every backend -> y [1, K]; `seed` changes the weights only. */
static void network(onnx_writer *w, float seed) {
    static float weight[K * N], scale[K];
    for (int i = 0; i < K * N; i++)
        weight[i] = seed * (float)(i % 17 - 8) / 16.0f;
    for (int i = 0; i < K; i++)
        scale[i] = seed + (float)i / 8.0f;
    onnx_begin(w, 17);
    onnx_input(w, "x", 1, (int64_t[]){1, N}, 2);
    onnx_init_f32(w, "w", (int64_t[]){N, K}, 2, weight);
    onnx_init_f32(w, "s", (int64_t[]){K}, 1, scale);
    onnx_simple(w, "MatMul", "x", "w", NULL, NULL, "m");
    onnx_simple(w, "Sin", "m", NULL, NULL, NULL, "n");
    onnx_simple(w, "Mul", "n", "s", NULL, NULL, "y");
    onnx_output(w, "y");
    onnx_end(w);
}

/* In place, as `cp` or `dd conv=notrunc` do: the same inode. */
static void overwrite(const char *path, const onnx_writer *w) {
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, w->model.p, w->model.n, 0), (ssize_t)w->model.n);
    close(fd);
}

static void check(const char *backend) {
    rad_error err = {0};
    onnx_writer a = {0}, b = {0};
    network(&a, 1.0f);
    network(&b, -2.0f);
    assert_int_equal(a.model.n, b.model.n);
    const char *dir = unit_folder();
    char *path = rad_path_join(dir, "model.onnx");
    assert_ok(rad_file_write_atomic(path, a.model.p, a.model.n, &err));
    rad_backend *be = NULL;
    if (rad_backend_open(backend, &be, &err) != RAD_OK) { /* not built here: said by `backends`, tested elsewhere */
        print_message("[ NOTE     ] %s: %s\n", backend, err.text);
        goto out;
    }
    rad_model *m = NULL;
    rad_engine *e = NULL;
    const rad_engine_opts opts = {.threads = 2};
    float in[N], before[K], after[K];
    for (int i = 0; i < N; i++)
        in[i] = (float)(i % 7) - 3.0f;
    assert_ok(rad_model_open(path, &m, &err));
    assert_ok(rad_engine_create(be, m, &opts, &e, &err));
    assert_ok(rad_engine_run(e, in, 1, before, NULL, &err));
    overwrite(path, &b);
    assert_ok(rad_engine_run(e, in, 1, after, NULL, &err));
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(truncate(path, 0), 0); /* reading the map now would be SIGBUS */
    assert_ok(rad_engine_run(e, in, 1, after, NULL, &err));
    assert_memory_equal(before, after, sizeof before);
    rad_engine_destroy(&e);
    rad_model_close(&m);

    /* overwritten between hash and plan: refused */
    assert_ok(rad_file_write_atomic(path, a.model.p, a.model.n, &err));
    assert_ok(rad_model_open(path, &m, &err));
    assert_ok(rad_model_verify(m, &err));
    overwrite(path, &b);
    assert_fails(rad_engine_create(be, m, &opts, &e, &err), RAD_E_MODEL, "overwritten");
    assert_null(e);
    rad_model_close(&m);
    rad_backend_close(&be);
out:
    free(path);
    unit_remove(dir);
    onnx_release(&a);
    onnx_release(&b);
}

static void ref_keeps_what_it_planned(void **state) {
    (void)state;
    check("ref");
}

static void onednn_keeps_what_it_planned(void **state) {
    (void)state;
    check("onednn");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ref_keeps_what_it_planned),
        cmocka_unit_test(onednn_keeps_what_it_planned),
    };
    return cmocka_run_group_tests_name("infer_overwrite", tests, NULL, NULL);
}
