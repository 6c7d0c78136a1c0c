#!/usr/bin/env bash
# A disk of a few hundred kilobytes that fills up for database and journals of all ranks, in a mount namespace of our own.
[ -n "${IN_NAMESPACE:-}" ] || {
    unshare -m true 2>/dev/null || { echo "SKIP: no right to make a mount namespace (unshare -m)"; exit 77; }
    IN_NAMESPACE=1 exec unshare -m bash "$0"
}
. "$(dirname "$0")/lib.sh"
need_mpirun
"$python" "$here/fixture.py" "$tmp/job" 60 32 80
run=("$rad" run "$tmp/job/job.yaml" --batch 4 --threads 1 --quiet)
want 3 "${run[@]}" --db "$tmp/whole.sqlite"
dump "$tmp/whole.sqlite" >"$tmp/whole.txt"
mkdir "$tmp/disk"
trap 'umount -l "$tmp/disk" 2>/dev/null; rm -rf "$tmp"' EXIT
mount -t tmpfs -o size=700k tmpfs "$tmp/disk" 2>/dev/null || skip "no right to mount a tmpfs"
db=$tmp/disk/full.sqlite
want 1 "${run[@]}" --ranks 3 --db "$db"
grep -q "full" "$tmp/log" || { cat "$tmp/log"; fail "a full disk is not named"; }
mount -o remount,size=64m "$tmp/disk"
want 3 "${run[@]}" --ranks 3 --db "$db"
dump "$db" >"$tmp/got.txt"
same "$tmp/whole.txt" "$tmp/got.txt" "after a full disk"
