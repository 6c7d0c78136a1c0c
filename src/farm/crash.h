/* crash.h (private to src/farm): a last note of a process that a case takes down. Every thread says which cases it is at; on a fatal signal
 * (segmentation fault, bus error, illegal instruction, arithmetic, abort) the handler appends them to DATABASE.crash and lets the signal do
 * its work. The next session counts the notes: what crashed its rank twice is quarantined. A process that is killed from outside leaves
 * none. */
#ifndef RAD_FARM_CRASH_H
#define RAD_FARM_CRASH_H

#include "radcohort/base.h"

#define RAD_CRASH_SLOTS 65 /* 0: the inference thread (and the threads it uses); others: loaders */
#define RAD_CRASH_CASES 256

/* `database` decides the name of the note. Not under a sanitizer, which wants these signals for itself. Errors: LIMIT (path too long). */
rad_status rad_crash_install(const char *database, rad_error *err) RAD_MUST_CHECK;
void rad_crash_restore(void);
/* The calling thread, which owns `slot`, is at these cases (n = 0: at none). */
void rad_crash_at(int slot, const int64_t *case_id, int64_t n);

/* How often `case_id[i]` stands in the notes of `database`, into ret_count[i]; a missing or damaged file counts nothing. */
rad_status rad_crash_read(const char *database, const int64_t *case_id, int64_t n, int *ret_count, rad_error *err) RAD_MUST_CHECK;
/* Removes the notes: the run is finished. */
void rad_crash_forget(const char *database);

#endif
