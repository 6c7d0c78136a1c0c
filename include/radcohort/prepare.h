/* prepare: from volumes and a region of interest to the network's input planes.
 *
 * The exact rules (so that someone can write them again) stand in the header comments of src/prepare/ and in jobs/README.md.
 * Pure: no files, no clock, no threads of its own; thread-safe for distinct outputs. All arithmetic that decides a pixel's value is in
 * double, rounded once to float32, so that results do not depend on compiler vectorisation.
 */
#ifndef RADCOHORT_PREPARE_H
#define RADCOHORT_PREPARE_H

#include "radcohort/base.h"
#include "radcohort/job.h"
#include "radcohort/load.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_REGION 65536                     /* pixels per side of a region, margins included */
#define RAD_MAX_PREPARED_BYTES ((size_t)8 << 30) /* of one prepared input of one case */

/* Where the lesion is, in voxel indices of the reference image (that of the first channel entry) as stored; of the image of entry
 * region.drawn_on where that is not 0. */
typedef struct rad_roi {
    bool has_box, has_point;
    int64_t box[6]; /* as rad_lesion.box */
    double point[3];
    const rad_volume *mask; /* or NULL; on that image's grid (stored in any order), or without sform and qform but of its dims */
    int64_t n_listed;       /* slices: listed */
    const int64_t *listed;  /* [n_listed] indices along the reference's stored slice axis (of a cine its frames); borrowed */
} rad_roi;

/* One input of one case, prepared: n_slice samples of [n_plane, height, width] float32; of a volume one of [n_plane, depth, height, width],
 * whose slice is the one nearest to its centre and whose box holds the pixels whose centres lie in it. */
typedef struct rad_prepared {
    int64_t n_slice, n_plane, height, width;
    int64_t depth;         /* 0: samples are slices */
    float *data;           /* [n_slice, n_plane, (depth,) height, width], 64-byte aligned; owned */
    int64_t *slice;        /* [n_slice] index of the scored slice along the third axis AFTER reorientation */
    int64_t *stored_slice; /* [n_slice] the same slice as an index along the stored axis it lies on */
    int64_t (*box)[4];     /* [n_slice] x0 y0 x1 y1 of the region in the reoriented slice, may reach outside the image */
    double *mismatch_mm;   /* [n_slice] distance from the slice (and its neighbours; of a volume from its centre) to the nearest slices of
                              images on other grids: the largest; 0 when all lie on the reference's grid */
    int stored_axis;       /* 0, 1 or 2: which stored axis the slices run along */
    double border[2][3];   /* of a volume: x y z in voxels of the reoriented reference, half a sample outside the outer samples */
} rad_prepared;

/* volume[c]: the volume of channel entry c of `spec` (entries may share one); NULL: missing, planes of zeros (never the first nor
 * region.drawn_on). 2-D images count as one slice; for 4-D images the first frame is used, or all as slices. roi: NULL = no lesion. Errors:
 * SHAPE (a mask is not on its image's grid: both grids are named; the slices of two sequences are farther apart than the tolerance), REGION
 * (empty mask, box or point outside the image, no region where one is needed, no voxel to take intensities from, a crop that leaves
 * nothing, no listed slices or one outside the image), NONFINITE (NaN or Inf in the region of a slice that is used, and no number declared
 * for them), UNSUPPORTED (5-D and more, degenerate affine, an orientation that would cut a 2-D image into lines, slices and frames in one
 * image where frames are to be slices), LIMIT (RAD_MAX_REGION, RAD_MAX_PREPARED_BYTES), CONFIG (a spec that no job reader makes), NOMEM.
 * `ret` is released by rad_prepared_release. */
rad_status rad_prepare_case(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, rad_prepared *ret,
                            rad_error *err) RAD_MUST_CHECK;
void rad_prepared_release(rad_prepared *p);

/* Where a prepared input comes from: the grid of the reference image (that of the first channel entry), and the lesion in its slices. */
typedef struct rad_site {
    rad_image_info info; /* of the reference, without its warning; 3-D unless frames stand for slices */
    bool frames;         /* slices are frames of a 4-D image of one slice */
    int axis[3];         /* reoriented axis t runs along stored axis axis[t], backwards where flip[t] */
    bool flip[3];
    int64_t dim[3];   /* of the reoriented axes */
    int64_t box[4];   /* the region, x0 y0 x1 y1, the same in all slices */
    int64_t seen[4];  /* the part of it that is image: neither beyond its borders nor cropped */
    bool deep;        /* the sample is a volume: what follows speaks of all its slices at once */
    int64_t first[3]; /* x y z of the block of voxels that `lesion` and maps are about: the region of one slice (z = 0), or what of the */
    int64_t n[3];     /* volume is image: the voxels whose centres lie in it; along an axis without any the one nearest to its middle */
    double border[2][3]; /* of a volume, as in rad_prepared */
    uint8_t *lesion;     /* [n_slice, n[1], n[0]], of a volume [n[2], n[1], n[0]]: 1 = voxel of the lesion (mask, else box); NULL: it has
                            neither. Owned */
    int64_t *n_lesion;   /* [n_slice]: pixels of the lesion in the whole slice, of a volume [1]: voxels in the whole image; owned */
} rad_site;
/* The site of what rad_prepare_case made from the same arguments; a mask in `roi` counts whether or not the region was made from it.
 * Errors: SHAPE, REGION (as there), NOMEM. */
rad_status rad_site_make(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, const rad_prepared *p,
                         rad_site *ret, rad_error *err) RAD_MUST_CHECK;
void rad_site_release(rad_site *s);
/* The stored voxel i j k and frame of reoriented pixel (x, y) of a slice. */
void rad_site_voxel(const rad_site *s, int64_t x, int64_t y, int64_t slice, int64_t ret[4]);

/* What of rad_prepare_case can be told from headers alone, with the same errors: `radcohort check` looks before a run. `image`: one per
 * channel entry, NULL where it is missing; `mask`: of the lesion, or NULL; roi->mask is not looked at. */
rad_status rad_prepare_check_grid(const rad_input_spec *spec, const rad_image_info *const *image, rad_error *err) RAD_MUST_CHECK;
rad_status rad_prepare_check_lesion(const rad_input_spec *spec, const rad_image_info *const *image, const rad_image_info *mask,
                                    const rad_roi *roi, rad_error *err) RAD_MUST_CHECK;

/* Stored slices first <= k < end along the third axis of an image's first frame; end < 0: all voxels there are. */
typedef struct rad_planes {
    int64_t first, end;
} rad_planes;
/* What rad_prepare_case may read of each channel entry's image, from the headers (NULL: missing) and the lesion with its mask: ret
 * [n_channel]. Never fails: where something is wrong all is wanted, and rad_prepare_case says what. */
void rad_prepare_planes(const rad_input_spec *spec, const rad_image_info *const *image, const rad_roi *roi, rad_planes *ret);

/* Does the mask of the lesion decide anything for this input? Else it need not be read. */
bool rad_prepare_wants_mask(const rad_input_spec *spec);

#define RAD_SAMPLE_DIMS 5
/* Dims of one sample of an input, 0-terminated: [C, H, W] or [C, D, H, W]. False, and -1 for H and W, when the image decides them (no
 * resize). */
bool rad_prepare_sample_shape(const rad_input_spec *spec, int64_t ret_dim[RAD_SAMPLE_DIMS]);
/* The same for what was prepared. */
void rad_prepared_sample_shape(const rad_prepared *p, int64_t ret_dim[RAD_SAMPLE_DIMS]);

#ifdef __cplusplus
}
#endif
#endif
