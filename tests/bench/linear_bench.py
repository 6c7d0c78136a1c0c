#!/usr/bin/python3
"""Time and memory per study at growing numbers of studies: is the cost linear, and what grows with the archive?

usage: linear_bench.py BUILD [--studies 100 1000 10000] [--ranks 0 3] [--json]

The studies and the job are those of pipeline_bench.py, volumes (48 x 48 x 24) and network smaller, so that what belongs to a study shows. --ranks 0 is one process.
Memory is that of the largest process (with ranks: the coordinator, which knows all studies, or a worker, which knows a few)."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pipeline_bench
from pipeline_bench import fixture

WRAP = ('import resource,subprocess,sys\nr=subprocess.run(sys.argv[1:]).returncode\n'
        'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\nsys.exit(r)')


def measured(command, env):
    start = time.monotonic()
    p = subprocess.run([sys.executable, '-c', WRAP] + command, capture_output=True, text=True, env=env)
    seconds = time.monotonic() - start
    if p.returncode != 0:
        sys.exit(f'{" ".join(command)}: exit {p.returncode}\n{p.stdout}{p.stderr}')
    return seconds, int(p.stderr.strip().split('\n')[-1]) / 1024, json.loads(p.stdout)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('build')
    a.add_argument('--studies', type=int, nargs='*', default=[100, 1000, 10000])
    a.add_argument('--ranks', type=int, nargs='*', default=[0])
    a.add_argument('--json', action='store_true')
    o = a.parse_args()
    program = os.path.abspath(os.path.join(o.build, 'src', 'cli', 'radcohort'))
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1')
    rows = []
    for n in o.studies:
        with tempfile.TemporaryDirectory() as folder:
            job = pipeline_bench.make(os.path.join(folder, 'job'), fixture.network(1, 3, 32, 2, 8), n, 32, (48, 48, 24))
            for r in o.ranks:
                db = os.path.join(folder, f'{r}.sqlite')
                seconds, mb, account = measured([program, 'run', job, '--db', db, '--quiet', '--json'] + (['--ranks', str(r)] if r else []), env)
                rows.append({'studies': n, 'ranks': r, 'seconds': seconds, 'ms_per_study': 1e3 * seconds / n, 'peak_mb': mb,
                             'database_kb_per_study': os.path.getsize(db) / 1024 / n, 'limit': account['session']['limit']})
    if o.json:
        for row in rows:
            print(json.dumps(row))
        return
    print(f'{"studies":>8}{"ranks":>7}{"seconds":>9}{"ms/study":>10}{"peak MB":>9}{"database kB/study":>19}  limit')
    for row in rows:
        print(f'{row["studies"]:8}{row["ranks"]:7}{row["seconds"]:9.2f}{row["ms_per_study"]:10.2f}{row["peak_mb"]:9.0f}{row["database_kb_per_study"]:19.1f}  '
              f'{row["limit"]}')


if __name__ == '__main__':
    main()
