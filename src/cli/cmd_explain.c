/* cmd_explain.c: `radcohort explain`: a number back to its voxels, and the commands that compute it again. */
#include "cli.h"
#include "table.h"

#include "radcohort/explain.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LIMIT = 5, MAX_LIMIT = 1000000 };

static json_t *value_of(const rad_explain_cell *c) {
    switch (c->type) {
    case RAD_EXPLAIN_INTEGER:
        return json_integer((json_int_t)c->integer);
    case RAD_EXPLAIN_REAL:
        return isfinite(c->real) ? json_real(c->real) : json_null();
    case RAD_EXPLAIN_TEXT:
        return json_string(c->text);
    case RAD_EXPLAIN_NULL:
        break;
    }
    return json_null();
}

static int collect(const rad_explain_row *r, void *payload) {
    json_t *list = json_object_get(payload, r->section), *o = json_object();
    if (!list) {
        list = json_array();
        if (json_object_set_new(payload, r->section, list) != 0)
            return -1;
    }
    for (int i = 0; i < r->n; i++)
        if (json_object_set_new(o, r->cell[i].name, value_of(&r->cell[i])) != 0)
            return -1;
    return json_array_append_new(list, o);
}

/* ---------------------------------------------------------------- text */

static char *show(const json_t *v) {
    if (json_is_integer(v))
        return rad_asprintf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    if (json_is_real(v))
        return rad_asprintf("%.17g", json_real_value(v));
    return rad_strdup(json_is_string(v) ? json_string_value(v) : "");
}

/* One row: a line per column. */
static rad_status print_record(json_t *o, rad_error *err) {
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v) {
        char *text = json_is_null(v) ? NULL : show(v);
        if (!json_is_null(v) && !text)
            return rad_error_set(err, RAD_E_NOMEM, "out of memory to show a number");
        if (text)
            printf("  %-18s %s\n", key, text);
        free(text);
    }
    return RAD_OK;
}

/* Several rows: a table of as many columns as fit. */
static rad_status print_rows(const json_t *list, size_t limit, rad_error *err) {
    json_t *first = json_array_get(list, 0);
    table t = {.n_column = 0, .max_width = RAD_CLI_WIDTH};
    const char *name[TABLE_MAX_COLUMNS];
    for (void *at = json_object_iter(first); at && t.n_column < TABLE_MAX_COLUMNS; at = json_object_iter_next(first, at)) {
        t.right[t.n_column] = json_is_number(json_object_iter_value(at));
        t.keep[t.n_column] = strcmp(json_object_iter_key(at), "score") == 0;
        name[t.n_column++] = json_object_iter_key(at);
    }
    table_row(&t);
    for (int c = 0; c < t.n_column; c++)
        table_put(&t, c, rad_asprintf("%s%s", c == 0 ? "  " : "", name[c]));
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n && i < limit; i++) {
        table_row(&t);
        for (int c = 0; c < t.n_column; c++) {
            char *text = show(json_object_get(json_array_get(list, i), name[c]));
            table_put(&t, c, c == 0 && text ? rad_asprintf("  %s", text) : text ? rad_strdup(text) : NULL);
            free(text);
        }
    }
    const int hidden = table_print(&t, stdout);
    if (n > limit)
        printf("  ... %zu in all (--limit %zu shows them, --json has all%s)\n", n, n, hidden > 0 ? " columns" : "");
    else if (hidden > 0)
        printf("  ... %d more column%s (--json has them)\n", hidden, hidden == 1 ? "" : "s");
    const bool failed = t.failed;
    table_release(&t);
    return failed ? rad_error_set(err, RAD_E_NOMEM, "out of memory to show a number") : RAD_OK;
}

static rad_status print_text(const json_t *root, size_t limit, rad_error *err) {
    static const char *const SECTION[] = {"run",     "machine",   "network", "image", "map",  "slice", "reading",
                                          "warning", "exclusion", "case",    "grade", "call", "score", "statistic"};
    rad_status st = RAD_OK;
    /* From the voxels to the number, so that the number is what is left on the screen. */
    for (size_t i = 0; i < sizeof SECTION / sizeof *SECTION && st == RAD_OK; i++) {
        const json_t *list = json_object_get(root, SECTION[i]);
        if (!list)
            continue;
        printf("%s\n", SECTION[i]);
        st = json_array_size(list) == 1 ? print_record(json_array_get(list, 0), err) : print_rows(list, limit, err);
        printf("\n");
    }
    const json_t *commands = json_object_get(root, "commands");
    printf("to compute it again\n");
    for (size_t i = 0; i < json_array_size(commands); i++)
        printf("  %s\n", json_string_value(json_array_get(commands, i)));
    return st;
}

/* ---------------------------------------------------------------- the way to compute it again */

/* A word of a shell. */
static rad_status quote(rad_buf *b, const char *word, rad_error *err) {
    rad_status st = rad_buf_put(b, "'", 1, err);
    for (; *word && st == RAD_OK; word++)
        st = *word == '\'' ? rad_buf_put(b, "'\\''", 4, err) : rad_buf_put(b, word, 1, err);
    return st == RAD_OK ? rad_buf_put(b, "'", 1, err) : st;
}

static rad_status add_command(json_t *list, rad_buf *b, rad_error *err) {
    if (json_array_append_new(list, json_string(b->data)) != 0)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory to explain a number");
    rad_buf_clear(b);
    return RAD_OK;
}

static rad_status add_commands(json_t *root, const char *path, int64_t run, const char *query, rad_error *err) {
    const json_t *s = json_array_get(json_object_get(root, "statistic"), 0);
    const char *name = json_string_value(json_object_get(s, "name"));
    const char *expression = NULL;
    json_t *list = json_array();
    rad_buf b, sql;
    rad_status st = RAD_OK;
    rad_buf_init(&b, 1 << 20);
    rad_buf_init(&sql, 1 << 20);
    json_object_set_new(root, "commands", list);
    if (query) { /* the rows behind it, and from them the number where it is one expression */
        RAD_TRY(rad_buf_printf(&b, err, "sqlite3 "));
        RAD_TRY(quote(&b, path, err));
        RAD_TRY(rad_buf_printf(&b, err, " "));
        RAD_TRY(quote(&b, query, err));
        RAD_TRY(add_command(list, &b, err));
        expression = name && strcmp(name, "auc") == 0 ? "auc(label, score)" : NULL;
    }
    if (expression) {
        RAD_TRY(rad_buf_printf(&sql, err, "SELECT %s FROM (%s) WHERE label IS NOT NULL", expression, query));
        RAD_TRY(rad_buf_printf(&b, err, "sqlite3 -cmd '.load radstats' "));
        RAD_TRY(quote(&b, path, err));
        RAD_TRY(rad_buf_printf(&b, err, " "));
        RAD_TRY(quote(&b, sql.data, err));
        RAD_TRY(add_command(list, &b, err));
    }
    RAD_TRY(rad_buf_printf(&b, err, "radcohort stats "));
    RAD_TRY(quote(&b, path, err));
    RAD_TRY(rad_buf_printf(&b, err, " --run %" PRId64, run));
    RAD_TRY(add_command(list, &b, err));
    RAD_TRY(rad_buf_printf(&b, err, "radcohort replay "));
    RAD_TRY(quote(&b, path, err));
    RAD_TRY(rad_buf_printf(&b, err, " %" PRId64, run));
    RAD_TRY(add_command(list, &b, err));
out:
    rad_buf_release(&b);
    rad_buf_release(&sql);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_explain;
    const char *word[2] = {NULL, NULL}, *run_text = NULL, *limit_text = NULL;
    bool as_json = false;
    const rad_target target[] = {
        {"--run", &run_text, NULL}, {"--limit", &limit_text, NULL}, {"--json", NULL, &as_json}, {NULL, NULL, NULL}};
    int n = 0;
    int64_t id = 0, limit = DEFAULT_LIMIT;
    rad_error err = {0};
    rad_store *db = NULL;
    char *query = NULL;
    json_t *root = json_object();
    rad_status st = rad_cli_parse(self, argc, argv, target, word, 2, &n);
    if (st != RAD_OK) {
        json_decref(root);
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    }
    if (n < 2 || !word[1][0])
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "a result file and a key are needed: radcohort explain %s", self->usage[0]));
    if (run_text && (!rad_parse_int(run_text, &id) || id < 1))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--run '%s': a number from 1 was expected", run_text));
    if (limit_text && (!rad_parse_int(limit_text, &limit) || limit < 1 || limit > MAX_LIMIT))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--limit '%s': a number from 1 to %d was expected", limit_text, MAX_LIMIT));
    RAD_TRY(rad_store_open(word[0], RAD_STORE_READ, &db, &err));
    RAD_TRY(rad_store_explain(db, id, word[1], collect, root, &id, &query, &err));
    RAD_TRY(add_commands(root, word[0], id, query, &err));
    if (!as_json)
        RAD_TRY(print_text(root, (size_t)limit, &err));
    else if (json_dumpf(root, stdout, JSON_INDENT(2)) != 0)
        RAD_TRY(rad_error_set(&err, RAD_E_IO, "cannot write the explanation as JSON"));
    else
        printf("\n");
out:
    json_decref(root);
    free(query);
    rad_store_close(&db);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    RAD_OPTION_RUN,
    {"--limit", "N", NULL, "rows per table (default 5)"},
    {"--json", NULL, NULL, "every row and column, as JSON on standard output"},
    RAD_OPTION_END,
};

const rad_command rad_command_explain = {
    .name = "explain",
    .group = RAD_GROUP_TRUST,
    .usage = {"DB KEY [options]"},
    .summary = "a number back to cases, slices, images, networks and machines",
    .about = "KEY is one of\n"
             "  auc/resnet/center=C3/patient   a statistic: its name, then model, stratum, unit, point, class,\n"
             "                                 versus in any order, as much as tells it from others; 'all',\n"
             "                                 center=, cohort=, fold=, contrast=, point=, class=, versus=\n"
             "  1234                           a statistic by its number (table statistic)\n"
             "  P0017, P0017/L1                a patient, a lesion; a model, class=C and slice=K may follow\n"
             "  8c2f01ab...                    a result key, or its first eight digits or more\n\n"
             "The number comes last, then the commands that compute it again.",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 explained, 1 failed, 2 no such key, or more than one thing of that name (they are told)",
    .example = {{"radcohort explain results/demo.sqlite auc/resnet/center=C3/patient", "where does this AUC come from?"},
                {"radcohort explain results/demo.sqlite P0017", "everything about one patient"},
                {"radcohort explain results/demo.sqlite P0017/L1/resnet/slice=7 --json", "one slice of one lesion, for a program"}},
    .run = run,
};
