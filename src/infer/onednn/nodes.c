/* nodes.c: which operator goes to which translator. */
#include "nodes.h"

#include <string.h>

static const struct {
    const char *op;
    dn_translate translate;
} table[] = {
    {"Abs", dn_node_unary},
    {"Add", dn_node_binary},
    {"AveragePool", dn_node_pool},
    {"BatchNormalization", dn_node_batch_norm},
    {"Clip", dn_node_unary},
    {"Concat", dn_node_concat},
    {"Conv", dn_node_conv},
    {"ConvTranspose", dn_node_conv},
    {"Div", dn_node_binary},
    {"Dropout", dn_node_view},
    {"Elu", dn_node_unary},
    {"Exp", dn_node_unary},
    {"Flatten", dn_node_view},
    {"Gemm", dn_node_gemm},
    {"Gelu", dn_node_unary},
    {"GlobalAveragePool", dn_node_pool},
    {"GlobalMaxPool", dn_node_pool},
    {"HardSigmoid", dn_node_unary},
    {"HardSwish", dn_node_unary},
    {"Identity", dn_node_view},
    {"LayerNormalization", dn_node_layer_norm},
    {"LeakyRelu", dn_node_unary},
    {"LogSoftmax", dn_node_softmax},
    {"MatMul", dn_node_matmul},
    {"Max", dn_node_binary},
    {"MaxPool", dn_node_pool},
    {"Min", dn_node_binary},
    {"Mul", dn_node_binary},
    {"Neg", dn_node_unary},
    {"Pow", dn_node_unary},
    {"ReduceMax", dn_node_reduce},
    {"ReduceMean", dn_node_reduce},
    {"Relu", dn_node_unary},
    {"Reshape", dn_node_view},
    {"Sigmoid", dn_node_unary},
    {"Softmax", dn_node_softmax},
    {"Softplus", dn_node_unary},
    {"Sqrt", dn_node_unary},
    {"Squeeze", dn_node_view},
    {"Sub", dn_node_binary},
    {"Sum", dn_node_binary},
    {"Tanh", dn_node_unary},
    {"Transpose", dn_node_transpose},
    {"Unsqueeze", dn_node_view},
};

dn_translate dn_translator(const char *op_name) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].op, op_name) == 0)
            return table[i].translate;
    return NULL;
}

rad_status dn_make_viewed(struct dn_build *b, int y, const rad_md *md, int *ret_tensor, rad_error *err) {
    int plain = -1;
    rad_status st = dn_make_plain(b, y, &plain, err);
    return st == RAD_OK ? dn_view(b, plain, md, ret_tensor, err) : st;
}
