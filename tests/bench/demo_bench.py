#!/usr/bin/env python3
"""Studies per second from .nii.gz on disk to scores in a table: radcohort against the plain Python script that a competent user would write
(nibabel + PyTorch, DataLoader with two workers, one batch per step), same files, same machine, one run, alternating.

    python3 tests/bench/demo_bench.py PROGRAM [--scale X] [--rounds N] [--json FILE]

The job is the demo: four networks, every slice of every lesion. Both sides' scores are compared (1e-4) before any time is believed. Prints
one table: wall seconds (median of the rounds), studies per second, ratio, the time split of radcohort and the peak memory of both.
"""
import argparse, json, os, resource, shutil, sqlite3, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'jobs'))
NETWORKS = {'resnet': 'resnet', 'inception': 'inception', 'inception-resnet': 'inception_resnet', 'repvgg': 'repvgg'}


def baseline(cohort, out):
    """The Python pipeline; runs in its own process. Writes {model: {patient/lesion: score}} and its own seconds."""
    import numpy as np, onnx.numpy_helper, torch
    import train
    from prepare import Job
    torch.set_num_threads(2)
    nets = {}
    for name, file in NETWORKS.items():
        net = train.JOBS['demo']['models'][name](3, 2)
        graph = onnx.load(os.path.join(ROOT, 'jobs', 'demo', 'models', file + '.onnx')).graph
        w = {i.name: torch.from_numpy(onnx.numpy_helper.to_array(i).copy()) for i in graph.initializer}
        # the exporter stores equal tensors once and names the others by Identity nodes
        w.update({n.output[0]: w[n.input[0]] for n in graph.node if n.op_type == 'Identity' and n.input[0] in w})
        net.load_state_dict({k: w.get(k, v) for k, v in net.state_dict().items()})
        nets[name] = net.eval()
    job = Job(os.path.join(ROOT, 'jobs', 'demo.yaml'), cohort)
    lesions = job.cases()

    class Set(torch.utils.data.Dataset):
        def __len__(self):
            return len(lesions)

        def __getitem__(self, i):
            return i, job.prepare('stack', lesions[i])[0]

    start = time.monotonic()
    scores = {n: {} for n in nets}
    loader = torch.utils.data.DataLoader(Set(), batch_size=4, num_workers=2, collate_fn=list)
    with torch.no_grad():
        for batch in loader:
            x = torch.cat([s for _, s in batch])
            for n, net in nets.items():
                p, k = torch.softmax(net(x), 1)[:, 1].double().numpy(), 0
                for i, s in batch:
                    scores[n][lesions[i]['patient'] + '/' + lesions[i]['lesion']] = float(np.mean(p[k:k + len(s)]))
                    k += len(s)
    seconds = time.monotonic() - start
    with open(out, 'w') as f:
        json.dump({'seconds': seconds, 'scores': scores,
                   'rss_mb': (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024}, f)


def measured(command, **kw):
    """Wall seconds, peak resident memory (MB) of the largest process below, and the run's own account of its time."""
    start = time.monotonic()
    p = subprocess.run(['/usr/bin/env', 'python3', '-c',
                        'import resource,subprocess,sys; r=subprocess.run(sys.argv[1:]).returncode; '
                        'print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024, file=sys.stderr); sys.exit(r)'] + command,
                       capture_output=True, text=True, **kw)
    seconds = time.monotonic() - start
    if p.returncode not in (0, 3):
        sys.exit(f'{" ".join(command)}: exit {p.returncode}\n{p.stdout}{p.stderr}')
    return seconds, float(p.stderr.strip().split('\n')[-1]), json.loads(p.stdout)['session']


def main():
    a = argparse.ArgumentParser()
    a.add_argument('program')
    a.add_argument('--scale', type=float, default=2)
    a.add_argument('--rounds', type=int, default=3)
    a.add_argument('--json')
    a.add_argument('--baseline', nargs=2, help=argparse.SUPPRESS)
    o = a.parse_args()
    if o.baseline:
        return baseline(*o.baseline)
    program = os.path.abspath(o.program)
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1', OMPI_MCA_mpi_yield_when_idle='1')
    with tempfile.TemporaryDirectory() as tmp:
        cohort = os.path.join(tmp, 'demo', 'cohort')
        subprocess.run([program, 'phantom', '-o', cohort, '--scale', str(o.scale)], check=True, stdout=subprocess.DEVNULL)
        shutil.copy(os.path.join(ROOT, 'jobs', 'demo.yaml'), tmp)
        shutil.copytree(os.path.join(ROOT, 'jobs', 'demo', 'models'), os.path.join(tmp, 'demo', 'models'))
        launch = ['mpirun', '-n', '3', '--oversubscribe', '--bind-to', 'none']
        rows = {'python': [], 'radcohort, 1 process': [], 'radcohort, 3 ranks': []}
        memory, base, split = {}, None, None
        for r in range(o.rounds):
            out = os.path.join(tmp, 'python.json')
            subprocess.run([sys.executable, os.path.abspath(__file__), program, '--baseline', cohort, out], check=True)
            with open(out) as f:
                base = json.load(f)
            rows['python'].append(base['seconds'])
            memory['python'] = base['rss_mb']
            for name, prefix in (('radcohort, 1 process', []), ('radcohort, 3 ranks', launch)):
                db = os.path.join(tmp, f'{len(prefix)}-{r}.sqlite')
                seconds, rss, session = measured(prefix + [program, 'run', os.path.join(tmp, 'demo.yaml'), '--db', db, '--quiet', '--json'],
                                                 env=env, cwd=tmp)
                rows[name].append(seconds)
                memory[name] = rss
                con = sqlite3.connect(db)
                got = {}
                for m, p, l, s in con.execute("SELECT model, patient, lesion, score FROM v_case_score WHERE unit = 'lesion'"):
                    got.setdefault(m, {})[f'{p}/{l}'] = s
                worst = max(abs(got[m][k] - v) for m in base['scores'] for k, v in base['scores'][m].items())
                if worst > 1e-4:
                    sys.exit(f'{name}: scores differ from Python by {worst}: no time is worth printing')
                if not prefix:
                    split = session
        studies = len(base['scores']['resnet'])
        reference = statistics.median(rows['python'])
        print(f'{studies} lesions, four networks, every slice; median of {o.rounds} rounds; scores equal within {worst:.1e}')
        print(f'{"":24}{"seconds":>9}{"lesions/s":>11}{"ratio":>8}{"peak MB":>9}')
        result = {}
        for name, t in rows.items():
            m = statistics.median(t)
            print(f'{name:24}{m:9.2f}{studies / m:11.1f}{reference / m:8.2f}{memory[name]:9.0f}')
            result[name] = {'seconds': m, 'split': split if 'process' in name else None, 'per_second': studies / m, 'ratio': reference / m, 'peak_mb': memory[name]}
        print('radcohort, 1 process: read {read_s:.2f}, inflate {inflate_s:.2f}, prepare {prepare_s:.2f}, infer {infer_s:.2f}, write {write_s:.2f} thread seconds'.format(**split))
        print('(Python without its start-up and imports; radcohort with all of it. Ranks: largest process.)')
        if o.json:
            with open(o.json, 'w') as f:
                json.dump(result, f, indent=1)


if __name__ == '__main__':
    main()
