/* Resizing of a class activation map, against ONNX's own operator, and its peak. */
#include "unit.h"

#include <math.h>

#include "onnx_writer.h"
#include "radcohort/infer.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__}), (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void fill(float *x, size_t n) {
    uint32_t rng = 99;
    for (size_t i = 0; i < n; i++) {
        rng = rng * 1664525u + 1013904223u;
        x[i] = (float)(rng >> 8) * 0x1p-23f - 1.0f;
    }
}

/* The resize rule against ONNX's own operator (linear, half_pixel), which has tests of its own. */
static void resize(void **state) {
    (void)state;
    static const int64_t size[][6] = {{1, 1, 1, 1, 7, 5}, {1, 7, 7, 1, 224, 224}, {1, 2, 3, 1, 5, 4},
                                      {1, 6, 9, 1, 3, 2}, {1, 1, 4, 1, 9, 4},     {2, 3, 4, 7, 5, 9}};
    rad_error err;
    for (size_t k = 0; k < sizeof size / sizeof size[0]; k++) {
        const int64_t *a = size[k], *b = size[k] + 3;
        onnx_writer w = {0};
        rad_model *m = NULL;
        rad_graph *g = NULL;
        static float x[256], got[224 * 224], want[224 * 224];
        fill(x, 256);
        onnx_begin(&w, 17);
        onnx_input(&w, "x", 1, (int64_t[]){1, 1, a[0], a[1], a[2]}, 5);
        onnx_init_i64(&w, "to", DIMS(5), (int64_t[]){1, 1, b[0], b[1], b[2]});
        onnx_node_begin(&w, "Resize", "y");
        onnx_node_in(&w, "x");
        onnx_node_in(&w, "");
        onnx_node_in(&w, "");
        onnx_node_in(&w, "to");
        onnx_node_out(&w, "y");
        onnx_attr_text(&w, "mode", "linear");
        onnx_attr_text(&w, "coordinate_transformation_mode", "half_pixel");
        onnx_node_end(&w);
        onnx_output(&w, "y");
        onnx_end(&w);
        assert_ok(rad_model_open_memory(w.model.p, w.model.n, "t.onnx", &m, &err));
        assert_ok(rad_graph_build(m, NULL, &g, &err));
        const rad_tensor in[4] = {{.dtype = RAD_DT_F32, .shape = g->value[g->input[0]].shape, .data = x},
                                  {0},
                                  {0},
                                  {.dtype = RAD_DT_I64, .shape = {.rank = 1, .dim = {5}}, .data = (int64_t[]){1, 1, b[0], b[1], b[2]}}};
        rad_tensor out = {.dtype = RAD_DT_F32, .shape = g->value[g->output[0]].shape, .data = want};
        assert_ok(rad_node_eval(&g->node[0], in, NULL, &out, &err));
        const int rank = a[0] == 1 && b[0] == 1 ? 2 : 3;
        rad_shape from = {.rank = rank}, to = {.rank = rank};
        memcpy(from.dim, a + 3 - rank, (size_t)rank * sizeof *a);
        memcpy(to.dim, b + 3 - rank, (size_t)rank * sizeof *b);
        assert_ok(rad_cam_resize(x, &from, &to, got, &err));
        for (int64_t i = 0; i < rad_shape_count(&to); i++)
            if (!(fabs((double)got[i] - (double)want[i]) < 1e-6))
                fail_msg("case %d: element %d is %.9g, expected %.9g", (int)k, (int)i, (double)got[i], (double)want[i]);
        assert_ok(rad_cam_resize(x, &from, &from, got, &err)); /* the same size: the same bits */
        assert_memory_equal(got, x, (size_t)rad_shape_count(&from) * sizeof *x);
        rad_graph_destroy(&g);
        rad_model_close(&m);
        onnx_release(&w);
    }
    float x[4] = {0};
    const rad_shape plane = {.rank = 2, .dim = {2, 2}}, empty = {.rank = 2, .dim = {0, 2}}, line = {.rank = 1, .dim = {4}};
    assert_fails(rad_cam_resize(x, &plane, &empty, x, &err), RAD_E_SHAPE, "[2, 2] cannot be resized to [0, 2]");
    assert_fails(rad_cam_resize(x, &plane, &line, x, &err), RAD_E_SHAPE, "cannot be resized");
    assert_fails(rad_cam_resize(x, &plane, &(rad_shape){.rank = 2, .dim = {(int64_t)1 << 40, (int64_t)1 << 40}}, x, &err), RAD_E_LIMIT,
                 "too large");
}

static void peak(void **state) {
    (void)state;
    int64_t at[RAD_CAM_RANK] = {-1, -1, -1};
    const float map[12] = {-5, -2, -3, -4, -2, -9, -1, -7, -1, -8, -6, -1};
    assert_true(rad_cam_peak(map, &(rad_shape){.rank = 2, .dim = {3, 4}}, at) == -1.0f);
    assert_int_equal(at[0], 1); /* first of three */
    assert_int_equal(at[1], 2);
    assert_true(rad_cam_peak(map, &(rad_shape){.rank = 3, .dim = {2, 2, 3}}, at) == -1.0f);
    assert_int_equal(at[0], 1);
    assert_int_equal(at[1], 0);
    assert_int_equal(at[2], 0);
    assert_true(rad_cam_peak(map, &(rad_shape){.rank = 1, .dim = {3}}, at) == -2.0f);
    assert_int_equal(at[0], 1);
    assert_true(rad_cam_position(0, 7, 224) == 15.5); /* cells of 32 pixels */
    assert_true(rad_cam_position(6, 7, 224) == 207.5);
    assert_true(rad_cam_position(3, 7, 7) == 3.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(resize), cmocka_unit_test(peak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
