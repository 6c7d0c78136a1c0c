/* places.h (private to src/cohort): rows of a table under their patients and lesions. */
#ifndef RAD_COHORT_PLACES_H
#define RAD_COHORT_PLACES_H

#include <stddef.h>
#include <stdint.h>

typedef struct place { /* an image or a lesion under its patient */
    int64_t patient, lesion, index;
} place;

/* By patient, lesion, index. */
void places_sort(place *p, size_t n);
/* First of the sorted places that is not before (patient, lesion). */
int64_t places_find(const place *p, int64_t n, int64_t patient, int64_t lesion);

#endif
