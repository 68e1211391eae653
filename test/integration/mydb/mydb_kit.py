"""What the tests of the worked example share: Redis, the plugin that was built with the tree, and the program in a folder of its own."""
import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from rows import json_lines
import services  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
PLUGINS = os.environ.get("DATAFLOW_MYDB", str(pathlib.Path(DATAFLOW).resolve().parents[2] / "test/mydb"))
REDIS = {}


def start():
    """For setUpModule: the server runs, its addresses are in REDIS."""
    REDIS.update(services.use("redis"))


def redis(*args, check=True):
    """Runs one command; what it answers, as JSON has it."""
    done = subprocess.run([services.SCRIPTS / "redis", "cli", "--json", *map(str, args)], capture_output=True, text=True, timeout=60)
    if check and (done.returncode or done.stdout.startswith("error:")):
        raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout) if check else None


def entries(stream):
    """[(id, {field: value})]"""
    return [(i, dict(zip(f[::2], f[1::2]))) for i, f in redis("xrange", stream, "-", "+")]


class MydbTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)
        redis("flushall")

    # ---- files ----

    def write(self, name, text):
        (self.dir / name).write_text(text)
        return self.dir / name

    def jsonl(self, items, name="in.jsonl"):
        return self.write(name, "".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in items))

    def lines(self, name):
        path = self.dir / name
        return json_lines(path)

    def rows(self, query, file="out.db"):
        """[] while there is no table."""
        with contextlib.closing(sqlite3.connect(self.dir / file, timeout=10)) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []

    # ---- flows ----

    def mydb(self, url=None, **config):
        return {"type": "mydb", "config": {"connectionString": url or REDIS["REDIS_URL"], **config}}

    def file_source(self, **config):
        return {"type": "file", "config": {"path": str(self.dir / "in.jsonl"), **config}}

    def file_sink(self):
        return {"type": "file", "config": {"path": str(self.dir / "out.jsonl")}}

    def sqlite_sink(self, **config):
        return {"type": "sqlite", "config": {"path": str(self.dir / "out.db"), "table": "t", "autoCreateTable": True,
                                             "upsertMode": True, "conflictKey": "id", **config}}

    def flow(self, source, sink, name="flow", errors=True, **spec):
        body = {"source": source, "sink": sink, **spec}
        if errors:
            body["errors"] = {"type": "file", "config": {"path": str(self.dir / f"{name}-errors.jsonl")}}
        return self.write(f"{name}.yaml", json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow",
                                                      "metadata": {"name": name}, "spec": body}))

    def command(self, manifest, *args):
        return [DATAFLOW, "run", "--connector-dir", PLUGINS, "--progress", "json", "--state-dir", str(self.dir / "state"),
                *args, str(manifest)]

    def run_flow(self, source, sink, *args, **flow):
        """To its end, which must be a good one; returns the summary."""
        done = self.fails(source, sink, *args, code=0, **flow)
        return next(json.loads(line) for line in done.splitlines() if line.startswith('{"summary"'))

    def fails(self, source, sink, *args, code=1, **flow):
        """What it says on standard error."""
        done = subprocess.run(self.command(self.flow(source, sink, **flow), *(args or ["--once"])), capture_output=True, text=True,
                              timeout=120, cwd=self.dir)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def begin(self, source, sink, *args, **flow):
        """A flow that goes on; it is killed when the test ends."""
        log = open(self.dir / "log", "a")
        process = subprocess.Popen(self.command(self.flow(source, sink, **flow), *args), stderr=log, cwd=self.dir)
        self.addCleanup(log.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def log(self):
        return (self.dir / "log").read_text()

    def end(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=30), 0, self.log())

    def wait_for(self, what, expected, process=None, seconds=30):
        until = time.monotonic() + seconds
        while what() != expected:
            if process and process.poll() is not None:
                self.fail(self.log())
            if time.monotonic() > until:
                self.assertEqual(what(), expected, self.log() if (self.dir / "log").exists() else "")
            time.sleep(0.05)
