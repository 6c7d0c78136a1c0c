"""Volumes (inputs with `volume`) a second time, written from src/prepare/README.md with nibabel, numpy and scipy."""
import os

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates


class Excluded(Exception):
    pass


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
        norm = spec.get("normalise", {"mean": 0, "std": 1})
        mean, std = (norm[s][k] if isinstance(norm[s], list) else norm[s] for s in ("mean", "std"))
        if ch["sequence"] not in images:  # missing: zero
            planes.append(np.full(size, (0 - mean) / std))
            continue
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
        planes.append(((take(toned, w, lo, hi, edge, black, near) - mean) / std).transpose(2, 1, 0))
    z = int(np.clip(nearest(c[2]), 0, ref.shape[2] - 1))
    box = [int(np.ceil(c[a] + s * n[a] * step[a] / 2 - 1e-6)) for s in (-1, 1) for a in (0, 1)]
    return np.stack(planes).astype(np.float32), [z, ref.shape[2] - 1 - z if flip[2] else z, *box], worst_mm
