/* cams_sheets.c: the maps of a run in memory, and contact sheets of the strongest, the weakest and the wrong cases of a model. */
#include "cams.h"
#include "radcohort/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_TILES = 4, GAP = 4 };

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
    cams_list *c = payload;
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

rad_status cams_collect(rad_store *db, int64_t run, cams_list *c, rad_error *err) {
    rad_status st = rad_store_each_cam(db, run, keep, c, err);
    return st == RAD_OK && c->failed ? rad_error_set(err, RAD_E_NOMEM, "out of memory for the class activation maps") : st;
}

void cams_release(cams_list *c) {
    for (int64_t i = 0; i < c->n; i++)
        free_row(&c->item[i]);
    free(c->item);
    c->item = NULL;
    c->n = 0;
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

static rad_status write_sheet(const cams_list *c, const rad_cam_row *const *pick, int64_t n, const char *cam_dir, const char *dir,
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

rad_status cams_write_sheets(const cams_list *c, int64_t first, int64_t end, int64_t count, const char *cam_dir, const char *dir,
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
