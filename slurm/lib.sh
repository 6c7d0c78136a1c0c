# lib.sh: what the batch scripts share. Sourced by them; needs nothing of the site but site.env.

say() { printf '%s radcohort: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >&2; }

# load_site: defaults, then the site's file (RAD_SITE, else site.env beside this file), then modules and RAD_CONTAINER
load_site() {
    local here=$1 m
    RAD_BIN=radcohort RAD_MODULES= RAD_CONTAINER= RAD_CONTAINER_OPTIONS= RAD_PARTITION= RAD_ACCOUNT= RAD_QOS= RAD_TIME=24:00:00
    RAD_MAX_NODES=8 RAD_TARGET_HOURS=8 RAD_SBATCH_OPTIONS= RAD_GPUS_PER_NODE=0 RAD_GPU_REQUEST=gpus-per-node RAD_RANKS_PER_NODE=1
    RAD_CORES_PER_NODE=0 RAD_MEMORY_PER_NODE=0 RAD_LAUNCHER=mpirun RAD_MPIRUN_OPTIONS= RAD_SRUN_OPTIONS= RAD_RUN_OPTIONS= RAD_SCRATCH=
    RAD_FILE_MODE= RAD_LOGS=results RAD_SIGNAL_SECONDS=300 RAD_MAX_REQUEUES=20 RAD_MAX_RELAUNCHES=3 RAD_WATCHDOG=1800 RAD_EXCLUSIONS_OK=0
    RAD_NODE_SECONDS=20 RAD_NIGHT_MAIL= RAD_NIGHT_TO=
    local site=${RAD_SITE:-$here/site.env}
    if [ -r "$site" ]; then
        # shellcheck disable=SC1090
        . "$site"
    elif [ -n "${RAD_SITE:-}" ]; then
        say "no site file '$site' (RAD_SITE)"
        return 2
    fi
    for m in $RAD_MODULES; do module load "$m" || { say "module '$m' cannot be loaded"; return 2; }; done
    case $RAD_LAUNCHER in mpirun | srun) ;; *)
        say "RAD_LAUNCHER='$RAD_LAUNCHER' in $site: mpirun or srun was expected"
        return 2
        ;;
    esac
    program=("$RAD_BIN")
    # PMIx hands the ranks their addresses through shared files in the node's temporary folder; a container with a /tmp of its own does not
    # see those: by messages then
    [ -z "$RAD_CONTAINER" ] || export PMIX_MCA_gds=${PMIX_MCA_gds:-hash}
    # shellcheck disable=SC2206
    [ -z "$RAD_CONTAINER" ] || program=(apptainer exec $RAD_CONTAINER_OPTIONS "$RAD_CONTAINER" "$RAD_BIN")
}

# field FILE NAME: a value of the status file; empty when there is none
field() {
    sed -n 's/^  "'"$2"'": \(.*[^,]\),\{0,1\}$/\1/p' "$1" 2>/dev/null | sed 's/^"\(.*\)"$/\1/' | grep -v '^null$'
}

# run_options: what the site wants of 'radcohort run', in the array `options`
run_options() {
    # shellcheck disable=SC2206
    options=($RAD_RUN_OPTIONS)
    [ -z "$RAD_SCRATCH" ] || options+=(--scratch "$RAD_SCRATCH")
    [ -z "$RAD_FILE_MODE" ] || options+=(--file-mode "$RAD_FILE_MODE")
}

# follow PID STATUS: waits for a launcher; passes on what we are asked; kills it when its status file stands still. Sets `rc`.
# Before: trap 'asked=USR1' USR1; trap 'asked=TERM' TERM INT
follow() {
    local pid=$1 status=$2 passed='' began age
    began=$(date +%s)
    while :; do
        if [ -n "$asked" ] && [ -z "$passed" ]; then
            passed=1
            kill -USR1 "$pid" 2>/dev/null || true # srun and mpirun hand it to every rank
        fi
        sleep 15 &
        local nap=$!
        wait -n "$pid" "$nap" 2>/dev/null
        rc=$?
        kill "$nap" 2>/dev/null
        wait "$nap" 2>/dev/null
        if ! kill -0 "$pid" 2>/dev/null; then
            wait "$pid" 2>/dev/null
            rc=$?
            return
        fi
        [ "$RAD_WATCHDOG" -gt 0 ] || continue
        age=$(($(date +%s) - $(timeout 30 stat -c %Y "$status" 2>/dev/null || echo "$began")))
        if [ "$age" -gt "$RAD_WATCHDOG" ]; then
            say "no sign of life for $age s (a hanging file system?): this start is killed"
            kill -TERM "$pid" 2>/dev/null
            sleep 10
            kill -KILL "$pid" 2>/dev/null
        fi
    done
}

# requeue WHY: this job goes back into the queue, if it may; does not return then
requeue() {
    local round=${SLURM_RESTART_COUNT:-0}
    if [ "$round" -ge "$RAD_MAX_REQUEUES" ]; then
        say "$1; requeued $round times already (RAD_MAX_REQUEUES): stopped, the same command goes on"
        return 1
    fi
    say "$1; back into the queue (round $((round + 1)) of at most $RAD_MAX_REQUEUES)"
    scontrol requeue "$SLURM_JOB_ID" || return 1
    sleep 60 # Slurm ends us
    exit 0
}

# leave CODE: ends the job with an exit code of radcohort
leave() {
    [ "$1" -ne 3 ] || [ "$RAD_EXCLUSIONS_OK" -ne 1 ] || exit 0
    exit "$1"
}
