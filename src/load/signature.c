/* signature.c: a few bytes that tell near copies of a volume: what load.h promises, computed so:
 *
 *  1. Axes to right, anterior, superior. Of an axis of n voxels every k-th counts, from floor(((n - 1) mod k) / 2) on: k = ceil(n / 128)
 *     for right and in one slice, else 1 for n <= 96 and ceil(n / 64) beyond. The first frame; NaN and Inf count as the lowest.
 *  2. Values become their mid-ranks in a histogram of 65536 equal bins from the lowest to the highest, 0 to 1: another scale, window or
 *     gamma changes nothing.
 *  3. The frame: along each axis from the 1 % to the 99 % point of the mass above the median rank. Cropped air does not move it.
 *  4. Coefficients of the cosine transform over the frame with index sum 1 to 8 (volumes), or 1 to 14 (one slice), each times the length of
 *     its index vector, which evens out the falling spectrum that all images share; then scaled so that the largest is 127.
 *
 * More samples do not tell copies any better (tests/bench/copies_bench.py): cosines this slow are averages of ten thousands of them. What
 * is paid for are the cache lines that the samples lie in, so there are more from left to right, which is how most images are stored. */
#include "internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SAMPLES = 128, FEW_SAMPLES = 64, FEW_FROM = 96, BINS = 65536, ORDER_3D = 8, ORDER_2D = 14, WIDE = 16 };
_Static_assert((int)ORDER_2D < (int)WIDE && (int)ORDER_3D < (int)WIDE, "room for all coefficients of an axis");
#define PI 3.14159265358979323846

union cell { /* of a sample: at first */
    float value;
    int32_t rank; /* in the end */
};

struct grid {                  /* axes as stored, the fastest first */
    int world[3];              /* right, anterior or superior: the one that the axis runs along, */
    bool against[3];           /* or against */
    int64_t n[3];              /* samples */
    int64_t first[3], step[3]; /* the voxels that they are */
    double (*basis)[WIDE];     /* [3][MAX_SAMPLES]: cosines of the orders from 0; 0 outside the frame */
    union cell *cell;          /* [n[2]][n[1]][n[0]] */
    float low, high;           /* the least and the largest that are finite */
};

static void lay_out(const rad_image_info *info, bool flat, struct grid *g) {
    int world[3], sign[3];
    if (!rad_affine_axes(info->affine, world, sign))
        for (int a = 0; a < 3; a++) {
            world[a] = a;
            sign[a] = 1;
        }
    for (int a = 0; a < 3; a++) {
        const int64_t n = info->dim[a], few = n > FEW_FROM ? FEW_SAMPLES : FEW_FROM, most = flat || world[a] == 0 ? MAX_SAMPLES : few,
                      step = (n + most - 1) / most, rest = (n - 1) % step;
        g->world[a] = world[a];
        g->against[a] = sign[a] < 0;
        g->step[a] = step;
        g->n[a] = (n - 1) / step + 1;
        g->first[a] = sign[a] > 0 ? rest / 2 : rest - rest / 2;
    }
}

/* Floats in the order of whole numbers; the least and the largest of the finite ones. */
RAD_CLONES static void find_range(const union cell *x, int64_t n, int32_t *low, int32_t *high) {
    int32_t least = *low, most = *high;
    for (int64_t i = 0; i < n; i++) {
        const int32_t bits = x[i].rank;
        const bool finite = (bits & INT32_MAX) < 0x7f800000;
        const int32_t key = bits < 0 ? bits ^ INT32_MAX : bits, a = finite ? key : INT32_MAX, b = finite ? key : INT32_MIN;
        least = a < least ? a : least;
        most = b > most ? b : most;
    }
    *low = least;
    *high = most;
}

static float value_of(int32_t key) {
    const union cell x = {.rank = key < 0 ? key ^ INT32_MAX : key};
    return x.value;
}

static void sample(const rad_volume *v, struct grid *g) {
    const int64_t nx = v->info.dim[0], ny = v->info.dim[1];
    union cell *to = g->cell;
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (int64_t k = 0; k < g->n[2]; k++)
        for (int64_t j = 0; j < g->n[1]; j++, to += g->n[0]) {
            const int64_t row = ((g->first[2] + k * g->step[2]) * ny + g->first[1] + j * g->step[1]) * nx;
            rad_volume_get(v, row + g->first[0], g->step[0], g->n[0], &to->value);
            find_range(to, g->n[0], &low, &high);
        }
    g->low = value_of(low);
    g->high = value_of(high);
}

/* Values to the equal bins that they lie in. */
RAD_CLONES static void find_bins(union cell *x, int64_t n, float low, double scale) {
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i].value, finite = fabsf(v) <= FLT_MAX ? v : low;
        const int32_t b = (int32_t)(((double)finite - (double)low) * scale);
        x[i].rank = b < BINS ? b : BINS - 1;
    }
}

/* Values to mid-ranks: twice as many, and 0 in the middle, so that they are whole numbers below 2^24. `count`: room for 2 * BINS. False
 * when there is nothing to rank. */
static bool rank_values(struct grid *g, int64_t n, int32_t *count) {
    const double scale = BINS / ((double)g->high - (double)g->low);
    int32_t *odd = count + BINS, below = 0;
    union cell *x = g->cell;
    if (!(g->low < g->high) || !isfinite(scale))
        return false;
    find_bins(x, n, g->low, scale);
    memset(count, 0, (size_t)2 * BINS * sizeof *count);
    for (int64_t i = 0; i + 1 < n; i += 2) { /* neighbours share a bin more often than not: they need not wait for each other */
        count[x[i].rank]++;
        odd[x[i + 1].rank]++;
    }
    if (n % 2 == 1)
        count[x[n - 1].rank]++;
    for (int32_t b = 0; b < BINS; b++) {
        const int32_t here = count[b] + odd[b];
        count[b] = 2 * below + here - (int32_t)n;
        below += here;
    }
    for (int64_t i = 0; i < n; i++)
        x[i].rank = count[x[i].rank];
    return true;
}

/* Along each stored axis, the mass of the ranks above the middle: whole numbers. */
RAD_CLONES static void find_mass(const struct grid *g, double mass[3][MAX_SAMPLES]) {
    const union cell *x = g->cell;
    for (int64_t k = 0; k < g->n[2]; k++) {
        int32_t column[MAX_SAMPLES] = {0}; /* of at most 128 rows */
        for (int64_t j = 0; j < g->n[1]; j++, x += g->n[0]) {
            int32_t row = 0;
            for (int64_t i = 0; i < g->n[0]; i++) {
                const int32_t positive = x[i].rank > 0 ? x[i].rank : 0;
                column[i] += positive;
                row += positive;
            }
            mass[1][j] += (double)row;
            mass[2][k] += (double)row;
        }
        for (int64_t i = 0; i < g->n[0]; i++)
            mass[0][i] += (double)column[i];
    }
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
    for (int a = 0; a < 3; a++) {
        const int64_t n = g->n[a];
        const double low = quantile(mass[a], n, 0.01), high = quantile(mass[a], n, 0.99);
        double inside = 0;
        for (int64_t i = 0; i < n; i++) {
            double u = n == 1 ? 0 : ((double)i + 0.5 - low) / (high - low);
            if (!(u >= 0 && u <= 1))
                continue;
            inside++;
            u = g->against[a] ? 1 - u : u;
            for (int k = 0; k <= order; k++)
                g->basis[a * MAX_SAMPLES + i][k] = n == 1 ? k == 0 : cos(PI * k * u);
        }
        *ret_inside *= inside;
    }
}

/* Products of `n` values with WIDE functions at once, each sum over ascending samples. */
RAD_CLONES static void project(const union cell *x, int64_t n, const double (*basis)[WIDE], double ret[WIDE]) {
    double sum[WIDE] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < WIDE; k++)
            sum[k] += (double)x[i].rank * basis[i][k];
    memcpy(ret, sum, sizeof sum);
}

/* to[i][.] += by[i] * row[.], m rows of `wide`. */
RAD_CLONES static void add_products(const double *by, int m, const double *row, int64_t wide, double *to) {
    for (int i = 0; i < m; i++)
        for (int64_t k = 0; k < wide; k++)
            to[i * wide + k] += by[i] * row[k];
}

/* Coefficients [order + 1][order + 1][WIDE], the first stored axis fastest, one axis after the other. */
static void transform(const struct grid *g, int order, double *plane, double *c) {
    const int m = order + 1;
    const double(*b[3])[WIDE] = {(const double(*)[WIDE])g->basis, (const double(*)[WIDE])g->basis + MAX_SAMPLES,
                                 (const double(*)[WIDE])g->basis + 2 * MAX_SAMPLES};
    double row[WIDE];
    memset(c, 0, (size_t)(m * m * WIDE) * sizeof *c);
    for (int64_t z = 0; z < g->n[2]; z++) {
        memset(plane, 0, (size_t)(m * WIDE) * sizeof *plane);
        for (int64_t y = 0; y < g->n[1]; y++) {
            project(g->cell + (z * g->n[1] + y) * g->n[0], g->n[0], b[0], row);
            add_products(b[1][y], m, row, WIDE, plane);
        }
        add_products(b[2][z], m, plane, m * WIDE, c);
    }
}

/* In the order of the world's axes; an axis of one sample has only its constant. */
static void quantise(const struct grid *g, const double *c, int order, rad_signature *ret) {
    double kept[RAD_MAX_SIGNATURE], largest = 0;
    const int m = order + 1;
    int n = 0, at[3]; /* along superior, anterior, right */
    for (at[2] = 0; at[2] < m; at[2]++)
        for (at[1] = 0; at[1] < m; at[1]++)
            for (at[0] = 0; at[0] < m; at[0]++) {
                const int sum = at[0] + at[1] + at[2];
                int k[3];
                bool flat = false;
                for (int a = 0; a < 3; a++) {
                    k[a] = at[g->world[a]];
                    flat = flat || (k[a] > 0 && g->n[a] == 1);
                }
                if (sum < 1 || sum > order || flat || n == RAD_MAX_SIGNATURE)
                    continue;
                kept[n] = c[(k[2] * m + k[1]) * WIDE + k[0]] * sqrt((double)(at[0] * at[0] + at[1] * at[1] + at[2] * at[2]));
                largest = fmax(largest, fabs(kept[n++]));
            }
    ret->n = largest > 0 ? n : 0;
    for (int i = 0; i < ret->n; i++)
        ret->value[i] = (int8_t)lround(kept[i] / largest * 127);
}

rad_status rad_volume_sign(const rad_volume *v, rad_signature *ret, rad_error *err) {
    const int64_t *dim = v->info.dim, frame = dim[0] * dim[1] * dim[2];
    const bool flat = dim[0] == 1 || dim[1] == 1 || dim[2] == 1;
    const int order = flat ? ORDER_2D : ORDER_3D;
    struct grid g = {.n = {0}};
    int32_t *count = NULL;
    double *c = NULL, *plane = NULL, mass[3][MAX_SAMPLES] = {{0}}, inside = 0;
    rad_status st = RAD_OK;
    *ret = (rad_signature){.n = 0};
    if (v->first != 0 || (size_t)frame * rad_voxel_size(v->info.type) > v->bytes)
        return RAD_OK;
    lay_out(&v->info, flat, &g);
    const int64_t n = g.n[0] * g.n[1] * g.n[2];
    g.cell = rad_aligned((size_t)n * sizeof *g.cell);
    g.basis = rad_calloc((size_t)3 * MAX_SAMPLES, sizeof *g.basis);
    count = rad_malloc((size_t)2 * BINS * sizeof *count);
    c = rad_malloc((size_t)((order + 1) * (order + 1) * WIDE) * sizeof *c);
    plane = rad_malloc((size_t)((order + 1) * WIDE) * sizeof *plane);
    if (!g.cell || !g.basis || !count || !c || !plane) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the signature of a volume");
        goto out;
    }
    sample(v, &g);
    if (!rank_values(&g, n, count))
        goto out;
    find_mass(&g, mass);
    make_basis(&g, (const double(*)[MAX_SAMPLES])mass, order, &inside);
    if (inside >= 1) {
        transform(&g, order, plane, c);
        quantise(&g, c, order, ret);
    }
out:
    free(g.cell);
    free(g.basis);
    free(count);
    free(c);
    free(plane);
    return st;
}
