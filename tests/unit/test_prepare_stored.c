/* prepare: what is left out of the work on stored numbers, and comes to the same. */
#include "prepare_fixture.h"

#include <math.h>

/* Rows that no resized pixel has a share of are not prepared, but what is in them still excludes. */
static void rows_that_resizing_passes_over_are_looked_at(void **state) {
    (void)state;
    image m;
    rad_error err;
    rad_prepared p;
    make(&m, 4, 12, 2);
    float f[96];
    for (int i = 0; i < 96; i++)
        f[i] = (float)i;
    const rad_volume *volume[1] = {&m.v};
    rad_input_spec s = plain();
    s.resize = (rad_resize_spec){.method = RAD_RESIZE_BILINEAR, .height = 2, .width = 2}; /* rows 2, 3, 8, 9 */
    check(&s, &m, NULL, &p);
    assert_true(p.data[0] == 25.5F && p.data[1] == 27.5F && p.data[2] == 85.5F && p.data[3] == 87.5F);
    rad_prepared_release(&p);
    m.v.info.slope = 1e36;
    m.voxel[0] = 300; /* 3e38 */
    check(&s, &m, NULL, &p);
    rad_prepared_release(&p);
    m.voxel[0] = 400; /* beyond float32 */
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_NONFINITE, "(0, 0, 0)");
    m.v.voxel = f;
    m.v.info.type = RAD_VOX_F32;
    m.v.info.slope = 1;
    check(&s, &m, NULL, &p);
    rad_prepared_release(&p);
    f[11 * 4 + 3] = NAN;
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_NONFINITE, "(3, 11, 0)");
    s.intensity.replace_nonfinite = true;
    check(&s, &m, NULL, &p);
    rad_prepared_release(&p);
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Percentile window of `m` over all voxels or those that are not 0: the pixels against numbers sorted here. */
static void percentiles_are(image *m, bool nonzero, double padding) {
    double v[MAX_VOXELS], end[2];
    rad_prepared p;
    int64_t n = 0, all = m->v.info.dim[0] * m->v.info.dim[1] * m->v.info.dim[2];
    float x;
    for (int64_t i = 0; i < all; i++) {
        rad_volume_get(&m->v, i, 1, 1, &x);
        if (!(nonzero && x == 0) && x != (float)padding)
            v[n++] = (double)x;
    }
    qsort(v, (size_t)n, sizeof *v, by_value);
    for (int e = 0; e < 2; e++) {
        const double h = (e ? 0.9 : 0.05) * (double)(n - 1), t = h - floor(h), a = v[(int64_t)h], b = v[(int64_t)h + 1];
        end[e] = t < 0.5 ? a + t * (b - a) : b - (1 - t) * (b - a);
    }
    rad_input_spec s = plain();
    s.slices = RAD_SLICES_VOLUME_ALL;
    memcpy(s.orientation, "PIL", 4);
    s.window =
        (rad_window_spec){.on = true, .percentile = true, .low = 5, .high = 90, .over = nonzero ? RAD_OVER_NONZERO : RAD_OVER_VOLUME};
    s.intensity.has_padding = true;
    s.intensity.padding = padding;
    check(&s, m, NULL, &p);
    for (int64_t i = 0; i < all; i++) { /* slices are x from the left, rows z from above, columns y from anterior */
        const int64_t *d = m->v.info.dim, col = i % d[1], row = i / d[1] % d[2], slice = i / (d[1] * d[2]);
        rad_volume_get(&m->v, ((d[2] - 1 - row) * d[1] + d[1] - 1 - col) * d[0] + d[0] - 1 - slice, 1, 1, &x);
        double want = ((double)x - end[0]) / (end[1] - end[0]);
        want = x == (float)padding ? 0 : want < 0 ? 0 : want > 1 ? 1 : want;
        assert_true(p.data[i] == (float)want);
    }
    rad_prepared_release(&p);
}

static void percentiles_of_stored_numbers(void **state) {
    (void)state;
    static const rad_voxel_type TYPE[] = {RAD_VOX_I16, RAD_VOX_U16, RAD_VOX_I8, RAD_VOX_U8, RAD_VOX_I32};
    static const double SLOPE[] = {1, -0.37, 1e-42}; /* the last one makes neighbours equal */
    image m;
    for (int t = 0; t < 5; t++)
        for (int k = 0; k < 6; k++) {
            make(&m, 7, 5, t == 4 ? 3 : 6);
            m.v.info.type = TYPE[t];
            m.v.info.slope = SLOPE[k % 3];
            m.v.info.inter = k % 3 == 1 ? 12.5 : 0;
            for (int i = 0; i < 210; i++)
                m.voxel[i] = (int16_t)(i % 9 == 0 ? 0 : (i * 7919 + k * 31) % 65521 - 32760);
            float pad;
            rad_volume_get(&m.v, 5, 1, 1, &pad);
            percentiles_are(&m, k > 2, (double)pad);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_resizing_passes_over_are_looked_at),
        cmocka_unit_test(percentiles_of_stored_numbers),
    };
    return cmocka_run_group_tests_name("prepare/stored", tests, NULL, NULL);
}
