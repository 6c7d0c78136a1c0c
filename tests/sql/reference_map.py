"""From a check of ../shared/stats/expected to a call of one function, and from its document to the check's keys."""
import csv
import os
import re


class Unknown(Exception):
    pass


class Data:
    def __init__(self, shared):
        self.shared, self.tables = shared, {}

    def table(self, name):
        if name not in self.tables:
            path = os.path.join(self.shared, "data", name)
            if not os.path.exists(path):
                path = os.path.join(self.shared, "thirdparty", name)
            with open(path, newline="") as f:
                self.tables[name] = [{k: number(v) for k, v in r.items()} for r in csv.DictReader(f)]
        return self.tables[name]


def number(v):
    if v == "":
        return None
    try:
        return float(v)
    except ValueError:
        return v


def rows_of(i, data):
    rows = data.table(i["data"])
    for k, v in i.get("where", {}).items():
        if k == "complete_cases":
            rows = [r for r in rows if all(r[c] is not None for c in v)]
        elif k == "drop":
            m = re.match(r"rows with (\w+)=(\S+) and (\w+)=(\S+)$", v)
            rows = [r for r in rows if not (r[m[1]] == number(m[2]) and r[m[3]] == number(m[4]))]
        else:
            want = [number(str(x)) for x in (v if isinstance(v, list) else [v])]
            rows = [r for r in rows if r[k] in want]
    if "rows" in i:
        seen, first = set(), []
        for r in rows:
            if r["patient_id"] not in seen:
                seen.add(r["patient_id"])
                first.append(r)
        rows = first
    if "dedupe" in i:
        seen, unique = set(), []
        for r in rows:
            t = tuple(r.values())
            if t not in seen:
                seen.add(t)
                unique.append(r)
        rows = unique
        if "drop_conflicting" in i["dedupe"]:
            count = {}
            for r in rows:
                count[r["patient_id"]] = count.get(r["patient_id"], 0) + 1
            rows = [r for r in rows if count[r["patient_id"]] == 1]
    if "aggregate" in i:
        how, key = i["aggregate"].split(" by ")
        groups = {}
        for r in rows:
            groups.setdefault(r[key], []).append(r)
        f = max if how == "max" else lambda x: sum(x) / len(x)
        rows = [dict(g[0], **{i["score"]: f([r[i["score"]] for r in g])}) for g in groups.values()]
    return rows


def column(rows, name, direction="<"):
    """A column, a derived 0/1 column ("p_model>=0.5"), or a score turned round."""
    m = re.match(r"(\w+)>=(\S+)$", name)
    if m:
        return [None if r[m[1]] is None else float(r[m[1]] >= float(m[2])) for r in rows]
    x = [r[name] for r in rows]
    return [None if v is None else -v for v in x] if direction == ">" else x


def truth(i, rows):
    if "truth_expr" in i or i.get("truth") == "mal":
        return [None if r["truth"] is None else float(r["truth"] > 0) for r in rows]
    return column(rows, i["truth"])


MAP = {}


def stat(*names):
    def keep(f):
        for n in names:
            MAP[n] = f
        return f
    return keep


def answer(check, data, engine):
    if check["stat"] not in MAP:
        raise Unknown(check["stat"])
    return MAP[check["stat"]](check["input"], data, engine, check)


def pick(doc, *names, **renamed):
    out = {n: doc[n] for n in names}
    out.update({k: doc[v] for k, v in renamed.items()})
    return out


# ---------------------------------------------------------------- 01 AUC

def one_auc(i, data, e, *args):
    rows = rows_of(i, data)
    return e.call("auc_json", [truth(i, rows), column(rows, i["score"], i.get("direction", "<"))], [i.get("conf", 0.95), *args])


@stat("auc_delong")
def _(i, data, e, c):
    d = one_auc(i, data, e)
    d["n_excluded"] = d["n_missing"]
    return d


@stat("auc_logit_ci")
def _(i, data, e, c):
    return one_auc(i, data, e, "logit")


@stat("auc_hanley_mcneil")
def _(i, data, e, c):
    return one_auc(i, data, e, "hanley-mcneil")


@stat("auc_bootstrap_ci")
def _(i, data, e, c):
    return one_auc(i, data, e, "bootstrap", i["boot_n"])


@stat("auc_p_vs_half")
def _(i, data, e, c):
    return pick(one_auc(i, data, e), "U", p="p_mann_whitney")


@stat("partial_auc")
def _(i, data, e, c):
    rows = rows_of(i, data)
    cols = [truth(i, rows), column(rows, i["score"], i.get("direction", "<"))]
    return e.call("auc_partial_json", cols, [i["from"], i["to"], i["focus"]])


def paired_columns(i, rows):
    return [truth(i, rows)] + [column(rows, s, i.get("direction", "<")) for s in i["score"]]


@stat("auc_delong_paired")
def _(i, data, e, c):
    return e.call("auc_diff_json", paired_columns(i, rows_of(i, data)), [])


@stat("auc_delong_overall")
def _(i, data, e, c):
    return e.call("auc_compare_json", paired_columns(i, rows_of(i, data)), ["none", 0.95], first=True)


@stat("auc_delong_pairwise_adjusted")
def _(i, data, e, c):
    d = e.call("auc_compare_json", paired_columns(i, rows_of(i, data)), [i["adjust"], 0.95], first=True)
    s = i["score"]
    return {"p": {f"{s[r['model1'] - 1]}_vs_{s[r['model2'] - 1]}": r["p_adjusted"] for r in d["rows"]}}


@stat("auc_noninferiority")
def _(i, data, e, c):
    d = e.call("auc_margin_json", paired_columns(i, rows_of(i, data)), [i["margin"]])
    return pick(d, "diff", z="noninferiority_z", p="noninferiority_p")


@stat("auc_delong_unpaired")
def _(i, data, e, c):
    rows = rows_of(i, data)
    cols = [truth(i, rows), column(rows, i["score"], i["direction"]), column(rows, i["group"])]
    return e.call("auc_unpaired_json", cols, [i["g1"], i["g2"]])


@stat("auc_clustered")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("auc_clustered_json", [truth(i, rows), column(rows, i["score"], i["direction"]), column(rows, i["cluster"])], [])


@stat("auc_clustered_paired")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("auc_diff_clustered_json", paired_columns(i, rows) + [column(rows, i["cluster"])], [])


@stat("patient_any_confusion")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("diagnostic_json", [truth(i, rows), column(rows, i["score"])], [i["threshold"]])


@stat("cutoff_youden_simple")
def _(i, data, e, c):
    rows = rows_of(i, data)
    d = e.call("cutoff_json", [truth(i, rows), column(rows, i["score"])], [])
    return d["cutoffs"][0]


# ---------------------------------------------------------------- 03 cut-offs and proportions

def table2x2(i, data, e, *args):
    (r,) = rows_of(i, data)
    return e.call("table2x2_json", [], [r["tp"], r["fp"], r["fn"], r["tn"], *args])


@stat("binary_metrics", "lr_dor_ci")
def _(i, data, e, c):
    return table2x2(i, data, e)


@stat("proportion_ci")
def _(i, data, e, c):
    return e.call("proportion_json", [], [i["x"], i["n"], i.get("conf", 0.95)])


@stat("ppv_npv_at_prevalence")
def _(i, data, e, c):
    return table2x2(i, data, e, 0.95, i["prevalence"])["at_prevalence"]


@stat("dor_haldane")
def _(i, data, e, c):
    return table2x2(i, data, e)["haldane"]


def label_score(i, data):
    rows = rows_of(i, data)
    return [truth(i, rows), column(rows, i["score"], i.get("direction", "<"))]


@stat("cutoff_youden", "cutoff_closest_topleft")
def _(i, data, e, c):
    d = e.call("cutoff_json", label_score(i, data), ["youden" if c["stat"] == "cutoff_youden" else "closest"])
    d["n_listed_by_pROC"] = len(d["cutoffs"])
    return d


@stat("metrics_at_threshold")
def _(i, data, e, c):
    return e.call("diagnostic_json", label_score(i, data), [i["threshold"]])


@stat("sens_at_fixed_spec")
def _(i, data, e, c):
    return e.call("sens_at_spec_json", label_score(i, data), [i["spec"]])


@stat("spec_at_fixed_sens")
def _(i, data, e, c):
    return e.call("spec_at_sens_json", label_score(i, data), [i["sens"]])


@stat("sens_at_fixed_spec_boot")
def _(i, data, e, c):
    return e.call("sens_at_spec_json", label_score(i, data), [i["spec"], 0.95, i["boot_n"]])


@stat("roc_points")
def _(i, data, e, c):
    rows = e.call("roc_json", label_score(i, data), [])["rows"]
    return {"threshold": [r["threshold"] for r in rows[1:]], "tpr": [r["tpr"] for r in rows], "fpr": [r["fpr"] for r in rows]}


@stat("average_precision")
def _(i, data, e, c):
    return e.call("precision_recall_json", label_score(i, data), [])


# ---------------------------------------------------------------- 14 clusters

@stat("clustered_proportion")
def _(i, data, e, c):
    rows = [r for r in rows_of(i, data) if r[i["truth"]] is not None and r[i["score"]] is not None]
    if i["metric"] == "sens":
        rows = [r for r in rows if r[i["truth"]] == 1]
    elif i["metric"] == "spec":
        rows = [r for r in rows if r[i["truth"]] == 0]
    right = [float((r[i["score"]] >= i["threshold"]) == (r[i["truth"]] == 1)) for r in rows]
    return e.call("proportion_clustered_json", [right, column(rows, i["cluster"])], [])


@stat("auc_cluster_bootstrap")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("auc_cluster_bootstrap_json", [truth(i, rows), column(rows, i["score"]), column(rows, i["cluster"])], [0.95, i["boot_n"]])


@stat("clopper_pearson_exact")
def _(i, data, e, c):
    d = e.call("proportion_json", [], [i["x"], i["n"], i.get("conf", 0.95)])
    return {"lower": d["cp_lower"], "upper": d["cp_upper"]}


@stat("p_adjust")
def _(i, data, e, c):
    p = i["p"] if "p" in i else column(rows_of(i, data), i["column"])
    d = e.call("p_adjust", [[str(k) for k in range(len(p))], p], [i["method"]])
    return {"adjusted": [r["p_adjusted"] for r in d["rows"]]}


@stat("special_function")
def _(i, data, e, c):
    takes_tail = i["fn"] in ("pnorm", "pt", "pchisq", "pf", "pbeta", "kolmogorov")
    return {"value": e.call(i["fn"], [], i["args"] + ([i["tail"]] if takes_tail else []))["value"]}


# ---------------------------------------------------------------- 04 agreement

def calls_table(i, data, e):
    rows = rows_of(i, data)
    y, t1, t2 = truth(i, rows), column(rows, i["test1"]), column(rows, i["test2"])
    if i["metric"] != "accuracy":
        want = 1 if i["metric"] == "sens" else 0
        y, t1, t2 = zip(*[r for r in zip(y, t1, t2) if r[0] == want])
    right = [[None if a is None else float(a == b) for a, b in zip(t, y)] for t in (t1, t2)]
    return e.call("mcnemar_json", right, [])


@stat("mcnemar", "paired_proportion_diff_ci")
def _(i, data, e, c):
    if "test1" in i:
        return calls_table(i, data, e)
    (r,) = rows_of(i, data)
    return e.call("mcnemar_table_json", [], [r["a"], r["b"], r["c"], r["d"]])


@stat("paired_pv_comparison", "paired_sesp")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("paired_tests_json", [truth(i, rows), column(rows, i["test1"]), column(rows, i["test2"])], [])


def pair_or_counts(i, data):
    """Columns of two raters, or of (r1, r2, n)."""
    rows = rows_of(i, data)
    names = ["r1", "r2", "n"] if "format" in i else i["columns"]
    return [column(rows, n) for n in names]


@stat("cohen_kappa")
def _(i, data, e, c):
    cols = pair_or_counts(i, data)
    cats = [",".join(str(x) for x in i["categories"])] if "categories" in i else []
    return e.call("kappa_counts_json" if len(cols) == 3 else "kappa_json", cols, [i["weights"]] + cats)


@stat("bowker", "stuart_maxwell")
def _(i, data, e, c):
    cols = pair_or_counts(i, data)
    d = e.call("bowker_counts_json" if len(cols) == 3 else "bowker_json", cols, [])
    if c["stat"] == "stuart_maxwell":
        d = {k: d["stuart_maxwell_" + k] for k in ("chi2", "df", "p")}
    return d


@stat("cochran_q")
def _(i, data, e, c):
    rows = rows_of(i, data)
    cols = [column(rows, n) for n in i["columns"]]
    if "truth" in i:
        y = truth(i, rows)
        cols = [[None if a is None or b is None else float(a == b) for a, b in zip(x, y)] for x in cols]
    return e.call("cochran_q_json", cols, [], first=True)


@stat("fleiss_kappa")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("fleiss_kappa_json", [column(rows, n) for n in i["columns"]], [None], first=True)


@stat("krippendorff_alpha")
def _(i, data, e, c):
    rows = rows_of(i, data)
    d = e.call("krippendorff_alpha_json", [column(rows, n) for n in i["columns"]], [i["level"], None], first=True)
    return {"alpha": d["alpha_irr"]}


# ---------------------------------------------------------------- 02 multi-class

def multiclass(i, data, e):
    rows = rows_of(i, data)
    names = i.get("classes") if i["data"] == "liver.csv" else i["scores"]
    cols = [column(rows, i["truth"])] + [column(rows, s) for s in i["scores"]]
    return e.call("multiclass_json", cols, [",".join(str(k) for k in names), 0.95], first=True)


@stat("multiclass_ovr")
def _(i, data, e, c):
    d = multiclass(i, data, e)
    out = {f"class{k}": v for k, v in d["class"].items()}
    out.update(pick(d, "macro", "weighted"))
    return out


@stat("hand_till_auc")
def _(i, data, e, c):
    d = multiclass(i, data, e)
    return {"M": d["hand_till"], "pairs": d["pairs"]}


@stat("multiclass_confusion")
def _(i, data, e, c):
    if "pred" not in i:
        return multiclass(i, data, e)
    rows = rows_of(i, data)
    return e.call("confusion_json", [column(rows, i["truth"]), column(rows, i["pred"])], [",".join(str(k) for k in i["classes"])])


@stat("multiclass_univariate")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("multiclass_univariate_json", [column(rows, i["truth"]), column(rows, i["score"], i["direction"])], [])


@stat("multiclass_auc_sklearn")
def _(i, data, e, c):
    d = multiclass(i, data, e)
    return pick(d, "micro", "macro", "weighted", "ovo_weighted", per_class="auc_per_class", ovo_macro="hand_till",
                ap_per_class="average_precision_per_class")


@stat("multiclass_label_metrics", "multiclass_proper_scores")
def _(i, data, e, c):
    return multiclass(i, data, e)


# ---------------------------------------------------------------- 10 MRMC

def mrmc(i, data, e, cov):
    rows = rows_of(i, data)
    return e.call("mrmc_json", [column(rows, n) for n in ("modality", "reader", "case", "truth", "rating")], [cov])


@stat("mrmc_or")
def _(i, data, e, c):
    d = mrmc(i, data, e, i["cov"])
    d.update(d[i["analysis"]])
    return d


@stat("mrmc_rjafroc")
def _(i, data, e, c):
    d = mrmc(i, data, e, "jackknife")
    t = d["RRRC"]["test"]
    return {"or_rrrc_F": t["F"], "or_rrrc_ddf": t["df2"], "or_rrrc_p": t["p"], "dbm_rrrc_F": t["F"], "dbm_rrrc_p": t["p"],
            "dbm_frrc_F": d["FRRC"]["test"]["dbm_F"], "dbm_frrc_p": d["FRRC"]["test"]["dbm_p"], "rrfc_p": d["RRFC"]["test"]["p"],
            "diff": d["RRRC"]["differences"][0]["estimate"], "dbm_varcom": d["dbm_varcom"]}


# ---------------------------------------------------------------- 07 meta-analysis

def centers(i, data, e, *args):
    rows = rows_of(dict(i, data=i["data"]), data)
    return e.call("centers_json", [column(rows, n) for n in (i.get("truth", "truth"), i.get("score", "score"), i["by"])], list(args))


@stat("random_effects_meta")
def _(i, data, e, c):
    if "by" in i:
        return centers(i, data, e, i["scale"], i["method"], i["test"])
    if isinstance(i["yi"], list):
        cols = [i["yi"], i["vi"]]
    else:
        rows = rows_of(i, data)
        cols = [column(rows, i["yi"]), column(rows, i["vi"])]
    return e.call("meta_json", cols, [i["method"], i["test"]])


@stat("meta_excluded")
def _(i, data, e, c):
    return centers(i, data, e)


@stat("meta_leave_one_out")
def _(i, data, e, c):
    d = centers(i, data, e, i["scale"], i["method"])
    return {"rows": [dict(r["without"], left_out=r["site"]) for r in d["meta"]["rows"] if r["site"] != "pooled"]}


@stat("leave_one_site_out_auc")
def _(i, data, e, c):
    return {"rows": [{"left_out": r["center"], "n": r["n_without"], "auc": r["auc_without"], "lower": r["lower_without"],
                      "upper": r["upper_without"]} for r in centers(i, data, e)["rows"]]}


@stat("meta_regression")
def _(i, data, e, c):
    import math
    rows = {r["center"]: r for r in centers(i, data, e, i["scale"])["rows"]}
    sites = [r for r in centers(i, data, e, i["scale"])["meta"]["rows"] if r["site"] != "pooled"]
    prevalence = [rows[s["site"]]["n_pos"] / rows[s["site"]]["n"] for s in sites]
    cols = [[s["yi"] for s in sites], [s["se"] ** 2 for s in sites], [math.log(p / (1 - p)) for p in prevalence]]
    return e.call("meta_regression_json", cols, [i["method"]])


# ---------------------------------------------------------------- 05 logistic regression

def logistic(i, data, e, function, formulas, *args):
    rows = rows_of(i, data)
    names = [n for n in rows[0] if n not in ("lesion_id",)]
    cols = [column(rows, n) for n in names]
    for m in re.findall(r"I\((\d+)\*(\w+)\)", " ".join(formulas)):
        names.append(f"I({m[0]}*{m[1]})")
        cols.append([None if v is None else float(m[0]) * v for v in column(rows, m[1])])
    return e.call(function, cols, [*formulas, *args], names=names)


def coefficients(d):
    return {"n": d["n"], "coef": d["rows"]}


@stat("glm_binomial_coef")
def _(i, data, e, c):
    return coefficients(logistic(i, data, e, "logistic", [i["formula"]]))


@stat("glm_binomial_fit", "glm_drop1_lrt", "glm_separation_flag")
def _(i, data, e, c):
    return logistic(i, data, e, "logistic", [i["formula"]])


@stat("glm_profile_ci")
def _(i, data, e, c):
    d = logistic(i, data, e, "logistic", [i["formula"]], "ml", 0.95, 1)
    return {"coef": [{"term": r["term"], "lower": r["pl_lower"], "upper": r["pl_upper"]} for r in d["rows"]]}


@stat("glm_wald_joint")
def _(i, data, e, c):
    d = logistic(i, data, e, "logistic", [i["formula"]])
    name = re.match(r"factor\((\w+)\)", i["term"])[1]
    (t,) = [t for t in d["terms"] if t["term"] == name]
    return {"chi2": t["wald_chi2"], "df": t["df"], "p": t["wald_p"]}


@stat("glm_nested_lrt", "glm_interaction_lrt")
def _(i, data, e, c):
    return logistic(i, data, e, "logistic_compare", [i["full"], i["reduced"]])["rows"][0]


@stat("glm_cluster_robust")
def _(i, data, e, c):
    d = logistic(i, data, e, "logistic", [f"{i['formula']} + cluster({i['cluster']})"])
    key = "robust_se" if i["type"] == "HC0" else "robust_se_adjusted"
    return {"se": {r["term"]: r[key] for r in d["rows"]}}


@stat("glm_univariable")
def _(i, data, e, c):
    return logistic(i, data, e, "logistic", [i["formula"]])["rows"][1]


@stat("glm_rank")
def _(i, data, e, c):
    d = logistic(i, data, e, "logistic", [i["formula"]])
    d.update({r["term"]: r["estimate"] for r in d["rows"]})
    return d


@stat("firth_logistic")
def _(i, data, e, c):
    d = logistic(i, data, e, "logistic", [i["formula"]], "firth")
    return dict(coefficients(d), penalised_loglik=d["loglik"])


# ---------------------------------------------------------------- 06 calibration

def calibration(i, data, e, bins=10):
    rows = rows_of(i, data)
    return e.call("calibration_json", [column(rows, i["truth"]), column(rows, i["prob"])], [bins])


@stat("brier_decomposition")
def _(i, data, e, c):
    return calibration(i, data, e, i["bins"])


@stat("brier_logloss")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("calibration_json", [truth(i, rows), column(rows, i["score"])], [])


@stat("ece")
def _(i, data, e, c):
    rows = rows_of(i, data)
    d = e.call("calibration_bins", [column(rows, i["truth"]), column(rows, i["prob"])], [i["bins"], i["strategy"]])
    return dict(d, table=d["rows"])


@stat("hosmer_lemeshow")
def _(i, data, e, c):
    return calibration(i, data, e, i["g"])["hosmer_lemeshow"]


@stat("calibration_regression")
def _(i, data, e, c):
    return calibration(i, data, e)["regression"]


@stat("net_benefit")
def _(i, data, e, c):
    rows = rows_of(i, data)
    d = e.call("decision_curve", [column(rows, i["truth"]), column(rows, i["prob"])], [",".join(repr(t) for t in i["thresholds"])])
    return {"curve": d["rows"]}


@stat("calibration_constant")
def _(i, data, e, c):
    d = calibration(i, data, e)
    return {"brier": d["brier"], "ece": d["ece"], "slope": d["regression"]["slope"], "citl": d["regression"]["citl"],
            "hl_groups": d["hosmer_lemeshow"]["groups"], "hl_p": d["hosmer_lemeshow"]["p"]}


# ---------------------------------------------------------------- 09 cross-validation

@stat("cv_auc", "cv_auc_influence_ci")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("cv_auc_json", [truth(i, rows), column(rows, i["score"]), column(rows, i["fold"])], [])


@stat("cv_auc_influence_ci_clustered")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("cv_auc_clustered_json", [truth(i, rows)] + [column(rows, i[k]) for k in ("score", "fold", "ids")], [])


# ---------------------------------------------------------------- 04b Table 1

def by_group(i, data):
    """Value, group, and the two group names of a check ("malignant (group1=1, group2=0)", "site: internal vs extA", "period", ...)."""
    rows, by = rows_of(i, data), i["by"]
    m = re.match(r"(\w+) \(group1=(\w+), group2=(\w+)\)|(\w+): (\w+)(?: \(group1\))? vs (\w+)", by)
    if not m:
        return column(rows, i["variable"]), column(rows, by), []
    name, one, two = (m[1], m[2], m[3]) if m[1] else (m[4], m[5], m[6])
    return column(rows, i["variable"]), column(rows, name), [one, two]


@stat("describe_numeric")
def _(i, data, e, c):
    return e.call("describe_json", [column(rows_of(i, data), i["variable"])], [])


@stat("crosstab")
def _(i, data, e, c):
    x, g, _names = by_group(i, data)
    d = e.call("contingency_json", [g, x], [])
    order = [d["rows"].index(r) for r in c["expect"]["rows"]]  # the check lists sites in its own order
    return {"rows": [d["rows"][k] for k in order], "cols": d["cols"], "counts": [d["counts"][k] for k in order], "n_missing": d["n_missing"]}


@stat("t_test", "mann_whitney", "ks_two_sample", "smd_numeric")
def _(i, data, e, c):
    x, g, names = by_group(i, data)
    return e.call("two_groups_json", [x, g], names)


@stat("anova_oneway", "variance_homogeneity", "kruskal_wallis")
def _(i, data, e, c):
    x, g, _names = by_group(i, data)
    d = e.call("groups_json", [x, g], [])
    return d["kruskal_wallis"] if c["stat"] == "kruskal_wallis" else d


@stat("contingency_tests")
def _(i, data, e, c):
    x, g, _names = by_group(i, data)
    d = e.call("contingency_json", [g, x], [])
    if d["p_fisher"] is None:
        del d["p_fisher"]  # more than two categories on both sides: not offered
    return d


@stat("smd_categorical")
def _(i, data, e, c):
    x, g, names = by_group(i, data)
    return e.call("smd_categorical_json", [x, g], names)


@stat("two_proportions")
def _(i, data, e, c):
    x, g, names = by_group(i, data)
    counts = []
    for n in names:
        mine = [v for v, k in zip(x, g) if k == n and v is not None]
        counts += [sum(mine), len(mine)]
    return e.call("two_proportions_json", [], counts)


@stat("correlation")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("correlation_json", [column(rows, n) for n in i["columns"]], [])


# ---------------------------------------------------------------- 11 drift

def two_columns(i, data):
    rows = rows_of(i, data)
    return [column(rows, n) for n in i["columns"]]


@stat("bland_altman")
def _(i, data, e, c):
    return e.call("bland_altman_json", two_columns(i, data), [])


@stat("icc")
def _(i, data, e, c):
    return e.call("icc_json", two_columns(i, data), [0.95], first=True)


@stat("lin_ccc")
def _(i, data, e, c):
    return e.call("ccc_json", two_columns(i, data), [])


@stat("paired_numeric_tests")
def _(i, data, e, c):
    return e.call("paired_numbers_json", two_columns(i, data), [])


@stat("decision_flips")
def _(i, data, e, c):
    return e.call("flips_json", two_columns(i, data), [i["threshold"]])


@stat("drift_identical")
def _(i, data, e, c):
    a, b = two_columns(i, data)
    out = {}
    for d in (e.call("bland_altman_json", [a, b], []), e.call("icc_json", [a, b], [0.95], first=True), e.call("ccc_json", [a, b], []),
              e.call("paired_numbers_json", [a, b], [])):
        out.update(d)
    periods = ["one"] * len(a) + ["two"] * len(b)
    out["ks_D"] = e.call("two_groups_json", [a + b, periods], ["one", "two"])["D"]
    out["psi"] = e.call("psi_json", [a + b, periods], ["one", "two"])["psi"]
    return out


@stat("psi")
def _(i, data, e, c):
    rows = rows_of(i, data)
    edges = ["0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"] if "fixed" in i["edges"] else [None]
    return e.call("psi_json", [column(rows, i["variable"]), column(rows, i["by"])], ["baseline", "current"] + edges + [i["eps"]])


@stat("psi_categorical")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("psi_categorical_json", [column(rows, i["variable"]), column(rows, i["by"])], ["baseline", "current", i["eps"]])


@stat("cohort_drift_tests")
def _(i, data, e, c):
    rows = rows_of(i, data)
    d = e.call("two_groups_json", [column(rows, i["variable"]), column(rows, i["by"])], ["baseline", "current"])
    return dict(d, ks_D=d["D"], ks_p_asymptotic=d["p_asymptotic"], mw_U=d["U"], mw_p=d["p_nocc"])


@stat("mixed_logistic")
def _(i, data, e, c):
    d = logistic(i, data, e, "mixed_logistic", [i["formula"]], i["nAGQ"])
    return dict(d, coef=d["rows"])


@stat("gee_logistic")
def _(i, data, e, c):
    d = logistic(i, data, e, "logistic" if i["corstr"] == "independence" else "gee_logistic", [f"{i['formula']} + cluster({i['id']})"])
    return {"coef": d["rows"], "alpha": d.get("alpha")}


@stat("conditional_logistic")
def _(i, data, e, c):
    d = logistic(i, data, e, "conditional_logistic", [f"{i['formula']} + strata({i['strata']})"])
    return dict(d, coef=d["rows"])


@stat("duplicate_report")
def _(i, data, e, c):
    rows = rows_of(i, data)
    return e.call("duplicates_json", [column(rows, i[k]) for k in ("key", "truth", "score")], [])
