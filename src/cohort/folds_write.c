/* folds_write.c: the patients table with another fold column, every other field as it was written. */
#include <stdlib.h>
#include <string.h>

#include "cohort_rows.h"
#include "radcohort/folds.h"

struct writer {
    const rad_cohort *c;
    const int64_t *fold;
    const char *seed;
    rad_buf *out;
    int64_t row;
    int n_known, fold_at;
    rad_status st;
};

static bool is_ours(const char *name) {
    return strcmp(name, RAD_FOLD_SEED_COLUMN) == 0;
}

/* A field, quoted where it must be (RFC 4180; tabs and line ends are refused when a table is read); NULL: not known. */
static void put(struct writer *w, bool first, const char *s, rad_error *err) {
    s = s ? s : "n/a";
    bool quote = s[strcspn(s, "\"")] != '\0';
    if (w->st == RAD_OK && !first)
        w->st = rad_buf_put(w->out, "\t", 1, err);
    if (w->st == RAD_OK && quote)
        w->st = rad_buf_put(w->out, "\"", 1, err);
    for (; *s && w->st == RAD_OK; s++) {
        if (*s == '"')
            w->st = rad_buf_put(w->out, "\"", 1, err);
        if (w->st == RAD_OK)
            w->st = rad_buf_put(w->out, s, 1, err);
    }
    if (w->st == RAD_OK && quote)
        w->st = rad_buf_put(w->out, "\"", 1, err);
}

static void end_line(struct writer *w, const char *fold, const char *seed, rad_error *err) {
    put(w, false, fold, err);
    put(w, false, seed, err);
    if (w->st == RAD_OK)
        w->st = rad_buf_put(w->out, "\n", 1, err);
}

static rad_status write_row(table *t, const table_row *row, rad_error *err) {
    struct writer *w = t->payload;
    char number[24];
    if (w->row == 0) {
        bool first = true;
        for (int i = 0; i < w->n_known; i++)
            if (t->has[i] && i != w->fold_at) {
                put(w, first, t->def->column[i].name, err);
                first = false;
            }
        for (int64_t i = 0; i < row->n_extra; i++)
            if (!is_ours(row->extra_name[i]))
                put(w, false, row->extra_name[i], err);
        end_line(w, "fold", RAD_FOLD_SEED_COLUMN, err);
    }
    if (w->row >= w->c->n_patient)
        return rad_error_set(err, RAD_E_INTERNAL, "the patients table has changed while it was read");
    bool first = true;
    for (int i = 0; i < w->n_known; i++)
        if (t->has[i] && i != w->fold_at) {
            put(w, first, row->known[i], err);
            first = false;
        }
    for (int64_t i = 0; i < row->n_extra; i++)
        if (!is_ours(row->extra_name[i]))
            put(w, false, row->extra[i], err);
    const int64_t fold = w->fold[w->row++];
    snprintf(number, sizeof number, "%lld", (long long)fold);
    end_line(w, fold < 0 ? NULL : number, fold < 0 ? NULL : w->seed, err);
    return w->st;
}

rad_status rad_folds_write(const rad_cohort *c, const int64_t *fold, const char *seed, rad_buf *out, rad_error *err) {
    const table_def *def = &cohort_table[RAD_TABLE_PATIENTS];
    const char *file = c->file[RAD_TABLE_PATIENTS];
    struct writer w = {.c = c, .fold = fold, .seed = seed, .out = out, .fold_at = -1};
    rad_issues issues = {0};
    char *text = NULL;
    bool *has = NULL;
    size_t size = 0, n = strlen(file);
    rad_status st = RAD_OK;
    while (def->column[w.n_known].name) {
        if (strcmp(def->column[w.n_known].name, "fold") == 0)
            w.fold_at = w.n_known;
        w.n_known++;
    }
    has = rad_calloc((size_t)w.n_known, sizeof *has);
    if (!has) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to write the folds");
        goto out;
    }
    RAD_TRY(rad_file_read(file, RAD_MAX_TABLE_BYTES, &text, &size, err));
    table t = {.def = def, .file = file, .issues = &issues, .has = has, .payload = &w, .row = write_row};
    RAD_TRY(table_read(&t, text, size, n > 4 && strcmp(file + n - 4, ".csv") == 0, err));
    if (w.row != c->n_patient)
        st = rad_error_set(err, RAD_E_INTERNAL, "the patients table has changed while it was read");
out:
    rad_issues_release(&issues);
    free(has);
    free(text);
    return st;
}
