/* coordinator.h (private to src/farm): rank 0: hands out leases, takes results, writes the database. Fed with messages and time by farm.c;
 * knows nothing of how messages travel beyond rad_transport_send. */
#ifndef RAD_FARM_COORDINATOR_H
#define RAD_FARM_COORDINATOR_H

#include "plan.h"
#include "progress.h"
#include "session.h"
#include "transport.h"

typedef struct rad_coordinator rad_coordinator;

/* Opens the database, begins (or takes up) the run, and takes in what journals and spools hold of it. `session` (or NULL) outlives it.
 * *ret_nothing: it was finished before, or has nothing pending. */
rad_status rad_coordinator_create(const rad_farm_opts *o, rad_plan *plan, rad_transport *t, int threads, rad_farm_outcome *outcome,
                                  rad_session *session, rad_coordinator **ret, bool *ret_nothing, rad_error *err) RAD_MUST_CHECK;
void rad_coordinator_destroy(rad_coordinator **c);

/* What the database holds already of the networks of the run, into *ret (empty). Errors: STORE, NOMEM. */
rad_status rad_coordinator_known(const rad_coordinator *c, rad_known *ret, rad_error *err) RAD_MUST_CHECK;

/* One message from a worker. Errors: run scope only. */
rad_status rad_coordinator_handle(rad_coordinator *c, int from, const rad_buf *message, rad_error *err) RAD_MUST_CHECK;
/* Leases, deadlines, commits, progress, requests to stop. *ret_over: all is done, or stopped. Errors: run scope. */
rad_status rad_coordinator_tick(rad_coordinator *c, bool stop, bool *ret_over, rad_error *err) RAD_MUST_CHECK;
/* Ends it: `st` is how the run went. Completes or stops the run in the database and fills the outcome's exit code. */
rad_status rad_coordinator_finish(rad_coordinator *c, rad_status st, rad_error *err) RAD_MUST_CHECK;
/* Sends all ranks that are there home; tells them whether somebody is lost, for whom nobody must wait. */
rad_status rad_coordinator_dismiss(rad_coordinator *c, rad_error *err) RAD_MUST_CHECK;
/* True when every other rank has said good-bye, or is lost. */
bool rad_coordinator_alone(const rad_coordinator *c);
bool rad_coordinator_has_lost(const rad_coordinator *c);

#endif
