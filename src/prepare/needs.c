/* needs.c: which stored slices of each image a case may read, told from headers and the lesion alone, so that a loader can leave the rest
 * on disk. A superset of what rad_prepare_case reads: where the exact extent would have to repeat its arithmetic, a voxel or two more are
 * named. Everything is wanted where a statistic is over all voxels, where frames stand for slices, and where the case is in error: the
 * error is then found and worded by rad_prepare_case. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN 2 /* voxels beyond a mapped extent: interpolation, rounding of the nearest slice */

typedef struct extent { /* in voxels of a reoriented image, both ends inclusive */
    double low[3], high[3];
} extent;

static void include(extent *e, const double p[3]) {
    for (int a = 0; a < 3; a++) {
        e->low[a] = fmin(e->low[a], p[a]);
        e->high[a] = fmax(e->high[a], p[a]);
    }
}

static extent nothing(void) {
    return (extent){{INFINITY, INFINITY, INFINITY}, {-INFINITY, -INFINITY, -INFINITY}};
}

/* All slices that planes of channel `ch` show, and the scored ones themselves (a statistic over the region looks at those), times the
 * region: in the reference's voxels. */
static extent of_slices(const rad_channel_spec *ch, const rad_cut *cut) {
    extent e = nothing();
    for (int64_t i = 0; i < cut->n_slice; i++)
        for (int o = -1; o < ch->n_offset; o++) {
            double z = (double)(cut->slice[i] + (o < 0 ? 0 : ch->offset[o]));
            include(&e, (const double[3]){(double)cut->box[0], (double)cut->box[1], z});
            include(&e, (const double[3]){(double)(cut->box[2] - 1), (double)(cut->box[3] - 1), z});
        }
    return e;
}

static extent of_volume(const rad_input_spec *spec, const rad_cut *cut) {
    extent e = nothing();
    for (int end = -1; end <= 1; end += 2) {
        double p[3];
        for (int a = 0; a < 3; a++) /* half a step more: a statistic over the region reaches to the samples' borders */
            p[a] = cut->centre[a] + end * cut->step[a] * (double)spec->volume.size[2 - a] / 2;
        include(&e, p);
    }
    return e;
}

static extent map(const rad_link *link, const extent *e) {
    extent r = nothing();
    for (int corner = 0; corner < 8; corner++) {
        double p[3], w[3];
        for (int a = 0; a < 3; a++)
            p[a] = corner >> a & 1 ? e->high[a] : e->low[a];
        rad_map_point(link->to, p, w);
        include(&r, w);
    }
    return r;
}

/* Does a statistic walk over all voxels? One over the region does, too, where it has to ask of each voxel whether it is inside. */
static bool over_everything(const rad_input_spec *spec, const rad_channel_spec *ch, bool plain) {
    const rad_window_spec *w = ch->window.on ? &ch->window : &spec->window;
    const rad_intensity_spec *own = &ch->intensity, *all = &spec->intensity;
    if (w->on && w->percentile && !(plain && w->over == RAD_OVER_REGION))
        return true;
    return (own->zscore || all->zscore) && !(plain && (own->zscore ? own->zscore_over : all->zscore_over) == RAD_OVER_REGION);
}

static void of_channel(const rad_input_spec *spec, int c, const rad_channel_view *view, const rad_cut *cut, rad_planes *ret) {
    const rad_channel_spec *ch = &spec->channel[c];
    const rad_view *v = &view->view;
    bool plain = view->link.same && !spec->volume.on; /* voxel for voxel: nothing is interpolated */
    if (spec->frames_as_slices || over_everything(spec, ch, plain))
        return;
    extent e = spec->volume.on ? of_volume(spec, cut) : of_slices(ch, cut);
    if (!view->link.same)
        e = map(&view->link, &e);
    int t = 0;
    while (v->axis[t] != 2)
        t++;
    double more = plain ? 0 : MARGIN;
    if (spec->volume.on && spec->volume.antialias) /* a Gaussian of (f - 1) / 2 voxels, cut off at 4 sigma */
        more += 2 * fmax(spec->volume.spacing_mm[t] / v->spacing[t] - 1, 0) + 1;
    double first = (double)(t < 2 ? v->low[t] : 0), last = (double)((t < 2 ? v->high[t] : v->dim[t]) - 1);
    double low = fmin(fmax(floor(e.low[t] - more), first), last), high = fmin(fmax(ceil(e.high[t] + more), first), last);
    if (!(low <= high)) /* a map that is not finite */
        return;
    ret->first = v->flip[t] ? v->dim[t] - 1 - (int64_t)high : (int64_t)low;
    ret->end = (v->flip[t] ? v->dim[t] - 1 - (int64_t)low : (int64_t)high) + 1;
}

void rad_prepare_planes(const rad_input_spec *spec, const rad_image_info *const *image, const rad_roi *roi, rad_planes *ret) {
    rad_error unused;
    rad_cut cut = {0};
    int on = spec->region.drawn_on;
    for (int c = 0; c < spec->n_channel; c++)
        ret[c] = (rad_planes){0, -1};
    rad_volume *volume = rad_calloc((size_t)spec->n_channel, sizeof *volume);
    rad_channel_view *view = rad_calloc((size_t)spec->n_channel, sizeof *view);
    bool good = volume && view && image[0] && on >= 0 && on < spec->n_channel && image[on];
    for (int c = 0; good && c < spec->n_channel; c++) {
        if (image[c])
            volume[c].info = *image[c];
        good = rad_channel_make(spec, c, image[c] ? &volume[c] : NULL, c ? &view[0].view : NULL, &view[c], &unused) == RAD_OK;
    }
    if (good && rad_cut_make(spec, &view[0].view, &view[on], roi, &cut, &unused) == RAD_OK)
        for (int c = 0; c < spec->n_channel; c++)
            if (image[c])
                of_channel(spec, c, &view[c], &cut, &ret[c]);
    free(cut.slice);
    free(volume);
    free(view);
}
