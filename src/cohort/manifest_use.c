/* manifest_use.c: what others ask of a finished manifest. */
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

int rad_case_scorer(const rad_job *job, const rad_case *c, int model) {
    int other = job->model[model].when_missing - 1;
    if (other < 0 || c->input[job->model[model].input].status != RAD_E_CHANNEL || c->input[job->model[other].input].status != RAD_OK)
        return model;
    return other;
}
