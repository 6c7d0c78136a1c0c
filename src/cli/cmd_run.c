/* cmd_run.c: `radcohort run`: the main job, alone or as one of the ranks that a launcher started. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "launch.h"
#include "outcome.h"
#include "radcohort/issue.h"
#include "radcohort/job.h"
#include "radcohort/farm.h"

enum { MAX_BATCH = 4096 /* the job's key has the same limit */, MAX_THREADS = 65536, MAX_RANKS = 1000000 };
#define MAX_SECONDS 1e7

static rad_status parse_count(const char *option, const char *text, int most, int *ret, rad_error *err) {
    int64_t v = 0;
    if (text && (!rad_parse_int(text, &v) || v < 1 || v > most))
        return rad_error_set(err, RAD_E_USAGE, "%s '%s': a whole number from 1 to %d was expected", option, text, most);
    *ret = (int)v;
    return RAD_OK;
}

static rad_status parse_seconds(const char *option, const char *text, double *ret, rad_error *err) {
    double v = 0;
    if (text && (!rad_parse_double(text, &v) || !(v > 0) || v > MAX_SECONDS))
        return rad_error_set(err, RAD_E_USAGE, "%s '%s': seconds were expected, more than 0 and at most %.0f", option, text, MAX_SECONDS);
    *ret = v;
    return RAD_OK;
}

static rad_status parse_mode(const char *text, unsigned *ret, rad_error *err) {
    char *end = NULL;
    unsigned long v = text ? strtoul(text, &end, 8) : 0;
    if (text && (*end || end == text || v > 0777 || (v & 0600) != 0600))
        return rad_error_set(err, RAD_E_USAGE,
                             "--file-mode '%s': permissions in octal were expected that let the owner read and write, like 0640", text);
    *ret = (unsigned)v;
    return RAD_OK;
}

/* A number of the environment; false when it is not set or none. */
static bool from_environment(const char *name, int64_t *ret) {
    const char *text = getenv(name);
    return text && rad_parse_int(text, ret);
}

/* "I/N" from 1, or "auto": the place in a job array, or among the tasks of a step. */
static rad_status parse_shard(const char *text, rad_farm_opts *o, rad_error *err) {
    int64_t i = 0, n = 0, first = 0;
    if (strcmp(text, "auto") == 0) {
        if (from_environment("SLURM_ARRAY_TASK_ID", &i) && from_environment("SLURM_ARRAY_TASK_COUNT", &n) &&
            from_environment("SLURM_ARRAY_TASK_MIN", &first))
            i -= first - 1;
        else if (from_environment("SLURM_PROCID", &i) && from_environment("SLURM_NTASKS", &n))
            i++;
        else
            return rad_error_set(err, RAD_E_USAGE, "--shard auto: neither an array task nor a step of Slurm is here; give '--shard I/N'");
    } else {
        char *slash = strchr(text, '/'), *left = slash ? rad_strndup(text, (size_t)(slash - text)) : NULL;
        const bool ok = left && rad_parse_int(left, &i) && rad_parse_int(slash + 1, &n);
        free(left);
        if (!ok)
            return rad_error_set(err, RAD_E_USAGE, "--shard '%s': 'I/N' was expected, like 3/16, or 'auto'", text);
    }
    if (n < 1 || n > RAD_MAX_SHARDS || i < 1 || i > n)
        return rad_error_set(err, RAD_E_USAGE,
                             "--shard: %" PRId64 " of %" PRId64 " makes no sense: from 1 to N of at most %d (array indices without gaps)",
                             i, n, RAD_MAX_SHARDS);
    o->shard = (int)(i - 1);
    o->n_shard = (int)n;
    return RAD_OK;
}

/* The command as it was given, for the record. */
static rad_status join(int argc, char **argv, rad_buf *b, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "radcohort");
    for (int i = 0; i < argc && st == RAD_OK; i++)
        st = rad_buf_printf(b, err, " %s", argv[i]);
    return st;
}

json_t *rad_run_outcome_json(const rad_farm_outcome *o) {
    double busy[RAD_N_LIMIT];
    json_t *reasons = json_object();
    for (int i = 0; i < o->n_reason; i++)
        json_object_set_new(reasons, o->reason[i].reason, json_integer(o->reason[i].n));
    return json_pack("{s:s, s:I, s:i, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:o, s:{s:I, s:f, s:f, s:f, "
                     "s:f, s:f, s:f, s:f, s:f, s:I, s:s, s:s}}",
                     "database", o->database, "run", (json_int_t)o->run, "exit_code", o->exit_code, "resumed", o->resumed, "nothing_to_do",
                     o->nothing_to_do, "cases", (json_int_t)o->n_case, "scored", (json_int_t)o->n_scored, "excluded",
                     (json_int_t)o->n_excluded, "left", (json_int_t)o->n_left, "patients_without_case", (json_int_t)o->n_no_case,
                     "recovered", (json_int_t)o->n_recovered, "shared_images", (json_int_t)o->n_copy, "shared_across_folds",
                     (json_int_t)o->n_leak, "reused", "cases", (json_int_t)o->n_case_reused, "results", (json_int_t)o->n_reused,
                     "of_results", (json_int_t)o->n_result, "excluded_in_session", reasons, "session", "cases", (json_int_t)o->n_done,
                     "seconds", o->seconds, "read_s", o->read_s, "inflate_s", o->inflate_s, "prepare_s", o->prepare_s, "wait_s", o->wait_s,
                     "infer_s", o->infer_s, "map_s", o->map_s, "write_s", o->write_s, "read_bytes", (json_int_t)o->read_bytes, "limit",
                     o->n_done > 0 && o->n_rank > 0 ? rad_limit_name(rad_farm_limit(o, busy)) : "", "resources", o->room);
}

/* What kept the session from being faster. */
static void print_limit(const rad_farm_outcome *o) {
    double busy[RAD_N_LIMIT];
    if (o->n_done == 0 || o->n_rank == 0)
        return;
    const rad_limit limit = rad_farm_limit(o, busy);
    char text[400];
    size_t n = (size_t)snprintf(text, sizeof text, "limit:   %s", rad_limit_name(limit));
    for (int i = 0; i < RAD_LIMIT_WAIT && n < sizeof text; i++)
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%s%s %.0f %%", i ? ", " : " (busy: ", rad_limit_name((rad_limit)i), 100 * busy[i]);
    rad_cli_say(9, "%s)", text);
}

static rad_status put_outcome(const rad_farm_outcome *o, rad_buf *b, rad_error *err) {
    rad_status st = RAD_OK;
    RAD_TRY(rad_buf_printf(b, err, "%" PRId64 " case%s: %" PRId64 " scored, %" PRId64 " excluded", o->n_case, o->n_case == 1 ? "" : "s",
                           o->n_scored, o->n_excluded));
    for (int i = 0; i < o->n_reason; i++)
        RAD_TRY(rad_buf_printf(b, err, "%s%s %" PRId64, i ? ", " : " (in this session: ", o->reason[i].reason, o->reason[i].n));
    RAD_TRY(rad_buf_printf(b, err, "%s", o->n_reason > 0 ? ")" : ""));
    if (o->n_left > 0)
        RAD_TRY(rad_buf_printf(b, err, ", %" PRId64 " still to be done", o->n_left));
    if (o->n_no_case > 0)
        RAD_TRY(rad_buf_printf(b, err, "; %" PRId64 " patient%s without a case", o->n_no_case, o->n_no_case == 1 ? "" : "s"));
    if (o->n_reused > 0)
        RAD_TRY(rad_buf_printf(b, err, "; %" PRId64 " of %" PRId64 " cases reused (%" PRId64 " of %" PRId64 " scores were stored already)",
                               o->n_case_reused, o->n_case, o->n_reused, o->n_result));
    if (o->n_copy > 0)
        RAD_TRY(rad_buf_printf(b, err, "; %" PRId64 " pair%s of images that two patients share", o->n_copy, o->n_copy == 1 ? "" : "s"));
    if (o->n_leak > 0)
        RAD_TRY(rad_buf_printf(b, err, ", %" PRId64 " of them across folds: LEAKAGE", o->n_leak));
    if (o->n_copy > 0)
        RAD_TRY(rad_buf_printf(b, err, " (v_near_copy)"));
    if (o->n_recovered > 0)
        RAD_TRY(rad_buf_printf(b, err, "; %" PRId64 " recovered from the journals of an interrupted session", o->n_recovered));
    if (o->n_done > 0)
        RAD_TRY(rad_buf_printf(
            b, err, "; %.1f s, %.1f cases/s (read %.1f s, inflate %.1f s, prepare %.1f s, infer %.1f s, write %.1f s, summed over threads)",
            o->seconds, o->seconds > 0 ? (double)o->n_done / o->seconds : 0.0, o->read_s, o->inflate_s, o->prepare_s, o->infer_s,
            o->write_s + o->map_s));
out:
    return st;
}

void rad_run_print_outcome(const rad_farm_outcome *o) {
    rad_buf b;
    rad_buf_init(&b, RAD_CLI_SENTENCE);
    if (o->nothing_to_do)
        rad_cli_say(0, "run %" PRId64 " is finished: every case has its result already, nothing was computed", o->run);
    if (put_outcome(o, &b, NULL) == RAD_OK)
        rad_cli_say(2, "%s", b.data);
    rad_buf_release(&b);
    print_limit(o);
    if (o->n_left > 0) {
        printf("stopped; the same command goes on where it stopped\n");
        return;
    }
    printf("results: %s\n", o->database);
    if (o->n_scored == 0)
        printf("next:    radcohort status %s    (no case has the scores of all models: it says why)\n", o->database);
    else
        printf("next:    radcohort stats %s\n         sqlite3 %s 'SELECT * FROM v_case_score LIMIT 10'\n", o->database, o->database);
}

/* The status file of a run without --status; NULL when memory is out or the job says nothing of its database (the ranks will say why). */
static char *default_status(const char *job_path, const char *database) {
    rad_job *job = NULL;
    rad_issues issues = {0};
    char *path = NULL;
    if (database)
        path = rad_asprintf("%s.status.json", database);
    else if (rad_job_read(job_path, &job, &issues, NULL) == RAD_OK)
        path = job->database ? rad_asprintf("%s.status.json", job->database) : rad_asprintf("results/%s.sqlite.status.json", job->name);
    rad_issues_release(&issues);
    rad_job_destroy(&job);
    return path;
}

static void print_shard(const rad_farm_outcome *o, const rad_farm_opts *opts) {
    printf("shard %d of %d: %" PRId64 " case%s, %" PRId64 " computed now, %" PRId64 " excluded, %" PRId64 " still to be done; %.1f s\n",
           opts->shard + 1, opts->n_shard, o->n_case, o->n_case == 1 ? "" : "s", o->n_done, o->n_excluded, o->n_left, o->seconds);
    printf("next:    radcohort merge %s %s\n", opts->job_path, opts->spool_dir);
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_run;
    const char *job = NULL, *database = NULL, *backend = NULL, *precision = NULL, *batch = NULL, *threads = NULL;
    const char *status = NULL, *prometheus = NULL, *scratch = NULL, *mode = NULL, *deadline = NULL, *silence = NULL, *merge = NULL,
               *spool = NULL, *shard = NULL;
    const char *ranks = NULL;
    bool allow_outside = false, quiet = false, as_json = false;
    const rad_target target[] = {
        {"--db", &database, NULL},
        {"--backend", &backend, NULL},
        {"--precision", &precision, NULL},
        {"--batch", &batch, NULL},
        {"--threads", &threads, NULL},
        {"--allow-outside", NULL, &allow_outside},
        {"--quiet", NULL, &quiet},
        {"--json", NULL, &as_json},
        {"--status", &status, NULL},
        {"--scratch", &scratch, NULL},
        {"--file-mode", &mode, NULL},
        {"--case-deadline", &deadline, NULL},
        {"--silence", &silence, NULL},
        {"--merge", &merge, NULL},
        {"--spool", &spool, NULL},
        {"--shard", &shard, NULL},
        {"--ranks", &ranks, NULL},
        {"--prometheus", &prometheus, NULL},
        {NULL, NULL, NULL},
    };
    int n = 0;
    rad_error err = {0};
    rad_buf line;
    rad_buf_init(&line, 1 << 20);
    rad_farm_outcome o = {.is_root = true, .exit_code = RAD_EXIT_FAILED};
    rad_status st = rad_cli_parse(self, argc, argv, target, &job, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    rad_farm_opts opts = {
        .job_path = job, .database = database, .backend = backend, .precision = precision, .allow_outside = allow_outside, .quiet = quiet};
    if (n < 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one job file is needed: radcohort run %s", self->usage[0]));
    if (database && !database[0])
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--db '': the name of a file was expected"));
    RAD_TRY(parse_count("--batch", batch, MAX_BATCH, &opts.batch, &err));
    RAD_TRY(parse_count("--threads", threads, MAX_THREADS, &opts.threads, &err));
    RAD_TRY(parse_seconds("--case-deadline", deadline, &opts.case_deadline, &err));
    RAD_TRY(parse_seconds("--silence", silence, &opts.silence, &err));
    if (silence && opts.silence < RAD_MIN_SILENCE)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--silence %s: at least %.0f seconds: ranks give a sign of life every five", silence,
                              RAD_MIN_SILENCE));
    RAD_TRY(parse_mode(mode, &opts.file_mode, &err));
    opts.status = status;
    opts.prometheus = prometheus;
    opts.scratch = scratch;
    opts.merge_dir = merge;
    opts.spool_dir = spool;
    if (!spool != !shard || (spool && (database || merge || scratch || ranks)))
        RAD_TRY(rad_error_set(
            &err, RAD_E_USAGE,
            "--spool DIR and --shard I/N belong together, and leave the database alone (no --db, --merge, --scratch, --ranks)"));
    if (shard)
        RAD_TRY(parse_shard(shard, &opts, &err));
    if (ranks) {
        int n_rank = 0, code = RAD_EXIT_FAILED;
        RAD_TRY(parse_count("--ranks", ranks, MAX_RANKS, &n_rank, &err));
        char *path = status ? rad_strdup(status) : default_status(job, database);
        st = rad_cli_launch(argc, argv, n_rank, path, &code, &err);
        free(path);
        return st == RAD_OK ? code : rad_cli_fail(self, st, &err);
    }
    RAD_TRY(join(argc, argv, &line, &err));
    opts.command_line = line.data;
    RAD_TRY(rad_farm_run(&opts, &o, &err));
    if (o.is_root && as_json) {
        json_t *j = rad_run_outcome_json(&o);
        if (!j || json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) != 0)
            st = rad_error_set(&err, RAD_E_IO, "cannot write the outcome as JSON");
        printf("\n");
        json_decref(j);
    } else if (o.is_root && spool) {
        print_shard(&o, &opts);
    } else if (o.is_root) {
        rad_run_print_outcome(&o);
    }
out:
    rad_buf_release(&line);
    if (st != RAD_OK && o.is_root)
        return rad_cli_fail(self, st, &err);
    if (st != RAD_OK)
        rad_log(RAD_LOG_ERROR, "%s", err.text);
    return o.exit_code;
}

static const rad_option options[] = {
    RAD_OPTION_DB,
    RAD_OPTION_BACKEND,
    RAD_OPTION_PRECISION,
    RAD_OPTION_BATCH,
    RAD_OPTION_THREADS,
    {"--ranks", "N", NULL, "start N ranks here with mpirun (in an allocation: on its nodes); Ctrl-C and exit status as without"},
    RAD_OPTION_SCRATCH,
    RAD_OPTION_STATUS,
    {"--prometheus", "FILE", RAD_FILL_FILE,
     "the same figures for the textfile collector of Prometheus' node_exporter (FILE ends in .prom), every 5 s"},
    {"--case-deadline", "S", NULL, "seconds after which a case counts as hung, plus one per megabyte of its files (default 1800)"},
    {"--silence", "S", NULL, "seconds after which a rank that says nothing counts as lost (default 60)"},
    {"--file-mode", "MODE", "0600 0640 0660 0664", "permissions of a new database (default 0600); the umask takes from them"},
    {"--merge", "DIR", RAD_FILL_DIR, "first take in the results of shards"},
    {"--spool", "DIR", RAD_FILL_DIR,
     "with --shard: score without database and MPI into files of DIR, which 'radcohort merge JOB DIR' takes in"},
    {"--shard", "I/N", "auto", "with --spool: only part I of N, or 'auto': the place in an array of Slurm"},
    RAD_OPTION_OUTSIDE,
    {"--quiet", NULL, NULL, "no progress"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_run = {
    .name = "run",
    .group = RAD_GROUP_RUN,
    .usage = {"JOB [options]", "JOB --spool DIR --shard I/N [options]"},
    .summary = "scores every case of a job's cohort into one SQLite file",
    .about =
        "Works alone, with --ranks N, under 'mpirun -n N' and under 'srun --mpi=pmix'. With several ranks, rank 0 hands out the work and "
        "writes the database, the others score. The scores do not depend on the number of ranks, the batch or the threads.\n\n"
        "Whatever was interrupted goes on where it stopped when the same command is given again; after a change of job, tables or files "
        "a new run computes only what the database does not hold.\n\n"
        "Ctrl-C (or SIGTERM, SIGUSR1) once: finish what is in work, write, exit 4. Twice: leave at once; what was written stays. "
        "A file DATABASE.stop, once it is there, asks for the same. With --ranks both hold for all ranks. To an mpirun of your own send "
        "SIGUSR1: it is passed on and the exit status is 4; SIGINT or SIGTERM make it end the ranks by itself and report its own status, "
        "while what was computed stays and the same command goes on.",
    .fill = {RAD_FILL_JOB},
    .option = options,
    .exits = "0 done, 1 failed, 2 invalid input, 3 done with exclusions, 4 stopped and resumable",
    .example = {{"radcohort run jobs/demo.yaml", "alone; the database is the one that the job names"},
                {"radcohort run jobs/demo.yaml --ranks 3", "three processes on this machine"},
                {"mpirun -n 3 radcohort run jobs/demo.yaml --db results/demo.sqlite", "the same under a launcher of your own"},
                {"radcohort run jobs/demo.yaml --spool results/demo.shards --shard 2/8", "one part of eight, without MPI"}},
    .run = run,
};
