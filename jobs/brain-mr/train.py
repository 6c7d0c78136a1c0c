#!/usr/bin/env python3
"""Trains the 3-D network of jobs/brain-mr.yaml on phantom patients of the two internal centers and writes it as ONNX.

    python3 jobs/brain-mr/train.py RADCOHORT OUTPUT.onnx

RADCOHORT is the built program: it makes the training cohort (another seed than the job's; internal centers only are used). Needs numpy,
scipy, nibabel, torch, onnx (Debian: python3-scipy python3-nibabel python3-torch python3-onnx). Seeded: the same machine and versions give
the same weights. The network is a stand-in: it has the family and form of a 3-D residual network, and has seen nothing but phantoms.

The cube is prepared here in numpy by the rules of src/prepare/README.md (Volume), so that the job's scores also check those rules.
"""
import csv, os, subprocess, sys, tempfile
import nibabel as nib
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import map_coordinates

SIZE, MM, PERCENT, MEAN, STD = (20, 24, 24), 1.5, (1, 99), 0.5, 0.25  # D, H, W
GRADES = ['I', 'II', 'III', 'IV']


# ------------------------------------------------------------------ network
class Unit(nn.Sequential):
    def __init__(self, i, o, k=3, stride=1, act=True):
        super().__init__(nn.Conv3d(i, o, k, stride, k // 2, bias=False), nn.BatchNorm3d(o), *([nn.ReLU()] if act else []))


class Residual(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.a, self.b = Unit(i, o, 3, stride), Unit(o, o, act=False)
        self.s = nn.Identity() if i == o and stride == 1 else Unit(i, o, 1, stride, act=False)

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.s(x))


def network():
    return nn.Sequential(Unit(2, 8, 3), Residual(8, 16, 2), Residual(16, 24, 2), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(24, 4))


# ------------------------------------------------------------------ preparation
def rows(folder, name):
    with open(os.path.join(folder, name), newline='') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def reorient(path):
    """Voxels and affine along left, posterior, superior."""
    img = nib.load(path)
    turn = nib.orientations.ornt_transform(nib.orientations.io_orientation(img.affine), nib.orientations.axcodes2ornt('LPS'))
    v = img.get_fdata().astype(np.float32).astype(float)
    return nib.orientations.apply_orientation(v, turn), img.affine @ nib.orientations.inv_ornt_aff(turn, img.shape)


def cube(folder, lesion, images):
    """[2, D, H, W]: FLAIR and T1 around the lesion's middle, which is drawn in FLAIR."""
    flair, affine = reorient(os.path.join(folder, images['FLAIR']))
    stored = nib.load(os.path.join(folder, images['FLAIR']))
    if lesion['mask']:
        at = np.argwhere(nib.load(os.path.join(folder, lesion['mask'])).get_fdata() != 0)
        middle = (at.min(0) + at.max(0)) / 2
    else:
        b = np.array([int(x) for x in lesion['box'].split()])
        middle = (b[:3] + b[3:] - 1) / 2
    centre = (np.linalg.inv(affine) @ stored.affine @ np.append(middle, 1))[:3]
    step = MM / np.linalg.norm(affine[:3, :3], axis=0)
    axes = [centre[a] + (np.arange(SIZE[2 - a]) - (SIZE[2 - a] - 1) / 2) * step[a] for a in range(3)]
    grid = np.stack([*np.meshgrid(*axes, indexing='ij'), np.ones(SIZE[::-1])])
    out = []
    for sequence in ('FLAIR', 'T1'):
        if sequence not in images:
            out.append(np.zeros(SIZE))
            continue
        v, own = (flair, affine) if sequence == 'FLAIR' else reorient(os.path.join(folder, images[sequence]))
        low, high = np.percentile(v, PERCENT)
        w = np.einsum('ij,jxyz->ixyz', np.linalg.inv(own) @ affine, grid)[:3]
        out.append(map_coordinates(np.clip((v - low) / (high - low), 0, 1), w, order=1, mode='nearest').transpose(2, 1, 0))
    return torch.from_numpy(((np.stack(out) - MEAN) / STD).astype(np.float32))


def load(folder, centers):
    center = {p['patient']: p['center'] for p in rows(folder, 'patients.tsv')}
    images = {}
    for i in rows(folder, 'images.tsv'):
        images.setdefault(i['patient'], {})[i['sequence']] = i['path']
    kept = [le for le in rows(folder, 'lesions.tsv') if center[le['patient']] in centers]
    return torch.stack([cube(folder, le, images[le['patient']]) for le in kept]), torch.tensor([GRADES.index(le['label']) for le in kept])


# ------------------------------------------------------------------ training
def train(x, y, epochs=30, batch=16):
    torch.manual_seed(3)
    net = network()
    opt = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, epochs * (len(x) // batch) + 1)
    gen = torch.Generator().manual_seed(5)
    for epoch in range(epochs):
        order, total = torch.randperm(len(x), generator=gen), 0.0
        for k in range(0, len(x) - batch + 1, batch):
            i = order[k:k + batch]
            xb = x[i]
            for axis in (2, 3, 4):
                if torch.rand(1, generator=gen) < 0.5:
                    xb = xb.flip(axis)
            if torch.rand(1, generator=gen) < 0.1:  # as for a patient without T1
                xb = torch.cat([xb[:, :1], torch.full_like(xb[:, 1:], (0 - MEAN) / STD)], 1)
            loss = F.cross_entropy(net(xb), y[i], label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += float(loss)
        print(f'epoch {epoch + 1}/{epochs} loss {total / (len(x) // batch):.4f}', flush=True)
    return net.eval()


def main():
    program, out = sys.argv[1:]
    with tempfile.TemporaryDirectory() as tmp:
        folder = os.path.join(tmp, 'cohort')
        subprocess.run([program, 'phantom', '-o', folder, '--design', 'brain', '--seed', '1000', '--scale', '6'], check=True)
        x, y = load(folder, {'neuro', 'city'})
    print(f'{len(x)} training cubes, grades {torch.bincount(y).tolist()}')
    net = train(x, y)
    # dynamic batch; batch norms as trained, so that radcohort's own folding is at work
    torch.onnx.export(net, torch.zeros(1, 2, *SIZE), out, input_names=['input'], output_names=['logits'], opset_version=13,
                      dynamic_axes={'input': {0: 'N'}, 'logits': {0: 'N'}}, training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False)
    print(f'{sum(p.numel() for p in net.parameters())} parameters, {os.path.getsize(out)} bytes')


if __name__ == '__main__':
    main()
