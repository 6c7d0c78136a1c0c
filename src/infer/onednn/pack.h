/* pack.h (private to onednn/): weights brought to the layouts that the library wants, by several threads while the plan is being made.
 *
 * Laying out a network is mostly memory: pages that are touched for the first time, and one pass over the weights. What is asked for here
 * is done by any thread at any time before dn_packer_finish returns; each item writes its own memory, so the bytes do not depend on it. */
#ifndef RAD_ONEDNN_PACK_H
#define RAD_ONEDNN_PACK_H

#include "own.h"

struct dn_packer;

/* `own`: the weights of a convolution of ours. Else `from` NULL: a copy of `size` bytes. Else the element values of `data` ([from],
 * anywhere in memory, at any alignment) in layout [to], padding zero; `size` is what may be read of `data`. */
struct dn_pack {
    const void *data;
    size_t size;
    const struct dn_own *own;
    const rad_md *from, *to;
    void *dst;        /* room for the weights of `own`, for rad_md_size(to), or for `size` bytes */
    const char *name; /* of the node, for errors */
};

/* `threads` of them at most, the caller's among them; more than one are started when there is something to do. `graph`, `engine` and all
 * names and data outlive the packer. Errors: NOMEM. */
rad_status dn_packer_create(const rad_graph *graph, dnnl_engine_t engine, int threads, struct dn_packer **ret,
                            rad_error *err) RAD_MUST_CHECK;
/* Errors: NOMEM. What fails in an item is told by dn_packer_wait. */
rad_status dn_packer_put(struct dn_packer *p, const struct dn_pack *item, rad_error *err) RAD_MUST_CHECK;
/* Helps until all that was put is done. Errors: of the earliest item that failed: NOMEM, DEVICE. */
rad_status dn_packer_wait(struct dn_packer *p, rad_error *err) RAD_MUST_CHECK;
/* Items that nobody has begun are left undone. NULL is allowed. */
void dn_packer_destroy(struct dn_packer **p);

#endif
