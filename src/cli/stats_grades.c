/* stats_grades.c: the printed summary of `radcohort stats` for jobs whose classes are grades: how near model and truth are, by stratum. */
#include "stats_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "table.h"

enum { MODEL, STRATUM, COHORT, N, FIRST_STATISTIC, N_STATISTIC = 4 };
static const struct {
    const char *name, *title;
} SHOWN[N_STATISTIC] = {{"kappa_quadratic", "weighted kappa"},
                        {"ordinal_c_index", "ordinal AUC"},
                        {"kendall_tau_b", "tau-b"},
                        {"grade_mae", "mean error, grades"}};

typedef struct summary {
    const char *unit;
    table t;
    bool clustered;
} summary;

static int summary_row(const rad_statistic_row *r, void *payload) {
    summary *s = payload;
    table *t = &s->t;
    int k = 0;
    size_t length = 0;
    for (; k < N_STATISTIC; k++) {
        length = strlen(SHOWN[k].name);
        if (strncmp(r->name, SHOWN[k].name, length) == 0 && (r->name[length] == '\0' || strcmp(r->name + length, "_clustered") == 0))
            break;
    }
    if (k == N_STATISTIC || strcmp(r->unit, s->unit) != 0)
        return 0;
    size_t line = 1;
    while (line < t->n_row && (strcmp(table_cell(t, line, MODEL), r->model) != 0 || strcmp(table_cell(t, line, STRATUM), r->stratum) != 0))
        line++;
    if (line == t->n_row) {
        table_row(t);
        table_put(t, MODEL, rad_strdup(r->model));
        table_put(t, STRATUM, rad_strdup(r->stratum));
        table_put(t, COHORT, rad_strdup(strcmp(r->stratum_kind, "center") == 0 ? r->cohort : ""));
        table_put(t, N, rad_asprintf("%" PRId64, r->n));
    }
    s->clustered = s->clustered || r->name[length] != '\0'; /* such a row follows the naive one and takes its place */
    if (!t->failed)
        table_put_at(t, line, FIRST_STATISTIC + k,
                     isnan(r->est)     ? rad_strdup("-")
                     : isnan(r->lower) ? rad_asprintf("%.3f", r->est)
                                       : rad_asprintf("%.3f (%.3f to %.3f)", r->est, r->lower, r->upper));
    return t->failed ? -1 : 0;
}

rad_status rad_stats_print_grades(rad_store *db, const rad_run_status *run, rad_error *err) {
    static const char *const UNIT[] = {"lesion", "patient"};
    rad_status st = RAD_OK;
    for (int u = strcmp(run->case_unit, "lesion") == 0 ? 0 : 1; u < 2 && st == RAD_OK; u++) {
        summary s = {.unit = UNIT[u], .t = {.n_column = FIRST_STATISTIC + N_STATISTIC, .right = {[N] = true}}};
        table_row(&s.t);
        const char *const title[] = {"model", "stratum", "cohort", u == 0 ? "lesions" : "patients"};
        for (int i = 0; i < FIRST_STATISTIC; i++)
            table_put(&s.t, i, rad_strdup(title[i]));
        for (int i = 0; i < N_STATISTIC; i++)
            table_put(&s.t, FIRST_STATISTIC + i, rad_strdup(SHOWN[i].title));
        st = rad_store_each_statistic(db, run->run, summary_row, &s, err);
        if (st == RAD_OK && s.t.failed)
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a table");
        if (st == RAD_OK && s.t.n_row > 1) {
            printf("\nexpected grade against truth (95%% interval), unit %s\n", s.unit);
            table_print(&s.t, stdout);
            printf("intervals: delta method%s\n", s.clustered ? ", patients as clusters" : "");
        }
        table_release(&s.t);
    }
    return st;
}
