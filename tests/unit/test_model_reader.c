/* The ONNX reader: every legal way to write the same model gives the same graph.
 * `test_model_reader --dump FILE` prints what was read as JSON, for tests/backend/t_onnx_reader.py. */
#include "graph_eval.h"
#include "model/model_internal.h"
#include "model_bytes.h"

static void hash_of(const char *prefix, float scale, bool unpacked, bool typed, char *ret) {
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

static void writings_agree(void **state) {
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
static void hash_of_node(float alpha, int64_t columns, bool swap, char *ret) {
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

static void hash_covers_everything(void **state) {
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

static void inputs_are_those_without_initializer(void **state) {
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
static void constants_in_every_form(void **state) {
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

static void unsorted_nodes_are_sorted(void **state) {
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

static void taps(void **state) {
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

/* ---------------------------------------------------------------- dump */

static void dump_text(const char *s) {
    putchar('"');
    for (; *s; s++)
        if (*s == '"' || *s == '\\' || (unsigned char)*s < 32)
            printf("\\u%04x", (unsigned)(unsigned char)*s);
        else
            putchar(*s);
    putchar('"');
}

static void dump_tensor(rad_dtype t, const rad_shape *s, const void *data) {
    char hex[RAD_SHA256_HEX] = "";
    rad_error err;
    printf("{\"type\": %d, \"dims\": [", (int)t);
    for (int i = 0; i < s->rank; i++)
        printf("%s%lld", i ? ", " : "", (long long)s->dim[i]);
    if (rad_sha256(data, (size_t)rad_shape_count(s) * rad_dtype_size(t), hex, &err) != RAD_OK)
        exit(1);
    printf("], \"sha256\": \"%s\"}", hex);
}

static void dump_attr(const rad_attr *a) {
    dump_text(a->name);
    printf(": ");
    switch (a->kind) {
    case RAD_ATTR_FLOAT:
        printf("%.17g", a->f);
        break;
    case RAD_ATTR_INT:
        printf("%lld", (long long)a->i);
        break;
    case RAD_ATTR_STRING:
        dump_text(a->s);
        break;
    case RAD_ATTR_TENSOR:
        dump_tensor(a->t.dtype, &a->t.shape, a->t.data);
        break;
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
    case RAD_ATTR_NONE:
        printf("null");
        break;
    }
}

static int dump(const char *path) {
    rad_model *m = NULL;
    rad_error err = {0};
    if (rad_model_open(path, &m, &err) != RAD_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    char sha256[RAD_SHA256_HEX];
    if (rad_model_sha256(m, sha256, &err) != RAD_OK)
        return 1;
    const rad_graph *g = &m->g;
    printf("{\"opset\": %d, \"parameters\": %lld, \"sha256\": \"%s\", \"inputs\": [", rad_model_opset(m),
           (long long)rad_model_parameter_count(m), sha256);
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

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--dump") == 0)
        return dump(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writings_agree),
        cmocka_unit_test(hash_covers_everything),
        cmocka_unit_test(inputs_are_those_without_initializer),
        cmocka_unit_test(constants_in_every_form),
        cmocka_unit_test(unsorted_nodes_are_sorted),
        cmocka_unit_test(taps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
