#!/usr/bin/env python3
"""Real DICOM series of several vendors against the NIfTI that dcm2niix made of them elsewhere: voxels and affine are equal. Slices lead back to
their instance. Needs ../shared/data."""
import csv
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

shared = os.path.join(os.environ.get("RADCOHORT_SHARED") or os.path.join(os.environ["RAD_SOURCE"], "..", "shared"), "data")
if not os.path.isdir(shared):
    print("SKIP: ../shared/data is not there")
    sys.exit(77)
if not shutil.which("dcm2niix"):
    print("SKIP: dcm2niix is not installed")
    sys.exit(77)
import nibabel
import numpy as np

PAIRS = {  # folder of the series: expected image, sequence by the built-in rules ('' none)
    "body/nijmegen-prostatex/dicom_ProstateX-0000_ADC": ("body/nijmegen-prostatex/ProstateX-0000_ADC.nii.gz", "ADC"),
    "body/nijmegen-prostatex/dicom_ProstateX-0000_PD": ("body/nijmegen-prostatex/ProstateX-0000_PD.nii.gz", "PD"),
    "quirks/torchio-mistagged/dicom": ("quirks/torchio-mistagged/IMG_tagged_ct.nii.gz", "CT"),
    "neuro/ge-nih/dicom_mr_0004": ("neuro/ge-nih/DCM2NIIX_regression_test_4.nii", ""),
    "neuro/siemens-nih/dicom_mr_0003": ("neuro/siemens-nih/EPI_PE=AP_3.nii", ""),
    "neuro/philips-magdeburg/dicom_fmri": ("neuro/philips-magdeburg/EPI_asc_CLEAR_201.nii", ""),
}
failures = []
with tempfile.TemporaryDirectory() as work:
    for i, folder in enumerate(PAIRS):
        shutil.copytree(os.path.join(shared, folder), os.path.join(work, "tree", f"site{i}"))
    with open(os.path.join(work, "rules.yaml"), "w") as f:
        f.write(subprocess.run([os.environ["RADCOHORT"], "convert", "--print-rules"], capture_output=True, text=True).stdout)
        f.write("  - {name: rest, sequence: rest}\npatient_id: per-center\n")
    p = subprocess.run([os.environ["RADCOHORT"], "convert", "tree", "-o", "c", "--rules", "rules.yaml", "--center-from", "folder:1", "--json",
                        "--source-list", "sources.tsv"], cwd=work, capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(f"FAIL: exit {p.returncode}: {p.stderr}")
    rows = {r["series"]: r for r in json.loads(p.stdout)["rows"]}
    with open(os.path.join(work, "sources.tsv"), encoding="utf-8") as f:
        sources = list(csv.DictReader(f, delimiter="\t"))
    for s in sources:
        n = int(s["first_file"].split("/site")[1].split("/")[0])
        folder, (expected, sequence) = list(PAIRS.items())[n]
        row = rows[s["series"]]
        got, want = nibabel.load(os.path.join(work, "c", row["path"])), nibabel.load(os.path.join(shared, expected))
        if got.shape != want.shape or not np.array_equal(got.get_fdata(), want.get_fdata()) or not np.array_equal(got.affine, want.affine):
            failures.append(f"{folder}: voxels or affine differ ({got.shape}, {want.shape})")
        if row["sequence"] != (sequence or "rest"):
            failures.append(f"{folder}: sequence {row['sequence']}")
        slices = list(csv.DictReader(open(os.path.join(work, "c", row["path"].replace(".nii.gz", "_slices.tsv"))), delimiter="\t"))
        kind = "mosaic" if "siemens" in folder else "position"
        if len(slices) != np.prod(got.shape[2:]) or {x["source"] for x in slices} != {kind}:
            failures.append(f"{folder}: {len(slices)} slices, {({x['source'] for x in slices})}")
        instances = {x["instance_number"] for x in slices}
        if len(instances) != len(glob.glob(os.path.join(shared, folder, "*"))) or "n/a" in instances:
            failures.append(f"{folder}: {len(instances)} instances in the table of slices")
    if len(sources) != len(PAIRS):
        failures.append(f"{len(sources)} series of {len(PAIRS)}")
for f in failures:
    print("FAIL:", f)
print(f"{len(PAIRS)} series, {len(failures)} failures")
sys.exit(1 if failures else 0)
