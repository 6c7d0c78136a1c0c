"""Result files for the report's tests: phantom cohorts of the published designs, scored by the networks that lie beside the jobs."""
import csv, os, shutil, subprocess, sys

SOURCE = os.environ.get('RAD_SOURCE') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get('RADCOHORT') or os.path.join(SOURCE, 'build/src/cli/radcohort')
DESIGNS = {'demo': 'demo', 'liver-mri': 'liver', 'spine-ct': 'spine-ct', 'spine-mri': 'spine-mri', 'renal-ct': 'renal', 'renal-us': 'ultrasound', 'brain-mr': 'brain'}


def call(*args, expect=(0,), **more):
    r = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, **more)
    if r.returncode not in expect:
        sys.exit(f'radcohort {" ".join(map(str, args))}: exit {r.returncode}, expected {expect}\n{r.stdout}{r.stderr}')
    return r


def make(folder, job, scale, extra=''):
    """A phantom cohort and its run; returns the result file."""
    jobs = os.path.join(folder, 'jobs')
    os.makedirs(jobs, exist_ok=True)
    with open(os.path.join(SOURCE, 'jobs', job + '.yaml'), encoding='utf-8') as f:
        text = f.read()
    with open(os.path.join(jobs, job + '.yaml'), 'w', encoding='utf-8') as f:
        f.write(text + extra)
    shutil.copytree(os.path.join(SOURCE, 'jobs', job), os.path.join(jobs, job), ignore=shutil.ignore_patterns('cohort'))
    call('phantom', '-o', os.path.join(jobs, job, 'cohort'), '--design', DESIGNS[job], '--scale', scale)
    db = os.path.join(folder, job + '.sqlite')
    call('run', os.path.join(jobs, job + '.yaml'), '--db', db, expect=(0, 3))
    return db
