#!/bin/bash
# radcohort status: of a finished, a running and an interrupted run; a writer at work is told from one that is gone.
set -eu
maker=$RAD_BUILD/tests/store_bench
[ -x "$maker" ] || { echo "SKIP: store_bench is not built"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
db=$dir/s.sqlite
"$maker" -k "$db" 60 3 2 > "$dir/log"
fail() { echo "FAILED: $*"; exit 1; }

"$RADCOHORT" status "$db" > "$dir/out"
grep -q "^run 1 of job fixture on ref fp32: finished" "$dir/out" || fail "state: $(cat "$dir/out")"
grep -q "^cases 120 of 120 (100.0 %)" "$dir/out" || fail "counts: $(cat "$dir/out")"
grep -q "lesions  load: truncated" "$dir/out" || fail "exclusions: $(cat "$dir/out")"
sqlite3 "$db" "INSERT INTO warning (run_id, case_id, image_id, stage, text) SELECT 1, case_id, NULL, 'load', 'half is not there'
                 FROM manifest WHERE case_id <= 7;
               INSERT INTO warning (run_id, case_id, image_id, stage, text) SELECT 1, case_id, NULL, 'intake', 'seen ' || case_id
                 FROM manifest WHERE case_id BETWEEN 21 AND 26" 2> "$dir/err" || fail "$(cat "$dir/err")"
"$RADCOHORT" status "$db" > "$dir/out"
all=$(sqlite3 "$db" "SELECT count(*) FROM warning WHERE run_id = 1")
grep -q "^       7 load: half is not there, e.g. (" "$dir/out" || fail "the most frequent warning: $(cat "$dir/out")"
[ "$(sed '1,/^warnings/d' "$dir/out" | wc -l)" = 6 ] || fail "five warnings and the rest: $(cat "$dir/out")"
rest=$(sed -n 's/^ *\([0-9]*\) further: sqlite3 .*/\1/p' "$dir/out")
told=$(sed '1,/^warnings/d' "$dir/out" | head -5 | awk '{ n += $1 } END { print n }')
[ $((rest + told)) = "$all" ] || fail "$rest further and $told told, of $all: $(cat "$dir/out")"
query=$(sed -n 's/.*further: sqlite3 [^ ]* "\(.*\)"$/\1/p' "$dir/out")
[ "$(sqlite3 "$db" "$query" | wc -l)" = "$all" ] || fail "the query for the rest: $query"
"$RADCOHORT" status "$db" --json > "$dir/json"

/usr/bin/python3 - "$db" "$RADCOHORT" "$dir" <<'PY'
import fcntl, json, sqlite3, subprocess, sys
path, program, folder = sys.argv[1:]
r = json.load(open(folder + '/json'))
assert r['state'] == 'finished' and r['writer'] is False and r['eta_s'] is None and r['n_case'] == r['n_done'] == 120, r
assert len(r['warnings']) == 5 and r['warnings'][1]['n'] == 7 and r['warnings'][1]['text'] == 'half is not there', r['warnings']
assert sum(e['n'] for e in r['exclusions'] if e['unit'] == 'lesion') >= r['n_excluded'] > 0
db = sqlite3.connect(path)
db.execute("UPDATE run SET state = 'running', finished = NULL, session_done = 10, session_started = datetime('now', '-50 seconds')")
db.execute("UPDATE work SET state = 'pending' WHERE case_id > 100")
db.execute("UPDATE work SET state = 'leased' WHERE case_id > 115")
# known at intake that one model cannot score it, and not done: it is not among the excluded yet
db.execute("DELETE FROM exclusion WHERE case_id > 100")
db.execute("INSERT INTO exclusion (run_id, unit, patient_id, case_id, run_model_id, stage, reason, text) SELECT m.run_id, 'lesion',"
           " m.patient_id, m.case_id, rm.run_model_id, 'intake', 'channel', 'none' FROM manifest m JOIN run_model rm USING (run_id)"
           " WHERE rm.position = 0 AND m.case_id BETWEEN 101 AND 120")
db.commit()

def status():
    text = subprocess.run([program, 'status', path], check=True, capture_output=True, text=True).stdout
    return text, json.loads(subprocess.run([program, 'status', path, '--json'], check=True, capture_output=True, text=True).stdout)

text, r = status()
assert 'interrupted; start the job again' in text and r['writer'] is False and r['eta_s'] is None, text
with open(path + '.lock', 'w') as lock:  # as a writer holds it
    fcntl.lockf(lock, fcntl.LOCK_EX)
    db.execute('BEGIN IMMEDIATE')  # in the middle of a batch
    db.execute("UPDATE work SET attempts = 7")
    text, r = status()
    db.rollback()
assert 0 < r['n_scored'] and r['n_scored'] + r['n_excluded'] == 100, r
assert r['writer'] is True and r['n_done'] == 100 and r['n_leased'] == 5 and r['n_pending'] == 15, r
assert 1.5 < r['cases_per_s'] < 1.9 and 10 < r['eta_s'] < 14, r
assert ': running' in text and 'rate 1.' in text and 's left' in text, text
PY
code=0
"$RADCOHORT" status "$dir/none" > "$dir/out" 2> "$dir/err" || code=$?
[ $code = 2 ] || fail "a missing file ends with $code"
echo "status tells finished, running and interrupted apart"
