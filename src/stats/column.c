/* column: cells as SQL and CSV give them into columns of numbers and categories. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/stats.h"

/* One word per row and the words' texts must fit in memory; the limit only bounds the arithmetic. */
#define COLUMN_MAX_ROWS ((int64_t)1 << 32)

typedef struct word {
    char *text;
    double num;    /* NaN when the text is no number */
    int64_t place; /* in sorted order */
} word;

struct rad_column_builder {
    char kind;
    double *cell; /* numbers, or word numbers */
    int64_t first, n, cap;
    word *words;
    int64_t n_word, word_cap;
    int64_t *slot; /* open addressing, -1 = free; size a power of two */
    int64_t n_slot;
    double *view; /* level numbers for the view */
    const char **level;
};

rad_status rad_column_builder_create(char kind, rad_column_builder **ret, rad_error *err) {
    rad_column_builder *b = rad_calloc(1, sizeof *b);
    if (!b)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a column");
    b->kind = kind;
    *ret = b;
    return RAD_OK;
}

void rad_column_builder_destroy(rad_column_builder **pb) {
    if (!pb || !*pb)
        return;
    rad_column_builder *b = *pb;
    for (int64_t i = 0; i < b->n_word; i++)
        free(b->words[i].text);
    free(b->words);
    free(b->cell);
    free(b->slot);
    free(b->view);
    free(b->level);
    free(b);
    *pb = NULL;
}

static rad_status put_cell(rad_column_builder *b, double x, rad_error *err) {
    if (b->first + b->n == b->cap) {
        if (b->first > 0 && b->first >= b->n) { /* a window that moved on: reuse the front */
            memmove(b->cell, b->cell + b->first, (size_t)b->n * sizeof *b->cell);
            b->first = 0;
        } else {
            const int64_t cap = b->cap ? 2 * b->cap : 64;
            if (cap > COLUMN_MAX_ROWS)
                return rad_error_set(err, RAD_E_LIMIT, "more than %lld rows in one statistic", (long long)(COLUMN_MAX_ROWS / 2));
            double *p = rad_realloc(b->cell, (size_t)cap, sizeof *p);
            if (!p)
                return rad_error_set(err, RAD_E_NOMEM, "no memory for %lld rows", (long long)cap);
            b->cell = p;
            b->cap = cap;
        }
    }
    b->cell[b->first + b->n++] = x;
    return RAD_OK;
}

static uint64_t hash_text(const char *s) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static rad_status grow_slots(rad_column_builder *b, rad_error *err) {
    const int64_t n = b->n_slot ? 2 * b->n_slot : 64;
    int64_t *slot = rad_malloc((size_t)n * sizeof *slot);
    if (!slot)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %lld categories", (long long)n);
    for (int64_t i = 0; i < n; i++)
        slot[i] = -1;
    for (int64_t w = 0; w < b->n_word; w++) {
        uint64_t h = hash_text(b->words[w].text);
        while (slot[h & (uint64_t)(n - 1)] >= 0)
            h++;
        slot[h & (uint64_t)(n - 1)] = w;
    }
    free(b->slot);
    b->slot = slot;
    b->n_slot = n;
    return RAD_OK;
}

static rad_status put_word(rad_column_builder *b, const char *text, rad_error *err) {
    if (2 * b->n_word >= b->n_slot) {
        const rad_status st = grow_slots(b, err);
        if (st != RAD_OK)
            return st;
    }
    uint64_t h = hash_text(text);
    int64_t *s;
    while (*(s = &b->slot[h & (uint64_t)(b->n_slot - 1)]) >= 0 && strcmp(b->words[*s].text, text) != 0)
        h++;
    if (*s < 0) {
        if (b->n_word == b->word_cap) {
            const int64_t cap = b->word_cap ? 2 * b->word_cap : 32;
            word *p = rad_realloc(b->words, (size_t)cap, sizeof *p);
            if (!p)
                return rad_error_set(err, RAD_E_NOMEM, "no memory for %lld categories", (long long)cap);
            b->words = p;
            b->word_cap = cap;
        }
        char *copy = rad_strdup(text);
        if (!copy)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for category '%s'", text);
        double num;
        if (!rad_parse_double(text, &num))
            num = NAN;
        b->words[b->n_word] = (word){.text = copy, .num = num};
        *s = b->n_word++;
    }
    return put_cell(b, (double)*s, err);
}

rad_status rad_column_builder_put_missing(rad_column_builder *b, rad_error *err) {
    return put_cell(b, NAN, err);
}

rad_status rad_column_builder_put_number(rad_column_builder *b, double x, rad_error *err) {
    if (b->kind == 'n' || isnan(x))
        return put_cell(b, x, err);
    char text[32];
    snprintf(text, sizeof text, "%.17g", x + 0.0);
    double back;
    char brief[32]; /* 0.1 and not 0.10000000000000001: the shorter text when it is the same number */
    snprintf(brief, sizeof brief, "%.15g", x + 0.0);
    return put_word(b, rad_parse_double(brief, &back) && back == x ? brief : text, err);
}

static bool is_missing_word(const char *s) {
    static const char *const words[] = {"", "na", "nan", "null"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t i = 0;
        while (s[i] && tolower((unsigned char)s[i]) == words[w][i])
            i++;
        if (!s[i] && !words[w][i])
            return true;
    }
    return false;
}

rad_status rad_column_builder_put_text(rad_column_builder *b, const char *text, rad_error *err) {
    if (!text || is_missing_word(text))
        return put_cell(b, NAN, err);
    if (b->kind != 'n')
        return put_word(b, text, err);
    double x;
    if (!rad_parse_double(text, &x))
        return rad_error_set(err, RAD_E_FORMAT,
                             "text '%.60s' where a number is needed: select a numeric column, or NULL where it is missing", text);
    return put_cell(b, x, err);
}

void rad_column_builder_drop_first(rad_column_builder *b) {
    if (b->n > 0) {
        b->first++;
        b->n--;
    }
}

int64_t rad_column_builder_count(const rad_column_builder *b) {
    return b->n;
}

static int by_number(const void *a, const void *b) {
    const word *x = *(word *const *)a, *y = *(word *const *)b;
    return x->num < y->num ? -1 : x->num > y->num ? 1 : strcmp(x->text, y->text);
}

static int by_text(const void *a, const void *b) {
    return strcmp((*(word *const *)a)->text, (*(word *const *)b)->text);
}

rad_status rad_column_builder_view(rad_column_builder *b, rad_column *ret, rad_error *err) {
    const double *cell = b->n > 0 ? b->cell + b->first : NULL;
    if (b->kind == 'n') {
        *ret = (rad_column){.value = cell};
        return RAD_OK;
    }
    free(b->view);
    free(b->level);
    const int64_t nw = b->n_word;
    b->view = rad_malloc((size_t)(b->n > 0 ? b->n : 1) * sizeof *b->view);
    b->level = rad_malloc((size_t)(nw > 0 ? nw : 1) * sizeof *b->level);
    word **order = rad_malloc((size_t)(nw > 0 ? nw : 1) * sizeof *order);
    if (!b->view || !b->level || !order) {
        free(order);
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a column of %lld rows", (long long)b->n);
    }
    bool numeric = true;
    for (int64_t w = 0; w < nw; w++) { /* words that left the window are no levels */
        b->words[w].place = -1;
        numeric = numeric && !isnan(b->words[w].num);
    }
    for (int64_t i = 0; i < b->n; i++)
        if (!isnan(cell[i]))
            b->words[(int64_t)cell[i]].place = 0;
    if (b->kind == 'a' && numeric) {
        for (int64_t i = 0; i < b->n; i++)
            b->view[i] = isnan(cell[i]) ? NAN : b->words[(int64_t)cell[i]].num;
        *ret = (rad_column){.value = b->view};
        free(order);
        return RAD_OK;
    }
    int64_t m = 0;
    for (int64_t w = 0; w < nw; w++)
        if (b->words[w].place == 0)
            order[m++] = &b->words[w];
    qsort(order, (size_t)m, sizeof *order, numeric ? by_number : by_text);
    for (int64_t w = 0; w < m; w++) {
        order[w]->place = w;
        b->level[w] = order[w]->text;
    }
    for (int64_t i = 0; i < b->n; i++)
        b->view[i] = isnan(cell[i]) ? NAN : (double)b->words[(int64_t)cell[i]].place;
    *ret = (rad_column){.value = b->view, .level = b->level, .n_level = m};
    free(order);
    return RAD_OK;
}
