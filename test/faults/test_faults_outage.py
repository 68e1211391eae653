"""The other side goes away, is slow, or answers wrongly; and the wall clock goes backwards."""
import http.client
import time
import unittest

from faultcase import SLOW, FaultCase

ENDLESS = {"type": "generate", "config": {"rate": 2000, "template": '{"id": ${counter:0}}'}}


class Outage(FaultCase):
    def test_a_lost_sink_is_opened_again(self):
        self.rows(5000)
        self.rules({"at": "write", "from": 3, "do": "fail", "error": "connection_error", "text": "closed by the peer"})
        self.flow(sink=self.sqlite(columns="id INTEGER"))
        summary = self.run_flow()
        self.assert_all(5000)
        self.assertIn("connection lost", self.err)
        self.assertEqual(summary["retries"], 1)
        self.assert_adds_up(summary)

    def test_a_lost_source_goes_on_where_it_was(self):
        self.rows(5000)
        self.rules({"at": "read", "from": 4, "do": "fail", "error": "connection_error"})
        self.flow(sink=self.sqlite(columns="id INTEGER"))
        summary = self.run_flow()
        self.assert_all(5000)
        self.assertEqual(summary["reconnects"], 1)

    def test_an_answer_that_is_lost(self):
        """The rows stand there, but the connection broke before it said so: they are written again, with upsert once."""
        self.rows(5000)
        self.rules({"at": "written", "from": 2, "times": 2, "do": "fail", "error": "connection_error"})
        self.flow()
        self.run_flow()
        self.assert_all(5000)

    def test_a_part_of_a_batch_is_tried_again_alone(self):
        self.rows(2000)
        self.rules({"at": "write", "times": 1, "do": "poison", "every": 7, "error": "transient", "text": "try later"})
        self.flow(sink=self.sqlite(columns="id INTEGER"))
        summary = self.run_flow()
        self.assert_all(2000)
        self.assertEqual(summary["retries"], 1)

    def test_each_class(self):
        """What is tried again, and what ends the run."""
        for error, code in (("timeout", 0), ("transient", 0), ("connection_error", 0), ("unknown", 1), ("auth_error", 1)):
            with self.subTest(error):
                self.rows(300)
                self.rules({"at": "write", "do": "fail", "error": error, "text": "as told"})
                for left in (*self.dir.glob("out.db*"), *self.dir.glob("state/**/checkpoint.json")):
                    left.unlink()
                self.flow(sink=self.sqlite(columns="id INTEGER"))
                self.assert_adds_up(self.run_flow(code=code)) if code == 0 else self.run_flow(code=code)
                self.assertIn("as told", self.err)
                if code:
                    self.run_flow(code=1)
                    self.rules()
                    self.run_flow()
                self.assert_all(300)

    def test_a_sink_that_cannot_be_reached_at_the_start(self):
        self.rows(100)
        self.rules({"at": "sink_connect", "times": 2, "do": "fail", "error": "connection_error", "text": "refused"})
        self.flow()
        self.run_flow()
        self.assert_all(100)
        self.assertIn("refused", self.err)
        self.assertIn("and 3 attempts", self.err)

    def test_a_checkpoint_that_cannot_be_saved_for_a_while(self):
        self.rows(20_000)
        self.rules({"at": "save", "do": "fail", "error": "transient", "text": "no room"},
                   {"at": "write", "times": 0, "do": "delay", "ms": 1})
        self.flow(checkpointSaveInterval="10ms")
        self.run_flow()
        self.assertIn("tried again at the next interval", self.err)
        self.assert_all(20_000)
        self.assertEqual(self.run_flow()["read"], 0)


class Time(FaultCase):
    """Takes seconds: an outage, and how soon it is noticed and over."""

    def test_an_outage_is_told_and_is_over_soon_after_the_server_is_back(self):
        down = self.dir / "down"
        self.rules({"at": "write", "while": str(down), "do": "fail", "error": "connection_error", "text": "reset by the peer"},
                   {"at": "sink_connect", "while": str(down), "do": "fail", "error": "connection_error", "text": "refused"})
        self.flow(source=ENDLESS, sink=self.sqlite(columns="id INTEGER"))
        self.start()
        written = lambda: self.value("dataflow_messages_total", outcome="written")
        self.wait_for(lambda: written() > 500)
        down.touch()
        self.wait_for(lambda: self.value("dataflow_connector_connection_status", connector_name="sink") == 0)
        self.wait_for(lambda: self.value("dataflow_connector_errors_total", operation="connect") >= 2)
        before = written()
        self.assertGreater(self.value("dataflow_task_active_messages"), 0)
        down.unlink()
        back = time.monotonic()
        self.wait_for(lambda: written() > before)
        took = time.monotonic() - back
        self.assertEqual(self.value("dataflow_connector_connection_status", connector_name="sink"), 1)
        self.stop()
        n = len(self.stored())
        self.assert_all(n)
        self.assertLess(took, 15 * SLOW)

    def is_steady(self, look):
        """Twice within 1 MiB."""
        before = look()
        time.sleep(0.5)
        return abs(look() - before) < 1 << 20

    def test_a_slow_sink_slows_the_source_and_memory_stays(self):
        self.rules({"at": "write", "times": 0, "do": "delay", "ms": 50})
        self.flow(source={"type": "generate", "config": {"template": '{"id": ${counter:0}, "text": "${string:1000}"}'}},
                  sink={"type": "discard"})
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        resident = lambda: self.value("dataflow_memory_bytes", area="resident")
        self.wait_for(lambda: self.is_steady(resident))  # the queues are full
        full = resident()
        for _ in range(10):
            time.sleep(0.2)
            self.assertLess(self.value("dataflow_memory_bytes", area="batches"), 16 << 20)
            self.assertLess(resident(), full + (4 << 20) * SLOW)
        self.assertLess(self.value("dataflow_task_active_messages"), 20_000)
        self.stop()

    def test_a_budget_for_memory(self):
        self.rules({"at": "write", "times": 0, "do": "delay", "ms": 50})
        self.rows(3000, row=lambda i: {"id": i, "n": "x" * 10_000})
        self.flow(memoryLimit="4Mi", channelBufferSize=10_000, sink=self.sqlite(batchSize=100))
        self.start()
        most = 0
        while self.process.poll() is None:
            try:
                most = max(most, self.value("dataflow_memory_bytes", area="batches"))
            except (OSError, http.client.HTTPException):  # it has ended meanwhile
                break
            time.sleep(0.01)
        self.assert_adds_up(self.ends())
        self.assertTrue((1 << 20) < most < 6 << 20, most)
        self.assert_all(3000)

    def test_a_message_that_is_too_large_for_the_budget(self):
        self.rows(300, row=lambda i: {"id": i, "n": "x" * (3_000_000 if i == 150 else 100)})
        self.flow(memoryLimit="4Mi", errors=self.file("errors.jsonl"))
        self.assert_adds_up(self.run_flow())
        self.assertEqual(self.stored(), [i for i in range(300) if i != 150])
        record, = self.records("errors.jsonl")
        self.assertEqual((record["error"]["stage"], record["error"]["type"]), ("decode", "invalid_data"))

    def test_a_clock_that_goes_backwards(self):
        back = self.dir / "back"
        self.rules({"at": "clock", "while": str(back), "do": "step", "seconds": -7200})
        self.flow(source=ENDLESS, sink=self.sqlite(columns="id INTEGER"), checkpointSaveInterval="50ms")
        self.start()
        processed = lambda: self.value("dataflow_last_processed_timestamp_seconds")
        first = self.wait_for(processed)
        back.touch()
        self.wait_for(lambda: 0 < processed() < first - 3600)
        saves = self.value("dataflow_checkpoint_saves_total", status="success")
        written = self.value("dataflow_messages_total", outcome="written")
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > written + 500)
        self.wait_for(lambda: self.value("dataflow_checkpoint_saves_total", status="success") > saves)
        with_negative = [key for key, value in self.metrics().items() if value < 0]
        self.assertEqual(with_negative, [])
        self.stop()
        self.assert_all(len(self.stored()))


if __name__ == "__main__":
    unittest.main()
