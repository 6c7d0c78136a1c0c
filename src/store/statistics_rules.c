/* statistics_rules.c: the headline under every aggregation rule, from the stored slice scores. Exploratory: whoever picks the best of these
 * afterwards has tuned on the test set; the rows are there to show that the declared rule was not picked so. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RULES 8

/* The scores of one unit under each rule. */
typedef struct unit_scores {
    int64_t id, patient, order; /* case or patient */
    double *score;              /* [n_rule, rows] */
} unit_scores;

typedef struct rule_table {
    rad_computation *c;
    rad_scheme scheme; /* that of the run, or only its positive class */
    const char *rule[MAX_RULES];
    int n_rule, rows;
    unit_scores *item;
    int64_t n, cap;
    double *scratch, *sorted; /* room for cap_scratch parts, and for as many rows of them */
    int64_t cap_scratch;
} rule_table;

static void release(rule_table *t) {
    for (int64_t i = 0; i < t->n; i++)
        free(t->item[i].score);
    free(t->item);
    free(t->scratch);
    free(t->sorted);
    *t = (rule_table){0};
}

static rad_status add_unit(rule_table *t, int64_t id, int64_t patient, unit_scores **ret, rad_error *err) {
    if (t->n == t->cap) {
        int64_t cap = t->cap ? 2 * t->cap : 256;
        unit_scores *p = rad_realloc(t->item, (size_t)cap, sizeof *p);
        if (!p)
            return rad_statistics_no_memory(t->c, err);
        t->item = p;
        t->cap = cap;
    }
    unit_scores *u = &t->item[t->n];
    *u = (unit_scores){.id = id, .patient = patient, .order = t->n};
    u->score = rad_calloc((size_t)t->n_rule * (size_t)t->rows, sizeof *u->score);
    if (!u->score)
        return rad_statistics_no_memory(t->c, err);
    t->n++;
    *ret = u;
    return RAD_OK;
}

static rad_status make_room(rule_table *t, int64_t n, rad_error *err) {
    if (n <= t->cap_scratch)
        return RAD_OK;
    double *p = rad_realloc(t->scratch, (size_t)n, sizeof *p), *q = NULL;
    size_t all;
    if (p)
        t->scratch = p;
    if (p && rad_mul_size((size_t)n, (size_t)t->rows, &all) && (q = rad_realloc(t->sorted, all, sizeof *q)))
        t->sorted = q;
    if (!q)
        return rad_statistics_no_memory(t->c, err);
    t->cap_scratch = n;
    return RAD_OK;
}

/* One unit from its parts [rows, n] under every rule. Only votes look at several rows of a part; all others sort each row, which is done
 * once. */
static rad_status reduce_all(rule_table *t, const double *part, int64_t n, double *ret, rad_error *err) {
    rad_status s = make_room(t, n, err);
    if (s != RAD_OK)
        return s;
    memcpy(t->sorted, part, (size_t)n * (size_t)t->rows * sizeof *part);
    for (int k = 0; k < t->rows; k++)
        (void)rad_aggregate_scores("max", t->sorted + k * n, n);
    for (int r = 0; r < t->n_rule; r++)
        rad_scheme_reduce(&t->scheme, t->rule[r], strcmp(t->rule[r], "majority") == 0 ? part : t->sorted, n, t->scratch, ret + r * t->rows);
    return RAD_OK;
}

static rad_status take_case(void *payload, int64_t case_id, int64_t patient, const double *part, int64_t n, rad_error *err) {
    rule_table *t = payload;
    unit_scores *u;
    rad_status s = add_unit(t, case_id, patient, &u, err);
    return s == RAD_OK ? reduce_all(t, part, n, u->score, err) : s;
}

static int by_patient(const void *x, const void *y) {
    const unit_scores *a = x, *b = y;
    if (a->patient != b->patient)
        return a->patient < b->patient ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static int by_id(const void *x, const void *y) {
    const unit_scores *a = x, *b = y;
    return (a->id > b->id) - (a->id < b->id);
}

/* Cases (sorted by patient) to patients, each rule by itself at both levels. */
static rad_status to_patients(const rule_table *cases, rule_table *ret, rad_error *err) {
    rad_status s = RAD_OK;
    double *matrix = NULL;
    for (int64_t i = 0, j; i < cases->n && s == RAD_OK; i = j) {
        unit_scores *u;
        for (j = i; j < cases->n && cases->item[j].patient == cases->item[i].patient; j++)
            ;
        const int64_t n = j - i;
        double *p = rad_realloc(matrix, (size_t)n * (size_t)cases->rows, sizeof *p);
        if (!p) {
            s = rad_statistics_no_memory(cases->c, err);
            break;
        }
        matrix = p;
        s = add_unit(ret, cases->item[i].patient, cases->item[i].patient, &u, err);
        if (s == RAD_OK)
            s = make_room(ret, n, err);
        for (int r = 0; r < cases->n_rule && s == RAD_OK; r++) {
            for (int k = 0; k < cases->rows; k++)
                for (int64_t m = 0; m < n; m++)
                    matrix[k * n + m] = cases->item[i + m].score[r * cases->rows + k];
            rad_scheme_reduce(&cases->scheme, cases->rule[r], matrix, n, ret->scratch, u->score + r * cases->rows);
        }
    }
    free(matrix);
    return s;
}

/* ---------------------------------------------------------------- rows */

typedef struct rule_rows {
    const char *rule;
    bool two_levels;
} rule_rows;

/* Units with a label and their slices' scores. */
static char *units_query(const rad_computation *c, const rad_stratum *g, int label) {
    char *place = rad_statistics_place(g, "s.center", "s.cohort");
    char *query =
        place ? sqlite3_mprintf("SELECT s.cohort, s.patient, s.lesion, s.label, (SELECT json_group_array(x.score) FROM v_slice_score x"
                                " WHERE x.run_id = s.run_id AND x.model = s.model AND x.patient = s.patient AND x.class = s.class%s)"
                                " AS slice_scores FROM v_case_score s WHERE s.run_id = %lld AND s.model = %Q AND s.unit = '%s'"
                                " AND s.class = %Q AND s.label%s%s",
                                c->unit == RAD_UNIT_LESION ? " AND x.lesion IS s.lesion" : "", (long long)c->run,
                                c->model[c->at_model].name, rad_unit_name(c->unit), c->class_name[c->class_index],
                                label < 0   ? " IS NOT NULL"
                                : label > 0 ? " = 1"
                                            : " = 0",
                                place)
              : NULL;
    sqlite3_free(place);
    return query;
}

static rad_status put(rad_computation *c, const rad_stratum *g, const rule_rows *r, const char *name, const char *point, int label,
                      const char *how, int64_t n_cluster, const rad_measure *v, rad_error *err) {
    char method[240];
    snprintf(method, sizeof method, "exploratory: %s of the slices%s%s; %s", r->rule, r->two_levels ? ", then of the lesions: " : "",
             r->two_levels ? r->rule : "", how);
    char *query = units_query(c, g, label);
    if (!query)
        return rad_statistics_no_memory(c, err);
    const rad_row_text t = {.name = name,
                            .point = point,
                            .method = method,
                            .versus = r->rule,
                            .n_cluster = n_cluster,
                            .query = query,
                            .kind = RAD_ROW_INTERVAL};
    rad_status s = rad_statistics_put(c, g, &t, v, err);
    sqlite3_free(query);
    return s;
}

static rad_status put_point(rad_computation *c, const rad_stratum *g, const rule_rows *r, const rad_operating_point *p, rad_error *err) {
    static const struct {
        const char *name;
        int label;
    } SHARE[] = {{"exploratory_sensitivity", 1}, {"exploratory_specificity", 0}};
    const rad_sample *m = &c->sample;
    rad_status s = RAD_OK;
    for (int k = 0; k < 2 && s == RAD_OK; k++) {
        int64_t n = 0, missing = 0, n_cluster = 0;
        double last = -1;
        rad_measure v;
        for (int64_t i = 0; i < m->n; i++) {
            const bool used = m->label[i] >= 0 && !isnan(m->score[i]);
            missing += !used;
            if (!used || m->label[i] != SHARE[k].label)
                continue;
            n_cluster += m->cluster[i] != last;
            last = m->cluster[i];
            c->x[n++] = (m->score[i] >= p->threshold) == (m->label[i] == 1);
        }
        s = rad_measure_proportion(c->x, n, &v, err);
        v.e.n_missing = missing;
        if (s == RAD_OK)
            s = put(c, g, r, SHARE[k].name, p->name, SHARE[k].label, n_cluster < n ? "Wilson" RAD_STATISTICS_INDEPENDENT : "Wilson",
                    n_cluster, &v, err);
    }
    return s;
}

static rad_status put_stratum(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    rad_measure v;
    if (g->center >= 0)
        return RAD_OK;
    const int64_t n_cluster = rad_statistics_select(c, g);
    if (c->sample.n == 0)
        return RAD_OK;
    rad_status s = rad_measure_auc(&c->sample, &v, err);
    if (s == RAD_OK)
        s = put(c, g, payload, "exploratory_auc", NULL, -1, n_cluster < v.e.n ? "DeLong" RAD_STATISTICS_INDEPENDENT : "DeLong", n_cluster,
                &v, err);
    if (s == RAD_OK && n_cluster < v.e.n && (s = rad_measure_auc_clustered(&c->sample, &v, err)) == RAD_OK)
        s = put(c, g, payload, "exploratory_auc_clustered", NULL, -1, "Obuchowski 1997, patients as clusters", n_cluster, &v, err);
    for (int i = 0; i < c->n_point && rad_statistics_binary(c) && s == RAD_OK; i++)
        if (c->point[i].tune == RAD_TUNE_NONE) /* a tuned one belongs to the rule that it was tuned under */
            s = put_point(c, g, payload, &c->point[i], err);
    return s;
}

/* The units at hand get the scores of rule `r`, or none. */
static void give_scores(rad_computation *c, const rule_table *t, int r) {
    const int row = t->scheme.only < 0 ? c->class_index : 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        const unit_scores key = {.id = c->obs[i].unit};
        const unit_scores *u = t->n > 0 ? bsearch(&key, t->item, (size_t)t->n, sizeof *t->item, by_id) : NULL;
        c->obs[i].score = u ? u->score[r * t->rows + row] : (double)NAN;
    }
}

static rad_status put_unit(rule_table *t, rad_unit unit, rad_error *err) {
    rad_computation *c = t->c;
    rad_status s = RAD_OK;
    c->unit = unit;
    if (t->n > 0)
        qsort(t->item, (size_t)t->n, sizeof *t->item, by_id);
    for (c->class_index = 0; c->class_index < rad_scheme_rows(&c->scheme) && s == RAD_OK; c->class_index++) {
        if (c->positive >= 0 && c->positive != c->class_index)
            continue;
        s = rad_statistics_read(c, err);
        for (int r = 0; r < t->n_rule && s == RAD_OK; r++) {
            rule_rows rows = {t->rule[r], unit == RAD_UNIT_PATIENT && c->lesions};
            give_scores(c, t, r);
            s = rad_statistics_each_stratum(c, put_stratum, &rows, err);
        }
    }
    return s;
}

/* The rules of one model: all that are defined for its scores, then the declared ones. */
static void list_rules(rule_table *t) {
    static const char *const RULE[] = {"max", "mean", "median", "top-3", "majority", "noisy-or"};
    const rad_computation *c = t->c;
    const char *declared[] = {c->scheme.case_rule, c->scheme.patient_rule};
    for (int i = 0; i < 6; i++)
        if (i < 5 || c->model[c->at_model].probability)
            t->rule[t->n_rule++] = RULE[i];
    for (int i = 0; i < 2; i++) {
        bool there = false;
        for (int k = 0; k < t->n_rule; k++)
            there = there || strcmp(t->rule[k], declared[i]) == 0;
        if (!there)
            t->rule[t->n_rule++] = declared[i];
    }
}

rad_status rad_statistics_rules(rad_computation *c, rad_error *err) {
    rad_status s = RAD_OK;
    for (c->at_model = 0; c->at_model < c->n_model && s == RAD_OK; c->at_model++) {
        rule_table cases = {.c = c, .scheme = c->scheme};
        rad_scheme_narrow(&cases.scheme);
        cases.rows = rad_scheme_rows(&cases.scheme);
        list_rules(&cases);
        rule_table patients = {.c = c, .scheme = cases.scheme, .rows = cases.rows, .n_rule = cases.n_rule};
        memcpy(patients.rule, cases.rule, sizeof cases.rule);
        s = rad_scheme_each_case(c->st, &cases.scheme, c->run, c->model[c->at_model].id, take_case, &cases, err);
        if (s == RAD_OK && cases.n > 0)
            qsort(cases.item, (size_t)cases.n, sizeof *cases.item, by_patient);
        if (s == RAD_OK)
            s = to_patients(&cases, &patients, err);
        if (s == RAD_OK && c->lesions)
            s = put_unit(&cases, RAD_UNIT_LESION, err);
        if (s == RAD_OK)
            s = put_unit(&patients, RAD_UNIT_PATIENT, err);
        release(&cases);
        release(&patients);
    }
    return s;
}
