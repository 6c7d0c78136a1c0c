/* utf8.h (private to src/cohort) */
#ifndef RAD_COHORT_UTF8_H
#define RAD_COHORT_UTF8_H

#include <stddef.h>

/* Length of the well-formed UTF-8 sequence at s (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF), or 0. */
size_t utf8_length(const unsigned char *s, size_t n);
/* Puts '?' in place of every byte that is no part of a well-formed sequence: a message that was cut in the middle of a character stays
 * text. */
void utf8_scrub(char *s);

#endif
