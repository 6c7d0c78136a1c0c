/* nightly_compare.c: a run against the job's finished one before it, by rad_store_compare: scores, calls and metrics that are not what they
 * were, the largest moves first. */
#include "nightly_impl.h"

#include "radcohort/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEPT (2 * RAD_NIGHT_LISTED) /* as many are kept before the smaller half is dropped */

static const char SQL_COUNTS[] =
    "SELECT (SELECT count(*) FROM manifest m WHERE m.run_id = ?1 AND EXISTS (SELECT 1 FROM run_result rr WHERE rr.case_id = m.case_id)),"
    " (SELECT count(DISTINCT case_id) FROM exclusion WHERE run_id = ?1),"
    " EXISTS (SELECT 1 FROM nightly WHERE run_id = ?1)";

bool rad_night_grow(void **list, int64_t n, size_t size) {
    const int64_t cap = n & (n - 1) ? 0 : n == 0 ? 1 : 2 * n; /* doubles at powers of two */
    if (cap == 0)
        return true;
    void *more = rad_realloc(*list, (size_t)cap, size);
    if (more)
        *list = more;
    return more != NULL;
}

rad_status rad_night_no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory to compare two runs");
}

char *rad_night_column(rad_query *q, int i) {
    const char *text = rad_column_text(q, i);
    return text ? rad_strdup(text) : NULL;
}

static void release_change(rad_night_change *c) {
    char *owned[] = {c->patient, c->lesion, c->study, c->center, c->model, c->class_name, c->unit};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        free(owned[k]);
}

static void release_flip(rad_night_flip *f) {
    char *owned[] = {f->patient, f->lesion, f->center, f->model, f->class_name, f->unit, f->point};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
        free(owned[k]);
}

void rad_night_report_release(rad_night_report *r) {
    for (int64_t i = 0; r->change && i < r->n_change && i < RAD_NIGHT_LISTED; i++)
        release_change(&r->change[i]);
    for (int64_t i = 0; r->flip && i < r->n_flip && i < RAD_NIGHT_LISTED; i++)
        release_flip(&r->flip[i]);
    for (int64_t i = 0; r->metric && i < r->n_metric; i++) {
        char *owned[] = {r->metric[i].model,   r->metric[i].unit,  r->metric[i].class_name, r->metric[i].stratum_kind,
                         r->metric[i].stratum, r->metric[i].point, r->metric[i].name};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
            free(owned[k]);
    }
    for (int64_t i = 0; r->drift && i < r->n_drift; i++) {
        free(r->drift[i].center);
        free(r->drift[i].variable);
        free(r->drift[i].unit);
        free(r->drift[i].test);
    }
    free(r->change);
    free(r->flip);
    free(r->metric);
    free(r->drift);
    *r = (rad_night_report){0};
}

/* ---------------------------------------------------------------- the largest first */

/* Larger moves first; else -1, 0 or 1 by the texts, NULL before all others. */
static int by_move(double x, double y, const char *const *a, const char *const *b, int n) {
    if (x != y)
        return x > y ? -1 : 1;
    for (int i = 0; i < n; i++) {
        const int c = strcmp(a[i] ? a[i] : "", b[i] ? b[i] : "");
        if (c != 0)
            return c;
    }
    return 0;
}

static int by_change(const void *x, const void *y) {
    const rad_night_change *a = x, *b = y;
    const char *const p[] = {a->patient, a->lesion, a->model, a->class_name, a->unit, a->study};
    const char *const q[] = {b->patient, b->lesion, b->model, b->class_name, b->unit, b->study};
    return by_move(fabs(a->after - a->before), fabs(b->after - b->before), p, q, 6);
}

static int by_flip(const void *x, const void *y) {
    const rad_night_flip *a = x, *b = y;
    const char *const p[] = {a->patient, a->lesion, a->model, a->class_name, a->unit, a->point};
    const char *const q[] = {b->patient, b->lesion, b->model, b->class_name, b->unit, b->point};
    return by_move(fabs(a->after - a->before), fabs(b->after - b->before), p, q, 6);
}

static int by_metric(const void *x, const void *y) {
    const rad_night_metric *a = x, *b = y;
    const char *const p[] = {a->model, a->unit, a->class_name, a->stratum_kind, a->stratum, a->point, a->name};
    const char *const q[] = {b->model, b->unit, b->class_name, b->stratum_kind, b->stratum, b->point, b->name};
    return by_move(fabs(a->after - a->before), fabs(b->after - b->before), p, q, 7);
}

/* ---------------------------------------------------------------- rows that differ */

struct gather {
    rad_night_report *r;
    int64_t n_change, n_flip; /* in the lists; the report's counts go on */
    bool failed;
};

/* The first RAD_NIGHT_LISTED stay. */
static void cut_changes(struct gather *g) {
    if (g->n_change > 0)
        qsort(g->r->change, (size_t)g->n_change, sizeof *g->r->change, by_change);
    while (g->n_change > RAD_NIGHT_LISTED)
        release_change(&g->r->change[--g->n_change]);
}

static void cut_flips(struct gather *g) {
    if (g->n_flip > 0)
        qsort(g->r->flip, (size_t)g->n_flip, sizeof *g->r->flip, by_flip);
    while (g->n_flip > RAD_NIGHT_LISTED)
        release_flip(&g->r->flip[--g->n_flip]);
}

/* A copy; `optional`: NULL for "". */
static char *copy(struct gather *g, const char *text, bool optional) {
    char *p = optional && !text[0] ? NULL : rad_strdup(text);
    g->failed = g->failed || (!p && !(optional && !text[0]));
    return p;
}

static void take_change(struct gather *g, const rad_compare_row *row) {
    rad_night_report *r = g->r;
    if (g->n_change == KEPT)
        cut_changes(g);
    if (!rad_night_grow((void **)&r->change, g->n_change, sizeof *r->change)) {
        g->failed = true;
        return;
    }
    r->change[g->n_change++] = (rad_night_change){.patient = copy(g, row->patient, false),
                                                  .lesion = copy(g, row->lesion, true),
                                                  .study = copy(g, row->study, false),
                                                  .center = copy(g, row->after.center, false),
                                                  .model = copy(g, row->model, false),
                                                  .class_name = copy(g, row->class_name, false),
                                                  .unit = copy(g, row->unit, false),
                                                  .before = row->before.value,
                                                  .after = row->after.value};
    r->n_change++;
}

/* Calls by an operating point; those by grade or by the largest score have no threshold, and are told by the scores. */
static void take_flip(struct gather *g, const rad_compare_row *row) {
    rad_night_report *r = g->r;
    if (!isfinite(row->before.threshold) || !isfinite(row->after.threshold))
        return;
    if (g->n_flip == KEPT)
        cut_flips(g);
    if (!rad_night_grow((void **)&r->flip, g->n_flip, sizeof *r->flip)) {
        g->failed = true;
        return;
    }
    r->flip[g->n_flip++] = (rad_night_flip){.patient = copy(g, row->patient, false),
                                            .lesion = copy(g, row->lesion, true),
                                            .center = copy(g, row->after.center, false),
                                            .model = copy(g, row->model, false),
                                            .class_name = copy(g, row->class_name, false),
                                            .unit = copy(g, row->unit, false),
                                            .point = copy(g, row->point, false),
                                            .before = row->before.value,
                                            .after = row->after.value,
                                            .threshold = row->after.threshold,
                                            .now_positive = row->after.value >= row->after.threshold,
                                            .label = row->after.label};
    r->n_flip++;
}

static bool among(const char *text, const char *const *word) {
    while (*word && strcmp(*word, text) != 0)
        word++;
    return *word != NULL;
}

static void take_metric(struct gather *g, const rad_compare_row *row) {
    static const char *const name[] = {"auc", "sensitivity", "specificity", "accuracy", NULL}, *const kind[] = {"all", "cohort", "center",
                                                                                                                NULL};
    rad_night_report *r = g->r;
    if (row->versus[0] || strcmp(row->unit, "slice") == 0 || !among(row->name, name) || !among(row->stratum_kind, kind) ||
        !isfinite(row->before.value) || !isfinite(row->after.value) || row->before.value == row->after.value)
        return;
    if (!rad_night_grow((void **)&r->metric, r->n_metric, sizeof *r->metric)) {
        g->failed = true;
        return;
    }
    r->metric[r->n_metric++] = (rad_night_metric){.model = copy(g, row->model, false),
                                                  .unit = copy(g, row->unit, false),
                                                  .class_name = copy(g, row->class_name, true),
                                                  .stratum_kind = copy(g, row->stratum_kind, false),
                                                  .stratum = copy(g, row->stratum, false),
                                                  .point = copy(g, row->point, true),
                                                  .name = copy(g, row->name, false),
                                                  .before = row->before.value,
                                                  .after = row->after.value,
                                                  .lower = row->after.lower,
                                                  .upper = row->after.upper,
                                                  .n_before = row->before.n,
                                                  .n_after = row->after.n};
}

static int take(const rad_compare_row *row, void *payload) {
    struct gather *g = payload;
    if (!row->has_before || !row->has_after)
        return 0;
    if (row->kind == RAD_COMPARE_SCORE)
        take_change(g, row);
    else if (row->kind == RAD_COMPARE_CALL)
        take_flip(g, row);
    else
        take_metric(g, row);
    return g->failed;
}

static rad_status compare(rad_store *st, rad_night_report *r, rad_error *err) {
    rad_compare_count n[RAD_COMPARE_KINDS] = {{0}};
    struct gather g = {.r = r};
    rad_status s = rad_store_compare(
        st, r->versus, st, r->run, 1u << RAD_COMPARE_SCORE | 1u << RAD_COMPARE_CALL | 1u << RAD_COMPARE_STATISTIC, false, take, &g, n, err);
    cut_changes(&g);
    cut_flips(&g);
    if (r->n_metric > 0)
        qsort(r->metric, (size_t)r->n_metric, sizeof *r->metric, by_metric);
    r->n_common = n[RAD_COMPARE_SCORE].n_both;
    return s == RAD_OK && g.failed ? rad_night_no_memory(err) : s;
}

rad_status rad_night_compare(rad_store *st, int64_t run, const char *job, rad_night_report *ret, rad_error *err) {
    rad_night_report r = {.run = run};
    bool row = false;
    rad_status s = rad_night_prior_run(st, job, run, &r.versus, err);
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_COUNTS);
        rad_bind_int(&q, run);
        s = rad_query_row(&q, &row, err);
        if (s == RAD_OK) {
            r.n_scored = sqlite3_column_int64(q.stmt, 0);
            r.n_excluded = sqlite3_column_int64(q.stmt, 1);
            r.again = sqlite3_column_int(q.stmt, 2) != 0;
        }
        rad_query_end(&q);
    }
    if (s == RAD_OK && r.versus > 0 && !r.again)
        s = compare(st, &r, err);
    if (s == RAD_OK)
        s = rad_night_find_drift(st, job, &r, err);
    if (s == RAD_OK)
        *ret = r;
    else
        rad_night_report_release(&r);
    return s;
}
