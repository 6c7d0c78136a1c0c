#!/usr/bin/env python3
"""Every command as a person meets it: help with examples that hold, words that are misspelt, files that are not there, JSON for programs,
colour for terminals only, lines that fit, the manual page and the completion of the shell; all from the program's one table."""
import json, os, pty, re, shutil, subprocess, sys, tempfile

program, source, build = (os.environ[k] for k in ('RADCOHORT', 'RAD_SOURCE', 'RAD_BUILD'))
WIDTH = 100
bad = []


def check(ok, *what):
    if not ok:
        bad.append(' '.join(map(str, what)))
        print('FAIL:', *what)


def call(*words, **more):
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


def on_terminal(*words, **environment):
    """What a terminal gets on standard output and standard error."""
    front, back = pty.openpty()
    e = {k: v for k, v in os.environ.items() if k not in ('NO_COLOR', 'TERM')}
    p = subprocess.Popen([program, *map(str, words)], stdin=subprocess.DEVNULL, stdout=back, stderr=back, env={**e, 'TERM': 'xterm', **environment})
    os.close(back)
    text = b''
    while True:
        try:
            part = os.read(front, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text += part
    os.close(front)
    p.wait()
    return text.decode()


def options_of(text):
    part = text[text.index('\noptions:\n'):text.index('\nexit status:')]
    return dict(re.findall(r'^  (-[\w-]*)( [^ ]+)?(?=  |$)', part, re.M))


overview = call('--help').stdout
commands = re.findall(r'^  ([a-z]+) +\w', overview, re.M)
helps = {c: call(c, '--help').stdout for c in commands}
options = {c: options_of(helps[c]) for c in commands}
check(len(commands) >= 21 and all(len(o) > 0 for o in options.values()), 'commands', commands)
check(not [c for c in commands if '--json' not in options[c]], 'without --json:', *[c for c in commands if '--json' not in options[c]])
for name in os.listdir(source + '/src/cli'):
    m = re.fullmatch(r'cmd_(\w+)\.c', name)
    check(not m or m.group(1) in commands, name, 'is not in the overview')


# ---------------------------------------------------------------- help, and every line in which somebody is told to type something
def check_line(line, where):
    """One `radcohort COMMAND ...` of a document: the command and its options exist, and the options have their values."""
    words = re.split(r'\s+', re.sub(r"'[^']*'|\"[^\"]*\"", 'X', line))
    if len(words) < 2 or not re.fullmatch('[a-z]+', words[1]) or '\\n' in line:  # the text of a hash, say
        return
    check(words[1] in commands, where, 'names a command that is none:', line)
    for i, w in enumerate(words):
        w = re.split('[=`.,;:)\\]]', w)[0]
        if words[1] in commands and re.fullmatch(r'--?[a-z][\w-]*', w) and w != '--help':
            check(w in options[words[1]], where, f'names an option that {words[1]} does not have:', line)
            if options[words[1]].get(w) and '=' not in words[i] and line is not None:
                check(i + 1 < len(words) and not words[i + 1].startswith('-'), where, 'leaves a value out:', line)


for c in commands:
    h = helps[c]
    check(h.startswith(f'usage: radcohort {c} '), c, 'usage')
    check('\x1b' not in h and all(len(line) <= WIDTH for line in h.splitlines()), c, 'help is too wide or coloured')
    examples = h[h.index('\nexamples:\n') + 11:].replace('\\\n', ' ').replace('&&\n', '&& ').splitlines()
    lines = [line.strip() for line in examples if not line.startswith('  #')]
    check(len(lines) >= 2, c, 'has fewer than two examples')
    check(any(re.search(rf'\bradcohort {c}\b', line) for line in lines), c, 'examples show another command')
    for line in lines:
        found = re.findall(r'\bradcohort [^|&><]*', line)
        check(found, c, 'example without the program:', line)
        for one in found:
            check_line(one.strip(), f'{c} --help')
    check(call('help', c).stdout == h, 'help', c)
for name in ('README.md', 'CONTRIBUTING.md', 'jobs/README.md', 'schemas/README.md', 'slurm/README.md', 'results/README.md'):
    if not os.path.exists(os.path.join(source, name)):
        continue
    text = open(os.path.join(source, name), encoding='utf-8').read().replace('\\\n', ' ')
    told = [m for block in re.findall(r'^```[^\n]*\n(.*?)^```', text, re.M | re.S) for m in re.findall(r'\bradcohort [a-z]+\b[^|&><#;\n]*', block)]
    told += re.findall(r'`(radcohort [a-z]+ [^`]*)`', text)
    for line in told:
        check_line(line.strip(), name)

# ---------------------------------------------------------------- misspelt words
check(call().returncode == 2 and 'usage: radcohort COMMAND' in call().stderr, 'no word at all')
for c in commands:
    wrong = c[:-2] + c[-1] + c[-2] if c[-1] != c[-2] else c[:-1]
    if wrong not in commands:
        r = call(wrong)
        check(r.returncode == 2 and 'did you mean' in r.stderr and r.stdout == '', c, 'misspelt:', r.stderr)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


tried = set()
for c in commands:
    for o in set(options[c]) - tried:  # those that several commands share, once
        tried.add(o)
        wrong = o[:4] + o[5:] if len(o) > 5 else o + 'x'
        if wrong in options[c] or len(o) < 4:
            continue
        r = call(c, wrong)
        near = re.search(r"unknown option '(.*)': did you mean '(.*)'\?", r.stderr)
        check(r.returncode == 2 and near and distance(near.group(2), wrong) == 1 and f'usage: radcohort {c} ' in r.stderr, c, wrong, r.stderr)
    r = call(c, '--zzzzzzzzzzzz')
    check(r.returncode == 2 and f"'radcohort {c} --help' lists all" in r.stderr, c, r.stderr)
for words in (('--hlep',), ('--verison',)):
    check('did you mean' in call(*words).stderr and call(*words).returncode == 2, words)

with tempfile.TemporaryDirectory() as folder:
    # ---------------------------------------------------------------- files that are not there
    gone = folder + '/no/such.file'
    tail = {'report': ['-o', folder + '/r'], 'cams': ['-o', folder + '/c'], 'explain': ['auc'], 'freeze': ['-o', folder + '/f.sqlite'],
            'merge': [folder], 'convert': ['-o', folder + '/cohort'], 'folds': ['--folds', '5', '--seed', '1'],
            'infer': ['--input', 'x', '--output', 'y']}
    for c in commands:
        r = call('backends', '--model', gone) if c == 'backends' else call('phantom', '-o', gone + '\n') if c == 'phantom' else call(c, gone, *tail.get(c, []))
        if c != 'phantom':
            check(r.returncode == 2 and gone in r.stderr and r.stdout == '', c, 'a file that is not there:', r.returncode, r.stdout, r.stderr)
        if c not in ('backends', 'simulate'):
            r = call(c)
            check(r.returncode == 2 and r.stderr.startswith(f'radcohort {c}: error: '), c, 'alone:', r.returncode, r.stderr)

    # ---------------------------------------------------------------- on a result
    subprocess.run([sys.executable, source + '/tests/mpi/fixture.py', folder + '/job', '12'], check=True)
    job, db, other = folder + '/job/job.yaml', folder + '/r.sqlite', folder + '/n.sqlite'
    with open(folder + '/claims.yaml', 'w') as f:
        f.write('claims:\n  - {name: a, n_positive: 10, n_negative: 10, sensitivity: 0.9, specificity: 0.8, accuracy: 0.85}\n')
    shown, as_json = {}, {}

    def both(name, *words, codes=(0,)):
        """The words of a command, for a person and for a program."""
        shown[name] = on_terminal(*words, NO_COLOR='1').replace('\r\n', '\n')
        if '--json' in options[words[0]]:
            r = call(*words, '--json')
            try:
                as_json[name] = json.loads(r.stdout)
            except ValueError as e:
                check(False, words, '--json:', e, r.stdout[:200], r.stderr[:200])
            check(r.returncode in codes and '\x1b' not in r.stdout + r.stderr, words, '--json', r.returncode, r.stderr)

    both('check', 'check', job, codes=(3,))
    both('run', 'run', job, '--db', db, '--quiet', codes=(0, 3))
    both('plan', 'plan', job, '--seconds', '2')
    both('simulate', 'simulate', job, '--ranks', '2')
    both('status', 'status', db)
    both('stats', 'stats', db)
    both('diff', 'diff', db, '1', '1')
    both('verify', 'verify', db)
    both('explain', 'explain', db, 'auc/pair/center=H1/patient')
    both('replay', 'replay', db, '--quiet')
    both('audit', 'audit', folder + '/claims.yaml')
    both('backends', 'backends')
    both('nightly', 'nightly', job, '--db', other, '--dry-run', codes=(0, 3))
    with open(folder + '/x.f32', 'wb') as f:
        f.write(bytes(4 * 3 * 16 * 16 * 2))
    sys.path.insert(0, source + '/tests/mpi')
    import fixture
    with open(folder + '/net.onnx', 'wb') as f:
        f.write(fixture.network(1, 3, 16, 2, 6))
    both('infer', 'infer', folder + '/net.onnx', '--input', folder + '/x.f32', '--output', folder + '/y.f32', '--backend', 'ref', '--compare', 'fp32')
    both('folds', 'folds', folder + '/job/cohort', '--folds', '2', '--seed', '7', '-o', folder + '/folds.tsv')
    check(as_json.get('folds', {}).get('seed') == 7 and sum(x['patients'] for x in as_json['folds']['folds']) == as_json['folds']['patients'] > 2, 'folds', as_json)
    call('run', job, '--spool', folder + '/spool', '--shard', '1/1', '--quiet')
    both('merge', 'merge', job, folder + '/spool', '--db', folder + '/m.sqlite', codes=(0, 3))
    for c, words in (('report', [db]), ('freeze', [db]), ('phantom', ['--scale', '0.02', '--tables'])):
        for more in ([], ['--json']):
            where = f'{folder}/{c}{len(more)}/x'
            os.makedirs(os.path.dirname(where))
            r = call(c, *words, '-o', where, *more)
            check(r.returncode == 0 and '\x1b' not in r.stdout + r.stderr, c, r.stderr)
            shown[c] = r.stdout if not more else shown[c]
            check(not more or isinstance(json.loads(r.stdout), dict), c, '--json')
    shown['details'] = call('stats', db, '--details').stdout
    for name, text in shown.items():
        text = text.replace(folder, '')
        # a column per model, a note per line: tables of statistics may be wider; paths stay whole
        room = 1000 if name == 'details' else WIDTH + 25 if name == 'stats' else WIDTH
        wide = [line for line in text.splitlines() if len(line) > room and 'SELECT' not in line and not re.match(r'\S+:\d+: ', line)]
        check(not wide, name, 'has lines that do not fit:', *wide[:3])
        check(name in ('details', 'explain') or text.count('\n') <= 70, name, 'scrolls its answer away:', text.count('\n'), 'lines')
    check(re.search(r'\n  est +0\.\d+\n(  .*\n)*\nto compute it again\n(  .*\n)+$', shown['explain']), 'the number that is explained is not last')

    # ---------------------------------------------------------------- a database in place of a job; a run in which nothing was scored
    r = call('run', db)
    check(r.returncode == 2 and 'this is a result file' in r.stderr and "'radcohort status'" in r.stderr, 'a database in place of a job:', r.stderr)
    with open(job) as f:
        text = re.sub(r'sequence: [AB]\b', 'sequence: Z', f.read())
    check(text.count('sequence: Z') > 1, 'the fixture has other sequences')
    with open(folder + '/job/none.yaml', 'w') as f:
        f.write(text)
    r = call('run', folder + '/job/none.yaml', '--db', folder + '/none.sqlite', '--quiet')
    check(r.returncode == 3 and '0 scored' in r.stdout and 'next:    radcohort status' in r.stdout and 'radcohort stats' not in r.stdout, 'nothing scored:', r.stdout, r.stderr)
    r = call('stats', folder + '/none.sqlite')
    check(r.returncode == 0 and 'no unit has both a score and a known label' in r.stdout and r.stdout.count('\n') == 2, 'statistics of nothing:', r.stdout)
    check('is nothing of run 1. A key is' in call('explain', db, 'P99999').stderr, 'explain of nobody:', call('explain', db, 'P99999').stderr)

    # ---------------------------------------------------------------- colour
    for words in (('--help',), ('run', '--help'), ('check', gone), ('rum',)):
        check('\x1b[1' in on_terminal(*words), words, 'has no emphasis on a terminal')
        for quiet in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}):
            check('\x1b' not in on_terminal(*words, **quiet), words, 'is coloured with', quiet)
    for words in (('status', db, '--json'), ('stats', db, '--json'), ('check', job, '--json'), ('verify', db, '--json')):
        check('\x1b' not in on_terminal(*words), words, 'is coloured')

# ---------------------------------------------------------------- the manual page
manual = call('--manual').stdout
check(open(build + '/share/radcohort.1').read() == manual, 'the page that is installed is not the program\'s')
plain = manual.replace('\\-', '-')
for c in commands:
    check(f'\n.SS {c}\n' in manual, c, 'has no section in the manual')
    part = plain[plain.index(f'\n.SS {c}\n') + 1:]
    part = part[:re.search(r'\n\.S[SH] ', part[1:]).start() + 1]
    check(set(re.findall(r'\n\.TP\n\\fB(-[\w-]+)', part)) == set(options[c]) - {'--help'}, c, 'options of the manual')
for tool in (['mandoc', '-T', 'lint', '-W', 'warning'], ['groff', '-man', '-ww', '-Tutf8', '-Kutf8']):
    if shutil.which(tool[0]):
        r = subprocess.run(tool, input=manual, capture_output=True, text=True)
        said = r.stderr + (r.stdout if tool[0] == 'mandoc' else '')
        check(said == '' and r.returncode == 0, *tool, said)

# ---------------------------------------------------------------- completion
script = build + '/share/radcohort.bash'
check(open(script).read() == call('--completion', 'bash').stdout, 'the completion that is installed is not the program\'s')
check(call('--completion', 'fish').returncode == 2, 'a shell that is not known')


def complete(*words, where=None):
    line = ['radcohort', *words]
    p = subprocess.run(['bash', '-uc', f'source "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _radcohort; printf "%s\\n" "${{COMPREPLY[@]}}"', 'x', *line],
                       capture_output=True, text=True, cwd=where)
    check(p.returncode == 0 and p.stderr == '', 'completion', words, p.stderr)
    return set(p.stdout.split('\n')) - {''}


check(set(commands) < complete(''), 'commands are not completed')
check(complete('ver') == {'verify'} and complete('help', 'expl') == {'explain'}, 'the start of a command')
for c in commands:
    check(complete(c, '-') == set(options[c]), c, 'options of the completion', complete(c, '-') ^ set(options[c]))
with tempfile.TemporaryDirectory() as folder:
    for name in ('a.yaml', 'a b.yml', 'a.sqlite', 'a.onnx', 'a.txt'):
        open(f'{folder}/{name}', 'w').close()
    os.mkdir(folder + '/d')
    for words, expected in ((('run', ''), {'a.yaml', 'a b.yml', 'd'}), (('stats', ''), {'a.sqlite', 'd'}), (('infer', ''), {'a.onnx', 'd'}),
                            (('infer', 'a.onnx', '--precision', 'f'), {'fp32', 'fp16'}), (('run', 'a.yaml', '--backend', '=', 'o'), {'onednn'}),
                            (('run', '--db', 'a.sqlite', 'a.y'), {'a.yaml'}), (('report', 'a.sqlite', '-o', ''), {'d'}),
                            (('run', '--db', ''), {'a.sqlite', 'd'}), (('phantom', '--design', 'li'), {'liver'})):
        check(complete(*words, where=folder) == expected, 'completion', words, complete(*words, where=folder))

print(f'{len(commands)} commands, {sum(map(len, options.values()))} options: {len(bad)} failures')
sys.exit(1 if bad else 0)
