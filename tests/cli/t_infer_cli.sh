#!/bin/bash
# The program's own manners (help, version, unknown words, exit codes), and `infer` and `backends` as commands.
set -u
tmp=$(mktemp -d "${TMPDIR:-/tmp}/radcohort-infer-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0
fail() { echo "FAIL: $*"; bad=1; }
# expect CODE TEXT COMMAND...: exit code, and TEXT in what was said
expect() {
    local code=$1 text=$2 said got
    shift 2
    said=$("$@" 2>&1)
    got=$?
    [ $got -eq "$code" ] || fail "$*: exit $got, expected $code: $said"
    case $said in *"$text"*) ;; *) fail "$*: '$text' is not in: $said" ;; esac
}

expect 2 "usage: radcohort COMMAND" "$RADCOHORT"
expect 0 "infer" "$RADCOHORT" --help
expect 0 "infer" "$RADCOHORT" help
expect 0 "radcohort 0." "$RADCOHORT" --version
expect 2 "did you mean 'infer'" "$RADCOHORT" infr
expect 2 "lists all" "$RADCOHORT" qqqqqqqqqqq
for command in $("$RADCOHORT" --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p'); do
    expect 0 "usage: radcohort $command" "$RADCOHORT" "$command" --help
    expect 0 "xample" "$RADCOHORT" "$command" --help
    expect 0 "usage: radcohort $command" "$RADCOHORT" help "$command"
    expect 2 "unknown option '--no-such-thing'" "$RADCOHORT" "$command" --no-such-thing
done
expect 2 "did you mean '--backend'" "$RADCOHORT" infer m.onnx --bakend ref
expect 2 "value is missing after '--input'" "$RADCOHORT" infer m.onnx --input --output y
expect 2 "no value is taken by '--verbose'" "$RADCOHORT" infer m.onnx --verbose=3
expect 2 "unexpected argument" "$RADCOHORT" infer m.onnx n.onnx
expect 2 "--input is missing" "$RADCOHORT" infer m.onnx
expect 2 "network is missing" "$RADCOHORT" infer --input x --output y
expect 2 "no-such.onnx" "$RADCOHORT" infer no-such.onnx --input x --output y
[ -e /dev/full ] && expect 1 "cannot write to standard output" bash -c '"$RADCOHORT" backends > /dev/full'

# ref is always there; the machine says the rest
expect 0 "ref      usable" "$RADCOHORT" backends
expect 0 '"operators"' "$RADCOHORT" backends --json
"$RADCOHORT" backends --json | /usr/bin/python3 -c '
import json, sys
b = {x["name"]: x for x in json.load(sys.stdin)["backends"]}
assert list(b) == ["cudnn", "onednn", "ref", "checked"], list(b)
assert b["ref"]["usable"] and b["checked"]["usable"]
assert all(x["text"] for x in b.values())' || fail "backends --json"

/usr/bin/python3 -c 'import onnx, numpy' 2>/dev/null || { echo "SKIP: python3-onnx or python3-numpy is not installed"; exit $((bad ? 1 : 77)); }
/usr/bin/python3 - "$tmp" <<'PY' || exit 1
import sys
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
tmp = sys.argv[1]
r = np.random.default_rng(4)
w = r.standard_normal((8, 2, 3, 3)).astype(np.float32)
f = r.standard_normal((8, 3)).astype(np.float32)
def save(name, dims):
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["r"]), helper.make_node("GlobalAveragePool", ["r"], ["p"]),
             helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "m"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(w, "w"), numpy_helper.from_array(f, "m")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), f"{tmp}/{name}.onnx")
save("fixed", [1, 2, 6, 6])
save("open", ["n", 2, "h", "w"])
x = r.standard_normal((5, 2, 6, 6)).astype(np.float32)
x.tofile(f"{tmp}/x.f32")
c = np.zeros((5, 8, 4, 4))
for i in range(3):
    for j in range(3):
        c += np.einsum("nchw,kc->nkhw", x[:, :, i:i + 4, j:j + 4].astype(np.float64), w[:, :, i, j])
tap = np.maximum(c, 0)
tap.astype(np.float32).tofile(f"{tmp}/tap-want.f32")
(tap.mean((2, 3)) @ f).astype(np.float32).tofile(f"{tmp}/want.f32")
PY
same() { # FILE FILE LIMIT
    /usr/bin/python3 -c '
import sys, numpy as np
a, b = (np.fromfile(p, "<f4") for p in sys.argv[1:3])
sys.exit(0 if a.size == b.size and abs(a - b).max() <= float(sys.argv[3]) * abs(b).max() else 1)' "$@" || fail "$1 and $2 differ"
}
cd "$tmp" || exit 1
backends="ref checked"
"$RADCOHORT" backends | grep -q '^onednn *usable' && backends="$backends onednn"
for b in $backends; do
    expect 0 "" "$RADCOHORT" infer fixed.onnx --input x.f32 --output y.f32 --backend "$b" --threads 2
    same y.f32 want.f32 1e-5
    expect 0 "" "$RADCOHORT" infer open.onnx --shape 5,2,6,6 --input=x.f32 --output=y2.f32 --backend="$b" --tap r --tap-output tap.f32
    cmp y.f32 y2.f32 || fail "$b: tapping moved bits"
    same tap.f32 tap-want.f32 1e-5
    expect 0 "" "$RADCOHORT" backends --model fixed.onnx
    expect 0 "refuses" "$RADCOHORT" backends --model fixed.onnx --precision fp16
done
expect 2 "h" "$RADCOHORT" infer open.onnx --input x.f32 --output z.f32 --backend ref
expect 2 "--shape says 4" "$RADCOHORT" infer open.onnx --shape 4,2,6,6 --input x.f32 --output z.f32 --backend ref
expect 2 "positive integers" "$RADCOHORT" infer open.onnx --shape 4,2,-6,6 --input x.f32 --output z.f32 --backend ref
expect 2 "not a whole number" "$RADCOHORT" infer open.onnx --shape 5,2,7,7 --input x.f32 --output z.f32 --backend ref
expect 2 "did you mean 'ref'" "$RADCOHORT" infer fixed.onnx --input x.f32 --output z.f32 --backend reff
expect 1 "fp32" "$RADCOHORT" infer fixed.onnx --input x.f32 --output z.f32 --backend ref --precision bf16
expect 2 "no tensor 'q'" "$RADCOHORT" infer fixed.onnx --input x.f32 --output z.f32 --backend ref --tap q --tap-output t
expect 2 "go together" "$RADCOHORT" infer fixed.onnx --input x.f32 --output z.f32 --backend ref --tap r
RAD_CHECKED_FAIL=exec_run:3 expect 1 "fails on demand" "$RADCOHORT" infer fixed.onnx --input x.f32 --output z.f32 --backend checked
[ -e z.f32 ] && fail "a failed run left an output file"
expect 0 "largest difference 0, relative" "$RADCOHORT" infer fixed.onnx --input x.f32 --output y.f32 --backend ref --compare fp32 --threshold 0.1
expect 0 "calls that flip at threshold 0.1: 0 of 15" "$RADCOHORT" infer fixed.onnx --input x.f32 --output y.f32 --backend ref --compare fp32 --threshold 0.1
expect 0 "(largest output): 0 of 5" "$RADCOHORT" infer fixed.onnx --input x.f32 --output y.f32 --backend ref --compare fp32
expect 0 "per second" "$RADCOHORT" infer fixed.onnx --input x.f32 --output y.f32 --backend ref --verbose

# for a program: all that was said, and the values themselves where no file takes them
"$RADCOHORT" infer open.onnx --shape 5,2,6,6 --input x.f32 --backend ref --tap r --tap-output tap.f32 --compare fp32 --threshold 0.1 --json >j.json ||
    fail "infer --json"
/usr/bin/python3 -c '
import json, numpy as np
j, y = json.load(open("j.json")), np.fromfile("y.f32", "<f4")
assert j["input_shape"] == [5, 2, 6, 6] and j["output_shape"] == [5, 3] and j["output"] is None, j
assert (np.array(j["values"]).astype("<f4") == y.reshape(5, 3)).all(), (j["values"], y)
assert (j["model"], j["backend"], j["precision"], j["input"]) == ("open.onnx", "ref", "fp32", "x.f32")
assert j["tap"] == {"name": "r", "file": "tap.f32", "shape": [5, 8, 4, 4]} and j["cam"] is None
assert j["compare"] == {"with": "fp32", "largest_difference": 0, "relative_difference": 0, "threshold": 0.1, "flips": 0, "calls": 15}, j
' || fail "infer --json says something else"
"$RADCOHORT" infer fixed.onnx --input x.f32 --output y2.f32 --backend ref --json >j.json || fail "infer --output --json"
cmp y.f32 y2.f32 || fail "--json moved bits"
/usr/bin/python3 -c 'import json; j = json.load(open("j.json")); assert j["output"] == "y2.f32" and j["values"] is None and j["compare"] is None, j' ||
    fail "infer --output --json says something else"
expect 2 "--output is missing" "$RADCOHORT" infer fixed.onnx --input x.f32
exit $bad
