#!/usr/bin/env bash
# radcohort run as a command: what is wrong with the command line ends with 2 and a text that a person can use.
. "$(dirname "$0")/../mpi/lib.sh"
"$python" "$here/../mpi/fixture.py" "$tmp/job" 8
run=("$rad" run "$tmp/job/job.yaml" --quiet)
said() { grep -q -- "$1" "$tmp/log" || { cat "$tmp/log" >&2; fail "it does not say '$1'"; }; }
want 2 "${run[@]}" --db ""
said "name of a file"
want 2 "${run[@]}" --db "$tmp/x.sqlite" --batch 4097
said "from 1 to 4096"
want 2 "${run[@]}" --db "$tmp/x.sqlite" --precision fp16
said "fp16"
! grep -q '^$' "$tmp/log" || { cat "$tmp/log"; fail "an empty line follows the refusal"; }
# files that are not ours
echo "some text that is no database" >"$tmp/text"
"$python" -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("CREATE TABLE t (x)")' "$tmp/foreign"
want 3 "${run[@]}" --db "$tmp/wal.sqlite"
"$python" -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute("PRAGMA journal_mode = WAL"); d.execute("UPDATE run SET job = job")' \
    "$tmp/wal.sqlite"
for file in text foreign wal.sqlite; do
    for command in "run $tmp/job/job.yaml --quiet --db $tmp/$file" "stats $tmp/$file" "status $tmp/$file"; do
        want 2 "$rad" $command
        ! grep -q "SELECT\|(code" "$tmp/log" || { cat "$tmp/log"; fail "$command: SQL text in the message"; }
    done
done
# a file past ulimit -f is an error with a text, not a signal
rc=0
(ulimit -f 64; "${run[@]}" --db "$tmp/big.sqlite") >"$tmp/log" 2>&1 || rc=$?
[ "$rc" -eq 1 ] || { cat "$tmp/log"; fail "exit code $rc past the file size limit, expected 1"; }
said "big.sqlite"
# a full disk behind standard output is told once
want 3 "${run[@]}" --db "$tmp/ok.sqlite"
if [ -c /dev/full ]; then
    rc=0
    "$rad" stats "$tmp/ok.sqlite" >/dev/full 2>"$tmp/log" || rc=$?
    [ "$rc" -eq 1 ] || fail "exit code $rc with a full standard output, expected 1"
    [ "$(grep -c "cannot write" "$tmp/log")" -eq 1 ] || { cat "$tmp/log"; fail "not told once"; }
fi
# what the help names is there
"$rad" run --help | grep -o 'jobs/[a-z/]*\.yaml' | sort -u | while read -r f; do
    [ -e "$RAD_SOURCE/$f" ] || fail "run --help names $f, which is not there"
done
