"""The extension in Python's sqlite3 and in the stock sqlite3 shell: groups, filters, windows, tables, NULLs with reasons, errors, row order."""
import json
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys

build = os.environ["RAD_BUILD"]
extension = os.path.join(build, "radstats")
if os.environ.get("RAD_SANITIZE"):
    print("SKIP: an instrumented extension does not load into a plain Python")
    sys.exit(77)

failures = []


def check(what, ok):
    if not ok:
        failures.append(what)
        print("FAIL:", what)


def connect():
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(extension)
    return db


def brute(rows):
    p, q = [s for y, s in rows if y == 1 and s is not None], [s for y, s in rows if y == 0 and s is not None]
    if not p or not q:
        return None
    return sum((a > b) + (a == b) / 2 for a in p for b in q) / len(p) / len(q)


def near(a, b, tol=1e-12):
    return (a is None and b is None) or (a is not None and b is not None and abs(a - b) <= tol)


def table(db, seed=1, n=300):
    r = random.Random(seed)
    rows = []
    for i in range(n):
        y = int(r.random() < 0.4)
        s = None if r.random() < 0.05 else round(r.gauss(y, 1), 1)
        t = None if s is None else round(s + r.gauss(0, 0.7), 1)
        rows.append((i, "ABC"[i % 3], f"P{i // 2:03d}", y, s, t, r.randrange(3)))
    db.execute("DROP TABLE IF EXISTS d")
    db.execute("CREATE TABLE d(id, center, patient, label, score, score2, fold)")
    r.shuffle(rows)
    db.executemany("INSERT INTO d VALUES(?,?,?,?,?,?,?)", rows)
    return rows


def groups_filters_windows(db):
    rows = sorted(table(db))
    for center, auc, males in db.execute("SELECT center, auc(label, score), auc(label, score) FILTER (WHERE id % 2) FROM d GROUP BY center"):
        check("GROUP BY", near(auc, brute([(r[3], r[4]) for r in rows if r[1] == center])))
        check("FILTER", near(males, brute([(r[3], r[4]) for r in rows if r[1] == center and r[0] % 2])))
    sql = "SELECT id, auc(label, score) OVER (ORDER BY id ROWS BETWEEN 40 PRECEDING AND CURRENT ROW) FROM d ORDER BY id"
    for i, auc in db.execute(sql):
        check("window", near(auc, brute([(r[3], r[4]) for r in rows[max(0, i - 40):i + 1]])))
    sql = "SELECT id, kappa(fold, center) OVER (ORDER BY id ROWS 50 PRECEDING) FROM d ORDER BY id LIMIT 1 OFFSET 200"
    (_, moving), = db.execute(sql)
    (fixed,), = db.execute("SELECT kappa(fold, center) FROM d WHERE id BETWEEN 150 AND 200")
    check("window of categories", near(moving, fixed, 0))


def order_does_not_matter(db):
    rows = table(db)
    calls = [r[0] for r in db.execute("SELECT name FROM radstats_functions WHERE kind = 'aggregate' AND signature LIKE 'label, score%'")]
    check("functions listed", len(calls) > 10)
    names = {"auc_json": "auc_json(label, score)", "clustered": "auc_clustered_json(label, score, patient)",
             "pair": "auc_diff_json(label, score, score2)", "k": "auc_compare_json('holm', 0.95, label, score, score2, -score)",
             "boot": "auc_lower(label, score, 0.9, 'bootstrap', 200)", "cv": "cv_auc_json(label, score, fold)",
             "centers": "centers_json(label, score, center)", "icc": "icc_json(0.95, score, score2)", "groups": "groups_json(score, center)",
             "cb": "auc_cluster_bootstrap_json(label, score, patient, 0.95, 100)", "mc": "mcnemar_clustered_json(label, score > 0.5, patient)"}
    sql = "SELECT " + ",".join(names.values()) + " FROM (SELECT * FROM d ORDER BY {})"
    first = db.execute(sql.format("id")).fetchone()
    for order in ("-id", "score", "patient, -score2", "random()"):
        again = db.execute(sql.format(order)).fetchone()
        for n, a, b in zip(names, first, again):
            check(f"order of rows: {n} by {order}", a == b)
    check("rows", len(rows) == 300)


def nulls_and_reasons(db):
    one = lambda sql: db.execute(sql).fetchone()[0]
    table(db)
    d = json.loads(one("SELECT auc_json(label, score) FROM d"))
    check("missing counted", d["n_missing"] == one("SELECT count(*) FROM d WHERE score IS NULL") > 0)
    for where, reason in (("label = 1", "no negative case"), ("0", "no scored case"), ("score IS NULL", "no scored case")):
        check(f"NULL where {where}", one(f"SELECT auc(label, score) FROM d WHERE {where}") is None)
        check(f"reason where {where}", one(f"SELECT auc_reason(label, score) FROM d WHERE {where}") == reason)
    check("a perfect score is flagged", "variance is 0" in one("SELECT auc_reason(label, label) FROM d"))
    check("nothing wrong, no reason", one("SELECT auc_reason(label, score) FROM d") is None)
    check("ppv of nobody", one("SELECT ppv(label, score, 99) FROM d") is None)
    check("infinite likelihood ratio", math.isinf(one("SELECT lr_pos(label, label, 1) FROM d")))
    check("n = 0", one("SELECT wilson_lower(0, 0)") is None and one("SELECT wilson_lower(0, 10)") == 0.0 and one("SELECT wilson_upper(10, 10)") == 1.0)
    # text that is a number, as a CSV import leaves it, parsed by strtod; nan and empty are missing
    db.execute("CREATE TEMP TABLE csv(label TEXT, score TEXT)")
    db.executemany("INSERT INTO csv VALUES(?,?)", [("1", "0.3"), ("1", "0.30000000000000004"), ("0", "0.1"), ("0", "0.3"), ("1", ""), ("0", "nan"), ("1", "NA")])
    d = json.loads(one("SELECT auc_json(label, score) FROM csv"))
    check("text numbers", d["n"] == 4 and d["n_missing"] == 3 and near(d["auc"], 0.875))
    check("0.1 + 0.2 is not 0.3", one("SELECT auc(y, x) FROM (SELECT 1 y, 0.1 + 0.2 x UNION ALL SELECT 0, 0.3)") == 1.0)
    check("a table without rows says why", db.execute("SELECT threshold, reason FROM roc_points('SELECT 1, 2 WHERE 0')").fetchall()[0][1] == "no positive case")


def tables(db):
    table(db)
    points = db.execute("SELECT threshold, fpr, tpr FROM roc_points('SELECT label, score FROM d')").fetchall()
    area = sum((b[1] - a[1]) * (a[2] + b[2]) / 2 for a, b in zip(points, points[1:]))
    (auc,), = db.execute("SELECT auc(label, score) FROM d")
    check("area under roc_points", near(area, auc) and math.isinf(points[0][0]) and points[-1][1:] == (1, 1))
    terms = [r[0] for r in db.execute("SELECT term FROM logistic('SELECT label, score, center FROM d', 'label ~ score + factor(center)')")]
    check("terms", terms == ["(Intercept)", "score", "center=B", "center=C"])
    joined = db.execute("SELECT c.center, m.estimate FROM (SELECT DISTINCT center FROM d) c, logistic('SELECT label, score FROM d WHERE center = ''' || "
                        "c.center || '''') m WHERE m.term = 'score' ORDER BY 1").fetchall()
    check("a fit per center by join", [j[0] for j in joined] == ["A", "B", "C"] and all(j[1] > 0 for j in joined))
    sites = db.execute("SELECT site, weight FROM meta_analysis('SELECT center, auc(label, score), auc_var(label, score) FROM d GROUP BY center')").fetchall()
    check("meta-analysis of a grouped query", [s[0] for s in sites] == ["A", "B", "C", "pooled"] and near(sum(s[1] for s in sites[:3]), 100, 1e-9))
    n = db.execute("SELECT sum(n) FROM calibration_bins('SELECT label, 1 / (1 + exp(-score)) FROM d WHERE score IS NOT NULL', 5)").fetchone()[0]
    check("calibration bins", n == db.execute("SELECT count(score) FROM d").fetchone()[0])
    rows = db.execute("SELECT cohort, sens, sens_corrected FROM operating_points('SELECT label, score, center FROM d', 'A')").fetchall()
    check("optimism only where tuned", rows[0][2] is not None and rows[0][2] < rows[0][1] and rows[1][2] is None)
    p = db.execute("SELECT id, p_adjusted FROM p_adjust('SELECT * FROM (VALUES (''x'', 0.04), (''y'', 0.01), (''z'', NULL))', 'holm')").fetchall()
    check("p_adjust keeps the order", p == [("x", 0.04), ("y", 0.02), ("z", None)])
    db.execute("CREATE VIEW v AS SELECT * FROM centers('SELECT label, score, center FROM d')")
    check("in a view", db.execute("SELECT count(*) FROM v").fetchone()[0] == 3)


def errors(db):
    table(db)
    for sql, part in (("SELECT auc(label) FROM d", "1 arguments"), ("SELECT auc(label, center) FROM d", "where a number is needed"),
                      ("SELECT auc_lower(label, score, 2) FROM d", "between 0 and 1"), ("SELECT auc_lower(label, score, 0.95, 'x') FROM d", "'delong'"),
                      ("SELECT auc_lower(label, score, fold / 10.0 + 0.5) FROM d", "must be the same"), ("SELECT wilson_lower(5, 3)", "k <= n"),
                      ("SELECT * FROM roc_points('DELETE FROM d')", "one SELECT"), ("SELECT * FROM roc_points('SELECT 1, 2; SELECT 3')", "one SELECT"),
                      ("SELECT * FROM roc_points('SELECT 1')", "gives 1 columns; 2 expected"), ("SELECT * FROM roc_points('SELECT x, y FROM nowhere')", "nowhere"),
                      ("SELECT * FROM roc_points", "SELECT statement in quotes"),
                      ("SELECT * FROM logistic('SELECT label, score FROM d', 'label ~ scor')", "did you mean 'score'"),
                      ("SELECT brier(label, score) FROM d", "from 0 to 1")):
        try:
            db.execute(sql).fetchall()
            check(f"no error: {sql}", False)
        except sqlite3.Error as e:
            check(f"{sql}: {e}", part in str(e))
    check("nothing was deleted", db.execute("SELECT count(*) FROM d").fetchone()[0] == 300)


def scalar_and_json_agree(db):
    table(db)
    db.execute("CREATE TEMP VIEW clean AS SELECT * FROM d WHERE score IS NOT NULL")
    for name, args, path in (("auc", "label, score", "auc"), ("auc_upper", "label, score", "upper"), ("auc_p", "label, score", "p")):
        a, b = db.execute(f"SELECT {name}({args}), json_extract(auc_json({args}), '$.{path}') FROM clean").fetchone()
        check(f"{name} and its JSON", a == b)
    for (doc,) in db.execute("SELECT doc FROM radstats_functions"):
        check("every function is documented", len(doc) > 5)


def shell():
    exe = shutil.which("sqlite3")
    if not exe:
        print("sqlite3 shell not here: left out")
        return
    sql = f""".load {extension}
CREATE TABLE v_case_score(center, label, score);
WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 199) INSERT INTO v_case_score SELECT 'c' || (n % 2), n % 3 = 0, n * 7919 % 101 + 20 * (n % 3 = 0) FROM i;
SELECT center, auc(label, score), auc_lower(label, score), auc_upper(label, score) FROM v_case_score GROUP BY center;
"""
    r = subprocess.run([exe, ":memory:"], input=sql, capture_output=True, text=True)
    lines = [x.split("|") for x in r.stdout.split()]
    check(f"stock shell: {r.stderr}", len(lines) == 2 and all(float(x[2]) < float(x[1]) < float(x[3]) for x in lines))


database = connect()
for part in (groups_filters_windows, order_does_not_matter, nulls_and_reasons, tables, errors, scalar_and_json_agree):
    part(connect())
shell()
print("failures:", len(failures))
sys.exit(1 if failures else 0)
