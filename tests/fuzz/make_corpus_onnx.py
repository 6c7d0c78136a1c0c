#!/usr/bin/python3
"""Writes the seeds of tests/fuzz/corpus/onnx: small networks, one per pass and operator family, and broken files. Needs python3-onnx."""
import os
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

d = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus/onnx/")
os.makedirs(d, exist_ok=True)
r = np.random.RandomState(1)


def k(name, *shape):
    return nh.from_array(r.uniform(0.5, 1.5, shape).astype(np.float32), name)


def i64(name, *v):
    return nh.from_array(np.array(v, np.int64), name)


def write(name, nodes, consts, shape=(2, 3, 4, 4), opset=17, outputs=("y",), ir=8):
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, shape)],
                     [h.make_tensor_value_info(o, T.FLOAT, None) for o in outputs], consts)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=ir)
    data = m.SerializeToString()
    with open(d + name, "wb") as f:
        f.write(data)
    return data


n = h.make_node
bn = [k("s", 3), k("t", 3), k("m", 3), k("v", 3)]
write("conv_bn_relu", [n("Conv", ["x", "w"], ["c"], pads=[1] * 4), n("BatchNormalization", ["c", "s", "t", "m", "v"], ["b"]),
        n("Relu", ["b"], ["y"])],
      [k("w", 3, 3, 3, 3)] + bn)
write("deconv_bn", [n("ConvTranspose", ["x", "w"], ["c"], strides=[2, 2], output_padding=[1, 1]),
                    n("BatchNormalization", ["c", "s", "t", "m", "v"], ["y"])], [k("w", 3, 3, 2, 2)] + bn)
write("repvgg", [n("Conv", ["x", "w"], ["a"], pads=[1] * 4), n("Conv", ["x", "u"], ["b"]),
        n("BatchNormalization", ["x", "s", "t", "m", "v"], ["c"]),
                 n("Add", ["a", "b"], ["d"]), n("Add", ["d", "c"], ["e"]), n("Relu", ["e"], ["y"])], [k("w", 3, 3, 3, 3), k("u", 3, 3,
                         1, 1)] + bn)
write("residual", [n("Conv", ["x", "w"], ["c"]), n("Mul", ["c", "q"], ["s1"]), n("Add", ["s1", "x"], ["a"]), n("Sigmoid", ["a"], ["g"]),
                   n("Mul", ["a", "g"], ["y"])], [k("w", 3, 3, 1, 1), k("q")])
write("pad_pool", [n("Pad", ["x", "p"], ["a"]), n("AveragePool", ["a"], ["b"], kernel_shape=[3, 3]), n("Relu", ["b"], ["c"]),
                   n("MaxPool", ["c"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], [i64("p", 0, 0, 1, 1, 0, 0, 1, 1)])
write("shape_view", [n("Shape", ["x"], ["s"]), n("Gather", ["s", "zero"], ["b"]), n("Unsqueeze", ["b", "zero1"], ["u"]),
        n("Concat", ["u", "m1"], ["t"], axis=0),
                     n("Reshape", ["x", "t"], ["f"]), n("Gemm", ["f", "w", "q"], ["y"], transB=1, alpha=0.5)],
      [i64("zero1", 0), nh.from_array(np.array(0, np.int64), "zero"), i64("m1", -1), k("w", 5, 48), k("q", 5)], ("N", 3, 4, 4))
write("frozen_view", [n("Reshape", ["x", "t"], ["f"]), n("MatMul", ["f", "w"], ["g"]), n("Add", ["g", "q"], ["z"]),
        n("Softmax", ["z"], ["y"])],
      [i64("t", 2, 48), k("w", 48, 2), k("q", 2)])
write("constants", [n("Constant", [], ["a"], value_float=2.0), n("Constant", [], ["b"], value_ints=[3, 1, 1]),
        n("Constant", [], ["c"], value=k("", 3, 1, 1)),
                    n("ConstantOfShape", ["b"], ["z"], value=nh.from_array(np.array([1], np.float32))), n("Mul", ["c", "a"],
                            ["e"]), n("Add", ["e", "z"], ["f"]),
                    n("Mul", ["x", "f"], ["y"])], [])
write("resize_slice", [n("Resize", ["x", "", "sc"], ["a"], mode="linear"), n("Slice", ["a", "st", "en", "ax", "sp"], ["b"]),
        n("Transpose", ["b"], ["c"], perm=[0, 2, 3, 1]),
                       n("LayerNormalization", ["c", "g"], ["y"])],
      [nh.from_array(np.array([1, 1, 2, 2], np.float32), "sc"), i64("st", 0), i64("en", 5), i64("ax", 2), i64("sp", 2), k("g", 3)])
write("split_concat", [n("Split", ["x"], ["a", "b"], axis=2), n("Concat", ["b", "a"], ["c"], axis=1),
        n("ReduceMean", ["c"], ["y"], axes=[2, 3])], [], opset=13)
write("opset10", [n("Clip", ["x"], ["a"], min=0.0, max=6.0), n("Dropout", ["a"], ["b"], ratio=0.5), n("Upsample", ["b", "sc"], ["c"]),
        n("Squeeze", ["r"], ["q"], axes=[0]),
                  n("Add", ["c", "q"], ["y"])], [nh.from_array(np.array([1, 1, 2, 2], np.float32), "sc"), k("r", 1, 1)], opset=9, ir=3)
write("norms", [n("InstanceNormalization", ["x", "s", "t"], ["a"]), n("LRN", ["a"], ["b"], size=3), n("PRelu", ["b", "p"], ["c"]),
        n("Where", ["w", "c", "x"], ["y"])],
      [k("s", 3), k("t", 3), k("p", 3, 1, 1), nh.from_array(np.array([True]), "w")])
write("types", [n("Cast", ["h"], ["a"], to=1), n("Cast", ["x"], ["b"], to=7), n("Mod", ["b", "two"], ["c"]),
        n("Cast", ["c"], ["e"], to=1), n("Add", ["a", "e"], ["y"])],
      [nh.from_array(np.array([1.5], np.float16), "h"), i64("two", 2)])
write("conv3d", [n("Conv", ["x", "w"], ["a"], auto_pad="SAME_UPPER", strides=[2, 2, 2]), n("GlobalAveragePool", ["a"], ["b"]),
        n("Flatten", ["b"], ["y"])],
      [k("w", 2, 1, 3, 3, 3)], (1, 1, 4, 4, 4))
write("two_outputs", [n("Exp", ["x"], ["e"]), n("Identity", ["e"], ["y"]), n("ArgMax", ["e"], ["i"], axis=1),
        n("Cast", ["i"], ["z"], to=1)], [],
      outputs=("y", "z", "x"))
whole = write("tile_expand", [n("Tile", ["x", "rep"], ["a"]), n("Expand", ["q", "sh"], ["b"]), n("Add", ["a", "b"], ["y"])],
              [i64("rep", 1, 1, 2, 1), k("q", 1, 1), i64("sh", 2, 3, 8, 4)])
# broken
write("cycle", [n("Add", ["x", "b"], ["a"]), n("Relu", ["a"], ["b"]), n("Relu", ["b"], ["y"])], [])
write("huge", [n("ConstantOfShape", ["s"], ["a"]), n("Expand", ["a", "s2"], ["b"]), n("Add", ["x", "b"], ["y"])],
        [i64("s", 1 << 40, 1 << 40), i64("s2", 1 << 30, 1 << 30)])
write("many_fills", [n("ConstantOfShape", ["s"], [f"f{i}"]) for i in range(40)] + [n("Sum", [f"f{i}" for i in range(40)], ["y"])],
        [i64("s", 2000, 2000)])
write("huge_pool", [n("AveragePool", ["x"], ["y"], kernel_shape=[1 << 30, 1 << 30], pads=[1 << 62] * 4)], [])
with open(d + "cut", "wb") as f:
    f.write(whole[: len(whole) // 2])


def field(number, data):
    """One length-delimited field."""
    size, out = len(data), bytearray([number << 3 | 2])
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes([size]) + data


node = b""
for _ in range(300):
    node = field(5, field(6, field(1, node)))
model = onnx.ModelProto(ir_version=8, opset_import=[h.make_opsetid("", 17)]).SerializeToString()
with open(d + "nested", "wb") as f:
    f.write(model + field(7, field(1, node) + field(12, field(1, b"y"))))
