/* cmd_nightly.c: `radcohort nightly`: what is new or changed is scored, the rest is taken over, and the morning's mail says what moved. */
#include "cli.h"
#include "nightly_text.h"
#include "radcohort/farm.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SUMMARY ((size_t)1 << 24)
#define MAX_THREADS 1024
#define DEFAULT_GOLDEN 3

struct night {
    const char *job, *database, *mail;
    char name[72]; /* of the study */
    bool plan_only, json;
    rad_farm_opts opts;
    rad_farm_outcome out;
    rad_night plan;
    rad_night_report report;
};

/* The database that the run will use: the lock is taken before anything is looked at. */
static rad_status find_database(struct night *n, char **ret, rad_error *err) {
    rad_job *job = NULL;
    rad_issues issues = {0};
    rad_status st = rad_job_read(n->job, &job, &issues, err);
    if (st == RAD_OK) {
        *ret = n->database     ? rad_strdup(n->database)
               : job->database ? rad_strdup(job->database)
                               : rad_asprintf("results/%s.sqlite", job->name);
        snprintf(n->name, sizeof n->name, "%s", job->name);
        if (!*ret)
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    } else {
        rad_issues_print(&issues, stderr);
    }
    rad_job_destroy(&job);
    rad_issues_release(&issues);
    return st;
}

static rad_status write_mail(const struct night *n, const rad_buf *text, rad_error *err) {
    return n->mail ? rad_file_write_atomic_mode(n->mail, 0600, text->data, text->size, err) : RAD_OK;
}

/* Both ways of telling it, the one to the database and the mail, the one asked for to standard output. */
static rad_status tell(struct night *n, rad_store *db, const rad_night_report *r, rad_error *err) {
    char headline[RAD_NIGHT_HEADLINE];
    int64_t nightly = 0;
    rad_status st = RAD_OK;
    rad_buf text;
    rad_buf_init(&text, MAX_SUMMARY);
    json_t *j = rad_night_json(&n->plan, r, n->out.database, r == NULL), *brief = NULL;
    char *dump = NULL;
    if (!j) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the summary");
        goto out;
    }
    RAD_TRY(rad_night_text(&n->plan, r, n->out.database, &text, err));
    rad_night_headline(&n->plan, r, headline);
    if (r) {
        brief = json_copy(j);
        if (brief)
            (void)json_object_del(brief, "cases"); /* they have a table */
        dump = brief ? json_dumps(brief, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
        if (!dump) {
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the summary");
            goto out;
        }
        RAD_TRY(rad_night_write(db, &n->plan, r, headline, text.data, dump, &nightly, err));
    }
    RAD_TRY(write_mail(n, &text, err));
    if (n->json ? json_dumpf(j, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0 || putchar('\n') == EOF
                : fputs(text.data, stdout) < 0)
        st = rad_error_set(err, RAD_E_IO, "cannot write the summary to standard output");
out:
    free(dump);
    json_decref(brief);
    json_decref(j);
    rad_buf_release(&text);
    return st;
}

/* A night that ends early says so where the summary was expected. */
static void mail_failure(const struct night *n, const char *why) {
    rad_error err = {0};
    rad_buf text;
    rad_buf_init(&text, MAX_SUMMARY);
    if (rad_buf_printf(&text, &err, "%.40s: the night STOPPED\n%s\n", n->name[0] ? n->name : n->job, why) != RAD_OK ||
        write_mail(n, &text, &err) != RAD_OK)
        rad_log(RAD_LOG_WARN, "%s", err.text);
    rad_buf_release(&text);
}

static rad_status report(struct night *n, rad_error *err) {
    rad_store *db = NULL;
    const rad_store_opts so = {.scratch = n->opts.scratch};
    rad_status st = rad_store_open_opts(n->out.database, RAD_STORE_WRITE, &so, &db, err);
    if (st == RAD_OK)
        st = rad_night_compare(db, n->out.run, n->plan.job, &n->report, err);
    if (st == RAD_OK)
        st = tell(n, db, &n->report, err);
    rad_store_close(&db);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_nightly;
    const char *threads = NULL, *backend = NULL, *precision = NULL, *scratch = NULL, *status = NULL, *cases = NULL;
    bool allow_outside = false, verbose = false, make_golden = false;
    struct night n = {.out = {.is_root = true, .exit_code = RAD_EXIT_FAILED}};
    const rad_target target[] = {
        {"--db", &n.database, NULL},       {"--dry-run", NULL, &n.plan_only},
        {"--json", NULL, &n.json},         {"--mail", &n.mail, NULL},
        {"--threads", &threads, NULL},     {"--backend", &backend, NULL},
        {"--precision", &precision, NULL}, {"--scratch", &scratch, NULL},
        {"--status", &status, NULL},       {"--allow-outside", NULL, &allow_outside},
        {"--progress", NULL, &verbose},    {"--make-golden", NULL, &make_golden},
        {"--cases", &cases, NULL},         {NULL, NULL, NULL},
    };
    int n_arg = 0;
    int64_t count = 0, golden = DEFAULT_GOLDEN;
    char *database = NULL;
    rad_error err = {0};
    rad_night_lock *lock = NULL;
    rad_status st = rad_cli_parse(self, argc, argv, target, &n.job, 1, &n_arg);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n_arg != 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one job file is needed: radcohort nightly %s", self->usage[0]));
    if (threads && (!rad_parse_int(threads, &count) || count < 1 || count > MAX_THREADS))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--threads '%s': a whole number from 1 to %d was expected", threads, MAX_THREADS));
    if (cases && (!make_golden || !rad_parse_int(cases, &golden) || golden < 1 || golden > RAD_MAX_GOLDEN))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--cases: a whole number from 1 to %d was expected, with --make-golden", RAD_MAX_GOLDEN));
    n.opts = (rad_farm_opts){.job_path = n.job,
                             .database = n.database,
                             .backend = backend,
                             .precision = precision,
                             .threads = (int)count,
                             .allow_outside = allow_outside,
                             .quiet = !verbose,
                             .command_line = "radcohort nightly",
                             .status = status,
                             .scratch = scratch,
                             .night = &n.plan,
                             .plan_only = n.plan_only};
    if (make_golden) {
        RAD_TRY(rad_farm_make_golden(&n.opts, (int)golden, &err));
        goto out;
    }
    RAD_TRY(find_database(&n, &database, &err));
    if (rad_farm_is_root() && !n.plan_only)
        RAD_TRY(rad_night_lock_take(database, &lock, &err));
    RAD_TRY(rad_farm_run(&n.opts, &n.out, &err));
    if (!n.out.is_root)
        goto out;
    if (n.plan_only)
        RAD_TRY(tell(&n, NULL, NULL, &err));
    else if (n.out.n_left > 0)
        mail_failure(&n, "stopped before all cases were scored; the same command goes on where it stopped");
    else
        RAD_TRY(report(&n, &err));
out:
    rad_night_lock_release(&lock);
    if (st != RAD_OK && n.out.is_root && n.job)
        mail_failure(&n, err.text);
    rad_night_report_release(&n.report);
    rad_night_release(&n.plan);
    free(database);
    if (st != RAD_OK && n.out.is_root)
        return rad_cli_fail(self, st, &err);
    return make_golden ? RAD_EXIT_OK : n.out.exit_code;
}

static const rad_option options[] = {
    RAD_OPTION_DB,
    {"--dry-run", NULL, NULL, "the plan only: which cases would be scored and why; writes nothing (but --mail)"},
    {"--mail", "FILE", RAD_FILL_FILE, "the summary as plain text, mode 0600; its first line is the subject"},
    RAD_OPTION_BACKEND,
    RAD_OPTION_PRECISION,
    RAD_OPTION_THREADS,
    RAD_OPTION_SCRATCH,
    RAD_OPTION_STATUS,
    RAD_OPTION_OUTSIDE,
    {"--progress", NULL, NULL, "as 'radcohort run' shows it"},
    {"--make-golden", NULL, NULL,
     "score some cases of the job and write the file that the job's key 'golden' names: every night scores these first and stops, with 1, "
     "before it touches anything when a bit of them is different"},
    {"--cases", "N", NULL, "with --make-golden: so many cases (default 3)"},
    {"--json", NULL, NULL, "the plan and the summary as JSON on standard output"},
    RAD_OPTION_END,
};

const rad_command rad_command_nightly = {
    .name = "nightly",
    .group = RAD_GROUP_RUN,
    .usage = {"JOB [options]", "JOB --make-golden [--cases N]"},
    .summary = "scores what is new or changed in an archive, tells what moved overnight",
    .about = "Looks once at every file of the job, scores the cases whose result the database does not hold, takes the rest over without "
             "opening their files, and compares with the job's last finished run: scores, calls at each operating point, metrics by "
             "center, drift. Works alone, under 'mpirun -n N' and under 'srun --mpi=pmix'. Two nights over one database never overlap: "
             "the second ends with 1.",
    .fill = {RAD_FILL_JOB},
    .option = options,
    .exits = "0 done, 1 failed or golden cases differ, 2 invalid input, 3 done with exclusions, 4 stopped and resumable",
    .example = {{"radcohort nightly jobs/demo.yaml --dry-run", "what would the night do?"},
                {"radcohort nightly jobs/demo.yaml --mail night.txt &&\n  mail -s \"$(head -n 1 night.txt)\" me <night.txt",
                 "in a line of cron: the night, and its letter"},
                {"radcohort nightly jobs/demo.yaml --make-golden --cases 5", "the cases that prove every night that nothing has changed"}},
    .run = run,
};
