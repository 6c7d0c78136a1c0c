/* session.h (private to src/farm): the outside of a running job: the status file that tells scripts how it goes and how it ended, and the
 * stop file by which it is asked to end.
 *
 * The status file is JSON, replaced as a whole, mode 0600: state (running, finished, stopped, failed), exit_code (null while it runs),
 * reason, database, run, host, pid, started, updated, cases, done, excluded, ranks in service, bad_hosts (where ranks failed or fell
 * silent). It exists because launchers lose exit codes: mpirun reports its own when it had to end a rank. No patient is named in it.
 */
#ifndef RAD_FARM_SESSION_H
#define RAD_FARM_SESSION_H

#include "radcohort/farm.h"

#define RAD_SESSION_SECONDS 5.0 /* between two versions of the status file */
#define RAD_STOP_SECONDS 1.0    /* between two looks for the stop file */
#define RAD_MAX_BAD_HOSTS 64

typedef struct rad_session rad_session;

/* `path`: of the status file; `database`: NULL when not yet known. A status file that cannot be written is told once in the log and does
 * not stop the run. Errors: NOMEM. */
rad_status rad_session_open(const char *path, const char *database, rad_session **ret, rad_error *err) RAD_MUST_CHECK;
/* DATABASE.status.json; caller frees. */
char *rad_session_default_path(const char *database);
void rad_session_set_database(rad_session *s, const char *database);
/* All of the following take NULL for `s` and then do nothing. */
void rad_session_bad_host(rad_session *s, const char *host);
/* Writes the file when it is time. */
void rad_session_progress(rad_session *s, int64_t run, int64_t cases, int64_t done, int64_t excluded, int ranks, double now);
/* True when DATABASE.stop is there; it is removed when the run ends. Looks when it is time. */
bool rad_session_stop_asked(rad_session *s, double now);
/* The last version of the file: state and reason follow from the exit code and `why` (may be ""). */
void rad_session_end(rad_session *s, const rad_farm_outcome *o, int exit_code, const char *why);
void rad_session_close(rad_session **s);

#endif
