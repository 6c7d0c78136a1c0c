#!/usr/bin/python3
"""The table definitions in schemas/cohort/ list the same columns as the reader, in the same order and strictness; and the good cohort of the
corpus satisfies their patterns and ranges."""
import csv
import json
import os
import re
import subprocess
import sys

source, build = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
tool = os.path.join(build, "tests", "test_cohort_tables")
if not os.path.exists(tool):
    print("SKIP: tests/test_cohort_tables is not built")
    sys.exit(77)
REQUIRED, FILLED, STATED, KEEP_NA = 1, 2, 4, 8
need_word = {REQUIRED | FILLED: "id", REQUIRED | STATED: "stated", STATED: "stated-if-there", 0: "optional", KEEP_NA: "optional"}
failures = []
reader = {}
for line in subprocess.run([tool, "--dump"], check=True, capture_output=True, text=True).stdout.splitlines():
    table, required, covariates, column, need = line.split("\t")
    reader.setdefault(table, (required == "1", covariates == "1", []))[2].append((column, need_word[int(need)]))
folder = os.path.join(source, "schemas/cohort")
names = sorted(f[:-len(".schema.json")] for f in os.listdir(folder) if f.endswith(".schema.json"))
if names != sorted(reader):
    failures.append(f"tables {names}, the reader has {sorted(reader)}")
readme = open(os.path.join(folder, "README.md"), encoding="utf-8").read()
for table, (required, covariates, columns) in reader.items():
    d = json.load(open(os.path.join(folder, table + ".schema.json"), encoding="utf-8"))
    listed = [(f["name"], f["radcohort:need"]) for f in d["fields"]]
    if listed != columns:
        failures.append(f"{table}: {listed}, the reader has {columns}")
    if d["radcohort:required"] != required or (d["radcohort:further_columns"] == "covariates") != covariates:
        failures.append(f"{table}: required or covariates differ")
    if any(k not in dict(columns) for k in d["primaryKey"]) or d["name"] != table:
        failures.append(f"{table}: primary key or name")
    if not re.search(rf"^\| `{table}` \|.*\| {'yes' if required else 'no'} \|$", readme, re.M):
        failures.append(f"{table}: not in README.md")
    with open(os.path.join(source, "tests/cli/corpus/base/cohort", table + ".tsv"), encoding="utf-8") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    for field in d["fields"]:
        c = field.get("constraints", {})
        for row in rows:
            v = row.get(field["name"], "") or ""
            if v in d["missingValues"] or v == "90+":
                continue
            bad = "enum" in c and v not in c["enum"] or "pattern" in c and not re.fullmatch(c["pattern"], v)
            bad = bad or "minimum" in c and not c["minimum"] <= float(v) <= c["maximum"]
            if bad:
                failures.append(f"{table}.{field['name']}: '{v}' of the good cohort does not fit {c}")
for f in failures:
    print("FAIL:", f)
print(f"{sum(len(c[2]) for c in reader.values())} columns: {len(failures)} failures")
sys.exit(1 if failures else 0)
