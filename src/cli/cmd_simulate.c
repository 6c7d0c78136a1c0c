/* cmd_simulate.c: `radcohort simulate`: how a run would go on so many ranks, by the scheduler that would run it and declared times. */
#include "cli.h"

#include "radcohort/farm.h"
#include "radcohort/simulate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <jansson.h>

/* What the coordinator takes, measured by tests/bench/coordinator_bench.c (tests/bench/README.md); the latency is a cluster's, with the
 * coordinator's naps. */
#define RESULT_US 100.0
#define LEASE_US 30.0
#define LEASE_CASE_US 15.0
#define COMMIT_US 20000.0
#define LATENCY_US 500.0

struct number {
    const char *option, *text;
    double least, most, value;
};

static rad_status parse(struct number *v, rad_error *err) {
    if (v->text && (!rad_parse_double(v->text, &v->value) || !(v->value >= v->least && v->value <= v->most)))
        return rad_error_set(err, RAD_E_USAGE, "%s '%s': a number from %g to %g was expected", v->option, v->text, v->least, v->most);
    return RAD_OK;
}

static json_t *as_json(const rad_sim_opts *o, int64_t n, const rad_sim_result *r, double plan_s, double peak_mb) {
    return json_pack("{s:I, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "cases", (json_int_t)n,
                     "ranks", o->n_rank, "work_s", r->work_s, "seconds", r->seconds, "efficiency", r->efficiency, "idle_s", r->idle_s,
                     "coordinator_s", r->coordinator_s, "coordinator_share", r->seconds > 0 ? r->coordinator_s / r->seconds : 0, "done",
                     (json_int_t)r->n_done, "left", (json_int_t)r->n_left, "quarantined", (json_int_t)r->n_quarantined, "lost_ranks",
                     (json_int_t)r->n_lost_rank, "repeated", (json_int_t)r->n_repeated, "leases", (json_int_t)r->n_lease, "messages",
                     (json_int_t)r->n_message, "simulated_in_s", plan_s, "peak_mb", peak_mb);
}

static void print_text(const rad_sim_opts *o, int64_t n, const rad_sim_result *r, double took, double peak_mb) {
    printf("%" PRId64 " cases of %.3f s on average, %d ranks: %.1f s, parallel efficiency %.2f %%\n", n, r->work_s / (double)n, o->n_rank,
           r->seconds, 100 * r->efficiency);
    printf("coordinator at work %.1f %% of the time: %" PRId64 " messages (%.0f per second), %" PRId64 " of them leases\n",
           r->seconds > 0 ? 100 * r->coordinator_s / r->seconds : 0.0, r->n_message,
           r->seconds > 0 ? (double)r->n_message / r->seconds : 0.0, r->n_lease);
    if (r->n_lost_rank > 0 || r->n_left > 0)
        printf("%" PRId64 " rank%s died, %" PRId64 " leases were given again, %" PRId64 " case%s quarantined, %" PRId64 " left undone\n",
               r->n_lost_rank, r->n_lost_rank == 1 ? "" : "s", r->n_repeated, r->n_quarantined, r->n_quarantined == 1 ? "" : "s",
               r->n_left);
    printf("simulated in %.2f s, peak memory %.0f MB\n", took, peak_mb);
}

/* The costs of a job's cases: as their bytes, with this mean. */
static rad_status costs_of_job(const char *path, double mean, double **ret, int64_t *ret_n, rad_error *err) {
    const rad_farm_opts o = {.job_path = path, .quiet = true};
    double *cost = NULL, sum = 0;
    int64_t n = 0;
    rad_status st = rad_farm_case_bytes(&o, &cost, &n, err);
    if (st != RAD_OK)
        return st;
    for (int64_t i = 0; i < n; i++)
        sum += cost[i];
    for (int64_t i = 0; i < n; i++)
        cost[i] = sum > 0 ? cost[i] * mean * (double)n / sum : mean;
    *ret = cost;
    *ret_n = n;
    return n > 0 ? RAD_OK : rad_error_set(err, RAD_E_USAGE, "'%s' has no case to score", path);
}

enum { CASES, RANKS, SPREAD, MEAN, SEED, FAIL, WINDOW, LATENCY, RESULT, LEASE, LEASE_CASE, COMMIT, SILENCE, N_NUMBER };

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_simulate;
    const char *job = NULL;
    bool json = false;
    struct number v[N_NUMBER] = {[CASES] = {"--cases", NULL, 1, RAD_MAX_SIM_CASES, 100000},
                                 [RANKS] = {"--ranks", NULL, 1, RAD_MAX_SIM_RANKS, 64},
                                 [SPREAD] = {"--cost-spread", NULL, 1, 1e6, 50},
                                 [MEAN] = {"--mean-cost", NULL, 1e-6, 1e6, 1},
                                 [SEED] = {"--seed", NULL, 0, 9e15, 1},
                                 [FAIL] = {"--fail-rate", NULL, 0, 0.999999, 0},
                                 [WINDOW] = {"--window", NULL, 1, RAD_SCHED_MAX_HOLD, 4},
                                 [LATENCY] = {"--latency-us", NULL, 0, 1e9, LATENCY_US},
                                 [RESULT] = {"--result-us", NULL, 0, 1e9, RESULT_US},
                                 [LEASE] = {"--lease-us", NULL, 0, 1e9, LEASE_US},
                                 [LEASE_CASE] = {"--lease-case-us", NULL, 0, 1e9, LEASE_CASE_US},
                                 [COMMIT] = {"--commit-us", NULL, 0, 1e9, COMMIT_US},
                                 [SILENCE] = {"--silence", NULL, 0, 1e7, RAD_SILENCE_SECONDS}};
    rad_target target[N_NUMBER + 2] = {{"--json", NULL, &json}};
    for (int i = 0; i < N_NUMBER; i++)
        target[i + 1] = (rad_target){v[i].option, &v[i].text, NULL};
    int n_job = 0;
    int64_t n = 0;
    double *cost = NULL;
    rad_error err = {0};
    rad_sim_result r = {0};
    struct rusage use;
    rad_status st = rad_cli_parse(self, argc, argv, target, &job, 1, &n_job);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    for (int i = 0; i < N_NUMBER; i++)
        RAD_TRY(parse(&v[i], &err));
    if (job && (v[CASES].text || v[SPREAD].text))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a job has its own cases: leave --cases and --cost-spread away"));
    const rad_sim_opts o = {.n_rank = (int)v[RANKS].value,
                            .window = (int64_t)v[WINDOW].value,
                            .latency_s = 1e-6 * v[LATENCY].value,
                            .result_s = 1e-6 * v[RESULT].value,
                            .lease_s = 1e-6 * v[LEASE].value,
                            .lease_case_s = 1e-6 * v[LEASE_CASE].value,
                            .commit_s = 1e-6 * v[COMMIT].value,
                            .silence_s = v[SILENCE].value,
                            .fail_rate = v[FAIL].value,
                            .seed = (uint64_t)v[SEED].value};
    const double start = rad_clock_seconds();
    if (job) {
        RAD_TRY(costs_of_job(job, v[MEAN].value, &cost, &n, &err));
    } else {
        n = (int64_t)v[CASES].value;
        cost = rad_calloc((size_t)n, sizeof *cost);
        if (!cost)
            RAD_TRY(rad_error_set(&err, RAD_E_NOMEM, "out of memory for %" PRId64 " cases", n));
        rad_sim_costs(cost, n, v[MEAN].value, v[SPREAD].value, o.seed);
    }
    RAD_TRY(rad_sim_run(cost, n, &o, &r, &err));
    const double took = rad_clock_seconds() - start, peak_mb = getrusage(RUSAGE_SELF, &use) == 0 ? (double)use.ru_maxrss / 1024 : 0;
    if (json) {
        json_t *root = as_json(&o, n, &r, took, peak_mb);
        if (!root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0)
            st = rad_error_set(&err, RAD_E_NOMEM, "out of memory for the JSON text");
        putchar('\n');
        json_decref(root);
    } else {
        print_text(&o, n, &r, took, peak_mb);
    }
out:
    free(cost);
    if (st != RAD_OK)
        return rad_cli_fail(self, st, &err);
    return r.n_left == 0 ? RAD_EXIT_OK : RAD_EXIT_STOPPED;
}

static const rad_option options[] = {
    {"--cases", "N", NULL, "so many cases instead of those of a job (default 100000)"},
    {"--cost-spread", "S", NULL, "with --cases: the largest cost so many times the smallest, log-uniform (default 50)"},
    {"--mean-cost", "S", NULL, "seconds that a rank takes for a case, on average (default 1)"},
    {"--ranks", "N", NULL, "ranks that compute (default 64)"},
    {"--fail-rate", "P", NULL, "share of the ranks that die at random times of an undisturbed run's length (default 0)"},
    {"--seed", "N", NULL, "of costs and deaths (default 1)"},
    {"--window", "N", NULL, "cases that a rank wants to hold, at least (default 4)"},
    {"--silence", "S", NULL, "seconds after which a dead rank is taken for lost (default 60)"},
    {"--latency-us", "N", NULL, "microseconds of a message one way (measured defaults: tests/bench/README.md)"},
    {"--result-us", "N", NULL, "microseconds of the coordinator per result"},
    {"--lease-us", "N", NULL, "microseconds of the coordinator per lease"},
    {"--lease-case-us", "N", NULL, "microseconds of the coordinator per leased case"},
    {"--commit-us", "N", NULL, "microseconds of the coordinator per commit of leases"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_simulate = {
    .name = "simulate",
    .group = RAD_GROUP_CLUSTER,
    .usage = {"[JOB] [options]"},
    .summary = "how a run would go on so many ranks: time, efficiency, the coordinator",
    .about = "The real scheduler decides who gets which case when; inference, network and database are times that are declared here. "
             "Nothing is read but the job, its tables and the sizes of its files: the cases of JOB cost as much as their files have "
             "bytes.",
    .fill = {RAD_FILL_JOB},
    .option = options,
    .exits = "0 every case was done, 2 invalid input, 4 no rank survived",
    .example = {{"radcohort simulate jobs/demo.yaml --ranks 32 --mean-cost 2.5", "this job on 32 ranks"},
                {"radcohort simulate --cases 1000000 --ranks 1024 --cost-spread 50 --fail-rate 0.05",
                 "a million cases on ranks of which one in twenty dies"}},
    .run = run,
};
