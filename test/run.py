#!/usr/bin/env python3
"""Runs the test suites and ends with one line: N passed, N failed, N skipped.

    test/run.py              all suites, several at once: see LANES
    test/run.py unit cli     some of them, one after the other
    test/run.py --list       what there is

Each suite is a function below that builds what it needs, runs, and reports single results. A suite that cannot run says why: a
skip is loud, and in CI (CI=true) a suite that could not be built or started is a failure.
"""
import concurrent.futures
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = str(os.cpu_count() or 2)
FUZZ_SECONDS = os.environ.get("DATAFLOW_FUZZ_SECONDS", "8")


# The lines that say why: of cmocka (what was expected, and where), of a sanitizer.
CAUSE = re.compile(r"\[ +(?:ERROR|LINE) +\] --- .*|SUMMARY: .*|[^ ]+: runtime error: .*")


class Results:
    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []

    def ok(self, n=1):
        self.passed += n

    def fail(self, name, detail=""):
        told = CAUSE.findall(detail)[:4] or detail.rstrip().splitlines()[-1:]
        self.failures.append((name, "; ".join(line.strip() for line in told)))
        print(f"FAILED  {name}")
        for line in detail.rstrip().splitlines()[-60:]:
            print(f"        {line}")

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIPPED {name}: {why}")


def run(*command, env=None, timeout=1800, cwd=ROOT):
    merged = dict(os.environ, **(env or {}))
    return subprocess.run([str(c) for c in command], env=merged, timeout=timeout, cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")


def build(folder, *setup, env=None, targets=()):
    """Configures once and builds. Returns the folder; raises with the compiler's output."""
    path = ROOT / folder
    path.mkdir(exist_ok=True)
    with open(path / ".lock", "w") as lock:  # suites that run at once share folders
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path / "build.ninja").exists():
            done = run("meson", "setup", path, "-Dwerror=true", *(setup if "-Dtests=disabled" in setup else ("-Dtests=enabled", *setup)), env=env)
            if done.returncode:
                raise RuntimeError(done.stdout)
        done = run("ninja", "-C", path, "-j", JOBS, *targets, env=env)
        if done.returncode:
            raise RuntimeError(done.stdout[-6000:])
    return path


CMOCKA = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+)$", re.M)


def run_unit_tests(results, folder, env=None, suite="unit"):
    """Runs every executable of a Meson suite and counts cmocka's single tests."""
    done = run("meson", "test", "-C", folder, "--suite", suite, "--no-rebuild", "--num-processes", JOBS,
               "--timeout-multiplier", "10", "--logbase", f"testlog-{suite}", env=env)  # suites run beside each other in one folder
    log = folder / "meson-logs" / f"testlog-{suite}.json"
    if not log.exists():
        results.fail(f"{folder.name}: meson test", done.stdout)
        return
    lines = log.read_text().splitlines()
    if not lines:
        results.fail(f"{folder.name}: meson test ran nothing", done.stdout)
    for line in lines:
        test = json.loads(line)
        output = test.get("stdout", "") + test.get("stderr", "")
        single = CMOCKA.findall(output)
        failed = sorted({name for state, name in single if state == "FAILED" and not name.isdigit()})
        results.ok(sum(state == "OK" for state, _ in single))
        why = "; ".join(re.findall(r"SKIPPED: (.*)", output)) or "the test does not say why"
        for name in sorted({name for state, name in single if state == "SKIPPED" and not name.isdigit()}):
            results.skip(f"{folder.name}: {test['name']}: {name}", why)
        if test["result"] != "OK" and not failed:
            results.fail(f"{folder.name}: {test['name']} ({test['result']})", output)
        for name in failed:
            results.fail(f"{folder.name}: {test['name']}: {name}", output)


def suite_unit(results):
    """unit tests with gcc"""
    run_unit_tests(results, build("build"))


def suite_clang(results):
    """the whole tree with clang, without a warning"""
    build("build-clang", env={"CC": "clang"})
    results.ok()


SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:allocator_may_return_null=1",
}


ASAN = ("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debug", "-Doptimization=1")


def suite_asan(results):
    """unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"""
    run_unit_tests(results, build("build-asan", *ASAN), SANITIZER_ENV)


TSAN = ("-Db_sanitize=thread", "-Db_lundef=false", "-Dbuildtype=debug", "-Doptimization=1")


def suite_tsan(results):
    """unit tests under ThreadSanitizer"""
    run_unit_tests(results, build("build-tsan", *TSAN), SANITIZER_ENV)


def run_python(results, folder):
    """Every test_*.py of a folder (unittest), on build/dataflow."""
    build("build")
    os.environ.setdefault("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
    loaded = unittest.defaultTestLoader.discover(str(ROOT / folder), top_level_dir=str(ROOT / folder))
    outcome = unittest.TestResult()
    loaded.run(outcome)
    bad = outcome.failures + outcome.errors
    for test, trace in bad:
        results.fail(f"{folder}: {test.id()}", trace)
    for test, why in outcome.skipped:
        results.skip(f"{folder}: {test.id()}", why)
    results.ok(outcome.testsRun - len({test.id() for test, _ in bad}) - len(outcome.skipped))


def suite_minimal(results):
    """without any driver: it builds, and what is generated is the same"""
    folder = build("build-minimal", "-Dauto_features=disabled", "-Dtests=disabled", targets=("src/cmd/dataflow",))
    for target, committed in (("docs", "docs/reference"), ("schema", "docs/reference"), ("crd", "config/crd")):
        fresh = folder / "generated" / target
        fresh.mkdir(parents=True, exist_ok=True)
        run(folder / "src/cmd/dataflow", "generate", target, fresh)
        differ = [p.name for p in fresh.iterdir() if p.read_bytes() != (ROOT / committed / p.name).read_bytes()]
        if differ or not any(fresh.iterdir()):
            results.fail(f"minimal: generate {target}", f"differs from {committed}: {differ}")
        else:
            results.ok()


def suite_cli(results):
    """the program end to end: commands, errors, exit codes, examples"""
    run_python(results, "test/cmd")


def suite_plugin(results):
    """connectors in shared objects: built outside the tree against what is installed, loaded, refused; the ABI"""
    run_python(results, "test/plugin")


def suite_conformance(results):
    """the conformance suite: as a library, as a command, on the connectors that need no server"""
    run_unit_tests(results, build("build"), suite="conformance")
    run_python(results, "test/conformance")


def suite_mutants(results):
    """the conformance suite passes what `connector new` writes, and fails each broken variant of it"""
    run_python(results, "test/conformance/mutants")


def suite_skeleton(results):
    """`connector new`: in a copy of the tree, as a shared object, as a program in Python and in C; built, run, through the conformance suite"""
    run_python(results, "test/skeleton")


def suite_subprocess(results):
    """connectors that are programs: both protocols, every fault, kill -9, secrets"""
    run_python(results, "test/subprocess")


def suite_rules(results):
    """include rule, generated files up to date, examples and documentation"""
    run_python(results, "test/rules")


def suite_chart(results):
    """the Helm chart, the plain manifests, the samples, the image: what is rendered, granted, alerted on, packed"""
    run_python(results, "test/chart")


def suite_kill(results):
    """kill -9 at random instants"""
    run_python(results, "test/kill")


# What a sanitizer can find in: threads that meet, memory that a failure path forgets. Without what takes long or counts time.
SANITIZED_FAULTS = ("test_faults_poison", "test_faults_stop.Hang", "test_faults_outage.Outage", "test_faults_pipelined",
                    "test_faults_crash.Crash.test_an_error_sink_has_every_record",
                    "test_faults_crash.Crash.test_exactly_once_nothing_missing_nothing_doubled",
                    "test_faults_crash.Crash.test_exactly_once_with_poison_and_lost_answers")


def suite_faults(results):
    """faults on a script between the program and its connectors; a part of it with sanitizers"""
    build("build", targets=("test/faults/dataflow-faults",))
    run_python(results, "test/faults")
    for folder, options in (("build-asan", ASAN), ("build-tsan", TSAN)):
        program = build(folder, *options, targets=("test/faults/dataflow-faults",)) / "test/faults/dataflow-faults"
        done = run(sys.executable, "-m", "unittest", *SANITIZED_FAULTS, cwd=ROOT / "test/faults",
                   env={**SANITIZER_ENV, "DATAFLOW_FAULTS_PROGRAM": str(program), "DATAFLOW_FAULTS_SLOW": "4"})
        if done.returncode:
            results.fail(f"faults in {folder}", done.stdout)
        else:
            results.ok(int(re.search(r"Ran (\d+) tests", done.stdout)[1]))


def server_suite(name):
    def suite(results):
        sys.path.insert(0, str(ROOT / "test/integration"))
        if name == "kafka":
            run_unit_tests(results, build("build"), suite="slow")  # librdkafka's mock cluster
        run_python(results, f"test/integration/{name}")
    suite.__doc__ = f"{name} on a real server (test/services/{name})"
    return suite


# One server at a time; the folders are test/integration/<name>, their modules test_<name>_*.py.
for _server in ("postgresql", "kafka", "clickhouse", "trino"):
    globals()[f"suite_{_server}"] = server_suite(_server)


def pytest(results, python, folder):
    """Counts single tests."""
    with tempfile.TemporaryDirectory() as holder:
        report = pathlib.Path(holder) / "report.xml"
        done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", folder, cwd=folder)
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase")) if report.exists() else []
    if not cases:
        results.fail(f"pytest {folder}", done.stdout)
    for case in cases:
        name = f"{case.get('classname')}.{case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            results.fail(name, bad.text)
        elif case.find("skipped") is not None:
            results.skip(name, case.find("skipped").get("message"))
        else:
            results.ok()


def suite_sdk(results):
    """the Python package for connectors: pytest, types by mypy --strict, also of its example"""
    python = next((p for p in (sys.executable, "/usr/bin/python3") if run(p, "-c", "import pytest, mypy").returncode == 0), None)
    if not python:
        raise RuntimeError("no Python has pytest and mypy; scripts/bootstrap test installs both")
    sdk = ROOT / "sdk/python"
    pytest(results, python, sdk / "tests")
    for file in ("dataflow_connector", "examples/dataflow-connector-kv"):
        done = run(python, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "--scripts-are-modules", file, cwd=sdk)
        if done.returncode:
            results.fail(f"mypy {file}", done.stdout)
        else:
            results.ok()


def suite_mydb(results):
    """the worked example of docs/connector-development.md on a real Redis (test/services/redis): flows, faults, conformance"""
    sys.path.insert(0, str(ROOT / "test/integration"))
    run_python(results, "test/integration/mydb")


def suite_kubernetes(results):
    """the operator, on a real API server (test/services/kubernetes; ten minutes to build, once)"""
    sys.path.insert(0, str(ROOT / "test/integration"))
    import services
    env = dict(services.use("kubernetes"), KUBERNETES_SERVICE_SCRIPT=str(ROOT / "test/services/kubernetes"))
    run_unit_tests(results, build("build"), env=env, suite="kubernetes")
    run_python(results, "test/integration/kubernetes")


def suite_torture(results):
    """every allocation fails once"""
    build("build-asan", *ASAN, targets=("test/torture/dataflow-torture",))
    run_python(results, "test/torture")


def suite_fuzz(results):
    """fuzz targets for a bounded time from the seed corpus"""
    folder = build("build-fuzz", "-Dfuzz=enabled", *ASAN, env={"CC": "clang"}, targets=("fuzz-targets",))
    targets = [t for t in sorted((folder / "test/fuzz").glob("fuzz_*")) if t.is_file() and os.access(t, os.X_OK)]

    def fuzz(target):
        corpus = ROOT / "test/fuzz/corpus" / target.name.removeprefix("fuzz_")
        work = folder / "corpus" / target.name
        work.mkdir(parents=True, exist_ok=True)
        return run(target, "-max_total_time=" + FUZZ_SECONDS, "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=0",
                   f"-artifact_prefix={folder}/", work, corpus,
                   env={"ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": SANITIZER_ENV["UBSAN_OPTIONS"]})
    with concurrent.futures.ThreadPoolExecutor(int(JOBS)) as pool:
        for target, done in zip(targets, pool.map(fuzz, targets)):
            if done.returncode:
                results.fail(target.name, done.stdout)
            else:
                results.ok()


SUITES = {name.removeprefix("suite_"): function for name, function in list(globals().items())
          if name.startswith("suite_")}

# What runs beside each other, each lane in order; a suite that is in none is in the first. Servers wait most of the time, and there
# is memory for one heavy one.
LANES = {
    "programs": ("cli", "plugin", "conformance", "mutants", "skeleton", "subprocess", "rules", "kill", "sdk"),
    "servers": ("postgresql", "kafka", "clickhouse", "trino"),
    "cluster": ("mydb", "chart", "kubernetes"),
}


def run_suite(name, results):
    started, before = time.monotonic(), results.passed
    print(f"--- {name}: {SUITES[name].__doc__}", flush=True)
    try:
        SUITES[name](results)
    except Exception as error:  # a suite that cannot be built or started
        results.fail(name, str(error))
    print(f"    {results.passed - before} passed in {time.monotonic() - started:.0f} s", flush=True)


def run_lane(names, results):
    """Each suite in a process of its own; what it says comes in one piece."""
    for name in names:
        with tempfile.NamedTemporaryFile("r") as report:
            done = run(sys.executable, "-u", __file__, "--report", report.name, name, timeout=7200)
            told = json.loads(report.read() or "null")
        print(done.stdout, end="", flush=True)
        if told is None:
            results.fail(name, "the suite's process broke off\n" + done.stdout)
            continue
        results.passed += told["passed"]
        results.skipped += told["skipped"]
        results.failures += told["failures"]


def prepare():
    """What takes a server long and needs no other: begun at once."""
    log = open(ROOT / "build/prepare.log", "w")
    return subprocess.Popen([ROOT / "test/services/kubernetes", "install"], stdout=log, stderr=log)


def run_all(results):
    build("build")
    prepared = prepare()
    lanes = [[name for name in SUITES if not any(name in lane for lane in LANES.values())], *LANES.values()]
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        for lane in [pool.submit(run_lane, names, results) for names in lanes]:
            lane.result()
    prepared.wait()


def main(argv):
    if "--list" in argv or "--help" in argv:
        print(__doc__)
        for name, function in SUITES.items():
            print(f"  {name:10} {function.__doc__}")
        return 0
    report = None
    if argv[:1] == ["--report"]:  # run_lane
        report, argv = argv[1], argv[2:]
    unknown = [name for name in argv if name not in SUITES]
    if unknown:
        print(f"test/run.py: unknown suite {unknown[0]}; known: {', '.join(SUITES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind a shell's `&`, and then in all that is tested
    results = Results()
    for name in argv:
        run_suite(name, results)
    if not argv:
        run_all(results)
    if report:
        pathlib.Path(report).write_text(json.dumps(vars(results)))
        return 0
    for name, cause in results.failures:  # once more, at the end, where a long log is read first
        print(f"FAILED  {name}: {cause}")
    print(f"{results.passed} passed, {len(results.failures)} failed, {results.skipped} skipped", flush=True)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
