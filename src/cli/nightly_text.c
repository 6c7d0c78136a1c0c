/* nightly_text.c: see nightly_text.h. */
#include "nightly_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define WIDTH 79
#define LISTED 12 /* of each kind in the text; all of them are in the tables and in the JSON */

static const char *plural(int64_t n) {
    return n == 1 ? "" : "s";
}

/* ---------------------------------------------------------------- lines */

/* One entry, broken at blanks where it passes the width; what follows is indented by four. */
static rad_status entry(rad_buf *b, rad_error *err, const char *fmt, ...) RAD_PRINTF(3, 4);
static rad_status entry(rad_buf *b, rad_error *err, const char *fmt, ...) {
    char text[1024], *at = text;
    va_list ap;
    rad_status st = RAD_OK;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (bool first = true; st == RAD_OK && (first || *at); first = false) {
        const size_t room = first ? WIDTH : WIDTH - 4, left = strlen(at);
        size_t cut = left <= room ? left : room;
        while (left > room && cut > 4 && at[cut] != ' ')
            cut--;
        if (left > room && cut <= 4) /* one long word */
            cut = room;
        st = rad_buf_printf(b, err, "%s%.*s\n", first ? "" : "    ", (int)cut, at);
        at += cut;
        while (*at == ' ')
            at++;
    }
    return st;
}

static rad_status title(rad_buf *b, rad_error *err, const char *text, int64_t n) {
    return n > 0 ? rad_buf_printf(b, err, "\n%s (%" PRId64 ")\n", text, n) : rad_buf_printf(b, err, "\n%s\n", text);
}

static rad_status more(rad_buf *b, rad_error *err, int64_t n) {
    return n > LISTED ? entry(b, err, "  and %" PRId64 " more: see the tables nightly_case and drift, or --json", n - LISTED) : RAD_OK;
}

/* ---------------------------------------------------------------- headline */

/* Centers with an alarm, as far as they fit. */
static int name_centers(const rad_night_report *r, char *ret, size_t cap) {
    int k = 0;
    size_t used = 0;
    const char *last = "";
    ret[0] = 0;
    for (int64_t i = 0; i < r->n_drift; i++) {
        if (!r->drift[i].alarm || strcmp(r->drift[i].center, last) == 0)
            continue;
        last = r->drift[i].center;
        if (k == 3)
            used += (size_t)snprintf(ret + used, used < cap ? cap - used : 0, ", ...");
        if (k < 3)
            used += (size_t)snprintf(ret + used, used < cap ? cap - used : 0, "%s%.16s", k ? ", " : "", last);
        k++;
    }
    return k;
}

void rad_night_headline(const rad_night *n, const rad_night_report *r, char ret[RAD_NIGHT_HEADLINE]) {
    char centers[64], text[512];
    int used = snprintf(text, sizeof text, "%.24s: ", n->job ? n->job : "");
    if (!r) {
        snprintf(text + used, sizeof text - (size_t)used, "%" PRId64 " case%s would be scored, %" PRId64 " kept, %" PRId64 " excluded",
                 n->n_run, plural(n->n_run), n->n_keep, n->n_excluded);
        snprintf(ret, RAD_NIGHT_HEADLINE, "%.78s", text);
        return;
    }
    const bool quiet = n->n_run == 0 && r->n_flip == 0 && r->n_alarm == 0 && n->n_gone == 0;
    if (name_centers(r, centers, sizeof centers) > 0)
        used += snprintf(text + used, sizeof text - (size_t)used, "DRIFT at %s; ", centers);
    if (r->n_flip > 0)
        used += snprintf(text + used, sizeof text - (size_t)used, "%" PRId64 " call%s FLIPPED; ", r->n_flip, plural(r->n_flip));
    if (n->n_gone > 0)
        used += snprintf(text + used, sizeof text - (size_t)used, "%" PRId64 " VANISHED; ", n->n_gone);
    if (quiet)
        snprintf(text + used, sizeof text - (size_t)used, "nothing new, %" PRId64 " cases as they were", n->n_keep);
    else
        snprintf(text + used, sizeof text - (size_t)used, "%" PRId64 " case%s scored, %" PRId64 " kept", n->n_run, plural(n->n_run),
                 n->n_keep);
    snprintf(ret, RAD_NIGHT_HEADLINE, "%.78s", text);
}

/* ---------------------------------------------------------------- text */

static rad_status put_reasons(const rad_night *n, rad_buf *b, rad_error *err) {
    char text[512] = "", one[RAD_NIGHT_REASONS_TEXT];
    size_t used = 0;
    for (int bit = 0; bit < RAD_NIGHT_REASONS; bit++) {
        int64_t k = 0;
        for (int64_t i = 0; i < n->n_case; i++)
            k += (n->item[i].reasons & (1u << bit)) != 0;
        rad_night_reasons_text(1u << bit, one);
        if (k > 0 && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %" PRId64, used ? ", " : "", one, k);
    }
    return used > 0 ? entry(b, err, "  why: %s", text) : RAD_OK;
}

static rad_status put_archive(const rad_night *n, bool planned, rad_buf *b, rad_error *err) {
    rad_status st = title(b, err, "ARCHIVE", 0);
    if (st == RAD_OK)
        st = entry(b, err, "  %" PRId64 " file%s looked at, %" PRId64 " moved, %" PRId64 " read to decide", n->n_walked,
                   plural(n->n_walked), n->n_moved, n->n_read);
    if (st == RAD_OK)
        st = entry(b, err, "  %" PRId64 " case%s %sscored, %" PRId64 " kept as stored, %" PRId64 " excluded by the tables", n->n_run,
                   plural(n->n_run), planned ? "to be " : "", n->n_keep, n->n_excluded);
    return st == RAD_OK ? put_reasons(n, b, err) : st;
}

static rad_status put_cases(const rad_night *n, rad_buf *b, rad_error *err) {
    char reasons[RAD_NIGHT_REASONS_TEXT];
    int64_t told = 0;
    rad_status st = n->n_run > 0 ? title(b, err, "CASES TO BE SCORED", n->n_run) : RAD_OK;
    for (int64_t i = 0; i < n->n_case && st == RAD_OK && told < LISTED; i++) {
        const rad_night_case *c = &n->item[i];
        if (c->action != RAD_NIGHT_RUN)
            continue;
        rad_night_reasons_text(c->reasons, reasons);
        st = entry(b, err, "  %.60s %s%.60s%s%s: %s%s%s", c->patient, c->lesion ? c->lesion : "", "", c->study[0] ? " " : "", c->study,
                   reasons, c->detail[0] ? "; " : "", c->detail);
        told++;
    }
    return st == RAD_OK ? more(b, err, n->n_run) : st;
}

static rad_status put_gone(const rad_night *n, rad_buf *b, rad_error *err) {
    rad_status st = n->n_gone > 0 ? title(b, err, "VANISHED", n->n_gone) : RAD_OK;
    for (int64_t i = 0; i < n->n_gone && i < LISTED && st == RAD_OK; i++) {
        const rad_night_gone *g = &n->gone[i];
        st = g->kind == RAD_NIGHT_GONE_FILE      ? entry(b, err, "  file %s", g->path)
             : g->kind == RAD_NIGHT_GONE_PATIENT ? entry(b, err, "  patient %s", g->patient)
                                                 : entry(b, err, "  lesion %s of patient %s", g->lesion, g->patient);
    }
    return st == RAD_OK ? more(b, err, n->n_gone) : st;
}

static rad_status put_flips(const rad_night_report *r, rad_buf *b, rad_error *err) {
    rad_status st = r->n_flip > 0 ? title(b, err, "CALLS THAT FLIPPED", r->n_flip) : RAD_OK;
    for (int64_t i = 0; i < r->n_flip && i < LISTED && st == RAD_OK; i++) {
        const rad_night_flip *f = &r->flip[i];
        st = entry(b, err, "  %s%s%s (%s, %s) at '%s' of %s: %s, %.4f -> %.4f, threshold %.4f%s", f->patient, f->lesion ? " " : "",
                   f->lesion ? f->lesion : "", f->unit, f->center, f->point, f->model, f->now_positive ? "now positive" : "now negative",
                   f->before, f->after, f->threshold,
                   f->label < 0                         ? ""
                   : (f->label == 1) == f->now_positive ? ", now right"
                                                        : ", now wrong");
    }
    return st == RAD_OK ? more(b, err, r->n_flip) : st;
}

static rad_status put_scores(const rad_night_report *r, rad_buf *b, rad_error *err) {
    rad_status st = title(b, err, "SCORES", 0);
    if (st == RAD_OK)
        st = entry(b, err, "  %" PRId64 " in both runs, %" PRId64 " of them changed", r->n_common, r->n_change);
    for (int64_t i = 0; i < r->n_change && i < LISTED && st == RAD_OK; i++) {
        const rad_night_change *c = &r->change[i];
        st = entry(b, err, "  %s%s%s (%s, %s) %s %s: %.4f -> %.4f (%+.2g)", c->patient, c->lesion ? " " : "", c->lesion ? c->lesion : "",
                   c->unit, c->center, c->model, c->class_name, c->before, c->after, c->after - c->before);
    }
    return st == RAD_OK ? more(b, err, r->n_change) : st;
}

static rad_status put_metrics(const rad_night_report *r, rad_buf *b, rad_error *err) {
    rad_status st = r->n_metric > 0 ? title(b, err, "METRICS THAT MOVED", r->n_metric) : RAD_OK;
    for (int64_t i = 0; i < r->n_metric && i < LISTED && st == RAD_OK; i++) {
        const rad_night_metric *m = &r->metric[i];
        st = entry(b, err, "  %s%s%s of %s, %s %s, by %s: %.4f -> %.4f [%.4f, %.4f], n %" PRId64 " -> %" PRId64, m->name,
                   m->point ? " at " : "", m->point ? m->point : "", m->model, m->stratum_kind, m->stratum, m->unit, m->before, m->after,
                   m->lower, m->upper, m->n_before, m->n_after);
    }
    return st == RAD_OK ? more(b, err, r->n_metric) : st;
}

static rad_status put_drift(const rad_night_report *r, rad_buf *b, rad_error *err) {
    int64_t told = 0;
    rad_status st = title(b, err, "DRIFT", r->n_alarm);
    if (st == RAD_OK)
        st = entry(b, err, "  %" PRId64 " variable%s at the centers where files came in the last %d nights", r->n_drift, plural(r->n_drift),
                   RAD_NIGHT_WINDOW);
    for (int64_t i = 0; i < r->n_drift && told < LISTED && st == RAD_OK; i++) {
        const rad_night_drift *d = &r->drift[i];
        if (!d->alarm)
            continue;
        st =
            entry(b, err, "  %s: %s was %s, is %s; PSI %.2f, %s %.3g, p %.1g, n %" PRId64 " and %" PRId64, d->center, d->variable, d->base,
                  d->recent, d->psi, strcmp(d->test, "ks") == 0 ? "KS" : "chi-square", d->statistic, d->p_adjusted, d->n_base, d->n_recent);
        told++;
    }
    return st == RAD_OK ? more(b, err, r->n_alarm) : st;
}

rad_status rad_night_text(const rad_night *n, const rad_night_report *r, const char *database, rad_buf *b, rad_error *err) {
    char headline[RAD_NIGHT_HEADLINE], now[RAD_TIME_TEXT];
    rad_status st = RAD_OK;
    rad_clock_utc(now);
    rad_night_headline(n, r, headline);
    RAD_TRY(entry(b, err, "%s", headline));
    if (!r)
        RAD_TRY(entry(b, err, "%s, %s, plan only: nothing was written", now, database));
    else if (r->versus == 0)
        RAD_TRY(entry(b, err, "%s, %s, run %" PRId64 ", the first", now, database, r->run));
    else
        RAD_TRY(entry(b, err, "%s, %s, run %" PRId64 " against run %" PRId64, now, database, r->run, r->versus));
    RAD_TRY(put_archive(n, !r, b, err));
    RAD_TRY(r ? RAD_OK : put_cases(n, b, err));
    RAD_TRY(put_gone(n, b, err));
    if (!r)
        goto out;
    if (r->again)
        RAD_TRY(entry(b, err, "\nNothing that decides a result moved since this run was reported."));
    RAD_TRY(r->again ? RAD_OK : put_flips(r, b, err));
    RAD_TRY(r->again || r->versus == 0 ? RAD_OK : put_scores(r, b, err));
    RAD_TRY(r->again ? RAD_OK : put_metrics(r, b, err));
    RAD_TRY(put_drift(r, b, err));
    RAD_TRY(title(b, err, "RUN", 0));
    RAD_TRY(entry(b, err, "  %" PRId64 " cases have a score, %" PRId64 " lack at least one: radcohort status DB says why", r->n_scored,
                  r->n_excluded));
out:
    return st;
}

/* ---------------------------------------------------------------- JSON */

static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static void add(json_t *list, json_t *o, bool *ok) {
    *ok = *ok && o && json_array_append_new(list, o) == 0;
}

static json_t *json_cases(const rad_night *n, bool all, bool *ok) {
    static const char *const ACTION[] = {[RAD_NIGHT_KEEP] = "keep", [RAD_NIGHT_RUN] = "run", [RAD_NIGHT_EXCLUDED] = "excluded"};
    char reasons[RAD_NIGHT_REASONS_TEXT];
    json_t *list = json_array();
    for (int64_t i = 0; i < n->n_case; i++) {
        const rad_night_case *c = &n->item[i];
        if (!all && c->action == RAD_NIGHT_KEEP && c->reasons == 0)
            continue;
        rad_night_reasons_text(c->reasons, reasons);
        add(list,
            json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s, s:s}", "patient", c->patient, "lesion", c->lesion, "study", c->study, "center",
                      c->center, "action", ACTION[c->action], "reasons", reasons, "detail", c->detail),
            ok);
    }
    return list;
}

static json_t *json_gone(const rad_night *n, bool *ok) {
    static const char *const KIND[] = {"file", "lesion", "patient"};
    json_t *list = json_array();
    for (int64_t i = 0; i < n->n_gone; i++)
        add(list,
            json_pack("{s:s, s:s?, s:s?, s:s?}", "kind", KIND[n->gone[i].kind], "patient", n->gone[i].patient, "lesion", n->gone[i].lesion,
                      "path", n->gone[i].path),
            ok);
    return list;
}

static json_t *json_report(const rad_night_report *r, bool *ok) {
    json_t *change = json_array(), *flip = json_array(), *metric = json_array(), *drift = json_array();
    for (int64_t i = 0; i < r->n_change && i < RAD_NIGHT_LISTED; i++) {
        const rad_night_change *c = &r->change[i];
        add(change,
            json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "patient", c->patient, "lesion", c->lesion, "study", c->study,
                      "center", c->center, "model", c->model, "class", c->class_name, "unit", c->unit, "before", number(c->before), "after",
                      number(c->after)),
            ok);
    }
    for (int64_t i = 0; i < r->n_flip && i < RAD_NIGHT_LISTED; i++) {
        const rad_night_flip *f = &r->flip[i];
        add(flip,
            json_pack("{s:s, s:s?, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "patient", f->patient, "lesion", f->lesion, "center",
                      f->center, "model", f->model, "class", f->class_name, "unit", f->unit, "point", f->point, "before", number(f->before),
                      "after", number(f->after), "threshold", number(f->threshold), "positive", (int)f->now_positive),
            ok);
    }
    for (int64_t i = 0; i < r->n_metric; i++) {
        const rad_night_metric *m = &r->metric[i];
        add(metric,
            json_pack("{s:s, s:s, s:s?, s:s, s:s, s:s?, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "model", m->model, "unit", m->unit, "class",
                      m->class_name, "stratum_kind", m->stratum_kind, "stratum", m->stratum, "point", m->point, "name", m->name, "before",
                      number(m->before), "after", number(m->after), "lower", number(m->lower), "upper", number(m->upper), "n_before",
                      (json_int_t)m->n_before, "n_after", (json_int_t)m->n_after),
            ok);
    }
    for (int64_t i = 0; i < r->n_drift; i++) {
        const rad_night_drift *d = &r->drift[i];
        add(drift,
            json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:b, s:s}", "center", d->center, "variable",
                      d->variable, "unit", d->unit, "test", d->test, "n_base", (json_int_t)d->n_base, "n_recent", (json_int_t)d->n_recent,
                      "psi", number(d->psi), "statistic", number(d->statistic), "p", number(d->p), "p_adjusted", number(d->p_adjusted),
                      "base", d->base, "recent", d->recent, "alarm", (int)d->alarm, "reason", d->reason),
            ok);
    }
    return json_pack("{s:I, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "run", (json_int_t)r->run, "versus",
                     r->versus > 0 ? json_integer(r->versus) : json_null(), "again", (int)r->again, "n_scored", (json_int_t)r->n_scored,
                     "n_excluded", (json_int_t)r->n_excluded, "n_common", (json_int_t)r->n_common, "n_change", (json_int_t)r->n_change,
                     "n_flip", (json_int_t)r->n_flip, "n_alarm", (json_int_t)r->n_alarm, "changes", change, "flips", flip, "metrics",
                     metric, "drift", drift);
}

json_t *rad_night_json(const rad_night *n, const rad_night_report *r, const char *database, bool cases) {
    char headline[RAD_NIGHT_HEADLINE];
    bool ok = true;
    rad_night_headline(n, r, headline);
    json_t *list = json_cases(n, cases, &ok), *gone = json_gone(n, &ok), *report = r ? json_report(r, &ok) : json_null();
    json_t *root = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o}", "job", n->job, "headline",
                             headline, "database", database, "plan_only", r == NULL, "n_case", (json_int_t)n->n_case, "n_run",
                             (json_int_t)n->n_run, "n_keep", (json_int_t)n->n_keep, "n_excluded", (json_int_t)n->n_excluded, "files",
                             (json_int_t)n->n_walked, "files_moved", (json_int_t)n->n_moved, "files_read", (json_int_t)n->n_read, "plan_s",
                             n->plan_s, "cases", list, "gone", gone, "report", report);
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}
