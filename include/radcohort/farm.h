/* farm: coordinator and workers. The only module that knows MPI; without a launcher the same code runs in one process.
 */
#ifndef RADCOHORT_FARM_H
#define RADCOHORT_FARM_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rad_farm_opts {
    const char *job_path;
    const char *database;   /* NULL: the job's */
    const char *backend;    /* NULL: the job's */
    const char *precision;  /* NULL: the job's */
    int batch;              /* 0: the job's */
    int threads;            /* per rank; 0: cores of the node / ranks of the node */
    bool allow_outside;
    bool quiet;             /* no progress */
    const char *command_line;
} rad_farm_opts;

typedef struct rad_farm_outcome {
    int exit_code;          /* RAD_EXIT_* ; the same on every rank */
    bool is_root;           /* rank 0: the one that prints */
    int64_t run, n_case, n_scored, n_excluded;
    bool resumed, nothing_to_do;
    double seconds;
    char database[4096];
} rad_farm_outcome;

/* Collective over all ranks of the job (initialises MPI when a launcher is there). SIGINT/SIGTERM once: finish what is in flight, write,
 * RAD_EXIT_STOPPED; twice: leave at once (what was committed stays). */
rad_status rad_farm_run(const rad_farm_opts *opts, rad_farm_outcome *ret, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
