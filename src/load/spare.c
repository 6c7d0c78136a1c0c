/* spare.c: blocks of voxels for the next volume. A fresh block costs the kernel a page fault and a zeroed page at a time, a tenth of the
 * time of reading a CT; one that the last volume is done with costs nothing. The few slices of a region count, too: the heap of a thread
 * gives such blocks back to the kernel. */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>

#define KEEP_FROM ((size_t)256 << 10) /* smaller ones come from the heap, which keeps them */
enum { MAX_BLOCKS = 16 };

struct rad_spare {
    pthread_mutex_t lock;
    size_t max, kept;
    int n;
    struct {
        void *p;
        size_t bytes;
    } block[MAX_BLOCKS];
};

rad_status rad_spare_create(size_t max_bytes, rad_spare **ret, rad_error *err) {
    rad_spare *s = rad_calloc(1, sizeof *s);
    if (!s)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    pthread_mutex_init(&s->lock, NULL);
    s->max = max_bytes;
    *ret = s;
    return RAD_OK;
}

void rad_spare_destroy(rad_spare **s) {
    if (!*s)
        return;
    for (int i = 0; i < (*s)->n; i++)
        free((*s)->block[i].p);
    pthread_mutex_destroy(&(*s)->lock);
    free(*s);
    *s = NULL;
}

/* Takes block `i` out. Lock held. */
static void take_out(rad_spare *s, int i) {
    s->kept -= s->block[i].bytes;
    s->block[i] = s->block[--s->n];
}

void *rad_spare_take(rad_spare *s, size_t need, size_t *ret_bytes) {
    void *p = NULL;
    *ret_bytes = need;
    if (s && need >= KEEP_FROM) {
        pthread_mutex_lock(&s->lock);
        for (int i = 0; i < s->n && !p; i++)
            if (s->block[i].bytes >= need && s->block[i].bytes - need <= need / 4) {
                p = s->block[i].p;
                *ret_bytes = s->block[i].bytes;
                take_out(s, i);
            }
        pthread_mutex_unlock(&s->lock);
    }
    return p ? p : rad_aligned(need);
}

void rad_spare_give(rad_spare *s, void *p, size_t bytes) {
    bool kept = false;
    if (s && p && bytes >= KEEP_FROM && bytes <= s->max) {
        pthread_mutex_lock(&s->lock);
        while (s->n > 0 && (s->n == MAX_BLOCKS || s->kept + bytes > s->max)) { /* the newest fits the archive best */
            void *old = s->block[0].p;
            take_out(s, 0);
            free(old);
        }
        s->block[s->n].p = p;
        s->block[s->n++].bytes = bytes;
        s->kept += bytes;
        kept = true;
        pthread_mutex_unlock(&s->lock);
    }
    if (!kept)
        free(p);
}
