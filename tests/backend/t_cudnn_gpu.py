#!/usr/bin/python3
"""On a GPU: every shared network in every precision against PyTorch's float32 output; the same bits for any number of samples, any place in the
batch, any order and any number of threads; compute-sanitizer over one network when it is installed. Skipped, with the reason, elsewhere."""
import concurrent.futures
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


def infer(model, x, where, *options, tool=()):
    source, target = os.path.join(where, "x.f32"), os.path.join(where, "y.f32")
    x.tofile(source)
    done = subprocess.run([*tool, RADCOHORT, "infer", model, "--input", source, "--output", target, "--backend", "cudnn", *options],
                          capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()} {done.stdout.strip()[-2000:]}")
    return np.fromfile(target, "<f4").reshape(len(x), -1)


def check(folder, precision):
    """What is wrong with one network at one precision, and how far it is from PyTorch. Three calls of the program: all samples; one alone; all
    of them backwards on three threads."""
    name, model, wrong = os.path.basename(folder), os.path.join(folder, "model_dyn.onnx"), []
    want = np.fromfile(os.path.join(folder, "output.f32"), "<f4").reshape(2, -1)
    two = np.fromfile(os.path.join(folder, "input.f32"), "<f4").reshape(2, -1)
    x = np.concatenate([two, two[::-1] * np.float32(0.5), two + np.float32(0.25)] * 8)[:45]
    with tempfile.TemporaryDirectory() as where:
        try:
            whole = infer(model, x, where, "--precision", precision)
            off = np.abs(whole[:2] - want).max() / np.abs(want).max()
            if not off <= (TIGHT if name in CALM else LOOSE)[precision]:
                wrong.append(f"{name} {precision}: off by {off:.2e} of the largest output")
            if infer(model, x[33:34], where, "--precision", precision).tobytes() != whole[33:34].tobytes():
                wrong.append(f"{name} {precision}: alone and in a batch differ")
            if infer(model, x[::-1], where, "--precision", precision, "--threads", "3").tobytes() != whole[::-1].tobytes():
                wrong.append(f"{name} {precision}: the order or three threads change bits")
            print(f"{name:24s} {precision} off by {off:.1e}", flush=True)
        except RuntimeError as e:
            wrong.append(f"{name} {precision}: {e}")
    return wrong


def sanitize(kind, name):
    folder = os.path.join(SHARED, "models", name)
    two = np.fromfile(os.path.join(folder, "input.f32"), "<f4").reshape(2, -1)
    with tempfile.TemporaryDirectory() as where:
        try:
            infer(os.path.join(folder, "model_dyn.onnx"), two, where, tool=(TOOL, "--tool", kind, "--error-exitcode", "9"))
            print(f"compute-sanitizer {kind}, {name}: clean", flush=True)
        except RuntimeError as e:
            return [f"compute-sanitizer {kind}, {name}: {e}"]
    return []


folders = sorted(f for f in glob.glob(os.path.join(SHARED, "models", "*")) if os.path.exists(os.path.join(f, "input.f32")))
if not folders:
    print("SKIP: the shared networks are not here (RADCOHORT_SHARED)")
    sys.exit(77)
part = os.environ.get("RADCOHORT_GPU_PART", "")  # networks, sanitizer; both without it
TOOL = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
work = []
if part != "sanitizer":
    work += [(check, folder, precision) for precision in TIGHT for folder in folders]
if part != "networks" and os.path.exists(TOOL):
    work += [(sanitize, kind, name) for kind in ("memcheck", "racecheck") for name in ("mobilenet_v3_small", "convnext_tiny")]
if not work:
    print("SKIP: compute-sanitizer is not installed")
    sys.exit(77)
# Most of a call is loading libraries: four side by side on the one device.
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    bad = [line for lines in pool.map(lambda w: w[0](*w[1:]), work) for line in lines]
print("\n".join(bad) if bad else f"{len(work)} checks, nothing wrong")
sys.exit(1 if bad else 0)
