/* calibration.c: reliability diagrams and decision curves, by the SQL functions calibration_bins and decision_curve. */
#include "parts.h"

enum { SIDE = 290, MAX_BINS = 10 };

/* Bins whose every count of events and of others is 0 or at least k: the most of 10, 5, 4, 3, 2; 0: none. */
static bool bins_are_wide(const rp_rows *r, int k) {
    for (int64_t i = 0; i < r->n; i++) {
        const double n = rp_num(r, i, "n"), events = round(n * rp_num(r, i, "mean_obs")), other = n - events;
        if (n < k || (events > 0 && events < k) || (other > 0 && other < k))
            return false;
    }
    return r->n > 0;
}

/* The columns stay: the figure has its query, and no points. */
static void drop_rows(rp_rows *r) {
    for (int64_t i = 0; i < r->n * r->n_col; i++)
        free(r->cell[i].text);
    r->n = 0;
}

static void reliability(rp_page *p, const rp_rows *combo, int64_t i, const rp_rows *cohort) {
    static const int BINS[] = {MAX_BINS, 5, 4, 3, 2};
    const char *unit = rp_text_at(combo, i, "unit"), *class_name = rp_text_at(combo, i, "class"), *model = rp_text_at(combo, i, "model");
    const rp_axes a = {.x0 = 0, .x1 = 1, .y0 = 0, .y1 = 1, .left = 52, .top = 10, .width = SIDE, .height = SIDE};
    char id[200], title[256];
    rp_rows r = {0};
    int64_t dropped = 0;
    for (int b = 0; b < (p->o->is_public ? 5 : 1) && p->st == RAD_OK; b++) {
        sqlite3_str *s = sqlite3_str_new(p->db);
        for (int64_t c = 0; c < cohort->n; c++) {
            char *where = rp_where(p, unit, model, class_name, rp_text_at(cohort, c, "stratum"));
            char *inner = where ? sqlite3_mprintf("SELECT label, score FROM v_case_score WHERE %s", where) : NULL;
            sqlite3_str_appendf(s,
                                "%sSELECT %Q AS line, bin, n, mean_pred, mean_obs, wilson_lower(round(n * mean_obs), n) AS lower, "
                                "wilson_upper(round(n * mean_obs), n) AS upper"
                                " FROM calibration_bins(%Q, %d, '%s')",
                                c ? "\nUNION ALL " : "", rp_text_at(cohort, c, "stratum"), inner ? inner : "", BINS[b],
                                p->o->is_public ? "equal_mass" : "equal_width");
            sqlite3_free(where);
            sqlite3_free(inner);
        }
        rp_rows_release(&r);
        rp_query(p, sqlite3_str_finish(s), &r);
        if (p->o->is_public && bins_are_wide(&r, p->o->k))
            break;
        if (p->o->is_public && b == 4) {
            dropped = rp_filled(&r, "mean_obs", NULL);
            drop_rows(&r);
        }
    }
    (void)snprintf(id, sizeof id, "calibration-%s-%s-%s", unit, RP_ID(model), RP_ID(class_name));
    (void)snprintf(title, sizeof title, "Calibration of %.80s: %.80s%s", model, class_name, rp_per_unit(p, unit));
    if (rp_filled(&r, "mean_obs", NULL) == 0) {
        char why[200];
        rp_undrawn(p, title, rp_why_empty(p, why, unit, model, class_name, rp_text_at(cohort, 0, "stratum"), dropped));
        rp_rows_release(&r);
        return;
    }
    const rp_tags tags = {.unit = unit, .model = model, .class_name = class_name};
    rp_figure(p, id, &tags, title,
              "Observed share against mean predicted probability by bins, with 95% CIs; on the diagonal the two agree.", SIDE + 72,
              SIDE + 62 + 17.0 * (double)cohort->n);
    rp_frame(p, &a, "Mean predicted probability", "Observed share", 0.2, 0.2);
    rp_rule(p, rp_x(&a, 0), rp_y(&a, 0), rp_x(&a, 1), rp_y(&a, 1), "diagonal");
    for (int64_t k = 0; k < r.n && p->st == RAD_OK; k++) {
        const double x = rp_num(&r, k, "mean_pred"), y = rp_num(&r, k, "mean_obs");
        if (isnan(x) || isnan(y))
            continue;
        char tip[200];
        const int series = strcmp(rp_text_at(&r, k, "line"), "external") == 0;
        rp_printf(p, "<g class=\"line s%d\" style=\"stroke-width:1\">", series);
        rp_rule(p, rp_x(&a, x), rp_y(&a, rp_num(&r, k, "lower")), rp_x(&a, x), rp_y(&a, rp_num(&r, k, "upper")), "");
        rp_put(p, "</g>");
        (void)snprintf(tip, sizeof tip, "%.60s: predicted %.2f, observed %.2f, n = %.0f", rp_text_at(&r, k, "line"), x, y,
                       rp_num(&r, k, "n"));
        rp_marker(p, rp_x(&a, x), rp_y(&a, y), series, tip);
    }
    double y = SIDE + 68;
    for (int64_t c = 0; c < cohort->n; c++) {
        char text[200];
        double slope[3], brier[3];
        int64_t n;
        const char *stratum = rp_text_at(cohort, c, "stratum");
        const bool s = rp_statistic(p, unit, model, class_name, rp_cohort_kind(p), stratum, "calibration_slope", slope, &n);
        const bool b = rp_statistic(p, unit, model, class_name, rp_cohort_kind(p), stratum, "brier", brier, &n);
        (void)snprintf(text, sizeof text, "%.40s: slope %s, Brier score %s", rp_stratum_word(stratum),
                       s ? RP_NUM("%.2f", slope[0]) : "not shown", b ? RP_NUM("%.3f", brier[0]) : "not shown");
        rp_marker(p, 28, y - 4, strcmp(stratum, "external") == 0, text);
        rp_label(p, 48, y, "start", "small", text, SIDE + 16);
        y += 17;
    }
    rp_figure_end(p, id, "", &r);
    rp_rows_release(&r);
}

static void decision(rp_page *p, const rp_rows *combo, int64_t i, const char *stratum) {
    const char *unit = rp_text_at(combo, i, "unit"), *class_name = rp_text_at(combo, i, "class"), *model = rp_text_at(combo, i, "model");
    char id[200], title[256];
    rp_rows r;
    char *where = rp_where(p, unit, model, class_name, stratum);
    char *inner = where ? sqlite3_mprintf("SELECT label, score FROM v_case_score WHERE %s", where) : NULL;
    rp_query(p, sqlite3_mprintf("SELECT threshold, net_benefit, treat_all, treat_none FROM decision_curve(%Q)", inner ? inner : ""), &r);
    sqlite3_free(where);
    sqlite3_free(inner);
    double top = 0.1;
    for (int64_t k = 0; k < r.n; k++)
        top = rp_num(&r, k, "net_benefit") > top ? rp_num(&r, k, "net_benefit") : top;
    const rp_axes a = {.x0 = 0, .x1 = 1, .y0 = -0.1, .y1 = ceil(top * 10) / 10, .left = 52, .top = 10, .width = SIDE, .height = SIDE};
    (void)snprintf(id, sizeof id, "decision-%s-%s-%s-%s", unit, RP_ID(model), RP_ID(class_name), stratum);
    (void)snprintf(title, sizeof title, "Decision curve of %.80s: %.80s, %s%s", model, class_name, rp_stratum_word(stratum),
                   rp_per_unit(p, unit));
    const rp_tags tags = {.unit = unit, .model = model, .class_name = class_name, .cohort = strcmp(stratum, "all") == 0 ? NULL : stratum};
    if (rp_filled(&r, "net_benefit", NULL) == 0) {
        char why[200];
        rp_undrawn(p, title, rp_why_empty(p, why, unit, model, class_name, stratum, 0));
        rp_rows_release(&r);
        return;
    }
    rp_figure(p, id, &tags, title, "Net benefit of treating by the model, all and none, by threshold probability.", SIDE + 72,
              SIDE + 62 + 51);
    rp_frame(p, &a, "Threshold probability", "Net benefit", 0.2, 0.1);
    static const char *const COLUMN[] = {"net_benefit", "treat_all", "treat_none"}, *const NAME[] = {NULL, "treat all", "treat none"};
    double y = SIDE + 68;
    for (int s = 0; s < 3 && p->st == RAD_OK; s++) {
        double *t = rp_doubles(p, &r, 0, r.n, "threshold"), *v = rp_doubles(p, &r, 0, r.n, COLUMN[s]);
        int64_t n = 0;
        for (int64_t k = 0; p->st == RAD_OK && k < r.n && !isnan(v[k]); k++, n = k) { /* what is worse than the frame lies on its edge */
            if (v[k] < a.y0 && s == 1)
                break; /* `treat all` only falls */
            v[k] = v[k] < a.y0 ? a.y0 : v[k];
        }
        if (p->st == RAD_OK)
            rp_line(p, &a, t, v, n, s);
        for (int64_t k = 0; s == 0 && p->st == RAD_OK && k < n; k += 4) {
            char tip[120];
            (void)snprintf(tip, sizeof tip, "threshold %.2f: net benefit %.3f", t[k], v[k]);
            rp_hit(p, rp_x(&a, t[k]), rp_y(&a, v[k]), tip);
        }
        free(t);
        free(v);
        y = rp_legend(p, 14, y, s, NAME[s] ? NAME[s] : model, SIDE + 50);
    }
    rp_figure_end(p, id, "", &r);
    rp_rows_release(&r);
}

/* An endpoint by argmax is a call, 0 or 1: no probability. */
static bool is_call(rp_page *p, const char *class_name) {
    return rp_one(p, sqlite3_mprintf("SELECT count(*) FROM run_class WHERE run_id = %lld AND class = %Q AND rule = 'argmax'",
                                     (long long)p->run, class_name)) > 0;
}

void rp_section_calibration(rp_page *p) {
    rp_rows combo, cohort;
    rp_section(p, "calibration", "Calibration and decision curves");
    if (p->nothing) {
        rp_absent(p, p->nothing);
        return;
    }
    if (!p->probabilities) {
        rp_absent(p, "The scores are no probabilities (activation: none); calibration is not defined.");
        return;
    }
    rp_combos(p, &combo);
    rp_cohorts(p, &cohort);
    rp_put(p,
           "<p class=\"muted\">Calibration: observed share with 95% Wilson limits in {}; slope of a logistic recalibration, 1 is best. "
           "Decision "
           "curves: benefit of treating by the model at a threshold, against treating all or none.</p>\n<div class=\"grid\">\n",
           p->o->is_public ? "bins of equal size" : "ten bins of equal width");
    for (int64_t i = 0; i < combo.n && p->st == RAD_OK; i++)
        if (!is_call(p, rp_text_at(&combo, i, "class"))) {
            reliability(p, &combo, i, &cohort);
            for (int64_t c = 0; !p->o->is_public && c < cohort.n; c++)
                decision(p, &combo, i, rp_text_at(&cohort, c, "stratum"));
        }
    rp_put(p, "</div>\n");
    if (p->o->is_public)
        rp_absent(p, "Decision curves are left out of public reports: neighbouring thresholds would give single patients' scores away.");
    rp_rows_release(&cohort);
    rp_rows_release(&combo);
}
