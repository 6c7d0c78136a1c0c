#!/usr/bin/python3
"""A night over many small generated studies of which one in a hundred changed: seconds of the plan, and files that were opened.

usage: nightly_bench.py RADCOHORT [STUDIES [FOLDER]]          (default 50000 studies; needs strace for the count of opened files)

Writes one line of JSON. The first night scores everything (backend ref, a network of four channels on 8 x 8 pixels).
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "mpi"))
import fixture  # noqa: E402


def make(folder, n):
    cohort = os.path.join(folder, "cohort")
    os.makedirs(cohort)
    tables = {"centers": ["center\tcohort"] + ["C%02d\t%s" % (i, "internal" if i == 0 else "external") for i in range(10)],
              "patients": ["patient\tcenter\tlabel"], "images": ["patient\tstudy\tsequence\tpath"],
              "lesions": ["patient\tlesion\tlabel\tbox"]}
    one = os.path.join(folder, "one.nii")
    fixture.nifti(one, (8, 8, 2), (1.0, 1.0, 3.0), [0] * 128, fixture.I16)
    with open(one, "rb") as f:
        head = f.read(352)
    for p in range(n):
        name, label = "P%06d" % p, ["benign", "malignant"][p % 3 == 0]
        path = "d%03d/%s.nii" % (p // 200, name)
        if p % 200 == 0:
            os.makedirs(os.path.join(cohort, "d%03d" % (p // 200)))
        with open(os.path.join(cohort, path), "wb") as f:
            f.write(head + os.urandom(128) + bytes(128))
        tables["patients"].append("%s\tC%02d\t%s" % (name, p % 10, label))
        tables["images"].append("%s\ts1\tA\t%s" % (name, path))
        tables["lesions"].append("%s\tL1\t%s\t1 1 0 7 7 2" % (name, label))
    fixture.write_tables(cohort, tables)
    with open(os.path.join(folder, "net.onnx"), "wb") as f:
        f.write(fixture.network(5, 1, 8, 2, 4))
    with open(os.path.join(folder, "job.yaml"), "w") as f:
        f.write("""job: many
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs: {a: {channels: [{sequence: A}], slices: lesion, region: {from: auto}, window: {low: 0, high: 30000}, resize: {size: 8}}}
models: [{name: net, file: net.onnx, activation: softmax}]
operating_points: [{name: half, threshold: 0.5}]
strata: [all, center]
backend: ref
""")
    return os.path.join(folder, "job.yaml")


def timed(*command):
    start = time.monotonic()
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode not in (0, 3):
        sys.exit("%s: exit code %d\n%s" % (command, r.returncode, r.stderr[-2000:]))
    return time.monotonic() - start, r.stdout


def main():
    rad, n = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50000
    folder = tempfile.mkdtemp(prefix="radcohort-nightly-bench-", dir=sys.argv[3] if len(sys.argv) > 3 else None)
    try:
        job, db = make(folder, n), os.path.join(folder, "a.sqlite")
        first, _ = timed(rad, "nightly", job, "--db", db)
        changed = list(range(50, n, 100))
        for p in changed:
            with open(os.path.join(folder, "cohort", "d%03d" % (p // 200), "P%06d.nii" % p), "r+b") as f:
                f.seek(360)
                f.write(os.urandom(64))
        plans = []
        for _ in range(3):
            wall, out = timed(rad, "nightly", job, "--db", db, "--dry-run", "--json")
            plan = json.loads(out)
            plans.append((wall, plan["plan_s"]))
        assert plan["n_run"] == len(changed), (plan["n_run"], len(changed))
        opened = None
        if shutil.which("strace"):
            log = os.path.join(folder, "strace")
            _, out = timed("strace", "-f", "-qq", "-e", "trace=openat,open", "-o", log, rad, "nightly", job, "--db", db, "--json")
            with open(log) as f:
                opened = {m.group(1) for m in re.finditer(r"(P\d{6})\.nii", f.read())}
            quiet = opened - {"P%06d" % p for p in changed}
            assert not quiet, "unchanged files were opened: %s" % sorted(quiet)[:5]
        second, out = timed(rad, "nightly", job, "--db", db, "--json")
        print(json.dumps({"studies": n, "changed": len(changed), "first_night_s": round(first, 2),
                          "plan_wall_s": [round(w, 2) for w, _ in plans], "plan_decide_s": [round(d, 2) for _, d in plans],
                          "opened_of_changed": None if opened is None else len(opened), "opened_of_unchanged": None if opened is None else 0,
                          "quiet_night_s": round(second, 2), "database_mb": round(os.path.getsize(db) / 1e6, 1)}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
