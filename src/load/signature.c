/* signature.c: a few bytes that tell near copies of a volume: what load.h promises, computed so:
 *
 *  1. Axes to right, anterior, superior; of every axis at most 128 samples, evenly spread. The first frame; NaN and Inf count as the
 * lowest.
 *  2. Values become their mid-ranks in a histogram of 65536 equal bins from the lowest to the highest, 0 to 1: another scale, window or
 *     gamma changes nothing.
 *  3. The frame: along each axis from the 1 % to the 99 % point of the mass above the median rank. Cropped air does not move it.
 *  4. Coefficients of the cosine transform over the frame with index sum 1 to 8 (volumes), or 1 to 14 (one slice), each times the length of
 *     its index vector, which evens out the falling spectrum that all images share; then scaled so that the largest is 127. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SAMPLES = 128, BINS = 65536, ORDER_3D = 8, ORDER_2D = 14, MAX_ORDER = 14 };
#define PI 3.14159265358979323846

struct grid {
    int64_t n[3];               /* samples along right, anterior, superior */
    int axis[3], sign[3];       /* the voxel axis of each, and its direction */
    int64_t at[3][MAX_SAMPLES]; /* voxel index of each sample */
    double *basis;              /* [3][MAX_ORDER + 1][MAX_SAMPLES]; 0 outside the frame */
    float *value;               /* [n2][n1][n0], 0 fastest */
};

static void lay_out(const rad_image_info *info, struct grid *g) {
    int world[3], sign[3];
    if (!rad_affine_axes(info->affine, world, sign))
        for (int a = 0; a < 3; a++) {
            world[a] = a;
            sign[a] = 1;
        }
    for (int a = 0; a < 3; a++) {
        const int w = world[a];
        const int64_t n = info->dim[a], m = n < MAX_SAMPLES ? n : MAX_SAMPLES;
        g->axis[w] = a;
        g->sign[w] = sign[a];
        g->n[w] = m;
        for (int64_t i = 0; i < m; i++) {
            int64_t at = (int64_t)(((double)(sign[a] > 0 ? i : m - 1 - i) + 0.5) * (double)n / (double)m);
            g->at[w][i] = at < n ? at : n - 1;
        }
    }
}

/* Row by row along the fastest stored axis, wherever that lies in the world. */
static bool sample(const rad_volume *v, struct grid *g) {
    const int64_t nx = v->info.dim[0], ny = v->info.dim[1];
    const int64_t step[3] = {1, g->n[0], g->n[0] * g->n[1]};
    float *row = rad_malloc((size_t)nx * sizeof *row);
    int world[3] = {0};
    if (!row)
        return false;
    for (int w = 0; w < 3; w++)
        world[g->axis[w]] = w;
    for (int64_t k = 0; k < g->n[world[2]]; k++)
        for (int64_t j = 0; j < g->n[world[1]]; j++) {
            const int64_t first = (g->at[world[2]][k] * ny + g->at[world[1]][j]) * nx;
            rad_volume_get(v, first, 1, nx, row);
            float *to = g->value + k * step[world[2]] + j * step[world[1]];
            for (int64_t i = 0; i < g->n[world[0]]; i++)
                to[i * step[world[0]]] = row[g->at[world[0]][i]];
        }
    free(row);
    return true;
}

/* Values to mid-ranks minus one half; false when there is nothing to rank. */
static bool rank_values(float *x, int64_t n, int32_t *bin) {
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) {
            low = x[i] < low ? x[i] : low;
            high = x[i] > high ? x[i] : high;
        }
    const double scale = BINS / ((double)high - (double)low);
    if (!(low < high) || !isfinite(scale))
        return false;
    memset(bin, 0, BINS * sizeof *bin);
    for (int64_t i = 0; i < n; i++) {
        const int64_t b = isfinite(x[i]) ? (int64_t)(((double)x[i] - (double)low) * scale) : 0;
        x[i] = (float)(b < BINS ? b : BINS - 1); /* exact */
        bin[(int64_t)x[i]]++;
    }
    for (int32_t b = 0, below = 0; b < BINS; b++) { /* twice the mid-rank: below 2^23 */
        const int32_t here = bin[b];
        bin[b] = 2 * below + here;
        below += here;
    }
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((double)bin[(int64_t)x[i]] / (2.0 * (double)n) - 0.5);
    return true;
}

/* Where the cumulated mass passes `share`, linear within a sample. */
static double quantile(const double *mass, int64_t n, double share) {
    double sum = 0, below = 0;
    for (int64_t i = 0; i < n; i++)
        sum += mass[i];
    for (int64_t i = 0; i < n; i++) {
        if (mass[i] > 0 && below + mass[i] >= share * sum)
            return (double)i + (share * sum - below) / mass[i];
        below += mass[i];
    }
    return (double)n;
}

static void make_basis(struct grid *g, const double (*mass)[MAX_SAMPLES], int order, double *ret_inside) {
    *ret_inside = 1;
    for (int w = 0; w < 3; w++) {
        double *b = g->basis + w * (MAX_ORDER + 1) * MAX_SAMPLES;
        const double low = quantile(mass[w], g->n[w], 0.01), high = quantile(mass[w], g->n[w], 0.99);
        double inside = 0;
        for (int64_t i = 0; i < g->n[w]; i++) {
            const double u = g->n[w] == 1 ? 0 : ((double)i + 0.5 - low) / (high - low);
            if (!(u >= 0 && u <= 1))
                continue;
            inside++;
            for (int k = 0; k <= order; k++)
                b[k * MAX_SAMPLES + i] = g->n[w] == 1 ? k == 0 : cos(PI * k * u);
        }
        *ret_inside *= inside;
    }
}

/* Products of `n` values with WIDE functions at once, each sum over ascending samples. */
enum { WIDE = 16 };
_Static_assert((int)MAX_ORDER < (int)WIDE, "room for all of them");
RAD_CLONES static void project(const float *x, int64_t n, const double (*basis)[WIDE], double ret[WIDE]) {
    double sum[WIDE] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < WIDE; k++)
            sum[k] += (double)x[i] * basis[i][k];
    memcpy(ret, sum, sizeof sum);
}

/* Coefficients [order+1]^3 (c0 fastest), one axis after the other. */
static bool transform(const struct grid *g, int order, double *c) {
    const int m = order + 1;
    const double *b0 = g->basis, *b1 = b0 + (MAX_ORDER + 1) * MAX_SAMPLES, *b2 = b1 + (MAX_ORDER + 1) * MAX_SAMPLES;
    double row[WIDE], across[MAX_SAMPLES][WIDE] = {{0}}, *plane = rad_malloc((size_t)(m * m) * sizeof *plane);
    if (!plane)
        return false;
    for (int64_t i = 0; i < g->n[0]; i++)
        for (int k = 0; k < m; k++)
            across[i][k] = b0[k * MAX_SAMPLES + i];
    memset(c, 0, (size_t)(m * m * m) * sizeof *c);
    for (int64_t z = 0; z < g->n[2]; z++) {
        memset(plane, 0, (size_t)(m * m) * sizeof *plane);
        for (int64_t y = 0; y < g->n[1]; y++) {
            project(g->value + (z * g->n[1] + y) * g->n[0], g->n[0], across, row);
            for (int j = 0; j < m; j++)
                for (int k = 0; k < m; k++)
                    plane[j * m + k] += b1[j * MAX_SAMPLES + y] * row[k];
        }
        for (int i = 0; i < m; i++)
            for (int jk = 0; jk < m * m; jk++)
                c[i * m * m + jk] += b2[i * MAX_SAMPLES + z] * plane[jk];
    }
    free(plane);
    return true;
}

/* An axis of one sample has only its constant. */
static void quantise(const struct grid *g, const double *c, int order, rad_signature *ret) {
    double kept[RAD_MAX_SIGNATURE], largest = 0;
    const int m = order + 1;
    int n = 0;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++)
            for (int k = 0; k < m; k++) {
                const int sum = i + j + k;
                const bool flat = (i > 0 && g->n[2] == 1) || (j > 0 && g->n[1] == 1) || (k > 0 && g->n[0] == 1);
                if (sum < 1 || sum > order || flat || n == RAD_MAX_SIGNATURE)
                    continue;
                kept[n] = c[(i * m + j) * m + k] * sqrt((double)(i * i + j * j + k * k));
                largest = fmax(largest, fabs(kept[n++]));
            }
    ret->n = largest > 0 ? n : 0;
    for (int i = 0; i < ret->n; i++)
        ret->value[i] = (int8_t)lround(kept[i] / largest * 127);
}

rad_status rad_volume_sign(const rad_volume *v, rad_signature *ret, rad_error *err) {
    const int64_t frame = v->info.dim[0] * v->info.dim[1] * v->info.dim[2];
    struct grid g = {{0}, {0}, {0}, {{0}}, NULL, NULL};
    int32_t *bin = NULL;
    double *c = NULL, mass[3][MAX_SAMPLES] = {{0}}, inside = 0;
    rad_status st = RAD_OK;
    *ret = (rad_signature){.n = 0};
    if (v->first != 0 || (size_t)frame * rad_voxel_size(v->info.type) > v->bytes)
        return RAD_OK;
    lay_out(&v->info, &g);
    const int64_t n = g.n[0] * g.n[1] * g.n[2];
    const bool flat = g.n[0] == 1 || g.n[1] == 1 || g.n[2] == 1;
    const int order = flat ? ORDER_2D : ORDER_3D;
    g.value = rad_aligned((size_t)n * sizeof *g.value);
    g.basis = rad_calloc((size_t)3 * (MAX_ORDER + 1) * MAX_SAMPLES, sizeof *g.basis);
    bin = rad_malloc(BINS * sizeof *bin);
    c = rad_malloc((size_t)((order + 1) * (order + 1) * (order + 1)) * sizeof *c);
    if (!g.value || !g.basis || !bin || !c || !sample(v, &g)) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the signature of a volume");
        goto out;
    }
    if (!rank_values(g.value, n, bin))
        goto out;
    for (int64_t z = 0; z < g.n[2]; z++)
        for (int64_t y = 0; y < g.n[1]; y++)
            for (int64_t x = 0; x < g.n[0]; x++) {
                const double r = (double)g.value[(z * g.n[1] + y) * g.n[0] + x];
                if (r <= 0)
                    continue;
                mass[0][x] += r;
                mass[1][y] += r;
                mass[2][z] += r;
            }
    make_basis(&g, (const double(*)[MAX_SAMPLES])mass, order, &inside);
    if (inside < 1)
        goto out;
    if (!transform(&g, order, c)) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the signature of a volume");
        goto out;
    }
    quantise(&g, c, order, ret);
out:
    free(g.value);
    free(g.basis);
    free(bin);
    free(c);
    return st;
}
