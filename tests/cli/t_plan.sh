#!/usr/bin/env bash
# radcohort plan: counts what is to be computed, tells what the database has already, works out nodes, keeps nothing.
set -eu
rad=${RADCOHORT:?}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }
/usr/bin/python3 "${RAD_SOURCE:?}/tests/mpi/fixture.py" "$tmp/job" 12
cd "$tmp"
plan() { "$rad" plan job/job.yaml --db r.sqlite --json "$@" 2>text; }
number() { sed -n 's/^  "'"$1"'": \(.*[^,]\),\{0,1\}$/\1/p' out; }
is() { [ "$(number "$1")" = "$2" ] || { cat out; fail "$1 is '$(number "$1")', expected $2"; }; }
plan >out
is cases 18
is cases_left 18
is probed 6
is nodes 1
[ ! -e r.sqlite ] || fail "a plan left a database"
# 18 cases of 1,000 s are 5 hours of one rank; 2 ranks a node at 90 %: 1 hour takes 3 nodes
plan --seconds 1000 --hours 1 --workers-per-node 2 --max-nodes 100 >out
is probed 0
is rank_hours 5.0
is nodes 3
is ranks 7
grep -q "3 nodes of 2 ranks and one coordinator: about 55 min 33 s$" text || { cat text; fail "the text does not say so"; }
# times as a person says them: seconds, minutes and hours, never a small part of an hour
for said in "0.0001:under 0.01 s" "0.01:0.18 s" "2:36 s" "3.33:1 min 00 s" "10:3 min 00 s" "199.99:1 h 00 min" "1000:5 h 00 min" "20000:100 h"; do
    plan --seconds "${said%%:*}" >out
    grep -q ": ${said#*:} of one rank$" text || { cat text; fail "18 cases of ${said%%:*} s are not ${said#*:} of one rank"; }
done
plan --no-probe >out
is seconds_per_case null
"$rad" run job/job.yaml --db r.sqlite --quiet >/dev/null || [ $? -eq 3 ] || fail "the run failed"
plan >out
is cases_left 0
rc=0; "$rad" plan job/job.yaml --hours 0 >/dev/null 2>&1 || rc=$?
[ $rc -eq 2 ] || fail "--hours 0: exit code $rc, expected 2"
for bad in "--shard 0/3" "--shard 4/3" "--shard x" "--shard 1/2 --db x"; do
    rc=0; "$rad" run job/job.yaml --spool s $bad >/dev/null 2>&1 || rc=$?
    [ $rc -eq 2 ] || fail "run $bad: exit code $rc, expected 2"
done
rc=0; "$rad" run job/job.yaml --silence 2 >/dev/null 2>&1 || rc=$?
[ $rc -eq 2 ] || fail "--silence 2: exit code $rc, expected 2"
rc=0; "$rad" merge job/job.yaml no-such-folder --db m.sqlite >log 2>&1 || rc=$?
[ $rc -eq 2 ] && grep -q "no folder" log || { cat log; fail "merge of a folder that is not there: $rc"; }
