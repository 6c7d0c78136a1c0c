/* prepare.c: one input of one case, in this order:
 *
 * 1. Reorient every image (orient.c). The first channel entry's image is the reference; the others lie on its grid, or are matched to its
 *    slices by position and interpolated onto it (resample.c).
 * 2. Slices and region, from the lesion in the reference image (region.c).
 * 3. Planes: for scored slice k, channel entries in order, their offsets in order: plane (c, o) is slice k + offset[o] of the reference's
 *    grid, of image c. Beyond the first or last slice: `replicate` takes that slice, `zero` makes a plane of zeros (step 4's zero).
 * 4. Values: float32(slope * stored + inter), colours as luma or one component; padding, NaN and Inf, window, z-score (intensity.c). NaN or
 *    Inf at any pixel of the region of a slice that is used ends the case (NONFINITE) unless a number is declared for them.
 * 5. Crop the region. Pixels outside the slice: `replicate` the nearest pixel of the slice, `zero` 0 after the window (black), before
 *    the z-score and the normalisation.
 * 6. Resize (resize.c), x then y, from the region's pixels alone.
 * 7. Normalise: (v - mean[p]) / std[p] for plane p.
 *
 * An input with `volume` takes steps 3 to 6 elsewhere (volume.c).
 *
 * A missing image (the job says zeros) makes planes of 0 before step 7. Steps 4 to 7 are in double; the result is rounded once to float32.
 * A slice that several planes use is cut and resized once. Only rows of the region are read, where no statistic wants more; of those that
 * the resizing passes over only whether they are finite is looked at, if that is not known from the type.
 */
#include "internal.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct maker { /* what the steps share */
    const rad_input_spec *spec;
    rad_channel_view channel[RAD_MAX_CHANNELS];
    rad_cut cut;
    rad_patch patch;
    rad_filter fx, fy;
    bool *used;     /* [region rows] has weight in the resized plane */
    int64_t *slot;  /* [slices of the volume] position in cut.slice, or -1 */
    float *line;    /* one row of the region as read */
    double *row;    /* the same, windowed and padded */
    double *narrow; /* [region rows, output width] */
    double *plane;  /* [output height, output width] */
    rad_prepared out;
} maker;

static void maker_release(maker *m) {
    rad_filter_release(&m->fx);
    rad_filter_release(&m->fy);
    rad_patch_release(&m->patch);
    free(m->cut.slice);
    free(m->used);
    free(m->slot);
    free(m->line);
    free(m->row);
    free(m->narrow);
    free(m->plane);
    rad_prepared_release(&m->out);
}

void rad_prepared_release(rad_prepared *p) {
    free(p->data);
    free(p->slice);
    free(p->stored_slice);
    free(p->box);
    free(p->mismatch_mm);
    *p = (rad_prepared){0};
}

bool rad_prepare_wants_mask(const rad_input_spec *s) {
    if (s->region.from == RAD_REGION_WHOLE)
        return !s->volume.on && (s->slices == RAD_SLICES_LESION_CENTRE || s->slices == RAD_SLICES_LESION_ALL);
    return s->region.from == RAD_REGION_AUTO || s->region.from == RAD_REGION_MASK;
}

bool rad_prepare_sample_shape(const rad_input_spec *spec, int64_t ret_dim[RAD_SAMPLE_DIMS]) {
    const int64_t *d = spec->volume.size;
    bool open = spec->resize.method == RAD_RESIZE_NONE && !spec->volume.on;
    const int64_t flat[RAD_SAMPLE_DIMS] = {spec->n_plane, open ? -1 : spec->resize.height, open ? -1 : spec->resize.width},
                  deep[RAD_SAMPLE_DIMS] = {spec->n_plane, d[0], d[1], d[2]};
    memcpy(ret_dim, spec->volume.on ? deep : flat, sizeof flat);
    return !open;
}

void rad_prepared_sample_shape(const rad_prepared *p, int64_t ret_dim[RAD_SAMPLE_DIMS]) {
    const int64_t flat[RAD_SAMPLE_DIMS] = {p->n_plane, p->height, p->width},
                  deep[RAD_SAMPLE_DIMS] = {p->n_plane, p->depth, p->height, p->width};
    memcpy(ret_dim, p->depth > 0 ? deep : flat, sizeof flat);
}

rad_status rad_prepare_check_spec(const rad_input_spec *s, rad_error *err) {
    int64_t planes = 0;
    for (int c = 0; c < s->n_channel; c++)
        planes += s->channel[c].n_offset;
    if (s->n_channel < 1 || s->n_channel > RAD_MAX_CHANNELS || planes != s->n_plane || planes < 1 || planes > RAD_MAX_PLANES)
        return rad_error_set(err, RAD_E_CONFIG, "input '%s' has %d channel entries and %d planes", s->name, s->n_channel, s->n_plane);
    if (s->window.on && !(s->window.high > s->window.low))
        return rad_error_set(err, RAD_E_CONFIG, "input '%s': window from %g to %g is empty", s->name, s->window.low, s->window.high);
    if (s->region.drawn_on < 0 || s->region.drawn_on >= s->n_channel)
        return rad_error_set(err, RAD_E_CONFIG, "input '%s': lesions drawn on channel entry %d of %d", s->name, s->region.drawn_on,
                             s->n_channel);
    if (s->normalise.n != 0 && s->normalise.n != 1 && s->normalise.n != s->n_plane)
        return rad_error_set(err, RAD_E_CONFIG, "input '%s': %d means for %d planes", s->name, s->normalise.n, s->n_plane);
    if (s->resize.method != RAD_RESIZE_NONE && (s->resize.height < 1 || s->resize.width < 1))
        return rad_error_set(err, RAD_E_CONFIG, "input '%s': resize to %" PRId64 "x%" PRId64, s->name, s->resize.height, s->resize.width);
    for (int a = 0; s->volume.on && a < 3; a++)
        if (s->volume.size[a] < 1 || s->volume.size[a] > RAD_MAX_SIDE || !(s->volume.spacing_mm[a] > 0) || planes != s->n_channel)
            return rad_error_set(err, RAD_E_CONFIG, "input '%s': a volume of %" PRId64 " samples %g mm apart", s->name, s->volume.size[a],
                                 s->volume.spacing_mm[a]);
    return RAD_OK;
}

rad_status rad_channels_make(const rad_input_spec *spec, const rad_volume *const *volume, rad_channel_view *ret, rad_error *err) {
    int on = spec->region.drawn_on;
    if (!volume[0] || !volume[on])
        return rad_error_set(err, RAD_E_CONFIG, "input '%s': no image of sequence '%s', in whose voxels the others are placed", spec->name,
                             spec->channel[volume[0] ? on : 0].sequence);
    rad_status st = rad_channel_make(spec, 0, volume[0], NULL, &ret[0], err);
    for (int c = 1; st == RAD_OK && c < spec->n_channel; c++)
        st = rad_channel_make(spec, c, volume[c], &ret[0].view, &ret[c], err);
    return st;
}

rad_status rad_prepared_begin(const rad_input_spec *s, const rad_view *ref, const rad_cut *cut, rad_prepared *p, int64_t **ret_slot,
                              rad_error *err) {
    int64_t w = cut->box[2] - cut->box[0], h = cut->box[3] - cut->box[1], nz = ref->dim[2];
    p->n_slice = cut->n_slice;
    p->n_plane = s->n_plane;
    p->width = s->resize.method == RAD_RESIZE_NONE ? w : s->resize.width;
    p->height = s->resize.method == RAD_RESIZE_NONE ? h : s->resize.height;
    size_t pixels = 0, sample = 0, all = 0;
    if (w > RAD_MAX_REGION || h > RAD_MAX_REGION)
        return rad_error_set(err, RAD_E_LIMIT, "region of %" PRId64 "x%" PRId64 " pixels; the limit is %d (RAD_MAX_REGION)", w, h,
                             RAD_MAX_REGION);
    if (!rad_mul_size((size_t)p->width, (size_t)p->height, &pixels) || !rad_mul_size(pixels, (size_t)p->n_plane * sizeof(float), &sample) ||
        !rad_mul_size(sample, (size_t)p->n_slice, &all) || all > RAD_MAX_PREPARED_BYTES)
        return rad_error_set(err, RAD_E_LIMIT,
                             "%" PRId64 " samples of %" PRId64 "x%" PRId64 "x%" PRId64
                             " pass %zu bytes (RAD_MAX_PREPARED_BYTES); resize, or score fewer slices",
                             p->n_slice, p->n_plane, p->height, p->width, RAD_MAX_PREPARED_BYTES);
    p->slice = rad_calloc((size_t)p->n_slice, sizeof *p->slice);
    p->stored_slice = rad_calloc((size_t)p->n_slice, sizeof *p->stored_slice);
    p->box = rad_calloc((size_t)p->n_slice, sizeof *p->box);
    p->mismatch_mm = rad_calloc((size_t)p->n_slice, sizeof *p->mismatch_mm);
    int64_t *slot = *ret_slot = rad_calloc((size_t)nz, sizeof *slot);
    if (!p->slice || !p->stored_slice || !p->box || !p->mismatch_mm || !slot)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %" PRId64 " prepared slices", p->n_slice);
    for (int64_t z = 0; z < nz; z++)
        slot[z] = -1;
    p->stored_axis = ref->axis[2];
    for (int64_t i = 0; i < p->n_slice; i++) {
        int64_t z = cut->slice[i];
        slot[z] = i;
        p->slice[i] = z;
        p->stored_slice[i] = ref->flip[2] ? nz - 1 - z : z;
        memcpy(p->box[i], cut->box, sizeof p->box[i]);
    }
    return RAD_OK;
}

/* Memory for the pixels, and filters. */
static rad_status make_room(maker *m, rad_error *err) {
    const rad_resize_spec *resize = &m->spec->resize;
    rad_prepared *p = &m->out;
    rad_status st = rad_prepared_begin(m->spec, &m->channel[0].view, &m->cut, p, &m->slot, err);
    if (st != RAD_OK)
        return st;
    int64_t w = m->cut.box[2] - m->cut.box[0], h = m->cut.box[3] - m->cut.box[1];
    size_t pixels = (size_t)(p->width * p->height), narrow = 0;
    st = rad_filter_make(resize->method, resize->antialias, w, p->width, &m->fx, err);
    if (st == RAD_OK)
        st = rad_filter_make(resize->method, resize->antialias, h, p->height, &m->fy, err);
    if (st != RAD_OK)
        return st;
    p->data = rad_aligned((size_t)(p->n_slice * p->n_plane) * pixels * sizeof *p->data);
    m->used = rad_calloc((size_t)h, sizeof *m->used);
    m->line = rad_calloc((size_t)w, sizeof *m->line);
    m->row = rad_calloc((size_t)w, sizeof *m->row);
    m->narrow = rad_mul_size((size_t)h, (size_t)p->width, &narrow) ? rad_calloc(narrow, sizeof *m->narrow) : NULL;
    m->plane = rad_calloc(pixels, sizeof *m->plane);
    if (!p->data || !m->used || !m->line || !m->row || !m->narrow || !m->plane)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %" PRId64 " prepared slices", p->n_slice);
    for (int64_t i = 0; i < m->fy.out; i++)
        for (int64_t j = 0; j < m->fy.count[i]; j++)
            m->used[m->fy.start[i] + j] = true;
    return RAD_OK;
}

/* Whole numbers, and no scaling that makes one of them infinite. */
static bool always_finite(const rad_channel_view *c) {
    static const double LAST[] = {
        [RAD_VOX_U8] = UINT8_MAX,   [RAD_VOX_I8] = INT8_MAX,   [RAD_VOX_U16] = UINT16_MAX, [RAD_VOX_I16] = INT16_MAX,
        [RAD_VOX_U32] = UINT32_MAX, [RAD_VOX_I32] = INT32_MAX, [RAD_VOX_U64] = 0x1p64,     [RAD_VOX_I64] = 0x1p63,
        [RAD_VOX_F32] = INFINITY,   [RAD_VOX_F64] = INFINITY,  [RAD_VOX_RGB24] = 0};
    const rad_image_info *info = &c->view.volume->info;
    return fabs(info->slope) * (LAST[info->type] + 1) + fabs(info->inter) < (double)FLT_MAX / 2;
}

static rad_status not_finite(const rad_channel_view *c, int64_t x, int64_t y, int64_t z, rad_error *err) {
    return rad_error_set(err, RAD_E_NONFINITE,
                         "image of sequence '%s' has NaN or Inf at reoriented voxel (%" PRId64 ", %" PRId64 ", %" PRId64
                         "), inside the region%s",
                         c->sequence, x, y, z, c->link.same ? "" : " (voxel of the first entry's image)");
}

/* Row y of slice z of the region, toned and padded, into m->row. */
static rad_status read_row(maker *m, const rad_channel_view *c, int64_t z, int64_t y, int64_t matched, rad_error *err) {
    const rad_view *ref = &m->channel[0].view;
    int64_t x0 = m->cut.box[0], x1 = m->cut.box[2], from = x0 > ref->low[0] ? x0 : ref->low[0], to = x1 < ref->high[0] ? x1 : ref->high[0];
    int64_t n = to - from, bad = -1;
    double *row = m->row + (from - x0), w[3];
    bool zero = m->spec->edge == RAD_EDGE_ZERO;
    if (c->link.same) {
        rad_channel_row(c, from, y, z, n, m->line);
        if (!rad_tone_row(&c->tone, m->line, n, row, &bad))
            return not_finite(c, from + bad, y, z, err);
    } else {
        for (int64_t i = 0; i < n; i++) {
            rad_map_point(c->link.to, (const double[3]){(double)(from + i), (double)y, (double)z}, w);
            if (m->spec->match.nearest)
                w[2] = (double)matched;
            row[i] = rad_patch_value(&m->patch, c, w, zero, false);
            if (!isfinite(row[i]))
                return not_finite(c, from + i, y, z, err);
        }
    }
    double black = rad_tone_black(&c->tone);
    for (int64_t x = x0; x < from; x++)
        m->row[x - x0] = zero ? black : row[0];
    for (int64_t x = to; x < x1; x++)
        m->row[x - x0] = zero ? black : row[n - 1];
    return RAD_OK;
}

/* As read_row of a row whose values count for nothing but that they are finite. */
static rad_status check_row(maker *m, const rad_channel_view *c, int64_t z, int64_t y, int64_t matched, bool finite, rad_error *err) {
    if (finite || (c->link.same && c->tone.replace))
        return RAD_OK;
    return read_row(m, c, z, y, matched, err);
}

/* Slice z of one image: cut, toned and resized, into m->plane; *ret_mm: how far the image's own slice is. */
static rad_status make_plane(maker *m, const rad_channel_view *c, int64_t z, double *ret_mm, rad_error *err) {
    const rad_view *ref = &m->channel[0].view;
    int64_t y0 = m->cut.box[1], h = m->cut.box[3] - y0, w = m->out.width, matched = z;
    const bool finite = always_finite(c);
    rad_status st = RAD_OK;
    *ret_mm = 0;
    if (!c->link.same) {
        st = rad_match_slice(m->spec, ref, c, m->cut.box, z, &matched, ret_mm, err);
        if (st == RAD_OK)
            st = rad_patch_read(m->spec, ref, c, m->cut.box, z, matched, &m->patch, err);
    }
    for (int64_t r = 0; r < h && st == RAD_OK; r++) {
        int64_t y = y0 + r, inside = y < ref->low[1] ? ref->low[1] : y >= ref->high[1] ? ref->high[1] - 1 : y;
        double *to = m->narrow + r * w;
        if (y != inside && m->spec->edge == RAD_EDGE_ZERO) {
            for (int64_t x = 0; x < w; x++)
                to[x] = rad_tone_black(&c->tone);
            continue;
        }
        st = m->used[r] ? read_row(m, c, z, inside, matched, err) : check_row(m, c, z, inside, matched, finite, err);
        if (st == RAD_OK && m->used[r])
            rad_filter_row(&m->fx, m->row, to);
    }
    if (st == RAD_OK)
        rad_filter_columns(&m->fy, m->narrow, w, m->plane);
    return st;
}

/* m->plane (or, for NULL, `black` everywhere), normalised, as plane `p` of sample `i`. */
static void put_plane(maker *m, const double *plane, double black, int64_t i, int64_t p) {
    const rad_normalise_spec *norm = &m->spec->normalise;
    int64_t pixels = m->out.height * m->out.width;
    float *to = m->out.data + (i * m->out.n_plane + p) * pixels;
    double mean = 0, std = 1;
    if (norm->n > 0) {
        mean = norm->mean[norm->n == 1 ? 0 : p];
        std = norm->std[norm->n == 1 ? 0 : p];
    }
    for (int64_t k = 0; k < pixels; k++)
        to[k] = (float)(((plane ? plane[k] : black) - mean) / std);
}

/* All planes that show slice z of channel c, `mm` away in its own image. With `write` false only tells whether there is one. */
static bool each_use(maker *m, int c, int64_t first_plane, int64_t z, double mm, bool write) {
    const rad_channel_spec *ch = &m->spec->channel[c];
    int64_t nz = m->channel[0].view.dim[2];
    bool used = false, replicate = m->spec->edge == RAD_EDGE_REPLICATE;
    for (int o = 0; o < ch->n_offset; o++) {
        int64_t from = z - ch->offset[o], to = from; /* scored slices whose plane o this is: one, and at the ends those that reach beyond */
        if (replicate && z == 0)
            from = 0;
        if (replicate && z == nz - 1)
            to = nz - 1;
        for (int64_t k = from < 0 ? 0 : from; k <= to && k < nz; k++) {
            if (m->slot[k] < 0)
                continue;
            used = true;
            if (!write)
                continue;
            put_plane(m, m->plane, 0, m->slot[k], first_plane + o);
            m->out.mismatch_mm[m->slot[k]] = fmax(m->out.mismatch_mm[m->slot[k]], mm);
        }
    }
    return used;
}

static rad_status fill_channel(maker *m, int c, int64_t first_plane, rad_error *err) {
    const rad_channel_spec *ch = &m->spec->channel[c];
    int64_t nz = m->channel[0].view.dim[2];
    bool missing = !m->channel[c].view.volume;
    rad_status st = missing ? RAD_OK : rad_tone_make(m->spec, ch, &m->channel[c], &m->channel[0].view, &m->cut, m->slot, err);
    for (int64_t z = 0; z < nz && st == RAD_OK && !missing; z++) {
        double mm;
        if (!each_use(m, c, first_plane, z, 0, false))
            continue;
        st = make_plane(m, &m->channel[c], z, &mm, err);
        if (st == RAD_OK)
            each_use(m, c, first_plane, z, mm, true);
    }
    double black = missing ? 0 : rad_tone_black(&m->channel[c].tone);
    for (int64_t i = 0; i < m->out.n_slice && st == RAD_OK; i++)
        for (int o = 0; o < ch->n_offset; o++) {
            int64_t z = m->cut.slice[i] + ch->offset[o];
            if (missing || (m->spec->edge == RAD_EDGE_ZERO && (z < 0 || z >= nz)))
                put_plane(m, NULL, black, i, first_plane + o);
        }
    return st;
}

rad_status rad_prepare_case(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, rad_prepared *ret,
                            rad_error *err) {
    int64_t first_plane = 0;
    rad_status st = rad_prepare_check_spec(spec, err);
    if (st != RAD_OK)
        return st;
    maker *m = rad_calloc(1, sizeof *m);
    if (!m)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to prepare input '%s'", spec->name);
    m->spec = spec;
    RAD_TRY(rad_channels_make(spec, volume, m->channel, err));
    RAD_TRY(rad_cut_make(spec, &m->channel[0].view, &m->channel[spec->region.drawn_on], roi, &m->cut, err));
    if (spec->volume.on) {
        RAD_TRY(rad_volume_sample(spec, m->channel, &m->cut, ret, err));
        goto out;
    }
    RAD_TRY(make_room(m, err));
    for (int c = 0; c < spec->n_channel; c++) {
        RAD_TRY(fill_channel(m, c, first_plane, err));
        first_plane += spec->channel[c].n_offset;
    }
    *ret = m->out;
    m->out = (rad_prepared){0};
out:
    maker_release(m);
    free(m);
    return st;
}
