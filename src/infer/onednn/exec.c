/* exec.c: one thread's arena and memory objects for a plan, and running it. */
#include "exec.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct dn_exec {
    const struct dn_plan *plan;
    char *arena;
    dnnl_stream_t stream;
    dnnl_memory_t *memory; /* per tensor; NULL when no primitive touches it */
    dnnl_exec_arg_t *arg;  /* per plan->arg */
    rad_tensor *eval;      /* room for the inputs and outputs of one evaluated node */
    struct dn_team *team;  /* NULL: one thread */
};

static void *tensor_data(const struct dn_exec *x, int tensor) {
    return dn_tensor_data(x->plan, x->arena, tensor);
}

static rad_status make_memory(struct dn_exec *x, int tensor, rad_error *err) {
    if (x->memory[tensor] != NULL)
        return RAD_OK;
    if (dnnl_memory_create(&x->memory[tensor], &x->plan->tensor[tensor].md, x->plan->engine, tensor_data(x, tensor)) != dnnl_success) {
        x->memory[tensor] = NULL;
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference thread");
    }
    return RAD_OK;
}

rad_status dn_exec_create(const struct dn_plan *plan, struct dn_exec **ret, rad_error *err) {
    struct dn_exec *x = rad_calloc(1, sizeof *x);
    rad_status st = RAD_OK;
    if (x == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference thread");
    size_t n_eval = 1;
    for (int i = 0; i < plan->n_step; i++)
        if (plan->step[i].kind == DN_EVAL && (size_t)plan->step[i].n_arg > n_eval)
            n_eval = (size_t)plan->step[i].n_arg;
    x->plan = plan;
    x->arena = rad_aligned(plan->arena_size);
    x->memory = rad_calloc((size_t)plan->n_tensor, sizeof *x->memory);
    x->arg = rad_calloc((size_t)plan->n_arg, sizeof *x->arg);
    x->eval = rad_calloc(n_eval, sizeof *x->eval);
    if (x->arena == NULL || x->memory == NULL || x->arg == NULL || x->eval == NULL ||
        dnnl_stream_create(&x->stream, plan->engine, dnnl_stream_default_flags) != dnnl_success) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for an inference thread (%.1f MB of activations)", (double)plan->arena_size / 1e6);
        goto out;
    }
    for (int i = 0; i < plan->n_step; i++) {
        const struct dn_step *s = &plan->step[i];
        for (int k = s->first_arg; s->kind == DN_PRIM && k < s->first_arg + s->n_arg; k++) {
            RAD_TRY(make_memory(x, plan->arg[k].tensor, err));
            x->arg[k] = (dnnl_exec_arg_t){.arg = plan->arg[k].id, .memory = x->memory[plan->arg[k].tensor]};
        }
    }
    *ret = x;
out:
    if (st != RAD_OK)
        dn_exec_destroy(x);
    return st;
}

rad_status dn_exec_create_team(const struct dn_plan *plan, int threads, struct dn_exec **ret, double *ret_gain, bool *ret_busy,
                               rad_error *err) {
    struct dn_exec *x = NULL;
    rad_status st = dn_exec_create(plan, &x, err);
    if (st == RAD_OK)
        st = dn_team_create(plan, threads, x->arg, x->arena, x->stream, &x->team, ret_busy, err);
    if (st == RAD_OK && x->team != NULL) {
        *ret_gain = x->team->gain;
        *ret = x;
        return RAD_OK;
    }
    dn_exec_destroy(x);
    return st;
}

void dn_exec_destroy(struct dn_exec *x) {
    if (x == NULL)
        return;
    dn_team_destroy(x->team);
    for (int i = 0; x->memory != NULL && i < x->plan->n_tensor; i++)
        if (x->memory[i] != NULL)
            (void)dnnl_memory_destroy(x->memory[i]);
    if (x->stream != NULL)
        (void)dnnl_stream_destroy(x->stream);
    free(x->memory);
    free(x->arg);
    free(x->eval);
    free(x->arena);
    free(x);
}

static rad_tensor view_of(const struct dn_exec *x, int value, int tensor) {
    if (tensor < 0 || value < 0)
        return (rad_tensor){0};
    const rad_value *v = &x->plan->graph->value[value];
    return (rad_tensor){.dtype = v->dtype, .shape = v->shape, .data = tensor_data(x, tensor)};
}

/* Arguments lie as translate_eval() put them: inputs, residual, outputs. */
static rad_status run_eval(struct dn_exec *x, const struct dn_step *s, rad_error *err) {
    const rad_node *n = &x->plan->graph->node[s->node];
    const struct dn_arg *arg = &x->plan->arg[s->first_arg];
    rad_tensor *in = x->eval, *out = x->eval + n->n_input;
    for (int k = 0; k < n->n_input; k++)
        in[k] = view_of(x, n->input[k], arg[k].tensor);
    const rad_tensor residual = view_of(x, n->residual, arg[n->n_input].tensor);
    for (int k = 0; k < n->n_output; k++)
        out[k] = view_of(x, n->output[k], arg[n->n_input + 1 + k].tensor);
    return rad_node_eval(n, in, n->residual >= 0 ? &residual : NULL, out, err);
}

static void go_on_alone(const struct dn_team **team) {
    dn_seats_leave((*team)->seats);
    dn_team_dismiss();
    *team = NULL;
}

/* A team that lost too much of *team's time lets one thread go on: *team is NULL then. */
static dnnl_status_t run_prim(struct dn_exec *x, int step, const struct dn_team **team, double *lost) {
    const struct dn_step *s = &x->plan->step[step];
    if (*team == NULL || (*team)->step[step].prim.prim == NULL)
        return dnnl_primitive_execute(s->prim.prim, x->stream, s->n_arg, x->arg + s->first_arg);
    const struct dn_shared *shared = &(*team)->step[step];
    const double start = rad_clock_seconds();
    omp_set_num_threads((*team)->threads);
    const dnnl_status_t status = dnnl_primitive_execute(shared->prim.prim, x->stream, shared->n_arg, shared->arg);
    omp_set_num_threads(1);
    if (dn_team_late(*team, shared, rad_clock_seconds() - start, lost))
        go_on_alone(team);
    return status;
}

static void run_own(struct dn_exec *x, int step, const struct dn_team **team, double *lost) {
    const struct dn_step *s = &x->plan->step[step];
    struct dn_own_data d = dn_own_arguments(x->plan, x->arena, s);
    if (*team == NULL || !(*team)->step[step].own) {
        dn_own_run(&s->own, &d, 1);
        return;
    }
    const struct dn_shared *shared = &(*team)->step[step];
    const double start = rad_clock_seconds();
    d.scratch = (*team)->scratch;
    dn_own_run(&s->own, &d, (*team)->threads);
    if (dn_team_late(*team, shared, rad_clock_seconds() - start, lost))
        go_on_alone(team);
}

static rad_status run_steps(struct dn_exec *x, rad_error *err) {
    const struct dn_plan *p = x->plan;
    const struct dn_team *team = x->team;
    double lost = 0.0;
    for (int i = 0; i < p->n_step; i++) {
        const struct dn_step *s = &p->step[i];
        rad_status st = RAD_OK;
        if (s->kind == DN_PRIM) {
            if (run_prim(x, i, &team, &lost) != dnnl_success)
                st = rad_error_set(err, RAD_E_DEVICE, "node '%.160s': oneDNN failed in '%s'",
                                   s->node < p->graph->n_node ? p->graph->node[s->node].name : "output", s->prim.impl);
        } else if (s->kind == DN_OWN) {
            run_own(x, i, &team, &lost);
        } else if (s->kind == DN_EVAL) {
            st = run_eval(x, s, err);
        } else {
            const struct dn_tensor *t = &p->tensor[p->arg[s->first_arg].tensor];
            memset(tensor_data(x, p->arg[s->first_arg].tensor), 0, rad_md_size(&t->md));
        }
        if (st != RAD_OK)
            return st;
    }
    return dnnl_stream_wait(x->stream) == dnnl_success ? RAD_OK : rad_error_set(err, RAD_E_DEVICE, "oneDNN failed to finish its stream");
}

static size_t value_bytes(const rad_graph *g, int value) {
    return (size_t)rad_shape_count(&g->value[value].shape) * rad_dtype_size(g->value[value].dtype);
}

rad_status dn_exec_run(struct dn_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    const struct dn_plan *p = x->plan;
    for (int i = 0; i < p->graph->n_input; i++)
        if (p->root[p->tensor[p->input[i]].root].first >= 0)
            memcpy(tensor_data(x, p->input[i]), in[i].data, value_bytes(p->graph, p->graph->input[i]));
    /* The plan was made for one thread: no OpenMP team here, whoever calls, but for the steps that were made for one. */
    const int team = omp_get_max_threads();
    omp_set_num_threads(1);
    if (x->team != NULL)
        dn_seats_take(x->team->seats, x->team->threads);
    const rad_status st = run_steps(x, err);
    if (x->team != NULL)
        dn_seats_leave(x->team->seats);
    omp_set_num_threads(team);
    for (int i = 0; st == RAD_OK && i < p->graph->n_output; i++)
        memcpy(out[i].data, tensor_data(x, p->output[i]), value_bytes(p->graph, p->graph->output[i]));
    return st;
}
