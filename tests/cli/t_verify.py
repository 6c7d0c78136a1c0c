#!/usr/bin/python3
"""radcohort verify: rows that are changed, deleted and inserted are named; the chain's head does not depend on the order in which results
came. That every column is sealed: t_verify_columns.py."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

program, build = os.environ['RADCOHORT'], os.environ['RAD_BUILD']
maker = os.path.join(build, 'tests', 'store_bench')
if not os.path.exists(maker):
    print('SKIP: store_bench is not built')
    sys.exit(77)
folder = tempfile.mkdtemp()


def verify(path, *more, code=None):
    p = subprocess.run([program, 'verify', path, '--json', *more], capture_output=True, text=True)
    assert p.returncode in (0, 1), (p.returncode, p.stderr)
    r = json.loads(p.stdout)
    assert r['intact'] == (p.returncode == 0) == (r['n_finding'] == 0), r
    assert code is None or p.returncode == code, r['findings'][:5]
    return r


def make(name, *options):
    path = os.path.join(folder, name)
    subprocess.run([maker, '-k', path, '12', '3', '2', *options], check=True, stdout=subprocess.DEVNULL)
    return path


def tampered(sql, args=()):
    path = os.path.join(folder, 'changed.sqlite')
    shutil.copy(good, path)
    db = sqlite3.connect(path)
    db.execute('PRAGMA foreign_keys = OFF')
    db.execute('PRAGMA ignore_check_constraints = ON')
    n = db.execute(sql, args).rowcount
    db.commit()
    db.close()
    assert n == 1, (n, sql)
    return verify(path)


try:
    good = make('good.sqlite')
    first = verify(good, code=0)
    assert first['n_result'] > 20 and first['n_run'] == 1 and first['n_open'] == 0 and first['n_seal'] == 37, first
    assert len(first['head']) == 64
    verify(good, '--head', first['head'], code=0)
    assert verify(good, '--head', '0' * 64, code=1)['findings'][0]['table'] == 'seal'
    text = subprocess.run([program, 'verify', good], capture_output=True, text=True, check=True).stdout
    assert 'as they were stored' in text and first['head'] in text, text

    # the order of arrival and the ids that follow from it are not sealed
    backwards = verify(make('backwards.sqlite', 'backwards'), code=0)
    assert backwards['head'] == first['head']

    db = sqlite3.connect(good)
    # deleted rows are named
    lesion = db.execute("SELECT s.case_key, s.class_index, s.run_model_id, rm.model, p.patient, l.lesion, k.class FROM case_score s JOIN run_model rm USING (run_model_id)"
                        " JOIN manifest m USING (case_id) JOIN patient p ON p.patient_id = s.patient_id JOIN lesion l USING (lesion_id)"
                        " JOIN run_class k ON k.run_id = rm.run_id AND k.class_index = s.class_index LIMIT 1 OFFSET 11").fetchone()
    f = tampered('DELETE FROM case_score WHERE case_key = ? AND class_index = ? AND run_model_id = ?', lesion[:3])['findings']
    assert len(f) == 1 and f[0]['what'] == 'deleted' and f[0]['table'] == 'case_score' and f[0]['run'] == 1, f
    for word in lesion[3:]:
        assert word in f[0]['row'], (word, f)
    result, slice_, k = db.execute('SELECT result_id, slice, class_index FROM slice_score LIMIT 1 OFFSET 40').fetchone()
    f = tampered('DELETE FROM slice_score WHERE result_id = ? AND slice = ? AND class_index = ?', (result, slice_, k))['findings']
    assert [x['what'] for x in f] == ['deleted'] and f[0]['row'].endswith(f'slice {slice_}, class {k}'), f
    f = tampered('UPDATE slice_score SET score = score + 1e-15 WHERE result_id = ? AND slice = ? AND class_index = ?',
                 (result, slice_, k))['findings']
    assert [x['what'] for x in f] == ['changed'] and f[0]['row'].endswith(f'slice {slice_}, class {k}'), f
    f = tampered('DELETE FROM slice WHERE result_id = ? AND slice = ?', (result, slice_))['findings']
    assert f[0]['table'] == 'slice' and f[0]['what'] == 'deleted' and f[0]['row'].endswith(f'slice {slice_}'), f
    f = tampered('DELETE FROM result WHERE result_id = ?', (result,))['findings']
    assert {'result', 'run_result'} == {x['table'] for x in f} and f[0]['what'] == 'deleted', f
    for table in ('exclusion', 'statistic', 'manifest', 'run_patient', 'run_result', 'operating_point', 'run_class'):
        info = db.execute(f'PRAGMA table_info({table})').fetchall()
        keys = [c[1] for c in info if c[5]]
        row = db.execute(f'SELECT {", ".join(keys)} FROM {table} LIMIT 1').fetchone()
        f = tampered(f'DELETE FROM {table} WHERE ' + ' AND '.join(f'{c} = ?' for c in keys), row)['findings']
        assert any(x['table'] == table and x['what'] == 'deleted' for x in f), (table, f)

    # inserted rows
    f = tampered("INSERT INTO exclusion (run_id, unit, patient_id, stage, reason, text) SELECT 1, 'patient', max(patient_id), 'load',"
                 " 'truncated', 'invented' FROM patient")['findings']
    assert [(x['table'], x['what']) for x in f] == [('exclusion', 'inserted')], f
    f = tampered("INSERT INTO slice_score (result_id, class_index, slice, score) VALUES (?, ?, 77, 0.5)", (result, k))['findings']
    assert [(x['table'], x['what']) for x in f] == [('slice_score', 'inserted')] and '77' in f[0]['row'], f
    f = tampered("INSERT INTO result (result_key, model_id, n_slice, n_class) SELECT printf('%064d', 1), model_id, 1, 2 FROM model LIMIT 1")
    assert [(x['table'], x['what']) for x in f['findings']] == [('result', 'inserted')], f

    # numbers that no program stores
    for n in (-2, 0, 2**62):
        f = tampered('UPDATE result SET n_class = ? WHERE result_id = ?', (n, result))['findings']
        assert [(x['table'], x['what']) for x in f] == [('result', 'changed')], f
    tampered('UPDATE slice SET slice = -1 WHERE result_id = ? AND slice = ?', (result, slice_))
    assert tampered("UPDATE result_seal SET marks = x'0102' WHERE result_id = ?", (result,))['intact']  # only names rows
    assert not tampered("UPDATE result_seal SET seal = printf('%064d', 1), marks = x'0102' WHERE result_id = ?", (result,))['intact']

    # the chain itself
    f = tampered("DELETE FROM seal WHERE object = 'manifest'")['findings']
    assert {x['table'] for x in f} == {'seal'} and len(f) >= 2, f
    f = tampered("UPDATE seal SET content = printf('%064d', 1) WHERE object = 'statistic'")['findings']
    assert {'seal', 'statistic'} == {x['table'] for x in f}, f
    assert tampered("UPDATE run SET state = 'stopped'")['n_open'] == 1

    # statistics that the program itself computes again stay sealed
    subprocess.run([program, 'stats', good], check=True, stdout=subprocess.DEVNULL)
    again = verify(good, code=0)
    verify(good, '--head', first['head'], code=0)
    print(f'changed, deleted and inserted rows named; {again["n_row"]} rows')
finally:
    shutil.rmtree(folder)
