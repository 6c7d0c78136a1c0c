#!/usr/bin/env python3
"""What a report promises without a browser: it reads the result file and nothing else, changes nothing, gives the same bytes again, keeps
every figure's data and query, queries that give those data again, counts that add up, text that cannot become markup or a formula."""
import csv, hashlib, io, os, re, shutil, sqlite3, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixture
import page


def digest(folder):
    h = hashlib.sha256()
    for base, dirs, files in sorted(os.walk(folder)):
        for name in sorted(files):
            with open(os.path.join(base, name), 'rb') as f:
                h.update(name.encode() + f.read())
    return h.hexdigest()


def near(x, y):
    try:
        return x == y or abs(float(x) - float(y)) < 1e-12
    except ValueError:
        return False


def queries_again(db, folder, one, names):
    """The SQL beside a table gives its CSV again from the file alone: those that need no extension, in this SQLite."""
    con = sqlite3.connect(f'file:{db}?mode=ro', uri=True)
    for name in names:
        with open(os.path.join(folder, 'csv', name + '.csv'), newline='', encoding='utf-8') as f:
            table = list(csv.reader(f))
        got = con.execute(one.source[f'csv/{name}.csv'])
        assert [c[0] for c in got.description] == table[0], name
        text = [['' if v is None else str(v) for v in row] for row in got]
        want = [[re.sub("^'", '', v) for v in row] for row in table[1:]]
        assert len(text) == len(want) > 0 and all(near(x, y) for a, b in zip(text, want) for x, y in zip(a, b)), f'{name} is not what its query gives'


def confusion(db, folder):
    """The matrix of several classes, counted again here: endpoints made of classes are no class that could be called."""
    con = sqlite3.connect(db)
    best = {}
    for model, patient, lesion, cohort, name, score, label in con.execute(
            "SELECT model, patient, lesion, cohort, v.class, score, label FROM v_case_score v JOIN run_class k ON k.run_id = v.run_id AND k.class ="
            " v.class WHERE unit = 'patient' AND k.rule IS NULL ORDER BY k.class_index"):
        one = best.setdefault((model, patient, cohort), [None, -1, None])
        if score > one[1]:
            one[:2] = name, score
        if label:
            one[2] = name
    want = {}
    for (model, _, cohort), (call, _, truth) in best.items():
        if truth is not None:
            want[model, cohort, truth, call] = want.get((model, cohort, truth, call), 0) + 1
    got = {(r['model'], r['cohort'], r['truth'], r['call']): int(r['n']) for r in page.rows(folder, 'class-matrices') if r['unit'] == 'patient'}
    assert got == want and len({k[2] for k in want}) >= 3, (sorted(set(got.items()) ^ set(want.items()))[:4])


def undrawn(page):
    """The list of what is not part of the run: reasons by section."""
    part = page[page.index('id="absent"'):]
    return {t: re.sub('<[^>]+>', ' ', d) for t, d in re.findall('<dt>(.*?)</dt>(.*?)</div>', part[:part.index('</dl>')])}


def nothing(folder):
    """A run in which nothing was scored, and one whose statistics are gone: no frame without data, each named with its reason."""
    jobs = os.path.join(folder, 'unscored', 'jobs')
    shutil.copytree(os.path.join(fixture.SOURCE, 'jobs', 'demo'), os.path.join(jobs, 'demo'), ignore=shutil.ignore_patterns('cohort'))
    shutil.copy(os.path.join(fixture.SOURCE, 'jobs', 'demo.yaml'), jobs)
    fixture.call('phantom', '-o', os.path.join(jobs, 'demo', 'cohort'), '--design', 'demo', '--scale', 0.1)
    shutil.rmtree(os.path.join(jobs, 'demo', 'cohort', 'images'))
    db = os.path.join(folder, 'unscored.sqlite')
    fixture.call('run', os.path.join(jobs, 'demo.yaml'), '--db', db, expect=(3,))
    stopped = os.path.join(folder, 'stopped.sqlite')
    shutil.copy(os.path.join(folder, 'demo.sqlite'), stopped)
    con = sqlite3.connect(stopped)
    con.execute('DELETE FROM statistic')
    con.commit()
    con.close()
    silent = {'ROC curves', 'Centers', 'Internal against external', 'Confusion matrices', 'Operating points',
              'Calibration and decision curves', 'Readers and the model', 'Sensitivity to the aggregation'}
    for path, figures, why in ((db, ['flow-diagram'], 'scored'), (stopped, None, 'no statistics')):
        for public in ((), ('--public',)):
            out = path + '-'.join(('', 'report', *public))
            fixture.call('report', path, '-o', out, *public)
            text = page.read(out)
            one = page.Page(text) if public else page.check(out, empty=True)
            got = [f['id'] for f in one.figures if not f['image']]
            assert got == figures or figures is None and all(i.startswith('flow-') for i in got), got
            said = undrawn(text)
            assert all(why in said.get(s, '') for s in silent), said
            assert why in text[text.index('id="result"'):text.index('<nav')] and 'highest' not in text[:text.index('<nav')]
            assert '<div class="grid">\n</div>' not in text

    # only images of benign lesions: scores, but no curve; the figures are named one by one, the tables stand
    shutil.rmtree(os.path.join(jobs, 'demo', 'cohort'))
    fixture.call('phantom', '-o', os.path.join(jobs, 'demo', 'cohort'), '--design', 'demo', '--scale', 0.1)
    with open(os.path.join(jobs, 'demo', 'cohort', 'lesions.tsv'), encoding='utf-8') as f:
        for row in csv.DictReader(f, delimiter='\t'):
            if row['label'] != 'benign':
                shutil.rmtree(os.path.join(jobs, 'demo', 'cohort', 'images', row['patient']), ignore_errors=True)
    db = os.path.join(folder, 'benign.sqlite')
    fixture.call('run', os.path.join(jobs, 'demo.yaml'), '--db', db, expect=(3,))
    fixture.call('report', db, '-o', db + '-report')
    one, said = page.check(db + '-report', empty=True), undrawn(page.read(db + '-report'))
    assert not [f['id'] for f in one.figures if re.match('roc-|forest-', f['id'] or '')], one.figures
    assert 'csv/auc-table.csv' in one.links and any(re.match('calibration-', f['id'] or '') for f in one.figures)
    assert 'highest' not in re.search('id="headline".*?</ul>', page.read(db + '-report'), re.S).group()
    names = re.findall(r'([\w-]+): malignant, per patient: +\S', said['ROC curves'])
    assert {'resnet', 'inception', 'inception-resnet', 'repvgg'} <= set(names) and 'No positive case' in said['ROC curves'], said


def main():
    with tempfile.TemporaryDirectory() as folder:
        for job, scale in (('demo', 0.3), ('liver-mri', 0.08)):
            db = fixture.make(folder, job, scale, 'cam: {}\n' if job == 'demo' else '')
            before = hashlib.sha256(open(db, 'rb').read()).hexdigest()
            out, again = os.path.join(folder, job), os.path.join(folder, job + '-again')
            fixture.call('report', db, '-o', out)
            if job != 'demo': # without the cohort, too
                shutil.move(os.path.join(folder, 'jobs', job, 'cohort'), os.path.join(folder, 'away-' + job))
            fixture.call('report', db, '-o', again)
            assert digest(out) == digest(again), f'{job}: two reports differ'
            assert hashlib.sha256(open(db, 'rb').read()).hexdigest() == before, f'{job}: the result file changed'
            one = page.check(out)
            assert {f'csv/{n}' for n in os.listdir(os.path.join(out, 'csv'))} <= set(one.source)
            queries_again(db, out, one, ('headline', 'flow-diagram', 'flow-models', 'auc-table', 'model-pairs', 'operating-points', 'confusion-table',
                                         'internal-external-table', 'readers-table', 'provenance-models',
                                         *(n[:-4] for n in os.listdir(os.path.join(out, 'csv')) if n.startswith('aggregation-'))))
            assert ('data:image/png;base64,' in page.read(out)) == (job == 'demo')
            if job == 'liver-mri':
                confusion(db, out)
            text = page.read(out)
            head = text[:text.index('id="flow"')]
            missing = [r for r in page.rows(out, 'headline') if r['est'] and '%.3f' % float(r['est']) not in head]
            assert not missing, f'{job}: the headline lacks {missing}'
            for name, items in (('claim-2024', 44), ('stard-ai', 42), ('tripod-ai', 52)):
                rows = page.rows(out, name)
                assert len(rows) == items, (name, len(rows))
                assert sum(r['value'] != 'for the author' for r in rows) >= 12 and all(r['query'] for r in rows if r['value'] != 'for the author')
            print(f'{job}: {len(one.svg)} figures, {len(one.ids)} ids, {len(one.source)} data files')

        # names that would be markup, attributes or formulas
        evil = os.path.join(folder, 'evil.sqlite')
        shutil.copy(os.path.join(folder, 'demo.sqlite'), evil)
        con = sqlite3.connect(evil)
        names = ['<script>alert(1)</script>', '=HYPERLINK("http://x")', '"><img src=x onerror=alert(1)>', "@o'neill & sons"]
        for name, (center,) in zip(names, con.execute('SELECT center FROM center ORDER BY 1').fetchall()):
            con.execute('UPDATE center SET center = ? WHERE center = ?', (name, center))
            con.execute("UPDATE statistic SET stratum = ? WHERE stratum_kind = 'center' AND stratum = ?", (name, center))
            con.execute('UPDATE statistic SET versus = ? WHERE versus = ?', (name, center))
        con.execute("UPDATE run_model SET model = 'm<b>&\"' || char(39) || run_model_id")
        con.execute("UPDATE run SET job = '</title><script>alert(2)</script>'")
        con.commit()
        con.close()
        out = os.path.join(folder, 'evil')
        fixture.call('report', evil, '-o', out)
        page.check(out)
        assert '<img src=x' not in page.read(out) and 'alert(1)</script>' not in page.read(out) and 'alert(2)</script>' not in page.read(out)
        text = ''.join(open(os.path.join(out, 'csv', n), encoding='utf-8').read() for n in os.listdir(os.path.join(out, 'csv')))
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                assert not re.match('[=@+]|-[^0-9.ei]', cell), f'a formula: {cell}'
        assert "'=HYPERLINK" in text and "'@o'neill" in text
        fixture.call('report', evil, '-o', os.path.join(folder, 'evil-public'), '--public')

        nothing(folder)

        # counts that do not add up: no report
        broken = os.path.join(folder, 'broken.sqlite')
        shutil.copy(os.path.join(folder, 'demo.sqlite'), broken)
        con = sqlite3.connect(broken)
        con.execute('DELETE FROM case_score WHERE patient_id = (SELECT min(patient_id) FROM case_score) AND run_model_id = 1')
        con.commit()
        con.close()
        r = fixture.call('report', broken, '-o', os.path.join(folder, 'broken'), expect=(1,))
        assert 'does not add up' in r.stderr, r.stderr
        assert not os.path.exists(os.path.join(folder, 'broken', 'index.html'))

        # asked wrongly
        demo = os.path.join(folder, 'demo.sqlite')
        for args, word in (((demo,), 'folder'), ((demo, '-o', folder, '--run', '99'), 'no run 99'), ((demo, '-o', folder, '--k', '5'), '--public'),
                           ((demo, '-o', folder, '--public', '--k', '1'), '2 to 1000')):
            r = fixture.call('report', *args, expect=(2,))
            assert word in r.stderr, r.stderr
        fixture.call('report', os.path.join(folder, 'none.sqlite'), '-o', folder, expect=(1, 2))


main()
