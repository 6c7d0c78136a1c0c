/* header.c: the first bytes of a NIfTI file to a rad_image_info.
 *
 * nifticlib says what a valid header means (nifti_convert_n1hdr2nim / n2hdr2nim, from memory). It repairs or lets through what must be
 * refused (negative dims, products that overflow, offsets beyond int) and prints to stderr what it refuses, so every such header is
 * caught here first, with its reason; nifticlib then has nothing to say.
 *
 * Decisions
 * - Byte order: sizeof_hdr (348 or 540) decides; dim[0] must be 1..7 in the same order.
 * - ANALYZE 7.5 (348 bytes without the NIfTI magic) is UNSUPPORTED: its left and right are not defined.
 * - CIFTI-2 (NIfTI-2 with intent 3000..3099) is UNSUPPORTED: its axes are not space.
 * - vox_offset 0 in a single file means the first byte after header and extender (352 or 544), as nibabel reads it; with a warning.
 *   1 .. 351 (543) lies inside the header: FORMAT. A fraction, NaN or negative: FORMAT.
 * - pixdim[1..3]: negative ones lose the sign, zero and not-a-number become 1; with a warning when the axis has more than one voxel.
 * - scl_slope 0 or not finite: no scaling. A usable slope with an inter that is not finite: FORMAT, as nibabel refuses it.
 *   rgb24 is never scaled (NIfTI standard).
 * - A sform (code > 0) or else qform (code > 0) with NaN or Inf: NONFINITE.
 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <nifti2_io.h>

typedef struct raw_header { /* both versions in native byte order, as far as the checks need them */
    int version;
    bool swapped;
    nifti_1_header n1;
    nifti_2_header n2;
    int64_t dim[8];
    int datatype, intent, units;
    double vox_offset, slope, inter;
} raw_header;

rad_status rad_header_warn(rad_buf *warning, rad_error *err, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return rad_buf_printf(warning, err, "%s%s", warning->size ? "; " : "", text);
}

void rad_voxel_swap(void *voxel, size_t n, size_t size) {
    if (size > 1)
        nifti_swap_Nbytes((int64_t)n, (int)size, voxel);
}

/* Version, byte order and magic. */
static rad_status identify(const char *path, const uint8_t *head, size_t n, bool pair, raw_header *ret, rad_error *err) {
    if (n < 4)
        return rad_error_set(err, RAD_E_TRUNCATED, "'%s' %s; a NIfTI header has 348 bytes or more", path,
                             n == 0 ? "is empty" : "holds fewer than 4 bytes");
    static const uint8_t size1[2][4] = {{0x5c, 1, 0, 0}, {0, 0, 1, 0x5c}}, size2[2][4] = {{0x1c, 2, 0, 0}, {0, 0, 2, 0x1c}};
    int order = -1; /* 0 little, 1 big */
    for (int o = 0; o < 2; o++) {
        if (memcmp(head, size1[o], 4) == 0)
            ret->version = 1, order = o;
        if (memcmp(head, size2[o], 4) == 0)
            ret->version = 2, order = o;
    }
    if (order < 0)
        return rad_error_set(err, RAD_E_FORMAT, "'%s' is not NIfTI: its first four bytes are neither 348 nor 540 in either byte order",
                             path);
    size_t want = ret->version == 1 ? RAD_NIFTI1_BYTES : RAD_NIFTI2_BYTES;
    if (n < want)
        return rad_error_set(err, RAD_E_TRUNCATED, "'%s' holds %zu bytes, a NIfTI-%d header has %zu", path, n, ret->version, want);
    ret->swapped = order != (nifti_short_order() == 2 /* big-endian */);

    const uint8_t *magic = head + (ret->version == 1 ? 344 : 4);
    char digit = ret->version == 1 ? '1' : '2';
    bool is_nifti = magic[0] == 'n' && (magic[1] == '+' || magic[1] == 'i') && magic[2] == digit && magic[3] == 0;
    if (is_nifti && ret->version == 2)
        is_nifti = memcmp(magic + 4, "\r\n\032\n", 4) == 0;
    if (!is_nifti && ret->version == 1)
        return rad_error_set(err, RAD_E_UNSUPPORTED,
                             "'%s' has no NIfTI magic: ANALYZE 7.5 does not define left and right; convert it to NIfTI", path);
    if (!is_nifti)
        return rad_error_set(err, RAD_E_FORMAT,
                             "'%s' has the size of a NIfTI-2 header but not its magic: damaged, or changed by a text-mode copy", path);
    if (pair && magic[1] == '+')
        return rad_error_set(err, RAD_E_FORMAT,
                             "'%s' is named as half of a .hdr/.img pair, but its magic says single file; rename it to .nii", path);
    if (!pair && magic[1] == 'i')
        return rad_error_set(err, RAD_E_FORMAT, "'%s' has the magic of a .hdr/.img pair; name the two files .hdr and .img", path);
    return RAD_OK;
}

static void to_native(const uint8_t *head, raw_header *h) {
    if (h->version == 1) {
        memcpy(&h->n1, head, sizeof h->n1);
        if (h->swapped)
            swap_nifti_header(&h->n1, 1);
        for (int i = 0; i < 8; i++)
            h->dim[i] = h->n1.dim[i];
        h->datatype = h->n1.datatype;
        h->intent = h->n1.intent_code;
        h->units = h->n1.xyzt_units;
        h->vox_offset = (double)h->n1.vox_offset;
        h->slope = (double)h->n1.scl_slope;
        h->inter = (double)h->n1.scl_inter;
    } else {
        memcpy(&h->n2, head, sizeof h->n2);
        if (h->swapped)
            swap_nifti_header(&h->n2, 2);
        for (int i = 0; i < 8; i++)
            h->dim[i] = h->n2.dim[i];
        h->datatype = h->n2.datatype;
        h->intent = h->n2.intent_code;
        h->units = h->n2.xyzt_units;
        h->vox_offset = (double)h->n2.vox_offset;
        h->slope = h->n2.scl_slope;
        h->inter = h->n2.scl_inter;
    }
}

static rad_status voxel_type(const char *path, int code, rad_voxel_type *ret, rad_error *err) {
    static const struct {
        int code;
        rad_voxel_type type;
    } known[] = {
        {NIFTI_TYPE_UINT8, RAD_VOX_U8},    {NIFTI_TYPE_INT8, RAD_VOX_I8},     {NIFTI_TYPE_UINT16, RAD_VOX_U16},
        {NIFTI_TYPE_INT16, RAD_VOX_I16},   {NIFTI_TYPE_UINT32, RAD_VOX_U32},  {NIFTI_TYPE_INT32, RAD_VOX_I32},
        {NIFTI_TYPE_UINT64, RAD_VOX_U64},  {NIFTI_TYPE_INT64, RAD_VOX_I64},   {NIFTI_TYPE_FLOAT32, RAD_VOX_F32},
        {NIFTI_TYPE_FLOAT64, RAD_VOX_F64}, {NIFTI_TYPE_RGB24, RAD_VOX_RGB24},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code) {
            *ret = known[i].type;
            return RAD_OK;
        }
    static const struct {
        int code;
        const char *name;
    } refused[] = {
        {NIFTI_TYPE_COMPLEX64, "complex64"}, {NIFTI_TYPE_COMPLEX128, "complex128"}, {NIFTI_TYPE_COMPLEX256, "complex256"},
        {NIFTI_TYPE_FLOAT128, "float128"},   {NIFTI_TYPE_RGBA32, "rgba32"},         {DT_BINARY, "1-bit"},
    };
    const char *name = "unknown";
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].code == code)
            name = refused[i].name;
    return rad_error_set(err, RAD_E_UNSUPPORTED,
                         "'%s' has voxels of NIfTI datatype %d (%s); taken are int8 to uint64, float32, float64, rgb24: convert it", path,
                         code, name);
}

/* dims, voxel count, bytes: everything that decides an allocation. */
static rad_status check_dims(const char *path, const raw_header *h, rad_image_info *info, size_t *ret_bytes, rad_error *err) {
    if (h->dim[0] < 1 || h->dim[0] > 7)
        return rad_error_set(err, RAD_E_FORMAT, "'%s' has dim[0] = %" PRId64 ", expected 1 to 7 dimensions", path, h->dim[0]);
    info->n_dim = (int)h->dim[0];
    int64_t n = 1;
    for (int i = 0; i < 7; i++) {
        info->dim[i] = 1;
        if (i >= info->n_dim)
            continue;
        int64_t d = h->dim[i + 1];
        if (d < 1)
            return rad_error_set(err, RAD_E_SHAPE,
                                 "'%s' has dim[%d] = %" PRId64 ", expected at least 1: its header is damaged, copy or convert it again",
                                 path, i + 1, d);
        if (d > RAD_MAX_DIM)
            return rad_error_set(err, RAD_E_LIMIT, "'%s' has dim[%d] = %" PRId64 ", the limit is %d (RAD_MAX_DIM)", path, i + 1, d,
                                 RAD_MAX_DIM);
        if (d > RAD_MAX_VOXELS / n)
            return rad_error_set(err, RAD_E_LIMIT, "'%s' promises more than %" PRId64 " voxels (RAD_MAX_VOXELS)", path, RAD_MAX_VOXELS);
        n *= d;
        info->dim[i] = d;
    }
    size_t bytes = 0;
    if (!rad_mul_size((size_t)n, rad_voxel_size(info->type), &bytes) || bytes > RAD_MAX_IMAGE_BYTES)
        return rad_error_set(err, RAD_E_LIMIT, "'%s' promises more than %zu bytes of voxels (RAD_MAX_IMAGE_BYTES)", path,
                             RAD_MAX_IMAGE_BYTES);
    *ret_bytes = bytes;
    return RAD_OK;
}

static rad_status check_offset(const char *path, const raw_header *h, bool pair, size_t *ret_offset, rad_buf *warning, rad_error *err) {
    double off = h->vox_offset;
    size_t least = h->version == 1 ? RAD_NIFTI1_BYTES + 4 : RAD_NIFTI2_BYTES + 4;
    if (!(off >= 0) || off != floor(off))
        return rad_error_set(err, RAD_E_FORMAT, "'%s' has vox_offset %g, expected a whole number of bytes", path, off);
    if (off > (double)RAD_MAX_FILE_BYTES)
        return rad_error_set(err, RAD_E_LIMIT, "'%s' has vox_offset %g, the limit is %zu (RAD_MAX_FILE_BYTES)", path, off,
                             RAD_MAX_FILE_BYTES);
    *ret_offset = (size_t)off;
    if (pair || *ret_offset >= least)
        return RAD_OK;
    if (*ret_offset > 0)
        return rad_error_set(err, RAD_E_FORMAT,
                             "'%s' has vox_offset %zu, inside its own header; a single file has its voxels at %zu or later", path,
                             *ret_offset, least);
    *ret_offset = least;
    return rad_header_warn(warning, err, "vox_offset is 0; voxels are taken from byte %zu", least);
}

/* A positive finite spacing; *bad when the header's was not. */
static double good_spacing(double p, bool *bad) {
    *bad = !(p > 0) || !isfinite(p);
    return !isfinite(p) || p == 0 ? 1.0 : fabs(p);
}

/* pixdim[1..3] made positive in the header that nifticlib will see; vox_offset to what it cannot misread. */
static rad_status repair(raw_header *h, const rad_image_info *info, rad_buf *warning, rad_error *err) {
    bool warn = false;
    for (int i = 1; i <= 3; i++) {
        bool bad;
        if (h->version == 1)
            h->n1.pixdim[i] = (float)good_spacing((double)h->n1.pixdim[i], &bad);
        else
            h->n2.pixdim[i] = good_spacing(h->n2.pixdim[i], &bad);
        warn = warn || (bad && info->dim[i - 1] > 1);
    }
    h->n1.vox_offset = 0;
    h->n2.vox_offset = 0;
    return warn ? rad_header_warn(warning, err, "pixdim is not positive on every axis; its size without sign is used, 1 for zero") : RAD_OK;
}

/* The largest distance between where two affines put the corners of the volume. */
static double corner_distance(const double a[4][4], const double b[4][4], const int64_t dim[7]) {
    double most = 0;
    for (int corner = 0; corner < 8; corner++) {
        double sum = 0;
        for (int r = 0; r < 3; r++) {
            double d = a[r][3] - b[r][3];
            for (int c = 0; c < 3; c++)
                if (corner >> c & 1)
                    d += (a[r][c] - b[r][c]) * (double)(dim[c] - 1);
            sum += d * d;
        }
        most = fmax(most, sqrt(sum));
    }
    return most;
}

static rad_status take_affine(const char *path, const nifti_image *nim, rad_image_info *info, rad_buf *warning, rad_error *err) {
    info->sform_code = nim->sform_code;
    info->qform_code = nim->qform_code;
    if (info->qform_code > 0) {
        const double q[7] = {nim->quatern_b, nim->quatern_c, nim->quatern_d, nim->qoffset_x, nim->qoffset_y, nim->qoffset_z, nim->qfac};
        memcpy(info->qform, q, sizeof q);
    }
    const nifti_dmat44 *use = info->sform_code > 0 ? &nim->sto_xyz : &nim->qto_xyz; /* qto_xyz is the spacing alone without qform */
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++) {
            info->affine[r][c] = use->m[r][c];
            if (!isfinite(use->m[r][c]))
                return rad_error_set(err, RAD_E_NONFINITE,
                                     "'%s' has NaN or Inf in its %s: where its voxels lie is not known; convert it again", path,
                                     info->sform_code > 0 ? "sform" : "qform");
        }
    const double pixdim[3] = {nim->dx, nim->dy, nim->dz};
    for (int i = 0; i < 3; i++)
        info->spacing[i] = pixdim[i];
    int axis[3], sign[3];
    if (rad_affine_axes(info->affine, axis, sign)) {
        for (int i = 0; i < 3; i++)
            info->orientation[i] = (sign[i] > 0 ? "RAS" : "LPI")[axis[i]];
    } else
        memcpy(info->orientation, "???", 4);

    rad_status st = RAD_OK;
    if (info->sform_code > 0 && info->qform_code > 0) {
        double mm = corner_distance(nim->sto_xyz.m, nim->qto_xyz.m, info->dim);
        info->form_disagreement_mm = isfinite(mm) ? mm : HUGE_VAL;
        if (!(mm <= 1.0))
            st = rad_header_warn(warning, err, "sform and qform disagree by %.1f mm; sform is used", mm);
    } else if (info->sform_code <= 0 && info->qform_code <= 0)
        st = rad_header_warn(warning, err, "neither sform nor qform: axes are taken as right, anterior, superior");
    for (int i = 0; st == RAD_OK && i < 3 && info->sform_code > 0; i++) {
        double len = sqrt(info->affine[0][i] * info->affine[0][i] + info->affine[1][i] * info->affine[1][i] +
                          info->affine[2][i] * info->affine[2][i]);
        if (info->dim[i] > 1 && fabs(len - pixdim[i]) > 0.01 * pixdim[i]) {
            st = rad_header_warn(warning, err, "pixdim says %.4g mm along axis %d, the sform %.4g", pixdim[i], i, len);
            break;
        }
    }
    return st;
}

rad_status rad_header_parse(const char *path, const uint8_t *head, size_t n, bool pair, rad_image_info *ret_info, size_t *ret_offset,
                            size_t *ret_bytes, rad_buf *warning, rad_error *err) {
    raw_header h = {0};
    rad_image_info info = {.pair = pair, .slope = 1};
    size_t offset = 0, bytes = 0;
    nifti_image *nim = NULL;
    rad_status st = identify(path, head, n, pair, &h, err);
    if (st != RAD_OK)
        return st;
    to_native(head, &h);
    info.nifti_version = h.version;
    info.swapped = h.swapped;
    if (h.version == 2 && h.intent >= 3000 && h.intent < 3100)
        return rad_error_set(err, RAD_E_UNSUPPORTED, "'%s' is CIFTI-2 (intent %d): connectivity or surface data, not a volume", path,
                             h.intent);
    RAD_TRY(voxel_type(path, h.datatype, &info.type, err));
    RAD_TRY(check_dims(path, &h, &info, &bytes, err));
    RAD_TRY(check_offset(path, &h, pair, &offset, warning, err));
    if (h.slope != 0 && isfinite(h.slope) && !isfinite(h.inter)) {
        st = rad_error_set(err, RAD_E_FORMAT, "'%s' has scl_slope %g but scl_inter is not finite: its values are undefined", path, h.slope);
        goto out;
    }
    RAD_TRY(repair(&h, &info, warning, err));

    nim = h.version == 1 ? nifti_convert_n1hdr2nim(h.n1, NULL) : nifti_convert_n2hdr2nim(h.n2, NULL);
    if (!nim) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the header of '%s'", path);
        goto out;
    }
    if (info.type != RAD_VOX_RGB24 && nim->scl_slope != 0) { /* nifticlib has turned what is not finite into 0 */
        info.slope = nim->scl_slope;
        info.inter = nim->scl_inter;
    }
    RAD_TRY(take_affine(path, nim, &info, warning, err));
    if (nim->xyz_units == NIFTI_UNITS_METER || nim->xyz_units == NIFTI_UNITS_MICRON)
        RAD_TRY(rad_header_warn(warning, err, "spatial unit is declared as %s; numbers are taken as millimetres",
                                nim->xyz_units == NIFTI_UNITS_METER ? "metre" : "micrometre"));
    *ret_info = info;
    *ret_offset = offset;
    *ret_bytes = bytes;
out:
    if (nim)
        nifti_image_free(nim);
    return st;
}
