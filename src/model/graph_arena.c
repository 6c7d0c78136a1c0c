/* Memory of a model or graph: small things in chunks, tensor contents in blocks that can be given back one by one. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

#define CHUNK_BYTES ((size_t)64 << 10)

typedef struct chunk {
    struct chunk *next;
    size_t used, cap;
    _Alignas(16) unsigned char data[];
} chunk;

typedef struct block {
    struct block *prev, *next;
} block;
#define BLOCK_HEAD 64 /* keeps the contents 64-byte aligned */

struct rad_arena {
    chunk *chunks;
    block head; /* ring */
};

rad_arena *rad_arena_create(void) {
    rad_arena *a = rad_calloc(1, sizeof *a);
    if (a)
        a->head.prev = a->head.next = &a->head;
    return a;
}

void rad_arena_destroy(rad_arena **pa) {
    rad_arena *a = pa ? *pa : NULL;
    if (!a)
        return;
    while (a->chunks) {
        chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    while (a->head.next != &a->head) {
        block *b = a->head.next;
        a->head.next = b->next;
        free(b);
    }
    free(a);
    *pa = NULL;
}

void *rad_arena_alloc(rad_arena *a, size_t n, size_t size) {
    size_t bytes;
    if (!rad_mul_size(n, size, &bytes) || !rad_add_size(bytes, 15, &bytes))
        return NULL;
    bytes &= ~(size_t)15;
    chunk *c = a->chunks;
    if (!c || c->cap - c->used < bytes) {
        size_t cap = bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES, total;
        if (!rad_add_size(cap, sizeof(chunk), &total))
            return NULL;
        chunk *fresh = rad_malloc(total);
        if (!fresh)
            return NULL;
        fresh->used = 0;
        fresh->cap = cap;
        if (c && cap == bytes) { /* a large one goes behind the chunk that still has room */
            fresh->next = c->next;
            c->next = fresh;
        } else {
            fresh->next = c;
            a->chunks = fresh;
        }
        c = fresh;
    }
    void *p = c->data + c->used;
    c->used += bytes;
    memset(p, 0, bytes);
    return p;
}

char *rad_arena_text(rad_arena *a, const void *s, size_t n) {
    char *t = rad_arena_alloc(a, n + 1, 1);
    if (t && n)
        memcpy(t, s, n);
    return t;
}

void *rad_arena_block(rad_arena *a, size_t size) {
    size_t total;
    if (!rad_add_size(size ? size : 1, BLOCK_HEAD, &total))
        return NULL;
    block *b = rad_aligned(total);
    if (!b)
        return NULL;
    b->prev = &a->head;
    b->next = a->head.next;
    b->next->prev = b;
    a->head.next = b;
    return (unsigned char *)b + BLOCK_HEAD;
}

void rad_arena_release_block(rad_arena *a, void *contents) {
    (void)a;
    block *b = (block *)(void *)((unsigned char *)contents - BLOCK_HEAD);
    b->prev->next = b->next;
    b->next->prev = b->prev;
    free(b);
}
