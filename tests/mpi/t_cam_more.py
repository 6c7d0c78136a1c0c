#!/usr/bin/python3
"""Maps where more than one file or more than one session is at work: SIGKILL in the middle and the same command again give the same rows and
files; with folds each patient's map is that of his file run alone; a model that stands in leaves its own map; a RepVGG network as it was
trained (three branches and their normalisations) has the maps of the one that is deployed (one convolution each)."""
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

try:
    import nibabel
    import numpy as np
    import torch
except ImportError as e:
    print("SKIP: %s is not installed" % e.name)
    sys.exit(77)
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
import fixture

rad = os.environ["RADCOHORT"]
for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)
MAPS = "SELECT * FROM v_cam ORDER BY model, patient, lesion, slice"


def call(*command, want=3):
    p = subprocess.run(command, capture_output=True, text=True)
    assert p.returncode == want, (p.returncode, want, command, p.stdout, p.stderr)
    return p.stdout + p.stderr


def rows(db, sql=MAPS):
    c = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
    c.row_factory = sqlite3.Row
    return [dict(r) for r in c.execute(sql)]


def count_files(db):
    """While they are written: some are gone before they could be opened."""
    return sum(len(names) for _, _, names in os.walk(db.replace(".sqlite", ".cams")))


def files(db):
    top = db.replace(".sqlite", ".cams")
    return {os.path.relpath(os.path.join(d, f), top): hashlib.sha256(open(os.path.join(d, f), "rb").read()).hexdigest()
            for d, _, names in os.walk(top) for f in names}


def job(folder, name, *changes):
    text = open(os.path.join(folder, "job.yaml")).read()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    return os.path.join(folder, name)


def models(text):
    """The jobs's list of models, replaced."""
    return ("""  - {name: one, file: one.onnx, input: stack, activation: softmax}
  - {name: two, file: two.onnx, input: stack, activation: none}
  - {name: pair, file: pair.onnx, input: both, activation: sigmoid}
""", text)


def same(a, b, drop=("run_id", "model")):
    return {k: v for k, v in a.items() if k not in drop} == {k: v for k, v in b.items() if k not in drop}


def by_case(found):
    return {(r["patient"], r["lesion"], r["slice"]): r for r in found}


# ------------------------------------------------------------ RepVGG

class Block(torch.nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.wide, self.wide_norm = torch.nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), torch.nn.BatchNorm2d(n_out)
        self.point, self.point_norm = torch.nn.Conv2d(n_in, n_out, 1, stride, bias=False), torch.nn.BatchNorm2d(n_out)
        self.straight = torch.nn.BatchNorm2d(n_in) if n_in == n_out and stride == 1 else None

    def forward(self, x):
        y = self.wide_norm(self.wide(x)) + self.point_norm(self.point(x))
        return torch.relu(y + self.straight(x) if self.straight else y)

    def deployed(self):
        def fuse(weight, norm):
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            return weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
        n = self.wide.in_channels
        part = [fuse(self.wide.weight, self.wide_norm), fuse(torch.nn.functional.pad(self.point.weight, [1] * 4), self.point_norm)]
        if self.straight:
            one = torch.zeros(n, n, 3, 3)
            one[range(n), range(n), 1, 1] = 1
            part.append(fuse(one, self.straight))
        c = torch.nn.Conv2d(n, self.wide.out_channels, 3, self.wide.stride, 1)
        c.weight.data, c.bias.data = sum(w for w, _ in part).detach(), sum(b for _, b in part).detach()
        return torch.nn.Sequential(c, torch.nn.ReLU())


def repvgg(folder):
    torch.manual_seed(3)
    blocks = [Block(3, 8, 2), Block(8, 8, 1), Block(8, 12, 1)]
    end = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(12, 2)]
    for m in torch.nn.Sequential(*blocks).modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            for p, low, high in ((m.weight, .5, 1.5), (m.bias, -.3, .3), (m.running_mean, -.3, .3), (m.running_var, .5, 2)):
                torch.nn.init.uniform_(p.data, low, high)
    forms = {"trained": torch.nn.Sequential(*blocks, *end).eval(), "deployed": torch.nn.Sequential(*[b.deployed() for b in blocks], *end).eval()}
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        assert (forms["trained"](x) - forms["deployed"](x)).abs().max() < 1e-5
    for name, net in forms.items():
        torch.onnx.export(net, x, os.path.join(folder, name + ".onnx"), opset_version=13, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


with tempfile.TemporaryDirectory() as top:
    # ------------------------------------------------------------ killed
    folder = os.path.join(top, "slow")
    call(sys.executable, os.path.join(here, "fixture.py"), folder, "40", "32", "64", want=0)
    with open(os.path.join(folder, "job.yaml"), "a") as f:
        f.write("cam: {write: slice}\n")
    command = [rad, "run", os.path.join(folder, "job.yaml"), "--threads", "1", "--quiet"]
    whole, broken = os.path.join(top, "whole.sqlite"), os.path.join(top, "broken.sqlite")
    began = time.monotonic()
    call(*command, "--db", whole)
    took, killed = time.monotonic() - began, 0
    n_all = len(files(whole))
    for part in (0.15, 0.5, 0.8):
        p = subprocess.Popen(command + ["--db", broken], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while p.poll() is None and count_files(broken) < part * n_all:
            time.sleep(0.002)
        p.send_signal(signal.SIGKILL)
        killed += p.wait() == -signal.SIGKILL
    assert killed >= 2, "the job was too quick to be killed: %.2f s" % took
    call(*command, "--db", broken)
    assert rows(broken) == rows(whole) and len(rows(whole)) > 200
    named = {r["file"] for r in rows(broken)}
    got, want = files(broken), files(whole)
    assert {f: got[f] for f in named} == want, "files differ after a kill"
    print("killed %d times: %d maps in %d files" % (killed, len(rows(broken)), len(named)))

    # ------------------------------------------------------------ folds, stand-ins
    folder = os.path.join(top, "job")
    call(sys.executable, os.path.join(here, "fixture.py"), folder, "12", want=0)
    path = os.path.join(folder, "cohort", "patients.tsv")
    lines = open(path).read().splitlines()
    fold = {line.split("\t")[0]: k % 3 for k, line in enumerate(lines[1:])}
    open(path, "w").write("\n".join([lines[0] + "\tfold"] + ["%s\t%d" % (line, fold[line.split("\t")[0]]) for line in lines[1:]]) + "\n")
    for k in range(3):
        with open(os.path.join(folder, "f%d.onnx" % k), "wb") as f:
            f.write(fixture.network(20 + k, 3, 16, 2, 8))
    folds = job(folder, "folds.yaml", models('  - {name: net, file: "f{fold}.onnx", folds: 3, input: stack, activation: softmax}\n'),
                ("batch: 4", "batch: 4\ncam: {write: slice, class: predicted}"))
    db = os.path.join(top, "folds.sqlite")
    call(rad, "run", folds, "--db", db, "--quiet")
    found, seen = by_case(rows(db)), 0
    for k in range(3):
        alone = job(folder, "alone.yaml", models("  - {name: net, file: f%d.onnx, input: stack, activation: softmax}\n" % k),
                    ("batch: 4", "batch: 4\ncam: {write: slice, class: predicted}"))
        other = os.path.join(top, "alone%d.sqlite" % k)
        call(rad, "run", alone, "--db", other, "--quiet")
        mine, differs = by_case(rows(other)), 0
        assert set(mine) == set(found)
        for case, r in found.items():
            if fold[case[0]] == k:
                assert same(r, mine[case], ("run_id", "file")), (case, r, mine[case])
                a, b = (nibabel.load(os.path.join(d.replace(".sqlite", ".cams"), q["file"])) for d, q in ((db, r), (other, mine[case])))
                assert np.array_equal(a.dataobj.get_unscaled(), b.dataobj.get_unscaled())
                seen += 1
            else:
                differs += r["peak_value"] != mine[case]["peak_value"]
        assert differs > 10, "the files of the folds are not different"
    assert seen == len(found) > 20

    stand = job(folder, "stand.yaml", ("activation: sigmoid}", "activation: sigmoid, when_missing: two}"), ("batch: 4", "batch: 4\ncam: {models: [pair]}"))
    db, both = os.path.join(top, "stand.sqlite"), os.path.join(top, "both.sqlite")
    call(rad, "run", stand, "--db", db, "--quiet")
    call(rad, "run", job(folder, "both.yaml", ("batch: 4", "batch: 4\ncam: {}")), "--db", both, "--quiet")
    got = rows(db)
    assert {r["model"] for r in got} == {"pair"}
    mine = {(r["model"], r["patient"], r["lesion"]): r for r in rows(both)}
    stood = [r for r in got if r["patient"] == "P003"]  # has no sequence B
    assert len(stood) == 2 and not any(key[0] == "pair" and key[1] == "P003" for key in mine)
    for r in got:
        assert same(r, mine["two" if r in stood else "pair", r["patient"], r["lesion"]]), r
    kept, there = files(db), files(both)
    assert set(kept) == {r["file"] for r in got}, "overlays that no map names: the model that stood in has none of its own"
    assert all(kept[r["file"]] == there[r["file"]] for r in got)
    print(seen, "maps of folds,", len(stood), "of a model that stood in")

    # ------------------------------------------------------------ RepVGG in both forms
    repvgg(folder)
    forms = job(folder, "forms.yaml", models("".join("  - {name: %s, file: %s.onnx, input: stack, activation: softmax}\n" % (n, n)
                                                     for n in ("trained", "deployed"))), ("batch: 4", "batch: 4\ncam: {write: slice}"))
    for backend in ("ref", "onednn"):
        db = os.path.join(top, backend + ".sqlite")
        call(rad, "run", forms, "--db", db, "--backend", backend, "--quiet")
        pair = [by_case([r for r in rows(db) if r["model"] == n]) for n in ("trained", "deployed")]
        assert set(pair[0]) == set(pair[1]) and len(pair[0]) > 20
        assert {r["file"] for r in pair[0].values()}.isdisjoint({r["file"] for r in pair[1].values()})
        moved = 0
        for case, r in pair[0].items():
            q = pair[1][case]
            for name in ("peak_value", "low_value", "score"):
                assert abs(r[name] - q[name]) < 1e-4, (backend, case, name, r[name], q[name])
            moved += [r["peak_" + a] for a in "ijk"] != [q["peak_" + a] for a in "ijk"]
            a, b = (nibabel.load(os.path.join(db.replace(".sqlite", ".cams"), z["file"])).get_fdata() for z in (r, q))
            assert abs(a - b).max() <= 1.01 * max(r["scale"], q["scale"]) + 1e-4
        assert moved <= 1, moved
    print(len(pair[0]), "maps of RepVGG as trained and as deployed")
