/* sweep.h (private to src/farm): temporary files of killed processes. */
#ifndef RAD_FARM_SWEEP_H
#define RAD_FARM_SWEEP_H

/* Removes what processes that were killed while they wrote a file left of it (rad_file_write_atomic, publication from scratch): beside the
 * database under its name, in the folder of its maps and in that of what is remembered of files. For whoever holds the database for
 * writing, when no rank of the run is at work any more. What cannot be removed stays. */
void rad_sweep(const char *database, const char *cam_dir);

#endif
