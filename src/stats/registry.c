/* registry: the table of all functions, and the one way in. */
#include "impl.h"

#include <gsl/gsl_errno.h>

static const rad_stat_topic *const topics[] = {
    &rad_topic_roc,     &rad_topic_compare,  &rad_topic_cluster,      &rad_topic_proportion, &rad_topic_cutoff,
    &rad_topic_special, &rad_topic_paired,   &rad_topic_agreement,    &rad_topic_multiclass, &rad_topic_mrmc,
    &rad_topic_meta,    &rad_topic_logistic, &rad_topic_calibration,  &rad_topic_cv,         &rad_topic_contingency,
    &rad_topic_table1,  &rad_topic_drift,    &rad_topic_describe,     &rad_topic_audit,      &rad_topic_power,
    &rad_topic_mixed,   &rad_topic_matched,  &rad_topic_multiplicity, &rad_topic_ordinal,    &rad_topic_aggregate,
};
enum { N_TOPIC = sizeof topics / sizeof *topics };

int64_t rad_stat_function_count(void) {
    int64_t n = 0;
    for (int t = 0; t < N_TOPIC; t++)
        n += topics[t]->n;
    return n;
}

const rad_stat_function *rad_stat_function_at(int64_t i) {
    for (int t = 0; t < N_TOPIC; t++) {
        if (i < topics[t]->n)
            return i < 0 ? NULL : &topics[t]->functions[i];
        i -= topics[t]->n;
    }
    return NULL;
}

const rad_stat_function *rad_stat_function_find(const char *name) {
    for (int t = 0; t < N_TOPIC; t++)
        for (int64_t i = 0; i < topics[t]->n; i++)
            if (strcmp(topics[t]->functions[i].name, name) == 0)
                return &topics[t]->functions[i];
    return NULL;
}

/* Stable sorts from the last column to the first leave the rows ordered by all columns; NaN last. */
static rad_status canonical_order(const rad_frame *f, int64_t *order, rad_error *err) {
    uint64_t *key = rad_malloc((size_t)f->n * sizeof *key);
    if (!key)
        return rad_no_memory(err);
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < f->n; i++)
        order[i] = i;
    for (int64_t c = f->n_column; c-- > 0 && st == RAD_OK;) {
        const double *x = f->column[c].value;
        for (int64_t i = 0; i < f->n; i++)
            key[i] = isnan(x[order[i]]) ? UINT64_MAX : rad_key_of(x[order[i]]);
        st = rad_key_sort_index(key, order, f->n, err);
    }
    free(key);
    return st;
}

static rad_status call_sorted(const rad_stat_function *s, const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    rad_status st = RAD_OK;
    int64_t *order = rad_new_ints(f->n);
    rad_column *column = rad_calloc((size_t)f->n_column, sizeof *column);
    double *value = rad_new_doubles(f->n * f->n_column);
    if (!order || !column || !value) {
        st = rad_no_memory(err);
        goto out;
    }
    RAD_TRY(canonical_order(f, order, err));
    for (int64_t c = 0; c < f->n_column; c++) {
        double *v = value + c * f->n;
        for (int64_t i = 0; i < f->n; i++)
            v[i] = f->column[c].value[order[i]];
        column[c] = f->column[c];
        column[c].value = v;
    }
    const rad_frame sorted = {.n = f->n, .n_column = f->n_column, .column = column};
    st = s->fn(&sorted, arg, n_arg, doc, err);
out:
    free(order);
    free(column);
    free(value);
    return st;
}

rad_status rad_stat_call(const rad_stat_function *s, const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    gsl_set_error_handler_off(); /* GSL's own handler aborts the process; a NaN and a reason are our answer */
    const bool as_is = s->kind != RAD_STAT_AGGREGATE || (s->flags & RAD_STAT_ORDER_FREE) || f->n < 2;
    const rad_status st = as_is ? s->fn(f, arg, n_arg, doc, err) : call_sorted(s, f, arg, n_arg, doc, err);
    return st == RAD_OK ? rad_doc_status(doc, err) : st;
}
