/* png.c: stills. A PNG file as a volume of one slice, rows from the top: 8-bit grey (1, 2 and 4 bits widened), 16-bit grey, 8-bit RGB
 * (palettes resolved). No colour management: the numbers are those in the file. Pixels count as 1 mm;
 * x runs to the patient's left and y to the back, so that orientation LPS shows the still as it is. */
#include "internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <png.h>

bool rad_png_named(const char *path) {
    size_t n = strlen(path);
    return n > 4 && strcasecmp(path + n - 4, ".png") == 0;
}

typedef struct decoder {
    const char *path;
    char *file; /* owned */
    size_t size, at;
    png_structp png;
    png_infop info;
    png_bytep *row; /* owned */
    uint8_t *voxel; /* owned until handed over */
    bool want_voxels;
    rad_image_info image;
    size_t bytes;
    rad_status st;
    rad_error *err;
    char why[120];
} decoder;

static void on_error(png_structp png, png_const_charp text) {
    decoder *d = png_get_error_ptr(png);
    snprintf(d->why, sizeof d->why, "%s", text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep out, size_t n) {
    decoder *d = png_get_io_ptr(png);
    if (n > d->size - d->at)
        png_error(png, "file ends early");
    memcpy(out, d->file + d->at, n);
    d->at += n;
}

/* Header and transformations; what the image is. */
static rad_status read_header(decoder *d) {
    png_set_user_limits(d->png, RAD_MAX_DIM, RAD_MAX_DIM);
    png_read_info(d->png, d->info);
    png_uint_32 w = png_get_image_width(d->png, d->info), h = png_get_image_height(d->png, d->info);
    int depth = png_get_bit_depth(d->png, d->info), colour = png_get_color_type(d->png, d->info);
    bool grey = (colour & PNG_COLOR_MASK_COLOR) == 0;
    if (colour & PNG_COLOR_MASK_ALPHA || png_get_valid(d->png, d->info, PNG_INFO_tRNS))
        return rad_error_set(d->err, RAD_E_UNSUPPORTED, "'%s' has transparent pixels; save it without an alpha channel", d->path);
    if (!grey && depth == 16)
        return rad_error_set(d->err, RAD_E_UNSUPPORTED, "'%s' has 16 bits per colour, expected 8", d->path);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(d->png);
    else if (grey && depth < 8)
        png_set_expand_gray_1_2_4_to_8(d->png);
    if (depth == 16)
        png_set_swap(d->png); /* PNG is big-endian */
    (void)png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    rad_image_info *i = &d->image;
    *i = (rad_image_info){
        .n_dim = 2, .dim = {(int64_t)w, (int64_t)h, 1, 1, 1, 1, 1}, .spacing = {1, 1, 1}, .slope = 1, .file_bytes = d->size};
    i->type = !grey ? RAD_VOX_RGB24 : depth == 16 ? RAD_VOX_U16 : RAD_VOX_U8;
    i->affine[0][0] = i->affine[1][1] = -1;
    i->affine[2][2] = i->affine[3][3] = 1;
    memcpy(i->orientation, "LPS", 4);
    d->bytes = (size_t)w * h * rad_voxel_size(i->type); /* at most 2^31 * 3 */
    if (d->bytes / RAD_MAX_GZIP_RATIO > d->size)
        return rad_error_set(d->err, RAD_E_LIMIT,
                             "'%s' has %zu bytes, its header promises %zu: more than PNG can hold (RAD_MAX_GZIP_RATIO)", d->path, d->size,
                             d->bytes);
    if (png_get_rowbytes(d->png, d->info) * h != d->bytes)
        return rad_error_set(d->err, RAD_E_UNSUPPORTED, "'%s' has an unexpected pixel layout", d->path);
    return RAD_OK;
}

static rad_status read_pixels(decoder *d) {
    size_t h = (size_t)d->image.dim[1], stride = d->bytes / h;
    d->voxel = rad_aligned(d->bytes);
    d->row = rad_calloc(h, sizeof *d->row);
    if (!d->voxel || !d->row)
        return rad_error_set(d->err, RAD_E_NOMEM, "no memory for the %zu bytes of pixels in '%s'", d->bytes, d->path);
    for (size_t y = 0; y < h; y++)
        d->row[y] = d->voxel + y * stride;
    png_read_image(d->png, d->row);
    png_read_end(d->png, NULL); /* verifies the last CRC */
    return RAD_OK;
}

/* Everything that may jump; state only in *d. */
static void decode(decoder *d) {
    if (setjmp(png_jmpbuf(d->png)) != 0) {
        bool early = strstr(d->why, "ends early") != NULL;
        d->st =
            rad_error_set(d->err, early ? RAD_E_TRUNCATED : RAD_E_FORMAT, "'%s' cannot be read as PNG: %s; copy it again", d->path, d->why);
        return;
    }
    d->st = read_header(d);
    if (d->st == RAD_OK && d->want_voxels)
        d->st = read_pixels(d);
}

static rad_status run(decoder *d) {
    rad_status st = rad_file_read(d->path, RAD_MAX_PNG_BYTES, &d->file, &d->size, d->err);
    if (st != RAD_OK)
        return st;
    if (d->size < 8 || png_sig_cmp((png_const_bytep)d->file, 0, 8) != 0)
        return rad_error_set(d->err, RAD_E_FORMAT, "'%s' is no PNG file although its name says so", d->path);
    d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, on_error, on_warning);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->info)
        return rad_error_set(d->err, RAD_E_NOMEM, "no memory to read '%s'", d->path);
    png_set_read_fn(d->png, d, read_bytes);
    decode(d);
    return d->st;
}

static void release(decoder *d) {
    png_destroy_read_struct(&d->png, &d->info, NULL);
    free(d->file);
    free(d->row);
    free(d->voxel);
}

rad_status rad_png_probe(const char *path, rad_image_info *ret, rad_error *err) {
    decoder d = {.path = path, .err = err};
    rad_status st = run(&d);
    if (st == RAD_OK)
        *ret = d.image;
    release(&d);
    return st;
}

rad_status rad_png_load(const char *path, rad_volume **ret, rad_error *err) {
    decoder d = {.path = path, .err = err, .want_voxels = true};
    rad_status st = run(&d);
    rad_volume *v = st == RAD_OK ? rad_calloc(1, sizeof *v) : NULL;
    if (st == RAD_OK && !v)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", path);
    if (st == RAD_OK) {
        XXH128_canonical_t canonical;
        *v = (rad_volume){.info = d.image, .voxel = d.voxel, .bytes = d.bytes};
        d.voxel = NULL;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(d.file, d.size));
        for (size_t i = 0; i < sizeof canonical.digest; i++)
            snprintf(v->content + 2 * i, 3, "%02x", canonical.digest[i]);
        *ret = v;
    }
    release(&d);
    return st;
}

/* libpng's simplified interface: no jumps; 8 bits are written as they are. */
rad_status rad_png_write(const char *path, const rad_image_info *info, const void *voxel, rad_error *err) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    png_alloc_size_t size = 0;
    void *file = NULL;
    rad_status st = RAD_OK;
    if (info->n_dim < 2 || info->n_dim > 7 || (info->type != RAD_VOX_U8 && info->type != RAD_VOX_RGB24))
        return rad_error_set(err, RAD_E_UNSUPPORTED, "cannot write '%s': a PNG holds one slice of uint8 or rgb24, not %d dimensions of %s",
                             path, info->n_dim, rad_voxel_type_name(info->type));
    for (int i = 0; i < info->n_dim; i++)
        if (info->dim[i] < 1 || info->dim[i] > (i < 2 ? RAD_MAX_DIM : 1))
            return rad_error_set(err, RAD_E_SHAPE, "cannot write '%s': dim[%d] = %" PRId64 ", expected %s", path, i + 1, info->dim[i],
                                 i < 2 ? "1 to RAD_MAX_DIM" : "1: a PNG holds one slice");
    image.width = (png_uint_32)info->dim[0];
    image.height = (png_uint_32)info->dim[1];
    image.format = info->type == RAD_VOX_U8 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    if (!png_image_write_get_memory_size(image, size, 0, voxel, 0, NULL))
        return rad_error_set(err, RAD_E_NOMEM, "cannot write '%s': %s", path, image.message);
    file = rad_malloc(size);
    if (!file)
        RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "no memory for the %zu bytes of '%s'", (size_t)size, path));
    if (!png_image_write_to_memory(&image, file, &size, 0, voxel, 0, NULL))
        RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "cannot write '%s': %s", path, image.message));
    RAD_TRY(rad_file_write_atomic(path, file, size, err));
out:
    free(file);
    return st;
}
