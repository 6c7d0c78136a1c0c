/* job_canonical.c: an input as one line of text. It goes into content keys: equal texts prepare equal pixels, and a text that changes makes
 * every stored score new. */
#include "job_input.h"

static rad_status put_quoted(rad_buf *b, const char *s, rad_error *err) {
    rad_status st = rad_buf_put(b, "\"", 1, err);
    for (; st == RAD_OK && *s; s++) {
        if (*s == '"' || *s == '\\')
            st = rad_buf_put(b, "\\", 1, err);
        if (st == RAD_OK)
            st = rad_buf_put(b, s, 1, err);
    }
    return st == RAD_OK ? rad_buf_put(b, "\"", 1, err) : st;
}

static rad_status put_channels(rad_buf *b, const rad_input_spec *s, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "channels=");
    for (int i = 0; st == RAD_OK && i < s->n_channel; i++) {
        const rad_channel_spec *c = &s->channel[i];
        st = put_quoted(b, c->sequence, err);
        for (int j = 0; st == RAD_OK && j < c->n_offset; j++)
            st = rad_buf_printf(b, err, "%c%d", j ? ',' : ':', c->offset[j]);
        if (st == RAD_OK)
            st = rad_buf_put(b, ";", 1, err);
    }
    return st;
}

static rad_status put_numbers(rad_buf *b, const char *name, const double *x, int n, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, " %s=", name);
    for (int i = 0; st == RAD_OK && i < n; i++)
        st = rad_buf_printf(b, err, "%s%.17g", i ? "," : "", x[i]);
    return st;
}

static const char *const over_name[] = {"volume", "nonzero", "region"};

static rad_status put_window(rad_buf *b, const char *name, const rad_window_spec *w, rad_error *err) {
    if (!w->on)
        return RAD_OK;
    rad_status st = rad_buf_printf(b, err, "%s%s%.17g,%.17g", name, w->percentile ? "percentile:" : "", w->low, w->high);
    return st == RAD_OK && w->percentile ? rad_buf_printf(b, err, ",%s", over_name[w->over]) : st;
}

static rad_status put_intensity(rad_buf *b, const rad_intensity_spec *i, rad_error *err) {
    rad_status st = RAD_OK;
    if (i->zscore)
        st = rad_buf_printf(b, err, " zscore=%s", over_name[i->zscore_over]);
    if (st == RAD_OK && i->has_padding)
        st = rad_buf_printf(b, err, " padding=%.17g", i->padding);
    if (st == RAD_OK && i->replace_nonfinite)
        st = rad_buf_printf(b, err, " nonfinite=%.17g", i->nonfinite);
    return st;
}

/* Keys that came after the first texts were stored: each only where it is set, so that older texts stay what they are. */
static rad_status put_later_keys(rad_buf *b, const rad_input_spec *s, rad_error *err) {
    static const char *const component[] = {"luma", "r", "g", "b"};
    rad_status st = put_intensity(b, &s->intensity, err);
    if (st == RAD_OK && s->region.drawn_on)
        st = rad_buf_printf(b, err, " drawn_on=%d", s->region.drawn_on);
    if (st == RAD_OK && s->match.has_tolerance)
        st = rad_buf_printf(b, err, " tolerance_mm=%.17g", s->match.tolerance_mm);
    if (st == RAD_OK && s->match.nearest)
        st = rad_buf_printf(b, err, " match=nearest");
    const rad_crop_spec *p = &s->crop;
    if (st == RAD_OK && (p->top || p->bottom || p->left || p->right))
        st = rad_buf_printf(b, err, " crop=%lld,%lld,%lld,%lld", (long long)p->top, (long long)p->bottom, (long long)p->left,
                            (long long)p->right);
    if (st == RAD_OK && s->frames_as_slices)
        st = rad_buf_printf(b, err, " frames=slices");
    if (st == RAD_OK && s->every > 1)
        st = rad_buf_printf(b, err, " every=%lld", (long long)s->every);
    const rad_volume_spec *q = &s->volume;
    if (st == RAD_OK && q->on)
        st = rad_buf_printf(b, err, " volume=%lldx%lldx%lld,spacing_mm:%.17g,%.17g,%.17g,antialias:%d", (long long)q->size[0],
                            (long long)q->size[1], (long long)q->size[2], q->spacing_mm[0], q->spacing_mm[1], q->spacing_mm[2],
                            q->antialias ? 1 : 0);
    for (int c = 0; st == RAD_OK && c < s->n_channel; c++) {
        const rad_channel_spec *ch = &s->channel[c];
        const rad_intensity_spec *i = &ch->intensity;
        if (ch->component == RAD_COMPONENT_LUMA && !ch->nearest && !ch->has_b && !ch->zero_if_missing && !ch->window.on && !i->zscore &&
            !i->has_padding && !i->replace_nonfinite)
            continue;
        st = rad_buf_printf(b, err, " channel%d:", c);
        if (st == RAD_OK && ch->component != RAD_COMPONENT_LUMA)
            st = rad_buf_printf(b, err, " component=%s", component[ch->component]);
        if (st == RAD_OK && ch->nearest)
            st = rad_buf_printf(b, err, " interpolation=nearest");
        if (st == RAD_OK && ch->has_b)
            st = rad_buf_printf(b, err, " b_value=%.17g,%.17g", ch->b_low, ch->b_high);
        if (st == RAD_OK && ch->zero_if_missing)
            st = rad_buf_printf(b, err, " missing=zero");
        if (st == RAD_OK)
            st = put_window(b, " window=", &ch->window, err);
        if (st == RAD_OK)
            st = put_intensity(b, i, err);
    }
    return st;
}

rad_status job_canonical_text(arena *a, const rad_input_spec *s, char **ret, rad_error *err) {
    static const char *const slices[] = {"lesion", "lesion-all", "all", "listed"}, *const edge[] = {"replicate", "zero"},
                             *const from[] = {"auto", "whole", "box", "mask", "point"}, *const shape[] = {"square", "rectangle"},
                             *const method[] = {"none", "bilinear", "nearest"};
    rad_status st = RAD_OK;
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_JOB_BYTES);
    RAD_TRY(put_channels(&b, s, err));
    RAD_TRY(rad_buf_printf(&b, err, " orientation=%s slices=%s edge=%s", s->orientation, slices[s->slices], edge[s->edge]));
    RAD_TRY(rad_buf_printf(&b, err, " region=%s,%s,margin_mm:%.17g,margin_px:%.17g,size_mm:%.17g", from[s->region.from],
                           shape[s->region.shape], s->region.margin_mm, s->region.margin_px, s->region.size_mm));
    if (!s->window.on)
        RAD_TRY(rad_buf_printf(&b, err, " window=none"));
    RAD_TRY(put_window(&b, " window=", &s->window, err));
    RAD_TRY(rad_buf_printf(&b, err, " resize=%s,%lldx%lld,antialias:%d", method[s->resize.method], (long long)s->resize.height,
                           (long long)s->resize.width, s->resize.antialias ? 1 : 0));
    RAD_TRY(put_numbers(&b, "mean", s->normalise.mean, s->normalise.n, err));
    RAD_TRY(put_numbers(&b, "std", s->normalise.std, s->normalise.n, err));
    RAD_TRY(put_later_keys(&b, s, err));
    char *text = arena_strndup(a, b.data, b.size);
    if (!text)
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for an input's canonical text");
    else
        *ret = text;
out:
    rad_buf_release(&b);
    return st;
}
