/* Folds BatchNormalization (inference form, constant parameters) into the Conv, ConvTranspose, Gemm or MatMul before it. On whenever
 * folding is on and nothing else reads the value between the two. A batch norm before an activation (DenseNet) or at the head of a RepVGG
 * identity branch has no such producer and stays a node; the latter is taken up by pass_branch. */
#include "model_internal.h"

rad_status rad_pass_norm(rad_build *b, rad_error *err) {
    rad_status st = RAD_OK;
    rad_affine a = {0};
    for (int i = 0; i < b->g->n_node; i++) {
        rad_node *n = &b->g->node[i];
        bool ok, done = false;
        if (!rad_node_is(n, "BatchNormalization"))
            continue;
        rad_node *p = rad_build_sole_producer(b, n->input[0]);
        if (p && rad_build_affine_axis(b, p) == 1) {
            RAD_TRY(rad_build_read_norm(b, n, &a, &ok, err));
            if (ok)
                RAD_TRY(rad_build_fold_affine(b, p, n, &a, &done, err));
            rad_affine_release(&a);
        }
        b->stats.norms += done;
        b->stats.norms_kept += !done;
    }
out:
    rad_affine_release(&a);
    return st;
}
