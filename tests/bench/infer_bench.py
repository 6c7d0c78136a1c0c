#!/usr/bin/python3
"""Images per second of radcohort's engine against PyTorch and ONNX Runtime: same networks, same machine, same run, taking turns.

    infer_bench.py BUILD_DIR [--models DIR] [--networks NAME ...] [--rounds 5] [--batches 1 8 32] [--threads 1 2] [--precision fp32 bf16]

DIR holds full-size networks as ../shared/models/make_models.py makes them (made there when missing). PyTorch is Debian's, traced, frozen and
passed through optimize_for_inference. ONNX Runtime comes from PyPI: name a Python that has it in RADCOHORT_ORT_PYTHON, otherwise its
column stays empty. Every runtime is a process of its own that answers one request at a time, so peak memory is its own; medians over rounds
in which all take turns. One thread is measured in processor time, several by the clock. A batch of 1 on 2 threads is latency: radcohort computes one image on one thread (that is how its bits stay the same),
the others split it."""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
NETWORKS = ["resnet50", "inception_v3", "inception_resnet_v2", "repvgg_a0_deploy", "repvgg_b1_deploy"]


def serve(run):
    """The protocol of infer_bench.c around a function of the batch size."""
    import resource
    import time

    print("ready 0", flush=True)
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        call = run(int(line))
        start, busy = time.perf_counter(), time.process_time()
        call()
        print(time.perf_counter() - start, time.process_time() - busy, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


def serve_ort(model, threads, precision):
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", os.environ.get("ORT_SPIN", "1"))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape[1:]
    x = {}

    def run(n):
        x.setdefault(n, np.random.default_rng(1).random([n, *shape], dtype=np.float32))
        return lambda: session.run(None, {session.get_inputs()[0].name: x[n]})

    serve(run)


def serve_torch(model, threads, precision):
    sys.path.insert(0, os.path.join(SHARED, "models"))
    import torch
    import networks

    torch.set_num_threads(threads)
    name = os.path.basename(os.path.dirname(model))
    net, shape = networks.build(name.replace("_deploy", ""))
    net.eval()
    if name.endswith("_deploy"):
        net = net.deploy().eval()
    ready = {}

    def run(n):
        if n not in ready:
            x = torch.rand((n, *shape))
            with torch.no_grad():
                if precision == "bf16":
                    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
                        traced = torch.jit.freeze(torch.jit.trace(net, x))
                else:
                    traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))
                for _ in range(2):
                    traced(x)
            ready.clear()
            ready[n] = (traced, x)

        def call():
            with torch.no_grad():
                ready[n][0](ready[n][1])

        return call

    serve(run)


class Runtime:
    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline().split()
        if not line or line[0] != "ready":
            raise RuntimeError(" ".join(command) + " did not start")
        self.gflop = float(line[1])

    def ask(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        kilobytes = self.ask("quit")[0]
        self.process.wait()
        return kilobytes / 1024


def gemm_peak():
    """GFLOP/s of one thread in a 2048^3 float32 product (oneDNN's, through PyTorch), best of 5."""
    code = ("import torch,time\ntorch.set_num_threads(1)\na=torch.rand(2048,2048).to_mkldnn();b=torch.rand(2048,2048).to_mkldnn();best=1e9\n"
            "for _ in range(5):\n t=time.process_time();torch.nn.functional.linear(a,b);best=min(best,time.process_time()-t)\n"
            "print(2*2048**3/best*1e-9)")
    done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else float("nan")


def start(kind, args, model, threads, precision):
    if kind == "radcohort":
        return Runtime([os.path.join(args.build, "tests", "bench", "infer_bench"), model, str(threads), "onednn", precision])
    python = "/usr/bin/python3" if kind == "torch" else os.environ.get("RADCOHORT_ORT_PYTHON", "")
    if not python or (kind == "ort" and precision != "fp32"):
        return None
    return Runtime([python, __file__, "--serve", kind, model, str(threads), precision])


def compare(args, name, threads, precision, peak):
    model = os.path.join(args.models, name, "model_dyn.onnx")
    runtimes = {kind: start(kind, args, model, threads, precision) for kind in ("radcohort", "torch", "ort")}
    runtimes = {kind: r for kind, r in runtimes.items() if r}
    gflop = runtimes["radcohort"].gflop
    for batch in args.batches:
        seconds = {kind: [] for kind in runtimes}
        for kind in runtimes:
            runtimes[kind].ask(batch)  # warm
        for _ in range(args.rounds):
            for kind in runtimes:
                turns = 4 if batch == 1 else 1
                seconds[kind].append(sum(runtimes[kind].ask(batch)[1 if threads == 1 else 0] for _ in range(turns)) / turns)
        rate = {kind: batch / statistics.median(s) for kind, s in seconds.items()}
        best = max(rate[k] for k in rate if k != "radcohort") if len(rate) > 1 else float("nan")
        print(f"{name:20s} {precision} {threads}T b{batch:<3d}" + "".join(f" {kind} {rate[kind]:7.1f}" if kind in rate else f" {kind}       -" for kind in ("radcohort", "torch", "ort")) +
              f"   ratio to the faster {rate['radcohort'] / best:5.2f}   {gflop * rate['radcohort']:6.0f} GFLOP/s = {gflop * rate['radcohort'] / peak / threads * 100:3.0f} % of gemm", flush=True)
    memory = {kind: r.close() for kind, r in runtimes.items()}
    print(f"{name:20s} {precision} {threads}T peak memory MB " + " ".join(f"{kind} {m:.0f}" for kind, m in memory.items()), flush=True)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--serve":
        return {"ort": serve_ort, "torch": serve_torch}[sys.argv[2]](sys.argv[3], int(sys.argv[4]), sys.argv[5])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--models", default=os.path.join(tempfile.gettempdir(), "radcohort-bench-models"))
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    args = parser.parse_args()
    missing = [n for n in args.networks if not os.path.exists(os.path.join(args.models, n, "model_dyn.onnx"))]
    if missing:
        subprocess.run(["/usr/bin/python3", os.path.join(SHARED, "models", "make_models.py"), "full", args.models, *missing], check=True)
    peak = gemm_peak()
    print(f"one-thread float32 gemm of this machine: {peak:.0f} GFLOP/s; images per second, median of {args.rounds} rounds", flush=True)
    for precision in args.precision:
        for name in args.networks:
            for threads in args.threads:
                compare(args, name, threads, precision, peak)


if __name__ == "__main__":
    main()
