/* words.c: a methods and a results paragraph out of the run's record. What the record does not know is left to the author, in brackets.
 * Every number is one of the page's tables, with the same digits. */
#include "parts.h"

static const char AUTHOR[] = "<span class=\"author\">[{}]</span>";

static void ask(rp_page *p, const char *what) {
    rp_put(p, AUTHOR, what);
}

/* A count as the first word of a sentence. */
static const char *sentence_word(char to[32], double n) {
    rp_count_word(to, n);
    to[0] = (char)(to[0] >= 'a' && to[0] <= 'z' ? to[0] - 'a' + 'A' : to[0]);
    return to;
}

static const char *rule_words(const char *rule) {
    static const char *const WORD[][2] = {{"max", "the highest"},
                                          {"mean", "the mean"},
                                          {"median", "the median"},
                                          {"noisy-or", "the noisy-or combination"},
                                          {"majority", "the majority vote"}};
    for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++)
        if (strcmp(rule, WORD[i][0]) == 0)
            return WORD[i][1];
    return NULL;
}

static void put_rule(rp_page *p, const char *rule, const char *of) {
    if (rule_words(rule))
        rp_put(p, "{} score {}", rule_words(rule), of);
    else
        rp_put(p, "the rule {} over the scores {}", rule, of);
}

/* "15,298" */
static const char *grouped(char to[48], double x) {
    char plain[32];
    const int n = snprintf(plain, sizeof plain, "%.0f", x);
    int out = 0;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            to[out++] = ',';
        to[out++] = plain[i];
    }
    to[out] = '\0';
    return to;
}

/* How slices became lesions and patients: only the steps that there are. */
static void put_rules(rp_page *p, const char *lesion, const char *patient, bool slices) {
    const bool lesions = strcmp(p->case_unit, "lesion") == 0;
    if (slices) {
        rp_put(p, "{} was given ", lesions ? "A lesion" : "A patient");
        put_rule(p, lesions ? lesion : patient, "of its slices");
        rp_put(p, lesions && p->several ? "; " : ". ");
    } else {
        rp_put(p, lesions ? "Each lesion had one score{}" : "Each patient had one score{}", lesions && p->several ? "; " : ". ");
    }
    if (lesions && p->several) {
        rp_put(p, "a patient was given ");
        put_rule(p, patient, "of the lesions");
        rp_put(p, ". ");
    }
}

static const char *precision_words(const char *precision) {
    static const char *const WORD[][2] = {
        {"fp32", "32-bit floating point"}, {"tf32", "TF32 arithmetic"}, {"fp16", "16-bit floating point"}, {"bf16", "bfloat16 arithmetic"}};
    for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++)
        if (strcmp(precision, WORD[i][0]) == 0)
            return WORD[i][1];
    return precision;
}

static void put_networks(rp_page *p) {
    rp_rows k;
    rp_query(p,
             sqlite3_mprintf("SELECT m.model, mo.input_shape, mo.parameters FROM run_model m JOIN run_model_file f ON f.run_model_id = "
                             "m.run_model_id AND f.position ="
                             " (SELECT min(position) FROM run_model_file x WHERE x.run_model_id = m.run_model_id) JOIN model mo ON "
                             "mo.model_id = f.model_id WHERE m.run_id = %lld ORDER BY m.position",
                             (long long)p->run),
             &k);
    for (int64_t i = 0; i < k.n; i++)
        rp_put(p, "{}{}: input {}, {} parameters", i ? "; " : "", rp_text_at(&k, i, "model"), rp_text_at(&k, i, "input_shape"),
               grouped((char[48]){0}, rp_num(&k, i, "parameters")));
    rp_rows_release(&k);
}

static void methods(rp_page *p) {
    rp_rows r;
    char word[32];
    rp_query(
        p,
        sqlite3_mprintf(
            "SELECT r.lesion_rule, r.patient_rule, r.backend, r.backend_version, r.precision, r.radcohort_version,"
            " (SELECT max(folds) FROM run_model m WHERE m.run_id = r.run_id) AS folds,"
            " (SELECT max(e.n_slice) FROM manifest f JOIN run_result q ON q.case_id = f.case_id JOIN result e ON e.result_id = q.result_id"
            " WHERE f.run_id = r.run_id) AS n_slice,"
            " (SELECT group_concat(point || ' (score of at least ' || threshold || ')', ', ') FROM (SELECT point, threshold FROM"
            " operating_point o WHERE o.run_id = r.run_id AND o.threshold IS NOT NULL ORDER BY position)) AS points,"
            " (SELECT group_concat(point || coalesce(' (tuned on ' || tuned_on || ' patients)', ' (tuned)'), ', ') FROM (SELECT point, "
            "tuned_on FROM"
            " operating_point o WHERE o.run_id = r.run_id AND o.threshold IS NULL ORDER BY position)) AS tuned,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.point = 'youden (internal)') AS youden,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name LIKE '%%_clustered' AND s.unit <> 'slice') AS "
            "clustered,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'auc_centers_reml') AS pooled,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'auc_paired_difference') AS paired,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'auc_vs_readers_mrmc') AS mrmc,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'kappa_quadratic') AS grades,"
            " EXISTS (SELECT 1 FROM v_statistic s WHERE s.run_id = r.run_id AND s.name = 'odds_ratio') AS odds,"
            " (SELECT group_concat(class, ', ') FROM (SELECT class FROM run_class k WHERE k.run_id = r.run_id AND k.rule IS NULL ORDER BY"
            " class_index)) AS classes,"
            " (SELECT count(DISTINCT reader) FROM v_reading v WHERE v.run_id = r.run_id) AS n_reader FROM run r WHERE r.run_id = %lld",
            (long long)p->run),
        &r);
    rp_put(p, "<h3>Methods</h3>\n<div class=\"prose\"><p id=\"methods\">This retrospective ");
    ask(p, "confirm the design");
    rp_put(p, " {} study evaluated {} {} (", p->n_center > 1 ? "multicenter" : "single-center", RP_WORD(p->n_model),
           p->n_model == 1 ? "neural network" : "neural networks");
    put_networks(p);
    rp_put(p, ") for the classes {} against ", rp_text_at(&r, 0, "classes"));
    ask(p, "reference standard");
    rp_put(p, ". ");
    if (rp_num(&r, 0, "folds") >= 2)
        rp_put(
            p,
            "{} {} networks, one per fold of a cross-validation; each patient was scored only by the one that had not seen the patient in "
            "training. ",
            p->n_model == 1 ? "It consists of" : "A model with folds consists of", RP_WORD(rp_num(&r, 0, "folds")));
    rp_put(p, "Images were read from NIfTI files and prepared by orientation, region, window and resampling as listed under Provenance. ");
    put_rules(p, rp_text_at(&r, 0, "lesion_rule"), rp_text_at(&r, 0, "patient_rule"), rp_num(&r, 0, "n_slice") >= 2);
    rp_put(p, "{!}Areas under the receiver operating characteristic curve (AUCs) were estimated with 95% CIs by the method of DeLong{}. ",
           p->n_class > 2 ? "Each class was rated against the others. " : "",
           rp_num(&r, 0, "clustered") == 1 ? ", per lesion also by that of Obuchowski with patients as clusters" : "");
    if (p->has_internal && p->has_external)
        rp_put(p, "Internal and external patients were compared by a z test of independent AUCs. ");
    if (rp_num(&r, 0, "pooled") == 1)
        rp_put(
            p,
            "AUCs of the centers were pooled with random effects (restricted maximum likelihood); the 95% prediction interval is that of "
            "a further center. ");
    if (rp_num(&r, 0, "paired") == 1)
        rp_put(p, "Networks were compared on the same cases by the paired DeLong test with Holm's adjustment. ");
    if (rp_text_at(&r, 0, "points")[0])
        rp_put(p, "Operating points: {}. ", rp_text_at(&r, 0, "points"));
    if (rp_text_at(&r, 0, "tuned")[0] || rp_num(&r, 0, "youden") == 1)
        rp_put(p, "Thresholds found in the data: {}{}; on the patients they were tuned on they are optimistic. ",
               rp_text_at(&r, 0, "tuned"),
               rp_text_at(&r, 0, "tuned")[0] ? "" : "youden (the highest Youden index of the internal patients)");
    if (rp_num(&r, 0, "grades") == 1)
        rp_put(p, "Grades were compared by quadratically weighted kappa, ordinal AUC and rank correlation. ");
    if (rp_num(&r, 0, "n_reader") > 0)
        rp_put(p, "{} {} compared with the {} on the cases both had judged, by exact McNemar tests{}. ",
               sentence_word(word, rp_num(&r, 0, "n_reader")), rp_num(&r, 0, "n_reader") == 1 ? "reader was" : "readers were",
               p->n_model == 1 ? "network" : "networks",
               rp_num(&r, 0, "mrmc") == 1 ? " and, by their ratings, with readers and cases random (Obuchowski and Rockette)" : "");
    if (rp_num(&r, 0, "odds") == 1)
        rp_put(p, "Odds ratios are those of multivariable logistic regressions. ");
    rp_put(p,
           "Cases that could not be scored were excluded with a recorded reason. <i>P</i> values are two-sided. All numbers were computed "
           "with "
           "radcohort {} (inference: {}, {}). ",
           rp_text_at(&r, 0, "radcohort_version"), rp_text_at(&r, 0, "backend_version"), precision_words(rp_text_at(&r, 0, "precision")));
    ask(p, "ethics approval, dates of inclusion, training of the networks, level of significance");
    rp_put(p, "</p></div>\n");
    rp_rows_release(&r);
}

static bool put_auc(rp_page *p, const char *model, const char *stratum, const char *before, const char *after) {
    double v[3];
    int64_t n;
    if (!rp_statistic(p, "patient", model, p->main_class, rp_cohort_kind(p), stratum, p->main_class ? "auc" : "auc_macro", v, &n))
        return false;
    rp_put(p, "{} {}", before, RP_NUM("%.3f", v[0]));
    if (!isnan(v[1]))
        rp_put(p, " (95% CI: {}, {}{}{})", RP_NUM("%.3f", v[1]), RP_NUM("%.3f", v[2]), n > 0 ? "; n = " : "",
               n > 0 ? RP_NUM("%lld", (long long)n) : "");
    rp_put(p, "{}", after);
    return true;
}

static void put_difference(rp_page *p, const char *model) {
    rp_rows d;
    rp_query(p,
             sqlite3_mprintf("SELECT model, unit, class, stratum_kind, stratum, point, name, versus, n, n_pos, est, lower, upper, p "
                             "FROM v_statistic WHERE run_id = %lld AND model = %Q"
                             " AND unit = 'patient' AND name = 'auc_difference' AND versus IS NULL AND class IS %Q",
                             (long long)p->run, model, p->main_class),
             &d);
    rp_protect_statistics(p, &d);
    if (d.n == 1 && !isnan(rp_num(&d, 0, "est")))
        rp_put(p, " (difference, {} [95% CI: {}, {}]; <i>P</i>{})", RP_DIGITS(rp_num(&d, 0, "est"), 3),
               RP_DIGITS(rp_num(&d, 0, "lower"), 3), RP_DIGITS(rp_num(&d, 0, "upper"), 3), RP_P_TEXT(rp_num(&d, 0, "p")) + 1);
    rp_rows_release(&d);
}

/* "86.4% (38 of 44; 95% CI: 73.3, 93.6)" */
static void put_share(rp_page *p, const rp_rows *r, int64_t i) {
    rp_put(p, "{}% ({} of {}; 95% CI: {}, {})", RP_NUM("%.1f", 100 * rp_num(r, i, "est")), RP_NUM("%.0f", rp_num(r, i, "n_pos")),
           RP_NUM("%.0f", rp_num(r, i, "n")), RP_NUM("%.1f", 100 * rp_num(r, i, "lower")), RP_NUM("%.1f", 100 * rp_num(r, i, "upper")));
}

/* Sensitivity and specificity of the first model at the first operating point, where the job looked last: outside, if it did. */
static void put_point(rp_page *p) {
    const char *kind = rp_cohort_kind(p), *stratum = strcmp(kind, "all") == 0 ? "all" : p->has_external ? "external" : "internal";
    rp_rows r;
    rp_query(
        p,
        sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.point, s.name, s.versus, s.n, s.n_pos, s.est,"
                        " s.lower, s.upper, o.threshold FROM v_statistic s JOIN operating_point o ON o.run_id = s.run_id AND o.point ="
                        " s.point WHERE s.run_id = %lld AND s.model = %Q AND s.class IS %Q AND s.unit = 'patient' AND s.versus IS NULL"
                        " AND s.stratum_kind = %Q AND s.stratum = %Q AND s.name IN ('sensitivity', 'specificity') AND s.point = (SELECT"
                        " min(q.point) FROM operating_point q WHERE q.run_id = s.run_id AND q.origin = (SELECT min(x.origin) FROM"
                        " operating_point x WHERE x.run_id = s.run_id)) ORDER BY s.name",
                        (long long)p->run, p->main_model, p->main_class, kind, stratum),
        &r);
    rp_protect_statistics(p, &r);
    if (r.n == 2 && !isnan(rp_num(&r, 0, "est")) && !isnan(rp_num(&r, 1, "est"))) {
        rp_put(p, "At the operating point {}, the sensitivity of {} was ", rp_text_at(&r, 0, "point"), p->main_model);
        put_share(p, &r, 0);
        rp_put(p, " and its specificity ");
        put_share(p, &r, 1);
        rp_put(p, "{}{}. ", strcmp(stratum, "all") == 0 ? "" : " in ",
               strcmp(stratum, "all") == 0        ? ""
               : strcmp(stratum, "external") == 0 ? "external patients"
                                                  : "internal patients");
    }
    rp_rows_release(&r);
}

static void put_flow(rp_page *p) {
    rp_rows f;
    rp_query(p, rp_flow_query(p), &f);
    char key[200], number[3][64];
    const char *step[] = {"of the run", "scored by at least one model", "without any score"}, *text[3];
    const int at[] = {2, 4, 3};
    for (int i = 0; i < 3; i++)
        text[i] = rp_is_hidden(p, rp_key(key, sizeof key, "flow", "", step[i])) ? "[suppressed]"
                                                                                : rp_format(number[i], "%.0f", rp_num(&f, at[i], "n"));
    if (rp_num(&f, 3, "n") == 0)
        rp_put(p, "All {} patients were scored", text[0]);
    else
        rp_put(p, "Of {} patients, {} were scored and {} could not be scored", text[0], text[1], text[2]);
    if (p->n_model > 1 && rp_num(&f, 5, "n") > 0 && !rp_is_hidden(p, rp_key(key, sizeof key, "flow", "", "scored by all models")))
        rp_put(p, ", {} of them by all {} networks", RP_NUM("%.0f", rp_num(&f, 6, "n")), RP_WORD(p->n_model));
    rp_put(p, ". ");
    rp_rows_release(&f);
}

static void results(rp_page *p) {
    rp_rows m;
    rp_query(p, sqlite3_mprintf("SELECT model FROM run_model WHERE run_id = %lld ORDER BY position", (long long)p->run), &m);
    rp_put(p, "<h3>Results</h3>\n<div class=\"prose\"><p id=\"results\">");
    put_flow(p);
    for (int64_t i = 0; i < m.n && p->st == RAD_OK; i++) {
        const char *model = rp_text_at(&m, i, "model");
        const size_t before = p->html.size;
        if (i > 0)
            rp_put(p, "That of {} ", model);
        else if (p->main_class)
            rp_put(p, "For {}, the AUC per patient of {} ", p->main_class, model);
        else
            rp_put(p, "The mean AUC over the classes per patient of {} ", model);
        bool said;
        if (strcmp(rp_cohort_kind(p), "all") == 0) {
            said = put_auc(p, model, "all", "was", "");
        } else {
            said = p->has_internal && put_auc(p, model, "internal", "was", i ? "" : " in internal patients");
            if (p->has_external)
                said |= put_auc(p, model, "external", said ? " and" : "was", i && said ? "" : " in external patients");
            if (said)
                put_difference(p, model);
        }
        rp_put(p, ". ");
        if (!said && p->st == RAD_OK)
            p->html.size = before;
    }
    if (p->main_model)
        put_point(p);
    ask(p, "interpretation");
    rp_put(p, "</p></div>\n");
    rp_rows_release(&m);
}

void rp_section_words(rp_page *p) {
    rp_section(p, "words", "Methods and results in words");
    rp_put(p, "<p class=\"muted\">From the run's record. What it does not know stands in brackets, for the author.</p>\n");
    methods(p);
    results(p);
}
