/* build.c: tensors, forms of values, reorders, in-place rules: what the node translators stand on. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

rad_status dn_nomem(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference plan");
}

static const char *node_name(const struct dn_build *b) {
    return b->node >= 0 && b->node < b->graph->n_node ? b->graph->node[b->node].name : "output";
}

static rad_status broken(struct dn_build *b, const char *what, rad_error *err) {
    return rad_error_set(err, RAD_E_DEVICE, "node '%.160s': oneDNN cannot %s", node_name(b), what);
}

/* Room for one more element in a growing array. */
static bool grow(void *array, int n, int *cap, size_t size) {
    if (n < *cap)
        return true;
    const int more = *cap > 0 ? *cap * 2 : 64;
    void *old, *fresh;
    memcpy(&old, array, sizeof old);
    fresh = rad_realloc(old, (size_t)more, size);
    if (fresh == NULL)
        return false;
    memcpy(array, &fresh, sizeof fresh);
    *cap = more;
    return true;
}

static int add_root(struct dn_plan *p, size_t size) {
    if (!grow(&p->root, p->n_root, &p->cap_root, sizeof *p->root))
        return -1;
    p->root[p->n_root] = (struct dn_root){.size = size, .first = -1, .last = -1, .last_use = -1};
    return p->n_root++;
}

static int add_tensor(struct dn_plan *p, int root, size_t offset, const rad_md *md) {
    if (!grow(&p->tensor, p->n_tensor, &p->cap_tensor, sizeof *p->tensor))
        return -1;
    struct dn_tensor t = {.root = root, .offset = offset, .raw = md == NULL};
    if (md != NULL)
        t.md = *md;
    p->tensor[p->n_tensor] = t;
    return p->n_tensor++;
}

static void add_form(struct dn_build *b, int value, int tensor) {
    struct dn_value *v = &b->value[value];
    struct dn_root *r = &b->plan->root[b->plan->tensor[tensor].root];
    if (v->last_use > r->last_use)
        r->last_use = v->last_use;
    if (v->n_form < DN_MAX_FORMS)
        v->form[v->n_form++] = tensor;
}

/* ---------------------------------------------------------------- values */

int dn_in(const rad_node *n, int k) {
    return k < n->n_input ? n->input[k] : -1;
}

const rad_value *dn_value_of(const struct dn_build *b, int value) {
    return &b->graph->value[value];
}

bool dn_is_const(const struct dn_build *b, int value) {
    return value >= 0 && b->graph->value[value].data != NULL;
}

bool dn_is_float(const struct dn_build *b, int value) {
    return value >= 0 && b->graph->value[value].dtype == RAD_DT_F32 && rad_shape_count(&b->graph->value[value].shape) > 0;
}

bool dn_const_scalar(const struct dn_build *b, int value, float *ret) {
    if (!dn_is_float(b, value) || !dn_is_const(b, value) || rad_shape_count(&b->graph->value[value].shape) != 1)
        return false;
    memcpy(ret, b->graph->value[value].data, sizeof *ret);
    return true;
}

const rad_md *dn_tensor_md(const struct dn_build *b, int tensor) {
    return &b->plan->tensor[tensor].md;
}

bool dn_md(const struct dn_build *b, int value, rad_layout layout, rad_md *ret) {
    return rad_md_layout(ret, &b->graph->value[value].shape, b->type, layout);
}

static bool plain_f32(const struct dn_build *b, int value, rad_md *ret) {
    return rad_md_layout(ret, &b->graph->value[value].shape, dnnl_f32, RAD_LAYOUT_PLAIN);
}

/* A constant becomes a tensor on the model's own bytes; what the steps still read of them when the plan is whole is copied then. */
static rad_status make_constant(struct dn_build *b, int value, rad_error *err) {
    const rad_value *v = &b->graph->value[value];
    const size_t size = (size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype);
    rad_md md;
    const bool has_md = dn_is_float(b, value) && plain_f32(b, value, &md);
    const int root = add_root(b->plan, size);
    if (root >= 0)
        b->plan->root[root].fixed = v->data;
    const int t = root < 0 ? -1 : add_tensor(b->plan, root, 0, has_md ? &md : NULL);
    if (t < 0)
        return dn_nomem(err);
    add_form(b, value, t);
    return RAD_OK;
}

rad_status dn_native(struct dn_build *b, int value, int *ret_tensor, rad_error *err) {
    if (b->value[value].n_form == 0) {
        if (!dn_is_const(b, value))
            return rad_error_set(err, RAD_E_INTERNAL, "value '%.160s' is used before it is made", b->graph->value[value].name);
        rad_status st = make_constant(b, value, err);
        if (st != RAD_OK)
            return st;
    }
    *ret_tensor = b->value[value].form[0];
    return RAD_OK;
}

/* Reorders a constant into memory of the plan, now or by another thread before the plan is whole. */
static rad_status reorder_constant(struct dn_build *b, int from, const rad_md *want, int *ret_tensor, rad_error *err) {
    const struct dn_tensor src = b->plan->tensor[from];
    const struct dn_root origin = b->plan->root[src.root];
    const size_t size = rad_md_size(want);
    rad_status st = RAD_OK;
    if (origin.owned != NULL) { /* made of another constant: that must be there */
        st = dn_packer_wait(b->packer, err);
        if (st != RAD_OK)
            return st;
    }
    void *owned = rad_aligned(size);
    const int root = owned == NULL ? -1 : add_root(b->plan, size);
    if (root < 0) {
        free(owned);
        return dn_nomem(err);
    }
    b->plan->root[root].fixed = b->plan->root[root].owned = owned;
    b->plan->constant_size += size;
    const int t = add_tensor(b->plan, root, 0, want);
    if (t < 0)
        return dn_nomem(err);
    const struct dn_pack item = {.data = (const char *)origin.fixed + src.offset,
                                 .size = origin.size - src.offset,
                                 .from = &src.md,
                                 .to = want,
                                 .dst = owned,
                                 .name = node_name(b)};
    st = dn_packer_put(b->packer, &item, err);
    if (st == RAD_OK)
        *ret_tensor = t;
    return st;
}

static bool is_read(const struct dn_root *r) {
    return r->first >= 0 || r->last >= 0; /* by a step or as an output */
}

rad_status dn_keep_constants(struct dn_build *b, rad_error *err) {
    struct dn_plan *p = b->plan;
    for (int i = 0; i < p->n_root; i++) {
        struct dn_root *r = &p->root[i];
        if (r->fixed == NULL || r->owned != NULL || !is_read(r))
            continue;
        const struct dn_pack item = {.data = r->fixed, .size = r->size, .dst = r->owned = rad_aligned(r->size), .name = "constant"};
        if (r->owned == NULL)
            return dn_nomem(err);
        r->fixed = r->owned;
        p->constant_size += r->size;
        rad_status st = dn_packer_put(b->packer, &item, err);
        if (st != RAD_OK)
            return st;
    }
    rad_status st = dn_packer_wait(b->packer, err);
    for (int i = 0; i < p->n_root && st == RAD_OK; i++) {
        struct dn_root *r = &p->root[i];
        if (r->fixed == NULL || is_read(r))
            continue;
        p->constant_size -= r->owned != NULL ? r->size : 0;
        free(r->owned);
        r->owned = NULL;
        r->fixed = NULL;
    }
    return st;
}

/* `from` brought to `want`: itself, a view of it, or a fresh tensor filled by a reorder. */
static rad_status convert(struct dn_build *b, int from, const rad_md *want, int *ret_tensor, rad_error *err) {
    const struct dn_tensor t = b->plan->tensor[from];
    if (rad_md_equal(&t.md, want)) {
        *ret_tensor = from;
        return RAD_OK;
    }
    if (rad_md_same_bytes(&t.md, want)) {
        *ret_tensor = add_tensor(b->plan, t.root, t.offset, want);
        return *ret_tensor < 0 ? dn_nomem(err) : RAD_OK;
    }
    if (b->plan->root[t.root].fixed != NULL)
        return reorder_constant(b, from, want, ret_tensor, err);
    int to = -1;
    rad_status st = dn_make_loose(b, want, &to, err);
    if (st == RAD_OK)
        st = dn_copy(b, from, to, err);
    if (st == RAD_OK)
        *ret_tensor = to;
    return st;
}

rad_status dn_get(struct dn_build *b, int value, const rad_md *want, int *ret_tensor, rad_error *err) {
    int native = -1, t = -1;
    rad_status st = dn_native(b, value, &native, err);
    if (st != RAD_OK)
        return st;
    for (int k = 0; k < b->value[value].n_form; k++) {
        const int form = b->value[value].form[k];
        if (!b->plan->tensor[form].raw && rad_md_equal(&b->plan->tensor[form].md, want)) {
            *ret_tensor = form;
            return RAD_OK;
        }
    }
    if (b->plan->tensor[native].raw)
        return rad_error_set(err, RAD_E_INTERNAL, "value '%.160s' has no layout", b->graph->value[value].name);
    st = convert(b, native, want, &t, err);
    if (st != RAD_OK)
        return st;
    add_form(b, value, t);
    *ret_tensor = t;
    return RAD_OK;
}

rad_status dn_get_plain(struct dn_build *b, int value, int *ret_tensor, rad_error *err) {
    rad_status st = dn_native(b, value, ret_tensor, err);
    rad_md md;
    if (st != RAD_OK || b->plan->tensor[*ret_tensor].raw)
        return st;
    if (!plain_f32(b, value, &md))
        return broken(b, "describe a tensor", err);
    return dn_get(b, value, &md, ret_tensor, err);
}

rad_status dn_get_viewed(struct dn_build *b, int value, const rad_md *view, const rad_md *want, int *ret_tensor, rad_error *err) {
    int plain = -1;
    for (int k = 0; k < b->value[value].n_form; k++) {
        const int form = b->value[value].form[k];
        if (!b->plan->tensor[form].raw && rad_md_equal(&b->plan->tensor[form].md, want)) {
            *ret_tensor = form;
            return RAD_OK;
        }
    }
    rad_status st = dn_get_plain(b, value, &plain, err);
    if (st != RAD_OK)
        return st;
    const struct dn_tensor t = b->plan->tensor[plain];
    const int seen = add_tensor(b->plan, t.root, t.offset, view);
    if (seen < 0)
        return dn_nomem(err);
    st = convert(b, seen, want, ret_tensor, err);
    /* Other dims than the value's own: kept as a form only so that a second reader of a shared weight finds it. */
    if (st == RAD_OK)
        add_form(b, value, *ret_tensor);
    return st;
}

/* ---------------------------------------------------------------- making */

rad_status dn_make_loose(struct dn_build *b, const rad_md *md, int *ret_tensor, rad_error *err) {
    const int root = add_root(b->plan, rad_md_size(md));
    const int t = root < 0 ? -1 : add_tensor(b->plan, root, 0, md);
    if (t < 0)
        return dn_nomem(err);
    *ret_tensor = t;
    return RAD_OK;
}

rad_status dn_make_scratch(struct dn_build *b, size_t size, int *ret_tensor, rad_error *err) {
    const int root = add_root(b->plan, size);
    *ret_tensor = root < 0 ? -1 : add_tensor(b->plan, root, 0, NULL);
    return *ret_tensor < 0 ? dn_nomem(err) : RAD_OK;
}

rad_status dn_make_packed(struct dn_build *b, void *owned, size_t size, int *ret_tensor, rad_error *err) {
    rad_status st = dn_make_scratch(b, size, ret_tensor, err);
    if (st != RAD_OK) {
        free(owned);
        return st;
    }
    struct dn_root *r = &b->plan->root[b->plan->tensor[*ret_tensor].root];
    r->fixed = r->owned = owned;
    b->plan->constant_size += size;
    return RAD_OK;
}

rad_status dn_make(struct dn_build *b, int value, const rad_md *md, int *ret_tensor, rad_error *err) {
    struct dn_value *v = &b->value[value];
    rad_md slot;
    if (v->slot_root >= 0 && dn_md(b, value, RAD_LAYOUT_BLOCKED, &slot) && rad_md_equal(&slot, md)) {
        *ret_tensor = add_tensor(b->plan, v->slot_root, v->slot_offset, md);
        if (*ret_tensor < 0)
            return dn_nomem(err);
    } else {
        rad_status st = dn_make_loose(b, md, ret_tensor, err);
        if (st != RAD_OK)
            return st;
    }
    add_form(b, value, *ret_tensor);
    return RAD_OK;
}

static rad_status make_raw(struct dn_build *b, int value, int *ret_tensor, rad_error *err) {
    const rad_value *v = &b->graph->value[value];
    const int root = add_root(b->plan, (size_t)rad_shape_count(&v->shape) * rad_dtype_size(v->dtype));
    *ret_tensor = root < 0 ? -1 : add_tensor(b->plan, root, 0, NULL);
    if (*ret_tensor < 0)
        return dn_nomem(err);
    add_form(b, value, *ret_tensor);
    return RAD_OK;
}

rad_status dn_view(struct dn_build *b, int of, const rad_md *md, int *ret_tensor, rad_error *err) {
    const struct dn_tensor t = b->plan->tensor[of];
    *ret_tensor = add_tensor(b->plan, t.root, t.offset, md);
    return *ret_tensor < 0 ? dn_nomem(err) : RAD_OK;
}

int dn_add_buffer(struct dn_build *b, size_t size) {
    return add_root(b->plan, size);
}

rad_status dn_make_plain(struct dn_build *b, int value, int *ret_tensor, rad_error *err) {
    rad_md md;
    if (!dn_is_float(b, value))
        return make_raw(b, value, ret_tensor, err);
    if (!plain_f32(b, value, &md))
        return broken(b, "describe a tensor", err);
    return dn_make(b, value, &md, ret_tensor, err);
}

rad_status dn_alias(struct dn_build *b, int value, int of, size_t offset, const rad_md *md, int *ret_tensor, rad_error *err) {
    const struct dn_tensor t = b->plan->tensor[of];
    *ret_tensor = add_tensor(b->plan, t.root, t.offset + offset, md);
    if (*ret_tensor < 0)
        return dn_nomem(err);
    add_form(b, value, *ret_tensor);
    return RAD_OK;
}

bool dn_may_overwrite(const struct dn_build *b, int tensor) {
    const struct dn_tensor *t = &b->plan->tensor[tensor];
    const struct dn_root *r = &b->plan->root[t->root];
    return r->fixed == NULL && r->last_use <= b->node && t->offset == 0 && !t->raw && rad_md_size(&t->md) == r->size;
}

/* ---------------------------------------------------------------- steps */

static void touch(struct dn_plan *p, int tensor, int step) {
    struct dn_root *r = &p->root[p->tensor[tensor].root];
    if (r->first < 0)
        r->first = step;
    r->last = step;
}

static rad_status add_step(struct dn_build *b, const struct dn_step *s, const struct dn_arg *arg, int n_arg, rad_error *err) {
    struct dn_plan *p = b->plan;
    if (!grow(&p->step, p->n_step, &p->cap_step, sizeof *p->step))
        return dn_nomem(err);
    const int first = p->n_arg;
    for (int i = 0; i < n_arg; i++) {
        if (!grow(&p->arg, p->n_arg, &p->cap_arg, sizeof *p->arg)) {
            p->n_arg = first;
            return dn_nomem(err);
        }
        p->arg[p->n_arg++] = arg[i];
    }
    for (int i = 0; i < n_arg; i++)
        if (arg[i].tensor >= 0)
            touch(p, arg[i].tensor, p->n_step);
    p->step[p->n_step] = *s;
    p->step[p->n_step].node = b->node;
    p->step[p->n_step].first_arg = first;
    p->step[p->n_step].n_arg = n_arg;
    p->n_step++;
    return RAD_OK;
}

rad_status dn_step_prim(struct dn_build *b, rad_prim *prim, const struct dn_arg *arg, int n_arg, rad_error *err) {
    rad_status st = RAD_OK;
    struct dn_arg *all = rad_calloc((size_t)n_arg + 1, sizeof *all);
    if (all == NULL) {
        st = dn_nomem(err);
        goto out;
    }
    memcpy(all, arg, (size_t)n_arg * sizeof *arg);
    if (prim->scratch > 0) {
        const rad_shape bytes = {.rank = 1, .dim = {(int64_t)prim->scratch}};
        rad_md md;
        if (!rad_md_layout(&md, &bytes, dnnl_u8, RAD_LAYOUT_PLAIN)) {
            st = broken(b, "describe a scratchpad", err);
            goto out;
        }
        all[n_arg].id = DNNL_ARG_SCRATCHPAD;
        RAD_TRY(dn_make_loose(b, &md, &all[n_arg].tensor, err));
        n_arg++;
    }
    RAD_TRY(add_step(b, &(struct dn_step){.kind = DN_PRIM, .prim = *prim}, all, n_arg, err));
    *prim = (rad_prim){0}; /* the step owns it now */
out:
    free(all);
    rad_prim_release(prim);
    return st;
}

rad_status dn_step_own(struct dn_build *b, const struct dn_own *own, const struct dn_arg *arg, int n_arg, rad_error *err) {
    return add_step(b, &(struct dn_step){.kind = DN_OWN, .own = *own}, arg, n_arg, err);
}

rad_status dn_step_eval(struct dn_build *b, const struct dn_arg *arg, int n_arg, rad_error *err) {
    return add_step(b, &(struct dn_step){.kind = DN_EVAL}, arg, n_arg, err);
}

rad_status dn_step_zero(struct dn_build *b, int tensor, rad_error *err) {
    return add_step(b, &(struct dn_step){.kind = DN_ZERO}, &(struct dn_arg){.tensor = tensor}, 1, err);
}

rad_status dn_copy(struct dn_build *b, int from, int to, rad_error *err) {
    rad_prim prim = {0};
    if (!rad_prim_reorder(b->engine, dn_tensor_md(b, from), dn_tensor_md(b, to), &prim))
        return broken(b, "copy between two layouts", err);
    const struct dn_arg arg[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    rad_status st = dn_step_prim(b, &prim, arg, 2, err);
    if (st == RAD_OK)
        b->plan->step[b->plan->n_step - 1].is_reorder = true;
    return st;
}

bool dn_post_of(const rad_node *n, rad_post *ret) {
    *ret = (rad_post){.act = n->act != RAD_FUSE_NONE};
    switch (n->act) {
    case RAD_FUSE_NONE:
        return true;
    case RAD_FUSE_RELU:
        ret->alg = dnnl_eltwise_relu;
        return true;
    case RAD_FUSE_CLIP:
        ret->alg = dnnl_eltwise_clip;
        ret->alpha = n->act_alpha;
        ret->beta = n->act_beta;
        return true;
    case RAD_FUSE_LEAKY:
        ret->alg = dnnl_eltwise_relu;
        ret->alpha = n->act_alpha;
        return true;
    case RAD_FUSE_SIGMOID:
        ret->alg = dnnl_eltwise_logistic;
        return true;
    case RAD_FUSE_TANH:
        ret->alg = dnnl_eltwise_tanh;
        return true;
    case RAD_FUSE_SWISH:
        ret->alg = dnnl_eltwise_swish;
        ret->alpha = 1.0f;
        return true;
    case RAD_FUSE_HARDSWISH:
        ret->alg = dnnl_eltwise_hardswish;
        return true;
    }
    return false;
}
