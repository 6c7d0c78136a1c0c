# lib.sh: what every Slurm test includes. Starts a private cluster in $tmp (stopped and removed at the end), a job in $tmp/job, and offers
# submit, await_job, kill_node and friends. Bounded: nothing here waits longer than it says.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rad=$(readlink -f "${RADCOHORT:?set RADCOHORT to the binary}")
source=${RAD_SOURCE:?}
python=/usr/bin/python3
skip() { echo "SKIP: $*"; exit 77; }
case ${RAD_SANITIZE:-} in ?*) skip "runs once, without sanitizers" ;; esac
for p in slurmctld slurmd munged sbatch srun mpirun unshare; do
    PATH=$PATH:/usr/sbin command -v $p >/dev/null || skip "no $p (slurm-wlm, munge)"
done
PATH=$PATH:/usr/sbin
unshare --uts true 2>/dev/null || skip "no right to make a UTS namespace (unshare --uts), so no pseudo nodes"
[ -e /usr/lib/x86_64-linux-gnu/pmix2/lib/libpmix.so.2 ] || ldconfig -p | grep -q libpmix || skip "no libpmix2 for srun --mpi=pmix"

unset ${!SLURM_@} ${!OMPI_COMM_@} ${!PMIX_@} ${!PMI_@} 2>/dev/null || true
tmp=$(mktemp -d "${TMPDIR:-/tmp}/radcohort-slurm-XXXXXX")
finish() {
    local rc=$?
    bash "$here/cluster.sh" stop "$tmp" || true
    [ $rc -eq 0 ] || [ $rc -eq 77 ] || tail -n 40 "$tmp"/site/*.out "$tmp"/site/results/*.out 2>/dev/null >&2 || true
    rm -rf "$tmp"
    exit $rc
}
trap finish EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

export PMIX_MCA_gds=hash ASAN_OPTIONS=detect_leaks=0
export SLURM_CONF=$tmp/slurm.conf
bash "$here/cluster.sh" start "$tmp" || skip "a private Slurm does not start here"

# the work folder: scripts, site.env, a job
work=$tmp/site
mkdir -p "$work/results"
cp -r "$source/slurm" "$work/slurm"
cd "$work"
site() { # site LINES...: site.env of the test
    printf '%s\n' "RAD_BIN=$rad" 'RAD_RUN_OPTIONS="--threads 1 --quiet"' 'RAD_WATCHDOG=0' "$@" >slurm/site.env
}
site
# make_job [PATIENTS SIDE WIDTH]: also the undisturbed result, in $tmp/whole.txt
make_job() {
    "$python" "$source/tests/mpi/fixture.py" "$work/job" "$@"
    local rc=0
    "$rad" run job/job.yaml --backend "$backend" --threads 2 --quiet --db "$tmp/whole.sqlite" >/dev/null 2>&1 || rc=$?
    [ $rc -eq 3 ] || fail "the undisturbed run ends with $rc"
    dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
}
backend=ref
dump() { "$python" "$source/tests/mpi/dump.py" "$1"; }
# same DATABASE WHAT: its results are those of the undisturbed run
same() {
    dump "$1" >"$tmp/got.txt"
    cmp -s "$tmp/whole.txt" "$tmp/got.txt" || { diff "$tmp/whole.txt" "$tmp/got.txt" | head -20 >&2; fail "$2: the results differ"; }
}
# submit ARGUMENTS...: sbatch; prints the job's number
submit() { sbatch --parsable -o "$work/%j.out" "$@"; }
state_of() { scontrol show job "$1" 2>/dev/null | sed -n 's/^ *JobState=\([A-Z_]*\).*/\1/p' | head -1; }
exit_of() { scontrol show job "$1" | sed -n 's/.* ExitCode=\([0-9]*\):.*/\1/p' | head -1; }
# await_job JOB SECONDS: until it has ended; prints its exit code
await_job() {
    local until=$((SECONDS + $2)) s
    while s=$(state_of "$1"); do
        case $s in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL | PREEMPTED) exit_of "$1"; return ;; esac
        [ $SECONDS -lt $until ] || { squeue >&2; cat "$work/$1.out" >&2; fail "job $1 is still '$s' after $2 s"; }
        sleep 0.2
    done
}
# expect CODE JOB SECONDS
expect() {
    local got
    got=$(await_job "$2" "$3")
    [ "$got" = "$1" ] || { cat "$work/$2.out" >&2; tail -n 5 "$tmp"/log/slurmctld >&2; fail "job $2 ended with '$got' ($(state_of "$2")), expected $1"; }
}
# await_done DATABASE N SECONDS: until N cases are done
await_done() {
    local until=$((SECONDS + $3)) n
    while n=$("$rad" status "$1" --json 2>/dev/null | sed -n 's/^ *"n_done": \([0-9]*\),/\1/p'); [ "${n:-0}" -lt "$2" ]; do
        [ $SECONDS -lt $until ] || fail "'$1': ${n:-0} cases after $3 s, $2 were expected"
        sleep 0.1
    done
}
# pids of a pseudo node: everything in its UTS namespace
node_pids() {
    local ns p
    ns=$(readlink "/proc/$(cat "$tmp/pid/slurmd-$1")/ns/uts") || return 0
    for p in /proc/[0-9]*; do
        [ "$(readlink "$p/ns/uts" 2>/dev/null)" != "$ns" ] || echo "${p#/proc/}"
    done
}
kill_node() {
    local p
    p=$(node_pids "$1")
    # shellcheck disable=SC2086
    [ -z "$p" ] || kill -KILL $p 2>/dev/null || true
}
# ranks DATABASE: pids of the program's processes that write to it, the coordinator (who holds the lock's descriptor) first
coordinator_pid() { sed -n 's/.*process \([0-9]*\),.*/\1/p' "$1.lock"; }
rank_pids() { pgrep -f "^$rad run .*$1" | sort -n; }
