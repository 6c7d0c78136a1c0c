/* write.c: a NIfTI-1 single file from a volume in memory; the same bytes for the same input. */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>
#include <nifti2_io.h>

#define VOX_OFFSET 352
#define GZIP_LEVEL 6

static int16_t datatype_code(rad_voxel_type t) {
    switch (t) {
    case RAD_VOX_U8:
        return NIFTI_TYPE_UINT8;
    case RAD_VOX_I8:
        return NIFTI_TYPE_INT8;
    case RAD_VOX_U16:
        return NIFTI_TYPE_UINT16;
    case RAD_VOX_I16:
        return NIFTI_TYPE_INT16;
    case RAD_VOX_U32:
        return NIFTI_TYPE_UINT32;
    case RAD_VOX_I32:
        return NIFTI_TYPE_INT32;
    case RAD_VOX_U64:
        return NIFTI_TYPE_UINT64;
    case RAD_VOX_I64:
        return NIFTI_TYPE_INT64;
    case RAD_VOX_F32:
        return NIFTI_TYPE_FLOAT32;
    case RAD_VOX_F64:
        return NIFTI_TYPE_FLOAT64;
    case RAD_VOX_RGB24:
        return NIFTI_TYPE_RGB24;
    }
    return DT_UNKNOWN;
}

/* A quaternion can express it: three non-zero columns at right angles to each other. */
static bool axes_orthogonal(const double a[4][4]) {
    int axis[3], sign[3];
    if (!rad_affine_axes(a, axis, sign))
        return false;
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++) {
            double dot = 0, ii = 0, jj = 0;
            for (int r = 0; r < 3; r++) {
                dot += a[r][i] * a[r][j];
                ii += a[r][i] * a[r][i];
                jj += a[r][j] * a[r][j];
            }
            if (fabs(dot) > 1e-5 * sqrt(ii * jj)) /* the header's floats cannot tell finer */
                return false;
        }
    return true;
}

static void set_forms(nifti_1_header *h, const rad_image_info *info) {
    h->sform_code = NIFTI_XFORM_SCANNER_ANAT;
    for (int c = 0; c < 4; c++) {
        h->srow_x[c] = (float)info->affine[0][c];
        h->srow_y[c] = (float)info->affine[1][c];
        h->srow_z[c] = (float)info->affine[2][c];
    }
    h->pixdim[0] = 1;
    for (int i = 0; i < 3; i++)
        h->pixdim[i + 1] = (float)info->spacing[i];
    h->pixdim[4] = 1;
    if (!axes_orthogonal(info->affine))
        return;
    nifti_dmat44 m;
    memcpy(m.m, info->affine, sizeof m.m);
    double b, c, d, x, y, z, dx, dy, dz, qfac;
    nifti_dmat44_to_quatern(m, &b, &c, &d, &x, &y, &z, &dx, &dy, &dz, &qfac);
    h->qform_code = NIFTI_XFORM_SCANNER_ANAT;
    h->quatern_b = (float)b;
    h->quatern_c = (float)c;
    h->quatern_d = (float)d;
    h->qoffset_x = (float)x;
    h->qoffset_y = (float)y;
    h->qoffset_z = (float)z;
    h->pixdim[0] = (float)qfac;
    h->pixdim[1] = (float)dx;
    h->pixdim[2] = (float)dy;
    h->pixdim[3] = (float)dz;
}

/* The forms of the header that `info` was read from. */
static void copy_forms(nifti_1_header *h, const rad_image_info *info) {
    const double *q = info->qform;
    set_forms(h, info);
    h->sform_code = (int16_t)info->sform_code;
    h->qform_code = (int16_t)info->qform_code;
    if (info->sform_code <= 0)
        for (int c = 0; c < 4; c++)
            h->srow_x[c] = h->srow_y[c] = h->srow_z[c] = 0;
    h->quatern_b = (float)q[0];
    h->quatern_c = (float)q[1];
    h->quatern_d = (float)q[2];
    h->qoffset_x = (float)q[3];
    h->qoffset_y = (float)q[4];
    h->qoffset_z = (float)q[5];
    h->pixdim[0] = info->qform_code > 0 ? (float)q[6] : 1;
    for (int i = 0; i < 3; i++)
        h->pixdim[i + 1] = (float)info->spacing[i];
}

static rad_status make_header(const char *path, const rad_image_info *info, bool copied, nifti_1_header *h, size_t *ret_bytes,
                              rad_error *err) {
    *h = (nifti_1_header){
        .sizeof_hdr = RAD_NIFTI1_BYTES, .regular = 'r', .vox_offset = VOX_OFFSET, .magic = "n+1", .xyzt_units = NIFTI_UNITS_MM};
    if (info->n_dim < 1 || info->n_dim > 4)
        return rad_error_set(err, RAD_E_UNSUPPORTED, "cannot write '%s': %d dimensions, expected 1 to 4", path, info->n_dim);
    size_t bytes = rad_voxel_size(info->type);
    h->dim[0] = (int16_t)info->n_dim;
    for (int i = 0; i < 7; i++) {
        int64_t d = i < info->n_dim ? info->dim[i] : 1;
        if (d < 1)
            return rad_error_set(err, RAD_E_SHAPE, "cannot write '%s': dim[%d] = %" PRId64, path, i + 1, d);
        if (d > RAD_MAX_DIM || !rad_mul_size(bytes, (size_t)d, &bytes) || bytes > RAD_MAX_IMAGE_BYTES)
            return rad_error_set(err, RAD_E_LIMIT, "cannot write '%s': larger than RAD_MAX_DIM or RAD_MAX_IMAGE_BYTES", path);
        h->dim[i + 1] = (int16_t)d;
    }
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            if (!isfinite(info->affine[r][c]) || !isfinite(info->slope) || !isfinite(info->inter) || !(info->spacing[r] > 0))
                return rad_error_set(err, RAD_E_NONFINITE, "cannot write '%s': affine, spacing, slope or intercept is not finite", path);
    h->datatype = datatype_code(info->type);
    h->bitpix = (int16_t)(8 * rad_voxel_size(info->type));
    h->scl_slope = (float)info->slope;
    h->scl_inter = (float)info->inter;
    if (copied)
        copy_forms(h, info);
    else
        set_forms(h, info);
    *ret_bytes = bytes;
    return RAD_OK;
}

static rad_status write_nifti(const char *path, const rad_image_info *info, bool copied, const void *voxel, rad_error *err) {
    nifti_1_header h;
    size_t bytes = 0, n = strlen(path);
    uint8_t *file = NULL, *packed = NULL;
    struct libdeflate_compressor *z = NULL;
    rad_status st = make_header(path, info, copied, &h, &bytes, err);
    if (st != RAD_OK)
        return st;
    file = rad_malloc(VOX_OFFSET + bytes);
    if (!file) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the %zu bytes of '%s'", bytes, path);
        goto out;
    }
    memcpy(file, &h, RAD_NIFTI1_BYTES);
    memset(file + RAD_NIFTI1_BYTES, 0, VOX_OFFSET - RAD_NIFTI1_BYTES); /* extender: no extensions */
    memcpy(file + VOX_OFFSET, voxel, bytes);
    if (n < 3 || strcmp(path + n - 3, ".gz") != 0) {
        st = rad_file_write_atomic(path, file, VOX_OFFSET + bytes, err);
        goto out;
    }
    z = libdeflate_alloc_compressor(GZIP_LEVEL);
    size_t room = z ? libdeflate_gzip_compress_bound(z, VOX_OFFSET + bytes) : 0;
    packed = z ? rad_malloc(room) : NULL;
    if (!packed) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to compress '%s'", path);
        goto out;
    }
    size_t size = libdeflate_gzip_compress(z, file, VOX_OFFSET + bytes, packed, room);
    st = size ? rad_file_write_atomic(path, packed, size, err) : rad_error_set(err, RAD_E_INTERNAL, "cannot compress '%s'", path);
out:
    if (z)
        libdeflate_free_compressor(z);
    free(packed);
    free(file);
    return st;
}

rad_status rad_volume_write(const char *path, const rad_image_info *info, const void *voxel, rad_error *err) {
    return rad_png_named(path) ? rad_png_write(path, info, voxel, err) : write_nifti(path, info, false, voxel, err);
}

rad_status rad_volume_write_on(const char *path, const rad_image_info *info, const void *voxel, rad_error *err) {
    return write_nifti(path, info, true, voxel, err);
}
