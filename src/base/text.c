/* text.c: numbers from text in the C locale, and the nearest known word. */
#include "radcohort/base.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 64

/* Levenshtein distance with adjacent transposition counted once (Damerau, restricted), two words of at most MAX_WORD bytes. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb) {
    size_t row[3][MAX_WORD + 1];
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *cur = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        cur[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (cur[j - 1] + 1 < best)
                best = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            cur[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *rad_nearest_word(const char *word, const char *const *known) {
    size_t n = strlen(word), best = SIZE_MAX;
    const char *found = NULL;
    if (n == 0 || n > MAX_WORD)
        return NULL;
    for (; *known; known++) {
        size_t m = strlen(*known);
        if (m > MAX_WORD)
            continue;
        size_t d = distance(word, n, *known, m);
        if (d < best) {
            best = d;
            found = *known;
        }
    }
    return best <= 1 + n / 3 ? found : NULL;
}

bool rad_parse_double(const char *text, double *ret) {
    if (!text[0] || isspace((unsigned char)text[0]))
        return false;
    char *end;
    double v = strtod(text, &end);
    if (*end || end == text)
        return false;
    *ret = v;
    return true;
}

bool rad_parse_int(const char *text, int64_t *ret) {
    if (!text[0] || isspace((unsigned char)text[0]))
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (*end || end == text || errno)
        return false;
    *ret = v;
    return true;
}
