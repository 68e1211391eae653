"""Rules that hold for the whole tree: includes by floor, generated files up to date, examples valid."""
import os
import pathlib
import subprocess
import tempfile
import unittest

import include_rule

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))


def dataflow(*args):
    return subprocess.run([DATAFLOW, *map(str, args)], cwd=ROOT, capture_output=True, text=True, timeout=60)


class IncludeRule(unittest.TestCase):
    def test_every_include_points_down(self):
        self.assertEqual(include_rule.problems(), [])

    def test_the_rule_sees_what_it_forbids(self):
        self.assertIsNotNone(include_rule.problem("src/base/str.c", "value/value.h"))
        self.assertIsNotNone(include_rule.problem("src/spec/yaml.c", "yaml.h"))
        self.assertIsNotNone(include_rule.problem("src/connectors/file/sink.c", "connectors/sqlite/db.h"))
        self.assertIsNotNone(include_rule.problem("src/cmd/run.c", "processor/internal.h"))
        self.assertIsNone(include_rule.problem("src/cmd/run.c", "processor/processor.h"))


class Generated(unittest.TestCase):
    def check(self, target, folder, pattern):
        with tempfile.TemporaryDirectory() as fresh:
            self.assertEqual(dataflow("generate", target, fresh).returncode, 0)
            made = {p.name: p.read_text() for p in pathlib.Path(fresh).glob(pattern)}
            committed = {p.name: p.read_text() for p in (ROOT / folder).glob(pattern)}
            self.assertTrue(made)
            self.assertEqual(sorted(made), sorted(committed), f"run `make generate manifests`; files differ in {folder}")
            for name, text in made.items():
                self.assertEqual(text, committed[name], f"{folder}/{name} is stale: run `make generate manifests`")

    def test_reference_pages_are_up_to_date(self):
        self.check("docs", "docs/reference", "*.md")

    def test_json_schema_is_up_to_date(self):
        self.check("schema", "docs/reference", "*.json")

    def test_crds_are_up_to_date(self):
        self.check("crd", "config/crd", "*.yaml")


class Examples(unittest.TestCase):
    def test_every_example_validates(self):
        # Those of the worked connector need its plugin: test/integration/mydb.
        flows = sorted(f for f in (ROOT / "examples").rglob("*.yaml") if f.parent.name != "connector-mydb")
        self.assertTrue(flows)
        for flow in flows:
            with self.subTest(flow=flow.name):
                done = dataflow("validate", flow)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
