#!/usr/bin/env bash
# The main job on a phantom cohort, for the run.sh of every job folder here: builds, makes the cohort when it is not there, runs the job on
# three ranks, and prints its table. Can be run again: what is done is not done twice.
#   jobs/study.sh JOB DESIGN [--scale X] [--ranks N]
set -eu
cd "$(dirname "$0")/.."
job=$1 design=$2
shift 2
scale= ranks=3
while [ $# -gt 0 ]; do
    case $1:${2:-} in
    --scale:?*) scale=$2 ;;
    --ranks:?*) ranks=$2 ;;
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
cmake --build --preset release --target radcohort radstats
program=build/release/src/cli/radcohort

# another scale is another cohort, and another study: it does not take the place of one that is there
cohort=jobs/$job/cohort
if [ ! -e "$cohort/patients.tsv" ]; then
    if [ -e "jobs/$job/cohort.py" ]; then
        python3 "jobs/$job/cohort.py" "$program" "$cohort" --scale "${scale:-1}"
    else
        "$program" phantom -o "$cohort" --design "$design" --scale "${scale:-1}"
    fi
    echo "${scale:-1}" >"$cohort/.scale"
elif [ -n "$scale" ] && [ "$scale" != "$(cat "$cohort/.scale" 2>/dev/null)" ]; then
    echo "jobs/$job/run.sh: $cohort was made with another --scale ($(cat "$cohort/.scale" 2>/dev/null || echo unknown)); remove it and results/$job.sqlite*" \
        "first, or leave --scale out" >&2
    exit 2
fi

# on any machine: also with fewer cores than ranks, and as root in a container
launch=(mpirun -n "$ranks" --oversubscribe --bind-to none)
export OMPI_MCA_mpi_yield_when_idle=1
[ "$(id -u)" -ne 0 ] || launch+=(--allow-run-as-root)
status=0
"${launch[@]}" "$program" run "jobs/$job.yaml" --db "results/$job.sqlite" || status=$?
# 3 = finished with exclusions: the table is still whole
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"

"$program" stats "results/$job.sqlite"
if [ -e "jobs/$job/published.sql" ]; then
    echo
    if [ -n "$(command -v sqlite3)" ]; then
        echo "what was published, and the same here (jobs/$job/published.sql)"
        sqlite3 -readonly -bail -cmd '.load build/release/radstats' -cmd '.read jobs/published.sql' -cmd '.mode box --wrap 150' \
            "results/$job.sqlite" <"jobs/$job/published.sql"
    else
        echo "with the program sqlite3, jobs/$job/published.sql prints what was published beside the same of this run"
    fi
fi
echo
echo "next: open results/$job.sqlite (sqlite3, R, Python, DBeaver, Datasette); schemas/README.md has ready queries"
