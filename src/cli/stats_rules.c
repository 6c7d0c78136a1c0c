/* stats_rules.c: below the headline of `radcohort stats`: cross-validation, and the headline under every aggregation rule. */
#include "stats_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

enum { MAX_LINES = 14 };

typedef struct extra {
    table t;
    char *model, *unit, *class_name; /* of the last line */
    const char *only;                /* stratum of the table of rules: all, or NULL for the cohorts */
    const char *only_class;          /* the first endpoint of the table of rules, or NULL: every class */
    char *point;                     /* the operating point that is shown */
    double lowest, highest;          /* AUC of a fold */
    int n_fold;
    int64_t left;
} extra;

enum { RULE_UNIT, RULE_CLASS, RULE_STRATUM, RULE_NAME, RULE_FIRST_MODEL };
enum { CV_MODEL, CV_UNIT, CV_CLASS, CV_N, CV_FOLDS, CV_POOLED, CV_MEAN, CV_RANGE, CV_FIRST_SHARE };

static bool is(const char *a, const char *b) {
    return a && b && strcmp(a, b) == 0;
}

static char *with_interval(const rad_statistic_row *r) {
    return isnan(r->est)     ? rad_strdup("-")
           : isnan(r->lower) ? rad_asprintf("%.3f", r->est)
                             : rad_asprintf("%.3f (%.3f to %.3f)", r->est, r->lower, r->upper);
}

/* The column under this title, which gets one without when there is none; -1 when the table is full. */
static int column_of(table *t, int first, char *title) {
    int c = first;
    if (!title || t->failed) {
        t->failed = true;
        free(title);
        return -1;
    }
    while (c < TABLE_MAX_COLUMNS && table_cell(t, 0, c) && strcmp(table_cell(t, 0, c), title) != 0)
        c++;
    if (c < TABLE_MAX_COLUMNS && !table_cell(t, 0, c)) {
        table_put_at(t, 0, c, title);
        return c;
    }
    free(title);
    return c < TABLE_MAX_COLUMNS ? c : -1;
}

/* True when the row goes on the last line. */
static bool same_line(const extra *x, const rad_statistic_row *r) {
    return is(x->model, r->model) && is(x->unit, r->unit) && is(x->class_name, r->class_name);
}

static void next_line(extra *x, const rad_statistic_row *r) {
    free(x->model);
    free(x->unit);
    free(x->class_name);
    x->model = rad_strdup(r->model);
    x->unit = rad_strdup(r->unit);
    x->class_name = rad_strdup(r->class_name);
    x->t.failed = x->t.failed || !x->model || !x->unit || !x->class_name;
    table_row(&x->t);
    table_put(&x->t, CV_MODEL, rad_strdup(r->model));
    table_put(&x->t, CV_UNIT, rad_strdup(r->unit));
    table_put(&x->t, CV_CLASS, rad_strdup(r->class_name));
}

/* The line of a unit, class, stratum and rule, or 0. */
static size_t line_of(const table *t, const rad_statistic_row *r) {
    const char *const key[] = {r->unit, r->class_name, r->stratum, r->versus};
    for (size_t i = 1; i < t->n_row && !t->failed; i++) {
        int k = 0;
        while (k < 4 && is(table_cell(t, i, k), key[k]))
            k++;
        if (k == 4)
            return i;
    }
    return 0;
}

/* A model's cell: "0.935  0.87/0.91". The rows come in the order of the places they take in it. */
static int rule_row(const rad_statistic_row *r, void *payload) {
    extra *x = payload;
    table *t = &x->t;
    if (strncmp(r->name, "exploratory_", 12) != 0 || !r->class_name || (x->only && !is(r->stratum, x->only)))
        return 0;
    const bool auc = is(r->name, "exploratory_auc"), sens = is(r->name, "exploratory_sensitivity");
    if (x->only_class && !is(r->class_name, x->only_class)) {
        x->left += auc;
        return 0;
    }
    if (r->point && !x->point && !(x->point = rad_strdup(r->point)))
        t->failed = true;
    if (r->point && !is(x->point, r->point))
        return t->failed; /* one point fits; the others are in the rows */
    size_t line = line_of(t, r);
    if (line == 0 && t->n_row > MAX_LINES) {
        x->left += auc;
        return 0;
    }
    if (line == 0) {
        line = t->n_row;
        table_row(t);
        table_put(t, RULE_UNIT, rad_strdup(r->unit));
        table_put(t, RULE_CLASS, rad_strdup(r->class_name));
        table_put(t, RULE_STRATUM, rad_strdup(r->stratum));
        table_put(t, RULE_NAME, rad_strdup(r->versus));
    }
    int c = column_of(t, RULE_FIRST_MODEL, rad_strdup(r->model));
    if (c < 0 || t->failed)
        return t->failed;
    const char *old = table_cell(t, line, c) ? table_cell(t, line, c) : "";
    char value[16];
    snprintf(value, sizeof value, isnan(r->est) ? "-" : auc ? "%.3f" : "%.2f", r->est);
    table_put_at(t, line, c, rad_asprintf("%s%s%s", old, auc ? "" : sens ? "  " : "/", value));
    return t->failed;
}

static int fold_row(const rad_statistic_row *r, void *payload) {
    extra *x = payload;
    table *t = &x->t;
    if (strcmp(r->stratum_kind, "fold") != 0 || !r->class_name)
        return 0;
    const bool all = is(r->stratum, "all"), auc = is(r->name, "auc");
    if (!same_line(x, r)) {
        next_line(x, r);
        x->lowest = INFINITY;
        x->highest = -INFINITY;
        x->n_fold = 0;
    }
    const size_t line = t->n_row - 1;
    if (!all && auc) {
        x->n_fold++;
        x->lowest = fmin(x->lowest, r->est);
        x->highest = fmax(x->highest, r->est);
    } else if (all && auc) {
        table_put_at(t, line, CV_N, rad_asprintf("%" PRId64, r->n));
        table_put_at(t, line, CV_FOLDS, rad_asprintf("%d", x->n_fold));
        table_put_at(t, line, CV_POOLED, with_interval(r));
        table_put_at(t, line, CV_RANGE, x->highest >= x->lowest ? rad_asprintf("%.3f to %.3f", x->lowest, x->highest) : rad_strdup("-"));
    } else if (all && is(r->name, "auc_clustered")) {
        table_put_at(t, line, CV_POOLED, with_interval(r));
    } else if (all && is(r->name, "auc_cv")) {
        table_put_at(t, line, CV_MEAN, with_interval(r));
    } else if (all && (is(r->name, "sensitivity_cv") || is(r->name, "specificity_cv") || is(r->name, "accuracy_cv"))) {
        int c = column_of(t, CV_FIRST_SHARE, rad_asprintf("%.11s at %s", r->name, r->point));
        if (c >= 0)
            table_put_at(t, line, c, with_interval(r));
    }
    return t->failed;
}

static void begin(table *t, const char *const *title, int n, int first_right) {
    t->n_column = TABLE_MAX_COLUMNS;
    for (int i = first_right; i < TABLE_MAX_COLUMNS; i++)
        t->right[i] = true;
    table_row(t);
    for (int i = 0; i < n; i++)
        table_put(t, i, rad_strdup(title[i]));
}

static void release(extra *x) {
    table_release(&x->t);
    free(x->model);
    free(x->unit);
    free(x->class_name);
    free(x->point);
}

static rad_status fill(rad_store *db, const rad_run_status *run, int (*row)(const rad_statistic_row *, void *), extra *x, rad_error *err) {
    rad_status st = rad_store_each_statistic(db, run->run, row, x, err);
    return x->t.failed ? rad_error_set(err, RAD_E_NOMEM, "out of memory for the table") : st;
}

rad_status rad_stats_print_folds(rad_store *db, const rad_run_status *run, rad_error *err) {
    static const char *const TITLE[] = {"model", "unit", "class", "n", "folds", "AUC pooled", "AUC mean of folds", "lowest to highest"};
    extra x = {.model = NULL};
    begin(&x.t, TITLE, CV_FIRST_SHARE, CV_N);
    rad_status st = fill(db, run, fold_row, &x, err);
    if (st == RAD_OK && x.t.n_row > 1) {
        printf("\ncross-validation (every score out of fold)\n");
        table_print(&x.t, stdout);
        printf("means of folds: influence-curve intervals, for these networks, not for other training data; each fold: --details\n");
    }
    release(&x);
    return st;
}

/* What the table of rules is about: everyone when there is that stratum, and the first class with operating points: an endpoint is why a
 * job of many classes has them. */
typedef struct about {
    bool all, failed;
    char *class_name;
} about;

static int about_row(const rad_statistic_row *r, void *payload) {
    about *a = payload;
    if (strncmp(r->name, "exploratory_", 12) != 0 || !r->class_name)
        return 0;
    a->all = a->all || is(r->stratum, "all");
    if (r->point && !a->class_name)
        a->failed = !(a->class_name = rad_strdup(r->class_name));
    return a->failed;
}

rad_status rad_stats_print_rules(rad_store *db, const rad_run_status *run, rad_error *err) {
    static const char *const TITLE[] = {"unit", "class", "stratum", "rule"};
    about a = {.all = false};
    extra x = {.model = NULL};
    rad_status st = rad_store_each_statistic(db, run->run, about_row, &a, err);
    if (a.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st != RAD_OK) {
        free(a.class_name);
        return st;
    }
    x.only = a.all ? "all" : NULL;
    x.only_class = a.class_name;
    begin(&x.t, TITLE, RULE_FIRST_MODEL, RULE_FIRST_MODEL);
    st = fill(db, run, rule_row, &x, err);
    if (st == RAD_OK && x.t.n_row > 1) {
        printf("\nEXPLORATORY: the same under every aggregation rule; AUC%s%s\n", x.point ? ", sensitivity/specificity at " : "",
               x.point ? x.point : "");
        table_print(&x.t, stdout);
        printf("the declared rules are the result: to pick others here is to tune on the test set; intervals: --csv\n");
        if (x.left > 0)
            printf("%" PRId64 " further lines: --csv\n", x.left);
    }
    release(&x);
    free(a.class_name);
    return st;
}
