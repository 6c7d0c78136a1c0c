#!/usr/bin/env bash
# The study on its phantom cohort: jobs/study.sh says how; README.md what the numbers are.
exec "$(dirname "$0")/../study.sh" brain-mr brain "$@"
