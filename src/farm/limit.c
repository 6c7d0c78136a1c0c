/* limit.c: which resource kept a session from being faster. A rank has one thread that infers and some that read and prepare, rank 0
 * writes: the share of its time that a resource was at work tells. When none was busy for half of the time, the session waited: for ranks
 * to start, for leases, for its last cases. */
#include "radcohort/farm.h"

rad_limit rad_farm_limit(const rad_farm_outcome *o, double ret_busy[RAD_N_LIMIT]) {
    const double all = o->seconds * (o->n_rank > 0 ? o->n_rank : 1), loaders = o->seconds * (o->n_loader > 0 ? o->n_loader : 1);
    const double loading = o->read_s + o->prepare_s;
    const double busy[RAD_N_LIMIT] = {[RAD_LIMIT_READ] = loaders > 0 ? o->read_s / loaders : 0,
                                      [RAD_LIMIT_PREPARE] = loaders > 0 ? o->prepare_s / loaders : 0,
                                      [RAD_LIMIT_INFER] = all > 0 ? o->infer_s / all : 0,
                                      [RAD_LIMIT_DATABASE] = o->seconds > 0 ? o->write_s / o->seconds : 0};
    double most = loaders > 0 ? loading / loaders : 0; /* the same threads do both */
    rad_limit limit = o->read_s >= o->prepare_s ? RAD_LIMIT_READ : RAD_LIMIT_PREPARE;
    for (int i = 0; i < RAD_N_LIMIT; i++)
        ret_busy[i] = busy[i] < 1 ? busy[i] : 1;
    if (busy[RAD_LIMIT_INFER] >= most) {
        most = busy[RAD_LIMIT_INFER];
        limit = RAD_LIMIT_INFER;
    }
    if (busy[RAD_LIMIT_DATABASE] > most) {
        most = busy[RAD_LIMIT_DATABASE];
        limit = RAD_LIMIT_DATABASE;
    }
    if (most >= 0.5)
        return limit;
    ret_busy[RAD_LIMIT_WAIT] = 1 - most;
    return RAD_LIMIT_WAIT;
}

const char *rad_limit_name(rad_limit l) {
    static const char *const NAME[] = {"reading", "preparing", "inference", "database", "waiting"};
    return NAME[l];
}
