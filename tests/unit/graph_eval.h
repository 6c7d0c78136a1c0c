/* graph_eval.h: a built graph evaluated node by node with rad_node_eval (double accumulation), for tests of readers and passes. */
#ifndef RAD_GRAPH_EVAL_H
#define RAD_GRAPH_EVAL_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/model.h"

static inline size_t graph_bytes(const rad_value *v) {
    return (size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype);
}

/* `in` in graph order; *ret: one fresh array per graph output (free() each and the list). */
static inline rad_status graph_eval(const rad_graph *g, const void *const *in, void ***ret, rad_error *err) {
    rad_status st = RAD_OK;
    void **data = calloc((size_t)g->n_value + 1, sizeof *data), **result = calloc((size_t)g->n_output + 1, sizeof *result);
    int *left = calloc((size_t)g->n_value + 1, sizeof *left);
    for (int v = 0; v < g->n_value; v++)
        left[v] = g->value[v].n_use;
    for (int i = 0; i < g->n_node && st == RAD_OK; i++) {
        const rad_node *n = &g->node[i];
        rad_tensor *x = calloc((size_t)(n->n_input + n->n_output) + 2, sizeof *x), *y = x + n->n_input, residual = {0};
        for (int k = 0; k <= n->n_input; k++) {
            int v = k < n->n_input ? n->input[k] : n->residual;
            if (v < 0)
                continue;
            rad_tensor t = {.dtype = g->value[v].dtype, .shape = g->value[v].shape};
            const void *p = g->value[v].data ? g->value[v].data : data[v];
            for (int j = 0; j < g->n_input; j++)
                if (g->input[j] == v)
                    p = in[j];
            memcpy(&t.data, &p, sizeof p);
            *(k < n->n_input ? &x[k] : &residual) = t;
        }
        for (int k = 0; k < n->n_output; k++)
            if (n->output[k] >= 0) {
                const rad_value *v = &g->value[n->output[k]];
                data[n->output[k]] = malloc(graph_bytes(v) + 1);
                y[k] = (rad_tensor){.dtype = v->dtype, .shape = v->shape, .data = data[n->output[k]]};
            }
        st = rad_node_eval(n, x, n->residual >= 0 ? &residual : NULL, y, err);
        free(x);
        for (int k = 0; k <= n->n_input; k++) {
            int v = k < n->n_input ? n->input[k] : n->residual;
            if (v >= 0 && --left[v] == 0) {
                free(data[v]);
                data[v] = NULL;
            }
        }
    }
    for (int k = 0; k < g->n_output && st == RAD_OK; k++) {
        const rad_value *v = &g->value[g->output[k]];
        result[k] = malloc(graph_bytes(v) + 1);
        memcpy(result[k], data[g->output[k]], graph_bytes(v));
    }
    for (int v = 0; v < g->n_value; v++)
        free(data[v]);
    free(data);
    free(left);
    if (st != RAD_OK) {
        free(result);
        return st;
    }
    *ret = result;
    return RAD_OK;
}

static inline void graph_eval_release(const rad_graph *g, void **result) {
    for (int k = 0; result && k < g->n_output; k++)
        free(result[k]);
    free(result);
}

/* Largest |a - b| over the largest |b|. */
static inline double graph_difference(const float *a, const float *b, int64_t n) {
    double worst = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
        largest = fmax(largest, fabs((double)b[i]));
    }
    return largest > 0 ? worst / largest : worst;
}

#endif
