/* internal.h: what the files of prepare/ share. Nothing outside prepare/ includes it. */
#ifndef RAD_PREPARE_INTERNAL_H
#define RAD_PREPARE_INTERNAL_H

#include "radcohort/prepare.h"

/* ---------------------------------------------------------------- orient.c */

/* A volume seen along named axes: reoriented axis t (0 = x = W, 1 = y = H, 2 = z = slices) is stored axis axis[t], run backwards when
 * flip[t]. */
typedef struct rad_view {
    const rad_volume *volume;
    int axis[3];
    bool flip[3];
    int64_t dim[3];      /* of the reoriented axes */
    int64_t step[3];     /* voxels between neighbours along each, negative when flipped */
    int64_t first;       /* linear index of reoriented voxel (0, 0, 0); of frame 0 */
    double affine[4][4]; /* reoriented voxel index -> RAS+ mm */
    double spacing[3];   /* mm: lengths of the affine's columns */
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

/* ---------------------------------------------------------------- region.c */

/* Which slices are scored and what is cut out of each. `slice` is ascending, owned by the caller. */
typedef struct rad_cut {
    int64_t n_slice, *slice;
    int64_t box[4]; /* x0 y0 x1 y1, may reach outside the slice */
} rad_cut;

/* Errors: REGION, SHAPE (mask on another grid), NONFINITE (NaN in the mask), NOMEM, CONFIG. */
rad_status rad_cut_make(const rad_input_spec *spec, const rad_view *reference, const rad_roi *roi, rad_cut *ret,
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
