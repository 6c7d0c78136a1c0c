#!/usr/bin/env python3
"""Volumes (inputs with `volume`) and listed slices against a second implementation, written from src/prepare/README.md with nibabel, numpy
and scipy: generated images of several grids, orientations and obliqueness, and (with ../shared/data) real ones. Through job files and
cohort tables, so that those are read too."""
import os, random, subprocess, sys, tempfile

try:
    import nibabel as nib
    import numpy as np
    import yaml
    from nibabel.processing import resample_from_to
    from scipy.ndimage import gaussian_filter, map_coordinates
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
nib.imageglobals.logger.setLevel(50)

source, build = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
shared = os.path.join(os.environ.get("RADCOHORT_SHARED", os.path.join(source, "../shared")), "data")
dump = os.path.join(build, "tests/backend/dump_job")
failures, worst, n_sample = [], 0.0, 0


class Excluded(Exception):
    pass


def check(ok, text):
    if not ok:
        failures.append(text)


def nearest(p):
    return np.ceil(np.asarray(p) - 0.5 - 1e-6)


# ---------------------------------------------------------------- the second implementation


def reorient(path, letters):
    img = nib.load(path)
    v = np.asanyarray(img.dataobj).astype(np.float64).astype(np.float32).reshape(img.shape[:3] + (-1,), order="F")[..., 0].astype(np.float64)
    turn = nib.orientations.ornt_transform(nib.io_orientation(img.affine), nib.orientations.axcodes2ornt(letters))
    axis = [int(np.flatnonzero(turn[:, 0] == t)[0]) for t in range(3)]
    flip = [turn[a, 1] < 0 for a in axis]
    return nib.orientations.apply_orientation(v, turn), img.affine @ nib.orientations.inv_ornt_aff(turn, v.shape), axis, flip


def spacing(affine):
    return np.linalg.norm(affine[:3, :3], axis=0)


def same_grid(a, aff_a, b, aff_b):
    if a.shape != b.shape:
        return False
    corner = np.array([[(n - 1) * bit for n, bit in zip(a.shape, (c >> 2 & 1, c >> 1 & 1, c & 1))] + [1] for c in range(8)])
    return np.linalg.norm((corner @ (aff_a - aff_b).T)[:, :3], axis=1).max() <= 0.1 * spacing(aff_a).min()


def slice_distance(affine):
    n = np.cross(affine[:3, 0], affine[:3, 1])
    return abs(affine[:3, 2] @ n) / np.linalg.norm(n)


def three(x):
    return list(x) if isinstance(x, list) else [x] * 3


def centre_of(spec, v, axis, flip, lesion, folder, letters):
    """x, y, z of the reoriented reference; `lesion`: mask, box or point."""
    crop = spec.get("crop", {})
    low = np.array([crop.get("left", 0), crop.get("top", 0), 0])
    high = np.array([v.shape[0] - crop.get("right", 0), v.shape[1] - crop.get("bottom", 0), v.shape[2]])
    if spec["region"]["from"] == "whole":
        return (low + high - 1) / 2, low, high
    if "mask" in lesion:
        m = reorient(os.path.join(folder, lesion["mask"]), letters)[0]
        at = np.argwhere(m != 0)
        return (at.min(0) + at.max(0)) / 2, low, high
    if "box" in lesion:
        stored = [(lesion["box"][a] + lesion["box"][a + 3] - 1) / 2 for a in range(3)]
    else:
        stored = lesion["point"]
    return np.array([v.shape[t] - 1 - stored[axis[t]] if flip[t] else stored[axis[t]] for t in range(3)]), low, high


def tone(v, spec, channel, inside, low, high):
    """Window and z-score; `inside`: voxels of the volume."""
    part = np.zeros(v.shape, bool)
    part[low[0]:high[0], low[1]:high[1]] = True

    def values(over, of):
        keep = part & np.isfinite(v) & (inside if over == "region" else (v != 0 if over == "nonzero" else True))
        return of[keep]

    window, zscore = channel.get("window", spec.get("window")), channel.get("zscore", spec.get("zscore"))
    out = v
    if window:
        lo, hi = (window["low"], window["high"]) if "low" in window else np.percentile(values(window.get("over", "volume"), v), window["percentile"])
        out = np.clip((v - lo) / (hi - lo), 0, 1) if hi > lo else v * 0
    black = 0.0
    if zscore:
        x = values(zscore, out)
        sd = x.std() or 1
        out, black = (out - x.mean()) / sd, -x.mean() / sd
    return out, black


def take(v, w, low, high, edge, black, near):
    """w [3, ...] -> values."""
    first, last = low.reshape(3, 1, 1, 1), (high - 1).reshape(3, 1, 1, 1)
    outside = ((w < first - 0.5 - 1e-6) | (w > last + 0.5 + 1e-6)).any(0)
    p = np.clip(w, first, last)
    if near:
        at = nearest(p).astype(int)
        out = v[at[0], at[1], at[2]]
    else:
        out = map_coordinates(v, p, order=1, mode="nearest", prefilter=False)
    return np.where(outside & (edge == "zero"), black, out)


def sample(spec, folder, images, lesion):
    q, letters, edge = spec["volume"], spec.get("orientation", "LPS"), spec.get("edge", "replicate")
    size, mm = three(q["size"]), three(q["spacing_mm"])
    ref, aff, axis, flip = reorient(os.path.join(folder, images[spec["channels"][0]["sequence"]]), letters)
    c, low, high = centre_of(spec, ref, axis, flip, lesion, folder, letters)
    step = np.array(mm) / spacing(aff)
    n = np.array(size[::-1])
    t = [c[a] + (np.arange(n[a]) - (n[a] - 1) / 2) * step[a] for a in range(3)]
    grid = np.stack(np.meshgrid(*t, indexing="ij"))  # [3, W, H, D]
    planes, worst_mm = [], 0.0
    for k, ch in enumerate(spec["channels"]):
        v, aff_c, _, _ = reorient(os.path.join(folder, images[ch["sequence"]]), letters)
        same = same_grid(ref, aff, v, aff_c)
        to = np.eye(4) if same else np.linalg.inv(aff_c) @ aff
        lo, hi = (low, high) if same else (np.zeros(3, int), np.array(v.shape))
        wc = to[:3, :3] @ c + to[:3, 3]
        if ((wc < lo - 0.5 - 1e-6) | (wc > hi - 0.5 + 1e-6)).any():
            raise Excluded("shape")
        away = 0 if same else abs(wc[2] - np.clip(nearest(wc[2]), 0, v.shape[2] - 1)) * slice_distance(aff_c)
        if away > spec.get("match", {}).get("tolerance_mm", np.inf) + 0.001:
            raise Excluded("shape")
        worst_mm = max(worst_mm, away)
        voxel = np.stack(np.meshgrid(*[np.arange(d) for d in v.shape], indexing="ij"))
        back = np.linalg.inv(to)
        p = np.einsum("ij,jxyz->ixyz", back[:3, :3], voxel) + back[:3, 3].reshape(3, 1, 1, 1)
        half = (n * step / 2).reshape(3, 1, 1, 1)
        mid = c.reshape(3, 1, 1, 1)
        inside = ((p >= mid - half - 1e-6) & (p < mid + half - 1e-6)).all(0)
        toned, black = tone(v, spec, ch, inside, lo, hi)
        near = ch.get("interpolation") == "nearest"
        if q.get("antialias") and not near:
            sigma = [max(0, (mm[a] / spacing(aff_c)[a] - 1) / 2) for a in range(3)]
            part = toned[lo[0]:hi[0], lo[1]:hi[1]]
            toned = toned.copy()
            toned[lo[0]:hi[0], lo[1]:hi[1]] = gaussian_filter(part, sigma, mode="nearest", truncate=4.0)
        w = np.einsum("ij,jxyz->ixyz", to[:3, :3], grid) + to[:3, 3].reshape(3, 1, 1, 1)
        norm = spec.get("normalise", {"mean": 0, "std": 1})
        mean, std = (norm[s][k] if isinstance(norm[s], list) else norm[s] for s in ("mean", "std"))
        planes.append(((take(toned, w, lo, hi, edge, black, near) - mean) / std).transpose(2, 1, 0))
    z = int(np.clip(nearest(c[2]), 0, ref.shape[2] - 1))
    box = [int(np.ceil(c[a] + s * n[a] * step[a] / 2 - 1e-6)) for s in (-1, 1) for a in (0, 1)]
    return np.stack(planes).astype(np.float32), [z, ref.shape[2] - 1 - z if flip[2] else z, *box], worst_mm


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
