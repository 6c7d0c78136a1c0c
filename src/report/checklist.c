/* checklist.c: CLAIM 2024, STARD-AI and TRIPOD+AI with what the record knows. The items are named in our own short words; the published
 * text is the authority. Numbers: CLAIM 2024 (doi 10.1148/ryai.240300) and TRIPOD+AI (doi 10.1136/bmj-2023-078378); STARD-AI
 * (doi 10.1038/s41591-025-03953-8) by those of STARD 2015, which it extends, its additions without. Checked on 2026-11-22, none against the
 * publication itself: the 52 items of TRIPOD+AI by number and content against two public transcriptions of its table 2 that agree with each
 * other, the 44 of CLAIM against one public summary; STARD-AI not at all (rp_checklists_checked says so to the reader). */
#include "parts.h"

/* What the record knows: a query of one value. {} stands for the run. Public: whether the answer holds nothing that a public report
 * suppresses. */
typedef enum fact {
    NONE,
    SOURCES,
    ELIGIBLE,
    PREPARED,
    PSEUDONYM,
    MISSING,
    SEQUENCES,
    TRUTH,
    READERS,
    PARTITION,
    SIZE,
    MODELS,
    SOFTWARE,
    FOLDS,
    METRICS,
    UNCERTAINTY,
    ROBUST,
    MAPS,
    INTERNAL,
    EXTERNAL,
    FLOW,
    TABLE1,
    ESTIMATES,
    FAILURES,
    THRESHOLD,
    OUTPUTS,
    SUBGROUPS,
    AVAILABLE,
    N_FACT
} fact;

static const struct {
    const char *sql; /* each %lld is the run */
    bool is_public;
} FACT[N_FACT] = {
    [SOURCES] = {"SELECT count(DISTINCT rp.center_id) || iif(count(DISTINCT rp.center_id) = 1, ' center: ', ' centers: ') || (SELECT "
                 "group_concat(center, ', ') FROM (SELECT DISTINCT c.center "
                 "FROM run_patient q JOIN center c ON c.center_id = q.center_id WHERE q.run_id = %lld ORDER BY 1))"
                 " FROM run_patient rp WHERE rp.run_id = %lld",
                 true},
    [ELIGIBLE] =
        {"SELECT CASE WHEN count(*) = 0 THEN 'all patients of the cohort tables' ELSE count(*) || ' patients of the tables not selected: ' "
         "|| group_concat(DISTINCT reason) END FROM (SELECT reason FROM unselected_patient WHERE run_id = %lld ORDER BY reason)",
         false},
    [PREPARED] = {"SELECT group_concat(model || ': ' || input_text, '; ') FROM (SELECT model, input_text FROM run_model WHERE run_id = "
                  "%lld ORDER BY position)",
                  true},
    [PSEUDONYM] = {"SELECT 'pseudonyms only; names, dates of birth and UIDs are not in the result file' FROM run WHERE "
                   "run_id = %lld",
                   true},
    [MISSING] = {"SELECT CASE WHEN count(*) = 0 THEN 'no case was left out' ELSE count(*) || ' exclusions: ' || group_concat(DISTINCT "
                 "stage || ' ' || reason) END FROM (SELECT stage, reason FROM exclusion WHERE run_id = %lld ORDER BY stage, reason)",
                 false},
    [SEQUENCES] = {"SELECT group_concat(sequence) FROM (SELECT DISTINCT i.sequence FROM image_use u JOIN manifest m ON m.case_id = "
                   "u.case_id JOIN image i ON i.image_id = u.image_id WHERE m.run_id = %lld ORDER BY 1)",
                   true},
    [TRUTH] = {"SELECT 'labels of the cohort tables: ' || group_concat(class, ', ') FROM (SELECT class FROM run_class WHERE run_id = %lld "
               "ORDER BY class_index)",
               true},
    [READERS] = {"SELECT CASE WHEN count(*) > 0 THEN count(*) || ' readers: ' || group_concat(reader) END FROM (SELECT DISTINCT reader "
                 "FROM v_reading WHERE run_id = %lld ORDER BY 1)",
                 true},
    [PARTITION] = {"SELECT 'by patient; cohorts by center: ' || group_concat(x, ', ') FROM (SELECT DISTINCT cohort AS x FROM run_patient "
                   "WHERE run_id = %lld ORDER BY x DESC)",
                   true},
    [SIZE] = {"SELECT count(*) || ' patients' FROM run_patient WHERE run_id = %lld", false},
    [MODELS] = {"SELECT group_concat(model || ' (' || parameters || ' parameters, input ' || input_shape || ', SHA-256 ' || substr(sha256, "
                "1, 12) || ')', '; ') FROM (SELECT rm.model, mo.parameters, mo.input_shape, mo.sha256 FROM run_model rm JOIN "
                "run_model_file f ON f.run_model_id = rm.run_model_id JOIN model mo ON mo.model_id = f.model_id WHERE rm.run_id = %lld "
                "ORDER BY rm.position, f.position)",
                true},
    [SOFTWARE] = {"SELECT 'radcohort ' || radcohort_version || ', ' || backend || ' ' || backend_version || ', ' || precision FROM run "
                  "WHERE run_id = %lld",
                  true},
    [FOLDS] = {"SELECT CASE WHEN max(folds) IS NOT NULL THEN max(folds) || ' folds; each patient scored by the one file that had not seen "
               "the patient' END FROM run_model WHERE run_id = %lld",
               true},
    [METRICS] =
        {"WITH word(name, measure, place) AS (VALUES ('auc', 'AUC', 1), ('auc_macro', 'mean AUC over classes', 2), ('sensitivity',"
         " 'sensitivity', 3), ('specificity', 'specificity', 4), ('accuracy', 'accuracy', 5), ('ppv', 'positive and negative predictive"
         " value', 6), ('lr_pos', 'likelihood ratios', 7), ('f1', 'F1', 8), ('mcc', 'Matthews correlation', 9), ('multiclass_accuracy',"
         " 'accuracy over classes', 10), ('kappa_quadratic', 'weighted kappa of grades', 11), ('brier', 'Brier score', 12),"
         " ('calibration_slope', 'calibration slope and intercept', 13)) SELECT group_concat(measure, ', ') FROM (SELECT DISTINCT"
         " word.measure, word.place FROM v_statistic s JOIN word ON word.name = s.name WHERE s.run_id = %lld AND s.unit = 'patient'"
         " ORDER BY word.place)",
         true},
    [UNCERTAINTY] = {"SELECT group_concat(method) FROM (SELECT DISTINCT method FROM v_statistic WHERE run_id = %lld AND name IN ('auc', "
                     "'auc_difference', 'auc_paired_difference', 'auc_clustered') ORDER BY 1)",
                     true},
    [ROBUST] = {"SELECT 'AUC by ' || count(DISTINCT stratum) || ' groups of patients, and by other rules of aggregation' FROM v_statistic "
                "WHERE run_id = "
                "%lld AND name = 'auc'",
                true},
    [MAPS] = {"SELECT CASE WHEN count(*) > 0 THEN 'class activation maps of ' || count(*) || ' slices' END FROM v_cam WHERE run_id = %lld",
              false},
    [INTERNAL] = {"SELECT CASE WHEN count(*) > 0 THEN count(*) || ' patients of internal centers' END FROM run_patient WHERE cohort = "
                  "'internal' AND run_id = %lld",
                  false},
    [EXTERNAL] = {"SELECT CASE WHEN count(*) > 0 THEN count(*) || ' patients of external centers' END FROM run_patient WHERE cohort = "
                  "'external' AND run_id = %lld",
                  false},
    [FLOW] = {"SELECT 'figure flow-diagram: ' || n_patient || ' patients, ' || n_case || ' cases' FROM v_manifest_check WHERE run_id = "
              "%lld LIMIT 1",
              false},
    [TABLE1] = {"SELECT 'Table 1: age and sex of ' || sum(p.age IS NOT NULL) || ' and ' || sum(p.sex IS NOT NULL) || ' patients' FROM "
                "run_patient rp JOIN patient p ON p.patient_id = rp.patient_id WHERE rp.run_id = %lld",
                false},
    [ESTIMATES] =
        {"SELECT 'AUC ' || group_concat(model || ', ' || stratum || coalesce(', ' || class, '') || ': ' || printf('%%.3f (%%.3f, %%.3f)', "
         "est, lower, upper), '; ') FROM (SELECT s.model, s.stratum, s.class, s.est, s.lower, s.upper FROM v_statistic s JOIN run_model m "
         "ON m.run_id = s.run_id AND m.model = s.model WHERE s.run_id = %lld AND s.unit = 'patient' AND s.est IS NOT NULL AND "
         "s.stratum_kind IN ('all', 'cohort') AND (s.name = 'auc_macro' OR s.name = 'auc' AND s.class = (SELECT k.class FROM run r JOIN "
         "run_class k ON k.run_id = r.run_id AND coalesce(k.class_index = r.positive_class, k.rule = 'sum') WHERE r.run_id = s.run_id "
         "ORDER BY k.class_index LIMIT 1)) ORDER BY m.position, s.stratum_kind, s.stratum DESC, s.class)",
         false},
    [FAILURES] = {"SELECT 'right and wrong calls by operating point: ' || group_concat(point) FROM (SELECT DISTINCT point FROM v_statistic "
                  "WHERE run_id = %lld AND name = 'sensitivity' ORDER BY 1) HAVING count(*) > 0",
                  true},
    [THRESHOLD] = {"SELECT group_concat(point || ': ' || threshold || ' (' || origin || coalesce(' on ' || tuned_on, '') || ')', ', ') "
                   "FROM (SELECT * FROM operating_point WHERE run_id = %lld ORDER BY position, point)",
                   true},
    [OUTPUTS] =
        {"SELECT group_concat(DISTINCT activation) || ' scores of ' || (SELECT group_concat(class, ', ') FROM (SELECT class FROM run_class "
         "WHERE run_id = %lld ORDER BY class_index)) FROM (SELECT activation FROM run_model WHERE run_id = %lld ORDER BY position)",
         true},
    [SUBGROUPS] = {"SELECT 'by cohort and center: ' || count(DISTINCT stratum) || ' strata' FROM v_statistic WHERE run_id = %lld AND name "
                   "= 'auc' AND stratum_kind IN ('cohort', 'center') HAVING count(*) > 0",
                   true},
    [AVAILABLE] =
        {"SELECT 'radcohort ' || radcohort_version || ' (GPL-3.0-or-later); every figure with data and query' FROM run WHERE run_id = %lld",
         true},
};

typedef struct item {
    const char *number, *about;
    fact fact;
} item;

static const item CLAIM[] = {{"1", "title names the use of AI", NONE},
                             {"2", "structured abstract", NONE},
                             {"3", "background and intended use", NONE},
                             {"4", "aims and hypotheses", NONE},
                             {"5", "prospective or retrospective", NONE},
                             {"6", "goal of the study", NONE},
                             {"7", "where the data came from", SOURCES},
                             {"8", "who was eligible", ELIGIBLE},
                             {"9", "preparation of the images", PREPARED},
                             {"10", "choice of parts of the data", SEQUENCES},
                             {"11", "removal of identity", PSEUDONYM},
                             {"12", "missing data", MISSING},
                             {"13", "how images were acquired", SEQUENCES},
                             {"14", "reference standard", TRUTH},
                             {"15", "why this reference standard", NONE},
                             {"16", "who made the reference standard", NONE},
                             {"17", "how the test set was labelled", NONE},
                             {"18", "agreement of readers", READERS},
                             {"19", "how data were divided", PARTITION},
                             {"20", "level at which parts are disjoint", PARTITION},
                             {"21", "intended sample size", NONE},
                             {"22", "the model", MODELS},
                             {"23", "software", SOFTWARE},
                             {"24", "initial weights", NONE},
                             {"25", "training", NONE},
                             {"26", "choice of the final model", NONE},
                             {"27", "ensembles and folds", FOLDS},
                             {"28", "measures of performance", METRICS},
                             {"29", "uncertainty and tests", UNCERTAINTY},
                             {"30", "robustness", ROBUST},
                             {"31", "explanation of outputs", MAPS},
                             {"32", "evaluation on internal data", INTERNAL},
                             {"33", "evaluation on external data", EXTERNAL},
                             {"34", "registration of a trial", NONE},
                             {"35", "patients or examinations included and excluded", FLOW},
                             {"36", "demographic and clinical characteristics by partition", TABLE1},
                             {"37", "performance and its uncertainty", ESTIMATES},
                             {"38", "diagnostic performance and its precision", ESTIMATES},
                             {"39", "analysis of failures", FAILURES},
                             {"40", "limitations", NONE},
                             {"41", "meaning for practice", NONE},
                             {"42", "full protocol or technical details", NONE},
                             {"43", "software and data available", AVAILABLE},
                             {"44", "funding", NONE}};

/* Numbers of STARD 2015 where STARD-AI kept the item; what STARD-AI added or changed is named by its topic, without a number. */
static const item STARD[] = {{"1", "title names diagnostic accuracy and AI", NONE},
                             {"2", "structured abstract", NONE},
                             {"3", "background, intended use and role of the index test", NONE},
                             {"4", "objectives and hypotheses", NONE},
                             {"5", "prospective or retrospective", NONE},
                             {"6", "eligibility criteria", ELIGIBLE},
                             {"7", "how eligible participants were identified", NONE},
                             {"8", "setting, locations and dates", SOURCES},
                             {"9", "consecutive, random or convenience series", NONE},
                             {"10a", "index test, in detail to replicate it", MODELS},
                             {"10b", "reference standard, in detail to replicate it", TRUTH},
                             {"11", "rationale for the reference standard", NONE},
                             {"12a", "cutoffs of the index test, prespecified or exploratory", THRESHOLD},
                             {"12b", "cutoffs of the reference standard", NONE},
                             {"13a", "what was known to performers and readers of the index test", NONE},
                             {"13b", "what was known to assessors of the reference standard", NONE},
                             {"14", "methods of estimating or comparing accuracy", METRICS},
                             {"15", "indeterminate results", MISSING},
                             {"16", "missing data", MISSING},
                             {"17", "analyses of variability in accuracy", SUBGROUPS},
                             {"18", "intended sample size", NONE},
                             {"19", "flow of participants, with a diagram", FLOW},
                             {"20", "baseline characteristics", TABLE1},
                             {"21a", "severity of disease in those with the target condition", NONE},
                             {"21b", "alternative diagnoses in those without", NONE},
                             {"22", "interval and interventions between the tests", NONE},
                             {"23", "cross tabulation of index test and reference standard", FAILURES},
                             {"24", "estimates of accuracy and their precision", ESTIMATES},
                             {"25", "adverse events", NONE},
                             {"26", "limitations", NONE},
                             {"27", "implications for practice", NONE},
                             {"28", "registration", NONE},
                             {"29", "study protocol", NONE},
                             {"30", "funding", NONE},
                             {"AI", "sources, annotation and preparation of the data", PREPARED},
                             {"AI", "acquisition of the images", SEQUENCES},
                             {"AI", "partition of the data", PARTITION},
                             {"AI", "version, software and hardware of the index test", SOFTWARE},
                             {"AI", "evaluation on external data", EXTERNAL},
                             {"AI", "analysis of errors", FAILURES},
                             {"AI", "algorithmic bias and fairness", NONE},
                             {"AI", "availability of data, code and the test; commercial interests", AVAILABLE}};

static const item TRIPOD[] = {{"1", "title names the model and its target", NONE},
                              {"2", "abstract", NONE},
                              {"3a", "healthcare context and rationale", NONE},
                              {"3b", "target population and intended use", NONE},
                              {"3c", "known health inequalities", NONE},
                              {"4", "aims: development, validation or both", NONE},
                              {"5a", "sources of data", SOURCES},
                              {"5b", "dates", NONE},
                              {"6a", "setting and centers", SOURCES},
                              {"6b", "eligibility", ELIGIBLE},
                              {"6c", "treatments", NONE},
                              {"7", "preparation of data", PREPARED},
                              {"8a", "outcome and its assessment", TRUTH},
                              {"8b", "who assessed the outcome", NONE},
                              {"8c", "blinding of the outcome", NONE},
                              {"9a", "choice of predictors", SEQUENCES},
                              {"9b", "definition of predictors", PREPARED},
                              {"9c", "who assessed predictors", NONE},
                              {"10", "sample size", SIZE},
                              {"11", "missing data", MISSING},
                              {"12a", "how data were used and divided", PARTITION},
                              {"12b", "handling of predictors", PREPARED},
                              {"12c", "type and building of the model", MODELS},
                              {"12d", "how heterogeneity over centers was handled", SUBGROUPS},
                              {"12e", "measures and plots of performance", METRICS},
                              {"12f", "updating of the model", NONE},
                              {"12g", "how predictions were computed", SOFTWARE},
                              {"13", "class imbalance", NONE},
                              {"14", "fairness", NONE},
                              {"15", "output of the model and thresholds", OUTPUTS},
                              {"16", "differences between development and evaluation", NONE},
                              {"17", "ethics", NONE},
                              {"18a", "funding", NONE},
                              {"18b", "conflicts of interest", NONE},
                              {"18c", "protocol", NONE},
                              {"18d", "registration", NONE},
                              {"18e", "data sharing", AVAILABLE},
                              {"18f", "code sharing", AVAILABLE},
                              {"19", "patients and public", NONE},
                              {"20a", "flow of participants", FLOW},
                              {"20b", "characteristics by source", TABLE1},
                              {"20c", "comparison with development data", NONE},
                              {"21", "participants and events in each analysis", SIZE},
                              {"22", "the full model", MODELS},
                              {"23a", "performance with intervals", ESTIMATES},
                              {"23b", "heterogeneity of performance over centers", SUBGROUPS},
                              {"24", "results of updating", NONE},
                              {"25", "interpretation", NONE},
                              {"26", "limitations", NONE},
                              {"27a", "poor or missing input data at use", NONE},
                              {"27b", "interaction with and expertise of users", NONE},
                              {"27c", "next steps of research", NONE}};

/* One query whose rows are the items: it is what the CSV and the page show. */
static char *list_query(rp_page *p, const item *list, size_t n) {
    sqlite3_str *s = sqlite3_str_new(p->db);
    for (size_t i = 0; i < n; i++) {
        char *sql = NULL;
        if (FACT[list[i].fact].sql && (FACT[list[i].fact].is_public || !p->o->is_public)) {
            sqlite3_str *f = sqlite3_str_new(p->db); /* constants only: %lld is written as the run, %% as % */
            for (const char *c = FACT[list[i].fact].sql; *c; c++) {
                if (strncmp(c, "%lld", 4) == 0) {
                    sqlite3_str_appendf(f, "%lld", (long long)p->run);
                    c += 3;
                } else {
                    c += strncmp(c, "%%", 2) == 0;
                    sqlite3_str_appendchar(f, 1, *c);
                }
            }
            sql = sqlite3_str_finish(f);
        }
        sqlite3_str_appendf(s, "%sSELECT %Q AS item, %Q AS about, ", i ? "\nUNION ALL " : "", list[i].number, list[i].about);
        if (sql)
            sqlite3_str_appendf(s, "coalesce((%s), 'for the author') AS value, %Q AS query", sql, sql);
        else
            sqlite3_str_appendf(s, "'for the author' AS value, NULL AS query");
        sqlite3_free(sql);
    }
    return sqlite3_str_finish(s);
}

static void put_list(rp_page *p, const char *id, const char *name, const item *list, size_t n) {
    static const rp_spec SPEC[] = {
        {"Item", RP_TEXT, "item", 0, 0}, {"About", RP_TEXT, "about", 0, 0}, {"From the record", RP_TEXT, "value", 0, 0}};
    char caption[200];
    rp_rows r;
    rp_query(p, list_query(p, list, n), &r);
    int64_t known = 0;
    for (int64_t i = 0; i < r.n; i++)
        known += strcmp(rp_text_at(&r, i, "value"), "for the author") != 0;
    (void)snprintf(caption, sizeof caption, "%s: %lld of %lld items have something in the record", name, (long long)known, (long long)r.n);
    rp_put(p, "<details class=\"checklist\"><summary>{}</summary>\n", caption);
    rp_table(p, id, caption, &r, SPEC, 3);
    rp_put(p, "</details>\n");
    rp_rows_release(&r);
}

const char *rp_checklists_checked(void) {
    return "Checked by number and content, not against the publications themselves: the 52 items of TRIPOD+AI against two transcriptions of"
           " its published table, the 44 of CLAIM against one summary; the items of STARD-AI were not checked.";
}

void rp_section_checklists(rp_page *p) {
    rp_section(p, "checklists", "Reporting checklists");
    rp_put(
        p,
        "<p>Filled from the record where it knows; the rest is for the author. Items are named in short words; the published lists are the "
        "authority. CLAIM: the 44 items of the 2024 update (Tejani and colleagues, Radiol Artif Intell 2024;6:e240300). TRIPOD+AI: the 27 "
        "items with their parts (Collins and colleagues, BMJ 2024;385:e078378). STARD-AI (Sounderajah and colleagues, Nat Med 2025): its "
        "numbering could not be checked against the published list, so items taken over from STARD 2015 (Bossuyt and colleagues, BMJ "
        "2015;351:h5527) carry the numbers of 2015, and the topics that STARD-AI added stand without a number, as AI. {} The query of each "
        "value is in the CSV file.</p>\n",
        rp_checklists_checked());
    put_list(p, "claim-2024", "CLAIM 2024", CLAIM, sizeof CLAIM / sizeof *CLAIM);
    put_list(p, "stard-ai", "STARD-AI", STARD, sizeof STARD / sizeof *STARD);
    put_list(p, "tripod-ai", "TRIPOD+AI", TRIPOD, sizeof TRIPOD / sizeof *TRIPOD);
}
