/* cmd_report.c: `radcohort report`: the result file as a page for people, with its figures' data as CSV. */
#include "cli.h"
#include "radcohort/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_report;
    const char *path = NULL, *run_text = NULL, *k_text = NULL;
    bool json = false;
    rad_report_opts o = {.k = 5};
    const rad_option option[] = {{"-o", false, &o.dir, NULL},   {"--run", false, &run_text, NULL}, {"--public", true, NULL, &o.is_public},
                                 {"--k", false, &k_text, NULL}, {"--json", true, NULL, &json},     {NULL, false, NULL, NULL}};
    int n = 0;
    int64_t k = 5;
    rad_error err = {0};
    rad_report_summary s = {0};
    rad_status st = rad_cli_parse(self, argc, argv, option, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1 || !o.dir)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a result file and a folder are needed: radcohort report %s", self->usage));
    if (run_text && (!rad_parse_int(run_text, &o.run) || o.run < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    if (k_text && (!o.is_public || !rad_parse_int(k_text, &k) || k < 2 || k > 1000))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE,
                              o.is_public ? "--k '%s': a number from 2 to 1000 was expected" : "--k '%s' belongs to --public", k_text));
    o.k = (int)k;
    RAD_TRY(rad_report_write(path, &o, &s, &err));
    if (json)
        printf("{\"run\": %" PRId64 ", \"figures\": %d, \"tables\": %d, \"csv_files\": %d, \"suppressed\": %" PRId64 ", \"bytes\": %zu}\n",
               s.run, s.n_figure, s.n_table, s.n_csv, s.n_hidden, s.html_bytes);
    else
        printf("%s/index.html: run %" PRId64 ", %d figures, %d tables, %d CSV files%s\n", o.dir, s.run, s.n_figure, s.n_table, s.n_csv,
               o.is_public ? "; public" : "");
out:
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

const rad_command rad_command_report = {
    .name = "report",
    .usage = "DB -o DIR [--run N] [--public [--k K]] [--json]",
    .summary = "writes the run as an HTML page with figures, tables, CSV files and words",
    .help = "DIR/index.html is one self-contained page: it opens from disk, without network, prints, follows light and dark, and works "
            "without\n"
            "its script. The headline (internal and external AUC of each model) is on top; then the flow of patients, Table 1, ROC curves, "
            "centers,\n"
            "confusion matrices, operating points, calibration, readers, aggregation, activation maps, drift, exclusions, provenance, a "
            "methods and a\n"
            "results paragraph, and three reporting checklists. DIR/csv has the data of every figure and table; the SQL that made it "
            "stands beside\n"
            "each. Only the result file is read (and, for the montage, its maps and the images of the cohort folder).\n"
            "\n"
            "  -o DIR      where to; made when missing\n"
            "  --run N     the run, by number; default: the newest that is finished\n"
            "  --public    for publication: counts from 1 to K - 1 are suppressed, with every count and number that would give them away;\n"
            "              curves are coarsened; what shows single patients is left out\n"
            "  --k K       the smallest count that may be shown with --public (default 5)\n"
            "  --json      what was written, as JSON\n"
            "\n"
            "Examples:\n"
            "  radcohort report results/demo.sqlite -o results/demo-report\n"
            "  radcohort report results/demo.sqlite -o public --public --k 10\n",
    .run = run,
};
