/* own_points.h (private to onednn/): the transforms of Winograd's minimal filtering (Lavin and Gray 2016), for F(2 x 2, 3 x 3) with the
 * points 0, 1, -1 and infinity, and for F(4 x 4, 3 x 3) with 0, +-1/sqrt(2), +-sqrt(2) and infinity: half the error of the customary 0,
 * +-1, +-2 and infinity against float64 (measured, 64 to 512 channels), at the same number of operations.
 *
 * 16 channels at a time. "Points" of a tile lie `step` floats apart, row by row. */
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

/* The weights of 16 filters, one channel: edge * edge points (edge 4 or 6) of 16 floats. */
void dn_own_points_of_weights(int64_t edge, float weights[][9], float *ret, size_t step);
void dn_own_points_of_sources2(const struct dn_window *w, int64_t channels, float *ret, size_t step);
void dn_own_points_of_sources4(const struct dn_window *w, int64_t channels, float *ret, size_t step);
/* `vectors` * 16 filters. */
void dn_own_results_of_points2(const struct dn_result *r, int64_t vectors, const float *point, size_t step);
void dn_own_results_of_points4(const struct dn_result *r, int64_t vectors, const float *point, size_t step);

#endif
