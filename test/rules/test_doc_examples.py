"""Runs every example of docs/reference/transformation-*.md and docs/migration.md.

An example is a run of fenced blocks: `yaml config` (a list of transformations), `json in` (`json in envelope`: with metadata), `json out`, and
`json errors` when a message fails. `dataflow transform` must make exactly that of it.
"""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))
NOW = "2024-01-15T09:50:00Z"
PAGES = sorted((ROOT / "docs/reference").glob("transformation-*.md"))
MIGRATION = ROOT / "docs/migration.md"

TOKEN = re.compile(r"^(?:#{2,} (?P<title>.*)|```(?P<info>.*)\n(?P<text>(?:(?!```).*\n)*)```)$", re.M)
ORDER = ["yaml config", "json in", "json out", "json errors"]


def examples(page):
    """[{title, <block of ORDER>: text, envelope: bool}]. Raises ValueError for a block that does not belong where it stands."""
    found, title = [], ""
    for token in TOKEN.finditer(page):
        info = token["info"]
        if token["title"] is not None:
            title = token["title"]
            continue
        if not info.startswith(("yaml", "json")):
            continue
        name, envelope = info.removesuffix(" envelope"), info.endswith(" envelope")
        if name == ORDER[0]:
            found.append({"title": title, "envelope": False})
        blocks = len(found[-1]) - 2 if found else 0
        if not found or found[-1]["title"] != title or blocks >= len(ORDER) or ORDER[blocks] != name or (envelope and name != "json in"):
            raise ValueError(f"{title}: the block '{info}' does not belong here")
        found[-1][name] = token["text"]
        found[-1]["envelope"] |= envelope
    for example in found:
        if "json out" not in example:
            raise ValueError(f"{example['title']}: an example without `json out`")
    return found


def anchor(title):
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def rows(page):
    """The first cells of the tables, as [(text, anchor it links to)]."""
    return re.findall(r"^\| \[(.+?)\]\(#(.+?)\)", page, re.M)


class DocExamples(unittest.TestCase):
    def run_example(self, example):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "config.yaml").write_text(example["yaml config"])
            done = subprocess.run([DATAFLOW, "transform", "-f", "config.yaml", "--now", NOW, "--errors", "errors.jsonl",
                                   *(["--envelope"] if example["envelope"] else [])],
                                  input=example["json in"].encode(), capture_output=True, cwd=folder, timeout=60)
            if b"this build has no " in done.stderr:
                self.skipTest(done.stderr.decode().strip())
            self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
            self.assertEqual(done.stdout.decode(), example["json out"])
            self.assertEqual((folder / "errors.jsonl").read_text(), example.get("json errors", ""))

    def check(self, page):
        found = examples(page.read_text())
        self.assertTrue(found, f"{page.name} has no example")
        for example in found:
            with self.subTest(page=page.name, example=example["title"]):
                self.run_example(example)

    def test_every_transformation_has_a_page(self):
        listed = subprocess.run([DATAFLOW, "transformations"], capture_output=True, text=True, timeout=60).stdout.split("\n\n")[0]
        names = {line.split()[0] for line in listed.splitlines()}
        self.assertGreaterEqual(len(names), 18)
        self.assertEqual(names, {page.stem.removeprefix("transformation-") for page in PAGES})

    def test_every_example_of_the_migration(self):
        self.check(MIGRATION)

    def test_every_row_of_the_migration_has_an_example(self):
        page = MIGRATION.read_text()
        linked = [link for _, link in rows(page)]
        self.assertGreaterEqual(len(linked), 13)
        self.assertEqual(sorted(linked), sorted({anchor(example["title"]) for example in examples(page)}))

    def test_every_transform_of_the_migration_is_there(self):
        named = {text.split(":")[0] for text, _ in rows(MIGRATION.read_text())}
        self.assertLessEqual({"ReplaceField", "Flatten", "ExtractField", "HoistField", "InsertField", "MaskField", "Cast", "TimestampConverter",
                              "HeaderFrom", "TimezoneConverter", "ExtractNewRecordState", "RegexRouter", "Filter"}, named)


def add_tests():
    for page in PAGES:
        name = "test_" + page.stem.replace("-", "_")
        setattr(DocExamples, name, lambda self, page=page: self.check(page))


class TheParser(unittest.TestCase):
    """It fails rather than overlooks."""
    GOOD = "## T\n\n```yaml config\n- type: x\n```\n\n```json in envelope\n{}\n```\n\n```json out\n```\n\n```json errors\n1\n2\n```\n"

    def test_an_example(self):
        self.assertEqual(examples(self.GOOD), [{"title": "T", "envelope": True, "yaml config": "- type: x\n", "json in": "{}\n", "json out": "",
                                                "json errors": "1\n2\n"}])

    def test_what_is_refused(self):
        for change in (("json out", "json"), ("json in envelope", "json out"), ("yaml config", "yaml"), ("json errors", "json errors envelope"),
                       ("json in envelope", "yaml config"), ("```json out", "## U\n\n```json out"), ("json errors", "json out")):
            with self.assertRaises(ValueError, msg=change):
                examples(self.GOOD.replace(*change))


add_tests()

if __name__ == "__main__":
    unittest.main()
