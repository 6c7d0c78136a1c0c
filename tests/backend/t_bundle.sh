#!/usr/bin/env bash
# The relocatable bundle in a bare root: it, the C library, a shell, and nothing else. Every command of a first day works there, also under
# the bundle's own mpirun (one node, and several through a remote shell); the scores are those of the build tree's program, bit by bit.
set -eu
skip() { echo "SKIP: $1"; exit 77; }
[ -z "${RAD_SANITIZE:-}" ] || skip "a bundle of instrumented code is of no use"
[ "$(id -u)" -eq 0 ] || skip "a bare root needs root"
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || skip "the bundle is for Linux on x86-64"
shell=$(command -v dash || command -v busybox) || skip "no small shell (dash, busybox) for the bare root"
unshare -m -p --fork sh -c 'mount --bind /tmp /tmp' 2>/dev/null || skip "no right to mount here (unshare -m)"

cmake --build "$RAD_BUILD" --target bundle >"$RAD_BUILD/bundle.log" 2>&1 || { tail -n 30 "$RAD_BUILD/bundle.log"; exit 1; }
set -- "$RAD_BUILD"/radcohort-*-linux-x86_64.tar.gz
[ $# -eq 1 ] && [ -f "$1" ] || { echo "FAIL: no tarball, or several: $*"; exit 1; }
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT
root=$where/root
mkdir -p "$root"/{bin,lib64,lib/x86_64-linux-gnu,tmp,dev,proc,sys,opt,etc}
cp -L "$shell" "$root/bin/sh"
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
for l in libc.so.6 libm.so.6 libmvec.so.1 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libutil.so.1; do
    f=$(ldconfig -p | sed -n "s|^\s*$l (libc6,x86-64.*=> ||p" | head -n 1)
    [ -z "$f" ] || cp -L "$f" "$root/lib/x86_64-linux-gnu/"
done
tar xzf "$1" -C "$root/opt"
mv "$root"/opt/radcohort-* "$root/opt/moved" # any name, any place
bundle=$root/opt/moved

bad=0
fail() { echo "FAIL: $*"; bad=$((bad + 1)); }
# no path of the machine that built it, no library of the node, no file outside
for f in "$bundle"/bin/radcohort "$bundle"/lib/*.so* "$bundle"/lib/{openmpi/*.so*,openmpi/plugins/*,openmpi/libexec/*,radcohort/*}; do
    path=$(objdump -p "$f" | sed -n 's/^ *R\(UN\)\{0,1\}PATH *//p')
    case ":$path" in *:/*|*::*) fail "$f looks for libraries in '$path'" ;; esac
done
find "$bundle" -type l | grep . && fail "links in the bundle"
for l in libc.so.6 libm.so.6 libcuda.so.1 libcudnn.so.9 ld-linux-x86-64.so.2; do
    [ -z "$(find "$bundle" -name "$l")" ] || fail "$l belongs to the node"
done
for f in BUNDLE.txt LICENSE README.md jobs/demo.yaml jobs/demo/models/resnet.onnx schemas/schema.sql lib/radcohort/radstats.so; do
    [ -s "$bundle/$f" ] || fail "$f is missing"
done
[ ! -e "$bundle/jobs/demo/cohort" ] || fail "somebody's phantom cohort is in the bundle"
if command -v dpkg-query >/dev/null; then
    for p in libdnnl libgsl libopenmpi libssl; do
        ls "$bundle"/licenses/$p* >/dev/null 2>&1 || fail "the licence of $p* is missing"
    done
fi

cat >"$root/day.sh" <<'EOF'
# everything a first day needs; one line per step: its name and its exit status
cd /opt/moved || exit 1
step() { s=$1; shift; "$@" >"/tmp/$s.out" 2>"/tmp/$s.err"; echo "$s $?" >>/tmp/steps; }
step version bin/radcohort --version
step backends bin/radcohort backends
step model bin/radcohort backends --model jobs/demo/models/resnet.onnx
step phantom bin/radcohort phantom -o jobs/demo/cohort --design demo
step check bin/radcohort check jobs/demo.yaml
step run bin/radcohort run jobs/demo.yaml --db /tmp/run.sqlite
step status bin/radcohort status /tmp/run.sqlite
step stats bin/radcohort stats /tmp/run.sqlite
export OMPI_COMM_WORLD_SIZE=1 OMPI_MCA_ess_singleton_isolated=1 # MPI starts, and nobody has told it where its plugins are
step library bin/radcohort run jobs/demo.yaml --db /tmp/library.sqlite
unset OMPI_COMM_WORLD_SIZE OMPI_MCA_ess_singleton_isolated
[ "$1" = alone ] && exit 0
launch="bin/mpirun --allow-run-as-root --oversubscribe --bind-to none"
step mpi $launch -n 3 bin/radcohort run jobs/demo.yaml --db /tmp/mpi.sqlite
export OMPI_MCA_plm_rsh_agent=/remote
step nodes $launch -H elsewhere:3 -n 3 bin/radcohort run jobs/demo.yaml --db /tmp/nodes.sqlite
EOF
printf '#!/bin/sh\nshift\nexec /bin/sh -c "$*"\n' >"$root/remote" # stands in for ssh
chmod +x "$root/remote"
cat >"$where/enter.sh" <<'EOF'
root=$1 mode=$2
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
for d in null zero urandom random; do : >"$root/dev/$d"; mount --bind "/dev/$d" "$root/dev/$d"; done
mkdir -p "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
exec env -i PATH=/bin HOME=/tmp "$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)" "$root" /bin/sh /day.sh "$mode"
EOF
# first without a network (nothing is fetched at run time), then with one, which several ranks need
day() { # mode, what else to take away, expected steps
    rm -rf "$root"/tmp/* "$bundle/jobs/demo/cohort"
    timeout 240 unshare -m -p --fork $2 sh "$where/enter.sh" "$root" "$1" >"$where/log" 2>&1 || {
        cat "$where/log"
        fail "$1: cannot enter the bare root"
    }
    for s in $3; do
        grep -sqx "$s 0" "$root/tmp/steps" && continue
        fail "$1: $s: $(grep -s "^$s " "$root/tmp/steps" || echo 'not reached')"
        head -n 5 "$root/tmp/$s.err" 2>/dev/null || true
    done
}
steps="version backends model phantom check run status stats library"
day alone --net "$steps"
cp "$root/tmp/run.sqlite" "$where/alone.sqlite"
day ranks "" "$steps mpi nodes"
grep -hE 'cannot open|unable to open' "$root"/tmp/*.err && fail "libraries of plugins are not found"
grep -q '^onednn *usable' "$root/tmp/backends.out" || fail "oneDNN is not usable: $(cat "$root/tmp/backends.out")"
grep -qE '^cudnn *(not usable: .+|usable)' "$root/tmp/backends.out" || fail "cuDNN: neither usable nor a reason"

# the same bits as the program of the build tree, and as any number of ranks
cp -r "$bundle/jobs" "$where/jobs"
"$RADCOHORT" run "$where/jobs/demo.yaml" --db "$where/here.sqlite" >/dev/null 2>&1 ||
    fail "the program of the build tree does not run the job"
scores() {
    sqlite3 "$1" "SELECT model, unit, patient, lesion, class, printf('%.17g', score) FROM v_case_score ORDER BY 1, 2, 3, 4, 5" | sha256sum
}
if command -v sqlite3 >/dev/null; then
    want=$(scores "$where/here.sqlite")
    for db in "$where/alone.sqlite" "$root/tmp/run.sqlite" "$root/tmp/mpi.sqlite" "$root/tmp/nodes.sqlite"; do
        [ "$(scores "$db")" = "$want" ] || fail "other scores in $db"
    done
    [ "$(sqlite3 "$where/here.sqlite" 'SELECT count(*) > 100 FROM v_case_score')" = 1 ] || fail "no scores to compare"
    # the SQL functions, in somebody else's program
    got=$(sqlite3 :memory: ".load $bundle/lib/radcohort/radstats" \
        "SELECT name FROM pragma_function_list WHERE name LIKE '%auc%' LIMIT 1") ||
        fail "radstats does not load"
    [ -n "$got" ] || fail "radstats registers no function"
fi

# a site's own launcher, and a site's own MPI in place of the bundle's
if command -v mpirun >/dev/null && mpirun --version | grep -q 'Open MPI) 4'; then
    for kind in bundled site; do
        [ $kind = bundled ] || mv "$bundle/lib/openmpi" "$bundle/lib/openmpi.off"
        (cd "$bundle" && timeout 120 mpirun --allow-run-as-root --oversubscribe --bind-to none -n 2 \
            bin/radcohort run jobs/demo.yaml --db "$where/$kind.sqlite") >"$where/log" 2>&1 || {
            tail -n 5 "$where/log"
            fail "the $kind MPI library under this machine's mpirun"
        }
    done
fi
echo "bundle: $(du -sh "$bundle" | cut -f1), $bad failures"
[ "$bad" -eq 0 ]
