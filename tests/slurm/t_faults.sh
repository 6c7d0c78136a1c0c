#!/usr/bin/env bash
# What dies in the night: the time limit, a rank, the coordinator, a node; stop file and scancel. The results are those of an undisturbed
# run, and no case that was finished is computed again.
. "$(dirname "$0")/lib.sh"
make_job 60 32 176 # a run of some seconds: it must not be over before somebody dies
site RAD_RANKS_PER_NODE=1 RAD_MAX_RELAUNCHES=4
count() { grep -c "$1" "$2.out" || true; }
# signal before the time limit, here sent by hand: back into the queue, on from where it was
time=$(submit -N 2 -n 2 slurm/run.sbatch job/job.yaml --db results/time.sqlite)
await_done results/time.sqlite 3 40
scancel -b -s USR1 "$time" # it waits in the queue meanwhile
# a rank, then the coordinator: both launchers end, and start again in the allocation
for launcher in mpirun srun; do
    site RAD_LAUNCHER=$launcher RAD_MAX_RELAUNCHES=4
    db=results/$launcher.sqlite
    job=$(submit -N 3 -n 3 slurm/run.sbatch job/job.yaml --db $db)
    await_done $db 3 40
    boss=$(coordinator_pid $db)
    worker=$(rank_pids $db | grep -vx "$boss" | head -1)
    kill -KILL "$worker"
    await_done $db 12 40
    boss=$(coordinator_pid $db)
    kill -KILL "$boss" 2>/dev/null || fail "$launcher: the job was over before the coordinator could be killed"
    expect 3 "$job" 90
    [ "$(count 'radcohort: start . ended: exit code none' "$job")" -ge 1 ] || fail "$launcher: no kill was noticed"
    same $db "$launcher: rank and coordinator killed"
done
expect 3 "$time" 90
[ "$(count 'back into the queue' "$time")" -ge 1 ] || fail "a signal did not requeue the job"
same results/time.sqlite "requeued"
# stop file: ends, resumable, and does not start again
site RAD_LAUNCHER=mpirun
job=$(submit -N 2 -n 2 slurm/run.sbatch job/job.yaml --db results/stop.sqlite)
await_done results/stop.sqlite 3 40
touch results/stop.sqlite.stop
expect 4 "$job" 40
[ ! -e results/stop.sqlite.stop ] || fail "the stop file is still there"
# scancel: what was committed stays
job=$(submit -N 2 -n 2 slurm/run.sbatch job/job.yaml --db results/stop.sqlite)
await_done results/stop.sqlite 10 40
scancel "$job"
await_job "$job" 30 >/dev/null
job=$(submit -N 2 -n 2 slurm/run.sbatch job/job.yaml --db results/stop.sqlite)
expect 3 "$job" 60
same results/stop.sqlite "stopped, cancelled and taken up again"
# a node, with everything on it; not the one of the batch script
site RAD_LAUNCHER=mpirun RAD_MAX_RELAUNCHES=4 RAD_NODE_SECONDS=12
job=$(submit -N 3 -n 3 -w n1,n2,n3 slurm/run.sbatch job/job.yaml --db results/node.sqlite)
await_done results/node.sqlite 3 40
kill_node n3
expect 3 "$job" 90
same results/node.sqlite "a node killed"
grep -q 'on 2 nodes (n1 n2)' "$job.out" || fail "it did not go on without the dead node: $(cat "$job.out")"
