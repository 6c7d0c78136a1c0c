/* statistics.c: the numbers of a run into the statistic table.
 *
 * Observations come in the order of patient and lesion names, so that the sums, and with them the last bit, do not depend on the
 * order in which cases arrived. Each row keeps the SQL that returns what it was computed from, its unit and its denominators. When
 * several units share a patient, the naive row says in its method that they were treated as independent, and a row with the suffix
 * _clustered beside it takes the patients as clusters (promise 6). The naive row of slices has no interval: it would be far too narrow. */
#include "db.h"

#include "measure.h"

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
    "INSERT INTO statistic (run_id, run_model_id, unit, class_index, stratum_kind, stratum, cohort, point, name, method, n, n_pos, "
    "n_missing,"
    " n_cluster, est, se, lower, upper, level, p, reason, query)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)";
static const char SQL_POINTS[] =
    "SELECT o.point, o.threshold FROM operating_point o JOIN run r ON r.run_id = o.run_id AND r.positive_class IS NOT NULL"
    " WHERE o.run_id = ?1 ORDER BY o.position";

#define NO_SLICE_INTERVAL "slices of one patient are not independent: see the clustered row for an interval"

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
    rad_sample sample; /* room for cap_scratch units */
    double *x, *x_cluster;
    int64_t cap_scratch;
    rad_operating_point *point; /* of a two-class job */
    int n_point;
} computation;

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

static void free_scratch(computation *c) {
    free(c->sample.label);
    free(c->sample.score);
    free(c->sample.cluster);
    free(c->x);
    free(c->x_cluster);
    c->sample = (rad_sample){0};
    c->x = c->x_cluster = NULL;
    c->cap_scratch = 0;
}

static rad_status make_scratch(computation *c, rad_error *err) {
    if (c->cap_scratch >= c->cap_obs)
        return RAD_OK;
    free_scratch(c);
    size_t n = (size_t)c->cap_obs;
    c->sample.label = rad_calloc(n, sizeof *c->sample.label);
    c->sample.score = rad_calloc(n, sizeof *c->sample.score);
    c->sample.cluster = rad_calloc(n, sizeof *c->sample.cluster);
    c->x = rad_calloc(n, sizeof *c->x);
    c->x_cluster = rad_calloc(n, sizeof *c->x_cluster);
    if (!c->sample.label || !c->sample.score || !c->sample.cluster || !c->x || !c->x_cluster)
        return out_of_memory(c, err);
    c->cap_scratch = c->cap_obs;
    return RAD_OK;
}

static rad_status read_points(computation *c, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_POINTS);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && c->n_point < RAD_MAX_POINTS) {
        char *name = rad_strdup(rad_column_text(&q, 0));
        rad_operating_point *p = name ? rad_realloc(c->point, (size_t)c->n_point + 1, sizeof *p) : NULL;
        if (!p) {
            free(name);
            s = out_of_memory(c, err);
            break;
        }
        c->point = p;
        c->point[c->n_point++] = (rad_operating_point){name, sqlite3_column_double(q.stmt, 1)};
    }
    rad_query_end(&q);
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
    return s == RAD_OK ? make_scratch(c, err) : s;
}

/* ---------------------------------------------------------------- rows */

typedef struct stratum {
    const char *kind, *name, *cohort; /* cohort NULL: both */
    int64_t center;                   /* -1: any */
    int external;                     /* -1: any */
} stratum;

/* What a row says beside its estimate. */
typedef struct row_text {
    const char *name, *point, *method;
    const char *where; /* end of its query */
    int64_t n_cluster;
    bool interval; /* false: the one at hand would take dependent units for independent */
} row_text;

/* An AUC in both ways. `clustered` is set when several units share a patient. */
typedef struct auc_pair {
    rad_measure naive, clustered;
    int64_t n_cluster;
    bool shared;
} auc_pair;

/* The SQL behind a row; NULL when memory is out. Released with sqlite3_free. */
static char *row_query(const computation *c, const stratum *g, const char *end) {
    const char *unit = c->unit == RAD_UNIT_SLICE ? "" : c->unit == RAD_UNIT_LESION ? " AND unit = 'lesion'" : " AND unit = 'patient'";
    char *place = g->center >= 0 ? sqlite3_mprintf(" AND center = %Q", g->name)
                  : g->cohort    ? sqlite3_mprintf(" AND cohort = %Q", g->cohort)
                                 : sqlite3_mprintf("");
    char *query = place ? sqlite3_mprintf("SELECT cohort, patient, label, score FROM %s WHERE run_id = %lld AND model = %Q%s"
                                          " AND class = %Q%s%s",
                                          c->unit == RAD_UNIT_SLICE ? "v_slice_score" : "v_case_score", (long long)c->run, c->model, unit,
                                          c->class_name, place, end)
                        : NULL;
    sqlite3_free(place);
    return query;
}

static rad_status put_row(computation *c, const stratum *g, const row_text *t, const rad_measure *v, rad_error *err) {
    char *query = row_query(c, g, t->where ? t->where : "");
    if (!query)
        return out_of_memory(c, err);
    rad_query q = rad_query_start(c->st, SQL_INSERT);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->run_model);
    rad_bind_text(&q, rad_unit_name(c->unit));
    rad_bind_int(&q, c->class_index);
    rad_bind_text(&q, g->kind);
    rad_bind_text(&q, g->name);
    rad_bind_text(&q, g->cohort);
    rad_bind_text(&q, t->point);
    rad_bind_text(&q, t->name);
    rad_bind_text(&q, t->method);
    rad_bind_int(&q, v->e.n);
    rad_bind_int(&q, v->e.n_pos);
    rad_bind_int(&q, v->e.n_missing);
    rad_bind_int(&q, t->n_cluster);
    rad_bind_real(&q, v->e.est);
    rad_bind_real(&q, t->interval ? v->e.se : (double)NAN);
    rad_bind_real(&q, t->interval ? v->e.lower : (double)NAN);
    rad_bind_real(&q, t->interval ? v->e.upper : (double)NAN);
    rad_bind_real(&q, t->interval ? RAD_STORE_LEVEL : (double)NAN);
    rad_bind_real(&q, t->interval ? v->e.p : (double)NAN);
    rad_bind_text(&q, v->reason[0] ? v->reason : t->interval ? NULL : NO_SLICE_INTERVAL);
    rad_bind_text(&q, query);
    rad_status s = rad_query_exec(&q, err);
    sqlite3_free(query);
    return s;
}

/* Naive and clustered row of one number. */
static rad_status put_pair(computation *c, const stratum *g, const char *const name[2], const char *const method[3], const auc_pair *v,
                           rad_error *err) {
    bool slices = c->unit == RAD_UNIT_SLICE;
    row_text t = {.name = name[0],
                  .method = method[slices && v->shared ? 0
                                   : v->shared         ? 2
                                                       : 1],
                  .n_cluster = v->n_cluster,
                  .interval = !(slices && v->shared)};
    char marked[120];
    if (v->shared && !slices) {
        snprintf(marked, sizeof marked, "%s (units treated as independent)", method[1]);
        t.method = marked;
    }
    rad_status s = put_row(c, g, &t, &v->naive, err);
    if (s == RAD_OK && v->shared) {
        t = (row_text){.name = name[1], .method = method[2], .n_cluster = v->n_cluster, .interval = true};
        s = put_row(c, g, &t, &v->clustered, err);
    }
    return s;
}

/* Units of the stratum into c->sample, missing ones too; clusters are numbered in the order of patients, who are neighbours. */
static int64_t select_units(computation *c, const stratum *g) {
    int64_t last = -1, used = 0, last_used = -1;
    rad_sample *m = &c->sample;
    m->n = m->n_cluster = 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        const observation *o = &c->obs[i];
        if ((g->center >= 0 && o->center != g->center) || (g->external >= 0 && o->external != (g->external > 0)))
            continue;
        if (o->patient != last)
            m->n_cluster++;
        last = o->patient;
        m->label[m->n] = o->label;
        m->score[m->n] = o->score;
        m->cluster[m->n] = (double)(m->n_cluster - 1);
        m->n++;
        if (o->label >= 0 && !isnan(o->score) && o->patient != last_used) {
            last_used = o->patient;
            used++;
        }
    }
    return used;
}

static rad_status put_proportion(computation *c, const stratum *g, const rad_operating_point *p, const char *const name[2], int label,
                                 rad_error *err) {
    rad_measure v;
    int64_t n = 0, n_cluster = 0, missing = 0;
    double last = -1;
    const rad_sample *m = &c->sample;
    for (int64_t i = 0; i < m->n; i++) {
        if (m->label[i] < 0 || isnan(m->score[i])) {
            missing++;
            continue;
        }
        if (label >= 0 && m->label[i] != label)
            continue;
        c->x[n] = (m->score[i] >= p->threshold) == (m->label[i] == 1);
        if (m->cluster[i] != last)
            n_cluster++;
        last = m->cluster[i];
        c->x_cluster[n] = (double)(n_cluster - 1);
        n++;
    }
    bool shared = n_cluster < n, slices = c->unit == RAD_UNIT_SLICE;
    row_text t = {.name = name[0],
                  .point = p->name,
                  .n_cluster = n_cluster,
                  .interval = !(shared && slices),
                  .method = !shared  ? "Wilson"
                            : slices ? "share, no interval"
                                     : "Wilson (units treated as independent)",
                  .where = label < 0 ? ""
                           : label   ? " AND label = 1"
                                     : " AND label = 0"};
    rad_status s = rad_measure_proportion(c->x, n, &v, err);
    v.e.n_missing = missing;
    if (s == RAD_OK)
        s = put_row(c, g, &t, &v, err);
    if (s == RAD_OK && shared) {
        s = rad_measure_proportion_clustered(c->x, c->x_cluster, n, n_cluster, &v, err);
        v.e.n_missing = missing;
        t.name = name[1];
        t.method = "ratio estimator, patients as clusters, logit limits";
        t.interval = true;
        if (s == RAD_OK)
            s = put_row(c, g, &t, &v, err);
    }
    return s;
}

static rad_status put_points(computation *c, const stratum *g, rad_error *err) {
    static const char *const NAME[3][2] = {
        {"sensitivity", "sensitivity_clustered"}, {"specificity", "specificity_clustered"}, {"accuracy", "accuracy_clustered"}};
    static const int LABEL[3] = {1, 0, -1};
    rad_status s = RAD_OK;
    for (int i = 0; i < c->n_point && s == RAD_OK; i++)
        for (int k = 0; k < 3 && s == RAD_OK; k++)
            s = put_proportion(c, g, &c->point[i], NAME[k], LABEL[k], err);
    return s;
}

/* ret->naive.e.n + n_missing is 0 when the stratum has no unit at all. */
static rad_status put_stratum(computation *c, const stratum *g, auc_pair *ret, rad_error *err) {
    static const char *const NAME[2] = {"auc", "auc_clustered"};
    static const char *const METHOD[3] = {"empirical AUC, no interval", "DeLong", "Obuchowski 1997, patients as clusters"};
    *ret = (auc_pair){.n_cluster = select_units(c, g)};
    rad_status s = rad_measure_auc(&c->sample, &ret->naive, err);
    if (s != RAD_OK || c->sample.n == 0)
        return s;
    ret->shared = ret->n_cluster < ret->naive.e.n;
    if (ret->shared)
        s = rad_measure_auc_clustered(&c->sample, &ret->clustered, err);
    if (s == RAD_OK)
        s = put_pair(c, g, NAME, METHOD, ret, err);
    return s == RAD_OK ? put_points(c, g, err) : s;
}

static rad_status put_difference(computation *c, const auc_pair *in, const auc_pair *ex, rad_error *err) {
    static const char *const NAME[2] = {"auc_difference", "auc_difference_clustered"};
    static const char *const METHOD[3] = {"difference of empirical AUCs, no interval", "unpaired DeLong, z test",
                                          "unpaired Obuchowski 1997, patients as clusters, z test"};
    const stratum g = {"contrast", "internal - external", NULL, -1, -1};
    auc_pair v = {.n_cluster = in->n_cluster + ex->n_cluster, .shared = in->shared || ex->shared};
    rad_status s = rad_measure_auc_difference(&in->naive, &ex->naive, &v.naive, err);
    if (s == RAD_OK && v.shared)
        s = rad_measure_auc_difference(in->shared ? &in->clustered : &in->naive, ex->shared ? &ex->clustered : &ex->naive, &v.clustered,
                                       err);
    return s == RAD_OK ? put_pair(c, &g, NAME, METHOD, &v, err) : s;
}

static rad_status put_strata(computation *c, rad_error *err) {
    rad_status s = RAD_OK;
    auc_pair v, in = {0}, ex = {0};
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
    if (c->cohorts && s == RAD_OK && in.naive.e.n + in.naive.e.n_missing > 0 && ex.naive.e.n + ex.naive.e.n_missing > 0)
        s = put_difference(c, &in, &ex, err);
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
    if (s == RAD_OK)
        s = read_points(&c, err);
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
    for (int i = 0; i < c.n_point; i++)
        free(c.point[i].name);
    free(c.point);
    free_scratch(&c);
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
