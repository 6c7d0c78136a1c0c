/* agent.h (private to src/farm): the worker's side of the conversation: messages of the coordinator into the pipeline, results out. */
#ifndef RAD_FARM_AGENT_H
#define RAD_FARM_AGENT_H

#include "journal.h"
#include "transport.h"
#include "worker.h"

#define RAD_ALIVE_SECONDS 5.0 /* between two signs of life */

typedef struct rad_agent {
    rad_transport *t;
    rad_worker *w;        /* NULL: never came into service */
    rad_journal *journal; /* or NULL; the caller's */
    bool draining, faulted, quit;
    bool leave;        /* quit, and wait for nobody */
    double said_alive; /* when the last sign of life was sent */
} rad_agent;

/* Builds the worker and says hello to rank 0, or tells it why not (the agent is then there, out of service). Errors: COMM, NOMEM. */
rad_status rad_agent_start(rad_agent *a, rad_transport *t, const rad_worker_opts *o, rad_error *err) RAD_MUST_CHECK;
/* Instead of start: tells rank 0 why this rank cannot serve. */
rad_status rad_agent_refuse(rad_agent *a, rad_transport *t, rad_status why, const char *text, rad_error *err) RAD_MUST_CHECK;
/* One message of rank 0. */
rad_status rad_agent_handle(rad_agent *a, const rad_buf *message, rad_error *err) RAD_MUST_CHECK;
/* Sends what is finished, waiting at most `seconds` for the first; reports a fault once; on `stop` gives back what is not begun, once. */
rad_status rad_agent_pump(rad_agent *a, double seconds, bool stop, rad_error *err) RAD_MUST_CHECK;
void rad_agent_end(rad_agent *a, double patience);

#endif
