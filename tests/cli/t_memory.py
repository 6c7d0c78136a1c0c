#!/usr/bin/python3
"""Volumes and samples in work stay within what the rank may use, however many loader threads there are, and the scores do not depend on it."""
import gzip
import os
import resource
import sqlite3
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.environ['RAD_SOURCE'], 'tests', 'mpi'))
import fixture

SIDE, DEPTH, CASES = 512, 120, 8 # a mask is 31 MB


def volume(path, datatype, bits, data):
    h = bytearray(348)
    struct.pack_into('<i', h, 0, 348)
    struct.pack_into('<8h', h, 40, 3, SIDE, SIDE, DEPTH, 1, 1, 1, 1)
    struct.pack_into('<hh', h, 70, datatype, bits)
    struct.pack_into('<8f', h, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into('<ff', h, 108, 352, 1)
    struct.pack_into('<hh', h, 252, 0, 1)
    for row in range(3):
        struct.pack_into('<4f', h, 280 + 16 * row, *[float(k == row) for k in range(4)])
    h[344:348] = b'n+1\0'
    with gzip.open(path, 'wb', 1) as f:
        f.write(bytes(h) + b'\0' * 4 + data)


def run(folder, name, memory):
    db = os.path.join(folder, name)
    env = {k: v for k, v in os.environ.items() if not k.startswith('SLURM_')}
    if memory:
        env['SLURM_MEM_PER_NODE'] = str(memory)
    p = subprocess.Popen([os.environ['RADCOHORT'], 'run', os.path.join(folder, 'job.yaml'), '--db', db, '--threads', '8'], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, env=env)
    text = p.stdout.read()
    usage = os.wait4(p.pid, 0)
    assert os.waitstatus_to_exitcode(usage[1]) == 0, text
    scores = sqlite3.connect(db).execute('SELECT patient, slice, score FROM v_slice_score ORDER BY 1, 2').fetchall()
    return scores, usage[2].ru_maxrss / 1024, text


with tempfile.TemporaryDirectory() as folder:
    cohort = os.path.join(folder, 'cohort')
    os.makedirs(cohort)
    plane = struct.pack(f'<{SIDE}h', *range(SIDE)) * SIDE
    inside = bytes(int(100 <= i < 140) for i in range(SIDE))
    mask = bytes(SIDE * SIDE * 50) + (bytes(SIDE * 100) + inside * 40 + bytes(SIDE * (SIDE - 140))) * 3 + bytes(SIDE * SIDE * (DEPTH - 53))
    volume(os.path.join(cohort, 'v.nii.gz'), 4, 16, plane * DEPTH)
    volume(os.path.join(cohort, 'm.nii.gz'), 2, 8, mask)
    tables = {'centers': 'center\tcohort\nH1\tinternal\n', 'patients': 'patient\tcenter\tlabel\n', 'images': 'patient\tstudy\tsequence\tpath\n',
              'lesions': 'patient\tlesion\tlabel\tmask\n'}
    for i in range(CASES):
        for what in 'vm':
            os.link(os.path.join(cohort, what + '.nii.gz'), os.path.join(cohort, f'{what}{i}.nii.gz'))
        tables['patients'] += f'P{i}\tH1\tc{i % 2}\n'
        tables['images'] += f'P{i}\ts1\tA\tv{i}.nii.gz\n'
        tables['lesions'] += f'P{i}\tL1\tc{i % 2}\tm{i}.nii.gz\n'
    for name, text in tables.items():
        with open(os.path.join(cohort, name + '.tsv'), 'w') as f:
            f.write(text)
    with open(os.path.join(folder, 'net.onnx'), 'wb') as f:
        f.write(fixture.network(1, 3, 16, 2, 8))
    with open(os.path.join(folder, 'job.yaml'), 'w') as f:
        f.write('''job: memory
cohort: cohort
unit: lesion
classes: [c0, c1]
positive: c1
near_copies: none
inputs:
  stack:
    channels: [{sequence: A, offset: [-1, 0, 1]}]
    slices: lesion-all
    region: {from: mask, margin_mm: 2}
    window: {low: 0, high: 800}
    resize: {size: 16}
models:
  - {name: net, file: net.onnx, input: stack, activation: softmax}
aggregate: {lesion: mean, patient: max}
operating_points: [{name: half, threshold: 0.5}]
backend: ref
''')
    wide, rss_wide, text_wide = run(folder, 'wide.sqlite', 0)
    tight, rss_tight, text_tight = run(folder, 'tight.sqlite', 256)
assert len(wide) == 3 * CASES and wide == tight, (len(wide), len(tight))
assert '(SLURM_MEM_PER_NODE)' in text_tight and '67 MB of 0.3 GB' in text_tight, text_tight
assert '--threads' in text_wide, text_wide
# one case at a time: its mask and a few slices; eight at a time are eight masks
if not os.environ.get('RAD_SANITIZE'):  # whose memory is its own
    assert rss_tight < rss_wide - 60, f'{rss_tight:.0f} MB with little memory, {rss_wide:.0f} MB with plenty'
print(f'{rss_tight:.0f} MB with room for one case, {rss_wide:.0f} MB with room for all')
