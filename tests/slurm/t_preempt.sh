#!/usr/bin/env bash
# A job of a better partition takes our nodes in mid-run (PriorityTier, PreemptMode=REQUEUE): ours goes back into the queue, goes on from
# what it had, and ends with the results of an undisturbed run. So many patients that work is left when the better job comes.
. "$(dirname "$0")/lib.sh"
make_job 150 32 112
site RAD_LAUNCHER=mpirun
db=results/preempt.sqlite
job=$(submit -N 2 -n 2 --exclusive -w n1,n2 slurm/run.sbatch job/job.yaml --db $db)
await_done $db 6 40
better=$(submit -p better -N 2 -n 2 --exclusive -w n1,n2 --wrap 'sleep 0.5')
expect 0 "$better" 60
expect 3 "$job" 90
[ "$(scontrol show job "$job" | sed -n 's/.* Restarts=\([0-9]*\).*/\1/p')" -ge 1 ] || fail "the job was not preempted"
same $db "preempted"
"$python" - $db <<'P' || fail "what was finished before was computed again"
import sqlite3, sys
done, sessions = sqlite3.connect(sys.argv[1]).execute("SELECT session_done, sessions FROM run").fetchone()
sys.exit(done < 6 or sessions < 2)
P
