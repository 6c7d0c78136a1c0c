#!/usr/bin/env python3
"""Renal CT: six networks in one pass, phases that are missing, masses and patients, best cut-offs, paired comparisons, logistic regression."""
import os, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design
import numpy as np

PHASES = ('unenhanced', 'corticomedullary', 'nephrographic', 'excretory')
with design.Study('renal-ct', 'renal', 0.35) as s:
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

    # logistic regression: numpy's own fit of the rows that the number's query returns; profile limits are where twice the log-likelihood has
    # fallen by chi-square's 95th percentile
    def fit(x, y, fixed=None, at=0.0):
        beta = np.zeros(x.shape[1])
        free = [j for j in range(x.shape[1]) if j != fixed]
        if fixed is not None:
            beta[fixed] = at
        for _ in range(200):
            mu = 1 / (1 + np.exp(-np.clip(x @ beta, -500, 500)))
            step = np.linalg.solve((x[:, free] * (mu * (1 - mu))[:, None]).T @ x[:, free], x[:, free].T @ (y - mu))
            beta[free] += step / max(1.0, np.abs(step).max())
            if np.abs(step).max() < 1e-12:
                break
        eta = x @ beta
        return beta, float(np.sum(y * eta - np.logaddexp(0, eta)))

    rows = s.statistic('odds_ratio', model='excretory', point='clinical', unit='lesion', stratum_kind='all')
    assert {r.versus for r in rows} == {'score per 0.1', 'age', 'sex=M', 'size_mm'}
    query, = s.sql.execute("SELECT query FROM v_statistic WHERE name = 'odds_ratio' AND model = 'excretory' AND point = 'clinical'").fetchone()
    data = [r[1:] for r in s.sql.execute(query) if None not in r]
    y = np.array([r[0] for r in data], float)
    x = np.array([[1, r[1], float(r[2]), r[3] == 'M', float(r[4])] for r in data], float)
    spread = x.std(0)
    spread[0] = 1
    beta, best = fit(x / spread, y)
    column = {'score per 0.1': 1, 'age': 2, 'sex=M': 3, 'size_mm': 4}
    for r in rows:
        j = column[r.versus]
        assert (r.n, r.n_pos) == (len(y), y.sum()), r
        assert abs(np.log(r.est) - beta[j] / spread[j]) < 1e-6 * max(1, abs(beta[j] / spread[j])), (r, beta[j] / spread[j])
        for limit in (r.lower, r.upper):
            if limit and np.isfinite(limit):
                fallen = 2 * (best - fit(x / spread, y, j, np.log(limit) * spread[j])[1])
                assert abs(fallen - 3.841458820694124) < 1e-3, (r, fallen)
    design.has(s.printed, 'logistic regressions', 'score per 0.1', 'size_mm', 'events per variable', 'VIF')
    # a regression without `score` is the same for every model: it stands once
    assert {r.model for r in s.statistic('odds_ratio', point='networks')} == {'unenhanced'}
    shown = s.published_table()
    best = s.statistic('accuracy', unit='lesion', point='best', model='excretory', stratum_kind='all')[0]
    assert shown['accuracy at the best cut-off, excretory'] == {'mass': f'{100 * best.est:.1f} % ({best.n_pos}/{best.n})'}, shown
    five = s.sql.execute("SELECT label, min(5, 1 + CAST(5 * score AS INTEGER)) FROM v_case_score WHERE unit = 'lesion' AND model = 'excretory'").fetchall()
    y, r = np.array(five).T
    d = r[y == 1][:, None] - r[y == 0]
    assert shown['AUC on a five-point scale, excretory']['mass'].startswith(f'{np.mean((d > 0) + 0.5 * (d == 0)):.3f} ('), shown
    from scipy.stats import mannwhitneyu
    size = [[float(x['size_mm']) for x in lesions if x['label'] == c] for c in ('malignant', 'benign')]
    p = mannwhitneyu(*size, alternative='two-sided', method='asymptotic').pvalue
    assert shown['size of malignant and benign masses']['mass'].endswith(f'p = {p:.3f}'), (shown, p)
