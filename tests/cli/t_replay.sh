#!/usr/bin/env bash
# radcohort replay gives the same bytes from any folder and after the rows were deleted, names the first difference, and refuses what is not
# the same; radcohort diff finds exactly what a second implementation finds between two runs.
. "$(dirname "$0")/../mpi/lib.sh"
"$python" "$here/../mpi/fixture.py" "$tmp/job" 12
db=$tmp/a.sqlite
said() { grep -q -- "$1" "$tmp/log" || { cat "$tmp/log" >&2; fail "it does not say '$1'"; }; }
(cd "$tmp/job" && want 3 "$rad" run job.yaml --quiet --db ../a.sqlite) # a relative name of the job is enough
dump "$db" | sed "s/\t[^\t]*'.*//" >"$tmp/before" # the texts of exclusions name folders
cp "$db" "$tmp/whole.sqlite"

cd /
want 0 "$rad" replay "$db" --quiet --threads 1
said "^same bytes$"
[ "$(tail -n 1 "$tmp/log")" = "same bytes" ] || fail "the verdict is not the last line"
cmp -s "$db" "$tmp/whole.sqlite" || fail "replay has changed the file"
[ -z "$(ls -d "$tmp"/radcohort-replay-* 2>/dev/null)" ] || fail "the new result file was left behind"

# the score rows are deleted: the same bytes come again
sql() { "$python" -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.executescript(sys.argv[2]); d.commit()' "$@"; }
sql "$db" "DELETE FROM slice_score; DELETE FROM case_score; DELETE FROM case_grade"
want 0 "$rad" replay "$db" 1 --quiet --keep "$tmp/again.sqlite"
said "missing in its file, first: slice score of model one, patient P001, lesion L1"
said "same bytes"
dump "$tmp/again.sqlite" | sed "s/\t[^\t]*'.*//" >"$tmp/after"
same "$tmp/before" "$tmp/after" "the kept file has other scores"
want 2 "$rad" replay "$db" 1 --quiet --keep "$tmp/again.sqlite"
said "is there already"
want 0 "$rad" replay "$db" --json
"$python" -c 'import json, sys; j = json.load(open(sys.argv[1])); assert j["verdict"] == "lost" and j["lost"] > 100, j' "$tmp/log"

# one bit of one score, one statistic, one exclusion: each is named
for change in "UPDATE case_score SET score = score + 1e-15 WHERE case_key = 0 AND (run_model_id, patient_id, class_index) = (SELECT run_model_id, patient_id, class_index FROM case_score WHERE case_key = 0 ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT 1)|score of model pair, patient" \
              "UPDATE statistic SET upper = upper + 1e-12 WHERE name = 'auc' AND stratum = 'H1' AND unit = 'patient'|auc of model one, unit patient, .*center H1" \
              "UPDATE exclusion SET reason = 'format' WHERE reason = 'truncated'|exclusion.*stored .*load: format, again .*load: truncated"; do
    cp "$tmp/whole.sqlite" "$tmp/b.sqlite"
    sql "$tmp/b.sqlite" "${change%%|*}"
    want 1 "$rad" replay "$tmp/b.sqlite" --quiet
    said "first difference: ${change#*|}"
done
# the run itself was something else than what is computed now
cp "$tmp/whole.sqlite" "$tmp/b.sqlite"
sql "$tmp/b.sqlite" "UPDATE run SET result_sha256 = replace(result_sha256, substr(result_sha256, 1, 1), 'x')"
want 1 "$rad" replay "$tmp/b.sqlite" --quiet
said "does not come out again"

# what is not the same is named, and nothing is claimed
sql "$tmp/b.sqlite" "UPDATE run SET backend_version = 'ref of another year'"
want 2 "$rad" replay "$tmp/b.sqlite" --quiet
said "ref of another year"
mv "$tmp/job" "$tmp/moved"
want 2 "$rad" replay "$db" --quiet
mv "$tmp/moved/cohort" "$tmp/elsewhere"
want 0 "$rad" replay "$db" --quiet --job "$tmp/moved/job.yaml" --cohort "$tmp/elsewhere"
cp "$tmp/moved/one.onnx" "$tmp/one.keep"
"$python" - "$tmp/moved/one.onnx" <<'P'
import sys, onnx
m = onnx.load(sys.argv[1])
m.producer_name += " again"
onnx.save(m, sys.argv[1])
P
want 2 "$rad" replay "$db" --quiet --job "$tmp/moved/job.yaml" --cohort "$tmp/elsewhere"
said "model 'one'"
cp "$tmp/one.keep" "$tmp/moved/one.onnx"
cp "$tmp/elsewhere/P006_A.nii" "$tmp/image.keep"
"$python" - "$tmp/elsewhere/P006_A.nii" <<'P'
import sys
b = bytearray(open(sys.argv[1], 'rb').read())
b[len(b) // 2] ^= 16
open(sys.argv[1], 'wb').write(b)
P
want 2 "$rad" replay "$db" --quiet --job "$tmp/moved/job.yaml" --cohort "$tmp/elsewhere"
said "image 'P006_A.nii' of patient P006"

# diff: the same job on the changed image is a second run of the file
db=$tmp/whole.sqlite
mv "$tmp/elsewhere" "$tmp/moved/cohort"
mv "$tmp/moved" "$tmp/job"
want 2 "$rad" diff "$db"
said "no finished run of the same job before"
"$python" - "$tmp/job" <<'P' # a large change at one patient, and one image that is read again
import os, sys, re
folder = sys.argv[1]
p = folder + '/cohort/P006_A.nii'
b = bytearray(open(p, 'rb').read())
for i in range(352, len(b), 2):
    b[i + 1] = (b[i + 1] + 1) % 3
open(p, 'wb').write(b)
P
want 3 "$rad" run "$tmp/job/job.yaml" --quiet --db "$db"
want 0 "$rad" diff "$db" --json
cp "$tmp/log" "$tmp/diff.json"
want 0 "$rad" diff "$db" 1 2
tail -n 1 "$tmp/log" | grep -q "^run 1 -> run 2: " || fail "the summary is not the last line"
want 0 "$rad" diff "$db" 1 1
said "run 1 -> run 1: 0 of "
want 0 "$rad" diff "$db" 2 1 --with "$tmp/a.sqlite" # two files; the scores of the second were deleted
want 2 "$rad" diff "$db" 1 7
said "no run 7"
"$python" - "$db" "$tmp/diff.json" <<'P'
import json, sqlite3, sys
db, d = sqlite3.connect(sys.argv[1]), json.load(open(sys.argv[2]))
key = ('model', 'unit', 'patient', 'lesion', 'class')
rows = lambda run, sql: {tuple(r[:-1]): r[-1] for r in db.execute(sql, (run,))}
scores = "SELECT model, unit, patient, coalesce(lesion, ''), class, score FROM v_case_score WHERE run_id = ?"
a, b = rows(1, scores), rows(2, scores)
moved = {k: (a[k], b[k]) for k in a.keys() & b.keys() if a[k] != b[k]}
got = {tuple(r.get(k, '') for k in key): (r['before']['score'], r['after']['score']) for r in d['scores'] if r['before'] and r['after']}
assert moved and got == moved, (got, moved)
assert d['summary']['scores'] == {'both': len(a.keys() & b.keys()), 'changed': len(moved), 'only_before': len(a.keys() - b.keys()),
                                 'only_after': len(b.keys() - a.keys()), 'largest': max(abs(x - y) for x, y in moved.values())}
calls = "SELECT model, unit, patient, coalesce(lesion, ''), class, point, call FROM v_call WHERE run_id = ?"
a, b = rows(1, calls), rows(2, calls)
flips = {k for k in a.keys() & b.keys() if a[k] != b[k]}
got = {tuple(r.get(k, '') for k in key + ('point',)) for r in d['calls'] if r['before'] and r['after']}
assert got == flips, (got, flips)
stats = ("SELECT model, unit, coalesce(class, ''), coalesce(point, ''), stratum_kind, stratum, name, coalesce(versus, ''),"
         " coalesce(est, 'x') || ' ' || n FROM v_statistic WHERE run_id = ?")
a, b = rows(1, stats), rows(2, stats)
assert {k for k in a.keys() & b.keys() if a[k] != b[k]} == {
    tuple(r.get(k, '') for k in ('model', 'unit', 'class', 'point', 'stratum_kind', 'stratum', 'name', 'versus')) for r in d['statistics']
    if r['before'] and r['after']}
P
echo "replay and diff agree with what is there"
