/* plan.c: roots, tensors, forms of values, and steps. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

rad_status g_nomem(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for an inference plan");
}

rad_status g_refuse(const rad_node *n, rad_error *err, const char *fmt, ...) {
    char text[240];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)n;
    return rad_error_set(err, RAD_E_UNSUPPORTED, "%s", text);
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

static size_t type_size(int type) {
    return type == K_F32 ? 4 : 2;
}

/* ---------------------------------------------------------------- values */

bool g_is_float(const struct g_build *b, int value) {
    return value >= 0 && g_value(b, value)->dtype == RAD_DT_F32 && rad_shape_count(&g_value(b, value)->shape) > 0;
}

bool g_is_const(const struct g_build *b, int value) {
    return value >= 0 && g_value(b, value)->data != NULL;
}

bool g_scalar(const struct g_build *b, int value, float *ret) {
    if (!g_is_float(b, value) || !g_is_const(b, value) || rad_shape_count(&g_value(b, value)->shape) != 1)
        return false;
    memcpy(ret, g_value(b, value)->data, sizeof *ret);
    return true;
}

bool g_ints(const struct g_build *b, int value, int64_t *out, int cap, int *ret_n) {
    if (!g_is_const(b, value))
        return false;
    const rad_value *v = g_value(b, value);
    const int64_t n = rad_shape_count(&v->shape);
    if (n < 0 || n > cap || (v->dtype != RAD_DT_I64 && v->dtype != RAD_DT_I32))
        return false;
    for (int64_t i = 0; i < n; i++) {
        int32_t small;
        if (v->dtype == RAD_DT_I64) {
            memcpy(&out[i], (const char *)v->data + i * 8, 8);
        } else {
            memcpy(&small, (const char *)v->data + i * 4, 4);
            out[i] = small;
        }
    }
    *ret_n = (int)n;
    return true;
}

int g_type_for(const struct g_build *b, const rad_shape *s) {
    int64_t places = 1;
    for (int i = 2; i < s->rank; i++)
        places *= s->dim[i];
    return places > 1 ? b->plan->type : K_F32;
}

/* ---------------------------------------------------------------- tensors */

int g_add_root(struct g_plan *p, size_t size) {
    if (!grow(&p->root, p->n_root, &p->cap_root, sizeof *p->root))
        return -1;
    p->root[p->n_root] = (struct g_root){.size = size, .first = INT32_MAX, .last = -2};
    return p->n_root++;
}

rad_status g_view(struct g_build *b, const struct g_tensor *t, int *ret, rad_error *err) {
    struct g_plan *p = b->plan;
    const struct g_tensor copy = *t; /* `t` may lie in the array that grows */
    if (!grow(&p->tensor, p->n_tensor, &p->cap_tensor, sizeof *p->tensor))
        return g_nomem(err);
    p->tensor[p->n_tensor] = copy;
    *ret = p->n_tensor++;
    return RAD_OK;
}

rad_status g_give(struct g_build *b, int value, int tensor, rad_error *err) {
    struct g_value *v = &b->value[value];
    if (v->n_form == G_MAX_FORMS)
        return rad_error_set(err, RAD_E_INTERNAL, "value '%.160s' has too many forms", g_value(b, value)->name);
    v->form[v->n_form++] = tensor;
    return RAD_OK;
}

/* Axes from the outermost to the innermost. */
static void layout_order(enum g_layout layout, int rank, int order[RAD_MAX_RANK]) {
    for (int i = 0; i < rank; i++)
        order[i] = i;
    if (layout != G_LAST || rank < 2)
        return;
    for (int i = 1; i < rank - 1; i++)
        order[i] = i + 1;
    order[rank - 1] = 1;
}

static bool set_strides(struct g_tensor *t, const int order[RAD_MAX_RANK], bool pad, size_t *ret_count) {
    size_t at = 1;
    t->inner = t->shape.rank > 0 ? order[t->shape.rank - 1] : 0;
    t->stored = t->shape.rank > 0 ? t->shape.dim[t->inner] : 1;
    if (pad)
        t->stored = g_round8(t->stored);
    for (int i = t->shape.rank - 1; i >= 0; i--) {
        const int64_t n = i == t->shape.rank - 1 ? t->stored : t->shape.dim[order[i]];
        t->stride[order[i]] = (int64_t)at;
        if (!rad_mul_size(at, (size_t)n, &at))
            return false;
    }
    *ret_count = at;
    return at <= RAD_MAX_TENSOR_BYTES;
}

static rad_status make_ordered(struct g_build *b, const rad_shape *s, const int order[RAD_MAX_RANK], bool pad, int type, int *ret,
                               rad_error *err) {
    struct g_tensor t = {.type = type, .shape = *s};
    size_t count;
    if (!set_strides(&t, order, pad, &count))
        return rad_error_set(err, RAD_E_LIMIT, "a tensor of the plan is too large");
    t.root = g_add_root(b->plan, count * type_size(type));
    return t.root < 0 ? g_nomem(err) : g_view(b, &t, ret, err);
}

rad_status g_make(struct g_build *b, const rad_shape *s, enum g_layout layout, int type, int *ret, rad_error *err) {
    int order[RAD_MAX_RANK];
    layout_order(layout, s->rank, order);
    return make_ordered(b, s, order, layout != G_PLAIN, type, ret, err);
}

/* Axes by falling stride; axes of one element anywhere, so they keep their place. */
static void order_of(const struct g_tensor *t, int order[RAD_MAX_RANK]) {
    for (int i = 0; i < t->shape.rank; i++) {
        int at = i;
        order[i] = i;
        for (; at > 0 && t->stride[order[at - 1]] < t->stride[i] && t->shape.dim[i] != 1 && t->shape.dim[order[at - 1]] != 1; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

rad_status g_make_like(struct g_build *b, const rad_shape *s, int like, int type, int *ret, rad_error *err) {
    const struct g_tensor t = *g_at(b, like);
    int order[RAD_MAX_RANK];
    if (t.shape.rank != s->rank)
        return g_make(b, s, G_PLAIN, type, ret, err);
    if (s->rank >= 3 && g_lies(&t, G_LAST)) /* where all image axes are 1 the strides do not tell */
        layout_order(G_LAST, s->rank, order);
    else
        order_of(&t, order);
    return make_ordered(b, s, order, t.stored % 8 == 0 && t.stored > 1, type, ret, err);
}

bool g_lies(const struct g_tensor *t, enum g_layout layout) {
    struct g_tensor want = {.shape = t->shape};
    int order[RAD_MAX_RANK];
    size_t count;
    layout_order(layout, t->shape.rank, order);
    if (!set_strides(&want, order, layout != G_PLAIN, &count) || t->offset % 8 != 0)
        return false;
    for (int i = 0; i < t->shape.rank; i++)
        if (t->shape.dim[i] != 1 && t->stride[i] != want.stride[i])
            return false;
    if (t->shape.rank == 0 || want.stored == want.shape.dim[want.inner])
        return true;
    return t->inner == want.inner && t->stored == want.stored;
}

rad_status g_make_constant(struct g_build *b, const struct g_tensor *t, void *content, size_t size, int *ret, rad_error *err) {
    struct g_tensor view = *t;
    view.root = g_add_root(b->plan, size);
    if (view.root < 0) {
        free(content);
        return g_nomem(err);
    }
    b->plan->root[view.root].fixed = content;
    b->plan->root[view.root].is_constant = true;
    return g_view(b, &view, ret, err);
}

rad_status g_native(struct g_build *b, int value, int *ret, rad_error *err) {
    struct g_value *v = &b->value[value];
    if (v->n_form == 0) {
        const rad_value *gv = g_value(b, value);
        if (!g_is_const(b, value) || !g_is_float(b, value))
            return rad_error_set(err, RAD_E_INTERNAL, "value '%.160s' is used before it is made", gv->name);
        struct g_tensor t = {.type = K_F32, .shape = gv->shape};
        int order[RAD_MAX_RANK], made = -1;
        size_t count;
        layout_order(G_PLAIN, gv->shape.rank, order);
        if (!set_strides(&t, order, false, &count))
            return rad_error_set(err, RAD_E_LIMIT, "constant '%.160s' is too large", gv->name);
        void *content = b->dry ? NULL : rad_aligned(count * sizeof(float));
        if (content == NULL && !b->dry)
            return g_nomem(err);
        if (content != NULL)
            memcpy(content, gv->data, count * sizeof(float));
        rad_status st = g_make_constant(b, &t, content, count * sizeof(float), &made, err);
        if (st == RAD_OK)
            st = g_give(b, value, made, err);
        if (st != RAD_OK)
            return st;
    }
    *ret = v->form[0];
    return RAD_OK;
}

rad_status g_get(struct g_build *b, int value, enum g_layout layout, int type, int *ret, rad_error *err) {
    int native = -1, made = -1;
    rad_status st = g_native(b, value, &native, err);
    if (st != RAD_OK)
        return st;
    for (int k = 0; k < b->value[value].n_form; k++) {
        const struct g_tensor *t = g_at(b, b->value[value].form[k]);
        if (t->type == type && rad_shape_equal(&t->shape, &g_value(b, value)->shape) && g_lies(t, layout)) {
            *ret = b->value[value].form[k];
            return RAD_OK;
        }
    }
    const rad_shape s = g_at(b, native)->shape;
    st = g_make(b, &s, layout, type, &made, err);
    if (st == RAD_OK)
        st = g_step_map(b, &(struct g_map){.op = K_COPY}, made, (const int[3]){native, -1, -1}, err);
    if (st == RAD_OK)
        st = g_give(b, value, made, err);
    *ret = made;
    return st;
}

/* ---------------------------------------------------------------- steps */

struct k_view g_kernel_view(const struct g_tensor *t) {
    struct k_view v = {.offset = t->offset, .type = t->type};
    for (int i = 0; i < t->shape.rank; i++)
        v.stride[i] = t->stride[i];
    return v;
}

void g_touch(struct g_plan *p, int root, int step) {
    if (root < 0)
        return;
    struct g_root *r = &p->root[root];
    if (step < r->first)
        r->first = step;
    if (step > r->last)
        r->last = step;
}

static rad_status add_step(struct g_build *b, const struct g_step *s, rad_error *err) {
    struct g_plan *p = b->plan;
    if (!grow(&p->step, p->n_step, &p->cap_step, sizeof *p->step))
        return g_nomem(err);
    p->step[p->n_step] = *s;
    p->step[p->n_step].node = b->node;
    for (int k = 0; k < K_VIEWS; k++)
        g_touch(p, s->root[k], p->n_step);
    p->n_step++;
    return RAD_OK;
}

/* A step on constants alone is done now, and its result is a constant. */
static bool run_now(struct g_build *b, const struct k_args *args, const int root[K_VIEWS], rad_status *ret, rad_error *err) {
    struct g_plan *p = b->plan;
    for (int k = 1; k < K_VIEWS; k++)
        if (root[k] >= 0 && !p->root[root[k]].is_constant)
            return false;
    struct g_root *y = &p->root[root[0]];
    if (args->op == K_FILL || args->v[0].offset != 0 || (size_t)args->count * type_size(args->v[0].type) != y->size)
        return false; /* other steps may fill the rest */
    *ret = RAD_OK;
    y->is_constant = true;
    if (b->dry)
        return true;
    if (y->fixed == NULL) {
        y->fixed = rad_aligned(y->size);
        if (y->fixed == NULL) {
            *ret = g_nomem(err);
            return true;
        }
        memset(y->fixed, 0, y->size);
    }
    struct k_args a = *args;
    for (int k = 0; k < K_VIEWS; k++)
        a.v[k].data = root[k] >= 0 ? p->root[root[k]].fixed : NULL;
    k_run_host(&a);
    return true;
}

rad_status g_step_kernel(struct g_build *b, const struct k_args *args, const int root[K_VIEWS], rad_error *err) {
    struct g_step s = {.kind = G_KERNEL, .args = *args};
    rad_status st = RAD_OK;
    if (args->kind == K_MAP && run_now(b, args, root, &st, err))
        return st;
    memcpy(s.root, root, sizeof s.root);
    return add_step(b, &s, err);
}

rad_status g_step_conv(struct g_build *b, const struct k_args *args, const cu_conv *conv, const int root[K_VIEWS], rad_error *err) {
    struct g_step s = {.kind = G_CONV, .args = *args, .conv = *conv};
    memcpy(s.root, root, sizeof s.root);
    return add_step(b, &s, err);
}

rad_status g_step_host(struct g_build *b, struct g_host *h, rad_error *err) {
    const struct g_step s = {.kind = G_HOST, .host = h, .root = {-1, -1, -1, -1, -1}};
    const rad_status st = add_step(b, &s, err);
    for (int k = 0; st == RAD_OK && k < h->n_operand; k++)
        if (h->operand[k].used)
            g_touch(b->plan, h->operand[k].root, b->plan->n_step - 1);
    return st;
}

/* Can eight neighbours along the last kernel axis be one access? */
static bool is_wide(const struct k_args *a, const struct k_view *v) {
    if (v->stride[a->rank - 1] != 1 || v->offset % K_VEC != 0)
        return false;
    for (int i = 0; i < a->rank - 1; i++)
        if (a->dim[i] > 1 && v->stride[i] % K_VEC != 0)
            return false;
    return true;
}

/* Neighbouring axes that every view walks as one. */
static void collapse(struct k_args *a, int n_view) {
    int kept = 0;
    for (int i = 1; i < a->rank; i++) {
        bool joins = i < a->rank - 1 || a->valid == a->dim[i];
        for (int k = 0; k < n_view; k++)
            joins = joins && (a->dim[kept] == 1 || a->v[k].stride[kept] == a->v[k].stride[i] * a->dim[i]);
        if (joins) {
            if (i == a->rank - 1)
                a->valid *= a->dim[kept];
            a->dim[kept] *= a->dim[i];
        } else {
            a->dim[++kept] = a->dim[i];
        }
        for (int k = 0; k < n_view; k++)
            a->v[k].stride[kept] = a->v[k].stride[i];
    }
    a->rank = kept + 1;
}

rad_status g_step_map(struct g_build *b, const struct g_map *m, int y, const int operand[3], rad_error *err) {
    const struct g_tensor t = *g_at(b, y);
    struct k_args a = {
        .kind = K_MAP, .op = m->op, .act = m->act, .alpha = m->alpha, .beta = m->beta, .act_alpha = m->act_alpha, .act_beta = m->act_beta};
    int order[RAD_MAX_RANK], root[K_VIEWS] = {t.root, -1, -1, -1, -1};
    order_of(&t, order);
    /* The axis that is padded must be the last one. */
    for (int i = 0; i < t.shape.rank; i++)
        if (order[i] == t.inner) {
            memmove(order + i, order + i + 1, (size_t)(t.shape.rank - 1 - i) * sizeof *order);
            order[t.shape.rank - 1] = t.inner;
        }
    a.rank = t.shape.rank > 0 ? t.shape.rank : 1;
    a.dim[0] = a.valid = 1;
    int64_t operand_stored[3] = {0};
    a.v[0].type = t.type;
    a.v[0].offset = t.offset;
    for (int i = 0; i < t.shape.rank; i++) {
        a.dim[i] = i == t.shape.rank - 1 ? t.stored : t.shape.dim[order[i]];
        a.v[0].stride[i] = t.stride[order[i]];
        a.valid = t.shape.dim[order[i]];
    }
    for (int k = 0; k < 3; k++) {
        if (operand[k] < 0)
            continue;
        const struct g_tensor x = *g_at(b, operand[k]);
        a.v[1 + k].type = x.type;
        a.v[1 + k].offset = x.offset;
        root[1 + k] = x.root;
        for (int i = 0; i < t.shape.rank; i++) {
            const int axis = order[i] - (t.shape.rank - x.shape.rank);
            a.v[1 + k].stride[i] = axis < 0 || x.shape.dim[axis] == 1 ? 0 : x.stride[axis];
            if (i == t.shape.rank - 1 && axis >= 0)
                operand_stored[k] = axis == x.inner ? x.stored : x.shape.dim[axis];
        }
    }
    const bool padded = a.valid != a.dim[a.rank - 1];
    for (int k = 0; k < 3 && padded; k++) /* padding that an operand does not have must not be read */
        a.v[1 + k].wide = operand[k] >= 0 && operand_stored[k] >= t.stored;
    for (int k = 0; k < 3 && !padded; k++)
        a.v[1 + k].wide = 1;
    collapse(&a, 4);
    a.count = 1;
    for (int i = 0; i < a.rank; i++)
        a.count *= a.dim[i];
    a.wide = a.dim[a.rank - 1] % K_VEC == 0 && is_wide(&a, &a.v[0]);
    for (int k = 1; k < 4; k++)
        a.v[k].wide = a.v[k].wide && is_wide(&a, &a.v[k]);
    return g_step_kernel(b, &a, root, err);
}

struct g_map g_fused(const rad_node *n) {
    static const int word[] = {
        [RAD_FUSE_NONE] = K_COPY,       [RAD_FUSE_RELU] = K_RELU, [RAD_FUSE_CLIP] = K_CLIP,   [RAD_FUSE_LEAKY] = K_LEAKY,
        [RAD_FUSE_SIGMOID] = K_SIGMOID, [RAD_FUSE_TANH] = K_TANH, [RAD_FUSE_SWISH] = K_SWISH, [RAD_FUSE_HARDSWISH] = K_HARDSWISH};
    return (struct g_map){.op = K_COPY, .act = word[n->act], .act_alpha = n->act_alpha, .act_beta = n->act_beta};
}

rad_status g_finish(struct g_build *b, const rad_node *n, int t, bool residual_done, bool act_done, rad_error *err) {
    rad_status st = RAD_OK;
    struct g_map m = g_fused(n);
    const bool adds = n->residual >= 0 && !residual_done;
    if (act_done)
        m.act = K_COPY;
    if (adds || m.act != K_COPY) {
        int operand[3] = {t, -1, -1};
        if (adds) {
            m.op = K_ADD;
            RAD_TRY(g_native(b, n->residual, &operand[1], err));
        }
        RAD_TRY(g_step_map(b, &m, t, operand, err)); /* over itself: each element is read before it is written */
    }
    st = g_give(b, n->output[0], t, err);
out:
    return st;
}
