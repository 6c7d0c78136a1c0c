#!/usr/bin/env bash
# radcohort phantom: the same bytes for the same seed, other patients for another, tables alone are those of the whole, refusals.
set -eu
program=$RADCOHORT
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

for design in demo renal liver spine-mri ultrasound spine-ct; do
    for run in first again; do
        "$program" phantom -o "$where/$design-$run" --design "$design" --scale 0.02 >"$where/log" 2>&1 || { cat "$where/log"; fail "$design"; }
    done
    diff -r "$where/$design-first" "$where/$design-again" >/dev/null || fail "$design: the same seed gives other bytes"
    "$program" phantom -o "$where/$design-tables" --design "$design" --scale 0.02 --tables >/dev/null
    [ ! -e "$where/$design-tables/images" ] || fail "$design: --tables writes images"
    for table in patients lesions images centers readings; do
        [ ! -e "$where/$design-first/$table.tsv" ] || cmp -s "$where/$design-first/$table.tsv" "$where/$design-tables/$table.tsv" ||
            fail "$design: $table.tsv of --tables differs"
    done
    "$program" phantom -o "$where/$design-other" --design "$design" --scale 0.02 --seed 2 --tables >/dev/null
    ! cmp -s "$where/$design-first/lesions.tsv" "$where/$design-other/lesions.tsv" || fail "$design: another seed gives the same lesions"
    # every file that the tables name is there, and no other
    (cd "$where/$design-first" && cut -f4 images.tsv | tail -n +2 && cut -f5 lesions.tsv | tail -n +2 | grep . || true) | sort >"$where/named"
    (cd "$where/$design-first" && find images -type f | sort) >"$where/there"
    cmp -s "$where/named" "$where/there" || fail "$design: files and tables differ: $(diff "$where/named" "$where/there" | head -3)"
done

# for a program: the counts are those of the tables
"$program" phantom -o "$where/said" --design liver --scale 0.02 --seed 3 --json >"$where/said.json"
/usr/bin/python3 - "$where" <<'PY' || fail "--json"
import json, sys
j, rows = json.load(open(sys.argv[1] + '/said.json')), lambda t: len(open('%s/said/%s.tsv' % (sys.argv[1], t)).readlines()) - 1
assert (j['folder'], j['design'], j['seed'], j['scale'], j['tables_only']) == (sys.argv[1] + '/said', 'liver', 3, 0.02, False), j
assert (j['patients'], j['lesions'], j['images']) == (rows('patients'), rows('lesions'), rows('images')) and j['image_sets'] >= j['lesions'], j
PY

refused() { # words, then the command's options
    local words=$1 rc=0
    shift
    "$program" phantom "$@" >"$where/log" 2>&1 || rc=$?
    [ "$rc" -eq 2 ] || fail "exit $rc, 2 was expected: $*"
    grep -qF -- "$words" "$where/log" || { cat "$where/log"; fail "'$words' was expected: $*"; }
}
refused "is not empty" -o "$where/demo-first"
refused "unknown design 'lung': known are demo, renal, liver, spine-mri, ultrasound, spine-ct" -o "$where/x" --design lung
refused "--scale '0'" -o "$where/x" --scale 0
refused "--seed '-1'" -o "$where/x" --seed -1
refused "no folder given" --design renal
[ ! -e "$where/x" ] || fail "a refused command made a folder"
