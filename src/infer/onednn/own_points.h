/* own_points.h (private to onednn/): the transforms of Winograd's minimal filtering (Lavin and Gray 2016; Winograd, Arithmetic Complexity
 * of Computations, 1980), for F(2 x 2, 3 x 3) with the points 0, 1, -1 and infinity, and for F(4 x 4, 3 x 3) with 0, +-1/sqrt(2), +-sqrt(2)
 * and infinity: half the error of the customary 0, +-1, +-2 and infinity against float64 (measured, 64 to 512 channels), at the same number
 * of operations.
 *
 * Windows of stride 2 fall into two phases, here along one axis for m results: y[n] = g0 x[2n] + g2 x[2n + 2] + g1 x[2n + 1]. The even
 * samples pass a filter of two weights, F(m, 2), in m + 1 products; the odd ones are multiplied as they stand, m products, all by the same
 * weight: 2m + 1 products instead of 3m. F(2, 2) has the points 0, 1 and infinity, F(4, 2) the points 0, +-3/4, 3/2 and infinity, whose
 * powers are exact in float32: against float64 the error of a direct sum, 1.5 to 1.8 times less than with 0, +-1 and 2 or 1/2. In two
 * dimensions the products of a tile, (2m + 1)^2, share (m + 2)^2 weights: as of stride 1, where there are as many of both.
 *
 * 16 channels at a time. "Points" of a tile lie `step` floats apart. In stride 1: row by row. In stride 2: first m + 1 rows of the points
 * of the even rows, each of m + 1 points of the even columns and m odd columns; then for each of these 2m + 1 columns the m odd rows. Thus
 * products by the same weights stand one after the other. */
#ifndef RAD_ONEDNN_OWN_POINTS_H
#define RAD_ONEDNN_OWN_POINTS_H

#include "own.h"

/* Where a tile's sources lie; outside first..end - 1 (rows, columns) there is nothing but zeros. */
struct dn_window {
    const float *src;
    int64_t origin, row_step, column_step; /* floats; the first pixel of a tile at the edge lies outside the image */
    int64_t first[2], end[2];
};

/* Where a tile's results go; those beyond `rows` and `columns` are dropped. */
struct dn_result {
    float *dst;
    const float *bias;
    int64_t row_step, column_step, rows, columns;
    bool sum, clamp;
    float low, high;
};

/* The weights of 16 filters, one channel: edge * edge points (edge 4 or 6) of 16 floats, row by row; in stride 2 the last row and column
 * are those of the odd samples. */
void dn_own_points_of_weights(int64_t edge, int64_t stride, float weights[][9], float *ret, size_t step);
void dn_own_points_of_sources2(const struct dn_window *w, int64_t channels, float *ret, size_t step);
void dn_own_points_of_sources4(const struct dn_window *w, int64_t channels, float *ret, size_t step);
void dn_own_strided_sources2(const struct dn_window *w, int64_t channels, float *ret, size_t step);
void dn_own_strided_sources4(const struct dn_window *w, int64_t channels, float *ret, size_t step);
/* `vectors` * 16 filters. */
void dn_own_results_of_points2(const struct dn_result *r, int64_t vectors, const float *point, size_t step);
void dn_own_results_of_points4(const struct dn_result *r, int64_t vectors, const float *point, size_t step);
void dn_own_strided_results2(const struct dn_result *r, int64_t vectors, const float *point, size_t step);
void dn_own_strided_results4(const struct dn_result *r, int64_t vectors, const float *point, size_t step);

#endif
