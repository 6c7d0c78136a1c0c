#!/usr/bin/env python3
"""Contrast-enhanced ultrasound: stills and loops, RepVGG as trained and as deployed, four grades and their cut, class activation maps."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import nibabel as nib
import numpy as np

with design.Study('renal-us', 'ultrasound', 0.1) as s:
    t = s.published()
    grades = design.labels(t['patients'])
    assert len(t['patients']) == 177 and set(grades) == {'I', 'II', 'III', 'IV'}
    assert len(t['images']) >= 3 * 177 and {os.path.splitext(i['path'])[1] for i in t['images']} == {'.png', '.gz'}

    s.run()
    s.compare(12)
    s.check_aggregation(np.mean, np.mean)
    # a loop is a 4-D colour image of which the frames with contrast medium are scored; a still has one
    lesions = {(x['patient'], x['lesion']): x for x in design.table(s.cohort, 'lesions')}
    frames = {}
    for p, le, k in s.sql.execute("SELECT DISTINCT patient, lesion, stored_slice FROM v_slice_score"):
        frames.setdefault((p, le), set()).add(k)
    assert set(frames) == set(lesions)
    for k, got in frames.items():
        low, _, high = lesions[k]['slices'].partition('-')
        assert got == set(range(int(low), int(high or low) + 1)), (k, got)
    loop = next(i for i in design.table(s.cohort, 'images') if i['lesion'] == 'C1')
    assert nib.load(os.path.join(s.cohort, loop['path'])).shape[2:] == (1, 8)
    # both forms of RepVGG are one function
    two = {m: np.array([x for x, in s.sql.execute('SELECT score FROM v_slice_score WHERE model = ? ORDER BY patient, lesion, slice, class', [m])])
           for m in ('repvgg', 'repvgg-deployed')}
    assert len(two['repvgg']) > 100 and np.abs(two['repvgg'] - two['repvgg-deployed']).max() < 2e-6
    print('training and deployed form: largest difference %.1e' % np.abs(two['repvgg'] - two['repvgg-deployed']).max())
    # the cut at grade III, at all three units; the grades are kept
    for unit, view in (('slice', 'v_slice_score'), ('lesion', 'v_case_score'), ('patient', 'v_case_score')):
        where = '' if unit == 'slice' else f" AND unit = '{unit}'"
        tp, n = s.sql.execute(f"SELECT sum(score >= 0.5), count(*) FROM {view} WHERE class = 'high' AND label = 1 AND model = 'repvgg'{where}").fetchone()
        row, = s.statistic('sensitivity', model='repvgg', class_='high', unit=unit, stratum_kind='all', point='half')
        assert (row.n_pos, row.n) == (tp, n), (unit, row, tp, n)
    rows = s.statistic('ordinal_c_index', model='repvgg', unit='patient', stratum_kind='all')
    assert rows[0].n == len(design.table(s.cohort, 'patients'))
    # a map for each still and loop, with its overlap with the lesion
    maps, = s.sql.execute("SELECT count(*) FROM v_cam WHERE model = 'repvgg-deployed'").fetchone()
    assert maps == len(lesions), maps
    design.has(s.printed, 'unit lesion', 'unit patient', 'repvgg', 'repvgg-deployed')
    shown = s.published_table()
    assert set(shown['AUC, III and IV']) == {'picture', 'still or loop', 'case'} and 'at least 213' in str(shown['what can the published rates be about?'])
