/* job_input.c: how a network's input is made from a case: channels, region, window, resize, normalisation. */
#include "job_input.h"

#include <math.h>
#include <string.h>

#include "radcohort/bvalue.h"

int job_read_ints(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int64_t *ret) {
    const yaml_node_t *item[RAD_MAX_PLANES];
    int n = yaml_get_items(r, node, key, where, item);
    for (int i = 0; i < n; i++) {
        yaml_where w = n > 1 ? yaml_where_item(where, i) : *where;
        yaml_get_int(r, item[i], key, &w, &ret[i]);
    }
    return n;
}

static void read_offsets(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_channel_spec *c) {
    int64_t v[RAD_MAX_OFFSETS] = {0};
    int n = job_read_ints(r, node, key, where, v);
    c->n_offset = n > 0 ? n : 1;
    for (int i = 0; i < c->n_offset; i++)
        c->offset[i] = (int)v[i];
}

int job_read_numbers(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, double *ret) {
    const yaml_node_t *item[RAD_MAX_PLANES]; /* the most that any such key takes */
    yaml_where w = yaml_where_key(where, key->name);
    int n = yaml_get_items(r, node, key, &w, item);
    for (int i = 0; i < n; i++) {
        yaml_where wi = node->type == YAML_SEQUENCE_NODE ? yaml_where_item(&w, i) : w;
        yaml_get_number(r, item[i], key, &wi, &ret[i]);
    }
    return n;
}

static void read_window(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_window_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    double x[4] = {0}, percent[2] = {0};
    bool got[4];
    int over = 0;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    for (int i = 0; i < 4; i++) {
        yaml_where w = yaml_where_key(where, k[i].name);
        got[i] = yaml_get_number(r, v[i], &k[i], &w, &x[i]);
    }
    yaml_where wo = yaml_where_key(where, "over");
    bool has_over = yaml_get_word(r, v[WINDOW_OVER], &k[WINDOW_OVER], &wo, &over);
    if (v[WINDOW_PERCENTILE]) {
        yaml_where wp = yaml_where_key(where, "percentile");
        int n = job_read_numbers(r, v[WINDOW_PERCENTILE], &k[WINDOW_PERCENTILE], where, percent);
        if (v[WINDOW_LOW] || v[WINDOW_HIGH] || v[WINDOW_LEVEL] || v[WINDOW_WIDTH])
            yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' has fixed ends besides 'percentile': keep one of them", where->text);
        else if (n >= 0 && (n != 2 || percent[0] >= percent[1]))
            yaml_mistake(r, RAD_SEVERITY_ERROR, v[WINDOW_PERCENTILE],
                         "'%s' needs two percents, the lower one first; for example: percentile: [1, 99]", wp.text);
        *out = (rad_window_spec){.on = true, .low = percent[0], .high = percent[1], .percentile = true, .over = (rad_over)over};
        return;
    }
    if (has_over)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[WINDOW_OVER], "'%s' goes with 'percentile' only: fixed ends need no statistic", wo.text);
    bool ends = v[WINDOW_LOW] && v[WINDOW_HIGH] && !v[WINDOW_LEVEL] && !v[WINDOW_WIDTH];
    bool centre = v[WINDOW_LEVEL] && v[WINDOW_WIDTH] && !v[WINDOW_LOW] && !v[WINDOW_HIGH];
    if (!ends && !centre) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' needs 'low' and 'high', or 'level' and 'width', or 'percentile'; for example: "
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

/* The keys of a window and of what belongs to it, from position `first` of the group on: of an input, or of one channel entry. */
static void read_intensity(yaml_reader *r, const yaml_node_t *const *v, const key_def *k, int first, const yaml_where *where,
                           rad_window_spec *window, rad_intensity_spec *out) {
    enum { WINDOW, ZSCORE, PADDING, NONFINITE };
    yaml_where w[4];
    for (int i = 0; i < 4; i++)
        w[i] = yaml_where_key(where, k[first + i].name);
    k += first;
    v += first;
    int over = 0, word = -1;
    double value = 0;
    read_window(r, v[WINDOW], &k[WINDOW], &w[WINDOW], window);
    if (yaml_get_word(r, v[ZSCORE], &k[ZSCORE], &w[ZSCORE], &over)) {
        out->zscore = true;
        out->zscore_over = (rad_over)over;
    }
    out->has_padding = yaml_get_number(r, v[PADDING], &k[PADDING], &w[PADDING], &out->padding);
    if (yaml_get_either(r, v[NONFINITE], &k[NONFINITE], &w[NONFINITE], &word, &value) && word < 0) {
        out->replace_nonfinite = true;
        out->nonfinite = value;
    }
}

static void read_b_value(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_channel_spec *c) {
    double v[2] = {0};
    if (!node)
        return;
    int n = job_read_numbers(r, node, key, where, v);
    c->has_b = n > 0;
    c->b_low = n == 1 ? fmax(v[0] - rad_b_tolerance(v[0]), 0) : v[0];
    c->b_high = n == 1 ? v[0] + rad_b_tolerance(v[0]) : v[1];
    if (n == 2 && v[0] > v[1])
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s.%s' runs from %.10g to %.10g: the lower end comes first", where->text, key->name,
                     v[0], v[1]);
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
        yaml_where wc = yaml_where_key(&w, "component"), wm = yaml_where_key(&w, "missing");
        int component = 0, missing = 0;
        if (yaml_get_word(r, v[CHANNEL_COMPONENT], &keys[CHANNEL_COMPONENT], &wc, &component))
            c->component = (rad_component)component;
        int interpolation = 0;
        yaml_where wi = yaml_where_key(&w, "interpolation");
        c->nearest = yaml_get_word(r, v[CHANNEL_INTERPOLATION], &keys[CHANNEL_INTERPOLATION], &wi, &interpolation) && interpolation == 1;
        read_b_value(r, v[CHANNEL_B_VALUE], &keys[CHANNEL_B_VALUE], &w, c);
        c->zero_if_missing = yaml_get_word(r, v[CHANNEL_MISSING], &keys[CHANNEL_MISSING], &wm, &missing) && missing == 1;
        if (c->zero_if_missing && i == 0)
            yaml_mistake(r, RAD_SEVERITY_ERROR, v[CHANNEL_MISSING],
                         "'%s' cannot be zero: the first entry's image is the reference for all others; put the entry further back",
                         wm.text);
        read_intensity(r, v, keys, CHANNEL_WINDOW, &w, &c->window, &c->intensity);
    }
    for (int i = 0; i < spec->n_channel; i++)
        spec->n_plane += spec->channel[i].n_offset;
    if (spec->n_plane > RAD_MAX_PLANES)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' makes %d planes (sequences times offsets), the limit is %d", where->text,
                     spec->n_plane, RAD_MAX_PLANES);
}

static void read_drawn_on(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_input_spec *spec) {
    char *sequence = NULL;
    const char *known[RAD_MAX_CHANNELS + 1];
    if (!node || !yaml_get_text(r, node, key, where, &sequence))
        return;
    for (int c = 0; c < spec->n_channel; c++) {
        known[c] = spec->channel[c].sequence ? spec->channel[c].sequence : "";
        if (strcmp(known[c], sequence) != 0)
            continue;
        spec->region.drawn_on = c;
        if (spec->channel[c].zero_if_missing)
            yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' names '%s', which may be missing: lesions are drawn in an image that is there",
                         where->text, sequence);
        return;
    }
    known[spec->n_channel] = NULL;
    const char *near = rad_nearest_word(sequence, known);
    yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' is '%s', but no channel of the input has that sequence%s%s%s", where->text, sequence,
                 near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* `volume`: the input has that key, which says how large the region is. */
static void read_region(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_unit unit, bool volume,
                        rad_input_spec *spec) {
    rad_region_spec *g = &spec->region;
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    g->from = unit == RAD_UNIT_PATIENT ? RAD_REGION_WHOLE : RAD_REGION_AUTO;
    g->shape = RAD_SHAPE_SQUARE;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    yaml_where w[REGION_COUNT];
    for (int i = 0; i < REGION_COUNT; i++)
        w[i] = yaml_where_key(where, k[i].name);
    int from = (int)g->from, shape = 0;
    if (yaml_get_word(r, v[REGION_FROM], &k[REGION_FROM], &w[REGION_FROM], &from))
        g->from = (rad_region_from)from;
    if (yaml_get_word(r, v[REGION_SHAPE], &k[REGION_SHAPE], &w[REGION_SHAPE], &shape))
        g->shape = (rad_region_shape)shape;
    yaml_get_number(r, v[REGION_MARGIN_MM], &k[REGION_MARGIN_MM], &w[REGION_MARGIN_MM], &g->margin_mm);
    yaml_get_number(r, v[REGION_MARGIN_PX], &k[REGION_MARGIN_PX], &w[REGION_MARGIN_PX], &g->margin_px);
    yaml_get_number(r, v[REGION_SIZE_MM], &k[REGION_SIZE_MM], &w[REGION_SIZE_MM], &g->size_mm);
    read_drawn_on(r, v[REGION_DRAWN_ON], &k[REGION_DRAWN_ON], &w[REGION_DRAWN_ON], spec);
    if (g->from == RAD_REGION_POINT && !v[REGION_SIZE_MM] && !volume)
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

static void read_crop(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_crop_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    int64_t *side[] = {&out->top, &out->bottom, &out->left, &out->right};
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    for (int i = 0; i < 4; i++) {
        yaml_where w = yaml_where_key(where, k[i].name);
        yaml_get_int(r, v[i], &k[i], &w, side[i]);
    }
}

static void read_match(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, rad_match_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    int slices = 0;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    yaml_where wt = yaml_where_key(where, "tolerance_mm"), ws = yaml_where_key(where, "slices");
    out->has_tolerance = yaml_get_number(r, v[MATCH_TOLERANCE_MM], &k[MATCH_TOLERANCE_MM], &wt, &out->tolerance_mm);
    out->nearest = yaml_get_word(r, v[MATCH_SLICES], &k[MATCH_SLICES], &ws, &slices) && slices == 1;
}

/* A padding value becomes the low end of a window: there must be one. */
static void check_padding(yaml_reader *r, const yaml_node_t *node, const rad_input_spec *spec, const yaml_where *where) {
    for (int c = 0; c < spec->n_channel; c++) {
        const rad_channel_spec *ch = &spec->channel[c];
        if (!(ch->intensity.has_padding || spec->intensity.has_padding) || ch->window.on || spec->window.on)
            continue;
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' has 'padding' for sequence '%s' and no 'window', whose low end would stand for it; for example: window: "
                     "{percentile: [0, 100]}",
                     where->text, ch->sequence ? ch->sequence : "");
        return;
    }
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

static void read_normalise(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int n_plane,
                           rad_normalise_spec *out) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    const key_def *k = key->group->key;
    if (!node || !yaml_get_map(r, node, key, key->group, where, v))
        return;
    int preset = 0;
    yaml_where wp = yaml_where_key(where, "preset");
    if (v[NORMALISE_PRESET] ? v[NORMALISE_MEAN] || v[NORMALISE_STD] : !v[NORMALISE_MEAN] || !v[NORMALISE_STD]) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' needs 'mean' and 'std', or 'preset' alone; for example: {mean: 0.5, std: 0.25}",
                     where->text);
        return;
    }
    if (v[NORMALISE_PRESET]) {
        static const double mean[3] = {0.485, 0.456, 0.406}, std[3] = {0.229, 0.224, 0.225}; /* of red, green, blue in ImageNet */
        if (yaml_get_word(r, v[NORMALISE_PRESET], &k[NORMALISE_PRESET], &wp, &preset) && n_plane % 3 != 0)
            yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' is for planes of red, green and blue, three at a time: the input has %d planes",
                         wp.text, n_plane);
        out->n = n_plane <= RAD_MAX_PLANES ? n_plane : 0;
        for (int i = 0; i < out->n; i++) {
            out->mean[i] = mean[i % 3];
            out->std[i] = std[i % 3];
        }
        return;
    }
    int n_mean = job_read_numbers(r, v[NORMALISE_MEAN], &k[NORMALISE_MEAN], where, out->mean);
    int n_std = job_read_numbers(r, v[NORMALISE_STD], &k[NORMALISE_STD], where, out->std);
    if (n_mean < 0 || n_std < 0)
        return;
    if ((n_mean != 1 && n_mean != n_plane) || (n_std != 1 && n_std != n_plane)) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' has %d mean%s and %d deviation%s for %d plane%s: give one number, or one per plane",
                     where->text, n_mean, n_mean == 1 ? "" : "s", n_std, n_std == 1 ? "" : "s", n_plane, n_plane == 1 ? "" : "s");
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
    yaml_where w[INPUT_COUNT];
    for (int i = 0; i < INPUT_COUNT; i++)
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
    read_region(r, v[INPUT_REGION], &k[INPUT_REGION], &w[INPUT_REGION], unit, v[INPUT_VOLUME] != NULL, spec);
    int frames = 0;
    read_crop(r, v[INPUT_CROP], &k[INPUT_CROP], &w[INPUT_CROP], &spec->crop);
    spec->frames_as_slices = yaml_get_word(r, v[INPUT_FRAMES], &k[INPUT_FRAMES], &w[INPUT_FRAMES], &frames) && frames == 1;
    read_match(r, v[INPUT_MATCH], &k[INPUT_MATCH], &w[INPUT_MATCH], &spec->match);
    read_intensity(r, v, k, INPUT_WINDOW, where, &spec->window, &spec->intensity);
    check_padding(r, node, spec, where);
    read_resize(r, v[INPUT_RESIZE], &k[INPUT_RESIZE], &w[INPUT_RESIZE], &spec->resize);
    read_normalise(r, v[INPUT_NORMALISE], &k[INPUT_NORMALISE], &w[INPUT_NORMALISE], spec->n_plane, &spec->normalise);
    yaml_get_int(r, v[INPUT_EVERY], &k[INPUT_EVERY], &w[INPUT_EVERY], &spec->every);
    if (spec->every > 1 && (spec->slices == RAD_SLICES_LESION_CENTRE || v[INPUT_VOLUME]))
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[INPUT_EVERY],
                     "'%s' takes some of several slices: it goes with 'slices: lesion-all', 'all' or 'listed'", w[INPUT_EVERY].text);
    job_read_volume(r, v, node, where, spec);
    if (unit == RAD_UNIT_PATIENT && spec->slices == RAD_SLICES_LESION_ALL)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[INPUT_SLICES] ? v[INPUT_SLICES] : node,
                     "'%s' is lesion-all, but the job's unit is patient: write 'all' or 'lesion' (the middle slice), or 'unit: lesion'",
                     w[INPUT_SLICES].text);
}

/* ---------------------------------------------------------------- canonical text */
