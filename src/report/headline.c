/* headline.c: the answer in five seconds, the study in a paragraph, and the controls. */
#include "parts.h"

static void put_value(rp_page *p, const char *label, const rp_rows *r, int64_t i) {
    rp_put(p, "<div><dt>{}</dt>", label);
    if (i < 0) {
        rp_put(p, "<dd class=\"n\">\xe2\x80\x93</dd><dd class=\"ci\">no patients</dd></div>");
        return;
    }
    const double est = rp_num(r, i, "est"), lower = rp_num(r, i, "lower"), upper = rp_num(r, i, "upper");
    if (isnan(est)) {
        rp_put(p, "<dd class=\"n\">\xe2\x80\x93</dd><dd class=\"ci\">{}</dd></div>",
               rp_at(r, i, "est")->hidden ? "suppressed" : rp_text_at(r, i, "reason"));
        return;
    }
    rp_put(p, "<dd class=\"n\">{}</dd><dd class=\"ci\">", RP_NUM("%.3f", est));
    if (!isnan(lower))
        rp_put(p, "{} to {}, ", RP_NUM("%.3f", lower), RP_NUM("%.3f", upper));
    rp_put(p, "n = {}</dd></div>", rp_at(r, i, "n")->hidden ? "suppressed" : rp_text_at(r, i, "n"));
}

static void put_gap(rp_page *p, const char *model) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT model, unit, class, stratum_kind, stratum, point, name, versus, n, n_pos, est, lower, upper, p"
                             " FROM v_statistic WHERE run_id = %lld AND model = %Q AND unit = 'patient' AND name = 'auc_difference'"
                             " AND versus IS NULL AND class IS %Q",
                             (long long)p->run, model, p->positive),
             &r);
    rp_protect_statistics(p, &r);
    if (r.n == 1 && !isnan(rp_num(&r, 0, "est"))) {
        const double lower = rp_num(&r, 0, "lower"), upper = rp_num(&r, 0, "upper");
        const char *word = lower > 0 ? "lower outside" : upper < 0 ? "higher outside" : "no difference shown";
        rp_put(p, "<p class=\"gap\">{}: internal minus external {}, p {!}{}</p>", word, RP_EST(rp_num(&r, 0, "est"), lower, upper, 3),
               rp_num(&r, 0, "p") < 0.001 ? "" : "= ", RP_P(rp_num(&r, 0, "p")));
    }
    rp_rows_release(&r);
}

static void put_cards(rp_page *p) {
    const bool macro = p->positive == NULL;
    rp_rows r;
    rp_query(
        p,
        sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.versus, s.n, s.n_pos,"
                        " s.est, s.lower, s.upper, s.reason, s.method FROM v_statistic s"
                        " JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model"
                        " WHERE s.run_id = %lld AND s.unit = 'patient' AND s.name = %Q AND s.class IS %Q AND s.stratum_kind = %Q"
                        " ORDER BY m.position, s.stratum = 'external'",
                        (long long)p->run, macro ? "auc_macro" : "auc", p->positive, rp_cohort_kind(p)),
        &r);
    rp_protect_statistics(p, &r);
    if (r.n == 0)
        rp_absent(p, "No AUC: no patient has both a score and a known label.");
    rp_put(p, "<ul class=\"cards\" id=\"headline\">\n");
    for (int64_t i = 0, end; i < r.n; i = end) {
        end = rp_group_end(&r, i, "model");
        int64_t internal = -1, external = -1;
        for (int64_t j = i; j < end; j++)
            *(strcmp(rp_text_at(&r, j, "stratum"), "external") == 0 ? &external : &internal) = j;
        const bool whole = strcmp(rp_cohort_kind(p), "all") == 0;
        rp_put(p, "<li class=\"card\" data-model=\"{}\"><h3>{}</h3><dl>", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "model"));
        put_value(p, whole ? "All patients" : "Internal", &r, internal);
        if (!whole)
            put_value(p, "External", &r, external);
        rp_put(p, "</dl>");
        if (!whole && !macro)
            put_gap(p, rp_text_at(&r, i, "model"));
        rp_put(p, "</li>\n");
    }
    rp_put(p, "</ul>\n<p class=\"muted\">{} with 95 % interval; unit: patient{}{}.</p>\n",
           macro ? "Mean one-against-rest AUC of the classes (macro)" : "Area under the ROC curve (AUC)",
           macro ? "" : "; positive class: ", macro ? "" : p->positive);
    rp_csv(p, "headline", &r);
    rp_put(p,
           "<details class=\"source\"><summary>Data and SQL</summary><p><a href=\"csv/headline.csv\" download>headline.csv</a></p><pre "
           "tabindex=\"0\"><code>{}</code></pre></details>\n",
           r.sql);
    rp_rows_release(&r);
}

static void put_paragraph(rp_page *p) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf(
                 "WITH q AS (SELECT %lld AS run_id) SELECT (SELECT count(*) FROM run_patient rp WHERE rp.run_id = q.run_id) AS n_patient,"
                 " (SELECT count(*) FROM manifest m WHERE m.run_id = q.run_id) AS n_case,"
                 " (SELECT count(DISTINCT center_id) FROM run_patient rp WHERE rp.run_id = q.run_id) AS n_center,"
                 " (SELECT count(DISTINCT center_id) FROM run_patient rp WHERE rp.run_id = q.run_id AND cohort = 'internal') AS n_internal,"
                 " (SELECT count(DISTINCT center_id) FROM run_patient rp WHERE rp.run_id = q.run_id AND cohort = 'external') AS n_external,"
                 " (SELECT count(*) FROM run_model m WHERE m.run_id = q.run_id) AS n_model,"
                 " (SELECT group_concat(class, ', ') FROM (SELECT class FROM run_class k WHERE k.run_id = q.run_id ORDER BY class_index)) "
                 "AS classes,"
                 " (SELECT count(DISTINCT reader) FROM v_reading v WHERE v.run_id = q.run_id) AS n_reader,"
                 " r.lesion_rule, r.patient_rule, r.backend, r.precision, r.finished FROM q JOIN run r ON r.run_id = q.run_id",
                 (long long)p->run),
             &r);
    const double internal = rp_num(&r, 0, "n_internal"), external = rp_num(&r, 0, "n_external"), models = rp_num(&r, 0, "n_model");
    char counts[256] = "";
    (void)snprintf(counts, sizeof counts, "%.0f patients with %.0f %s%s at %.0f center%s (%.0f internal, %.0f external)",
                   rp_num(&r, 0, "n_patient"), rp_num(&r, 0, "n_case"), strcmp(p->case_unit, "patient") == 0 ? "case" : p->case_unit,
                   rp_num(&r, 0, "n_case") == 1 ? "" : "s", internal + external, internal + external == 1 ? "" : "s", internal, external);
    rp_put(p, "<p>{} {} scored by {} into the classes {}. Slice scores became {} scores by the rule <em>{}</em>", counts, "were",
           RP_NUM("%.0f network%s", models, models == 1 ? "" : "s"), rp_text_at(&r, 0, "classes"), p->case_unit,
           strcmp(p->case_unit, "lesion") == 0 ? rp_text_at(&r, 0, "lesion_rule") : rp_text_at(&r, 0, "patient_rule"));
    if (strcmp(p->case_unit, "lesion") == 0)
        rp_put(p, ", lesion scores patient scores by <em>{}</em>", rp_text_at(&r, 0, "patient_rule"));
    rp_put(p, ". Inference ran on {} in {}.", rp_text_at(&r, 0, "backend"), rp_text_at(&r, 0, "precision"));
    if (rp_num(&r, 0, "n_reader") > 0)
        rp_put(p, " {} read the cases, too.",
               RP_NUM("%.0f reader%s", rp_num(&r, 0, "n_reader"), rp_num(&r, 0, "n_reader") == 1 ? "" : "s"));
    rp_put(p, "</p>\n");
    rp_rows_release(&r);
}

static void put_select(rp_page *p, const char *name, const char *label, char *sql, const char *chosen) {
    rp_rows r;
    rp_query(p, sql, &r);
    if (r.n > 1) {
        rp_put(p, "<label>{}<select name=\"{}\"><option value=\"\">all</option>", label, name);
        for (int64_t i = 0; i < r.n; i++)
            rp_put(p, "<option{!}>{}</option>",
                   r.cell[i * r.n_col].text && strcmp(r.cell[i * r.n_col].text, chosen) == 0 ? " selected" : "", r.cell[i * r.n_col].text);
        rp_put(p, "</select></label>");
    }
    rp_rows_release(&r);
}

static void put_controls(rp_page *p) {
    const long long run = (long long)p->run;
    rp_put(p, "<div class=\"controls\" id=\"controls\" role=\"group\" aria-label=\"Choose what is shown\" hidden>\n");
    put_select(
        p, "unit", "Unit",
        sqlite3_mprintf("SELECT DISTINCT unit FROM v_statistic WHERE run_id = %lld AND unit IN ('lesion', 'patient') ORDER BY 1 DESC", run),
        "patient");
    put_select(p, "model", "Model", sqlite3_mprintf("SELECT model FROM run_model WHERE run_id = %lld ORDER BY position", run), "");
    put_select(p, "class", "Class",
               sqlite3_mprintf("SELECT class FROM (SELECT DISTINCT k.class, k.class_index FROM v_statistic s JOIN run_class k ON k.run_id "
                               "= s.run_id AND k.class = s.class WHERE s.run_id = %lld) ORDER BY class_index",
                               run),
               "");
    put_select(p, "cohort", "Cohort", sqlite3_mprintf("SELECT DISTINCT cohort FROM run_patient WHERE run_id = %lld ORDER BY 1 DESC", run),
               "");
    put_select(
        p, "center", "Center",
        sqlite3_mprintf(
            "SELECT DISTINCT c.center FROM run_patient rp JOIN center c ON c.center_id = rp.center_id WHERE rp.run_id = %lld ORDER BY 1",
            run),
        "");
    rp_put(p, "</div>\n");
}

void rp_section_headline(rp_page *p) {
    rp_put(p, "<section id=\"result\" aria-labelledby=\"h-result\"><h2 id=\"h-result\">Result</h2>\n");
    put_cards(p);
    put_paragraph(p);
    if (p->o->is_public)
        rp_printf(p,
                  "<p class=\"notice\">Public report: counts from 1 to %d, whatever they could be computed from, and numbers made of them "
                  "are suppressed; curves are coarsened.</p>\n",
                  p->o->k - 1);
    put_controls(p);
}
