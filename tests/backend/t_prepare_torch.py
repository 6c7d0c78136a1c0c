#!/usr/bin/env python3
"""prepare/ against a second implementation, written from src/prepare/README.md with nibabel, numpy and PyTorch, on real volumes."""
import math, os, random, subprocess, sys, tempfile

try:
    import nibabel as nib
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
nib.imageglobals.logger.setLevel(50)
torch.set_num_threads(1)

source, build = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
data = os.path.join(os.environ.get("RADCOHORT_SHARED", os.path.join(source, "../shared")), "data")
dump = os.path.join(build, "tests/backend/dump_prepare")
if not os.path.exists(os.path.join(data, "index.tsv")):
    print("SKIP: no ../shared/data")
    sys.exit(77)

SLICES, EDGE = ["lesion", "lesion-all", "all"], ["replicate", "zero"]
FROM, SHAPE, METHOD = ["auto", "whole", "box", "mask", "point"], ["square", "rectangle"], ["none", "bilinear", "nearest"]


class Excluded(Exception):
    pass


def load(path):
    img = nib.load(path)
    v = np.asanyarray(img.dataobj)
    if v.dtype.fields:
        v = 0.299 * v["R"].astype(float) + 0.587 * v["G"] + 0.114 * v["B"]
    v = v.astype(np.float64).astype(np.float32).reshape(v.shape + (1,) * (3 - v.ndim))
    if any(d > 1 for d in v.shape[4:]):
        raise Excluded("unsupported")
    v = v.reshape(v.shape[:3] + (-1,), order="F")[..., 0]
    return v, img.affine


def reorient(v, affine, letters):
    """Array and affine along the letters; axis and flip per reoriented axis."""
    have = nib.io_orientation(affine)
    turn = nib.orientations.ornt_transform(have, nib.orientations.axcodes2ornt(letters))
    new = nib.orientations.apply_orientation(v, turn)
    new_affine = affine @ nib.orientations.inv_ornt_aff(turn, v.shape)
    axis = [int(np.flatnonzero(turn[:, 0] == t)[0]) for t in range(3)]
    return new, new_affine, axis, [turn[a, 1] < 0 for a in axis]


def same_grid(a, aff_a, b, aff_b, share):
    if a.shape != b.shape:
        return False
    corner = np.array([[(n - 1) * bit for n, bit in zip(a.shape, (c >> 2 & 1, c >> 1 & 1, c & 1))] + [1] for c in range(8)])
    d = (corner @ (aff_a - aff_b).T)[:, :3]
    return np.linalg.norm(d, axis=1).max() <= share * np.linalg.norm(aff_a[:3, :3], axis=0).min()


def resize(img, spec):
    t = torch.from_numpy(np.ascontiguousarray(img))[None, None]
    size = (spec["height"], spec["width"])
    if spec["method"] == "bilinear":
        t = F.interpolate(t, size=size, mode="bilinear", align_corners=False, antialias=spec["antialias"])
    elif spec["method"] == "nearest":
        t = F.interpolate(t, size=size, mode="nearest-exact")
    return t[0, 0].numpy()


def prepare(spec):
    volumes = []
    for path, _ in spec["channels"]:
        v, aff = load(path)
        volumes.append(reorient(v, aff, spec["orientation"]))
    ref, aff, axis, flip = volumes[0]
    for v, a, _, _ in volumes[1:]:
        if not same_grid(ref, aff, v, a, 0.1):
            raise Excluded("shape")
    nx, ny, nz = ref.shape
    if nz > 1 and min(nx, ny) == 1:
        raise Excluded("unsupported")
    s = np.linalg.norm(aff[:3, :3], axis=0)
    # the lesion
    kind = spec["from"]
    if kind in ("auto", "whole"):
        kind = "mask" if spec["mask"] else "box" if spec["box"] else "point" if spec["point"] else None
    if kind and not spec[kind]:
        raise Excluded("region")
    touched = None
    if kind == "mask":
        m, ma = load(spec["mask"])
        m, ma, _, _ = reorient(m, ma, spec["orientation"])
        if not same_grid(ref, aff, m, ma, 0.5):
            raise Excluded("shape")
        m = m != 0
        if not m.any():
            raise Excluded("region")
        area = m.sum((0, 1))
        touched, main = [int(z) for z in np.flatnonzero(area)], int(np.argmax(area))
        extent = [(int(i.min()), int(i.max()) + 1) for i in (np.flatnonzero(m.any((1, 2))), np.flatnonzero(m.any((0, 2))))]
        c, w = [(a + b - 1) / 2 for a, b in extent], [b - a for a, b in extent]
    elif kind == "box":
        stored = [(spec["box"][a], spec["box"][a + 3]) for a in axis]
        for (lo, hi), n in zip(stored, ref.shape):
            if lo < 0 or lo >= hi or hi > n:
                raise Excluded("region")
        turned = [(n - hi, n - lo) if f else (lo, hi) for (lo, hi), f, n in zip(stored, flip, ref.shape)]
        touched, main = list(range(*turned[2])), (turned[2][0] + turned[2][1] - 1) // 2
        c, w = [(a + b - 1) / 2 for a, b in turned[:2]], [b - a for a, b in turned[:2]]
    elif kind == "point":
        p = [n - 1 - spec["point"][a] if f else spec["point"][a] for a, f, n in zip(axis, flip, ref.shape)]
        if any(not -0.5 <= q <= n - 0.5 for q, n in zip(p, ref.shape)):
            raise Excluded("region")
        main = max(0, math.ceil(p[2] - 0.5))
        touched, c, w = [main], p[:2], [spec["size_mm"] / s[0], spec["size_mm"] / s[1]]
    elif spec["from"] != "whole" or spec["slices"] == "lesion-all":
        raise Excluded("region")
    else:
        main = (nz - 1) // 2
    slices = {"lesion": [main], "lesion-all": touched, "all": list(range(nz))}[spec["slices"]]
    # the region
    if spec["from"] == "whole":
        start, n = [0, 0], [nx, ny]
    else:
        e = [w[a] + 2 * (spec["margin_mm"] / s[a] + spec["margin_px"]) for a in (0, 1)]
        if spec["shape"] == "rectangle":
            n = [max(1, math.ceil(v - 1e-6)) for v in e]
        elif abs(s[0] - s[1]) <= 0.001 * max(s[:2]):
            n = [max(1, math.ceil(max(e) - 1e-6))] * 2
        else:
            side = max(e[0] * s[0], e[1] * s[1])
            n = [max(1, math.ceil(side / s[a] - 1e-6)) for a in (0, 1)]
        start = []
        for a, size in ((0, nx), (1, ny)):
            x = math.ceil(c[a] - n[a] / 2)
            start.append(min(max(x, min(0, size - n[a])), max(0, size - n[a])))
    ix, iy = np.arange(start[0], start[0] + n[0]), np.arange(start[1], start[1] + n[1])
    outside = ((iy < 0) | (iy >= ny))[:, None] | ((ix < 0) | (ix >= nx))[None, :]
    # planes
    def plane(v, z):
        if not 0 <= z < nz:
            if spec["edge"] == "zero":
                return resize(np.zeros((n[1], n[0])), spec)
            z = min(max(z, 0), nz - 1)
        img = v[:, :, z].T[np.clip(iy, 0, ny - 1)[:, None], np.clip(ix, 0, nx - 1)[None, :]].astype(np.float64)
        if not np.isfinite(img).all():
            raise Excluded("nonfinite")
        if spec["window"]:
            low, high = spec["window"]
            img = np.clip((img - low) / (high - low), 0, 1)
        if spec["edge"] == "zero":
            img[outside] = 0
        return resize(img, spec)

    out = np.array([[plane(v, k + o) for (v, _, _, _), (_, offsets) in zip(volumes, spec["channels"]) for o in offsets] for k in slices])
    if spec["norm"]:
        mean, std = (np.array(x)[:, None, None] for x in spec["norm"])
        out = (out - mean) / std
    stored = [nz - 1 - k if flip[2] else k for k in slices]
    return out.astype(np.float32), slices, stored, axis[2], [start[0], start[1], start[0] + n[0], start[1] + n[1]]


def encode(out, s):
    num = lambda v: repr(float(v))
    f = [out, s["orientation"], SLICES.index(s["slices"]), EDGE.index(s["edge"]), FROM.index(s["from"]), SHAPE.index(s["shape"])]
    f += [num(s["margin_mm"]), num(s["margin_px"]), num(s["size_mm"])]
    f += [1] + [num(v) for v in s["window"]] if s["window"] else [0, 0, 0]
    f += [METHOD.index(s["method"]), s["height"], s["width"], int(s["antialias"])]
    f += [len(s["norm"][0])] + [num(v) for part in s["norm"] for v in part] if s["norm"] else [0]
    f += [(1 if s["box"] else 0) + (2 if s["point"] else 0)] + list(s["box"] or [0] * 6) + [num(v) for v in (s["point"] or [0] * 3)]
    f += [s["mask"] or "-", len(s["channels"])]
    for path, offsets in s["channels"]:
        f += [path, len(offsets)] + list(offsets)
    return "\t".join(str(x) for x in f)


def base(path, **change):
    s = {"orientation": "LPS", "slices": "lesion", "edge": "replicate", "from": "auto", "shape": "square", "margin_mm": 0,
         "margin_px": 0, "size_mm": 0, "window": None, "method": "bilinear", "height": 32, "width": 32, "antialias": False,
         "norm": None, "box": None, "point": None, "mask": None, "channels": [(os.path.join(data, path), [0])]}
    s.update(change)
    if s["mask"]:
        s["mask"] = os.path.join(data, s["mask"])
    return s


random.seed(20260131)
CT, PCT = "body/mcgill-sts/STS_002_CT_image.nii.gz", "body/munich-tptbox/sub-ct_label-22_ct.nii.gz"
T1, MASK = "body/mcgill-sts/STS_012_MR_T1_image.nii.gz", "body/mcgill-sts/STS_012_MR_T1_mask.nii.gz"
RENAL, OBLIQUE, RGB = "body/nottingham-renal/test_sub_01.nii.gz", "quirks/niivue/shear.nii.gz", "quirks/niivue/ct_perfusion.nii.gz"
SPACES = [f"quirks/niivue-space/{o}.nii.gz" for o in "RAS LAS LPS RPI ASR PSR AIL SLA IPR PIR SRP LSP".split()]
jobs = []
# the same head in twelve storage orders, every wanted orientation kind, box and point
for path in SPACES:
    for letters in ("LPS", "RAS", "PIR", "SRA", "ILP"):
        jobs.append(base(path, orientation=letters, **{"from": "whole"}, window=(0, 92), channels=[(os.path.join(data, path), [-1, 0, 1])]))
    jobs.append(base(path, box=[20, 11, 30, 33, 30, 41], slices="lesion-all", margin_px=3))
    jobs.append(base(path, point=[30.25, 40.5, 33.5], size_mm=51, edge="zero"))
# masks: three modalities, neighbours at volume ends, margins beyond the borders
for n in ("002", "003", "008", "012", "019", "025", "035", "042", "047"):
    p = f"body/mcgill-sts/STS_{n}_MR_T1_"
    for edge in EDGE:
        pair = {"mask": p + "mask.nii.gz", "edge": edge}
        jobs.append(base(p + "image.nii.gz", **pair, slices="lesion-all", margin_mm=4.5, window=(0, 900), height=24, width=20,
                         channels=[(os.path.join(data, p + "image.nii.gz"), [-2, 0, 40])], norm=([0.5, 0.4, 0.3], [0.25, 0.5, 2.0])))
        jobs.append(base(p + "image.nii.gz", **pair, margin_px=60.4, method="none", window=(100, 700)))
for n in ("002", "008", "019", "025"):
    for kind in ("CT", "PET"):
        p = f"body/mcgill-sts/STS_{n}_{kind}_"
        jobs.append(base(p + "image.nii.gz", mask=p + "mask.nii.gz", slices="all", **{"from": "mask"}, height=16, width=16))
        jobs.append(base(p + "image.nii.gz", mask=p + "mask.nii.gz", shape="rectangle", margin_mm=7.3, antialias=True, height=11,
                         width=29))
# sizes up and down, each method, odd numbers
for h, w in ((1, 1), (2, 3), (7, 5), (31, 64), (90, 109), (98, 109), (128, 257), (224, 224), (300, 40)):
    for method, aa in (("bilinear", False), ("bilinear", True), ("nearest", False)):
        jobs.append(base(T1, **{"from": "whole"}, height=h, width=w, method=method, antialias=aa, window=(-10.5, 1200)))
        jobs.append(base(T1, mask=MASK, margin_px=2, height=h, width=w, method=method, antialias=aa, orientation="SPL"))
# anisotropic in-plane pixels: sagittal and coronal cuts; oblique and sheared grids; int32, uint16 with slope, rgb, big-endian, 4-D, NIfTI-2
for path in (RENAL, OBLIQUE, PCT, "body/basel-totalseg/example_ct_sm.nii.gz", "quirks/nibabel/anatomical.nii",
             "quirks/nibabel/example_nifti2.nii.gz", "neuro/canon-paris/8000_DTI_PA-ALL_20d_cl.nii.gz",
             "quirks/nifti-reader-js/air2.hdr.gz", RGB, "quirks/niivue/CT_pitch.nii.gz"):
    for letters in ("LPS", "PIR", "LIP", "ASL", "RSP"):
        shape = nib.load(os.path.join(data, path)).shape[:3]
        lo = [random.randrange(d // 2 + 1) for d in shape]
        box = lo + [random.randrange(a + 1, d + 1) for a, d in zip(lo, shape)]
        for shape_word in SHAPE:
            jobs.append(base(path, orientation=letters, box=box, shape=shape_word, margin_mm=random.choice([0, 2.2, 30]),
                             edge=random.choice(EDGE), height=19, width=23))
        jobs.append(base(path, orientation=letters, point=[random.uniform(-0.5, d - 0.5) for d in shape], margin_px=0.5,
                         size_mm=random.uniform(1, 200), edge=random.choice(EDGE), height=19, width=23))
# two images on one grid; one stored in another order; not on one grid; exclusions
jobs.append(base(T1, mask=MASK, channels=[(os.path.join(data, T1), [0]), (os.path.join(data, MASK), [-1, 1])]))
p = "quirks/niivue-space/"
jobs.append(base(p + "RAS.nii.gz", **{"from": "whole"},
                 channels=[(os.path.join(data, p + f"{x}.nii.gz"), [0]) for x in ("RAS", "LPS", "PIR")]))
jobs.append(base(T1, **{"from": "whole"}, channels=[(os.path.join(data, T1), [0]), (os.path.join(data, CT), [0])]))
jobs.append(base(T1, mask="body/mcgill-sts/STS_008_MR_T1_mask.nii.gz"))
jobs.append(base(T1, box=[0, 0, 0, 200, 5, 5]))
jobs.append(base(T1, point=[500, 5, 5], size_mm=10))
jobs.append(base(T1))
jobs.append(base("body/montreal-sct/mt_mtr.nii.gz", **{"from": "whole"}))
jobs.append(base("body/montreal-sct/mt_warp_t22mt1.nii.gz", **{"from": "whole"}))
jobs.append(base("body/montreal-sct/qmri_venc.nii.gz", **{"from": "whole"}))
jobs.append(base("body/montreal-sct/qmri_venc.nii.gz", **{"from": "whole"}, orientation="PIL"))

failures, worst, excluded = [], 0.0, {}
with tempfile.TemporaryDirectory() as tmp:
    lines = [encode(os.path.join(tmp, f"{i}.f32"), s) for i, s in enumerate(jobs)]
    out = subprocess.run([dump], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(out) == len(jobs), (len(out), len(jobs))
    for i, (s, answer) in enumerate(zip(jobs, out)):
        what = f"job {i} {s}"
        try:
            want, slices, stored, axis, box = prepare(s)
        except Excluded as e:
            excluded[str(e)] = excluded.get(str(e), 0) + 1
            if answer.split("|")[0] != str(e):
                failures.append(f"{what}: expected {e}, got {answer[:300]}")
            continue
        if not answer.startswith("ok "):
            failures.append(f"{what}: {answer[:300]}")
            continue
        v = [int(x) for x in answer.split()[1:]]
        n = v[0]
        if v[:4] != list(want.shape) or v[4] != axis or v[5:9] != box or v[9:9 + n] != slices or v[9 + n:] != stored:
            failures.append(f"{what}: {v[:20]} against {want.shape} {axis} {box} {slices[:5]} {stored[:5]}")
            continue
        got = np.fromfile(os.path.join(tmp, f"{i}.f32"), dtype="<f4").reshape(want.shape)
        scale = max(1.0, float(np.abs(want).max()))
        diff = float(np.abs(got.astype(np.float64) - want).max()) / scale
        worst = max(worst, diff)
        if not diff <= 1e-6:
            failures.append(f"{what}: largest difference {diff}")
print(f"{len(jobs)} inputs, of which excluded by both: {excluded}; largest difference {worst:.2e} of the largest value; "
      f"{len(failures)} failures")
for f in failures[:20]:
    print("FAIL", f)
sys.exit(1 if failures else 0)
