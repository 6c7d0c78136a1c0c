/* aggregate: one adapter for all aggregates. Rows are collected as columns and handed over at the end; a window drops rows at its front. */
#include "sqlext.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct state {
    int n_column, n_arg;
    rad_column_builder *column[SQLEXT_MAX_ARGS];
    rad_arg arg[SQLEXT_MAX_ARGS]; /* texts are copies */
    char *text[SQLEXT_MAX_ARGS];
    bool failed; /* a row was refused; SQLite calls final all the same, to clean up */
} state;

static void destroy(state *a) {
    if (!a)
        return;
    for (int i = 0; i < a->n_column; i++)
        rad_column_builder_destroy(&a->column[i]);
    for (int i = 0; i < a->n_arg; i++)
        free(a->text[i]);
    free(a);
}

static rad_status create(const rad_stat_function *s, int n_column, int n_arg, sqlite3_value **v, state **ret, rad_error *err) {
    state *a = rad_calloc(1, sizeof *a);
    if (!a)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    rad_status st = RAD_OK;
    a->n_column = n_column;
    a->n_arg = n_arg;
    for (int i = 0; i < n_column && st == RAD_OK; i++)
        st = rad_column_builder_create(sqlext_letter(s, i), &a->column[i], err);
    for (int i = 0; i < n_arg && st == RAD_OK; i++) {
        sqlext_arg(v[i], &a->arg[i]);
        if (a->arg[i].text && !(a->text[i] = rad_strdup(a->arg[i].text)))
            st = rad_error_set(err, RAD_E_NOMEM, "no memory");
        a->arg[i].text = a->text[i];
    }
    if (st == RAD_OK)
        *ret = a;
    else
        destroy(a);
    return st;
}

static rad_status same_arg(const rad_arg *a, const rad_arg *b, int i, rad_error *err) {
    const bool same = a->text && b->text ? strcmp(a->text, b->text) == 0 : a->text == b->text;
    if (same)
        return RAD_OK;
    return rad_error_set(err, RAD_E_USAGE,
                         "constant %d is '%s' in one row and '%s' in another: it must be the same for all rows of a group", i + 1,
                         a->text ? a->text : "NULL", b->text ? b->text : "NULL");
}

static void step(sqlite3_context *ctx, int n, sqlite3_value **v) {
    const rad_stat_function *s = sqlite3_user_data(ctx);
    state **slot = sqlite3_aggregate_context(ctx, sizeof *slot);
    rad_error err = {0};
    rad_status st = RAD_OK;
    int nc, first;
    if (!slot) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    if (n > SQLEXT_MAX_ARGS || !sqlext_layout(s, n, &nc, &first)) {
        st = rad_error_set(&err, RAD_E_USAGE, "%d arguments given", n);
        sqlext_fail(ctx, s, st, &err);
        return;
    }
    sqlite3_value **constants = first > 0 ? v : v + nc;
    const int na = n - nc;
    if (!*slot)
        st = create(s, nc, na, constants, slot, &err);
    state *a = *slot;
    for (int i = 0; i < na && st == RAD_OK; i++) {
        rad_arg arg;
        sqlext_arg(constants[i], &arg);
        st = same_arg(&a->arg[i], &arg, i, &err);
    }
    for (int i = 0; i < nc && st == RAD_OK; i++)
        st = sqlext_put(a->column[i], v[first + i], &err);
    if (st != RAD_OK) {
        if (a)
            a->failed = true;
        sqlext_fail(ctx, s, st, &err);
    }
}

static void compute(sqlite3_context *ctx, state *a) {
    if (a && a->failed)
        return;
    const rad_stat_function *s = sqlite3_user_data(ctx);
    rad_error err = {0};
    rad_doc *doc = NULL;
    rad_column column[SQLEXT_MAX_ARGS];
    static const double nothing[1] = {0};
    rad_frame f = {.column = column};
    rad_status st = rad_doc_create(&doc, &err);
    if (a) {
        f.n_column = a->n_column;
        f.n = rad_column_builder_count(a->column[0]);
        for (int i = 0; i < a->n_column && st == RAD_OK; i++)
            st = rad_column_builder_view(a->column[i], &column[i], &err);
    } else { /* no row at all: the shortest call */
        f.n_column = (int64_t)strcspn(s->columns, "+");
        for (int i = 0; i < (int)f.n_column; i++)
            column[i] =
                (rad_column){.value = nothing, .level = sqlext_letter(s, i) == 'c' ? (const char *const *)(const void *)nothing : NULL};
    }
    if (st == RAD_OK && !a && strcspn(s->columns, "+") < strlen(s->columns) && s->args[0]) {
        sqlite3_result_null(ctx); /* the constants of a repeating call came with its rows; there are none */
    } else {
        if (st == RAD_OK)
            st = rad_stat_call(s, &f, a ? a->arg : NULL, a ? a->n_arg : 0, doc, &err);
        if (st == RAD_OK)
            sqlext_result(ctx, s, doc);
        else
            sqlext_fail(ctx, s, st, &err);
    }
    rad_doc_destroy(&doc);
}

static void value(sqlite3_context *ctx) {
    state **slot = sqlite3_aggregate_context(ctx, 0);
    compute(ctx, slot ? *slot : NULL);
}

static void final(sqlite3_context *ctx) {
    state **slot = sqlite3_aggregate_context(ctx, 0);
    compute(ctx, slot ? *slot : NULL);
    if (slot) {
        destroy(*slot);
        *slot = NULL;
    }
}

static void inverse(sqlite3_context *ctx, int n, sqlite3_value **v) {
    (void)n;
    (void)v;
    state **slot = sqlite3_aggregate_context(ctx, 0);
    if (!slot || !*slot)
        return;
    for (int i = 0; i < (*slot)->n_column; i++)
        rad_column_builder_drop_first((*slot)->column[i]);
}

int sqlext_register_aggregate(sqlite3 *db, const rad_stat_function *s) {
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    return sqlite3_create_window_function(db, s->name, -1, flags, (void *)(uintptr_t)s, step, final, value, inverse, NULL);
}
