#!/usr/bin/python3
"""The ONNX reader against Google's protobuf through python3-onnx: nodes, attributes, constants (by hash of their bytes), inputs, outputs.

Fixtures are written here (both encodings of repeated numbers, typed and raw data, every constant form); the networks of ../shared/models
are read as well where that folder exists."""
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import AttributeProto as A, TensorProto as T, helper as h, numpy_helper as nh
except ImportError as e:
    print(f"SKIP: needs python3-onnx and numpy ({e})")
    sys.exit(77)

build = os.environ.get("RAD_BUILD", "build")
reader = os.path.join(build, "tests", "test_model_reader")
if not os.access(reader, os.X_OK):
    print(f"SKIP: {reader} is not built")
    sys.exit(77)
failures = []


def tensor(t):
    a = nh.to_array(t) if t.data_type != T.BFLOAT16 else np.frombuffer(t.raw_data, np.uint16)
    return {"type": t.data_type, "dims": list(t.dims), "sha256": hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()}


def array(a, kind):
    return {"type": kind, "dims": list(a.shape), "sha256": hashlib.sha256(a.tobytes()).hexdigest()}


def attribute(a):
    return {A.FLOAT: lambda: a.f, A.INT: lambda: a.i, A.STRING: lambda: a.s.decode(), A.TENSOR: lambda: tensor(a.t),
            A.FLOATS: lambda: list(a.floats), A.INTS: lambda: list(a.ints), A.STRINGS: lambda: [s.decode() for s in a.strings]}[a.type]()


def expected(path):
    with open(path, "rb") as f:
        data = f.read()
    m = onnx.load_model_from_string(data)
    g = m.graph
    constants = {t.name: tensor(t) for t in g.initializer}
    nodes = []
    for n in g.node:
        if n.op_type != "Constant":
            inputs = list(n.input)
            while inputs and inputs[-1] == "":
                inputs.pop()
            nodes.append({"op": n.op_type, "name": n.name, "in": inputs, "out": list(n.output),
                          "attributes": {a.name: attribute(a) for a in n.attribute}})
            continue
        a, = n.attribute
        constants[n.output[0]] = {"value": lambda: tensor(a.t), "value_float": lambda: array(np.array(a.f, np.float32), T.FLOAT),
                                  "value_int": lambda: array(np.array(a.i, np.int64), T.INT64),
                                  "value_floats": lambda: array(np.array(a.floats, np.float32), T.FLOAT),
                                  "value_ints": lambda: array(np.array(a.ints, np.int64), T.INT64)}[a.name]()
    count = sum(int(np.prod(t.dims)) for t in g.initializer if t.data_type in (T.FLOAT, T.FLOAT16, T.BFLOAT16, T.DOUBLE))
    inputs = [[i.name] + [d.dim_value if d.HasField("dim_value") else -1 for d in i.type.tensor_type.shape.dim] for i in g.input
              if i.name not in {t.name for t in g.initializer}]
    opset, = [o.version for o in m.opset_import if o.domain in ("", "ai.onnx")]
    return {"opset": opset, "parameters": count, "sha256": hashlib.sha256(data).hexdigest(), "inputs": inputs,
            "outputs": [o.name for o in g.output], "constants": constants, "nodes": nodes}


def compare(path):
    r = subprocess.run([reader, "--dump", path], capture_output=True, text=True, timeout=120)
    if r.returncode:
        failures.append(f"{path}: {r.stderr.strip()}")
        return
    got, want = json.loads(r.stdout), expected(path)
    for a, b in zip(got["nodes"], want["nodes"]):
        if b["name"] == "":
            a["name"] = ""  # the reader invents one
    for key in want:
        if got[key] != want[key]:
            bad = want[key], got[key]
            if isinstance(want[key], list):
                bad = next(((w, g) for w, g in zip(want[key], got[key]) if w != g), (len(want[key]), len(got[key])))
            elif isinstance(want[key], dict):
                names = sorted(set(want[key]) | set(got[key]))
                bad = next((k, want[key].get(k), got[key].get(k)) for k in names if want[key].get(k) != got[key].get(k))
            failures.append(f"{path}: {key} differ: {bad}")


def fixtures(folder):
    r = np.random.RandomState(3)
    n = h.make_node
    weights = r.randn(4, 3, 3, 3).astype(np.float32)
    for typed in (False, True):
        def make(name, a, kind):
            if not typed:
                return h.make_tensor(name, kind, a.shape, a.tobytes(), raw=True)
            if kind in (T.FLOAT16, T.BFLOAT16):  # one 16-bit pattern per int32
                t = T(name=name, data_type=kind, dims=a.shape)
                t.int32_data.extend(int(v) for v in a.view(np.uint16).ravel())
                return t
            return h.make_tensor(name, kind, a.shape, a.ravel())
        kinds = [(np.float32, T.FLOAT), (np.float64, T.DOUBLE), (np.float16, T.FLOAT16), (np.int64, T.INT64), (np.int32, T.INT32),
                 (np.int16, T.INT16), (np.int8, T.INT8), (np.uint8, T.UINT8), (np.uint16, T.UINT16), (np.uint32, T.UINT32),
                 (np.uint64, T.UINT64), (bool, T.BOOL)]
        consts = []
        for i, (d, k) in enumerate(kinds):
            a = r.randn(2, 3).astype(d) if np.dtype(d).kind == "f" else r.randint(0, 2, (2, 3)).astype(d)
            if np.dtype(d).kind == "i":
                a[0, 0] = np.iinfo(d).min
            if np.dtype(d).kind in "iu":
                a[1, 2] = np.iinfo(d).max
            consts.append(make(f"k{i}", a, k))
        consts += [make("w", weights, T.FLOAT), make("empty", np.zeros((0, 3), np.float32), T.FLOAT),
                   make("scalar", np.array(2.5, np.float32), T.FLOAT)]
        nodes = [n("Conv", ["x", "w"], ["c"], "conv", pads=[1, 0, 1, 2], group=1, auto_pad="NOTSET"), n("Elu", ["c"], ["e"], alpha=0.1),
                 n("Constant", [], ["c1"], value_float=0.1), n("Constant", [], ["c2"], value_ints=[-1, 1 << 62]),
                 n("Constant", [], ["c3"], value_int=-7), n("Constant", [], ["c4"], value_floats=[0.5, -1e30]),
                 n("Constant", [], ["c5"], value=nh.from_array(weights[0])), n("Clip", ["e", "", "scalar"], ["f"]),
                 n("Clip", ["f", "scalar", ""], ["g"]), n("Relu", ["g"], ["y"], "ümläut \"quoted\"\\")]
        g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, ["N", 3, 5, 5])],
                         [h.make_tensor_value_info("y", T.FLOAT, None)], consts)
        opsets = [h.make_opsetid("", 13), h.make_opsetid("com.unused", 1)]
        onnx.save_model(h.make_model(g, opset_imports=opsets), f"{folder}/typed_{typed}.onnx")
    g = h.make_graph([n("Conv", ["x", "w"], ["y"])], "g",
                     [h.make_tensor_value_info("w", T.FLOAT, [4, 3, 3, 3]), h.make_tensor_value_info("x", T.FLOAT, [2, 3, 8, 8])],
                     [h.make_tensor_value_info("y", T.FLOAT, None)], [nh.from_array(weights, "w")])
    onnx.save_model(h.make_model(g, opset_imports=[h.make_opsetid("", 8)], ir_version=3), f"{folder}/ir3.onnx")


with tempfile.TemporaryDirectory() as folder:
    fixtures(folder)
    files = sorted(glob.glob(folder + "/*.onnx"))
    assert len(files) == 3
    shared = os.environ.get("RADCOHORT_SHARED") or os.path.join(os.environ.get("RAD_SOURCE", "."), "..", "shared")
    files += sorted(glob.glob(os.path.join(shared, "models", "*", "model*.onnx")))
    for f in files:
        compare(f)
print(f"{len(files)} files compared with onnx {onnx.__version__}")
for f in failures[:10]:
    print("FAILED", f[:600])
sys.exit(1 if failures else 0)
