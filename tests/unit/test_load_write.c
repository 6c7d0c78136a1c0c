/* load: the writer, and the orientation rule. */
#include "load_fixture.h"

static char path[128];

static rad_image_info oblique(rad_voxel_type type) {
    rad_image_info i = {.n_dim = 3, .dim = {3, 4, 5, 1, 1, 1, 1}, .spacing = {2, 3, 4}, .type = type, .slope = 1};
    const double c = 0.8, s = 0.6; /* 36.87 degrees about z, x turned round */
    const double a[4][4] = {{-2 * c, -3 * s, 0, 10}, {-2 * s, 3 * c, 0, -20}, {0, 0, 4, 30.5}, {0, 0, 0, 1}};
    memcpy(i.affine, a, sizeof a);
    return i;
}

static void what_is_written_is_read_back(void **state) {
    static const rad_voxel_type types[] = {RAD_VOX_U8,  RAD_VOX_I8,  RAD_VOX_U16, RAD_VOX_I16, RAD_VOX_U32,  RAD_VOX_I32,
                                           RAD_VOX_U64, RAD_VOX_I64, RAD_VOX_F32, RAD_VOX_F64, RAD_VOX_RGB24};
    rad_error err;
    uint8_t voxel[60 * 8];
    for (size_t i = 0; i < sizeof voxel; i++)
        voxel[i] = (uint8_t)(i * 31 % 101);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (int gz = 0; gz < 2; gz++) {
            rad_image_info info = oblique(types[t]);
            info.slope = 0.5;
            info.inter = -1024;
            snprintf(path, sizeof path, "%s/w.nii%s", (const char *)*state, gz ? ".gz" : "");
            assert_ok(rad_volume_write(path, &info, voxel, &err));
            rad_volume *v = NULL;
            assert_ok(rad_volume_load(path, &v, &err));
            assert_memory_equal(v->voxel, voxel, 60 * rad_voxel_size(types[t]));
            assert_int_equal(v->info.type, types[t]);
            assert_int_equal(v->info.gzip, gz);
            assert_memory_equal(v->info.dim, info.dim, sizeof info.dim);
            for (int r = 0; r < 4; r++)
                for (int c = 0; c < 4; c++)
                    assert_true(fabs(v->info.affine[r][c] - info.affine[r][c]) < 1e-6);
            assert_int_equal(v->info.qform_code, 1);
            assert_true(v->info.form_disagreement_mm < 1e-5);
            assert_true(fabs(v->info.spacing[1] - 3) < 1e-6);
            assert_null(v->info.warning);
            assert_true(types[t] == RAD_VOX_RGB24 ? v->info.slope == 1 : v->info.slope == 0.5 && v->info.inter == -1024);
            assert_string_equal(v->info.orientation, "LAS");
            char first[RAD_XXH128_HEX];
            memcpy(first, v->content, sizeof first);
            rad_volume_destroy(&v);
            assert_ok(rad_volume_write(path, &info, voxel, &err)); /* again: the same bytes */
            assert_ok(rad_volume_load(path, &v, &err));
            assert_string_equal(v->content, first);
            rad_volume_destroy(&v);
        }
    char *data = NULL;
    size_t size = 0;
    assert_ok(rad_file_read(path, 1 << 20, &data, &size, &err));
    assert_memory_equal(data + 4, "\0\0\0\0", 4); /* gzip mtime */
    free(data);
}

static void a_sheared_affine_has_no_qform(void **state) {
    rad_error err;
    uint8_t voxel[60] = {0};
    rad_image_info info = oblique(RAD_VOX_U8);
    info.affine[1][2] = 1.5; /* gantry tilt */
    snprintf(path, sizeof path, "%s/shear.nii", (const char *)*state);
    assert_ok(rad_volume_write(path, &info, voxel, &err));
    rad_image_info got = {0};
    assert_ok(rad_image_probe(path, &got, &err));
    assert_int_equal(got.qform_code, 0);
    assert_true(got.affine[1][2] == 1.5);
    rad_image_info_release(&got);
}

static void what_cannot_be_written_is_refused(void **state) {
    rad_error err;
    uint8_t voxel[60] = {0};
    rad_image_info info = oblique(RAD_VOX_U8);
    snprintf(path, sizeof path, "%s/no.nii", (const char *)*state);
    info.n_dim = 5;
    assert_fails(rad_volume_write(path, &info, voxel, &err), RAD_E_UNSUPPORTED, "5 dimensions");
    info = oblique(RAD_VOX_U8);
    info.dim[1] = 0;
    assert_fails(rad_volume_write(path, &info, voxel, &err), RAD_E_SHAPE, "dim[2] = 0");
    info.dim[1] = 40000;
    assert_fails(rad_volume_write(path, &info, voxel, &err), RAD_E_LIMIT, "RAD_MAX_DIM");
    info = oblique(RAD_VOX_U8);
    info.affine[0][0] = NAN;
    assert_fails(rad_volume_write(path, &info, voxel, &err), RAD_E_NONFINITE, "affine");
    info = oblique(RAD_VOX_U8);
    snprintf(path, sizeof path, "%s/none/no.nii.gz", (const char *)*state);
    err = (rad_error){0};
    assert_int_not_equal(rad_volume_write(path, &info, voxel, &err), RAD_OK);
    snprintf(path, sizeof path, "%s/m.nii.gz", (const char *)*state);
    rad_status st = RAD_E_NOMEM;
    for (int64_t n = 1; st == RAD_E_NOMEM && n < 50; n++) {
        rad_mem_fail_after(n);
        st = rad_volume_write(path, &info, voxel, &err);
        rad_mem_fail_after(0);
    }
    assert_int_equal(st, RAD_OK);
}

/* All 48 axis-aligned orientations, then tilted by 20 degrees about each axis: the codes stay. */
static void orientation_is_the_nearest_axis(void **state) {
    (void)state;
    static const int perm[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const double c = cos(0.35), s = sin(0.35);
    for (int p = 0; p < 6; p++)
        for (int signs = 0; signs < 8; signs++)
            for (int tilt = 0; tilt < 4; tilt++) {
                double a[4][4] = {{0}}, b[4][4] = {{0}};
                for (int i = 0; i < 3; i++)
                    a[perm[p][i]][i] = (signs >> i & 1 ? -1 : 1) * (0.5 + i);
                memcpy(b, a, sizeof a);
                if (tilt) {
                    int u = tilt % 3, w = (tilt + 1) % 3;
                    for (int i = 0; i < 3; i++) {
                        b[u][i] = c * a[u][i] - s * a[w][i];
                        b[w][i] = s * a[u][i] + c * a[w][i];
                    }
                }
                int axis[3], sign[3];
                assert_true(rad_affine_axes(b, axis, sign));
                for (int i = 0; i < 3; i++) {
                    assert_int_equal(axis[i], perm[p][i]);
                    assert_int_equal(sign[i], signs >> i & 1 ? -1 : 1);
                }
            }
    /* sheared and turned so that two axes would choose the same one; answers of nibabel 5.0's io_orientation */
    static const struct {
        double m[9];
        int axis[3], sign[3];
    } row[] = {
        {{1.62, -0.66, 1.05, -0.64, -0.96, -0.71, -1.19, 0.15, 1.03}, {2, 1, 0}, {-1, -1, 1}},
        {{0.41, -0.12, -0.52, -0.24, 0.86, -0.27, 1.08, 0.58, 1.35}, {0, 1, 2}, {1, 1, 1}},
        {{-0.94, 1.36, 0.16, -0.49, -1.33, -0.15, 1.44, 0.46, -0.72}, {0, 1, 2}, {-1, -1, -1}},
        {{-0.96, -0.07, 1.73, 0.98, -2.23, -3.33, -1.04, 1.06, -0.47}, {2, 1, 0}, {-1, -1, 1}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double a[4][4] = {{0}};
        int got_axis[3], got_sign[3];
        for (int e = 0; e < 9; e++)
            a[e / 3][e % 3] = row[i].m[e];
        assert_true(rad_affine_axes(a, got_axis, got_sign));
        assert_memory_equal(got_axis, row[i].axis, sizeof got_axis);
        assert_memory_equal(got_sign, row[i].sign, sizeof got_sign);
    }
    int axis[3] = {7, 7, 7}, sign[3];
    const double flat[4][4] = {{1, 2, 0, 0}, {1, 2, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}},
                 nan[4][4] = {{NAN, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}};
    assert_false(rad_affine_axes(flat, axis, sign));
    assert_false(rad_affine_axes(nan, axis, sign));
    assert_int_equal(axis[0], 7);
}

static void a_still_is_read_back(void **state) {
    rad_error err;
    uint8_t voxel[5 * 4 * 3];
    for (size_t i = 0; i < sizeof voxel; i++)
        voxel[i] = (uint8_t)(i * 37);
    const rad_voxel_type types[] = {RAD_VOX_U8, RAD_VOX_RGB24};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        rad_image_info info = {.n_dim = 2, .dim = {5, 4, 1, 1, 1, 1, 1}, .type = types[t]};
        rad_volume *v = NULL;
        snprintf(path, sizeof path, "%s/w.png", (const char *)*state);
        assert_ok(rad_volume_write(path, &info, voxel, &err));
        assert_ok(rad_volume_load(path, &v, &err));
        assert_int_equal(v->info.type, types[t]);
        assert_memory_equal(v->info.dim, info.dim, sizeof info.dim);
        assert_memory_equal(v->voxel, voxel, 20 * rad_voxel_size(types[t]));
        rad_volume_destroy(&v);
    }
    rad_image_info info = {.n_dim = 3, .dim = {5, 2, 2, 1, 1, 1, 1}, .type = RAD_VOX_U8};
    assert_int_equal(rad_volume_write(path, &info, voxel, &err), RAD_E_SHAPE);
    info.dim[2] = 1;
    info.type = RAD_VOX_F32;
    assert_int_equal(rad_volume_write(path, &info, voxel, &err), RAD_E_UNSUPPORTED);
}

static int setup(void **state) {
    static char dir[64];
    snprintf(dir, sizeof dir, "%s", unit_folder());
    *state = dir;
    return 0;
}

static int teardown(void **state) {
    unit_remove(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),      cmocka_unit_test(a_sheared_affine_has_no_qform),
        cmocka_unit_test(what_cannot_be_written_is_refused), cmocka_unit_test(a_still_is_read_back),
        cmocka_unit_test(orientation_is_the_nearest_axis),
    };
    return cmocka_run_group_tests_name("load/write", tests, setup, teardown);
}
