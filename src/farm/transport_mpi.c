/* transport_mpi.c: the only file that knows MPI.
 *
 * MPI_THREAD_FUNNELED; non-blocking sends and receives, tested between naps; errors are returned and become COMM. Without a surviving
 * MPI (no fault tolerance is asked of it) a lost rank shows as silence, which is the coordinator's business.
 */
#include "transport.h"

#include "bundle.h"
#include "wire.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#define TAG 1
#define MAX_RECEIVES 64 /* messages whose bytes are on their way at once */
#define NAP 0.0005      /* seconds between tests while waiting for a collective */
#define MASK_WORDS 16   /* 1,024 cores a node */

struct sending {
    struct sending *next;
    MPI_Request request;
    rad_buf b;
};

struct receiving {
    MPI_Request request;
    int from;
    rad_buf b;
};

struct mpi {
    MPI_Comm comm;
    struct sending *out;
    struct receiving in[MAX_RECEIVES]; /* in order of matching */
    int n_in, rank, size;
};

static rad_status check(int code, const char *what, rad_error *err) {
    if (code == MPI_SUCCESS)
        return RAD_OK;
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    MPI_Error_string(code, text, &n);
    return rad_error_set(err, RAD_E_COMM, "MPI: %s: %s", what, text);
}

static rad_status wait_for(MPI_Request *r, const char *what, rad_error *err) {
    for (int done = 0;;) {
        rad_status st = check(MPI_Test(r, &done, MPI_STATUS_IGNORE), what, err);
        if (st != RAD_OK || done)
            return st;
        rad_transport_nap(NAP);
    }
}

static rad_status share_cores(struct mpi *m, int *ret, int *ret_mates, rad_error *err) {
    MPI_Comm node = MPI_COMM_NULL;
    rad_status st = RAD_OK;
    uint64_t mine[MASK_WORDS + 1], *all = NULL; /* the last word: 1 when this rank computes */
    int n = 0, mates = 0, all_mates = 0;
    RAD_TRY(check(MPI_Comm_split_type(m->comm, MPI_COMM_TYPE_SHARED, m->rank, MPI_INFO_NULL, &node), "node communicator", err));
    RAD_TRY(check(MPI_Comm_size(node, &n), "node communicator", err));
    int cores = rad_transport_affinity(mine, MASK_WORDS);
    mine[MASK_WORDS] = m->rank > 0 || m->size == 1;
    all = rad_calloc((size_t)n, sizeof mine);
    if (!all) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
        goto out;
    }
    MPI_Request r;
    RAD_TRY(check(MPI_Iallgather(mine, MASK_WORDS + 1, MPI_UINT64_T, all, MASK_WORDS + 1, MPI_UINT64_T, node, &r), "core masks", err));
    RAD_TRY(wait_for(&r, "core masks", err));
    for (int i = 0; i < n; i++)
        all_mates += all[i * (MASK_WORDS + 1) + MASK_WORDS] != 0;
    *ret_mates = all_mates > 1 ? all_mates : 1;
    for (int i = 0; i < n; i++)
        mates += all[i * (MASK_WORDS + 1) + MASK_WORDS] && memcmp(all + i * (MASK_WORDS + 1), mine, MASK_WORDS * sizeof *mine) == 0;
    *ret = mates > 1 ? cores / mates : cores;
    if (*ret < 1)
        *ret = 1;
out:
    free(all);
    if (node != MPI_COMM_NULL)
        MPI_Comm_free(&node);
    return st;
}

rad_status rad_transport_mpi_open(void **ret_state, int *ret_rank, int *ret_size, int *ret_cores, int *ret_mates, rad_error *err) {
    rad_status st = RAD_OK;
    int provided = 0;
    /* Ranks that wait inside MPI give their core to those that compute; an explicit setting of the user wins. */
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    setenv("HWLOC_COMPONENTS", "-gl", 0); /* MPI's look at the machine would ask the X server for graphics cards */
    rad_farm_enter_bundle();
    struct mpi *m = rad_calloc(1, sizeof *m);
    if (!m)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
        free(m);
        return rad_error_set(err, RAD_E_COMM, "MPI does not start");
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    m->comm = MPI_COMM_NULL;
    if (provided < MPI_THREAD_FUNNELED) {
        st = rad_error_set(err, RAD_E_COMM, "this MPI library has no thread support (MPI_THREAD_FUNNELED); use one that has");
        goto out;
    }
    RAD_TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &m->comm), "communicator", err));
    RAD_TRY(check(MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN), "communicator", err));
    RAD_TRY(check(MPI_Comm_rank(m->comm, &m->rank), "communicator", err));
    RAD_TRY(check(MPI_Comm_size(m->comm, &m->size), "communicator", err));
    RAD_TRY(share_cores(m, ret_cores, ret_mates, err));
    *ret_rank = m->rank;
    *ret_size = m->size;
    *ret_state = m;
    m = NULL;
out:
    if (m) {
        if (m->comm != MPI_COMM_NULL)
            MPI_Comm_free(&m->comm);
        MPI_Finalize();
        free(m);
    }
    return st;
}

/* Releases what has left. */
static rad_status sweep(struct mpi *m, rad_error *err) {
    for (struct sending **at = &m->out; *at;) {
        struct sending *s = *at;
        int done = 0;
        rad_status st = check(MPI_Test(&s->request, &done, MPI_STATUS_IGNORE), "send", err);
        if (st != RAD_OK)
            return st;
        if (!done) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        rad_buf_release(&s->b);
        free(s);
    }
    return RAD_OK;
}

static rad_status mpi_send(void *state, int to, rad_buf *b, rad_error *err) {
    struct mpi *m = state;
    struct sending *s = rad_calloc(1, sizeof *s);
    if (!s) {
        rad_buf_release(b);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a message");
    }
    s->b = *b;
    rad_buf_init(b, RAD_MAX_MESSAGE);
    rad_status st = check(MPI_Isend(s->b.data, (int)s->b.size, MPI_BYTE, to, TAG, m->comm, &s->request), "send", err);
    if (st != RAD_OK) {
        rad_buf_release(&s->b);
        free(s);
        return st;
    }
    s->next = m->out;
    m->out = s;
    return sweep(m, err);
}

/* Accepts what has been announced, as far as there is room. */
static rad_status accept(struct mpi *m, rad_error *err) {
    while (m->n_in < MAX_RECEIVES) {
        int flag = 0, n = 0;
        MPI_Message msg;
        MPI_Status status;
        rad_status st = check(MPI_Improbe(MPI_ANY_SOURCE, TAG, m->comm, &flag, &msg, &status), "probe", err);
        if (st != RAD_OK || !flag)
            return st;
        struct receiving *r = &m->in[m->n_in];
        rad_buf_init(&r->b, RAD_MAX_MESSAGE);
        r->from = status.MPI_SOURCE;
        if (MPI_Get_count(&status, MPI_BYTE, &n) != MPI_SUCCESS || n < 0)
            return rad_error_set(err, RAD_E_COMM, "MPI: a message of rank %d has no size", r->from);
        r->b.data = rad_malloc((size_t)n + 1);
        if (!r->b.data)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for a message of %d bytes", n);
        r->b.size = (size_t)n;
        r->b.cap = (size_t)n + 1;
        r->b.data[n] = 0;
        st = check(MPI_Imrecv(r->b.data, n, MPI_BYTE, &msg, &r->request), "receive", err);
        if (st != RAD_OK) {
            rad_buf_release(&r->b);
            return st;
        }
        m->n_in++;
    }
    return RAD_OK;
}

static rad_status mpi_poll(void *state, int *ret_from, rad_buf *ret, bool *ret_got, rad_error *err) {
    struct mpi *m = state;
    *ret_got = false;
    rad_status st = sweep(m, err);
    if (st == RAD_OK)
        st = accept(m, err);
    for (int i = 0; i < m->n_in && st == RAD_OK; i++) {
        struct receiving *r = &m->in[i];
        bool overtakes = false;
        for (int k = 0; k < i; k++)
            overtakes = overtakes || m->in[k].from == r->from;
        int done = 0;
        if (!overtakes)
            st = check(MPI_Test(&r->request, &done, MPI_STATUS_IGNORE), "receive", err);
        if (st != RAD_OK || !done)
            continue;
        *ret = r->b;
        *ret_from = r->from;
        *ret_got = true;
        memmove(r, r + 1, (size_t)(--m->n_in - i) * sizeof *r);
        return RAD_OK;
    }
    return st;
}

static rad_status mpi_broadcast(void *state, rad_buf *b, rad_error *err) {
    struct mpi *m = state;
    rad_status st = RAD_OK;
    MPI_Request r;
    int64_t size = (int64_t)b->size;
    RAD_TRY(check(MPI_Ibcast(&size, 1, MPI_INT64_T, 0, m->comm, &r), "broadcast", err));
    RAD_TRY(wait_for(&r, "broadcast", err));
    if (m->rank > 0) {
        if (size < 0 || (size_t)size > RAD_MAX_MESSAGE)
            return rad_error_set(err, RAD_E_COMM, "rank 0 announces a message of %lld bytes", (long long)size);
        b->data = rad_malloc((size_t)size + 1);
        if (!b->data)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for a message of %lld bytes", (long long)size);
        b->data[size] = 0;
        b->size = (size_t)size;
        b->cap = (size_t)size + 1;
    }
    RAD_TRY(check(MPI_Ibcast(b->data, (int)size, MPI_BYTE, 0, m->comm, &r), "broadcast", err));
    RAD_TRY(wait_for(&r, "broadcast", err));
out:
    return st;
}

static bool mpi_flush(void *state, double seconds) {
    struct mpi *m = state;
    double until = rad_clock_seconds() + seconds;
    while (sweep(m, NULL) == RAD_OK) {
        if (!m->out)
            return true;
        if (rad_clock_seconds() > until)
            return false;
        rad_transport_nap(NAP);
    }
    return false;
}

static void mpi_close(void *state, bool abandon) {
    struct mpi *m = state;
    if (abandon)
        return; /* requests and buffers stay: the process ends without MPI_Finalize, which would wait for the lost */
    while (m->n_in > 0)
        rad_buf_release(&m->in[--m->n_in].b);
    MPI_Request r;
    if (mpi_flush(m, 30) && MPI_Ibarrier(m->comm, &r) == MPI_SUCCESS && wait_for(&r, "barrier", NULL) == RAD_OK) {
        MPI_Comm_free(&m->comm);
        MPI_Finalize();
    }
    free(m);
}

const rad_transport_ops rad_transport_mpi_ops = {
    .name = "mpi", .send = mpi_send, .poll = mpi_poll, .broadcast = mpi_broadcast, .flush = mpi_flush, .close = mpi_close};
