/* cmd_cams.c: `radcohort cams`: the overlays of a run under names, a table of all maps, and contact sheets of the strongest, the weakest
 * and the wrong cases of each model. */
#include "cams.h"
#include "cli.h"
#include "radcohort/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TILES = 400, ROW_TILES = 4, GAP = 4 };

struct cams {
    rad_cam_row *item; /* strings owned */
    int64_t n, cap;
    const char *model; /* only this one, or NULL */
    bool failed;
};

static void free_row(rad_cam_row *r) {
    const char *text[] = {r->model, r->patient, r->lesion, r->study, r->class_name, r->cohort, r->file, r->image, r->cohort_dir, r->mask};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free((char *)(uintptr_t)text[i]);
}

static bool own(const char **text) {
    if (!*text)
        return true;
    *text = rad_strdup(*text);
    return *text != NULL;
}

static int keep(const rad_cam_row *r, void *payload) {
    struct cams *c = payload;
    if (c->model && strcmp(r->model, c->model) != 0)
        return 0;
    if (c->n == c->cap) {
        int64_t cap = c->cap ? 2 * c->cap : 256;
        rad_cam_row *more = rad_realloc(c->item, (size_t)cap, sizeof *more);
        if (!more) {
            c->failed = true;
            return 1;
        }
        c->item = more;
        c->cap = cap;
    }
    rad_cam_row *d = &c->item[c->n];
    const char **text[] = {&d->model,  &d->patient, &d->lesion, &d->study,      &d->class_name,
                           &d->cohort, &d->file,    &d->image,  &d->cohort_dir, &d->mask};
    *d = *r;
    bool ok = true;
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (ok)
            ok = own(text[i]);
        else
            *text[i] = NULL;
    c->n++;
    c->failed = !ok;
    return !ok;
}

/* ---------------------------------------------------------------- sheets */

static double threshold(const rad_cam_row *r) {
    return isnan(r->threshold) ? 0.5 : r->threshold;
}

static bool is_wrong(const rad_cam_row *r) {
    return r->label >= 0 && (r->score >= threshold(r)) != (r->label == 1);
}

/* Ties by the order of the table, which is that of the names. */
static int strongest(const void *x, const void *y) {
    const rad_cam_row *a = *(const rad_cam_row *const *)x, *b = *(const rad_cam_row *const *)y;
    return a->score != b->score ? (a->score < b->score ? 1 : -1) : (a > b) - (a < b);
}

static int weakest(const void *x, const void *y) {
    const rad_cam_row *a = *(const rad_cam_row *const *)x, *b = *(const rad_cam_row *const *)y;
    return a->score != b->score ? (a->score > b->score ? 1 : -1) : (a > b) - (a < b);
}

static int most_wrong(const void *x, const void *y) {
    const rad_cam_row *a = *(const rad_cam_row *const *)x, *b = *(const rad_cam_row *const *)y;
    const double p = fabs(a->score - threshold(a)), q = fabs(b->score - threshold(b));
    return p != q ? (p < q ? 1 : -1) : (a > b) - (a < b);
}

static rad_status write_sheet(const struct cams *c, const rad_cam_row *const *pick, int64_t n, const char *cam_dir, const char *dir,
                              const char *name, rad_buf *table, rad_error *err) {
    const int64_t tile_w = 2 * CAMS_TILE + GAP, tile_h = CAMS_TILE + GAP, rows = (n + ROW_TILES - 1) / ROW_TILES,
                  width = GAP + tile_w * (n < ROW_TILES ? n : ROW_TILES), height = GAP + tile_h * rows;
    rad_status st = RAD_OK;
    char *path = rad_asprintf("%s/%s-%s.png", dir, pick[0]->model, name);
    uint8_t *rgb = rad_calloc((size_t)(3 * width * height), 1);
    if (!path || !rgb) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a contact sheet");
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        rad_error why = {0};
        const rad_cam_row *r = pick[i];
        st = cams_draw(r, cam_dir, rgb, width, GAP + i % ROW_TILES * tile_w, GAP + i / ROW_TILES * tile_h, &why);
        if (st == RAD_E_NOMEM) {
            st = rad_error_set(err, st, "%s", why.text);
            goto out;
        }
        RAD_TRY(rad_buf_printf(table, err, "%s-%s.png\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\n", r->model, name, i / ROW_TILES + 1,
                               i % ROW_TILES + 1, (int64_t)(r - c->item) + 1, st == RAD_OK ? "" : why.text));
        st = RAD_OK;
    }
    const rad_image_info info = {.n_dim = 3, .dim = {width, height, 1, 1, 1, 1, 1}, .type = RAD_VOX_RGB24, .slope = 1};
    st = rad_volume_write(path, &info, rgb, err);
out:
    free(rgb);
    free(path);
    return st;
}

/* The sheets of the model whose maps begin at `first`. */
static rad_status write_sheets(const struct cams *c, int64_t first, int64_t end, int64_t count, const char *cam_dir, const char *dir,
                               rad_buf *table, rad_error *err) {
    static const struct {
        const char *name;
        int (*order)(const void *, const void *);
    } SHEET[] = {{"strongest", strongest}, {"weakest", weakest}, {"wrong", most_wrong}};
    rad_status st = RAD_OK;
    const rad_cam_row **pick = rad_calloc((size_t)(end - first) + 1, sizeof *pick);
    if (!pick)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a contact sheet");
    for (size_t s = 0; s < sizeof SHEET / sizeof *SHEET && st == RAD_OK; s++) {
        int64_t n = 0;
        for (int64_t i = first; i < end; i++)
            if (c->item[i].deciding && c->item[i].file && c->item[i].image && (SHEET[s].order != most_wrong || is_wrong(&c->item[i])))
                pick[n++] = &c->item[i];
        if (n == 0)
            continue;
        qsort(pick, (size_t)n, sizeof *pick, SHEET[s].order);
        st = write_sheet(c, pick, n < count ? n : count, cam_dir, dir, SHEET[s].name, table, err);
    }
    free(pick);
    return st;
}

/* ---------------------------------------------------------------- overlays and table */

/* Letters and digits of a pseudonym stay, whatever else becomes '_': the number in front keeps names apart. */
static void put_safe(char *to, size_t cap, const char *text) {
    size_t n = strlen(to);
    for (; text && *text && n + 1 < cap; text++)
        to[n++] = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-", *text) ? *text : '_';
    to[n] = '\0';
}

static rad_status copy_overlay(const rad_cam_row *r, int64_t number, const char *cam_dir, const char *dir, char name[256], rad_error *err) {
    char *from = rad_path_join(cam_dir, r->file), *data = NULL, *to = NULL;
    size_t size = 0;
    rad_status st = RAD_OK;
    snprintf(name, 256, "%05" PRId64 "_", number);
    const char *part[] = {r->model, "_", r->patient, r->lesion ? "_" : "", r->lesion, "_", r->class_name};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        put_safe(name, 240, part[i]);
    memcpy(name + strlen(name), ".nii.gz", 8);
    to = rad_path_join(dir, name);
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

static rad_status write_all(struct cams *c, const char *cam_dir, const char *dir, int64_t count, rad_error *err) {
    rad_buf maps, sheets;
    rad_status st = RAD_OK;
    char name[256] = "", *path = NULL;
    rad_buf_init(&maps, (size_t)1 << 30);
    rad_buf_init(&sheets, (size_t)1 << 24);
    RAD_TRY(rad_mkdirs(dir, err));
    RAD_TRY(rad_buf_printf(&maps, err,
                           "number\tmodel\tcohort\tpatient\tlesion\tstudy\tclass\tslice\tdeciding\tscore\tlabel\tpeak\tpeak_value\t"
                           "energy_inside\tiou\tpeak_inside\tfile\n"));
    RAD_TRY(rad_buf_printf(&sheets, err, "sheet\trow\tcolumn\tnumber\tmissing\n"));
    for (int64_t i = 0; i < c->n; i++) {
        const rad_cam_row *r = &c->item[i];
        const bool fresh = i == 0 || !r->file || !r[-1].file || strcmp(r[-1].file, r->file) != 0;
        if (!r->file)
            name[0] = '\0';
        else if (fresh)
            RAD_TRY(copy_overlay(r, i + 1, cam_dir, dir, name, err));
        RAD_TRY(put_row(&maps, r, i + 1, name, err));
    }
    for (int64_t first = 0, end; first < c->n; first = end) {
        for (end = first; end < c->n && strcmp(c->item[end].model, c->item[first].model) == 0;)
            end++;
        RAD_TRY(write_sheets(c, first, end, count, cam_dir, dir, &sheets, err));
    }
    const rad_buf *const text[] = {&maps, &sheets};
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
    rad_buf_release(&sheets);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_cams;
    const char *path = NULL, *dir = NULL, *run_text = NULL, *count_text = NULL;
    struct cams c = {0};
    const rad_option option[] = {{"-o", false, &dir, NULL},
                                 {"--run", false, &run_text, NULL},
                                 {"--model", false, &c.model, NULL},
                                 {"--count", false, &count_text, NULL},
                                 {NULL, false, NULL, NULL}};
    int n = 0;
    int64_t id = 0, count = 24;
    char *cam_dir = NULL;
    rad_error err = {0};
    rad_store *db = NULL;
    rad_status st = rad_cli_parse(self, argc, argv, option, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1 || !dir)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a result file and a folder are needed: radcohort cams %s", self->usage));
    if (run_text && (!rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    if (count_text && (!rad_parse_int(count_text, &count) || count < 1 || count > MAX_TILES))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--count '%s': a number of cases from 1 to %d was expected", count_text, MAX_TILES));
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, &err));
    if (!run_text)
        RAD_TRY(rad_store_last_run(db, &id, &err));
    RAD_TRY(rad_store_each_cam(db, id, keep, &c, &err));
    cam_dir = rad_store_cam_dir(path);
    if (c.failed || !cam_dir)
        RAD_TRY(rad_error_set(&err, RAD_E_NOMEM, "out of memory for the class activation maps"));
    if (c.n == 0)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE,
                              "run %" PRId64 " of '%s' has no class activation maps%s%s%s: a job asks for them with 'cam'", id, path,
                              c.model ? " of model '" : "", c.model ? c.model : "", c.model ? "'" : ""));
    RAD_TRY(write_all(&c, cam_dir, dir, count, &err));
    printf("%" PRId64 " class activation maps in '%s': maps.tsv, sheets.tsv, overlays, contact sheets\n", c.n, dir);
out:
    for (int64_t i = 0; i < c.n; i++)
        free_row(&c.item[i]);
    free(c.item);
    free(cam_dir);
    rad_store_close(&db);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

const rad_command rad_command_cams = {
    .name = "cams",
    .usage = "DB -o DIR [--run N] [--model NAME] [--count N]",
    .summary = "class activation maps of a run: overlays by name, a table, contact sheets",
    .help = "  -o DIR        where they go: maps.tsv (every map with its numbers), the overlays (NNNNN_MODEL_PATIENT_LESION_CLASS.nii.gz), "
            "and\n"
            "                MODEL-strongest.png, -weakest.png, -wrong.png; sheets.tsv says which case is in which row and column\n"
            "  --run N       the run, by number; default: the newest\n"
            "  --model NAME  one model only\n"
            "  --count N     cases on a sheet at most (default 24)\n"
            "\n"
            "A case shows its deciding slice (of a volume: that of the peak) twice: with the region (white) and the lesion (green), and "
            "with the map. Wrong: the score is "
            "on the\n"
            "wrong side of the first operating point (0.5 without one).\n"
            "\n"
            "Example:\n"
            "  radcohort cams results/demo.sqlite -o report/cams\n",
    .run = run,
};
