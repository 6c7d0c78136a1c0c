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

want 3 mpi 0 "${run[@]}"
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
want 3 mpi 0 "${run[@]}"
is "runs after nothing" "$(sql 'SELECT count(*) FROM run')" 4
