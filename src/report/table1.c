/* table1.c: Table 1, the patients by center, by the SQL function table_one. */
#include "parts.h"

/* The text columns of patient_covariate that most patients have; numbers as numbers. At most 12: a page is no spreadsheet. */
char *rp_table1_query(rp_page *p) {
    rp_rows v;
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT c.name, sum(c.number IS NULL) = 0 AS is_number FROM patient_covariate c JOIN run_patient rp ON"
                 " rp.patient_id = c.patient_id WHERE rp.run_id = %lld GROUP BY c.name HAVING (is_number OR count(DISTINCT c.value) <= 12)"
                 " AND count(DISTINCT c.value) > 1 ORDER BY c.name LIMIT 12",
                 (long long)p->run),
             &v);
    sqlite3_str *s = sqlite3_str_new(p->db);
    sqlite3_str_appendf(
        s, "SELECT c.center, p.age, p.sex, (SELECT k.class FROM run_class k WHERE k.run_id = rp.run_id AND k.class_index = rp.class_index) "
           "AS label,"
           " CAST((SELECT count(*) FROM manifest m WHERE m.run_id = rp.run_id AND m.patient_id = rp.patient_id) AS REAL) AS cases,"
           " (SELECT max(l.size_mm) FROM lesion l WHERE l.patient_id = rp.patient_id) AS size_mm");
    for (int64_t i = 0; i < v.n; i++)
        sqlite3_str_appendf(s, ", (SELECT %s FROM patient_covariate v WHERE v.patient_id = rp.patient_id AND v.name = %Q) AS \"%w\"",
                            rp_num(&v, i, "is_number") == 1 ? "v.number" : "v.value", rp_text_at(&v, i, "name"), rp_text_at(&v, i, "name"));
    sqlite3_str_appendf(s,
                        " FROM run_patient rp JOIN patient p ON p.patient_id = rp.patient_id JOIN center c ON c.center_id = rp.center_id "
                        "WHERE rp.run_id = %lld",
                        (long long)p->run);
    rp_rows_release(&v);
    return sqlite3_str_finish(s);
}

static const char WHOLE[] = "All patients"; /* the group of everyone, before the centers */

/* The row of (variable, level) for a group, or -1. */
static int64_t find(const rp_rows *r, const char *variable, const char *level, const char *group) {
    for (int64_t i = 0; i < r->n; i++)
        if (strcmp(rp_text_at(r, i, "variable"), variable) == 0 && strcmp(rp_text_at(r, i, "level"), level) == 0 &&
            strcmp(rp_text_at(r, i, "group"), group) == 0)
            return i;
    return -1;
}

static void put_value(rp_page *p, const rp_rows *r, int64_t i) {
    if (i < 0) {
        rp_put(p, "<td class=\"num\">\xe2\x80\x93</td>");
    } else if (rp_at(r, i, "count")->hidden || rp_at(r, i, "mean")->hidden) {
        rp_put(p, "<td class=\"num\">suppressed</td>");
    } else if (rp_at(r, i, "count")->text) {
        rp_put(p, "<td class=\"num\" data-sort=\"{}\">{}", rp_text_at(r, i, "count"), rp_text_at(r, i, "count"));
        if (!isnan(rp_num(r, i, "percent")))
            rp_put(p, " ({}%)", RP_NUM("%.0f", rp_num(r, i, "percent")));
        rp_put(p, "</td>");
    } else if (isnan(rp_num(r, i, "mean"))) {
        rp_put(p, "<td class=\"num\">\xe2\x80\x93</td>");
    } else {
        rp_put(p, "<td class=\"num\" data-sort=\"{}\">{} \xc2\xb1 {}</td>", rp_text_at(r, i, "mean"), RP_NUM("%.1f", rp_num(r, i, "mean")),
               isnan(rp_num(r, i, "sd")) ? "\xe2\x80\x93" : RP_NUM("%.1f", rp_num(r, i, "sd")));
    }
}

static const char *variable_word(const char *name) {
    static const char *const WORD[][2] = {{"age", "Age, years"},
                                          {"sex", "Sex"},
                                          {"label", "Reference standard"},
                                          {"cases", "Lesions per patient"},
                                          {"size_mm", "Largest lesion, mm"}};
    for (size_t i = 0; i < sizeof WORD / sizeof *WORD; i++)
        if (strcmp(name, WORD[i][0]) == 0)
            return WORD[i][1];
    return name;
}

static void put_rows(rp_page *p, const rp_rows *r, const rp_rows *center, bool whole) {
    for (int64_t i = 0; i < r->n && p->st == RAD_OK; i++) {
        const char *variable = rp_text_at(r, i, "variable"), *level = rp_text_at(r, i, "level");
        if (find(r, variable, level, rp_text_at(r, i, "group")) != i)
            continue;
        bool first = true; /* in the order of the rows: has this (variable, level) been written? */
        for (int64_t j = 0; j < i && first; j++)
            first = strcmp(rp_text_at(r, j, "variable"), variable) != 0 || strcmp(rp_text_at(r, j, "level"), level) != 0;
        if (!first || (strcmp(variable, "cases") == 0 && !p->several))
            continue;
        rp_put(p, "<tr><th scope=\"row\">{}{}{}</th>", variable_word(variable), level[0] ? ": " : "", level);
        if (whole)
            put_value(p, r, find(r, variable, level, WHOLE));
        for (int64_t c = 0; c < center->n; c++)
            put_value(p, r, find(r, variable, level, rp_text_at(center, c, "center")));
        bool tested = center->n < 2;
        for (int64_t j = 0; j < r->n && !tested; j++)
            if (strcmp(rp_text_at(r, j, "variable"), variable) == 0 && strcmp(rp_text_at(r, j, "level"), level) == 0 &&
                rp_at(r, j, "test")->text && strcmp(rp_text_at(r, j, "group"), WHOLE) != 0) {
                rp_put(p, "<td class=\"num\">{}</td>", rp_at(r, j, "p")->hidden ? "suppressed" : RP_P(rp_num(r, j, "p")));
                tested = true;
            }
        if (!tested)
            rp_put(p, "<td class=\"num\"></td>");
        rp_put(p, "</tr>\n");
    }
}

/* Counts by the ledger; what is computed from fewer than k patients, and tests that hang on suppressed counts, fall with them. */
static void protect(rp_page *p, rp_rows *r) {
    for (int64_t i = 0; i < r->n; i++) {
        char key[512], what[256];
        (void)snprintf(what, sizeof what, "%s=%s", rp_text_at(r, i, "variable"), rp_text_at(r, i, "level"));
        const bool number = !rp_at(r, i, "count")->text;
        if (number ? rp_at(r, i, "n")->num < p->o->k
                   : rp_is_hidden(p, rp_key(key, sizeof key, "table1", rp_text_at(r, i, "group"), what))) {
            static const char *const CELL[] = {"n", "n_missing", "mean", "sd", "median", "q1", "q3", "count", "percent"};
            for (size_t c = 0; c < sizeof CELL / sizeof *CELL; c++)
                rp_hide(r, i, CELL[c]);
        } else {
            rp_hide(r, i, "n_missing");
        }
        rp_hide(r, i, "median"); /* an order statistic is one patient's value */
        rp_hide(r, i, "q1");
        rp_hide(r, i, "q3");
        rp_hide(r, i, "p");
        rp_hide(r, i, "smd");
    }
}

/* The same rows as one group. */
static char *of_all(const char *inner) {
    static const char GROUP[] = "SELECT c.center,";
    return strncmp(inner, GROUP, strlen(GROUP)) == 0 ? sqlite3_mprintf("SELECT %Q AS center,%s", WHOLE, inner + strlen(GROUP)) : NULL;
}

void rp_section_table1(rp_page *p) {
    rp_rows r, center;
    rp_section(p, "table-1", "Patients");
    rp_query(p,
             sqlite3_mprintf("SELECT c.center, rp.cohort, count(*) AS n FROM run_patient rp JOIN center c ON c.center_id = rp.center_id"
                             " WHERE rp.run_id = %lld GROUP BY c.center, rp.cohort ORDER BY rp.cohort DESC, c.center",
                             (long long)p->run),
             &center);
    /* in public the whole would be one more sum through the suppressed counts */
    const bool whole = center.n > 1 && !p->o->is_public;
    char *inner = rp_table1_query(p), *all = inner && whole ? of_all(inner) : NULL;
    rp_query(p,
             all ? sqlite3_mprintf("SELECT * FROM table_one(%Q)\nUNION ALL SELECT * FROM table_one(%Q)", all, inner)
                 : sqlite3_mprintf("SELECT * FROM table_one(%Q)", inner),
             &r);
    sqlite3_free(inner);
    sqlite3_free(all);
    if (p->st == RAD_OK && p->o->is_public)
        protect(p, &r);
    rp_csv(p, "table-1-data", &r);
    p->n_table++;
    rp_put(
        p,
        "<div class=\"table-wrap\" role=\"region\" aria-labelledby=\"cap-table-1-data\" tabindex=\"0\"><table id=\"table-1-data\"><caption "
        "id=\"cap-table-1-data\">Table 1. Characteristics of the patients<span class=\"of\">number (percent) or mean \xc2\xb1 standard "
        "deviation{!}</span></caption>\n<thead><tr><th scope=\"col\">Characteristic</th>",
        center.n > 1 ? "; P value: all centers compared" : "");
    double sum = 0;
    for (int64_t i = 0; i < center.n; i++)
        sum += rp_num(&center, i, "n");
    if (whole)
        rp_put(p, "<th scope=\"col\" class=\"num\">All (n = {})</th>", RP_NUM("%.0f", sum));
    for (int64_t i = 0; i < center.n; i++) {
        char key[256];
        const bool hidden = rp_is_hidden(p, rp_key(key, sizeof key, "population", rp_text_at(&center, i, "center"), "patients"));
        rp_put(p, "<th scope=\"col\" class=\"num\">{}{!}{}{!} <span class=\"n\">({!}{})</span></th>", rp_text_at(&center, i, "center"),
               center.n > 1 ? "<span class=\"of\">" : "", center.n > 1 ? rp_text_at(&center, i, "cohort") : "",
               center.n > 1 ? "</span>" : "", hidden ? "" : "n = ", hidden ? "suppressed" : rp_text_at(&center, i, "n"));
    }
    rp_put(p, "{!}</tr></thead>\n<tbody>", center.n > 1 ? "<th scope=\"col\" class=\"num\">P value</th>" : "");
    put_rows(p, &r, &center, whole);
    rp_put(p, "</tbody></table></div>\n");
    rp_source(p, "table-1-data", &r);
    rp_rows_release(&center);
    rp_rows_release(&r);
}
