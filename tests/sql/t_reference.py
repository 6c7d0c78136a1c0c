"""Every check of ../shared/stats/expected, through SQL and through C, judged by ../shared/stats/compare.py.

t_reference.py [-v] [topic ...]"""
import glob
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engines
from reference_map import Data, answer, Unknown

# Checks that are not judged, each with its reason. All are of level "optional".
NOT_JUDGED = {
    "meta/sites_raw/PM": "metafor's uniroot stops at 1e-4; ours solves Q(tau2) = k - 1 to rounding (test_stats_methods)",
    "meta/thirdparty_bcg/PM": "as above",
    "cluster_prop/renal_s_nep/spec": "bootstrap limit of a share of 32 cases lies on a step of 1/32; the reference took the other side",
}

source = os.environ.get("RAD_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
shared = os.path.join(os.environ.get("RADCOHORT_SHARED", os.path.join(source, "..", "shared")), "stats")
build = os.environ.get("RAD_BUILD", os.path.join(source, "build"))


def main():
    if not os.path.exists(os.path.join(shared, "compare.py")):
        print(f"SKIP: no reference values at {shared}")
        return 77
    topics = [a for a in sys.argv[1:] if not a.startswith("-")]
    verbose = "-v" in sys.argv
    data, bad = Data(shared), 0
    both = [engines.C(build)]
    if os.environ.get("RAD_SANITIZE"):
        print("SQL left out: an instrumented extension does not load into a plain Python; the C half runs the same functions")
    else:
        both.insert(0, engines.Sql(build))
    for engine in both:
        results, silent = {}, {}
        for path in sorted(glob.glob(os.path.join(shared, "expected", "*.json"))):
            topic = os.path.basename(path)[:-5]
            if topics and topic not in topics:
                continue
            for check in json.load(open(path))["checks"]:
                if check["id"] in NOT_JUDGED:
                    continue
                try:
                    results[check["id"]] = answer(check, data, engine)
                except Unknown:
                    silent[check["stat"]] = silent.get(check["stat"], 0) + 1
                except (engines.Failed, KeyError, TypeError, IndexError, ValueError) as e:
                    print(f"{engine.name}: {check['id']}: {type(e).__name__}: {e}")
                    if verbose:
                        import traceback
                        traceback.print_exc()
                    bad += 1
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(results, f)
            f.flush()
            cmd = [sys.executable, os.path.join(shared, "compare.py"), os.path.join(shared, "expected"), f.name]
            cmd += ["--topic", ",".join(topics)] if topics else []
            r = subprocess.run(cmd + (["-v"] if verbose else []), stdout=subprocess.PIPE, text=True)
        print(f"== {engine.name}: {len(results)} checks answered; without an answer: {silent or 'none'}")
        print(r.stdout)
        bad += r.returncode != 0 or bool(silent)
    print("not judged:")
    for name, why in NOT_JUDGED.items():
        print(f"  {name}: {why}")
    return 1 if bad else 0


sys.exit(main())
