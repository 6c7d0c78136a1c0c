/* volume.c: probe and load. Finds the files, checks what the header promises against what the files can hold, then reads once from
 * front to back: header, gap, voxels, rest (for the gzip CRC and the content hash). */
#include "internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct opened {        /* zero-initialised = nothing open */
    rad_stream *header, *data; /* the same stream for a single file */
    char *other;               /* path of the .img, for a pair */
    rad_image_info info;
    size_t offset, bytes; /* of the voxels in the inflated data file */
    uint8_t head[RAD_NIFTI2_BYTES];
    size_t n_head;
    rad_buf warning;
} opened;

static void opened_release(opened *o) {
    if (o->data != o->header)
        rad_stream_close(&o->data);
    rad_stream_close(&o->header);
    free(o->other);
    rad_buf_release(&o->warning);
}

static bool ends_with(const char *path, size_t n, const char *ext) {
    size_t m = strlen(ext);
    return n >= m && strncasecmp(path + n - m, ext, m) == 0;
}

/* "x.hdr[.gz]" or "x.img[.gz]". */
static bool is_pair(const char *path) {
    size_t n = strlen(path);
    if (ends_with(path, n, ".gz"))
        n -= 3;
    return ends_with(path, n, ".hdr") || ends_with(path, n, ".img");
}

/* The path with .hdr or .img exchanged for `ext` in the same case, with or without .gz. */
static char *half_of_pair(const char *path, const char *ext, bool gz) {
    size_t n = strlen(path);
    if (ends_with(path, n, ".gz"))
        n -= 3;
    bool upper = path[n - 1] >= 'A' && path[n - 1] <= 'Z';
    char name[5] = "";
    for (int i = 0; i < 4; i++)
        name[i] = (char)(upper && i > 0 ? ext[i] - 'a' + 'A' : ext[i]);
    return rad_asprintf("%.*s%s%s", (int)(n - 4), path, name, gz ? ".gz" : "");
}

/* Opens the half `ext` of a pair, compressed or not: like `path` first, then the other. *ret_path is what was opened, owned by the caller.
 */
static rad_status open_half(const char *path, const char *ext, XXH3_state_t *hash, rad_stream **ret, char **ret_path, rad_error *err) {
    bool gz = ends_with(path, strlen(path), ".gz");
    rad_status st = RAD_OK;
    char *first = half_of_pair(path, ext, gz), *second = half_of_pair(path, ext, !gz);
    if (!first || !second) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to open '%s'", path);
        goto out;
    }
    st = rad_stream_open(first, hash, ret, err);
    if (st == RAD_E_NOTFOUND) {
        st = rad_stream_open(second, hash, ret, err);
        if (st == RAD_OK) {
            char *t = first;
            first = second;
            second = t;
        } else if (st == RAD_E_NOTFOUND)
            st = rad_error_set(err, st, "'%s' is half of a .hdr/.img pair, and its other half is missing: neither '%s' nor '%s' exists",
                               path, first, second);
    }
    if (st == RAD_OK) {
        *ret_path = first;
        first = NULL;
    }
out:
    free(first);
    free(second);
    return st;
}

/* Header read and checked, data file open at its start. `hash`: NULL, or fed as described in rad_volume. */
static rad_status open_image(const char *path, XXH3_state_t *hash, opened *o, rad_error *err) {
    rad_status st = RAD_OK;
    char *header_path = NULL;
    size_t rest = 0;
    bool pair = is_pair(path);
    rad_buf_init(&o->warning, RAD_MAX_WARNING_BYTES);
    if (pair)
        RAD_TRY(open_half(path, ".hdr", hash, &o->header, &header_path, err));
    else
        RAD_TRY(rad_stream_open(path, hash, &o->header, err));
    RAD_TRY(rad_stream_read(o->header, o->head, sizeof o->head, &o->n_head, err));
    RAD_TRY(rad_header_parse(pair ? header_path : path, o->head, o->n_head, pair, &o->info, &o->offset, &o->bytes, &o->warning, err));
    if (pair) {
        RAD_TRY(open_half(path, ".img", hash, &o->data, &o->other, err));
        RAD_TRY(rad_stream_skip(o->header, SIZE_MAX, &rest, err)); /* the hash wants all of it before the .img */
        o->info.file_bytes = rad_stream_file_bytes(o->header);
    } else
        o->data = o->header;
    const char *data_path = pair ? o->other : path;
    size_t have = rad_stream_file_bytes(o->data), need = o->offset + o->bytes; /* both bounded by their limits */
    o->info.file_bytes += have;
    o->info.gzip = rad_stream_is_gzip(o->data);
    if (!o->info.gzip && need > have) {
        st = rad_error_set(err, RAD_E_TRUNCATED, "'%s' has %zu bytes, its header promises %zu; copy it again", data_path, have, need);
        goto out;
    }
    if (o->info.gzip && need / RAD_MAX_GZIP_RATIO > have) {
        st = rad_error_set(err, RAD_E_LIMIT, "'%s' has %zu bytes, its header promises %zu: more than gzip can hold (RAD_MAX_GZIP_RATIO)",
                           data_path, have, need);
        goto out;
    }
    if (ends_with(data_path, strlen(data_path), ".gz") != o->info.gzip)
        RAD_TRY(rad_header_warn(&o->warning, err,
                                o->info.gzip ? "file is gzip but its name does not end in .gz"
                                             : "file is not gzip although its name ends in .gz"));
out:
    free(header_path);
    return st;
}

static rad_status take_warning(opened *o, rad_error *err) {
    if (o->warning.size == 0)
        return RAD_OK;
    o->info.warning = rad_strdup(o->warning.data);
    return o->info.warning ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "no memory for a warning");
}

rad_status rad_image_probe(const char *path, rad_image_info *ret, rad_error *err) {
    if (rad_png_named(path))
        return rad_png_probe(path, ret, err);
    opened o = {0};
    rad_status st = open_image(path, NULL, &o, err);
    if (st == RAD_OK)
        st = take_warning(&o, err);
    if (st == RAD_OK)
        *ret = o.info;
    opened_release(&o);
    return st;
}

void rad_image_info_release(rad_image_info *i) {
    free(i->warning);
    i->warning = NULL;
}

/* Voxels from the data file: what came along with the header first, then the stream. */
static rad_status read_voxels(const char *path, opened *o, uint8_t *voxel, rad_error *err) {
    size_t at = 0, done = 0, got = 0; /* at: position in the inflated data file */
    if (o->data == o->header) {
        at = o->n_head;
        if (o->offset < at) {
            done = at - o->offset < o->bytes ? at - o->offset : o->bytes;
            memcpy(voxel, o->head + o->offset, done);
        }
    }
    if (o->offset > at) {
        rad_status st = rad_stream_skip(o->data, o->offset - at, &got, err);
        if (st != RAD_OK)
            return st;
        at += got;
        if (at < o->offset)
            return rad_error_set(err, RAD_E_TRUNCATED, "'%s' ends at byte %zu, before its voxels at byte %zu; copy it again", path, at,
                                 o->offset);
    }
    rad_status st = rad_stream_read(o->data, voxel + done, o->bytes - done, &got, err);
    if (st == RAD_OK && done + got < o->bytes)
        st = rad_error_set(err, RAD_E_TRUNCATED, "'%s' ends after %zu of the %zu bytes of voxels its header promises; copy it again", path,
                           done + got, o->bytes);
    return st;
}

rad_status rad_volume_load(const char *path, rad_volume **ret, rad_error *err) {
    if (rad_png_named(path))
        return rad_png_load(path, ret, err);
    opened o = {0};
    rad_volume *v = NULL;
    size_t rest = 0;
    rad_status st = RAD_OK;
    XXH3_state_t *hash = XXH3_createState();
    if (!hash || XXH3_128bits_reset(hash) != XXH_OK) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to load '%s'", path);
        goto out;
    }
    RAD_TRY(open_image(path, hash, &o, err));
    v = rad_calloc(1, sizeof *v);
    if (v)
        v->voxel = rad_aligned(o.bytes);
    if (!v || !v->voxel) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the %zu bytes of voxels in '%s'", o.bytes, path);
        goto out;
    }
    RAD_TRY(read_voxels(o.other ? o.other : path, &o, v->voxel, err));
    RAD_TRY(rad_stream_skip(o.data, SIZE_MAX, &rest, err)); /* to the end: verifies the CRC, completes the hash */
    if (o.data == o.header && o.n_head > o.offset + o.bytes)
        rest += o.n_head - (o.offset + o.bytes);
    if (rest > 0)
        RAD_TRY(rad_header_warn(&o.warning, err, "%zu bytes behind the voxels are not used", rest));
    RAD_TRY(take_warning(&o, err));
    v->info = o.info;
    v->bytes = o.bytes;
    if (v->info.swapped && v->info.type != RAD_VOX_RGB24) {
        size_t size = rad_voxel_size(v->info.type);
        rad_voxel_swap(v->voxel, v->bytes / size, size);
    }
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash));
    for (size_t i = 0; i < sizeof canonical.digest; i++)
        snprintf(v->content + 2 * i, 3, "%02x", canonical.digest[i]);
    *ret = v;
    v = NULL;
out:
    rad_volume_destroy(&v);
    opened_release(&o);
    XXH3_freeState(hash);
    return st;
}

void rad_volume_destroy(rad_volume **v) {
    if (!*v)
        return;
    rad_image_info_release(&(*v)->info);
    free((*v)->voxel);
    free(*v);
    *v = NULL;
}
