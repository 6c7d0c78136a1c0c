/* progress.h (private to src/farm): what the user sees meanwhile: a bar on a terminal, a plain line every few seconds elsewhere. */
#ifndef RAD_FARM_PROGRESS_H
#define RAD_FARM_PROGRESS_H

#include "radcohort/farm.h"

typedef struct rad_progress {
    bool on, terminal;
    double start, last, first_cost;
    int64_t first_done;
} rad_progress;

typedef struct rad_progress_now {
    int64_t done, total;          /* cases, those of earlier sessions included */
    double cost_done, cost_total; /* of this session's cases: the estimate goes by cost, since large cases come first */
    int64_t excluded;
    int ranks;                       /* in service */
    const rad_farm_outcome *outcome; /* for the reasons */
} rad_progress_now;

void rad_progress_start(rad_progress *p, bool on, double now);
/* Prints when it is time; `force`: in any case. */
void rad_progress_show(rad_progress *p, const rad_progress_now *n, double now, bool force);
/* Clears the bar, so that other text may follow. */
void rad_progress_clear(rad_progress *p);

#endif
