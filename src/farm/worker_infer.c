/* worker_infer.c: the inference threads. Batches are filled across cases: a model's line hands out samples until the batch limit, whatever
 * case they belong to. A thread waits for more samples only while loader threads can still bring them: on a device for a full batch, on
 * processors, which compute one sample at a time, for one each. There are two of them, so that an engine has its next batch before its
 * last thread is done with this one; both give to one engine at a time. */
#include "crash.h"
#include "worker_cam.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- one batch */

struct slice_of { /* samples first .. first + n - 1 of one case */
    struct work_model *m;
    int64_t first, n;
};

struct batch {
    double begun;
    int model;
    int64_t dim[RAD_SAMPLE_DIMS], n;
    size_t sample; /* floats */
    struct slice_of part[RAD_MAX_LEASE_CASES];
    int64_t n_part;
};

static struct work_input *input_of(const rad_worker *w, const struct work_model *m) {
    return &m->work->input[w->job->model[m->model].input];
}

/* The model to run now, or -1 to wait. Lock held. */
static int choose(const rad_worker *w) {
    int best = -1;
    for (int i = 0; i < w->job->n_model; i++)
        if (w->line[i].ready && w->line[i].n_ready > 0 && (best < 0 || w->line[i].n_ready > w->line[best].n_ready))
            best = i;
    for (int i = 0; i < RAD_INFER_LANES; i++)
        if (best >= 0 && w->flying[i] && w->flying[i]->model != best)
            return -1; /* two networks at once would only take each other's caches */
    if (best < 0 || w->line[best].n_ready >= w->enough || w->prepared_bytes >= w->room.work)
        return best;
    /* a loader thread that waits for room brings nothing before these are run */
    return w->n_loading > w->n_gated || (w->first && w->n_gated == 0) ? -1 : best;
}

static size_t sample_size(const int64_t dim[RAD_SAMPLE_DIMS]) {
    size_t n = 1; /* below RAD_MAX_PREPARED_BYTES, as prepared */
    for (int i = 0; i < RAD_SAMPLE_DIMS && dim[i] > 0; i++)
        n *= (size_t)dim[i];
    return n;
}

/* Samples of one shape from the front of the line. Lock held. */
static void gather(rad_worker *w, int model, struct batch *b) {
    struct model_line *line = &w->line[model];
    b->model = model;
    b->n = b->n_part = 0;
    for (struct work_model *m = line->first; m && b->n < w->batch && b->n_part < RAD_MAX_LEASE_CASES; m = m->next) {
        const rad_prepared *p = &input_of(w, m)->prepared;
        int64_t dim[RAD_SAMPLE_DIMS], left = p->n_slice - m->given;
        if (left == 0)
            continue;
        rad_prepared_sample_shape(p, dim);
        if (b->n > 0 && memcmp(dim, b->dim, sizeof dim) != 0)
            break;
        memcpy(b->dim, dim, sizeof dim);
        b->sample = sample_size(dim);
        int64_t fits = (int64_t)(w->room.batch / sizeof(float) / b->sample), most = fits < 1 ? 1 : fits < w->batch ? fits : w->batch;
        if (b->n >= most)
            break;
        int64_t n = left < most - b->n ? left : most - b->n;
        b->part[b->n_part++] = (struct slice_of){m, m->given, n};
        b->n += n;
        m->given += n;
        m->away += n;
    }
    line->n_ready -= b->n;
}

static const float *sample_data(const rad_worker *w, const struct batch *b, int64_t part, int64_t i) {
    return input_of(w, b->part[part].m)->prepared.data + (size_t)(b->part[part].first + i) * b->sample;
}

static rad_status make_outputs(struct batch *b, const rad_worker *w, const struct shape_engine *e, rad_error *err) {
    for (int64_t k = 0; k < b->n_part; k++) {
        struct work_model *m = b->part[k].m;
        if (m->out)
            continue;
        m->n_out = e->n_out;
        size_t count;
        if (!rad_mul_size((size_t)input_of(w, m)->prepared.n_slice, (size_t)e->n_out, &count) ||
            !(m->out = rad_calloc(count, sizeof *m->out)))
            return rad_error_set(err, RAD_E_NOMEM, "out of memory for the outputs of a case");
        if (e->cam) {
            rad_status st = rad_work_make_maps(w, e, m, input_of(w, m)->prepared.n_slice, err);
            if (st != RAD_OK)
                return st;
        }
    }
    return RAD_OK;
}

/* Lock not held; a large case may be in the hands of both threads. */
static void fail_part(rad_worker *w, struct work_model *m, rad_status st, const char *stage, const char *text) {
    pthread_mutex_lock(&w->lock);
    if (m->status == RAD_OK) { /* the first reason counts */
        m->status = st;
        m->stage = stage;
        m->why = rad_strdup(text);
    }
    pthread_mutex_unlock(&w->lock);
}

static bool has_failed(rad_worker *w, const struct work_model *m) {
    pthread_mutex_lock(&w->lock);
    const bool yes = m->status != RAD_OK;
    pthread_mutex_unlock(&w->lock);
    return yes;
}

/* `n` samples of a part from its `i`-th on, wherever they lie. */
static rad_status run_part(const rad_worker *w, const struct batch *b, int64_t part, int64_t i, int64_t n, struct shape_engine *e,
                           float *out, float *tap, rad_error *err) {
    const struct work_input *in = input_of(w, b->part[part].m);
    const rad_sample_run run = {in->samples, b->part[part].first + i, n};
    if (in->samples)
        return rad_engine_run_samples(e->engine, &run, 1, out, tap, err);
    return rad_engine_run(e->engine, sample_data(w, b, part, i), n, out, tap, err);
}

/* Several parts, each where it is. */
static rad_status run_parts(const rad_worker *w, const struct batch *b, struct shape_engine *e, float *out, float *tap, rad_error *err) {
    rad_sample_run run[RAD_MAX_LEASE_CASES];
    rad_host_run host[RAD_MAX_LEASE_CASES];
    for (int64_t k = 0; k < b->n_part; k++) {
        run[k] = (rad_sample_run){input_of(w, b->part[k].m)->samples, b->part[k].first, b->part[k].n};
        host[k] = (rad_host_run){run[k].samples ? NULL : sample_data(w, b, k, 0), b->part[k].n};
    }
    return run[0].samples ? rad_engine_run_samples(e->engine, run, b->n_part, out, tap, err)
                          : rad_engine_run_parts(e->engine, host, b->n_part, out, tap, err);
}

/* One sample after the other, to find whose fault it was. */
static rad_status run_singly(rad_worker *w, struct batch *b, struct shape_engine *e, float *tap, rad_error *err) {
    for (int64_t k = 0; k < b->n_part; k++) {
        struct slice_of *s = &b->part[k];
        for (int64_t i = 0; i < s->n && !has_failed(w, s->m); i++) {
            rad_error why = {0};
            rad_status st = run_part(w, b, k, i, 1, e, s->m->out + (s->first + i) * e->n_out, tap, &why);
            if (st == RAD_OK && e->cam)
                st = rad_work_take_maps(w, e, s->m, s->first + i, 1, tap, &why);
            if (st == RAD_OK)
                continue;
            if (rad_status_scope(st) != RAD_SCOPE_STUDY)
                return rad_error_set(err, st, "%s", why.text);
            char text[RAD_ERROR_TEXT];
            snprintf(text, sizeof text, "slice %lld: %.400s", (long long)input_of(w, s->m)->prepared.slice[s->first + i], why.text);
            fail_part(w, s->m, st, "infer", text);
        }
    }
    return RAD_OK;
}

/* Lock not held. Errors: worker and run scope only. */
static rad_status run_batch(rad_worker *w, struct batch *b, rad_error *err) {
    rad_status st = RAD_OK;
    float *out = NULL, *tap = NULL;
    struct shape_engine *e = NULL;
    int64_t dim[RAD_SAMPLE_DIMS];
    /* Where the image decides the shape and the network cannot take it, that is the study's misfortune, not the run's. */
    bool fixed = rad_prepare_sample_shape(&w->job->input[w->job->model[b->model].input], dim);
    const char *stage = "prepare";
    rad_error why = {0};
    st = rad_model_check_sample(w->line[b->model].model, b->dim, &why);
    if (st == RAD_OK) {
        stage = "infer";
        pthread_mutex_lock(&w->shapes);
        st = rad_worker_engine(w, b->model, b->dim, &e, &why);
        if (st == RAD_OK)
            e->users++;
        pthread_mutex_unlock(&w->shapes);
    }
    if (st == RAD_E_MODEL && !fixed) {
        for (int64_t k = 0; k < b->n_part; k++)
            fail_part(w, b->part[k].m, RAD_E_SHAPE, stage, why.text);
        return RAD_OK;
    }
    if (st != RAD_OK)
        return rad_error_set(err, st, "%s", why.text);
    pthread_mutex_lock(&w->shapes);
    st = make_outputs(b, w, e, err);
    pthread_mutex_unlock(&w->shapes);
    if (st != RAD_OK)
        goto out;
    if (e->cam && !(tap = rad_malloc((size_t)(b->n * e->n_tap) * sizeof *tap))) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the feature maps of %lld samples", (long long)b->n);
        goto out;
    }
    if (b->n_part > 1 && !(out = rad_malloc((size_t)(b->n * e->n_out) * sizeof *out))) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a batch of %lld samples", (long long)b->n);
        goto out;
    }
    if (b->n_part == 1)
        st = run_part(w, b, 0, 0, b->n, e, b->part[0].m->out + b->part[0].first * e->n_out, tap, &why);
    else
        st = run_parts(w, b, e, out, tap, &why);
    if (st != RAD_OK && rad_status_scope(st) == RAD_SCOPE_STUDY) {
        st = run_singly(w, b, e, tap, err);
        goto out;
    } else if (st != RAD_OK) {
        (void)rad_error_set(err, st, "%s", why.text);
    } else if (out) {
        const float *at = out;
        for (int64_t k = 0; k < b->n_part; k++) {
            memcpy(b->part[k].m->out + b->part[k].first * e->n_out, at, (size_t)(b->part[k].n * e->n_out) * sizeof *at);
            at += b->part[k].n * e->n_out;
        }
    }
    const float *tapped = tap;
    for (int64_t k = 0; tap && st == RAD_OK && k < b->n_part; k++) {
        st = rad_work_take_maps(w, e, b->part[k].m, b->part[k].first, b->part[k].n, tapped, err);
        tapped += b->part[k].n * e->n_tap;
    }
out:
    pthread_mutex_lock(&w->shapes);
    e->users--;
    pthread_mutex_unlock(&w->shapes);
    free(tap);
    free(out);
    return st;
}

/* Books the batch; models that are through leave the line, cases that are through are linked into *ret. Lock held. A moment of inference
 * counts once, for the batch that is through first, whichever threads were at it. */
static void settle(rad_worker *w, struct batch *b, struct work **ret) {
    struct model_line *line = &w->line[b->model];
    const double now = rad_clock_seconds(), seconds = now - (b->begun > w->inferred ? b->begun : w->inferred);
    w->inferred = now;
    for (int64_t k = 0; k < b->n_part; k++) {
        struct slice_of *s = &b->part[k];
        struct work_input *in = input_of(w, s->m);
        s->m->work->infer_s += seconds * (double)s->n / (double)b->n;
        s->m->away -= s->n;
        if (s->m->status != RAD_OK) { /* the rest of a failed case is not run */
            line->n_ready -= in->prepared.n_slice - s->m->given;
            s->m->given = in->prepared.n_slice;
        }
    }
    for (struct work_model **at = &line->first; *at;) {
        struct work_model *m = *at;
        struct work_input *in = input_of(w, m);
        if (m->given < in->prepared.n_slice || m->away > 0)
            break; /* what is behind it and through leaves when this one does */
        *at = m->next;
        if (--in->users == 0) {
            w->prepared_bytes -= in->bytes;
            rad_worker_drop_samples(w, in);
            pthread_cond_broadcast(&w->to_load);
        }
        if (--m->work->models_left == 0) {
            m->work->next = *ret;
            *ret = m->work;
        }
    }
    if (!line->first)
        line->end = &line->first;
}

static bool unseen(const rad_worker *w, const struct work *k) {
    for (int i = 0; i < w->job->n_model; i++)
        if (k->model[i].given > 0)
            return false;
    return true;
}

/* Out of one line; returns what follows it there. */
static struct work_model *leave_line(rad_worker *w, struct work_model *m) {
    struct model_line *line = &w->line[m->model];
    struct work_input *in = input_of(w, m);
    struct work_model **at = &line->first;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (!m->next)
        line->end = at;
    line->n_ready -= in->prepared.n_slice;
    if (--in->users == 0)
        w->prepared_bytes -= in->bytes;
    m->work->models_left--;
    return *at;
}

struct work *rad_worker_unline(rad_worker *w, int64_t max) {
    struct work *out = NULL;
    for (int i = 0; i < w->job->n_model; i++)
        for (struct work_model *m = w->line[i].first; m && max > 0;) {
            struct work *k = m->work;
            if (!unseen(w, k)) {
                m = m->next;
                continue;
            }
            for (int o = 0; o < w->job->n_model; o++)
                if (o != i && rad_work_runs(w, &k->model[o]))
                    (void)leave_line(w, &k->model[o]);
            m = leave_line(w, m);
            k->next = out;
            out = k;
            max--;
        }
    return out;
}

/* A case that all of its networks have seen: drawing maps and writing them is not this thread's work. Lock not held. */
static void hand_on(rad_worker *w, struct work *k) {
    bool maps = false;
    for (int i = 0; i < w->job->n_model; i++)
        maps = maps || k->model[i].map != NULL;
    if (!maps) {
        rad_work_finish(w, k);
        return;
    }
    pthread_mutex_lock(&w->lock);
    struct work **at = &w->through;
    while (*at)
        at = &(*at)->next;
    k->next = NULL;
    *at = k;
    pthread_cond_broadcast(&w->to_load);
    pthread_mutex_unlock(&w->lock);
}

/* All cases that a network is at: whichever of the threads takes the process down. Lock held. */
static void note_cases(const rad_worker *w) {
    int64_t at[RAD_CRASH_CASES], n = 0;
    for (int i = 0; i < RAD_INFER_LANES; i++)
        for (int64_t k = 0; w->flying[i] && k < w->flying[i]->n_part && n < RAD_CRASH_CASES; k++)
            at[n++] = w->flying[i]->part[k].m->work->c->case_id;
    rad_crash_at(0, at, n);
}

/* The batch begins, or (NULL) is over. Lock held. */
static void fly(rad_worker *w, int lane, struct batch *b) {
    w->n_inferring += (b != NULL) - (w->flying[lane] != NULL);
    w->flying[lane] = b;
    note_cases(w);
    pthread_cond_broadcast(&w->to_infer);
}

void *rad_worker_infer_main(void *worker) {
    rad_worker *w = worker;
    struct batch *b = rad_calloc(1, sizeof *b);
    rad_error err = {0};
    if (!b) {
        rad_worker_fail(w, rad_error_set(&err, RAD_E_NOMEM, "out of memory at start"), &err, NULL, 0);
        return NULL;
    }
    pthread_mutex_lock(&w->lock);
    const int lane = w->n_lane++;
    for (;;) {
        int model = -1;
        while (!w->quit && w->fault == RAD_OK && (model = choose(w)) < 0 && !rad_worker_should_confirm(w, true))
            pthread_cond_wait(&w->to_infer, &w->lock);
        if (w->quit || w->fault != RAD_OK)
            break;
        if (rad_worker_should_confirm(w, model < 0)) {
            w->n_inferring++;
            pthread_mutex_unlock(&w->lock);
            rad_status st = rad_worker_confirm(w, &err);
            if (st != RAD_OK)
                rad_worker_fail(w, st, &err, NULL, 0);
            pthread_mutex_lock(&w->lock);
            w->n_inferring--;
            continue;
        }
        gather(w, model, b);
        b->begun = rad_clock_seconds();
        fly(w, lane, b);
        pthread_mutex_unlock(&w->lock);
        rad_status st = run_batch(w, b, &err);
        if (st != RAD_OK) {
            const struct work *guilty[RAD_MAX_LEASE_CASES];
            for (int64_t k = 0; k < b->n_part; k++)
                guilty[k] = b->part[k].m->work;
            rad_worker_fail(w, st, &err, guilty, b->n_part);
            pthread_mutex_lock(&w->lock);
            fly(w, lane, NULL);
            break;
        }
        struct work *finished = NULL;
        pthread_mutex_lock(&w->lock);
        settle(w, b, &finished);
        fly(w, lane, NULL);
        w->n_inferring++; /* until its cases are handed on */
        pthread_mutex_unlock(&w->lock);
        for (struct work *next; finished; finished = next) {
            next = finished->next;
            hand_on(w, finished);
        }
        pthread_mutex_lock(&w->lock);
        w->n_inferring--;
    }
    pthread_mutex_unlock(&w->lock);
    free(b);
    return NULL;
}
