/* site.c: the way back from a prepared input to the voxels it was cut from, for what is drawn onto them (class activation maps), and
 * where the lesion lies in each scored slice. Rules of slices and regions: region.c. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Line y of slice z of the reference: counted, and what of it lies in the block marked in `block`, which is that slice's. */
static void mark_line(const rad_outline *o, const rad_view *ref, int64_t y, int64_t z, float *row, uint8_t *line, const rad_site *s,
                      uint8_t *block, int64_t *n_lesion) {
    const int64_t *first = s->first, *n = s->n;
    rad_outline_row(o, y, z, ref->dim[0], row, line);
    for (int64_t x = 0; x < ref->dim[0]; x++) {
        *n_lesion += line[x];
        if (block && line[x] && x >= first[0] && x < first[0] + n[0] && y >= first[1] && y < first[1] + n[1])
            block[(y - first[1]) * n[0] + x - first[0]] = 1;
    }
}

static rad_status outline_slices(const rad_outline *o, const rad_view *ref, const rad_prepared *p, rad_site *s, rad_error *err) {
    const int64_t n_block = s->deep ? s->n[2] : p->n_slice, n_seen = s->deep ? ref->dim[2] : p->n_slice;
    size_t pixels = 0, all = 0;
    rad_status st = RAD_OK;
    uint8_t *line = rad_calloc((size_t)ref->dim[0], 1);
    float *row = rad_calloc((size_t)ref->dim[0], sizeof *row);
    s->lesion =
        rad_mul_size((size_t)s->n[0], (size_t)s->n[1], &pixels) && rad_mul_size(pixels, (size_t)n_block, &all) ? rad_calloc(all, 1) : NULL;
    s->n_lesion = rad_calloc((size_t)p->n_slice, sizeof *s->n_lesion);
    if (!line || !row || !s->lesion || !s->n_lesion) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the outline of a lesion in %lld slices", (long long)n_block);
        goto out;
    }
    for (int64_t i = 0; i < n_seen; i++) {
        const int64_t z = s->deep ? i : p->slice[i], at = s->deep ? i - s->first[2] : i;
        uint8_t *block = at >= 0 && at < n_block ? s->lesion + (size_t)at * pixels : NULL;
        for (int64_t y = 0; y < ref->dim[1]; y++)
            mark_line(o, ref, y, z, row, line, s, block, &s->n_lesion[s->deep ? 0 : i]);
    }
out:
    free(line);
    free(row);
    return st;
}

/* The voxels low <= i < high of an axis whose centres lie in a volume. */
static void place_block(const rad_prepared *p, int a, int64_t low, int64_t high, int64_t *ret_first, int64_t *ret_n) {
    const double *from = p->border[0], *to = p->border[1];
    const double first = fmax(ceil(from[a] - CEIL_SLACK), (double)low), end = fmin(ceil(to[a] - CEIL_SLACK), (double)high);
    *ret_first = (int64_t)first;
    *ret_n = (int64_t)(end - first);
    if (end > first)
        return;
    *ret_first = (int64_t)fmin(fmax(rad_nearest((from[a] + to[a]) / 2), (double)low), (double)(high - 1));
    *ret_n = 1;
}

rad_status rad_site_make(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, const rad_prepared *p,
                         rad_site *ret, rad_error *err) {
    rad_site s = {0};
    rad_outline outline;
    bool found = false;
    rad_status st = RAD_OK;
    rad_channel_view *c = rad_calloc(2, sizeof *c);
    if (!c)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the place of a prepared input");
    int on = spec->region.drawn_on;
    RAD_TRY(rad_channel_make(spec, 0, volume[0], NULL, &c[0], err));
    if (on != 0)
        RAD_TRY(rad_channel_make(spec, on, volume[on], &c[0].view, &c[1], err));
    const rad_view *ref = &c[0].view;
    s.info = volume[0]->info;
    s.info.warning = NULL;
    s.frames = ref->volume != volume[0];
    memcpy(s.axis, ref->axis, sizeof s.axis);
    memcpy(s.flip, ref->flip, sizeof s.flip);
    memcpy(s.dim, ref->dim, sizeof s.dim);
    memcpy(s.box, p->box[0], sizeof s.box);
    s.deep = p->depth > 0;
    memcpy(s.border, p->border, sizeof s.border);
    s.n[2] = 1;
    for (int a = 0; a < 2; a++) {
        s.seen[a] = s.box[a] > ref->low[a] ? s.box[a] : ref->low[a];
        s.seen[a + 2] = s.box[a + 2] < ref->high[a] ? s.box[a + 2] : ref->high[a];
        s.first[a] = s.box[a];
        s.n[a] = s.box[a + 2] - s.box[a];
    }
    for (int a = 0; a < 3 && s.deep; a++)
        place_block(p, a, a < 2 ? ref->low[a] : 0, a < 2 ? ref->high[a] : ref->dim[2], &s.first[a], &s.n[a]);
    for (int a = 0; a < 2 && s.deep; a++) {
        s.seen[a] = s.first[a];
        s.seen[a + 2] = s.first[a] + s.n[a];
    }
    if (!s.frames)
        for (int d = 3; d < 7; d++)
            s.info.dim[d] = 1;
    if (!s.frames && s.info.n_dim > 3)
        s.info.n_dim = 3;
    RAD_TRY(rad_outline_make(spec, on ? &c[1] : &c[0], roi, &outline, &found, err));
    if (found)
        RAD_TRY(outline_slices(&outline, ref, p, &s, err));
    *ret = s;
    s = (rad_site){0};
out:
    rad_site_release(&s);
    free(c);
    return st;
}

void rad_site_release(rad_site *s) {
    free(s->lesion);
    free(s->n_lesion);
    *s = (rad_site){0};
}

void rad_site_voxel(const rad_site *s, int64_t x, int64_t y, int64_t slice, int64_t ret[4]) {
    const int64_t at[3] = {x, y, slice};
    ret[3] = 0;
    for (int t = 0; t < 3; t++)
        ret[s->axis[t]] = s->flip[t] ? s->dim[t] - 1 - at[t] : at[t];
    if (s->frames) { /* the third axis of the reoriented view stands for the frames of one slice */
        ret[3] = ret[2];
        ret[2] = 0;
    }
}
