#!/usr/bin/python3
"""Images per second of radcohort's engine against PyTorch and ONNX Runtime: same networks, same machine, same run, taking turns.

    infer_bench.py BUILD_DIR [--models DIR] [--minutes 8] [--networks NAME ...] [--rounds 5] [--full]

DIR holds full-size networks as ../shared/models/make_models.py makes them (made there when missing). PyTorch is Debian's, traced, frozen
and passed through optimize_for_inference (bf16: autocast, traced and frozen). ONNX Runtime comes from PyPI; name a Python that has it in
RADCOHORT_ORT_PYTHON (python3 -m venv --system-site-packages V; V/bin/pip install onnxruntime), otherwise its columns say "-". It has no
bf16 on processors.

Every runtime is a process of its own that answers one request at a time, so peak memory is its own. Rates are medians over rounds in which
all take turns. One thread is measured in processor time, which other load on the machine hardly moves, and two networks at a time, one on
each of two cores; several threads are measured by the clock, one network at a time, SPIN seconds after the one before, whose threads spin for
up to 35 ms more; a turn in which other programs used more than a tenth of the processors is repeated once.
"others" is what they used in the turns that count. "ratio" is against the faster of the two others: by
medians, and by best quartiles. "of gemm" is the share of what a 2048 x 2048 x 2048 float32 product reached in the same run on as many
threads (the whole network's arithmetic over its time, Winograd's saving included). "price" is what equal bits cost: how much faster one
plan of the whole batch would be, its threads sharing every operation.

The five designs' four networks run at batch 1, 8 and 32 in fp32, their other forms and bf16 at 1 and 8; --full runs everything at all three
and has no time limit. What the time did not allow is listed at the end."""
import argparse
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
MAIN = ["resnet50", "inception_v3", "repvgg_a0_deploy", "repvgg_b1_deploy", "inception_resnet_v2"]
OTHER = ["resnet50_6ch", "repvgg_a0", "repvgg_b1"]
PRICED = 8  # the batch at which the price of equal bits is measured
PEERS = ("torch", "ort")
SPIN = 0.06
OTHERS = 0.1


# ---------------------------------------------------------------- the other runtimes, each in a process of its own


def serve(run):
    """The protocol of infer_bench.c around a function of the batch size."""
    import resource

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
    with torch.no_grad():
        x = {1: torch.rand((1, *shape))}
        if precision == "bf16":
            with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
                traced = torch.jit.freeze(torch.jit.trace(net, x[1], check_trace=False))
        else:
            traced = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x[1], check_trace=False)))

    def run(n):
        if n not in x:
            x[n] = torch.rand((n, *shape))

        def call():
            with torch.no_grad():
                traced(x[n])

        return call

    serve(run)


class Runtime:
    def __init__(self, command, core=None):
        pin = ["taskset", "-c", str(core)] if core is not None else []
        self.process = subprocess.Popen([*pin, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.command = command

    def wait_ready(self):
        line = self.process.stdout.readline().split()
        if not line or line[0] != "ready":
            raise RuntimeError(" ".join(self.command) + " did not start")
        self.gflop = float(line[1])

    def ask(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def processor_seconds(self):
        where = f"/proc/{self.process.pid}/task"
        return sum(int(open(f"{where}/{task}/schedstat").read().split()[0]) for task in os.listdir(where)) * 1e-9

    def close(self):
        kilobytes = self.ask("quit")[0]
        self.process.wait()
        return kilobytes / 1024


# ---------------------------------------------------------------- measuring


def busy_seconds():
    """Of all processors of the machine since it started."""
    user, nice, system, _, _, irq, soft, steal = (int(word) for word in open("/proc/stat").readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, args):
        self.args = args
        self.program = os.path.join(args.build, "tests", "bench", "infer_bench")
        self.ort = os.environ.get("RADCOHORT_ORT_PYTHON", "")
        self.end = time.monotonic() + args.minutes * 60 if not args.full else float("inf")
        self.lock = threading.Lock()
        self.rows, self.left_out = {}, []
        self.peak = {}  # threads -> GFLOP/s

    def start(self, kind, name, threads, precision, core):
        model = os.path.join(self.args.models, name, "model_dyn.onnx")
        if kind in ("radcohort", "whole"):
            return Runtime([self.program, model, str(threads), "onednn", precision, *([str(PRICED)] if kind == "whole" else [])], core)
        python = "/usr/bin/python3" if kind == "torch" else self.ort
        if not python or (kind == "ort" and precision != "fp32"):
            return None
        return Runtime([python, __file__, "--serve", kind, model, str(threads), precision], core)

    def batches(self, name, precision):
        return [1, 8, 32] if self.args.full or (name in MAIN and precision == "fp32") else [1, 8]

    def gemm(self, threads, core):
        """The machine's own peak in this run: seen again with every network, the best counts."""
        with tempfile.TemporaryDirectory() as where:
            import numpy as np
            import onnx
            from onnx import TensorProto as T, helper as h, numpy_helper as nh

            n = 2048
            w = nh.from_array(np.random.default_rng(1).random((n, n), dtype=np.float32), "w")
            value = lambda name: h.make_tensor_value_info(name, T.FLOAT, [1, n, n])
            graph = h.make_graph([h.make_node("MatMul", ["x", "w"], ["y"])], "gemm", [value("x")], [value("y")], [w])
            path = os.path.join(where, "gemm.onnx")
            onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=7), path)
            r = Runtime([self.program, path, str(threads), "onednn", "fp32"], core)
            r.wait_ready()
        rate = max(r.gflop / r.ask(1)[1 if threads == 1 else 0] for _ in range(6))
        r.close()
        with self.lock:
            self.peak[threads] = max(rate, self.peak.get(threads, 0.0))

    def turn(self, runtimes, kind, batch, threads):
        """Seconds per image, and the share of the processors that other programs used."""
        turns = 4 if batch == 1 else 1
        if threads == 1:
            return sum(runtimes[kind].ask(batch)[1] for _ in range(turns)) / turns / batch, float("nan")
        tries = []
        for _ in range(2):
            time.sleep(SPIN)
            ours = lambda: sum(r.processor_seconds() for r in runtimes.values())
            began, busy, own = time.monotonic(), busy_seconds(), ours()
            seconds = sum(runtimes[kind].ask(batch)[0] for _ in range(turns)) / turns / batch
            others = (busy_seconds() - busy - ours() + own) / (time.monotonic() - began) / os.cpu_count()
            tries.append((max(others, 0.0), seconds))
            if others < OTHERS:
                break
        others, seconds = min(tries)
        return seconds, others

    def job(self, name, threads, precision, core):
        args = self.args
        self.gemm(threads, core)
        kinds = ["radcohort", *PEERS] + (["whole"] if precision == "fp32" and name in MAIN else [])
        runtimes = {kind: self.start(kind, name, threads, precision, core) for kind in kinds}
        runtimes = {kind: r for kind, r in runtimes.items() if r}
        for r in runtimes.values():  # all make themselves ready at the same time
            r.wait_ready()
        gflop = runtimes["radcohort"].gflop
        rows = []
        for batch in self.batches(name, precision):
            taking = [kind for kind in runtimes if kind != "whole" or batch == PRICED]
            began = time.monotonic()
            if began > self.end:
                self.left_out.append(f"{name} {precision} on {threads} threads from batch {batch}")
                break
            for kind in taking:
                for _ in range(8 if batch == 1 else 1):  # traced code is specialised on the second call, threads join from the third on
                    runtimes[kind].ask(batch)
            if time.monotonic() + (time.monotonic() - began) * args.rounds / 2 > self.end:
                self.left_out.append(f"{name} {precision} on {threads} threads from batch {batch}")
                break
            seconds, others = {kind: [] for kind in taking}, []
            for _ in range(args.rounds):
                if time.monotonic() > self.end + 20:
                    break
                for kind in taking:
                    one, other = self.turn(runtimes, kind, batch, threads)
                    seconds[kind].append(one)
                    others.append(other)
            if len(seconds["radcohort"]) < args.rounds:
                self.left_out.append(f"{name} {precision} on {threads} threads from batch {batch}")
                break
            rows.append({"batch": batch, "seconds": seconds, "gflop": gflop, "others": statistics.median(others)})
            print(f"{name} {precision} {threads}T b{batch}: " + ", ".join(f"{k} {1 / statistics.median(s):.1f}/s" for k, s in seconds.items()), file=sys.stderr, flush=True)
        memory = {kind: r.close() for kind, r in runtimes.items()}
        with self.lock:
            self.rows[(precision, name, threads)] = (rows, memory)

    def run(self, jobs):
        """Those on one thread two at a time, each on a core of its own; then the others, alone."""
        cores = sorted(os.sched_getaffinity(0))
        waiting = queue.Queue()
        failures = []

        def worker(core):
            while True:
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                if time.monotonic() > self.end - 10:
                    self.left_out.append("{} {} on {} threads".format(task[0], task[2], task[1]))
                    continue
                try:
                    self.job(*task, core)
                except Exception as e:  # a runtime that dies must not take the table with it
                    failures.append(f"{task}: {e}")

        for precision in self.args.precision:
            single = [j for j in jobs if j[1] == 1 and j[2] == precision]
            for job in single:
                waiting.put(job)
            pair = [threading.Thread(target=worker, args=(core,)) for core in cores[:2]]
            for t in pair:
                t.start()
            for t in pair:
                t.join()
            for job in [j for j in jobs if j[1] > 1 and j[2] == precision]:
                waiting.put(job)
            worker(None)
        return failures


def quartile(values):
    return sorted(values)[len(values) // 4]


def table(bench):
    yield "| network | precision | threads | batch | radcohort | PyTorch | ONNX Runtime | ratio | best quartiles | of gemm | price | others | peak memory, MB |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for (precision, name, threads), (rows, memory) in sorted(bench.rows.items(), key=lambda r: (r[0][0] != "fp32", (MAIN + OTHER).index(r[0][1]) if r[0][1] in MAIN + OTHER else 99, r[0][2])):
        for row in rows:
            s = row["seconds"]
            mine = statistics.median(s["radcohort"])
            peers = [k for k in PEERS if k in s]
            ratio = min(statistics.median(s[k]) for k in peers) / mine if peers else float("nan")
            best = min(quartile(s[k]) for k in peers) / quartile(s["radcohort"]) if peers else float("nan")
            price = f"{(mine / statistics.median(s['whole']) - 1) * 100:+.0f} %" if "whole" in s else ""
            rate = " | ".join(f"{1 / statistics.median(s[k]):.1f}" if k in s else "-" for k in ("radcohort", *PEERS))
            share = row["gflop"] / mine / bench.peak[threads] * 100
            words = " / ".join(f"{memory[k]:.0f}" if k in memory else "-" for k in ("radcohort", *PEERS)) if row is rows[-1] else ""
            others = "" if threads == 1 else f"{row['others'] * 100:.0f} %"
            yield f"| {name} | {precision} | {threads} | {row['batch']} | {rate} | {ratio:.2f} | {best:.2f} | {share:.0f} % | {price} | {others} | {words} |"


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--serve":
        return {"ort": serve_ort, "torch": serve_torch}[sys.argv[2]](sys.argv[3], int(sys.argv[4]), sys.argv[5])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--models", default=os.path.join(tempfile.gettempdir(), "radcohort-bench-models"))
    parser.add_argument("--networks", nargs="+", default=MAIN + OTHER)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--full", action="store_true")
    args = parser.parse_args()
    missing = [n for n in args.networks if not os.path.exists(os.path.join(args.models, n, "model_dyn.onnx"))]
    if missing:
        subprocess.run(["/usr/bin/python3", os.path.join(SHARED, "models", "make_models.py"), "full", args.models, *missing], check=True)
    bench = Bench(args)
    if not bench.ort:
        print("ONNX Runtime: not measured, RADCOHORT_ORT_PYTHON names no Python that has it\n")
    failures = bench.run([(name, threads, precision) for precision in args.precision for threads in args.threads for name in args.networks])
    peaks = ", ".join(f"{rate:.0f} GFLOP/s on {threads} thread{'s' if threads > 1 else ''}" for threads, rate in sorted(bench.peak.items()))
    print(f"float32 gemm of this machine in this run: {peaks}; images per second, medians of {args.rounds} rounds\n")
    print("\n".join(table(bench)))
    for text in bench.left_out:
        print(f"not measured, out of time: {text}")
    for text in failures:
        print(f"failed: {text}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
