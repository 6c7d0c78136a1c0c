/* Broken and hostile ONNX files: each is an error of the model that names the file and the place, and costs nothing else. */
#include "model/model_internal.h"
#include "model_bytes.h"

typedef struct broken {
    const char *what, *text;
    void (*make)(onnx_writer *w); /* between begin and end; x [2,3] is there as input */
} broken;

static void use(onnx_writer *w, const char *v) {
    onnx_simple(w, "Relu", v, NULL, NULL, NULL, "y");
    onnx_output(w, "y");
}
static void cycle(onnx_writer *w) {
    onnx_simple(w, "Add", "x", "b", NULL, NULL, "a");
    onnx_simple(w, "Relu", "a", NULL, NULL, NULL, "b");
    use(w, "b");
}
static void loop(onnx_writer *w) {
    onnx_simple(w, "Add", "x", "a", NULL, NULL, "a");
    use(w, "a");
}
static void undefined(onnx_writer *w) {
    use(w, "nowhere");
}
static void twice(onnx_writer *w) {
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, "y");
    use(w, "x");
}
static void shadows_input(onnx_writer *w) {
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, "x");
    use(w, "x");
}
static void initializer_twice(onnx_writer *w) {
    onnx_init_f32(w, "k", D(1), (float[]){2});
    onnx_init_f32(w, "k", D(1), (float[]){2});
    use(w, "x");
}
static void input_twice(onnx_writer *w) {
    onnx_input(w, "x", 1, DIMS(2, 3), 2);
    use(w, "x");
}
static void output_twice(onnx_writer *w) {
    use(w, "x");
    onnx_output(w, "y");
}
static void no_output(onnx_writer *w) {
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, "y");
}
static void missing_output(onnx_writer *w) {
    use(w, "x");
    onnx_output(w, "z");
}
static void unknown_op(onnx_writer *w) {
    onnx_simple(w, "Frobnicate", "x", NULL, NULL, NULL, "a");
    use(w, "a");
}
static void local_domain(onnx_writer *w) {
    onnx_node_begin(w, "Relu", "mine");
    onnx_put_text(&w->node, 7, "com.example");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
static void control_flow(onnx_writer *w) {
    onnx_node_begin(w, "If", "choice");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_begin(w, "then_branch", 5);
    onnx_put_bytes(&w->scratch, 6, "", 0);
    onnx_attr_end(w);
    onnx_node_end(w);
    use(w, "a");
}
static void reference_attribute(onnx_writer *w) {
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
static void nested(onnx_writer *w) {
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
static void external(onnx_writer *w) {
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
static void sparse(onnx_writer *w) {
    onnx_put_bytes(&w->graph, 15, "", 0);
    use(w, "x");
}
static void unknown_attribute(onnx_writer *w) {
    onnx_node_begin(w, "Relu", "r");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_int(w, "consumed_inputs", 1);
    onnx_node_end(w);
    use(w, "a");
}
static void attribute_kind(onnx_writer *w) {
    onnx_node_begin(w, "Elu", "e");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_int(w, "alpha", 1);
    onnx_node_end(w);
    use(w, "a");
}
static void attribute_twice(onnx_writer *w) {
    onnx_node_begin(w, "Elu", "e");
    onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_attr_float(w, "alpha", 1);
    onnx_attr_float(w, "alpha", 2);
    onnx_node_end(w);
    use(w, "a");
}
static void arity(onnx_writer *w) {
    onnx_simple(w, "Relu", "x", "x", NULL, NULL, "a");
    use(w, "a");
}
static void required_omitted(onnx_writer *w) {
    onnx_simple(w, "Add", "", "x", NULL, NULL, "a");
    use(w, "a");
}
static void absurd_dims(onnx_writer *w) {
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D((int64_t)1 << 40, (int64_t)1 << 40));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "absurd");
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void negative_dims(onnx_writer *w) {
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(-4, -4));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "negative");
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void many_dims(onnx_writer *w) {
    onnx_init_f32(w, "deep", D(1, 1, 1, 1, 1, 1, 1, 1, 1), (float[]){1});
    use(w, "x");
}
static void short_data(onnx_writer *w) {
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(3));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "short");
    onnx_put_bytes(&t, 9, "12345678", 8);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void odd_type(onnx_writer *w) {
    onnx_init(w, "c64", 14, 8, D(1), "12345678");
    use(w, "x");
}
static void text_tensor(onnx_writer *w) {
    onnx_init(w, "words", 8, 0, D(1), "");
    use(w, "x");
}
static void too_wide(onnx_writer *w) {
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(1));
    onnx_put_int(&t, 2, 2);
    onnx_put_text(&t, 8, "byte");
    onnx_put_int(&t, 5, 300);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void too_low(onnx_writer *w) {
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(1));
    onnx_put_int(&t, 2, 3);
    onnx_put_text(&t, 8, "small");
    onnx_put_int(&t, 5, -129);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void long_data(onnx_writer *w) {
    onnx_bytes t = {0};
    onnx_put_ints(w, &t, 1, D(1));
    onnx_put_int(&t, 2, 1);
    onnx_put_text(&t, 8, "long");
    onnx_put_bytes(&t, 9, "12345678", 8);
    onnx_put_bytes(&w->graph, 5, t.p, t.n);
    free(t.p);
    use(w, "x");
}
static void huge_name(onnx_writer *w) {
    char *name = calloc(1, (1 << 20) + 1);
    memset(name, 'n', 1 << 20);
    onnx_simple(w, "Relu", "x", NULL, NULL, NULL, name);
    use(w, "x");
    free(name);
}
static void nul_name(onnx_writer *w) {
    onnx_node_begin(w, "Relu", "r");
    onnx_put_bytes(&w->node, 1, "x\0y", 3);
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
static void many_nodes(onnx_writer *w) {
    for (int i = 0; i <= RAD_MAX_NODES; i++)
        onnx_put_bytes(&w->graph, 1, "", 0);
    use(w, "x");
}
static void many_inputs(onnx_writer *w) {
    onnx_node_begin(w, "Sum", "wide");
    for (int i = 0; i <= RAD_MAX_NODE_INPUTS; i++)
        onnx_node_in(w, "x");
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
static void sequence_input(onnx_writer *w) {
    onnx_bytes v = {0};
    onnx_put_text(&v, 1, "list");
    onnx_put_bytes(&v, 2, "\x22\x00", 2);
    onnx_put_bytes(&w->graph, 11, v.p, v.n);
    free(v.p);
    use(w, "x");
}
static void bad_wire(onnx_writer *w) {
    onnx_put(&w->graph, "\x0b", 1); /* group start */
    use(w, "x");
}
static void constant_empty(onnx_writer *w) {
    onnx_node_begin(w, "Constant", "c");
    onnx_node_out(w, "a");
    onnx_node_end(w);
    use(w, "a");
}
/* found only when shapes are known */
static void bad_reshape(onnx_writer *w) {
    onnx_init_i64(w, "s", D(2), DIMS(4, 4));
    onnx_simple(w, "Reshape", "x", "s", NULL, NULL, "reshaped");
    use(w, "reshaped");
}
static void absurd_expand(onnx_writer *w) {
    onnx_init_i64(w, "s", D(4), DIMS(1 << 20, 1 << 20, 2, 3));
    onnx_simple(w, "Expand", "x", "s", NULL, NULL, "grown");
    use(w, "grown");
}
static void absurd_fill(onnx_writer *w) {
    onnx_init_i64(w, "s", D(2), DIMS((int64_t)1 << 62, (int64_t)1 << 62));
    onnx_simple(w, "ConstantOfShape", "s", NULL, NULL, NULL, "filled");
    use(w, "filled");
}
static void wrong_type(onnx_writer *w) {
    onnx_init_i64(w, "i", D(1), DIMS(1));
    onnx_simple(w, "Add", "x", "i", NULL, NULL, "mixed");
    use(w, "mixed");
}
static void wrong_channels(onnx_writer *w) {
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
    {"reshape of another size", "node 'reshaped' (Reshape)", bad_reshape}, {"absurd expand", "node 'grown' (Expand)", absurd_expand},
    {"absurd fill", "node 'filled' (ConstantOfShape)", absurd_fill},       {"mixed types", "node 'mixed' (Add)", wrong_type},
    {"channels disagree", "node 'conv' (Conv)", wrong_channels},
};

static void write_broken(onnx_writer *w, const broken *b) {
    onnx_begin(w, 17);
    onnx_input(w, "x", 1, DIMS(2, 3), 2);
    b->make(w);
    onnx_end(w);
}

static void broken_files_name_their_place(void **state) {
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

static void opsets(void **state) {
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

static void no_model_at_all(void **state) {
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
static void cut_and_changed_bytes(void **state) {
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

static void out_of_memory_anywhere(void **state) {
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_files_name_their_place),
        cmocka_unit_test(opsets),
        cmocka_unit_test(no_model_at_all),
        cmocka_unit_test(cut_and_changed_bytes),
        cmocka_unit_test(out_of_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
