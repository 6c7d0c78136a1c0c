# lib.sh: what every MPI test includes. Makes $tmp (removed at the end) and offers mpi, same, and a tiny job.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rad=${RADCOHORT:?set RADCOHORT to the binary}
python=/usr/bin/python3
tmp=$(mktemp -d "${TMPDIR:-/tmp}/radcohort-mpi-XXXXXX")
trap 'rm -rf "$tmp"' EXIT

export TMPDIR=$tmp # Open MPI's session folders
unset OMPI_COMM_WORLD_SIZE PMIX_RANK PMI_RANK SLURM_PROCID
# MPI keeps memory to its end: leaks are looked for where there is no launcher
export ASAN_OPTIONS=detect_leaks=0

fail() { echo "FAIL: $*" >&2; exit 1; }
skip() { echo "SKIP: $*"; exit 77; }

need_mpirun() { command -v mpirun >/dev/null || skip "no mpirun"; }

# mpi RANKS COMMAND...: 0 ranks = without a launcher
mpi() {
    local n=$1
    shift
    if [ "$n" -eq 0 ]; then ASAN_OPTIONS=detect_leaks=1 "$@"; else timeout -k 5 240 mpirun -q -n "$n" "$@"; fi
}

# want CODE COMMAND...: runs it with its output in $tmp/log and checks the exit code
want() {
    local code=$1 rc=0
    shift
    "$@" >"$tmp/log" 2>&1 || rc=$?
    [ "$rc" -eq "$code" ] || { cat "$tmp/log" >&2; fail "exit code $rc, expected $code: $*"; }
}

# dump DATABASE [RUN]: every slice score, case score and exclusion in a fixed order, floats to the last bit, without times, ranks, hosts, ids
dump() { "$python" "$here/dump.py" "$@"; }

# same A B: the two files are equal
same() { cmp -s "$1" "$2" || { diff "$1" "$2" | head -20 >&2; fail "$3"; }; }

# wait_leases DATABASE [SESSION]: until work of that session (or a later one) is under way, or the run is finished
wait_leases() {
    for _ in $(seq 400); do
        [ -e "$1" ] && "$python" - "$1" "${2:-1}" 2>/dev/null <<'P' && return
import sqlite3, sys
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)
state, session = db.execute("SELECT state, sessions FROM run").fetchone()
leased = db.execute("SELECT count(*) FROM work WHERE state = 'leased'").fetchone()[0]
sys.exit(0 if session >= int(sys.argv[2]) and (leased > 0 or state == "finished") else 1)
P
        sleep 0.02
    done
    fail "no lease within eight seconds"
}
