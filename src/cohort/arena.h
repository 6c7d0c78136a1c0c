/* arena.h (private to src/cohort): memory that is released in one go. Not thread-safe. */
#ifndef RAD_COHORT_ARENA_H
#define RAD_COHORT_ARENA_H

#include "radcohort/base.h"

typedef struct arena arena;

/* NULL when memory is out. */
arena *arena_create(void);
void arena_destroy(arena *a);
/* `n` zeroed items of `size` bytes, aligned for any type; NULL when memory is out or the product overflows. */
void *arena_alloc(arena *a, size_t n, size_t size);
char *arena_strndup(arena *a, const char *s, size_t n);
char *arena_strdup(arena *a, const char *s);
char *arena_printf(arena *a, const char *fmt, ...) RAD_PRINTF(2, 3);

#endif
