/* scale: one list of categories for several columns of ratings. */
#include "impl.h"

void rad_scale_release(rad_scale *s) {
    for (int64_t k = 0; k < s->n_level && s->level; k++)
        free(s->level[k]);
    free(s->level);
    free(s->code);
    *s = (rad_scale){0};
}

static rad_status add_level(rad_scale *s, const char *text, size_t len, rad_error *err) {
    for (int64_t k = 0; k < s->n_level; k++)
        if (strlen(s->level[k]) == len && memcmp(s->level[k], text, len) == 0)
            return RAD_OK;
    if (s->n_level == RAD_SCALE_MAX)
        return rad_error_set(err, RAD_E_LIMIT, "more than %d categories", RAD_SCALE_MAX);
    s->level[s->n_level] = rad_strndup(text, len);
    if (!s->level[s->n_level])
        return rad_no_memory(err);
    s->n_level++;
    return RAD_OK;
}

static int by_value(const void *a, const void *b) {
    double x, y;
    const char *s = *(char *const *)a, *t = *(char *const *)b;
    if (rad_parse_double(s, &x) && rad_parse_double(t, &y) && x != y)
        return x < y ? -1 : 1;
    return strcmp(s, t);
}

rad_status rad_scale_init(const rad_frame *f, int64_t from, int64_t to, const char *list, rad_scale *ret, rad_error *err) {
    rad_scale s = {0};
    rad_status st = RAD_OK;
    s.level = rad_calloc(RAD_SCALE_MAX, sizeof *s.level);
    s.code = rad_new_ints((to - from) * f->n);
    if (!s.level || !s.code) {
        st = rad_no_memory(err);
        goto out;
    }
    if (list) {
        while (*list) {
            const size_t len = strcspn(list, ",");
            RAD_TRY(add_level(&s, list, len, err));
            list += len;
            list += *list == ',';
        }
    } else {
        for (int64_t c = from; c < to; c++)
            for (int64_t k = 0; k < f->column[c].n_level; k++) {
                const char *name = f->column[c].level[k];
                RAD_TRY(add_level(&s, name, strlen(name), err));
            }
        qsort(s.level, (size_t)s.n_level, sizeof *s.level, by_value);
    }
    for (int64_t c = from; c < to; c++) {
        const rad_column *col = &f->column[c];
        int64_t *map = rad_new_ints(col->n_level);
        if (!map) {
            st = rad_no_memory(err);
            goto out;
        }
        for (int64_t k = 0; k < col->n_level; k++) {
            map[k] = -1;
            for (int64_t m = 0; m < s.n_level; m++)
                if (strcmp(s.level[m], col->level[k]) == 0)
                    map[k] = m;
        }
        for (int64_t i = 0; i < f->n; i++)
            s.code[(c - from) * f->n + i] = isnan(col->value[i]) ? -1 : map[(int64_t)col->value[i]];
        free(map);
    }
    *ret = s;
    s = (rad_scale){0};
out:
    rad_scale_release(&s);
    return st;
}
