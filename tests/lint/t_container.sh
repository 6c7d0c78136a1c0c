#!/usr/bin/env bash
# slurm/apptainer.def cannot be built here (Debian 12 has no Apptainer), so what it stands on is checked: it takes its packages from the one
# list, copies nothing that is not there, asks CMake for options that exist, and its scripts are scripts.
set -u
root=${RAD_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
def=$root/slurm/apptainer.def
fail() { echo "FAIL: $*"; exit 1; }
section() { sed -n "/^%$1\$/,/^%/{/^%/d;p}" "$def"; }
grep -qx 'Bootstrap: docker' "$def" && grep -qx 'From: debian:12' "$def" || fail "it does not begin with Debian 12, whose packages .ci/packages.txt names"
for part in post environment runscript test; do
    [ -n "$(section $part)" ] || fail "%$part is missing or empty"
    section $part | bash -n || fail "%$part is no shell script"
done
grep -qx ' *\.ci/install build' <<<"$(section post)" || fail "%post does not install the group 'build' of .ci/packages.txt"
! section post | grep -n 'apt-get install\|apt install' || fail "%post names packages of its own: .ci/packages.txt is the list"
[ "$(grep -c '^build ' "$root/.ci/packages.txt")" -ge 10 ] || fail "the group 'build' is empty"
for option in $(section post | grep -o -- '-DRAD_[A-Z_]*' | sed 's/-D//'); do
    grep -q "^ *\(option\|set\)($option[ )]" "$root/CMakeLists.txt" || fail "%post sets $option, which CMakeLists.txt does not know"
done
section test | grep -q 'radcohort --version' || fail "%test does not try the program"
for command in $(section test | sed -n 's/^ *radcohort \([a-z]*\)$/\1/p'); do
    [ -e "$root/src/cli/cmd_$command.c" ] || fail "%test runs 'radcohort $command', which does not exist"
done
# what the built program is linked to comes from packages that the list names, or that they pull in
program=${RADCOHORT:-}
if [ -x "$program" ] && command -v ldd >/dev/null && command -v dpkg-query >/dev/null; then
    build=$(sed -n 's/^build //p' "$root/.ci/packages.txt")
    # shellcheck disable=SC2086
    pulled=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances $build 2>/dev/null | grep -o '^[a-z][^ ]*' | sort -u)
    # shellcheck disable=SC2046
    owners=$(dpkg-query -S $(ldd "$program" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' | xargs readlink -f | sort -u) 2>/dev/null | cut -d: -f1 | sort -u)
    [ -z "$pulled" ] || other=$(comm -23 <(echo "$owners") <(echo "$pulled"))
    [ -z "${other:-}" ] || fail "the program is linked to libraries of" $other ", which the group 'build' does not bring"
fi
exit 0
