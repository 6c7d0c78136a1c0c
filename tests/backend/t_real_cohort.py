#!/usr/bin/env python3
"""The real volumes of ../shared/data as one cohort: every volume is scored or excluded with a reason, and the scores equal an independent
nibabel + PyTorch implementation of the same job.

    t_real_cohort.py                 the test (needs RADCOHORT, mpirun, nibabel, torch, torchvision; skips without)
    t_real_cohort.py compose DIR     only writes the cohort folder and the job, to try by hand

One patient per subject, one lesion per volume (its mask where the data have one, else the box of the whole volume), centers from the `site`
column: North American sites internal, the others external. Labels are invented (by hash): this is about plumbing, not about medicine.
"""
import csv, hashlib, os, re, shutil, subprocess, sys, tempfile
from collections import Counter

SOURCE = os.environ.get('RAD_SOURCE') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get('RADCOHORT_SHARED') or os.path.join(SOURCE, '..', 'shared')
SIZE, LOW, HIGH, MEAN, STD, MARGIN = 64, -200.0, 1200.0, 0.45, 0.25, 2
CLASSES = [f'c{i}' for i in range(5)]
TOLERANCE = 1e-4


def skip(why):
    print('SKIP: ' + why)
    sys.exit(77)


def mask_of(name, labels):
    for a, b in (('_image.nii.gz', '_mask.nii.gz'), ('example_ct_sm.nii.gz', 'example_seg.nii.gz'),
                 ('sub-ct_label-22_ct.nii.gz', 'sub-ct_seg-vert_label-22_msk.nii.gz'),
                 ('sub-mri_label-6_T2w.nii.gz', 'sub-mri_seg-vert_label-6_msk.nii.gz'), ('t2_t2.nii.gz', 't2_labels.nii.gz')):
        if name.endswith(a) and name[:-len(a)] + b in labels:
            return name[:-len(a)] + b
    return None


def compose(folder):
    """Copies the volumes into a cohort folder with its tables and a job; returns the lesion rows."""
    data = os.path.join(SHARED, 'data')
    with open(os.path.join(data, 'index.tsv'), newline='', encoding='utf-8') as f:
        index = list(csv.DictReader(f, delimiter='\t'))
    labels = {r['file'] for r in index if r['kind'] == 'label'}
    images = [r for r in index if r['kind'] in ('image', 'header only', 'corrupt')]
    cohort = os.path.join(folder, 'cohort')
    centers, patients, image_rows, lesions = {}, {}, [], []
    for r in images:
        site = r['site'].strip() or 'not stated'
        center = re.sub(r'[^a-z0-9]+', '-', site.lower()).strip('-')
        internal = site.endswith((', US', ', CA', '(collection)'))
        centers[center] = [center, 'internal' if internal else 'external', site]
        patient = 'S' + hashlib.sha256(os.path.dirname(r['file']).encode()).hexdigest()[:6]
        patients[patient] = [patient, center, CLASSES[int(patient[1:], 16) % 5]]
        lesion = 'V' + hashlib.sha256(r['file'].encode()).hexdigest()[:8]
        mask = mask_of(r['file'], labels)
        shape = [int(v) for v in r['shape'].split('x')] if r['shape'] and 'files' not in r['shape'] else [1, 1, 1]
        shape = (shape + [1, 1])[:3]
        label = CLASSES[int(lesion[1:], 16) % 5]
        image_rows.append([patient, os.path.basename(os.path.dirname(r['file'])), 'any', r['file'], lesion])
        lesions.append({'patient': patient, 'lesion': lesion, 'label': label, 'path': r['file'], 'mask': mask or '',
                        'box': '' if mask else '0 0 0 ' + ' '.join(map(str, shape))})
    for name in sorted({r['file'] for r in index if not r['file'].endswith('/')}):
        if re.search(r'\.(nii|nii\.gz|hdr|img|hdr\.gz|img\.gz)$', name):
            os.makedirs(os.path.join(cohort, os.path.dirname(name)), exist_ok=True)
            shutil.copyfile(os.path.join(data, name), os.path.join(cohort, name))

    def table(name, header, body):
        with open(os.path.join(cohort, name), 'w', newline='', encoding='utf-8') as f:
            w = csv.writer(f, delimiter='\t', lineterminator='\n')
            w.writerow(header)
            w.writerows(body)
    table('centers.tsv', ['center', 'cohort', 'name'], sorted(centers.values()))
    table('patients.tsv', ['patient', 'center', 'label'], sorted(patients.values()))
    table('images.tsv', ['patient', 'study', 'sequence', 'path', 'lesion'], image_rows)
    table('lesions.tsv', ['patient', 'lesion', 'label', 'box', 'mask'],
          [[x['patient'], x['lesion'], x['label'], x['box'], x['mask']] for x in lesions])
    with open(os.path.join(folder, 'job.yaml'), 'w', encoding='utf-8') as f:
        f.write(f"""# every real volume at hand, scored with a small ResNet-50
job: real
cohort: cohort
unit: lesion
classes: [{', '.join(CLASSES)}]
inputs:
  stack:
    channels: [{{sequence: any, offset: [-1, 0, 1]}}]
    orientation: LPS
    slices: lesion
    region: {{from: auto, shape: square, margin_px: {MARGIN}}}
    window: {{low: {LOW}, high: {HIGH}}}
    resize: {{size: {SIZE}}}
    normalise: {{mean: {MEAN}, std: {STD}}}
models:
  - {{name: resnet50, file: {os.path.abspath(os.path.join(SHARED, 'models', 'resnet50', 'model_dyn.onnx'))}, input: stack, activation: softmax}}
""")
    return lesions


def independent(cohort, rows):
    """Scores by nibabel, numpy and PyTorch, written from src/prepare/README.md; None where the volume cannot be read."""
    import nibabel as nib
    import numpy as np
    import onnx.numpy_helper
    import torch
    sys.path.insert(0, os.path.join(SHARED, 'models'))
    from networks import build
    from nibabel import orientations as o
    net, _ = build('resnet50', True)
    weights = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy())
               for i in onnx.load(os.path.join(SHARED, 'models', 'resnet50', 'model_bn.onnx')).graph.initializer}
    net.load_state_dict({k: weights.get(k, v) for k, v in net.state_dict().items()})
    net.eval()
    out = {}
    for r in rows:
        try:
            img = nib.load(os.path.join(cohort, r['path']))
            if not isinstance(img, (nib.Nifti1Image, nib.Nifti1Pair)):
                continue
            data = np.asanyarray(img.dataobj)
        except Exception:
            continue
        if data.dtype.names or np.iscomplexobj(data) or data.ndim > 4:
            continue
        data = data.astype(np.float64).reshape(data.shape + (1,) * (3 - data.ndim))
        data = data[..., 0] if data.ndim == 4 else data
        to = o.ornt_transform(o.io_orientation(img.affine), o.axcodes2ornt('LPS'))
        vol = o.apply_orientation(data, to)
        if r['mask']:
            m = o.apply_orientation(np.asanyarray(nib.load(os.path.join(cohort, r['mask'])).dataobj) != 0, to)
        else:
            m = np.ones(vol.shape, bool)
        z = int(m.sum((0, 1)).argmax()) if r['mask'] else (vol.shape[2] - 1) // 2
        x, y = np.flatnonzero(m.any((1, 2))), np.flatnonzero(m.any((0, 2)))
        spacing = np.linalg.norm(img.affine[:3, :3], axis=0)[np.argsort(to[:, 0])][:2]
        out[r['lesion']] = vol, z, square((x[0], y[0], x[-1] + 1, y[-1] + 1), spacing, vol.shape), net
    return out


def square(box, spacing, shape):
    """Smallest square in mm with MARGIN pixels on every side, moved inside the slice where it fits (src/prepare/README.md)."""
    import math
    e = [box[2] - box[0] + 2 * MARGIN, box[3] - box[1] + 2 * MARGIN]
    if abs(spacing[0] - spacing[1]) <= 0.001 * max(spacing):
        n = [math.ceil(max(e) - 1e-6)] * 2
    else:
        side = max(e[0] * spacing[0], e[1] * spacing[1])
        n = [math.ceil(side / spacing[a] - 1e-6) for a in (0, 1)]
    at = [math.ceil((box[a] + box[a + 2] - 1) / 2 - n[a] / 2) for a in (0, 1)]
    at = [min(max(at[a], min(0, shape[a] - n[a])), max(0, shape[a] - n[a])) for a in (0, 1)]
    return at[0], at[1], at[0] + n[0], at[1] + n[1]


def reference_scores(ref, box, z):
    """Softmax scores of one volume for a region (reoriented pixels) of slice z and its neighbours."""
    import numpy as np
    import torch
    import torch.nn.functional as F
    vol, _, _, net = ref
    x0, y0, x1, y1 = box
    vol = np.clip((vol - LOW) / (HIGH - LOW), 0, 1)
    xi, yi = np.clip(np.arange(x0, x1), 0, vol.shape[0] - 1), np.clip(np.arange(y0, y1), 0, vol.shape[1] - 1)
    zi = np.clip([z - 1, z, z + 1], 0, vol.shape[2] - 1)
    patch = torch.from_numpy(vol[np.ix_(xi, yi, zi)].transpose(2, 1, 0).copy())[None]
    t = F.interpolate(patch, (SIZE, SIZE), mode='bilinear', align_corners=False)
    with torch.no_grad():
        return torch.softmax(net(((t - MEAN) / STD).float()).double(), 1)[0].numpy()


def main():
    if not os.path.exists(os.path.join(SHARED, 'data', 'index.tsv')):
        skip('../shared/data is not here')
    if len(sys.argv) > 2 and sys.argv[1] == 'compose':
        print(len(compose(sys.argv[2])), 'volumes')
        return
    try:
        import nibabel, numpy as np, onnx, torch, torchvision  # noqa: F401
    except ImportError as e:
        skip(f'{e.name} is not installed')
    if not shutil.which('mpirun'):
        skip('mpirun is not installed')
    import sqlite3
    program = os.environ['RADCOHORT']
    with tempfile.TemporaryDirectory() as tmp:
        rows = compose(tmp)
        db = os.path.join(tmp, 'real.sqlite')
        p = subprocess.run(['mpirun', '-n', '3', '--oversubscribe', '--bind-to', 'none', program, 'run', os.path.join(tmp, 'job.yaml'), '--db', db,
                            '--quiet'], cwd=tmp, capture_output=True, text=True, timeout=500)
        assert p.returncode == 3, f'exit {p.returncode} (3 was expected: some volumes are broken)\n{p.stdout}\n{p.stderr}'
        con = sqlite3.connect(db)
        scored = Counter(x[0] for x in con.execute("SELECT lesion FROM v_case_score WHERE unit = 'lesion' AND class = 'c0'"))
        excluded = dict(con.execute("SELECT lesion, reason FROM v_exclusion WHERE lesion IS NOT NULL"))
        print(f'{len(rows)} volumes: {len(scored)} scored, {len(excluded)} excluded:', dict(Counter(excluded.values())))
        for r in rows:
            assert (r['lesion'] in scored) != (r['lesion'] in excluded), f"{r['path']}: neither scored nor excluded, or both"
        ref = independent(os.path.join(tmp, 'cohort'), rows)
        path = {r['lesion']: r['path'] for r in rows}
        for lesion, reason in sorted(excluded.items(), key=lambda x: path[x[0]]):
            print(f'  excluded {path[lesion]}: {reason}')
            # what nibabel reads as plain numbers and has no NaN must not be lost
            assert lesion not in ref or not np.isfinite(ref[lesion][0]).all(), f'{path[lesion]} is readable but was excluded: {reason}'
        compared, worst = 0, 0.0
        for lesion, z, x0, y0, x1, y1 in con.execute('SELECT DISTINCT lesion, slice, x0, y0, x1, y1 FROM v_slice_score'):
            if lesion not in ref:
                continue
            _, want_z, want_box, _ = ref[lesion]
            assert z == want_z, f'{path[lesion]}: slice {z}, {want_z} was expected'
            assert (x0, y0, x1, y1) == want_box, f'{path[lesion]}: region {(x0, y0, x1, y1)}, {want_box} was expected'
            got = [s for _, s in sorted(con.execute("SELECT class, score FROM v_case_score WHERE unit = 'lesion' AND lesion = ?", [lesion]))]
            want = reference_scores(ref[lesion], (x0, y0, x1, y1), z)
            difference = float(np.abs(np.array(got) - want).max())
            assert difference <= TOLERANCE, f'{path[lesion]}: scores differ by {difference}: {got} {list(want)}'
            compared, worst = compared + 1, max(worst, difference)
        print(f'{compared} volumes compared with nibabel + PyTorch, largest difference {worst:.2e}')
        assert compared >= 10 and compared >= len(scored) - 2, 'too few volumes could be compared'


if __name__ == '__main__':
    main()
