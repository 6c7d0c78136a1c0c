/* table: one eponymous virtual table for all table-valued functions, and the list of functions.
 *
 * f('SELECT ...', constants) runs the statement on the same connection (it must only read), hands the rows over and returns the members of
 * the document's "rows". Hidden columns: reason (why something is NULL) and document (everything, as JSON). A result without rows is one
 * row of NULLs with its reason. */
#include "sqlext.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct table {
    sqlite3_vtab base;
    sqlite3 *db;
    const rad_stat_function *s;
    int n_out;   /* result columns; then query, arguments, reason, document */
    char *names; /* result columns' names, NUL-separated */
    const char *name[SQLEXT_MAX_ARGS];
} table;

typedef struct cursor {
    sqlite3_vtab_cursor base;
    rad_doc *doc;
    rad_doc_row row;
    int64_t place;
    bool has_row, done;
} cursor;

static int disconnect(sqlite3_vtab *v) {
    table *t = (table *)v;
    free(t->names);
    free(t);
    return SQLITE_OK;
}

static int connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_text) {
    (void)argc;
    (void)argv;
    const rad_stat_function *s = aux;
    table *t = rad_calloc(1, sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    t->db = db;
    t->s = s;
    t->names = rad_strdup(s->field);
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendall(sql, "CREATE TABLE x(");
    for (char *p = t->names; p && *p;) {
        const size_t len = strcspn(p, ",");
        const bool last = p[len] == 0;
        p[len] = 0;
        t->name[t->n_out++] = p;
        sqlite3_str_appendf(sql, "\"%w\", ", p);
        p += len + !last;
    }
    sqlite3_str_appendall(sql, "query HIDDEN");
    for (size_t i = 0; i < strlen(s->args); i++)
        sqlite3_str_appendf(sql, ", arg%d HIDDEN", (int)i + 1);
    sqlite3_str_appendall(sql, ", reason HIDDEN, document HIDDEN)");
    char *text = sqlite3_str_finish(sql);
    int rc = t->names && text ? sqlite3_declare_vtab(db, text) : SQLITE_NOMEM;
    sqlite3_free(text);
    if (rc != SQLITE_OK) {
        *ret_text = sqlite3_mprintf("%s", sqlite3_errmsg(db));
        free(t->names);
        free(t);
        return rc;
    }
    *ret = &t->base;
    return SQLITE_OK;
}

/* argv of filter: query first, then the arguments in order; idxNum = how many there are. */
static int best_index(sqlite3_vtab *v, sqlite3_index_info *info) {
    const table *t = (const table *)v;
    const int query = t->n_out, n_arg = (int)strlen(t->s->args);
    int at[SQLEXT_MAX_ARGS + 1];
    for (int i = 0; i <= n_arg; i++)
        at[i] = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        const int c = info->aConstraint[i].iColumn - query;
        if (c < 0 || c > n_arg || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!info->aConstraint[i].usable)
            return SQLITE_CONSTRAINT;
        at[c] = i;
    }
    int n = 0;
    while (n <= n_arg && at[n] >= 0) {
        info->aConstraintUsage[at[n]].argvIndex = n + 1;
        info->aConstraintUsage[at[n]].omit = 1;
        n++;
    }
    info->idxNum = n;
    info->estimatedCost = 1e6;
    info->estimatedRows = 100;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *v, sqlite3_vtab_cursor **ret) {
    (void)v;
    cursor *c = rad_calloc(1, sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    *ret = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *vc) {
    cursor *c = (cursor *)vc;
    rad_doc_destroy(&c->doc);
    free(c);
    return SQLITE_OK;
}

/* Runs the statement into builders. */
static rad_status collect(const table *t, sqlite3_stmt *q, rad_column_builder **b, int nc, rad_error *err) {
    rad_status st = RAD_OK;
    for (int i = 0; i < nc && st == RAD_OK; i++)
        st = rad_column_builder_create(sqlext_letter(t->s, i), &b[i], err);
    int rc = SQLITE_DONE;
    while (st == RAD_OK && (rc = sqlite3_step(q)) == SQLITE_ROW)
        for (int i = 0; i < nc && st == RAD_OK; i++) {
            st = sqlext_put(b[i], sqlite3_column_value(q, i), err);
            if (st != RAD_OK)
                st = rad_error_prefix(err, st, "column '%s': ", sqlite3_column_name(q, i));
        }
    if (st == RAD_OK && rc != SQLITE_DONE)
        st = rad_error_set(err, RAD_E_STORE, "%s", sqlite3_errmsg(t->db));
    return st;
}

static rad_status prepare(const table *t, const char *sql, sqlite3_stmt **ret, int *ret_nc, rad_error *err) {
    const char *tail = NULL;
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(t->db, sql, -1, &q, &tail) != SQLITE_OK)
        return rad_error_set(err, RAD_E_USAGE, "%s", sqlite3_errmsg(t->db));
    const size_t np = strlen(t->s->columns);
    const bool repeats = np > 0 && t->s->columns[np - 1] == '+';
    const int least = (int)np - (repeats ? 1 : 0), nc = q ? sqlite3_column_count(q) : 0;
    rad_status st = RAD_OK;
    if (!q || !sqlite3_stmt_readonly(q) || tail[strspn(tail, " \t\r\n;")])
        st = rad_error_set(err, RAD_E_USAGE, "expected one SELECT statement");
    else if (nc < least || (!repeats && nc > least) || nc > SQLEXT_MAX_ARGS)
        st = rad_error_set(err, RAD_E_USAGE, "the SELECT gives %d columns; %s%d expected", nc, repeats ? "at least " : "", least);
    if (st != RAD_OK) {
        sqlite3_finalize(q);
        return st;
    }
    *ret = q;
    *ret_nc = nc;
    return RAD_OK;
}

static rad_status run(const table *t, const char *sql, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    sqlite3_stmt *q = NULL;
    rad_column_builder *b[SQLEXT_MAX_ARGS] = {0};
    rad_column column[SQLEXT_MAX_ARGS];
    int nc = 0;
    rad_status st;
    RAD_TRY(prepare(t, sql, &q, &nc, err));
    RAD_TRY(collect(t, q, b, nc, err));
    for (int i = 0; i < nc; i++) {
        RAD_TRY(rad_column_builder_view(b[i], &column[i], err));
        column[i].name = sqlite3_column_name(q, i);
    }
    const rad_frame f = {.n = rad_column_builder_count(b[0]), .n_column = nc, .column = column};
    st = rad_stat_call(t->s, &f, arg, n_arg, doc, err);
out:
    for (int i = 0; i < nc; i++)
        rad_column_builder_destroy(&b[i]);
    sqlite3_finalize(q);
    return st;
}

static int filter(sqlite3_vtab_cursor *vc, int n, const char *idx, int argc, sqlite3_value **argv) {
    (void)idx;
    cursor *c = (cursor *)vc;
    table *t = (table *)vc->pVtab;
    rad_error err = {0};
    rad_status st = RAD_OK;
    rad_arg arg[SQLEXT_MAX_ARGS];
    rad_doc_destroy(&c->doc);
    c->place = 0;
    c->done = false;
    const char *sql = n > 0 && argc > 0 ? (const char *)sqlite3_value_text(argv[0]) : NULL;
    if (!sql)
        st = rad_error_set(&err, RAD_E_USAGE, "the first argument is a SELECT statement in quotes");
    else if (n < t->s->required)
        st = rad_error_set(&err, RAD_E_USAGE, "%d arguments given, at least %d expected", n, t->s->required);
    for (int i = 1; i < n; i++)
        sqlext_arg(argv[i], &arg[i - 1]);
    if (st == RAD_OK)
        st = rad_doc_create(&c->doc, &err);
    if (st == RAD_OK)
        st = run(t, sql, arg, n - 1, c->doc, &err);
    if (st != RAD_OK) {
        sqlite3_free(t->base.zErrMsg);
        t->base.zErrMsg = sqlite3_mprintf("%s(%s): %s", t->s->name, t->s->signature, err.text);
        rad_doc_destroy(&c->doc);
        c->done = true;
        return st == RAD_E_NOMEM ? SQLITE_NOMEM : SQLITE_ERROR;
    }
    c->has_row = rad_doc_row_first(c->doc, "rows", &c->row);
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *vc) {
    cursor *c = (cursor *)vc;
    c->place++;
    c->done = !c->has_row || !rad_doc_row_next(c->doc, &c->row);
    return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *vc) {
    return ((cursor *)vc)->done;
}

static int column_of(sqlite3_vtab_cursor *vc, sqlite3_context *ctx, int i) {
    const cursor *c = (const cursor *)vc;
    const table *t = (const table *)vc->pVtab;
    const int reason = t->n_out + 1 + (int)strlen(t->s->args);
    if (i < t->n_out && c->has_row) {
        const char *text = rad_doc_row_get_text(c->doc, &c->row, t->name[i]);
        const double x = rad_doc_row_get(c->doc, &c->row, t->name[i]);
        if (text)
            sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
        else if (rad_doc_row_is_integer(c->doc, &c->row, t->name[i]))
            sqlite3_result_int64(ctx, (sqlite3_int64)x);
        else if (!isnan(x))
            sqlite3_result_double(ctx, x);
    } else if (i == reason && rad_doc_get_reason(c->doc)) {
        sqlite3_result_text(ctx, rad_doc_get_reason(c->doc), -1, SQLITE_TRANSIENT);
    } else if (i == reason + 1) {
        rad_stat_function whole = *t->s;
        whole.field = NULL;
        sqlext_result(ctx, &whole, c->doc);
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *vc, sqlite3_int64 *ret) {
    *ret = ((cursor *)vc)->place + 1;
    return SQLITE_OK;
}

static const sqlite3_module table_module = {.xConnect = connect,
                                            .xBestIndex = best_index,
                                            .xDisconnect = disconnect,
                                            .xOpen = open_cursor,
                                            .xClose = close_cursor,
                                            .xFilter = filter,
                                            .xNext = next,
                                            .xEof = eof,
                                            .xColumn = column_of,
                                            .xRowid = rowid};

int sqlext_register_table(sqlite3 *db, const rad_stat_function *s) {
    return sqlite3_create_module(db, s->name, &table_module, (void *)(uintptr_t)s);
}

/* ---------------------------------------------------------------- radstats_functions */

static int list_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_text) {
    (void)aux;
    (void)argc;
    (void)argv;
    (void)ret_text;
    sqlite3_vtab *t = rad_calloc(1, sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    const int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(name, kind, signature, doc)");
    if (rc != SQLITE_OK) {
        free(t);
        return rc;
    }
    *ret = t;
    return SQLITE_OK;
}

static int list_disconnect(sqlite3_vtab *v) {
    free(v);
    return SQLITE_OK;
}

static int list_best(sqlite3_vtab *v, sqlite3_index_info *info) {
    (void)v;
    info->estimatedCost = 300;
    return SQLITE_OK;
}

static int list_filter(sqlite3_vtab_cursor *vc, int n, const char *idx, int argc, sqlite3_value **argv) {
    (void)n;
    (void)idx;
    (void)argc;
    (void)argv;
    ((cursor *)vc)->place = 0;
    return SQLITE_OK;
}

static int list_next(sqlite3_vtab_cursor *vc) {
    ((cursor *)vc)->place++;
    return SQLITE_OK;
}

static int list_eof(sqlite3_vtab_cursor *vc) {
    return ((cursor *)vc)->place >= rad_stat_function_count();
}

static int list_column(sqlite3_vtab_cursor *vc, sqlite3_context *ctx, int i) {
    const rad_stat_function *s = rad_stat_function_at(((cursor *)vc)->place);
    static const char *const kinds[] = {"scalar", "aggregate", "table"};
    const char *const text[] = {s->name, kinds[s->kind], s->signature, s->doc};
    sqlite3_result_text(ctx, text[i], -1, SQLITE_STATIC);
    return SQLITE_OK;
}

static const sqlite3_module list_module = {.xConnect = list_connect,
                                           .xBestIndex = list_best,
                                           .xDisconnect = list_disconnect,
                                           .xOpen = open_cursor,
                                           .xClose = close_cursor,
                                           .xFilter = list_filter,
                                           .xNext = list_next,
                                           .xEof = list_eof,
                                           .xColumn = list_column,
                                           .xRowid = rowid};

int sqlext_register_list(sqlite3 *db) {
    return sqlite3_create_module(db, "radstats_functions", &list_module, NULL);
}
