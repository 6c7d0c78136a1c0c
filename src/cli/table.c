/* table.c: columns of text. */
#include "table.h"

#include "radcohort/base.h"

#include <stdlib.h>
#include <string.h>

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

void table_row(table *t) {
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

void table_put_at(table *t, size_t row, int column, char *text) {
    if (!text || t->failed || row >= t->n_row) {
        t->failed = true;
        free(text);
        return;
    }
    char **cell = &t->cell[row * (size_t)t->n_column + (size_t)column];
    free(*cell);
    *cell = text;
}

void table_put(table *t, int column, char *text) {
    table_put_at(t, t->n_row - 1, column, text); /* no row yet: the index is out of range, which fails */
}

const char *table_cell(const table *t, size_t row, int column) {
    return t->cell[row * (size_t)t->n_column + (size_t)column];
}

/* The last column that may go while the row is too wide, or -1. */
static int spare_column(const table *t, const int *width, const bool *used) {
    int sum = -2, last = -1;
    for (int c = 0; c < t->n_column; c++) {
        sum += used[c] ? width[c] + 2 : 0;
        last = used[c] && c > 0 && !t->keep[c] ? c : last;
    }
    return t->max_width > 0 && sum > t->max_width ? last : -1;
}

int table_print(const table *t, FILE *to) {
    int width[TABLE_MAX_COLUMNS] = {0};
    bool used[TABLE_MAX_COLUMNS] = {false};
    for (size_t r = 0; r < t->n_row; r++)
        for (int c = 0; c < t->n_column; c++) {
            const char *s = table_cell(t, r, c);
            int w = s ? text_width(s) : 0;
            width[c] = w > width[c] ? w : width[c];
            used[c] = used[c] || (r > 0 && w > 0);
        }
    int hidden = 0;
    for (int c = spare_column(t, width, used); c >= 0; c = spare_column(t, width, used), hidden++)
        used[c] = false;
    for (size_t r = 0; r < t->n_row; r++) {
        int last = t->n_column - 1;
        while (last > 0 && !(used[last] && table_cell(t, r, last)))
            last--;
        bool first = true; /* of the columns that are printed */
        for (int c = 0; c <= last; c++) {
            const char *s = table_cell(t, r, c);
            int pad = width[c] - (s ? text_width(s) : 0);
            if (used[c])
                fprintf(to, "%s%*s%s%*s", first ? "" : "  ", t->right[c] ? pad : 0, "", s ? s : "", t->right[c] || c == last ? 0 : pad, "");
            first = first && !used[c];
        }
        fputc('\n', to);
    }
    return hidden;
}

void table_release(table *t) {
    for (size_t i = 0; i < t->n_row * (size_t)t->n_column; i++)
        free(t->cell[i]);
    free(t->cell);
    *t = (table){0};
}
