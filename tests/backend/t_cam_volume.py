#!/usr/bin/env python3
"""Class activation maps of volumes against PyTorch and numpy: the map is what a forward hook on the last convolution of a torch.nn network
gives, laid on the voxels of the reference image (straight, and oblique in an odd orientation with a box that reaches outside); peak, energy,
pointing game and overlap in three dimensions; the same rows and files for any ranks; contact sheets show the slice of the peak; maps of the
shipped brain job; a map without depth is refused."""
import hashlib, os, shutil, sqlite3, subprocess, sys, tempfile

try:
    import nibabel as nib
    import numpy as np
    import onnx
    import onnx.numpy_helper
    import torch
    import yaml
    from PIL import Image
    from scipy.ndimage import map_coordinates
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from volume_reference import centre_of, reorient, sample, spacing

source, program = os.environ["RAD_SOURCE"], os.environ["RADCOHORT"]
torch.set_num_threads(1)
env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
CLASSES = ["I", "II", "III", "IV"]
MAPS = "SELECT * FROM v_cam ORDER BY model, patient, lesion, slice"


def network(planes, seed):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Conv3d(planes, 6, 3, (2, 2, 2), 1), torch.nn.ReLU(), torch.nn.Conv3d(6, 8, 3, (1, 2, 2), 1), torch.nn.ReLU(),
                              torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(8, 4))
    torch.nn.init.normal_(net[6].weight, std=2.0)
    return net.eval()


def call(*command, want=0, ranks=0):
    p = subprocess.run((["mpirun", "-q", "-n", str(ranks)] if ranks else []) + list(command), capture_output=True, text=True, env=env)
    assert p.returncode == want, (p.returncode, command, p.stdout, p.stderr)
    return p.stdout + p.stderr


def rows(db, sql):
    c = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    c.row_factory = sqlite3.Row
    return [dict(r) for r in c.execute(sql)]


def files(db):
    top = db.replace(".sqlite", ".cams")
    return {os.path.relpath(os.path.join(d, f), top): hashlib.sha256(open(os.path.join(d, f), "rb").read()).hexdigest()
            for d, _, names in os.walk(top) for f in names}


def table(path):
    lines = [line.rstrip("\n").split("\t") for line in open(path)]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def check_maps(tmp, db, spec, net, model):
    """Every map of a model; returns how many, how many peaks are the first of the largest values to the last bit, and how many have a lesion."""
    kept, cohort = {}, f"{tmp}/cohort"
    net[3].register_forward_hook(lambda module, inputs, output: kept.update(f=output))
    images, lesions = {}, {(r["patient"], r["lesion"]): r for r in table(f"{cohort}/lesions.tsv")}
    for r in table(f"{cohort}/images.tsv"):
        images.setdefault(r["patient"], {})[r["sequence"]] = r["path"]
    letters, size, mm = spec.get("orientation", "LPS"), spec["volume"]["size"], spec["volume"]["spacing_mm"]
    n_map = n_first = n_lesion = 0
    for r in [q for q in rows(db, MAPS) if q["model"] == model]:
        row = lesions[r["patient"], r["lesion"]]
        lesion = {"mask": row["mask"]} if row["mask"] else {"box": [int(t) for t in row["box"].split()]}
        path = images[r["patient"]][spec["channels"][0]["sequence"]]
        with torch.no_grad():
            net(torch.from_numpy(sample(spec, cohort, images[r["patient"]], lesion)[0])[None])
            maps = torch.einsum("ck,kdhw->cdhw", net[6].weight.double(), kept["f"][0].double()).numpy()
        m = maps[CLASSES.index(r["class"])]
        assert m.shape == (r["depth"], r["height"], r["width"]), (m.shape, r)
        image, aff, axis, flip = reorient(os.path.join(cohort, path), letters)
        c = centre_of(spec, image, axis, flip, lesion, cohort, letters)[0]
        extent = np.array(size[::-1]) * (np.array([mm] * 3) / spacing(aff))
        low, high = c - extent / 2, c + extent / 2
        block = [np.array([p for p in range(image.shape[a]) if low[a] - 1e-6 <= p < high[a] - 1e-6]) for a in range(3)]
        at = [(block[a] - low[a]) / (high[a] - low[a]) * m.shape[2 - a] - 0.5 for a in range(3)]
        grid = np.stack(np.meshgrid(at[2], at[1], at[0], indexing="ij"))
        v = map_coordinates(m, np.stack([np.clip(grid[d], 0, m.shape[d] - 1) for d in range(3)]), order=1, mode="nearest")  # [z, y, x]
        tolerance = 1e-4 * max(1, abs(v).max())
        assert abs(v.max() - r["peak_value"]) < tolerance and abs(v.min() - r["low_value"]) < tolerance, (r, v.max(), v.min())
        positive = np.maximum(v, 0)
        assert abs(positive.sum() - r["energy"]) < 1e-4 * max(1, positive.sum()), (r, positive.sum())
        stored = [r["peak_i"], r["peak_j"], r["peak_k"]]
        peak = [image.shape[t] - 1 - stored[axis[t]] if flip[t] else stored[axis[t]] for t in range(3)]
        zyx = tuple(int(np.flatnonzero(block[t] == peak[t])[0]) for t in (2, 1, 0))
        assert v.max() - v[zyx] < tolerance, (r, v.max(), v[zyx])
        n_first += np.unravel_index(np.argmax(v.astype(np.float32)), v.shape) == zyx  # of equal ones, where the map is clamped, the first
        original = nib.load(os.path.join(cohort, path))
        assert np.allclose(nib.affines.apply_affine(original.affine, stored), (r["peak_x"], r["peak_y"], r["peak_z"]), atol=1e-4)
        if spec["channels"][0]["sequence"] == "FLAIR" or not row["mask"]:  # a mask fits FLAIR alone; a box is one of the reference's voxels
            if row["mask"]:
                body = reorient(os.path.join(cohort, row["mask"]), letters)[0] != 0
            else:
                b, body = lesion["box"], np.zeros(original.shape[:3], bool)
                body[b[0]:b[3], b[1]:b[4], b[2]:b[5]] = True
                turn = nib.orientations.ornt_transform(nib.io_orientation(original.affine), nib.orientations.axcodes2ornt(letters))
                body = nib.orientations.apply_orientation(body, turn)
            part = body[np.ix_(*block)].transpose(2, 1, 0)
            assert abs(positive[part].sum() / positive.sum() - r["energy_inside"]) < 1e-3 and r["peak_inside"] == part[zyx], r
            half, near = (v > 0) & (v >= v.max() / 2), abs(v - v.max() / 2) < tolerance
            iou = lambda h: (h & part).sum() / (h.sum() + body.sum() - (h & part).sum())
            edges = [iou(half & ~near), iou(half | near), iou(half | (near & part)), iou(half & ~(near & part))]
            assert min(edges) - 1e-9 <= r["iou"] <= max(edges) + 1e-9, (r, edges)
            n_lesion += part.any() and r["energy_inside"] > 0
        else:
            assert r["energy_inside"] is r["iou"] is r["peak_inside"] is None, r
        o = nib.load(os.path.join(db.replace(".sqlite", ".cams"), r["file"]))
        assert o.shape == original.shape[:3] and np.array_equal(o.affine, original.affine) and o.get_data_dtype() == np.uint8
        drawn = np.asarray(o.dataobj.get_unscaled())
        turn = nib.orientations.ornt_transform(nib.io_orientation(o.affine), nib.orientations.axcodes2ornt(letters))
        drawn = nib.orientations.apply_orientation(drawn, turn)
        inside = drawn[np.ix_(*block)].transpose(2, 1, 0)
        assert abs(inside * r["scale"] - positive).max() < r["scale"] / 2 + tolerance, r
        assert inside.max() == drawn.max() == 255 and drawn.astype(np.int64).sum() == inside.astype(np.int64).sum(), "drawn outside the box"
        n_map += 1
    return n_map, n_first, n_lesion


with tempfile.TemporaryDirectory() as tmp:
    call(program, "phantom", "-o", f"{tmp}/cohort", "--design", "brain", "--scale", "0.1", "--seed", "4")
    straight = {"channels": [{"sequence": "FLAIR"}, {"sequence": "T1", "missing": "zero"}], "orientation": "LPS", "region": {"from": "auto"},
                "volume": {"size": [12, 16, 20], "spacing_mm": 1.7}, "window": {"percentile": [1, 99]}, "normalise": {"mean": 0.5, "std": 0.25}}
    oblique = {"channels": [{"sequence": "T1"}], "orientation": "PIL", "edge": "zero", "region": {"from": "whole"},
               "volume": {"size": [14, 24, 10], "spacing_mm": 7.0}, "window": {"percentile": [1, 99]}}
    net = {"straight": network(2, 1), "oblique": network(1, 2)}
    for name, planes, size in (("straight", 2, (12, 16, 20)), ("oblique", 1, (14, 24, 10))):
        torch.onnx.export(net[name], torch.zeros(1, planes, *size), f"{tmp}/{name}.onnx", opset_version=13, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    job = {"job": "deep", "cohort": "cohort", "unit": "lesion", "classes": CLASSES, "inputs": {"straight": straight, "oblique": oblique},
           "models": [{"name": n, "file": f"{n}.onnx", "input": n, "activation": "softmax"} for n in net], "cam": {"write": "slice"}}
    yaml.safe_dump(job, open(f"{tmp}/job.yaml", "w"), sort_keys=False)
    db = f"{tmp}/a.sqlite"
    call(program, "run", f"{tmp}/job.yaml", "--db", db, "--quiet", want=3)  # some lack T1: 'oblique' has no image
    counts = {}
    for name, spec in (("straight", straight), ("oblique", oblique)):
        counts[name] = check_maps(tmp, db, spec, net[name], name)
    n = len(table(f"{tmp}/cohort/lesions.tsv"))
    assert counts["straight"][0] == n >= 14 and n > counts["oblique"][0] >= n - 6, (counts, n)
    assert counts["straight"][1] > n / 2 and counts["straight"][2] == n, counts
    assert any(r["peak_k"] != r["stored_slice"] for r in rows(db, MAPS) if r["model"] == "straight")
    print(n, "lesions,", counts)

    if shutil.which("mpirun"):
        call(program, "run", f"{tmp}/job.yaml", "--db", f"{tmp}/b.sqlite", "--batch", "3", "--threads", "2", "--quiet", want=3, ranks=3)
        assert rows(f"{tmp}/b.sqlite", MAPS) == rows(db, MAPS) and files(f"{tmp}/b.sqlite") == files(db)

    # contact sheets: the slice of the peak, where the overlay is at its reddest
    call(program, "cams", db, "-o", f"{tmp}/out", "--count", "4", "--model", "straight")
    sheets, maps = table(f"{tmp}/out/sheets.tsv"), {t["number"]: t for t in table(f"{tmp}/out/maps.tsv")}
    assert len(sheets) >= 8 and all(t["missing"] == "" for t in sheets), sheets
    deep = {(r["patient"], r["lesion"]): r for r in rows(db, MAPS) if r["model"] == "straight"}
    for t in sheets:
        r = deep[maps[t["number"]]["patient"], maps[t["number"]]["lesion"]]
        png = np.asarray(Image.open(f"{tmp}/out/{t['sheet']}"))
        left, top = 4 + (int(t["column"]) - 1) * (2 * 192 + 4) + 192, 4 + (int(t["row"]) - 1) * (192 + 4)
        red = png[top:top + 192, left:left + 192].astype(int)
        heat = (red[..., 0] - red[..., 2]).max()  # 0.6 * 255 where the map is at its largest, which is in the peak's slice
        assert heat >= 150, (t, r, heat)

    # the shipped job has maps
    shutil.copy(f"{source}/jobs/brain-mr/models/resnet3d.onnx", f"{tmp}/net.onnx")
    text = open(f"{source}/jobs/brain-mr.yaml").read().replace("brain-mr/cohort", "cohort").replace("brain-mr/models/resnet3d.onnx", "net.onnx")
    open(f"{tmp}/brain.yaml", "w").write(text)
    call(program, "run", f"{tmp}/brain.yaml", "--db", f"{tmp}/brain.sqlite", "--quiet")
    got = rows(f"{tmp}/brain.sqlite", "SELECT * FROM v_cam")
    assert len(got) == n == len(files(f"{tmp}/brain.sqlite")) and all(r["depth"] >= 1 and r["energy_inside"] is not None for r in got)

    # a network that sums over the depth before it averages has maps of rows and columns
    helper, value = onnx.helper, onnx.helper.make_tensor_value_info
    nodes = [helper.make_node("Conv", ["x", "k"], ["c"], kernel_shape=[12, 1, 1]), helper.make_node("Squeeze", ["c", "two"], ["s"]),
             helper.make_node("Relu", ["s"], ["r"]), helper.make_node("GlobalAveragePool", ["r"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    constants = [onnx.numpy_helper.from_array(np.ones((4, 2, 12, 1, 1), np.float32), "k"), onnx.numpy_helper.from_array(np.array([2], np.int64), "two")]
    graph = helper.make_graph(nodes, "g", [value("x", 1, ["n", 2, 12, 16, 20])], [value("y", 1, ["n", 4])], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), f"{tmp}/straight.onnx")
    said = call(program, "check", f"{tmp}/job.yaml", want=2)
    assert "maps are [16, 20], expected depth, rows and columns" in said and "model 'straight'" in said, said
    assert "expected depth" in call(program, "run", f"{tmp}/job.yaml", "--db", f"{tmp}/flat.sqlite", "--quiet", want=2)
