"""Every function on small odd data (constants, one class, one row, infinities, huge and tiny numbers, missing values): a document or a refusal that
says what was expected, never a crash, never invalid JSON. Under the sanitizers this also finds undefined arithmetic."""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engines

build = os.environ["RAD_BUILD"]
r = random.Random(20240229)
ROUNDS = int(os.environ.get("RAD_ODD_ROUNDS", "12"))


def functions():
    """name, columns, args, kind: from the table itself (the request "?" of call.c)."""
    out = subprocess.run([os.path.join(build, "tests", "radstats_call")], input="?\n", capture_output=True, text=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def number(kind):
    if kind == 0:
        return float(r.randint(0, 1))
    if kind == 1:
        return r.random()
    if kind == 2:
        return r.choice([0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, 5e-324, 0.1 + 0.2, 0.3, 2.0 ** 53])
    if kind == 3:
        return r.choice([float("inf"), float("-inf"), 0.5, 0.5, 1.0])
    return 7.0


def column(letter, n):
    kind, missing = r.randrange(5), r.choice([0, 0, 0.3, 1])
    if letter == "c" or (letter == "a" and r.random() < 0.3):
        words = r.choice([["a", "b"], ["only"], ["1", "2", "10"], [f"w{i}" for i in range(n + 1)]])
        return [None if r.random() < missing else r.choice(words) for _ in range(n)]
    return [None if r.random() < missing else number(kind) for _ in range(n)]


def main():
    e, calls, refused = engines.C(build), 0, 0
    listed = functions()
    if len(listed) < 100:
        print("FAIL: the list of functions is short")
        return 1
    for name, columns, args, kind in listed:
        for _ in range(ROUNDS):
            n = r.choice([0, 1, 2, 3, 5, 12, 40])
            letters = columns.rstrip("+")
            if columns.endswith("+"):
                letters += letters[-1] * r.randrange(3)
            cols = [column(c, n) for c in letters]
            if letters and r.random() < 0.7 and letters[0] in "na":
                cols[0] = [float(r.randint(0, 1)) for _ in range(n)]
            constants = [r.choice([None, 0.5, 0.9, 10.0, 0.0, -1.0, 1e9] if c == "n" else [None, "youden", "a", "0.5", "x1 ~ x2", "REML", "holm", "95%"]) for c in args]
            if name in ("power_auc_diff", "power_detectable_diff", "power_auc_diff_json"):
                constants = constants[:5]
            if r.random() < 0.6:
                constants = [None if not columns.endswith("+") or kind == "2" else c for c in constants]
            constants = [20.0 if "bootstrap" in name and c == 1e9 else c for c in constants]
            try:
                e.call(name, cols, constants, names=[f"x{i + 1}" for i in range(len(cols))])
            except engines.Failed as why:
                refused += 1
                if "died" in str(why):
                    print(f"FAIL: {name} {cols} {constants}")
                    return 1
            calls += 1
    print(f"{calls} calls, {refused} refused with a reason")
    return 0


sys.exit(main())
