"""What radcohort feeds a network, in Python: the inputs of a job file, prepared from a cohort folder with numpy, nibabel and PyTorch.

For training with exactly the pixels that `radcohort run` will score, and as a second implementation to compare its scores with. Written
from src/prepare/README.md; the keys that the jobs of this folder use, an error for any other.

    job = Job('jobs/spine-ct.yaml', cohort='cohort')
    for case in job.cases():
        x, slices = job.prepare('stack', case)      # float32 [slices, planes, rows, columns]; indices after reorientation
"""
import csv, math, os

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torchvision.io import read_image

PRESETS = {'imagenet': ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}


class Missing(Exception):
    """The case has no image for a channel."""


def rows(folder, name):
    path = os.path.join(folder, name + '.tsv')
    if not os.path.exists(path):
        return []
    with open(path, newline='', encoding='utf-8') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def nearest(p):
    return np.ceil(np.asarray(p) - 0.5 - 1e-6).astype(int)


def transform(m, p):
    return p @ m[:3, :3].T + m[:3, 3]


def ranges(text):
    """'1,4-6' -> [1, 4, 5, 6]"""
    out = []
    for part in text.split(','):
        low, _, high = part.strip().partition('-')
        out += range(int(low), int(high or low) + 1)
    return sorted(out)


class Grid:
    """One image along the three letters of the orientation."""

    def __init__(self, path, letters, component='luma', frames=False):
        if path.lower().endswith('.png'):
            a, affine = read_image(path).numpy().transpose(2, 1, 0)[:, :, None], np.diag([-1.0, -1, 1, 1])  # [x, y, 1, colour]
            colour = a if a.shape[3] == 3 else None
            a = a[..., 0]
        else:
            img = nib.load(path)
            a, affine = np.asanyarray(img.dataobj), img.affine
            colour = np.stack([a[c] for c in 'RGB'], -1) if a.dtype.fields else None
        if colour is not None:
            a = colour.astype(np.float64) @ [0.299, 0.587, 0.114] if component == 'luma' else colour[..., 'rgb'.index(component)]
        a = np.asarray(a, np.float64).astype(np.float32)
        a = a.reshape(a.shape + (1,) * (3 - a.ndim))
        if a.ndim > 3:
            a = a[:, :, 0, :] if frames and a.shape[2] == 1 else a[..., 0]
        turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt(letters))
        self.stored_shape, self.v = a.shape, nib.orientations.apply_orientation(a, turn)
        self.affine = affine @ nib.orientations.inv_ornt_aff(turn, a.shape)
        self.axis = [int(np.flatnonzero(turn[:, 0] == t)[0]) for t in range(3)]
        self.flip = [turn[a, 1] < 0 for a in self.axis]
        self.spacing = np.linalg.norm(self.affine[:3, :3], axis=0)

    def turned(self, stored):
        """A range of stored indices per stored axis -> per reoriented axis."""
        out = []
        for axis, flip, n in zip(self.axis, self.flip, self.v.shape):
            low, high = stored[axis]
            out.append((n - high, n - low) if flip else (low, high))
        return out

    def same(self, other):
        if self.v.shape != other.v.shape:
            return False
        corner = np.array([[(n - 1) * (c >> k & 1) for k, n in enumerate(self.v.shape)] + [1] for c in range(8)])
        return np.linalg.norm((corner @ (self.affine - other.affine).T)[:, :3], axis=1).max() <= 0.1 * other.spacing.min()


def toned(v, spec):
    """Padding, window and z-score over the volume; and what black is after them."""
    window, keep = spec.get('window'), np.isfinite(v)
    padding = spec.get('padding')
    pad = v == np.float32(padding) if padding is not None else np.zeros(v.shape, bool)
    raw = v.astype(np.float64)
    if not keep.all():
        raise ValueError('NaN or Inf: not supported here')
    out, mean, sd = raw, 0.0, 1.0
    if window:
        over = window.get('over', 'volume')
        low, high = window.get('low'), window.get('high')
        if 'level' in window:
            low, high = window['level'] - window['width'] / 2, window['level'] + window['width'] / 2
        if 'percentile' in window:
            if over not in ('volume', 'nonzero'):
                raise ValueError(f'window over {over}: not supported here')
            low, high = np.percentile(raw[~pad & (raw != 0) if over == 'nonzero' else ~pad], window['percentile'])
        out = np.clip((raw - low) / (high - low), 0, 1) if high > low else raw * 0
    if 'zscore' in spec:
        if spec['zscore'] not in ('volume', 'nonzero'):
            raise ValueError(f"zscore {spec['zscore']}: not supported here")
        of = out[~pad & (raw != 0) if spec['zscore'] == 'nonzero' else ~pad]
        mean, sd = of.mean(), of.std() or 1.0
    return (np.where(pad, 0, out) - mean) / sd


class Job:
    def __init__(self, path, cohort=None):
        with open(path, encoding='utf-8') as f:
            self.spec = yaml.safe_load(f)
        self.folder = os.path.dirname(os.path.abspath(path))
        self.cohort = cohort or os.path.join(self.folder, self.spec['cohort'])
        self.patients = {r['patient']: r for r in rows(self.cohort, 'patients')}
        self.images = {}
        for r in rows(self.cohort, 'images'):
            self.images.setdefault(r['patient'], []).append(r)
        self.classes = self.spec['classes']
        self.inputs = self.spec['inputs']

    def cases(self):
        """Rows of lesions.tsv, with label, center and fold."""
        out = []
        for r in rows(self.cohort, 'lesions'):
            patient = self.patients[r['patient']]
            out.append(dict(r, center=patient['center'], fold=patient.get('fold', ''), age=patient.get('age'), set=patient.get('set')))
        return out

    def path(self, case, sequence):
        """The image of the sequence; None when there is none. One that names the lesion wins."""
        found = [r for r in self.images[case['patient']] if r['sequence'] == sequence]
        own = [r for r in found if r.get('lesion') == case['lesion']]
        found = own or [r for r in found if not r.get('lesion')]
        return os.path.join(self.cohort, found[0]['path']) if len(found) == 1 else None

    def prepare(self, name, case):
        spec = self.inputs[name]
        letters, edge = spec.get('orientation', 'LPS'), spec.get('edge', 'replicate')
        region, frames = spec.get('region', {}), spec.get('frames') == 'slices'
        if set(spec) - {'channels', 'orientation', 'slices', 'edge', 'region', 'crop', 'frames', 'match', 'window', 'zscore', 'padding', 'resize',
                        'normalise'}:
            raise ValueError(f'{name}: a key that is not supported here')
        entries, ref = [], None
        for entry in spec['channels']:
            path = self.path(case, entry['sequence'])
            if path is None and entry.get('missing') != 'zero':
                raise Missing(entry['sequence'])
            grid = Grid(path, letters, entry.get('component', 'luma'), frames) if path else None
            ref = ref or grid
            offsets = entry.get('offset', 0)
            tone = {k: entry.get(k, spec.get(k)) for k in ('window', 'zscore', 'padding') if entry.get(k, spec.get(k)) is not None}
            entries.append((grid, offsets if isinstance(offsets, list) else [offsets], tone))
        slices, (x0, y0, x1, y1) = self.where(spec, region, ref, case)
        crop = spec.get('crop', {})
        left, top = crop.get('left', 0), crop.get('top', 0)
        right, bottom = ref.v.shape[0] - crop.get('right', 0), ref.v.shape[1] - crop.get('bottom', 0)
        planes = []
        for grid, offsets, tone in entries:
            v = None if grid is None else toned(grid.v[left:right, top:bottom] if crop else grid.v, tone)
            for offset in offsets:
                planes.append([self.plane(v, grid, ref, spec, k + offset, (x0, y0, x1, y1), (left, top, right, bottom), edge) for k in slices])
        x = torch.stack([torch.stack(p) for p in planes], 1)
        normalise = spec.get('normalise')
        if normalise:
            mean, std = PRESETS[normalise['preset']] if 'preset' in normalise else (normalise['mean'], normalise['std'])
            mean, std = (torch.tensor(v, dtype=torch.float64).reshape(-1) for v in (mean, std))
            shape = [1, -1, 1, 1]
            if 'preset' in normalise:
                mean, std = (t.repeat(x.shape[1] // 3) for t in (mean, std))
            x = (x - mean.reshape(shape)) / std.reshape(shape)
        return x.float(), slices

    def where(self, spec, region, ref, case):
        """Slices to score and the region x0 y0 x1 y1, in reoriented voxels of the reference."""
        crop = spec.get('crop', {})
        how = region.get('from', 'auto')
        if case.get('mask') and how in ('auto', 'mask'):
            mask = Grid(os.path.join(self.cohort, case['mask']), spec.get('orientation', 'LPS')).v != 0
            area = mask.sum((0, 1))
            touched, main = [int(k) for k in np.flatnonzero(area)], int(np.argmax(area))
            extent = [(int(i[0]), int(i[-1]) + 1) for i in (np.flatnonzero(mask.any((1, 2))), np.flatnonzero(mask.any((0, 2))))]
        elif case.get('box') and how in ('auto', 'box', 'whole'):
            box = [int(n) for n in case['box'].split()]
            x, y, z = ref.turned([(box[a], box[a + 3]) for a in range(3)])
            touched, main, extent = list(range(*z)), (z[0] + z[1] - 1) // 2, [x, y]
        else:
            raise ValueError(f"{case['patient']}: no region by '{how}' (not supported here)")
        which = spec.get('slices', 'lesion')
        if which == 'listed':
            n = ref.v.shape[2]
            slices = sorted(n - 1 - k if ref.flip[2] else k for k in ranges(case['slices']))
        else:
            slices = {'lesion': [main], 'lesion-all': touched, 'all': list(range(ref.v.shape[2]))}[which]
        low = [crop.get('left', 0), crop.get('top', 0)]
        high = [ref.v.shape[0] - crop.get('right', 0), ref.v.shape[1] - crop.get('bottom', 0)]
        if how == 'whole':
            return slices, (low[0], low[1], high[0], high[1])
        s, margin = ref.spacing, [region.get('margin_mm', 0) / ref.spacing[a] + region.get('margin_px', 0) for a in (0, 1)]
        e = [extent[a][1] - extent[a][0] + 2 * margin[a] for a in (0, 1)]
        if region.get('shape', 'square') == 'rectangle':
            n = [max(1, math.ceil(v - 1e-6)) for v in e]
        elif abs(s[0] - s[1]) <= 0.001 * max(s[0], s[1]):
            n = [math.ceil(max(e) - 1e-6)] * 2
        else:
            side = max(e[0] * s[0], e[1] * s[1])
            n = [math.ceil(side / s[a] - 1e-6) for a in (0, 1)]
        start = []
        for a in (0, 1):
            at, room = math.ceil(sum(extent[a]) / 2 - 0.5 - n[a] / 2), high[a] - low[a]
            start.append(min(max(at - low[a], min(0, room - n[a])), max(0, room - n[a])) + low[a])
        return slices, (start[0], start[1], start[0] + n[0], start[1] + n[1])

    @staticmethod
    def plane(v, grid, ref, spec, k, box, cropped, edge):
        resize = spec.get('resize')
        size = (resize.get('size') or resize['height'], resize.get('size') or resize['width']) if resize else (box[3] - box[1], box[2] - box[0])
        nz = ref.v.shape[2]
        if v is None or (edge == 'zero' and not 0 <= k < nz):
            return torch.zeros(size, dtype=torch.float64)
        if edge == 'zero':
            raise ValueError('edge zero: not supported here')
        k = min(max(k, 0), nz - 1)
        x = np.clip(np.arange(box[0], box[2]), cropped[0], cropped[2] - 1)
        y = np.clip(np.arange(box[1], box[3]), cropped[1], cropped[3] - 1)
        if grid is ref or grid.same(ref):
            patch = v[np.ix_(x - cropped[0], y - cropped[1], [k])][:, :, 0].T
        else:
            patch = resampled(v, np.linalg.inv(grid.affine) @ ref.affine, x, y, k, spec.get('match', {}))
        t = torch.from_numpy(np.ascontiguousarray(patch))
        if not resize:
            return t
        how = {'size': size, 'mode': 'bilinear', 'align_corners': False, 'antialias': resize.get('antialias', False)}
        if resize.get('method', 'bilinear') == 'nearest':
            how = {'size': size, 'mode': 'nearest-exact'}
        return F.interpolate(t[None, None], **how)[0, 0]


def resampled(v, m, x, y, k, match):
    """Trilinear at the positions of the reference's pixels (match: slices: linear); positions outside take the nearest one inside."""
    at = np.stack(np.meshgrid(x, y, [k], indexing='ij'), -1).astype(float).reshape(-1, 3)
    w = transform(m, at)
    if match.get('slices') == 'nearest':
        middle = transform(m, np.array([(x[0] + x[-1]) / 2, (y[0] + y[-1]) / 2, k]))
        w[:, 2] = np.clip(nearest(middle[2]), 0, v.shape[2] - 1)
    w = np.clip(w, 0, np.array(v.shape) - 1)
    low = np.minimum(np.floor(w).astype(int), np.maximum(np.array(v.shape) - 2, 0))
    f, out = w - low, 0
    for c in range(8):
        up = np.array([c >> a & 1 for a in range(3)])
        i = np.minimum(low + up, np.array(v.shape) - 1)
        out = out + np.prod(np.where(up, f, 1 - f), axis=1) * v[i[:, 0], i[:, 1], i[:, 2]]
    return out.reshape(len(x), len(y)).T
