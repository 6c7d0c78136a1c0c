/* own_strided.c: the transforms of 3 x 3 windows of stride 2, see own_points.h. */
#include "own_points.h"

#ifdef __x86_64__
#include <immintrin.h>

enum { MOST_STEP = 4, MOST_EVEN = MOST_STEP + 1, MOST_SIDE = 2 * MOST_STEP + 1 };

/* ---------------------------------------------------------------- one dimension: the two weights of the even samples */

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void sources2(const __m512 *x, const int x_step, __m512 *ret) {
    ret[0] = _mm512_sub_ps(x[0], x[x_step]);
    ret[1] = x[x_step];
    ret[2] = _mm512_sub_ps(x[2 * x_step], x[x_step]);
}

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void results2(const __m512 *m, __m512 *ret) {
    ret[0] = _mm512_add_ps(m[0], m[1]);
    ret[1] = _mm512_add_ps(m[1], m[2]);
}

/* With points 0, a, -a, b: the coefficients of the product of (x - point) over the others; here a = 3/4, b = 3/2. */
RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void sources4(const __m512 *x, const int x_step, __m512 *ret) {
    const __m512 a = _mm512_set1_ps(0.75f), aa = _mm512_set1_ps(0.5625f), b = _mm512_set1_ps(1.5f);
    const __m512 x1 = x[x_step], x2 = x[2 * x_step], x3 = x[3 * x_step];
    const __m512 from0 = _mm512_fnmadd_ps(aa, x[0], x2), from1 = _mm512_fnmadd_ps(aa, x1, x3);
    const __m512 from2 = _mm512_fnmadd_ps(aa, x2, x[4 * x_step]);
    const __m512 low = _mm512_fnmadd_ps(b, x1, x2), high = _mm512_fnmadd_ps(b, x2, x3);
    ret[0] = _mm512_fnmadd_ps(b, from0, from1);
    ret[1] = _mm512_fmadd_ps(a, low, high);
    ret[2] = _mm512_fnmadd_ps(a, low, high);
    ret[3] = from1;
    ret[4] = _mm512_fnmadd_ps(b, from1, from2);
}

/* Result i: the sum of point^i times its product; infinity stands in the last alone. */
RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void results4(const __m512 *m, __m512 *ret) {
    const __m512 a = _mm512_set1_ps(0.75f), a2 = _mm512_set1_ps(0.5625f), a3 = _mm512_set1_ps(0.421875f);
    const __m512 b = _mm512_set1_ps(1.5f), b2 = _mm512_set1_ps(2.25f), b3 = _mm512_set1_ps(3.375f);
    const __m512 even = _mm512_add_ps(m[1], m[2]), odd = _mm512_sub_ps(m[1], m[2]);
    ret[0] = _mm512_add_ps(m[0], _mm512_add_ps(even, m[3]));
    ret[1] = _mm512_fmadd_ps(a, odd, _mm512_mul_ps(b, m[3]));
    ret[2] = _mm512_fmadd_ps(a2, even, _mm512_mul_ps(b2, m[3]));
    ret[3] = _mm512_fmadd_ps(a3, odd, _mm512_fmadd_ps(b3, m[3], m[4]));
}

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void sources_of_even(const __m512 *x, const int x_step, __m512 *ret, const int results) {
    if (results == 2)
        sources2(x, x_step, ret);
    else
        sources4(x, x_step, ret);
}

RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void results_of_even(const __m512 *m, __m512 *ret, const int results) {
    if (results == 2)
        results2(m, ret);
    else
        results4(m, ret);
}

/* ---------------------------------------------------------------- two dimensions */

/* Along each row, then along each column of what this gave; `m` (results of a tile's side) is a constant where this is called. */
RAD_TARGET("avx512f")
RAD_ALWAYS_INLINE static void sources(const struct dn_window *w, int64_t channels, float *ret, size_t step, const int m) {
    const int side = 2 * m + 1, even = m + 1;
    const bool inside = w->first[0] == 0 && w->first[1] == 0 && w->end[0] >= side && w->end[1] >= side;
    for (int64_t c = 0; c < channels; c += DN_LANES) {
        __m512 row[MOST_SIDE * MOST_SIDE], point[MOST_EVEN];
        for (int i = 0; i < side; i++) {
            __m512 x[MOST_SIDE];
            if (inside) {
                for (int j = 0; j < side; j++)
                    x[j] = _mm512_loadu_ps(w->src + (w->origin + i * w->row_step + j * w->column_step + c));
            } else {
                for (int j = 0; j < side; j++) {
                    const bool is_pixel = i >= w->first[0] && i < w->end[0] && j >= w->first[1] && j < w->end[1];
                    x[j] =
                        is_pixel ? _mm512_loadu_ps(w->src + (w->origin + i * w->row_step + j * w->column_step + c)) : _mm512_setzero_ps();
                }
            }
            sources_of_even(x, 2, row + i * side, m);
            for (int j = 0; j < m; j++)
                row[i * side + even + j] = x[2 * j + 1];
        }
        for (int j = 0; j < side; j++) {
            sources_of_even(row + j, 2 * side, point, m);
            for (int i = 0; i < even; i++)
                _mm512_storeu_ps(ret + (size_t)(i * side + j) * step + c, point[i]);
            for (int i = 0; i < m; i++)
                _mm512_storeu_ps(ret + (size_t)(even * side + j * m + i) * step + c, row[(2 * i + 1) * side + j]);
        }
    }
}

RAD_TARGET("avx512f")
RAD_ALWAYS_INLINE static void results(const struct dn_result *r, int64_t vectors, const float *point, size_t step, const int m) {
    const int side = 2 * m + 1, even = m + 1;
    const __m512 low = _mm512_set1_ps(r->low), high = _mm512_set1_ps(r->high);
    const int rows = r->rows < m ? (int)r->rows : m;
    const int64_t columns = r->columns;
    for (int64_t v = 0; v < vectors; v++, point += DN_LANES) {
        __m512 product[MOST_EVEN], column[MOST_STEP * MOST_EVEN], all[MOST_STEP * MOST_STEP], y[MOST_STEP];
        const __m512 bias = _mm512_loadu_ps(r->bias + v * DN_LANES);
        for (int i = 0; i < even; i++) {
            for (int j = 0; j < even; j++)
                product[j] = _mm512_loadu_ps(point + (size_t)(i * side + j) * step);
            results_of_even(product, y, m);
            for (int j = 0; j < m; j++)
                column[j * even + i] = _mm512_add_ps(y[j], _mm512_loadu_ps(point + (size_t)(i * side + even + j) * step));
        }
        for (int j = 0; j < m; j++) {
            results_of_even(column + j * even, y, m);
            for (int i = 0; i < m; i++)
                all[i * m + j] = y[i];
        }
        const float *odd = point + (size_t)(even * side) * step;
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < even; j++)
                product[j] = _mm512_loadu_ps(odd + (size_t)(j * m + i) * step);
            results_of_even(product, y, m);
            for (int j = 0; j < m && j < columns; j++) {
                float *dst = r->dst + i * r->row_step + j * r->column_step + v * DN_LANES;
                const __m512 both = _mm512_add_ps(y[j], _mm512_loadu_ps(odd + (size_t)((even + j) * m + i) * step));
                __m512 sum = _mm512_add_ps(_mm512_add_ps(all[i * m + j], both), bias);
                if (r->sum)
                    sum = _mm512_add_ps(sum, _mm512_loadu_ps(dst));
                if (r->clamp) /* the second operand is the result where one is NaN */
                    sum = _mm512_min_ps(high, _mm512_max_ps(low, sum));
                _mm512_storeu_ps(dst, sum);
            }
        }
    }
}

RAD_TARGET("avx512f") void dn_own_strided_sources2(const struct dn_window *w, int64_t channels, float *ret, size_t step) {
    sources(w, channels, ret, step, 2);
}

RAD_TARGET("avx512f") void dn_own_strided_sources4(const struct dn_window *w, int64_t channels, float *ret, size_t step) {
    sources(w, channels, ret, step, 4);
}

RAD_TARGET("avx512f") void dn_own_strided_results2(const struct dn_result *r, int64_t vectors, const float *point, size_t step) {
    results(r, vectors, point, step, 2);
}

RAD_TARGET("avx512f") void dn_own_strided_results4(const struct dn_result *r, int64_t vectors, const float *point, size_t step) {
    results(r, vectors, point, step, 4);
}
#endif
