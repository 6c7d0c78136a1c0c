#!/usr/bin/python3
"""Folds end to end: exactly the file of the patient's fold scores him, a patient without one is excluded or gets the mean of all files, keys
and views name the actual file; wrong numbers, straddling and leakage are refused. Aggregation rules, collapsed classes, tuned thresholds,
cross-validated and exploratory numbers against numpy and against networks run one by one."""
import collections
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("SKIP: no numpy")
    sys.exit(77)

rad, source = os.environ["RADCOHORT"], os.environ["RAD_SOURCE"]
sys.path.insert(0, os.path.join(source, "tests/mpi"))
import fixture  # noqa: E402

for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)
CLASSES = ("benign", "primary", "metastatic")
PATIENTS, FOLDS = 36, 3
HEAD = """job: folds
cohort: cohort
unit: lesion
classes: [benign, primary, metastatic]
inputs: {a: {channels: [{sequence: A, offset: [-1, 0, 1]}], slices: lesion-all, region: {from: box}, window: {low: 0, high: 900}, resize: {size: 16}}}
"""


def make(folder):
    cohort = os.path.join(folder, "cohort")
    os.makedirs(cohort)
    rng = np.random.default_rng(11)
    rows = {"centers": ["center\tcohort", "H1\tinternal", "H2\texternal"], "patients": ["patient\tcenter\tlabel\tfold"],
            "images": ["patient\tstudy\tsequence\tpath"], "lesions": ["patient\tlesion\tlabel\tbox"],
            "readings": ["reader\tpatient\tlesion\tcall"]}
    for p in range(PATIENTS):
        name, label = "P%02d" % p, p % 3
        rows["patients"].append("%s\tH%d\t%s\t%s" % (name, 1 + (p >= 24), CLASSES[label], 1 + (p // 3) % FOLDS if p < 24 else "n/a"))
        values = rng.normal(350 + 60 * label, 140, 20 * 20 * 8).astype(int).tolist()
        fixture.nifti(os.path.join(cohort, name + ".nii.gz"), (20, 20, 8), (1.0, 1.0, 3.0), values, fixture.I16)
        rows["images"].append("%s\ts1\tA\t%s.nii.gz" % (name, name))
        for k in range(1 + p % 2):
            rows["lesions"].append("%s\tL%d\t%s\t2 2 %d 14 14 %d" % (name, k, CLASSES[label], 1 + 2 * k, 5 + 2 * k))
            rows["readings"].append("R\t%s\tL%d\t%s" % (name, k, CLASSES[(label + (p % 5 == 0)) % 3]))
    for table, lines in rows.items():
        with open(os.path.join(cohort, table + ".tsv"), "w") as f:
            f.write("\n".join(lines) + "\n")
    os.makedirs(os.path.join(folder, "models"))
    for k in range(1, FOLDS + 1):
        with open(os.path.join(folder, "models", "fold%d.onnx" % k), "wb") as f:
            f.write(fixture.network(k, 3, 16, 3, 6))


def write(folder, name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    return os.path.join(folder, name)


def run(job, expect, *options):
    db = job + ".sqlite"
    p = subprocess.run([rad, "run", job, "--db", db, "--quiet", *options], capture_output=True, text=True)
    assert p.returncode == expect, (job, p.returncode, p.stdout, p.stderr)
    if expect == 2:
        return p.stderr
    con = sqlite3.connect(db)
    con.row_factory = sqlite3.Row
    return con


def check(job, expect):
    p = subprocess.run([rad, "check", job], capture_output=True, text=True)
    assert p.returncode == expect, (job, p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def slices(db, model):
    """{(patient, lesion): array [slice, class]}, straight from the result tables"""
    out = collections.defaultdict(dict)
    for r in db.execute("SELECT p.patient, l.lesion, s.slice, s.class_index, s.score FROM run_result rr"
                        " JOIN run_model rm ON rm.run_model_id = rr.run_model_id JOIN manifest m ON m.case_id = rr.case_id"
                        " JOIN slice_score s ON s.result_id = rr.result_id JOIN patient p ON p.patient_id = m.patient_id"
                        " JOIN lesion l ON l.lesion_id = m.lesion_id WHERE rm.model = ?", (model,)):
        out[r[0], r[1]][r[2], r[3]] = r[4]
    return {k: np.array([[v[s, c] for c in range(3)] for s in sorted({s for s, _ in v})]) for k, v in out.items()}


def fold_of(patient):
    p = int(patient[1:])
    return 1 + (p // 3) % FOLDS if p < 24 else None


def check_folds(folder):
    singles = "".join("  - {name: f%d, file: models/fold%d.onnx, activation: softmax}\n" % (k, k) for k in range(1, FOLDS + 1))
    every = run(write(folder, "singles.yaml", HEAD + "models:\n" + singles), 0)
    alone = {k: slices(every, "f%d" % k) for k in range(1, FOLDS + 1)}
    model = "models:\n  - {name: cv, file: 'models/fold{fold}.onnx', folds: 3, activation: softmax%s}\n"
    strict = run(write(folder, "strict.yaml", HEAD + model % ""), 3)
    got = slices(strict, "cv")
    assert {p for p, _ in got} == {"P%02d" % p for p in range(24)}
    for (p, lesion), s in got.items():
        assert (s == alone[fold_of(p)][p, lesion]).all(), p
    out = strict.execute("SELECT patient, reason, stage, count(*) n FROM v_exclusion WHERE unit = 'lesion' GROUP BY patient").fetchall()
    assert {r["patient"] for r in out} == {"P%02d" % p for p in range(24, 36)} and {(r["reason"], r["stage"]) for r in out} == {("fold", "intake")}
    assert "18  a, intake: the patient has no fold" in check(os.path.join(folder, "strict.yaml"), 3)
    mean = run(write(folder, "mean.yaml", HEAD + model % ", without_fold: mean"), 0)
    got = slices(mean, "cv")
    assert len({p for p, _ in got}) == PATIENTS
    for (p, lesion), s in got.items():
        k = fold_of(p)
        want = alone[k][p, lesion] if k else sum(alone[j][p, lesion] for j in range(1, 4)) / 3
        assert (s == want).all(), (p, s - want)
    # the file that scored is named, with its hash, and the key is the one that the file alone has
    files = {r["fold"]: r for r in mean.execute("SELECT f.*, m.sha256 FROM run_model_file f JOIN model m USING (model_id)")}
    assert set(files) == {1, 2, 3, None} and files[2]["file"] == "models/fold2.onnx" and files[None]["file"] == "models/fold{fold}.onnx"
    assert len({f["sha256"] for f in files.values()}) == 4
    keys = dict(((r[0], r[1], r[2]), r[3]) for r in every.execute("SELECT DISTINCT model, patient, lesion, result_key FROM v_slice_score"))
    for view in ("v_slice_score", "v_source"):
        for r in mean.execute("SELECT DISTINCT patient, lesion, file, fold, model_sha256, result_key FROM " + view):
            k = fold_of(r["patient"])
            assert r["fold"] == k and r["file"] == files[k]["file"] and r["model_sha256"] == files[k]["sha256"], dict(r)
            if k:
                assert r["result_key"] == keys["f%d" % k, r["patient"], r["lesion"]]
    # over several ranks, in other batches, every score is the same bit for bit
    if shutil.which("mpirun"):
        job = write(folder, "ranks.yaml", HEAD + model % ", without_fold: mean")
        p = subprocess.run(["mpirun", "-n", "3", "--oversubscribe", rad, "run", job, "--db", job + ".sqlite", "--quiet", "--batch", "3"],
                           capture_output=True, text=True, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # MPI keeps memory to its end
        assert p.returncode == 0, (p.returncode, p.stdout, p.stderr)
        spread = slices(sqlite3.connect(job + ".sqlite"), "cv")
        assert spread.keys() == got.keys() and all((spread[k] == got[k]).all() for k in got)
    else:
        print("no mpirun: not run over several ranks")
    # the results are there: another run computes nothing
    again = run(os.path.join(folder, "mean.yaml"), 0)
    assert again.execute("SELECT count(*) FROM run").fetchone()[0] == 1
    shutil.copy(os.path.join(folder, "mean.yaml.sqlite"), os.path.join(folder, "more.yaml.sqlite"))
    more = run(write(folder, "more.yaml", HEAD.replace("job: folds", "job: more") + model % ", without_fold: mean"), 0)
    assert more.execute("SELECT min(reused) FROM run_result WHERE run_model_id = 2").fetchone()[0] == 1
    return mean


def refuse(folder):
    model = "models:\n  - {name: cv, file: 'models/fold{fold}.onnx', folds: 3, activation: softmax, without_fold: mean%s}\n"
    patients = os.path.join(folder, "cohort/patients.tsv")
    text = open(patients).read()
    plain = write(folder, "plain.yaml", HEAD + model % "")
    for change, words in ((("P05\tH1\tmetastatic\t2", "P05\tH1\tmetastatic\t7"), ("P05", "fold 7", "has 3")),
                          (("P05\tH1\tmetastatic\t2", "P05\tH1\tmetastatic\t0"), ("P05", "P06", "fold 0", "fold 3"))):
        assert change[0] in text
        open(patients, "w").write(text.replace(*change))
        for out in (check(plain, 2), run(plain, 2)):
            assert all(w in out for w in words), out
    open(patients, "w").write(text)
    lesions = os.path.join(folder, "cohort/lesions.tsv")
    text = open(lesions).read()
    rows = text.splitlines()
    open(lesions, "w").write("\n".join([rows[0] + "\tfold"] + [r + ("\t3" if r.startswith("P01\tL1") else "\tn/a") for r in rows[1:]]) + "\n")
    out = check(plain, 2)
    assert "P01" in out and "straddles" in out, out
    open(lesions, "w").write(text)
    # trained on: fold k's file has seen everybody but fold k
    seen = ["patient\tfold"] + ["P%02d\t%d" % (p, k) for p in range(24) for k in (1, 2, 3) if k != fold_of("P%02d" % p)] + ["elsewhere\t1"]
    write(folder, "seen.tsv", "\n".join(seen) + "\n")
    listed = write(folder, "listed.yaml", HEAD + model % ", trained_on: seen.tsv")
    run(listed, 0).close()
    for row, who in (("P10\t%d" % fold_of("P10"), "P10"), ("P30\t2", "P30"), ("P30\t", "P30")):
        write(folder, "seen.tsv", "\n".join(seen + [row]) + "\n")
        for out in (check(listed, 2), run(listed, 2)):
            assert "leakage" in out and who in out and "seen.tsv" in out, out
    write(folder, "seen.tsv", "patient\tfile\nP10\tfold%d.onnx\n" % fold_of("P10"))
    assert "P10" in check(listed, 2)
    write(folder, "seen.tsv", "patient\tfile\nP10\tfold9.onnx\n")
    assert "fold9.onnx" in check(listed, 2)
    write(folder, "seen.tsv", "patient\nP03\n")
    one = write(folder, "one.yaml", HEAD + "models: [{name: f1, file: models/fold1.onnx, activation: softmax, trained_on: seen.tsv}]\n")
    assert "P03" in check(one, 2) and "P03" in run(one, 2)
    split = write(folder, "split.yaml", HEAD + "split: {unit: image}\nmodels: [{name: f1, file: models/fold1.onnx, activation: softmax}]\n")
    assert "leakage" in check(split, 0)
    db = run(split, 0)
    assert "leakage" in db.execute("SELECT text FROM v_warning WHERE path IS NULL AND patient IS NULL").fetchone()[0]
    # a job that says so may score whom its file has seen, and is warned about each; with a table of what was divided, with its numbers
    divided = "split: {unit: %s, table: split.tsv}\nmodels: [{name: f1, file: models/fold1.onnx, activation: softmax, trained_on: seen.tsv}]\n"
    rows = [("P%02d" % p, "L%d" % (k % 2), "test" if (5 * p + k) % 6 == 0 or (p, k % 2) == (2, 1) else "training") for p in range(10) for k in range(4)]
    table = lambda rows: write(folder, "split.tsv", "\n".join("\t".join(r) for r in [("patient", "lesion", "part"), *rows]) + "\n")
    table(rows)
    split = write(folder, "split.yaml", HEAD + divided % "image")
    out = check(split, 0)
    training = [{r[:n] for r in rows if r[2] == "training"} for n in (1, 2)]
    test = [r for r in rows if r[2] == "test"]
    kin = [sum(r[:n] in training[n - 1] for r in test) for n in (1, 2)]
    assert 0 < kin[1] < len(test) and kin[0] == len(test), kin
    text = ("made over images: 40 of 20 lesions (2.0 each) in 10 patients (4.0 each); of %d in the test part %d are of lesions, and %d of "
            "patients, that are in training" % (len(test), kin[1], kin[0]))
    assert text in out and "P03" in out, out
    db = run(split, 0)
    assert text in db.execute("SELECT text FROM v_warning WHERE path IS NULL AND patient IS NULL ORDER BY run_id DESC").fetchone()[0]
    # what is said to be whole, and is not
    for unit, word in (("patient", "patient 'P00'"), ("lesion", "lesion 'L0' of patient 'P00'")):
        out = check(write(folder, "split.yaml", HEAD + divided % unit), 2)
        assert "split.tsv:" in out and word + " is in training and in test" in out, out
    table([(p, le, "test" if le == "L1" else "training") for p, le, _ in rows])
    out = check(write(folder, "split.yaml", HEAD + divided % "lesion"), 0)
    assert "made over lesions: 40 in 10 patients (4.0 each); of 20 in the test part 20 are of patients that are in training" in out, out
    # whole patients: no warning of the split, and whom the file has seen is refused again
    table([(p, le, "test" if p > "P06" else "training") for p, le, _ in rows])
    out = check(write(folder, "split.yaml", HEAD + divided % "patient"), 2)
    assert "split was made" not in out and "P03" in out, out
    for bad, what in ((("P01", "L0", "tset"), "'tset' is no part of a split"), (("", "L0", "test"), "split.tsv:2")):
        table([bad, *rows])
        out = check(write(folder, "split.yaml", HEAD + divided % "image"), 2)
        assert what in out, out
    table([(p, le, "test") for p, le, _ in rows])
    assert "all 40 rows are of one part" in check(split, 2)
    table([(p, "n/a" if p == "P04" else le, part) for p, le, part in rows])
    assert "4 of 40 rows name no lesion" in check(split, 2)
    os.remove(os.path.join(folder, "split.tsv"))
    assert "split.tsv" in check(split, 2)


def rule_score(rule, x):
    x = np.sort(x)
    if rule == "max":
        return x[-1]
    if rule == "median":
        return np.median(x)
    if rule.startswith("top-"):
        return x[-int(rule[4:]):].mean()
    if rule == "noisy-or":
        return 1 - np.prod(1 - x)
    return x.mean()


def reduce(rule, part, threshold):
    """part [parts, 3 classes + sum endpoint] -> the same for the unit"""
    if rule == "majority":
        best = part[:, :3].argmax(axis=1)
        part = np.column_stack([best == k for k in range(3)] + [part[:, 3] >= threshold]).astype(float)
    return np.array([rule_score(rule, part[:, k]) for k in range(4)])


def auc(y, x):
    pos, neg = x[y == 1][:, None], x[y == 0][None, :]
    return ((pos > neg) + 0.5 * (pos == neg)).mean()


def close(a, b, what, tolerance=1e-12):
    assert a is not None and abs(a - b) <= tolerance, (what, a, b)


def check_rules(folder):
    tuned = set()
    for lesion_rule, patient_rule in (("top-2", "noisy-or"), ("majority", "mean"), ("median", "majority"), ("noisy-or", "top-1")):
        job = HEAD + """aggregate: {lesion: %s, patient: %s, vote_threshold: 0.62}
collapse:
  - {name: malignant, of: [primary, metastatic], rule: sum}
  - {name: malignant-call, of: [metastatic, primary], rule: argmax}
operating_points:
  - {name: half, threshold: 0.5}
  - {name: best, tune: youden}
  - {name: s90, sensitivity: 0.9, tuned_on: internal}
models:
  - {name: cv, file: 'models/fold{fold}.onnx', folds: 3, activation: softmax, without_fold: mean}
""" % (lesion_rule, patient_rule)
        db = run(write(folder, "rules-%s-%s.yaml" % (lesion_rule, patient_rule), job), 0)
        part = {k: np.column_stack([v, v[:, 1] + v[:, 2]]) for k, v in slices(db, "cv").items()}
        lesion = {k: reduce(lesion_rule, v, 0.62) for k, v in part.items()}
        names = sorted({p for p, _ in lesion})
        patient = {p: reduce(patient_rule, np.array([v for k, v in sorted(lesion.items()) if k[0] == p]), 0.62) for p in names}
        want = {("lesion",) + k: v for k, v in lesion.items()} | {("patient", k, None): v for k, v in patient.items()}
        label = {"P%02d" % p: int(p % 3 > 0) for p in range(PATIENTS)}
        for r in db.execute("SELECT unit, patient, lesion, class, score, label FROM v_case_score"):
            w = want[r["unit"], r["patient"], r["lesion"]]
            if r["class"] == "malignant-call":
                close(r["score"], float(w[:3].argmax() > 0), dict(r))
            else:
                close(r["score"], w[(CLASSES + ("malignant",)).index(r["class"])], dict(r))
            truth = label[r["patient"]] if r["class"].startswith("malignant") else int(CLASSES[int(r["patient"][1:]) % 3] == r["class"])
            assert r["label"] == truth, dict(r)
        # the slice that decided, also of an endpoint; `slices` reads the tables, not the views
        deciding, of_slices = db.execute("SELECT patient, lesion, class, slice, score FROM v_deciding_slice").fetchall(), {}
        for r in db.execute("SELECT patient, lesion, class, slice, score FROM v_slice_score ORDER BY slice"):
            of_slices.setdefault(tuple(r)[:3], []).append((r["slice"], r["score"]))
        assert len(deciding) == 4 * len(part) and len(of_slices) == 5 * len(part)
        for r in deciding:
            v = part[r["patient"], r["lesion"]][:, (CLASSES + ("malignant",)).index(r["class"])]
            there = of_slices[r["patient"], r["lesion"], r["class"]]
            close(r["score"], v.max(), dict(r))
            assert [s for _, s in there] == list(v) and r["slice"] == there[int(np.argmax([s for _, s in there]))][0], dict(r)
        stat = {(r["class"], r["unit"], r["stratum_kind"], r["stratum"], r["point"], r["name"], r["versus"]): r
                for r in db.execute("SELECT * FROM v_statistic")}
        y = np.array([label[p] for p in names])
        x = np.array([patient[p][3] for p in names])
        fold = np.array([fold_of(p) or 0 for p in names])
        close(stat["malignant", "patient", "all", "all", None, "auc", None]["est"], auc(y, x), "auc of an endpoint")
        close(stat["malignant", "patient", "all", "all", "half", "sensitivity", None]["est"], (x[y == 1] >= 0.5).mean(), "sensitivity")
        table = np.array([patient[p][:3].argmax() > 0 for p in names])
        close(stat["malignant-call", "patient", "all", "all", "half", "specificity", None]["est"], (~table[y == 0]).mean(), "argmax table")
        # tuned on the internal cohort, carried outside
        inside = fold > 0
        steps = np.unique(x[inside])[::-1]
        j = [(x[inside & (y == 1)] >= t).mean() + (x[inside & (y == 0)] < t).mean() for t in steps]
        reach = [t for t in steps if (x[inside & (y == 1)] >= t).mean() >= 0.9]
        for point, t in (("best", steps[int(np.argmax(np.round(j, 12)))]), ("s90", reach[0])):
            r = stat["malignant", "patient", "cohort", "internal", point, "threshold", None]
            if point == "best" and max(j) <= 1 + 1e-12:
                assert r["est"] is None and "nothing positive" in r["reason"], dict(r)
                continue
            close(r["est"], t, point)
            tuned.add(point)
            close(stat["malignant", "patient", "cohort", "external", point, "specificity", None]["est"],
                  (x[~inside & (y == 0)] < t).mean(), point + " outside")
            assert "optimistic" not in stat["malignant", "patient", "cohort", "external", point, "specificity", None]["method"]
            assert "optimistic" in stat["malignant", "patient", "cohort", "internal", point, "specificity", None]["method"]
            assert stat["malignant", "patient", "cohort", "internal", point, "sensitivity_corrected", None]["est"] is not None
            calls = db.execute("SELECT threshold, sum(call) FROM v_call WHERE class = 'malignant' AND unit = 'patient' AND point = ?", (point,)).fetchone()
            close(calls[0], t, "v_call")
            assert calls[1] == (x >= t).sum()
        # cross-validation: folds, their mean, its influence-curve error
        n1, n0, n = (y[inside] == 1).sum(), (y[inside] == 0).sum(), inside.sum()
        aucs, var = [], []
        for k in (1, 2, 3):
            here = fold == k
            a = auc(y[here], x[here])
            aucs.append(a)
            close(stat["malignant", "patient", "fold", str(k), None, "auc", None]["est"], a, "fold %d" % k)
            ic = [n / n1 * (np.mean((x[i] > x[here & (y == 0)]) + 0.5 * (x[i] == x[here & (y == 0)])) - a) if y[i]
                  else n / n0 * (np.mean((x[here & (y == 1)] > x[i]) + 0.5 * (x[here & (y == 1)] == x[i])) - a) for i in np.where(here)[0]]
            var.append(np.mean(np.square(ic)))
        r = stat["malignant", "patient", "fold", "all", None, "auc_cv", None]
        close(r["est"], np.mean(aucs), "auc_cv")
        close(r["se"], np.sqrt(np.mean(var) / n), "auc_cv se")
        close(stat["malignant", "patient", "fold", "all", None, "auc", None]["est"], auc(y[inside], x[inside]), "pooled")
        r = stat["malignant", "patient", "fold", "all", "half", "sensitivity_cv", None]
        share = [(x[(fold == k) & (y == 1)] >= 0.5) for k in (1, 2, 3)]
        close(r["est"], np.mean([s.mean() for s in share]), "sensitivity_cv")
        close(r["se"], np.sqrt(sum(s.mean() * (1 - s.mean()) / len(s) for s in share) / 9), "sensitivity_cv se")
        # every rule at every level
        for rule in ("max", "mean", "median", "top-3", "majority", "noisy-or"):
            les = {k: reduce(rule, v, 0.62) for k, v in part.items()}
            pat = {p: reduce(rule, np.array([v for k, v in sorted(les.items()) if k[0] == p]), 0.62)[3] for p in names}
            ys = np.array([label[k[0]] for k in les])
            xs = np.array([v[3] for v in les.values()])
            close(stat["malignant", "lesion", "all", "all", None, "exploratory_auc", rule]["est"], auc(ys, xs), rule)
            xp = np.array([pat[p] for p in names])
            close(stat["malignant", "patient", "all", "all", None, "exploratory_auc", rule]["est"], auc(y, xp), rule)
            r = stat["malignant", "patient", "all", "all", "half", "exploratory_specificity", rule]
            close(r["est"], (xp[y == 0] < 0.5).mean(), rule)
            assert "exploratory" in r["method"] and rule in r["method"]
        # readers: their class counts as one of the endpoint's, or not
        calls = [(label["P%02d" % p], int((p % 3 + (p % 5 == 0)) % 3 > 0)) for p in range(PATIENTS) for _ in range(1 + p % 2)]
        right = [c for t, c in calls if t == 1]
        close(stat["malignant", "lesion", "all", "all", None, "reader_sensitivity", "R"]["est"], sum(right) / len(right), "reader")
        out = subprocess.run([rad, "stats", db.execute("PRAGMA database_list").fetchone()[2]], capture_output=True, text=True)
        assert out.returncode == 0 and "cross-validation" in out.stdout and "EXPLORATORY" in out.stdout, (out.stdout, out.stderr)
        # rules: of the endpoint with operating points, not of every class
        table = out.stdout.split("EXPLORATORY")[1].split("the declared rules")[0].split("\n")[2:]
        assert {line.split()[1] for line in table if line} == {"malignant"}, table
        for row in db.execute("SELECT query, n, name FROM v_statistic WHERE stratum_kind = 'fold' OR class LIKE 'malig%'"):
            got = [q for q in db.execute(row["query"]) if q["label"] is not None]
            assert len(got) == row["n"], dict(row)
    assert tuned == {"best", "s90"}, tuned


with tempfile.TemporaryDirectory() as top:
    make(top)
    check_folds(top)
    refuse(top)
    check_rules(top)
print("folds, rules, endpoints, tuned points: ok")
