/* affine.c: which world axis each voxel axis is nearest to, by the rule of nibabel's io_orientation.
 *
 * 1. The three columns of the affine's 3x3 part are scaled to length 1 (a column of zeros stays).
 * 2. The orthogonal matrix nearest to it (the factor R of the polar decomposition M = R S) is found by Newton's iteration
 *    X <- (X + X^-T) / 2 (Higham, SIAM J. Sci. Stat. Comput. 7, 1986).
 * 3. Voxel axes 0, 1, 2 in turn take the world axis with the largest absolute entry in their column of R (the first on ties); its row is
 *    then out of the race. The sign of the entry is the direction.
 */
#include "radcohort/load.h"

#include <math.h>
#include <string.h>

/* Transposed inverse; returns the determinant of `m`. */
static double inverse_transposed(double m[3][3], double ret[3][3]) {
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            int r1 = (r + 1) % 3, r2 = (r + 2) % 3, c1 = (c + 1) % 3, c2 = (c + 2) % 3;
            ret[r][c] = m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]; /* cofactor */
        }
    double det = m[0][0] * ret[0][0] + m[0][1] * ret[0][1] + m[0][2] * ret[0][2];
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            ret[r][c] /= det;
    return det;
}

bool rad_affine_axes(const double affine[4][4], int ret_axis[3], int ret_sign[3]) {
    double x[3][3], y[3][3];
    for (int c = 0; c < 3; c++) {
        double len = sqrt(affine[0][c] * affine[0][c] + affine[1][c] * affine[1][c] + affine[2][c] * affine[2][c]);
        if (!(len > 0) || !isfinite(len))
            return false;
        for (int r = 0; r < 3; r++)
            x[r][c] = affine[r][c] / len;
    }
    for (int step = 0; step < 100; step++) { /* 6 to 8 steps for any scanner's affine; about 50 near the limit of the next line */
        double det = inverse_transposed(x, y), change = 0;
        if (step == 0 && !(fabs(det) > 1e-12))
            return false;
        for (int r = 0; r < 3; r++)
            for (int c = 0; c < 3; c++) {
                double next = 0.5 * (x[r][c] + y[r][c]);
                change = fmax(change, fabs(next - x[r][c]));
                x[r][c] = next;
            }
        if (change < 1e-15)
            break;
    }
    int axis[3], sign[3];
    bool taken[3] = {false, false, false};
    for (int c = 0; c < 3; c++) {
        axis[c] = -1;
        for (int r = 0; r < 3; r++)
            if (!taken[r] && (axis[c] < 0 || fabs(x[r][c]) > fabs(x[axis[c]][c])))
                axis[c] = r;
        if (!(fabs(x[axis[c]][c]) > 1e-8))
            return false;
        sign[c] = x[axis[c]][c] < 0 ? -1 : 1;
        taken[axis[c]] = true;
    }
    memcpy(ret_axis, axis, sizeof axis);
    memcpy(ret_sign, sign, sizeof sign);
    return true;
}
