"""kill -9 of file -> SQLite at random instants: after a restart nothing is missing, nothing doubled, nothing torn."""
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
metadata: {{name: kill}}
spec:
  checkpointSaveInterval: 20ms
  source: {{type: file, config: {{path: {dir}/in.jsonl}}}}
  transformations:
    - {{type: filter, config: {{condition: "keep"}}}}
  sink:
    type: sqlite
    config: {{path: {dir}/out.db, table: t, autoCreateTable: true, upsertMode: true, conflictKey: id}}
"""


class Kill(unittest.TestCase):
    def test_nothing_missing_nothing_doubled(self):
        seed = int(os.environ.get("DATAFLOW_SEED", time.time_ns() % 1_000_000))
        rng = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            expected = {}
            with open(f"{folder}/in.jsonl", "w") as f:
                for i in range(ROWS):
                    row = {"id": i, "keep": i % 10 != 0, "text": f"row {i} " + "x" * (i % 50)}
                    f.write(json.dumps(row) + "\n")
                    if row["keep"]:
                        expected[i] = row["text"]
            pathlib.Path(folder, "flow.yaml").write_text(FLOW.format(dir=folder))
            command = [DATAFLOW, "run", "--progress", "none", "--state-dir", folder, f"{folder}/flow.yaml"]
            killed = 0
            for _ in range(KILLS * 5):
                process = subprocess.Popen(command, stderr=subprocess.PIPE)
                try:
                    process.wait(rng.uniform(0.005, 0.12))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    killed += 1
                process.stderr.close()
                if killed == KILLS:
                    break
                if process.returncode == 0:  # it got through: begin again, so that all kills hit a run at work
                    for left in [*pathlib.Path(folder).glob("out.db*"), *pathlib.Path(folder).rglob("checkpoint.json")]:
                        left.unlink()
            self.assertEqual(killed, KILLS, f"seed {seed}")
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, f"seed {seed}: {done.stderr}")
            with sqlite3.connect(f"{folder}/out.db") as db:
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
                rows = db.execute("SELECT id, text FROM t").fetchall()
            self.assertEqual(len(rows), len(expected), f"seed {seed}: missing or doubled rows")
            self.assertEqual(dict(rows), expected, f"seed {seed}")


if __name__ == "__main__":
    unittest.main()
