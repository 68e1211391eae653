"""Every allocation of a pipeline that stores positions with its rows, or drops what is refused, fails once: no crash, no leak, and
what a failed run leaves behind is right to go on from: the next one ends with each row there once."""
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

import test_torture

FLOW = """
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: torture}}
spec:
  maxMessageBytes: 500
  source: {{type: file, config: {{path: {dir}/in.jsonl}}}}
  transformations:
    - {{type: flatten, config: {{field: items}}}}
    - {{type: filter, config: {{condition: "n != 3"}}}}
  sink:
    type: sqlite
    config: {{path: {dir}/out.db, table: t, exactlyOnce: true, batchSize: 2}}
"""
ERRORS = "  errors: {{type: file, config: {{path: {dir}/errors.jsonl}}}}\n"
DROP = "  onError: drop\n"
ROWS = {(f"{i}-{n}", n) for i in range(3) for n in (1, 2)}


class TortureDelivery(unittest.TestCase):
    def prepare(self, folder, flow):
        (folder / "flow.yaml").write_text(flow.format(dir=folder))
        with open(folder / "in.jsonl", "w") as f:
            for i in range(3):
                f.write(f'{{"items":[{",".join(f"""{{"id":"{i}-{n}","n":{n}}}""" for n in (1, 2, 3))}]}}\n')
            f.write('{"items":[{"id":"x","n":1}]}\n')  # refused by the table
            f.write('{"items":"' + "y" * 1000 + '"}\n')  # too large
        db = sqlite3.connect(folder / "out.db")
        db.execute("CREATE TABLE t (id TEXT CHECK (id != 'x'), n)")
        db.commit()
        db.close()

    def run_in(self, folder, **env):
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1", DATAFLOW_STATE_DIR=str(folder), **env)
        done = subprocess.run([test_torture.PROGRAM, "run", "--progress", "none", folder / "flow.yaml"], env=env,
                              capture_output=True, timeout=120)
        return done.returncode, done.stderr.decode(errors="replace")

    def fail_at(self, flow, at, **env):
        """What is wrong with a run whose allocation `at` fails, and the next one; None: nothing."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.prepare(folder, flow)
            code, text = self.run_in(folder, DATAFLOW_FAIL_AT=str(at), **env)
            if code not in (0, 1, 2) or "Sanitizer" in text or "runtime error" in text:
                return f"exit {code}\n{text[-3000:]}"
            if code and not text.strip():
                return f"exit {code} without a word"
            if code:
                code, text = self.run_in(folder)
            db = sqlite3.connect(folder / "out.db")
            rows = db.execute("SELECT id, n FROM t").fetchall()
            db.close()
            return None if code == 0 and len(rows) == len(ROWS) and set(rows) == ROWS else f"at last exit {code}, {rows}\n{text}"

    def torture(self, flow):
        with tempfile.NamedTemporaryFile() as counted:
            self.assertIsNone(self.fail_at(flow, 0, DATAFLOW_COUNT_FILE=counted.name))
            total = int(counted.read())
        self.assertGreater(total, 100)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            bad = [f"allocation {at} of {total}: {why}"
                   for at, why in enumerate(pool.map(lambda at: self.fail_at(flow, at), range(1, total + 1)), 1) if why]
        self.assertEqual(bad[:3], [], f"{len(bad)} of {total} failing allocations are not survived")

    def test_exactly_once(self):
        self.torture(FLOW + ERRORS)

    def test_dropping(self):
        self.torture(FLOW + DROP)


if __name__ == "__main__":
    unittest.main()
