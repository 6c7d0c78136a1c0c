#!/usr/bin/python3
"""Class activation maps of the networks of ../shared/models, at image sizes where the maps have extent, against PyTorch: what enters the
pooling is caught and weighted with the rows of the classifier. Networks with another head are refused with their reason. Scores and maps
do not depend on each other, on the batch or on the threads; mean of the map + bias is the logit."""
import os
import subprocess
import sys
import tempfile
import warnings

SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(os.environ["RAD_SOURCE"], "..", "shared"))
try:
    import numpy as np
    import torch
    import torchvision  # noqa: F401 (networks.py needs it)
except ImportError as e:
    print(f"SKIP: python3-{e.name} is not installed")
    sys.exit(77)
sys.path.insert(0, os.path.join(SHARED, "models"))
try:
    import networks
except ImportError:
    print(f"SKIP: no networks.py in {SHARED}/models")
    sys.exit(77)

warnings.filterwarnings("ignore")
torch.set_num_threads(2)
RADCOHORT = os.environ["RADCOHORT"]
LIMIT = 1e-4  # of the largest absolute value
# network -> input of one sample, or the text that the refusal must hold
WITH = {"resnet50": (3, 160, 128), "resnet50_6ch": (6, 96, 96), "inception_v3": (3, 139, 171), "inception_resnet_v2": (3, 139, 139),
        "repvgg_a0": (3, 128, 160), "densenet121": (3, 128, 96), "efficientnet_b0": (3, 96, 128), "r3d_18": (3, 16, 64, 48)}
WITHOUT = {"mobilenet_v3_large": "as in a hidden layer", "mobilenet_v3_small": "as in a hidden layer", "vgg16_bn": "as in a hidden layer",
           "convnext_tiny": "is not linear in the pooled features"}
failures = []


def check(ok, text):
    if not ok:
        failures.append(text)
        print("FAIL", text, flush=True)


def infer(where, model, x, *options):
    x.tofile(f"{where}/x.f32")
    command = [RADCOHORT, "infer", model, "--input", f"{where}/x.f32", "--output", f"{where}/y.f32", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def export(model, x, path):
    torch.onnx.export(model, x, path, input_names=["input"], output_names=["output"], opset_version=13,
                      dynamic_axes={"input": {0: "N"}, "output": {0: "N"}})


def maps_of(model, x):
    """[n_class, n, positions...] in double, and the logits: from the last linear layer and what enters the last average pooling."""
    seen = {}
    functional = torch.nn.functional
    pools = {name: getattr(functional, name) for name in ("adaptive_avg_pool2d", "adaptive_avg_pool3d")}

    def catching(pool):
        def run(a, *rest):
            seen["map"] = a  # the last one stays: that of the head
            return pool(a, *rest)
        return run

    for name, pool in pools.items():
        setattr(functional, name, catching(pool))
    try:
        with torch.no_grad():
            y = model(x)
    finally:
        for name, pool in pools.items():
            setattr(functional, name, pool)
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    f = seen["map"].double()
    return torch.einsum("ck,nk...->cn...", linear.weight.double(), f).detach().numpy(), y.numpy(), linear.bias.detach().double().numpy()


def check_network(name, sample, where):
    generator = torch.Generator().manual_seed(3)
    model, _ = networks.build(name, True)
    x = torch.rand((3,) + sample, generator=generator)
    networks.randomise(model, 17, [x, x.flip(-1)])
    path = f"{where}/{name}.onnx"
    export(model, x[:2], path)
    want, y, bias = maps_of(model, x)
    worst = 0.0
    for backend in ("onednn", "ref"):
        plain = infer(where, path, x.numpy(), "--backend", backend)
        check(plain.returncode == 0, f"{name} {backend}: {plain.stderr}")
        score = np.fromfile(f"{where}/y.f32", "<f4")
        for c in range(0, y.shape[1], 2):
            done = infer(where, path, x.numpy(), "--backend", backend, "--threads", "2", "--cam", str(c), "--output-cam", f"{where}/m.f32")
            if done.returncode != 0:
                check(False, f"{name} {backend} class {c}: exit {done.returncode}: {done.stderr.strip()}")
                continue
            check(np.fromfile(f"{where}/y.f32", "<f4").tobytes() == score.tobytes(), f"{name} {backend}: the map changes the score")
            got = np.fromfile(f"{where}/m.f32", "<f4").reshape(want[c].shape)
            error = np.abs(got - want[c]).max() / np.abs(want).max()
            worst = max(worst, error)
            check(error <= LIMIT, f"{name} {backend} class {c}: map off by {error:.2e} of the largest value")
            logit = got.reshape(3, -1).astype(np.float64).mean(1) + bias[c]
            error = np.abs(logit - score.reshape(3, -1)[:, c]).max() / np.abs(y).max()
            check(error <= 1e-5, f"{name} {backend} class {c}: mean of the map + bias is off the logit by {error:.2e}")
            if backend == "onednn":
                for i in (2, 0):
                    infer(where, path, x[i : i + 1].numpy(), "--backend", backend, "--cam", str(c), "--output-cam", f"{where}/one.f32")
                    one = np.fromfile(f"{where}/one.f32", "<f4")
                    check(one.tobytes() == got[i].tobytes(), f"{name} class {c}: other bits for sample {i} alone")
    print(f"{name:22s} map {list(want.shape[2:])} off by {worst:.1e}", flush=True)


def check_refusal(name, why, where):
    folder = os.path.join(SHARED, "models", name)
    for file in ("model.onnx", "model_dyn.onnx"):
        target = f"{where}/none.f32"
        x = np.fromfile(f"{folder}/input.f32", "<f4")
        done = infer(where, f"{folder}/{file}", x, "--cam", "0", "--output-cam", target)
        check(done.returncode == 2 and "has no class activation map" in done.stderr and why in done.stderr and not os.path.exists(target),
              f"{name}/{file}: exit {done.returncode}: {done.stderr.strip()}")
    print(f"{name:22s} refused: {done.stderr.strip()[len('radcohort infer: error: '):]}", flush=True)


def check_usage(where):
    folder = os.path.join(SHARED, "models", "resnet50")
    x = np.fromfile(f"{folder}/input.f32", "<f4")
    for options, text in ((("--cam", "5", "--output-cam", f"{where}/m.f32"), "the network has 5 classes"),
                          (("--cam", "1"), "--cam CLASS and --output-cam FILE go together"),
                          (("--cam", "one", "--output-cam", f"{where}/m.f32"), "expected the index of a class"),
                          (("--cam", "1", "--output-cam", "m", "--tap", "x", "--tap-output", "t"), "run twice")):
        done = infer(where, f"{folder}/model.onnx", x, *options)
        check(done.returncode == 2 and text in done.stderr, f"{options}: exit {done.returncode}: {done.stderr.strip()}")


with tempfile.TemporaryDirectory() as where:
    for name, sample in WITH.items():
        check_network(name, sample, where)
    for name, why in WITHOUT.items():
        check_refusal(name, why, where)
    check_usage(where)
print(f"{len(WITH)} networks with maps, {len(WITHOUT)} without, {len(failures)} failures")
sys.exit(1 if failures else 0)
