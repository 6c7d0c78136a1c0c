/* table.h (private to src/cli): columns of text on a terminal, aligned by display width. */
#ifndef RAD_CLI_TABLE_H
#define RAD_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_MAX_COLUMNS = 12 };

/* Zero-initialise, then set n_column and right[]. The first row is the heading. */
typedef struct table {
    int n_column;
    bool right[TABLE_MAX_COLUMNS]; /* aligned to the right */
    char **cell;                   /* n_row * n_column; NULL = empty */
    size_t n_row, cap_row;
    int max_width; /* > 0: columns from the right are left out until the rows fit, but for the first and those that are kept */
    bool keep[TABLE_MAX_COLUMNS];
    bool failed; /* out of memory: nothing was lost but the table is not whole */
} table;

void table_row(table *t);
/* Takes `text` (may be NULL when memory is out) into the last row, in place of what is there. */
void table_put(table *t, int column, char *text);
void table_put_at(table *t, size_t row, int column, char *text);
const char *table_cell(const table *t, size_t row, int column);
/* Columns with nothing below the heading are left out; returns how many others were, for want of room. */
int table_print(const table *t, FILE *to);
void table_release(table *t);

#endif
