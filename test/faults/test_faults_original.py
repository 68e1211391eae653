"""What the public project does wrong when it runs, one test each, by the same names."""
import json
import signal
import time
import unittest

from faultcase import FaultCase


class Original(FaultCase):
    def test_a_fatal_sink_error_with_more_rows_waiting_than_the_buffers_hold_ends_the_run(self):
        """There: it hangs for ever."""
        self.rows(100_000)
        self.rules({"at": "write", "from": 3, "times": 0, "do": "fail", "error": "unknown", "text": "table t is gone"})
        self.flow(channelBufferSize=10)
        started = time.monotonic()
        self.run_flow(code=1)
        self.assertLess(time.monotonic() - started, 10)
        self.assertIn("table t is gone", self.err)

    def test_a_poison_row_with_an_error_sink_is_the_one_that_goes_there(self):
        """There: a crash, or the next row goes to the error sink and the rest is dropped."""
        self.rows(1000)
        self.flow(sink=self.sqlite(columns="id INTEGER PRIMARY KEY CHECK (id != 500)"), errors=self.file("errors.jsonl"))
        self.run_flow()
        self.assertEqual([r["original_message"] for r in self.records("errors.jsonl")], [{"id": 500}])
        self.assertEqual(self.stored(), [i for i in range(1000) if i != 500])

    def test_the_last_500_of_1500_rows_with_batches_of_1000_are_written_by_the_timer(self):
        """There: never."""
        self.rows(1500)
        self.flow(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}},
                  sink=self.sqlite(batchSize=1000, batchFlushIntervalSeconds=1))
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") == 1500)
        self.stop()
        self.assert_all(1500)

    def test_the_last_500_of_1500_rows_with_batches_of_1000_are_written_at_sigterm(self):
        """There: not even then."""
        self.rows(1500)
        self.flow(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}},
                  sink=self.sqlite(batchSize=1000, batchFlushIntervalSeconds=600))
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") == 1000)
        self.wait_for(lambda: self.value("dataflow_messages_received_total") == 1500)
        self.stop()
        self.assert_all(1500)

    def test_sigterm_exits_with_0(self):
        """There: always 1."""
        self.flow(source={"type": "generate", "config": {"rate": 100, "template": '{"id": ${counter:0}}'}})
        for number in (signal.SIGTERM, signal.SIGINT):
            self.start()
            self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
            self.stop(number, code=0)

    def test_a_server_that_is_away_for_6_s_is_told_and_waited_for(self):
        """There: a stall without a line of log."""
        down = self.dir / "down"
        self.rules({"at": "write", "while": str(down), "do": "fail", "error": "connection_error", "text": "reset by the peer"},
                   {"at": "sink_connect", "while": str(down), "do": "fail", "error": "connection_error", "text": "refused"})
        self.flow(source={"type": "generate", "config": {"rate": 500, "template": '{"id": ${counter:0}}'}})
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 100)
        down.touch()
        time.sleep(6)
        self.assertIn("reset by the peer", self.log())
        self.assertIn("refused", self.log())
        self.assertGreaterEqual(self.value("dataflow_connector_errors_total", operation="connect"), 2)
        before = self.value("dataflow_messages_total", outcome="written")
        down.unlink()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > before + 500)
        self.stop()
        self.assert_all(len(self.stored()))

    def test_a_terminated_connection_is_opened_again(self):
        """There: never."""
        self.rows(3000)
        self.rules({"at": "read", "from": 2, "do": "fail", "error": "connection_error", "code": "57P01", "text": "terminating"},
                   {"at": "write", "from": 3, "do": "fail", "error": "connection_error", "code": "57P01", "text": "terminating"})
        self.flow(sink=self.sqlite(columns="id INTEGER"))
        self.run_flow()
        self.assert_all(3000)

    def test_a_message_that_is_not_json_is_not_lost(self):
        """There: logged, committed and gone."""
        self.rows(100, row=lambda i: "not json" if i == 40 else {"id": i})
        self.flow(errors=self.file("errors.jsonl"))
        summary = self.run_flow()
        self.assertEqual([r["original_message"] for r in self.records("errors.jsonl")], [{"original_data": "not json"}])
        self.assertEqual(self.stored(), [i for i in range(100) if i != 40])
        self.assert_adds_up(summary)

    def test_a_message_that_is_not_json_stops_without_an_error_sink(self):
        self.rows(100, row=lambda i: "not json" if i == 40 else {"id": i})
        self.flow()
        self.run_flow(code=1)
        self.assertRegex(self.err, "message [^ ]*/[0-9]+, sink_write of sqlite")
        self.assertIn("position is kept", self.err)

    def test_filtered_messages_at_the_end_are_acknowledged(self):
        """There: read again at every start."""
        self.rows(1000)
        self.flow(transformations=[{"type": "filter", "config": {"condition": "id < 10"}}])
        self.assertEqual(self.run_flow()["filtered"], 990)
        self.assertEqual(self.run_flow()["read"], 0)

    def test_numbers_keep_their_digits(self):
        """There: 9007199254740993 becomes ...992, and a numeric(38,10) loses digits."""
        numbers = ["9007199254740993", "-9223372036854775808", "1234567890123456789012345678.0123456789", "1e400", "0.10"]
        (self.dir / "in.jsonl").write_text("".join('{"id":%d,"n":%s}\n' % (i, n) for i, n in enumerate(numbers)))
        self.flow(sink=self.file(), transformations=[{"type": "snakeCase"}])
        self.run_flow()
        lines = (self.dir / "out.jsonl").read_text().splitlines()
        self.assertEqual([line.partition('"n":')[2].rstrip("}") for line in lines], numbers)

    def test_bytes_stay_bytes(self):
        """There: text."""
        with self.database("in.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n BLOB, updated_at TEXT)")
            db.execute("INSERT INTO t VALUES (0, x'00ff80', '2024-01-01T00:00:00Z')")
        self.flow(source={"type": "sqlite", "config": {"path": str(self.dir / "in.db"), "table": "t"}},
                  sink=self.sqlite(columns="id INTEGER PRIMARY KEY, n BLOB, updated_at TEXT"))
        self.run_flow("--once")
        self.assertEqual(self.database().execute("SELECT n, typeof(n) FROM t").fetchall(), [(b"\x00\xff\x80", "blob")])
        self.flow(source={"type": "sqlite", "config": {"path": str(self.dir / "in.db"), "table": "t"}}, sink=self.file(), name="b")
        self.run_flow("--once")
        self.assertEqual(json.loads((self.dir / "out.jsonl").read_text())["n"], "AP+A")


if __name__ == "__main__":
    unittest.main()
