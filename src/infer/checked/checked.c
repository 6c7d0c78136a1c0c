/* checked.c: `ref` behind the manners of a device, so that device logic is tested without a device.
 *
 * - Host tensors are copied into separate guarded buffers: a backend user that reads or writes past its tensors is caught here.
 * - Inputs are poisoned with NaN after use and outputs before it: a result that was not written shows.
 * - RAD_CHECKED_FAIL="exec_run:3" makes the third such call fail with RAD_E_DEVICE (also "plan_create:1", "exec_create:2", "open:1");
 *   calls are counted per open backend, over all its plans. A '+' at the end ("exec_run:3+") makes all later ones fail as well.
 */
#include "backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define GUARD ((size_t)64)
#define GUARD_BYTE 0xA5
#define POISON_BYTE 0xFF /* a NaN in every float format */

enum call { CALL_OPEN, CALL_PLAN_CREATE, CALL_EXEC_CREATE, CALL_EXEC_RUN, N_CALL };
static const char *const call_names[] = {"open", "plan_create", "exec_create", "exec_run"};

struct checked {
    void *ref;
    pthread_mutex_t lock;
    int64_t count[N_CALL];
    int fail_call; /* -1: none */
    int64_t fail_at;
    bool fail_after;
};
struct checked_plan {
    struct checked *owner;
    rad_plan *plan;
    const rad_graph *graph;
};
struct checked_exec {
    struct checked *owner;
    const rad_graph *graph;
    rad_exec *exec;
    rad_tensor *tensor; /* inputs, then outputs, in guarded memory */
};

/* ---------------------------------------------------------------- failing on demand */

static rad_status parse_fail(struct checked *c, rad_error *err) {
    const char *text = getenv("RAD_CHECKED_FAIL");
    c->fail_call = -1;
    if (text == NULL || text[0] == '\0')
        return RAD_OK;
    for (int i = 0; i < N_CALL; i++) {
        const size_t n = strlen(call_names[i]);
        if (strncmp(text, call_names[i], n) != 0 || text[n] != ':')
            continue;
        char number[24] = "";
        const size_t length = strlen(text + n + 1);
        if (length == 0 || length >= sizeof number)
            break;
        memcpy(number, text + n + 1, length);
        if (number[length - 1] == '+') {
            c->fail_after = true;
            number[length - 1] = '\0';
        }
        if (!rad_parse_int(number, &c->fail_at) || c->fail_at < 1)
            break;
        c->fail_call = i;
        return RAD_OK;
    }
    return rad_error_set(err, RAD_E_USAGE,
                         "RAD_CHECKED_FAIL='%s': expected open, plan_create, exec_create or exec_run, then ':' and a number", text);
}

static rad_status count(struct checked *c, enum call call, rad_error *err) {
    (void)pthread_mutex_lock(&c->lock);
    const int64_t n = ++c->count[call];
    (void)pthread_mutex_unlock(&c->lock);
    if (c->fail_call == (int)call && (n == c->fail_at || (c->fail_after && n > c->fail_at)))
        return rad_error_set(err, RAD_E_DEVICE, "checked: %s number %lld fails on demand", call_names[call], (long long)n);
    return RAD_OK;
}

/* ---------------------------------------------------------------- guarded memory */

static size_t tensor_bytes(const rad_tensor *t) {
    return (size_t)rad_shape_count(&t->shape) * rad_dtype_size(t->dtype);
}

static rad_status guarded_create(rad_tensor *t, rad_error *err) {
    unsigned char *p = rad_malloc(tensor_bytes(t) + 2 * GUARD);
    if (p == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a guarded tensor");
    memset(p, GUARD_BYTE, GUARD);
    memset(p + GUARD, POISON_BYTE, tensor_bytes(t));
    memset(p + GUARD + tensor_bytes(t), GUARD_BYTE, GUARD);
    t->data = p + GUARD;
    return RAD_OK;
}

static void guarded_free(rad_tensor *t) {
    if (t->data != NULL)
        free((unsigned char *)t->data - GUARD);
    t->data = NULL;
}

static bool guard_holds(const rad_tensor *t) {
    const unsigned char *p = t->data;
    for (size_t i = 0; i < GUARD; i++)
        if (p[i - GUARD] != GUARD_BYTE || p[tensor_bytes(t) + i] != GUARD_BYTE)
            return false;
    return true;
}

/* ---------------------------------------------------------------- the table */

static rad_status checked_open(void **ret_state, char *ret_version, size_t version_cap, rad_error *err) {
    char inner[96] = "";
    rad_status st = RAD_OK;
    struct checked *c = rad_calloc(1, sizeof *c);
    if (c == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    }
    RAD_TRY(parse_fail(c, err));
    RAD_TRY(count(c, CALL_OPEN, err));
    RAD_TRY(rad_backend_ref.open(&c->ref, inner, sizeof inner, err));
    (void)snprintf(ret_version, version_cap, "checked, %s", inner);
    *ret_state = c;
    return RAD_OK;
out:
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
    return st;
}

static void checked_close(void *state) {
    struct checked *c = state;
    rad_backend_ref.close(c->ref);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

static int64_t checked_plan_batch(void *state, rad_precision p) {
    return rad_backend_ref.plan_batch(((struct checked *)state)->ref, p);
}

static rad_status checked_precision(void *state, rad_precision p, rad_error *err) {
    return rad_backend_ref.precision(((struct checked *)state)->ref, p, err);
}

static bool checked_supports(void *state, const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    return rad_backend_ref.supports(((struct checked *)state)->ref, g, n, p, why, cap);
}

static rad_status checked_plan_create(void *state, const rad_graph *g, rad_precision p, rad_plan **ret, rad_error *err) {
    struct checked *c = state;
    rad_status st = count(c, CALL_PLAN_CREATE, err);
    if (st != RAD_OK)
        return st;
    struct checked_plan *plan = rad_calloc(1, sizeof *plan);
    if (plan == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    st = rad_backend_ref.plan_create(c->ref, g, p, &plan->plan, err);
    if (st != RAD_OK) {
        free(plan);
        return st;
    }
    plan->owner = c;
    plan->graph = g;
    *ret = (rad_plan *)plan;
    return RAD_OK;
}

static void checked_plan_destroy(rad_plan *plan) {
    struct checked_plan *p = (struct checked_plan *)plan;
    rad_backend_ref.plan_destroy(p->plan);
    free(p);
}

static size_t checked_plan_describe(const rad_plan *plan, char *buf, size_t cap) {
    return rad_backend_ref.plan_describe(((const struct checked_plan *)plan)->plan, buf, cap);
}

static void checked_exec_destroy(rad_exec *exec) {
    struct checked_exec *x = (struct checked_exec *)exec;
    if (x->exec != NULL)
        rad_backend_ref.exec_destroy(x->exec);
    for (int i = 0; x->tensor != NULL && i < x->graph->n_input + x->graph->n_output; i++)
        guarded_free(&x->tensor[i]);
    free(x->tensor);
    free(x);
}

static rad_status checked_exec_create(rad_plan *plan, rad_exec **ret, rad_error *err) {
    struct checked_plan *p = (struct checked_plan *)plan;
    const rad_graph *g = p->graph;
    rad_status st = count(p->owner, CALL_EXEC_CREATE, err);
    if (st != RAD_OK)
        return st;
    struct checked_exec *x = rad_calloc(1, sizeof *x);
    if (x == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    x->owner = p->owner;
    x->graph = g;
    x->tensor = rad_calloc((size_t)(g->n_input + g->n_output), sizeof *x->tensor);
    if (x->tensor == NULL) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory");
        goto out;
    }
    for (int i = 0; i < g->n_input + g->n_output; i++) {
        const rad_value *v = &g->value[i < g->n_input ? g->input[i] : g->output[i - g->n_input]];
        x->tensor[i] = (rad_tensor){.dtype = v->dtype, .shape = v->shape};
        RAD_TRY(guarded_create(&x->tensor[i], err));
    }
    RAD_TRY(rad_backend_ref.exec_create(p->plan, &x->exec, err));
    *ret = (rad_exec *)x;
    return RAD_OK;
out:
    checked_exec_destroy((rad_exec *)x);
    return st;
}

static rad_status checked_exec_run(rad_exec *exec, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    struct checked_exec *x = (struct checked_exec *)exec;
    const rad_graph *g = x->graph;
    rad_tensor *inside = x->tensor, *outside = x->tensor + g->n_input;
    rad_status st = count(x->owner, CALL_EXEC_RUN, err);
    if (st != RAD_OK)
        return st;
    for (int i = 0; i < g->n_input; i++)
        memcpy(inside[i].data, in[i].data, tensor_bytes(&inside[i]));
    for (int i = 0; i < g->n_output; i++)
        memset(outside[i].data, POISON_BYTE, tensor_bytes(&outside[i]));
    st = rad_backend_ref.exec_run(x->exec, inside, outside, err);
    for (int i = 0; i < g->n_input; i++) {
        if (st == RAD_OK && memcmp(inside[i].data, in[i].data, tensor_bytes(&inside[i])) != 0)
            st = rad_error_set(err, RAD_E_INTERNAL, "checked: the run wrote to its input '%s'", g->value[g->input[i]].name);
        memset(inside[i].data, POISON_BYTE, tensor_bytes(&inside[i]));
    }
    for (int i = 0; st == RAD_OK && i < g->n_input + g->n_output; i++)
        if (!guard_holds(&x->tensor[i]))
            st = rad_error_set(err, RAD_E_INTERNAL, "checked: memory around tensor %d of the run was overwritten", i);
    for (int i = 0; st == RAD_OK && i < g->n_output; i++)
        memcpy(out[i].data, outside[i].data, tensor_bytes(&outside[i]));
    return st;
}

const rad_backend_ops rad_backend_checked = {
    .name = "checked",
    .open = checked_open,
    .close = checked_close,
    .plan_batch = checked_plan_batch,
    .precision = checked_precision,
    .supports = checked_supports,
    .plan_create = checked_plan_create,
    .plan_destroy = checked_plan_destroy,
    .plan_describe = checked_plan_describe,
    .exec_create = checked_exec_create,
    .exec_run = checked_exec_run,
    .exec_destroy = checked_exec_destroy,
};
