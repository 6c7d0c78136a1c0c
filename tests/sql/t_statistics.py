#!/usr/bin/env python3
"""Rows of the statistic table against the textbook, computed from the rows that each row's query returns: pairs of models, centers, all
numbers of an operating point, readers, calibration. Degenerate strata say why. Nothing but the standard library and numpy."""
import json, math, os, sqlite3, subprocess, sys, tempfile
from collections import defaultdict

try:
    import numpy as np
except ImportError:
    print('SKIP: no numpy')
    sys.exit(77)
build, program = os.environ['RAD_BUILD'], os.environ['RADCOHORT']
maker = os.path.join(build, 'tests', 'store_bench')
if not os.path.exists(maker):
    print('SKIP: store_bench is not built')
    sys.exit(77)
Z = 1.959963984540054
checked = defaultdict(int)


def close(got, want, what, tol=1e-9):
    assert (got is None) == (want is None), (what, got, want)
    assert got is None or abs(got - want) <= tol * max(1, abs(want)), (what, got, want)
    checked[what[0]] += 1


def norm_p(z):
    return math.erfc(abs(z) / math.sqrt(2))


def placements(label, score):
    pos, neg = score[label == 1], score[label == 0]
    wins = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    return wins.mean(axis=1), wins.mean(axis=0)


def paired(label, a, b, cluster=None):
    """difference, its variance: DeLong 1988, or Obuchowski 1997 with clusters"""
    (va, wa), (vb, wb) = placements(label, a), placements(label, b)
    d = va.mean() - vb.mean()
    if cluster is None:
        return d, np.var(va - vb, ddof=1) / len(va) + np.var(wa - wb, ddof=1) / len(wa)
    x, y = va - vb - d, wa - wb - d
    m, n = len(x), len(y)
    sx, sy = defaultdict(float), defaultdict(float)
    for v, c in zip(x, cluster[label == 1]):
        sx[c] += v
    for v, c in zip(y, cluster[label == 0]):
        sy[c] += v
    both = set(sx) & set(sy)
    i10, i01, i = len(sx), len(sy), len(set(sx) | set(sy))
    s10 = i10 / ((i10 - 1) * m) * sum(v * v for v in sx.values())
    s01 = i01 / ((i01 - 1) * n) * sum(v * v for v in sy.values())
    s11 = i / (i - 1) * sum(sx[c] * sy[c] for c in both)
    return d, s10 / m + s01 / n + 2 * s11 / (m * n)


def holm(p):
    order, worst, out = sorted(range(len(p)), key=lambda i: p[i]), 0, [0] * len(p)
    for k, i in enumerate(order):
        worst = max(worst, min(1, (len(p) - k) * p[i]))
        out[i] = worst
    return out


def binomial(k, n):
    return sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n


def wilson(k, n):
    p, d = k / n, 1 + Z * Z / n
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / d
    mid = (p + Z * Z / (2 * n)) / d
    return mid - half, mid + half


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 's.sqlite')
    subprocess.run([maker, '-k', path, '160', '2', '3'], check=True, stdout=subprocess.DEVNULL)
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    # two readers of lesions, one of patients; one call is no class of the job, some units are not read
    db.execute("INSERT INTO reading (reader, patient_id, lesion_id, call) SELECT 'A', patient_id, lesion_id, iif(lesion_id % 4, label, 'benign')"
               " FROM lesion WHERE lesion_id % 9 > 0")
    db.execute("INSERT INTO reading (reader, patient_id, lesion_id, call) SELECT 'B', patient_id, lesion_id,"
               " CASE lesion_id % 5 WHEN 0 THEN 'malignant' WHEN 1 THEN 'unclear' ELSE label END FROM lesion")
    db.commit()
    subprocess.run([program, 'stats', path], check=True, stdout=subprocess.DEVNULL)
    rows = [dict(r) for r in db.execute('SELECT * FROM v_statistic')]
    for r in rows:
        assert r['est'] is not None or r['reason'], r
        assert r['p_adjusted'] is None or r['p_adjusted'] >= r['p'], r
        r['data'] = [dict(d) for d in db.execute(r['query']) if d['label'] is not None]
        assert len(r['data']) == r['n'], (r['name'], len(r['data']), r['n'])
    find = {(r['model'], r['unit'], r['stratum_kind'], r['stratum'], r['point'], r['name'], r['versus']): r for r in rows}

    def arrays(r, *columns):
        return [np.array([d[c] for d in r['data']]) for c in columns]

    # other rules of aggregation, from the slices that their rows' queries return
    of_rules = {'max': np.max, 'mean': np.mean, 'median': np.median, 'majority': lambda v: np.mean(np.array(v) >= 0.5)}
    for r in rows:
        if r['name'].startswith('exploratory_auc') and r['unit'] == 'lesion' and r['versus'] in of_rules:
            label, patient = arrays(r, 'label', 'patient')
            clustered = r['name'].endswith('_clustered')
            score = np.array([of_rules[r['versus']](json.loads(d['slice_scores'])) for d in r['data']])
            d, var = paired(label, score, np.zeros(len(score)), patient if clustered else None)
            what = (r['name'], r['model'], r['versus'], r['stratum'])
            close(r['est'], d + 0.5, what)
            close(r['se'], math.sqrt(var), what)
            assert len(set(patient)) == r['n_cluster'] < r['n'] and clustered != ('independent' in r['method']), r
    assert checked['exploratory_auc'] == checked['exploratory_auc_clustered'] > 0

    # models against each other
    families = defaultdict(list)
    for r in rows:
        if not r['name'].startswith('auc_paired_difference'):
            continue
        label, a, b, patient = arrays(r, 'label', 'score', 'score2', 'patient')
        clustered = r['name'].endswith('_clustered')
        if min(label.sum(), (1 - label).sum()) < 2:
            assert r['p'] is None and r['reason'], r
            continue
        assert clustered or len(set(patient)) == len(patient) or 'independent' in r['method']
        d, var = paired(label, a, b, patient if clustered else None)
        what = (r['name'], r['model'], r['versus'], r['unit'], r['stratum'])
        close(r['est'], d, what)
        close(r['se'], math.sqrt(var), what)
        close(r['lower'], d - Z * math.sqrt(var), what)
        close(r['p'], norm_p(d / math.sqrt(var)), what)
        families[r['name'], r['unit'], r['stratum_kind'], r['stratum']].append(r)
    for family in families.values():
        assert len(family) == 3
        for r, p in zip(family, holm([r['p'] for r in family])):
            close(r['p_adjusted'], p, ('holm', r['name']))
    # the overall test of three AUCs: L V^-1 L of two contrasts
    for r in (r for r in rows if r['name'] == 'auc_equality' and r['stratum'] == 'all'):
        pair = {k: find[k[0], r['unit'], 'all', 'all', None, 'auc_paired_difference', k[1]] for k in (('net0', 'net1'), ('net1', 'net2'), ('net0', 'net2'))}
        first, second, both = pair['net0', 'net1'], pair['net1', 'net2'], pair['net0', 'net2']
        cov = (both['se'] ** 2 - first['se'] ** 2 - second['se'] ** 2) / 2
        v = np.array([[first['se'] ** 2, cov], [cov, second['se'] ** 2]])
        d = np.array([first['est'], second['est']])
        chisq = d @ np.linalg.solve(v, d)
        close(r['est'], chisq, ('auc_equality',), 1e-6)
        close(r['p'], math.exp(-chisq / 2), ('auc_equality',), 1e-6)  # two degrees of freedom

    # internal against each external center
    for key in {(r['model'], r['unit'], r['name']) for r in rows if r['name'].startswith('auc_difference') and r['versus']}:
        model, unit, name = key
        own = name.replace('auc_difference', 'auc')
        family = [r for r in rows if (r['model'], r['unit'], r['name']) == key and r['versus']]
        assert {r['versus'] for r in family} == {'C01', 'C02', 'C03'}
        for r in family:
            a = find.get((model, unit, 'cohort', 'internal', None, own, None))
            b = find.get((model, unit, 'center', r['versus'], None, own, None))
            close(r['est'], a['est'] - b['est'], key)
            if r['p'] is not None:
                close(r['se'], math.hypot(a['se'], b['se']), key)
                close(r['p'], norm_p(r['est'] / r['se']), key)
        if family[0]['p'] is not None:
            for r, p in zip(family, holm([r['p'] for r in family])):
                close(r['p_adjusted'], p, ('holm', name))

    # the mean center: DerSimonian-Laird in closed form, REML by its score equation
    for r in (r for r in rows if r['name'] in ('auc_centers_dl', 'auc_centers_dl_clustered', 'auc_centers_reml')):
        own = 'auc_clustered' if r['name'].endswith('_clustered') else 'auc'
        c = [find.get((r['model'], r['unit'], 'center', f'C0{k}', None, own, None)) for k in range(4)]
        c = [x for x in c if x and x['est'] and 0 < x['est'] < 1 and x['se']]
        y = np.array([math.log(x['est'] / (1 - x['est'])) for x in c])
        v = np.array([(x['se'] / (x['est'] * (1 - x['est']))) ** 2 for x in c])
        w = 1 / v
        q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
        tau2 = max(0, (q - len(y) + 1) / (w.sum() - (w ** 2).sum() / w.sum()))
        if r['name'] == 'auc_centers_reml':
            lo, hi = 0.0, 50.0
            def slope(t):
                w = 1 / (v + t)
                mu = (w * y).sum() / w.sum()
                return (w ** 2 * (y - mu) ** 2).sum() - w.sum() + (w ** 2).sum() / w.sum()
            for _ in range(200):
                lo, hi = ((lo + hi) / 2, hi) if slope((lo + hi) / 2) > 0 else (lo, (lo + hi) / 2)
            tau2 = lo if slope(0) > 0 else 0
        w = 1 / (v + tau2)
        mu, se = (w * y).sum() / w.sum(), w.sum() ** -0.5
        for got, x in ((r['est'], mu), (r['lower'], mu - Z * se), (r['upper'], mu + Z * se)):
            close(got, 1 / (1 + math.exp(-x)), (r['name'], r['unit'], r['model']), 1e-5)

    # operating points, the tuned one too
    tuned = [r for r in rows if r['name'] == 'threshold']
    assert len(tuned) == 6 and all(r['stratum'] == 'internal' and r['point'] == 'youden (internal)' for r in tuned)
    threshold = {(r['model'], r['unit'], r['point']): r['est'] for r in tuned}
    for r in tuned:
        label, score = arrays(r, 'label', 'score')
        j = {t: (score[label == 1] >= t).mean() - (score[label == 0] >= t).mean() for t in score}
        close(j[max(j, key=lambda t: j[t])], max(j.values()), ('youden',))
        at = (score[label == 1] >= r['est']).mean() - (score[label == 0] >= r['est']).mean()
        close(at, max(j.values()), ('youden',))
        for name in ('sensitivity', 'specificity'):
            apparent = find[r['model'], r['unit'], 'cohort', 'internal', r['point'], name, None]
            assert 'optimistic' in apparent['method']
            assert 'optimistic' not in find[r['model'], r['unit'], 'cohort', 'external', r['point'], name, None]['method']
            assert find[r['model'], r['unit'], 'cohort', 'internal', r['point'], name + '_corrected', None]['est'] < apparent['est'] + 0.05
    threshold.update({(r['model'], r['unit'], 'half'): 0.5 for r in rows})
    for r in (r for r in rows if r['point'] and not r['versus'] and r['unit'] != 'slice'):
        if r['name'] == 'balanced_accuracy':
            label, score = arrays(r, 'label', 'score')
            call = score >= threshold[r['model'], r['unit'], r['point']]
            tp, fp = float((call & (label == 1)).sum()), float((call & (label == 0)).sum())
            fn, tn = float((~call & (label == 1)).sum()), float((~call & (label == 0)).sum())
            def ratio(a, b):
                return a / b if b else None
            key = (r['model'], r['unit'], r['stratum_kind'], r['stratum'], r['point'])
            sens, spec, root = ratio(tp, tp + fn), ratio(tn, tn + fp), math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
            whole = sens is not None and spec is not None
            for name, want in (('sensitivity', sens), ('specificity', spec), ('accuracy', ratio(tp + tn, len(label))),
                               ('ppv', ratio(tp, tp + fp)), ('npv', ratio(tn, tn + fn)), ('f1', ratio(2 * tp, 2 * tp + fp + fn)),
                               ('balanced_accuracy', (sens + spec) / 2 if whole else None), ('mcc', (tp * tn - fp * fn) / root if root else None),
                               ('lr_pos', ratio(sens, 1 - spec) if whole and fp else None), ('lr_neg', ratio(1 - sens, spec) if whole and tn else None)):
                close(find[key + (name, None)]['est'], want, (name,) + key)
            if tp and fp and find[key + ('lr_pos', None)]['lower'] is not None:
                se = math.sqrt(1 / tp - 1 / (tp + fn) + 1 / fp - 1 / (fp + tn))
                close(find[key + ('lr_pos', None)]['upper'], sens / (1 - spec) * math.exp(Z * se), ('lr_pos limit',) + key)
        elif r['name'] in ('ppv', 'npv') and r['n']:
            lo, hi = wilson(r['n_pos'], r['n'])
            close(r['lower'], lo, ('wilson', r['name']))
            close(r['upper'], hi, ('wilson', r['name']))

    # readers, on the same units
    read = [r for r in rows if r['name'] in ('reader_sensitivity', 'reader_specificity', 'reader_accuracy')]
    assert {(r['versus'], r['unit']) for r in read} >= {('A', 'lesion'), ('B', 'lesion')}
    for r in read:
        right = sum((d['call'] == 'malignant') == (d['label'] == 1) for d in r['data'])
        assert right == r['n_pos'] and all(d['call'] in ('benign', 'malignant') for d in r['data'])
        close(r['est'], right / r['n'] if r['n'] else None, (r['name'], r['versus']))
        if r['n']:
            close(r['lower'], wilson(right, r['n'])[0], (r['name'], r['versus']))
    for r in (r for r in rows if r['name'].endswith('_vs_reader') and r['name'] != 'kappa_vs_reader'):
        t = threshold[r['model'], r['unit'], r['point']]
        model = [(d['score'] >= t) == (d['label'] == 1) for d in r['data']]
        reader = [(d['call'] == 'malignant') == (d['label'] == 1) for d in r['data']]
        key = (r['model'], r['unit'], r['stratum_kind'], r['stratum'], r['point'])
        if not r['n']:
            assert r['est'] is None and r['p'] is None and r['reason']
            continue
        b, c = sum(m and not x for m, x in zip(model, reader)), sum(x and not m for m, x in zip(model, reader))
        exact = min(1, 2 * binomial(min(b, c), b + c))
        close(r['est'], (b - c) / r['n'], (r['name'], r['versus']))
        close(r['p'], exact, (r['name'], r['versus']))
        midp = 1 if b == c else exact - math.comb(b + c, min(b, c)) / 2 ** (b + c)
        close(find[key + (r['name'] + '_midp', r['versus'])]['est'], midp, (r['name'] + '_midp',))
        close(find[key + (r['name'] + '_smallest_p', r['versus'])]['est'], min(1, 2 / 2 ** (b + c)), (r['name'] + '_smallest_p',))
        clustered = find.get(key + (r['name'] + '_clustered', r['versus']))
        assert (clustered is not None) == (r['n_cluster'] < r['n'])
        if clustered and clustered['p'] is not None:
            d, group = defaultdict(int), {x['patient'] for x in r['data']}
            for m, x, row in zip(model, reader, r['data']):
                d[row['patient']] += m - x
            k = len(group)
            z2 = sum(d.values()) ** 2 * (k - 1) / (k * sum(x * x for x in d.values()))
            close(clustered['p'], norm_p(math.sqrt(z2)), (r['name'] + '_clustered',))

    # calibration: Newton's method on the logit
    for r in (r for r in rows if r['name'] == 'calibration_slope' and r['est'] is not None):
        label, score = arrays(r, 'label', 'score')
        key = (r['model'], r['unit'], r['stratum_kind'], r['stratum'], None)
        close(find[key + ('brier', None)]['est'], ((score - label) ** 2).mean(), ('brier',))
        x = np.stack([np.ones(len(score)), np.log(score / (1 - score))])
        for design, offset, name, at in ((x, 0, 'calibration_slope', 1), (x[:1], x[1], 'calibration_intercept', 0)):
            beta = np.zeros(len(design))
            for _ in range(60):
                p = 1 / (1 + np.exp(-(beta @ design + offset)))
                info = (design * (p * (1 - p))) @ design.T
                beta = beta + np.linalg.solve(info, design @ (label - p))
            close(find[key + (name, None)]['est'], beta[at], (name,) + key, 1e-6)
            close(find[key + (name, None)]['se'], math.sqrt(np.linalg.inv(info)[at, at]), (name,) + key, 1e-5)

    # a stratum without negatives: NULL with a reason, and the table still prints
    db.execute("UPDATE run_patient SET class_index = 1 WHERE center_id = (SELECT center_id FROM center WHERE center = 'C03')")
    db.commit()
    out = subprocess.run([program, 'stats', path, '--details'], check=True, stdout=subprocess.PIPE, encoding='utf-8').stdout
    assert 'further numbers' in out and 'auc_centers_reml' in out
    for name in ('auc', 'auc_paired_difference', 'specificity', 'balanced_accuracy', 'lr_pos', 'calibration_slope'):
        r = db.execute("SELECT est, p, reason FROM v_statistic WHERE unit = 'patient' AND stratum = 'C03' AND name = ?", (name,)).fetchone()
        assert r['est'] is None and r['p'] is None and r['reason'], (name, dict(r))
    out = subprocess.run([program, 'stats', path], check=True, stdout=subprocess.PIPE, encoding='utf-8').stdout
    assert 'models compared (paired, unit lesion, stratum all)' in out and 'readers (unit lesion, stratum all)' in out, out
    assert len(out.splitlines()) < 95 and max(map(len, out.splitlines())) < 140, out
    assert 'internal - C01' not in out
for name in ('auc_paired_difference', 'auc_paired_difference_clustered', 'auc_equality', 'auc_centers_dl', 'auc_centers_reml', 'youden',
             'lr_pos limit', 'sensitivity_vs_reader', 'sensitivity_vs_reader_clustered', 'calibration_slope', 'holm'):
    assert checked[name] > 0, name
print(f'{sum(checked.values())} numbers agree')
