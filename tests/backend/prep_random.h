/* prep_random.h: cases with every field of an input drawn by chance, for tests that compare two ways to prepare one. */
#ifndef PREP_RANDOM_H
#define PREP_RANDOM_H

#include <math.h>
#include <string.h>

#include "radcohort/prepare_plan.h"

enum { PREP_SIDE = 14, PREP_VOXELS = PREP_SIDE * PREP_SIDE * PREP_SIDE };

struct prep_case {
    uint32_t seed;
    rad_input_spec spec;
    rad_volume image[3];
    const rad_volume *volume[3];
    rad_roi roi;
    bool has_roi;
    double voxel[3][PREP_VOXELS];
};

static inline uint32_t prep_draw(struct prep_case *c, uint32_t n) {
    c->seed = c->seed * 1664525u + 1013904223u;
    return (c->seed >> 8) % n;
}

static inline double prep_real(struct prep_case *c, double low, double high) {
    return low + (high - low) * prep_draw(c, 1u << 16) / 65535.0;
}

/* One voxel of any type; now and then one that is not finite, or padding. */
static inline void prep_put(struct prep_case *c, rad_volume *v, int64_t i, bool odd) {
    const int64_t x = (int64_t)prep_draw(c, 4001) - 1000;
    const uint8_t rgb[3] = {(uint8_t)prep_draw(c, 256), (uint8_t)prep_draw(c, 256), (uint8_t)prep_draw(c, 256)};
    const bool special = prep_draw(c, 60) == 0;
    double real = special && odd ? (prep_draw(c, 2) ? (double)NAN : (double)INFINITY) : special ? -3024 : (double)x * 0.37;
    const float single = (float)real;
    void *to = (char *)v->voxel + (size_t)i * rad_voxel_size(v->info.type);
    switch (v->info.type) {
    case RAD_VOX_F32:
        memcpy(to, &single, 4);
        break;
    case RAD_VOX_F64:
        memcpy(to, &real, 8);
        break;
    case RAD_VOX_RGB24:
        memcpy(to, rgb, 3);
        break;
    case RAD_VOX_U8:
    case RAD_VOX_I8:
        memcpy(to, rgb, 1);
        break;
    case RAD_VOX_U16:
    case RAD_VOX_I16:
        memcpy(to, rgb, 2);
        break;
    default: { /* little end first, signs included */
        const uint64_t word = (uint64_t)(x * (v->info.type == RAD_VOX_U64 || v->info.type == RAD_VOX_I64 ? 1000000007 : 1));
        memcpy(to, &word, rad_voxel_size(v->info.type));
        break;
    }
    }
}

static inline void prep_volume(struct prep_case *c, int k, bool other_grid, bool cine) {
    static const int perm[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    rad_volume *v = &c->image[k];
    const int *p = perm[prep_draw(c, 6)];
    const double tilt = other_grid && prep_draw(c, 2) ? prep_real(c, -0.05, 0.05) : 0;
    int64_t size[3] = {11, 9, cine ? 6 : 7}; /* along world x, y, z */
    double spacing[3] = {1, 1.25, 3}, shift[3] = {0, 0, 0}, rotated[3][3] = {{1, -tilt, 0}, {tilt, 1, 0}, {0, 0, 1}};
    *v = (rad_volume){.info = {.n_dim = 3, .sform_code = 1, .slope = 1}, .voxel = c->voxel[k]};
    v->info.type = (rad_voxel_type)prep_draw(c, RAD_VOX_RGB24 + 1);
    if (prep_draw(c, 2)) {
        v->info.slope = prep_real(c, -2, 3);
        v->info.inter = prep_real(c, -500, 500);
    }
    for (int a = 0; a < 3; a++) {
        if (other_grid) {
            size[a] = 6 + (int64_t)prep_draw(c, PREP_SIDE - 6);
            spacing[a] *= prep_real(c, 0.6, 1.8);
            shift[a] = prep_real(c, -2, 2);
        }
        v->info.dim[3 + a] = v->info.dim[a] = 1;
    }
    v->info.dim[6] = 1;
    for (int a = 0; a < 3; a++) { /* stored axis a runs along world axis p[a], maybe backwards */
        const int w = p[a];
        const double sign = prep_draw(c, 2) ? 1 : -1;
        v->info.dim[a] = size[w];
        v->info.spacing[a] = spacing[w];
        for (int r = 0; r < 3; r++) {
            v->info.affine[r][a] = sign * spacing[w] * rotated[r][w];
            shift[r] -= sign < 0 ? (double)(size[w] - 1) * v->info.affine[r][a] : 0;
        }
    }
    for (int r = 0; r < 3; r++)
        v->info.affine[r][3] = shift[r];
    v->info.affine[3][3] = 1;
    if (cine) { /* one slice, frames instead; its slice axis stays where it is */
        for (int r = 0; r < 4; r++)
            for (int a = 0; a < 3; a++)
                v->info.affine[r][a] = r == a ? spacing[a] : 0;
        memcpy(v->info.dim, size, sizeof size);
        v->info.n_dim = 4;
        v->info.dim[3] = size[2];
        v->info.dim[2] = 1;
    }
    const int64_t n = size[0] * size[1] * size[2];
    const bool odd = prep_draw(c, 3) == 0;
    v->bytes = (size_t)n * rad_voxel_size(v->info.type);
    for (int64_t i = 0; i < n; i++)
        prep_put(c, v, i, odd);
}

static inline void prep_tone(struct prep_case *c, rad_window_spec *w, rad_intensity_spec *t) {
    switch (prep_draw(c, 4)) {
    case 0:
        *w = (rad_window_spec){.on = true, .low = prep_real(c, -800, 0), .high = prep_real(c, 10, 900)};
        break;
    case 1:
        *w = (rad_window_spec){
            .on = true, .percentile = true, .low = prep_draw(c, 30), .high = 60 + prep_draw(c, 41), .over = (rad_over)prep_draw(c, 3)};
        break;
    default:
        break;
    }
    if (prep_draw(c, 3) == 0) {
        t->zscore = true;
        t->zscore_over = (rad_over)prep_draw(c, 3);
    }
    if (prep_draw(c, 3) == 0) {
        t->has_padding = true;
        t->padding = -3024;
    }
    if (prep_draw(c, 3) != 0) {
        t->replace_nonfinite = true;
        t->nonfinite = prep_real(c, -100, 100);
    }
}

static inline void prep_region(struct prep_case *c) {
    rad_input_spec *s = &c->spec;
    s->region = (rad_region_spec){.from = (rad_region_from)prep_draw(c, RAD_REGION_POINT + 1), .size_mm = 6};
    s->region.shape = prep_draw(c, 2) ? RAD_SHAPE_SQUARE : RAD_SHAPE_RECTANGLE;
    s->region.margin_mm = prep_draw(c, 2) ? prep_real(c, 0, 4) : 0;
    s->region.margin_px = prep_draw(c, 3);
    c->has_roi = s->region.from != RAD_REGION_WHOLE || prep_draw(c, 2);
    const int64_t *d = c->image[0].info.dim;
    c->roi = (rad_roi){.has_box = s->region.from != RAD_REGION_POINT, .has_point = true};
    for (int a = 0; a < 3; a++) {
        const int64_t n = d[2] == 1 && a == 2 ? d[3] : d[a], at = (int64_t)prep_draw(c, (uint32_t)n);
        c->roi.box[a] = at;
        c->roi.box[3 + a] = at + 1 + (int64_t)prep_draw(c, (uint32_t)(n - at));
        c->roi.point[a] = (double)at;
    }
}

/* Case `number`; not every one can be prepared, but the same ones by both ways. */
static inline void prep_random(uint32_t number, struct prep_case *c) {
    static char name[] = "in", sequence[3][2] = {"A", "B", "C"};
    static const char orientation[3][4] = {"LPS", "PIR", "LIP"};
    memset(c, 0, sizeof *c);
    c->seed = number * 2654435761u + 1;
    rad_input_spec *s = &c->spec;
    s->name = name;
    s->frames_as_slices = prep_draw(c, 6) == 0;
    const bool cine = s->frames_as_slices && prep_draw(c, 4) != 0;
    memcpy(s->orientation, cine ? "LPS" : orientation[prep_draw(c, 3)], 4);
    s->n_channel = 1 + (int)prep_draw(c, 3);
    for (int k = 0; k < s->n_channel; k++) {
        rad_channel_spec *ch = &s->channel[k];
        ch->sequence = sequence[k];
        ch->n_offset = 1 + (int)prep_draw(c, 3);
        ch->component = (rad_component)prep_draw(c, 4);
        for (int o = 0; o < ch->n_offset; o++)
            ch->offset[o] = (int)prep_draw(c, 5) - 2;
        s->n_plane += ch->n_offset;
        prep_volume(c, k, k > 0 && prep_draw(c, 2), cine);
        c->volume[k] = k > 0 && prep_draw(c, 6) == 0 ? NULL : &c->image[k];
        if (prep_draw(c, 3) == 0)
            prep_tone(c, &ch->window, &ch->intensity);
    }
    s->slices = (rad_slices)prep_draw(c, RAD_SLICES_VOLUME_ALL + 1);
    s->edge = prep_draw(c, 2) ? RAD_EDGE_ZERO : RAD_EDGE_REPLICATE;
    if (prep_draw(c, 3) == 0)
        s->crop = (rad_crop_spec){.top = prep_draw(c, 3), .bottom = prep_draw(c, 3), .left = prep_draw(c, 3), .right = prep_draw(c, 2)};
    s->match = (rad_match_spec){.nearest = prep_draw(c, 2), .has_tolerance = true, .tolerance_mm = 20};
    prep_tone(c, &s->window, &s->intensity);
    const uint32_t method = prep_draw(c, 4);
    s->resize.method = method == 0 ? RAD_RESIZE_NONE : method == 1 ? RAD_RESIZE_NEAREST : RAD_RESIZE_BILINEAR;
    s->resize.antialias = method == 3;
    s->resize.height = 1 + (int64_t)prep_draw(c, 20);
    s->resize.width = 1 + (int64_t)prep_draw(c, 20);
    s->normalise.n = prep_draw(c, 3) == 0 ? 0 : prep_draw(c, 2) ? 1 : s->n_plane;
    for (int k = 0; k < s->normalise.n; k++) {
        s->normalise.mean[k] = prep_real(c, -1, 1);
        s->normalise.std[k] = prep_real(c, 0.1, 2);
    }
    prep_region(c);
}

/* Same lists? */
static inline bool prep_same_lists(const rad_prepared *a, const rad_prepared *b) {
    const size_t n = (size_t)a->n_slice;
    return a->n_slice == b->n_slice && a->n_plane == b->n_plane && a->height == b->height && a->width == b->width &&
           a->stored_axis == b->stored_axis && memcmp(a->slice, b->slice, n * sizeof *a->slice) == 0 &&
           memcmp(a->stored_slice, b->stored_slice, n * sizeof *a->slice) == 0 && memcmp(a->box, b->box, n * sizeof *a->box) == 0 &&
           memcmp(a->mismatch_mm, b->mismatch_mm, n * sizeof *a->mismatch_mm) == 0;
}

#endif
