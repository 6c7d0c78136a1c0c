#!/usr/bin/env bash
# The program loads its cuDNN module from beside itself, asks it the known question, runs a network on it by way of the engine, and refuses a module
# that is missing or of another build. The module is the pretended one of cudnn_fake.c: no GPU is needed, and nothing is said about one.
set -eu
module=$RAD_BUILD/tests/backend/fake/radcohort_cudnn.so
folder=${RADCOHORT_SHARED:-$RAD_SOURCE/../shared}/models/repvgg_a0
[ -f "$module" ] || { echo "SKIP: built without CUDA and cuDNN"; exit 77; }
[ -d "$folder" ] || { echo "SKIP: the shared networks are not here (RADCOHORT_SHARED)"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAIL: $1"; exit 1; }
export OMPI_COMM_WORLD_LOCAL_RANK=3 XDG_CACHE_HOME=$scratch
cp "$RADCOHORT" "$scratch/radcohort"
run=$scratch/radcohort
"$run" backends >"$scratch/out"
grep -q "^cudnn .*not usable.*neither in" "$scratch/out" || fail "a missing module: $(head -1 "$scratch/out")"
cp "$module" "$scratch/"
"$run" backends >"$scratch/out"
grep -q "^cudnn .*usable: cuDNN 9.19.0, Pretended GPU, batch 32" "$scratch/out" || fail "the module is not taken: $(head -1 "$scratch/out")"
grep -q "device 1: Pretended GPU, 80 GiB" "$scratch/out" || fail "devices are not listed"
"$run" infer "$folder/model_dyn.onnx" --input "$folder/input.f32" --output "$scratch/y.f32" --backend cudnn 2>"$scratch/err" ||
    fail "infer: $(cat "$scratch/err")"
"$run" infer "$folder/model_dyn.onnx" --input "$folder/input.f32" --output "$scratch/ref.f32" --backend ref
# float32 against double sums of a shallow network
od -An -v -w4 -t fF "$scratch/y.f32" >"$scratch/a"
od -An -v -w4 -t fF "$scratch/ref.f32" >"$scratch/b"
paste "$scratch/a" "$scratch/b" | awk '{d = $1 - $2; if (d < 0) d = -d; if (!(d < 1e-4)) bad++} END {exit !(NR > 0 && bad == 0)}' ||
    fail "other numbers than the reference's"
RADCOHORT_FAKE_WRONG=1 XDG_CACHE_HOME=$scratch/other "$run" backends >"$scratch/out"
grep -q "^cudnn .*not usable.*wrong answer to a known question" "$scratch/out" || fail "a device that computes wrongly: $(head -1 "$scratch/out")"
version=$("$run" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -1)
LC_ALL=C sed -i "s/${version//./\\.}/9.9.9/g" "$scratch/radcohort_cudnn.so"
"$run" backends >"$scratch/out"
grep -q "^cudnn .*not usable.*of another build" "$scratch/out" || fail "a module of another build: $(head -1 "$scratch/out")"
echo "loaded, asked, run; missing, wrong and foreign modules refused"
