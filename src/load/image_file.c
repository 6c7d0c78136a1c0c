/* image_file.c: an open image of which some slices are read. The way through a gzip file:
 *
 *   front .. skimmed over .. [mark] first slice wanted .. last slice wanted [mark] | rest: hashed as it lies on disk, not inflated
 *
 * What lies before the first slice wanted is skimmed over (skim.h), unless the file's CRC is asked for or the data are such that they have
 * to be inflated; the file is hashed to its end: the content hash is that of the whole file whatever was inflated, so that an identity does
 * not depend on what was wanted. Marks are left at the first slice wanted and behind the last, and every MARK_BYTES of what is inflated; a
 * further reading, now or another night, begins at the nearest.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MARK_BYTES ((size_t)32 << 20)
#define SKIM_BYTES ((size_t)4 << 20)     /* inflating so much costs as much as beginning to skim */
#define REMEMBER_BYTES ((size_t)4 << 20) /* what inflates to less is inflated in 10 ms: not worth a file of its own */
#define SETTLED_NS 2000000000u           /* what changed less than so long ago may change again within a tick of the file system's clock */

struct rad_image_file {
    char *path;
    bool still;
    rad_opened o;
    const rad_restart_cache *cache;
    rad_spare *spare;
    XXH3_state_t *hash;
    rad_remembered memory;
    bool hashed; /* memory.content is known; until then the file is read from front to back */
    bool ended;  /* memory.rest is known: the file's end is where it should be */
    bool said;   /* memory.rest is among the warnings */
    bool learnt; /* more than the cache has */
    double decode_s;
    rad_image_info shown; /* what callers see: the file's, or that of the mean of these volumes */
    int64_t n_volume, *volume;
};

static size_t inflated_bytes(const rad_image_file *f) {
    return f->o.offset + f->o.bytes;
}

static bool remembers(const rad_image_file *f) {
    return f->cache && !f->still && f->o.info.gzip && !f->o.info.pair && inflated_bytes(f) >= REMEMBER_BYTES;
}

/* ---------------------------------------------------------------- open and close */

static rad_status open_nifti(rad_image_file *f, rad_error *err) {
    rad_status st = RAD_OK;
    rad_file_stamp stamp;
    f->hash = XXH3_createState();
    if (!f->hash || XXH3_128bits_reset(f->hash) != XXH_OK)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to open '%s'", f->path);
    RAD_TRY(rad_opened_make(f->path, f->hash, &f->o, err));
    RAD_TRY(rad_opened_warning(&f->o, err));
    RAD_TRY(rad_stream_stamp(f->o.data, &stamp, err));
    f->hashed = f->ended = remembers(f) && rad_remembered_read(f->cache, f->path, &stamp, &f->memory);
    f->memory.stamp = stamp;
out:
    return st;
}

rad_status rad_image_file_open(const char *path, const rad_restart_cache *cache, rad_image_file **ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_image_file *f = rad_calloc(1, sizeof *f);
    if (!f || !(f->path = rad_strdup(path))) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to open '%s'", path);
        goto out;
    }
    f->cache = cache;
    f->still = rad_png_named(path);
    if (f->still)
        RAD_TRY(rad_png_probe(path, &f->o.info, err));
    else
        RAD_TRY(open_nifti(f, err));
    f->shown = f->o.info;
    *ret = f;
    f = NULL;
out:
    rad_image_file_close(&f);
    return st;
}

rad_status rad_image_file_select(rad_image_file *f, const int64_t *volume, int64_t n, int64_t total, rad_error *err) {
    int64_t *copy = rad_calloc((size_t)n, sizeof *copy);
    rad_status st = copy && n > 0 ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "no memory for the volumes of '%s'", f->path);
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        copy[i] = volume[i];
        if (volume[i] < 0 || volume[i] >= total || (i > 0 && volume[i] <= volume[i - 1]))
            st = rad_error_set(err, RAD_E_INTERNAL, "volumes of '%s' that are not in ascending order", f->path);
    }
    if (st == RAD_OK)
        st = rad_image_info_mean(f->path, n, total, &f->shown, err);
    if (st != RAD_OK) {
        free(copy);
        return st;
    }
    free(f->volume);
    f->volume = copy;
    f->n_volume = n;
    return RAD_OK;
}

void rad_image_file_close(rad_image_file **fp) {
    rad_image_file *f = *fp;
    if (!f)
        return;
    rad_opened_release(&f->o);
    rad_remembered_release(&f->memory);
    XXH3_freeState(f->hash);
    free(f->volume);
    free(f->path);
    free(f);
    *fp = NULL;
}

void rad_image_file_use_spare(rad_image_file *f, rad_spare *spare) {
    f->spare = spare;
}

const rad_image_info *rad_image_file_info(const rad_image_file *f) {
    return &f->shown;
}

size_t rad_image_file_bytes_read(const rad_image_file *f) {
    if (f->still)
        return f->hashed ? f->o.info.file_bytes : 0;
    return rad_stream_bytes_read(f->o.data) + (f->o.header != f->o.data ? rad_stream_bytes_read(f->o.header) : 0);
}

double rad_image_file_inflate_seconds(const rad_image_file *f) {
    if (f->still)
        return f->decode_s;
    return f->decode_s + rad_stream_inflate_seconds(f->o.data) + (f->o.header != f->o.data ? rad_stream_inflate_seconds(f->o.header) : 0);
}

/* ---------------------------------------------------------------- the end of the file */

/* The hash has seen all of the file. */
static void keep_content(rad_image_file *f) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(f->hash));
    for (size_t i = 0; i < sizeof canonical.digest; i++)
        snprintf(f->memory.content + 2 * i, 3, "%02x", canonical.digest[i]);
    f->hashed = f->learnt = true;
}

static rad_status check_unchanged(const rad_image_file *f, rad_error *err) {
    rad_file_stamp now;
    rad_status st = rad_stream_stamp(f->o.data, &now, err);
    if (st == RAD_OK && (now.bytes != f->memory.stamp.bytes || now.mtime_ns != f->memory.stamp.mtime_ns))
        st = rad_error_set(err, RAD_E_IO, "'%s' changed while it was read; run again when it is at rest", f->path);
    return st;
}

static const char *data_path(const rad_image_file *f) {
    return f->o.other ? f->o.other : f->path;
}

static rad_status short_of_data(const rad_image_file *f, size_t have, rad_error *err) {
    size_t voxels = have > f->o.offset ? have - f->o.offset : 0;
    return rad_error_set(err, RAD_E_TRUNCATED, "'%s' ends after %zu of the %zu bytes of voxels its header promises; copy it again",
                         data_path(f), voxels, f->o.bytes);
}

/* From where the stream stands to the end of the file: through the inflater when the CRC is wanted or the length that the file's last bytes
 * give is not the header's, else only hashed. */
static rad_status finish(rad_image_file *f, bool verify, rad_error *err) {
    rad_stream *s = f->o.data;
    bool inflate = f->o.info.gzip && verify;
    rad_status st = RAD_OK;
    if (f->o.info.gzip && !inflate) {
        uint32_t said = 0;
        RAD_TRY(rad_stream_trailer(s, &said, err));
        inflate = said != (uint32_t)inflated_bytes(f);
    }
    if (inflate && !rad_stream_checked(s)) { /* what was skimmed over has to be inflated after all */
        if (!f->hashed) {
            RAD_TRY(rad_stream_hash_rest(s, err));
            keep_content(f);
        }
        rad_stream_rewind(s);
    }
    if (inflate) {
        size_t rest = 0;
        RAD_TRY(rad_stream_skip(s, SIZE_MAX, &rest, err));
        size_t have = rad_stream_position(s);
        if (have < inflated_bytes(f)) {
            st = short_of_data(f, have, err);
            goto out;
        }
        f->memory.rest = have - inflated_bytes(f);
        f->memory.verified = true;
    } else {
        f->memory.rest = f->o.info.gzip ? 0 : rad_stream_file_bytes(s) - inflated_bytes(f);
        if (!f->hashed)
            RAD_TRY(rad_stream_hash_rest(s, err));
    }
    RAD_TRY(check_unchanged(f, err));
    if (!f->hashed)
        keep_content(f);
    f->ended = f->learnt = true;
out:
    return st;
}

static rad_status say_rest(rad_image_file *f, rad_error *err) {
    rad_status st = RAD_OK;
    if (!f->said && f->memory.rest > 0)
        st = rad_header_warn(&f->o.warning, err, "%llu bytes behind the voxels are not used", (unsigned long long)f->memory.rest);
    f->said = true;
    if (st == RAD_OK)
        st = rad_opened_warning(&f->o, err);
    f->shown.warning = f->o.info.warning;
    return st;
}

rad_status rad_image_file_content(rad_image_file *f, char ret[RAD_XXH128_HEX], rad_error *err) {
    rad_status st = RAD_OK;
    rad_volume *v = NULL;
    if (!f->hashed && (f->still || f->o.info.pair)) { /* small, or in two files: read as a whole */
        RAD_TRY(rad_image_file_read(f, 0, -1, false, &v, err));
    } else if (!f->hashed) {
        RAD_TRY(finish(f, false, err));
        RAD_TRY(say_rest(f, err));
        rad_stream_rewind(f->o.data);
    }
    memcpy(ret, f->memory.content, sizeof f->memory.content);
out:
    rad_volume_destroy(&v);
    return st;
}

/* ---------------------------------------------------------------- slices */

static rad_status mark(rad_image_file *f, rad_error *err) {
    rad_restart here = {0};
    rad_status st = rad_stream_mark(f->o.data, &here, err);
    if (st == RAD_OK && rad_remembered_add(&f->memory, &here))
        f->learnt = true;
    return st;
}

/* The stream to where the way to `target` is shortest: from where it stands, from a mark, or from the front without inflating what lies
 * before, which costs about half as much and finds no wrong CRC. */
static rad_status approach(rad_image_file *f, size_t target, bool verify, rad_error *err) {
    rad_stream *s = f->o.data;
    const rad_restart *best = NULL;
    size_t here = rad_stream_position(s);
    if (f->hashed && !f->o.info.gzip)
        rad_stream_seek(s, target);
    if (!f->o.info.gzip)
        return RAD_OK;
    if (f->hashed) { /* else all of it has to pass by the hash */
        for (int i = 0; i < f->memory.n && f->memory.point[i].out <= target; i++)
            best = &f->memory.point[i];
        if (here > target || (best && best->out > here)) {
            if (best)
                rad_stream_restart(s, best);
            else
                rad_stream_rewind(s);
        }
        here = rad_stream_position(s);
    }
    if (verify || here > target || target - here < target / 2 + SKIM_BYTES)
        return RAD_OK;
    return rad_stream_skim(s, target, err);
}

/* On to position `to`, into `out` unless it is NULL, leaving marks on the way. */
static rad_status proceed(rad_image_file *f, size_t to, uint8_t *out, rad_error *err) {
    rad_stream *s = f->o.data;
    rad_status st = RAD_OK;
    size_t at = rad_stream_position(s), got = 0;
    while (at < to && st == RAD_OK) {
        size_t stop = (at / MARK_BYTES + 1) * MARK_BYTES, n = (stop < to ? stop : to) - at;
        st = out ? rad_stream_read(s, out, n, &got, err) : rad_stream_skip(s, n, &got, err);
        if (st != RAD_OK)
            break;
        if (got < n)
            return short_of_data(f, at + got, err);
        at += n;
        out = out ? out + n : NULL;
        if (at == stop && remembers(f))
            st = mark(f, err);
    }
    return st;
}

/* Bytes [first, end) of the data. */
static rad_status read_range(rad_image_file *f, size_t first, size_t end, bool verify, uint8_t *out, rad_error *err) {
    rad_status st = RAD_OK;
    if (f->o.data == f->o.header && first < f->o.n_head) { /* came along with the header */
        size_t n = (end < f->o.n_head ? end : f->o.n_head) - first;
        memcpy(out, f->o.head + first, n);
        out += n;
        first += n;
    }
    if (first >= end)
        return RAD_OK;
    RAD_TRY(approach(f, first, verify, err));
    RAD_TRY(proceed(f, first, NULL, err));
    if (remembers(f))
        RAD_TRY(mark(f, err));
    RAD_TRY(proceed(f, end, out, err));
    if (remembers(f))
        RAD_TRY(mark(f, err));
out:
    return st;
}

/* What was learnt, for another night. */
static void remember(rad_image_file *f) {
    struct timespec now;
    rad_error why = {0};
    if (!remembers(f) || !f->learnt || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return;
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (f->memory.stamp.mtime_ns + SETTLED_NS > ns)
        return;
    if (rad_remembered_write(f->cache, f->path, &f->memory, &why) != RAD_OK)
        rad_log(RAD_LOG_WARN, "%s: the next run will read '%s' from its front", why.text, f->path);
    f->learnt = false;
}

static rad_status copy_info(const rad_image_info *from, rad_image_info *to, rad_error *err) {
    *to = *from;
    to->warning = NULL;
    if (from->warning && !(to->warning = rad_strdup(from->warning)))
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a warning");
    return RAD_OK;
}

/* A still, whose pixels another library decodes. */
static rad_status read_still(rad_image_file *f, rad_volume **ret, rad_error *err) {
    const double t = rad_clock_seconds();
    rad_status st = rad_png_load(f->path, ret, err);
    f->decode_s += rad_clock_seconds() - t;
    if (st == RAD_OK) {
        memcpy(f->memory.content, (*ret)->content, sizeof f->memory.content);
        f->hashed = f->ended = true;
    }
    return st;
}

/* Volume after volume, the same slices of each, from the front of the file to its end. */
static rad_status read_selected(rad_image_file *f, size_t from, size_t to, bool verify, rad_volume *v, rad_error *err) {
    const rad_image_info *info = &f->o.info;
    const size_t voxel = rad_voxel_size(info->type), count = (to - from) / voxel;
    const size_t frame = (size_t)(info->dim[0] * info->dim[1] * info->dim[2]) * voxel;
    rad_status st = RAD_OK;
    double *sum = v->voxel;
    uint8_t *raw = f->n_volume > 1 ? rad_malloc(to - from) : v->voxel;
    if (!raw)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a volume of '%s'", f->path);
    for (size_t i = 0; i < count && f->n_volume > 1; i++)
        sum[i] = 0;
    for (int64_t k = 0; k < f->n_volume && st == RAD_OK; k++) {
        const size_t at = f->o.offset + (size_t)f->volume[k] * frame;
        st = read_range(f, at + from, at + to, verify, raw, err);
        if (st != RAD_OK || f->n_volume == 1)
            break;
        const double t = rad_clock_seconds();
        if (info->swapped)
            rad_voxel_swap(raw, count, voxel);
        rad_voxel_add(raw, info->type, count, sum);
        f->decode_s += rad_clock_seconds() - t;
    }
    for (size_t i = 0; i < count && f->n_volume > 1; i++)
        sum[i] /= (double)f->n_volume;
    if (f->n_volume > 1)
        free(raw);
    return st;
}

rad_status rad_image_file_read(rad_image_file *f, int64_t plane0, int64_t plane1, bool verify, rad_volume **ret, rad_error *err) {
    if (f->still)
        return read_still(f, ret, err);
    rad_status st = RAD_OK;
    const rad_image_info *info = &f->o.info;
    const bool mean = f->n_volume > 0;
    size_t voxel = rad_voxel_size(info->type), plane = (size_t)(info->dim[0] * info->dim[1]) * voxel;
    rad_volume *v = NULL;
    bool all = plane1 < 0 || info->pair;
    size_t whole = mean ? plane * (size_t)info->dim[2] : f->o.bytes;
    size_t from = all ? 0 : (size_t)plane0 * plane, to = all ? whole : (size_t)plane1 * plane;
    if (!all && (plane0 < 0 || plane0 >= plane1 || plane1 > info->dim[2]))
        return rad_error_set(err, RAD_E_INTERNAL, "slices %lld to %lld of '%s', which has %lld", (long long)plane0, (long long)plane1,
                             f->path, (long long)info->dim[2]);
    const size_t bytes = (to - from) / voxel * rad_voxel_size(f->shown.type);
    v = rad_calloc(1, sizeof *v);
    if (v) {
        v->home = f->spare;
        v->voxel = rad_spare_take(f->spare, bytes, &v->room);
    }
    if (!v || !v->voxel) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the %zu bytes of voxels in '%s'", bytes, f->path);
        goto out;
    }
    v->bytes = bytes;
    v->first = (int64_t)(from / voxel);
    RAD_TRY(mean ? read_selected(f, from, to, verify, v, err) : read_range(f, f->o.offset + from, f->o.offset + to, verify, v->voxel, err));
    if (!f->ended || (verify && info->gzip && !f->memory.verified))
        RAD_TRY(finish(f, verify, err));
    RAD_TRY(say_rest(f, err));
    RAD_TRY(copy_info(&f->shown, &v->info, err));
    if (info->swapped && info->type != RAD_VOX_RGB24 && f->n_volume < 2) {
        const double t = rad_clock_seconds();
        rad_voxel_swap(v->voxel, v->bytes / voxel, voxel);
        f->decode_s += rad_clock_seconds() - t;
    }
    memcpy(v->content, f->memory.content, sizeof v->content);
    remember(f);
    *ret = v;
    v = NULL;
out:
    rad_volume_destroy(&v);
    return st;
}
