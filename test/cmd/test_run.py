"""`run`: the demo, second runs, stops, limits, secrets, and every kind of bad input with what it says."""
import gzip
import json
import os
import resource
import signal
import sqlite3
import subprocess
import time

from cli import DATAFLOW, ROOT, CliTest


class Demo(CliTest):
    def run_demo(self, **kwargs):
        return self.dataflow("run", "--progress", "json", "--set", f"spec.sink.config.path={self.dir}/q.db",
                             "examples/earthquakes/flow.yaml", cwd=ROOT, **kwargs)

    def test_a_week_of_earthquakes(self):
        done = self.run_demo()
        self.assertEqual(done.returncode, 0, done.err)
        s = self.summary(done)
        self.assertEqual((s["read"], s["read"] + s["made"], s["failed"]), (1, 1707, 0))
        features = json.loads((ROOT / "examples/earthquakes/earthquakes.geojson").read_text())["features"]
        strong = {f["id"]: f for f in features
                  if f["properties"]["type"] == "earthquake" and (f["properties"]["mag"] or 0) >= 1}
        self.assertEqual(s["written"], len(strong))
        self.assertEqual(s["written"] + s["filtered"], 1707)
        with sqlite3.connect(self.dir / "q.db") as db:
            rows = db.execute("SELECT id, magnitude, place, longitude, depth_km, time FROM earthquakes").fetchall()
        self.assertEqual(len(rows), len(strong))
        for id_, magnitude, place, longitude, depth, at in rows:
            feature = strong[id_]
            self.assertEqual((magnitude, place, [longitude, depth]),
                             (feature["properties"]["mag"], feature["properties"]["place"],
                              feature["geometry"]["coordinates"][::2]))
            self.assertEqual(at[:19], time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(feature["properties"]["time"] // 1000)))

    def test_a_second_run_changes_nothing_and_says_so(self):
        self.run_demo()
        before = (self.dir / "q.db").read_bytes()
        done = self.run_demo()
        self.assertEqual(self.summary(done)["unchanged"], self.summary(done)["written"])
        self.assertEqual((self.dir / "q.db").read_bytes(), before)
        done = self.dataflow("run", "--progress", "plain", "--set", f"spec.sink.config.path={self.dir}/q.db",
                             "examples/earthquakes/flow.yaml", cwd=ROOT)
        self.assertIn("nothing was changed", done.err)
        self.assertRegex(done.err, r"read +1 \(1\.2 MiB\), made into 1,707")


class Basics(CliTest):
    def setUp(self):
        super().setUp()
        self.jsonl("in.jsonl", [{"id": i, "v": f"row {i}"} for i in range(1000)])

    def file_flow(self, **kwargs):
        return self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"}, **kwargs)

    def test_file_to_file_byte_for_byte(self):
        self.write("in.jsonl", '{"a": 1.10, "b":"\\u0041"}\r\n{ "n":9007199254740993 }\nnot json\n')
        self.file_flow()
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual((self.dir / "out.jsonl").read_text(), '{"a": 1.10, "b":"\\u0041"}\n{ "n":9007199254740993 }\nnot json\n')

    def test_second_run_reads_nothing_again_and_new_lines_only(self):
        self.file_flow()
        self.dataflow("run", "flow.yaml")
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0)
        self.assertIn("nothing new since the position that was saved", done.err)
        with open(self.dir / "in.jsonl", "a") as f:
            f.write('{"id":1000}\n')
        self.assertEqual(self.summary(self.dataflow("run", "--progress", "json", "flow.yaml"))["read"], 1)
        self.assertEqual([r["id"] for r in self.read_jsonl("out.jsonl")], list(range(1001)))
        done = self.dataflow("run", "--progress", "json", "--reset-checkpoint", "flow.yaml")
        self.assertEqual(self.summary(done)["read"], 1001)

    def test_limit_resumes_behind_it(self):
        self.file_flow()
        self.assertEqual(self.summary(self.dataflow("run", "--limit", 10, "--progress", "json", "flow.yaml"))["read"], 10)
        self.assertEqual(len(self.read_jsonl("out.jsonl")), 10)
        self.dataflow("run", "flow.yaml")
        self.assertEqual([r["id"] for r in self.read_jsonl("out.jsonl")], list(range(1000)))

    def test_dry_run_shows_results_and_writes_nothing(self):
        self.file_flow(transformations=[{"type": "select", "config": {"fields": ["id"]}}])
        done = self.dataflow("run", "--dry-run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out, "".join(f'{{"id":{i}}}\n' for i in range(10)))
        self.assertIn("nothing was written", done.err)
        self.assertFalse((self.dir / "out.jsonl").exists())
        self.assertEqual(self.dataflow("run", "--dry-run", "--limit", 3, "flow.yaml").out.count("\n"), 3)
        self.assertEqual(self.summary(self.dataflow("run", "--progress", "json", "flow.yaml"))["read"], 1000)

    def test_set_changes_one_place(self):
        self.file_flow()
        self.dataflow("run", "--set", "spec.sink.config.path=other.jsonl", "flow.yaml")
        self.assertEqual(len(self.read_jsonl("other.jsonl")), 1000)
        done = self.dataflow("run", "--set", "spec.sink.config.pth=x", "flow.yaml")
        self.assertEqual(done.returncode, 2)
        self.assertIn("path", done.err)

    def test_set_and_name_change_one_flow_of_several(self):
        one = self.file_flow(name="one").read_text()
        self.flow("generate", {"count": 1}, "discard", {}, name="two")
        self.write("flow.yaml", one + "---\n" + (self.dir / "flow.yaml").read_text())
        done = self.dataflow("run", "--name", "one", "--set", "spec.source.config.format=jsonl", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(len(self.read_jsonl("out.jsonl")), 1000)
        self.assertEqual(self.dataflow("run", "flow.yaml").returncode, 2)
        self.assertEqual(self.dataflow("run", "--name", "three", "flow.yaml").returncode, 2)

    def test_empty_values_of_options_are_refused(self):
        self.file_flow()
        for option in ("--state-dir", "--name", "--secrets"):
            done = self.dataflow("run", option, "", "flow.yaml")
            self.assertEqual(done.returncode, 2, option)
            self.assertIn(option, done.err)

    def test_the_longest_grace(self):
        self.file_flow()
        self.assertEqual(self.dataflow("run", "--grace", 2**63 - 1, "flow.yaml").returncode, 0)

    def test_processor_checks_across_the_spec_and_its_names(self):
        self.write("spec.json", '{"source":{"type":"generate","config":{"count":1}},"sink":{"type":"stdout"},"replicas":2}')
        done = self.dataflow("processor", "--spec-path", "spec.json", "--namespace", "n", "--name", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("spec.replicas", done.err)
        done = self.dataflow("processor", "--spec-path", "spec.json", "--namespace", "n", "--name", "../x")
        self.assertEqual(done.returncode, 2)

    def test_stdin_to_stdout(self):
        self.flow("stdin", {}, "stdout", {}, [{"type": "filter", "config": {"condition": "n > 1"}}])
        done = self.dataflow("run", "--progress", "none", "flow.yaml", stdin='{"n":1}\n{"n":2}\n{"n":3}')
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.out, '{"n":2}\n{"n":3}\n')
        self.assertEqual(done.err, "")

    def test_generate_to_discard(self):
        self.flow("generate", {"count": 12345}, "discard", {})
        s = self.summary(self.dataflow("run", "--progress", "json", "flow.yaml"))
        self.assertEqual((s["read"], s["written"]), (12345, 12345))

    def test_several_workers_keep_the_order(self):
        self.jsonl("in.jsonl", [{"id": i, "pad": "x" * (i % 200)} for i in range(20000)])
        self.file_flow(transformations=[{"type": "snakeCase"}], extra="  transformWorkers: 4\n")
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual([r["id"] for r in self.read_jsonl("out.jsonl")], list(range(20000)))

    def test_the_same_flow_twice_at_once_is_refused(self):
        self.flow("stdin", {}, "stdout", {})
        first = subprocess.Popen([DATAFLOW, "run", "flow.yaml"], cwd=self.dir, env=self.env(), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first.stdin.write(b"{}\n")
        first.stdin.flush()
        first.stdout.readline()
        done = self.dataflow("run", "flow.yaml", stdin="{}\n")
        first.communicate(timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("already running", done.err)

    def test_secrets_from_the_file_and_from_a_directory(self):
        secret = """---
apiVersion: v1
kind: Secret
metadata: {name: places}
stringData: {table: quakes}
"""
        manifest = self.flow("file", {"path": "in.jsonl"}, "sqlite",
                             {"path": "s.db", "tableSecretRef": {"name": "places", "key": "table"}, "autoCreateTable": True})
        (self.dir / "with.yaml").write_text(manifest.read_text() + secret)
        done = self.dataflow("run", "--progress", "none", "with.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        os.makedirs(self.dir / "secrets/places")
        self.write("secrets/places/table", "quakes2\n")
        done = self.dataflow("run", "--secrets", "secrets", "--reset-checkpoint", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        with sqlite3.connect(self.dir / "s.db") as db:
            for table in ("quakes", "quakes2"):
                self.assertEqual(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0], 1000)
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 2)
        self.assertIn("places", done.err)


class Routes(CliTest):
    def test_router_and_error_sink(self):
        self.jsonl("in.jsonl", [{"id": 1, "kind": "a"}, {"id": 2, "kind": "b"}, {"id": 3, "kind": "c", "n": "x"}])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "main.jsonl"}, [
            {"type": "router", "config": {"routes": [
                {"condition": "kind == 'a'", "sink": {"type": "file", "config": {"path": "a.jsonl"}}},
                {"condition": "kind == 'b'", "sink": {"type": "file", "config": {"path": "b.jsonl"}}}]}},
            {"type": "cast", "config": {"spec": {"n": "int64"}}},
        ], extra="  errors:\n    type: file\n    config: {path: errors.jsonl}\n")
        done = self.dataflow("run", "--progress", "json", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual([r["id"] for r in self.read_jsonl("a.jsonl")], [1])
        self.assertEqual([r["id"] for r in self.read_jsonl("b.jsonl")], [2])
        self.assertEqual((self.dir / "main.jsonl").read_text(), "")
        (record,) = self.read_jsonl("errors.jsonl")
        self.assertEqual(record["original_message"], {"id": 3, "kind": "c", "n": "x"})
        self.assertEqual((record["error"]["type"], record["error"]["stage"]), ("invalid_data", "transformer_1"))
        s = self.summary(done)
        self.assertEqual((s["read"], s["written"], s["error_sinked"]), (3, 2, 1))

    def test_the_routing_mark_stays_inside(self):
        self.jsonl("in.jsonl", [{"id": 1, "kind": "a"}, {"id": "x", "kind": "a"}])
        raw = {"path": "a.db", "table": "t", "autoCreateTable": True, "rawMode": True}
        self.flow("file", {"path": "in.jsonl"}, "discard", {}, [
            {"type": "router", "config": {"routes": [{"condition": "kind == 'a'", "sink": {"type": "sqlite", "config": raw}}]}},
            {"type": "insertField", "config": {"fields": {"why": "${metadata.routed_condition}"}}},
            {"type": "cast", "config": {"spec": {"id": "int64"}}},
        ], extra="  errors:\n    type: file\n    config: {path: errors.jsonl}\n")
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        with sqlite3.connect(self.dir / "a.db") as db:
            self.assertEqual(db.execute("SELECT data, _metadata FROM t").fetchall(),
                             [('{"id":1,"kind":"a","why":"kind == \'a\'"}', "{}")])
        (record,) = self.read_jsonl("errors.jsonl")
        self.assertNotIn("metadata", record["error"])

    def test_ack_policy_never_holds_the_position_and_says_so(self):
        self.jsonl("in.jsonl", [{"n": 1}, {"n": "x"}, {"n": 2}])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"}, [{"type": "cast", "config": {"spec": {"n": "int64"}}}],
                  extra="  errors:\n    type: file\n    ackPolicy: never\n    config: {path: errors.jsonl}\n")
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(done.err.count("keep the position back"), 1)
        self.assertEqual(self.summary(self.dataflow("run", "--progress", "json", "flow.yaml"))["read"], 2)

    def route_to_sqlite(self, extra):
        with sqlite3.connect(self.dir / "r.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n < 100))")
        db.close()
        self.jsonl("in.jsonl", [{"id": i, "n": i % 101, "route": i % 2 == 0} for i in range(400)])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "main.jsonl"}, [
            {"type": "router", "config": {"routes": [{"condition": "route", "sink": {
                "type": "sqlite", "config": {"path": "r.db", "table": "t", "unknownFields": "ignore"}}}]}}], extra=extra)
        return self.dataflow("run", "--progress", "json", "flow.yaml")

    def test_a_route_is_a_whole_sink_with_its_own_poison(self):
        done = self.route_to_sqlite("  errors:\n    type: file\n    config: {path: errors.jsonl}\n")
        self.assertEqual(done.returncode, 0, done.err)
        poison = [i for i in range(0, 400, 2) if i % 101 == 100]
        records = self.read_jsonl("errors.jsonl")
        self.assertEqual([r["original_message"]["id"] for r in records], poison)
        self.assertEqual({(r["error"]["original_sink"], r["error"]["stage"]) for r in records}, {("sqlite", "sink_write")})
        self.assertEqual([r["id"] for r in self.read_jsonl("main.jsonl")], list(range(1, 400, 2)))
        s = self.summary(done)
        self.assertEqual((s["read"], s["written"], s["error_sinked"]), (400, 400 - len(poison), len(poison)))
        again = self.dataflow("run", "--progress", "json", "flow.yaml")  # the ledger counted across the routes
        self.assertEqual(self.summary(again)["read"], 0)

    def test_a_route_that_fails_stops_the_pipeline_like_the_main_sink(self):
        done = self.route_to_sqlite("")
        self.assertEqual(done.returncode, 1)
        self.assertIn("sqlite", done.err)
        again = self.dataflow("run", "--progress", "json", "flow.yaml")
        self.assertEqual(again.returncode, 1)
        self.assertGreater(self.summary(again)["read"], 0)

    def test_poison_without_error_sink_stops_and_keeps_the_position(self):
        self.jsonl("in.jsonl", [{"n": 1}] * 250 + [{"n": "x"}] + [{"n": 2}] * 10)
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"}, [{"type": "cast", "config": {"spec": {"n": "int64"}}}])
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("transformer_0", done.err)
        written = len(self.read_jsonl("out.jsonl"))
        self.assertLessEqual(written, 250)
        self.jsonl("in.jsonl.new", [{"n": 1}] * 250 + [{"n": 5}] + [{"n": 2}] * 10)
        with open(self.dir / "in.jsonl", "r+") as f:  # the same file, mended in place: {"n": "x"} -> {"n": 777}
            text = f.read().replace('"x"', "777")
            f.seek(0)
            f.write(text)
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        rows = self.read_jsonl("out.jsonl")
        self.assertEqual(len(rows), 261)
        self.assertEqual(rows[250], {"n": 777})


class Stop(CliTest):
    def start(self, *args):
        process = subprocess.Popen([DATAFLOW, "run", "--progress", "json", *args], cwd=self.dir, env=self.env(),
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        return process

    def wait_lines(self, n):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if (self.dir / "out.jsonl").exists() and len((self.dir / "out.jsonl").read_text().splitlines()) >= n:
                return
            time.sleep(0.02)
        self.fail(f"out.jsonl did not come to {n} lines")

    def test_sigterm_flushes_saves_and_ends_with_0(self):
        self.flow("generate", {"rate": 2000}, "file", {"path": "out.jsonl"})
        process = self.start("flow.yaml")
        self.wait_lines(200)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 0, err)
        s = next(json.loads(line) for line in err.splitlines() if line.startswith('{"summary"'))
        self.assertGreaterEqual(s["read"], 200)
        self.assertEqual(s["read"], s["written"])
        self.assertEqual(len((self.dir / "out.jsonl").read_text().splitlines()), s["read"])
        # a second run goes on behind it
        process = self.start("--limit", "5", "flow.yaml")
        process.communicate(timeout=20)
        lines = (self.dir / "out.jsonl").read_text().splitlines()
        self.assertEqual(len(lines), s["read"] + 5)
        self.assertEqual(len(set(lines)), len(lines))

    def test_idle_polling_source_stops_at_once(self):
        with sqlite3.connect(self.dir / "in.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at TEXT)")
            db.execute("INSERT INTO t VALUES (1, '2024-01-01T00:00:00Z')")
        self.flow("sqlite", {"path": "in.db", "table": "t", "pollInterval": 60}, "file", {"path": "out.jsonl"})
        process = self.start("flow.yaml")
        self.wait_lines(1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)  # and not until the next poll
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(self.read_jsonl("out.jsonl")), 1)


class BadInput(CliTest):
    """Each says what, where and what to do; nothing is lost; the position stays right."""

    def run_flow(self, *args, **kwargs):
        return self.dataflow("run", "--progress", "none", *args, "flow.yaml", **kwargs)

    def test_missing_file_directory_and_permission(self):
        self.flow("file", {"path": "nowhere.jsonl"}, "discard", {})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere.jsonl", done.err)
        self.flow("file", {"path": str(self.dir)}, "discard", {})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("directory", done.err)

    def test_csv_row_with_too_few_fields(self):
        self.write("in.csv", "a,b,c\n1,2,3\n4,5\n6,7,8\n")
        self.flow("file", {"path": "in.csv", "format": "csv"}, "file", {"path": "out.jsonl"})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.err, r"in\.csv:3")
        self.flow("file", {"path": "in.csv", "format": "csv"}, "file", {"path": "out2.jsonl"},
                  extra="  errors:\n    type: file\n    config: {path: errors.jsonl}\n")
        done = self.run_flow("--reset-checkpoint")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.read_jsonl("out2.jsonl"), [{"a": "1", "b": "2", "c": "3"}, {"a": "6", "b": "7", "c": "8"}])
        (record,) = self.read_jsonl("errors.jsonl")
        self.assertEqual(record["error"]["stage"], "decode")
        self.assertEqual(record["original_message"], {"original_data": "4,5"})

    def test_truncated_gzip(self):
        data = gzip.compress(b"".join(b'{"id":%d,"r":"%s"}\n' % (i, os.urandom(8).hex().encode()) for i in range(20000)))
        self.write("in.jsonl.gz", data[:len(data) // 2])
        self.flow("file", {"path": "in.jsonl.gz"}, "file", {"path": "out.jsonl"})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("in.jsonl.gz", done.err)
        self.assertRegex(done.err, "truncated|ends")
        first = [r["id"] for r in self.read_jsonl("out.jsonl")]
        self.assertGreater(len(first), 1000)
        self.assertEqual(first, list(range(len(first))))

    def test_invalid_utf8_in_line_70000(self):
        self.write("in.jsonl", b'{"a":1}\n' * 69_999 + b'{"a":"\xff"}\n' + b'{"a":2}\n')
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("in.jsonl:70000", done.err)
        self.assertIn("UTF-8", done.err)

    def test_a_line_of_100_mib(self):
        with open(self.dir / "in.jsonl", "w") as f:
            f.write('{"a":"' + "x" * (100 << 20) + '"}\n')
        self.flow("file", {"path": "in.jsonl"}, "discard", {})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("maxLineBytes", done.err)
        self.assertIn("in.jsonl:1", done.err)

    def test_full_disk(self):
        self.jsonl("in.jsonl", [{"id": i, "pad": "x" * 100} for i in range(20000)])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"})
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        done = self.run_flow(preexec_fn=limit)
        self.assertEqual(done.returncode, 1)
        self.assertIn("out.jsonl", done.err)
        text = (self.dir / "out.jsonl").read_text()
        self.assertTrue(text.endswith("\n"), "a torn line was left")
        done = self.run_flow()  # there is room again: it goes on, nothing is missing
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual({r["id"] for r in self.read_jsonl("out.jsonl")}, set(range(20000)))

    def test_read_only_database(self):
        self.jsonl("in.jsonl", [{"id": 1}])
        with sqlite3.connect(self.dir / "ro.db") as db:
            db.execute("CREATE TABLE t (id INTEGER)")
        os.mkdir(self.dir / "locked")
        os.rename(self.dir / "ro.db", self.dir / "locked/ro.db")
        self.flow("file", {"path": "in.jsonl"}, "sqlite", {"path": "/proc/ro.db", "table": "t"})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("/proc/ro.db", done.err)

    def test_missing_table(self):
        self.jsonl("in.jsonl", [{"id": 1}])
        self.flow("file", {"path": "in.jsonl"}, "sqlite", {"path": "new.db", "table": "nope"})
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("new.db does not exist", done.err)
        self.assertIn("autoCreateTable", done.err)
        sqlite3.connect(self.dir / "new.db").execute("CREATE TABLE other (id)").connection.close()
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("nope", done.err)
        self.assertIn("autoCreateTable", done.err)

    def test_closed_stdout(self):
        self.flow("generate", {"count": 1000000}, "stdout", {})
        read, write = os.pipe()
        os.close(read)
        done = self.run_flow(stdout=write)
        os.close(write)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.err)

    def test_damaged_checkpoint_is_refused_with_the_way_out(self):
        self.jsonl("in.jsonl", [{"id": 1}])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"})
        self.run_flow()
        checkpoint = self.dir / "state/default/flow/checkpoint.json"
        checkpoint.write_text('{"file":')
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("checkpoint.json is damaged", done.err)
        self.assertIn("remove the file", done.err)
        done = self.run_flow("--reset-checkpoint")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.read_jsonl("out.jsonl"), [{"id": 1}] * 2)
        checkpoint.write_text('{"file": 5}')
        done = self.run_flow()
        self.assertEqual(done.returncode, 1)
        self.assertIn("the checkpoint is damaged", done.err)

    def test_manifest_errors_start_nothing(self):
        self.flow("file", {"pathh": "in.jsonl"}, "discard", {})
        done = self.run_flow()
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.err, r"flow\.yaml:\d+: spec\.source\.config\.pathh: .*path")

    def test_no_driver_is_said(self):
        self.flow("iceberg", {"catalogURI": "http://localhost:1", "namespace": "n", "table": "t"}, "discard", {})
        done = self.run_flow()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("this build has no iceberg source", done.err)
