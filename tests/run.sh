#!/usr/bin/env bash
# The test command: installs what is missing, builds, and runs every test, then the suite again under the address and undefined-behaviour
# sanitizers and the threaded parts under the thread sanitizer. `tests/run.sh quick` stops after the first build.
# Last lines: what was skipped and why, and the count.
set -eu
cd "$(dirname "$0")/.."
.ci/install build test
jobs=$(nproc)
log=build/test-log
mkdir -p "$log"
passed=0 failed=0 skipped=0

# one preset: configure, build, test; $2 = what to leave out (regular expression), $3 = what to take
suite() {
    local preset=$1 without=${2:-} only=${3:-} rc=0
    echo "== $preset: configure and build ($SECONDS s)"
    cmake --preset "$preset" >"$log/$preset-configure.txt" || { cat "$log/$preset-configure.txt"; exit 1; }
    grep -E '^-- (oneDNN|cuDNN) ' "$log/$preset-configure.txt" || true
    cmake --build --preset "$preset" -j "$jobs" >"$log/$preset-build.txt" 2>&1 || { tail -n 60 "$log/$preset-build.txt"; exit 1; }
    echo "== $preset: test ($SECONDS s)"
    # one more than there are processors: the tests of faults wait more than they compute
    ctest --test-dir "build/$preset" -j $((jobs + 1)) --output-on-failure --no-tests=error ${without:+-E "$without"} ${only:+-R "$only"} \
        >"$log/$preset-test.txt" 2>&1 || rc=$?
    # "Skipped" tests are told by ctest; their own last line says why
    grep -E 'Test +#[0-9]+:' "$log/$preset-test.txt" | grep -v ' Passed ' || true
    local p s f
    p=$(grep -cE 'Test +#[0-9]+:.* Passed ' "$log/$preset-test.txt" || true)
    s=$(grep -cE 'Test +#[0-9]+:.*\*\*\*Skipped' "$log/$preset-test.txt" || true)
    f=$(grep -cE 'Test +#[0-9]+:.*(\*\*\*Failed|\*\*\*Timeout|\*\*\*Exception|\*\*\*Not Run)' "$log/$preset-test.txt" || true)
    grep -hE '^SKIP: ' "build/$preset/Testing/Temporary/LastTest.log" | sort | uniq -c | sed 's/^/   /' || true
    if [ "$rc" -ne 0 ]; then
        [ "$f" -gt 0 ] || f=1
        sed -n '/^The following tests FAILED/,$p;/^ *Start/!{/assert\|ERROR\|FAILED\|error:/p}' "$log/$preset-test.txt" | tail -n 120
    fi
    passed=$((passed + p)) skipped=$((skipped + s)) failed=$((failed + f))
}

suite release
if [ "${1:-}" != quick ]; then
    # sanitizers slow the kernels tenfold: the comparisons with other programs, the clusters and the browser run only in the release build
    suite debug '^(backend|lint|slurm|report)/'
    suite tsan '' '^unit/test_(infer|farm|base)'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
