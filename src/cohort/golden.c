/* golden.c: the table of cases whose scores are known to the bit (job key `golden`). */
#include "arena.h"
#include "radcohort/cohort.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GOLDEN_BYTES ((size_t)16 << 20)

enum { GOLDEN_PATIENT, GOLDEN_LESION, GOLDEN_STUDY, GOLDEN_MODEL, GOLDEN_SHA256, GOLDEN_SCORES, GOLDEN_COLUMNS };

static const table_column golden_columns[] = {[GOLDEN_PATIENT] = {"patient", COLUMN_ID},
                                              [GOLDEN_LESION] = {"lesion", COLUMN_REQUIRED},
                                              [GOLDEN_STUDY] = {"study", COLUMN_REQUIRED},
                                              [GOLDEN_MODEL] = {"model", COLUMN_ID},
                                              [GOLDEN_SHA256] = {"sha256", COLUMN_ID},
                                              [GOLDEN_SCORES] = {"scores", COLUMN_ID},
                                              [GOLDEN_COLUMNS] = {NULL, 0}};
static const table_def golden_table = {"golden", golden_columns, true, false};

static char *copy(arena *a, const char *text) {
    return text ? arena_strdup(a, text) : NULL;
}

static rad_status golden_row(table *t, const table_row *row, rad_error *err) {
    rad_golden *g = t->payload;
    uint8_t bytes[RAD_SHA256_BYTES];
    const char *sha = row->known[GOLDEN_SHA256];
    if (!row->known[GOLDEN_PATIENT] || !row->known[GOLDEN_MODEL] || !sha || !row->known[GOLDEN_SCORES])
        return RAD_OK; /* reported */
    if (g->n == RAD_MAX_GOLDEN * RAD_MAX_MODELS) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, NULL, "more than %d rows", RAD_MAX_GOLDEN * RAD_MAX_MODELS);
        return RAD_OK;
    }
    if (!rad_sha256_bytes(sha, bytes)) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, "sha256", "64 hexadecimal digits were expected, as --make-golden writes them");
        return RAD_OK;
    }
    rad_golden_row *more = rad_realloc(g->row, (size_t)g->n + 1, sizeof *more);
    if (!more)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for golden cases");
    g->row = more;
    rad_golden_row *r = &g->row[g->n++];
    *r = (rad_golden_row){.patient = copy(g->arena, row->known[GOLDEN_PATIENT]),
                          .lesion = copy(g->arena, row->known[GOLDEN_LESION]),
                          .study = copy(g->arena, row->known[GOLDEN_STUDY]),
                          .model = copy(g->arena, row->known[GOLDEN_MODEL]),
                          .sha256 = copy(g->arena, sha),
                          .scores = copy(g->arena, row->known[GOLDEN_SCORES]),
                          .line = row->line};
    const bool whole = r->patient && r->model && r->sha256 && r->scores && (r->lesion || !row->known[GOLDEN_LESION]) &&
                       (r->study || !row->known[GOLDEN_STUDY]);
    return whole ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "out of memory for golden cases");
}

rad_status rad_golden_read(const char *path, rad_golden **ret, rad_issues *issues, rad_error *err) {
    rad_status st = RAD_OK;
    char *text = NULL;
    size_t size = 0;
    bool has[GOLDEN_COLUMNS] = {false};
    const int64_t before = issues->n_error;
    rad_golden *g = rad_calloc(1, sizeof *g);
    if (!g || !(g->arena = arena_create())) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for golden cases");
        goto out;
    }
    st = rad_file_read(path, MAX_GOLDEN_BYTES, &text, &size, err);
    if (st != RAD_OK) {
        st = rad_error_prefix(err, RAD_E_CONFIG, "golden cases ('radcohort nightly JOB --make-golden' writes them): ");
        goto out;
    }
    table t = {.def = &golden_table, .file = path, .issues = issues, .has = has, .payload = g, .row = golden_row};
    RAD_TRY(table_read(&t, text, size, false, err));
    if (issues->n_error > before)
        st = rad_error_set(err, RAD_E_CONFIG, "the golden cases of '%s' cannot be used", path);
    else if (g->n == 0)
        st = rad_error_set(err, RAD_E_CONFIG, "'%s' holds no golden case; 'radcohort nightly JOB --make-golden' writes some", path);
    if (st == RAD_OK) {
        *ret = g;
        g = NULL;
    }
out:
    free(text);
    rad_golden_destroy(&g);
    return st;
}

void rad_golden_destroy(rad_golden **gp) {
    rad_golden *g = *gp;
    if (!g)
        return;
    arena_destroy(g->arena);
    free(g->row);
    free(g);
    *gp = NULL;
}
