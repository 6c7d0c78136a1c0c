/* coordinator_ranks.c: the conversation with the ranks: messages, leases, deadlines, and who is taken for lost.
 *
 * The silence rule: every rank says something at least every RAD_ALIVE_SECONDS. One that has not been heard of for the time that the caller
 * allows is lost: what it held goes to others, nothing is sent to it any more, and nobody waits for it at the end. A case that it held
 * alone counts an attempt; of several nobody knows which one it was: they only become suspects (sched.h). When no rank is left the run
 * stops, resumable. A rank that hangs with one case, but answers, is not silent: that is what the deadlines of cases are for.
 */
#include "coordinator_impl.h"
#include "limit.h"

#include "worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_SECONDS 2.0 /* a reader sees what is that old; what a kill takes is in the journals of the ranks */
#define FLUSH_RESULTS 512
#define HELD_SECONDS 0.25 /* between tries to commit while another program holds the database */
#define START_SILENCES 10 /* a rank that builds its engines cannot speak: so many times the silence is allowed then */

/* ---------------------------------------------------------------- messages */

/* What a rank works with, once for all that say the same one after the other. */
static void tell_room(rad_coordinator *c, int from, const rad_wire_hello *h) {
    char text[256];
    (void)snprintf(text, sizeof text, "%s", h->room);
    if (!c->progress.on || strcmp(text, c->told) == 0)
        return;
    memcpy(c->told, text, sizeof text);
    rad_progress_clear(&c->progress);
    if (c->n_rank > 1)
        (void)fprintf(stderr, "rank %d on %s: %s\n", from, h->host, text);
    else
        (void)fprintf(stderr, "%s\n", text);
}

static rad_status take_hello(rad_coordinator *c, int from, const rad_buf *m, rad_error *err) {
    rad_wire_arena a = {0};
    rad_wire_hello h;
    rad_status st = rad_wire_get_hello(m->data, m->size, &a, &h, err);
    if (st == RAD_OK) {
        struct rank *r = &c->rank[from];
        r->host = rad_strdup(h.host);
        r->device = rad_strdup(h.device);
        r->window = h.window;
        r->since = rad_clock_seconds();
        tell_room(c, from, &h);
        if (c->out->room[0] == '\0')
            (void)snprintf(c->out->room, sizeof c->out->room, "%s", h.room);
        if (r->state == RANK_STARTING) {
            r->state = RANK_SERVING;
            c->out->n_rank++;
            c->out->n_loader += h.threads < RAD_MAX_LOADERS ? (int)h.threads : RAD_MAX_LOADERS;
        }
        if (!r->host || !r->device)
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for rank %d", from);
    }
    rad_wire_arena_release(&a);
    return st;
}

static rad_status store_result(rad_coordinator *c, int from, rad_wire_result *r, rad_error *err) {
    rad_case_result *res = &r->result;
    res->rank = from;
    res->host = c->rank[from].host;
    res->device = c->rank[from].device;
    double t = rad_clock_seconds();
    rad_status st = rad_store_put_result(c->store, c->run, res, err);
    c->write_s += rad_clock_seconds() - t;
    if (st != RAD_OK)
        return st;
    rad_farm_outcome *o = c->out;
    c->rank[from].n_result++;
    o->n_done++;
    rad_farm_add_times(o, res);
    rad_status why = RAD_OK;
    for (int i = 0; i < res->n_model && why == RAD_OK; i++)
        why = res->model[i].status;
    if (why != RAD_OK) {
        o->n_excluded++;
        rad_coordinator_count_reason(c, why);
    }
    c->unflushed++;
    return RAD_OK;
}

static rad_status take_result(rad_coordinator *c, int from, const rad_buf *m, rad_error *err) {
    rad_wire_arena a = {0};
    rad_wire_result r;
    rad_status st = rad_wire_get_result(m->data, m->size, &a, &r, err);
    if (st == RAD_OK && (r.index >= c->n_pending || c->pending[r.index].case_id != r.result.case_id || r.n_class != c->plan->job->n_class ||
                         r.result.n_model != c->plan->job->n_model))
        st = rad_error_set(err, RAD_E_COMM, "rank %d sent a result of a case that it cannot have", from);
    if (st == RAD_OK)
        c->rank[from].n_taken++;
    if (st == RAD_OK && rad_sched_complete(c->sched, r.index, from)) {
        if (r.moved)
            c->out->n_moved++;
        else
            st = store_result(c, from, &r, err);
    }
    rad_wire_arena_release(&a);
    return st;
}

static rad_status take_return(rad_coordinator *c, int from, const rad_buf *m, rad_error *err) {
    rad_wire_arena a = {0};
    rad_wire_cases r;
    rad_status st = rad_wire_get_return(m->data, m->size, &a, &r, err);
    for (int64_t i = 0; st == RAD_OK && i < r.n; i++)
        if (r.index[i] >= c->n_pending)
            st = rad_error_set(err, RAD_E_COMM, "rank %d gave back a case that it cannot have", from);
    if (st == RAD_OK)
        st = rad_coordinator_give_back(c, from, r.index, r.n, err);
    rad_wire_arena_release(&a);
    return st;
}

/* The rank leaves: what it holds goes back without blame, except what it was at when it happened. */
static rad_status retire(rad_coordinator *c, int from, const rad_wire_cases *guilty, rad_error *err) {
    int64_t held[RAD_MAX_LEASE_CASES], innocent[RAD_MAX_LEASE_CASES], n = rad_sched_held(c->sched, from, RAD_MAX_LEASE_CASES, held), k = 0;
    for (int64_t i = 0; i < n; i++) {
        bool blamed = false;
        for (int64_t g = 0; g < guilty->n; g++)
            blamed = blamed || guilty->index[g] == held[i];
        if (!blamed)
            innocent[k++] = held[i];
    }
    rad_status st = rad_coordinator_give_back(c, from, innocent, k, err);
    rad_sched_rank_lost(c->sched, from, true);
    return st;
}

static rad_status take_fault(rad_coordinator *c, int from, const rad_buf *m, rad_error *err) {
    rad_wire_arena a = {0};
    rad_wire_fault f;
    rad_status st = rad_wire_get_fault(m->data, m->size, &a, &f, err);
    if (st != RAD_OK)
        goto out;
    if (c->rank[from].state == RANK_LOST) {
        st = RAD_OK; /* its work is elsewhere already */
    } else if (f.status == RAD_E_STOPPED) {
        c->rank[from].state = RANK_CLOSING;
    } else if (rad_status_scope(f.status) == RAD_SCOPE_WORKER) {
        c->rank[from].state = RANK_OUT;
        c->last_fault = f.status;
        snprintf(c->fault_text, sizeof c->fault_text, "rank %d: %s", from, f.text);
        rad_progress_clear(&c->progress);
        rad_log(RAD_LOG_WARN, "rank %d is out of service, its work goes to others: %s", from, f.text);
        rad_session_bad_host(c->session, c->rank[from].host);
        st = retire(c, from, &f.guilty, err);
    } else { /* one rank knows something that holds for all */
        c->rank[from].state = RANK_OUT;
        st = c->n_rank > 1 ? rad_error_set(err, f.status, "rank %d: %s", from, f.text) : rad_error_set(err, f.status, "%s", f.text);
    }
out:
    rad_wire_arena_release(&a);
    return st;
}

static rad_status send_signal(rad_coordinator *c, int to, rad_wire_kind kind, rad_error *err) {
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    rad_status st = rad_wire_put_signal(&b, kind, err);
    if (st == RAD_OK)
        return rad_transport_send(c->t, to, &b, err);
    rad_buf_release(&b);
    return st;
}

rad_status rad_coordinator_acknowledge(rad_coordinator *c, rad_error *err) {
    for (int r = 0; r < c->n_rank; r++) {
        struct rank *k = &c->rank[r];
        if (k->n_told == k->n_taken || k->state == RANK_LOST || k->state == RANK_GONE || !rad_store_is_durable(c->store))
            continue;
        rad_buf b;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        k->n_told = k->n_taken;
        rad_status st = rad_wire_put_committed(&b, k->n_told, err);
        if (st != RAD_OK)
            rad_buf_release(&b);
        else
            st = rad_transport_send(c->t, r, &b, err);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

rad_status rad_coordinator_handle(rad_coordinator *c, int from, const rad_buf *message, rad_error *err) {
    rad_wire_kind kind;
    rad_status st = rad_wire_peek(message->data, message->size, &kind, err);
    if (st != RAD_OK)
        return rad_error_prefix(err, st, "rank %d: ", from);
    c->rank[from].heard = rad_clock_seconds();
    if (c->rank[from].state == RANK_LOST && kind == RAD_WIRE_ALIVE)
        return send_signal(c, from, RAD_WIRE_LEAVE, err); /* it is back, too late: what it has computed counts, more it does not get */
    switch (kind) {
    case RAD_WIRE_HELLO:
        return take_hello(c, from, message, err);
    case RAD_WIRE_RESULT:
        return take_result(c, from, message, err);
    case RAD_WIRE_RETURN:
        return take_return(c, from, message, err);
    case RAD_WIRE_FAULT:
        return take_fault(c, from, message, err);
    case RAD_WIRE_BYE:
        if (c->rank[from].state != RANK_LOST) /* whose launcher may have ended it: the end is not waited for with it */
            c->rank[from].state = RANK_GONE;
        return RAD_OK;
    case RAD_WIRE_ALIVE:
        return RAD_OK;
    default:
        return rad_error_set(err, RAD_E_COMM, "rank %d sent a message of kind %d", from, (int)kind);
    }
}

/* ---------------------------------------------------------------- leases */

static rad_status store_quarantined(rad_coordinator *c, rad_error *err) {
    int64_t index;
    while (rad_sched_take_quarantined(c->sched, 1, &index) == 1) {
        char text[160];
        snprintf(text, sizeof text, "took its rank down, or never came back, %d times: not tried again",
                 rad_sched_attempts(c->sched, index));
        rad_status st = rad_store_put_exclusion(c->store, c->run, c->pending[index].case_id, "farm", RAD_E_QUARANTINE, text, err);
        if (st != RAD_OK)
            return st;
        rad_coordinator_count_reason(c, RAD_E_QUARANTINE);
        c->out->n_done++;
        c->out->n_excluded++;
        c->unflushed++;
    }
    return RAD_OK;
}

static rad_status draft_lease(rad_coordinator *c, int rank, int64_t want, double now, struct draft *d, rad_error *err) {
    int64_t id[RAD_MAX_LEASE_CASES];
    d->rank = rank;
    d->n = rad_sched_lease(c->sched, rank, want < RAD_MAX_LEASE_CASES ? want : RAD_MAX_LEASE_CASES, now, d->index);
    if (d->n == 0)
        return RAD_OK;
    rad_status st = rad_plan_pack_lease(c->plan, c->pending, d->index, d->n, &d->message, err);
    if (st != RAD_OK)
        return st;
    for (int64_t i = 0; i < d->n; i++)
        id[i] = c->pending[d->index[i]].case_id;
    const double t = rad_clock_seconds();
    st = rad_store_put_lease(c->store, c->run, id, d->n, rank, err);
    c->write_s += rad_clock_seconds() - t;
    if (st != RAD_OK)
        rad_buf_release(&d->message);
    return st;
}

/* One commit for all of them, and for the results before them; then they are sent. */
static rad_status send_leases(rad_coordinator *c, struct draft *d, int n, rad_error *err) {
    const double t = rad_clock_seconds();
    rad_status st = n > 0 ? rad_store_flush(c->store, err) : RAD_OK;
    c->last_flush = rad_clock_seconds();
    c->write_s += c->last_flush - t;
    const bool held = st == RAD_OK && rad_store_is_held(c->store);
    if (n > 0 && st == RAD_OK && !held)
        c->unflushed = 0;
    for (int i = 0; i < n; i++) {
        if (st == RAD_OK && !held)
            st = rad_transport_send(c->t, d[i].rank, &d[i].message, err);
        else
            rad_buf_release(&d[i].message);
        if (held && st == RAD_OK)
            st = rad_coordinator_give_back(c, d[i].rank, d[i].index, d[i].n, err);
    }
    return st == RAD_OK && n > 0 && !held ? rad_coordinator_acknowledge(c, err) : st;
}

/* Every lease costs its share of a commit: those of one round are committed together. */
static rad_status lease_all(rad_coordinator *c, double now, int *ret_serving, rad_error *err) {
    int serving = 0, n = 0;
    rad_status st = RAD_OK;
    for (int r = 0; r < c->n_rank; r++)
        serving += c->rank[r].state == RANK_SERVING && rad_sched_rank_usable(c->sched, r);
    *ret_serving = serving;
    if (c->draining || rad_store_is_held(c->store))
        return RAD_OK;
    for (int r = 0; r < c->n_rank && st == RAD_OK; r++) {
        const struct rank *k = &c->rank[r];
        const double rate = (double)k->n_result / (now - k->since + 0.1);
        const int64_t want = k->state == RANK_SERVING ? rad_sched_want(c->sched, r, k->window, rate, serving) : 0;
        if (want <= 0)
            continue;
        st = draft_lease(c, r, want, now, &c->draft[n], err);
        n += st == RAD_OK && c->draft[n].n > 0;
        if (st == RAD_OK && n == MAX_DRAFTS) {
            st = send_leases(c, c->draft, n, err);
            n = 0;
            if (st == RAD_OK && rad_store_is_held(c->store))
                return RAD_OK;
        }
    }
    if (st == RAD_OK)
        return send_leases(c, c->draft, n, err);
    for (int i = 0; i < n; i++)
        rad_buf_release(&c->draft[i].message);
    return st;
}

static rad_status drain(rad_coordinator *c, rad_error *err) {
    c->draining = true;
    rad_sched_drain(c->sched);
    rad_progress_clear(&c->progress);
    if (!c->opts->quiet)
        (void)fputs(
            "stopping on request: what a network is at is finished, the rest is left for the next time; a second signal leaves at once\n",
            stderr);
    rad_status st = rad_coordinator_flush(c, err);
    for (int r = 0; r < c->n_rank && st == RAD_OK; r++) {
        if (c->rank[r].state != RANK_SERVING && c->rank[r].state != RANK_CLOSING)
            continue;
        st = send_signal(c, r, RAD_WIRE_DRAIN, err);
    }
    return st;
}

/* See the head of this file. */
static rad_status lose(rad_coordinator *c, int rank, double silent, rad_error *err) {
    struct rank *r = &c->rank[rank];
    int64_t index[RAD_MAX_LEASE_CASES], id[RAD_MAX_LEASE_CASES], n = rad_sched_held(c->sched, rank, RAD_MAX_LEASE_CASES, index), k = 0;
    rad_progress_clear(&c->progress);
    rad_log(RAD_LOG_WARN, "rank %d%s%s has not been heard of for %.0f s: taken for lost, its %" PRId64 " case%s to others", rank,
            r->host ? " on " : "", r->host ? r->host : "", silent, n, n == 1 ? " goes" : "s go");
    rad_session_bad_host(c->session, r->host);
    r->state = RANK_LOST;
    (void)rad_sched_rank_vanished(c->sched, rank);
    for (int64_t i = 0; i < n; i++)
        if (rad_sched_state(c->sched, index[i]) == RAD_LEASE_PENDING && n > 1)
            id[k++] = c->pending[index[i]].case_id;
    return k > 0 ? rad_store_return(c->store, c->run, id, k, err) : RAD_OK;
}

static rad_status find_lost(rad_coordinator *c, double now, rad_error *err) {
    rad_status st = RAD_OK;
    const double allowed = c->opts->silence > 0 ? c->opts->silence : RAD_SILENCE_SECONDS;
    for (int r = 0; r < c->n_rank && st == RAD_OK; r++) {
        const struct rank *k = &c->rank[r];
        const double patience = k->state == RANK_STARTING ? START_SILENCES * allowed : allowed;
        if (r != rad_transport_rank(c->t) && k->state != RANK_GONE && k->state != RANK_LOST && now - k->heard > patience)
            st = lose(c, r, now - k->heard, err);
    }
    return st;
}

rad_status rad_coordinator_tick(rad_coordinator *c, bool stop, bool *ret_over, rad_error *err) {
    rad_status st = RAD_OK;
    double now = rad_clock_seconds();
    int serving = 0, starting = 0, closing = 0;
    if (stop && !c->draining)
        RAD_TRY(drain(c, err));
    if (rad_sched_expire(c->sched, now) > 0)
        rad_log(RAD_LOG_WARN, "a case did not come back in time; it is given to another rank");
    RAD_TRY(find_lost(c, now, err));
    RAD_TRY(store_quarantined(c, err));
    RAD_TRY(lease_all(c, now, &serving, err));
    bool held = rad_store_is_held(c->store);
    if (held ? now - c->last_flush >= HELD_SECONDS
             : c->unflushed >= FLUSH_RESULTS || (c->unflushed > 0 && now - c->last_flush >= FLUSH_SECONDS))
        RAD_TRY(rad_coordinator_flush(c, err));
    rad_coordinator_tell_held(c);
    rad_progress_now p = rad_coordinator_progress(c, serving);
    rad_progress_show(&c->progress, &p, now, false);
    c->out->write_s = c->write_s;
    rad_session_progress(c->session, c->run, &p, now);
    rad_sched_counts n = rad_sched_count(c->sched);
    for (int r = 0; r < c->n_rank; r++) {
        starting += c->rank[r].state == RANK_STARTING;
        closing += c->rank[r].state == RANK_CLOSING;
    }
    *ret_over = n.leased == 0 && (n.pending == 0 || c->draining);
    if (!*ret_over && serving + starting == 0 && n.leased == 0) {
        if (c->last_fault == RAD_OK || closing > 0) { /* every rank was asked to stop, one by one */
            c->draining = true;
            *ret_over = true;
        } else {
            st = rad_error_set(err, c->last_fault,
                               "no rank is left in service, %" PRId64 " cases are still to be done; the last one left because: %s",
                               n.pending, c->fault_text);
        }
    }
out:
    return st;
}

/* ---------------------------------------------------------------- end */

bool rad_coordinator_has_lost(const rad_coordinator *c) {
    for (int r = 0; r < c->n_rank; r++)
        if (c->rank[r].state == RANK_LOST)
            return true;
    return false;
}

rad_status rad_coordinator_dismiss(rad_coordinator *c, rad_error *err) {
    rad_status st = RAD_OK;
    rad_wire_kind how = rad_coordinator_has_lost(c) ? RAD_WIRE_LEAVE : RAD_WIRE_QUIT;
    for (int r = 0; r < c->n_rank && st == RAD_OK; r++)
        if (c->rank[r].state != RANK_GONE && c->rank[r].state != RANK_LOST)
            st = send_signal(c, r, how, err);
    return st;
}

bool rad_coordinator_alone(const rad_coordinator *c) {
    for (int r = 0; r < c->n_rank; r++)
        if (c->rank[r].state != RANK_GONE && c->rank[r].state != RANK_LOST && r != rad_transport_rank(c->t))
            return false;
    return true;
}
