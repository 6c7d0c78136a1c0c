#!/usr/bin/env bash
# Submission, both launchers, declared GPUs, exit codes, and a chain of jobs: every way gives the result of one process.
. "$(dirname "$0")/lib.sh"
make_job 16 24 8
site RAD_LAUNCHER=mpirun RAD_RANKS_PER_NODE=2
out=$(slurm/submit.sh --nodes 2 job/job.yaml -- --db results/mpirun.sqlite 2>&1) || fail "submit.sh: $out"
grep -q '^job tiny: 24 cases' <<<"$out" || fail "submit.sh does not say what the job needs: $out"
one=$(sed -n 's/^run job \([0-9]*\)$/\1/p' <<<"$out")
for _ in $(seq 50); do [ -e "results/$one.out" ] && break; sleep 0.1; done
ln -s "results/$one.out" "$one.out"
expect 3 "$one" 60
same results/mpirun.sqlite "mpirun on two nodes"
grep -q '5 ranks on 2 nodes' "$one.out" || fail "mpirun: not 2 ranks a node and the coordinator"
[ "$(stat -c %a results/mpirun.sqlite)" = 600 ] || fail "the database is not private"
# GPUs: one rank each; the backend of the test takes their place
site RAD_LAUNCHER=srun RAD_GPUS_PER_NODE=2 RAD_EXCLUSIONS_OK=1
two=$(submit -N 2 -n 2 --gpus-per-node=2 slurm/run.sbatch job/job.yaml --db results/srun.sqlite)
expect 0 "$two" 60
same results/srun.sqlite "srun on two nodes"
grep -q '5 ranks on 2 nodes' "$two.out" || fail "srun: not a rank for each of four GPUs and the coordinator"
"$python" - results/srun.sqlite <<'P' || fail "srun: the ranks are not on two nodes"
import sqlite3, sys
hosts = {h for (h,) in sqlite3.connect(sys.argv[1]).execute("SELECT DISTINCT host FROM time_ledger")}
sys.exit(len(hosts) != 2)
P
dry=$(slurm/submit.sh --dry-run --hours 2 --no-probe --nodes 3 job/job.yaml 2>&1) || fail "submit.sh --dry-run: $dry"
grep -q 'sbatch .*--gpus-per-node=2 .*-N 3 ' <<<"$dry" || fail "the command of --dry-run is not what was asked for: $dry"
[ -z "$(squeue -h)" ] || fail "--dry-run submitted something"
# what cannot work is told at once, and not tried again
site RAD_LAUNCHER=mpirun
three=$(submit -N 1 slurm/run.sbatch job/no-such.yaml)
expect 2 "$three" 30
[ "$(grep -c 'radcohort: start' "$three.out")" = 2 ] || fail "invalid input was tried again"
# a chain of jobs of one name, each after the other: the second finds everything done
four=$(submit -N 1 -J chain -d singleton slurm/run.sbatch job/job.yaml --db results/chain.sqlite)
five=$(submit -N 1 -J chain -d singleton slurm/run.sbatch job/job.yaml --db results/chain.sqlite)
expect 3 "$four" 60
expect 3 "$five" 60
same results/chain.sqlite "a chain"
grep -q "every case has its result already" "$five.out" || fail "the second job of the chain computed again"
