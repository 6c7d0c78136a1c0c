#!/usr/bin/env bash
# Promise 4: SIGKILL of the launcher, a worker or the coordinator at a random moment; the same command again; the same bytes.
. "$(dirname "$0")/lib.sh"
need_mpirun
"$python" "$here/fixture.py" "$tmp/job" 60 32 40
run=("$rad" run "$tmp/job/job.yaml" --batch 4 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
"$rad" verify "$tmp/whole.sqlite" | grep '^head' >"$tmp/whole.head"
RANDOM=${SEED:-4711}
killed=0
next_session() {
    "$python" - "$tmp/db.sqlite" <<'P'
import os, sqlite3, sys
if not os.path.exists(sys.argv[1]):
    sys.exit(print(1))
db = sqlite3.connect(sys.argv[1])  # rolls back what a killed writer left
print(1 + (db.execute("SELECT max(sessions) FROM run WHERE state <> 'finished'").fetchone()[0] or -1))
P
}
# kill_one WHOM MS: starts the job on three ranks, kills somebody that long after the first lease, waits for the end
kill_one() {
    local whom=$1 wait_ms=$2 session pid ranks victim rc=0
    session=$(next_session)
    mpirun -q -n 3 "${run[@]}" --db "$tmp/db.sqlite" >"$tmp/log" 2>&1 &
    pid=$!
    wait_leases "$tmp/db.sqlite" "$session"
    sleep "$(printf '0.%03d' "$wait_ms")"
    ranks=$(pgrep -P "$pid" -f "$tmp/db.sqlite" | sort -n || true)
    case $whom in
        launcher) victim=$pid ;;
        coordinator) victim=$(echo "$ranks" | sed -n 1p) ;;
        worker) victim=$(echo "$ranks" | sed -n 2p) ;;
    esac
    [ -z "$victim" ] || kill -KILL "$victim" 2>/dev/null || true
    # Open MPI's launcher can lock up while it ends after a rank was killed (in PMIx): ten seconds without a living rank are enough
    local alone=0
    while [ "$alone" -lt 100 ] && kill -0 "$pid" 2>/dev/null; do
        if pgrep -P "$pid" -r D,R,S -f "$tmp/db.sqlite" >/dev/null; then alone=0; else alone=$((alone + 1)); fi
        sleep 0.1
    done
    [ "$alone" -lt 100 ] || { echo "the launcher does not end: killed"; kill -KILL "$pid"; }
    wait "$pid" 2>/dev/null || rc=$?
    # ranks whose launcher was killed notice it a little later
    for _ in $(seq 100); do
        pgrep -f "$tmp/db.sqlite" >/dev/null || break
        sleep 0.1
    done
    pgrep -f "$tmp/db.sqlite" >/dev/null && fail "ranks outlive their launcher"
    [ "$rc" -eq 3 ] || killed=$((killed + 1))
}
for round in 1 2; do
    rm -f "$tmp/db.sqlite"*
    for whom in launcher worker coordinator; do
        kill_one $whom $((RANDOM % 500))
    done
    for _ in 1 2 3; do # what is left
        rc=0
        mpi 3 "${run[@]}" --db "$tmp/db.sqlite" >"$tmp/log" 2>&1 || rc=$?
        [ "$rc" -eq 3 ] && break
    done
    [ "$rc" -eq 3 ] || { cat "$tmp/log"; fail "round $round: the run does not come to its end (exit $rc)"; }
    dump "$tmp/db.sqlite" >"$tmp/db.txt"
    same "$tmp/whole.txt" "$tmp/db.txt" "round $round: a killed and resumed run differs from an undisturbed one"
    "$rad" verify "$tmp/db.sqlite" | grep '^head' >"$tmp/db.head" || fail "round $round: the file is not as it was stored"
    same "$tmp/whole.head" "$tmp/db.head" "round $round: a killed and resumed run ends in another head"
done
echo "$killed kills in mid-run"
[ "$killed" -ge 2 ] || fail "only $killed of 6 kills hit a running job: the fixture is too small for this machine"
