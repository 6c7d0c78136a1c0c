/* held.c: see held.h. A line with the tag, a line "POSITION TIMES" for each case, a line "end". Written over itself in one call: a death in
 * between leaves a file without its end, which suspects nobody. */
#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 40
#define MAX_BYTES ((size_t)LINE * RAD_MAX_HELD + 1024)
#define END "end\n"

struct rad_held {
    char *path, *tag;
    int fd;
};

static bool parse_line(const char *line, rad_held_case *ret) {
    char first[LINE];
    int64_t times = 0;
    const char *gap = strchr(line, ' ');
    if (!gap || (size_t)(gap - line) >= sizeof first)
        return false;
    memcpy(first, line, (size_t)(gap - line));
    first[gap - line] = 0;
    if (!rad_parse_int(first, &ret->position) || !rad_parse_int(gap + 1, &times) || times < 0 || times > 1000)
        return false;
    ret->times = (int)times;
    return true;
}

rad_status rad_held_read(const char *path, const char *tag, rad_held_case **ret, int64_t *ret_n, rad_error *err) {
    char *text = NULL;
    size_t size = 0;
    int64_t n = 0;
    bool whole = false;
    rad_held_case *item = NULL;
    *ret = NULL;
    *ret_n = 0;
    if (rad_file_read(path, MAX_BYTES, &text, &size, NULL) != RAD_OK)
        return RAD_OK;
    item = rad_calloc(size / 4 + 1, sizeof *item); /* a line has four bytes at least */
    if (!item) {
        free(text);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for what a shard had in hand");
    }
    int64_t at = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, at++) {
        *end = 0;
        if (at == 0 ? strcmp(line, tag) != 0 : !parse_line(line, &item[n])) {
            whole = at > 0 && strcmp(line, "end") == 0;
            break;
        }
        n += at > 0;
    }
    free(text);
    if (!whole || n == 0) {
        free(item);
        return RAD_OK;
    }
    *ret = item;
    *ret_n = n;
    return RAD_OK;
}

rad_status rad_held_open(const char *path, const char *tag, rad_held **ret, rad_error *err) {
    rad_held *h = rad_calloc(1, sizeof *h);
    if (!h)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a shard");
    h->path = rad_strdup(path);
    h->tag = rad_strdup(tag);
    h->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    rad_status st = RAD_OK;
    if (h->fd < 0)
        st = rad_error_set(err, RAD_E_IO, "cannot write '%s': %s", path, strerror(errno));
    else if (!h->path || !h->tag)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a shard");
    if (st == RAD_OK)
        *ret = h;
    else
        rad_held_close(&h, false);
    return st;
}

rad_status rad_held_put(rad_held *h, const rad_held_case *item, int64_t n, rad_error *err) {
    rad_buf b;
    rad_buf_init(&b, MAX_BYTES);
    rad_status st = rad_buf_printf(&b, err, "%s\n", h->tag);
    for (int64_t i = 0; i < n && i < RAD_MAX_HELD && st == RAD_OK; i++)
        st = rad_buf_printf(&b, err, "%" PRId64 " %d\n", item[i].position, item[i].times);
    if (st == RAD_OK)
        st = rad_buf_put(&b, END, strlen(END), err);
    /* what is behind the end does not count: the file need not be cut first */
    if (st == RAD_OK && pwrite(h->fd, b.data, b.size, 0) != (ssize_t)b.size)
        st = rad_error_set(err, RAD_E_IO, "cannot write '%s': %s", h->path, strerror(errno));
    rad_buf_release(&b);
    return st;
}

void rad_held_close(rad_held **hp, bool orderly) {
    rad_held *h = *hp;
    *hp = NULL;
    if (!h)
        return;
    if (orderly && h->path)
        (void)unlink(h->path);
    if (h->fd >= 0)
        (void)close(h->fd);
    free(h->path);
    free(h->tag);
    free(h);
}
