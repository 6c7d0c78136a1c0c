/* phantom.c: writes the synthetic patients of a design as a cohort folder. The model is described in phantom.h. */
#include "phantom.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "phantom_plan.h"

#define TABLE_BYTES ((size_t)64 << 20)

typedef struct tables {
    rad_buf patients, images, lesions, readings, centers;
} tables;

/* The folder being written. */
typedef struct writer {
    const phantom_plan *plan;
    const char *dir;
    tables t;
    void *voxel; /* scratch for the largest image */
    phantom_counts count;
    bool tables_only;
} writer;

static bool has_sets(const phantom_design *d) {
    for (int c = 0; c < d->n_center; c++)
        if (d->center[c].set)
            return true;
    return false;
}

/* A path below the folder of a patient: `path` for opening, `*ret_row` (points into it) for tables. */
static char *image_path(const writer *w, const phantom_patient *p, const char *name, const char **ret_row) {
    char *path = rad_asprintf("%s/images/%s/%s", w->dir, p->id, name);
    if (path)
        *ret_row = path + strlen(w->dir) + 1;
    return path;
}

static rad_status no_path(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for a path");
}

static rad_status put_box(rad_buf *b, const int64_t box[6], rad_error *err) {
    return rad_buf_printf(b, err, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, box[0], box[1], box[2], box[3],
                          box[4], box[5]);
}

/* ---------------------------------------------------------------- readings */

static rad_status add_readings(writer *w, const phantom_patient *p, int lesion, rad_error *err) {
    const phantom_design *d = w->plan->design;
    rad_buf *b = &w->t.readings;
    rad_status st = RAD_OK;
    for (int r = 0; r < d->n_reader && !p->center->unread; r++) {
        const phantom_reading *x = &p->reading[lesion][r];
        char name[8] = "";
        if (!d->read_patients)
            snprintf(name, sizeof name, "L%d", lesion + 1);
        const bool calls = d->reader[r].accuracy[0] > 0;
        RAD_TRY(rad_buf_printf(b, err, "%s\t%s\t%s\t%s\t%g", d->reader[r].id, p->id, name, calls ? d->class_name[x->call] : "",
                               d->reader[r].years));
        if (d->rated)
            RAD_TRY(calls ? rad_buf_printf(b, err, "\t%d", x->rating) : rad_buf_printf(b, err, "\t"));
        for (int f = 0; f < d->n_feature; f++)
            RAD_TRY(rad_buf_printf(b, err, "\t%s", r > 0 ? "" : p->feature[lesion] >> f & 1 ? "present" : "absent"));
        RAD_TRY(rad_buf_printf(b, err, "\n"));
    }
out:
    return st;
}

/* ---------------------------------------------------------------- volumes */

static rad_status add_volumes(writer *w, const phantom_patient *p, rad_error *err) {
    const phantom_design *d = w->plan->design;
    rad_status st = RAD_OK;
    char *path = NULL;
    const char *row = NULL;
    for (int s = 0; s < d->n_sequence; s++) {
        char name[64];
        if (p->missing[s])
            continue;
        snprintf(name, sizeof name, "%s.nii.gz", d->sequence[s].name);
        path = image_path(w, p, name, &row);
        if (!path)
            RAD_TRY(no_path(err));
        if (!w->tables_only)
            RAD_TRY(phantom_image_volume(d, p, s, path, w->voxel, err));
        RAD_TRY(rad_buf_printf(&w->t.images, err, "%s\t1\t%s\t%s\n", p->id, d->sequence[s].name, row));
        free(path);
        path = NULL;
        w->count.images++;
    }
out:
    free(path);
    return st;
}

static rad_status add_lesions(writer *w, const phantom_patient *p, rad_error *err) {
    const phantom_design *d = w->plan->design;
    rad_buf *b = &w->t.lesions;
    rad_status st = RAD_OK;
    char *path = NULL;
    const char *row = NULL;
    for (int l = 0; l < p->n_lesion; l++) {
        const phantom_lesion *le = &p->lesion[l];
        int64_t box[6];
        if (p->center->mask) {
            char name[32];
            snprintf(name, sizeof name, "L%d_mask.nii.gz", l + 1);
            path = image_path(w, p, name, &row);
            if (!path)
                RAD_TRY(no_path(err));
        }
        RAD_TRY(phantom_image_lesion(d, p, le, w->tables_only ? NULL : path, w->voxel, box, err));
        double size = 2 * fmax(le->radius[0], fmax(le->radius[1], le->radius[2]));
        RAD_TRY(rad_buf_printf(b, err, "%s\tL%d\t%s\t", p->id, l + 1, d->class_name[le->class_index]));
        if (path)
            RAD_TRY(rad_buf_printf(b, err, "\t%s", row));
        else {
            RAD_TRY(put_box(b, box, err));
            RAD_TRY(rad_buf_printf(b, err, "\t"));
        }
        RAD_TRY(rad_buf_printf(b, err, "\t\t%.1f\t%.4f\n", size, le->latent));
        free(path);
        path = NULL;
        for (int s = 0; s < d->n_sequence; s++)
            w->count.image_sets += p->missing[s] ? 0 : box[5] - box[2];
        w->count.lesions++;
        if (l == 0 || !d->read_patients)
            RAD_TRY(add_readings(w, p, l, err));
    }
out:
    free(path);
    return st;
}

/* ---------------------------------------------------------------- ultrasound */

/* A still or the loop: an image and the lesion row that is about it. Frames with contrast medium are listed. */
static rad_status add_view(writer *w, const phantom_patient *p, int view, rad_error *err) {
    const phantom_design *d = w->plan->design;
    const phantom_lesion *le = &p->lesion[0];
    rad_buf *b = &w->t.lesions;
    rad_status st = RAD_OK;
    char name[32], id[16];
    const char *row = NULL;
    int64_t box[6];
    snprintf(id, sizeof id, view < 0 ? "C1" : "S%d", view + 1);
    snprintf(name, sizeof name, "%s.%s", id, view < 0 ? "nii.gz" : "png");
    char *path = image_path(w, p, name, &row);
    if (!path)
        return no_path(err);
    RAD_TRY(phantom_image_view(d, p, view, w->tables_only ? NULL : path, w->voxel, box, err));
    RAD_TRY(rad_buf_printf(&w->t.images, err, "%s\t1\t%s\t%s\t%s\n", p->id, d->sequence[0].name, row, id));
    RAD_TRY(rad_buf_printf(b, err, "%s\t%s\t%s\t", p->id, id, d->class_name[le->class_index]));
    RAD_TRY(put_box(b, box, err));
    RAD_TRY(rad_buf_printf(b, err, "\t\t\t%.1f\t%.4f\t", 2 * fmax(le->radius[0], le->radius[1]), le->latent));
    if (view < 0)
        RAD_TRY(rad_buf_printf(b, err, "%d-%d\n", d->views.dark, d->views.frames - 1));
    else
        RAD_TRY(rad_buf_printf(b, err, "0\n"));
    w->count.image_sets += view < 0 ? d->views.frames - d->views.dark : 1;
    w->count.images++;
    w->count.lesions++;
out:
    free(path);
    return st;
}

/* ---------------------------------------------------------------- the folder */

static rad_status add_patient(writer *w, const phantom_patient *p, bool sets, rad_error *err) {
    const phantom_design *d = w->plan->design;
    rad_buf *b = &w->t.patients;
    rad_status st = RAD_OK;
    char *folder = rad_asprintf("%s/images/%s", w->dir, p->id);
    if (!folder)
        return no_path(err);
    if (!w->tables_only)
        RAD_TRY(rad_mkdirs(folder, err));
    RAD_TRY(rad_buf_printf(b, err, "%s\t%s\t%s\t", p->id, p->center->id, d->class_name[p->class_index]));
    if (p->fold >= 0)
        RAD_TRY(rad_buf_printf(b, err, "%d", p->fold));
    RAD_TRY(rad_buf_printf(b, err, "\t%.0f\t%s", p->age, p->male ? "M" : "F"));
    if (sets)
        RAD_TRY(rad_buf_printf(b, err, "\t%s", p->center->set));
    RAD_TRY(rad_buf_printf(b, err, "\n"));
    if (d->views.few > 0) {
        for (int v = p->cine ? -1 : 0; v < p->n_still; v++)
            RAD_TRY(add_view(w, p, v, err));
        RAD_TRY(add_readings(w, p, 0, err));
    } else {
        RAD_TRY(add_volumes(w, p, err));
        RAD_TRY(add_lesions(w, p, err));
    }
    w->count.patients++;
out:
    free(folder);
    return st;
}

static rad_status write_table(const char *dir, const char *name, const rad_buf *b, rad_error *err) {
    char *path = rad_path_join(dir, name);
    if (!path)
        return no_path(err);
    rad_status st = rad_file_write_atomic(path, b->data, b->size, err);
    free(path);
    return st;
}

static rad_status write_heads(writer *w, bool sets, rad_error *err) {
    const phantom_design *d = w->plan->design;
    const bool views = d->views.few > 0;
    rad_status st = RAD_OK;
    RAD_TRY(rad_buf_printf(&w->t.patients, err, "patient\tcenter\tlabel\tfold\tage\tsex%s\n", sets ? "\tset" : ""));
    RAD_TRY(rad_buf_printf(&w->t.images, err, "patient\tstudy\tsequence\tpath%s\n", views ? "\tlesion" : ""));
    RAD_TRY(rad_buf_printf(&w->t.lesions, err, "patient\tlesion\tlabel\tbox\tmask\tpoint\tsize_mm\tlatent%s\n", views ? "\tslices" : ""));
    RAD_TRY(rad_buf_printf(&w->t.readings, err, "reader\tpatient\tlesion\tcall\texperience_years%s", d->rated ? "\trating" : ""));
    for (int f = 0; f < d->n_feature; f++)
        RAD_TRY(rad_buf_printf(&w->t.readings, err, "\t%s", d->feature[f].name));
    RAD_TRY(rad_buf_printf(&w->t.readings, err, "\n"));
    RAD_TRY(rad_buf_printf(&w->t.centers, err, "center\tcohort\tname\tcountry\n"));
    for (int c = 0; c < d->n_center; c++) {
        const phantom_center *ce = &d->center[c];
        if (c == 0 || strcmp(ce->id, d->center[c - 1].id) != 0)
            RAD_TRY(rad_buf_printf(&w->t.centers, err, "%s\t%s\t%s\t%s\n", ce->id, ce->external ? "external" : "internal", ce->name,
                                   ce->country));
    }
out:
    return st;
}

rad_status phantom_write(const phantom_design *d, const char *dir, const phantom_opts *opts, phantom_counts *ret, rad_error *err) {
    rad_status st = RAD_OK;
    phantom_plan plan = {.n = 0};
    writer w = {.plan = &plan, .dir = dir, .tables_only = opts->tables_only};
    rad_buf *all[] = {&w.t.patients, &w.t.images, &w.t.lesions, &w.t.readings, &w.t.centers};
    const bool sets = has_sets(d);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        rad_buf_init(all[i], TABLE_BYTES);
    RAD_TRY(rad_mkdirs(dir, err));
    RAD_TRY(phantom_plan_make(d, opts->seed, opts->scale, &plan, err));
    w.voxel = rad_calloc(phantom_image_voxels(d), 3);
    if (!w.voxel)
        RAD_TRY(rad_error_set(err, RAD_E_NOMEM, "no memory for an image"));
    RAD_TRY(write_heads(&w, sets, err));
    for (int64_t i = 0; i < plan.n; i++)
        RAD_TRY(add_patient(&w, &plan.patient[i], sets, err));
    RAD_TRY(write_table(dir, "images.tsv", &w.t.images, err));
    RAD_TRY(write_table(dir, "lesions.tsv", &w.t.lesions, err));
    if (d->n_reader > 0)
        RAD_TRY(write_table(dir, "readings.tsv", &w.t.readings, err));
    RAD_TRY(write_table(dir, "centers.tsv", &w.t.centers, err));
    RAD_TRY(write_table(dir, "patients.tsv", &w.t.patients, err)); /* last: its presence says that the folder is complete */
    *ret = w.count;
out:
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        rad_buf_release(all[i]);
    free(w.voxel);
    phantom_plan_release(&plan);
    return st;
}
