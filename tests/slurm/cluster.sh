#!/usr/bin/env bash
# A private Slurm of four nodes on this machine: cluster.sh start DIR | stop DIR. DIR/slurm.conf is its SLURM_CONF.
#
# Nothing of the machine's own configuration is read or touched: own munge key and socket, own ports, own state. Every node is a slurmd in a
# UTS namespace of its own, so that it has its own host name and all of its processes can be found again and killed (kill_node of lib.sh).
# GPUs are declared, not there.
set -u
what=$1 dir=$2
nodes=4 cpus=8 gpus=2
ended() { [ ! -r "/proc/$1/stat" ] || grep -q ') Z ' "/proc/$1/stat"; }

start() {
    mkdir -p "$dir"/{munge,state,log,spool,pid,dev}
    dir=$(cd "$dir" && pwd)
    chmod 755 "$dir"
    chmod 711 "$dir/munge"
    # ports: a stretch that nobody listens on, begun at random so that two fixtures do not meet
    local port try
    for try in $(seq 50); do
        port=$((20000 + (RANDOM % 60) * 200)) # below the ports that connections take by themselves
        [ -z "$(ss -Htln 2>/dev/null | awk -v a=$port -v b=$((port + 199)) '{n = $4; sub(/.*:/, "", n); if (n >= a && n <= b) print n}')" ] && break
    done
    (umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
    for g in $(seq 0 $((gpus - 1))); do ln -sfn /dev/null "$dir/dev/gpu$g"; done
    for i in $(seq $nodes); do mkdir -p "$dir/spool/n$i" "$dir/tmp/n$i"; done # PMIx servers of two nodes must not share a folder
    cat >"$dir/slurm.conf" <<C
ClusterName=radcohort
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=8
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
TmpFS=$dir/tmp/%n
SlurmctldPidFile=$dir/pid/slurmctld.own
SlurmdPidFile=$dir/pid/slurmd-%n.own
SlurmctldLogFile=$dir/log/slurmctld
SlurmdLogFile=$dir/log/slurmd-%n
SrunPortRange=$((port + 20))-$((port + 199))
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/jobs
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
GresTypes=gpu
KillWait=1
SlurmdTimeout=10
MinJobAge=3600
BatchStartTimeout=20
UnkillableStepTimeout=20
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1,sched_min_interval=0
NodeName=n[1-$nodes] NodeHostname=n[1-$nodes] NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + nodes))] CPUs=$cpus Sockets=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=1000 Gres=gpu:$gpus
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=better Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
C
    echo "NodeName=n[1-$nodes] Name=gpu File=$dir/dev/gpu[0-$((gpus - 1))]" >"$dir/gres.conf"
    export SLURM_CONF=$dir/slurm.conf
    munged -F --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" --log-file="$dir/munge/log" \
        --seed-file="$dir/munge/seed" --num-threads=2 >"$dir/log/munged.out" 2>&1 </dev/null &
    echo $! >"$dir/pid/munged"
    for try in $(seq 200); do [ -S "$dir/munge/socket" ] && break; sleep 0.05; done
    slurmctld -D -i >"$dir/log/slurmctld.out" 2>&1 </dev/null &
    echo $! >"$dir/pid/slurmctld"
    for i in $(seq $nodes); do
        unshare --uts sh -c "hostname n$i; exec slurmd -D -N n$i" >"$dir/log/slurmd-n$i.out" 2>&1 </dev/null &
        echo $! >"$dir/pid/slurmd-n$i"
    done
    for try in $(seq 200); do
        [ "$(timeout 5 sinfo -h -t idle -o %D 2>/dev/null)" = $nodes ] && return 0
        sleep 0.1
    done
    echo "the private Slurm does not come up:" >&2
    tail -n 5 "$dir"/log/*.out "$dir/munge/log" >&2
    return 1
}

stop() {
    [ -d "$dir/pid" ] || return 0
    dir=$(cd "$dir" && pwd)
    export SLURM_CONF=$dir/slurm.conf
    timeout 10 scancel -u "$(id -un)" 2>/dev/null
    for _ in $(seq 30); do [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break; sleep 0.1; done
    local f p
    for f in "$dir"/pid/slurmd-n? "$dir/pid/slurmctld" "$dir/pid/munged"; do
        p=$(cat "$f" 2>/dev/null) || continue
        kill "$p" 2>/dev/null
        for _ in $(seq 100); do ended "$p" && break; sleep 0.05; done
        ended "$p" || kill -KILL "$p" 2>/dev/null
    done
    # steps whose node was killed: they have our SLURM_CONF, which no other process has
    for p in $(grep -lsz "^SLURM_CONF=$SLURM_CONF\$" /proc/[0-9]*/environ | cut -d/ -f3); do
        [ "$p" = $$ ] || [ "$p" = $PPID ] || cat "/proc/$p/cmdline" 2>/dev/null | tr '\0' ' ' | grep -q 'tests/slurm\|t_.*\.sh' || kill -KILL "$p" 2>/dev/null
    done
    return 0
}

if [ "$what" = start ]; then
    for attempt in 1 2 3; do # somebody else may take a port between the look and the use
        start >"$dir.said" 2>&1 && exec rm -f "$dir.said"
        stop
        rm -rf "${dir:?}"/{munge,state,log,spool,pid,dev,tmp}
    done
    cat "$dir.said" >&2
    rm -f "$dir.said"
    exit 1
fi
stop
