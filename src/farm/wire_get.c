/* wire_get.c: bytes into messages. Every count is checked against its limit and against the bytes that are left before anything is
 * allocated; the first failure sticks and later reads give zeros, so that a decoder is a straight list of reads with one look at the end.
 */
#include "wire_bytes.h"

#include <stdlib.h>
#include <string.h>

struct rad_wire_block {
    struct rad_wire_block *next;
    max_align_t data[];
};

void rad_wire_arena_release(rad_wire_arena *a) {
    for (struct rad_wire_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->head = NULL;
}

struct in {
    const uint8_t *p;
    size_t left;
    rad_wire_arena *a;
    rad_status st;
    rad_error *err;
};

static void bad(struct in *in, const char *what) {
    if (in->st == RAD_OK)
        in->st = rad_error_set(in->err, RAD_E_COMM, "malformed message: %s; do all ranks run the same radcohort?", what);
}

/* `n` elements of `size` bytes, zeroed; never more than about the message's own size times a constant. */
static void *take_memory(struct in *in, int64_t n, size_t size) {
    size_t bytes;
    if (in->st != RAD_OK)
        return NULL;
    if (!rad_mul_size((size_t)(n > 0 ? n : 1), size, &bytes) || !rad_add_size(bytes, sizeof(struct rad_wire_block), &bytes)) {
        bad(in, "array too large");
        return NULL;
    }
    struct rad_wire_block *b = rad_calloc(1, bytes);
    if (!b) {
        in->st = rad_error_set(in->err, RAD_E_NOMEM, "out of memory for a message of %zu bytes", in->left);
        return NULL;
    }
    b->next = in->a->head;
    in->a->head = b;
    return b->data;
}

static int64_t get_int(struct in *in) {
    if (in->st != RAD_OK)
        return 0;
    if (in->left < 8) {
        bad(in, "it ends early");
        return 0;
    }
    uint64_t u = 0;
    for (int i = 0; i < 8; i++)
        u |= (uint64_t)in->p[i] << (8 * i);
    in->p += 8;
    in->left -= 8;
    int64_t v;
    memcpy(&v, &u, sizeof v);
    return v;
}

static int64_t get_range(struct in *in, int64_t low, int64_t high, const char *what) {
    int64_t v = get_int(in);
    if (in->st == RAD_OK && (v < low || v > high))
        bad(in, what);
    return in->st == RAD_OK ? v : 0;
}

static bool get_flag(struct in *in) {
    return get_range(in, 0, 1, "a flag is neither 0 nor 1") == 1;
}

/* A count of elements that take at least `each` bytes. */
static int64_t get_count(struct in *in, int64_t max, size_t each, const char *what) {
    int64_t n = get_range(in, 0, max, what);
    if (in->st == RAD_OK && (size_t)n > in->left / each) {
        bad(in, what);
        return 0;
    }
    return n;
}

static double get_double(struct in *in) {
    int64_t bits = get_int(in);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static const char *get_text(struct in *in) {
    int64_t n = get_count(in, RAD_MAX_WIRE_TEXT, 1, "a text is too long");
    char *s = take_memory(in, n + 1, 1);
    if (!s)
        return "";
    if (memchr(in->p, 0, (size_t)n)) {
        bad(in, "a text holds a zero byte");
        return "";
    }
    memcpy(s, in->p, (size_t)n);
    in->p += n;
    in->left -= (size_t)n;
    return s;
}

static const char *get_optional(struct in *in) {
    return get_flag(in) ? get_text(in) : NULL;
}

/* A text into a fixed field of `cap` bytes. */
static void get_fixed(struct in *in, char *field, size_t cap) {
    const char *s = get_text(in);
    if (strlen(s) >= cap)
        bad(in, "a text is too long for its field");
    else
        memcpy(field, s, strlen(s) + 1);
}

static void get_ints(struct in *in, int64_t *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        v[i] = get_int(in);
}

static void get_doubles(struct in *in, double *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        v[i] = get_double(in);
}

static rad_status get_status(struct in *in) {
    int64_t v = get_range(in, RAD_E_STOPPED, 0, "an unknown status");
    rad_status s = (rad_status)v;
    if (in->st == RAD_OK && s != RAD_OK && rad_status_scope(s) == RAD_SCOPE_NONE)
        bad(in, "an unknown status");
    return s;
}

static rad_status get_study_status(struct in *in) {
    rad_status s = get_status(in);
    if (in->st == RAD_OK && s != RAD_OK && rad_status_scope(s) != RAD_SCOPE_STUDY)
        bad(in, "a status that condemns more than a study");
    return s;
}

static struct in begin(const void *data, size_t size, rad_wire_arena *a, rad_wire_kind want, rad_error *err) {
    struct in in = {data, size, a, RAD_OK, err};
    if (get_int(&in) != RAD_WIRE_MAGIC)
        bad(&in, "it does not begin like one");
    int64_t version = get_int(&in), kind = get_int(&in);
    if (version != RAD_WIRE_VERSION)
        bad(&in, "another version of the format");
    if (want != 0 && kind != (int64_t)want)
        bad(&in, "another kind than expected");
    if (kind < RAD_WIRE_CONFIG || kind > RAD_WIRE_BYE)
        bad(&in, "an unknown kind");
    return in;
}

static rad_status finish(struct in *in) {
    if (in->left > 0)
        bad(in, "bytes are left over");
    return in->st;
}

rad_status rad_wire_peek(const void *data, size_t size, rad_wire_kind *ret, rad_error *err) {
    struct in in = begin(data, size, NULL, 0, err);
    if (in.st == RAD_OK)
        *ret = (rad_wire_kind)((const uint8_t *)data)[16];
    return in.st;
}

rad_status rad_wire_get_config(const void *data, size_t size, rad_wire_arena *a, rad_wire_config *ret, rad_error *err) {
    struct in in = begin(data, size, a, RAD_WIRE_CONFIG, err);
    rad_wire_config m = {0};
    m.status = get_status(&in);
    m.text = get_text(&in);
    m.quit = get_flag(&in);
    m.job_sha256 = get_text(&in);
    m.backend = get_text(&in);
    m.backend_version = get_text(&in);
    m.precision = get_text(&in);
    m.crash_tag = get_text(&in);
    m.identity = get_text(&in);
    m.batch = get_range(&in, 0, INT32_MAX, "a batch limit out of range");
    m.n_known = get_range(&in, 0, RAD_MAX_KNOWN_KEYS, "too many keys of stored results");
    m.n_model = get_count(&in, RAD_MAX_MODELS, 8, "too many models");
    int64_t *first = take_memory(&in, m.n_model, sizeof *first);
    for (int64_t i = 0; i < m.n_model && in.st == RAD_OK; i++)
        first[i] = get_range(&in, 0, 1, "a first fold out of range");
    m.first_fold = first;
    m.n_file = get_count(&in, RAD_MAX_MODEL_FILES, 16, "too many model files");
    const char **sha = take_memory(&in, m.n_file, sizeof *sha), **graph = take_memory(&in, m.n_file, sizeof *graph);
    for (int64_t i = 0; i < m.n_file && in.st == RAD_OK; i++) {
        sha[i] = get_text(&in);
        graph[i] = get_text(&in);
    }
    m.model_sha256 = sha;
    m.graph_hash = graph;
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = m;
    return st;
}

rad_status rad_wire_get_known(const void *data, size_t size, rad_wire_known *ret, rad_error *err) {
    struct in in = begin(data, size, NULL, RAD_WIRE_KNOWN, err);
    int64_t n = get_count(&in, (int64_t)RAD_MAX_WIRE_KEYS * RAD_SHA256_BYTES, 1, "too many keys of stored results");
    if (in.st == RAD_OK && n % RAD_SHA256_BYTES != 0)
        bad(&in, "a key of a stored result is cut off");
    const uint8_t *key = in.p;
    if (in.st == RAD_OK) {
        in.p += n;
        in.left -= (size_t)n;
    }
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = (rad_wire_known){n / RAD_SHA256_BYTES, key};
    return st;
}

rad_status rad_wire_get_hello(const void *data, size_t size, rad_wire_arena *a, rad_wire_hello *ret, rad_error *err) {
    struct in in = begin(data, size, a, RAD_WIRE_HELLO, err);
    rad_wire_hello m = {0};
    m.host = get_text(&in);
    m.device = get_text(&in);
    m.room = get_text(&in);
    m.window = get_range(&in, 1, RAD_MAX_LEASE_CASES, "a window out of range");
    m.threads = get_range(&in, 1, INT32_MAX, "a number of threads out of range");
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = m;
    return st;
}

static void get_input(struct in *in, int64_t n_image, rad_wire_input *ret) {
    ret->status = get_study_status(in);
    ret->why = get_text(in);
    ret->n_channel = get_count(in, RAD_MAX_CHANNELS, 8, "too many channels");
    int64_t *channel = take_memory(in, ret->n_channel, sizeof *channel);
    for (int64_t i = 0; i < ret->n_channel && in->st == RAD_OK; i++)
        channel[i] = get_range(in, -1, n_image - 1, "a channel of an image that is not there");
    ret->channel = channel;
    ret->n_listed = get_count(in, RAD_MAX_LISTED, 8, "too many listed slices");
    int64_t *listed = take_memory(in, ret->n_listed, sizeof *listed);
    for (int64_t i = 0; i < ret->n_listed && in->st == RAD_OK; i++)
        listed[i] = get_range(in, 0, RAD_MAX_LISTED - 1, "a listed slice out of range");
    ret->listed = listed;
    if (in->st == RAD_OK && (ret->status == RAD_OK) != (ret->n_channel > 0))
        bad(in, "an input with images and a reason for none, or with neither");
}

static void get_image(struct in *in, rad_wire_image *ret) {
    ret->image = get_range(in, 0, INT64_MAX, "a negative index");
    ret->path = get_text(in);
    ret->n_total = get_range(in, 0, RAD_MAX_B_VOLUMES, "too many volumes in an image");
    ret->n_volume = get_count(in, RAD_MAX_B_VOLUMES, 8, "too many volumes of an image");
    int64_t *volume = take_memory(in, ret->n_volume, sizeof *volume);
    for (int64_t i = 0; i < ret->n_volume && in->st == RAD_OK; i++)
        volume[i] = get_range(in, i ? volume[i - 1] + 1 : 0, ret->n_total - 1, "a volume that the image has not");
    ret->volume = volume;
    ret->volumes = get_text(in);
}

static void get_case(struct in *in, rad_wire_case *ret) {
    ret->index = get_range(in, 0, INT64_MAX, "a negative index");
    ret->case_id = get_int(in);
    ret->n_image = get_count(in, RAD_MAX_CASE_IMAGES, 16, "too many images in a case");
    rad_wire_image *image = take_memory(in, ret->n_image, sizeof *image);
    for (int64_t i = 0; i < ret->n_image && in->st == RAD_OK; i++)
        get_image(in, &image[i]);
    ret->image = image;
    ret->mask = get_optional(in);
    ret->has_box = get_flag(in);
    ret->has_point = get_flag(in);
    get_ints(in, ret->box, 6);
    get_doubles(in, ret->point, 3);
    ret->n_input = get_count(in, RAD_MAX_INPUTS, 32, "too many inputs in a case");
    rad_wire_input *input = take_memory(in, ret->n_input, sizeof *input);
    for (int64_t i = 0; i < ret->n_input && in->st == RAD_OK; i++)
        get_input(in, ret->n_image, &input[i]);
    ret->input = input;
    ret->n_model = get_count(in, RAD_MAX_MODELS, 8, "too many models in a case");
    int64_t *file = take_memory(in, ret->n_model, sizeof *file);
    for (int64_t i = 0; i < ret->n_model && in->st == RAD_OK; i++)
        file[i] = get_range(in, -1, RAD_MAX_MODEL_FILES - 1, "a model file that is not there");
    ret->file = file;
    ret->stamp = (uint64_t)get_int(in);
}

rad_status rad_wire_get_lease(const void *data, size_t size, rad_wire_arena *a, rad_wire_lease *ret, rad_error *err) {
    struct in in = begin(data, size, a, RAD_WIRE_LEASE, err);
    int64_t n = get_count(&in, RAD_MAX_LEASE_CASES, 128, "too many cases in a lease");
    rad_wire_case *item = take_memory(&in, n, sizeof *item);
    for (int64_t i = 0; i < n && in.st == RAD_OK; i++)
        get_case(&in, &item[i]);
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = (rad_wire_lease){n, item};
    return st;
}

static void get_image_record(struct in *in, rad_image_record *r) {
    r->image = get_range(in, 0, INT64_MAX, "a negative index");
    get_fixed(in, r->content, sizeof r->content);
    r->volumes = get_text(in);
    r->n_dim = (int)get_range(in, 0, 7, "a number of dimensions out of range");
    get_ints(in, r->dim, 7);
    get_doubles(in, r->spacing, 3);
    get_doubles(in, &r->affine[0][0], 16);
    get_fixed(in, r->orientation, sizeof r->orientation);
    r->type = get_text(in);
    r->warning = get_optional(in);
    r->file_bytes = get_range(in, 0, INT64_MAX, "a negative size");
    get_fixed(in, r->signature, sizeof r->signature);
}

static void get_cam(struct in *in, int64_t n_class, rad_cam_result *c) {
    get_fixed(in, c->key, sizeof c->key);
    c->stored = get_flag(in);
    if (in->st == RAD_OK && strlen(c->key) != RAD_SHA256_HEX - 1)
        bad(in, "a class activation map without its key");
    if (in->st != RAD_OK || c->stored)
        return;
    c->class_index = (int)get_range(in, 0, n_class - 1, "a class that is not there");
    c->deciding_slice = get_range(in, 0, INT64_MAX, "a negative slice");
    c->depth = get_range(in, 0, INT64_MAX, "a map of negative depth");
    c->height = get_range(in, 1, INT64_MAX, "a map without pixels");
    c->width = get_range(in, 1, INT64_MAX, "a map without pixels");
    c->file = get_optional(in);
    get_fixed(in, c->file_sha256, sizeof c->file_sha256);
    c->file_bytes = get_range(in, 0, INT64_MAX, "a negative size");
    c->scale = get_double(in);
    c->n_slice = get_count(in, RAD_MAX_CASE_SLICES, 13 * 8, "too many maps");
    rad_cam_slice *slice = take_memory(in, c->n_slice, sizeof *slice);
    for (int64_t i = 0; i < c->n_slice && in->st == RAD_OK; i++) {
        rad_cam_slice *s = &slice[i];
        double v[8];
        s->slice = get_range(in, 0, INT64_MAX, "a negative slice");
        get_ints(in, s->peak, 3);
        get_doubles(in, v, 8);
        s->peak_inside = (int)get_range(in, -1, 1, "a place that is neither inside nor outside");
        memcpy(s->peak_mm, v, sizeof s->peak_mm);
        s->peak_value = v[3];
        s->low_value = v[4];
        s->energy = v[5];
        s->energy_inside = v[6];
        s->iou = v[7];
    }
    c->slice = slice;
    if (in->st == RAD_OK && (c->n_slice == 0 || (c->file != NULL && (!rad_path_is_inside(c->file) || c->file_bytes == 0))))
        bad(in, "a class activation map of nothing");
}

static void get_model_result(struct in *in, int64_t n_class, rad_model_result *r) {
    r->status = get_study_status(in);
    r->stage = get_text(in);
    r->why = get_text(in);
    get_fixed(in, r->key, sizeof r->key);
    r->file = (int)get_range(in, 0, RAD_MAX_MODEL_FILES - 1, "a model file that is not there");
    r->stored = get_flag(in);
    r->n_slice = get_count(in, RAD_MAX_CASE_SLICES, 56 + 8 * (size_t)n_class, "too many slices");
    int64_t *slice = take_memory(in, r->n_slice, sizeof *slice), *stored = take_memory(in, r->n_slice, sizeof *stored);
    int64_t(*box)[4] = take_memory(in, r->n_slice, sizeof *box);
    double *score = take_memory(in, r->n_slice * n_class, sizeof *score), *mismatch = take_memory(in, r->n_slice, sizeof *mismatch);
    if (in->st != RAD_OK)
        return;
    get_ints(in, slice, r->n_slice);
    get_ints(in, stored, r->n_slice);
    for (int64_t i = 0; i < r->n_slice; i++)
        get_ints(in, box[i], 4);
    get_doubles(in, mismatch, r->n_slice);
    get_doubles(in, score, r->n_slice * n_class);
    get_doubles(in, &r->input_mean, 1);
    get_doubles(in, &r->input_sd, 1);
    r->slice = slice;
    r->stored_slice = stored;
    r->box = (const int64_t(*)[4])box;
    r->mismatch_mm = mismatch;
    r->score = score;
    if (in->st == RAD_OK && r->status != RAD_OK && r->n_slice > 0)
        bad(in, "scores beside a reason for none");
    if (in->st == RAD_OK && r->stored && (r->status != RAD_OK || r->n_slice > 0 || strlen(r->key) != RAD_SHA256_HEX - 1))
        bad(in, "a stored result with scores, with a reason for none, or without its key");
    r->has_cam = get_flag(in);
    if (r->has_cam && in->st == RAD_OK)
        get_cam(in, n_class, &r->cam);
    if (in->st == RAD_OK && r->has_cam && (r->status != RAD_OK || r->stored != r->cam.stored))
        bad(in, "a class activation map that does not go with its result");
}

rad_status rad_wire_get_result(const void *data, size_t size, rad_wire_arena *a, rad_wire_result *ret, rad_error *err) {
    struct in in = begin(data, size, a, RAD_WIRE_RESULT, err);
    rad_wire_result m = {0};
    rad_case_result *r = &m.result;
    m.index = get_range(&in, 0, INT64_MAX, "a negative index");
    m.n_class = (int)get_range(&in, 1, RAD_MAX_CLASSES, "a number of classes out of range");
    r->case_id = get_int(&in);
    r->n_image = get_count(&in, RAD_MAX_CASE_IMAGES, 272, "too many images in a result");
    rad_image_record *image = take_memory(&in, r->n_image, sizeof *image);
    for (int64_t i = 0; i < r->n_image && in.st == RAD_OK; i++)
        get_image_record(&in, &image[i]);
    r->n_model = (int)get_count(&in, RAD_MAX_MODELS, 56, "too many models");
    rad_model_result *model = take_memory(&in, r->n_model, sizeof *model);
    for (int i = 0; i < r->n_model && in.st == RAD_OK; i++)
        get_model_result(&in, m.n_class, &model[i]);
    r->image = image;
    r->model = model;
    r->read_s = get_double(&in);
    r->inflate_s = get_double(&in);
    r->prepare_s = get_double(&in);
    r->wait_s = get_double(&in);
    r->infer_s = get_double(&in);
    r->finish_s = get_double(&in);
    r->read_bytes = get_range(&in, 0, INT64_MAX, "a negative size");
    m.moved = get_flag(&in);
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = m;
    return st;
}

static void get_cases(struct in *in, rad_wire_cases *ret) {
    ret->n = get_count(in, RAD_MAX_LEASE_CASES, 8, "too many cases");
    int64_t *index = take_memory(in, ret->n, sizeof *index);
    for (int64_t i = 0; i < ret->n && in->st == RAD_OK; i++)
        index[i] = get_range(in, 0, INT64_MAX, "a negative index");
    ret->index = index;
}

rad_status rad_wire_get_return(const void *data, size_t size, rad_wire_arena *a, rad_wire_cases *ret, rad_error *err) {
    struct in in = begin(data, size, a, RAD_WIRE_RETURN, err);
    rad_wire_cases m = {0};
    get_cases(&in, &m);
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = m;
    return st;
}

rad_status rad_wire_get_committed(const void *data, size_t size, int64_t *ret, rad_error *err) {
    struct in in = begin(data, size, NULL, RAD_WIRE_COMMITTED, err);
    int64_t n = get_range(&in, 0, INT64_MAX, "a negative count");
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = n;
    return st;
}

rad_status rad_wire_get_fault(const void *data, size_t size, rad_wire_arena *a, rad_wire_fault *ret, rad_error *err) {
    struct in in = begin(data, size, a, RAD_WIRE_FAULT, err);
    rad_wire_fault m = {0};
    m.status = get_status(&in);
    m.text = get_text(&in);
    get_cases(&in, &m.guilty);
    if (in.st == RAD_OK && m.status == RAD_OK)
        bad(&in, "a fault without one");
    rad_status st = finish(&in);
    if (st == RAD_OK)
        *ret = m;
    return st;
}
