"""What a program does wrong becomes an error with a name, in time; it is started again, and nothing is lost."""
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time

from subprocess_support import DATAFLOW, ProgramTest

ROWS = 2000
# fault: what the log says of it
SOURCE_FAULTS = {
    "garbage": "is no JSON object", "array": "is no JSON object", "latin1": "is no JSON object",
    "type": "without a `type` of the protocol", "exit": "exited with status 3",
    "crash": "was killed by signal 11 (Segmentation fault)", "torn": "in the middle of a line",
    "close-stdout": "closed its standard output and goes on running", "hang": "said nothing for 3 s",
    "deaf": "said nothing for 3 s", "long": "a line of more than 1000000 bytes",
}
NEW_SOURCE_FAULTS = {
    "order": "answers read", "no-batch": "", "unasked": "sent `ready` while it is read from", "too-many": "sent more than",
    "two-payloads": "more than one of", "bad-base64": "`base64` is not base64", "bad-time": "`timestamp` is not RFC 3339",
}
SINK_FAULTS = {
    "garbage": "is no JSON object", "exit": "exited with status 3", "crash": "was killed by signal 11",
    "hang": "said nothing for 3 s", "long": "a line of more than 1000000 bytes", "close-stdin": "", "torn": "in the middle of a line",
}
NEW_SINK_FAULTS = {"order": "answers a write that is not under way", "index": "an `index` that the write does not have"}


class Faults(ProgramTest):
    """Each fault in a pipeline of its own, some at a time: most of it is waiting."""

    def config(self, fault, folder=None, **more):
        return {"folder": str(folder or self.dir), "rows": ROWS, "fault": fault, "after": 3, **more}

    def problem(self, role, fault, protocol, text, **more):
        folder = self.dir / f"{role}-{fault}-{protocol}-{more.get('in', '')}"
        folder.mkdir()
        plain = {"folder": str(folder), "rows": ROWS, "protocol": protocol}
        faulty = {**self.config(fault, folder, in_flight=3, protocol=protocol), **more}
        if role == "sink":
            faulty["batchSize"] = 100
        path = self.flow({"type": "faulty", "config": faulty if role == "source" else plain},
                         {"type": "faulty", "config": faulty if role == "sink" else plain}, folder=folder)
        begun = time.monotonic()
        done = self.dataflow("run", "--once", "--progress", "none", path, programs=self.only("faulty"), timeout=120,
                             DATAFLOW_CONNECTOR_TIMEOUT="3s", DATAFLOW_CONNECTOR_GRACE="100ms",
                             DATAFLOW_CONNECTOR_LINE_BYTES="1000000", DATAFLOW_STATE_DIR=str(folder / "state"))
        took = time.monotonic() - begun
        if done.returncode or text not in done.stderr or took > 50 or self.running(folder):
            return f"exit {done.returncode} after {took:.1f} s, {self.running(folder)}: {done.stderr}"
        missing = set(range(ROWS)) - set(self.ids(folder))
        return f"{len(missing)} rows are missing: {done.stderr}" if missing else None

    def check(self, cases):
        self.only("faulty")
        cases.sort(key=lambda case: case[1] not in ("hang", "deaf"))  # first those that take longest
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            outcomes = [(case, pool.submit(self.problem, *case[:4], **(case[4] if len(case) > 4 else {}))) for case in cases]
        for case, outcome in outcomes:
            with self.subTest(case[:3]):
                self.assertIsNone(outcome.result())

    def test_sources(self):
        self.check([("source", fault, protocol, text) for protocol in (1, 2)
                    for fault, text in {**SOURCE_FAULTS, **(NEW_SOURCE_FAULTS if protocol == 2 else {})}.items()])

    def test_sinks(self):
        self.check([("sink", fault, protocol, text) for protocol in (1, 2)
                    for fault, text in {**SINK_FAULTS, **(NEW_SINK_FAULTS if protocol == 2 else {})}.items()])

    def test_at_init_and_connect(self):
        self.check([(role, fault, 2, "", {"in": where, "after": 0}) for role in ("source", "sink")
                    for where in ("init", "connect") for fault in ("garbage", "exit", "hang")])

    def test_a_line_without_end_takes_no_memory(self):
        """16 MiB are allowed, and the program sends as much as it can."""
        source = self.config("long", times=1)
        path = self.flow({"type": "faulty", "config": source}, {"type": "faulty", "config": {"folder": str(self.dir)}})
        process = subprocess.Popen([DATAFLOW, "run", "--once", "--progress", "none", str(path)], cwd=self.dir,
                                   env=self.env(DATAFLOW_CONNECTOR_LINE_BYTES=str(16 << 20)), stderr=subprocess.PIPE)
        peak = 0  # not ru_maxrss, in which the memory of whoever forked counts
        while process.poll() is None:
            for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1])
            time.sleep(0.01)
        log = process.stderr.read().decode()
        process.stderr.close()
        self.assertEqual(process.returncode, 0, log)
        self.assertIn("a line of more than 16777216 bytes", log)
        self.assertTrue(0 < peak < 80 << 10, peak)  # KiB
        self.assertEqual(sorted(set(self.ids())), list(range(ROWS)))


class Errors(ProgramTest):
    """What a program says went wrong: by code, by `retryable`, by text."""

    def sink_error(self, message, count=3, **error):
        config = {"folder": str(self.dir), "fault": "error:" + message, "error": error, "times": 1000, "batchSize": 1}
        (self.dir / "in.jsonl").write_text("".join('{"id":%d}\n' % i for i in range(count)))
        return self.run_flow({"type": "file", "config": {"path": str(self.dir / "in.jsonl")}},
                             {"type": "faulty", "config": config},
                             "  errors: {type: file, config: {path: %s/errors.jsonl}}\n" % self.dir, programs=self.only("faulty"))

    def test_poison(self):
        for message, error, kind, code in (("boom", {"code": "constraint_violation"}, "constraint_violation", None),
                                           ("boom", {"code": "invalid_data"}, "invalid_data", None),
                                           ("violates unique key", {}, "constraint_violation", None),
                                           ("Invalid JSON", {}, "invalid_data", None),
                                           ("Duplicate Key", {"code": "23505"}, "constraint_violation", "23505")):
            with self.subTest(message=message, **error):
                done = self.sink_error(message, **error)
                self.assertEqual(done.returncode, 0, done.stderr)
                errors = self.rows("errors.jsonl")
                self.assertEqual(sorted(e["original_message"]["id"] for e in errors), [0, 1, 2])
                self.assertEqual(errors[0]["error"]["type"], kind)
                self.assertEqual(errors[0]["error"].get("code"), code)
                self.assertEqual(errors[0]["error"]["message"], message)
                (self.dir / "errors.jsonl").unlink()
                shutil.rmtree(self.dir / "state")

    def test_stop(self):
        for message, error in (("table gone", {}), ("boom", {"code": "unknown"}), ("timeout", {"code": "config"}),
                               ("timeout", {"code": "42", "retryable": False})):
            with self.subTest(message=message, **error):
                done = self.sink_error(message, **error)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(message, done.stderr)

    def test_retried(self):
        for message, error in (("boom", {"code": "transient"}), ("i/o timeout", {}), ("connection refused", {}),
                               ("boom", {"code": "E1", "retryable": True}), ("try again later", {})):
            with self.subTest(message=message, **error):
                for name in ("out", "sink-runs"):
                    (self.dir / name).unlink(missing_ok=True)
                shutil.rmtree(self.dir / "state", ignore_errors=True)
                config = {"folder": str(self.dir), "fault": "error:" + message, "error": error, "after": 2, "calls": 2,
                          "in_flight": 4, "batchSize": 10}
                done = self.run_flow({"type": "faulty", "config": {"folder": str(self.dir), "rows": 100, "step": 10}},
                                     {"type": "faulty", "config": config}, programs=self.only("faulty"))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sorted(set(self.ids())), list(range(100)))

    def test_the_one_at_fault_is_found(self):
        """Protocol 1, or an `error` for a whole write: by halving."""
        program = self.dir / "p" / "dataflow-connector-picky"
        program.parent.mkdir()
        program.write_text(PICKY)
        program.chmod(0o755)
        (self.dir / "in.jsonl").write_text("".join('{"id":%d}\n' % i for i in range(1000)))
        for protocol in (1, 2):
            with self.subTest(protocol=protocol):
                done = self.run_flow({"type": "file", "config": {"path": str(self.dir / "in.jsonl")}},
                                     {"type": "picky", "config": {"protocol": protocol, "batchSize": 100, "path": str(self.dir / "out")}},
                                     "  errors: {type: file, config: {path: %s/errors.jsonl}}\n" % self.dir,
                                     programs=program.parent)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sorted(self.ids()), [i for i in range(1000) if i != 333])
                self.assertEqual([e["original_message"]["id"] for e in self.rows("errors.jsonl")], [333])
                for name in ("out", "errors.jsonl"):
                    (self.dir / name).unlink()
                shutil.rmtree(self.dir / "state")


PICKY = """#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    c = json.loads(line)
    a = {}
    if c["cmd"] == "init":
        config = c["config"]
        a = {"type": "ready", **({"protocol": 2, "in_flight": 4} if config["protocol"] == 2 else {})}
    elif c["cmd"] == "connect":
        a = {"type": "ready"}
    elif c["cmd"] == "write":
        ids = [m["json"]["id"] if "json" in m else json.loads(m["data"])["id"] for m in c["messages"]]
        if 333 in ids:
            a = {"type": "error", "message": "a bad row", "code": "invalid_data"}
        else:
            with open(config["path"], "a") as f:
                f.writelines("%d\\n" % i for i in ids)
            a = {"type": "done"}
        if "batch" in c:
            a["batch"] = c["batch"]
    elif c["cmd"] == "close":
        a = {"type": "done"}
    else:
        a = {"type": "error", "message": "?"}
    print(json.dumps(a), flush=True)
"""


class Alive(ProgramTest):
    def start(self, source, sink, **env):
        path = self.flow(source, sink)
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", str(path)], cwd=self.dir, env=self.env(self.only("faulty"), **env),
                                   stderr=subprocess.PIPE)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()

    def wait_for(self, what, seconds=30):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def pids(self, role):
        return [int(line.split()[1]) for line in self.trace() if line.startswith(role + " ")]

    def test_an_idle_sink_is_pinged_and_ends_though_it_hangs(self):
        process = self.start({"type": "faulty", "config": {"folder": str(self.dir), "rows": 10}},
                             {"type": "faulty", "config": {"folder": str(self.dir)}}, DATAFLOW_CONNECTOR_TIMEOUT="2s")
        self.wait_for(lambda: self.trace().count("ping") >= 2)
        os.kill(self.pids("sink")[-1], signal.SIGSTOP)
        time.sleep(3)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(self.running(), [])

    def test_sigterm_closes_both(self):
        process = self.start({"type": "faulty", "config": {"folder": str(self.dir), "rows": 10, "in_flight": 8}},
                             {"type": "faulty", "config": {"folder": str(self.dir)}}, DATAFLOW_CONNECTOR_GRACE="60s")
        self.wait_for(lambda: len(self.ids()) == 10)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        self.assertEqual(sorted(line for line in self.trace() if line.startswith("close")), ["close sink", "close source"])
        self.assertEqual(self.running(), [])

    def test_programs_die_with_the_pipeline(self):
        process = self.start({"type": "faulty", "config": {"folder": str(self.dir), "rows": 10}},
                             {"type": "faulty", "config": {"folder": str(self.dir), "fault": "deaf"}})
        self.wait_for(lambda: self.pids("source") and self.pids("sink"))
        time.sleep(0.2)
        process.kill()
        process.wait()
        self.wait_for(lambda: not self.running())

    def test_killed_again_and_again_nothing_is_missing(self):
        """kill -9 of either program at random instants while the pipeline runs."""
        rng = random.Random(int(os.environ.get("DATAFLOW_SEED", time.time_ns() % 1_000_000)))
        rows = 25_000
        for protocol in (1, 2):
            with self.subTest(protocol=protocol):
                process = self.start({"type": "faulty", "config": {"folder": str(self.dir), "rows": rows, "protocol": protocol,
                                                                   "in_flight": 4, "step": 100, "pause": 0.005}},
                                     {"type": "faulty", "config": {"folder": str(self.dir), "protocol": protocol, "in_flight": 4}})
                kills = 0
                end = time.monotonic() + 120
                while len(set(self.ids())) < rows and time.monotonic() < end:
                    time.sleep(rng.uniform(0.05, 0.2))
                    pids = self.pids(rng.choice(["source", "sink"]))
                    if pids and kills < 15:
                        try:
                            os.kill(pids[-1], signal.SIGKILL)
                            kills += 1
                        except ProcessLookupError:
                            pass
                self.assertEqual(sorted(set(self.ids())), list(range(rows)))
                self.assertGreaterEqual(kills, 3)
                self.assertIsNone(process.poll())
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(20), 0)
                self.assertEqual(self.running(), [])
                for name in ("out", "trace", "source-runs", "sink-runs"):
                    (self.dir / name).unlink()
                shutil.rmtree(self.dir / "state")


class PipelineKilled(ProgramTest):
    def test_nothing_is_missing(self):
        """kill -9 of the pipeline at random instants, its programs with it: what is saved is never ahead of what is stored."""
        rng = random.Random(int(os.environ.get("DATAFLOW_SEED", time.time_ns() % 1_000_000)))
        rows = 12_000
        for protocol in (1, 2):
            with self.subTest(protocol=protocol):
                folder = self.dir / str(protocol)
                folder.mkdir()
                both = {"folder": str(folder), "protocol": protocol, "in_flight": 4}
                path = self.flow({"type": "faulty", "config": {**both, "rows": rows, "step": 100, "pause": 0.002}},
                                 {"type": "faulty", "config": {**both, "batchSize": 100, "pause": 0.01}}, folder=folder)
                env = self.env(self.only("faulty"), DATAFLOW_STATE_DIR=str(folder / "state"))
                command = [DATAFLOW, "run", "--once", "--progress", "none", str(path)]
                for _ in range(5):
                    process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.DEVNULL)
                    try:
                        process.wait(rng.uniform(0.3, 0.8))
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()
                done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(set(range(rows)) - set(self.ids(folder)), set())
                self.assertEqual(self.running(folder), [])


class Secrets(ProgramTest):
    SECRET = "s3cr3t-\"value\""

    def test_not_in_arguments_environment_or_logs(self):
        config = {"folder": str(self.dir), "rows": 10, "passwordSecretRef": {"name": "s", "key": "k"}}
        extra = "---\nkind: Secret\nmetadata: {name: s}\nstringData: {k: '%s'}\n" % self.SECRET
        path = self.flow({"type": "faulty", "config": config}, self.file_sink(), extra)
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "none", str(path)], cwd=self.dir,
                                   env=self.env(self.only("faulty"), AWS_SECRET_ACCESS_KEY="inherited-secret"), stderr=subprocess.PIPE)
        try:
            end = time.monotonic() + 10
            while not self.trace() and time.monotonic() < end:
                time.sleep(0.02)
            pid = self.trace()[0].split()[1]
            seen = b"".join(open(f"/proc/{p}/{what}", "rb").read() for p in (pid, process.pid) for what in ("cmdline",))
            seen += open(f"/proc/{pid}/environ", "rb").read()
            fds = {os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")}
            group = os.getpgid(int(pid))
            self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=10)
        self.assertNotIn(b"s3cr3t", seen + err)
        self.assertNotIn(b"inherited-secret", seen)
        self.assertNotIn(b"DATAFLOW", seen.replace(DATAFLOW.encode(), b""))
        self.assertEqual(group, int(pid))
        self.assertTrue(fds <= {"pipe", "/dev/null"} | {f for f in fds if f.startswith("/tmp")}, fds)

    def test_what_the_environment_may_have(self):
        program = self.dir / "p" / "dataflow-connector-env"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\nenv >%s/env\n" % self.dir)
        program.chmod(0o755)
        self.dataflow("connectors", programs=program.parent, DATAFLOW_CONNECTOR_ENV="MINE, THEIRS", MINE="1", OTHER="2", TZ="UTC")
        names = {line.split("=")[0] for line in (self.dir / "env").read_text().splitlines()} - {"PWD", "_", "SHLVL", "OLDPWD"}
        self.assertIn("MINE", names)
        self.assertIn("TZ", names)
        self.assertNotIn("OTHER", names)
        self.assertFalse([n for n in names if n.startswith("DATAFLOW")])

    def test_what_a_program_repeats_is_masked(self):
        extra = "---\nkind: Secret\nmetadata: {name: s}\nstringData: {k: '%s'}\n" % self.SECRET
        config = {"folder": str(self.dir), "rows": 10, "passwordSecretRef": {"name": "s", "key": "k"},
                  "fault": "error:cannot log in with " + self.SECRET, "error": {"code": "unknown"}}
        done = self.run_flow({"type": "faulty", "config": config}, self.file_sink(), extra)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot log in with ***", done.stderr)
        self.assertNotIn("s3cr3t", done.stderr)
        config["fault"] = "chatter"
        done = self.run_flow({"type": "faulty", "config": {**config, "folder": str(self.dir)}}, self.file_sink(), extra)
        self.assertNotIn("s3cr3t", done.stderr)

    def test_chatter_is_limited(self):
        config = {"folder": str(self.dir), "rows": 10, "fault": "chatter"}
        done = self.run_flow({"type": "faulty", "config": config}, self.file_sink())
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line for line in self.log(done) if "chatter" in line["msg"]]
        self.assertGreaterEqual(len(lines), 100)
        self.assertLess(len(lines), 400)
        self.assertEqual({line["level"] for line in lines}, {"error"})
        self.assertEqual(lines[0]["msg"], "chatter 0 None")
        self.assertIn("more lines of the program's standard error are not logged", done.stderr)


if __name__ == "__main__":
    import unittest
    unittest.main()
