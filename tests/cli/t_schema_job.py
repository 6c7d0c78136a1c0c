#!/usr/bin/python3
"""The job reader, schemas/job.schema.json and jobs/README.md say the same: keys, kinds, ranges, words, defaults; and reader and schema
give the same verdict on a corpus of valid and invalid jobs. Each invalid job names in its first lines what the reader must say
('# expect: ...'); '# schema: cannot' marks a rule that a schema cannot express (the schema must then accept it: the list stays honest)."""
import glob
import json
import os
import subprocess
import sys

source, build = os.environ["RAD_SOURCE"], os.environ["RAD_BUILD"]
try:
    import jsonschema
    import yaml
except ImportError as e:
    print(f"SKIP: {e.name} is not installed (python3-jsonschema, python3-yaml)")
    sys.exit(77)
tool = os.path.join(build, "tests", "test_job_keys")
if not os.path.exists(tool):
    print("SKIP: tests/test_job_keys is not built")
    sys.exit(77)

failures = []


def check(ok, text):
    if not ok:
        failures.append(text)


schema = json.load(open(os.path.join(source, "schemas/job.schema.json"), encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
table = json.loads(subprocess.run([tool, "--dump"], check=True, capture_output=True, text=True).stdout)
readme = open(os.path.join(source, "jobs/README.md"), encoding="utf-8").read()

# ------------------------------------------------------------ table against schema
groups = {"job": schema, **schema["$defs"]}
check(set(groups) == set(table), f"groups differ: {sorted(set(groups) ^ set(table))}")


def limits(node, key, where):
    low = node.get("exclusiveMinimum" if key["above_min"] else "minimum")
    check(low == key["min"] and node.get("maximum") == key["max"], f"{where}: range {low} to {node.get('maximum')} in the schema, "
          f"{key['min']} to {key['max']} in the reader")
    check(node["type"] == ("integer" if key["kind"] in ("int", "ints") else "number"), f"{where}: type {node['type']}")


def compare(key, node, where):
    kind = key["kind"]
    default = node.get("default")
    if key["preset"] is None:
        check(default is None, f"{where}: default {default} in the schema only")
    else:
        check(default == yaml.safe_load(key["preset"]), f"{where}: default {default} in the schema, {key['preset']} in the reader")
    if "$ref" in node:
        check(kind == "map" and node["$ref"] == "#/$defs/" + key["group"], f"{where}: {node['$ref']}")
        return
    check(node.get("description"), f"{where}: no description")
    if kind in ("text", "name", "axes", "sha256"):
        check(node["type"] == "string" and "pattern" in node, f"{where}: a text needs a pattern")
    elif kind == "word":
        check(node["enum"] == key["words"], f"{where}: words {node['enum']} in the schema, {key['words']} in the reader")
    elif kind == "either":
        word, number = node["oneOf"]
        check(word["enum"] == key["words"], f"{where}: words")
        limits(number, {**key, "kind": "number"}, where)
    elif kind == "bool":
        check(node["type"] == "boolean", f"{where}: type")
    elif kind in ("int", "number"):
        limits(node, key, where)
    elif kind in ("ints", "numbers"):
        one, many = node["oneOf"]
        limits(one, key, where)
        limits(many["items"], key, where)
        check((many["minItems"], many["maxItems"]) == (key["min_items"], key["max_items"]), f"{where}: number of items")
    elif kind in ("texts", "words", "maps"):
        check((node["minItems"], node["maxItems"]) == (key["min_items"], key["max_items"]), f"{where}: number of items")
        if kind == "words":
            check(node["items"]["enum"] == key["words"] and node["uniqueItems"], f"{where}: words")
        if kind == "texts":
            check(node["uniqueItems"], f"{where}: items may repeat")
        if kind == "maps":
            check(node["items"] == {"$ref": "#/$defs/" + key["group"]}, f"{where}: items")
    elif kind == "named":
        check((node["minProperties"], node["maxProperties"]) == (key["min_items"], key["max_items"]), f"{where}: number of entries")
        check(node["additionalProperties"] == {"$ref": "#/$defs/" + key["group"]}, f"{where}: entries")
    else:
        check(False, f"{where}: kind {kind}")


for name, keys in table.items():
    node = groups.get(name, {})
    check(node.get("additionalProperties") is False, f"{name}: additionalProperties is not false")
    check(set(node.get("properties", {})) == {k["name"] for k in keys}, f"{name}: keys differ: "
          f"{sorted(set(node.get('properties', {})) ^ {k['name'] for k in keys})}")
    check(set(node.get("required", [])) == {k["name"] for k in keys if k["required"]}, f"{name}: required keys differ")
    for key in keys:
        if key["name"] in node.get("properties", {}):
            compare(key, node["properties"][key["name"]], f"{name}.{key['name']}")
        row = [line for line in readme.splitlines() if line.startswith("| `" + key["name"] + "`")]
        check(row, f"jobs/README.md has no row for `{key['name']}` of {name}")
        words = key["words"] + ([key["preset"]] if key["preset"] else [])
        check(any(all(f"`{w}`" in line for w in words) for line in row), f"jobs/README.md, `{key['name']}` of {name}: not all of {words}")

# ------------------------------------------------------------ verdicts


def schema_accepts(text):
    try:
        return not list(validator.iter_errors(yaml.safe_load(text)))
    except yaml.YAMLError:
        return False


corpus = os.path.join(source, "tests/cli/corpus/jobs")
valid, invalid = sorted(glob.glob(corpus + "/valid/*.yaml")), sorted(glob.glob(corpus + "/invalid/*.yaml"))
check(len(valid) >= 10 and len(invalid) >= 30, "the corpus is too small")
for path in valid + sorted(glob.glob(os.path.join(source, "jobs/*.yaml"))):
    r = subprocess.run([tool, "--read", path], capture_output=True, text=True)
    check(r.returncode == 0 and not r.stdout, f"{path}: the reader says {r.stdout}")
    check(schema_accepts(open(path, encoding="utf-8").read()), f"{path}: refused by the schema")
for path in invalid:
    text = open(path, encoding="utf-8").read()
    head = [line[2:] for line in text.splitlines() if line.startswith("# ")]
    expected = [line[len("expect: "):] for line in head if line.startswith("expect: ")]
    r = subprocess.run([tool, "--read", path], capture_output=True, text=True)
    name = os.path.basename(path)
    check(r.returncode == 2, f"{name}: exit {r.returncode}, expected 2")
    check(expected, f"{name}: expects nothing")
    for e in expected:
        check(e in r.stdout, f"{name}: expected '{e}', got\n{r.stdout}")
    if name != "all-mistakes-at-once.yaml" and len(expected) == 1:
        check("1 error, 0 warnings" in r.stdout, f"{name}: one mistake, but\n{r.stdout}")
    check(schema_accepts(text) == ("schema: cannot" in head), f"{name}: the schema {'accepts' if schema_accepts(text) else 'refuses'} it")

for f in failures:
    print("FAIL:", f)
print(f"{sum(map(len, table.values()))} keys, {len(valid)} valid and {len(invalid)} invalid jobs: {len(failures)} failures")
sys.exit(1 if failures else 0)
