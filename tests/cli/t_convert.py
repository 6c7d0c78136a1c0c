#!/usr/bin/env python3
"""radcohort convert on a made-up DICOM tree: voxels, sequences, days, pseudonyms, slices; what must never come out; resuming; failures.

Voxels and slices are compared with the arrays that the series were written from, read back by nibabel."""
import csv
import glob
import gzip
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time

if not shutil.which("dcm2niix"):
    print("SKIP: dcm2niix is not installed")
    sys.exit(77)
try:
    import nibabel
    import numpy as np
except ImportError:
    print("SKIP: nibabel is not installed")
    sys.exit(77)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dicom_fixture
from dicom_fixture import series, write

program = os.environ["RADCOHORT"]
work = tempfile.mkdtemp(prefix="radcohort-test-")
failures = []


def check(ok, what):
    if not ok:
        failures.append(what)


def run(*args, rc=0, env=None):
    p = subprocess.run([program, *args], capture_output=True, text=True, cwd=work, env={**os.environ, **(env or {})})
    check(p.returncode == rc, f"{args}: exit {p.returncode}, expected {rc}: {p.stderr[-600:]}")
    return p


def table(name, cohort="c"):
    with open(os.path.join(work, cohort, name), encoding="utf-8") as f:
        return list(csv.DictReader(f, delimiter="\t"))


A = dict(id="MRN771230", name="Zebrowski^Quagga", birth="19200203", sex="F", accession="ACC55501")
B = dict(id="MRN881240", name="Okapi^Wombat", birth="19710102", sex="M", accession="ACC55502", institution="South Clinic")
tree = os.path.join(work, "tree")
north, south = os.path.join(tree, "north", "Zebrowski_Quagga"), os.path.join(tree, "south", "b")
S1, S2, S3 = "1.2.826.0.1.3680043.9.1.1", "1.2.826.0.1.3680043.9.1.2", "1.2.826.0.1.3680043.9.1.3"
t2 = series(north + "/t2", A, S1 + ".101", S1, "20200110", "t2 tse ax Zebrowski", order=[3, 1, 5, 2, 4])
series(north + "/t2 old", A, S1 + ".102", S1, "20200110", "t2 quick", n=3, number=2)
dwi = series(north + "/dwi", A, S2 + ".103", S2, "20200412", "ep2d", more={(0x18, 0x9087): ("FD", 800.0)}, number=3)
series(north + "/loc", A, S1 + ".104", S1, "20200110", "localizer", n=3, more={(0x8, 8): ("CS", "ORIGINAL\\PRIMARY\\LOCALIZER")}, number=4)
sagittal = series(north + "/sag", A, S1 + ".105", S1, "20200110", "t1 sag", orientation=(0, 1, 0, 0, 0, -1), number=5)
phases = [series(south + f"/p{i}", B, S3 + f".20{i}", S3, "20211231", "abdomen", modality="CT", time=f"1{i}3000", number=10 - i,
                 more={(0x18, 0x10): ("LO", "Iomeron for Okapi")}) for i in range(3)]
series(south + "/plain", B, S3 + ".210", S3, "20211231", "abdomen", modality="CT", time="090000", number=1, more={(0x18, 0x10): ("LO", "NONE")})
ward = os.path.join(tree, "south", "odd \t\n\u00e4 names")
write(ward + "/report", {(0x8, 0x16): ("UI", "1.2.840.10008.5.1.4.1.1.88.11"), (0x8, 0x18): ("UI", S3 + ".7.7"), (0x8, 0x60): ("CS", "SR"),
                         (0x10, 0x20): ("LO", B["id"]), (0x20, 0xD): ("UI", S3), (0x20, 0xE): ("UI", S3 + ".7")})
series(ward, dict(A, id=""), S3 + ".301", S3 + ".3", "20200101", "t2 nobody", n=1)
shutil.copy(north + "/t2/IM0001", ward + "/copy of an image")
with open(north + "/t2/IM0002", "rb") as f:
    whole = f.read()
with open(ward + "/cut \u00fc", "wb") as f:
    f.write(whole[:600])
with open(ward + "/notes.txt", "w") as f:
    f.write("Zebrowski was here")
with open(ward + "/garbage", "wb") as f:
    f.write(bytes(128) + b"DICM" + bytes(range(256)) * 4)
os.symlink(tree, ward + "/loop")
os.symlink("nowhere", ward + "/dangling")
rules = os.path.join(work, "rules.yaml")
with open(rules, "w") as f:
    f.write("""
patient_id: global
centers:
  - {center: north, cohort: internal, folder: "north/*"}
  - {center: south, cohort: external, institution: "South*", name: South Clinic, country: CH}
rules:
  - {name: loc, ignore: true, image_type: LOCALIZER}
  - {name: t2, sequence: T2, modality: MR, description: "*t2*", orientation: axial}
  - {name: dwi, sequence: DWI, modality: MR, b_value: [500, 1000]}
  - {name: plain, sequence: plain, modality: CT, contrast: false}
  - {name: arterial, sequence: arterial, modality: CT, contrast: true, order: 1}
  - {name: portal, sequence: portal, modality: CT, contrast: true, order: 2, keep: [description]}
""")

# ---- a dry run writes nothing
p = run("convert", "tree", "-o", "c", "--rules", rules, "--dry-run", "--json", rc=3)
check(sorted(os.listdir(work)) == ["rules.yaml", "tree"], f"the dry run wrote {os.listdir(work)}")
dry = json.loads(p.stdout)["images"]

# ---- the conversion
p = run("convert", "tree", "-o", "c", "--rules", rules, "--jobs", "3", "--source-list", "sources.tsv", rc=3)
for word in ("link to a folder", "leads nowhere", "cut", "garbage", "1 links to folders"):
    check(word in p.stdout + p.stderr, f"nothing about '{word}': {p.stderr}")
images, patients, centers, report = table("images.tsv"), table("patients.tsv"), table("centers.tsv"), table("convert_report.tsv")
source = {r["series"]: r for r in csv.DictReader(open(os.path.join(work, "sources.tsv"), encoding="utf-8"), delimiter="\t")}
who = {source[r["series"]]["patient_id"]: r["patient"] for r in images}
check(set(who) == {A["id"], B["id"]} and all(len(v) == 16 and set(v) <= set("abcdefghijklmnopqrstuvwxyz234567") for v in who.values()), f"pseudonyms {who}")
check([(c["center"], c["cohort"], c["country"]) for c in centers] == [("north", "internal", "n/a"), ("south", "external", "CH")], f"centers {centers}")
found = {(r["patient"], r["study"], r["sequence"]) for r in images}
want = {(who[A["id"]], "day-0", "T2"), (who[A["id"]], "day-93", "DWI"), (who[B["id"]], "day-0", "plain"), (who[B["id"]], "day-0", "arterial"),
        (who[B["id"]], "day-0", "portal")}
check(found == want, f"images {found ^ want}")
by_id = {r["patient"]: r for r in patients}
check(by_id[who[A["id"]]]["age"] == "90" and by_id[who[A["id"]]]["sex"] == "F", f"age or sex of {by_id}")
check(by_id[who[B["id"]]]["age"] == "50" and by_id[who[B["id"]]]["center"] == "south", f"age or center of {by_id}")
status = {}
for r in report:
    status.setdefault(r["status"], []).append(r)
check({k: len(v) for k, v in status.items()} == {"used": 5, "unused": 1, "unmatched": 2, "ignored": 1, "no-image": 1, "failed": 1},
      f"report {[(k, len(v)) for k, v in status.items()]}")
check({k: v for k, v in dry.items() if v} == {k: len(v) for k, v in status.items()}, f"the dry run said {dry}")
check("most-slices" in status["unused"][0]["reason"], f"why unused: {status['unused']}")
reasons = " ".join(r["reason"] for r in status["unmatched"])
check("orientation 'sagittal' does not fit 'axial'" not in reasons and "nearest rule" in reasons, f"why unmatched: {reasons}")
check("place by time of acquisition" in reasons, f"the third phase: {reasons}")
check("PatientID" in status["failed"][0]["reason"], "why failed")
portal = next(r for r in images if r["sequence"] == "portal")
check(portal["description"] == "abdomen" and all(r["description"] == "n/a" for r in images if r["sequence"] != "portal"), "kept texts")
check(portal["kernel"] == "B30f" and portal["kvp"] == "120" and portal["manufacturer"] == "Siemens", f"covariates {portal}")


def volume(sequence):
    r = next(x for x in images if x["sequence"] == sequence)
    image = nibabel.load(os.path.join(work, "c", r["path"]))
    slices = list(csv.DictReader(open(os.path.join(work, "c", r["path"].replace(".nii.gz", "_slices.tsv"))), delimiter="\t"))
    return r, image, np.asanyarray(image.dataobj), slices


for sequence, pixels, intercept in (("T2", t2, 0), ("DWI", dwi, 0), ("arterial", phases[0], -1024), ("portal", phases[1], -1024)):
    r, image, v, slices = volume(sequence)
    expected = pixels.transpose(2, 1, 0)[:, ::-1, :] + intercept  # dcm2niix turns rows over
    check(v.shape == expected.shape and np.array_equal(v, expected), f"voxels of {sequence}")
    check(r["slices"] == str(len(pixels)) and len(slices) == len(pixels), f"slices of {sequence}")
    for s in slices:
        k = int(s["slice"])
        check(s["source"] == "position" and abs(float(s["position_z_mm"]) - (7 + 3 * k)) < 1e-6, f"place of slice {k} of {sequence}: {s}")
        if sequence == "T2":
            check(int(s["instance_number"]) == [3, 1, 5, 2, 4][k], f"instance of slice {k}: {s}")
    h = image.header
    check(not any(bytes(h[f]).strip(b"\0") for f in ("descrip", "aux_file", "db_name", "intent_name")), f"texts in the header of {sequence}")
check(volume("DWI")[0]["b_value"] == "800", f"b-value {volume('DWI')[0]}")

# ---- what must never come out
secret = [x for q in (A, B) for x in (q["id"], q["birth"], q["accession"], *q["name"].split("^"))]
secret += [S1, S2, S3, "1.2.826", "20200110", "20200412", "20211231", "2020-01-10", "Referrer", "tse ax", "Iomeron", "comment on", work, "MRN771", "MRN881", "North Hospital"]
seen = 0
for base, dirs, files in os.walk(os.path.join(work, "c")):
    for name in dirs + files:
        check(not any(s.lower() in name.lower() for s in secret), f"a secret in the name {name}")
    for name in files:
        with open(os.path.join(base, name), "rb") as f:
            data = f.read()
        data = gzip.decompress(data) if name.endswith(".gz") else data
        seen += 1
        for s in secret:
            check(s.lower().encode() not in data.lower(), f"'{s}' in {os.path.join(base, name)}")
check(seen > 20, f"only {seen} files looked at")
key = os.path.join(work, "c.key")
check(stat.S_IMODE(os.stat(key).st_mode) == 0o600 and len(open(key).read()) == 65, "the key file")

# ---- again: nothing new; one file changed: one series; the tables are the same bytes
before = {n: open(os.path.join(work, "c", n), "rb").read() for n in ("images.tsv", "patients.tsv", "centers.tsv", "convert_report.tsv")}
p = run("convert", "tree", "-o", "c", "--rules", rules, "--json", rc=3)
o = json.loads(p.stdout)
check(o["converted"] == 0 and o["kept"] == 8, f"again: {o['converted']} converted, {o['kept']} kept")
os.utime(north + "/t2/IM0003", (time.time(), time.time() + 5))
o = json.loads(run("convert", "tree", "-o", "c", "--rules", rules, "--json", rc=3).stdout)
check(o["converted"] == 1 and o["kept"] == 7, f"after a change: {o['converted']} converted")
for n, data in before.items():
    check(open(os.path.join(work, "c", n), "rb").read() == data, f"{n} changed")
# the same tree with the same key elsewhere: the same bytes, whatever the number of processes
run("convert", "tree", "-o", "c2", "--rules", rules, "--key", "c.key", "--jobs", "1", rc=3)
for base, _, files in os.walk(os.path.join(work, "c", "images")):
    for name in files:
        other = os.path.join(base.replace("/c/", "/c2/"), name)
        check(os.path.exists(other) and open(other, "rb").read() == open(os.path.join(base, name), "rb").read(), f"{name} differs with one process")

# ---- labels, and a table edited by hand
with open(os.path.join(work, "labels.tsv"), "w") as f:
    f.write(f"patient_id\tlabel\tfold\tbmi\n{A['id']}\tmalignant\t1\t23.5\n{B['id']}\tbenign\t0\tn/a\nMRN000000\tbenign\t0\t1\n")
p = run("convert", "tree", "-o", "c", "--rules", rules, "--labels", "labels.tsv", rc=3)
check("1 row of patients who are not in the DICOM tree" in p.stderr and "MRN" not in p.stderr, f"labels: {p.stderr}")
by_id = {r["patient"]: r for r in table("patients.tsv")}
check(by_id[who[A["id"]]]["label"] == "malignant" and by_id[who[A["id"]]]["bmi"] == "23.5" and by_id[who[B["id"]]]["fold"] == "0", f"labels {by_id}")
with open(os.path.join(work, "c", "centers.tsv"), "a") as f:
    f.write("west\tinternal\tn/a\tn/a\n")
edited = open(os.path.join(work, "c", "centers.tsv")).read()
p = run("convert", "tree", "-o", "c", "--rules", rules, "--labels", "labels.tsv", rc=3)
check("centers.tsv was edited by hand" in p.stdout and open(os.path.join(work, "c", "centers.tsv")).read() == edited
      and os.path.exists(os.path.join(work, "c", "centers.tsv.new")), f"an edited table: {p.stdout}")

# ---- check takes the result; covariates reach SQL
source_dir = os.environ["RAD_SOURCE"]
with open(os.path.join(work, "job.yaml"), "w") as f:
    f.write(f"""job: converted
cohort: c
unit: patient
classes: [benign, malignant]
positive: malignant
inputs:
  x:
    channels: [{{sequence: T2, offset: [-1, 0, 1]}}]
    slices: all
    resize: {{size: 48}}
models:
  - {{name: net, file: {source_dir}/jobs/demo/models/repvgg.onnx, activation: softmax}}
backend: ref
""")
p = run("check", "job.yaml", rc=3)  # the other patient has no T2
check("error:" not in p.stderr, f"check: {p.stderr}")
p = run("run", "job.yaml", "--db", "r.sqlite", rc=3)
if not os.path.exists(os.path.join(work, "r.sqlite")):
    sys.exit("FAIL: no database: " + " | ".join(failures))
rows = dict(sqlite3.connect(os.path.join(work, "r.sqlite")).execute(
    "SELECT v.name, coalesce(v.number, v.value) FROM image_covariate v JOIN image i USING (image_id) WHERE i.sequence = 'T2'").fetchall())
check(rows.get("field_strength_t") == 3 and rows.get("slice_thickness_mm") == 3 and rows.get("model") == "Skyra" and rows.get("echo_time_ms") == 90,
      f"image covariates in SQL: {rows}")

# ---- keys
p = run("convert", "tree", "-o", "c", "--key", "c/inside.key", rc=2)
check("lies in the cohort folder" in p.stderr, p.stderr)
p = run("convert", "tree", "-o", "c", "--key", "other.key", rc=2)
check("was made with another key" in p.stderr, p.stderr)
p = run("convert", "tree", "-o", "c", "--source-list", "c/list.tsv", rc=2)
check("lies in the cohort folder" in p.stderr, p.stderr)
os.chmod(key, 0o644)
p = run("convert", "tree", "-o", "c", rc=2)
check("chmod 600" in p.stderr, p.stderr)
os.chmod(key, 0o600)

# ---- a dcm2niix that fails, crashes, hangs or writes nonsense for one series each: the others are converted
fake = os.path.join(work, "fake")
with open(fake, "w") as f:
    f.write(f"""#!/bin/sh
for last; do :; done
case "$1" in --version) exec dcm2niix --version;; esac
n=$(ls "$last" | wc -l)
out=$(echo "$@" | sed 's/.*-o \\([^ ]*\\) .*/\\1/')
head -c 700 "$last/000000.dcm" | grep -q 'MRN881240' || exec dcm2niix "$@"
case $(cat {work}/count 2>/dev/null) in
'') echo 1 > {work}/count; echo "Okapi^Wombat is broken" >&2; exit 3;;
1) echo 2 > {work}/count; kill -SEGV $$;;
2) echo 3 > {work}/count; exec sleep 60;;
*) dcm2niix "$@" > /dev/null; echo '{{"Modality": [[[[' > "$out/out.json"; exit 0;;
esac
""")
os.chmod(fake, 0o755)
begin = time.time()
p = run("convert", "tree", "-o", "c3", "--rules", rules, "--jobs", "1", "--timeout", "2", "--dcm2niix", fake, "--json", rc=3)
check(time.time() - begin < 20, "the time limit did not hold")
failed = " | ".join(r["reason"] for r in json.loads(p.stdout)["rows"] if r["status"] == "failed")
for word in ("exit status 3", "signal 11", "longer than 2 s", "not readable as JSON", "PatientID"):
    check(word in failed, f"'{word}' is not among the failures: {failed}")
check(json.loads(p.stdout)["images"]["used"] == 2, f"the others: {json.loads(p.stdout)['images']}")
logs = glob.glob(os.path.join(work, "c3", ".radcohort", "convert", "*.log"))
check(logs and not any("Okapi" in open(x).read() for x in logs) and any("is broken" in open(x).read() for x in logs), "logs of failed series")
o = json.loads(run("convert", "tree", "-o", "c3", "--rules", rules, "--key", "c3.key", "--json", rc=3).stdout)
check(o["converted"] == 4 and o["images"]["failed"] == 1, f"after the failures: {o['converted']} converted")

# ---- data sets without preamble and DICM, with types and without; what a killed conversion left; series that are gone
bare = os.path.join(work, "bare")
want = {"a": series(bare + "/a", B, S3 + ".501", S3, "20211231", "t2 bare"), "b": series(bare + "/b", B, S3 + ".502", S3, "20211231", "pd bare", number=2)}
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
for path in glob.glob(bare + "/*/*"):
    with open(path, "rb") as f:
        data = f.read()
    data = data[144 + int.from_bytes(data[140:144], "little"):]
    if "/b/" in path:  # implicit
        out, at = b"", 0
        while at < len(data):
            wide = data[at + 4:at + 6] in LONG
            n = int.from_bytes(data[at + 8:at + 12] if wide else data[at + 6:at + 8], "little")
            begin = at + (12 if wide else 8)
            out += data[at:at + 4] + n.to_bytes(4, "little") + data[begin:begin + n]
            at = begin + n
        data = out
    with open(path, "wb") as f:
        f.write(data)
with open(bare + "/meta", "wb") as f:
    f.write(whole[132:])
with open(bare + "/not one", "wb") as f:
    f.write(b"\x08\x00\x08\x00\xff\xff\xff\x7f" + bytes(400))
with open(os.path.join(work, "bare.yaml"), "w") as f:
    f.write("rules: [{name: t2, sequence: T2, description: '*t2*'}, {name: pd, sequence: PD, description: '*pd*'}]\n")
stages = os.path.join(work, "stages")
os.mkdir(stages)
bare_args = ("convert", "bare", "-o", "cb", "--rules", "bare.yaml", "--center-from", "name:south", "--json")
hang = os.path.join(work, "hang")
with open(hang, "w") as f:
    f.write('#!/bin/sh\ncase "$1" in --version) exec dcm2niix --version;; esac\nexec sleep 30\n')
os.chmod(hang, 0o755)
p = subprocess.Popen([program, *bare_args, "--dcm2niix", hang], cwd=work, env={**os.environ, "TMPDIR": stages}, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
for _ in range(500):
    if glob.glob(stages + "/*/*"):
        break
    time.sleep(0.01)
p.kill()
p.wait()
check(len(os.listdir(stages)) == 1, f"the killed conversion left {os.listdir(stages)}")
other = os.path.join(stages, "radcohort-" + "0" * 16 + "-abcdef")
os.mkdir(other)
p = run(*bare_args, rc=3, env={"TMPDIR": stages})
check(os.listdir(stages) == [os.path.basename(other)], f"temporary folders that stay: {os.listdir(stages)}")
check("without the 128 bytes" in p.stderr and "meta" in p.stderr, f"meta information without preamble: {p.stderr}")
check("not one" not in p.stderr, f"a file that is no DICOM: {p.stderr}")
got = {r["sequence"]: nibabel.load(os.path.join(work, "cb", r["path"])) for r in table("images.tsv", "cb")}
check(set(got) == {"T2", "PD"}, f"bare data sets: {set(got)}, {p.stderr}")
for name, sequence in (("a", "T2"), ("b", "PD")):
    v = np.asarray(got[sequence].dataobj) if sequence in got else None
    check(v is not None and sorted(map(int, v.ravel())) == sorted(map(int, want[name].ravel())), f"voxels of {sequence}")
gone = [r["series"] for r in table("convert_report.tsv", "cb") if r["sequence"] == "PD"][0]
shutil.rmtree(bare + "/b")
p = run(*bare_args, rc=3, env={"TMPDIR": stages})
check(f"series {gone} was converted before" in p.stderr and "delete the image" in p.stderr, f"a series that is gone: {p.stderr}")
check([r["sequence"] for r in table("images.tsv", "cb")] == ["T2"], "its row is gone")

# ---- several b-values in one image: its table lies beside it for the job's b_value; without a table it is refused; one shell is none of that
shells = os.path.join(work, "shells")
for k, name in enumerate(("trace", "shell", "short")):
    series(f"{shells}/{name}", B, S3 + f".60{k}", S3, "20211231", "t2 " + name, number=k + 1)
deep = os.path.join(work, "deep")
with open(deep, "w") as f:
    f.write(f"""#!{sys.executable}
import os, subprocess, sys
if "--version" not in sys.argv:
    import nibabel, numpy
    out = sys.argv[sys.argv.index("-o") + 1]
    code = subprocess.run(["dcm2niix", *sys.argv[1:]]).returncode
    image = nibabel.load(out + "/out.nii")
    v = numpy.asarray(image.dataobj)
    nibabel.save(nibabel.Nifti1Image(numpy.stack([v, v // 2, v // 3], 3), image.affine), out + "/out.nii")
    first = open(sys.argv[-1] + "/000000.dcm", "rb").read()
    open(out + "/out.bval", "w").write("995 1000 1005\\n" if b"t2 shell" in first else "0 500\\n" if b"t2 short" in first else "0 500 1000\\n")
    sys.exit(code)
sys.exit(subprocess.run(["dcm2niix", *sys.argv[1:]]).returncode)
""")
os.chmod(deep, 0o755)
with open(os.path.join(work, "shells.yaml"), "w") as f:
    f.write("rules: [{name: trace, sequence: trace, description: '*trace*'}, {name: short, sequence: short, description: '*short*'}, {name: shell, sequence: DWI, description: '*shell*', b_value: [900, 1100]}]\n")
p = run("convert", "shells", "-o", "cs", "--rules", "shells.yaml", "--center-from", "name:south", "--dcm2niix", deep, rc=3)
rows = {r["rule"]: r for r in table("convert_report.tsv", "cs")}
check({k: r["status"] for k, r in rows.items()} == {"trace": "used", "shell": "used", "short": "failed"}, f"several b-values: {rows}, {p.stderr}")
check("3 volumes of b-values from 0 to 1000" in rows["trace"]["reason"] and "b_value: 800" in rows["trace"]["reason"] and rows["shell"]["reason"] in ("", "n/a"), f"{rows}")
check("no table that says which is which" in rows["short"]["reason"], f"a table of another length: {rows['short']}")
shell_images = {r["sequence"]: os.path.join(work, "cs", r["path"].replace(".nii.gz", ".bval")) for r in table("images.tsv", "cs")}
check(set(shell_images) == {"trace", "DWI"} and open(shell_images["trace"]).read() == "0 500 1000\n", f"images of shells: {shell_images}")

# ---- an earlier visit moves the names of the others
check("is day-" not in p.stderr, f"a shift on the first conversion: {p.stderr}")
series(f"{shells}/before", B, S3 + ".610", S3 + ".8", "20211201", "t2 trace", number=1)
p = run("convert", "shells", "-o", "cs", "--rules", "shells.yaml", "--center-from", "name:south", "--dcm2niix", deep, rc=3)
check(p.stderr.count("what was visit day-0 is day-30 now") == 1, f"shifted days: {p.stderr}")
p = run("convert", "shells", "-o", "cs", "--rules", "shells.yaml", "--center-from", "name:south", "--dcm2niix", deep, rc=3)
check("what was visit" not in p.stderr, f"nothing shifted: {p.stderr}")

# ---- deflated files, which dcm2niix does not read: told one by one with the way out; the others of the tree are converted
series(f"{work}/squeezed/a", A, S3 + ".700", S3 + ".9", "20220101", "t2 tse", number=1)
series(f"{work}/squeezed/b", B, S3 + ".701", S3 + ".10", "20220101", "t2 tse", number=1)
for name in os.listdir(os.path.join(work, "squeezed/b")):
    dicom_fixture.deflate(os.path.join(work, "squeezed/b", name))
p = run("convert", "squeezed", "-o", "cd", "--center-from", "name:south", rc=3)
check(p.stderr.count("a deflated file") == 5 and "dcmconv +te IN OUT" in p.stderr and "dcmtk" in p.stderr, f"deflated: {p.stderr}")
check("5 unreadable" in p.stdout and len(table("images.tsv", "cd")) == 1, f"deflated: {p.stdout}")
if shutil.which("dcmconv"):  # the way out leads out
    for name in os.listdir(os.path.join(work, "squeezed/b")):
        one = os.path.join(work, "squeezed/b", name)
        subprocess.run(["dcmconv", "+te", one, one + ".new"], check=True)
        os.replace(one + ".new", one)
    run("convert", "squeezed", "-o", "cd", "--center-from", "name:south", rc=0)
    check(len(table("images.tsv", "cd")) == 2, "rewritten files")

# ---- what a broken copy left beside the whole file, first by path: the whole file is the image
series(f"{work}/half/a", A, S3 + ".800", S3 + ".11", "20220101", "t2 tse", number=1)
half = sorted(os.listdir(os.path.join(work, "half/a")))[1]
with open(os.path.join(work, "half/a", half), "rb") as f:
    text = f.read()
with open(os.path.join(work, "half/a", "0-" + half), "wb") as f:
    f.write(text[:-60])
p = run("convert", "half", "-o", "ch", "--center-from", "name:south", rc=0)
check("1 copy of an image that is there" in p.stdout and [r["slices"] for r in table("images.tsv", "ch")] == ["5"], f"half a copy: {p.stdout}")

# ---- mistakes in rules are shown with their place
for text, word in (("rules: [{sequence: T2, descripton: x}]", "did you mean 'description'"), ("rules: [{modality: MR}]", "neither"),
                   ("rules: [{sequence: T2, b_value: [9, 1]}]", "the lower end comes first"), ("- a", "key 'rules:'"), ("", "empty"),
                   ("rules: [{sequence: T2, prefer: [best]}]", "prefer"), ("rules: " + "[" * 500, "brackets")):
    with open(os.path.join(work, "bad.yaml"), "w") as f:
        f.write(text + "\n")
    p = run("convert", "tree", "-o", "c4", "--rules", "bad.yaml", rc=2)
    check(word in p.stderr and "bad.yaml" in p.stderr, f"{text[:40]}: {p.stderr}")
with open(os.path.join(work, "printed.yaml"), "w") as f:
    f.write(run("convert", "--print-rules").stdout)
run("convert", "tree", "-o", "c5", "--rules", "printed.yaml", "--dry-run", rc=3)
run("convert", "missing", "-o", "c6", rc=2)
run("convert", "tree", rc=2)
run("convert", "tree", "-o", "tree", rc=2)
run("convert", "tree", "-o", "c7", "--center-from", "level2", rc=2)

shutil.rmtree(work)
for f in failures:
    print("FAIL:", f)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
