#!/usr/bin/env bash
# Every end is a good end: Ctrl-C of many ranks, SIGKILL of all of them, a rank that falls silent, a read that hangs, a full disk, a file
# system that turns read-only. What was computed stays, and the results are those of an undisturbed run.
. "$(dirname "$0")/lib.sh"
need_mpirun
case ${RAD_SANITIZE:-} in ?*) skip "a preloaded library and a sanitizer do not go together" ;; esac
"${CC:-cc}" -shared -fPIC -o "$tmp/trouble.so" "$here/trouble.c" -ldl || skip "no compiler"
"$python" "$here/fixture.py" "$tmp/job" 60 32 80
run=("$rad" run "$tmp/job/job.yaml" --batch 4 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
check() { dump "$1" >"$tmp/got.txt"; same "$tmp/whole.txt" "$tmp/got.txt" "$2: the results differ"; }
n_done() { "$rad" status "$1" --json 2>/dev/null | sed -n 's/^ *"n_done": \([0-9]*\),/\1/p'; }
await_done() { local n; for _ in $(seq 600); do n=$(n_done "$1") || n=0; [ "${n:-0}" -lt "$2" ] || return 0; sleep 0.05; done; fail "$1: not $2 cases"; }
ranks_of() { pgrep -f "^$rad run .*$1" | sort -n; }

# Ctrl-C to the launching command, as a terminal sends it: to its whole process group
set -m
"${run[@]}" --ranks 3 --db "$tmp/int.sqlite" >"$tmp/log" 2>&1 &
pid=$!
set +m
await_done "$tmp/int.sqlite" 4
kill -INT -- -$pid
rc=0; wait $pid || rc=$?
[ $rc -eq 4 ] || { cat "$tmp/log"; fail "Ctrl-C with --ranks: exit code $rc, expected 4"; }
grep -q '"reason": "signal 10"' "$tmp/int.sqlite.status.json" || fail "the status file does not say why it stopped"
[ "$(stat -c %a "$tmp/int.sqlite.status.json")" = 600 ] || fail "the status file is not private"
want 3 "${run[@]}" --ranks 2 --db "$tmp/int.sqlite"
check "$tmp/int.sqlite" "after Ctrl-C"

# SIGKILL of everybody, three times: no finished case is computed again
db=$tmp/kill.sqlite
export TROUBLE_RECORDS=$tmp/records
for at in 6 20 40; do
    LD_PRELOAD=$tmp/trouble.so "${run[@]}" --ranks 3 --db "$db" >"$tmp/log" 2>&1 &
    pid=$!
    await_done "$db" $at
    kill -KILL $(ranks_of "$db") $(pgrep -f "^mpirun .*$db") 2>/dev/null || true
    wait $pid 2>/dev/null && fail "a killed run ended well"
done
want 3 env LD_PRELOAD="$tmp/trouble.so" "${run[@]}" --ranks 3 --db "$db" --json
check "$db" "killed three times"
grep -q '"recovered": [1-9]' "$tmp/log" || echo "note: nothing was left in the journals by the last kill"
finished=$(stat -c %s "$tmp/records")
cases=$("$rad" status "$db" --json | sed -n 's/^ *"n_case": \([0-9]*\),/\1/p')
echo "3 kills of 3 ranks: $finished cases computed for $cases"
[ "$finished" -ge $((cases - 6)) ] || fail "only $finished finished cases were written down for $cases" # one less where a kill fell between
[ "$finished" -le $((cases + 1)) ] || fail "$finished cases were computed where there are $cases"
[ ! -e "$db.spool" ] || fail "the journals are still there after the run"
unset TROUBLE_RECORDS

# with_a_still_rank RANKS DATABASE: a run of which one rank is stopped in its middle; its exit code into DATABASE.rc, output into DATABASE.out
with_a_still_rank() {
    local db=$2 boss victim rc=0
    "${run[@]}" --ranks "$1" --silence 6 --db "$db" >"$db.out" 2>&1 &
    local pid=$!
    await_done "$db" 2
    boss=$(sed -n 's/.*process \([0-9]*\),.*/\1/p' "$db.lock")
    victim=$(ranks_of "$db" | grep -vx "$boss" | xargs ps -o pid=,args= -p | awk '!/--ranks/ {print $1}' | tail -1)
    kill -STOP "$victim"
    wait "$pid" || rc=$?
    kill -KILL "$victim" 2>/dev/null || true
    echo $rc >"$db.rc"
}
# hangs DATABASE OPTIONS...: a run in which one read never comes back
hangs() {
    local db=$1 rc=0
    shift
    env TROUBLE_HANG=P007_A TROUBLE_MARK="$db.hangs" LD_PRELOAD="$tmp/trouble.so" "${run[@]}" "$@" --case-deadline 3 --db "$db" >"$db.out" 2>&1 || rc=$?
    echo $rc >"$db.rc"
}
# ended DATABASE CODE WHAT
ended() { [ "$(cat "$1.rc")" = "$2" ] || { cat "$1.out"; fail "$3: exit code $(cat "$1.rc"), expected $2"; }; }

# they wait more than they work, so they wait together
still=$tmp/still.sqlite nobody=$tmp/nobody.sqlite hang=$tmp/hang.sqlite alone=$tmp/hang-alone.sqlite
with_a_still_rank 3 "$still" &
hangs "$hang" --ranks 3 &
wait
with_a_still_rank 2 "$nobody" &
hangs "$alone" &
wait

# a rank that stands still while the others have nothing left to do: its cases go to them
ended "$still" 3 "a silent rank"
grep -q "taken for lost" "$still.out" || { cat "$still.out"; fail "nobody says that a rank is lost"; }
grep -q '"bad_hosts": \["' "$still.status.json" || fail "the status file does not name its host"
check "$still" "a silent rank"

# every rank stands still with work left: the coordinator does not wait for ever, and the same command goes on
ended "$nobody" 4 "no rank is left"
grep -q 'no rank is left in service' "$nobody.status.json" || { cat "$nobody.status.json"; fail "the status file does not say that no rank is left"; }
want 3 "${run[@]}" --db "$nobody"
check "$nobody" "after all ranks were silent"

# a read that never comes back: the case goes to another rank after its deadline; in a process alone the next session reads it
ended "$hang" 3 "a read that hangs"
[ -e "$hang.hangs" ] || fail "nothing hung"
grep -q "did not come back in time" "$hang.out" || { cat "$hang.out"; fail "nobody says that a case hangs"; }
check "$hang" "a read that hangs"
ended "$alone" 4 "a read that hangs in a process alone"
want 3 "${run[@]}" --db "$alone"
check "$alone" "a read that hangs in a process alone"

# locks that keep nobody out, or are refused: not opened, and why
for how in none refuse; do
    want 1 env TROUBLE_LOCKS=$how LD_PRELOAD="$tmp/trouble.so" "${run[@]}" --db "$tmp/locks.sqlite"
    grep -q -- "--scratch" "$tmp/log" || grep -q "must offer POSIX locks" "$tmp/log" || { cat "$tmp/log"; fail "locks '$how': no way out is told"; }
done
# a scratch disk, published as a whole; its file goes
want 3 "${run[@]}" --scratch "$tmp/node" --db "$tmp/scratch.sqlite"
check "$tmp/scratch.sqlite" "built on scratch"
[ -z "$(ls "$tmp/node")" ] || fail "something of the run stays on the scratch disk"

# a file system that turns read-only, and back
db=$tmp/ro.sqlite
LD_PRELOAD=$tmp/trouble.so TROUBLE_READONLY=$tmp/readonly "${run[@]}" --db "$db" >"$tmp/log" 2>&1 &
pid=$!
await_done "$db" 4
touch "$tmp/readonly"
rc=0; wait $pid || rc=$?
[ $rc -eq 1 ] || { cat "$tmp/log"; fail "a read-only file system: exit code $rc, expected 1"; }
grep -qi "read-only\|readonly\|I/O error" "$tmp/log" || { cat "$tmp/log"; fail "it does not say what is wrong"; }
want 3 "${run[@]}" --db "$db"
check "$db" "after a read-only file system"

# a full disk, then room again
rc=0; (ulimit -f 400; "${run[@]}" --db "$tmp/full.sqlite") >"$tmp/log" 2>&1 || rc=$?
[ $rc -eq 1 ] || { cat "$tmp/log"; fail "a full disk: exit code $rc, expected 1"; }
want 3 "${run[@]}" --db "$tmp/full.sqlite"
check "$tmp/full.sqlite" "after a full disk"
