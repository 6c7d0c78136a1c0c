#!/usr/bin/python3
"""Instructions of the hot loops (tests/bench/count_bench.c), counted by callgrind, against tests/data/instructions.tsv: a regression shows however
busy the machine is. Also that the loops' results are the same bits as outside callgrind, which knows no AVX-512: whatever vectors a processor has.

    RAD_BUILD=build tests/backend/t_instructions.py [--update]

The counts are those of release flags, one compiler and Debian's libraries; ISA-L, glibc and our own loops take their AVX2 paths under valgrind on every
x86-64-v3 processor. oneDNN is not counted: what it generates depends on the processor. A loop may take 3 % more than its baseline. One that takes 10 %
less wants a new baseline, which --update writes: commit it with the change that earned it."""
import concurrent.futures
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("RAD_BUILD", "build")
PROGRAM = os.path.join(BUILD, "tests", "bench", "count_bench")
BASELINE = os.path.join(HERE, "..", "data", "instructions.tsv")
LOOPS = ["inflate", "skim", "convert", "prepare", "auc", "store", "wire", "schedule"]
MORE, LESS = 1.03, 0.90


def skip(why):
    print("SKIP: " + why)
    sys.exit(77)


def cache(key):
    with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
        m = re.search(r"^%s:\w+=(.*)$" % key, f.read(), re.M)
    return m.group(1) if m else ""


def machine():
    """What the counts hold for."""
    version = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
    libraries = version("dpkg-query", "-W", "-f", "${Package} ${Version} ", "libisal2", "libsqlite3-0", "libc6", "libxxhash0", "libssl3")
    libraries = re.sub(r"(\d)-\S*", r"\1", libraries)  # what Debian mends in a release keeps the count
    return "%s; gcc %s; %s" % (platform.machine(), version(cache("CMAKE_C_COMPILER") or "cc", "-dumpfullversion"), libraries.strip())


def count(loop):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        r = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + out, "--toggle-collect=loop_" + loop, PROGRAM, loop],
                           capture_output=True, text=True, env=dict(os.environ, TMPDIR=folder))
        if r.returncode != 0:
            sys.exit("count_bench %s under valgrind: exit code %d\n%s" % (loop, r.returncode, r.stderr[-2000:]))
        with open(out) as f:
            total = int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))
    plain = subprocess.run([PROGRAM, loop], capture_output=True, text=True, check=True).stdout
    return loop, total, r.stdout == plain, plain


def main():
    if not shutil.which("valgrind"):
        skip("no valgrind")
    if cache("CMAKE_BUILD_TYPE") != "Release" or cache("RAD_SANITIZE"):
        skip("instructions are counted in release builds")
    here, base, known = machine(), {}, ""
    if os.path.exists(BASELINE):
        with open(BASELINE) as f:
            lines = f.read().splitlines()
        known = lines[0][2:]
        base = {name: int(n) for name, n in (line.split("\t") for line in lines[2:])}
    if "--update" not in sys.argv and here != known:
        skip("the baseline is that of '%s', this is '%s'" % (known, here))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        got = list(pool.map(count, LOOPS))
    bad = 0
    for loop, total, same, plain in got:
        ratio = total / base.get(loop, total)
        wrong = [] if same else ["other bits than without callgrind"]
        if "--update" not in sys.argv:
            wrong += ["no baseline"] if loop not in base else ["%.1f %% more than the baseline" % (100 * ratio - 100)] if ratio > MORE else []
            wrong += ["%.0f %% less than the baseline: write a new one with --update" % (100 - 100 * ratio)] if ratio < LESS else []
        bad += len(wrong)
        print("%-10s%15d  %+6.2f %%  %s" % (loop, total, 100 * ratio - 100, "; ".join(wrong)))
    if "--update" in sys.argv and not bad:
        with open(BASELINE, "w") as f:
            f.write("# %s\nloop\tinstructions\n%s" % (here, "".join("%s\t%d\n" % (loop, total) for loop, total, _, _ in got)))
    sys.exit(1 if bad else 0)


main()
