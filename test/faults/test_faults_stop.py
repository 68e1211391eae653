"""Stopping: SIGTERM at random instants and while something hangs, the second signal, exit codes, SIGSTOP."""
import os
import random
import signal
import subprocess
import time
import unittest

from faultcase import SLOW, FaultCase

STOPS = int(os.environ.get("DATAFLOW_STOPS", "30")) // SLOW


class Stop(FaultCase):
    def test_sigterm_at_random_instants_doubles_nothing(self):
        """Without upsert and without a key: what is written twice would stand there twice."""
        rng = random.Random(int(os.environ.get("DATAFLOW_SEED", time.time_ns() % 1_000_000)))
        rows = 40_000 // SLOW
        self.rows(rows)
        self.rules({"at": "write", "times": 0, "do": "delay", "ms": 5})
        self.flow(sink=self.sqlite(columns="id INTEGER"), checkpointSaveInterval="60s")
        for i in range(STOPS):
            self.start()
            try:
                self.assertEqual(self.process.wait(rng.uniform(0, 0.05) * SLOW), 0, self.log())
                break
            except subprocess.TimeoutExpired:
                self.stop(signal.SIGINT if i % 2 else signal.SIGTERM)
        self.rules()
        self.run_flow(timeout=120)
        self.assert_all(rows)

    def test_sigterm_flushes_what_waits_for_a_batch(self):
        self.rows(1500)
        self.flow(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}},
                  sink=self.sqlite(batchSize=1000, batchFlushIntervalSeconds=3600))
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_received_total") == 1500)
        self.stop()
        self.assert_all(1500)

    def test_sigstop_and_sigcont(self):
        self.rows(50_000 // SLOW)
        self.rules({"at": "write", "times": 0, "do": "delay", "ms": 2})
        self.flow()
        self.start()
        for _ in range(10):
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(0.05)
            self.process.send_signal(signal.SIGCONT)
            time.sleep(0.02)
            if self.process.poll() is not None:
                break
        self.ends(60)
        self.assert_all(50_000 // SLOW)


class Hang(FaultCase):
    def hang(self, at, grace="60", **rule):
        """A grace period of 60 s: what ends within 20 s did not wait for it."""
        self.rows(2000)
        self.rules({"at": at, "do": "hang", **rule})
        self.flow(sink=self.sqlite(columns="id INTEGER"), checkpointSaveInterval="10ms")
        self.start("--grace", grace)

    def then_nothing_is_missing(self):
        self.rules()
        self.run_flow()
        self.assert_all(2000, doubled=True)

    def test_in_read(self):
        self.hang("read", **{"from": 2})
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        self.assertLess(self.stop(), 20)
        self.then_nothing_is_missing()
        self.assertEqual(len(self.stored()), 2000, "doubled")

    def test_in_the_sources_connect(self):
        self.hang("source_connect")
        time.sleep(0.2)
        self.assertLess(self.stop(), 20)
        self.then_nothing_is_missing()

    def test_in_the_sinks_connect(self):
        self.hang("sink_connect")
        time.sleep(0.2)
        self.assertLess(self.stop(), 20)
        self.then_nothing_is_missing()

    def test_in_write_until_the_grace_is_over(self):
        self.hang("write", grace="2", **{"from": 2})
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        self.assertGreater(self.stop(code=1), 1.8)
        self.assertIn("grace period", self.log())
        self.then_nothing_is_missing()

    def test_a_second_signal_stops_at_once(self):
        self.hang("write", **{"from": 2})
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        self.process.send_signal(signal.SIGTERM)
        self.wait_for(lambda: "a second signal stops at once" in self.log())
        time.sleep(0.3)
        self.assertIsNone(self.process.poll())
        self.assertLess(self.stop(code=1), 20)
        self.then_nothing_is_missing()


class ExitCodes(FaultCase):
    def test_all(self):
        self.rows(100)
        self.flow()
        self.run_flow(code=0)
        self.rules({"at": "write", "do": "fail", "error": "unknown"})
        (self.dir / "out.db").unlink()
        self.flow(name="failing")
        self.run_flow(code=1)
        self.assertIn("the position is kept", self.err)
        (self.dir / "flow.yaml").write_text("{}")
        self.run_flow(code=2)


if __name__ == "__main__":
    unittest.main()
