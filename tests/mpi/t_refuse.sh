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
    sed 's/size: 16/size: 24/' "$tmp/job/job.yaml" >"$tmp/job/size.yaml" # the networks' files say 16
    want 2 mpi $ranks "$rad" run "$tmp/job/size.yaml" --db "$tmp/x.sqlite"
    once "input 'x' of the network is \[3, 16, 16\], the job prepares \[3, 24, 24\]: set resize: {size: 16}"
    want 2 mpi $ranks "$rad" run "$tmp/job/job.yaml" --backend nonesuch --db "$tmp/x.sqlite"
    once "nonesuch"
    [ ! -e "$tmp/x.sqlite" ] || fail "a database was made for a job that cannot run"
    : >"$tmp/file"
    want 1 mpi $ranks "$rad" run "$tmp/job/job.yaml" --db "$tmp/file/x.sqlite"
    once "run: error: .*file"
done
# without resize each image decides: what has another size than the network's file says is excluded, not scored
sed '/resize/d; /name: two/d; /name: pair/d' "$tmp/job/job.yaml" >"$tmp/job/open.yaml"
want 3 "$rad" run "$tmp/job/open.yaml" --db "$tmp/open.sqlite" --quiet
"$python" - "$tmp/open.sqlite" <<'P' || fail "regions of another size than the network's were not excluded"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
rows = db.execute("SELECT DISTINCT stage, reason FROM exclusion WHERE stage IN ('prepare', 'infer') AND case_id IS NOT NULL").fetchall()
text = db.execute("SELECT text FROM exclusion WHERE stage = 'prepare' LIMIT 1").fetchone()[0]
assert rows == [("prepare", "shape")] and "[3, 16, 16], the job prepares [3, " in text, (rows, text)
wrong = db.execute("SELECT count(*) FROM slice WHERE x1 - x0 <> 16 OR y1 - y0 <> 16").fetchone()[0]
assert wrong == 0, wrong
P
