"""Code in the documentation is the code of the files (scripts/quotes), and the guide to connectors keeps up with what it tells about."""
import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/connector-development.md"


def load(path):
    loader = importlib.machinery.SourceFileLoader(path.stem, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.stem, loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


quotes = load(ROOT / "scripts/quotes")


class Quotes(unittest.TestCase):
    def test_pages_are_up_to_date(self):
        self.assertIn(GUIDE, quotes.pages())
        for page in quotes.pages():
            self.assertEqual(quotes.renewed(page.read_text())[1], [], "scripts/quotes --write renews the page")

    def test_the_guide_has_no_code_but_quotes(self):
        """Indented lines are commands and rows of one line; C stands only behind a quote."""
        blocks = re.findall(r"(?:^<!-- quote: \S+ -->\n)?^```\w+$", GUIDE.read_text(), re.M)
        self.assertGreater(len(blocks), 20)
        self.assertEqual([b for b in blocks if not b.startswith("<!--")], [])

    def test_what_is_noticed(self):
        page = GUIDE.read_text()
        for change in (("connected = true", "connected = false"), ("#source_connect -->", "#source_konnect -->"), ("/source.c#", "/gone.c#")):
            self.assertIn(change[0], page)
            self.assertTrue(quotes.renewed(page.replace(*change, 1))[1], change)


class Guide(unittest.TestCase):
    def test_it_names_every_function_of_the_bases(self):
        header = (ROOT / "src/connectors/base.h").read_text()
        names = set(re.findall(r"^(?:\w+ )+\*?(df_base_\w+)\(", header, re.M))
        self.assertGreater(len(names), 25)
        self.assertEqual(sorted(n for n in names if f"`{n}`" not in GUIDE.read_text()), [])

    def test_its_links_lead_somewhere(self):
        text = GUIDE.read_text()
        titles = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^## (.*)", text, re.M)}
        for link in re.findall(r"\]\(([^)]+)\)", text):
            if link.startswith("#"):
                self.assertIn(link[1:], titles)
            elif not link.startswith("http"):
                self.assertTrue((GUIDE.parent / link).exists(), link)

    def test_lines_of_the_example(self):
        done = subprocess.run([ROOT / "bench/connector_lines.py"], capture_output=True, text=True, check=True)
        ours = done.stdout.splitlines()[-1].replace("mydb, here", "`mydb`")
        self.assertTrue(ours in GUIDE.read_text(), f"the table has another row than {ours}")


if __name__ == "__main__":
    unittest.main()
