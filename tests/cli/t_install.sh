#!/usr/bin/env bash
# `cmake --install` gives a tree that works by itself: program, SQL functions, jobs, schemas, Slurm scripts, nothing from the build tree.
set -eu
[ -z "${RAD_SANITIZE:-}" ] || { echo "SKIP: instrumented builds are not installed"; exit 77; }
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT
bad=0
fail() { echo "FAIL: $*"; bad=$((bad + 1)); }
cmake --install "$RAD_BUILD" --prefix "$where/usr" >"$where/log" 2>&1 || { tail -n 20 "$where/log"; exit 1; }
program=$where/usr/bin/radcohort
share=$where/usr/share/radcohort
set -- "$where"/usr/lib*/radcohort/radstats.so "$where"/usr/lib/*/radcohort/radstats.so
for radstats; do [ ! -f "$radstats" ] || break; done
for f in "$program" "$radstats" "$share/jobs/demo.yaml" "$share/jobs/README.md" "$share/jobs/demo/models/resnet.onnx" \
    "$share/schemas/schema.sql" "$share/schemas/job.schema.json" "$share/schemas/cohort/patients.schema.json" \
    "$where/usr/share/doc/radcohort/LICENSE" "$where/usr/share/man/man1/radcohort.1" \
    "$where/usr/share/bash-completion/completions/radcohort"; do
    [ -s "$f" ] || fail "$f is missing"
done
[ ! -e "$share/jobs/demo/cohort" ] || fail "somebody's phantom cohort was installed"
[ ! -d "$RAD_SOURCE/slurm" ] || [ -z "$(ls "$RAD_SOURCE/slurm")" ] || [ -n "$(ls "$share/slurm")" ] || fail "slurm is missing"
if command -v objdump >/dev/null && objdump -p "$program" "$radstats" | grep -E 'R(UN)?PATH.*('"$RAD_BUILD"'|::|:$)'; then
    fail "libraries are looked for in the build tree or in the current folder"
fi

# moved, as a package does, and used from elsewhere on a copy of the jobs
mv "$where/usr" "$where/moved"
program=$where/moved/bin/radcohort
cp -r "$where/moved/share/radcohort/jobs" "$where/jobs"
cd "$where"
[ "$("$program" --version)" = "$("$RADCOHORT" --version)" ] || fail "another version"
"$program" backends >"$where/log" || fail "backends"
"$program" phantom -o jobs/demo/cohort --design demo >"$where/log" 2>&1 || { cat "$where/log"; fail "phantom"; }
"$program" run jobs/demo.yaml --db "$where/demo.sqlite" >"$where/log" 2>&1 || { cat "$where/log"; fail "run"; }
"$program" stats "$where/demo.sqlite" >"$where/stats.txt" 2>"$where/log" || { cat "$where/log"; fail "stats"; }
grep -qi auc "$where/stats.txt" || fail "stats prints no AUC"
if command -v sqlite3 >/dev/null; then
    radstats=$(find "$where/moved" -name radstats.so)
    sqlite3 :memory: ".load ${radstats%.so}" \
        "SELECT count(*) FROM pragma_function_list WHERE name LIKE '%auc%'" | grep -qv '^0$' || fail "radstats registers nothing"
fi
echo "install: $bad failures"
[ "$bad" -eq 0 ]
