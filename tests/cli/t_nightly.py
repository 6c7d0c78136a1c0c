#!/usr/bin/python3
"""radcohort nightly: the plan and the run are the same, what did not move is not opened, each change is told by its reason, the tables are
those of a run from nothing, golden cases stop a night before it touches anything, and a changed scanner is named."""
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
mpi = os.path.join(here, "..", "mpi")
sys.path.insert(0, mpi)
import fixture  # noqa: E402

rad = os.environ["RADCOHORT"]
tmp = tempfile.mkdtemp(prefix="radcohort-nightly-")
for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"):
    os.environ.pop(name, None)


def check(ok, text):
    if not ok:
        print("FAIL: " + text)
        sys.exit(1)


def rad_run(*args, code=None):
    r = subprocess.run([rad, *args], capture_output=True, text=True, timeout=240)
    check(code is None or r.returncode in code, "%s: exit code %d, expected %s\n%s%s" % (args, r.returncode, code, r.stdout, r.stderr))
    return r


def night(job, db, *more, code=(0, 3)):
    return json.loads(rad_run("nightly", job, "--db", db, "--json", *more, code=code).stdout)


def names(plan, action="run"):
    return sorted((c["patient"], c["lesion"], c["study"], c["reasons"]) for c in plan["cases"] if c["action"] == action)


def query(db, sql, *args):
    with sqlite3.connect("file:%s?mode=ro" % db, uri=True) as c:
        return c.execute(sql, args).fetchall()


def leased(db):
    """Cases of the newest run that a worker had: those are in the time ledger."""
    return sorted(query(db, """SELECT p.patient, l.lesion, m.study FROM manifest m JOIN time_ledger t ON t.case_id = m.case_id
        JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id
        WHERE m.run_id = (SELECT max(run_id) FROM run)"""))


def dump(db, run):
    return subprocess.run([sys.executable, os.path.join(mpi, "dump.py"), db, str(run)], capture_output=True, check=True).stdout


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def edit(path, change):
    with open(path) as f:
        text = f.read()
    new = change(text)
    check(new != text, "the test changes nothing in " + path)
    with open(path, "w") as f:
        f.write(new)


def both(job, db, what):
    """The plan, then the night: the same list, which is what the workers had. Returns the night."""
    before = digest(db) if os.path.exists(db) else None
    plan = night(job, db, "--dry-run")
    check((digest(db) if os.path.exists(db) else None) == before, what + ": --dry-run changed the database")
    done = night(job, db)
    check(names(plan) == names(done), "%s: planned %s, done %s" % (what, names(plan), names(done)))
    if done["n_run"] > 0:
        check(leased(db) == [n[:3] for n in names(done)], "%s: leased %s, told %s" % (what, leased(db), names(done)))
    return done


def reasons(plan):
    return {n[:2]: n[3] for n in names(plan)}


def main():
    folder, db = os.path.join(tmp, "job"), os.path.join(tmp, "a.sqlite")
    subprocess.run([sys.executable, os.path.join(mpi, "fixture.py"), folder, "12"], check=True)
    job, cohort = os.path.join(folder, "job.yaml"), os.path.join(folder, "cohort")

    first = both(job, db, "first night")
    check(first["n_keep"] == 0 and set(reasons(first).values()) == {"new-patient"}, "first night: %s" % names(first))
    again = both(job, db, "nothing moved")
    check(again["n_run"] == 0 and again["report"]["again"], "nothing moved: %s" % names(again))
    check(sum(c["reasons"] == "failed" for c in again["cases"]) == 4, "failures are not remembered")
    check(query(db, "SELECT count(*) FROM run") == [(1,)], "a second run was begun")

    # a file that has not moved is not opened: what is in it now would change its scores
    quiet = os.path.join(cohort, "P008_A.nii")
    s = os.stat(quiet)
    with open(quiet, "r+b") as f:
        f.seek(-2000, os.SEEK_END)
        f.write(b"\x7f" * 2000)
    os.utime(quiet, ns=(s.st_atime_ns, s.st_mtime_ns))
    check(os.stat(quiet).st_ino == s.st_ino, "the fixture")

    # everything that can move: content, times alone, a box, a mask, a new patient, a lesion and a patient that go, a file that goes
    changed = os.path.join(cohort, "P006_A.nii")
    with open(changed, "r+b") as f:
        f.seek(400)
        f.write(b"\x01\x02" * 400)
    os.utime(os.path.join(cohort, "P010_A.nii"), ns=(1, 1))
    shutil.copy(os.path.join(cohort, "P010_A.nii"), os.path.join(cohort, "P100_A.nii"))
    shutil.copy(os.path.join(cohort, "P010_B.nii"), os.path.join(cohort, "P100_B.nii"))
    with open(os.path.join(cohort, "lesions.tsv")) as f:
        lesions = f.read().split("\n")
    head = lesions[0].split("\t")
    rows = [dict(zip(head, line.split("\t"))) for line in lesions[1:] if line]
    boxed = next(r for r in rows if r["box"] and r["patient"] not in ("P002", "P006", "P008", "P010", "P001", "P007"))
    numbers = boxed["box"].split()
    numbers[0] = str(int(numbers[0]) + 1)
    boxed["box"] = " ".join(numbers)
    ten = dict(next(r for r in rows if r["patient"] == "P010"))
    ten.update(patient="P100", mask="", box="2 2 1 12 12 3")
    gone = [r for r in rows if r["patient"] == "P001"][-1]
    rows = [r for r in rows if r is not gone and r["patient"] != "P007"] + [ten]
    with open(os.path.join(cohort, "lesions.tsv"), "w") as f:
        f.write("\n".join(["\t".join(head)] + ["\t".join(r.get(h, "") for h in head) for r in rows]) + "\n")
    for table in ("patients", "images"):
        edit(os.path.join(cohort, table + ".tsv"),
             lambda t: "\n".join(x for x in t.split("\n") if not x.startswith("P007")).rstrip("\n") + "\n")
    edit(os.path.join(cohort, "patients.tsv"), lambda t: t + "P100\tH1\tbenign\n")
    edit(os.path.join(cohort, "images.tsv"), lambda t: t + "P100\ts1\tA\tP100_A.nii\nP100\ts1\tB\tP100_B.nii\n")
    lost = os.path.join(cohort, "P012_B.nii")
    os.rename(lost, lost + ".away")
    second = both(job, db, "second night")
    why = reasons(second)
    check(why[("P006", "L1")] == "image", "changed image: %s" % why)
    check(why[(boxed["patient"], boxed["lesion"])] == "region", "changed box: %s" % why)
    check(why[("P100", "L1")] == "new-patient", "new patient: %s" % why)
    check(("P010", "L1") not in why and ("P008", "L1") not in why, "touched or quiet files were scored: %s" % why)
    check({k[0] for k in why} == {"P006", "P100", "P012", boxed["patient"]}, "more than moved: %s" % why)
    kinds = sorted((g["kind"], g["patient"], g["lesion"], g["path"]) for g in second["gone"])
    check(kinds == [("file", None, None, "P012_B.nii"), ("lesion", "P001", gone["lesion"], None), ("patient", "P007", None, None)],
          "vanished: %s" % kinds)
    check(second["report"]["n_change"] > 0, "no score changed")
    # the flips are those of the two runs' own calls
    want = query(db, """SELECT count(*) FROM v_call a JOIN v_call b ON b.run_id = ? AND b.model = a.model AND b.unit = a.unit
        AND b.patient = a.patient AND b.lesion IS a.lesion AND b.point = a.point WHERE a.run_id = ? AND a.call <> b.call""",
                 second["report"]["versus"], second["report"]["run"])
    check(want == [(second["report"]["n_flip"],)], "flips: %s, told %s" % (want, second["report"]["n_flip"]))
    os.rename(lost + ".away", lost)

    # weights, preparation: all cases; then the same tables as a run from nothing (without the file that lies about its content)
    with open(quiet, "r+b") as f:
        f.seek(-2000, os.SEEK_END)
        f.write(b"\x01" * 2000)
    back = both(job, db, "third night")
    check(set(reasons(back)) == {("P008", "L1")}, "a file that came back has its result: %s" % reasons(back))
    edit(job, lambda t: t.replace("margin_mm: 2}\n    window: {low: 0, high: 800}\n    resize: {size: 16}\n  both",
                                  "margin_mm: 3}\n    window: {low: 0, high: 800}\n    resize: {size: 16}\n  both"))
    third = both(job, db, "another preparation")
    check(all("preparation" in r for r in reasons(third).values()) and third["n_run"] > 10, "preparation: %s" % reasons(third))
    run = third["report"]["run"]
    fresh = os.path.join(tmp, "fresh.sqlite")
    rad_run("run", job, "--db", fresh, "--quiet", code=(0, 3))
    check(dump(db, run) == dump(fresh, 1), "the tables of a night are not those of a run from nothing")
    shutil.copy(os.path.join(folder, "two.onnx"), os.path.join(folder, "one.onnx"))
    fourth = both(job, db, "other weights")
    check(all(r == "model" for r in reasons(fourth).values()) and fourth["n_run"] > 10, "model: %s" % reasons(fourth))
    check(query(db, "SELECT count(*) FROM nightly") == [(6,)], "nights in the table")
    told = query(db, "SELECT count(*) FROM nightly_case WHERE what = 'run' AND nightly_id = (SELECT max(nightly_id) FROM nightly)")
    check(told == [(fourth["n_run"],)], "cases in the table")

    seals(db)

    # the mail: headline first, below 80 columns; golden cases
    mail = os.path.join(tmp, "mail.txt")
    edit(job, lambda t: t + "golden: golden.tsv\n")
    r = rad_run("nightly", job, "--db", db, code=(2,))
    check("--make-golden" in r.stderr, "no way out where there are no golden cases: " + r.stderr)
    rad_run("nightly", job, "--make-golden", "--cases", "2", code=(0,))
    rad_run("nightly", job, "--db", db, "--mail", mail, code=(0, 3))
    with open(mail) as f:
        lines = f.read().split("\n")
    check(lines[0].startswith("tiny: ") and max(map(len, lines)) < 80, "the mail: %s" % lines[0])
    check(os.stat(mail).st_mode & 0o777 == 0o600, "the mail is not private")
    golden = os.path.join(folder, "golden.tsv")
    with open(golden) as f:
        table = [line.split("\t") for line in f.read().rstrip("\n").split("\n")]
    numbers = table[1][5].split(",")
    numbers[0] = repr(float(numbers[0]) + 0.25)
    table[1][4], table[1][5] = "0" * 64, ",".join(numbers)
    with open(golden, "w") as f:
        f.write("\n".join("\t".join(x) for x in table) + "\n")
    os.utime(os.path.join(cohort, "P006_A.nii"), ns=(5, 5))
    before = digest(db)
    r = rad_run("nightly", job, "--db", db, "--mail", mail, code=(1,))
    check("golden" in r.stderr and "0.25" in r.stderr and table[1][0] in r.stderr, "golden cases: " + r.stderr)
    check(digest(db) == before, "a night whose golden cases differ touched the database")
    with open(mail) as f:
        check("STOPPED" in f.readline(), "the mail does not say that the night stopped")

    # two nights never overlap
    import fcntl
    with open(db + ".night.lock", "w") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        r = rad_run("nightly", job, "--db", db, code=(1,))
        check("another night" in r.stderr, "two nights: " + r.stderr)
    pairs()
    drift()
    print("planned, run, compared: all as told")


def seals(db):
    """What a night leaves as it was is not written down again, and is still told row by row."""
    copy = os.path.join(tmp, "seals.sqlite")
    based = "SELECT count(*), count(DISTINCT s.object) FROM seal s JOIN seal_marks m USING (seal_id) WHERE m.base_id IS NOT NULL"
    n, objects = query(db, based)[0]
    check(n > 20 and objects > 10, "marks against a base: %d of %d objects" % (n, objects))
    check(query(db, "SELECT count(*) FROM seal_marks m JOIN seal_marks b ON b.seal_id = m.base_id WHERE b.base_id IS NOT NULL") == [(0,)],
          "a base has a base")

    def findings(sql):
        shutil.copy(db, copy)
        with sqlite3.connect(copy) as c:
            c.execute(sql)
        return json.loads(rad_run("verify", copy, "--json", code=(0, 1)).stdout)["findings"]

    check(findings("SELECT 1") == [], "an untouched database")
    # no seal is right any more: every row is compared with its mark
    rows = [f for f in findings("UPDATE seal SET content = '%s'" % ("0" * 64)) if f["table"] != "seal"]
    other = [f for f in rows if "cannot be told" not in f["row"]]
    check(len(rows) > 50 and not other, "marks do not match: %s" % other[:3])
    run, = query(db, "SELECT max(s.run_id) FROM seal s JOIN seal_marks m USING (seal_id)"
                     " WHERE s.object = 'run_patient' AND m.base_id IS NOT NULL")[0]
    name, = query(db, "SELECT patient FROM patient WHERE patient_id = (SELECT max(patient_id) FROM run_patient WHERE run_id = ?)", run)[0]
    change = "UPDATE run_patient SET fold = 3 WHERE run_id = %d AND patient_id = (SELECT patient_id FROM patient WHERE patient = '%s')"
    found = [f for f in findings(change % (run, name)) if f["table"] == "run_patient"]
    check([(f["run"], f["what"], f["row"]) for f in found] == [(run, "changed", name)], "one row of a night: %s" % found)


def pairs():
    """Images in two files: kept while neither moves, scored again when either does."""
    folder, db = os.path.join(tmp, "pairs"), os.path.join(tmp, "pairs.sqlite")
    subprocess.run([sys.executable, os.path.join(mpi, "fixture.py"), folder, "6"], check=True)
    job, cohort = os.path.join(folder, "job.yaml"), os.path.join(folder, "cohort")
    one, other = os.path.join(cohort, "P006_A"), os.path.join(cohort, "P006_B")
    for stem in (one, other):
        with open(stem + ".nii", "rb") as f:
            data = bytearray(f.read())
        data[108:112], data[344:348] = bytes(4), b"ni1\0"
        with open(stem + ".hdr", "wb") as f:
            f.write(data[:352])
        with open(stem + ".img", "wb") as f:
            f.write(data[352:])
    edit(os.path.join(cohort, "images.tsv"), lambda t: t.replace("P006_A.nii", "P006_A.hdr").replace("P006_B.nii", "P006_B.img"))
    both(job, db, "pairs")
    check(query(db, "SELECT count(*) FROM v_source WHERE patient = 'P006' AND content IS NULL") == [(0,)], "the pairs were not read")
    check(both(job, db, "pairs at rest")["n_run"] == 0, "pairs that did not move are scored")
    for name, at in ((one + ".img", 400), (other + ".hdr", 120)):
        with open(name, "r+b") as f:
            f.seek(at)
            f.write(b"\x01\x02")
        why = reasons(both(job, db, "one half of a pair"))
        check({k[0] for k in why} == {"P006"} and set(why.values()) == {"image"}, "one half of a pair changed: %s" % why)
    os.utime(one + ".img", ns=(5, 5))
    check(both(job, db, "a touched pair")["n_run"] == 0, "a pair that was only touched is scored")
    check(both(job, db, "pairs at rest")["n_run"] == 0, "pairs that did not move are scored")


def drift():
    """Two centers; the second night brings patients to both, those of the second from another scanner."""
    folder, db = os.path.join(tmp, "drift"), os.path.join(tmp, "drift.sqlite")
    cohort = os.path.join(folder, "cohort")
    subprocess.run([sys.executable, os.path.join(mpi, "fixture.py"), folder, "2"], check=True)
    job = os.path.join(folder, "job.yaml")
    draw = random.Random(3)
    tables = {"patients": ["patient\tcenter\tlabel"], "images": ["patient\tstudy\tsequence\tpath\tscanner"],
              "lesions": ["patient\tlesion\tlabel\tbox"]}

    def add(count, other):
        for _ in range(count):
            for center in ("H1", "H2"):
                new = other and center == "H2"
                name = "%s-%03d" % (center, len(tables["patients"]))
                label = draw.randrange(2)
                tables["patients"].append("%s\t%s\t%s" % (name, center, ["benign", "malignant"][label]))
                tables["lesions"].append("%s\tL1\t%s\t2 2 1 14 14 3" % (name, ["benign", "malignant"][label]))
                for sequence in "AB":
                    tables["images"].append("%s\ts1\t%s\t%s_%s.nii\t%s" % (name, sequence, name, sequence, "new" if new else "old"))
                    values = [int(draw.gauss(400 + 150 * new, 60)) for _ in range(16 * 16 * 4)]
                    fixture.nifti(os.path.join(cohort, "%s_%s.nii" % (name, sequence)), (16, 16, 4),
                                  (0.8 if new else 1.0, 0.8 if new else 1.0, 3.0), values, fixture.I16)
        for table, rows in tables.items():
            with open(os.path.join(cohort, table + ".tsv"), "w") as f:
                f.write("\n".join(rows) + "\n")

    add(40, False)
    one = night(job, db)
    check(one["report"]["drift"] == [], "drift on the first night")
    add(15, True)
    mail = os.path.join(tmp, "drift.txt")
    two = night(job, db, "--mail", mail)
    alarms = {(d["center"], d["variable"]) for d in two["report"]["drift"] if d["alarm"]}
    check({c for c, _ in alarms} == {"H2"}, "drift: %s" % sorted(alarms))
    for variable in ("A scanner", "A spacing x", "B spacing y", "input mean one"):
        check(("H2", variable) in alarms, "drift of %s is not seen: %s" % (variable, sorted(alarms)))
    check("DRIFT at H2" in two["headline"], "headline: " + two["headline"])
    with open(mail) as f:
        check("A scanner was old (100 %), is new (100 %)" in f.read(), "the mail does not name the scanner")
    rows = query(db, "SELECT count(*), sum(alarm) FROM drift")
    check(rows == [(len(two["report"]["drift"]), len(alarms))], "the table drift: %s" % rows)
    # PSI and KS by numpy and scipy
    try:
        import numpy
        from scipy import stats
    except ImportError:
        return
    got = {d["variable"]: d for d in two["report"]["drift"] if d["center"] == "H2"}["input mean one"]
    x = query(db, """SELECT re.input_mean, p.patient FROM run_result rr JOIN run_model rm ON rm.run_model_id = rr.run_model_id
        JOIN result re ON re.result_id = rr.result_id JOIN manifest m ON m.case_id = rr.case_id JOIN patient p ON p.patient_id = m.patient_id
        WHERE rm.run_id = 2 AND rm.model = 'one' AND p.patient LIKE 'H2%'""")
    base = numpy.array([v for v, p in x if int(p[3:]) <= 80])
    recent = numpy.array([v for v, p in x if int(p[3:]) > 80])
    edges = numpy.quantile(base, numpy.arange(1, 10) / 10)
    share = [numpy.bincount(numpy.searchsorted(edges, v, side="left"), minlength=10) / len(v) for v in (base, recent)]
    a, b = numpy.maximum(share[0], 1e-4), numpy.maximum(share[1], 1e-4)
    psi, ks = float(((b - a) * numpy.log(b / a)).sum()), stats.ks_2samp(base, recent)
    check(abs(got["psi"] - psi) < 1e-9 and abs(got["statistic"] - ks.statistic) < 1e-12, "PSI %s, %s" % (got, psi))
    check(abs(got["p"] - ks.pvalue) < 1e-12, "KS p %s, scipy %s" % (got["p"], ks.pvalue))


try:
    main()
finally:
    shutil.rmtree(tmp, ignore_errors=True)
