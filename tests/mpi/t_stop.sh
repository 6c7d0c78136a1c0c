#!/usr/bin/env bash
# A request to stop: finish what is in work, write, exit 4; the same command goes on; the same bytes. The second request: out at once.
. "$(dirname "$0")/lib.sh"
"$python" "$here/fixture.py" "$tmp/job" 60 32 40
run=("$rad" run "$tmp/job/job.yaml" --batch 4 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
state() { "$python" -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT state FROM run").fetchone()[0])' "$1"; }
stopped=0
# one process, Ctrl-C (set -m: a background job would ignore SIGINT otherwise)
set -m
"${run[@]}" --db "$tmp/one.sqlite" >"$tmp/log" 2>&1 &
pid=$!
set +m
wait_leases "$tmp/one.sqlite"
kill -INT $pid
rc=0; wait $pid || rc=$?
case $rc in
    4) stopped=1; [ "$(state "$tmp/one.sqlite")" = stopped ] || fail "the run is not marked stopped"
       grep -q "still to be done" "$tmp/log" || { cat "$tmp/log"; fail "it does not say what is left"; } ;;
    3) ;; # it was done already
    *) cat "$tmp/log"; fail "exit code $rc after SIGINT, expected 4" ;;
esac
want 3 "${run[@]}" --db "$tmp/one.sqlite"
dump "$tmp/one.sqlite" >"$tmp/one.txt"
same "$tmp/whole.txt" "$tmp/one.txt" "a stopped and resumed run differs"
# three ranks, SIGUSR1 through the launcher as a batch script sends it
if command -v mpirun >/dev/null; then
    mpirun -q -n 3 "${run[@]}" --db "$tmp/three.sqlite" >"$tmp/log" 2>&1 &
    pid=$!
    wait_leases "$tmp/three.sqlite"
    kill -USR1 $pid
    rc=0; wait $pid || rc=$?
    [ "$rc" -eq 4 ] || [ "$rc" -eq 3 ] || { cat "$tmp/log"; fail "exit code $rc after SIGUSR1, expected 4"; }
    [ "$rc" -eq 3 ] || stopped=$((stopped + 1))
    want 3 mpi 2 "${run[@]}" --db "$tmp/three.sqlite"
    dump "$tmp/three.sqlite" >"$tmp/three.txt"
    same "$tmp/whole.txt" "$tmp/three.txt" "a stopped and resumed run on ranks differs"
fi
[ "$stopped" -ge 1 ] || fail "every run was over before it could be stopped: the fixture is too small for this machine"
# twice
set -m
"${run[@]}" --db "$tmp/twice.sqlite" >"$tmp/log" 2>&1 &
pid=$!
set +m
wait_leases "$tmp/twice.sqlite"
kill -INT $pid; kill -INT $pid 2>/dev/null || true # one request, delivered twice by a launcher: still an orderly end
sleep 0.12; kill -TERM $pid 2>/dev/null || true
rc=0; wait $pid || rc=$?
[ "$rc" -eq 4 ] || [ "$rc" -eq 3 ] || fail "exit code $rc after two signals, expected 4"
want 3 "${run[@]}" --db "$tmp/twice.sqlite"
dump "$tmp/twice.sqlite" >"$tmp/twice.txt"
same "$tmp/whole.txt" "$tmp/twice.txt" "a run left at once and resumed differs"
