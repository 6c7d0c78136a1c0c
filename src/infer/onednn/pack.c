/* pack.c: see pack.h. */
#include "pack.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PACKERS 16                 /* beyond that the memory is the limit */
#define LARGE_WEIGHT ((size_t)1 << 20) /* bytes: worth a system call */
#define FEW_BYTES ((size_t)256 << 10)  /* not worth waking a thread */
#define WORD_BYTES (sizeof(uint32_t))  /* what the library expects elements to be aligned to */

struct item {
    struct dn_pack what;
    struct dn_own own;
    rad_md from, to;
};

struct dn_packer {
    const rad_graph *graph;
    dnnl_engine_t engine;
    int most, n_thread;
    pthread_t thread[MAX_PACKERS];
    pthread_mutex_t lock;
    pthread_cond_t more, done;
    bool quit;
    struct item *item; /* all of them, in the order in which they came */
    int n_item, cap_item;
    int next, n_done;
    int failed; /* the earliest, -1: none */
    rad_error why;
};

/* Memory of one thread, kept from one item to the next. */
struct room {
    void *p;
    size_t size;
};

static void *take_room(struct room *r, size_t size) {
    if (size <= r->size)
        return r->p;
    free(r->p);
    r->p = rad_aligned(size);
    r->size = r->p != NULL ? size : 0;
    return r->p;
}

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference plan");
}

static rad_status reorder(const struct dn_packer *p, const struct item *i, void *data, struct room *scratch, rad_error *err) {
    rad_prim prim = {0};
    dnnl_stream_t stream = NULL;
    dnnl_memory_t ms = NULL, md = NULL, mx = NULL;
    rad_md scratch_md;
    rad_status st = RAD_OK;
    memset(i->what.dst, 0, rad_md_size(&i->to)); /* padding must be defined */
    if (!rad_prim_reorder(p->engine, &i->from, &i->to, &prim)) {
        st = rad_error_set(err, RAD_E_DEVICE, "node '%.160s': oneDNN cannot reorder a constant", i->what.name);
        goto out;
    }
    const size_t n_scratch = prim.scratch > 0 ? prim.scratch : 1;
    const rad_shape bytes = {.rank = 1, .dim = {(int64_t)n_scratch}};
    void *x = take_room(scratch, n_scratch);
    if (x == NULL || !rad_md_layout(&scratch_md, &bytes, dnnl_u8, RAD_LAYOUT_PLAIN) ||
        dnnl_stream_create(&stream, p->engine, dnnl_stream_default_flags) != dnnl_success ||
        dnnl_memory_create(&ms, &i->from, p->engine, data) != dnnl_success ||
        dnnl_memory_create(&md, &i->to, p->engine, i->what.dst) != dnnl_success ||
        dnnl_memory_create(&mx, &scratch_md, p->engine, x) != dnnl_success) {
        st = no_memory(err);
        goto out;
    }
    const dnnl_exec_arg_t arg[] = {{DNNL_ARG_FROM, ms}, {DNNL_ARG_TO, md}, {DNNL_ARG_SCRATCHPAD, mx}};
    if (dnnl_primitive_execute(prim.prim, stream, 3, arg) != dnnl_success || dnnl_stream_wait(stream) != dnnl_success)
        st = rad_error_set(err, RAD_E_DEVICE, "node '%.160s': oneDNN cannot reorder a constant", i->what.name);
out:
    if (ms != NULL)
        (void)dnnl_memory_destroy(ms);
    if (md != NULL)
        (void)dnnl_memory_destroy(md);
    if (mx != NULL)
        (void)dnnl_memory_destroy(mx);
    if (stream != NULL)
        (void)dnnl_stream_destroy(stream);
    rad_prim_release(&prim);
    return st;
}

static rad_status pack(const struct dn_packer *p, const struct item *i, struct room *scratch, struct room *aligned, rad_error *err) {
    rad_status st = RAD_OK;
    if (i->what.own != NULL) {
        dn_own_pack(&i->own, i->what.data, i->what.dst);
    } else if (i->what.from == NULL) {
        memcpy(i->what.dst, i->what.data, i->what.size);
    } else {
        void *data = NULL; /* only read */
        memcpy(&data, &i->what.data, sizeof data);
        if ((uintptr_t)data % WORD_BYTES != 0) { /* a model's file puts them anywhere */
            data = take_room(aligned, i->what.size);
            if (data == NULL)
                return no_memory(err);
            memcpy(data, i->what.data, i->what.size);
        }
        st = reorder(p, i, data, scratch, err);
    }
    if (i->what.size >= LARGE_WEIGHT) /* the file's pages need not lie beside what was made of them */
        rad_graph_drop_pages(p->graph);
    return st;
}

/* Items until none is left that nobody has begun. Lock held, given up meanwhile. */
static void work(struct dn_packer *p, struct room *scratch, struct room *aligned) {
    while (!p->quit && p->next < p->n_item) {
        const int at = p->next++;
        const struct item i = p->item[at]; /* the array moves when it grows */
        rad_error why = {0};
        (void)pthread_mutex_unlock(&p->lock);
        const rad_status st = pack(p, &i, scratch, aligned, &why);
        (void)pthread_mutex_lock(&p->lock);
        if (st != RAD_OK && (p->failed < 0 || at < p->failed)) {
            p->failed = at;
            p->why = why;
        }
        if (++p->n_done == p->n_item)
            (void)pthread_cond_broadcast(&p->done);
    }
}

static void *packer_main(void *packer) {
    struct dn_packer *p = packer;
    struct room scratch = {0}, aligned = {0};
    omp_set_num_threads(1); /* the primitives of this thread are laid out for it alone */
    (void)pthread_mutex_lock(&p->lock);
    while (!p->quit) {
        work(p, &scratch, &aligned);
        if (!p->quit)
            (void)pthread_cond_wait(&p->more, &p->lock);
    }
    (void)pthread_mutex_unlock(&p->lock);
    free(scratch.p);
    free(aligned.p);
    return NULL;
}

rad_status dn_packer_create(const rad_graph *graph, dnnl_engine_t engine, int threads, struct dn_packer **ret, rad_error *err) {
    struct dn_packer *p = rad_calloc(1, sizeof *p);
    if (p == NULL)
        return no_memory(err);
    *p = (struct dn_packer){.graph = graph, .engine = engine, .failed = -1};
    p->most = threads - 1 < MAX_PACKERS ? threads - 1 : MAX_PACKERS;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->more, NULL);
    (void)pthread_cond_init(&p->done, NULL);
    *ret = p;
    return RAD_OK;
}

rad_status dn_packer_put(struct dn_packer *p, const struct dn_pack *what, rad_error *err) {
    rad_status st = RAD_OK;
    (void)pthread_mutex_lock(&p->lock);
    if (p->n_item == p->cap_item) {
        const int more = p->cap_item > 0 ? 2 * p->cap_item : 64;
        struct item *fresh = rad_realloc(p->item, (size_t)more, sizeof *fresh);
        if (fresh == NULL) {
            st = no_memory(err);
            goto out;
        }
        p->item = fresh;
        p->cap_item = more;
    }
    struct item *i = &p->item[p->n_item++];
    i->what = *what;
    if (what->own != NULL)
        i->own = *what->own;
    if (what->from != NULL) {
        i->from = *what->from;
        i->to = *what->to;
    }
    if (what->size >= FEW_BYTES) {
        /* fewer threads than asked for are enough: whoever waits does what nobody has begun */
        if (p->n_thread < p->most && pthread_create(&p->thread[p->n_thread], NULL, packer_main, p) == 0)
            p->n_thread++;
        (void)pthread_cond_signal(&p->more);
    }
out:
    (void)pthread_mutex_unlock(&p->lock);
    return st;
}

rad_status dn_packer_wait(struct dn_packer *p, rad_error *err) {
    struct room scratch = {0}, aligned = {0};
    (void)pthread_mutex_lock(&p->lock);
    work(p, &scratch, &aligned);
    while (p->n_done < p->n_item)
        (void)pthread_cond_wait(&p->done, &p->lock);
    const bool failed = p->failed >= 0;
    (void)pthread_mutex_unlock(&p->lock);
    free(scratch.p);
    free(aligned.p);
    return failed ? rad_error_set(err, p->why.code, "%s", p->why.text) : RAD_OK;
}

void dn_packer_destroy(struct dn_packer **pp) {
    struct dn_packer *p = *pp;
    *pp = NULL;
    if (p == NULL)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->quit = true;
    (void)pthread_cond_broadcast(&p->more);
    (void)pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_thread; i++)
        (void)pthread_join(p->thread[i], NULL);
    (void)pthread_mutex_destroy(&p->lock);
    (void)pthread_cond_destroy(&p->more);
    (void)pthread_cond_destroy(&p->done);
    free(p->item);
    free(p);
}
