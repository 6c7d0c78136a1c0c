/* table.c: libcsv does the quoting rules of RFC 4180; this file does lines, columns, encodings and limits.
 *
 * libcsv does not count lines, so it is fed one physical line at a time: a row that ends while line k is fed began at the first line
 * fed since the row before it. */
#include "table.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "radcohort/cohort.h"
#include "utf8.h"

enum { MAX_ENCODING_MESSAGES = 20 };

typedef struct parse {
    table *t;
    rad_status st;
    rad_error *err;
    bool is_csv, have_header, header_bad;
    int64_t line, row_line; /* being fed; where the current row began */
    bool row_bad;           /* a field of it is over the limit or holds a control character */
    /* fields of the current row: offsets into `bytes`, each NUL-terminated */
    rad_buf bytes;
    size_t *at;
    int64_t n_field, cap_field;
    /* header */
    int64_t n_column;
    int64_t *target; /* per file column: index into def->column, or -1 - index into extra, or INT64_MIN: ignored */
    char **name;     /* per file column */
    int64_t n_known, n_extra;
    const char **known, **extra, **extra_name;
} parse;

void table_mistake(const table *t, rad_severity sev, int64_t line, const char *column, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    utf8_scrub(text);
    rad_issues_add(t->issues, sev, t->file, line, column, "%s", text);
}

static rad_status no_memory(parse *p) {
    p->st = rad_error_set(p->err, RAD_E_NOMEM, "no memory to read '%s'", p->t->file);
    return p->st;
}

/* ---------------------------------------------------------------- header */

static int64_t known_index(const table_def *def, const char *name) {
    for (int64_t i = 0; def->column[i].name; i++)
        if (strcmp(def->column[i].name, name) == 0)
            return i;
    return -1;
}

/* Columns that would bring a person's identity into the database (promise 9 of the design). */
static bool is_identifying(const char *name) {
    static const char *const words[] = {"name",
                                        "patient_name",
                                        "patientname",
                                        "first_name",
                                        "firstname",
                                        "last_name",
                                        "lastname",
                                        "surname",
                                        "family_name",
                                        "given_name",
                                        "birth_date",
                                        "birthdate",
                                        "birthday",
                                        "dob",
                                        "date_of_birth",
                                        "dateofbirth",
                                        "patientbirthdate",
                                        "mrn",
                                        "ssn",
                                        "address",
                                        "phone",
                                        "email",
                                        "e-mail",
                                        "insurance_number",
                                        "studyinstanceuid",
                                        "seriesinstanceuid",
                                        "sopinstanceuid",
                                        "study_instance_uid",
                                        "series_instance_uid",
                                        "accession",
                                        "accessionnumber",
                                        "accession_number",
                                        NULL};
    for (size_t i = 0; words[i]; i++)
        if (strcasecmp(name, words[i]) == 0)
            return true;
    return false;
}

/* A further column that looks like a slip for a known one: the same but for case, or one letter off. */
static const char *slip_for(const table_def *def, const char *name) {
    for (int64_t i = 0; def->column[i].name; i++) {
        const char *one[] = {def->column[i].name, NULL};
        size_t a = strlen(name), b = strlen(one[0]);
        if (strcasecmp(name, one[0]) == 0)
            return one[0];
        if (a > 3 && b > 3 && a + 1 >= b && b + 1 >= a && strncmp(name, one[0], 2) == 0 && rad_nearest_word(name, one) &&
            (strncmp(name, one[0], a < b ? a : b) == 0 || a == b))
            return one[0];
    }
    return NULL;
}

static void missing_columns(parse *p, const bool *has) {
    const table_def *def = p->t->def;
    const char **names = rad_calloc((size_t)p->n_column + 1, sizeof *names);
    if (!names) {
        no_memory(p);
        return;
    }
    size_t n = 0;
    for (int64_t i = 0; i < p->n_column; i++)
        if (p->target[i] < 0)
            names[n++] = p->name[i];
    for (int64_t i = 0; def->column[i].name; i++) {
        if (has[i] || !(def->column[i].need & COLUMN_REQUIRED))
            continue;
        p->header_bad = true;
        const char *near = rad_nearest_word(def->column[i].name, names), *only = p->n_column == 1 ? p->name[0] : "";
        if (strchr(only, ';') || strchr(only, ',') || strchr(only, '\t'))
            table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, def->column[i].name,
                          "the header is one column: a %s file has its columns "
                          "separated by %s",
                          p->is_csv ? ".csv" : ".tsv", p->is_csv ? "commas" : "tabs");
        else if (near)
            table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, def->column[i].name,
                          "this column is missing; the header has '%s': rename "
                          "it to '%s'",
                          near, def->column[i].name);
        else
            table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, def->column[i].name, "this column is missing in the header");
    }
    free(names);
}

static void judge_extra(parse *p, const char *name) {
    const table *t = p->t;
    const char *slip = slip_for(t->def, name);
    if (is_identifying(name))
        table_mistake(t, RAD_SEVERITY_ERROR, p->row_line, name,
                      "this column may identify a person and would reach the database: remove it "
                      "(age in years is enough; pseudonyms only)");
    else if (slip)
        table_mistake(t, RAD_SEVERITY_WARNING, p->row_line, name, "unknown column, %s: did you mean '%s'?",
                      t->def->covariates ? "kept as a covariate" : "not used", slip);
    else if (!t->def->covariates)
        table_mistake(t, RAD_SEVERITY_WARNING, p->row_line, name, "unknown column, not used");
}

static rad_status take_header(parse *p) {
    const table_def *def = p->t->def;
    p->have_header = true;
    for (p->n_known = 0; def->column[p->n_known].name; p->n_known++)
        continue;
    if (p->n_field > TABLE_MAX_COLUMNS) {
        table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, NULL, "%lld columns, the limit is %d", (long long)p->n_field,
                      TABLE_MAX_COLUMNS);
        p->header_bad = true;
        return RAD_OK;
    }
    size_t n = (size_t)p->n_field;
    p->target = rad_calloc(n, sizeof *p->target);
    p->name = rad_calloc(n, sizeof *p->name);
    p->known = rad_calloc((size_t)p->n_known, sizeof *p->known);
    p->extra = rad_calloc(n, sizeof *p->extra);
    p->extra_name = rad_calloc(n, sizeof *p->extra_name);
    if (!p->target || !p->name || !p->known || !p->extra || !p->extra_name)
        return no_memory(p);
    p->n_column = p->n_field;
    for (int64_t i = 0; i < p->n_column; i++) {
        const char *field = p->bytes.data + p->at[i];
        p->name[i] = rad_strdup(field);
        if (!p->name[i])
            return no_memory(p);
        p->target[i] = INT64_MIN;
        bool twice = false;
        for (int64_t j = 0; j < i; j++)
            twice = twice || strcmp(p->name[j], field) == 0;
        char number[24];
        snprintf(number, sizeof number, "%lld", (long long)i + 1);
        int64_t k = known_index(def, field);
        if (field[0] == '\0') {
            table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, number, "a column without a name: name it or remove it");
        } else if (twice) {
            table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, field, "this column is there twice: keep one");
        } else if (k >= 0) {
            p->target[i] = k;
            p->t->has[k] = true;
        } else {
            judge_extra(p, field);
            p->target[i] = -1 - p->n_extra;
            p->extra_name[p->n_extra++] = p->name[i];
        }
    }
    missing_columns(p, p->t->has);
    return p->st;
}

/* ---------------------------------------------------------------- rows */

static const char *value_of(const char *field, int need) {
    if (field[0] == '\0' || strcmp(field, "n/a") == 0 || strcmp(field, "N/A") == 0)
        return NULL;
    return strcmp(field, "NA") == 0 && !(need & COLUMN_KEEP_NA) ? NULL : field;
}

static void take_row(parse *p) {
    table *t = p->t;
    if (p->header_bad)
        return;
    if (p->n_field != p->n_column) {
        table_mistake(t, RAD_SEVERITY_ERROR, p->row_line, NULL, "%lld field%s, the header has %lld: %s", (long long)p->n_field,
                      p->n_field == 1 ? "" : "s", (long long)p->n_column,
                      p->n_field > p->n_column ? "a value that holds the separator belongs in quotes" : "write empty fields too");
        return;
    }
    for (int64_t i = 0; i < p->n_known; i++)
        p->known[i] = NULL;
    for (int64_t i = 0; i < p->n_column; i++) {
        const char *field = p->bytes.data + p->at[i];
        if (p->target[i] >= 0) {
            const table_column *c = &t->def->column[p->target[i]];
            const char *v = value_of(field, c->need);
            p->known[p->target[i]] = v;
            if (!v && (c->need & COLUMN_FILLED))
                table_mistake(t, RAD_SEVERITY_ERROR, p->row_line, c->name, "a value is missing here: every row needs one");
            else if (field[0] == '\0' && (c->need & COLUMN_STATED))
                table_mistake(t, RAD_SEVERITY_ERROR, p->row_line, c->name, "empty %s: write it, or n/a when it is not known", c->name);
        } else if (p->target[i] != INT64_MIN) {
            p->extra[-1 - p->target[i]] = value_of(field, COLUMN_OPTIONAL);
        }
    }
    table_row row = {.line = p->row_line, .known = p->known, .n_extra = p->n_extra, .extra_name = p->extra_name, .extra = p->extra};
    p->st = t->row(t, &row, p->err);
}

/* Too long, or with the control character `c`: the row is told once and passed over. */
static void field_mistake(parse *p, size_t n, char c) {
    char number[24];
    const char *column = p->n_field < p->n_column ? p->name[p->n_field] : number;
    snprintf(number, sizeof number, "%lld", (long long)p->n_field + 1);
    if (n > RAD_MAX_FIELD_BYTES)
        table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, column,
                      "%zu bytes in one field, the limit is %d (a quote that was never closed?)", n, RAD_MAX_FIELD_BYTES);
    else
        table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, column,
                      c == '\n' || c == '\r' ? "a line break inside a field: remove it" : "a control character inside a field: remove it");
    p->row_bad = true;
}

static void on_field(void *s, size_t n, void *payload) {
    parse *p = payload;
    if (p->st != RAD_OK)
        return;
    const char *text = s ? s : "";
    size_t bad = 0;
    while (bad < n && (unsigned char)text[bad] >= 0x20 && text[bad] != 0x7F)
        bad++;
    if (n > RAD_MAX_FIELD_BYTES || (bad < n && !p->row_bad)) {
        field_mistake(p, n, text[n > RAD_MAX_FIELD_BYTES ? 0 : bad]);
        n = n > RAD_MAX_FIELD_BYTES ? 0 : n;
    }
    if (p->n_field == p->cap_field) {
        int64_t cap = p->cap_field ? p->cap_field * 2 : 32;
        size_t *at = rad_realloc(p->at, (size_t)cap, sizeof *at);
        if (!at) {
            no_memory(p);
            return;
        }
        p->at = at;
        p->cap_field = cap;
    }
    p->at[p->n_field++] = p->bytes.size;
    p->st = rad_buf_put(&p->bytes, text, n, p->err);
    if (p->st == RAD_OK)
        p->st = rad_buf_put(&p->bytes, "", 1, p->err);
}

static void on_row(int c, void *payload) {
    (void)c;
    parse *p = payload;
    bool blank = p->n_field == 1 && p->bytes.size == 1; /* a quoted nothing on a line of its own */
    if (p->st == RAD_OK && !p->have_header && p->row_bad) {
        p->have_header = p->header_bad = true; /* told; its names are of no use */
    } else if (p->st == RAD_OK && !p->have_header) {
        take_header(p);
    } else if (p->st == RAD_OK && !p->row_bad && !blank) {
        take_row(p);
    }
    rad_buf_clear(&p->bytes);
    p->n_field = 0;
    p->row_bad = false;
    p->row_line = p->line + 1;
}

/* ---------------------------------------------------------------- text */

static void check_encoding(table *t, char *text, size_t size) {
    int64_t line = 1, told = 0, told_line = 0;
    for (size_t i = 0; i < size;) {
        if ((unsigned char)text[i] < 0x80) { /* nearly all of a table */
            line += text[i] == '\n';
            i++;
            continue;
        }
        size_t n = utf8_length((const unsigned char *)text + i, size - i);
        if (n == 0) {
            if (line != told_line && told++ < MAX_ENCODING_MESSAGES)
                table_mistake(t, RAD_SEVERITY_ERROR, line, NULL, "byte 0x%02X is not UTF-8: save the table as UTF-8",
                              (unsigned char)text[i]);
            told_line = line;
            text[i] = '?';
            n = 1;
        }
        i += n;
    }
}

/* Length of the physical line at `s` with its line end: LF, CRLF, or CR alone. */
static size_t line_length(const char *s, size_t n) {
    const char *lf = memchr(s, '\n', n);
    size_t to = lf ? (size_t)(lf - s) + 1 : n;
    const char *cr = memchr(s, '\r', to);
    if (cr && cr + 1 < s + to && cr[1] != '\n')
        return (size_t)(cr - s) + 1;
    return to;
}

static bool is_blank(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", s[i]))
            return false;
    return true;
}

static void *csv_grow(void *p, size_t n) {
    return rad_realloc(p, n, 1);
}

/* After a misplaced quote: say so, and go on with the next line. */
static void recover(parse *p, struct csv_parser *csv, size_t column) {
    char place[24];
    snprintf(place, sizeof place, "%zu", column + 1);
    table_mistake(p->t, RAD_SEVERITY_ERROR, p->line, NULL,
                  "a quote at byte %s of the line does not belong: a field with quotes is quoted whole, "
                  "and the quotes in it are doubled (\"5\"\" long\")",
                  place);
    csv_free(csv);
    if (csv_init(csv, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        no_memory(p);
        return;
    }
    csv_set_delim(csv, p->is_csv ? CSV_COMMA : CSV_TAB);
    csv_set_realloc_func(csv, csv_grow);
    rad_buf_clear(&p->bytes);
    p->n_field = 0;
    p->row_bad = false;
    if (!p->have_header) /* rows cannot be told apart without it */
        p->have_header = p->header_bad = true;
    p->row_line = p->line + 1;
}

static void feed(parse *p, struct csv_parser *csv, const char *text, size_t size) {
    p->line = p->row_line = 1;
    for (size_t i = 0; i < size && p->st == RAD_OK; p->line++) {
        size_t n = line_length(text + i, size - i);
        bool fresh = p->row_line == p->line;
        size_t done = csv_parse(csv, text + i, n, on_field, on_row, p);
        if (done != n && p->st == RAD_OK) {
            if (csv_error(csv) != CSV_EPARSE)
                no_memory(p);
            else
                recover(p, csv, done);
        }
        if (fresh && p->row_line == p->line && p->n_field == 0 && is_blank(text + i, n))
            p->row_line = p->line + 1; /* libcsv reports no row for it */
        i += n;
    }
    if (p->st != RAD_OK)
        return;
    if (csv_fini(csv, on_field, on_row, p) == 0 || p->st != RAD_OK)
        return;
    if (csv_error(csv) == CSV_EPARSE)
        table_mistake(p->t, RAD_SEVERITY_ERROR, p->row_line, NULL, "a quote is opened in this row and never closed");
    else
        no_memory(p);
}

rad_status table_read(table *t, char *text, size_t size, bool is_csv, rad_error *err) {
    parse p = {.t = t, .err = err, .st = RAD_OK, .is_csv = is_csv};
    struct csv_parser csv;
    const unsigned char *u = (const unsigned char *)text;
    if (size >= 2 && ((u[0] == 0xFF && u[1] == 0xFE) || (u[0] == 0xFE && u[1] == 0xFF))) {
        table_mistake(t, RAD_SEVERITY_ERROR, 1, NULL, "the table is UTF-16: save it as UTF-8");
        return RAD_OK;
    }
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }
    check_encoding(t, text, size);
    rad_buf_init(&p.bytes, RAD_MAX_TABLE_BYTES);
    if (csv_init(&csv, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return no_memory(&p);
    csv_set_delim(&csv, is_csv ? CSV_COMMA : CSV_TAB);
    csv_set_realloc_func(&csv, csv_grow);
    feed(&p, &csv, text, size);
    csv_free(&csv);
    if (p.st == RAD_OK && !p.have_header)
        table_mistake(t, RAD_SEVERITY_ERROR, 0, NULL, "the table is empty: the first line names the columns");
    for (int64_t i = 0; i < p.n_column; i++)
        free(p.name[i]);
    free(p.name);
    free(p.target);
    free(p.known);
    free(p.extra);
    free(p.extra_name);
    free(p.at);
    rad_buf_release(&p.bytes);
    return p.st;
}
