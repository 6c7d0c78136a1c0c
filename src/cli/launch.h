/* launch.h (private to src/cli): `radcohort run --ranks N`: the same command under mpirun, with Ctrl-C and exit status of one process. */
#ifndef RAD_CLI_LAUNCH_H
#define RAD_CLI_LAUNCH_H

#include "radcohort/base.h"

/* Starts mpirun (beside this program, else in the path) on the same arguments without --ranks, passes requests to stop on as SIGUSR1,
 * which mpirun hands to the ranks, and takes the exit status from the status file: mpirun keeps that of rank 0 only when every rank ended
 * well. `status`: where rank 0 will leave it; NULL: not known, a failure then. Errors: NOTFOUND (no mpirun), IO, NOMEM,
 * USAGE (under a launcher already). */
rad_status rad_cli_launch(int argc, char **argv, int n_rank, const char *status, int *ret_code, rad_error *err) RAD_MUST_CHECK;

#endif
