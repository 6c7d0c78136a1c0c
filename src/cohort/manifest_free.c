/* manifest_free.c: releases a manifest. */
#include <stdlib.h>

#include "arena.h"
#include "radcohort/cohort.h"

void rad_manifest_destroy(rad_manifest **m) {
    if (!m || !*m)
        return;
    free((*m)->item);
    free((*m)->unused);
    arena_destroy((*m)->arena);
    free(*m);
    *m = NULL;
}
