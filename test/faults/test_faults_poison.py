"""Poison messages: each kind, each policy, one record each; and the sum that always holds."""
import time
import unittest

from faultcase import OUTCOMES, FaultCase

CAST = {"type": "cast", "config": {"spec": {"n": "int64"}}}
DECODE = {"at": "read", "times": 0, "do": "poison", "ids": [100], "error": "invalid_data", "text": "not a record"}
SINK = {"at": "write", "type": "sqlite", "times": 0, "do": "poison", "ids": [700], "error": "constraint_violation",
        "text": "a check failed", "code": "23514"}


class ThreeKinds(FaultCase):
    def three_kinds(self, errors=None, **flow):
        """1,000 rows, of which decoding refuses 100, a transformation 400 and the sink 700."""
        self.rows(1000, row=lambda i: {"id": i, "n": "x" if i == 400 else str(i)})
        self.rules(DECODE, SINK)
        self.flow(transformations=[CAST], errors={**self.file("errors.jsonl"), **(errors or {})}, **flow)


class Poison(ThreeKinds):
    def test_997_written_3_records(self):
        self.three_kinds()
        summary = self.run_flow()
        self.assertEqual(self.stored(), [i for i in range(1000) if i not in (100, 400, 700)])
        records = {r["original_message"]["id"]: r["error"] for r in self.records("errors.jsonl")}
        self.assertEqual(len(self.records("errors.jsonl")), 3)
        self.assertEqual({i: (e["stage"], e["type"], e.get("code")) for i, e in records.items()},
                         {100: ("decode", "invalid_data", None), 400: ("transformer_0", "invalid_data", None),
                          700: ("sink_write", "constraint_violation", "23514")})
        self.assertEqual([summary[o] for o in OUTCOMES], [997, 0, 3, 0])
        self.assert_adds_up(summary)

    def test_the_sum_in_the_metrics(self):
        self.three_kinds(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}})
        self.start()
        self.wait_for(lambda: sum(self.outcomes().values()) == 1000)
        self.assertEqual(self.outcomes(), {"written": 997, "filtered": 0, "error_sinked": 3, "dropped": 0})
        self.assertEqual(self.value("dataflow_messages_received_total"), 1000)
        self.assertEqual(self.value("dataflow_task_active_messages"), 0)
        self.assertEqual(self.value("dataflow_task_stage_errors_total", stage="decode"), 1)
        self.assertEqual(self.value("dataflow_task_stage_errors_total", stage="transformer_0"), 1)
        self.assertEqual(self.value("dataflow_task_stage_errors_total", stage="sink_write"), 1)
        self.stop()

    def test_a_real_constraint(self):
        self.rows(1000)
        self.flow(sink=self.sqlite(columns="id INTEGER PRIMARY KEY CHECK (id != 123)"), errors=self.file("errors.jsonl"))
        summary = self.run_flow()
        self.assertEqual(self.stored(), [i for i in range(1000) if i != 123])
        record, = self.records("errors.jsonl")
        self.assertEqual((record["original_message"], record["error"]["type"]), ({"id": 123}, "constraint_violation"))
        self.assert_adds_up(summary)

    def test_a_sink_that_only_fails_the_whole_batch(self):
        """The poison is found by halving; all others are written, in order."""
        self.rows(512)
        self.flow(sink=self.sqlite(columns="id INTEGER CHECK (id != 77)"), errors=self.file("errors.jsonl"))
        self.run_flow()
        self.assertEqual([r[0] for r in self.database().execute("SELECT id FROM t ORDER BY rowid")],
                         [i for i in range(512) if i != 77])
        self.assertEqual(len(self.records("errors.jsonl")), 1)

    def test_nothing_is_retried(self):
        self.three_kinds()
        self.assertEqual(self.run_flow()["retries"], 0)

    def test_without_an_error_sink_it_stops_with_the_position_kept(self):
        for rule in (DECODE, SINK):
            self.rows(1000)
            self.rules(rule)
            self.flow(checkpointSaveInterval="10ms")
            self.run_flow(code=1)
            self.assertIn(rule["text"], self.err)
            self.rules()
            self.run_flow()
            self.assert_all(1000)
            for left in (*self.dir.glob("out.db*"), *self.dir.glob("state/**/checkpoint.json")):
                left.unlink()

    def test_every_record_of_a_bad_batch(self):
        self.rows(1000)
        self.rules({"at": "write", "type": "sqlite", "times": 0, "do": "poison", "every": 10, "error": "invalid_data"})
        self.flow(errors=self.file("errors.jsonl"))
        summary = self.run_flow()
        self.assertEqual(summary["error_sinked"], 100)
        written, refused = set(self.stored()), [r["original_message"]["id"] for r in self.records("errors.jsonl")]
        self.assertEqual(len(refused), len(set(refused)))
        self.assertEqual((written | set(refused), written & set(refused)), (set(range(1000)), set()))

    def test_wrong_counts_of_the_sink_change_no_outcome(self):
        self.rows(1000)
        self.rules({"at": "write", "times": 0, "do": "count", "n": 100000})
        self.flow()
        summary = self.run_flow()
        self.assertEqual([summary[o] for o in OUTCOMES], [1000, 0, 0, 0])
        self.assertLessEqual(summary["unchanged"], summary["written"])
        self.assert_adds_up(summary)


class Drop(ThreeKinds):
    def test_what_the_manifest_says_to_drop_is_counted(self):
        self.three_kinds()
        self.flow(transformations=[CAST], onError="drop")
        summary = self.run_flow()
        self.assertEqual([summary[o] for o in OUTCOMES], [997, 0, 0, 3])
        self.assertEqual(self.stored(), [i for i in range(1000) if i not in (100, 400, 700)])
        self.assert_adds_up(summary)
        self.assertEqual(self.run_flow()["read"], 0)

    def test_an_outage_drops_nothing(self):
        self.rows(1000)
        self.rules({"at": "write", "from": 2, "times": 2, "do": "fail", "error": "connection_error"},
                   {"at": "write", "from": 5, "do": "fail", "error": "transient"})
        self.flow(onError="drop", retry={"initial": "10ms"})
        self.assertEqual(self.run_flow()["dropped"], 0)
        self.assert_all(1000)

    def test_an_error_of_the_whole_stops_all_the_same(self):
        self.rows(1000)
        self.rules({"at": "write", "times": 0, "do": "fail", "error": "unknown", "text": "table t is gone"})
        self.flow(onError="drop")
        self.run_flow(code=1)
        self.assertIn("table t is gone", self.err)


class AckPolicy(ThreeKinds):
    def after_a_restart(self, policy, read_again):
        """Blocked positions before it, messages that it read again, error records in the end."""
        self.three_kinds(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}},
                         errors={"ackPolicy": policy}, checkpointSaveInterval="10ms")
        self.start()
        self.wait_for(lambda: sum(self.outcomes().values()) == 1000)
        blocked = self.value("dataflow_task_blocked_positions")
        self.stop()
        self.start()
        self.wait_for(lambda: self.value("dataflow_status", phase="Running") == 1)
        self.wait_for(lambda: self.value("dataflow_messages_received_total") >= read_again)
        time.sleep(0.2)
        again = self.value("dataflow_messages_received_total")
        self.stop()
        self.assertEqual(self.stored(), [i for i in range(1000) if i not in (100, 400, 700)])
        return blocked, again, len(self.records("errors.jsonl"))

    def test_after_write(self):
        self.assertEqual(self.after_a_restart("afterWrite", 0), (0, 0, 3))

    def test_never(self):
        self.assertEqual(self.after_a_restart("never", 900), (3, 900, 6))

    def test_after_main_sink_success(self):
        self.assertEqual(self.after_a_restart("afterMainSinkSuccess", 900), (3, 900, 6))


class FailingErrorSink(FaultCase):
    def test_it_stops_with_the_position_kept(self):
        self.rows(1000)
        self.rules(SINK, {"at": "write", "type": "file", "times": 0, "do": "fail", "error": "unknown", "text": "no room"})
        self.flow(errors=self.file("errors.jsonl"), checkpointSaveInterval="10ms")
        summary = self.run_flow(code=1)
        self.assertIn("error sink file", self.err)
        self.assertIn("no room", self.err)
        self.assertEqual(summary["error_sinked"], 0)
        self.rules(SINK)
        self.run_flow()
        self.assertEqual(self.stored(), [i for i in range(1000) if i != 700])
        self.assertEqual([r["original_message"]["id"] for r in self.records("errors.jsonl")], [700])

    def test_a_record_that_it_refuses(self):
        self.rows(100)
        self.rules({**SINK, "ids": [7]},
                   {"at": "write", "type": "file", "times": 0, "do": "fail", "error": "invalid_data", "text": "too large"})
        self.flow(errors=self.file("errors.jsonl"))
        self.run_flow(code=1)
        self.assertIn("cannot store a record", self.err)

    def test_it_is_retried_like_any_sink(self):
        self.rows(100)
        self.rules({**SINK, "ids": [7]}, {"at": "write", "type": "file", "do": "fail", "error": "transient", "text": "later"})
        self.flow(errors=self.file("errors.jsonl"))
        self.assertEqual(self.run_flow()["error_sinked"], 1)
        self.assertEqual(len(self.records("errors.jsonl")), 1)


class Routes(FaultCase):
    def test_each_route_counts(self):
        self.rows(3000)
        self.rules({"at": "write", "output": 1, "times": 0, "do": "poison", "ids": [3, 30], "error": "invalid_data"})
        self.flow(transformations=[{"type": "router", "config": {"routes": [
            {"condition": "id < 1000", "sink": self.file("low.jsonl")}]}},
            {"type": "filter", "config": {"condition": "id != 5 && id != 2000"}}], errors=self.file("errors.jsonl"))
        summary = self.run_flow()
        self.assertEqual([summary[o] for o in OUTCOMES], [2996, 2, 2, 0])
        self.assertEqual(sorted(r["original_message"]["id"] for r in self.records("errors.jsonl")), [3, 30])
        self.assertEqual({r["error"]["original_sink"] for r in self.records("errors.jsonl")}, {"file"})
        self.assertEqual(self.stored("low.jsonl"), [i for i in range(1000) if i not in (3, 5, 30)])
        self.assertEqual(self.stored(), [i for i in range(1000, 3000) if i != 2000])
        self.assert_adds_up(summary)


if __name__ == "__main__":
    unittest.main()
