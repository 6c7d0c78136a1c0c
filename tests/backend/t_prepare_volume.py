#!/usr/bin/env python3
"""Volumes (inputs with `volume`) and listed slices against a second implementation (volume_reference.py): generated images of several grids, orientations and obliqueness, and (with ../shared/data) real ones. Through job files and
cohort tables, so that those are read too."""
import os, random, subprocess, sys, tempfile

try:
    import nibabel as nib
    import numpy as np
    import yaml
    from nibabel.processing import resample_from_to
    from scipy.ndimage import gaussian_filter
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
from volume_reference import Excluded, reorient, sample, spacing

nib.imageglobals.logger.setLevel(50)

source, build = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
shared = os.path.join(os.environ.get("RADCOHORT_SHARED", os.path.join(source, "../shared")), "data")
dump = os.path.join(build, "tests/backend/dump_job")
failures, worst, n_sample = [], 0.0, 0


def check(ok, text):
    if not ok:
        failures.append(text)


# ---------------------------------------------------------------- cohorts


def write_job(folder, inputs, unit):
    job = {"job": "j", "cohort": "cohort", "unit": unit, "classes": ["a", "b"], "positive": "b", "inputs": inputs,
           "models": [{"name": f"m{i}", "file": "m.onnx", "input": name, "activation": "softmax"} for i, name in enumerate(inputs)]}
    yaml.safe_dump(job, open(os.path.join(folder, "job.yaml"), "w"), sort_keys=False)


def write_tables(folder, cases):
    """cases: patient -> (images: sequence -> path, lesion, slices of the lesion, slices of its first image)"""
    c = os.path.join(folder, "cohort")
    with open(c + "/centers.tsv", "w") as f:
        f.write("center\tcohort\nA\tinternal\n")
    with open(c + "/patients.tsv", "w") as f:
        f.write("patient\tcenter\tlabel\n" + "".join(f"{p}\tA\ta\n" for p in cases))
    with open(c + "/images.tsv", "w") as f:
        f.write("patient\tsequence\tpath\tslices\n")
        for p, (images, _, _, own) in cases.items():
            for i, (s, path) in enumerate(images.items()):
                f.write(f"{p}\t{s}\t{path}\t{own or 'n/a' if i == 0 else 'n/a'}\n")
    with open(c + "/lesions.tsv", "w") as f:
        f.write("patient\tlesion\tbox\tmask\tpoint\tslices\n")
        for p, (_, lesion, slices, _) in cases.items():
            text = {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in lesion.items()}
            f.write(f"{p}\tL1\t{text.get('box', 'n/a')}\t{text.get('mask', 'n/a')}\t{text.get('point', 'n/a')}\t{slices or 'n/a'}\n")


def dumped(folder):
    r = subprocess.run([dump, folder + "/job.yaml", folder], capture_output=True, text=True)
    check(r.returncode == 0, f"dump_job: {r.stderr}")
    rows = {}
    for line in r.stdout.splitlines():
        index, which, patient, lesion, study, *rest = line.split("\t")
        data = None
        if rest[0] == "ok":
            shape = [int(x) for x in rest[1].split("x")]
            data = np.fromfile(f"{folder}/{index}-{which}.f32", "<f4").reshape(shape)
        rows[patient, int(which)] = (rest[0], data, [list(map(float, x.split(","))) for x in rest[2:]])
    return rows


def compare(folder, inputs, cases):
    global worst, n_sample
    rows = dumped(folder)
    for patient, (images, lesion, _, _) in cases.items():
        for i, spec in enumerate(inputs.values()):
            status, data, record = rows[patient, i]
            where = f"{patient} {spec}"
            try:
                want, slice_box, mm = sample(spec, folder + "/cohort", images, lesion)
            except Excluded as e:
                check(status.startswith(f"{e}|"), f"{where}: got {status}, expected {e}")
                continue
            if data is None:
                check(False, f"{where}: {status}")
                continue
            check(data.shape == (1, *want.shape), f"{where}: {data.shape}, expected {want.shape}")
            if data.shape == (1, *want.shape):
                d = float((np.abs(data[0].astype(float) - want) / np.maximum(1, np.abs(want))).max())
                worst, n_sample = max(worst, d), n_sample + 1
                check(d <= 1e-6, f"{where}: differs by {d:.3g}")
            check(record[0][:6] == slice_box and abs(record[0][6] - mm) < 1e-6, f"{where}: recorded {record[0]}, expected {slice_box}, {mm:.3f}")


def rotation(a, b):
    ca, sa, cb, sb = np.cos(a), np.sin(a), np.cos(b), np.sin(b)
    return np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cb, -sb], [0, sb, cb]])


def make_image(rng, path, shape, mm, centre, turn=(0, 0), axes="RAS", dtype=np.float32):
    """A smooth random field around world position `centre`."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(*turn) * mm
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    v = gaussian_filter(rng.normal(size=shape), 1.5) * 400 + 100
    turned = nib.Nifti1Image(v.astype(dtype), affine).as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)))
    turned.set_sform(turned.affine, 1)
    nib.save(turned, path)
    return turned


INPUTS = {
    "cube": {"channels": [{"sequence": "A", "window": {"percentile": [1, 99]}}, {"sequence": "B", "zscore": "region"},
                          {"sequence": "S", "interpolation": "nearest"}],
             "orientation": "RAS", "edge": "zero", "region": {"from": "auto"}, "volume": {"size": [10, 13, 16], "spacing_mm": [1.5, 1.25, 2]}},
    "fine": {"channels": [{"sequence": "A"}, {"sequence": "B"}], "orientation": "LPS", "region": {"from": "auto"}, "match": {"tolerance_mm": 1},
             "volume": {"size": 12, "spacing_mm": 0.7}, "normalise": {"mean": [10, 20], "std": [30, 40]}},
    "coarse": {"channels": [{"sequence": "A", "zscore": "nonzero"}, {"sequence": "B", "window": {"low": 0, "high": 200}}],
               "orientation": "PIR", "region": {"from": "whole"}, "volume": {"size": [9, 8, 7], "spacing_mm": [4, 3, 5], "antialias": True},
               "crop": {"left": 3, "bottom": 2}, "edge": "zero"},
    "small": {"channels": [{"sequence": "B"}, {"sequence": "A", "window": {"percentile": [0, 90], "over": "region"}}], "orientation": "LIP",
              "region": {"from": "whole"}, "volume": {"size": [5, 6, 7], "spacing_mm": 6, "antialias": True}},
}

with tempfile.TemporaryDirectory() as folder:
    rng, pick = np.random.default_rng(5), random.Random(5)
    os.mkdir(folder + "/cohort")
    cases = {}
    for i in range(12):
        name, turn = f"P{i}", (pick.uniform(-0.3, 0.3), pick.uniform(-0.3, 0.3)) if i % 3 else (0, 0)
        centre = [pick.uniform(-30, 30) for _ in range(3)]
        axes = pick.choice(["RAS", "LPS", "PIR", "ASL", "SRP"])
        img = make_image(rng, f"{folder}/cohort/{name}a.nii.gz", (22, 25, 14), [1.1, 1.1, 3], centre, turn, axes, np.int16 if i % 2 else np.float32)
        apart = [c + pick.uniform(-4, 4) + (60 if i == 11 else 0) for c in centre]
        if i == 7:  # on one grid
            nib.save(nib.Nifti1Image(rng.normal(size=img.shape).astype(np.float32), img.affine), f"{folder}/cohort/{name}b.nii.gz")
        else:
            make_image(rng, f"{folder}/cohort/{name}b.nii.gz", (20, 24, 18), [1.5, 1.3, 1.7], apart, (0.1, -0.2), pick.choice(["LAS", "RPS", "IPR"]))
        label = nib.Nifti1Image(rng.integers(0, 5, img.shape).astype(np.uint8), img.affine)
        nib.save(label, f"{folder}/cohort/{name}s.nii.gz")
        lesion = {}
        low = [pick.randrange(2, d - 5) for d in img.shape]
        high = [v + pick.randrange(1, 4) for v in low]
        if i % 4 == 0:
            mask = np.zeros(img.shape, np.uint8)
            mask[tuple(slice(a, b) for a, b in zip(low, high))] = 1
            nib.save(nib.Nifti1Image(mask, img.affine), f"{folder}/cohort/{name}m.nii.gz")
            lesion["mask"] = f"{name}m.nii.gz"
        elif i % 4 == 1:
            lesion["box"] = low + high
        else:
            lesion["point"] = [round(pick.uniform(2, d - 3), 3) for d in img.shape]
        cases[name] = ({"A": f"{name}a.nii.gz", "B": f"{name}b.nii.gz", "S": f"{name}s.nii.gz"}, lesion, None, None)
    write_tables(folder, cases)
    write_job(folder, INPUTS, "lesion")
    compare(folder, INPUTS, cases)
    check(n_sample >= 30, f"only {n_sample} samples compared")

    # an identity: samples on the voxels are the voxels, and nibabel resamples the same box alike
    img = nib.load(f"{folder}/cohort/P0a.nii.gz").as_reoriented(nib.io_orientation(nib.load(f"{folder}/cohort/P0a.nii.gz").affine))
    one = {"A": {"channels": [{"sequence": "A"}], "orientation": "RAS", "region": {"from": "whole"}, "edge": "zero",
                 "volume": {"size": list(img.shape[::-1]), "spacing_mm": [float(z) for z in img.header.get_zooms()[:3]]}},
           "B": {"channels": [{"sequence": "B"}], "orientation": "RAS", "region": {"from": "whole"}, "edge": "zero",
                 "volume": {"size": [17, 18, 19], "spacing_mm": 1.3}}}
    write_job(folder, one, "lesion")
    rows = dumped(folder)
    check(np.abs(rows["P0", 0][1][0, 0].transpose(2, 1, 0) - img.get_fdata()).max() < 1e-3, "samples on the voxels are not the voxels")
    b = nib.load(f"{folder}/cohort/P0b.nii.gz")
    b = b.as_reoriented(nib.io_orientation(b.affine))
    aff = b.affine.copy()
    aff[:3, :3] *= 1.3 / spacing(b.affine)
    aff[:3, 3] += b.affine[:3, :3] @ ((np.array(b.shape) - 1) / 2) - aff[:3, :3] @ ((np.array([19, 18, 17]) - 1) / 2)
    want = resample_from_to(nib.Nifti1Image(b.get_fdata(), b.affine), ((19, 18, 17), aff), order=1, mode="nearest").get_fdata()
    got = rows["P0", 1][1][0, 0].transpose(2, 1, 0)
    check(np.abs(got - want).max() / np.abs(want).max() < 1e-5, f"nibabel.processing.resample_from_to differs by {np.abs(got - want).max():.3g}")

# ---------------------------------------------------------------- listed slices

with tempfile.TemporaryDirectory() as folder:
    rng = np.random.default_rng(6)
    os.mkdir(folder + "/cohort")
    cases = {}
    lists = {"P0": ("3,0,5-7", None, "LPS"), "P1": (None, "9", "RAI"), "P2": ("8,1", "2", "RSA"), "P3": (None, None, "RAS"), "P4": ("9-10", None, "RAS")}
    for name, (own, of_image, axes) in lists.items():
        img = make_image(rng, f"{folder}/cohort/{name}.nii.gz", (8, 7, 10), [1, 1, 2], [0, 0, 0], axes=axes)
        cases[name] = ({"A": f"{name}.nii.gz"}, {"point": [2, 2, 2]}, own, of_image)
    write_tables(folder, cases)
    inputs = {"all": {"channels": [{"sequence": "A"}], "region": {"from": "whole"}, "slices": "listed"},
              "second": {"channels": [{"sequence": "A"}], "region": {"from": "whole"}, "slices": "listed", "every": 2},
              "third": {"channels": [{"sequence": "A"}], "region": {"from": "whole"}, "slices": "all", "every": 3}}
    write_job(folder, inputs, "lesion")
    rows = dumped(folder)
    want = {"P0": [0, 3, 5, 6, 7], "P1": [9], "P2": [1, 8]}
    for name, stored in want.items():
        v, _, _, flip = reorient(f"{folder}/cohort/{name}.nii.gz", "LPS")
        z = sorted(9 - k if flip[2] else k for k in stored)
        for which, chosen in ((0, z), (1, z[::2]), (2, list(range(0, 10, 3)))):
            status, data, record = rows[name, which]
            check(data is not None and [r[0] for r in record] == chosen, f"{name}: slices {[r[0] for r in record]} ({status}), expected {chosen}")
            if data is not None and len(data) == len(chosen):
                check(all(np.array_equal(data[i, 0], v[:, :, k].T.astype(np.float32)) for i, k in enumerate(chosen)), f"{name}: pixels")
    check(rows["P3", 0][0].startswith("region|no slices are listed"), f"P3: {rows['P3', 0][0]}")
    check(rows["P4", 0][0].startswith("region|slice 10 is listed, but the image has slices 0 to 9"), f"P4: {rows['P4', 0][0]}")
    r = subprocess.run([os.environ["RADCOHORT"], "check", folder + "/job.yaml"], capture_output=True, text=True)
    check("slice 10 is listed" in r.stdout + r.stderr and "no slices are listed" in r.stdout + r.stderr, f"check says nothing of the lists: {r.stdout}")

# ---------------------------------------------------------------- real images

real = 0
if os.path.exists(shared + "/index.tsv"):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/cohort")
        rows = [dict(zip(h, line.rstrip("\n").split("\t"))) for lines in [open(shared + "/index.tsv").read().splitlines()]
                for h in [lines[0].split("\t")] for line in lines[1:]]
        cases = {}
        for row in rows:
            path = os.path.join(shared, row.get("path", row.get("file", "")))
            try:
                img = nib.load(path)
                if len(cases) >= 6 or len(img.shape) < 3 or min(img.shape[:3]) < 4 or np.prod(img.shape) > 3e6 or img.get_data_dtype().fields:
                    continue
                if not np.isfinite(np.asanyarray(img.dataobj)).all() or nib.aff2axcodes(img.affine).count(None):
                    continue
            except Exception:
                continue
            name = f"R{len(cases)}"
            target = f"{name}.nii.gz" if path.endswith(".gz") else f"{name}.nii"
            if not path.endswith((".nii", ".nii.gz")):
                continue
            os.symlink(path, f"{folder}/cohort/{target}")
            cases[name] = ({"A": target}, {"point": [round(d * 0.4, 2) for d in img.shape[:3]]}, None, None)
        inputs = {"lesion": {"channels": [{"sequence": "A", "window": {"percentile": [2, 98]}}], "orientation": "RAS", "region": {"from": "auto"},
                             "volume": {"size": [24, 20, 28], "spacing_mm": 1.7}},
                  "whole": {"channels": [{"sequence": "A", "window": {"percentile": [0, 100]}}], "orientation": "LPS", "region": {"from": "whole"},
                            "edge": "zero", "volume": {"size": 24, "spacing_mm": 9, "antialias": True}}}
        write_tables(folder, cases)
        write_job(folder, inputs, "lesion")
        before = n_sample
        compare(folder, inputs, cases)
        real = n_sample - before
        check(real >= 6, f"only {real} real samples compared")

print(f"{n_sample} volumes compared ({real} of real images), largest relative difference {worst:.3g}")
for f in failures:
    print("FAIL:", f)
sys.exit(1 if failures else 0)
