/* internal.h: what the files of load/ share. Nothing outside load/ includes it. */
#ifndef RAD_LOAD_INTERNAL_H
#define RAD_LOAD_INTERNAL_H

#include <xxhash.h>

#include "radcohort/load.h"

#define RAD_NIFTI1_BYTES 348
#define RAD_NIFTI2_BYTES 540
#define RAD_MAX_WARNING_BYTES 2048

/* ---------------------------------------------------------------- stream.c: the bytes of one file, inflated when they are gzip */

typedef struct rad_stream rad_stream;
/* Opens a regular file; its first two bytes tell whether it is gzip, not its name. `hash` (may be NULL, borrowed) is fed with
 * every byte of the file in order, as it lies on disk. Errors: NOTFOUND, IO, FORMAT (not a regular file), LIMIT, NOMEM. */
rad_status rad_stream_open(const char *path, XXH3_state_t *hash, rad_stream **ret, rad_error *err) RAD_MUST_CHECK;
void rad_stream_close(rad_stream **s);
bool rad_stream_is_gzip(const rad_stream *s);
size_t rad_stream_file_bytes(const rad_stream *s);
/* The next `n` bytes; *ret_n is smaller only when the data end there. Errors: IO, TRUNCATED (the gzip stream stops in its middle),
 * FORMAT (damaged gzip data, wrong CRC, other bytes behind it), NOMEM. */
rad_status rad_stream_read(rad_stream *s, void *out, size_t n, size_t *ret_n, rad_error *err) RAD_MUST_CHECK;
/* Reads and drops up to `n` bytes; SIZE_MAX = to the end, which verifies the last CRC. LIMIT when more than RAD_MAX_IMAGE_BYTES come out.
 */
rad_status rad_stream_skip(rad_stream *s, size_t n, size_t *ret_n, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- png.c */

bool rad_png_named(const char *path); /* ends in .png */
/* As rad_image_probe and rad_volume_load. Errors: NOTFOUND, IO, FORMAT, TRUNCATED, LIMIT, UNSUPPORTED (transparency, 16 bits per colour),
 * NOMEM. */
rad_status rad_png_probe(const char *path, rad_image_info *ret, rad_error *err) RAD_MUST_CHECK;
rad_status rad_png_load(const char *path, rad_volume **ret, rad_error *err) RAD_MUST_CHECK;
/* One slice of uint8 or rgb24, x fastest, rows from the top. Errors: as rad_volume_write. */
rad_status rad_png_write(const char *path, const rad_image_info *info, const void *voxel, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- header.c: what the first bytes mean, by nifticlib */

/* `head`: the first `n` bytes (RAD_NIFTI2_BYTES, or fewer when the file is shorter). Fills ret_info (except gzip, file_bytes and warning),
 * the position of the first voxel in the data file and the number of voxel bytes; appends to `warning`. `pair`: what the file's name says.
 * Errors: as rad_image_probe. */
rad_status rad_header_parse(const char *path, const uint8_t *head, size_t n, bool pair, rad_image_info *ret_info, size_t *ret_offset,
                            size_t *ret_bytes, rad_buf *warning, rad_error *err) RAD_MUST_CHECK;
/* Appends one remark, "; " between. */
rad_status rad_header_warn(rad_buf *warning, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4) RAD_MUST_CHECK;
/* In-place byte swap of n items of `size` bytes (1, 2, 4, 8). */
void rad_voxel_swap(void *voxel, size_t n, size_t size);

#endif
