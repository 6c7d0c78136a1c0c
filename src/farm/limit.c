/* limit.c: which resource kept a session from being faster. A rank has one thread that infers and some that read, inflate, prepare and draw
 * maps, rank 0 writes: the share of its time that a resource was at work tells. When none was busy for half of the time, the session
 * waited: for ranks to start, for leases, for its last cases. */
#include "limit.h"

rad_limit rad_farm_limit(const rad_farm_outcome *o, double ret_busy[RAD_N_LIMIT]) {
    const double all = o->seconds * (o->n_rank > 0 ? o->n_rank : 1), loaders = o->seconds * (o->n_loader > 0 ? o->n_loader : 1);
    static const rad_limit LOADER[] = {RAD_LIMIT_READ, RAD_LIMIT_INFLATE, RAD_LIMIT_PREPARE, RAD_LIMIT_MAPS};
    const double busy[RAD_N_LIMIT] = {[RAD_LIMIT_READ] = loaders > 0 ? o->read_s / loaders : 0,
                                      [RAD_LIMIT_INFLATE] = loaders > 0 ? o->inflate_s / loaders : 0,
                                      [RAD_LIMIT_PREPARE] = loaders > 0 ? o->prepare_s / loaders : 0,
                                      [RAD_LIMIT_MAPS] = loaders > 0 ? o->map_s / loaders : 0,
                                      [RAD_LIMIT_INFER] = all > 0 ? o->infer_s / all : 0,
                                      [RAD_LIMIT_DATABASE] = o->seconds > 0 ? o->write_s / o->seconds : 0};
    double most = 0; /* the same threads do all four: together they can be the limit, and the largest names it */
    rad_limit limit = LOADER[0];
    for (size_t i = 0; i < sizeof LOADER / sizeof *LOADER; i++) {
        most += busy[LOADER[i]];
        limit = busy[LOADER[i]] > busy[limit] ? LOADER[i] : limit;
    }
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
    static const char *const NAME[] = {"reading", "inflating", "preparing", "inference", "maps", "database", "waiting"};
    return NAME[l];
}

void rad_farm_add_times(rad_farm_outcome *o, const rad_case_result *r) {
    o->read_s += r->read_s;
    o->inflate_s += r->inflate_s;
    o->prepare_s += r->prepare_s;
    o->wait_s += r->wait_s;
    o->infer_s += r->infer_s;
    o->map_s += r->finish_s;
    o->read_bytes += r->read_bytes;
}
