#!/usr/bin/python3
"""Every view takes time in proportion to the patients, also where a question leaves out the unit: counted in steps of SQLite's machine on files
of two sizes, so that a busy computer does not matter."""
import os
import sqlite3
import subprocess
import sys
import tempfile

SMALL, LARGE, ALLOWED = 400, 1600, 5.5  # four times as much, sorting and fixed costs included
QUESTIONS = {v: f'SELECT count(*) FROM {v} WHERE run_id = 1' for v in (
    'v_case_score', 'v_case_grade', 'v_slice_score', 'v_deciding_slice', 'v_cam', 'v_source', 'v_exclusion', 'v_warning', 'v_statistic', 'v_call', 'v_manifest_check',
    'v_run', 'v_reading', 'v_reading_missing', 'v_near_copy', 'v_patient', 'v_center', 'v_reader', 'v_failure', 'v_flip')}
QUESTIONS['v_shared_volume'] = 'SELECT count(*) FROM v_shared_volume'
QUESTIONS['calls of a model'] = "SELECT count(*) FROM v_call WHERE run_id = 1 AND model = 'net0'"
QUESTIONS['calls of everything'] = 'SELECT sum(call) FROM v_call'
QUESTIONS['scores of a center'] = "SELECT sum(score) FROM v_case_score WHERE run_id = 1 AND center = 'C01'"


def steps(db, sql):
    n = [0]

    def count():
        n[0] += 1
        return n[0] > 1_000_000

    db.set_progress_handler(count, 50)
    try:
        db.execute(sql).fetchall()
    except sqlite3.OperationalError: # given up
        pass
    db.set_progress_handler(None, 0)
    return 50 * n[0]


if not os.path.exists(os.path.join(os.environ['RAD_BUILD'], 'tests', 'store_bench')):
    print('SKIP: store_bench is not built')
    sys.exit(77)
with tempfile.TemporaryDirectory() as folder:
    dbs = []
    for n in (SMALL, LARGE):
        path = os.path.join(folder, f'{n}.sqlite')
        subprocess.run([os.path.join(os.environ['RAD_BUILD'], 'tests', 'store_bench'), '-k', path, str(n), '3', '2'], check=True, stdout=subprocess.DEVNULL)
        dbs.append(sqlite3.connect(path))
    bad = 0
    for name, sql in QUESTIONS.items():
        few, many = (steps(db, sql) for db in dbs)
        if many > ALLOWED * few + 2000:
            print(f'{name}: {few} steps for {SMALL} patients, {many} for {LARGE}')
            bad = 1
sys.exit(bad)
