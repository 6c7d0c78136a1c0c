#!/usr/bin/env python3
"""The design that is only YAML (jobs/brain-mr.yaml): phantom, three ranks, table. Scores of all cases against cubes prepared by
volume_reference.py and a network executed by PyTorch from the ONNX weights; expected grades and their statistics against numpy and scipy;
the same bytes for any ranks, batch and threads, on each backend."""
import os, shutil, sqlite3, subprocess, sys, tempfile

try:
    import numpy as np
    import onnx
    import torch
    import torch.nn.functional as F
    import yaml
    from onnx import numpy_helper
    from scipy import stats
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volume_reference import sample

source, program = os.environ["RAD_SOURCE"], os.environ["RADCOHORT"]
if not shutil.which("mpirun"):
    print("SKIP: no mpirun")
    sys.exit(77)
torch.set_num_threads(1)
failures = []
env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")


def check(ok, text):
    if not ok:
        failures.append(text)


def execute(model, x):
    """The few operators of the network, one after the other."""
    value = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in model.graph.initializer}
    value[model.graph.input[0].name] = x
    for n in model.graph.node:
        a = {p.name: onnx.helper.get_attribute_value(p) for p in n.attribute}
        i = [value[name] for name in n.input]
        if n.op_type == "Conv":
            pad = a.get("pads", [0] * 6)
            assert pad[:3] == pad[3:] and a.get("group", 1) == 1
            y = F.conv3d(i[0], i[1], i[2] if len(i) > 2 else None, a.get("strides", [1] * 3), pad[:3], a.get("dilations", [1] * 3))
        elif n.op_type == "BatchNormalization":
            y = F.batch_norm(i[0], i[3], i[4], i[1], i[2], eps=a.get("epsilon", 1e-5))
        elif n.op_type == "Gemm":
            y = i[0] @ (i[1].T if a.get("transB") else i[1]) + i[2]
        else:
            y = {"Relu": F.relu, "Identity": lambda t: t, "Flatten": lambda t: t.flatten(1), "Add": lambda p, q: p + q,
                 "GlobalAveragePool": lambda t: t.mean((2, 3, 4), keepdim=True)}[n.op_type](*i)
        value[n.output[0]] = y
    return value[model.graph.output[0].name]


def rows(folder, name):
    lines = [line.rstrip("\n").split("\t") for line in open(os.path.join(folder, name))]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def kappa(truth, call, k):
    table = np.zeros((k, k))
    for t, c in zip(truth, call):
        table[t, c] += 1 / len(truth)
    w = np.subtract.outer(np.arange(k), np.arange(k)) ** 2
    return 1 - (w * table).sum() / (w * np.outer(table.sum(1), table.sum(0))).sum()


def run(tmp, ranks, batch, threads, backend):
    db = f"{tmp}/{backend}-{ranks}-{batch}-{threads}.sqlite"
    command = [program, "run", f"{tmp}/job.yaml", "--db", db, "--backend", backend, "--batch", str(batch), "--threads", str(threads), "--quiet"]
    p = subprocess.run((["mpirun", "-q", "-n", str(ranks)] if ranks else []) + command, capture_output=True, text=True, env=env)
    check(p.returncode == 0, f"run on {ranks} ranks: {p.returncode} {p.stderr}")
    return sqlite3.connect(f"file:{db}?mode=ro", uri=True), db


SCORES = ("SELECT patient, lesion, slice, stored_slice, x0, y0, x1, y1, mismatch_mm, class, score FROM v_slice_score ORDER BY 1, 2, 3, 10")
with tempfile.TemporaryDirectory() as tmp:
    subprocess.run([program, "phantom", "-o", f"{tmp}/cohort", "--design", "brain", "--scale", "0.25", "--seed", "3"], check=True, stdout=subprocess.DEVNULL)
    text = open(f"{source}/jobs/brain-mr.yaml").read()
    job = yaml.safe_load(text)
    check(job["cohort"] in text and job["models"][0]["file"] in text, "the job names cohort and model")
    text = text.replace(job["cohort"], "cohort").replace(job["models"][0]["file"], "net.onnx")
    open(f"{tmp}/job.yaml", "w").write(text)
    shutil.copy(f"{source}/jobs/{job['models'][0]['file']}", f"{tmp}/net.onnx")

    said = subprocess.run([program, "check", f"{tmp}/job.yaml"], capture_output=True, text=True)
    check(said.returncode == 0 and "[2, 20, 24, 24] -> [4]" in said.stdout, f"check: {said.stdout} {said.stderr}")

    db, path = run(tmp, 3, 16, 1, "onednn")
    scores = db.execute(SCORES).fetchall()
    for setting in ((0, 1, 2), (2, 5, 1)):
        check(run(tmp, *setting, "onednn")[0].execute(SCORES).fetchall() == scores, f"onednn: {setting} gives other scores")
    ref = run(tmp, 2, 4, 1, "ref")[0].execute(SCORES).fetchall()
    check(run(tmp, 0, 3, 2, "ref")[0].execute(SCORES).fetchall() == ref, "ref: other scores")
    check(max(abs(a[-1] - b[-1]) for a, b in zip(scores, ref)) < 1e-5, "onednn and ref differ")

    # scores from scratch
    images = {}
    for r in rows(f"{tmp}/cohort", "images.tsv"):
        images.setdefault(r["patient"], {})[r["sequence"]] = r["path"]
    spec, model, classes = job["inputs"]["cube"], onnx.load(f"{tmp}/net.onnx"), job["classes"]
    got = {}
    for r in scores:
        got.setdefault(r[:2], []).append(r)
    worst, missing, expected, highest = 0.0, 0, {}, {}
    lesions = rows(f"{tmp}/cohort", "lesions.tsv")
    for r in lesions:
        lesion = {"mask": r["mask"]} if r["mask"] else {"box": [int(v) for v in r["box"].split()]}
        x, record, mm = sample(spec, f"{tmp}/cohort", images[r["patient"]], lesion)
        with torch.no_grad():
            p = torch.softmax(execute(model, torch.from_numpy(x)[None]).double(), 1)[0].numpy()
        mine = got.get((r["patient"], r["lesion"]), [])
        check(len(mine) == len(classes) + 1 and list(mine[0][2:8]) == record and abs(mine[0][8] - mm) < 1e-6, f"{r['patient']}: {mine[:1]}, {record} {mm}")
        score = {m[9]: m[10] for m in mine}
        worst = max(worst, *(abs(score[c] - v) for c, v in zip(classes, p)))
        missing += "T1" not in images[r["patient"]]
        highest[r["patient"], r["lesion"]] = 1 + max(range(4), key=lambda k: score[classes[k]])
        expected[r["patient"], r["lesion"]] = sum((k + 1) * score[c] for k, c in enumerate(classes))
    check(worst < 1e-4, f"scores differ by {worst}")
    check(len(lesions) == len(got) >= 36 and missing >= 1, f"{len(lesions)} lesions, {len(got)} scored, {missing} without T1")

    # grades and their statistics
    grades = db.execute("SELECT patient, lesion, label_grade, grade, call_grade, center, cohort FROM v_case_grade WHERE unit = 'lesion'").fetchall()
    check(len(grades) == len(lesions) and all(abs(expected[g[:2]] - g[3]) < 1e-12 for g in grades), "expected grades")
    check(all(highest[g[:2]] == g[4] for g in grades), "grades of the highest scores")
    check(db.execute("SELECT group_concat(grade) FROM (SELECT grade FROM run_class ORDER BY class_index)").fetchone()[0] == "1,2,3,4", "grades of classes")
    table = subprocess.run([program, "stats", path], capture_output=True, text=True).stdout
    centers = {g[5] for g in grades}
    check(len(centers) == 4 and "weighted kappa" in table and all(c in table for c in centers), f"table: {table}")
    for stratum, pick in [("all", lambda g: True), ("external", lambda g: g[6] == "external")] + [(c, lambda g, c=c: g[5] == c) for c in centers]:
        part = [g for g in grades if pick(g)]
        truth, score, call = (np.array([g[i] for g in part]) for i in (2, 3, 4))
        up = truth[:, None] > truth[None, :]
        over = np.sign(score[:, None] - score[None, :])
        want = {"kappa_quadratic": kappa(truth - 1, call - 1, 4) if set(truth) | set(call) >= {1, 4} else None, "kendall_tau_b": stats.kendalltau(truth, score)[0],
                "spearman": stats.spearmanr(truth, score)[0], "ordinal_c_index": (up * (over + 1) / 2).sum() / up.sum(),
                "grade_mae": np.abs(score - truth).mean(), "grade_call_mae": np.abs(call - truth).mean()}
        have = {r[0]: r for r in db.execute("SELECT name, est, lower, upper, n, query FROM v_statistic WHERE unit = 'lesion' AND stratum = ?"
                                            " AND stratum_kind <> 'contrast' AND class IS NULL", (stratum,))}
        for name, value in want.items():
            r = have[name]
            check(value is None or (abs(r[1] - value) < 1e-9 and r[2] <= r[1] <= r[3] and r[4] == len(part)), f"{name} of {stratum}: {r}, expected {value}")
            check(len(db.execute(r[5]).fetchall()) == len(part), f"{name} of {stratum}: its query")

    # the cut at grade III
    high = {r["patient"]: r["label"] in ("III", "IV") for r in lesions}
    at = {}
    for r in scores:
        at.setdefault(r[0], {})[r[9]] = r[10]
    p = {k: v["III"] + v["IV"] for k, v in at.items()}
    u = stats.mannwhitneyu([p[k] for k in p if high[k]], [p[k] for k in p if not high[k]]).statistic
    auc = db.execute("SELECT est, n, n_pos FROM v_statistic WHERE unit = 'lesion' AND stratum = 'all' AND name = 'auc' AND class = 'high-grade'").fetchone()
    n_high = sum(high.values())
    check(auc and abs(auc[0] - u / n_high / (len(high) - n_high)) < 1e-12 and auc[1:] == (len(high), n_high), f"cut at III: {auc}")

    # the same grades from slices: a network for slices, several per lesion, other rules
    w = np.random.default_rng(1).normal(size=(1, 4)).astype(np.float32) * 3
    nodes = [onnx.helper.make_node("GlobalAveragePool", ["x"], ["p"]), onnx.helper.make_node("Flatten", ["p"], ["f"]),
             onnx.helper.make_node("MatMul", ["f", "w"], ["y"])]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(nodes, "g", [value("x", onnx.TensorProto.FLOAT, ["n", 1, 12, 12])], [value("y", onnx.TensorProto.FLOAT, ["n", 4])],
                                   [numpy_helper.from_array(w, "w")])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)]), f"{tmp}/flat.onnx")
    flat = {**job, "cohort": "cohort", "aggregate": {"lesion": "mean", "patient": "top-2"},
            "inputs": {"slices": {"channels": [{"sequence": "FLAIR", "window": {"percentile": [5, 95], "over": "region"}}], "slices": "lesion-all",
                                  "resize": {"size": 12}}},
            "models": [{"name": "flat", "file": "flat.onnx", "activation": "softmax"}]}
    flat.pop("collapse", None)
    flat.pop("operating_points", None)
    yaml.safe_dump(flat, open(f"{tmp}/job.yaml", "w"))
    db, path = run(tmp, 2, 8, 1, "onednn")
    slices = {}
    for patient, z, name, score in db.execute("SELECT patient, slice, class, score FROM v_slice_score"):
        slices.setdefault(patient, {}).setdefault(z, {})[name] = score
    for patient, unit, grade, call in db.execute("SELECT patient, unit, grade, call_grade FROM v_case_grade"):
        each = [sum((k + 1) * s[c] for k, c in enumerate(classes)) for s in slices[patient].values()]
        mean = {c: np.mean([s[c] for s in slices[patient].values()]) for c in classes}
        check(len(each) > 1 and abs(grade - np.mean(each)) < 1e-12 and call == 1 + max(range(4), key=lambda k: mean[classes[k]]),
              f"{patient}: {unit} of {len(each)} slices: {grade}, expected {np.mean(each)}")

    # a 3-D network of another make, where there is one: r3d_18
    r3d = os.path.join(os.environ.get("RADCOHORT_SHARED", os.path.join(source, "../shared")), "models/r3d_18/model_bn.onnx")
    if os.path.exists(r3d):
        net = onnx.load(r3d)
        spec = {"channels": [{"sequence": "FLAIR"}, {"sequence": "T1", "missing": "zero"}, {"sequence": "FLAIR", "interpolation": "nearest"}],
                "orientation": "PIL", "edge": "zero", "region": {"from": "whole"}, "volume": {"size": [8, 64, 64], "spacing_mm": [1.2, 1.2, 4]},
                "zscore": "volume"}
        other = {"job": "r3d", "cohort": "cohort", "unit": "lesion", "classes": ["I", "II", "III", "IV", "V"], "inputs": {"in": spec},
                 "models": [{"name": "r3d", "file": r3d, "activation": "softmax"}]}
        yaml.safe_dump(other, open(f"{tmp}/job.yaml", "w"), sort_keys=False)
        for line in open(f"{tmp}/cohort/patients.tsv").readlines()[9:]:
            shutil.rmtree(f"{tmp}/cohort/images/{line.split()[0]}")
        for name in ("patients", "images", "lesions", "readings"):
            path = f"{tmp}/cohort/{name}.tsv"
            lines = open(path).readlines()
            at = lines[0].split("\t").index("patient")
            open(path, "w").writelines(lines[:1] + [s for s in lines[1:] if os.path.exists(f"{tmp}/cohort/images/{s.split(chr(9))[at]}")])
        for backend, ranks in (("onednn", 2), ("ref", 3)):
            db, path = run(tmp, ranks, 3, 2, backend)
            have = {}
            for patient, name, score in db.execute("SELECT patient, class, score FROM v_slice_score"):
                have.setdefault(patient, {})[name] = score
            check(len(have) == 8, f"r3d_18 on {backend}: {len(have)} patients")
            for patient, score in have.items():
                x = sample(spec, f"{tmp}/cohort", images[patient], {})[0]
                with torch.no_grad():
                    p = torch.softmax(execute(net, torch.from_numpy(x)[None]).double(), 1)[0].numpy()
                d = max(abs(score[c] - v) for c, v in zip(other["classes"], p))
                check(d < 1e-4, f"r3d_18 on {backend}: {patient} differs by {d}")

print(f"{len(lesions)} cases, {missing} without T1; scores within {worst:.2g}")
for f in failures:
    print("FAIL:", f)
sys.exit(1 if failures else 0)
