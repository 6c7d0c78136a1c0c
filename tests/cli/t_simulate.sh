#!/bin/bash
# radcohort simulate: figures as JSON and text, a job's own cases, and what is refused.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; exit 1; }
for ranks in 64 1024; do
    "$RADCOHORT" simulate --cases 50000 --ranks $ranks --cost-spread 50 --json > "$dir/json"
    /usr/bin/python3 - "$dir/json" $ranks <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert r['ranks'] == int(sys.argv[2]) and r['cases'] == r['done'] == 50000 and r['left'] == 0, r
assert 0.97 <= r['efficiency'] <= 1 and 0 < r['coordinator_share'] < 1, r
assert abs(r['efficiency'] - r['work_s'] / (r['ranks'] * r['seconds'])) < 1e-6, r
PY
done
"$RADCOHORT" simulate --cases 1000 --ranks 4 > "$dir/out"
grep -q "parallel efficiency" "$dir/out" || fail "text: $(cat "$dir/out")"
code=0
"$RADCOHORT" simulate --cases 10000 --ranks 3 --fail-rate 0.9999 > "$dir/out" || code=$?
[ $code = 4 ] || fail "no rank survives, exit $code"
for bad in "--cases 0" "--ranks x" "--fail-rate 1" "$dir/none.yaml" "$dir/none.yaml --cases 3"; do
    code=0
    # shellcheck disable=SC2086
    "$RADCOHORT" simulate $bad > "$dir/out" 2> "$dir/err" || code=$?
    [ $code = 2 ] && [ -s "$dir/err" ] || fail "'$bad' ends with $code"
done
/usr/bin/python3 "$RAD_SOURCE/tests/mpi/fixture.py" "$dir/job" 6
"$RADCOHORT" simulate "$dir/job/job.yaml" --ranks 2 --mean-cost 3 --json > "$dir/json"
/usr/bin/python3 - "$dir/json" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert 0 < r['cases'] == r['done'] and abs(r['work_s'] - 3 * r['cases']) < 1e-6, r
PY
[ ! -e "$dir/job/results" ] || [ -z "$(find "$dir/job/results" -name '*.sqlite')" ] || fail "a simulation wrote a database"
echo "simulated"
