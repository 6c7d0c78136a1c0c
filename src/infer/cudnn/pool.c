/* pool.c: device memory for prepared samples and for what a preparation needs, kept for the next case: cudaMalloc and cudaFree wait for all
 * work on the device. A block is given back only by someone who has waited for the work that uses it. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* Of blocks that wait for the next case: what the samples of two full batches of 512 x 512 planes take. */
#define IDLE_BYTES ((size_t)512 << 20)

struct cu_pool {
    pthread_mutex_t lock;
    struct cu_block *idle;
    struct cu_courier *courier; /* idle */
    size_t idle_bytes;
};

rad_status cu_pool_create(struct cu_pool **ret, rad_error *err) {
    struct cu_pool *p = rad_calloc(1, sizeof *p);
    if (p == NULL || pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the device's memory pool");
    }
    *ret = p;
    return RAD_OK;
}

static void free_list(struct cu_block *b) {
    for (struct cu_block *next; b != NULL; b = next) {
        next = b->next;
        (void)cudaFree(b->data);
        free(b);
    }
}

void cu_pool_destroy(struct cu_pool *p) {
    if (p == NULL)
        return;
    free_list(p->idle);
    for (struct cu_courier *c = p->courier, *next; c != NULL; c = next) {
        next = c->next;
        cu_courier_free(c);
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* The smallest idle block that holds `size` bytes and wastes no more than half of itself. */
static struct cu_block *take_idle(struct cu_pool *p, size_t size) {
    struct cu_block **best = NULL, *b = NULL;
    for (struct cu_block **at = &p->idle; *at != NULL; at = &(*at)->next)
        if ((*at)->size >= size && (*at)->size / 2 <= size && (best == NULL || (*at)->size < (*best)->size))
            best = at;
    if (best != NULL) {
        b = *best;
        *best = b->next;
        b->next = NULL;
        p->idle_bytes -= b->size;
    }
    return b;
}

rad_status cu_pool_get(struct cu_pool *p, size_t size, struct cu_block **ret, rad_error *err) {
    size = (size + 4095) / 4096 * 4096;
    (void)pthread_mutex_lock(&p->lock);
    struct cu_block *b = take_idle(p, size), *rest = NULL;
    (void)pthread_mutex_unlock(&p->lock);
    if (b != NULL) {
        *ret = b;
        return RAD_OK;
    }
    b = rad_calloc(1, sizeof *b);
    if (b == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a block of device memory");
    b->size = size;
    cudaError_t e = cudaMalloc(&b->data, size);
    if (e == cudaErrorMemoryAllocation) { /* what waits for other cases makes room */
        (void)cudaGetLastError();
        (void)pthread_mutex_lock(&p->lock);
        rest = p->idle;
        p->idle = NULL;
        p->idle_bytes = 0;
        (void)pthread_mutex_unlock(&p->lock);
        free_list(rest);
        e = cudaMalloc(&b->data, size);
    }
    const rad_status st = cu_check(e, "device memory for prepared samples", err);
    if (st != RAD_OK)
        free(b);
    else
        *ret = b;
    return st;
}

void cu_pool_put(struct cu_pool *p, struct cu_block *b) {
    if (b == NULL)
        return;
    (void)pthread_mutex_lock(&p->lock);
    if (p->idle_bytes + b->size <= IDLE_BYTES) {
        b->next = p->idle;
        p->idle = b;
        p->idle_bytes += b->size;
        b = NULL;
    }
    (void)pthread_mutex_unlock(&p->lock);
    free_list(b);
}

/* ---------------------------------------------------------------- couriers */

void cu_courier_free(struct cu_courier *c) {
    if (c->stream != NULL) {
        (void)cudaStreamSynchronize(c->stream);
        (void)cudaStreamDestroy(c->stream);
    }
    for (int i = 0; i < 2; i++) {
        if (c->sent[i] != NULL)
            (void)cudaEventDestroy(c->sent[i]);
        (void)cudaFreeHost(c->pinned[i]);
    }
    free(c);
}

rad_status cu_courier_get(struct cu_pool *p, struct cu_courier **ret, rad_error *err) {
    rad_status st = RAD_OK;
    (void)pthread_mutex_lock(&p->lock);
    struct cu_courier *c = p->courier;
    if (c != NULL)
        p->courier = c->next;
    (void)pthread_mutex_unlock(&p->lock);
    if (c != NULL) {
        *ret = c;
        return RAD_OK;
    }
    c = rad_calloc(1, sizeof *c);
    if (c == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a preparation");
    RAD_TRY(cu_check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "making a stream", err));
    for (int i = 0; i < 2; i++) {
        RAD_TRY(cu_check(cudaEventCreateWithFlags(&c->sent[i], cudaEventDisableTiming), "making an event", err));
        RAD_TRY(cu_check(cudaMallocHost((void **)&c->pinned[i], CU_COURIER_BYTES), "pinned memory", err));
    }
    *ret = c;
    return RAD_OK;
out:
    cu_courier_free(c);
    return st;
}

void cu_courier_put(struct cu_pool *p, struct cu_courier *c) {
    if (c == NULL)
        return;
    c->to = NULL;
    c->fill = 0;
    (void)pthread_mutex_lock(&p->lock);
    c->next = p->courier;
    p->courier = c;
    (void)pthread_mutex_unlock(&p->lock);
}

/* The full buffer leaves; the other one may still be on its way. */
rad_status cu_courier_flush(struct cu_courier *c, rad_error *err) {
    rad_status st = RAD_OK;
    if (c->fill == 0)
        return RAD_OK;
    RAD_TRY(cu_check(cudaMemcpyAsync(c->to, c->pinned[c->k], c->fill, cudaMemcpyHostToDevice, c->stream), "copying a case", err));
    RAD_TRY(cu_check(cudaEventRecord(c->sent[c->k], c->stream), "copying a case", err));
    c->to += c->fill;
    c->fill = 0;
    c->k = 1 - c->k;
    st = cu_check(cudaEventSynchronize(c->sent[c->k]), "copying a case", err);
out:
    return st;
}

rad_status cu_courier_send(struct cu_courier *c, const void *from, size_t size, rad_error *err) {
    const char *at = from;
    rad_status st = RAD_OK;
    while (size > 0 && st == RAD_OK) {
        const size_t room = CU_COURIER_BYTES - c->fill, n = size < room ? size : room;
        memcpy(c->pinned[c->k] + c->fill, at, n);
        c->fill += n;
        at += n;
        size -= n;
        if (c->fill == CU_COURIER_BYTES)
            st = cu_courier_flush(c, err);
    }
    return st;
}
