#!/usr/bin/env bash
# submit.sh JOB: asks the job what it needs, says it, and submits it.
#
#   slurm/submit.sh [options] JOB [-- options of 'radcohort run']
#
#   --dry-run          print the sbatch commands instead of running them
#   --nodes N          that many nodes, instead of what RAD_TARGET_HOURS asks for
#   --hours H          the run should take about that long (instead of RAD_TARGET_HOURS)
#   --seconds S        seconds that one rank takes for a case, where it is known; default: a few cases are computed here
#   --no-probe         nothing is computed here (a login node without a GPU): RAD_MAX_NODES nodes unless --nodes says otherwise
#   --array N          without MPI: N array tasks, each a shard, and a job that merges their results
#   --dir DIR          folder of the shards (default: RAD_LOGS/NAME.shards)
#   --chain N          N jobs one after the other, for sites that do not let a job requeue itself
#   --after JOBID      start when that job has ended, however it ended
#
# What is asked of Slurm, and how nodes are filled, is in site.env (site.env.example explains every variable).
set -eu
home=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lib.sh
. "$home/lib.sh"
load_site "$home"
usage() { sed -n '2,/^set -eu/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }

dry='' nodes='' hours=$RAD_TARGET_HOURS seconds='' probe=1 array='' dir='' chain=1 after='' job=''
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry=1 ;;
    --no-probe) probe='' ;;
    --nodes | --hours | --seconds | --array | --dir | --chain | --after)
        [ $# -ge 2 ] || usage
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    --) shift; break ;;
    -*) usage ;;
    *) [ -z "$job" ] || usage; job=$1 ;;
    esac
    shift
done
[ -n "$job" ] || usage

per_node=$RAD_RANKS_PER_NODE
[ "$RAD_GPUS_PER_NODE" -eq 0 ] || per_node=$RAD_GPUS_PER_NODE
ask=(--workers-per-node "$per_node" --hours "$hours" --max-nodes "$RAD_MAX_NODES")
if [ -n "$seconds" ]; then
    ask+=(--seconds "$seconds")
elif [ -z "$probe" ]; then
    ask+=(--no-probe)
fi
rc=0
plan=$("${program[@]}" plan "$job" "${ask[@]}" "$@" --json) || rc=$?
[ "$rc" -eq 0 ] || exit "$rc"
left=$(field /dev/stdin cases_left <<<"$plan")
name=$(field /dev/stdin job <<<"$plan")
if [ "$left" -eq 0 ]; then
    say "every case has its result: nothing to submit"
    exit 0
fi
[ -n "$nodes" ] || nodes=$(field /dev/stdin nodes <<<"$plan")

common=(--parsable --time "$RAD_TIME" --signal "B:USR1@$RAD_SIGNAL_SECONDS" --export "ALL,RAD_SLURM_HOME=$home")
[ -z "$RAD_PARTITION" ] || common+=(--partition "$RAD_PARTITION")
[ -z "$RAD_ACCOUNT" ] || common+=(--account "$RAD_ACCOUNT")
[ -z "$RAD_QOS" ] || common+=(--qos "$RAD_QOS")
[ -z "$after" ] || common+=(--dependency "afterany:$after")
# shellcheck disable=SC2206
common+=($RAD_SBATCH_OPTIONS)
whole=()
if [ "$RAD_CORES_PER_NODE" -gt 0 ]; then whole+=(--cpus-per-task "$RAD_CORES_PER_NODE"); else whole+=(--exclusive); fi
[ "$RAD_MEMORY_PER_NODE" = 0 ] && whole+=(--mem 0) || whole+=(--mem "$RAD_MEMORY_PER_NODE")

# gpus N: what asks for N GPUs a node
gpus() {
    case $RAD_GPU_REQUEST in
    gpus-per-node) echo "--gpus-per-node=$1" ;;
    gres) echo "--gres=gpu:$1" ;;
    gres:*) echo "--gres=gpu:${RAD_GPU_REQUEST#gres:}:$1" ;;
    *) say "RAD_GPU_REQUEST='$RAD_GPU_REQUEST': gpus-per-node, gres or gres:NAME was expected"; exit 2 ;;
    esac
}

# run_or_print WHAT COMMAND...: prints the number of the submitted job
run_or_print() {
    local what=$1 id
    shift
    if [ -n "$dry" ]; then
        printf '%q ' "$@" >&2
        echo >&2
        echo "<$what job>"
        return
    fi
    id=$("$@") || exit 1
    echo "$what job ${id%%;*}" >&2
    echo "${id%%;*}"
}

mkdir -p "$RAD_LOGS"
if [ -n "$array" ]; then
    [ -n "$dir" ] || dir=$RAD_LOGS/$name.shards
    one=()
    [ "$RAD_GPUS_PER_NODE" -eq 0 ] || one+=("$(gpus 1)")
    [ "$RAD_CORES_PER_NODE" -eq 0 ] || one+=(--cpus-per-task "$((RAD_CORES_PER_NODE / per_node > 0 ? RAD_CORES_PER_NODE / per_node : 1))")
    id=$(run_or_print array sbatch "${common[@]}" --job-name "radcohort-$name" -N 1 -n 1 "${one[@]}" --array "0-$((array - 1))" \
        --output "$RAD_LOGS/%A_%a.out" "$home/array.sbatch" "$job" "$dir")
    run_or_print merge sbatch "${common[@]}" --job-name "radcohort-$name-merge" -N 1 -n 1 --dependency "afterany:$id" \
        --output "$RAD_LOGS/%j.out" "$home/merge.sbatch" "$job" "$dir" --complete "$@" >/dev/null
    exit 0
fi
[ "$RAD_GPUS_PER_NODE" -eq 0 ] || whole+=("$(gpus "$RAD_GPUS_PER_NODE")")
[ "$chain" -eq 1 ] || common+=(--dependency "singleton${after:+,afterany:$after}")
for ((i = 0; i < chain; i++)); do
    run_or_print run sbatch "${common[@]}" "${whole[@]}" --job-name "radcohort-$name" -N "$nodes" --ntasks-per-node 1 \
        --output "$RAD_LOGS/%j.out" "$home/run.sbatch" "$job" "$@" >/dev/null
done
