/* intensity.c: what becomes of a voxel's value before it is cut, resampled or resized.
 *
 * Values are float32(slope * stored + inter), or one component of a colour voxel.
 *
 * padding     a voxel whose value equals float32(padding) lies outside the field of view: it becomes 0 of the window (its low end) and is
 *             left out of all statistics.
 * nonfinite   NaN and Inf become float32 of the declared number; they are left out of all statistics either way. Without a declared number
 *             they stay, and the pixel they reach excludes the case.
 * window      v = (value - low) / (high - low), below 0 to 0, above 1 to 1. Ends from percentiles p: with the n values of the scope in
 *             ascending order, h = p / 100 * (n - 1), a = value[floor h], b = value[floor h + 1], t = h - floor h: a + t (b - a) for
 *             t < 1/2, else b - (1 - t) (b - a) (numpy's "linear"). high = low (a constant image): v = 0.
 * z-score     after the window: (v - mean) / sd, both over the scope's values after the window, padding left out; sd with n in the
 *             denominator; sd = 0: only the mean is subtracted.
 *
 * Scope: all voxels of the image inside the declared crop (frame 0 of a 4-D image), those of them that are not 0, or those in the region
 * of the scored slices (of a volume: voxels whose centre, carried to the reference, lies in it, low borders included): voxels whose centre
 * is nearest to a pixel of the region in a scored slice (nearest to v: ceil(v - 1/2 - 1e-6)). The sums run over ascending x, y, z of the
 * reoriented image.
 *
 * The order statistics are exact: floats are ordered as 32-bit keys and found by counting, first the upper, then the lower half. Of a whole
 * image of 8 or 16 bits the stored numbers are counted instead, once and in the order they lie in: a scaling keeps or reverses their order.
 */
#include "internal.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF 65536
#define BORDER_SLACK 1e-6 /* voxels: a centre on the border of a volume is inside on the low side */

/* Called with the values of a row that count; n > 0. */
typedef void take_values(void *context, const float *v, int64_t n);

typedef struct scope {
    const rad_channel_view *c;
    rad_over over;
    const rad_cut *cut;
    const int64_t *slot; /* [slices of the reference] -1: not scored */
    const rad_view *ref;
    float *row;
} scope;

void rad_channel_row(const rad_channel_view *c, int64_t x, int64_t y, int64_t z, int64_t n, float *out) {
    const rad_view *v = &c->view;
    int64_t first = v->first + x * v->step[0] + y * v->step[1] + z * v->step[2];
    if (c->component == RAD_COMPONENT_LUMA)
        rad_volume_get(v->volume, first, v->step[0], n, out);
    else
        rad_volume_get_component(v->volume, (int)c->component - (int)RAD_COMPONENT_R, first, v->step[0], n, out);
}

/* Is voxel (x, y, z) of the image in the region of a scored slice? */
static bool in_region(const scope *s, int64_t x, int64_t y, int64_t z) {
    double at[3] = {(double)x, (double)y, (double)z}, p[3];
    if (s->c->link.same) {
        memcpy(p, at, sizeof p);
    } else {
        rad_map_point(s->c->link.back, at, p);
    }
    if (s->cut->step[0] > 0) {
        bool in = true;
        for (int a = 0; a < 3; a++)
            in = in && p[a] >= s->cut->low[a] - BORDER_SLACK && p[a] < s->cut->high[a] - BORDER_SLACK;
        return in;
    }
    double px = rad_nearest(p[0]), py = rad_nearest(p[1]), pz = rad_nearest(p[2]);
    return px >= (double)s->cut->box[0] && px < (double)s->cut->box[2] && py >= (double)s->cut->box[1] && py < (double)s->cut->box[3] &&
           pz >= 0 && pz < (double)s->ref->dim[2] && s->slot[(int64_t)pz] >= 0;
}

/* Visits the values of the scope in order. */
static void visit(const scope *s, take_values *take, void *context) {
    const rad_view *v = &s->c->view;
    const rad_tone *t = &s->c->tone;
    int64_t lo[3] = {v->low[0], v->low[1], 0}, hi[3] = {v->high[0], v->high[1], v->dim[2]};
    bool cube = s->cut->step[0] > 0;
    if (s->over == RAD_OVER_REGION && s->c->link.same && !cube) /* the only part where anything can be */
        for (int a = 0; a < 2; a++) {
            lo[a] = s->cut->box[a] > lo[a] ? s->cut->box[a] : lo[a];
            hi[a] = s->cut->box[a + 2] < hi[a] ? s->cut->box[a + 2] : hi[a];
        }
    for (int64_t z = lo[2]; z < hi[2]; z++) {
        if (s->over == RAD_OVER_REGION && s->c->link.same && !cube && s->slot[z] < 0)
            continue;
        for (int64_t y = lo[1]; y < hi[1] && lo[0] < hi[0]; y++) {
            int64_t n = hi[0] - lo[0], kept = 0;
            rad_channel_row(s->c, lo[0], y, z, n, s->row);
            for (int64_t i = 0; i < n; i++) {
                float x = s->row[i];
                bool count = fabsf(x) <= FLT_MAX && !(t->has_padding && x == t->padding) && !(s->over == RAD_OVER_NONZERO && x == 0);
                if (count && s->over == RAD_OVER_REGION && (cube || !s->c->link.same))
                    count = in_region(s, lo[0] + i, y, z);
                s->row[kept] = x;
                kept += count;
            }
            if (kept > 0)
                take(context, s->row, kept);
        }
    }
}

/* ---------------------------------------------------------------- percentiles */

typedef struct counter {
    uint64_t *count; /* [HALF] of upper halves, then [4][HALF] of lower halves under upper[k] */
    uint64_t n;
    uint32_t upper[4];
    int n_upper;
} counter;

static uint32_t key_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static float value_of(uint32_t key) {
    uint32_t u = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static void count_upper(void *context, const float *v, int64_t n) {
    counter *k = context;
    for (int64_t i = 0; i < n; i++)
        k->count[key_of(v[i]) >> 16]++;
    k->n += (uint64_t)n;
}

static void count_lower(void *context, const float *v, int64_t n) {
    counter *k = context;
    for (int64_t i = 0; i < n; i++) {
        uint32_t key = key_of(v[i]);
        for (int u = 0; u < k->n_upper; u++)
            if (key >> 16 == k->upper[u])
                k->count[(size_t)(u + 1) * HALF + (key & 0xffffu)]++;
    }
}

/* Position of the value of `rank` in a histogram; *rank becomes the rank within that bin. */
static uint32_t find_bin(const uint64_t *count, uint64_t *rank) {
    uint32_t b = 0;
    while (*rank >= count[b])
        *rank -= count[b++];
    return b;
}

static rad_status no_values(const scope *s, rad_error *err) {
    static const char *const name[] = {"volume", "nonzero", "region"};
    return rad_error_set(err, RAD_E_REGION,
                         "image of sequence '%s' has no voxel to take intensities from (over: %s, without padding, NaN and Inf)",
                         s->c->sequence, name[s->over]);
}

/* numpy's "linear" between the two values around each position h. */
static void between(const double h[2], const double value[4], double ret[2]) {
    for (int e = 0; e < 2; e++) {
        double a = value[2 * e], b = value[2 * e + 1], t = h[e] - floor(h[e]);
        ret[e] = t < 0.5 ? a + t * (b - a) : b - (1 - t) * (b - a);
    }
}

/* Where the percentiles of `n` values lie, and the ranks of the values around them. */
static void find_ranks(const double percent[2], uint64_t n, double h[2], uint64_t rank[4]) {
    for (int e = 0; e < 2; e++) {
        h[e] = percent[e] / 100 * (double)(n - 1);
        rank[2 * e] = (uint64_t)floor(h[e]);
        rank[2 * e + 1] = rank[2 * e] + 1 < n ? rank[2 * e] + 1 : n - 1;
    }
}

/* ---------------------------------------------------------------- percentiles of stored numbers */

#define COUNT_AS(type)                                                                                                                     \
    do {                                                                                                                                   \
        const type *p = (const type *)v->voxel + first;                                                                                    \
        for (int64_t i = 0; i + 1 < n; i += 2) { /* neighbours are often equal: they need not wait for each other */                       \
            even[(uint16_t)p[i]]++;                                                                                                        \
            odd[(uint16_t)p[i + 1]]++;                                                                                                     \
        }                                                                                                                                  \
        if (n % 2 == 1)                                                                                                                    \
            even[(uint16_t)p[n - 1]]++;                                                                                                    \
    } while (0)

static void count_row(const rad_volume *v, int64_t first, int64_t n, uint32_t *even, uint32_t *odd) {
    switch (v->info.type) {
    case RAD_VOX_U8:
        COUNT_AS(uint8_t);
        break;
    case RAD_VOX_I8:
        COUNT_AS(int8_t);
        break;
    case RAD_VOX_U16:
        COUNT_AS(uint16_t);
        break;
    default:
        COUNT_AS(int16_t);
        break;
    }
}

static bool counts_stored(const scope *s) {
    const rad_voxel_type t = s->c->view.volume->info.type;
    return s->over != RAD_OVER_REGION && (t == RAD_VOX_U8 || t == RAD_VOX_I8 || t == RAD_VOX_U16 || t == RAD_VOX_I16);
}

/* The k-th smallest of all stored numbers (wrapped to 16 bits), after the scaling. */
static uint16_t stored_at(const rad_image_info *info, int32_t k, float *ret_value) {
    const bool has_sign = info->type == RAD_VOX_I8 || info->type == RAD_VOX_I16;
    const int32_t up = info->slope < 0 ? HALF - 1 - k : k, stored = has_sign ? up - HALF / 2 : up;
    *ret_value = (float)(info->slope * (double)stored + info->inter); /* as rad_volume_get */
    return (uint16_t)stored;
}

static rad_status stored_percentiles(const scope *s, const double percent[2], double ret[2], rad_error *err) {
    const rad_view *w = &s->c->view;
    const rad_volume *v = w->volume;
    const rad_tone *t = &s->c->tone;
    int64_t lo[3], hi[3];
    uint64_t n = 0, below = 0, rank[4];
    double h[2], value[4] = {0};
    uint32_t *even = rad_calloc((size_t)2 * HALF, sizeof *even), *odd = even + HALF;
    if (!even)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for percentiles");
    for (int a = 0; a < 3; a++) { /* what counts, in stored voxels */
        const int64_t low = a < 2 ? w->low[a] : 0, high = a < 2 ? w->high[a] : w->dim[2];
        lo[w->axis[a]] = w->flip[a] ? w->dim[a] - high : low;
        hi[w->axis[a]] = w->flip[a] ? w->dim[a] - low : high;
    }
    for (int64_t z = lo[2]; z < hi[2]; z++)
        for (int64_t y = lo[1]; y < hi[1]; y++)
            count_row(v, (z * v->info.dim[1] + y) * v->info.dim[0] + lo[0] - v->first, hi[0] - lo[0], even, odd);
    for (int32_t k = 0; k < HALF; k++) {
        float x;
        const uint16_t at = stored_at(&v->info, k, &x);
        const bool count = fabsf(x) <= FLT_MAX && !(t->has_padding && x == t->padding) && !(s->over == RAD_OVER_NONZERO && x == 0);
        even[at] = count ? even[at] + odd[at] : 0;
        n += even[at];
    }
    if (n > 0) {
        find_ranks(percent, n, h, rank);
        for (int32_t k = 0; k < HALF; k++) {
            float x;
            const uint32_t here = even[stored_at(&v->info, k, &x)];
            for (int i = 0; i < 4; i++)
                value[i] = rank[i] >= below && rank[i] < below + here ? (double)x : value[i];
            below += here;
        }
        between(h, value, ret);
    }
    free(even);
    return n > 0 ? RAD_OK : no_values(s, err);
}

static rad_status any_percentiles(const scope *s, const double percent[2], double ret[2], rad_error *err) {
    counter k = {.count = rad_calloc((size_t)5 * HALF, sizeof *k.count)};
    if (!k.count)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for percentiles");
    visit(s, count_upper, &k);
    if (k.n == 0) {
        free(k.count);
        return no_values(s, err);
    }
    double h[2];
    uint64_t rank[4];
    uint32_t upper[4];
    find_ranks(percent, k.n, h, rank);
    for (int i = 0; i < 4; i++) {
        int u = 0;
        upper[i] = find_bin(k.count, &rank[i]);
        while (u < k.n_upper && k.upper[u] != upper[i])
            u++;
        if (u == k.n_upper)
            k.upper[k.n_upper++] = upper[i];
    }
    visit(s, count_lower, &k);
    double value[4];
    for (int i = 0; i < 4; i++) {
        size_t u = 0;
        while (k.upper[u] != upper[i])
            u++;
        value[i] = (double)value_of(upper[i] << 16 | find_bin(k.count + (u + 1) * HALF, &rank[i]));
    }
    between(h, value, ret);
    free(k.count);
    return RAD_OK;
}

static rad_status percentiles(const scope *s, const double percent[2], double ret[2], rad_error *err) {
    return counts_stored(s) ? stored_percentiles(s, percent, ret, err) : any_percentiles(s, percent, ret, err);
}

/* ---------------------------------------------------------------- mean and deviation */

typedef struct moments {
    const rad_tone *tone;
    uint64_t n;
    double sum, mean;
    bool squares;
} moments;

static void add_values(void *context, const float *v, int64_t n) {
    moments *m = context;
    for (int64_t i = 0; i < n; i++) {
        double x = rad_tone_window(m->tone, (double)v[i]) - m->mean;
        m->sum += m->squares ? x * x : x;
    }
    m->n += (uint64_t)n;
}

/* ---------------------------------------------------------------- the tone */

double rad_tone_window(const rad_tone *t, double value) {
    if (!t->window)
        return value;
    double d = t->span > 0 ? (value - t->low) / t->span : 0;
    d = d < 0 ? 0 : d;
    return d > 1 ? 1 : d;
}

RAD_CLONES bool rad_tone_row(const rad_tone *t, const float *in, int64_t n, double *out, int64_t *ret_bad) {
    const double low = t->low, span = t->span; /* not to be read again after each number written */
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) /* no early way out: these loops are vectorised */
        bad += !(fabsf(in[i]) <= FLT_MAX);
    *ret_bad = -1;
    if (t->window && span > 0)
        for (int64_t i = 0; i < n; i++) {
            double d = ((double)in[i] - low) / span;
            d = d < 0 ? 0 : d;
            out[i] = d > 1 ? 1 : d;
        }
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = t->window ? 0 : (double)in[i];
    for (int64_t i = 0; bad && i < n; i++)
        if (!isfinite(in[i])) {
            out[i] = t->replace ? rad_tone_window(t, (double)t->nonfinite) : (double)NAN;
            *ret_bad = *ret_bad < 0 ? i : *ret_bad;
        }
    for (int64_t i = 0; t->has_padding && i < n; i++)
        out[i] = in[i] == t->padding ? 0 : out[i];
    for (int64_t i = 0; t->zscore && i < n; i++)
        out[i] = (out[i] - t->mean) / t->sd;
    return *ret_bad < 0 || t->replace;
}

rad_status rad_tone_make(const rad_input_spec *spec, const rad_channel_spec *ch, rad_channel_view *c, const rad_view *ref,
                         const rad_cut *cut, const int64_t *slot, rad_error *err) {
    const rad_window_spec *w = ch->window.on ? &ch->window : &spec->window;
    const rad_intensity_spec *own = &ch->intensity, *all = &spec->intensity;
    bool padding = own->has_padding || all->has_padding, replace = own->replace_nonfinite || all->replace_nonfinite;
    rad_tone *t = &c->tone;
    *t = (rad_tone){.window = w->on,
                    .low = w->low,
                    .span = w->high - w->low,
                    .has_padding = padding,
                    .padding = (float)(own->has_padding ? own->padding : all->padding),
                    .replace = replace,
                    .nonfinite = (float)(own->replace_nonfinite ? own->nonfinite : all->nonfinite),
                    .sd = 1};
    bool zscore = own->zscore || all->zscore;
    if (!(w->on && w->percentile) && !zscore)
        return RAD_OK;
    rad_status st = RAD_OK;
    scope s = {.c = c, .over = w->over, .cut = cut, .slot = slot, .ref = ref, .row = rad_calloc((size_t)c->view.dim[0], sizeof *s.row)};
    if (!s.row)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for intensities");
    if (w->on && w->percentile) {
        double end[2] = {0, 0};
        RAD_TRY(percentiles(&s, (const double[2]){w->low, w->high}, end, err));
        t->low = end[0];
        t->span = end[1] - end[0];
    }
    if (zscore) {
        moments m = {.tone = t};
        s.over = own->zscore ? own->zscore_over : all->zscore_over;
        visit(&s, add_values, &m);
        if (m.n == 0) {
            st = no_values(&s, err);
            goto out;
        }
        moments q = {.tone = t, .mean = m.sum / (double)m.n, .squares = true};
        visit(&s, add_values, &q);
        double sd = sqrt(q.sum / (double)q.n);
        t->zscore = true;
        t->mean = q.mean;
        t->sd = sd > 0 ? sd : 1;
    }
out:
    free(s.row);
    return st;
}

double rad_tone_black(const rad_tone *t) {
    return t->zscore ? (0 - t->mean) / t->sd : 0;
}
