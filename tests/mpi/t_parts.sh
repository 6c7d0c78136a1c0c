#!/usr/bin/env bash
# Of large images only the slices that are needed are read: the same results as from whole files, with what an earlier run remembered, without
# it, on any number of ranks; and how much of the files a further run touches.
. "$(dirname "$0")/lib.sh"
need_mpirun
"$python" - "$here" "$tmp/job" <<'P'
import os, random, sys, time
sys.path.insert(0, sys.argv[1])
from fixture import I16, network, nifti
folder, side, depth = sys.argv[2], 96, 260
cohort = os.path.join(folder, "cohort")
os.makedirs(cohort)
tables = {"centers": ["center\tcohort", "H1\tinternal"], "patients": ["patient\tcenter\tlabel"],
          "images": ["patient\tstudy\tsequence\tpath"], "lesions": ["patient\tlesion\tlabel\tbox"]}
draw = random.Random(3)
noise = [draw.randrange(0, 800) for _ in range(side * side * 7 + 13)]
for p in range(4):
    name, label = "P%d" % p, ["benign", "malignant"][p % 2]
    tables["patients"].append("%s\tH1\t%s" % (name, label))
    for sequence in "AB":
        path = os.path.join(cohort, "%s_%s.nii.gz" % (name, sequence))
        shift = draw.randrange(len(noise))
        values = (noise[shift:] + noise * (depth // 7 + 2))[:side * side * depth]
        nifti(path, (side, side, depth), (1.0, 1.0, 1.0), values, I16)
        then = time.time() - 3600
        os.utime(path, (then, then))
        tables["images"].append("%s\ts1\t%s\t%s" % (name, sequence, os.path.basename(path)))
    for k, z in enumerate((40 + 60 * p, 30 + 50 * p)):
        tables["lesions"].append("%s\tL%d\t%s\t20 30 %d 50 60 %d" % (name, k, label, z, z + 3))
for table, rows in tables.items():
    with open(os.path.join(cohort, table + ".tsv"), "w") as f:
        f.write("\n".join(rows) + "\n")
open(os.path.join(folder, "net.onnx"), "wb").write(network(1, 4, 16, 2, 4))
open(os.path.join(folder, "job.yaml"), "w").write("""job: parts
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs:
  stack:
    channels: [{sequence: A, offset: [-1, 0, 1]}, {sequence: B}]
    slices: lesion-all
    region: {from: box, margin_mm: 2}
    window: {low: 0, high: 800}
    resize: {size: 16}
models: [{name: net, file: net.onnx, input: stack, activation: softmax}]
backend: ref
""")
P
job=$tmp/job/job.yaml cohort=$tmp/job/cohort
sql() { "$python" -c 'import sqlite3, sys; print(*(" ".join(map(str, r)) for r in sqlite3.connect(sys.argv[1]).execute(sys.argv[2])), sep="\n")' "$1" "$2"; }
bytes_of() { sql "$1" "SELECT sum(t.read_bytes) FROM time_ledger t JOIN manifest m ON m.case_id = t.case_id WHERE m.run_id = $2"; }
run() { want "$1" mpi "$2" "$rad" run "$3" --quiet --db "$4" --threads "$5"; }
all=$(du -bc "$cohort"/*.nii.gz | tail -n 1 | cut -f 1)

sed 's/^backend/verify_files: true\nremember_files: false\nbackend/' "$job" >"$tmp/job/whole.yaml"
run 0 0 "$tmp/job/whole.yaml" "$tmp/whole.sqlite" 1
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
[ ! -e "$tmp/whole.sqlite.restart" ] || fail "files are remembered although the job says not to"
for ranks in 0 3; do
    run 0 "$ranks" "$job" "$tmp/r$ranks.sqlite" 2
    dump "$tmp/r$ranks.sqlite" >"$tmp/r$ranks.txt"
    same "$tmp/whole.txt" "$tmp/r$ranks.txt" "$ranks ranks: slices alone give other results than whole files"
done
[ "$(find "$tmp/r0.sqlite.restart" -type f | wc -l)" -eq 8 ] || fail "not every large file is remembered"

# another rule, so that everything is computed again: only a part of the files is touched
sed 's/margin_mm: 2/margin_mm: 3/' "$job" >"$tmp/job/wider.yaml"
run 0 0 "$tmp/job/wider.yaml" "$tmp/r0.sqlite" 2
first=$(bytes_of "$tmp/r0.sqlite" 1) second=$(bytes_of "$tmp/r0.sqlite" 2)
[ "$first" -ge "$all" ] || fail "the first run read $first of $all bytes: the identity of a file is that of all of it"
[ "$second" -lt $((all / 2)) ] || fail "the second run read $second of $all bytes"
dump "$tmp/r0.sqlite" 2 >"$tmp/again.txt"
rm -rf "$tmp/r0.sqlite.restart"
run 0 0 "$tmp/job/wider.yaml" "$tmp/fresh.sqlite" 2
dump "$tmp/fresh.sqlite" >"$tmp/fresh.txt"
same "$tmp/fresh.txt" "$tmp/again.txt" "what was remembered gives other results than the files"

# a file cut short behind its last slice that is needed is no image
truncate -s -300 "$cohort/P0_A.nii.gz"
run 3 0 "$job" "$tmp/r0.sqlite" 1
[ "$(sql "$tmp/r0.sqlite" "SELECT count(*), min(patient), min(reason) FROM v_exclusion WHERE run_id = 3 AND unit = 'lesion'")" = "2 P0 truncated" ] ||
    fail "a file cut short is not excluded: $(sql "$tmp/r0.sqlite" 'SELECT * FROM v_exclusion WHERE run_id = 3')"
# a wrong CRC is noticed where it is asked for, and told in the job's file
"$python" - "$cohort/P1_A.nii.gz" <<'P'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(-8, 2)
    b = f.read(1)
    f.seek(-8, 2)
    f.write(bytes([b[0] ^ 1]))
P
run 3 0 "$tmp/job/whole.yaml" "$tmp/whole.sqlite" 1
[ "$(sql "$tmp/whole.sqlite" "SELECT group_concat(DISTINCT patient) FROM v_exclusion WHERE run_id = 2 AND text LIKE '%CRC%'")" = P1 ] ||
    fail "verify_files does not notice a wrong CRC"
