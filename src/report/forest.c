/* forest.c: centers and their pooled value, and internal against external. */
#include "parts.h"

enum { WIDTH = RP_FOREST_WIDTH, LEFT = 190, RIGHT = 170, ROW = RP_FOREST_ROW, TOP = 30 };

/* The centers set the scale: a prediction interval of few centers may reach everywhere, and ends in an arrow. */
rp_axes rp_forest_axes(const rp_rows *r, int64_t n_row) {
    double low = 1;
    for (int64_t i = 0; i < r->n; i++) {
        const double x = isnan(rp_num(r, i, "lower")) ? rp_num(r, i, "est") : rp_num(r, i, "lower");
        const char *name = rp_text_at(r, i, "name");
        if (strncmp(name, "auc_centers", 11) != 0 || strcmp(name, "auc_centers_reml") == 0)
            low = x < low ? x : low;
    }
    low = low < 0 ? 0 : floor(low * 10) / 10;
    if (low > 0.9)
        low = 0.9;
    return (rp_axes){
        .x0 = low, .x1 = 1, .y0 = 0, .y1 = 1, .left = LEFT, .top = TOP, .width = WIDTH - LEFT - RIGHT, .height = (double)n_row * ROW + 6};
}

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* One row of a forest plot; series chooses the marker. */
void rp_forest_row(rp_page *p, const rp_axes *a, const rp_rows *r, int64_t i, double y, const char *name, int series, const char *css) {
    const double est = rp_num(r, i, "est"), lower = rp_num(r, i, "lower"), upper = rp_num(r, i, "upper");
    char text[96], tip[256];
    rp_label(p, LEFT - 10, y + 4, "end", "", name, LEFT - 16);
    if (isnan(est) && isnan(lower)) {
        rp_label(p, WIDTH - RIGHT + 12, y + 4, "start", "small soft", rp_at(r, i, "est")->hidden ? "suppressed" : "not defined",
                 RIGHT - 16);
        return;
    }
    if (!isnan(lower) && !isnan(upper))
        rp_rule(p, rp_x(a, clamp(lower, a->x0, a->x1)), y, rp_x(a, clamp(upper, a->x0, a->x1)), y, css);
    if (lower < a->x0 && !isnan(upper)) {
        rp_printf(p, "<path d=\"M%.1f %.1fl7-4v8z\" class=\"beyond\"/>\n", a->left - 1, y);
        if (upper < a->x0) /* all of it lies there */
            rp_label(p, a->left + 12, y + 4, "start", "small soft", "below", 0);
    }
    if (isnan(est))
        (void)snprintf(text, sizeof text, "%.3f, %.3f", lower, upper);
    else
        rp_estimate(text, est, lower, upper, 3);
    (void)snprintf(tip, sizeof tip, "%.100s: %s", name, text);
    if (series >= 0 && !isnan(est))
        rp_marker(p, rp_x(a, clamp(est, a->x0, a->x1)), y, series, tip);
    rp_label(p, WIDTH - RIGHT + 12, y + 4, "start", "small", text, RIGHT - 16);
}

double rp_forest_frame(rp_page *p, const rp_axes *a, const char *rows) {
    rp_frame(p, a, "AUC", "", a->x0 < 0.7 ? 0.1 : 0.05, 0);
    rp_label(p, LEFT - 10, 18, "end", "small soft", rows, LEFT - 16);
    rp_label(p, WIDTH - RIGHT + 12, 18, "start", "small soft", "AUC (95% CI)", RIGHT - 16);
    return TOP + ROW / 2.0 + 3;
}

static void centers(rp_page *p, const rp_rows *combo, int64_t i) {
    char id[200], title[256], caption[400];
    const char *unit = rp_text_at(combo, i, "unit"), *class_name = rp_text_at(combo, i, "class"), *model = rp_text_at(combo, i, "model");
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT model, unit, class, stratum_kind, stratum, cohort, point, name, versus, n, n_pos, n_cluster, est, "
                             "lower, upper, method, reason"
                             " FROM v_statistic WHERE run_id = %lld AND model = %Q AND unit = %Q AND class = %Q AND ((stratum_kind = "
                             "'center' AND name = 'auc')"
                             " OR name IN ('auc_centers_reml', 'auc_centers_prediction', 'auc_centers_i2')) ORDER BY stratum_kind, cohort "
                             "DESC, stratum, name DESC",
                             (long long)p->run, model, unit, class_name),
             &r);
    rp_protect_statistics(p, &r);
    int64_t rows = 0, pooled = -1, prediction = -1, i2 = -1;
    for (int64_t k = 0; k < r.n; k++) {
        const char *name = rp_text_at(&r, k, "name");
        rows += strcmp(name, "auc") == 0;
        pooled = strcmp(name, "auc_centers_reml") == 0 ? k : pooled;
        prediction = strcmp(name, "auc_centers_prediction") == 0 ? k : prediction;
        i2 = strcmp(name, "auc_centers_i2") == 0 ? k : i2;
    }
    (void)snprintf(title, sizeof title, "%.80s by center: %.80s%s", model, class_name, rp_per_unit(p, unit));
    if (rows > 0 && rp_filled(&r, "est", "lower") == 0) {
        char why[200];
        rp_undrawn(p, title, rp_why_empty(p, why, unit, model, class_name, "all", 0));
    } else if (rows > 0) {
        const rp_axes a = rp_forest_axes(&r, rows + (pooled >= 0) + (prediction >= 0));
        (void)snprintf(id, sizeof id, "forest-%s-%s-%s", unit, RP_ID(model), RP_ID(class_name));
        const rp_tags tags = {.unit = unit, .model = model, .class_name = class_name};
        rp_figure(p, id, &tags, title,
                  "Forest plot: one row per center with its 95% CI, then the mean over centers and the interval expected of a "
                  "further center.",
                  WIDTH, a.top + a.height + 48);
        double y = rp_forest_frame(p, &a, "Center (cohort, n)");
        for (int64_t k = 0; k < r.n; k++) {
            if (strcmp(rp_text_at(&r, k, "name"), "auc") != 0)
                continue;
            char name[200];
            const bool external = strcmp(rp_text_at(&r, k, "cohort"), "external") == 0;
            if (rp_at(&r, k, "n")->hidden)
                (void)snprintf(name, sizeof name, "%.80s (%s)", rp_text_at(&r, k, "stratum"), external ? "external" : "internal");
            else
                (void)snprintf(name, sizeof name, "%.80s (%s, %.0f)", rp_text_at(&r, k, "stratum"), external ? "ext." : "int.",
                               rp_num(&r, k, "n"));
            rp_forest_row(p, &a, &r, k, y, name, external ? 1 : 0, "ci");
            y += ROW;
        }
        if (pooled >= 0) {
            rp_forest_row(p, &a, &r, pooled, y, "Mean over centers", 3, "ci");
            y += ROW;
        }
        if (prediction >= 0)
            rp_forest_row(p, &a, &r, prediction, y, "A further center", -1, "pred");
        (void)snprintf(
            caption, sizeof caption, "Circles internal, squares external%s%s%s%s",
            pooled >= 0 ? "; diamond: mean over centers (random effects, REML); dashed: 95% prediction interval of a further center." : ".",
            i2 >= 0 && !isnan(rp_num(&r, i2, "est")) ? " I\xc2\xb2 = " : "",
            i2 >= 0 && !isnan(rp_num(&r, i2, "est")) ? RP_NUM("%.0f", rp_num(&r, i2, "est")) : "",
            i2 >= 0 && !isnan(rp_num(&r, i2, "est")) ? "%." : "");
        rp_figure_end(p, id, caption, &r);
    }
    rp_rows_release(&r);
}

void rp_section_forest(rp_page *p) {
    rp_rows combo;
    rp_section(p, "centers", "Centers");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    if (p->n_center < 2) {
        rp_absent(p, "All patients are of one center.");
        return;
    }
    rp_combos(p, &combo);
    const int before = p->n_figure;
    rp_put(p, "<div class=\"forests\">\n");
    for (int64_t i = 0; i < combo.n && p->st == RAD_OK; i++)
        centers(p, &combo, i);
    rp_put(p, "</div>\n");
    if (p->n_figure == before && p->n_undrawn == 0)
        rp_absent(p, "The job does not ask for numbers by center (strata).");
    rp_rows_release(&combo);
}

/* ---------------------------------------------------------------- internal against external */

static void both_cohorts(rp_page *p, const rp_rows *combo, int64_t from, int64_t end) {
    char id[200], title[256];
    const char *unit = rp_text_at(combo, from, "unit"), *class_name = rp_text_at(combo, from, "class");
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.cohort, s.point, s.name, s.versus, s.n, "
                             "s.n_pos, s.est, s.lower, s.upper"
                             " FROM v_statistic s JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model WHERE s.run_id = %lld AND "
                             "s.unit = %Q AND s.class = %Q"
                             " AND s.stratum_kind = 'cohort' AND s.name = 'auc' ORDER BY m.position, s.stratum = 'external'",
                             (long long)p->run, unit, class_name),
             &r);
    rp_protect_statistics(p, &r);
    (void)snprintf(id, sizeof id, "cohorts-%s-%s", unit, RP_ID(class_name));
    (void)snprintf(title, sizeof title, "Internal and external: %.80s%s", class_name, rp_per_unit(p, unit));
    if (rp_filled(&r, "est", "lower") == 0) {
        char why[200];
        rp_undrawn(p, title, rp_why_empty(p, why, unit, NULL, class_name, "all", 0));
        rp_rows_release(&r);
        return;
    }
    const rp_axes a = rp_forest_axes(&r, 2 * (end - from));
    const rp_tags tags = {.unit = unit, .class_name = class_name};
    rp_figure(p, id, &tags, title, "For each model the AUC in the internal and in the external cohort with 95% CIs.", WIDTH,
              a.top + a.height + 48);
    double y = rp_forest_frame(p, &a, "Model, cohort");
    for (int64_t k = 0; k < r.n; k++) {
        char name[200];
        const bool external = strcmp(rp_text_at(&r, k, "stratum"), "external") == 0;
        (void)snprintf(name, sizeof name, "%.80s, %s", rp_text_at(&r, k, "model"), external ? "external" : "internal");
        rp_forest_row(p, &a, &r, k, y, name, external ? 1 : 0, "ci");
        y += ROW;
    }
    rp_figure_end(p, id, "", &r);
    rp_rows_release(&r);
}

void rp_section_cohorts(rp_page *p) {
    rp_rows r, combo;
    rp_section(p, "internal-external", "Internal against external");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    if (!p->has_internal || !p->has_external) {
        rp_absent(p, "All patients are of one cohort, or the job does not ask for numbers by cohort (strata).");
        return;
    }
    rp_combos(p, &combo);
    rp_put(p, "<div class=\"forests\">\n");
    for (int64_t i = 0, end; i < combo.n && p->st == RAD_OK; i = end) {
        for (end = i; end < combo.n && strcmp(rp_text_at(&combo, end, "unit"), rp_text_at(&combo, i, "unit")) == 0 &&
                      strcmp(rp_text_at(&combo, end, "class"), rp_text_at(&combo, i, "class")) == 0;)
            end++;
        both_cohorts(p, &combo, i, end);
    }
    rp_put(p, "</div>\n");
    rp_rows_release(&combo);
    rp_query(p,
             sqlite3_mprintf("SELECT s.model, s.unit, s.class, s.stratum_kind, s.stratum, s.point, s.name, s.versus, coalesce(s.versus, "
                             "'all external centers') AS against, s.versus AS center, s.n, s.n_pos,"
                             " s.est, s.lower, s.upper, s.p, s.p_adjusted, s.method, s.reason FROM v_statistic s JOIN run_model m ON "
                             "m.run_id = s.run_id AND m.model = s.model JOIN run_class k ON k.run_id = s.run_id AND k.class = s.class"
                             " WHERE s.run_id = %lld AND s.name = 'auc_difference' AND s.unit IN (%s) ORDER BY s.unit DESC, k.class_index,"
                             " m.position, s.versus IS NOT NULL, s.versus",
                             (long long)p->run, rp_units(p)),
             &r);
    rp_protect_statistics(p, &r);
    static const rp_spec SPEC[] = {{"Model", RP_TEXT, "model", 0, 0}, {"Class", RP_TEXT, "class", 0, 0},
                                   {"Unit", RP_TEXT, "unit", 0, 0},   {"Internal minus", RP_TEXT, "against", 0, 0},
                                   {"n", RP_INT, "n", 0, 0},          {"AUC difference (95% CI)", RP_EST3, "est", "lower", "upper"},
                                   {"P value", RP_PVALUE, "p", 0, 0}, {"P, Holm", RP_PVALUE, "p_adjusted", 0, 0}};
    if (r.n > 0)
        rp_table(p, "internal-external-table", "Difference of the AUCs of different patients: z test", &r, SPEC, 8);
    rp_rows_release(&r);
}
