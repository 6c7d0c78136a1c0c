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
        rp_put(p, "95% CI: {}, {}<br>", RP_NUM("%.3f", lower), RP_NUM("%.3f", upper));
    rp_put(p, "n = {}</dd></div>", rp_at(r, i, "n")->hidden ? "suppressed" : rp_text_at(r, i, "n"));
}

/* Internal minus external; false where there is none. */
static bool difference(rp_page *p, const char *model, double ret[4]) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT model, unit, class, stratum_kind, stratum, point, name, versus, n, n_pos, est, lower, upper, p"
                             " FROM v_statistic WHERE run_id = %lld AND model = %Q AND unit = 'patient' AND name = 'auc_difference'"
                             " AND versus IS NULL AND class IS %Q",
                             (long long)p->run, model, p->main_class),
             &r);
    rp_protect_statistics(p, &r);
    static const char *const COLUMN[] = {"est", "lower", "upper", "p"};
    for (int i = 0; i < 4; i++)
        ret[i] = r.n == 1 ? rp_num(&r, 0, COLUMN[i]) : NAN;
    rp_rows_release(&r);
    return !isnan(ret[0]);
}

static void put_gap(rp_page *p, const char *model) {
    double d[4];
    if (!difference(p, model, d))
        return;
    rp_put(p, "<p class=\"gap\"><strong>{}</strong> Internal minus external: {}; <i>P</i>{}</p>",
           d[1] > 0   ? "Lower outside."
           : d[2] < 0 ? "Higher outside."
                      : "No difference shown.",
           RP_EST(d[0], d[1], d[2], 3), RP_P_TEXT(d[3]) + 1);
}

/* The AUC of the first endpoint where there is one, else the mean over classes. */
static const char *auc_name(const rp_page *p) {
    return p->main_class ? "auc" : "auc_macro";
}

static bool is_whole(const rp_page *p) {
    return strcmp(rp_cohort_kind(p), "all") == 0;
}

static void put_cards(rp_page *p) {
    rp_rows r;
    if (p->nothing) {
        rp_put(p, "<p class=\"absent\">{}</p>\n", p->nothing);
        return;
    }
    rp_query(
        p,
        sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.versus, s.n, s.n_pos,"
                        " s.est, s.lower, s.upper, s.reason, s.method FROM v_statistic s"
                        " JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model"
                        " WHERE s.run_id = %lld AND s.unit = 'patient' AND s.name IN ('auc', 'auc_macro') AND s.stratum_kind = %Q"
                        " AND (s.class IS %Q OR s.name = 'auc_macro') ORDER BY m.position, s.stratum = 'external', s.name",
                        (long long)p->run, rp_cohort_kind(p), p->main_class),
        &r);
    rp_protect_statistics(p, &r);
    if (r.n == 0) {
        rp_put(p, "<p class=\"absent\">No AUC: no patient has both a score and a known label.</p>\n");
        rp_rows_release(&r);
        return;
    }
    const bool whole = is_whole(p);
    bool any = false;
    rp_put(p, "<ul class=\"cards\" id=\"headline\">\n");
    for (int64_t i = 0, end; i < r.n; i = end) {
        const char *model = rp_text_at(&r, i, "model");
        end = rp_group_end(&r, i, "model");
        int64_t internal = -1, external = -1, macro[2] = {-1, -1};
        for (int64_t j = i; j < end; j++) {
            const bool out = strcmp(rp_text_at(&r, j, "stratum"), "external") == 0;
            if (strcmp(rp_text_at(&r, j, "name"), auc_name(p)) == 0)
                *(out ? &external : &internal) = j;
            else
                macro[out] = j;
        }
        const bool first =
            p->n_model > 1 && p->main_model && strcmp(model, p->main_model) == 0 && internal >= 0 && rp_at(&r, internal, "est")->text;
        rp_put(p, "<li class=\"card{!}\"><h3>{}{!}</h3><dl>", first ? " first" : "", model,
               !first  ? ""
               : whole ? " <span class=\"badge\">highest AUC</span>"
                       : " <span class=\"badge\">highest internal AUC</span>");
        put_value(p, whole ? "All patients" : "Internal", &r, internal);
        if (!whole)
            put_value(p, "External", &r, external);
        rp_put(p, "</dl>");
        if (!whole)
            put_gap(p, model);
        any |= first;
        if (p->main_class && macro[0] >= 0 && !isnan(rp_num(&r, macro[0], "est"))) {
            rp_put(p, "<p class=\"gap\">Mean over the {} classes: {}", RP_WORD(p->n_class), RP_NUM("%.3f", rp_num(&r, macro[0], "est")));
            if (macro[1] >= 0 && !isnan(rp_num(&r, macro[1], "est")))
                rp_put(p, " internal, {} external", RP_NUM("%.3f", rp_num(&r, macro[1], "est")));
            rp_put(p, "</p>");
        }
        rp_put(p, "</li>\n");
    }
    rp_put(p, "</ul>\n<p class=\"muted\">Area under the receiver operating characteristic curve (AUC) per patient, {!}{}{!}.{!}</p>\n",
           p->main_class ? "for <em>" : "mean over the classes, each against the others", p->main_class ? p->main_class : "",
           p->main_class ? "</em>" : "",
           p->n_model < 2 || !any ? ""
           : whole                ? " Figures open with the model of the highest AUC; choose others below."
                                  : " Figures open with the model of the highest AUC in the internal cohort; choose others below.");
    rp_csv(p, "headline", &r);
    rp_source(p, "headline", &r);
    rp_rows_release(&r);
}

/* ", 0.949 (95% CI: 0.902, 0.997; n = 88)" */
static bool put_auc(rp_page *p, const char *stratum, const char *before, const char *after) {
    double v[3];
    int64_t n;
    if (!rp_statistic(p, "patient", p->main_model, p->main_class, rp_cohort_kind(p), stratum, auc_name(p), v, &n))
        return false;
    rp_put(p, "{}<b>{}</b>", before, RP_NUM("%.3f", v[0]));
    if (!isnan(v[1]))
        rp_put(p, " (95% CI: {}, {})", RP_NUM("%.3f", v[1]), RP_NUM("%.3f", v[2]));
    if (n > 0)
        rp_put(p, " in {}", RP_NUM("%lld", (long long)n));
    rp_put(p, "{}", after);
    return true;
}

/* One sentence: what, how well, where. */
static void put_lead(rp_page *p) {
    const bool whole = is_whole(p);
    if (!p->main_model)
        return;
    const size_t before = p->html.size;
    rp_put(p, "<p class=\"lead\">");
    if (p->main_class)
        rp_put(p, "The network {} recognized <em>{}</em> with an AUC of ", p->main_model, p->main_class);
    else
        rp_put(p, "The network {} told {} classes apart with a mean AUC of ", p->main_model, RP_WORD(p->n_class));
    bool said;
    if (whole) {
        said = put_auc(p, "all", "", " patients");
    } else {
        said = p->has_internal && put_auc(p, "internal", "", " patients of the internal cohort");
        if (p->has_external)
            said |= put_auc(p, "external", said ? " and of " : "", " patients of external centers");
    }
    rp_put(p, ".");
    double d[4];
    if (said && !whole && difference(p, p->main_model, d))
        rp_put(p, " {} (difference {}; <i>P</i>{}).",
               d[1] > 0   ? "It was lower outside"
               : d[2] < 0 ? "It was higher outside"
                          : "No difference between the cohorts was shown",
               RP_EST(d[0], d[1], d[2], 3), RP_P_TEXT(d[3]) + 1);
    rp_put(p, "</p>\n");
    if (!said && p->st == RAD_OK)
        p->html.size = before;
}

static const char *unit_word(const char *unit, double n) {
    return strcmp(unit, "lesion") == 0 ? (n == 1 ? "lesion" : "lesions") : n == 1 ? "patient" : "patients";
}

static void put_paragraph(rp_page *p) {
    rp_rows r;
    rp_query(
        p,
        sqlite3_mprintf(
            "WITH q AS (SELECT %lld AS run_id) SELECT (SELECT count(*) FROM run_patient rp WHERE rp.run_id = q.run_id) AS n_patient,"
            " (SELECT count(*) FROM manifest m WHERE m.run_id = q.run_id) AS n_case,"
            " (SELECT count(DISTINCT center_id) FROM run_patient rp WHERE rp.run_id = q.run_id AND cohort = 'internal') AS n_internal,"
            " (SELECT count(DISTINCT center_id) FROM run_patient rp WHERE rp.run_id = q.run_id AND cohort = 'external') AS n_external,"
            " (SELECT group_concat(class, ', ') FROM (SELECT class FROM run_class k WHERE k.run_id = q.run_id AND k.rule IS NULL"
            " ORDER BY class_index)) AS classes,"
            " (SELECT group_concat(named, '; ') FROM (SELECT k.class || ' (' || (SELECT group_concat(c.class, ', ') FROM run_class_part t "
            "JOIN"
            " run_class c ON c.run_id = t.run_id AND c.class_index = t.part_index WHERE t.run_id = k.run_id AND t.class_index ="
            " k.class_index) || iif(k.rule = 'argmax', ', by the most probable class)', ')') AS named FROM run_class k WHERE k.run_id ="
            " q.run_id AND k.rule IS NOT NULL ORDER BY k.class_index)) AS endpoints,"
            " (SELECT count(DISTINCT reader) FROM v_reading v WHERE v.run_id = q.run_id) AS n_reader,"
            " r.lesion_rule, r.patient_rule, EXISTS (SELECT 1 FROM run_model m JOIN case_score c ON c.run_model_id = m.run_model_id"
            " WHERE m.run_id = q.run_id) AS scored FROM q JOIN run r ON r.run_id = q.run_id",
            (long long)p->run),
        &r);
    const double internal = rp_num(&r, 0, "n_internal"), external = rp_num(&r, 0, "n_external"), patients = rp_num(&r, 0, "n_patient"),
                 cases = rp_num(&r, 0, "n_case"), readers = rp_num(&r, 0, "n_reader"), scored = rp_num(&r, 0, "scored");
    const bool lesions = strcmp(p->case_unit, "lesion") == 0;
    rp_put(p, "<p>{} {}", RP_NUM("%.0f", patients), unit_word("patient", patients));
    if (lesions)
        rp_put(p, " with {} {}", RP_NUM("%.0f", cases), unit_word("lesion", cases));
    if (internal + external == 1)
        rp_put(p, " of one center");
    else if (internal > 0 && external > 0)
        rp_put(p, " of {} centers ({} internal, {} external)", RP_WORD(internal + external), RP_WORD(internal), RP_WORD(external));
    else
        rp_put(p, " of {} {} centers", RP_WORD(internal + external), internal > 0 ? "internal" : "external");
    rp_put(p, " were {}scored by {} {} for the classes {}", scored > 0 ? "" : "to be ", RP_WORD(p->n_model),
           p->n_model == 1 ? "network" : "networks", rp_text_at(&r, 0, "classes"));
    if (rp_text_at(&r, 0, "endpoints")[0])
        rp_put(p, "; also reported, together: {}", rp_text_at(&r, 0, "endpoints"));
    rp_put(p, ". The score of a {} is the <em>{}</em> of its slices", p->case_unit,
           lesions ? rp_text_at(&r, 0, "lesion_rule") : rp_text_at(&r, 0, "patient_rule"));
    if (p->several)
        rp_put(p, ", that of a patient the <em>{}</em> of the lesions", rp_text_at(&r, 0, "patient_rule"));
    rp_put(p, ".");
    if (readers > 0)
        rp_put(p, " The cases were also judged by {} {}.", RP_WORD(readers), readers == 1 ? "reader" : "readers");
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

/* What is not chosen is hidden by the page's script; without it everything stands there. */
void rp_controls(rp_page *p) {
    const long long run = (long long)p->run;
    rp_put(p, "<div class=\"controls\" id=\"controls\" role=\"group\" aria-label=\"Choose what is shown\" hidden>\n");
    put_select(
        p, "unit", "Unit",
        sqlite3_mprintf("SELECT DISTINCT unit FROM v_statistic WHERE run_id = %lld AND unit IN (%s) ORDER BY 1 DESC", run, rp_units(p)),
        "patient");
    put_select(p, "model", "Model", sqlite3_mprintf("SELECT model FROM run_model WHERE run_id = %lld ORDER BY position", run),
               p->main_model ? p->main_model : "");
    put_select(p, "class", "Class",
               sqlite3_mprintf("SELECT class FROM (SELECT DISTINCT k.class, k.class_index FROM v_statistic s JOIN run_class k ON k.run_id "
                               "= s.run_id AND k.class = s.class WHERE s.run_id = %lld AND s.name = 'auc') ORDER BY class_index",
                               run),
               p->main_class ? p->main_class : "");
    put_select(p, "cohort", "Cohort", sqlite3_mprintf("SELECT DISTINCT cohort FROM run_patient WHERE run_id = %lld ORDER BY 1 DESC", run),
               "");
    put_select(
        p, "center", "Center",
        sqlite3_mprintf(
            "SELECT DISTINCT c.center FROM run_patient rp JOIN center c ON c.center_id = rp.center_id WHERE rp.run_id = %lld ORDER BY 1",
            run),
        "");
    rp_put(p, "<p id=\"shown\" aria-live=\"polite\"></p></div>\n");
}

void rp_section_headline(rp_page *p) {
    rp_put(p, "<section id=\"result\" aria-labelledby=\"h-result\"><h2 id=\"h-result\">Result</h2>\n");
    put_lead(p);
    put_cards(p);
    put_paragraph(p);
    if (p->o->is_public)
        rp_printf(p,
                  "<p class=\"notice\">Public report: counts from 1 to %d, whatever they could be computed from, and numbers made of them "
                  "are suppressed; curves are coarsened.</p>\n",
                  p->o->k - 1);
    rp_put(p, "</section>\n");
}
