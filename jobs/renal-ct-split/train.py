#!/usr/bin/env python3
"""Trains the networks of this job: one on the training part of the image sets, one per fold on everything of the patients of the other folds.

    python3 jobs/renal-ct-split/train.py RADCOHORT

Every image set in 32 variants, as the study's counts say: the eight turns and mirrorings, each at four shifts. Needs what jobs/train.py needs.
"""
import csv, os, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
import numpy as np
import torch
import torch.nn.functional as F
import cohort
from prepare import Job
from train import SMALL_INCEPTION, export, inception

EPOCHS, BATCH, RATE = 6, 64, 4e-3


def variant(x, v):
    if v & 1:
        x = x.flip(3)
    if v & 2:
        x = x.flip(2)
    if v & 4:
        x = x.transpose(2, 3)
    return x.roll((v >> 3 & 1, v >> 4 & 1), (2, 3))


def fit(what, x, y):
    torch.manual_seed(7)
    net = inception(x.shape[1], 2, SMALL_INCEPTION)
    opt = torch.optim.AdamW(net.parameters(), RATE / 2, weight_decay=1e-3)
    n = len(x) * cohort.VARIANTS
    steps = EPOCHS * (n // BATCH)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, RATE, steps + 1)
    gen = torch.Generator().manual_seed(11)
    weight = len(y) / (2 * torch.bincount(y).float())
    net.train()
    for _ in range(EPOCHS):
        total = 0.0
        # batches of one variant each, in random order: every variant of every image set once per epoch
        batches = [(v, i) for v in range(cohort.VARIANTS) for i in torch.randperm(len(x), generator=gen).split(BATCH) if len(i) == BATCH]
        for k in torch.randperm(len(batches), generator=gen).tolist():
            v, i = batches[k]
            loss = F.cross_entropy(net(variant(x[i], v)), y[i], weight=weight)
            opt.zero_grad()
            loss.backward()
            opt.step()
            if sched.last_epoch < steps:
                sched.step()
            total += float(loss)
    print(f'{what}: {len(x)} image sets, {n} images, {EPOCHS} epochs, loss {total / len(batches):.4f}', flush=True)
    return net.eval()


def main():
    torch.set_num_threads(1)  # more give other sums
    with tempfile.TemporaryDirectory() as tmp:
        sys.argv = ['cohort.py', sys.argv[1], tmp]
        cohort.main()
        job = Job(os.path.join(os.path.dirname(HERE), 'renal-ct-split.yaml'), tmp)
        sets = cohort.image_sets(os.path.join(tmp, 'study'))
        test = cohort.test_part(sets)
        fold = {p['patient']: int(p['fold']) for p in cohort.rows(os.path.join(tmp, 'study'), 'patients')}
        x, y, which = [], [], sorted(sets)
        for patient, mass, phase, k in which:
            row, path = sets[patient, mass, phase, k]
            job.patients[patient] = {'patient': patient}
            job.images[patient] = [{'patient': patient, 'sequence': 'CT', 'path': f'study/{path}'}]
            s, slices = job.prepare('set', {'patient': patient, 'lesion': mass, 'box': row['box'], 'slices': str(k)})
            x.append(s)
            y.append(job.classes.index(row['label']))
        x, y = torch.cat(x), torch.tensor(y)
    out = os.path.join(HERE, 'models')
    os.makedirs(out, exist_ok=True)
    training = torch.tensor([s not in test for s in which])
    export(fit('by image', x[training], y[training]), 3, x.shape[2:], os.path.join(out, 'image.onnx'))
    for k in range(5):
        keep = torch.tensor([fold[s[0]] != k for s in which])
        export(fit(f'fold {k}', x[keep], y[keep]), 3, x.shape[2:], os.path.join(out, f'fold{k}.onnx'))
    for name, columns, rows in (('image', ['patient'], [[p] for p in sorted({s[0] for s in which if s not in test})]),
                                ('patient', ['patient', 'fold'], [[p, k] for k in range(5) for p in sorted(fold) if fold[p] != k])):
        with open(os.path.join(HERE, f'trained_on_{name}.tsv'), 'w', newline='', encoding='utf-8') as f:
            csv.writer(f, delimiter='\t', lineterminator='\n').writerows([columns, *rows])


if __name__ == '__main__':
    main()
