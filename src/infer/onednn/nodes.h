/* nodes.h (private to onednn/): one translator per family of operators; table in nodes.c. */
#ifndef RAD_ONEDNN_NODES_H
#define RAD_ONEDNN_NODES_H

#include "plan.h"

rad_status dn_node_conv(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_gemm(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_matmul(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_pool(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_reduce(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_batch_norm(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_layer_norm(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_softmax(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_unary(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_binary(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_view(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_transpose(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);
rad_status dn_node_concat(struct dn_build *b, const rad_node *n, bool *ret_done, rad_error *err);

/* A float value in a dense form fit for windows over channels: as it was made when that is blocked or channels-last, else brought there. */
rad_status dn_channel_form(struct dn_build *b, int value, int *ret_tensor, rad_layout *ret_layout, rad_error *err) RAD_MUST_CHECK;
/* The same memory as value `y`'s plain form, but described with other dims of the same count (`md`, row-major): y gets its plain form,
 * the caller the tensor to write to. */
rad_status dn_make_viewed(struct dn_build *b, int y, const rad_md *md, int *ret_tensor, rad_error *err) RAD_MUST_CHECK;

#endif
