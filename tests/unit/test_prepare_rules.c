/* prepare: values worked out by hand, borders, ties, refusals, memory. */
#include "prepare_fixture.h"

#include <math.h>

static void box_is(const rad_prepared *p, int64_t x0, int64_t y0, int64_t x1, int64_t y1) {
    for (int64_t i = 0; i < p->n_slice; i++)
        if (p->box[i][0] != x0 || p->box[i][1] != y0 || p->box[i][2] != x1 || p->box[i][3] != y1)
            fail_msg("box %d %d %d %d", (int)p->box[i][0], (int)p->box[i][1], (int)p->box[i][2], (int)p->box[i][3]);
}

static void orientation_turns_axes_without_moving_values(void **state) {
    (void)state;
    image m;
    rad_prepared p;
    rad_input_spec s = plain();
    make(&m, 4, 3, 5);
    check(&s, &m, NULL, &p); /* RAS: as stored, slice 2 of 5 */
    assert_true(p.n_slice == 1 && p.slice[0] == 2 && p.stored_slice[0] == 2 && p.stored_axis == 2 && p.width == 4 && p.height == 3);
    assert_true(p.data[0] == 200 && p.data[3] == 203 && p.data[4] == 210);
    rad_prepared_release(&p);
    memcpy(s.orientation, "LPS", 4);
    check(&s, &m, NULL, &p);
    assert_true(p.data[0] == 223 && p.data[3] == 220 && p.data[4] == 213);
    rad_prepared_release(&p);
    memcpy(s.orientation, "PIR", 4); /* x = posterior: stored y down; y = inferior: stored z down; slices = stored x */
    check(&s, &m, NULL, &p);
    assert_true(p.width == 3 && p.height == 5 && p.stored_axis == 0 && p.slice[0] == 1 && p.stored_slice[0] == 1);
    assert_true(p.data[0] == 421 && p.data[2] == 401 && p.data[3] == 321);
    rad_prepared_release(&p);
    memcpy(s.orientation, "PIL", 4);
    s.slices = RAD_SLICES_VOLUME_ALL;
    check(&s, &m, NULL, &p);
    assert_true(p.n_slice == 4 && p.slice[0] == 0 && p.stored_slice[0] == 3 && p.data[0] == 423);
    rad_prepared_release(&p);
}

static void neighbours_at_the_ends_follow_the_edge_rule(void **state) {
    (void)state;
    image m;
    rad_prepared p;
    rad_input_spec s = plain();
    make(&m, 1, 1, 4);
    s.slices = RAD_SLICES_VOLUME_ALL;
    s.n_plane = s.channel[0].n_offset = 3;
    s.channel[0].offset[0] = -2;
    s.channel[0].offset[2] = 1;
    /* one slice stored edge on would be cut into lines */
    rad_error err;
    const rad_volume *volume[1] = {&m.v};
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_UNSUPPORTED, "into lines");
    make(&m, 2, 2, 4);
    for (int edge = 0; edge < 2; edge++) {
        s.edge = (rad_edge)edge;
        s.window = (rad_window_spec){.on = true, .low = -100, .high = 900};
        s.normalise = (rad_normalise_spec){.n = 3, .mean = {0, 0, 1}, .std = {1, 1, 2}};
        check(&s, &m, NULL, &p);
        for (int64_t k = 0; k < 4; k++)
            for (int64_t o = 0; o < 3; o++) {
                int64_t z = k + s.channel[0].offset[o], in = z < 0 ? 0 : z > 3 ? 3 : z;
                double want = z != in && edge == RAD_EDGE_ZERO ? 0 : (double)(100 * in + 100) / 1000;
                want = o == 2 ? (want - 1) / 2 : want;
                assert_true(p.data[(k * 3 + o) * 4] == (float)want); /* zero is black after the window, then normalised */
            }
        rad_prepared_release(&p);
    }
}

static void window_clips_and_normalise_follows(void **state) {
    (void)state;
    image m;
    rad_prepared p;
    rad_input_spec s = plain();
    make(&m, 4, 1, 1);
    const int16_t hu[4] = {-3024, -160, 40, 2000};
    memcpy(m.voxel, hu, sizeof hu);
    s.window = (rad_window_spec){.on = true, .low = -160, .high = 240};
    check(&s, &m, NULL, &p);
    assert_true(p.data[0] == 0 && p.data[1] == 0 && p.data[2] == 0.5f && p.data[3] == 1);
    rad_prepared_release(&p);
    s.normalise = (rad_normalise_spec){.n = 1, .mean = {0.485}, .std = {0.229}};
    check(&s, &m, NULL, &p);
    assert_true(p.data[2] == (float)((0.5 - 0.485) / 0.229));
    rad_prepared_release(&p);
    m.v.info.slope = 2; /* scaling comes before the window */
    m.v.info.inter = 60;
    s.normalise.n = 0;
    check(&s, &m, NULL, &p);
    assert_true(p.data[2] == (float)(300.0 / 400) && p.data[1] == 0);
    rad_prepared_release(&p);
}

static void resize_by_hand(void **state) {
    (void)state;
    static const struct {
        int n_in;
        double in[5];
        int n_out;
        rad_resize_method method;
        bool aa;
        double want[6];
    } row[] = {
        {2, {0, 4}, 4, RAD_RESIZE_BILINEAR, false, {0, 1, 3, 4}},
        {4, {0, 4, 8, 100}, 2, RAD_RESIZE_BILINEAR, false, {2, 54}},
        {5, {0, 10, 20, 30, 40}, 2, RAD_RESIZE_BILINEAR, false, {7.5, 32.5}},
        {3, {3, 6, 9}, 1, RAD_RESIZE_BILINEAR, false, {6}},
        {1, {7}, 3, RAD_RESIZE_BILINEAR, false, {7, 7, 7}},
        {4, {0, 4, 8, 100}, 2, RAD_RESIZE_BILINEAR, true, {20.0 / 7, 328.0 / 7}}, /* weights 3 3 1 and 1 3 3, over 7 */
        {2, {0, 4}, 4, RAD_RESIZE_BILINEAR, true, {0, 1, 3, 4}},
        {5, {1, 2, 3, 4, 5}, 2, RAD_RESIZE_NEAREST, false, {2, 4}},
        {2, {1, 2}, 5, RAD_RESIZE_NEAREST, false, {1, 1, 2, 2, 2}},
        {3, {1, 2, 3}, 6, RAD_RESIZE_NEAREST, true, {1, 1, 2, 2, 3, 3}},
    };
    for (size_t r = 0; r < sizeof row / sizeof *row; r++)
        for (int vertical = 0; vertical < 2; vertical++) {
            image m;
            rad_prepared p;
            rad_input_spec s = plain();
            make(&m, vertical ? 1 : row[r].n_in, vertical ? row[r].n_in : 1, 1);
            for (int i = 0; i < row[r].n_in; i++)
                m.voxel[i] = (int16_t)row[r].in[i];
            s.resize = (rad_resize_spec){.method = row[r].method,
                                         .antialias = row[r].aa,
                                         .width = vertical ? 1 : row[r].n_out,
                                         .height = vertical ? row[r].n_out : 1};
            check(&s, &m, NULL, &p);
            for (int i = 0; i < row[r].n_out; i++)
                if (fabs((double)p.data[i] - row[r].want[i]) > 1e-6)
                    fail_msg("row %zu[%d]: %g, want %g", r, i, (double)p.data[i], row[r].want[i]);
            rad_prepared_release(&p);
        }
}

typedef struct place {
    int64_t box[6];
    double margin_mm, margin_px;
    rad_region_shape shape;
    int64_t want[4];
} place;

static void smallest_square_odd_sizes_and_borders(void **state) {
    (void)state;
    static const place row[] = {
        /* slice of 20 x 16 pixels of 1 mm */
        {{5, 5, 0, 8, 8, 1}, 0, 0, RAD_SHAPE_SQUARE, {5, 5, 8, 8}},
        {{5, 5, 0, 9, 8, 1}, 0, 0, RAD_SHAPE_SQUARE, {5, 4, 9, 8}},   /* 4 x 3: the odd row above (low side) */
        {{5, 5, 0, 10, 8, 1}, 0, 0, RAD_SHAPE_SQUARE, {5, 4, 10, 9}}, /* 5 x 3: one row on each side */
        {{5, 5, 0, 10, 8, 1}, 0, 0, RAD_SHAPE_RECTANGLE, {5, 5, 10, 8}},
        {{5, 5, 0, 8, 8, 1}, 0, 2, RAD_SHAPE_SQUARE, {3, 3, 10, 10}},
        {{5, 5, 0, 8, 8, 1}, 1, 1, RAD_SHAPE_SQUARE, {3, 3, 10, 10}},
        {{5, 5, 0, 8, 8, 1}, 0.25, 0, RAD_SHAPE_SQUARE, {4, 4, 8, 8}}, /* 3.5 -> 4 */
        {{0, 0, 0, 3, 3, 1}, 0, 2, RAD_SHAPE_SQUARE, {0, 0, 7, 7}},    /* moved inside */
        {{18, 14, 0, 20, 16, 1}, 0, 2, RAD_SHAPE_SQUARE, {14, 10, 20, 16}},
        {{1, 1, 0, 19, 4, 1}, 0, 0, RAD_SHAPE_SQUARE, {1, -2, 19, 16}}, /* higher than the slice: holds all of it */
        {{1, 12, 0, 19, 15, 1}, 0, 0, RAD_SHAPE_SQUARE, {1, 0, 19, 18}},
        {{1, 7, 0, 19, 9, 1}, 0, 0, RAD_SHAPE_SQUARE, {1, -1, 19, 17}},
        {{8, 7, 0, 12, 9, 1}, 0, 10, RAD_SHAPE_SQUARE, {-2, -4, 22, 20}},
        {{8, 7, 0, 12, 9, 1}, 0, 10, RAD_SHAPE_RECTANGLE, {-2, -3, 22, 19}},
    };
    for (size_t r = 0; r < sizeof row / sizeof *row; r++) {
        image m;
        rad_prepared p;
        rad_input_spec s = plain();
        make(&m, 20, 16, 1);
        s.region = (rad_region_spec){.shape = row[r].shape, .margin_mm = row[r].margin_mm, .margin_px = row[r].margin_px};
        rad_roi roi = {.has_box = true};
        memcpy(roi.box, row[r].box, sizeof roi.box);
        check(&s, &m, &roi, &p);
        box_is(&p, row[r].want[0], row[r].want[1], row[r].want[2], row[r].want[3]);
        int64_t w = p.width;
        for (int64_t y = 0; y < p.height; y++)
            for (int64_t x = 0; x < w; x++) { /* replicate */
                int64_t sx = p.box[0][0] + x, sy = p.box[0][1] + y;
                sx = sx < 0 ? 0 : sx > 19 ? 19 : sx;
                sy = sy < 0 ? 0 : sy > 15 ? 15 : sy;
                assert_true(p.data[y * w + x] == (float)(10 * sy + sx));
            }
        rad_prepared_release(&p);
        s.edge = RAD_EDGE_ZERO;
        check(&s, &m, &roi, &p);
        for (int64_t y = 0; y < p.height; y++)
            for (int64_t x = 0; x < w; x++) {
                int64_t sx = p.box[0][0] + x, sy = p.box[0][1] + y;
                bool in = sx >= 0 && sx < 20 && sy >= 0 && sy < 16;
                assert_true(p.data[y * w + x] == (in ? (float)(10 * sy + sx) : 0));
            }
        rad_prepared_release(&p);
    }
}

static void a_square_is_square_in_millimetres(void **state) {
    (void)state;
    image m;
    rad_prepared p;
    rad_input_spec s = plain();
    make(&m, 30, 40, 1);
    m.v.info.affine[1][1] = 0.5; /* pixels 1 mm wide, 0.5 mm high */
    m.v.info.spacing[1] = 77;    /* pixdim is not asked */
    s.region = (rad_region_spec){.shape = RAD_SHAPE_SQUARE, .margin_mm = 1};
    rad_roi roi = {.has_box = true, .box = {10, 10, 0, 14, 14, 1}}; /* 4 x 2 mm, with margin 6 x 4 mm */
    check(&s, &m, &roi, &p);
    box_is(&p, 9, 6, 15, 18);
    rad_prepared_release(&p);
    roi = (rad_roi){.has_box = true, .box = {10, 10, 0, 12, 30, 1}}; /* 2 x 10 mm, with margin 4 x 12 mm */
    check(&s, &m, &roi, &p);
    box_is(&p, 5, 8, 17, 32);
    rad_prepared_release(&p);
    roi = (rad_roi){.has_point = true, .point = {10.6, 20.4, 0}};
    s.region = (rad_region_spec){.size_mm = 3};
    check(&s, &m, &roi, &p);
    box_is(&p, 10, 18, 13, 24); /* around pixels 11 and 20.4 */
    rad_prepared_release(&p);
    make(&m, 30, 40, 1);
    m.v.info.affine[0][0] = m.v.info.affine[1][1] = 0.7;
    roi.point[0] = roi.point[1] = 20;
    s.region.size_mm = 2.1; /* 2.1 / 0.7 is 3.0000000000000004 in double: still 3 pixels */
    check(&s, &m, &roi, &p);
    box_is(&p, 19, 19, 22, 22);
    rad_prepared_release(&p);
    make(&m, 30, 40, 1);
    m.v.info.affine[1][1] = 0.5;
    roi = (rad_roi){.has_point = true, .point = {10, 20, 0}};
    s.region = (rad_region_spec){.size_mm = 5};
    check(&s, &m, &roi, &p);
    box_is(&p, 8, 15, 13, 25); /* 5 pixels around 10; 10 pixels around 20, the odd one low */
    rad_prepared_release(&p);
}

static void lesion_slices_by_mask_box_and_point(void **state) {
    (void)state;
    image m, mask;
    rad_prepared p;
    rad_input_spec s = plain();
    make(&m, 6, 5, 7);
    make(&mask, 6, 5, 7);
    memset(mask.voxel, 0, sizeof mask.voxel);
    const int64_t set[6][3] = {{1, 1, 2}, {2, 1, 2}, {4, 3, 4}, {3, 3, 4}, {3, 2, 6}, {0, 0, 0}};
    for (int i = 0; i < 5; i++)
        mask.voxel[(set[i][2] * 5 + set[i][1]) * 6 + set[i][0]] = (int16_t)(i % 2 ? -1 : 3);
    s.region = (rad_region_spec){.from = RAD_REGION_AUTO, .shape = RAD_SHAPE_RECTANGLE};
    rad_roi roi = {.mask = &mask.v, .has_box = true, .box = {0, 0, 0, 1, 1, 1}};
    check(&s, &m, &roi, &p); /* the mask wins over the box; two slices have two voxels: the lower */
    assert_true(p.n_slice == 1 && p.slice[0] == 2);
    box_is(&p, 1, 1, 5, 4);
    rad_prepared_release(&p);
    memcpy(s.orientation, "LPI", 4); /* lowest after reorientation is highest as stored */
    check(&s, &m, &roi, &p);
    assert_true(p.slice[0] == 2 && p.stored_slice[0] == 4);
    box_is(&p, 1, 1, 5, 4); /* 6 - 5 .. 6 - 1, 5 - 4 .. 5 - 1 */
    rad_prepared_release(&p);
    memcpy(s.orientation, "RAS", 4);
    s.slices = RAD_SLICES_LESION_ALL;
    check(&s, &m, &roi, &p);
    assert_true(p.n_slice == 3 && p.slice[0] == 2 && p.slice[1] == 4 && p.slice[2] == 6);
    rad_prepared_release(&p);
    roi = (rad_roi){.has_box = true, .box = {1, 1, 2, 3, 3, 6}, .has_point = true, .point = {1, 1, 1}};
    check(&s, &m, &roi, &p);
    assert_true(p.n_slice == 4 && p.slice[0] == 2 && p.slice[3] == 5);
    rad_prepared_release(&p);
    s.slices = RAD_SLICES_LESION_CENTRE;
    check(&s, &m, &roi, &p);
    assert_true(p.slice[0] == 3); /* 2 .. 5: the lower middle */
    rad_prepared_release(&p);
    s.region.from = RAD_REGION_WHOLE; /* the slice still follows the lesion */
    check(&s, &m, &roi, &p);
    assert_true(p.slice[0] == 3);
    box_is(&p, 0, 0, 6, 5);
    rad_prepared_release(&p);
    s.region = (rad_region_spec){.from = RAD_REGION_POINT, .size_mm = 1};
    roi.point[2] = 4.5;
    check(&s, &m, &roi, &p);
    assert_true(p.slice[0] == 4);
    box_is(&p, 1, 1, 2, 2);
    rad_prepared_release(&p);
    s.region = (rad_region_spec){.from = RAD_REGION_WHOLE};
    make(&m, 6, 5, 6);
    check(&s, &m, NULL, &p);
    assert_true(p.slice[0] == 2); /* middle of 0 .. 5, the lower */
    rad_prepared_release(&p);
}

static void refusals_name_their_reason(void **state) {
    (void)state;
    image m, other;
    rad_prepared p = {.n_slice = 77};
    rad_error err;
    rad_input_spec s = plain();
    make(&m, 6, 5, 4);
    make(&other, 6, 5, 4);
    const rad_volume *volume[2] = {&m.v, &other.v};
    rad_roi roi = {.mask = &other.v};
    s.region.from = RAD_REGION_AUTO;
    memset(other.voxel, 0, sizeof other.voxel);
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_REGION, "mask is empty");
    other.voxel[3] = 1;
    other.v.info.dim[2] = 3;
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_SHAPE, "6x5x3 of 1x1x1 mm from (0.00, 0.00, 0.00), against 6x5x4");
    other.v.info.dim[2] = 4;
    other.v.info.affine[0][3] = 0.6; /* more than half a voxel */
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_SHAPE, "0.60 mm apart");
    other.v.info.affine[0][3] = 0.4;
    assert_ok(rad_prepare_case(&s, volume, &roi, &p, &err));
    rad_prepared_release(&p);
    other.v.info.affine[0][3] = 100;
    other.v.info.sform_code = 0; /* says nothing of space: laid on voxel by voxel */
    assert_ok(rad_prepare_case(&s, volume, &roi, &p, &err));
    rad_prepared_release(&p);
    other.v.info.dim[0] = 5;
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_SHAPE, "mask of 5x5x4");
    other.v.info.dim[0] = 6;

    s.region.from = RAD_REGION_WHOLE;
    s.n_channel = s.n_plane = 2;
    s.channel[1] = s.channel[0];
    other.v.info.sform_code = 1;
    other.v.info.affine[0][3] = 0.25; /* a second sequence: more than a tenth of a voxel, so it is interpolated */
    for (int i = 0; i < 6; i++)
        other.voxel[(1 * 5 + 2) * 6 + i] = (int16_t)(8 * i);
    assert_ok(rad_prepare_case(&s, volume, NULL, &p, &err));
    assert_true(p.data[30 + 12] == 0 && p.data[30 + 13] == 6 && p.data[30 + 17] == 38 && p.mismatch_mm[0] == 0);
    rad_prepared_release(&p);
    other.v.info.affine[2][3] = 3; /* its first slice two beyond the one that is scored */
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_SHAPE, "lies 2.00 mm from slice 1");
    s.match = (rad_match_spec){.has_tolerance = true, .tolerance_mm = 2};
    assert_ok(rad_prepare_case(&s, volume, NULL, &p, &err));
    assert_true(p.mismatch_mm[0] == 2);
    rad_prepared_release(&p);
    other.v.info.affine[2][3] = 0;
    other.v.info.affine[0][3] = 7;
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_SHAPE, "does not reach the region");
    other.v.info.affine[0][3] = 0.05;
    assert_ok(rad_prepare_case(&s, volume, NULL, &p, &err));
    rad_prepared_release(&p);
    other.v.info.affine[0][0] = 0;
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_UNSUPPORTED, "degenerate");
    other.v.info.affine[0][0] = 1;
    other.v.info.dim[4] = 3;
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_UNSUPPORTED, "dimensions");
    s.n_channel = s.n_plane = 1;

    static const int64_t bad[][6] = {{-1, 0, 0, 2, 2, 2}, {0, 0, 0, 7, 2, 2}, {2, 0, 0, 2, 2, 2}, {0, 0, 4, 1, 1, 5}};
    s.region.from = RAD_REGION_BOX;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        roi = (rad_roi){.has_box = true};
        memcpy(roi.box, bad[i], sizeof roi.box);
        assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_REGION, "outside the image");
    }
    roi = (rad_roi){.has_point = true, .point = {5.6, 1, 1}};
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_REGION, "no box");
    s.region = (rad_region_spec){.from = RAD_REGION_POINT, .size_mm = 3};
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_REGION, "outside the image");
    roi.point[0] = NAN;
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_REGION, "outside the image");
    roi.point[0] = 5.5;
    s.region.size_mm = 0;
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_REGION, "size_mm");
    s.region = (rad_region_spec){.from = RAD_REGION_AUTO};
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_REGION, "mask, box or point");
    s.region = (rad_region_spec){.from = RAD_REGION_WHOLE};
    s.slices = RAD_SLICES_LESION_ALL;
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_REGION, "mask, box or point");
    s.slices = RAD_SLICES_LESION_CENTRE;

    roi = (rad_roi){.has_box = true, .box = {0, 0, 0, 1, 1, 1}};
    s.region = (rad_region_spec){.from = RAD_REGION_BOX, .margin_px = 40000};
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_LIMIT, "RAD_MAX_REGION");
    s.region.margin_px = 30000;
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_LIMIT, "RAD_MAX_PREPARED_BYTES");
    s = plain();
    memcpy(s.orientation, "LRS", 4);
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_CONFIG, "'LRS'");
    s = plain();
    s.window = (rad_window_spec){.on = true, .low = 5, .high = 5};
    assert_fails(rad_prepare_case(&s, volume, NULL, &p, &err), RAD_E_CONFIG, "window");
    assert_int_equal(p.n_slice, 0); /* as the last release left it */
}

static void nan_in_the_region_of_a_used_slice_excludes(void **state) {
    (void)state;
    image m;
    rad_error err;
    rad_prepared p;
    make(&m, 4, 4, 5);
    float f[80];
    for (int i = 0; i < 80; i++)
        f[i] = (float)i;
    f[3 * 16 + 5] = NAN; /* (1, 1, 3) */
    m.v.voxel = f;
    m.v.info.type = RAD_VOX_F32;
    const rad_volume *volume[1] = {&m.v};
    rad_input_spec s = plain();
    s.region = (rad_region_spec){.from = RAD_REGION_BOX};
    rad_roi roi = {.has_box = true, .box = {0, 0, 2, 2, 2, 3}};
    assert_ok(rad_prepare_case(&s, volume, &roi, &p, &err)); /* slice 2 alone */
    rad_prepared_release(&p);
    s.channel[0].offset[0] = 1;
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_NONFINITE, "(1, 1, 3)");
    s.window = (rad_window_spec){.on = true, .low = 0, .high = 1};
    f[3 * 16 + 5] = INFINITY; /* not even where the window would clip it */
    assert_fails(rad_prepare_case(&s, volume, &roi, &p, &err), RAD_E_NONFINITE, "'T2'");
    roi.box[0] = roi.box[1] = 2;
    roi.box[3] = roi.box[4] = 4;
    assert_ok(rad_prepare_case(&s, volume, &roi, &p, &err)); /* outside the region */
    rad_prepared_release(&p);
}

static void first_frame_of_four_dimensions(void **state) {
    (void)state;
    image m;
    rad_prepared p;
    make(&m, 3, 3, 2);
    m.v.info.n_dim = 4;
    m.v.info.dim[3] = 20;
    rad_input_spec s = plain();
    s.slices = RAD_SLICES_VOLUME_ALL;
    check(&s, &m, NULL, &p);
    assert_true(p.n_slice == 2 && p.data[9] == 100);
    rad_prepared_release(&p);
}

static void memory_may_run_out_anywhere(void **state) {
    (void)state;
    image m, mask;
    make(&m, 6, 5, 4);
    make(&mask, 6, 5, 4);
    const rad_volume *volume[1] = {&m.v};
    rad_input_spec s = plain();
    s.region.from = RAD_REGION_MASK;
    s.resize = (rad_resize_spec){.method = RAD_RESIZE_BILINEAR, .height = 3, .width = 3};
    rad_roi roi = {.mask = &mask.v};
    rad_status st = RAD_E_NOMEM;
    int64_t n = 1;
    for (; st == RAD_E_NOMEM && n < 100; n++) {
        rad_prepared p = {0};
        rad_mem_fail_after(n);
        st = rad_prepare_case(&s, volume, &roi, &p, NULL);
        rad_mem_fail_after(0);
        assert_true(st == RAD_OK || (st == RAD_E_NOMEM && !p.data));
        rad_prepared_release(&p);
    }
    assert_int_equal(st, RAD_OK);
    assert_true(n > 15);
}

static void sample_shape_when_the_job_decides_it(void **state) {
    (void)state;
    rad_input_spec s = plain();
    int64_t dim[RAD_SAMPLE_DIMS];
    assert_false(rad_prepare_sample_shape(&s, dim));
    assert_true(dim[0] == 1 && dim[1] == -1 && dim[2] == -1 && dim[3] == 0);
    s.resize = (rad_resize_spec){.method = RAD_RESIZE_NEAREST, .height = 10, .width = 20};
    assert_true(rad_prepare_sample_shape(&s, dim));
    assert_true(dim[0] == 1 && dim[1] == 10 && dim[2] == 20 && dim[3] == 0);
    s.volume = (rad_volume_spec){.on = true, .size = {3, 4, 5}, .spacing_mm = {1, 1, 1}};
    assert_true(rad_prepare_sample_shape(&s, dim));
    assert_true(dim[0] == 1 && dim[1] == 3 && dim[2] == 4 && dim[3] == 5 && dim[4] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orientation_turns_axes_without_moving_values),
        cmocka_unit_test(neighbours_at_the_ends_follow_the_edge_rule),
        cmocka_unit_test(window_clips_and_normalise_follows),
        cmocka_unit_test(resize_by_hand),
        cmocka_unit_test(smallest_square_odd_sizes_and_borders),
        cmocka_unit_test(a_square_is_square_in_millimetres),
        cmocka_unit_test(lesion_slices_by_mask_box_and_point),
        cmocka_unit_test(refusals_name_their_reason),
        cmocka_unit_test(nan_in_the_region_of_a_used_slice_excludes),
        cmocka_unit_test(first_frame_of_four_dimensions),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(sample_shape_when_the_job_decides_it),
    };
    return cmocka_run_group_tests_name("prepare/rules", tests, NULL, NULL);
}
