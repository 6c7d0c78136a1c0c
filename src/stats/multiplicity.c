/* multiplicity: adjusted p values as R's p.adjust defines them. */
#include "multiplicity.h"

#include "impl.h"

const char *const rad_adjust_methods[] = {"none", "bonferroni", "holm", "hochberg", "BH", "BY", "hommel", "fdr", NULL};
enum { NONE, BONFERRONI, HOLM, HOCHBERG, BH, BY, HOMMEL, FDR };

/* Hommel 1988 as in Wright 1992: p sorted upwards in place of q. */
static rad_status hommel(const double *p, int64_t n, double *ret, rad_error *err) {
    double *q = rad_new_doubles(n), *pa = rad_new_doubles(n);
    if (!q || !pa) {
        free(q);
        free(pa);
        return rad_no_memory(err);
    }
    double least = INFINITY;
    for (int64_t i = 0; i < n; i++)
        least = fmin(least, (double)n * p[i] / (double)(i + 1));
    for (int64_t i = 0; i < n; i++)
        q[i] = pa[i] = least;
    for (int64_t m = n - 1; m >= 2; m--) {
        double q1 = INFINITY;
        for (int64_t j = 2; j <= m; j++) /* i2 = n-m+2 .. n */
            q1 = fmin(q1, (double)m * p[n - m + j - 1] / (double)j);
        for (int64_t i = 0; i <= n - m; i++)
            q[i] = fmin((double)m * p[i], q1);
        for (int64_t i = n - m + 1; i < n; i++)
            q[i] = q[n - m];
        for (int64_t i = 0; i < n; i++)
            pa[i] = fmax(pa[i], q[i]);
    }
    for (int64_t i = 0; i < n; i++)
        ret[i] = rad_at_most(fmax(pa[i], p[i]), 1);
    free(q);
    free(pa);
    return RAD_OK;
}

static void step_up(const double *p, int64_t n, double factor, bool divide, double *ret) {
    double run = 1;
    for (int64_t i = n; i-- > 0;) {
        const double x = divide ? factor * (double)n / (double)(i + 1) * p[i] : (double)(n - i) * p[i];
        run = fmin(run, x);
        ret[i] = run;
    }
}

rad_status rad_p_adjust(const double *p, int64_t n_all, int method, double *ret, rad_error *err) {
    rad_status st = RAD_OK;
    int64_t *order = rad_new_ints(n_all), *keep = rad_new_ints(n_all);
    double *sorted = rad_new_doubles(n_all), *adjusted = rad_new_doubles(n_all), *plain = rad_new_doubles(n_all);
    if (!order || !keep || !sorted || !adjusted || !plain) {
        st = rad_no_memory(err);
        goto out;
    }
    int64_t n = 0;
    for (int64_t i = 0; i < n_all; i++)
        if (!isnan(p[i])) {
            plain[n] = p[i];
            keep[n++] = i;
        }
    RAD_TRY(rad_order(plain, n, order, err));
    for (int64_t i = 0; i < n; i++)
        sorted[i] = plain[order[i]];
    double run = 0, harmonic = 0;
    for (int64_t i = 0; i < n; i++)
        harmonic += 1 / (double)(i + 1);
    switch (method) {
    case BONFERRONI:
        for (int64_t i = 0; i < n; i++)
            adjusted[i] = rad_at_most((double)n * sorted[i], 1);
        break;
    case HOLM:
        for (int64_t i = 0; i < n; i++) {
            run = fmax(run, (double)(n - i) * sorted[i]);
            adjusted[i] = rad_at_most(run, 1);
        }
        break;
    case HOCHBERG:
        step_up(sorted, n, 1, false, adjusted);
        break;
    case BH:
    case FDR:
        step_up(sorted, n, 1, true, adjusted);
        break;
    case BY:
        step_up(sorted, n, harmonic, true, adjusted);
        break;
    case HOMMEL:
        if (n > 1)
            RAD_TRY(hommel(sorted, n, adjusted, err));
        else if (n == 1)
            adjusted[0] = sorted[0];
        break;
    default:
        memcpy(adjusted, sorted, (size_t)n * sizeof *sorted);
    }
    for (int64_t i = 0; i < n_all; i++)
        ret[i] = NAN;
    for (int64_t i = 0; i < n; i++)
        ret[keep[order[i]]] = adjusted[i];
out:
    free(order);
    free(keep);
    free(sorted);
    free(adjusted);
    free(plain);
    return st;
}

/* Constants: method. Column 0: p; further columns are carried along untouched by their first column only (an id). */
static rad_status adjust_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    int method;
    rad_status st = rad_arg_word(rad_arg_text(arg, n_arg, 0, "holm"), "method", rad_adjust_methods, &method, err);
    if (st != RAD_OK)
        return st;
    double *adjusted = rad_new_doubles(f->n);
    if (!adjusted)
        return rad_no_memory(err);
    const rad_column *p = &f->column[f->n_column - 1];
    for (int64_t i = 0; i < f->n; i++)
        if (p->value[i] < 0 || p->value[i] > 1)
            RAD_TRY(rad_error_set(err, RAD_E_USAGE, "p value %g: expected numbers from 0 to 1", p->value[i]));
    RAD_TRY(rad_p_adjust(p->value, f->n, method, adjusted, err));
    int64_t m = 0;
    rad_doc_open_list(doc, "rows");
    for (int64_t i = 0; i < f->n; i++) {
        m += !isnan(p->value[i]);
        rad_doc_open(doc, NULL);
        if (f->n_column > 1 && !isnan(f->column[0].value[i]))
            rad_doc_text(doc, "id", f->column[0].level[(int64_t)f->column[0].value[i]]);
        rad_doc_num(doc, "p", p->value[i]);
        rad_doc_num(doc, "p_adjusted", adjusted[i]);
        rad_doc_close(doc);
    }
    rad_doc_close(doc);
    rad_doc_int(doc, "n_tests", m);
    rad_doc_text(doc, "method", rad_adjust_methods[method]);
out:
    free(adjusted);
    return st;
}

static const rad_stat_function functions[] = {
    {"p_adjust", "'SELECT id, p ...'[, method = 'holm']",
     "adjusted p values in the order of the rows: bonferroni, holm, hochberg, hommel, BH (= fdr), BY, none; NULL stays NULL and is not "
     "counted "
     "(R p.adjust)",
     "id,p,p_adjusted", "cn", "t", 1, 0, RAD_STAT_TABLE, adjust_doc},
    {"p_adjust_json", "p[, method = 'holm']", "adjusted p values, sorted, as JSON", NULL, "n", "t", 1, 0, RAD_STAT_AGGREGATE, adjust_doc},
};
RAD_STAT_TOPIC(rad_topic_multiplicity, functions);
