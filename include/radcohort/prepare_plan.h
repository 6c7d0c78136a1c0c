/* prepare_plan: a case's input with everything decided but the pixels themselves.
 *
 * rad_prepare_case decides geometry, slices, region and intensities, then makes pixels. A device that makes the pixels (src/infer/cudnn)
 * takes the first half from here: which voxel every pixel comes from, what becomes of its value, and the weights of the resizing, all as
 * plain numbers. Whoever follows a plan in double, in the order that src/prepare/README.md gives, gets the bits of rad_prepare_case.
 */
#ifndef RADCOHORT_PREPARE_PLAN_H
#define RADCOHORT_PREPARE_PLAN_H

#include "radcohort/prepare.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of a value: value = float32(slope * stored + inter); then (value - low) / span, clipped to 0..1 (0 where span is not above
 * 0); NaN and Inf become `nonfinite` where they may; a value equal to `padding` becomes 0; then (v - mean) / sd. */
typedef struct rad_prepare_tone {
    bool window, has_padding, replace, zscore;
    double low, span, mean, sd;
    float padding, nonfinite;
    double black; /* what 0 after the window becomes */
} rad_prepare_tone;

/* The image of one channel entry. Positions are reoriented voxels (x, y, z); voxel (x, y, z) is stored element
 * first + x step[0] + y step[1] + z step[2]. */
typedef struct rad_prepare_image {
    const void *voxel; /* stored voxels, borrowed from the volume; NULL: missing, planes of zeros */
    rad_voxel_type type;
    double slope, inter;
    int component; /* of RGB: 0, 1, 2, or -1 for the luma */
    int64_t dim[3], first, step[3];
    bool same;       /* lies on the reference's grid; else interpolated at to * (x, y, z, 1) */
    double to[3][4]; /* reference voxel -> image voxel */
    rad_prepare_tone tone;
    int64_t from[3], n[3]; /* the box of voxels that any pixel may need; n 0: none */
} rad_prepare_image;

/* One plane of one sample. */
typedef struct rad_prepare_plane {
    int image;       /* index into rad_prepare_plan.image */
    bool empty;      /* all pixels are `value` (before the normalisation): beyond the first or last slice, or no image */
    int64_t z;       /* slice of the reference */
    int64_t matched; /* slice of the image, where match.nearest */
    double value;
} rad_prepare_plane;

/* One axis of the resizing: out[i] = sum over j < count[i], ascending, of weight[i * taps + j] * in[start[i] + j]; x before y. */
typedef struct rad_prepare_axis {
    int64_t in, out, taps;
    int64_t *start, *count;
    double *weight;
} rad_prepare_axis;

typedef struct rad_prepare_plan {
    rad_prepared result;     /* everything of it but `data`, which is NULL */
    int64_t box[4];          /* region: x0 y0 x1 y1, may reach outside */
    int64_t low[2], high[2]; /* pixels of the reference's slices that count; beyond them the edge rule */
    bool edge_zero;          /* ... black; else the nearest pixel */
    bool match_nearest;      /* of images on other grids: no interpolation between slices */
    int n_image;
    rad_prepare_image image[RAD_MAX_CHANNELS];
    rad_prepare_plane *plane; /* [n_slice, n_plane] */
    rad_prepare_axis x, y;
    int n_normalise; /* 0: none, 1: for all planes, or one per plane; (v - mean) / std */
    double mean[RAD_MAX_PLANES], std[RAD_MAX_PLANES];
} rad_prepare_plan;

/* Can this input be planned? Decided by the spec alone; *ret_why (may be NULL) gets a literal text when not. */
bool rad_prepare_plan_takes(const rad_input_spec *spec, const char **ret_why);
/* Arguments and errors as rad_prepare_case, except that nothing is said about NaN and Inf: those show when pixels are made. The volumes
 * must outlive the plan. Thread-safe for distinct outputs. */
rad_status rad_prepare_plan_make(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, rad_prepare_plan **ret,
                                 rad_error *err) RAD_MUST_CHECK;
void rad_prepare_plan_destroy(rad_prepare_plan **p);

#ifdef __cplusplus
}
#endif
#endif
