#!/usr/bin/env bash
# The program loads its cuDNN module from beside itself, asks it the known question, runs a network on it by way of the engine, and refuses a module
# that is missing or of another build. The module is the pretended one of cudnn_fake.c: no GPU is needed, and nothing is said about one.
set -eu
module=$RAD_BUILD/tests/backend/fake/radcohort_cudnn.so
folder=${RADCOHORT_SHARED:-$RAD_SOURCE/../shared}/models/repvgg_a0
[ -f "$module" ] || { echo "SKIP: built without CUDA and cuDNN"; exit 77; }
[ -d "$folder" ] || { echo "SKIP: the shared networks are not here (RADCOHORT_SHARED)"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAIL: $1"; exit 1; }
export OMPI_COMM_WORLD_LOCAL_RANK=3 XDG_CACHE_HOME=$scratch
cp "$RADCOHORT" "$scratch/radcohort"
run=$scratch/radcohort
"$run" backends >"$scratch/out"
grep -q "^cudnn .*not usable.*neither in" "$scratch/out" || fail "a missing module: $(head -1 "$scratch/out")"
cp "$module" "$scratch/"
"$run" backends >"$scratch/out"
grep -q "^cudnn .*usable: cuDNN 9.19.0, Pretended GPU, batch 32" "$scratch/out" || fail "the module is not taken: $(head -1 "$scratch/out")"
grep -q "device 1: Pretended GPU, 80 GiB" "$scratch/out" || fail "devices are not listed"
"$run" infer "$folder/model_dyn.onnx" --input "$folder/input.f32" --output "$scratch/y.f32" --backend cudnn 2>"$scratch/err" ||
    fail "infer: $(cat "$scratch/err")"
"$run" infer "$folder/model_dyn.onnx" --input "$folder/input.f32" --output "$scratch/ref.f32" --backend ref
# float32 against double sums of a shallow network
od -An -v -w4 -t fF "$scratch/y.f32" >"$scratch/a"
od -An -v -w4 -t fF "$scratch/ref.f32" >"$scratch/b"
paste "$scratch/a" "$scratch/b" | awk '{d = $1 - $2; if (d < 0) d = -d; if (!(d < 1e-4)) bad++} END {exit !(NR > 0 && bad == 0)}' ||
    fail "other numbers than the reference's"
# Nodes without a kernel: the CPU evaluates them in the midst of the pass, says so, and the pass is replayed with them.
/usr/bin/python3 - "$scratch" <<'P'
import sys
import numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper as n
rng = np.random.default_rng(1)
c = lambda name, a: n.from_array(np.asarray(a), name)
nodes = [h.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), h.make_node("Resize", ["c", "", "s"], ["r"], mode="cubic"),
         h.make_node("ArgMax", ["r"], ["a"], axis=1), h.make_node("Cast", ["a"], ["f"], to=T.FLOAT), h.make_node("Mul", ["r", "f"], ["m"]),
         h.make_node("ReduceMean", ["m"], ["y"], axes=[2, 3], keepdims=0)]
g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, ["n", 3, 8, 8])], [h.make_tensor_value_info("y", T.FLOAT, ["n", 5])],
                 [c("w", rng.standard_normal((5, 3, 3, 3)).astype("f4")), c("s", np.array([1, 1, 1.5, 1.5], "f4"))])
with open(sys.argv[1] + "/host.onnx", "wb") as f:
    f.write(h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8).SerializeToString())
rng.standard_normal((70, 3, 8, 8)).astype("<f4").tofile(sys.argv[1] + "/host.f32")
P
for backend in cudnn ref; do
    "$run" infer "$scratch/host.onnx" --input "$scratch/host.f32" --output "$scratch/$backend.host" --backend $backend 2>"$scratch/err" ||
        fail "$backend: $(cat "$scratch/err")"
    [ $backend = ref ] || grep -q "(ArgMax) has no kernel" "$scratch/err" || fail "the CPU computes in silence: $(cat "$scratch/err")"
    od -An -v -w4 -t fF "$scratch/$backend.host" >"$scratch/$backend.txt"
done
paste "$scratch/cudnn.txt" "$scratch/ref.txt" | awk '{d = $1 - $2; if (d < 0) d = -d; if (!(d < 1e-4)) bad++} END {exit !(NR == 350 && bad == 0)}' ||
    fail "nodes of the CPU: other numbers than the reference's"
RADCOHORT_FAKE_WRONG=1 XDG_CACHE_HOME=$scratch/other "$run" backends >"$scratch/out"
grep -q "^cudnn .*not usable.*wrong answer to a known question" "$scratch/out" || fail "a device that computes wrongly: $(head -1 "$scratch/out")"
version=$("$run" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1)
LC_ALL=C sed -i "s/${version//./\\.}/9.9.9/g" "$scratch/radcohort_cudnn.so"
"$run" backends >"$scratch/out"
grep -q "^cudnn .*not usable.*of another build" "$scratch/out" || fail "a module of another build: $(head -1 "$scratch/out")"
echo "loaded, asked, run; missing, wrong and foreign modules refused"
