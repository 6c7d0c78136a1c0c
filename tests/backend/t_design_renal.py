#!/usr/bin/env python3
"""Renal CT: six networks in one pass, phases that are missing, masses and patients, best cut-offs, paired comparisons, logistic regression."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import numpy as np

PHASES = ('unenhanced', 'corticomedullary', 'nephrographic', 'excretory')
with design.Study('renal-ct', 'renal', 0.14) as s:
    t = s.published()
    assert len(t['patients']) == 159 and design.labels(t['lesions']) == {'benign': 32, 'malignant': 136}
    there = {}
    for i in t['images']:
        there.setdefault(i['patient'], set()).add(i['sequence'])
    assert set().union(*there.values()) == set(PHASES) and any(len(v) < 4 for v in there.values())
    assert sum(design.slices_of(x) * len(there[x['patient']]) for x in t['lesions']) == 1807, 'image sets'
    assert all(float(x['size_mm']) <= 40 for x in t['lesions'])

    s.run()
    s.compare(8)
    s.check_aggregation(np.mean, max)
    here = {}
    for i in design.table(s.cohort, 'images'):
        here.setdefault(i['patient'], set()).add(i['sequence'])
    lesions = design.table(s.cohort, 'lesions')
    # every image set is scored once by the network of its phase: that is what the study counts
    scored = dict(s.sql.execute('SELECT model, count(*) FROM v_slice_score GROUP BY model'))
    for phase in PHASES:
        assert scored[phase] == sum(design.slices_of(x) for x in lesions if phase in here[x['patient']]), phase
    # without the corticomedullary phase: excluded for its network, scored in the others' place by the one that is declared
    without = [p for p, v in here.items() if 'corticomedullary' not in v]
    assert without, 'the cohort has no such patient: another seed'
    for p in without:
        assert s.sql.execute("SELECT count(*) FROM v_exclusion WHERE patient = ? AND model = 'corticomedullary'", [p]).fetchone()[0] > 0
        files = {f for f, in s.sql.execute("SELECT DISTINCT file FROM v_slice_score WHERE patient = ? AND model = 'all-phases'", [p])}
        assert files == {'renal-ct/models/nephrographic.onnx'}, files
    # all fifteen pairs, Holm-adjusted, on the masses that all networks have scored
    pairs = s.statistic('auc_paired_difference', unit='lesion', stratum_kind='all')
    assert len(pairs) == 15 and len({r.n for r in pairs}) == 1
    design.has(s.printed, 'unit lesion', 'unit patient', 'models compared', 'p (Holm)', *PHASES, 'enhanced', 'all-phases')
