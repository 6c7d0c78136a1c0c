/* sched: which case is leased to which rank, and what happens when a rank falls silent. Pure: no MPI, no clock (time is an argument), no
 * I/O.
 *
 * Order: largest declared cost first, then lowest index, so that the tail is short. A case goes back to the queue when its rank is lost or
 * its deadline passes; after RAD_MAX_ATTEMPTS leases that never came back it is quarantined. Results are idempotent: the second one for a
 * case is ignored. Single-threaded.
 *
 * Suspects (cases of which a lease was lost before, by whatever cause) go last, and the more often the more alone: lost once, a case is
 * held alone on its rank; lost twice, it is alone in the whole farm. So the next loss condemns the right case and not its neighbours, and a
 * case which takes ranks down cannot keep the others from being scored.
 */
#ifndef RADCOHORT_SCHED_H
#define RADCOHORT_SCHED_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_ATTEMPTS 2

typedef struct rad_sched rad_sched;
typedef enum rad_lease_state { RAD_LEASE_PENDING, RAD_LEASE_LEASED, RAD_LEASE_DONE, RAD_LEASE_QUARANTINED } rad_lease_state;

typedef struct rad_sched_case {
    int64_t id;   /* caller's identity of the case (database id) */
    double cost;  /* any unit; larger = earlier */
    int attempts; /* leases that never came back, from the database */
    int lost;     /* times it was lost although that may not have been its fault (the whole job died, say) */
} rad_sched_case;

typedef struct rad_sched_opts {
    double deadline_base_s, deadline_per_cost_s; /* deadline = lease time + base + per_cost * cost; base <= 0: never */
} rad_sched_opts;

/* Copies `item`. Cases that already used their attempts are quarantined at once (see rad_sched_take_quarantined). */
rad_status rad_sched_create(const rad_sched_case *item, int64_t n, int n_rank, const rad_sched_opts *opts, rad_sched **ret,
                            rad_error *err) RAD_MUST_CHECK;
void rad_sched_destroy(rad_sched **s);
/* Leases up to `max` cases to `rank` at time `now`; writes indices into ret_index, returns how many (0: nothing left or rank is out). */
int64_t rad_sched_lease(rad_sched *s, int rank, int64_t max, double now, int64_t *ret_index);
/* How many more cases to lease to `rank` now, 0: none. It may hold its window, or what it does in a second when that is more (each lease
 * costs a commit), at most RAD_SCHED_MAX_HOLD; guided: never more than half of the even share of what is left among the `serving` ranks, so
 * that the tail is short, but two; and in lots of at least half of what it may hold. */
#define RAD_SCHED_MAX_HOLD 256
int64_t rad_sched_want(const rad_sched *s, int rank, int64_t window, double results_per_s, int64_t serving);
/* A result (score or exclusion) for case `index` came; true when it is the first and must be stored. */
bool rad_sched_complete(rad_sched *s, int64_t index, int rank);
/* The worker gave the case back untouched (device failure, stop): pending again, the attempt does not count. */
void rad_sched_return(rad_sched *s, int64_t index, int rank);
/* The rank is lost or out of service: its leases become pending (attempt counted when `guilty`) or quarantined. Returns how many it
 * held. */
int64_t rad_sched_rank_lost(rad_sched *s, int rank, bool guilty);
/* The rank fell silent and nobody knows why: a case that it held alone counts an attempt, several only become suspects (they had one
 * loss in common with the guilty one, if there is one). Returns how many it held. */
int64_t rad_sched_rank_vanished(rad_sched *s, int rank);
/* Leases whose deadline has passed at `now` are handled as if their rank had dropped that case (attempt counted); returns how many. A rank
 * whose lease expired gets nothing more until it answers again (rad_sched_complete or rad_sched_return by that rank). */
int64_t rad_sched_expire(rad_sched *s, double now);
/* Indices newly quarantined since the last call, at most `max`. */
int64_t rad_sched_take_quarantined(rad_sched *s, int64_t max, int64_t *ret_index);
/* No more leases are given (stop request). */
void rad_sched_drain(rad_sched *s);

/* Indices leased to `rank` now, at most `max`; returns how many were written. */
int64_t rad_sched_held(const rad_sched *s, int rank, int64_t max, int64_t *ret_index);
/* How many `rank` holds, in constant time. */
int64_t rad_sched_load(const rad_sched *s, int rank);
/* True when `rank` can be given work (neither out nor silent), whether or not there is any. */
bool rad_sched_rank_usable(const rad_sched *s, int rank);

typedef struct rad_sched_counts {
    int64_t pending, leased, done, quarantined;
    double cost_done, cost_total;
} rad_sched_counts;
rad_sched_counts rad_sched_count(const rad_sched *s);
const rad_sched_case *rad_sched_get(const rad_sched *s, int64_t index);
rad_lease_state rad_sched_state(const rad_sched *s, int64_t index);
/* Leases of a case that never came back, those of the database included. */
int rad_sched_attempts(const rad_sched *s, int64_t index);

#ifdef __cplusplus
}
#endif
#endif
