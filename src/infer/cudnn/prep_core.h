/* prep_core.h (private to cudnn/): one pixel of a prepared input, by the rules of src/prepare/README.md: cut, window, resize (x, then y),
 * normalise. In double throughout, as there; for nvcc and the C compiler alike. What needs geometry (orientation, which slice, which
 * region) is decided before, on the CPU: here a plane is a start, two steps and a size.
 */
#ifndef RAD_CUDNN_PREP_CORE_H
#define RAD_CUDNN_PREP_CORE_H

#include "core_math.h"

enum prep_stored { PREP_U8, PREP_I8, PREP_U16, PREP_I16, PREP_F32 };
enum prep_resize { PREP_NONE, PREP_NEAREST, PREP_BILINEAR, PREP_ANTIALIAS };

/* One plane of one sample: slice of a stored volume seen along reoriented axes. */
struct prep_plane {
    const void *voxel;             /* the volume */
    int64_t first, step_x, step_y; /* element of reoriented pixel (0, 0) of the slice, and steps, maybe negative */
    double slope, inter;           /* value = float(slope * stored + inter); slope 0: the stored number */
    int stored;                    /* enum prep_stored */
    int outside;                   /* the slice does not exist: a plane of zeros (before the normalisation) */
    int window;                    /* low..high to 0..1, clipped */
    double low, high;
    double mean, std; /* after the window: (v - mean) / std; std 0 = none */
};

struct prep_args {
    int64_t n_slice, n_plane, height, width; /* of the result, [n_slice, n_plane, height, width] */
    int64_t image_width, image_height;       /* of the reoriented slices */
    int64_t box[4];                          /* x0 y0 x1 y1, may reach outside */
    int edge_zero;                           /* pixels outside are 0 after the window; else the nearest pixel */
    int resize;
    int n_normalise; /* 0 none, 1 for all planes, or one per plane */
    const double *mean, *std;
    const struct prep_plane *plane; /* [n_slice, n_plane] */
    float *out;
};

K_HD float prep_voxel(const struct prep_plane *s, int64_t i) {
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
    default:
        x = (double)((const float *)s->voxel)[i];
        break;
    }
    if (s->slope != 0.0 && s->slope - s->slope == 0.0)
        x = s->slope * x + s->inter;
    return (float)x;
}

/* Windowed value at column x, row y of the region. */
K_HD double prep_value(const struct prep_args *p, const struct prep_plane *s, int64_t x, int64_t y) {
    int64_t ix = p->box[0] + x, iy = p->box[1] + y;
    if (ix < 0 || iy < 0 || ix >= p->image_width || iy >= p->image_height) {
        if (p->edge_zero)
            return 0.0;
        ix = ix < 0 ? 0 : ix >= p->image_width ? p->image_width - 1 : ix;
        iy = iy < 0 ? 0 : iy >= p->image_height ? p->image_height - 1 : iy;
    }
    double v = (double)prep_voxel(s, s->first + ix * s->step_x + iy * s->step_y);
    if (s->window) {
        v = (v - s->low) / (s->high - s->low);
        v = v < 0.0 ? 0.0 : v;
        v = v > 1.0 ? 1.0 : v;
    }
    return s->std != 0.0 ? (v - s->mean) / s->std : v;
}

/* Taps [from, from + count) that make place i of `out` from `in` places. */
struct prep_taps {
    int64_t from, count;
    double fraction;            /* bilinear */
    double centre, radius, sum; /* antialiased */
};

K_HD double prep_weight(int resize, const struct prep_taps *t, int64_t k) {
    if (resize == PREP_BILINEAR)
        return t->count == 2 ? (k == 0 ? 1.0 - t->fraction : t->fraction) : 1.0;
    if (resize == PREP_ANTIALIAS) {
        const double w = 1.0 - fabs((double)(t->from + k) + 0.5 - t->centre) / t->radius;
        return (w < 0.0 ? 0.0 : w) / t->sum;
    }
    return 1.0;
}

K_HD struct prep_taps prep_taps_at(int resize, int64_t in, int64_t out, int64_t i) {
    struct prep_taps t = {i, 1, 0.0, 0.0, 1.0, 1.0};
    const double s = (double)in / (double)out;
    if (resize == PREP_NEAREST) {
        t.from = (2 * i + 1) * in / (2 * out);
    } else if (resize == PREP_BILINEAR) {
        const double at = ((double)i + 0.5) * s - 0.5, p = at > 0.0 ? at : 0.0, k = floor(p);
        t.from = (int64_t)k;
        t.count = t.from < in - 1 ? 2 : 1;
        t.fraction = p - k;
    } else if (resize == PREP_ANTIALIAS) {
        t.radius = s > 1.0 ? s : 1.0;
        t.centre = ((double)i + 0.5) * s;
        int64_t from = (int64_t)(t.centre - t.radius + 0.5), to = (int64_t)(t.centre + t.radius + 0.5);
        from = from > 0 ? from : 0;
        to = to < in ? to : in;
        t.from = from;
        t.count = to - from;
        double sum = 0.0;
        for (int64_t k = 0; k < t.count; k++)
            sum += prep_weight(resize, &t, k); /* t.sum is 1 here */
        t.sum = sum;
    }
    return t;
}

/* Pixel i of the result. */
K_HD void prep_pixel(const struct prep_args *p, int64_t i) {
    const int64_t x = i % p->width, y = i / p->width % p->height, q = i / (p->width * p->height);
    const struct prep_plane *s = &p->plane[q];
    double v = 0.0;
    if (!s->outside) {
        const struct prep_taps tx = prep_taps_at(p->resize, p->box[2] - p->box[0], p->width, x);
        const struct prep_taps ty = prep_taps_at(p->resize, p->box[3] - p->box[1], p->height, y);
        for (int64_t r = 0; r < ty.count; r++) {
            double row = 0.0;
            for (int64_t k = 0; k < tx.count; k++)
                row += prep_weight(p->resize, &tx, k) * prep_value(p, s, tx.from + k, ty.from + r);
            v += prep_weight(p->resize, &ty, r) * row;
        }
    }
    if (p->n_normalise > 0) {
        const int64_t k = p->n_normalise == 1 ? 0 : q % p->n_plane;
        v = (v - p->mean[k]) / p->std[k];
    }
    p->out[i] = (float)v;
}

#endif
