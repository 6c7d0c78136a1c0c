/* orient.c: a volume seen along named axes, without moving a voxel.
 *
 * Rule. Every stored axis has a world axis and a direction: the nearest one by nibabel's io_orientation (rad_affine_axes). The three
 * letters of the wanted orientation name the directions in which x, y and z of the reoriented volume run: L, P, S for "LPS". Each
 * reoriented axis is the stored axis with the same world axis, run backwards when its direction is the opposite. Nothing is interpolated:
 * an oblique volume keeps its own grid. nibabel: as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt("LPS"))).
 *
 * Two volumes are on one grid when, both reoriented, their dims are equal and none of the eight corner voxels' centres differ by more
 * than a stated share of the smallest spacing. How the voxels are stored does not matter.
 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* World axis of a direction letter, its sign; -1 for anything else. */
static int world_axis(char letter, int *ret_sign) {
    static const char plus[] = "RAS", minus[] = "LPI";
    for (int i = 0; i < 3; i++)
        if (letter == plus[i] || letter == minus[i]) {
            *ret_sign = letter == plus[i] ? 1 : -1;
            return i;
        }
    return -1;
}

rad_status rad_view_make(const rad_volume *v, const char orientation[4], const char *what, rad_view *ret, rad_error *err) {
    const rad_image_info *info = &v->info;
    rad_view w = {.volume = v, .affine = {[3] = {0, 0, 0, 1}}};
    int axis[3], sign[3];
    for (int d = 4; d < 7; d++)
        if (info->dim[d] > 1)
            return rad_error_set(err, RAD_E_UNSUPPORTED,
                                 "%s has %d dimensions, expected at most 4 (x, y, z, frame); extract the volume that the network takes",
                                 what, info->n_dim);
    if (!rad_affine_axes(info->affine, axis, sign))
        return rad_error_set(err, RAD_E_UNSUPPORTED, "%s has a degenerate affine: its axes do not span space; repair its sform or qform",
                             what);
    int64_t stride[3] = {1, info->dim[0], info->dim[0] * info->dim[1]};
    bool seen[3] = {false, false, false};
    for (int t = 0; t < 3; t++) {
        int want_sign = 0, world = world_axis(orientation[t], &want_sign);
        if (world < 0 || seen[world])
            return rad_error_set(err, RAD_E_CONFIG, "orientation '%.3s' is not three letters with one of R/L, one of A/P and one of S/I",
                                 orientation);
        seen[world] = true;
        for (int c = 0; c < 3; c++)
            if (axis[c] == world) {
                w.axis[t] = c;
                w.flip[t] = sign[c] != want_sign;
            }
        int c = w.axis[t];
        w.dim[t] = info->dim[c];
        w.step[t] = w.flip[t] ? -stride[c] : stride[c];
        if (w.flip[t])
            w.first += stride[c] * (info->dim[c] - 1);
        double length = 0;
        for (int r = 0; r < 3; r++) {
            w.affine[r][t] = w.flip[t] ? -info->affine[r][c] : info->affine[r][c];
            length += info->affine[r][c] * info->affine[r][c];
        }
        w.spacing[t] = sqrt(length);
    }
    for (int r = 0; r < 3; r++) {
        w.affine[r][3] = info->affine[r][3];
        for (int t = 0; t < 3; t++)
            if (w.flip[t])
                w.affine[r][3] -= w.affine[r][t] * (double)(w.dim[t] - 1);
    }
    if (w.dim[2] > 1 && (w.dim[0] == 1 || w.dim[1] == 1))
        return rad_error_set(err, RAD_E_UNSUPPORTED,
                             "%s is one slice of %" PRId64 "x%" PRId64 "x%" PRId64
                             " voxels stored as %s; orientation '%.3s' would cut it into lines: "
                             "name one whose last letter is the direction across the slice",
                             what, info->dim[0], info->dim[1], info->dim[2], info->orientation, orientation);
    w.high[0] = w.dim[0];
    w.high[1] = w.dim[1];
    *ret = w;
    return RAD_OK;
}

static void describe(const rad_view *v, char *out, size_t n) {
    snprintf(out, n, "%" PRId64 "x%" PRId64 "x%" PRId64 " of %.4gx%.4gx%.4g mm from (%.2f, %.2f, %.2f)", v->dim[0], v->dim[1], v->dim[2],
             v->spacing[0], v->spacing[1], v->spacing[2], v->affine[0][3], v->affine[1][3], v->affine[2][3]);
}

rad_status rad_view_same_grid(const rad_view *a, const char *what_a, const rad_view *b, const char *what_b, double tolerance,
                              rad_error *err) {
    bool same = memcmp(a->dim, b->dim, sizeof a->dim) == 0;
    double limit = tolerance * fmin(a->spacing[0], fmin(a->spacing[1], a->spacing[2])), most = 0;
    for (int corner = 0; same && corner < 8; corner++) {
        double sum = 0;
        for (int r = 0; r < 3; r++) {
            double d = a->affine[r][3] - b->affine[r][3];
            for (int t = 0; t < 3; t++)
                if (corner >> t & 1)
                    d += (a->affine[r][t] - b->affine[r][t]) * (double)(a->dim[t] - 1);
            sum += d * d;
        }
        most = fmax(most, sqrt(sum));
    }
    if (same && most <= limit)
        return RAD_OK;
    char grid_a[128], grid_b[128], apart[48] = "";
    describe(a, grid_a, sizeof grid_a);
    describe(b, grid_b, sizeof grid_b);
    if (same)
        snprintf(apart, sizeof apart, ", up to %.2f mm apart", most);
    return rad_error_set(err, RAD_E_SHAPE,
                         "%s is not on the grid of %s: %s, against %s (reoriented)%s; draw it there, or name the "
                         "sequence it was drawn in (region.drawn_on)",
                         what_b, what_a, grid_b, grid_a, apart);
}

void rad_view_position(const rad_view *v, const double stored[3], double ret[3]) {
    for (int t = 0; t < 3; t++)
        ret[t] = v->flip[t] ? (double)(v->dim[t] - 1) - stored[v->axis[t]] : stored[v->axis[t]];
}
