#!/usr/bin/env bash
# Every public header compiles alone, as C and as C++ (R and Python bindings, CUDA files include them).
set -u
root=${RAD_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
bad=0 n=0
for h in "$root"/include/radcohort/*.h; do
    n=$((n + 1))
    echo "#include \"$h\"" | cc -std=c17 -Wall -Wextra -Wpedantic -Werror -Wstrict-prototypes -I "$root/include" -fsyntax-only -x c - || bad=$((bad + 1))
    echo "#include \"$h\"" | c++ -std=c++17 -Wall -Wextra -Werror -I "$root/include" -fsyntax-only -x c++ - || bad=$((bad + 1))
done
echo "$n headers, $bad complaints"
[ "$n" -ge 10 ] && [ "$bad" -eq 0 ]
