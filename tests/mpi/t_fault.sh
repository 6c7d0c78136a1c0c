#!/usr/bin/env bash
# A device that fails: its rank goes out of service and its work to the others, with the same bytes; with no rank left the run fails with
# the reason, and the same command finishes it once the device works again.
. "$(dirname "$0")/lib.sh"
need_mpirun
"$python" "$here/fixture.py" "$tmp/job" 16
run=("$rad" run "$tmp/job/job.yaml" --backend checked --batch 2 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
for what in open:1 plan_create:1 exec_create:1 exec_run:1 exec_run:7; do
    db=$tmp/$what.sqlite
    want 3 timeout 120 mpirun -q -n 2 "${run[@]}" --db "$db" : -n 1 env RAD_CHECKED_FAIL=$what "${run[@]}" --db "$db"
    grep -q "rank 2 is out of service" "$tmp/log" || { cat "$tmp/log"; fail "$what: nobody says that rank 2 is out"; }
    dump "$db" >"$tmp/db.txt"
    same "$tmp/whole.txt" "$tmp/db.txt" "$what on one of two workers: the results differ"
done
for ranks in 0 3; do
    db=$tmp/all-$ranks.sqlite
    want 1 mpi $ranks env RAD_CHECKED_FAIL=exec_run:5+ "${run[@]}" --db "$db"
    grep -q "no rank is left in service" "$tmp/log" || { cat "$tmp/log"; fail "it does not say why it failed"; }
    want 3 mpi $ranks "${run[@]}" --db "$db"
    dump "$db" >"$tmp/db.txt"
    same "$tmp/whole.txt" "$tmp/db.txt" "finished after a failed device: the results differ"
done
