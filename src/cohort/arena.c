/* arena.c: blocks in a list; strings of a table are small and many, so they share blocks. */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 1 << 16 };

typedef struct block {
    struct block *next;
    size_t used, cap; /* `used` from the front; texts, which need no alignment, are taken from the end of `cap` */
    alignas(max_align_t) char data[];
} block;

struct arena {
    block *head;
};

arena *arena_create(void) {
    return rad_calloc(1, sizeof(arena));
}

void arena_destroy(arena *a) {
    if (!a)
        return;
    for (block *b = a->head; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

/* A block with room for that many bytes, or NULL. */
static block *room(arena *a, size_t bytes) {
    block *b = a->head;
    if (b && b->cap - b->used >= bytes)
        return b;
    size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES, total;
    if (!rad_add_size(sizeof *b, cap, &total) || !(b = rad_malloc(total)))
        return NULL;
    b->used = 0;
    b->cap = cap;
    /* A large item gets a block of its own behind the current one, whose rest stays in use. */
    if (a->head && cap > BLOCK_BYTES) {
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = a->head;
        a->head = b;
    }
    return b;
}

void *arena_alloc(arena *a, size_t n, size_t size) {
    size_t bytes, padded;
    if (!rad_mul_size(n, size, &bytes) || !rad_add_size(bytes ? bytes : 1, sizeof(max_align_t) - 1, &padded))
        return NULL;
    padded -= padded % sizeof(max_align_t);
    block *b = room(a, padded);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += padded;
    memset(p, 0, padded);
    return p;
}

/* n + 1 bytes for a text, not initialised. */
static char *text_room(arena *a, size_t n) {
    size_t bytes;
    block *b = rad_add_size(n, 1, &bytes) ? room(a, bytes) : NULL;
    if (!b)
        return NULL;
    b->cap -= bytes;
    return b->data + b->cap;
}

char *arena_strndup(arena *a, const char *s, size_t n) {
    char *p = text_room(a, n);
    if (p) {
        memcpy(p, s, n);
        p[n] = '\0';
    }
    return p;
}

char *arena_strdup(arena *a, const char *s) {
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(arena *a, const char *fmt, ...) {
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : text_room(a, (size_t)n);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return p;
}
