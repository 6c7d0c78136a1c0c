/* prepare: what rad_prepare_planes does not name is never read. Thousands of random inputs are prepared twice: from whole images, and from
 * images cut down to the slices named, in memory that ends where they end. Same bits, or the same refusal. */
#include "unit.h"

#include <math.h>

#include "radcohort/prepare.h"

#define ROUNDS 6000

static uint64_t seed = 20240607;
static uint32_t next(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}
static int64_t below(int64_t n) {
    return (int64_t)(next() % (uint64_t)n);
}
static double share(void) {
    return (double)below(1 << 20) / (1 << 20);
}

/* Axes permuted and reversed at random, spacing 0.7 to 3 mm, a small tilt now and then; around the same place of the world. */
static rad_volume *random_volume(bool still_grid, const rad_volume *like) {
    rad_volume *v = calloc(1, sizeof *v);
    assert_non_null(v);
    v->info = (rad_image_info){.n_dim = 3, .sform_code = 1, .type = RAD_VOX_I16, .slope = 1};
    if (still_grid) {
        v->info = like->info;
    } else {
        int axis[3] = {0, 1, 2};
        for (int i = 2; i > 0; i--) {
            int j = (int)below(i + 1), t = axis[i];
            axis[i] = axis[j];
            axis[j] = t;
        }
        double extent[3] = {0};
        for (int i = 0; i < 7; i++)
            v->info.dim[i] = i < 3 ? 4 + below(14) : 1;
        for (int c = 0; c < 3; c++) {
            v->info.spacing[c] = 0.7 + 2.3 * share();
            double step = (below(2) ? 1 : -1) * v->info.spacing[c];
            v->info.affine[axis[c]][c] = step;
            if (below(4) == 0)
                v->info.affine[(axis[c] + 1) % 3][c] = 0.1 * step;
            for (int r = 0; r < 3; r++)
                extent[r] += v->info.affine[r][c] * (double)(v->info.dim[c] - 1) / 2;
        }
        for (int r = 0; r < 3; r++)
            v->info.affine[r][3] = 3 * share() - extent[r];
        v->info.affine[3][3] = 1;
    }
    int64_t n = v->info.dim[0] * v->info.dim[1] * v->info.dim[2];
    v->bytes = (size_t)n * sizeof(int16_t);
    int16_t *voxel = malloc(v->bytes);
    assert_non_null(voxel);
    for (int64_t i = 0; i < n; i++)
        voxel[i] = (int16_t)below(2000);
    v->voxel = voxel;
    return v;
}

/* The slices named, alone, and nothing readable around them that could be taken for voxels. */
static rad_volume part_of(const rad_volume *v, rad_planes p) {
    rad_volume part = *v;
    if (p.end >= 0) {
        int64_t plane = v->info.dim[0] * v->info.dim[1];
        assert_true(p.first >= 0 && p.first < p.end && p.end <= v->info.dim[2]);
        part.first = p.first * plane;
        part.bytes = (size_t)((p.end - p.first) * plane) * sizeof(int16_t);
    }
    part.voxel = malloc(part.bytes);
    assert_non_null(part.voxel);
    memcpy(part.voxel, (const int16_t *)v->voxel + part.first, part.bytes);
    return part;
}

static char the_name[] = "in", the_sequence[] = "T2";

static void random_intensity(rad_window_spec *w, rad_intensity_spec *i) {
    int64_t kind = below(8);
    if (kind == 0)
        *w = (rad_window_spec){.on = true, .low = 100, .high = 1500};
    if (kind == 1 || kind == 2)
        *w =
            (rad_window_spec){.on = true, .low = 5, .high = 90, .percentile = true, .over = kind == 1 ? RAD_OVER_REGION : RAD_OVER_NONZERO};
    if (below(6) == 0) {
        i->zscore = true;
        i->zscore_over = (rad_over)below(3);
    }
}

static rad_input_spec random_spec(bool two) {
    static const char *const codes[] = {"LPS", "RAS", "PIR", "LIP", "ASR", "SPL"};
    rad_input_spec s = {.name = the_name, .n_channel = two ? 2 : 1};
    memcpy(s.orientation, codes[below(6)], 4);
    s.edge = (rad_edge)below(2);
    s.volume.on = below(4) == 0;
    for (int c = 0; c < s.n_channel; c++) {
        rad_channel_spec *ch = &s.channel[c];
        ch->sequence = the_sequence;
        ch->n_offset = s.volume.on ? 1 : 1 + (int)below(3);
        for (int o = 0; o < ch->n_offset && !s.volume.on; o++)
            ch->offset[o] = (int)below(7) - 3;
        random_intensity(&ch->window, &ch->intensity);
        s.n_plane += ch->n_offset;
    }
    random_intensity(&s.window, &s.intensity);
    s.slices = (rad_slices)below(3);
    s.region = (rad_region_spec){.from = (rad_region_from)below(5), .shape = (rad_region_shape)below(2), .margin_px = (double)below(4)};
    s.region.size_mm = 1 + 9 * share();
    s.region.drawn_on = two && below(4) == 0;
    s.match = (rad_match_spec){.nearest = below(2), .has_tolerance = below(3) > 0, .tolerance_mm = 6};
    if (below(3) == 0)
        s.crop = (rad_crop_spec){.top = below(2), .bottom = below(2), .left = below(2), .right = below(2)};
    if (below(2))
        s.resize = (rad_resize_spec){.method = RAD_RESIZE_BILINEAR, .height = 5, .width = 6, .antialias = below(2)};
    if (s.volume.on) {
        s.resize.method = RAD_RESIZE_NONE;
        s.volume.antialias = below(2);
        for (int a = 0; a < 3; a++) {
            s.volume.size[a] = 1 + below(9);
            s.volume.spacing_mm[a] = 0.6 + 4 * share();
        }
    }
    return s;
}

static bool same_prepared(const rad_prepared *a, const rad_prepared *b) {
    int64_t depth = a->depth > 0 ? a->depth : 1;
    return a->n_slice == b->n_slice && a->n_plane == b->n_plane && a->height == b->height && a->width == b->width &&
           memcmp(a->data, b->data, (size_t)(a->n_slice * a->n_plane * depth * a->height * a->width) * sizeof(float)) == 0;
}

static void what_is_not_named_is_not_read(void **state) {
    (void)state;
    int64_t prepared = 0, refused = 0, less = 0, flat = 0;
    for (int round = 0; round < ROUNDS; round++) {
        bool two = below(2);
        rad_volume *v[2] = {random_volume(false, NULL), NULL}, part[2];
        if (two)
            v[1] = random_volume(below(3) == 0, v[0]);
        rad_input_spec s = random_spec(two);
        const rad_volume *on = v[s.region.drawn_on];
        rad_volume mask = {.info = on->info};
        mask.info.type = RAD_VOX_U8;
        mask.bytes = on->bytes / 2;
        mask.voxel = calloc(1, mask.bytes);
        rad_roi roi = {.has_box = true, .has_point = true, .mask = &mask};
        for (int a = 0; a < 3; a++) {
            roi.box[a] = below(on->info.dim[a]);
            roi.box[a + 3] = roi.box[a] + 1 + below(on->info.dim[a] - roi.box[a]);
            roi.point[a] = (double)below(on->info.dim[a]);
        }
        for (int64_t i = 0; i < 1 + below(20); i++)
            ((uint8_t *)mask.voxel)[below((int64_t)mask.bytes)] = 1;
        const rad_image_info *info[2] = {&v[0]->info, two ? &v[1]->info : NULL};
        rad_planes planes[2];
        rad_prepare_planes(&s, info, &roi, planes);
        const rad_volume *whole[2] = {v[0], v[1]}, *some[2] = {&part[0], &part[1]};
        for (int c = 0; c < s.n_channel; c++) {
            part[c] = part_of(v[c], planes[c]);
            less += planes[c].end >= 0 && planes[c].end - planes[c].first < v[c]->info.dim[2];
            flat++;
        }
        rad_prepared a = {0}, b = {0};
        rad_error err_a = {0}, err_b = {0};
        rad_status st_a = rad_prepare_case(&s, whole, &roi, &a, &err_a), st_b = rad_prepare_case(&s, some, &roi, &b, &err_b);
        if (st_a != st_b || strcmp(err_a.text, err_b.text) != 0)
            fail_msg("round %d: '%s' of the whole, '%s' of the part", round, err_a.text, err_b.text);
        if (st_a == RAD_OK && !same_prepared(&a, &b))
            fail_msg("round %d: other values from the part", round);
        prepared += st_a == RAD_OK;
        refused += st_a != RAD_OK;
        rad_prepared_release(&a);
        rad_prepared_release(&b);
        for (int c = 0; c < s.n_channel; c++) {
            free(part[c].voxel);
            free(v[c]->voxel);
        }
        free(v[0]);
        free(v[1]);
        free(mask.voxel);
    }
    printf("%lld prepared, %lld refused alike; %lld of %lld images needed in part\n", (long long)prepared, (long long)refused,
           (long long)less, (long long)flat);
    assert_true(prepared > ROUNDS / 3 && less > flat / 4);
}

static void the_slices_named_are_few(void **state) {
    (void)state;
    rad_input_spec s = {.name = the_name, .n_channel = 1, .n_plane = 3, .orientation = "LPS", .slices = RAD_SLICES_LESION_CENTRE};
    s.channel[0] = (rad_channel_spec){.sequence = the_sequence, .n_offset = 3, .offset = {-1, 0, 1}};
    s.region = (rad_region_spec){.from = RAD_REGION_BOX};
    rad_image_info info = {.n_dim = 3, .dim = {512, 512, 200, 1, 1, 1, 1}, .spacing = {1, 1, 1}, .sform_code = 1, .type = RAD_VOX_I16};
    for (int i = 0; i < 4; i++)
        info.affine[i][i] = 1;
    const rad_image_info *image[1] = {&info};
    rad_roi roi = {.has_box = true, .box = {100, 100, 80, 140, 140, 91}};
    rad_planes p;
    rad_prepare_planes(&s, image, &roi, &p);
    assert_true(p.first == 84 && p.end == 87);
    s.slices = RAD_SLICES_LESION_ALL;
    rad_prepare_planes(&s, image, &roi, &p);
    assert_true(p.first == 79 && p.end == 92);
    s.window = (rad_window_spec){.on = true, .percentile = true, .low = 1, .high = 99, .over = RAD_OVER_VOLUME};
    rad_prepare_planes(&s, image, &roi, &p);
    assert_true(p.end < 0);
    s.window.percentile = false;
    roi.box[5] = 300; /* an error is for rad_prepare_case to word */
    rad_prepare_planes(&s, image, &roi, &p);
    assert_true(p.end < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_not_named_is_not_read), cmocka_unit_test(the_slices_named_are_few)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
