/* cohort_read.c: the cohort folder: finds the five tables, reads them in an order in which each refers only to earlier ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bids.h"
#include "cohort_rows.h"
#include "radcohort/folds.h"

void rad_cohort_destroy(rad_cohort **c) {
    if (!c || !*c)
        return;
    free((*c)->center);
    free((*c)->patient);
    free((*c)->image);
    free((*c)->lesion);
    free((*c)->reading);
    free((*c)->dir);
    for (int i = 0; i < RAD_TABLE_COUNT; i++)
        free((*c)->file[i]);
    arena_destroy((*c)->arena);
    free(*c);
    *c = NULL;
}

static bool is_there(int dir_fd, const char *name) {
    struct stat s;
    return fstatat(dir_fd, name, &s, 0) == 0;
}

/* Sets b->c->file[which] to the table's path. It stays NULL when there is none (have[which]: that is all right) or two: which of them is
 * the truth cannot be known. */
static rad_status find_table(cohort_builder *b, int which, rad_issues *issues, bool *ret_csv, rad_error *err) {
    const table_def *def = &cohort_table[which];
    char tsv[32], csv[32];
    snprintf(tsv, sizeof tsv, "%s.tsv", def->name);
    snprintf(csv, sizeof csv, "%s.csv", def->name);
    bool has_tsv = is_there(b->dir_fd, tsv), has_csv = is_there(b->dir_fd, csv);
    char *path = rad_path_join(b->c->dir, has_csv && !has_tsv ? csv : tsv);
    if (!path)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read the %s table", def->name);
    if (has_tsv && has_csv)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, path, 0, NULL, "both %s and %s are there: keep one", tsv, csv);
    else if (!has_tsv && !has_csv && def->required)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, path, 0, NULL, "the %s table is missing: expected %s or %s", def->name, tsv, csv);
    b->have[which] = !has_tsv && !has_csv && !def->required;
    *ret_csv = has_csv;
    if (has_tsv != has_csv)
        b->c->file[which] = path;
    else
        free(path);
    return RAD_OK;
}

/* `identity` gets the table's line for the cohort's hash, "" without a table. */
static rad_status read_table(cohort_builder *b, int which, bids_tables *bids, rad_issues *issues, char *identity, size_t cap,
                             rad_error *err) {
    const table_def *def = &cohort_table[which];
    rad_status st = RAD_OK;
    char hex[RAD_SHA256_HEX], *text = NULL;
    bool is_csv = false, *has = NULL;
    size_t size = 0, n_known = 0;
    rad_error why = {0};
    identity[0] = '\0';
    if (bids->text[which]) { /* made from a BIDS folder's names */
        b->c->file[which] = bids->file[which];
        bids->file[which] = NULL;
    } else {
        RAD_TRY(find_table(b, which, issues, &is_csv, err));
    }
    if (!b->c->file[which])
        return RAD_OK;
    while (def->column[n_known].name)
        n_known++;
    has = rad_calloc(n_known, sizeof *has);
    if (!has)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read the %s table", def->name);
    text = bids->text[which];
    size = bids->size[which];
    bids->text[which] = NULL;
    if (!text)
        st = rad_file_read(b->c->file[which], RAD_MAX_TABLE_BYTES, &text, &size, &why);
    if (st == RAD_E_NOMEM) {
        rad_error_set(err, st, "%s", why.text);
        goto out;
    }
    if (st != RAD_OK) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, b->c->file[which], 0, NULL, "%s", why.text);
        st = RAD_OK;
        goto out;
    }
    RAD_TRY(rad_sha256(text, size, hex, err));
    snprintf(identity, cap, "%s.%s %zu %s\n", def->name, is_csv ? "csv" : "tsv", size, hex);
    b->extra_name = NULL;
    table t = {.def = def, .file = b->c->file[which], .issues = issues, .has = has, .payload = b, .row = cohort_row[which]};
    RAD_TRY(table_read(&t, text, size, is_csv, err));
    b->have[which] = true;
    for (size_t i = 0; i < n_known; i++) /* a column that is missing made every row unusable */
        if (!has[i] && (def->column[i].need & COLUMN_REQUIRED))
            b->have[which] = false;
out:
    free(text);
    free(has);
    return st;
}

/* What only shows when all tables are read. */
static rad_status check_whole(const cohort_builder *b, rad_issues *issues, rad_error *err) {
    const rad_cohort *c = b->c;
    bool *seen = rad_calloc((size_t)(c->n_patient > c->n_center ? c->n_patient : c->n_center), sizeof *seen);
    const char *patients = b->c->file[RAD_TABLE_PATIENTS], *centers = b->c->file[RAD_TABLE_CENTERS];
    if (!seen)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to check the cohort");
    for (int64_t i = 0; i < c->n_image; i++)
        seen[c->image[i].patient] = true;
    for (int64_t i = 0; i < c->n_patient && b->have[RAD_TABLE_IMAGES]; i++)
        if (!seen[i])
            rad_issues_add(issues, RAD_SEVERITY_WARNING, patients, c->patient[i].line, "patient",
                           "patient '%s' has no image: nothing of them can be scored", c->patient[i].id);
    memset(seen, 0, (size_t)c->n_center * sizeof *seen);
    for (int64_t i = 0; i < c->n_patient; i++)
        if (c->patient[i].center >= 0)
            seen[c->patient[i].center] = true;
    for (int64_t i = 0; i < c->n_center && b->have[RAD_TABLE_PATIENTS]; i++)
        if (!seen[i])
            rad_issues_add(issues, RAD_SEVERITY_WARNING, centers, c->center[i].line, "center", "center '%s' has no patient",
                           c->center[i].id);
    free(seen);
    rad_folds_check_straddling(c, issues);
    return RAD_OK;
}

static void builder_release(cohort_builder *b) {
    strmap_release(&b->center);
    strmap_release(&b->patient);
    strmap_release(&b->lesion);
    strmap_release(&b->image);
    strmap_release(&b->path);
    strmap_release(&b->reading);
    if (b->dir_fd >= 0)
        close(b->dir_fd);
    rad_cohort_destroy(&b->c);
}

rad_status rad_cohort_read(const char *dir, const rad_cohort_opts *opts, rad_cohort **ret, rad_issues *issues, rad_error *err) {
    static const rad_cohort_opts none = {0};
    static const int identity_order[RAD_TABLE_COUNT] = {RAD_TABLE_PATIENTS, RAD_TABLE_IMAGES, RAD_TABLE_LESIONS, RAD_TABLE_READINGS,
                                                        RAD_TABLE_CENTERS};
    cohort_builder b = {.opts = opts ? opts : &none, .dir_fd = -1};
    bids_tables bids = {0};
    char identity[RAD_TABLE_COUNT][128], all[RAD_TABLE_COUNT * 128] = "";
    int64_t before = issues->n_error;
    rad_status st = RAD_OK;
    b.c = rad_calloc(1, sizeof *b.c);
    b.arena = arena_create();
    if (b.c)
        b.c->arena = b.arena;
    if (!b.c || !b.arena || !(b.c->dir = rad_strdup(dir))) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to read the cohort in '%s'", dir);
        if (!b.c)
            arena_destroy(b.arena);
        goto out;
    }
    cohort_builder_init(&b);
    b.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b.dir_fd < 0) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, dir, 0, NULL,
                       "the cohort folder cannot be opened: %s; a folder with centers.tsv, patients.tsv and images.tsv was expected",
                       strerror(errno));
        st = rad_error_set(err, RAD_E_CONFIG, "cohort folder '%s' cannot be opened", dir);
        goto out;
    }
    if (bids_is_dataset(b.dir_fd))
        RAD_TRY(bids_make_tables(dir, b.opts->bids, &bids, issues, err));
    for (int i = 0; i < RAD_TABLE_COUNT; i++)
        RAD_TRY(read_table(&b, i, &bids, issues, identity[i], sizeof identity[i], err));
    RAD_TRY(check_whole(&b, issues, err));
    size_t n = 0;
    for (int i = 0; i < RAD_TABLE_COUNT; i++) {
        size_t m = strlen(identity[identity_order[i]]);
        memcpy(all + n, identity[identity_order[i]], m + 1);
        n += m;
    }
    RAD_TRY(rad_sha256(all, n, b.c->sha256, err));
    if (issues->n_error > before)
        st = rad_error_set(err, RAD_E_CONFIG, "the tables of cohort '%s' have %lld mistake%s", dir, (long long)(issues->n_error - before),
                           issues->n_error - before == 1 ? "" : "s");
out:
    if (st == RAD_OK) {
        *ret = b.c;
        b.c = NULL;
    }
    builder_release(&b);
    bids_tables_release(&bids);
    return st;
}
