#!/usr/bin/env python3
"""The fences of the source tree: which module may include which library and which other module; banned functions; file lengths.

A rule here is a promise of CONTRIBUTING.md. Run by ctest; `python3 tests/lint/t_fences.py` alone works too.
"""
import os, re, sys

root = os.environ.get('RAD_SOURCE') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
bad = []

# third-party header (regex) -> folders that may include it
LIBRARY = [
    (r'mpi\.h', ['src/farm']),
    (r'sqlite3(ext)?\.h', ['src/store', 'src/stats/sqlext', 'src/report']),
    (r'(oneapi/dnnl/)?dnnl.*\.h', ['src/infer/onednn']),
    (r'(cudnn.*|cuda.*)\.h', ['src/infer/cudnn']),
    (r'(nifti/)?nifti.*\.h|znzlib\.h|zlib\.h|libdeflate\.h|(isa-l/|isa-l\.h|igzip_lib).*|png\.h', ['src/load']),
    (r'yaml\.h|csv\.h', ['src/cohort', 'src/cli']),
    (r'jansson\.h', ['src/cohort', 'src/cli', 'src/report', 'src/store']),
    (r'gsl/.*', ['src/stats']),
    (r'openssl/.*', ['src/base']),
    (r'xxhash\.h', ['src/base', 'src/load']),
    (r'omp\.h', ['src/infer/onednn']),
]
# module -> public headers of other modules that it may include (one direction of data: design section 3)
MODULE = {
    'base': set(),
    'cohort': {'base', 'issue', 'job'},
    'sched': {'base'},
    'load': {'base'},
    'prepare': {'base', 'job', 'load'},
    'model': {'base'},
    'infer': {'base', 'model', 'job', 'load', 'prepare', 'prepare_plan'},
    'stats': {'base'},
    'store': {'base', 'issue', 'cohort', 'folds', 'job', 'stats'},
    'farm': {'base', 'bvalue', 'issue', 'cohort', 'folds', 'job', 'sched', 'load', 'prepare', 'model', 'infer', 'store', 'nightly'},
    'report': {'base', 'store', 'stats', 'sqlext'},
    'cli': None,  # the top: may see all
}
OWN = {'sched': {'sched', 'simulate'}, 'cohort': {'bvalue', 'cohort', 'convert', 'folds', 'job'}, 'base': {'base', 'issue'}, 'stats': {'stats', 'sqlext'},
       'prepare': {'prepare', 'prepare_plan'}, 'store': {'store', 'nightly', 'compare', 'replay', 'freeze', 'explain'}}
BANNED = r'\b(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|rand|srand|gets|localtime|gmtime|ctime|asctime|setlocale|alloca|tmpnam|mktemp)\s*\('
NO_EXIT = r'(?<![\w>.])(abort|exit|_exit|quick_exit|MPI_Abort)\s*\('
MAX_LINES, MAX_COLUMNS = 620, 140


def code_only(text):
    """Comments and string literals blanked, line structure kept."""
    def blank(m):
        return re.sub(r'[^\n]', ' ', m.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check(path):
    rel = os.path.relpath(path, root)
    with open(path, encoding='utf-8') as f:
        text = f.read()
    code = code_only(text)
    folder = os.path.dirname(rel)
    parts = rel.split(os.sep)
    module = parts[1] if parts[0] == 'src' else None
    lines = text.split('\n')
    if len(lines) > MAX_LINES:
        bad.append(f'{rel}: {len(lines)} lines; a file should fit in a head ({MAX_LINES} at most)')
    for n, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            bad.append(f'{rel}:{n}: {len(line)} columns (at most {MAX_COLUMNS})')
        if '\t' in line:
            bad.append(f'{rel}:{n}: tab')
        if line.rstrip() != line:
            bad.append(f'{rel}:{n}: space at the end of the line')
        m = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not m:
            continue
        inc = m.group(1)
        if module:
            for pattern, folders in LIBRARY:
                if re.fullmatch(pattern, inc) and not any(folder == d or folder.startswith(d + '/') for d in folders):
                    bad.append(f'{rel}:{n}: <{inc}> belongs only in {", ".join(folders)}')
        m = re.fullmatch(r'radcohort/(\w+)\.h', inc)
        if m and module and MODULE.get(module) is not None:
            if m.group(1) not in MODULE[module] | OWN.get(module, {module}):
                bad.append(f'{rel}:{n}: module {module} may not include radcohort/{m.group(1)}.h')
        if parts[0] == 'include' and not re.fullmatch(r'radcohort/\w+\.h|std\w+\.h|[a-z]+\.h', inc):
            bad.append(f'{rel}:{n}: a public header includes <{inc}>')
    for n, line in enumerate(code.split('\n'), 1):
        m = re.search(BANNED, line)
        if m and parts[0] in ('src', 'include'):
            bad.append(f'{rel}:{n}: {m.group(1)} is banned (see CONTRIBUTING.md)')
        m = re.search(NO_EXIT, line)
        if m and parts[0] == 'src' and module not in ('farm', 'cli'):
            bad.append(f'{rel}:{n}: {m.group(1)} outside farm/ and cli/')
    if re.search(r'\b(TODO|FIXME|XXX|HACK)\b', text):
        bad.append(f'{rel}: unfinished work is an issue, not a comment')


seen = 0
for top in ('src', 'include', 'tests'):
    for base, dirs, files in os.walk(os.path.join(root, top)):
        dirs[:] = sorted(d for d in dirs if d not in ('__pycache__', 'corpus'))
        for name in sorted(files):
            if name.endswith(('.c', '.h', '.cu')):
                check(os.path.join(base, name))
                seen += 1
if seen < 20:
    bad.append(f'only {seen} files found below {root}: the lint looks in the wrong place')
print('\n'.join(bad))
print(f'{seen} files, {len(bad)} complaint{"" if len(bad) == 1 else "s"}')
sys.exit(1 if bad else 0)
