#include "curve.h"

#include "impl.h"

rad_status rad_curve_init(const int8_t *label, const double *score, int64_t n, rad_curve *ret, rad_error *err) {
    rad_curve c = {0};
    rad_status st = RAD_OK;
    uint64_t *key = rad_malloc((size_t)(n > 0 ? n : 1) * sizeof *key);
    int64_t *who = rad_new_ints(n);
    if (!key || !who) {
        st = rad_no_memory(err);
        goto out;
    }
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(score[i]) || (label[i] != 0 && label[i] != 1)) {
            c.n_missing++;
            continue;
        }
        c.n_pos += label[i] == 1;
        c.n_neg += label[i] == 0;
        key[m] = ~rad_key_of(score[i]); /* descending */
        who[m++] = label[i];
    }
    RAD_TRY(rad_key_sort_index(key, who, m, err));
    c.n_point = 1;
    for (int64_t i = 0; i < m; i++)
        c.n_point += i == 0 || key[i] != key[i - 1];
    c.threshold = rad_new_doubles(c.n_point);
    c.tp = rad_new_ints(c.n_point);
    c.fp = rad_new_ints(c.n_point);
    if (!c.threshold || !c.tp || !c.fp) {
        rad_curve_release(&c);
        st = rad_no_memory(err);
        goto out;
    }
    c.threshold[0] = INFINITY;
    for (int64_t i = 0, j = 0; i < m; i++) {
        if (i == 0 || key[i] != key[i - 1]) {
            j++;
            c.threshold[j] = rad_key_value(~key[i]);
            c.tp[j] = c.tp[j - 1];
            c.fp[j] = c.fp[j - 1];
        }
        c.tp[j] += who[i];
        c.fp[j] += 1 - who[i];
    }
    *ret = c;
out:
    free(key);
    free(who);
    return st;
}

rad_status rad_curve_of_frame(const rad_frame *f, rad_curve *ret, rad_error *err) {
    int8_t *label = rad_malloc((size_t)f->n + 1);
    if (!label)
        return rad_no_memory(err);
    rad_labels(&f->column[0], f->n, label);
    rad_status st = rad_curve_init(label, f->column[1].value, f->n, ret, err);
    free(label);
    return st;
}

void rad_curve_release(rad_curve *c) {
    free(c->threshold);
    free(c->tp);
    free(c->fp);
    *c = (rad_curve){0};
}

void rad_curve_points_of(const rad_curve *c, int64_t *point_of_pos, int64_t *point_of_neg) {
    for (int64_t j = 1; j < c->n_point; j++) {
        for (int64_t i = c->tp[j - 1]; i < c->tp[j]; i++)
            point_of_pos[i] = j;
        for (int64_t i = c->fp[j - 1]; i < c->fp[j]; i++)
            point_of_neg[i] = j;
    }
}

double rad_curve_resample(const rad_curve *c, const int64_t *point_of_pos, const int64_t *point_of_neg, uint64_t seed, uint64_t replicate,
                          int64_t *group_pos, int64_t *group_neg) {
    memset(group_pos, 0, (size_t)c->n_point * sizeof *group_pos);
    memset(group_neg, 0, (size_t)c->n_point * sizeof *group_neg);
    for (int64_t i = 0; i < c->n_pos; i++)
        group_pos[point_of_pos[rad_uniform_int(seed, replicate, (uint64_t)i, c->n_pos)]]++;
    for (int64_t i = 0; i < c->n_neg; i++)
        group_neg[point_of_neg[rad_uniform_int(seed, replicate, (uint64_t)(c->n_pos + i), c->n_neg)]]++;
    int64_t sum = 0, above = 0; /* twice the area, in pairs */
    for (int64_t j = 1; j < c->n_point; j++) {
        sum += group_neg[j] * (2 * above + group_pos[j]);
        above += group_pos[j];
    }
    return (double)sum / (2.0 * (double)c->n_pos * (double)c->n_neg);
}
