/* team.c: primitives for several threads, taken only when their bits are those of one thread. */
#include "team.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Fewer elements than SHARED_ELEMENTS are not worth a team, and too few to tell two orders of summation apart; COMPARED_ELEMENTS are looked
 * at before a primitive is taken. */
enum { SHARED_ELEMENTS = 512, COMPARED_ELEMENTS = 8192 };

/* A run of a team goes on alone once its steps have lost this share of the time of one thread, about half of what two threads gain;
 * comparing is put off once it has lost BUSY_SECONDS, which on processors without other work it never does. */
#define MAY_LOSE 0.25
#define BUSY_SECONDS 0.1

static int64_t elements(const rad_md *md) {
    int64_t n = 1;
    for (int i = 0; i < md->ndims; i++)
        n *= md->dims[i];
    return n;
}

/* Multiply-adds, or elements touched: enough to say which of two teams finishes first. */
static double work_of(const struct dn_step *s) {
    if (s->kind == DN_OWN)
        return (double)(s->own.images * s->own.out[0] * s->own.out[1] * s->own.filters) *
               (double)(s->own.channels * s->own.kernel[0] * s->own.kernel[1]);
    if (s->kind != DN_PRIM)
        return 0.0;
    const double dst = (double)elements(&s->prim.dst);
    if (s->prim.weights.ndims == 0 || s->prim.src.ndims == 0 || s->prim.dst.ndims < 2)
        return 4.0 * dst;
    return dst * (double)elements(&s->prim.weights) / (double)s->prim.dst.dims[1];
}

/* ---------------------------------------------------------------- the same bits? */

/* Numbers from -1 to 1 with full mantissas, so that sums round at every step. */
static void fill(void *data, size_t size, dnnl_data_type_t type, uint32_t seed) {
    uint32_t state = seed * 2654435761u + 1;
    const size_t each = type == dnnl_bf16 ? 2 : 4;
    for (size_t i = 0; i < size / each; i++) {
        state = state * 1664525u + 1013904223u;
        const float f = (float)(int32_t)state * 0x1p-31f;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        const uint16_t half = (uint16_t)(bits >> 16);
        memcpy((char *)data + i * each, each == 2 ? (const void *)&half : (const void *)&bits, each);
    }
}

static bool in_arena(const struct dn_plan *p, const struct dn_arg *a) {
    return p->root[p->tensor[a->tensor].root].fixed == NULL;
}

/* Runs one form of step `s` on fresh data of this seed and returns its result's bytes and its time; NULL when the library refuses. */
static const void *run_on_data(const struct dn_plan *p, const struct dn_step *s, dnnl_primitive_t prim, const dnnl_exec_arg_t *arg,
                               int n_arg, dnnl_stream_t stream, uint32_t seed, double *ret_seconds) {
    void *dst = NULL;
    for (int pass = 0; pass < 2; pass++) /* sources last: a result made in place starts as its source */
        for (int k = 0; k < s->n_arg; k++) {
            const struct dn_arg *a = &p->arg[s->first_arg + k];
            void *data = NULL;
            if (a->id == DNNL_ARG_SCRATCHPAD || !in_arena(p, a) || (a->id == DNNL_ARG_DST) != (pass == 0))
                continue;
            if (dnnl_memory_get_data_handle(arg[k].memory, &data) != dnnl_success)
                return NULL;
            const rad_md *md = &p->tensor[a->tensor].md;
            fill(data, rad_md_size(md), md->data_type, seed + (uint32_t)k);
            if (a->id == DNNL_ARG_DST)
                dst = data;
        }
    const double start = rad_clock_seconds();
    if (dst == NULL || dnnl_primitive_execute(prim, stream, n_arg, arg) != dnnl_success || dnnl_stream_wait(stream) != dnnl_success)
        return NULL;
    *ret_seconds = rad_clock_seconds() - start;
    return dst;
}

/* Notes the time of the step on one thread in `shared`, and adds to *lost what the team needed beyond it. */
static bool same_bits(const struct dn_plan *p, const struct dn_step *s, struct dn_shared *shared, const dnnl_exec_arg_t *arg, int threads,
                      dnnl_stream_t stream, void *kept, double *lost) {
    const size_t size = rad_md_size(&s->prim.dst);
    const int64_t n = elements(&s->prim.dst);
    for (int64_t seen = 0, round = 1; seen < COMPARED_ELEMENTS; seen += n, round++) {
        omp_set_num_threads(1);
        double alone = 0.0, together = 0.0;
        const void *one = run_on_data(p, s, s->prim.prim, arg, s->n_arg, stream, (uint32_t)round * 977u, &alone);
        if (one == NULL)
            return false;
        memcpy(kept, one, size);
        omp_set_num_threads(threads);
        const void *many = run_on_data(p, s, shared->prim.prim, shared->arg, shared->n_arg, stream, (uint32_t)round * 977u, &together);
        if (many == NULL || memcmp(kept, many, size) != 0)
            return false;
        shared->alone = round == 1 || alone < shared->alone ? alone : shared->alone;
        *lost += together > alone ? together - alone : 0.0;
    }
    return true;
}

/* A convolution of ours has the same bits by its making; only its times are noted. */
static void time_own(const struct dn_plan *p, const struct dn_step *s, struct dn_shared *shared, char *arena, void *scratch, int threads,
                     double *lost) {
    struct dn_own_data d = dn_own_arguments(p, arena, s);
    const struct dn_tensor *src = &p->tensor[p->arg[s->first_arg].tensor];
    fill(dn_tensor_data(p, arena, p->arg[s->first_arg].tensor), rad_md_size(&src->md), src->md.data_type, 977u);
    const double start = rad_clock_seconds();
    dn_own_run(&s->own, &d, 1);
    const double middle = rad_clock_seconds();
    d.scratch = scratch;
    dn_own_run(&s->own, &d, threads);
    shared->alone = middle - start;
    const double together = rad_clock_seconds() - middle;
    *lost += together > shared->alone ? together - shared->alone : 0.0;
}

/* ---------------------------------------------------------------- making */

static void drop(struct dn_shared *s) {
    rad_prim_release(&s->prim);
    if (s->scratch != NULL)
        (void)dnnl_memory_destroy(s->scratch);
    if (s->weights != NULL)
        (void)dnnl_memory_destroy(s->weights);
    free(s->own_weights);
    free(s->arg);
    *s = (struct dn_shared){0};
}

void dn_team_destroy(struct dn_team *t) {
    if (t == NULL)
        return;
    for (int i = 0; t->step != NULL && i < t->n_step; i++)
        drop(&t->step[i]);
    free(t->step);
    free(t->scratch);
    free(t->seats);
    free(t);
}

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for a team of inference threads");
}

static bool same_layouts(const rad_prim *a, const rad_prim *b) {
    return rad_md_equal(&a->src, &b->src) && rad_md_equal(&a->src1, &b->src1) && rad_md_equal(&a->dst, &b->dst);
}

/* The weights of `from` brought to the layout of ret->prim; ret->weights stays NULL when the library cannot. */
static rad_status copy_weights(const struct dn_plan *p, const rad_prim *from, dnnl_memory_t weights, dnnl_stream_t stream,
                               struct dn_shared *ret, rad_error *err) {
    const size_t size = rad_md_size(&ret->prim.weights);
    rad_prim reorder = {0};
    dnnl_memory_t to = NULL, buffer = NULL;
    void *scratch = NULL;
    rad_md md;
    rad_status st = RAD_OK;
    if (!rad_prim_reorder(p->engine, &from->weights, &ret->prim.weights, &reorder))
        return RAD_OK;
    const rad_shape bytes = {.rank = 1, .dim = {(int64_t)(reorder.scratch > 0 ? reorder.scratch : 1)}};
    scratch = rad_aligned(reorder.scratch);
    ret->own_weights = rad_aligned(size);
    if (scratch == NULL || ret->own_weights == NULL || !rad_md_layout(&md, &bytes, dnnl_u8, RAD_LAYOUT_PLAIN) ||
        dnnl_memory_create(&to, &ret->prim.weights, p->engine, ret->own_weights) != dnnl_success ||
        dnnl_memory_create(&buffer, &md, p->engine, scratch) != dnnl_success) {
        st = no_memory(err);
        goto out;
    }
    memset(ret->own_weights, 0, size); /* padding must be defined */
    const dnnl_exec_arg_t arg[] = {{DNNL_ARG_FROM, weights}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, buffer}};
    if (dnnl_primitive_execute(reorder.prim, stream, 3, arg) == dnnl_success && dnnl_stream_wait(stream) == dnnl_success) {
        ret->weights = to;
        to = NULL;
    }
out:
    if (to != NULL)
        (void)dnnl_memory_destroy(to);
    if (buffer != NULL)
        (void)dnnl_memory_destroy(buffer);
    free(scratch);
    rad_prim_release(&reorder);
    return st;
}

/* The step's arguments, its scratchpad exchanged for one in the team's buffer and its weights for those in the team's layout. *ret_ok stays
 * false when they cannot be brought to it. */
static rad_status make_arguments(const struct dn_plan *p, const struct dn_step *s, const dnnl_exec_arg_t *arg, void *scratch,
                                 dnnl_stream_t stream, struct dn_shared *ret, bool *ret_ok, rad_error *err) {
    ret->arg = rad_calloc((size_t)s->n_arg + 1, sizeof *ret->arg);
    if (ret->arg == NULL)
        return no_memory(err);
    for (int k = 0; k < s->n_arg; k++)
        if (arg[k].arg != DNNL_ARG_SCRATCHPAD)
            ret->arg[ret->n_arg++] = arg[k];
    for (int k = 0; k < ret->n_arg; k++) {
        if (ret->arg[k].arg != DNNL_ARG_WEIGHTS || rad_md_equal(&s->prim.weights, &ret->prim.weights))
            continue;
        const rad_status st = copy_weights(p, &s->prim, ret->arg[k].memory, stream, ret, err);
        if (st != RAD_OK || ret->weights == NULL)
            return st;
        ret->arg[k].memory = ret->weights;
    }
    *ret_ok = true;
    if (ret->prim.scratch == 0)
        return RAD_OK;
    const rad_shape bytes = {.rank = 1, .dim = {(int64_t)ret->prim.scratch}};
    rad_md md;
    if (!rad_md_layout(&md, &bytes, dnnl_u8, RAD_LAYOUT_PLAIN) ||
        dnnl_memory_create(&ret->scratch, &md, p->engine, scratch) != dnnl_success) {
        ret->scratch = NULL;
        return no_memory(err);
    }
    ret->arg[ret->n_arg++] = (dnnl_exec_arg_t){.arg = DNNL_ARG_SCRATCHPAD, .memory = ret->scratch};
    return RAD_OK;
}

/* All primitives that the library makes for this team and these layouts, not yet compared. */
static rad_status make_primitives(const struct dn_plan *p, struct dn_team *t, rad_error *err) {
    size_t scratch = 0;
    omp_set_num_threads(t->threads);
    for (int i = 0; i < p->n_step; i++) {
        const struct dn_step *s = &p->step[i];
        rad_prim *prim = &t->step[i].prim;
        size_t weights = 0, room = 0;
        if (s->kind == DN_OWN && s->own.out[0] * s->own.out[1] * s->own.filters >= SHARED_ELEMENTS &&
            dn_own_sizes(&s->own, t->threads, &weights, &room)) {
            t->step[i].own = true;
            scratch = room > scratch ? room : scratch;
        }
        if (s->kind != DN_PRIM || elements(&s->prim.dst) < SHARED_ELEMENTS ||
            (!rad_prim_replan(p->engine, &s->prim, false, prim) && !rad_prim_replan(p->engine, &s->prim, true, prim)))
            continue;
        if (!same_layouts(&s->prim, prim))
            rad_prim_release(prim);
        else if (prim->scratch > scratch)
            scratch = prim->scratch;
    }
    t->scratch = rad_aligned(scratch);
    return t->scratch != NULL ? RAD_OK : no_memory(err);
}

static rad_status make_team(const struct dn_plan *p, int threads, const dnnl_exec_arg_t *arg, char *arena, dnnl_stream_t stream,
                            struct dn_team **ret, bool *ret_busy, rad_error *err) {
    struct dn_team *t = rad_calloc(1, sizeof *t);
    size_t largest = 0;
    void *kept = NULL;
    double alone = 0.0, shared = 0.0, lost = 0.0;
    rad_status st = RAD_OK;
    if (t == NULL)
        return no_memory(err);
    t->threads = threads;
    t->n_step = p->n_step;
    t->step = rad_calloc((size_t)p->n_step, sizeof *t->step);
    t->seats = dn_seats_create();
    for (int i = 0; i < p->n_step; i++)
        if (p->step[i].kind == DN_PRIM && rad_md_size(&p->step[i].prim.dst) > largest)
            largest = rad_md_size(&p->step[i].prim.dst);
    kept = rad_aligned(largest);
    if (t->step == NULL || t->seats == NULL || kept == NULL) {
        st = no_memory(err);
        goto out;
    }
    RAD_TRY(make_primitives(p, t, err));
    for (int i = 0; i < p->n_step && lost < BUSY_SECONDS; i++) {
        const struct dn_step *s = &p->step[i];
        struct dn_shared *mine = &t->step[i];
        if (mine->prim.prim != NULL) {
            bool ok = false;
            RAD_TRY(make_arguments(p, s, arg + s->first_arg, t->scratch, stream, mine, &ok, err));
            if (!ok || !same_bits(p, s, mine, arg + s->first_arg, threads, stream, kept, &lost))
                drop(mine);
        }
        if (mine->own)
            time_own(p, s, mine, arena, t->scratch, threads, &lost);
        const bool taken = mine->own || mine->prim.prim != NULL;
        t->n_shared += taken;
        alone += taken ? 0.0 : work_of(s);
        shared += taken ? work_of(s) : 0.0;
        t->may_lose += taken ? MAY_LOSE * mine->alone : 0.0;
    }
    *ret_busy = lost >= BUSY_SECONDS;
    if (*ret_busy)
        goto out;
    t->gain = alone + shared > 0.0 ? (alone + shared) / (alone + shared / threads) : 1.0;
    *ret = t;
    t = NULL;
out:
    omp_set_num_threads(1);
    if (*ret_busy)
        dn_team_dismiss();
    free(kept);
    dn_team_destroy(t);
    return st;
}

rad_status dn_team_create(const struct dn_plan *plan, int threads, const dnnl_exec_arg_t *arg, char *arena, dnnl_stream_t stream,
                          struct dn_team **ret, bool *ret_busy, rad_error *err) {
    struct dn_team *best = NULL;
    *ret_busy = false;
    /* A smaller team shares more steps; one that is smaller than the gain so far cannot win. */
    for (int n = threads; n >= 2 && (best == NULL || best->gain < n); n = n > 2 ? (n + 1) / 2 : 1) {
        struct dn_team *t = NULL;
        rad_status st = make_team(plan, n, arg, arena, stream, &t, ret_busy, err);
        if (st != RAD_OK || *ret_busy) {
            dn_team_destroy(best);
            return st;
        }
        if (best == NULL || t->gain > best->gain) {
            dn_team_destroy(best);
            best = t;
        } else {
            dn_team_destroy(t);
        }
    }
    if (best != NULL && best->n_shared == 0) {
        dn_team_destroy(best);
        best = NULL;
    }
    *ret = best;
    return RAD_OK;
}

/* ---------------------------------------------------------------- on busy processors */

bool dn_team_late(const struct dn_team *team, const struct dn_shared *step, double seconds, double *lost) {
    *lost += seconds > step->alone ? seconds - step->alone : 0.0;
    return *lost > team->may_lose;
}

void dn_team_dismiss(void) {
    (void)omp_pause_resource_all(omp_pause_soft);
}
