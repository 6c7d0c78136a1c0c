/* shard.c: see shard.h. */
#include "shard.h"

#include "crash.h"
#include "held.h"
#include "limit.h"
#include "maps.h"
#include "plan.h"
#include "progress.h"
#include "radcohort/sched.h"
#include "session.h"
#include "signals.h"
#include "spool.h"
#include "transport.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_SECONDS 2.0
#define WAIT_SECONDS 0.2
#define END_PATIENCE 10.0 /* seconds for what hangs */
#define CASE_SECONDS 1800.0
#define SECONDS_PER_BYTE 1e-6
#define STOP_FILE "stop"

struct shard {
    const rad_farm_opts *o;
    rad_farm_outcome *out;
    rad_plan plan;
    rad_session *session;
    rad_spool *spool;
    rad_worker *w;
    char *cam_dir; /* class activation maps, until they are merged */
    rad_progress progress;
    bool *done;                /* [manifest->n_case] in a spool of the folder */
    rad_pending_case *pending; /* what is to be done, the largest first; case_id: position in the manifest */
    int64_t n_pending, next, n_condemned;
    int64_t n_suspect; /* the first of `pending`: in hand when the last process died. `lost`: rad_held_case.times */
    bool *back;        /* [n_pending] its result came */
    int64_t first;     /* whose has not */
    rad_held *held;
    double start, synced, moved; /* moved: when the last result came, or the first case went */
    double patience;             /* seconds without a result after which something hangs */
    bool stopping;
};

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory for a shard");
}

static char *held_path(const struct shard *s) {
    return rad_asprintf("%s/shard-%05d.held", s->o->spool_dir, s->o->shard);
}

/* ---------------------------------------------------------------- which cases */

static rad_status mark(void *state, const rad_spool_head *head, const void *message, size_t size, rad_error *err) {
    struct shard *s = state;
    rad_wire_arena a = {0};
    rad_wire_result r;
    rad_status st = rad_wire_get_result(message, size, &a, &r, err);
    (void)head;
    if (st == RAD_OK && r.result.case_id >= 0 && r.result.case_id < s->plan.manifest->n_case && rad_maps_are_whole(s->cam_dir, &r.result))
        s->done[r.result.case_id] = true;
    rad_wire_arena_release(&a);
    return st == RAD_E_COMM ? RAD_OK : st; /* another version's: done again */
}

struct place {
    double cost;
    int64_t at;
};

static int by_cost(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    if (a->cost != b->cost)
        return a->cost > b->cost ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* The cases of this shard: dealt there and back (0 1 2 2 1 0 0 ...), so that nobody has the larger one of every round. */
static rad_status deal(struct shard *s, rad_error *err) {
    const rad_manifest *m = s->plan.manifest;
    struct place *place = rad_calloc((size_t)m->n_case + 1, sizeof *place);
    s->pending = rad_calloc((size_t)m->n_case + 1, sizeof *s->pending);
    if (!place || !s->pending) {
        free(place);
        return no_memory(err);
    }
    int64_t n = 0;
    for (int64_t i = 0; i < m->n_case; i++)
        if (rad_plan_wants(&s->plan, i))
            place[n++] = (struct place){s->plan.cost[i], i};
    qsort(place, (size_t)n, sizeof *place, by_cost);
    const int64_t of = s->o->n_shard;
    for (int64_t i = 0; i < n; i++) {
        const int64_t round = i / of, seat = i % of;
        if ((round % 2 ? of - 1 - seat : seat) != s->o->shard)
            continue;
        s->out->n_case++;
        if (!s->done[place[i].at])
            s->pending[s->n_pending++] = (rad_pending_case){.case_id = place[i].at, .manifest_index = place[i].at};
    }
    free(place);
    return RAD_OK;
}

/* What the last process of this shard had in hand goes first. */
static rad_status suspect(struct shard *s, rad_error *err) {
    rad_held_case *was = NULL;
    int64_t n_was = 0, n = 0;
    char *path = held_path(s);
    rad_status st = path ? rad_held_read(path, s->plan.identity, &was, &n_was, err) : no_memory(err);
    for (int64_t i = 0; i < s->n_pending && st == RAD_OK && n_was > 0; i++)
        for (int64_t k = 0; k < n_was; k++)
            if (was[k].position == s->pending[i].case_id) {
                rad_pending_case one = s->pending[i];
                one.lost = was[k].times;
                memmove(&s->pending[n + 1], &s->pending[n], (size_t)(i - n) * sizeof one);
                s->pending[n++] = one;
                break;
            }
    s->n_suspect = n;
    free(was);
    free(path);
    return st;
}

/* ---------------------------------------------------------------- results */

static rad_status keep(struct shard *s, const void *message, size_t size, rad_error *err) {
    rad_wire_arena a = {0};
    rad_wire_result r;
    rad_status st = rad_wire_get_result(message, size, &a, &r, err);
    if (st == RAD_OK && s->back && r.index >= 0 && r.index < s->n_pending)
        s->back[r.index] = true;
    if (st == RAD_OK && r.moved) {
        s->out->n_moved++;
        s->moved = rad_clock_seconds();
        goto out;
    }
    if (st == RAD_OK)
        st = rad_spool_put(s->spool, message, size, err);
    if (st == RAD_OK) {
        rad_farm_outcome *o = s->out;
        bool excluded = false;
        for (int m = 0; m < r.result.n_model; m++)
            excluded = excluded || r.result.model[m].status != RAD_OK;
        o->n_done++;
        o->n_excluded += excluded;
        rad_farm_add_times(o, &r.result);
        s->moved = rad_clock_seconds();
    }
out:
    rad_wire_arena_release(&a);
    return st;
}

/* A case that is not tried again. */
static rad_status condemn(struct shard *s, int64_t index, int times, rad_error *err) {
    rad_model_result model[RAD_MAX_MODELS] = {{0}};
    char text[160];
    rad_buf b;
    snprintf(text, sizeof text, "took its rank down, or never came back, %d times: not tried again", times);
    for (int m = 0; m < s->plan.job->n_model; m++)
        model[m] = (rad_model_result){.status = RAD_E_QUARANTINE, .stage = "farm", .why = text};
    const rad_wire_result r = {.index = index,
                               .n_class = s->plan.job->n_class,
                               .result = {.case_id = s->pending[index].case_id, .n_model = s->plan.job->n_model, .model = model}};
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    rad_status st = rad_wire_put_result(&b, &r, err);
    if (st == RAD_OK)
        st = keep(s, b.data, b.size, err);
    rad_buf_release(&b);
    return st;
}

static rad_status condemn_all(struct shard *s, const char *notes, rad_error *err) {
    rad_status st = RAD_OK;
    int64_t *id = rad_calloc((size_t)s->n_pending + 1, sizeof *id), k = 0, suspect = 0;
    int *count = rad_calloc((size_t)s->n_pending + 1, sizeof *count);
    if (!id || !count) {
        st = no_memory(err);
        goto out;
    }
    for (int64_t i = 0; i < s->n_pending; i++)
        id[i] = s->pending[i].case_id;
    RAD_TRY(rad_crash_read(notes, s->plan.identity, id, s->n_pending, count, err));
    for (int64_t i = 0; i < s->n_pending; i++) {
        const int times = count[i] > s->pending[i].lost ? count[i] : s->pending[i].lost;
        if (times < RAD_MAX_ATTEMPTS) {
            suspect += i < s->n_suspect;
            s->pending[k++] = s->pending[i];
            continue;
        }
        RAD_TRY(condemn(s, i, times, err));
        s->n_condemned++;
    }
    s->n_pending = k;
    s->n_suspect = suspect;
out:
    free(id);
    free(count);
    return st;
}

/* ---------------------------------------------------------------- work */

/* Cases before `end` are in hand or were; a suspect that is tried alone, before this process has finished anything, is on trial. */
static rad_status take_down(struct shard *s, int64_t end, bool alone, rad_error *err) {
    rad_held_case item[RAD_MAX_HELD];
    int64_t n = 0;
    while (s->first < end && s->back[s->first])
        s->first++;
    for (int64_t i = s->first; i < (end < s->n_suspect ? s->n_suspect : end) && n < RAD_MAX_HELD; i++)
        if (!s->back[i])
            item[n++] =
                (rad_held_case){s->pending[i].case_id, s->pending[i].lost + (alone && i == end - 1 && s->out->n_done == s->n_condemned)};
    return rad_held_put(s->held, item, n, err);
}

static rad_status feed(struct shard *s, rad_error *err) {
    while (!s->stopping && s->next < s->n_pending) {
        const bool alone = s->next < s->n_suspect;
        if (alone && rad_worker_held(s->w) > 0)
            return RAD_OK;
        int64_t index[RAD_MAX_LEASE_CASES], n = 0, room = alone ? 1 : rad_worker_window(s->w) - rad_worker_held(s->w);
        for (; n < room && n < RAD_MAX_LEASE_CASES && s->next + n < s->n_pending; n++)
            index[n] = s->next + n;
        if (n == 0)
            return RAD_OK;
        rad_buf b;
        rad_status st = take_down(s, s->next + n, alone, err);
        if (st != RAD_OK)
            return st;
        st = rad_plan_pack_lease(&s->plan, s->pending, index, n, &b, err);
        if (st != RAD_OK)
            return st;
        st = rad_worker_submit(s->w, b.data, b.size, err);
        rad_buf_release(&b);
        if (st != RAD_OK)
            return st;
        s->next += n;
    }
    return RAD_OK;
}

static bool stop_asked(const struct shard *s) {
    char *path = rad_asprintf("%s/%s", s->o->spool_dir, STOP_FILE);
    const bool yes = rad_signals_asked() != 0 || (path && access(path, F_OK) == 0);
    free(path);
    return yes;
}

static rad_status on_clock(struct shard *s, rad_error *err) {
    const double now = rad_clock_seconds();
    rad_progress_now p = {
        s->out->n_case - s->n_pending - s->n_condemned + s->out->n_done, s->out->n_case, 0, 0, s->out->n_excluded, 1, s->out};
    rad_progress_show(&s->progress, &p, now, false);
    rad_session_progress(s->session, 0, &p, now);
    if (now - s->synced < SYNC_SECONDS)
        return RAD_OK;
    s->synced = now;
    if (!s->stopping && stop_asked(s)) {
        s->stopping = true;
        if (!s->o->quiet)
            (void)fputs("stopping on request: what a network is at is finished, the rest is left for the next time\n", stderr);
    }
    if (now - s->moved > s->patience)
        return rad_error_set(err, RAD_E_STOPPED,
                             "no case came to its end for %.0f s: something hangs (a file system?); what is done is kept, the same command "
                             "goes on",
                             now - s->moved);
    return rad_spool_sync(s->spool, err);
}

static rad_status work(struct shard *s, rad_error *err) {
    int64_t ignored[RAD_MAX_LEASE_CASES];
    rad_status st = RAD_OK;
    while (st == RAD_OK) {
        rad_buf b;
        RAD_TRY(feed(s, err));
        for (double wait = WAIT_SECONDS; st == RAD_OK && rad_worker_take(s->w, wait, &b); wait = 0) {
            st = keep(s, b.data, b.size, err);
            rad_buf_release(&b);
        }
        if (st == RAD_OK)
            st = on_clock(s, err);
        while (st == RAD_OK && s->stopping && rad_worker_drain(s->w, RAD_MAX_LEASE_CASES, ignored) > 0)
            continue;
        if (st != RAD_OK || (rad_worker_held(s->w) == 0 && (s->stopping || s->next == s->n_pending)))
            break;
        int64_t n = 0;
        st = rad_worker_fault(s->w, RAD_MAX_LEASE_CASES, ignored, &n, err);
        if (rad_signals_asked() != 0)
            s->stopping = true;
    }
out:
    return st;
}

static rad_status open_spool(struct shard *s, rad_error *err) {
    char name[32];
    rad_spool_head h = {.rank = s->o->shard, .space = RAD_SPOOL_POSITIONS};
    (void)gethostname(h.host, sizeof h.host - 1);
    memcpy(h.identity, s->plan.identity, sizeof h.identity);
    snprintf(h.device, sizeof h.device, "%s", s->plan.backend_version);
    snprintf(name, sizeof name, "shard-%05d", s->o->shard);
    return rad_spool_create(s->o->spool_dir, name, &h, &s->spool, err);
}

static rad_status start_worker(struct shard *s, rad_error *err) {
    uint64_t mask[16];
    rad_worker_opts w = {.job = &s->plan.files->job,
                         .backend = s->plan.backend,
                         .backend_version = s->plan.backend_version,
                         .model_sha256 = s->plan.sha256,
                         .graph_hash = s->plan.graph_hash,
                         .ready = s->plan.ready,
                         .precision = s->plan.precision,
                         .cam_dir = s->cam_dir,
                         .batch = s->plan.batch,
                         .room = rad_resources_find(rad_transport_affinity(mask, 16), 1, s->o->threads)};
    double largest = 0;
    for (int64_t i = 0; i < s->n_pending; i++)
        largest = fmax(largest, s->plan.cost[s->pending[i].manifest_index]);
    s->patience = (s->o->case_deadline > 0 ? s->o->case_deadline : CASE_SECONDS) + SECONDS_PER_BYTE * largest;
    return rad_worker_create(&w, &s->w, err);
}

/* What is left is computed; the spool is closed with its END when nothing is. */
static rad_status run(struct shard *s, rad_error *err) {
    rad_status st = RAD_OK;
    rad_spool_report report;
    char *notes = rad_asprintf("%s/shards", s->o->spool_dir), *held = held_path(s);
    s->done = rad_calloc((size_t)s->plan.manifest->n_case + 1, sizeof *s->done);
    s->cam_dir = rad_maps_shard_dir(s->o->spool_dir);
    if (!s->done || !notes || !s->cam_dir) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(rad_spool_read(s->o->spool_dir, s->plan.identity, RAD_SPOOL_POSITIONS, mark, s, &report, err));
    RAD_TRY(deal(s, err));
    RAD_TRY(suspect(s, err));
    RAD_TRY(open_spool(s, err));
    RAD_TRY(condemn_all(s, notes, err));
    s->start = s->synced = s->moved = rad_clock_seconds();
    rad_progress_start(&s->progress, !s->o->quiet, s->start);
    if (s->n_pending > 0) {
        s->back = rad_calloc((size_t)s->n_pending, sizeof *s->back);
        if (!s->back || !held) {
            st = no_memory(err);
            goto out;
        }
        RAD_TRY(rad_held_open(held, s->plan.identity, &s->held, err));
        RAD_TRY(rad_crash_install(notes, s->plan.identity, err));
        RAD_TRY(start_worker(s, err));
        s->moved = rad_clock_seconds();
        RAD_TRY(work(s, err));
    }
    s->out->nothing_to_do = s->out->n_done == 0;
    s->out->n_left = s->n_pending + s->n_condemned - s->out->n_done;
    rad_plan_tell_moved(s->out->n_moved);
out:
    free(notes);
    free(held);
    return st;
}

rad_status rad_shard_run(const rad_farm_opts *o, rad_farm_outcome *ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_farm_outcome out = *ret;
    struct shard s = {.o = o, .out = &out};
    rad_error why = {0};
    (void)snprintf(out.database, sizeof out.database, "%s", o->spool_dir);
    if (o->status)
        st = rad_session_open(o->status, o->spool_dir, &s.session, &why);
    rad_signals_install();
    if (st == RAD_OK && mkdir(o->spool_dir, 0700) != 0 && access(o->spool_dir, W_OK) != 0)
        st = rad_error_set(&why, RAD_E_IO, "the folder '%s' for the results of shards cannot be made or written", o->spool_dir);
    if (st == RAD_OK)
        st = rad_plan_read_job(o, o->shard == 0, &s.plan, &why);
    s.plan.with_worker = true;
    if (st == RAD_OK)
        st = rad_plan_complete(o, &s.plan, &why);
    if (st == RAD_OK)
        st = run(&s, &why);
    if (st == RAD_OK && out.n_left == 0)
        st = rad_spool_finish(s.spool, &why);
    else if (s.spool && rad_spool_sync(s.spool, NULL) != RAD_OK) /* what came stays */
        rad_log(RAD_LOG_WARN, "the results of this shard may not have reached the disk");
    /* a disk that is full or a device that fails speaks against no case; one at which everything hangs is as good as dead */
    rad_held_close(&s.held, st != RAD_E_STOPPED);
    rad_worker_destroy(&s.w, END_PATIENCE);
    out.exit_code = st != RAD_OK         ? rad_status_exit_code(st)
                    : out.n_left > 0     ? RAD_EXIT_STOPPED
                    : out.n_excluded > 0 ? RAD_EXIT_EXCLUSIONS
                                         : RAD_EXIT_OK;
    if (st != RAD_OK)
        (void)rad_error_set(err, st, "%s", why.text);
    out.n_scored = out.n_case - out.n_left - out.n_excluded;
    out.seconds = rad_clock_seconds() - s.start;
    out.n_rank = 1;
    rad_session_end(s.session, &out, out.exit_code, why.text);
    rad_session_close(&s.session);
    rad_spool_close(&s.spool, s.spool && rad_spool_size(s.spool) == 0);
    rad_signals_restore();
    rad_crash_restore();
    rad_plan_release(&s.plan);
    free(s.cam_dir);
    free(s.done);
    free(s.back);
    free(s.pending);
    *ret = out;
    return st;
}
