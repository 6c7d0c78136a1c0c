/* own_tile.c: the product that all our convolutions are made of, six rows by up to 64 columns in registers. */
#include "own.h"

#ifdef __x86_64__
#include <immintrin.h>

/* 24 of the 32 registers are sums, 4 the weights of one channel, and one is a number of a row: 10 loads for 24 multiply-adds, so that the
 * multipliers and not the first cache set the pace. `rows` and `vectors` are constants where this is called. */
RAD_TARGET("avx512f") RAD_ALWAYS_INLINE static void tile(const struct dn_tile *t, const int rows, const int vectors) {
    __m512 sum[DN_TILE_ROWS][DN_PANEL_VECTORS];
    const float *w = t->weights, *soon = t->soon;
    const float *const *row = t->row;
    if (t->add != NULL)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++)
                _mm_prefetch((const char *)(t->add + (size_t)r * t->add_step + v * DN_LANES), _MM_HINT_T0);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sum[r][v] = _mm512_loadu_ps(t->start + (size_t)r * t->start_step + v * DN_LANES);
    for (int64_t k = 0; k < t->taps; k++, row += DN_TILE_ROWS) {
        const float *x[DN_TILE_ROWS];
        for (int r = 0; r < rows; r++)
            x[r] = row[r];
        for (int64_t c = 0; c < t->channels; c++, w += vectors * DN_LANES, soon += t->soon_step) {
            __m512 weight[DN_PANEL_VECTORS];
            for (int v = 0; v < vectors; v++)
                weight[v] = _mm512_loadu_ps(w + v * DN_LANES);
            _mm_prefetch((const char *)soon, _MM_HINT_T1);
            for (int r = 0; r < rows; r++) {
                const __m512 one = _mm512_set1_ps(x[r][c]);
                for (int v = 0; v < vectors; v++)
                    sum[r][v] = _mm512_fmadd_ps(one, weight[v], sum[r][v]);
            }
        }
    }
    if (t->add != NULL)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++)
                sum[r][v] = _mm512_add_ps(sum[r][v], _mm512_loadu_ps(t->add + (size_t)r * t->add_step + v * DN_LANES));
    if (t->clamp) {
        const __m512 low = _mm512_set1_ps(t->low), high = _mm512_set1_ps(t->high);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) /* the second operand is the result where one is NaN */
                sum[r][v] = _mm512_min_ps(high, _mm512_max_ps(low, sum[r][v]));
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            _mm512_storeu_ps(t->result + (size_t)r * t->result_step + v * DN_LANES, sum[r][v]);
}

#define ONE(r, v)                                                                                                                          \
    RAD_TARGET("avx512f") static void tile_##r##_##v(const struct dn_tile *t) {                                                            \
        tile(t, r, v);                                                                                                                     \
    }
#define ROW(r) ONE(r, 1) ONE(r, 2) ONE(r, 3) ONE(r, 4)
ROW(1)
ROW(2)
ROW(3)
ROW(4)
ROW(5)
ROW(6)

void dn_own_tile(const struct dn_tile *t) {
    static void (*const table[DN_TILE_ROWS][DN_PANEL_VECTORS])(const struct dn_tile *) = {
        {tile_1_1, tile_1_2, tile_1_3, tile_1_4}, {tile_2_1, tile_2_2, tile_2_3, tile_2_4}, {tile_3_1, tile_3_2, tile_3_3, tile_3_4},
        {tile_4_1, tile_4_2, tile_4_3, tile_4_4}, {tile_5_1, tile_5_2, tile_5_3, tile_5_4}, {tile_6_1, tile_6_2, tile_6_3, tile_6_4},
    };
    table[t->rows - 1][t->vectors - 1](t);
}
#endif
