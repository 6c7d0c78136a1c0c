#!/usr/bin/python3
"""radcohort folds: whole patients, balanced within strata, the same on every machine (an independent MT19937), other columns untouched, never in
place unless asked; what cannot be is refused."""
import collections
import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile

rad = os.environ["RADCOHORT"]
top = tempfile.mkdtemp()
cohort = os.path.join(top, "c")
os.makedirs(cohort)
rng = random.Random(5)
LABELS = ["benign"] * 61 + ["malignant"] * 37 + ["rare"] * 3 + ["n/a"] * 2
people = [("P%03d" % i, "H%d" % (1 + i % 3), label, "F" if i % 4 else "n/a", '"a ""b"" c"' if i == 7 else "site %d" % (i % 5))
          for i, label in enumerate(LABELS)]
rng.shuffle(people)


def table(rows):
    with open(os.path.join(cohort, "patients.tsv"), "w") as f:
        f.write("patient\tcenter\tlabel\tsex\tage\tbmi\tward\n" + "".join("%s\t%s\t%s\t%s\t90+\t21.50\t%s\n" % r for r in rows))


def run(expect, *args):
    p = subprocess.run([rad, "folds", cohort, *args], capture_output=True, text=True)
    assert p.returncode == expect, (args, p.returncode, p.stdout, p.stderr)
    return p


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


table(people)
with open(os.path.join(cohort, "centers.tsv"), "w") as f:
    f.write("center\tcohort\nH1\tinternal\nH2\tinternal\nH3\texternal\n")
with open(os.path.join(cohort, "images.tsv"), "w") as f:
    f.write("patient\tstudy\tsequence\tpath\n" + "".join("%s\ts\tA\t%s.nii\n" % (p[0], p[0]) for p in people))
before = open(os.path.join(cohort, "patients.tsv")).read()
p = run(0, "--folds", "10", "--seed", "7")
assert open(os.path.join(cohort, "patients.tsv")).read() == before
got = rows_of(p.stdout)
assert [r["patient"] for r in got] == [r[0] for r in people] and {r["fold_seed"] for r in got} == {"7"}
for r, q in zip(got, people):
    want = 'a "b" c' if q[0] == "P007" else q[4]
    assert (r["center"], r["label"], r["sex"], r["age"], r["bmi"], r["ward"]) == (q[1], q[2], q[3], "90+", "21.50", want), r
fold = {r["patient"]: int(r["fold"]) for r in got}
sizes = collections.Counter(fold.values())
assert sorted(sizes) == list(range(10)) and max(sizes.values()) - min(sizes.values()) <= 1
for label in set(LABELS):
    n = collections.Counter(fold[q[0]] for q in people if q[2] == label)
    assert max(n.values()) - min(n[k] for k in range(10)) <= 1, (label, n)
assert "'rare' has 3 patients, fewer than folds" in p.stderr and "'benign'" not in p.stderr
lines = p.stderr.splitlines()
assert lines[0].split()[:2] == ["fold", "patients"] and any(line.split()[:2] == ["all", "103"] for line in lines), p.stderr

# the same from the description: strata by their text, patients by name, Fisher-Yates from the end with MT19937
try:
    import numpy as np
except ImportError:
    np = None
if np is not None:
    raw = np.random.RandomState(7)

    def below(n):
        scale = (2 ** 32 - 1) // n
        while True:
            k = int(raw.randint(0, 2 ** 32, dtype=np.uint32)) // scale
            if k < n:
                return k
    dealt = []
    for text in sorted({("-;" if q[2] == "n/a" else "%d:%s;" % (len(q[2]), q[2])) for q in people}):
        who = sorted(q[0] for q in people if text == ("-;" if q[2] == "n/a" else "%d:%s;" % (len(q[2]), q[2])))
        for i in range(len(who) - 1, 0, -1):
            j = below(i + 1)
            who[i], who[j] = who[j], who[i]
        dealt += who
    assert {w: i % 10 for i, w in enumerate(dealt)} == fold

# order of the table: no influence; the seed: influence; a column there is replaced
table(sorted(people))
assert {r["patient"]: int(r["fold"]) for r in rows_of(run(0, "--folds", "10", "--seed", "7").stdout)} == fold
assert {r["patient"]: int(r["fold"]) for r in rows_of(run(0, "--folds", "10", "--seed", "8").stdout)} != fold
run(0, "--folds", "10", "--seed", "7", "--in-place", "--first", "1")
there = rows_of(open(os.path.join(cohort, "patients.tsv")).read())
assert {r["patient"]: int(r["fold"]) - 1 for r in there} == fold
again = run(0, "--folds", "4", "--seed", "7", "--stratify", "label,center,ward", "--cohort", "internal", "-o", os.path.join(top, "new.tsv"))
assert again.stdout == ""
made = rows_of(open(os.path.join(top, "new.tsv")).read())
assert list(made[0]).count("fold") == 1 and list(made[0]).count("fold_seed") == 1
assert all((r["fold"] == "n/a") == (r["center"] == "H3") for r in made)
run(0, "--folds", "5", "--seed", "0", "--stratify", "")
few = run(0, "--folds", "90", "--seed", "7", "-o", os.path.join(top, "few.tsv"), "--json")
warnings = json.loads(few.stdout)["warnings"]
assert warnings and all("fewer than folds" in w and "warning: " + w in few.stderr for w in warnings), (warnings, few.stderr)

# for a program: what the table says
said = json.loads(run(0, "--folds", "4", "--seed", "7", "--stratify", "label,center", "--cohort", "internal", "--first", "1", "-o",
                      os.path.join(top, "new.tsv"), "--json").stdout)
made = rows_of(open(os.path.join(top, "new.tsv")).read())
dealt = [r for r in made if r["fold"] != "n/a"]
assert (said["path"], said["seed"], said["stratify"]) == (os.path.join(top, "new.tsv"), 7, ["label", "center"]), said
assert (said["patients"], said["patients_without_fold"]) == (len(dealt), len(made) - len(dealt))
assert {f["fold"]: f["patients"] for f in said["folds"]} == collections.Counter(int(r["fold"]) for r in dealt)
strata = {(s["stratum"]["label"], s["stratum"]["center"]): s for s in said["strata"]}
assert len(strata) == len(said["strata"]) and set(strata) == {(r["label"] if r["label"] != "n/a" else None, r["center"]) for r in dealt}
for (label, center), s in strata.items():
    here = collections.Counter(int(r["fold"]) for r in dealt if (r["label"], r["center"]) == (label or "n/a", center))
    assert s["by_fold"] == [here[f["fold"]] for f in said["folds"]] and s["patients"] == sum(here.values()), (label, center, s)
for args, word in ((("--folds", "5", "--seed", "1", "--json"), "--json takes the standard output"), (("--folds", "1", "--seed", "1"), "--folds"), (("--folds", "5"), "--seed"), (("--folds", "5", "--seed", "x"), "--seed"),
                   (("--folds", "5", "--seed", "1", "--stratify", "labels"), "no column 'labels'"),
                   (("--folds", "5", "--seed", "1", "--cohort", "both"), "--cohort"),
                   (("--folds", "5", "--seed", "1", "-o", "x", "--in-place"), "exclude each other")):
    assert word in run(2, *args).stderr, args
table(people[:4])
with open(os.path.join(cohort, "images.tsv"), "w") as f:
    f.write("patient\tstudy\tsequence\tpath\n" + "".join("%s\ts\tA\t%s.nii\n" % (p[0], p[0]) for p in people[:4]))
assert "at least one patient in each" in run(2, "--folds", "5", "--seed", "1").stderr
print("folds of %d patients: ok%s" % (len(people), "" if np is not None else " (without numpy's generator)"))
