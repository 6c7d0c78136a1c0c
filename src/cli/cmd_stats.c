/* cmd_stats.c: `radcohort stats`: the statistics of a run, computed into the database and printed with their unit and denominators. */
#include "cli.h"
#include "stats_text.h"

#include "radcohort/store.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

/* ---------------------------------------------------------------- CSV (RFC 4180) and JSON */

static void csv_text(const char *s, const char *end) {
    if (s && strpbrk(s, ",\"\r\n")) {
        putchar('"');
        for (; *s; s++) {
            if (*s == '"')
                putchar('"');
            putchar(*s);
        }
        putchar('"');
    } else if (s) {
        fputs(s, stdout);
    }
    fputs(end, stdout);
}

static void csv_number(double v) {
    if (!isnan(v))
        printf("%.17g", v);
    putchar(',');
}

static int csv_row(const rad_statistic_row *r, void *payload) {
    printf("%" PRId64 ",", *(const int64_t *)payload);
    const char *const text[] = {r->model,  r->class_name, r->unit, r->stratum_kind, r->stratum,
                                r->cohort, r->point,      r->name, r->versus,       r->method};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        csv_text(text[i], ",");
    printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", r->n, r->n_pos, r->n_missing, r->n_cluster);
    const double number[] = {r->est, r->se, r->lower, r->upper, r->level, r->p, r->p_adjusted};
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
        csv_number(number[i]);
    csv_text(r->reason, ",");
    csv_text(r->query, "\r\n");
    return 0;
}

static json_t *number_or_null(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static int json_row(const rad_statistic_row *r, void *payload) {
    json_t *o = json_pack(
        "{s:s, s:s?, s:s, s:s, s:s, s:s?, s:s?, s:s, s:s?, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:s}", "model",
        r->model, "class", r->class_name, "unit", r->unit, "stratum_kind", r->stratum_kind, "stratum", r->stratum, "cohort", r->cohort,
        "point", r->point, "name", r->name, "versus", r->versus, "method", r->method, "n", (json_int_t)r->n, "n_pos", (json_int_t)r->n_pos,
        "n_missing", (json_int_t)r->n_missing, "n_cluster", (json_int_t)r->n_cluster, "est", number_or_null(r->est), "se",
        number_or_null(r->se), "lower", number_or_null(r->lower), "upper", number_or_null(r->upper), "level", number_or_null(r->level), "p",
        number_or_null(r->p), "p_adjusted", number_or_null(r->p_adjusted), "reason", r->reason, "query", r->query);
    return o && json_array_append_new(payload, o) == 0 ? 0 : -1;
}

static rad_status print_json(rad_store *db, const rad_run_status *run, rad_error *err) {
    json_t *list = json_array();
    rad_status st = rad_store_each_statistic(db, run->run, json_row, list, err);
    json_t *root = json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "run", (json_int_t)run->run, "job", run->job, "state", run->state,
                             "finished", run->finished, "case_unit", run->case_unit, "n_case", (json_int_t)run->n_case, "n_excluded",
                             (json_int_t)run->n_excluded, "statistics", list);
    if (st == RAD_OK && (!root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) != 0))
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the JSON text");
    if (st == RAD_OK)
        putchar('\n');
    json_decref(root);
    return st;
}

/* ---------------------------------------------------------------- the command */

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_stats;
    const char *run_text = NULL, *path = NULL;
    bool json = false, csv = false, details = false;
    const rad_target target[] = {
        {"--run", &run_text, NULL}, {"--json", NULL, &json}, {"--csv", NULL, &csv}, {"--details", NULL, &details}, {NULL, NULL, NULL},
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
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one result file is needed: radcohort stats %s", self->usage[0]));
    if (json && csv)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--json and --csv exclude each other"));
    if (run_text && (!rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, &err)); /* a mistyped name must not make a file */
    if (!run_text)
        RAD_TRY(rad_store_last_run(db, &id, &err));
    RAD_TRY(rad_store_run_status(db, id, &status, &err));
    rad_store_close(&db);
    RAD_TRY(rad_store_open(path, RAD_STORE_WRITE, &db, &err));
    RAD_TRY(rad_store_compute_statistics(db, id, &err));
    if (json) {
        RAD_TRY(print_json(db, &status, &err));
    } else if (csv) {
        printf("run,model,class,unit,stratum_kind,stratum,cohort,point,name,versus,method,n,n_pos,n_missing,n_cluster,est,se,lower,upper,"
               "level,p,p_adjusted,reason,query\r\n");
        RAD_TRY(rad_store_each_statistic(db, id, csv_row, &id, &err));
    } else {
        RAD_TRY((details ? rad_stats_print_details : rad_stats_print_headline)(db, &status, &err));
    }
out:
    rad_store_close(&db);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    RAD_OPTION_RUN,
    {"--details", NULL, NULL, "every number: naive and clustered intervals, slices, operating points, calibration, centers"},
    {"--json", NULL, NULL, "all rows as JSON, numbers to the last bit"},
    {"--csv", NULL, NULL, "all rows as CSV (RFC 4180), numbers to the last bit"},
    RAD_OPTION_END,
};

const rad_command rad_command_stats = {
    .name = "stats",
    .group = RAD_GROUP_RUN,
    .usage = {"DB [options]"},
    .summary = "computes all statistics of the job into the database, prints the summary",
    .about =
        "Per model, unit (lesion, patient), class and stratum (all, internal, external, each center): units with a score and a known "
        "label, positives, units without, AUC with its 95% interval; internal against external and against each external center; "
        "calibration; the mean center and the spread between centers; models against each other on the same units. Two-class jobs also: "
        "everything that follows from each operating point and from Youden's point of the internal cohort, and readers beside the model. "
        "Jobs of more classes: means over classes and the confusion matrix; of grades also agreement with and distance from the truth. "
        "Where several units share a patient, intervals that take patients as clusters stand beside those that do not. The table is "
        "audited before it is printed.\n\n"
        "Without options the answer on one screen: AUC by stratum and model, models compared, readers.",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 computed, 1 failed, or a number contradicts another, 2 no such file or run",
    .example = {{"radcohort stats results/demo.sqlite", "the answer on one screen"},
                {"radcohort stats results/demo.sqlite --details | less", "every number, a page at a time"},
                {"radcohort stats results/demo.sqlite --csv > table.csv", "for a spreadsheet"}},
    .run = run,
};
