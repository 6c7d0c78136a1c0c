/* cmd_stats.c: `radcohort stats`: the statistics of a run, computed into the database and printed with their unit and denominators. */
#include "cli.h"

#include "radcohort/store.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

/* ---------------------------------------------------------------- a table of text */

enum { MAX_COLUMNS = 12 };

typedef struct table {
    int n_column;
    bool right[MAX_COLUMNS];
    char **cell; /* n_row * n_column; NULL = empty */
    size_t n_row, cap_row;
    bool failed; /* out of memory */
} table;

/* Columns on a terminal: code points, combining marks 0, East Asian wide ones 2. setlocale and wcwidth are process-wide state. */
static int text_width(const char *s) {
    int w = 0;
    while (*s) {
        const unsigned char c = (unsigned char)*s;
        int n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint32_t u = n == 1 ? c : c & (0x7fu >> n);
        for (int i = 1; i < n && s[i]; i++)
            u = u << 6 | ((unsigned char)s[i] & 0x3f);
        bool mark = u >= 0x300 && u <= 0x36f;
        bool wide = (u >= 0x1100 && u <= 0x115f) || (u >= 0x2e80 && u <= 0xa4cf) || (u >= 0xac00 && u <= 0xd7a3) ||
                    (u >= 0xf900 && u <= 0xfaff) || (u >= 0xfe30 && u <= 0xfe6f) || (u >= 0xff00 && u <= 0xff60);
        w += mark ? 0 : wide ? 2 : 1;
        for (int i = 0; i < n && *s; i++)
            s++;
    }
    return w;
}

static void table_row(table *t) {
    if (t->n_row == t->cap_row) {
        size_t cap = t->cap_row ? 2 * t->cap_row : 16;
        char **p = rad_realloc(t->cell, cap * (size_t)t->n_column, sizeof *p);
        if (!p) {
            t->failed = true;
            return;
        }
        t->cell = p;
        t->cap_row = cap;
    }
    for (int i = 0; i < t->n_column; i++)
        t->cell[t->n_row * (size_t)t->n_column + (size_t)i] = NULL;
    t->n_row++;
}

/* Takes `text` (may be NULL when memory is out) into the last row, in place of what is there. */
static void table_put(table *t, int column, char *text) {
    if (!text || t->failed || t->n_row == 0) {
        t->failed = true;
        free(text);
        return;
    }
    char **cell = &t->cell[(t->n_row - 1) * (size_t)t->n_column + (size_t)column];
    free(*cell);
    *cell = text;
}

static const char *table_cell(const table *t, size_t row, int column) {
    return t->cell[row * (size_t)t->n_column + (size_t)column];
}

/* The first row is the heading; columns with nothing below it are left out. */
static void table_print(const table *t, FILE *to) {
    int width[MAX_COLUMNS] = {0};
    bool used[MAX_COLUMNS] = {false};
    for (size_t r = 0; r < t->n_row; r++)
        for (int c = 0; c < t->n_column; c++) {
            const char *s = table_cell(t, r, c);
            int w = s ? text_width(s) : 0;
            width[c] = w > width[c] ? w : width[c];
            used[c] = used[c] || (r > 0 && w > 0);
        }
    for (size_t r = 0; r < t->n_row; r++) {
        int last = t->n_column - 1;
        while (last > 0 && !(used[last] && table_cell(t, r, last)))
            last--;
        for (int c = 0; c <= last; c++) {
            const char *s = table_cell(t, r, c);
            int pad = width[c] - (s ? text_width(s) : 0);
            if (used[c])
                fprintf(to, "%s%*s%s%*s", c ? "  " : "", t->right[c] ? pad : 0, "", s ? s : "", t->right[c] || c == last ? 0 : pad, "");
        }
        fputc('\n', to);
    }
}

static void table_release(table *t) {
    for (size_t i = 0; i < t->n_row * (size_t)t->n_column; i++)
        free(t->cell[i]);
    free(t->cell);
    *t = (table){0};
}

/* ---------------------------------------------------------------- text */

enum { COL_STRATUM, COL_COHORT, COL_N, COL_POS, COL_MISSING, COL_EST, COL_NAIVE, COL_CLUSTERED, COL_P, COL_P_CLUSTERED, COL_NOTE, N_COL };
enum { OP_STRATUM, OP_COHORT, OP_POINT, OP_SENS, OP_SENS_INTERVAL, OP_SPEC, OP_SPEC_INTERVAL, OP_ACC, OP_ACC_INTERVAL, N_OP };

/* One block of the printed summary: a model, a unit and a class; its AUCs, and its operating points. */
typedef struct summary {
    table auc, point;
    char *model, *unit, *class_name;
    char *stratum, *at; /* of the last row of `point` */
    bool first, shared; /* shared: several units of one patient */
    int64_t n, n_cluster;
} summary;

static const char *plural(const char *unit) {
    return strcmp(unit, "lesion") == 0 ? "lesions" : strcmp(unit, "patient") == 0 ? "patients" : "slices";
}

static void release_block(summary *s) {
    table_release(&s->auc);
    table_release(&s->point);
    free(s->model);
    free(s->unit);
    free(s->class_name);
    free(s->stratum);
    free(s->at);
    *s = (summary){.first = false};
}

static void end_block(summary *s) {
    if (!s->model)
        return;
    printf("%smodel %s, unit %s, class %s\n", s->first ? "" : "\n", s->model, s->unit, s->class_name);
    table_print(&s->auc, stdout);
    if (s->point.n_row > 1) {
        fputc('\n', stdout);
        table_print(&s->point, stdout);
    }
    if (s->shared)
        printf("%" PRId64 " %s of %" PRId64
               " patients. DeLong takes them for independent; clustered: patients as clusters (AUC: Obuchowski "
               "1997;\nsensitivity, specificity, accuracy: ratio estimator, Wilson where that has no limits)\n",
               s->n, plural(s->unit), s->n_cluster);
    else
        printf("intervals: DeLong%s\n", s->point.n_row > 1 ? "; Wilson at operating points" : "");
    release_block(s);
}

static void heading(table *t, const char *const *title, int n, int first_right, int last_right) {
    t->n_column = n;
    for (int i = first_right; i <= last_right; i++)
        t->right[i] = true;
    table_row(t);
    for (int i = 0; i < n; i++)
        if (title[i])
            table_put(t, i, rad_strdup(title[i]));
}

static void begin_block(summary *s, const rad_statistic_row *r) {
    const char *const auc[N_COL] = {"stratum",        "cohort", plural(r->unit), "positive", "missing", "AUC", "95 % DeLong",
                                    "95 % clustered", "p",      "p clustered",   NULL};
    const char *const point[N_OP] = {"stratum",     "cohort",        "call at",  "sensitivity",  "95 % interval",
                                     "specificity", "95 % interval", "accuracy", "95 % interval"};
    s->model = rad_strdup(r->model);
    s->unit = rad_strdup(r->unit);
    s->class_name = rad_strdup(r->class_name);
    s->n = r->n;
    s->n_cluster = r->n_cluster;
    heading(&s->auc, auc, N_COL, COL_N, COL_P_CLUSTERED);
    heading(&s->point, point, N_OP, OP_SENS, OP_ACC_INTERVAL);
    if (!s->model || !s->unit || !s->class_name)
        s->auc.failed = true;
}

static char *p_text(double p) {
    return p < 0.001 ? rad_strdup("< 0.001") : rad_asprintf("%.3f", p);
}

static char *interval_text(const rad_statistic_row *r, bool sign) {
    return rad_asprintf(sign ? "%+.3f to %+.3f" : "%.3f to %.3f", r->lower, r->upper);
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* AUC or difference of AUCs; the clustered row follows its naive one and fills the same line. */
static void auc_row(summary *s, const rad_statistic_row *r) {
    table *t = &s->auc;
    bool contrast = strcmp(r->stratum_kind, "contrast") == 0, clustered = ends_with(r->name, "_clustered");
    if (!clustered) {
        table_row(t);
        table_put(t, COL_STRATUM, contrast ? rad_asprintf("difference %s", r->stratum) : rad_strdup(r->stratum));
        if (strcmp(r->stratum_kind, "center") == 0)
            table_put(t, COL_COHORT, rad_strdup(r->cohort));
        if (!contrast) {
            table_put(t, COL_N, rad_asprintf("%" PRId64, r->n));
            table_put(t, COL_POS, rad_asprintf("%" PRId64, r->n_pos));
            table_put(t, COL_MISSING, rad_asprintf("%" PRId64, r->n_missing));
        }
        table_put(t, COL_EST, isnan(r->est) ? rad_strdup("-") : rad_asprintf(contrast ? "%+.3f" : "%.3f", r->est));
        s->shared = s->shared || r->n_cluster < r->n;
    }
    if (!isnan(r->lower) && !isnan(r->upper))
        table_put(t, clustered ? COL_CLUSTERED : COL_NAIVE, interval_text(r, contrast));
    if (contrast && !isnan(r->p))
        table_put(t, clustered ? COL_P_CLUSTERED : COL_P, p_text(r->p));
    /* That slices have no naive interval is said below the table. */
    if (r->reason && !t->failed && !table_cell(t, t->n_row - 1, COL_NOTE) &&
        !(strcmp(r->unit, "slice") == 0 && !clustered && !isnan(r->est)))
        table_put(t, COL_NOTE, rad_asprintf("(%s)", r->reason));
}

/* Sensitivity, specificity or accuracy at an operating point; a clustered interval takes the place of the naive one. */
static void point_row(summary *s, const rad_statistic_row *r) {
    table *t = &s->point;
    int column = strncmp(r->name, "sens", 4) == 0 ? OP_SENS : strncmp(r->name, "spec", 4) == 0 ? OP_SPEC : OP_ACC;
    if (!s->stratum || strcmp(s->stratum, r->stratum) != 0 || strcmp(s->at, r->point) != 0) {
        free(s->stratum);
        free(s->at);
        s->stratum = rad_strdup(r->stratum);
        s->at = rad_strdup(r->point);
        if (!s->stratum || !s->at) {
            t->failed = true;
            return;
        }
        table_row(t);
        table_put(t, OP_STRATUM, rad_strdup(r->stratum));
        if (strcmp(r->stratum_kind, "center") == 0)
            table_put(t, OP_COHORT, rad_strdup(r->cohort));
        table_put(t, OP_POINT, rad_strdup(r->point));
    }
    if (!ends_with(r->name, "_clustered"))
        table_put(t, column, isnan(r->est) ? rad_strdup("-") : rad_asprintf("%.3f (%" PRId64 "/%" PRId64 ")", r->est, r->n_pos, r->n));
    if (!isnan(r->lower) && !isnan(r->upper))
        table_put(t, column + 1, interval_text(r, false));
}

static int print_row(const rad_statistic_row *r, void *payload) {
    summary *s = payload;
    if (!s->model || strcmp(s->model, r->model) != 0 || strcmp(s->unit, r->unit) != 0 || strcmp(s->class_name, r->class_name) != 0) {
        end_block(s);
        begin_block(s, r);
    }
    if (r->point)
        point_row(s, r);
    else
        auc_row(s, r);
    return s->auc.failed || s->point.failed;
}

static rad_status print_text(rad_store *db, const rad_run_status *run, rad_error *err) {
    summary s = {.first = true};
    printf("run %" PRId64 " of job %s, %s %s, finished %s: %" PRId64 " cases (unit %s), %" PRId64 " with exclusions\n\n", run->run,
           run->job, run->backend, run->precision, run->finished, run->n_case, run->case_unit, run->n_excluded);
    rad_status st = rad_store_each_statistic(db, run->run, print_row, &s, err);
    if (s.auc.failed || s.point.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    if (st != RAD_OK) { /* half a table is not printed */
        release_block(&s);
        return st;
    }
    if (s.first && !s.model)
        printf("no statistics: the job declares no strata\n");
    end_block(&s);
    return RAD_OK;
}

/* ---------------------------------------------------------------- CSV (RFC 4180) and JSON */

static void csv_text(const char *s, const char *end) {
    if (s && strpbrk(s, ",\"\r\n")) {
        putchar('"');
        for (; *s; s++) {
            if (*s == '"')
                putchar('"');
            putchar(*s);
        }
        putchar('"');
    } else if (s) {
        fputs(s, stdout);
    }
    fputs(end, stdout);
}

static void csv_number(double v) {
    if (!isnan(v))
        printf("%.17g", v);
    putchar(',');
}

static int csv_row(const rad_statistic_row *r, void *payload) {
    printf("%" PRId64 ",", *(const int64_t *)payload);
    const char *const text[] = {r->model, r->class_name, r->unit, r->stratum_kind, r->stratum, r->cohort, r->point, r->name, r->method};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        csv_text(text[i], ",");
    printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",", r->n, r->n_pos, r->n_missing, r->n_cluster);
    const double number[] = {r->est, r->se, r->lower, r->upper, r->level, r->p};
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
        csv_number(number[i]);
    csv_text(r->reason, ",");
    csv_text(r->query, "\r\n");
    return 0;
}

static json_t *number_or_null(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static int json_row(const rad_statistic_row *r, void *payload) {
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:s}", "model",
                  r->model, "class", r->class_name, "unit", r->unit, "stratum_kind", r->stratum_kind, "stratum", r->stratum, "cohort",
                  r->cohort, "point", r->point, "name", r->name, "method", r->method, "n", (json_int_t)r->n, "n_pos", (json_int_t)r->n_pos,
                  "n_missing", (json_int_t)r->n_missing, "n_cluster", (json_int_t)r->n_cluster, "est", number_or_null(r->est), "se",
                  number_or_null(r->se), "lower", number_or_null(r->lower), "upper", number_or_null(r->upper), "level",
                  number_or_null(r->level), "p", number_or_null(r->p), "reason", r->reason, "query", r->query);
    return o && json_array_append_new(payload, o) == 0 ? 0 : -1;
}

static rad_status print_json(rad_store *db, const rad_run_status *run, rad_error *err) {
    json_t *list = json_array();
    rad_status st = rad_store_each_statistic(db, run->run, json_row, list, err);
    json_t *root = json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "run", (json_int_t)run->run, "job", run->job, "state", run->state,
                             "finished", run->finished, "case_unit", run->case_unit, "n_case", (json_int_t)run->n_case, "n_excluded",
                             (json_int_t)run->n_excluded, "statistics", list);
    if (st == RAD_OK && (!root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) != 0))
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the JSON text");
    if (st == RAD_OK)
        putchar('\n');
    json_decref(root);
    return st;
}

/* ---------------------------------------------------------------- the command */

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_stats;
    const char *run_text = NULL, *path = NULL;
    bool json = false, csv = false;
    const rad_option option[] = {
        {"--run", false, &run_text, NULL},
        {"--json", true, NULL, &json},
        {"--csv", true, NULL, &csv},
        {NULL, false, NULL, NULL},
    };
    int n = 0;
    int64_t id = 0;
    rad_error err = {0};
    rad_store *db = NULL;
    rad_run_status status;
    rad_status st = rad_cli_parse(self, argc, argv, option, &path, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n != 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one result file is needed: radcohort stats %s", self->usage));
    if (json && csv)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--json and --csv exclude each other"));
    if (run_text && (!rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': the number of a run was expected, from 1", run_text));
    RAD_TRY(rad_store_open(path, RAD_STORE_READ, &db, &err)); /* a mistyped name must not make a file */
    if (!run_text)
        RAD_TRY(rad_store_last_run(db, &id, &err));
    RAD_TRY(rad_store_run_status(db, id, &status, &err));
    rad_store_close(&db);
    RAD_TRY(rad_store_open(path, RAD_STORE_WRITE, &db, &err));
    RAD_TRY(rad_store_compute_statistics(db, id, &err));
    if (json) {
        RAD_TRY(print_json(db, &status, &err));
    } else if (csv) {
        printf("run,model,class,unit,stratum_kind,stratum,cohort,point,name,method,n,n_pos,n_missing,n_cluster,est,se,lower,upper,level,p,"
               "reason,query\r\n");
        RAD_TRY(rad_store_each_statistic(db, id, csv_row, &id, &err));
    } else {
        RAD_TRY(print_text(db, &status, &err));
    }
    if (fflush(stdout) != 0)
        st = rad_error_set(&err, RAD_E_IO, "cannot write the output");
out:
    rad_store_close(&db);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

const rad_command rad_command_stats = {
    .name = "stats",
    .usage = "DB [--run N] [--json | --csv]",
    .summary = "computes all statistics of the job into the database and prints the summary",
    .help = "Per model, unit (lesion, patient), class and stratum (all, internal, external, each center): units with a score and a known\n"
            "label, positives, units without, AUC with its 95 % interval; internal minus external with its p value; for two-class jobs\n"
            "sensitivity, specificity and accuracy at each operating point. Where several units share a patient, intervals that take\n"
            "patients as clusters stand beside those that do not.\n"
            "\n"
            "  --run N   the run, by number; default: the newest\n"
            "  --json    all rows as JSON, numbers to the last bit\n"
            "  --csv     all rows as CSV (RFC 4180), numbers to the last bit\n"
            "\n"
            "Examples:\n"
            "  radcohort stats results/demo.sqlite\n"
            "  radcohort stats results/demo.sqlite --csv > table.csv\n",
    .run = run,
};
