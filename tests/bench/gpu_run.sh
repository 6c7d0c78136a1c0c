#!/usr/bin/env bash
# Everything that needs a GPU, in one command of under nine minutes: correctness, invariance, a run of the farm, compute-sanitizer, images per
# second. For a machine with a GPU and a build (or a bundle with the tests beside it); writes gpu.json and gpu.txt into the folder.
#
#   tests/bench/gpu_run.sh BUILD FOLDER [MODELS]
#
# BUILD: a build tree; FOLDER: for the results; MODELS: full-size networks (*.onnx) to time, named as torchvision names them, for PyTorch beside
# them when it is there. RADCOHORT_SHARED: the shared networks. Parts that cannot run say why and are recorded as skipped. Exit 0: nothing
# failed; 77: no usable GPU (gpu.txt says why).
set -u
[ $# -ge 2 ] || { sed -n '5,10p' "$0"; exit 2; }
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
models=${3:-}
rad=$build/src/cli/radcohort
[ -x "$rad" ] || rad=$build/bin/radcohort
export RADCOHORT=$rad RAD_SOURCE=$source RAD_BUILD=$build XDG_CACHE_HOME=$out/.cache
python=$(command -v /usr/bin/python3 || command -v python3 || true)
start=$(date +%s)
: >"$out/gpu.txt"
: >"$out/.parts"
failed=0

say() { echo "$*" | tee -a "$out/gpu.txt"; }
left() { echo $((530 - ($(date +%s) - start))); }

# part NAME SECONDS COMMAND...: at most that long, and no longer than what is left; records verdict and seconds
part() {
    local name=$1 limit=$2 rc=0 from
    shift 2
    [ "$(left)" -ge "$limit" ] || limit=$(left)
    say "== $name"
    if [ "$limit" -lt 5 ]; then
        say "skipped: no time left"
        printf '%s\tskipped\t0\tno time left\n' "$name" >>"$out/.parts"
        return
    fi
    from=$(date +%s)
    timeout -k 5 "$limit" "$@" >"$out/.log" 2>&1 || rc=$?
    cat "$out/.log" >>"$out/gpu.txt"
    tail -n 3 "$out/.log"
    local verdict=failed
    case $rc in 0) verdict=passed ;; 77) verdict=skipped ;; 124 | 137) verdict="ran out of $limit seconds" ;; esac
    case $verdict in passed | skipped) ;; *) failed=1 ;; esac
    printf '%s\t%s\t%s\t%s\n' "$name" "$verdict" "$(($(date +%s) - from))" "$(tail -n 1 "$out/.log" | tr '\t' ' ')" >>"$out/.parts"
    say "-- $name: $verdict"
}

# The farm on the device: every score of the small job against the reference, the same bytes for other batches and threads.
farm() {
    local tmp rc
    tmp=$(mktemp -d)
    "$python" "$source/tests/mpi/fixture.py" "$tmp/job" 16 || return
    for how in "whole cudnn 4 1" "again cudnn 37 3" "ref ref 4 1"; do
        set -- $how
        rc=0
        "$rad" run "$tmp/job/job.yaml" --backend "$2" --batch "$3" --threads "$4" --quiet --db "$tmp/$1.sqlite" || rc=$?
        [ "$rc" -eq 3 ] || { echo "$1: exit $rc"; return 1; }
    done
    for db in whole again; do "$python" "$source/tests/mpi/dump.py" "$tmp/$db.sqlite" >"$tmp/$db.txt" || return; done
    cmp "$tmp/whole.txt" "$tmp/again.txt" || { echo "batch and threads change bytes"; return 1; }
    "$python" - "$tmp/whole.sqlite" "$tmp/ref.sqlite" <<'P'
import sqlite3, sys
rows = [sqlite3.connect(f).execute("SELECT patient, lesion, model, slice, class, score FROM v_slice_score ORDER BY 1, 2, 3, 4, 5").fetchall() for f in sys.argv[1:]]
assert len(rows[0]) == len(rows[1]) > 0 and all(a[:-1] == b[:-1] for a, b in zip(*rows))
off = max(abs(a[-1] - b[-1]) for a, b in zip(*rows))
print(f"{len(rows[0])} scores, largest difference from the reference {off:.2g}")
sys.exit(off > 1e-5)
P
    rc=$?
    rm -rf "$tmp"
    return $rc
}

say "$("$rad" --version 2>&1 | head -1), $(date -u +%FT%TZ), $(uname -m)"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader | tee -a "$out/gpu.txt"
"$rad" backends >"$out/.backends" 2>&1
cat "$out/.backends" >>"$out/gpu.txt"
usable=true
grep -q '^cudnn  *usable' "$out/.backends" || usable=false
if [ "$usable" = true ] && [ -z "$python" ]; then
    say "no python3 here: only the known question was asked"
elif [ "$usable" = true ]; then
    part "networks, precisions, invariance" 200 env RADCOHORT_GPU_PART=networks "$python" "$source/tests/backend/t_cudnn_gpu.py"
    part "compute-sanitizer" 110 env RADCOHORT_GPU_PART=sanitizer "$python" "$source/tests/backend/t_cudnn_gpu.py"
    export -f farm
    export rad python source
    part "a run from job to database" 60 bash -c farm
    for model in ${models:+"$models"/*.onnx}; do
        [ -f "$model" ] || continue
        name=$(basename "$model" .onnx)
        part "images per second: $name" 120 "$python" "$source/tests/bench/gpu_bench.py" "$build" "$model" --torch "$name" --batch 64,256
    done
fi

# Not with python, which may be missing.
{
    printf '{\n "when": "%s",\n "usable": %s,\n "seconds": %s,\n "parts": [' "$(date -u +%FT%TZ)" "$usable" "$(($(date +%s) - start))"
    tr -d '\001-\010\013-\037"\\' <"$out/.parts" | awk -F'\t' '{
        printf "%s\n  {\"name\": \"%s\", \"verdict\": \"%s\", \"seconds\": %s, \"last\": \"%s\"}", (NR > 1 ? "," : ""), $1, $2, $3, $4}'
    printf '\n ]\n}\n'
} >"$out/gpu.json"
rm -f "$out/.log" "$out/.parts" "$out/.backends"
if [ "$usable" = false ]; then
    say "SKIP: no usable GPU: $(grep '^cudnn' "$out/gpu.txt" | head -1)"
    exit 77
fi
exit $failed
