#!/usr/bin/env python3
"""radcohort explain leads every statistic back to its cases and images, gives commands that compute it again, and tells what a key could mean.
The AUC of a center is explained, its score rows are deleted, and replay brings the same bytes."""
import json, os, shlex, shutil, sqlite3, subprocess, sys, tempfile

program, build = os.environ['RADCOHORT'], os.environ['RAD_BUILD']
here = os.path.dirname(os.path.abspath(__file__))


def call(*words, code=0):
    p = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    assert p.returncode == code, (words, p.returncode, p.stdout[-2000:], p.stderr)
    return p.stdout if code == 0 else p.stderr


def explain(db, key, *more):
    return json.loads(call('explain', db, key, '--json', *more))


def auc(rows):
    pos, neg = [s for y, s in rows if y == 1], [s for y, s in rows if y == 0]
    return sum((p > n) + 0.5 * (p == n) for p in pos for n in neg) / (len(pos) * len(neg))


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, os.path.join(here, '../mpi/fixture.py'), folder + '/job', '12'], check=True)
    path = folder + "/it's.sqlite"  # a name that a shell must not take apart
    call('run', folder + '/job/job.yaml', '--quiet', '--db', path, code=3)
    db = sqlite3.connect(path)
    key = 'auc/pair/center=H1/patient'
    e = explain(path, key)
    s = e['statistic'][0]
    assert (s['name'], s['model'], s['stratum'], s['unit']) == ('auc', 'pair', 'H1', 'patient')
    assert len(e['case']) == s['n'] + 0 and s['est'] == auc([(c['label'], c['score']) for c in e['case']])
    patients = {c['patient'] for c in e['case']}
    assert {i['patient'] for i in e['image']} == {i['patient'] for i in e['slice']} == patients
    assert {i['channel'] for i in e['image']} == {0, 1} and all(len(i['content']) == 32 for i in e['image'])
    assert e['network'][0]['sha256'] == db.execute("SELECT model_sha256 FROM v_source WHERE model = 'pair' AND model_sha256 > '' LIMIT 1").fetchone()[0]
    assert sum(m['cases'] for m in e['machine']) >= len(patients) and e['machine'][0]['host'] == os.uname().nodename
    assert e['run'][0]['result_sha256'] and e['run'][0]['job_path'] == folder + '/job/job.yaml'
    assert explain(path, s['statistic_id']) == e and explain(path, s['key']) == e, 'number and full key lead elsewhere'
    assert explain(path, 'auc/H1/patient/pair') == e

    # the commands do what they say
    assert len(e['commands']) == 4, e['commands']
    for c in e['commands']:
        words = shlex.split(c)
        if words[0] == 'radcohort':
            out = call(*words[1:], *(['--quiet'] if words[1] == 'replay' else []))
            assert 'same bytes' in out or words[1] == 'stats', out
        elif '-cmd' in words:
            if not os.path.exists(build + '/radstats.so') or os.environ.get('RAD_SANITIZE'):  # an instrumented one does not load
                continue
            mine = sqlite3.connect(words[-2])
            mine.enable_load_extension(True)
            mine.load_extension(build + '/radstats')
            assert mine.execute(words[-1]).fetchone() == (s['est'],)
        else:
            assert len(sqlite3.connect(words[1]).execute(words[2]).fetchall()) == len(e['case'])

    # every statistic is found by its number, and again by the key that it tells
    for (i,) in db.execute('SELECT statistic_id FROM statistic WHERE statistic_id % 37 = 1').fetchall():
        one = explain(path, i)['statistic'][0]
        assert one['statistic_id'] == i and explain(path, one['key'])['statistic'][0]['statistic_id'] == i, one['key']

    # cases, slices, result keys
    p = explain(path, 'P001')
    assert {r['lesion'] for r in p['score']} == {None, 'L1', 'L2'} and {r['model'] for r in p['score']} == {'one', 'two', 'pair'}
    one = explain(path, 'P001/L1/one/slice=2')
    assert [r['slice'] for r in one['slice']] == [2] and one['network'][0]['model'] == 'one' and len(one['network']) == 1
    k = explain(path, one['slice'][0]['result_key'][:10])
    assert {(r['patient'], r['lesion']) for r in k['slice']} == {('P001', 'L1')}
    excluded = explain(path, 'P002')
    assert {r['reason'] for r in excluded['exclusion']} == {'truncated'} and 'score' not in excluded

    # what it does not know, or knows too often
    assert 'could be' in call('explain', path, 'auc/pair', code=2)
    assert "did you mean 'auc'" in call('explain', path, 'auv/pair/H1', code=2)
    assert 'no lesion' in call('explain', path, 'P001/L9', code=2)
    assert 'is nothing of run' in call('explain', path, '999999', code=2)
    call('explain', path, code=2)
    text = call('explain', path, key)
    assert text.rstrip().splitlines()[-1].startswith('  radcohort replay ') and len(text.splitlines()) < 120

    # the rows are deleted, the same bytes come again
    scores = db.execute('SELECT patient, score FROM v_case_score WHERE model = ? AND unit = ? ORDER BY 1', ('pair', 'patient')).fetchall()
    db.executescript('DELETE FROM case_score; DELETE FROM slice_score')
    db.commit()
    out = call('replay', path, '--quiet', '--keep', folder + '/again.sqlite')
    assert out.rstrip().splitlines()[-1].startswith('same bytes'), out
    again = sqlite3.connect(folder + '/again.sqlite')
    assert again.execute('SELECT patient, score FROM v_case_score WHERE model = ? AND unit = ? ORDER BY 1', ('pair', 'patient')).fetchall() == scores
    assert explain(folder + '/again.sqlite', key)['statistic'][0]['est'] == s['est']
print('every number leads back')
