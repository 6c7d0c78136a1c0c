#!/usr/bin/python3
"""The same image under two patients: bytes, other encoding, scale of values, storage order, margin, matrix; told as a
warning, in a view and in the summary, as leakage across folds; different people are not taken for each other. Signatures against an
independent computation."""
import gzip
import os
import sqlite3
import subprocess
import sys
import tempfile

try:
    import nibabel as nib
    import numpy as np
except ImportError as e:
    print(f"SKIP: {e.name} is not installed")
    sys.exit(77)

rad, source = os.environ["RADCOHORT"], os.environ["RAD_SOURCE"]
sys.path.insert(0, os.path.join(source, "tests/mpi"))
import fixture  # noqa: E402

for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)
top = tempfile.mkdtemp()
cohort = os.path.join(top, "cohort")
os.makedirs(cohort)
rng = np.random.default_rng(3)


def person(shape=(60, 66, 22)):
    """a head of a kind: much the same ellipsoid for all, smooth tissue of its own"""
    x, y, z = np.meshgrid(*[np.linspace(-1.3, 1.3, n) for n in shape], indexing="ij")
    a = np.zeros(shape)
    for _ in range(60):
        f, p = rng.normal(0, 3.5, 3), rng.uniform(0, 6.28)
        a += rng.normal() * np.cos(f[0] * x + f[1] * y + f[2] * z + p)
    a = 500 + 60 * a + rng.normal(0, 15, shape)
    r = rng.uniform(0.9, 1.1, 3)
    return np.where((x / r[0]) ** 2 + (y / r[1]) ** 2 + (z / r[2]) ** 2 < 1, np.maximum(a, 50), 20 + rng.normal(0, 5, shape))


def signature(img):
    """as the comment of src/load/signature.c says it"""
    a = np.asarray(img.dataobj, dtype=np.float32)
    a = a.reshape(a.shape + (1,) * (3 - a.ndim))
    turn = nib.orientations.io_orientation(img.affine)
    for ax, n in enumerate(a.shape):
        step = -(-n // (128 if turn[ax, 0] == 0 or 1 in a.shape else 64 if n > 96 else 96))
        rest = (n - 1) % step
        a = a.take(np.arange(rest // 2 if turn[ax, 1] > 0 else rest - rest // 2, n, step), axis=ax)
    s = nib.orientations.apply_orientation(a, turn).astype(float)
    bins = np.minimum(((s - s.min()) * (65536 / (s.max() - s.min()))).astype(int), 65535)
    count = np.bincount(bins.ravel(), minlength=65536)
    r = (((np.cumsum(count) - count) + count / 2) / s.size)[bins] - .5
    order, basis = 14 if 1 in s.shape else 8, []
    for ax in range(3):
        mass = np.maximum(r, 0).sum(axis=tuple(i for i in range(3) if i != ax))
        edge = np.concatenate([[0], np.cumsum(mass)]) / mass.sum()
        low, high = (np.interp(q, edge, np.arange(len(edge))) for q in (.01, .99))
        u = (np.arange(len(mass)) + .5 - low) / (high - low) if len(mass) > 1 else np.zeros(1)
        k = np.arange(order + 1 if len(mass) > 1 else 1)[:, None]
        basis.append(np.cos(np.pi * k * u) * ((u >= 0) & (u <= 1)))
    c = np.einsum("xyz,ax,by,cz->abc", r, *basis, optimize=True)
    v = np.array([c[i, j, k] * np.sqrt(i * i + j * j + k * k) for k in range(c.shape[2]) for j in range(c.shape[1])
                  for i in range(c.shape[0]) if 0 < i + j + k <= order])
    return np.rint(v / abs(v).max() * 127)


affine = np.diag([1.5, 1.4, 4.0, 1])
people = [person() for _ in range(14)]
people[3] = person((131, 99, 20))  # of this one not every voxel counts
images = {}


def save(name, data, aff=affine, dtype=np.int16, file=None):
    img = nib.Nifti1Image(np.asarray(data).astype(dtype), aff)
    images[name] = (file or name + ".nii.gz", img)
    nib.save(img, os.path.join(cohort, images[name][0]))


for i, a in enumerate(people):
    save("P%02d" % i, a)
a = people[0]
with open(os.path.join(cohort, "Q00.nii.gz"), "wb") as f:
    f.write(open(os.path.join(cohort, "P00.nii.gz"), "rb").read())
images["Q00"] = ("Q00.nii.gz", images["P00"][1])
save("Q01", people[1] * 0.37 - 1024, dtype=np.float32, file="Q01.nii")
save("Q02", np.sqrt(np.maximum(people[2], 0)), dtype=np.float32)
flip = nib.orientations.inv_ornt_aff(np.array([[1, -1], [0, 1], [2, -1]]), people[3].shape)
save("Q03", nib.orientations.apply_orientation(people[3], np.array([[1, -1], [0, 1], [2, -1]])), affine @ flip)
save("Q04", people[4][2:, 1:-1, :])
save("Q05", people[5][::2, ::2, :], np.diag([3, 2.8, 4.0, 1]))
with open(os.path.join(cohort, "Q06.nii.gz"), "wb") as f:  # the same voxels, packed anew
    f.write(gzip.compress(gzip.decompress(open(os.path.join(cohort, "P06.nii.gz"), "rb").read()), 1))
images["Q06"] = ("Q06.nii.gz", images["P06"][1])
save("Q07", people[7], file="Q07.nii")  # not packed
COPIES = {("P%02d" % i, "Q%02d" % i) for i in range(8)}
SEEN = {("P00", "Q00"), ("P03", "Q03"), ("P06", "Q06"), ("P07", "Q07")}  # the same voxels at every place: bytes, direction of storage, packing
fold = {n: ("%d" % (1 + i % 2) if n[0] == "P" else "2") for i, n in enumerate(images)}
LEAKS = {c for c in COPIES if fold[c[0]] != fold[c[1]]}
assert 0 < len(LEAKS) < 8
for table, head, rows in (("centers", "center\tcohort", ["H1\tinternal"]),
                          ("patients", "patient\tcenter\tlabel\tfold", ["%s\tH1\t%s\t%s" % (n, "ab"[i % 2], fold[n]) for i, n in enumerate(images)]),
                          ("images", "patient\tstudy\tsequence\tpath", ["%s\ts\tA\t%s" % (n, images[n][0]) for n in images])):
    with open(os.path.join(cohort, table + ".tsv"), "w") as f:
        f.write("\n".join([head] + rows) + "\n")
for k in (1, 2):
    with open(os.path.join(top, "f%d.onnx" % k), "wb") as f:
        f.write(fixture.network(k, 1, 16, 2, 4))


def run(name, slices, extra):
    job, db = os.path.join(top, name + ".yaml"), os.path.join(top, name + ".sqlite")
    with open(job, "w") as f:
        f.write("job: %s\ncohort: cohort\nunit: patient\nclasses: [a, b]\npositive: b\n"
                "inputs: {m: {channels: [{sequence: A}], slices: %s, window: {low: 0, high: 900}, resize: {size: 16}}}\n"
                "models:\n  - {name: cv, file: 'f{fold}.onnx', folds: 2, activation: softmax}\n%s" % (name, slices, extra))
    p = subprocess.run([rad, "run", job, "--db", db, "--quiet"], capture_output=True, text=True)
    assert p.returncode == 0, (p.returncode, p.stdout, p.stderr)
    con = sqlite3.connect(db)
    con.row_factory = sqlite3.Row
    return con, p.stdout


db, out = run("whole", "all", "")
rows = db.execute("SELECT * FROM v_near_copy").fetchall()
assert {(r["patient_a"], r["patient_b"]) for r in rows} == COPIES, [tuple(r) for r in rows]
assert {(r["patient_a"], r["patient_b"]) for r in rows if r["leakage"]} == LEAKS
assert {(r["patient_a"], r["patient_b"]) for r in rows if r["same"]} == {("P00", "Q00")}
assert "8 pairs of images that two patients share, %d of them across folds: LEAKAGE" % len(LEAKS) in out, out
texts = [r[0] for r in db.execute("SELECT text FROM v_warning WHERE stage = 'copies'")]
assert len(texts) == 8 and sum(t.startswith("leakage: ") for t in texts) == len(LEAKS), texts
sign = dict(db.execute("SELECT i.path, v.signature FROM image i JOIN image_use USING (image_id) JOIN volume v USING (volume_id)").fetchall())
vector = {}
for n, (path, img) in images.items():
    got = np.frombuffer(bytes.fromhex(sign[path]), dtype=np.int8).astype(float)
    want = signature(img)
    assert got.shape == want.shape == (164,), got.shape
    assert abs(got - want).max() <= 1, (n, abs(got - want).max())
    vector[n] = got / np.linalg.norm(got)
mean = np.mean([v for n, v in vector.items() if n != "Q00"] + [vector["Q00"]], axis=0)
own = {n: (v - mean) / np.linalg.norm(v - mean) for n, v in vector.items()}
strangers = max(own[a] @ own[b] for a in own for b in own if a < b and (a, b) not in COPIES)
assert strangers < 0.7, strangers
for r in rows:
    assert r["same"] or abs(r["similarity"] - own[r["patient_a"]] @ own[r["patient_b"]]) < 1e-5
# one slice wanted: what has the same bytes, and what a network saw as the same, is found; the others when all images are read for it
db, out = run("slice", "lesion", "")
assert [tuple(r) for r in db.execute("SELECT patient_a, patient_b FROM v_near_copy WHERE same = 1")] == [("P00", "Q00")]
got = {tuple(r) for r in db.execute("SELECT patient_a, patient_b FROM v_near_copy")}
assert got == SEEN, got
assert {tuple(r) for r in db.execute("SELECT patient_a, patient_b FROM v_near_copy WHERE leakage")} == SEEN & LEAKS
assert "%d of them across folds: LEAKAGE" % len(SEEN & LEAKS) in out, out
db, out = run("slice-all", "lesion", "near_copies: all\n")
assert {tuple(r) for r in db.execute("SELECT patient_a, patient_b FROM v_near_copy")} == COPIES
db, out = run("without", "all", "near_copies: none\n")
assert db.execute("SELECT count(signature) FROM volume").fetchone()[0] == 0
assert {tuple(r) for r in db.execute("SELECT patient_a, patient_b FROM v_near_copy")} == SEEN
print("near copies: ok, nearest strangers %.2f" % strangers)
