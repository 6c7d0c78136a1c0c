"""What the tests of the published designs (backend/t_design_*.py) share: a small phantom cohort, the job on three ranks, and the same scores
once more: inputs by jobs/prepare.py (nibabel, numpy), the ONNX weights by the few operators below (PyTorch)."""
import collections, csv, os, random, shutil, sqlite3, subprocess, sys, tempfile

SOURCE = os.environ.get('RAD_SOURCE') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get('RADCOHORT')
TOLERANCE = 1e-4
sys.path.insert(0, os.path.join(SOURCE, 'jobs'))


def skip(why):
    print('SKIP: ' + why)
    sys.exit(77)


try:
    import numpy as np
    import onnx
    import onnx.numpy_helper
    import torch
    import torch.nn.functional as F
    from prepare import Job, Missing
except ImportError as e:
    skip(str(e))
if not PROGRAM:
    skip('RADCOHORT does not name the program')
if not shutil.which('mpirun'):
    skip('no mpirun')
torch.set_num_threads(1)
ENV = dict(os.environ, ASAN_OPTIONS='detect_leaks=0')
for name in ('OMPI_COMM_WORLD_SIZE', 'PMIX_RANK', 'PMI_RANK', 'SLURM_PROCID'):
    ENV.pop(name, None)


# ---------------------------------------------------------------- a network, from its file
class Network:
    def __init__(self, path):
        self.graph = onnx.load(path).graph
        self.weights = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in self.graph.initializer}

    def __call__(self, x):
        v = dict(self.weights)
        v[self.graph.input[0].name] = x
        for n in self.graph.node:
            a = {t.name: onnx.helper.get_attribute_value(t) for t in n.attribute}
            v[n.output[0]] = getattr(self, n.op_type.lower())(a, *[v[k] if k else None for k in n.input])
        return v[self.graph.output[0].name]

    @staticmethod
    def conv(a, x, w, b=None):
        return F.conv2d(x, w, b, a['strides'], a['pads'][:2], groups=a.get('group', 1))

    @staticmethod
    def batchnormalization(a, x, w, b, mean, var):
        return F.batch_norm(x, mean, var, w, b, False, 0, a.get('epsilon', 1e-5))

    @staticmethod
    def maxpool(a, x):
        return F.max_pool2d(x, a['kernel_shape'], a['strides'], a['pads'][:2])

    @staticmethod
    def averagepool(a, x):
        return F.avg_pool2d(x, a['kernel_shape'], a['strides'], a['pads'][:2], count_include_pad=bool(a.get('count_include_pad', 0)))

    @staticmethod
    def gemm(a, x, w, b):
        return x @ (w.T if a.get('transB') else w) + b

    @staticmethod
    def pad(a, x, pads, value=None):
        p = pads.tolist()
        return F.pad(x, [p[3], p[7], p[2], p[6]])

    constant = staticmethod(lambda a: torch.from_numpy(onnx.numpy_helper.to_array(a['value']).copy()))
    relu = staticmethod(lambda a, x: F.relu(x))
    globalaveragepool = staticmethod(lambda a, x: x.mean((2, 3), keepdim=True))
    flatten = staticmethod(lambda a, x: x.flatten(a.get('axis', 1)))
    add = staticmethod(lambda a, x, y: x + y)
    mul = staticmethod(lambda a, x, y: x * y)
    concat = staticmethod(lambda a, *x: torch.cat(x, a['axis']))
    identity = staticmethod(lambda a, x: x)


# ---------------------------------------------------------------- a study
def table(folder, name):
    with open(os.path.join(folder, name + '.tsv'), newline='', encoding='utf-8') as f:
        return list(csv.DictReader(f, delimiter='\t'))


def call(*command, codes=(0,)):
    p = subprocess.run([str(c) for c in command], env=ENV, capture_output=True, text=True, timeout=300)
    assert p.returncode in codes, f'{" ".join(map(str, command))}: exit {p.returncode}\n{p.stdout}{p.stderr}'
    return p.stdout


class Study:
    """A job of jobs/ over a phantom of its design, in a folder of its own; use with `with`."""

    def __init__(self, job, design, scale):
        self.name, self.design, self.scale = job, design, scale

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory()
        where = self.where = self.temporary.name
        jobs = os.path.join(SOURCE, 'jobs')
        shutil.copy(os.path.join(jobs, self.name + '.yaml'), where)
        shutil.copytree(os.path.join(jobs, self.name), os.path.join(where, self.name), ignore=shutil.ignore_patterns('cohort'))
        self.job, self.db = os.path.join(where, self.name + '.yaml'), os.path.join(where, 'study.sqlite')
        self.cohort = os.path.join(where, self.name, 'cohort')
        self.phantom(self.cohort, '--scale', self.scale)
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def phantom(self, folder, *options):
        call(PROGRAM, 'phantom', '-o', folder, '--design', self.design, *options)
        return {t: table(folder, t) for t in ('centers', 'patients', 'lesions', 'images') if os.path.exists(os.path.join(folder, t + '.tsv'))}

    def published(self):
        """The tables at scale 1, without images."""
        folder = os.path.join(self.where, 'published')
        out = self.phantom(folder, '--tables')
        out['readings'] = table(folder, 'readings') if os.path.exists(os.path.join(folder, 'readings.tsv')) else []
        return out

    def run(self):
        """The job on three ranks; the printed tables."""
        call('mpirun', '-q', '-n', 3, '--oversubscribe', '--bind-to', 'none', PROGRAM, 'run', self.job, '--db', self.db, '--quiet', codes=(0, 3))
        self.printed = call(PROGRAM, 'stats', self.db)
        self.details = call(PROGRAM, 'stats', self.db, '--details')
        self.sql = sqlite3.connect(f'file:{self.db}?mode=ro', uri=True)
        bad = self.sql.execute('SELECT count(*) FROM v_manifest_check WHERE n_case != n_scored + n_excluded').fetchone()
        assert bad == (0,), 'cases do not add up'

    def published_table(self):
        """What jobs/NAME/published.sql prints of the run, without gaps: {number: {unit: here}}."""
        jobs, db = os.path.join(SOURCE, 'jobs'), sqlite3.connect(f'file:{self.db}?mode=ro', uri=True)
        db.enable_load_extension(True)
        db.load_extension(os.path.join(os.environ['RAD_BUILD'], 'radstats'))
        with open(os.path.join(jobs, 'published.sql'), encoding='utf-8') as f:
            db.executescript(f.read())
        with open(os.path.join(jobs, self.name, 'published.sql'), encoding='utf-8') as f:
            rows = db.execute(f.read()).fetchall()
        out = {}
        for number, published, here, unit in rows:
            assert number and published is not None and here not in (None, ''), (number, published, here, unit)
            assert unit not in out.setdefault(number, {}), f'{number} stands twice'
            out[number][unit] = here
        return out

    def statistic(self, name, **where):
        """Rows (est, lower, upper, p, n, n_pos, n_missing, n_cluster, versus, method, model, unit, stratum, point, class)"""
        columns = 'est, lower, upper, p, n, n_pos, n_missing, n_cluster, versus, method, model, unit, stratum, point, class'
        sql = f'SELECT {columns} FROM v_statistic WHERE name = ?' + ''.join(f' AND "{k.rstrip("_")}" = ?' for k in where)
        row = collections.namedtuple('row', columns.replace('class', 'class_'))
        found = [row(*r) for r in self.sql.execute(sql, [name, *where.values()])]
        assert found, f'no statistic {name} {where}'
        return found

    def compare(self, sample, seed=1):
        """Slice scores of a sample of cases by every model, once more. Returns how many were compared and the largest difference."""
        job, rng = Job(self.job, self.cohort), random.Random(seed)
        cases = [c for c in job.cases() if not c.get('set') or c['set'] == 'validation']
        positive = job.spec.get('positive')
        n, worst, networks = 0, 0.0, {}
        for case in rng.sample(cases, min(sample, len(cases))):
            for model in job.spec['models']:
                got = self.sql.execute('SELECT slice, class, score, file FROM v_slice_score WHERE model = ? AND patient = ? AND lesion = ?',
                                       [model['name'], case['patient'], case['lesion']]).fetchall()
                use = model
                try:
                    x, slices = job.prepare(use.get('input') or next(iter(job.inputs)), case)
                except Missing as e:
                    if 'when_missing' not in model:
                        why = self.sql.execute('SELECT reason FROM v_exclusion WHERE patient = ? AND lesion = ? AND (model = ? OR model IS NULL)',
                                               [case['patient'], case['lesion'], model['name']]).fetchall()
                        assert not got and why, f"{case['patient']} {model['name']}: no {e}, yet scored or no reason kept"
                        continue
                    use = next(m for m in job.spec['models'] if m['name'] == model['when_missing'])
                    x, slices = job.prepare(use.get('input') or next(iter(job.inputs)), case)
                file = use['file'].format(fold=case['fold'])
                if file not in networks:
                    networks[file] = Network(os.path.join(job.folder, file))
                p = torch.softmax(networks[file](x).double(), 1).numpy()
                want = {(k, c): p[i, j] for i, k in enumerate(slices) for j, c in enumerate(job.classes) if not positive or c == positive}
                for e in job.spec.get('collapse', []):
                    part = [job.classes.index(c) for c in e['of']]
                    for i, k in enumerate(slices):
                        want[k, e['name']] = p[i, part].sum() if e['rule'] == 'sum' else float(p[i].argmax() in part)
                assert {(k, c) for k, c, _, _ in got} == set(want), f"{case['patient']} {case['lesion']} {model['name']}: other slices"
                assert {f for _, _, _, f in got} == {file}, f"{case['patient']} {model['name']}: scored by {got[0][3]}, {file} was expected"
                for k, c, score, _ in got:
                    worst = max(worst, abs(score - want[k, c]))
                    n += 1
        print(f'{n} slice scores recomputed, largest difference {worst:.1e}')
        assert n > 0 and worst <= TOLERANCE, f'scores differ by {worst}'
        return n, worst

    def check_aggregation(self, lesion, patient):
        """Lesion scores from slices and patient scores from lesions by these functions; AUCs of the table from the scores."""
        down = collections.defaultdict(list)
        for model, p, le, c, s in self.sql.execute('SELECT model, patient, lesion, class, score FROM v_slice_score ORDER BY patient, lesion, slice'):
            down[model, p, le, c].append(s)
        lesions, up = {}, collections.defaultdict(list)
        for model, p, le, c, s in self.sql.execute("SELECT model, patient, lesion, class, score FROM v_case_score WHERE unit = 'lesion'"):
            lesions[model, p, le, c] = s
            up[model, p, c].append(s)
        patients = {(m, p, c): s for m, p, c, s in self.sql.execute("SELECT model, patient, class, score FROM v_case_score WHERE unit = 'patient'")}
        assert set(lesions) == set(down) and set(patients) == set(up)
        # calls of the highest class are made at each unit, not aggregated
        job = Job(self.job, self.cohort)
        for e in job.spec.get('collapse', []):
            if e['rule'] != 'argmax':
                continue
            for scores in (lesions, patients):
                for k in [k for k in scores if k[-1] == e['name']]:
                    highest = max(job.classes, key=lambda c: scores[k[:-1] + (c,)])
                    assert scores.pop(k) == float(highest in e['of']), f'{k}: the highest class is {highest}'
        for k, s in lesions.items():
            assert abs(s - lesion(down[k])) <= 1e-12, f'{k}: {s}, from its slices {lesion(down[k])}'
        for k, s in patients.items():
            assert abs(s - patient(up[k])) <= 1e-12, f'{k}: {s}, from its lesions {patient(up[k])}'
        self.check_auc()

    def check_auc(self):
        for r in self.statistic('auc', stratum_kind='all'):
            view, more = ('v_slice_score', '') if r.unit == 'slice' else ('v_case_score', ' AND unit = :unit')
            rows = self.sql.execute(f'SELECT label, score FROM {view} WHERE model = :model AND class IS :class AND label IS NOT NULL{more}',
                                    {'model': r.model, 'class': r.class_, 'unit': r.unit}).fetchall() if r.class_ in self.classes() else None
            if rows is None:
                continue
            y, s = np.array([a for a, _ in rows]), np.array([b for _, b in rows])
            assert (r.n, r.n_pos) == (len(y), y.sum()), f'{r}: {len(y)} units, {y.sum()} positive'
            if 0 < y.sum() < len(y):
                d = s[y == 1][:, None] - s[y == 0][None, :]
                assert abs(r.est - np.mean((d > 0) + 0.5 * (d == 0))) < 1e-9, r

    def classes(self):
        return [c for c, in self.sql.execute('SELECT class FROM run_class')]


def labels(rows, key='label'):
    return dict(collections.Counter(r[key] for r in rows))


def slices_of(lesion):
    box = [int(v) for v in lesion['box'].split()]
    return box[5] - box[2]


def right_calls(tables, by=('reader',)):
    """Right calls per reader and class, of how many."""
    label = {r['patient']: r['label'] for r in tables['patients']}
    right, n = collections.Counter(), collections.Counter()
    for r in tables['readings']:
        if r['call']:
            n[r['reader'], label[r['patient']]] += 1
            right[r['reader'], label[r['patient']]] += r['call'] == label[r['patient']]
    return {k: (right[k], n[k]) for k in n}


def has(text, *words):
    for w in words:
        assert w in text, f'"{w}" is not in what was printed:\n{text}'
