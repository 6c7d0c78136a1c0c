/* slice_list.c: slices that the tables list: indices and ranges, zero-based, ends included, in any order, none twice. */
#include "slice_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/cohort.h"

/* The next index; false when there is none, or one beyond all limits. */
static bool next_index(const char **s, int64_t *ret) {
    int64_t v = 0;
    *s += strspn(*s, " ");
    size_t n = strspn(*s, "0123456789");
    for (size_t i = 0; i < n && v < RAD_MAX_LISTED; i++)
        v = v * 10 + ((*s)[i] - '0');
    *s += n;
    *s += strspn(*s, " ");
    *ret = v;
    return n > 0 && v < RAD_MAX_LISTED;
}

/* Marks the listed slices; false when the text is none. *ret_twice: a slice that was there already, or -1. */
static bool mark(const char *s, bool *seen, int64_t *ret_twice) {
    for (*ret_twice = -1;; s++) {
        int64_t first = 0, last = 0;
        if (!next_index(&s, &first))
            return false;
        last = first;
        if (*s == '-') {
            s++;
            if (!next_index(&s, &last) || last < first)
                return false;
        }
        for (int64_t k = first; k <= last; k++) {
            *ret_twice = seen[k] ? k : *ret_twice;
            seen[k] = true;
        }
        if (*s == '\0')
            return true;
        if (*s != ',' && *s != ';')
            return false;
    }
}

bool slice_list_parse(arena *a, const char *text, int64_t *ret_n, int64_t **ret, char *why, size_t cap) {
    int64_t n = 0, twice = -1, *list = NULL;
    bool *seen = rad_calloc(RAD_MAX_LISTED, sizeof *seen), memory = seen != NULL;
    bool good = seen && mark(text, seen, &twice);
    if (memory && !good)
        snprintf(why, cap, "'%.60s' is not a list of slices: expected indices from 0 to %d and ranges, for example 12,15-18", text,
                 RAD_MAX_LISTED - 1);
    else if (memory && twice >= 0)
        snprintf(why, cap, "'%.60s' lists slice %lld twice", text, (long long)twice);
    else if (memory) {
        for (int64_t k = 0; k < RAD_MAX_LISTED; k++)
            n += seen[k];
        list = arena_alloc(a, (size_t)n, sizeof *list);
        memory = list != NULL;
        for (int64_t k = 0, i = 0; list && k < RAD_MAX_LISTED; k++)
            if (seen[k])
                list[i++] = k;
    }
    free(seen);
    *ret_n = list ? n : 0;
    *ret = list;
    return memory;
}

int64_t rad_case_listed(const rad_cohort *c, const rad_job *job, const rad_case *k, int input, const int64_t **ret_slice) {
    const rad_image *image = &c->image[k->input[input].image[0]];
    const rad_lesion *lesion = k->lesion >= 0 ? &c->lesion[k->lesion] : NULL;
    bool own = lesion && lesion->n_slice > 0;
    if (job->input[input].slices != RAD_SLICES_LISTED)
        return 0;
    *ret_slice = own ? lesion->slice : image->slice;
    return own ? lesion->n_slice : image->n_slice;
}
