/* own_points.c: transforms of Winograd's form. */
#include "own_points.h"

#ifdef __x86_64__
#include <immintrin.h>

enum { MOST_EDGE = 6, MOST_STEP = 4 };

/* ---------------------------------------------------------------- weights */

/* G of each form: row p is (1, p, p squared) over the product of its distances to the other points; the last, infinity, (0, 0, 1). In
 * stride 2 there are (1, 0, p) and (0, 0, 1) likewise, but for signs that sources2() of own_strided.c has, and (0, 1, 0) for the odd
 * samples. */
RAD_TARGET("avx512f") void dn_own_points_of_weights(int64_t edge, int64_t stride, float weights[][9], float *ret, size_t step) {
    static const double g2[4][3] = {{1.0, 0.0, 0.0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0.0, 0.0, 1.0}};
    static const double root = 0.70710678118654752440; /* 1 / sqrt(2) */
    static const double g4[6][3] = {{1.0, 0.0, 0.0},
                                    {-2.0 / 3.0, -2.0 / 3.0 * root, -1.0 / 3.0},
                                    {-2.0 / 3.0, 2.0 / 3.0 * root, -1.0 / 3.0},
                                    {1.0 / 6.0, 1.0 / 3.0 * root, 1.0 / 3.0},
                                    {1.0 / 6.0, -1.0 / 3.0 * root, 1.0 / 3.0},
                                    {0.0, 0.0, 1.0}};
    static const double strided2[4][3] = {{1.0, 0.0, 0.0}, {1.0, 0.0, 1.0}, {0.0, 0.0, 1.0}, {0.0, 1.0, 0.0}};
    static const double strided4[6][3] = {{32.0 / 27.0, 0.0, 0.0},
                                          {-32.0 / 27.0, 0.0, -8.0 / 9.0},
                                          {-32.0 / 81.0, 0.0, 8.0 / 27.0},
                                          {32.0 / 81.0, 0.0, 16.0 / 27.0},
                                          {0.0, 0.0, 1.0},
                                          {0.0, 1.0, 0.0}};
    const double(*g)[3] = edge == 4 ? (stride == 1 ? g2 : strided2) : (stride == 1 ? g4 : strided4);
    double w[9][DN_LANES], column[MOST_EDGE][3][DN_LANES];
    for (int i = 0; i < DN_LANES; i++)
        for (int j = 0; j < 9; j++)
            w[j][i] = (double)weights[i][j];
    for (int64_t y = 0; y < edge; y++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < DN_LANES; i++)
                column[y][j][i] = g[y][0] * w[j][i] + g[y][1] * w[3 + j][i] + g[y][2] * w[6 + j][i];
    for (int64_t y = 0; y < edge; y++)
        for (int64_t x = 0; x < edge; x++)
            for (int i = 0; i < DN_LANES; i++)
                ret[(size_t)(y * edge + x) * step + (size_t)i] =
                    (float)(g[x][0] * column[y][0][i] + g[x][1] * column[y][1][i] + g[x][2] * column[y][2][i]);
}

/* ---------------------------------------------------------------- one dimension */

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void sources2(const __m512 *x, const int x_step, __m512 *ret) {
    ret[0] = _mm512_sub_ps(x[0], x[2 * x_step]);
    ret[1] = _mm512_add_ps(x[x_step], x[2 * x_step]);
    ret[2] = _mm512_sub_ps(x[2 * x_step], x[x_step]);
    ret[3] = _mm512_sub_ps(x[3 * x_step], x[x_step]);
}

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void results2(const __m512 *m, __m512 *ret) {
    ret[0] = _mm512_add_ps(m[0], _mm512_add_ps(m[1], m[2]));
    ret[1] = _mm512_add_ps(_mm512_sub_ps(m[1], m[2]), m[3]);
}

/* With points 0, +-a, +-b: rows (a b)^2, -(a^2 + b^2), 1 and so on; here a^2 = 1/2, b^2 = 2, a b = 1. */
RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void sources4(const __m512 *x, const int x_step, __m512 *ret) {
    const __m512 half = _mm512_set1_ps(0.5f), two = _mm512_set1_ps(2.0f), both = _mm512_set1_ps(2.5f);
    const __m512 a = _mm512_set1_ps(0.70710678f), b = _mm512_set1_ps(1.41421356f);
    const __m512 x1 = x[x_step], x2 = x[2 * x_step], x3 = x[3 * x_step], x4 = x[4 * x_step];
    ret[0] = _mm512_add_ps(x[0], _mm512_fnmadd_ps(both, x2, x4));
    __m512 even = _mm512_fnmadd_ps(two, x2, x4), odd = _mm512_fnmadd_ps(two, x1, x3);
    ret[1] = _mm512_fmadd_ps(a, odd, even);
    ret[2] = _mm512_fnmadd_ps(a, odd, even);
    even = _mm512_fnmadd_ps(half, x2, x4);
    odd = _mm512_fnmadd_ps(half, x1, x3);
    ret[3] = _mm512_fmadd_ps(b, odd, even);
    ret[4] = _mm512_fnmadd_ps(b, odd, even);
    ret[5] = _mm512_add_ps(x1, _mm512_fnmadd_ps(both, x3, x[5 * x_step]));
}

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void results4(const __m512 *m, __m512 *ret) {
    const __m512 half = _mm512_set1_ps(0.5f), two = _mm512_set1_ps(2.0f);
    const __m512 a = _mm512_set1_ps(0.70710678f), b = _mm512_set1_ps(1.41421356f);
    const __m512 even1 = _mm512_add_ps(m[1], m[2]), odd1 = _mm512_mul_ps(a, _mm512_sub_ps(m[1], m[2]));
    const __m512 even2 = _mm512_add_ps(m[3], m[4]), odd2 = _mm512_mul_ps(b, _mm512_sub_ps(m[3], m[4]));
    ret[0] = _mm512_add_ps(m[0], _mm512_add_ps(even1, even2));
    ret[1] = _mm512_add_ps(odd1, odd2);
    ret[2] = _mm512_fmadd_ps(half, even1, _mm512_mul_ps(two, even2));
    ret[3] = _mm512_add_ps(_mm512_fmadd_ps(half, odd1, _mm512_mul_ps(two, odd2)), m[5]);
}

/* ---------------------------------------------------------------- two dimensions */

/* Columns first, then rows; edge is a constant where this is called. */
RAD_TARGET("avx512f")
RAD_ALWAYS_INLINE static void sources(const struct dn_window *w, int64_t channels, float *ret, size_t step, const int edge) {
    const bool inside = w->first[0] == 0 && w->first[1] == 0 && w->end[0] >= edge && w->end[1] >= edge;
    for (int64_t c = 0; c < channels; c += DN_LANES) {
        __m512 x[MOST_EDGE * MOST_EDGE], column[MOST_EDGE * MOST_EDGE], point[MOST_EDGE];
        if (inside) {
            for (int i = 0; i < edge; i++)
                for (int j = 0; j < edge; j++)
                    x[i * edge + j] = _mm512_loadu_ps(w->src + (w->origin + i * w->row_step + j * w->column_step + c));
        } else {
            for (int i = 0; i < edge; i++)
                for (int j = 0; j < edge; j++) {
                    const bool is_pixel = i >= w->first[0] && i < w->end[0] && j >= w->first[1] && j < w->end[1];
                    x[i * edge + j] =
                        is_pixel ? _mm512_loadu_ps(w->src + (w->origin + i * w->row_step + j * w->column_step + c)) : _mm512_setzero_ps();
                }
        }
        for (int j = 0; j < edge; j++) {
            if (edge == 4)
                sources2(x + j, edge, point);
            else
                sources4(x + j, edge, point);
            for (int i = 0; i < edge; i++)
                column[i * edge + j] = point[i];
        }
        for (int i = 0; i < edge; i++) {
            if (edge == 4)
                sources2(column + i * edge, 1, point);
            else
                sources4(column + i * edge, 1, point);
            for (int j = 0; j < edge; j++)
                _mm512_storeu_ps(ret + (size_t)(i * edge + j) * step + c, point[j]);
        }
    }
}

RAD_TARGET("avx512f")
RAD_ALWAYS_INLINE static void results(const struct dn_result *r, int64_t vectors, const float *point, size_t step, const int edge) {
    const __m512 low = _mm512_set1_ps(r->low), high = _mm512_set1_ps(r->high);
    const int rows = r->rows < edge - 2 ? (int)r->rows : edge - 2;
    const int64_t columns = r->columns;
    for (int64_t v = 0; v < vectors; v++) {
        __m512 m[MOST_EDGE], column[MOST_STEP * MOST_EDGE], y[MOST_STEP];
        const __m512 bias = _mm512_loadu_ps(r->bias + v * DN_LANES);
        for (int j = 0; j < edge; j++) {
            for (int i = 0; i < edge; i++)
                m[i] = _mm512_loadu_ps(point + (size_t)(i * edge + j) * step + v * DN_LANES);
            if (edge == 4)
                results2(m, y);
            else
                results4(m, y);
            for (int i = 0; i < edge - 2; i++)
                column[i * edge + j] = y[i];
        }
        for (int i = 0; i < rows; i++) {
            if (edge == 4)
                results2(column + i * edge, y);
            else
                results4(column + i * edge, y);
            for (int j = 0; j < edge - 2 && j < columns; j++) {
                float *dst = r->dst + i * r->row_step + j * r->column_step + v * DN_LANES;
                __m512 sum = _mm512_add_ps(y[j], bias);
                if (r->sum)
                    sum = _mm512_add_ps(sum, _mm512_loadu_ps(dst));
                if (r->clamp) /* the second operand is the result where one is NaN */
                    sum = _mm512_min_ps(high, _mm512_max_ps(low, sum));
                _mm512_storeu_ps(dst, sum);
            }
        }
    }
}

RAD_TARGET("avx512f") void dn_own_points_of_sources2(const struct dn_window *w, int64_t channels, float *ret, size_t step) {
    sources(w, channels, ret, step, 4);
}

RAD_TARGET("avx512f") void dn_own_points_of_sources4(const struct dn_window *w, int64_t channels, float *ret, size_t step) {
    sources(w, channels, ret, step, 6);
}

RAD_TARGET("avx512f") void dn_own_results_of_points2(const struct dn_result *r, int64_t vectors, const float *point, size_t step) {
    results(r, vectors, point, step, 4);
}

RAD_TARGET("avx512f") void dn_own_results_of_points4(const struct dn_result *r, int64_t vectors, const float *point, size_t step) {
    results(r, vectors, point, step, 6);
}
#endif
