/* analyses.c: what only some jobs have: several classes and grades, agreement of readers, regressions, cross-validation. Tables of the rows
 * of v_statistic; every number is that of the file. */
#include "parts.h"

/* Counts of these analyses are not in the ledger of a public report. */
static void protect(rp_page *p, rp_rows *r) {
    rp_protect_statistics(p, r);
    for (int64_t i = 0; p->o->is_public && i < r->n; i++) {
        rp_hide(r, i, "n");
        rp_hide(r, i, "n_pos");
    }
}

/* ---------------------------------------------------------------- several classes, grades */

void rp_section_grades(rp_page *p) {
    rp_rows r;
    rp_section(p, "classes", "All classes together");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    rp_query(
        p,
        sqlite3_mprintf(
            "WITH word(name, measure, place) AS (VALUES ('auc_macro', 'AUC, mean over classes', 1), ('auc_weighted', 'AUC, weighted by"
            " class', 2), ('auc_hand_till', 'AUC, mean over pairs (Hand and Till)', 3), ('multiclass_accuracy', 'Accuracy', 4),"
            " ('multiclass_balanced_accuracy', 'Balanced accuracy', 5), ('multiclass_kappa', 'Cohen''s kappa', 6), ('multiclass_f1_macro',"
            " 'F1, mean over classes', 7), ('multiclass_mcc', 'Matthews correlation', 8), ('kappa_quadratic', 'Kappa, quadratic weights', "
            "9),"
            " ('ordinal_c_index', 'Ordinal AUC (c-index)', 10), ('kendall_tau_b', 'Kendall''s tau-b', 11),"
            " ('spearman', 'Spearman''s rho', 12), ('grade_mae', 'Mean absolute error of the expected grade', 13), ('grade_call_mae', 'Mean"
            " absolute error of the called grade', 14))\n"
            "SELECT s.model, word.measure, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.versus, s.n, s.n_pos,"
            " s.est, s.lower, s.upper, s.method, s.reason FROM v_statistic s JOIN word ON word.name = s.name JOIN run_model m ON m.run_id ="
            " s.run_id AND m.model = s.model WHERE s.run_id = %lld AND s.unit IN (%s) AND s.class IS NULL AND s.versus IS NULL AND"
            " s.stratum_kind IN ('all', 'cohort') ORDER BY s.unit DESC, m.position, word.place, s.stratum_kind, s.stratum = 'external'",
            (long long)p->run, rp_units(p)),
        &r);
    protect(p, &r);
    static const rp_spec SPEC[] = {{"Model", RP_TEXT, "model", 0, 0}, {"Measure", RP_TEXT, "measure", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},   {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},          {"Estimate (95% CI)", RP_EST3, "est", "lower", "upper"}};
    if (r.n == 0)
        rp_absent(p, "The job has two classes: there is no mean over several.");
    else
        rp_table(p, "classes-table", "Measures over all classes; the called class is that of the largest score", &r, SPEC, 6);
    rp_rows_release(&r);
}

/* ---------------------------------------------------------------- readers */

static void between_readers(rp_page *p) {
    rp_rows r;
    rp_query(
        p,
        sqlite3_mprintf(
            "WITH word(name, measure, place) AS (VALUES ('kappa_between_readers', 'Cohen''s kappa, calls', 1), ('kappa_fleiss_readers',"
            " 'Fleiss'' kappa, calls of all readers', 2), ('kappa_quadratic_between_readers', 'Kappa, quadratic weights', 3),"
            " ('rating_kappa_between_readers', 'Weighted kappa, ratings', 4))\n"
            "SELECT DISTINCT word.measure, coalesce(s.versus, 'all readers') AS readers, s.unit, s.class, s.stratum_kind, s.stratum, "
            "s.cohort,"
            " s.name, s.point, s.versus, s.n, s.est, s.lower, s.upper, s.method, word.place FROM v_statistic s JOIN word ON word.name = "
            "s.name"
            " WHERE s.run_id = %lld AND s.stratum_kind IN ('all', 'cohort') AND s.model = %Q ORDER BY word.place, s.class IS NULL, s.class,"
            " s.stratum_kind, s.stratum = 'external', readers",
            (long long)p->run, p->main_model),
        &r);
    for (int64_t i = 0; p->o->is_public && i < r.n; i++)
        rp_hide(&r, i, "n");
    static const rp_spec SPEC[] = {{"Measure", RP_TEXT, "measure", 0, 0},
                                   {"Readers", RP_TEXT, "readers", 0, 0},
                                   {"Class", RP_TEXT, "class", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},
                                   {"Agreement (95% CI)", RP_EST3, "est", "lower", "upper"}};
    if (r.n > 0)
        rp_table(p, "readers-agreement", "Agreement of the readers with each other", &r, SPEC, 7);
    rp_rows_release(&r);
}

void rp_agreement(rp_page *p) {
    rp_rows r;
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.name, s.point, s.versus, s.n, s.n_pos, s.est, s.lower,"
            " s.upper, s.p, s.method, s.reason FROM v_statistic s JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model WHERE"
            " s.run_id = %lld AND s.name = 'auc_vs_readers_mrmc' AND s.stratum_kind IN ('all', 'cohort') AND s.est IS NOT NULL ORDER BY"
            " s.unit DESC, s.class, m.position, s.stratum_kind, s.stratum = 'external'",
            (long long)p->run),
        &r);
    protect(p, &r);
    static const rp_spec SPEC[] = {
        {"Model", RP_TEXT, "model", 0, 0}, {"Class", RP_TEXT, "class", 0, 0},
        {"Unit", RP_TEXT, "unit", 0, 0},   {"Patients", RP_TEXT, "stratum", 0, 0},
        {"n", RP_INT, "n", 0, 0},          {"AUC, model minus mean reader (95% CI)", RP_EST3, "est", "lower", "upper"},
        {"P value", RP_PVALUE, "p", 0, 0}};
    if (r.n > 0)
        rp_table(p, "readers-mrmc", "Model against the mean of the readers' ratings, readers and cases random (Obuchowski and Rockette)",
                 &r, SPEC, 7);
    rp_rows_release(&r);
    between_readers(p);
}

/* ---------------------------------------------------------------- regressions */

void rp_section_regressions(rp_page *p) {
    rp_rows r;
    rp_section(p, "regressions", "Regressions");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT s.point AS regression, s.model, s.versus AS predictor, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.name,"
            " s.point, s.versus, s.n, s.n_pos, s.est, s.lower, s.upper, s.p, c.est AS clustered, c.lower AS clustered_lower,"
            " c.upper AS clustered_upper, f.est AS firth, f.lower AS firth_lower, f.upper AS firth_upper, s.method, s.reason"
            " FROM v_statistic s JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model"
            " LEFT JOIN v_statistic c ON c.run_id = s.run_id AND c.model = s.model AND c.unit = s.unit AND c.name = 'odds_ratio_clustered'"
            " AND c.stratum_kind = s.stratum_kind AND c.stratum = s.stratum AND c.point = s.point AND c.versus = s.versus AND c.class IS "
            "s.class"
            " LEFT JOIN v_statistic f ON f.run_id = s.run_id AND f.model = s.model AND f.unit = s.unit AND f.name = 'odds_ratio_firth'"
            " AND f.stratum_kind = s.stratum_kind AND f.stratum = s.stratum AND f.point = s.point AND f.versus = s.versus AND f.class IS "
            "s.class"
            " LEFT JOIN regression g ON g.run_id = s.run_id AND g.regression = s.point AND s.versus LIKE g.predictor || '%%'"
            " WHERE s.run_id = %lld AND s.name = 'odds_ratio' AND s.unit IN ('lesion', 'patient') GROUP BY s.point, s.model, s.unit, "
            "s.class,"
            " s.stratum_kind, s.stratum, s.versus ORDER BY min(g.position), s.unit DESC, m.position, s.stratum_kind, s.stratum, "
            "min(g.place)",
            (long long)p->run),
        &r);
    for (int64_t i = 0; p->o->is_public && i < r.n; i++) {
        rp_hide(&r, i, "n");
        rp_hide(&r, i, "n_pos");
    }
    static const rp_spec SPEC[] = {{"Regression", RP_TEXT, "regression", 0, 0},
                                   {"Model", RP_TEXT, "model", 0, 0},
                                   {"Predictor", RP_TEXT, "predictor", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},
                                   {"Odds ratio (95% CI)", RP_EST2, "est", "lower", "upper"},
                                   {"P value", RP_PVALUE, "p", 0, 0},
                                   {"Patients as clusters", RP_EST2, "clustered", "clustered_lower", "clustered_upper"},
                                   {"Firth", RP_EST2, "firth", "firth_lower", "firth_upper"}};
    if (r.n == 0) {
        rp_absent(p, "The job declares no regression.");
    } else {
        rp_put(
            p,
            "<p>Logistic regressions of the reference on the predictors together: odds ratios by maximum likelihood with profile limits, "
            "with patients as clusters, and by Firth's method for few cases.</p>\n");
        rp_table(p, "regressions-table", "Odds ratios", &r, SPEC, 10);
    }
    rp_rows_release(&r);
}

/* ---------------------------------------------------------------- cross-validation */

void rp_section_folds(rp_page *p) {
    rp_rows r;
    rp_section(p, "folds", "Cross-validation");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT s.model, CASE WHEN s.stratum <> 'all' THEN 'fold ' || s.stratum WHEN s.name = 'auc_cv' THEN 'mean of the folds' ELSE"
            " 'all folds pooled' END AS fold, s.unit, s.class, s.stratum_kind, s.stratum, s.point, s.name, s.versus, s.n, s.n_pos, s.est,"
            " s.lower, s.upper, s.method, s.reason FROM v_statistic s JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model WHERE"
            " s.run_id = %lld AND s.stratum_kind = 'fold' AND s.name IN ('auc', 'auc_cv') AND s.unit IN (%s) ORDER BY s.unit DESC,"
            " s.class, m.position, s.stratum = 'all', s.name, CAST(s.stratum AS INTEGER), s.stratum",
            (long long)p->run, rp_units(p)),
        &r);
    for (int64_t i = 0; p->o->is_public && i < r.n; i++) /* a fold is a few patients */
        for (int c = 0; c < 5; c++)
            rp_hide(&r, i, (const char *const[]){"n", "n_pos", "est", "lower", "upper"}[c]);
    static const rp_spec SPEC[] = {{"Model", RP_TEXT, "model", 0, 0},
                                   {"Fold", RP_TEXT, "fold", 0, 0},
                                   {"Class", RP_TEXT, "class", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},
                                   {"Of the class", RP_INT, "n_pos", 0, 0},
                                   {"AUC (95% CI)", RP_EST3, "est", "lower", "upper"}};
    if (r.n == 0)
        rp_absent(p, "No model was cross-validated.");
    else if (p->o->is_public)
        rp_absent(p, "Folds are left out of public reports: each is a few patients.");
    else
        rp_table(p, "folds-table", "AUC by fold: each patient was scored by the network that had not seen the patient", &r, SPEC, 7);
    rp_rows_release(&r);
}
