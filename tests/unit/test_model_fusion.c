/* Merging of parallel branches and fusion of residual sums and activations, on small generated networks: the changed graph has the expected
 * nodes and computes what the unchanged one does, and stays as it is where that would not be exact. */
#include "model_net.h"

/* ---------------------------------------------------------------- branches */

static void branches(void **state) {
    (void)state;
    onnx_writer w;
    for (int order = 0; order < 6; order++) /* 3x3 + 1x1 + norm in every order, for every grouping */
        for (int64_t group = 1; group <= 4; group *= 2) {
            static const int perm[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
            static const char *const name[3] = {"a", "b", "c"};
            start(&w, DIMS(2, 4, 6, 5), 4);
            conv(&w, "Conv", "x", "a0", D(4, 4 / group, 3, 3), false, 1, group);
            norm(&w, "a0", "a", 4);
            conv(&w, "Conv", "x", "b0", D(4, 4 / group, 1, 1), false, 0, group);
            norm(&w, "b0", "b", 4);
            norm(&w, "x", "c", 4);
            onnx_simple(&w, "Add", name[perm[order][0]], name[perm[order][1]], NULL, NULL, "s");
            onnx_simple(&w, "Add", "s", name[perm[order][2]], NULL, NULL, "t");
            onnx_simple(&w, "Relu", "t", NULL, NULL, NULL, "y");
            /* 1x1 + norm first is a merge too */
            expect(&w, "y", "Conv+", NULL);
        }

    start(&w, DIMS(1, 4, 6, 5), 4); /* one Sum of three, and a plain operand that stays */
    conv(&w, "Conv", "x", "a", D(4, 4, 3, 3), true, 1, 1);
    conv(&w, "Conv", "x", "b", D(4, 4, 1, 1), true, 0, 1);
    onnx_simple(&w, "Sum", "b", "x", "a", NULL, "y");
    expect(&w, "y", "Conv Sum", NULL);

    start(&w, DIMS(1, 4, 6, 5), 4); /* 1x3 and 3x1 within 3x3 */
    conv(&w, "Conv", "x", "a", D(4, 4, 3, 3), true, 1, 1);
    weights(&w, "kb", DIMS(4, 4, 1, 3), 4, 0);
    onnx_node_begin(&w, "Conv", "b");
    onnx_node_in(&w, "x");
    onnx_node_in(&w, "kb");
    onnx_node_out(&w, "b");
    onnx_attr_ints(&w, "pads", D(0, 1, 0, 1));
    onnx_node_end(&w);
    onnx_simple(&w, "Sum", "a", "b", NULL, NULL, "y");
    expect(&w, "y", "Conv", NULL);

    start(&w, DIMS(1, 4, 6, 5), 4); /* not the same input */
    onnx_simple(&w, "Relu", "x", NULL, NULL, NULL, "r");
    conv(&w, "Conv", "x", "a", D(4, 4, 3, 3), true, 1, 1);
    conv(&w, "Conv", "r", "b", D(4, 4, 1, 1), true, 0, 1);
    onnx_simple(&w, "Add", "a", "b", NULL, NULL, "y");
    expect(&w, "y", "Relu Conv Conv~", NULL);

    start(&w, DIMS(1, 4, 6, 5), 4); /* another reader of a branch */
    conv(&w, "Conv", "x", "a", D(4, 4, 3, 3), true, 1, 1);
    conv(&w, "Conv", "x", "b", D(4, 4, 1, 1), true, 0, 1);
    onnx_simple(&w, "Add", "a", "b", NULL, NULL, "s");
    onnx_simple(&w, "Mul", "s", "b", NULL, NULL, "y");
    expect(&w, "y", "Conv Conv~ Mul", NULL);
}

/* ---------------------------------------------------------------- fusion */

static void activations(void **state) {
    (void)state;
    onnx_writer w;
    static const struct {
        const char *op;
        int opset;
        const char *want;
    } t[] = {{"Relu", 17, "Conv+"},
             {"Sigmoid", 17, "Conv+"},
             {"Tanh", 17, "Conv+"},
             {"HardSwish", 17, "Conv+"},
             {"LeakyRelu", 17, "Conv+"},
             {"Elu", 17, "Conv Elu"},
             {"Softplus", 17, "Conv Softplus"}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        start_opset(&w, DIMS(1, 3, 6, 6), 4, t[i].opset);
        conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
        onnx_simple(&w, t[i].op, "c", NULL, NULL, NULL, "y");
        expect(&w, "y", t[i].want, NULL);
    }

    static const char *const bounds[4][3] = {
        {"lo", "hi", "Conv+"}, {"zero", NULL, "Conv+"}, {"lo", NULL, "Conv Clip"}, {"", "hi", "Conv Clip"}};
    for (int i = 0; i < 4; i++) {
        start(&w, DIMS(1, 3, 6, 6), 4);
        conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
        onnx_init_f32(&w, "lo", NULL, 0, (float[]){-0.5f});
        onnx_init_f32(&w, "zero", NULL, 0, (float[]){0});
        onnx_init_f32(&w, "hi", NULL, 0, (float[]){1.5f});
        onnx_simple(&w, "Clip", "c", bounds[i][0], bounds[i][1], NULL, "y");
        expect(&w, "y", bounds[i][2], NULL);
    }

    start_opset(&w, DIMS(1, 3, 6, 6), 4, 10); /* bounds as attributes */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    onnx_node_begin(&w, "Clip", "y");
    onnx_node_in(&w, "c");
    onnx_node_out(&w, "y");
    onnx_attr_float(&w, "min", 0);
    onnx_attr_float(&w, "max", 6);
    onnx_node_end(&w);
    expect(&w, "y", "Conv+", NULL);

    for (int swap = 0; swap < 2; swap++) { /* x * sigmoid(x) */
        start(&w, DIMS(1, 3, 6, 6), 4);
        conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
        onnx_simple(&w, "Sigmoid", "c", NULL, NULL, NULL, "s");
        onnx_simple(&w, "Mul", swap ? "s" : "c", swap ? "c" : "s", NULL, NULL, "y");
        expect(&w, "y", "Conv+", NULL);
    }

    for (int k = 0; k < 2; k++) { /* x * hardsigmoid(x), of the right slope only */
        start(&w, DIMS(1, 3, 6, 6), 4);
        conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
        onnx_node_begin(&w, "HardSigmoid", "s");
        onnx_node_in(&w, "c");
        onnx_node_out(&w, "s");
        onnx_attr_float(&w, "alpha", k ? 0.2f : 1.0f / 6);
        onnx_node_end(&w);
        onnx_simple(&w, "Mul", "c", "s", NULL, NULL, "y");
        expect(&w, "y", k ? "Conv HardSigmoid Mul" : "Conv+", NULL);
    }

    start(&w, DIMS(1, 3, 6, 6), 4); /* the gate is read elsewhere too */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Sigmoid", "c", NULL, NULL, NULL, "s");
    onnx_simple(&w, "Mul", "c", "s", NULL, NULL, "m");
    onnx_simple(&w, "Sub", "m", "s", NULL, NULL, "y");
    expect(&w, "y", "Conv Sigmoid Mul Sub", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* as is what it gates */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Sigmoid", "c", NULL, NULL, NULL, "s");
    onnx_simple(&w, "Mul", "c", "s", NULL, NULL, "m");
    onnx_simple(&w, "Sub", "m", "c", NULL, NULL, "y");
    expect(&w, "y", "Conv Sigmoid Mul Sub", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* two activations: only the first */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Tanh", "c", NULL, NULL, NULL, "t");
    onnx_simple(&w, "Sigmoid", "t", NULL, NULL, NULL, "y");
    expect(&w, "y", "Conv+ Sigmoid", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* the tap lies between */
    conv(&w, "Conv", "x", "c", D(4, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Relu", "c", NULL, NULL, NULL, "y");
    expect(&w, "y", "Conv Relu", "c");
}

static void residuals(void **state) {
    (void)state;
    onnx_writer w;
    start(&w, DIMS(1, 3, 6, 6), 4); /* a block whose shortcut has its own convolution, made after the main path */
    onnx_simple(&w, "Relu", "x", NULL, NULL, NULL, "r");
    conv(&w, "Conv", "r", "a", D(4, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Relu", "a", NULL, NULL, NULL, "b");
    conv(&w, "Conv", "b", "c", D(4, 4, 3, 3), true, 1, 1);
    conv(&w, "Conv", "x", "short", D(4, 3, 1, 1), true, 0, 1);
    onnx_simple(&w, "Add", "c", "short", NULL, NULL, "s");
    onnx_simple(&w, "Relu", "s", NULL, NULL, NULL, "y");
    expect(&w, "y", "Relu Conv+ Conv Conv~+", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* the shortcut is made after the convolution that takes the sum */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Exp", "x", NULL, NULL, NULL, "e");
    onnx_simple(&w, "Add", "c", "e", NULL, NULL, "y");
    expect(&w, "y", "Exp Conv~", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* twice the same value */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Add", "c", "c", NULL, NULL, "y");
    expect(&w, "y", "Conv Add", NULL);

    start(&w, DIMS(2, 3, 6, 6), 4); /* broadcast is no residual, but the sum takes the activation */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "GlobalAveragePool", "x", NULL, NULL, NULL, "g");
    onnx_simple(&w, "Add", "c", "g", NULL, NULL, "s");
    onnx_simple(&w, "Relu", "s", NULL, NULL, NULL, "y");
    expect(&w, "y", "Conv GlobalAveragePool Add+", NULL);

    start(&w, DIMS(1, 3, 6, 6), 4); /* an activation before the sum keeps them apart */
    conv(&w, "Conv", "x", "c", D(3, 3, 3, 3), true, 1, 1);
    onnx_simple(&w, "Relu", "c", NULL, NULL, NULL, "r");
    onnx_simple(&w, "Add", "r", "x", NULL, NULL, "y");
    expect(&w, "y", "Conv+ Add", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(branches), cmocka_unit_test(activations), cmocka_unit_test(residuals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
