#!/usr/bin/env python3
"""Spine CT: every slice of the fracture, the highest decides, slices and patients side by side, ten-fold cross-validation, readers."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import nibabel as nib
import numpy as np

with design.Study('spine-ct', 'spine-ct', 0.07) as s:
    t = s.published()
    assert design.labels(t['patients']) == design.labels(t['lesions']) == {'benign': 137, 'malignant': 296}
    assert len({p['fold'] for p in t['patients']}) == 10
    right = design.right_calls(t)
    total = {r: (right[r, 'benign'][0] + right[r, 'malignant'][0], right[r, 'benign'][1] + right[r, 'malignant'][1])
             for r in ('year-5', 'year-3', 'year-1')}
    assert total == {'year-5': (429, 433), 'year-3': (412, 433), 'year-1': (402, 433)}, total
    assert [round(100 * a / b, 1) for a, b in total.values()] == [99.1, 95.2, 92.8]
    assert {r['experience_years'] for r in t['readings'] if r['reader'] == 'year-3'} == {'3'}
    features = [k for k in t['readings'][0] if k not in ('reader', 'patient', 'lesion', 'call', 'rating', 'experience_years')]
    assert len(features) == 6 and all(r['call'] == '' and r[features[0]] for r in t['readings'] if r['reader'] == 'senior')

    s.run()
    s.compare(10)
    s.check_aggregation(max, max)
    # HU with padding, several slices for each fracture
    img = nib.load(os.path.join(s.cohort, design.table(s.cohort, 'images')[0]['path']))
    hu = img.get_fdata()
    assert hu.min() == -3024 and hu[0, 0, 0] == -3024 and -1100 < np.percentile(hu[hu > -3024], 0.1) < 0 < np.percentile(hu, 99) < 1500
    n_slice, n_case = s.sql.execute('SELECT count(*), count(DISTINCT patient) FROM v_slice_score').fetchone()
    assert n_case == len(design.table(s.cohort, 'patients')) and n_slice >= 3 * n_case
    # both tables side by side
    for unit, n in (('slice', n_slice), ('lesion', n_case), ('patient', n_case)):
        row, = s.statistic('auc', unit=unit, stratum_kind='all')
        assert row.n == n, row
        view = 'v_slice_score' if unit == 'slice' else 'v_case_score'
        where = '' if unit == 'slice' else f" AND unit = '{unit}'"
        tp, pos, tn, neg = s.sql.execute(f'SELECT sum(label AND score >= 0.5), sum(label), sum(NOT label AND score < 0.5), sum(NOT label) FROM {view}'
                                         f' WHERE label IS NOT NULL{where}').fetchone()
        row, = s.statistic('sensitivity', unit=unit, stratum_kind='all', point='half')
        assert (row.n_pos, row.n) == (tp, pos), (unit, row)
        row, = s.statistic('specificity', unit=unit, stratum_kind='all', point='half')
        assert (row.n_pos, row.n) == (tn, neg), (unit, row)
    design.has(s.printed, 'unit lesion', 'resnet', 'year-5', 'year-3', 'year-1')
    design.has(s.details, 'unit slice', 'unit patient')
    shown = s.published_table()
    assert {u: x for u, x in shown['accuracy'].items()}.keys() == {'slice', 'patient'} and 'no whole numbers' in str(shown)
    # the highest slice, calibrated for the number of slices: recomputed
    rows = np.array(s.sql.execute("SELECT label, score, patient FROM v_slice_score").fetchall(), object)
    benign = np.array([x for y, x, _ in rows if not y], float)
    high = {}
    for p in set(rows[:, 2]):
        mine = rows[rows[:, 2] == p]
        high[p] = (mine[0, 0], np.mean(benign < max(mine[:, 1])) ** len(mine) >= np.mean(benign < 0.5))
    sens, spec = (100 * np.mean([h == y for y, h in high.values() if y == k]) for k in (1, 0))
    assert shown['sensitivity / specificity by max, calibrated for the number of slices']['patient'] == f'{sens:.1f} % / {spec:.1f} %', (shown, sens, spec)
