"""kill -9 of exactlyOnce at random instants, into a table without any key: nothing is missing, nothing is there twice."""
import collections
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
KILLS = int(os.environ.get("DATAFLOW_KILLS", "20"))
ROWS = 200_000

FLOW = """
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: kill-once}}
spec:
  checkpointSaveInterval: {interval}
  source: {source}
  transformations:
    - {{type: filter, config: {{condition: "n != 7"}}}}
  sink:
    type: sqlite
    config: {{path: {dir}/out.db, table: t, batchSize: {batch}, batchFlushIntervalSeconds: 1, exactlyOnce: true}}
"""


class ExactlyOnce(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        self.seed = int(os.environ.get("DATAFLOW_SEED", time.time_ns() % 1_000_000))
        self.rng = random.Random(self.seed)
        self.command = [DATAFLOW, "run", "--once", "--progress", "none", "--state-dir", str(self.dir), str(self.dir / "flow.yaml")]

    def flow(self, source, batch, interval="1h"):
        (self.dir / "flow.yaml").write_text(FLOW.format(dir=self.dir, source=source, batch=batch, interval=interval))
        with sqlite3.connect(self.dir / "out.db") as db:
            db.execute("CREATE TABLE t (id INTEGER, n INTEGER)")
        db.close()

    def count(self):
        with sqlite3.connect(self.dir / "out.db") as db:
            rows = db.execute("SELECT id, n FROM t").fetchall()
        db.close()
        return collections.Counter(rows)

    def kill(self):
        """Kills it again and again; it must get further all the same, so that the last run is not the only one that works."""
        killed = 0
        while killed < KILLS:
            process = subprocess.Popen(self.command, stderr=subprocess.PIPE)
            try:
                process.wait(self.rng.uniform(0.005, 0.08))
                self.assertEqual(process.returncode, 0, process.stderr.read().decode())
                process.stderr.close()
                return killed
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
            process.stderr.close()
        return killed

    def check(self, expected):
        killed = self.kill()
        self.assertGreater(killed, 2)
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, f"seed {self.seed}: {done.stderr}")
        got = self.count()
        self.assertEqual(sum((expected - got).values()), 0, f"seed {self.seed}: missing")
        self.assertEqual(sum((got - expected).values()), 0, f"seed {self.seed}: doubled")

    def test_from_files(self):
        expected = collections.Counter()
        for part in range(3):
            with open(self.dir / f"in{part}.jsonl", "w") as f:
                for i in range(ROWS // 3):
                    f.write(json.dumps({"id": i, "n": i % 10}) + "\n")
                    if i % 10 != 7:
                        expected[(i, i % 10)] += 1
        self.flow(f"{{type: file, config: {{path: '{self.dir}/in*.jsonl'}}}}", 100)
        self.check(expected)

    def test_from_rows_that_share_positions(self):
        """Neither column that orders is unique: four rows have each position, and the last of some is filtered out."""
        expected = collections.Counter()
        with sqlite3.connect(self.dir / "in.db") as db:
            db.execute("CREATE TABLE r (id INTEGER, n INTEGER, changed INTEGER)")
            for i in range(ROWS // 2):
                db.execute("INSERT INTO r VALUES (?, ?, ?)", (i // 4, i % 10, i // 40))
                if i % 10 != 7:
                    expected[(i // 4, i % 10)] += 1
        db.close()
        self.flow(f"{{type: sqlite, config: {{path: '{self.dir}/in.db', query: 'SELECT id, n, changed FROM r', "
                  "changeTrackingColumn: changed, orderByColumn: id, readBatchSize: 5000}}", 50, "5ms")
        with sqlite3.connect(self.dir / "out.db") as db:
            db.execute("ALTER TABLE t ADD COLUMN changed INTEGER")
        db.close()
        self.check(expected)


if __name__ == "__main__":
    unittest.main()
