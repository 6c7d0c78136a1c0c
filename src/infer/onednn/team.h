/* team.h (private to onednn/): one sample computed by several threads, with the bits that one thread computes.
 *
 * The plan's own primitives, laid out for one thread, are the definition of a score. For a team each of them is laid out again, and the
 * two are run on the same made-up data: only a primitive that gives the same bits on thousands of elements is taken, all others keep to one
 * thread. (Within one implementation threads share out whole elements of the result, so what can differ is only the order in which
 * products are summed, which the library picks with the blocking for a team; an order that differs shows on random numbers at once.) */
#ifndef RAD_ONEDNN_TEAM_H
#define RAD_ONEDNN_TEAM_H

#include "plan.h"
#include "seats.h"

/* What a team runs in place of one step of the plan; prim.prim NULL and not `own` = the step itself, on one thread. */
struct dn_shared {
    bool own; /* a convolution of ours, which any number of threads computes with the same bits */
    rad_prim prim;
    dnnl_memory_t scratch, weights;
    void *own_weights;    /* a copy, where the team wants them in another layout; NULL = the plan's */
    dnnl_exec_arg_t *arg; /* as the step's, with the scratchpad and weights of this primitive */
    int n_arg;
    double alone; /* seconds that the step took on one thread when the two were compared */
};

struct dn_team {
    int threads;
    int n_step, n_shared;
    struct dn_shared *step;
    void *scratch; /* of the step that needs most */
    struct dn_seats *seats;
    double gain;     /* estimated: work of the plan over that of its longest thread */
    double may_lose; /* seconds that its steps may lose in one run; see dn_team_late */
};

/* The largest gain that a team of at most `threads` reaches. `arg` and `arena` are those of the exec in whose arena the team will work;
 * what the arena holds is lost. Call it on the thread that will lead the team: OpenMP keeps a team with its leader.
 * *ret stays NULL when no step gains, or, with *ret_busy, when the processors are so busy with other work that comparing would take too
 * long: try again later. Errors: NOMEM, DEVICE. */
rad_status dn_team_create(const struct dn_plan *plan, int threads, const dnnl_exec_arg_t *arg, char *arena, dnnl_stream_t stream,
                          struct dn_team **ret, bool *ret_busy, rad_error *err) RAD_MUST_CHECK;
void dn_team_destroy(struct dn_team *team);

/* Where another program runs on a processor of the team, its leader waits for a thread that is not running, in every step and for
 * milliseconds: OpenMP spins long before it yields, and often on the very processor that the other one needs. `*lost` adds up by how much
 * the shared steps of one run, `seconds` the one just done, were slower than on one thread. True when what they lost is too much of what
 * the team could still gain: go on with one thread, whose bits are the same. */
bool dn_team_late(const struct dn_team *team, const struct dn_shared *step, double seconds, double *lost);
/* Ends the threads that the leader's team keeps, which would spin for the next step; the next one starts new ones. */
void dn_team_dismiss(void);

#endif
