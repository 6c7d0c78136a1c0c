#!/usr/bin/env bash
# Somebody looks at the database with a transaction open (DBeaver, R): results wait for them, nothing fails, and a request to stop is heard.
. "$(dirname "$0")/lib.sh"
"$python" "$here/fixture.py" "$tmp/job" 60 32 40
run=("$rad" run "$tmp/job/job.yaml" --batch 4 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
# hold DATABASE SECONDS: reads with a transaction open from the first lease on; touches $tmp/held when it has it
hold() {
    wait_leases "$1"
    "$python" - "$1" "$2" "$tmp/held" <<'P'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM work").fetchone()
open(sys.argv[3], "w").close()
time.sleep(float(sys.argv[2]))
db.execute("COMMIT")
P
}
# it lets go: the run waits and comes to its end
for ranks in 0 3; do
    [ "$ranks" -eq 0 ] || command -v mpirun >/dev/null || continue
    db=$tmp/wait-$ranks.sqlite
    hold "$db" 4 &
    holder=$!
    want 3 mpi $ranks "${run[@]}" --db "$db"
    wait $holder
    [ "$(grep -c "has a transaction open on" "$tmp/log")" -eq 1 ] || { cat "$tmp/log"; fail "it is not told, or more than once, who holds it up"; }
    dump "$db" >"$tmp/db.txt"
    same "$tmp/whole.txt" "$tmp/db.txt" "a run that waited for a reader differs"
done
# it does not: a request to stop is heard at once, ends with 4, and the same command goes on
rm -f "$tmp/held"
hold "$tmp/stop.sqlite" 100 &
holder=$!
set -m
"${run[@]}" --db "$tmp/stop.sqlite" >"$tmp/log" 2>&1 &
pid=$!
set +m
for _ in $(seq 400); do [ -e "$tmp/held" ] && break; sleep 0.02; done
sleep 1
start=$(date +%s)
kill -INT $pid
rc=0; wait $pid || rc=$?
took=$(($(date +%s) - start))
pkill -P $holder 2>/dev/null || true
wait $holder 2>/dev/null || true
[ "$rc" -eq 4 ] || { cat "$tmp/log"; fail "exit code $rc after Ctrl-C while a reader holds the file, expected 4"; }
[ "$took" -le 20 ] || fail "it took $took seconds to stop"
want 3 "${run[@]}" --db "$tmp/stop.sqlite"
dump "$tmp/stop.sqlite" >"$tmp/db.txt"
same "$tmp/whole.txt" "$tmp/db.txt" "a run stopped while a reader held the file differs"
