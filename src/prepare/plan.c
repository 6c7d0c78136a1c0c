/* plan.c: rad_prepare_case up to the pixels, for whoever makes those elsewhere (prepare_plan.h). The same functions decide here and there.
 */
#include "radcohort/prepare_plan.h"

#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool rad_prepare_plan_takes(const rad_input_spec *spec, const char **ret_why) {
    if (ret_why)
        *ret_why = spec->volume.on ? "volumes are sampled on the CPU" : "";
    return !spec->volume.on;
}

void rad_prepare_plan_destroy(rad_prepare_plan **pp) {
    rad_prepare_plan *p = *pp;
    if (!p)
        return;
    rad_prepare_axis *const axis[2] = {&p->x, &p->y};
    for (int i = 0; i < 2; i++) {
        free(axis[i]->start);
        free(axis[i]->count);
        free(axis[i]->weight);
    }
    rad_prepared_release(&p->result);
    free(p->plane);
    free(p);
    *pp = NULL;
}

static rad_status make_axis(const rad_resize_spec *s, int64_t in, int64_t out, rad_prepare_axis *ret, rad_error *err) {
    rad_filter f;
    rad_status st = rad_filter_make(s->method, s->antialias, in, out, &f, err);
    if (st == RAD_OK)
        *ret = (rad_prepare_axis){.in = in, .out = out, .taps = f.taps, .start = f.start, .count = f.count, .weight = f.weight};
    return st;
}

static void set_image(const rad_channel_view *c, rad_prepare_image *ret) {
    const rad_view *v = &c->view;
    const rad_tone *t = &c->tone;
    *ret = (rad_prepare_image){.voxel = v->volume->voxel,
                               .type = v->volume->info.type,
                               .slope = v->volume->info.slope,
                               .inter = v->volume->info.inter,
                               .component = c->component == RAD_COMPONENT_LUMA ? -1 : (int)c->component - (int)RAD_COMPONENT_R,
                               .first = v->first - v->volume->first,
                               .same = c->link.same,
                               .tone = {.window = t->window,
                                        .has_padding = t->has_padding,
                                        .replace = t->replace,
                                        .zscore = t->zscore,
                                        .low = t->low,
                                        .span = t->span,
                                        .mean = t->mean,
                                        .sd = t->sd,
                                        .padding = t->padding,
                                        .nonfinite = t->nonfinite,
                                        .black = rad_tone_black(t)}};
    memcpy(ret->dim, v->dim, sizeof ret->dim);
    memcpy(ret->step, v->step, sizeof ret->step);
    memcpy(ret->to, c->link.to, sizeof ret->to);
}

/* The box grows to hold another one. */
static void extend(rad_prepare_image *m, const int64_t from[3], const int64_t n[3]) {
    for (int a = 0; a < 3; a++) {
        int64_t low = m->n[a] == 0 || from[a] < m->from[a] ? from[a] : m->from[a], end = from[a] + n[a];
        if (m->n[a] > 0 && m->from[a] + m->n[a] > end)
            end = m->from[a] + m->n[a];
        m->from[a] = low;
        m->n[a] = end - low;
    }
}

/* Slice z of the reference is shown: which slice of the image that is, how far away, and which voxels it takes. */
static rad_status use_slice(const rad_input_spec *spec, const rad_channel_view *c, const rad_view *ref, const int64_t box[4],
                            rad_prepare_plane *p, rad_prepare_image *m, double *ret_mm, rad_error *err) {
    *ret_mm = 0;
    p->matched = p->z;
    if (c->link.same) {
        int64_t from[3] = {0, 0, p->z}, n[3] = {0, 0, 1};
        for (int a = 0; a < 2; a++) {
            from[a] = box[a] > ref->low[a] ? box[a] : ref->low[a];
            n[a] = (box[2 + a] < ref->high[a] ? box[2 + a] : ref->high[a]) - from[a];
        }
        extend(m, from, n);
        return RAD_OK;
    }
    rad_patch patch = {0};
    rad_status st = rad_match_slice(spec, ref, c, box, p->z, &p->matched, ret_mm, err);
    if (st == RAD_OK)
        st = rad_patch_place(spec, ref, c, box, p->z, p->matched, &patch, err);
    if (st == RAD_OK)
        extend(m, patch.from, patch.n);
    return st;
}

static rad_status plan_channel(const rad_input_spec *spec, rad_channel_view *c, int which, int64_t first_plane, const rad_view *ref,
                               const rad_cut *cut, const int64_t *slot, rad_prepare_plan *p, rad_error *err) {
    const rad_channel_spec *ch = &spec->channel[which];
    rad_prepare_image *m = &p->image[which];
    rad_status st = c->view.volume ? rad_tone_make(spec, ch, c, ref, cut, slot, err) : RAD_OK;
    if (st == RAD_OK && c->view.volume)
        set_image(c, m);
    for (int64_t i = 0; i < p->result.n_slice && st == RAD_OK; i++)
        for (int o = 0; o < ch->n_offset && st == RAD_OK; o++) {
            rad_prepare_plane *to = &p->plane[i * p->result.n_plane + first_plane + o];
            int64_t z = cut->slice[i] + ch->offset[o], last = ref->dim[2] - 1;
            double mm = 0;
            to->image = which;
            to->z = z < 0 ? 0 : z > last ? last : z;
            to->value = c->view.volume ? m->tone.black : 0;
            to->empty = !c->view.volume || (to->z != z && spec->edge == RAD_EDGE_ZERO);
            if (!to->empty)
                st = use_slice(spec, c, ref, cut->box, to, m, &mm, err);
            p->result.mismatch_mm[i] = fmax(p->result.mismatch_mm[i], mm);
        }
    return st;
}

rad_status rad_prepare_plan_make(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, rad_prepare_plan **ret,
                                 rad_error *err) {
    rad_cut cut = {0};
    int64_t *slot = NULL, first_plane = 0;
    rad_status st = rad_prepare_check_spec(spec, err);
    if (st != RAD_OK)
        return st;
    if (!rad_prepare_plan_takes(spec, NULL))
        return rad_error_set(err, RAD_E_CONFIG, "input '%s' cannot be planned", spec->name);
    rad_channel_view *channel = rad_calloc((size_t)spec->n_channel, sizeof *channel);
    rad_prepare_plan *p = rad_calloc(1, sizeof *p);
    if (!channel || !p) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to prepare input '%s'", spec->name);
        goto out;
    }
    const rad_view *ref = &channel[0].view;
    RAD_TRY(rad_channels_make(spec, volume, channel, err));
    RAD_TRY(rad_cut_make(spec, ref, &channel[spec->region.drawn_on], roi, &cut, err));
    RAD_TRY(rad_prepared_begin(spec, ref, &cut, &p->result, &slot, err));
    RAD_TRY(make_axis(&spec->resize, cut.box[2] - cut.box[0], p->result.width, &p->x, err));
    RAD_TRY(make_axis(&spec->resize, cut.box[3] - cut.box[1], p->result.height, &p->y, err));
    p->plane = rad_calloc((size_t)(p->result.n_slice * p->result.n_plane), sizeof *p->plane);
    if (!p->plane) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to prepare input '%s'", spec->name);
        goto out;
    }
    memcpy(p->box, cut.box, sizeof p->box);
    memcpy(p->low, ref->low, sizeof p->low);
    memcpy(p->high, ref->high, sizeof p->high);
    p->edge_zero = spec->edge == RAD_EDGE_ZERO;
    p->match_nearest = spec->match.nearest;
    p->n_image = spec->n_channel;
    p->n_normalise = spec->normalise.n;
    for (int k = 0; k < spec->normalise.n; k++) {
        p->mean[k] = spec->normalise.mean[k];
        p->std[k] = spec->normalise.std[k];
    }
    for (int c = 0; c < spec->n_channel; c++) {
        RAD_TRY(plan_channel(spec, &channel[c], c, first_plane, ref, &cut, slot, p, err));
        first_plane += spec->channel[c].n_offset;
    }
    *ret = p;
    p = NULL;
out:
    rad_prepare_plan_destroy(&p);
    free(cut.slice);
    free(slot);
    free(channel);
    return st;
}
