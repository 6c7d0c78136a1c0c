/* volume.c: one 3-D sample [C, D, H, W] per case: a box of samples around a centre, taken from every channel entry's image by position.
 *
 * Grid. Sample (x, y, z), z = 0 .. D - 1, y = 0 .. H - 1, x = 0 .. W - 1, lies at p_t = c_t + (t - (n_t - 1) / 2) step_t in voxels of the
 * reoriented reference, with n = (W, H, D), step_t = spacing_mm[t] / s_t, s_t the distance of neighbouring voxel centres along axis t and c
 * the centre (region.c). The box keeps the reference's axes: an oblique image gives an oblique box. An image on another grid is sampled at
 * w = to p, to the map of the two affines (resample.c); one on the reference's grid at w = p. Nothing is sampled twice: no image is first
 * resampled onto the reference.
 *
 * Value. After padding, window and z-score: trilinear at w, axis by axis, x first, or with `interpolation: nearest` of the voxel nearest to
 * w, along each axis ceil(w - 1/2 - 1e-6). Edges as in resample.c: more than half a voxel (+ 1e-6) beyond the first or last centre of the
 * image (of what the crop leaves) is 0 after the window for `edge: zero`, else, and within that half voxel always, the nearest position
 * inside counts. Voxels of weight 0 are not looked at; NaN and Inf of any other excludes the case.
 *
 * Antialias. Along each axis t of the reoriented image, f = spacing_mm[t] / its own voxel distance; where f > 1 the toned image is first
 * convolved with a Gaussian of sigma = (f - 1) / 2 voxels, cut off at trunc(4 sigma + 1/2) voxels and divided by its sum, the image (inside
 * the crop) continued by its last voxels; x, then y, then z. That is what scikit-image's resize(anti_aliasing=True) does before it samples.
 * Not for `interpolation: nearest`.
 *
 * Match. Every image must hold the centre (within half a voxel + 1e-6 of its first and last centres, inside the crop); its distance to the
 * image's nearest slice, along the slices' normal, is recorded and may not pass a declared tolerance (+ 0.001 mm).
 *
 * In double, rounded once to float32. Images are read plane by plane of the sample: memory does not grow with the image.
 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INSIDE_SLACK 1e-6 /* voxels */
#define MATCH_SLACK 0.001 /* mm: rounding of float32 affines */
#define MAX_RADIUS 4096   /* voxels of the Gaussian to either side */

typedef struct sampler {
    const rad_input_spec *spec;
    const rad_cut *cut;
    const rad_channel_view *c;
    int64_t radius[3]; /* of the Gaussian; 0: none */
    double *weight[3]; /* [2 radius + 1] */
    double *line;      /* one line of a patch */
    int64_t line_room;
    rad_patch patch;
} sampler;

static void sampler_release(sampler *s) {
    for (int a = 0; a < 3; a++)
        free(s->weight[a]);
    free(s->line);
    rad_patch_release(&s->patch);
}

/* First and last voxel of the image that count along an axis. */
static void bounds(const rad_view *v, int a, int64_t *first, int64_t *last) {
    *first = a < 2 ? v->low[a] : 0;
    *last = (a < 2 ? v->high[a] : v->dim[a]) - 1;
}

rad_status rad_volume_match(const rad_input_spec *spec, const rad_view *ref, const rad_channel_view *c, const double centre[3],
                            double *ret_mm, rad_error *err) {
    double w[3], beyond = 0;
    rad_map_point(c->link.to, centre, w);
    for (int a = 0; a < 3; a++) {
        int64_t first, last;
        bounds(&c->view, a, &first, &last);
        double out = fmax((double)first - w[a], w[a] - (double)last) - 0.5 - INSIDE_SLACK;
        beyond = fmax(beyond, out > 0 ? (out + 0.5) * c->view.spacing[a] : 0);
    }
    if (beyond > 0)
        return rad_error_set(
            err, RAD_E_SHAPE,
            "the centre of the volume, voxel (%.2f, %.2f, %.2f) of sequence '%s' (reoriented), lies %.2f mm outside the image of "
            "sequence '%s'",
            centre[0], centre[1], centre[2], spec->channel[0].sequence, beyond, c->sequence);
    double j = fmin(fmax(rad_nearest(w[2]), 0), (double)(c->view.dim[2] - 1));
    *ret_mm = c->link.same ? 0 : fabs(w[2] - j) * c->link.slice_mm;
    if (spec->match.has_tolerance && *ret_mm > spec->match.tolerance_mm + MATCH_SLACK)
        return rad_error_set(
            err, RAD_E_SHAPE,
            "nearest slice of sequence '%s' lies %.2f mm from the centre of the volume, the tolerance is %.2f mm; the images' "
            "slice distances are %.2f and %.2f mm: correct the images, or set match.tolerance_mm",
            c->sequence, *ret_mm, spec->match.tolerance_mm, c->link.slice_mm, rad_view_slice_distance(ref));
    return RAD_OK;
}

/* ---------------------------------------------------------------- antialias */

static rad_status make_gaussian(sampler *s, int a, rad_error *err) {
    double factor = s->spec->volume.spacing_mm[a] / s->c->view.spacing[a], sigma = (factor - 1) / 2, sum = 0;
    if (!(sigma > 0))
        return RAD_OK;
    if (4 * sigma > MAX_RADIUS)
        return rad_error_set(err, RAD_E_LIMIT, "samples %g mm apart of an image of %g mm voxels: a filter of more than %d voxels",
                             s->spec->volume.spacing_mm[a], s->c->view.spacing[a], MAX_RADIUS);
    int64_t r = (int64_t)(4 * sigma + 0.5);
    double *w = rad_calloc((size_t)(2 * r + 1), sizeof *w);
    if (!w)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a filter");
    for (int64_t k = -r; k <= r; k++) {
        w[k + r] = exp(-0.5 * (double)(k * k) / (sigma * sigma));
        sum += w[k + r];
    }
    for (int64_t k = 0; k <= 2 * r; k++)
        w[k] /= sum;
    s->radius[a] = r;
    s->weight[a] = w;
    return RAD_OK;
}

/* Convolves the patch along axis `a` and keeps voxels from .. from + n - 1 of it, in place. */
static void filter_axis(sampler *s, int a, int64_t from, int64_t n) {
    rad_patch *p = &s->patch;
    int64_t first, last, old = p->n[a], r = s->radius[a], stride = a == 0 ? 1 : a == 1 ? p->n[0] : p->n[0] * p->n[1];
    int64_t inner = stride, outer = a == 0 ? p->n[1] * p->n[2] : a == 1 ? p->n[2] : 1, shift = from - p->from[a];
    const double *w = s->weight[a];
    bounds(&s->c->view, a, &first, &last);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const double *in = p->value + o * old * stride + i;
            double *out = p->value + o * n * stride + i; /* behind `in`: n <= old, and what it overwrites has been read */
            for (int64_t k = 0; k < old; k++)
                s->line[k] = in[k * stride];
            for (int64_t k = 0; k < n; k++) {
                double sum = 0;
                for (int64_t t = -r; t <= r && w; t++) {
                    int64_t at = from + k + t;
                    at = at < first ? first : at > last ? last : at;
                    sum += w[t + r] * s->line[at - p->from[a]];
                }
                out[k * stride] = w ? sum : s->line[k + shift];
            }
        }
    p->from[a] = from;
    p->n[a] = n;
}

/* ---------------------------------------------------------------- one plane of the sample */

static void position(const rad_cut *cut, const int64_t size[3], int64_t x, int64_t y, int64_t z, double ret[3]) {
    const int64_t at[3] = {x, y, z};
    for (int a = 0; a < 3; a++)
        ret[a] = cut->centre[a] + ((double)at[a] - (double)(size[2 - a] - 1) / 2) * cut->step[a];
}

/* The voxels that plane `z` of the sample needs, filtered. */
static rad_status read_patch(sampler *s, int64_t z, rad_error *err) {
    const int64_t *size = s->spec->volume.size;
    int64_t from[3], n[3];
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (int corner = 0; corner < 4; corner++) {
        double p[3], w[3];
        position(s->cut, size, corner & 1 ? size[2] - 1 : 0, corner & 2 ? size[1] - 1 : 0, z, p);
        rad_map_point(s->c->link.to, p, w);
        for (int a = 0; a < 3; a++) {
            low[a] = fmin(low[a], w[a]);
            high[a] = fmax(high[a], w[a]);
        }
    }
    bool filtered = false;
    for (int a = 0; a < 3; a++) {
        int64_t first, last;
        bounds(&s->c->view, a, &first, &last);
        /* a voxel more on either side than the corners need: samples between them are rounded on their own */
        from[a] = (int64_t)fmin(fmax(floor(low[a]) - 1, (double)first), (double)last);
        n[a] = (int64_t)fmin(fmax(floor(high[a]) + 2, (double)first), (double)last) - from[a] + 1;
        int64_t begin = from[a] - s->radius[a], end = from[a] + n[a] - 1 + s->radius[a];
        begin = begin < first ? first : begin;
        end = end > last ? last : end;
        s->patch.from[a] = begin;
        s->patch.n[a] = end - begin + 1;
        filtered = filtered || s->radius[a] > 0;
    }
    rad_status st = rad_patch_fill(s->c, &s->patch, err);
    for (int a = 0; a < 3 && st == RAD_OK && filtered; a++) {
        if (s->patch.n[a] > s->line_room) {
            free(s->line);
            s->line = rad_calloc((size_t)s->patch.n[a], sizeof *s->line);
            s->line_room = s->line ? s->patch.n[a] : 0;
        }
        if (!s->line)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for a filter");
        filter_axis(s, a, from[a], n[a]);
    }
    return st;
}

static rad_status fill_plane(sampler *s, int64_t z, double mean, double std, bool nearest, float *out, rad_error *err) {
    const int64_t *size = s->spec->volume.size;
    bool zero = s->spec->edge == RAD_EDGE_ZERO;
    rad_status st = read_patch(s, z, err);
    for (int64_t y = 0; y < size[1] && st == RAD_OK; y++)
        for (int64_t x = 0; x < size[2]; x++) {
            double p[3], w[3];
            position(s->cut, size, x, y, z, p);
            rad_map_point(s->c->link.to, p, w);
            double v = rad_patch_value(&s->patch, s->c, w, zero, nearest);
            if (!isfinite(v))
                return rad_error_set(err, RAD_E_NONFINITE,
                                     "image of sequence '%s' has NaN or Inf near reoriented voxel (%.1f, %.1f, %.1f), inside the volume",
                                     s->c->sequence, w[0], w[1], w[2]);
            out[y * size[2] + x] = (float)((v - mean) / std);
        }
    return st;
}

/* ---------------------------------------------------------------- all channels */

static rad_status fill_channel(sampler *s, int c, rad_channel_view *view, rad_prepared *p, rad_error *err) {
    const rad_normalise_spec *norm = &s->spec->normalise;
    int64_t plane = p->height * p->width;
    float *out = p->data + c * p->depth * plane;
    double mean = norm->n > 0 ? norm->mean[norm->n == 1 ? 0 : c] : 0, std = norm->n > 0 ? norm->std[norm->n == 1 ? 0 : c] : 1;
    bool nearest = s->spec->channel[c].nearest;
    rad_status st = RAD_OK;
    s->c = view;
    if (!view->view.volume) { /* missing, and the job says zeros */
        for (int64_t i = 0; i < p->depth * plane; i++)
            out[i] = (float)((0 - mean) / std);
        return RAD_OK;
    }
    for (int a = 0; a < 3; a++) {
        s->radius[a] = 0;
        free(s->weight[a]);
        s->weight[a] = NULL;
        if (st == RAD_OK && s->spec->volume.antialias && !nearest)
            st = make_gaussian(s, a, err);
    }
    for (int64_t z = 0; z < p->depth && st == RAD_OK; z++)
        st = fill_plane(s, z, mean, std, nearest, out + z * plane, err);
    return st;
}

/* Sizes, limits, memory, and what is recorded of the slice that stands for the sample. */
static rad_status make_room(const rad_input_spec *spec, const rad_view *ref, const rad_cut *cut, rad_prepared *p, rad_error *err) {
    const int64_t *size = spec->volume.size;
    size_t bytes = sizeof *p->data;
    p->n_slice = 1;
    p->n_plane = spec->n_plane;
    p->depth = size[0];
    p->height = size[1];
    p->width = size[2];
    if (size[0] > 1 && ref->dim[2] == 1)
        return rad_error_set(err, RAD_E_SHAPE,
                             "image of sequence '%s' is a single slice, the input wants a volume of %" PRId64 " (D) samples",
                             spec->channel[0].sequence, size[0]);
    bool fits = rad_mul_size(bytes, (size_t)p->n_plane, &bytes);
    for (int a = 0; a < 3; a++)
        fits = fits && rad_mul_size(bytes, (size_t)size[a], &bytes);
    if (!fits || bytes > RAD_MAX_SAMPLE_BYTES)
        return rad_error_set(err, RAD_E_LIMIT,
                             "a volume of %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 " passes %zu bytes (RAD_MAX_SAMPLE_BYTES)",
                             p->n_plane, p->depth, p->height, p->width, RAD_MAX_SAMPLE_BYTES);
    p->data = rad_aligned(bytes);
    p->slice = rad_calloc(1, sizeof *p->slice);
    p->stored_slice = rad_calloc(1, sizeof *p->stored_slice);
    p->box = rad_calloc(1, sizeof *p->box);
    p->mismatch_mm = rad_calloc(1, sizeof *p->mismatch_mm);
    if (!p->data || !p->slice || !p->stored_slice || !p->box || !p->mismatch_mm)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a prepared volume");
    p->stored_axis = ref->axis[2];
    p->slice[0] = cut->slice[0];
    p->stored_slice[0] = ref->flip[2] ? ref->dim[2] - 1 - cut->slice[0] : cut->slice[0];
    for (int i = 0; i < 4; i++)
        p->box[0][i] = cut->box[i];
    memcpy(p->border[0], cut->low, sizeof cut->low);
    memcpy(p->border[1], cut->high, sizeof cut->high);
    return RAD_OK;
}

rad_status rad_volume_sample(const rad_input_spec *spec, rad_channel_view *channel, const rad_cut *cut, rad_prepared *ret, rad_error *err) {
    sampler s = {.spec = spec, .cut = cut};
    rad_prepared p = {0};
    const rad_view *ref = &channel[0].view;
    rad_status st = make_room(spec, ref, cut, &p, err);
    for (int c = 0; c < spec->n_channel && st == RAD_OK; c++) {
        double mm = 0;
        if (channel[c].view.volume) {
            st = rad_volume_match(spec, ref, &channel[c], cut->centre, &mm, err);
            if (st == RAD_OK)
                st = rad_tone_make(spec, &spec->channel[c], &channel[c], ref, cut, NULL, err);
        }
        p.mismatch_mm[0] = fmax(p.mismatch_mm[0], mm);
        if (st == RAD_OK)
            st = fill_channel(&s, c, &channel[c], &p, err);
    }
    sampler_release(&s);
    if (st == RAD_OK)
        *ret = p;
    else
        rad_prepared_release(&p);
    return st;
}
