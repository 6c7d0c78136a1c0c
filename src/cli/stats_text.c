/* stats_text.c: the printed summary of `radcohort stats`: headline and details. */
#include "stats_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

char *rad_stats_p_text(double p) {
    return p < 0.001 ? rad_strdup("< 0.001") : rad_asprintf("%.3f", p);
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool rad_stats_is_auc(const rad_statistic_row *r) {
    return !r->point && !r->versus && r->class_name &&
           (strcmp(r->name, "auc") == 0 || strcmp(r->name, "auc_clustered") == 0 || strncmp(r->name, "auc_difference", 14) == 0);
}

bool rad_stats_is_share(const rad_statistic_row *r) {
    return r->point && !r->versus &&
           (strncmp(r->name, "accuracy", 8) == 0 ||
            ((strncmp(r->name, "sensitivity", 11) == 0 || strncmp(r->name, "specificity", 11) == 0) && !ends_with(r->name, "_corrected")));
}

static const char *plural(const char *unit) {
    return strcmp(unit, "lesion") == 0 ? "lesions" : strcmp(unit, "patient") == 0 ? "patients" : "slices";
}

static void print_run(const rad_run_status *run) {
    printf("run %" PRId64 " of job %s, %s %s, %s %s: %" PRId64 " cases (unit %s), %" PRId64 " with exclusions\n", run->run, run->job,
           run->backend, run->precision, run->state, run->finished, run->n_case, run->case_unit, run->n_excluded);
}

/* ---------------------------------------------------------------- headline */

enum { HEAD_CLASS, HEAD_STRATUM, HEAD_COHORT, HEAD_N, HEAD_POS, HEAD_FIRST_MODEL, HEAD_MODELS = 4 /* side by side on a terminal */ };

/* One table: a unit and up to HEAD_MODELS models. Rows come model by model: the first makes the lines, the others fill them. A job with
 * more than one class or endpoint has a line for each of them in everyone, internal and external; centers and differences are left to
 * --details. */
typedef struct headline {
    const char *unit; /* which unit is wanted */
    char *class_name; /* the first one */
    char *model;      /* of the column in hand */
    table t;
    int column;                                  /* of the model in hand */
    bool many_classes, broad, clustered, ragged; /* broad: there are strata besides the centers; ragged: models differ in number of units */
} headline;

static void headline_end(headline *h) {
    if (h->t.n_row > 1) {
        printf("\nAUC (95%% interval), unit %s%s%s\n", h->unit, h->many_classes ? "" : ", class ", h->many_classes ? "" : h->class_name);
        table_print(&h->t, stdout);
        printf("%s%s%s\n", h->clustered ? "intervals with patients as clusters (Obuchowski 1997)" : "intervals: DeLong 1988",
               h->ragged ? "; counts of the first model: others have missing scores" : "",
               !h->many_classes ? ""
               : h->broad       ? "; each class against the others; centers and differences: --details"
                                : "; each class against the others; differences: --details");
    }
    table_release(&h->t);
    free(h->class_name);
    free(h->model);
    h->class_name = h->model = NULL;
    h->clustered = h->ragged = false;
}

static void headline_begin(headline *h, const rad_statistic_row *r) {
    h->t = (table){.n_column = TABLE_MAX_COLUMNS, .right = {[HEAD_N] = true, [HEAD_POS] = true}};
    h->class_name = rad_strdup(r->class_name);
    h->column = HEAD_FIRST_MODEL - 1;
    table_row(&h->t);
    const char *const title[] = {"class", "stratum", "cohort", plural(r->unit), "positive"};
    for (int i = 0; i < HEAD_FIRST_MODEL; i++)
        table_put(&h->t, i, rad_strdup(title[i]));
    h->t.failed = h->t.failed || !h->class_name;
}

/* "0.959 (0.924 to 0.995)" */
static char *auc_cell(const rad_statistic_row *r, bool contrast) {
    if (isnan(r->est))
        return rad_strdup("-");
    if (isnan(r->lower))
        return rad_asprintf(contrast ? "%+.3f" : "%.3f", r->est);
    return contrast ? rad_asprintf("%+.3f (%+.3f to %+.3f)", r->est, r->lower, r->upper)
                    : rad_asprintf("%.3f (%.3f to %.3f)", r->est, r->lower, r->upper);
}

/* The line of a class (none in a table of one class) and stratum, made when it is not there. */
static size_t headline_line(headline *h, const rad_statistic_row *r, bool contrast) {
    table *t = &h->t;
    for (size_t i = 1; i < t->n_row && !t->failed; i++)
        if ((!h->many_classes || strcmp(table_cell(t, i, HEAD_CLASS), r->class_name) == 0) &&
            strcmp(table_cell(t, i, HEAD_STRATUM), r->stratum) == 0)
            return i;
    table_row(t);
    if (h->many_classes)
        table_put(t, HEAD_CLASS, rad_strdup(r->class_name));
    table_put(t, HEAD_STRATUM, rad_strdup(r->stratum));
    if (strcmp(r->stratum_kind, "center") == 0)
        table_put(t, HEAD_COHORT, rad_strdup(r->cohort));
    if (!contrast) {
        table_put(t, HEAD_N, rad_asprintf("%" PRId64, r->n));
        table_put(t, HEAD_POS, rad_asprintf("%" PRId64, r->n_pos));
    } else { /* the p value stands on a line of its own below its difference */
        table_row(t);
        table_put(t, HEAD_STRATUM, rad_strdup("    p"));
    }
    return t->failed ? 0 : t->n_row - (contrast ? 2 : 1);
}

static int headline_row(const rad_statistic_row *r, void *payload) {
    headline *h = payload;
    table *t = &h->t;
    bool contrast = strcmp(r->stratum_kind, "contrast") == 0, clustered = ends_with(r->name, "_clustered");
    if (!rad_stats_is_auc(r) || strcmp(r->unit, h->unit) != 0 || strcmp(r->stratum_kind, "fold") == 0)
        return 0; /* cross-validation has a table of its own */
    if (h->many_classes && (contrast || (h->broad && strcmp(r->stratum_kind, "center") == 0)))
        return 0;
    bool other_model = !h->model || strcmp(h->model, r->model) != 0;
    if (!h->class_name || (other_model && h->column + 1 == HEAD_FIRST_MODEL + HEAD_MODELS)) {
        headline_end(h);
        headline_begin(h, r);
        other_model = true;
    }
    if (other_model && !t->failed) {
        free(h->model);
        h->model = rad_strdup(r->model);
        h->column++;
        table_put_at(t, 0, h->column, rad_strdup(r->model));
        t->failed = t->failed || !h->model;
    }
    const size_t line = t->failed ? 0 : headline_line(h, r, contrast);
    if (t->failed)
        return -1;
    if (!clustered && !contrast) {
        char n[24];
        snprintf(n, sizeof n, "%" PRId64, r->n);
        h->ragged = h->ragged || strcmp(table_cell(t, line, HEAD_N), n) != 0;
    }
    h->clustered = h->clustered || clustered;
    table_put_at(t, line, h->column, auc_cell(r, contrast));
    if (contrast)
        table_put_at(t, line + 1, h->column, isnan(r->p) ? rad_strdup("-") : rad_stats_p_text(r->p));
    return t->failed ? -1 : 0;
}

/* Has this unit more than one class or endpoint, and strata besides the centers? Then a line for each center would fill screens. */
typedef struct classes {
    const char *unit;
    char *first;
    bool many, broad, failed;
} classes;

static int classes_row(const rad_statistic_row *r, void *payload) {
    classes *c = payload;
    if (!rad_stats_is_auc(r) || strcmp(r->unit, c->unit) != 0)
        return 0;
    if (!c->first)
        c->failed = !(c->first = rad_strdup(r->class_name));
    c->many = c->many || (c->first && strcmp(c->first, r->class_name) != 0);
    c->broad = c->broad || strcmp(r->stratum_kind, "all") == 0 || strcmp(r->stratum_kind, "cohort") == 0;
    return c->failed;
}

static rad_status print_headline_unit(rad_store *db, const rad_run_status *run, const char *unit, rad_error *err) {
    headline h = {.unit = unit};
    classes c = {.unit = unit};
    rad_status st = rad_store_each_statistic(db, run->run, classes_row, &c, err);
    h.many_classes = c.many;
    h.broad = c.broad;
    free(c.first);
    if (st == RAD_OK)
        st = rad_store_each_statistic(db, run->run, headline_row, &h, err);
    if (h.t.failed || c.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st != RAD_OK)
        table_release(&h.t); /* half a table is not printed */
    headline_end(&h);
    return st;
}

static int find_units(const rad_statistic_row *r, void *payload) {
    bool *any = payload;
    *any = *any || (strncmp(r->name, "auc", 3) == 0 && r->n > 0);
    return *any;
}

/* What is asked first is printed last: it is what a terminal shows when the command is done. */
rad_status rad_stats_print_headline(rad_store *db, const rad_run_status *run, rad_error *err) {
    rad_status st = RAD_OK;
    bool any = false;
    RAD_TRY(rad_store_each_statistic(db, run->run, find_units, &any, err));
    if (!any) { /* tables of dashes would only hide it */
        print_run(run);
        printf("no unit has both a score and a known label: 'radcohort status' says what was excluded and why\n");
        return RAD_OK;
    }
    RAD_TRY(rad_stats_print_regressions(db, run, err));
    RAD_TRY(rad_stats_print_rules(db, run, err));
    RAD_TRY(rad_stats_print_folds(db, run, err));
    RAD_TRY(rad_stats_print_compared(db, run, err));
    RAD_TRY(rad_stats_print_grades(db, run, err));
    if (strcmp(run->case_unit, "patient") != 0)
        RAD_TRY(print_headline_unit(db, run, "lesion", err));
    RAD_TRY(print_headline_unit(db, run, "patient", err));
    printf("\n");
    print_run(run);
    printf("more: --details (slices, intervals, operating points, calibration, centers); every row: --csv, --json\n");
out:
    return st;
}

/* ---------------------------------------------------------------- details */

enum { COL_STRATUM, COL_COHORT, COL_N, COL_POS, COL_MISSING, COL_EST, COL_NAIVE, COL_CLUSTERED, COL_P, COL_P_CLUSTERED, COL_NOTE, N_COL };
enum { OP_STRATUM, OP_COHORT, OP_POINT, OP_SENS, OP_SENS_INTERVAL, OP_SPEC, OP_SPEC_INTERVAL, OP_ACC, OP_ACC_INTERVAL, N_OP };

/* One block of the printed summary: a model, a unit and a class; its AUCs, and its operating points. */
typedef struct summary {
    table auc, point;
    char *model, *unit, *class_name;
    char *stratum, *at; /* of the last row of `point` */
    bool first, shared; /* shared: several units of one patient */
    int64_t n, n_cluster;
} summary;

static void release_block(summary *s) {
    table_release(&s->auc);
    table_release(&s->point);
    free(s->model);
    free(s->unit);
    free(s->class_name);
    free(s->stratum);
    free(s->at);
    *s = (summary){.first = false};
}

static void end_block(summary *s) {
    if (!s->model)
        return;
    printf("%smodel %s, unit %s, class %s\n", s->first ? "" : "\n", s->model, s->unit, s->class_name);
    table_print(&s->auc, stdout);
    if (s->point.n_row > 1) {
        fputc('\n', stdout);
        table_print(&s->point, stdout);
    }
    if (s->shared)
        printf("%" PRId64 " %s of %" PRId64
               " patients. DeLong takes them for independent; clustered: patients as clusters (AUC: Obuchowski "
               "1997;\nsensitivity, specificity, accuracy: ratio estimator, Wilson where that has no limits)\n",
               s->n, plural(s->unit), s->n_cluster);
    else
        printf("intervals: DeLong%s\n", s->point.n_row > 1 ? "; Wilson at operating points" : "");
    release_block(s);
}

static void heading(table *t, const char *const *title, int n, int first_right, int last_right) {
    t->n_column = n;
    for (int i = first_right; i <= last_right; i++)
        t->right[i] = true;
    table_row(t);
    for (int i = 0; i < n; i++)
        if (title[i])
            table_put(t, i, rad_strdup(title[i]));
}

static void begin_block(summary *s, const rad_statistic_row *r) {
    const char *const auc[N_COL] = {"stratum",       "cohort", plural(r->unit), "positive", "missing", "AUC", "95% DeLong",
                                    "95% clustered", "p",      "p clustered",   NULL};
    const char *const point[N_OP] = {"stratum",     "cohort",       "call at",  "sensitivity", "95% interval",
                                     "specificity", "95% interval", "accuracy", "95% interval"};
    s->model = rad_strdup(r->model);
    s->unit = rad_strdup(r->unit);
    s->class_name = rad_strdup(r->class_name);
    s->n = r->n;
    s->n_cluster = r->n_cluster;
    heading(&s->auc, auc, N_COL, COL_N, COL_P_CLUSTERED);
    heading(&s->point, point, N_OP, OP_SENS, OP_ACC_INTERVAL);
    if (!s->model || !s->unit || !s->class_name)
        s->auc.failed = true;
}

static char *interval_text(const rad_statistic_row *r, bool sign) {
    return rad_asprintf(sign ? "%+.3f to %+.3f" : "%.3f to %.3f", r->lower, r->upper);
}

/* AUC or difference of AUCs; the clustered row follows its naive one and fills the same line. */
static void auc_row(summary *s, const rad_statistic_row *r) {
    table *t = &s->auc;
    bool contrast = strcmp(r->stratum_kind, "contrast") == 0, clustered = ends_with(r->name, "_clustered");
    if (!clustered) {
        table_row(t);
        table_put(t, COL_STRATUM,
                  contrast                               ? rad_asprintf("difference %s", r->stratum)
                  : strcmp(r->stratum_kind, "fold") == 0 ? rad_asprintf("fold %s", r->stratum)
                                                         : rad_strdup(r->stratum));
        if (strcmp(r->stratum_kind, "center") == 0)
            table_put(t, COL_COHORT, rad_strdup(r->cohort));
        if (!contrast) {
            table_put(t, COL_N, rad_asprintf("%" PRId64, r->n));
            table_put(t, COL_POS, rad_asprintf("%" PRId64, r->n_pos));
            table_put(t, COL_MISSING, rad_asprintf("%" PRId64, r->n_missing));
        }
        table_put(t, COL_EST, isnan(r->est) ? rad_strdup("-") : rad_asprintf(contrast ? "%+.3f" : "%.3f", r->est));
        s->shared = s->shared || r->n_cluster < r->n;
    }
    if (!isnan(r->lower) && !isnan(r->upper))
        table_put(t, clustered ? COL_CLUSTERED : COL_NAIVE, interval_text(r, contrast));
    if (contrast && !isnan(r->p))
        table_put(t, clustered ? COL_P_CLUSTERED : COL_P, rad_stats_p_text(r->p));
    /* That slices have no naive interval is said below the table. */
    if (r->reason && !t->failed && !table_cell(t, t->n_row - 1, COL_NOTE) &&
        !(strcmp(r->unit, "slice") == 0 && !clustered && !isnan(r->est)))
        table_put(t, COL_NOTE, rad_asprintf("(%s)", r->reason));
}

/* Sensitivity, specificity or accuracy at an operating point; a clustered interval takes the place of the naive one. */
static void point_row(summary *s, const rad_statistic_row *r) {
    table *t = &s->point;
    int column = strncmp(r->name, "sens", 4) == 0 ? OP_SENS : strncmp(r->name, "spec", 4) == 0 ? OP_SPEC : OP_ACC;
    if (!s->stratum || strcmp(s->stratum, r->stratum) != 0 || strcmp(s->at, r->point) != 0) {
        free(s->stratum);
        free(s->at);
        s->stratum = rad_strdup(r->stratum);
        s->at = rad_strdup(r->point);
        if (!s->stratum || !s->at) {
            t->failed = true;
            return;
        }
        table_row(t);
        table_put(t, OP_STRATUM, rad_strdup(r->stratum));
        if (strcmp(r->stratum_kind, "center") == 0)
            table_put(t, OP_COHORT, rad_strdup(r->cohort));
        table_put(t, OP_POINT, rad_strdup(r->point));
    }
    if (!ends_with(r->name, "_clustered"))
        table_put(t, column, isnan(r->est) ? rad_strdup("-") : rad_asprintf("%.3f (%" PRId64 "/%" PRId64 ")", r->est, r->n_pos, r->n));
    if (!isnan(r->lower) && !isnan(r->upper))
        table_put(t, column + 1, interval_text(r, false));
}

static int print_row(const rad_statistic_row *r, void *payload) {
    summary *s = payload;
    if (!rad_stats_is_auc(r) && !rad_stats_is_share(r))
        return 0; /* further numbers have a table of their own */
    if (!s->model || strcmp(s->model, r->model) != 0 || strcmp(s->unit, r->unit) != 0 || strcmp(s->class_name, r->class_name) != 0) {
        end_block(s);
        begin_block(s, r);
    }
    if (r->point)
        point_row(s, r);
    else
        auc_row(s, r);
    return s->auc.failed || s->point.failed;
}

rad_status rad_stats_print_details(rad_store *db, const rad_run_status *run, rad_error *err) {
    summary s = {.first = true};
    print_run(run);
    putchar('\n');
    rad_status st = rad_store_each_statistic(db, run->run, print_row, &s, err);
    if (s.auc.failed || s.point.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st != RAD_OK) { /* half a table is not printed */
        release_block(&s);
        return st;
    }
    if (s.first && !s.model)
        printf("no statistics: the job declares no strata\n");
    end_block(&s);
    return rad_stats_print_further(db, run, err);
}
