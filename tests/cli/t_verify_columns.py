#!/usr/bin/python3
"""radcohort verify over the whole schema: of a file in which every table has rows, every column of every table is changed in turn, and the
change is named, or the column stands below with the reason why it is not sealed. The tables change with the program; this list must be
looked at then."""
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

rad, source = os.environ["RADCOHORT"], os.environ["RAD_SOURCE"]
sys.path.insert(0, os.path.join(source, "tests/mpi"))
from fixture import I16, U8, network, nifti  # noqa: E402

for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)

# ids say where a row stands in the file; a row is sealed under names
IDS = {"result_id", "run_id", "run_model_id", "case_id", "exclusion_id", "statistic_id", "model_id", "volume_id", "cam_id", "center_id", "patient_id",
       "lesion_id", "image_id", "reading_id", "nightly_id", "seal_id"}
NOT_SEALED = {
    "meta": "about the file, not about a study",
    "data_dictionary": "the program's text; the same in every file",
    "file_stamp": "what nights remember of files: decides what is looked at again, no number rests on it",
    "failed_result": "what nights remember of failures: the exclusions of each run are sealed",
    "result_seal": "the seals themselves: t_verify.py",
    "seal": "the seals themselves: t_verify.py",
    "seal_marks": "names rows; what is wrong is found without it",
    "run.state": "a run that is not finished is told as open: t_verify.py",
    "run_result.reused": "whether a run found or computed a result depends on where it was killed",
    "volume.signature": "is filled in when a later run first looks for near copies; what was found is sealed (near_copy)",
    "cam.file_bytes": "of the file as it was last drawn: another version of the compressor writes other bytes",
    "cam.file_sha256": "the same",
}
# tables whose rows are told under another name
TOLD_AS = {"run": {"run", "provenance", "seal"}, "volume": {"image_use"}, "model": {"run_model_file", "result"}, "cam": {"run_cam"},
           "slice": {"slice", "slice_score", "result"}, "slice_score": {"slice_score", "result"}, "result": {"result", "run_result", "run_cam"}}

# tables that give no other table's rows a name: a change of theirs is told as theirs alone, and one of each can be looked for at once
LEAVES = {"tuned_threshold", "regression", "unselected_patient", "run_cam", "cam_slice", "case_score", "case_grade", "exclusion", "warning", "time_ledger",
          "work", "statistic", "near_copy", "nightly_case", "drift", "image_use", "unused_image", "patient_covariate", "lesion_covariate",
          "image_covariate", "reading_feature", "run_class_part", "operating_point", "run_model_file", "slice_score"}


def make_job(folder):
    """Four ordered classes with an endpoint, folds, maps, readers, regressions, covariates, near copies, excluded, unselected and odd cases."""
    cohort, side = os.path.join(folder, "cohort"), 16
    os.makedirs(cohort)
    draw = random.Random(5)
    tables = {"centers": ["center\tcohort\tname\tcountry", "H1\tinternal\tNorth\tCH", "H2\texternal\tSouth\tIT"],
              "patients": ["patient\tcenter\tlabel\tfold\tage\tsex\tset\tcrp"], "images": ["patient\tlesion\tstudy\tsequence\tpath\tslices\tkernel\tkvp"],
              "lesions": ["patient\tlesion\tlabel\tbox\tpoint\tmask\tsize_mm\tslices\tshape\tvolume_ml"],
              "readings": ["reader\tpatient\tlesion\tsession\tcall\trating\texperience_years\trim\twidth_mm"]}
    for p in range(1, 11):
        name, label, depth = "P%02d" % p, "g%d" % (1 + p % 4), 5
        n = side * side * depth
        tables["patients"].append("%s\tH%d\t%s\t%d\t%d\t%s\t%s\t%.1f" % (name, 1 + p % 2, label, p // 2 % 2, 40 + p, "FM"[p % 2],
                                                                   "other" if p == 10 else "main", 3 + p / 2))
        for sequence in "ABC":  # C is no model's
            path = "%s_%s.nii" % (name, sequence)
            tables["images"].append("%s\t\ts1\t%s\t%s\t1-3\tb30\t%d" % (name, sequence, path, 100 + p))
            values = [draw.randrange(100, 700) for _ in range(n)]
            if p == 2 and sequence == "A":
                values = first  # P01's
            first = values if p == 1 and sequence == "A" else first if p > 1 or sequence != "A" else None
            if p == 3 and sequence == "B":
                continue
            nifti(os.path.join(cohort, path), (side, side, depth), (1.0, 1.0, 3.0), values, I16)
            if p == 4 and sequence == "A":  # sform and qform disagree: a warning of this image
                with open(os.path.join(cohort, path), "r+b") as f:
                    f.seek(252)
                    f.write(b"\1\0")
        mask = [1 if 4 <= i % side < 10 and 5 <= i // side % side < 12 and 1 <= i // (side * side) < 4 else 0 for i in range(n)]
        nifti(os.path.join(cohort, name + "_m.nii"), (side, side, depth), (1.0, 1.0, 3.0), mask, U8)
        tables["lesions"].append("%s\tL1\t%s\t3 4 1 12 11 4\t\t\t%.1f\t1-2\tround\t%.1f" % (name, label, 9 + p, p / 3))
        tables["lesions"].append("%s\tL2\t%s\t\t\t%s_m.nii\t7.5\t2\tlobed\t0.4" % (name, label, name))
        if p % 5 == 0:
            tables["lesions"].append("%s\tL3\t%s\t\t7 7 2\t\t4.5\t2\tlobed\t0.2" % (name, label))
        for reader in ("ann", "bob"):
            for session in (1, 2):
                tables["readings"].append("%s\t%s\tL1\t%d\tg%d\t%d\t7\t%s\t%.1f" % (reader, name, session, 1 + draw.randrange(4), 1 + draw.randrange(5),
                                                                               ["yes", "no"][p % 2], 4 + p / 4))
    for table, rows in tables.items():
        with open(os.path.join(cohort, table + ".tsv"), "w") as f:
            f.write("\n".join(rows) + "\n")
    for seed, file in enumerate(("fold0.onnx", "fold1.onnx", "pair.onnx")):
        with open(os.path.join(folder, file), "wb") as f:
            f.write(network(seed + 1, 2 if file == "pair.onnx" else 3, 12, 4, 4))
    with open(os.path.join(folder, "train.tsv"), "w") as f:
        f.write("patient\nX1\n")
    job = os.path.join(folder, "job.yaml")
    with open(job, "w") as f:
        f.write("""job: all
cohort: cohort
select: [{column: set, values: [main]}]
unit: lesion
classes: [g1, g2, g3, g4]
ordinal: true
near_copies: all
inputs:
  stack:
    channels: [{sequence: A, offset: [-1, 0, 1]}]
    slices: lesion-all
    region: {from: auto, margin_mm: 2, size_mm: 8}
    window: {low: 0, high: 800}
    resize: {size: 12}
  both:
    channels: [{sequence: A}, {sequence: B}]
    region: {from: auto, margin_mm: 2, size_mm: 8}
    window: {low: 0, high: 800}
    resize: {size: 12}
models:
  - {name: net, file: "fold{fold}.onnx", folds: 2, input: stack, activation: softmax}
  - {name: pair, file: pair.onnx, input: both, activation: softmax, output: y, trained_on: train.tsv}
aggregate: {lesion: mean, patient: max}
collapse: [{name: high, of: [g3, g4]}, {name: top, of: [g4], rule: argmax}]
operating_points: [{name: half, threshold: 0.5}, {name: youden, tune: youden}, {name: sure, sensitivity: 0.9, model: net}]
regressions: [{name: clinical, predictors: [score, age, size_mm]}]
cam: {write: slice, models: [net]}
split: {unit: lesion}
strata: [all]
backend: ref
""")
    return job


def run(*args):
    p = subprocess.run([rad, *args, "--threads", "1"], capture_output=True, text=True, timeout=240)
    assert p.returncode in (0, 3), (args, p.returncode, p.stdout, p.stderr)


def verify(path):
    p = subprocess.run([rad, "verify", path, "--json"], capture_output=True, text=True, timeout=60)
    assert p.returncode in (0, 1), (p.returncode, p.stderr)
    return json.loads(p.stdout)


def changed(kind, old):
    if kind == "INTEGER":
        return (old or 0) + 1000
    if kind == "REAL":
        return (old or 0.0) + 1e-9
    if kind == "BLOB":
        return b"\0"
    return "f" * len(old) if old and len(old) == 64 and old[0] != "f" else (old or "") + "x"


folder = tempfile.mkdtemp(prefix="radcohort-verify-")
try:
    job, path = make_job(os.path.join(folder, "job")), os.path.join(folder, "all.sqlite")
    run("nightly", job, "--db", path)
    with open(os.path.join(folder, "job/cohort/P06_A.nii"), "r+b") as f:  # another image: what is recent drifts
        f.seek(1000)
        f.write(b"\1\2\3\4")
    run("nightly", job, "--db", path)
    before = verify(path)
    assert before["intact"] and before["n_run"] == 2, before
    # the last night found its tables unchanged: they are sealed once
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY")
    assert db.execute("SELECT count(*) FROM seal WHERE object = 'patient'").fetchone() == (1,)
    tables = [t for (t,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")]
    unknown = {k.split(".")[0] for k in NOT_SEALED} | set(TOLD_AS)
    assert unknown <= set(tables), unknown - set(tables)
    empty, missed, n_column, alone, together = [], [], 0, [], []
    for table in tables:
        if table in NOT_SEALED:
            continue
        info = db.execute(f"PRAGMA table_info({table})").fetchall()
        keys = [c[1] for c in sorted(info, key=lambda c: c[5]) if c[5]] or ["rowid"]
        if not db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
            empty.append(table)
        columns = [(table, keys, c[1], c[2]) for c in info if f"{table}.{c[1]}" not in NOT_SEALED and not (c[1] in IDS and keys == [c[1]])]
        if table in LEAVES:
            together += [[] for _ in range(len(columns) - len(together))]
            for place, column in enumerate(columns):
                together[place].append(column)
        else:
            alone += [[c] for c in columns]
    if os.environ.get("RAD_SANITIZE"):  # the code is the same for each column; the release build goes through all
        alone, together = alone[::6], together[::6]
    for group in alone + together:
        back = []
        for table, keys, column, kind in group:
            # a row that has a value there, if one does
            row = db.execute(f"SELECT {', '.join(keys)}, {column} FROM {table} ORDER BY {column} IS NULL, {', '.join(keys)} DESC LIMIT 1").fetchone()
            where, now, new = " AND ".join(f"{k} = ?" for k in keys), list(row[:-1]), changed(kind, row[-1])
            assert db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (new, *now)).rowcount == 1
            if column in keys:
                now[keys.index(column)] = new
            back.append((f"UPDATE {table} SET {column} = ? WHERE {where}", (row[-1], *now)))
            n_column += 1
        told = {f["table"] for f in verify(path)["findings"]}
        missed += [f"{table}.{column}" for table, _, column, _ in group if not told & TOLD_AS.get(table, {table})]
        for sql, values in back:
            assert db.execute(sql, values).rowcount == 1
    assert not empty, "tables without a row in this test: %s" % empty
    assert not missed, "changed, and not told under the table's name: " + " ".join(missed)
    assert verify(path)["intact"]

    # rows that are deleted or added
    for table in ("image", "reading_feature", "image_use", "near_copy", "warning", "unused_image", "cam_slice", "drift", "nightly_case", "time_ledger"):
        row = db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
        column = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
        key = " AND ".join(f"{c} IS ?" for c in column)
        assert db.execute(f"DELETE FROM {table} WHERE {key}", row).rowcount == 1, table
        f = verify(path)["findings"]
        assert any(x["table"] == table and x["what"] == "deleted" for x in f), (table, f[:3])
        db.execute(f"INSERT INTO {table} ({', '.join(column)}) VALUES ({', '.join('?' * len(column))})", row)
    assert verify(path)["intact"]
    db.execute("INSERT INTO patient (patient, center_id, label) SELECT 'P99', center_id, 'g1' FROM center LIMIT 1")
    f = verify(path)["findings"]
    assert [(x["table"], x["what"], x["row"]) for x in f] == [("patient", "inserted", "P99")], f
    db.execute("DELETE FROM patient WHERE patient = 'P99'")
    db.execute("DELETE FROM seal WHERE object = 'reading'")
    assert any(x["table"] == "seal" and x["row"] == "reading" for x in verify(path)["findings"])
    db.close()
    print(f"{len(tables)} tables, {n_column} columns changed, all noticed")
finally:
    shutil.rmtree(folder)
