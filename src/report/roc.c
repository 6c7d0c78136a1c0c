/* roc.c: ROC curves by model and by cohort, and readers beside the model in ROC space. */
#include "parts.h"

enum { SIDE = 300, MAX_HITS = 40 };
static const rp_axes ROC_AXES = {.x0 = 0, .x1 = 1, .y0 = 0, .y1 = 1, .left = 52, .top = 10, .width = SIDE, .height = SIDE};

/* One curve as SQL; `line` is its name in the rows. */
static char *curve_sql(rp_page *p, const char *line, const rp_rows *combo, int64_t i, const char *stratum) {
    char *where = rp_where(p, rp_text_at(combo, i, "unit"), rp_text_at(combo, i, "model"), rp_text_at(combo, i, "class"), stratum);
    char *inner = where ? sqlite3_mprintf("SELECT label, score FROM v_case_score WHERE %s", where) : NULL;
    char *sql = inner
                    ? sqlite3_mprintf(
                          "SELECT %Q AS line, threshold, fpr, tpr, wilson_lower(tp, tp + fn) AS lower, wilson_upper(tp, tp + fn) AS upper,"
                          " tp, fp, fn, tn FROM roc_points(%Q)",
                          line, inner)
                    : NULL;
    sqlite3_free(where);
    sqlite3_free(inner);
    return sql;
}

static void append(rp_page *p, char **all, char *one) {
    char *joined = !one ? NULL : *all ? sqlite3_mprintf("%s\nUNION ALL %s", *all, one) : sqlite3_mprintf("%s", one);
    sqlite3_free(*all);
    sqlite3_free(one);
    *all = joined;
    if (!joined)
        rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
}

/* Steps: the points of the empirical curve are joined, ties give slopes. The band is vertical: Wilson's limits of the sensitivity. */
static void draw_line(rp_page *p, const rp_rows *r, int64_t from, int64_t end, int series, bool band) {
    double *x = rp_doubles(p, r, from, end, "fpr"), *y = rp_doubles(p, r, from, end, "tpr"), *low = rp_doubles(p, r, from, end, "lower"),
           *high = rp_doubles(p, r, from, end, "upper");
    int64_t n = 0; /* NaN: a stratum of one class has no curve */
    for (int64_t i = 0; p->st == RAD_OK && i < end - from; i++)
        if (!isnan(x[i]) && !isnan(y[i])) {
            x[n] = x[i];
            y[n] = y[i];
            low[n] = low[i];
            high[n++] = high[i];
        }
    if (n > 1) {
        if (band)
            rp_band(p, &ROC_AXES, x, low, high, n, series);
        rp_line(p, &ROC_AXES, x, y, n, series);
        const int64_t step = n / MAX_HITS + 1;
        for (int64_t i = 0; i < n; i += step) {
            char tip[160];
            (void)snprintf(tip, sizeof tip, "%.80s: sensitivity %.3f, specificity %.3f", rp_text_at(r, from, "line"), y[i], 1 - x[i]);
            rp_hit(p, rp_x(&ROC_AXES, x[i]), rp_y(&ROC_AXES, y[i]), tip);
        }
    }
    free(x);
    free(y);
    free(low);
    free(high);
}

/* A line of at least two points; a stratum of one class, or without cases, has none. */
static bool has_curve(const rp_rows *r) {
    for (int64_t from = 0, end; from < r->n; from = end) {
        int64_t n = 0;
        end = rp_group_end(r, from, "line");
        for (int64_t i = from; i < end; i++)
            n += !isnan(rp_num(r, i, "fpr")) && !isnan(rp_num(r, i, "tpr"));
        if (n > 1)
            return true;
    }
    return false;
}

/* Suppresses points; false, and the figure is named as not drawn, where no curve is left. */
static bool keep_curve(rp_page *p, rp_rows *r, const char *title, const char *unit, const char *model, const char *class_name,
                       const char *stratum) {
    char why[200];
    const bool before = has_curve(r);
    rp_protect_curve(p, r);
    if (has_curve(r))
        return true;
    rp_undrawn(p, title, rp_why_empty(p, why, unit, model, class_name, stratum, before));
    return false;
}

static void open_roc(rp_page *p, const char *id, const rp_tags *tags, const char *title, const char *description, int n_line) {
    rp_figure(p, id, tags, title, description, SIDE + 72, SIDE + 62 + 17.0 * n_line);
    rp_frame(p, &ROC_AXES, "1 \xe2\x88\x92 specificity", "Sensitivity", 0.2, 0.2);
    rp_rule(p, rp_x(&ROC_AXES, 0), rp_y(&ROC_AXES, 0), rp_x(&ROC_AXES, 1), rp_y(&ROC_AXES, 1), "diagonal");
}

/* Lines of `r` in their order with a legend of their AUCs. */
static void draw_lines(rp_page *p, const rp_rows *r, const rp_rows *combo, int64_t i, bool by_model, const char *stratum) {
    double y = SIDE + 68;
    int series = 0;
    for (int64_t from = 0, end; from < r->n && p->st == RAD_OK; from = end, series++) {
        char text[256], est[96];
        double v[3];
        int64_t n;
        const char *line = rp_text_at(r, from, "line");
        end = rp_group_end(r, from, "line");
        draw_line(p, r, from, end, series, !by_model);
        const char *which = by_model ? stratum : line;
        const bool known = rp_statistic(p, rp_text_at(combo, i, "unit"), by_model ? line : rp_text_at(combo, i, "model"),
                                        rp_text_at(combo, i, "class"), strcmp(which, "all") == 0 ? "all" : "cohort", which, "auc", v, &n);
        (void)snprintf(text, sizeof text, "%.60s: %s", by_model || strcmp(line, "all") != 0 ? line : "AUC",
                       known ? rp_estimate(est, v[0], v[1], v[2], 3) : "AUC not shown");
        y = rp_legend(p, 14, y, series, text, SIDE + 50);
    }
}

/* All models of a unit and class in one stratum. */
static void by_model(rp_page *p, const rp_rows *combo, int64_t from, int64_t end, const char *stratum) {
    char id[200], title[256], *sql = NULL;
    rp_rows r;
    for (int64_t i = from; i < end && p->st == RAD_OK; i++)
        append(p, &sql, curve_sql(p, rp_text_at(combo, i, "model"), combo, i, stratum));
    rp_query(p, sql, &r);
    const char *unit = rp_text_at(combo, from, "unit"), *class_name = rp_text_at(combo, from, "class");
    (void)snprintf(id, sizeof id, "roc-models-%s-%s-%s", unit, RP_ID(class_name), stratum);
    (void)snprintf(title, sizeof title, "%s: %.80s%s", strcmp(stratum, "all") == 0 ? "All patients" : stratum, class_name,
                   rp_per_unit(p, unit));
    title[0] = (char)(title[0] >= 'a' && title[0] <= 'z' ? title[0] - 'a' + 'A' : title[0]);
    const rp_tags tags = {.unit = unit, .class_name = class_name, .cohort = strcmp(stratum, "all") == 0 ? NULL : stratum};
    if (keep_curve(p, &r, title, unit, NULL, class_name, stratum)) {
        open_roc(p, id, &tags, title, "ROC curves of all models; the legend gives AUC and 95% CI.", (int)(end - from));
        draw_lines(p, &r, combo, from, true, stratum);
        rp_figure_end(p, id, "", &r);
    }
    rp_rows_release(&r);
}

/* One model, its cohorts with bands. */
static void by_cohort(rp_page *p, const rp_rows *combo, int64_t i, const rp_rows *cohort) {
    char id[200], title[256], *sql = NULL;
    rp_rows r;
    for (int64_t c = 0; c < cohort->n && p->st == RAD_OK; c++)
        append(p, &sql, curve_sql(p, rp_text_at(cohort, c, "stratum"), combo, i, rp_text_at(cohort, c, "stratum")));
    rp_query(p, sql, &r);
    const char *unit = rp_text_at(combo, i, "unit"), *class_name = rp_text_at(combo, i, "class"), *model = rp_text_at(combo, i, "model");
    (void)snprintf(id, sizeof id, "roc-%s-%s-%s", unit, RP_ID(model), RP_ID(class_name));
    (void)snprintf(title, sizeof title, "%.80s: %.80s%s", model, class_name, rp_per_unit(p, unit));
    const rp_tags tags = {.unit = unit, .model = model, .class_name = class_name};
    if (keep_curve(p, &r, title, unit, model, class_name, rp_text_at(cohort, 0, "stratum"))) {
        open_roc(p, id, &tags, title, "ROC curves by cohort with 95% bands; the legend gives AUC and 95% CI.", (int)cohort->n);
        draw_lines(p, &r, combo, i, false, NULL);
        rp_figure_end(p, id, "", &r);
    }
    rp_rows_release(&r);
}

static void auc_table(rp_page *p) {
    rp_rows r;
    rp_query(
        p,
        sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, CASE s.stratum_kind WHEN 'center' THEN"
                        " s.stratum END AS center, s.point, s.name, s.versus, s.n, s.n_pos, s.est, s.lower, s.upper, s.method, s.reason"
                        " FROM v_statistic s JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model JOIN run_class k ON"
                        " k.run_id = s.run_id AND k.class = s.class WHERE s.run_id = %lld AND s.name = 'auc' AND s.unit IN (%s)"
                        " AND s.versus IS NULL AND s.stratum_kind IN ('all', 'cohort') ORDER BY s.unit DESC, k.class_index, m.position,"
                        " s.stratum_kind, s.stratum = 'external'",
                        (long long)p->run, rp_units(p)),
        &r);
    rp_protect_statistics(p, &r);
    static const rp_spec SPEC[] = {{"Network", RP_TEXT, "model", 0, 0},
                                   {"Class", RP_TEXT, "class", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},
                                   {"Of the class", RP_INT, "n_pos", 0, 0},
                                   {"AUC (95% CI)", RP_EST3, "est", "lower", "upper"}};
    rp_table(p, "auc-table", "Area under the curve; DeLong's intervals", &r, SPEC, 7);
    rp_rows_release(&r);
}

static void pairs_table(rp_page *p) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT s.model, s.versus AS second, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.point, s.name,"
                             " s.versus, s.n, s.n_pos, s.est, s.lower, s.upper, s.p, s.p_adjusted, s.method, s.reason FROM v_statistic s"
                             " JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model JOIN run_class k ON k.run_id = s.run_id AND"
                             " k.class = s.class WHERE s.run_id = %lld AND s.name = 'auc_paired_difference' AND s.unit IN (%s)"
                             " AND s.stratum_kind IN ('all', 'cohort') ORDER BY s.unit DESC, k.class_index, s.stratum_kind,"
                             " s.stratum = 'external', m.position, s.versus",
                             (long long)p->run, rp_units(p)),
             &r);
    rp_protect_statistics(p, &r);
    for (int64_t i = 0; p->o->is_public && i < r.n; i++) { /* the pairs both models scored are not among the ledger's counts */
        rp_hide(&r, i, "n");
        rp_hide(&r, i, "n_pos");
    }
    static const rp_spec SPEC[] = {{"First", RP_TEXT, "model", 0, 0},
                                   {"Second", RP_TEXT, "second", 0, 0},
                                   {"Class", RP_TEXT, "class", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},
                                   {"Patients", RP_TEXT, "stratum", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},
                                   {"AUC, first minus second (95% CI)", RP_EST3, "est", "lower", "upper"},
                                   {"P value", RP_PVALUE, "p", 0, 0},
                                   {"P, Holm", RP_PVALUE, "p_adjusted", 0, 0}};
    if (r.n > 0)
        rp_table(p, "model-pairs", "Models compared on the same cases: paired DeLong test", &r, SPEC, 9);
    rp_rows_release(&r);
}

void rp_section_roc(rp_page *p) {
    rp_rows combo, cohort;
    rp_section(p, "roc", "ROC curves");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    rp_combos(p, &combo);
    rp_cohorts(p, &cohort);
    if (combo.n == 0) {
        rp_absent(p, "No curve: no unit has both a score and a known label.");
    } else {
        if (p->o->is_public)
            rp_put(p, "<p>Curves are coarsened: between neighbouring points lie no, or enough, cases of each class.</p>");
        rp_put(p, "<p class=\"muted\">Shaded: pointwise 95% Wilson limits of the sensitivity, cases taken as independent.</p>\n<div "
                  "class=\"grid\">\n");
        for (int64_t i = 0; i < combo.n && p->st == RAD_OK; i++)
            by_cohort(p, &combo, i, &cohort);
        for (int64_t i = 0, end; p->n_model > 1 && i < combo.n && p->st == RAD_OK; i = end) {
            for (end = i; end < combo.n && strcmp(rp_text_at(&combo, end, "unit"), rp_text_at(&combo, i, "unit")) == 0 &&
                          strcmp(rp_text_at(&combo, end, "class"), rp_text_at(&combo, i, "class")) == 0;)
                end++;
            for (int64_t c = 0; c < cohort.n; c++)
                by_model(p, &combo, i, end, rp_text_at(&cohort, c, "stratum"));
        }
        rp_put(p, "</div>\n");
        auc_table(p);
        pairs_table(p);
    }
    rp_rows_release(&cohort);
    rp_rows_release(&combo);
}

/* ---------------------------------------------------------------- readers */

static void reader_figure(rp_page *p, const rp_rows *combo, int64_t i, const char *stratum, bool units, const rp_rows *reader, int64_t from,
                          int64_t end) {
    char id[200], title[256];
    rp_rows r;
    const char *unit = rp_text_at(combo, i, "unit"), *class_name = rp_text_at(combo, i, "class"), *model = rp_text_at(combo, i, "model");
    rp_query(p, curve_sql(p, model, combo, i, stratum), &r);
    (void)snprintf(id, sizeof id, "readers-%s-%s-%.60s-%s", unit, RP_ID(model), RP_ID(class_name), stratum);
    (void)snprintf(title, sizeof title, "Readers and %.80s: %.60s, %s%s", model, class_name, rp_stratum_word(stratum),
                   units ? rp_per_unit(p, unit) : "");
    const rp_tags tags = {
        .unit = units ? unit : NULL, .model = model, .class_name = class_name, .cohort = strcmp(stratum, "all") == 0 ? NULL : stratum};
    if (!keep_curve(p, &r, title, unit, model, class_name, stratum)) {
        rp_rows_release(&r);
        return;
    }
    open_roc(p, id, &tags, title, "The model's ROC curve and one marker per reader; the legend names them.", 1 + (int)(end - from));
    draw_line(p, &r, 0, r.n, 0, true);
    double y = rp_legend(p, 14, SIDE + 68, 0, model, SIDE + 50);
    for (int64_t k = from; k < end; k++) {
        char tip[256];
        const double sens = rp_num(reader, k, "sensitivity"), spec = rp_num(reader, k, "specificity");
        const int series = 1 + (int)(k - from) % 7;
        if (isnan(sens) || isnan(spec)) {
            (void)snprintf(tip, sizeof tip, "%.80s: not shown", rp_text_at(reader, k, "reader"));
        } else {
            (void)snprintf(tip, sizeof tip, "%.80s: sensitivity %.1f%%, specificity %.1f%%", rp_text_at(reader, k, "reader"), 100 * sens,
                           100 * spec);
            rp_marker(p, rp_x(&ROC_AXES, 1 - spec), rp_y(&ROC_AXES, sens), series, tip);
        }
        rp_marker(p, 28, y - 4, series, tip);
        rp_label(p, 48, y, "start", "small", tip, SIDE + 16);
        y += 17;
    }
    rp_figure_end(p, id, "", &r);
    rp_rows_release(&r);
}

static void reader_tables(rp_page *p) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT d.model, d.unit, d.class, d.stratum_kind, d.stratum, d.cohort, d.point, d.name, d.versus, d.versus AS reader,"
                 " replace(d.name, '_vs_reader', '') AS measure, d.n, r.n_pos, r.est AS of_reader, d.est, d.lower, d.upper, d.p AS exact_p"
                 " FROM v_statistic d JOIN v_statistic r ON r.run_id = d.run_id AND r.model = d.model AND r.unit = d.unit AND"
                 " r.class IS d.class AND r.stratum_kind = d.stratum_kind AND r.stratum = d.stratum AND r.versus = d.versus AND"
                 " r.name = 'reader_' || replace(d.name, '_vs_reader', '') WHERE d.run_id = %lld AND d.stratum_kind IN ('all', 'cohort')"
                 " AND d.name IN ('sensitivity_vs_reader', 'specificity_vs_reader', 'accuracy_vs_reader')"
                 " ORDER BY d.unit DESC, d.model, d.point, d.stratum_kind, d.stratum = 'external', d.versus, d.name",
                 (long long)p->run),
             &r);
    rp_protect_statistics(p, &r);
    static const rp_spec SPEC[] = {
        {"Model", RP_TEXT, "model", 0, 0},      {"Class", RP_TEXT, "class", 0, 0},
        {"Reader", RP_TEXT, "reader", 0, 0},    {"Measure", RP_TEXT, "measure", 0, 0},
        {"Patients", RP_TEXT, "stratum", 0, 0}, {"Operating point", RP_TEXT, "point", 0, 0},
        {"Unit", RP_TEXT, "unit", 0, 0},        {"n", RP_INT, "n", 0, 0},
        {"Reader", RP_NUM3, "of_reader", 0, 0}, {"Model minus reader (95% CI)", RP_EST3, "est", "lower", "upper"},
        {"P value", RP_PVALUE, "exact_p", 0, 0}};
    if (r.n > 0 && !p->nothing)
        rp_table(p, "readers-table", "Model against each reader on the cases that both judged; exact McNemar test", &r, SPEC, 11);
    rp_rows_release(&r);
}

void rp_section_readers(rp_page *p) {
    rp_rows reader;
    rp_section(p, "readers", "Readers and the model");
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT a.model, a.unit, a.class, a.stratum_kind, a.stratum, a.point, a.versus AS reader, a.versus, a.name, a.n, a.n_pos,"
                 " b.n AS n_neg, b.n_pos AS tn, a.est AS sensitivity, b.est AS specificity FROM v_statistic a JOIN v_statistic b ON"
                 " b.run_id = a.run_id AND b.model = a.model AND b.unit = a.unit AND b.class IS a.class AND b.stratum_kind = a.stratum_kind"
                 " AND b.stratum = a.stratum AND b.versus = a.versus AND b.name = 'reader_specificity' WHERE a.run_id = %lld"
                 " AND a.name = 'reader_sensitivity' AND a.stratum_kind IN ('all', 'cohort') ORDER BY a.unit DESC, a.model, a.class, "
                 "a.stratum = 'external', a.stratum, a.versus",
                 (long long)p->run),
             &reader);
    rp_protect_statistics(p, &reader);
    if (reader.n == 0)
        rp_absent(p, p->nothing ? p->nothing : "No reader judged cases of this run.");
    else
        rp_put(p, "<div class=\"grid\">\n");
    const bool units = reader.n > 0 && strcmp(rp_text_at(&reader, 0, "unit"), rp_text_at(&reader, reader.n - 1, "unit")) != 0;
    for (int64_t k = 0, end; k < reader.n && p->st == RAD_OK; k = end) {
        static const char *const SAME[] = {"model", "unit", "class", "stratum_kind", "stratum"};
        bool same = true;
        for (end = k; end < reader.n && same; end += same)
            for (int c = 0; c < 5; c++)
                same &= strcmp(rp_text_at(&reader, end, SAME[c]), rp_text_at(&reader, k, SAME[c])) == 0;
        if (strcmp(rp_text_at(&reader, k, "stratum_kind"), rp_cohort_kind(p)) == 0)
            reader_figure(p, &reader, k, rp_text_at(&reader, k, "stratum"), units, &reader, k, end);
    }
    if (reader.n > 0)
        rp_put(p, "</div>\n");
    reader_tables(p);
    rp_agreement(p);
    rp_rows_release(&reader);
}
