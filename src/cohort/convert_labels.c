/* convert_labels.c: a table of labels under the original patient IDs (or pseudonyms), brought under pseudonyms. Rows without a lesion go to
 * patients.tsv, rows with one to lesions.tsv; further columns go along. */
#include "convert_labels.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "strmap.h"
#include "table.h"

enum { L_ID, L_PSEUDONYM, L_LABEL, L_FOLD, L_LESION, L_STUDY, L_BOX, L_MASK, L_POINT, L_SIZE, L_COUNT };
static const table_column label_column[] = {{"patient_id", COLUMN_OPTIONAL}, {"patient", COLUMN_OPTIONAL}, {"label", COLUMN_OPTIONAL},
                                            {"fold", COLUMN_OPTIONAL},       {"lesion", COLUMN_OPTIONAL},  {"study", COLUMN_OPTIONAL},
                                            {"box", COLUMN_OPTIONAL},        {"mask", COLUMN_OPTIONAL},    {"point", COLUMN_OPTIONAL},
                                            {"size_mm", COLUMN_OPTIONAL},    {NULL, COLUMN_OPTIONAL}};
static const table_def label_table = {"labels", label_column, true, true};

typedef struct label_row {
    int64_t patient, line;
    char *known[L_COUNT];
    char **extra;
} label_row;

struct convert_labels {
    arena *arena;
    bool has[L_COUNT + 1];
    int64_t n_extra;
    char **extra_name;
    int64_t n, cap;
    label_row *row;
    bool *ambiguous;     /* per patient: another one has the same original ID */
    int64_t *of_patient; /* per patient of the tree: its row without lesion, or -1 */
    strmap by_id, by_pseudonym;
    int64_t n_unknown, unknown_line;
};

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the labels");
}

void convert_labels_destroy(struct convert_labels *l) {
    if (!l)
        return;
    strmap_release(&l->by_id);
    strmap_release(&l->by_pseudonym);
    free(l->row);
    free(l->of_patient);
    free(l->ambiguous);
    free(l);
}

static rad_status take_row(table *t, const table_row *row, rad_error *err) {
    convert *c = t->payload;
    struct convert_labels *l = c->labels;
    const char *id = row->known[L_ID], *pseudonym = row->known[L_PSEUDONYM];
    if (!id && !pseudonym) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, "patient_id",
                      "neither patient_id nor patient (the pseudonym): whose label is this?");
        return RAD_OK;
    }
    int64_t p = id ? strmap_get(&l->by_id, &(strmap_key){.text = {id}}) : strmap_get(&l->by_pseudonym, &(strmap_key){.text = {pseudonym}});
    if (p == -1) { /* the ID is not told: messages end up in logs */
        l->unknown_line = l->n_unknown++ ? l->unknown_line : row->line;
        return RAD_OK;
    }
    if (id && l->ambiguous[p]) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, "patient_id",
                      "several patients of the tree have this ID: give the pseudonym (column patient)");
        return RAD_OK;
    }
    if (l->n == l->cap) {
        int64_t cap = l->cap ? l->cap * 2 : 64;
        label_row *r = rad_realloc(l->row, (size_t)cap, sizeof *r);
        if (!r)
            return no_memory(err);
        l->row = r;
        l->cap = cap;
    }
    if (!l->extra_name) {
        l->n_extra = row->n_extra;
        l->extra_name = arena_alloc(c->arena, (size_t)row->n_extra, sizeof *l->extra_name);
        for (int64_t i = 0; l->extra_name && i < row->n_extra; i++)
            if (!(l->extra_name[i] = arena_strdup(c->arena, row->extra_name[i])))
                return no_memory(err);
    }
    label_row r = {.patient = p, .line = row->line, .extra = arena_alloc(c->arena, (size_t)row->n_extra, sizeof *r.extra)};
    if (!r.extra || !l->extra_name)
        return no_memory(err);
    for (int i = 0; i < L_COUNT; i++)
        if (row->known[i] && !(r.known[i] = arena_strdup(c->arena, row->known[i])))
            return no_memory(err);
    for (int64_t i = 0; i < row->n_extra; i++)
        if (row->extra[i] && !(r.extra[i] = arena_strdup(c->arena, row->extra[i])))
            return no_memory(err);
    if (!r.known[L_LESION] && l->of_patient[p] >= 0) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, "patient_id",
                      "this patient is already on line %lld: one row per patient, or a lesion in each",
                      (long long)l->row[l->of_patient[p]].line);
        return RAD_OK;
    }
    if (!r.known[L_LESION])
        l->of_patient[p] = l->n;
    l->row[l->n++] = r;
    return RAD_OK;
}

rad_status convert_read_labels(convert *c, rad_error *err) {
    const char *path = c->opts->labels;
    char *text = NULL;
    size_t size = 0, m = strlen(path);
    int64_t old = -1, before = c->issues->n_error;
    struct convert_labels *l = rad_calloc(1, sizeof *l);
    c->labels = l;
    if (!l || !(l->of_patient = rad_calloc((size_t)c->n_patient, sizeof *l->of_patient)) ||
        !(l->ambiguous = rad_calloc((size_t)c->n_patient, sizeof *l->ambiguous)))
        return no_memory(err);
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < c->n_patient; i++) {
        l->of_patient[i] = -1;
        RAD_TRY(strmap_put(&l->by_id, &(strmap_key){.text = {c->patient[i].id}}, i, &old, err));
        if (old >= 0) /* the same ID at two centers */
            l->ambiguous[old] = true;
        RAD_TRY(strmap_put(&l->by_pseudonym, &(strmap_key){.text = {c->patient[i].pseudonym}}, i, &old, err));
    }
    RAD_TRY(rad_file_read(path, RAD_MAX_SIDECAR_BYTES, &text, &size, err));
    table t = {.def = &label_table, .file = path, .issues = c->issues, .has = l->has, .payload = c, .row = take_row};
    RAD_TRY(table_read(&t, text, size, m > 4 && strcasecmp(path + m - 4, ".csv") == 0, err));
    if (l->n_unknown)
        rad_issues_add(c->issues, RAD_SEVERITY_WARNING, path, l->unknown_line, NULL,
                       "%lld row%s of patients who are not in the DICOM tree, not used", (long long)l->n_unknown,
                       l->n_unknown == 1 ? "" : "s");
    if (c->issues->n_error > before)
        st = rad_error_set(err, RAD_E_CONFIG, "the labels in '%.200s' have %lld mistake%s", path, (long long)(c->issues->n_error - before),
                           c->issues->n_error - before == 1 ? "" : "s");
out:
    free(text);
    return st;
}

static const label_row *row_of(const struct convert_labels *l, int64_t patient) {
    return l && l->of_patient[patient] >= 0 ? &l->row[l->of_patient[patient]] : NULL;
}

const char *convert_labels_label(const struct convert_labels *l, int64_t patient) {
    const label_row *r = row_of(l, patient);
    return r ? r->known[L_LABEL] : NULL;
}

/* Columns that go to the patients: fold, and further ones when there are rows without a lesion. */
static bool has_patient_rows(const struct convert_labels *l) {
    for (int64_t i = 0; l && i < l->n; i++)
        if (!l->row[i].known[L_LESION])
            return true;
    return false;
}

int64_t convert_labels_columns(const struct convert_labels *l) {
    return has_patient_rows(l) ? l->n_extra + l->has[L_FOLD] : 0;
}

rad_status convert_labels_put_header(const struct convert_labels *l, rad_buf *b, rad_error *err) {
    bool any = has_patient_rows(l);
    rad_status st = any && l->has[L_FOLD] ? rad_buf_printf(b, err, "\tfold") : RAD_OK;
    for (int64_t i = 0; any && i < l->n_extra && st == RAD_OK; i++) {
        st = rad_buf_put(b, "\t", 1, err);
        if (st == RAD_OK)
            st = convert_put_field(b, l->extra_name[i], '\t', err);
        if (st == RAD_OK)
            b->data[--b->size] = '\0';
    }
    return st == RAD_OK ? rad_buf_put(b, "\n", 1, err) : st;
}

rad_status convert_labels_put_row(const struct convert_labels *l, int64_t patient, rad_buf *b, rad_error *err) {
    const label_row *r = row_of(l, patient);
    rad_status st = RAD_OK;
    if (!convert_labels_columns(l))
        return RAD_OK;
    if (l->has[L_FOLD])
        st = convert_put_field(b, r ? r->known[L_FOLD] : NULL, l->n_extra ? '\t' : '\n', err);
    for (int64_t i = 0; i < l->n_extra && st == RAD_OK; i++)
        st = convert_put_field(b, r ? r->extra[i] : NULL, i + 1 < l->n_extra ? '\t' : '\n', err);
    return st;
}

rad_status convert_labels_put_lesions(const convert *c, rad_buf *b, rad_error *err) {
    static const int column[] = {L_LESION, L_LABEL, L_STUDY, L_BOX, L_MASK, L_POINT, L_SIZE};
    const struct convert_labels *l = c->labels;
    rad_status st = RAD_OK;
    bool begun = false;
    for (int64_t i = 0; l && i < l->n && st == RAD_OK; i++) {
        const label_row *r = &l->row[i];
        if (!r->known[L_LESION] || !c->patient[r->patient].used)
            continue;
        if (!begun)
            st = rad_buf_printf(b, err, "patient\tlesion\tlabel\tstudy\tbox\tmask\tpoint\tsize_mm");
        for (int64_t k = 0; !begun && k < l->n_extra && st == RAD_OK; k++)
            st = rad_buf_printf(b, err, "\t%s", l->extra_name[k]);
        if (!begun && st == RAD_OK)
            st = rad_buf_put(b, "\n", 1, err);
        begun = true;
        if (st == RAD_OK)
            st = convert_put_field(b, c->patient[r->patient].pseudonym, '\t', err);
        for (size_t k = 0; k < sizeof column / sizeof *column && st == RAD_OK; k++)
            st = convert_put_field(b, r->known[column[k]], k + 1 < sizeof column / sizeof *column || l->n_extra ? '\t' : '\n', err);
        for (int64_t k = 0; k < l->n_extra && st == RAD_OK; k++)
            st = convert_put_field(b, r->extra[k], k + 1 < l->n_extra ? '\t' : '\n', err);
    }
    return st;
}
