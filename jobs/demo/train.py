#!/usr/bin/env python3
"""Trains the demo's four networks on phantom patients of the two internal centers and writes them as ONNX.

    python3 jobs/demo/train.py RADCOHORT OUTPUT_DIR [NAME ...]

RADCOHORT is the built program: it makes the training cohort (another seed than the demo's, internal centers only are used). Needs
numpy, nibabel, torch, onnx (Debian: python3-nibabel python3-torch python3-onnx). Seeded: the same machine and versions give the same
weights. One small network for each architecture family of the published designs: residual bottlenecks (ResNet), factorised
convolutions with concatenation and pooled branches (Inception), scaled residual Inception blocks (Inception-ResNet), and the
three-branch training form of RepVGG, which radcohort merges at load.

The input is prepared here in plain numpy/torch by the rules of src/prepare/README.md, so that the demo's scores also check those rules.
"""
import csv, os, subprocess, sys, tempfile
import nibabel as nib
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE, MARGIN_MM, LOW, HIGH, MEAN, STD = 48, 4.0, 0.0, 800.0, 0.5, 0.25


# ------------------------------------------------------------------ networks
class Unit(nn.Sequential):
    """Convolution, batch norm, ReLU."""
    def __init__(self, i, o, k, stride=1, groups=1):
        k = (k, k) if isinstance(k, int) else k
        super().__init__(nn.Conv2d(i, o, k, stride, (k[0] // 2, k[1] // 2), groups=groups, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class Head(nn.Sequential):
    def __init__(self, i, classes=2):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, classes))


class Bottleneck(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        m = o // 4
        self.a, self.b = Unit(i, m, 1), Unit(m, m, 3, stride)
        self.c = nn.Sequential(nn.Conv2d(m, o, 1, bias=False), nn.BatchNorm2d(o))
        self.s = nn.Identity() if i == o and stride == 1 else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.c(self.b(self.a(x))) + self.s(x))


def resnet():
    return nn.Sequential(Unit(3, 24, 7, 2), nn.MaxPool2d(3, 2, 1), Bottleneck(24, 64, 1), Bottleneck(64, 64, 1), Bottleneck(64, 128, 2),
                         Bottleneck(128, 128, 1), Head(128))


class InceptionBlock(nn.Module):
    def __init__(self, i, w):
        super().__init__()
        self.a = Unit(i, w, 1)
        self.b = nn.Sequential(Unit(i, w, 1), Unit(w, w, (1, 7)), Unit(w, w, (7, 1)))
        self.c = nn.Sequential(Unit(i, w, 1), Unit(w, w, 3), Unit(w, w, 3))
        self.d = nn.Sequential(nn.AvgPool2d(3, 1, 1), Unit(i, w, 1))

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x), self.c(x), self.d(x)], 1)


class Reduction(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.a, self.b = Unit(i, o, 3, 2), nn.MaxPool2d(3, 2, 1)

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x)], 1)


def inception():
    return nn.Sequential(Unit(3, 16, 3, 2), Unit(16, 24, 3), InceptionBlock(24, 14), Reduction(56, 40), InceptionBlock(96, 18), Head(72))


class ScaledResidual(nn.Module):
    def __init__(self, i, w, scale):
        super().__init__()
        self.a, self.b = Unit(i, w, 1), nn.Sequential(Unit(i, w, 1), Unit(w, w, (1, 3)), Unit(w, w, (3, 1)))
        self.up, self.scale = nn.Conv2d(2 * w, i, 1), scale

    def forward(self, x):
        return F.relu(x + self.scale * self.up(torch.cat([self.a(x), self.b(x)], 1)))


def inception_resnet():
    return nn.Sequential(Unit(3, 16, 3, 2), Unit(16, 32, 3), ScaledResidual(32, 16, 0.17), ScaledResidual(32, 16, 0.17), Reduction(32, 48),
                         ScaledResidual(80, 24, 0.10), ScaledResidual(80, 24, 0.10), Head(80))


class RepBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o))
        self.b = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.c = nn.BatchNorm2d(i) if i == o and stride == 1 else None

    def forward(self, x):
        y = self.a(x) + self.b(x)
        return F.relu(y + self.c(x) if self.c is not None else y)


def repvgg():
    return nn.Sequential(RepBlock(3, 24, 2), RepBlock(24, 24, 1), RepBlock(24, 48, 2), RepBlock(48, 48, 1), RepBlock(48, 80, 2), Head(80))


NETWORKS = {'resnet': resnet, 'inception': inception, 'inception_resnet': inception_resnet, 'repvgg': repvgg}


# ------------------------------------------------------------------ preparation
def rows(folder, name):
    with open(os.path.join(folder, name), newline='') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def square(box, spacing, margin_mm, shape):
    """Smallest square around x0 y0 x1 y1 with a margin, moved inside the slice where it fits: see src/prepare/README.md."""
    side = int(np.ceil(max(box[2] - box[0], box[3] - box[1]) + 2 * margin_mm / spacing - 1e-6))
    start = []
    for lo, hi, n in ((box[0], box[2], shape[0]), (box[1], box[3], shape[1])):
        at = int(np.ceil((lo + hi - 1) / 2 - side / 2))
        start.append(min(max(at, min(0, n - side)), max(0, n - side)))
    return start[0], start[1], start[0] + side, start[1] + side


def stacks(folder, lesion, image):
    """All prepared slices [n, 3, SIZE, SIZE] of one lesion."""
    img = nib.load(os.path.join(folder, image['path']))
    if lesion['mask']:
        mask = nib.load(os.path.join(folder, lesion['mask'])).get_fdata() > 0
    else:
        b = [int(v) for v in lesion['box'].split()]
        mask = np.zeros(img.shape, bool)
        mask[b[0]:b[3], b[1]:b[4], b[2]:b[5]] = True
    to_lps = nib.orientations.ornt_transform(nib.orientations.io_orientation(img.affine), nib.orientations.axcodes2ornt('LPS'))
    vol = nib.orientations.apply_orientation(img.get_fdata(), to_lps)
    mask = nib.orientations.apply_orientation(mask, to_lps)
    spacing = np.abs(nib.affines.voxel_sizes(img.affine))[np.argsort(to_lps[:, 0])][0]
    vol = np.clip((vol - LOW) / (HIGH - LOW), 0, 1)
    out = []
    x, y = np.flatnonzero(mask.any((1, 2))), np.flatnonzero(mask.any((0, 2)))
    x0, y0, x1, y1 = square((x[0], y[0], x[-1] + 1, y[-1] + 1), spacing, MARGIN_MM, vol.shape)
    for z in np.flatnonzero(mask.any((0, 1))):
        xi = np.clip(np.arange(x0, x1), 0, vol.shape[0] - 1)
        yi = np.clip(np.arange(y0, y1), 0, vol.shape[1] - 1)
        zi = np.clip([z - 1, z, z + 1], 0, vol.shape[2] - 1)
        patch = vol[np.ix_(xi, yi, zi)].transpose(2, 1, 0)
        t = F.interpolate(torch.from_numpy(patch)[None], (SIZE, SIZE), mode='bilinear', align_corners=False)[0]
        out.append(((t - MEAN) / STD).float())
    return torch.stack(out)


def load(folder, centers):
    patients = {p['patient']: p for p in rows(folder, 'patients.tsv') if p['center'] in centers}
    images = {i['patient']: i for i in rows(folder, 'images.tsv')}
    x, y = [], []
    for le in rows(folder, 'lesions.tsv'):
        if le['patient'] in patients:
            s = stacks(folder, le, images[le['patient']])
            x.append(s)
            y += [int(le['label'] == 'malignant')] * len(s)
    return torch.cat(x), torch.tensor(y)


# ------------------------------------------------------------------ training
def train(name, x, y, epochs=14, batch=64):
    torch.manual_seed(7)
    net = NETWORKS[name]()
    opt = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    steps = epochs * (len(x) // batch)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, steps + 1)
    gen = torch.Generator().manual_seed(11)
    net.train()
    for epoch in range(epochs):
        order, total = torch.randperm(len(x), generator=gen), 0.0
        for k in range(0, len(x) - batch + 1, batch):
            i = order[k:k + batch]
            xb = x[i]
            if torch.rand(1, generator=gen) < 0.5:
                xb = xb.flip(3)
            if torch.rand(1, generator=gen) < 0.5:
                xb = xb.flip(2)
            loss = F.cross_entropy(net(xb), y[i], label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += float(loss)
        print(f'{name} epoch {epoch + 1}/{epochs} loss {total / (len(x) // batch):.4f}', flush=True)
    return net.eval()


def main():
    program, out, names = sys.argv[1], sys.argv[2], sys.argv[3:] or list(NETWORKS)
    os.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        folder = os.path.join(tmp, 'cohort')
        subprocess.run([program, 'phantom', '-o', folder, '--design', 'demo', '--seed', '1000', '--scale', '4'], check=True)
        x, y = load(folder, {'north', 'south'})
    print(f'{len(x)} training stacks, {int(y.sum())} malignant')
    for name in names:
        net = train(name, x, y)
        # dynamic batch; batch norms as trained (not folded by the exporter) so that radcohort's own folding is at work
        torch.onnx.export(net, torch.zeros(1, 3, SIZE, SIZE), os.path.join(out, name + '.onnx'), input_names=['input'], output_names=['logits'],
                          opset_version=13, dynamic_axes={'input': {0: 'N'}, 'logits': {0: 'N'}},
                          training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
        print(f'{name}: {sum(p.numel() for p in net.parameters())} parameters, {os.path.getsize(os.path.join(out, name + ".onnx"))} bytes')


if __name__ == '__main__':
    main()
