/* statistics_models.c: the models of a run against each other, on the units that all of them have scored. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

typedef struct comparison {
    int k;                /* models */
    double *score;        /* k x n_obs, model by model; NaN = none */
    double *label;        /* [n_obs] of the stratum; NaN = unknown */
    double *cluster;      /* [n_obs] */
    double *column;       /* k x n of the stratum */
    const char **level;   /* names of clusters: none worth telling */
    rad_column *frame;    /* label, k scores */
    double *p, *adjusted; /* by pair */
    int64_t n, n_cluster, n_missing, n_pos;
} comparison;

static void release(comparison *m) {
    free(m->score);
    free(m->label);
    free(m->cluster);
    free(m->column);
    free(m->level);
    free(m->frame);
    free(m->p);
    free(m->adjusted);
}

/* Every model has its observations in the same order of the same units. */
static rad_status read_scores(rad_computation *c, comparison *m, rad_error *err) {
    rad_status st = RAD_OK;
    int64_t n = 0;
    m->k = c->n_model;
    for (c->at_model = 0; c->at_model < c->n_model; c->at_model++) {
        RAD_TRY(rad_statistics_read(c, err));
        if (c->at_model == 0) {
            n = c->n_obs;
            const size_t k = (size_t)m->k, rows = (size_t)n + 1;
            m->score = rad_calloc(k * rows, sizeof *m->score);
            m->column = rad_calloc(k * rows, sizeof *m->column);
            m->label = rad_calloc(rows, sizeof *m->label);
            m->cluster = rad_calloc(rows, sizeof *m->cluster);
            m->level = rad_calloc(rows, sizeof *m->level);
            m->frame = rad_calloc(k + 1, sizeof *m->frame);
            m->p = rad_calloc(k * k, sizeof *m->p);
            m->adjusted = rad_calloc(k * k, sizeof *m->adjusted);
            if (!m->score || !m->column || !m->label || !m->cluster || !m->level || !m->frame || !m->p || !m->adjusted) {
                st = rad_statistics_no_memory(c, err);
                goto out;
            }
            for (int64_t i = 0; i < n; i++)
                m->level[i] = "";
        }
        if (c->n_obs != n)
            RAD_TRY(rad_error_set(err, RAD_E_INTERNAL, "models of one run have %lld and %lld units", (long long)n, (long long)c->n_obs));
        for (int64_t i = 0; i < n; i++)
            m->score[c->at_model * n + i] = c->obs[i].score;
    }
out:
    return st;
}

/* Units of the stratum that have a label and all scores. */
static void select_complete(const rad_computation *c, const rad_stratum *g, comparison *m) {
    int64_t last = -1;
    const int64_t all = c->n_obs;
    m->n = m->n_cluster = m->n_missing = m->n_pos = 0;
    for (int64_t i = 0; i < all; i++) {
        const rad_observation *o = &c->obs[i];
        if (!rad_statistics_holds(g, o))
            continue;
        bool complete = o->label >= 0;
        for (int j = 0; j < m->k && complete; j++)
            complete = !isnan(m->score[j * all + i]);
        if (!complete) {
            m->n_missing++;
            continue;
        }
        if (o->patient != last)
            m->n_cluster++;
        last = o->patient;
        m->label[m->n] = o->label;
        m->cluster[m->n] = (double)(m->n_cluster - 1);
        for (int j = 0; j < m->k; j++)
            m->column[j * all + m->n] = m->score[j * all + i];
        m->n_pos += o->label;
        m->n++;
    }
}

/* Units with label and the scores of all models, two of which are shown. */
static char *pair_query(const rad_computation *c, const rad_stratum *g, int a, int b) {
    const bool lesion = c->unit == RAD_UNIT_LESION;
    char *place = rad_statistics_place(g, "ce.center", "rp.cohort");
    char *query = place
                      ? sqlite3_mprintf("SELECT rp.cohort, p.patient, l.lesion, EXISTS (SELECT 1 FROM run_class_part cp"
                                        " WHERE cp.run_id = rp.run_id AND cp.class_index = s.class_index AND cp.part_index = %s) AS label, "
                                        "s.score, t.score AS score2 FROM case_score s"
                                        " JOIN case_score t ON t.run_model_id = %lld AND t.patient_id = s.patient_id"
                                        " AND t.case_key = s.case_key AND t.class_index = s.class_index"
                                        " JOIN run_patient rp ON rp.run_id = %lld AND rp.patient_id = s.patient_id"
                                        " JOIN patient p ON p.patient_id = s.patient_id JOIN center ce ON ce.center_id = rp.center_id"
                                        " LEFT JOIN manifest m ON m.case_id = s.case_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
                                        " WHERE s.run_model_id = %lld AND s.unit = '%s' AND s.class_index = %d AND %s IS NOT NULL"
                                        " AND (SELECT count(*) FROM run_model q JOIN case_score o ON o.run_model_id = q.run_model_id"
                                        " AND o.patient_id = s.patient_id AND o.case_key = s.case_key"
                                        " AND o.class_index = s.class_index WHERE q.run_id = %lld) = %d%s",
                                        lesion ? "m.class_index" : "rp.class_index", (long long)c->model[b].id, (long long)c->run,
                                        (long long)c->model[a].id, rad_unit_name(c->unit), c->class_index,
                                        lesion ? "m.class_index" : "rp.class_index", (long long)c->run, c->n_model, place)
                      : NULL;
    sqlite3_free(place);
    return query;
}

static rad_measure measure_of(const comparison *m) {
    return (rad_measure){
        .e = {.est = NAN, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN, .n = m->n, .n_pos = m->n_pos, .n_missing = m->n_missing}};
}

static rad_status put_overall(rad_computation *c, const rad_stratum *g, const comparison *m, const rad_doc *doc, rad_error *err) {
    char method[160];
    rad_measure v = measure_of(m);
    v.e.est = rad_doc_get(doc, "chisq");
    v.e.p = rad_doc_get(doc, "p");
    const char *why = rad_doc_get_reason(doc);
    if (isnan(v.e.est))
        snprintf(v.reason, sizeof v.reason, "%s", why ? why : "no test");
    snprintf(method, sizeof method, "chi-square of %d equal AUCs, df = %.0f, DeLong 1988%s", m->k, rad_doc_get(doc, "df"),
             m->n_cluster < m->n ? RAD_STATISTICS_INDEPENDENT : "");
    char *query = pair_query(c, g, 0, 1);
    if (!query)
        return rad_statistics_no_memory(c, err);
    c->at_model = 0;
    const rad_row_text t = {.name = "auc_equality", .method = method, .query = query, .n_cluster = m->n_cluster, .kind = RAD_ROW_BARE};
    rad_status s = rad_statistics_put(c, g, &t, &v, err);
    sqlite3_free(query);
    return s;
}

static rad_status put_pair(rad_computation *c, const rad_stratum *g, const comparison *m, int a, int b, const rad_row_text *text,
                           const rad_measure *v, rad_error *err) {
    char *query = pair_query(c, g, a, b);
    if (!query)
        return rad_statistics_no_memory(c, err);
    rad_row_text t = *text;
    t.query = query;
    t.versus = c->model[b].name;
    t.n_cluster = m->n_cluster;
    t.adjusted = true;
    c->at_model = a;
    rad_status s = rad_statistics_put(c, g, &t, v, err);
    sqlite3_free(query);
    return s;
}

static rad_status put_naive(rad_computation *c, const rad_stratum *g, const comparison *m, const rad_doc *doc, rad_error *err) {
    rad_status s = RAD_OK;
    rad_doc_row row;
    bool more = rad_doc_row_first(doc, "rows", &row);
    const char *why = rad_doc_get_reason(doc);
    for (int a = 0; a < m->k; a++)
        for (int b = a + 1; b < m->k && s == RAD_OK; b++) {
            rad_measure v = measure_of(m);
            if (more) {
                v.e.est = rad_doc_row_get(doc, &row, "diff");
                v.e.se = rad_doc_row_get(doc, &row, "se_diff");
                v.e.lower = rad_doc_row_get(doc, &row, "lower");
                v.e.upper = rad_doc_row_get(doc, &row, "upper");
                v.e.p = rad_doc_row_get(doc, &row, "p");
            }
            if (isnan(v.e.est) || isnan(v.e.p))
                snprintf(v.reason, sizeof v.reason, "%s", why ? why : "no test");
            const rad_row_text t = {.name = "auc_paired_difference",
                                    .method = m->n_cluster < m->n ? "paired DeLong" RAD_STATISTICS_INDEPENDENT : "paired DeLong",
                                    .p_adjusted = more ? rad_doc_row_get(doc, &row, "p_adjusted") : (double)NAN};
            s = put_pair(c, g, m, a, b, &t, &v, err);
            more = more && rad_doc_row_next(doc, &row);
        }
    return s;
}

static rad_status put_clustered(rad_computation *c, const rad_stratum *g, const comparison *m, rad_error *err) {
    const int64_t all = c->n_obs;
    const rad_arg level = {RAD_STORE_LEVEL, NULL};
    rad_status st = RAD_OK;
    rad_doc *doc = NULL;
    int pair = 0;
    rad_measure *v = rad_calloc((size_t)m->k * (size_t)m->k, sizeof *v);
    if (!v)
        return rad_statistics_no_memory(c, err);
    for (int a = 0; a < m->k; a++)
        for (int b = a + 1; b < m->k; b++, pair++) {
            const rad_column column[] = {{"label", m->label, NULL, 0},
                                         {"score1", m->column + a * all, NULL, 0},
                                         {"score2", m->column + b * all, NULL, 0},
                                         {"cluster", m->cluster, m->level, m->n_cluster}};
            RAD_TRY(rad_measure_call("auc_diff_clustered_json", &(rad_frame){m->n, 4, column}, &level, 1, &doc, err));
            v[pair] = measure_of(m);
            v[pair].e.est = rad_doc_get(doc, "diff");
            v[pair].e.se = rad_doc_get(doc, "se_diff");
            v[pair].e.lower = rad_doc_get(doc, "lower");
            v[pair].e.upper = rad_doc_get(doc, "upper");
            m->p[pair] = v[pair].e.p = rad_doc_get(doc, "p");
            if (isnan(v[pair].e.p))
                snprintf(v[pair].reason, sizeof v[pair].reason, "%s", rad_doc_get_reason(doc) ? rad_doc_get_reason(doc) : "no test");
            rad_doc_destroy(&doc);
        }
    RAD_TRY(rad_measure_holm(m->p, pair, m->adjusted, err));
    pair = 0;
    for (int a = 0; a < m->k; a++)
        for (int b = a + 1; b < m->k; b++, pair++) {
            const rad_row_text t = {.name = "auc_paired_difference_clustered",
                                    .method = "paired, Obuchowski 1997, patients as clusters",
                                    .p_adjusted = m->adjusted[pair]};
            RAD_TRY(put_pair(c, g, m, a, b, &t, &v[pair], err));
        }
out:
    rad_doc_destroy(&doc);
    free(v);
    return st;
}

static rad_status compare(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    static const rad_arg ARG[] = {{NAN, "holm"}, {RAD_STORE_LEVEL, NULL}};
    comparison *m = payload;
    rad_doc *doc = NULL;
    select_complete(c, g, m);
    if (m->n + m->n_missing == 0)
        return RAD_OK;
    m->frame[0] = (rad_column){"label", m->label, NULL, 0};
    for (int j = 0; j < m->k; j++)
        m->frame[1 + j] = (rad_column){c->model[j].name, m->column + j * c->n_obs, NULL, 0};
    rad_status s = rad_measure_call("auc_compare_json", &(rad_frame){m->n, m->k + 1, m->frame}, ARG, 2, &doc, err);
    if (s == RAD_OK)
        s = put_naive(c, g, m, doc, err);
    if (s == RAD_OK && m->k > 2)
        s = put_overall(c, g, m, doc, err);
    if (s == RAD_OK && m->n_cluster < m->n)
        s = put_clustered(c, g, m, err);
    rad_doc_destroy(&doc);
    return s;
}

rad_status rad_statistics_models(rad_computation *c, rad_error *err) {
    comparison m = {0};
    rad_status s = read_scores(c, &m, err);
    if (s == RAD_OK)
        s = rad_statistics_each_stratum(c, compare, &m, err);
    release(&m);
    return s;
}
