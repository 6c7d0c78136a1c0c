/* cmd_phantom.c: `radcohort phantom`: a synthetic multicenter cohort with known truth. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "phantom.h"

/* Only a new or empty folder is written to: nobody's data is ever mixed with synthetic patients. */
static rad_status check_empty(const char *dir, rad_error *err) {
    DIR *d = opendir(dir);
    if (!d)
        return RAD_OK;
    rad_status st = RAD_OK;
    for (struct dirent *e = readdir(d); e && st == RAD_OK; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            st = rad_error_set(err, RAD_E_USAGE, "folder '%s' is not empty: name a new one with -o, or remove it first", dir);
    closedir(d);
    return st;
}

static rad_status find_design(const char *name, const phantom_design **ret, rad_error *err) {
    *ret = phantom_find(name);
    if (*ret)
        return RAD_OK;
    char known[256] = "";
    for (const phantom_design *d = phantom_list(); d->name; d++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", d->name);
    }
    return rad_error_set(err, RAD_E_USAGE, "unknown design '%s': known are %s", name, known);
}

static void print_text(const phantom_design *d, const char *dir, int64_t seed, const phantom_counts *n) {
    printf("%s: %" PRId64 " patients, %" PRId64 " lesions, %" PRId64 " images, %" PRId64 " image sets\n", dir, n->patients, n->lesions,
           n->images, n->image_sets);
    rad_cli_say(2, "design '%s', seed %" PRId64 ": %s", d->name, seed, d->summary);
}

static rad_status print_json(const phantom_design *d, const char *dir, int64_t seed, const phantom_opts *o, const phantom_counts *n,
                             rad_error *err) {
    return cli_json_print(json_pack("{s:s, s:s, s:s, s:I, s:f, s:b, s:I, s:I, s:I, s:I}", "folder", dir, "design", d->name, "summary",
                                    d->summary, "seed", (json_int_t)seed, "scale", o->scale, "tables_only", o->tables_only, "patients",
                                    (json_int_t)n->patients, "lesions", (json_int_t)n->lesions, "images", (json_int_t)n->images,
                                    "image_sets", (json_int_t)n->image_sets),
                          err);
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_phantom;
    const char *dir = NULL, *name = "demo", *seed_text = "1", *scale_text = "1";
    phantom_opts opts = {.seed = 0};
    bool as_json = false;
    const rad_target target[] = {
        {"-o", &dir, NULL},           {"--design", &name, NULL},      {"--tables", NULL, &opts.tables_only},
        {"--seed", &seed_text, NULL}, {"--scale", &scale_text, NULL}, {"--json", NULL, &as_json},
        {NULL, NULL, NULL},
    };
    int n = 0;
    rad_error err = {0};
    rad_status st = rad_cli_parse(self, argc, argv, target, NULL, 0, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    const phantom_design *d = NULL;
    int64_t seed = 0;
    phantom_counts count = {0};
    if (!dir)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "no folder given: -o COHORT_DIR says where to write"));
    RAD_TRY(find_design(name, &d, &err));
    if (!rad_parse_int(seed_text, &seed) || seed < 0)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--seed '%s': a whole number from 0 was expected", seed_text));
    if (!rad_parse_double(scale_text, &opts.scale) || !(opts.scale > 0 && opts.scale <= 1000))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--scale '%s': a number above 0 and at most 1000 was expected", scale_text));
    RAD_TRY(check_empty(dir, &err));
    opts.seed = (uint64_t)seed;
    RAD_TRY(phantom_write(d, dir, &opts, &count, &err));
    if (as_json)
        RAD_TRY(print_json(d, dir, seed, &opts, &count, &err));
    else
        print_text(d, dir, seed, &count);
out:
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    {"-o", "COHORT_DIR", RAD_FILL_DIR, "folder to write; must be new or empty"},
    {"--design", "NAME", "demo renal liver spine-mri ultrasound spine-ct brain",
     "demo (default), or a published study's marginals: renal, liver, spine-mri, ultrasound, spine-ct; brain: four ordered grades, two MR "
     "sequences on grids of their own, four centers"},
    {"--seed", "N", NULL, "another sample of patients from the same design (default 1)"},
    {"--scale", "X", NULL, "multiplies the number of patients of each center and class; 1 (default) is the published count"},
    {"--tables", NULL, NULL, "only the tables, without images: who is in the cohort"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_phantom = {
    .name = "phantom",
    .group = RAD_GROUP_DATA,
    .usage = {"-o COHORT_DIR [options]"},
    .summary = "writes a synthetic multicenter cohort with known truth",
    .about = "The same design, seed and scale give the same bytes on every machine. The column `latent` of lesions.tsv holds each "
             "lesion's true strength of signal. An image set is one slice of one lesion in one sequence; of ultrasound, a still or a frame "
             "with contrast medium.",
    .option = options,
    .exits = "0 written, 1 failed, 2 invalid input",
    .example = {{"radcohort phantom -o cohort", "the cohort of the demo"},
                {"radcohort phantom -o cohort --design liver --scale 0.1 --seed 2", "a tenth of a published study, another sample"}},
    .run = run,
};
