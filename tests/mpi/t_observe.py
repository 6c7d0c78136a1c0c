#!/usr/bin/python3
"""What a run tells while it works and at its end: status file, Prometheus file, `radcohort status`, the line with the limit. Both files are
whole at every look."""
import json
import os
import re
import sqlite3
import shutil
import stat
import subprocess
import sys
import tempfile
import time

program, here = os.environ['RADCOHORT'], os.path.dirname(os.path.abspath(__file__))
folder = tempfile.mkdtemp()
LIMITS = {'reading', 'inflating', 'preparing', 'inference', 'maps', 'database', 'waiting'}


def prometheus(path):
    """A strict reader of the text format: {name: {labels: value}}; HELP and TYPE before the samples of a metric, once."""
    told, types, values = set(), {}, {}
    text = open(path, encoding='utf-8').read()
    assert text.endswith('\n')
    for line in text.splitlines():
        if m := re.fullmatch(r'# HELP ([a-z_]+) (\S.*)', line):
            assert m[1] not in told, line
            told.add(m[1])
        elif m := re.fullmatch(r'# TYPE ([a-z_]+) (gauge|counter)', line):
            assert m[1] in told and m[1] not in types, line
            assert (m[2] == 'counter') == m[1].endswith('_total'), line
            types[m[1]] = m[2]
        else:
            m = re.fullmatch(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+)\} (NaN|[-+0-9.e]+)', line)
            assert m and m[1] in types and m[1].startswith('radcohort_'), line
            labels = tuple(re.findall(r'([a-z]+)="((?:[^"\\]|\\.)*)"', m[2]))
            assert labels[0] == ('job', 'tiny') and labels not in values.setdefault(m[1], {}), line
            values[m[1]][labels[1:]] = float(m[3])
    return values


def state_of(p):
    on = [labels[0][1] for labels, v in p['radcohort_state'].items() if v == 1]
    assert len(on) == 1, p['radcohort_state']
    return on[0]


try:
    subprocess.run([sys.executable, os.path.join(here, 'fixture.py'), folder + '/job', '30', '60', '160'], check=True)
    db, prom = folder + '/a.sqlite', folder + '/a.prom'
    run = subprocess.Popen([program, 'run', folder + '/job/job.yaml', '--db', db, '--prometheus', prom, '--threads', '1'],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    looks = running = 0
    while run.poll() is None:
        if os.path.exists(prom):
            p, j = prometheus(prom), json.load(open(db + '.status.json'))
            looks += 1
            running += state_of(p) == 'running' and j['state'] == 'running'
            if j['state'] == 'running':
                assert j['exit_code'] is None and j['limit'] is None and j['interval_s'] == 5 and j['cases'] == 45, j
                text = subprocess.run([program, 'status', db, '--json'], check=True, capture_output=True, text=True).stdout
                s = json.loads(text)
                assert s['n_case'] == 45 == s['n_done'] + s['n_leased'] + s['n_pending'], s
        time.sleep(0.02)
    out = run.stdout.read()
    assert run.returncode == 3, (run.returncode, out)
    assert running > 0, f'{looks} looks, and never at a running job: it is too quick here'
    p, j = prometheus(prom), json.load(open(db + '.status.json'))
    assert stat.S_IMODE(os.stat(db + '.status.json').st_mode) == 0o600
    assert state_of(p) == 'finished' == j['state'] and j['exit_code'] == 3 and j['eta_s'] == 0 and j['cases_per_s'] > 0, j
    assert p['radcohort_cases'][()] == p['radcohort_cases_done'][()] == p['radcohort_session_cases_total'][()] == j['cases'] == 45
    assert p['radcohort_cases_excluded'][()] == j['excluded'] == sum(p['radcohort_session_exclusions_total'].values()) > 0
    stages = {labels[0][1]: v for labels, v in p['radcohort_stage_seconds_total'].items()}
    assert set(stages) == {'read', 'inflate', 'prepare', 'wait', 'infer', 'map', 'write'} and all(v > 0 for v in stages.values()), stages
    for name, seconds in stages.items():
        assert abs(seconds - j['session'][name + '_s']) < 0.002, (name, seconds, j)
    assert not re.search(r'P0\d\d', open(prom).read()), 'a patient is named'
    assert j['limit'] == 'inference', j  # wide networks in the slow reference backend: nothing else can be it
    line = [x for x in out.splitlines() if x.startswith('limit:')]
    assert len(line) == 1 and line[0].split()[1] == j['limit'] in LIMITS and re.search(r'inference \d+ %', line[0]), out

    # the ledger of a case is the time from its lease to its rows: on one rank with one thread that loads and one that infers
    con = sqlite3.connect(f'file:{db}?mode=ro', uri=True)
    ledger = con.execute('SELECT read_s, inflate_s, prepare_s, wait_s, infer_s, write_s FROM time_ledger').fetchall()
    part, seconds = [sum(x) for x in zip(*ledger)], j['session']['seconds']
    assert len(ledger) == 45 and min(min(r) for r in ledger) >= 0 and all(x > 0 for x in part), part
    assert max(sum(r) for r in ledger) < seconds and sum(part[:3]) < seconds and part[4] < seconds, (part, seconds)
    held = sum(part) / seconds  # cases that the rank held on average: more than one batch, no more than it may hold
    assert 4 < held < 32, (part, seconds)
    assert con.execute('SELECT read_s, inflate_s, prepare_s, wait_s, infer_s, write_s FROM v_run').fetchone() == tuple(
        con.execute('SELECT sum(read_s), sum(inflate_s), sum(prepare_s), sum(wait_s), sum(infer_s), sum(write_s) FROM time_ledger').fetchone())
    con.close()

    # the same command again: nothing was computed, no limit is claimed
    again = subprocess.run([program, 'run', folder + '/job/job.yaml', '--db', db, '--prometheus', prom, '--json'], capture_output=True,
                           text=True)
    assert again.returncode == 3 and json.loads(again.stdout)['session']['limit'] == '', again.stdout
    assert json.load(open(db + '.status.json'))['limit'] is None and state_of(prometheus(prom)) == 'finished'

    # a folder that is not there costs a line in the log and nothing else
    bad = subprocess.run([program, 'run', folder + '/job/job.yaml', '--db', folder + '/b.sqlite', '--prometheus', folder + '/none/a.prom',
                          '--quiet', '--backend', 'onednn' if 'onednn  ' in subprocess.run([program, 'backends'], capture_output=True,
                                                                                       text=True).stdout else 'ref'],
                         capture_output=True, text=True)
    assert bad.returncode == 3 and bad.stderr.count('no metrics for Prometheus') == 1, bad.stderr
    print(f'{looks} looks at a running job, {line[0]}')
finally:
    shutil.rmtree(folder)
