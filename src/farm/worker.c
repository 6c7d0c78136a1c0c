/* worker.c: the worker's life, its queues, and the loader threads. */
#include "crash.h"
#include "transport.h"
#include "worker_cam.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void release_hold(rad_worker *w, struct hold *h) {
    pthread_mutex_lock(&w->lock);
    bool last = --h->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (last) {
        rad_wire_arena_release(&h->arena);
        free(h);
    }
}

void rad_work_destroy(rad_worker *w, struct work *k) {
    for (int64_t i = 0; i < k->n_record; i++)
        free((char *)(uintptr_t)k->record[i].warning);
    free(k->record);
    for (int i = 0; k->input && i < w->job->n_input; i++) {
        rad_samples_destroy(w->backend, &k->input[i].samples);
        rad_prepared_release(&k->input[i].prepared);
        rad_site_release(&k->input[i].site);
        free(k->input[i].why);
    }
    free(k->input);
    for (int i = 0; k->model && i < w->job->n_model; i++) {
        free(k->model[i].out);
        free(k->model[i].why);
        free(k->model[i].map);
        free(k->model[i].cam_file);
        free(k->model[i].cam_slice);
    }
    free(k->model);
    if (k->hold)
        release_hold(w, k->hold);
    free(k);
}

void rad_worker_fail(rad_worker *w, rad_status st, const rad_error *err, const struct work *const *k, int64_t n) {
    pthread_mutex_lock(&w->lock);
    if (w->fault == RAD_OK) {
        w->fault = st;
        w->fault_error = *err;
        for (int64_t i = 0; i < n && w->n_guilty < RAD_MAX_LEASE_CASES; i++)
            w->guilty[w->n_guilty++] = k[i]->c->index;
    }
    pthread_cond_broadcast(&w->to_load);
    pthread_cond_broadcast(&w->to_infer);
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->lock);
}

void rad_work_finish(rad_worker *w, struct work *k) {
    rad_error err = {0};
    struct message *m = rad_calloc(1, sizeof *m);
    bool computed = false;
    for (int i = 0; i < w->job->n_model; i++)
        computed = computed || k->model[i].given > 0;
    rad_status st = m ? rad_work_encode(w, k, &m->b, &err) : rad_error_set(&err, RAD_E_NOMEM, "out of memory for a result");
    if (st != RAD_OK) {
        const struct work *one = k;
        free(m);
        rad_worker_fail(w, st, &err, &one, 1);
    } else {
        rad_worker_hand_out(w, m, computed);
    }
    rad_work_destroy(w, k);
}

/* ---------------------------------------------------------------- loader threads */

/* A loaded case joins the lines of its models, or is finished when no model can use it. Returns true in the second case. */
static bool join_lines(rad_worker *w, struct work *k) {
    for (int i = 0; i < w->job->n_model; i++) {
        struct work_model *m = &k->model[i];
        if (!rad_work_runs(w, m))
            continue;
        struct work_input *in = &k->input[w->job->model[i].input];
        if (in->users++ == 0)
            w->prepared_bytes += in->bytes;
        k->models_left++;
        *w->line[i].end = m;
        w->line[i].end = &m->next;
        w->line[i].n_ready += in->prepared.n_slice;
    }
    return k->models_left == 0;
}

/* A case that is larger than all the room goes when nothing else is in work. Nobody waits with a reservation, and samples in the lines are
 * run when nobody but waiters could add to them: so this ends. */
void rad_worker_reserve(rad_worker *w, struct work *k, size_t bytes) {
    pthread_mutex_lock(&w->lock);
    w->n_gated++;
    pthread_cond_broadcast(&w->to_infer);
    while (!w->quit && w->fault == RAD_OK && (w->n_passed > 0 || w->prepared_bytes > 0) &&
           (w->reserved + w->prepared_bytes > w->room.work || bytes > w->room.work - w->reserved - w->prepared_bytes))
        pthread_cond_wait(&w->to_load, &w->lock);
    w->n_gated--;
    w->n_passed++;
    w->reserved += bytes;
    k->reserved = bytes;
    k->passed = true;
    pthread_mutex_unlock(&w->lock);
}

/* Lock held. */
static void give_back(rad_worker *w, struct work *k) {
    if (!k->passed)
        return;
    k->passed = false;
    w->reserved -= k->reserved;
    w->n_passed--;
    pthread_cond_broadcast(&w->to_load);
}

/* The maps of a scored case, and its message. Lock held, given up meanwhile. */
static void finish_one(rad_worker *w, int slot) {
    struct work *k = w->through;
    w->through = k->next;
    k->next = NULL;
    w->n_loading++;
    pthread_mutex_unlock(&w->lock);
    rad_crash_at(slot, &k->c->case_id, 1);
    rad_work_finish(w, k);
    rad_crash_at(slot, NULL, 0);
    pthread_mutex_lock(&w->lock);
    w->n_loading--;
    pthread_cond_broadcast(&w->to_infer);
}

static void *loader_main(void *worker) {
    rad_worker *w = worker;
    pthread_mutex_lock(&w->lock);
    int slot = ++w->n_slot;
    for (;;) {
        while (!w->quit && w->fault == RAD_OK && !w->through && (!w->first || w->prepared_bytes >= w->room.work))
            pthread_cond_wait(&w->to_load, &w->lock);
        if (w->quit || w->fault != RAD_OK)
            break;
        if (w->through) {
            finish_one(w, slot);
            continue;
        }
        struct work *k = w->first;
        w->first = k->next;
        if (!w->first)
            w->end = &w->first;
        k->next = NULL;
        w->n_loading++;
        pthread_mutex_unlock(&w->lock);
        rad_error err = {0};
        rad_crash_at(slot, &k->c->case_id, 1);
        rad_status st = rad_work_load(w, k, &err);
        rad_crash_at(slot, NULL, 0);
        bool finished = false;
        pthread_mutex_lock(&w->lock);
        if (st == RAD_OK && w->draining) {
            k->next = w->back;
            w->back = k;
        } else if (st == RAD_OK) {
            finished = join_lines(w, k);
        }
        give_back(w, k);
        w->n_loading--;
        pthread_cond_broadcast(&w->to_infer);
        pthread_mutex_unlock(&w->lock);
        if (st != RAD_OK) {
            const struct work *one = k;
            rad_worker_fail(w, st, &err, &one, 1);
            rad_work_destroy(w, k);
        } else if (finished) {
            rad_work_finish(w, k);
        }
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---------------------------------------------------------------- life */

static rad_status start_threads(rad_worker *w, rad_error *err) {
    sigset_t all, old;
    sigfillset(&all); /* requests are for the main thread; what a thread does wrong itself must reach it, for its note (crash.h) */
    const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rad_status st = RAD_OK;
    st = rad_worker_start_models(w, err);
    const int lanes = rad_backend_can_verify(w->backend) ? 1 : RAD_INFER_LANES; /* a device keeps its own queue */
    while (st == RAD_OK && w->n_infer < lanes && pthread_create(&w->infer[w->n_infer], NULL, rad_worker_infer_main, w) == 0)
        w->n_infer++;
    while (w->n_infer == lanes && w->n_started < w->room.loaders && pthread_create(&w->loader[w->n_started], NULL, loader_main, w) == 0)
        w->n_started++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (st == RAD_OK && w->n_started < w->room.loaders)
        st = rad_error_set(err, RAD_E_NOMEM, "cannot start %d threads: %s", w->room.loaders + lanes, strerror(errno));
    return st;
}

rad_status rad_worker_create(const rad_worker_opts *o, rad_worker **ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_worker *w = rad_calloc(1, sizeof *w);
    if (!w)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    w->job = o->job;
    w->graph_hash = o->graph_hash;
    w->known = o->known;
    w->journal = o->journal;
    w->cam_dir = o->cam_dir;
    w->precision = o->precision;
    w->batch = w->enough = o->batch;
    w->room = o->room;
    w->end = &w->first;
    w->out_end = &w->out_first;
    w->unconfirmed_end = &w->unconfirmed;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->shapes, NULL);
    pthread_cond_init(&w->to_load, NULL);
    pthread_cond_init(&w->to_infer, NULL);
    pthread_cond_init(&w->done, &attr);
    pthread_condattr_destroy(&attr);
    w->line = rad_calloc((size_t)w->job->n_model, sizeof *w->line);
    if (!w->line) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
        goto out;
    }
    for (int i = 0; i < w->job->n_model; i++) {
        struct model_line *line = &w->line[i];
        line->end = &line->first;
        memcpy(line->sha256, o->model_sha256[i], sizeof line->sha256);
        if (o->ready) {
            line->model = o->ready[i].model;
            line->graph = o->ready[i].graph;
            o->ready[i] = (rad_ready){0};
        }
    }
    rad_volumes_opts v = {.idle_max = w->room.idle, .cache = o->restarts, .verify = o->job->verify_files};
    RAD_TRY(rad_volumes_create(&v, &w->volumes, err));
    RAD_TRY(rad_backend_open(o->backend, &w->backend, err));
    if (strcmp(rad_backend_version(w->backend), o->backend_version) != 0) {
        st = rad_error_set(err, RAD_E_DEVICE,
                           "this rank has '%s', rank 0 has '%s': scores of one run must come from one engine; use nodes of one kind",
                           rad_backend_version(w->backend), o->backend_version);
        goto out;
    }
    if (!rad_backend_can_verify(w->backend) && w->room.threads < w->enough)
        w->enough = w->room.threads;
    for (int i = 0; i < w->job->n_input; i++)
        w->on_device[i] = rad_backend_makes_samples(w->backend, &w->job->input[i], NULL);
    RAD_TRY(start_threads(w, err));
    *ret = w;
    w = NULL;
out:
    rad_worker_destroy(&w, HUGE_VAL);
    return st;
}

static bool busy(rad_worker *w) {
    pthread_mutex_lock(&w->lock);
    bool yes = w->n_loading > 0 || w->n_building > 0 || w->n_inferring > 0;
    pthread_mutex_unlock(&w->lock);
    return yes;
}

void rad_worker_destroy(rad_worker **wp, double patience) {
    rad_worker *w = *wp;
    *wp = NULL;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_cond_broadcast(&w->to_load);
    pthread_cond_broadcast(&w->to_infer);
    pthread_mutex_unlock(&w->lock);
    for (double until = rad_clock_seconds() + patience; busy(w);) {
        if (rad_clock_seconds() > until)
            return;
        rad_transport_nap(0.001);
    }
    for (int i = 0; i < w->n_started; i++)
        pthread_join(w->loader[i], NULL);
    for (int i = 0; i < w->n_infer; i++)
        pthread_join(w->infer[i], NULL);
    for (int i = 0; i < w->n_builder; i++)
        pthread_join(w->builder[i], NULL);
    for (struct work *k = w->first, *next; k; k = next) {
        next = k->next;
        rad_work_destroy(w, k);
    }
    for (struct work *k = w->back, *next; k; k = next) {
        next = k->next;
        rad_work_destroy(w, k);
    }
    for (struct work *k = w->through, *next; k; k = next) {
        next = k->next;
        rad_work_destroy(w, k);
    }
    for (int i = 0; w->line && i < w->job->n_model; i++) {
        /* a case stands in the lines of several models: the last one to leave destroys it */
        for (struct work_model *m = w->line[i].first, *next; m; m = next) {
            next = m->next;
            if (--m->work->models_left == 0)
                rad_work_destroy(w, m->work);
        }
        for (int k = 0; k < w->line[i].n_shape; k++)
            rad_worker_release_engine(&w->line[i].shape[k]);
        rad_graph_destroy(&w->line[i].graph);
        rad_model_close(&w->line[i].model);
    }
    *w->out_end = w->unconfirmed;
    for (struct message *m = w->out_first, *next; m; m = next) {
        next = m->next;
        rad_buf_release(&m->b);
        free(m);
    }
    rad_backend_close(&w->backend);
    rad_volumes_destroy(&w->volumes);
    free(w->line);
    pthread_cond_destroy(&w->to_load);
    pthread_cond_destroy(&w->to_infer);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->shapes);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

int64_t rad_worker_window(const rad_worker *w) {
    /* batches at the network, one that is ready and one that is being read: new leases come when half of them are through */
    int64_t n = 2 * (int64_t)w->room.loaders + (int64_t)(w->n_infer + 2) * w->batch;
    return n < 256 ? n : 256;
}

/* ---------------------------------------------------------------- messages */

/* Marks the files that score the case, and those that a mean is made of. */
static rad_status want_files(const rad_worker *w, struct work *k, rad_error *err) {
    for (int64_t m = 0; m < k->c->n_model; m++) {
        const int64_t file = k->c->file[m];
        if (file >= w->job->n_model)
            return rad_error_set(err, RAD_E_COMM, "a leased case wants model file %lld, the job has %d", (long long)file, w->job->n_model);
        for (int64_t part = file < 0 ? 0 : file - rad_mean_of(w, (int)file); part <= file; part++)
            k->model[part].wanted = true;
        if (file >= 0 && rad_work_wants_cam_for(w->job, m))
            k->model[file].cam = true;
    }
    return RAD_OK;
}

rad_status rad_worker_submit(rad_worker *w, const void *data, size_t size, rad_error *err) {
    rad_status st = RAD_OK;
    struct work *made = NULL, **at = &made;
    const double now = rad_clock_seconds();
    struct hold *h = rad_calloc(1, sizeof *h);
    if (!h)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a lease");
    RAD_TRY(rad_wire_get_lease(data, size, &h->arena, &h->lease, err));
    for (int64_t i = 0; i < h->lease.n_case; i++) {
        struct work *k = rad_calloc(1, sizeof *k);
        if (k) {
            *at = k;
            at = &k->next;
            k->c = &h->lease.item[i];
            k->arrived = now;
            k->input = rad_calloc((size_t)w->job->n_input, sizeof *k->input);
            k->model = rad_calloc((size_t)w->job->n_model, sizeof *k->model);
        }
        if (!k || !k->input || !k->model) {
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a lease");
            goto out;
        }
        if (k->c->n_input != w->job->n_input) {
            st = rad_error_set(err, RAD_E_COMM, "a leased case has %lld inputs, the job has %d", (long long)k->c->n_input, w->job->n_input);
            goto out;
        }
        for (int m = 0; m < w->job->n_model; m++) {
            k->model[m].work = k;
            k->model[m].model = m;
        }
        RAD_TRY(want_files(w, k, err));
    }
    pthread_mutex_lock(&w->lock);
    for (struct work *k = made; k; k = k->next) {
        k->hold = h;
        h->refs++;
    }
    w->held += h->refs;
    if (made) {
        *w->end = made;
        w->end = at;
        h = NULL;
    }
    made = NULL;
    pthread_cond_broadcast(&w->to_load);
    pthread_mutex_unlock(&w->lock);
out:
    for (struct work *k = made, *next; k; k = next) {
        next = k->next;
        rad_work_destroy(w, k);
    }
    if (h)
        rad_wire_arena_release(&h->arena);
    free(h);
    return st;
}

/* Moves cases from one list to the end of another, at most `max` in that; returns how many it then holds. */
static int64_t move(struct work **from, struct work ***to, int64_t n, int64_t max) {
    while (*from && n < max) {
        struct work *k = *from;
        *from = k->next;
        k->next = NULL;
        **to = k;
        *to = &k->next;
        n++;
    }
    return n;
}

int64_t rad_worker_drain(rad_worker *w, int64_t max, int64_t *ret_index) {
    struct work *mine = NULL, **at = &mine;
    pthread_mutex_lock(&w->lock);
    w->draining = true;
    int64_t n = move(&w->first, &at, 0, max);
    if (!w->first)
        w->end = &w->first;
    n = move(&w->back, &at, n, max);
    struct work *unseen = rad_worker_unline(w, max - n);
    n = move(&unseen, &at, n, max);
    w->held -= n;
    pthread_cond_broadcast(&w->to_load);
    pthread_cond_broadcast(&w->to_infer);
    pthread_mutex_unlock(&w->lock);
    n = 0;
    for (struct work *k = mine, *next; k; k = next) {
        next = k->next;
        ret_index[n++] = k->c->index;
        rad_work_destroy(w, k);
    }
    return n;
}

bool rad_worker_take(rad_worker *w, double seconds, rad_buf *ret) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    long long ns = until.tv_nsec + (long long)(seconds * 1e9);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->out_first && w->fault == RAD_OK && rc == 0 && seconds > 0)
        rc = pthread_cond_timedwait(&w->done, &w->lock, &until);
    struct message *m = w->out_first;
    if (m) {
        w->out_first = m->next;
        if (!w->out_first)
            w->out_end = &w->out_first;
        w->held--;
    }
    pthread_mutex_unlock(&w->lock);
    if (!m)
        return false;
    *ret = m->b;
    free(m);
    return true;
}

int64_t rad_worker_held(rad_worker *w) {
    pthread_mutex_lock(&w->lock);
    int64_t n = w->held;
    pthread_mutex_unlock(&w->lock);
    return n;
}

rad_status rad_worker_fault(rad_worker *w, int64_t max, int64_t *ret_guilty, int64_t *ret_n, rad_error *err) {
    pthread_mutex_lock(&w->lock);
    rad_status st = w->fault;
    if (st != RAD_OK) {
        (void)rad_error_set(err, st, "%s", w->fault_error.text);
        *ret_n = w->n_guilty < max ? w->n_guilty : max;
        memcpy(ret_guilty, w->guilty, (size_t)*ret_n * sizeof *ret_guilty);
    }
    pthread_mutex_unlock(&w->lock);
    return st;
}
