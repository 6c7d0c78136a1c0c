/* simulate: a run of many ranks as a discrete-event model around the real scheduler (sched.h): who gets which case when is decided by the
 * code that decides it on a cluster; inference, network and database are declared times. Pure. */
#ifndef RADCOHORT_SIMULATE_H
#define RADCOHORT_SIMULATE_H

#include "radcohort/sched.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RAD_MAX_SIM_CASES 100000000
#define RAD_MAX_SIM_RANKS 1000000

typedef struct rad_sim_opts {
    int n_rank;          /* that compute; the coordinator is one more */
    int64_t window;      /* cases that a rank wants to hold, at least; 1 to RAD_SCHED_MAX_HOLD */
    double latency_s;    /* of a message, one way */
    double result_s;     /* that the coordinator takes for a result, its share of the commits included */
    double lease_s;      /* ... for a lease */
    double lease_case_s; /* ... and for each case of it */
    double commit_s;     /* ... for the commit before all leases of one round are sent */
    double silence_s;    /* after which a dead rank is taken for lost */
    double fail_rate;    /* share of the ranks that would be dead at the end of an undisturbed run, at random times */
    uint64_t seed;       /* of these times */
} rad_sim_opts;

typedef struct rad_sim_result {
    double seconds;       /* until the last result was in */
    double work_s;        /* sum of all costs */
    double efficiency;    /* seconds of results that counted / (ranks * seconds): dead ranks and repeated work count as waste */
    double idle_s;        /* ranks waited for a lease, summed over ranks, the tail of the run not included */
    double coordinator_s; /* the coordinator was at work */
    int64_t n_done, n_left, n_quarantined, n_lost_rank, n_repeated, n_lease, n_message; /* n_repeated: cases leased again */
} rad_sim_result;

/* [n] costs in seconds, log-uniform between the smallest and `spread` times it, with this mean. */
void rad_sim_costs(double *ret, int64_t n, double mean, double spread, uint64_t seed);
/* cost: [n] seconds that a rank takes. n_left > 0: no rank survived. Errors: USAGE, NOMEM. */
rad_status rad_sim_run(const double *cost, int64_t n, const rad_sim_opts *o, rad_sim_result *ret, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
