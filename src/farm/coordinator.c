/* coordinator.c: see coordinator.h.
 *
 * Order of things, so that any process may die at any time: a lease is committed, then sent; a result is committed some time after it came
 * (what was not is leased again by the next session); the run is marked finished when everything is in. */
#include "coordinator_impl.h"

#include "crash.h"
#include "gather.h"
#include "journal.h"
#include "nightly.h"
#include "signals.h"
#include "sweep.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_BASE 1800.0 /* seconds; a case that takes longer than this and a megabyte a second has hung */
#define DEADLINE_PER_BYTE 1e-6

/* ---------------------------------------------------------------- begin */

static rad_status begin_run(rad_coordinator *c, int threads, bool *ret_finished, rad_error *err) {
    char host[256] = "", versions[512], id[RAD_STORE_ID_TEXT];
    (void)gethostname(host, sizeof host - 1);
    snprintf(versions, sizeof versions, "{\"radcohort\": \"%s\", \"engine\": \"%.300s\"}", rad_version(), c->plan->backend_version);
    rad_run_info info = rad_plan_run_info(c->plan);
    info.host = host;
    info.launch_mode = c->opts->merge_only ? "spool" : rad_transport_name(c->t);
    info.command_line = c->opts->command_line ? c->opts->command_line : "";
    info.versions_json = versions;
    info.n_rank = c->n_rank;
    info.threads = threads;
    rad_status st = rad_store_begin_run(c->store, &info, &c->run, &c->out->resumed, ret_finished, &c->pending, &c->n_pending, err);
    if (st == RAD_OK)
        st = rad_store_get_id(c->store, id, err);
    if (st == RAD_OK)
        snprintf(c->plan->crash_tag, sizeof c->plan->crash_tag, "%s %" PRId64, id, c->run);
    return st;
}

/* What an interrupted session computed and could not commit, from the journals of its ranks, which go then. */
static rad_status recover(rad_coordinator *c, rad_error *err) {
    rad_spool_report report;
    char *dir = rad_journal_dir(c->plan->database);
    rad_status st = dir ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    if (st == RAD_OK)
        st = rad_gather(c->store, c->run, dir, c->plan->crash_tag, c->plan, c->pending, &c->n_pending, &c->out->n_recovered, &report, err);
    if (st == RAD_OK && !rad_store_is_held(c->store))
        rad_spool_remove(dir, NULL);
    free(dir);
    return st;
}

/* The results of shards. */
static rad_status merge(rad_coordinator *c, rad_error *err) {
    rad_farm_merge *m = &c->out->merge;
    rad_spool_report r = {0};
    struct stat info;
    if (stat(c->opts->merge_dir, &info) != 0 || !S_ISDIR(info.st_mode))
        return rad_error_set(err, RAD_E_USAGE, "no folder '%s': the one was expected that 'radcohort run --spool' filled",
                             c->opts->merge_dir);
    rad_status st =
        rad_gather(c->store, c->run, c->opts->merge_dir, RAD_SPOOL_POSITIONS, c->plan, c->pending, &c->n_pending, &m->cases, &r, err);
    if (st != RAD_OK)
        return st;
    m->files = r.files;
    m->complete = r.complete;
    m->foreign = r.foreign;
    m->damaged = r.damaged;
    m->records = r.records;
    if (r.damaged > 0)
        rad_log(RAD_LOG_WARN, "%" PRId64 " spool file%s not whole (a shard was killed): what is cut off is left out; %s", r.damaged,
                r.damaged == 1 ? " is" : "s are", r.example);
    if (r.foreign > 0)
        rad_log(RAD_LOG_WARN, "%" PRId64 " spool file%s another run (other job, tables, image files, weights or engine than now): left out",
                r.foreign, r.foreign == 1 ? " is of" : "s are of");
    return RAD_OK;
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
    rad_sched_opts o = {c->opts->case_deadline > 0 ? c->opts->case_deadline : DEADLINE_BASE, DEADLINE_PER_BYTE};
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
                                  rad_session *session, rad_coordinator **ret, bool *ret_nothing, rad_error *err) {
    rad_status st = RAD_OK;
    bool finished = false;
    int64_t lost = 0;
    rad_coordinator *c = rad_calloc(1, sizeof *c);
    if (!c)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    c->opts = o;
    c->plan = plan;
    c->t = t;
    c->out = outcome;
    c->session = session;
    c->n_rank = rad_transport_size(t);
    c->start = c->last_flush = rad_clock_seconds();
    c->rank = rad_calloc((size_t)c->n_rank, sizeof *c->rank);
    c->draft = rad_calloc(MAX_DRAFTS, sizeof *c->draft);
    if (!c->rank || !c->draft) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %d ranks", c->n_rank);
        goto out;
    }
    for (int r = 0; r < c->n_rank; r++)
        c->rank[r].heard = c->start;
    if (c->n_rank > 1)
        c->rank[0].state = RANK_GONE; /* coordinates only */
    char *dir = rad_path_dir(plan->database);
    st = dir ? rad_mkdirs(dir, err) : rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    free(dir);
    if (st != RAD_OK)
        goto out;
    struct stat before;
    bool made = stat(plan->database, &before) != 0;
    const rad_store_opts so = {.scratch = o->scratch, .file_mode = o->file_mode};
    RAD_TRY(rad_store_open_opts(plan->database, RAD_STORE_WRITE, &so, &c->store, err));
    if (made)
        rad_crash_forget(plan->database, NULL);
    if (o->night) /* the database as the last night left it */
        RAD_TRY(rad_nightly_decide(plan, c->store, o->night, err));
    RAD_TRY(begin_run(c, threads, &finished, err));
    RAD_TRY(rad_plan_lost_cams(plan, c->store, c->run, &lost, err));
    if (lost > 0) {
        free(c->pending);
        c->pending = NULL;
        RAD_TRY(begin_run(c, threads, &finished, err));
    }
    if (!finished)
        RAD_TRY(recover(c, err));
    if (!finished && o->merge_dir)
        RAD_TRY(merge(c, err));
    if (!finished && o->night)
        RAD_TRY(rad_nightly_carry(plan, c->store, c->run, o->night, c->pending, &c->n_pending, err));
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
    free(c->draft);
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

rad_status rad_coordinator_flush(rad_coordinator *c, rad_error *err) {
    double t = rad_clock_seconds();
    rad_status st = rad_store_flush(c->store, err);
    c->last_flush = rad_clock_seconds();
    c->write_s += c->last_flush - t;
    if (st != RAD_OK || rad_store_is_held(c->store))
        return st;
    c->unflushed = 0;
    return rad_coordinator_acknowledge(c, err);
}

void rad_coordinator_tell_held(rad_coordinator *c) {
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
        rad_coordinator_tell_held(c);
        if (until == 0 && (c->draining || rad_signals_asked() != 0))
            until = now + HELD_PATIENCE;
        if (until > 0 && now > until)
            return rad_error_set(err, RAD_E_STOPPED,
                                 "another program still has a transaction open on '%s': what was not written is lost; close it, and the "
                                 "same command goes on from the last commit",
                                 c->plan->database);
        rad_transport_nap(0.05);
        st = rad_coordinator_flush(c, err);
    }
    return st;
}

rad_status rad_coordinator_give_back(rad_coordinator *c, int rank, const int64_t *index, int64_t n, rad_error *err) {
    int64_t id[RAD_MAX_LEASE_CASES];
    for (int64_t i = 0; i < n; i++) {
        id[i] = c->pending[index[i]].case_id;
        rad_sched_return(c->sched, index[i], rank);
    }
    return n > 0 ? rad_store_return(c->store, c->run, id, n, err) : RAD_OK;
}

void rad_coordinator_count_reason(rad_coordinator *c, rad_status why) {
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

rad_progress_now rad_coordinator_progress(const rad_coordinator *c, int serving) {
    rad_sched_counts n = rad_sched_count(c->sched);
    int64_t before = c->plan->manifest->n_case - c->n_pending;
    return (rad_progress_now){
        before + n.done + n.quarantined, c->plan->manifest->n_case, n.cost_done, n.cost_total, c->out->n_excluded, serving, c->out};
}

/* A second failure on the way out adds nothing to the first, which is the one to tell. */
static void best_effort(rad_status st) {
    (void)st;
}

/* The run is finished: what was kept to take it up again goes. */
static void forget(const rad_coordinator *c) {
    char *dir = rad_journal_dir(c->plan->database);
    rad_crash_forget(c->plan->database, c->plan->crash_tag);
    if (dir)
        rad_spool_remove(dir, NULL);
    free(dir);
    rad_sweep(c->plan->database, c->plan->cam_dir);
}

rad_status rad_coordinator_finish(rad_coordinator *c, rad_status st, rad_error *err) {
    rad_farm_outcome *o = c->out;
    rad_sched_counts n = rad_sched_count(c->sched);
    int serving = 0;
    rad_progress_now p = rad_coordinator_progress(c, serving);
    if (c->progress.terminal)
        rad_progress_show(&c->progress, &p, rad_clock_seconds(), n.done > 0);
    if (c->progress.on && c->progress.terminal && n.done > 0)
        (void)fputc('\n', stderr);
    o->run = c->run;
    o->n_case = c->plan->manifest->n_case;
    snprintf(o->database, sizeof o->database, "%s", c->plan->database);
    double t = rad_clock_seconds();
    if (st == RAD_OK)
        st = rad_coordinator_flush(c, err);
    if (st == RAD_OK)
        st = await_commit(c, err);
    else
        best_effort(rad_store_flush(c->store, NULL)); /* what came stays */
    if (st == RAD_OK && !o->nothing_to_do) {
        rad_plan_tell_moved(o->n_moved);
        if (n.pending > 0 || o->n_moved > 0) {
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
                forget(c);
        }
    } else if (st == RAD_OK) { /* whoever finished it may have been killed right then */
        forget(c);
    } else {
        best_effort(rad_store_stop_run(c->store, c->run, NULL));
    }
    c->write_s += rad_clock_seconds() - t;
    if (st == RAD_OK && c->opts->night && n.pending == 0)
        st = rad_nightly_settle(c->plan, c->store, c->run, c->opts->night, err);
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
        o->n_copy = rs.n_copy;
        o->n_leak = rs.n_leak;
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
