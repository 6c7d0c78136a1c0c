/* rows.c: rows of a query, and the CSV file made of them. */
#include "page.h"

#include <stdarg.h>

enum { MAX_COLUMNS = 64 };
#define MAX_ROWS 4000000

void rp_fail(rp_page *p, rad_status st, const char *fmt, ...) {
    char text[RAD_ERROR_TEXT];
    va_list ap;
    if (p->st != RAD_OK)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->st = rad_error_set(p->err, st, "%s", text);
}

void *rp_alloc(rp_page *p, int64_t n, size_t size) {
    void *m = p->st == RAD_OK && n >= 0 ? rad_calloc((size_t)n + 1, size) : NULL;
    if (!m)
        rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
    return m;
}

static void sql_failed(rp_page *p, const char *sql) {
    rp_fail(p, RAD_E_STORE, "cannot read the result file: %s (in: %.200s)", sqlite3_errmsg(p->db), sql);
}

static bool take_row(rp_page *p, sqlite3_stmt *q, rp_rows *r, int64_t *cap) {
    if (r->n == *cap) {
        const int64_t more = *cap ? 2 * *cap : 64;
        size_t cells;
        if (more > MAX_ROWS || !rad_mul_size((size_t)more, (size_t)r->n_col, &cells)) {
            rp_fail(p, RAD_E_LIMIT, "a query of the report gave more than %d rows", MAX_ROWS);
            return false;
        }
        rp_cell *c = rad_realloc(r->cell, cells, sizeof *c);
        if (!c) {
            rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
            return false;
        }
        r->cell = c;
        *cap = more;
    }
    rp_cell *c = r->cell + r->n * r->n_col;
    r->n++;
    for (int i = 0; i < r->n_col; i++)
        c[i] = (rp_cell){.num = NAN};
    for (int i = 0; i < r->n_col; i++) {
        const int type = sqlite3_column_type(q, i);
        if (type == SQLITE_NULL)
            continue;
        if (type == SQLITE_FLOAT || type == SQLITE_INTEGER)
            c[i].num = sqlite3_column_double(q, i);
        c[i].text = type == SQLITE_FLOAT ? rad_asprintf("%.17g", c[i].num) : rad_strdup((const char *)sqlite3_column_text(q, i));
        if (!c[i].text) {
            rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
            return false;
        }
    }
    return true;
}

void rp_query(rp_page *p, char *sql, rp_rows *ret) {
    sqlite3_stmt *q = NULL;
    int64_t cap = 0;
    int rc;
    *ret = (rp_rows){0};
    if (!sql)
        rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
    if (p->st != RAD_OK) {
        sqlite3_free(sql);
        return;
    }
    ret->sql = sql;
    if (sqlite3_prepare_v2(p->db, sql, -1, &q, NULL) != SQLITE_OK) {
        sql_failed(p, sql);
        return;
    }
    ret->n_col = sqlite3_column_count(q);
    if (ret->n_col > MAX_COLUMNS)
        rp_fail(p, RAD_E_LIMIT, "a query of the report has %d columns", ret->n_col);
    ret->name = rp_alloc(p, ret->n_col, sizeof *ret->name);
    for (int i = 0; i < ret->n_col && p->st == RAD_OK; i++)
        if (!(ret->name[i] = rad_strdup(sqlite3_column_name(q, i))))
            rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
    while (p->st == RAD_OK && (rc = sqlite3_step(q)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            sql_failed(p, sql);
        else if (!take_row(p, q, ret, &cap))
            break;
    }
    (void)sqlite3_finalize(q);
}

void rp_rows_release(rp_rows *r) {
    for (int64_t i = 0; i < r->n * r->n_col; i++)
        free(r->cell[i].text);
    for (int i = 0; r->name && i < r->n_col; i++)
        free(r->name[i]);
    free(r->name);
    free(r->cell);
    sqlite3_free(r->sql);
    *r = (rp_rows){0};
}

int rp_column(const rp_rows *r, const char *name) {
    for (int i = 0; r->name && i < r->n_col; i++)
        if (r->name[i] && strcmp(r->name[i], name) == 0)
            return i;
    return -1;
}

const rp_cell *rp_at(const rp_rows *r, int64_t row, const char *name) {
    static const rp_cell none = {.num = NAN};
    const int c = rp_column(r, name);
    return c < 0 || row < 0 || row >= r->n ? &none : &r->cell[row * r->n_col + c];
}

double rp_num(const rp_rows *r, int64_t row, const char *name) {
    const rp_cell *c = rp_at(r, row, name);
    return c->hidden ? NAN : c->num;
}

const char *rp_text_at(const rp_rows *r, int64_t row, const char *name) {
    const rp_cell *c = rp_at(r, row, name);
    return c->text && !c->hidden ? c->text : "";
}

void rp_hide(rp_rows *r, int64_t row, const char *name) {
    const int c = rp_column(r, name);
    if (c >= 0 && row < r->n)
        r->cell[row * r->n_col + c].hidden = true;
}

double rp_one(rp_page *p, char *sql) {
    rp_rows r;
    rp_query(p, sql, &r);
    const double x = r.n > 0 ? r.cell[0].num : NAN;
    rp_rows_release(&r);
    return x;
}

char *rp_one_text(rp_page *p, char *sql) {
    rp_rows r;
    rp_query(p, sql, &r);
    char *text = NULL;
    if (r.n > 0) {
        text = r.cell[0].text;
        r.cell[0].text = NULL;
    }
    rp_rows_release(&r);
    return text;
}

/* ---------------------------------------------------------------- CSV */

/* A cell that begins with one of these is a formula to spreadsheets (OWASP, "CSV injection"); numbers may begin with - or +. */
static bool is_formula(const rp_cell *c) {
    return isnan(c->num) && c->text[0] != '\0' && strchr("=+-@\t\r", c->text[0]) != NULL;
}

static void csv_cell(rp_page *p, rad_buf *b, const rp_cell *c) {
    const char *t = c->hidden ? "suppressed" : c->text;
    if (!t)
        return;
    const bool guard = !c->hidden && is_formula(c), quote = guard || strpbrk(t, ",\"\r\n") != NULL;
    if (!quote) {
        if (rad_buf_put(b, t, strlen(t), p->err) != RAD_OK)
            rp_fail(p, RAD_E_NOMEM, "out of memory for a table");
        return;
    }
    rad_status st = rad_buf_put(b, "\"'", guard ? 2 : 1, p->err);
    for (; *t && st == RAD_OK; t++)
        st = rad_buf_put(b, *t == '"' ? "\"\"" : t, *t == '"' ? 2 : 1, p->err);
    if (st != RAD_OK || rad_buf_put(b, "\"", 1, p->err) != RAD_OK)
        rp_fail(p, RAD_E_NOMEM, "out of memory for a table");
}

void rp_csv(rp_page *p, const char *name, const rp_rows *r) {
    rad_buf b;
    if (p->st != RAD_OK)
        return;
    if (p->out) {
        rp_publish(p, name, r);
        return;
    }
    rad_buf_init(&b, RAD_REPORT_MAX_BYTES);
    for (int64_t i = -1; i < r->n && p->st == RAD_OK; i++) {
        for (int c = 0; c < r->n_col; c++) {
            const rp_cell head = {.text = i < 0 ? r->name[c] : NULL, .num = NAN};
            if (c > 0 && rad_buf_put(&b, ",", 1, p->err) != RAD_OK)
                rp_fail(p, RAD_E_NOMEM, "out of memory for a table");
            csv_cell(p, &b, i < 0 ? &head : &r->cell[i * r->n_col + c]);
        }
        if (rad_buf_put(&b, "\r\n", 2, p->err) != RAD_OK)
            rp_fail(p, RAD_E_NOMEM, "out of memory for a table");
    }
    char *path = rad_asprintf("%s/csv/%s.csv", p->o->dir, name);
    if (!path)
        rp_fail(p, RAD_E_NOMEM, "out of memory for a path");
    if (p->st == RAD_OK)
        p->st = rad_file_write_atomic_mode(path, p->o->is_public ? 0644 : 0600, b.data, b.size, p->err);
    p->n_csv++;
    free(path);
    rad_buf_release(&b);
}
