/* internal.h: what the files of prepare/ share. Nothing outside prepare/ includes it. */
#ifndef RAD_PREPARE_INTERNAL_H
#define RAD_PREPARE_INTERNAL_H

#include "radcohort/prepare.h"

#define CEIL_SLACK 1e-6 /* pixels */

/* ---------------------------------------------------------------- orient.c */

/* A volume seen along named axes: reoriented axis t (0 = x = W, 1 = y = H, 2 = z = slices) is stored axis axis[t], run backwards when
 * flip[t]. */
typedef struct rad_view {
    const rad_volume *volume;
    int axis[3];
    bool flip[3];
    int64_t dim[3];          /* of the reoriented axes */
    int64_t step[3];         /* voxels between neighbours along each, negative when flipped */
    int64_t first;           /* linear index of reoriented voxel (0, 0, 0); of frame 0 */
    double affine[4][4];     /* reoriented voxel index -> RAS+ mm */
    double spacing[3];       /* mm: lengths of the affine's columns */
    int64_t low[2], high[2]; /* the pixels x, y of a slice that count: first, and one past the last */
} rad_view;

/* `what` names the volume in errors ("image of sequence 'T2'"). Errors: UNSUPPORTED, CONFIG (orientation is not three letters, one per
 * axis). */
rad_status rad_view_make(const rad_volume *v, const char orientation[4], const char *what, rad_view *ret, rad_error *err) RAD_MUST_CHECK;
/* SHAPE unless both views have the same dims and no corner of `b` lies farther than `tolerance` times a's smallest spacing from a's. */
rad_status rad_view_same_grid(const rad_view *a, const char *what_a, const rad_view *b, const char *what_b, double tolerance,
                              rad_error *err) RAD_MUST_CHECK;
#define GRID_TOLERANCE 0.1 /* of the smallest spacing: rounding of two exports of one grid; more would be another position */
#define MASK_TOLERANCE 0.5 /* of the smallest spacing: a mask half a voxel off still marks the right voxels */
/* A stored voxel position (centre = integer) as a position along the reoriented axes. */
void rad_view_position(const rad_view *v, const double stored[3], double ret[3]);

/* ---------------------------------------------------------------- resample.c, intensity.c */

/* How an image lies against the reference: the same voxels, or the two maps between reoriented voxel positions. */
typedef struct rad_link {
    bool same;
    double to[3][4], back[3][4]; /* reference -> image, image -> reference */
    double slice_mm;             /* distance of the image's slices along their normal */
} rad_link;

/* What becomes of a value (intensity.c). */
typedef struct rad_tone {
    bool window, has_padding, replace, zscore;
    double low, span, mean, sd;
    float padding, nonfinite;
} rad_tone;

/* The image of one channel entry. */
typedef struct rad_channel_view {
    const char *sequence;
    rad_component component;
    rad_volume cine; /* the volume with frames for slices, where they are; borrows the voxels */
    rad_view view;   /* of no volume: missing, planes of zeros */
    rad_link link;
    rad_tone tone;
} rad_channel_view;

/* View and link of entry `c`; `ref`: the reference's view, NULL for the reference itself; `volume` NULL: missing. Errors: as rad_view_make.
 */
rad_status rad_channel_make(const rad_input_spec *spec, int c, const rad_volume *volume, const rad_view *ref, rad_channel_view *ret,
                            rad_error *err) RAD_MUST_CHECK;
double rad_nearest(double at); /* the whole number nearest to a position; of two the lower */
void rad_map_point(const double m[3][4], const double p[3], double ret[3]);
double rad_view_slice_distance(const rad_view *v); /* mm, along the slices' normal */
void rad_link_make(const rad_view *ref, const rad_view *image, rad_link *ret);
/* The image's slice nearest to slice `k` of the reference, and how far it is. Errors: SHAPE (beyond the tolerance). */
rad_status rad_match_slice(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const int64_t box[4], int64_t k,
                           int64_t *ret_slice, double *ret_mm, rad_error *err) RAD_MUST_CHECK;

/* The voxels of an image around one slice of the region, ready to be interpolated. */
typedef struct rad_patch {
    int64_t from[3], n[3];
    double *value; /* [n[2], n[1], n[0]] */
    size_t room;
    float *row;
    int64_t row_room;
} rad_patch;
void rad_patch_release(rad_patch *p);
/* Where the patch lies: from and n only. `slice`: the matched one. Errors: SHAPE (the image does not reach the region), LIMIT. */
rad_status rad_patch_place(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const int64_t box[4], int64_t k,
                           int64_t slice, rad_patch *p, rad_error *err) RAD_MUST_CHECK;
/* The same, and its values. Errors: NOMEM, too. */
rad_status rad_patch_read(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const int64_t box[4], int64_t k,
                          int64_t slice, rad_patch *p, rad_error *err) RAD_MUST_CHECK;
/* Room for from and n, filled with the image's values after the tone. Errors: LIMIT, NOMEM. */
rad_status rad_patch_fill(const rad_channel_view *c, rad_patch *p, rad_error *err) RAD_MUST_CHECK;
/* The value at voxel position `w` of the image; of the nearest voxel, or between voxels. NaN when a voxel it needs is not finite. */
double rad_patch_value(const rad_patch *p, const rad_channel_view *c, const double w[3], bool zero_outside, bool nearest);

/* `n` values of the image from reoriented voxel (x, y, z) along x. */
void rad_channel_row(const rad_channel_view *c, int64_t x, int64_t y, int64_t z, int64_t n, float *out);
struct rad_cut;
/* Fills c->tone. `slot`: per slice of the reference, -1 when it is not scored. Errors: REGION (no voxel to take statistics from), NOMEM. */
rad_status rad_tone_make(const rad_input_spec *spec, const rad_channel_spec *ch, rad_channel_view *c, const rad_view *ref,
                         const struct rad_cut *cut, const int64_t *slot, rad_error *err) RAD_MUST_CHECK;
double rad_tone_window(const rad_tone *t, double value);
/* All of the tone; *ret_bad: the first value that is not finite, or -1. False when there is one and nothing is declared to stand for it
 * (its result is NaN). */
bool rad_tone_row(const rad_tone *t, const float *in, int64_t n, double *out, int64_t *ret_bad);
double rad_tone_black(const rad_tone *t); /* what 0 after the window becomes */

/* ---------------------------------------------------------------- region.c */

/* Which slices are scored and what is cut out of each. `slice` is ascending, owned by the caller. */
typedef struct rad_cut {
    int64_t n_slice, *slice;
    int64_t box[4];         /* x0 y0 x1 y1, may reach outside the slice */
    double centre[3];       /* of a volume: voxel position in the reoriented reference */
    double step[3];         /* of a volume: voxels of the reference between neighbouring samples, along x, y, z; else 0 */
    double low[3], high[3]; /* of a volume: its borders, half a step outside the first and last samples */
} rad_cut;

/* `drawn`: the image whose voxels box, mask and point are given in; the reference itself, or another with its link. Errors: REGION, SHAPE
 * (mask on another grid), NONFINITE (NaN in the mask), NOMEM, CONFIG. */
rad_status rad_cut_make(const rad_input_spec *spec, const rad_view *reference, const rad_channel_view *drawn, const rad_roi *roi,
                        rad_cut *ret, rad_error *err) RAD_MUST_CHECK;
/* The listed slices alone, where the input takes those. Errors: REGION. */
rad_status rad_cut_check_listed(const rad_input_spec *spec, const rad_view *reference, const rad_roi *roi, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- volume.c */

/* The one sample of a volume: data and all other fields of `ret`, which is released on failure. The channels' views are made, their tones
 * not. Errors: SHAPE (an image does not hold the centre, or its slices are farther from it than the tolerance; one slice where a volume is
 * wanted), NONFINITE, REGION, LIMIT, NOMEM. */
rad_status rad_volume_sample(const rad_input_spec *spec, rad_channel_view *channel, const rad_cut *cut, rad_prepared *ret,
                             rad_error *err) RAD_MUST_CHECK;
/* Is the centre of the volume inside the image? *ret_mm: its distance to the nearest slice (0 on the reference's grid). Errors: SHAPE. */
rad_status rad_volume_match(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const double centre[3],
                            double *ret_mm, rad_error *err) RAD_MUST_CHECK;

/* The voxels of a lesion: those of the mask, else of the box. */
typedef struct rad_outline {
    const rad_channel_view *on; /* the image it was drawn in */
    bool has_mask;
    rad_view mask;
    int64_t low[3], high[3]; /* reoriented voxels of that image, last exclusive */
} rad_outline;
/* `drawn` as in rad_cut_make, and outlives the outline. *ret_found false: neither mask nor box. Errors: SHAPE, REGION, CONFIG. */
rad_status rad_outline_make(const rad_input_spec *spec, const rad_channel_view *drawn, const rad_roi *roi, rad_outline *ret,
                            bool *ret_found, rad_error *err) RAD_MUST_CHECK;
/* Pixels 0 .. n - 1 of row y of a slice of the reference: 1 in the lesion, else 0. `row`: room for n values. */
void rad_outline_row(const rad_outline *o, int64_t y, int64_t slice, int64_t n, float *row, uint8_t *ret);

/* ---------------------------------------------------------------- prepare.c, for plan.c too */

rad_status rad_prepare_check_spec(const rad_input_spec *s, rad_error *err) RAD_MUST_CHECK; /* CONFIG */
/* Views of all channel entries, [spec->n_channel]. Errors: as rad_channel_make; CONFIG (no reference). */
rad_status rad_channels_make(const rad_input_spec *spec, const rad_volume *const *volume, rad_channel_view *ret,
                             rad_error *err) RAD_MUST_CHECK;
/* Sizes (checked) and lists of the result, all but its pixels; *ret_slot [slices of the reference]: place in the cut, or -1; both are the
 * caller's to release, also after a failure. Errors: LIMIT, NOMEM. */
rad_status rad_prepared_begin(const rad_input_spec *spec, const rad_view *ref, const rad_cut *cut, rad_prepared *p, int64_t **ret_slot,
                              rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- resize.c */

/* One axis of a separable filter: out[i] = sum over j < count[i] of weight[i * taps + j] * in[start[i] + j]. */
typedef struct rad_filter {
    int64_t in, out, taps;
    int64_t *start, *count;
    double *weight;
} rad_filter;

/* `n_in` samples to `n_out`. Errors: NOMEM. */
rad_status rad_filter_make(rad_resize_method method, bool antialias, int64_t n_in, int64_t n_out, rad_filter *ret,
                           rad_error *err) RAD_MUST_CHECK;
void rad_filter_release(rad_filter *f);
/* One row. */
void rad_filter_row(const rad_filter *f, const double *in, double *out);
/* Columns of `in` [f->in, width] to `out` [f->out, width]. */
void rad_filter_columns(const rad_filter *f, const double *in, int64_t width, double *out);

#endif
