/* engine.c: runs one network on any number of samples with bit-identical results (promise 1).
 *
 * Why the bits do not move: every sample goes through the same plan of one fixed batch, at a fixed place in it, computed wholly by one
 * thread with that thread's own scratch. How many samples come in a call, which thread takes which, and in which order, touches nothing
 * that is computed. Samples that would leave threads idle (one sample on two threads, the rest of nine on two) are computed by all of them
 * together, where the backend has such an exec: it promises the bits of one thread.
 *
 * A file that only works at its own fixed batch B > 1 (a Reshape to [B, ...]) gets a plan of batch B in which one sample fills all
 * B places: B times the work, but no sample ever shares a plan run with another one. */
#include "backend.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RAD_MAX_THREADS 1024
#define FIRST_RESTS 2 /* whoever comes twice pays for no team, and the first call is slow for other reasons */
#define MAX_LOSSES 5  /* a team that lost time rests 2^5 times 10 times as long at most: what it loses stays a small part */
#define REST_PER_LOSS 10.0

struct worker {
    rad_engine *engine;
    pthread_t thread;
    bool started;
    rad_exec *exec;
    rad_exec *team;          /* of the first worker alone: all threads on one sample; NULL = none */
    float *in, *out, *tap;   /* [batch, ...] staging, NULL when the plan's batch is 1 */
    rad_sample_place *place; /* [batch], for samples on the device */
    rad_tensor *result;      /* one per graph output; those nobody asked for own their data */
};

/* What the workers do next: each its own units; the first one makes the team; the first one leads the team. In the latter two no other
 * worker does anything. */
enum phase { ALONE, MAKE_TEAM, TOGETHER };

/* One rad_engine_run. A worker that finds no unit left in the oldest goes on with the next, so that none waits for the slowest of another
 * call. Written under the lock, but for `next` and `bad_sample`; `in` to `n` do not change while it is in the list. */
struct call {
    struct call *younger;
    const rad_host_run *in;
    const rad_sample_run *run; /* or, instead of `in`, samples on the device */
    float *out, *tap;
    int64_t n;
    enum phase phase;
    bool asked;                      /* a phase of the first worker alone has not begun */
    int users;                       /* workers that are at it */
    int64_t end;                     /* the unit after the last of this phase */
    atomic_int_least64_t next;       /* first unit not yet taken; a unit is one plan run */
    atomic_int_least64_t bad_sample; /* smallest index with a non-finite output, n = none */
    int64_t failed_unit;             /* smallest unit that failed, -1 = none */
    rad_error failure;
};

struct rad_engine {
    const rad_backend_ops *ops;
    rad_graph *graph;
    rad_plan *plan;
    int64_t batch;  /* of the plan */
    bool replicate; /* one sample fills all places of the plan */
    bool with_tap;
    int out_index, tap_index;                 /* places in graph->output */
    rad_shape in_shape, out_shape, tap_shape; /* of one sample */
    size_t in_count, out_count, tap_count;    /* elements of one sample */
    int n_worker;
    struct worker *worker;
    bool team_tried;
    double team_gain; /* how many times faster than one thread, as the backend reckons */
    double alone;     /* seconds that the rest takes on one thread each */
    int losses;       /* how often in a row the team was slower than that */
    int rests;        /* calls in which the team is not asked yet */
    double rest_end;  /* and the time before which it is not asked again */

    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    bool lock_made, wake_made, done_made;
    bool quit;
    struct call *first; /* under the lock: those that are running, oldest first */
};

/* ---------------------------------------------------------------- shapes */

/* Drops the batch from `s`. A tensor whose first axis is not the batch belongs as a whole to the sample when the batch is 1
 * (an exported squeeze() removes the axis at batch 1). */
static rad_status drop_batch(const rad_value *v, int64_t batch, rad_shape *ret, rad_error *err) {
    char text[128];
    *ret = v->shape;
    if (v->shape.rank >= 1 && v->shape.dim[0] == batch) {
        ret->rank--;
        memmove(ret->dim, ret->dim + 1, (size_t)ret->rank * sizeof ret->dim[0]);
        return RAD_OK;
    }
    if (batch == 1)
        return RAD_OK;
    return rad_error_set(err, RAD_E_MODEL,
                         "tensor '%s' has shape %s, whose first axis is not the batch of %lld; export the network with its batch first",
                         v->name, rad_shape_text(&v->shape, text, sizeof text), (long long)batch);
}

static rad_status check_float(const rad_value *v, const char *role, rad_error *err) {
    if (v->dtype == RAD_DT_F32)
        return RAD_OK;
    return rad_error_set(err, RAD_E_MODEL, "%s '%s' is %s; radcohort needs float32 there: export the network with a float32 %s", role,
                         v->name, rad_dtype_name(v->dtype), role);
}

/* ---------------------------------------------------------------- workers */

static bool all_finite(const float *p, size_t n) {
    /* Sum of x*0 is 0 for finite numbers and NaN otherwise: branch-free, so it is never the slow part. */
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        sum += p[i] * 0.0f;
    return sum == 0.0f;
}

static void note_failure(rad_engine *e, struct call *c, int64_t unit, const rad_error *err) {
    (void)pthread_mutex_lock(&e->lock);
    if (c->failed_unit < 0 || unit < c->failed_unit) {
        c->failed_unit = unit;
        c->failure = *err;
    }
    (void)pthread_mutex_unlock(&e->lock);
}

static void note_bad_sample(struct call *c, int64_t sample) {
    int64_t seen = atomic_load(&c->bad_sample);
    while (sample < seen && !atomic_compare_exchange_weak(&c->bad_sample, &seen, sample)) {
    }
}

/* Samples [first, first + here) on the device, one per place; places without one of their own repeat the last one. */
static void set_places(const rad_engine *e, const struct call *c, int64_t first, int64_t here, rad_sample_place *place) {
    const rad_sample_run *run = c->run;
    int64_t at = first;
    for (; at >= run->n; run++)
        at -= run->n;
    for (int64_t k = 0; k < e->batch; k++) {
        place[k] = (rad_sample_place){run->samples, run->first + at};
        if (k + 1 >= here)
            continue;
        for (at++; at >= run->n; run++)
            at -= run->n;
    }
}

/* Sample `i` of the call. */
static const float *host_sample(const rad_engine *e, const struct call *c, int64_t i) {
    const rad_host_run *run = c->in;
    for (; i >= run->n; run++)
        i -= run->n;
    return run->data + (size_t)i * e->in_count;
}

/* Runs the plan once, for samples [first, first + here). */
static rad_status run_unit(struct worker *w, struct call *c, rad_exec *exec, int64_t first, int64_t here, rad_error *err) {
    rad_engine *e = w->engine;
    const rad_graph *g = e->graph;
    const size_t at = (size_t)first, n = (size_t)here;
    /* exec_run only reads `in`; the view type has no const. */
    float *in = w->in, *out = w->out, *tap = w->tap;
    if (e->batch == 1) {
        out = c->out + at * e->out_count;
        tap = e->with_tap ? c->tap + at * e->tap_count : NULL;
    }
    if (c->run != NULL) {
        set_places(e, c, first, here, w->place);
    } else if (e->batch == 1) {
        memcpy(&in, &(const float *){host_sample(e, c, first)}, sizeof in);
    } else {
        /* Places without a sample of their own repeat the last one: real numbers, never read back. */
        for (size_t k = 0; k < (size_t)e->batch; k++)
            memcpy(in + k * e->in_count, host_sample(e, c, first + (int64_t)(k < n ? k : n - 1)), e->in_count * sizeof *in);
    }
    const rad_tensor t_in = {.dtype = RAD_DT_F32, .shape = g->value[g->input[0]].shape, .data = in};
    w->result[e->out_index].data = out;
    if (e->with_tap)
        w->result[e->tap_index].data = tap;
    rad_status st =
        c->run != NULL ? e->ops->samples->exec_run(exec, w->place, w->result, err) : e->ops->exec_run(exec, &t_in, w->result, err);
    if (st != RAD_OK)
        return st;
    if (e->batch != 1) {
        memcpy(c->out + at * e->out_count, out, n * e->out_count * sizeof *out);
        if (e->with_tap)
            memcpy(c->tap + at * e->tap_count, tap, n * e->tap_count * sizeof *tap);
    }
    for (size_t k = 0; k < n; k++)
        if (!all_finite(c->out + (at + k) * e->out_count, e->out_count) ||
            (e->with_tap && !all_finite(c->tap + (at + k) * e->tap_count, e->tap_count)))
            note_bad_sample(c, first + (int64_t)k);
    return RAD_OK;
}

static int64_t unit_size(const rad_engine *e) {
    return e->replicate ? 1 : e->batch;
}

static void run_units(struct worker *w, struct call *c, rad_exec *exec) {
    rad_engine *e = w->engine;
    const int64_t step = unit_size(e);
    for (;;) {
        int64_t unit = atomic_fetch_add(&c->next, 1);
        if (unit >= c->end)
            return;
        int64_t first = unit * step;
        rad_error err = {0};
        if (run_unit(w, c, exec, first, c->n - first < step ? c->n - first : step, &err) != RAD_OK) {
            note_failure(e, c, unit, &err);
            atomic_store(&c->next, c->end); /* the call has failed: nobody needs to start another unit */
            return;
        }
    }
}

static void work(struct worker *w, struct call *c) {
    rad_engine *e = w->engine;
    if (c->phase == ALONE) {
        run_units(w, c, w->exec);
    } else if (c->phase == TOGETHER) {
        run_units(w, c, w->team);
    } else {
        bool busy = false;
        /* A team is nothing but speed: without memory for it the samples are computed as ever. */
        if (e->ops->exec_create_team(e->plan, e->n_worker, &w->team, &e->team_gain, &busy, NULL) != RAD_OK)
            w->team = NULL;
        e->team_tried = !busy;
    }
}

/* The oldest call that has something for this worker. Called under the lock. */
static struct call *find_work(rad_engine *e, const struct worker *w) {
    for (struct call *c = e->first; c != NULL; c = c->younger) {
        if (c->phase != ALONE)
            return c->asked && w == e->worker ? c : NULL;
        if (atomic_load(&c->next) < c->end)
            return c;
    }
    return NULL;
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    rad_engine *e = w->engine;
    (void)pthread_mutex_lock(&e->lock);
    for (;;) {
        struct call *c = NULL;
        while (!e->quit && (c = find_work(e, w)) == NULL)
            (void)pthread_cond_wait(&e->wake, &e->lock);
        if (e->quit)
            break;
        c->users++;
        c->asked = false;
        (void)pthread_mutex_unlock(&e->lock);
        work(w, c);
        (void)pthread_mutex_lock(&e->lock);
        if (--c->users == 0)
            (void)pthread_cond_broadcast(&e->done);
    }
    (void)pthread_mutex_unlock(&e->lock);
    return NULL;
}

static bool is_asked_for(const rad_engine *e, int k) {
    return k == e->out_index || (e->with_tap && k == e->tap_index);
}

static rad_status start_worker(rad_engine *e, struct worker *w, rad_error *err) {
    w->engine = e;
    if (e->batch > 1) {
        size_t n = (size_t)e->batch;
        w->in = rad_aligned(n * e->in_count * sizeof *w->in);
        w->out = rad_aligned(n * e->out_count * sizeof *w->out);
        w->tap = rad_aligned(n * e->tap_count * sizeof *w->tap);
        if (w->in == NULL || w->out == NULL || w->tap == NULL)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for the staging buffers of an inference thread");
    }
    w->result = rad_calloc((size_t)e->graph->n_output, sizeof *w->result);
    w->place = rad_calloc((size_t)e->batch, sizeof *w->place);
    if (w->result == NULL || w->place == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference thread");
    for (int k = 0; k < e->graph->n_output; k++) {
        const rad_value *v = &e->graph->value[e->graph->output[k]];
        w->result[k] = (rad_tensor){.dtype = v->dtype, .shape = v->shape};
        if (is_asked_for(e, k))
            continue;
        w->result[k].data = rad_aligned((size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype));
        if (w->result[k].data == NULL)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for output '%s'", v->name);
    }
    rad_status st = e->ops->exec_create(e->plan, &w->exec, err);
    if (st != RAD_OK)
        return st;
    if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
        return rad_error_set(err, RAD_E_NOMEM, "cannot start inference thread %d of %d; ask for fewer threads", (int)(w - e->worker) + 1,
                             e->n_worker);
    w->started = true;
    return RAD_OK;
}

/* ---------------------------------------------------------------- create, destroy */

/* Was it built as build_graph would, for these samples and without a tap? */
static bool fits(const rad_graph *g, const rad_engine_opts *opts, int64_t plan_batch) {
    const rad_shape *s = &g->value[g->input[0]].shape;
    if (g->n_input != 1 || g->batch != plan_batch || opts->tap != NULL || s->rank < 1 || s->dim[0] != plan_batch)
        return false;
    int k = 0;
    for (; k < RAD_MAX_RANK && opts->sample[k] != 0; k++)
        if (k + 1 >= s->rank || s->dim[k + 1] != opts->sample[k])
            return false;
    return k > 0 && k + 1 == s->rank;
}

/* The graph at the backend's batch, or, when the network only exists at its own fixed batch, at that one. */
static rad_status build_graph(rad_engine *e, rad_model *m, const rad_engine_opts *opts, int64_t plan_batch, rad_error *err) {
    if (rad_model_input_count(m) != 1)
        return rad_error_set(err, RAD_E_MODEL, "the network has %d inputs; radcohort feeds exactly one: put the channels into one tensor",
                             rad_model_input_count(m));
    const char *name = NULL;
    rad_dtype dtype = RAD_DT_NONE;
    rad_shape declared = {0}, wanted = {0};
    rad_model_get_input(m, 0, &name, &dtype, &declared);
    if (opts->graph != NULL && *opts->graph != NULL && fits(*opts->graph, opts, plan_batch)) {
        e->graph = *opts->graph;
        *opts->graph = NULL;
        e->batch = plan_batch;
        return RAD_OK;
    }
    rad_graph_opts go = {.batch = plan_batch, .tap = opts->tap};
    if (opts->sample[0] != 0) {
        wanted.dim[0] = plan_batch;
        for (wanted.rank = 1; wanted.rank < RAD_MAX_RANK && opts->sample[wanted.rank - 1] != 0; wanted.rank++)
            wanted.dim[wanted.rank] = opts->sample[wanted.rank - 1];
        go.n_shape = 1;
        go.shape = &wanted;
    }
    rad_status st = rad_graph_build(m, &go, &e->graph, err);
    if (st != RAD_E_MODEL || declared.rank < 1 || declared.dim[0] <= 1 || declared.dim[0] == plan_batch) {
        e->batch = plan_batch;
        return st;
    }
    rad_error second = {0};
    go.batch = declared.dim[0];
    wanted.dim[0] = declared.dim[0];
    if (rad_graph_build(m, &go, &e->graph, &second) != RAD_OK)
        return st; /* the first error is about the network, not about its batch */
    e->batch = declared.dim[0];
    e->replicate = e->batch > 1;
    return RAD_OK;
}

static int find_output(const rad_graph *g, const char *name) {
    for (int k = 0; k < g->n_output; k++)
        if (strcmp(g->value[g->output[k]].name, name) == 0)
            return k;
    return -1;
}

static rad_status choose_outputs(rad_engine *e, const rad_engine_opts *opts, rad_error *err) {
    const rad_graph *g = e->graph;
    if (g->n_input != 1 || g->n_output < 1)
        return rad_error_set(err, RAD_E_MODEL, "the network's output does not depend on its input");
    if (opts->tap != NULL) {
        e->tap_index = find_output(g, opts->tap);
        if (e->tap_index < 0)
            return rad_error_set(err, RAD_E_MODEL, "the network has no tensor '%s' to tap", opts->tap);
    }
    if (opts->output != NULL) {
        e->out_index = find_output(g, opts->output);
        if (e->out_index < 0)
            return rad_error_set(err, RAD_E_MODEL,
                                 "the network has no output '%s'; its first output is '%s' (any other tensor can be tapped)", opts->output,
                                 g->value[g->output[0]].name);
    }
    return RAD_OK;
}

static rad_status set_shapes(rad_engine *e, rad_error *err) {
    const rad_graph *g = e->graph;
    const rad_value *in = &g->value[g->input[0]], *out = &g->value[g->output[e->out_index]];
    rad_status st = RAD_OK;
    RAD_TRY(check_float(in, "input", err));
    RAD_TRY(check_float(out, "output", err));
    RAD_TRY(drop_batch(in, e->batch, &e->in_shape, err));
    RAD_TRY(drop_batch(out, e->batch, &e->out_shape, err));
    e->in_count = (size_t)rad_shape_count(&e->in_shape);
    e->out_count = (size_t)rad_shape_count(&e->out_shape);
    if (e->with_tap) {
        const rad_value *tap = &g->value[g->output[e->tap_index]];
        RAD_TRY(check_float(tap, "tapped tensor", err));
        RAD_TRY(drop_batch(tap, e->batch, &e->tap_shape, err));
        e->tap_count = (size_t)rad_shape_count(&e->tap_shape);
    }
out:
    return st;
}

rad_status rad_engine_create(rad_backend *be, rad_model *m, const rad_engine_opts *opts, rad_engine **ret, rad_error *err) {
    if (opts->threads < 1 || opts->threads > RAD_MAX_THREADS)
        return rad_error_set(err, RAD_E_USAGE, "%d inference threads: must be 1 to %d", opts->threads, RAD_MAX_THREADS);
    rad_engine *e = rad_calloc(1, sizeof *e);
    if (e == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference engine");
    void *state = NULL;
    rad_status st = RAD_OK;
    e->ops = rad_backend_get_ops(be, &state);
    e->with_tap = opts->tap != NULL;
    RAD_TRY(rad_backend_check_precision(be, opts->precision, err));
    RAD_TRY(build_graph(e, m, opts, e->ops->plan_batch(state, opts->precision), err));
    RAD_TRY(choose_outputs(e, opts, err));
    RAD_TRY(set_shapes(e, err));
    RAD_TRY(rad_backend_refuse(be, e->graph, opts->precision, err));
    rad_model_drop_pages(m); /* folded weights are copies: the file's need not lie beside them at the peak */
    if (e->ops->plan_create_by != NULL)
        RAD_TRY(e->ops->plan_create_by(state, e->graph, opts->precision, opts->threads, &e->plan, err));
    else
        RAD_TRY(e->ops->plan_create(state, e->graph, opts->precision, &e->plan, err));
    /* a plan reads nothing of the file once it is made: what was planned is what was hashed, whatever happens to the file later */
    RAD_TRY(rad_model_verify(m, err));
    e->lock_made = pthread_mutex_init(&e->lock, NULL) == 0;
    e->wake_made = pthread_cond_init(&e->wake, NULL) == 0;
    e->done_made = pthread_cond_init(&e->done, NULL) == 0;
    e->worker = rad_calloc((size_t)opts->threads, sizeof *e->worker);
    if (!e->lock_made || !e->wake_made || !e->done_made || e->worker == NULL) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for %d inference threads", opts->threads);
        goto out;
    }
    e->n_worker = opts->threads;
    e->rests = FIRST_RESTS;
    for (int i = 0; i < e->n_worker; i++)
        RAD_TRY(start_worker(e, &e->worker[i], err));
    *ret = e;
out:
    if (st != RAD_OK)
        rad_engine_destroy(&e);
    return st;
}

void rad_engine_destroy(rad_engine **pe) {
    if (pe == NULL || *pe == NULL)
        return;
    rad_engine *e = *pe;
    if (e->lock_made && e->wake_made) {
        (void)pthread_mutex_lock(&e->lock);
        e->quit = true;
        (void)pthread_cond_broadcast(&e->wake);
        (void)pthread_mutex_unlock(&e->lock);
    }
    for (int i = 0; i < e->n_worker; i++) {
        struct worker *w = &e->worker[i];
        if (w->started)
            (void)pthread_join(w->thread, NULL);
        if (w->team != NULL)
            e->ops->exec_destroy(w->team);
        if (w->exec != NULL)
            e->ops->exec_destroy(w->exec);
        free(w->in);
        free(w->out);
        free(w->tap);
        for (int k = 0; w->result != NULL && k < e->graph->n_output; k++)
            if (!is_asked_for(e, k))
                free(w->result[k].data);
        free(w->result);
        free(w->place);
    }
    free(e->worker);
    if (e->done_made)
        (void)pthread_cond_destroy(&e->done);
    if (e->wake_made)
        (void)pthread_cond_destroy(&e->wake);
    if (e->lock_made)
        (void)pthread_mutex_destroy(&e->lock);
    if (e->plan != NULL)
        e->ops->plan_destroy(e->plan);
    rad_graph_destroy(&e->graph);
    free(e);
    *pe = NULL;
}

/* ---------------------------------------------------------------- use */

void rad_engine_get_shapes(const rad_engine *e, rad_shape *ret_input, rad_shape *ret_output, rad_shape *ret_tap) {
    if (ret_input != NULL)
        *ret_input = e->in_shape;
    if (ret_output != NULL)
        *ret_output = e->out_shape;
    if (ret_tap != NULL)
        *ret_tap = e->tap_shape;
}

const rad_graph *rad_engine_graph(const rad_engine *e) {
    return e->graph;
}

/* Lets the workers do units [first, end) of the call (or none) and waits until they are done; false when one failed. Called under the
 * lock. */
static bool run_phase(rad_engine *e, struct call *c, enum phase phase, int64_t first, int64_t end) {
    c->phase = phase;
    c->asked = phase != ALONE;
    c->end = end;
    atomic_store(&c->next, first);
    (void)pthread_cond_broadcast(&e->wake);
    while (c->users > 0 || (phase == ALONE ? atomic_load(&c->next) < end : c->asked))
        (void)pthread_cond_wait(&e->done, &e->lock);
    return c->failed_unit < 0;
}

static void rest(rad_engine *e, double now, double lost) {
    e->rest_end = now + REST_PER_LOSS * lost * (double)(1 << e->losses);
    e->losses += e->losses < MAX_LOSSES;
}

static void make_team(rad_engine *e, struct call *c) {
    const double start = rad_clock_seconds();
    (void)run_phase(e, c, MAKE_TEAM, 0, 0);
    const double now = rad_clock_seconds();
    if (!e->team_tried)
        rest(e, now, now - start);
}

/* The last units, fewer than there are threads: side by side, or each by all threads. The bits are the same, so that the clock may choose:
 * a team waits for its slowest thread in every operation, and where other programs take its processors away it is the slower one. */
static bool run_rest(rad_engine *e, struct call *c, int64_t first, int64_t end) {
    const double units = (double)(end - first);
    const bool awake = e->rests == 0 && rad_clock_seconds() >= e->rest_end;
    e->rests -= e->rests > 0;
    if (awake && !e->team_tried && e->ops->exec_create_team != NULL)
        make_team(e, c);
    const bool together = awake && e->worker[0].team != NULL && e->team_gain > units;
    const double start = rad_clock_seconds();
    const bool ok = run_phase(e, c, together ? TOGETHER : ALONE, first, end);
    const double now = rad_clock_seconds(), seconds = now - start;
    if (!together)
        /* One call may have been disturbed: down at once, up step by step. */
        e->alone = e->alone > 0.0 && seconds > 1.1 * e->alone ? 1.1 * e->alone : seconds;
    else if (seconds <= e->alone)
        e->losses = 0;
    else
        rest(e, now, seconds - e->alone);
    return ok;
}

/* `in` or `run`, the other NULL. */
static rad_status run_all(rad_engine *e, const rad_host_run *in, const rad_sample_run *run, int64_t n, float *out, float *tap,
                          rad_error *err) {
    if (n < 0 || (e->with_tap && tap == NULL))
        return rad_error_set(err, RAD_E_INTERNAL, "engine run with %lld samples%s", (long long)n,
                             e->with_tap && tap == NULL ? " and no room for the tap" : "");
    if (n == 0)
        return RAD_OK;
    struct call c = {.in = in, .run = run, .out = out, .tap = tap, .n = n, .failed_unit = -1}, **at = &e->first;
    atomic_init(&c.next, 0);
    atomic_init(&c.bad_sample, n);
    (void)pthread_mutex_lock(&e->lock);
    while (*at != NULL)
        at = &(*at)->younger;
    *at = &c;
    const int64_t units = (n + unit_size(e) - 1) / unit_size(e), even = units - units % e->n_worker;
    bool failed = even > 0 && !run_phase(e, &c, ALONE, 0, even);
    if (!failed && even < units) {
        const bool only = e->first == &c && c.younger == NULL;
        failed = only ? !run_rest(e, &c, even, units) : !run_phase(e, &c, ALONE, even, units);
    }
    for (at = &e->first; *at != &c;)
        at = &(*at)->younger;
    *at = c.younger;
    (void)pthread_cond_broadcast(&e->wake); /* what was behind a team */
    (void)pthread_mutex_unlock(&e->lock);
    if (failed)
        return rad_error_set(err, c.failure.code, "%s", c.failure.text);
    const int64_t bad = atomic_load(&c.bad_sample);
    if (bad < n)
        return rad_error_set(err, RAD_E_NONFINITE, "sample %lld of %lld: the network's output is not finite (NaN or Inf)", (long long)bad,
                             (long long)n);
    return RAD_OK;
}

rad_status rad_engine_run(rad_engine *e, const float *in, int64_t n, float *out, float *tap, rad_error *err) {
    return run_all(e, &(rad_host_run){in, n}, NULL, n, out, tap, err);
}

rad_status rad_engine_run_parts(rad_engine *e, const rad_host_run *run, int64_t n_run, float *out, float *tap, rad_error *err) {
    int64_t n = 0;
    for (int64_t k = 0; k < n_run; k++)
        n += run[k].n;
    return run_all(e, run, NULL, n, out, tap, err);
}

rad_status rad_engine_run_samples(rad_engine *e, const rad_sample_run *run, int64_t n_run, float *out, float *tap, rad_error *err) {
    int64_t n = 0;
    if (e->ops->samples == NULL)
        return rad_error_set(err, RAD_E_INTERNAL, "backend '%s' keeps no samples", e->ops->name);
    for (int64_t k = 0; k < n_run; k++)
        n += run[k].n;
    return run_all(e, NULL, run, n, out, tap, err);
}

size_t rad_engine_describe(const rad_engine *e, char *buf, size_t cap) {
    int used = snprintf(buf, cap, "plan of batch %lld%s, %d thread%s\n", (long long)e->batch,
                        e->replicate ? " (the file's own fixed batch: each sample fills all places)" : "", e->n_worker,
                        e->n_worker == 1 ? "" : "s");
    size_t at = used < 0 ? 0 : (size_t)used;
    size_t rest = at < cap ? cap - at : 0;
    return at + e->ops->plan_describe(e->plan, rest > 0 ? buf + at : NULL, rest);
}
