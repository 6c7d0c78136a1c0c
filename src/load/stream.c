/* stream.c: one image file as a stream of bytes, inflated by ISA-L when it is gzip (RFC 1952, any number of members).
 *
 * read(2) into a window instead of mmap: an I/O error or a file cut short by someone else is then a status, not a SIGBUS. The
 * window of 256 KB stays in cache; ISA-L inflates from it at 380-420 MB/s a core where libdeflate on whole files reaches 320.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <isa-l/igzip_lib.h>

#define WINDOW_BYTES ((size_t)256 << 10)
#define READ_BYTES ((size_t)1 << 20) /* of a plain file at a time, so that the hash finds them in cache */
#define OUT_BYTES ((size_t)1 << 30)  /* at most per isal_inflate call, whose counters are 32 bits wide */
#define SKIP_BYTES ((size_t)64 << 10)

struct rad_stream {
    int fd;
    char *path;
    size_t file_bytes, file_read; /* size when opened; read so far */
    XXH3_state_t *hash;
    bool gzip;
    bool eof;        /* read(2) returned 0 */
    bool inside;     /* in the middle of a gzip member */
    bool started;    /* at least one member was begun */
    uint8_t *window; /* WINDOW_BYTES of the file as it lies on disk */
    struct inflate_state *z;
};

static rad_status sys_error(rad_error *err, const char *doing, const char *path) {
    int e = errno;
    char why[128];
    if (strerror_r(e, why, sizeof why) != 0)
        snprintf(why, sizeof why, "error %d", e);
    rad_status code = e == ENOENT || e == ENOTDIR ? RAD_E_NOTFOUND : e == ENOMEM ? RAD_E_NOMEM : RAD_E_IO;
    return rad_error_set(err, code, "cannot %s '%s': %s", doing, path, why);
}

rad_status rad_stream_open(const char *path, XXH3_state_t *hash, rad_stream **ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_stream *s = rad_calloc(1, sizeof *s);
    if (!s)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to open '%s'", path);
    s->hash = hash;
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: a FIFO in the archive must not hang the rank */
    if (s->fd < 0) {
        st = sys_error(err, "open", path);
        goto out;
    }
    struct stat sb;
    if (fstat(s->fd, &sb) != 0) {
        st = sys_error(err, "stat", path);
        goto out;
    }
    if (!S_ISREG(sb.st_mode)) {
        st = rad_error_set(err, RAD_E_FORMAT, "'%s' is not a regular file", path);
        goto out;
    }
    if ((uint64_t)sb.st_size > RAD_MAX_FILE_BYTES) {
        st = rad_error_set(err, RAD_E_LIMIT, "'%s' has %lld bytes, the limit is %zu (RAD_MAX_FILE_BYTES)", path, (long long)sb.st_size,
                           RAD_MAX_FILE_BYTES);
        goto out;
    }
    s->file_bytes = (size_t)sb.st_size;
    uint8_t magic[2] = {0};
    ssize_t got = pread(s->fd, magic, sizeof magic, 0);
    if (got < 0) {
        st = sys_error(err, "read", path);
        goto out;
    }
    s->gzip = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    s->path = rad_strdup(path);
    if (s->gzip) {
        s->window = rad_malloc(WINDOW_BYTES);
        s->z = rad_malloc(sizeof *s->z);
    }
    if (!s->path || (s->gzip && (!s->window || !s->z))) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", path);
        goto out;
    }
    if (s->gzip) {
        isal_inflate_init(s->z);
        s->z->crc_flag = ISAL_GZIP;
        s->z->next_in = s->window;
        s->z->avail_in = 0;
    }
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
out:
    if (st == RAD_OK)
        *ret = s;
    else
        rad_stream_close(&s);
    return st;
}

void rad_stream_close(rad_stream **s) {
    if (!*s)
        return;
    if ((*s)->fd >= 0)
        close((*s)->fd);
    free((*s)->path);
    free((*s)->window);
    free((*s)->z);
    free(*s);
    *s = NULL;
}

bool rad_stream_is_gzip(const rad_stream *s) {
    return s->gzip;
}

size_t rad_stream_file_bytes(const rad_stream *s) {
    return s->file_bytes;
}

/* Bytes of the file itself. *ret_n == 0: end of file. */
static rad_status read_file(rad_stream *s, uint8_t *out, size_t n, size_t *ret_n, rad_error *err) {
    ssize_t got;
    do
        got = read(s->fd, out, n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return sys_error(err, "read", s->path);
    if ((size_t)got > RAD_MAX_FILE_BYTES - s->file_read)
        return rad_error_set(err, RAD_E_LIMIT, "'%s' grew beyond %zu bytes while it was read", s->path, RAD_MAX_FILE_BYTES);
    s->file_read += (size_t)got;
    if (s->hash && got > 0)
        XXH3_128bits_update(s->hash, out, (size_t)got);
    *ret_n = (size_t)got;
    return RAD_OK;
}

static rad_status read_plain(rad_stream *s, uint8_t *out, size_t n, size_t *ret_n, rad_error *err) {
    size_t done = 0;
    while (done < n && !s->eof) {
        size_t got = 0, want = n - done < READ_BYTES ? n - done : READ_BYTES;
        rad_status st = read_file(s, out + done, want, &got, err);
        if (st != RAD_OK)
            return st;
        s->eof = got == 0;
        done += got;
    }
    *ret_n = done;
    return RAD_OK;
}

/* The next window, when this one is used up. */
static rad_status fill(rad_stream *s, rad_error *err) {
    if (s->z->avail_in > 0 || s->eof)
        return RAD_OK;
    size_t got = 0;
    rad_status st = read_file(s, s->window, WINDOW_BYTES, &got, err);
    if (st != RAD_OK)
        return st;
    s->z->next_in = s->window;
    s->z->avail_in = (uint32_t)got;
    s->eof = got == 0;
    return RAD_OK;
}

/* Between two members: NUL padding and the end of the file are fine, a further member is begun, anything else is damage. */
static rad_status next_member(rad_stream *s, bool *ret_end, rad_error *err) {
    for (;;) {
        rad_status st = fill(s, err);
        if (st != RAD_OK)
            return st;
        if (s->z->avail_in == 0) {
            *ret_end = true;
            return RAD_OK;
        }
        if (!s->started || s->z->next_in[0] != 0)
            break;
        s->z->next_in++;
        s->z->avail_in--;
    }
    if (s->z->next_in[0] != 0x1f)
        return rad_error_set(err, RAD_E_FORMAT, "'%s' has other bytes behind its gzip data: damaged or wrongly joined; copy it again",
                             s->path);
    if (s->started)
        isal_inflate_reset(s->z);
    s->started = true;
    s->inside = true;
    *ret_end = false;
    return RAD_OK;
}

static rad_status inflate_error(rad_stream *s, int rc, rad_error *err) {
    const char *why = rc == ISAL_INCORRECT_CHECKSUM   ? "its CRC is wrong"
                      : rc == ISAL_INVALID_WRAPPER    ? "a gzip header is invalid"
                      : rc == ISAL_UNSUPPORTED_METHOD ? "its compression method is not deflate"
                                                      : "the deflate data are invalid";
    return rad_error_set(err, RAD_E_FORMAT, "'%s' is damaged gzip data: %s (near byte %zu of the file); copy it again", s->path, why,
                         s->file_read - s->z->avail_in);
}

static rad_status read_gzip(rad_stream *s, uint8_t *out, size_t n, size_t *ret_n, rad_error *err) {
    size_t done = 0;
    rad_status st = RAD_OK;
    while (done < n) {
        if (!s->inside) {
            bool end = false;
            st = next_member(s, &end, err);
            if (st != RAD_OK)
                return st;
            if (end)
                break;
        }
        st = fill(s, err);
        if (st != RAD_OK)
            return st;
        size_t room = n - done < OUT_BYTES ? n - done : OUT_BYTES;
        uint32_t in_before = s->z->avail_in;
        s->z->next_out = out + done;
        s->z->avail_out = (uint32_t)room;
        int rc = isal_inflate(s->z);
        size_t made = room - s->z->avail_out;
        done += made;
        if (rc < 0 || rc == ISAL_NEED_DICT)
            return inflate_error(s, rc, err);
        if (s->z->block_state == ISAL_BLOCK_FINISH)
            s->inside = false;
        else if (made == 0 && s->z->avail_in == in_before) { /* no step: only the end of the file explains it */
            if (!s->eof)
                return inflate_error(s, ISAL_INVALID_BLOCK, err);
            return rad_error_set(err, RAD_E_TRUNCATED, "'%s' ends in the middle of its gzip data after %zu bytes; copy it again", s->path,
                                 s->file_read);
        }
    }
    *ret_n = done;
    return RAD_OK;
}

rad_status rad_stream_read(rad_stream *s, void *out, size_t n, size_t *ret_n, rad_error *err) {
    return s->gzip ? read_gzip(s, out, n, ret_n, err) : read_plain(s, out, n, ret_n, err);
}

rad_status rad_stream_skip(rad_stream *s, size_t n, size_t *ret_n, rad_error *err) {
    rad_status st = RAD_OK;
    size_t done = 0;
    uint8_t *drop = rad_malloc(SKIP_BYTES);
    if (!drop)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", s->path);
    while (done < n) {
        size_t got = 0, want = n - done < SKIP_BYTES ? n - done : SKIP_BYTES;
        RAD_TRY(rad_stream_read(s, drop, want, &got, err));
        done += got;
        if (got < want)
            break;
        if (done > RAD_MAX_IMAGE_BYTES) {
            st = rad_error_set(err, RAD_E_LIMIT, "'%s' inflates to more than %zu bytes beside its voxels (RAD_MAX_IMAGE_BYTES)", s->path,
                               RAD_MAX_IMAGE_BYTES);
            goto out;
        }
    }
    *ret_n = done;
out:
    free(drop);
    return st;
}
