/* bvalue.c: tables of b-values. See bvalue.h. */
#include "radcohort/bvalue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

double rad_b_tolerance(double b) {
    return fmax(20, 0.05 * b);
}

void rad_b_table_release(rad_b_table *t) {
    free(t->value);
    *t = (rad_b_table){0};
}

static rad_status parse(const char *path, char *text, rad_b_table *t, rad_error *err) {
    static const char blank[] = " \t\r\n";
    for (char *s = text + strspn(text, blank); *s;) {
        size_t m = strcspn(s, blank);
        const bool last = s[m] == '\0';
        double x = 0;
        s[m] = '\0';
        if (t->n == RAD_MAX_B_VOLUMES)
            return rad_error_set(err, RAD_E_LIMIT, "'%.200s' has more than %d numbers", path, RAD_MAX_B_VOLUMES);
        if (!rad_parse_double(s, &x) || !(x >= 0 && x <= RAD_MAX_B_VALUE)) {
            char word[44];
            snprintf(word, sizeof word, "%.40s", s);
            utf8_scrub(word);
            return rad_error_set(err, RAD_E_FORMAT,
                                 "'%.200s': number %lld is '%s', which is no b-value: expected one number from 0 to %.0f per volume, "
                                 "separated by blanks",
                                 path, (long long)t->n + 1, word, RAD_MAX_B_VALUE);
        }
        t->value[t->n++] = x;
        s += last ? m : m + 1;
        s += strspn(s, blank);
    }
    return t->n > 0 ? RAD_OK : rad_error_set(err, RAD_E_FORMAT, "'%.200s' holds no b-value: expected one number per volume", path);
}

rad_status rad_b_table_read(const char *path, rad_b_table *ret, rad_error *err) {
    rad_b_table t = {0};
    char *text = NULL;
    size_t n = 0;
    rad_status st = rad_file_read(path, RAD_MAX_B_BYTES, &text, &n, err);
    if (st == RAD_OK && !(t.value = rad_calloc(RAD_MAX_B_VOLUMES, sizeof *t.value)))
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for b-values");
    if (st == RAD_OK)
        st = parse(path, text, &t, err);
    free(text);
    if (st == RAD_OK)
        *ret = t;
    else
        rad_b_table_release(&t);
    return st;
}

char *rad_b_table_beside(const char *image) {
    static const char *const ending[] = {".nii.gz", ".nii"};
    const size_t n = strlen(image);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        const size_t m = strlen(ending[i]);
        if (n > m && strcmp(image + n - m, ending[i]) == 0)
            return rad_asprintf("%.*s.bval", (int)(n - m), image);
    }
    return NULL;
}

/* The lowest value above `after` that begins a group, or NaN. `after` NaN: the lowest of all. */
static double next_group(const rad_b_table *t, double after) {
    double best = NAN;
    for (int64_t i = 0; i < t->n; i++) {
        const double x = t->value[i];
        if (!isnan(after) && x - after <= rad_b_tolerance(x))
            continue;
        best = isnan(best) || x < best ? x : best;
    }
    return best;
}

void rad_b_table_list(const rad_b_table *t, char *buf, size_t cap) {
    size_t at = 0;
    buf[0] = '\0';
    for (double x = next_group(t, NAN); !isnan(x) && at < cap; x = next_group(t, x)) {
        const int n = snprintf(buf + at, cap - at, "%s%.6g", at ? ", " : "", x);
        at += n > 0 ? (size_t)n : 0;
    }
}

int64_t rad_b_table_count(const rad_b_table *t) {
    int64_t n = 0;
    for (double x = next_group(t, NAN); !isnan(x); x = next_group(t, x))
        n++;
    return n;
}

rad_status rad_b_check_plain(const char *image, rad_error *err) {
    char list[120], *path = rad_b_table_beside(image);
    rad_b_table t = {0};
    rad_status st = RAD_OK;
    if (path && rad_b_table_read(path, &t, NULL) == RAD_OK && rad_b_table_count(&t) > 1) {
        rad_b_table_list(&t, list, sizeof list);
        st =
            rad_error_set(err, RAD_E_CHANNEL,
                          "an image of several b-values, and the channel does not say which: write for example b_value: %.6g ('%.200s' has "
                          "%s)",
                          t.value[t.n - 1], image, list);
    }
    rad_b_table_release(&t);
    free(path);
    return st;
}
