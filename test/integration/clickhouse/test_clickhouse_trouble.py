"""Servers that refuse, break off, vanish and come back; pipelines that are killed.

DATAFLOW_LONG=1 kills more often.
"""
import os
import random
import signal
import subprocess
import time
import unittest

import services
from clickhouse_kit import ClickHouseTest, cli, everywhere
from proxy import Proxy
from rows import json_lines
from running import wait_until

LONG = bool(os.environ.get("DATAFLOW_LONG"))
MANY = "SELECT number AS id, toDateTime(1700000000 + intDiv(number, 10)) AS created_at, toString(number) AS s FROM numbers({})"


class Refused(ClickHouseTest):
    @everywhere
    def test_wrong_password(self, server, transport):
        self.create(server, "secret_table", "id UInt64, created_at DateTime")
        self.flow("clickhouse", {"connectionString": server.url(transport, password="wrong-one"), "table": "secret_table"}, "discard", {})
        running = self.begin("--once")
        self.assertIn("auth_error", running.wait_log("ClickHouse error (193|516).*\n"))
        running.stop()
        self.assertNotIn("wrong-one", running.text())

    @everywhere
    def test_missing_table_and_database(self, server, transport):
        self.load(server, [{"id": 1}], transport, expect=1, errors=False, table="not_there")
        self.assertIn("autoCreateTable: true", self.done.err)
        self.load(server, [{"id": 1}], transport, expect=1, errors=False, table="no_such_database.t", autoCreateTable=True)
        self.assertIn("no_such_database", self.done.err)

    @everywhere
    def test_a_user_who_may_only_read(self, server, transport):
        self.create(server, "read_only", "id UInt64, created_at DateTime")
        server.sql("INSERT INTO read_only VALUES (1, now())")
        reader = dict(user="reader", password="reader-secret")
        self.assertEqual(len(self.read(server, transport, table="read_only", **reader)), 1)
        # A replica may be read-only for a while, so this is tried again; it is not waited for here.
        self.jsonl("in.jsonl", [{"id": 2}])
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse", self.sink(server, transport, table="read_only", **reader))
        running = self.begin("--once", "--grace", "1")
        running.wait_log("ClickHouse error 164")
        running.stop()
        self.assertEqual(server.rows("SELECT count() FROM read_only"), [["1"]])

    def test_a_quota(self):
        """HTTP and native use up one quota between them; exceeding it is no fault of the rows."""
        limited = dict(user="limited", password="limited-secret")
        for _ in range(25):  # the new server, as it is run here, counts none
            try:
                self.old.sql("SELECT 1", **limited)
            except RuntimeError as error:
                self.assertIn("201", str(error))
        for transport in ("native", "http"):
            self.flow("clickhouse", {"connectionString": self.old.url(transport, **limited), "query": "SELECT 1"}, "discard", {})
            running = self.begin("--once")
            self.assertIn("transient", running.wait_log("ClickHouse error 201.*\n"))
            running.stop()

    def test_tls(self):
        for server in (self.old, self.new):
            self.create(server, "tls_table", "id UInt64, created_at DateTime")
            server.sql("INSERT INTO tls_table VALUES (1, now())")
            for transport in ("tls", "https"):
                with self.subTest(server=server.name, transport=transport):
                    self.assertEqual(len(self.read(server, transport, table="tls_table", parameters={"skip_verify": "true"})), 1)
            self.flow("clickhouse", {"connectionString": server.url("tls"), "table": "tls_table"}, "file",
                      {"path": str(self.dir / "tls.jsonl")})
            self.run_flow("--reset-checkpoint", env={"SSL_CERT_FILE": server.ca})
            running = self.begin("--once", "--reset-checkpoint")
            running.wait_log("certificate was refused")
            running.stop()

    def test_the_wrong_port_is_named(self):
        self.read(self.new, "native", expect=1, port=self.new.http, table="x")
        self.assertIn("use http://", self.done.err)


class Broken(ClickHouseTest):
    @everywhere
    def test_an_exception_in_the_middle_is_an_error(self, server, transport):
        query = ("SELECT number AS id, toDateTime(1700000000) AS created_at, throwIf(number = 400000) AS x FROM "
                 "(SELECT number FROM numbers(500000))")
        self.flow("clickhouse", {"connectionString": server.url(transport, max_block_size=10000, max_threads=1), "query": query,
                                 "changeTrackingColumn": "id"}, "file", {"path": str(self.dir / "out.jsonl")})
        running = self.begin("--once", "--reset-checkpoint")
        running.wait_log("ClickHouse error (395|40[0-9]|153)")
        status, _ = running.stop()
        self.assertNotEqual(status if "pipeline stopped" in running.text() else 1, 0)

    @everywhere
    def test_reading_goes_on_after_cuts(self, server, transport):
        self.create(server, "cut_source", "id UInt64, created_at DateTime, s String")
        server.sql("INSERT INTO cut_source " + MANY.format(60000))
        with Proxy((server.host, server.http if transport == "http" else server.native)) as proxy:
            self.flow("clickhouse", {"connectionString": server.url(transport, port=proxy.port, max_block_size=1000),
                                     "table": "cut_source", "readBatchSize": 20000}, "file", {"path": str(self.dir / "out.jsonl")})
            for cut in (2000, 100000, 700000):
                proxy.cut_after_answer = cut
                self.run_flow()
            ids = [row["id"] for row in self.read_jsonl("out.jsonl")]
        self.assertEqual(sorted(set(ids)), list(range(60000)))

    @everywhere
    def test_writing_goes_on_after_cuts(self, server, transport):
        engine = "MergeTree() ORDER BY id" if server.old else \
            "MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000"
        self.create(server, "cut_sink", "id UInt64, s String", engine)
        self.jsonl("in.jsonl", [{"id": i, "s": "x" * 50} for i in range(20000)])
        with Proxy((server.host, server.http if transport == "http" else server.native)) as proxy:
            self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse",
                      self.sink(server, transport, port=proxy.port, table="cut_sink", batchSize=2000))
            proxy.cut_after = 300_000
            self.run_flow("--reset-checkpoint")
            proxy.cut_after_answer = proxy.connections and 5000
            self.run_flow("--reset-checkpoint") if not server.old else None
        found = server.rows("SELECT count(), uniqExact(id) FROM cut_sink")[0]
        self.assertEqual(found[1], "20000")
        if not server.old:  # a token for each block: what was repeated stands there once
            self.assertEqual(found[0], "20000")

    def test_a_stalled_server_is_given_up(self):
        for transport in ("native", "http"):
            with self.subTest(transport=transport), Proxy((self.new.host, self.new.http if transport == "http" else self.new.native)) as proxy:
                self.create(self.new, "stalled", "id UInt64, created_at DateTime")
                self.new.sql("INSERT INTO stalled VALUES (1, now())")
                self.flow("clickhouse", {"connectionString": self.new.url(transport, port=proxy.port, read_timeout="1s"),
                                         "table": "stalled", "pollInterval": 1}, "file", {"path": str(self.dir / f"{transport}.jsonl")})
                running = self.begin()
                wait_until(lambda: json_lines(self.dir / f"{transport}.jsonl"), what=running.text)
                self.assertNotIn("timeout", running.text())
                proxy.stall.set()
                running.wait_log("timeout")
                proxy.stall.clear()
                running.stop()

    def test_close_does_not_wait_for_a_long_query(self):
        for server in (self.old, self.new):
            for transport in ("native", "http"):
                with self.subTest(server=server.name, transport=transport):
                    self.flow("clickhouse", {"connectionString": server.url(transport, max_block_size=5), "query":
                                             "SELECT sleepEachRow(0.1) AS x, number AS id FROM numbers(400)"}, "discard", {})
                    running = self.begin()
                    wait_until(lambda: self.sleeps(server), what=running.text)
                    status, seconds = running.stop()
                    self.assertEqual(status, 0, running.text())
                    self.assertLess(seconds, 20)
                    if not (server.old and transport == "http"):  # it does not see that nobody listens any more
                        wait_until(lambda: not self.sleeps(server), what="the server's end of it")

    @staticmethod
    def sleeps(server):
        return server.rows("SELECT query FROM system.processes WHERE query LIKE '%sleepEachRow(0%' AND query NOT LIKE '%system.processes%'")

    def test_the_next_host_is_taken(self):
        self.create(self.new, "hosts", "id UInt64, created_at DateTime")
        self.new.sql("INSERT INTO hosts VALUES (1, now())")
        for transport, port in (("native", self.new.native), ("http", self.new.http)):
            url = self.new.url(transport).replace(f"127.0.0.1:{port}", f"127.0.0.1:1,127.0.0.1:{port}")
            self.flow("clickhouse", {"connectionString": url, "table": "hosts"}, "file", {"path": str(self.dir / f"{transport}.jsonl")})
            self.run_flow("--reset-checkpoint")
            self.assertEqual(len(self.read_jsonl(f"{transport}.jsonl")), 1)


class Killed(ClickHouseTest):
    def kill_while_it_runs(self, times):
        """Kills the pipeline at random instants, then lets it finish."""
        for _ in range(times):
            process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.DEVNULL)
            try:
                process.wait(random.uniform(0.02, 0.25))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        self.run_flow()

    def test_a_killed_pipeline_loses_nothing(self):
        rows = 100000
        for server in (self.old, self.new):
            for transport in ("native", "http"):
                with self.subTest(server=server.name, transport=transport):
                    self.create(server, "kill_source", "id UInt64, created_at DateTime, s String")
                    server.sql("INSERT INTO kill_source " + MANY.format(rows))
                    self.create(server, "kill_sink", "id UInt64, created_at DateTime, s String", "ReplacingMergeTree() ORDER BY id")
                    self.flow("clickhouse", {"connectionString": server.url(transport), "table": "kill_source", "readBatchSize": 5000},
                              "clickhouse", self.sink(server, transport, table="kill_sink", batchSize=5000, upsertMode=True, conflictKey="id"),
                              name=f"kill-{server.name}-{transport}", extra="  checkpointSaveInterval: 50ms\n")
                    self.kill_while_it_runs(20 if LONG else 5)
                    self.assertEqual(server.rows("SELECT count(), uniqExact(id), sum(id) FROM kill_sink FINAL"),
                                     [[str(rows), str(rows), str(rows * (rows - 1) // 2)]])

    def test_a_killed_server_comes_back(self):
        for server in (self.old, self.new):
            with self.subTest(server=server.name):
                self.create(server, "server_kill", "id UInt64, s String", "ReplacingMergeTree() ORDER BY id")
                self.jsonl("in.jsonl", [{"id": i, "s": "x" * 100} for i in range(100000)])
                self.flow("file", {"path": str(self.dir / "in.jsonl")}, "clickhouse",
                          self.sink(server, table="server_kill", batchSize=2000, upsertMode=True, conflictKey="id"), name=f"kill-{server.name}")
                process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE)
                time.sleep(0.3)
                os.kill(int(server.pid_file.read_text()), signal.SIGKILL)
                time.sleep(0.5)
                services.script(server.service, "start")
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 0, err.decode()[-2000:])
                self.assertEqual(server.rows("SELECT count() FROM server_kill FINAL"), [["100000"]])


if __name__ == "__main__":
    unittest.main()
