#!/usr/bin/python3
"""Class activation maps of a run. Against a second writing in PyTorch and numpy: maps, overlays on the image's grid, peaks, overlaps. The same
files and rows for any number of ranks, batches and threads, and after files were lost; the scores are those of a run without maps. A map that an earlier run
made is taken; a model without maps is refused."""
import collections
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile

try:
    import nibabel
    import numpy as np
    import onnx
    import onnx.numpy_helper
    import torch
except ImportError as e:
    print("SKIP: %s is not installed" % e.name)
    sys.exit(77)
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
rad = os.environ["RADCOHORT"]
for name in ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"):
    os.environ.pop(name, None)


def call(*command, want=3):
    p = subprocess.run(command, capture_output=True, text=True)
    assert p.returncode == want, (p.returncode, want, command, p.stdout, p.stderr)
    return p.stdout + p.stderr


def run(job, db, *options, ranks=0, want=3):
    launcher = ["env", "ASAN_OPTIONS=detect_leaks=0", "mpirun", "-q", "-n", str(ranks)] if ranks else []
    return call(*launcher, rad, "run", job, "--db", db, "--quiet", *options, want=want)


def rows(db, sql):
    c = sqlite3.connect("file:%s?mode=ro" % db, uri=True)
    c.row_factory = sqlite3.Row
    return [dict(r) for r in c.execute(sql)]


def files(db):
    top = db.replace(".sqlite", ".cams")
    return {os.path.relpath(os.path.join(d, f), top): hashlib.sha256(open(os.path.join(d, f), "rb").read()).hexdigest()
            for d, _, names in os.walk(top) for f in names}


MAPS = "SELECT * FROM v_cam ORDER BY model, patient, lesion, slice"


def result_hash(db):
    return hashlib.sha256(call(sys.executable, os.path.join(here, "dump.py"), db, want=0).encode()).hexdigest()


# ------------------------------------------------------------ the second writing

def planes(path, offsets, k):
    """Slices of the reoriented (LPS) image after the window, as the job declares it."""
    image = nibabel.load(path)
    v = np.asarray(image.dataobj, dtype=np.float64)[::-1, ::-1, :]  # the fixture stores RAS
    v = np.clip(v / 800, 0, 1)
    return [v[:, :, min(max(k + o, 0), v.shape[2] - 1)].T for o in offsets]  # [y, x]


def network_map(path, sample):
    w = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()).double() for t in onnx.load(path).graph.initializer}
    kept = {}
    f = torch.nn.Conv2d(sample.shape[0], 8, 3, 2, 1).double()
    g = torch.nn.Conv2d(8, 8, 3, 1, 1).double()
    f.weight.data, f.bias.data, g.weight.data, g.bias.data = w["w1"], w["b1"], w["w2"], w["b2"]
    net = torch.nn.Sequential(f, torch.nn.ReLU(), g, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    net[3].register_forward_hook(lambda module, inputs, output: kept.update(f=output))
    with torch.no_grad():
        net(sample[None])
        return torch.einsum("ck,khw->chw", w["w3"], kept["f"][0])


def inside_image(r, shape):
    return max(r["x0"], 0), max(r["y0"], 0), min(r["x1"], shape[0]), min(r["y1"], shape[1])


def check_maps(folder, db, classes):
    cohort = os.path.join(folder, "cohort")
    lesions = {}
    for line in open(os.path.join(cohort, "lesions.tsv")).read().splitlines()[1:]:
        patient, lesion, _, box, mask = line.split("\t")
        lesions[patient, lesion] = (box, mask)
    overlay, seen, worst = {}, 0, 0.0
    for r in rows(db, MAPS):
        stack = r["model"] != "pair"
        path = {q["sequence"]: os.path.join(cohort, q["path"]) for q in rows(
            db, "SELECT DISTINCT sequence, path FROM v_source WHERE patient = '%s' AND model = '%s'" % (r["patient"], r["model"]))}
        k = r["slice"]
        p = planes(path["A"], [-1, 0, 1], k) if stack else planes(path["A"], [0], k) + planes(path["B"], [0], k)
        x = torch.from_numpy(np.stack([q[r["y0"]:r["y1"], r["x0"]:r["x1"]] for q in p]))
        assert x.shape[1:] == (r["y1"] - r["y0"], r["x1"] - r["x0"]), "the fixture's regions lie inside the image"
        sample = torch.nn.functional.interpolate(x[None], size=(16, 16), mode="bilinear", align_corners=False)[0]
        maps = network_map(os.path.join(folder, r["model"] + ".onnx"), sample)
        c = classes.index(r["class"])
        m = maps[c] if maps.shape[0] == 2 else maps[0] * (1 if c == 1 else -1)
        assert tuple(m.shape) == (r["height"], r["width"])
        v = torch.nn.functional.interpolate(m[None, None], size=x.shape[1:], mode="bilinear", align_corners=False)[0, 0].numpy()
        y, xx = np.unravel_index(v.argmax(), v.shape)
        image = nibabel.load(path["A"])
        n = image.shape
        i, j = n[0] - 1 - (r["x0"] + xx), n[1] - 1 - (r["y0"] + y)
        tolerance = 1e-4 * max(1, abs(v).max())
        assert abs(v.max() - r["peak_value"]) < tolerance and abs(v.min() - r["low_value"]) < tolerance, (r, v.max())
        assert (r["peak_i"], r["peak_j"], r["peak_k"]) == (i, j, r["stored_slice"]), (r, i, j)
        assert np.allclose(nibabel.affines.apply_affine(image.affine, (i, j, r["stored_slice"])), (r["peak_x"], r["peak_y"], r["peak_z"]))
        positive = np.maximum(v, 0)
        assert abs(positive.sum() - r["energy"]) < tolerance * v.size
        box, mask = lesions[r["patient"], r["lesion"]]
        body = np.zeros(n, bool)
        if mask:
            body = np.asarray(nibabel.load(os.path.join(cohort, mask)).dataobj) != 0
        else:
            b = [int(t) for t in box.split()]
            body[b[0]:b[3], b[1]:b[4], b[2]:b[5]] = True
        body = body[::-1, ::-1, k].T
        part = body[r["y0"]:r["y1"], r["x0"]:r["x1"]]
        high = (v > 0) & (v >= v.max() / 2)
        near = abs(v - v.max() / 2) < tolerance  # on the edge both answers are right
        if positive.sum() > 0:
            assert abs(positive[part].sum() / positive.sum() - r["energy_inside"]) < 1e-4, r
        assert bool(r["peak_inside"]) == bool(part[y, xx]), r
        if not near.any():
            assert abs((high & part).sum() / ((high | part).sum() + body.sum() - part.sum()) - r["iou"]) < 1e-9, r
        o = nibabel.load(os.path.join(db.replace(".sqlite", ".cams"), r["file"]))
        assert o.shape == n and np.array_equal(o.affine, image.affine) and o.get_data_dtype() == np.uint8
        for form in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z"):
            assert np.array_equal(o.header[form], image.header[form]), form
        assert np.array_equal(o.header["pixdim"][:4], image.header["pixdim"][:4])
        assert abs(float(o.dataobj.slope) - r["scale"]) < 1e-9 and o.dataobj.inter == 0
        stored = np.asarray(o.dataobj.get_unscaled())
        drawn = stored[::-1, ::-1, k].T[r["y0"]:r["y1"], r["x0"]:r["x1"]]
        worst = max(worst, abs(drawn * r["scale"] - positive).max() - r["scale"] / 2)
        assert worst < tolerance, r
        overlay.setdefault((r["file"]), [stored, np.zeros(n, bool)])[1][::-1, ::-1, k].T[r["y0"]:r["y1"], r["x0"]:r["x1"]] = True
        seen += 1
    for name, (stored, region) in overlay.items():
        assert not stored[~region].any(), "%s: something is drawn outside the region" % name
        assert stored.max() in (0, 255), name
    return seen, len(overlay)


# ------------------------------------------------------------ the run

def edit(folder, name, cam, *changes):
    text = open(os.path.join(folder, "job.yaml")).read()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    with open(os.path.join(folder, name), "w") as f:
        f.write(text + ("cam: %s\n" % cam if cam else ""))
    return os.path.join(folder, name)


with tempfile.TemporaryDirectory() as top:
    folder = os.path.join(top, "job")
    call(sys.executable, os.path.join(here, "fixture.py"), folder, "11", want=0)
    classes = ["benign", "malignant"]
    db = lambda name: os.path.join(top, name + ".sqlite")

    run(edit(folder, "job.yaml", None), db("plain"))
    job = edit(folder, "slice.yaml", "{write: slice, class: predicted}")
    run(job, db("a"), "--batch", "4")
    assert result_hash(db("plain")) == result_hash(db("a")), "maps change scores"
    n, n_file = check_maps(folder, db("a"), classes)
    assert n > 60 and n_file == len(files(db("a"))) > 25, (n, n_file)
    print(n, "maps in", n_file, "files as PyTorch has them")
    for c in rows(db("a"), "SELECT model, patient, lesion, class, max(score) AS score, min(slice) AS slice FROM v_cam GROUP BY 1, 2, 3"):
        best = rows(db("a"), "SELECT k.class AS class, ss.score AS score FROM run_result rr JOIN run_model rm USING (run_model_id) JOIN manifest m"
                    " USING (case_id) JOIN patient p USING (patient_id) JOIN lesion l ON l.lesion_id = m.lesion_id JOIN slice_score ss USING"
                    " (result_id) JOIN run_class k ON k.run_id = m.run_id AND k.class_index = ss.class_index WHERE rm.model = '%s' AND"
                    " p.patient = '%s' AND l.lesion = '%s' ORDER BY ss.score DESC, ss.slice, ss.class_index LIMIT 1"
                    % (c["model"], c["patient"], c["lesion"]))[0]
        assert (best["class"], best["score"]) == (c["class"], c["score"]), c

    # any number of ranks, batches, threads
    want = rows(db("a"), MAPS)
    for i, (ranks, batch, threads) in enumerate(((3, 1, 1), (0, 16, 2))):
        if ranks and subprocess.run(["sh", "-c", "command -v mpirun"], capture_output=True).returncode != 0:
            continue
        other = db("r%d" % i)
        run(job, other, "--batch", str(batch), "--threads", str(threads), ranks=ranks)
        assert rows(other, MAPS) == want and files(other) == files(db("a")), "%d ranks differ" % ranks

    # the deciding slice, of the positive class; no files
    one = edit(folder, "case.yaml", "{}")
    run(one, db("case"))
    n, n_file = check_maps(folder, db("case"), classes)
    assert n == n_file and all(r["deciding"] == 1 and r["class"] == "malignant" for r in rows(db("case"), MAPS))
    for r in rows(db("case"), "SELECT model, patient, lesion, score FROM v_cam"):
        assert r["score"] == rows(db("case"), "SELECT max(score) AS s FROM v_slice_score WHERE model = '%s' AND patient = '%s' AND lesion = '%s'"
                                  % (r["model"], r["patient"], r["lesion"]))[0]["s"]
    run(edit(folder, "none.yaml", "{write: none, models: [two]}"), db("none"))
    got = {r["model"] for r in rows(db("none"), MAPS)}
    assert got == {"two"} and files(db("none")) == {}
    drop = ("file", "scale")
    assert [{k: v for k, v in r.items() if k not in drop} for r in rows(db("none"), MAPS)] == \
        [{k: v for k, v in r.items() if k not in drop} for r in rows(db("case"), MAPS) if r["model"] == "two"]

    # a result that is there without its map is computed again; one with its map is taken, files and all
    run(one, db("plain"))
    assert files(db("plain")) == files(db("case"))
    before = {f: os.stat(os.path.join(top, "plain.cams", f)).st_mtime_ns for f in files(db("plain"))}
    run(edit(folder, "again.yaml", "{}", ("threshold: 0.5", "threshold: 0.6")), db("plain"))
    status = rows(db("plain"), "SELECT n_result, n_reused FROM v_run ORDER BY run_id")
    assert status[1]["n_reused"] == 0 and status[2]["n_reused"] == status[2]["n_result"] > 0, status
    assert before == {f: os.stat(os.path.join(top, "plain.cams", f)).st_mtime_ns for f in files(db("plain"))}
    assert len(rows(db("plain"), "SELECT * FROM v_cam WHERE run_id = 3")) == len(rows(db("case"), MAPS))

    # lost files
    names = sorted(files(db("a")))
    whole, digest = files(db("a")), result_hash(db("a"))
    os.remove(os.path.join(top, "a.cams", names[0]))
    os.truncate(os.path.join(top, "a.cams", names[1]), 30)
    told = call(rad, "status", db("a"), want=0)
    assert "2 of them lost" in told, told
    assert "made again" in run(job, db("a"))
    assert files(db("a")) == whole and rows(db("a"), MAPS) == want and result_hash(db("a")) == digest
    assert "lost" not in call(rad, "status", db("a"), want=0)
    assert "nothing was computed" in run(job, db("a"))

    # a folder that cannot be written stops the run: no score passes without its map
    open(os.path.join(top, "full.cams"), "w").close()
    assert "cannot be written" in run(one, db("full"), want=1)
    os.remove(os.path.join(top, "full.cams"))
    run(one, db("full"))
    assert files(db("full")) == files(db("case"))

    # no global average: no map, and a reason
    m = onnx.load(os.path.join(folder, "one.onnx"))
    for n in m.graph.node:
        if n.op_type == "GlobalAveragePool":
            n.op_type = "GlobalMaxPool"
    onnx.save(m, os.path.join(folder, "flat.onnx"))
    bad = edit(folder, "bad.yaml", "{models: [one]}", ("one.onnx", "flat.onnx"))
    said = call(rad, "check", bad, want=2)
    assert "takes a maximum" in said and "model 'one'" in said and "cam.models" in said, said
    assert "takes a maximum" in run(bad, db("bad"), want=2)
    run(edit(folder, "good.yaml", "{models: [two]}", ("one.onnx", "flat.onnx")), db("good"))
    # overlays under names, the table, contact sheets
    out = os.path.join(top, "out")
    call(rad, "cams", db("case"), "-o", out, "--count", "3", want=0)
    table = [dict(zip(lines[0].split("\t"), l.split("\t"))) for lines in [open(os.path.join(out, "maps.tsv")).read().splitlines()] for l in lines[1:]]
    maps = {(r["model"], r["patient"], r["lesion"]): r for r in rows(db("case"), MAPS)}
    assert len(table) == len(maps)
    for t in table:
        r = maps[t["model"], t["patient"], t["lesion"]]
        assert float(t["score"]) == r["score"] and t["peak"] == "%d %d %d" % (r["peak_i"], r["peak_j"], r["peak_k"])
        assert hashlib.sha256(open(os.path.join(out, t["file"]), "rb").read()).hexdigest() == files(db("case"))[r["file"]]
    sheet = [l.split("\t") for l in open(os.path.join(out, "sheets.tsv")).read().splitlines()[1:]]
    number = {t["number"]: t for t in table}
    strongest = [number[l[3]] for l in sheet if l[0] == "one-strongest.png"]
    assert [float(t["score"]) for t in strongest] == sorted((float(t["score"]) for t in table if t["model"] == "one"), reverse=True)[:3]
    assert all((float(number[l[3]]["score"]) >= 0.5) != (number[l[3]]["label"] == "1") for l in sheet if l[0].endswith("-wrong.png"))
    assert all(l[4] == "" for l in sheet), sheet
    side, gap = 192, 4
    for name in {l[0] for l in sheet}:
        tiles = sum(l[0] == name for l in sheet)
        header = open(os.path.join(out, name), "rb").read(24)
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        assert tuple(int.from_bytes(header[k:k + 4], "big") for k in (16, 20)) == (gap + tiles * (2 * side + gap), gap + side + gap), name
    before = {n: open(os.path.join(out, n), "rb").read() for n in os.listdir(out)}
    call(rad, "cams", db("case"), "-o", out, "--count", "3", want=0)
    assert before == {n: open(os.path.join(out, n), "rb").read() for n in os.listdir(out)}, "not the same bytes twice"
    # for a program: the tables' content
    p = subprocess.run([rad, "cams", db("case"), "-o", out, "--count", "3", "--json"], capture_output=True, text=True)
    said = json.loads(p.stdout)
    assert p.returncode == 0 and (said["database"], said["folder"]) == (db("case"), out), (p.stderr, said)
    assert {s["file"]: s["cases"] for s in said["sheets"]} == collections.Counter(l[0] for l in sheet), said["sheets"]
    word = lambda v: "n/a" if v is None else str(int(v)) if isinstance(v, bool) else str(v)  # noqa: E731
    assert len(said["maps"]) == len(table)
    for m, t in zip(said["maps"], table):
        for k in ("number", "model", "cohort", "patient", "lesion", "study", "class", "slice", "deciding", "label", "peak_inside", "file"):
            assert word(m[k]) == t[k], (k, m, t)
        assert m["score"] == float(t["score"]) and m["peak"] == [int(v) for v in t["peak"].split()]
        for k in ("peak_value", "energy_inside", "iou"):
            assert (m[k] is None) == (t[k] == "n/a") and (m[k] is None or abs(m[k] - float(t[k])) <= 1e-8 * abs(m[k])), (k, m, t)
    assert "no class activation maps" in call(rad, "cams", db("good"), "-o", out, "--model", "nobody", want=2)
print("same maps for any number of ranks, after losses, and in later runs")
