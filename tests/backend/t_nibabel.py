#!/usr/bin/env python3
"""Every NIfTI of the shared data: what load/ reads equals what nibabel reads now and what the index recorded; the broken ones fail,
each for its reason."""
import csv, itertools, json, os, subprocess, sys, tempfile

try:
    import nibabel as nib
    import numpy as np
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)
nib.imageglobals.logger.setLevel(50)

source, build = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
data = os.path.join(os.environ.get("RADCOHORT_SHARED", os.path.join(source, "../shared")), "data")
dump = os.path.join(build, "tests/backend/dump_volume")
if not os.path.exists(os.path.join(data, "index.tsv")):
    print("SKIP: no ../shared/data")
    sys.exit(77)

rows = [r for r in csv.DictReader(open(os.path.join(data, "index.tsv")), delimiter="\t")
        if r["kind"] in ("image", "label", "corrupt", "header only", "image data of .hdr")]
EXPECT = {  # what must not load, and why
    "quirks/nibabel/row_major.dconn.nii": "unsupported",
    "quirks/niivue/complex.nii.gz": "unsupported",
    "quirks/nibabel/nifti1.hdr": "notfound",
    "quirks/nibabel/nifti2.hdr": "notfound",
    "quirks/nibabel/analyze.hdr": "unsupported",
    "corrupt/zero_length.nii.gz": "truncated",
    "corrupt/all_zero_bytes_T1w.nii.gz": "format",
    "corrupt/header_only_T1w.nii": "truncated",
    "corrupt/not-nifti.nii": "format",
}
failures = []


def check(file, what, ok, detail=""):
    if not ok:
        failures.append(f"{file}: {what} {detail}")


with tempfile.TemporaryDirectory() as tmp:
    out = subprocess.run([dump, tmp] + [os.path.join(data, r["file"]) for r in rows], capture_output=True, text=True, check=True)
    check("all files", "nothing may be printed by nifticlib:", out.stderr == "", out.stderr)
    got = [json.loads(line) for line in out.stdout.splitlines()]
    assert len(got) == len(rows)
    loaded = refused = 0
    for n, (r, g) in enumerate(zip(rows, got)):
        f = r["file"]
        if f in EXPECT:
            check(f, "status", g["status"] == EXPECT[f], f'{g["status"]} ({g["error"]}), expected {EXPECT[f]}')
            check(f, "probe and load give the same reason", g["probe"] == g["status"], g["probe"])
            check(f, "the error names the file", os.path.basename(f).rsplit(".", 1)[0].split(".")[0] in g["error"], g["error"])
            refused += 1
            continue
        if g["status"] != "ok":
            check(f, "loads", False, g["error"])
            continue
        loaded += 1
        check(f, "probe agrees", g["probe_agrees"])
        img = nib.load(os.path.join(data, f))
        hdr = img.header
        raw = np.asanyarray(img.dataobj) if hdr.get_data_dtype().fields else None
        shape = list(hdr.get_data_shape())
        check(f, "shape", g["dim"][: g["n_dim"]] == shape and all(d == 1 for d in g["dim"][g["n_dim"]:]), f'{g["dim"]} {shape}')
        size = np.abs(img.affine[:3, :3]).max()
        check(f, "affine", np.allclose(g["affine"], img.affine, rtol=0, atol=2e-5 * size * max(shape[:3])),
              f'{np.abs(np.array(g["affine"]) - img.affine).max()}')
        check(f, "spacing", np.allclose(g["spacing"], [float(z) for z in hdr.get_zooms()[:3]], rtol=1e-6), g["spacing"])
        check(f, "orientation", g["orientation"] == "".join(nib.aff2axcodes(img.affine)), g["orientation"])
        check(f, "codes", [g["sform"], g["qform"]] == [int(hdr["sform_code"]), int(hdr["qform_code"])])
        check(f, "byte order", g["swapped"] == (hdr.endianness != {"little": "<", "big": ">"}[sys.byteorder]))
        check(f, "version", g["version"] == (2 if isinstance(hdr, nib.Nifti2Header) else 1))
        voxels = np.fromfile(os.path.join(tmp, f"{n}.f32"), dtype="<f4").reshape(shape, order="F")
        if raw is not None:
            want = (0.299 * raw["R"].astype(float) + 0.587 * raw["G"] + 0.114 * raw["B"]).astype(np.float32)
        else:
            with np.errstate(all="ignore"):
                want = img.get_fdata(dtype=np.float64).astype(np.float32)
        check(f, "voxels", np.array_equal(voxels, want, equal_nan=True), f"{np.count_nonzero(voxels != want)} differ")
        # against the index
        if r["kind"] == "image data of .hdr":
            continue
        dims = "x".join(str(d) for d in shape)
        check(f, "index shape", r["shape"] == dims, f'{r["shape"]} {dims}')
        check(f, "index type", r["datatype"] == g["type"], g["type"])
        check(f, "index orientation", r["orientation"] == g["orientation"])
        check(f, "index byte order", (r["endianness"] == sys.byteorder) != g["swapped"])
        zooms = [float(z) for z in r["voxel_size"].split("x")][:3]
        check(f, "index voxel size", np.allclose(g["spacing"][: len(zooms)], zooms, rtol=1e-4, atol=1e-5), g["spacing"])
        if float(r["scl_slope"]) != 0:
            check(f, "index slope", np.isclose(g["slope"], float(r["scl_slope"]), rtol=1e-5), g["slope"])
        else:
            check(f, "slope 0 means none", (g["slope"], g["inter"]) == (1, 0))
        if r["qform_sform_max_diff_mm"]:
            # The index has the largest single coordinate, load/ the distance. nibabel takes a quaternion within float32 rounding of
            # 180 degrees as exactly 180, nifticlib does not: up to 0.05 mm at the corners.
            last = [d - 1 for d in (shape + [1, 1])[:3]]
            corner = np.array([[i * d for i, d in zip(c, last)] + [1] for c in itertools.product((0, 1), repeat=3)])
            diff = (corner @ (img.get_sform() - img.get_qform()).T)[:, :3]
            check(f, "index form disagreement", abs(np.abs(diff).max() - float(r["qform_sform_max_diff_mm"])) < 1e-3, np.abs(diff).max())
            check(f, "form disagreement", abs(g["disagreement"] - np.linalg.norm(diff, axis=1).max()) < 0.05, g["disagreement"])
            check(f, "a warning above 1 mm", (g["disagreement"] > 1) == ("disagree by" in (g["warning"] or "")), g["warning"])
        if r["value_min"]:
            finite = want[~np.isnan(want)]
            check(f, "index value range", np.isclose(finite.min(), float(r["value_min"]), rtol=1e-5) and
                  np.isclose(voxels[~np.isnan(voxels)].max(), float(r["value_max"]), rtol=1e-5), f'{finite.min()} {finite.max()}')
            check(f, "index non-finite count", int(np.count_nonzero(~np.isfinite(voxels))) == int(r["nonfinite"]))
    print(f"{loaded} files loaded as nibabel reads them, {refused} refused with a typed reason, {len(failures)} differences")
for line in failures:
    print("FAIL", line)
sys.exit(1 if failures else 0)
