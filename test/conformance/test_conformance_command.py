"""`dataflow connector test`: what it prints, its report, its options, its page."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import page
import suite_kit
from suite_kit import HERE, ROOT, connector_test, lines

sys.path.insert(0, str(ROOT / "test"))
from waiting import wait_until  # noqa: E402

FILE = HERE / "file.yaml"


class Command(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="df-conformance-")
        self.addCleanup(holder.cleanup)
        self.dir = pathlib.Path(holder.name)

    def manifest(self, **spec):
        """A manifest of these components; JSON is YAML."""
        path = self.dir / "flow.yaml"
        path.write_text(json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": "x"}, "spec": spec}))
        return path

    def test_one_line_a_rule_and_a_summary(self):
        done = connector_test(self.dir, "--quick", "--rule", "lifecycle.close-twice", "--rule", "source.cut", "--rule", "sink.one", FILE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        said = lines(done.stdout)
        self.assertEqual([(rule, verdict) for rule, (verdict, _) in said.items()],
                         [("lifecycle.close-twice", "pass"), ("source.cut", "n/a "), ("sink.one", "pass")])
        self.assertEqual(said["source.cut"][1], "`{address}` does not stand in the manifest")
        self.assertRegex(done.stdout, r"\n2 passed, 0 failed, 1 not applicable in \d+\.\d s\n$")

    def test_a_failure_says_what_was_seen_and_ends_with_1(self):
        self.manifest(source={"type": "file", "config": {"path": "missing/{name}.jsonl"}}, sink={"type": "discard"})
        done = connector_test(self.dir, "--quick", "--rule", "lifecycle.close-twice", "flow.yaml")
        self.assertEqual(done.returncode, 1, done.stdout)
        verdict, seen = lines(done.stdout)["lifecycle.close-twice"]
        self.assertEqual(verdict, "FAIL")
        self.assertIn("connecting the source", seen)

    def test_bare_placeholders_are_texts(self):
        (self.dir / "flow.yaml").write_text("""
apiVersion: dataflow.dataflow.io/v1
kind: DataFlow
metadata: {name: bare}
spec:
  source:
    type: sqlite
    config:
      path: rows.db
      table: {name}
      orderByColumn: id
  sink:
    type: sqlite
    config: {path: rows.db, table: {name}, autoCreateTable: true}
""")
        done = connector_test(self.dir, "--quick", "--rule", "source.all-rows", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_commands_get_name_and_rows(self):
        done = connector_test(self.dir, "--quick", "--rule", "source.all-rows", "--rule", "sink.one",
                              "--setup", 'echo "setup $DATAFLOW_TEST_NAME" >> log; test -n "$DATAFLOW_TEST_NAME"',
                              "--feed", 'cat >> "rows/$DATAFLOW_TEST_NAME.jsonl"; echo feed >> log',
                              "--dump", 'cat "rows/$DATAFLOW_TEST_NAME.jsonl"; echo dump >> log',
                              "--cleanup", 'echo "cleanup $DATAFLOW_TEST_NAME" >> log', FILE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        log = (self.dir / "log").read_text().split("\n")
        names = [line.split()[1] for line in log if line.startswith("setup")]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual([line.split()[1] for line in log if line.startswith("cleanup")], names)
        self.assertIn("feed", log)
        self.assertIn("dump", log)

    def test_a_command_that_fails_is_what_was_seen(self):
        done = connector_test(self.dir, "--quick", "--rule", "source.all-rows", "--feed", "echo no room >&2; exit 3", FILE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the feed command: `echo no room >&2; exit 3` ended with exit code 3: no room", done.stdout)

    def test_time_limit(self):
        done = connector_test(self.dir, "--time-limit", "1", "--rule", "lifecycle.close-twice", "--feed", "sleep 100", FILE, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("still at it after 1 s: running the feed command", done.stdout)

    def refused(self, said, *args, **components):
        if components:
            args = (*args, self.manifest(**components))
        done = connector_test(self.dir, *args)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(said, done.stderr)

    def test_wrong_usage_ends_with_2(self):
        self.refused("MANIFEST is missing")
        self.refused("nowhere.yaml", "nowhere.yaml")
        self.refused('there is no rule and no group of rules `lifecylce`; did you mean "lifecycle"?', "--rule", "lifecylce", FILE)
        self.refused('did you mean "sink.one"?', "--rule", "sink.on", FILE)
        self.refused("--against nothing.so: No such file", "--against", "nothing.so", FILE)

    def test_a_manifest_that_cannot_be_tested_ends_with_2(self):
        address = {"type": "postgresql", "config": {"connectionString": "postgres://u:p@{address}/d", "table": "{name}"}}
        self.refused("say with --server what that is", source=address)
        self.refused("has neither a source nor a sink", "--quick", other={})
        self.refused('unknown type `sqllite`; did you mean "sqlite"?', sink={"type": "sqllite", "config": {}})
        self.refused("spec.sink.config.table", sink={"type": "sqlite", "config": {"path": "x.db"}})

    def test_report(self):
        done = connector_test(self.dir, "--quick", "--report", "passport.json", "--rule", "lifecycle", "--cleanup", "true # hunter2-secret", FILE)
        passport = done.passport
        self.assertEqual(passport["program"], "dataflow " + re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1])
        self.assertRegex(passport["date"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual((passport["source"]["type"], passport["sink"]["type"]), ("file", "file"))
        self.assertEqual(passport["source"]["settings"]["path"], "rows/{name}.jsonl")
        self.assertEqual(passport["options"], ["cleanup", "patience", "quick"])
        self.assertEqual(passport["only"], ["lifecycle"])
        self.assertEqual(len(passport["rules"]), passport["passed"] + passport["failed"] + passport["notApplicable"])
        for rule in passport["rules"]:
            self.assertEqual(set(rule), {"rule", "mustHold", "verdict", "seen", "seconds"})
        self.assertNotIn("hunter2", (self.dir / "passport.json").read_text())

    def test_report_has_no_secret(self):
        dsn = "postgres://user:hunter2-secret@127.0.0.1:1/d?sslmode=disable"
        self.manifest(source={"type": "postgresql", "config": {"connectionString": dsn, "table": "{name}"}})
        done = connector_test(self.dir, "--quick", "--report", "passport.json", "--rule", "settings.unknown", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("hunter2", (self.dir / "passport.json").read_text())

    def test_report_that_cannot_be_written(self):
        done = connector_test(self.dir, "--report", "no/such/folder", "--rule", "lifecycle.close-twice", FILE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write the report no/such/folder", done.stderr)

    def test_secrets_of_the_manifest(self):
        (self.dir / "secrets/db").mkdir(parents=True)
        (self.dir / "secrets/db/table").write_text("from_a_secret")
        self.manifest(source={"type": "sqlite", "config": {"path": "rows.db", "tableSecretRef": {"name": "db", "key": "table"}}},
                      sink={"type": "sqlite", "config": {"path": "rows.db", "autoCreateTable": True,
                                                         "tableSecretRef": {"name": "db", "key": "table"}}})
        done = connector_test(self.dir, "--rule", "sink.one", "flow.yaml")
        self.assertEqual(done.returncode, 2, done.stdout)
        done = connector_test(self.dir, "--secrets", "secrets", "--rule", "settings.unknown", "flow.yaml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def running(self, command):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                found.append(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1])
            except OSError:
                pass
        return command.encode().split() in found

    def test_what_a_rule_started_ends_with_it(self):
        connector_test(self.dir, "--time-limit", "1", "--rule", "lifecycle.close-twice", "--feed", "sleep 98765", FILE, timeout=30)
        wait_until(lambda: not self.running("sleep 98765"), 20)  # killed is not yet gone

    def test_a_signal_ends_the_rule_cleans_up_and_ends_the_suite(self):
        (self.dir / "rows").mkdir()
        suite = subprocess.Popen([suite_kit.DATAFLOW, "connector", "test", "--rule", "lifecycle", "--feed", "sleep 98764",
                                  "--cleanup", "touch cleaned", FILE], cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: self.running("sleep 98764"), 20)
        suite.send_signal(signal.SIGINT)
        out, err = suite.communicate(timeout=20)
        self.assertEqual(suite.returncode, 1)
        self.assertIn("stopped by SIGINT", err)
        self.assertEqual(len(lines(out)), 1, out)
        self.assertTrue((self.dir / "cleaned").exists())
        wait_until(lambda: not self.running("sleep 98764"), 20)


class Page(unittest.TestCase):
    page = page.PAGE.read_text()

    def test_rules_are_those_of_the_program(self):
        now, should = self.page.splitlines(), page.current().splitlines()
        self.assertEqual(sorted(set(should) ^ set(now)), [], "run test/conformance/page.py --write")
        self.assertTrue(now == should, "the rules stand in another order: run test/conformance/page.py --write")

    def test_every_option_stands_in_it(self):
        done = connector_test(pathlib.Path(tempfile.gettempdir()), "--help")
        for option in re.findall(r"(?m)^  (?:-., |    )(--[a-z-]+)", done.stdout):
            if option not in ("--help", "--connector-dir"):
                self.assertTrue(f"`{option}" in self.page, option)


if __name__ == "__main__":
    unittest.main()
