/* cmd_report.c: `radcohort report`: the result file as a page for people, with its figures' data as CSV. */
#include "cams.h"
#include "cli.h"
#include "radcohort/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHEET_CASES = 12, PNG_SIZE_AT = 16, PNG_SIZE_BYTES = 8 };
static const char *const SHEET[][2] = {{"strongest", "the highest scores"},
                                       {"weakest", "the lowest scores"},
                                       {"wrong", "scores farthest on the wrong side of the operating point"}};
enum { N_SHEET = sizeof SHEET / sizeof *SHEET };

typedef struct montage {
    rad_report_image image[RAD_REPORT_MAX_IMAGES];
    char *text[RAD_REPORT_MAX_IMAGES][3], *png[RAD_REPORT_MAX_IMAGES];
    int n;
} montage;

static void montage_release(montage *m) {
    for (int i = 0; i < RAD_REPORT_MAX_IMAGES; i++) {
        for (int k = 0; k < 3; k++)
            free(m->text[i][k]);
        free(m->png[i]);
    }
}

/* Width or height out of a PNG file's first chunk (ISO/IEC 15948, 11.2.2). */
static int png_side(const char *png, int which) {
    int v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | (unsigned char)png[PNG_SIZE_AT + 4 * which + i];
    return v;
}

static rad_status take_sheet(montage *m, const char *dir, const char *model, int sheet, const char *written, rad_error *err) {
    rad_status st = RAD_OK;
    size_t size = 0;
    const int at = m->n;
    char *name = rad_asprintf("%s-%s.png", model, SHEET[sheet][0]), *path = name ? rad_path_join(dir, name) : NULL;
    const char *row = name ? strstr(written, name) : NULL;
    m->text[at][2] = rad_strdup(model);
    m->text[at][0] = rad_asprintf("%s: %s", model, SHEET[sheet][0]);
    m->text[at][1] = rad_asprintf(
        "%s, %s: each case twice, with the region (white) and lesion (green), and with the map from red to yellow", model, SHEET[sheet][1]);
    if (!path || !m->text[at][0] || !m->text[at][1] || !m->text[at][2])
        RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "out of memory for the montage"));
    if (!row) /* no wrong case, say; a file of that name may be an earlier report's */
        goto out;
    st = rad_file_read(path, (size_t)64 << 20, &m->png[at], &size, err);
    if (st == RAD_OK && size > PNG_SIZE_AT + PNG_SIZE_BYTES) {
        m->image[at] = (rad_report_image){m->text[at][0], m->text[at][1],          m->text[at][2],         m->png[at],
                                          size,           png_side(m->png[at], 0), png_side(m->png[at], 1)};
        m->n++;
    }
out:
    free(name);
    free(path);
    if (m->n == at) {
        for (int k = 0; k < 3; k++) {
            free(m->text[at][k]);
            m->text[at][k] = NULL;
        }
    }
    return st;
}

/* DIR/maps gets the contact sheets. Images that are no longer there make empty tiles, not a failed report. */
static rad_status make_montage(const char *path, int64_t run, const char *report, montage *m, rad_error *err) {
    rad_status st = RAD_OK;
    rad_store *db = NULL;
    cams_list c = {0};
    rad_buf table;
    char *cam_dir = rad_store_cam_dir(path), *dir = rad_path_join(report, "maps");
    rad_buf_init(&table, (size_t)1 << 24);
    if (!cam_dir || !dir)
        RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "out of memory for the montage"));
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, err));
    RAD_TRY(cams_collect(db, run, &c, err));
    if (c.n > 0)
        RAD_TRY(rad_mkdirs(dir, err));
    for (int64_t first = 0, end; first < c.n; first = end) {
        for (end = first; end < c.n && strcmp(c.item[end].model, c.item[first].model) == 0;)
            end++;
        RAD_TRY(cams_write_sheets(&c, first, end, SHEET_CASES, cam_dir, dir, &table, err));
        for (int s = 0; s < N_SHEET && m->n < RAD_REPORT_MAX_IMAGES; s++)
            RAD_TRY(take_sheet(m, dir, c.item[first].model, s, table.size ? table.data : "", err));
    }
out:
    cams_release(&c);
    rad_buf_release(&table);
    rad_store_close(&db);
    free(cam_dir);
    free(dir);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_report;
    const char *path = NULL, *run_text = NULL, *k_text = NULL;
    bool json = false;
    rad_report_opts o = {.k = 5};
    const rad_target target[] = {{"-o", &o.dir, NULL},   {"--run", &run_text, NULL}, {"--public", NULL, &o.is_public},
                                 {"--k", &k_text, NULL}, {"--json", NULL, &json},    {NULL, NULL, NULL}};
    int n = 0;
    int64_t k = 5;
    rad_error err = {0};
    rad_report_summary s = {0};
    montage maps = {.n = 0};
    rad_status st = rad_cli_parse(self, argc, argv, target, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1 || !o.dir)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a result file and a folder are needed: radcohort report %s", self->usage[0]));
    if (run_text && (!rad_parse_int(run_text, &o.run) || o.run < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    if (k_text && (!o.is_public || !rad_parse_int(k_text, &k) || k < 2 || k > 1000))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE,
                              o.is_public ? "--k '%s': a number from 2 to 1000 was expected" : "--k '%s' belongs to --public", k_text));
    o.k = (int)k;
    RAD_TRY(rad_report_find_run(path, &o.run, &err));
    if (!o.is_public)
        RAD_TRY(make_montage(path, o.run, o.dir, &maps, &err));
    o.image = maps.image;
    o.n_image = maps.n;
    RAD_TRY(rad_report_write(path, &o, &s, &err));
    if (json)
        printf("{\"run\": %" PRId64 ", \"figures\": %d, \"tables\": %d, \"csv_files\": %d, \"suppressed\": %" PRId64 ", \"bytes\": %zu}\n",
               s.run, s.n_figure, s.n_table, s.n_csv, s.n_hidden, s.html_bytes);
    else
        printf("%s/index.html: run %" PRId64 ", %d figures, %d tables, %d CSV files%s\n", o.dir, s.run, s.n_figure, s.n_table, s.n_csv,
               o.is_public ? "; public" : "");
out:
    montage_release(&maps);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    {"-o", "DIR", RAD_FILL_DIR, "where to; made when missing"},
    {"--run", "N", NULL, "the run, by number (default: the newest that is finished)"},
    {"--public", NULL, NULL,
     "for publication: counts from 1 to K - 1 are suppressed, with every count and number that would give them away; curves are "
     "coarsened; what shows single patients is left out"},
    {"--k", "K", NULL, "the smallest count that may be shown with --public (default 5)"},
    {"--json", NULL, NULL, "what was written, as JSON on standard output"},
    RAD_OPTION_END,
};

const rad_command rad_command_report = {
    .name = "report",
    .group = RAD_GROUP_RUN,
    .usage = {"DB -o DIR [options]"},
    .summary = "writes a run as an HTML page with figures, tables, CSV files and words",
    .about = "DIR/index.html is one self-contained page: it opens from disk, without network, prints, follows light and dark, and works "
             "without its script. The headline (internal and external AUC of each model) is on top; then the flow of patients, Table 1, "
             "ROC curves, centers, confusion matrices, operating points, calibration, readers, aggregation, activation maps, drift, "
             "exclusions, provenance, a methods and a results paragraph, and three reporting checklists. DIR/csv has the data of every "
             "figure and table; the SQL that made it stands beside each. Only the result file is read (and, for the montage, its maps "
             "and the images of the cohort folder).",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 written, 1 failed, 2 no such file or run",
    .example = {{"radcohort report results/demo.sqlite -o results/demo-report", "then open results/demo-report/index.html"},
                {"radcohort report results/demo.sqlite -o public --public --k 10", "for a supplement that everybody may read"}},
    .run = run,
};
