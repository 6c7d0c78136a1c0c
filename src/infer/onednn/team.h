/* team.h (private to onednn/): one sample computed by several threads, with the bits that one thread computes.
 *
 * The plan's own primitives, laid out for one thread, are the definition of a score. For a team each of them is laid out again, and the
 * two are run on the same made-up data: only a primitive that gives the same bits on thousands of elements is taken, all others keep to one
 * thread. (Within one implementation threads share out whole elements of the result, so what can differ is only the order in which
 * products are summed, which the library picks with the blocking for a team; an order that differs shows on random numbers at once.) */
#ifndef RAD_ONEDNN_TEAM_H
#define RAD_ONEDNN_TEAM_H

#include "plan.h"

/* What a team runs in place of one step of the plan; prim.prim NULL = the step itself, on one thread. */
struct dn_shared {
    rad_prim prim;
    dnnl_memory_t scratch, weights;
    void *own_weights;    /* a copy, where the team wants them in another layout; NULL = the plan's */
    dnnl_exec_arg_t *arg; /* as the step's, with the scratchpad and weights of this primitive */
    int n_arg;
};

struct dn_team {
    int threads;
    int n_step, n_shared;
    struct dn_shared *step;
    void *scratch;
    double gain; /* estimated: work of the plan over that of its longest thread */
};

/* The largest gain that a team of at most `threads` reaches. `arg` and `memory` are those of the exec in whose arena the team will work;
 * what the arena holds is lost. Call it on the thread that will lead the team: OpenMP keeps a team with its leader.
 * *ret stays NULL when no step gains. Errors: NOMEM, DEVICE. */
rad_status dn_team_create(const struct dn_plan *plan, int threads, const dnnl_exec_arg_t *arg, dnnl_stream_t stream, struct dn_team **ret,
                          rad_error *err) RAD_MUST_CHECK;
void dn_team_destroy(struct dn_team *team);

#endif
