/* coordinator.c: see coordinator.h.
 *
 * Order of things, so that any process may die at any time: a lease is committed, then sent; a result is committed some time after it came
 * (what was not is leased again by the next session); the run is marked finished when everything is in. */
#include "coordinator.h"

#include "crash.h"
#include "radcohort/sched.h"
#include "signals.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_SECONDS 2.0 /* results may be lost (and are computed again) that far back */
#define FLUSH_RESULTS 512
#define HELD_SECONDS 0.25 /* between tries to commit while another program holds the database */
#define HELD_PATIENCE 5.0 /* seconds that a stopping run waits for it */
#define LEASE_SECONDS 1.0
#define DEADLINE_BASE 1800.0 /* seconds; a case that takes longer than this and a megabyte a second has hung */
#define DEADLINE_PER_BYTE 1e-6

enum rank_state { RANK_STARTING, RANK_SERVING, RANK_CLOSING /* finishes what it has */, RANK_OUT, RANK_GONE };

struct rank {
    enum rank_state state;
    char *host, *device;
    int64_t window, n_result; /* cases it wants to hold; cases it gave results for */
    double since;             /* when it came into service */
};

struct rad_coordinator {
    const rad_farm_opts *opts;
    rad_plan *plan;
    rad_transport *t;
    rad_store *store;
    rad_sched *sched;
    rad_pending_case *pending;
    int64_t n_pending, run;
    struct rank *rank;
    int n_rank;
    rad_progress progress;
    rad_farm_outcome *out;
    double start, last_flush, write_s;
    int64_t unflushed;
    bool draining, told_held;
    rad_status last_fault; /* of a rank that left, for the case that none is left */
    char fault_text[RAD_ERROR_TEXT + 64];
};

/* ---------------------------------------------------------------- begin */

static rad_status begin_run(rad_coordinator *c, int threads, bool *ret_finished, rad_error *err) {
    char host[256] = "", versions[512];
    (void)gethostname(host, sizeof host - 1);
    snprintf(versions, sizeof versions, "{\"radcohort\": \"%s\", \"engine\": \"%.300s\"}", rad_version(), c->plan->backend_version);
    rad_run_info info = {.job = c->plan->job,
                         .cohort = c->plan->cohort,
                         .manifest = c->plan->manifest,
                         .model = c->plan->run_model,
                         .backend = c->plan->backend,
                         .backend_version = c->plan->backend_version,
                         .precision = rad_precision_name(c->plan->precision),
                         .files_sha256 = c->plan->files_sha256,
                         .rules = RAD_RULES_REVISION,
                         .host = host,
                         .launch_mode = rad_transport_name(c->t),
                         .command_line = c->opts->command_line ? c->opts->command_line : "",
                         .versions_json = versions,
                         .n_rank = c->n_rank,
                         .threads = threads};
    char id[RAD_STORE_ID_TEXT];
    rad_status st = rad_store_begin_run(c->store, &info, &c->run, &c->out->resumed, ret_finished, &c->pending, &c->n_pending, err);
    if (st == RAD_OK)
        st = rad_store_get_id(c->store, id, err);
    if (st == RAD_OK)
        snprintf(c->plan->crash_tag, sizeof c->plan->crash_tag, "%s %" PRId64, id, c->run);
    return st;
}

static rad_status make_schedule(rad_coordinator *c, rad_error *err) {
    rad_status st = RAD_OK;
    rad_sched_case *item = rad_calloc((size_t)c->n_pending + 1, sizeof *item);
    int64_t *id = rad_calloc((size_t)c->n_pending + 1, sizeof *id);
    int *crashes = rad_calloc((size_t)c->n_pending + 1, sizeof *crashes);
    if (!item || !id || !crashes) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " cases", c->n_pending);
        goto out;
    }
    for (int64_t i = 0; i < c->n_pending; i++)
        id[i] = c->pending[i].case_id;
    RAD_TRY(rad_crash_read(c->plan->database, c->plan->crash_tag, id, c->n_pending, crashes, err));
    for (int64_t i = 0; i < c->n_pending; i++)
        item[i] = (rad_sched_case){.id = id[i],
                                   .cost = c->plan->cost[c->pending[i].manifest_index],
                                   .attempts = c->pending[i].attempts + crashes[i],
                                   .lost = c->pending[i].lost};
    rad_sched_opts o = {DEADLINE_BASE, DEADLINE_PER_BYTE};
    RAD_TRY(rad_sched_create(item, c->n_pending, c->n_rank, &o, &c->sched, err));
out:
    free(item);
    free(id);
    free(crashes);
    return st;
}

/* What another program's hold on the file brought down is not lost: the same command goes on from the last commit. */
static rad_status stopped_if_held(const rad_coordinator *c, rad_status st, rad_error *err) {
    return st == RAD_E_STORE && c->store && rad_store_is_held(c->store) ? rad_error_prefix(err, RAD_E_STOPPED, "stopped, resumable: ") : st;
}

rad_status rad_coordinator_create(const rad_farm_opts *o, rad_plan *plan, rad_transport *t, int threads, rad_farm_outcome *outcome,
                                  rad_coordinator **ret, bool *ret_nothing, rad_error *err) {
    rad_status st = RAD_OK;
    bool finished = false;
    rad_coordinator *c = rad_calloc(1, sizeof *c);
    if (!c)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    c->opts = o;
    c->plan = plan;
    c->t = t;
    c->out = outcome;
    c->n_rank = rad_transport_size(t);
    c->start = c->last_flush = rad_clock_seconds();
    c->rank = rad_calloc((size_t)c->n_rank, sizeof *c->rank);
    if (!c->rank) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %d ranks", c->n_rank);
        goto out;
    }
    if (c->n_rank > 1)
        c->rank[0].state = RANK_GONE; /* coordinates only */
    char *dir = rad_path_dir(plan->database);
    st = dir ? rad_mkdirs(dir, err) : rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    free(dir);
    if (st != RAD_OK)
        goto out;
    struct stat before;
    bool made = stat(plan->database, &before) != 0;
    RAD_TRY(rad_store_open(plan->database, RAD_STORE_WRITE, &c->store, err));
    if (made)
        rad_crash_forget(plan->database, NULL);
    RAD_TRY(begin_run(c, threads, &finished, err));
    RAD_TRY(make_schedule(c, err));
    rad_progress_start(&c->progress, !o->quiet, c->start);
    *ret_nothing = finished || c->n_pending == 0;
    outcome->nothing_to_do = finished;
    *ret = c;
    c = NULL;
out:
    if (c)
        st = stopped_if_held(c, st, err);
    rad_coordinator_destroy(&c);
    return st;
}

void rad_coordinator_destroy(rad_coordinator **cp) {
    rad_coordinator *c = *cp;
    if (!c)
        return;
    for (int i = 0; c->rank && i < c->n_rank; i++) {
        free(c->rank[i].host);
        free(c->rank[i].device);
    }
    free(c->rank);
    rad_sched_destroy(&c->sched);
    rad_store_close(&c->store);
    free(c->pending);
    free(c);
    *cp = NULL;
}

rad_status rad_coordinator_known(const rad_coordinator *c, rad_known *ret, rad_error *err) {
    return rad_store_known_keys(c->store, c->run, RAD_MAX_KNOWN_KEYS, &ret->key, &ret->n, err);
}

/* ---------------------------------------------------------------- database, on the clock */

static rad_status flush(rad_coordinator *c, rad_error *err) {
    double t = rad_clock_seconds();
    rad_status st = rad_store_flush(c->store, err);
    c->last_flush = rad_clock_seconds();
    c->write_s += c->last_flush - t;
    if (st == RAD_OK && !rad_store_is_held(c->store))
        c->unflushed = 0;
    return st;
}

static void tell_held(rad_coordinator *c) {
    if (c->told_held || !rad_store_is_held(c->store))
        return;
    c->told_held = true;
    rad_progress_clear(&c->progress);
    rad_log(RAD_LOG_WARN,
            "another program (sqlite3, DBeaver, R) has a transaction open on '%s': results are kept and written when it ends; no new work "
            "is handed out until then",
            c->plan->database);
}

/* Until the last batch is in. A run that is to stop waits a little, one that is done as long as nobody asks it to stop. */
static rad_status await_commit(rad_coordinator *c, rad_error *err) {
    rad_status st = RAD_OK;
    double until = 0;
    while (st == RAD_OK && rad_store_is_held(c->store)) {
        double now = rad_clock_seconds();
        tell_held(c);
        if (until == 0 && (c->draining || rad_signals_asked() != 0))
            until = now + HELD_PATIENCE;
        if (until > 0 && now > until)
            return rad_error_set(err, RAD_E_STOPPED,
                                 "another program still has a transaction open on '%s': what was not written is lost; close it, and the "
                                 "same command goes on from the last commit",
                                 c->plan->database);
        rad_transport_nap(0.05);
        st = flush(c, err);
    }
    return st;
}

static rad_status give_back(rad_coordinator *c, int rank, const int64_t *index, int64_t n, rad_error *err) {
    int64_t id[RAD_MAX_LEASE_CASES];
    for (int64_t i = 0; i < n; i++) {
        id[i] = c->pending[index[i]].case_id;
        rad_sched_return(c->sched, index[i], rank);
    }
    return n > 0 ? rad_store_return(c->store, c->run, id, n, err) : RAD_OK;
}

static void count_reason(rad_coordinator *c, rad_status why) {
    const char *text = rad_status_reason(why);
    rad_farm_outcome *o = c->out;
    for (int i = 0; i < o->n_reason; i++)
        if (strcmp(o->reason[i].reason, text) == 0) {
            o->reason[i].n++;
            return;
        }
    if (o->n_reason < RAD_FARM_REASONS) {
        snprintf(o->reason[o->n_reason].reason, sizeof o->reason[0].reason, "%s", text);
        o->reason[o->n_reason++].n = 1;
    }
}

static rad_status store_quarantined(rad_coordinator *c, rad_error *err) {
    int64_t index;
    while (rad_sched_take_quarantined(c->sched, 1, &index) == 1) {
        char text[160];
        snprintf(text, sizeof text, "took its rank down, or never came back, %d times: not tried again",
                 rad_sched_attempts(c->sched, index));
        rad_status st = rad_store_put_exclusion(c->store, c->run, c->pending[index].case_id, "farm", RAD_E_QUARANTINE, text, err);
        if (st != RAD_OK)
            return st;
        count_reason(c, RAD_E_QUARANTINE);
        c->out->n_done++;
        c->out->n_excluded++;
        c->unflushed++;
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- messages */

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
        r->state = RANK_SERVING;
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
    o->read_s += res->read_s;
    o->prepare_s += res->prepare_s;
    o->infer_s += res->infer_s;
    o->read_bytes += res->read_bytes;
    rad_status why = RAD_OK;
    for (int i = 0; i < res->n_model && why == RAD_OK; i++)
        why = res->model[i].status;
    if (why != RAD_OK) {
        o->n_excluded++;
        count_reason(c, why);
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
    if (st == RAD_OK && rad_sched_complete(c->sched, r.index, from))
        st = store_result(c, from, &r, err);
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
        st = give_back(c, from, r.index, r.n, err);
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
    rad_status st = give_back(c, from, innocent, k, err);
    rad_sched_rank_lost(c->sched, from, true);
    return st;
}

static rad_status take_fault(rad_coordinator *c, int from, const rad_buf *m, rad_error *err) {
    rad_wire_arena a = {0};
    rad_wire_fault f;
    rad_status st = rad_wire_get_fault(m->data, m->size, &a, &f, err);
    if (st != RAD_OK)
        goto out;
    if (f.status == RAD_E_STOPPED) {
        c->rank[from].state = RANK_CLOSING;
    } else if (rad_status_scope(f.status) == RAD_SCOPE_WORKER) {
        c->rank[from].state = RANK_OUT;
        c->last_fault = f.status;
        snprintf(c->fault_text, sizeof c->fault_text, "rank %d: %s", from, f.text);
        rad_progress_clear(&c->progress);
        rad_log(RAD_LOG_WARN, "rank %d is out of service, its work goes to others: %s", from, f.text);
        st = retire(c, from, &f.guilty, err);
    } else { /* one rank knows something that holds for all */
        c->rank[from].state = RANK_OUT;
        st = c->n_rank > 1 ? rad_error_set(err, f.status, "rank %d: %s", from, f.text) : rad_error_set(err, f.status, "%s", f.text);
    }
out:
    rad_wire_arena_release(&a);
    return st;
}

rad_status rad_coordinator_handle(rad_coordinator *c, int from, const rad_buf *message, rad_error *err) {
    rad_wire_kind kind;
    rad_status st = rad_wire_peek(message->data, message->size, &kind, err);
    if (st != RAD_OK)
        return rad_error_prefix(err, st, "rank %d: ", from);
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
        c->rank[from].state = RANK_GONE;
        return RAD_OK;
    default:
        return rad_error_set(err, RAD_E_COMM, "rank %d sent a message of kind %d", from, (int)kind);
    }
}

/* ---------------------------------------------------------------- leases */

static rad_status lease_to(rad_coordinator *c, int rank, int64_t want, double now, rad_error *err) {
    int64_t index[RAD_MAX_LEASE_CASES], id[RAD_MAX_LEASE_CASES];
    int64_t n = rad_sched_lease(c->sched, rank, want < RAD_MAX_LEASE_CASES ? want : RAD_MAX_LEASE_CASES, now, index);
    if (n == 0)
        return RAD_OK;
    rad_buf b;
    rad_status st = rad_plan_pack_lease(c->plan, c->pending, index, n, &b, err);
    if (st != RAD_OK)
        return st;
    for (int64_t i = 0; i < n; i++)
        id[i] = c->pending[index[i]].case_id;
    double t = rad_clock_seconds();
    st = rad_store_lease(c->store, c->run, id, n, rank, err);
    c->write_s += rad_clock_seconds() - t;
    c->last_flush = rad_clock_seconds();
    bool held = st == RAD_OK && rad_store_is_held(c->store);
    if (st != RAD_OK || held) {
        rad_buf_release(&b);
        return held ? give_back(c, rank, index, n, err) : st;
    }
    c->unflushed = 0; /* it committed the results before it as well */
    return rad_transport_send(c->t, rank, &b, err);
}

/* What a rank may hold: its window, or what it does in LEASE_SECONDS when that is more, since each lease costs a commit. */
static int64_t hold_limit(const struct rank *r, double now) {
    double done = (double)r->n_result / (now - r->since + 0.1) * LEASE_SECONDS;
    int64_t n = done < RAD_MAX_LEASE_CASES / 4 ? (int64_t)done : RAD_MAX_LEASE_CASES / 4;
    return n > r->window ? n : r->window;
}

/* Guided: never more than half of the even share of what is left, so that the tail is short. Leases go out in lots of at least half of what
 * a rank may hold. */
static rad_status lease_all(rad_coordinator *c, double now, int *ret_serving, rad_error *err) {
    int serving = 0;
    for (int r = 0; r < c->n_rank; r++)
        serving += c->rank[r].state == RANK_SERVING && rad_sched_rank_usable(c->sched, r);
    *ret_serving = serving;
    for (int r = 0; r < c->n_rank && !c->draining && !rad_store_is_held(c->store); r++) {
        int64_t pending = rad_sched_count(c->sched).pending, held = rad_sched_load(c->sched, r), target = hold_limit(&c->rank[r], now);
        if (c->rank[r].state != RANK_SERVING || pending == 0)
            continue;
        int64_t share = serving > 1 ? pending / (2 * (int64_t)serving) : target;
        if (target > share)
            target = share > 2 ? share : 2;
        if (held <= target / 2) {
            rad_status st = lease_to(c, r, target - held, now, err);
            if (st != RAD_OK)
                return st;
        }
    }
    return RAD_OK;
}

static rad_status drain(rad_coordinator *c, rad_error *err) {
    c->draining = true;
    rad_sched_drain(c->sched);
    rad_progress_clear(&c->progress);
    if (!c->opts->quiet)
        (void)fputs(
            "stopping on request: what a network is at is finished, the rest is left for the next time; a second signal leaves at once\n",
            stderr);
    rad_status st = flush(c, err);
    for (int r = 0; r < c->n_rank && st == RAD_OK; r++) {
        if (c->rank[r].state != RANK_SERVING && c->rank[r].state != RANK_CLOSING)
            continue;
        rad_buf b;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        st = rad_wire_put_signal(&b, RAD_WIRE_DRAIN, err);
        if (st == RAD_OK)
            st = rad_transport_send(c->t, r, &b, err);
    }
    return st;
}

static rad_progress_now progress_now(const rad_coordinator *c, int serving) {
    rad_sched_counts n = rad_sched_count(c->sched);
    int64_t before = c->plan->manifest->n_case - c->n_pending;
    return (rad_progress_now){
        before + n.done + n.quarantined, c->plan->manifest->n_case, n.cost_done, n.cost_total, c->out->n_excluded, serving, c->out};
}

rad_status rad_coordinator_tick(rad_coordinator *c, bool stop, bool *ret_over, rad_error *err) {
    rad_status st = RAD_OK;
    double now = rad_clock_seconds();
    int serving = 0, starting = 0, closing = 0;
    if (stop && !c->draining)
        RAD_TRY(drain(c, err));
    if (rad_sched_expire(c->sched, now) > 0)
        rad_log(RAD_LOG_WARN, "a case did not come back in time; it is given to another rank");
    RAD_TRY(store_quarantined(c, err));
    RAD_TRY(lease_all(c, now, &serving, err));
    bool held = rad_store_is_held(c->store);
    if (held ? now - c->last_flush >= HELD_SECONDS
             : c->unflushed >= FLUSH_RESULTS || (c->unflushed > 0 && now - c->last_flush >= FLUSH_SECONDS))
        RAD_TRY(flush(c, err));
    tell_held(c);
    rad_progress_now p = progress_now(c, serving);
    rad_progress_show(&c->progress, &p, now, false);
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

rad_status rad_coordinator_dismiss(rad_coordinator *c, rad_error *err) {
    rad_status st = RAD_OK;
    for (int r = 0; r < c->n_rank && st == RAD_OK; r++) {
        if (c->rank[r].state == RANK_GONE)
            continue;
        rad_buf b;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        st = rad_wire_put_signal(&b, RAD_WIRE_QUIT, err);
        if (st == RAD_OK)
            st = rad_transport_send(c->t, r, &b, err);
    }
    return st;
}

bool rad_coordinator_alone(const rad_coordinator *c) {
    for (int r = 0; r < c->n_rank; r++)
        if (c->rank[r].state != RANK_GONE && r != rad_transport_rank(c->t))
            return false;
    return true;
}

/* A second failure on the way out adds nothing to the first, which is the one to tell. */
static void best_effort(rad_status st) {
    (void)st;
}

rad_status rad_coordinator_finish(rad_coordinator *c, rad_status st, rad_error *err) {
    rad_farm_outcome *o = c->out;
    rad_sched_counts n = rad_sched_count(c->sched);
    int serving = 0;
    rad_progress_now p = progress_now(c, serving);
    if (c->progress.terminal)
        rad_progress_show(&c->progress, &p, rad_clock_seconds(), n.done > 0);
    if (c->progress.on && c->progress.terminal && n.done > 0)
        (void)fputc('\n', stderr);
    o->run = c->run;
    o->n_case = c->plan->manifest->n_case;
    snprintf(o->database, sizeof o->database, "%s", c->plan->database);
    double t = rad_clock_seconds();
    if (st == RAD_OK)
        st = flush(c, err);
    if (st == RAD_OK)
        st = await_commit(c, err);
    else
        best_effort(rad_store_flush(c->store, NULL)); /* what came stays */
    if (st == RAD_OK && !o->nothing_to_do) {
        if (n.pending > 0) {
            st = rad_store_stop_run(c->store, c->run, err);
            o->exit_code = RAD_EXIT_STOPPED;
            if (st == RAD_OK)
                st = await_commit(c, err);
        } else {
            int64_t excluded = 0;
            st = rad_store_finish_run(c->store, c->run, c->plan->job, &excluded, err);
            o->exit_code = excluded > 0 ? RAD_EXIT_EXCLUSIONS : RAD_EXIT_OK;
            if (st == RAD_OK)
                st = await_commit(c, err);
            if (st == RAD_OK)
                rad_crash_forget(c->plan->database, c->plan->crash_tag);
        }
    } else if (st != RAD_OK) {
        best_effort(rad_store_stop_run(c->store, c->run, NULL));
    }
    c->write_s += rad_clock_seconds() - t;
    rad_run_status rs;
    if (st == RAD_OK)
        st = rad_store_run_status(c->store, c->run, &rs, err);
    if (st == RAD_OK) {
        o->n_excluded = rs.n_excluded;
        o->n_scored = rs.n_scored;
        o->n_left = rs.n_case - rs.n_done;
        o->n_no_case = rs.n_no_case;
        o->n_result = rs.n_result;
        o->n_reused = rs.n_reused;
        o->n_case_reused = rs.n_case_reused;
        if (o->nothing_to_do)
            o->exit_code = rs.n_excluded + rs.n_no_case > 0 ? RAD_EXIT_EXCLUSIONS : RAD_EXIT_OK;
    } else {
        st = stopped_if_held(c, st, err);
        o->exit_code = st == RAD_E_STOPPED ? RAD_EXIT_STOPPED : RAD_EXIT_FAILED;
    }
    o->write_s = c->write_s;
    o->seconds = rad_clock_seconds() - c->start;
    return st;
}
