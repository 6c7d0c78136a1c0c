"""Writes tests/unit/op_torch_values.h: what PyTorch computes (in float64) on the inputs of tests/unit/test_ops_torch.c.

    /usr/bin/python3 tests/data/make_op_values.py > tests/unit/op_torch_values.h
"""
import torch
import torch.nn.functional as F


def seq(shape, seed):
    n = 1
    for d in shape:
        n *= d
    x = [((i * 37 + seed * 11) % 101 - 50) / 25.0 for i in range(n)]
    return torch.tensor(x, dtype=torch.float32).double().reshape(shape)


X = seq((2, 4, 6, 5), 1)
CASES = {
    "conv2d_strided": F.conv2d(X, seq((3, 4, 3, 2), 2), seq((3,), 3), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
    "conv2d_groups": F.conv2d(X, seq((6, 2, 2, 2), 2), None, stride=2, groups=2),
    "conv2d_depthwise": F.conv2d(X, seq((4, 1, 3, 3), 2), seq((4,), 3), padding=1, groups=4)[:1],
    "conv2d_pointwise": F.conv2d(X, seq((2, 4, 1, 1), 2), seq((2,), 3)),
    "conv2d_asymmetric": F.conv2d(F.pad(X, (2, 0, 0, 1)), seq((2, 4, 3, 3), 2), None, stride=2),
    "conv1d": F.conv1d(seq((2, 3, 9), 1), seq((2, 3, 3), 2), seq((2,), 3), stride=2, padding=2),
    "conv3d": F.conv3d(seq((1, 2, 4, 4, 5), 1), seq((2, 2, 2, 3, 2), 2), seq((2,), 3), stride=(1, 2, 2), padding=(1, 1, 0)),
    "deconv2d": F.conv_transpose2d(seq((1, 4, 3, 4), 1), seq((4, 2, 3, 3), 2), seq((4,), 3), stride=2, padding=1, output_padding=(1, 0), groups=2),
    "deconv2d_dilated": F.conv_transpose2d(seq((1, 2, 3, 3), 1), seq((2, 2, 2, 2), 2), None, stride=(1, 2), dilation=2),
    "deconv3d": F.conv_transpose3d(seq((1, 2, 2, 2, 3), 1), seq((2, 1, 2, 2, 2), 2), seq((1,), 3), stride=2),
    "maxpool_ceil": F.max_pool2d(X, 3, 2, padding=1, ceil_mode=True),
    "maxpool_dilated": F.max_pool2d(X, (2, 2), (2, 1), dilation=(2, 1)),
    "avgpool_include": F.avg_pool2d(X, 3, 2, padding=1, ceil_mode=True, count_include_pad=True),
    "avgpool_exclude": F.avg_pool2d(X, 3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    "avgpool3d": F.avg_pool3d(seq((1, 2, 4, 4, 4), 1), 2, (2, 1, 2)),
    "lppool": F.lp_pool2d(X[:1], 2, 2, 2),
    "global_average": F.adaptive_avg_pool2d(X, 1),
    "batch_norm": F.batch_norm(X[:1], seq((4,), 4), seq((4,), 5).abs() + 0.5, seq((4,), 2), seq((4,), 3), eps=1e-3),
    "instance_norm": F.instance_norm(X, None, None, seq((4,), 2), seq((4,), 3), eps=1e-5)[1:],
    "group_norm": F.group_norm(X, 2, seq((4,), 2), seq((4,), 3), eps=1e-5)[1:],
    "layer_norm": F.layer_norm(seq((3, 2, 5), 1), (2, 5), seq((2, 5), 2), seq((2, 5), 3), eps=1e-5),
    "lrn": F.local_response_norm(seq((1, 6, 2, 3), 1), 5, alpha=0.3, beta=0.7, k=1.5),
    "softmax": F.softmax(seq((2, 3, 4), 1), 1),
    "log_softmax": F.log_softmax(seq((2, 3, 4), 1), 2),
    "bilinear": F.interpolate(X[:1, :2], size=(4, 8), mode="bilinear", align_corners=False),
    "bilinear_corners": F.interpolate(X[:1, :2], size=(4, 8), mode="bilinear", align_corners=True),
    "bicubic": F.interpolate(X[:1, :2], size=(9, 3), mode="bicubic", align_corners=False),
    "bilinear_antialias": F.interpolate(X[:1, :2], size=(3, 2), mode="bilinear", align_corners=False, antialias=True),
    "nearest": F.interpolate(X[:1, :2], size=(9, 3), mode="nearest"),
    "trilinear": F.interpolate(seq((1, 1, 2, 3, 3), 1), scale_factor=2, mode="trilinear", align_corners=False),
    "pad_reflect": F.pad(X[:1, :2], (2, 1, 3, 2), mode="reflect"),
    "pad_edge": F.pad(X[:1, :2], (2, 1, 1, 2), mode="replicate"),
    "pixel_shuffle": F.pixel_shuffle(seq((1, 8, 2, 3), 1), 2),
    "gemm": 0.5 * seq((3, 4), 1) @ seq((5, 4), 2).T + 2.0 * seq((5,), 3),
    "matmul": seq((2, 1, 3, 4), 1) @ seq((3, 4, 2), 2),
    "gelu": F.gelu(seq((24,), 1)),
    "gelu_tanh": 0.5 * seq((24,), 1) * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (seq((24,), 1) + 0.044715 * seq((24,), 1) ** 3))),
    "mish": F.mish(seq((24,), 1)),
    "elu": F.elu(seq((24,), 1), 1.5),
    "selu": F.selu(seq((24,), 1)),
    "celu": F.celu(seq((24,), 1), 0.7),
    "softplus": F.softplus(seq((24,), 1)),
    "softsign": F.softsign(seq((24,), 1)),
    "sigmoid": torch.sigmoid(4 * seq((24,), 1)),
    "tanh": torch.tanh(seq((24,), 1)),
    "erf": torch.erf(seq((24,), 1)),
    "hardswish": F.hardswish(3 * seq((24,), 1)),
    "leaky_relu": F.leaky_relu(seq((24,), 1), 0.1),
    "prelu": F.prelu(X[:1], seq((4,), 2)),
    "logsumexp": torch.logsumexp(seq((2, 3, 4), 1), 1),
    "norm2": torch.linalg.vector_norm(seq((2, 3, 4), 1), dim=(0, 2), keepdim=True),
}

print("/* op_torch_values.h: written by tests/data/make_op_values.py with PyTorch; do not edit. */")
print("#ifndef RAD_OP_TORCH_VALUES_H\n#define RAD_OP_TORCH_VALUES_H\n")
for name, y in CASES.items():
    v = [f"{float(a):.9g}" for a in y.float().flatten()]
    v = [a + ("f" if any(c in a for c in ".e") else ".0f") for a in v]
    print(f"/* {list(y.shape)} */\nstatic const float torch_{name}[] = {{")
    line = "   "
    for a in v:
        if len(line) + len(a) + 2 > 138:
            print(line)
            line = "   "
        line += " " + a + ","
    print(line + "\n};")
print("\n#endif")
