/* page.c: sections, tables, figures, and the page around them. */
#include "page.h"

static void put_undrawn(rp_page *p, bool whole) {
    const rad_buf page = p->html;
    p->html = p->absent;
    rp_put(p, "<div><dt>{}</dt>", p->section_title);
    if (whole)
        rp_put(p, "<dd>{} (figures: {})</dd>", p->undrawn_why, RP_NUM("%d", p->n_undrawn));
    else if (p->st == RAD_OK)
        p->st = rad_buf_put(&p->html, p->undrawn.data, p->undrawn.size, p->err);
    rp_put(p, "</div>\n");
    p->absent = p->html;
    p->html = page;
}

/* What was written of the section since rp_section: nothing but the reason for its absence? */
void rp_section_end(rp_page *p) {
    if (!p->section_id)
        return;
    const bool whole = p->n_undrawn > 0 && p->n_figure + p->n_table == p->section_drawn;
    if (p->n_undrawn > 0)
        put_undrawn(p, whole);
    if (whole) {
        p->html.size = p->section_at;
    } else if (p->section_absent && p->html.size == p->section_absent_end) {
        p->html.size = p->section_at;
        const rad_buf page = p->html; /* rp_put writes to the page: the list is written through it, too */
        p->html = p->absent;
        rp_put(p, "<div><dt>{}</dt><dd>{}</dd></div>\n", p->section_title, p->section_absent);
        p->absent = p->html;
        p->html = page;
    } else {
        rp_put(p, "</section>\n");
        const rad_buf page = p->html;
        p->html = p->toc;
        rp_put(p, "<li><a href=\"#{}\">{}</a></li>\n", p->section_id, p->section_title);
        p->toc = p->html;
        p->html = page;
    }
    p->section_id = NULL;
}

void rp_section(rp_page *p, const char *id, const char *title) {
    rp_section_end(p);
    p->section_id = id;
    p->section_title = title;
    p->section_absent = NULL;
    p->section_drawn = p->n_figure + p->n_table;
    p->n_undrawn = 0;
    p->undrawn.size = 0;
    p->section_at = p->html.size;
    rp_put(p, "<section id=\"{}\" aria-labelledby=\"h-{}\">\n<h2 id=\"h-{}\">{}</h2>\n", id, id, id, title);
    p->section_body = p->html.size;
}

void rp_absent(rp_page *p, const char *why) {
    const bool first = p->html.size == p->section_body;
    rp_put(p, "<p class=\"absent\">{}</p>\n", why);
    if (first) {
        p->section_absent = why;
        p->section_absent_end = p->html.size;
    }
}

void rp_undrawn(rp_page *p, const char *title, const char *why) {
    const rad_buf page = p->html;
    p->html = p->undrawn;
    rp_put(p, "<dd>{}: {}</dd>", title, why);
    p->undrawn = p->html;
    p->html = page;
    (void)snprintf(p->undrawn_why, sizeof p->undrawn_why, "%s", why);
    p->n_undrawn++;
}

void rp_source(rp_page *p, const char *id, const rp_rows *r) {
    rp_put(p,
           "<details class=\"source\"><summary>Data and SQL<span class=\"hide\"> of {}</span></summary><p><a href=\"csv/{}.csv\" "
           "download>{}.csv</a>: ",
           id, id, id);
    rp_printf(p, "%lld row%s. The query that made it:</p><pre tabindex=\"0\"><code>", (long long)r->n, r->n == 1 ? "" : "s");
    rp_put(p, "{}</code></pre></details>\n", r->sql);
}

/* ---------------------------------------------------------------- tables */

/* "88.9 (40/45) [76.5, 95.2]": percent, count, interval. The counts are the columns k_A and n_A of the estimate A. */
static void put_share(rp_page *p, const rp_spec *s, const rp_rows *r, int64_t i) {
    char k[64], n[64];
    (void)snprintf(k, sizeof k, "k_%.40s", s->a);
    (void)snprintf(n, sizeof n, "n_%.40s", s->a);
    rp_put(p, "{} ({}/{})", RP_NUM("%.1f", 100 * rp_num(r, i, s->a)), RP_NUM("%.0f", rp_num(r, i, k)), RP_NUM("%.0f", rp_num(r, i, n)));
    if (s->b && !isnan(rp_num(r, i, s->b)))
        rp_put(p, " <span class=\"of\">[{}, {}]</span>", RP_NUM("%.1f", 100 * rp_num(r, i, s->b)),
               RP_NUM("%.1f", 100 * rp_num(r, i, s->c)));
}

static void put_number(rp_page *p, const rp_spec *s, const rp_rows *r, int64_t i) {
    const double x = rp_num(r, i, s->a), y = s->b ? rp_num(r, i, s->b) : NAN;
    switch (s->kind) {
    case RP_INT:
        rp_put(p, "{}", RP_DIGITS(x, 0));
        break;
    case RP_NUM2:
        rp_put(p, "{}", RP_DIGITS(x, 2));
        break;
    case RP_NUM3:
        rp_put(p, "{}", RP_DIGITS(x, 3));
        break;
    case RP_EST2:
        rp_put(p, "{}", RP_EST(x, y, rp_num(r, i, s->c), 2));
        break;
    case RP_EST3:
        rp_put(p, "{}", RP_EST(x, y, rp_num(r, i, s->c), 3));
        break;
    case RP_PVALUE:
        rp_put(p, "{}", RP_P(x));
        break;
    case RP_SHARE:
        put_share(p, s, r, i);
        break;
    case RP_TEXT:
    case RP_HASH:
        break;
    }
}

static bool is_text(const rp_spec *s) {
    return s->kind == RP_TEXT || s->kind == RP_HASH;
}

static void put_cell(rp_page *p, const rp_spec *s, const rp_rows *r, int64_t i, bool head) {
    const rp_cell *c = rp_at(r, i, s->a);
    if (s->kind == RP_HASH && c->text && !c->hidden) { /* whole in the CSV file and under the pointer */
        rp_put(p, "<td><code title=\"{}\">{}\xe2\x80\xa6</code></td>", c->text, RP_NUM("%.12s", c->text));
        return;
    }
    if (is_text(s) || !c->text || c->hidden || isnan(c->num)) {
        const char *text = c->hidden ? "suppressed" : c->text && c->text[0] ? c->text : "\xe2\x80\x93";
        if (head)
            rp_put(p, "<th scope=\"row\">{}</th>", text);
        else
            rp_put(p, "<td{!}>{}</td>", !is_text(s) ? " class=\"num\"" : "", text);
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

/* Columns of these names may go where they say the same in every row: here into the caption, by the page's script where the choice says it.
 */
static bool may_go(const rp_spec *s) {
    static const char *const MAY[] = {"Model", "Class", "Unit", "Patients", "Center", "Cohort", "Stage", "Origin"};
    for (size_t i = 0; i < sizeof MAY / sizeof *MAY; i++)
        if (strcmp(s->heading, MAY[i]) == 0)
            return s->kind == RP_TEXT;
    return false;
}

static bool is_repeated(const rp_rows *r, const rp_spec *s) {
    bool same = may_go(s) && r->n > 0;
    for (int64_t i = 1; same && i < r->n; i++)
        same = strcmp(rp_text_at(r, i, s->a), rp_text_at(r, 0, s->a)) == 0;
    return same;
}

enum { MAX_SPEC = 24 };

static void put_caption(rp_page *p, const char *id, const char *caption, const rp_rows *r, const rp_spec *spec, int n_spec,
                        bool drop[MAX_SPEC]) {
    int n_text = 0;
    bool any = false;
    for (int s = 0; s < n_spec; s++)
        n_text += spec[s].kind == RP_TEXT;
    rp_put(p, "<caption id=\"cap-{}\">{}", id, caption);
    for (int s = 0; s < n_spec; s++) {
        drop[s] = n_text > 1 && is_repeated(r, &spec[s]); /* a row keeps a name */
        if (!drop[s])
            continue;
        n_text--;
        const char *text = rp_text_at(r, 0, spec[s].a);
        if (!text[0])
            continue;
        char word[40];
        (void)snprintf(word, sizeof word, "%.30s", spec[s].heading);
        word[0] = (char)(word[0] >= 'A' && word[0] <= 'Z' ? word[0] - 'A' + 'a' : word[0]);
        rp_put(p, "{!}{}: {}", any ? "; " : "<span class=\"of\">", word, text);
        any = true;
    }
    rp_put(p, "{!}</caption>\n", any ? "</span>" : "");
}

void rp_table(rp_page *p, const char *id, const char *caption, const rp_rows *r, const rp_spec *spec, int n_spec) {
    bool drop[MAX_SPEC] = {false};
    if (p->st != RAD_OK)
        return;
    if (n_spec > MAX_SPEC) {
        rp_fail(p, RAD_E_INTERNAL, "a table of the report has %d columns", n_spec);
        return;
    }
    rp_csv(p, id, r);
    p->n_table++;
    rp_put(p, "<div class=\"table-wrap\" role=\"region\" aria-labelledby=\"cap-{}\" tabindex=\"0\">\n<table id=\"{}\">", id, id);
    put_caption(p, id, caption, r, spec, n_spec, drop);
    rp_put(p, "<thead><tr>");
    for (int s = 0; s < n_spec; s++)
        if (!drop[s])
            rp_put(p, "<th scope=\"col\"{!}{!}>{}</th>", is_text(&spec[s]) ? "" : " class=\"num\"", may_go(&spec[s]) ? " data-may" : "",
                   spec[s].heading);
    rp_put(p, "</tr></thead>\n<tbody>\n");
    bool by_model = false; /* rows that compare models have other headings: the choice of one hides none of them */
    for (int s = 0; s < n_spec; s++)
        by_model |= strcmp(spec[s].heading, "Model") == 0;
    bool units = false; /* a table of one unit is shown whatever unit is chosen */
    for (int64_t i = 1; i < r->n && !units; i++)
        units = strcmp(rp_text_at(r, i, "unit"), rp_text_at(r, 0, "unit")) != 0;
    for (int64_t i = 0; i < r->n && p->st == RAD_OK; i++) {
        bool head = true;
        rp_put(p, "<tr");
        put_tags(p, units ? rp_text_at(r, i, "unit") : NULL, by_model ? rp_text_at(r, i, "model") : NULL, rp_text_at(r, i, "class"),
                 rp_text_at(r, i, "cohort"), rp_text_at(r, i, "center"));
        rp_put(p, ">");
        for (int s = 0; s < n_spec; s++)
            if (!drop[s]) {
                head = head && spec[s].kind == RP_TEXT; /* the names before the first number say what the row is about */
                put_cell(p, &spec[s], r, i, head);
            }
        rp_put(p, "</tr>\n");
    }
    rp_put(p, "</tbody></table></div>\n");
    rp_source(p, id, r);
}

/* ---------------------------------------------------------------- figures */

void rp_figure(rp_page *p, const char *id, const rp_tags *tags, const char *title, const char *description, double w, double h) {
    rp_put(p, "<figure id=\"{}\"", id);
    put_tags(p, tags->unit, tags->model, tags->class_name, tags->cohort, NULL);
    /* letters stay readable on a narrow screen: a wide figure scrolls in its frame */
    rp_printf(p, " style=\"max-width:%.0fpx\">\n", w);
    if (!p->section_title || strcmp(title, p->section_title) != 0)
        rp_put(p, "<p class=\"name\">{}</p>\n", title);
    rp_put(p, "<div class=\"plot\" tabindex=\"0\" role=\"group\" aria-label=\"{}: arrow keys read the values\">", title);
    rp_printf(p, "<svg style=\"min-width:%.0fpx\" viewBox=\"0 0 %.0f %.0f\" role=\"img\"", w > 400 ? 0.8 * w : 0, w, h);
    rp_put(p, " aria-labelledby=\"t-{} d-{}\"><title id=\"t-{}\">{}</title><desc id=\"d-{}\">{}</desc>\n", id, id, id, title, id,
           description);
}

void rp_figure_end(rp_page *p, const char *id, const char *caption, const rp_rows *r) {
    rp_put(p, "</svg></div>\n");
    if (caption[0])
        rp_put(p, "<figcaption>{}</figcaption>\n", caption);
    if (r) {
        rp_csv(p, id, r);
        rp_source(p, id, r);
    }
    rp_put(p, "</figure>\n");
    p->n_figure++;
}
