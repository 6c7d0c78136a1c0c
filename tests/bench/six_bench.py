#!/usr/bin/python3
"""What six networks cost in one pass: jobs/renal-ct, whose networks see one to four of the same phases, against each network by itself and
against reading once and inference alone.

usage: six_bench.py BUILD [--scale X] [--rounds N] [--width CHANNELS]

One process, one thread: the clock adds everything up. --width: networks of two convolutions with so many channels in the place of the
stand-ins, which cost next to nothing. "alone" is the network on ready samples (infer_bench), as many as the run scored."""
import argparse
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
sys.path.insert(0, os.path.join(ROOT, 'tests', 'mpi'))
import fixture

BATCH = 16


def alone(build, network, samples):
    """Seconds of the network on so many ready samples, one thread."""
    p = subprocess.Popen([os.path.join(build, 'tests', 'bench', 'infer_bench'), network, '1', 'onednn', 'fp32'], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    seconds, n = 0.0, 0
    for k in range(samples // BATCH + 4):
        p.stdin.write(f'{BATCH}\n')
        p.stdin.flush()
        t = float(p.stdout.readline().split()[0])
        if k >= 4:
            seconds, n = seconds + t, n + BATCH
    p.stdin.write('quit\n')
    p.stdin.close()
    p.wait()
    return seconds * samples / max(n, 1)


def run(program, job, env):
    """Seconds of a session with an empty database, its own account, and slices by model."""
    db = job + '.sqlite'
    for name in os.listdir(os.path.dirname(job)):
        if name.startswith(os.path.basename(db)):
            path = os.path.join(os.path.dirname(job), name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    start = time.monotonic()
    p = subprocess.run([program, 'run', job, '--db', db, '--quiet', '--json', '--threads', '1'], capture_output=True, text=True, env=env)
    seconds = time.monotonic() - start
    if p.returncode not in (0, 3):
        sys.exit(f'exit {p.returncode}\n{p.stdout}{p.stderr}')
    con = sqlite3.connect(db)
    slices = dict(con.execute('SELECT model, count(*) FROM v_slice_score GROUP BY model'))
    return seconds, json.loads(p.stdout)['session'], slices


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('build')
    a.add_argument('--scale', default='3')
    a.add_argument('--rounds', type=int, default=5)
    a.add_argument('--width', type=int, default=0)
    o = a.parse_args()
    program = os.path.abspath(os.path.join(o.build, 'src', 'cli', 'radcohort'))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(ROOT, 'jobs', 'renal-ct', 'models'), os.path.join(folder, 'renal-ct', 'models'))
        subprocess.run([program, 'phantom', '-o', os.path.join(folder, 'renal-ct', 'cohort'), '--design', 'renal', '--scale', o.scale], check=True,
                       stdout=subprocess.DEVNULL)
        with open(os.path.join(ROOT, 'jobs', 'renal-ct.yaml'), encoding='utf-8') as f:
            whole = yaml.safe_load(f)
        whole.pop('regressions')
        whole['batch'] = BATCH
        planes = {name: sum(len(c['offset']) if isinstance(c.get('offset'), list) else 1 for c in spec['channels']) for name, spec in whole['inputs'].items()}
        for k, m in enumerate(whole['models']):
            m.pop('when_missing', None)  # a network scores by itself or not at all, here as there
            if o.width:
                with open(os.path.join(folder, m['file']), 'wb') as f:
                    f.write(fixture.network(k + 1, planes[m['input']], 40, 2, o.width))
        jobs = {'six in one pass': whole}
        for m in whole['models']:
            jobs[m['name']] = dict(whole, models=[m], inputs={m['input']: whole['inputs'][m['input']]})
        for name, spec in jobs.items():
            with open(os.path.join(folder, re.sub(r'\W', '_', name) + '.yaml'), 'w') as f:
                yaml.safe_dump(spec, f)
        seconds, account, slices = {}, {}, {}
        for _ in range(o.rounds):
            for name in jobs:
                s, account[name], slices[name] = run(program, os.path.join(folder, re.sub(r'\W', '_', name) + '.yaml'), dict(os.environ))
                seconds.setdefault(name, []).append(s)
        inference = {m['name']: alone(o.build, os.path.join(folder, m['file']), slices['six in one pass'][m['name']]) for m in whole['models']}
        m = {name: statistics.median(s) for name, s in seconds.items()}
        print(f'{o.rounds} rounds, medians; {sum(slices["six in one pass"].values())} slice scores')
        print(f'{"":20}{"slices":>8}{"seconds":>9}{"network alone":>15}{"read":>7}{"prepare":>9}{"infer":>7}{"write":>7}')
        for name in jobs:
            t = account[name]
            net = sum(inference.values()) if name == 'six in one pass' else inference[name]
            print(f'{name:20}{sum(slices[name].values()):8}{m[name]:9.2f}{net:15.2f}{t["read_s"] + t["inflate_s"]:7.2f}{t["prepare_s"]:9.2f}'
                  f'{t["infer_s"]:7.2f}{t["write_s"]:7.2f}')
        six, each = m['six in one pass'], sum(v for k, v in m.items() if k != 'six in one pass')
        one = {k: m[k] - inference[k] for k in inference}
        print(f'six runs of one network: {each:.2f} s, {each / six:.2f} times the one pass')
        print(f'everything but its network in the dearest of these: {max(one.values()):.2f} s; with six inferences alone '
              f'{max(one.values()) + sum(inference.values()):.2f} s; the one pass takes {six / (max(one.values()) + sum(inference.values())):.2f} times that')


if __name__ == '__main__':
    main()
