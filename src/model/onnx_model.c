/* ModelProto and GraphProto: opens a file, checks that it is one well-formed graph (every name defined once, no cycle, every operator
 * known), and answers questions about it. Message and field numbers: onnx.proto of the ONNX standard. */
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

/* ---------------------------------------------------------------- names */

static uint64_t hash_name(const char *s) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static int *find_slot(const rad_model *m, const char *name) {
    size_t mask = m->names.n_slot - 1, at = (size_t)hash_name(name) & mask;
    while (m->names.slot[at] && strcmp(m->g.value[m->names.slot[at] - 1].name, name) != 0)
        at = (at + 1) & mask;
    return &m->names.slot[at];
}

static bool grow_values(rad_model *m) {
    int cap = m->cap_value ? m->cap_value * 2 : 256;
    rad_value *value = rad_realloc(m->g.value, (size_t)cap, sizeof *value);
    if (!value)
        return false;
    m->g.value = value;
    uint8_t *kind = rad_realloc(m->kind, (size_t)cap, 1);
    if (!kind)
        return false;
    m->kind = kind;
    size_t n_slot = (size_t)cap * 2;
    int *slot = rad_calloc(n_slot, sizeof *slot);
    if (!slot)
        return false;
    free(m->names.slot);
    m->names = (name_table){.slot = slot, .n_slot = n_slot};
    m->cap_value = cap;
    for (int v = 0; v < m->g.n_value; v++)
        *find_slot(m, m->g.value[v].name) = v + 1;
    return true;
}

rad_status rad_onnx_intern(rad_model *m, const char *name, int *ret, rad_error *err) {
    int *slot = m->names.n_slot ? find_slot(m, name) : NULL;
    if (slot && *slot) {
        *ret = *slot - 1;
        return RAD_OK;
    }
    if (m->g.n_value >= RAD_MAX_VALUES)
        return rad_onnx_fail(m, err, "more than %d tensors", RAD_MAX_VALUES);
    if (m->g.n_value == m->cap_value) {
        if (!grow_values(m))
            return rad_onnx_nomem(m, err);
        slot = find_slot(m, name);
    }
    int v = m->g.n_value++;
    m->g.value[v] = (rad_value){.name = name, .shape = {.rank = -1}, .producer = -1};
    m->kind[v] = VALUE_UNDEFINED;
    *slot = v + 1;
    *ret = v;
    return RAD_OK;
}

/* ---------------------------------------------------------------- graph */

static rad_status read_initializer(rad_model *m, onnx_span s, rad_error *err) {
    rad_tensor t;
    const char *name;
    int v;
    rad_status st = rad_onnx_tensor(m, s, "initializer", &name, &t, err);
    if (st != RAD_OK)
        return st;
    if (name[0] == '\0')
        return rad_onnx_fail(m, err, "an initializer has no name");
    if ((st = rad_onnx_intern(m, name, &v, err)) != RAD_OK)
        return st;
    if (m->kind[v] != VALUE_UNDEFINED)
        return rad_onnx_fail(m, err, "initializer '%.100s' is given twice", name);
    m->kind[v] = VALUE_CONSTANT;
    m->g.value[v].dtype = t.dtype;
    m->g.value[v].shape = t.shape;
    m->g.value[v].data = t.data;
    if (t.dtype == RAD_DT_F32 || t.dtype == RAD_DT_F16 || t.dtype == RAD_DT_BF16 || t.dtype == RAD_DT_F64)
        m->n_parameter += rad_shape_count(&t.shape);
    return RAD_OK;
}

static rad_status read_input(rad_model *m, onnx_span s, rad_error *err) {
    const char *name;
    rad_dtype dtype;
    rad_shape shape;
    int v;
    rad_status st = rad_onnx_value_info(m, s, "graph input", &name, &dtype, &shape, err);
    if (st != RAD_OK)
        return st;
    if ((st = rad_onnx_intern(m, name, &v, err)) != RAD_OK)
        return st;
    if (m->kind[v] == VALUE_CONSTANT)
        return RAD_OK; /* IR version 3 and older repeat every initializer among the inputs */
    if (m->kind[v] != VALUE_UNDEFINED)
        return rad_onnx_fail(m, err, "graph input '%.100s' is given twice", name);
    if (rad_dtype_size(dtype) == 0)
        return rad_onnx_fail(m, err, "graph input '%.100s': element type %d is not supported", name, (int)dtype);
    m->kind[v] = VALUE_INPUT;
    m->g.value[v].dtype = dtype;
    m->g.value[v].shape = shape;
    m->g.input[m->g.n_input++] = v;
    return RAD_OK;
}

static rad_status read_output(rad_model *m, onnx_span s, rad_error *err) {
    const char *name;
    rad_dtype dtype;
    rad_shape shape;
    int v;
    rad_status st = rad_onnx_value_info(m, s, "graph output", &name, &dtype, &shape, err);
    if (st != RAD_OK)
        return st;
    if ((st = rad_onnx_intern(m, name, &v, err)) != RAD_OK)
        return st;
    if (m->kind[v] == VALUE_UNDEFINED)
        return rad_onnx_fail(m, err, "graph output '%.100s' is not made by any node", name);
    for (int i = 0; i < m->g.n_output; i++)
        if (m->g.output[i] == v)
            return rad_onnx_fail(m, err, "graph output '%.100s' is given twice", name);
    m->g.output[m->g.n_output++] = v;
    return RAD_OK;
}

/* Every input of every node defined; nodes brought into topological order (files mostly are in it already, and then stay so). */
static rad_status sort_nodes(rad_model *m, rad_error *err) {
    rad_graph *g = &m->g;
    rad_status st = RAD_OK;
    int n = g->n_node;
    bool sorted = true;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < g->node[i].n_output; k++)
            if (g->node[i].output[k] >= 0)
                g->value[g->node[i].output[k]].producer = i;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < g->node[i].n_input; k++) {
            int v = g->node[i].input[k];
            if (v < 0)
                continue;
            if (m->kind[v] == VALUE_UNDEFINED)
                return rad_onnx_fail(m, err, "node '%.160s' (%s): input %d '%.100s' is not made by any node and is no input or initializer",
                                     g->node[i].name, g->node[i].op->name, k + 1, g->value[v].name);
            if (g->value[v].producer >= i)
                sorted = false;
        }
    if (sorted)
        return RAD_OK;

    /* Kahn's algorithm; readers of each node as lists in one array */
    int *wait = rad_calloc((size_t)n, sizeof *wait), *first = rad_malloc((size_t)n * sizeof *first),
        *queue = rad_malloc((size_t)n * sizeof *queue);
    size_t n_edge = 0, edge = 0;
    for (int i = 0; i < n; i++)
        n_edge += (size_t)g->node[i].n_input;
    int *next = rad_malloc((n_edge + 1) * sizeof *next), *reader = rad_malloc((n_edge + 1) * sizeof *reader);
    rad_node *node = rad_arena_alloc(m->arena, (size_t)n, sizeof *node);
    if (!wait || !first || !queue || !next || !reader || !node) {
        st = rad_onnx_nomem(m, err);
        goto out;
    }
    for (int i = 0; i < n; i++)
        first[i] = -1;
    for (int i = n - 1; i >= 0; i--)
        for (int k = 0; k < g->node[i].n_input; k++) {
            int v = g->node[i].input[k], p = v < 0 ? -1 : g->value[v].producer;
            if (p < 0)
                continue;
            reader[edge] = i;
            next[edge] = first[p];
            first[p] = (int)edge++;
            wait[i]++;
        }
    int head = 0, tail = 0;
    for (int i = 0; i < n; i++)
        if (wait[i] == 0)
            queue[tail++] = i;
    while (head < tail) {
        int i = queue[head++];
        for (int e = first[i]; e >= 0; e = next[e])
            if (--wait[reader[e]] == 0)
                queue[tail++] = reader[e];
    }
    if (tail < n) {
        int i = 0;
        while (wait[i] == 0)
            i++;
        st = rad_onnx_fail(m, err, "node '%.160s' (%s) depends on its own output: the graph has a cycle", g->node[i].name,
                           g->node[i].op->name);
        goto out;
    }
    for (int i = 0; i < n; i++) {
        node[i] = g->node[queue[i]];
        for (int k = 0; k < node[i].n_output; k++)
            if (node[i].output[k] >= 0)
                g->value[node[i].output[k]].producer = i;
    }
    g->node = node;
out:
    free(wait);
    free(first);
    free(queue);
    free(next);
    free(reader);
    return st;
}

static rad_status read_graph(rad_model *m, onnx_span s, rad_error *err) {
    rad_graph *g = &m->g;
    rad_status st = RAD_OK;
    onnx_field f;
    onnx_span walk = s;
    int n_node = 0, n_const = 0, n_input = 0, n_output = 0, got;
    while ((got = rad_onnx_next(&walk, &f)) > 0) {
        bool message = f.number == 1 || f.number == 5 || f.number == 11 || f.number == 12;
        if (f.number == 15)
            return rad_onnx_fail(m, err, "sparse initializers are not supported; save the weights as dense tensors");
        if (message && f.wire != ONNX_BYTES)
            return rad_onnx_fail(m, err, "field %u of the graph is malformed", f.number);
        n_node += f.number == 1;
        n_const += f.number == 5;
        n_input += f.number == 11;
        n_output += f.number == 12;
        if (n_node > RAD_MAX_NODES || n_const > RAD_MAX_VALUES || n_input > RAD_MAX_VALUES || n_output > RAD_MAX_VALUES)
            return rad_onnx_fail(m, err, "more than %d nodes or %d tensors", RAD_MAX_NODES, RAD_MAX_VALUES);
    }
    if (got < 0)
        return rad_onnx_fail(m, err, "the graph is malformed or cut off after %d nodes and %d initializers", n_node, n_const);
    if (n_output == 0)
        return rad_onnx_fail(m, err, "the graph has no output");
    g->node = rad_arena_alloc(m->arena, (size_t)n_node + 1, sizeof *g->node);
    g->input = rad_arena_alloc(m->arena, (size_t)n_input + 1, sizeof *g->input);
    g->output = rad_arena_alloc(m->arena, (size_t)n_output + 1, sizeof *g->output);
    if (!g->node || !g->input || !g->output)
        return rad_onnx_nomem(m, err);
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == 5)
            RAD_TRY(read_initializer(m, f.bytes, err));
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == 11)
            RAD_TRY(read_input(m, f.bytes, err));
    int index = 0;
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == 1) {
            bool is_constant = false;
            RAD_TRY(rad_onnx_node(m, f.bytes, index++, &g->node[g->n_node], &is_constant, err));
            g->n_node += !is_constant;
        }
    for (walk = s; rad_onnx_next(&walk, &f) > 0;)
        if (f.number == 12)
            RAD_TRY(read_output(m, f.bytes, err));
    st = sort_nodes(m, err);
out:
    return st;
}

static rad_status read_opset(rad_model *m, onnx_span s, rad_error *err) {
    const char *domain = "";
    int64_t version = 0;
    onnx_field f;
    int got;
    while ((got = rad_onnx_next(&s, &f)) > 0) {
        if (f.number == 1) {
            rad_status st = rad_onnx_text(m, &f, "the domain", "opset import", &domain, err);
            if (st != RAD_OK)
                return st;
        }
        if (f.number == 2 && f.wire == ONNX_VARINT)
            version = (int64_t)f.value;
    }
    if (got < 0)
        return rad_onnx_fail(m, err, "an opset import is malformed");
    if (domain[0] && strcmp(domain, "ai.onnx") != 0)
        return RAD_OK; /* imported but perhaps unused; a node of that domain is refused by its name */
    if (version < RAD_MIN_OPSET || version > RAD_MAX_OPSET)
        return rad_onnx_fail(m, err, "opset %lld is not supported (expected %d to %d); convert the model with onnx.version_converter",
                             (long long)version, RAD_MIN_OPSET, RAD_MAX_OPSET);
    m->opset = (int)version;
    return RAD_OK;
}

static rad_status read_model(rad_model *m, rad_error *err) {
    rad_status st = RAD_OK;
    onnx_span whole = {m->data, m->data + m->size, 0}, walk = whole, graph = {0};
    onnx_field f;
    bool has_graph = false, has_version = false;
    int got;
    if (m->size == 0)
        return rad_onnx_fail(m, err, "the file is empty");
    while ((got = rad_onnx_next(&walk, &f)) > 0) {
        if (f.number == 1)
            has_version = f.wire == ONNX_VARINT && f.value > 0;
        if ((f.number == 7 || f.number == 8) && f.wire != ONNX_BYTES)
            return rad_onnx_fail(m, err, "field %u is malformed; is this an ONNX file?", f.number);
        if (f.number == 7) {
            if (has_graph)
                return rad_onnx_fail(m, err, "it has two graphs");
            has_graph = true;
            graph = f.bytes;
        }
        if (f.number == 8)
            RAD_TRY(read_opset(m, f.bytes, err));
    }
    if (got < 0 || !has_graph || !has_version)
        return rad_onnx_fail(m, err, "%s",
                             got < 0      ? "not an ONNX file, or cut off"
                             : !has_graph ? "not an ONNX file: it holds no graph"
                                          : "not an ONNX file: it has no IR version");
    if (m->opset == 0)
        return rad_onnx_fail(m, err, "it does not say which opset of the ONNX standard it uses");
    st = read_graph(m, graph, err);
out:
    return st;
}

/* ---------------------------------------------------------------- public */

#define LARGE_FILE ((size_t)1 << 20) /* bytes: worth a thread */

static rad_status open_bytes(rad_map *map, const void *data, size_t size, const char *name, rad_model **ret, rad_error *err) {
    rad_status st;
    rad_model *m = rad_calloc(1, sizeof *m);
    rad_arena *arena = m ? rad_arena_create() : NULL;
    if (!arena) {
        free(m);
        return rad_error_set(err, RAD_E_NOMEM, "model '%s': out of memory", name);
    }
    m->arena = arena;
    m->data = data;
    m->size = size;
    m->file = rad_arena_text(arena, name, strnlen(name, RAD_MAX_NAME_BYTES));
    if (!m->file) {
        st = rad_error_set(err, RAD_E_NOMEM, "model '%s': out of memory", name);
        goto out;
    }
    if (size > RAD_MAX_MODEL_BYTES) {
        st = rad_error_set(err, RAD_E_LIMIT, "model '%s': more than %zu bytes", name, RAD_MAX_MODEL_BYTES);
        goto out;
    }
    RAD_TRY(rad_hasher_start(data, size, map && size >= LARGE_FILE, &m->hasher, err));
    RAD_TRY(read_model(m, err));
    if (map) {
        m->map = *map;
        m->mapped = true;
    }
    *ret = m;
    m = NULL;
out:
    rad_model_close(&m);
    return st;
}

rad_status rad_model_open(const char *path, rad_model **ret, rad_error *err) {
    rad_map map;
    rad_status st = rad_map_open(path, RAD_MAX_MODEL_BYTES, &map, err);
    if (st != RAD_OK)
        return st;
    st = open_bytes(&map, map.data, map.size, path, ret, err);
    if (st != RAD_OK)
        rad_map_close(&map);
    return st;
}

rad_status rad_model_open_memory(const void *data, size_t size, const char *name, rad_model **ret, rad_error *err) {
    return open_bytes(NULL, data, size, name, ret, err);
}

void rad_model_close(rad_model **pm) {
    rad_model *m = pm ? *pm : NULL;
    if (!m)
        return;
    rad_hasher_destroy(&m->hasher);
    if (m->mapped)
        rad_map_close(&m->map);
    free(m->g.value);
    free(m->kind);
    free(m->names.slot);
    rad_arena_destroy(&m->arena);
    free(m);
    *pm = NULL;
}

rad_status rad_model_verify(const rad_model *m, rad_error *err) {
    bool same = true;
    if (!m->mapped)
        return RAD_OK;
    rad_status st = rad_hasher_compare(m->hasher, &same, err);
    if (st == RAD_OK && !same)
        st = rad_onnx_fail(m, err, "the file was overwritten while it was in use: start again, and replace model files by renaming");
    return st;
}

void rad_model_drop_pages(const rad_model *m) {
    if (m->mapped)
        rad_map_drop_pages(&m->map);
}

rad_status rad_model_sha256(const rad_model *m, char ret[RAD_SHA256_HEX], rad_error *err) {
    rad_status st = rad_hasher_wait(m->hasher, err);
    if (st == RAD_OK)
        memcpy(ret, m->hasher->sha256, sizeof m->hasher->sha256);
    return st;
}

int rad_model_opset(const rad_model *m) {
    return m->opset;
}

int64_t rad_model_parameter_count(const rad_model *m) {
    return m->n_parameter;
}

int rad_model_input_count(const rad_model *m) {
    return m->g.n_input;
}

void rad_model_get_input(const rad_model *m, int i, const char **ret_name, rad_dtype *ret_dtype, rad_shape *ret_shape) {
    const rad_value *v = &m->g.value[m->g.input[i]];
    *ret_name = v->name;
    *ret_dtype = v->dtype;
    *ret_shape = v->shape;
}
