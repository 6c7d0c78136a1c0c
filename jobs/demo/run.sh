#!/usr/bin/env bash
# The main job on a phantom cohort: installs what is missing, builds, makes the cohort, scores it with four networks on three ranks, and
# prints the AUC by center. Can be run again: what is done is not done twice.
exec "$(dirname "$0")/../study.sh" demo demo "$@"
