/* farm.c: the run as a whole: who is who, the configuration that all must share, the two loops, and the end. */
#include "radcohort/farm.h"

#include "agent.h"
#include "coordinator.h"
#include "crash.h"
#include "golden.h"
#include "nightly.h"
#include "shard.h"
#include "signals.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAP_SHORT 0.0005   /* after something happened */
#define NAP_LONG 0.005     /* when nothing happens */
#define QUIT_PATIENCE 10.0 /* seconds for a worker to end what it is at when told to leave */
#define BYE_PATIENCE 60.0  /* seconds for all workers to say good-bye */

struct farm {
    const rad_farm_opts *opts;
    rad_farm_outcome *out;
    rad_transport *t;
    rad_plan plan;
    rad_known known;      /* results that are stored */
    rad_session *session; /* rank 0, once the status file has a name */
    rad_journal *journal; /* ranks that compute */
    rad_restart_cache restarts;
    char *restart_dir; /* NULL: nothing is remembered of files */
    int rank, size;
    rad_resources room;
    bool abandon; /* somebody is lost: leave without waiting for all */
};

/* ---------------------------------------------------------------- configuration */

/* Rank 0 tells all what the run is, or that there is none. */
static rad_status announce(struct farm *f, rad_status st, bool quit, rad_error *err) {
    rad_error why = {0};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    bool ok = st == RAD_OK;
    rad_wire_config m = {.status = st, .text = ok || !err ? "" : err->text, .quit = quit};
    if (ok) {
        m.job_sha256 = f->plan.job->sha256;
        m.backend = f->plan.backend;
        m.backend_version = f->plan.backend_version;
        m.precision = rad_precision_name(f->plan.precision);
        m.crash_tag = f->plan.crash_tag;
        m.identity = f->plan.identity;
        m.batch = f->plan.batch;
        m.n_known = quit ? 0 : f->known.n;
        m.n_model = f->plan.job->n_model;
        m.first_fold = f->plan.manifest->first_fold;
        m.n_file = f->plan.files->job.n_model;
        m.model_sha256 = f->plan.sha256;
        m.graph_hash = f->plan.graph_hash;
    }
    rad_status sent = rad_wire_put_config(&b, &m, &why);
    if (sent == RAD_OK)
        sent = rad_transport_broadcast(f->t, &b, &why);
    rad_buf_release(&b);
    if (ok && sent != RAD_OK)
        return rad_error_set(err, sent, "%s", why.text);
    return st;
}

/* Keys of stored results, in messages of RAD_MAX_WIRE_KEYS. The others wait for all of them: after a failure they are left behind. */
static rad_status announce_known(struct farm *f, rad_error *err) {
    rad_status st = RAD_OK;
    for (int64_t at = 0; at < f->known.n && st == RAD_OK; at += RAD_MAX_WIRE_KEYS) {
        int64_t left = f->known.n - at;
        rad_wire_known m = {left < RAD_MAX_WIRE_KEYS ? left : RAD_MAX_WIRE_KEYS, f->known.key + at * RAD_SHA256_BYTES};
        rad_buf b;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        st = rad_wire_put_known(&b, &m, err);
        if (st == RAD_OK)
            st = rad_transport_broadcast(f->t, &b, err);
        rad_buf_release(&b);
    }
    if (st != RAD_OK)
        f->abandon = true;
    return st;
}

/* Who says that a case hangs after so long need not wait longer for one that does. */
static double quit_patience(const struct farm *f) {
    const double deadline = f->opts->case_deadline;
    return deadline > 0 && deadline < QUIT_PATIENCE ? deadline : QUIT_PATIENCE;
}

static rad_status learn_known(struct farm *f, int64_t n, rad_error *err) {
    while (f->known.n < n) {
        rad_wire_known m = {0};
        rad_buf b;
        rad_buf_init(&b, RAD_MAX_MESSAGE);
        rad_status st = rad_transport_broadcast(f->t, &b, err);
        if (st == RAD_OK)
            st = rad_wire_get_known(b.data, b.size, &m, err);
        if (st == RAD_OK && (m.n == 0 || m.n > n - f->known.n))
            st = rad_error_set(err, RAD_E_COMM, "rank 0 sent other keys of stored results than it announced");
        if (st == RAD_OK)
            st = rad_known_append(&f->known, m.key, m.n, err);
        rad_buf_release(&b);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

static rad_worker_opts worker_opts(const struct farm *f, const rad_wire_config *m) {
    return (rad_worker_opts){.job = &f->plan.files->job,
                             .backend = m->backend,
                             .backend_version = m->backend_version,
                             .model_sha256 = m->model_sha256,
                             .graph_hash = m->graph_hash,
                             .ready = f->plan.ready,
                             .precision = f->plan.precision,
                             .known = &f->known,
                             .restarts = f->restart_dir ? &f->restarts : NULL,
                             .journal = f->journal,
                             .cam_dir = f->plan.cam_dir,
                             .batch = (int)m->batch,
                             .room = f->room};
}

/* Where a journal cannot be had (a folder that only rank 0 may write) the run goes on without. */
static void open_journal(struct farm *f, const rad_wire_config *m) {
    rad_error why = {0};
    rad_spool_head h = {.rank = f->rank};
    (void)gethostname(h.host, sizeof h.host - 1);
    snprintf(h.identity, sizeof h.identity, "%s", m->identity);
    snprintf(h.space, sizeof h.space, "%s", m->crash_tag);
    snprintf(h.device, sizeof h.device, "%s", m->backend_version);
    if (rad_journal_open(f->plan.database, &h, &f->journal, &why) != RAD_OK)
        rad_log(RAD_LOG_WARN, "no journal of finished cases: %s; after a kill the last of them are computed again", why.text);
}

/* What is remembered of files belongs to the result file, as its key does: the identity that the file was given when it was made. */
static rad_status remember_files(struct farm *f, const rad_wire_config *m, rad_error *err) {
    if (!f->plan.job->remember_files)
        return RAD_OK;
    f->restart_dir = rad_asprintf("%s.restart", f->plan.database);
    f->restarts.dir = f->restart_dir;
    if (!f->restart_dir)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    return rad_hmac_sha256("restart", strlen("restart"), m->crash_tag, strcspn(m->crash_tag, " "), f->restarts.key, err);
}

/* The worker of this process, its crash notes and its journal on. */
static rad_status start_agent(struct farm *f, rad_agent *a, const rad_wire_config *m, rad_error *err) {
    rad_status st = rad_crash_install(f->plan.database, m->crash_tag, err);
    if (st != RAD_OK)
        return st;
    st = remember_files(f, m, err);
    if (st != RAD_OK)
        return st;
    open_journal(f, m);
    rad_worker_opts o = worker_opts(f, m);
    return rad_agent_start(a, f->t, &o, err);
}

/* ---------------------------------------------------------------- workers */

static rad_status say_bye(struct farm *f, rad_error *err) {
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    rad_status st = rad_wire_put_signal(&b, RAD_WIRE_BYE, err);
    if (st != RAD_OK) {
        rad_buf_release(&b);
        return st;
    }
    st = rad_transport_send(f->t, 0, &b, err);
    if (st == RAD_OK && !rad_transport_flush(f->t, BYE_PATIENCE))
        f->abandon = true;
    return st;
}

static rad_status worker_loop(struct farm *f, rad_agent *a, rad_error *err) {
    while (!a->quit) {
        int from;
        rad_buf b;
        bool got = true;
        while (got) {
            rad_status st = rad_transport_poll(f->t, &from, &b, &got, err);
            if (st == RAD_OK && got) {
                st = rad_agent_handle(a, &b, err);
                rad_buf_release(&b);
            }
            if (st != RAD_OK)
                return st;
        }
        rad_status st = rad_agent_pump(a, NAP_LONG, rad_signals_asked() != 0, err);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

/* Rejects what would make scores of two runs look like one: another job text on this rank. */
static rad_status same_job(const struct farm *f, const rad_wire_config *m, rad_error *err) {
    if (strcmp(f->plan.job->sha256, m->job_sha256) == 0 && f->plan.job->n_model == m->n_model &&
        rad_job_count_files(f->plan.job) == m->n_file)
        return RAD_OK;
    return rad_error_set(err, RAD_E_CONFIG, "'%s' is another file here than on rank 0; all ranks must see the same folder",
                         f->opts->job_path);
}

static rad_status run_worker(struct farm *f, rad_error *err) {
    rad_wire_arena arena = {0};
    rad_wire_config m = {0};
    rad_agent a = {.t = f->t};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    rad_status st = RAD_OK;
    RAD_TRY(rad_transport_broadcast(f->t, &b, err));
    RAD_TRY(rad_wire_get_config(b.data, b.size, &arena, &m, err));
    if (m.status != RAD_OK || m.quit)
        goto out; /* rank 0 says why */
    RAD_TRY(learn_known(f, m.n_known, err));
    rad_error why = {0};
    st = rad_plan_read_job(f->opts, false, &f->plan, &why);
    if (st == RAD_OK)
        st = same_job(f, &m, &why);
    if (st == RAD_OK)
        st = rad_files_create(f->plan.job, m.first_fold, &f->plan.files, &why);
    if (st != RAD_OK) {
        RAD_TRY(rad_agent_refuse(&a, f->t, st, why.text, err));
    } else {
        RAD_TRY(start_agent(f, &a, &m, err));
    }
    RAD_TRY(worker_loop(f, &a, err));
    rad_agent_end(&a, quit_patience(f));
    f->abandon = f->abandon || a.leave;
    RAD_TRY(say_bye(f, err));
out:
    rad_agent_end(&a, quit_patience(f));
    rad_buf_release(&b);
    rad_wire_arena_release(&arena);
    return st;
}

/* ---------------------------------------------------------------- rank 0 */

/* Takes what has come. Messages to a worker in this process (alone) go to its agent. */
static rad_status take_messages(struct farm *f, rad_coordinator *c, rad_agent *a, bool *ret_any, rad_error *err) {
    *ret_any = false;
    for (;;) {
        int from;
        rad_buf b;
        bool got;
        rad_wire_kind kind;
        rad_status st = rad_transport_poll(f->t, &from, &b, &got, err);
        if (st != RAD_OK || !got)
            return st;
        *ret_any = true;
        st = rad_wire_peek(b.data, b.size, &kind, err);
        if (st == RAD_OK && (kind == RAD_WIRE_LEASE || kind == RAD_WIRE_DRAIN || kind == RAD_WIRE_QUIT || kind == RAD_WIRE_COMMITTED))
            st = rad_agent_handle(a, &b, err);
        else if (st == RAD_OK)
            st = rad_coordinator_handle(c, from, &b, err);
        rad_buf_release(&b);
        if (st != RAD_OK)
            return st;
    }
}

static rad_status coordinate(struct farm *f, rad_coordinator *c, rad_agent *a, rad_error *err) {
    bool over = false, any = false;
    for (;;) {
        bool stop = rad_signals_asked() != 0 || rad_session_stop_asked(f->session, rad_clock_seconds());
        rad_status st = take_messages(f, c, a, &any, err);
        if (st == RAD_OK)
            st = rad_coordinator_tick(c, stop, &over, err);
        if (st != RAD_OK || over)
            return st;
        double nap = any ? NAP_SHORT : NAP_LONG;
        if (a->w)
            st = rad_agent_pump(a, nap, false, err);
        else
            rad_transport_nap(nap);
        if (st != RAD_OK)
            return st;
    }
}

/* Sends everybody home; those who do not answer are left behind. */
static void dismiss(struct farm *f, rad_coordinator *c, rad_agent *a) {
    rad_error err = {0};
    bool any;
    if (f->size == 1)
        return;
    double until = rad_clock_seconds() + BYE_PATIENCE;
    rad_status st = rad_coordinator_dismiss(c, &err);
    while (st == RAD_OK && !rad_coordinator_alone(c) && rad_clock_seconds() < until) {
        st = take_messages(f, c, a, &any, &err);
        if (st != RAD_E_COMM)
            st = RAD_OK; /* late faults change nothing any more */
        rad_transport_nap(NAP_SHORT);
    }
    if (!rad_coordinator_alone(c))
        rad_log(RAD_LOG_WARN, "not every rank answers any more; leaving without them");
    f->abandon = f->abandon || !rad_coordinator_alone(c) || rad_coordinator_has_lost(c);
}

static rad_status begin_session(struct farm *f, rad_error *err) {
    if (f->session) {
        rad_session_set_database(f->session, f->plan.database);
        rad_session_set_prometheus(f->session, f->opts->prometheus, f->plan.job->name);
        return RAD_OK;
    }
    char *path = rad_session_default_path(f->plan.database), *dir = rad_path_dir(f->plan.database);
    rad_status st = path && dir ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    if (st == RAD_OK && rad_mkdirs(dir, NULL) == RAD_OK) /* else the database will say why not */
        st = rad_session_open(path, f->plan.database, &f->session, err);
    rad_session_set_prometheus(f->session, f->opts->prometheus, f->plan.job->name);
    free(path);
    free(dir);
    return st;
}

/* What a night would do, from the database as it is. */
static rad_status plan_night(struct farm *f, rad_error *err) {
    rad_store *store = NULL;
    rad_status st = access(f->plan.database, F_OK) == 0 ? rad_store_open(f->plan.database, RAD_STORE_READ, &store, err) : RAD_OK;
    if (st == RAD_OK)
        st = rad_nightly_decide(&f->plan, store, f->opts->night, err);
    rad_store_close(&store);
    f->out->n_case = f->plan.manifest->n_case;
    f->out->exit_code = RAD_EXIT_OK;
    snprintf(f->out->database, sizeof f->out->database, "%s", f->plan.database);
    return st;
}

/* The worker of this process, which has nothing left to do. */
struct ending {
    rad_agent *agent;
    double patience;
};

static void *end_agent(void *ending) {
    const struct ending *e = ending;
    rad_agent_end(e->agent, e->patience);
    return NULL;
}

static rad_status run_root(struct farm *f, rad_error *err) {
    rad_coordinator *c = NULL;
    rad_agent a = {.t = f->t};
    struct ending e = {&a, quit_patience(f)};
    pthread_t ending;
    bool nothing = false, apart = false;
    rad_status st = f->opts->status ? rad_session_open(f->opts->status, NULL, &f->session, err) : RAD_OK;
    if (st == RAD_OK)
        st = rad_plan_read_job(f->opts, true, &f->plan, err);
    if (st == RAD_OK && !f->opts->plan_only)
        st = begin_session(f, err);
    f->plan.with_worker = f->size == 1 && !f->opts->plan_only && !f->opts->merge_only;
    f->plan.threads = f->room.threads;
    if (st == RAD_OK)
        st = rad_plan_complete(f->opts, &f->plan, err);
    if (st == RAD_OK && f->opts->plan_only)
        return announce(f, plan_night(f, err), true, err);
    if (st == RAD_OK && f->opts->night && f->plan.job->golden)
        st = rad_golden_check(f->opts, &f->plan, err);
    if (st == RAD_OK)
        st = rad_coordinator_create(f->opts, &f->plan, f->t, f->room.threads, f->out, f->session, &c, &nothing, err);
    nothing = nothing || f->opts->merge_only;
    if (st == RAD_OK && !nothing)
        st = rad_coordinator_known(c, &f->known, err);
    st = announce(f, st, nothing, err);
    if (st == RAD_OK && !nothing && f->size > 1)
        st = announce_known(f, err);
    if (!c)
        return st;
    if (st == RAD_OK && !nothing) {
        if (f->size == 1) {
            rad_wire_config m = {.crash_tag = f->plan.crash_tag,
                                 .identity = f->plan.identity,
                                 .backend = f->plan.backend,
                                 .backend_version = f->plan.backend_version,
                                 .batch = f->plan.batch,
                                 .model_sha256 = f->plan.sha256,
                                 .graph_hash = f->plan.graph_hash};
            st = start_agent(f, &a, &m, err);
        }
        if (st == RAD_OK)
            st = coordinate(f, c, &a, err);
        dismiss(f, c, &a);
        /* giving back a network's memory takes as long as half of the statistics: side by side with them */
        apart = a.w && pthread_create(&ending, NULL, end_agent, &e) == 0;
        if (!apart)
            rad_agent_end(&a, e.patience);
    }
    st = rad_coordinator_finish(c, st, err);
    if (apart)
        pthread_join(ending, NULL);
    rad_coordinator_destroy(&c);
    return st;
}

rad_status rad_farm_run(const rad_farm_opts *opts, rad_farm_outcome *ret, rad_error *err) {
    rad_farm_outcome out = {.is_root = true, .exit_code = RAD_EXIT_FAILED};
    struct farm f = {.opts = opts, .out = &out};
    rad_error why = {0};
    rad_status st = opts->spool_dir ? rad_shard_run(opts, &out, err) : rad_transport_open(&f.t, err);
    if (opts->spool_dir) {
        *ret = out;
        return st;
    }
    if (st != RAD_OK) {
        *ret = out;
        return st;
    }
    f.rank = rad_transport_rank(f.t);
    f.size = rad_transport_size(f.t);
    f.room = rad_resources_find(rad_transport_cores(f.t), rad_transport_mates(f.t), opts->threads);
    out.is_root = f.rank == 0;
    if (f.size > 1) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "rank %d", f.rank);
        rad_log_configure(RAD_LOG_WARN, prefix);
    }
    rad_signals_install();
    st = out.is_root ? run_root(&f, &why) : run_worker(&f, &why);
    if (st != RAD_OK)
        (void)rad_error_set(err, st, "%s", why.text);
    rad_session_end(f.session, &out, st == RAD_OK ? out.exit_code : rad_status_exit_code(st), why.text);
    rad_session_close(&f.session);
    rad_journal_close(&f.journal);
    rad_signals_restore();
    rad_crash_restore();
    rad_plan_release(&f.plan);
    free(f.restart_dir);
    rad_known_release(&f.known);
    rad_transport_close(&f.t, f.abandon || st == RAD_E_COMM);
    if (!out.is_root && st == RAD_OK)
        out.exit_code = RAD_EXIT_OK;
    *ret = out;
    return st;
}
