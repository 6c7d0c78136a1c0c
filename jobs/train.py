#!/usr/bin/env python3
"""Trains the small networks of the jobs in this folder on phantom patients and writes them as ONNX.

    python3 jobs/train.py RADCOHORT JOB [MODEL ...]      # JOB: demo, renal-ct, liver-mri, spine-mri, renal-us, spine-ct, or all

RADCOHORT is the built program: it makes the training cohorts, of another seed than the jobs' own. The two jobs of cross-validation start
from weights trained on such a cohort (as a study starts from ImageNet) and are then trained once for every fold on the patients of the other
nine folds of the job's own cohort (JOB/cohort, made when it is not there): a patient is scored by the one network that has not seen him.

Needs numpy, nibabel, torch, torchvision, onnx, yaml (Debian: python3-nibabel python3-torch python3-torchvision python3-onnx python3-yaml).
Seeded: the same machine and versions give the same weights. The inputs are those that the job file declares, prepared by prepare.py, so that
the jobs' scores also check those rules.

The networks are stand-ins: the layers of the published families in small, so that the jobs show how such networks run. What they know is how
strongly a phantom's lesion shows its texture and rim, nothing of medicine.
"""
import copy, csv, os, subprocess, sys, tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from prepare import Job, Missing

HERE = os.path.dirname(os.path.abspath(__file__))


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


def resnet(planes, classes, w=(24, 64, 128), k=7):
    return nn.Sequential(Unit(planes, w[0], k, 2), nn.MaxPool2d(3, 2, 1), Bottleneck(w[0], w[1], 1), Bottleneck(w[1], w[1], 1),
                         Bottleneck(w[1], w[2], 2), Bottleneck(w[2], w[2], 1), Head(w[2], classes))


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


def inception(planes, classes, w=(16, 24, 14, 40, 18)):
    return nn.Sequential(Unit(planes, w[0], 3, 2), Unit(w[0], w[1], 3), InceptionBlock(w[1], w[2]), Reduction(4 * w[2], w[3]),
                         InceptionBlock(4 * w[2] + w[3], w[4]), Head(4 * w[4], classes))


class ScaledResidual(nn.Module):
    def __init__(self, i, w, scale):
        super().__init__()
        self.a, self.b = Unit(i, w, 1), nn.Sequential(Unit(i, w, 1), Unit(w, w, (1, 3)), Unit(w, w, (3, 1)))
        self.up, self.scale = nn.Conv2d(2 * w, i, 1), scale

    def forward(self, x):
        return F.relu(x + self.scale * self.up(torch.cat([self.a(x), self.b(x)], 1)))


def inception_resnet(planes, classes, w=(16, 32, 16, 48, 24)):
    i = w[1] + w[3]
    return nn.Sequential(Unit(planes, w[0], 3, 2), Unit(w[0], w[1], 3), ScaledResidual(w[1], w[2], 0.17), ScaledResidual(w[1], w[2], 0.17),
                         Reduction(w[1], w[3]), ScaledResidual(i, w[4], 0.10), ScaledResidual(i, w[4], 0.10), Head(i, classes))


class RepBlock(nn.Module):
    """The training form: 3x3, 1x1 and identity branches, each with its batch norm."""
    def __init__(self, i, o, stride):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o))
        self.b = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.c = nn.BatchNorm2d(i) if i == o and stride == 1 else None

    def forward(self, x):
        y = self.a(x) + self.b(x)
        return F.relu(y + self.c(x) if self.c is not None else y)

    def deployed(self):
        """One 3x3 convolution with the same output."""
        def fused(kernel, norm):
            scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            return kernel.double() * scale[:, None, None, None], norm.bias.double() - norm.running_mean.double() * scale
        parts = [fused(self.a[0].weight, self.a[1]), fused(F.pad(self.b[0].weight, [1, 1, 1, 1]), self.b[1])]
        if self.c is not None:
            n = self.c.num_features
            parts.append(fused(F.pad(torch.eye(n)[:, :, None, None], [1, 1, 1, 1]), self.c))
        out = nn.Conv2d(self.a[0].in_channels, self.a[0].out_channels, 3, self.a[0].stride, 1)
        out.weight.data = sum(p[0] for p in parts).float()
        out.bias.data = sum(p[1] for p in parts).float()
        return nn.Sequential(out, nn.ReLU())


def repvgg(planes, classes, w=(24, 48, 80)):
    return nn.Sequential(RepBlock(planes, w[0], 2), RepBlock(w[0], w[0], 1), RepBlock(w[0], w[1], 2), RepBlock(w[1], w[1], 1),
                         RepBlock(w[1], w[2], 2), Head(w[2], classes))


def deploy(net):
    return nn.Sequential(*[m.deployed() if isinstance(m, RepBlock) else m for m in net]).eval()


# ------------------------------------------------------------------ jobs
SMALL_INCEPTION, SMALL_RESIDUAL, SMALL_RESNET, SMALL_REPVGG = (10, 14, 8, 22, 10), (10, 18, 8, 26, 12), (16, 32, 64), (14, 24, 44)
JOBS = {  # design, scale of the training cohort, and per model the network; slices all: more slices to learn from than are scored
    'demo': {'design': 'demo', 'scale': 4, 'centers': {'north', 'south'},
             'models': {'resnet': resnet, 'inception': inception, 'inception-resnet': inception_resnet, 'repvgg': repvgg}},
    'renal-ct': {'design': 'renal', 'scale': 4, 'network': lambda p, c: inception(p, c, SMALL_INCEPTION)},
    'liver-mri': {'design': 'liver', 'scale': 0.35, 'centers': {'first'}, 'network': lambda p, c: inception_resnet(p, c, SMALL_RESIDUAL)},
    'spine-mri': {'design': 'spine-mri', 'scale': 4, 'slices': 'lesion-all', 'network': lambda p, c: resnet(p, c, SMALL_RESNET, 3)},
    'renal-us': {'design': 'ultrasound', 'scale': 4, 'network': lambda p, c: repvgg(p, c, SMALL_REPVGG)},
    'spine-ct': {'design': 'spine-ct', 'scale': 2, 'network': lambda p, c: resnet(p, c, SMALL_RESNET, 3)},
}


class Samples:
    """Prepared slices of one input over a cohort."""
    def __init__(self, job, name, slices=None, centers=None):
        if slices:
            job.inputs[name]['slices'] = slices
        x, y, fold = [], [], []
        for case in job.cases():
            if centers and case['center'] not in centers:
                continue
            try:
                s, _ = job.prepare(name, case)
            except Missing:
                continue
            x.append(s)
            y += [job.classes.index(case['label'])] * len(s)
            fold += [int(case['fold']) if case['fold'] else -1] * len(s)
        self.x, self.y, self.fold = torch.cat(x), torch.tensor(y), torch.tensor(fold)

    def part(self, keep):
        out = copy.copy(self)
        out.x, out.y, out.fold = self.x[keep], self.y[keep], self.fold[keep]
        return out


def train(what, net, data, epochs, rate=4e-3, batch=64):
    """Classes count the same whatever their number; flips and shifts by a pixel make more of few lesions."""
    opt = torch.optim.AdamW(net.parameters(), rate / 2, weight_decay=1e-3)
    x, y, classes = data.x, data.y, int(data.y.max()) + 1
    batch = min(batch, len(x))
    steps = epochs * (len(x) // batch)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, rate, steps + 1)
    gen = torch.Generator().manual_seed(11)
    weight = len(y) / (classes * torch.bincount(y, minlength=classes).clamp(min=1).float())
    net.train()
    for epoch in range(epochs):
        order, total = torch.randperm(len(x), generator=gen), 0.0
        for k in range(0, len(x) - batch + 1, batch):
            i = order[k:k + batch]
            xb = x[i]
            turn = torch.randint(0, 36, (1,), generator=gen).item()
            xb = xb.flip(3) if turn & 1 else xb
            xb = xb.flip(2) if turn & 2 else xb
            xb = xb.roll((turn // 4 % 3 - 1, turn // 12 - 1), (2, 3))
            loss = F.cross_entropy(net(xb), y[i], weight=weight, label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += float(loss)
    print(f'{what}: {len(x)} slices, {epochs} epochs, loss {total / (len(x) // batch):.4f}', flush=True)
    return net.eval()


def export(net, planes, size, path):
    """Dynamic batch; batch norms as trained (not folded by the exporter) so that radcohort's own folding is at work."""
    torch.onnx.export(net, torch.zeros(1, planes, *size), path, input_names=['input'], output_names=['logits'], opset_version=13,
                      dynamic_axes={'input': {0: 'N'}, 'logits': {0: 'N'}}, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    print(f'{path}: {sum(p.numel() for p in net.parameters())} parameters, {os.path.getsize(path)} bytes', flush=True)


def phantom(program, design, scale, seed, folder):
    subprocess.run([program, 'phantom', '-o', folder, '--design', design, '--seed', str(seed), '--scale', str(scale)], check=True)


def train_folds(program, name, plan, job, model, pretrained, size, planes, out):
    """One network per fold, from the same start; and the list of who was seen by which."""
    own = os.path.join(HERE, name, 'cohort')
    if not os.path.exists(os.path.join(own, 'patients.tsv')):
        phantom(program, plan['design'], 1, 1, own)
    at_home = Job(job, own)
    data = Samples(at_home, model['input'], plan.get('slices'))
    for fold in range(model['folds']):
        torch.manual_seed(100 + fold)
        net = train(f'{name} fold {fold}', copy.deepcopy(pretrained), data.part(data.fold != fold), 6, 1e-3)
        export(net, planes, size, out.format(fold=fold))
    with open(os.path.join(HERE, name, 'trained_on.tsv'), 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, delimiter='\t', lineterminator='\n')
        w.writerow(['patient', 'fold'])
        for fold in range(model['folds']):
            w.writerows([p['patient'], fold] for p in at_home.patients.values() if int(p['fold']) != fold)


def train_job(program, name, only):
    plan, path = JOBS[name], os.path.join(HERE, name + '.yaml')
    with tempfile.TemporaryDirectory() as tmp:
        folder = os.path.join(tmp, 'cohort')
        phantom(program, plan['design'], plan['scale'], 1000, folder)
        data, nets = {}, {}
        for model in Job(path, folder).spec['models']:
            label, job = model['name'], Job(path, folder)
            key = model.get('input') or next(iter(job.inputs))
            if only and label not in only:
                continue
            if key not in data:
                data[key] = Samples(job, key, plan.get('slices'), plan.get('centers'))
            x, out = data[key].x, os.path.join(HERE, model['file'])
            os.makedirs(os.path.dirname(out), exist_ok=True)
            if label.endswith('-deployed'):
                export(deploy(nets[label[:-len('-deployed')]]), x.shape[1], x.shape[2:], out)
                continue
            torch.manual_seed(7)
            make = plan.get('models', {}).get(label) or plan['network']
            net = nets[label] = train(f'{name} {label}', make(x.shape[1], len(job.classes)), data[key], 14)
            if 'folds' in model:
                train_folds(program, name, plan, path, dict(model, input=key), net, x.shape[2:], x.shape[1], out)
            else:
                export(net, x.shape[1], x.shape[2:], out)


def main():
    program, name, only = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:]
    torch.set_num_threads(1)  # more give other sums
    for job in JOBS if name == 'all' else [name]:
        train_job(program, job, only)


if __name__ == '__main__':
    main()
