/* NodeProto and AttributeProto: names, attributes with the kind their operator declares, Constant nodes as constants. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

static rad_status read_ints(rad_model *m, onnx_span s, uint32_t number, const char *where, rad_attr *a, rad_error *err) {
    onnx_field f;
    onnx_span walk = s;
    int64_t n = 0;
    while (rad_onnx_next(&walk, &f) > 0)
        if (f.number == number) {
            int64_t k = rad_onnx_count_varints(&f);
            if (k < 0)
                return rad_onnx_fail(m, err, "%s: malformed integers", where);
            n += k;
        }
    if (n > RAD_MAX_ATTR_VALUES)
        return rad_onnx_fail(m, err, "%s: more than %lld values", where, (long long)RAD_MAX_ATTR_VALUES);
    int64_t *v = rad_arena_alloc(m->arena, (size_t)n + 1, sizeof *v);
    if (!v)
        return rad_onnx_nomem(m, err);
    a->ints = v;
    a->n = n;
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == number) {
            rad_onnx_read_varints(&f, v);
            v += rad_onnx_count_varints(&f);
        }
    return RAD_OK;
}

static rad_status read_floats(rad_model *m, onnx_span s, const char *where, rad_attr *a, rad_error *err) {
    onnx_field f;
    onnx_span walk = s;
    int64_t n = 0;
    while (rad_onnx_next(&walk, &f) > 0)
        if (f.number == 7) {
            int64_t k = rad_onnx_count_fixed(&f, 4);
            if (k < 0)
                return rad_onnx_fail(m, err, "%s: malformed numbers", where);
            n += k;
        }
    if (n > RAD_MAX_ATTR_VALUES)
        return rad_onnx_fail(m, err, "%s: more than %lld values", where, (long long)RAD_MAX_ATTR_VALUES);
    double *out = rad_arena_alloc(m->arena, (size_t)n + 1, sizeof *out);
    float *v = rad_malloc(((size_t)n + 1) * sizeof *v);
    if (!out || !v) {
        free(v);
        return rad_onnx_nomem(m, err);
    }
    float *at = v;
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == 7) {
            rad_onnx_read_fixed(&f, 4, (uint8_t *)at);
            at += rad_onnx_count_fixed(&f, 4);
        }
    for (int64_t i = 0; i < n; i++)
        out[i] = (double)v[i];
    free(v);
    a->floats = out;
    a->n = n;
    return RAD_OK;
}

static rad_status read_strings(rad_model *m, onnx_span s, const char *where, rad_attr *a, rad_error *err) {
    onnx_field f;
    onnx_span walk = s;
    int64_t n = 0;
    while (rad_onnx_next(&walk, &f) > 0)
        n += f.number == 9;
    if (n > RAD_MAX_ATTR_VALUES)
        return rad_onnx_fail(m, err, "%s: more than %lld values", where, (long long)RAD_MAX_ATTR_VALUES);
    const char **v = rad_arena_alloc(m->arena, (size_t)n + 1, sizeof *v);
    if (!v)
        return rad_onnx_nomem(m, err);
    a->strings = v;
    a->n = n;
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == 9) {
            rad_status st = rad_onnx_text(m, &f, "a string", where, v++, err);
            if (st != RAD_OK)
                return st;
        }
    return RAD_OK;
}

/* One AttributeProto. `node` ("node 'x' (Conv)") is for errors. */
static rad_status read_attr(rad_model *m, onnx_span s, const char *node, rad_attr *ret, rad_error *err) {
    rad_attr a = {.name = ""};
    rad_status st;
    onnx_field f;
    onnx_span walk = s, tensor = {0};
    uint64_t type = 0;
    unsigned seen = 0; /* bit per kind whose field occurs, for files older than the type field */
    bool graph = false, reference = false, sparse = false;
    int got;
    while ((got = rad_onnx_next(&walk, &f)) > 0) {
        uint32_t bits;
        switch (f.number) {
        case 1:
            if ((st = rad_onnx_text(m, &f, "an attribute's name", node, &a.name, err)) != RAD_OK)
                return st;
            break;
        case 2:
            if (f.wire != ONNX_FIXED32)
                goto malformed;
            bits = (uint32_t)f.value;
            float x;
            memcpy(&x, &bits, sizeof x);
            a.f = (double)x;
            seen |= 1u << RAD_ATTR_FLOAT;
            break;
        case 3:
            if (f.wire != ONNX_VARINT)
                goto malformed;
            a.i = (int64_t)f.value;
            seen |= 1u << RAD_ATTR_INT;
            break;
        case 4:
            if ((st = rad_onnx_text(m, &f, "an attribute's text", node, &a.s, err)) != RAD_OK)
                return st;
            seen |= 1u << RAD_ATTR_STRING;
            break;
        case 5:
            if (f.wire != ONNX_BYTES)
                goto malformed;
            tensor = f.bytes;
            seen |= 1u << RAD_ATTR_TENSOR;
            break;
        case 6:
        case 11:
            graph = true;
            break;
        case 7:
            seen |= 1u << RAD_ATTR_FLOATS;
            break;
        case 8:
            seen |= 1u << RAD_ATTR_INTS;
            break;
        case 9:
            seen |= 1u << RAD_ATTR_STRINGS;
            break;
        case 20:
            if (f.wire != ONNX_VARINT || f.value > 64)
                goto malformed;
            type = f.value;
            break;
        case 21:
            reference = true;
            break;
        case 10:
        case 14:
        case 15:
        case 22:
        case 23:
            sparse = true; /* lists of tensors, type protos, sparse tensors */
            break;
        default:
            break;
        }
    }
    if (got < 0)
        goto malformed;
    char where[420];
    snprintf(where, sizeof where, "%s: attribute '%.60s'", node, a.name);
    if (a.name[0] == '\0')
        return rad_onnx_fail(m, err, "%s: an attribute has no name", node);
    if (graph)
        return rad_onnx_fail(
            m, err, "%s is a subgraph: control flow (If, Loop, Scan) is not supported; export the network with it unrolled", where);
    if (reference)
        return rad_onnx_fail(m, err, "%s refers to a function's attribute: model-local functions are not supported; inline them", where);
    if (sparse)
        return rad_onnx_fail(m, err, "%s: sparse tensors, type values and lists of tensors are not supported", where);
    if (type == 0) { /* IR version 1 left the type out */
        for (int k = 1; k <= 8; k++)
            if (seen & (1u << k))
                type = type ? 99 : (uint64_t)k;
    }
    a.kind = (rad_attr_kind)type;
    switch (a.kind) {
    case RAD_ATTR_FLOAT:
    case RAD_ATTR_INT:
        break;
    case RAD_ATTR_STRING:
        if (!a.s)
            a.s = "";
        break;
    case RAD_ATTR_TENSOR:
        if (!(seen & (1u << RAD_ATTR_TENSOR)))
            goto malformed;
        if ((st = rad_onnx_tensor(m, tensor, where, NULL, &a.t, err)) != RAD_OK)
            return st;
        break;
    case RAD_ATTR_FLOATS:
        if ((st = read_floats(m, s, where, &a, err)) != RAD_OK)
            return st;
        break;
    case RAD_ATTR_INTS:
        if ((st = read_ints(m, s, 8, where, &a, err)) != RAD_OK)
            return st;
        break;
    case RAD_ATTR_STRINGS:
        if ((st = read_strings(m, s, where, &a, err)) != RAD_OK)
            return st;
        break;
    case RAD_ATTR_NONE:
    default:
        return rad_onnx_fail(m, err, "%s: kind %llu is not supported (expected a number, a text, a tensor or a list of them)", where,
                             (unsigned long long)type);
    }
    *ret = a;
    return RAD_OK;
malformed:
    return rad_onnx_fail(m, err, "%s: attribute '%.60s' is malformed or cut off", node, a.name);
}

static const char *kind_name(rad_attr_kind k) {
    static const char *const names[] = {"nothing", "a float", "an integer", "a text", "a tensor", "a graph", "floats", "integers", "texts"};
    return (size_t)k < sizeof names / sizeof names[0] ? names[k] : "unknown";
}

static rad_status check_attr(rad_model *m, const rad_node *n, const rad_attr *a, const char *where, rad_error *err) {
    char known[256] = "";
    size_t at = 0;
    for (const rad_op_attr *d = n->op->attr; d && d->name; d++) {
        bool valid = n->opset >= d->since && (d->until == 0 || n->opset <= d->until);
        if (valid && strcmp(d->name, a->name) == 0) {
            if (d->kind == a->kind)
                return RAD_OK;
            return rad_onnx_fail(m, err, "%s: attribute '%s' is %s, expected %s", where, a->name, kind_name(a->kind), kind_name(d->kind));
        }
        if (valid && at < sizeof known) {
            int k = snprintf(known + at, sizeof known - at, "%s%s", at ? ", " : "", d->name);
            at += k > 0 ? (size_t)k : 0;
        }
    }
    return rad_onnx_fail(m, err, "%s: attribute '%.60s' is not supported in opset %d (supported: %s)", where, a->name, n->opset,
                         known[0] ? known : "none");
}

/* Constant: the value becomes constant content, no node remains. */
static rad_status define_constant(rad_model *m, const rad_node *n, const char *where, rad_error *err) {
    if (n->n_input != 0 || n->n_output != 1 || n->output[0] < 0)
        return rad_onnx_fail(m, err, "%s: expected no input and one output", where);
    if (n->n_attr != 1)
        return rad_onnx_fail(m, err, "%s: expected exactly one value attribute, found %d", where, n->n_attr);
    const rad_attr *a = &n->attr[0];
    rad_value *v = &m->g.value[n->output[0]];
    if (strcmp(a->name, "value") == 0 && a->kind == RAD_ATTR_TENSOR) {
        v->dtype = a->t.dtype;
        v->shape = a->t.shape;
        v->data = a->t.data;
        return RAD_OK;
    }
    bool one_float = strcmp(a->name, "value_float") == 0 && a->kind == RAD_ATTR_FLOAT;
    bool floats = strcmp(a->name, "value_floats") == 0 && a->kind == RAD_ATTR_FLOATS;
    bool one_int = strcmp(a->name, "value_int") == 0 && a->kind == RAD_ATTR_INT;
    bool ints = strcmp(a->name, "value_ints") == 0 && a->kind == RAD_ATTR_INTS;
    if (!one_float && !floats && !one_int && !ints)
        return rad_onnx_fail(m, err, "%s: '%.60s' is not supported (expected value, value_float(s) or value_int(s))", where, a->name);
    v->shape = (rad_shape){.rank = floats || ints};
    v->shape.dim[0] = a->n;
    if (ints) {
        v->dtype = RAD_DT_I64;
        v->data = a->ints;
        return RAD_OK;
    }
    int64_t count = floats ? a->n : 1;
    if (one_int) {
        int64_t *p = rad_arena_alloc(m->arena, 1, sizeof *p);
        if (!p)
            return rad_onnx_nomem(m, err);
        *p = a->i;
        v->dtype = RAD_DT_I64;
        v->data = p;
        return RAD_OK;
    }
    float *p = rad_arena_alloc(m->arena, (size_t)count + 1, sizeof *p);
    if (!p)
        return rad_onnx_nomem(m, err);
    for (int64_t i = 0; i < count; i++)
        p[i] = (float)(floats ? a->floats[i] : a->f);
    v->dtype = RAD_DT_F32;
    v->data = p;
    return RAD_OK;
}

rad_status rad_onnx_node(rad_model *m, onnx_span s, int index, rad_node *ret, bool *ret_is_constant, rad_error *err) {
    rad_node n = {.residual = -1, .opset = m->opset};
    const char *op = "", *domain = "", *name = "";
    char where[320];
    snprintf(where, sizeof where, "node %d", index);
    onnx_field f;
    onnx_span walk = s;
    rad_status st = RAD_OK;
    int got;
    while ((got = rad_onnx_next(&walk, &f)) > 0) {
        switch (f.number) {
        case 1:
            n.n_input++;
            break;
        case 2:
            n.n_output++;
            break;
        case 3:
            st = rad_onnx_text(m, &f, "its name", where, &name, err);
            break;
        case 4:
            st = rad_onnx_text(m, &f, "its operator", where, &op, err);
            break;
        case 5:
            n.n_attr++;
            break;
        case 7:
            st = rad_onnx_text(m, &f, "its domain", where, &domain, err);
            break;
        default:
            break;
        }
        if (st != RAD_OK)
            return st;
        if (n.n_input > RAD_MAX_NODE_INPUTS || n.n_output > RAD_MAX_NODE_INPUTS || n.n_attr > RAD_MAX_NODE_ATTRS)
            return rad_onnx_fail(m, err, "node %d '%.100s': more than %d inputs or outputs, or %d attributes", index, name,
                                 RAD_MAX_NODE_INPUTS, RAD_MAX_NODE_ATTRS);
    }
    if (name[0] == '\0') {
        char made[128];
        snprintf(made, sizeof made, "%.80s_%d", op[0] ? op : "node", index);
        name = rad_arena_text(m->arena, made, strlen(made));
        if (!name)
            return rad_onnx_nomem(m, err);
    }
    snprintf(where, sizeof where, "node '%.160s' (%.60s)", name, op);
    if (got < 0)
        return rad_onnx_fail(m, err, "%s: malformed or cut off", where);
    n.name = name;
    bool standard = domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
    if (!standard)
        return rad_onnx_fail(m, err,
                             "%s: domain '%.60s' is not supported; only operators of the ONNX standard (no custom operators, no "
                             "model-local functions) can be run",
                             where, domain);
    bool is_constant = strcmp(op, "Constant") == 0;
    n.op = is_constant ? NULL : rad_op_find(op, "");

    n.input = rad_arena_alloc(m->arena, (size_t)n.n_input + 1, sizeof *n.input);
    n.output = rad_arena_alloc(m->arena, (size_t)n.n_output + 1, sizeof *n.output);
    n.attr = rad_arena_alloc(m->arena, (size_t)n.n_attr + 1, sizeof *n.attr);
    if (!n.input || !n.output || !n.attr)
        return rad_onnx_nomem(m, err);
    int i = 0, o = 0, a = 0;
    for (walk = s; rad_onnx_next(&walk, &f) > 0;) {
        if (f.number == 1 || f.number == 2) {
            const char *value = "";
            if ((st = rad_onnx_text(m, &f, f.number == 1 ? "an input's name" : "an output's name", where, &value, err)) != RAD_OK)
                return st;
            int v = -1;
            if (value[0] && (st = rad_onnx_intern(m, value, &v, err)) != RAD_OK)
                return st;
            if (f.number == 1) {
                n.input[i++] = v;
                continue;
            }
            n.output[o++] = v;
            if (v < 0)
                continue;
            if (m->kind[v] != VALUE_UNDEFINED)
                return rad_onnx_fail(m, err, "%s: its output '%.100s' has the name of another node's output, an input or an initializer",
                                     where, value);
            m->kind[v] = is_constant ? VALUE_CONSTANT : VALUE_NODE;
        } else if (f.number == 5) {
            if (f.wire != ONNX_BYTES)
                return rad_onnx_fail(m, err, "%s: a malformed attribute", where);
            if ((st = read_attr(m, f.bytes, where, &n.attr[a], err)) != RAD_OK)
                return st;
            for (int k = 0; k < a; k++)
                if (strcmp(n.attr[k].name, n.attr[a].name) == 0)
                    return rad_onnx_fail(m, err, "%s: attribute '%.60s' is given twice", where, n.attr[a].name);
            a++;
        }
    }
    /* after the attributes, so that a control-flow node is refused for its subgraph */
    if (!is_constant && !n.op)
        return rad_onnx_fail(m, err, "%s: operator '%.60s' is not supported; 'radcohort backends' lists the operators that are", where, op);
    *ret_is_constant = is_constant;
    if (is_constant)
        return define_constant(m, &n, where, err);
    for (int k = 0; k < n.n_attr; k++)
        if ((st = check_attr(m, &n, &n.attr[k], where, err)) != RAD_OK)
            return st;
    while (n.n_input > 0 && n.input[n.n_input - 1] < 0) /* trailing "" = omitted */
        n.n_input--;
    if (n.n_input < n.op->min_in || (n.op->max_in >= 0 && n.n_input > n.op->max_in))
        return rad_onnx_fail(m, err, "%s: has %d inputs, expected %d to %d", where, n.n_input, n.op->min_in,
                             n.op->max_in < 0 ? RAD_MAX_NODE_INPUTS : n.op->max_in);
    for (int k = 0; k < n.op->min_in; k++)
        if (n.input[k] < 0)
            return rad_onnx_fail(m, err, "%s: input %d is required but left empty", where, k + 1);
    if (n.n_output < n.op->min_out || (n.op->max_out >= 0 && n.n_output > n.op->max_out))
        return rad_onnx_fail(m, err, "%s: has %d outputs, expected %d to %d", where, n.n_output, n.op->min_out,
                             n.op->max_out < 0 ? RAD_MAX_NODE_INPUTS : n.op->max_out);
    *ret = n;
    return RAD_OK;
}
