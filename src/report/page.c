/* page.c: sections, tables, figures, and the page around them. */
#include "page.h"

void rp_section(rp_page *p, const char *id, const char *title) {
    rp_put(p, "</section>\n<section id=\"{}\" aria-labelledby=\"h-{}\">\n<h2 id=\"h-{}\">{}</h2>\n", id, id, id, title);
}

void rp_absent(rp_page *p, const char *why) {
    rp_put(p, "<p class=\"absent\">{}</p>\n", why);
}

static void put_source(rp_page *p, const char *id, const rp_rows *r) {
    rp_put(p, "<details class=\"source\"><summary>Data and SQL</summary><p><a href=\"csv/{}.csv\" download>{}.csv</a>: ", id, id);
    rp_printf(p, "%lld rows. The query that made it:</p><pre tabindex=\"0\"><code>", (long long)r->n);
    rp_put(p, "{}</code></pre></details>\n", r->sql);
}

/* ---------------------------------------------------------------- tables */

static void put_number(rp_page *p, const rp_spec *s, const rp_rows *r, int64_t i) {
    const double x = rp_num(r, i, s->a), y = s->b ? rp_num(r, i, s->b) : NAN;
    switch (s->kind) {
    case RP_INT:
        rp_put(p, "{}", RP_NUM("%.0f", x));
        break;
    case RP_NUM2:
        rp_put(p, "{}", RP_NUM("%.2f", x));
        break;
    case RP_NUM3:
        rp_put(p, "{}", RP_NUM("%.3f", x));
        break;
    case RP_EST3:
        rp_put(p, "{}", RP_EST(x, y, rp_num(r, i, s->c), 3));
        break;
    case RP_PVALUE:
        rp_put(p, "{}", RP_P(x));
        break;
    case RP_PERCENT:
        rp_printf(p, "%.0f (%.1f %%)", x, 100 * x / y);
        break;
    case RP_TEXT:
        break;
    }
}

static void put_cell(rp_page *p, const rp_spec *s, const rp_rows *r, int64_t i, bool head) {
    const rp_cell *c = rp_at(r, i, s->a);
    if (s->kind == RP_TEXT || !c->text || c->hidden || isnan(c->num)) {
        const char *text = c->hidden ? "suppressed" : c->text ? c->text : "\xe2\x80\x93";
        if (head)
            rp_put(p, "<th scope=\"row\">{}</th>", text);
        else
            rp_put(p, "<td{!}>{}</td>", s->kind != RP_TEXT ? " class=\"num\"" : "", text);
        return;
    }
    rp_put(p, "<td class=\"num\" data-sort=\"{}\">", RP_NUM("%.17g", c->num));
    put_number(p, s, r, i);
    rp_put(p, "</td>");
}

static void put_tags(rp_page *p, const char *unit, const char *model, const char *class_name, const char *cohort, const char *center) {
    const char *const name[] = {"unit", "model", "class", "cohort", "center"}, *const value[] = {unit, model, class_name, cohort, center};
    for (int i = 0; i < 5; i++)
        if (value[i] && value[i][0])
            rp_put(p, " data-{!}=\"{}\"", name[i], value[i]);
}

void rp_table(rp_page *p, const char *id, const char *caption, const rp_rows *r, const rp_spec *spec, int n_spec) {
    if (p->st != RAD_OK)
        return;
    rp_csv(p, id, r);
    p->n_table++;
    rp_put(p,
           "<div class=\"table-wrap\" role=\"region\" aria-labelledby=\"cap-{}\" tabindex=\"0\">\n<table id=\"{}\"><caption "
           "id=\"cap-{}\">{}</caption>\n",
           id, id, id, caption);
    rp_put(p, "<thead><tr>");
    for (int s = 0; s < n_spec; s++)
        rp_put(p, "<th scope=\"col\"{!}>{}</th>", spec[s].kind == RP_TEXT ? "" : " class=\"num\"", spec[s].heading);
    rp_put(p, "</tr></thead>\n<tbody>\n");
    bool units = false; /* a table of one unit is shown whatever unit is chosen */
    for (int64_t i = 1; i < r->n && !units; i++)
        units = strcmp(rp_text_at(r, i, "unit"), rp_text_at(r, 0, "unit")) != 0;
    for (int64_t i = 0; i < r->n && p->st == RAD_OK; i++) {
        const char *cohort = rp_text_at(r, i, "cohort");
        rp_put(p, "<tr");
        put_tags(p, units ? rp_text_at(r, i, "unit") : NULL, rp_text_at(r, i, "model"), rp_text_at(r, i, "class"), cohort,
                 rp_text_at(r, i, "center"));
        rp_put(p, ">");
        for (int s = 0; s < n_spec; s++)
            put_cell(p, &spec[s], r, i, s == 0);
        rp_put(p, "</tr>\n");
    }
    rp_put(p, "</tbody></table></div>\n");
    put_source(p, id, r);
}

/* ---------------------------------------------------------------- figures */

void rp_figure(rp_page *p, const char *id, const rp_tags *tags, const char *title, const char *description, double w, double h) {
    rp_put(p, "<figure id=\"{}\"", id);
    put_tags(p, tags->unit, tags->model, tags->class_name, tags->cohort, NULL);
    /* letters stay readable on a narrow screen: a wide figure scrolls in its frame */
    rp_printf(p,
              " style=\"max-width:%.0fpx\">\n<div class=\"plot\"%s><svg style=\"min-width:%.0fpx\" viewBox=\"0 0 %.0f %.0f\" role=\"img\"",
              w, w > 400 ? " tabindex=\"0\"" : "", w > 400 ? 0.8 * w : 0, w, h);
    rp_put(p, " aria-labelledby=\"t-{} d-{}\"><title id=\"t-{}\">{}</title><desc id=\"d-{}\">{}</desc>\n", id, id, id, title, id,
           description);
}

void rp_figure_end(rp_page *p, const char *id, const char *caption, const rp_rows *r) {
    rp_put(p, "</svg></div>\n<figcaption>{}</figcaption>\n", caption);
    if (r) {
        rp_csv(p, id, r);
        put_source(p, id, r);
    }
    rp_put(p, "</figure>\n");
    p->n_figure++;
}
