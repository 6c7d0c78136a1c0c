/* cams_draw.c: one tile of a contact sheet. Image, overlay and mask lie on one grid (the overlay is written on the image's), so that one
 * way from reoriented pixels to stored voxels serves all three. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cams.h"
#include "radcohort/load.h"

struct lie { /* reoriented axis t runs along stored axis axis[t] */
    int axis[3];
    bool flip[3];
    const int64_t *dim;
    bool cine; /* frames stand for slices */
};

static bool find_lie(const rad_image_info *info, const char orientation[4], struct lie *l) {
    static const char plus[] = "RAS", minus[] = "LPI";
    int axis[3], sign[3];
    if (!rad_affine_axes(info->affine, axis, sign))
        return false;
    for (int t = 0; t < 3; t++) {
        int found = -1;
        for (int c = 0; c < 3; c++)
            if (orientation[t] == plus[axis[c]] || orientation[t] == minus[axis[c]])
                found = c;
        if (found < 0)
            return false;
        l->axis[t] = found;
        l->flip[t] = (orientation[t] == plus[axis[found]]) != (sign[found] > 0);
    }
    l->dim = info->dim;
    l->cine = info->dim[2] == 1 && info->dim[3] > 1;
    return true;
}

/* The linear index of reoriented (x, y, slice), or -1 outside. */
static int64_t voxel(const struct lie *l, int64_t x, int64_t y, int64_t slice) {
    const int64_t at[3] = {x, y, slice};
    int64_t stored[3];
    for (int t = 0; t < 3; t++) {
        const int c = l->axis[t];
        const int64_t n = c == 2 && l->cine ? l->dim[3] : l->dim[c];
        if (at[t] < 0 || at[t] >= n)
            return -1;
        stored[c] = l->flip[t] ? n - 1 - at[t] : at[t];
    }
    return (stored[2] * l->dim[1] + stored[1]) * l->dim[0] + stored[0];
}

static float value(const rad_volume *v, int64_t at) {
    float x = 0;
    if (v && at >= 0)
        rad_volume_get(v, at, 1, 1, &x);
    return isfinite(x) ? x : 0;
}

static bool is_lesion(const rad_cam_row *r, const rad_volume *mask, const struct lie *l, int64_t at) {
    if (at < 0)
        return false;
    if (mask)
        return value(mask, at) != 0;
    const int64_t i = at % l->dim[0], j = at / l->dim[0] % l->dim[1], k = at / l->dim[0] / l->dim[1];
    return r->has_box && i >= r->box[0] && i < r->box[3] && j >= r->box[1] && j < r->box[4] && k >= r->box[2] && k < r->box[5];
}

static uint8_t byte(double x) {
    return (uint8_t)(x <= 0 ? 0 : x >= 1 ? 255 : floor(255 * x + 0.5));
}

struct tile {
    const rad_cam_row *r;
    const rad_volume *image, *overlay, *mask;
    struct lie lie;
    int64_t x0, y0, side; /* of the square that is shown */
    int64_t slice;        /* the map's, of a volume that of its peak */
    double low, high, top;
};

/* On the edge of the region, in source pixels. */
static bool on_border(const int64_t box[4], int64_t x, int64_t y) {
    return x >= box[0] && x < box[2] && y >= box[1] && y < box[3] && (x == box[0] || x == box[2] - 1 || y == box[1] || y == box[3] - 1);
}

static void draw_pixel(const struct tile *t, int64_t u, int64_t v, uint8_t *plain, uint8_t *mapped) {
    const int64_t x = t->x0 + u * t->side / CAMS_TILE, y = t->y0 + v * t->side / CAMS_TILE, s = t->slice, at = voxel(&t->lie, x, y, s);
    const double grey = at < 0 ? 0 : ((double)value(t->image, at) - t->low) / (t->high - t->low);
    const double heat = t->top > 0 ? fmin(fmax((double)value(t->overlay, at) / t->top, 0), 1) : 0, part = 0.6 * heat;
    plain[0] = plain[1] = plain[2] = byte(grey);
    mapped[0] = byte((1 - part) * fmin(fmax(grey, 0), 1) + part);
    mapped[1] = byte((1 - part) * fmin(fmax(grey, 0), 1) + part * fmax(2 * heat - 1, 0));
    mapped[2] = byte((1 - part) * fmin(fmax(grey, 0), 1));
    if (on_border(t->r->region, x, y))
        plain[0] = plain[1] = plain[2] = 255;
    const bool in = is_lesion(t->r, t->mask, &t->lie, at);
    if (!in)
        return;
    static const int64_t step[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    for (int d = 0; d < 4; d++)
        if (!is_lesion(t->r, t->mask, &t->lie, voxel(&t->lie, x + step[d][0], y + step[d][1], s))) {
            plain[0] = plain[2] = mapped[0] = mapped[2] = 0;
            plain[1] = mapped[1] = 255;
        }
}

static void set_range(struct tile *t) {
    t->low = INFINITY;
    t->high = -INFINITY;
    for (int64_t y = t->y0; y < t->y0 + t->side; y++)
        for (int64_t x = t->x0; x < t->x0 + t->side; x++) {
            const int64_t at = voxel(&t->lie, x, y, t->slice);
            if (at < 0)
                continue;
            const double g = (double)value(t->image, at), h = (double)value(t->overlay, at);
            t->low = fmin(t->low, g);
            t->high = fmax(t->high, g);
            t->top = fmax(t->top, h);
        }
    if (!(t->high > t->low))
        t->high = t->low + 1;
}

rad_status cams_draw(const rad_cam_row *r, const char *cam_dir, uint8_t *rgb, int64_t width, int64_t left, int64_t top, rad_error *err) {
    rad_status st = RAD_OK;
    rad_volume *image = NULL, *overlay = NULL, *mask = NULL;
    char *image_path = rad_path_join(r->cohort_dir, r->image ? r->image : ""), *overlay_path = rad_path_join(cam_dir, r->file),
         *mask_path = r->mask ? rad_path_join(r->cohort_dir, r->mask) : NULL;
    if (!image_path || !overlay_path || (r->mask && !mask_path)) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a contact sheet");
        goto out;
    }
    RAD_TRY(rad_volume_load(image_path, &image, err));
    RAD_TRY(rad_volume_load(overlay_path, &overlay, err));
    struct tile t = {.r = r, .image = image, .overlay = overlay};
    if (!find_lie(&image->info, r->orientation, &t.lie))
        RAD_TRY(rad_error_set(err, RAD_E_UNSUPPORTED, "'%s' does not lie as the run says it does", image_path));
    if (memcmp(image->info.dim, overlay->info.dim, 3 * sizeof(int64_t)) != 0)
        RAD_TRY(
            rad_error_set(err, RAD_E_SHAPE, "'%s' is not on the grid of '%s' any more: one of them was changed", overlay_path, image_path));
    t.slice = r->slice;
    if (r->deep) {
        const int64_t k = r->peak[t.lie.axis[2]];
        t.slice = t.lie.flip[2] ? t.lie.dim[t.lie.axis[2]] - 1 - k : k;
    }
    /* a mask on another grid (drawn elsewhere, or stored in another order) is left out: the numbers in the database have it */
    if (mask_path && rad_volume_load(mask_path, &mask, NULL) == RAD_OK &&
        memcmp(mask->info.dim, image->info.dim, 3 * sizeof(int64_t)) == 0 &&
        ((mask->info.sform_code <= 0 && mask->info.qform_code <= 0) ||
         memcmp(mask->info.orientation, image->info.orientation, sizeof mask->info.orientation) == 0))
        t.mask = mask;
    const int64_t w = r->region[2] - r->region[0], h = r->region[3] - r->region[1], most = w > h ? w : h;
    t.side = most + most / 2 + 2;
    t.x0 = r->region[0] - (t.side - w) / 2;
    t.y0 = r->region[1] - (t.side - h) / 2;
    set_range(&t);
    for (int64_t v = 0; v < CAMS_TILE; v++)
        for (int64_t u = 0; u < CAMS_TILE; u++) {
            uint8_t *at = rgb + 3 * ((top + v) * width + left + u);
            draw_pixel(&t, u, v, at, at + (size_t)3 * CAMS_TILE);
        }
out:
    rad_volume_destroy(&image);
    rad_volume_destroy(&overlay);
    rad_volume_destroy(&mask);
    free(image_path);
    free(overlay_path);
    free(mask_path);
    return st;
}
