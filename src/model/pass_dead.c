/* Drops nodes whose results nobody reads. Always on: what folding and exporters leave behind must not be run or refused by a backend. */
#include "model_internal.h"

void rad_pass_dead(rad_build *b) {
    rad_graph *g = b->g;
    rad_build_recount(b);
    for (int i = g->n_node - 1; i >= 0; i--) { /* against the order of data, so that whole chains go in one sweep */
        rad_node *n = &g->node[i];
        bool used = !n->op;
        for (int k = 0; k < n->n_output && !used; k++)
            used = n->output[k] >= 0 && g->value[n->output[k]].n_use > 0;
        if (used)
            continue;
        rad_build_kill(b, n);
        b->stats.dead++;
    }
}
