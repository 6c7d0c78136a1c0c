#!/usr/bin/python3
"""Statistics, report and questions on a file of ten million slice scores: what each takes.

usage: slices_bench.py BUILD [--patients 50000] [--slices 230] [--keep FILE] [--limit SECONDS]

Makes the file with store_bench (two lesions per patient, up to --slices slices each, half of it on average, two classes), which by itself is the rate at
which scores are stored; then times 'radcohort stats' and 'radcohort report', the questions of schemas/README.md, the views, and statistics called in
SQL over all slices. A question that takes longer than --limit is stopped and named so. Prints a table."""
import argparse
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WHERE = "FROM v_slice_score WHERE run_id = 1 AND model = 'net0'"
VIEWS = [f'SELECT count(*) FROM {v}' for v in ('v_run', 'v_manifest_check', 'v_case_score', 'v_call', 'v_patient', 'v_center', 'v_failure', 'v_source',
                                              'v_shared_volume', 'v_reader')]
SLICES = [f'SELECT count(*) {WHERE}', f'SELECT center, avg(score) {WHERE} GROUP BY center', "SELECT * FROM v_slice_score WHERE run_id = 1 AND patient = 'P1234'"]
STATISTICS = [f'SELECT auc_json(label, score) {WHERE}', f'SELECT auc_clustered_json(label, score, patient) {WHERE}',
              f'SELECT proportion_clustered_json(score >= 0.5, patient) {WHERE} AND label = 1']


def ask(db, sql, limit):
    start = time.monotonic()
    db.set_progress_handler(lambda: time.monotonic() - start > limit, 100000)
    try:
        n = len(db.execute(sql).fetchall())
    except sqlite3.OperationalError as e:
        n = str(e)
    return time.monotonic() - start, n


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('build')
    a.add_argument('--patients', type=int, default=50000)
    a.add_argument('--slices', type=int, default=230)
    a.add_argument('--keep')
    a.add_argument('--limit', type=float, default=60)
    o = a.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = o.keep or os.path.join(folder, 'slices.sqlite')
        if not os.path.exists(path):
            start = time.monotonic()
            subprocess.run([os.path.join(o.build, 'tests', 'store_bench'), '-k', path, str(o.patients), str(o.slices), '1'], check=True,
                           stdout=subprocess.DEVNULL)
            print(f'{time.monotonic() - start:8.1f} s  made and finished (run, results, statistics, seals)')
        db = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
        slices, scores = db.execute('SELECT (SELECT count(*) FROM slice), (SELECT count(*) FROM slice_score)').fetchone()
        print(f'{slices:,} slices, {scores:,} slice scores, {o.patients:,} patients, {os.path.getsize(path) / 1e9:.2f} GB')
        for command in (['stats', path], ['report', path, '-o', os.path.join(folder, 'report')],
                        ['report', path, '-o', os.path.join(folder, 'public'), '--public']):
            start = time.monotonic()
            p = subprocess.Popen([os.path.join(o.build, 'src', 'cli', 'radcohort'), *command], stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(p.pid, 0)
            name = ' '.join(['radcohort', command[0], *command[4:]])
            if status != 0:
                sys.exit(f'{name} failed')
            print(f'{time.monotonic() - start:8.1f} s  {name} ({used.ru_utime + used.ru_stime:.1f} s of the processor, peak {used.ru_maxrss / 1024:.0f} MB)',
                  flush=True)
        text = open(os.path.join(ROOT, 'schemas', 'README.md'), encoding='utf-8').read()
        questions = re.findall(r'\n([^\n]*\?)\n\n```sql\n(.*?)```', text, re.S)
        in_sql = STATISTICS
        if hasattr(db, 'enable_load_extension'):
            db.enable_load_extension(True)
            db.load_extension(os.path.join(os.path.abspath(o.build), 'radstats'))
        else: # a Python that was built without
            print('(statistics in SQL left out: this Python loads no extensions; take /usr/bin/python3)')
            in_sql = []
        for name, sql in questions + [(s, s) for s in VIEWS + SLICES + in_sql]:
            seconds, n = ask(db, sql, o.limit)
            print(f'{seconds:8.2f} s  {name} ({n} rows)', flush=True)


if __name__ == '__main__':
    main()
