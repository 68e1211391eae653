"""Every allocation of validate, transform and a small pipeline fails once: an error and an exit code, no crash, no leak."""
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-asan"
PROGRAM = BUILD / "test/torture/dataflow-torture"

FLOW = """
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: torture}}
spec:
  source: {{type: file, config: {{path: {dir}/in.jsonl}}}}
  transformations:
    - {{type: flatten, config: {{field: items}}}}
    - {{type: filter, config: {{condition: "n != 3"}}}}
    - {{type: snakeCase, config: {{deep: true}}}}
    - {{type: timezone, config: {{timezone: Europe/Berlin, fields: [at]}}}}
  sink:
    type: sqlite
    config: {{path: {dir}/out.db, table: t, autoCreateTable: true, upsertMode: true, conflictKey: id}}
"""
ROWS = 6  # of 3 lines with 3 items each, those with n = 3 filtered


# What fails on the way: a transformation refuses one line, the sink another; both become records.
ERRORS_FLOW = """
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {{name: errors}}
spec:
  source: {{type: file, config: {{path: {dir}/errors-in.jsonl}}}}
  transformations:
    - {{type: cast, config: {{spec: {{n: int64}}}}}}
    - type: router
      config:
        routes:
          - {{condition: "n == 5", sink: {{type: sqlite, config: {{path: {dir}/route.db, table: t, autoCreateTable: true}}}}}}
  sink:
    type: sqlite
    config: {{path: {dir}/errors.db, table: t}}
  errors: {{type: file, config: {{path: {dir}/errors.jsonl}}}}
"""
ERRORS_ROWS = 2  # of 5 lines: two are refused, one goes to the route


def write_input(folder):
    folder = pathlib.Path(folder)
    (folder / "flow.yaml").write_text(FLOW.format(dir=folder))
    (folder / "errors.yaml").write_text(ERRORS_FLOW.format(dir=folder))
    (folder / "errors-in.jsonl").write_text('{"id":1,"n":"1"}\n{"id":2,"n":"x"}\n{"id":3,"n":"3"}\n{"id":4,"n":"4"}\n{"id":5,"n":"5"}\n')
    with sqlite3.connect(folder / "errors.db") as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id != 3), n)")
    with open(folder / "in.jsonl", "w") as f:
        for i in range(3):
            items = ",".join(f'{{"id":"{i}-{n}","n":{n},"at":1700000000,"someName":"é\\u0041"}}' for n in (1, 2, 3))
            f.write(f'{{"items":[{items}]}}\n')


class Torture(unittest.TestCase):
    def run_once(self, args, fail_at=0, count_file=None):
        with tempfile.TemporaryDirectory() as folder:
            write_input(folder)
            env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1", DATAFLOW_STATE_DIR=folder,
                       DATAFLOW_FAIL_AT=str(fail_at))
            if count_file:
                env["DATAFLOW_COUNT_FILE"] = count_file
            with open(os.path.join(folder, "in.jsonl")) as stdin:
                done = subprocess.run([PROGRAM, *[a.format(dir=folder) for a in args]], env=env, capture_output=True,
                                      stdin=stdin, timeout=120)
            text = done.stderr.decode(errors="replace")
            rows = None
            if done.returncode == 0 and args[0] == "run":
                name = "errors.db" if args[-1].endswith("errors.yaml") else "out.db"
                with sqlite3.connect(os.path.join(folder, name)) as db:
                    rows = db.execute("SELECT count(*) FROM t").fetchone()[0]
            return done.returncode, text, rows

    def torture(self, *args):
        with tempfile.NamedTemporaryFile() as counted:
            code, text, _ = self.run_once(args, count_file=counted.name)
            self.assertEqual(code, 0, text)
            total = int(counted.read())
        self.assertGreater(total, 20)

        def one(at):
            code, text, rows = self.run_once(args, at)
            if code not in (0, 1, 2) or "Sanitizer" in text or "runtime error" in text:
                return f"allocation {at} of {total}: exit {code}\n{text[-3000:]}"
            if code and not text.strip():
                return f"allocation {at} of {total}: exit {code} without a word"
            if rows is not None and rows != (ERRORS_ROWS if args[-1].endswith("errors.yaml") else ROWS):
                return f"allocation {at} of {total}: exit 0 with {rows} rows"
            return None

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            bad = [b for b in pool.map(one, range(1, total + 1)) if b]
        self.assertEqual(bad[:3], [], f"{len(bad)} of {total} failing allocations are not survived")

    def test_validate(self):
        self.torture("validate", "{dir}/flow.yaml")

    def test_transform(self):
        self.torture("transform", "-f", "{dir}/flow.yaml")

    def test_delivery(self):
        self.torture("explain", "{dir}/errors.yaml")

    def test_pipeline_with_errors(self):
        self.torture("run", "--progress", "none", "{dir}/errors.yaml")

    def test_explain(self):
        self.torture("transform", "--explain", "-f", "{dir}/flow.yaml")

    def test_pipeline(self):
        self.torture("run", "--progress", "none", "--metrics", "0", "{dir}/flow.yaml")


if __name__ == "__main__":
    unittest.main()
