/* statistics_audit.c: our own tables under the audit that other people's abstracts get, before anyone sees them. Rates are audited as they
 * are printed, with three digits. The units that an interval implies are left out: that check is one of plausibility, and a row of ten
 * patients is allowed a strange interval. */
#include "statistics.h"

#include <math.h>
#include <string.h>

static const char SQL_RATES[] =
    "SELECT a.model, a.unit, a.stratum, a.point, a.est, s.est, p.est, s.n, p.n FROM v_statistic a"
    " JOIN v_statistic s ON s.run_id = a.run_id AND s.model = a.model AND s.unit = a.unit AND s.class IS a.class"
    "  AND s.stratum_kind = a.stratum_kind AND s.stratum = a.stratum AND s.point = a.point AND s.name = 'sensitivity'"
    " JOIN v_statistic p ON p.run_id = a.run_id AND p.model = a.model AND p.unit = a.unit AND p.class IS a.class"
    "  AND p.stratum_kind = a.stratum_kind AND p.stratum = a.stratum AND p.point = a.point AND p.name = 'specificity'"
    " WHERE a.run_id = ?1 AND a.name = 'accuracy' AND a.est IS NOT NULL";
static const char SQL_AUCS[] = "SELECT model, unit, stratum, name, est, lower, upper, n, n_pos FROM v_statistic"
                               " WHERE run_id = ?1 AND name IN ('auc', 'auc_clustered') AND lower IS NOT NULL";
static const char SQL_PAIRS[] =
    "SELECT d.model, d.unit, d.stratum, d.name || ' against ' || d.versus, d.n, d.n_pos, r.n_pos, d.p FROM v_statistic d"
    " JOIN v_statistic r ON r.run_id = d.run_id AND r.model = d.model AND r.unit = d.unit AND r.class IS d.class"
    "  AND r.stratum_kind = d.stratum_kind AND r.stratum = d.stratum AND r.versus = d.versus"
    "  AND r.name = 'reader_' || replace(d.name, '_vs_reader', '')"
    " WHERE d.run_id = ?1 AND d.p IS NOT NULL AND d.name IN ('sensitivity_vs_reader', 'specificity_vs_reader', 'accuracy_vs_reader')";
/* What no row can be: a share that is not its own counts, an estimate outside its interval
 * (limits by Q profile do not come from the estimate). */
static const char SQL_ROWS[] =
    "SELECT model, unit, stratum, name || coalesce(' at ' || point, '') FROM v_statistic WHERE run_id = ?1 AND ("
    " (name IN ('sensitivity', 'specificity', 'accuracy', 'ppv', 'npv', 'recall', 'reader_sensitivity', 'reader_specificity',"
    "  'reader_accuracy') AND abs(est * n - n_pos) > 1e-6)"
    " OR (name NOT LIKE 'auc_centers_tau2%' AND name NOT LIKE 'auc_centers_i2%' AND (est < lower - 1e-9 OR est > upper + 1e-9))"
    " OR n_cluster > n OR p_adjusted < p - 1e-12) LIMIT 1";

static rad_status impossible(const rad_query *q, const char *what, const char *why, rad_error *err) {
    return rad_error_set(
        err, RAD_E_INTERNAL,
        "our own table cannot be true, and was not kept: model %s, unit %s, stratum %s, %s: %s; please report this with the "
        "file",
        (const char *)sqlite3_column_text(q->stmt, 0), (const char *)sqlite3_column_text(q->stmt, 1),
        (const char *)sqlite3_column_text(q->stmt, 2), what, why);
}

static rad_status judge(const rad_query *q, const rad_claims *claims, const char *what, rad_error *err) {
    rad_doc *doc = NULL;
    rad_doc_row row;
    rad_status st;
    RAD_TRY(rad_doc_create(&doc, err));
    RAD_TRY(rad_audit(claims, doc, err));
    for (bool more = rad_doc_row_first(doc, "findings", &row); more; more = rad_doc_row_next(doc, &row))
        if (rad_doc_row_get(doc, &row, "ok") == 0 && strcmp(rad_doc_row_get_text(doc, &row, "check"), "implied_units") != 0)
            RAD_TRY(impossible(q, what, rad_doc_row_get_text(doc, &row, "text"), err));
out:
    rad_doc_destroy(&doc);
    return st;
}

/* As it is printed; NULL when there is nothing to print. */
static const char *print(char text[32], double x) {
    snprintf(text, 32, "%.3f", x);
    return isnan(x) ? NULL : text;
}

static rad_status judge_rates(rad_query *q, rad_error *err) {
    char text[3][32], what[160];
    rad_claims c;
    rad_claims_init(&c);
    c.accuracy = print(text[0], rad_column_real(q, 4));
    c.sensitivity = print(text[1], rad_column_real(q, 5));
    c.specificity = print(text[2], rad_column_real(q, 6));
    c.n_pos = rad_column_real(q, 7);
    c.n_neg = rad_column_real(q, 8);
    c.n = c.n_pos + c.n_neg;
    snprintf(what, sizeof what, "sensitivity, specificity and accuracy at %s", rad_column_text(q, 3));
    return judge(q, &c, what, err);
}

static rad_status judge_auc(rad_query *q, rad_error *err) {
    char text[3][32];
    rad_claims c;
    rad_claims_init(&c);
    c.auc = print(text[0], rad_column_real(q, 4));
    c.auc_lower = print(text[1], rad_column_real(q, 5));
    c.auc_upper = print(text[2], rad_column_real(q, 6));
    c.n = rad_column_real(q, 7);
    c.n_pos = rad_column_real(q, 8);
    return judge(q, &c, rad_column_text(q, 3), err);
}

static rad_status judge_pair(rad_query *q, rad_error *err) {
    char p[32];
    rad_claims c;
    rad_claims_init(&c);
    c.paired_n = rad_column_real(q, 4);
    c.paired_first = rad_column_real(q, 5);
    c.paired_second = rad_column_real(q, 6);
    const double x = rad_column_real(q, 7);
    if (x < 1e-6)
        snprintf(p, sizeof p, "<0.000001");
    else
        snprintf(p, sizeof p, "%.6f", x);
    c.p = p;
    return judge(q, &c, rad_column_text(q, 3), err);
}

static rad_status judge_row(rad_query *q, rad_error *err) {
    return impossible(q, rad_column_text(q, 3), "estimate, counts, interval and p contradict each other", err);
}

rad_status rad_statistics_audit(struct rad_store *st, int64_t run, rad_error *err) {
    static const struct {
        const char *sql;
        rad_status (*judge)(rad_query *q, rad_error *err);
    } STEP[] = {{SQL_ROWS, judge_row}, {SQL_RATES, judge_rates}, {SQL_AUCS, judge_auc}, {SQL_PAIRS, judge_pair}};
    rad_status s = RAD_OK;
    for (size_t i = 0; i < sizeof STEP / sizeof *STEP && s == RAD_OK; i++) {
        bool row = false;
        rad_query q = rad_query_start(st, STEP[i].sql);
        rad_bind_int(&q, run);
        while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && (s = STEP[i].judge(&q, err)) == RAD_OK)
            ;
        rad_query_end(&q);
    }
    return s;
}
