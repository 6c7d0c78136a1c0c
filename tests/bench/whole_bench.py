#!/usr/bin/python3
"""Studies of which every slice is scored: bytes of voxels per second of `radcohort run` against what libdeflate alone inflates on the same cores.

    whole_bench.py BUILD [--studies 40] [--distinct 20] [--rounds 5] [--size 8] [--linear N ...] [--folder DIR] [--json FILE]

The archive of end_to_end.py; the network is so small (8 x 8 pixels, or --size) that reading is the wall. `slices: all`: each of the 200 slices of a study is cut,
windowed, resized, scored and stored. Beside it the same with near_copies: none, which leaves out the signature that is taken of every volume that
is read whole. libdeflate: inflate_bench.c, files in the page cache, buffers reused, two threads; its seconds of inflating count, not those of reading.
By the clock, and of the processor, which says the same on a machine that others use, too. --linear: instead, what a study costs in archives of
so many studies (hard links), by the clock, of the processor and in memory.
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
inputs: {{a: {{channels: [{{sequence: CT}}], orientation: LPS, slices: all, window: {{low: -160, high: 240}}, resize: {{size: {size}}}}}}}
models: [{{name: net, file: net.onnx, activation: softmax}}]
near_copies: {copies}
batch: 64
"""


def make(o, folder, studies):
    files = ct_archive.make(os.path.join(o.folder, "ct"), min(o.distinct, studies), SHAPE)
    cohort = os.path.join(folder, "cohort")
    os.makedirs(cohort)
    tables = {"centers": ["center\tcohort", "H1\tinternal"], "patients": ["patient\tcenter\tlabel"], "images": ["patient\tstudy\tsequence\tpath"]}
    for i in range(studies):
        os.link(files[i % len(files)], os.path.join(cohort, "P%04d.nii.gz" % i))
        tables["patients"].append("P%04d\tH1\t%s" % (i, ["benign", "malignant"][i % 2]))
        tables["images"].append("P%04d\ts1\tCT\tP%04d.nii.gz" % (i, i))
    fixture.write_tables(cohort, tables)
    with open(os.path.join(folder, "net.onnx"), "wb") as f:
        f.write(fixture.network(5, 1, o.size, 2, 4))
    for copies in ("read", "none"):
        with open(os.path.join(folder, copies + ".yaml"), "w") as f:
            f.write(JOB.format(copies=copies, size=o.size))
    return [os.path.join(cohort, "P%04d.nii.gz" % i) for i in range(studies)]


class Usage:
    """A program's output, seconds by the clock and of the processor, and its peak memory."""

    def __init__(self, command, folder):
        start = time.perf_counter()
        p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
        self.out = p.stdout.read()
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.clock, self.processor, self.mb = time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        if p.returncode != 0:
            sys.exit("%s: exit code %d\n%s" % (command[0], p.returncode, self.out))


def run(program, folder, copies, name, studies):
    db = os.path.join(folder, name + ".sqlite")
    u = Usage([program, "run", os.path.join(folder, copies + ".yaml"), "--db", db, "--quiet", "--json"], folder)
    if json.loads(u.out)["scored"] != studies:
        sys.exit("not every study was scored:\n" + u.out)
    return u


def linear(o, program):
    rows = []
    for n in o.linear:
        folder = tempfile.mkdtemp(prefix="whole-", dir=o.folder)
        try:
            for path in make(o, folder, n)[:o.distinct]:
                with open(path, "rb") as f:
                    while f.read(1 << 24):  # into the page cache
                        pass
            u = run(program, folder, "read", "linear", n)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        rows.append({"studies": n, "seconds": u.clock, "ms_per_study": 1e3 * u.clock / n, "processor_ms_per_study": 1e3 * u.processor / n, "peak_mb": u.mb})
    print("%8s%10s%12s%24s%10s" % ("studies", "seconds", "ms/study", "of the processor, ms", "peak MB"))
    for r in rows:
        print("%8d%10.2f%12.1f%24.1f%10.0f" % tuple(r.values()))
    return {"linear": rows}


def against_libdeflate(o, bench, program):
    folder = tempfile.mkdtemp(prefix="whole-", dir=o.folder)
    clock, processor = {}, {}
    try:
        files = make(o, folder, o.studies)
        Usage([bench, "2", *files], folder)  # into the page cache
        for r in range(o.rounds):
            u = Usage([bench, "2", *files], folder)
            alone = json.loads(u.out)
            clock.setdefault("libdeflate", []).append(alone["bytes"] / alone["inflating"])
            clock.setdefault("libdeflate, with reading", []).append(alone["bytes"] / alone["seconds"])
            processor.setdefault("libdeflate", []).append(alone["bytes"] / alone["processor"])
            for name, copies in (("radcohort", "read"), ("radcohort, near_copies: none", "none")):
                u = run(program, folder, copies, "%s-%d" % (copies, r), o.studies)
                clock.setdefault(name, []).append(alone["bytes"] / u.clock)
                processor.setdefault(name, []).append(alone["bytes"] / u.processor)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    median = {k: statistics.median(v) for k, v in clock.items()}
    core = {k: statistics.median(v) for k, v in processor.items()}
    print("%-32s%8s%12s%10s%24s" % ("%d studies, %d rounds" % (o.studies, o.rounds), "MB/s", "studies/s", "ratio", "MB/s of a core  ratio"))
    for k, v in median.items():
        more = "%16.0f%8.2f" % (core[k] / 1e6, core[k] / core["libdeflate"]) if k in core else ""
        print("%-32s%8.0f%12.1f%10.2f%s" % (k, v / 1e6, v * o.studies / alone["bytes"], v / median["libdeflate"], more))
    return {"studies": o.studies, "rounds": o.rounds, "mb_per_s": {k: v / 1e6 for k, v in median.items()},
            "mb_per_s_of_a_core": {k: v / 1e6 for k, v in core.items()}, "ratio": median["radcohort"] / median["libdeflate"],
            "ratio_of_a_core": core["radcohort"] / core["libdeflate"]}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--studies", type=int, default=40)
    a.add_argument("--distinct", type=int, default=20)
    a.add_argument("--rounds", type=int, default=5)
    a.add_argument("--size", type=int, default=8, help="pixels of the network's input to either side")
    a.add_argument("--linear", type=int, nargs="*", default=[])
    a.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "radcohort-bench"), help="where studies are kept from one call to the next")
    a.add_argument("--json")
    o = a.parse_args()
    build = os.path.abspath(o.build)
    os.makedirs(o.folder, exist_ok=True)
    bench, program = os.path.join(build, "tests", "bench", "inflate_bench"), os.path.join(build, "src", "cli", "radcohort")
    result = linear(o, program) if o.linear else against_libdeflate(o, bench, program)
    if o.json:
        with open(o.json, "w") as f:
            json.dump(result, f, indent=1)


main()
