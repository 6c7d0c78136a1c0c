/* cmd_cams.c: `radcohort cams`: the overlays of a run under names, a table of all maps, and contact sheets of the strongest, the weakest
 * and the wrong cases of each model. */
#include "cams.h"
#include "cli.h"
#include "json.h"
#include "radcohort/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TILES = 400 };

/* ---------------------------------------------------------------- overlays and table */

/* Letters and digits of a pseudonym stay, whatever else becomes '_': the number in front keeps names apart. */
static void put_safe(char *to, size_t cap, const char *text) {
    size_t n = strlen(to);
    for (; text && *text && n + 1 < cap; text++)
        to[n++] = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-", *text) ? *text : '_';
    to[n] = '\0';
}

/* The first map of its file. */
static bool is_fresh(const cams_list *c, int64_t i) {
    const rad_cam_row *r = &c->item[i];
    return r->file && (i == 0 || !r[-1].file || strcmp(r[-1].file, r->file) != 0);
}

/* Of the i-th map: the name of its overlay below DIR, empty without one. Maps of one file follow each other and share the first's. */
static void name_overlay(const cams_list *c, int64_t i, char name[256]) {
    const rad_cam_row *r = &c->item[i];
    if (!r->file) {
        name[0] = '\0';
        return;
    }
    if (!is_fresh(c, i))
        return;
    snprintf(name, 256, "%05" PRId64 "_", i + 1);
    const char *part[] = {r->model, "_", r->patient, r->lesion ? "_" : "", r->lesion, "_", r->class_name};
    for (size_t k = 0; k < sizeof part / sizeof *part; k++)
        put_safe(name, 240, part[k]);
    memcpy(name + strlen(name), ".nii.gz", 8);
}

static rad_status copy_overlay(const rad_cam_row *r, const char *cam_dir, const char *dir, const char *name, rad_error *err) {
    char *from = rad_path_join(cam_dir, r->file), *data = NULL, *to = rad_path_join(dir, name);
    size_t size = 0;
    rad_status st = RAD_OK;
    if (!from || !to) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for an overlay");
        goto out;
    }
    RAD_TRY(rad_file_read(from, RAD_MAX_FILE_BYTES, &data, &size, err));
    st = rad_file_write_atomic(to, data, size, err);
out:
    free(data);
    free(from);
    free(to);
    return st;
}

static rad_status put_row(rad_buf *b, const rad_cam_row *r, int64_t number, const char *file, rad_error *err) {
    rad_status st =
        rad_buf_printf(b, err, "%" PRId64 "\t%s\t%s\t%s\t%s\t%s\t%s\t%" PRId64 "\t%d\t%.17g\t", number, r->model, r->cohort, r->patient,
                       r->lesion ? r->lesion : "n/a", r->study[0] ? r->study : "n/a", r->class_name, r->slice, r->deciding, r->score);
    const double x[] = {r->peak_value, r->energy_inside, r->iou};
    if (st == RAD_OK)
        st = r->label < 0 ? rad_buf_printf(b, err, "n/a\t") : rad_buf_printf(b, err, "%d\t", r->label);
    if (st == RAD_OK)
        st = rad_buf_printf(b, err, "%" PRId64 " %" PRId64 " %" PRId64 "\t", r->peak[0], r->peak[1], r->peak[2]);
    for (int i = 0; i < 3 && st == RAD_OK; i++)
        st = isnan(x[i]) ? rad_buf_printf(b, err, "n/a\t") : rad_buf_printf(b, err, "%.9g\t", x[i]);
    if (st == RAD_OK)
        st = r->peak_inside < 0 ? rad_buf_printf(b, err, "n/a\t") : rad_buf_printf(b, err, "%d\t", r->peak_inside);
    return st == RAD_OK ? rad_buf_printf(b, err, "%s\n", file[0] ? file : "n/a") : st;
}

/* `sheets` gets the text of sheets.tsv. */
static rad_status write_all(cams_list *c, const char *cam_dir, const char *dir, int64_t count, rad_buf *sheets, rad_error *err) {
    rad_buf maps;
    rad_status st = RAD_OK;
    char name[256] = "", *path = NULL;
    rad_buf_init(&maps, (size_t)1 << 30);
    RAD_TRY(rad_mkdirs(dir, err));
    RAD_TRY(rad_buf_printf(&maps, err,
                           "number\tmodel\tcohort\tpatient\tlesion\tstudy\tclass\tslice\tdeciding\tscore\tlabel\tpeak\tpeak_value\t"
                           "energy_inside\tiou\tpeak_inside\tfile\n"));
    RAD_TRY(rad_buf_printf(sheets, err, "sheet\trow\tcolumn\tnumber\tmissing\n"));
    for (int64_t i = 0; i < c->n; i++) {
        const rad_cam_row *r = &c->item[i];
        name_overlay(c, i, name);
        if (is_fresh(c, i))
            RAD_TRY(copy_overlay(r, cam_dir, dir, name, err));
        RAD_TRY(put_row(&maps, r, i + 1, name, err));
    }
    for (int64_t first = 0, end; first < c->n; first = end) {
        for (end = first; end < c->n && strcmp(c->item[end].model, c->item[first].model) == 0;)
            end++;
        RAD_TRY(cams_write_sheets(c, first, end, count, cam_dir, dir, sheets, err));
    }
    const rad_buf *const text[] = {&maps, sheets};
    static const char *const file[] = {"maps.tsv", "sheets.tsv"};
    for (int i = 0; i < 2; i++) {
        path = rad_path_join(dir, file[i]);
        st = path ? rad_file_write_atomic(path, text[i]->data, text[i]->size, err)
                  : rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
        free(path);
        if (st != RAD_OK)
            goto out;
    }
out:
    rad_buf_release(&maps);
    return st;
}

static json_t *map_json(const rad_cam_row *r, int64_t number, const char *file) {
    return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o, s:s, s:I, s:b, s:o, s:o, s:[I, I, I], s:o, s:o, s:o, s:o, s:o}", "number",
                     (json_int_t)number, "model", r->model, "cohort", r->cohort, "patient", r->patient, "lesion", cli_json_text(r->lesion),
                     "study", cli_json_text(r->study[0] ? r->study : NULL), "class", r->class_name, "slice", (json_int_t)r->slice,
                     "deciding", r->deciding, "score", cli_json_number(r->score), "label",
                     r->label < 0 ? json_null() : json_boolean(r->label), "peak", (json_int_t)r->peak[0], (json_int_t)r->peak[1],
                     (json_int_t)r->peak[2], "peak_value", cli_json_number(r->peak_value), "energy_inside",
                     cli_json_number(r->energy_inside), "iou", cli_json_number(r->iou), "peak_inside",
                     r->peak_inside < 0 ? json_null() : json_boolean(r->peak_inside), "file", cli_json_text(file[0] ? file : NULL));
}

/* The contact sheets and their numbers of cases, from the text of sheets.tsv, where the rows of a sheet follow each other. */
static json_t *sheets_json(const rad_buf *b) {
    json_t *list = json_array();
    const char *text = b->data, *end = text + b->size, *at = memchr(text, '\n', b->size);
    bool ok = list != NULL;
    while (ok && at && at + 1 < end) {
        const char *name = at + 1, *tab = memchr(name, '\t', (size_t)(end - name));
        const size_t length = tab ? (size_t)(tab - name) : 0;
        json_int_t n = 0;
        for (; at && end - at > (ptrdiff_t)length + 1 && memcmp(at + 1, name, length + 1) == 0; n++)
            at = memchr(at + 1, '\n', (size_t)(end - at - 1));
        ok = n > 0 && json_array_append_new(list, json_pack("{s:s#, s:I}", "file", name, length, "cases", n)) == 0;
    }
    if (!ok) {
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* A line per map, as they come: there may be a million. */
static rad_status print_json(const cams_list *c, const char *database, int64_t run, const char *dir, const rad_buf *sheets,
                             rad_error *err) {
    char name[256] = "";
    json_t *head = json_pack("{s:s, s:I, s:s, s:s, s:s, s:o}", "database", database, "run", (json_int_t)run, "folder", dir, "table",
                             "maps.tsv", "sheet_table", "sheets.tsv", "sheets", sheets_json(sheets));
    bool ok = head && putchar('{') != EOF && json_dumpf(head, stdout, JSON_EMBED) == 0 && fputs(", \"maps\": [", stdout) != EOF;
    json_decref(head);
    for (int64_t i = 0; i < c->n && ok; i++) {
        name_overlay(c, i, name);
        json_t *j = map_json(&c->item[i], i + 1, name);
        ok = j && fputs(i ? ",\n" : "\n", stdout) != EOF && json_dumpf(j, stdout, 0) == 0;
        json_decref(j);
    }
    ok = ok && fputs("\n]}\n", stdout) != EOF;
    return ok ? RAD_OK : rad_error_set(err, RAD_E_IO, "cannot write the outcome as JSON: a name that is not UTF-8, or no memory or room");
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_cams;
    const char *path = NULL, *dir = NULL, *run_text = NULL, *count_text = NULL;
    cams_list c = {0};
    bool as_json = false;
    rad_buf sheets;
    rad_buf_init(&sheets, (size_t)1 << 24);
    const rad_target target[] = {{"-o", &dir, NULL},          {"--run", &run_text, NULL},
                                 {"--model", &c.model, NULL}, {"--count", &count_text, NULL},
                                 {"--json", NULL, &as_json},  {NULL, NULL, NULL}};
    int n = 0;
    int64_t id = 0, count = 24;
    char *cam_dir = NULL;
    rad_error err = {0};
    rad_store *db = NULL;
    rad_status st = rad_cli_parse(self, argc, argv, target, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1 || !dir)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a result file and a folder are needed: radcohort cams %s", self->usage[0]));
    if (run_text && (!rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    if (count_text && (!rad_parse_int(count_text, &count) || count < 1 || count > MAX_TILES))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--count '%s': a number of cases from 1 to %d was expected", count_text, MAX_TILES));
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, &err));
    if (!run_text)
        RAD_TRY(rad_store_last_run(db, &id, &err));
    RAD_TRY(cams_collect(db, id, &c, &err));
    cam_dir = rad_store_cam_dir(path);
    if (!cam_dir)
        RAD_TRY(rad_error_set(&err, RAD_E_NOMEM, "out of memory for the class activation maps"));
    if (c.n == 0)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE,
                              "run %" PRId64 " of '%s' has no class activation maps%s%s%s: a job asks for them with 'cam'", id, path,
                              c.model ? " of model '" : "", c.model ? c.model : "", c.model ? "'" : ""));
    RAD_TRY(write_all(&c, cam_dir, dir, count, &sheets, &err));
    if (as_json)
        RAD_TRY(print_json(&c, path, id, dir, &sheets, &err));
    else
        printf("%" PRId64 " class activation maps in '%s': maps.tsv, sheets.tsv, overlays, contact sheets\n", c.n, dir);
out:
    cams_release(&c);
    rad_buf_release(&sheets);
    free(cam_dir);
    rad_store_close(&db);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    {"-o", "DIR", RAD_FILL_DIR, "where they go; made when missing"}, RAD_OPTION_RUN,  {"--model", "NAME", NULL, "one model only"},
    {"--count", "N", NULL, "cases on a sheet at most (default 24)"}, RAD_OPTION_JSON, RAD_OPTION_END,
};

const rad_command rad_command_cams = {
    .name = "cams",
    .group = RAD_GROUP_RUN,
    .usage = {"DB -o DIR [options]"},
    .summary = "class activation maps of a run: overlays by name, a table, contact sheets",
    .about = "DIR gets maps.tsv (every map with its numbers), the overlays (NNNNN_MODEL_PATIENT_LESION_CLASS.nii.gz), and "
             "MODEL-strongest.png, -weakest.png and -wrong.png; sheets.tsv says which case is in which row and column.\n\n"
             "A case shows its deciding slice (of a volume: that of the peak) twice: with the region (white) and the lesion (green), and "
             "with the map. Wrong: the score is on the wrong side of the first operating point (0.5 without one).",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 written, 1 failed, 2 no such file or run, or a run without maps",
    .example = {{"radcohort cams results/demo.sqlite -o report/cams", "all models"},
                {"radcohort cams results/demo.sqlite -o report/cams --model resnet --count 48", "more cases of one"}},
    .run = run,
};
