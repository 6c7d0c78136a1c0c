#!/usr/bin/env python3
"""Readers: ratings, agreement, features, experience and the model against the mean reader, from the readings of a made-up study, against formulas
written again in numpy, scipy, and base R (glm, fisher.test, chisq.test, p.adjust) where it is installed."""
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import defaultdict

try:
    import numpy as np
    from scipy import stats
except ImportError as e:
    print('SKIP: %s is not installed' % e.name)
    sys.exit(77)
build, program = os.environ['RAD_BUILD'], os.environ['RADCOHORT']
maker = os.path.join(build, 'tests', 'store_bench')
if not os.path.exists(maker):
    print('SKIP: store_bench is not built')
    sys.exit(77)


def close(a, b, what, tolerance=1e-9):
    assert a is not None and abs(a - b) <= tolerance * max(1, abs(b)), (what, a, b)


def delong(label, score):
    pos, neg = score[label == 1], score[label == 0]
    win = (pos[:, None] > neg).astype(float) + 0.5 * (pos[:, None] == neg)
    v1, v0 = win.mean(1), win.mean(0)
    return win.mean(), math.sqrt(v1.var(ddof=1) / len(pos) + v0.var(ddof=1) / len(neg))


def auc(label, score):
    pos, neg = score[label == 1], score[label == 0]
    return ((pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)).mean()


def kappa(a, b):
    words = sorted(set(a) | set(b))
    t = np.array([[sum(x == i and y == j for x, y in zip(a, b)) for j in words] for i in words], float) / len(a)
    po, pe = np.trace(t), t.sum(1) @ t.sum(0)
    return (po - pe) / (1 - pe)


def fleiss(table):
    n, m = len(table), table[0].sum()
    p = np.sum(table, axis=0) / (n * m)
    pi = [((row ** 2).sum() - m) / (m * (m - 1)) for row in table]
    return (np.mean(pi) - (p ** 2).sum()) / (1 - (p ** 2).sum())


def r_numbers(code):
    p = subprocess.run(['Rscript', '-e', code], capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'})
    assert p.returncode == 0, p.stderr
    return [float(x) for x in p.stdout.split()]


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 's.sqlite')
    subprocess.run([maker, '-k', path, '160', '2', '2'], check=True, stdout=subprocess.DEVNULL)
    db = sqlite3.connect(path)
    db.row_factory = sqlite3.Row
    draw = random.Random(5)
    db.execute('DELETE FROM reading')
    years = {'A': 2, 'B': 9, 'C': 20}
    # of patients; B misses some, A reads some twice; the order of rows means nothing
    rows = []
    for pid, label in db.execute('SELECT rp.patient_id, k.class FROM run_patient rp LEFT JOIN run_class k ON k.run_id = rp.run_id AND'
                                 ' k.class_index = rp.class_index WHERE rp.run_id = 1'):
        for reader in 'ABC':
            if reader == 'B' and draw.random() < 0.1:
                continue
            for session in (None, '2') if reader == 'A' and draw.random() < 0.5 else (None,):
                sick = label == 'malignant'
                rating = min(5, max(1, round(draw.gauss(3.6 if sick else 2.4, 1.0))))
                rows.append((reader, pid, session, 0 if session is None else 1, 'malignant' if rating >= 3 else 'benign', rating, years[reader], sick))
    draw.shuffle(rows)
    for reader, pid, session, repeat, call, rating, exp, sick in rows:
        c = db.execute('INSERT INTO reading (reader, patient_id, session, repeat, call, rating, experience_years) VALUES (?, ?, ?, ?, ?, ?, ?)',
                       (reader, pid, session, repeat, call, rating, exp))
        put = lambda name, v: db.execute('INSERT INTO reading_feature VALUES (?, ?, ?, ?)', (c.lastrowid, name, str(v), v if isinstance(v, float) else None))
        if reader == 'A':
            put('capsule', 'yes' if draw.random() < (0.3 if sick else 0.6) else 'no')
            put('shape', draw.choice(['round', 'oval', 'lobed'] if sick else ['round', 'oval', 'oval']))
            put('diameter', round(draw.gauss(32 if sick else 25, 9), 1))
            put('invasion', 'yes' if sick and draw.random() < 0.4 else 'no')  # an empty cell
            if draw.random() < 0.5:
                put('rare', 'x')
    db.commit()
    subprocess.run([program, 'stats', path], check=True, stdout=subprocess.DEVNULL)
    stat = [dict(r) for r in db.execute("SELECT * FROM v_statistic WHERE unit = 'patient' AND model = 'net0'")]
    names = ('reader_auc', 'kappa_between_readers', 'kappa_intra_reader', 'kappa_fleiss_readers', 'cochran_q_readers', 'experience_odds_ratio',
             'auc_vs_readers_mrmc', 'feature_association', 'feature_odds_ratio', 'accuracy_between_readers', 'sensitivity_between_readers')
    assert not set(names) - {r['name'] for r in stat}, set(names) - {r['name'] for r in stat}
    for r in stat:
        if r['query'] is not None and (r['name'] in names):
            n = sum(d['label'] is not None for d in db.execute(r['query']))
            assert n == r['n'], (r['name'], r['versus'], n, r['n'])
    find = {(r['name'], r['stratum'], r['versus']): r for r in stat if r['point'] is None}

    # the units: those that the model has scored and whose truth is known
    score, label, cohort = {}, {}, {}
    for d in db.execute("SELECT p.patient_id, s.score, s.label, s.cohort FROM v_case_score s JOIN patient p ON p.patient = s.patient WHERE s.run_id = 1"
                        " AND s.model = 'net0' AND s.unit = 'patient' AND s.label IS NOT NULL"):
        score[d[0]], label[d[0]], cohort[d[0]] = d[1], d[2], d[3]
    read = defaultdict(dict)
    for d in db.execute('SELECT reader, repeat, patient_id, call, rating FROM reading'):
        if d[2] in score:
            read[d[0], d[1]][d[2]] = (d[3], d[4])
    for stratum in ('all', 'internal', 'external'):
        inside = [p for p in score if stratum in ('all', cohort[p])]
        y = lambda units: np.array([label[p] for p in units])
        right = lambda reader, p: (read[reader, 0][p][0] == 'malignant') == (label[p] == 1)
        for reader in 'ABC':
            u = [p for p in inside if p in read[reader, 0]]
            row = find['reader_auc', stratum, reader]
            a, se = delong(y(u), np.array([read[reader, 0][p][1] for p in u]))
            close(row['est'], a, ('auc', reader))
            close(row['se'], se, ('auc se', reader))
            assert row['n'] == len(u) and row['n'] + row['n_missing'] >= len(inside)
        for x, z in ('AB', 'AC', 'BC'):
            u = [p for p in inside if p in read[x, 0] and p in read[z, 0]]
            close(find['kappa_between_readers', stratum, x + ' and ' + z]['est'], kappa(*[[read[k, 0][p][0] for p in u] for k in (x, z)]), ('kappa', x, z))
            for name, only in (('sensitivity', 1), ('specificity', 0), ('accuracy', None)):
                v = [p for p in u if only is None or label[p] == only]
                b, c = sum(right(x, p) and not right(z, p) for p in v), sum(right(z, p) and not right(x, p) for p in v)
                row = find[name + '_between_readers', stratum, x + ' and ' + z]
                close(row['est'], (b - c) / len(v), name)
                close(row['p'], stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1, (name, x, z))
        u = [p for p in inside if p in read['A', 0] and p in read['A', 1]]
        close(find['kappa_intra_reader', stratum, 'A']['est'], kappa([read['A', 0][p][0] for p in u], [read['A', 1][p][0] for p in u]), 'intra')
        assert find['kappa_intra_reader', stratum, 'A']['n'] == len(u) > 10
        u = [p for p in inside if all(p in read[k, 0] for k in 'ABC')]
        close(find['kappa_fleiss_readers', stratum, None]['est'], fleiss([np.array([sum(read[k, 0][p][0] == w for k in 'ABC') for w in ('benign', 'malignant')])
                                                                          for p in u]), 'fleiss')
        x = np.array([[right(k, p) for k in 'ABC'] for p in u], float)
        q = 2 * (3 * (x.sum(0) ** 2).sum() - x.sum() ** 2) / (3 * x.sum() - (x.sum(1) ** 2).sum())
        close(find['cochran_q_readers', stratum, None]['est'], q, 'cochran')
        close(find['cochran_q_readers', stratum, None]['p'], stats.chi2.sf(q, 2), 'cochran p')
        # Obuchowski-Rockette with the model fixed: difference of AUCs, its covariance by the jackknife over cases
        lab = y(u)
        raters = [np.array([score[p] for p in u])] + [np.array([read[k, 0][p][1] for p in u], float) for k in 'ABC']
        areas = np.array([auc(lab, s) for s in raters])
        jack = np.array([[auc(np.delete(lab, i), np.delete(s, i)) for s in raters] for i in range(len(u))])
        pseudo = len(u) * areas - (len(u) - 1) * jack
        cov = np.cov(pseudo.T) / len(u)
        d = areas[0] - areas[1:]
        c = np.array([[cov[0, 0] - cov[0, i] - cov[0, j] + cov[i, j] for j in (1, 2, 3)] for i in (1, 2, 3)])
        ms, cov2 = d.var(ddof=1), (c.sum() - np.trace(c)) / 6
        with_cov = ms + max(3 * cov2, 0)
        se, df = math.sqrt(with_cov / 3), with_cov ** 2 / (ms ** 2 / 2)
        row = find['auc_vs_readers_mrmc', stratum, None]
        close(row['est'], d.mean(), 'mrmc')
        close(row['se'], se, 'mrmc se', 1e-7)
        close(row['p'], 2 * stats.t.sf(abs(d.mean() / se), df), 'mrmc p', 1e-6)
    # who did not read what
    missing = {r[0] for r in db.execute("SELECT patient FROM v_reading_missing WHERE run_id = 1 AND unit = 'patient' AND reader = 'B'")}
    all_patients = {r[0] for r in db.execute('SELECT p.patient FROM run_patient JOIN patient p USING (patient_id) WHERE run_id = 1')}
    has = {r[0] for r in db.execute("SELECT p.patient FROM reading JOIN patient p USING (patient_id) WHERE reader = 'B'")}
    assert missing == all_patients - has and missing

    # features
    value = defaultdict(dict)
    for d in db.execute("SELECT f.name, rd.patient_id, f.value FROM reading rd JOIN reading_feature f USING (reading_id) WHERE rd.reader = 'A' AND repeat = 0"):
        if d[1] in score:
            value[d[0]][d[1]] = d[2]
    p = {}
    for name, v in value.items():
        row = find['feature_association', 'all', 'A: ' + name]
        assert row['n'] == len(v)
        if name == 'rare':
            assert row['p'] is None and row['reason']
            continue
        if name == 'diameter':
            a, se = delong(np.array([label[k] for k in v]), np.array([float(x) for x in v.values()]))
            close(row['est'], a, name)
            close(row['p'], 2 * stats.norm.sf(abs(a - 0.5) / se), name)
        else:
            words = sorted(set(v.values()))
            t = np.array([[sum(v[k] == w and label[k] == y for k in v) for y in (0, 1)] for w in words])
            expected = stats.contingency.expected_freq(t)
            want = stats.fisher_exact(t)[1] if t.shape == (2, 2) and expected.min() < 5 else stats.chi2_contingency(t, correction=False)[1]
            if t.shape == (2, 2) or expected.min() >= 5:
                close(row['p'], want, name, 1e-7)
            close(row['est'], math.sqrt(stats.chi2_contingency(t, correction=False)[0] / t.sum()), name)
        p[name] = row['p']
    order = sorted(p, key=p.get)
    worst = 0
    for k, name in enumerate(order):
        worst = max(worst, min(1, (len(order) - k) * p[name]))
        close(find['feature_association', 'all', 'A: ' + name]['p_adjusted'], worst, ('holm', name))
    best = 1
    for k, name in reversed(list(enumerate(order))):
        best = min(best, p[name] * len(order) / (k + 1))
        close(find['feature_association_bh', 'all', 'A: ' + name]['est'], best, ('bh', name))
    assert 'Firth' in find['feature_odds_ratio', 'all', 'A: invasion']['method']
    row = find['feature_odds_ratio', 'all', 'A: capsule']
    t = [[sum(value['capsule'][k] == w and label[k] == y for k in value['capsule']) for y in (0, 1)] for w in ('no', 'yes')]
    odds = t[0][0] * t[1][1] / (t[0][1] * t[1][0])
    close(row['est'], odds, 'odds ratio', 1e-6)
    half = 1.959963984540054 * math.sqrt(sum(1 / x for line in t for x in line))
    close(row['lower'], math.exp(math.log(odds) - half), 'odds ratio limit', 1e-5)
    # a 2 x 2 table with an empty cell: Firth's estimate is the odds ratio with 1/2 added to every cell
    t = [[sum(value['invasion'][k] == w and label[k] == y for k in value['invasion']) + 0.5 for y in (0, 1)] for w in ('no', 'yes')]
    close(find['feature_odds_ratio', 'all', 'A: invasion']['est'], t[0][0] * t[1][1] / (t[0][1] * t[1][0]), 'firth', 1e-5)
    if shutil.which('Rscript'):
        d = [(int((read[k, 0][q][0] == 'malignant') == (label[q] == 1)), years[k]) for k in 'ABC' for q in read[k, 0]]
        got = r_numbers('y <- c(%s); x <- c(%s); g <- glm(y ~ x, family = binomial); v <- list(c(%s), c(%s)); h <- glm(v[[2]] ~ v[[1]], family = binomial);'
                        ' cat(format(exp(coef(g)[2]), digits = 15), format(exp(coef(h)[2]), digits = 15), format(summary(h)$coefficients[2, 4], digits = 15))'
                        % (','.join(str(a) for a, _ in d), ','.join(str(b) for _, b in d), ','.join(value['diameter'].values()),
                           ','.join(str(label[k]) for k in value['diameter'])))
        close(find['experience_odds_ratio', 'all', None]['est'], got[0], 'experience', 1e-6)
        close(find['feature_odds_ratio', 'all', 'A: diameter']['est'], got[1], 'diameter', 1e-6)
        close(find['feature_odds_ratio', 'all', 'A: diameter']['p'], got[2], 'diameter p', 1e-5)
    else:
        print('note: R is not installed; logistic regression is not compared')
print('readers agree with numpy, scipy and R')
