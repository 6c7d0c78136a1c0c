#!/usr/bin/python3
"""radcohort check on a corpus of bad cohorts, one mistake each (tests/cli/corpus/tables/NAME): the files there are laid over the good
cohort in tests/cli/corpus/base, and `expect` beside them says what must come out:
  exit N          the exit code
  expect TEXT     is in the output        absent TEXT    is not
  do ACTION       remove TABLE | delete FILE | folder FILE | truncate FILE BYTES | garbage FILE | nifti FILE NX NY NZ [ORIGIN_Z]
Images of 8 x 8 x 4 voxels are made for every path of images.tsv and lesions.tsv that has none; the network is a few bytes of ONNX."""
import csv
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

source, program = os.environ["RAD_SOURCE"], os.environ["RADCOHORT"]
corpus = os.path.join(source, "tests/cli/corpus")
try:
    import onnx
    from onnx import TensorProto, helper
except ImportError:
    print("SKIP: python3-onnx is not installed")
    sys.exit(77)


def write_nifti(path, dim, z=0):
    h = bytearray(352)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, 3, *dim, 1, 1, 1, 1)
    struct.pack_into("<hh", h, 70, 4, 16)  # int16
    struct.pack_into("<8f", h, 76, 1, 1, 1, 3, 0, 0, 0, 0)
    struct.pack_into("<f", h, 108, 352)
    struct.pack_into("<hh", h, 252, 0, 1)  # sform
    struct.pack_into("<12f", h, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, z)
    h[344:348] = b"n+1\0"
    n = dim[0] * dim[1] * dim[2]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(bytes(h) + struct.pack(f"<{n}h", *[1] * n))


def write_model(path):
    """global mean of 4 planes -> 2 classes"""
    w = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.1 * i for i in range(8)])
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node("Gemm", ["f", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 8, 8])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])], [w])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path)


def act(folder, words):
    target = os.path.join(folder, "cohort", words[1])
    if words[0] in ("remove", "delete"):
        os.remove(target)
    elif words[0] == "folder":
        os.mkdir(target)
    elif words[0] == "truncate":
        os.truncate(target, int(words[2]))
    elif words[0] == "garbage":
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "wb").write(b"this is no image\n" * 40)
    elif words[0] == "nifti":
        write_nifti(target, [int(w) for w in words[2:5]], *[float(w) for w in words[5:]])
    else:
        raise SystemExit(f"unknown action {words}")


def make_images(cohort):
    for table, column in (("images.tsv", "path"), ("lesions.tsv", "mask")):
        path = os.path.join(cohort, table)
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace", newline="") as f:
            for row in csv.DictReader(f, delimiter="\t"):
                name = row.get(column) or ""
                if name.endswith(".nii") and not name.startswith(("/", "..")):
                    write_nifti(os.path.join(cohort, name), (8, 8, 4))


def run_case(name, folder):
    shutil.copytree(os.path.join(corpus, "base"), folder)
    here = os.path.join(corpus, "tables", name)
    for f in os.listdir(here):
        if f != "expect":
            shutil.copy(os.path.join(here, f), os.path.join(folder, "cohort", f))
    make_images(os.path.join(folder, "cohort"))
    write_model(os.path.join(folder, "net.onnx"))
    code, expect, absent = None, [], []
    for line in open(os.path.join(here, "expect"), encoding="utf-8").read().splitlines():
        word, rest = line.split(" ", 1)
        if word == "exit":
            code = int(rest)
        elif word == "do":
            act(folder, rest.split())
        else:
            (expect if word == "expect" else absent).append(rest)
    r = subprocess.run([program, "check", os.path.join(folder, "job.yaml")], capture_output=True, text=True, errors="replace", timeout=60)
    out = r.stdout + r.stderr
    wrong = []
    if r.returncode != code:
        wrong.append(f"exit {r.returncode}, expected {code}")
    wrong += [f"missing: {e}" for e in expect if e not in out]
    wrong += [f"must not be there: {a}" for a in absent if a in out]
    j = subprocess.run([program, "check", "--json", os.path.join(folder, "job.yaml")], capture_output=True, text=True, timeout=60)
    report = json.loads(j.stdout)
    if j.returncode != code or report["exit_code"] != code:
        wrong.append(f"--json: exit {j.returncode}")
    if ((code == 2) != (report["errors"] > 0)) or ("cases" in report and (code == 3) != (report["cases_excluded"] + report["patients_without_case"] > 0)):
        wrong.append(f"--json contradicts the exit code: {report['errors']} errors")
    return [f"{name}: {w}" for w in wrong] + ([f"{name}: output was\n{out}"] if wrong else [])


failures = []
cases = sorted(os.listdir(os.path.join(corpus, "tables")))
if len(cases) < 30:
    failures.append(f"only {len(cases)} cases")
with tempfile.TemporaryDirectory(prefix="radcohort-corpus-") as tmp:
    only = sys.argv[1:]
    for c in only or cases:
        failures += run_case(c, os.path.join(tmp, c))
for f in failures:
    print("FAIL:", f)
print(f"{len(cases)} cohorts: {len(failures)} failures")
sys.exit(1 if failures else 0)
