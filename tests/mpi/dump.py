#!/usr/bin/python3
"""Prints what a run found, in a fixed order, floats in hexadecimal, without anything that may differ between equal runs.

usage: dump.py DATABASE [RUN]      default: all runs of the file"""
import sqlite3
import sys

which = " WHERE run_id = %d" % int(sys.argv[2]) if len(sys.argv) > 2 else ""
db = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True)


def show(title, sql):
    print("#", title)
    for row in sorted(db.execute(sql), key=lambda r: tuple(str(v) for v in r)):
        print("\t".join(v.hex() if isinstance(v, float) else str(v) for v in row))


def columns(view):
    return [r[1] for r in db.execute("PRAGMA table_info(%s)" % view)]


drop = {"run_id", "case_id", "result_id", "rank", "host", "device", "image_id", "volume_id"}
for view in ("v_slice_score", "v_case_score", "v_exclusion"):
    kept = [c for c in columns(view) if c not in drop]
    assert kept, "no view " + view
    show(view + " " + " ".join(kept), "SELECT %s FROM %s%s" % (", ".join(kept), view, which))
print("# state", *db.execute("SELECT state FROM run" + which).fetchall())
