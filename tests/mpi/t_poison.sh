#!/usr/bin/env bash
# A study that takes its rank down every time, by a crash or by a kill from outside (out of memory): it alone is quarantined, after a
# bounded number of sessions, and everything else is what it would have been.
. "$(dirname "$0")/lib.sh"
need_mpirun
case ${RAD_SANITIZE:-} in ?*) skip "a preloaded library and a sanitizer do not go together" ;; esac
cc=${CC:-cc}
"$cc" -shared -fPIC -o "$tmp/poison.so" "$here/poison.c" -ldl || skip "no compiler"
"$python" "$here/fixture.py" "$tmp/job" 24
run=("$rad" run "$tmp/job/job.yaml" --batch 4 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" | grep -v P010 >"$tmp/whole.txt"
for setting in "SEGV 11 3" "KILL 9 9"; do
    read -r name number most <<<"$setting"
    for ranks in 0 3; do # 0: without a launcher, whose starts and ends take most of the time
        db=$tmp/$name-$ranks.sqlite
        session=0 rc=-1
        while [ "$rc" -ne 3 ]; do
            session=$((session + 1))
            [ "$session" -le "$most" ] || { cat "$tmp/log"; fail "$name on $ranks ranks: not over after $most sessions"; }
            rc=0
            mpi $ranks env LD_PRELOAD="$tmp/poison.so" POISON_PATH=P010_A POISON_SIGNAL=$number \
                "${run[@]}" --db "$db" >"$tmp/log" 2>&1 || rc=$?
        done
        echo "$name, $ranks ranks: over in session $session"
        dump "$db" >"$tmp/db.txt"
        grep -q "P010.*quarantine" "$tmp/db.txt" || fail "$name: the poisonous case is not quarantined"
        n=$(grep -c quarantine "$tmp/db.txt")
        [ "$n" -le 2 ] || { grep quarantine "$tmp/db.txt"; fail "$name: others are quarantined, too"; }
        grep -v P010 "$tmp/db.txt" >"$tmp/rest.txt"
        same "$tmp/whole.txt" "$tmp/rest.txt" "$name on $ranks ranks: the other cases differ"
        [ ! -e "$db.crash" ] || fail "the notes of crashes outlive the run"
    done
done
# a shard, which has no database: dies at most four times, leaves out the case that kills and nothing else
for setting in "SEGV 11 3" "KILL 9 5"; do
    read -r name number most <<<"$setting"
    session=0 rc=-1
    while [ "$rc" -ne 3 ]; do
        session=$((session + 1))
        [ "$session" -le "$most" ] || { cat "$tmp/log"; fail "$name in a shard: not over after $most starts"; }
        rc=0
        env LD_PRELOAD="$tmp/poison.so" POISON_PATH=P010_A POISON_SIGNAL=$number "${run[@]}" --spool "$tmp/$name" --shard 1/1 >"$tmp/log" 2>&1 || rc=$?
    done
    echo "$name in a shard: over in start $session"
    ! ls "$tmp/$name"/*.held 2>/dev/null || fail "$name: what the shard had in hand is still written down"
    want 3 "$rad" merge "$tmp/job/job.yaml" "$tmp/$name" --db "$tmp/$name.sqlite"
    dump "$tmp/$name.sqlite" >"$tmp/db.txt"
    [ "$(grep quarantine "$tmp/db.txt" | grep -c "P010")" -eq "$(grep -c quarantine "$tmp/db.txt")" ] || fail "$name: others are quarantined, too"
    grep -q "P010.*quarantine" "$tmp/db.txt" || fail "$name: the poisonous case is not quarantined"
    grep -v P010 "$tmp/db.txt" >"$tmp/rest.txt"
    same "$tmp/whole.txt" "$tmp/rest.txt" "$name in a shard: the other cases differ"
done
# notes that an earlier database of this name left behind condemn nobody, in the new database or later
db=$tmp/again.sqlite
for i in $(seq 60); do echo "$i"; echo "00112233445566778899aabbccddeeff 1 $i"; done >"$db.crash"
cp "$db.crash" "$tmp/notes"
want 3 "${run[@]}" --db "$db"
dump "$db" >"$tmp/db.txt"
! grep quarantine "$tmp/db.txt" || fail "notes of another database condemn cases"
[ ! -e "$db.crash" ] || fail "old notes outlive the making of a database"
