/* onednn.c: the backend's table. */
#include "exec.h"

#include <omp.h>
#include <stdlib.h>

/* Part of every content key: raise it when a change in this folder moves a bit of any result. */
#define RAD_ONEDNN_REVISION 3

struct state {
    dnnl_engine_t engine;
};

static const char *isa_name(dnnl_cpu_isa_t isa) {
    switch (isa) {
    case dnnl_cpu_isa_sse41:
        return "SSE4.1";
    case dnnl_cpu_isa_avx:
        return "AVX";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx2_vnni:
        return "AVX2 VNNI";
    case dnnl_cpu_isa_avx512_core:
        return "AVX-512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX-512 VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX-512 BF16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AVX-512 BF16 AMX";
    default:
        return "generic x86-64";
    }
}

static bool has_bf16(void) {
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), bf16 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return (isa & bf16) == bf16;
}

static rad_status backend_open(void **ret_state, char *ret_version, size_t version_cap, rad_error *err) {
    struct state *s = rad_calloc(1, sizeof *s);
    if (s == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory");
    if (dnnl_engine_create(&s->engine, dnnl_cpu, 0) != dnnl_success) {
        free(s);
        return rad_error_set(err, RAD_E_DEVICE, "oneDNN finds no processor to run on; use 'ref'");
    }
    const dnnl_version_t *v = dnnl_version();
    (void)snprintf(ret_version, version_cap, "oneDNN %d.%d.%d, %s, revision %d", v->major, v->minor, v->patch,
                   isa_name(dnnl_get_effective_cpu_isa()), RAD_ONEDNN_REVISION);
    *ret_state = s;
    return RAD_OK;
}

static void backend_close(void *state) {
    struct state *s = state;
    (void)dnnl_engine_destroy(s->engine);
    free(s);
}

static int64_t plan_batch(void *state, rad_precision p) {
    (void)state;
    (void)p;
    return 1;
}

static rad_status precision(void *state, rad_precision p, rad_error *err) {
    (void)state;
    if (p == RAD_PREC_FP32 || (p == RAD_PREC_BF16 && has_bf16()))
        return RAD_OK;
    if (p == RAD_PREC_BF16)
        return rad_error_set(err, RAD_E_DEVICE, "precision 'bf16' needs a processor with AVX-512 BF16 or AMX, this one has %s; use 'fp32'",
                             isa_name(dnnl_get_effective_cpu_isa()));
    return rad_error_set(err, RAD_E_DEVICE, "precision '%s' is not to be had on processors; use 'fp32'%s", rad_precision_name(p),
                         has_bf16() ? " or 'bf16'" : "");
}

/* What oneDNN has no fast primitive for is evaluated by the operator table inside the same plan. */
static bool supports(void *state, const rad_graph *g, const rad_node *n, rad_precision p, char *why, size_t cap) {
    (void)state;
    (void)g;
    (void)p;
    if (n->op->eval != NULL)
        return true;
    (void)snprintf(why, cap, "no evaluation");
    return false;
}

static rad_status plan_create_by(void *state, const rad_graph *g, rad_precision p, int threads, rad_plan **ret, rad_error *err) {
    struct state *s = state;
    struct dn_plan *plan = NULL;
    /* Primitives are laid out for the team that is current when they are made. */
    const int team = omp_get_max_threads();
    omp_set_num_threads(1);
    const rad_status st = dn_plan_build(g, s->engine, p, threads, &plan, err);
    omp_set_num_threads(team);
    if (st == RAD_OK)
        *ret = (rad_plan *)plan;
    return st;
}

static rad_status plan_create(void *state, const rad_graph *g, rad_precision p, rad_plan **ret, rad_error *err) {
    return plan_create_by(state, g, p, 1, ret, err);
}

static void plan_destroy(rad_plan *plan) {
    dn_plan_free((struct dn_plan *)plan);
}

static size_t plan_describe(const rad_plan *plan, char *buf, size_t cap) {
    return dn_plan_text((const struct dn_plan *)plan, buf, cap);
}

static rad_status exec_create(rad_plan *plan, rad_exec **ret, rad_error *err) {
    struct dn_exec *x = NULL;
    const rad_status st = dn_exec_create((const struct dn_plan *)plan, &x, err);
    if (st == RAD_OK)
        *ret = (rad_exec *)x;
    return st;
}

static rad_status exec_create_team(rad_plan *plan, int threads, rad_exec **ret, double *ret_gain, bool *ret_busy, rad_error *err) {
    struct dn_exec *x = NULL;
    const int team = omp_get_max_threads();
    const rad_status st = dn_exec_create_team((const struct dn_plan *)plan, threads, &x, ret_gain, ret_busy, err);
    omp_set_num_threads(team);
    if (st == RAD_OK)
        *ret = (rad_exec *)x;
    return st;
}

static rad_status exec_run(rad_exec *x, const rad_tensor *in, rad_tensor *out, rad_error *err) {
    return dn_exec_run((struct dn_exec *)x, in, out, err);
}

static void exec_destroy(rad_exec *x) {
    dn_exec_destroy((struct dn_exec *)x);
}

const rad_backend_ops rad_backend_onednn = {
    .name = "onednn",
    .open = backend_open,
    .close = backend_close,
    .plan_batch = plan_batch,
    .precision = precision,
    .supports = supports,
    .plan_create = plan_create,
    .plan_create_by = plan_create_by,
    .plan_destroy = plan_destroy,
    .plan_describe = plan_describe,
    .exec_create = exec_create,
    .exec_create_team = exec_create_team,
    .exec_run = exec_run,
    .exec_destroy = exec_destroy,
};
