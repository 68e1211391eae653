"""The conformance suite on connectors and their real server: every rule passes, or says why it does not apply.

    conformance.check(self, manifest, "127.0.0.1:5432", reasons=[...], restart="postgresql")

DATAFLOW_LONG=1: also the rules that a suite calls slow.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/conformance"))
import suite_kit  # noqa: E402

LONG = bool(os.environ.get("DATAFLOW_LONG"))
# Groups that run beside each other: they have names of their own, so they do not meet on the server.
BESIDE = ({"lifecycle", "settings", "source"}, {"sink", "types", "identifiers"})
# Of every server.
REASONS = ("nothing within 3 s; with all the time it has", "with these settings the sink does not store the position with the rows",
           "the sink has one write on its way at a time", "which is too much for --quick")


def flow(source, sink):
    return {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": "conformance"}, "spec": {"source": source, "sink": sink}}


def all_rules():
    done = subprocess.run([suite_kit.DATAFLOW, "connector", "test", "--list-rules"], capture_output=True, text=True, check=True)
    return [line.split("`")[1] for line in done.stdout.splitlines() if line.startswith("| `")]


def run(manifest, rules, *options):
    """The passport's rules, and what was printed."""
    with tempfile.TemporaryDirectory(prefix="df-conformance-") as holder:
        folder = pathlib.Path(holder)
        (folder / "flow.yaml").write_text(json.dumps(manifest))
        done = suite_kit.connector_test(folder, "--quick", "--report", "passport.json", *options, *(o for r in rules for o in ("--rule", r)),
                                        "flow.yaml", timeout=900)
        return done.passport["rules"] if done.passport else [], done.stdout + done.stderr


def check(case, manifest, address, reasons, *options, restart=None, groups=(), slow=()):
    """reasons: texts, one of which stands in what a rule says that does not apply. restart: the service. groups: only these. slow: rules
    for DATAFLOW_LONG only."""
    rules = [r for r in all_rules() if (not groups or r.split(".")[0] in groups or r in groups) and (LONG or r not in slow)]
    left = [r for r in all_rules() if r in slow and not LONG]
    if left:
        print(f"SKIPPED {case.id()}: {len(left)} rules that take long: DATAFLOW_LONG=1: {', '.join(left)}", flush=True)
    together = [r for r in rules if r.endswith(".restart")]  # which disturbs the others
    parts = [[r for r in rules if r.split(".")[0] in part and r not in together] for part in BESIDE]
    options = ("--server", address, *options)
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
        runs = list(pool.map(lambda part: run(manifest, part, *options), [part for part in parts if part]))
    if restart and together:
        script = ROOT / "test/services" / restart
        runs.append(run(manifest, together, *options, "--restart", f"{script} stop && {script} start"))
    seen = [rule for passport, _ in runs for rule in passport]
    printed = "\n".join(text for _, text in runs)
    case.assertEqual([f"{r['rule']}: {r['seen']}" for r in seen if r["verdict"] == "fail"], [], printed[-8000:])
    case.assertEqual(sorted(r["rule"] for r in seen), sorted(r for r in rules if restart or r not in together), printed[-3000:])
    odd = [f"{r['rule']}: {r['seen']}" for r in seen
           if r["verdict"] == "not applicable" and not any(reason in r["seen"] for reason in (*REASONS, *reasons))]
    case.assertEqual(odd, [], "rules that do not apply for another reason than those that are known")
