#!/usr/bin/env bash
# The study on a phantom cohort with its published counts: jobs/study.sh says how; README.md what the numbers are.
exec "$(dirname "$0")/../study.sh" spine-mri spine-mri "$@"
