"""A new connector as a program of its own, in Python and in C.

DATAFLOW_SKELETON_LONG=1 runs the whole conformance suite on the one in Python, too: names and keys of all sorts take as many starts of Python as
everything else together."""
import os
import pathlib

from skeleton import DATAFLOW, ROOT, SkeletonTest, must, run

LANGUAGES = ("python", "c")
# The system's Python, where there is one, starts several times faster than one behind a shim.
PATH = {"PATH": "/usr/bin:" + os.environ["PATH"]} if pathlib.Path("/usr/bin/python3").exists() else {}


class Program(SkeletonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for language in LANGUAGES:
            for kind in ("source", "sink", "both"):
                folder = cls.dir / f"{language}_{kind}"
                must(DATAFLOW, "connector", "new", folder.name, "--kind", kind, "--subprocess", language, cwd=cls.dir)
                if language == "c":
                    must("make", "-C", folder, "CFLAGS=-O1 -Werror")

    def env(self, *folders):
        return dict(PATH, DATAFLOW_USE_SUBPROCESS_CONNECTORS="1", DATAFLOW_CONNECTOR_PATH=":".join(str(self.dir / folder) for folder in folders))

    def config(self, language, collection):
        store = self.dir / "store"
        return {"path": str(store / "kv.db" if language == "python" else store), "collection": collection}

    def test_the_program_lists_it_with_its_settings(self):
        for language in LANGUAGES:
            for kind, source, sink in (("source", "yes", "-"), ("sink", "-", "yes"), ("both", "yes", "yes")):
                env = self.env(f"{language}_{kind}")
                self.assertRegex(must(DATAFLOW, "connectors", env=env), rf"(?m)^{language}_{kind} +{source} +{sink} ")
                self.assertRegex(must(DATAFLOW, "connectors", f"{language}_{kind}", env=env), r"(?m)^  collection +\(text, required\)")

    def test_a_wrong_setting_is_found_by_validate(self):
        for language in LANGUAGES:
            flow = self.flow("wrong", {"type": f"{language}_both", "config": dict(self.config(language, "x"), colection="y")}, {"type": "discard"})
            done = run(DATAFLOW, "validate", flow, env=self.env(f"{language}_both"))
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("colection", done.stdout)

    def test_a_pipeline_runs(self):
        for language in LANGUAGES:
            env = self.env(*(f"{language}_{kind}" for kind in ("source", "sink", "both")))
            self.copies(f"{language}_both", f"{language}_both", self.config(language, "orders"), env=env)
        # The C programs' stores have the type in their names; those in Python share a file.
        env = self.env("python_source", "python_sink")
        self.copies("python_source", "python_sink", self.config("python", "others"), env=env)

    def test_the_example_of_the_python_package_runs(self):
        examples = ROOT / "sdk/python/examples"
        env = dict(PATH, DATAFLOW_USE_SUBPROCESS_CONNECTORS="1", DATAFLOW_CONNECTOR_PATH=str(examples), DATAFLOW_CONNECTOR_ENV="PYTHONPATH",
                   PYTHONPATH=str(examples.parent))
        self.copies("kv", "kv", {"path": str(self.dir / "store/example.db")}, env=env)

    def test_the_one_in_c_passes_the_suite(self):
        self.against("c")

    def test_the_one_in_python_passes_the_suite(self):
        groups = [] if os.environ.get("DATAFLOW_SKELETON_LONG") else ["lifecycle", "settings", "source", "sink", "types"]
        self.against("python", *[part for group in groups for part in ("--rule", group)], at_least=120)

    def against(self, language, *options, at_least=150):
        folder = self.dir / f"{language}_both"
        self.passes(self.manifest(folder), "--against", folder / f"dataflow-connector-{folder.name}", *options, at_least=at_least, env=PATH)
