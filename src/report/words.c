/* words.c: a methods and a results paragraph out of the run's record. What the record does not know is left to the author, in brackets. */
#include "parts.h"

static const char AUTHOR[] = "<span class=\"author\">[{}]</span>";

static void ask(rp_page *p, const char *what) {
    rp_put(p, AUTHOR, what);
}

static void methods(rp_page *p) {
    rp_rows r, k;
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT r.case_unit, r.lesion_rule, r.patient_rule, r.backend, r.backend_version, r.precision, r.radcohort_version, r.strata,"
            " (SELECT count(*) FROM run_model m WHERE m.run_id = r.run_id) AS n_model,"
            " (SELECT max(folds) FROM run_model m WHERE m.run_id = r.run_id) AS folds,"
            " (SELECT count(*) FROM operating_point o WHERE o.run_id = r.run_id) AS n_point,"
            " (SELECT group_concat(point || ' (' || threshold || ')', ', ') FROM operating_point o WHERE o.run_id = r.run_id) AS points,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.point = 'youden (internal)') AS youden,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name LIKE '%%_clustered') AS clustered,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'auc_centers_reml') AS pooled,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'auc_paired_difference') AS paired,"
            " (SELECT count(DISTINCT reader) FROM v_reading v WHERE v.run_id = r.run_id) AS n_reader FROM run r WHERE r.run_id = %lld",
            (long long)p->run),
        &r);
    rp_query(p,
             sqlite3_mprintf("SELECT m.model, mo.input_shape, mo.parameters FROM run_model m JOIN run_model_file f ON f.run_model_id = "
                             "m.run_model_id AND f.position ="
                             " (SELECT min(position) FROM run_model_file x WHERE x.run_model_id = m.run_model_id) JOIN model mo ON "
                             "mo.model_id = f.model_id WHERE m.run_id = %lld ORDER BY m.position",
                             (long long)p->run),
             &k);
    rp_put(p, "<h3>Methods</h3>\n<div class=\"prose\"><p id=\"methods\">This retrospective ");
    ask(p, "confirm the design");
    rp_put(p, " multicenter study evaluated {} ", RP_NUM("%.0f", rp_num(&r, 0, "n_model")));
    rp_put(p, "{} (", rp_num(&r, 0, "n_model") == 1 ? "convolutional network" : "convolutional networks");
    for (int64_t i = 0; i < k.n; i++)
        rp_put(p, "{}{}, input {}, {} million parameters", i ? "; " : "", rp_text_at(&k, i, "model"), rp_text_at(&k, i, "input_shape"),
               RP_NUM("%.3g", rp_num(&k, i, "parameters") / 1e6));
    rp_put(p, ") against ");
    ask(p, "reference standard");
    rp_put(p, ". ");
    if (rp_num(&r, 0, "folds") >= 2)
        rp_put(p, "Each patient was scored only by that of {} files that had not seen the patient in training (cross-validation). ",
               RP_NUM("%.0f", rp_num(&r, 0, "folds")));
    rp_put(p, "Images were read from NIfTI files; the preparation of each input (orientation, region, window, resampling, normalisation) "
              "is stated with the models. ");
    if (strcmp(p->case_unit, "lesion") == 0)
        rp_put(p, "Slice scores were combined to lesions by the rule {} and lesion scores to patients by {}. ",
               rp_text_at(&r, 0, "lesion_rule"), rp_text_at(&r, 0, "patient_rule"));
    else
        rp_put(p, "Slice scores were combined to patients by the rule {}. ", rp_text_at(&r, 0, "patient_rule"));
    rp_put(p, "Areas under the ROC curve (AUC) were estimated with 95 % confidence intervals by DeLong{}. ",
           rp_num(&r, 0, "clustered") == 1 ? ", and by Obuchowski with patients as clusters where a patient has several lesions or slices"
                                           : "");
    if (p->has_internal && p->has_external)
        rp_put(p, "Internal and external cohorts are different patients and were compared by a z test. ");
    if (rp_num(&r, 0, "pooled") == 1)
        rp_put(p, "AUCs of centers were pooled with random effects (REML); the prediction interval is that of a further center. ");
    if (rp_num(&r, 0, "paired") == 1)
        rp_put(p, "Models were compared on the same units by the paired DeLong test with Holm's adjustment. ");
    if (rp_num(&r, 0, "n_point") > 0)
        rp_put(p, "A score of at least the threshold was called positive; operating points: {}{}. ", rp_text_at(&r, 0, "points"),
               rp_num(&r, 0, "youden") == 1 ? ", and Youden's point of the internal cohort, corrected for optimism there" : "");
    if (rp_num(&r, 0, "n_reader") > 0)
        rp_put(p, "{} readers were compared with the models on the cases both had judged, by exact McNemar tests. ",
               RP_NUM("%.0f", rp_num(&r, 0, "n_reader")));
    rp_put(p,
           "Cases that could not be scored were excluded with a recorded reason. All numbers were computed with radcohort {} ({} {}, {}). ",
           rp_text_at(&r, 0, "radcohort_version"), rp_text_at(&r, 0, "backend"), rp_text_at(&r, 0, "backend_version"),
           rp_text_at(&r, 0, "precision"));
    ask(p, "ethics approval, dates of inclusion, training of the networks");
    rp_put(p, "</p></div>\n");
    rp_rows_release(&k);
    rp_rows_release(&r);
}

static void put_auc(rp_page *p, const char *model, const char *stratum, const char *name, const char *words) {
    double v[3];
    int64_t n;
    if (rp_statistic(p, "patient", model, p->positive, strcmp(stratum, "all") == 0 ? "all" : "cohort", stratum, name, v, &n)) {
        rp_put(p, words, RP_EST(v[0], v[1], v[2], 3));
        if (n > 0)
            rp_put(p, " (n = {})", RP_NUM("%lld", (long long)n));
    }
}

static void results(rp_page *p) {
    rp_rows m, f, d;
    const char *name = p->positive ? "auc" : "auc_macro";
    rp_query(p, sqlite3_mprintf("SELECT model FROM run_model WHERE run_id = %lld ORDER BY position", (long long)p->run), &m);
    rp_query(p, rp_flow_query(p), &f);
    rp_put(p, "<h3>Results</h3>\n<div class=\"prose\"><p id=\"results\">");
    char key[200];
    const char *step[] = {"of the run", "scored by at least one model", "without any score"};
    const int at[] = {2, 4, 3};
    const char *text[3];
    char number[3][64];
    for (int i = 0; i < 3; i++)
        text[i] = rp_is_hidden(p, rp_key(key, sizeof key, "flow", "", step[i])) ? "[suppressed]"
                                                                                : rp_format(number[i], "%.0f", rp_num(&f, at[i], "n"));
    rp_put(p, "Of {} patients, {} were scored by at least one model and {} could not be scored. ", text[0], text[1], text[2]);
    for (int64_t i = 0; i < m.n && p->st == RAD_OK; i++) {
        const char *model = rp_text_at(&m, i, "model");
        rp_put(p, "The {} of {} per patient", p->positive ? "AUC" : "mean AUC over classes", model);
        if (strcmp(rp_cohort_kind(p), "all") == 0) {
            put_auc(p, model, "all", name, " was {}");
        } else {
            put_auc(p, model, "internal", name, " was {} in the internal cohort");
            if (p->has_external)
                put_auc(p, model, "external", name, p->has_internal ? " and {} in the external cohort" : " was {} in the external cohort");
        }
        rp_query(p,
                 sqlite3_mprintf("SELECT model, unit, class, stratum_kind, stratum, point, name, versus, n, n_pos, est, lower, upper, p "
                                 "FROM v_statistic WHERE run_id = %lld AND model = %Q"
                                 " AND unit = 'patient' AND name = 'auc_difference' AND versus IS NULL AND class IS %Q",
                                 (long long)p->run, model, p->positive),
                 &d);
        rp_protect_statistics(p, &d);
        if (d.n == 1 && !isnan(rp_num(&d, 0, "est")))
            rp_put(p, ", a difference of {} (p {}{})", RP_EST(rp_num(&d, 0, "est"), rp_num(&d, 0, "lower"), rp_num(&d, 0, "upper"), 3),
                   rp_num(&d, 0, "p") < 0.001 ? "" : "= ", RP_P(rp_num(&d, 0, "p")));
        rp_rows_release(&d);
        rp_put(p, ". ");
    }
    ask(p, "interpretation");
    rp_put(p, "</p></div>\n");
    rp_rows_release(&f);
    rp_rows_release(&m);
}

void rp_section_words(rp_page *p) {
    rp_section(p, "words", "Methods and results in words");
    rp_put(p, "<p class=\"muted\">From the run's record. What it does not know stands in brackets, for the author.</p>\n");
    methods(p);
    results(p);
}
