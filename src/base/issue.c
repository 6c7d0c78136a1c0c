/* issue.c: mistakes in input files, collected and shown in file and line order. */
#include "radcohort/issue.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 50 };

static void item_release(rad_issue *it) {
    free(it->file);
    free(it->column);
    free(it->text);
}

void rad_issues_release(rad_issues *is) {
    for (size_t i = 0; i < is->n; i++)
        item_release(&is->item[i]);
    free(is->item);
    *is = (rad_issues){0};
}

void rad_issues_add(rad_issues *is, rad_severity sev, const char *file, int64_t line, const char *column, const char *fmt, ...) {
    if (sev == RAD_SEVERITY_ERROR)
        is->n_error++;
    else
        is->n_warning++;
    if (is->n >= RAD_MAX_ISSUES)
        return;
    if (is->n == is->cap) {
        size_t cap = is->cap ? is->cap * 2 : 16;
        rad_issue *p = rad_realloc(is->item, cap, sizeof *p);
        if (!p)
            return;
        is->item = p;
        is->cap = cap;
    }
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof text) { /* cut between characters: the text stays valid UTF-8 */
        size_t end = sizeof text - 2;
        while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
            end--;
        text[end] = '+';
        text[end + 1] = '\0';
    }
    rad_issue it = {
        .severity = sev, .file = rad_strdup(file), .line = line, .column = column ? rad_strdup(column) : NULL, .text = rad_strdup(text)};
    if (!it.file || !it.text || (column && !it.column)) {
        item_release(&it);
        return;
    }
    is->item[is->n++] = it;
}

static int by_place(const void *a, const void *b) {
    const rad_issue *x = *(const rad_issue *const *)a, *y = *(const rad_issue *const *)b;
    int c = strcmp(x->file, y->file);
    if (c)
        return c;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x < y ? -1 : x > y; /* same place: order of discovery */
}

void rad_issues_print(const rad_issues *is, FILE *to) {
    const rad_issue **order = rad_calloc(is->n, sizeof *order);
    for (size_t i = 0; order && i < is->n; i++)
        order[i] = &is->item[i];
    if (order && is->n > 1)
        qsort(order, is->n, sizeof *order, by_place);
    int64_t shown = 0, room = SHOWN; /* for warnings: errors go first */
    for (size_t i = 0; i < is->n; i++)
        room -= is->item[i].severity == RAD_SEVERITY_ERROR;
    for (size_t i = 0; i < is->n && shown < SHOWN; i++) {
        const rad_issue *it = order ? order[i] : &is->item[i];
        const bool error = it->severity == RAD_SEVERITY_ERROR;
        if (!error && room-- <= 0)
            continue;
        shown++;
        fprintf(to, "%s:", it->file);
        if (it->line > 0)
            fprintf(to, "%" PRId64 ":", it->line);
        if (it->column && it->column[strspn(it->column, "0123456789")] == '\0')
            fprintf(to, " column %s:", it->column); /* a place, not a name */
        else if (it->column)
            fprintf(to, " column '%s':", it->column);
        fprintf(to, " %s%s:%s %s\n", rad_term_style(to, error ? RAD_STYLE_ERROR : RAD_STYLE_WARNING), error ? "error" : "warning",
                rad_term_style(to, RAD_STYLE_PLAIN), it->text);
    }
    free(order);
    int64_t hidden = is->n_error + is->n_warning - shown;
    if (hidden > 0)
        fprintf(to, "... and %" PRId64 " more: mend these first\n", hidden);
    if (is->n_error + is->n_warning > 0)
        fprintf(to, "%" PRId64 " error%s, %" PRId64 " warning%s\n", is->n_error, is->n_error == 1 ? "" : "s", is->n_warning,
                is->n_warning == 1 ? "" : "s");
}
