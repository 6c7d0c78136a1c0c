/* load: gzip and NIfTI. A volume in memory with its affine, or a typed reason why not.
 *
 * nifticlib decides what a header means; this module bounds sizes before allocation, inflates, swaps bytes and keeps the reason of
 * a failure. The only module that includes nifti, zlib, libdeflate or ISA-L headers. No global state; thread-safe for distinct outputs.
 *
 * Voxel axes: [x, y, z, t, ...] as stored, x fastest. Affines map voxel index (centre = integer) to RAS+ mm.
 */
#ifndef RADCOHORT_LOAD_H
#define RADCOHORT_LOAD_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_DIM 32767                     /* per axis */
#define RAD_MAX_VOXELS ((int64_t)1 << 31)     /* of one image, all axes */
#define RAD_MAX_IMAGE_BYTES ((size_t)8 << 30) /* inflated */
#define RAD_MAX_FILE_BYTES ((size_t)8 << 30)  /* on disk */
#define RAD_MAX_PNG_BYTES ((size_t)256 << 20) /* on disk */
#define RAD_MAX_GZIP_RATIO 1200               /* inflated / compressed; deflate itself cannot pass 1032 */

typedef enum rad_voxel_type {
    RAD_VOX_U8,
    RAD_VOX_I8,
    RAD_VOX_U16,
    RAD_VOX_I16,
    RAD_VOX_U32,
    RAD_VOX_I32,
    RAD_VOX_U64,
    RAD_VOX_I64,
    RAD_VOX_F32,
    RAD_VOX_F64,
    RAD_VOX_RGB24
} rad_voxel_type;
size_t rad_voxel_size(rad_voxel_type t);
const char *rad_voxel_type_name(rad_voxel_type t); /* "int16", "rgb24", ... as in NIfTI */

/* What the header says. Plain data. */
typedef struct rad_image_info {
    int n_dim;           /* 1..7 as stored */
    int64_t dim[7];      /* 1 beyond n_dim */
    double spacing[3];   /* mm, positive */
    double affine[4][4]; /* voxel -> RAS+ mm: sform when its code > 0, else qform when its code > 0, else spacing only ("method 1") */
    int sform_code, qform_code;
    double qform[7];             /* quaternion b c d, offset x y z, qfac, as they stand in the header; 0 without qform */
    double form_disagreement_mm; /* largest distance over the corners between sform and qform when both are set; 0 otherwise */
    char orientation[4];         /* closest axis codes of +x +y +z, e.g. "LAS" (nibabel aff2axcodes); "???" when degenerate */
    rad_voxel_type type;
    double slope, inter; /* value = slope * stored + inter; (1, 0) when the header's slope is 0 or not finite */
    bool swapped;        /* file byte order differs from this machine's */
    bool gzip;
    int nifti_version; /* 1 or 2; 0: a PNG still */
    bool pair;         /* .hdr/.img */
    size_t file_bytes; /* on disk, both files of a pair */
    char *warning;     /* NULL, or text worth recording (sform/qform disagree by more than 1 mm, ...); owned */
} rad_image_info;
void rad_image_info_release(rad_image_info *i);

/* Turns what the header of a 4-D image says into that of the mean of `n` of its volumes: n_dim 3, and the stored type where n is 1, else
 * float64. `total`: how many volumes a table beside the file tells of. Errors, with *info untouched: SHAPE (the image has another number of
 * them), UNSUPPORTED (a fifth axis; colours). */
rad_status rad_image_info_mean(const char *path, int64_t n, int64_t total, rad_image_info *info, rad_error *err) RAD_MUST_CHECK;

/* The world axis (0 = right, 1 = anterior, 2 = superior) nearest to each voxel axis and its direction (+1 along, -1 against): nibabel's
 * io_orientation. False, outputs untouched, when the affine is degenerate (not finite, a zero column, linearly dependent columns). */
bool rad_affine_axes(const double affine[4][4], int ret_axis[3], int ret_sign[3]) RAD_MUST_CHECK;

/* Blocks that volumes are done with, for volumes read later; thread-safe. */
typedef struct rad_spare rad_spare;
/* Keeps at most `max_bytes`. Errors: NOMEM. */
rad_status rad_spare_create(size_t max_bytes, rad_spare **ret, rad_error *err) RAD_MUST_CHECK;
void rad_spare_destroy(rad_spare **s); /* after all volumes that came from it */

/* A volume, or some slices of it, in native byte order, unscaled. */
typedef struct rad_volume {
    rad_image_info info;
    void *voxel;                  /* info.type, dims as stored, x fastest, from voxel `first` on; owned */
    rad_spare *home;              /* where the block goes when the volume is destroyed, or NULL; borrowed */
    size_t room;                  /* bytes of the block, with a home */
    int64_t first;                /* linear index of voxel[0]: 0 but for a part */
    size_t bytes;                 /* of the voxels that are here */
    char content[RAD_XXH128_HEX]; /* XXH3-128 of the file's bytes as they lie on disk (.hdr then .img for a pair) */
} rad_volume;

/* Header only: inflates no more than the first block. Errors: NOTFOUND, IO, FORMAT, TRUNCATED, LIMIT, UNSUPPORTED (complex, float128,
 * rgba32, unknown type; ANALYZE without NIfTI magic; CIFTI-2), SHAPE (zero or negative dims), NONFINITE (NaN or Inf in the
 * affine), NOMEM. A file whose size cannot hold what the header promises is TRUNCATED for uncompressed files and LIMIT (by
 * RAD_MAX_GZIP_RATIO) for compressed ones, before anything is allocated. Release with rad_image_info_release. */
rad_status rad_image_probe(const char *path, rad_image_info *ret, rad_error *err) RAD_MUST_CHECK;
/* Header and voxels. A name ending in .png is a still: one slice of uint8, uint16 or rgb24 pixels of 1 mm, rows from the top, without sform
 * and qform, whose affine makes LPS the orientation it is shown in. The gzip CRC is verified. `path` may else name .nii, .nii.gz, .hdr or
 * .img (with or without .gz; the other half of a
 * pair is found beside it). Whether a file is gzip is decided by its first bytes. Errors: as rad_image_probe. */
rad_status rad_volume_load(const char *path, rad_volume **ret, rad_error *err) RAD_MUST_CHECK;
void rad_volume_destroy(rad_volume **v);

/* ---------------------------------------------------------------- parts of an image */

/* Where to remember what was learnt of large gzip files: content hash and places from which inflating can begin (restart.c). */
typedef struct rad_restart_cache {
    const char *dir; /* made when it is missing */
    uint8_t key[RAD_SHA256_BYTES];
} rad_restart_cache;

/* An image file of which slices are wanted. Used by one thread at a time. */
typedef struct rad_image_file rad_image_file;
/* As rad_image_probe; the file stays open. `cache` (NULL: none) is borrowed until it is closed. A file that is remembered with the same
 * size, inode and times of change is taken for the same: its content hash is then known without reading it. */
rad_status rad_image_file_open(const char *path, const rad_restart_cache *cache, rad_image_file **ret, rad_error *err) RAD_MUST_CHECK;
void rad_image_file_close(rad_image_file **f);
/* Volumes read from now on take their blocks from `spare` and give them back to it; borrowed until the last of them is destroyed. */
void rad_image_file_use_spare(rad_image_file *f, rad_spare *spare);
/* From now on the file is the mean of these volumes along its fourth axis (`volume`: [n] ascending, copied; one: that volume as it is
 * stored): info, slices and voxels are those of a 3-D image, the content stays the file's. Voxels are added as stored, in double, in
 * ascending order of volumes, and divided by n; slope and intercept apply to the mean. Errors: as rad_image_info_mean, NOMEM. */
rad_status rad_image_file_select(rad_image_file *f, const int64_t *volume, int64_t n, int64_t total, rad_error *err) RAD_MUST_CHECK;
const rad_image_info *rad_image_file_info(const rad_image_file *f); /* `warning` is complete once its content is known */
/* rad_volume.content, reading (not inflating, where its ends fit) the file when it is not known yet. Errors: as rad_image_file_read. */
rad_status rad_image_file_content(rad_image_file *f, char ret[RAD_XXH128_HEX], rad_error *err) RAD_MUST_CHECK;
/* Slices plane0 <= z < plane1 along the third stored axis of the first frame; (0, -1): all voxels there are. Inflates no further than the
 * last one, beginning at the nearest place remembered, or skims over what lies before where that is quicker. *ret may hold more than was
 * asked for (pairs and stills are read whole).
 *
 * What is noticed: `verify` reads a gzip file to its end and checks its CRC, unless that was done when it was remembered. Without it the
 * length that its last bytes give must fit the header's (a file that was cut short does not pass); a fault before their end
 * is noticed only where it breaks the deflate format, one behind them not at all. A file that changes while it is read is IO.
 * Errors: as rad_volume_load. */
rad_status rad_image_file_read(rad_image_file *f, int64_t plane0, int64_t plane1, bool verify, rad_volume **ret,
                               rad_error *err) RAD_MUST_CHECK;
/* Bytes of the file that were read so far, those passed over not counted. */
size_t rad_image_file_bytes_read(const rad_image_file *f);
/* Seconds so far in which bytes became voxels: inflating, byte order, of a still all of its decoding. */
double rad_image_file_inflate_seconds(const rad_image_file *f);

/* Converts `n` voxels that lie `stride` apart, starting at linear index `first`, to scaled float32:
 * (float)(slope * (double)stored + inter). For rgb24 the luma 0.299 R + 0.587 G + 0.114 B of the three bytes (ITU-R BT.601).
 * `first` counts in the whole volume; the caller keeps first .. first + (n - 1) * stride inside what is here; `stride` may be negative. */
void rad_volume_get(const rad_volume *v, int64_t first, int64_t stride, int64_t n, float *out);

/* The same for one byte of rgb24 voxels: component 0, 1, 2 = red, green, blue, unscaled. A volume of another type gives its own values. */
void rad_volume_get_component(const rad_volume *v, int component, int64_t first, int64_t stride, int64_t n, float *out);

/* A few numbers by which near copies of a volume are found: the same anatomy on another scale of values, re-encoded, flipped in storage,
 * resampled, or cropped by a few voxels gives nearly the same ones. Two are compared by the cosine of the angle between them (signature.c
 * says how they come about; a 2-D image has other numbers than a volume, and fewer). */
#define RAD_MAX_SIGNATURE 164
typedef struct rad_signature {
    int n; /* 0: none */
    int8_t value[RAD_MAX_SIGNATURE];
} rad_signature;
/* Of the first frame. None when not all of it is here, or all of it has one value. About 2 ms and 2 MB for a large volume. Errors: NOMEM.
 */
rad_status rad_volume_sign(const rad_volume *v, rad_signature *ret, rad_error *err) RAD_MUST_CHECK;

/* Writes a NIfTI-1 single file (gzip when the name ends in .gz), atomically; or, when the name ends in .png, one slice of uint8 or rgb24 as
 * a still, rows from the top (of info only dims and type are used, as a still has nothing else). `voxel`: `info->type`, native order. Uses
 * dim, n_dim (<= 4), spacing, affine (sform code 1 and, when its axes are orthogonal, qform code 1), type, slope, inter. The same input
 * gives the same bytes (no time in the gzip header). Errors: SHAPE, LIMIT, UNSUPPORTED (n_dim above 4; another type for a still),
 * NONFINITE, IO, NOMEM. */
rad_status rad_volume_write(const char *path, const rad_image_info *info, const void *voxel, rad_error *err) RAD_MUST_CHECK;
/* The same (NIfTI only) for something drawn on the grid of an image that was read: sform and qform with their codes are those of its
 * header, also where it has none, so that every viewer puts both in one place. `info`: the image's, with another type, slope and inter. */
rad_status rad_volume_write_on(const char *path, const rad_image_info *info, const void *voxel, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
