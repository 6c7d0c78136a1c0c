/* sched.c: the lease state machine of sched.h.
 *
 *   PENDING --lease--> LEASED --complete--> DONE
 *      ^                  |
 *      +--return, lost----+--lost for the RAD_MAX_ATTEMPTS-th time--> QUARANTINED
 *
 * Pending cases stand in one binary heap. Its key is the position in the order (cost descending, index ascending), with the tiers of
 * suspicion one behind the other. Leased cases stand in one doubly linked list, so that what is done on a loss or a time-out costs by the
 * number of leases, not of cases. A case that is completed while pending leaves a stale heap entry, which the next lease throws away.
 */
#include "radcohort/sched.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIER_FREE, TIER_ALONE_ON_RANK, TIER_ALONE };

struct node {
    double deadline; /* HUGE_VAL: none */
    int64_t pos;     /* place in the order */
    int64_t prev, next;
    int rank, attempts;
    int lost; /* attempts included; its tier is this, at most TIER_ALONE */
    rad_lease_state state;
};

struct rank {
    int64_t held;
    bool out, silent, has_suspect;
};

struct rad_sched {
    rad_sched_case *item;
    struct node *node;
    int64_t n, *heap, n_heap;
    struct rank *rank;
    int n_rank;
    int64_t leased_head;                      /* list through node.next; -1 ends it */
    int64_t *quarantine, n_quarantine, taken; /* in order of condemnation */
    rad_sched_opts opts;
    rad_sched_counts count;
    bool draining;
};

/* ---------------------------------------------------------------- heap of pending cases */

static int tier_of(const rad_sched *s, int64_t i) {
    return s->node[i].lost < TIER_ALONE ? s->node[i].lost : TIER_ALONE;
}

static int64_t key_of(const rad_sched *s, int64_t i) {
    return s->node[i].pos + tier_of(s, i) * s->n;
}

static void heap_push(rad_sched *s, int64_t i) {
    int64_t at = s->n_heap++, key = key_of(s, i);
    while (at > 0) {
        int64_t up = (at - 1) / 2;
        if (key_of(s, s->heap[up]) <= key)
            break;
        s->heap[at] = s->heap[up];
        at = up;
    }
    s->heap[at] = i;
}

static void heap_pop(rad_sched *s) {
    int64_t last = s->heap[--s->n_heap], at = 0;
    if (s->n_heap == 0)
        return;
    int64_t key = key_of(s, last);
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= s->n_heap)
            break;
        if (child + 1 < s->n_heap && key_of(s, s->heap[child + 1]) < key_of(s, s->heap[child]))
            child++;
        if (key_of(s, s->heap[child]) >= key)
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
}

/* The pending case that is next, or -1. */
static int64_t heap_top(rad_sched *s) {
    while (s->n_heap > 0 && s->node[s->heap[0]].state != RAD_LEASE_PENDING)
        heap_pop(s);
    return s->n_heap > 0 ? s->heap[0] : -1;
}

/* ---------------------------------------------------------------- life */

struct cost_index {
    double cost;
    int64_t index;
};

static int by_cost(const void *a, const void *b) {
    const struct cost_index *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost > y->cost ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void quarantine(rad_sched *s, int64_t i) {
    s->node[i].state = RAD_LEASE_QUARANTINED;
    s->quarantine[s->n_quarantine++] = i;
    s->count.quarantined++;
    s->count.cost_done += s->item[i].cost;
}

static void make_pending(rad_sched *s, int64_t i) {
    s->node[i].state = RAD_LEASE_PENDING;
    s->count.pending++;
    heap_push(s, i);
}

rad_status rad_sched_create(const rad_sched_case *item, int64_t n, int n_rank, const rad_sched_opts *opts, rad_sched **ret,
                            rad_error *err) {
    if (n < 0 || n_rank < 1)
        return rad_error_set(err, RAD_E_INTERNAL, "a schedule of %lld cases for %d ranks makes no sense", (long long)n, n_rank);
    size_t count = n > 0 ? (size_t)n : 1;
    rad_sched *s = rad_calloc(1, sizeof *s);
    struct cost_index *order = rad_calloc(count, sizeof *order);
    if (s) {
        s->item = rad_calloc(count, sizeof *s->item);
        s->node = rad_calloc(count, sizeof *s->node);
        s->heap = rad_calloc(count, sizeof *s->heap);
        s->quarantine = rad_calloc(count, sizeof *s->quarantine);
        s->rank = rad_calloc((size_t)n_rank, sizeof *s->rank);
    }
    if (!s || !order || !s->item || !s->node || !s->heap || !s->quarantine || !s->rank) {
        free(order);
        rad_sched_destroy(&s);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a schedule of %lld cases", (long long)n);
    }
    s->n = n;
    s->n_rank = n_rank;
    s->opts = *opts;
    s->leased_head = -1;
    for (int64_t i = 0; i < n; i++) {
        s->item[i] = item[i];
        if (!isfinite(item[i].cost) || item[i].cost < 0)
            s->item[i].cost = 0;
        s->count.cost_total += s->item[i].cost;
        order[i] = (struct cost_index){s->item[i].cost, i};
    }
    qsort(order, (size_t)n, sizeof *order, by_cost);
    for (int64_t p = 0; p < n; p++)
        s->node[order[p].index].pos = p;
    free(order);
    for (int64_t i = 0; i < n; i++) {
        struct node *d = &s->node[i];
        d->rank = -1;
        d->prev = d->next = -1;
        d->attempts = item[i].attempts;
        d->lost = item[i].lost > item[i].attempts ? item[i].lost : item[i].attempts;
        if (d->lost < 0)
            d->lost = 0;
        if (d->attempts >= RAD_MAX_ATTEMPTS)
            quarantine(s, i);
        else
            make_pending(s, i);
    }
    *ret = s;
    return RAD_OK;
}

void rad_sched_destroy(rad_sched **s) {
    if (!*s)
        return;
    free((*s)->item);
    free((*s)->node);
    free((*s)->heap);
    free((*s)->quarantine);
    free((*s)->rank);
    free(*s);
    *s = NULL;
}

/* ---------------------------------------------------------------- leases */

static bool rank_valid(const rad_sched *s, int rank) {
    return rank >= 0 && rank < s->n_rank;
}

static void link_lease(rad_sched *s, int64_t i, int rank, double now) {
    struct node *d = &s->node[i];
    d->state = RAD_LEASE_LEASED;
    d->rank = rank;
    d->deadline = s->opts.deadline_base_s > 0 ? now + s->opts.deadline_base_s + s->opts.deadline_per_cost_s * s->item[i].cost : HUGE_VAL;
    d->prev = -1;
    d->next = s->leased_head;
    if (s->leased_head >= 0)
        s->node[s->leased_head].prev = i;
    s->leased_head = i;
    s->rank[rank].held++;
    s->rank[rank].has_suspect = d->lost > 0;
    s->count.pending--;
    s->count.leased++;
}

static void unlink_lease(rad_sched *s, int64_t i) {
    struct node *d = &s->node[i];
    if (d->prev >= 0)
        s->node[d->prev].next = d->next;
    else
        s->leased_head = d->next;
    if (d->next >= 0)
        s->node[d->next].prev = d->prev;
    s->rank[d->rank].held--;
    s->rank[d->rank].has_suspect = false; /* a suspect is held alone: whatever leaves, none is left */
    d->rank = -1;
    d->prev = d->next = -1;
    s->count.leased--;
}

/* A lease came to nothing. */
static void drop(rad_sched *s, int64_t i, bool guilty, bool suspect) {
    unlink_lease(s, i);
    s->node[i].attempts += guilty;
    s->node[i].lost += guilty || suspect;
    if (s->node[i].attempts >= RAD_MAX_ATTEMPTS)
        quarantine(s, i);
    else
        make_pending(s, i);
}

int64_t rad_sched_lease(rad_sched *s, int rank, int64_t max, double now, int64_t *ret_index) {
    if (s->draining || !rad_sched_rank_usable(s, rank) || s->rank[rank].has_suspect)
        return 0;
    int64_t got = 0;
    while (got < max) {
        int64_t i = heap_top(s);
        if (i < 0)
            break;
        int tier = tier_of(s, i); /* while one that must be alone is out, all that is pending must be, too: they are the last */
        if ((tier >= TIER_ALONE_ON_RANK && s->rank[rank].held > 0) || (tier == TIER_ALONE && s->count.leased > 0))
            break;
        heap_pop(s);
        link_lease(s, i, rank, now);
        ret_index[got++] = i;
        if (tier > TIER_FREE)
            break;
    }
    return got;
}

int64_t rad_sched_want(const rad_sched *s, int rank, int64_t window, double results_per_s, int64_t serving) {
    const int64_t pending = s->count.pending, held = rad_sched_load(s, rank);
    int64_t target = results_per_s < RAD_SCHED_MAX_HOLD ? (int64_t)results_per_s : RAD_SCHED_MAX_HOLD;
    if (target < window)
        target = window;
    const int64_t share = serving > 1 ? pending / (2 * serving) : target;
    if (target > share)
        target = share > 2 ? share : 2;
    return pending > 0 && held <= target / 2 ? target - held : 0;
}

bool rad_sched_complete(rad_sched *s, int64_t index, int rank) {
    if (rank_valid(s, rank))
        s->rank[rank].silent = false;
    if (index < 0 || index >= s->n)
        return false;
    struct node *d = &s->node[index];
    if (d->state == RAD_LEASE_DONE || d->state == RAD_LEASE_QUARANTINED)
        return false;
    if (d->state == RAD_LEASE_LEASED)
        unlink_lease(s, index);
    else
        s->count.pending--;
    d->state = RAD_LEASE_DONE;
    s->count.done++;
    s->count.cost_done += s->item[index].cost;
    return true;
}

void rad_sched_return(rad_sched *s, int64_t index, int rank) {
    if (rank_valid(s, rank))
        s->rank[rank].silent = false;
    if (index < 0 || index >= s->n || s->node[index].state != RAD_LEASE_LEASED || s->node[index].rank != rank)
        return;
    drop(s, index, false, false);
}

int64_t rad_sched_rank_lost(rad_sched *s, int rank, bool guilty) {
    if (!rank_valid(s, rank))
        return 0;
    s->rank[rank].out = true;
    int64_t n = 0;
    for (int64_t i = s->leased_head, next; i >= 0; i = next) {
        next = s->node[i].next;
        if (s->node[i].rank != rank)
            continue;
        drop(s, i, guilty, false);
        n++;
    }
    return n;
}

int64_t rad_sched_rank_vanished(rad_sched *s, int rank) {
    if (!rank_valid(s, rank))
        return 0;
    const int64_t held = s->rank[rank].held;
    s->rank[rank].out = true;
    for (int64_t i = s->leased_head, next; i >= 0; i = next) {
        next = s->node[i].next;
        if (s->node[i].rank == rank)
            drop(s, i, held == 1, true);
    }
    return held;
}

int64_t rad_sched_expire(rad_sched *s, double now) {
    int64_t n = 0;
    for (int64_t i = s->leased_head, next; i >= 0; i = next) {
        next = s->node[i].next;
        if (now < s->node[i].deadline)
            continue;
        s->rank[s->node[i].rank].silent = true;
        drop(s, i, true, true);
        n++;
    }
    return n;
}

int64_t rad_sched_take_quarantined(rad_sched *s, int64_t max, int64_t *ret_index) {
    int64_t n = 0;
    while (n < max && s->taken < s->n_quarantine)
        ret_index[n++] = s->quarantine[s->taken++];
    return n;
}

void rad_sched_drain(rad_sched *s) {
    s->draining = true;
}

int64_t rad_sched_held(const rad_sched *s, int rank, int64_t max, int64_t *ret_index) {
    int64_t n = 0;
    for (int64_t i = s->leased_head; i >= 0 && n < max; i = s->node[i].next)
        if (s->node[i].rank == rank)
            ret_index[n++] = i;
    return n;
}

bool rad_sched_rank_usable(const rad_sched *s, int rank) {
    return rank_valid(s, rank) && !s->rank[rank].out && !s->rank[rank].silent;
}

int64_t rad_sched_load(const rad_sched *s, int rank) {
    return rank_valid(s, rank) ? s->rank[rank].held : 0;
}

rad_sched_counts rad_sched_count(const rad_sched *s) {
    return s->count;
}

const rad_sched_case *rad_sched_get(const rad_sched *s, int64_t index) {
    return index >= 0 && index < s->n ? &s->item[index] : NULL;
}

rad_lease_state rad_sched_state(const rad_sched *s, int64_t index) {
    return s->node[index].state;
}

int rad_sched_attempts(const rad_sched *s, int64_t index) {
    return s->node[index].attempts;
}
