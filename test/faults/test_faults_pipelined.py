"""Several writes in flight: results that come later, from another thread, in another order."""
import signal
import time
import unittest

from faultcase import OUTCOMES, SLOW, FaultCase

LATER = {"at": "write", "type": "sqlite", "times": 0, "do": "later", "ms": 5}


class Pipelined(FaultCase):
    def test_all_arrive_once(self):
        self.rows(20_000 // SLOW)
        self.rules(LATER)
        self.flow(sink=self.sqlite(columns="id INTEGER"))
        self.assert_adds_up(self.run_flow())
        self.assert_all(20_000 // SLOW)

    def test_poison_among_them(self):
        self.rows(5000)
        self.rules(LATER)
        self.flow(sink=self.sqlite(columns="id INTEGER CHECK (id % 1000 != 500)"), errors=self.file("errors.jsonl"))
        summary = self.run_flow()
        self.assertEqual([summary[o] for o in OUTCOMES], [4995, 0, 5, 0])
        self.assertEqual(sorted(r["original_message"]["id"] for r in self.records("errors.jsonl")), [500, 1500, 2500, 3500, 4500])
        self.assertEqual(self.stored(), [i for i in range(5000) if i % 1000 != 500])

    def test_a_connection_that_is_lost_with_several_under_way(self):
        self.rows(5000)
        self.rules({"at": "write", "from": 4, "do": "fail", "error": "connection_error"},
                   {"at": "write", "from": 11, "do": "fail", "error": "transient"}, LATER)
        self.flow(retry={"initial": "10ms"})
        self.assert_adds_up(self.run_flow())
        self.assert_all(5000)

    def test_sigterm_waits_for_the_results(self):
        self.rules({**LATER, "ms": 50})
        self.flow(source={"type": "generate", "config": {"rate": 20_000 // SLOW, "template": '{"id": ${counter:0}}'}},
                  sink=self.sqlite(columns="id INTEGER"))
        for _ in range(3):
            self.start()
            self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
            self.assertLess(self.stop(), 20)
        self.assert_all(len(self.stored()))

    def test_kills(self):
        self.rows(20_000 // SLOW)
        self.rules(LATER)
        self.flow(checkpointSaveInterval="10ms")
        for k in range(10):
            self.start(wait_ready=False)
            time.sleep(0.02 + 0.01 * k)
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.run_flow()
        self.assert_all(20_000 // SLOW)


if __name__ == "__main__":
    unittest.main()
