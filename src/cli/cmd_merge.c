/* cmd_merge.c: `radcohort merge`: results of shards into the database of their job. */
#include <inttypes.h>

#include "cli.h"
#include "outcome.h"
#include "radcohort/store.h"

static int print_json(const rad_command *self, const rad_farm_outcome *o) {
    rad_error err = {0};
    const rad_farm_merge *m = &o->merge;
    json_t *j = rad_run_outcome_json(o);
    json_t *merge = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "files", (json_int_t)m->files, "complete", (json_int_t)m->complete,
                              "damaged", (json_int_t)m->damaged, "foreign", (json_int_t)m->foreign, "records", (json_int_t)m->records,
                              "cases", (json_int_t)m->cases);
    const bool ok =
        j && merge && json_object_set(j, "merge", merge) == 0 && json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    printf("\n");
    json_decref(merge);
    json_decref(j);
    return ok ? o->exit_code : rad_cli_fail(self, rad_error_set(&err, RAD_E_IO, "cannot write the outcome as JSON"), &err);
}

enum { MAX_TOLD = 10 }; /* missing cases by name; the others are counted */

static int tell_left(const char *patient, const char *lesion, const char *study, void *payload) {
    int64_t *n = payload;
    if (++*n <= MAX_TOLD)
        printf("%s%s%s%s%s%s", *n == 1 ? "missing: " : ", ", patient, lesion ? " / " : "", lesion ? lesion : "", study[0] ? " / " : "",
               study);
    return 0;
}

/* Which cases no file had. */
static rad_status print_left(const rad_farm_outcome *o, rad_error *err) {
    rad_store *db = NULL;
    int64_t n = 0;
    rad_status st = rad_store_open(o->database, RAD_STORE_READ, &db, err);
    if (st == RAD_OK)
        st = rad_store_each_left(db, o->run, tell_left, &n, err);
    if (n > MAX_TOLD)
        printf(" and %" PRId64 " more", n - MAX_TOLD);
    if (n > 0)
        printf("; start their shards again, or 'radcohort run JOB' here\n");
    rad_store_close(&db);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_merge;
    const char *place[2] = {NULL, NULL}, *database = NULL, *scratch = NULL, *status = NULL;
    bool allow_outside = false, as_json = false;
    const rad_target target[] = {
        {"--db", &database, NULL},
        {"--scratch", &scratch, NULL},
        {"--status", &status, NULL},
        {"--json", NULL, &as_json},
        {"--allow-outside", NULL, &allow_outside},
        {NULL, NULL, NULL},
    };
    int n = 0;
    rad_error err = {0};
    rad_farm_outcome o = {.is_root = true, .exit_code = RAD_EXIT_FAILED};
    rad_status st = rad_cli_parse(self, argc, argv, target, place, 2, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n < 2)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a job file and the folder of its shards are needed: radcohort merge JOB DIR"));
    const rad_farm_opts opts = {.job_path = place[0],
                                .database = database,
                                .scratch = scratch,
                                .status = status,
                                .allow_outside = allow_outside,
                                .quiet = true,
                                .merge_dir = place[1],
                                .merge_only = true,
                                .command_line = "radcohort merge"};
    RAD_TRY(rad_farm_run(&opts, &o, &err));
    if (as_json)
        return print_json(self, &o);
    const rad_farm_merge *m = &o.merge;
    printf("%" PRId64 " file%s of %" PRId64 " results (%" PRId64 " complete, %" PRId64 " cut off, %" PRId64 " of other runs); %" PRId64
           " cases got theirs from them\n",
           m->files, m->files == 1 ? "" : "s", m->records, m->complete, m->damaged, m->foreign, m->cases);
    rad_run_print_outcome(&o);
    if (o.n_left > 0)
        st = print_left(&o, &err);
out:
    return st == RAD_OK ? o.exit_code : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    RAD_OPTION_DB, RAD_OPTION_SCRATCH, RAD_OPTION_STATUS, RAD_OPTION_OUTSIDE, RAD_OPTION_JSON, RAD_OPTION_END,
};

const rad_command rad_command_merge = {
    .name = "merge",
    .group = RAD_GROUP_CLUSTER,
    .usage = {"JOB DIR [options]"},
    .summary = "takes the results of shards (run --spool) into the job's database",
    .about = "DIR is the folder that the shards wrote to. Job, tables, image files, weights and engine must be those of the shards: files "
             "of another run are left out and told. Merging again, or while shards still work, changes nothing that is there. What is "
             "cut off at the end of a file (a shard was killed) is left out; start that shard again, or 'radcohort run JOB' to compute "
             "what is left here.",
    .fill = {RAD_FILL_JOB, RAD_FILL_DIR},
    .option = options,
    .exits = "0 all cases have their result, 3 the same with exclusions, 4 some are still to be done, 1 failed, 2 invalid input",
    .example = {{"radcohort run jobs/demo.yaml --spool results/demo.shards --shard 1/2\n"
                 "radcohort run jobs/demo.yaml --spool results/demo.shards --shard 2/2\n"
                 "radcohort merge jobs/demo.yaml results/demo.shards",
                 "two shards, anywhere and at any time, then one database"}},
    .run = run,
};
