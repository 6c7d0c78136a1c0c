#!/usr/bin/env bash
# Every C file is laid out as .clang-format says. Skipped where clang-format is missing or of another major version than Debian 12's.
set -u
root=${RAD_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "SKIP: clang-format 14 is not installed"
    exit 77
fi
cd "$root" || exit 1
files=$(mktemp) && trap 'rm -f "$files"' EXIT
find src include tests -name '*.[ch]' -not -name op_torch_values.h | sort >"$files"
n=$(wc -l <"$files")
# many files a process: starting it takes longer than laying out a file
bad=$(xargs -n 16 -P "$(nproc)" clang-format --dry-run -Werror <"$files" 2>&1 | sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: error.*/\1/p' | sort -u)
[ -z "$bad" ] || sed 's/$/: run clang-format -i on it/' <<<"$bad"
echo "$n files, $(grep -c . <<<"$bad") to be formatted"
[ "$n" -ge 100 ] && [ -z "$bad" ]
