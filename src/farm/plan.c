/* plan.c: job, cohort and models read and checked once, on rank 0, before anything is sent. */
#include "plan.h"

#include "radcohort/prepare.h"
#include "shard.h"
#include "worker_cam.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory while the run is planned");
}

rad_status rad_plan_read_job(const rad_farm_opts *o, bool loud, rad_plan *ret, rad_error *err) {
    rad_issues issues = {0};
    rad_plan p = {0};
    rad_status st = o->job_text ? rad_job_read_text(o->job_text, strlen(o->job_text), o->job_path, &p.job, &issues, err)
                                : rad_job_read(o->job_path, &p.job, &issues, err);
    if (loud)
        rad_issues_print(&issues, stderr);
    rad_issues_release(&issues);
    if (st != RAD_OK)
        goto out;
    p.batch = o->batch > 0 ? o->batch : p.job->batch > 0 ? p.job->batch : 1;
    p.backend = rad_strdup(o->backend ? o->backend : p.job->backend);
    p.database = o->database       ? rad_strdup(o->database)
                 : p.job->database ? rad_strdup(p.job->database)
                                   : rad_asprintf("results/%s.sqlite", p.job->name);
    p.cam_dir = p.database ? rad_store_cam_dir(p.database) : NULL;
    if (!p.backend || !p.database || !p.cam_dir) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(rad_precision_parse(o->precision ? o->precision : p.job->precision, &p.precision, err));
    *ret = p;
    p = (rad_plan){0};
out:
    rad_plan_release(&p);
    return st;
}

void rad_plan_release(rad_plan *p) {
    for (int i = 0; p->model && p->files && i < p->files->job.n_model; i++) {
        free(p->model[i].summary);
        free(p->model[i].input_shape);
        free(p->model[i].output_shape);
    }
    for (int i = 0; p->ready && i < p->files->job.n_model; i++)
        rad_ready_release(&p->ready[i]);
    free(p->ready);
    free(p->model);
    free(p->run_model);
    free(p->sha256);
    free(p->graph_hash);
    free(p->backend);
    free(p->backend_version);
    free(p->database);
    free(p->cam_dir);
    free(p->cost);
    free(p->stamp);
    free(p->look);
    rad_files_destroy(&p->files);
    rad_manifest_destroy(&p->manifest);
    rad_cohort_destroy(&p->cohort);
    rad_job_destroy(&p->job);
    *p = (rad_plan){0};
}

/* ---------------------------------------------------------------- models */

static char *sample_text(const rad_shape *s) {
    char text[160];
    rad_shape one = *s;
    if (one.rank > 0) { /* without the batch */
        one.rank--;
        memmove(one.dim, one.dim + 1, sizeof one.dim - sizeof *one.dim);
    }
    return rad_strdup(rad_shape_text(&one, text, sizeof text));
}

/* The output that scores come from: the named one, else the first; NULL when the graph has no such output. */
static const rad_value *find_output(const rad_graph *g, const char *name) {
    for (int i = 0; i < g->n_output; i++)
        if (!name || strcmp(g->value[g->output[i]].name, name) == 0)
            return &g->value[g->output[i]];
    return NULL;
}

static rad_status refuse(rad_backend *be, const rad_graph *g, const rad_plan *p, const char *name, rad_error *err) {
    rad_buf why;
    rad_buf_init(&why, 1 << 20);
    int n = rad_backend_refusals(be, g, p->precision, &why);
    rad_status st = RAD_OK;
    if (n > 0)
        st = rad_error_set(err, RAD_E_MODEL, "model '%s': backend '%s' cannot run %d of its nodes at %s: %s", name, p->backend, n,
                           rad_precision_name(p->precision), why.data ? why.data : "");
    rad_buf_release(&why);
    return st;
}

static rad_status check_graph(rad_plan *p, int i, rad_backend *be, rad_model *m, rad_error *err) {
    const rad_model_spec *spec = &p->files->job.model[i];
    rad_plan_model *r = &p->model[i];
    rad_graph *g = NULL;
    int64_t dim[RAD_SAMPLE_DIMS];
    bool known = rad_prepare_sample_shape(&p->job->input[spec->input], dim); /* else each image decides */
    rad_shape shape = {1, {1}};
    for (int d = 0; d < RAD_SAMPLE_DIMS && dim[d] != 0; d++)
        shape.dim[shape.rank++] = dim[d];
    rad_graph_opts o = {.batch = 1, .n_shape = known ? 1 : 0, .shape = known ? &shape : NULL};
    rad_status st = rad_model_check_sample(m, dim, err);
    if (st != RAD_OK)
        return st;
    st = rad_graph_build(m, &o, &g, err);
    if (st == RAD_E_MODEL && !known) { /* the file leaves its input open and so does the job: each image will decide */
        st = rad_model_sha256(m, r->sha256, err);
        if (st != RAD_OK)
            return st;
        memcpy(r->graph_hash, r->sha256, sizeof r->graph_hash);
        r->summary = rad_strdup("");
        r->input_shape = rad_strdup("open");
        r->output_shape = rad_strdup("open");
        return r->summary && r->input_shape && r->output_shape ? RAD_OK : no_memory(err);
    }
    if (st != RAD_OK)
        goto out;
    char text[4096];
    rad_graph_describe(g, text, sizeof text);
    memcpy(r->graph_hash, g->hash, sizeof r->graph_hash);
    const rad_value *out = find_output(g, spec->output);
    r->summary = rad_strdup(text);
    r->input_shape = sample_text(&g->value[g->input[0]].shape);
    r->output_shape = out ? sample_text(&out->shape) : rad_strdup("open");
    if (!r->summary || !r->input_shape || !r->output_shape) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(refuse(be, g, p, spec->name, err));
    if (out && known)
        RAD_TRY(rad_worker_check_outputs(&p->files->job, i, rad_shape_count(&out->shape), err));
    if (rad_work_wants_cam(&p->files->job, i))
        RAD_TRY(rad_worker_check_cam(&p->files->job, i, g, err));
    if (p->ready && known && !rad_worker_waits_for_case(&p->files->job, i)) {
        p->ready[i].graph = g;
        g = NULL;
    }
out:
    rad_graph_destroy(&g);
    return st;
}

static rad_status check_model(rad_plan *p, int i, rad_backend *be, rad_error *err) {
    const rad_model_spec *spec = &p->files->job.model[i];
    rad_plan_model *r = &p->model[i];
    rad_model *m = NULL;
    rad_status st = rad_model_open(spec->path, &m, err);
    if (st != RAD_OK) /* whatever is wrong with it, it is no study's fault */
        return rad_error_prefix(err, rad_status_scope(st) == RAD_SCOPE_STUDY ? RAD_E_MODEL : st, "model '%s': ", spec->name);
    st = check_graph(p, i, be, m, err); /* while the file is being hashed */
    rad_error why = {0};
    const rad_status hashed = rad_model_sha256(m, r->sha256, &why);
    if (hashed != RAD_OK) {
        st = rad_error_set(err, hashed, "%s", why.text);
    } else if (spec->sha256 && strcmp(spec->sha256, r->sha256) != 0) { /* whatever else is wrong with another file */
        st = rad_error_set(err, RAD_E_MODEL, "model '%s': '%s' has SHA-256 %s, the job wants %s; it is another file", spec->name,
                           spec->path, r->sha256, spec->sha256);
        goto out;
    }
    if (st != RAD_OK) {
        if (!strstr(err ? err->text : "", spec->name))
            st = rad_error_prefix(err, st, "model '%s': ", spec->name);
        goto out;
    }
    p->run_model[i] = (rad_run_model){.sha256 = r->sha256,
                                      .graph_hash = r->graph_hash,
                                      .summary = r->summary,
                                      .opset = rad_model_opset(m),
                                      .parameters = rad_model_parameter_count(m),
                                      .input_shape = r->input_shape,
                                      .output_shape = r->output_shape};
    p->sha256[i] = r->sha256;
    p->graph_hash[i] = r->graph_hash;
    if (p->ready) {
        rad_model_drop_pages(m);
        p->ready[i].model = m;
        m = NULL;
    }
out:
    rad_model_close(&m);
    return st;
}

/* A mean of files is known by theirs. */
static rad_status describe_mean(rad_plan *p, int i, rad_error *err) {
    const int n = p->files->job.model[i].folds;
    rad_plan_model *r = &p->model[i];
    rad_run_model *m = &p->run_model[i];
    rad_status st = RAD_OK;
    rad_buf file, graph;
    rad_buf_init(&file, 1 << 20);
    rad_buf_init(&graph, 1 << 20);
    *m = p->run_model[i - 1];
    m->parameters = 0;
    RAD_TRY(rad_buf_printf(&file, err, "radcohort mean of files\n"));
    RAD_TRY(rad_buf_printf(&graph, err, "radcohort mean of graphs\n"));
    for (int k = i - n; k < i; k++) {
        RAD_TRY(rad_buf_printf(&file, err, "%s\n", p->model[k].sha256));
        RAD_TRY(rad_buf_printf(&graph, err, "%s\n", p->model[k].graph_hash));
        m->parameters += p->run_model[k].parameters;
    }
    RAD_TRY(rad_sha256(file.data, file.size, r->sha256, err));
    RAD_TRY(rad_sha256(graph.data, graph.size, r->graph_hash, err));
    r->summary = rad_asprintf("mean of the slice scores of %d files", n);
    r->input_shape = rad_strdup(p->model[i - 1].input_shape);
    r->output_shape = rad_strdup(p->model[i - 1].output_shape);
    if (!r->summary || !r->input_shape || !r->output_shape) {
        st = no_memory(err);
        goto out;
    }
    m->sha256 = p->sha256[i] = r->sha256;
    m->graph_hash = p->graph_hash[i] = r->graph_hash;
    m->summary = r->summary;
    m->input_shape = r->input_shape;
    m->output_shape = r->output_shape;
out:
    rad_buf_release(&file);
    rad_buf_release(&graph);
    return st;
}

/* Models one after the other for each of several threads. Which of them fails first is not for the clock to decide: the first in the job's
 * order is told. */
struct check {
    rad_plan *plan;
    rad_backend *backend;
    atomic_int next;
    pthread_mutex_t lock;
    int failed; /* the first; n_model: none */
    rad_status status;
    rad_error err;
};

static void *check_some(void *check) {
    struct check *c = check;
    const rad_job *job = &c->plan->files->job;
    for (int i; (i = atomic_fetch_add(&c->next, 1)) < job->n_model;) {
        rad_error err = {0};
        const rad_status st = job->model[i].folds > 0 ? RAD_OK : check_model(c->plan, i, c->backend, &err);
        pthread_mutex_lock(&c->lock);
        if (st != RAD_OK && i < c->failed) {
            c->failed = i;
            c->status = st;
            c->err = err;
        }
        pthread_mutex_unlock(&c->lock);
        if (st != RAD_OK)
            break; /* those before it are checked or in another thread's hands */
    }
    return NULL;
}

#define MAX_CHECKERS 8 /* each may hold a network's weights twice */

static rad_status check_models(rad_plan *p, rad_backend *be, rad_error *err) {
    pthread_t thread[MAX_CHECKERS];
    const int n_model = p->files->job.n_model;
    struct check c = {.plan = p, .backend = be, .failed = n_model};
    int n = p->threads < n_model ? p->threads : n_model, started = 0;
    rad_status st = RAD_OK;
    n = n < MAX_CHECKERS ? n : MAX_CHECKERS;
    pthread_mutex_init(&c.lock, NULL);
    while (started < n - 1 && pthread_create(&thread[started], NULL, check_some, &c) == 0)
        started++; /* a thread less is no error */
    (void)check_some(&c);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&c.lock);
    if (c.failed < n_model)
        return rad_error_set(err, c.status, "%s", c.err.text);
    for (int i = 0; i < n_model && st == RAD_OK; i++)
        if (p->files->job.model[i].folds > 0)
            st = describe_mean(p, i, err);
    return st;
}

bool rad_plan_wants(const rad_plan *p, int64_t manifest_index) {
    for (int m = 0; m < p->job->n_model; m++)
        if (rad_case_verdict(p->job, p->cohort, p->manifest, &p->manifest->item[manifest_index], m)->status == RAD_OK)
            return true;
    return false;
}

rad_run_info rad_plan_run_info(const rad_plan *p) {
    return (rad_run_info){.job = p->job,
                          .cohort = p->cohort,
                          .manifest = p->manifest,
                          .model = p->run_model,
                          .backend = p->backend,
                          .backend_version = p->backend_version,
                          .precision = rad_precision_name(p->precision),
                          .files_sha256 = p->files_sha256,
                          .rules = RAD_RULES_REVISION};
}

rad_status rad_plan_complete(const rad_farm_opts *o, rad_plan *p, rad_error *err) {
    rad_status st = RAD_OK;
    rad_backend *be = NULL;
    char *shared = NULL;
    rad_issues issues = {0};
    /* the files are looked at once all of them are known, by several threads and in the order of their folders (rad_plan_files) */
    const rad_cohort_opts co = {.allow_outside = o->allow_outside, .skip_file_check = true, .bids = &p->job->bids};
    st = rad_cohort_read(o->cohort ? o->cohort : p->job->cohort_dir, &co, &p->cohort, &issues, err);
    if (st == RAD_OK)
        st = rad_manifest_build(p->cohort, p->job, &p->manifest, &issues, err);
    if (!o->quiet || issues.n_error > 0)
        rad_issues_print(&issues, stderr);
    if (st != RAD_OK)
        goto out;
    RAD_TRY(rad_files_create(p->job, p->manifest->first_fold, &p->files, err));
    size_t n_model = (size_t)p->files->job.n_model;
    p->model = rad_calloc(n_model, sizeof *p->model);
    p->run_model = rad_calloc(n_model, sizeof *p->run_model);
    p->sha256 = rad_calloc(n_model, sizeof *p->sha256);
    p->graph_hash = rad_calloc(n_model, sizeof *p->graph_hash);
    p->ready = p->with_worker ? rad_calloc(n_model, sizeof *p->ready) : NULL;
    if (!p->model || !p->run_model || !p->sha256 || !p->graph_hash || (p->with_worker && !p->ready)) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(rad_backend_open(p->backend, &be, err));
    p->backend_version = rad_strdup(rad_backend_version(be));
    if (!p->backend_version) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(check_models(p, be, err));
    if (o->spool_dir) {
        shared = rad_path_join(o->spool_dir, RAD_SHARD_PLAN);
        st = shared ? rad_plan_files_shared(p, shared, err) : no_memory(err);
        if (st != RAD_OK)
            goto out;
    } else {
        RAD_TRY(rad_plan_files(p, err));
    }
    if (!o->quiet && !o->night)
        rad_plan_tell_missing(p);
    const rad_run_info info = rad_plan_run_info(p);
    RAD_TRY(rad_store_identify(&info, p->identity, err));
out:
    free(shared);
    rad_backend_close(&be);
    rad_issues_release(&issues);
    return st;
}

/* ---------------------------------------------------------------- leases */

/* One case as bytes' source; `image`, `input` and `channel` are room for the largest case. */
struct room {
    rad_wire_image image[RAD_MAX_CASE_IMAGES];
    rad_wire_input input[RAD_MAX_INPUTS];
    int64_t channel[RAD_MAX_INPUTS][RAD_MAX_CHANNELS];
    int64_t file[RAD_MAX_MODELS];
    char *path[RAD_MAX_CASE_IMAGES + 1]; /* owned; the mask's last */
    int64_t n_path;
};

static int64_t add_image(const rad_plan *p, struct room *r, rad_wire_case *c, int64_t image, const rad_pick *pick) {
    static const rad_pick none = {.text = ""};
    pick = pick ? pick : &none;
    for (int64_t i = 0; i < c->n_image; i++)
        if (r->image[i].image == image && strcmp(r->image[i].volumes, pick->text) == 0)
            return i;
    char *path = rad_path_join(p->cohort->dir, p->cohort->image[image].path);
    if (!path)
        return -1;
    r->path[r->n_path++] = path;
    r->image[c->n_image] = (rad_wire_image){image, path, pick->n, pick->total, pick->volume, pick->text};
    return c->n_image++;
}

static rad_status describe(const rad_plan *p, const rad_pending_case *pending, int64_t index, struct room *r, rad_wire_case *ret,
                           rad_error *err) {
    const rad_case *mc = &p->manifest->item[pending[index].manifest_index];
    rad_wire_case c = {.index = index,
                       .case_id = pending[index].case_id,
                       .image = r->image,
                       .n_input = p->job->n_input,
                       .input = r->input,
                       .n_model = p->job->n_model,
                       .file = r->file,
                       .stamp = p->stamp[pending[index].manifest_index]};
    for (int m = 0; m < p->job->n_model; m++)
        r->file[m] = rad_case_file(p->job, p->cohort, p->manifest, mc, m);
    for (int i = 0; i < p->job->n_input; i++) {
        const rad_case_input *in = &mc->input[i];
        r->input[i] = (rad_wire_input){.status = in->status, .why = in->why ? in->why : "", .channel = r->channel[i]};
        for (int ch = 0; in->status == RAD_OK && ch < p->job->input[i].n_channel; ch++) {
            int64_t at = in->image[ch] < 0 ? -1 : add_image(p, r, &c, in->image[ch], in->pick[ch]);
            if (at < 0 && in->image[ch] >= 0)
                return no_memory(err);
            r->channel[i][ch] = at;
            r->input[i].n_channel++;
        }
        if (in->status == RAD_OK)
            r->input[i].n_listed = rad_case_listed(p->cohort, p->job, mc, i, &r->input[i].listed);
    }
    if (mc->lesion >= 0) {
        const rad_lesion *l = &p->cohort->lesion[mc->lesion];
        c.has_box = l->has_box;
        c.has_point = l->has_point;
        memcpy(c.box, l->box, sizeof c.box);
        memcpy(c.point, l->point, sizeof c.point);
        if (l->has_mask) {
            char *path = rad_path_join(p->cohort->dir, l->mask);
            if (!path)
                return no_memory(err);
            r->path[r->n_path++] = path;
            c.mask = path;
        }
    }
    *ret = c;
    return RAD_OK;
}

rad_status rad_plan_pack_lease(const rad_plan *p, const rad_pending_case *pending, const int64_t *index, int64_t n, rad_buf *ret,
                               rad_error *err) {
    rad_status st = RAD_OK;
    struct room *room = rad_calloc((size_t)n + 1, sizeof *room);
    rad_wire_case *item = rad_calloc((size_t)n + 1, sizeof *item);
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    if (!room || !item) {
        st = no_memory(err);
        goto out;
    }
    for (int64_t k = 0; k < n; k++)
        RAD_TRY(describe(p, pending, index[k], &room[k], &item[k], err));
    rad_wire_lease lease = {n, item};
    RAD_TRY(rad_wire_put_lease(&b, &lease, err));
    *ret = b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
out:
    rad_buf_release(&b);
    for (int64_t k = 0; room && k < n; k++)
        for (int64_t i = 0; i < room[k].n_path; i++)
            free(room[k].path[i]);
    free(room);
    free(item);
    return st;
}
