"""`connector new`: what it refuses, and that it never writes over anything. That what it writes works is in test/skeleton."""
import os
import pathlib

from cli import CliTest


class ConnectorNew(CliTest):
    def new(self, *args):
        return self.dataflow("connector", "new", *args)

    def files(self, folder="."):
        top = self.dir / folder
        return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}

    def refused(self, *args, text):
        before = self.files()
        done = self.new(*args)
        self.assertEqual((done.returncode, done.out), (2, ""), done.err)
        self.assertIn(text, done.err)
        self.assertEqual(self.files(), before)

    def test_names(self):
        for name in ("My", "my-db", "1db", "", "_db", "../db", "db/x", "d b", "a" * 41, "m\u00e9"):
            self.refused(name, text=f"'{name}' cannot be the name")
        for name in ("context", "batch", "value"):
            self.refused(name, text=f"my_{name}")
        for name in ("kafka", "stdin", "postgresql"):
            self.refused(name, text=f"there is a connector `{name}` already")

    def test_usage(self):
        self.refused(text="NAME is missing")
        self.refused("a", "b", text="too many operands")
        self.refused("my_db", "--kind", "queue", text="'queue' is not one of source, sink, both")
        self.refused("my_db", "--subprocess", "perl", text="'perl' is not one of python, c")
        self.refused("my_db", "--plugin", "--in-tree", text="one of --plugin, --in-tree and --subprocess")
        self.refused("my_db", "--subprocess", "c", "--base", "rw", text="--base is for connectors that run in this program")

    def test_what_exists_is_named_and_stays(self):
        (self.dir / "my_db").mkdir()
        self.write("my_db/sink.c", "mine")
        self.refused("my_db", text="my_db/sink.c exists already")
        done = self.new("my_db", "--kind", "source")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual((self.dir / "my_db/sink.c").read_text(), "mine")
        self.refused("my_db", "--kind", "source", text="my_db/README.md exists already")

    def test_a_link_is_not_followed(self):
        (self.dir / "my_db").mkdir()
        (self.dir / "my_db/flow.yaml").symlink_to("/nowhere")
        self.refused("my_db", text="my_db/flow.yaml exists already")

    def test_a_folder_that_cannot_be_made(self):
        self.write("file", "")
        done = self.new("my_db", "--out", "file")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("file", done.err)

    def tree(self, **files):
        given = {"src/connectors/list.h": "/* list */\nDF_CONNECTOR(file)\nDF_CONNECTOR(discard)\n",
                 "meson_options.txt": "option('discard', type: 'feature')\noption('file', type: 'feature')\noption('tests', type: 'feature')\n"}
        for name, text in dict(given, **files).items():
            path = self.dir / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text)
        return given

    def test_in_tree_adds_one_row_and_one_option(self):
        given = self.tree()
        done = self.new("my_db", "--in-tree", "--out", "tree")
        self.assertEqual(done.returncode, 0, done.err)
        files = self.files("tree")
        self.assertEqual(files["src/connectors/list.h"].decode(), given["src/connectors/list.h"] + "DF_CONNECTOR(my_db)\n")
        self.assertEqual(files["meson_options.txt"].decode().splitlines(), [
            "option('discard', type: 'feature')", "option('file', type: 'feature')",
            "option('my_db', type: 'feature', value: 'auto', description: 'my_db connector')", "option('tests', type: 'feature')"])
        self.assertEqual({name for name in files if not name.startswith("src/connectors/my_db/")}, set(given))
        for name in files:
            if name not in given:
                self.assertIn(f"wrote tree/{name}\n", done.out)
        self.assertIn("changed tree/src/connectors/list.h\n", done.out)
        self.refused("my_db", "--in-tree", "--out", "tree", text="there is a connector `my_db` already in tree/src/connectors/list.h")

    def test_in_tree_refuses_what_is_no_tree_and_names_that_are_taken(self):
        self.refused("my_db", "--in-tree", text=". is not the top of a DataFlow tree: src/connectors/list.h")
        self.tree(**{"meson_options.txt": None})
        self.refused("my_db", "--in-tree", "--out", "tree", text="tree is not the top of a DataFlow tree: meson_options.txt")
        self.tree()
        self.refused("tests", "--in-tree", "--out", "tree", text="there is an option `tests` already")
        self.tree(**{"src/connectors/list.h": "nothing\n"})
        self.refused("my_db", "--in-tree", "--out", "tree", text="src/connectors/list.h has no connector")

    def test_every_form_leaves_no_instruction_and_no_placeholder(self):
        for base in ("mutex", "rw"):
            for kind in ("source", "sink", "both"):
                self.assertEqual(self.new("my_db", "--out", f"{base}-{kind}", "--base", base, "--kind", kind).returncode, 0)
        for language in ("python", "c"):
            for kind in ("source", "sink", "both"):
                self.assertEqual(self.new("my_db", "--out", f"{language}-{kind}", "--subprocess", language, "--kind", kind).returncode, 0)
        files = self.files()
        self.assertGreater(len(files), 90)
        for name, text in files.items():
            self.assertNotIn("@", name)
            self.assertNotRegex(text.decode(), r"//@|@[a-zA-Z_]+@", name)
        program = self.dir / "python-both/my_db/dataflow-connector-my_db"
        self.assertTrue(os.access(program, os.X_OK))
        self.assertTrue(all(b"FILL IN" in text for name, text in files.items() if pathlib.Path(name).name in ("source.c", "sink.c", "connector.c")))

    def test_the_next_commands_are_told(self):
        out = self.new("my_db", "--out", "there").out
        self.assertIn("  cd there/my_db\n", out)
        self.assertIn("grep -rn 'FILL IN' there/my_db", out)
