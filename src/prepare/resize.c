/* resize.c: one-dimensional filters; an image is resized along x, then along y.
 *
 * Pixel i covers [i, i + 1) of its axis, its centre is at i + 1/2 (half-pixel centres, PyTorch's align_corners=False). s = in / out, in
 * double.
 *
 * none        out = in.
 * nearest     out[i] = in[floor((2 i + 1) in / (2 out))], in integers (PyTorch's "nearest-exact").
 * bilinear    p = max(0, (i + 1/2) s - 1/2), k = floor(p), f = p - k: out[i] = (1 - f) in[k] + f in[min(k + 1, in - 1)]. No antialiasing: a
 *             reduction by more than two skips pixels, as torch.nn.functional.interpolate(mode="bilinear", align_corners=False) does.
 * bilinear with antialias (antialias=True there)
 *             r = max(s, 1), c = (i + 1/2) s; taps k from max(0, trunc(c - r + 1/2)) to min(in, trunc(c + r + 1/2)) - 1 with weights
 *             max(0, 1 - |k + 1/2 - c| / r), divided by their sum.
 *
 * Sums run over ascending taps in double.
 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

void rad_filter_release(rad_filter *f) {
    free(f->start);
    free(f->count);
    free(f->weight);
    *f = (rad_filter){0};
}

static void set_nearest(rad_filter *f) {
    for (int64_t i = 0; i < f->out; i++) {
        f->start[i] = (2 * i + 1) * f->in / (2 * f->out);
        f->count[i] = 1;
        f->weight[i] = 1;
    }
}

static void set_bilinear(rad_filter *f) {
    double s = (double)f->in / (double)f->out;
    for (int64_t i = 0; i < f->out; i++) {
        double p = fmax(0, ((double)i + 0.5) * s - 0.5), k = floor(p);
        double *w = f->weight + 2 * i;
        f->start[i] = (int64_t)k;
        f->count[i] = f->start[i] < f->in - 1 ? 2 : 1;
        w[0] = f->count[i] == 2 ? 1 - (p - k) : 1;
        w[1] = p - k;
    }
}

static void set_antialias(rad_filter *f) {
    double s = (double)f->in / (double)f->out, r = fmax(s, 1);
    for (int64_t i = 0; i < f->out; i++) {
        double c = ((double)i + 0.5) * s, sum = 0;
        double *w = f->weight + i * f->taps;
        int64_t from = (int64_t)(c - r + 0.5), to = (int64_t)(c + r + 0.5);
        from = from > 0 ? from : 0;
        to = to < f->in ? to : f->in;
        for (int64_t k = from; k < to; k++) {
            w[k - from] = fmax(0, 1 - fabs((double)k + 0.5 - c) / r);
            sum += w[k - from];
        }
        for (int64_t k = from; k < to; k++)
            w[k - from] /= sum;
        f->start[i] = from;
        f->count[i] = to - from;
    }
}

rad_status rad_filter_make(rad_resize_method method, bool antialias, int64_t n_in, int64_t n_out, rad_filter *ret, rad_error *err) {
    rad_filter f = {.in = n_in, .out = n_out, .taps = 1};
    if (method == RAD_RESIZE_BILINEAR)
        f.taps = antialias ? 2 * (int64_t)ceil(fmax((double)n_in / (double)n_out, 1)) + 2 : 2;
    size_t n = (size_t)n_out, m = 0;
    if (rad_mul_size(n, (size_t)f.taps, &m)) {
        f.start = rad_calloc(n, sizeof *f.start);
        f.count = rad_calloc(n, sizeof *f.count);
        f.weight = rad_calloc(m, sizeof *f.weight);
    }
    if (!f.start || !f.count || !f.weight) {
        rad_filter_release(&f);
        return rad_error_set(err, RAD_E_NOMEM, "no memory to resize %lld pixels to %lld", (long long)n_in, (long long)n_out);
    }
    if (method != RAD_RESIZE_BILINEAR)
        set_nearest(&f);
    else if (antialias)
        set_antialias(&f);
    else
        set_bilinear(&f);
    *ret = f;
    return RAD_OK;
}

/* Between two neighbours each, as rad_filter_row does it. */
RAD_CLONES static void mix_pairs(const double *in, const int64_t *start, const double *weight, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++)
        out[i] = weight[2 * i] * in[start[i]] + weight[2 * i + 1] * in[start[i] + 1];
}

void rad_filter_row(const rad_filter *f, const double *in, double *out) {
    int64_t first = 0;
    if (f->taps == 2) {
        first = f->out;
        while (first > 0 && f->count[first - 1] != 2) /* those at the end have none behind them */
            first--;
        mix_pairs(in, f->start, f->weight, first, out);
    }
    for (int64_t i = first; i < f->out; i++) {
        const double *w = f->weight + i * f->taps, *p = in + f->start[i];
        double sum = w[0] * p[0];
        for (int64_t j = 1; j < f->count[i]; j++)
            sum += w[j] * p[j];
        out[i] = sum;
    }
}

RAD_CLONES void rad_filter_columns(const rad_filter *f, const double *in, int64_t width, double *out) {
    for (int64_t i = 0; i < f->out; i++) {
        const double *w = f->weight + i * f->taps, *p = in + f->start[i] * width;
        double *o = out + i * width;
        for (int64_t x = 0; x < width; x++)
            o[x] = w[0] * p[x];
        for (int64_t j = 1; j < f->count[i]; j++)
            for (int64_t x = 0; x < width; x++)
                o[x] += w[j] * p[j * width + x];
    }
}
