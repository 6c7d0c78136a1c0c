/* worker_load.c: one case from files to samples. Each image is opened once, however many channels, inputs and models use it, and of each
 * only the slices that some input needs are read; each input is prepared once, however many models share it, and not at all when the
 * results of all of them are stored. What is wrong with the study is recorded per input, with its stage.
 *
 * Where results are stored the files' contents come first: a case whose results are all there is hashed and not inflated. Else the slices
 * come first, and one pass over a file gives both. What is recorded does not depend on the order. */
#include "worker_cam.h"

#include <stdlib.h>
#include <string.h>

struct loaded {
    rad_shared_image *shared; /* NULL: it could not be opened */
    rad_planes planes;        /* what the inputs need of it; first < 0: nothing */
    const rad_volume *volume; /* those slices */
    bool known;               /* content and warning */
    char content[RAD_XXH128_HEX];
    char *warning;
    rad_status status; /* the first thing that went wrong */
    rad_error err;
};

/* Study-scope failures are the study's; the others stop more than it. */
static bool is_study(rad_status st) {
    return rad_status_scope(st) == RAD_SCOPE_STUDY;
}

static rad_status fail_input(struct work_input *in, rad_status st, const char *stage, const char *text, rad_error *err) {
    in->status = st;
    in->stage = stage;
    in->why = rad_strdup(text);
    return in->why ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory for a reason");
}

/* What a step on an image came to: the study's fault is kept with it, others end more. */
static rad_status keep(struct loaded *l, const char *path, rad_status st, const rad_error *why, rad_error *err) {
    if (st == RAD_OK)
        return RAD_OK;
    l->status = st;
    l->err = *why;
    return is_study(st) ? RAD_OK : rad_error_set(err, st, "'%s': %s", path, why->text);
}

static rad_status open_image(rad_worker *w, struct work *k, const char *path, const rad_volume_pick *pick, struct loaded *l,
                             rad_error *err) {
    rad_error why = {0};
    double t = rad_clock_seconds();
    *l = (struct loaded){.planes = {-1, -1}};
    rad_status st = rad_volumes_open(w->volumes, path, pick, &l->shared, &why);
    k->read_s += rad_clock_seconds() - t;
    return keep(l, path, st, &why, err);
}

/* A reading that began at `since`. */
static void book(struct work *k, double since, const rad_read_cost *cost) {
    const double all = rad_clock_seconds() - since, inflate = cost->inflate_s < all ? cost->inflate_s : all;
    k->read_s += all - inflate;
    k->inflate_s += inflate;
    k->read_bytes += cost->bytes;
}

static rad_status learn_content(rad_worker *w, struct work *k, const char *path, struct loaded *l, rad_error *err) {
    rad_error why = {0};
    rad_read_cost cost = {0, 0};
    if (l->status != RAD_OK || l->known)
        return RAD_OK;
    double t = rad_clock_seconds();
    rad_status st = rad_shared_content(w->volumes, l->shared, l->content, &l->warning, &cost, &why);
    book(k, t, &cost);
    l->known = st == RAD_OK;
    return keep(l, path, st, &why, err);
}

static rad_status read_slices(rad_worker *w, struct work *k, const char *path, struct loaded *l, rad_error *err) {
    rad_error why = {0};
    rad_read_cost cost = {0, 0};
    if (l->status != RAD_OK || l->planes.first < 0)
        return RAD_OK;
    double t = rad_clock_seconds();
    rad_status st = rad_shared_read(w->volumes, l->shared, l->planes, &l->volume, &cost, &why);
    book(k, t, &cost);
    return keep(l, path, st, &why, err);
}

_Static_assert(RAD_STORE_SIGNATURE == RAD_MAX_SIGNATURE, "one signature");

static rad_status sign_image(const rad_worker *w, struct work *k, const struct loaded *l, rad_image_record *r, rad_error *err) {
    static const char DIGIT[] = "0123456789abcdef";
    rad_signature s;
    if (w->job->near_copies == RAD_COPIES_NONE || !l->volume)
        return RAD_OK;
    double t = rad_clock_seconds();
    rad_status st = rad_volume_sign(l->volume, &s, err);
    k->prepare_s += rad_clock_seconds() - t;
    for (int i = 0; st == RAD_OK && i < s.n; i++) {
        r->signature[2 * i] = DIGIT[(uint8_t)s.value[i] >> 4];
        r->signature[2 * i + 1] = DIGIT[(uint8_t)s.value[i] & 15];
    }
    return st;
}

static rad_status record_image(const rad_worker *w, struct work *k, const rad_wire_image *image, struct loaded *l, rad_error *err) {
    rad_image_record *r = &k->record[k->n_record++];
    const rad_image_info *info = rad_shared_info(l->shared);
    *r = (rad_image_record){.image = image->image,
                            .volumes = image->volumes,
                            .n_dim = info->n_dim,
                            .type = rad_voxel_type_name(info->type),
                            .file_bytes = (int64_t)info->file_bytes};
    memcpy(r->content, l->content, sizeof r->content);
    memcpy(r->dim, info->dim, sizeof r->dim);
    memcpy(r->spacing, info->spacing, sizeof r->spacing);
    memcpy(r->affine, info->affine, sizeof r->affine);
    memcpy(r->orientation, info->orientation, sizeof r->orientation);
    r->warning = l->warning;
    l->warning = NULL;
    return sign_image(w, k, l, r, err);
}

/* The lesion's outline is wanted for maps of a model of this input. */
static bool wants_outline(const rad_job *job, int input) {
    for (int m = 0; m < job->n_model; m++)
        if (job->model[m].input == input && rad_work_wants_cam(job, m))
            return true;
    return false;
}

static bool input_used(const rad_job *job, int input) {
    for (int m = 0; m < job->n_model; m++)
        if (job->model[m].input == input)
            return true;
    return false;
}

/* Are the files of this input there? */
static rad_status check_input(const rad_worker *w, struct work *k, int i, const struct loaded *image, const struct loaded *mask,
                              rad_error *err) {
    const rad_input_spec *spec = &w->job->input[i];
    const rad_wire_input *wire = &k->c->input[i];
    struct work_input *in = &k->input[i];
    if (wire->status != RAD_OK)
        return fail_input(in, wire->status, "intake", wire->why, err);
    if (wire->n_channel != spec->n_channel)
        return rad_error_set(err, RAD_E_COMM, "a leased case has %lld channels for input '%s', the job has %d", (long long)wire->n_channel,
                             spec->name, spec->n_channel);
    for (int64_t c = 0; c < wire->n_channel; c++) {
        const struct loaded *l = wire->channel[c] < 0 ? NULL : &image[wire->channel[c]];
        if (l && l->status != RAD_OK)
            return fail_input(in, l->status, "load", l->err.text, err);
        rad_error why = {0};
        rad_status st = l && rad_shared_info(l->shared)->dim[3] > 1 && !spec->frames_as_slices
                            ? rad_b_check_plain(k->c->image[wire->channel[c]].path, &why)
                            : RAD_OK;
        if (st != RAD_OK)
            return fail_input(in, st, "load", why.text, err);
    }
    if (rad_prepare_wants_mask(spec) && k->c->mask && mask->status != RAD_OK)
        return fail_input(in, mask->status, "load", mask->err.text, err);
    return RAD_OK;
}

static rad_roi roi_of(const rad_worker *w, const struct work *k, int i, const struct loaded *mask) {
    const rad_wire_input *wire = &k->c->input[i];
    bool with_mask = rad_prepare_wants_mask(&w->job->input[i]) && k->c->mask;
    rad_roi roi = {.has_box = k->c->has_box,
                   .has_point = k->c->has_point,
                   .mask = with_mask ? mask->volume : NULL,
                   .n_listed = wire->n_listed,
                   .listed = wire->listed};
    memcpy(roi.box, k->c->box, sizeof roi.box);
    memcpy(roi.point, k->c->point, sizeof roi.point);
    return roi;
}

/* Adds what input `i` needs to what is to be read of each image. */
static void need_slices(const rad_worker *w, const struct work *k, int i, struct loaded *image, const struct loaded *mask) {
    const rad_wire_input *wire = &k->c->input[i];
    const rad_image_info *info[RAD_MAX_CHANNELS] = {NULL};
    rad_planes need[RAD_MAX_CHANNELS];
    rad_roi roi = roi_of(w, k, i, mask);
    for (int64_t c = 0; c < wire->n_channel; c++)
        info[c] = wire->channel[c] < 0 ? NULL : rad_shared_info(image[wire->channel[c]].shared);
    rad_prepare_planes(&w->job->input[i], info, &roi, need);
    for (int64_t c = 0; c < wire->n_channel; c++) {
        rad_planes *p = wire->channel[c] < 0 ? NULL : &image[wire->channel[c]].planes;
        if (!p)
            continue;
        bool none = p->first < 0, all = !none && p->end < 0;
        if (none || need[c].end < 0)
            *p = need[c];
        else if (!all) {
            p->first = need[c].first < p->first ? need[c].first : p->first;
            p->end = need[c].end > p->end ? need[c].end : p->end;
        }
    }
}

static rad_status prepare_input(rad_worker *w, struct work *k, int i, const struct loaded *image, const struct loaded *mask,
                                rad_error *err) {
    const rad_input_spec *spec = &w->job->input[i];
    const rad_wire_input *wire = &k->c->input[i];
    struct work_input *in = &k->input[i];
    const rad_volume *volume[RAD_MAX_CHANNELS] = {NULL};
    for (int64_t c = 0; c < wire->n_channel; c++)
        volume[c] = wire->channel[c] < 0 ? NULL : image[wire->channel[c]].volume;
    rad_roi roi = roi_of(w, k, i, mask);
    rad_error why = {0};
    double t = rad_clock_seconds();
    rad_status st = rad_worker_prepare(w, i, volume, &roi, in, &why);
    k->prepare_s += rad_clock_seconds() - t;
    if (st != RAD_OK && !is_study(st))
        return rad_error_set(err, st, "%s", why.text);
    if (st != RAD_OK)
        return fail_input(in, st, "prepare", why.text, err);
    const rad_prepared *p = &in->prepared;
    if (p->n_slice < 1 || p->n_slice > RAD_MAX_CASE_SLICES) {
        char text[96];
        snprintf(text, sizeof text, "%lld slices, expected 1 to %d", (long long)p->n_slice, RAD_MAX_CASE_SLICES);
        rad_worker_drop_samples(w, in);
        rad_prepared_release(&in->prepared);
        return fail_input(in, RAD_E_LIMIT, "prepare", text, err);
    }
    in->bytes = (size_t)(p->n_slice * p->n_plane * (p->depth > 0 ? p->depth : 1) * p->height * p->width) * sizeof(float);
    if (!wants_outline(w->job, i))
        return RAD_OK;
    roi.mask = mask->volume;
    st = rad_site_make(spec, volume, &roi, p, &in->site, &why);
    if (st != RAD_OK && is_study(st)) /* a mask that the score does not need: the map is compared with nothing */
        st = rad_site_make(spec, volume, NULL, p, &in->site, &why);
    return st == RAD_OK ? st : rad_error_set(err, st, "%s", why.text);
}

/* Keys of all models whose files are there, and which of them the database holds. */
static rad_status find_stored(rad_worker *w, struct work *k, const struct loaded *image, const struct loaded *mask, rad_error *err) {
    for (int m = 0; m < w->job->n_model; m++) {
        int i = w->job->model[m].input;
        const rad_wire_input *wire = &k->c->input[i];
        const char *content[RAD_MAX_CHANNELS];
        if (k->input[i].status != RAD_OK || !k->model[m].wanted)
            continue;
        for (int64_t c = 0; c < wire->n_channel; c++)
            content[c] = wire->channel[c] < 0 ? "missing" : image[wire->channel[c]].content;
        bool with_mask = rad_prepare_wants_mask(&w->job->input[i]) && k->c->mask;
        rad_status st = rad_work_key(w, k, m, with_mask ? mask->content : "none", content, k->model[m].key, err);
        if (st != RAD_OK)
            return st;
        k->model[m].stored = rad_known_has(w->known, k->model[m].key);
        if (k->model[m].cam)
            st = rad_work_cam_key(w, &k->model[m], mask->volume ? mask->volume->content : "none", k->model[m].cam_key, err);
        if (st != RAD_OK)
            return st;
        if (k->model[m].cam)
            k->model[m].stored =
                k->model[m].stored && rad_known_has(w->known, k->model[m].cam_key) && rad_work_has_cam_file(w, k->model[m].cam_key);
        for (int part = m - rad_mean_of(w, m); part < m; part++) { /* what a mean is made of is computed with it, or not at all */
            k->model[part].stored = false;
            k->model[part].wanted = !k->model[m].stored;
        }
    }
    return RAD_OK;
}

static bool input_needed(const rad_worker *w, const struct work *k, int input) {
    for (int m = 0; m < w->job->n_model; m++)
        if (w->job->model[m].input == input && k->model[m].wanted && !k->model[m].stored)
            return k->input[input].status == RAD_OK;
    return false;
}

/* Which inputs can still be prepared, after a step on the images. */
static rad_status check_inputs(const rad_worker *w, struct work *k, const struct loaded *image, const struct loaded *mask, rad_error *err) {
    rad_status st = RAD_OK;
    for (int i = 0; i < w->job->n_input && st == RAD_OK; i++)
        if (input_used(w->job, i) && k->input[i].status == RAD_OK)
            st = check_input(w, k, i, image, mask, err);
    return st;
}

static rad_status open_mask(rad_worker *w, struct work *k, struct loaded *mask, rad_error *err) {
    bool wanted = false;
    for (int i = 0; i < w->job->n_input; i++)
        wanted = wanted || (input_used(w->job, i) && k->c->input[i].status == RAD_OK &&
                            (rad_prepare_wants_mask(&w->job->input[i]) || wants_outline(w->job, i)));
    if (!k->c->mask || !wanted)
        return RAD_OK;
    rad_status st = open_image(w, k, k->c->mask, NULL, mask, err);
    mask->planes = (rad_planes){0, -1};
    return st;
}

static rad_status load_mask(rad_worker *w, struct work *k, struct loaded *mask, rad_error *err) {
    if (!mask->shared)
        return RAD_OK;
    rad_status st = read_slices(w, k, k->c->mask, mask, err);
    return st == RAD_OK ? learn_content(w, k, k->c->mask, mask, err) : st;
}

/* ---------------------------------------------------------------- what a case will take, before it is read */

static size_t volume_bytes(const struct loaded *l) {
    const rad_image_info *info = l->shared ? rad_shared_info(l->shared) : NULL;
    if (!info || l->planes.first < 0)
        return 0;
    size_t n = rad_voxel_size(info->type);
    for (int d = 0; d < info->n_dim; d++)
        if (d < 2 || l->planes.end < 0)
            n *= (size_t)info->dim[d]; /* below the limits of a header */
    return l->planes.end < 0 ? n : n * (size_t)(l->planes.end - l->planes.first);
}

static size_t samples_bytes(const rad_worker *w, const struct work *k, int i, const struct loaded *image) {
    const rad_input_spec *spec = &w->job->input[i];
    const struct loaded *l = NULL;
    for (int64_t c = 0; c < k->c->input[i].n_channel && !l; c++)
        l = k->c->input[i].channel[c] < 0 ? NULL : &image[k->c->input[i].channel[c]];
    int64_t dim[RAD_SAMPLE_DIMS];
    if (!l || !l->shared)
        return 0;
    const rad_image_info *info = rad_shared_info(l->shared);
    const int64_t deep = info->n_dim > 2 ? info->dim[2] : 1, n = l->planes.end < 0 ? deep : l->planes.end - l->planes.first;
    size_t one = sizeof(float);
    if (rad_prepare_sample_shape(spec, dim))
        for (int d = 0; d < RAD_SAMPLE_DIMS && dim[d] > 0; d++)
            one *= (size_t)dim[d];
    else
        one *= (size_t)(info->dim[0] * info->dim[1] * spec->n_channel);
    return spec->volume.on ? one : one * (size_t)(n > 0 ? n : 1);
}

/* From the headers and the tables alone: at most this, but for what orientation and several inputs of one image widen. */
static size_t estimate(const rad_worker *w, const struct work *k, struct loaded *image, const struct loaded *mask) {
    size_t sum = volume_bytes(mask);
    for (int i = 0; i < w->job->n_input; i++) {
        const rad_wire_input *wire = &k->c->input[i];
        bool whole = w->job->near_copies == RAD_COPIES_ALL || (k->c->mask && rad_prepare_wants_mask(&w->job->input[i])), there = true;
        for (int64_t c = 0; c < wire->n_channel; c++)
            there = there && (wire->channel[c] < 0 || image[wire->channel[c]].shared);
        if (!input_used(w->job, i) || wire->status != RAD_OK || !there)
            continue;
        if (!whole)
            need_slices(w, k, i, image, mask);
        for (int64_t c = 0; c < wire->n_channel && whole; c++)
            if (wire->channel[c] >= 0)
                image[wire->channel[c]].planes = (rad_planes){0, -1};
        sum += samples_bytes(w, k, i, image);
    }
    for (int64_t i = 0; i < k->c->n_image; i++) {
        sum += volume_bytes(&image[i]);
        image[i].planes = (rad_planes){-1, -1};
    }
    return sum;
}

static rad_status learn_contents(rad_worker *w, struct work *k, struct loaded *image, rad_error *err) {
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < k->c->n_image && st == RAD_OK; i++)
        st = learn_content(w, k, k->c->image[i].path, &image[i], err);
    return st;
}

static rad_status read_needed(rad_worker *w, struct work *k, struct loaded *image, const struct loaded *mask, rad_error *err) {
    rad_status st = RAD_OK;
    for (int i = 0; i < w->job->n_input; i++)
        if (input_needed(w, k, i))
            need_slices(w, k, i, image, mask);
    for (int64_t i = 0; w->job->near_copies == RAD_COPIES_ALL && i < k->c->n_image; i++)
        if (image[i].planes.first >= 0)
            image[i].planes = (rad_planes){0, -1};
    for (int64_t i = 0; i < k->c->n_image && st == RAD_OK; i++)
        st = read_slices(w, k, k->c->image[i].path, &image[i], err);
    return st;
}

static void release(rad_worker *w, struct loaded *l) {
    rad_volumes_close(w->volumes, &l->shared);
    free(l->warning);
}

rad_status rad_work_load(rad_worker *w, struct work *k, rad_error *err) {
    rad_status st = RAD_OK;
    const rad_wire_case *c = k->c;
    bool reuse = w->known && w->known->n > 0;
    struct loaded mask = {0}, *image = rad_calloc((size_t)c->n_image + 1, sizeof *image);
    k->record = rad_calloc((size_t)c->n_image + 1, sizeof *k->record);
    if (!image || !k->record) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a case");
        goto out;
    }
    for (int64_t i = 0; i < c->n_image; i++) {
        const rad_volume_pick pick = {c->image[i].n_volume, c->image[i].n_total, c->image[i].volume, c->image[i].volumes};
        RAD_TRY(open_image(w, k, c->image[i].path, &pick, &image[i], err));
    }
    RAD_TRY(open_mask(w, k, &mask, err));
    rad_worker_reserve(w, k, estimate(w, k, image, &mask));
    RAD_TRY(load_mask(w, k, &mask, err));
    if (reuse)
        RAD_TRY(learn_contents(w, k, image, err));
    RAD_TRY(check_inputs(w, k, image, &mask, err));
    if (reuse)
        RAD_TRY(find_stored(w, k, image, &mask, err));
    RAD_TRY(read_needed(w, k, image, &mask, err));
    RAD_TRY(learn_contents(w, k, image, err));
    RAD_TRY(check_inputs(w, k, image, &mask, err));
    if (!reuse)
        RAD_TRY(find_stored(w, k, image, &mask, err));
    for (int64_t i = 0; i < c->n_image; i++)
        if (image[i].status == RAD_OK)
            RAD_TRY(record_image(w, k, &c->image[i], &image[i], err));
    for (int i = 0; i < w->job->n_input; i++)
        if (input_needed(w, k, i))
            RAD_TRY(prepare_input(w, k, i, image, &mask, err));
    for (int m = 0; m < w->job->n_model; m++)
        if (!k->model[m].stored)
            k->model[m].status = k->input[w->job->model[m].input].status;
out:
    for (int64_t i = 0; image && i < c->n_image; i++)
        release(w, &image[i]);
    release(w, &mask);
    free(image);
    return st;
}
