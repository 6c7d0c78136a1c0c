#!/usr/bin/env python3
"""Readers who call one of several classes, and their ratings, in a run of the brain job (four ordered grades, two readers, a collapse): shares
and McNemar counts against the model's call, kappas with and without weights, per cohort and center; at the endpoint ratings, their kappa and
the comparison with the mean reader. All from the views, by formulas written again in numpy and scipy."""
import os, random, re, shutil, sqlite3, subprocess, sys, tempfile

try:
    import numpy as np
    from scipy import stats
except ImportError as e:
    print('SKIP: %s is not installed' % e.name)
    sys.exit(77)
source, program = os.environ['RAD_SOURCE'], os.environ['RADCOHORT']
GRADES = ['I', 'II', 'III', 'IV']


def close(a, b, what, tolerance=1e-9):
    assert a is not None and abs(a - b) <= tolerance * max(1, abs(b)), (what, a, b)


def kappa(a, b, k, power):
    t = np.zeros((k, k))
    for i, j in zip(a, b):
        t[i, j] += 1 / len(a)
    w = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) ** power if power else 1 - np.eye(k)
    return 1 - (w * t).sum() / (w * np.outer(t.sum(1), t.sum(0))).sum()


def auc(label, score):
    pos, neg = score[label == 1], score[label == 0]
    return ((pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)).mean()


with tempfile.TemporaryDirectory() as tmp:
    subprocess.run([program, 'phantom', '-o', f'{tmp}/cohort', '--design', 'brain', '--scale', '0.4', '--seed', '6'], check=True, stdout=subprocess.DEVNULL)
    # ratings 1, 2, 3, 5 (nobody says 4), a second session, a call that is the endpoint's name and one left out
    draw, path = random.Random(2), f'{tmp}/cohort/readings.tsv'
    lines = [s.rstrip('\n').split('\t') for s in open(path)]
    head, body = lines[0], lines[1:]
    at = {name: head.index(name) for name in ('reader', 'patient', 'lesion', 'call')}
    names = sorted({r[at['reader']] for r in body})
    assert len(names) == 2, names
    with open(path, 'w') as f:
        f.write('\t'.join(head + ['rating', 'session']) + '\n')
        for k, r in enumerate(body):
            grade = GRADES.index(r[at['call']])
            rate = lambda: str([1, 2, 3, 5][min(3, max(0, grade + draw.choice([-1, 0, 0, 1])))])
            if k in (3, 10):
                r[at['call']] = 'high-grade' if k == 3 else ''
            f.write('\t'.join(r + [rate(), '']) + '\n')
            if r[at['reader']] == names[0] and draw.random() < 0.5:
                f.write('\t'.join(r + [rate(), '2']) + '\n')
    shutil.copy(f'{source}/jobs/brain-mr/models/resnet3d.onnx', f'{tmp}/net.onnx')
    text = open(f'{source}/jobs/brain-mr.yaml').read().replace('brain-mr/cohort', 'cohort').replace('brain-mr/models/resnet3d.onnx', 'net.onnx')
    open(f'{tmp}/job.yaml', 'w').write(text[:text.index('\ncam:')] + '\n')
    p = subprocess.run([program, 'check', f'{tmp}/job.yaml'], capture_output=True, text=True)
    assert re.search(r"[12] readings? ha(s|ve) a call that names an endpoint \('high-grade'\) and no class: .*; at the endpoint they count", p.stderr), p.stderr
    assert 'a call that is no class of the job' not in p.stderr, p.stderr
    p = subprocess.run([program, 'run', f'{tmp}/job.yaml', '--db', f'{tmp}/s.sqlite', '--quiet'], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    table = subprocess.run([program, 'stats', f'{tmp}/s.sqlite'], capture_output=True, text=True)
    assert table.returncode == 0, table.stderr

    db = sqlite3.connect(f'{tmp}/s.sqlite')
    db.row_factory = sqlite3.Row
    unit = {}
    for r in db.execute("SELECT patient, lesion, class, score, label, center, cohort FROM v_case_score WHERE unit = 'lesion' AND label IS NOT NULL"):
        u = unit.setdefault((r['patient'], r['lesion']), {'score': {}, 'where': ('all', r['center'], r['cohort'])})
        u['score'][r['class']] = r['score']
        if r['label'] and r['class'] in GRADES:
            u['truth'] = GRADES.index(r['class'])
    for u in unit.values():
        u['call'] = int(np.argmax([u['score'][c] for c in GRADES]))
    read, rated, again = {}, {}, {}
    for r in db.execute("SELECT reader, patient, lesion, call, rating, repeat FROM v_reading WHERE unit = 'lesion'"):
        key = r['patient'], r['lesion']
        if r['repeat']:
            again.setdefault(r['reader'], {})[key] = int(r['rating'])
            continue
        read.setdefault(r['reader'], {})[key] = r['call']
        rated.setdefault(r['reader'], {})[key] = int(r['rating'])
    rows = [dict(r) for r in db.execute("SELECT * FROM v_statistic WHERE unit = 'lesion' AND stratum_kind IN ('all', 'cohort', 'center')")]
    find = {(r['name'], r['class'], r['stratum'], r['versus'], r['point']): r for r in rows}
    assert len(find) == len(rows), 'two rows of one name'
    strata = sorted({w for u in unit.values() for w in u['where']})
    assert len(strata) == 7, strata
    compared = weighted = 0

    def compare(stratum, reader, name, cls, point, units, right_model, right_reader, prefix):
        global compared
        def get(suffix):
            return find[name + suffix, cls, stratum, reader, point]
        if not units:
            assert (name, cls, stratum, reader, point) not in find or get('')['n'] == 0
            return
        m, x = np.array([right_model(k) for k in units]), np.array([right_reader(k) for k in units])
        b, c = int((m & ~x).sum()), int((x & ~m).sum())
        close(get('')['est'], (b - c) / len(units), (name, cls, stratum))
        assert (get('_n10')['est'], get('_n01')['est'], get('')['n'], get('')['n_pos']) == (b, c, len(units), m.sum()), (get('_n10'), b, c)
        exact = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1
        close(get('')['p'], exact, (name, 'p'))
        close(get('_midp')['est'], exact - stats.binom.pmf(min(b, c), b + c, 0.5) if b != c else 1, (name, 'mid-p'))
        own = find[prefix, cls, stratum, reader, None]
        assert own['n_pos'] == x.sum() and own['n'] == len(units)
        for suffix in ('', '_n10', '_n01', '_midp'):
            assert len(db.execute(get(suffix)['query']).fetchall()) == len(units), get(suffix)['query']
        compared += b + c > 0

    high = {'III', 'IV', 'high-grade'}
    for stratum in strata:
        for reader in names:
            inside = [k for k, u in unit.items() if stratum in u['where'] and read[reader].get(k) in GRADES]
            said = {k: GRADES.index(read[reader][k]) for k in inside}
            if inside:
                compare(stratum, reader, 'multiclass_accuracy_vs_reader', None, None, inside, lambda k: unit[k]['call'] == unit[k]['truth'],
                        lambda k: said[k] == unit[k]['truth'], 'reader_multiclass_accuracy')
                for g, cls in enumerate(GRADES):
                    compare(stratum, reader, 'recall_vs_reader', cls, None, [k for k in inside if unit[k]['truth'] == g],
                            lambda k: unit[k]['call'] == g, lambda k: said[k] == g, 'reader_recall')
                    compare(stratum, reader, 'class_specificity_vs_reader', cls, None, [k for k in inside if unit[k]['truth'] != g],
                            lambda k: unit[k]['call'] != g, lambda k: said[k] != g, 'reader_class_specificity')
                for name, power in (('kappa_vs_reader', 0), ('kappa_quadratic_vs_reader', 2)):
                    a, b = [unit[k]['call'] for k in inside], [said[k] for k in inside]
                    if len(set(a) | set(b)) > 1:
                        close(find[name, None, stratum, reader, None]['est'], kappa(a, b, 4, power), (name, stratum))
                        weighted += 1
            # the endpoint: its own name counts, too
            inside = [k for k, u in unit.items() if stratum in u['where'] and read[reader].get(k) in GRADES + ['high-grade']]
            up, sure = lambda k: unit[k]['truth'] >= 2, lambda k: unit[k]['score']['high-grade'] >= 0.5
            calls = lambda k: read[reader][k] in high
            for name, part in (('sensitivity', [k for k in inside if up(k)]), ('specificity', [k for k in inside if not up(k)]), ('accuracy', inside)):
                if part:
                    compare(stratum, reader, name + '_vs_reader', 'high-grade', 'half', part, lambda k: sure(k) == up(k), lambda k: calls(k) == up(k),
                            'reader_' + name)
            if inside and len({sure(k) for k in inside} | {calls(k) for k in inside}) > 1:
                close(find['kappa_vs_reader', 'high-grade', stratum, reader, 'half']['est'],
                      kappa([int(sure(k)) for k in inside], [int(calls(k)) for k in inside], 2, 0), ('kappa at the endpoint', stratum))
        both, pair = [k for k, u in unit.items() if stratum in u['where'] and all(read[r].get(k) in GRADES for r in names)], ' and '.join(names)
        if both:
            a, b = ([GRADES.index(read[r][k]) for k in both] for r in names)
            for name, power in (('kappa_between_readers', 0), ('kappa_quadratic_between_readers', 2)):
                close(find[name, None, stratum, pair, None]['est'], kappa(a, b, 4, power), (name, stratum))
                assert len(db.execute(find[name, None, stratum, pair, None]['query']).fetchall()) == len(both)
        if stratum not in ('all', 'internal', 'external'):
            continue
        both = [k for k, u in unit.items() if stratum in u['where'] and all(read[r].get(k) in GRADES + ['high-grade'] for r in names)]
        if both:
            right = lambda r, k: (read[r][k] in high) == (unit[k]['truth'] >= 2)
            b, c = (sum(right(x, k) and not right(y, k) for k in both) for x, y in (names, names[::-1]))
            assert [find['accuracy_between_readers_' + s, 'high-grade', stratum, pair, None]['est'] for s in ('n10', 'n01')] == [b, c]
            close(find['kappa_between_readers', 'high-grade', stratum, pair, None]['est'],
                  kappa(*[[int(read[r][k] in high) for k in both] for r in names], 2, 0), 'kappa of the endpoint')
        for name, versus, x, y in (('rating_kappa_between_readers', pair, rated[names[0]], rated[names[1]]),
                                   ('rating_kappa_intra_reader', names[0], rated[names[0]], again[names[0]])):
            u = [k for k, v in unit.items() if stratum in v['where'] and k in x and k in y]
            if u:
                close(find[name, 'high-grade', stratum, versus, None]['est'], kappa([x[k] - 1 for k in u], [y[k] - 1 for k in u], 5, 2), name)
                assert find[name, 'high-grade', stratum, versus, None]['n'] == len(u) == len(db.execute(find[name, 'high-grade', stratum, versus, None]['query']).fetchall())
        u = [k for k, v in unit.items() if stratum in v['where'] and all(k in rated[r] for r in names)]
        if u:
            label = np.array([int(unit[k]['truth'] >= 2) for k in u])
            areas = [auc(label, np.array([rated[r][k] for k in u], float)) for r in names]
            for r, a in zip(names, areas):
                own = [k for k, v in unit.items() if stratum in v['where'] and k in rated[r]]
                close(find['reader_auc', 'high-grade', stratum, r, None]['est'],
                      auc(np.array([int(unit[k]['truth'] >= 2) for k in own]), np.array([rated[r][k] for k in own], float)), 'reader_auc')
            model = auc(label, np.array([unit[k]['score']['high-grade'] for k in u]))
            close(find['auc_vs_readers_mrmc', 'high-grade', stratum, None, None]['est'], model - np.mean(areas), 'mrmc at the endpoint')
    assert compared > 40 and weighted >= 10, (compared, weighted)
    print(len(rows), 'rows;', compared, 'comparisons with discordant units,', weighted, 'kappas of model and reader')
