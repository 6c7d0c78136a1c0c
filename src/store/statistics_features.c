/* statistics_features.c: what readers saw against the truth: one row per reader and feature (further columns of the readings table), over
 * all units that the model has scored. A feature whose values are numbers, more than two of them, is numeric: AUC of the truth, odds ratio
 * per unit. Else it is categorical: Fisher's exact test where an expected count is below 5, else chi-square without correction; with two
 * values also the odds ratio of the second (in sorted order) against the first, by logistic regression, Firth's where a cell of the table
 * is empty. The tests of a model and unit are one family: adjusted by Holm in the row, by Benjamini and Hochberg in a row of its own. */
#include "statistics_reading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_FEATURES[] =
    "SELECT DISTINCT rd.reader, f.name FROM reading rd JOIN reading_feature f ON f.reading_id = rd.reading_id"
    " JOIN run_patient rp ON rp.run_id = ?1 AND rp.patient_id = rd.patient_id"
    " WHERE rd.repeat = 0 AND (rd.lesion_id IS NOT NULL) = ?2 ORDER BY rd.reader, f.name";
#define VALUE                                                                                                                              \
    "SELECT (SELECT f.value FROM reading rd JOIN reading_feature f ON f.reading_id = rd.reading_id AND f.name = ?3 WHERE rd.reader = ?2"   \
    " AND rd.repeat = 0 AND rd.patient_id = "
static const char SQL_LESION_VALUES[] =
    VALUE "m.patient_id AND rd.lesion_id = m.lesion_id) FROM manifest m JOIN patient p ON p.patient_id = m.patient_id"
          " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_PATIENT_VALUES[] =
    VALUE "rp.patient_id AND rd.lesion_id IS NULL) FROM run_patient rp JOIN patient p ON p.patient_id = rp.patient_id WHERE rp.run_id = ?1"
          " ORDER BY p.patient";

typedef struct feature {
    char *reader, *name, *versus;
    rad_measure v; /* p of its test */
    char method[80];
    int64_t n_cluster;
} feature;

typedef struct data {
    int64_t n, n_missing, n_pos, n_cluster;
    double *value, *truth;
    rad_column_builder *builder;
    rad_column column; /* of values: numbers or categories */
} data;

static rad_status read_values(rad_computation *c, const rad_stratum *g, const feature *f, data *d, rad_error *err) {
    bool row = false;
    int64_t i = 0, last = -1;
    rad_status s = rad_column_builder_create('a', &d->builder, err);
    rad_query q = rad_query_start(c->st, c->unit == RAD_UNIT_LESION ? SQL_LESION_VALUES : SQL_PATIENT_VALUES);
    rad_bind_int(&q, c->run);
    rad_bind_text(&q, f->reader);
    rad_bind_text(&q, f->name);
    while (s == RAD_OK && (s = rad_query_row(&q, &row, err)) == RAD_OK && row && i < c->n_obs) {
        const char *text = rad_column_text(&q, 0);
        if (!text || !rad_reading_counts(c, g, i)) {
            d->n_missing++;
            i++;
            continue;
        }
        s = rad_column_builder_put_text(d->builder, text, err);
        d->truth[d->n++] = c->obs[i].label;
        d->n_pos += c->obs[i].label == 1;
        d->n_cluster += c->obs[i].patient != last;
        last = c->obs[i++].patient;
    }
    rad_query_end(&q);
    return s == RAD_OK ? rad_column_builder_view(d->builder, &d->column, err) : s;
}

static rad_status put(rad_computation *c, const rad_stratum *g, const feature *f, const char *name, const char *method,
                      const double *adjusted, rad_row_kind kind, const rad_measure *v, rad_error *err) {
    char *said = sqlite3_mprintf(
        "r.repeat = 0 AND r.reader = %Q AND r.reading_id IN (SELECT reading_id FROM reading_feature WHERE name = %Q)", f->reader, f->name);
    char *query = said ? rad_reading_query(c, g, -1, 1, said) : NULL;
    sqlite3_free(said);
    if (!query)
        return rad_statistics_no_memory(c, err);
    const rad_row_text t = {.name = name,
                            .method = method,
                            .versus = f->versus,
                            .query = query,
                            .n_cluster = f->n_cluster,
                            .kind = kind,
                            .adjusted = adjusted != NULL,
                            .p_adjusted = adjusted ? *adjusted : 0};
    rad_status st = rad_statistics_put(c, g, &t, v, err);
    sqlite3_free(query);
    return st;
}

/* 2 x 2 with an empty cell: the maximum of the likelihood lies at infinity. */
static bool has_empty_cell(const data *d, double cut) {
    bool seen[2][2] = {{false, false}, {false, false}};
    for (int64_t i = 0; i < d->n; i++)
        seen[d->column.value[i] > cut][d->truth[i] > 0] = true;
    return !(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
}

static rad_status put_odds(rad_computation *c, const rad_stratum *g, const feature *f, const data *d, bool two, double first,
                           rad_error *err) {
    rad_doc *doc = NULL;
    rad_measure v = f->v;
    rad_status st;
    const bool firth = two && has_empty_cell(d, first);
    const rad_column column[] = {{"truth", d->truth, NULL, 0}, {"x", d->value, NULL, 0}};
    const rad_arg arg[] = {{NAN, "truth ~ x"}, {NAN, firth ? "firth" : "ml"}};
    for (int64_t i = 0; i < d->n; i++)
        d->value[i] = two ? d->column.value[i] > first : d->column.value[i];
    v.e.est = v.e.se = v.e.lower = v.e.upper = v.e.p = NAN;
    RAD_TRY(rad_measure_call("logistic", &(rad_frame){d->n, 2, column}, arg, 2, &doc, err));
    rad_doc_row row;
    for (bool more = rad_doc_row_first(doc, "rows", &row); more; more = rad_doc_row_next(doc, &row)) {
        const char *term = rad_doc_row_get_text(doc, &row, "term");
        if (!term || strcmp(term, "x") != 0)
            continue;
        const double lower = rad_doc_row_get(doc, &row, "pl_lower"), upper = rad_doc_row_get(doc, &row, "pl_upper");
        v.e.est = rad_doc_row_get(doc, &row, "or");
        v.e.lower = firth ? exp(lower) : rad_doc_row_get(doc, &row, "or_lower");
        v.e.upper = firth ? exp(upper) : rad_doc_row_get(doc, &row, "or_upper");
        v.e.p = rad_doc_row_get(doc, &row, firth ? "pl_p" : "p");
    }
    const char *why = rad_doc_get_reason(doc);
    snprintf(v.reason, sizeof v.reason, "%s", isnan(v.e.est) ? (why ? why : "not defined for these units") : "");
    st = put(c, g, f, "feature_odds_ratio",
             firth ? "logistic, Firth 1993 (an empty cell), profile limits"
             : two ? "logistic, Wald; second value against the first"
                   : "logistic, Wald; per unit",
             NULL, RAD_ROW_INTERVAL, &v, err);
out:
    rad_doc_destroy(&doc);
    return st;
}

/* The test of one feature into f->v, and its odds ratio as a row. */
static rad_status test(rad_computation *c, const rad_stratum *g, feature *f, data *d, rad_error *err) {
    rad_doc *doc = NULL;
    rad_status st = RAD_OK;
    double low = INFINITY, high = -INFINITY;
    bool two = true, numeric = d->column.level == NULL;
    for (int64_t i = 0; i < d->n; i++) {
        low = fmin(low, d->column.value[i]);
        high = fmax(high, d->column.value[i]);
    }
    for (int64_t i = 0; i < d->n; i++)
        two = two && (d->column.value[i] == low || d->column.value[i] == high);
    f->n_cluster = d->n_cluster;
    f->v = (rad_measure){.e = {.est = NAN, .p = NAN, .n = d->n, .n_pos = d->n_pos, .n_missing = d->n_missing}};
    snprintf(f->v.reason, sizeof f->v.reason, "%s", d->n == 0 ? "no unit with this feature" : "one value or one class only");
    snprintf(f->method, sizeof f->method, "no test");
    if (d->n == 0 || !(high > low) || d->n_pos == 0 || d->n_pos == d->n)
        return RAD_OK;
    if (numeric && !two) {
        rad_sample *m = &c->sample;
        m->n = d->n;
        for (int64_t i = 0; i < d->n; i++) {
            m->label[i] = (int8_t)d->truth[i];
            m->score[i] = d->column.value[i];
        }
        rad_measure v;
        RAD_TRY(rad_measure_auc(m, &v, err));
        f->v.e.est = v.e.est;
        f->v.e.p = v.e.p;
        snprintf(f->method, sizeof f->method, "numeric: AUC of the truth, DeLong's test of 1/2");
    } else {
        static const char *const TRUTH[] = {"0", "1"}, *const NUMBER[] = {"first", "second"};
        for (int64_t i = 0; i < d->n; i++)
            d->value[i] = numeric ? d->column.value[i] > low : d->column.value[i];
        const rad_column column[] = {{"value", d->value, numeric ? NUMBER : d->column.level, numeric ? 2 : d->column.n_level},
                                     {"truth", d->truth, TRUTH, 2}};
        RAD_TRY(rad_measure_call("contingency_json", &(rad_frame){d->n, 2, column}, NULL, 0, &doc, err));
        const double fisher = rad_doc_get(doc, "p_fisher");
        const bool exact = rad_doc_get(doc, "min_expected") < 5 && !isnan(fisher);
        f->v.e.est = rad_doc_get(doc, "cramers_v");
        f->v.e.p = exact ? fisher : rad_doc_get(doc, "p");
        snprintf(f->method, sizeof f->method, "Cramer's V; %s", exact ? "Fisher's exact test" : "chi-square test");
    }
    f->v.reason[0] = '\0';
    if (two || numeric)
        st = put_odds(c, g, f, d, two, low, err);
out:
    rad_doc_destroy(&doc);
    return st;
}

static rad_status list_features(rad_computation *c, feature **ret, int64_t *ret_n, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_FEATURES);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->unit == RAD_UNIT_LESION);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        feature *p = rad_realloc(*ret, (size_t)*ret_n + 1, sizeof *p);
        if (p) {
            *ret = p;
            p += (*ret_n)++;
            *p = (feature){.reader = rad_strdup(rad_column_text(&q, 0)), .name = rad_strdup(rad_column_text(&q, 1))};
            p->versus = p->reader && p->name ? rad_asprintf("%s: %s", p->reader, p->name) : NULL;
        }
        if (!p || !p->versus) {
            s = rad_statistics_no_memory(c, err);
            break;
        }
    }
    rad_query_end(&q);
    return s;
}

static rad_status adjust(const char *method, const feature *f, int64_t n, double *p, double *ret, rad_error *err) {
    rad_doc *doc = NULL;
    rad_doc_row row;
    for (int64_t i = 0; i < n; i++)
        p[i] = f[i].v.e.p;
    const rad_column column[] = {{"p", p, NULL, 0}};
    rad_status st = rad_measure_call("p_adjust", &(rad_frame){n, 1, column}, &(rad_arg){NAN, method}, 1, &doc, err);
    bool more = st == RAD_OK && rad_doc_row_first(doc, "rows", &row);
    for (int64_t i = 0; i < n && st == RAD_OK; i++) {
        ret[i] = more ? rad_doc_row_get(doc, &row, "p_adjusted") : (double)NAN;
        more = more && rad_doc_row_next(doc, &row);
    }
    rad_doc_destroy(&doc);
    return st;
}

rad_status rad_statistics_features(rad_computation *c, const rad_reading_set *s, rad_error *err) {
    const rad_stratum all = {"all", "all", NULL, -1, -1, 0};
    feature *f = NULL;
    int64_t n = 0;
    double *p = NULL, *holm = NULL, *bh = NULL;
    data d = {0};
    rad_status st = s->n_reader > 0 ? list_features(c, &f, &n, err) : RAD_OK;
    if (st != RAD_OK || n == 0)
        goto out;
    p = rad_calloc((size_t)n, sizeof *p);
    holm = rad_calloc((size_t)n, sizeof *holm);
    bh = rad_calloc((size_t)n, sizeof *bh);
    d.value = rad_calloc((size_t)c->n_obs + 1, sizeof *d.value);
    d.truth = rad_calloc((size_t)c->n_obs + 1, sizeof *d.truth);
    if (!p || !holm || !bh || !d.value || !d.truth) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        d = (data){.value = d.value, .truth = d.truth};
        st = read_values(c, &all, &f[i], &d, err);
        if (st == RAD_OK)
            st = test(c, &all, &f[i], &d, err);
        rad_column_builder_destroy(&d.builder);
        if (st != RAD_OK)
            goto out;
    }
    RAD_TRY(adjust("holm", f, n, p, holm, err));
    RAD_TRY(adjust("BH", f, n, p, bh, err));
    for (int64_t i = 0; i < n; i++) {
        RAD_TRY(put(c, &all, &f[i], "feature_association", f[i].method, &holm[i], RAD_ROW_BARE, &f[i].v, err));
        rad_measure v = f[i].v;
        v.e.est = bh[i];
        v.e.p = NAN;
        RAD_TRY(put(c, &all, &f[i], "feature_association_bh", "p adjusted by Benjamini and Hochberg 1995", NULL, RAD_ROW_BARE, &v, err));
    }
out:
    for (int64_t i = 0; i < n; i++) {
        free(f[i].reader);
        free(f[i].name);
        free(f[i].versus);
    }
    free(f);
    free(p);
    free(holm);
    free(bh);
    free(d.value);
    free(d.truth);
    return st;
}
