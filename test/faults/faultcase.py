"""What the fault tests share: flows, rules (faults.h), running dataflow-faults, counting what arrived, reading its metrics."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULTS = os.environ.get("DATAFLOW_FAULTS_PROGRAM", str(ROOT / "build/test/faults/dataflow-faults"))
# Sanitizers make everything slower; waits are multiplied, sizes divided.
SLOW = int(os.environ.get("DATAFLOW_FAULTS_SLOW", "1"))
OUTCOMES = ("written", "filtered", "error_sinked", "dropped")


class FaultCase(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        self.rules()

    # ---- what goes in

    def rows(self, n, name="in.jsonl", row=lambda i: {"id": i}):
        with open(self.dir / name, "w") as f:
            for i in range(n):
                line = row(i)
                f.write((line if isinstance(line, str) else json.dumps(line)) + "\n")

    def flow(self, sink=None, source=None, transformations=(), errors=None, name="flow", **spec):
        """A manifest with files of the test's folder; the sink's default is a SQLite table with a key."""
        source = source or {"type": "file", "config": {"path": str(self.dir / "in.jsonl")}}
        sink = sink or self.sqlite(upsertMode=True, conflictKey="id")
        spec = {"source": source, "transformations": list(transformations), "sink": sink, **spec}
        if errors:
            spec["errors"] = errors
        (self.dir / "flow.yaml").write_text(json.dumps(
            {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name}, "spec": spec}))

    def sqlite(self, path="out.db", columns="id INTEGER PRIMARY KEY, n", **config):
        if not (self.dir / path).exists():
            with self.database(path) as db:
                db.execute(f"CREATE TABLE t ({columns})")
        return {"type": "sqlite", "config": {"path": str(self.dir / path), "table": "t", **config}}

    def file(self, path="out.jsonl", **config):
        return {"type": "file", "config": {"path": str(self.dir / path), **config}}

    def rules(self, *rules):
        (self.dir / "faults.json").write_text(json.dumps(rules))

    # ---- running

    def environment(self, crash=None, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("LOG_LEVEL", "DATAFLOW_CRASH_AT")}
        env.update(DATAFLOW_FAULTS=str(self.dir / "faults.json"), **more)
        if crash:
            env["DATAFLOW_CRASH_AT"] = crash
        return env

    def start(self, *args, crash=None, preexec_fn=None, wait_ready=True, **env):
        """In the background; its log is self.log()."""
        self.log_path = self.dir / f"log-{time.monotonic_ns()}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [FAULTS, "run", "--progress", "json", "--metrics", "127.0.0.1:0", "--state-dir", str(self.dir / "state"),
                 *args, str(self.dir / "flow.yaml")], stdout=subprocess.DEVNULL, stderr=log, cwd=self.dir,
                env=self.environment(crash, **env), preexec_fn=preexec_fn)
        process = self.process
        self.addCleanup(lambda: (process.kill() if process.poll() is None else None, process.wait()))
        if wait_ready:
            self.base = self.wait_for(lambda: re.search(r"http://[0-9.:]+", self.log()))[0]
        return process

    def run_flow(self, *args, crash=None, timeout=60, code=0, **env):
        """To its end; the summary. code: what it must exit with, None: anything."""
        done = subprocess.run([FAULTS, "run", "--progress", "json", "--state-dir", str(self.dir / "state"), *args,
                               str(self.dir / "flow.yaml")], capture_output=True, cwd=self.dir, timeout=timeout * SLOW,
                              env=self.environment(crash, **env))
        self.err = done.stderr.decode(errors="replace")
        self.code = done.returncode
        self.no_sanitizer(self.err)
        if code is not None:
            self.assertEqual(done.returncode, code, self.err[-3000:])
        return self.summary(self.err)

    def no_sanitizer(self, text):
        self.assertNotRegex(text, r"Sanitizer|runtime error:", text[-6000:])

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self, number=signal.SIGTERM, seconds=30, code=0):
        """Sends the signal; how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.ends(seconds, code)
        return time.monotonic() - started

    def ends(self, seconds=30, code=0):
        try:
            got = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.fail(f"still running after {seconds} s; log:\n{self.log()[-3000:]}")
        self.no_sanitizer(self.log())
        self.assertEqual(got, code, self.log()[-3000:])
        return self.summary(self.log())

    def wait_for(self, condition, seconds=20):
        deadline = time.monotonic() + seconds * SLOW
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.fail(f"it did not happen (exit code {self.process.poll()}); log:\n{self.log()[-3000:]}")

    @staticmethod
    def summary(text):
        for line in reversed(text.splitlines()):
            if line.startswith('{"summary"'):
                return json.loads(line)
        return None

    # ---- what came out

    def database(self, path="out.db"):
        db = sqlite3.connect(self.dir / path, timeout=20)
        self.addCleanup(db.close)
        return db

    def stored(self, path="out.db"):
        """The ids in the sink, doubled ones as often as they stand there."""
        if path.endswith(".db"):
            return [row[0] for row in self.database(path).execute("SELECT id FROM t ORDER BY id")]
        return [record["id"] for record in self.records(path)]

    def records(self, path):
        if not (self.dir / path).exists():
            return []
        return [json.loads(line) for line in (self.dir / path).read_text().splitlines()]

    def assert_all(self, n, path="out.db", doubled=False):
        """Each id from 0 to n - 1 arrived; once, unless doubled ones are allowed."""
        stored = self.stored(path)
        self.assertEqual(sorted(set(range(n)) - set(stored))[:10], [], "missing")
        self.assertEqual(sorted(set(stored) - set(range(n)))[:10], [], "made up")
        if not doubled:
            self.assertEqual(len(stored), n, "doubled")

    def assert_adds_up(self, summary):
        """Every message that was read (or made) ended in exactly one count."""
        self.assertEqual(sum(summary[o] for o in OUTCOMES) + summary["failed"], summary["read"] + summary["made"], summary)

    # ---- looking in

    def metrics(self):
        """{(name, frozenset of labels): value}"""
        with urllib.request.urlopen(self.base + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            sample = re.fullmatch(r"([a-z_]+)\{(.*)\} (\S+)", line)
            if sample:
                found[sample[1], frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', sample[2]))] = float(sample[3])
        return found

    def value(self, metric, **labels):
        wanted = set(labels.items())
        return sum(v for (name, has), v in self.metrics().items() if name == metric and wanted <= has)

    def outcomes(self):
        metrics = self.metrics()
        return {o: int(sum(v for (name, has), v in metrics.items() if name == "dataflow_messages_total" and ("outcome", o) in has))
                for o in OUTCOMES}
