#!/usr/bin/env python3
"""A BIDS folder as the cohort: participants, sessions, entities, inherited sidecars, masks as lesions; what it says to mistakes; hostile names and
sidecars. A run over it puts the covariates into SQL."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy as np
except ImportError:
    print("SKIP: nibabel is not installed")
    sys.exit(77)
program, source = os.environ["RADCOHORT"], os.environ["RAD_SOURCE"]
work = tempfile.mkdtemp(prefix="radcohort-test-")
failures = []


def check(ok, what):
    if not ok:
        failures.append(what)


def put(path, content):
    path = os.path.join(work, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(content if isinstance(content, str) else json.dumps(content))


def image(path, mask=False):
    path = os.path.join(work, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    v = np.random.default_rng(len(path)).integers(0, 900, (20, 18, 6)).astype(np.int16)
    if mask:
        v[:] = 0
        v[5:12, 6:13, 2:4] = 1
    nibabel.Nifti1Image(v, np.diag([1.0, 1, 3, 1])).to_filename(path)


def run(*args, rc):
    p = subprocess.run([program, *args], capture_output=True, text=True, cwd=work)
    check(p.returncode == rc, f"{args}: exit {p.returncode}, expected {rc}: {p.stderr[-800:]}")
    return p


def job(unit="patient", bids="", sequence="T2w"):
    put("job.yaml", f"""job: b
cohort: ds
{bids}
unit: {unit}
classes: [benign, malignant]
positive: malignant
inputs:
  x:
    channels: [{{sequence: {sequence}, offset: [-1, 0, 1]}}]
    slices: {'all' if unit == 'patient' else 'lesion-all'}
    resize: {{size: 48}}
models:
  - {{name: net, file: {source}/jobs/demo/models/repvgg.onnx, activation: softmax}}
backend: ref
""")


put("ds/dataset_description.json", {"Name": "x", "BIDSVersion": "1.8.0"})
put("ds/participants.tsv", "participant_id\tage\tsex\tinstitution_id\tpathology\tnotes\theight\n"
    "sub-01\t34\tF\tamu\tbenign\tspoke with \"Mrs Miller\"\t170\nsub-02\t89+\tM\tucl\tmalignant\tn/a\t180.5\n\nsub-03\t50\tM\tamu\tn/a\tx\tn/a\n")
put("ds/T2w.json", {"MagneticFieldStrength": 3, "EchoTime": 0.08, "Manufacturer": "GE", "InstitutionName": "SecretHospital"})
put("ds/acq-high_T2w.json", {"RepetitionTime": 2.5})
put("ds/sub-01/sub-01_T2w.json", {"EchoTime": 0.09})
for s, ses in (("01", "1"), ("01", "2"), ("02", "1")):
    image(f"ds/sub-{s}/ses-{ses}/anat/sub-{s}_ses-{ses}_T2w.nii.gz")
put("ds/sub-01/ses-2/anat/sub-01_ses-2_T2w.json", {"EchoTime": 0.1, "DeviceSerialNumber": "SN-77"})
image("ds/sub-01/ses-1/anat/sub-01_ses-1_acq-high_T2w.nii.gz")
image("ds/sub-02/ses-1/dwi/sub-02_ses-1_dwi.nii.gz")
put("ds/sub-02/ses-1/dwi/sub-02_ses-1_dwi.bval", "0 800 800\n")
image("ds/sub-03/anat/sub-03_T2w.nii.gz")
image("ds/sub-04/anat/sub-04_T2w.nii.gz")
image("ds/sub-03/anat/sub-99_T2w.nii.gz")
put("ds/sub-03/anat/odd \t\n_x.nii", "no")
put("ds/sub-03/anat/sub-03_T2w.json", "{\"EchoTime\": [[[[\"")
os.symlink("..", os.path.join(work, "ds/sub-03/loop"))
for s, ses in (("01", "1"), ("02", "1")):
    image(f"ds/derivatives/lesions/sub-{s}/ses-{ses}/anat/sub-{s}_ses-{ses}_space-T2w_label-tumor_mask.nii.gz", mask=True)
    image(f"ds/derivatives/lesions/sub-{s}/ses-{ses}/anat/sub-{s}_ses-{ses}_space-T2w_label-brain_mask.nii.gz", mask=True)
mapping = "bids: {label: pathology, center: institution_id, covariates: [height]}"

# ---- as it is: two T2w in one session
job(bids=mapping)
p = run("check", "job.yaml", "--json", rc=3)
for word in ("centers table is missing", "sub-99_T2w", "sub-04", "not readable as JSON", "no BIDS name"):
    check(word in p.stderr, f"nothing about '{word}': {p.stderr}")
check("2 images of sequence 'T2w'" in p.stdout, f"two images of one sequence: {p.stdout[:800]}")
# ---- acq- in the name
job(bids=mapping[:-1] + ", entities: [acq]}")
put("ds/centers.tsv", "center\tcohort\namu\tinternal\nucl\texternal\nunassigned\tinternal\n")
p = run("run", "job.yaml", "--db", "r.sqlite", rc=0)
check("centers table is missing" not in p.stderr, "centers.tsv was not read")
if os.path.exists(os.path.join(work, "r.sqlite")):
    db = sqlite3.connect(os.path.join(work, "r.sqlite"))
    rows = db.execute("SELECT p.patient, c.center, c.cohort, p.label, p.age, p.sex FROM patient p JOIN center c USING (center_id) ORDER BY 1").fetchall()
    check(rows == [("sub-01", "amu", "internal", "benign", 34, "F"), ("sub-02", "ucl", "external", "malignant", 90, "M"), ("sub-03", "amu", "internal", None, 50, "M"),
                   ("sub-04", "unassigned", "internal", None, None, None)], f"patients {rows}")
    check(db.execute("SELECT patient, value FROM patient_covariate JOIN patient USING (patient_id) ORDER BY 1").fetchall() ==
          [("sub-01", "170"), ("sub-02", "180.5")], "covariates")
    echo = dict(((a, b, c), v) for a, b, c, v in db.execute("SELECT p.patient, i.study, i.sequence, v.number FROM image i JOIN patient p USING (patient_id) "
                                                            "JOIN image_covariate v USING (image_id) WHERE v.name = 'echo_time_ms'"))
    check(echo == {("sub-01", "ses-1", "T2w"): 90, ("sub-01", "ses-1", "acq-high_T2w"): 90, ("sub-01", "ses-2", "T2w"): 100, ("sub-02", "ses-1", "T2w"): 80,
                   ("sub-03", "", "T2w"): 80, ("sub-04", "", "T2w"): 80}, f"inherited echo times {echo}")
    one = db.execute("SELECT i.sequence, v.number FROM image i JOIN image_covariate v USING (image_id) WHERE v.name = 'repetition_time_ms'").fetchall()
    check(one == [("acq-high_T2w", 2500)], f"a sidecar for acq-high alone: {one}")
    check(db.execute("SELECT value FROM image_covariate JOIN image USING (image_id) WHERE name = 'b_value' AND sequence = 'dwi'").fetchall() == [("0 800",)], "b-values")
    check(db.execute("SELECT count(*) FROM v_case_score WHERE unit = 'patient'").fetchone()[0] == 4, "scores")
    dump = "\n".join(db.iterdump())
    for secret in ("Miller", "SecretHospital", "SN-77"):
        check(secret not in dump, f"'{secret}' reached the database")
run("run", "job.yaml", "--db", "r.sqlite", rc=0)
check("nothing was computed" in run("run", "job.yaml", "--db", "r.sqlite", rc=0).stdout, "the same folder again is another run")

# ---- masks as lesions
job("lesion", mapping[:-1] + ", entities: [acq], masks: lesions, mask_labels: [tumor]}")
p = run("run", "job.yaml", "--db", "l.sqlite", rc=3)  # two patients have no lesion
rows = sqlite3.connect(os.path.join(work, "l.sqlite")).execute("SELECT patient, lesion, 0, mask IS NOT NULL FROM lesion JOIN patient USING (patient_id) "
                                                               "ORDER BY 1").fetchall() if p.returncode == 3 else []
check([(r[0], r[1], r[3]) for r in rows] == [("sub-01", "ses-1_tumor", 1), ("sub-02", "ses-1_tumor", 1)], f"lesions {rows}")

# ---- mistakes
job(bids="bids: {label: patology, center: institution_id}")
p = run("check", "job.yaml", rc=2)
check("did you mean 'pathology'" in p.stderr, p.stderr)
job(bids="bids: {masks: nowhere}")
p = run("check", "job.yaml", rc=2)
check("derivatives/nowhere" in p.stderr, p.stderr)
job(bids="bids: {masks: ../..}")
p = run("check", "job.yaml", rc=2)
check("below derivatives" in p.stderr, p.stderr)
job(bids="bids: {entity: [acq]}")
p = run("check", "job.yaml", rc=2)
check("did you mean 'entities'" in p.stderr, p.stderr)
job(bids=mapping)
put("ds/participants.tsv", "participant_id\tage\nsub-01\t34\tx\n")
p = run("check", "job.yaml", rc=2)
check("participants.tsv:2: error: 3 fields, the header has 2" in p.stderr, p.stderr)
for text, word in (("", "no list of participants"), ("\0\0\1\tx\n", "participant_id"), ("participant_id\tage\nsub-\"1\t4\n", "no participant_id"),
                   ("participant_id\tage\nsub-01\told\n", "is not a number")):
    put("ds/participants.tsv", text)
    p = run("check", "job.yaml", rc=3 if not text else 2)
    check(word in p.stderr, f"{text!r}: {p.stderr}")
put("ds/dataset_description.json", "[" * 100000)
p = run("check", "job.yaml", rc=2)
check("dataset_description.json" in p.stderr, p.stderr)

# ---- a real data set's participants and sidecars, with small images beside them
shared = os.path.join(os.environ.get("RADCOHORT_SHARED") or os.path.join(source, "..", "shared"), "data", "metadata", "spine-generic-multi-subject")
if os.path.isdir(shared):
    shutil.rmtree(os.path.join(work, "ds"))
    shutil.copytree(shared, os.path.join(work, "ds"))
    text = open(os.path.join(shared, "participants.tsv"), encoding="utf-8").read()
    put("ds/participants.tsv", text.replace("\tMildCompression\t", "\tDCM\t"))  # two classes, as the network has
    subjects = [d for d in sorted(os.listdir(shared)) if d.startswith("sub-")]
    image("one.nii.gz")
    for d in subjects:
        shutil.copy(os.path.join(work, "one.nii.gz"), os.path.join(work, "ds", d, "anat", d + "_T2w.nii.gz"))
    job(bids="bids: {label: pathology, center: institution_id}")
    put("job.yaml", open(os.path.join(work, "job.yaml")).read().replace("[benign, malignant]", "[HC, DCM]").replace("positive: malignant", "positive: DCM")
        .replace("slices: all", "slices: lesion"))
    p = run("run", "job.yaml", "--db", "s.sqlite", "--quiet", rc=3)  # participants whose folders are not here
    rows = sqlite3.connect(os.path.join(work, "s.sqlite")).execute(
        "SELECT i.path, v.name, coalesce(v.number, v.value) FROM image i JOIN image_covariate v USING (image_id)").fetchall() if p.returncode == 3 else []
    got = {(a.split("/")[0], b): c for a, b, c in rows}
    for d in subjects:
        with open(os.path.join(shared, d, "anat", d + "_T2w.json"), encoding="utf-8") as f:
            j = json.load(f)
        for key, column, scale in (("MagneticFieldStrength", "field_strength_t", 1), ("EchoTime", "echo_time_ms", 1000), ("SliceThickness", "slice_thickness_mm", 1)):
            if key in j:
                check(abs(got.get((d, column), -1) - j[key] * scale) < 1e-6, f"{d} {column}: {got.get((d, column))}, the sidecar has {j[key]}")
        check(got.get((d, "manufacturer")) == j.get("Manufacturer"), f"{d}: {got.get((d, 'manufacturer'))}")
    check(len(subjects) > 20, "few subjects")

shutil.rmtree(work)
for f in failures:
    print("FAIL:", f)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
