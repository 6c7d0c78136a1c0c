/* RAD_TEST_LINK: rad_prepare rad_load
 * The preparation kernel's arithmetic (prep_core.h), pixel by pixel on the CPU, against rad_prepare_case. */
#include "unit.h"

#include <math.h>

#include "infer/cudnn/prep_core.h"
#include "radcohort/prepare.h"

enum { NX = 37, NY = 29, NZ = 6, OFFSETS = 3 };

typedef struct image {
    rad_volume v;
    int16_t voxel[NX * NY * NZ];
} image;

static char the_name[] = "in", the_sequence[] = "T2";

static void make(image *m) {
    *m = (image){.v.info = {.n_dim = 3,
                            .dim = {NX, NY, NZ, 1, 1, 1, 1},
                            .spacing = {1, 1, 1},
                            .sform_code = 1,
                            .type = RAD_VOX_I16,
                            .slope = 0.5,
                            .inter = -100}};
    for (int i = 0; i < 4; i++)
        m->v.info.affine[i][i] = 1;
    m->v.voxel = m->voxel;
    m->v.bytes = sizeof m->voxel;
    for (int i = 0; i < NX * NY * NZ; i++)
        m->voxel[i] = (int16_t)(i * 7919 % 2003 - 600);
}

static rad_input_spec base(void) {
    static const int offset[OFFSETS] = {-1, 0, 2};
    rad_input_spec s = {.name = the_name,
                        .n_channel = 1,
                        .n_plane = OFFSETS,
                        .orientation = "LPS",
                        .slices = RAD_SLICES_VOLUME_ALL,
                        .region = {.from = RAD_REGION_WHOLE}};
    s.channel[0] = (rad_channel_spec){.sequence = the_sequence, .n_offset = OFFSETS};
    memcpy(s.channel[0].offset, offset, sizeof offset);
    return s;
}

/* What the caller of the kernel decides: which stored voxel each plane starts at (LPS from RAS: x and y run backwards). */
static void check(const rad_input_spec *s, const image *m, const rad_roi *roi) {
    struct prep_plane plane[NZ * OFFSETS];
    rad_prepared p;
    rad_error err;
    const rad_volume *volume[1] = {&m->v};
    assert_ok(rad_prepare_case(s, volume, roi, &p, &err));
    const size_t count = (size_t)(p.n_slice * p.n_plane * p.height * p.width);
    float *out = calloc(count, sizeof *out);
    assert_non_null(out);
    for (int64_t i = 0; i < p.n_slice; i++)
        for (int o = 0; o < OFFSETS; o++) {
            int64_t z = p.slice[i] + s->channel[0].offset[o];
            const bool outside = z < 0 || z >= NZ;
            z = z < 0 ? 0 : z >= NZ ? NZ - 1 : z;
            plane[i * OFFSETS + o] = (struct prep_plane){.voxel = m->voxel,
                                                         .first = NX * NY * z + NX * NY - 1,
                                                         .step_x = -1,
                                                         .step_y = -NX,
                                                         .slope = m->v.info.slope,
                                                         .inter = m->v.info.inter,
                                                         .stored = PREP_I16,
                                                         .outside = outside && s->edge == RAD_EDGE_ZERO,
                                                         .window = s->window.on,
                                                         .low = s->window.low,
                                                         .high = s->window.high};
        }
    struct prep_args a = {.n_slice = p.n_slice,
                          .n_plane = p.n_plane,
                          .height = p.height,
                          .width = p.width,
                          .image_width = NX,
                          .image_height = NY,
                          .edge_zero = s->edge == RAD_EDGE_ZERO,
                          .n_normalise = s->normalise.n,
                          .mean = s->normalise.mean,
                          .std = s->normalise.std,
                          .plane = plane,
                          .out = out};
    a.resize = s->resize.method == RAD_RESIZE_NONE      ? PREP_NONE
               : s->resize.method == RAD_RESIZE_NEAREST ? PREP_NEAREST
               : s->resize.antialias                    ? PREP_ANTIALIAS
                                                        : PREP_BILINEAR;
    memcpy(a.box, p.box[0], sizeof a.box);
    for (size_t i = 0; i < count; i++)
        prep_pixel(&a, (int64_t)i);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(out[i] - p.data[i]) <= 1e-6f * fmaxf(1.0f, fabsf(p.data[i]))))
            fail_msg("pixel %zu of %zu: %.9g, want %.9g", i, count, (double)out[i], (double)p.data[i]);
    free(out);
    rad_prepared_release(&p);
}

/* Every way to resize, up and down, with both edges, inside and over the border, with and without window and normalisation. */
static void every_pixel_is_that_of_the_cpu(void **state) {
    (void)state;
    static image m;
    static const struct {
        rad_resize_method method;
        bool antialias;
        int64_t height, width;
    } resize[] = {
        {RAD_RESIZE_NONE, false, 0, 0},       {RAD_RESIZE_NEAREST, false, 17, 53}, {RAD_RESIZE_BILINEAR, false, 17, 11},
        {RAD_RESIZE_BILINEAR, false, 64, 41}, {RAD_RESIZE_BILINEAR, true, 7, 5},   {RAD_RESIZE_BILINEAR, true, 40, 9},
        {RAD_RESIZE_NEAREST, false, 4, 3},    {RAD_RESIZE_BILINEAR, true, 29, 37},
    };
    make(&m);
    int n = 0;
    for (size_t r = 0; r < sizeof resize / sizeof *resize; r++)
        for (int variant = 0; variant < 12; variant++) {
            rad_input_spec s = base();
            rad_roi roi = {.has_box = true, .box = {2, 3, 1, 9, 13, 4}};
            s.resize = (rad_resize_spec){
                .method = resize[r].method, .antialias = resize[r].antialias, .height = resize[r].height, .width = resize[r].width};
            s.edge = variant % 2 == 0 ? RAD_EDGE_REPLICATE : RAD_EDGE_ZERO;
            if (variant / 2 % 3 != 0) {
                s.slices = RAD_SLICES_LESION_ALL;
                s.region = (rad_region_spec){.from = RAD_REGION_BOX,
                                             .shape = variant / 2 % 3 == 2 ? RAD_SHAPE_SQUARE : RAD_SHAPE_RECTANGLE,
                                             .margin_px = variant / 2 % 3 == 2 ? 20 : 1};
            }
            if (variant >= 6) {
                s.window = (rad_window_spec){.on = true, .low = -150, .high = 250};
                s.normalise.n = variant % 2 == 0 ? 1 : OFFSETS;
                for (int k = 0; k < OFFSETS; k++) {
                    s.normalise.mean[k] = 0.25 + 0.125 * k;
                    s.normalise.std[k] = 0.5 - 0.1 * k;
                }
            }
            check(&s, &m, s.region.from == RAD_REGION_BOX ? &roi : NULL);
            n++;
        }
    assert_int_equal(n, 96);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_pixel_is_that_of_the_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
