/* phantom_image.c: the images of a synthetic patient: volumes on each sequence's grid, lesions, and ultrasound stills and loops. */
#include <math.h>
#include <string.h>

#include "phantom_plan.h"
#include "radcohort/load.h"

/* Where the voxels of one image lie. */
typedef struct grid {
    int64_t dim[3];
    double step[3];
    const char *axes;
    double tilt_deg;
} grid;

static grid grid_of(const phantom_design *d, const phantom_scanner *s, const phantom_sequence *q) {
    const double coarse = q->coarse > 0 ? q->coarse : 1;
    const int64_t size = (int64_t)floor((double)d->size / coarse + 0.5), slices = (int64_t)floor((double)d->slices / coarse + 0.5);
    return (grid){.dim = {size, size, slices},
                  .step = {s->spacing * coarse, s->spacing * coarse, s->thickness * coarse},
                  .axes = q->axes ? q->axes : s->axes,
                  .tilt_deg = s->tilt_deg + q->tilt_deg};
}

size_t phantom_image_voxels(const phantom_design *d) {
    const phantom_views *v = &d->views;
    const int64_t view = (d->size + v->top) * (d->size + v->left) * (v->frames > 1 ? v->frames : 1), volume = d->size * d->size * d->slices;
    return (size_t)(view > volume ? view : volume);
}

static double smooth_step(double x) { /* 0 below -0.5, 1 above 0.5 */
    double t = x < -0.5 ? 0 : x > 0.5 ? 1 : x + 0.5;
    return t * t * (3 - 2 * t);
}

double phantom_lesion_radius(const phantom_lesion *le, const double p[3]) {
    double s = 0;
    for (int a = 0; a < 3; a++) {
        double q = (p[a] - le->centre[a]) / le->radius[a];
        s += q * q;
    }
    return sqrt(s);
}

/* The ideal intensity at a position, before the scanner. */
static double ideal(const phantom_design *d, const phantom_patient *p, int sequence, double detail, const double pos[3]) {
    const phantom_sequence *s = &d->sequence[sequence];
    double r2 = 0;
    for (int a = 0; a < 3; a++)
        r2 += pos[a] * pos[a] / (p->half[a] * p->half[a]);
    if (r2 > 1.1)
        return s->background;
    double inside = smooth_step((1 - r2) * 8);
    double v = s->body * (1 + 0.10 * phantom_value_noise(phantom_subkey(p->key, PHANTOM_KEY_BODY, (uint64_t)sequence), pos, 14));
    for (int l = 0; l < p->n_lesion; l++) {
        const phantom_lesion *le = &p->lesion[l];
        double rho = phantom_lesion_radius(le, pos);
        if (rho > 1.3)
            continue;
        /* strength of the signs of malignancy: 0.35 .. 2 over +-2 standard deviations of the latent */
        double strength = detail * exp(0.45 * (le->shown[sequence] - 0.3)), balance = exp(0.5 * le->pattern);
        double texture = phantom_value_noise(phantom_subkey(p->key, PHANTOM_KEY_TEXTURE, (uint64_t)l), pos, d->texture_mm);
        double rim = exp(-30 * (rho - 0.88) * (rho - 0.88));
        double in_lesion = smooth_step((1 - rho) * 6);
        double w = s->lesion + strength * (s->texture * texture / balance - s->rim * rim * balance);
        v = v * (1 - in_lesion) + w * in_lesion;
    }
    return s->background + inside * (v - s->background);
}

/* Voxel to RAS+ mm for stored axes such as "LAS", tilted about the first axis; the grid's centre lies at the origin. */
static void make_affine(const grid *g, double m[4][4]) {
    static const char code[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
    double world[3][3] = {{0}};
    for (int k = 0; k < 3; k++)
        for (int a = 0; a < 3; a++)
            for (int up = 0; up < 2; up++)
                if (g->axes[k] == code[a][up])
                    world[a][k] = up ? 1 : -1;
    double c = cos(g->tilt_deg * 3.14159265358979323846 / 180), n = sin(g->tilt_deg * 3.14159265358979323846 / 180);
    memset(m, 0, 4 * sizeof *m);
    m[3][3] = 1;
    for (int a = 0; a < 3; a++) {
        double u = world[a][1], w = world[a][2];
        double col[3] = {world[a][0], c * u + n * w, c * w - n * u};
        for (int k = 0; k < 3; k++) {
            m[a][k] = col[k] * g->step[k];
            m[a][3] -= m[a][k] * 0.5 * (double)(g->dim[k] - 1);
        }
    }
}

static void to_world(double m[4][4], const int64_t at[3], double p[3]) {
    for (int a = 0; a < 3; a++)
        p[a] = m[a][0] * (double)at[0] + m[a][1] * (double)at[1] + m[a][2] * (double)at[2] + m[a][3];
}

static rad_image_info info_of(const grid *g, rad_voxel_type type) {
    rad_image_info info = {.n_dim = 3,
                           .dim = {g->dim[0], g->dim[1], g->dim[2], 1, 1, 1, 1},
                           .spacing = {g->step[0], g->step[1], g->step[2]},
                           .type = type,
                           .slope = 1};
    make_affine(g, info.affine);
    return info;
}

rad_status phantom_image_volume(const phantom_design *d, const phantom_patient *p, int sequence, const char *path, int16_t *voxel,
                                rad_error *err) {
    const phantom_scanner *s = &p->center->scanner;
    const grid g = grid_of(d, s, &d->sequence[sequence]);
    rad_image_info info = info_of(&g, RAD_VOX_I16);
    info.slope = s->slope;
    info.inter = s->inter;
    const uint64_t shade = phantom_subkey(p->key, PHANTOM_KEY_SHADE, (uint64_t)sequence);
    const uint64_t noise = phantom_subkey(p->key, PHANTOM_KEY_NOISE, (uint64_t)sequence);
    int64_t n = 0, at[3];
    for (at[2] = 0; at[2] < g.dim[2]; at[2]++)
        for (at[1] = 0; at[1] < g.dim[1]; at[1]++)
            for (at[0] = 0; at[0] < g.dim[0]; at[0]++, n++) {
                double pos[3];
                to_world(info.affine, at, pos);
                double v = ideal(d, p, sequence, s->detail, pos);
                v *= 1 + s->bias * phantom_value_noise(shade, pos, 60);
                v += s->noise * phantom_noise(noise, (uint64_t)n);
                v = s->gain * v + s->offset;
                const double x = g.step[0] * ((double)at[0] - 0.5 * (double)(g.dim[0] - 1));
                const double y = g.step[1] * ((double)at[1] - 0.5 * (double)(g.dim[1] - 1));
                if (d->fov_mm > 0 && x * x + y * y > d->fov_mm * d->fov_mm)
                    v = d->padding;
                v = (v - s->inter) / s->slope;
                voxel[n] = (int16_t)(v < -32000 ? -32000 : v > 32000 ? 32000 : floor(v + 0.5));
            }
    return rad_volume_write(path, &info, voxel, err);
}

static void start_box(int64_t box[6]) {
    for (int a = 0; a < 3; a++) {
        box[a] = INT64_MAX;
        box[a + 3] = 0;
    }
}

static void widen_box(int64_t box[6], const int64_t at[3]) {
    for (int a = 0; a < 3; a++) {
        box[a] = at[a] < box[a] ? at[a] : box[a];
        box[a + 3] = at[a] + 1 > box[a + 3] ? at[a] + 1 : box[a + 3];
    }
}

rad_status phantom_image_lesion(const phantom_design *d, const phantom_patient *p, const phantom_lesion *le, const char *mask_path,
                                uint8_t *voxel, int64_t box[6], rad_error *err) {
    const grid g = grid_of(d, &p->center->scanner, &d->sequence[0]);
    rad_image_info info = info_of(&g, RAD_VOX_U8);
    int64_t n = 0, at[3];
    start_box(box);
    for (at[2] = 0; at[2] < g.dim[2]; at[2]++)
        for (at[1] = 0; at[1] < g.dim[1]; at[1]++)
            for (at[0] = 0; at[0] < g.dim[0]; at[0]++, n++) {
                double pos[3];
                to_world(info.affine, at, pos);
                voxel[n] = phantom_lesion_radius(le, pos) <= 1;
                if (voxel[n])
                    widen_box(box, at);
            }
    return mask_path ? rad_volume_write(mask_path, &info, voxel, err) : RAD_OK;
}

/* ---------------------------------------------------------------- ultrasound */

/* Burned-in margins: rows of glyphs above, each a block of 4 x 6 pixels with the outer ones dark, and a ruler with ticks on the left. */
static bool burned_in(const phantom_views *v, uint64_t text, int64_t x, int64_t y) {
    if (y < v->top) {
        const int64_t row = y % 8, column = x % 5;
        const uint64_t glyph = phantom_draw(text, (uint64_t)(x / 5 + 64 * (y / 8)));
        return row < 6 && column < 4 && glyph >> 62 != 0 && (glyph >> (row * 4 + column) & 1);
    }
    return x < v->left && (x == v->left - 2 || (y - v->top) % 8 == 0);
}

/* The contrast medium: none at first, then a steep rise and a slow fall. */
static double wash(const phantom_views *v, int64_t frame) {
    if (frame < v->dark)
        return 0.12;
    const double t = (double)(frame - v->dark + 1);
    return fmin(1, 0.6 + 0.2 * t) - 0.02 * t;
}

/* Position of the plane of still `view` of n, or of the loop (-1): through the lesion, off its middle. */
static double plane_of(const phantom_patient *p, int view) {
    const phantom_lesion *le = &p->lesion[0];
    return le->centre[2] + (view < 0 ? 0 : 0.3 * le->radius[2] * ((double)view - 0.5 * (double)(p->n_still - 1)));
}

rad_status phantom_image_view(const phantom_design *d, const phantom_patient *p, int view, const char *path, uint8_t *voxel, int64_t box[6],
                              rad_error *err) {
    static const double amber[3] = {1.0, 0.74, 0.32};
    const phantom_views *v = &d->views;
    const phantom_scanner *s = &p->center->scanner;
    const int64_t wide = d->size + v->left, high = d->size + v->top, frames = view < 0 ? v->frames : 1;
    /* pixels of 1 mm, as stills have: x to the patient's left, y to the back, so that LPS shows the picture upright */
    rad_image_info info = {.n_dim = view < 0 ? 4 : 2,
                           .dim = {wide, high, 1, frames, 1, 1, 1},
                           .spacing = {1, 1, 1},
                           .type = RAD_VOX_RGB24,
                           .slope = 1,
                           .affine = {{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}};
    const uint64_t text = phantom_subkey(p->key, PHANTOM_KEY_TEXT, (uint64_t)(view + 1));
    const uint64_t noise = phantom_subkey(p->key, PHANTOM_KEY_NOISE, (uint64_t)(view + 1));
    int64_t n = 0, at[3];
    start_box(box);
    for (at[2] = 0; at[2] < frames; at[2]++)
        for (at[1] = 0; at[1] < high; at[1]++)
            for (at[0] = 0; at[0] < wide; at[0]++, n++) {
                uint8_t *to = voxel + 3 * n;
                if (at[0] < v->left || at[1] < v->top) {
                    memset(to, burned_in(v, text, at[0], at[1]) ? 255 : 0, 3);
                    continue;
                }
                const double pos[3] = {s->spacing * (0.5 * (double)(d->size - 1) - (double)(at[0] - v->left)),
                                       s->spacing * (0.5 * (double)(d->size - 1) - (double)(at[1] - v->top)), plane_of(p, view)};
                if (phantom_lesion_radius(&p->lesion[0], pos) <= 1)
                    widen_box(box, at);
                if (!path)
                    continue;
                double x = ideal(d, p, 0, s->detail, pos) * (view < 0 ? wash(v, at[2]) : 1);
                x = x * (1 + s->bias * phantom_noise(noise, (uint64_t)n)) +
                    s->noise * phantom_noise(noise, (uint64_t)n + (UINT64_C(1) << 40));
                for (int c = 0; c < 3; c++) {
                    const double y = floor(amber[c] * (s->gain * x + s->offset) + 0.5);
                    to[c] = (uint8_t)(y < 0 ? 0 : y > 255 ? 255 : y);
                }
            }
    return path ? rad_volume_write(path, &info, voxel, err) : RAD_OK;
}
