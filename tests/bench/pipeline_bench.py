#!/usr/bin/python3
"""How much of a run is its networks: small volumes from .nii.gz to scores, against the same network on ready samples, by threads and by ranks.

usage: pipeline_bench.py BUILD [--cases N] [--rounds N] [--width CHANNELS] [--size PIXELS] [--threads 0 1 2] [--ranks 1 2 3 4] [--json]

Makes N small volumes (96 x 96 x 24, int16, gz) with one lesion of three slices each and a network of two convolutions (as slow as a ResNet-50 with the
default width, a sixth of that with 96), and takes turns between the
network alone (infer_bench, the job's batch, all cores), one process with each number of threads (0: as the program chooses) and
'radcohort run --ranks R'. A rate is slices per second between a quarter of the cases and all of them: starting and finishing, which a long run does not
notice, cancel. The whole session is given beside it. The scores of all settings must be the same bits."""
import argparse
import gzip
import json
import os
import random
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'mpi'))
import fixture

DIMS, BATCH = (96, 96, 24), 16


def volume(path, seed, dims):
    """Noise of a few bits on steps: compresses about as CT does."""
    n = dims[0] * dims[1] * dims[2]
    data = bytearray(2 * n)
    data[0::2] = random.Random(seed).randbytes(n).translate(bytes(i & 63 for i in range(256)))
    data[1::2] = bytes(i * 3 // dims[0] for i in range(dims[0])) * (dims[1] * dims[2])
    h = bytearray(348)
    struct.pack_into('<i', h, 0, 348)
    struct.pack_into('<8h', h, 40, 3, *dims, 1, 1, 1, 1)
    struct.pack_into('<hh', h, 70, 4, 16)
    struct.pack_into('<8f', h, 76, 1, 1, 1, 3, 1, 1, 1, 1)
    struct.pack_into('<ff', h, 108, 352, 1)
    struct.pack_into('<hh', h, 252, 0, 1)
    for row, step in enumerate((1.0, 1.0, 3.0)):
        affine = [0.0] * 4
        affine[row] = step
        struct.pack_into('<4f', h, 280 + 16 * row, *affine)
    h[344:348] = b'n+1\0'
    with gzip.GzipFile(path, 'wb', 6, mtime=0) as f:
        f.write(bytes(h) + b'\0' * 4 + data)


def make(folder, network, cases, size, dims=DIMS):
    cohort = os.path.join(folder, 'cohort')
    os.makedirs(cohort)
    tables = {'centers': ['center\tcohort', 'H1\tinternal', 'H2\texternal'], 'patients': ['patient\tcenter\tlabel'],
              'images': ['patient\tstudy\tsequence\tpath'], 'lesions': ['patient\tlesion\tlabel\tbox']}
    for i in range(cases):
        label, name = ('benign', 'malignant')[i % 2], f'P{i:06d}'
        tables['patients'].append(f'{name}\tH{1 + i % 3 // 2}\t{label}')
        tables['images'].append(f'{name}\ts1\tT1\t{name}.nii.gz')
        tables['lesions'].append(f'{name}\tL1\t{label}\t{dims[0] // 5} {dims[1] // 5} 10 {dims[0] * 3 // 4} {dims[1] * 3 // 4} 13')
        volume(os.path.join(cohort, name + '.nii.gz'), i, dims)
    fixture.write_tables(cohort, tables)
    with open(os.path.join(folder, 'net.onnx'), 'wb') as f:
        f.write(network)
    job = os.path.join(folder, 'job.yaml')
    with open(job, 'w') as f:
        f.write(f'''job: pipeline
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs:
  stack:
    channels: [{{sequence: T1, offset: [-1, 0, 1]}}]
    slices: lesion-all
    region: {{from: box, margin_mm: 4}}
    window: {{low: 0, high: 500}}
    resize: {{size: {size}}}
models:
  - {{name: net, file: net.onnx, input: stack, activation: softmax}}
aggregate: {{lesion: mean, patient: max}}
operating_points: [{{name: half, threshold: 0.5}}]
backend: onednn
batch: {BATCH}
''')
    return job


class Alone:
    """The network on ready samples, kept loaded."""

    def __init__(self, build, folder, threads):
        path = os.path.join(build, 'tests', 'bench', 'infer_bench')
        self.p = subprocess.Popen([path, os.path.join(folder, 'net.onnx'), str(threads), 'onednn', 'fp32'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        self.p.stdout.readline()

    def rate(self, slices):
        seconds = 0.0
        for _ in range(slices // BATCH):
            self.p.stdin.write(f'{BATCH}\n')
            self.p.stdin.flush()
            seconds += float(self.p.stdout.readline().split()[0])
        return slices // BATCH * BATCH / seconds

    def end(self):
        self.p.stdin.write('quit\n')
        self.p.stdin.close()
        self.p.wait()


def scores(db):
    con = sqlite3.connect(db)
    got = con.execute("SELECT patient, slice, score FROM v_slice_score ORDER BY patient, slice").fetchall()
    con.close()
    return got


def run(program, job, options, env):
    """Seconds of a session, its own account and its scores; the database is made anew."""
    db = os.path.join(os.path.dirname(job), 'out.sqlite')
    for name in os.listdir(os.path.dirname(job)):
        if name.startswith('out.sqlite') and os.path.isfile(os.path.join(os.path.dirname(job), name)):
            os.remove(os.path.join(os.path.dirname(job), name))
    start = time.monotonic()
    p = subprocess.run([program, 'run', job, '--db', db, '--quiet', '--json'] + options, capture_output=True, text=True, env=env)
    seconds = time.monotonic() - start
    if p.returncode != 0:
        sys.exit(f'{options}: exit {p.returncode}\n{p.stdout}{p.stderr}')
    return seconds, json.loads(p.stdout), scores(db)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('build')
    a.add_argument('--cases', type=int, default=300)
    a.add_argument('--rounds', type=int, default=3)
    a.add_argument('--width', type=int, default=256)
    a.add_argument('--size', type=int, default=224)
    a.add_argument('--threads', type=int, nargs='*', default=[0, 1, 2])
    a.add_argument('--ranks', type=int, nargs='*', default=[1, 2, 3, 4])
    a.add_argument('--json', action='store_true')
    o = a.parse_args()
    program = os.path.abspath(os.path.join(o.build, 'src', 'cli', 'radcohort'))
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1')
    cores = len(os.sched_getaffinity(0))
    settings = [(f'threads {t or "chosen"}', ['--threads', str(t)] if t else []) for t in o.threads]
    settings += [(f'ranks {r}', ['--ranks', str(r)]) for r in o.ranks]
    network = fixture.network(1, 3, o.size, 2, o.width)
    with tempfile.TemporaryDirectory() as folder:
        few, all_ = (make(os.path.join(folder, name), network, n, o.size) for name, n in (('few', o.cases // 4), ('all', o.cases)))
        n_slice, rates, whole, last = 0, {}, {}, {}
        reference = None
        alone = Alone(o.build, os.path.join(folder, 'all'), cores)
        alone.rate(4 * BATCH)
        for _ in range(o.rounds):
            rates.setdefault('network alone', []).append(alone.rate(o.cases * 3 // 4 * 3))
            for name, options in settings:
                t0, _, got0 = run(program, few, options, env)
                t1, account, got = run(program, all_, options, env)
                if reference is None:
                    reference, n_slice = got, len(got)
                if got != reference:
                    sys.exit(f'{name}: other scores than with {settings[0][0]}')
                rates.setdefault(name, []).append((len(got) - len(got0)) / (t1 - t0))
                whole.setdefault(name, []).append(t1)
                last[name] = account.get('session', {})
        alone.end()
    base = statistics.median(rates['network alone'])
    rows = []
    for name, r in rates.items():
        m = statistics.median(r)
        rows.append({'setting': name, 'slices_per_second': m, 'share': m / base,
                     'session_seconds': statistics.median(whole[name]) if name in whole else None, 'session': last.get(name)})
    if o.json:
        print(json.dumps({'cases': o.cases, 'slices': n_slice, 'cores': cores, 'rounds': o.rounds, 'rows': rows}))
        return
    print(f'{o.cases} small volumes, {n_slice} slices, {cores} cores, median of {o.rounds} rounds; the same bits in all settings')
    print(f'{"":18}{"slices/s":>10}{"of network":>12}{"session s":>11}')
    for row in rows:
        print(f'{row["setting"]:18}{row["slices_per_second"]:10.1f}{row["share"]:12.3f}' + (f'{row["session_seconds"]:11.2f}' if row['session_seconds'] else ''))
    print(f'1.000 are {base:.1f} slices/s')


if __name__ == '__main__':
    main()
