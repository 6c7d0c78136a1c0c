/* simulate.c: see simulate.h. The ranks need no events of their own: a rank works its leases off in their order, so the time of each result
 * is known when its case is handed out. What waits is one heap of messages on their way to the coordinator. */
#include "radcohort/simulate.h"

#include <math.h>
#include <stdlib.h>

struct event { /* at the coordinator; index -1: the rank has been silent for too long */
    double at;
    int64_t index;
    int rank;
};

struct rank {
    double free;  /* when it is through with what it has */
    double death; /* HUGE_VAL: never */
    int64_t n_result;
    bool lost;
};

struct sim {
    const rad_sim_opts *o;
    rad_sched *sched;
    const double *cost;
    struct rank *rank;
    struct event *heap;
    int64_t n_heap, cap_heap;
    int serving;
    double now, busy;
    rad_sim_result *out;
};

/* ---------------------------------------------------------------- chance */

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In (0, 1). */
static double next_uniform(uint64_t *state) {
    return ((double)(next_random(state) >> 11) + 0.5) / 9007199254740992.0;
}

void rad_sim_costs(double *ret, int64_t n, double mean, double spread, uint64_t seed) {
    const double range = log(spread),
                 unit = range > 0 ? mean * range / (spread - 1) : mean; /* mean of exp(U range): (spread - 1) / range */
    for (int64_t i = 0; i < n; i++)
        ret[i] = unit * exp(range * next_uniform(&seed));
}

/* ---------------------------------------------------------------- messages */

static bool before(const struct event *a, const struct event *b) {
    return a->at < b->at || (a->at == b->at && (a->rank < b->rank || (a->rank == b->rank && a->index < b->index)));
}

static rad_status post(struct sim *s, struct event e, rad_error *err) {
    if (s->n_heap == s->cap_heap) {
        int64_t cap = s->cap_heap ? 2 * s->cap_heap : 1024;
        struct event *more = rad_realloc(s->heap, (size_t)cap, sizeof *more);
        if (!more)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld messages", (long long)cap);
        s->heap = more;
        s->cap_heap = cap;
    }
    int64_t at = s->n_heap++;
    for (; at > 0 && before(&e, &s->heap[(at - 1) / 2]); at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = e;
    return RAD_OK;
}

static struct event take(struct sim *s) {
    const struct event first = s->heap[0], last = s->heap[--s->n_heap];
    int64_t at = 0;
    for (int64_t child; (child = 2 * at + 1) < s->n_heap; at = child) {
        if (child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[at] = s->heap[child];
    }
    if (s->n_heap > 0)
        s->heap[at] = last;
    return first;
}

/* ---------------------------------------------------------------- the coordinator */

static void spend(struct sim *s, double seconds) {
    s->now += seconds;
    s->out->coordinator_s += seconds;
}

static void handle(struct sim *s, const struct event *e) {
    struct rank *r = &s->rank[e->rank];
    int64_t index;
    if (e->index < 0) {
        r->lost = true;
        s->serving--;
        s->out->n_lost_rank++;
        s->out->n_repeated += rad_sched_rank_vanished(s->sched, e->rank);
        while (rad_sched_take_quarantined(s->sched, 1, &index) == 1)
            s->out->n_quarantined++;
        return;
    }
    s->out->n_message++;
    spend(s, s->o->result_s);
    r->n_result++;
    if (rad_sched_complete(s->sched, e->index, e->rank))
        s->busy += s->cost[e->index];
}

/* The rank works them off one after the other, and tells of each; until it dies. */
static rad_status hand_out(struct sim *s, int rank, const int64_t *index, int64_t n, rad_error *err) {
    struct rank *r = &s->rank[rank];
    rad_status st = RAD_OK;
    const double there = s->now + s->o->latency_s;
    if (r->free < there) {
        s->out->idle_s += there - r->free;
        r->free = there;
    }
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        r->free += s->cost[index[i]];
        if (r->free <= r->death)
            st = post(s, (struct event){r->free + s->o->latency_s, index[i], rank}, err);
    }
    return st;
}

static rad_status lease_all(struct sim *s, rad_error *err) {
    int64_t index[RAD_SCHED_MAX_HOLD], got = 0;
    rad_status st = RAD_OK;
    for (int r = 0; r < s->o->n_rank && st == RAD_OK; r++) {
        if (s->rank[r].lost)
            continue;
        const double rate = (double)s->rank[r].n_result / (s->now + 0.1);
        const int64_t want = rad_sched_want(s->sched, r, s->o->window, rate, s->serving);
        const int64_t n = want > 0 ? rad_sched_lease(s->sched, r, want < RAD_SCHED_MAX_HOLD ? want : RAD_SCHED_MAX_HOLD, s->now, index) : 0;
        if (n == 0)
            continue;
        spend(s, s->o->lease_s + s->o->lease_case_s * (double)n + (got == 0 ? s->o->commit_s : 0)); /* all of a round in one commit */
        got += n;
        s->out->n_lease++;
        s->out->n_message++;
        st = hand_out(s, r, index, n, err);
    }
    return st;
}

static rad_status go(struct sim *s, rad_error *err) {
    rad_status st = lease_all(s, err);
    while (st == RAD_OK && s->n_heap > 0) {
        const rad_sched_counts left = rad_sched_count(s->sched);
        if (left.pending + left.leased == 0)
            break;
        if (s->now < s->heap[0].at)
            s->now = s->heap[0].at;
        for (double until = s->now; s->n_heap > 0 && s->heap[0].at <= until;) { /* what came meanwhile waits for the next round */
            const struct event e = take(s);
            handle(s, &e);
        }
        st = lease_all(s, err);
    }
    return st;
}

/* ---------------------------------------------------------------- life */

static rad_status check(int64_t n, const rad_sim_opts *o, rad_error *err) {
    if (n < 1 || n > RAD_MAX_SIM_CASES || o->n_rank < 1 || o->n_rank > RAD_MAX_SIM_RANKS || o->window < 1 ||
        o->window > RAD_SCHED_MAX_HOLD || !(o->fail_rate >= 0 && o->fail_rate < 1))
        return rad_error_set(err, RAD_E_USAGE,
                             "a simulation needs 1 to %d cases, 1 to %d ranks, a window of 1 to %d and a rate of failure of at least 0 and "
                             "below 1",
                             RAD_MAX_SIM_CASES, RAD_MAX_SIM_RANKS, RAD_SCHED_MAX_HOLD);
    return RAD_OK;
}

/* Lives are exponential: so many ranks as asked for are dead when an undisturbed run would be over. */
static rad_status draw_deaths(struct sim *s, double ideal, rad_error *err) {
    uint64_t state = s->o->seed ^ UINT64_C(0xdead);
    const double hazard = -log1p(-s->o->fail_rate) / ideal;
    rad_status st = RAD_OK;
    for (int r = 0; r < s->o->n_rank && st == RAD_OK; r++) {
        s->rank[r].death = hazard > 0 ? -log(next_uniform(&state)) / hazard : HUGE_VAL;
        if (hazard > 0)
            st = post(s, (struct event){s->rank[r].death + s->o->silence_s, -1, r}, err);
    }
    return st;
}

rad_status rad_sim_run(const double *cost, int64_t n, const rad_sim_opts *o, rad_sim_result *ret, rad_error *err) {
    rad_sim_result out = {0};
    struct sim s = {.o = o, .cost = cost, .serving = o->n_rank, .out = &out};
    rad_sched_case *item = NULL;
    const rad_sched_opts never = {0, 0};
    rad_status st;
    RAD_TRY(check(n, o, err));
    item = rad_calloc((size_t)n, sizeof *item);
    s.rank = rad_calloc((size_t)o->n_rank, sizeof *s.rank);
    if (!item || !s.rank) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld cases", (long long)n);
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        item[i] = (rad_sched_case){.id = i, .cost = cost[i]};
        out.work_s += cost[i];
    }
    RAD_TRY(rad_sched_create(item, n, o->n_rank, &never, &s.sched, err));
    free(item); /* it was copied */
    item = NULL;
    RAD_TRY(draw_deaths(&s, out.work_s / o->n_rank, err));
    RAD_TRY(go(&s, err));
    const rad_sched_counts left = rad_sched_count(s.sched);
    out.seconds = s.now;
    out.n_done = left.done;
    out.n_left = left.pending + left.leased;
    out.efficiency = s.now > 0 ? s.busy / (s.now * o->n_rank) : 1;
    *ret = out;
out:
    free(item);
    free(s.rank);
    free(s.heap);
    rad_sched_destroy(&s.sched);
    return st;
}
