#!/usr/bin/env bash
# The main job on a phantom cohort: installs what is missing, builds, makes the cohort, scores it with four networks on three ranks, and
# prints the AUC by center. Can be run again: what is done is not done twice.
set -eu
cd "$(dirname "$0")/../.."
.ci/install build
cmake --preset release >build-demo.log 2>&1 || { cat build-demo.log; rm -f build-demo.log; exit 1; }
grep -E '^-- (oneDNN|cuDNN) ' build-demo.log || true
rm -f build-demo.log
cmake --build --preset release --target radcohort
program=build/release/src/cli/radcohort

[ -e jobs/demo/cohort/patients.tsv ] || "$program" phantom -o jobs/demo/cohort --design demo

# three ranks on any machine: also on two cores, and as root in a container
launch=(mpirun -n 3 --oversubscribe --bind-to none)
export OMPI_MCA_mpi_yield_when_idle=1
[ "$(id -u)" -ne 0 ] || launch+=(--allow-run-as-root)
status=0
"${launch[@]}" "$program" run jobs/demo.yaml --db results/demo.sqlite || status=$?
# 3 = finished with exclusions: the table is still whole
[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"

"$program" stats results/demo.sqlite
echo
echo "next: open results/demo.sqlite (sqlite3, R, Python, DBeaver, Datasette); schemas/README.md has ready queries"
