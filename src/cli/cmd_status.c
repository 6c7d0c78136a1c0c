/* cmd_status.c: `radcohort status`: how far a run is, at what rate, and what was excluded. Reads while the writer works. */
#include "cli.h"

#include "radcohort/store.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#define WARNINGS 5 /* different texts that are shown */

static double rate_of(const rad_run_status *r) {
    int64_t done = r->n_done - r->session_done;
    return done > 0 && r->session_s > 0 ? (double)done / r->session_s : 0;
}

static int print_exclusion(const rad_exclusion_count *c, void *payload) {
    bool *first = payload;
    if (*first)
        printf("exclusions\n");
    *first = false;
    rad_cli_say(9, "  %6" PRId64 " %s%s  %s: %s, e.g. %s", c->n, c->unit, c->n == 1 ? "" : "s", c->stage, c->reason, c->example);
    return 0;
}

struct warnings {
    int64_t n; /* told so far, of which so many rows */
    int n_row;
    json_t *list;
};

static int print_warning(const rad_warning_count *c, void *payload) {
    struct warnings *w = payload;
    if (w->n_row == WARNINGS)
        return 1;
    if (w->n_row++ == 0)
        printf("warnings\n");
    w->n += c->n;
    printf("  %6" PRId64 " %s: %s%s%s%s\n", c->n, c->stage, c->text, c->example ? (c->n == 1 ? " (" : ", e.g. (") : "",
           c->example ? c->example : "", c->example ? ")" : "");
    return 0;
}

static rad_status print_warnings(rad_store *db, const char *path, const rad_run_status *r, rad_error *err) {
    struct warnings w = {0};
    rad_status st = rad_store_each_warning(db, r->run, print_warning, &w, err);
    if (st == RAD_OK && r->n_warning > w.n)
        printf("  %6" PRId64 " further: sqlite3 %s \"SELECT * FROM v_warning WHERE run_id = %" PRId64 "\"\n", r->n_warning - w.n, path,
               r->run);
    return st;
}

static rad_status print_text(rad_store *db, const char *path, const rad_run_status *r, rad_error *err) {
    bool going = strcmp(r->state, "running") == 0, first = true;
    double rate = rate_of(r);
    int64_t files = 0, lost = 0;
    rad_status st = RAD_OK;
    printf("run %" PRId64 " of job %s on %s %s: %s\n", r->run, r->job, r->backend, r->precision,
           going && !r->writer                ? "interrupted; start the job again to go on where it stopped"
           : strcmp(r->state, "stopped") == 0 ? "stopped; start the job again to go on where it stopped"
                                              : r->state);
    printf("started %s%s%s, %" PRId64 " session%s\n", r->started, r->finished[0] ? ", finished " : "", r->finished, r->sessions,
           r->sessions == 1 ? "" : "s");
    printf("cases %" PRId64 " of %" PRId64 " (%.1f %%), %" PRId64 " in work, %" PRId64 " waiting, %" PRId64 " with exclusions, %" PRId64
           " warning%s\n",
           r->n_done, r->n_case, r->n_case ? 100.0 * (double)r->n_done / (double)r->n_case : 100.0, r->n_leased, r->n_pending,
           r->n_excluded, r->n_warning, r->n_warning == 1 ? "" : "s");
    if (r->n_no_case > 0)
        printf("%" PRId64 " patient%s without a case\n", r->n_no_case, r->n_no_case == 1 ? "" : "s");
    if (r->n_reused > 0)
        printf("reused %" PRId64 " of %" PRId64 " cases (%" PRId64 " of %" PRId64 " scores were stored already)\n", r->n_case_reused,
               r->n_case, r->n_reused, r->n_result);
    if (rate > 0) {
        printf("rate %.2f cases/s", rate);
        if (going && r->writer && r->n_done < r->n_case) {
            char text[RAD_CLI_DURATION];
            printf(", about %s left", rad_cli_duration((double)(r->n_case - r->n_done) / rate, text));
        }
        printf("\n");
    }
    RAD_TRY(rad_store_check_cams(db, r->run, &files, &lost, err));
    if (files > 0 && lost == 0)
        printf("class activation maps in %" PRId64 " file%s\n", files, files == 1 ? "" : "s");
    if (lost > 0)
        printf("class activation maps in %" PRId64 " files, %" PRId64 " of them lost: start the job again to make them again\n", files,
               lost);
    printf("time over all cases: read %.1f s, inflate %.1f s, prepare %.1f s, wait %.1f s, infer %.1f s, write %.1f s\n", r->read_s,
           r->inflate_s, r->prepare_s, r->wait_s, r->infer_s, r->write_s);
    RAD_TRY(rad_store_each_exclusion(db, r->run, print_exclusion, &first, err));
    st = print_warnings(db, path, r, err);
out:
    return st;
}

static int json_exclusion(const rad_exclusion_count *c, void *payload) {
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:s}", "unit", c->unit, "stage", c->stage, "reason", c->reason, "n", (json_int_t)c->n,
                          "example", c->example);
    return o && json_array_append_new(payload, o) == 0 ? 0 : -1;
}

static int json_warning(const rad_warning_count *c, void *payload) {
    struct warnings *w = payload;
    if (w->n_row++ == WARNINGS)
        return 1;
    json_t *o = json_pack("{s:s, s:s, s:I, s:s?}", "stage", c->stage, "text", c->text, "n", (json_int_t)c->n, "example", c->example);
    return o && json_array_append_new(w->list, o) == 0 ? 0 : -1;
}

static rad_status print_json(rad_store *db, const rad_run_status *r, rad_error *err) {
    json_t *list = json_array();
    struct warnings warnings = {.list = json_array()};
    double rate = rate_of(r);
    bool going = strcmp(r->state, "running") == 0 && r->writer;
    int64_t files = 0, lost = 0;
    rad_status st = rad_store_each_exclusion(db, r->run, json_exclusion, list, err);
    if (st == RAD_OK)
        st = rad_store_each_warning(db, r->run, json_warning, &warnings, err);
    if (st == RAD_OK)
        st = rad_store_check_cams(db, r->run, &files, &lost, err);
    json_t *root = json_pack(
        "{s:I, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, "
        "s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:o}",
        "run", (json_int_t)r->run, "job", r->job, "state", r->state, "writer", (int)r->writer, "backend", r->backend, "precision",
        r->precision, "case_unit", r->case_unit, "started", r->started, "finished", r->finished, "sessions", (json_int_t)r->sessions,
        "n_case", (json_int_t)r->n_case, "n_done", (json_int_t)r->n_done, "n_leased", (json_int_t)r->n_leased, "n_pending",
        (json_int_t)r->n_pending, "n_excluded", (json_int_t)r->n_excluded, "n_scored", (json_int_t)r->n_scored, "n_no_case",
        (json_int_t)r->n_no_case, "n_warning", (json_int_t)r->n_warning, "n_result", (json_int_t)r->n_result, "n_reused",
        (json_int_t)r->n_reused, "n_case_reused", (json_int_t)r->n_case_reused, "cam_files", (json_int_t)files, "cam_files_lost",
        (json_int_t)lost, "read_s", r->read_s, "inflate_s", r->inflate_s, "prepare_s", r->prepare_s, "wait_s", r->wait_s, "infer_s",
        r->infer_s, "write_s", r->write_s, "cases_per_s", rate, "eta_s",
        going && rate > 0 ? json_real((double)(r->n_case - r->n_done) / rate) : json_null(), "exclusions", list, "warnings", warnings.list);
    if (st == RAD_OK && (!root || json_dumpf(root, stdout, JSON_INDENT(2)) != 0))
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the JSON text");
    if (st == RAD_OK)
        putchar('\n');
    json_decref(root);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_status;
    const char *run_text = NULL, *path = NULL;
    bool json = false;
    const rad_target target[] = {
        {"--run", &run_text, NULL},
        {"--json", NULL, &json},
        {NULL, NULL, NULL},
    };
    int n = 0;
    int64_t id = 0;
    rad_error err = {0};
    rad_store *db = NULL;
    rad_run_status status;
    rad_status st = rad_cli_parse(self, argc, argv, target, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one result file is needed: radcohort status %s", self->usage[0]));
    if (run_text && (!rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, &err));
    if (!run_text)
        RAD_TRY(rad_store_last_run(db, &id, &err));
    RAD_TRY(rad_store_run_status(db, id, &status, &err));
    RAD_TRY(json ? print_json(db, &status, &err) : print_text(db, path, &status, &err));
out:
    rad_store_close(&db);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    RAD_OPTION_RUN,
    {"--json", NULL, NULL, "for programs; eta_s is null when nothing can be said"},
    RAD_OPTION_END,
};

const rad_command rad_command_status = {
    .name = "status",
    .group = RAD_GROUP_RUN,
    .usage = {"DB [options]"},
    .summary = "progress, rate, time left, exclusions and warnings of a running or finished run",
    .about = "May be asked at any time, from any machine that sees the file: it only reads. Of the warnings the five most frequent are "
             "shown; the "
             "view v_warning has all of them.",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 shown, 1 failed, 2 no such file or run",
    .example = {{"radcohort status results/demo.sqlite", "how far is it?"},
                {"watch radcohort status results/demo.sqlite", "the same, every two seconds"}},
    .run = run,
};
