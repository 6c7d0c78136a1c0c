#!/usr/bin/env python3
"""A public report against an attacker: all counts that it shows, and all sums that connect them, become a linear programme, and every
suppressed count must stay unknown. The programme is built from the CSV files alone, by another way than the report's own ledger."""
import os, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import lil_matrix
except ImportError as e:
    print(f'SKIP: {e}')
    sys.exit(77)
import fixture
import page

HIDDEN = 'suppressed'


class Attack:
    def __init__(self):
        self.name, self.known, self.sums = {}, {}, []

    def cell(self, key, text):
        i = self.name.setdefault(key, len(self.name))
        if text is not None and text not in ('', HIDDEN):
            value = float(text)
            assert self.known.get(i, value) == value, f'{key}: {self.known[i]} here, {value} there'
            self.known[i] = value
        return i

    def sum(self, whole, parts):
        self.sums.append((whole, parts))

    def bounds(self, i):
        n = len(self.name)
        a = lil_matrix((len(self.sums), n))
        for r, (w, parts) in enumerate(self.sums):
            a[r, w] += 1
            for p in parts:
                a[r, p] -= 1
        box = [(self.known.get(j, 0), self.known.get(j, 1e6)) for j in range(n)]
        out = []
        for sign in (1, -1):
            c = np.zeros(n)
            c[i] = sign
            r = linprog(c, A_eq=a.tocsr(), b_eq=np.zeros(len(self.sums)), bounds=box, method='highs')
            out.append(sign * r.fun if r.status == 0 else sign * (0 if sign > 0 else -1e6) if r.status == 3 else None)
            assert r.status in (0, 3), f'status {r.status}: what the report shows does not add up'
        return out


def strata(attack, table, key, columns, centers):
    """`key` of a row without its stratum; whole = cohorts = centers."""
    found = {}
    for row in table:
        for c in columns:
            found.setdefault((key(row), c), {})[(row['stratum_kind'], row['stratum'])] = attack.cell((key(row), c, row['stratum_kind'], row['stratum']), row[c])
    for cells in found.values():
        whole = cells.get(('all', 'all'))
        cohort = [cells[k] for k in (('cohort', 'internal'), ('cohort', 'external')) if k in cells]
        if whole is not None and len(cohort) == 2:
            attack.sum(whole, cohort)
        for name in ('internal', 'external'):
            parts = [i for (kind, s), i in cells.items() if kind == 'center' and centers.get(s) == name]
            if ('cohort', name) in cells and parts and len(parts) == sum(v == name for v in centers.values()):
                attack.sum(cells['cohort', name], parts)
    return found


def attack_on(public, private, k):
    a = Attack()
    centers = {}
    table1 = page.rows(public, 'table-1-data')
    confusion = page.rows(public, 'confusion-table')
    for row in page.rows(private, 'confusion-table'):
        if row['stratum_kind'] == 'center':
            centers[row['stratum']] = row['cohort']
    cells = strata(a, confusion, lambda r: (r['model'], r['unit'], r['class'], r['point']), ['tp', 'fn', 'fp', 'tn'], centers)
    # true and false calls make up a class, which every model and point shares, and which Table 1 and the headline show, too
    for (key, c), of in list(cells.items()):
        if c not in ('tp', 'tn'):
            continue
        other = cells[key, {'tp': 'fn', 'tn': 'fp'}[c]]
        for stratum, i in of.items():
            whole = a.cell(('class', key[1], c, stratum), None)
            a.sum(whole, [i, other[stratum]])
            n = a.cell(('n', key[1], stratum), None)
            if c == 'tp':
                a.sum(n, [whole, a.cell(('class', key[1], 'tn', stratum), None)])
    for row in table1:
        if row['variable'] == 'label' and row['count'] and row['group'] in centers:
            positive = confusion[0]['class'] == row['level']
            a.cell(('class', 'patient', 'tp' if positive else 'tn', ('center', row['group'])), row['count'])
    for row in page.rows(public, 'headline'):
        a.cell(('n', 'patient', (row['stratum_kind'], row['stratum'])), row['n'])
    for kind in ('patient', 'lesion'):
        for c in ('tp', 'tn'):
            parts = [a.cell(('class', kind, c, ('cohort', x)), None) for x in ('internal', 'external')]
            if ('class', kind, c, ('all', 'all')) in a.name:
                a.sum(a.cell(('class', kind, c, ('all', 'all')), None), parts)
    truth = {}
    for row in page.rows(private, 'confusion-table'):
        for c in ('tp', 'fn', 'fp', 'tn'):
            truth[(row['model'], row['unit'], row['class'], row['point']), c, row['stratum_kind'], row['stratum']] = float(row[c])
    small = [key for key, v in truth.items() if 0 < v < k]
    told = 0
    for key in small:
        i = a.name[key]
        assert i not in a.known, f'{key} = {truth[key]} is shown'
        low, high = a.bounds(i)
        assert low is not None and high - low > 0.999, f'{key} = {truth[key]} follows from what is shown: {low} to {high}'
        told += high - low < k - 1e-9
    shown = sum(i in a.known for i in a.name.values())
    print(f'{len(small)} small counts attacked with {len(a.sums)} sums and {shown} counts shown; {told} known to within less than k')
    return len(small), shown


COUNTS = {'n', 'n_pos', 'n_neg', 'count', 'tp', 'fp', 'fn', 'tn', 'n_missing', 'n_case', 'n_scored', 'n_excluded', 'n_patient', 'n_patient_scored', 'n_patient_excluded', 'n_cluster'}


def no_small_count(public, k):
    for name in sorted(os.listdir(os.path.join(public, 'csv'))):
        for row in page.rows(public, name[:-4]):
            for column in COUNTS & set(row):
                if row[column] not in ('', HIDDEN):
                    assert not 0 < float(row[column]) < k, f'{name}: {column} = {row[column]}'


def main():
    with tempfile.TemporaryDirectory() as folder:
        for job, scale in (('demo', 0.35), ('spine-ct', 0.2)):
            db = fixture.make(folder, job, scale)
            private = os.path.join(folder, job + '-private')
            fixture.call('report', db, '-o', private)
            for k in (5,) if job == 'spine-ct' else (4, 5):
                public = os.path.join(folder, f'{job}-public{k}')
                fixture.call('report', db, '-o', public, '--public', '--k', k)
                no_small_count(public, k)
                n, shown = attack_on(public, private, k)
                assert n > 0, 'nothing small: the test tests nothing'
                assert shown > 0, 'everything is suppressed: nobody would use it'
                with open(os.path.join(public, 'index.html'), encoding='utf-8') as f:
                    page = f.read()
                for word in ('data:image/png', 'decision-', 'Command: <code>'):
                    assert word not in page, word
        # the check itself: the same attack on the private numbers must succeed
        try:
            attack_on(private, private, 5)
        except AssertionError:
            pass
        else:
            raise SystemExit('the attack does not see a shown count')


main()
