/* statistics_tune.c: thresholds that are found, not given: on one cohort, carried to all others. */
#include "statistics.h"

#include <math.h>
#include <string.h>

#define TUNED_POINT "youden (internal)"
/* Harrell's correction costs 500 resamples; for so many units it is far below the third digit. */
#define MAX_CORRECTED 20000

static const char SQL_THRESHOLD[] =
    "INSERT INTO tuned_threshold (run_id, point, run_model_id, unit, class_index, threshold) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/* Units of the stratum among those it was tuned on make the value optimistic. */
const char *rad_statistics_origin(const rad_stratum *g, const rad_operating_point *p) {
    static const char *const TEXT[2][2] = {
        {"; threshold tuned on internal", "; threshold tuned on internal units that are among these: optimistic"},
        {"; threshold tuned on external", "; threshold tuned on external units that are among these: optimistic"}};
    if (p->tune == RAD_TUNE_NONE)
        return "";
    bool inside = g->cohort ? (strcmp(g->cohort, "external") == 0) == p->tuned_external : g->external < 0;
    return TEXT[p->tuned_external][inside];
}

/* What tuning gave. */
typedef struct tuned {
    double threshold, sens, spec; /* the last two corrected for optimism */
    char reason[160];
    bool corrected;
    int64_t n, n_pos, n_missing, n_cluster;
} tuned;

static rad_status put_tuned(rad_computation *c, const rad_operating_point *p, const char *name, const char *method, double est,
                            const tuned *t, rad_error *err) {
    const rad_stratum at = p->tuned_external ? (rad_stratum){"cohort", "external", "external", -1, 1, 0}
                                             : (rad_stratum){"cohort", "internal", "internal", -1, 0, 0};
    rad_measure v = {
        .e = {.est = est, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN, .n = t->n, .n_pos = t->n_pos, .n_missing = t->n_missing}};
    if (isnan(est))
        snprintf(v.reason, sizeof v.reason, "%s", t->reason[0] ? t->reason : "no threshold");
    const rad_row_text text = {.name = name,
                               .point = p->name,
                               .method = method,
                               .where = " AND label IS NOT NULL",
                               .n_cluster = t->n_cluster,
                               .kind = RAD_ROW_BARE};
    return rad_statistics_put(c, &at, &text, &v, err);
}

/* The threshold from the units at hand. */
static rad_status find_threshold(rad_computation *c, const rad_operating_point *p, tuned *t, rad_error *err) {
    const char *cohort = p->tuned_external ? "external" : "internal";
    const rad_stratum at = {"cohort", cohort, cohort, -1, p->tuned_external, 0};
    const char *const level[] = {cohort};
    const rad_arg arg[] = {{NAN, cohort}, {NAN, rad_tune_name(p->tune)}, {p->target, NULL}};
    const int n_arg = p->tune == RAD_TUNE_YOUDEN ? 2 : 3;
    rad_doc *doc = NULL;
    rad_doc_row row;
    *t = (tuned){.threshold = NAN, .sens = NAN, .spec = NAN};
    t->n_cluster = rad_statistics_select(c, &at);
    rad_sample *m = &c->sample;
    for (int64_t i = 0; i < m->n; i++) {
        const bool used = m->label[i] >= 0 && !isnan(m->score[i]);
        t->n += used;
        t->n_pos += used && m->label[i] == 1;
        c->x[i] = m->label[i] < 0 ? (double)NAN : m->label[i];
        c->x_cluster[i] = 0; /* all of the one cohort */
    }
    t->n_missing = m->n - t->n;
    t->corrected = m->n <= MAX_CORRECTED;
    if (m->n == 0) {
        snprintf(t->reason, sizeof t->reason, "no unit");
        return RAD_OK;
    }
    const rad_column column[] = {{"label", c->x, NULL, 0}, {"score", m->score, NULL, 0}, {"cohort", c->x_cluster, level, 1}};
    const rad_frame f = {m->n, t->corrected ? 3 : 2, column};
    rad_status s = t->corrected ? rad_measure_call("operating_points_json", &f, arg, n_arg, &doc, err)
                                : rad_measure_call("cutoff_json", &f, &arg[1], n_arg - 1, &doc, err);
    if (s == RAD_OK) {
        const char *why = rad_doc_get_reason(doc);
        snprintf(t->reason, sizeof t->reason, "%.150s", why ? why : "");
        t->threshold = rad_doc_get(doc, "threshold");
        if (isinf(t->threshold)) {
            t->threshold = NAN;
            snprintf(t->reason, sizeof t->reason, "no threshold is better than calling nothing positive");
        }
        if (t->corrected && rad_doc_row_first(doc, "rows", &row)) {
            t->sens = rad_doc_row_get(doc, &row, "sens_corrected");
            t->spec = rad_doc_row_get(doc, &row, "spec_corrected");
        }
        if (!t->corrected)
            snprintf(t->reason, sizeof t->reason, "more than %d units: the optimism is negligible and was not estimated", MAX_CORRECTED);
    }
    rad_doc_destroy(&doc);
    return s;
}

/* On the scores of another model when the point says so; what was at hand is at hand again afterwards. */
static rad_status tune_on(rad_computation *c, const rad_operating_point *p, tuned *t, rad_error *err) {
    const int model = c->at_model, other = p->tuned_model ? p->tuned_model - 1 : model;
    rad_status s = RAD_OK;
    if (other == model)
        return find_threshold(c, p, t, err);
    c->at_model = other;
    s = rad_statistics_read(c, err);
    if (s == RAD_OK)
        s = find_threshold(c, p, t, err);
    c->at_model = model;
    return s == RAD_OK ? rad_statistics_read(c, err) : s;
}

static rad_status keep(rad_computation *c, const rad_operating_point *p, rad_error *err) {
    rad_query q = rad_query_start(c->st, SQL_THRESHOLD);
    rad_bind_int(&q, c->run);
    rad_bind_text(&q, p->name);
    rad_bind_int(&q, c->model[c->at_model].id);
    rad_bind_text(&q, rad_unit_name(c->unit));
    rad_bind_int(&q, c->class_index);
    rad_bind_real(&q, p->threshold);
    return rad_query_exec(&q, err);
}

static rad_status tune(rad_computation *c, rad_operating_point *p, rad_error *err) {
    static const char CORRECTED[] = "corrected for optimism (Harrell's bootstrap, 500 replicates, units treated as independent)";
    char method[200];
    tuned t;
    rad_status s = tune_on(c, p, &t, err);
    if (s != RAD_OK)
        return s;
    p->threshold = t.threshold;
    const char *cohort = p->tuned_external ? "external" : "internal";
    const char *model = p->tuned_model ? c->model[p->tuned_model - 1].name : NULL;
    if (p->tune == RAD_TUNE_YOUDEN)
        snprintf(method, sizeof method, "largest sensitivity + specificity of %s units (Youden 1950); ties: the highest", cohort);
    else
        snprintf(method, sizeof method, "%s at least %.10g on %s units, the other as high as possible; ties: the highest",
                 rad_tune_name(p->tune), p->target, cohort);
    const size_t used = strlen(method);
    snprintf(method + used, sizeof method - used, "%s%.64s", model ? "; on the scores of model " : "", model ? model : "");
    s = put_tuned(c, p, "threshold", method, t.threshold, &t, err);
    if (s == RAD_OK && !isnan(t.threshold))
        s = put_tuned(c, p, "sensitivity_corrected", CORRECTED, t.sens, &t, err);
    if (s == RAD_OK && !isnan(t.threshold))
        s = put_tuned(c, p, "specificity_corrected", CORRECTED, t.spec, &t, err);
    return s;
}

rad_status rad_statistics_tune(rad_computation *c, rad_error *err) {
    static char name[] = TUNED_POINT;
    rad_status s = RAD_OK;
    bool there = false; /* the job has a point that is the same, or has given the name away */
    c->tuned = (rad_operating_point){0};
    for (int i = 0; i < c->n_point && s == RAD_OK; i++) {
        rad_operating_point *p = &c->point[i];
        there = there || strcmp(p->name, TUNED_POINT) == 0 || (p->tune == RAD_TUNE_YOUDEN && !p->tuned_external && !p->tuned_model);
        if (p->tune != RAD_TUNE_NONE)
            s = tune(c, p, err);
        if (s == RAD_OK && p->tune != RAD_TUNE_NONE && !isnan(p->threshold))
            s = keep(c, p, err);
    }
    const rad_stratum internal = {"cohort", "internal", "internal", -1, 0, 0};
    rad_operating_point usual = {.name = name, .tune = RAD_TUNE_YOUDEN};
    if (s != RAD_OK || there || rad_statistics_select(c, &internal) < 0 || c->sample.n == 0)
        return s;
    s = tune(c, &usual, err);
    if (s == RAD_OK && !isnan(usual.threshold))
        c->tuned = usual;
    return s;
}
