/* transport.c: choice of the kind, messages to the own rank, and what needs no MPI. */
#include "transport.h"

#include "radcohort/farm.h"

#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct letter {
    struct letter *next;
    rad_buf b;
};

struct rad_transport {
    const rad_transport_ops *ops; /* NULL: local */
    void *state;
    int rank, size, cores, mates;
    struct letter *first, **end; /* to ourselves */
};

bool rad_transport_has_launcher(void) {
    const char *mpi[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", NULL};
    for (int i = 0; mpi[i]; i++)
        if (getenv(mpi[i]))
            return true;
    return false;
}

void rad_transport_nap(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL); /* cut short by a signal: good, somebody wants something */
}

int rad_transport_affinity(uint64_t *mask, size_t n) {
    memset(mask, 0, n * sizeof *mask);
    int count = 0;
    FILE *f = fopen("/proc/self/status", "re");
    char line[4096];
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "Cpus_allowed:", 13) != 0)
            continue;
        size_t bit = 0; /* hexadecimal, most significant digit first, commas between groups of eight */
        for (char *p = line + strlen(line); p > line + 13; p--) {
            const char *hex = "0123456789abcdef", *at = strchr(hex, p[-1]);
            if (!at || !p[-1])
                continue;
            uint64_t digit = (uint64_t)(at - hex);
            if (bit / 64 < n)
                mask[bit / 64] |= digit << (bit % 64);
            for (; digit; digit &= digit - 1)
                count++;
            bit += 4;
        }
        break;
    }
    if (f)
        fclose(f);
    if (count == 0) {
        mask[0] = 1;
        count = 1;
    }
    return count;
}

/* An srun without a process manager would start N programs that all believe to be alone and would all open the database. */
static rad_status check_lonely_step(rad_error *err) {
    const char *n = getenv("SLURM_STEP_NUM_TASKS");
    int64_t tasks;
    if (getenv("SLURM_PROCID") && n && rad_parse_int(n, &tasks) && tasks > 1)
        return rad_error_set(
            err, RAD_E_COMM,
            "srun started %s tasks without a process manager, so each would run the whole job alone; use 'srun --mpi=pmix'", n);
    return RAD_OK;
}

bool rad_farm_is_root(void) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    rank = rank ? rank : getenv("PMIX_RANK");
    rank = rank ? rank : getenv("PMI_RANK");
    return !rad_transport_has_launcher() || !rank || strcmp(rank, "0") == 0;
}

rad_status rad_transport_create(const rad_transport_ops *ops, void *state, int rank, int size, int cores, rad_transport **ret,
                                rad_error *err) {
    rad_transport *t = rad_calloc(1, sizeof *t);
    if (!t) {
        if (ops)
            ops->close(state, true);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    }
    *t = (rad_transport){.ops = ops, .state = state, .rank = rank, .size = size, .cores = cores, .mates = 1, .end = &t->first};
    *ret = t;
    return RAD_OK;
}

rad_status rad_transport_open(rad_transport **ret, rad_error *err) {
    void *state = NULL;
    int rank = 0, size = 1, cores = 1, mates = 1;
    uint64_t mask[16];
    rad_status st;
    if (rad_transport_has_launcher()) {
        st = rad_transport_mpi_open(&state, &rank, &size, &cores, &mates, err);
        if (st == RAD_OK)
            st = rad_transport_create(&rad_transport_mpi_ops, state, rank, size, cores, ret, err);
        if (st == RAD_OK)
            (*ret)->mates = mates;
        return st;
    }
    st = check_lonely_step(err);
    return st == RAD_OK ? rad_transport_create(NULL, NULL, 0, 1, rad_transport_affinity(mask, 16), ret, err) : st;
}

void rad_transport_close(rad_transport **tp, bool abandon) {
    rad_transport *t = *tp;
    if (!t)
        return;
    for (struct letter *l = t->first, *next; l; l = next) {
        next = l->next;
        rad_buf_release(&l->b);
        free(l);
    }
    if (t->ops)
        t->ops->close(t->state, abandon);
    free(t);
    *tp = NULL;
}

const char *rad_transport_name(const rad_transport *t) {
    return t->ops ? t->ops->name : "local";
}

int rad_transport_rank(const rad_transport *t) {
    return t->rank;
}

int rad_transport_size(const rad_transport *t) {
    return t->size;
}

int rad_transport_cores(const rad_transport *t) {
    return t->cores;
}

int rad_transport_mates(const rad_transport *t) {
    return t->mates;
}

rad_status rad_transport_send(rad_transport *t, int to, rad_buf *b, rad_error *err) {
    if (b->size > RAD_MAX_MESSAGE || to < 0 || to >= t->size) {
        rad_status st = rad_error_set(err, RAD_E_LIMIT, "cannot send %zu bytes to rank %d of %d: at most %zu fit into one message", b->size,
                                      to, t->size, RAD_MAX_MESSAGE);
        rad_buf_release(b);
        return st;
    }
    if (to != t->rank)
        return t->ops->send(t->state, to, b, err);
    struct letter *l = rad_calloc(1, sizeof *l);
    if (!l) {
        rad_buf_release(b);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a message");
    }
    l->b = *b;
    rad_buf_init(b, RAD_MAX_MESSAGE);
    *t->end = l;
    t->end = &l->next;
    return RAD_OK;
}

rad_status rad_transport_poll(rad_transport *t, int *ret_from, rad_buf *ret, bool *ret_got, rad_error *err) {
    struct letter *l = t->first;
    if (!l) {
        *ret_got = false;
        return t->ops ? t->ops->poll(t->state, ret_from, ret, ret_got, err) : RAD_OK;
    }
    t->first = l->next;
    if (!t->first)
        t->end = &t->first;
    *ret = l->b;
    *ret_from = t->rank;
    *ret_got = true;
    free(l);
    return RAD_OK;
}

rad_status rad_transport_broadcast(rad_transport *t, rad_buf *b, rad_error *err) {
    return t->size > 1 ? t->ops->broadcast(t->state, b, err) : RAD_OK;
}

bool rad_transport_flush(rad_transport *t, double seconds) {
    return t->ops ? t->ops->flush(t->state, seconds) : true;
}
