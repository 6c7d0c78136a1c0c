"""Node tests of the ONNX standard on `ref` and `onednn`.

../shared/onnx-node-tests (every test listed in its index.tsv): nothing fails, and what is refused is exactly onnx_refusals.tsv, by the
reason given there; an unexpected pass fails too, so that the table stays true. Debian's libonnx-testdata, where it is installed, holds
hundreds more, many of them for operators that no network of images needs: there nothing may fail, and every refusal must be of a known
kind.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ["RAD_SOURCE"]
SHARED = os.environ.get("RADCOHORT_SHARED", os.path.join(SOURCE, "..", "shared"))
RUNNER = os.path.join(os.environ["RAD_BUILD"], "tests", "backend", "node_tests")
DEBIAN = "/usr/share/libonnx-testdata/data"
# Relative tolerance of the listed tests; the absolute one is 1e-7. 1e-3 is the standard's own (some of the others need it: their expected
# values were made with pi = 3.14159); the reference rounds once per operator and does better.
TOLERANCE = {"ref": "1e-5", "onednn": "1e-4"}
STANDARD = "1e-3"
KNOWN_REFUSALS = (
    "is not supported; 'radcohort backends' lists", "is a subgraph", "only tensors are supported", "element type", "string tensors",
    "training mode", "does not say which opset", "domain", "sparse",
)


def run(backend, tolerance, folders):
    """{test: (verdict, variants, worst error, reason)}"""
    r = subprocess.run([RUNNER, backend, tolerance, "1e-7"], input="".join(f + "\n" for f in folders), capture_output=True, text=True,
                       env=dict(os.environ, OMP_NUM_THREADS="1"), timeout=500)
    if r.returncode != 0:
        return None, r.stderr.strip() or f"exit {r.returncode}"
    rows = [line.split("\t", 4) for line in r.stdout.splitlines()]
    return {os.path.basename(f): (v, int(n), float(e), why) for v, f, n, e, why in rows}, None


def table():
    with open(os.path.join(HERE, "onnx_refusals.tsv")) as f:
        return {r[0]: r[1] for r in (line.rstrip("\n").split("\t") for line in f if not line.startswith("#"))}


def summary(where, backend, got):
    count = {v: sum(1 for r in got.values() if r[0] == v) for v in ("pass", "refused", "fail")}
    worst = max((r[2], t) for t, r in got.items())
    print(f"{where}, {backend}: {count['pass']} passed ({sum(r[1] for r in got.values())} variants), {count['refused']} refused by name, "
          f"{count['fail']} failed; worst error {worst[0]:.3f} of the tolerance ({worst[1]})")


def check_listed(backend, problems):
    root = os.path.join(SHARED, "onnx-node-tests")
    with open(os.path.join(root, "index.tsv")) as f:
        tests = [line.split("\t", 1)[0] for line in f][1:]
    got, error = run(backend, TOLERANCE[backend], [os.path.join(root, t) for t in tests])
    if got is None:
        problems.append(f"{backend}: {error}")
        return
    refused = table()
    for t in tests:
        verdict, _, _, why = got.get(t, ("fail", 0, 0, "was not run"))
        if verdict == "fail":
            problems.append(f"{backend}: {t} failed: {why}")
        elif verdict == "refused" and t not in refused:
            problems.append(f"{backend}: {t} is refused, but not in onnx_refusals.tsv: {why}")
        elif verdict == "refused" and refused[t] not in why:
            problems.append(f"{backend}: {t} is refused for another reason than '{refused[t]}': {why}")
        elif verdict == "pass" and t in refused:
            problems.append(f"{backend}: {t} passes now: take it out of onnx_refusals.tsv")
    problems.extend(f"onnx_refusals.tsv: {t} is not a test" for t in refused if t not in tests)
    summary("listed tests", backend, got)


def check_debian(backend, problems):
    folders = []
    for kind in ("node", "simple", "pytorch-converted", "pytorch-operator"):
        base = os.path.join(DEBIAN, kind)
        folders += sorted(os.path.join(base, t) for t in os.listdir(base)) if os.path.isdir(base) else []
    got, error = run(backend, STANDARD, folders)
    if got is None:
        problems.append(f"{backend}: {error}")
        return
    for t, (verdict, _, _, why) in got.items():
        if verdict == "fail":
            problems.append(f"{backend}: {t} failed: {why}")
        elif verdict == "refused" and not any(k in why for k in KNOWN_REFUSALS):
            problems.append(f"{backend}: {t} is refused for no known reason: {why}")
    summary("libonnx-testdata", backend, got)


def main():
    data = ((check_listed, os.path.join(SHARED, "onnx-node-tests", "index.tsv")), (check_debian, DEBIAN))
    have = [check for check, where in data if os.path.exists(where)]
    if not have:
        print("SKIP: neither ../shared/onnx-node-tests nor Debian's libonnx-testdata is here")
        return 77
    problems = []
    for backend in TOLERANCE:
        started, error = run(backend, STANDARD, [])
        if started is None:
            print(f"{backend}: {error}")
            if backend == "ref":
                problems.append("the reference backend did not start")
            continue
        for check in have:
            check(backend, problems)
    for p in problems:
        print("FAIL:", p)
    return 1 if problems else 0


sys.exit(main())
