/* mem.c: allocation with overflow checks and a failure hook for tests; the growable buffer. */
#define _DEFAULT_SOURCE /* madvise */
#include "radcohort/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The voxels of a large volume come from the kernel page by page, zeroed: in pages of 4 KB that took 40 ms of the 165 ms that a CT of 105
 * MB took to load, in huge ones 10. From HUGE_FROM on the rounding is lost in the whole. */
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM ((size_t)4 << 20)

static int64_t fail_after; /* test hook only */

void rad_mem_fail_after(int64_t n) {
    fail_after = n;
}

static bool must_fail(void) {
    if (fail_after == 0)
        return false;
    if (fail_after == 1)
        return true; /* stays at 1: all later ones fail too */
    fail_after--;
    return false;
}

bool rad_mul_size(size_t a, size_t b, size_t *ret) {
    if (a && b > SIZE_MAX / a)
        return false;
    *ret = a * b;
    return true;
}

bool rad_add_size(size_t a, size_t b, size_t *ret) {
    if (b > SIZE_MAX - a)
        return false;
    *ret = a + b;
    return true;
}

void *rad_malloc(size_t n) {
    return must_fail() ? NULL : malloc(n ? n : 1);
}

void *rad_calloc(size_t n, size_t size) {
    if (must_fail())
        return NULL;
    return n && size ? calloc(n, size) : calloc(1, 1);
}

void *rad_realloc(void *p, size_t n, size_t size) {
    size_t bytes;
    if (!rad_mul_size(n, size, &bytes) || must_fail())
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *rad_aligned(size_t n) {
    size_t rounded, unit = n < HUGE_FROM ? 64 : HUGE_PAGE;
    if (!rad_add_size(n ? n : 1, unit - 1, &rounded) || must_fail())
        return NULL;
    rounded &= ~(unit - 1);
    void *p = aligned_alloc(unit, rounded);
    if (p && unit == HUGE_PAGE)
        (void)madvise(p, rounded, MADV_HUGEPAGE); /* a wish: where the kernel has none to give, small ones do */
    return p;
}

char *rad_strndup(const char *s, size_t n) {
    char *p = rad_malloc(n + 1);
    if (p) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

char *rad_strdup(const char *s) {
    return rad_strndup(s, strlen(s));
}

char *rad_asprintf(const char *fmt, ...) {
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : rad_malloc((size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return p;
}

void rad_buf_init(rad_buf *b, size_t max) {
    *b = (rad_buf){.max = max};
}

void rad_buf_release(rad_buf *b) {
    free(b->data);
    *b = (rad_buf){.max = b->max};
}

void rad_buf_clear(rad_buf *b) {
    b->size = 0;
    if (b->data)
        b->data[0] = '\0';
}

/* Room for n more bytes and a NUL. */
static rad_status reserve(rad_buf *b, size_t n, rad_error *err) {
    size_t want;
    if (!rad_add_size(b->size, n, &want) || want > b->max)
        return rad_error_set(err, RAD_E_LIMIT, "buffer would pass its limit of %zu bytes", b->max);
    if (want + 1 <= b->cap)
        return RAD_OK;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want + 1)
        cap = cap > SIZE_MAX / 2 ? want + 1 : cap * 2;
    char *p = rad_realloc(b->data, cap, 1);
    if (!p)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a buffer of %zu bytes", cap);
    b->data = p;
    b->cap = cap;
    return RAD_OK;
}

rad_status rad_buf_put(rad_buf *b, const void *p, size_t n, rad_error *err) {
    rad_status st = reserve(b, n, err);
    if (st != RAD_OK)
        return st;
    if (n)
        memcpy(b->data + b->size, p, n);
    b->size += n;
    b->data[b->size] = '\0';
    return RAD_OK;
}

rad_status rad_buf_printf(rad_buf *b, rad_error *err, const char *fmt, ...) {
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    rad_status st = n < 0 ? rad_error_set(err, RAD_E_INTERNAL, "cannot format text") : reserve(b, (size_t)n, err);
    if (st == RAD_OK) {
        vsnprintf(b->data + b->size, (size_t)n + 1, fmt, ap2);
        b->size += (size_t)n;
    }
    va_end(ap2);
    return st;
}
