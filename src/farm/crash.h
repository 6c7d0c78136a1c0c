/* crash.h (private to src/farm): a last note of a process that a case takes down. Every thread says which cases it is at; on a fatal signal
 * (segmentation fault, bus error, illegal instruction, arithmetic, abort) the handler appends them to DATABASE.crash and lets the signal do
 * its work. The next session counts the notes: what crashed its rank twice is quarantined. A process that is killed from outside leaves
 * none. Each line is "TAG CASE": the tag names database file and run, since a file of this name may be left from an earlier database. */
#ifndef RAD_FARM_CRASH_H
#define RAD_FARM_CRASH_H

#include "radcohort/base.h"

#define RAD_CRASH_SLOTS 65 /* 0: the inference thread (and the threads it uses); others: loaders */
#define RAD_CRASH_CASES 256
#define RAD_CRASH_TAG 80 /* bytes of a tag, with its end */

/* `database` decides the name of the note, `tag` begins its lines. Not under a sanitizer, which wants these signals for itself. Errors:
 * LIMIT (path or tag too long). */
rad_status rad_crash_install(const char *database, const char *tag, rad_error *err) RAD_MUST_CHECK;
void rad_crash_restore(void);
/* The calling thread, which owns `slot`, is at these cases (n = 0: at none). */
void rad_crash_at(int slot, const int64_t *case_id, int64_t n);

/* How often `case_id[i]` stands in the notes of `database` under `tag`, into ret_count[i]; lines of another tag, damaged ones and a
 * missing file count nothing. */
rad_status rad_crash_read(const char *database, const char *tag, const int64_t *case_id, int64_t n, int *ret_count,
                          rad_error *err) RAD_MUST_CHECK;
/* Removes the notes under `tag`: the run is finished. NULL: all, the database is new. */
void rad_crash_forget(const char *database, const char *tag);

#endif
