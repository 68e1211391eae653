"""A long run under small faults: memory, descriptors and threads stay flat. DATAFLOW_SOAK_SECONDS sets how long (default 20;
600 for the long form)."""
import os
import pathlib
import re
import statistics
import time
import unittest

from faultcase import SLOW, FaultCase

SECONDS = int(os.environ.get("DATAFLOW_SOAK_SECONDS", "20"))


class Soak(FaultCase):
    def usage(self):
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        status = (proc / "status").read_text()
        return {"resident": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10, "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
                "descriptors": len(list((proc / "fd").iterdir()))}

    def test_memory_and_descriptors_stay_flat(self):
        self.rules(
            {"at": "write", "output": 0, "times": 0, "do": "poison", "every": 1009, "error": "invalid_data", "text": "refused"},
            {"at": "read", "times": 0, "do": "poison", "every": 5003, "error": "invalid_data", "text": "not a record"},
            *({"at": "write", "output": 0, "from": 40 * k, "do": "fail", "error": "connection_error"} for k in range(1, 9)),
            *({"at": "read", "from": 70 * k, "do": "fail", "error": "connection_error"} for k in range(1, 5)))
        self.flow(source={"type": "generate", "config": {"rate": 5000, "template": '{"id": ${counter}, "t": "${string:200}", '
                                                                                  '"items": [{"n": 1}, {"n": 2}]}'}},
                  sink={"type": "discard"}, errors=self.file("errors.jsonl"), checkpointSaveInterval="50ms",
                  transformations=[{"type": "flatten", "config": {"field": "items"}}, {"type": "snakeCase", "config": {"deep": True}},
                                   {"type": "filter", "config": {"condition": "n == 1"}}])
        self.start()
        time.sleep(max(5, SECONDS / 10))
        first, read = self.usage(), self.value("dataflow_messages_received_total")
        peak, resident = dict(first), []
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.5)
            now = self.usage()
            peak = {key: max(peak[key], now[key]) for key in peak}
            resident.append(now["resident"])
        self.assertGreater(self.value("dataflow_messages_received_total"), read + 1000 * SECONDS / SLOW)
        summary = (self.stop(), self.summary(self.log()))[1]
        self.assert_adds_up(summary)
        self.assertEqual(summary["error_sinked"], len(self.records("errors.jsonl")))
        self.assertGreater(summary["reconnects"], 0)
        self.assertGreater(summary["retries"], 0)
        self.assertEqual(peak["threads"], first["threads"])
        self.assertLessEqual(peak["descriptors"], first["descriptors"] + 2)  # the scrape's own, and one that is opened again
        # At the end, not once in between: what a machine that stalls makes wait is given back.
        self.assertLess(statistics.median(resident[-10:]), first["resident"] + (2 << 20) * SLOW, "memory grows")


if __name__ == "__main__":
    unittest.main()
