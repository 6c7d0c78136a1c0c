#!/bin/bash
# The published abstracts of the five designs: what cannot be true is found, what can is left alone.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAIL: $1"; cat "$dir/out"; exit 1; }
cat > "$dir/claims.yaml" <<'Y'
claims:
  - {name: spine CT, n_positive: 296, n_negative: 137, sensitivity: 0.95, specificity: 0.80, accuracy: 88 %}
  - {name: spine MRI first year, paired_n: 50, correct_first: 39, correct_second: 47, p: <0.001}
  - {name: spine MRI specificity, paired_n: 140, correct_first: 86, correct_second: 127, p: <0.001}
  - {name: ultrasound, cases: 177, sensitivity: 74.8 %, specificity: 79.1 %, accuracy: 77.0 %}
  - {name: liver internal, n: 5172, unit: images, positive_fraction: 0.333, auc: 0.91, auc_lower: 0.888, auc_upper: 0.932}
  - {name: liver external B, n: 1338, unit: images, positive_fraction: 0.333, auc: 0.876, auc_lower: 0.840, auc_upper: 0.911}
Y
rc=0; "$RADCOHORT" audit "$dir/claims.yaml" > "$dir/out" || rc=$?
[ "$rc" = 1 ] || fail "exit $rc, expected 1"
grep -q "NO .*89.8 to 90.5 %.*no whole numbers" "$dir/out" || fail "spine CT accuracy"
grep -q "NO .*0.0078.*not attainable" "$dir/out" || fail "spine MRI p"
grep -q "ok .*86 against 127.*is attainable" "$dir/out" || fail "spine MRI specificity is possible"
grep -q "NO .*at least 213 items" "$dir/out" || fail "ultrasound 213"
grep -q "NO .*that of 10[0-9][0-9] independent units.*5172 images" "$dir/out" || fail "liver internal units"
grep -q "NO .*that of 52[0-9] independent units" "$dir/out" || fail "liver external units"
printf 'claims:\n  - {name: fine, n_positive: 50, n_negative: 140, sensitivity: 0.94, specificity: 0.907}\n' > "$dir/claims.yaml"
"$RADCOHORT" audit "$dir/claims.yaml" --json > "$dir/out" || fail "possible claims exit 0"
grep -q '"feasible":true' "$dir/out" || fail "json"
printf 'claims:\n  - {sensitivty: 0.94}\n' > "$dir/claims.yaml"
rc=0; "$RADCOHORT" audit "$dir/claims.yaml" > "$dir/out" 2>&1 || rc=$?
[ "$rc" = 2 ] || fail "unknown key: exit $rc, expected 2"
grep -q "line 2.*sensitivity" "$dir/out" || fail "nearest key"
echo ok
