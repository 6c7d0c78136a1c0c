#!/usr/bin/env bash
# Without MPI: array tasks and the tasks of one step leave their results in files, a job that depends on them merges. A shard is killed.
. "$(dirname "$0")/lib.sh"
make_job 60 32 112
site RAD_EXCLUSIONS_OK=1
out=$(slurm/submit.sh --array 3 --dir results/a.shards job/job.yaml -- --db results/a.sqlite 2>&1) || fail "submit.sh: $out"
array=$(sed -n 's/^array job \([0-9]*\)$/\1/p' <<<"$out") merge=$(sed -n 's/^merge job \([0-9]*\)$/\1/p' <<<"$out")
[ -n "$array" ] && [ -n "$merge" ] || fail "submit.sh does not tell its jobs: $out"
for _ in $(seq 200); do
    victim=$(pgrep -f "^$rad run job/job.yaml --spool results/a.shards" | head -1) && [ -n "$victim" ] && break
    sleep 0.1
done
sleep 0.3
kill -KILL "$victim" || fail "the shards were over before one could be killed"
expect 0 "$merge" 90
same results/a.sqlite "array and merge"
# the same as one step of four tasks, no process manager; merged by hand, twice, once while files are missing
mkdir results/s.shards
srun -N 2 -n 4 --overcommit --mpi=none "$rad" run job/job.yaml --spool results/s.shards --shard auto --threads 1 --quiet >/dev/null 2>&1 || true
[ "$(ls results/s.shards/*.rfs | wc -l)" -eq 4 ] || fail "a step of four tasks left other than four files"
mv results/s.shards/shard-00002-* .
rc=0; "$rad" merge job/job.yaml results/s.shards --db results/s.sqlite >log 2>&1 || rc=$?
[ $rc -eq 4 ] || { cat log; fail "a merge without one file ended with $rc, expected 4"; }
grep -q "^missing: P0.* and [0-9]* more; start their shards again" log || { cat log; fail "the merge does not name what is missing"; }
head -c 3000 shard-00002-* >results/s.shards/shard-00002-cut.rfs
rc=0; "$rad" merge job/job.yaml results/s.shards --db results/s.sqlite >log 2>&1 || rc=$?
[ $rc -eq 4 ] || { cat log; fail "a merge with half a file ended with $rc, expected 4"; }
grep -q "1 spool file is not whole" log || { cat log; fail "the file that was cut off is not told"; }
mv shard-00002-* results/s.shards/
for _ in 1 2; do
    rc=0; "$rad" merge job/job.yaml results/s.shards --db results/s.sqlite >log 2>&1 || rc=$?
    [ $rc -eq 3 ] || { cat log; fail "the merge ended with $rc, expected 3"; }
    same results/s.sqlite "steps and merge"
done
# files of another run are left alone
sed 's/margin_mm: 2/margin_mm: 3/' job/job.yaml >job/other.yaml
rc=0; "$rad" merge job/other.yaml results/s.shards --db results/o.sqlite >log 2>&1 || rc=$?
[ $rc -eq 4 ] || { cat log; fail "a merge of foreign files ended with $rc, expected 4"; }
grep -q "are of another run" log || { cat log; fail "foreign files are not told"; }
# a case that kills its task whenever it is read (as the memory limit does): left out with the reason by the task itself, the others go on
"${CC:-cc}" -shared -fPIC -o "$tmp/poison.so" "$source/tests/mpi/poison.c" -ldl || skip "no compiler"
printf '#!/bin/sh\nLD_PRELOAD=%s POISON_PATH=P010_A POISON_SIGNAL=9 exec %s "$@"\n' "$tmp/poison.so" "$rad" >poisoned
chmod +x poisoned
site "RAD_BIN=$work/poisoned"
out=$(slurm/submit.sh --no-probe --array 3 --dir results/p.shards job/job.yaml -- --db results/p.sqlite 2>&1) || fail "submit.sh: $out"
expect 3 "$(sed -n 's/^merge job \([0-9]*\)$/\1/p' <<<"$out")" 90
array=$(sed -n 's/^array job \([0-9]*\)$/\1/p' <<<"$out")
dump results/p.sqlite >got.txt
grep -q 'P010.*quarantine' got.txt || fail "the case that kills is not quarantined"
cmp -s <(grep -v P010 "$tmp/whole.txt") <(grep -v P010 got.txt) || fail "the other cases differ"
[ "$(grep -l ' ended: exit code none' results/${array}_*.out | wc -l)" -eq 1 ] || fail "not one task died of it, and one alone"
[ "$(grep -hc ' ended: exit code none' results/${array}_*.out | sort -n | tail -1)" -le 4 ] || fail "the task died more than four times"
