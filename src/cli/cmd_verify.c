/* cmd_verify.c: `radcohort verify`: is every result and every row of every finished run still what was stored? */
#include "cli.h"

#include "radcohort/store.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

enum { MAX_TOLD = 1000 }; /* lines, or entries of the JSON list: the rest is counted */

struct told {
    json_t *list; /* NULL: lines */
    int64_t n;
};

static int tell(const rad_seal_finding *f, void *payload) {
    struct told *t = payload;
    char run[32] = "";
    if (++t->n > MAX_TOLD)
        return 0;
    if (t->list) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "table", f->table, "what", f->what, "row", f->row, "run",
                              f->run > 0 ? json_integer((json_int_t)f->run) : json_null());
        return o && json_array_append_new(t->list, o) == 0 ? 0 : -1;
    }
    if (f->run > 0)
        snprintf(run, sizeof run, "run %" PRId64 ", ", f->run);
    printf("%s%s: %s %s\n", run, f->table, f->what, f->row);
    return 0;
}

static void print_text(const rad_seal_report *r) {
    if (r->n_finding > MAX_TOLD)
        printf("and %" PRId64 " more\n", r->n_finding - MAX_TOLD);
    printf("%" PRId64 " result%s, %" PRId64 " row%s of %" PRId64 " finished run%s, %" PRId64 " seal%s: ", r->n_result,
           r->n_result == 1 ? "" : "s", r->n_row, r->n_row == 1 ? "" : "s", r->n_run, r->n_run == 1 ? "" : "s", r->n_seal,
           r->n_seal == 1 ? "" : "s");
    if (r->n_finding == 0)
        printf("as they were stored\n");
    else
        printf("%" PRId64 " not as stored\n", r->n_finding);
    if (r->n_open > 0)
        printf("%" PRId64 " run%s not finished: their results are checked, their tables are sealed at their end\n", r->n_open,
               r->n_open == 1 ? " is" : "s are");
    if (r->head[0])
        printf("head %s\n", r->head);
}

static rad_status print_json(const rad_seal_report *r, json_t *list, rad_error *err) {
    json_t *root =
        json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:O}", "intact", r->n_finding == 0, "n_result", (json_int_t)r->n_result,
                  "n_row", (json_int_t)r->n_row, "n_run", (json_int_t)r->n_run, "n_open", (json_int_t)r->n_open, "n_seal",
                  (json_int_t)r->n_seal, "n_finding", (json_int_t)r->n_finding, "head", r->head, "findings", list);
    rad_status st =
        root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory for the JSON text");
    if (st == RAD_OK)
        putchar('\n');
    json_decref(root);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_verify;
    const char *path = NULL, *head = NULL;
    bool json = false;
    const rad_target target[] = {{"--head", &head, NULL}, {"--json", NULL, &json}, {NULL, NULL, NULL}};
    int n = 0;
    rad_error err = {0};
    uint8_t bytes[RAD_SHA256_BYTES];
    rad_store *db = NULL;
    rad_seal_report report;
    struct told told = {NULL, 0};
    rad_status st = rad_cli_parse(self, argc, argv, target, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one result file is needed: radcohort verify %s", self->usage[0]));
    if (head && !rad_sha256_bytes(head, bytes))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--head '%s': the 64 digits were expected that 'radcohort verify' printed before", head));
    told.list = json ? json_array() : NULL;
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, &err));
    RAD_TRY(rad_store_verify(db, head, tell, &told, &report, &err));
    if (json)
        RAD_TRY(print_json(&report, told.list, &err));
    else
        print_text(&report);
out:
    rad_store_close(&db);
    json_decref(told.list);
    if (st != RAD_OK)
        return rad_cli_fail(self, st, &err);
    return report.n_finding == 0 ? RAD_EXIT_OK : RAD_EXIT_FAILED;
}

static const rad_option options[] = {
    {"--head", "SHA256", NULL, "a head noted earlier: it must be a link of the chain"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_verify = {
    .name = "verify",
    .group = RAD_GROUP_TRUST,
    .usage = {"DB [options]"},
    .summary = "finds rows that were changed, deleted or inserted after they were stored",
    .about = "Every result is sealed by SHA-256 when it is stored, and the tables of a run when it is finished (classes, models, points, "
             "patients, manifest, results, scores, exclusions, statistics, and when and where it ran), and the cohort's tables when they "
             "are read; each seal is over the one before it. All of them are computed again; each row that differs is named. The last "
             "link, the head, is the same for the same "
             "results, whatever the number of ranks and the order in which they came. Who changes the file and computes the chain anew "
             "changes the head: keep it with the paper. May be asked while a run writes.",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 all is as it was stored, 1 it is not, 2 invalid input",
    .example = {{"radcohort verify results/demo.sqlite", "is the file what the run wrote?"},
                {"radcohort verify results/demo.sqlite --json", "the findings for a program"}},
    .run = run,
};
