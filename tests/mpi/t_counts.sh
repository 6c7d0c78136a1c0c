#!/usr/bin/env bash
# The numbers and the exit code at the end: patients without a case are excluded like any other unit.
. "$(dirname "$0")/lib.sh"
"$python" "$here/fixture.py" "$tmp/job" 8
cohort=$tmp/job/cohort
for t in patients images lesions; do sed -i '/^P00[2-5]/d' "$cohort/$t.tsv"; done # what is excluded for other reasons
want 0 "$rad" run "$tmp/job/job.yaml" --db "$tmp/all.sqlite" --quiet
grep -q " 0 excluded" "$tmp/log" || { cat "$tmp/log"; fail "something is excluded"; }
sed -i '/^P00[67]/d' "$cohort/lesions.tsv"
for what in "cases: 3 scored" "nothing was computed"; do # the second time there is nothing to do
    want 3 "$rad" run "$tmp/job/job.yaml" --db "$tmp/some.sqlite" --quiet
    grep -q "$what" "$tmp/log" || { cat "$tmp/log"; fail "no '$what'"; }
    grep -q "0 excluded.*; 2 patients without a case" "$tmp/log" || { cat "$tmp/log"; fail "patients without a case are not told"; }
done
"$rad" status "$tmp/some.sqlite" | grep -q "^2 patients without a case" || fail "status does not tell"
want 3 "$rad" check "$tmp/job/job.yaml"
grep -q "2 patients without a case" "$tmp/log" || { cat "$tmp/log"; fail "check does not tell"; }
# no case at all
sed -i '2,$d' "$cohort/lesions.tsv"
for command in "check" "run --db $tmp/none.sqlite"; do
    want 2 "$rad" $command "$tmp/job/job.yaml"
    grep -q "no case: the job's unit is lesion" "$tmp/log" || { cat "$tmp/log"; fail "$command: it does not say why there is no case"; }
done
[ ! -e "$tmp/none.sqlite" ] || fail "a database was made for a job without a case"
