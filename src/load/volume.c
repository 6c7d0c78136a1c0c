/* volume.c: finds the files of an image, checks what the header promises against what the files can hold, and probes. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void rad_opened_release(rad_opened *o) {
    if (o->data != o->header)
        rad_stream_close(&o->data);
    rad_stream_close(&o->header);
    free(o->other);
    rad_buf_release(&o->warning);
    rad_image_info_release(&o->info);
}

static bool ends_with(const char *path, size_t n, const char *ext) {
    size_t m = strlen(ext);
    return n >= m && strncasecmp(path + n - m, ext, m) == 0;
}

/* Opens the half `ext` of a pair, compressed or not: like `path` first, then the other. *ret_path is what was opened, owned by the caller.
 */
static rad_status open_half(const char *path, const char *ext, XXH3_state_t *hash, rad_stream **ret, char **ret_path, rad_error *err) {
    rad_status st = RAD_OK;
    char *first = rad_pair_half(path, ext, false), *second = rad_pair_half(path, ext, true);
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

rad_status rad_opened_make(const char *path, XXH3_state_t *hash, rad_opened *o, rad_error *err) {
    rad_status st = RAD_OK;
    char *header_path = NULL;
    size_t rest = 0;
    bool pair = rad_pair_named(path);
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

rad_status rad_image_probe(const char *path, rad_image_info *ret, rad_error *err) {
    if (rad_png_named(path))
        return rad_png_probe(path, ret, err);
    rad_opened o = {0};
    rad_status st = rad_opened_make(path, NULL, &o, err);
    if (st == RAD_OK)
        st = rad_opened_warning(&o, err);
    if (st == RAD_OK) {
        *ret = o.info;
        o.info.warning = NULL;
    }
    rad_opened_release(&o);
    return st;
}

rad_status rad_opened_warning(rad_opened *o, rad_error *err) {
    if (o->warning.size == 0)
        return RAD_OK;
    char *text = rad_strdup(o->warning.data);
    if (!text)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a warning");
    free(o->info.warning);
    o->info.warning = text;
    return RAD_OK;
}

rad_status rad_image_info_mean(const char *path, int64_t n, int64_t total, rad_image_info *info, rad_error *err) {
    const int64_t have = info->n_dim > 3 ? info->dim[3] : 1;
    if (info->n_dim > 4)
        return rad_error_set(err, RAD_E_UNSUPPORTED, "'%s' has %d axes; volumes are picked along the fourth of four", path, info->n_dim);
    if (info->type == RAD_VOX_RGB24)
        return rad_error_set(err, RAD_E_UNSUPPORTED, "'%s' is a colour image; volumes are picked from images of numbers", path);
    if (have != total)
        return rad_error_set(err, RAD_E_SHAPE,
                             "'%s' has %lld volume%s, its table of b-values has %lld number%s: they do not belong together, "
                             "or one of them was cut; convert again",
                             path, (long long)have, have == 1 ? "" : "s", (long long)total, total == 1 ? "" : "s");
    info->dim[3] = 1;
    info->n_dim = info->n_dim < 3 ? info->n_dim : 3;
    info->type = n > 1 ? RAD_VOX_F64 : info->type;
    return RAD_OK;
}

void rad_image_info_release(rad_image_info *i) {
    free(i->warning);
    i->warning = NULL;
}

rad_status rad_volume_load(const char *path, rad_volume **ret, rad_error *err) {
    rad_image_file *f = NULL;
    rad_status st = rad_image_file_open(path, NULL, &f, err);
    if (st == RAD_OK)
        st = rad_image_file_read(f, 0, -1, true, ret, err);
    rad_image_file_close(&f);
    return st;
}

void rad_volume_destroy(rad_volume **v) {
    if (!*v)
        return;
    rad_image_info_release(&(*v)->info);
    rad_spare_give((*v)->home, (*v)->voxel, (*v)->room);
    free(*v);
    *v = NULL;
}
