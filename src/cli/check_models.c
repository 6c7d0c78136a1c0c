/* check_models.c: would every network of the job run, and does it take what the job's inputs make? */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "radcohort/infer.h"
#include "radcohort/folds.h"
#include "radcohort/model.h"
#include "radcohort/prepare.h"

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory to check the models");
}

#define MISTAKE(k, spec, ...) rad_issues_add(&(k)->issues, RAD_SEVERITY_ERROR, (spec)->path, 0, NULL, __VA_ARGS__)

/* One sample: the shape without its batch. */
static char *sample_text(const rad_shape *s) {
    char text[160];
    rad_shape one = *s;
    if (one.rank > 0) {
        one.rank--;
        memmove(one.dim, one.dim + 1, (RAD_MAX_RANK - 1) * sizeof *one.dim);
    }
    return rad_strdup(rad_shape_text(&one, text, sizeof text));
}

static const rad_value *find_output(const rad_graph *g, const char *name) {
    for (int i = 0; i < g->n_output; i++)
        if (!name || strcmp(g->value[g->output[i]].name, name) == 0)
            return &g->value[g->output[i]];
    return NULL;
}

static void check_output(check *k, const rad_model_spec *spec, const rad_graph *g) {
    const rad_value *out = find_output(g, spec->output);
    if (!out) {
        const char *known[64 + 1];
        int n = 0;
        for (; n < g->n_output && n < 64; n++)
            known[n] = g->value[g->output[n]].name;
        known[n] = NULL;
        const char *wanted = spec->output ? spec->output : "", *near = rad_nearest_word(wanted, known);
        MISTAKE(k, spec, "model '%s' has no output '%s': did you mean '%s'?", spec->name, wanted, near ? near : n ? known[0] : "");
        return;
    }
    int64_t n = rad_shape_count(&out->shape);
    bool one = k->job->n_class == 2 && spec->activation != RAD_ACT_SOFTMAX;
    if (n != k->job->n_class && !(one && n == 1))
        MISTAKE(k, spec,
                "model '%s' gives %lld numbers per sample, expected %d (one per class)%s: correct 'classes', or name another 'output'",
                spec->name, (long long)n, k->job->n_class, one ? " or 1 (the second class)" : "");
}

/* The declared input against what the job makes of a case. False when they cannot fit. */
static bool check_input(check *k, const rad_model_spec *spec, const rad_model *m, const rad_input_spec *in) {
    rad_error why = {0};
    int64_t dim[RAD_SAMPLE_DIMS];
    (void)rad_prepare_sample_shape(in, dim);
    if (rad_model_check_sample(m, dim, &why) == RAD_OK)
        return true;
    MISTAKE(k, spec, "model '%s': %s", spec->name, why.text);
    return false;
}

/* Are there class activation maps, where the job wants them of this model or of one that it stands in for? */
static void check_cam(check *k, const rad_model_spec *spec, const rad_graph *g) {
    rad_cam *cam = NULL;
    rad_error why = {0};
    rad_shape shape = {0};
    char text[96];
    rad_status st = spec->cam_made ? rad_cam_create_from_graph(g, spec->output, &cam, &why) : RAD_OK;
    if (st != RAD_OK)
        MISTAKE(k, spec, "model '%s': %s; leave it out of 'cam.models'", spec->name, why.text);
    if (cam)
        rad_cam_get_shape(cam, &shape);
    const bool deep = k->job->input[spec->input].volume.on;
    if (cam && shape.rank != (deep ? 3 : 2))
        MISTAKE(k, spec, "model '%s': its class activation maps are %s, expected %srows and columns; leave it out of 'cam.models'",
                spec->name, rad_shape_text(&shape, text, sizeof text), deep ? "depth, " : "");
    rad_cam_destroy(&cam);
}

static rad_status check_graph(check *k, const rad_model_spec *spec, check_model *out, rad_model *m, rad_backend *be,
                              rad_precision precision, rad_error *err) {
    rad_graph *g = NULL;
    rad_error why = {0};
    int64_t dim[RAD_SAMPLE_DIMS];
    bool known = rad_prepare_sample_shape(&k->job->input[spec->input], dim);
    rad_shape shape = {1, {1}};
    for (int d = 0; d < RAD_SAMPLE_DIMS && dim[d] != 0; d++)
        shape.dim[shape.rank++] = dim[d];
    rad_graph_opts o = {.batch = 1, .n_shape = known ? 1 : 0, .shape = known ? &shape : NULL};
    rad_status st = rad_graph_build(m, &o, &g, &why);
    if (st == RAD_E_NOMEM)
        return no_memory(err);
    if (st != RAD_OK && !known) { /* neither file nor job fixes the size: each image decides */
        rad_issues_add(&k->issues, RAD_SEVERITY_WARNING, spec->path, 0, NULL,
                       "model '%s' takes any size and the job has no 'resize': whether it "
                       "runs shows only with each image",
                       spec->name);
        out->ok = true;
        return RAD_OK;
    }
    if (st != RAD_OK) {
        MISTAKE(k, spec, "model '%s': %s", spec->name, why.text);
        return RAD_OK;
    }
    int64_t before = k->issues.n_error;
    out->n_node = g->n_node;
    out->input_shape = sample_text(&g->value[g->input[0]].shape);
    const rad_value *value = find_output(g, spec->output);
    out->output_shape = value ? sample_text(&value->shape) : rad_strdup("");
    check_output(k, spec, g);
    check_cam(k, spec, g);
    rad_buf nodes;
    rad_buf_init(&nodes, (size_t)1 << 20);
    int refused = be ? rad_backend_refusals(be, g, precision, &nodes) : 0;
    if (refused > 0)
        MISTAKE(k, spec, "model '%s': backend '%s' cannot run %d of %d nodes at %s: %.600s", spec->name, k->job->backend, refused,
                g->n_node, k->job->precision, nodes.data ? nodes.data : "");
    rad_buf_release(&nodes);
    rad_graph_destroy(&g);
    out->ok = k->issues.n_error == before;
    return out->input_shape && out->output_shape ? RAD_OK : no_memory(err);
}

static rad_status check_one(check *k, const rad_model_spec *spec, check_model *out, rad_backend *be, rad_precision precision,
                            rad_error *err) {
    rad_model *m = NULL;
    rad_error why = {0};
    rad_status st = rad_model_open(spec->path, &m, &why);
    if (st == RAD_E_NOMEM)
        return no_memory(err);
    if (st != RAD_OK) {
        MISTAKE(k, spec, "model '%s': %s", spec->name, why.text);
        return RAD_OK;
    }
    out->opset = rad_model_opset(m);
    out->parameters = rad_model_parameter_count(m);
    if (spec->sha256) {
        char sha256[RAD_SHA256_HEX];
        RAD_TRY(rad_model_sha256(m, sha256, err));
        if (strcmp(spec->sha256, sha256) != 0)
            MISTAKE(k, spec, "model '%s' has SHA-256 %s, the job pins %s: it is another file", spec->name, sha256, spec->sha256);
    }
    if (check_input(k, spec, m, &k->job->input[spec->input]))
        st = check_graph(k, spec, out, m, be, precision, err);
out:
    rad_model_close(&m);
    return st;
}

rad_status check_models(check *k, rad_error *err) {
    const rad_job *job = k->job;
    rad_backend *be = NULL;
    rad_precision precision = RAD_PREC_FP32;
    rad_error why = {0};
    rad_status st = RAD_OK;
    k->model = rad_calloc((size_t)job->n_model, sizeof *k->model);
    if (!k->model)
        return no_memory(err);
    bool known = rad_precision_parse(job->precision, &precision, &why) == RAD_OK;
    if (!known)
        rad_issues_add(&k->issues, RAD_SEVERITY_ERROR, k->job_path, 0, "precision", "%s", why.text);
    st = rad_backend_open(job->backend, &be, &why);
    if (st == RAD_E_NOMEM)
        return no_memory(err);
    /* A login node has no device: there the job may still be right. The run itself takes no other backend instead. */
    if (st != RAD_OK)
        rad_issues_add(&k->issues, strcmp(job->backend, "cudnn") == 0 ? RAD_SEVERITY_WARNING : RAD_SEVERITY_ERROR, k->job_path, 0,
                       "backend", "%s; its operators were not checked", why.text);
    else if (known && rad_backend_check_precision(be, precision, &why) != RAD_OK)
        rad_issues_add(&k->issues, RAD_SEVERITY_ERROR, k->job_path, 0, "precision", "%s", why.text);
    if (be)
        k->backend = rad_strdup(rad_backend_version(be));
    const char *reason = "";
    for (int i = 0; be && rad_backend_can_verify(be) && i < job->n_input; i++) /* a device: who prepares what is never a secret */
        if (!rad_backend_makes_samples(be, &job->input[i], &reason))
            rad_issues_add(&k->issues, RAD_SEVERITY_WARNING, k->job_path, 0, "inputs", "input '%s' is prepared on the CPU: %s",
                           job->input[i].name, reason);
    st = RAD_OK;
    for (int i = 0; st == RAD_OK && i < job->n_model; i++)
        if (job->model[i].folds == 0)
            st = check_one(k, &job->model[i], &k->model[i], be, precision, err);
    rad_backend_close(&be);
    return st;
}

/* All files of a model with folds; what is shown is the first one's. */
static rad_status check_files(check *k, const rad_files *f, int model, rad_backend *be, rad_precision precision, rad_error *err) {
    const int first = rad_job_first_file(k->job, model);
    rad_status st = check_one(k, &f->job.model[first], &k->model[model], be, precision, err);
    for (int i = 1; i < k->job->model[model].folds && st == RAD_OK; i++) {
        check_model other = {0};
        st = check_one(k, &f->job.model[first + i], &other, be, precision, err);
        free(other.input_shape);
        free(other.output_shape);
        k->model[model].ok = k->model[model].ok && other.ok;
    }
    return st;
}

rad_status check_folds(check *k, rad_error *err) {
    const rad_job *job = k->job;
    rad_backend *be = NULL;
    rad_files *files = NULL;
    rad_precision precision = RAD_PREC_FP32;
    rad_error why = {0};
    rad_status st = rad_files_create(job, k->manifest->first_fold, &files, err);
    if (st != RAD_OK)
        return st;
    /* what is wrong with backend and precision was told before */
    if (rad_precision_parse(job->precision, &precision, &why) == RAD_OK && rad_backend_open(job->backend, &be, &why) == RAD_E_NOMEM)
        st = no_memory(err);
    for (int i = 0; i < job->n_model && st == RAD_OK; i++)
        if (job->model[i].folds > 0)
            st = check_files(k, files, i, be, precision, err);
    rad_files_destroy(&files);
    rad_backend_close(&be);
    return st;
}
