#!/usr/bin/env python3
"""Spine MRI: T1W and T2W matched by position, ten-fold cross-validation, readers and findings."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import numpy as np

with design.Study('spine-mri', 'spine-mri', 0.16) as s:
    t = s.published()
    assert design.labels(t['patients']) == design.labels(t['lesions']) == {'benign': 140, 'malignant': 50}
    assert design.labels(t['images'], 'sequence') == {'T1W': 190, 'T2W': 190}
    folds = [design.labels([p for p in t['patients'] if p['fold'] == str(k)]) for k in range(10)]
    assert all(f == {'benign': 14, 'malignant': 5} for f in folds), folds
    right = design.right_calls(t)
    assert right == {('senior', 'malignant'): (49, 50), ('senior', 'benign'): (137, 140), ('year-4', 'malignant'): (47, 50),
                     ('year-4', 'benign'): (136, 140), ('year-1', 'malignant'): (39, 50), ('year-1', 'benign'): (86, 140)}, right
    features = [k for k in t['readings'][0] if k not in ('reader', 'patient', 'lesion', 'call', 'rating', 'experience_years')]
    assert len(features) == 15 and sum(r[features[0]] != '' for r in t['readings']) == 190, 'one reader notes fifteen findings'
    from scipy.stats import chi2_contingency
    label = {r['patient']: r['label'] for r in t['patients']}
    found = {f: [[sum(r[f] == v and label[r['patient']] == c for r in t['readings']) for v in ('present', 'absent')] for c in ('malignant', 'benign')]
             for f in features}
    strong = [f for f, m in found.items() if chi2_contingency(m)[1] <= 0.001]
    assert len(strong) == 10, (len(strong), {f: chi2_contingency(m)[1] for f, m in found.items()})

    s.run()
    s.compare(12)
    s.check_aggregation(max, max)
    # every patient by the file that was trained without him, and no other
    rows = s.sql.execute('SELECT DISTINCT patient, fold, file FROM v_slice_score').fetchall()
    assert len(rows) == len(design.table(s.cohort, 'patients'))
    assert all(file == f'spine-mri/models/fold{fold}.onnx' for _, fold, file in rows)
    # T1W and T2W lie on different grids
    far, = s.sql.execute('SELECT max(mismatch_mm) FROM v_slice_score').fetchone()
    assert 0.1 < far <= 3, far
    # readers: exact counts of this cohort, and McNemar's test against the model
    for reader, what, label, call in (('year-1', 'sensitivity', 'malignant', 1), ('year-1', 'specificity', 'benign', 0)):
        truth = {p['patient']: p['label'] for p in design.table(s.cohort, 'patients')}
        calls = {r['patient']: r['call'] for r in design.table(s.cohort, 'readings') if r['reader'] == reader and truth[r['patient']] == label}
        row, = s.statistic('reader_' + what, versus=reader, unit='lesion', stratum_kind='all')
        assert (row.n, row.n_pos) == (len(calls), sum(c == label for c in calls.values())), row
        model = {p: int(x >= 0.5) for p, x in s.sql.execute("SELECT patient, score FROM v_case_score WHERE unit = 'lesion'")}
        b = sum(model[p] == call and c != label for p, c in calls.items())
        c = sum(model[p] != call and c == label for p, c in calls.items())
        from scipy.stats import binomtest
        row, = s.statistic(what + '_vs_reader', versus=reader, unit='lesion', stratum_kind='all', point='half')
        want = binomtest(min(b, c), b + c).pvalue if b + c else 1.0
        assert abs(row.p - want) < 1e-9, (row, b, c)
    # every finding against the classes, once for the study
    assert {r.versus for r in s.statistic('feature_association', stratum_kind='all')} == {'senior: ' + f for f in features}
    design.has(s.printed, 'unit lesion', 'unit patient', 'resnet', 'readers', 'senior', 'year-4', 'year-1', 'McNemar')
    shown = s.published_table()
    assert '0.0078' in shown["is the published sensitivity's p possible?"]['patient'] and len([k for k in shown if k.startswith('finding ')]) == 15, shown
