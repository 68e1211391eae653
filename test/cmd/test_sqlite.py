"""The sqlite connector from the command line."""
import json
import os
import shutil
import sqlite3
import subprocess
import time
import unittest

from cli import DATAFLOW, CliTest

ERRORS = "  errors:\n    type: file\n    config: {path: errors.jsonl}\n"


class SqliteTest(CliTest):
    def rows(self, sql="SELECT * FROM t", path="x.db"):
        db = sqlite3.connect(self.dir / path)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def execute(self, sql, path="x.db"):
        db = sqlite3.connect(self.dir / path)
        db.executescript(sql)
        db.commit()
        db.close()

    def load(self, lines, config=None, extra="", **kwargs):
        self.write("in.jsonl", "".join(line + "\n" for line in lines))
        self.flow("file", {"path": "in.jsonl"}, "sqlite", {"path": "x.db", "table": "t", **(config or {})}, extra=extra)
        return self.dataflow("run", "--progress", "json", "flow.yaml", **kwargs)



class Traces(SqliteTest):
    def test_reading_leaves_nothing_beside_the_database_and_in_it(self):
        self.execute("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);")
        before = (self.dir / "x.db").read_bytes()
        self.flow("sqlite", {"path": "x.db", "query": "SELECT id FROM t"}, "file", {"path": "out.jsonl"})
        done = self.dataflow("run", "--once", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.read_jsonl("out.jsonl"), [{"id": 1}, {"id": 2}])
        self.assertEqual([p.name for p in self.dir.glob("x.db*")], ["x.db"])
        self.assertEqual((self.dir / "x.db").read_bytes(), before)


class AutoCreate(SqliteTest):
    def test_a_first_batch_of_rows_that_cannot_be_rows_is_not_lost(self):
        done = self.load(['{"id":1,"":2}'], {"autoCreateTable": True})
        self.assertEqual(done.returncode, 1)
        self.assertIn("is empty", done.err)
        done = self.load(['{"id":1,"":2}', "[1]"], {"autoCreateTable": True}, extra=ERRORS)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.summary(done)["error_sinked"], 2)
        self.assertEqual(self.read_jsonl("errors.jsonl")[0]["original_message"], {"id": 1, "": 2})

    def test_a_row_that_cannot_be_one_leaves_no_column_behind(self):
        done = self.load(['{"id":1,"odd":1,"":2}', '{"id":2,"a":1}', '{"id":3,"a":2}'], {"autoCreateTable": True}, extra=ERRORS)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.rows("SELECT id, a FROM t"), [(2, 1), (3, 2)])
        columns = {name: key for _, name, _, _, _, key in self.rows("PRAGMA table_info(t)")}
        self.assertNotIn("odd", columns)
        self.assertEqual(columns["id"], 1)


class ExactlyOnce(SqliteTest):
    def test_rows_and_position_are_stored_together(self):
        self.execute("CREATE TABLE t (id INTEGER NOT NULL CHECK (id != 3))")
        done = self.load(['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}'], {"exactlyOnce": True}, extra=ERRORS)
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.rows(), [(1,), (2,), (4,)])
        self.assertEqual(len(self.read_jsonl("errors.jsonl")), 1)
        [(flow, position)] = self.rows("SELECT * FROM dataflow_positions")
        self.assertEqual(flow, "default/flow")
        self.assertEqual(json.loads(position)["source"], "file")
        # The checkpoint of the state directory is not needed: what the sink holds is where it goes on.
        shutil.rmtree(self.dir / "state", ignore_errors=True)
        done = self.dataflow("run", "--progress", "json", "flow.yaml")
        self.assertEqual((done.returncode, self.summary(done)["read"]), (0, 0), done.err)

    def test_what_breaks_the_promise_is_refused_with_its_place(self):
        sink = {"path": "x.db", "table": "t", "exactlyOnce": True}
        route = [{"type": "router", "router": {"routes": [{"condition": "$.a == 1", "sink": {"type": "discard", "config": {}}}]}}]
        for extra, source, text in (
            ({}, "stdin", "exact position, and stdin has none"),
            ({"transformations": route}, "generate", "a router has several"),
            ({"extra": ERRORS + "    ackPolicy: never\n"}, "generate", "needs errors.ackPolicy afterWrite"),
        ):
            self.flow(source, {}, "sqlite", sink, **extra)
            for command in ("validate", "explain", "run"):
                done = self.dataflow(command, "flow.yaml", stdin="")
                self.assertEqual(done.returncode, 2, (command, done.err))
                self.assertRegex(done.err, f"spec.sink.config.exactlyOnce: .*{text}", command)
        self.flow("generate", {}, "discard", {}, extra="  errors: " + json.dumps({"type": "sqlite", "config": sink}) + "\n")
        self.assertIn("spec.errors.config.exactlyOnce: exactlyOnce is for spec.sink: remove it from the error sink", self.dataflow("validate", "flow.yaml").err)

    def test_two_processes_do_not_write_one_flow(self):
        self.execute("CREATE TABLE t (id INTEGER)")
        self.flow("generate", {"rate": 50, "template": '{"id": ${counter}}'}, "sqlite",
                  {"path": "x.db", "table": "t", "exactlyOnce": True})
        first = subprocess.Popen([DATAFLOW, "run", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE, text=True)
        self.addCleanup(first.kill)
        end = time.monotonic() + 20
        while self.rows("SELECT count(*) FROM t")[0][0] < 5 and time.monotonic() < end:
            time.sleep(0.02)
        self.execute("UPDATE dataflow_positions SET checkpoint = checkpoint || ' '")
        _, err = first.communicate(timeout=20)
        self.assertEqual(first.returncode, 1)
        self.assertIn("changed by another process", err)


class Paths(SqliteTest):
    def test_what_sqlite_takes_for_memory_is_refused(self):
        for path in (":memory:", "file:x.db?mode=memory", "file:x.db"):
            with self.subTest(path=path):
                done = self.load(['{"id":1}'], {"path": path, "autoCreateTable": True})
                self.assertEqual(done.returncode, 1)
                self.assertIn("must name the database file", done.err)

    def test_what_is_no_regular_file_is_refused_at_once(self):
        os.mkfifo(self.dir / "x.db")
        done = self.load(['{"id":1}'], {"autoCreateTable": True}, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a regular file", done.err)
        self.flow("sqlite", {"path": "x.db", "table": "t"}, "discard", {})
        done = self.dataflow("run", "--once", "flow.yaml", timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a regular file", done.err)


if __name__ == "__main__":
    unittest.main()
