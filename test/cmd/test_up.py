"""`dataflow up`: many flows in one process; the directory, isolation, schedules with a clock of our own, triggers, systemd's protocol."""
import datetime
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import test_metrics
from cli import DATAFLOW, ROOT, CliTest

HEAD = "apiVersion: dataflow.dataflow.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"

# clock_gettime(CLOCK_REALTIME) with an offset in seconds that a file holds, so that a test can set the clock.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	double offset = 0;
	FILE *f;
	int r;

	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	r = real(id, t);
	if (r == 0 && id == CLOCK_REALTIME && (f = fopen(getenv("CLOCK_OFFSET"), "re")) != NULL) {
		if (fscanf(f, "%lf", &offset) == 1)
			t->tv_sec += (time_t)offset;
		fclose(f);
	}
	return r;
}
"""


class Up(CliTest):
    def setUp(self):
        super().setUp()
        self.flows = self.dir / "flows"
        self.flows.mkdir()
        self.process = None
        self.extra = {}

    def manifest(self, name, source, sink, kind="DataFlow", spec=""):
        return HEAD.format(kind=kind, name=name) + f"  source: {json.dumps(source)}\n  sink: {json.dumps(sink)}\n" + spec

    def put(self, file, *texts):
        """As editors do: a new file that takes the place of the old one."""
        (self.dir / "tmp").write_text("---\n".join(texts))
        os.rename(self.dir / "tmp", self.flows / file)

    def ticker(self, name, rate=50, spec="", **config):
        """Endless: a number every 1/rate seconds into <name>.jsonl."""
        return self.manifest(name, {"type": "generate", "config": dict({"rate": rate, "template": '{"id": ${counter}}'}, **config)},
                             {"type": "file", "config": {"path": f"{name}.jsonl"}}, spec=spec)

    def lines(self, name):
        path = self.dir / f"{name}.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def start(self, *args, **env):
        self.log = open(self.dir / "log", "w+b")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen([DATAFLOW, "up", "--metrics", "0", "--log-format", "text", *args, "flows"], cwd=self.dir,
                                        stdout=subprocess.DEVNULL, stderr=self.log, env=self.env(**env, **self.extra))
        self.addCleanup(self.kill)
        self.base = self.wait_for(lambda: re.search(r"http://[^/]+", self.text()))[0]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def text(self):
        return (self.dir / "log").read_text()

    def wait_for(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.fail(f"it did not happen; log:\n{self.text()}")

    def wait_log(self, text, seconds=20):
        return self.wait_for(lambda: text in self.text(), seconds)

    def stop(self, expected=0):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), expected, self.text())

    def get(self, path):
        try:
            with urllib.request.urlopen(self.base + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def status(self, name=None):
        flows = {flow["name"]: flow for flow in json.loads(self.get("/status")[1])["flows"]}
        return flows if name is None else flows.get(name, {"state": None})

    def wait_state(self, name, state):
        return self.wait_for(lambda: self.status(name)["state"] == state)


class Directory(Up):
    def test_two_flows_of_one_file_and_one_of_another(self):
        self.put("a.yaml", self.ticker("a"), self.ticker("b"))
        self.put("c.json", json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": "c"}, "spec": {
            "source": {"type": "generate", "config": {"count": 7}}, "sink": {"type": "file", "config": {"path": "c.jsonl"}}}}))
        self.put("notes.txt", "not a manifest")
        self.put(".hidden.yaml", "broken: [")
        self.start("--memory-limit", "64Mi")
        self.wait_state("c", "done")
        self.wait_for(lambda: self.lines("a") > 5 and self.lines("b") > 5)
        self.assertEqual(self.lines("c"), 7)
        self.assertEqual(sorted(self.status()), ["a", "b", "c"])
        self.assertEqual(self.status("b")["file"], "a.yaml")
        self.stop()
        self.assertNotIn("hidden", self.text())

    def test_metrics_of_all_are_one_valid_text(self):
        self.put("a.yaml", self.ticker("a"), self.ticker("b", spec="  transformations: [{type: snakeCase, config: {}}]\n"))
        self.start()
        self.wait_for(lambda: self.lines("a") > 5 and self.lines("b") > 5)
        samples = test_metrics.parse(self.get("/metrics")[1])
        value = lambda metric, **labels: samples[(metric, frozenset(dict(labels, namespace="default").items()))]
        for name in ("a", "b"):
            self.assertGreater(value("dataflow_messages_total", name=name, outcome="written"), 0)
            self.assertEqual(value("dataflow_flow_state", name=name, state="running"), 1)
        promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
        if promtool:
            done = subprocess.run([promtool, "check", "metrics"], input=self.get("/metrics")[1], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assertEqual((self.get("/readyz"), self.get("/livez"), self.get("/healthz")), ((200, "ok"),) * 3)
        self.stop()

    def test_added_changed_and_removed_files_do_not_touch_the_others(self):
        self.put("a.yaml", self.ticker("a"))
        self.start()
        self.wait_for(lambda: self.lines("a") > 5)
        self.put("b.yaml", self.ticker("b"))
        self.wait_for(lambda: self.lines("b") > 5)
        self.put("b.yaml", self.ticker("b", template='{"changed": ${counter}}'))
        self.wait_for(lambda: "changed" in (self.dir / "b.jsonl").read_text())
        os.remove(self.flows / "b.yaml")
        self.wait_for(lambda: "b" not in self.status())
        n = self.lines("b")
        os.rename(self.flows / "a.yaml", self.flows / "z.yaml")
        self.wait_for(lambda: self.status("a").get("file") == "z.yaml")
        time.sleep(0.3)
        self.assertEqual(self.lines("b"), n)
        self.assertEqual((self.status("a")["state"], self.status("a")["attempts"]), ("running", 1))
        self.assertEqual(len(re.findall(r"stopped, the position is saved.*dataflow_name=a", self.text())), 0)
        rows = [json.loads(line)["id"] for line in (self.dir / "a.jsonl").read_text().splitlines()]
        self.assertEqual(rows, list(range(rows[0], rows[0] + len(rows))))  # never started again
        self.stop()

    def test_of_a_file_with_two_only_the_changed_one_starts_again(self):
        self.put("a.yaml", self.ticker("a"), self.ticker("b"))
        self.start()
        self.wait_for(lambda: self.lines("a") > 5 and self.lines("b") > 5)
        self.put("a.yaml", "# a comment\n" + self.ticker("a"), self.ticker("b", template='{"changed": ${counter}}'))
        self.wait_for(lambda: "changed" in (self.dir / "b.jsonl").read_text())
        self.assertNotRegex(self.text(), "(changed|stopped).*dataflow_name=a")
        self.stop()

    def test_a_file_that_is_not_valid_is_told_and_the_old_version_goes_on(self):
        self.put("a.yaml", self.ticker("a"))
        self.put("bad.yaml", HEAD.format(kind="DataFlow", name="bad") + "  source: {type: nothing, config: {}}\n")
        self.start()
        self.wait_log("bad.yaml is not valid")
        self.assertIn("flows/bad.yaml:5: spec.source.type: ", self.text())
        self.put("a.yaml", self.ticker("a").replace('"rate"', '"rte"'))
        self.wait_log("a.yaml is not valid")
        self.assertRegex(self.text(), r"flows/a\.yaml:5: spec\.source\.config\.rte: .*rate")
        n = self.lines("a")
        self.wait_for(lambda: self.lines("a") > n + 5)
        self.put("a.yaml", self.ticker("a") + "  transformations: [{type: filter, config: {condition: 'id >'}}]\n")
        self.wait_for(lambda: self.text().count("a.yaml is not valid") == 2)
        self.put("a.yaml", self.ticker("a", template='{"changed": ${counter}}'))
        self.wait_for(lambda: "changed" in (self.dir / "a.jsonl").read_text())
        self.stop()

    def test_a_name_that_stands_in_two_files_belongs_to_the_first(self):
        self.put("a.yaml", self.ticker("a"))
        self.start()
        self.wait_for(lambda: self.lines("a") > 2)
        self.put("Z.yaml", self.ticker("a", template='{"second": ${counter}}'))
        self.wait_log("flows/Z.yaml:1: a flow of this name is declared in flows/a.yaml, too")
        self.assertEqual(self.status("a")["file"], "a.yaml")
        os.remove(self.flows / "a.yaml")
        self.wait_for(lambda: self.status("a").get("file") == "Z.yaml")
        self.wait_for(lambda: "second" in (self.dir / "a.jsonl").read_text())
        self.stop()

    def test_a_flow_that_becomes_a_cron(self):
        self.jsonl("in.jsonl", [{"id": i} for i in range(5)])
        source = {"type": "file", "config": {"path": "in.jsonl", "follow": True}}
        sink = {"type": "file", "config": {"path": "a.jsonl"}}
        self.put("a.yaml", self.manifest("a", source, sink))
        self.start()
        self.wait_for(lambda: self.lines("a") == 5)
        self.put("a.yaml", self.manifest("a", source, sink, kind="DataFlowCron", spec="  schedule: '0 0 1 1 *'\n"))
        self.wait_for(lambda: len(self.status()) == 1 and self.status("a").get("kind") == "DataFlowCron")
        self.put("a.yaml", self.manifest("a", source, sink))
        self.wait_for(lambda: len(self.status()) == 1 and self.status("a").get("kind") == "DataFlow")
        with open(self.dir / "in.jsonl", "a") as f:
            f.write('{"id": 5}\n')
        self.wait_for(lambda: self.lines("a") == 6)
        self.assertNotIn("already running", self.text())
        self.stop()

    def test_one_that_comes_back_waits_until_it_is_gone(self):
        with sqlite3.connect(self.dir / "q.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        self.jsonl("in.jsonl", [{"id": 0}])
        text = self.manifest("a", {"type": "file", "config": {"path": "in.jsonl", "follow": True}},
                             {"type": "sqlite", "config": {"path": "q.db", "table": "t"}})
        self.put("a.yaml", text)
        self.start()
        self.wait_for(lambda: self.get("/readyz")[0] == 200)
        lock = sqlite3.connect(self.dir / "q.db", isolation_level=None)
        self.addCleanup(lock.close)
        self.wait_for(lambda: lock.execute("SELECT count(*) FROM t").fetchone() == (1,))
        lock.execute("BEGIN EXCLUSIVE")
        with open(self.dir / "in.jsonl", "a") as f:
            f.write('{"id": 1}\n')
        time.sleep(0.5)
        os.remove(self.flows / "a.yaml")
        self.wait_log("removed, as a.yaml says")
        self.put("a.yaml", text)
        self.wait_for(lambda: self.text().count("added from a.yaml") == 2)
        time.sleep(0.5)
        lock.execute("COMMIT")
        self.wait_for(lambda: len(json.loads(self.get("/status")[1])["flows"]) == 1 and self.status("a")["state"] == "running")
        self.wait_for(lambda: lock.execute("SELECT count(*) FROM t").fetchone() == (2,))
        self.assertNotIn("already running", self.text())
        self.stop()

    def test_hangup_reads_secrets_again(self):
        secret = self.dir / "secrets/s/path"
        secret.parent.mkdir(parents=True)
        secret.write_text("one.db")
        self.put("a.yaml", self.ticker("other"), HEAD.format(kind="DataFlow", name="a") +
                 "  source: {type: generate, config: {rate: 50}}\n"
                 "  sink: {type: clickhouse, config: {table: t, connectionStringSecretRef: {name: s, key: path}}}\n")
        secret.write_text("http://127.0.0.1:9/")
        self.start("--secrets", "secrets")
        self.wait_for(lambda: self.lines("other") > 2)
        secret.write_text("http://127.0.0.1:10/")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: re.search(r"a.yaml has changed.*dataflow_name=a\b", self.text()))
        self.assertNotRegex(self.text(), "changed.*dataflow_name=other")
        self.stop()

    def test_what_is_no_directory(self):
        (self.dir / "file").write_text("")
        for operand, text in (("nowhere", "cannot read the directory nowhere"), ("file", "`dataflow run` takes a file")):
            done = self.dataflow("up", operand)
            self.assertEqual(done.returncode, 2)
            self.assertIn(text, done.err)
        for option, value in (("--grace", "x"), ("--time-zone", "Nowhere/Atall"), ("--cron-retries", "-1"), ("--memory-limit", "much")):
            done = self.dataflow("up", option, value, ".")
            self.assertEqual(done.returncode, 2)
            self.assertIn(option, done.err)

    def test_a_directory_that_goes_and_comes_back(self):
        self.put("a.yaml", self.ticker("a"))
        self.start()
        self.wait_for(lambda: self.lines("a") > 2)
        os.rename(self.flows, self.dir / "away")
        self.wait_log("cannot watch flows")
        n = self.lines("a")
        self.wait_for(lambda: self.lines("a") > n + 5)
        os.rename(self.dir / "away", self.flows)
        (self.flows / "b.yaml").write_text(self.ticker("b"))
        self.wait_for(lambda: self.lines("b") > 2)
        self.stop()


class Isolation(Up):
    def test_a_failing_flow_is_started_again_and_the_others_do_not_notice(self):
        self.put("a.yaml", self.ticker("a"))
        self.put("b.yaml", self.manifest("b", {"type": "file", "config": {"path": "missing.jsonl"}},
                                         {"type": "file", "config": {"path": "b.jsonl"}}))
        self.start()
        self.wait_state("b", "failing")
        self.assertIn("missing.jsonl", self.status("b")["error"])
        self.wait_for(lambda: self.get("/readyz") == (503, "not ready: default/b"))  # a may begin later than b fails
        self.assertEqual(self.get("/livez"), (200, "ok"))
        n = self.lines("a")
        self.jsonl("missing.jsonl", [{"id": 1}, {"id": 2}])
        self.wait_state("b", "done")
        self.assertEqual(self.lines("b"), 2)
        self.assertGreater(self.status("b")["attempts"], 1)
        self.assertGreater(self.lines("a"), n)
        self.assertEqual(self.status("a")["attempts"], 1)
        self.stop()

    def test_poison_stops_one_flow_alone(self):
        self.put("a.yaml", self.ticker("a"))
        self.put("b.yaml", self.manifest("b", {"type": "file", "config": {"path": "in.jsonl"}}, {"type": "file", "config": {"path": "b.jsonl"}},
                                         spec="  transformations: [{type: cast, config: {spec: {id: int64}}}]\n"))
        self.jsonl("in.jsonl", [{"id": 1}, {"id": "x"}, {"id": 3}])
        self.start()
        self.wait_state("b", "failing")
        n = self.lines("a")
        self.wait_for(lambda: self.lines("a") > n + 5)
        samples = test_metrics.parse(self.get("/metrics")[1])
        status = lambda name, phase: samples[("dataflow_status", frozenset({"namespace": "default", "name": name, "phase": phase}.items()))]
        self.assertEqual((status("a", "Running"), status("b", "Error")), (1, 1))
        self.stop()

    def test_more_flows_than_the_soft_limit_of_descriptors_allows(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        self.put("a.yaml", *(self.ticker(f"flow-{i}", rate=5) for i in range(30)))
        self.start()
        self.wait_for(lambda: self.get("/readyz")[0] == 200 and self.lines("flow-29") > 0)
        self.stop()

    def test_positions_survive_a_stop(self):
        self.jsonl("in.jsonl", [{"id": i} for i in range(50)])
        self.put("a.yaml", self.manifest("a", {"type": "file", "config": {"path": "in.jsonl", "follow": True}},
                                         {"type": "file", "config": {"path": "a.jsonl"}}))
        self.start()
        self.wait_for(lambda: self.lines("a") == 50)
        self.stop()
        with open(self.dir / "in.jsonl", "a") as f:
            f.write('{"id": 50}\n')
        self.start()
        self.wait_for(lambda: self.lines("a") == 51)
        self.stop()
        self.assertEqual([row["id"] for row in self.read_jsonl("a.jsonl")], list(range(51)))

    def test_a_second_process_on_the_same_state_is_refused_flow_by_flow(self):
        self.put("a.yaml", self.manifest("a", {"type": "file", "config": {"path": "in.jsonl", "follow": True}},
                                         {"type": "discard", "config": {}}))
        self.jsonl("in.jsonl", [{"id": 1}])
        self.start()
        self.wait_for(lambda: self.get("/readyz")[0] == 200)
        second = subprocess.Popen([DATAFLOW, "up", "flows"], cwd=self.dir, stderr=subprocess.PIPE, env=self.env())
        line = b""
        while b"already running" not in line:
            line = second.stderr.readline()
            self.assertTrue(line)
        second.send_signal(signal.SIGINT)
        self.assertEqual(second.wait(20), 0)
        second.stderr.close()
        self.stop()

    def test_a_second_signal_stops_at_once(self):
        with sqlite3.connect(self.dir / "q.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        lock = sqlite3.connect(self.dir / "q.db", isolation_level=None)
        self.addCleanup(lock.close)
        lock.execute("BEGIN EXCLUSIVE")
        self.put("a.yaml", self.ticker("a"), self.manifest("b", {"type": "generate", "config": {"rate": 100, "template": '{"id": ${counter}}'}},
                                                           {"type": "sqlite", "config": {"path": "q.db", "table": "t"}}))
        self.start("--grace", "600")
        self.wait_for(lambda: self.lines("a") > 5)
        time.sleep(0.5)
        self.process.send_signal(signal.SIGTERM)
        self.wait_log("stopping:")
        time.sleep(0.5)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def test_a_suspended_flow_and_one_in_its_window_rest(self):
        suspended = self.ticker("a", spec="  maintenance: {suspended: true}\n")
        self.put("a.yaml", suspended, self.ticker("b"))
        self.start()
        self.wait_for(lambda: self.lines("b") > 0)
        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)).isoformat()
        self.put("a.yaml", suspended, self.ticker("b", spec=f"  maintenance: {{startTime: '{soon}', duration: 5s}}\n"))
        self.wait_state("b", "suspended")
        self.assertIn("paused for the scheduled maintenance window", self.text())
        n = self.lines("b")
        self.assertEqual(self.lines("a"), 0)
        self.wait_state("b", "running")
        self.wait_for(lambda: self.lines("b") > n)
        self.assertEqual(self.status("a")["state"], "suspended")
        self.put("a.yaml", self.ticker("a"))
        self.wait_for(lambda: self.lines("a") > 0)
        self.stop()


class Cron(Up):
    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        source = os.path.join(holder.name, "clock.c")
        cls.shim = os.path.join(holder.name, "clock.so")
        with open(source, "w") as f:
            f.write(SHIM)
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", cls.shim, source, "-ldl"], check=True)

    def setUp(self):
        super().setUp()
        self.extra = {"LD_PRELOAD": self.shim, "CLOCK_OFFSET": str(self.dir / "offset")}
        self.clock("2026-03-01T00:00:00Z", tell=False)

    def clock(self, text, tell=True):
        """Sets the clock of the process. SIGHUP makes it look again, as the kernel's notice of a set clock would."""
        offset = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time()
        (self.dir / "offset.new").write_text(f"{int(offset)}")
        os.rename(self.dir / "offset.new", self.dir / "offset")
        if tell:
            self.process.send_signal(signal.SIGHUP)

    def cron(self, name="job", schedule="0 * * * *", spec="", source=None, sink=None, file="job.yaml"):
        if "in.jsonl" not in json.dumps(source):
            spec += "  checkpointPersistence: false\n"  # each run from the beginning
        text = self.manifest(name, source or {"type": "generate", "config": {"count": 3, "template": '{"id": ${counter}}'}},
                             sink or {"type": "file", "config": {"path": f"{name}.jsonl"}}, kind="DataFlowCron",
                             spec=f"  schedule: \"{schedule}\"\n{spec}")
        self.put(file, text)

    def slow(self, seconds, **more):
        """A run that takes so long."""
        return dict(source={"type": "generate", "config": {"rate": 10, "count": seconds * 10, "template": '{"id": ${counter}}'}}, **more)

    def state(self, name="job"):
        return json.loads((self.dir / f"state/.cron/default/{name}/checkpoint.json").read_text())

    def complete(self, n):
        self.wait_for(lambda: self.text().count("the run is complete") == n)

    def test_it_runs_at_its_times_and_not_between(self):
        self.cron()
        self.start()
        self.wait_state("job", "scheduled")
        self.assertEqual(self.status("job")["next"], "2026-03-01T01:00:00Z")
        self.clock("2026-03-01T00:59:58Z")  # and it runs by itself, two seconds later
        self.complete(1)
        self.assertEqual(self.lines("job"), 3)
        self.clock("2026-03-01T01:59:00Z")
        time.sleep(0.5)
        self.assertEqual(self.lines("job"), 3)
        self.clock("2026-03-01T02:00:01Z")
        self.complete(2)
        self.assertEqual(self.lines("job"), 6)
        self.stop()
        self.assertEqual(self.state()["lastScheduleTime"], "2026-03-01T02:00:00Z")
        self.assertEqual([run["result"] for run in self.state()["runs"]], ["succeeded", "succeeded"])
        self.assertEqual(self.state()["activeScheduleTimes"], [])

    def test_time_zones(self):
        self.cron("berlin", "30 2 * * *", "  timeZone: Europe/Berlin\n", file="a.yaml")
        self.cron("tokyo", "0 0 * * *", file="b.yaml")
        self.start("--time-zone", "Asia/Tokyo")
        self.wait_state("tokyo", "scheduled")
        self.assertEqual(self.status("berlin")["next"], "2026-03-01T02:30:00+01:00")
        self.assertEqual(self.status("tokyo")["next"], "2026-03-02T00:00:00+09:00")
        self.stop()

    def test_what_was_missed_is_made_up_for_once(self):
        self.cron()
        self.start()
        self.wait_state("job", "scheduled")
        self.stop()
        self.clock("2026-03-01T05:30:00Z", tell=False)
        self.start()
        self.complete(1)
        self.assertIn("5 runs were missed, the newest is made up for", self.text())
        self.assertIn("the run of 2026-03-01T05:00:00Z begins", self.text())
        self.stop()

    def test_past_its_deadline_it_is_left_out(self):
        self.cron(spec="  startingDeadlineSeconds: 60\n")
        self.start()
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T05:30:00Z")
        self.wait_log("the run of 2026-03-01T05:00:00Z is left out: it is 18")
        self.clock("2026-03-01T06:00:30Z")
        self.complete(1)
        self.stop()

    def test_forbid_waits_for_the_run_before(self):
        self.cron(spec="  concurrencyPolicy: Forbid\n", **self.slow(6))
        self.start()
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_state("job", "running")
        self.clock("2026-03-01T02:00:00Z")
        self.wait_log("the run of 2026-03-01T02:00:00Z waits: the one before it is not through (Forbid)")
        self.assertNotIn("T02:00:00Z begins", self.text())
        self.complete(1)
        self.wait_log("the run of 2026-03-01T02:00:00Z begins")
        self.complete(2)
        self.assertEqual(self.lines("job"), 120)
        self.stop()

    def test_replace_ends_the_run_before(self):
        self.cron(spec="  concurrencyPolicy: Replace\n", **self.slow(600))
        self.start()
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_for(lambda: self.lines("job") > 2)
        self.clock("2026-03-01T02:00:00Z")
        self.wait_log("the run under way is replaced by that of 2026-03-01T02:00:00Z")
        self.wait_log("the run of 2026-03-01T02:00:00Z begins")
        self.stop()

    def test_allow_runs_beside_each_other(self):
        self.cron(**self.slow(600), sink={"type": "discard", "config": {}})
        self.start()
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_log("T01:00:00Z begins")
        self.clock("2026-03-01T02:00:00Z")
        self.wait_log("T02:00:00Z begins")
        test_metrics.parse(self.get("/metrics")[1])  # each sample once
        self.stop()

    def test_allow_takes_turns_where_a_position_is_kept(self):
        self.jsonl("in.jsonl", [{"id": i} for i in range(3)])
        self.cron(source={"type": "file", "config": {"path": "in.jsonl"}},
                  spec="  triggers: [{image: x, command: [sh, -c, 'until [ -e go ]; do sleep 0.05; done']}]\n")
        self.start("--allow-triggers")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_state("job", "running triggers")
        self.clock("2026-03-01T02:00:00Z")
        time.sleep(0.5)
        self.assertNotIn("T02:00:00Z begins", self.text())
        self.clock("2026-03-01T03:00:00Z")
        (self.dir / "go").write_text("")
        self.complete(3)
        self.assertEqual(self.lines("job"), 3)
        self.stop()

    def test_suspend_and_change(self):
        self.cron(spec="  suspend: true\n")
        self.start()
        self.wait_state("job", "suspended")
        self.clock("2026-03-01T01:00:00Z")
        time.sleep(0.5)
        self.assertEqual(self.lines("job"), 0)
        self.cron(schedule="30 * * * *")
        self.wait_for(lambda: self.status("job").get("next") == "2026-03-01T01:30:00Z")
        self.wait_log("the run of 2026-03-01T00:30:00Z begins")  # as in Kubernetes: what was missed while suspended
        self.stop()

    def test_a_failed_run_is_tried_again_and_kept_as_failed(self):
        self.cron(source={"type": "file", "config": {"path": "missing.jsonl"}})
        self.start("--cron-retries", "0")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_log("the run failed, the position is kept")
        self.clock("2026-03-01T02:00:00Z")
        self.wait_for(lambda: self.text().count("the run failed") == 2)
        self.wait_for(lambda: self.state()["lastScheduleTime"] == "2026-03-01T02:00:00Z" and not self.state()["activeScheduleTimes"])
        runs = self.state()["runs"]  # failedJobsHistoryLimit is 1
        self.assertEqual([(run["result"], run["scheduleTime"]) for run in runs], [("failed", "2026-03-01T02:00:00Z")])
        self.assertIn("missing.jsonl", runs[0]["message"])
        self.stop()

    def test_a_run_that_was_stopped_begins_again_in_the_next_process(self):
        self.cron(**self.slow(600))
        self.start()
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_for(lambda: self.lines("job") > 2)
        self.stop()
        self.assertEqual(self.state()["activeScheduleTimes"], ["2026-03-01T01:00:00Z"])
        self.start()
        self.wait_log("the run of 2026-03-01T01:00:00Z begins")
        self.process.kill()
        self.process.wait()
        self.start()
        self.wait_log("the run of 2026-03-01T01:00:00Z begins")
        self.stop()

    TRIGGERS = """  triggers:
    - name: first
      image: x
      command: [sh, -c, 'env > first.env; test ! -t 0; cat; echo first >> order']
      env:
        - {name: PLAIN, value: a b}
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: token}}}
        - {name: NONE, valueFrom: {secretKeyRef: {name: s, key: none, optional: true}}}
    - image: x
      command: [sh]
      args: [-c, 'echo second >> order']
"""

    def test_triggers_run_one_after_the_other_behind_a_good_run(self):
        (self.dir / "secrets/s").mkdir(parents=True)
        (self.dir / "secrets/s/token").write_text("hunter2")
        self.cron(spec=self.TRIGGERS)
        self.start("--allow-triggers", "--secrets", "secrets", SECRET_OF_UP="x")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.complete(1)
        self.assertEqual((self.dir / "order").read_text(), "first\nsecond\n")
        env = dict(line.split("=", 1) for line in (self.dir / "first.env").read_text().splitlines())
        self.assertEqual((env["PLAIN"], env["TOKEN"]), ("a b", "hunter2"))
        self.assertEqual((env["DATAFLOW_NAME"], env["DATAFLOW_SCHEDULED_TIME"], env["DATAFLOW_TRIGGER_INDEX"]),
                         ("job", "2026-03-01T01:00:00Z", "0"))
        self.assertFalse({"NONE", "SECRET_OF_UP", "DATAFLOW_STATE_DIR"} & env.keys())
        self.assertNotIn("hunter2", self.text())
        self.stop()

    def test_variables_in_commands_and_values(self):
        self.cron(spec="""  triggers:
    - image: x
      command: [sh, -c, 'printf "%s\\n" "$@" > words', sh, $(A), "$(B)"]
      args: ["x$(A)y$(NONE)$$(A)$$", $, "$(A", $(DATAFLOW_NAME), $A]
      env: [{name: A, value: a b}, {name: B, value: "[$(A)]$(C)"}, {name: C, value: late}]
""")
        self.start("--allow-triggers")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.complete(1)
        self.assertEqual((self.dir / "words").read_text().splitlines(),
                         ["a b", "[a b]$(C)", "xa by$(NONE)$(A)$", "$", "$(A", "job", "$A"])
        self.stop()

    def test_triggers_are_not_run_unless_allowed(self):
        self.cron(spec="  triggers: [{image: x, command: [touch, ran]}]\n")
        self.start()
        self.wait_log("its 1 triggers will not be run: --allow-triggers would")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.complete(1)
        self.assertIn("1 triggers were not run", self.text())
        self.assertFalse((self.dir / "ran").exists())
        self.stop()

    def test_a_trigger_that_fails_ends_the_chain(self):
        self.cron(spec="  triggers: [{image: x, command: [sh, -c, 'exit 3']}, {image: x, command: [touch, ran]}]\n")
        self.start("--allow-triggers")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_log("trigger trigger-0: it ended with exit status 3")
        self.wait_state("job", "scheduled")
        self.assertFalse((self.dir / "ran").exists())
        self.stop()
        self.assertEqual(self.state()["runs"][0]["result"], "failed")

    def test_triggers_of_a_run_that_failed_do_not_begin(self):
        self.cron(source={"type": "file", "config": {"path": "missing.jsonl"}}, spec="  triggers: [{image: x, command: [touch, ran]}]\n")
        self.start("--allow-triggers", "--cron-retries", "0")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_log("the run failed")
        self.assertFalse((self.dir / "ran").exists())
        self.stop()

    def test_a_trigger_without_a_command_is_told_with_its_place(self):
        self.cron(spec="  triggers: [{image: x}]\n")
        self.start("--allow-triggers")
        self.wait_log("spec.triggers[0].command: is required outside of Kubernetes")
        self.assertIn("flows/job.yaml:", self.text())
        self.assertEqual(self.status(), {})
        self.stop()

    def test_a_stop_ends_the_trigger_and_what_it_started(self):
        self.cron(spec="  triggers: [{image: x, command: [sh, -c, 'trap \"echo asked > asked; exit\" TERM; (trap \"\" TERM; exec sleep 1000) & echo $! > child; wait']}]\n")
        self.start("--allow-triggers")
        self.wait_state("job", "scheduled")
        self.clock("2026-03-01T01:00:00Z")
        self.wait_for(lambda: (self.dir / "child").exists() and (self.dir / "child").read_text())
        child = int((self.dir / "child").read_text())
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.assertEqual((self.dir / "asked").read_text(), "asked\n")
        with self.assertRaises(ProcessLookupError):
            for _ in range(100):
                os.kill(child, 0)
                time.sleep(0.02)
        run = self.state()["runs"][0]  # it may have done its work: not repeated
        self.assertEqual((run["result"], "it was stopped" in run["message"]), ("failed", True))
        self.assertEqual(self.state()["activeScheduleTimes"], [])


class CronCommand(CliTest):
    def test_next(self):
        done = self.dataflow("cron", "next", ROOT / "examples/nightly/flow.yaml", "-n", 3, "--from", "2026-03-27T12:00:00Z")
        self.assertEqual((done.returncode, done.out),
                         (0, "2026-03-28T02:30:00+01:00\n2026-03-30T02:30:00+02:00\n2026-03-31T02:30:00+02:00\n"), done.err)
        done = self.dataflow("cron", "next", "--schedule", "@daily", "--from", "2026-03-27T12:00:00Z", "-n", "1")
        self.assertEqual(done.out, "2026-03-28T00:00:00Z\n")
        self.assertEqual(self.dataflow("cron", "next", "--schedule", "0 0 30 2 *").out, "never\n")
        self.assertEqual(len(self.dataflow("cron", "next", "--schedule", "* * * * *").out.splitlines()), 5)

    def test_a_schedule_that_never_fires_and_a_zone_that_is_none(self):
        text = (ROOT / "examples/nightly/flow.yaml").read_text()
        self.write("cron.yaml", text.replace("30 2 * * *", "0 0 30 2 *"))
        done = self.dataflow("validate", "cron.yaml")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.err, r"cron\.yaml:\d+: spec\.schedule: warning: never fires")
        self.write("cron.yaml", text.replace("Europe/Berlin", "Europe/Bielefeld"))
        done = self.dataflow("validate", "cron.yaml")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.err, r"cron\.yaml:\d+: spec\.timeZone: unknown time zone")

    def test_errors(self):
        self.flow("generate", {}, "discard", {})
        for args, text in ((("--schedule", "61 * * * *"), "the minute `61` is not 0-59"), (("flow.yaml",), "is a DataFlow: it has no schedule"),
                           ((), "give a FILE, or --schedule"), (("f", "--schedule", "* * * * *"), "give a FILE, or --schedule"),
                           (("--schedule", "* * * * *", "--from", "now"), "--from"), (("--schedule", "* * * * *", "--time-zone", "X"), "unknown time zone")):
            done = self.dataflow("cron", "next", *args)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(text, done.err)
        self.assertIn("unknown operand 'last'", self.dataflow("cron", "last").err)


class Systemd(Up):
    def listen(self, abstract=False):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notify.close)
        name = f"\0dataflow-test-{os.getpid()}" if abstract else str(self.dir / "notify")
        self.notify.bind(name)
        self.notify.settimeout(20)
        self.unread = []
        return name.replace("\0", "@")

    def receive(self, wanted):
        """The assignments up to the one that matches."""
        seen = []
        while not seen or not re.fullmatch(wanted, seen[-1]):
            while not self.unread:
                self.unread = self.notify.recv(4096).decode().splitlines()
            seen.append(self.unread.pop(0))
        return seen

    def drain(self):
        """What was sent so far is not received any more."""
        self.unread = []
        self.notify.setblocking(False)
        try:
            while True:
                self.notify.recv(4096)
        except BlockingIOError:
            self.notify.settimeout(20)

    def test_ready_status_reload_stopping(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                self.put("a.yaml", self.ticker("a"), self.ticker("b"))
                self.start(NOTIFY_SOCKET=self.listen(abstract))
                self.receive("READY=1")
                self.receive("STATUS=2 flows, 2 running")
                self.put("bad.yaml", "kind: DataFlow\n")
                self.receive("STATUS=2 flows, 2 running; 1 of 2 files are not valid")
                self.process.send_signal(signal.SIGHUP)
                self.assertRegex("\n".join(self.receive("READY=1")), r"RELOADING=1\nMONOTONIC_USEC=\d+\n(.*\n)*READY=1$")
                self.process.send_signal(signal.SIGTERM)
                self.receive("STOPPING=1")
                self.assertEqual(self.process.wait(20), 0)
                os.remove(self.flows / "bad.yaml")

    def test_the_watchdog_is_answered_while_a_server_is_down(self):
        self.put("a.yaml", self.manifest("a", {"type": "file", "config": {"path": "missing.jsonl"}}, {"type": "discard", "config": {}}))
        self.start(NOTIFY_SOCKET=self.listen(), WATCHDOG_USEC="200000")
        begun = time.monotonic()
        self.drain()
        for _ in range(10):  # every 100 ms
            self.receive("WATCHDOG=1")
        self.assertTrue(0.7 < time.monotonic() - begun < 20)
        self.stop()

    def test_the_watchdog_is_not_answered_while_a_flow_is_stuck(self):
        os.mkfifo(self.dir / "a.jsonl")
        pipe = os.open(self.dir / "a.jsonl", os.O_RDONLY | os.O_NONBLOCK)  # and nobody reads
        self.addCleanup(os.close, pipe)
        self.put("a.yaml", self.ticker("a", rate=5000), self.ticker("b"))
        self.start(NOTIFY_SOCKET=self.listen(), WATCHDOG_USEC="200000", PROCESSOR_PROGRESS_TIMEOUT_SECONDS="1")
        stuck = "stuck: default/a has messages in flight that nothing moves"
        self.wait_log("the watchdog is not answered: " + stuck)
        self.assertEqual(self.get("/livez"), (503, stuck))
        while True:
            try:
                self.receive("WATCHDOG=1")
            except TimeoutError:
                break
            self.notify.settimeout(0.5)
        n = self.lines("b")
        self.wait_for(lambda: self.lines("b") > n)
        os.set_blocking(pipe, True)
        self.wait_for(lambda: os.read(pipe, 1 << 16) and self.get("/livez")[0] == 200)
        self.receive("WATCHDOG=1")
        self.process.kill()

    def test_the_watchdog_of_another_process_is_not_answered(self):
        self.put("a.yaml", self.ticker("a"))
        self.start(NOTIFY_SOCKET=self.listen(), WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        self.receive("READY=1")
        self.notify.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            self.receive("WATCHDOG=1")
        self.stop()

    def test_the_unit_file(self):
        unit = (ROOT / "packaging/systemd/dataflow.service").read_text()
        for line in ("Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=dataflow", "WatchdogSec=60"):
            self.assertIn(line + "\n", unit)
        command = shlex.split(re.search(r"(?m)^ExecStart=(.*)$", unit.replace("\\\n", ""))[1])
        known = self.dataflow("up", "--help").out
        for word in command:
            if word.startswith("--"):
                self.assertIn(word.split("=")[0], known)
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed (Debian: systemd)")
        verified = unit.replace("/usr/local/bin/dataflow", DATAFLOW)
        (self.dir / "dataflow.service").write_text(verified)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(self.dir / "dataflow.service")], capture_output=True, text=True)
        self.assertEqual((done.returncode, [line for line in (done.stdout + done.stderr).splitlines() if "dataflow" in line]), (0, []))
