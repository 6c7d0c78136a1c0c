/* stats_more.c: the printed summary of `radcohort stats`: models against each other, readers beside the model, and all further rows. */
#include "stats_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

enum { MAX_LINES = 12 }; /* of a table below the headline */

static bool is(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

static void heading(table *t, const char *const *title, int n, int first_right) {
    t->n_column = n;
    for (int i = first_right; i < n; i++)
        t->right[i] = true;
    table_row(t);
    for (int i = 0; i < n; i++)
        table_put(t, i, rad_strdup(title[i]));
}

static void put_p(table *t, size_t line, int column, double p) {
    table_put_at(t, line, column, isnan(p) ? rad_strdup("-") : rad_stats_p_text(p));
}

static void put_difference(table *t, size_t line, int column, const rad_statistic_row *r) {
    table_put_at(t, line, column,
                 isnan(r->est)     ? rad_strdup("-")
                 : isnan(r->lower) ? rad_asprintf("%+.3f", r->est)
                                   : rad_asprintf("%+.3f (%+.3f to %+.3f)", r->est, r->lower, r->upper));
}

/* ---------------------------------------------------------------- below the headline */

enum { PAIR_FIRST, PAIR_SECOND, PAIR_CLASS, PAIR_STRATUM, PAIR_N, PAIR_DIFFERENCE, PAIR_P, PAIR_ADJUSTED, N_PAIR };
enum {
    READ_MODEL,
    READ_POINT,
    READ_READER,
    READ_STRATUM,
    READ_SENS,
    READ_SENS_DIFF,
    READ_SENS_P,
    READ_SPEC,
    READ_SPEC_DIFF,
    READ_SPEC_P,
    N_READ
};

typedef struct compared {
    const char *unit;
    bool all; /* the job declares the stratum `all`: it is the one shown */
    bool clustered, many_classes;
    char *class_name; /* the first */
    table pair, reader, alone;
    int64_t pairs_left, lines_left;
} compared;

/* The line of `t` whose first columns are these texts; makes it. MAX_LINES lines are full: 0. */
static size_t line_of(table *t, const char *const *key, int n, int64_t max) {
    for (size_t i = 1; i < t->n_row; i++) {
        bool same = true;
        for (int k = 0; k < n && same; k++)
            same = is(table_cell(t, i, k), key[k]);
        if (same)
            return i;
    }
    if ((int64_t)t->n_row > max)
        return 0;
    table_row(t);
    for (int k = 0; k < n; k++)
        table_put(t, k, rad_strdup(key[k]));
    return t->failed ? 0 : t->n_row - 1;
}

static void pair_row(compared *c, const rad_statistic_row *r) {
    const char *const key[] = {r->model, r->versus, r->class_name, r->stratum};
    table *t = &c->pair;
    const size_t line = line_of(t, key, 4, MAX_LINES);
    if (line == 0) {
        c->pairs_left += is(r->name, "auc_paired_difference");
        return;
    }
    c->clustered = c->clustered || !is(r->name, "auc_paired_difference"); /* the clustered row follows its naive one */
    table_put_at(t, line, PAIR_N, rad_asprintf("%" PRId64, r->n));
    put_difference(t, line, PAIR_DIFFERENCE, r);
    put_p(t, line, PAIR_P, r->p);
    put_p(t, line, PAIR_ADJUSTED, r->p_adjusted);
}

static void reader_row(compared *c, const rad_statistic_row *r) {
    const bool sens = strstr(r->name, "sensitivity") != NULL;
    if (!r->point) { /* the reader's own share comes before the comparisons */
        const char *const own[] = {r->model, r->versus, r->stratum, sens ? "1" : "0"};
        const size_t line = line_of(&c->alone, own, 4, INT32_MAX);
        table_put_at(&c->alone, line, 4,
                     isnan(r->est) ? rad_strdup("-") : rad_asprintf("%.3f (%" PRId64 "/%" PRId64 ")", r->est, r->n_pos, r->n));
        return;
    }
    const char *const own[] = {r->model, r->versus, r->stratum, sens ? "1" : "0"}, *const key[] = {r->model, r->point, r->versus,
                                                                                                   r->stratum};
    table *t = &c->reader;
    const size_t line = line_of(t, key, 4, MAX_LINES);
    if (line == 0) {
        c->lines_left += is(r->name, "sensitivity_vs_reader");
        return;
    }
    const size_t from = line_of(&c->alone, own, 4, INT32_MAX);
    if (!c->alone.failed && table_cell(&c->alone, from, 4))
        table_put_at(t, line, sens ? READ_SENS : READ_SPEC, rad_strdup(table_cell(&c->alone, from, 4)));
    put_difference(t, line, sens ? READ_SENS_DIFF : READ_SPEC_DIFF, r);
    put_p(t, line, sens ? READ_SENS_P : READ_SPEC_P, r->p);
}

static int compared_row(const rad_statistic_row *r, void *payload) {
    compared *c = payload;
    if (!is(r->unit, c->unit) || !r->class_name)
        return 0;
    c->all = c->all || is(r->stratum_kind, "all"); /* comes first */
    if (!is(r->stratum_kind, c->all ? "all" : "cohort") || !r->versus)
        return 0;
    if (!c->class_name)
        c->class_name = rad_strdup(r->class_name);
    c->many_classes = c->many_classes || (c->class_name && !is(c->class_name, r->class_name));
    if (strncmp(r->name, "auc_paired_difference", 21) == 0)
        pair_row(c, r);
    else if ((!r->point || !strstr(r->point, "youden (internal)")) &&
             (is(r->name, "reader_sensitivity") || is(r->name, "reader_specificity") || is(r->name, "sensitivity_vs_reader") ||
              is(r->name, "specificity_vs_reader")))
        reader_row(c, r);
    return c->pair.failed || c->reader.failed || c->alone.failed;
}

static void drop_column(table *t, int column) {
    for (size_t i = 1; i < t->n_row; i++)
        table_put_at(t, i, column, rad_strdup(""));
}

static rad_status print_unit(rad_store *db, const rad_run_status *run, const char *unit, rad_error *err) {
    static const char *const PAIR[N_PAIR] = {"model", "against", "class", "stratum", "n", "AUC difference (95% interval)", "p", "p (Holm)"};
    static const char *const READ[N_READ] = {"model",       "call at", "reader",      "stratum",     "sensitivity",
                                             "model minus", "p",       "specificity", "model minus", "p"};
    static const char *const ALONE[5] = {"model", "reader", "stratum", "label", "share"};
    compared c = {.unit = unit};
    heading(&c.pair, PAIR, N_PAIR, PAIR_N);
    heading(&c.reader, READ, N_READ, READ_SENS);
    heading(&c.alone, ALONE, 5, 5);
    rad_status st = rad_store_each_statistic(db, run->run, compared_row, &c, err);
    if (!c.many_classes)
        drop_column(&c.pair, PAIR_CLASS);
    if (c.all) {
        drop_column(&c.pair, PAIR_STRATUM);
        drop_column(&c.reader, READ_STRATUM);
    }
    if (c.pair.failed || c.reader.failed || c.alone.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st == RAD_OK && c.pair.n_row > 1) {
        printf("\nmodels compared (paired, unit %s, stratum %s)\n", unit, c.all ? "all" : "by cohort");
        table_print(&c.pair, stdout);
        printf("units that all models have scored; %s\n", c.clustered ? "patients as clusters (Obuchowski 1997)" : "paired DeLong 1988");
        if (c.pairs_left > 0)
            printf("%" PRId64 " further pairs: --details\n", c.pairs_left);
    }
    if (st == RAD_OK && c.reader.n_row > 1) {
        printf("\nreaders (unit %s, stratum %s)\n", unit, c.all ? "all" : "by cohort");
        table_print(&c.reader, stdout);
        printf("units that reader and model have judged; p: exact McNemar test%s\n",
               run->case_unit[0] == 'l' && is(unit, "lesion") ? ", lesions treated as independent (clustered: --details)" : "");
        if (c.lines_left > 0)
            printf("%" PRId64 " further lines: --details\n", c.lines_left);
    }
    table_release(&c.pair);
    table_release(&c.reader);
    table_release(&c.alone);
    free(c.class_name);
    return st;
}

rad_status rad_stats_print_compared(rad_store *db, const rad_run_status *run, rad_error *err) {
    rad_status st = is(run->case_unit, "lesion") ? print_unit(db, run, "lesion", err) : RAD_OK;
    return st == RAD_OK ? print_unit(db, run, "patient", err) : st;
}

/* ---------------------------------------------------------------- below the details */

enum { MORE_NUMBER, MORE_STRATUM, MORE_POINT, MORE_VERSUS, MORE_N, MORE_EST, MORE_INTERVAL, MORE_P, MORE_ADJUSTED, MORE_NOTE, N_MORE };

typedef struct further {
    table t;
    char *model, *unit, *class_name;
} further;

static void end_further(further *f) {
    if (f->t.n_row > 1) {
        printf("\nfurther numbers: model %s, unit %s, %s%s\n", f->model, f->unit, f->class_name[0] ? "class " : "all classes",
               f->class_name);
        table_print(&f->t, stdout);
    }
    table_release(&f->t);
    free(f->model);
    free(f->unit);
    free(f->class_name);
    *f = (further){.model = NULL};
}

static int further_row(const rad_statistic_row *r, void *payload) {
    static const char *const TITLE[N_MORE] = {"number",   "stratum",      "call at", "against",  "n",
                                              "estimate", "95% interval", "p",       "p (Holm)", "note"};
    further *f = payload;
    const char *class_name = r->class_name ? r->class_name : "";
    if (rad_stats_is_auc(r) || rad_stats_is_share(r))
        return 0;
    if (!f->model || !is(f->model, r->model) || !is(f->unit, r->unit) || !is(f->class_name, class_name)) {
        end_further(f);
        f->model = rad_strdup(r->model);
        f->unit = rad_strdup(r->unit);
        f->class_name = rad_strdup(class_name);
        heading(&f->t, TITLE, N_MORE, MORE_N);
        f->t.right[MORE_NOTE] = false;
        f->t.failed = f->t.failed || !f->model || !f->unit || !f->class_name;
    }
    table *t = &f->t;
    table_row(t);
    table_put(t, MORE_NUMBER, rad_strdup(r->name));
    table_put(t, MORE_STRATUM, rad_strdup(r->stratum));
    if (r->point)
        table_put(t, MORE_POINT, rad_strdup(r->point));
    if (r->versus)
        table_put(t, MORE_VERSUS, rad_strdup(r->versus));
    table_put(t, MORE_N, rad_asprintf("%" PRId64, r->n));
    table_put(t, MORE_EST, isnan(r->est) ? rad_strdup("-") : rad_asprintf("%.3f", r->est));
    if (!isnan(r->lower) && !isnan(r->upper))
        table_put(t, MORE_INTERVAL, rad_asprintf("%.3f to %.3f", r->lower, r->upper));
    if (!isnan(r->p))
        table_put(t, MORE_P, rad_stats_p_text(r->p));
    if (!isnan(r->p_adjusted))
        table_put(t, MORE_ADJUSTED, rad_stats_p_text(r->p_adjusted));
    if (r->reason)
        table_put(t, MORE_NOTE, rad_asprintf("(%s)", r->reason));
    return t->failed;
}

rad_status rad_stats_print_further(rad_store *db, const rad_run_status *run, rad_error *err) {
    further f = {.model = NULL};
    rad_status st = rad_store_each_statistic(db, run->run, further_row, &f, err);
    if (f.t.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st != RAD_OK)
        f.t.n_row = 0; /* half a table is not printed */
    end_further(&f);
    return st;
}
