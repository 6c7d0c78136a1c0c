#!/bin/bash
# The oneDNN tests again as on lesser processors: other kernels, other layouts (blocked without AVX-512), concatenation in place.
set -u
cd "$RAD_BUILD" || exit 1
bad=0
for test in test_infer_onednn test_infer_engine; do
    [ -x "tests/$test" ] || { echo "FAIL: tests/$test is not built"; exit 1; }
done
"$RADCOHORT" backends | grep -q '^onednn *usable' || { echo "SKIP: onednn is not usable here"; exit 77; }
for isa in SSE41 AVX AVX2 AVX512_CORE AVX512_CORE_BF16; do
    for test in test_infer_onednn test_infer_engine; do
        said=$(ONEDNN_MAX_CPU_ISA=$isa "tests/$test" 2>&1) || { bad=1; echo "FAIL: $test with $isa"; grep ERROR <<< "$said"; }
    done
done
said=$(ONEDNN_MAX_CPU_ISA=AVX2 "$RADCOHORT" backends)
grep -q 'precisions: fp32$' <<< "$said" || { bad=1; echo "FAIL: bf16 offered without the instructions: $said"; }
exit $bad
