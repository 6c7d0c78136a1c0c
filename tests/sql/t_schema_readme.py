#!/usr/bin/env python3
"""Every query of schemas/README.md runs on a result file and says something; the views in its tour exist."""
import os, re, sqlite3, subprocess, sys, tempfile

build, source = os.environ['RAD_BUILD'], os.environ['RAD_SOURCE']
maker = os.path.join(build, 'tests', 'store_bench')
if not os.path.exists(maker):
    print('SKIP: store_bench is not built')
    sys.exit(77)
text = open(os.path.join(source, 'schemas', 'README.md'), encoding='utf-8').read()
queries = re.findall(r'```sql\n(.*?)```', text, re.S)
assert len(queries) == 16, f'{len(queries)} queries, the text says sixteen'
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 's.sqlite')
    subprocess.run([maker, '-k', path, '120', '3', '2'], check=True, stdout=subprocess.DEVNULL)
    db = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    names = {r[0] for r in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")}
    for word in re.findall(r'`(v_\w+)`', text):
        assert word in names, f'README names {word}, which does not exist'
    answers = []
    for q in queries:
        cursor = db.execute(q)
        columns = [d[0] for d in cursor.description]
        rows = [dict(zip(columns, r)) for r in cursor]
        assert rows, f'no answer to:\n{q}'
        answers.append(rows)
    flow, left_out, auc, outside, counts, missed, slices, disagree, covariate, wide, models, readers, patients, centers, who, failures = answers
    assert all(r['n_case'] == r['n_scored'] + r['n_excluded'] == 240 for r in flow)
    assert {r['stage'] for r in left_out} >= {'intake', 'load', 'infer', 'aggregate'}
    assert {r['center'] for r in auc} == {'C00', 'C01', 'C02', 'C03'} and len(auc) == 8
    assert {r['unit'] for r in outside} == {'lesion', 'patient', 'slice'}
    for r in counts:  # the counts agree with the statistic rows
        k, n = db.execute("SELECT n_pos, n FROM v_statistic WHERE run_id = 1 AND model = ? AND unit = 'patient' AND stratum = ? AND point = ?"
                          " AND name = 'sensitivity'", (r['model'], r['cohort'], r['point'])).fetchone()
        assert (r['tp'], r['tp'] + r['fn']) == (k, n), r
    assert all(r['path'].startswith('img/') for r in missed)
    assert all(a['score'] <= b['score'] for a, b in zip(missed, missed[1:]))
    scores = dict(((p, l), s) for p, l, s in db.execute("SELECT patient, lesion, score FROM v_case_score WHERE run_id = 1 AND model = 'net0'"
                                                        " AND unit = 'lesion'"))
    assert {(r['patient'], r['lesion']): r['score'] for r in slices} == scores  # the rule of this job is max
    place = ('patient', 'lesion', 'stored_slice', 'x0', 'y0', 'x1', 'y1', 'score')
    all_slices = {tuple(r) for r in db.execute(f"SELECT {', '.join(place)} FROM v_slice_score WHERE run_id = 1 AND model = 'net0'")}
    assert {tuple(r[c] for c in place) for r in slices} <= all_slices and len(slices) == len(scores)
    assert {r['bmi'] for r in covariate} == {'below 25', '25 and more'}
    assert len(wide) == len({r['patient'] for r in wide}) and all(r['net0'] is not None or r['net1'] is not None for r in wide)
    assert {(r['model'], r['versus']) for r in models} == {('net0', 'net1')} and len(models) == 6  # naive and clustered; all, two cohorts
    assert {r['reader'] for r in readers} == {'R1'} and {r['model'] for r in readers} == {'net0', 'net1'}
    assert all(r['smallest_p'] is None or r['smallest_p'] <= r['exact_p'] for r in readers)
    # the views for people agree with the tables they are made of
    assert len(patients) == db.execute('SELECT count(*) FROM run_patient WHERE run_id = 1').fetchone()[0]
    assert all((r['score'] is None) == (r['reason'] is not None) for r in patients) and any(r['reason'] for r in patients)
    flow_of = {r['model']: r for r in flow}
    for model in flow_of:
        mine = [r for r in centers if r['model'] == model]
        assert sum(r['n_patient'] for r in mine) == flow_of[model]['n_patient'], model
        assert sum(r['n_scored'] for r in mine) == flow_of[model]['n_patient_scored'], model
        assert {(r['center'], r['auc']) for r in mine} == {(r['center'], r['auc']) for r in auc if r['model'] == model}
        for r in mine:
            n = db.execute("SELECT count(*), sum(label = 1), sum(label = 0) FROM v_case_score WHERE run_id = 1 AND unit = 'patient' AND model = ?"
                           " AND center = ?", (model, r['center'])).fetchone()
            assert (r['n_scored'], r['n_positive'], r['n_negative']) == n, r
    for r in who:
        n = db.execute('SELECT sum(call = label_class), count(*) FROM v_reading WHERE run_id = 1 AND reader = ? AND unit = ? AND call IS NOT NULL'
                       ' AND label_class IS NOT NULL', (r['reader'], r['unit'])).fetchone()
        assert (r['n_correct'], r['n_called']) == n and r['n_called'] > 0, r
    assert {(r['center'], r['stage'], r['reason']) for r in failures} == {(r['center'], r['stage'], r['reason']) for r in left_out}
    assert db.execute('SELECT count(*) FROM v_flip').fetchone() == (0,)  # one run
    # every name in the file is in the README's list, with or without the suffixes that it explains
    listed = {w for row in re.findall(r'^\| (`.*?) \|', text[text.index('| `name`'):], re.M) for w in re.findall(r'`(\w+)`', row)}
    for (name,) in db.execute('SELECT DISTINCT name FROM v_statistic'):
        base = re.sub('_clustered$', '', name)
        assert base in listed or '_vs_reader' in base or any(base == 'auc_centers' + w or base == 'reader' + w for w in listed), name
print('16 queries answered')
