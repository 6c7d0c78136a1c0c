/* places.c: see places.h. */
#include "places.h"

#include <stdlib.h>

static int by_place(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->patient != y->patient)
        return x->patient < y->patient ? -1 : 1;
    if (x->lesion != y->lesion)
        return x->lesion < y->lesion ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void places_sort(place *p, size_t n) {
    size_t i = 1;
    while (i < n && by_place(&p[i - 1], &p[i]) < 0)
        i++;
    if (i < n) /* tables are in order, as a rule */
        qsort(p, n, sizeof *p, by_place);
}

int64_t places_find(const place *p, int64_t n, int64_t patient, int64_t lesion) {
    const place key = {patient, lesion, -1};
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (by_place(&p[mid], &key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}
