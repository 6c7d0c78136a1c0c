/* host.c: the kernels and whole plans on the CPU, one element after the other, by the same inline functions as on the device. The plan
 * builder uses it for constants; tests use it to check plans and index arithmetic on machines without a GPU. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static void run_rows(const struct k_args *a, int64_t rows) {
    float share[K_LANES];
    for (int64_t row = 0; row < rows; row++) {
        float first = 0.0f, second;
        for (int pass = 0; pass < 2; pass++) {
            for (int lane = 0; lane < K_LANES; lane++)
                share[lane] = a->kind == K_SOFTMAX ? k_softmax_lane(a, a->v[1].type, row, lane, pass, first)
                                                   : k_norm_lane(a, a->v[1].type, row, lane, pass, first);
            second = k_lane_total(share, a->kind == K_SOFTMAX && pass == 0 ? K_SUM_MAX : K_SUM_PLAIN);
            if (pass == 0)
                first = a->kind == K_SOFTMAX ? second : second / (float)a->length;
        }
        for (int lane = 0; lane < K_LANES; lane++) {
            if (a->kind == K_SOFTMAX)
                k_softmax_write(a, a->v[1].type, row, lane, first, second);
            else
                k_norm_write(a, a->v[1].type, row, lane, first, 1.0f / sqrtf(second / (float)a->length + a->epsilon));
        }
    }
}

void k_run_host(const struct k_args *a) {
    const int type = a->v[1].type;
    float share[K_LANES];
    switch (a->kind) {
    case K_MAP:
        for (int64_t i = 0; i < (a->wide ? a->count / K_VEC : a->count); i++) {
            if (a->wide)
                k_map_eight(a, type, i);
            else
                k_map_one(a, type, i);
        }
        break;
    case K_POOL:
        for (int64_t i = 0; i < a->count / K_VEC; i++)
            k_pool_eight(a, type, i);
        break;
    case K_RESIZE:
        for (int64_t i = 0; i < a->count / K_VEC; i++)
            k_resize_eight(a, type, i);
        break;
    case K_REDUCE:
        for (int64_t i = 0; i < a->count; i++) {
            for (int lane = 0; lane < a->lanes; lane++)
                share[lane] = k_reduce_lane(a, type, i, lane);
            k_reduce_finish(a, i, share, 1);
        }
        break;
    case K_MATMUL:
        for (int64_t i = 0; i < a->count; i++)
            k_matmul_one(a, type, i);
        break;
    case K_CONV:
        for (int64_t i = 0; i < a->count; i++)
            k_conv_one(a, type, i);
        break;
    case K_SOFTMAX:
        run_rows(a, a->outer * a->inner);
        break;
    case K_NORM:
        run_rows(a, a->outer);
        break;
    default:
        break;
    }
}

/* cuDNN reads the padding too: what is not zero there, times a weight of zero, may still be NaN. */
static bool padding_is_zero(const struct k_args *a) {
    const struct k_view *x = &a->v[1];
    for (int64_t n = 0; n < a->dim[0]; n++)
        for (int64_t d = 0; d < a->in[0]; d++)
            for (int64_t h = 0; h < a->in[1]; h++)
                for (int64_t w = 0; w < a->in[2]; w++)
                    for (int64_t c = a->group_in; c < a->group_in_stored; c++)
                        if (k_load(x->data, x->type,
                                   x->offset + n * x->stride[0] + d * x->stride[1] + h * x->stride[2] + w * x->stride[3] + c) != 0.0f)
                            return false;
    return true;
}

static rad_status run_node(const struct g_plan *p, const struct g_host *h, char *arena, rad_error *err) {
    void **data = rad_calloc((size_t)h->n_operand, sizeof *data);
    if (data == NULL)
        return g_nomem(err);
    for (int k = 0; k < h->n_operand; k++) {
        const struct g_operand *o = &h->operand[k];
        if (o->used)
            data[k] = (p->root[o->root].is_constant ? (char *)p->root[o->root].fixed : arena + p->root[o->root].offset) + o->offset;
    }
    const rad_status st = g_host_run(h, data, err);
    free(data);
    return st;
}

rad_status g_plan_run_host(const struct g_plan *p, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    char *arena = rad_aligned(p->arena_size + G_ALIGN);
    if (arena == NULL)
        return g_nomem(err);
    memset(arena, 0xff, p->arena_size); /* NaN: memory that is read before it is written shows */
    for (int k = 0; k < p->graph->n_input; k++) {
        const struct g_root *r = &p->root[p->tensor[p->input[k]].root];
        if (r->first != INT32_MAX)
            memcpy(arena + r->offset, in[k].data, r->size);
    }
    for (int i = 0; i < p->n_step; i++) {
        const struct g_step *s = &p->step[i];
        struct k_args a = s->args;
        if (s->kind == G_HOST) {
            const rad_status st = run_node(p, s->host, arena, err);
            if (st != RAD_OK) {
                free(arena);
                return st;
            }
            continue;
        }
        for (int k = 0; k < K_VIEWS; k++)
            if (s->root[k] >= 0)
                a.v[k].data = p->root[s->root[k]].is_constant ? p->root[s->root[k]].fixed : arena + p->root[s->root[k]].offset;
        if (s->kind == G_CONV && s->conv.g == 1 && !padding_is_zero(&a)) {
            free(arena);
            return rad_error_set(err, RAD_E_INTERNAL, "step %d: the padding of its input's channels is not zero", i);
        }
        k_run_host(&a);
    }
    for (int k = 0; k < p->graph->n_output; k++) {
        const struct g_root *r = &p->root[p->tensor[p->output[k]].root];
        memcpy(out[k].data, r->is_constant ? (const char *)r->fixed : arena + r->offset,
               (size_t)rad_shape_count(&out[k].shape) * rad_dtype_size(out[k].dtype));
    }
    free(arena);
    return RAD_OK;
}
