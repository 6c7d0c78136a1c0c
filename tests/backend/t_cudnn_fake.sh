#!/usr/bin/env bash
# The cuDNN backend's device code on a CUDA and a cuDNN that a test program pretends (cudnn_fake.c): copies, capture, stored engines, and every
# call failing in turn.
set -eu
program=$RAD_BUILD/tests/backend/cudnn_fake
folder=${RADCOHORT_SHARED:-$RAD_SOURCE/../shared}/models/repvgg_a0
[ -x "$program" ] || { echo "SKIP: built without CUDA and cuDNN"; exit 77; }
[ -d "$folder" ] || { echo "SKIP: the shared networks are not here (RADCOHORT_SHARED)"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$program" "$folder" "$scratch"
[ "$(find "$scratch" -name '*.txt' | wc -l)" -eq 2 ] || { echo "engines were not stored"; exit 1; }
# A damaged file only costs time.
find "$scratch" -name '*.txt' -exec truncate -s 60 {} +
if "$program" "$folder" "$scratch" >/dev/null 2>"$scratch/err"; then :; else
    cat "$scratch/err"
    exit 1
fi
