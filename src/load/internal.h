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
 * every byte of the file in order, once, as it lies on disk, until the first rad_stream_restart or rad_stream_rewind. Errors: NOTFOUND, IO,
 * FORMAT (not a regular file), LIMIT, NOMEM. */
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
/* How many bytes of data came out or were passed over so far. */
size_t rad_stream_position(const rad_stream *s);
size_t rad_stream_bytes_read(const rad_stream *s); /* from the disk, whatever came out */
double rad_stream_inflate_seconds(const rad_stream *s);
/* Feeds what is left of the file to the hash without inflating it; the stream stays where it is. Errors: IO, LIMIT. */
rad_status rad_stream_hash_rest(rad_stream *s, rad_error *err) RAD_MUST_CHECK;
/* Near to byte `target` of gzip data, in front of it, without inflating what lies before (skim.h); stays where it is when that cannot be
 * done. Only forwards from the front of the file: where the stream stands does not matter. Errors: IO, NOMEM. */
rad_status rad_stream_skim(rad_stream *s, size_t target, rad_error *err) RAD_MUST_CHECK;
/* The end of the data can tell whether all CRCs are right: nothing was skimmed over. */
bool rad_stream_checked(const rad_stream *s);
/* What a gzip file's last four bytes say about the length of its last member, modulo 2^32. Errors: IO. */
rad_status rad_stream_trailer(rad_stream *s, uint32_t *ret, rad_error *err) RAD_MUST_CHECK;
/* To the first byte; what follows is not hashed. */
void rad_stream_rewind(rad_stream *s);
/* A plain file to byte `at` of it; what follows is not hashed. */
void rad_stream_seek(rad_stream *s, size_t at);

/* What tells one state of a file from another without reading it. */
typedef struct rad_file_stamp {
    uint64_t bytes, inode, mtime_ns, ctime_ns;
} rad_file_stamp;
/* Of the open file, now. Errors: IO. */
rad_status rad_stream_stamp(const rad_stream *s, rad_file_stamp *ret, rad_error *err) RAD_MUST_CHECK;

/* A place in gzip data from which inflating can begin. `state`: ISA-L's own, rad_restart_bytes() of them, with history and tables, so that
 * no block boundary is needed; owned. */
typedef struct rad_restart {
    size_t out, file; /* bytes of data, bytes of the file before it */
    bool inside, started, checked;
    uint8_t *state;
} rad_restart;
size_t rad_restart_bytes(void);
/* Of a gzip stream, where it stands. Errors: NOMEM. */
rad_status rad_stream_mark(const rad_stream *s, rad_restart *ret, rad_error *err) RAD_MUST_CHECK;
/* Goes on from there; what follows is not hashed. `r` is of this very file. */
void rad_stream_restart(rad_stream *s, const rad_restart *r);
/* XXH3-128 of what ISA-L's state looks like after a known stream: states of another version of the library are told by it. */
void rad_restart_fingerprint(uint8_t ret[16]);

/* ---------------------------------------------------------------- restart.c: what is remembered of a file from one night to the next */

#define RAD_MAX_RESTARTS 64
typedef struct rad_remembered {
    rad_file_stamp stamp;
    char content[RAD_XXH128_HEX];
    uint64_t rest; /* bytes behind the voxels */
    bool verified; /* read to the end with its CRC */
    int n;
    rad_restart point[RAD_MAX_RESTARTS]; /* ascending `out` */
} rad_remembered;
void rad_remembered_release(rad_remembered *r);
/* Takes `point` in its place, false when there is one near it: it is released then. */
bool rad_remembered_add(rad_remembered *r, rad_restart *point);
/* False when nothing usable is there: no file, damaged, another key, another ISA-L, another stamp. Never an error: the file is read then.
 */
bool rad_remembered_read(const rad_restart_cache *cache, const char *path, const rad_file_stamp *stamp, rad_remembered *ret);
/* Errors: IO, NOMEM. */
rad_status rad_remembered_write(const rad_restart_cache *cache, const char *path, const rad_remembered *r, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- volume.c: the files of one image */

typedef struct rad_opened {    /* zero-initialised = nothing open */
    rad_stream *header, *data; /* the same stream for a single file */
    char *other;               /* path of the .img, for a pair */
    rad_image_info info;
    size_t offset, bytes; /* of the voxels in the inflated data file */
    uint8_t head[RAD_NIFTI2_BYTES];
    size_t n_head;
    rad_buf warning;
} rad_opened;
/* Header read and checked, data file open behind it. `hash`: NULL, or fed as described in rad_volume. Errors: as rad_image_probe. */
rad_status rad_opened_make(const char *path, XXH3_state_t *hash, rad_opened *ret, rad_error *err) RAD_MUST_CHECK;
void rad_opened_release(rad_opened *o);
/* The remarks so far become info.warning. Errors: NOMEM. */
rad_status rad_opened_warning(rad_opened *o, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- spare.c */

/* At least `need` bytes, aligned to 64; what they hold is left to chance. *ret_bytes: how many there are. `s` may be NULL. NULL: no memory.
 */
void *rad_spare_take(rad_spare *s, size_t need, size_t *ret_bytes);
/* Takes the block over. `s` may be NULL, `p` too. */
void rad_spare_give(rad_spare *s, void *p, size_t bytes);

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
/* sum[i] += voxel[i]; not for rgb24. */
void rad_voxel_add(const void *voxel, rad_voxel_type type, size_t n, double *sum);

#endif
