/* stats_regression.c: the printed summary of `radcohort stats`: the job's logistic regressions. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats_text.h"
#include "table.h"

enum { MODEL, CLASS_NAME, REGRESSION, PREDICTOR, N, RATIO, P, FIRTH, VIF, N_COLUMN, MAX_ROWS = 40 };

typedef struct summary {
    table t;
    int64_t rows_left;
    bool clustered, one_class;
    char *first_class;
    double fewest; /* events per variable */
} summary;

static bool is(const char *a, const char *b) {
    return strcmp(a, b) == 0;
}

/* The line of model, class, regression and predictor; makes it. 0: the screen is full. */
static size_t line_of(table *t, const rad_statistic_row *r) {
    const char *const key[] = {r->model, r->class_name, r->point, r->versus};
    for (size_t i = t->n_row; i-- > 1;) {
        bool same = true;
        for (int k = 0; k < 4 && same; k++)
            same = is(table_cell(t, i, k), key[k]);
        if (same)
            return i;
    }
    if (t->n_row > MAX_ROWS)
        return 0;
    table_row(t);
    for (int k = 0; k < 4; k++)
        table_put(t, k, rad_strdup(key[k]));
    return t->failed ? 0 : t->n_row - 1;
}

static char *ratio_text(const rad_statistic_row *r) {
    return isnan(r->est)     ? rad_strdup("-")
           : isnan(r->lower) ? rad_asprintf("%.3g", r->est)
                             : rad_asprintf("%.3g (%.3g to %.3g)", r->est, r->lower, r->upper);
}

static int one_row(const rad_statistic_row *r, void *payload) {
    summary *s = payload;
    if (is(r->name, "events_per_variable") && !isnan(r->est) && !(r->est >= s->fewest))
        s->fewest = r->est;
    const bool clustered = is(r->name, "odds_ratio_clustered"), firth = is(r->name, "odds_ratio_firth"), vif = is(r->name, "vif");
    if (!r->class_name || !r->point || !r->versus || (!clustered && !firth && !vif && !is(r->name, "odds_ratio")))
        return 0;
    if (!s->first_class)
        s->first_class = rad_strdup(r->class_name);
    s->one_class = s->one_class && s->first_class && is(s->first_class, r->class_name);
    table *t = &s->t;
    const size_t line = line_of(t, r);
    if (line == 0) {
        s->rows_left += is(r->name, "odds_ratio");
        return t->failed;
    }
    if (vif) {
        table_put_at(t, line, VIF, isnan(r->est) ? rad_strdup("-") : rad_asprintf("%.2f", r->est));
    } else if (firth) {
        table_put_at(t, line, FIRTH, ratio_text(r));
    } else {
        s->clustered = s->clustered || clustered;
        table_put_at(t, line, N, rad_asprintf("%" PRId64, r->n));
        table_put_at(t, line, RATIO, ratio_text(r));
        table_put_at(t, line, P, isnan(r->p) ? rad_strdup("-") : rad_stats_p_text(r->p));
    }
    return t->failed;
}

rad_status rad_stats_print_regressions(rad_store *db, const rad_run_status *run, rad_error *err) {
    static const char *const TITLE[N_COLUMN] = {"model", "class",   "regression", "predictor", "n", "odds ratio (95% interval)",
                                                "p",     "Firth's", "VIF"};
    summary s = {.one_class = true, .fewest = NAN};
    s.t.n_column = N_COLUMN;
    table_row(&s.t);
    for (int i = 0; i < N_COLUMN; i++) {
        s.t.right[i] = i >= N;
        table_put(&s.t, i, rad_strdup(TITLE[i]));
    }
    rad_status st = rad_store_each_statistic(db, run->run, one_row, &s, err);
    for (size_t i = 1; i < s.t.n_row && s.one_class; i++)
        table_put_at(&s.t, i, CLASS_NAME, rad_strdup(""));
    if (s.t.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st == RAD_OK && s.t.n_row > 1) {
        printf("\nlogistic regressions (unit %s, stratum all)\n", run->case_unit);
        table_print(&s.t, stdout);
        printf("%s\n",
               s.clustered
                   ? "intervals and p with patients as clusters (Liang and Zeger 1986); Firth's: profile limits, units as independent"
                   : "profile limits, likelihood-ratio tests");
        if (s.fewest < 10)
            printf("only %.1f events per variable in one of them: below 10, odds ratios may be biased away from 1; read Firth's\n",
                   s.fewest);
        if (s.rows_left > 0)
            printf("%" PRId64 " further rows: --details\n", s.rows_left);
    }
    table_release(&s.t);
    free(s.first_class);
    return st;
}
