#!/usr/bin/python3
"""How well do signatures tell copies of an image from other patients' images, and what do they cost?

    copies_bench.py BUILD [--against BUILD] [--data DIR] [--folder DIR] [--json FILE]

Some two hundred different volumes: generated CT of 320 x 320 x 80 voxels (ct_archive.py), heads of a kind (t_copies.py, 176 x 192 x 64), phantoms of three
designs, and every image below DIR. Of each third one copies are planted: another scale of values, a gamma, a narrow window, 8 bits, another storage order, a few voxels cropped,
half the resolution, cubic resampling to 0.8 of it, noise. Signatures come from sign_bench. As in a run, pairs are compared within one sequence: by the cosine, and by
the cosine without the sequence's mean where there are ten images of it. Area: of the ROC curve, copies against pairs of different volumes of one sequence; found and false pairs at
the thresholds of src/store/copies.h (0.95 and 0.8). --against: the signatures of another build, over the same files.
"""
import argparse
import glob
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import nibabel as nib
import numpy as np
from scipy import ndimage

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import ct_archive  # noqa: E402

NEAR, NEAR_OWN, MEAN_OF = 0.95, 0.8, 10
EACH = 3  # of so many volumes one is copied


def ct(seed):
    return ct_archive.voxels(seed, (320, 320, 80)).transpose(2, 1, 0), np.array([[-0.8, 0, 0, 120], [0, -0.8, 0, 130], [0, 0, 2, -80], [0, 0, 0, 1]])


def head(seed):
    r = np.random.default_rng(seed)
    x, y, z = (g.astype(np.float32) for g in np.meshgrid(*[np.linspace(-1.3, 1.3, n) for n in (176, 192, 64)], indexing="ij"))
    a = np.zeros(x.shape, np.float32)
    for _ in range(40):
        f, p = r.normal(0, 3.5, 3).astype(np.float32), np.float32(r.uniform(0, 6.28))
        a += np.float32(r.normal()) * np.cos(f[0] * x + f[1] * y + f[2] * z + p)
    a = 500 + 60 * a + r.normal(0, 15, x.shape)
    s = r.uniform(0.9, 1.1, 3)
    inside = (x / s[0]) ** 2 + (y / s[1]) ** 2 + (z / s[2]) ** 2 < 1
    return np.where(inside, np.maximum(a, 50), 20 + r.normal(0, 5, x.shape)).astype(np.int16), np.diag([1.0, 1, 2, 1])


def planted(kind, a, affine, seed):
    """Voxels, matrix and type of a copy; None where there is too little to crop or to resample."""
    r = np.random.default_rng(seed)
    low, high = float(a.min()), float(a.max())
    unit = (a.astype(np.float32) - low) / max(high - low, 1e-9)
    a = a.astype(np.float32) if a.dtype.kind == "f" else a
    if kind == "scale":
        return (a.astype(np.float32) * 0.37 - 1024), affine
    if kind == "gamma":
        return (np.sqrt(unit) * 3000).astype(np.int16), affine
    if kind == "window":
        lo, hi = np.percentile(a, [20, 97])
        return np.clip((a.astype(np.float32) - lo) / max(hi - lo, 1e-9) * 4000, 0, 4000).astype(np.int16), affine
    if kind == "8 bits":
        lo, hi = np.percentile(a, [1, 99.5])
        return np.clip((a.astype(np.float32) - lo) / max(hi - lo, 1e-9) * 255, 0, 255).astype(np.uint8), affine
    if kind == "noise":
        return (unit * 4000 + r.normal(0, 60, a.shape)).astype(np.float32), affine
    if kind == "storage":
        turn = np.array([[1, -1], [0, 1], [2, -1]])
        return nib.orientations.apply_orientation(a, turn), affine @ nib.orientations.inv_ornt_aff(turn, a.shape)
    if kind == "crop":
        c = [min(4, n // 24) for n in a.shape]
        return a[c[0]:, :a.shape[1] - c[1], c[2]:], affine
    if min(a.shape[:2]) < 32:
        return None
    if kind == "half":
        return a[::2, ::2], affine @ np.diag([2, 2, 1, 1])
    return ndimage.zoom(a.astype(np.float32), (0.8, 0.8, 1), order=3).astype(np.int16), affine @ np.diag([1.25, 1.25, 1, 1])


KINDS = ("scale", "gamma", "window", "8 bits", "noise", "storage", "crop", "half", "cubic")


def bases(o, build):
    """(sequence, name, voxels, matrix) of every volume."""
    for i in range(64):
        yield ("CT", "ct%02d" % i, *ct(1000 + i))
    for i in range(56):
        yield ("head", "head%02d" % i, *head(i))
    with tempfile.TemporaryDirectory() as top:
        for design in ("spine-ct", "brain", "demo"):
            folder = os.path.join(top, design)
            subprocess.run([os.path.join(build, "src", "cli", "radcohort"), "phantom", "-o", folder, "--design", design, "--scale", "0.2"], check=True,
                           capture_output=True)
            with open(os.path.join(folder, "images.tsv")) as f:
                head_line, *lines = f.read().split("\n")
            at = {c: k for k, c in enumerate(head_line.split("\t"))}
            for k, line in enumerate([x.split("\t") for x in lines if x][:26]):
                img = nib.load(os.path.join(folder, line[at["path"]]))
                yield (design + line[at["sequence"]], "%s%02d" % (design, k), np.asarray(img.dataobj), img.affine)
    seen = set()
    for path in sorted(glob.glob(os.path.join(o.data, "**", "*.nii*"), recursive=True)) if o.data else []:
        name = os.path.relpath(path, o.data).replace("/", "-")
        try:
            img = nib.load(path)
            a = np.asarray(img.dataobj)
        except Exception:  # test data of other programs: broken ones are among them
            continue
        if a.dtype.fields or a.dtype.kind == "c" or a.ndim < 3 or min(a.shape[:3]) < 5 or "mask" in name or "seg" in name or "/quirks/" in path:
            continue
        while a.ndim > 3:
            a = a[..., 0]
        a = a if np.isfinite(a).all() else np.nan_to_num(a, nan=0, posinf=0, neginf=0)
        values = hashlib.sha256(np.sort(a, axis=None).astype(np.float64).tobytes()).digest()
        if values in seen:  # one head in twelve storage orders
            continue
        seen.add(values)
        kind = "CT" if a.min() < -900 else "PET" if "PET" in name else "MR"
        yield ("real " + kind, name.split(".nii")[0], a, img.affine)


def make(o, build, folder):
    """{file: (sequence, base, kind)}; kept from one call to the next."""
    known = os.path.join(folder, "files.json")
    if os.path.exists(known):
        with open(known) as f:
            return json.load(f)
    files = {}

    def save(sequence, base, kind, a, affine):
        path = os.path.join(folder, "%s-%s.nii" % (base, kind.replace(" ", "")))
        nib.save(nib.Nifti1Image(a if a.dtype.kind != "b" else a.astype(np.uint8), affine), path)
        files[path] = (sequence, base, kind)

    for k, (sequence, name, a, affine) in enumerate(bases(o, build)):
        a = a.astype(np.float32) if a.dtype.kind == "f" else a
        save(sequence, name, "", a, affine)
        for kind in KINDS if k % EACH == 0 or sequence.startswith("real") else ():
            copy = planted(kind, a, affine, k)
            if copy is not None:
                save(sequence, name, kind, *copy)
    with open(known, "w") as f:
        json.dump(files, f)
    return files


def judge(build, files):
    program = os.path.join(build, "tests", "bench", "sign_bench")
    out = subprocess.run([program, "-r", "3", *files], check=True, capture_output=True, text=True).stdout
    vector, cost = {}, []
    for line in out.splitlines():
        ms, text, path = line.split(" ", 2)
        sequence, base, kind = files[path]
        if sequence == "CT" and kind == "":
            cost.append(float(ms))
        if text != "-":
            vector.setdefault(sequence, []).append((base, kind, np.frombuffer(bytes.fromhex(text), np.int8).astype(float)))
    copies, strangers, by_kind, false = [], [], {}, 0
    for items in vector.values():
        items = [i for i in items if len(i[2]) == 164]
        if len(items) < 2:
            continue
        raw = np.array([v / np.linalg.norm(v) for _, _, v in items])
        has_mean = len({b for b, _, _ in items}) >= MEAN_OF
        own = raw - raw.mean(axis=0) if has_mean else raw
        own = own / np.maximum(np.linalg.norm(own, axis=1)[:, None], 1e-12)
        cos, cos_own = raw @ raw.T, own @ own.T
        for i, (base, kind, _) in enumerate(items):
            for j in range(i + 1, len(items)):
                flagged = cos[i, j] >= NEAR and (not has_mean or cos_own[i, j] >= NEAR_OWN)
                if base == items[j][0] and "" in (kind, items[j][1]):
                    copies.append((cos[i, j], cos_own[i, j]))
                    by_kind.setdefault(kind or items[j][1], []).append((flagged, cos[i, j], cos_own[i, j]))
                elif base != items[j][0] and kind == "" and items[j][1] == "":
                    strangers.append((cos[i, j], cos_own[i, j]))
                    false += bool(flagged)
    copies, strangers = np.array(copies), np.array(strangers)

    def area(k):
        s = np.sort(strangers[:, k])
        return float(np.mean(np.searchsorted(s, copies[:, k], "left") + np.searchsorted(s, copies[:, k], "right")) / 2 / len(s))

    return {"copies": len(copies), "strangers": len(strangers), "area": area(0), "area, own": area(1), "false": false,
            "found": float(np.mean([f for v in by_kind.values() for f, _, _ in v])),
            "strangers' 99.9 %": [float(np.quantile(strangers[:, k], 0.999)) for k in (0, 1)], "ms": float(np.median(cost)),
            "kinds": {k: {"found": float(np.mean([f for f, _, _ in v])), "least": min(c for _, c, _ in v), "median": float(np.median([c for _, c, _ in v])),
                          "least, own": min(c for _, _, c in v), "median, own": float(np.median([c for _, _, c in v]))} for k, v in by_kind.items()}}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--against")
    a.add_argument("--data", help="a folder of NIfTI files")
    a.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "radcohort-bench"), help="where volumes are kept from one call to the next")
    a.add_argument("--json")
    o = a.parse_args()
    folder = os.path.join(o.folder, "copies")
    os.makedirs(folder, exist_ok=True)
    files = make(o, os.path.abspath(o.build), folder)
    result = {b: judge(os.path.abspath(b), files) for b in ([o.against] if o.against else []) + [o.build]}
    for name, r in result.items():
        print("%s: %d copies, %d pairs of strangers; area %.5f, without the mean %.5f; found %.3f, false pairs %d; strangers' 99.9 %% %.3f, %.3f; %.2f ms"
              % (name, r["copies"], r["strangers"], r["area"], r["area, own"], r["found"], r["false"], *r["strangers' 99.9 %"], r["ms"]))
        for kind, k in r["kinds"].items():
            print("    %-8s found %.3f   cosine %.3f (least %.3f)   without the mean %.3f (least %.3f)"
                  % (kind, k["found"], k["median"], k["least"], k["median, own"], k["least, own"]))
    if o.json:
        with open(o.json, "w") as f:
            json.dump(result, f, indent=1)


main()
