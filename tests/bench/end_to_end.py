#!/usr/bin/python3
"""From .nii.gz on disk to a score in a table: radcohort against the two Python pipelines that a competent user would write.

    end_to_end.py BUILD [--studies 300] [--distinct 60] [--networks resnet50 ...] [--rounds 1] [--folder DIR] [--add FILE]

CT studies of 512 x 512 x 200 (ct_archive.py), one lesion each, its middle spread evenly over the depth of the volume. The network sees the
lesion's box on the slice and its two neighbours. The contestants take turns on the same files, which are in the page cache for all of them:

  first     radcohort run with an empty folder: files are inflated as far as the lesion's slices and hashed to their ends
  second    the same with other weights and what the first night left beside the database: places from which files can be inflated
  torch     nibabel (dataobj[..., k-1:k+2]), a DataLoader with two workers, batches of 8, PyTorch traced, frozen and optimised for inference, on
            two threads
  ort       the same loader and ONNX Runtime on two threads. It comes from PyPI; name a Python that has it and nibabel and PyTorch in
            RADCOHORT_ORT_PYTHON, otherwise it is left out and said so

Python's start-up and imports are not counted, radcohort's start is. All scores are compared (1e-3 of logits that are about 1) before a time
is believed. --distinct: so many different files; the others are hard links to them under other names and with lesions at other depths.
--add FILE: JSON to which this call's rounds are added, so that a long measurement can be made in pieces; medians are over all rounds in it.
Beside the times the share of inference alone is printed: the network's own time on all cores, measured by each contestant's engine.
"""
import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPE, BOX, MEAN, STD, LOW, HIGH = (512, 512, 200), 64, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], -160.0, 240.0
SIDE = {"resnet50": 224, "inception_v3": 299, "mobilenet_v3_large": 224, "densenet121": 224}
PYTHON = {"torch": "/usr/bin/python3", "ort": os.environ.get("RADCOHORT_ORT_PYTHON")}


# ---------------------------------------------------------------- networks


def build(name):
    import torch
    import torchvision

    torch.manual_seed(1)
    more = {"inception_v3": {"aux_logits": False, "init_weights": False}}.get(name, {})
    net = getattr(torchvision.models, name)(weights=None, num_classes=2, **more)
    with torch.no_grad():  # activations of sensible size, as after training
        for m in net.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.momentum = None
        x = torch.nn.functional.interpolate(torch.rand((16, 3, 12, 12)) * 4 - 2, size=SIDE[name], mode="bilinear")
        net.train()(x)
        logit = net.eval()(x)
        last = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
        last.weight *= 1 / logit.std()
        last.bias -= net(x).mean(0)
    return net


def export(name, path):
    import torch

    torch.onnx.export(build(name), torch.rand((1, 3, SIDE[name], SIDE[name])), path, input_names=["input"], output_names=["output"],
                      opset_version=13, dynamic_axes={"input": {0: "n"}, "output": {0: "n"}})


def retrained(model, path):
    """The same network with another last bias: other scores, other results, the same work."""
    import onnx
    from onnx import numpy_helper

    m = onnx.load(model)
    last = next(n for n in reversed(m.graph.node) if n.op_type == "Gemm")
    bias = next(i for i in m.graph.initializer if i.name == last.input[2])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 0.25, bias.name))
    onnx.save(m, path)


# ---------------------------------------------------------------- the archive


def lesion(i, studies):
    """Corner and middle slice of the lesion of study `i`: depths spread evenly, in no order."""
    depth = (i * 7919) % studies
    return 96 + 37 * (i % 7), 128 + 29 * (i % 8), 2 + (SHAPE[2] - 5) * depth // max(studies - 1, 1)


def make(o, folder):
    import ct_archive

    sys.path.append(os.path.join(HERE, "..", "mpi"))
    import fixture

    files = ct_archive.make(os.path.join(o.folder, "ct"), min(o.distinct, o.studies), SHAPE)
    cohort = os.path.join(folder, "cohort")
    os.makedirs(cohort)
    tables = {"centers": ["center\tcohort", "H1\tinternal", "H2\texternal"], "patients": ["patient\tcenter\tlabel"],
              "images": ["patient\tstudy\tsequence\tpath"], "lesions": ["patient\tlesion\tlabel\tbox"]}
    rows = []
    for i in range(o.studies):
        name, label = "P%04d" % i, ["benign", "malignant"][i % 3 == 0]
        path = os.path.join(cohort, name + ".nii.gz")
        os.link(files[i % len(files)], path)
        x, y, k = lesion(i, o.studies)
        rows.append((name, path, x, y, k))
        tables["patients"].append("%s\tH%d\t%s" % (name, 1 + i % 2, label))
        tables["images"].append("%s\ts1\tCT\t%s.nii.gz" % (name, name))
        tables["lesions"].append("%s\tL1\t%s\t%d %d %d %d %d %d" % (name, label, x, y, k - 1, x + BOX, y + BOX, k + 2))
    fixture.write_tables(cohort, tables)
    return rows


JOB = """job: nights
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs:
  a:
    channels: [{{sequence: CT, offset: [-1, 0, 1]}}]
    orientation: LPS
    region: {{from: box}}
    window: {{low: {low}, high: {high}}}
    resize: {{size: {side}}}
    normalise: {{mean: {mean}, std: {std}}}
models: [{{name: net, file: {model}, activation: softmax}}]
operating_points: [{{name: half, threshold: 0.5}}]
"""


def job(folder, model, side):
    path = os.path.join(folder, os.path.splitext(os.path.basename(model))[0] + ".yaml")
    with open(path, "w") as f:
        f.write(JOB.format(model=model, side=side, mean=MEAN, std=STD, low=LOW, high=HIGH))
    return path


def warm(files):
    """Into the page cache, for all alike."""
    for path in {os.stat(p).st_ino: p for p in files}.values():
        with open(path, "rb", buffering=0) as f:
            while f.read(1 << 22):
                pass


# ---------------------------------------------------------------- contestants


def run_python(kind, plan):
    """In a process of its own: prints {seconds, infer_s, scores}."""
    with open(plan) as f:
        p = json.load(f)
    import nibabel
    import numpy as np
    import torch

    mean, std, side = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1), p["side"]

    class Studies(torch.utils.data.Dataset):
        def __len__(self):
            return len(p["studies"])

        def __getitem__(self, i):
            _, path, x, y, k = p["studies"][i]
            image = nibabel.load(path)
            slices = np.asarray(image.dataobj[..., k - 1:k + 2], dtype=np.float32)[x:x + BOX, y:y + BOX]
            t = torch.from_numpy(np.ascontiguousarray(slices.transpose(2, 1, 0)))
            t = ((t - LOW) / (HIGH - LOW)).clamp_(0, 1)
            t = torch.nn.functional.interpolate(t[None], size=(side, side), mode="bilinear", align_corners=False)[0]
            return i, (t - mean) / std

    if kind == "torch":
        torch.set_num_threads(2)
        net = build(p["network"])
        with torch.no_grad():
            traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, torch.rand((8, 3, side, side)), check_trace=False)))
            for _ in range(3):
                traced(torch.rand((8, 3, side, side)))
        infer = lambda x: traced(x).numpy()
    else:
        import onnxruntime

        torch.set_num_threads(1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(p["model"], options, providers=["CPUExecutionProvider"])
        infer = lambda x: session.run(None, {"input": x.numpy()})[0]
        infer(torch.rand((8, 3, side, side)))
    alone = []
    for _ in range(5):
        start = time.perf_counter()
        infer(torch.rand((8, 3, side, side)))
        alone.append((time.perf_counter() - start) / 8)
    scores = {}
    start, busy = time.perf_counter(), 0.0
    with torch.no_grad():
        for i, x in torch.utils.data.DataLoader(Studies(), batch_size=8, num_workers=2, prefetch_factor=2):
            t = time.perf_counter()
            y = infer(x).astype(np.float64)
            busy += time.perf_counter() - t
            score = 1 / (1 + np.exp(y[:, 0] - y[:, 1]))
            scores.update({p["studies"][int(n)][0]: float(s) for n, s in zip(i, score)})
    print(json.dumps({"seconds": time.perf_counter() - start, "infer_s": busy, "alone_ms": 1e3 * statistics.median(alone), "scores": scores}))


def python(kind, plan):
    r = subprocess.run([PYTHON[kind], os.path.abspath(__file__), "--peer", kind, plan], capture_output=True, text=True)
    if r.returncode != 0:
        sys.exit("%s: exit code %d\n%s" % (kind, r.returncode, r.stderr[-3000:]))
    return json.loads(r.stdout.strip().split("\n")[-1])


def radcohort(program, job_file, db):
    start = time.perf_counter()
    r = subprocess.run([program, "run", job_file, "--db", db, "--quiet", "--json"], capture_output=True, text=True, cwd=os.path.dirname(job_file))
    seconds = time.perf_counter() - start
    if r.returncode != 0:
        sys.exit("radcohort: exit code %d\n%s" % (r.returncode, r.stderr[-3000:]))
    out = json.loads(r.stdout)
    with sqlite3.connect(db) as con:
        scores = dict(con.execute("SELECT patient, score FROM v_case_score WHERE unit = 'lesion' AND run_id = ?", (out["run"],)))
    return {"seconds": seconds, "session": out["session"], "scores": scores}


def alone_ms(build_folder, model):
    """Milliseconds per image of the engine alone, batches of 8 on two threads."""
    r = subprocess.run([os.path.join(build_folder, "tests", "bench", "infer_bench"), model, "2", "onednn", "fp32"], capture_output=True, text=True,
                       input="8\n" * 9 + "quit\n", check=True)
    return 1e3 * statistics.median(float(line.split()[0]) / 8 for line in r.stdout.split("\n")[5:10])


def compare(name, truth, got):
    if set(truth) != set(got):
        sys.exit("%s: scores of %d studies, expected %d" % (name, len(got), len(truth)))
    worst = max(abs(truth[k] - got[k]) for k in truth)
    if worst > 1e-3:
        sys.exit("%s: scores differ by %g: no time is worth printing" % (name, worst))
    return worst


# ---------------------------------------------------------------- rounds


def one_network(o, name, folder, studies):
    side, program = SIDE[name], os.path.join(o.build, "src", "cli", "radcohort")
    models = os.path.join(o.folder, "models")
    os.makedirs(models, exist_ok=True)
    first = os.path.join(models, name + "-two.onnx")
    if not os.path.exists(first):
        subprocess.run([PYTHON["torch"], os.path.abspath(__file__), "--export", name, first + ".part"], check=True, stdout=sys.stderr)
        os.replace(first + ".part", first)
    second = os.path.join(folder, name + "-again.onnx")
    retrained(first, second)
    plan = os.path.join(folder, name + ".json")
    with open(plan, "w") as f:
        json.dump({"network": name, "side": side, "model": first, "studies": studies}, f)
    nights = [job(folder, first, side), job(folder, second, side)]
    seconds, alone, worst, split = {}, {}, 0.0, {}
    for r in range(o.rounds):
        db = os.path.join(folder, "%s-%d.sqlite" % (name, r))
        got = {"first": radcohort(program, nights[0], db), "second": radcohort(program, nights[1], db)}
        got.update({kind: python(kind, plan) for kind in ("torch", "ort") if PYTHON[kind] and kind not in o.without})
        shutil.rmtree(db + ".restart", ignore_errors=True)
        for kind in got:
            seconds.setdefault(kind, []).append(got[kind]["seconds"])
            if kind in PYTHON:
                alone.setdefault(kind, []).append(got[kind]["alone_ms"])
                worst = max(worst, compare(kind, got[kind]["scores"], got["first"]["scores"]))
            else:
                split[kind] = got[kind]["session"]
        alone.setdefault("radcohort", []).append(alone_ms(o.build, first))
    return {"network": name, "studies": len(studies), "distinct": min(o.distinct, o.studies), "seconds": seconds, "alone_ms": alone, "split": split,
            "worst_difference": worst}


def merge(path, results):
    """Rounds of earlier calls with the same archive and network."""
    if path and os.path.exists(path):
        with open(path) as f:
            for old in json.load(f)["networks"]:
                for new in results:
                    if [old[k] for k in ("network", "studies", "distinct")] == [new[k] for k in ("network", "studies", "distinct")]:
                        for what in ("seconds", "alone_ms"):
                            for kind, values in old[what].items():
                                new[what][kind] = values + new[what].get(kind, [])
                        new["worst_difference"] = max(old["worst_difference"], new["worst_difference"])
                        break
                else:
                    results.append(old)
    if path:
        with open(path, "w") as f:
            json.dump({"networks": results}, f, indent=1)


def table(results):
    print("%-18s%7s%8s | %-10s%9s%11s%14s%10s%8s" % ("network", "studies", "rounds", "", "seconds", "studies/s", "ms per study", "infer ms", "ratio"))
    for r in results:
        median = {kind: statistics.median(v) for kind, v in r["seconds"].items()}
        best = min((median[k] for k in PYTHON if k in median), default=float("nan"))
        for kind in sorted(median, key=["first", "second", "torch", "ort"].index):
            infer = statistics.median(r["alone_ms"][kind if kind in PYTHON else "radcohort"])
            each = 1e3 * median[kind] / r["studies"]
            print("%-18s%7d%8d | %-10s%9.1f%11.1f%14.1f%10.1f%8s" % (r["network"], r["studies"], len(r["seconds"][kind]), kind, median[kind], 1e3 / each, each,
                                                                infer, "%.2f" % (best / median[kind]) if kind not in PYTHON else ""))
        print("   scores equal within %.1e; %d different files" % (r["worst_difference"], r["distinct"]))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build")
    a.add_argument("--studies", type=int, default=300)
    a.add_argument("--distinct", type=int, default=60)
    a.add_argument("--networks", nargs="+", default=["resnet50"], choices=sorted(SIDE))
    a.add_argument("--rounds", type=int, default=1)
    a.add_argument("--folder", default=os.path.join(tempfile.gettempdir(), "radcohort-bench"), help="where studies are kept from one call to the next")
    a.add_argument("--without", nargs="+", default=[], choices=sorted(PYTHON))
    a.add_argument("--add")
    o = a.parse_args()
    o.build = os.path.abspath(o.build)
    for kind in PYTHON:
        if not PYTHON[kind] and kind not in o.without:
            print("%s: left out, RADCOHORT_ORT_PYTHON names no Python that has ONNX Runtime" % kind, file=sys.stderr)
    results = []
    os.makedirs(o.folder, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="nights-", dir=o.folder)
    try:
        studies = make(o, folder)
        warm([s[1] for s in studies])
        for name in o.networks:
            results.append(one_network(o, name, folder, studies))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    merge(o.add, results)
    table(results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        run_python(sys.argv[2], sys.argv[3])
    elif sys.argv[1:2] == ["--export"]:
        export(sys.argv[2], sys.argv[3])
    else:
        sys.path.insert(0, HERE)
        main()
