/* Windows of convolutions and pools: output sizes and paddings against values from the ONNX specification's own formulas, worked by
 * counting which windows fit. */
#include "unit.h"

#include "radcohort/model.h"

typedef struct window_case {
    const char *op, *auto_pad;
    int64_t in, kernel, stride, dilation, begin, end; /* one axis */
    bool ceil;
    int64_t output_pad, output_shape; /* ConvTranspose; output_shape 0 = not given */
    int64_t out, want_begin, want_end, want_output_pad;
} window_case;

static rad_status get(const window_case *c, rad_window_params *p, rad_error *err) {
    int64_t pads[2] = {c->begin, c->end};
    rad_attr attr[9];
    int n = 0;
    attr[n++] = (rad_attr){.name = "kernel_shape", .kind = RAD_ATTR_INTS, .n = 1, .ints = &c->kernel};
    attr[n++] = (rad_attr){.name = "strides", .kind = RAD_ATTR_INTS, .n = 1, .ints = &c->stride};
    attr[n++] = (rad_attr){.name = "dilations", .kind = RAD_ATTR_INTS, .n = 1, .ints = &c->dilation};
    if (c->auto_pad)
        attr[n++] = (rad_attr){.name = "auto_pad", .kind = RAD_ATTR_STRING, .s = c->auto_pad};
    else
        attr[n++] = (rad_attr){.name = "pads", .kind = RAD_ATTR_INTS, .n = 2, .ints = pads};
    if (c->ceil)
        attr[n++] = (rad_attr){.name = "ceil_mode", .kind = RAD_ATTR_INT, .i = 1};
    if (c->output_pad)
        attr[n++] = (rad_attr){.name = "output_padding", .kind = RAD_ATTR_INTS, .n = 1, .ints = &c->output_pad};
    if (c->output_shape)
        attr[n++] = (rad_attr){.name = "output_shape", .kind = RAD_ATTR_INTS, .n = 1, .ints = &c->output_shape};
    rad_node node = {.op = rad_op_find(c->op, ""), .name = "w", .n_attr = n, .attr = attr, .opset = 19};
    rad_shape x = {.rank = 3, .dim = {1, 2, c->in}}, w = {.rank = 3, .dim = {2, 2, c->kernel}};
    return rad_window_params_get(&node, &x, &w, p, err);
}

static const window_case cases[] = {
    /* op, auto_pad, in, kernel, stride, dilation, begin, end, ceil, output_pad, output_shape -> out, begin, end, output_pad */
    {"Conv", NULL, 7, 3, 1, 1, 1, 1, false, 0, 0, 7, 1, 1, 0},
    {"Conv", NULL, 7, 3, 2, 1, 0, 1, false, 0, 0, 3, 0, 1, 0},
    {"Conv", NULL, 7, 3, 1, 3, 0, 0, false, 0, 0, 1, 0, 0, 0},
    {"Conv", "VALID", 8, 3, 2, 1, 0, 0, false, 0, 0, 3, 0, 0, 0},
    {"Conv", "SAME_UPPER", 8, 3, 2, 1, 0, 0, false, 0, 0, 4, 0, 1, 0},
    {"Conv", "SAME_LOWER", 8, 3, 2, 1, 0, 0, false, 0, 0, 4, 1, 0, 0},
    {"Conv", "SAME_UPPER", 7, 3, 1, 2, 0, 0, false, 0, 0, 7, 2, 2, 0},
    {"Conv", "SAME_UPPER", 9, 1, 3, 1, 0, 0, false, 0, 0, 3, 0, 0, 0},
    {"MaxPool", NULL, 6, 3, 2, 1, 0, 0, false, 0, 0, 2, 0, 0, 0},
    {"MaxPool", NULL, 6, 3, 2, 1, 0, 0, true, 0, 0, 3, 0, 0, 0},
    {"MaxPool", NULL, 7, 3, 2, 1, 0, 0, true, 0, 0, 3, 0, 0, 0},
    {"MaxPool", NULL, 3, 1, 2, 1, 0, 1, true, 0, 0, 2, 0, 1, 0}, /* a third window would lie in the padding alone */
    {"MaxPool", NULL, 4, 2, 3, 1, 1, 1, true, 0, 0, 2, 1, 1, 0},
    {"AveragePool", "SAME_UPPER", 5, 2, 2, 1, 0, 0, false, 0, 0, 3, 0, 1, 0},
    {"ConvTranspose", NULL, 4, 3, 2, 1, 0, 0, false, 0, 0, 9, 0, 0, 0},
    {"ConvTranspose", NULL, 4, 3, 2, 1, 1, 1, false, 1, 0, 8, 1, 1, 1},
    {"ConvTranspose", NULL, 4, 3, 2, 2, 0, 0, false, 0, 0, 11, 0, 0, 0},
    {"ConvTranspose", "SAME_UPPER", 4, 3, 2, 1, 0, 0, false, 0, 0, 8, 0, 1, 0},
    {"ConvTranspose", "SAME_LOWER", 4, 3, 2, 1, 0, 0, false, 0, 0, 8, 1, 0, 0},
    {"ConvTranspose", NULL, 3, 3, 3, 1, 0, 0, false, 0, 10, 10, 0, 0, 1},
    {"ConvTranspose", "SAME_UPPER", 4, 5, 2, 1, 0, 0, false, 0, 8, 8, 1, 2, 0},
};

static void table(void **state) {
    (void)state;
    rad_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const window_case *c = &cases[i];
        rad_window_params p;
        assert_ok(get(c, &p, &err));
        if (p.out[0] != c->out || p.pad_begin[0] != c->want_begin || p.pad_end[0] != c->want_end || p.output_pad[0] != c->want_output_pad ||
            p.kernel[0] != c->kernel || p.stride[0] != c->stride || p.dilation[0] != c->dilation || p.in[0] != c->in || p.n_axis != 1)
            fail_msg("case %zu (%s): out %lld, pads %lld and %lld, output padding %lld", i, c->op, (long long)p.out[0],
                     (long long)p.pad_begin[0], (long long)p.pad_end[0], (long long)p.output_pad[0]);
    }
}

static void refusals(void **state) {
    (void)state;
    rad_error err;
    rad_window_params p = {.n_axis = 42};
    const struct {
        window_case c;
        const char *text;
    } t[] = {
        {{"Conv", NULL, 2, 3, 1, 1, 0, 0, false, 0, 0, 0, 0, 0, 0}, "larger than its padded input"},
        {{"MaxPool", NULL, 4, 0, 1, 1, 0, 0, false, 0, 0, 0, 0, 0, 0}, "'kernel_shape' holds 0"},
        {{"MaxPool", NULL, 4, 2, 0, 1, 0, 0, false, 0, 0, 0, 0, 0, 0}, "'strides' holds 0"},
        {{"MaxPool", NULL, 4, 2, 1, 0, 0, 0, false, 0, 0, 0, 0, 0, 0}, "'dilations' holds 0"},
        {{"MaxPool", NULL, 4, 2, 1, 1, -1, 0, false, 0, 0, 0, 0, 0, 0}, "'pads' holds -1"},
        {{"MaxPool", NULL, 4, 2, (int64_t)1 << 40, 1, 0, 0, false, 0, 0, 0, 0, 0, 0}, "'strides' holds 1099511627776"},
        {{"MaxPool", "SOME", 4, 2, 1, 1, 0, 0, false, 0, 0, 0, 0, 0, 0}, "'auto_pad' must be"},
        {{"ConvTranspose", NULL, 1, 1, 1, 1, 1, 1, false, 0, 0, 0, 0, 0, 0}, "output would be empty"},
        {{"ConvTranspose", NULL, 1, 1, 1, 1, 0, 0, false, 0, -5, 0, 0, 0, 0}, "'output_shape'"},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        assert_fails(get(&t[i].c, &p, &err), RAD_E_MODEL, t[i].text);
        assert_int_equal(p.n_axis, 42);
    }
}

static void global_pool_is_one_window(void **state) {
    (void)state;
    rad_error err;
    rad_window_params p;
    rad_node node = {.op = rad_op_find("GlobalAveragePool", ""), .name = "g", .opset = 17};
    rad_shape x = {.rank = 5, .dim = {2, 3, 4, 5, 6}};
    assert_ok(rad_window_params_get(&node, &x, NULL, &p, &err));
    assert_int_equal(p.n_axis, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(p.kernel[i], 4 + i);
        assert_int_equal(p.out[i], 1);
    }
    x.rank = 2;
    assert_fails(rad_window_params_get(&node, &x, NULL, &p, &err), RAD_E_MODEL, "2 dims");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(refusals), cmocka_unit_test(global_pool_is_one_window)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
