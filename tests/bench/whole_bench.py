#!/usr/bin/python3
"""Studies of which every slice is scored: bytes of voxels per second of `radcohort run` against what libdeflate alone inflates on the same cores.

    whole_bench.py BUILD [--studies 40] [--distinct 20] [--rounds 5] [--folder DIR] [--json FILE]

The archive of end_to_end.py; the network is so small (8 x 8 pixels) that reading is the wall. `slices: all`: each of the 200 slices of a study is cut,
windowed, resized, scored and stored. Beside it the same with near_copies: none, which leaves out the signature that is taken of every volume that
is read whole. libdeflate: inflate_bench.c, files in the page cache, buffers reused, two threads; its seconds of inflating count, not those of reading.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "mpi")]
import ct_archive  # noqa: E402
import fixture  # noqa: E402

SHAPE = (512, 512, 200)
JOB = """job: whole
cohort: cohort
unit: patient
classes: [benign, malignant]
positive: malignant
inputs: {{a: {{channels: [{{sequence: CT}}], orientation: LPS, slices: all, window: {{low: -160, high: 240}}, resize: {{size: 8}}}}}}
models: [{{name: net, file: net.onnx, activation: softmax}}]
near_copies: {copies}
batch: 64
"""


def make(o, folder):
    files = ct_archive.make(os.path.join(o.folder, "ct"), min(o.distinct, o.studies), SHAPE)
    cohort = os.path.join(folder, "cohort")
    os.makedirs(cohort)
    tables = {"centers": ["center\tcohort", "H1\tinternal"], "patients": ["patient\tcenter\tlabel"], "images": ["patient\tstudy\tsequence\tpath"]}
    for i in range(o.studies):
        os.link(files[i % len(files)], os.path.join(cohort, "P%04d.nii.gz" % i))
        tables["patients"].append("P%04d\tH1\t%s" % (i, ["benign", "malignant"][i % 2]))
        tables["images"].append("P%04d\ts1\tCT\tP%04d.nii.gz" % (i, i))
    fixture.write_tables(cohort, tables)
    with open(os.path.join(folder, "net.onnx"), "wb") as f:
        f.write(fixture.network(5, 1, 8, 2, 4))
    for copies in ("read", "none"):
        with open(os.path.join(folder, copies + ".yaml"), "w") as f:
            f.write(JOB.format(copies=copies))
    return [os.path.join(cohort, "P%04d.nii.gz" % i) for i in range(o.studies)]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--studies", type=int, default=40)
    a.add_argument("--distinct", type=int, default=20)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "radcohort-bench"), help="where studies are kept from one call to the next")
    a.add_argument("--json")
    o = a.parse_args()
    build = os.path.abspath(o.build)
    os.makedirs(o.folder, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="whole-", dir=o.folder)
    bench, program = os.path.join(build, "tests", "bench", "inflate_bench"), os.path.join(build, "src", "cli", "radcohort")
    rate = {"libdeflate": [], "libdeflate, with reading": [], "radcohort": [], "radcohort, near_copies: none": []}
    try:
        files = make(o, folder)
        subprocess.run([bench, "2", *files], check=True, stdout=subprocess.DEVNULL)  # into the page cache
        for r in range(o.rounds):
            alone = json.loads(subprocess.run([bench, "2", *files], check=True, capture_output=True, text=True).stdout)
            rate["libdeflate"].append(alone["bytes"] / alone["inflating"])
            rate["libdeflate, with reading"].append(alone["bytes"] / alone["seconds"])
            for name, copies in (("radcohort", "read"), ("radcohort, near_copies: none", "none")):
                db = os.path.join(folder, "%s-%d.sqlite" % (copies, r))
                start = time.perf_counter()
                p = subprocess.run([program, "run", os.path.join(folder, copies + ".yaml"), "--db", db, "--quiet", "--json"], capture_output=True,
                                   text=True, cwd=folder)
                seconds = time.perf_counter() - start
                if p.returncode != 0 or json.loads(p.stdout)["scored"] != o.studies:
                    sys.exit("radcohort: exit code %d\n%s%s" % (p.returncode, p.stdout, p.stderr))
                rate[name].append(alone["bytes"] / seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {k: statistics.median(v) for k, v in rate.items()}
    print("%-32s%8s%12s%10s" % ("%d studies, %d rounds" % (o.studies, o.rounds), "MB/s", "studies/s", "ratio"))
    for k, v in median.items():
        print("%-32s%8.0f%12.1f%10.2f" % (k, v / 1e6, v * o.studies / alone["bytes"], v / median["libdeflate"]))
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"studies": o.studies, "rounds": o.rounds, "mb_per_s": {k: v / 1e6 for k, v in median.items()},
                       "ratio": median["radcohort"] / median["libdeflate"]}, f, indent=1)


main()
