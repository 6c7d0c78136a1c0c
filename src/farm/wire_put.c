/* wire_put.c: messages into bytes. The first failure sticks; callers look once at the end. */
#include "wire_bytes.h"

#include <string.h>

struct out {
    rad_buf *b;
    rad_status st;
    rad_error *err;
};

static void put_int(struct out *o, int64_t v) {
    uint8_t le[8];
    uint64_t u = (uint64_t)v;
    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(u >> (8 * i));
    if (o->st == RAD_OK)
        o->st = rad_buf_put(o->b, le, sizeof le, o->err);
}

static void put_double(struct out *o, double v) {
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_int(o, bits);
}

static void put_bytes(struct out *o, const void *p, size_t n) {
    put_int(o, (int64_t)n);
    if (o->st == RAD_OK && n > 0)
        o->st = rad_buf_put(o->b, p, n, o->err);
}

/* NULL travels as "". */
static void put_text(struct out *o, const char *s) {
    put_bytes(o, s ? s : "", s ? strnlen(s, RAD_MAX_WIRE_TEXT) : 0);
}

static void put_optional(struct out *o, const char *s) {
    put_int(o, s != NULL);
    if (s)
        put_text(o, s);
}

static void put_ints(struct out *o, const int64_t *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        put_int(o, v[i]);
}

static void put_doubles(struct out *o, const double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        put_double(o, v[i]);
}

static struct out begin(rad_buf *b, rad_wire_kind kind, rad_error *err) {
    struct out o = {b, RAD_OK, err};
    put_int(&o, RAD_WIRE_MAGIC);
    put_int(&o, RAD_WIRE_VERSION);
    put_int(&o, kind);
    return o;
}

rad_status rad_wire_put_signal(rad_buf *b, rad_wire_kind kind, rad_error *err) {
    return begin(b, kind, err).st;
}

rad_status rad_wire_put_config(rad_buf *b, const rad_wire_config *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_CONFIG, err);
    put_int(&o, m->status);
    put_text(&o, m->text);
    put_int(&o, m->quit);
    put_text(&o, m->job_sha256);
    put_text(&o, m->backend);
    put_text(&o, m->backend_version);
    put_text(&o, m->precision);
    put_text(&o, m->crash_tag);
    put_text(&o, m->identity);
    put_int(&o, m->batch);
    put_int(&o, m->n_known);
    put_int(&o, m->n_model);
    put_ints(&o, m->first_fold, m->n_model);
    put_int(&o, m->n_file);
    for (int64_t i = 0; i < m->n_file; i++) {
        put_text(&o, m->model_sha256[i]);
        put_text(&o, m->graph_hash[i]);
    }
    return o.st;
}

rad_status rad_wire_put_known(rad_buf *b, const rad_wire_known *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_KNOWN, err);
    put_bytes(&o, m->key, (size_t)m->n * RAD_SHA256_BYTES);
    return o.st;
}

rad_status rad_wire_put_hello(rad_buf *b, const rad_wire_hello *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_HELLO, err);
    put_text(&o, m->host);
    put_text(&o, m->device);
    put_text(&o, m->room);
    put_int(&o, m->window);
    put_int(&o, m->threads);
    return o.st;
}

static void put_case(struct out *o, const rad_wire_case *c) {
    put_int(o, c->index);
    put_int(o, c->case_id);
    put_int(o, c->n_image);
    for (int64_t i = 0; i < c->n_image; i++) {
        put_int(o, c->image[i].image);
        put_text(o, c->image[i].path);
        put_int(o, c->image[i].n_total);
        put_int(o, c->image[i].n_volume);
        put_ints(o, c->image[i].volume, c->image[i].n_volume);
        put_text(o, c->image[i].volumes);
    }
    put_optional(o, c->mask);
    put_int(o, c->has_box);
    put_int(o, c->has_point);
    put_ints(o, c->box, 6);
    put_doubles(o, c->point, 3);
    put_int(o, c->n_input);
    for (int64_t i = 0; i < c->n_input; i++) {
        put_int(o, c->input[i].status);
        put_text(o, c->input[i].why);
        put_int(o, c->input[i].n_channel);
        put_ints(o, c->input[i].channel, c->input[i].n_channel);
        put_int(o, c->input[i].n_listed);
        put_ints(o, c->input[i].listed, c->input[i].n_listed);
    }
    put_int(o, c->n_model);
    put_ints(o, c->file, c->n_model);
    put_int(o, (int64_t)c->stamp);
}

rad_status rad_wire_put_lease(rad_buf *b, const rad_wire_lease *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_LEASE, err);
    put_int(&o, m->n_case);
    for (int64_t i = 0; i < m->n_case; i++)
        put_case(&o, &m->item[i]);
    return o.st;
}

static void put_image_record(struct out *o, const rad_image_record *r) {
    put_int(o, r->image);
    put_text(o, r->content);
    put_text(o, r->volumes ? r->volumes : "");
    put_int(o, r->n_dim);
    put_ints(o, r->dim, 7);
    put_doubles(o, r->spacing, 3);
    put_doubles(o, &r->affine[0][0], 16);
    put_text(o, r->orientation);
    put_text(o, r->type);
    put_optional(o, r->warning);
    put_int(o, r->file_bytes);
    put_text(o, r->signature);
}

static void put_cam(struct out *o, const rad_cam_result *c) {
    put_text(o, c->key);
    put_int(o, c->stored);
    if (c->stored)
        return;
    put_int(o, c->class_index);
    put_int(o, c->deciding_slice);
    put_int(o, c->depth);
    put_int(o, c->height);
    put_int(o, c->width);
    put_optional(o, c->file);
    put_text(o, c->file_sha256);
    put_int(o, c->file_bytes);
    put_double(o, c->scale);
    put_int(o, c->n_slice);
    for (int64_t i = 0; i < c->n_slice; i++) {
        const rad_cam_slice *s = &c->slice[i];
        const double value[] = {s->peak_mm[0], s->peak_mm[1], s->peak_mm[2],    s->peak_value,
                                s->low_value,  s->energy,     s->energy_inside, s->iou};
        put_int(o, s->slice);
        put_ints(o, s->peak, 3);
        put_doubles(o, value, 8);
        put_int(o, s->peak_inside);
    }
}

static void put_model_result(struct out *o, const rad_model_result *r, int64_t n_class) {
    put_int(o, r->status);
    put_text(o, r->stage);
    put_text(o, r->why);
    put_text(o, r->key);
    put_int(o, r->file);
    put_int(o, r->stored);
    put_int(o, r->n_slice);
    put_ints(o, r->slice, r->n_slice);
    put_ints(o, r->stored_slice, r->n_slice);
    for (int64_t i = 0; i < r->n_slice; i++)
        put_ints(o, r->box[i], 4);
    for (int64_t i = 0; i < r->n_slice; i++)
        put_double(o, r->mismatch_mm ? r->mismatch_mm[i] : 0);
    put_doubles(o, r->score, r->n_slice * n_class);
    put_double(o, r->input_mean);
    put_double(o, r->input_sd);
    put_int(o, r->has_cam);
    if (r->has_cam)
        put_cam(o, &r->cam);
}

rad_status rad_wire_put_result(rad_buf *b, const rad_wire_result *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_RESULT, err);
    const rad_case_result *r = &m->result;
    put_int(&o, m->index);
    put_int(&o, m->n_class);
    put_int(&o, r->case_id);
    put_int(&o, r->n_image);
    for (int64_t i = 0; i < r->n_image; i++)
        put_image_record(&o, &r->image[i]);
    put_int(&o, r->n_model);
    for (int i = 0; i < r->n_model; i++)
        put_model_result(&o, &r->model[i], m->n_class);
    put_double(&o, r->read_s);
    put_double(&o, r->inflate_s);
    put_double(&o, r->prepare_s);
    put_double(&o, r->wait_s);
    put_double(&o, r->infer_s);
    put_double(&o, r->finish_s);
    put_int(&o, r->read_bytes);
    put_int(&o, m->moved);
    return o.st;
}

static void put_cases(struct out *o, const rad_wire_cases *m) {
    put_int(o, m->n);
    put_ints(o, m->index, m->n);
}

rad_status rad_wire_put_return(rad_buf *b, const rad_wire_cases *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_RETURN, err);
    put_cases(&o, m);
    return o.st;
}

rad_status rad_wire_put_committed(rad_buf *b, int64_t n, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_COMMITTED, err);
    put_int(&o, n);
    return o.st;
}

rad_status rad_wire_put_fault(rad_buf *b, const rad_wire_fault *m, rad_error *err) {
    struct out o = begin(b, RAD_WIRE_FAULT, err);
    put_int(&o, m->status);
    put_text(&o, m->text);
    put_cases(&o, &m->guilty);
    return o.st;
}
