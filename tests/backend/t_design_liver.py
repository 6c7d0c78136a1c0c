#!/usr/bin/env python3
"""Liver MRI: three centers, sequences on other grids, four networks, three classes and their collapse, thresholds tuned on the internal set."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import numpy as np

with design.Study('liver-mri', 'liver', 0.02) as s:
    t = s.published()
    assert len(t['patients']) == 1959 and {c['center']: c['cohort'] for c in t['centers']} == {
        'first': 'internal', 'second': 'external', 'third': 'external'}
    assert set(design.labels(t['patients'])) == {'benign', 'primary', 'metastatic'}
    n, part = {}, {p['patient']: (p['set'], p['center']) for p in t['patients']}
    for i in t['images']:
        n[i['patient']] = n.get(i['patient'], 0) + 1
    sets = {}
    for x in t['lesions']:
        sets[part[x['patient']]] = sets.get(part[x['patient']], 0) + design.slices_of(x) * n[x['patient']]
    assert sets == {('training', 'first'): 40992, ('validation', 'first'): 5172, ('validation', 'second'): 2916, ('validation', 'third'): 1338}, sets
    assert sum(sets.values()) == 50418

    s.run()
    s.compare(8)
    s.check_aggregation(np.mean, max)
    patients = design.table(s.cohort, 'patients')
    scored = {p for p, in s.sql.execute('SELECT DISTINCT patient FROM v_case_score')}
    assert scored == {p['patient'] for p in patients if p['set'] == 'validation'}
    left_out = dict(s.sql.execute('SELECT patient, reason FROM unselected_patient JOIN patient USING (patient_id)'))
    assert set(left_out) == {p['patient'] for p in patients if p['set'] == 'training'}
    assert set(left_out.values()) == {"not selected: column 'set' is 'training'"}
    # DWI lies on another grid than T2
    assert s.sql.execute("SELECT max(mismatch_mm) FROM v_slice_score WHERE model = 't2-dwi'").fetchone()[0] > 0.1
    assert s.sql.execute("SELECT max(mismatch_mm) FROM v_slice_score WHERE model = 't2'").fetchone()[0] < 1e-9
    # one against the others, by class and center; and the three-class table
    rows = s.statistic('auc', unit='patient', stratum_kind='center')
    assert {(r.model, r.class_, r.stratum) for r in rows} >= {(m, c, z) for m in ('t2', 't2-dwi', 't2-dwi-t1', 'contrast') for c in s.classes()
                                                              for z in ('first', 'second', 'third')}
    assert len(s.statistic('auc_hand_till', unit='patient', stratum_kind='all')) == 4
    # malignant = primary + metastatic; a threshold found on the internal patients, carried unchanged to the external ones
    for model in ('t2', 't2-dwi', 't2-dwi-t1', 'contrast'):
        threshold = {t for t, in s.sql.execute("SELECT DISTINCT threshold FROM v_call WHERE point = 'sensitive' AND unit = 'patient' AND model = ?"
                                               " AND class = 'malignant'", [model])}
        assert len(threshold) == 1, threshold
        rows = s.sql.execute("SELECT score, cohort FROM v_case_score WHERE unit = 'patient' AND class = 'malignant' AND label = 1 AND model = ?",
                             [model]).fetchall()
        internal = sorted((x for x, cohort in rows if cohort == 'internal'), reverse=True)
        need = int(np.ceil(0.98 * len(internal) - 1e-9))
        assert sum(x >= min(threshold) for x in internal) >= need, (model, threshold, internal)
        row, = s.statistic('sensitivity', model=model, class_='malignant', unit='patient', stratum='external', point='sensitive')
        external = [x for x, cohort in rows if cohort == 'external']
        assert (row.n_pos, row.n) == (sum(x >= min(threshold) for x in external), len(external)), row
    design.has(s.printed, 'unit patient', 't2-dwi-t1', 'contrast', 'internal', 'external')
    # the printed table: the models side by side, a line for each class and cohort at each unit, and no more than a few screens
    heading, *lines = [line.split() for line in s.printed.split('unit patient\n')[1].split('\n\n')[0].split('\n')]
    assert heading == ['class', 'stratum', 'patients', 'positive', 't2', 't2-dwi', 't2-dwi-t1', 'contrast'], heading
    assert {tuple(line[:2]) for line in lines[:15]} == {
        (c, z) for c in [*s.classes(), 'malignant', 'malignant-argmax'] for z in ('all', 'internal', 'external')}, lines
    assert s.printed.count('\n') < 130, s.printed
    shown = s.published_table()
    assert shown['images of the internal set, first']['image'].endswith(f"of {sum(p['set'] == 'validation' and p['center'] == 'first' for p in patients)} patients")
    # the three-class table from the highest class of each patient
    truth, called = {p['patient']: p['label'] for p in patients}, {}
    for p, c, x in s.sql.execute("SELECT patient, class, score FROM v_case_score WHERE unit = 'patient' AND model = 't2-dwi' AND class NOT LIKE 'malig%'"):
        called[p] = max(called.get(p, (-1, '')), (x, c))
    for c in ('benign', 'primary', 'metastatic'):
        those = [called[p][1] for p in called if truth[p] == c]
        for k in set(those):
            assert f'({those.count(k)}/{len(those)})' in shown[f'of {c}, called {k}, T2 + DWI']['patient'], (c, k, shown)
