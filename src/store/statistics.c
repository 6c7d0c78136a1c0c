/* statistics.c: the numbers of a run into the statistic table.
 *
 * Observations come in the order of patient and lesion names, so that the sums, and with them the last bit, do not depend on the
 * order in which cases arrived. Each row keeps the SQL that returns what it was computed from, its unit and its denominators. When
 * several units share a patient, the naive row says in its method that they were treated as independent, and a row with the suffix
 * _clustered beside it takes the patients as clusters (promise 6). The naive row of slices has no interval: it would be far too narrow. */
#include "seal.h"
#include "statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_CLEAR[] = "DELETE FROM statistic WHERE run_id = ?1";
static const char SQL_CLEAR_TUNED[] = "DELETE FROM tuned_threshold WHERE run_id = ?1";
static const char SQL_RUN[] =
    "SELECT state, case_unit, coalesce(positive_class, -1), EXISTS (SELECT 1 FROM json_each(strata) WHERE value = 'all'),"
    " EXISTS (SELECT 1 FROM json_each(strata) WHERE value = 'cohort'), EXISTS (SELECT 1 FROM json_each(strata) WHERE value = 'center')"
    " FROM run WHERE run_id = ?1";
static const char SQL_MODELS[] =
    "SELECT run_model_id, model, activation, coalesce(folds, 0) FROM run_model WHERE run_id = ?1 ORDER BY position";
static const char SQL_CLASSES[] = "SELECT class FROM run_class WHERE run_id = ?1 ORDER BY class_index";
static const char SQL_CENTERS[] =
    "SELECT c.center_id, c.center, rp.cohort FROM run_patient rp JOIN center c ON c.center_id = rp.center_id WHERE rp.run_id = ?1"
    " GROUP BY c.center_id ORDER BY rp.cohort = 'external', c.center";
/* Units without a score are there, with a NULL: they are counted. */
static const char SQL_LESIONS[] =
    "SELECT rp.center_id, rp.cohort = 'external', m.patient_id, m.class_index, s.score, rp.fold, m.case_id FROM manifest m"
    " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id LEFT JOIN case_score s ON s.run_model_id = ?2"
    " AND s.patient_id = m.patient_id AND s.case_key = m.case_id AND s.class_index = ?3"
    " WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_PATIENTS[] =
    "SELECT rp.center_id, rp.cohort = 'external', rp.patient_id, rp.class_index, s.score, rp.fold, rp.patient_id FROM run_patient rp"
    " JOIN patient p ON p.patient_id = rp.patient_id LEFT JOIN case_score s ON s.run_model_id = ?2"
    " AND s.patient_id = rp.patient_id AND s.case_key = 0 AND s.class_index = ?3 WHERE rp.run_id = ?1 ORDER BY p.patient";
/* Slices come case by case and by their key: an order of all of them by names would be a sort of all of them. */
static const char SQL_CASES[] =
    "SELECT rp.center_id, rp.cohort = 'external', m.patient_id, m.class_index, rr.result_id, rp.fold FROM manifest m"
    " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = ?2"
    " WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_SLICES[] = "SELECT score FROM slice_score WHERE result_id = ?1 AND class_index = ?2 ORDER BY slice";
static const char SQL_ALL_SLICES[] = "SELECT score, class_index FROM slice_score WHERE result_id = ?1 ORDER BY slice, class_index";
static const char SQL_COUNT_SLICES[] =
    "SELECT coalesce(sum(re.n_slice), 0) FROM manifest m JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = ?2"
    " JOIN result re ON re.result_id = rr.result_id WHERE m.run_id = ?1";
static const char SQL_HAS_STACKS[] =
    "SELECT EXISTS (SELECT 1 FROM run_result rr JOIN manifest m ON m.case_id = rr.case_id JOIN result re ON re.result_id = rr.result_id"
    " WHERE m.run_id = ?1 AND rr.run_model_id = ?2 AND re.n_slice > 1)";
static const char SQL_POINTS[] =
    "SELECT o.point, o.threshold, o.tune, coalesce(o.target, 0), coalesce(o.tuned_on, '') = 'external', coalesce(rm.position + 1, 0)"
    " FROM operating_point o LEFT JOIN run_model rm ON rm.run_id = o.run_id AND rm.model = o.tuned_model WHERE o.run_id = ?1"
    " ORDER BY o.position";

rad_status rad_statistics_no_memory(const rad_computation *c, rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory for the statistics of run %" PRId64, c->run);
}

static rad_status read_run(rad_computation *c, bool *ret_finished, rad_error *err) {
    bool row = false;
    rad_query q = rad_query_start(c->st, SQL_RUN);
    rad_bind_int(&q, c->run);
    rad_status s = rad_query_row(&q, &row, err);
    if (s != RAD_OK)
        return s;
    if (!row)
        return rad_error_set(err, RAD_E_STORE, "'%s' has no run %" PRId64, c->st->path, c->run);
    *ret_finished = strcmp(rad_column_text(&q, 0), "finished") == 0;
    c->lesions = strcmp(rad_column_text(&q, 1), "lesion") == 0;
    c->positive = sqlite3_column_int(q.stmt, 2);
    c->all = sqlite3_column_int(q.stmt, 3);
    c->cohorts = sqlite3_column_int(q.stmt, 4);
    c->centers = sqlite3_column_int(q.stmt, 5);
    rad_query_end(&q);
    return RAD_OK;
}

static rad_status read_centers(rad_computation *c, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_CENTERS);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if (c->n_center == c->cap_center) {
            int64_t cap = c->cap_center ? 2 * c->cap_center : 16;
            rad_center_row *p = rad_realloc(c->center, (size_t)cap, sizeof *p);
            if (!p) {
                s = rad_statistics_no_memory(c, err);
                break;
            }
            c->center = p;
            c->cap_center = cap;
        }
        char *name = rad_strdup(rad_column_text(&q, 1));
        if (!name) {
            s = rad_statistics_no_memory(c, err);
            break;
        }
        c->center[c->n_center++] = (rad_center_row){sqlite3_column_int64(q.stmt, 0), name, strcmp(rad_column_text(&q, 2), "external") == 0};
    }
    rad_query_end(&q);
    return s;
}

static rad_status read_models(rad_computation *c, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_MODELS);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        char *name = rad_strdup(rad_column_text(&q, 1));
        rad_model_row *p = name ? rad_realloc(c->model, (size_t)c->n_model + 1, sizeof *p) : NULL;
        if (!p) {
            free(name);
            s = rad_statistics_no_memory(c, err);
            break;
        }
        c->model = p;
        c->model[c->n_model++] = (rad_model_row){sqlite3_column_int64(q.stmt, 0), name, strcmp(rad_column_text(&q, 2), "none") != 0,
                                                 sqlite3_column_int(q.stmt, 3)};
    }
    rad_query_end(&q);
    return s;
}

static rad_status read_classes(rad_computation *c, rad_error *err) {
    bool row = false;
    int n = 0;
    rad_status s = rad_scheme_read(c->st, c->run, &c->scheme, err);
    if (s != RAD_OK)
        return s;
    c->n_class = c->scheme.n_class;
    rad_query q = rad_query_start(c->st, SQL_CLASSES);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && n < rad_scheme_rows(&c->scheme)) {
        c->class_name[n] = rad_strdup(rad_column_text(&q, 0));
        if (!c->class_name[n++]) {
            s = rad_statistics_no_memory(c, err);
            break;
        }
    }
    rad_query_end(&q);
    return s;
}

bool rad_statistics_binary(const rad_computation *c) {
    return c->positive >= 0 || c->class_index >= c->n_class;
}

static void free_scratch(rad_computation *c) {
    free(c->sample.label);
    free(c->sample.score);
    free(c->sample.cluster);
    free(c->source);
    free(c->x);
    free(c->x_cluster);
    c->sample = (rad_sample){0};
    c->x = c->x_cluster = NULL;
    c->source = NULL;
    c->cap_scratch = 0;
}

static rad_status make_scratch(rad_computation *c, rad_error *err) {
    if (c->cap_scratch >= c->cap_obs)
        return RAD_OK;
    free_scratch(c);
    size_t n = (size_t)c->cap_obs;
    c->sample.label = rad_calloc(n, sizeof *c->sample.label);
    c->sample.score = rad_calloc(n, sizeof *c->sample.score);
    c->sample.cluster = rad_calloc(n, sizeof *c->sample.cluster);
    c->source = rad_calloc(n, sizeof *c->source);
    c->x = rad_calloc(n, sizeof *c->x);
    c->x_cluster = rad_calloc(n, sizeof *c->x_cluster);
    if (!c->sample.label || !c->sample.score || !c->sample.cluster || !c->source || !c->x || !c->x_cluster)
        return rad_statistics_no_memory(c, err);
    c->cap_scratch = c->cap_obs;
    return RAD_OK;
}

static rad_status read_points(rad_computation *c, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_POINTS);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && c->n_point < RAD_MAX_POINTS) {
        char *name = rad_strdup(rad_column_text(&q, 0));
        rad_operating_point *p = name ? rad_realloc(c->point, (size_t)c->n_point + 1, sizeof *p) : NULL;
        if (!p) {
            free(name);
            s = rad_statistics_no_memory(c, err);
            break;
        }
        c->point = p;
        static const char *const TUNE[] = {"", "youden", "sensitivity", "specificity"};
        rad_operating_point o = {.name = name,
                                 .threshold = rad_column_real(&q, 1),
                                 .target = sqlite3_column_double(q.stmt, 3),
                                 .tuned_external = sqlite3_column_int(q.stmt, 4),
                                 .tuned_model = sqlite3_column_int(q.stmt, 5)};
        const char *tune = rad_column_text(&q, 2);
        for (int k = 1; tune && k < 4; k++)
            o.tune = strcmp(tune, TUNE[k]) == 0 ? (rad_tune)k : o.tune;
        c->point[c->n_point++] = o;
    }
    rad_query_end(&q);
    return s;
}

/* 1 when a label counts as positive for the class or endpoint at hand. */
static int8_t label_of(const rad_computation *c, int64_t label) {
    if (label < 0)
        return -1;
    return c->class_index < c->n_class ? label == c->class_index
                                       : (int8_t)(c->scheme.endpoint[c->class_index - c->n_class].of >> label & 1);
}

static rad_observation *add_observation(rad_computation *c) {
    if (c->n_obs == c->cap_obs) {
        int64_t cap = c->cap_obs ? 2 * c->cap_obs : 1024;
        rad_observation *p = rad_realloc(c->obs, (size_t)cap, sizeof *p);
        if (!p)
            return NULL;
        c->obs = p;
        c->cap_obs = cap;
    }
    return &c->obs[c->n_obs++];
}

static rad_status take_units(rad_computation *c, rad_query *q, rad_error *err) {
    bool row = false;
    rad_status s;
    while ((s = rad_query_row(q, &row, err)) == RAD_OK && row) {
        rad_observation *o = add_observation(c);
        if (!o)
            return rad_statistics_no_memory(c, err);
        *o = (rad_observation){.center = sqlite3_column_int64(q->stmt, 0),
                               .external = sqlite3_column_int(q->stmt, 1),
                               .patient = sqlite3_column_int64(q->stmt, 2),
                               .label = label_of(c, rad_column_index(q, 3)),
                               .score = rad_column_real(q, 4),
                               .fold = rad_column_index(q, 5),
                               .unit = sqlite3_column_int64(q->stmt, 6)};
    }
    return s;
}

/* The slices of one result, each as `like` says but for its score. Those of an endpoint come class after class. */
static rad_status take_slices(rad_computation *c, int64_t result, const rad_observation *like, rad_error *err) {
    const bool collapse = c->class_index >= c->n_class;
    double part[RAD_MAX_CLASSES + RAD_MAX_ENDPOINTS];
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, collapse ? SQL_ALL_SLICES : SQL_SLICES);
    rad_bind_int(&q, result);
    if (!collapse)
        rad_bind_int(&q, c->class_index);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        double score = sqlite3_column_double(q.stmt, 0);
        if (collapse) {
            const int k = sqlite3_column_int(q.stmt, 1);
            part[k] = score;
            if (k + 1 < c->n_class)
                continue;
            rad_scheme_collapse(&c->scheme, part, 1);
            score = part[c->class_index];
        }
        rad_observation *o = add_observation(c);
        if (!o) {
            s = rad_statistics_no_memory(c, err);
            break;
        }
        *o = *like;
        o->score = score;
    }
    rad_query_end(&q);
    return s;
}

/* Room for exactly what will come: ten million slices are too many to grow into. */
static rad_status make_room(rad_computation *c, rad_error *err) {
    int64_t n = 0;
    rad_query q = rad_query_start(c->st, SQL_COUNT_SLICES);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->model[c->at_model].id);
    rad_status s = rad_query_int(&q, &n, err);
    if (s != RAD_OK || n <= c->cap_obs)
        return s;
    free(c->obs);
    c->cap_obs = 0;
    c->obs = rad_calloc((size_t)n, sizeof *c->obs);
    if (!c->obs)
        return rad_statistics_no_memory(c, err);
    c->cap_obs = n;
    return RAD_OK;
}

static rad_status take_stacks(rad_computation *c, rad_query *q, rad_error *err) {
    bool row = false;
    rad_status s;
    while ((s = rad_query_row(q, &row, err)) == RAD_OK && row) {
        const rad_observation like = {.center = sqlite3_column_int64(q->stmt, 0),
                                      .external = sqlite3_column_int(q->stmt, 1),
                                      .patient = sqlite3_column_int64(q->stmt, 2),
                                      .label = label_of(c, rad_column_index(q, 3)),
                                      .fold = rad_column_index(q, 5)};
        s = take_slices(c, sqlite3_column_int64(q->stmt, 4), &like, err);
        if (s != RAD_OK)
            return s;
    }
    return s;
}

rad_status rad_statistics_read(rad_computation *c, rad_error *err) {
    const bool slices = c->unit == RAD_UNIT_SLICE;
    rad_status s = slices ? make_room(c, err) : RAD_OK;
    if (s != RAD_OK)
        return s;
    c->n_obs = 0;
    rad_query q = rad_query_start(c->st, slices ? SQL_CASES : c->unit == RAD_UNIT_LESION ? SQL_LESIONS : SQL_PATIENTS);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->model[c->at_model].id);
    if (!slices)
        rad_bind_int(&q, c->class_index);
    s = slices ? take_stacks(c, &q, err) : take_units(c, &q, err);
    rad_query_end(&q);
    return s == RAD_OK ? make_scratch(c, err) : s;
}

/* ---------------------------------------------------------------- strata */

rad_status rad_statistics_each_stratum(rad_computation *c, rad_stratum_fn *each, void *payload, rad_error *err) {
    rad_status s = RAD_OK;
    if (c->all)
        s = each(c, &(rad_stratum){"all", "all", NULL, -1, -1, 0}, payload, err);
    if (c->cohorts && s == RAD_OK)
        s = each(c, &(rad_stratum){"cohort", "internal", "internal", -1, 0, 0}, payload, err);
    if (c->cohorts && s == RAD_OK)
        s = each(c, &(rad_stratum){"cohort", "external", "external", -1, 1, 0}, payload, err);
    for (int64_t i = 0; c->centers && i < c->n_center && s == RAD_OK; i++) {
        const rad_center_row *k = &c->center[i];
        s = each(c, &(rad_stratum){"center", k->name, k->external ? "external" : "internal", k->id, -1, 0}, payload, err);
    }
    return s;
}

/* The AUCs that comparisons of strata need. */
typedef struct strata_aucs {
    rad_auc_pair in, ex, *by_center;
} strata_aucs;

static rad_status put_stratum(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    static const char *const NAME[2] = {"auc", "auc_clustered"};
    static const char *const METHOD[3] = {"empirical AUC, no interval", "DeLong", "Obuchowski 1997, patients as clusters"};
    strata_aucs *keep = payload;
    rad_auc_pair v = {.n_cluster = rad_statistics_select(c, g)};
    rad_status s = rad_measure_auc(&c->sample, &v.naive, err);
    if (s == RAD_OK && c->sample.n > 0) {
        v.shared = v.n_cluster < v.naive.e.n;
        if (v.shared)
            s = rad_measure_auc_clustered(&c->sample, &v.clustered, err);
        if (s == RAD_OK)
            s = rad_statistics_put_pair(c, g, NAME, METHOD, NULL, NULL, &v, err);
        if (s == RAD_OK && rad_statistics_binary(c))
            s = rad_statistics_points(c, g, err);
        if (s == RAD_OK && c->unit != RAD_UNIT_SLICE && c->model[c->at_model].probability)
            s = rad_statistics_calibration(c, g, err);
    }
    if (strcmp(g->kind, "cohort") == 0)
        *(g->external ? &keep->ex : &keep->in) = v;
    for (int64_t i = 0; g->center >= 0 && i < c->n_center; i++)
        if (c->center[i].id == g->center)
            keep->by_center[i] = v;
    return s;
}

static rad_status put_strata(rad_computation *c, rad_error *err) {
    strata_aucs v = {.by_center = rad_calloc((size_t)c->n_center + 1, sizeof *v.by_center)};
    if (!v.by_center)
        return rad_statistics_no_memory(c, err);
    rad_status s = rad_statistics_each_stratum(c, put_stratum, &v, err);
    if (s == RAD_OK && c->cohorts)
        s = rad_statistics_contrasts(c, &v.in, &v.ex, c->centers ? v.by_center : NULL, err);
    if (s == RAD_OK && c->centers && c->unit != RAD_UNIT_SLICE)
        s = rad_statistics_pooled(c, v.by_center, err);
    free(v.by_center);
    return s;
}

/* ---------------------------------------------------------------- models, units, classes */

static rad_status compute_class(rad_computation *c, bool stacks, rad_error *err) {
    static const rad_unit UNIT[] = {RAD_UNIT_LESION, RAD_UNIT_PATIENT, RAD_UNIT_SLICE};
    rad_status s = RAD_OK;
    for (int u = 0; u < 3 && s == RAD_OK; u++) {
        c->unit = UNIT[u];
        if ((c->unit == RAD_UNIT_LESION && !c->lesions) || (c->unit == RAD_UNIT_SLICE && !stacks))
            continue;
        s = rad_statistics_read(c, err);
        if (s == RAD_OK && rad_statistics_binary(c) && c->unit != RAD_UNIT_SLICE)
            s = rad_statistics_tune(c, err);
        if (s == RAD_OK)
            s = put_strata(c, err);
        if (s == RAD_OK)
            s = rad_statistics_folds(c, err);
        if (s == RAD_OK && rad_statistics_binary(c) && c->unit != RAD_UNIT_SLICE)
            s = rad_statistics_readers(c, err);
        if (s == RAD_OK && c->unit == (c->lesions ? RAD_UNIT_LESION : RAD_UNIT_PATIENT))
            s = rad_statistics_regressions(c, err);
        if (s == RAD_OK && rad_statistics_binary(c) && c->unit != RAD_UNIT_SLICE)
            s = rad_statistics_readings(c, err);
        c->tuned.name = NULL;
        for (int i = 0; i < c->n_point; i++)
            if (c->point[i].tune)
                c->point[i].threshold = NAN;
    }
    return s;
}

static rad_status compute_model(rad_computation *c, rad_error *err) {
    int64_t stacks = 0;
    rad_query q = rad_query_start(c->st, SQL_HAS_STACKS);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->model[c->at_model].id);
    rad_status s = rad_query_int(&q, &stacks, err);
    for (c->class_index = 0; c->class_index < rad_scheme_rows(&c->scheme) && s == RAD_OK; c->class_index++)
        if (c->positive < 0 || c->positive == c->class_index)
            s = compute_class(c, stacks != 0, err);
    for (int u = c->lesions ? 0 : 1; u < 2 && c->positive < 0 && s == RAD_OK; u++) {
        c->unit = u ? RAD_UNIT_PATIENT : RAD_UNIT_LESION;
        s = rad_statistics_classes(c, err);
        if (s == RAD_OK)
            s = rad_statistics_ordinal(c, err);
        if (s == RAD_OK)
            s = rad_statistics_calls(c, err);
    }
    return s;
}

static rad_status compute_models(rad_computation *c, rad_error *err) {
    rad_status s = RAD_OK;
    for (c->at_model = 0; c->at_model < c->n_model && s == RAD_OK; c->at_model++)
        s = compute_model(c, err);
    for (c->class_index = 0; c->class_index < rad_scheme_rows(&c->scheme) && s == RAD_OK; c->class_index++)
        for (int u = c->lesions ? 0 : 1; u < 2 && s == RAD_OK; u++) {
            c->unit = u ? RAD_UNIT_PATIENT : RAD_UNIT_LESION;
            if (c->n_model > 1 && (c->positive < 0 || c->positive == c->class_index))
                s = rad_statistics_models(c, err);
        }
    return s;
}

static void release(rad_computation *c) {
    for (int64_t i = 0; i < c->n_center; i++)
        free(c->center[i].name);
    free(c->center);
    for (int i = 0; i < c->n_model; i++)
        free(c->model[i].name);
    free(c->model);
    for (int i = 0; i < rad_scheme_rows(&c->scheme); i++)
        free(c->class_name[i]);
    for (int i = 0; i < c->n_point; i++)
        free(c->point[i].name);
    free(c->point);
    free(c->obs);
    free_scratch(c);
}

static rad_status compute(struct rad_store *store, int64_t run, bool must_be_finished, rad_error *err) {
    rad_computation c = {.st = store, .run = run};
    bool finished = false;
    rad_status st;
    RAD_TRY(read_run(&c, &finished, err));
    if (must_be_finished && !finished)
        RAD_TRY(rad_error_set(err, RAD_E_STORE,
                              "run %" PRId64 " of '%s' is not finished: its statistics would leave cases out; start the "
                              "job again to finish it",
                              run, store->path));
    RAD_TRY(read_centers(&c, err));
    RAD_TRY(read_models(&c, err));
    RAD_TRY(read_classes(&c, err));
    RAD_TRY(read_points(&c, err));
    rad_query q = rad_query_start(store, SQL_CLEAR);
    rad_bind_int(&q, run);
    RAD_TRY(rad_query_exec(&q, err));
    q = rad_query_start(store, SQL_CLEAR_TUNED);
    rad_bind_int(&q, run);
    RAD_TRY(rad_query_exec(&q, err));
    RAD_TRY(compute_models(&c, err));
    RAD_TRY(rad_statistics_rules(&c, err));
out:
    release(&c);
    return st;
}

rad_status rad_finish_statistics(struct rad_store *st, int64_t run, rad_error *err) {
    return compute(st, run, false, err);
}

rad_status rad_store_compute_statistics(rad_store *st, int64_t run, rad_error *err) {
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    s = compute(st, run, true, err);
    if (s == RAD_OK)
        s = rad_statistics_audit(st, run, err);
    if (s == RAD_OK)
        s = rad_seal_run(st, run, err);
    if (s == RAD_OK)
        s = rad_tx_commit(st, err);
    return rad_tx_end(st, s);
}
