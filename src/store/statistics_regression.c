/* statistics_regression.c: the logistic regressions that the job declares, over the cases of its unit. The rows are read by the very query
 * that each number keeps. */
#include "statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_REGRESSIONS[] = "SELECT position, regression, predictor FROM regression WHERE run_id = ?1 ORDER BY position, place";

/* One regression, and its rows as columns: label, predictors, patient. */
typedef struct regression {
    char *name;
    int n_predictor;
    char *predictor[RAD_MAX_PREDICTORS];
    char *query; /* sqlite3_free */
    rad_column_builder *builder[RAD_MAX_PREDICTORS + 2];
    int64_t n_complete, n_cluster;
} regression;

static void release(regression *r) {
    free(r->name);
    for (int i = 0; i < r->n_predictor; i++)
        free(r->predictor[i]);
    sqlite3_free(r->query);
    for (int i = 0; i < RAD_MAX_PREDICTORS + 2; i++)
        rad_column_builder_destroy(&r->builder[i]);
    *r = (regression){.name = NULL};
}

/* ---------------------------------------------------------------- rows */

static bool is_score(const char *predictor) {
    return strcmp(predictor, "score") == 0 || strncmp(predictor, RAD_SCORE_OF, strlen(RAD_SCORE_OF)) == 0;
}

/* A predictor's value for the row `s` of v_case_score with its patient `p` and lesion `l`. Scores by tenths: an odds
 * ratio from 0 to 1 would be astronomical. */
static char *value_of(const char *predictor) {
    if (strcmp(predictor, "score") == 0)
        return sqlite3_mprintf("10 * s.score");
    if (strncmp(predictor, RAD_SCORE_OF, strlen(RAD_SCORE_OF)) == 0)
        return sqlite3_mprintf("(SELECT 10 * o.score FROM v_case_score o WHERE o.run_id = s.run_id AND o.model = %Q AND o.unit = s.unit"
                               " AND o.patient = s.patient AND o.lesion IS s.lesion AND o.class = s.class)",
                               predictor + strlen(RAD_SCORE_OF));
    if (strcmp(predictor, "age") == 0 || strcmp(predictor, "sex") == 0)
        return sqlite3_mprintf("p.%s", predictor);
    if (strcmp(predictor, "size_mm") == 0)
        return sqlite3_mprintf("l.size_mm");
    return sqlite3_mprintf("coalesce((SELECT v.value FROM lesion_covariate v WHERE v.lesion_id = l.lesion_id AND v.name = %Q),"
                           " (SELECT v.value FROM patient_covariate v WHERE v.patient_id = p.patient_id AND v.name = %Q))",
                           predictor, predictor);
}

static rad_status make_query(const rad_computation *c, regression *r, rad_error *err) {
    char *columns = sqlite3_mprintf("s.patient, s.label");
    for (int i = 0; i < r->n_predictor && columns; i++) {
        char *value = value_of(r->predictor[i]);
        char *more = value ? sqlite3_mprintf("%s, %s AS \"%w\"", columns, value, r->predictor[i]) : NULL;
        sqlite3_free(value);
        sqlite3_free(columns);
        columns = more;
    }
    sqlite3_free(r->query);
    r->query = columns ? sqlite3_mprintf("SELECT %s FROM v_case_score s JOIN patient p ON p.patient = s.patient"
                                         " LEFT JOIN lesion l ON l.patient_id = p.patient_id AND l.lesion = s.lesion"
                                         " WHERE s.run_id = %lld AND s.model = %Q AND s.unit = %Q AND s.class = %Q"
                                         " ORDER BY s.patient, s.lesion",
                                         columns, (long long)c->run, c->model[c->at_model].name, rad_unit_name(c->unit),
                                         c->class_name[c->class_index])
                       : NULL;
    sqlite3_free(columns);
    return r->query ? RAD_OK : rad_statistics_no_memory(c, err);
}

static rad_status put_text(rad_column_builder *b, const char *text, rad_error *err) {
    return text ? rad_column_builder_put_text(b, text, err) : rad_column_builder_put_missing(b, err);
}

static rad_status read_rows(const rad_computation *c, regression *r, rad_error *err) {
    sqlite3_stmt *stmt = NULL;
    char last[256] = "";
    rad_status st = RAD_OK;
    const int n = r->n_predictor;
    for (int i = 0; i < n + 2; i++) {
        rad_column_builder_destroy(&r->builder[i]);
        RAD_TRY(rad_column_builder_create(i == 0 ? 'n' : i == n + 1 ? 'c' : 'a', &r->builder[i], err));
    }
    r->n_complete = r->n_cluster = 0;
    int rc = sqlite3_prepare_v2(c->st->db, r->query, -1, &stmt, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            break;
        const char *patient = (const char *)sqlite3_column_text(stmt, 0);
        bool complete = true;
        for (int i = 0; i < n + 1; i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i + 1);
            complete = complete && text;
            RAD_TRY(put_text(r->builder[i], text, err));
        }
        RAD_TRY(put_text(r->builder[n + 1], patient, err));
        r->n_complete += complete;
        r->n_cluster += complete && strcmp(last, patient) != 0;
        if (complete)
            snprintf(last, sizeof last, "%s", patient);
    }
    if (rc != SQLITE_DONE)
        st = rad_sql_fail(c->st, rc, "reading a regression's rows", err);
out:
    sqlite3_finalize(stmt);
    return st;
}

/* The columns under names that a formula can hold. */
static rad_status fit(const regression *r, bool firth, bool clustered, rad_doc **ret, rad_error *err) {
    rad_column column[RAD_MAX_PREDICTORS + 2];
    char name[RAD_MAX_PREDICTORS][8], formula[RAD_MAX_PREDICTORS * 8 + 32] = "y ~ ";
    rad_status st;
    for (int i = 0; i < r->n_predictor + 2; i++)
        RAD_TRY(rad_column_builder_view(r->builder[i], &column[i], err));
    column[0].name = "y";
    for (int i = 0; i < r->n_predictor; i++) {
        snprintf(name[i], sizeof name[i], "p%02d", i);
        column[i + 1].name = name[i];
        const size_t at = strlen(formula);
        snprintf(formula + at, sizeof formula - at, "%s%s", i ? " + " : "", name[i]);
    }
    column[r->n_predictor + 1].name = "patient";
    const size_t at = strlen(formula);
    snprintf(formula + at, sizeof formula - at, "%s", clustered ? " + cluster(patient)" : "");
    const rad_arg arg[] = {{NAN, formula}, {NAN, firth ? "firth" : "ml"}, {RAD_STORE_LEVEL, NULL}, {1, NULL}};
    const rad_frame frame = {rad_column_builder_count(r->builder[0]), r->n_predictor + 1 + (clustered ? 1 : 0), column};
    RAD_TRY(rad_measure_call("logistic", &frame, arg, 4, ret, err));
out:
    return st;
}

/* ---------------------------------------------------------------- numbers */

/* "p02=M" -> "sex=M", "p00" -> "score per 0.1". False for the intercept. */
static bool term_name(const regression *r, const char *term, char *ret, size_t cap) {
    if (!term || term[0] != 'p' || strlen(term) < 3)
        return false;
    const int i = (term[1] - '0') * 10 + term[2] - '0';
    if (i < 0 || i >= r->n_predictor)
        return false;
    snprintf(ret, cap, "%s%s", r->predictor[i], is_score(r->predictor[i]) ? " per 0.1" : term + 3);
    return true;
}

/* What is doubtful about a fit stands with its odds ratios, what is undefined everywhere. */
static rad_measure number(const rad_computation *c, const regression *r, const rad_doc *doc, double est, bool ratio) {
    rad_measure v = {.e = {.est = est, .se = NAN, .lower = NAN, .upper = NAN, .p = NAN, .n = r->n_complete}};
    const double positive = rad_doc_get(doc, "n_pos");
    v.e.n_pos = isnan(positive) ? 0 : (int64_t)positive;
    v.e.n_missing = c->n_obs - r->n_complete;
    const char *reason = rad_doc_get_reason(doc);
    if (!isfinite(est)) {
        v.e.est = NAN;
        snprintf(v.reason, sizeof v.reason, "%s", reason ? reason : "not defined for these units");
    } else if (reason && ratio) {
        snprintf(v.reason, sizeof v.reason, "%s", reason);
    }
    return v;
}

static rad_status put_row(rad_computation *c, const regression *r, const rad_stratum *g, const char *name, const char *method,
                          const char *term, rad_row_kind kind, const rad_measure *v, rad_error *err) {
    const rad_row_text t = {
        .name = name, .point = r->name, .method = method, .versus = term, .query = r->query, .n_cluster = r->n_cluster, .kind = kind};
    return rad_statistics_put(c, g, &t, v, err);
}

static rad_status put_terms(rad_computation *c, const regression *r, const rad_stratum *g, const rad_doc *doc, bool firth, rad_error *err) {
    const bool shared = r->n_cluster < r->n_complete;
    rad_doc_row row;
    rad_status st = RAD_OK;
    for (bool more = rad_doc_row_first(doc, "rows", &row); more && st == RAD_OK; more = rad_doc_row_next(doc, &row)) {
        char term[160];
        if (!term_name(r, rad_doc_row_get_text(doc, &row, "term"), term, sizeof term))
            continue;
        rad_measure v = number(c, r, doc, rad_doc_row_get(doc, &row, "or"), true);
        const double b = rad_doc_row_get(doc, &row, "estimate"), robust = rad_doc_row_get(doc, &row, "robust_se");
        if (!isnan(v.e.est)) {
            v.e.lower = exp(rad_doc_row_get(doc, &row, "pl_lower"));
            v.e.upper = exp(rad_doc_row_get(doc, &row, "pl_upper"));
            v.e.p = rad_doc_row_get(doc, &row, "pl_p");
        }
        RAD_TRY(put_row(c, r, g, firth ? "odds_ratio_firth" : "odds_ratio",
                        firth    ? "logistic, Firth 1993; profile limits, likelihood-ratio test"
                        : shared ? "logistic, maximum likelihood; profile limits, likelihood-ratio test" RAD_STATISTICS_INDEPENDENT
                                 : "logistic, maximum likelihood; profile limits, likelihood-ratio test",
                        term, RAD_ROW_INTERVAL, &v, err));
        if (firth)
            continue;
        if (shared) {
            rad_measure w = v;
            const double z = 1.959963984540054 * robust;
            w.e.lower = isnan(v.e.est) ? (double)NAN : exp(b - z);
            w.e.upper = isnan(v.e.est) ? (double)NAN : exp(b + z);
            w.e.p = rad_doc_row_get(doc, &row, "robust_p");
            RAD_TRY(put_row(c, r, g, "odds_ratio_clustered", "logistic, maximum likelihood; sandwich over patients (Liang and Zeger 1986)",
                            term, RAD_ROW_INTERVAL, &w, err));
        }
        if (r->n_predictor > 1) {
            v = number(c, r, doc, rad_doc_row_get(doc, &row, "vif"), false);
            RAD_TRY(put_row(c, r, g, "vif", "variance inflation among the predictors", term, RAD_ROW_BARE, &v, err));
        }
    }
out:
    return st;
}

static rad_status put_regression(rad_computation *c, regression *r, rad_error *err) {
    static const rad_stratum ALL = {.kind = "all", .name = "all", .center = -1, .external = -1};
    rad_doc *ml = NULL, *firth = NULL;
    rad_status st;
    RAD_TRY(make_query(c, r, err));
    RAD_TRY(read_rows(c, r, err));
    RAD_TRY(fit(r, false, r->n_cluster < r->n_complete, &ml, err));
    RAD_TRY(put_terms(c, r, &ALL, ml, false, err));
    rad_measure v = number(c, r, ml, rad_doc_get(ml, "events_per_variable"), true);
    RAD_TRY(put_row(c, r, &ALL, "events_per_variable", "cases of the smaller class, per coefficient", NULL, RAD_ROW_BARE, &v, err));
    v = number(c, r, ml, rad_doc_get(ml, "c_statistic"), false);
    RAD_TRY(put_row(c, r, &ALL, "regression_c_statistic", "AUC of the fitted probabilities, on the cases that were fitted", NULL,
                    RAD_ROW_BARE, &v, err));
    RAD_TRY(fit(r, true, false, &firth, err));
    RAD_TRY(put_terms(c, r, &ALL, firth, true, err));
out:
    rad_doc_destroy(&ml);
    rad_doc_destroy(&firth);
    return st;
}

/* ---------------------------------------------------------------- all of them */

static bool about_the_model(const regression *r) {
    for (int i = 0; i < r->n_predictor; i++)
        if (strcmp(r->predictor[i], "score") == 0)
            return true;
    return false;
}

static rad_status read_regressions(const rad_computation *c, regression *ret, int *ret_n, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_REGRESSIONS);
    rad_bind_int(&q, c->run);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        const int i = sqlite3_column_int(q.stmt, 0);
        if (i < 0 || i >= RAD_MAX_REGRESSIONS || ret[i].n_predictor == RAD_MAX_PREDICTORS)
            continue;
        regression *r = &ret[i];
        if (!r->name)
            r->name = rad_strdup(rad_column_text(&q, 1));
        r->predictor[r->n_predictor] = rad_strdup(rad_column_text(&q, 2));
        if (!r->name || !r->predictor[r->n_predictor++]) {
            s = rad_statistics_no_memory(c, err);
            break;
        }
        *ret_n = i + 1 > *ret_n ? i + 1 : *ret_n;
    }
    rad_query_end(&q);
    return s;
}

rad_status rad_statistics_regressions(rad_computation *c, rad_error *err) {
    int n = 0;
    regression *r = rad_calloc(RAD_MAX_REGRESSIONS, sizeof *r);
    if (!r)
        return rad_statistics_no_memory(c, err);
    rad_status s = read_regressions(c, r, &n, err);
    for (int i = 0; i < n && s == RAD_OK; i++)
        if (about_the_model(&r[i]) || c->at_model == 0)
            s = put_regression(c, &r[i], err);
    for (int i = 0; i < n; i++)
        release(&r[i]);
    free(r);
    return s;
}
