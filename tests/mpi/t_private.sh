#!/usr/bin/env bash
# Shared machines: files are for their owner alone, nothing of a patient is in logs or names, temporary files go, and nothing but MPI opens
# a socket.
. "$(dirname "$0")/lib.sh"
case ${RAD_SANITIZE:-} in ?*) skip "a preloaded library and a sanitizer do not go together" ;; esac
"${CC:-cc}" -shared -fPIC -o "$tmp/trouble.so" "$here/trouble.c" -ldl || skip "no compiler"
"$python" "$here/fixture.py" "$tmp/job" 12
mkdir "$tmp/out"
cd "$tmp/out"
umask 022
run=("$rad" run "$tmp/job/job.yaml" --threads 1)
export TROUBLE_SOCKETS=$tmp/sockets
want 3 env LD_PRELOAD="$tmp/trouble.so" "${run[@]}" --db one.sqlite
cp "$tmp/log" "$tmp/logs"
want 3 env LD_PRELOAD="$tmp/trouble.so" "${run[@]}" --spool shards --shard 1/1
cat "$tmp/log" >>"$tmp/logs"
want 3 env LD_PRELOAD="$tmp/trouble.so" "$rad" merge "$tmp/job/job.yaml" shards --db two.sqlite
cat "$tmp/log" >>"$tmp/logs"
want 0 env LD_PRELOAD="$tmp/trouble.so" "$rad" stats one.sqlite
[ ! -e "$tmp/sockets" ] || { cat "$tmp/sockets"; fail "a process without MPI opened a socket"; }
# no network at all
if unshare -n true 2>/dev/null; then
    want 3 unshare -n "${run[@]}" --db no-network.sqlite
else
    echo "note: no right to make a network namespace"
fi
if command -v mpirun >/dev/null; then
    want 3 env LD_PRELOAD="$tmp/trouble.so" "${run[@]}" --ranks 3 --db three.sqlite
    cat "$tmp/log" >>"$tmp/logs"
    [ -s "$tmp/sockets" ] || fail "the preloaded library sees no socket of MPI either"
    sort -u "$tmp/sockets" | grep -v -E '/(lib(open-(pal|rte)|mpi|pmix|event|hwloc|fabric|ucs|uct|ucp|ucm|psm|rdmacm|ibverbs|c|munge|slurm|nss|resolv)[^/]*|mca_[^/]*)$' >"$tmp/others" || true
    grep -v -E '/(mpirun|orterun|orted|sh|bash)$' "$tmp/others" >"$tmp/strange" || true
    [ ! -s "$tmp/strange" ] || { cat "$tmp/strange"; fail "somebody else than MPI opened a socket"; }
fi
# for the owner alone
find . -type f ! -perm 600 >"$tmp/open"; find . -mindepth 1 -type d ! -perm 700 >>"$tmp/open"
[ ! -s "$tmp/open" ] || { cat "$tmp/open"; fail "these can be read by others"; }
want 3 "${run[@]}" --db wide.sqlite --file-mode 0664
[ "$(stat -c %a wide.sqlite)" = 644 ] || fail "--file-mode 0664 under umask 022 made $(stat -c %a wide.sqlite), expected 644"
want 2 "${run[@]}" --db wide.sqlite --file-mode 0477
# nothing left behind, nobody named: patients of the fixture are P001 and so on
find . -name '*.tmp' -o -name '*-journal' -o -name '*.lock' -o -name '*.probe' -o -name '*.crash' -o -name '*.spool' >"$tmp/left"
[ ! -s "$tmp/left" ] || { cat "$tmp/left"; fail "temporary files are left"; }
find . | grep -E 'P0[0-9]{2}' && fail "a file is named after a patient"
"$rad" status one.sqlite >/dev/null
grep -hE '^(progress|[0-9]{4}-)' "$tmp/logs" | grep -E 'P0[0-9]{2}' && fail "a log line names a patient"
grep -l 'P0[0-9][0-9]' ./*.status.json && fail "a status file names a patient"
exit 0
