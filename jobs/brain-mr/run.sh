#!/usr/bin/env bash
# The brain-mr job on its phantom cohort, on three ranks: cohort, scores, table. Can be run again: what is done is not done twice.
#   jobs/brain-mr/run.sh [RADCOHORT]     the built program; default build/release/src/cli/radcohort (jobs/demo/run.sh builds it)
set -eu
program=$(realpath "${1:-$(dirname "$0")/../../build/release/src/cli/radcohort}")
cd "$(dirname "$0")/../.."

[ -e jobs/brain-mr/cohort/patients.tsv ] || "$program" phantom -o jobs/brain-mr/cohort --design brain

# three ranks on any machine: also on two cores, and as root in a container
launch=(mpirun -n 3 --oversubscribe --bind-to none)
export OMPI_MCA_mpi_yield_when_idle=1
[ "$(id -u)" -ne 0 ] || launch+=(--allow-run-as-root)
status=0
"${launch[@]}" "$program" run jobs/brain-mr.yaml --db results/brain-mr.sqlite || status=$?
# 3 = finished with exclusions: the table is still whole
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"

"$program" stats results/brain-mr.sqlite
