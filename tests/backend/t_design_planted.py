#!/usr/bin/env python3
"""A difference that was planted is found: 159 patients with 168 masses whose images hold six networks' scores, two of which differ in AUC by
DeLong's p = 0.022. From the images to the table: the p, all fifteen pairs by Holm, the test that all are equal, and the clusters."""
import itertools, os, sqlite3, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import nibabel as nib
import numpy as np
import onnx
from onnx import helper as h, numpy_helper as nh

try:
    from scipy import stats
except ImportError as e:
    design.skip(str(e))

rng = np.random.default_rng(22)
label = np.repeat([0, 1], [32, 136])
# 30 + 129 patients; the first two and seven of them have a second mass
patient = np.concatenate([np.r_[np.arange(30), 0, 1], 30 + np.r_[np.arange(129), np.arange(7)]])
shared, own = rng.normal(size=(2, 168))
NAMES = ('unenhanced', 'corticomedullary', 'nephrographic', 'excretory', 'enhanced', 'all-phases')
noise = {m: 0.7 * shared + 0.5 * own + 0.6 * rng.normal(size=168) for m in NAMES}


def components(score):
    wins = (score[label == 1][:, None] > score[label == 0]) + 0.5 * (score[label == 1][:, None] == score[label == 0])
    return wins.mean(1), wins.mean(0)


def covariance(parts):
    """DeLong's of the AUCs."""
    v, w = (np.array([p[k] for p in parts]) for k in (0, 1))
    return np.cov(v) / v.shape[1] + np.cov(w) / w.shape[1]


def pair(a, b):
    parts = [components(a), components(b)]
    s = covariance(parts)
    d = parts[0][0].mean() - parts[1][0].mean()
    return d, 2 * stats.norm.sf(abs(d) / np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1]))


def stored(x):
    """What an int16 image keeps of a score."""
    return np.round(np.clip(x, -15, 15) * 2000) / 2000


# the strength of the excretory network for which the p is nearest to 0.022
score = {m: stored(noise[m] + d * label) for m, d in zip(NAMES, (1.5, 2.0, 1.7, 0, 1.9, 2.0))}
tries = [stored(noise['excretory'] + d * label) for d in np.linspace(0.8, 2, 4001)]
score['excretory'] = min(tries, key=lambda x: abs(pair(score['corticomedullary'], x)[1] - 0.022) + (pair(score['corticomedullary'], x)[0] < 0))
planted = pair(score['corticomedullary'], score['excretory'])
assert abs(planted[1] - 0.022) < 5e-4, planted

with tempfile.TemporaryDirectory() as tmp:
    cohort = os.path.join(tmp, 'cohort')
    os.makedirs(cohort)
    names = [f'P{p:03d}' for p in patient]
    tables = {'centers': ['center\tcohort', 'H\tinternal'], 'patients': ['patient\tcenter\tlabel'], 'images': ['patient\tstudy\tsequence\tpath\tlesion'],
              'lesions': ['patient\tlesion\tlabel\tbox']}
    seen = set()
    for i, p in enumerate(names):
        word, lesion = ('benign', 'malignant')[label[i]], 'L2' if p in seen else 'L1'
        if p not in seen:
            tables['patients'].append(f'{p}\tH\t{word}')
        seen.add(p)
        tables['lesions'].append(f'{p}\t{lesion}\t{word}\t1 1 0 5 5 1')
        for m in NAMES:
            path = f'{p}_{lesion}_{m}.nii'
            image = nib.Nifti1Image(np.full((6, 6, 1), round(score[m][i] * 2000), np.int16), np.eye(4))
            nib.save(image, os.path.join(cohort, path))
            tables['images'].append(f'{p}\ts\t{m}\t{path}\t{lesion}')
    for name, rows in tables.items():
        with open(os.path.join(cohort, name + '.tsv'), 'w') as f:
            f.write('\n'.join(rows) + '\n')
    # the score itself: the mean of the region as the second class's logit
    graph = h.make_graph([h.make_node('GlobalAveragePool', ['x'], ['m']), h.make_node('Flatten', ['m'], ['f']),
                          h.make_node('Gemm', ['f', 'w', 'b'], ['y'])], 'g',
                         [h.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 1, 4, 4])], [h.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, 2])],
                         [nh.from_array(np.array([[0, 1 / 2000]], np.float32), 'w'), nh.from_array(np.zeros(2, np.float32), 'b')])
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid('', 13)]), os.path.join(tmp, 'net.onnx'))
    job = os.path.join(tmp, 'job.yaml')
    with open(job, 'w') as f:
        f.write('job: planted\ncohort: cohort\nunit: lesion\nclasses: [benign, malignant]\npositive: malignant\nstrata: [all]\nbackend: ref\ninputs:\n')
        f.writelines(f'  {m}: {{channels: [{{sequence: {m}}}], region: {{from: box}}}}\n' for m in NAMES)
        f.write('models:\n')
        f.writelines(f'  - {{name: {m}, file: net.onnx, input: {m}, activation: none}}\n' for m in NAMES)
    db = os.path.join(tmp, 'out.sqlite')
    design.call('mpirun', '-q', '-n', 3, '--oversubscribe', '--bind-to', 'none', design.PROGRAM, 'run', job, '--db', db, '--quiet')
    sql = sqlite3.connect(db)
    where = "unit = 'lesion' AND stratum_kind = 'all'"
    got = {(a, b): (d, p, holm, n) for a, b, d, p, holm, n in sql.execute(
        f"SELECT model, versus, est, p, p_adjusted, n FROM v_statistic WHERE name = 'auc_paired_difference' AND {where}")}
    want = {k: pair(score[k[0]], score[k[1]]) for k in got}
    assert len(got) == 15 and {frozenset(k) for k in got} == {frozenset(k) for k in itertools.combinations(NAMES, 2)}
    for k, (d, p, holm, n) in got.items():
        assert n == 168 and abs(d - want[k][0]) < 1e-9 and abs(p - want[k][1]) < 1e-9 * max(1, 1 / p), (k, d, p, want[k])
    order, worst = sorted(got, key=lambda k: want[k][1]), 0
    for i, k in enumerate(order):
        worst = max(worst, min(1, (15 - i) * want[k][1]))
        assert abs(got[k][2] - worst) < 1e-7, (k, got[k], worst)
    found = got[('corticomedullary', 'excretory')]
    assert f'{found[1]:.3f}' == '0.022' and found[0] > 0, found
    # all six equal: Wald test of five contrasts
    parts = [components(score[m]) for m in NAMES]
    contrast = np.eye(6)[:5] - np.eye(6)[1:]
    d = contrast @ [v.mean() for v, _ in parts]
    chi = d @ np.linalg.solve(contrast @ covariance(parts) @ contrast.T, d)
    est, p = sql.execute(f"SELECT est, p FROM v_statistic WHERE name = 'auc_equality' AND {where}").fetchone()
    assert abs(p - stats.chi2.sf(chi, 5)) < 1e-7, (est, p, chi)
    n, = sql.execute(f"SELECT n_cluster FROM v_statistic WHERE name = 'auc_paired_difference_clustered' AND model = 'corticomedullary'"
                     f" AND versus = 'excretory' AND {where}").fetchone()
    assert n == 159, n
    print(f'planted {planted[1]:.4f}, found {found[1]:.4f}, by Holm {found[2]:.3f}; all equal p = {p:.2g}')
