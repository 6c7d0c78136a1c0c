#include "sqlext.h"

#include <math.h>
#include <string.h>

rad_status sqlext_put(rad_column_builder *b, sqlite3_value *v, rad_error *err) {
    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL:
        return rad_column_builder_put_missing(b, err);
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        return rad_column_builder_put_number(b, sqlite3_value_double(v), err);
    default: /* SQLite's own text-to-real conversion is not always correctly rounded: ours is strtod */
        return rad_column_builder_put_text(b, (const char *)sqlite3_value_text(v), err);
    }
}

void sqlext_arg(sqlite3_value *v, rad_arg *ret) {
    *ret = (rad_arg){.num = NAN};
    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL:
        break;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        ret->num = sqlite3_value_double(v);
        ret->text = (const char *)sqlite3_value_text(v);
        break;
    default:
        ret->text = (const char *)sqlite3_value_text(v);
        if (!ret->text || !rad_parse_double(ret->text, &ret->num))
            ret->num = NAN;
    }
}

bool sqlext_layout(const rad_stat_function *s, int n_given, int *ret_columns, int *ret_first_column) {
    const size_t nc = strlen(s->columns);
    const int na = (int)strlen(s->args);
    const bool repeats = nc > 0 && s->columns[nc - 1] == '+';
    if (n_given < s->required)
        return false;
    if (repeats) { /* all constants come first */
        *ret_first_column = na;
        *ret_columns = n_given - na;
        return *ret_columns >= (int)nc - 1;
    }
    *ret_first_column = 0;
    *ret_columns = (int)nc;
    return n_given >= (int)nc && n_given <= (int)nc + na;
}

char sqlext_letter(const rad_stat_function *s, int i) {
    const size_t nc = strlen(s->columns);
    const bool repeats = s->columns[nc - 1] == '+';
    const size_t last = repeats ? nc - 2 : nc - 1;
    return s->columns[(size_t)i < last ? (size_t)i : last];
}

void sqlext_result(sqlite3_context *ctx, const rad_stat_function *s, const rad_doc *doc) {
    if (s->field) {
        const char *text = rad_doc_get_text(doc, s->field);
        const double x = rad_doc_get(doc, s->field);
        if (text)
            sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
        else if (isnan(x))
            sqlite3_result_null(ctx);
        else
            sqlite3_result_double(ctx, x);
        return;
    }
    rad_buf out;
    rad_error err = {0};
    rad_buf_init(&out, (size_t)1 << 30);
    const rad_status st = rad_doc_json(doc, &out, &err);
    if (st == RAD_OK)
        sqlite3_result_text64(ctx, out.data, out.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        sqlext_fail(ctx, s, st, &err);
    rad_buf_release(&out);
}

void sqlext_fail(sqlite3_context *ctx, const rad_stat_function *s, rad_status st, const rad_error *err) {
    char text[RAD_ERROR_TEXT + 100];
    snprintf(text, sizeof text, "%s(%s): %s", s->name, s->signature, err->text);
    sqlite3_result_error(ctx, text, -1);
    if (st == RAD_E_NOMEM)
        sqlite3_result_error_nomem(ctx);
}

static void call_scalar(sqlite3_context *ctx, int n, sqlite3_value **v) {
    const rad_stat_function *s = sqlite3_user_data(ctx);
    rad_arg arg[SQLEXT_MAX_ARGS];
    rad_error err = {0};
    rad_doc *doc = NULL;
    const int most = (int)strlen(s->args);
    if (n < s->required || n > most) {
        rad_status st = rad_error_set(&err, RAD_E_USAGE, "%d arguments given, %d to %d expected", n, s->required, most);
        sqlext_fail(ctx, s, st, &err);
        return;
    }
    for (int i = 0; i < n; i++)
        sqlext_arg(v[i], &arg[i]);
    const rad_frame none = {0};
    rad_status st = rad_doc_create(&doc, &err);
    if (st == RAD_OK)
        st = rad_stat_call(s, &none, arg, n, doc, &err);
    if (st == RAD_OK)
        sqlext_result(ctx, s, doc);
    else
        sqlext_fail(ctx, s, st, &err);
    rad_doc_destroy(&doc);
}

int sqlext_register_scalar(sqlite3 *db, const rad_stat_function *s) {
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    return sqlite3_create_function_v2(db, s->name, -1, flags, (void *)(uintptr_t)s, call_scalar, NULL, NULL, NULL);
}

rad_status rad_sqlext_register(struct sqlite3 *db, rad_error *err) {
    int rc = sqlext_register_list(db);
    for (int64_t i = 0; i < rad_stat_function_count() && rc == SQLITE_OK; i++) {
        const rad_stat_function *s = rad_stat_function_at(i);
        switch (s->kind) {
        case RAD_STAT_SCALAR:
            rc = sqlext_register_scalar(db, s);
            break;
        case RAD_STAT_AGGREGATE:
            rc = sqlext_register_aggregate(db, s);
            break;
        case RAD_STAT_TABLE:
            rc = sqlext_register_table(db, s);
            break;
        }
    }
    if (rc != SQLITE_OK)
        return rad_error_set(err, rc == SQLITE_NOMEM ? RAD_E_NOMEM : RAD_E_STORE, "cannot register the statistics: %s", sqlite3_errmsg(db));
    return RAD_OK;
}
