/* The ONNX reader: every legal way to write the same model gives the same graph, and every broken one is an error that names its place.
 * `test_model_reader --dump FILE` prints what was read as JSON, for tests/backend/t_onnx_reader.py. */
#include "unit.h"

#include "graph_eval.h"
#include "model/model_internal.h"
#include "onnx_writer.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define N_DIMS(...) (sizeof(DIMS(__VA_ARGS__)) / sizeof(int64_t))
#define D(...) DIMS(__VA_ARGS__), N_DIMS(__VA_ARGS__)

static rad_status open_bytes(const onnx_bytes *b, rad_model **m, rad_error *err)
{
    *m = NULL;
    return rad_model_open_memory(b->p, b->n, "t.onnx", m, err);
}

static rad_status build(const onnx_bytes *b, const rad_graph_opts *o, rad_error *err)
{
    rad_model *m;
    rad_graph *g = NULL;
    rad_status st = open_bytes(b, &m, err);
    if (st == RAD_OK)
        st = rad_graph_build(m, o, &g, err);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    return st;
}

/* x [2,3,8,8] -> Conv 3x3 -> Relu -> y */
static void small(onnx_writer *w, const char *prefix, float scale)
{
    float weights[4 * 3 * 9], bias[4] = {1, -2, 0.5f, 3};
    char x[32], k[32], b[32], c[32], y[32];
    for (int i = 0; i < 108; i++)
        weights[i] = scale * (float)(i % 7 - 3);
    snprintf(x, sizeof x, "%sx", prefix);
    snprintf(k, sizeof k, "%sw", prefix);
    snprintf(b, sizeof b, "%sb", prefix);
    snprintf(c, sizeof c, "%sc", prefix);
    snprintf(y, sizeof y, "%sy", prefix);
    onnx_begin(w, 17);
    onnx_input(w, x, 1, DIMS(2, 3, 8, 8), 4);
    onnx_init_f32(w, k, D(4, 3, 3, 3), weights);
    onnx_init_f32(w, b, D(4), bias);
    onnx_node_begin(w, "Conv", c);
    onnx_node_in(w, x);
    onnx_node_in(w, k);
    onnx_node_in(w, b);
    onnx_node_out(w, c);
    onnx_attr_ints(w, "pads", D(1, 1, 1, 1));
    onnx_node_end(w);
    onnx_simple(w, "Relu", c, NULL, NULL, NULL, y);
    onnx_output(w, y);
    onnx_end(w);
}

static void hash_of(const char *prefix, float scale, bool unpacked, bool typed, char *ret)
{
    rad_error err;
    onnx_writer w = {.unpacked = unpacked, .typed = typed};
    rad_model *m;
    rad_graph *g = NULL;
    small(&w, prefix, scale);
    assert_ok(open_bytes(&w.model, &m, &err));
    assert_int_equal(rad_model_opset(m), 17);
    assert_int_equal(rad_model_parameter_count(m), 112);
    assert_ok(rad_graph_build(m, NULL, &g, &err));
    assert_int_equal(g->n_node, 1);
    assert_int_equal(g->node[0].act, RAD_FUSE_RELU);
    memcpy(ret, g->hash, sizeof g->hash);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    onnx_release(&w);
}

static void writings_agree(void **state)
{
    (void)state;
    char first[RAD_SHA256_HEX], other[RAD_SHA256_HEX];
    hash_of("", 0.1f, false, false, first);
    for (int k = 1; k < 4; k++) {
        hash_of("", 0.1f, k & 1, k & 2, other);
        assert_string_equal(first, other);
    }
    hash_of("renamed_", 0.1f, false, false, other);
    assert_string_equal(first, other);
    hash_of("", 0.1000001f, false, false, other);
    assert_string_not_equal(first, other);
}

/* The hash covers attributes, inputs and the order of operands. */
static void hash_of_node(float alpha, int64_t columns, bool swap, char *ret)
{
    rad_error err;
    onnx_writer w = {0};
    rad_model *m;
    rad_graph *g = NULL;
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, DIMS(2, columns), 2);
    onnx_node_begin(&w, "Elu", "e");
    onnx_node_in(&w, "x");
    onnx_node_out(&w, "e");
    onnx_attr_float(&w, "alpha", alpha);
    onnx_node_end(&w);
    onnx_simple(&w, "Sub", swap ? "e" : "x", swap ? "x" : "e", NULL, NULL, "y");
    onnx_output(&w, "y");
    onnx_end(&w);
    assert_ok(open_bytes(&w.model, &m, &err));
    assert_ok(rad_graph_build(m, NULL, &g, &err));
    memcpy(ret, g->hash, sizeof g->hash);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    onnx_release(&w);
}

static void hash_covers_everything(void **state)
{
    (void)state;
    char hash[5][RAD_SHA256_HEX];
    hash_of_node(0.1f, 3, false, hash[0]);
    hash_of_node(0.1f, 3, false, hash[1]);
    hash_of_node(0.2f, 3, false, hash[2]);
    hash_of_node(0.1f, 4, false, hash[3]);
    hash_of_node(0.1f, 3, true, hash[4]);
    assert_string_equal(hash[0], hash[1]);
    for (int i = 1; i < 5; i++)
        for (int k = i + 1; k < 5; k++)
            assert_string_not_equal(hash[i], hash[k]);
}

static void inputs_are_those_without_initializer(void **state)
{
    (void)state;
    rad_error err;
    onnx_writer w = {0};
    rad_model *m;
    const char *name;
    rad_dtype t;
    rad_shape s;
    onnx_begin(&w, 9);
    onnx_input(&w, "k", 1, DIMS(1), 1); /* IR 3 repeats initializers */
    onnx_input(&w, "x", 1, DIMS(-1, 4), 2);
    onnx_init_f32(&w, "k", D(1), (float[]){2});
    onnx_simple(&w, "Mul", "x", "k", NULL, NULL, "y");
    onnx_output(&w, "y");
    onnx_end(&w);
    assert_ok(open_bytes(&w.model, &m, &err));
    assert_int_equal(rad_model_input_count(m), 1);
    rad_model_get_input(m, 0, &name, &t, &s);
    assert_string_equal(name, "x");
    assert_int_equal(t, RAD_DT_F32);
    assert_int_equal(s.rank, 2);
    assert_int_equal(s.dim[0], -1);
    assert_int_equal(s.dim[1], 4);
    rad_graph *g = NULL;
    assert_fails(rad_graph_build(m, NULL, &g, &err), RAD_E_MODEL, "'x' is [?, 4]: dim 0 is open");
    assert_null(g);
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.batch = 7}, &g, &err));
    assert_int_equal(g->value[g->output[0]].shape.dim[0], 7);
    rad_graph_destroy(&g);
    rad_shape given = {.rank = 3, .dim = {1, 2, 4}};
    assert_fails(rad_graph_build(m, &(rad_graph_opts){.n_shape = 1, .shape = &given}, &g, &err), RAD_E_MODEL, "given the shape [1, 2, 4]");
    assert_fails(rad_graph_build(m, &(rad_graph_opts){.n_shape = 2, .shape = &given}, &g, &err), RAD_E_MODEL, "2 input shapes given");
    given = (rad_shape){.rank = 2, .dim = {3, 6}};
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.n_shape = 1, .shape = &given}, &g, &err));
    assert_int_equal(g->value[g->output[0]].shape.dim[1], 6);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    onnx_release(&w);
}

/* Sum of all constants in every form and type, evaluated. */
static void constants_in_every_form(void **state)
{
    (void)state;
    rad_error err;
    onnx_writer w = {0};
    rad_model *m;
    rad_graph *g = NULL;
    const uint16_t half[2] = {0x3c00, 0xc000}, brain[2] = {0x3f80, 0xc000}; /* 1, -2 */
    const double wide[2] = {0.5, 0.25};
    onnx_begin(&w, 13);
    onnx_input(&w, "x", 1, DIMS(2), 1);
    onnx_init(&w, "half", 10, 2, D(2), half);
    onnx_init(&w, "brain", 16, 2, D(2), brain);
    onnx_init(&w, "wide", 11, 8, D(2), wide);
    const char *const cast[] = {"half", "brain", "wide", "one_int", "ints"};
    onnx_node_begin(&w, "Constant", NULL);
    onnx_node_out(&w, "one_float");
    onnx_attr_float(&w, "value_float", 10);
    onnx_node_end(&w);
    onnx_node_begin(&w, "Constant", NULL);
    onnx_node_out(&w, "floats");
    onnx_attr_floats(&w, "value_floats", (float[]){100, 200}, 2);
    onnx_node_end(&w);
    onnx_node_begin(&w, "Constant", NULL);
    onnx_node_out(&w, "one_int");
    onnx_attr_int(&w, "value_int", -1000);
    onnx_node_end(&w);
    onnx_node_begin(&w, "Constant", NULL);
    onnx_node_out(&w, "ints");
    onnx_attr_ints(&w, "value_ints", D(4, -4));
    onnx_node_end(&w);
    onnx_node_begin(&w, "Constant", NULL);
    onnx_node_out(&w, "tensor");
    onnx_attr_tensor(&w, "value", 1, 4, D(2), (float[]){0.125f, 0.0625f});
    onnx_node_end(&w);
    for (int k = 0; k < 5; k++) {
        char out[32];
        snprintf(out, sizeof out, "%s_f", cast[k]);
        onnx_node_begin(&w, "Cast", NULL);
        onnx_node_in(&w, cast[k]);
        onnx_node_out(&w, out);
        onnx_attr_int(&w, "to", 1);
        onnx_node_end(&w);
    }
    const char *const all[] = {"x", "half_f", "brain_f", "wide_f", "one_int_f", "ints_f", "one_float", "floats", "tensor"};
    onnx_node_begin(&w, "Sum", "sum");
    for (int k = 0; k < 9; k++)
        onnx_node_in(&w, all[k]);
    onnx_node_out(&w, "y");
    onnx_node_end(&w);
    onnx_output(&w, "y");
    onnx_end(&w);
    assert_ok(open_bytes(&w.model, &m, &err));
    assert_ok(rad_graph_build(m, NULL, &g, &err));
    assert_int_equal(g->n_node, 1);
    const float x[2] = {0, 0}, *y;
    const void *in[1] = {x};
    void **out = NULL;
    assert_ok(graph_eval(g, in, &out, &err));
    y = out[0];
    assert_true(y[0] == 1 + 1 + 0.5f - 1000 + 4 + 10 + 100 + 0.125f);
    assert_true(y[1] == -2 - 2 + 0.25f - 1000 - 4 + 10 + 200 + 0.0625f);
    graph_eval_release(g, out);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    onnx_release(&w);
}

static void unsorted_nodes_are_sorted(void **state)
{
    (void)state;
    rad_error err;
    onnx_writer w = {0};
    rad_model *m;
    onnx_begin(&w, 17);
    onnx_input(&w, "x", 1, DIMS(2), 1);
    onnx_output(&w, "e");
    onnx_simple(&w, "Add", "c", "d", NULL, NULL, "e");
    onnx_simple(&w, "Neg", "b", NULL, NULL, NULL, "d");
    onnx_simple(&w, "Exp", "b", NULL, NULL, NULL, "c");
    onnx_simple(&w, "Abs", "x", NULL, NULL, NULL, "b");
    onnx_end(&w);
    assert_ok(open_bytes(&w.model, &m, &err));
    assert_string_equal(m->g.node[0].op->name, "Abs");
    assert_string_equal(m->g.node[3].op->name, "Add");
    rad_model_close(&m);
    assert_ok(build(&w.model, NULL, &err));
    onnx_release(&w);
}

static void taps(void **state)
{
    (void)state;
    rad_error err;
    onnx_writer w = {0};
    rad_model *m;
    rad_graph *g = NULL;
    small(&w, "layer_", 0.1f);
    assert_ok(open_bytes(&w.model, &m, &err));
    assert_fails(rad_graph_build(m, &(rad_graph_opts){.tap = "layer_v"}, &g, &err), RAD_E_MODEL, "did you mean 'layer_");
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.tap = "layer_c"}, &g, &err));
    assert_int_equal(g->n_output, 2);
    assert_string_equal(g->value[g->output[1]].name, "layer_c");
    assert_int_equal(g->n_node, 2); /* not fused through */
    rad_graph_destroy(&g);
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.tap = "layer_x"}, &g, &err)); /* an input: gets a producer */
    assert_true(g->value[g->output[1]].producer >= 0);
    rad_graph_destroy(&g);
    assert_ok(rad_graph_build(m, &(rad_graph_opts){.tap = "layer_y"}, &g, &err)); /* already an output */
    assert_int_equal(g->output[0], g->output[1]);
    rad_graph_destroy(&g);
    rad_model_close(&m);
    onnx_release(&w);
}

/* ---------------------------------------------------------------- broken files */

typedef struct broken {
    const char *what, *text;
    void (*make)(onnx_writer *w); /* between begin and end; x [2,3] is there as input */
} broken;

static void use(onnx_writer *w, const char *v)
{
    onnx_simple(w, "Relu", v, NULL, NULL, NULL, "y");
    onnx_output(w, "y");
}
static void cycle(onnx_writer *w)
{
    onnx_simple(w, "Add", "x", "b", NULL, NULL, "a");
    onnx_simple(w, "Relu", "a", NULL, NULL, NULL, "b");
    use(w, "b");
}
static void loop(onnx_writer *w)
{
    onnx_simple(w, "Add", "x", "a", NULL, NULL, "a");
    use(w, "a");
}
static void undefined(onnx_writer *w) { use(w, "nowhere"); }
static void twice(onnx_writer *w)
{
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, "y");
    use(w, "x");
}
static void shadows_input(onnx_writer *w)
{
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, "x");
    use(w, "x");
}
static void initializer_twice(onnx_writer *w)
{
    onnx_init_f32(w, "k", D(1), (float[]){2});
    onnx_init_f32(w, "k", D(1), (float[]){2});
    use(w, "x");
}
static void input_twice(onnx_writer *w)
{
    onnx_input(w, "x", 1, DIMS(2, 3), 2);
    use(w, "x");
}
static void output_twice(onnx_writer *w)
{
    use(w, "x");
    onnx_output(w, "y");
}
static void no_output(onnx_writer *w) { onnx_simple(w, "Relu", "x", NULL, NULL, NULL, "y"); }
static void missing_output(onnx_writer *w)
{
    use(w, "x");
    onnx_output(w, "z");
}
static void unknown_op(onnx_writer *w)
{
    onnx_simple(w, "Frobnicate", "x", NULL, NULL, NULL, "a");
    use(w, "a");
}
static void local_domain(onnx_writer *w)
{
    onnx_node_begin(w, "Relu", "mine");
    onnx_put_text(&w->node, 7, "com.example");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
static void control_flow(onnx_writer *w)
{
    onnx_node_begin(w, "If", "choice");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_begin(w, "then_branch", 5);
    onnx_put_bytes(&w->scratch, 6, "", 0);
    onnx_attr_end(w);
    onnx_node_end(w);
    use(w, "a");
}
static void reference_attribute(onnx_writer *w)
{
    onnx_node_begin(w, "Elu", "inner");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_begin(w, "alpha", 1);
    onnx_put_text(&w->scratch, 21, "outer_alpha");
    onnx_attr_end(w);
    onnx_node_end(w);
    use(w, "a");
}
/* A node whose attribute is a graph of a node whose attribute ...: 10000 deep, which overruns the stack of a recursive reader. */
static void nested(onnx_writer *w)
{
    onnx_bytes node = {0};
    onnx_put_text(&node, 4, "Relu");
    for (int i = 0; i < 10000; i++) {
        onnx_bytes graph = {0}, attr = {0}, outer = {0};
        onnx_put_bytes(&graph, 1, node.p, node.n);
        onnx_put_text(&attr, 1, "body");
        onnx_put_bytes(&attr, 6, graph.p, graph.n);
        onnx_put_text(&outer, 3, "nest");
        onnx_put_bytes(&outer, 5, attr.p, attr.n);
        free(graph.p);
        free(attr.p);
        free(node.p);
        node = outer;
    }
    onnx_put_bytes(&w->graph, 1, node.p, node.n);
    free(node.p);
    use(w, "x");
}
static void external(onnx_writer *w)
{
    onnx_bytes t = {0}, entry = {0};
    onnx_put_int(&t, 1, 4);
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "big");
    onnx_put_text(&entry, 1, "location");
    onnx_put_text(&entry, 2, "../../etc/passwd");
    onnx_put_bytes(&t, 13, entry.p, entry.n);
    onnx_put_int(&t, 14, 1);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    free(entry.p);
    use(w, "x");
}
static void sparse(onnx_writer *w)
{
    onnx_put_bytes(&w->graph, 15, "", 0);
    use(w, "x");
}
static void unknown_attribute(onnx_writer *w)
{
    onnx_node_begin(w, "Relu", "r");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_int(w, "consumed_inputs", 1);
    onnx_node_end(w);
    use(w, "a");
}
static void attribute_kind(onnx_writer *w)
{
    onnx_node_begin(w, "Elu", "e");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_int(w, "alpha", 1);
    onnx_node_end(w);
    use(w, "a");
}
static void attribute_twice(onnx_writer *w)
{
    onnx_node_begin(w, "Elu", "e");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_float(w, "alpha", 1);
    onnx_attr_float(w, "alpha", 2);
    onnx_node_end(w);
    use(w, "a");
}
static void arity(onnx_writer *w)
{
    onnx_simple(w, "Relu", "x", "x", NULL, NULL, "a");
    use(w, "a");
}
static void required_omitted(onnx_writer *w)
{
    onnx_simple(w, "Add", "", "x", NULL, NULL, "a");
    use(w, "a");
}
static void absurd_dims(onnx_writer *w)
{
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D((int64_t)1 << 40, (int64_t)1 << 40));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "absurd");
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void negative_dims(onnx_writer *w)
{
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(-4, -4));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "negative");
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void many_dims(onnx_writer *w)
{
    onnx_init_f32(w, "deep", D(1, 1, 1, 1, 1, 1, 1, 1, 1), (float[]){1});
    use(w, "x");
}
static void short_data(onnx_writer *w)
{
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(3));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "short");
    onnx_put_bytes(&t, 9, "12345678", 8);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void odd_type(onnx_writer *w)
{
    onnx_init(w, "c64", 14, 8, D(1), "12345678");
    use(w, "x");
}
static void text_tensor(onnx_writer *w)
{
    onnx_init(w, "words", 8, 0, D(1), "");
    use(w, "x");
}
static void too_wide(onnx_writer *w)
{
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(1));
    onnx_put_int(&t, 2, 2);
    onnx_put_text(&t, 8, "byte");
    onnx_put_int(&t, 5, 300);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void too_low(onnx_writer *w)
{
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(1));
    onnx_put_int(&t, 2, 3);
    onnx_put_text(&t, 8, "small");
    onnx_put_int(&t, 5, -129);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void long_data(onnx_writer *w)
{
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(1));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "long");
    onnx_put_bytes(&t, 9, "12345678", 8);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void huge_name(onnx_writer *w)
{
    char *name = calloc(1, (1 << 20) + 1);
    memset(name, 'n', 1 << 20);
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, name);
    use(w, "x");
    free(name);
}
static void nul_name(onnx_writer *w)
{
    onnx_node_begin(w, "Relu", "r");
    onnx_put_bytes(&w->node, 1, "x\0y", 3);
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
static void many_nodes(onnx_writer *w)
{
    for (int i = 0; i <= RAD_MAX_NODES; i++)
        onnx_put_bytes(&w->graph, 1, "", 0);
    use(w, "x");
}
static void many_inputs(onnx_writer *w)
{
    onnx_node_begin(w, "Sum", "wide");
    for (int i = 0; i <= RAD_MAX_NODE_INPUTS; i++)
        onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
static void sequence_input(onnx_writer *w)
{
    onnx_bytes v = {0};
    onnx_put_text(&v, 1, "list");
    onnx_put_bytes(&v, 2, "\x22\x00", 2);
    onnx_put_bytes(&w->graph, 11, v.p, v.n);
    free(v.p);
    use(w, "x");
}
static void bad_wire(onnx_writer *w)
{
    onnx_put(&w->graph, "\x0b", 1); /* group start */
    use(w, "x");
}
static void constant_empty(onnx_writer *w)
{
    onnx_node_begin(w, "Constant", "c");
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
/* found only when shapes are known */
static void bad_reshape(onnx_writer *w)
{
    onnx_init_i64(w, "s", D(2), DIMS(4, 4));
    onnx_simple(w, "Reshape", "x", "s", NULL, NULL, "reshaped");
    use(w, "reshaped");
}
static void absurd_expand(onnx_writer *w)
{
    onnx_init_i64(w, "s", D(4), DIMS(1 << 20, 1 << 20, 2, 3));
    onnx_simple(w, "Expand", "x", "s", NULL, NULL, "grown");
    use(w, "grown");
}
static void absurd_fill(onnx_writer *w)
{
    onnx_init_i64(w, "s", D(2), DIMS((int64_t)1 << 62, (int64_t)1 << 62));
    onnx_simple(w, "ConstantOfShape", "s", NULL, NULL, NULL, "filled");
    use(w, "filled");
}
static void wrong_type(onnx_writer *w)
{
    onnx_init_i64(w, "i", D(1), DIMS(1));
    onnx_simple(w, "Add", "x", "i", NULL, NULL, "mixed");
    use(w, "mixed");
}
static void wrong_channels(onnx_writer *w)
{
    float k[4 * 5] = {0};
    onnx_input(w, "image", 1, DIMS(1, 3, 4, 4), 4);
    onnx_init_f32(w, "k", D(4, 5, 1, 1), k);
    onnx_simple(w, "Conv", "image", "k", NULL, NULL, "conv");
    use(w, "conv");
}

static const broken at_open[] = {
    {"cycle", "cycle", cycle},
    {"node that reads itself", "node 'a' (Add) depends on its own output", loop},
    {"undefined input", "node 'y' (Relu): input 1 'nowhere' is not made", undefined},
    {"output name twice", "its output 'y' has the name of another", twice},
    {"output named like an input", "its output 'x' has the name of another", shadows_input},
    {"initializer twice", "initializer 'k' is given twice", initializer_twice},
    {"input twice", "graph input 'x' is given twice", input_twice},
    {"output twice", "graph output 'y' is given twice", output_twice},
    {"no output", "no output", no_output},
    {"output from nowhere", "graph output 'z' is not made", missing_output},
    {"unknown operator", "node 'a' (Frobnicate): operator 'Frobnicate' is not supported", unknown_op},
    {"other domain", "node 'mine' (Relu): domain 'com.example'", local_domain},
    {"control flow", "node 'choice' (If): attribute 'then_branch' is a subgraph", control_flow},
    {"function attribute", "node 'inner' (Elu): attribute 'alpha' refers to a function", reference_attribute},
    {"deep nesting", "node 'nest' (): attribute 'body' is a subgraph", nested},
    {"external data", "initializer 'big': its numbers are in a separate", external},
    {"sparse initializer", "sparse", sparse},
    {"unknown attribute", "node 'r' (Relu): attribute 'consumed_inputs' is not supported", unknown_attribute},
    {"attribute of another kind", "attribute 'alpha' is an integer, expected a float", attribute_kind},
    {"attribute twice", "attribute 'alpha' is given twice", attribute_twice},
    {"too many inputs", "has 2 inputs, expected 1 to 1", arity},
    {"required input omitted", "node 'a' (Add): input 1 is required", required_omitted},
    {"absurd dims", "initializer 'absurd'", absurd_dims},
    {"negative dims", "initializer 'negative'", negative_dims},
    {"nine dims", "initializer 'deep': more than 8 dims", many_dims},
    {"data too short", "initializer 'short': shape [3] of float32 needs 12 bytes, the file has 8", short_data},
    {"data too long", "initializer 'long': shape [1] of float32 needs 4 bytes, the file has 8", long_data},
    {"number too low", "initializer 'small': number -129 does not fit int8", too_low},
    {"complex numbers", "initializer 'c64': element type 14", odd_type},
    {"strings", "initializer 'words': string tensors", text_tensor},
    {"number too wide", "initializer 'byte': number 300 does not fit uint8", too_wide},
    {"huge name", "1048576 bytes", huge_name},
    {"NUL in a name", "NUL", nul_name},
    {"too many nodes", "more than 100000 nodes", many_nodes},
    {"inputs beyond the limit", "node 0 'wide': more than 1024 inputs", many_inputs},
    {"sequence input", "graph input 'list': only tensors", sequence_input},
    {"bad wire type", "malformed", bad_wire},
    {"empty constant", "node 'c' (Constant): expected exactly one value", constant_empty},
};
static const broken at_build[] = {
    {"reshape of another size", "node 'reshaped' (Reshape)", bad_reshape},
    {"absurd expand", "node 'grown' (Expand)", absurd_expand},
    {"absurd fill", "node 'filled' (ConstantOfShape)", absurd_fill},
    {"mixed types", "node 'mixed' (Add)", wrong_type},
    {"channels disagree", "node 'conv' (Conv)", wrong_channels},
};

static void write_broken(onnx_writer *w, const broken *b)
{
    onnx_begin(w, 17);
    onnx_input(w, "x", 1, DIMS(2, 3), 2);
    b->make(w);
    onnx_end(w);
}

static void broken_files_name_their_place(void **state)
{
    (void)state;
    rad_error err;
    for (size_t i = 0; i < sizeof at_open / sizeof at_open[0]; i++) {
        onnx_writer w = {0};
        rad_model *m;
        write_broken(&w, &at_open[i]);
        err = (rad_error){0};
        rad_status st = open_bytes(&w.model, &m, &err);
        if (st != RAD_E_MODEL || m || !strstr(err.text, at_open[i].text) || !strstr(err.text, "t.onnx"))
            fail_msg("%s: %s '%s', expected '%s'", at_open[i].what, rad_status_reason(st), err.text, at_open[i].text);
        onnx_release(&w);
    }
    for (size_t i = 0; i < sizeof at_build / sizeof at_build[0]; i++) {
        onnx_writer w = {0};
        write_broken(&w, &at_build[i]);
        err = (rad_error){0};
        rad_status st = build(&w.model, NULL, &err);
        if (st != RAD_E_MODEL || !strstr(err.text, at_build[i].text) || !strstr(err.text, "t.onnx"))
            fail_msg("%s: %s '%s', expected '%s'", at_build[i].what, rad_status_reason(st), err.text, at_build[i].text);
        onnx_release(&w);
    }
}

static void opsets(void **state)
{
    (void)state;
    rad_error err;
    for (int v = 0; v < 40; v++) {
        onnx_writer w = {0};
        onnx_begin(&w, v);
        onnx_input(&w, "x", 1, DIMS(2, 3), 2);
        use(&w, "x");
        onnx_end(&w);
        rad_model *m;
        if (v >= RAD_MIN_OPSET && v <= RAD_MAX_OPSET)
            assert_ok(open_bytes(&w.model, &m, &err));
        else
            assert_fails(open_bytes(&w.model, &m, &err), RAD_E_MODEL, "opset");
        rad_model_close(&m);
        onnx_release(&w);
    }
}

static void no_model_at_all(void **state)
{
    (void)state;
    rad_error err;
    rad_model *m = NULL;
    assert_fails(rad_model_open("/nonexistent/net.onnx", &m, &err), RAD_E_NOTFOUND, "net.onnx");
    assert_fails(rad_model_open_memory("", 0, "t.onnx", &m, &err), RAD_E_MODEL, "empty");
    assert_fails(rad_model_open_memory("\x89PNG\r\n\x1a\n", 8, "t.onnx", &m, &err), RAD_E_MODEL, "t.onnx");
    assert_fails(rad_model_open_memory("\x08\x08", 2, "t.onnx", &m, &err), RAD_E_MODEL, "no graph");
    assert_null(m);
}

/* No prefix of a model is a model, and no changed byte is more than an error. */
static void cut_and_changed_bytes(void **state)
{
    (void)state;
    rad_error err;
    onnx_writer w = {.unpacked = true};
    small(&w, "", 0.1f);
    for (size_t n = 0; n < w.model.n; n++) {
        uint8_t *part = malloc(n + 1); /* its own block, so that a read beyond the end is seen */
        rad_model *m = NULL;
        memcpy(part, w.model.p, n);
        rad_status st = rad_model_open_memory(part, n, "t.onnx", &m, &err);
        assert_int_equal(st, RAD_E_MODEL);
        free(part);
    }
    for (size_t i = 0; i < w.model.n; i++)
        for (unsigned k = 1; k < 256; k *= 2) {
            w.model.p[i] ^= (uint8_t)k;
            rad_status st = build(&w.model, NULL, &err);
            assert_true(st == RAD_OK || st == RAD_E_MODEL);
            w.model.p[i] ^= (uint8_t)k;
        }
    onnx_release(&w);
}

static void out_of_memory_anywhere(void **state)
{
    (void)state;
    rad_error err;
    onnx_writer w = {0};
    small(&w, "", 0.1f);
    rad_status st = RAD_E_NOMEM;
    int n = 0;
    while (st != RAD_OK) {
        rad_mem_fail_after(++n);
        err = (rad_error){0};
        st = build(&w.model, &(rad_graph_opts){.batch = 3}, &err);
        rad_mem_fail_after(0);
        if (st != RAD_OK && st != RAD_E_NOMEM)
            fail_msg("allocation %d: %s '%s'", n, rad_status_reason(st), err.text);
    }
    assert_true(n > 20);
    onnx_release(&w);
}

/* ---------------------------------------------------------------- dump */

static void dump_text(const char *s)
{
    putchar('"');
    for (; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 32)
            printf("\\u%04x", (unsigned)(unsigned char)*s);
        else
            putchar(*s);
    putchar('"');
}

static void dump_tensor(rad_dtype t, const rad_shape *s, const void *data)
{
    char hex[RAD_SHA256_HEX] = "";
    rad_error err;
    printf("{\"type\": %d, \"dims\": [", (int)t);
    for (int i = 0; i < s->rank; i++)
        printf("%s%lld", i ? ", " : "", (long long)s->dim[i]);
    if (rad_sha256(data, (size_t)rad_shape_count(s) * rad_dtype_size(t), hex, &err) != RAD_OK)
        exit(1);
    printf("], \"sha256\": \"%s\"}", hex);
}

static void dump_attr(const rad_attr *a)
{
    dump_text(a->name);
    printf(": ");
    switch (a->kind) {
    case RAD_ATTR_FLOAT: printf("%.17g", a->f); break;
    case RAD_ATTR_INT: printf("%lld", (long long)a->i); break;
    case RAD_ATTR_STRING: dump_text(a->s); break;
    case RAD_ATTR_TENSOR: dump_tensor(a->t.dtype, &a->t.shape, a->t.data); break;
    case RAD_ATTR_FLOATS:
    case RAD_ATTR_INTS:
    case RAD_ATTR_STRINGS:
        printf("[");
        for (int64_t i = 0; i < a->n; i++) {
            printf("%s", i ? ", " : "");
            if (a->kind == RAD_ATTR_FLOATS)
                printf("%.17g", a->floats[i]);
            else if (a->kind == RAD_ATTR_INTS)
                printf("%lld", (long long)a->ints[i]);
            else
                dump_text(a->strings[i]);
        }
        printf("]");
        break;
    case RAD_ATTR_NONE: printf("null"); break;
    }
}

static int dump(const char *path)
{
    rad_model *m = NULL;
    rad_error err = {0};
    if (rad_model_open(path, &m, &err) != RAD_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const rad_graph *g = &m->g;
    printf("{\"opset\": %d, \"parameters\": %lld, \"sha256\": \"%s\", \"inputs\": [", rad_model_opset(m), (long long)rad_model_parameter_count(m),
           rad_model_sha256(m));
    for (int i = 0; i < g->n_input; i++) {
        const rad_value *v = &g->value[g->input[i]];
        printf("%s[", i ? ", " : "");
        dump_text(v->name);
        for (int k = 0; k < v->shape.rank; k++)
            printf(", %lld", (long long)v->shape.dim[k]);
        printf("]");
    }
    printf("], \"outputs\": [");
    for (int i = 0; i < g->n_output; i++) {
        printf("%s", i ? ", " : "");
        dump_text(g->value[g->output[i]].name);
    }
    printf("], \"constants\": {");
    for (int v = 0, first = 1; v < g->n_value; v++)
        if (g->value[v].data) {
            printf("%s", first ? "" : ", ");
            first = 0;
            dump_text(g->value[v].name);
            printf(": ");
            dump_tensor(g->value[v].dtype, &g->value[v].shape, g->value[v].data);
        }
    printf("}, \"nodes\": [");
    for (int i = 0; i < g->n_node; i++) {
        const rad_node *n = &g->node[i];
        printf("%s{\"op\": \"%s\", \"name\": ", i ? ", " : "", n->op->name);
        dump_text(n->name);
        for (int side = 0; side < 2; side++) {
            printf(", \"%s\": [", side ? "out" : "in");
            for (int k = 0; k < (side ? n->n_output : n->n_input); k++) {
                int v = side ? n->output[k] : n->input[k];
                printf("%s", k ? ", " : "");
                dump_text(v < 0 ? "" : g->value[v].name);
            }
            printf("]");
        }
        printf(", \"attributes\": {");
        for (int k = 0; k < n->n_attr; k++) {
            printf("%s", k ? ", " : "");
            dump_attr(&n->attr[k]);
        }
        printf("}}");
    }
    printf("]}\n");
    rad_model_close(&m);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        return dump(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writings_agree),
        cmocka_unit_test(hash_covers_everything),
        cmocka_unit_test(inputs_are_those_without_initializer),
        cmocka_unit_test(constants_in_every_form),
        cmocka_unit_test(unsorted_nodes_are_sorted),
        cmocka_unit_test(taps),
        cmocka_unit_test(broken_files_name_their_place),
        cmocka_unit_test(opsets),
        cmocka_unit_test(no_model_at_all),
        cmocka_unit_test(cut_and_changed_bytes),
        cmocka_unit_test(out_of_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
