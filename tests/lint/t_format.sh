#!/usr/bin/env bash
# Every C file is laid out as .clang-format says. Skipped where clang-format is missing or of another major version than Debian 12's.
set -u
root=${RAD_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "SKIP: clang-format 14 is not installed"
    exit 77
fi
cd "$root" || exit 1
bad=0 n=0
while read -r f; do
    n=$((n + 1))
    clang-format --dry-run -Werror "$f" 2>/dev/null || { echo "$f: run clang-format -i on it"; bad=$((bad + 1)); }
done < <(find src include tests -name '*.[ch]' -not -name op_torch_values.h | sort)
echo "$n files, $bad to be formatted"
[ "$n" -ge 100 ] && [ "$bad" -eq 0 ]
