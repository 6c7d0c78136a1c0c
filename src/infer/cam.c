/* cam.c: class activation maps: made from a graph, computed from a tapped feature map, resized. */
#include "cam.h"

#include <stdlib.h>
#include <string.h>

rad_status rad_cam_create_from_graph(const rad_graph *g, const char *output, rad_cam **ret, rad_error *err) {
    int v = -1;
    for (int k = 0; k < g->n_output && v < 0; k++)
        if (output == NULL || strcmp(g->value[g->output[k]].name, output) == 0)
            v = g->output[k];
    if (v < 0)
        return rad_error_set(err, RAD_E_MODEL, "the network has no output '%s' to make class activation maps of",
                             output != NULL ? output : "");
    rad_cam *c = rad_calloc(1, sizeof *c);
    if (c == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for class activation maps");
    rad_status st = rad_cam_find_head(g, v, c, err);
    if (st != RAD_OK)
        rad_cam_destroy(&c);
    else
        *ret = c;
    return st;
}

rad_status rad_cam_create(rad_model *m, const rad_engine_opts *opts, rad_cam **ret, rad_error *err) {
    rad_graph *g = NULL;
    rad_shape sample = {.rank = 1, .dim = {1}};
    rad_graph_opts go = {.batch = 1};
    if (opts->sample[0] != 0 && rad_model_input_count(m) == 1) {
        for (; sample.rank < RAD_MAX_RANK && opts->sample[sample.rank - 1] != 0; sample.rank++)
            sample.dim[sample.rank] = opts->sample[sample.rank - 1];
        go.n_shape = 1;
        go.shape = &sample;
    }
    rad_status st = rad_graph_build(m, &go, &g, err);
    if (st == RAD_E_MODEL && rad_graph_build(m, &(rad_graph_opts){0}, &g, NULL) == RAD_OK)
        st = RAD_OK; /* exists only at its own batch; the head is the same */
    if (st != RAD_OK)
        return st;
    st = rad_cam_create_from_graph(g, opts->output, ret, err);
    rad_graph_destroy(&g);
    return st;
}

void rad_cam_destroy(rad_cam **c) {
    if (c == NULL || *c == NULL)
        return;
    free((*c)->tap);
    free((*c)->weight);
    free((*c)->bias);
    free(*c);
    *c = NULL;
}

/* ---------------------------------------------------------------- use */

const char *rad_cam_tap(const rad_cam *c) {
    return c->tap;
}

int64_t rad_cam_class_count(const rad_cam *c) {
    return c->n_class;
}

int64_t rad_cam_channel_count(const rad_cam *c) {
    return c->n_channel;
}

void rad_cam_get_shape(const rad_cam *c, rad_shape *ret) {
    *ret = c->shape;
}

const double *rad_cam_weights(const rad_cam *c) {
    return c->weight;
}

const double *rad_cam_bias(const rad_cam *c) {
    return c->bias;
}

size_t rad_cam_describe(const rad_cam *c, char *buf, size_t cap) {
    char text[96];
    const int n =
        snprintf(buf, cap, "class maps %s from tensor '%s' (%lld channels), %lld class%s", rad_shape_text(&c->shape, text, sizeof text),
                 c->tap, (long long)c->n_channel, (long long)c->n_class, c->n_class == 1 ? "" : "es");
    return n < 0 ? 0 : (size_t)n;
}

rad_status rad_cam_compute(const rad_cam *c, int64_t cls, const float *tap, float *ret_map, rad_error *err) {
    enum { BLOCK = 64 };
    if (cls < 0 || cls >= c->n_class)
        return rad_error_set(err, RAD_E_USAGE, "there is no class %lld to map: the network has %lld, counted from 0", (long long)cls,
                             (long long)c->n_class);
    const double *weight = c->weight + cls * c->n_channel;
    const int64_t step_channel = c->channels_last ? 1 : c->n_position, step_position = c->channels_last ? c->n_channel : 1;
    for (int64_t first = 0; first < c->n_position; first += BLOCK) {
        const int64_t here = c->n_position - first < BLOCK ? c->n_position - first : BLOCK;
        double sum[BLOCK] = {0.0};
        for (int64_t k = 0; k < c->n_channel; k++) {
            const float *f = tap + k * step_channel + first * step_position;
            for (int64_t p = 0; p < here; p++)
                sum[p] += weight[k] * (double)f[p * step_position];
        }
        for (int64_t p = 0; p < here; p++)
            ret_map[first + p] = (float)sum[p];
    }
    return RAD_OK;
}

/* ---------------------------------------------------------------- maps as images */

struct source {
    int64_t low, high;
    double part; /* of `high` */
};

double rad_cam_position(int64_t index, int64_t n_from, int64_t n_to) {
    return ((double)index + 0.5) * (double)n_to / (double)n_from - 0.5;
}

/* Between which elements of an axis of n_from a position lies; outside it is clamped. */
static struct source source_at(double x, int64_t n_from) {
    if (!(x > 0.0))
        x = 0.0;
    if (x > (double)(n_from - 1))
        x = (double)(n_from - 1);
    struct source s = {.low = (int64_t)x};
    s.high = s.low + 1 < n_from ? s.low + 1 : s.low;
    s.part = x - (double)s.low;
    return s;
}

static double between(double a, double b, double part) {
    return a * (1.0 - part) + b * part;
}

/* Where output index i of axis d (of RAD_CAM_RANK) reads; first NULL: resized as a whole. */
struct ladder {
    const double *first, *step;
    int skipped; /* axes in front that the map lacks */
    int64_t from[RAD_CAM_RANK], to[RAD_CAM_RANK];
};

static struct source source_of(const struct ladder *l, int d, int64_t i) {
    if (!l->first || d < l->skipped)
        return source_at(rad_cam_position(i, l->to[d], l->from[d]), l->from[d]);
    return source_at(l->first[d - l->skipped] + (double)i * l->step[d - l->skipped], l->from[d]);
}

static rad_status interpolate(const float *map, const rad_shape *from, const rad_shape *to, const double *first, const double *step,
                              float *ret, rad_error *err) {
    struct ladder l = {first, step, RAD_CAM_RANK - from->rank, {1, 1, 1}, {1, 1, 1}};
    const int64_t *a = l.from, *b = l.to;
    char text[96], target[96];
    bool good = from->rank == to->rank && from->rank >= 1 && from->rank <= RAD_CAM_RANK;
    for (int d = 0; good && d < from->rank; d++) {
        l.from[l.skipped + d] = from->dim[d];
        l.to[l.skipped + d] = to->dim[d];
        good = from->dim[d] >= 1 && to->dim[d] >= 1;
    }
    if (!good)
        return rad_error_set(err, RAD_E_SHAPE, "a map %s cannot be resized to %s", rad_shape_text(from, text, sizeof text),
                             rad_shape_text(to, target, sizeof target));
    if (rad_shape_count(from) < 0 || rad_shape_count(to) < 0)
        return rad_error_set(err, RAD_E_LIMIT, "a map %s resized to %s is too large", rad_shape_text(from, text, sizeof text),
                             rad_shape_text(to, target, sizeof target));
    for (int64_t z = 0; z < b[0]; z++) {
        const struct source sz = source_of(&l, 0, z);
        for (int64_t y = 0; y < b[1]; y++) {
            const struct source sy = source_of(&l, 1, y);
            const float *row[4] = {map + (sz.low * a[1] + sy.low) * a[2], map + (sz.low * a[1] + sy.high) * a[2],
                                   map + (sz.high * a[1] + sy.low) * a[2], map + (sz.high * a[1] + sy.high) * a[2]};
            for (int64_t x = 0; x < b[2]; x++) {
                const struct source sx = source_of(&l, 2, x);
                double v[4];
                for (int i = 0; i < 4; i++)
                    v[i] = between((double)row[i][sx.low], (double)row[i][sx.high], sx.part);
                *ret++ = (float)between(between(v[0], v[1], sy.part), between(v[2], v[3], sy.part), sz.part);
            }
        }
    }
    return RAD_OK;
}

rad_status rad_cam_resize(const float *map, const rad_shape *from, const rad_shape *to, float *ret, rad_error *err) {
    return interpolate(map, from, to, NULL, NULL, ret, err);
}

rad_status rad_cam_sample(const float *map, const rad_shape *from, const rad_shape *to, const double first[RAD_CAM_RANK],
                          const double step[RAD_CAM_RANK], float *ret, rad_error *err) {
    return interpolate(map, from, to, first, step, ret, err);
}

float rad_cam_peak(const float *map, const rad_shape *shape, int64_t ret_index[RAD_CAM_RANK]) {
    const int64_t n = rad_shape_count(shape);
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (map[i] > map[best])
            best = i;
    const float value = map[best];
    for (int d = shape->rank - 1; d >= 0; d--) {
        ret_index[d] = best % shape->dim[d];
        best /= shape->dim[d];
    }
    return value;
}
