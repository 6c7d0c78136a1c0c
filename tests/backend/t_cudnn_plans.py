#!/usr/bin/python3
"""Every convolution of every network, fused as the backend fuses it, has a cuDNN engine on A100, H100 and H200, in every precision: planned by
cuDNN itself for a described device, no GPU needed. An engine counts only when it is deterministic, exact enough and needs no compiler at run
time. RADCOHORT_FULL_MODELS: a folder with full-size networks (*.onnx) to plan as well."""
import glob
import os
import subprocess
import sys

SOURCE, BUILD = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(SOURCE, "..", "shared"))
PROGRAM = os.path.join(BUILD, "tests", "backend", "cudnn_models")
if not os.path.exists(os.path.join(BUILD, "src", "infer", "cudnn", "radcohort_cudnn.so")):
    print("SKIP: built without CUDA and cuDNN")
    sys.exit(77)
if os.environ.get("RAD_SANITIZE"):
    print("SKIP: cuDNN is not built for sanitizers")
    sys.exit(77)
models = sorted(glob.glob(os.path.join(SHARED, "models", "*", "model_dyn*.onnx")) + glob.glob(os.path.join(SHARED, "models", "*", "model_bn.onnx")))
full = os.environ.get("RADCOHORT_FULL_MODELS")
if full:
    models += sorted(glob.glob(os.path.join(full, "**", "*.onnx"), recursive=True))
if not models:
    print("SKIP: the shared networks are not here (RADCOHORT_SHARED)")
    sys.exit(77)
bad = 0
for device in ("a100", "h100", "h200"):
    for precision in ("fp32", "tf32", "fp16", "bf16"):
        r = subprocess.run([PROGRAM, "plan", os.path.join(SOURCE, "tests", "data", f"gpu_{device}.json"), precision, *models],
                           capture_output=True, text=True, timeout=300)
        lines = [line for line in r.stdout.splitlines() if "distinct convolutions" in line]
        own = sum("our own" in line for line in r.stdout.splitlines())
        convolutions = sum(int(line.split(": ")[1].split()[0]) for line in lines)
        workspace = max((float(line.split("workspace ")[1].split()[0]) for line in lines), default=0)
        print(f"{device} {precision}: {len(lines)} networks, {convolutions} convolutions planned, {own} left to our own kernel, "
              f"largest workspace {workspace:.0f} MB", flush=True)
        if r.returncode != 0 or len(lines) != len(models) or own > 0:
            bad += 1
            print(r.stderr.strip())
sys.exit(1 if bad else 0)
