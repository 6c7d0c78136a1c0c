/* manifest_b.c: b-values of images, for channels that want one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_impl.h"

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the b-values of images");
}

rad_status manifest_index_b(manifest_builder *b, rad_error *err) {
    const rad_job *job = b->job;
    const rad_channel_spec *seen[RAD_MAX_INPUTS * RAD_MAX_CHANNELS];
    b->b_slot = rad_calloc((size_t)job->n_input, sizeof *b->b_slot);
    if (!b->b_slot)
        return no_memory(err);
    for (int i = 0; i < job->n_input; i++)
        for (int c = 0; c < RAD_MAX_CHANNELS; c++) {
            const rad_channel_spec *ch = &job->input[i].channel[c];
            b->b_slot[i][c] = -1;
            if (c >= job->input[i].n_channel || !ch->has_b)
                continue;
            for (int k = 0; k < b->n_b && b->b_slot[i][c] < 0; k++)
                if (seen[k]->b_low == ch->b_low && seen[k]->b_high == ch->b_high)
                    b->b_slot[i][c] = k;
            if (b->b_slot[i][c] < 0) {
                seen[b->n_b] = ch;
                b->b_slot[i][c] = b->n_b++;
            }
        }
    b->b_known = b->n_b ? rad_calloc((size_t)b->n_b * (size_t)b->c->n_image + 1, sizeof(b_verdict *)) : NULL;
    return b->n_b && !b->b_known ? no_memory(err) : RAD_OK;
}

static bool lies_in(double x, const rad_channel_spec *ch) {
    return x >= ch->b_low && x <= ch->b_high;
}

/* "1,5-9" in the arena; NULL when memory is out. */
static char *list_text(arena *a, const int64_t *v, int64_t n) {
    rad_buf b;
    rad_status st = RAD_OK;
    char *text = NULL;
    rad_buf_init(&b, (size_t)1 << 20);
    for (int64_t i = 0, last = 0; i < n && st == RAD_OK; i = last + 1) {
        for (last = i; last + 1 < n && v[last + 1] == v[last] + 1;)
            last++;
        st = rad_buf_printf(&b, NULL, "%s%lld", i ? "," : "", (long long)v[i]);
        if (st == RAD_OK && last > i)
            st = rad_buf_printf(&b, NULL, "-%lld", (long long)v[last]);
    }
    if (st == RAD_OK && b.size)
        text = arena_strndup(a, b.data, b.size);
    rad_buf_release(&b);
    return text;
}

/* The volumes of the table whose b-value lies in the range. */
static rad_status pick_volumes(arena *a, const rad_b_table *t, const rad_channel_spec *ch, const char *path, b_verdict *ret,
                               rad_error *err) {
    char list[80];
    double low = INFINITY, high = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < t->n; i++)
        if (lies_in(t->value[i], ch)) {
            low = fmin(low, t->value[i]);
            high = fmax(high, t->value[i]);
            n++;
        }
    rad_b_table_list(t, list, sizeof list);
    ret->kind = n == 0 ? B_OTHER : high - low > rad_b_tolerance(high) ? B_SEVERAL : B_FITS;
    if (ret->kind == B_OTHER)
        ret->why = arena_printf(a, "%s", list);
    if (ret->kind == B_SEVERAL)
        ret->why = arena_printf(a, "%.6g and %.6g both lie between %.6g and %.6g: narrow the job's b_value; '%.100s' has %s", low, high,
                                ch->b_low, ch->b_high, path, list);
    if (ret->kind != B_FITS)
        return ret->why ? RAD_OK : no_memory(err);
    int64_t *volume = arena_alloc(a, (size_t)n, sizeof *volume);
    ret->pick = arena_alloc(a, 1, sizeof *ret->pick);
    if (!volume || !ret->pick)
        return no_memory(err);
    n = 0;
    for (int64_t i = 0; i < t->n; i++)
        if (lies_in(t->value[i], ch))
            volume[n++] = i;
    *ret->pick = (rad_pick){.n = n, .total = t->n, .volume = volume, .text = list_text(a, volume, n)};
    return ret->pick->text ? RAD_OK : no_memory(err);
}

/* Without a table: an image whose covariate states one b-value is that. */
static rad_status judge_covariate(arena *a, const rad_image *image, const rad_channel_spec *ch, b_verdict *ret, rad_error *err) {
    const char *text = NULL;
    double x = 0;
    for (int64_t i = 0; i < image->n_covariate; i++)
        if (strcmp(image->covariate[i].name, "b_value") == 0)
            text = image->covariate[i].value;
    if (text && rad_parse_double(text, &x) && x >= 0) {
        ret->kind = lies_in(x, ch) ? B_FITS : B_OTHER;
        ret->why = arena_printf(a, "%.6g", x);
    } else {
        ret->kind = B_UNKNOWN;
        ret->why = arena_printf(a, "'%.100s' has no table of b-values beside it (.bval)%s%.60s%s", image->path,
                                text ? ", and the images table states several (" : "; the column b_value of the images table may state one",
                                text ? text : "", text ? ")" : "");
    }
    return ret->why ? RAD_OK : no_memory(err);
}

static rad_status judge(manifest_builder *b, const rad_image *image, const rad_channel_spec *ch, b_verdict *ret, rad_error *err) {
    rad_b_table t = {0};
    rad_error why = {0};
    char *rel = image->bval ? rad_strdup(image->bval) : rad_b_table_beside(image->path);
    char *path = rel ? rad_path_join(b->c->dir, rel) : NULL;
    rad_status st = path ? rad_b_table_read(path, &t, &why) : RAD_E_NOTFOUND;
    if (st == RAD_E_NOTFOUND && !image->bval)
        st = judge_covariate(b->arena, image, ch, ret, err);
    else if (st == RAD_OK)
        st = pick_volumes(b->arena, &t, ch, rel, ret, err);
    else if (st == RAD_E_NOMEM)
        st = no_memory(err);
    else {
        ret->kind = B_UNKNOWN;
        ret->why = arena_strdup(b->arena, why.text);
        st = ret->why ? RAD_OK : no_memory(err);
    }
    rad_b_table_release(&t);
    free(rel);
    free(path);
    return st;
}

rad_status manifest_judge_b(manifest_builder *b, int64_t image, int which, int ch, const b_verdict **ret, rad_error *err) {
    b_verdict **at = &b->b_known[(int64_t)b->b_slot[which][ch] * b->c->n_image + image];
    if (!*at) {
        b_verdict *v = arena_alloc(b->arena, 1, sizeof *v);
        rad_status st = v ? judge(b, &b->c->image[image], &b->job->input[which].channel[ch], v, err) : no_memory(err);
        if (st != RAD_OK)
            return st;
        *at = v;
    }
    *ret = *at;
    return RAD_OK;
}
