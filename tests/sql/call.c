/* call: one statistic per request, straight through rad_stat_call().
 *
 * Request on stdin, fields separated by tabs, one record per line:
 *   NAME n_arg n_column n_row      then n_arg lines of constants, a line of column names, n_row lines of n_column cells; \N is NULL
 * or "?", which lists name, columns, constants and kind of every function.
 * Reply on stdout: one line, the document as JSON, or "ERROR text".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/stats.h"

enum { LINE = 1 << 16, MAX = 64 };

static bool line_in(char *line) {
    if (!fgets(line, LINE, stdin))
        return false;
    line[strcspn(line, "\n")] = 0;
    return true;
}

static char letter(const rad_stat_function *s, int i) {
    const size_t nc = strlen(s->columns);
    const size_t last = s->columns[nc - 1] == '+' ? nc - 2 : nc - 1;
    return s->columns[(size_t)i < last ? (size_t)i : last];
}

static rad_status read_rows(const rad_stat_function *s, int nc, long long rows, char *line, rad_column_builder **b, rad_error *err) {
    rad_status st = RAD_OK;
    for (int i = 0; i < nc && st == RAD_OK; i++)
        st = rad_column_builder_create(letter(s, i), &b[i], err);
    for (long long r = 0; r < rows; r++) {
        if (!line_in(line))
            return rad_error_set(err, RAD_E_TRUNCATED, "request ends in row %lld", r);
        char *p = line;
        for (int i = 0; i < nc && st == RAD_OK; i++) {
            const size_t len = strcspn(p, "\t");
            const bool more = p[len] == '\t';
            p[len] = 0;
            st = rad_column_builder_put_text(b[i], strcmp(p, "\\N") == 0 ? NULL : p, err);
            p += len + more;
        }
    }
    return st;
}

static rad_status answer(const char *name, int na, int nc, long long rows, char *line, rad_error *err) {
    const rad_stat_function *s = rad_stat_function_find(name);
    rad_column_builder *b[MAX] = {0};
    rad_column column[MAX];
    rad_arg arg[MAX] = {0};
    char *text[MAX] = {0}, *names = NULL;
    rad_doc *doc = NULL;
    rad_buf out;
    rad_buf_init(&out, (size_t)1 << 30);
    rad_status st = RAD_OK;
    if (!s || na > MAX || nc > MAX) {
        st = rad_error_set(err, RAD_E_USAGE, "no function '%s'", name);
        goto out;
    }
    for (int i = 0; i < na; i++) {
        if (!line_in(line)) {
            st = rad_error_set(err, RAD_E_TRUNCATED, "request ends in its constants");
            goto out;
        }
        const bool null = strcmp(line, "\\N") == 0;
        text[i] = null ? NULL : rad_strdup(line);
        arg[i].text = text[i];
        if (null || !rad_parse_double(line, &arg[i].num))
            arg[i].num = NAN;
    }
    if (!line_in(line)) {
        st = rad_error_set(err, RAD_E_TRUNCATED, "request ends before its columns");
        goto out;
    }
    names = rad_strdup(line);
    RAD_TRY(read_rows(s, nc, rows, line, b, err));
    char *at = names;
    for (int i = 0; i < nc; i++) {
        RAD_TRY(rad_column_builder_view(b[i], &column[i], err));
        column[i].name = at;
        at += strcspn(at, "\t");
        if (*at)
            *at++ = 0;
    }
    RAD_TRY(rad_doc_create(&doc, err));
    const rad_frame f = {.n = rows, .n_column = nc, .column = column};
    RAD_TRY(rad_stat_call(s, &f, arg, na, doc, err));
    RAD_TRY(rad_doc_json(doc, &out, err));
    puts(out.data);
out:
    for (int i = 0; i < MAX; i++) {
        rad_column_builder_destroy(&b[i]);
        free(text[i]);
    }
    free(names);
    rad_doc_destroy(&doc);
    rad_buf_release(&out);
    return st;
}

int main(void) {
    static char line[LINE];
    while (line_in(line)) {
        char name[64];
        int na, nc;
        long long rows;
        rad_error err = {0};
        if (strcmp(line, "?") == 0) {
            for (int64_t i = 0; i < rad_stat_function_count(); i++) {
                const rad_stat_function *s = rad_stat_function_at(i);
                printf("%s\t%s\t%s\t%d\n", s->name, s->columns, s->args, (int)s->kind);
            }
            continue;
        }
        if (sscanf(line, "%63s %d %d %lld", name, &na, &nc, &rows) != 4)
            return 2;
        if (answer(name, na, nc, rows, line, &err) != RAD_OK)
            printf("ERROR %s\n", err.text);
        fflush(stdout);
    }
    return 0;
}
