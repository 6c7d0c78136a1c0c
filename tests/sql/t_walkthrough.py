#!/usr/bin/env python3
"""The walk-throughs of schemas/README.md run as they stand there, and give the AUC of the file; v_flip agrees with a join by hand."""
import importlib.util, json, os, re, shutil, sqlite3, subprocess, sys, tempfile

build, source = os.environ['RAD_BUILD'], os.environ['RAD_SOURCE']
maker = os.path.join(build, 'tests', 'store_bench')
if not os.path.exists(maker):
    print('SKIP: store_bench is not built')
    sys.exit(77)
text = open(os.path.join(source, 'schemas', 'README.md'), encoding='utf-8').read()
block = {k: re.search(r'```%s\n(.*?)```' % k, text, re.S).group(1) for k in ('python', 'r', 'sh', 'sql-duckdb')
         if k != 'sh'} | {'sh': re.search(r'```sh\n(datasette.*?)```', text, re.S).group(1)}
left_out = []
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'study.sqlite')
    subprocess.run([maker, '-k', path, '60', '3', '2'], check=True, stdout=subprocess.DEVNULL)
    db = sqlite3.connect(path)
    want = db.execute("SELECT est FROM v_statistic WHERE run_id = 1 AND name = 'auc' AND unit = 'patient' AND model = 'net0'"
                      " AND stratum_kind = 'all'").fetchone()[0]

    def run(command, **more):
        p = subprocess.run(command, cwd=folder, capture_output=True, text=True, **more)
        assert p.returncode == 0, (command, p.stdout, p.stderr)
        return p.stdout

    assert abs(float(run([sys.executable, '-c', block['python']])) - want) < 1e-11
    has_r = shutil.which('Rscript') and subprocess.run(['Rscript', '-e', 'library(RSQLite)'], capture_output=True).returncode == 0
    if has_r:
        assert abs(float(run(['Rscript', '-e', block['r']]).split()[-1]) - want) < 1e-11
    else:
        left_out.append('R with RSQLite')
    if shutil.which('datasette'):
        assert json.loads(run(block['sh'], shell=True))[0]['n'] == db.execute('SELECT count(*) FROM v_center').fetchone()[0]
    else:
        left_out.append('datasette')
    if importlib.util.find_spec('duckdb'):
        import duckdb
        os.chdir(folder)
        try:
            duckdb.execute('LOAD sqlite')
            *first, last = [s for s in block['sql-duckdb'].split(';') if s.strip()]
            for s in first:
                duckdb.execute(s)
            assert duckdb.execute(last).fetchone() == db.execute('SELECT count(*) FROM slice_score').fetchone()
        except duckdb.IOException as e:
            left_out.append('DuckDB: ' + str(e).splitlines()[0])
        os.chdir('/')
    else:
        left_out.append('duckdb')

    # a second run of the job that scores some patients otherwise: copied under a new number, some scores turned round
    db.execute('PRAGMA foreign_keys = OFF')

    def copy(table, **new):
        columns = [r[1] for r in db.execute(f'PRAGMA table_info({table})')]
        picked = ', '.join(new.get(c, c) for c in columns)
        db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} FROM {table} WHERE "
                   + ('run_id = 1' if 'run_id' in columns else 'run_model_id < 100'))

    copy('run', run_id='2')
    for table in ('run_class', 'run_class_part', 'run_patient', 'operating_point'):
        copy(table, run_id='2')
    copy('run_model', run_id='2', run_model_id='run_model_id + 100')
    copy('tuned_threshold', run_id='2', run_model_id='run_model_id + 100')
    copy('manifest', run_id='2', case_id='case_id + 100000')
    copy('case_score', run_model_id='run_model_id + 100', case_key='iif(case_key > 0, case_key + 100000, 0)', score='iif(patient_id % 7 = 0, 1 - score, score)')
    calls = {r[0]: {k[:-1]: k[-1] for k in db.execute('SELECT model, unit, patient, lesion, class, point, call FROM v_call WHERE run_id = ?', r)}
             for r in [(1,), (2,)]}
    hand = {k for k in calls[1] if calls[2][k] != calls[1][k]}
    assert hand and hand == set(db.execute('SELECT model, unit, patient, lesion, class, point FROM v_flip WHERE run_id = 2 AND run_before = 1'))
print('walk-throughs agree' + ''.join(f'; not here: {w}' for w in left_out))
