#!/usr/bin/python3
"""Activations against their formulas, and content keys: what must change a key changes it, what must not does not."""
import gzip
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
rad = os.environ["RADCOHORT"]
for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)


def run(folder, job, *options):
    db = os.path.join(folder, "%s-%d.sqlite" % (os.path.basename(job), len(os.listdir(folder))))
    p = subprocess.run([rad, "run", os.path.join(folder, job), "--db", db, "--quiet", *options], capture_output=True, text=True)
    assert p.returncode == 3, (p.returncode, p.stdout, p.stderr)
    return sqlite3.connect("file:%s?mode=ro" % db, uri=True)


def scores(db):
    """{(model, patient, lesion, slice, class): score}, both classes"""
    return {r[:5]: r[5] for r in db.execute(
        "SELECT rm.model, p.patient, l.lesion, s.slice, k.class, s.score FROM run_result rr"
        " JOIN slice_score s ON s.result_id = rr.result_id"
        " JOIN run_model rm ON rm.run_model_id = rr.run_model_id JOIN manifest m ON m.case_id = rr.case_id"
        " JOIN run_class k ON k.run_id = m.run_id AND k.class_index = s.class_index"
        " JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id")}


def keys(db):
    """{(model, patient, lesion): key}"""
    return {r[:3]: r[3] for r in db.execute(
        "SELECT rm.model, p.patient, l.lesion, r.result_key FROM run_result rr JOIN result r ON r.result_id = rr.result_id"
        " JOIN run_model rm ON rm.run_model_id = rr.run_model_id JOIN manifest m ON m.case_id = rr.case_id"
        " JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id")}


def edit(folder, new, *changes):
    text = open(os.path.join(folder, "job.yaml")).read()
    for old, to in changes:
        text, n = re.subn(old, to, text)
        assert n > 0, old
    with open(os.path.join(folder, new), "w") as f:
        f.write(text)
    return new


def check_activations(folder):
    plain = edit(folder, "plain.yaml", ("activation: (softmax|sigmoid)", "activation: none"))
    logit, score = scores(run(folder, plain)), scores(run(folder, "job.yaml"))
    assert logit.keys() == score.keys() and len(score) > 50
    n = 0
    for k, s in score.items():
        x = {c: logit[k[:4] + (c,)] for c in ("benign", "malignant")}
        if k[0] == "one":
            largest = max(x.values())
            e = {c: math.exp(v - largest) for c, v in x.items()}
            want = e[k[4]] / (e["benign"] + e["malignant"])
        elif k[0] == "pair":  # one output, stored as [1 - p, p]
            assert x["benign"] == 1 - x["malignant"]
            p = 1 / (1 + math.exp(-x["malignant"]))
            want = p if k[4] == "malignant" else 1 - p
        else:
            want = x[k[4]]
        assert abs(s - want) <= 1e-15 * max(1, abs(want)), (k, s, want)
        n += 1
    print(n, "scores follow their activation")


def check_keys(folder):
    base = keys(run(folder, "job.yaml"))
    assert len(set(base.values())) == len(base), "two results share a key"
    assert keys(run(folder, "job.yaml", "--batch", "1", "--threads", "2")) == base, "batch or threads change keys"

    def changed(what, now, expected):
        assert now.keys() == base.keys(), what
        got = {k for k in base if now[k] != base[k]}
        assert got == {k for k in base if expected(*k)}, (what, sorted(got))

    changed("activation", keys(run(folder, edit(folder, "a.yaml", ("activation: softmax", "activation: none")))),
            lambda m, p, l: m == "one")
    changed("margin", keys(run(folder, edit(folder, "b.yaml", (r"slices: lesion-all\n    region: \{from: auto, margin_mm: 2",
                                                               r"slices: lesion-all\n    region: {from: auto, margin_mm: 3")))),
            lambda m, p, l: m != "pair")
    changed("model", keys(run(folder, edit(folder, "c.yaml", ("two.onnx", "one.onnx")))), lambda m, p, l: m == "two")
    changed("names", keys(run(folder, edit(folder, "d.yaml", ("job: tiny", "job: other"), ("aggregate: .*", "aggregate: {lesion: max}")))),
            lambda m, p, l: False)
    changed("backend", keys(run(folder, "job.yaml", "--backend", "checked")), lambda m, p, l: True)
    cohort = os.path.join(folder, "cohort")

    def with_edit(what, path, f, expected):
        path = os.path.join(cohort, path)
        old = open(path, "rb").read()
        with open(path, "wb") as out:
            out.write(f(old))
        changed(what, keys(run(folder, "job.yaml")), expected)
        with open(path, "wb") as out:
            out.write(old)

    flip = lambda b: b[:-1] + bytes([b[-1] ^ 1])  # the last voxel of an uncompressed file
    with_edit("image of sequence B", "P006_B.nii", flip, lambda m, p, l: p == "P006" and m == "pair")
    with_edit("image of sequence A", "P006_A.nii", flip, lambda m, p, l: p == "P006")
    with_edit("box", "lesions.tsv", lambda b: b.replace(b"P006\tL1\tbenign\t4 5", b"P006\tL1\tbenign\t4 6"), lambda m, p, l: p == "P006")
    with_edit("mask", "P007_m.nii.gz", lambda b: gzip.compress(gzip.decompress(b)[:-1] + b"\1"), lambda m, p, l: p == "P007" and l == "L2")
    print(len(base), "keys")


def check_missing(folder):
    """P003 has no image of sequence B: excluded, scored with zeros, or scored by the model of sequence A."""
    base, text = keys(run(folder, "job.yaml")), open(os.path.join(folder, "job.yaml")).read()
    zero = run(folder, edit(folder, "zero.yaml", (r"sequence: B(, offset: [^}]*)?", r"sequence: B\1, missing: zero")))
    now = keys(zero)
    new = {k for k in now if k not in base}
    assert new and all(m == "pair" and p == "P003" for m, p, _ in new), new
    assert all(now[k] == base[k] for k in base if k[0] != "pair") and all(now[k] != base[k] for k in base if k[0] == "pair")
    said = [t for (t,) in zero.execute("SELECT DISTINCT text FROM warning WHERE stage = 'intake'")]
    assert said == ["input 'both': no image of sequence 'B', zeros stand for its planes"], said
    other = run(folder, edit(folder, "other.yaml", (r"(name: pair,.*)\}", r"\1, when_missing: one}")))
    now = keys(other)
    assert {k for k in now if k not in base} == new and all(now[k] == base[k] for k in base)
    assert all(now[k] == base[("one",) + k[1:]] for k in new), "not the other model's result"
    got = scores(other)
    stood = [k for k in got if k[0] == "pair" and k[1] == "P003"]
    assert stood and all(got[k] == got[("one",) + k[1:]] for k in stood)
    sha = {m for (m,) in other.execute("SELECT DISTINCT model_sha256 FROM v_slice_score WHERE model = 'pair' AND patient = 'P003'")}
    assert sha == {m for (m,) in other.execute("SELECT DISTINCT model_sha256 FROM v_slice_score WHERE model = 'one'")}, sha
    (n,) = other.execute("SELECT count(*) FROM warning WHERE text LIKE '%model ''one'' scores in its place'").fetchone()
    assert n == len(new), n
    print("missing images: zeros and another model, both on record")


with tempfile.TemporaryDirectory() as tmp:
    folder = os.path.join(tmp, "job")
    subprocess.run([sys.executable, os.path.join(here, "fixture.py"), folder, "10"], check=True)
    check_activations(folder)
    check_keys(folder)
    check_missing(folder)
