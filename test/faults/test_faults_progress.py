"""What a person sees while it runs: the counts, and for what it waits."""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import time
import unittest

from faultcase import FAULTS, SLOW, FaultCase

ENDLESS = {"type": "generate", "config": {"rate": 2000, "template": '{"id": ${counter:0}}'}}


class Progress(FaultCase):
    def outage(self):
        down = self.dir / "down"
        self.rules({"at": "write", "while": str(down), "do": "fail", "error": "connection_error", "text": "reset by the peer"},
                   {"at": "sink_connect", "while": str(down), "do": "fail", "error": "connection_error", "text": "connection refused"})
        self.flow(source=ENDLESS, name="orders")
        return down

    def lines(self):
        return [json.loads(line) for line in self.log().splitlines() if line.startswith('{"name"') and line.endswith("}")]

    def await_wait(self, connector, operation, reason, which=lambda wait: True):
        """Until the newest line says that it waits for this; the wait."""
        def found():
            return [w for line in self.lines()[-1:] for w in line["waiting"]
                    if (w["connector"], w["operation"], w["reason"]) == (connector, operation, reason) and which(w)]
        return self.wait_for(found)[0]

    def test_json_says_what_it_waits_for(self):
        down = self.outage()
        self.start()
        self.wait_for(lambda: any(line["written"] > 0 and line["waiting"] == [] for line in self.lines()))
        down.touch()
        wait = self.await_wait("sink", "connect", "connection refused", lambda wait: wait["attempts"] >= 3 and wait["seconds"] > 0.3)
        self.assertEqual(wait["type"], "sqlite")
        self.assertGreater(self.lines()[-1]["queued"]["output"], 0)
        self.assertGreater(self.lines()[-1]["connector_errors"], 2)
        down.unlink()
        self.wait_for(lambda: self.lines()[-1]["waiting"] == [])
        self.stop()

    def test_a_sink_that_does_not_answer(self):
        self.rules({"at": "write", "from": 5, "do": "hang"})
        self.flow(source=ENDLESS)
        self.start("--grace", "1")
        self.await_wait("sink", "write", "it does not answer")
        self.stop(code=1)

    def test_a_batch_that_fills(self):
        self.rows(500)
        self.flow(source={"type": "file", "config": {"path": str(self.dir / "in.jsonl"), "follow": True}},
                  sink=self.sqlite(batchSize=1000, batchFlushIntervalSeconds=600))
        self.start()
        self.await_wait("sink", "batch", "500 of 1000 messages are there")
        self.stop()
        self.assert_all(500)

    def test_a_source_that_cannot_be_read(self):
        down = self.dir / "down"
        self.rules({"at": "read", "while": str(down), "do": "fail", "error": "connection_error", "text": "reset by the peer"})
        self.flow(source=ENDLESS)
        self.start()
        self.wait_for(lambda: self.value("dataflow_messages_total", outcome="written") > 0)
        down.touch()
        self.await_wait("source", "read", "reset by the peer")
        down.unlink()
        self.wait_for(lambda: self.lines()[-1]["waiting"] == [])
        self.stop()
        self.assert_all(len(self.stored()))

    def test_writes_that_are_refused(self):
        self.rules({"at": "write", "from": 5, "times": 3, "do": "fail", "error": "transient", "text": "too many parts"})
        self.flow(source=ENDLESS, retry={"initial": "2s"})
        self.start()
        self.wait_for(lambda: any(w["reason"] == "too many parts" and w["operation"] == "write"
                                  for line in self.lines() for w in line["waiting"]))
        self.stop()

    def on_a_terminal(self, columns, during, until):
        """What appears between clearings: [lines of a frame]. It is stopped when `until` is seen in it."""
        master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.log_path = self.dir / "terminal"
        self.process = subprocess.Popen([FAULTS, "run", "--grace", "1", "--state-dir", self.dir / "state", self.dir / "flow.yaml"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=terminal, cwd=self.dir,
                                        env=self.environment(TERM="xterm"))
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        os.close(terminal)
        os.set_blocking(master, False)
        stopped = False
        output, deadline = b"", time.monotonic() + 60 * SLOW
        while self.process.poll() is None:  # who does not read stops the one who writes
            try:
                output += os.read(master, 65536)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:  # nobody writes any more
                break
            seen = output.decode(errors="replace")
            during(seen)
            if not stopped and (re.search(until, seen) or time.monotonic() > deadline):
                self.process.terminate()
                stopped = True
        self.process.wait()
        os.close(master)
        return [frame.replace("\x1b[A", "").split("\r\n") for frame in output.decode().split("\r\x1b[K")]

    def test_live(self):
        down = self.outage()
        frames = self.on_a_terminal(90, lambda seen: "written" in seen and down.touch(),
                                    until=r"orders: read .*\r\n +waiting for sink sqlite: connection refused, attempt \d+, \d+ s\r")
        waiting = [f for f in frames if len(f) == 2 and f[0].startswith("orders: read")]
        self.assertTrue(waiting, frames[-3:])
        self.assertRegex(waiting[-1][1], r"^  waiting for sink sqlite: connection refused, attempt \d+, \d+ s$")
        self.assertLess(max(len(line) for frame in waiting for line in frame), 90)
        logged = [line for frame in frames for line in frame if "WARN" in line]
        self.assertTrue(logged and not any("orders: read" in line for line in logged), logged)

    def test_plain(self):
        self.outage().touch()
        self.flow(source=ENDLESS, name="orders")
        self.start("--progress", "plain")
        found = self.wait_for(lambda: re.search(r"(?m)^orders: read .*\(waiting for sink sqlite: connection refused, attempt \d+, \d+ s\)$",
                                                self.log()))
        self.assertTrue(found)
        self.stop()


if __name__ == "__main__":
    unittest.main()
