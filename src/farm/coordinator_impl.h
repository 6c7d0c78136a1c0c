/* coordinator_impl.h (private to coordinator*.c): what rank 0 knows of the run and its ranks. */
#ifndef RAD_FARM_COORDINATOR_IMPL_H
#define RAD_FARM_COORDINATOR_IMPL_H

#include "coordinator.h"
#include "radcohort/sched.h"
#include "session.h"

#define HELD_PATIENCE 5.0 /* seconds that a stopping run waits for it */

enum rank_state {
    RANK_STARTING,
    RANK_SERVING,
    RANK_CLOSING, /* finishes what it has */
    RANK_OUT,
    RANK_LOST, /* fell silent: its work went to others, and nobody waits for it */
    RANK_GONE
};

struct rank {
    enum rank_state state;
    char *host, *device;
    int64_t window, n_result; /* cases it wants to hold; cases it gave results for */
    int64_t n_taken, n_told;  /* results that came; those among them that it knows to be committed */
    double since;             /* when it came into service */
    double heard;             /* when its last message came */
};

#define MAX_DRAFTS 256

struct draft { /* a lease that is written, but not sent */
    int rank;
    int64_t n, index[RAD_MAX_LEASE_CASES];
    rad_buf message;
};

struct rad_coordinator {
    const rad_farm_opts *opts;
    rad_plan *plan;
    rad_transport *t;
    rad_store *store;
    rad_sched *sched;
    rad_session *session;
    rad_pending_case *pending;
    int64_t n_pending, run;
    struct rank *rank;
    int n_rank;
    struct draft *draft; /* [MAX_DRAFTS], of one round */
    rad_progress progress;
    rad_farm_outcome *out;
    double start, last_flush, write_s;
    int64_t unflushed;
    char told[256]; /* threads and memory of the rank that was told of last */
    bool draining, told_held;
    rad_status last_fault; /* of a rank that left, for the case that none is left */
    char fault_text[RAD_ERROR_TEXT + 64];
};

/* coordinator.c */
rad_status rad_coordinator_flush(rad_coordinator *c, rad_error *err) RAD_MUST_CHECK;
void rad_coordinator_tell_held(rad_coordinator *c);
/* Cases that come back without blame. */
rad_status rad_coordinator_give_back(rad_coordinator *c, int rank, const int64_t *index, int64_t n, rad_error *err) RAD_MUST_CHECK;
/* One more case of this session that lacks a score. */
void rad_coordinator_count_reason(rad_coordinator *c, rad_status why);
rad_progress_now rad_coordinator_progress(const rad_coordinator *c, int serving);

/* coordinator_ranks.c */
/* Tells every rank how many of its results are committed, after a commit. */
rad_status rad_coordinator_acknowledge(rad_coordinator *c, rad_error *err) RAD_MUST_CHECK;

#endif
