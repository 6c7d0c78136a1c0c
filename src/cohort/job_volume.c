/* job_volume.c: the key `volume` of an input: one sample [C, D, H, W] per case. Keys that say something about single slices do not go with
 * it. */
#include "job_input.h"

static void forbid(yaml_reader *r, const yaml_node_t *node, const yaml_where *where, const char *key, const char *why) {
    yaml_where w = yaml_where_key(where, key);
    if (node)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' does not go with 'volume': %s", w.text, why);
}

static void check_channels(yaml_reader *r, const yaml_node_t *node, const rad_input_spec *spec) {
    for (int c = 0; c < spec->n_channel; c++) {
        const rad_channel_spec *ch = &spec->channel[c];
        if (spec->volume.on && (ch->n_offset != 1 || ch->offset[0] != 0))
            yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                         "channel entry %d has slice offsets, but 'volume' holds all slices around the centre: leave 'offset' out", c + 1);
        if (!spec->volume.on && ch->nearest)
            yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                         "channel entry %d has 'interpolation', which goes with 'volume' only; slices have 'match' and 'resize'", c + 1);
    }
}

/* The sample must be one that can be held in memory several times. */
static void check_bytes(yaml_reader *r, const yaml_node_t *node, const yaml_where *where, const rad_input_spec *spec) {
    size_t bytes = sizeof(float) * (size_t)spec->n_plane;
    bool fits = true;
    for (int a = 0; a < 3; a++)
        fits = fits && rad_mul_size(bytes, (size_t)spec->volume.size[a], &bytes);
    if (!fits || bytes > RAD_MAX_SAMPLE_BYTES)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' of %lldx%lldx%lld samples times %d channels passes %zu bytes (RAD_MAX_SAMPLE_BYTES): make 'size' smaller",
                     where->text, (long long)spec->volume.size[0], (long long)spec->volume.size[1], (long long)spec->volume.size[2],
                     spec->n_plane, RAD_MAX_SAMPLE_BYTES);
}

void job_read_volume(yaml_reader *r, const yaml_node_t *const *v, const yaml_node_t *input, const yaml_where *where, rad_input_spec *spec) {
    const key_def *key = &job_input_keys[INPUT_VOLUME], *k = key->group->key;
    const yaml_node_t *node = v[INPUT_VOLUME], *part[JOB_MAX_KEYS] = {NULL};
    rad_volume_spec *out = &spec->volume;
    yaml_where wv = yaml_where_key(where, key->name);
    out->on = node != NULL;
    check_channels(r, v[INPUT_CHANNELS] ? v[INPUT_CHANNELS] : input, spec);
    if (!node || !yaml_get_map(r, node, key, key->group, &wv, part))
        return;
    yaml_where ws = yaml_where_key(&wv, k[VOLUME_SIZE].name), wa = yaml_where_key(&wv, k[VOLUME_ANTIALIAS].name);
    int n_size = job_read_ints(r, part[VOLUME_SIZE], &k[VOLUME_SIZE], &ws, out->size);
    int n_spacing = job_read_numbers(r, part[VOLUME_SPACING_MM], &k[VOLUME_SPACING_MM], &wv, out->spacing_mm);
    yaml_get_bool(r, part[VOLUME_ANTIALIAS], &k[VOLUME_ANTIALIAS], &wa, &out->antialias);
    if (n_size == 2)
        yaml_mistake(r, RAD_SEVERITY_ERROR, part[VOLUME_SIZE], "'%s' has 2 numbers, expected 1, or depth, height and width", ws.text);
    if (n_spacing == 2)
        yaml_mistake(r, RAD_SEVERITY_ERROR, part[VOLUME_SPACING_MM], "'%s.spacing_mm' has 2 numbers, expected 1, or those along x, y and z",
                     wv.text);
    for (int a = 1; a < 3; a++) {
        out->size[a] = n_size == 1 ? out->size[0] : out->size[a];
        out->spacing_mm[a] = n_spacing == 1 ? out->spacing_mm[0] : out->spacing_mm[a];
    }
    if (n_size > 0)
        check_bytes(r, node, &wv, spec);
    forbid(r, v[INPUT_SLICES], where, "slices", "all that lie in it belong to the one sample");
    forbid(r, v[INPUT_RESIZE], where, "resize", "its 'size' and 'spacing_mm' say what is sampled");
    if (spec->frames_as_slices)
        forbid(r, v[INPUT_FRAMES], where, "frames", "frames have no position in millimetres");
    if (spec->match.nearest)
        forbid(r, v[INPUT_MATCH], where, "match.slices",
               "it is sampled between slices; 'interpolation: nearest' of a channel is for label maps");
    const rad_region_spec *g = &spec->region;
    if (g->margin_mm > 0 || g->margin_px > 0 || g->size_mm > 0 || g->shape != RAD_SHAPE_SQUARE)
        forbid(r, v[INPUT_REGION], where, "region",
               "margins, shape and 'size_mm' have no meaning, the box is 'size' times 'spacing_mm' around the centre");
}
