#!/usr/bin/env bash
# The study's split of image sets at random, and what it is worth on patients whom nobody has seen; README.md says what the numbers are.
exec "$(dirname "$0")/../study.sh" renal-ct-split renal "$@"
