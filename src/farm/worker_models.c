/* worker_models.c: the networks of a worker: opened and built by threads of their own while cases are already being read, so that neither
 * waits for the other; and, for samples of another shape, when the first of them comes. */
#include "worker_cam.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- engines */

rad_status rad_worker_check_outputs(const rad_job *job, int model, int64_t n_out, rad_error *err) {
    const rad_model_spec *m = &job->model[model];
    if (n_out == job->n_class || (n_out == 1 && job->n_class == 2 && m->activation != RAD_ACT_SOFTMAX))
        return RAD_OK;
    return rad_error_set(err, RAD_E_MODEL,
                         "model '%s': %lld outputs per sample, expected %d (one per class of the job)%s; "
                         "correct 'classes' or name the right 'output'",
                         m->name, (long long)n_out, job->n_class,
                         job->n_class == 2 && m->activation != RAD_ACT_SOFTMAX ? " or 1 (the second class)" : "");
}

rad_status rad_worker_check_cam(const rad_job *job, int model, const rad_graph *g, rad_error *err) {
    rad_cam *cam = NULL;
    rad_shape shape;
    char text[96];
    rad_status st = rad_cam_create_from_graph(g, job->model[model].output, &cam, err);
    if (st != RAD_OK)
        return st;
    rad_cam_get_shape(cam, &shape);
    const bool deep = job->input[job->model[model].input].volume.on;
    if (shape.rank != (deep ? 3 : 2))
        st = rad_error_set(err, RAD_E_MODEL, "its class activation maps are %s, expected %srows and columns",
                           rad_shape_text(&shape, text, sizeof text), deep ? "depth, " : "");
    rad_cam_destroy(&cam);
    return st;
}

void rad_worker_release_engine(struct shape_engine *e) {
    rad_engine_destroy(&e->engine);
    rad_cam_destroy(&e->cam);
}

/* The engine, with the tensor that class activation maps are made of tapped where they are wanted. */
static rad_status create_engine(rad_worker *w, int model, rad_engine_opts *o, struct shape_engine *ret, rad_error *err) {
    struct model_line *line = &w->line[model];
    rad_status st = RAD_OK;
    if (rad_work_wants_cam(w->job, model)) {
        RAD_TRY(line->graph ? rad_cam_create_from_graph(line->graph, o->output, &ret->cam, err)
                            : rad_cam_create(line->model, o, &ret->cam, err));
        rad_cam_get_shape(ret->cam, &ret->map_shape);
        o->tap = rad_cam_tap(ret->cam);
    }
    RAD_TRY(rad_engine_create(w->backend, line->model, o, &ret->engine, err));
    if (ret->cam)
        RAD_TRY(rad_worker_check_cam(w->job, model, rad_engine_graph(ret->engine), err));
out:
    if (st != RAD_OK)
        rad_worker_release_engine(ret);
    return st;
}

rad_status rad_worker_engine(rad_worker *w, int model, const int64_t dim[RAD_SAMPLE_DIMS], struct shape_engine **ret, rad_error *err) {
    struct model_line *line = &w->line[model];
    const rad_model_spec *spec = &w->job->model[model];
    struct shape_engine *slot = NULL;
    for (int i = 0; i < line->n_shape; i++) {
        struct shape_engine *e = &line->shape[i];
        if (memcmp(e->dim, dim, sizeof e->dim) == 0) {
            e->used = ++line->clock;
            *ret = e;
            return RAD_OK;
        }
        if (e->users == 0 && (!slot || e->used < slot->used))
            slot = e;
    }
    rad_engine_opts o = {.precision = w->precision, .threads = w->room.threads, .output = spec->output, .graph = &line->graph};
    rad_shape wanted = {0};
    for (; wanted.rank < RAD_SAMPLE_DIMS && dim[wanted.rank] > 0; wanted.rank++)
        wanted.dim[wanted.rank] = o.sample[wanted.rank] = dim[wanted.rank];
    struct shape_engine made = {0};
    memcpy(made.dim, dim, sizeof made.dim);
    rad_status st = create_engine(w, model, &o, &made, err);
    rad_graph_destroy(&line->graph); /* of another batch, or without the tap: the engine has made its own */
    if (st != RAD_OK)
        return rad_error_prefix(err, st, "model '%s': ", spec->name);
    rad_shape in, out, tap;
    rad_engine_get_shapes(made.engine, &in, &out, &tap);
    made.n_out = rad_shape_count(&out);
    made.n_tap = made.cam ? rad_shape_count(&tap) : 0;
    if (in.rank != wanted.rank || memcmp(in.dim, wanted.dim, (size_t)in.rank * sizeof *in.dim) != 0) {
        char has[160], makes[160];
        st = rad_error_set(err, RAD_E_MODEL, "model '%s': takes samples of %s, input '%s' of the job makes %s", spec->name,
                           rad_shape_text(&in, has, sizeof has), w->job->input[spec->input].name,
                           rad_shape_text(&wanted, makes, sizeof makes));
    } else {
        st = rad_worker_check_outputs(w->job, model, made.n_out, err);
    }
    if (st != RAD_OK) {
        rad_worker_release_engine(&made);
        return st;
    }
    if (line->n_shape < RAD_MAX_SHAPES)
        slot = &line->shape[line->n_shape++];
    else
        rad_worker_release_engine(slot);
    made.used = ++line->clock;
    *slot = made;
    *ret = slot;
    return RAD_OK;
}

/* ---------------------------------------------------------------- at the start */

bool rad_worker_waits_for_case(const rad_job *job, int model) {
    return job->model[model].folds > 0 || (model > 0 && job->model[model - 1].file == job->model[model].file);
}

static rad_status open_model(rad_worker *w, int i, rad_error *err) {
    struct model_line *line = &w->line[i];
    const rad_model_spec *spec = &w->job->model[i];
    rad_status st = line->model ? RAD_OK : rad_model_open(spec->path, &line->model, err);
    if (st != RAD_OK) /* whatever is wrong with it, it is no study's fault */
        return rad_error_prefix(err, rad_status_scope(st) == RAD_SCOPE_STUDY ? RAD_E_MODEL : st, "model '%s': ", spec->name);
    char sha256[RAD_SHA256_HEX];
    st = rad_model_sha256(line->model, sha256, err);
    if (st != RAD_OK)
        return rad_error_prefix(err, st, "model '%s': ", spec->name);
    if (strcmp(sha256, line->sha256) != 0)
        return rad_error_set(err, RAD_E_MODEL, "model '%s': '%s' is another file here than on rank 0; all ranks must see the same folder",
                             spec->name, spec->path);
    return RAD_OK;
}

static rad_status make_ready(rad_worker *w, int i, rad_error *err) {
    int64_t dim[RAD_SAMPLE_DIMS];
    struct shape_engine *e;
    if (rad_mean_of(w, i) > 0)
        return RAD_OK;
    const rad_status st = open_model(w, i, err);
    if (st != RAD_OK || rad_worker_waits_for_case(w->job, i) || !rad_prepare_sample_shape(&w->job->input[w->job->model[i].input], dim))
        return st;
    return rad_worker_engine(w, i, dim, &e, err);
}

/* The n-th model to be made ready: those with an engine at the start come first. */
static int in_turn(const rad_worker *w, int n) {
    for (int later = 0; later <= 1; later++)
        for (int i = 0; i < w->job->n_model; i++)
            if (rad_worker_waits_for_case(w->job, i) == (later == 1) && n-- == 0)
                return i;
    return -1;
}

static void *builder_main(void *worker) {
    rad_worker *w = worker;
    pthread_mutex_lock(&w->lock);
    while (!w->quit && w->fault == RAD_OK && w->n_begun < w->job->n_model) {
        const int i = in_turn(w, w->n_begun++);
        rad_error err = {0};
        w->n_building++;
        pthread_mutex_unlock(&w->lock);
        const rad_status st = make_ready(w, i, &err);
        if (st != RAD_OK)
            rad_worker_fail(w, st, &err, NULL, 0);
        pthread_mutex_lock(&w->lock);
        w->n_building--;
        w->line[i].ready = st == RAD_OK;
        pthread_cond_broadcast(&w->to_infer);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

rad_status rad_worker_start_models(rad_worker *w, rad_error *err) {
    if (rad_backend_can_verify(w->backend)) { /* a device's plans may take longer than a leased case is waited for */
        (void)builder_main(w);
        return w->fault == RAD_OK ? RAD_OK : rad_error_set(err, w->fault, "%s", w->fault_error.text);
    }
    const int most = w->job->n_model < RAD_MAX_BUILDERS ? w->job->n_model : RAD_MAX_BUILDERS;
    while (w->n_builder < most && w->n_builder < w->room.threads && pthread_create(&w->builder[w->n_builder], NULL, builder_main, w) == 0)
        w->n_builder++;
    return w->n_builder > 0 ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "cannot start a thread that builds engines");
}
