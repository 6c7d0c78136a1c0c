/* nightly_compare.c: a run against the job's finished one before it: scores, calls and metrics that are not what they were. Units are
 * matched by the names of patient, lesion, study, model and class. */
#include "nightly_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ?1 the run, ?2 the one before it. The largest difference first. CROSS JOIN keeps the order: by the scores, once, and not by patient. */
static const char SQL_SCORES[] =
    "SELECT p.patient, l.lesion, coalesce(ma.study, ''), c.center, ra.model, k.class, a.unit, b.score, a.score,"
    "       ra.run_model_id, rb.run_model_id, a.class_index,"
    "       CASE WHEN k.rule IS NULL THEN iif(a.unit = 'lesion', ma.class_index, rp.class_index) = a.class_index"
    "            ELSE iif(iif(a.unit = 'lesion', ma.class_index, rp.class_index) IS NULL, NULL, EXISTS (SELECT 1 FROM run_class_part cp"
    "                 WHERE cp.run_id = ra.run_id AND cp.class_index = a.class_index"
    "                   AND cp.part_index = iif(a.unit = 'lesion', ma.class_index, rp.class_index))) END,"
    "       r.positive_class IS NOT NULL OR k.rule IS NOT NULL, kb.class_index"
    "  FROM run_model ra JOIN run r ON r.run_id = ra.run_id"
    "  JOIN run_model rb ON rb.run_id = ?2 AND rb.model = ra.model"
    "  CROSS JOIN case_score a ON a.run_model_id = ra.run_model_id"
    "  CROSS JOIN run_class k ON k.run_id = ra.run_id AND k.class_index = a.class_index"
    "  CROSS JOIN run_class kb ON kb.run_id = ?2 AND kb.class = k.class"
    "  CROSS JOIN run_patient rp ON rp.run_id = ra.run_id AND rp.patient_id = a.patient_id"
    "  CROSS JOIN center c ON c.center_id = rp.center_id"
    "  CROSS JOIN patient p ON p.patient_id = a.patient_id"
    "  LEFT JOIN manifest ma ON ma.case_id = a.case_id"
    "  LEFT JOIN lesion l ON l.lesion_id = ma.lesion_id"
    "  JOIN case_score b ON b.run_model_id = rb.run_model_id AND b.patient_id = a.patient_id"
    "   AND b.class_index = kb.class_index AND b.case_key = coalesce((SELECT mb.case_id FROM manifest mb WHERE mb.run_id = ?2"
    "       AND mb.patient_id = ma.patient_id AND coalesce(mb.lesion_id, 0) = coalesce(ma.lesion_id, 0) AND mb.study = ma.study), 0)"
    " WHERE ra.run_id = ?1 AND (r.positive_class IS NULL OR r.positive_class = a.class_index)"
    " ORDER BY abs(a.score - b.score) DESC, p.patient, l.lesion, ra.model, k.class, a.unit";
/* Thresholds of both runs for a model, unit and class: declared, or tuned. ?3 and ?4 the models, ?6 and ?7 the classes of the two runs. */
static const char SQL_POINTS[] =
    "SELECT o.point, coalesce(o.threshold, t.threshold) AS now, coalesce(q.threshold, u.threshold) AS then_ FROM operating_point o"
    "  JOIN operating_point q ON q.run_id = ?2 AND q.point = o.point"
    "  LEFT JOIN tuned_threshold t ON t.run_id = ?1 AND t.point = o.point AND t.run_model_id = ?3 AND t.unit = ?5 AND t.class_index = ?6"
    "  LEFT JOIN tuned_threshold u ON u.run_id = ?2 AND u.point = o.point AND u.run_model_id = ?4 AND u.unit = ?5 AND u.class_index = ?7"
    " WHERE o.run_id = ?1 AND now IS NOT NULL AND then_ IS NOT NULL";
static const char SQL_METRICS[] =
    "SELECT ra.model, a.unit, k.class, a.stratum_kind, a.stratum, a.point, a.name, b.est, a.est, a.lower, a.upper, b.n, a.n"
    "  FROM statistic a JOIN run_model ra ON ra.run_model_id = a.run_model_id"
    "  LEFT JOIN run_class k ON k.run_id = a.run_id AND k.class_index = a.class_index"
    "  JOIN run_model rb ON rb.run_id = ?2 AND rb.model = ra.model"
    "  JOIN statistic b ON b.run_id = ?2 AND b.run_model_id = rb.run_model_id AND b.unit = a.unit"
    "   AND coalesce(b.class_index, -1) = coalesce(a.class_index, -1) AND b.stratum_kind = a.stratum_kind AND b.stratum = a.stratum"
    "   AND coalesce(b.point, '') = coalesce(a.point, '') AND b.name = a.name AND coalesce(b.versus, '') = ''"
    " WHERE a.run_id = ?1 AND a.versus IS NULL AND a.unit <> 'slice' AND a.stratum_kind IN ('all', 'cohort', 'center')"
    "   AND a.name IN ('auc', 'sensitivity', 'specificity', 'accuracy') AND a.est IS NOT NULL AND b.est IS NOT NULL AND a.est <> b.est"
    " ORDER BY abs(a.est - b.est) DESC, ra.model, a.unit, a.stratum, a.point, a.name";
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

void rad_night_report_release(rad_night_report *r) {
    for (int64_t i = 0; r->change && i < r->n_change && i < RAD_NIGHT_LISTED; i++) {
        char *owned[] = {r->change[i].patient, r->change[i].lesion,     r->change[i].study, r->change[i].center,
                         r->change[i].model,   r->change[i].class_name, r->change[i].unit};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
            free(owned[k]);
    }
    for (int64_t i = 0; r->flip && i < r->n_flip && i < RAD_NIGHT_LISTED; i++) {
        char *owned[] = {r->flip[i].patient,    r->flip[i].lesion, r->flip[i].center, r->flip[i].model,
                         r->flip[i].class_name, r->flip[i].unit,   r->flip[i].point};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++)
            free(owned[k]);
    }
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

/* The row of SQL_SCORES that `q` stands on, for one point. */
static rad_status put_flip(rad_night_report *r, rad_query *q, rad_query *point, bool now, double threshold, rad_error *err) {
    if (r->n_flip < RAD_NIGHT_LISTED) {
        if (!rad_night_grow((void **)&r->flip, r->n_flip, sizeof *r->flip))
            return rad_night_no_memory(err);
        r->flip[r->n_flip] = (rad_night_flip){.patient = rad_night_column(q, 0),
                                              .lesion = rad_night_column(q, 1),
                                              .center = rad_night_column(q, 3),
                                              .model = rad_night_column(q, 4),
                                              .class_name = rad_night_column(q, 5),
                                              .unit = rad_night_column(q, 6),
                                              .point = rad_night_column(point, 0),
                                              .before = rad_column_real(q, 7),
                                              .after = rad_column_real(q, 8),
                                              .threshold = threshold,
                                              .now_positive = now,
                                              .label = (int)rad_column_index(q, 12)};
    }
    r->n_flip++;
    return RAD_OK;
}

static rad_status flips_of(rad_store *st, rad_night_report *r, rad_query *q, rad_error *err) {
    bool row = false;
    const double before = rad_column_real(q, 7), after = rad_column_real(q, 8);
    rad_query p = rad_query_start(st, SQL_POINTS);
    rad_bind_int(&p, r->run);
    rad_bind_int(&p, r->versus);
    rad_bind_int(&p, sqlite3_column_int64(q->stmt, 9));
    rad_bind_int(&p, sqlite3_column_int64(q->stmt, 10));
    rad_bind_text(&p, rad_column_text(q, 6));
    rad_bind_int(&p, sqlite3_column_int64(q->stmt, 11));
    rad_bind_int(&p, sqlite3_column_int64(q->stmt, 14));
    rad_status s;
    while ((s = rad_query_row(&p, &row, err)) == RAD_OK && row) {
        const double now = rad_column_real(&p, 1), then = rad_column_real(&p, 2);
        if ((after >= now) != (before >= then))
            s = put_flip(r, q, &p, after >= now, now, err);
        if (s != RAD_OK)
            break;
    }
    rad_query_end(&p);
    return s;
}

static rad_status put_change(rad_night_report *r, rad_query *q, rad_error *err) {
    if (r->n_change < RAD_NIGHT_LISTED) {
        if (!rad_night_grow((void **)&r->change, r->n_change, sizeof *r->change))
            return rad_night_no_memory(err);
        r->change[r->n_change] = (rad_night_change){.patient = rad_night_column(q, 0),
                                                    .lesion = rad_night_column(q, 1),
                                                    .study = rad_night_column(q, 2),
                                                    .center = rad_night_column(q, 3),
                                                    .model = rad_night_column(q, 4),
                                                    .class_name = rad_night_column(q, 5),
                                                    .unit = rad_night_column(q, 6),
                                                    .before = rad_column_real(q, 7),
                                                    .after = rad_column_real(q, 8)};
    }
    r->n_change++;
    return RAD_OK;
}

/* A tuned threshold may move while the scores stay: the calls of all units are compared. */
static rad_status compare_scores(rad_store *st, rad_night_report *r, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_SCORES);
    rad_bind_int(&q, r->run);
    rad_bind_int(&q, r->versus);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        r->n_common++;
        if (rad_column_real(&q, 7) != rad_column_real(&q, 8))
            s = put_change(r, &q, err);
        if (s == RAD_OK && sqlite3_column_int(q.stmt, 13))
            s = flips_of(st, r, &q, err);
        if (s != RAD_OK)
            break;
    }
    rad_query_end(&q);
    return s;
}

static rad_status compare_metrics(rad_store *st, rad_night_report *r, rad_error *err) {
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(st, SQL_METRICS);
    rad_bind_int(&q, r->run);
    rad_bind_int(&q, r->versus);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        if (!rad_night_grow((void **)&r->metric, r->n_metric, sizeof *r->metric)) {
            s = rad_night_no_memory(err);
            break;
        }
        r->metric[r->n_metric++] = (rad_night_metric){.model = rad_night_column(&q, 0),
                                                      .unit = rad_night_column(&q, 1),
                                                      .class_name = rad_night_column(&q, 2),
                                                      .stratum_kind = rad_night_column(&q, 3),
                                                      .stratum = rad_night_column(&q, 4),
                                                      .point = rad_night_column(&q, 5),
                                                      .name = rad_night_column(&q, 6),
                                                      .before = rad_column_real(&q, 7),
                                                      .after = rad_column_real(&q, 8),
                                                      .lower = rad_column_real(&q, 9),
                                                      .upper = rad_column_real(&q, 10),
                                                      .n_before = sqlite3_column_int64(q.stmt, 11),
                                                      .n_after = sqlite3_column_int64(q.stmt, 12)};
    }
    rad_query_end(&q);
    return s;
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
        s = compare_scores(st, &r, err);
    if (s == RAD_OK && r.versus > 0 && !r.again)
        s = compare_metrics(st, &r, err);
    if (s == RAD_OK)
        s = rad_night_find_drift(st, job, &r, err);
    if (s == RAD_OK)
        *ret = r;
    else
        rad_night_report_release(&r);
    return s;
}
