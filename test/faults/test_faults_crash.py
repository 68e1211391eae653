"""kill -9 at random instants and at every point where it could hurt. DATAFLOW_KILLS sets how many random ones (default 70)."""
import os
import random
import signal
import subprocess
import time
import unittest

from faultcase import SLOW, FaultCase

KILLS = int(os.environ.get("DATAFLOW_KILLS", "70")) // SLOW
POINTS = ("read", "transform", "write", "written", "sync", "synced", "commit", "committed", "save", "saving", "saved")
ROWS = 100_000 // SLOW


class Crash(FaultCase):
    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("DATAFLOW_SEED", time.time_ns() % 1_000_000))
        self.rng = random.Random(self.seed)

    def kill_at_random(self, kills):
        """Returns how many kills hit a run at work; the flow may be through before."""
        killed = 0
        while killed < kills:
            self.start(wait_ready=False)
            try:
                self.process.wait(self.rng.uniform(0.01, 0.08) * SLOW)
                self.assertEqual(self.process.returncode, 0, self.log())
                return killed
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
                killed += 1
        return killed

    def crash_at(self, points, nth=(1, 2, 5), *args):
        for n in nth:
            for point in points:
                self.run_flow(*args, crash=f"{point}:{n}", code=None)
                self.assertIn(self.code, (0, -signal.SIGKILL), self.err)

    def test_upsert_nothing_missing_nothing_doubled(self):
        self.rows(ROWS)
        self.rules({"at": "write", "times": 0, "do": "delay", "ms": 2})
        self.flow(checkpointSaveInterval="20ms")
        self.crash_at(POINTS)
        killed = self.kill_at_random(KILLS)
        self.run_flow(timeout=120)
        self.assert_all(ROWS)
        # A run that is through leaves nothing to hit: the rest of the kills hit it again, from its beginning.
        while killed < KILLS:
            for left in (*self.dir.glob("out.db*"), *self.dir.glob("state/**/checkpoint.json")):
                left.unlink()
            self.flow(checkpointSaveInterval="20ms")
            killed += self.kill_at_random(KILLS - killed)
            self.run_flow(timeout=120)
            self.assert_all(ROWS)

    def test_insert_nothing_missing(self):
        """Without upsert a row may stand there twice, but never not at all."""
        self.rows(20_000 // SLOW)
        self.flow(sink=self.sqlite(columns="id INTEGER"), checkpointSaveInterval="10ms")
        self.crash_at(POINTS)
        self.run_flow()
        self.assert_all(20_000 // SLOW, doubled=True)

    def test_exactly_once_nothing_missing_nothing_doubled(self):
        """Without a key and without upsert: the position stands in the transaction of the rows."""
        self.rows(20_000 // SLOW)
        self.rules({"at": "write", "times": 0, "do": "delay", "ms": 2})
        self.flow(sink=self.sqlite(columns="id INTEGER", exactlyOnce=True), checkpointSaveInterval="10ms")
        self.crash_at(POINTS)
        self.kill_at_random(10)
        self.run_flow()
        self.assert_all(20_000 // SLOW)

    def test_exactly_once_with_poison_and_lost_answers(self):
        self.rows(5000)
        # Only at the main sink: a record whose answer is lost may stand in the error sink twice.
        self.rules({"at": "written", "output": 0, "from": 3, "do": "fail", "error": "connection_error", "text": "the answer is lost"},
                   {"at": "written", "output": 0, "from": 9, "do": "fail", "error": "connection_error", "text": "the answer is lost"},
                   {"at": "write", "output": 0, "times": 0, "do": "poison", "every": 997, "error": "constraint_violation"})
        self.flow(sink=self.sqlite(columns="id INTEGER", exactlyOnce=True), errors=self.file("errors.jsonl"),
                  checkpointSaveInterval="10ms")
        self.run_flow()
        refused = [r["original_message"]["id"] for r in self.records("errors.jsonl")]
        stored = self.stored()
        self.assertEqual(len(stored), len(set(stored)), "doubled")
        self.assertEqual(sorted(stored + refused), list(range(5000)))

    def test_file_nothing_missing_no_torn_line(self):
        self.rows(20_000 // SLOW)
        self.flow(sink=self.file(), checkpointSaveInterval="10ms")
        self.crash_at(POINTS)
        self.kill_at_random(5)
        self.run_flow()
        self.assert_all(20_000 // SLOW, "out.jsonl", doubled=True)

    def test_split_and_filtered_messages(self):
        """One message that becomes many is done when all of them are; a filtered one at once."""
        self.rows(4000, row=lambda i: {"items": [{"id": 3 * i + k} for k in range(3)]})
        self.flow(transformations=[{"type": "flatten", "config": {"field": "items"}},
                                   {"type": "filter", "config": {"condition": "id != 17"}}],
                  checkpointSaveInterval="10ms")
        self.crash_at(POINTS, nth=(1, 3))
        self.run_flow()
        self.assertEqual(self.stored(), [i for i in range(12000) if i != 17])

    def test_a_cursor_with_equal_times(self):
        with self.database("in.db") as db:
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at TEXT)")
            db.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"2024-01-01T00:00:{i // 500:02}Z") for i in range(5000)])
        self.flow(source={"type": "sqlite", "config": {"path": str(self.dir / "in.db"), "table": "t", "readBatchSize": 700}},
                  sink=self.sqlite(columns="id INTEGER PRIMARY KEY, updated_at", upsertMode=True, conflictKey="id"),
                  checkpointSaveInterval="10ms")
        self.crash_at(POINTS, (1, 3), "--once")
        self.run_flow("--once")
        self.assert_all(5000)

    def test_an_error_sink_has_every_record(self):
        self.rows(3000, row=lambda i: {"id": i, "n": "x" if i % 100 == 50 else str(i)})
        self.flow(transformations=[{"type": "cast", "config": {"spec": {"n": "int64"}}}], errors=self.file("errors.jsonl"),
                  checkpointSaveInterval="10ms")
        self.crash_at(POINTS, nth=(1, 3))
        self.run_flow()
        bad = {r["original_message"]["id"] for r in self.records("errors.jsonl")}
        self.assertEqual(bad, set(range(50, 3000, 100)))
        self.assertEqual(self.stored(), [i for i in range(3000) if i % 100 != 50])


if __name__ == "__main__":
    unittest.main()
