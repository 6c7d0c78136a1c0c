/* restart.c: what is remembered of a gzip file, so that the next run need neither hash it nor inflate what lies before the slices it wants.
 *
 * One small file per image in a folder that belongs to one result file: the image's stamp (size, inode, times of change), its content hash
 * and places from which inflating can begin, a few to a file. A place is ISA-L's own state (history and tables, about 90 KB, packed to
 * half or less), so no block boundary has to be found; it is only good for the version of ISA-L that made it, which a fingerprint tells.
 * States are believed blindly by the inflater, so each file carries a keyed hash: what this result file's ranks did not write is not used.
 *
 * Layout, integers of 8 bytes in little-endian order:
 *   "RADINDX1", fingerprint 16, stamp 4, content 32 characters, rest, verified, n, then n times {out, file, flags, packed bytes, packed
 *   state (deflate)}, HMAC-SHA256 of all before it and of the image's path.
 *
 * The path is the one without links and dots: a job that is started from another folder, or calls the archive by another name, finds it.
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "internal.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "RADINDX1"
#define MAX_FILE_BYTES ((size_t)16 << 20)
#define NEAR_BYTES ((size_t)256 << 10) /* two places closer than this are one */
#define PACK_LEVEL 1
enum { INSIDE = 1, STARTED = 2, CHECKED = 4 };

static void release_point(rad_restart *r) {
    free(r->state);
    *r = (rad_restart){0};
}

void rad_remembered_release(rad_remembered *r) {
    for (int i = 0; i < r->n; i++)
        release_point(&r->point[i]);
    *r = (rad_remembered){0};
}

bool rad_remembered_add(rad_remembered *r, rad_restart *point) {
    int at = 0;
    while (at < r->n && r->point[at].out < point->out)
        at++;
    bool near = (at > 0 && point->out - r->point[at - 1].out < NEAR_BYTES) || (at < r->n && r->point[at].out - point->out < NEAR_BYTES);
    if (near || r->n == RAD_MAX_RESTARTS) {
        release_point(point);
        return false;
    }
    memmove(&r->point[at + 1], &r->point[at], (size_t)(r->n - at) * sizeof *r->point);
    r->point[at] = *point;
    r->n++;
    *point = (rad_restart){0};
    return true;
}

static char *real_name(const char *path) {
    char *real = realpath(path, NULL);
    return real ? real : rad_strdup(path); /* of a file that vanished meanwhile */
}

/* dir/ab/cdef....idx: two levels, so that no folder holds a hundred thousand files. */
static char *file_of(const rad_restart_cache *cache, const char *path, bool folder) {
    char hex[RAD_XXH128_HEX];
    rad_xxh128(path, strlen(path), hex);
    return folder ? rad_asprintf("%s/%.2s", cache->dir, hex) : rad_asprintf("%s/%.2s/%s.idx", cache->dir, hex, hex + 2);
}

static rad_status put_int(rad_buf *b, uint64_t v, rad_error *err) {
    uint8_t le[8];
    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(v >> (8 * i));
    return rad_buf_put(b, le, sizeof le, err);
}

static rad_status put_stamp(rad_buf *b, const rad_file_stamp *s, rad_error *err) {
    const uint64_t v[] = {s->bytes, s->inode, s->mtime_ns, s->ctime_ns};
    rad_status st = RAD_OK;
    for (size_t i = 0; i < sizeof v / sizeof *v && st == RAD_OK; i++)
        st = put_int(b, v[i], err);
    return st;
}

static rad_status put_point(rad_buf *b, const rad_restart *p, struct libdeflate_compressor *z, uint8_t *room, size_t n_room,
                            rad_error *err) {
    rad_status st = RAD_OK;
    size_t packed = libdeflate_deflate_compress(z, p->state, rad_restart_bytes(), room, n_room);
    if (packed == 0)
        return rad_error_set(err, RAD_E_INTERNAL, "cannot pack a place of a gzip file");
    RAD_TRY(put_int(b, p->out, err));
    RAD_TRY(put_int(b, p->file, err));
    RAD_TRY(put_int(b, (p->inside ? INSIDE : 0u) | (p->started ? STARTED : 0u) | (p->checked ? CHECKED : 0u), err));
    RAD_TRY(put_int(b, packed, err));
    RAD_TRY(rad_buf_put(b, room, packed, err));
out:
    return st;
}

/* The keyed hash covers the path, so that a file under another name is not taken for its neighbour's. */
static rad_status sign(const rad_restart_cache *cache, const char *path, const void *data, size_t n, uint8_t ret[RAD_SHA256_BYTES],
                       rad_error *err) {
    uint8_t two[2 * RAD_SHA256_BYTES];
    rad_status st = rad_hmac_sha256(cache->key, sizeof cache->key, data, n, two, err);
    if (st == RAD_OK)
        st = rad_hmac_sha256(cache->key, sizeof cache->key, path, strlen(path), two + RAD_SHA256_BYTES, err);
    if (st == RAD_OK)
        st = rad_hmac_sha256(cache->key, sizeof cache->key, two, sizeof two, ret, err);
    return st;
}

/* A name of its own and a rename: ranks may remember the same image at the same time. No fsync: what a power cut leaves fails its hash. */
static rad_status write_file(const char *file, const void *data, size_t n, rad_error *err) {
    rad_status st = RAD_OK;
    char *temp = rad_asprintf("%s.XXXXXX", file);
    int fd = temp ? mkstemp(temp) : -1;
    size_t done = 0;
    while (fd >= 0 && done < n) {
        ssize_t w = write(fd, (const char *)data + done, n - done);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            break;
        done += (size_t)w;
    }
    bool closed = fd >= 0 && close(fd) == 0;
    if (!temp)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to write '%s'", file);
    else if (done < n || !closed || rename(temp, file) != 0) {
        st = rad_error_set(err, RAD_E_IO, "cannot write '%s'", file);
        if (fd >= 0)
            (void)unlink(temp);
    }
    free(temp);
    return st;
}

rad_status rad_remembered_write(const rad_restart_cache *cache, const char *path, const rad_remembered *r, rad_error *err) {
    rad_status st = RAD_OK;
    uint8_t print[16], mac[RAD_SHA256_BYTES], *room = NULL;
    char *name = real_name(path), *folder = name ? file_of(cache, name, true) : NULL, *file = name ? file_of(cache, name, false) : NULL;
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(PACK_LEVEL);
    size_t n_room = z ? libdeflate_deflate_compress_bound(z, rad_restart_bytes()) : 0;
    rad_buf b;
    rad_buf_init(&b, MAX_FILE_BYTES);
    room = z ? rad_malloc(n_room) : NULL;
    if (!folder || !file || !room) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to remember '%s'", path);
        goto out;
    }
    rad_restart_fingerprint(print);
    RAD_TRY(rad_buf_put(&b, MAGIC, 8, err));
    RAD_TRY(rad_buf_put(&b, print, sizeof print, err));
    RAD_TRY(put_stamp(&b, &r->stamp, err));
    RAD_TRY(rad_buf_put(&b, r->content, RAD_XXH128_HEX - 1, err));
    RAD_TRY(put_int(&b, r->rest, err));
    RAD_TRY(put_int(&b, r->verified, err));
    RAD_TRY(put_int(&b, (uint64_t)r->n, err));
    for (int i = 0; i < r->n; i++)
        RAD_TRY(put_point(&b, &r->point[i], z, room, n_room, err));
    RAD_TRY(sign(cache, name, b.data, b.size, mac, err));
    RAD_TRY(rad_buf_put(&b, mac, sizeof mac, err));
    RAD_TRY(rad_mkdirs(folder, err));
    RAD_TRY(write_file(file, b.data, b.size, err));
out:
    rad_buf_release(&b);
    if (z)
        libdeflate_free_compressor(z);
    free(room);
    free(name);
    free(folder);
    free(file);
    return st;
}

/* ---------------------------------------------------------------- reading */

struct cursor {
    const uint8_t *at;
    size_t left;
    bool short_of; /* something was asked for that is not there */
};

static const uint8_t *take(struct cursor *c, size_t n) {
    if (n > c->left) {
        c->short_of = true;
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += n;
    c->left -= n;
    return at;
}

static uint64_t take_int(struct cursor *c) {
    const uint8_t *p = take(c, 8);
    uint64_t v = 0;
    for (int i = 0; p && i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static bool take_point(struct cursor *c, struct libdeflate_decompressor *z, rad_remembered *r) {
    rad_restart p = {0};
    p.out = (size_t)take_int(c);
    p.file = (size_t)take_int(c);
    uint64_t flags = take_int(c), packed = take_int(c);
    const uint8_t *data = packed <= MAX_FILE_BYTES ? take(c, (size_t)packed) : NULL;
    if (!data || p.file > r->stamp.bytes || (r->n > 0 && p.out <= r->point[r->n - 1].out))
        return false;
    p.inside = (flags & INSIDE) != 0;
    p.started = (flags & STARTED) != 0;
    p.checked = (flags & CHECKED) != 0;
    p.state = rad_malloc(rad_restart_bytes());
    if (!p.state || libdeflate_deflate_decompress(z, data, (size_t)packed, p.state, rad_restart_bytes(), NULL) != LIBDEFLATE_SUCCESS) {
        free(p.state);
        return false;
    }
    r->point[r->n++] = p;
    return true;
}

static bool parse(const uint8_t *data, size_t n, const rad_file_stamp *stamp, rad_remembered *ret) {
    struct cursor c = {.at = data, .left = n};
    uint8_t print[16];
    rad_restart_fingerprint(print);
    const uint8_t *magic = take(&c, 8), *made_by = take(&c, sizeof print);
    if (c.short_of || memcmp(magic, MAGIC, 8) != 0 || memcmp(made_by, print, sizeof print) != 0)
        return false;
    ret->stamp.bytes = take_int(&c);
    ret->stamp.inode = take_int(&c);
    ret->stamp.mtime_ns = take_int(&c);
    ret->stamp.ctime_ns = take_int(&c);
    const uint8_t *content = take(&c, RAD_XXH128_HEX - 1);
    ret->rest = take_int(&c);
    ret->verified = take_int(&c) != 0;
    uint64_t points = take_int(&c);
    if (c.short_of || memcmp(&ret->stamp, stamp, sizeof *stamp) != 0 || points > RAD_MAX_RESTARTS)
        return false;
    memcpy(ret->content, content, RAD_XXH128_HEX - 1);
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    bool good = z != NULL;
    for (uint64_t i = 0; i < points && good; i++)
        good = take_point(&c, z, ret);
    if (z)
        libdeflate_free_decompressor(z);
    return good && c.left == 0;
}

bool rad_remembered_read(const rad_restart_cache *cache, const char *path, const rad_file_stamp *stamp, rad_remembered *ret) {
    char *name = real_name(path), *file = name ? file_of(cache, name, false) : NULL, *data = NULL;
    size_t n = 0;
    rad_error why;
    uint8_t mac[RAD_SHA256_BYTES];
    rad_remembered *r = rad_calloc(1, sizeof *r);
    bool good = file && r && rad_file_read(file, MAX_FILE_BYTES, &data, &n, &why) == RAD_OK && n > sizeof mac &&
                sign(cache, name, data, n - sizeof mac, mac, &why) == RAD_OK && memcmp(mac, data + n - sizeof mac, sizeof mac) == 0 &&
                parse((const uint8_t *)data, n - sizeof mac, stamp, r);
    if (good)
        *ret = *r;
    else if (r)
        rad_remembered_release(r);
    free(r);
    free(data);
    free(name);
    free(file);
    return good;
}
