#!/usr/bin/env python3
"""Channels with `b_value`: the mean of the volumes that have it, against numpy, over images of several b-values, of one, of two files; tables
that lie beside, are named, or are inherited in a BIDS folder; what is refused and with which words; nights notice another table; ranks and
batches change no bit; the DICOM converter's own 4-D images; real diffusion series."""
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
    import onnx
    from onnx import TensorProto, helper
except ImportError as e:
    print(f"SKIP: {e.name} is not installed")
    sys.exit(77)
program, source = os.environ["RADCOHORT"], os.environ["RAD_SOURCE"]
work = tempfile.mkdtemp(prefix="radcohort-test-")
failures = []
for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)


def check(ok, what):
    if not ok:
        failures.append(what)


def put(path, content):
    path = os.path.join(work, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(content if isinstance(content, str) else json.dumps(content))


def run(*args, rc, launcher=()):
    p = subprocess.run([*launcher, program, *args], capture_output=True, text=True, cwd=work)
    check(p.returncode == rc, f"{args}: exit {p.returncode}, expected {rc}: {p.stdout[-600:]}{p.stderr[-900:]}")
    return p


def network(path, planes, side):
    """the mean of every plane: scores are what the network saw"""
    graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", planes, *side])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", planes])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), os.path.join(work, path))


def job(name, channels, cohort="cohort", extra=""):
    put(name, f"""job: b
cohort: {cohort}
unit: patient
classes: [low, high]
positive: high
inputs:
  x:
    channels: [{', '.join(channels)}]
    slices: all
    orientation: LPS
models:
  - {{name: net, file: net.onnx, activation: none}}
backend: ref
{extra}""")


rng = np.random.default_rng(8)
SIDE = (12, 10)
B = [0, 5, 800, 795, 0, 805, 50, 400, 800]
PICK = {0: [0, 1, 4], 800: [2, 3, 5, 8]}
truth = {}


def image(path, b, dtype=np.int16, slope=None, volumes=None):
    v = rng.integers(0, 3000, (*SIDE, 5, len(b))).astype(dtype) if volumes is None else volumes
    v = v[..., 0] if len(b) == 1 else v
    im = nibabel.Nifti1Image(v, np.diag([-1.5, -1.5, 4, 1])) if not path.endswith(".img") else nibabel.Nifti1Pair(v, np.diag([-1.5, -1.5, 4, 1]))
    if slope:
        im.header.set_slope_inter(*slope)
    full = os.path.join(work, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    im.to_filename(full)
    return v.astype(float).reshape(*SIDE, 5, -1)


def means(v, pick):
    """per slice of the LPS image: the mean over volumes, then over the slice, as the network sees it"""
    m = v[..., pick].mean(axis=3)
    return m.mean(axis=(0, 1))


rows = []


def patient(name, b, file=None, table=True, bval=None, covariate=None, dtype=np.int16, sequence="DWI"):
    file = file or f"{name}.nii.gz"
    v = image("cohort/" + file, b, dtype)
    if table is True:
        put("cohort/" + (bval or file.replace(".nii.gz", ".bval").replace(".nii", ".bval")), " ".join(str(x) for x in b) + "\n")
    elif table:
        put("cohort/" + file.replace(".nii.gz", ".bval"), table)
    rows.append((name[:1], sequence, file, bval or "n/a", covariate or "n/a"))
    return v


for name, options in (("A", {}), ("B", {"file": "B.nii", "dtype": ">f4"}), ("C", {"file": "C.img", "bval": "tables/c.txt"}), ("D", {"dtype": np.uint8})):
    v = patient(name, B, **options)
    truth[name] = np.stack([means(v, PICK[0]), means(v, PICK[800])])
b0, b8 = patient("E0", [0], table=False, covariate="0"), patient("E8", [800], table=False, covariate="800")
truth["E"] = np.stack([means(b0, [0]), means(b8, [0])])
b0, b8 = patient("F0", [3]), patient("F8", [790, 810])  # tables of one number, of one b-value
truth["F"] = np.stack([means(b0, [0]), means(b8, [0, 1])])
# what cannot be scored, and the words for it
REFUSED = {
    "G": (lambda: patient("G", [0, 0, 1000]), "no image of sequence 'DWI' with a b-value of 760 to 840 (there are 0, 1000)"),
    "H": (lambda: patient("H", [0, 800, 800], table="0 800\n"), "3 volumes, its table of b-values has 2 numbers"),
    "I": (lambda: patient("I", [0, 800, 800], table=False), "no table of b-values beside it"),
    "J": (lambda: patient("J", [0, 800, 800], table="0 800 x\n"), "number 3 is 'x', which is no b-value"),
    "K": (lambda: patient("K", [0, 800, 800], table="\n"), "holds no b-value"),
    "L": (lambda: (patient("L1", [0, 800, 800]), patient("L2", [0, 800])), "2 images of sequence 'DWI'"),
    "M": (lambda: patient("M", [0, 800], table=False, covariate="0 800"), "the images table states several (0 800)"),
    "N": (lambda: (patient("N1", [0, 800, 800]), patient("N2", [0, 9])[0:0], rows.pop(), rows.append(("N", "DWI", "N2.nii.gz", "gone.bval", "n/a"))), "gone.bval"),
}
for make, _ in REFUSED.values():
    make()


def tables():
    names = sorted({r[0] for r in rows})
    put("cohort/centers.tsv", "center\tcohort\nx\tinternal\n")
    put("cohort/patients.tsv", "patient\tcenter\tlabel\n" + "".join(f"{n}\tx\t{('low', 'high')[i % 2]}\n" for i, n in enumerate(names)))
    put("cohort/images.tsv", "patient\tstudy\tsequence\tpath\tbval\tb_value\n" + "".join("%s\ts\t%s\t%s\t%s\t%s\n" % r for r in rows))


tables()
network("net.onnx", 2, SIDE[::-1])
PAIR = ["{sequence: DWI, b_value: 0}", "{sequence: DWI, b_value: 800}"]


SCORES = ("SELECT p.patient, s.class_index, s.slice, s.score, re.result_key FROM slice_score s JOIN result re USING (result_id) JOIN run_result rr USING (result_id) "
          "JOIN manifest USING (case_id) JOIN patient p USING (patient_id) ORDER BY 1, 2, 3")


def compare(db, truth, names):
    got = {}
    for p, k, s, v, _ in sqlite3.connect(os.path.join(work, db)).execute(SCORES):
        got.setdefault(p, {})[(k, s)] = v
    check(set(got) == set(names), f"{db}: scored {sorted(got)}, expected {sorted(names)}")
    for p in set(got) & set(names):
        for i in range(2):
            for s in range(truth[p].shape[1]):
                want = truth[p][i, s]
                check(abs(got[p][(i, s)] - want) < 2e-6 * max(1, abs(want)), f"{db} {p} {i} slice {s}: {got[p][(i, s)]}, numpy {want}")


job("job.yaml", PAIR)
p = run("check", "job.yaml", rc=3)
for words in [w for n in "GHIJL" for w in REFUSED[n][1].split(" (")]:
    check(words in p.stdout, f"check says nothing of '{words}': {p.stdout}")
run("run", "job.yaml", "--db", "one.sqlite", rc=3)
compare("one.sqlite", truth, truth)
db = sqlite3.connect(os.path.join(work, "one.sqlite"))
why = dict(db.execute("SELECT patient, text FROM v_exclusion"))
check(set(why) == set(REFUSED), f"exclusions {sorted(why)}")
for name, (_, words) in REFUSED.items():
    check(words in why.get(name, ""), f"{name}: '{words}' is not in the exclusion: {why.get(name)}")
check(db.execute("SELECT channel, volumes FROM v_source WHERE patient = 'A' ORDER BY 1").fetchall() == [(0, "0-1,4"), (1, "2-3,5,8")], "which volumes")
same = db.execute("SELECT count(DISTINCT content), count(DISTINCT v.volume_id), min(type), min(dims) FROM image_use u JOIN volume v USING (volume_id) "
                  "JOIN image i USING (image_id) WHERE i.path = 'A.nii.gz'").fetchone()
check(same == (1, 2, "float64", "[12,10,5]"), f"two volumes of one file: {same}")
check(db.execute("SELECT type FROM volume v JOIN image_use u USING (volume_id) JOIN image i USING (image_id) WHERE path = 'E0.nii.gz'").fetchone() == ("int16",), "one volume")
check("0-1,4" in run("explain", "one.sqlite", "A", rc=0).stdout, "explain tells the volumes")
# other ranks, other batches, other slices first: the same bits
job("again.yaml", PAIR, extra="batch: 1\nverify_files: true\nremember_files: false\n")
if shutil.which("mpirun"):
    run("run", "again.yaml", "--db", "three.sqlite", rc=3, launcher=("env", "ASAN_OPTIONS=detect_leaks=0", "mpirun", "-q", "-n", "3"))  # MPI keeps memory to its end
    other = sqlite3.connect(os.path.join(work, "three.sqlite"))
    check(db.execute(SCORES).fetchall() == other.execute(SCORES).fetchall(), "three ranks give other scores or keys")
job("middle.yaml", PAIR)
text = open(os.path.join(work, "middle.yaml")).read().replace("slices: all", "slices: lesion")
put("middle.yaml", text)
run("run", "middle.yaml", "--db", "middle.sqlite", rc=3)  # one slice of each volume, the rest passed over
for p, k, s, v, _ in sqlite3.connect(os.path.join(work, "middle.sqlite")).execute(SCORES):
    check(abs(v - truth[p][k, s]) < 2e-6 * max(1, v), f"middle slice of {p}")

# ---- a range; two b-values in it; the ends turned round; nothing said
job("range.yaml", ["{sequence: DWI, b_value: [0, 20]}", "{sequence: DWI, b_value: [700, 1000]}"])
p = run("check", "range.yaml", rc=3)
check("G" not in [l.split()[0] for l in p.stdout.splitlines() if l.startswith("    G")], p.stdout)
job("two.yaml", ["{sequence: DWI, b_value: [0, 100]}", "{sequence: DWI, b_value: 800}"])
p = run("check", "two.yaml", rc=3)
check("0 and 50 both lie between 0 and 100: narrow the job's b_value; 'A.bval' has 0, 50, 400, 795" in p.stdout, p.stdout)
job("turned.yaml", ["{sequence: DWI, b_value: [800, 0]}"])
check("the lower end comes first" in run("check", "turned.yaml", rc=2).stderr, "ends turned round")
job("plain.yaml", ["{sequence: DWI}", "{sequence: DWI}"])
p = run("check", "plain.yaml", rc=3)
check("an image of several b-values, and the channel does not say which: write for example b_value: 800" in p.stdout, p.stdout)
run("run", "plain.yaml", "--db", "plain.sqlite", rc=3)
why = dict(sqlite3.connect(os.path.join(work, "plain.sqlite")).execute("SELECT patient, text FROM v_exclusion"))
check("does not say which" in why.get("A", "") and "does not say which" not in why.get("E", "no image"), f"nothing said: {why}")
job("zero.yaml", [PAIR[0], "{sequence: DWI, b_value: 1000, missing: zero}"])
run("run", "zero.yaml", "--db", "zero.sqlite", rc=3)
zero = sqlite3.connect(os.path.join(work, "zero.sqlite"))
check(zero.execute("SELECT max(abs(score)) FROM v_slice_score WHERE patient = 'A' AND class = 'high'").fetchone() == (0,), "planes of zeros")
check(zero.execute("SELECT count(*) FROM v_slice_score WHERE patient IN ('I', 'J')").fetchone() == (0,), "what cannot be told is not taken for missing")

# ---- nights: another table is another image
run("nightly", "job.yaml", "--db", "one.sqlite", rc=3)
put("cohort/A.bval", "0 800 5 795 0 805 50 400 800\n")
p = run("nightly", "job.yaml", "--db", "one.sqlite", "--dry-run", rc=0)
check("image" in p.stdout and p.stdout.count("A") >= 1, f"another table: {p.stdout}")
run("nightly", "job.yaml", "--db", "one.sqlite", rc=3)
got = db.execute("SELECT volumes FROM v_source WHERE patient = 'A' AND run_id = (SELECT max(run_id) FROM run) ORDER BY channel").fetchall()
check(got == [("0,2,4",), ("1,3,5,8",)], f"the night's volumes: {got}")
db.close()

# ---- BIDS: the table of the data set applies to all, one beside an image goes before it
put("ds/dataset_description.json", {"Name": "x", "BIDSVersion": "1.8.0"})
put("ds/participants.tsv", "participant_id\tlabel\tsite\nsub-1\tlow\tx\nsub-2\thigh\tx\n")
put("ds/centers.tsv", "center\tcohort\nx\tinternal\n")
put("ds/dwi.bval", "0 800 800\n")
put("ds/sub-2/dwi/sub-2_dwi.bval", "800 0 0\n")
btruth = {}
for s, pick in (("1", ([0], [1, 2])), ("2", ([1, 2], [0]))):
    v = image(f"ds/sub-{s}/dwi/sub-{s}_dwi.nii.gz", [0, 800, 800])
    btruth["sub-" + s] = np.stack([means(v, x) for x in pick])
job("bids.yaml", [c.replace("DWI", "dwi") for c in PAIR], cohort="ds")
run("run", "bids.yaml", "--db", "bids.sqlite", rc=0)
compare("bids.sqlite", btruth, btruth)

# ---- real series of two scanners
shared = os.path.join(os.environ.get("RADCOHORT_SHARED") or os.path.join(source, "..", "shared"), "data", "neuro")
real = [("uih/dti_tra_dir16_AP_9_134431", ".nii", 928), ("canon-paris/8000_DTI_PA-ALL_20d_cl", ".nii.gz", 1500)]
for path, ending, b in real if os.path.isdir(shared) else []:
    shutil.rmtree(os.path.join(work, "cohort"))
    rows[:] = [("A", "DWI", "a" + ending, "n/a", "n/a"), ("B", "DWI", "b" + ending, "n/a", "n/a")]
    tables()
    for n in "ab":
        for e in (ending, ".bval"):
            shutil.copy(os.path.join(shared, path + e), os.path.join(work, "cohort", n + e))
    im = nibabel.as_closest_canonical(nibabel.load(os.path.join(shared, path + ending)))
    v, table = im.get_fdata(), np.array([float(x) for x in open(os.path.join(shared, path + ".bval")).read().split()])
    network("net.onnx", 2, (v.shape[1], v.shape[0]))
    job("real.yaml", ["{sequence: DWI, b_value: 0}", f"{{sequence: DWI, b_value: {b}}}"])
    run("run", "real.yaml", "--db", f"real{b}.sqlite", rc=0)
    want = np.stack([v[..., abs(table - x) <= 20].mean(axis=3).mean(axis=(0, 1)) for x in (0, b)])
    compare(f"real{b}.sqlite", {"A": want, "B": want}, "AB")

shutil.rmtree(work)
for f in failures:
    print("FAIL:", f)
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
