/* cmd_convert.c: `radcohort convert`: a DICOM tree becomes a cohort folder. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "radcohort/convert.h"

enum { MAX_SHOWN = 20 };

static json_t *outcome_json(const rad_convert_outcome *o) {
    json_t *status = json_object(), *rows = json_array(), *kept = json_array();
    for (int i = 0; i < RAD_CONVERT_STATUS_COUNT; i++)
        json_object_set_new(status, rad_convert_status_name((rad_convert_status)i), json_integer(o->n_status[i]));
    for (int64_t i = 0; i < o->n_row; i++) {
        const rad_convert_row *r = &o->row[i];
        json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "patient", r->patient, "study", r->study,
                                              "series", r->series, "variant", r->variant, "status", rad_convert_status_name(r->status),
                                              "sequence", r->sequence, "rule", r->rule, "path", r->path, "reason", r->reason));
    }
    for (int64_t i = 0; i < o->n_table_kept; i++)
        json_array_append_new(kept, json_string(o->table_kept[i]));
    return json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:b, s:o, s:o}", "files", "all",
                     (json_int_t)o->n_file, "dicom", (json_int_t)o->n_dicom, "other", (json_int_t)o->n_other, "unreadable",
                     (json_int_t)o->n_unreadable, "links_not_followed", (json_int_t)o->n_link, "duplicates", (json_int_t)o->n_duplicate,
                     "series", (json_int_t)o->n_series, "converted", (json_int_t)o->n_fresh, "kept", (json_int_t)o->n_kept, "patients",
                     (json_int_t)o->n_patient, "studies", (json_int_t)o->n_study, "centers", (json_int_t)o->n_center, "images", status,
                     "key_file", o->key_file, "key_made", o->key_made, "tables_edited_by_hand", kept, "rows", rows);
}

static void print_outcome(const rad_convert_outcome *o, const char *cohort, bool dry_run) {
    printf("%" PRId64 " files: %" PRId64 " DICOM, %" PRId64 " others, %" PRId64 " unreadable", o->n_file, o->n_dicom, o->n_other,
           o->n_unreadable);
    if (o->n_duplicate > 0)
        printf(", %" PRId64 " cop%s of an image that is there", o->n_duplicate, o->n_duplicate == 1 ? "y" : "ies");
    if (o->n_link > 0)
        printf(", %" PRId64 " links to folders not followed", o->n_link);
    printf("\n%" PRId64 " series", o->n_series);
    if (!dry_run)
        printf(": %" PRId64 " converted, %" PRId64 " there from before", o->n_fresh, o->n_kept);
    printf("\n%s ", dry_run ? "images by their headers (nothing was converted):" : "images:");
    for (int i = 0; i < RAD_CONVERT_STATUS_COUNT; i++)
        printf("%s%" PRId64 " %s", i ? ", " : "", o->n_status[i], rad_convert_status_name((rad_convert_status)i));
    printf("\n");
    int64_t shown = 0;
    for (int64_t i = 0; i < o->n_row; i++) {
        const rad_convert_row *r = &o->row[i];
        if (!dry_run && (r->status == RAD_CONVERT_USED || r->status == RAD_CONVERT_IGNORED || r->status == RAD_CONVERT_NO_IMAGE))
            continue;
        if (shown++ < MAX_SHOWN)
            printf("  %s %s %s%s%s: %s%s%s%s%s\n", r->patient, r->study, r->series, r->variant[0] ? "_" : "", r->variant,
                   rad_convert_status_name(r->status), r->sequence[0] ? " " : "", r->sequence, r->reason[0] ? ": " : "", r->reason);
    }
    if (shown > MAX_SHOWN)
        printf("  ... and %" PRId64 " more%s%s%s\n", shown - MAX_SHOWN, dry_run ? " (--json has all)" : ": ", dry_run ? "" : cohort,
               dry_run ? "" : "/" RAD_CONVERT_REPORT);
    if (dry_run)
        return;
    printf("%" PRId64 " patients, %" PRId64 " centers\n", o->n_patient, o->n_center);
    for (int64_t i = 0; i < o->n_table_kept; i++)
        printf("%s/%s was edited by hand and stays; the new table is %s.new\n", cohort, o->table_kept[i], o->table_kept[i]);
    if (o->key_made)
        printf("key:     %s (made now; keep it safe and apart from the cohort: with it pseudonyms can be checked, without it the same "
               "patients "
               "get others)\n",
               o->key_file);
    printf("report:  %s/" RAD_CONVERT_REPORT
           "\nnext:    labels in %s/patients.tsv, internal and external in %s/centers.tsv, then radcohort check JOB\n",
           cohort, cohort, cohort);
}

static rad_status parse_jobs(const char *text, int *ret, rad_error *err) {
    int64_t v = 0;
    if (text && (!rad_parse_int(text, &v) || v < 1 || v > RAD_MAX_CONVERT_JOBS))
        return rad_error_set(err, RAD_E_USAGE, "--jobs '%.40s': a whole number from 1 to %d was expected", text, RAD_MAX_CONVERT_JOBS);
    *ret = (int)v;
    return RAD_OK;
}

static rad_status parse_limit(const char *text, double *ret, rad_error *err) {
    double v = 0;
    if (text && (!rad_parse_double(text, &v) || !(v > 0 && v <= 1e6)))
        return rad_error_set(err, RAD_E_USAGE, "--timeout '%.40s': seconds above 0, at most 1000000, were expected", text);
    *ret = v;
    return RAD_OK;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_convert;
    rad_convert_opts opts = {0};
    rad_convert_outcome o = {0};
    rad_issues issues = {0};
    const char *jobs = NULL, *limit = NULL;
    bool as_json = false, print_rules = false;
    const rad_target target[] = {{"-o", &opts.cohort, NULL},
                                 {"--rules", &opts.rules, NULL},
                                 {"--key", &opts.key, NULL},
                                 {"--jobs", &jobs, NULL},
                                 {"--labels", &opts.labels, NULL},
                                 {"--center-from", &opts.center_from, NULL},
                                 {"--patient-from", &opts.patient_from, NULL},
                                 {"--source-list", &opts.source_list, NULL},
                                 {"--dcm2niix", &opts.dcm2niix, NULL},
                                 {"--timeout", &limit, NULL},
                                 {"--dry-run", NULL, &opts.dry_run},
                                 {"--print-rules", NULL, &print_rules},
                                 {"--json", NULL, &as_json},
                                 {NULL, NULL, NULL}};
    int n = 0;
    rad_error err = {0};
    rad_status st = rad_cli_parse(self, argc, argv, target, &opts.source, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (print_rules) {
        (void)fputs(rad_convert_default_rules(), stdout);
        return RAD_EXIT_OK;
    }
    if (n < 1 || !opts.cohort)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE,
                              n < 1 ? "no folder given: radcohort convert DICOM_DIR -o COHORT_DIR"
                                    : "no cohort folder given: -o COHORT_DIR says where to write"));
    RAD_TRY(parse_jobs(jobs, &opts.jobs, &err));
    RAD_TRY(parse_limit(limit, &opts.time_limit_s, &err));
    st = rad_convert(&opts, &o, &issues, &err);
    rad_issues_print(&issues, stderr);
    if (st == RAD_OK && as_json) {
        json_t *j = outcome_json(&o);
        if (!j || json_dumpf(j, stdout, JSON_INDENT(2)) != 0)
            st = rad_error_set(&err, RAD_E_IO, "cannot write the outcome as JSON");
        printf("\n");
        json_decref(j);
    } else if (st == RAD_OK) {
        print_outcome(&o, opts.cohort, opts.dry_run);
    }
out:;
    bool left_out = o.n_unreadable > 0 || o.n_status[RAD_CONVERT_FAILED] > 0;
    rad_convert_outcome_release(&o);
    rad_issues_release(&issues);
    if (st != RAD_OK)
        return rad_cli_fail(self, st, &err);
    return left_out ? RAD_EXIT_EXCLUSIONS : RAD_EXIT_OK;
}

static const rad_option options[] = {
    {"-o", "COHORT_DIR", RAD_FILL_DIR, "folder to write; converting again takes only what is new or changed"},
    {"--rules", "FILE", RAD_FILL_JOB, "YAML: which series is which sequence, which hospital is which center (jobs/README.md)"},
    {"--print-rules", NULL, NULL, "the built-in rules, a start for your own"},
    {"--key", "FILE", RAD_FILL_FILE, "secret key of the pseudonyms, made (mode 0600) when it is not there (default: COHORT_DIR.key)"},
    {"--labels", "FILE", RAD_FILL_TSV, "table of labels, folds, lesions, covariates under the original patient IDs (column patient_id)"},
    {"--center-from", "HOW", "folder:1 folder:2 institution name:",
     "folder:N (N-th folder below DICOM_DIR), institution, or name:CENTER; the rules' centers go first"},
    {"--patient-from", "HOW", "id folder:1 folder:2", "id (PatientID, the default) or folder:N"},
    {"--source-list", "FILE", RAD_FILL_FILE,
     "what every series was: folder, description, patient ID. Identifies people: never in the cohort folder"},
    {"--jobs", "N", NULL, "dcm2niix processes at a time (default: processors)"},
    {"--timeout", "SECONDS", NULL, "of one dcm2niix process (default 600)"},
    {"--dcm2niix", "PROGRAM", RAD_FILL_FILE, "the converter (default: the one of the PATH)"},
    {"--dry-run", NULL, NULL, "only headers are read: what the rules would make of them; nothing is written"},
    RAD_OPTION_JSON,
    RAD_OPTION_END,
};

const rad_command rad_command_convert = {
    .name = "convert",
    .group = RAD_GROUP_DATA,
    .usage = {"DICOM_DIR -o COHORT_DIR [options]", "--print-rules"},
    .summary = "converts a DICOM tree into a cohort folder, patients under pseudonyms",
    .about = "dcm2niix is started for every series, sequences and centers are found by rules, patients get pseudonyms. The cohort folder "
             "never gets names, birth dates, UIDs, accession numbers, dates (visits become day-0, day-93), source paths, or free text "
             "that no rule names; ages above 90 become 90. Pixels are not looked at: text that is burned into them stays.",
    .fill = {RAD_FILL_DIR},
    .option = options,
    .exits = "0 done, 1 failed, 2 usage or invalid rules, 3 some files or series could not be converted",
    .example =
        {{"radcohort convert archive -o cohort --dry-run", "what would become of it?"},
         {"radcohort convert --print-rules > rules.yaml", "rules of your own start here"},
         {"radcohort convert archive -o cohort --rules rules.yaml \\\n  --key ~/keys/liver.key --center-from folder:1 --labels labels.tsv",
          "a folder per hospital, a table of diagnoses"}},
    .run = run,
};
