/* statistics.c: the numbers of a run into the statistic table.
 *
 * Observations come in the order of patient and lesion names, so that the sums, and with them the last bit, do not depend on the
 * order in which cases arrived. Each row keeps the SQL that returns what it was computed from, its unit, its denominators and, when
 * several units share a patient, a method that says that they were treated as independent (promise 6). Slices get no interval at all:
 * there the naive one would be far too narrow. */
#include "db.h"

#include "radcohort/stats.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_CLEAR[] = "DELETE FROM statistic WHERE run_id = ?1";
static const char SQL_RUN[] =
    "SELECT state, case_unit, coalesce(positive_class, -1), EXISTS (SELECT 1 FROM json_each(strata) WHERE value = 'all'),"
    " EXISTS (SELECT 1 FROM json_each(strata) WHERE value = 'cohort'), EXISTS (SELECT 1 FROM json_each(strata) WHERE value = 'center')"
    " FROM run WHERE run_id = ?1";
static const char SQL_MODEL[] = "SELECT run_model_id, model FROM run_model WHERE run_id = ?1 AND position = ?2";
static const char SQL_CLASS[] = "SELECT class FROM run_class WHERE run_id = ?1 AND class_index = ?2";
static const char SQL_CENTERS[] =
    "SELECT c.center_id, c.center, rp.cohort FROM run_patient rp JOIN center c ON c.center_id = rp.center_id WHERE rp.run_id = ?1"
    " GROUP BY c.center_id ORDER BY rp.cohort = 'external', c.center";
/* Units without a score are there, with a NULL: they are counted. */
static const char SQL_LESIONS[] =
    "SELECT rp.center_id, rp.cohort = 'external', m.patient_id, m.class_index = ?3, s.score FROM manifest m"
    " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id LEFT JOIN case_score s ON s.run_model_id = ?2 AND s.unit = 'lesion'"
    " AND s.patient_id = m.patient_id AND coalesce(s.case_id, 0) = m.case_id AND s.class_index = ?3"
    " WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_PATIENTS[] =
    "SELECT rp.center_id, rp.cohort = 'external', rp.patient_id, rp.class_index = ?3, s.score FROM run_patient rp"
    " JOIN patient p ON p.patient_id = rp.patient_id LEFT JOIN case_score s ON s.run_model_id = ?2 AND s.unit = 'patient'"
    " AND s.patient_id = rp.patient_id AND coalesce(s.case_id, 0) = 0 AND s.class_index = ?3 WHERE rp.run_id = ?1 ORDER BY p.patient";
static const char SQL_SLICES[] =
    "SELECT rp.center_id, rp.cohort = 'external', m.patient_id, m.class_index = ?3, ss.score FROM manifest m"
    " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN patient p ON p.patient_id = m.patient_id"
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id JOIN run_result rr ON rr.case_id = m.case_id AND rr.run_model_id = ?2"
    " JOIN slice_score ss ON ss.result_id = rr.result_id AND ss.class_index = ?3 WHERE m.run_id = ?1"
    " ORDER BY p.patient, l.lesion, m.study, ss.slice";
static const char SQL_HAS_STACKS[] =
    "SELECT EXISTS (SELECT 1 FROM run_result rr JOIN manifest m ON m.case_id = rr.case_id JOIN result re ON re.result_id = rr.result_id"
    " WHERE m.run_id = ?1 AND rr.run_model_id = ?2 AND re.n_slice > 1)";
static const char SQL_INSERT[] =
    "INSERT INTO statistic (run_id, run_model_id, unit, class_index, stratum_kind, stratum, cohort, name, method, n, n_pos, n_missing,"
    " n_cluster, est, se, lower, upper, level, p, reason, query)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

#define NO_SLICE_INTERVAL "slices of one patient are not independent: no interval without a cluster-aware variance"

typedef struct observation {
    int64_t center, patient;
    bool external;
    int8_t label; /* 0, 1, or -1 = unknown */
    double score; /* NaN = none */
} observation;

typedef struct center_row {
    int64_t id;
    char *name;
    bool external;
} center_row;

/* One run's statistics being computed. */
typedef struct computation {
    struct rad_store *st;
    int64_t run;
    bool lesions, all, cohorts, centers;
    int positive;
    center_row *center;
    int64_t n_center, cap_center;
    /* of the current model, unit and class */
    int64_t run_model;
    char *model, *class_name;
    int class_index;
    rad_unit unit;
    observation *obs;
    int64_t n_obs, cap_obs;
    int8_t *label; /* scratch of cap_scratch */
    double *score;
    int64_t cap_scratch;
} computation;

typedef struct stratum {
    const char *kind, *name, *cohort; /* cohort NULL: both */
    int64_t center;                   /* -1: any */
    int external;                     /* -1: any */
} stratum;

/* An estimate and what its row needs beside it. */
typedef struct group {
    rad_estimate e;
    int64_t n_cluster;
} group;

static rad_status out_of_memory(const computation *c, rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "out of memory for the statistics of run %" PRId64, c->run);
}

static rad_status read_run(computation *c, bool *ret_finished, rad_error *err) {
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

static rad_status read_centers(computation *c, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_CENTERS);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if (c->n_center == c->cap_center) {
            int64_t cap = c->cap_center ? 2 * c->cap_center : 16;
            center_row *p = rad_realloc(c->center, (size_t)cap, sizeof *p);
            if (!p) {
                s = out_of_memory(c, err);
                break;
            }
            c->center = p;
            c->cap_center = cap;
        }
        char *name = rad_strdup(rad_column_text(&q, 1));
        if (!name) {
            s = out_of_memory(c, err);
            break;
        }
        c->center[c->n_center++] = (center_row){sqlite3_column_int64(q.stmt, 0), name, strcmp(rad_column_text(&q, 2), "external") == 0};
    }
    rad_query_end(&q);
    return s;
}

/* *ret_name NULL when there is no such row. */
static rad_status read_name(computation *c, const char *sql, int position, int column, int64_t *ret_id, char **ret_name, rad_error *err) {
    bool row = false;
    char *name = NULL;
    rad_query q = rad_query_start(c->st, sql);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, position);
    rad_status s = rad_query_row(&q, &row, err);
    if (s == RAD_OK && row) {
        if (ret_id)
            *ret_id = sqlite3_column_int64(q.stmt, 0);
        name = rad_strdup(rad_column_text(&q, column));
        if (!name)
            s = out_of_memory(c, err);
    }
    rad_query_end(&q);
    if (s == RAD_OK)
        *ret_name = name;
    return s;
}

static rad_status read_observations(computation *c, rad_error *err) {
    bool row = false;
    rad_status s;
    const char *sql = c->unit == RAD_UNIT_LESION ? SQL_LESIONS : c->unit == RAD_UNIT_PATIENT ? SQL_PATIENTS : SQL_SLICES;
    rad_query q = rad_query_start(c->st, sql);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->run_model);
    rad_bind_int(&q, c->class_index);
    c->n_obs = 0;
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if (c->n_obs == c->cap_obs) {
            int64_t cap = c->cap_obs ? 2 * c->cap_obs : 1024;
            observation *p = rad_realloc(c->obs, (size_t)cap, sizeof *p);
            if (!p) {
                s = out_of_memory(c, err);
                break;
            }
            c->obs = p;
            c->cap_obs = cap;
        }
        c->obs[c->n_obs++] = (observation){
            .center = sqlite3_column_int64(q.stmt, 0),
            .external = sqlite3_column_int(q.stmt, 1),
            .patient = sqlite3_column_int64(q.stmt, 2),
            .label = (int8_t)rad_column_index(&q, 3),
            .score = rad_column_real(&q, 4),
        };
    }
    rad_query_end(&q);
    if (s == RAD_OK && c->cap_scratch < c->cap_obs) {
        free(c->label);
        free(c->score);
        c->cap_scratch = 0;
        c->label = rad_calloc((size_t)c->cap_obs, sizeof *c->label);
        c->score = rad_calloc((size_t)c->cap_obs, sizeof *c->score);
        if (!c->label || !c->score)
            return out_of_memory(c, err);
        c->cap_scratch = c->cap_obs;
    }
    return s;
}

/* ---------------------------------------------------------------- rows */

static const char *method_name(const computation *c, bool contrast, int64_t n, int64_t n_cluster) {
    if (c->unit == RAD_UNIT_SLICE)
        return contrast ? "difference of empirical AUCs, no interval" : "empirical AUC, no interval";
    if (n_cluster < n)
        return contrast ? "unpaired DeLong, z test (units treated as independent)" : "DeLong (units treated as independent)";
    return contrast ? "unpaired DeLong, z test" : "DeLong";
}

static rad_status put_row(computation *c, const stratum *g, const char *name, const group *v, rad_error *err) {
    rad_status s = RAD_OK;
    bool contrast = strcmp(g->kind, "contrast") == 0, slices = c->unit == RAD_UNIT_SLICE;
    char *where = NULL;
    if (g->center >= 0)
        where = sqlite3_mprintf(" AND center = %Q", g->name);
    else
        where = g->cohort ? sqlite3_mprintf(" AND cohort = %Q", g->cohort) : sqlite3_mprintf("");
    char *query = where
                      ? sqlite3_mprintf("SELECT %slabel, score FROM %s WHERE run_id = %lld AND model = %Q%s AND class = %Q%s",
                                        contrast ? "cohort, " : "", slices ? "v_slice_score" : "v_case_score", (long long)c->run, c->model,
                                        slices                       ? ""
                                        : c->unit == RAD_UNIT_LESION ? " AND unit = 'lesion'"
                                                                     : " AND unit = 'patient'",
                                        c->class_name, where)
                      : NULL;
    if (!query)
        s = out_of_memory(c, err);
    else {
        rad_query q = rad_query_start(c->st, SQL_INSERT);
        rad_bind_int(&q, c->run);
        rad_bind_int(&q, c->run_model);
        rad_bind_text(&q, rad_unit_name(c->unit));
        rad_bind_int(&q, c->class_index);
        rad_bind_text(&q, g->kind);
        rad_bind_text(&q, g->name);
        rad_bind_text(&q, g->cohort);
        rad_bind_text(&q, name);
        rad_bind_text(&q, method_name(c, contrast, v->e.n, v->n_cluster));
        rad_bind_int(&q, v->e.n);
        rad_bind_int(&q, v->e.n_pos);
        rad_bind_int(&q, v->e.n_missing);
        rad_bind_int(&q, v->n_cluster);
        rad_bind_real(&q, v->e.est);
        rad_bind_real(&q, slices ? (double)NAN : v->e.se);
        rad_bind_real(&q, slices ? (double)NAN : v->e.lower);
        rad_bind_real(&q, slices ? (double)NAN : v->e.upper);
        rad_bind_real(&q, slices ? (double)NAN : RAD_STORE_LEVEL);
        rad_bind_real(&q, slices ? (double)NAN : v->e.p);
        rad_bind_text(&q, v->e.reason ? v->e.reason : slices ? NO_SLICE_INTERVAL : NULL);
        rad_bind_text(&q, query);
        s = rad_query_exec(&q, err);
    }
    sqlite3_free(query);
    sqlite3_free(where);
    return s;
}

/* ret->e.n + n_missing = 0 when the stratum has no unit at all. Observations of a patient are neighbours. */
static rad_status estimate(computation *c, const stratum *g, group *ret, rad_error *err) {
    int64_t n = 0, n_cluster = 0, last = -1;
    for (int64_t i = 0; i < c->n_obs; i++) {
        const observation *o = &c->obs[i];
        if ((g->center >= 0 && o->center != g->center) || (g->external >= 0 && o->external != (g->external > 0)))
            continue;
        c->label[n] = o->label;
        c->score[n] = o->score;
        n++;
        if (o->label >= 0 && !isnan(o->score) && o->patient != last) {
            n_cluster++;
            last = o->patient;
        }
    }
    ret->n_cluster = n_cluster;
    return rad_auc(c->label, c->score, n, RAD_STORE_LEVEL, &ret->e, err);
}

static rad_status put_stratum(computation *c, const stratum *g, group *ret, rad_error *err) {
    rad_status s = estimate(c, g, ret, err);
    if (s == RAD_OK && ret->e.n + ret->e.n_missing > 0)
        s = put_row(c, g, "auc", ret, err);
    return s;
}

static rad_status put_strata(computation *c, rad_error *err) {
    rad_status s = RAD_OK;
    group v, in = {0}, ex = {0};
    if (c->all)
        s = put_stratum(c, &(stratum){"all", "all", NULL, -1, -1}, &v, err);
    if (c->cohorts && s == RAD_OK)
        s = put_stratum(c, &(stratum){"cohort", "internal", "internal", -1, 0}, &in, err);
    if (c->cohorts && s == RAD_OK)
        s = put_stratum(c, &(stratum){"cohort", "external", "external", -1, 1}, &ex, err);
    for (int64_t i = 0; c->centers && i < c->n_center && s == RAD_OK; i++) {
        const center_row *k = &c->center[i];
        s = put_stratum(c, &(stratum){"center", k->name, k->external ? "external" : "internal", k->id, -1}, &v, err);
    }
    if (c->cohorts && s == RAD_OK && in.e.n + in.e.n_missing > 0 && ex.e.n + ex.e.n_missing > 0) {
        s = rad_auc_difference(&in.e, &ex.e, RAD_STORE_LEVEL, &v.e, err);
        v.n_cluster = in.n_cluster + ex.n_cluster;
        if (s == RAD_OK)
            s = put_row(c, &(stratum){"contrast", "internal - external", NULL, -1, -1}, "auc_difference", &v, err);
    }
    return s;
}

static rad_status compute_class(computation *c, bool stacks, rad_error *err) {
    static const rad_unit UNIT[] = {RAD_UNIT_LESION, RAD_UNIT_PATIENT, RAD_UNIT_SLICE};
    rad_status s = RAD_OK;
    for (int u = 0; u < 3 && s == RAD_OK; u++) {
        c->unit = UNIT[u];
        if ((c->unit == RAD_UNIT_LESION && !c->lesions) || (c->unit == RAD_UNIT_SLICE && !stacks))
            continue;
        s = read_observations(c, err);
        if (s == RAD_OK)
            s = put_strata(c, err);
    }
    return s;
}

static rad_status compute_model(computation *c, rad_error *err) {
    rad_status s;
    int64_t stacks = 0;
    rad_query q = rad_query_start(c->st, SQL_HAS_STACKS);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->run_model);
    s = rad_query_int(&q, &stacks, err);
    for (int k = 0; s == RAD_OK; k++) {
        free(c->class_name);
        c->class_name = NULL;
        s = read_name(c, SQL_CLASS, k, 0, NULL, &c->class_name, err);
        if (s != RAD_OK || !c->class_name)
            break;
        c->class_index = k;
        if (c->positive < 0 || c->positive == k)
            s = compute_class(c, stacks != 0, err);
    }
    return s;
}

static rad_status compute(struct rad_store *st, int64_t run, bool must_be_finished, rad_error *err) {
    computation c = {.st = st, .run = run};
    bool finished = false;
    rad_status s = read_run(&c, &finished, err);
    if (s == RAD_OK && must_be_finished && !finished)
        s = rad_error_set(err, RAD_E_STORE,
                          "run %" PRId64 " of '%s' is not finished: its statistics would leave cases out; start the "
                          "job again to finish it",
                          run, st->path);
    if (s == RAD_OK)
        s = read_centers(&c, err);
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_CLEAR);
        rad_bind_int(&q, run);
        s = rad_query_exec(&q, err);
    }
    for (int m = 0; s == RAD_OK; m++) {
        free(c.model);
        c.model = NULL;
        s = read_name(&c, SQL_MODEL, m, 1, &c.run_model, &c.model, err);
        if (s != RAD_OK || !c.model)
            break;
        s = compute_model(&c, err);
    }
    for (int64_t i = 0; i < c.n_center; i++)
        free(c.center[i].name);
    free(c.center);
    free(c.model);
    free(c.class_name);
    free(c.obs);
    free(c.label);
    free(c.score);
    return s;
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
        s = rad_tx_commit(st, err);
    return rad_tx_end(st, s);
}
