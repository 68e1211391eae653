"""A new connector as a shared object: its own build file against what `meson install` installs."""
import stat

from skeleton import DATAFLOW, SkeletonTest, must, run


class Plugin(SkeletonTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = cls.dir / "root"
        must("meson", "install", "-C", DATAFLOW.parents[2], "--no-rebuild", "--destdir", root)
        pc = next(root.rglob("dataflow.pc"))
        cls.pkg_config = {"PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(root)}
        for kind in ("source", "sink", "both"):
            folder = cls.dir / f"kv_{kind}"
            cls.output = must(DATAFLOW, "connector", "new", folder.name, "--kind", kind, "--plugin", cwd=cls.dir)
            must("meson", "setup", "-Dwerror=true", "build", cwd=folder, env=cls.pkg_config)
            must("ninja", "-C", "build", cwd=folder)

    def built(self, kind):
        folder = self.dir / f"kv_{kind}/build"
        folder.chmod(stat.S_IRWXU)
        return folder

    def test_what_is_printed_runs(self):
        self.assertIn("  cd kv_both\n  meson setup build && meson compile -C build\n", self.output)
        self.assertIn("dataflow --connector-dir $PWD/build connectors kv_both", self.output)

    def test_the_program_lists_it(self):
        for kind, source, sink in (("source", "yes", "-"), ("sink", "-", "yes"), ("both", "yes", "yes")):
            listed = must(DATAFLOW, "--connector-dir", self.built(kind), "connectors")
            self.assertRegex(listed, rf"(?m)^kv_{kind} +{source} +{sink} ")

    def test_a_pipeline_runs(self):
        env = {"DATAFLOW_CONNECTOR_DIR": ":".join(str(self.built(kind)) for kind in ("source", "sink", "both"))}
        config = {"path": str(self.dir / "store"), "collection": "orders"}
        self.copies("kv_both", "kv_both", config, env=env)
        self.copies("kv_source", "kv_sink", dict(config, collection="others"), env=env)

    def test_it_passes_the_suite(self):
        self.passes(self.manifest(self.dir / "kv_both"), "--against", self.built("both") / "dataflow-connector-kv_both.so", at_least=150)

    def test_a_second_run_is_refused(self):
        done = run(DATAFLOW, "connector", "new", "kv_both", cwd=self.dir)
        self.assertEqual(done.returncode, 2)
        self.assertIn("kv_both/README.md exists already", done.stdout)
