#!/bin/bash
# radcohort stats: the printed table, JSON and CSV agree with the file; wrong input ends with the right code and a way out.
set -eu
maker=$RAD_BUILD/tests/store_bench
[ -x "$maker" ] || { echo "SKIP: store_bench is not built"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
db=$dir/s.sqlite
"$maker" -k "$db" 120 3 2 > "$dir/log"

fail() { echo "FAILED: $*"; exit 1; }
expect() { # code, text on stderr, command...
    local want=$1 text=$2 code=0
    shift 2
    "$@" > "$dir/out" 2> "$dir/err" || code=$?
    [ $code = "$want" ] || fail "'$*' ended with $code, not $want: $(cat "$dir/err")"
    grep -qF -- "$text" "$dir/err" || fail "'$*' does not say '$text': $(cat "$dir/err")"
    [ ! -s "$dir/out" ] || fail "'$*' wrote to stdout"
}
expect 2 "no database" "$RADCOHORT" stats "$dir/none.sqlite"
[ ! -e "$dir/none.sqlite" ] || fail "a mistyped name made a file"
expect 2 "one result file" "$RADCOHORT" stats
expect 2 "did you mean '--json'" "$RADCOHORT" stats "$db" --jsn
expect 2 "has no run 7" "$RADCOHORT" stats "$db" --run 7
expect 2 "from 1" "$RADCOHORT" stats "$db" --run x
expect 2 "exclude each other" "$RADCOHORT" stats "$db" --json --csv
echo text > "$dir/text"
expect 2 "text' is not a radcohort result file; name another one" "$RADCOHORT" stats "$dir/text"

# names of any script stay in their columns
/usr/bin/python3 - "$db" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE center SET center = 'Łódź' WHERE center = 'C01'")
db.execute("UPDATE center SET center = '大阪' WHERE center = 'C02'")
db.commit()
PY
"$RADCOHORT" stats "$db" --details > "$dir/table"
"$RADCOHORT" stats "$db" --run 1 --json > "$dir/json"
"$RADCOHORT" stats "$db" --csv > "$dir/csv"
/usr/bin/python3 - "$db" "$dir" <<'PY'
import csv, json, sqlite3, sys, unicodedata
db = sqlite3.connect(sys.argv[1])
db.row_factory = sqlite3.Row
folder = sys.argv[2]
stored = {(r['model'], r['class'], r['unit'], r['stratum_kind'], r['stratum'], r['point'], r['name'], r['versus']): dict(r)
          for r in db.execute('SELECT * FROM v_statistic')}
root = json.load(open(folder + '/json', encoding='utf-8'))
assert root['run'] == 1 and root['n_case'] == 240 and len(root['statistics']) == len(stored) > 100
for r in root['statistics']:
    s = stored[tuple(r[k] for k in ('model', 'class', 'unit', 'stratum_kind', 'stratum', 'point', 'name', 'versus'))]
    for k in ('n', 'n_pos', 'n_missing', 'n_cluster', 'est', 'se', 'lower', 'upper', 'level', 'p', 'p_adjusted', 'reason', 'method', 'query'):
        assert r[k] == s[k], (k, r[k], s[k])  # to the last bit
with open(folder + '/csv', encoding='utf-8', newline='') as f:
    rows = list(csv.DictReader(f))
assert len(rows) == len(stored)
for r in rows:
    s = stored[tuple(r[k] or None for k in ('model', 'class', 'unit', 'stratum_kind', 'stratum', 'point', 'name', 'versus'))]
    for k in ('est', 'lower', 'p'):
        assert (float(r[k]) if r[k] else None) == s[k], (k, r, s)
    assert r['query'] == s['query']
assert open(folder + '/csv', 'rb').read().count(b'\r\n') == len(rows) + 1

def width(s):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in s)
def column(line, at):  # the text from a display column on
    w = 0
    for i, c in enumerate(line):
        if w >= at:
            return line[i:]
        w += width(c)
    return ''
lines = open(folder + '/table', encoding='utf-8').read().split('\n')
heading = next(i for i, l in enumerate(lines) if l.startswith('stratum') and 'AUC' in l)
at = lines[heading].index('cohort')
names = []
for l in lines[heading + 1:]:
    if not l or l.startswith('difference'):
        break
    names.append(l.split()[0])
    if l.split()[0] not in ('all', 'internal', 'external'):
        assert column(l, at).startswith(('internal', 'external')), (l, at)
assert names[:3] == ['all', 'internal', 'external'] and {'Łódź', '大阪', 'C00', 'C03'} == set(names[3:]), names
assert names[3] == 'C00'  # internal centers first
text = '\n'.join(lines)
for word in ('unit lesion', 'unit patient', 'unit slice', '95% clustered', 'positive', 'difference internal - external', 'call at'):
    assert word in text, word
s = stored[('net0', 'malignant', 'lesion', 'all', 'all', None, 'auc', None)]
assert f"{s['est']:.3f} {s['lower']:.3f} to {s['upper']:.3f}" in ' '.join(text.split())
PY

# a run that is not finished has no statistics yet
/usr/bin/python3 -c "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute(\"UPDATE run SET state = 'stopped'\"); d.commit()" "$db"
expect 1 "is not finished" "$RADCOHORT" stats "$db"
"$RADCOHORT" stats --help | grep -q "examples:" || fail "no help"
echo "stats agrees with its file"
