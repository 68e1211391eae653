"""Reading and writing in every mode, against the server."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from rows import json_lines
from running import Running, wait_until
from trino_kit import TrinoTest, cli


LONG = bool(os.environ.get("DATAFLOW_LONG"))


class Source(TrinoTest):
    def read(self, expect=0, args=(), **config):
        self.flow("trino", self.connection(**config), "file", {"path": str(self.dir / "out.jsonl")})
        done = self.run_flow(*args, expect=expect)
        path = self.dir / "out.jsonl"
        return json_lines(path), done

    def test_goes_on_where_it_stood_with_ties_and_nulls(self):
        self.drop("memory.default.events")
        self.sql("CREATE TABLE memory.default.events (id bigint, updated_at timestamp(6), v varchar)")
        self.sql("INSERT INTO memory.default.events VALUES (2, TIMESTAMP '2024-01-01 00:00:00.000001', 'a'), "
                 "(1, TIMESTAMP '2024-01-01 00:00:00.000001', 'b'), (3, null, 'c'), (null, TIMESTAMP '2024-01-02 00:00:00', 'd')")
        rows, _ = self.read(table="events", readBatchSize=1)
        self.assertEqual([(r["id"], r["v"]) for r in rows], [(1, "b"), (2, "a"), (None, "d"), (3, "c")])
        self.sql("INSERT INTO memory.default.events VALUES (9, TIMESTAMP '2024-01-02 00:00:00.000001', 'e'), (4, null, 'f')")
        rows, _ = self.read(table="events", readBatchSize=1)
        self.assertEqual([r["v"] for r in rows[4:]], ["e", "f"])
        checkpoint = json.loads(next((self.dir / "state").rglob("checkpoint.json")).read_text())["trino"]
        self.assertEqual(checkpoint["lastReadChangeTime"], "2024-01-02T00:00:00.000001Z")

    def test_picoseconds_are_not_read_twice(self):
        self.drop("memory.default.fine")
        self.sql("CREATE TABLE memory.default.fine (id bigint, updated_at timestamp(12) with time zone)")
        self.sql("INSERT INTO memory.default.fine VALUES (1, TIMESTAMP '2024-01-01 00:00:00.123456789012 UTC')")
        self.assertEqual(len(self.read(table="fine")[0]), 1)
        self.assertEqual(len(self.read(table="fine")[0]), 1)
        self.sql("INSERT INTO memory.default.fine VALUES (2, TIMESTAMP '2024-01-01 00:00:00.123456789013 UTC')")
        self.assertEqual([r["id"] for r in self.read(table="fine")[0]], [1, 2])

    def test_wrapped_query_and_query_as_it_is(self):
        query = "SELECT custkey, name, nationkey FROM customer WHERE custkey <= 10;"
        rows, _ = self.read(catalog="tpch", schema="tiny", query=query, changeTrackingColumn="nationkey", orderByColumn="custkey")
        self.assertEqual(len(rows), 10)
        self.assertEqual(rows, sorted(rows, key=lambda r: (r["nationkey"], r["custkey"])))
        rows, done = self.read(catalog="tpch", schema="tiny", query=query, orderByColumn="name", args=["--reset-checkpoint"])
        self.assertEqual([r["name"] for r in rows[10:]], sorted(r["name"] for r in rows[10:]))

    def test_errors_name_the_place_and_the_fix(self):
        cases = [({"table": "nothing_here"}, "TABLE_NOT_FOUND"),
                 ({"schema": "nowhere", "table": "t"}, "SCHEMA_NOT_FOUND"),
                 ({"catalog": "nowhere", "table": "t"}, "CATALOG_NOT_FOUND"),
                 ({"query": "SELECT 1 AS a, 2 AS a"}, "two columns of the result are called"),
                 ({"query": "SELECT 1 AS a", "changeTrackingColumn": "t"}, "the query gives no column t"),
                 ({"catalog": "tpch", "schema": "tiny", "table": "nation"}, "set changeTrackingColumn or orderByColumn"),
                 ({"query": "SELECT broken FROM"}, "SYNTAX_ERROR")]
        for config, text in cases:
            with self.subTest(text=text):
                _, done = self.read(expect=1, **config)
                self.assertIn(text, done.err)

    def test_a_kill_loses_and_repeats_nothing_that_was_committed(self):
        self.drop("memory.default.kill_target")
        self.sql("CREATE TABLE memory.default.kill_target (custkey bigint, name varchar)")
        self.flow("trino", self.connection(catalog="tpch", schema="tiny", query="SELECT custkey, name FROM customer",
                                           changeTrackingColumn="custkey", orderByColumn="custkey", readBatchSize=100),
                  "file", {"path": str(self.dir / "out.jsonl")})
        kills = 0
        while kills < 8:
            process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(),
                                       stderr=subprocess.DEVNULL)
            try:
                process.wait(0.3 + 0.15 * kills)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        self.run_flow()
        keys = [json.loads(line)["custkey"] for line in (self.dir / "out.jsonl").read_text().splitlines()]
        self.assertEqual(sorted(set(keys)), list(range(1, 1501)))

    def test_a_query_outlives_a_sink_that_stands_still(self):
        """The server gives up a query whose client is silent for longer than query.client.timeout (12 s here)."""
        self.flow("trino", self.connection(catalog="tpch", schema="sf1", query="SELECT orderkey, comment FROM orders WHERE orderkey <= 200000"),
                  "stdout", {})
        process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(20)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(out.count(b"\n"), 50_000)
        self.assertNotIn(b"ABANDONED", err)

    def test_a_large_result_in_flat_memory(self):
        """A tenth of tpch.sf1.lineitem; DATAFLOW_LONG=1: its 6,001,215 rows."""
        self.flow("trino", self.connection(catalog="tpch", schema="sf1", query="SELECT * FROM lineitem" + ("" if LONG else " WHERE orderkey <= 600000")),
                  "file", {"path": str(self.dir / "out.jsonl")})
        process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "--progress", "none", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = max([peak, *(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))])
            time.sleep(0.01)
        self.assertEqual(process.returncode, 0)
        with open(self.dir / "out.jsonl", "rb") as out:
            self.assertEqual(sum(1 for _ in out), 6_001_215 if LONG else 600_572)
        self.assertTrue(0 < peak < 32 * 1024, f"{peak} KiB")

    def test_a_query_that_takes_too_long_names_the_setting_and_itself(self):
        self.flow("trino", self.connection(catalog="tpch", schema="sf1", query="SELECT count(*) AS n FROM lineitem a, lineitem b",
                                           queryTimeoutSeconds=2), "discard", {})
        process = subprocess.Popen([cli.DATAFLOW, "run", "--once", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE, text=True)
        try:
            line = next(line for line in process.stderr if "queryTimeoutSeconds" in line)
        finally:
            process.kill()
            process.communicate()
        self.assertRegex(line, r"query \d{8}_\d{6}_\d{5}_\w+: queryTimeoutSeconds is over")

    def test_sigterm_ends_a_long_query_at_once(self):
        self.flow("trino", self.connection(catalog="tpch", schema="sf1", query="SELECT count(*) AS n FROM lineitem a, lineitem b"),
                  "discard", {})

        def queries():
            return self.sql("SELECT query_id, state FROM system.runtime.queries WHERE state NOT IN ('FINISHED', 'FAILED') "
                            "AND \"query\" LIKE '%lineitem a, lineitem b%' AND \"query\" NOT LIKE '%runtime%'")

        wait_until(lambda: not queries(), what=lambda: f"none of another test is left, but {queries()}")
        running = Running([cli.DATAFLOW, "run", "flow.yaml"], self.dir, self.env())
        self.addCleanup(running.kill)
        wait_until(lambda: [state for _, state in queries()] == ["RUNNING"], what=running.text)
        status, seconds = running.stop()
        self.assertLess(seconds, 30)
        self.assertEqual(status, 0, running.text())
        wait_until(lambda: not queries(), what=lambda: f"the query goes on at the server: {queries()}")


class Sink(TrinoTest):
    def write_rows(self, rows, expect=0, extra="", transformations=(), **config):
        self.jsonl("in.jsonl", rows)
        self.flow("file", {"path": str(self.dir / "in.jsonl")}, "trino", self.connection(**config),
                  transformations=transformations, extra=extra)
        return self.run_flow("--reset-checkpoint", expect=expect)

    def test_auto_create_looks_at_all_rows(self):
        self.drop("memory.default.made")
        self.write_rows([{"id": 1, "n": 5, "t": "x", "only_null": None}, {"id": 2, "n": 1.25, "t": 7, "Big": 12345678901234567890123,
                         "at": "2024-01-01T00:00:00Z", "o": {"a": [1]}, "b": True}],
                        table="made", autoCreateTable=True, batchSize=10)
        columns = dict(self.sql("SELECT column_name, data_type FROM memory.information_schema.columns WHERE table_name = 'made'"))
        self.assertEqual(columns, {"id": "bigint", "n": "double", "t": "varchar", "only_null": "varchar", "big": "decimal(38,0)",
                                   "at": "timestamp(6) with time zone", "o": "varchar", "b": "boolean"})
        self.assertEqual(self.sql('SELECT id, n, t, big, o, b FROM memory.default.made ORDER BY id'),
                         [[1, 5.0, "x", None, None, None], [2, 1.25, "7", "12345678901234567890123", '{"a":[1]}', True]])

    def test_raw_mode(self):
        self.drop("memory.default.raw1", "memory.default.raw2")
        self.write_rows([{"a": 1}, {"value": [1], "_metadata": {"k": "v"}}], table="raw1", rawMode=True, autoCreateTable=True)
        self.assertEqual(sorted(self.sql("SELECT * FROM memory.default.raw1"))[0][0], "[1]")
        self.assertEqual(self.sql("SELECT json_extract_scalar(\"_metadata\", '$.k') FROM memory.default.raw1 WHERE data = '[1]'"), [["v"]])
        self.sql("CREATE TABLE memory.default.raw2 (value varchar)")
        self.write_rows([{"a": "it's"}], table="raw2", rawMode=True)
        body = json.loads(self.sql("SELECT value FROM memory.default.raw2")[0][0])
        self.assertEqual(body["value"], {"a": "it's"})
        self.assertIn("_metadata", body)

    def test_flattened_metadata(self):
        self.drop("memory.default.flat")
        self.flow("trino", self.connection(catalog="tpch", schema="tiny", table="region", orderByColumn="regionkey"),
                  "trino", self.connection(table="flat", rawMode=True, flattenMetadataColumns=True, autoCreateTable=True,
                                           flattenMetadataColumnsPrefix="meta_", batchSize=100))
        self.run_flow()
        columns = dict(self.sql("SELECT column_name, data_type FROM memory.information_schema.columns WHERE table_name = 'flat'"))
        self.assertEqual(columns, {"data": "varchar", "meta_catalog": "varchar", "meta_schema": "varchar", "meta_table": "varchar",
                                   "meta_id": "bigint"})
        self.assertEqual(self.sql("SELECT count(*), max(meta_id) FROM memory.default.flat"), [[5, 4]])

    def test_upsert_and_delete(self):
        self.sql("CREATE SCHEMA IF NOT EXISTS iceberg.test")
        self.drop("iceberg.test.people")
        self.sql("CREATE TABLE iceberg.test.people (id bigint, name varchar, age integer)")
        rows = [{"id": 1, "name": "a", "age": 1}, {"id": 2, "name": "b"}, {"id": 1, "name": "A"}, {"id": 3, "name": "c"}, {"id": 2}]
        self.write_rows(rows, catalog="iceberg", schema="test", table="people", upsertMode=True, conflictKey="id", batchSize=100)
        want = [[1, "A", 1], [2, "b", None], [3, "c", None]]
        self.assertEqual(self.sql("SELECT * FROM iceberg.test.people ORDER BY id"), want)
        self.write_rows(rows, catalog="iceberg", schema="test", table="people", upsertMode=True, conflictKey="id", batchSize=100)
        self.assertEqual(self.sql("SELECT * FROM iceberg.test.people ORDER BY id"), want)

        # A key that stands twice costs no statement of its own.
        self.write_rows([{"id": n % 3 + 1, "name": str(n), "age": n} for n in range(99)], catalog="iceberg", schema="test",
                        table="people", upsertMode=True, conflictKey="id", batchSize=100)
        self.assertEqual(self.sql("SELECT * FROM iceberg.test.people ORDER BY id"), [[1, "96", 96], [2, "97", 97], [3, "98", 98]])
        self.assertEqual(self.sql("SELECT count(*) FROM system.runtime.queries WHERE \"query\" LIKE '%MERGE INTO%\"97\"%' "
                                  "AND \"query\" NOT LIKE '%runtime%'"), [[1]])
        # One that is refused leaves the one before it.
        errors = self.dir / "errors.jsonl"
        self.write_rows([{"id": 1, "name": "good", "age": 1}, {"id": 1, "name": "bad", "age": "x"}, {"id": None, "name": "n"}],
                        catalog="iceberg", schema="test", table="people", upsertMode=True, conflictKey="id", batchSize=100,
                        extra=f"  errors:\n    type: file\n    config: {{path: {errors}}}\n")
        self.assertEqual(self.sql("SELECT name FROM iceberg.test.people WHERE id = 1"), [["good"]])
        self.assertEqual([r["original_message"]["name"] for r in self.read_jsonl("errors.jsonl")], ["bad", "n"])
        self.write_rows(rows, catalog="iceberg", schema="test", table="people", upsertMode=True, conflictKey="id", batchSize=100)
        self.sql("UPDATE iceberg.test.people SET age = NULL WHERE id > 1")
        change = [{"payload": {"op": "d", "before": {"id": 2}, "after": None, "source": {"table": "people"}}},
                  {"payload": {"op": "u", "before": None, "after": {"id": 3, "name": "C"}, "source": {"table": "people"}}},
                  {"payload": {"op": "d", "before": {"id": 9}, "after": None, "source": {"table": "people"}}}]
        self.write_rows(change, catalog="iceberg", schema="test", table="people", upsertMode=True, conflictKey="id", batchSize=100,
                        transformations=[{"type": "debeziumUnwrap", "config": {}}])
        self.assertEqual(self.sql("SELECT * FROM iceberg.test.people ORDER BY id"), [[1, "A", 1], [3, "C", None]])

    def test_unknown_keys_are_ignored_or_refused(self):
        self.drop("memory.default.few")
        self.sql("CREATE TABLE memory.default.few (id bigint)")
        self.write_rows([{"id": 1, "more": 2}], table="few")
        self.assertEqual(self.sql("SELECT id FROM memory.default.few"), [[1]])
        done = self.write_rows([{"id": 2, "more": 2}], table="few", unknownFields="error", expect=1)
        self.assertIn('no column for the key \\"more\\"', done.err)

    def test_a_table_that_changes_is_looked_at_again(self):
        self.sql("CREATE SCHEMA IF NOT EXISTS iceberg.test")
        self.drop("iceberg.test.changes")
        self.sql("CREATE TABLE iceberg.test.changes (id bigint, gone bigint)")
        self.jsonl("in.jsonl", [{"id": 1, "gone": 1}])
        flow = self.flow("file", {"path": str(self.dir / "in.jsonl"), "follow": True}, "trino",
                         self.connection(catalog="iceberg", schema="test", table="changes"))
        running = subprocess.Popen([cli.DATAFLOW, "run", flow], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE)
        try:
            self.wait_for(lambda: self.sql("SELECT count(*) FROM iceberg.test.changes") == [[1]])
            self.sql("ALTER TABLE iceberg.test.changes DROP COLUMN gone")
            with open(self.dir / "in.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"id": 2, "gone": 2}) + "\n")
            self.wait_for(lambda: self.sql("SELECT count(*) FROM iceberg.test.changes") == [[2]])
        finally:
            running.send_signal(signal.SIGTERM)
            _, err = running.communicate(timeout=30)
        self.assertEqual(running.returncode, 0, err)

    def wait_for(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not happen in time")
            time.sleep(0.2)

    def test_statements_are_split_at_the_limit_of_the_server(self):
        self.drop("memory.default.wide")
        self.sql("CREATE TABLE memory.default.wide (id bigint, v varchar)")
        self.write_rows([{"id": n, "v": "'" * 100_000 + str(n)} for n in range(30)], table="wide", batchSize=1000)
        self.assertEqual(self.sql("SELECT count(*), sum(length(v)) FROM memory.default.wide"), [[30, 30 * 100_000 + 50]])
        errors = self.dir / "errors.jsonl"
        self.write_rows([{"id": 1, "v": "x" * 1_100_000}, {"id": 2, "v": "y"}], table="wide", batchSize=1000,
                        extra=f"  errors:\n    type: file\n    config: {{path: {errors}}}\n")
        records = self.read_jsonl("errors.jsonl")
        self.assertEqual([(r["original_message"]["id"], r["error"]["code"]) for r in records], [(1, "QUERY_TEXT_TOO_LARGE")])
        self.assertEqual(self.sql("SELECT count(*) FROM memory.default.wide WHERE v = 'y'"), [[1]])


if __name__ == "__main__":
    unittest.main()
