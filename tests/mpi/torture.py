#!/usr/bin/python3
"""The torture test: small runs with folds and class activation maps are killed, stopped, cut short, starved of disk and given devices that
fail, at places that a seed has chosen, and taken up again until they end. Every result is that of the undisturbed run, to the last bit and
file; no worker's death costs more than one case that it had computed.

usage: torture.py [--events N] [--seed S] [--jobs N] [--ranks N] [--patients N] [--only MODE] [--keep]
The full form: torture.py --events 220 --patients 140 --jobs 2.

One campaign is one database: its sessions follow each other, each with one disturbance, until it is whole. What can be disturbed is every
call that alters a file (torture.c, preloaded), every image that is opened, every finished case, every call of the device; between
sessions, what a killed one left behind (spools, temporary files, marks of files, status, maps) is cut short. SQLite's own journal is not:
it is what a kill leaves, and cutting it is no fault that a file system has.

Not disturbed: two kills in a row that both strike before a session has finished a case. Nobody can tell them from a case that kills,
which is what quarantine is for (t_poison.sh)."""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from fixture import F32, I16, U8, network, nifti  # noqa: E402

FINISHED = (0, 3)
SHARDS = 3
PATIENCE = 120  # seconds for a session
ENV = dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
           OMPI_MCA_hwloc_base_binding_policy="none", OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_btl_tcp_if_include="lo",
           OMPI_MCA_oob_tcp_if_include="lo", OMPI_MCA_btl_vader_single_copy_mechanism="none", OMP_WAIT_POLICY="passive")


def make_job(folder, patients):
    """A cohort of `patients` with one or two lesions each, three folds (a few patients without), a model of folds and one of two images."""
    cohort, side = os.path.join(folder, "cohort"), 20
    os.makedirs(cohort)
    tables = {"centers": ["center\tcohort", "H1\tinternal", "H2\texternal"], "patients": ["patient\tcenter\tlabel\tfold"],
              "images": ["patient\tstudy\tsequence\tpath"], "lesions": ["patient\tlesion\tlabel\tbox\tmask"]}
    draw = random.Random(11)
    noise = [draw.randrange(100, 700) for _ in range(5 * side * side * 8)]
    for p in range(1, patients + 1):
        name, depth, label = "P%03d" % p, 4 + p % 3, p % 2
        n, word = side * side * depth, ["benign", "malignant"][label]
        tables["patients"].append("%s\tH%d\t%s\t%s" % (name, 1 + p % 3 // 2, word, "n/a" if p % 20 == 0 else p % 3))
        for sequence in "AB":
            path = "%s_%s.nii%s" % (name, sequence, ".gz" if p % 4 == 1 else "")
            tables["images"].append("%s\ts1\t%s\t%s" % (name, sequence, path))
            shift = draw.randrange(len(noise) - n)
            values = [v + 60 * label for v in noise[shift:shift + n]]
            whole = os.path.join(cohort, path)
            if p % 50 == 4 and sequence == "A":
                continue  # is not there
            if p % 50 == 5:
                nifti(whole, (side, side, depth), (1.0, 1.0, 3.0), [float("nan")] * n, F32)
            else:
                nifti(whole, (side, side, depth), (1.0, 1.0, 3.0), values, I16)
            if p % 50 == 2 and sequence == "A":
                os.truncate(whole, os.path.getsize(whole) // 2)
            os.utime(whole, (1.7e9, 1.7e9))
        tables["lesions"].append("%s\tL1\t%s\t4 5 1 14 13 3\t" % (name, word))
        if p % 2:
            mask = [1 if 5 <= i % side < 12 and 6 <= i // side % side < 15 and 1 <= i // (side * side) < 3 else 0 for i in range(n)]
            nifti(os.path.join(cohort, name + "_m.nii"), (side, side, depth), (1.0, 1.0, 3.0), mask, U8)
            os.utime(os.path.join(cohort, name + "_m.nii"), (1.7e9, 1.7e9))
            tables["lesions"].append("%s\tL2\t%s\t\t%s_m.nii" % (name, word, name))
    for table, rows in tables.items():
        with open(os.path.join(cohort, table + ".tsv"), "w") as f:
            f.write("\n".join(rows) + "\n")
    for name, seed, planes, classes in (("fold0", 1, 3, 2), ("fold1", 2, 3, 2), ("fold2", 3, 3, 2), ("pair", 4, 2, 1)):
        with open(os.path.join(folder, name + ".onnx"), "wb") as f:
            f.write(network(seed, planes, 12, classes, 6))
    with open(os.path.join(folder, "job.yaml"), "w") as f:
        f.write("""job: torture
cohort: cohort
unit: lesion
classes: [benign, malignant]
positive: malignant
inputs:
  stack:
    channels: [{sequence: A, offset: [-1, 0, 1]}]
    slices: lesion
    region: {from: auto, margin_mm: 2}
    window: {low: 0, high: 800}
    resize: {size: 12}
  both:
    channels: [{sequence: A}, {sequence: B}]
    slices: lesion
    region: {from: auto, margin_mm: 2}
    window: {low: 0, high: 800}
    resize: {size: 12}
models:
  - {name: net, file: "fold{fold}.onnx", folds: 3, input: stack, activation: softmax}
  - {name: pair, file: pair.onnx, input: both, activation: sigmoid}
aggregate: {lesion: mean, patient: max}
operating_points: [{name: half, threshold: 0.5}]
cam: {write: case}
backend: checked
""")


# ------------------------------------------------------------------------------------------------ what a run found

# ids that depend on the order in which results came, by what they stand for
NATURAL = {"result_id": ("result", "result_key"), "cam_id": ("cam", "cam_key"), "volume_id": ("volume", "content")}
# times, hosts, ranks, and how often a run was interrupted
LEFT_OUT = {"run": {"host", "launch_mode", "command_line", "n_rank", "threads", "started", "finished", "session_started", "session_done",
                    "sessions", "versions"},
            "work": {"attempts", "lost", "interrupted", "rank"}, "run_result": {"reused"}, "exclusion": {"exclusion_id"},
            "statistic": {"statistic_id"},
            "time_ledger": {"rank", "host", "device", "read_s", "inflate_s", "prepare_s", "wait_s", "infer_s", "write_s", "read_bytes", "stored"}}


def tables_of(path, root):
    """Every table of a database as sorted lines; `root` is where the run was."""
    db = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    told = [r[0] for r in db.execute("PRAGMA integrity_check")]
    assert told == ["ok"], told
    broken = db.execute("PRAGMA foreign_key_check").fetchall()
    assert not broken, broken[:5]
    name = {column: dict(db.execute("SELECT %s, %s FROM %s" % (column, key, table))) for column, (table, key) in NATURAL.items()}
    where = {r[0] for r in db.execute("SELECT seal_id FROM seal WHERE object IN ('provenance', 'work', 'time_ledger')")}
    out = []
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall():
        columns = [r[1] for r in db.execute('PRAGMA table_info("%s")' % table) if r[1] not in LEFT_OUT.get(table, ())]
        rows = []
        for row in db.execute('SELECT %s FROM "%s"' % (", ".join(columns), table)):
            rows.append("\t".join(v.hex() if isinstance(v, float) else str(name[c][v] if c in name and v is not None else v)
                                  for c, v in zip(columns, row)))
        if table == "meta":
            rows = [r for r in rows if r.split("\t")[0] != "file_id"]
        if table in ("seal", "seal_marks"):  # when, where and by whom it ran is sealed as well
            rows = [r for r in rows if int(r.split("\t")[0]) not in where]
        out.append("# %s %s" % (table, " ".join(columns)))
        out += sorted(r.replace(root, "ROOT") for r in rows)
    db.close()
    return out


def files_of(folder):
    return {os.path.relpath(os.path.join(d, f), folder): hashlib.sha256(open(os.path.join(d, f), "rb").read()).hexdigest()
            for d, _, names in os.walk(folder) for f in names}


# ------------------------------------------------------------------------------------------------ disturbances

KILL = [("change", "kill"), ("change", "kill"), ("change", "after"), ("write", "tear"), ("record", "kill"), ("record", "tear"),
        ("record", "after"), ("sync", "kill"), ("sync", "after"), ("rename", "kill"), ("rename", "after"), ("image", "kill")]
STOP = [("record", "usr1"), ("record", "int"), ("record", "term"), ("image", "usr1"), ("image", "term"), ("change", "stop"),
        ("record", "stop")]
DISK = [("write", "full"), ("write", "full"), ("record", "full"), ("change", "full-once"), ("sync", "error"), ("write", "error"),
        ("rename", "error"), ("record", "error"), ("write", "short"), ("write", "again"), ("sync", "full"), ("limit", "full")]
READ = [("image", "cut"), ("image", "cut"), ("image", "hang")]
DEVICE = [("device", "exec_run"), ("device", "exec_run"), ("device", "plan_create"), ("device", "exec_create"), ("device", "open")]
GROUPS = {"kill": KILL, "stop": STOP, "disk": DISK, "read": READ, "device": DEVICE}
WEIGHT = {"kill": 9, "stop": 4, "disk": 5, "read": 2, "device": 2}


class Torture:
    def __init__(self, options):
        self.o = options
        self.rad = os.environ["RADCOHORT"]
        self.tmp = tempfile.mkdtemp(prefix="radcohort-torture-")
        self.library = os.path.join(self.tmp, "torture.so")
        made = subprocess.run([os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", "-o", self.library, os.path.join(here, "torture.c"), "-ldl"])
        if made.returncode != 0:
            print("SKIP: no compiler")
            sys.exit(77)
        self.preload = self.library
        if os.environ.get("RAD_SANITIZE"):
            self.preload = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip() + ":" + self.library
        self.job = os.path.join(self.tmp, "job")
        make_job(self.job, options.patients)
        self.has_mpi = shutil.which("mpirun") is not None

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")}
        env.update(ENV, TMPDIR=self.tmp, **more)
        env["ASAN_OPTIONS"] = "detect_leaks=0:handle_abort=1:" + env.get("ASAN_OPTIONS", "")
        return env


class Campaign:
    """One database, from its first session to its end."""

    def __init__(self, torture, number, mode, want):
        self.t, self.number, self.mode, self.want = torture, number, mode, want
        self.draw = random.Random("%d %d" % (torture.o.seed, number))
        self.root = os.path.join(torture.tmp, "c%04d" % number)
        shutil.copytree(os.path.join(torture.job, "cohort"), os.path.join(self.root, "cohort"))
        for name in os.listdir(torture.job):
            if name != "cohort":
                shutil.copy(os.path.join(torture.job, name), self.root)
        self.out = os.path.join(self.root, "out")
        os.mkdir(self.out)
        self.db = os.path.join(self.out, "r.sqlite")
        self.spool = os.path.join(self.out, "shards")
        self.ledger = os.path.join(torture.tmp, "ledger-%d" % number)
        self.log = os.path.join(torture.tmp, "log-%d" % number)
        self.session, self.history, self.exempt = 0, [], {}
        self.positions = set()  # sessions that count cases from 0, as the manifest does, not from 1, as the database does
        self.faults = collections.Counter()
        self.seconds = 0.0
        self.shard = 0  # shards that are done
        self.barren = False

    # ------------------------------------------------------------ one session

    def command(self, event):
        batch, threads = self.draw.choice((1, 3, 8)), self.draw.choice((1, 2))
        base = [self.t.rad, "run", os.path.join("..", "job.yaml"), "--quiet", "--threads", str(threads), "--batch", str(batch)]
        if event and event[0] == "image" and event[2] == "hang":
            base += ["--case-deadline", "1"]
        if event and event[2] == "freeze":
            base += ["--silence", "6"]
        if self.mode == "shards" and self.shard < SHARDS:
            return base + ["--spool", self.spool, "--shard", "%d/%d" % (self.shard + 1, SHARDS)]
        if self.mode == "shards":
            return base + ["--db", self.db, "--merge", self.spool]
        base += ["--db", self.db]
        if self.mode == "scratch":
            base += ["--scratch", os.path.join(self.out, "node")]
        if self.mode == "ranks":
            base += ["--ranks", str(self.t.o.ranks)]
        return base

    def run(self, event=None, count=None):
        """event: (kind, n, action, rank or None). Returns exit code and whether it happened."""
        self.session += 1
        if self.mode == "shards" and self.shard < SHARDS:
            self.positions.add(self.session)
        mark = os.path.join(self.t.tmp, "mark-%d-%d" % (self.number, self.session))
        env = self.t.environment(TORTURE_ROOT=self.root + "/", TORTURE_MARK=mark, TORTURE_LEDGER=self.ledger,
                                 TORTURE_SESSION=str(self.session), TORTURE_STOP=self.stop_file(), LD_PRELOAD=self.t.preload)
        limit = None
        if count:
            env["TORTURE_COUNT"] = count
        if event and event[0] == "device":
            env["RAD_CHECKED_FAIL"] = "%s:%d%s" % (event[2], event[1], "+" if self.mode == "ranks" else "")
        elif event and event[0] == "limit":
            limit = event[1]
        elif event:
            env["TORTURE_EVENT"] = "%s:%d:%s" % event[:3]
            if event[3] is not None:
                env["TORTURE_RANK"] = str(event[3])
        begin = time.monotonic()
        with open(self.log, "w") as log:
            p = subprocess.Popen(["sh", "-c", 'export TORTURE_BOSS=$$; exec "$@"', "sh"] + self.command(event), stdout=log, stderr=log, env=env,
                                 start_new_session=True, cwd=self.out,
                                 preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None)
            try:
                rc = p.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.reap(mark)
                p.wait()
                self.fail("session %d (%s) did not end within %d s" % (self.session, event, PATIENCE))
        self.reap(mark)
        self.seconds += time.monotonic() - begin
        told = open(self.log, errors="replace").read()
        if "AddressSanitizer" in told or "runtime error:" in told:
            self.fail("the sanitizer has found something")
        happened = os.path.exists(mark)
        where = ""
        if happened:
            where = open(mark).read()[len(self.root) + 1:]
            os.unlink(mark)
        if event and event[0] == "limit":
            happened = rc not in FINISHED
        if event and event[0] == "device":
            happened = "fails on demand" in told
        self.history.append("session %d: %s%s -> %s %s" % (self.session, event, "" if happened or not event else " (did not come to it)", rc, where))
        return rc, happened, where

    def stop_file(self):
        return os.path.join(self.spool, "stop") if self.mode == "shards" and self.shard < SHARDS else self.db + ".stop"

    def reap(self, mark):
        """Ends what a killed session left running: ranks without a launcher, ranks that stand still."""
        wanted = ("TORTURE_MARK=" + mark).encode()
        for n in range(200):
            mine = []
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if wanted in open("/proc/%s/environ" % pid, "rb").read().split(b"\0") and \
                            open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "Z":
                        mine.append(int(pid))
                except OSError:
                    continue
            if not mine:
                return
            for pid in mine:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        self.fail("processes do not end")

    def fail(self, text):
        keep = os.path.join(tempfile.gettempdir(), "torture-failed-%d-%d" % (self.t.o.seed, self.number)) if self.t.o.keep else None
        if keep:
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(self.root, keep, symlinks=True)
        log = open(self.log, errors="replace").read()[-3000:] if os.path.exists(self.log) else ""
        raise AssertionError("seed %d, campaign %d (%s): %s\n%s\n%s%s" % (self.t.o.seed, self.number, self.mode, text,
                                                                          "\n".join(self.history), log, "\nkept: " + keep if keep else ""))

    # ------------------------------------------------------------ disturbances

    def left(self):
        done = len({line.split()[2] for line in open(self.ledger)}) if os.path.exists(self.ledger) else 0
        return max(0.0, 1 - done / self.want["cases"])

    def choose(self, counts):
        names = [g for g in GROUPS if not (self.barren and g == "kill")]
        group = self.draw.choices(names, [WEIGHT[g] for g in names])[0]
        kind, action = self.draw.choice(GROUPS[group])
        if kind == "limit" and self.mode == "ranks":  # mpirun would be under it as well, and never ends then
            kind, action = "write", "full"
        rank = None
        if self.mode == "ranks":
            rank = self.draw.choice([0] + list(range(self.t.o.ranks)))
            if kind == "record" or kind == "image":
                rank = max(rank, 1)
            if group == "kill" and self.draw.random() < 0.2:
                action = "job"
            if group == "read" and action == "hang" and self.draw.random() < 0.4:
                action = "freeze"
        if kind == "limit":
            return group, ("limit", self.draw.randrange(1, self.want["bytes"]), action, None)
        if kind == "device":
            most = {"exec_run": counts["record"] // 2, "plan_create": 2, "exec_create": 2, "open": 1}[action]
            return group, ("device", self.draw.randrange(1, max(2, int(most * self.left()) + 1)), action, None)
        most = max(1.0, counts[kind] * self.left())
        if self.mode == "ranks" and kind in ("record", "image"):
            most /= self.t.o.ranks - 1
        if self.mode == "shards" and self.shard < SHARDS:
            most /= SHARDS
        n = 1 + int(most * self.draw.random() ** 3)
        return group, (kind, n, action, rank)

    def cut_leftovers(self):
        """Cuts short what a session left behind, and nothing that SQLite answers for."""
        names = []
        for d, _, files in os.walk(self.out):
            names += [os.path.join(d, f) for f in files]
        names = sorted(n for n in names if os.path.getsize(n) > 0 and ".sqlite-" not in n and not n.endswith((".sqlite", ".lock")))
        if not names:
            return
        favourites = [n for n in names if ".rfs" in n or ".tmp" in n]
        name = self.draw.choice(favourites if favourites and self.draw.random() < 0.8 else names)
        os.truncate(name, self.draw.randrange(os.path.getsize(name)))
        self.history.append("  cut: " + os.path.relpath(name, self.out))
        is_map = ".cams" in name or "/cams/" in name
        what = "spool" if name.endswith(".rfs") else "temporary file" if name.endswith(".tmp") else "map" if is_map else "other file"
        self.faults["truncation", what] += 1
        if name.endswith(".rfs") or is_map:  # what is cut off is computed again
            for s in range(1, self.session + 1):
                self.exempt[s] = "cut"

    def mend_images(self):
        """Puts back what was cut while it was read, times of change and all: an archive that was being copied."""
        for d, _, files in os.walk(os.path.join(self.t.job, "cohort")):
            for f in files:
                whole, own = os.path.join(d, f), os.path.join(self.root, "cohort", f)
                if os.path.getsize(whole) != os.path.getsize(own):
                    shutil.copy2(whole, own)

    def disturb(self, counts):
        """One session with one disturbance. True when the run is over."""
        group, event = self.choose(counts)
        before = self.left()
        rc, happened, where = self.run(event)
        if happened:
            self.faults[group, "%s at %s" % (event[2], event[0])] += 1
        self.barren = rc not in FINISHED and (self.left() == before or event[:2] == ("record", 1))  # which is noted before it is whole
        if group in ("disk", "device") or (group == "read" and happened):
            self.exempt[self.session] = group
        if event[2] == "cut":
            self.mend_images()
        if rc in FINISHED:
            if event[2] == "cut" and happened:
                return False  # the next one says what it thinks of it
            return self.advance()
        if not happened:
            self.fail("session %d ended with %d although nothing happened" % (self.session, rc))
        if self.draw.random() < 0.2:
            self.cut_leftovers()
        return False

    def advance(self):
        if self.mode == "shards" and self.shard < SHARDS:
            self.shard += 1
            return False
        return True

    def finish(self):
        """Undisturbed sessions to the end."""
        for _ in range(SHARDS + 2):
            rc, _, _ = self.run()
            if rc not in FINISHED:
                self.fail("an undisturbed session ended with %d" % rc)
            if self.advance():
                return
        self.fail("it does not come to its end")

    # ------------------------------------------------------------ the end

    def head(self):
        """The last link of the chain of seals: a hash of all that was found."""
        p = subprocess.run([self.t.rad, "verify", self.db, "--json"], capture_output=True, text=True, env=self.t.environment())
        if p.returncode != 0:
            self.fail("radcohort verify: %s%s" % (p.stdout, p.stderr))
        return json.loads(p.stdout)["head"]

    def check(self):
        got = tables_of(self.db, self.root)
        if got != self.want["tables"]:
            odd = sorted(set(got) ^ set(self.want["tables"]))
            self.fail("the tables differ:\n" + "\n".join(("+ " if line in got else "- ") + line for line in odd[:20]))
        if self.head() != self.want["head"]:
            self.fail("another head of the chain of seals")
        if files_of(self.db.replace(".sqlite", ".cams")) != self.want["maps"]:
            a, b = files_of(self.db.replace(".sqlite", ".cams")), self.want["maps"]
            self.fail("the maps differ: %s" % sorted(set(a.items()) ^ set(b.items()))[:6])
        allowed = {"r.sqlite", "r.sqlite.status.json", "r.sqlite.lock", "r.cams", "shards", "node"}
        extra = sorted(set(os.listdir(self.out)) - allowed)
        if os.path.isdir(os.path.join(self.out, "node")):
            extra += os.listdir(os.path.join(self.out, "node"))
        extra += [f for d, _, files in os.walk(self.out) if not d.startswith(self.spool) for f in files if f.endswith(".tmp")]
        if extra:
            self.fail("left behind: %s" % extra)
        for name in sorted(set(os.listdir(self.root)) - set(os.listdir(self.t.job)) - {"out"}):
            self.fail("left behind outside of the results: %s" % name)

    def count_again(self):
        """Cases that were computed, and of each worker's those that were computed again after it."""
        lines = [tuple(map(int, line.split())) for line in open(self.ledger)]
        lines = [(s, pid, case + (s in self.positions)) for s, pid, case in lines]
        last = {}
        for i, (_, _, case) in enumerate(lines):
            last[case] = i
        again = collections.Counter((s, pid) for i, (s, pid, case) in enumerate(lines) if last[case] > i)
        worst = 0
        for (s, pid), n in again.items():
            if s in self.exempt:
                continue
            worst = max(worst, n)
            if n > 1:
                self.fail("%d cases that process %d of session %d had computed were computed again" % (n, pid, s))
        return len(lines), len(last), sum(again.values()), sum(n for (s, _), n in again.items() if s not in self.exempt), worst


def baseline(torture, mode, number):
    c = Campaign(torture, number, mode, None)
    counts = os.path.join(torture.tmp, "count-" + mode)
    rc = c.run(count=counts)[0]
    if mode == "shards":
        while rc in FINISHED and not c.advance():
            rc = c.run(count=counts)[0]
    if rc not in FINISHED:
        c.fail("the undisturbed run ended with %d" % rc)
    total = collections.Counter()
    for line in open(counts):
        words = line.split()
        for k, v in zip(words[::2], words[1::2]):
            total[k] += int(v)
    return c, total


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--events", type=int, default=24)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--ranks", type=int, default=3)
    p.add_argument("--patients", type=int, default=60)
    p.add_argument("--only")
    p.add_argument("--from", dest="first", type=int, default=0, help="number of the first campaign")
    p.add_argument("--keep", action="store_true")
    o = p.parse_args()
    begin = time.monotonic()
    t = Torture(o)
    try:
        modes = [o.only] if o.only else [m for m in ("alone", "ranks", "shards", "scratch") if m != "ranks" or t.has_mpi]
        counts, want = {}, None
        for i, mode in enumerate(modes):
            c, counts[mode] = baseline(t, mode, -1 - i)
            if want is None:
                lines = list(open(c.ledger))
                want = {"cases": len(lines), "tables": tables_of(c.db, c.root), "maps": files_of(c.db.replace(".sqlite", ".cams")),
                        "bytes": os.path.getsize(c.db), "head": c.head()}
            c.want = want
            c.check()
            print("undisturbed, %s: %.2f s, %s" % (mode, c.seconds, dict(counts[mode])), flush=True)
            shutil.rmtree(c.root)
        print("seed %d; %d cases computed, %d table rows, %d maps; head %s" % (o.seed, want["cases"], len(want["tables"]), len(want["maps"]),
              want["head"]), flush=True)
        done, total = collections.Counter(), collections.Counter()
        # ranks cost most: every fifth campaign
        cycle = [o.only] if o.only else [m for m in ("alone", "ranks", "shards", "alone", "scratch") if m in modes]

        def campaign(number):
            c = Campaign(t, number, cycle[number % len(cycle)], want)
            over, events = False, 0
            most = min(c.draw.randrange(6, 20), max(4, o.events // 5))
            while not over and sum(c.faults.values()) < most:
                over = c.disturb(counts[c.mode])
            if not over:
                c.finish()
            c.check()
            figures = c.count_again()
            shutil.rmtree(c.root)
            return c, figures

        number, pending = o.first, set()
        with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
            while pending or sum(done.values()) < o.events:
                while len(pending) < o.jobs and sum(done.values()) < o.events:
                    pending.add(pool.submit(campaign, number))
                    number += 1
                ready, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
                for r in ready:
                    c, (computed, cases, again, counted, worst) = r.result()
                    done.update(c.faults)
                    total.update(campaigns=1, sessions=c.session, computed=computed, cases=cases, again=again, counted=counted)
                    total["worst"] = max(total["worst"], worst)
                    print("campaign %d, %s: %d sessions, %d faults, %.1f s" % (c.number, c.mode, c.session, sum(c.faults.values()), c.seconds),
                          flush=True)
        groups = collections.Counter()
        for (group, _), n in done.items():
            groups[group] += n
        for (group, what), n in sorted(done.items()):
            print("%-12s %-28s %4d" % (group, what, n))
        print("faults: %d (%s)" % (sum(done.values()), ", ".join("%s %d" % g for g in sorted(groups.items()))))
        print("%(campaigns)d campaigns, %(sessions)d sessions; %(computed)d cases computed where %(cases)d were to be, %(again)d again, of "
              "these %(counted)d by a worker's death or stop, at most %(worst)d per worker" % total)
        print("every result is the undisturbed one; %.0f s" % (time.monotonic() - begin))
    finally:
        shutil.rmtree(t.tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
