#!/bin/bash
# radcohort check as a command: usage, models that do not fit the job, options, outputs. The cohort and the network are made here.
set -u
tmp=$(mktemp -d "${TMPDIR:-/tmp}/radcohort-check-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0
fail() { echo "FAIL: $*"; bad=1; }
/usr/bin/python3 -c 'import onnx, nibabel' 2>/dev/null || { echo "SKIP: python3-onnx or python3-nibabel is not installed"; exit 77; }

mkdir -p "$tmp/cohort" "$tmp/elsewhere"
printf 'center\tcohort\nA\tinternal\n' > "$tmp/cohort/centers.tsv"
printf 'patient\tcenter\tlabel\nP1\tA\tbenign\nP2\tA\tmalignant\n' > "$tmp/cohort/patients.tsv"
printf 'patient\tlesion\tbox\nP1\tL1\t0 0 0 4 4 2\nP2\tL1\t1 1 1 5 5 3\n' > "$tmp/cohort/lesions.tsv"
printf 'patient\tsequence\tpath\nP1\tT2\ta.nii.gz\nP2\tT2\tb.nii.gz\n' > "$tmp/cohort/images.tsv"
cat > "$tmp/job.yaml" <<'YAML'
job: cli
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs:
  mri: {channels: [{sequence: T2}], resize: {size: 8}}
models:
  - {name: net, file: net.onnx, activation: softmax}
YAML
/usr/bin/python3 - "$tmp" <<'PY' || exit 1
import sys
import nibabel, numpy, onnx
from onnx import TensorProto, helper
tmp = sys.argv[1]
for n in ("cohort/a.nii.gz", "cohort/b.nii.gz", "elsewhere/c.nii.gz"):
    nibabel.save(nibabel.Nifti1Image(numpy.ones((8, 8, 4), numpy.int16), numpy.diag([1, 1, 3, 1.0])), f"{tmp}/{n}")
def net(name, planes, classes, op="Relu"):
    w = helper.make_tensor("w", TensorProto.FLOAT, [planes, classes], [0.1] * planes * classes)
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node(op, ["f"], ["r"]), helper.make_node("Gemm", ["r", "w"], ["y"])]
    g = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", planes, 8, 8])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])], [w])
    onnx.save(helper.make_model(g, opset_imports=[helper.make_opsetid("", 13)]), f"{tmp}/{name}.onnx")
net("net", 1, 2); net("planes", 3, 2); net("classes", 1, 5); net("single", 1, 1); net("operator", 1, 2, "SequenceEmptyX")
PY

# expect CODE TEXT ARGUMENTS...: exit code and a text in the output
expect() {
    local want=$1 text=$2
    shift 2
    "$RADCOHORT" check "$@" > "$tmp/out" 2> "$tmp/err"
    local got=$?
    [ $got = "$want" ] || fail "check $*: exit $got, expected $want"
    grep -qF -- "$text" "$tmp/out" "$tmp/err" || { fail "check $*: no '$text' in"; cat "$tmp/out" "$tmp/err"; }
}
with() { sed "$1" "$tmp/job.yaml" > "$tmp/with.yaml"; }

expect 0 "2 can be scored by every model, 0 do not" "$tmp/job.yaml"
expect 0 "usage: radcohort check" --help
expect 2 "a job file is missing"
expect 2 "unknown option '--jsn': did you mean '--json'?" "$tmp/job.yaml" --jsn
expect 2 "cannot open" "$tmp/none.yaml"
expect 2 "not a regular file" "$tmp"
with 's/net\.onnx/none.onnx/'; expect 2 "none.onnx: error: model 'net': " "$tmp/with.yaml"
with 's/net\.onnx/cohort\/a.nii.gz/'; expect 2 "a.nii.gz: error: model 'net': " "$tmp/with.yaml"
with 's/net\.onnx/planes.onnx/'; expect 2 "model 'net': input 'x' of the network is [3, 8, 8], the job prepares [1, 8, 8]: list as many planes" "$tmp/with.yaml"
with 's/net\.onnx/classes.onnx/'; expect 2 "model 'net' gives 5 numbers per sample, expected 2 (one per class)" "$tmp/with.yaml"
with 's/net\.onnx/single.onnx/'; expect 2 "model 'net' gives 1 numbers per sample" "$tmp/with.yaml"
with 's/net\.onnx/single.onnx/; s/softmax/sigmoid/'; expect 0 "-> [1], sigmoid" "$tmp/with.yaml"
with 's/net\.onnx/operator.onnx/'; expect 2 "SequenceEmptyX" "$tmp/with.yaml"
with 's/size: 8/size: 9/'; expect 2 "input 'x' of the network is [1, 8, 8], the job prepares [1, 9, 9]: set resize: {size: 8}" "$tmp/with.yaml"
with 's/activation/output: z, activation/'; expect 2 "model 'net' has no output 'z': did you mean 'y'?" "$tmp/with.yaml"
with "s/activation/sha256: $(printf 'a%.0s' {1..64}), activation/"; expect 2 "it is another file" "$tmp/with.yaml"
with "s/activation/sha256: $(sha256sum < "$tmp/net.onnx" | cut -c1-64), activation/"; expect 0 "2 can be scored" "$tmp/with.yaml"
with 's/^unit/backend: ref\nunit/'; expect 0 "backend  ref, fp32" "$tmp/with.yaml"
# everything at once: a wrong network and a wrong table
cp "$tmp/cohort/centers.tsv" "$tmp/keep"
echo 'B	extern' >> "$tmp/cohort/centers.tsv"
with 's/net\.onnx/classes.onnx/'; expect 2 "column 'cohort': error: 'extern' is no cohort" "$tmp/with.yaml"
expect 2 "model 'net' gives 5 numbers" "$tmp/with.yaml"
cp "$tmp/keep" "$tmp/cohort/centers.tsv"
# paths outside the folder
sed -i 's#a\.nii\.gz#../elsewhere/c.nii.gz#' "$tmp/cohort/images.tsv"
expect 2 "leads outside the cohort folder" "$tmp/job.yaml"
expect 0 "2 can be scored" "$tmp/job.yaml" --allow-outside
sed -i 's#\.\./elsewhere/c#a#' "$tmp/cohort/images.tsv"
# headers: a broken file is found, or not looked at
head -c 40 "$tmp/cohort/a.nii.gz" > "$tmp/cut" && cp "$tmp/cut" "$tmp/cohort/a.nii.gz"
expect 3 "1 can be scored by every model, 1 does not" "$tmp/job.yaml"
expect 0 "2 can be scored by every model" "$tmp/job.yaml" --no-headers
# a thousand missing files do not flood the terminal
for i in $(seq 100); do printf 'P1\tX%s\tnone%s.nii\n' "$i" "$i"; done >> "$tmp/cohort/images.tsv"
expect 3 "... and 80 more" "$tmp/job.yaml"
# JSON: one object, also for a job that cannot be read
"$RADCOHORT" check --json "$tmp/job.yaml" 2>/dev/null | /usr/bin/python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["exit_code"] == 3 and r["cases"] == 2 and r["cases_excluded"] == 1 and len(r["issues"]) == 100, r
assert r["inputs"][0]["channels"] == [{"sequence": "T2", "matched": 2, "not_matched": 0}], r
assert r["exclusions"][0]["stage"] == "load" and r["exclusions"][0]["n"] == 1, r
assert sum(u["n"] for u in r["unused_images"]) == 100, r
assert r["centers"] == [{"center": "A", "cohort": "internal", "cases_by_label": {"benign": 1, "malignant": 1}, "label_not_known": 0}], r
' || fail "--json"
printf 'job: [\xff' > "$tmp/with.yaml"
"$RADCOHORT" check --json "$tmp/with.yaml" 2>/dev/null | /usr/bin/python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["exit_code"] == 2 and r["errors"] == 1' ||
    fail "--json of a broken job"
[ $bad = 0 ] && echo "check: all as expected"
exit $bad
