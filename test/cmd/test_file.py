"""The file source and sink, and the standard streams, from the command line: odd inputs."""
import gzip
import os
import signal
import subprocess
import time
import unittest

from cli import DATAFLOW, CliTest


class FileTest(CliTest):
    def run_file(self, name, data, config=None, extra="", **kwargs):
        self.write(name, data)
        self.flow("file", {"path": name, **(config or {})}, "file", {"path": "out.jsonl"}, extra=extra)
        return self.dataflow("run", "flow.yaml", **kwargs)


class Failing(FileTest):
    def test_what_stands_before_the_failure_is_delivered(self):
        done = self.run_file("in.jsonl", '{"a":1}\n' + '{"a":2}\n{"a":"' + "x" * 100 + '"}\n{"a":3}\n', {"maxLineBytes": 50})
        self.assertEqual(done.returncode, 1)
        self.assertIn("in.jsonl:3", done.err)
        self.assertEqual(self.read_jsonl("out.jsonl"), [{"a": 1}, {"a": 2}])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"})
        self.assertEqual(self.dataflow("run", "flow.yaml").returncode, 0)
        self.assertEqual([len(str(r["a"])) for r in self.read_jsonl("out.jsonl")], [1, 1, 100, 1])

    def test_garbage_behind_gzip(self):
        done = self.run_file("in.jsonl.gz", gzip.compress(b'{"a":1}\n') + b"garbage")
        self.assertEqual(done.returncode, 1)
        self.assertIn("in.jsonl.gz", done.err)
        self.assertEqual(self.read_jsonl("out.jsonl"), [{"a": 1}])


class Atomic(FileTest):
    def atomic(self, extra=""):
        self.jsonl("in.jsonl", [{"id": i} for i in range(20)])
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl", "mode": "atomic"}, extra=extra)

    def test_behind_a_saved_position_the_old_content_stays(self):
        self.atomic()
        self.assertEqual(self.dataflow("run", "--limit", "10", "flow.yaml").returncode, 0)
        self.assertEqual([r["id"] for r in self.read_jsonl("out.jsonl")], list(range(10)))
        done = self.dataflow("run", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual([r["id"] for r in self.read_jsonl("out.jsonl")], list(range(20)))

    def test_a_run_from_the_start_replaces_it(self):
        self.atomic("  checkpointPersistence: false\n")
        for _ in range(2):
            self.assertEqual(self.dataflow("run", "flow.yaml").returncode, 0)
            self.assertEqual([r["id"] for r in self.read_jsonl("out.jsonl")], list(range(20)))
        self.assertEqual(sorted(p.name for p in self.dir.glob("*out*")), ["out.jsonl"])


class Nothing(FileTest):
    def test_an_empty_source_is_not_taken_for_one_that_was_read(self):
        for name, data in (("in.jsonl", ""), ("in.csv", "a,b\n"), ("in.jsonl.gz", gzip.compress(b""))):
            with self.subTest(name=name):
                done = self.run_file(name, data)
                self.assertEqual(done.returncode, 0, done.err)
                self.assertIn("the source had nothing to read", done.err)
                self.assertNotIn("saved", done.err)


class Csv(FileTest):
    def test_two_columns_with_one_name(self):
        done = self.run_file("in.csv", "1,2\n", {"header": False, "columns": ["a", "a"]})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.err, r'both called \\?"a')

    def test_lines_that_end_with_a_lone_carriage_return_are_not_one_header(self):
        done = self.run_file("in.csv", "a,b\r1,2\r3,4\r")
        self.assertEqual(done.returncode, 1)
        self.assertIn("carriage return", done.err)
        self.assertEqual(self.run_file("in.csv", '"a\rb",c\r\n1,2\r\n').returncode, 0)
        self.assertEqual(self.read_jsonl("out.jsonl"), [{"a\rb": "1", "c": "2"}])


class Changing(FileTest):
    def start(self):
        process = subprocess.Popen([DATAFLOW, "run", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        return process

    def wait_for(self, lines):
        deadline = time.time() + 10
        out = self.dir / "out.jsonl"
        while time.time() < deadline and (not out.exists() or out.read_text().count("\n") < lines):
            time.sleep(0.02)

    def test_a_file_in_a_directory_that_comes_later_below_the_current_one(self):
        self.flow("file", {"path": "*/*.log", "follow": True}, "file", {"path": "out.jsonl"})
        process = self.start()
        self.wait_for(0)
        time.sleep(0.2)
        (self.dir / "new").mkdir()
        time.sleep(0.2)
        self.write("new/a.log", '{"a":1}\n')
        self.wait_for(1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        self.assertEqual(self.read_jsonl("out.jsonl"), [{"a": 1}])

    def test_a_file_that_shrinks_while_it_is_read_gives_no_torn_record(self):
        line = '{"a":"' + "x" * 990 + '"}\n'
        self.write("in.jsonl", line * 100_000)
        self.flow("file", {"path": "in.jsonl"}, "file", {"path": "out.jsonl"})
        process = self.start()
        self.wait_for(1)
        os.truncate(self.dir / "in.jsonl", 1500)
        _, err = process.communicate(timeout=30)
        lines = (self.dir / "out.jsonl").read_text().splitlines(keepends=True)
        self.assertEqual(set(lines), {line})
        if len(lines) < 100_000:
            self.assertEqual(process.returncode, 1)
            self.assertIn(b"became shorter", err)


class Vanished(FileTest):
    def test_an_output_that_was_deleted_meanwhile_is_no_success(self):
        for sink, config, name in (("file", {"path": "out.jsonl"}, "out.jsonl"),
                                   ("sqlite", {"path": "x.db", "table": "t", "autoCreateTable": True}, "x.db")):
            with self.subTest(sink=sink):
                self.flow("generate", {"rate": 500}, sink, config, name=sink)
                process = subprocess.Popen([DATAFLOW, "run", "flow.yaml"], cwd=self.dir, env=self.env(), stderr=subprocess.PIPE)
                deadline = time.time() + 10
                while time.time() < deadline and not (self.dir / name).exists():
                    time.sleep(0.02)
                time.sleep(0.3)
                (self.dir / name).unlink()
                time.sleep(0.2)
                process.send_signal(signal.SIGTERM)
                _, err = process.communicate(timeout=20)
                self.assertEqual(process.returncode, 1, err)
                self.assertIn(b"was deleted", err)


class ClosedStreams(FileTest):
    def test_closed_standard_input(self):
        self.flow("stdin", {}, "file", {"path": "out.jsonl"})
        done = self.dataflow("run", "flow.yaml", preexec_fn=lambda: os.close(0), timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("stdin", done.err)

    def test_closed_standard_output(self):
        self.write("in.jsonl", '{"a":1}\n')
        self.flow("file", {"path": "in.jsonl"}, "stdout", {})
        done = self.dataflow("run", "flow.yaml", preexec_fn=lambda: os.close(1))
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.err)

    def test_nothing_but_files_needs_no_standard_stream(self):
        self.write("in.jsonl", '{"a":1}\n')
        self.flow("file", {"path": "in.jsonl"}, "sqlite", {"path": "x.db", "table": "t", "autoCreateTable": True})
        done = self.dataflow("run", "flow.yaml", preexec_fn=lambda: (os.close(0), os.close(1), os.close(2)))
        self.assertEqual(done.returncode, 0)
        self.assertTrue((self.dir / "x.db").read_bytes().startswith(b"SQLite format 3\0"))


if __name__ == "__main__":
    unittest.main()
