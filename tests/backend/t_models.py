#!/usr/bin/python3
"""Every shared network (all opsets, fixed and dynamic batch, batch norms folded or not) against PyTorch's float32 output, on ref and onednn;
and the same bits from onednn for any number of samples, any position and any number of threads."""
import glob
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("SKIP: python3-numpy is not installed")
    sys.exit(77)

RADCOHORT = os.environ["RADCOHORT"]
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(os.environ["RAD_SOURCE"], "..", "shared"))
LIMIT = 1e-4  # of the largest absolute output (PyTorch itself is within 2e-5 of its float64 result)
failures = []


def infer(model, x, where, backend, *options):
    """The outputs for samples x, as one row each."""
    source, target = os.path.join(where, "x.f32"), os.path.join(where, "y.f32")
    x.tofile(source)
    command = [RADCOHORT, "infer", model, "--input", source, "--output", target, "--backend", backend, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
    return np.fromfile(target, "<f4").reshape(len(x), -1)


def check(ok, text):
    if not ok:
        failures.append(text)
        print("FAIL", text, flush=True)


def check_values(name, folder, where):
    want = np.fromfile(os.path.join(folder, "output.f32"), "<f4")
    x = np.fromfile(os.path.join(folder, "input.f32"), "<f4").reshape(2, -1)
    worst = {}
    for model in sorted(glob.glob(os.path.join(folder, "model*.onnx"))):
        for backend in ("ref", "onednn"):
            what = f"{name}/{os.path.basename(model)} on {backend}"
            try:
                got = infer(model, x, where, backend).ravel()
            except RuntimeError as e:
                check(False, f"{what}: {e}")
                continue
            error = np.abs(got - want).max() / np.abs(want).max() if got.size == want.size else np.inf
            worst[backend] = max(worst.get(backend, 0.0), error)
            check(error <= LIMIT, f"{what}: off by {error:.2e} of the largest output")
    print(f"{name:24s}", " ".join(f"{b} {e:.1e}" for b, e in worst.items()), flush=True)


def check_bits(name, folder, where):
    """Each sample alone, then in batches, in another order and on several threads."""
    model = os.path.join(folder, "model_dyn.onnx")
    two = np.fromfile(os.path.join(folder, "input.f32"), "<f4").reshape(2, -1)
    x = np.concatenate([two, two[::-1] * np.float32(0.5), two + np.float32(0.25), two[:1] * 2])
    for precision in ("fp32", "bf16"):
        try:
            alone = np.concatenate([infer(model, x[i : i + 1], where, "onednn", "--precision", precision) for i in range(len(x))])
        except RuntimeError as e:
            check(precision == "bf16" and "bf16" in str(e), f"{name} {precision}: {e}")
            continue
        for order in (np.arange(7), np.arange(7)[::-1], np.array([3, 3, 0, 6, 5, 5, 1, 2, 4, 0])):
            for threads in ("1", "2", "3", "8"):
                got = infer(model, x[order], where, "onednn", "--threads", threads, "--precision", precision)
                check(got.tobytes() == alone[order].tobytes(), f"{name} {precision}: other bits for order {list(order)} on {threads} threads")


folders = sorted(f for f in glob.glob(os.path.join(SHARED, "models", "*")) if os.path.exists(os.path.join(f, "input.f32")))
if not folders:
    print(f"SKIP: no networks in {SHARED}/models")
    sys.exit(77)
with tempfile.TemporaryDirectory() as where:
    for folder in folders:
        name = os.path.basename(folder)
        check_values(name, folder, where)
        check_bits(name, folder, where)
print(f"{len(folders)} networks, {len(failures)} failures")
sys.exit(1 if failures else 0)
