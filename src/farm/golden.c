/* golden.c: cases whose scores are known to the bit are scored before a night begins: by this process, with the night's backend, precision
 * and weights, from files to scores, without database. A library that was updated under the program, a device that computes wrongly, a
 * change of rules that was thought to change nothing: each shows here, before thousands of results are mixed with the old ones. */
#include "golden.h"

#include "signals.h"
#include "solo.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SECONDS 0.2
#define SECONDS 1800.0 /* for all of them */
#define END_PATIENCE 10.0
#define MAX_SHOWN 64 /* scores in the table's column; the hash is over all */

struct scored { /* one model on one case */
    bool ok;
    char sha256[RAD_SHA256_HEX];
    char *text; /* owned */
    double score[MAX_SHOWN];
    int n;
};

struct golden {
    const rad_plan *plan;
    rad_pending_case *pending;
    int n;
    struct scored *item; /* [n, n_model] */
    char why[200];       /* of the first that has no score */
};

static void release(struct golden *g) {
    for (int i = 0; g->item && i < g->n * g->plan->job->n_model; i++)
        free(g->item[i].text);
    free(g->item);
    free(g->pending);
}

static rad_status keep(struct golden *g, const rad_wire_result *r, rad_error *err) {
    rad_status st = RAD_OK;
    for (int m = 0; m < r->result.n_model && st == RAD_OK; m++) {
        const rad_model_result *mr = &r->result.model[m];
        struct scored *s = &g->item[r->index * g->plan->job->n_model + m];
        rad_buf exact, text;
        rad_buf_init(&exact, RAD_MAX_MESSAGE);
        rad_buf_init(&text, RAD_MAX_MESSAGE);
        if (mr->status != RAD_OK && !g->why[0])
            snprintf(g->why, sizeof g->why, "%s: %.150s", rad_status_reason(mr->status), mr->why ? mr->why : "");
        for (int64_t i = 0; i < mr->n_slice && mr->status == RAD_OK && st == RAD_OK; i++) {
            st = rad_buf_printf(&exact, err, "slice %" PRId64 "\n", mr->slice[i]);
            for (int c = 0; c < r->n_class && st == RAD_OK; c++) {
                const double x = mr->score[i * r->n_class + c];
                st = rad_buf_printf(&exact, err, "%a\n", x);
                if (st == RAD_OK && s->n < MAX_SHOWN) {
                    st = rad_buf_printf(&text, err, "%s%.17g", s->n ? "," : "", x);
                    s->score[s->n++] = x;
                }
            }
        }
        if (st == RAD_OK && mr->status == RAD_OK)
            st = rad_sha256(exact.data, exact.size, s->sha256, err);
        if (st == RAD_OK && mr->status == RAD_OK && !(s->text = rad_strdup(text.data)))
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for golden cases");
        s->ok = st == RAD_OK && mr->status == RAD_OK;
        rad_buf_release(&exact);
        rad_buf_release(&text);
    }
    return st;
}

static rad_status score(const rad_farm_opts *o, struct golden *g, rad_error *err) {
    const rad_plan *p = g->plan;
    rad_worker *w = NULL;
    rad_status st = RAD_OK;
    int done = 0;
    RAD_TRY(rad_solo_start(o, p, g->pending, g->n, &w, err));
    const double until = rad_clock_seconds() + SECONDS;
    while (done < g->n) {
        rad_buf b;
        int64_t guilty[RAD_MAX_LEASE_CASES], n_guilty = 0;
        if (rad_worker_take(w, WAIT_SECONDS, &b)) {
            rad_wire_arena a = {0};
            rad_wire_result r;
            st = rad_wire_get_result(b.data, b.size, &a, &r, err);
            if (st == RAD_OK)
                st = keep(g, &r, err);
            rad_wire_arena_release(&a);
            rad_buf_release(&b);
            done++;
        } else {
            st = rad_worker_fault(w, RAD_MAX_LEASE_CASES, guilty, &n_guilty, err);
        }
        if (st == RAD_OK && rad_signals_asked() != 0)
            st = rad_error_set(err, RAD_E_STOPPED, "stopped on request while the golden cases were scored");
        else if (st == RAD_OK && done < g->n && rad_clock_seconds() > until)
            st = rad_error_set(err, RAD_E_DEVICE, "the golden cases were not scored within %.0f s", SECONDS);
        if (st != RAD_OK)
            goto out;
    }
out:
    rad_worker_destroy(&w, END_PATIENCE);
    return st;
}

static rad_status make_room(struct golden *g, int n, rad_error *err) {
    g->pending = rad_calloc((size_t)n, sizeof *g->pending);
    g->item = rad_calloc((size_t)n * (size_t)g->plan->job->n_model, sizeof *g->item);
    return g->pending && g->item ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory for golden cases");
}

/* ---------------------------------------------------------------- check */

static bool same(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static int64_t find_case(const rad_plan *p, const rad_golden_row *r) {
    for (int64_t i = 0; i < p->manifest->n_case; i++) {
        const rad_case *k = &p->manifest->item[i];
        if (same(p->cohort->patient[k->patient].id, r->patient) &&
            same(k->lesion < 0 ? NULL : p->cohort->lesion[k->lesion].id, r->lesion) && same(k->study, r->study))
            return i;
    }
    return -1;
}

static rad_status place(struct golden *g, const rad_golden *t, int *at, int *model, rad_error *err) {
    const rad_plan *p = g->plan;
    for (int64_t i = 0; i < t->n; i++) {
        const rad_golden_row *r = &t->row[i];
        const int64_t k = find_case(p, r);
        model[i] = at[i] = -1;
        for (int m = 0; m < p->job->n_model; m++)
            model[i] = same(p->job->model[m].name, r->model) ? m : model[i];
        if (k < 0 || model[i] < 0)
            return rad_error_set(err, RAD_E_CONFIG,
                                 "golden case of line %" PRId64 " (patient '%.60s', model '%.64s') is not in the job; write the "
                                 "table again with --make-golden",
                                 r->line, r->patient, r->model);
        for (int j = 0; j < g->n; j++)
            at[i] = g->pending[j].manifest_index == k ? j : at[i];
        if (at[i] < 0 && g->n == RAD_MAX_GOLDEN)
            return rad_error_set(err, RAD_E_CONFIG, "more than %d golden cases", RAD_MAX_GOLDEN);
        if (at[i] < 0) {
            at[i] = g->n;
            g->pending[g->n++] = (rad_pending_case){.case_id = k, .manifest_index = k};
        }
    }
    return RAD_OK;
}

/* The largest difference of the scores that the row shows, and whether any can be told. */
static double difference(const rad_golden_row *r, const struct scored *s) {
    double most = 0;
    const char *at = r->scores;
    for (int i = 0; i < s->n; i++) {
        char *end;
        const double x = strtod(at, &end);
        if (end == at)
            return (double)NAN;
        most = fmax(most, fabs(x - s->score[i]));
        at = *end == ',' ? end + 1 : end;
    }
    return most;
}

static rad_status compare(const struct golden *g, const rad_golden *t, const int *at, const int *model, rad_error *err) {
    int64_t n = 0, first = -1;
    double most = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const struct scored *s = &g->item[at[i] * g->plan->job->n_model + model[i]];
        if (!s->ok)
            return rad_error_set(
                err, RAD_E_DEVICE, "golden case '%.60s%s%.60s' has no score of model '%.64s' any more: %s; nothing was touched",
                t->row[i].patient, t->row[i].lesion ? " " : "", t->row[i].lesion ? t->row[i].lesion : "", t->row[i].model, g->why);
        if (strcmp(s->sha256, t->row[i].sha256) == 0)
            continue;
        const double d = difference(&t->row[i], s);
        if (first < 0 || d > most)
            first = i;
        most = fmax(most, d);
        n++;
    }
    if (n == 0)
        return RAD_OK;
    const rad_golden_row *r = &t->row[first];
    return rad_error_set(
        err, RAD_E_DEVICE,
        "%" PRId64 " of %" PRId64 " golden scores differ, the most by %.3g: patient '%.60s'%s%.60s, model '%.64s', on %.100s; nothing was "
        "touched. If the change is meant, write the table again with --make-golden",
        n, t->n, most, r->patient, r->lesion ? ", lesion " : "", r->lesion ? r->lesion : "", r->model, g->plan->backend_version);
}

rad_status rad_golden_check(const rad_farm_opts *o, const rad_plan *p, rad_error *err) {
    struct golden g = {.plan = p};
    rad_golden *t = NULL;
    rad_issues issues = {0};
    int *at = NULL, *model = NULL;
    rad_status st = rad_golden_read(p->job->golden, &t, &issues, err);
    if (st != RAD_OK) {
        rad_issues_print(&issues, stderr);
        goto out;
    }
    at = rad_calloc((size_t)t->n, sizeof *at);
    model = rad_calloc((size_t)t->n, sizeof *model);
    if (!at || !model) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for golden cases");
        goto out;
    }
    RAD_TRY(make_room(&g, RAD_MAX_GOLDEN, err));
    RAD_TRY(place(&g, t, at, model, err));
    RAD_TRY(score(o, &g, err));
    st = compare(&g, t, at, model, err);
out:
    free(at);
    free(model);
    release(&g);
    rad_golden_destroy(&t);
    rad_issues_release(&issues);
    return st;
}

/* ---------------------------------------------------------------- make */

static rad_status write(const struct golden *g, const char *path, rad_error *err) {
    const rad_plan *p = g->plan;
    int64_t n = 0;
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_MESSAGE);
    rad_status st = rad_buf_printf(&b, err, "patient\tlesion\tstudy\tmodel\tsha256\tscores\n");
    for (int i = 0; i < g->n && st == RAD_OK; i++) {
        const rad_case *k = &p->manifest->item[g->pending[i].manifest_index];
        for (int m = 0; m < p->job->n_model && st == RAD_OK; m++) {
            const struct scored *s = &g->item[i * p->job->n_model + m];
            if (!s->ok)
                continue;
            st = rad_buf_printf(&b, err, "%s\t%s\t%s\t%s\t%s\t%s\n", p->cohort->patient[k->patient].id,
                                k->lesion < 0 ? "" : p->cohort->lesion[k->lesion].id, k->study ? k->study : "", p->job->model[m].name,
                                s->sha256, s->text);
            n++;
        }
    }
    if (st == RAD_OK && n == 0)
        st = rad_error_set(err, RAD_E_CONFIG, "none of %d cases could be scored: %s", g->n, g->why);
    if (st == RAD_OK)
        st = rad_file_write_atomic_mode(path, 0600, b.data, b.size, err);
    rad_buf_release(&b);
    return st;
}

rad_status rad_farm_make_golden(const rad_farm_opts *o, int n_case, rad_error *err) {
    rad_plan p = {0};
    struct golden g = {.plan = &p};
    rad_status st = RAD_OK;
    rad_signals_install();
    RAD_TRY(rad_plan_read_job(o, true, &p, err));
    if (!p.job->golden) {
        st = rad_error_set(err, RAD_E_CONFIG, "'%s' has no key 'golden' that names the table to write; for example: golden: golden.tsv",
                           o->job_path);
        goto out;
    }
    RAD_TRY(rad_plan_complete(o, &p, err));
    RAD_TRY(make_room(&g, RAD_MAX_GOLDEN, err));
    int64_t able = 0, seen = 0;
    for (int64_t i = 0; i < p.manifest->n_case; i++)
        able += rad_plan_wants(&p, i);
    const int64_t wanted = n_case < able ? n_case : able;
    for (int64_t i = 0; i < p.manifest->n_case && g.n < wanted; i++)
        if (rad_plan_wants(&p, i) && seen++ == (2 * g.n + 1) * able / (2 * wanted)) /* the middles of equal parts */
            g.pending[g.n++] = (rad_pending_case){.case_id = i, .manifest_index = i};
    if (g.n == 0) {
        st = rad_error_set(err, RAD_E_CONFIG, "the job has no case that could be scored");
        goto out;
    }
    RAD_TRY(score(o, &g, err));
    st = write(&g, p.job->golden, err);
out:
    release(&g);
    rad_signals_restore();
    rad_plan_release(&p);
    return st;
}
