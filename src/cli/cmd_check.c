/* cmd_check.c: radcohort check: everything that can be known before a run, without scoring. */
#include <stdlib.h>

#include "check.h"
#include "cli.h"

enum { MAX_WARNINGS = 20 };

static rad_status gather(check *k, rad_error *err) {
    rad_status st = rad_job_read(k->job_path, &k->job, &k->issues, err);
    if (st != RAD_OK)
        return st == RAD_E_CONFIG ? RAD_OK : st;
    RAD_TRY(check_models(k, err));
    rad_cohort_opts opts = {.allow_outside = k->allow_outside, .bids = &k->job->bids};
    st = rad_cohort_read(k->job->cohort_dir, &opts, &k->cohort, &k->issues, err);
    if (st == RAD_OK)
        st = rad_manifest_build(k->cohort, k->job, &k->manifest, &k->issues, err);
    if (st == RAD_E_CONFIG)
        return RAD_OK; /* told by the issues */
    if (st == RAD_OK)
        st = check_folds(k, err);
    if (st == RAD_OK)
        st = check_cases(k, err);
out:
    return st;
}

/* All errors; of the warnings the first few: thousands of missing files are better told by the table of exclusions. */
static void print_issues(const check *k) {
    rad_issues shown = k->issues;
    rad_issue *item = rad_calloc(k->issues.n, sizeof *item);
    if (item) {
        shown.item = item;
        shown.n = 0;
        for (size_t i = 0, warnings = 0; i < k->issues.n; i++)
            if (k->issues.item[i].severity == RAD_SEVERITY_ERROR || warnings++ < MAX_WARNINGS)
                item[shown.n++] = k->issues.item[i];
    }
    rad_issues_print(&shown, stderr);
    free(item);
}

static void release(check *k) {
    for (int i = 0; k->model && i < k->job->n_model; i++) {
        free(k->model[i].input_shape);
        free(k->model[i].output_shape);
    }
    free(k->model);
    free(k->backend);
    free(k->matched);
    free(k->input_ok);
    free(k->count);
    check_groups_release(&k->excluded);
    check_groups_release(&k->unused);
    rad_manifest_destroy(&k->manifest);
    rad_cohort_destroy(&k->cohort);
    rad_job_destroy(&k->job);
    rad_issues_release(&k->issues);
}

static int run(int argc, char **argv) {
    check k = {0};
    bool json = false;
    int n = 0;
    rad_error err = {0};
    const rad_target target[] = {
        {"--json", NULL, &json}, {"--allow-outside", NULL, &k.allow_outside}, {"--no-headers", NULL, &k.no_headers}, {NULL, NULL, NULL}};
    rad_status st = rad_cli_parse(&rad_command_check, argc, argv, target, &k.job_path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1) {
        (void)rad_error_set(&err, RAD_E_USAGE, "a job file is missing: radcohort check JOB");
        return rad_cli_fail(&rad_command_check, RAD_E_USAGE, &err);
    }
    st = gather(&k, &err);
    int code = st != RAD_OK                     ? rad_cli_fail(&rad_command_check, st, &err)
               : k.issues.n_error > 0           ? RAD_EXIT_USAGE
               : k.n_excluded + k.n_no_case > 0 ? RAD_EXIT_EXCLUSIONS
                                                : RAD_EXIT_OK;
    if (st == RAD_OK) {
        print_issues(&k);
        if (!json)
            check_print_text(&k);
        else if (check_print_json(&k, code, &err) != RAD_OK)
            code = rad_cli_fail(&rad_command_check, RAD_E_NOMEM, &err);
    }
    release(&k);
    return code;
}

static const rad_option options[] = {
    {"--no-headers", NULL, NULL, "do not open the image files (for large archives on slow storage)"},
    RAD_OPTION_OUTSIDE,
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_check = {
    .name = "check",
    .group = RAD_GROUP_RUN,
    .usage = {"JOB [options]"},
    .summary = "validates a job without scoring: what would run, what would be excluded",
    .about = "Job, cohort tables, image headers, models and backend are looked at, and nothing is written. Mistakes and warnings go to "
             "standard error, one line each with file, line and column; the summary is the last thing on the screen.",
    .fill = {RAD_FILL_JOB},
    .option = options,
    .exits = "0 all cases can be scored, 2 invalid input, 3 some cases would be excluded, or patients have no case",
    .example = {{"radcohort check jobs/demo.yaml", "is everything there, and does it fit together?"},
                {"radcohort check jobs/demo.yaml --json", "the same for a program"}},
    .run = run,
};
