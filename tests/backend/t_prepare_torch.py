#!/usr/bin/env python3
"""prepare/ against a second implementation, written from src/prepare/README.md with nibabel, numpy, scipy and PyTorch, on real volumes."""
import math, os, random, subprocess, sys, tempfile

try:
    import nibabel as nib
    import numpy as np
    import torch
    import torch.nn.functional as F
    from scipy.ndimage import map_coordinates
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
OVER, COMPONENT = ["volume", "nonzero", "region"], ["luma", "r", "g", "b"]
FROM, SHAPE, METHOD = ["auto", "whole", "box", "mask", "point"], ["square", "rectangle"], ["none", "bilinear", "nearest"]


class Excluded(Exception):
    pass


def load(path, component="luma"):
    img = nib.load(path)
    v = np.asanyarray(img.dataobj)
    if v.dtype.fields and component != "luma":
        v = v[component.upper()]
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


def nearest(p):
    return np.ceil(np.asarray(p) - 0.5 - 1e-6).astype(int)


def slice_distance(aff):
    n = np.cross(aff[:3, 0], aff[:3, 1])
    return abs(n @ aff[:3, 2]) / np.linalg.norm(n)


def apply(m, points):
    return points @ m[:3, :3].T + m[:3, 3]


class Channel:
    """The image of one entry: values after padding, window and z-score, on its own grid."""

    def __init__(self, entry, spec):
        self.path, self.offsets = entry[:2]
        self.o = entry[2] if len(entry) > 2 else {}
        if self.path is None:
            return
        v, aff = load(self.path, self.o.get("component", "luma"))
        self.raw, self.aff, self.axis, self.flip = reorient(v, aff, spec["orientation"])

    def lie(self, ref):
        self.same = self is ref or same_grid(ref.raw, ref.aff, self.raw, self.aff, 0.1)
        self.to = np.linalg.inv(self.aff) @ ref.aff
        self.back = np.linalg.inv(ref.aff) @ self.aff

    def scope(self, over, slices, start, n):
        ok = np.isfinite(self.raw)
        if "padding" in self.o:
            ok &= self.raw != np.float32(self.o["padding"])
        if over == "nonzero":
            ok &= self.raw != 0
        if over == "region":
            at = np.stack(np.meshgrid(*map(np.arange, self.raw.shape), indexing="ij"), -1).astype(float)
            at = nearest(at if self.same else apply(self.back, at))
            ok &= np.isin(at[..., 2], slices)
            for a in (0, 1):
                ok &= (at[..., a] >= start[a]) & (at[..., a] < start[a] + n[a])
        if not ok.any():
            raise Excluded("region")
        return ok

    def tone(self, spec, slices, start, n):
        raw, window = self.raw.astype(np.float64), self.o.get("window", spec["window"])
        if "nonfinite" in self.o:
            raw = np.where(np.isfinite(raw), raw, float(np.float32(self.o["nonfinite"])))
        to = lambda x: x
        if "percentile" in self.o:
            *ends, over = self.o["percentile"]
            values = self.raw[self.scope(over, slices, start, n)].astype(np.float64)
            window = np.percentile(values, ends, method="linear") if values.size else (0, 0)
        if window is not None:
            low, high = window
            to = lambda x: np.clip((x - low) / (high - low), 0, 1) if high > low else x * 0
        v, mean, sd = to(np.where(np.isfinite(raw), raw, 0)), 0.0, 1.0
        if "zscore" in self.o:
            of = to(self.raw[self.scope(self.o["zscore"], slices, start, n)].astype(np.float64))
            mean, sd = of.mean(), of.std() or 1.0
        if "padding" in self.o:
            v = np.where(self.raw == np.float32(self.o["padding"]), 0, v)
        self.v = (np.where(np.isfinite(raw), v, np.nan) - mean) / sd
        self.black = (0 - mean) / sd

    def slice(self, spec, ref, z, ix, iy):
        """The reference's slice z at pixels ix, iy (inside it): [y, x]; and the distance."""
        if self.same:
            return self.v[np.ix_(ix, iy, [z])][:, :, 0].T, 0.0
        mid = np.array([(spec["region"][0][0] + spec["region"][0][1] - 1) / 2, (spec["region"][1][0] + spec["region"][1][1] - 1) / 2, z])
        nz, w = self.v.shape[2], apply(self.to, mid)
        j = int(np.clip(nearest(w[2]), 0, nz - 1))
        far = [abs(w[2] - j)]
        if spec["nearest"]:
            far += [abs(apply(self.to, np.array([x, y, z], float))[2] - j) for x in (spec["region"][0][0], spec["region"][0][1] - 1)
                    for y in (spec["region"][1][0], spec["region"][1][1] - 1)]
        mm = max(far) * slice_distance(self.aff)
        limit = slice_distance(ref.aff) / 2 if spec["tolerance"] is None else spec["tolerance"]
        if mm > limit + 0.001:
            raise Excluded("shape")
        at = np.stack(np.meshgrid(ix, iy, [z], indexing="ij"), -1).astype(float).reshape(-1, 3)
        w = apply(self.to, at)
        if spec["nearest"]:
            w[:, 2] = j
        last = np.array(self.v.shape) - 1
        if (w[:, :2].max(0) < -0.5 - 1e-6).any() or (w[:, :2].min(0) > last[:2] + 0.5 + 1e-6).any():
            raise Excluded("shape")
        out = map_coordinates(self.v, np.clip(w, 0, last).T, order=1, mode="nearest", prefilter=False)
        if spec["edge"] == "zero":
            out[((w < -0.5 - 1e-6) | (w > last + 0.5 + 1e-6)).any(1)] = self.black
        return out.reshape(len(ix), len(iy)).T, mm


def drawn(on, ref, inside):
    """The reference's voxels whose nearest voxel of the image is in `inside`."""
    at = np.stack(np.meshgrid(*map(np.arange, ref.raw.shape), indexing="ij"), -1).astype(float)
    i = nearest(apply(on.to, at))
    ok = ((i >= 0) & (i < inside.shape)).all(-1)
    i = np.where(ok[..., None], i, 0)
    return ok & inside[i[..., 0], i[..., 1], i[..., 2]]


def extent_of(m):
    if not m.any():
        raise Excluded("region")
    area = m.sum((0, 1))
    touched, main = [int(z) for z in np.flatnonzero(area)], int(np.argmax(area))
    extent = [(int(i.min()), int(i.max()) + 1) for i in (np.flatnonzero(m.any((1, 2))), np.flatnonzero(m.any((0, 2))))]
    return touched, main, [(a + b - 1) / 2 for a, b in extent], [b - a for a, b in extent]


def prepare(spec):
    channels = [Channel(entry, spec) for entry in spec["channels"]]
    first = channels[0]
    ref, aff, axis, flip = first.raw, first.aff, first.axis, first.flip
    for c in channels:
        if c.path is not None:
            c.lie(first)
    on = channels[spec["drawn_on"]]
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
        if not same_grid(on.raw, on.aff, m, ma, 0.5):
            raise Excluded("shape")
        m = m != 0
        touched, main, c, w = extent_of(m if on.same or not m.any() else drawn(on, first, m))
    elif kind == "box":
        stored = [(spec["box"][a], spec["box"][a + 3]) for a in on.axis]
        for (lo, hi), n in zip(stored, on.raw.shape):
            if lo < 0 or lo >= hi or hi > n:
                raise Excluded("region")
        turned = [(n - hi, n - lo) if f else (lo, hi) for (lo, hi), f, n in zip(stored, on.flip, on.raw.shape)]
        touched, main = list(range(*turned[2])), (turned[2][0] + turned[2][1] - 1) // 2
        c, w = [(a + b - 1) / 2 for a, b in turned[:2]], [b - a for a, b in turned[:2]]
        if not on.same:
            m = np.zeros(on.raw.shape, bool)
            m[tuple(slice(*t) for t in turned)] = True
            touched, main, c, w = extent_of(drawn(on, first, m))
    elif kind == "point":
        p = [n - 1 - spec["point"][a] if f else spec["point"][a] for a, f, n in zip(on.axis, on.flip, on.raw.shape)]
        if any(not -0.5 <= q <= n - 0.5 for q, n in zip(p, on.raw.shape)):
            raise Excluded("region")
        p = p if on.same else list(apply(on.back, np.array(p)))
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
    spec = dict(spec, region=[(start[0], start[0] + n[0]), (start[1], start[1] + n[1])])
    inside_x, inside_y = np.clip(ix, 0, nx - 1), np.clip(iy, 0, ny - 1)
    ux, bx = np.unique(inside_x, return_inverse=True)
    uy, by = np.unique(inside_y, return_inverse=True)

    def plane(c, z):
        if c.path is None:
            return np.zeros((spec["height"], spec["width"])), 0.0
        if not 0 <= z < nz:
            if spec["edge"] == "zero":
                return resize(np.full((n[1], n[0]), c.black), spec), 0.0
            z = min(max(z, 0), nz - 1)
        img, mm = c.slice(spec, first, z, ux, uy)
        img = img[by[:, None], bx[None, :]]
        if not np.isfinite(img).all():
            raise Excluded("nonfinite")
        if spec["edge"] == "zero":
            img[outside] = c.black
        return resize(img, spec), mm

    for c in channels:
        if c.path is not None:
            c.tone(spec, slices, start, n)
    made = [[plane(c, k + o) for c in channels for o in c.offsets] for k in slices]
    out, mismatch = np.array([[p for p, _ in row] for row in made]), [max(mm for _, mm in row) for row in made]
    if spec["norm"]:
        mean, std = (np.array(x)[:, None, None] for x in spec["norm"])
        out = (out - mean) / std
    stored = [nz - 1 - k if flip[2] else k for k in slices]
    return out.astype(np.float32), slices, stored, axis[2], [start[0], start[1], start[0] + n[0], start[1] + n[1]], mismatch


def encode(out, s):
    num = lambda v: repr(float(v))
    f = [out, s["orientation"], SLICES.index(s["slices"]), EDGE.index(s["edge"]), FROM.index(s["from"]), SHAPE.index(s["shape"])]
    f += [num(s["margin_mm"]), num(s["margin_px"]), num(s["size_mm"])]
    f += [1] + [num(v) for v in s["window"]] if s["window"] else [0, 0, 0]
    f += [METHOD.index(s["method"]), s["height"], s["width"], int(s["antialias"])]
    f += [len(s["norm"][0])] + [num(v) for part in s["norm"] for v in part] if s["norm"] else [0]
    f += [(1 if s["box"] else 0) + (2 if s["point"] else 0)] + list(s["box"] or [0] * 6) + [num(v) for v in (s["point"] or [0] * 3)]
    f += [0, 0] if s["tolerance"] is None else [1, num(s["tolerance"])]
    f += [int(s["nearest"]), s["drawn_on"], 0, 0, 0, 0, 0, s["mask"] or "-", len(s["channels"])]
    for path, offsets, *rest in s["channels"]:
        o = rest[0] if rest else {}
        f += [path or "-", len(offsets)] + list(offsets) + [COMPONENT.index(o.get("component", "luma"))]
        if "percentile" in o:
            f += [1, num(o["percentile"][0]), num(o["percentile"][1]), 1, OVER.index(o["percentile"][2])]
        else:
            f += [1] + [num(v) for v in o["window"]] + [0, 0] if "window" in o else [0] * 5
        f += [1, OVER.index(o["zscore"])] if "zscore" in o else [0, 0]
        for name in ("padding", "nonfinite"):
            f += [1, num(o[name])] if name in o else [0, 0]
    return "\t".join(str(x) for x in f)


def base(path, **change):
    s = {"orientation": "LPS", "slices": "lesion", "edge": "replicate", "from": "auto", "shape": "square", "margin_mm": 0,
         "margin_px": 0, "size_mm": 0, "window": None, "method": "bilinear", "height": 32, "width": 32, "antialias": False,
         "norm": None, "box": None, "point": None, "mask": None, "tolerance": None, "nearest": False, "drawn_on": 0, "channels": [(os.path.join(data, path), [0])]}
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
# sequences of one patient on other grids: CT, PET and MR; both ways; masks, boxes and points drawn on one or the other
full = lambda p: os.path.join(data, p)
for n in ("002", "008", "019", "025"):
    part = {k: f"body/mcgill-sts/STS_{n}_{k}_" for k in ("CT", "PET", "MR_T1")}
    for a, b in (("CT", "PET"), ("PET", "CT"), ("MR_T1", "CT"), ("CT", "MR_T1"), ("PET", "MR_T1")):
        im = [full(part[k] + "image.nii.gz") for k in (a, b)]
        for near in (False, True):
            for edge in EDGE:
                jobs.append(base(part[a] + "image.nii.gz", mask=part[a] + "mask.nii.gz", slices="lesion-all", margin_mm=9, edge=edge, tolerance=400,
                                 nearest=near, channels=[(im[0], [0]), (im[1], [-1, 0, 3], {"window": (-300, 700)})]))
        jobs.append(base(part[a] + "image.nii.gz", mask=part[b] + "mask.nii.gz", drawn_on=1, slices="lesion-all", tolerance=400,
                         channels=[(im[0], [0]), (im[1], [0], {"percentile": (2, 98.5, "region"), "zscore": "region"})]))
        jobs.append(base(part[a] + "image.nii.gz", box=[5, 7, 3, 20, 21, 9], drawn_on=1, tolerance=500, channels=[(im[0], [0]), (im[1], [0])]))
        jobs.append(base(part[a] + "image.nii.gz", point=[20.2, 17.9, 6.1], size_mm=33.3, drawn_on=1, tolerance=500,
                         channels=[(im[0], [0]), (im[1], [0])]))
        jobs.append(base(part[a] + "image.nii.gz", mask=part[a] + "mask.nii.gz", slices="lesion-all",
                         channels=[(im[0], [0]), (im[1], [0])]))  # default tolerance
# an oblique image against an axial one
for near in (False, True):
    jobs.append(base("quirks/nibabel/anatomical.nii", **{"from": "whole"}, tolerance=1000, nearest=near, slices="all", height=9, width=9, edge="zero",
                     channels=[(full("quirks/nibabel/anatomical.nii"), [0]), (full("quirks/nibabel/functional.nii"), [0])]))
# intensities: padding, percentiles, z-scores over everything, NaN; colours; a missing sequence
LIVER = "body/mskcc-crlm/CRLM-CT-1004_ct.nii.gz"
for o in ({"window": (-160, 240), "padding": -3024}, {"percentile": (0.5, 99.5, "volume"), "padding": -3024},
          {"percentile": (0, 100, "region")}, {"percentile": (10, 33.3, "nonzero"), "zscore": "nonzero"},
          {"window": (-160, 240), "zscore": "region", "padding": -3024}, {"zscore": "volume"}, {"zscore": "nonzero", "padding": -1000}):
    for edge in EDGE:
        jobs.append(base(LIVER, box=[100, 80, 20, 190, 170, 24], slices="lesion-all", margin_px=8, edge=edge,
                         channels=[(full(LIVER), [-1, 0, 30], o)]))
for o in ({"percentile": (1, 99, "volume")}, {"percentile": (1, 99, "nonzero"), "zscore": "volume"}, {"zscore": "region"}):
    jobs.append(base(T1, mask=MASK, slices="lesion-all", margin_px=2, channels=[(full(T1), [0, 1], o)]))
jobs.append(base(RGB, **{"from": "whole"}, channels=[(full(RGB), [0], {"component": c}) for c in "rgb"],
                 norm=([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])))
jobs.append(base(T1, mask=MASK, channels=[(full(T1), [0], {"component": c}) for c in "rgb"]))
jobs.append(base(T1, mask=MASK, channels=[(full(T1), [0], {"zscore": "volume"}), (None, [-1, 0])], norm=([0.5], [2.0])))
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
            want, slices, stored, axis, box, mismatch = prepare(s)
        except Excluded as e:
            excluded[str(e)] = excluded.get(str(e), 0) + 1
            if answer.split("|")[0] != str(e):
                failures.append(f"{what}: expected {e}, got {answer[:300]}")
            continue
        if not answer.startswith("ok "):
            failures.append(f"{what}: {answer[:300]}")
            continue
        words = answer.split()[1:]
        n = int(words[0])
        v, mm = [int(x) for x in words[:-n]], [float(x) for x in words[-n:]]
        if v[:4] != list(want.shape) or v[4] != axis or v[5:9] != box or v[9:9 + n] != slices or v[9 + n:] != stored:
            failures.append(f"{what}: {v[:20]} against {want.shape} {axis} {box} {slices[:5]} {stored[:5]}")
            continue
        if np.abs(np.array(mm) - mismatch).max() > 1e-6:
            failures.append(f"{what}: mismatch {mm[:5]} against {mismatch[:5]}")
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
