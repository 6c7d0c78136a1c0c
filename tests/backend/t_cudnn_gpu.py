#!/usr/bin/python3
"""On a GPU: every shared network in every precision against PyTorch's float32 output; the same bits for any number of samples, any place in the
batch, any order and any number of threads; compute-sanitizer over one network when it is installed. Skipped, with the reason, elsewhere."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

RADCOHORT, SOURCE = os.environ["RADCOHORT"], os.environ["RAD_SOURCE"]
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(SOURCE, "..", "shared"))
# Of the largest output. fp32 as on the CPU. The others round every activation; what is allowed is what tests/backend/t_cudnn_host.py finds on the
# CPU with the same storage types for the networks that do not amplify it, and for the rest (few channels, no training) only a sane result.
TIGHT = {"fp32": 1e-4, "tf32": 1e-2, "fp16": 1e-2, "bf16": 5e-2}
LOOSE = {"fp32": 1e-4, "tf32": 2e-1, "fp16": 2e-1, "bf16": 5e-1}
CALM = {"resnet50", "r3d_18", "convnext_tiny", "repvgg_a0", "repvgg_a0_deploy", "vgg16_bn"}

try:
    import numpy as np
except ImportError:
    print("SKIP: python3-numpy is not installed")
    sys.exit(77)
listing = json.loads(subprocess.run([RADCOHORT, "backends", "--json"], capture_output=True, text=True, timeout=300).stdout)
cudnn = next(b for b in listing["backends"] if b["name"] == "cudnn")
if not cudnn["usable"]:
    # Asked and not usable is an error, never another backend.
    model = sorted(glob.glob(os.path.join(SHARED, "models", "resnet50", "model_dyn.onnx")))
    if model:
        folder = os.path.dirname(model[0])
        with tempfile.TemporaryDirectory() as where:
            r = subprocess.run([RADCOHORT, "infer", model[0], "--input", os.path.join(folder, "input.f32"), "--output",
                                os.path.join(where, "y.f32"), "--backend", "cudnn"], capture_output=True, text=True, timeout=300)
            if r.returncode == 0 or "cudnn" not in r.stderr or os.path.exists(os.path.join(where, "y.f32")):
                print(f"a GPU was asked for, there is none, and infer says: exit {r.returncode} {r.stderr}")
                sys.exit(1)
    print(f"SKIP: no GPU: {' '.join(cudnn['text'].split())}")
    sys.exit(77)
print(cudnn["text"])
bad = []


def infer(model, x, where, *options, tool=()):
    source, target = os.path.join(where, "x.f32"), os.path.join(where, "y.f32")
    x.tofile(source)
    done = subprocess.run([*tool, RADCOHORT, "infer", model, "--input", source, "--output", target, "--backend", "cudnn", *options],
                          capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()} {done.stdout.strip()[-2000:]}")
    return np.fromfile(target, "<f4").reshape(len(x), -1)


folders = sorted(f for f in glob.glob(os.path.join(SHARED, "models", "*")) if os.path.exists(os.path.join(f, "input.f32")))
with tempfile.TemporaryDirectory() as where:
    for folder in folders:
        name, model = os.path.basename(folder), os.path.join(folder, "model_dyn.onnx")
        want = np.fromfile(os.path.join(folder, "output.f32"), "<f4")
        two = np.fromfile(os.path.join(folder, "input.f32"), "<f4").reshape(2, -1)
        x = np.concatenate([two, two[::-1] * np.float32(0.5), two + np.float32(0.25)] * 8)[:45]
        for precision in TIGHT:
            try:
                off = np.abs(infer(model, two, where, "--precision", precision).ravel() - want).max() / np.abs(want).max()
                if not off <= (TIGHT if name in CALM else LOOSE)[precision]:
                    bad.append(f"{name} {precision}: off by {off:.2e} of the largest output")
                whole = infer(model, x, where, "--precision", precision)
                alone = np.concatenate([infer(model, x[i:i + 1], where, "--precision", precision) for i in (0, 3, 31, 32, 44)])
                if alone.tobytes() != whole[[0, 3, 31, 32, 44]].tobytes():
                    bad.append(f"{name} {precision}: alone and in a batch differ")
                for threads in ("1", "3"):
                    if infer(model, x[::-1], where, "--precision", precision, "--threads", threads).tobytes() != whole[::-1].tobytes():
                        bad.append(f"{name} {precision}: the order or {threads} threads change bits")
                print(f"{name:24s} {precision} off by {off:.1e}", flush=True)
            except RuntimeError as e:
                bad.append(f"{name} {precision}: {e}")
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if os.path.exists(tool):
        for kind in ("memcheck", "racecheck"):
            for name in ("mobilenet_v3_small", "convnext_tiny"):
                folder = os.path.join(SHARED, "models", name)
                two = np.fromfile(os.path.join(folder, "input.f32"), "<f4").reshape(2, -1)
                try:
                    infer(os.path.join(folder, "model_dyn.onnx"), two, where, tool=(tool, "--tool", kind, "--error-exitcode", "9"))
                except RuntimeError as e:
                    bad.append(f"compute-sanitizer {kind}, {name}: {e}")
    else:
        print("compute-sanitizer is not installed: memory and races are not checked")
print("\n".join(bad))
sys.exit(1 if bad else 0)
