/* journal.h (private to src/farm): what a worker has computed and the coordinator has not yet committed, in two spool files beside the
 * database (DATABASE.spool). A result is written there before it is sent, so that a kill of any process, at any moment, costs no finished
 * case: the next session takes them from there. While one file fills, the other waits for its results to be committed and is then emptied.
 *
 * A result is thus in two places, on the worker's node and in the coordinator: it takes the loss of both within the coordinator's interval
 * between commits to have it computed again. That is why nothing is synced here: what a process has written outlives the process.
 */
#ifndef RAD_FARM_JOURNAL_H
#define RAD_FARM_JOURNAL_H

#include "spool.h"

#define RAD_JOURNAL_BYTES ((size_t)1 << 20) /* a file that is fuller is left when the other one is empty */

typedef struct rad_journal rad_journal;

/* `database`: decides the folder. Errors: IO, NOMEM. */
rad_status rad_journal_open(const char *database, const rad_spool_head *head, rad_journal **ret, rad_error *err) RAD_MUST_CHECK;
/* The folder. Caller frees; NULL when memory is out. */
char *rad_journal_dir(const char *database);
/* A RESULT message that is about to be sent. From any thread, in the order of sending. A journal that cannot be written (full disk) says so
 * once in the log and is given up: the results still go to the coordinator. `journal` may be NULL. */
void rad_journal_put(rad_journal *journal, const rad_buf *message);
/* The first `n` messages that were put are committed. */
void rad_journal_committed(rad_journal *journal, int64_t n);
/* Removes what is committed; files with results that are not stay for the next session. */
void rad_journal_close(rad_journal **journal);

#endif
