/* session.h (private to src/farm): the outside of a running job: the status file that tells scripts how it goes and how it ended, and the
 * stop file by which it is asked to end.
 *
 * The status file is JSON, replaced as a whole, mode 0600: state (running, finished, stopped, failed), exit_code (null while it runs),
 * reason, database, run, host, pid, started, updated, interval_s (at most so old is a running job's), cases, done, excluded, ranks in
 * service, cases_per_s, eta_s (null: not known), session (where its time went), limit (at the end: what kept it from being faster),
 * bad_hosts (where ranks failed or fell silent). It exists because launchers lose exit codes: mpirun reports its own when it had to end a
 * rank. No patient is named in it.
 */
#ifndef RAD_FARM_SESSION_H
#define RAD_FARM_SESSION_H

#include "progress.h"

#define RAD_SESSION_SECONDS 5.0 /* between two versions of the status file */
#define RAD_STOP_SECONDS 1.0    /* between two looks for the stop file */
#define RAD_MAX_BAD_HOSTS 64

typedef struct rad_session rad_session;

typedef struct rad_session_figures {
    char job[128];
    int64_t run, cases, done, excluded;
    int ranks;
    double seconds, rate, eta; /* eta NaN: not known */
    double unix_time;          /* now */
    rad_farm_outcome outcome;  /* of the session so far */
} rad_session_figures;

/* `path`: of the status file; `database`: NULL when not yet known. A status file that cannot be written is told once in the log and does
 * not stop the run. Errors: NOMEM. */
rad_status rad_session_open(const char *path, const char *database, rad_session **ret, rad_error *err) RAD_MUST_CHECK;
/* DATABASE.status.json; caller frees. */
char *rad_session_default_path(const char *database);
void rad_session_set_database(rad_session *s, const char *database);
/* All of the following take NULL for `s` and then do nothing. */
void rad_session_bad_host(rad_session *s, const char *host);
/* Writes the same figures there as well, in the text format of Prometheus, mode 0644 (the umask takes from it). `job`: its name. */
void rad_session_set_prometheus(rad_session *s, const char *path, const char *job);
/* Writes the file when it is time. */
void rad_session_progress(rad_session *s, int64_t run, const rad_progress_now *p, double now);
/* True when DATABASE.stop is there; it is removed when the run ends. Looks when it is time. */
bool rad_session_stop_asked(rad_session *s, double now);
/* The last version of the file: state and reason follow from the exit code and `why` (may be ""). */
void rad_session_end(rad_session *s, const rad_farm_outcome *o, int exit_code, const char *why);
void rad_session_close(rad_session **s);

#endif
