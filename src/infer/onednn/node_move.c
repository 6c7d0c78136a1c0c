/* node_move.c: nodes that only move data, most of them without moving any. */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

rad_status dn_node_view(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), y = n->output[0];
    int t = -1, unused = -1;
    rad_md md;
    rad_status st = RAD_OK;
    if (!dn_is_float(b, x) || !dn_is_float(b, y) || (n->n_output > 1 && n->output[1] >= 0))
        return RAD_OK;
    if (rad_shape_equal(&dn_value_of(b, x)->shape, &dn_value_of(b, y)->shape)) {
        RAD_TRY(dn_native(b, x, &t, err));
        md = *dn_tensor_md(b, t);
    } else {
        if (!rad_md_layout(&md, &dn_value_of(b, y)->shape, dnnl_f32, RAD_LAYOUT_PLAIN))
            return RAD_OK;
        RAD_TRY(dn_get_plain(b, x, &t, err));
    }
    RAD_TRY(dn_alias(b, y, t, 0, &md, &unused, err));
    *ret_done = true;
out:
    return st;
}

/* Only the description changes; whoever needs another order of bytes reorders, straight from the source's layout. */
rad_status dn_node_transpose(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int x = dn_in(n, 0), y = n->output[0];
    int perm[DNNL_MAX_NDIMS] = {0}, t = -1, unused = -1;
    rad_md md;
    if (!dn_is_float(b, x) || !dn_is_float(b, y))
        return RAD_OK;
    const int rank = dn_value_of(b, x)->shape.rank;
    const rad_attr *a = rad_node_attr(n, "perm");
    for (int i = 0; i < rank; i++) /* the library asks where an axis goes, the standard says where it comes from */
        perm[a != NULL ? a->ints[i] : rank - 1 - i] = i;
    rad_status st = dn_native(b, x, &t, err);
    if (st != RAD_OK || rank < 1 || !rad_md_permute(&md, dn_tensor_md(b, t), perm))
        return st;
    st = dn_alias(b, y, t, 0, &md, &unused, err);
    *ret_done = st == RAD_OK;
    return st;
}

/* ---------------------------------------------------------------- concatenation */

/* Does this node join whole channel blocks, so that each input can be one stretch of the result? */
static bool joins_blocks(const struct dn_build *b, const rad_node *n) {
    rad_md md;
    if (strcmp(n->op->name, "Concat") != 0 || !dn_is_float(b, n->output[0]))
        return false;
    const rad_shape *s = &dn_value_of(b, n->output[0])->shape;
    const int64_t axis = rad_node_attr_int(n, "axis", 0);
    if (s->rank < 3 || s->rank > 5 || s->dim[0] != 1 || (axis != 1 && axis != 1 - s->rank) ||
        !dn_md(b, n->output[0], RAD_LAYOUT_BLOCKED, &md))
        return false;
    for (int k = 0; k < n->n_input; k++)
        if (!dn_is_float(b, n->input[k]) || dn_is_const(b, n->input[k]) ||
            dn_value_of(b, n->input[k])->shape.dim[1] % md.format_desc.blocking.inner_blks[0] != 0)
            return false;
    return true;
}

/* When a later concatenation has already put all inputs side by side, the result is there too. */
static void take_prefix(struct dn_build *b, const rad_node *n) {
    const struct dn_value *first = &b->value[n->input[0]];
    size_t offset = first->slot_offset;
    for (int k = 0; k < n->n_input; k++) {
        const struct dn_value *x = &b->value[n->input[k]];
        rad_md md;
        if (first->slot_root < 0 || x->slot_root != first->slot_root || x->slot_offset != offset ||
            !dn_md(b, n->input[k], RAD_LAYOUT_BLOCKED, &md))
            return;
        offset += rad_md_size(&md);
    }
    b->value[n->output[0]].slot_root = first->slot_root;
    b->value[n->output[0]].slot_offset = first->slot_offset;
}

/* From the last concatenation to the first, so that the growing concatenations of a dense block all become prefixes of the last one. */
rad_status dn_place_concats(struct dn_build *b, rad_error *err) {
    const rad_graph *g = b->graph;
    for (int i = g->n_node - 1; b->layout == RAD_LAYOUT_BLOCKED && i >= 0; i--) {
        const rad_node *n = &g->node[i];
        if (!joins_blocks(b, n))
            continue;
        struct dn_value *y = &b->value[n->output[0]];
        rad_md md;
        if (!dn_md(b, n->output[0], RAD_LAYOUT_BLOCKED, &md))
            continue;
        if (y->slot_root < 0)
            take_prefix(b, n);
        if (y->slot_root < 0) {
            y->slot_root = dn_add_buffer(b, rad_md_size(&md));
            if (y->slot_root < 0)
                return dn_nomem(err);
        }
        size_t offset = y->slot_offset;
        for (int k = 0; k < n->n_input; k++) {
            struct dn_value *x = &b->value[n->input[k]];
            if (x->slot_root < 0 && x->n_form == 0) { /* not yet promised to a later concatenation, not a graph input */
                x->slot_root = y->slot_root;
                x->slot_offset = offset;
            }
            if (dn_md(b, n->input[k], RAD_LAYOUT_BLOCKED, &md))
                offset += rad_md_size(&md);
        }
    }
    return RAD_OK;
}

static rad_status concat_in_place(struct dn_build *b, const rad_node *n, rad_error *err) {
    const int y = n->output[0];
    const struct dn_value slot = b->value[y];
    size_t offset = slot.slot_offset;
    rad_md md;
    int whole = -1;
    rad_status st = RAD_OK;
    if (!dn_md(b, y, RAD_LAYOUT_BLOCKED, &md))
        return rad_error_set(err, RAD_E_INTERNAL, "a concatenation lost its layout");
    RAD_TRY(dn_make(b, y, &md, &whole, err)); /* the slot itself: nothing is allocated */
    for (int k = 0; k < n->n_input; k++) {
        int from = -1;
        bool there = false;
        const struct dn_value *x = &b->value[n->input[k]];
        if (!dn_md(b, n->input[k], RAD_LAYOUT_BLOCKED, &md))
            return rad_error_set(err, RAD_E_INTERNAL, "a concatenation lost its layout");
        for (int f = 0; f < x->n_form; f++) {
            const struct dn_tensor *t = &b->plan->tensor[x->form[f]];
            there = there || (t->root == slot.slot_root && t->offset == offset && rad_md_equal(&t->md, &md));
        }
        if (!there) {
            struct dn_tensor place = b->plan->tensor[whole];
            int to = -1;
            RAD_TRY(dn_view(b, whole, &md, &to, err));
            b->plan->tensor[to].offset = place.offset - slot.slot_offset + offset;
            RAD_TRY(dn_native(b, n->input[k], &from, err));
            RAD_TRY(dn_copy(b, from, to, err));
        }
        offset += rad_md_size(&md);
    }
out:
    return st;
}

rad_status dn_node_concat(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err) {
    const int y = n->output[0];
    rad_layout layout = RAD_LAYOUT_PLAIN;
    rad_md dst;
    rad_status st = RAD_OK;
    for (int k = 0; k < n->n_input; k++)
        if (!dn_is_float(b, n->input[k]))
            return RAD_OK;
    if (n->n_input < 1 || !dn_is_float(b, y))
        return RAD_OK;
    if (n->n_input == 1)
        return dn_node_view(b, n, ret_done, err);
    if (b->value[y].slot_root >= 0 && joins_blocks(b, n)) {
        st = concat_in_place(b, n, err);
        *ret_done = st == RAD_OK;
        return st;
    }
    rad_prim prim = {0};
    rad_md *src = rad_calloc((size_t)n->n_input, sizeof *src);
    struct dn_arg *arg = rad_calloc((size_t)n->n_input + 1, sizeof *arg);
    if (src == NULL || arg == NULL) {
        st = dn_nomem(err);
        goto out;
    }
    for (int k = 0; k < n->n_input && layout == RAD_LAYOUT_PLAIN; k++) {
        RAD_TRY(dn_native(b, n->input[k], &arg[k].tensor, err));
        layout = rad_md_get_layout(dn_tensor_md(b, arg[k].tensor));
        layout = layout == RAD_LAYOUT_BLOCKED || layout == RAD_LAYOUT_LAST ? layout : RAD_LAYOUT_PLAIN;
    }
    int64_t axis = rad_node_attr_int(n, "axis", 0);
    axis += axis < 0 ? dn_value_of(b, y)->shape.rank : 0;
    bool ok = dn_md(b, y, layout, &dst);
    for (int k = 0; k < n->n_input; k++)
        ok = ok && dn_md(b, n->input[k], layout, &src[k]);
    if (!ok || !rad_prim_concat(b->engine, n->n_input, (int)axis, src, &dst, &prim))
        goto out;
    for (int k = 0; k < n->n_input; k++) {
        arg[k].id = DNNL_ARG_MULTIPLE_SRC + k;
        RAD_TRY(dn_get(b, n->input[k], &src[k], &arg[k].tensor, err));
    }
    arg[n->n_input].id = DNNL_ARG_DST;
    RAD_TRY(dn_make(b, y, &dst, &arg[n->n_input].tensor, err));
    RAD_TRY(dn_step_prim(b, &prim, arg, n->n_input + 1, err));
    *ret_done = true;
out:
    rad_prim_release(&prim);
    free(src);
    free(arg);
    return st;
}
