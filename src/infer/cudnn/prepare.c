/* prepare.c: a case's voxels to the device, only those that its pixels need and in their stored type, and the kernels that make its samples
 * there. The samples stay on the device until the networks have seen them. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

_Static_assert((int)PREP_U8 == (int)RAD_VOX_U8 && (int)PREP_I64 == (int)RAD_VOX_I64 && (int)PREP_F32 == (int)RAD_VOX_F32 &&
                   (int)PREP_F64 == (int)RAD_VOX_F64 && (int)PREP_RGB == (int)RAD_VOX_RGB24,
               "voxel types in one order");

/* What travels, in this order, each part at a multiple of 16 bytes; `head` is a copy of all but the voxels. */
struct load {
    struct prep_args args; /* offsets into the block become pointers */
    struct prep_image image[RAD_MAX_CHANNELS];
    size_t image_at, plane_at, pair_at, x_at, y_at, bad_at, head_size, voxel_at[RAD_MAX_CHANNELS], size;
    char *head;
};

static size_t place(size_t *at, size_t size) {
    const size_t here = (*at + 15) / 16 * 16;
    *at = here + size;
    return here;
}

/* Axes by the distance of their neighbours in the file: the rows that are copied run along the first. */
static void storage_order(const rad_prepare_image *m, int order[3]) {
    for (int i = 0; i < 3; i++) {
        int at = i;
        const int64_t step = llabs(m->step[i]);
        for (; at > 0 && llabs(m->step[order[at - 1]]) > step; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* The image as it will lie on the device: a packed box, whose axes run as in the file. */
static void set_image(const rad_prepare_image *m, struct prep_image *ret) {
    int order[3];
    int64_t step = 1;
    *ret = (struct prep_image){.slope = m->slope,
                               .inter = m->inter,
                               .low = m->tone.low,
                               .span = m->tone.span,
                               .mean = m->tone.mean,
                               .sd = m->tone.sd,
                               .black = m->tone.black,
                               .padding = m->tone.padding,
                               .nonfinite = m->tone.nonfinite,
                               .stored = (int)m->type,
                               .component = m->component,
                               .same = m->same,
                               .window = m->tone.window,
                               .has_padding = m->tone.has_padding,
                               .replace = m->tone.replace,
                               .zscore = m->tone.zscore};
    memcpy(ret->dim, m->dim, sizeof ret->dim);
    memcpy(ret->to, m->to, sizeof ret->to);
    storage_order(m, order);
    for (int i = 0; i < 3; i++) {
        const int a = order[i];
        const bool back = m->step[a] < 0;
        ret->step[a] = back ? -step : step;
        ret->first += back ? step * (m->n[a] - 1) : 0;
        ret->first -= ret->step[a] * m->from[a];
        step *= m->n[a];
    }
}

static size_t voxel_bytes(const rad_prepare_image *m) {
    return m->n[0] > 0 ? (size_t)(m->n[0] * m->n[1] * m->n[2]) * rad_voxel_size(m->type) : 0;
}

static rad_status lay_out(const rad_prepare_plan *p, struct load *l, rad_error *err) {
    const size_t planes = (size_t)(p->result.n_slice * p->result.n_plane), pairs = (size_t)p->n_normalise;
    const rad_prepare_axis *const axis[2] = {&p->x, &p->y};
    struct prep_axis *const out[2] = {&l->args.x, &l->args.y};
    size_t *const axis_at[2] = {&l->x_at, &l->y_at};
    l->image_at = place(&l->size, (size_t)p->n_image * sizeof *l->image);
    l->plane_at = place(&l->size, planes * sizeof *l->args.plane);
    l->pair_at = place(&l->size, 2 * pairs * sizeof(double));
    for (int i = 0; i < 2; i++)
        *axis_at[i] = place(&l->size, (size_t)axis[i]->out * (16 + (size_t)axis[i]->taps * 8));
    l->bad_at = place(&l->size, sizeof(int));
    l->head_size = l->size = (l->size + 15) / 16 * 16;
    for (int k = 0; k < p->n_image; k++)
        l->voxel_at[k] = place(&l->size, voxel_bytes(&p->image[k]));
    l->head = rad_calloc(l->head_size, 1);
    if (l->head == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a preparation");
    for (int i = 0; i < 2; i++) {
        const size_t n = (size_t)axis[i]->out;
        char *at = l->head + *axis_at[i];
        memcpy(at, axis[i]->start, n * 8);
        memcpy(at + n * 8, axis[i]->count, n * 8);
        memcpy(at + n * 16, axis[i]->weight, n * (size_t)axis[i]->taps * 8);
        *out[i] = (struct prep_axis){.in = axis[i]->in, .out = axis[i]->out, .taps = axis[i]->taps};
    }
    struct prep_plane *plane = (struct prep_plane *)(void *)(l->head + l->plane_at);
    for (size_t i = 0; i < planes; i++)
        plane[i] = (struct prep_plane){.image = p->plane[i].image,
                                       .empty = p->plane[i].empty,
                                       .z = p->plane[i].z,
                                       .matched = p->plane[i].matched,
                                       .value = p->plane[i].value};
    memcpy(l->head + l->pair_at, p->mean, pairs * sizeof(double));
    memcpy(l->head + l->pair_at + pairs * sizeof(double), p->std, pairs * sizeof(double));
    return RAD_OK;
}

/* Numbers and pointers, now that the block's place on the device is known. */
static void fill_in(const rad_prepare_plan *p, struct load *l, char *base, float *out) {
    struct prep_args *a = &l->args;
    a->n_slice = p->result.n_slice;
    a->n_plane = p->result.n_plane;
    a->height = p->result.height;
    a->width = p->result.width;
    memcpy(a->box, p->box, sizeof a->box);
    memcpy(a->low, p->low, sizeof a->low);
    memcpy(a->high, p->high, sizeof a->high);
    a->edge_zero = p->edge_zero;
    a->match_nearest = p->match_nearest;
    a->n_normalise = p->n_normalise;
    a->mean = (const double *)(void *)(base + l->pair_at);
    a->std = a->mean + p->n_normalise;
    a->image = (const struct prep_image *)(void *)(base + l->image_at);
    a->plane = (const struct prep_plane *)(void *)(base + l->plane_at);
    struct prep_axis *const axis[2] = {&a->x, &a->y};
    const size_t axis_at[2] = {l->x_at, l->y_at};
    for (int i = 0; i < 2; i++) {
        axis[i]->start = (const int64_t *)(void *)(base + axis_at[i]);
        axis[i]->count = axis[i]->start + axis[i]->out;
        axis[i]->weight = (const double *)(const void *)(axis[i]->count + axis[i]->out);
    }
    a->bad = (int *)(void *)(base + l->bad_at);
    a->out = out;
    for (int k = 0; k < p->n_image; k++)
        if (p->image[k].voxel != NULL) {
            set_image(&p->image[k], &l->image[k]);
            l->image[k].voxel = base + l->voxel_at[k];
        }
    memcpy(l->head + l->image_at, l->image, (size_t)p->n_image * sizeof *l->image);
}

static rad_status send_box(struct cu_courier *c, const rad_prepare_image *m, rad_error *err) {
    const size_t size = rad_voxel_size(m->type);
    int order[3];
    rad_status st = RAD_OK;
    int64_t low = m->first;
    storage_order(m, order);
    for (int a = 0; a < 3; a++) /* the box's lowest voxel in the file */
        low += m->step[a] < 0 ? m->step[a] * (m->from[a] + m->n[a] - 1) : m->step[a] * m->from[a];
    const int64_t dy = llabs(m->step[order[1]]), dz = llabs(m->step[order[2]]);
    for (int64_t z = 0; z < m->n[order[2]]; z++)
        for (int64_t y = 0; y < m->n[order[1]] && st == RAD_OK; y++)
            st = cu_courier_send(c, (const char *)m->voxel + (size_t)(low + y * dy + z * dz) * size, (size_t)m->n[order[0]] * size, err);
    return st;
}

static rad_status send_all(struct cu_courier *c, const rad_prepare_plan *p, const struct load *l, char *base, rad_error *err) {
    static const char zero[16] = {0};
    size_t at = l->head_size;
    c->to = base;
    rad_status st = cu_courier_send(c, l->head, l->head_size, err);
    for (int k = 0; k < p->n_image && st == RAD_OK; k++) {
        st = cu_courier_send(c, zero, l->voxel_at[k] - at, err);
        if (st == RAD_OK && voxel_bytes(&p->image[k]) > 0)
            st = send_box(c, &p->image[k], err);
        at = l->voxel_at[k] + voxel_bytes(&p->image[k]);
    }
    return st == RAD_OK ? cu_courier_flush(c, err) : st;
}

/* Integers times a sane slope are finite; whether a check is needed is the input's and the file's, never the batch's. */
static bool needs_check(const rad_prepare_plan *p) {
    for (int k = 0; k < p->n_image; k++)
        if (p->image[k].voxel != NULL && !p->image[k].tone.replace)
            return true;
    return false;
}

rad_status cu_prepare(const struct cu_state *s, const rad_prepare_plan *p, rad_samples **ret, rad_error *err) {
    const int64_t count = p->result.n_plane * p->result.height * p->result.width;
    struct load *l = rad_calloc(1, sizeof *l);
    rad_samples *made = rad_calloc(1, sizeof *made);
    struct cu_courier *c = NULL;
    struct cu_block *block = NULL;
    int bad = 0;
    rad_status st = RAD_OK;
    if (l == NULL || made == NULL) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for a preparation");
        goto out;
    }
    made->count = count;
    made->n = p->result.n_slice;
    RAD_TRY(cu_check(cudaSetDevice(s->device), "selecting the device", err));
    RAD_TRY(lay_out(p, l, err));
    RAD_TRY(cu_courier_get(s->pool, &c, err));
    RAD_TRY(cu_pool_get(s->pool, l->size, &block, err));
    RAD_TRY(cu_pool_get(s->pool, (size_t)(count * made->n) * sizeof(float), &made->block, err));
    fill_in(p, l, block->data, made->block->data);
    RAD_TRY(send_all(c, p, l, block->data, err));
    RAD_TRY(cu_check(k_launch_prepare(&l->args, needs_check(p), c->stream), "launching the preparation", err));
    RAD_TRY(cu_check(cudaMemcpyAsync(&bad, l->args.bad, sizeof bad, cudaMemcpyDeviceToHost, c->stream), "the preparation", err));
    RAD_TRY(cu_check(cudaStreamSynchronize(c->stream), "the preparation", err));
    if (bad != 0) {
        st = rad_error_set(err, RAD_E_NONFINITE, "NaN or Inf inside the region");
        goto out;
    }
    *ret = made;
    made = NULL;
out:
    if (st != RAD_OK && c != NULL)
        (void)cudaStreamSynchronize(c->stream); /* nothing may be reused while it is still read */
    cu_pool_put(s->pool, block);
    if (made != NULL)
        cu_samples_free(s, made);
    cu_courier_put(s->pool, c);
    if (l != NULL)
        free(l->head);
    free(l);
    return st;
}

void cu_samples_free(const struct cu_state *s, rad_samples *m) {
    (void)cudaSetDevice(s->device);
    cu_pool_put(s->pool, m->block);
    free(m);
}
