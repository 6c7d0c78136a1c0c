/* cmd_plan.c: `radcohort plan`: what a run will take, and how many nodes make it as short as wanted. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>

#include "cli.h"
#include "json.h"
#include "radcohort/farm.h"

enum { MAX_PROBE = 1000, MAX_COUNT = 1000000, PROBES = 6 };
#define MAX_SECONDS 1e7
#define EFFICIENCY 0.9 /* of the ranks, start and tail included */

struct need {
    int64_t workers_per_node, max_nodes, nodes;
    double hours_wanted, hours_one, hours; /* of one rank; on `nodes` */
};

static rad_status parse_count(const char *option, const char *text, int64_t least, int64_t most, int64_t *ret, rad_error *err) {
    if (text && (!rad_parse_int(text, ret) || *ret < least || *ret > most))
        return rad_error_set(err, RAD_E_USAGE, "%s '%s': a whole number from %" PRId64 " to %" PRId64 " was expected", option, text, least,
                             most);
    return RAD_OK;
}

static rad_status parse_positive(const char *option, const char *text, double *ret, rad_error *err) {
    if (text && (!rad_parse_double(text, ret) || !(*ret > 0) || *ret > MAX_SECONDS))
        return rad_error_set(err, RAD_E_USAGE, "%s '%s': a number above 0 was expected, at most %.0f", option, text, MAX_SECONDS);
    return RAD_OK;
}

/* As many nodes as bring the time down to what is wanted, as long as every rank has two cases or more. */
static void work_out(const rad_farm_estimate *e, struct need *n) {
    const int64_t most = e->n_left / (2 * n->workers_per_node) + 1;
    n->nodes = n->max_nodes;
    n->hours_one = n->hours = (double)NAN;
    if (isfinite(e->seconds)) {
        n->hours_one = (double)e->n_left * e->seconds / 3600;
        const double want = ceil(n->hours_one / (n->hours_wanted * (double)n->workers_per_node * EFFICIENCY));
        n->nodes = want < 1 ? 1 : want < (double)n->max_nodes ? (int64_t)want : n->max_nodes;
    }
    n->nodes = n->nodes < most ? n->nodes : most;
    n->hours = n->hours_one / ((double)(n->nodes * n->workers_per_node) * EFFICIENCY);
}

static void print_text(FILE *to, const rad_farm_estimate *e, const struct need *n) {
    char text[RAD_CLI_DURATION];
    (void)fprintf(to, "job %s: %" PRId64 " cases, %" PRId64 " to be computed, %.1f GB of files, into %s\n", e->job, e->n_case, e->n_left,
                  e->bytes / 1e9, e->database);
    if (isfinite(e->seconds)) {
        (void)fprintf(to, "a rank takes %.3g s a case", e->seconds);
        if (e->n_probe > 0)
            (void)fprintf(to, " (%d computed here, with %s)", e->n_probe, e->backend);
        (void)fprintf(to, ": %s of one rank\n", rad_cli_duration(3600 * n->hours_one, text));
    } else {
        (void)fputs("how long a case takes is not known: let some be computed, or give --seconds\n", to);
    }
    (void)fprintf(to, "%" PRId64 " node%s of %" PRId64 " rank%s and one coordinator", n->nodes, n->nodes == 1 ? "" : "s",
                  n->workers_per_node, n->workers_per_node == 1 ? "" : "s");
    if (isfinite(n->hours))
        (void)fprintf(to, ": about %s", rad_cli_duration(3600 * n->hours, text));
    (void)fputc('\n', to);
}

static rad_status print_json(const rad_farm_estimate *e, const struct need *n, rad_error *err) {
    json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:i, s:o, s:o, s:I, s:I, s:I, s:o}", "job", e->job, "backend", e->backend,
                          "database", e->database, "cases", (json_int_t)e->n_case, "cases_left", (json_int_t)e->n_left, "bytes", e->bytes,
                          "probed", e->n_probe, "seconds_per_case", cli_json_number(e->seconds), "rank_hours",
                          cli_json_number(n->hours_one), "workers_per_node", (json_int_t)n->workers_per_node, "nodes", (json_int_t)n->nodes,
                          "ranks", (json_int_t)(n->nodes * n->workers_per_node + 1), "hours", cli_json_number(n->hours));
    const bool ok = j && json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    (void)putchar('\n');
    json_decref(j);
    return ok ? RAD_OK : rad_error_set(err, RAD_E_IO, "cannot write the plan as JSON");
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_plan;
    const char *job = NULL, *database = NULL, *backend = NULL, *precision = NULL, *batch = NULL, *threads = NULL, *probe = NULL,
               *seconds = NULL;
    const char *workers = NULL, *hours = NULL, *most = NULL;
    bool as_json = false, no_probe = false, allow_outside = false;
    const rad_target target[] = {{"--db", &database, NULL},
                                 {"--backend", &backend, NULL},
                                 {"--precision", &precision, NULL},
                                 {"--batch", &batch, NULL},
                                 {"--threads", &threads, NULL},
                                 {"--probe", &probe, NULL},
                                 {"--no-probe", NULL, &no_probe},
                                 {"--seconds", &seconds, NULL},
                                 {"--workers-per-node", &workers, NULL},
                                 {"--hours", &hours, NULL},
                                 {"--max-nodes", &most, NULL},
                                 {"--allow-outside", NULL, &allow_outside},
                                 {"--json", NULL, &as_json},
                                 {NULL, NULL, NULL}};
    int n = 0;
    int64_t n_probe = PROBES, n_batch = 0, n_thread = 0;
    double given = 0;
    rad_error err = {0};
    rad_farm_estimate e;
    struct need need = {.workers_per_node = 1, .max_nodes = 1, .hours_wanted = 8};
    rad_status st = rad_cli_parse(self, argc, argv, target, &job, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n < 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one job file is needed: radcohort plan %s", self->usage[0]));
    RAD_TRY(parse_count("--probe", probe, 1, MAX_PROBE, &n_probe, &err));
    RAD_TRY(parse_count("--batch", batch, 1, 4096, &n_batch, &err));
    RAD_TRY(parse_count("--threads", threads, 1, 65536, &n_thread, &err));
    RAD_TRY(parse_count("--workers-per-node", workers, 1, MAX_COUNT, &need.workers_per_node, &err));
    RAD_TRY(parse_count("--max-nodes", most, 1, MAX_COUNT, &need.max_nodes, &err));
    RAD_TRY(parse_positive("--hours", hours, &need.hours_wanted, &err));
    RAD_TRY(parse_positive("--seconds", seconds, &given, &err));
    const rad_farm_opts opts = {.job_path = job,
                                .database = database,
                                .backend = backend,
                                .precision = precision,
                                .batch = (int)n_batch,
                                .threads = (int)n_thread,
                                .allow_outside = allow_outside,
                                .quiet = true};
    RAD_TRY(rad_farm_estimate_run(&opts, no_probe || given > 0 ? 0 : (int)n_probe, &e, &err));
    if (given > 0)
        e.seconds = given;
    work_out(&e, &need);
    print_text(as_json ? stderr : stdout, &e, &need);
    if (as_json)
        RAD_TRY(print_json(&e, &need, &err));
out:
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    {"--workers-per-node", "W", NULL, "ranks that compute on a node: its GPUs (default 1)"},
    {"--hours", "H", NULL, "as many nodes as make the run about that long (default 8)"},
    {"--max-nodes", "N", NULL, "but no more than that (default 1)"},
    {"--probe", "N", NULL, "cases that are computed here (default 6)"},
    {"--no-probe", NULL, NULL, "none: the time stays unknown"},
    {"--seconds", "S", NULL, "seconds of one rank for a case, where it is known"},
    RAD_OPTION_DB,
    RAD_OPTION_BACKEND,
    RAD_OPTION_PRECISION,
    RAD_OPTION_BATCH,
    RAD_OPTION_THREADS,
    RAD_OPTION_OUTSIDE,
    {"--json", NULL, NULL, "for programs; the text goes to standard error"},
    RAD_OPTION_END,
};

const rad_command rad_command_plan = {
    .name = "plan",
    .group = RAD_GROUP_CLUSTER,
    .usage = {"JOB [options]"},
    .summary = "what a run will take: cases, rank hours, nodes; nothing is kept",
    .about = "Reads job, tables and models, looks at every file's size, and computes a few cases on this machine (evenly chosen from "
             "small to large) to see how long one rank takes. slurm/submit.sh asks it. Measure where the run will go: on a node of that "
             "kind.",
    .fill = {RAD_FILL_JOB},
    .option = options,
    .exits = "0 planned, 1 failed, 2 invalid input",
    .example = {{"radcohort plan jobs/demo.yaml", "how long would it take here?"},
                {"radcohort plan jobs/demo.yaml --workers-per-node 4 --max-nodes 16 --hours 2",
                 "how many nodes of four GPUs for two hours?"}},
    .run = run,
};
