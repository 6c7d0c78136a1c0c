/* nodes.h (private to cudnn/): the translators of node_*.c. */
#ifndef RAD_CUDNN_NODES_H
#define RAD_CUDNN_NODES_H

#include "plan.h"

rad_status g_node_conv(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_gemm(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_matmul(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_pool(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_reduce(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_unary(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_binary(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_batch_norm(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_norm(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_softmax(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_view(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_transpose(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_concat(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_slice(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_split(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_gather(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_pad(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_expand(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_blocks(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_node_resize(struct g_build *b, const rad_node *n, rad_error *err);
/* node_host.c */
bool g_host_takes(const rad_graph *g, const rad_node *n);
rad_status g_node_host(struct g_build *b, const rad_node *n, rad_error *err);
rad_status g_make_raw(struct g_build *b, int value, int *ret, rad_error *err);

#endif
