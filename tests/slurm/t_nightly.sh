#!/usr/bin/env bash
# Two nights in allocations of two nodes, by both launchers: the first scores everything, the second nothing but what was changed between.
. "$(dirname "$0")/lib.sh"
make_job 12
for launcher in mpirun srun; do
    site "RAD_LAUNCHER=$launcher" RAD_RANKS_PER_NODE=1
    db=results/$launcher.sqlite text=results/nightly-job.txt
    rm -f "$text"
    expect 3 "$(submit -N 2 slurm/nightly.sbatch job/job.yaml --db "$db" --threads 1)" 90
    same "$db" "the first night ($launcher)"
    grep -q "^tiny: 18 cases scored, 0 kept$" "$text" || { cat "$text" >&2; fail "the first summary ($launcher)"; }
    touch job/cohort/P010_A.nii
    printf '\1\2\3\4' | dd of=job/cohort/P006_A.nii bs=1 seek=1000 conv=notrunc status=none
    expect 3 "$(submit -N 2 slurm/nightly.sbatch job/job.yaml --db "$db" --threads 1)" 90
    grep -q "1 case scored, 17 kept" "$text" || { cat "$text" >&2; fail "the second summary ($launcher)"; }
    "$rad" run job/job.yaml --db "results/$launcher-fresh.sqlite" --backend ref --quiet >/dev/null 2>&1 || true
    "$python" "$source/tests/mpi/dump.py" "$db" 2 >a.txt
    dump "results/$launcher-fresh.sqlite" >b.txt
    cmp -s a.txt b.txt || fail "the second night ($launcher) is not what a run from nothing gives"
    "$python" "$source/tests/mpi/fixture.py" again 12
    cp again/cohort/P006_A.nii job/cohort/P006_A.nii # as it was, for the other launcher
    rm -rf again
done
