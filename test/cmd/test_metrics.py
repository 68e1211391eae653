"""Metrics and health of `run` and `processor`: the endpoints while it runs, what makes them fail, and the text format."""
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from cli import DATAFLOW, CliTest

HEAD = re.compile(r"# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.+)")
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (-?[0-9.]+(?:e[+-]?[0-9]+)?)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{(name, labels): value} of the Prometheus text format 0.0.4; raises where the text breaks it."""
    types, helps, samples = {}, set(), {}
    family = None
    if not text.endswith("\n"):
        raise ValueError("no newline at the end")
    for line in text.splitlines():
        head = HEAD.fullmatch(line)
        if head and head[1] == "HELP":
            if head[2] in helps:
                raise ValueError(f"a second HELP: {line}")
            helps.add(head[2])
        elif head:
            family = head[2]
            if family in types or family not in helps or head[3] not in ("counter", "gauge", "histogram"):
                raise ValueError(line)
            types[family] = head[3]
        else:
            sample = SAMPLE.fullmatch(line)
            if not sample:
                raise ValueError(f"not a sample: {line}")
            suffixes = ("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)
            if sample[1] not in [family + suffix for suffix in suffixes]:
                raise ValueError(f"below {family}: {line}")
            labels = LABEL.findall(sample[2])
            if len(dict(labels)) != len(labels) or not {"namespace", "name"} <= dict(labels).keys():
                raise ValueError(line)
            key = (sample[1], frozenset(labels))
            if key in samples:
                raise ValueError(f"a second time: {line}")
            samples[key] = float(sample[3])
    return samples


class Running(CliTest):
    def start(self, *args, metrics="127.0.0.1:0", before=(), **env):
        """Starts the program and waits until it says where it listens. before: what starts it."""
        self.log = open(self.dir / "log", "w+b")
        self.addCleanup(self.log.close)
        args = [*args, "--metrics", metrics] if metrics else args
        self.process = subprocess.Popen([*before, DATAFLOW, *args], cwd=self.dir, stdout=subprocess.DEVNULL, stderr=self.log,
                                        env=self.env(**env))
        self.addCleanup(self.kill)
        self.base = self.wait_for(lambda: re.search(rb"http://[^/]+", (self.dir / "log").read_bytes()))[0].decode()
        return self.base

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0, (self.dir / "log").read_text())

    def wait_for(self, condition, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.fail(f"it did not happen; log:\n{(self.dir / 'log').read_text()}")

    def get(self, path):
        try:
            with urllib.request.urlopen(self.base + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self):
        status, text = self.get("/metrics")
        self.assertEqual(status, 200)
        return parse(text)

    def value(self, metric, **labels):
        wanted = set(labels.items())
        found = [v for (name, has), v in self.metrics().items() if name == metric and wanted <= has]
        self.assertEqual(len(found), 1, f"{metric} {labels}")
        return found[0]


class Endpoints(Running):
    def test_a_running_pipeline(self):
        self.flow("generate", {"rate": 500, "template": '{"id": ${counter}}'}, "discard", {}, name='flow',
                  transformations=[{"type": "router", "config": {"routes": [
                      {"condition": 'id == 3 || x == "a\\\\b"', "sink": {"type": "discard", "config": {}}}]}}])
        self.start("run", "--progress", "none", "flow.yaml")
        self.wait_for(lambda: self.get("/readyz")[0] == 200)
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 50)
        with urllib.request.urlopen(self.base + "/metrics") as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(self.get("/readyz"), (200, "ok"))
        self.assertEqual(self.get("/livez"), (200, "ok"))
        self.assertEqual(self.get("/healthz"), (200, "ok"))
        self.assertEqual(self.get("/other")[0], 404)
        self.assertEqual(self.value("dataflow_status", phase="Running"), 1)
        self.assertEqual(self.value("dataflow_build_info"), 1)
        self.assertEqual(self.value("dataflow_messages_sent_total", route='id == 3 || x == \\"a\\\\\\\\b\\"'), 1)
        self.assertGreater(self.value("dataflow_memory_bytes", area="resident"), 1 << 20)
        self.wait_for(lambda: self.value("dataflow_task_throughput_messages_per_second") > 100)
        first = self.value("dataflow_messages_received_total", source_type="generate")
        self.wait_for(lambda: self.value("dataflow_messages_received_total") > first)
        self.stop()

    def test_numbers_add_up(self):
        self.jsonl("in.jsonl", [{"id": i, "n": "x" if i == 7 else str(i)} for i in range(1000)])
        self.flow("file", {"path": "in.jsonl", "follow": True}, "file", {"path": "out.jsonl"}, transformations=[
            {"type": "filter", "config": {"condition": "id != 5"}},
            {"type": "cast", "config": {"spec": {"n": "int64"}}}],
            extra="  errors: {type: file, config: {path: bad.jsonl}}\n")
        self.start("run", "--progress", "none", "flow.yaml")
        outcome = lambda which: self.value("dataflow_messages_total", outcome=which)
        self.wait_for(lambda: outcome("written") + outcome("filtered") + outcome("error_sinked") == 1000)
        self.assertEqual([outcome(o) for o in ("written", "filtered", "error_sinked", "dropped")], [998, 1, 1, 0])
        self.assertEqual(self.value("dataflow_task_end_to_end_latency_seconds_count"), 998)
        self.assertEqual(self.value("dataflow_messages_sent_total", route="default"), 998)
        self.assertEqual(self.value("dataflow_messages_sent_total", route="error"), 1)
        self.assertEqual(self.value("dataflow_transformer_errors_total", transformer_index="1", error_type="invalid_data"), 1)
        self.stop()

    def test_open_metrics_for_who_asks(self):
        self.flow("generate", {"rate": 500}, "discard", {}, transformations=[{"type": "snakeCase", "config": {}}])
        self.start("run", "--progress", "none", "flow.yaml")
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 50)

        def ask(accept):
            with urllib.request.urlopen(urllib.request.Request(self.base + "/metrics", headers={"Accept": accept})) as answer:
                return answer.headers["Content-Type"], answer.read().decode()
        kind, text = ask("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
        self.assertEqual(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.assertTrue(text.endswith("\n# EOF\n"))
        self.assertEqual(text.count("# EOF"), 1)
        types = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
        self.assertIn(("dataflow_messages", "counter"), types.items())
        self.assertFalse([name for name in types if name.endswith("_total")])
        samples = {name for name in re.findall(r"(?m)^([a-z_]+)\{", text)}
        for family, kind in types.items():
            suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}[kind]
            samples -= {family + suffix for suffix in suffixes}
        self.assertEqual(samples, set(), "samples below no family of their kind")
        parse(ask("text/plain")[1])
        parse(ask("application/openmetrics-text;q=0.1,text/plain")[1])
        self.stop()

    def test_promtool_accepts_the_text(self):
        promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (Debian: prometheus); the parser of this file has read the same text")
        self.flow("generate", {"rate": 500}, "discard", {}, transformations=[{"type": "snakeCase", "config": {}}])
        self.start("run", "--progress", "none", "flow.yaml")
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 50)
        done = subprocess.run([promtool, "check", "metrics"], input=self.get("/metrics")[1], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.stop()


class Health(Running):
    def locked_database(self):
        """A SQLite sink that cannot write as long as the connection that is returned lives."""
        with sqlite3.connect(self.dir / "q.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        lock = sqlite3.connect(self.dir / "q.db", isolation_level=None)
        self.addCleanup(lock.close)
        return lock

    def test_a_pipeline_that_hangs_is_stale(self):
        lock = self.locked_database()
        self.flow("generate", {"rate": 100, "template": '{"id": ${counter}}'}, "sqlite", {"path": "q.db", "table": "t"})
        self.start("run", "--progress", "none", "flow.yaml", PROCESSOR_PROGRESS_TIMEOUT_SECONDS="1")
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        self.assertEqual(self.get("/livez")[0], 200)
        lock.execute("BEGIN EXCLUSIVE")
        self.wait_for(lambda: self.get("/livez") == (503, "stale: no pipeline progress"))
        self.assertEqual(self.get("/readyz")[0], 200)
        self.assertGreater(self.value("dataflow_task_active_messages"), 0)
        self.assertGreater(self.value("dataflow_task_queue_size", queue_type="output"), 0)
        lock.execute("COMMIT")
        self.wait_for(lambda: self.get("/livez")[0] == 200)
        self.stop()

    def test_zero_turns_the_check_off(self):
        lock = self.locked_database()
        self.flow("generate", {"rate": 100, "template": '{"id": ${counter}}'}, "sqlite", {"path": "q.db", "table": "t"})
        self.start("run", "--progress", "none", "flow.yaml", PROCESSOR_PROGRESS_TIMEOUT_SECONDS="0")
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        lock.execute("BEGIN EXCLUSIVE")
        time.sleep(1.2)
        self.assertEqual(self.get("/livez")[0], 200)
        lock.execute("COMMIT")
        self.stop()

    def test_an_idle_source_is_progress(self):
        self.locked_database().execute("INSERT INTO t VALUES (1)")
        self.flow("sqlite", {"path": "q.db", "table": "t", "pollInterval": 1}, "discard", {})
        self.start("run", "--progress", "none", "flow.yaml", PROCESSOR_PROGRESS_TIMEOUT_SECONDS="3")
        self.wait_for(lambda: self.get("/readyz")[0] == 200)
        time.sleep(4)
        self.assertEqual(self.get("/livez"), (200, "ok"))
        self.stop()

    def test_not_ready_while_it_connects(self):
        lock = self.locked_database()
        lock.execute("BEGIN EXCLUSIVE")
        self.flow("generate", {"rate": 10, "template": '{"id": ${counter}}'}, "sqlite",
                  {"path": "q.db", "table": "t2", "autoCreateTable": True})
        self.start("run", "--progress", "none", "flow.yaml")
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/readyz")[0], 503)
        self.assertEqual(self.get("/livez")[0], 503)
        self.assertEqual(self.value("dataflow_status", phase="Pending"), 1)
        lock.execute("COMMIT")
        self.wait_for(lambda: self.get("/readyz")[0] == 200)
        self.stop()

    def test_not_ready_is_alive_with_once(self):
        lock = self.locked_database()
        lock.execute("BEGIN EXCLUSIVE")
        self.flow("generate", {"count": 10, "template": '{"id": ${counter}}'}, "sqlite",
                  {"path": "q.db", "table": "t2", "autoCreateTable": True})
        self.start("run", "--once", "--progress", "none", "flow.yaml")
        self.assertEqual((self.get("/readyz")[0], self.get("/livez")[0]), (503, 200))
        lock.execute("COMMIT")
        self.assertEqual(self.process.wait(20), 0)

    def test_a_timeout_that_is_no_number_is_told(self):
        self.flow("generate", {"count": 1}, "discard", {})
        done = self.dataflow("run", "--metrics", "0", "flow.yaml", env={"PROCESSOR_PROGRESS_TIMEOUT_SECONDS": "1h"})
        self.assertEqual(done.returncode, 0)
        self.assertIn("PROCESSOR_PROGRESS_TIMEOUT_SECONDS is `1h`", done.err)


class Addresses(Running):
    def test_a_port_in_use_starts_nothing(self):
        self.jsonl("in.jsonl", [{"id": 1}])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"})
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.dataflow("run", "--metrics", port, "flow.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"cannot listen on {port} (another process does; choose another port, 0 is any)", done.err)
        self.assertFalse((self.dir / "out.jsonl").exists())

    def test_what_is_no_address(self):
        self.flow("generate", {"count": 1}, "discard", {})
        done = self.dataflow("run", "--metrics", "localhost", "flow.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("`localhost` is not an address to listen on", done.err)

    def test_run_listens_on_the_loopback_only_and_only_when_asked(self):
        self.flow("generate", {"rate": 1}, "discard", {})
        self.assertRegex(self.start("run", "--progress", "none", "flow.yaml", metrics=":0"), r"^http://127\.0\.0\.1:\d+$")
        self.stop()
        done = self.dataflow("run", "--limit", "1", "flow.yaml")
        self.assertNotIn("metrics", done.err)

    def spec(self, **generate):
        self.write("spec.json", json.dumps({"source": {"type": "generate", "config": generate},
                                            "sink": {"type": "discard", "config": {}}}))
        return ["processor", "--spec-path", "spec.json", "--namespace", "n", "--name", "x"]

    def test_the_processor_listens_on_all_addresses(self):
        self.assertRegex(self.start(*self.spec(rate=1), metrics=":0"), r"^http://(\[::\]|0\.0\.0\.0):\d+$")
        self.base = re.sub(r"//.*:", "//127.0.0.1:", self.base)
        self.wait_for(lambda: self.get("/readyz")[0] == 200)
        self.assertEqual(self.value("dataflow_status", phase="Running", namespace="n", name="x"), 1)
        self.stop()

    def test_the_processor_uses_9090_unless_told(self):
        alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]  # where nobody else has that port
        if subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("a network namespace cannot be made here (unshare --net)")
        self.assertRegex(self.start(*self.spec(rate=1), metrics=None, before=alone), r":9090$")
        self.stop()

    def test_the_processor_without(self):
        done = self.dataflow(*self.spec(count=1), "--once", "--metrics", "none")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertNotIn("metrics", done.err)


if __name__ == "__main__":
    unittest.main()
