#!/usr/bin/python3
"""radcohort check on a corpus of bad cohorts, one mistake each (tests/cli/corpus/tables/NAME): the files there are laid over the good
cohort in tests/cli/corpus/base, and `expect` beside them says what must come out:
  exit N          the exit code
  expect TEXT     is in the output        absent TEXT    is not
  base NAME       another good cohort than corpus/base
  do ACTION       remove TABLE | delete FILE | folder FILE | truncate FILE BYTES | garbage FILE | nifti FILE NX NY NZ [ORIGIN_Z]
                  volumes FILE NX NY NZ NT | patch FILE OFFSET FORMAT VALUE | write FILE TEXT
Images of 8 x 8 x 4 voxels are made for every path of images.tsv and lesions.tsv that has none; the network is a few bytes of ONNX. A job.yaml
beside `expect` goes before the good one. Then the bad jobs of corpus/jobs/invalid, by the same program.

corpus/README.md shows all mistakes with their messages; `t_check_corpus.py --update` writes it anew, and without that it must be up to date."""
import csv
import glob
import json
import os
import re
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


def write_nifti(path, dim, z=0, volumes=1):
    h = bytearray(352)
    struct.pack_into("<i", h, 0, 348)
    struct.pack_into("<8h", h, 40, 3 if volumes == 1 else 4, *dim, volumes, 1, 1, 1)
    struct.pack_into("<hh", h, 70, 4, 16)  # int16
    struct.pack_into("<8f", h, 76, 1, 1, 1, 3, 0, 0, 0, 0)
    struct.pack_into("<f", h, 108, 352)
    struct.pack_into("<hh", h, 252, 0, 1)  # sform
    struct.pack_into("<12f", h, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3, z)
    h[344:348] = b"n+1\0"
    n = dim[0] * dim[1] * dim[2] * volumes
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
    elif words[0] == "volumes":
        write_nifti(target, [int(w) for w in words[2:5]], volumes=int(words[5]))
    elif words[0] == "patch":
        with open(target, "r+b") as f:
            f.seek(int(words[2]))
            f.write(struct.pack(words[3], float(words[4]) if words[3][-1] == "f" else int(words[4])))
    elif words[0] == "write":
        open(target, "w", encoding="utf-8").write(" ".join(words[2:]) + "\n")
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
    here = os.path.join(corpus, "tables", name)
    said = open(os.path.join(here, "expect"), encoding="utf-8").read().splitlines()
    shutil.copytree(os.path.join(corpus, ([line[5:] for line in said if line.startswith("base ")] or ["base"])[0]), folder)
    for f in os.listdir(here):
        if f != "expect":
            shutil.copy(os.path.join(here, f), os.path.join(folder, f if f == "job.yaml" else "cohort/" + f))
    make_images(os.path.join(folder, "cohort"))
    write_model(os.path.join(folder, "net.onnx"))
    code, expect, absent = None, [], []
    for line in said:
        word, rest = line.split(" ", 1)
        if word == "exit":
            code = int(rest)
        elif word == "base":
            continue
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
    told[name] = (kind_of(name), r.returncode, message(out.replace(folder + "/", ""), expect))
    return [f"{name}: {w}" for w in wrong] + ([f"{name}: output was\n{out}"] if wrong else [])


def kind_of(name):
    for kind, words in (("sidecar", ("sidecar-",)), ("mask", ("mask-", "missing-mask")), ("image", ("image-", "channels-", "missing-file", "no-nifti-name"))):
        if name.startswith(words):
            return kind
    return "cohort"


def message(out, expect):
    """the lines that hold what is expected, as a person sees them"""
    lines = [re.sub(r"\s+", " ", line).strip() for line in out.splitlines()]
    return [line for line in dict.fromkeys(lines) if any(e in line for e in expect) and not re.fullmatch(r"\d+ errors?, \d+ warnings?", line)]


def run_job(path, folder):
    name = os.path.basename(path)
    text = open(path, encoding="utf-8", errors="replace").read()
    expect = [line[len("# expect: "):] for line in text.splitlines() if line.startswith("# expect: ")]
    shutil.copy(path, os.path.join(folder, "job.yaml"))
    r = subprocess.run([program, "check", "job.yaml"], capture_output=True, text=True, errors="replace", timeout=60, cwd=folder)
    told[name[:-5]] = ("job", r.returncode, message(r.stderr, expect))
    wrong = [f"missing: {e}" for e in expect if e not in r.stderr] + ([f"exit {r.returncode}, expected 2"] if r.returncode != 2 else [])
    return [f"{name}: {w}" for w in wrong] + ([f"{name}: output was\n{r.stderr}"] if wrong else [])


TITLE = {"cohort": "The cohort's tables", "image": "Images", "mask": "Masks", "sidecar": "Sidecars", "job": "The job"}


def page():
    """corpus/README.md"""
    bad = {n: v for n, v in told.items() if not n.startswith("ok")}
    text = ["# What radcohort says to mistakes", "",
            f"{len(bad)} kinds, one mistake each, with the exit code and the message of `radcohort check` (2: mend it first; 3: the others can be scored;",
            "0: told, and nothing stands in the way). Written by `tests/cli/t_check_corpus.py --update`, which the tests compare with what the program says.", ""]
    for kind, title in TITLE.items():
        text += ["## " + title, "", "| mistake | exit | message |", "|---|---|---|"]
        for n in sorted(n for n in bad if bad[n][0] == kind):
            said = "<br>".join(m.replace("|", "\\|").replace("<", "&lt;") for m in bad[n][2])
            text.append(f"| {n.replace('sidecar-', '')} | {bad[n][1]} | {said} |")
        text.append("")
    return "\n".join(text)


failures, told = [], {}
cases = sorted(os.listdir(os.path.join(corpus, "tables")))
if len(cases) < 30:
    failures.append(f"only {len(cases)} cases")
with tempfile.TemporaryDirectory(prefix="radcohort-corpus-") as tmp:
    only = [a for a in sys.argv[1:] if a != "--update"]
    for c in only or cases:
        failures += run_case(c, os.path.join(tmp, c))
    for c in [] if only else sorted(glob.glob(os.path.join(corpus, "jobs/invalid/*.yaml"))):
        failures += run_job(c, tmp)
readme = os.path.join(corpus, "README.md")
for kind in TITLE:
    if not only and not any(v[0] == kind and n[:2] != "ok" for n, v in told.items()):
        failures.append(f"no mistake of kind {kind}")
failures += [f"{n}: no message" for n, v in told.items() if not v[2] and not n.startswith("ok")]
if "--update" in sys.argv and not only:
    open(readme, "w", encoding="utf-8").write(page())
elif not only and (not os.path.exists(readme) or open(readme, encoding="utf-8").read() != page()):
    failures.append("tests/cli/corpus/README.md is not what the program says: run tests/cli/t_check_corpus.py --update and read what changed")
for f in failures:
    print("FAIL:", f)
print(f"{len(told)} cohorts and jobs: {len(failures)} failures")
sys.exit(1 if failures else 0)
