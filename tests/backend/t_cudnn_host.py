#!/usr/bin/python3
"""The cuDNN backend's plans without a GPU, run on the CPU by the kernels' own inline functions (tests/backend/cudnn_host.c): all shared networks
against PyTorch's outputs, and the node tests of the ONNX standard: nothing may fail, and only what the reference refuses is refused."""
import collections
import glob
import os
import subprocess
import sys

SOURCE, BUILD = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(SOURCE, "..", "shared"))
# Of the largest output. float32: as t_models.py. float16 and bfloat16: two networks of few channels (the others amplify any rounding: PyTorch's
# own float32 is 2e-5 off there): 11 and 8 bits of a product, some twenty layers deep.
LIMIT = {"fp32": "1e-4", "fp16": "1e-2", "bf16": "5e-2"}
# What `ref` refuses, and nothing else: nodes without a kernel are evaluated by the CPU in the midst of the pass.
with open(os.path.join(SOURCE, "tests", "backend", "onnx_refusals.tsv")) as f:
    REASONS = dict(line.split("\t")[:2] for line in f if not line.startswith("#"))
if not os.path.isdir(os.path.join(SHARED, "models")):
    print("SKIP: the shared networks are not here (RADCOHORT_SHARED)")
    sys.exit(77)


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=500, **more)


bad = []
folders = sorted(glob.glob(os.path.join(SHARED, "models", "*", "")))
for precision, names in (("fp32", None), ("fp16", ("resnet50", "r3d_18", "repvgg_a0", "convnext_tiny")), ("bf16", ("r3d_18", "convnext_tiny"))):
    some = [f for f in folders if names is None or os.path.basename(f.rstrip("/")) in names]
    r = run(os.path.join(BUILD, "tests", "backend", "cudnn_models"), "host", precision, LIMIT[precision], *some)
    print(precision, r.stdout.strip().split("\n")[-1])
    if r.returncode != 0:
        bad.append(f"{precision}: {r.stderr.strip()}")

root = os.path.join(SHARED, "onnx-node-tests")
with open(os.path.join(root, "index.tsv")) as f:
    tests = [line.split("\t", 1)[0] for line in f][1:]
r = run(os.path.join(BUILD, "tests", "backend", "cudnn_node_tests"), "cudnn", "1e-3", "1e-5", input="".join(f"{root}/{t}\n" for t in tests))
rows = [line.split("\t", 4) for line in r.stdout.splitlines()]
count = collections.Counter(row[0] for row in rows)
print("node tests of the standard:", dict(count))
if r.returncode != 0 or len(rows) != len(tests) or count["refused"] != len(REASONS):
    bad.append(f"node tests: {len(rows)} of {len(tests)} ran, {count['pass']} passed {r.stderr.strip()}")
for row in rows:
    if row[0] == "fail" or (row[0] == "refused" and REASONS.get(os.path.basename(row[1]), "\0") not in row[4]):
        bad.append(f"{row[0]} {os.path.basename(row[1])}: {row[4]}")
print("\n".join(bad))
sys.exit(1 if bad else 0)
