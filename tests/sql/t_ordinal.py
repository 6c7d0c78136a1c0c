#!/usr/bin/python3
"""ordinal_json against scipy (tau-b, Spearman, Somers' d), a kappa of its own, and the jackknife, which the delta method must come near:
units on their own, and patients with several."""
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engines

try:
    import numpy as np
    from scipy import stats
except ImportError as e:
    print(f"SKIP: {e.name} is not installed")
    sys.exit(77)

failures = []
c = engines.C(os.environ["RAD_BUILD"])


def check(what, got, want, tolerance=1e-12):
    if got is None or not math.isclose(got, want, rel_tol=tolerance, abs_tol=1e-12):
        failures.append(f"{what}: {got}, expected {want}")


def kappa(truth, call):
    low, high = min(truth.min(), call.min()), max(truth.max(), call.max())
    k = int(high - low) + 1
    table = np.zeros((k, k))
    for t, x in zip(truth, call):
        table[int(t - low), int(x - low)] += 1 / len(truth)
    w = np.subtract.outer(np.arange(k), np.arange(k)) ** 2
    return 1 - (w * table).sum() / (w * np.outer(table.sum(1), table.sum(0))).sum()


def c_index(truth, score):
    up = truth[:, None] > truth[None, :]
    d = np.sign(score[:, None] - score[None, :])
    return (up & (d > 0)).sum() / up.sum() + 0.5 * (up & (d == 0)).sum() / up.sum()


ALL = {"kappa_quadratic": lambda t, s, x: kappa(t, x), "kendall_tau_b": lambda t, s, x: stats.kendalltau(t, s)[0],
       "spearman": lambda t, s, x: stats.spearmanr(t, s)[0], "c_index": lambda t, s, x: c_index(t, s),
       "mae": lambda t, s, x: np.abs(s - t).mean(), "mae_call": lambda t, s, x: np.abs(x - t).mean()}

rng = np.random.default_rng(4)
for case, (n, grades, per, ties) in enumerate([(150, 4, 1, True), (240, 5, 3, False), (300, 3, 4, True), (200, 2, 1, False)]):
    cluster = np.arange(n) // per
    latent = rng.normal(size=n) + 1.2 * rng.normal(size=n)[cluster]
    truth = np.clip(np.floor(latent + grades / 2), 0, grades - 1) + (1 if case % 2 else 0)
    score = truth + rng.normal(size=n) * 0.9 + 0.6 * rng.normal(size=n)[cluster]
    score = np.round(score, 1) if ties else score
    call = np.clip(np.round(score), truth.min(), truth.max())
    names = [f"P{i}" for i in cluster]
    doc = c.call("ordinal_json", [truth.tolist(), score.tolist(), call.tolist(), names], [])
    check("n_cluster", doc["n_cluster"], len(set(cluster)))
    for name, f in ALL.items():
        d = doc[name]
        check(f"{name} of {n}", d["est"], f(truth, score, call))
        for suffix, group in (("", np.arange(n)), ("_clustered", cluster)):
            m = group.max() + 1
            left = np.array([f(*(x[group != g] for x in (truth, score, call))) for g in range(m)])
            jack = math.sqrt((m - 1) / m * ((left - left.mean()) ** 2).sum())
            check(f"{name}{suffix} of {n}: error against the jackknife", d["se" + suffix], jack, 0.06)
            if name == "spearman":
                z, s = math.atanh(d["est"]), d["se" + suffix] / (1 - d["est"] ** 2)
                check(f"{name} upper", d["upper" + suffix], math.tanh(z + 1.959963984540054 * s))
            else:
                check(f"{name} lower", d["lower" + suffix], d["est"] - 1.959963984540054 * d["se" + suffix])
    check("somers", 2 * doc["c_index"]["est"] - 1, stats.somersd(truth, score).statistic)
    if grades == 2:  # the AUC, and DeLong's error as the variances of placements in large samples
        auc = c.call("auc_json", [(truth - truth.min()).tolist(), score.tolist()], [])
        check("two grades: AUC", doc["c_index"]["est"], auc["auc"] if "auc" in auc else auc["est"])
        check("two grades: DeLong", doc["c_index"]["se"], auc["se"], 0.01)
    # kappa: Fleiss, Cohen & Everitt, whose variance has no n / (n - 1)
    words = [f"{int(v)}" for v in truth], [f"{int(v)}" for v in call]
    fce = c.call("kappa_json", list(words), ["quadratic"])
    check("kappa", doc["kappa_quadratic"]["est"], fce["kappa"])
    check("kappa se", doc["kappa_quadratic"]["se"] * math.sqrt((n - 1) / n), fce["se"], 1e-9)
    # order of rows without influence
    order = rng.permutation(n)
    again = c.call("ordinal_json", [truth[order].tolist(), score[order].tolist(), call[order].tolist(), [names[i] for i in order]], [])
    if again != doc:
        failures.append("the order of rows matters")
    # missing
    some = [None if i % 7 == 0 else v for i, v in enumerate(score.tolist())]
    part = c.call("ordinal_json", [truth.tolist(), some, call.tolist(), names], [])
    check("missing", part["n_missing"], len([v for v in some if v is None]))

one = c.call("ordinal_json", [[1.0], [0.5], [1.0], ["a"]], [])
if "kappa_quadratic" in one or "fewer than two" not in one["reason"]:
    failures.append(f"one unit: {one}")
for f in failures:
    print("FAIL:", f)
sys.exit(1 if failures else 0)
