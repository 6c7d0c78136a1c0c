#!/usr/bin/env bash
# A run on GPUs, from job to database, with the module that tests/backend/cudnn_fake.c pretends: samples made on the device, the scores of the
# reference, the same bytes for any ranks, batch and threads; a device that fails or computes wrongly goes out of service, and what it gave
# since its last good answer is done again.
. "$(dirname "$0")/../mpi/lib.sh"
module=$RAD_BUILD/tests/backend/fake/radcohort_cudnn.so
[ -f "$module" ] || skip "built without CUDA and cuDNN"
need_mpirun
here=$RAD_SOURCE/tests/mpi
export XDG_CACHE_HOME=$tmp/cache
mkdir "$tmp/bin"
cp "$rad" "$tmp/bin/radcohort"
cp "$module" "$tmp/bin/"
rad=$tmp/bin/radcohort
"$python" "$here/fixture.py" "$tmp/job" 16
job=$tmp/job/job.yaml
run=("$rad" run "$job" --backend cudnn --quiet)

# One process against the reference: every score to the sums' rounding, every exclusion to the letter.
want 3 "$rad" run "$job" --backend ref --quiet --db "$tmp/ref.sqlite"
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
"$python" - "$tmp/ref.sqlite" "$tmp/whole.sqlite" <<'P'
import sqlite3, sys
a, b = (sqlite3.connect(f) for f in sys.argv[1:])
key, value = ["patient", "lesion", "study", "model", "class", "slice"], "score"
rows = [db.execute(f"SELECT {', '.join(key)}, {value} FROM v_slice_score ORDER BY {', '.join(key)}").fetchall() for db in (a, b)]
assert len(rows[0]) == len(rows[1]) > 100, (len(rows[0]), len(rows[1]))
for x, y in zip(*rows):
    assert x[:-1] == y[:-1] and abs(x[-1] - y[-1]) <= 1e-5, (x, y)
out = [sorted(map(str, db.execute("SELECT stage, reason, text FROM exclusion").fetchall())) for db in (a, b)]
assert out[0] == out[1] and out[0], out
version = b.execute("SELECT backend_version FROM run").fetchone()[0]
assert "samples made on the device" in version, version
print(len(rows[0]), "scores as the reference's;", len(out[0]), "exclusions with the same words")
P

# Promise 1.
for how in "0 --batch 1 --threads 1" "0 --batch 37 --threads 3" "3 --batch 5 --threads 2"; do
    set -- $how
    ranks=$1
    shift
    want 3 mpi "$ranks" "${run[@]}" "$@" --db "$tmp/how.sqlite"
    dump "$tmp/how.sqlite" >"$tmp/how.txt"
    same "$tmp/whole.txt" "$tmp/how.txt" "other bytes with $how"
    rm "$tmp/how.sqlite"
done

# One of two workers has a device that fails at some call (open, engines, preparation, a pass), or begins to compute wrongly.
for what in FAIL=1 FAIL=60 FAIL=400 FAIL=700 FAIL=1500 WRONG=1 WRONG=6 WRONG=9 WRONG=14 WRONG=25; do
    db=$tmp/$what.sqlite
    want 3 timeout 120 mpirun -q -n 2 "${run[@]}" --batch 2 --threads 1 --db "$db" : \
        -n 1 env "RADCOHORT_FAKE_$what" "${run[@]}" --batch 2 --threads 1 --db "$db"
    grep -q "rank 2 is out of service" "$tmp/log" || echo "$what: rank 2 stayed in service" >>"$tmp/stayed"
    dump "$db" >"$tmp/db.txt"
    same "$tmp/whole.txt" "$tmp/db.txt" "$what on one of two workers: the results differ"
done
[ ! -e "$tmp/stayed" ] || cat "$tmp/stayed"
# No device left: the run fails with the reason, and the same command finishes it once the device works again.
db=$tmp/all.sqlite
want 1 env RADCOHORT_FAKE_WRONG=12 "${run[@]}" --batch 2 --threads 1 --db "$db"
grep -q "wrong answer to a known question" "$tmp/log" || { cat "$tmp/log"; fail "it does not say why it failed"; }
want 3 "${run[@]}" --db "$db"
dump "$db" >"$tmp/db.txt"
same "$tmp/whole.txt" "$tmp/db.txt" "finished after a device that computed wrongly: the results differ"
