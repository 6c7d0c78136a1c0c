#!/usr/bin/env bash
# The same command once more: nothing is done again for a comment or another batch, everything that changed is, and only that.
. "$(dirname "$0")/lib.sh"
"$python" "$here/fixture.py" "$tmp/job" 12
job=$tmp/job/job.yaml db=$tmp/r.sqlite cohort=$tmp/job/cohort
run=("$rad" run "$job" --threads 1 --quiet --db "$db")
sql() { "$python" -c 'import sqlite3, sys; print(*(" ".join(map(str, r)) for r in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])), sep="\n")' "$db" "$1"; }
is() { [ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"; }
# fresh RUN: the file holds under RUN what a new file would
fresh() {
    rm -f "$tmp/fresh.sqlite"
    want 3 mpi 0 "$rad" run "$job" --threads 1 --quiet --db "$tmp/fresh.sqlite"
    dump "$tmp/fresh.sqlite" >"$tmp/fresh.txt"
    dump "$db" "$1" >"$tmp/again.txt"
    same "$tmp/fresh.txt" "$tmp/again.txt" "run $1 is not what a new file holds"
}

# computed RUN: patient and model of every result that was computed for it
computed() { sql "SELECT DISTINCT p.patient, rm.model FROM run_result rr JOIN manifest m ON m.case_id = rr.case_id JOIN patient p ON p.patient_id = m.patient_id
    JOIN run_model rm ON rm.run_model_id = rr.run_model_id WHERE m.run_id = $1 AND rr.reused = 0 ORDER BY 1, 2" | tr ' \n' '-,'; }

want 3 mpi 0 "${run[@]}"
is "reused of nothing" "$(sql 'SELECT sum(reused) FROM run_result')" 0
# a comment, another batch: the same run
sed -i -e 's/^batch: 4/batch: 7 # larger/' "$job"
echo "# a remark" >>"$job"
want 3 mpi 0 "${run[@]}"
grep -q "nothing was computed" "$tmp/log" || fail "a comment and another batch made it compute again"
is "runs after a comment" "$(sql 'SELECT count(*) FROM run')" 1

# the missing file is there now: a new run, without that exclusion
is "excluded before" "$(sql "SELECT count(*) FROM v_exclusion WHERE run_id = 1 AND patient = 'P004' AND unit = 'lesion'")" 1
cp "$cohort/P006_B.nii" "$cohort/P004_A.nii"
cp "$cohort/P006_A.nii" "$cohort/P004_B.nii"
want 3 mpi 0 "${run[@]}"
is "runs after a file came" "$(sql 'SELECT count(*) FROM run')" 2
is "excluded after" "$(sql "SELECT count(*) FROM v_exclusion WHERE run_id = 2 AND patient = 'P004'")" 0
is "computed after a file came" "$(computed 2)" P004-one,P004-pair,P004-two,
grep -Eq "; [0-9]+ of $(sql 'SELECT count(*) FROM manifest WHERE run_id = 2') cases reused" "$tmp/log" || { cat "$tmp/log"; fail "it does not say what was reused"; }
fresh 2

# an image is another one, under the same name and of the same size
"$python" - "$cohort/P008_A.nii" <<'P'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(-2000, 2)
    f.write(b"\1" * 2000)
P
want 3 mpi 0 "${run[@]}"
is "runs after another image" "$(sql 'SELECT count(*) FROM run')" 3
is "computed after another image" "$(computed 3)" P008-one,P008-pair,P008-two,
fresh 3

# a mask, too
"$python" - "$cohort/P007_m.nii.gz" <<'P'
import gzip, sys
data = bytearray(gzip.open(sys.argv[1]).read())
data[data.index(1, 352)] = 0
gzip.open(sys.argv[1], "wb").write(data)
P
want 3 mpi 0 "${run[@]}"
is "runs after another mask" "$(sql 'SELECT count(*) FROM run')" 4
is "computed after another mask" "$(sql "SELECT count(*), min(l.lesion), max(l.lesion) FROM run_result rr JOIN manifest m ON m.case_id = rr.case_id
    JOIN lesion l ON l.lesion_id = m.lesion_id WHERE m.run_id = 4 AND rr.reused = 0")" "3 L2 L2"
fresh 4
want 3 mpi 0 "${run[@]}"
is "runs after nothing" "$(sql 'SELECT count(*) FROM run')" 4

# another rule of a summary: a new run that computes nothing, not even a sample
sed -i -e 's/lesion: mean/lesion: max/' "$job"
want 3 mpi 0 "${run[@]}" --json
"$python" - "$tmp/log" <<'P' || fail "the outcome does not say that all was reused"
import json, sys
o = json.load(open(sys.argv[1]))
assert o["run"] == 5 and not o["nothing_to_do"], o
assert o["reused"]["results"] == o["reused"]["of_results"] > 0 and o["reused"]["cases"] >= o["scored"] > 0, o
P
is "computed for another rule" "$(computed 5)" ,
is "time of inference" "$(sql 'SELECT infer_s FROM v_run WHERE run_id = 5')" 0.0
"$rad" status "$db" | grep -q "^reused" || fail "status does not say what was reused"
fresh 5

# one more model, on ranks: the others are not computed again
sed -i -e 's/^aggregate/  - {name: three, file: one.onnx, input: stack, activation: none}\n&/' "$job"
n=0
if command -v mpirun >/dev/null; then n=3; fi
want 3 mpi $n "${run[@]}"
is "models computed" "$(sql 'SELECT DISTINCT rm.model FROM run_result rr JOIN run_model rm USING (run_model_id) WHERE rm.run_id = 6 AND NOT rr.reused')" three
fresh 6

# stopped half-way, then another batch: it goes on
"$python" "$here/fixture.py" "$tmp/long" 80 32 48
job=$tmp/long/job.yaml db=$tmp/long.sqlite
run=("$rad" run "$job" --threads 1 --quiet --db "$db")
set -m
"${run[@]}" >"$tmp/log" 2>&1 &
pid=$!
set +m
wait_leases "$db"
kill -INT $pid
rc=0; wait $pid || rc=$?
[ $rc -eq 4 ] || { cat "$tmp/log"; fail "exit code $rc after SIGINT, expected 4: the fixture is too small for this machine"; }
sed -i -e 's/^batch: 4/batch: 3/' "$job"
want 3 mpi 0 "${run[@]}"
is "sessions" "$(sql 'SELECT count(*), max(sessions), max(state) FROM run')" "1 2 finished"
fresh 1
# an unfinished run that another one takes the place of is stopped, and what it has is used
rm "$db"
set -m
"${run[@]}" >"$tmp/log" 2>&1 &
pid=$!
set +m
for _ in $(seq 400); do
    [ -e "$db" ] && [ "$(sql 'SELECT count(*) FROM run_result' 2>/dev/null || echo 0)" -gt 0 ] && break
    sleep 0.02
done
kill -KILL $pid || { cat "$tmp/log"; fail "it was over before it could be killed: the fixture is too small for this machine"; }
wait $pid || true
touch "$tmp/long/cohort/P010_A.nii"
want 3 mpi 0 "${run[@]}"
[ "$(sql 'SELECT n_reused FROM v_run WHERE run_id = 2')" -gt 0 ] || fail "nothing that the killed run had was used"
is "states" "$(sql 'SELECT state FROM run ORDER BY run_id' | tr '\n' ' ')" "stopped finished "
fresh 2
