#!/usr/bin/env bash
# The main job on a phantom cohort, for the run.sh of every job folder here: builds, makes the cohort when it is not there, runs the job on
# three ranks, and prints its table. Can be run again: what is done is not done twice.
#   jobs/study.sh JOB DESIGN [--scale X] [--ranks N]
set -eu
cd "$(dirname "$0")/.."
job=$1 design=$2
shift 2
scale=1 ranks=3
while [ $# -gt 0 ]; do
    case $1 in
    --scale) scale=$2 ;;
    --ranks) ranks=$2 ;;
    *)
        echo "usage: jobs/$job/run.sh [--scale X] [--ranks N]" >&2
        exit 2
        ;;
    esac
    shift 2
done

.ci/install build
cmake --preset release >"build-$job.log" 2>&1 || { cat "build-$job.log"; rm -f "build-$job.log"; exit 1; }
grep -E '^-- (oneDNN|cuDNN) ' "build-$job.log" || true
rm -f "build-$job.log"
cmake --build --preset release --target radcohort
program=build/release/src/cli/radcohort

# another scale is another cohort: remove the folder first
[ -e "jobs/$job/cohort/patients.tsv" ] || "$program" phantom -o "jobs/$job/cohort" --design "$design" --scale "$scale"

# on any machine: also with fewer cores than ranks, and as root in a container
launch=(mpirun -n "$ranks" --oversubscribe --bind-to none)
export OMPI_MCA_mpi_yield_when_idle=1
[ "$(id -u)" -ne 0 ] || launch+=(--allow-run-as-root)
status=0
"${launch[@]}" "$program" run "jobs/$job.yaml" --db "results/$job.sqlite" || status=$?
# 3 = finished with exclusions: the table is still whole
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"

"$program" stats "results/$job.sqlite"
echo
echo "next: open results/$job.sqlite (sqlite3, R, Python, DBeaver, Datasette); schemas/README.md has ready queries"
