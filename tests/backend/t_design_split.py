#!/usr/bin/env python3
"""A split of image sets: the published counts, allowed only where it is declared, warned about with its numbers, and its price in the table."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import design

HERE = os.path.join(design.SOURCE, 'jobs', 'renal-ct-split')


class Split(design.Study):
    def phantom(self, folder, *options):
        self.said = design.call(sys.executable, os.path.join(HERE, 'cohort.py'), design.PROGRAM, folder, *options)


with Split('renal-ct-split', None, 0.25) as s:
    # at scale 1, the published counts
    published = os.path.join(s.where, 'published')
    s.phantom(published, '--tables')
    assert s.said == '1807 image sets: 1526 for training, 48832 with 32 variants of each, and 281 for the test\n', s.said
    rows = design.table(published, 'split')
    assert design.labels(rows, 'part') == {'training': 1526, 'test': 281}
    assert len({(r['patient'], r['lesion'], r['phase'], r['slice']) for r in rows}) == 1807 and len({r['patient'] for r in rows}) == 159
    # at another scale, the same in small
    rows = design.table(s.cohort, 'split')
    n, n_test = len(rows), design.labels(rows, 'part')['test']
    masses, patients = len({(r['patient'], r['lesion']) for r in rows}), len({r['patient'] for r in rows})
    training = {(r['patient'], r['lesion']) for r in rows if r['part'] == 'training'}
    seen = [sum((r['patient'], r['lesion']) in training for r in rows if r['part'] == 'test'),
            sum(r['patient'] in {p for p, _ in training} for r in rows if r['part'] == 'test')]
    s.run()
    # every image set of the test part is scored once, and no other of the study's
    want = {(r['patient'], f"{r['lesion']}-{r['phase']}", int(r['slice'])) for r in rows if r['part'] == 'test'}
    for model in ('by-image', 'by-patient'):
        got = s.sql.execute("SELECT patient, lesion, stored_slice FROM v_slice_score WHERE model = ? AND cohort = 'internal'", [model]).fetchall()
        assert len(got) == n_test and set(got) == want, model
    assert {f for f, in s.sql.execute("SELECT DISTINCT file FROM v_slice_score WHERE model = 'by-patient'")} == {
        f'renal-ct-split/models/fold{k}.onnx' for k in range(5)}
    s.compare(6)
    text, = s.sql.execute("SELECT text FROM v_warning WHERE text LIKE 'leakage: the split%'").fetchone()
    design.has(text, f'{n} of {masses} lesions ({n / masses:.1f} each) in {patients} patients ({n / patients:.1f} each); of {n_test} in the test part '
               f'{seen[0]} are of lesions, and {seen[1]} of patients')
    gain, = s.statistic('auc_difference_clustered', model='by-image', unit='slice', stratum='internal - external')
    assert s.published_table()['AUC by-image, test part - new patients']['image set'].startswith(f'{gain.est:.3f} (')
    # not declared, not scored: the file has seen these patients
    with open(s.job, encoding='utf-8') as f:
        job = f.read().splitlines(True)
    with open(s.job, 'w', encoding='utf-8') as f:
        f.writelines(x for x in job if not x.startswith('split:'))
    for command in ('check', 'run'):
        p = subprocess.run([design.PROGRAM, command, s.job, '--db', s.db] if command == 'run' else [design.PROGRAM, command, s.job], capture_output=True,
                           text=True, env=design.ENV)
        assert p.returncode == 2 and "'by-image'), which was trained on him" in p.stderr + p.stdout, p
