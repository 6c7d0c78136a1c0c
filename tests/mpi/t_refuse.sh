#!/usr/bin/env bash
# What concerns the whole run is said once, by rank 0, and everybody leaves with an exit code that says so.
. "$(dirname "$0")/lib.sh"
need_mpirun
"$python" "$here/fixture.py" "$tmp/job" 4
# once PATTERN: the text stands exactly once in the log
once() {
    local n
    n=$(grep -c "$1" "$tmp/log" || true)
    [ "$n" -eq 1 ] || { cat "$tmp/log" >&2; fail "'$1' appears $n times, expected once"; }
}
for ranks in 0 3; do
    want 2 mpi $ranks "$rad" run "$tmp/none.yaml"
    once "cannot open.*none.yaml"
    sed 's/^positive: .*/positive: maligant/' "$tmp/job/job.yaml" >"$tmp/job/typo.yaml"
    want 2 mpi $ranks "$rad" run "$tmp/job/typo.yaml" --db "$tmp/x.sqlite"
    once "error: .*maligant"
    sed 's/one\.onnx/gone.onnx/' "$tmp/job/job.yaml" >"$tmp/job/gone.yaml"
    want 2 mpi $ranks "$rad" run "$tmp/job/gone.yaml" --db "$tmp/x.sqlite"
    once "gone.onnx"
    sed 's/classes: .*/classes: [benign, malignant, other]/; /^positive/d; /^operating/d' "$tmp/job/job.yaml" >"$tmp/job/classes.yaml"
    want 2 mpi $ranks "$rad" run "$tmp/job/classes.yaml" --db "$tmp/x.sqlite"
    once "outputs per sample"
    want 2 mpi $ranks "$rad" run "$tmp/job/job.yaml" --backend nonesuch --db "$tmp/x.sqlite"
    once "nonesuch"
    [ ! -e "$tmp/x.sqlite" ] || fail "a database was made for a job that cannot run"
    : >"$tmp/file"
    want 1 mpi $ranks "$rad" run "$tmp/job/job.yaml" --db "$tmp/file/x.sqlite"
    once "run: error: .*file"
done
