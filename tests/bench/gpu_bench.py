#!/usr/bin/env python3
"""Images per second on a GPU: radcohort's cuDNN backend beside PyTorch (channels_last, compiled, CUDA graphs), in one run, taking turns.

    python3 tests/bench/gpu_bench.py BUILD MODEL.onnx [--torch NAME] [--batch 32,64,128,256] [--precision fp32,tf32,fp16,bf16] [--streams 3]

MODEL.onnx: a full-size network (../shared/models/make_models.py full). NAME: torchvision's name of it, for the comparison. Prints a table and
writes nothing. Without a usable GPU: SKIP, exit 77.
"""
import argparse
import os
import subprocess
import sys

a = argparse.ArgumentParser()
a.add_argument("build")
a.add_argument("model")
a.add_argument("--torch")
a.add_argument("--batch", default="32,64,128,256")
a.add_argument("--precision", default="fp32,tf32,fp16,bf16")
a.add_argument("--streams", default="3")
a = a.parse_args()


def ours(precision, batch):
    r = subprocess.run([os.path.join(a.build, "tests", "bench", "gpu_bench"), a.model, precision, str(batch), a.streams], capture_output=True,
                       text=True, timeout=600)
    if r.returncode == 77:
        print(r.stdout.strip())
        sys.exit(77)
    if r.returncode != 0:
        sys.exit(r.stderr)
    return {k: float(v) for k, v in (line.split() for line in r.stdout.splitlines())}


def torch_rate(precision, batch):
    try:
        import torch
        import torchvision
    except ImportError:
        return None
    if not a.torch or not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True
    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    net = getattr(torchvision.models, a.torch)().eval().cuda().to(kind).to(memory_format=torch.channels_last)
    if hasattr(torch, "compile"):
        net = torch.compile(net, mode="max-autotune")
    side = 299 if "inception" in a.torch else 224
    x = torch.randn(batch, 3, side, side, device="cuda", dtype=kind).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(10):
            net(x)
        torch.cuda.synchronize()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(50):
            net(x)
        stop.record()
        torch.cuda.synchronize()
    return batch * 50 / (start.elapsed_time(stop) * 1e-3)


print(f"{'precision':9} {'batch':>5} {'resident/s':>11} {'from host/s':>11} {'PyTorch/s':>10}")
for precision in a.precision.split(","):
    for batch in (int(b) for b in a.batch.split(",")):
        r, t = ours(precision, batch), torch_rate(precision, batch)
        print(f"{precision:9} {batch:5} {r['resident']:11.0f} {r['host']:11.0f} {t and f'{t:10.0f}' or '         -'}", flush=True)
