/* points.c: confusion matrices and operating points. The counts are those of the statistic table: correct calls are n_pos of n. */
#include "parts.h"

/* ---------------------------------------------------------------- confusion matrices */

static void put_count(rp_page *p, const rp_rows *r, int64_t i, const char *name, double of) {
    const rp_cell *c = rp_at(r, i, name);
    if (c->hidden)
        rp_put(p, "<td class=\"num\">suppressed</td>");
    else if (isnan(of) || !(of > 0))
        rp_put(p, "<td class=\"num\">{}</td>", RP_NUM("%.0f", c->num));
    else
        rp_put(p, "<td class=\"num\">{} ({}%)</td>", RP_NUM("%.0f", c->num), RP_NUM("%.0f", 100 * c->num / of));
}

static void put_matrix(rp_page *p, const rp_rows *r, int64_t i) {
    const char *unit = rp_text_at(r, i, "unit"), *model = rp_text_at(r, i, "model"), *stratum = rp_text_at(r, i, "stratum"),
               *class_name = rp_text_at(r, i, "class");
    const double tp = rp_num(r, i, "tp"), fn = rp_num(r, i, "fn"), tn = rp_num(r, i, "tn"), fp = rp_num(r, i, "fp");
    const bool cohort = strcmp(stratum, "all") != 0;
    rp_put(p, "<div class=\"matrix\" role=\"group\" tabindex=\"0\"{!}{}{!} data-model=\"{}\" data-class=\"{}\"{!}{}{!}>",
           p->several ? " data-unit=\"" : "", p->several ? unit : "", p->several ? "\"" : "", model, class_name,
           cohort ? " data-cohort=\"" : "", cohort ? stratum : "", cohort ? "\"" : "");
    rp_put(p, "<table><caption>{}, {}<span class=\"of\">operating point: {}{}{}</span></caption>", model, rp_stratum_word(stratum),
           rp_text_at(r, i, "point"), p->several ? "; unit: " : "", p->several ? unit : "");
    rp_put(p,
           "<thead><tr><th scope=\"col\">Reference</th><th scope=\"col\" class=\"num\">called {}</th><th scope=\"col\" "
           "class=\"num\">called other</th></tr></thead>"
           "<tbody><tr><th scope=\"row\">{}</th>",
           class_name, class_name);
    put_count(p, r, i, "tp", tp + fn);
    put_count(p, r, i, "fn", tp + fn);
    rp_put(p, "</tr><tr><th scope=\"row\">other</th>");
    put_count(p, r, i, "fp", tn + fp);
    put_count(p, r, i, "tn", tn + fp);
    rp_put(p, "</tr></tbody></table></div>\n");
}

static void two_classes(rp_page *p) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT a.model, a.unit, a.class, a.point, a.stratum_kind, a.stratum, a.cohort, a.name, a.versus, a.n_pos AS tp, a.n - "
                 "a.n_pos AS fn, b.n - b.n_pos AS fp, b.n_pos AS tn, CASE a.stratum_kind WHEN 'center' THEN a.stratum END AS center"
                 " FROM v_statistic a JOIN run_model m ON m.run_id = a.run_id AND m.model = a.model"
                 " JOIN run_class k ON k.run_id = a.run_id AND k.class = a.class"
                 " JOIN v_statistic b ON b.run_id = a.run_id AND b.model = a.model AND b.unit = a.unit AND b.class IS a.class AND b.point "
                 "= a.point"
                 " AND b.stratum_kind = a.stratum_kind AND b.stratum = a.stratum AND b.name = 'specificity' AND b.versus IS NULL"
                 " WHERE a.run_id = %lld AND a.name = 'sensitivity' AND a.versus IS NULL AND a.unit IN (%s)"
                 " AND a.stratum_kind IN ('all', 'cohort', 'center') ORDER BY a.unit DESC, k.class_index, m.position, a.point,"
                 " CASE a.stratum_kind WHEN 'all' THEN 0 WHEN 'cohort' THEN 1 ELSE 2 END, a.stratum = 'external', a.stratum",
                 (long long)p->run, rp_units(p)),
             &r);
    for (int64_t i = 0; i < r.n && p->st == RAD_OK; i++) {
        static const char *const CELL[] = {"tp", "fn", "fp", "tn"};
        char family[512], stratum[256], key[900];
        (void)snprintf(family, sizeof family, "point|%s|%s|%s|%s", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "unit"),
                       rp_text_at(&r, i, "class"), rp_text_at(&r, i, "point"));
        (void)snprintf(stratum, sizeof stratum, "%s:%s", rp_text_at(&r, i, "stratum_kind"), rp_text_at(&r, i, "stratum"));
        for (int c = 0; c < 4; c++)
            if (rp_is_hidden(p, rp_key(key, sizeof key, family, stratum, CELL[c])))
                rp_hide(&r, i, CELL[c]);
    }
    if (r.n > 0) {
        rp_put(p,
               "{!}<p>A case is called {} when its score is at least the threshold. Percentages are of the row.</p>\n<div "
               "class=\"matrices\">\n",
               p->positive ? "" : "<h3>Classes reported together</h3>\n", p->positive ? p->positive : "of the group");
        for (int64_t i = 0; i < r.n && p->st == RAD_OK; i++)
            if (strcmp(rp_text_at(&r, i, "stratum_kind"), rp_cohort_kind(p)) == 0)
                put_matrix(p, &r, i);
        static const rp_spec SPEC[] = {
            {"Model", RP_TEXT, "model", 0, 0},      {"Class", RP_TEXT, "class", 0, 0},      {"Operating point", RP_TEXT, "point", 0, 0},
            {"Unit", RP_TEXT, "unit", 0, 0},        {"Patients", RP_TEXT, "stratum", 0, 0}, {"True positive", RP_INT, "tp", 0, 0},
            {"False negative", RP_INT, "fn", 0, 0}, {"False positive", RP_INT, "fp", 0, 0}, {"True negative", RP_INT, "tn", 0, 0}};
        rp_put(p, "</div>\n");
        rp_table(p, "confusion-table", "Right and wrong calls at each operating point, by cohort and center", &r, SPEC, 9);
    } else if (p->positive) {
        rp_absent(p, "The job declares no operating point: nothing was called.");
    }
    rp_rows_release(&r);
}

static int64_t cell_of(const rp_rows *r, int64_t from, int64_t end, const char *truth, const char *call) {
    for (int64_t i = from; i < end; i++)
        if (strcmp(rp_text_at(r, i, "truth"), truth) == 0 && strcmp(rp_text_at(r, i, "call"), call) == 0)
            return i;
    return -1;
}

char *rp_matrix_query(rp_page *p) {
    return sqlite3_mprintf(
        "WITH s AS (SELECT v.model, v.unit, v.cohort, v.patient, v.lesion, v.class, v.score, v.label, k.class_index,"
        " row_number() OVER (PARTITION BY v.model, v.unit, v.patient, v.lesion ORDER BY v.score DESC, k.class_index) AS place"
        " FROM v_case_score v JOIN run_class k ON k.run_id = v.run_id AND k.class = v.class AND k.rule IS NULL WHERE v.run_id = %lld"
        " AND v.unit IN (%s))"
        " SELECT c.model, c.unit, c.cohort, t.class AS truth, c.class AS call, count(*) AS n FROM s c JOIN s t ON t.model = c.model AND "
        "t.unit = c.unit"
        " AND t.patient = c.patient AND t.lesion IS c.lesion AND t.label = 1 WHERE c.place = 1 GROUP BY c.model, c.unit, c.cohort, "
        "t.class_index, c.class_index"
        " ORDER BY c.unit DESC, c.model, c.cohort DESC, t.class_index, c.class_index",
        (long long)p->run, rp_units(p));
}

static void many_classes(rp_page *p) {
    rp_rows r, k;
    rp_query(p, rp_matrix_query(p), &r);
    rp_query(p, sqlite3_mprintf("SELECT class FROM run_class WHERE run_id = %lld AND rule IS NULL ORDER BY class_index", (long long)p->run),
             &k);
    for (int64_t i = 0; i < r.n && p->st == RAD_OK; i++) {
        char family[512], what[256], key[900];
        (void)snprintf(family, sizeof family, "matrix|%s|%s", rp_text_at(&r, i, "model"), rp_text_at(&r, i, "unit"));
        (void)snprintf(what, sizeof what, "%s>%s", rp_text_at(&r, i, "truth"), rp_text_at(&r, i, "call"));
        if (rp_is_hidden(p, rp_key(key, sizeof key, family, rp_text_at(&r, i, "cohort"), what)))
            rp_hide(&r, i, "n");
    }
    rp_put(p, "<p>Each case is called the class of the largest score, the first of several. Percentages are of the row.</p>\n<div "
              "class=\"matrices\">\n");
    for (int64_t i = 0, end; i < r.n && p->st == RAD_OK; i = end) {
        const char *model = rp_text_at(&r, i, "model"), *unit = rp_text_at(&r, i, "unit"), *cohort = rp_text_at(&r, i, "cohort");
        for (end = i; end < r.n && strcmp(rp_text_at(&r, end, "model"), model) == 0 && strcmp(rp_text_at(&r, end, "unit"), unit) == 0 &&
                      strcmp(rp_text_at(&r, end, "cohort"), cohort) == 0;)
            end++;
        rp_put(p,
               "<div class=\"matrix\" role=\"group\" tabindex=\"0\"{!}{}{!} data-model=\"{}\" data-cohort=\"{}\"><table><caption>{}, "
               "{}{!}{}{!}</caption><thead><tr><th scope=\"col\">Reference</th>",
               p->several ? " data-unit=\"" : "", p->several ? unit : "", p->several ? "\"" : "", model, cohort, model,
               p->n_cohort < 2 ? "all patients" : cohort, p->several ? "<span class=\"of\">unit: " : "", p->several ? unit : "",
               p->several ? "</span>" : "");
        for (int64_t c = 0; c < k.n; c++)
            rp_put(p, "<th scope=\"col\" class=\"num\">called {}</th>", rp_text_at(&k, c, "class"));
        rp_put(p, "</tr></thead><tbody>");
        for (int64_t t = 0; t < k.n; t++) {
            double of = 0; /* NaN with a suppressed cell: no percentages then */
            for (int64_t j = i; j < end; j++)
                of += strcmp(rp_text_at(&r, j, "truth"), rp_text_at(&k, t, "class")) == 0 ? rp_num(&r, j, "n") : 0;
            rp_put(p, "<tr><th scope=\"row\">{}</th>", rp_text_at(&k, t, "class"));
            for (int64_t c = 0; c < k.n; c++) {
                const int64_t at = cell_of(&r, i, end, rp_text_at(&k, t, "class"), rp_text_at(&k, c, "class"));
                if (at < 0)
                    rp_put(p, "<td class=\"num\">0</td>");
                else
                    put_count(p, &r, at, "n", of);
            }
            rp_put(p, "</tr>");
        }
        rp_put(p, "</tbody></table></div>\n");
    }
    rp_put(p, "</div>\n");
    rp_csv(p, "class-matrices", &r);
    rp_source(p, "class-matrices", &r);
    rp_rows_release(&k);
    rp_rows_release(&r);
}

void rp_section_confusion(rp_page *p) {
    rp_section(p, "confusion", "Confusion matrices");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    if (!p->positive)
        many_classes(p);
    two_classes(p);
}

/* ---------------------------------------------------------------- operating points */

/* Five measures of one threshold and stratum in a row, each with its counts. */
static char *points_query(const rp_page *p) {
    static const char *const NAME[] = {"sensitivity", "specificity", "accuracy", "ppv", "npv"};
    sqlite3_str *s = sqlite3_str_new(p->db);
    sqlite3_str_appendf(
        s, "SELECT s.model, s.unit, s.class, s.point, s.stratum_kind, s.stratum, s.cohort, CASE s.stratum_kind WHEN 'center' THEN s.stratum"
           " END AS center, s.name, s.versus, coalesce(o.threshold,"
           " (SELECT t.est FROM v_statistic t WHERE t.run_id = s.run_id AND t.model = s.model AND t.unit = s.unit AND t.class IS s.class"
           " AND t.point = s.point AND t.name = 'threshold')) AS threshold, coalesce(o.origin, 'tuned') AS origin");
    for (int i = 0; i < 5; i++) {
        const char *t = i == 0 ? "s" : NAME[i];
        sqlite3_str_appendf(s, ", %s.n_pos AS k_%s, %s.n AS n_%s, %s.est AS %s, %s.lower AS %s_lower, %s.upper AS %s_upper", t, NAME[i], t,
                            NAME[i], t, NAME[i], t, NAME[i], t, NAME[i]);
    }
    sqlite3_str_appendf(s,
                        " FROM v_statistic s JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model JOIN run_class k ON k.run_id ="
                        " s.run_id AND k.class = s.class LEFT JOIN operating_point o ON o.run_id = s.run_id AND o.point = s.point");
    for (int i = 1; i < 5; i++)
        sqlite3_str_appendf(
            s,
            " LEFT JOIN v_statistic %s ON %s.run_id = s.run_id AND %s.model = s.model AND %s.unit = s.unit AND %s.class IS s.class"
            " AND %s.point = s.point AND %s.stratum_kind = s.stratum_kind AND %s.stratum = s.stratum AND %s.name = '%s' AND %s.versus IS "
            "NULL",
            NAME[i], NAME[i], NAME[i], NAME[i], NAME[i], NAME[i], NAME[i], NAME[i], NAME[i], NAME[i], NAME[i]);
    sqlite3_str_appendf(
        s,
        " WHERE s.run_id = %lld AND s.name = 'sensitivity' AND s.point IS NOT NULL AND s.unit IN (%s) AND s.versus IS "
        "NULL AND s.stratum_kind IN ('all', 'cohort', 'center')"
        " ORDER BY s.unit DESC, k.class_index, m.position, s.point, CASE s.stratum_kind WHEN 'all' THEN 0 WHEN 'cohort' THEN 1 ELSE 2 END,"
        " s.stratum = 'external', s.stratum",
        (long long)p->run, rp_units(p));
    return sqlite3_str_finish(s);
}

void rp_section_points(rp_page *p) {
    rp_rows r;
    rp_section(p, "points", "Operating points");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    rp_query(p, points_query(p), &r);
    rp_protect_statistics(p, &r);
    if (p->o->is_public)
        for (int64_t i = 0; i < r.n; i++)
            if (strcmp(rp_text_at(&r, i, "origin"), "tuned") == 0) /* a tuned threshold is one patient's score */
                rp_hide(&r, i, "threshold");
    static const rp_spec SPEC[] = {{"Model", RP_TEXT, "model", 0, 0},
                                   {"Class", RP_TEXT, "class", 0, 0},
                                   {"Operating point", RP_TEXT, "point", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"Threshold", RP_NUM3, "threshold", 0, 0},
                                   {"Sensitivity, %", RP_SHARE, "sensitivity", "sensitivity_lower", "sensitivity_upper"},
                                   {"Specificity, %", RP_SHARE, "specificity", "specificity_lower", "specificity_upper"},
                                   {"Accuracy, %", RP_SHARE, "accuracy", "accuracy_lower", "accuracy_upper"},
                                   {"PPV, %", RP_SHARE, "ppv", "ppv_lower", "ppv_upper"},
                                   {"NPV, %", RP_SHARE, "npv", "npv_lower", "npv_upper"}};
    if (r.n == 0) {
        rp_absent(p, p->positive ? "The job declares no operating point."
                                 : "Operating points belong to two classes, or to classes reported together; this job has neither.");
    } else {
        bool tuned = false;
        for (int64_t i = 0; i < r.n; i++)
            tuned |= strcmp(rp_text_at(&r, i, "origin"), "tuned") == 0;
        rp_put(
            p,
            "<p>Percent (counts) [95% CI]; PPV and NPV, positive and negative predictive value, are those of the share of disease in these "
            "patients.{!}</p>\n",
            tuned ? " A threshold that was tuned on patients who are counted here is optimistic for them." : "");
        rp_table(p, "operating-points", "What follows from each threshold", &r, SPEC, 11);
    }
    rp_rows_release(&r);
}
