"""A new connector in the tree: two files change outside its folder, and the program, its documentation and its schema know it."""
import shutil
import subprocess
import tempfile

from skeleton import DATAFLOW, ROOT, SkeletonTest, must, run

NAMES = {"kv_source": "source", "kv_sink": "sink", "kv_both": "both"}
# Drivers that need no library: what is built is quickly built.
OPTIONS = ["-Dwerror=true", "-Dauto_features=disabled", "-Dtests=enabled", "-Dfile=enabled", "-Dstdio=enabled", "-Dgenerate=enabled", "-Ddiscard=enabled"]


def copy_tree(to):
    """The files of the tree as they are now, in a repository of their own."""
    files = must("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for file in filter(None, files):
        if (ROOT / file).is_file():
            (to / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, to / file)
    must("git", "init", "-q", cwd=to)
    commit(to)


def commit(tree):
    must("git", "add", "-A", cwd=tree)
    must("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "tree", cwd=tree)


def changed(tree):
    """{file: "M" or "??"}"""
    lines = must("git", "status", "--porcelain", "--untracked-files=all", cwd=tree).splitlines()
    return {line[3:]: line[:2].strip() for line in lines}


class InTree(SkeletonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tree = cls.dir / "tree"
        cls.tree.mkdir()
        copy_tree(cls.tree)
        cls.changes = {}
        for name, kind in NAMES.items():
            must(DATAFLOW, "connector", "new", name, "--kind", kind, "--base", "rw" if kind == "source" else "mutex", "--in-tree", "--out", cls.tree)
            cls.changes[name] = changed(cls.tree)
            commit(cls.tree)
        cls.build = cls.tree / "build"
        must("meson", "setup", cls.build, *OPTIONS, *[f"-D{name}=enabled" for name in NAMES], cwd=cls.tree)
        cls.tests = [f"test/connectors/test_connector_{name}" for name in NAMES]
        # The folder's name is not what is compiled: ccache may use what it has of the tree itself.
        must("ninja", "-C", cls.build, "src/cmd/dataflow", *cls.tests, env={"CCACHE_NOHASHDIR": "1"})
        cls.program = cls.build / "src/cmd/dataflow"

    def test_two_files_change_outside_the_folder(self):
        for name, files in self.changes.items():
            outside = {file: state for file, state in files.items() if not file.startswith(f"src/connectors/{name}/")}
            self.assertEqual(outside, {"src/connectors/list.h": "M", "meson_options.txt": "M"})
            self.assertIn(f"src/connectors/{name}/settings.c", files)

    def test_each_kind_has_its_files(self):
        for name, kind in NAMES.items():
            folder = self.tree / "src/connectors" / name
            self.assertEqual((folder / "source.c").exists(), kind != "sink")
            self.assertEqual((folder / "sink.c").exists(), kind != "source")

    def test_its_unit_tests_pass(self):
        for test in self.tests:
            done = run(self.build / test)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_rules_of_the_tree_hold(self):
        done = run("python3", "test/rules/include_rule.py", cwd=self.tree)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_program_lists_it(self):
        listed = must(self.program, "connectors")
        self.assertRegex(listed, r"(?m)^kv_source +yes +- ")
        self.assertRegex(listed, r"(?m)^kv_sink +- +yes ")
        self.assertRegex(listed, r"(?m)^kv_both +yes +yes ")
        self.assertIn("collection", must(self.program, "connectors", "kv_both"))

    def test_a_build_without_its_driver_knows_it(self):
        build = self.tree / "build-without"
        must("meson", "setup", build, *OPTIONS, "-Dtests=disabled", cwd=self.tree)
        must("ninja", "-C", build, "src/cmd/dataflow", env={"CCACHE_NOHASHDIR": "1"})
        self.assertRegex(must(build / "src/cmd/dataflow", "connectors"), r"(?m)^kv_both +no driver +no driver ")
        self.assertIn("collection", must(build / "src/cmd/dataflow", "connectors", "kv_both"))

    def test_docs_schema_and_crds_are_generated_and_nothing_else_changes(self):
        for target, folder in (("docs", "docs/reference"), ("schema", "docs/reference"), ("crd", "config/crd")):
            must(self.program, "generate", target, folder, cwd=self.tree)
        files = changed(self.tree)
        for name in NAMES:
            self.assertEqual(files.pop(f"docs/reference/connector-{name}.md"), "??")
            self.assertIn("`collection`", (self.tree / f"docs/reference/connector-{name}.md").read_text())
            self.assertIn(f'"{name}"', (self.tree / "docs/reference/dataflow.schema.json").read_text())
        self.assertEqual({file for file in files if not file.startswith(("docs/reference/", "config/crd/"))}, set())

    def test_a_pipeline_runs(self):
        config = {"path": str(self.dir / "store"), "collection": "orders"}
        self.copies("kv_both", "kv_both", config, program=self.program)
        self.copies("kv_source", "kv_sink", dict(config, collection="others"), program=self.program)

    def test_both_passes_the_suite(self):
        self.passes(self.manifest(self.tree / "src/connectors/kv_both"), program=self.program, at_least=150)

    def test_source_passes_the_suite(self):
        self.passes(self.manifest(self.tree / "src/connectors/kv_source"), "--feed", self.command("feed", {"type": "stdin"}, {"type": "kv_sink"}),
                    program=self.program, at_least=50)

    def test_sink_passes_the_suite(self):
        self.passes(self.manifest(self.tree / "src/connectors/kv_sink"), "--dump", self.command("dump", {"type": "kv_source"}, {"type": "stdout"}),
                    "--rule", "lifecycle", "--rule", "settings", "--rule", "sink", program=self.program, at_least=40)

    def command(self, name, source, sink):
        """A pipeline that the suite may call: rows from standard input into the store of a rule, or from there to standard output."""
        for component in (source, sink):
            if component["type"].startswith("kv_"):
                component["config"] = {"path": str(self.dir / "store"), "collection": "NAME"}
        flow = self.flow(name, source, sink)
        script = self.dir / f"{name}.sh"
        script.write_text(f"""set -e
name=$DATAFLOW_TEST_NAME
ln -sfn "$name.kv_sink" "{self.dir}/store/$name.kv_source"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s/NAME/$name/" {flow} >"$work/flow.yaml"
DATAFLOW_STATE_DIR=$work {self.program} run --once --progress none "$work/flow.yaml"
""")
        return f"sh {script}"

    def test_a_second_run_is_refused(self):
        before = subprocess.run(["git", "diff"], cwd=self.tree, capture_output=True).stdout
        done = run(DATAFLOW, "connector", "new", "kv_both", "--in-tree", "--out", self.tree)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is a connector `kv_both` already", done.stdout)
        self.assertEqual(subprocess.run(["git", "diff"], cwd=self.tree, capture_output=True).stdout, before)
