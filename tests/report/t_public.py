#!/usr/bin/env python3
"""A public report against an attacker: all counts that it shows, and all sums that connect them, become a linear programme, and every
suppressed count must stay unknown. The programme is built from the CSV files alone, by another way than the report's own ledger.
What `freeze --public` writes is attacked in the same way, and searched for whatever names a patient, a file or a machine."""
import csv, json, os, re, sqlite3, sys, tempfile

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


def unpack(path, folder):
    """The tables of a public frozen file as the report's CSV files; returns their names."""
    os.makedirs(os.path.join(folder, 'csv'))
    db = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    names = set()
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%suppressed TEXT%'").fetchall():
        q = db.execute(f'SELECT * FROM "{table}"')
        column = [c[0] for c in q.description]
        assert column[0] == 'part' and column[-1] == 'suppressed', table
        for row in q:
            hidden = set(filter(None, row[-1].split(',')))
            assert all(row[column.index(c)] is None for c in hidden), f'{table}: a hidden value is there'
            new = row[0] not in names
            names.add(row[0])
            with open(os.path.join(folder, 'csv', row[0] + '.csv'), 'a', newline='', encoding='utf-8') as f:
                w = csv.writer(f)
                if new:
                    w.writerow(column[1:-1])
                w.writerow([HIDDEN if c in hidden else '' if v is None else repr(v) if isinstance(v, float) else v for c, v in zip(column[1:-1], row[1:-1])])
    return names


def same_cell(a, b):
    """As text, as numbers, or but for the apostrophe that keeps spreadsheets from running a text."""
    try:
        return a == b or float(a) == float(b)
    except ValueError:
        return a == "'" + b


def frozen(db, folder, public, k):
    """`freeze --public` tells what the public report tells, and nothing else."""
    path = os.path.join(folder, 'public.sqlite')
    os.makedirs(folder)
    said = json.loads(fixture.call('freeze', db, '-o', path, '--public', '--k', k, '--json').stdout)
    assert said['public'] and said['runs'] == 1 and said['suppressed_counts'] > 0, said
    fixture.call('freeze', '--check', path)
    names = unpack(path, folder)
    for name in os.listdir(os.path.join(public, 'csv')):
        shown = page.rows(public, name[:-4])
        assert (name[:-4] in names) == (len(shown) > 0), name
        mine = page.rows(folder, name[:-4]) if shown else []
        assert len(mine) == len(shown), name
        for x, y in zip(shown, mine):
            assert list(x) == list(y) and all(same_cell(x[c], y[c]) for c in x), f'{name}: {x} in the report, {y} in the frozen file'
    out = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    out.enable_load_extension(False)
    told = dict(((o, c), d) for o, c, d in out.execute('SELECT * FROM data_dictionary'))
    for (table,) in out.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        for c in [''] + [r[1] for r in out.execute(f'PRAGMA table_info("{table}")')]:
            assert len(told.pop((table, c), '')) > 2, f'{table}.{c} is not described'
    assert not told, told
    assert dict(out.execute('SELECT key, value FROM disclosure'))['k'] == str(k)
    assert {p for p, in out.execute('SELECT DISTINCT part FROM checklist')} == {'claim-2024', 'stard-ai', 'tripod-ai'}
    # nothing of one patient, of a file, of a machine
    source = sqlite3.connect(db)
    with open(path, 'rb') as f:
        body = f.read()
    for sql in ('SELECT patient FROM patient', 'SELECT path FROM image', 'SELECT DISTINCT host FROM run', 'SELECT job_path FROM run',
                'SELECT command_line FROM run', "SELECT value FROM meta WHERE key = 'file_id'"):
        for (word,) in source.execute(sql).fetchall():
            if word and len(word) > 2:
                assert not re.search(rb'(?<![A-Za-z0-9])' + re.escape(word.encode()) + rb'(?![A-Za-z0-9])', body), f'{word!r} ({sql}) is in the public file'
    for word in (folder, '/tmp/', 'cohort/'):
        assert word.encode() not in body, f'{word!r} is in the public file'
    text = open(os.path.join(folder, 'ro-crate-metadata.json'), encoding='utf-8').read()
    assert '/tmp/' not in text and 'without rows of patients' in text


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
                release = os.path.join(folder, f'{job}-frozen{k}')
                frozen(db, release, public, k)
                no_small_count(release, k)
                if job == 'spine-ct':
                    attack_on(release, private, k)
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
