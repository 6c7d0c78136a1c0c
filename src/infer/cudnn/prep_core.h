/* prep_core.h (private to cudnn/): one pixel of a prepared input, by the rules of src/prepare/README.md, in double and in the same order,
 * for nvcc (without fused multiply-add, which the CPU's code has not) and the C compiler alike: the result has the CPU's bits. Geometry,
 * statistics and filters come from rad_prepare_plan; here every image is a packed box of its stored voxels.
 */
#ifndef RAD_CUDNN_PREP_CORE_H
#define RAD_CUDNN_PREP_CORE_H

#include <stddef.h>

#include "core_math.h"

/* In the order of rad_voxel_type. */
enum prep_stored { PREP_U8, PREP_I8, PREP_U16, PREP_I16, PREP_U32, PREP_I32, PREP_U64, PREP_I64, PREP_F32, PREP_F64, PREP_RGB };

/* As rad_prepare_image and rad_prepare_tone; `first` and `step` of the packed box. */
struct prep_image {
    const void *voxel;
    int64_t first, step[3], dim[3];
    double slope, inter, low, span, mean, sd, black, to[3][4];
    float padding, nonfinite;
    int stored, component;
    int same, window, has_padding, replace, zscore;
};

struct prep_plane {
    int image, empty;
    int64_t z, matched;
    double value;
};

struct prep_axis {
    int64_t in, out, taps;
    const int64_t *start, *count;
    const double *weight;
};

/* Everything a kernel needs to know. */
struct prep_args {
    int64_t n_slice, n_plane, height, width; /* of the result, [n_slice, n_plane, height, width] */
    int64_t box[4], low[2], high[2];
    int edge_zero, match_nearest;
    int n_normalise;
    const double *mean, *std;
    const struct prep_image *image;
    const struct prep_plane *plane; /* [n_slice, n_plane] */
    struct prep_axis x, y;
    float *out;
    int *bad; /* set to 1 where NaN or Inf must not be; never cleared */
};

K_HD float prep_voxel(const struct prep_image *s, int64_t i) {
    double x;
    switch (s->stored) {
    case PREP_U8:
        x = (double)((const uint8_t *)s->voxel)[i];
        break;
    case PREP_I8:
        x = (double)((const int8_t *)s->voxel)[i];
        break;
    case PREP_U16:
        x = (double)((const uint16_t *)s->voxel)[i];
        break;
    case PREP_I16:
        x = (double)((const int16_t *)s->voxel)[i];
        break;
    case PREP_U32:
        x = (double)((const uint32_t *)s->voxel)[i];
        break;
    case PREP_I32:
        x = (double)((const int32_t *)s->voxel)[i];
        break;
    case PREP_U64:
        x = (double)((const uint64_t *)s->voxel)[i];
        break;
    case PREP_I64:
        x = (double)((const int64_t *)s->voxel)[i];
        break;
    case PREP_F64:
        x = ((const double *)s->voxel)[i];
        break;
    case PREP_RGB: {
        const uint8_t *rgb = (const uint8_t *)s->voxel + 3 * i;
        if (s->component >= 0)
            return (float)rgb[s->component];
        return (float)(0.299 * (double)rgb[0] + 0.587 * (double)rgb[1] + 0.114 * (double)rgb[2]);
    }
    default:
        x = (double)((const float *)s->voxel)[i];
        break;
    }
    return (float)(s->slope * x + s->inter);
}

K_HD double prep_window(const struct prep_image *s, double value) {
    if (!s->window)
        return value;
    double d = s->span > 0.0 ? (value - s->low) / s->span : 0.0;
    d = d < 0.0 ? 0.0 : d;
    return d > 1.0 ? 1.0 : d;
}

/* Voxel (x, y, z) with its tone; *bad when it is not finite and nothing is declared to stand for it (then NaN, unless it is padding). */
K_HD double prep_toned(const struct prep_image *s, int64_t x, int64_t y, int64_t z, int *bad) {
    const float in = prep_voxel(s, s->first + x * s->step[0] + y * s->step[1] + z * s->step[2]);
    double v = prep_window(s, (double)in);
    if (!(in - in == 0.0f)) {
        v = s->replace ? prep_window(s, (double)s->nonfinite) : (double)NAN;
        if (!s->replace)
            *bad = 1;
    }
    if (s->has_padding && in == s->padding)
        v = 0.0;
    return s->zscore ? (v - s->mean) / s->sd : v;
}

K_HD double prep_mix(double a, double b, double f) {
    return (1.0 - f) * a + f * b;
}

/* The value of an image on another grid at the reference's voxel (x, y, z). Voxels of weight 0 are not looked at. */
K_HD double prep_between(const struct prep_args *p, const struct prep_image *s, const struct prep_plane *q, int64_t x, int64_t y) {
    int64_t k[3];
    double f[3], plane[2] = {0.0, 0.0};
    int inside = 1, ignored = 0;
    for (int a = 0; a < 3; a++) {
        const double last = (double)(s->dim[a] - 1);
        double w = s->to[a][0] * (double)x + s->to[a][1] * (double)y + s->to[a][2] * (double)q->z + s->to[a][3];
        if (a == 2 && p->match_nearest)
            w = (double)q->matched;
        const double in = w < 0.0 ? 0.0 : w > last ? last : w, whole = floor(in);
        k[a] = (int64_t)whole;
        f[a] = in - whole;
        inside = inside && w >= -0.5 - 1e-6 && w <= last + 0.5 + 1e-6;
    }
    if (!inside && p->edge_zero)
        return s->black;
    for (int z = 0; z < (f[2] > 0.0 ? 2 : 1); z++) {
        double line[2] = {0.0, 0.0};
        for (int r = 0; r < (f[1] > 0.0 ? 2 : 1); r++) {
            line[r] = prep_toned(s, k[0], k[1] + r, k[2] + z, &ignored);
            if (f[0] > 0.0)
                line[r] = prep_mix(line[r], prep_toned(s, k[0] + 1, k[1] + r, k[2] + z, &ignored), f[0]);
        }
        plane[z] = f[1] > 0.0 ? prep_mix(line[0], line[1], f[1]) : line[0];
    }
    return f[2] > 0.0 ? prep_mix(plane[0], plane[1], f[2]) : plane[0];
}

/* Value of the reference's pixel (x, y), which lies inside low..high. */
K_HD double prep_inside(const struct prep_args *p, const struct prep_plane *q, int64_t x, int64_t y, int *bad) {
    const struct prep_image *s = &p->image[q->image];
    if (s->same)
        return prep_toned(s, x, y, q->z, bad);
    const double v = prep_between(p, s, q, x, y);
    if (!(v - v == 0.0))
        *bad = 1;
    return v;
}

/* Row r of the region, resized to column i; x outside the slice: the nearest pixel, or black. */
K_HD double prep_row(const struct prep_args *p, const struct prep_plane *q, int64_t i, int64_t r) {
    const int64_t y0 = p->box[1] + r, y = y0 < p->low[1] ? p->low[1] : y0 >= p->high[1] ? p->high[1] - 1 : y0;
    const double black = p->image[q->image].black, *weight = p->x.weight + i * p->x.taps;
    double sum = 0.0;
    int ignored = 0;
    if (y != y0 && p->edge_zero)
        return black;
    for (int64_t j = 0; j < p->x.count[i]; j++) {
        const int64_t x0 = p->box[0] + p->x.start[i] + j, x = x0 < p->low[0] ? p->low[0] : x0 >= p->high[0] ? p->high[0] - 1 : x0;
        const double v = weight[j] * (x != x0 && p->edge_zero ? black : prep_inside(p, q, x, y, &ignored));
        sum = j == 0 ? v : sum + v;
    }
    return sum;
}

/* Pixel i of the result. */
K_HD void prep_pixel(const struct prep_args *p, int64_t i) {
    const int64_t x = i % p->width, y = i / p->width % p->height, at = i / (p->width * p->height);
    const struct prep_plane *q = &p->plane[at];
    double v = q->value;
    if (!q->empty) {
        const double *weight = p->y.weight + y * p->y.taps;
        for (int64_t j = 0; j < p->y.count[y]; j++) {
            const double row = weight[j] * prep_row(p, q, x, p->y.start[y] + j);
            v = j == 0 ? row : v + row;
        }
    }
    if (p->n_normalise > 0) {
        const int64_t k = p->n_normalise == 1 ? 0 : at % p->n_plane;
        v = (v - p->mean[k]) / p->std[k];
    }
    p->out[i] = (float)v;
}

K_HD int64_t prep_region_width(const struct prep_args *p) {
    return (p->box[2] < p->high[0] ? p->box[2] : p->high[0]) - (p->box[0] > p->low[0] ? p->box[0] : p->low[0]);
}

/* Pixels to look at for NaN and Inf: also those that the resizing skips. */
K_HD int64_t prep_check_count(const struct prep_args *p) {
    const int64_t rows = (p->box[3] < p->high[1] ? p->box[3] : p->high[1]) - (p->box[1] > p->low[1] ? p->box[1] : p->low[1]);
    return p->n_slice * p->n_plane * rows * prep_region_width(p);
}

K_HD void prep_check(const struct prep_args *p, int64_t i) {
    const int64_t w = prep_region_width(p), rows = prep_check_count(p) / (p->n_slice * p->n_plane * w);
    const struct prep_plane *q = &p->plane[i / (w * rows)];
    int bad = 0;
    if (q->empty)
        return;
    (void)prep_inside(p, q, (p->box[0] > p->low[0] ? p->box[0] : p->low[0]) + i % w,
                      (p->box[1] > p->low[1] ? p->box[1] : p->low[1]) + i / w % rows, &bad);
    if (bad)
        *p->bad = 1; /* all write the same */
}

#endif
