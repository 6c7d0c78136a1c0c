#!/usr/bin/python3
"""Promise 1 on oneDNN for every shared network: the bits of a sample alone on one thread, in batches of 1 to 32 on 1 to 8 threads, where
samples that would leave threads idle are computed by all of them together (after the first two such calls, so that 1 comes often)."""
import glob
import os
import subprocess
import sys

SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(os.environ["RAD_SOURCE"], "..", "shared"))
PROGRAM = os.path.join(os.environ["RAD_BUILD"], "tests", "backend", "model_bits")

models = sorted(glob.glob(os.path.join(SHARED, "models", "*", "model_dyn.onnx")))
if not models:
    print(f"SKIP: no networks in {SHARED}/models")
    sys.exit(77)
failed = 0
for precision in ("fp32", "bf16"):
    done = subprocess.run([PROGRAM, precision, "1,2,3,4,8", "1,2,3,1,8,1,1,2,3,32,1,3"], input="".join(m + "\n" for m in models), capture_output=True, text=True)
    print(f"{precision}:\n{done.stdout}{done.stderr}", end="")
    same = sum(line.startswith("same ") for line in done.stdout.splitlines())
    if done.returncode == 77 and precision == "bf16":
        continue  # this processor has none
    if done.returncode != 0 or same != len(models):
        failed += 1
sys.exit(1 if failed else 0)
