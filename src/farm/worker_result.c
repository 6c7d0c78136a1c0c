/* worker_result.c: from the network's outputs to the scores of a case, its content key, and the message that carries them. */
#include "result_key.h"
#include "worker_cam.h"

#include "stamp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

rad_status rad_work_key(const rad_worker *w, const struct work *k, int model, const char *mask_content, const char *const *channel_content,
                        char ret[RAD_SHA256_HEX], rad_error *err) {
    const rad_wire_case *c = k->c;
    const rad_wire_input *in = &c->input[w->job->model[model].input];
    const char *volumes[RAD_MAX_CHANNELS];
    for (int64_t i = 0; i < in->n_channel; i++)
        volumes[i] = in->channel[i] < 0 ? "" : c->image[in->channel[i]].volumes;
    const rad_key_parts p = {.job = w->job,
                             .model = model,
                             .channel_content = channel_content,
                             .channel_volumes = volumes,
                             .mask_content = mask_content,
                             .has_box = c->has_box,
                             .has_point = c->has_point,
                             .box = c->box,
                             .point = c->point,
                             .n_listed = in->n_listed,
                             .listed = in->listed,
                             .graph_hash = w->graph_hash[model],
                             .precision = rad_precision_name(w->precision),
                             .backend_version = rad_backend_version(w->backend)};
    return rad_result_key(&p, ret, err);
}

static double sigmoid(double x) {
    if (x >= 0)
        return 1 / (1 + exp(-x));
    double e = exp(x); /* does not overflow */
    return e / (1 + e);
}

/* `n_out` outputs -> `n_class` scores, in double. One output for two classes: [1 - p, p]. Softmax: shifted by the maximum, summed in class
 * order. */
static void activate(rad_activation a, const float *out, int64_t n_out, int n_class, double *score) {
    if (n_out == 1 && n_class == 2) {
        double p = a == RAD_ACT_SIGMOID ? sigmoid(out[0]) : (double)out[0];
        score[0] = 1 - p;
        score[1] = p;
        return;
    }
    double largest = (double)out[0], sum = 0;
    for (int i = 0; i < n_class; i++)
        largest = (double)out[i] > largest ? (double)out[i] : largest;
    for (int i = 0; i < n_class; i++) {
        double x = (double)out[i];
        score[i] = a == RAD_ACT_SOFTMAX ? exp(x - largest) : a == RAD_ACT_SIGMOID ? sigmoid(x) : x;
        sum += score[i];
    }
    for (int i = 0; a == RAD_ACT_SOFTMAX && i < n_class; i++)
        score[i] /= sum;
}

/* Scores [n_slice, n_class] of one file added to `score`. */
static void add_scores(const rad_worker *w, const struct work_model *m, int64_t n_slice, double *score) {
    double one[RAD_MAX_CLASSES];
    const int n_class = w->job->n_class;
    for (int64_t s = 0; s < n_slice; s++) {
        activate(w->job->model[m->model].activation, m->out + s * m->n_out, m->n_out, n_class, one);
        for (int c = 0; c < n_class; c++)
            score[s * n_class + c] += one[c];
    }
}

/* What the case has of the file that scores it for model `wanted`. A mean adds its files in their order and divides by their number. */
static rad_status fill_model(const rad_worker *w, const struct work *k, int64_t wanted, rad_model_result *r, double **ret_score,
                             rad_error *err) {
    const int file = (int)k->c->file[wanted];
    if (file < 0) {
        *r = (rad_model_result){.status = RAD_E_FOLD, .stage = "intake", .why = ""};
        return RAD_OK;
    }
    const struct work_model *m = &k->model[file];
    const struct work_input *in = &k->input[w->job->model[file].input];
    const int n = rad_mean_of(w, file), first = file - n, last = n > 0 ? file - 1 : file;
    bool input_failed = in->status != RAD_OK;
    memcpy(r->key, m->key, sizeof r->key);
    r->file = file;
    r->stored = m->stored;
    for (int i = first; i <= last && m->status == RAD_OK; i++)
        m = k->model[i].status != RAD_OK ? &k->model[i] : m;
    r->status = m->status;
    r->stage = m->status == RAD_OK ? "" : input_failed ? in->stage : m->stage;
    r->why = m->status == RAD_OK ? "" : input_failed ? in->why : m->why ? m->why : "";
    if (r->stored || r->status != RAD_OK)
        return RAD_OK;
    const rad_prepared *p = &in->prepared;
    const int64_t n_score = p->n_slice * w->job->n_class;
    double *score = rad_calloc((size_t)n_score, sizeof *score);
    if (!score)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the scores of a case");
    for (int i = first; i <= last; i++)
        add_scores(w, &k->model[i], p->n_slice, score);
    for (int64_t i = 0; n > 0 && i < n_score; i++)
        score[i] /= n;
    *ret_score = score;
    r->n_slice = p->n_slice;
    r->slice = p->slice;
    r->stored_slice = p->stored_slice;
    r->box = (const int64_t(*)[4])p->box;
    r->mismatch_mm = p->mismatch_mm;
    r->score = score;
    r->input_mean = in->mean;
    r->input_sd = in->sd;
    return RAD_OK;
}

/* The study is not to blame for what failed when its files are not those that the run was planned with: one that is being copied, say. */
static bool has_moved(const rad_wire_case *c, const rad_model_result *model) {
    bool failed = false;
    for (int64_t i = 0; i < c->n_model; i++)
        failed = failed || (model[i].status != RAD_OK && strcmp(model[i].stage, "intake") != 0);
    if (!failed)
        return false;
    uint64_t stamp = c->mask ? rad_stamp_path(c->mask) : 0;
    for (int64_t i = 0; i < c->n_image; i++) {
        bool had = false; /* volumes of one image are of one file */
        for (int64_t j = 0; j < i; j++)
            had = had || c->image[j].image == c->image[i].image;
        stamp += had ? 0 : rad_stamp_path(c->image[i].path);
    }
    return stamp != c->stamp;
}

rad_status rad_work_encode(const rad_worker *w, struct work *k, rad_buf *ret, rad_error *err) {
    rad_status st = RAD_OK;
    const double begun = rad_clock_seconds(), busy = k->read_s + k->inflate_s + k->prepare_s + k->infer_s;
    const double waited = begun - k->arrived - busy; /* in lines, and while its batch was about other cases */
    rad_model_result model[RAD_MAX_MODELS] = {{0}};
    double *score[RAD_MAX_MODELS] = {0};
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    for (int64_t i = 0; i < k->c->n_model; i++)
        RAD_TRY(fill_model(w, k, i, &model[i], &score[i], err));
    for (int64_t i = 0; i < k->c->n_model; i++) {
        model[i].has_cam = model[i].status == RAD_OK && rad_work_wants_cam_for(w->job, i);
        int64_t same = 0; /* a file may score for two models: one map, drawn once */
        while (same < i && !(model[same].has_cam && model[same].file == model[i].file))
            same++;
        if (model[i].has_cam && same < i)
            model[i].cam = model[same].cam;
        else if (model[i].has_cam)
            RAD_TRY(rad_work_finish_cam(w, k, &k->model[model[i].file], &model[i], &model[i].cam, err));
    }
    rad_wire_result r = {.index = k->c->index,
                         .n_class = w->job->n_class,
                         .moved = has_moved(k->c, model),
                         .result = {.case_id = k->c->case_id,
                                    .n_image = k->n_record,
                                    .image = k->record,
                                    .n_model = (int)k->c->n_model,
                                    .model = model,
                                    .read_s = k->read_s,
                                    .inflate_s = k->inflate_s,
                                    .prepare_s = k->prepare_s,
                                    .wait_s = waited > 0 ? waited : 0,
                                    .infer_s = k->infer_s,
                                    .finish_s = rad_clock_seconds() - begun,
                                    .read_bytes = k->read_bytes}};
    RAD_TRY(rad_wire_put_result(&b, &r, err));
    *ret = b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
out:
    rad_buf_release(&b);
    for (int64_t i = 0; i < k->c->n_model; i++)
        free(score[i]);
    return st;
}
