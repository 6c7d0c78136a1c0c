#!/usr/bin/python3
"""Makes a job of many cases and lets coordinator_bench measure rank 0 on it.

usage: coordinator_bench.py BUILD [--cases N] [--ranks N] [--slices N] [--folder DIR]

The image files do not exist: nothing is read, only the coordinator works. DIR (default: a temporary one) decides on which disk the
database is committed."""
import argparse
import os
import subprocess
import sys
import tempfile

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument('build')
a.add_argument('--cases', type=int, default=20000)
a.add_argument('--ranks', type=int, default=64)
a.add_argument('--slices', type=int, default=1)
a.add_argument('--window', type=int, default=4)
a.add_argument('--folder')
o = a.parse_args()
here = os.path.dirname(os.path.abspath(__file__))
with tempfile.TemporaryDirectory(dir=o.folder) as folder:
    subprocess.run([sys.executable, os.path.join(here, '..', 'mpi', 'fixture.py'), folder, '6'], check=True, stdout=subprocess.DEVNULL)
    cohort = os.path.join(folder, 'cohort')
    for name in os.listdir(cohort):
        if name.endswith('.tsv') and name != 'centers.tsv':
            os.remove(os.path.join(cohort, name))
    with open(os.path.join(cohort, 'patients.tsv'), 'w') as f:
        f.write('patient\tcenter\tlabel\n')
        f.writelines(f'Q{i:08d}\tH{1 + i % 2}\t{"benign" if i % 3 else "malignant"}\n' for i in range(o.cases))
    with open(os.path.join(cohort, 'lesions.tsv'), 'w') as f:
        f.write('patient\tlesion\tlabel\tbox\n')
        f.writelines(f'Q{i:08d}\tL1\t{"benign" if i % 3 else "malignant"}\t4 5 1 14 13 4\n' for i in range(o.cases))
    with open(os.path.join(cohort, 'images.tsv'), 'w') as f:
        f.write('patient\tstudy\tsequence\tpath\n')
        for i in range(o.cases):
            f.writelines(f'Q{i:08d}\ts1\t{s}\tq/{i:08d}_{s}.nii\n' for s in ('A', 'B'))
    subprocess.run([os.path.join(o.build, 'tests', 'coordinator_bench'), os.path.join(folder, 'job.yaml'), os.path.join(folder, 'db.sqlite'),
                    str(o.ranks), str(o.slices), str(o.window)], check=True)
