/* job_input.c: how a network's input is made from a case: channels, region, window, resize, normalisation. */
#include "job_input.h"

#include <string.h>

static void read_offsets(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_channel_spec *c) {
    const yaml_node_t *item[RAD_MAX_OFFSETS];
    c->n_offset = 1;
    c->offset[0] = 0;
    int n = yaml_get_items(r, node, key, where, item);
    for (int i = 0; i < n; i++) {
        int64_t v = 0;
        yaml_where w = n > 1 ? yaml_where_item(where, i) : *where;
        if (yaml_get_int(r, item[i], key, &w, &v))
            c->offset[i] = (int)v;
    }
    if (n > 0)
        c->n_offset = n;
}

static void read_channels(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_input_spec *spec) {
    const yaml_node_t *item[RAD_MAX_CHANNELS], *v[JOB_MAX_KEYS];
    int n = yaml_get_items(r, node, key, where, item);
    for (int i = 0; i < n; i++) {
        rad_channel_spec *c = &spec->channel[spec->n_channel++];
        yaml_where w = yaml_where_item(where, i);
        const key_def *keys = key->group->key;
        c->n_offset = 1;
        if (!yaml_get_map(r, item[i], key, key->group, &w, v))
            continue;
        yaml_where ws = yaml_where_key(&w, "sequence"), wo = yaml_where_key(&w, "offset");
        yaml_get_text(r, v[CHANNEL_SEQUENCE], &keys[CHANNEL_SEQUENCE], &ws, &c->sequence);
        read_offsets(r, v[CHANNEL_OFFSET], &keys[CHANNEL_OFFSET], &wo, c);
    }
    for (int i = 0; i < spec->n_channel; i++)
        spec->n_plane += spec->channel[i].n_offset;
    if (spec->n_plane > RAD_MAX_PLANES)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' makes %d planes (sequences times offsets), the limit is %d", where->text,
                     spec->n_plane, RAD_MAX_PLANES);
}

static void read_region(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_unit unit,
                        rad_region_spec *g) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    g->from = unit == RAD_UNIT_PATIENT ? RAD_REGION_WHOLE : RAD_REGION_AUTO;
    g->shape = RAD_SHAPE_SQUARE;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    yaml_where w[5];
    for (int i = 0; i < 5; i++)
        w[i] = yaml_where_key(where, k[i].name);
    int from = (int)g->from, shape = 0;
    if (yaml_get_word(r, v[REGION_FROM], &k[REGION_FROM], &w[REGION_FROM], &from))
        g->from = (rad_region_from)from;
    if (yaml_get_word(r, v[REGION_SHAPE], &k[REGION_SHAPE], &w[REGION_SHAPE], &shape))
        g->shape = (rad_region_shape)shape;
    yaml_get_number(r, v[REGION_MARGIN_MM], &k[REGION_MARGIN_MM], &w[REGION_MARGIN_MM], &g->margin_mm);
    yaml_get_number(r, v[REGION_MARGIN_PX], &k[REGION_MARGIN_PX], &w[REGION_MARGIN_PX], &g->margin_px);
    yaml_get_number(r, v[REGION_SIZE_MM], &k[REGION_SIZE_MM], &w[REGION_SIZE_MM], &g->size_mm);
    if (g->from == RAD_REGION_POINT && !v[REGION_SIZE_MM])
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' from a point needs 'size_mm', the side of the square around it; for example: "
                     "{from: point, size_mm: 40}",
                     where->text);
    if (unit == RAD_UNIT_PATIENT && g->from != RAD_REGION_WHOLE)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[REGION_FROM] ? v[REGION_FROM] : node,
                     "'%s' needs a lesion, but the job's unit is patient: write 'from: whole', or 'unit: lesion'", w[REGION_FROM].text);
    if (v[REGION_SIZE_MM] && g->from != RAD_REGION_POINT && g->from != RAD_REGION_AUTO)
        yaml_mistake(r, RAD_SEVERITY_WARNING, v[REGION_SIZE_MM], "'%s' has no effect: it is for regions from a point",
                     w[REGION_SIZE_MM].text);
}

static void read_window(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_window_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    double x[4] = {0};
    bool got[4];
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    for (int i = 0; i < 4; i++) {
        yaml_where w = yaml_where_key(where, k[i].name);
        got[i] = yaml_get_number(r, v[i], &k[i], &w, &x[i]);
    }
    bool ends = v[WINDOW_LOW] && v[WINDOW_HIGH] && !v[WINDOW_LEVEL] && !v[WINDOW_WIDTH];
    bool centre = v[WINDOW_LEVEL] && v[WINDOW_WIDTH] && !v[WINDOW_LOW] && !v[WINDOW_HIGH];
    if (!ends && !centre) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' needs either 'low' and 'high' or 'level' and 'width'; for example: "
                     "{level: 40, width: 400}",
                     where->text);
        return;
    }
    if (ends && got[WINDOW_LOW] && got[WINDOW_HIGH] && x[WINDOW_LOW] >= x[WINDOW_HIGH])
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' has low %.10g and high %.10g: low must be below high", where->text, x[WINDOW_LOW],
                     x[WINDOW_HIGH]);
    out->on = true;
    out->low = ends ? x[WINDOW_LOW] : x[WINDOW_LEVEL] - x[WINDOW_WIDTH] / 2;
    out->high = ends ? x[WINDOW_HIGH] : x[WINDOW_LEVEL] + x[WINDOW_WIDTH] / 2;
}

static void read_resize(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_resize_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    int64_t size[3] = {0};
    int method = 0;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    for (int i = 0; i < 3; i++) {
        yaml_where w = yaml_where_key(where, k[i].name);
        yaml_get_int(r, v[i], &k[i], &w, &size[i]);
    }
    bool square = v[RESIZE_SIZE] && !v[RESIZE_HEIGHT] && !v[RESIZE_WIDTH];
    bool both = !v[RESIZE_SIZE] && v[RESIZE_HEIGHT] && v[RESIZE_WIDTH];
    if (!square && !both)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' needs either 'size' or 'height' and 'width'; for example: {size: 224}",
                     where->text);
    yaml_where wm = yaml_where_key(where, "method"), wa = yaml_where_key(where, "antialias");
    yaml_get_word(r, v[RESIZE_METHOD], &k[RESIZE_METHOD], &wm, &method);
    yaml_get_bool(r, v[RESIZE_ANTIALIAS], &k[RESIZE_ANTIALIAS], &wa, &out->antialias);
    out->method = method == 0 ? RAD_RESIZE_BILINEAR : RAD_RESIZE_NEAREST;
    out->height = square ? size[RESIZE_SIZE] : size[RESIZE_HEIGHT];
    out->width = square ? size[RESIZE_SIZE] : size[RESIZE_WIDTH];
    if (out->antialias && out->method == RAD_RESIZE_NEAREST)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[RESIZE_ANTIALIAS] ? v[RESIZE_ANTIALIAS] : node, "'%s' goes with 'method: bilinear' only",
                     wa.text);
}

static int read_numbers(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, double *ret) {
    const yaml_node_t *item[RAD_MAX_PLANES];
    yaml_where w = yaml_where_key(where, key->name);
    int n = yaml_get_items(r, node, key, &w, item);
    for (int i = 0; i < n; i++) {
        yaml_where wi = node->type == YAML_SEQUENCE_NODE ? yaml_where_item(&w, i) : w;
        yaml_get_number(r, item[i], key, &wi, &ret[i]);
    }
    return n;
}

static void read_normalise(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int n_plane,
                           rad_normalise_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v) || !v[NORMALISE_MEAN] || !v[NORMALISE_STD])
        return;
    int n_mean = read_numbers(r, v[NORMALISE_MEAN], &k[NORMALISE_MEAN], where, out->mean);
    int n_std = read_numbers(r, v[NORMALISE_STD], &k[NORMALISE_STD], where, out->std);
    if (n_mean < 0 || n_std < 0)
        return;
    if ((n_mean != 1 && n_mean != n_plane) || (n_std != 1 && n_std != n_plane)) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' has %d means and %d deviations for %d plane%s: give one number, or one per plane",
                     where->text, n_mean, n_std, n_plane, n_plane == 1 ? "" : "s");
        return;
    }
    out->n = n_mean > n_std ? n_mean : n_std;
    for (int i = 1; i < out->n; i++) {
        if (n_mean == 1)
            out->mean[i] = out->mean[0];
        if (n_std == 1)
            out->std[i] = out->std[0];
    }
}

void job_read_input(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_unit unit,
                    rad_input_spec *spec) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    if (!yaml_get_map(r, node, key, key->group, where, v))
        return;
    yaml_where w[8];
    for (int i = 0; i < 8; i++)
        w[i] = yaml_where_key(where, k[i].name);
    read_channels(r, v[INPUT_CHANNELS], &k[INPUT_CHANNELS], &w[INPUT_CHANNELS], spec);
    char *axes = NULL;
    if (yaml_get_text(r, v[INPUT_ORIENTATION], &k[INPUT_ORIENTATION], &w[INPUT_ORIENTATION], &axes))
        memcpy(spec->orientation, axes, sizeof spec->orientation);
    int slices = 0, edge = 0;
    if (yaml_get_word(r, v[INPUT_SLICES], &k[INPUT_SLICES], &w[INPUT_SLICES], &slices))
        spec->slices = (rad_slices)slices;
    if (yaml_get_word(r, v[INPUT_EDGE], &k[INPUT_EDGE], &w[INPUT_EDGE], &edge))
        spec->edge = (rad_edge)edge;
    read_region(r, v[INPUT_REGION], &k[INPUT_REGION], &w[INPUT_REGION], unit, &spec->region);
    read_window(r, v[INPUT_WINDOW], &k[INPUT_WINDOW], &w[INPUT_WINDOW], &spec->window);
    read_resize(r, v[INPUT_RESIZE], &k[INPUT_RESIZE], &w[INPUT_RESIZE], &spec->resize);
    read_normalise(r, v[INPUT_NORMALISE], &k[INPUT_NORMALISE], &w[INPUT_NORMALISE], spec->n_plane, &spec->normalise);
    if (unit == RAD_UNIT_PATIENT && spec->slices == RAD_SLICES_LESION_ALL)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[INPUT_SLICES] ? v[INPUT_SLICES] : node,
                     "'%s' is lesion-all, but the job's unit is patient: write 'all' or 'lesion' (the middle slice), or 'unit: lesion'",
                     w[INPUT_SLICES].text);
}

/* ---------------------------------------------------------------- canonical text */

static rad_status put_quoted(rad_buf *b, const char *s, rad_error *err) {
    rad_status st = rad_buf_put(b, "\"", 1, err);
    for (; st == RAD_OK && *s; s++) {
        if (*s == '"' || *s == '\\')
            st = rad_buf_put(b, "\\", 1, err);
        if (st == RAD_OK)
            st = rad_buf_put(b, s, 1, err);
    }
    return st == RAD_OK ? rad_buf_put(b, "\"", 1, err) : st;
}

static rad_status put_channels(rad_buf *b, const rad_input_spec *s, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "channels=");
    for (int i = 0; st == RAD_OK && i < s->n_channel; i++) {
        const rad_channel_spec *c = &s->channel[i];
        st = put_quoted(b, c->sequence, err);
        for (int j = 0; st == RAD_OK && j < c->n_offset; j++)
            st = rad_buf_printf(b, err, "%c%d", j ? ',' : ':', c->offset[j]);
        if (st == RAD_OK)
            st = rad_buf_put(b, ";", 1, err);
    }
    return st;
}

static rad_status put_numbers(rad_buf *b, const char *name, const double *x, int n, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, " %s=", name);
    for (int i = 0; st == RAD_OK && i < n; i++)
        st = rad_buf_printf(b, err, "%s%.17g", i ? "," : "", x[i]);
    return st;
}

rad_status job_canonical_text(arena *a, const rad_input_spec *s, char **ret, rad_error *err) {
    static const char *const slices[] = {"lesion", "lesion-all", "all"}, *const edge[] = {"replicate", "zero"},
                             *const from[] = {"auto", "whole", "box", "mask", "point"}, *const shape[] = {"square", "rectangle"},
                             *const method[] = {"none", "bilinear", "nearest"};
    rad_status st = RAD_OK;
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_JOB_BYTES);
    RAD_TRY(put_channels(&b, s, err));
    RAD_TRY(rad_buf_printf(&b, err, " orientation=%s slices=%s edge=%s", s->orientation, slices[s->slices], edge[s->edge]));
    RAD_TRY(rad_buf_printf(&b, err, " region=%s,%s,margin_mm:%.17g,margin_px:%.17g,size_mm:%.17g", from[s->region.from],
                           shape[s->region.shape], s->region.margin_mm, s->region.margin_px, s->region.size_mm));
    if (s->window.on)
        RAD_TRY(rad_buf_printf(&b, err, " window=%.17g,%.17g", s->window.low, s->window.high));
    else
        RAD_TRY(rad_buf_printf(&b, err, " window=none"));
    RAD_TRY(rad_buf_printf(&b, err, " resize=%s,%lldx%lld,antialias:%d", method[s->resize.method], (long long)s->resize.height,
                           (long long)s->resize.width, s->resize.antialias ? 1 : 0));
    RAD_TRY(put_numbers(&b, "mean", s->normalise.mean, s->normalise.n, err));
    RAD_TRY(put_numbers(&b, "std", s->normalise.std, s->normalise.n, err));
    char *text = arena_strndup(a, b.data, b.size);
    if (!text)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for an input's canonical text");
    else
        *ret = text;
out:
    rad_buf_release(&b);
    return st;
}
