"""Two ways to the same statistic: SQL (the loadable extension) and C (tests/sql/call.c). Both return the JSON document of a function."""
import json
import math
import os
import sqlite3
import subprocess


def cell(x):
    if x is None or (isinstance(x, float) and math.isnan(x)):
        return "\\N"
    return "%.17g" % x if isinstance(x, float) else str(x)


class Failed(Exception):
    pass


class Sql:
    name = "SQL"

    def __init__(self, build):
        self.db = sqlite3.connect(":memory:")
        self.db.enable_load_extension(True)
        self.db.load_extension(os.path.join(build, "radstats"))
        self.kind = {n: k for n, k in self.db.execute("SELECT name, kind FROM radstats_functions")}

    def call(self, name, columns, args, first=False, names=None):
        """The document of `name`. `first`: constants stand before the columns (functions whose columns repeat). `names`: of the columns."""
        q = ",".join("?" * len(args))
        try:
            if self.kind[name] == "scalar":
                (doc,) = self.db.execute(f"SELECT {name}({q})", args).fetchone()
                return json.loads(doc) if isinstance(doc, str) else {"value": doc}
            cols = [f"c{i}" for i in range(len(columns))]
            self.db.execute("DROP TABLE IF EXISTS t")
            self.db.execute(f"CREATE TABLE t({','.join(cols)})")
            self.db.executemany(f"INSERT INTO t VALUES({','.join('?' * len(columns))})", zip(*columns))
            if self.kind[name] == "table":
                inner = ",".join(f'{c} AS "{n}"' for c, n in zip(cols, names or cols))
                sql = f"SELECT document FROM {name}('SELECT {inner} FROM t'{''.join(',?' for _ in args)}) LIMIT 1"
            elif first:
                sql = f"SELECT {name}({q}{',' if args else ''}{','.join(cols)}) FROM t"
            else:
                sql = f"SELECT {name}({','.join(cols)}{''.join(',?' for _ in args)}) FROM t"
            (doc,) = self.db.execute(sql, args).fetchone()
            return json.loads(doc)
        except sqlite3.Error as e:
            raise Failed(str(e))


class C:
    name = "C"

    def __init__(self, build):
        self.p = subprocess.Popen([os.path.join(build, "tests", "radstats_call")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, name, columns, args, first=False, names=None):
        n = len(columns[0]) if columns else 0
        out = [f"{name} {len(args)} {len(columns)} {n}"] + [cell(a) for a in args]
        out.append("\t".join(names or (f"c{i}" for i in range(len(columns)))))
        out += ["\t".join(cell(c[i]) for c in columns) for i in range(n)]
        self.p.stdin.write("\n".join(out) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if line.startswith("ERROR") or not line:
            raise Failed(line.strip() or "call.c died")
        return json.loads(line)
