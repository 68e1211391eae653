"""Connectors in shared objects: built outside the tree against what `meson install` installs, loaded, run, and refused."""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "test/cmd"))
sys.path.insert(0, str(HERE))
import abi  # noqa: E402
import cli  # noqa: E402

BUILD = pathlib.Path(cli.DATAFLOW).resolve().parents[2]


def run(*command, env=None, cwd=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd, env=dict(os.environ, **(env or {})))
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class Installed:
    """What `meson install` puts below a folder, and how a stranger's build finds it there."""

    def __init__(self):
        self.holder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.holder.name)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", self.root)
        self.pc = next(self.root.rglob("dataflow.pc"))
        self.env = {"PKG_CONFIG_PATH": str(self.pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(self.root)}
        self.cflags = run("pkg-config", "--cflags", "dataflow", env=self.env).split()
        self.plugins = self.root / "built"
        run("meson", "setup", self.plugins, HERE / "project", env=self.env)
        run("ninja", "-C", self.plugins)
        self.tiny = self.plugins / "tiny.so"

    def variable(self, name):
        return run("pkg-config", f"--variable={name}", "dataflow", env=self.env).strip()


INSTALLED = None


def setUpModule():
    global INSTALLED
    INSTALLED = Installed()
    unittest.addModuleCleanup(INSTALLED.holder.cleanup)


class PluginTest(cli.CliTest):
    def setUp(self):
        super().setUp()
        self.plugins = self.dir / "plugins"
        self.plugins.mkdir(mode=0o755)

    def tiny(self, name="tiny.so", folder=None):
        return shutil.copy(INSTALLED.tiny, (folder or self.plugins) / name)

    def compile(self, *args, name="variant.so", sources=("variants.c", "project/tiny.c")):
        """A plugin of the folder, or wrong in one place."""
        run("cc", "-std=gnu17", "-D_GNU_SOURCE", "-fPIC", "-shared", "-O1", "-fvisibility=hidden", *INSTALLED.cflags, *args,
            *(HERE / s for s in sources), "-o", self.plugins / name)
        return self.plugins / name

    def refused(self, *words, args=(), env=None):
        done = self.dataflow("connectors", *(args or ("--connector-dir", self.plugins)), env=env)
        self.assertEqual((done.returncode, done.out), (2, ""), done.err)
        for word in words:
            self.assertIn(str(word), done.err)
        self.assertEqual(len(done.err.splitlines()), 2, done.err)  # one error, and where help is
        return done.err


class Works(PluginTest):
    def test_a_pipeline_runs_from_the_plugin_into_the_plugin_and_goes_on_where_it_stood(self):
        self.tiny()
        flow = self.flow("tiny", {"count": 1000}, "tiny", {"path": str(self.dir / "out.jsonl")})
        for count, total in ((1000, 1000), (1500, 1500)):
            flow.write_text(flow.read_text().replace("1000", str(count)))
            done = self.dataflow("run", "--once", flow, "--connector-dir", self.plugins)
            self.assertEqual(done.returncode, 0, done.err)
            self.assertEqual([row["id"] for row in self.read_jsonl("out.jsonl")], list(range(1, total + 1)))

    def test_the_variable_and_the_option_in_every_form(self):
        self.tiny()
        empty = self.dir / "empty"
        empty.mkdir(mode=0o755)
        for args, env in ((("--connector-dir", self.plugins, "connectors"), {}), (("connectors", f"--connector-dir={self.plugins}"), {}),
                          (("--connector-dir", empty, "connectors", "--connector-dir", self.plugins), {}),
                          (("connectors",), {"DATAFLOW_CONNECTOR_DIR": f":{empty}::{self.plugins}:"}),
                          (("--connector-dir", empty, "connectors"), {"DATAFLOW_CONNECTOR_DIR": str(self.plugins)})):
            done = self.dataflow(*args, env=env)
            self.assertEqual(done.returncode, 0, done.err)
            self.assertRegex(done.out, r"(?m)^tiny +yes +yes +Counts$")
            self.assertRegex(done.out, rf"(?m)^tiny +1\.2\.3 +{self.plugins}/tiny\.so$")
        done = self.dataflow("connectors", "--", "--connector-dir")
        self.assertIn("unknown connector '--connector-dir'", done.err)

    def test_validate_explain_and_help_know_the_fields(self):
        self.tiny()
        flow = self.flow("tiny", {"count": 0, "cuont": 1}, "tiny", {"path": "x"})
        done = self.dataflow("validate", flow, "--connector-dir", self.plugins)
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean `count`", done.err.replace('"', "`"))
        done = self.dataflow("connectors", "tiny", "--connector-dir", self.plugins)
        self.assertIn(f"Loaded from {self.plugins}/tiny.so.", done.out)
        self.assertIn("How many messages there are. 1 to 2147483647.", done.out)
        flow = self.flow("tiny", {"count": 1}, "tiny", {"path": "x"})
        self.assertEqual(self.dataflow("explain", flow, "--connector-dir", self.plugins).returncode, 0)

    def test_generated_files_have_plugins_on_request_only(self):
        self.tiny()
        for target, folder in (("docs", "docs/reference"), ("schema", "docs/reference"), ("crd", "config/crd")):
            done = self.dataflow("generate", target, self.dir / "plain", "--connector-dir", self.plugins)
            self.assertEqual(done.returncode, 0, done.err)
            done = self.dataflow("generate", target, "--with-loaded", self.dir / "loaded", "--connector-dir", self.plugins)
            self.assertEqual(done.returncode, 0, done.err)
        for path in (self.dir / "plain").iterdir():
            self.assertNotIn("tiny", path.read_text(), path)
        self.assertIn("How many messages", (self.dir / "loaded/connector-tiny.md").read_text())
        schema = json.loads((self.dir / "loaded/dataflow.schema.json").read_text())
        self.assertIn('"tiny"', json.dumps(schema))
        self.assertIn("generate, tiny.", (self.dir / "loaded/dataflow.dataflow.io_dataflows.yaml").read_text())

    def test_only_so_files_are_looked_at(self):
        self.tiny()
        for name in ("README", "x.so.1", ".hidden.so", "tiny.so.bak"):
            (self.plugins / name).write_text("no plugin")
        self.assertEqual(self.dataflow("connectors", "--connector-dir", self.plugins).returncode, 0)

    def test_what_needs_no_connector_loads_none(self):
        (self.plugins / "bad.so").write_text("no plugin")
        env = {"DATAFLOW_CONNECTOR_DIR": str(self.plugins)}
        for command in (("--help",), ("version",), ("run", "--help"), ("transformations",), ("completion", "bash")):
            self.assertEqual(self.dataflow(*command, env=env).returncode, 0)
        self.refused("bad.so", args=("connectors",), env=env)

    def test_the_working_directory_and_path_are_not_searched(self):
        self.tiny(folder=self.dir)
        flow = self.flow("tiny", {"count": 1}, "discard", {})
        done = self.dataflow("validate", flow, env={"PATH": f"{self.dir}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(self.dir)})
        self.assertEqual(done.returncode, 2)
        self.assertIn('unknown source type "tiny"', done.err)


class Refused(PluginTest):
    def test_directories(self):
        self.tiny()
        relative = os.path.relpath(self.plugins, self.dir)
        self.refused(f"`{relative}` is not an absolute path", args=("--connector-dir", relative))
        self.refused("DATAFLOW_CONNECTOR_DIR: ", "`.` is not an absolute path", args=("connectors",), env={"DATAFLOW_CONNECTOR_DIR": "."})
        self.refused("/not/there: No such file or directory", args=("--connector-dir", "/not/there"))
        self.refused("Not a directory", args=("--connector-dir", self.plugins / "tiny.so"))
        done = self.dataflow("connectors", "--connector-dir")
        self.assertEqual((done.returncode, done.err), (2, "dataflow: --connector-dir needs a value (DIR)\n"))

    def test_what_others_could_have_written(self):
        path = pathlib.Path(self.tiny())
        path.chmod(0o757)
        self.refused(f"{path} is writable by everybody", f"chmod o-w {path}")
        path.chmod(0o755)
        self.plugins.chmod(0o777)
        self.refused(f"{self.plugins} is writable by everybody", f"chmod o-w {self.plugins}")
        self.plugins.chmod(0o755)
        if os.geteuid() != 0:
            self.skipTest("not root: nothing can be given to another user")
        for victim in (path, self.plugins):
            os.chown(victim, 12345, -1)
            self.refused(f"{victim} belongs to another user (12345)", "chown it")
            os.chown(victim, 0, -1)
        self.assertEqual(self.dataflow("connectors", "--connector-dir", self.plugins).returncode, 0)

    def test_what_is_no_shared_object(self):
        bad = self.plugins / "bad.so"
        whole = INSTALLED.tiny.read_bytes()
        headers = [struct.unpack_from("<IIQQQQQQ", whole, 64 + 56 * i) for i in range(whole[56])]
        segments = [offset + size - 1 for kind, _, offset, _, _, size, *_ in headers if kind == 1]  # PT_LOAD, short by one byte
        machine = whole[:18] + bytes([0x7f]) + whole[19:]
        for data, text in ((b"", "no shared object"), (b"#!/bin/sh\n" * 100, "no shared object"), (whole[:40], "no shared object"),
                           (whole[:64], "it ends too early"), (machine, "made for another kind of machine"),
                           (whole[:4] + b"\x01" + whole[5:], "made for another kind of machine"),
                           *((whole[:at], "it ends too early") for at in segments)):
            bad.write_bytes(data)
            self.refused(bad, text)
        bad.unlink()
        bad.mkdir()
        self.refused(f"{bad} is no file")
        bad.rmdir()
        bad.symlink_to("/not/there")
        self.refused(f"{bad}: No such file or directory")

    def test_damaged_headers_and_notes_end_in_an_error(self):
        whole = INSTALLED.tiny.read_bytes()
        note = whole.index(b"DataFlow\0") - 12
        bad = self.plugins / "bad.so"
        for at in (*range(4, 64), *range(note, note + 28)):
            for byte in (0x00, 0xff):
                bad.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1:])
                done = self.dataflow("connectors", "--connector-dir", self.plugins)
                self.assertIn(done.returncode, (0, 2), f"byte {at}: {done.err}")

    def test_another_abi_and_none_of_its_code_runs(self):
        mark = self.dir / "mark"
        for number, text in (("99", "update the program"), ("0", "compile the plugin again")):
            path = self.compile(f"-DABI={number}")
            self.refused(f"{path}: compiled for connector ABI {number}, this program", f"has {abi.number()}: ", text,
                         args=("--connector-dir", self.plugins), env={"VARIANT_RUNS": str(mark)})
            self.assertFalse(mark.exists())
        self.compile()
        self.dataflow("connectors", "--connector-dir", self.plugins, env={"VARIANT_RUNS": str(mark)})
        self.assertTrue(mark.exists(), "the mark is left by what is loaded")

    def test_structs_of_another_size(self):
        for name, by in (("df_message", 8), ("df_message", -8), ("df_base_connector", 8), ("df_source_ops", 8), ("df_type", 8)):
            path = self.compile(f'-DCHANGED="{name}"', f"-DBY={by}")
            self.refused(f"{path}: compiled with other headers: struct {name} has ", "compile the plugin with this program's headers")

    def test_an_older_plugin_with_shorter_structs_still_works(self):
        self.tiny()
        for struct, untold in (("df_sink_ops", "batching"), ("df_type", "loses"), ("df_connector", "original")):
            more = ("-DUNTOLD=batching",) if struct == "df_sink_ops" else ()
            self.compile(f'-DCHANGED="{struct}"', f"-DBY=(int)offsetof(struct {struct}, {untold}) - (int)sizeof(struct {struct})", *more)
            out = self.dir / f"{struct}.jsonl"
            flow = self.flow("tiny", {"count": 10}, "variant", {"path": str(out)}, name=struct.replace("_", "-"))
            for command in (("explain",), ("run", "--once")):
                done = self.dataflow(*command, flow, "--connector-dir", self.plugins)
                self.assertEqual(done.returncode, 0, done.err)
            self.assertEqual(len(out.read_text().splitlines()), 10)

    def test_symbols(self):
        path = self.compile(sources=("project/tiny.c",))
        self.refused(path, "no connector plugin: DF_PLUGIN() stands in none of its files")
        script = self.write("local.map", "{ local: *; };\n")
        path = self.compile(f"-Wl,--version-script={script}")
        self.refused(f"{path}: it does not export `df_plugin`", "version script")
        path = self.compile("-DUNDEFINED")
        self.refused(f"{path}: it needs `df_not_there`, which this program", "does not offer")
        self.write("lib.c", "int from_a_library(void) { return 0; }\n")
        self.write("use.c", "int from_a_library(void); int use(void); int use(void) { return from_a_library(); }\n")
        run("cc", "-shared", "-fPIC", "lib.c", "-o", "libgone.so", cwd=self.dir)
        path = self.compile(str(self.dir / "use.c"), f"-L{self.dir}", "-lgone", "-Wl,--no-as-needed", sources=("variants.c", "project/tiny.c"))
        self.refused(f"{path}: it cannot be linked: libgone.so: cannot open shared object file")

    def test_types(self):
        path = self.compile('-DTYPE="file"')
        self.refused(f"{path}: its type `file` is taken by a connector of this program")
        for name in ("../evil", "", "a b", "-x"):
            path = self.compile(f'-DTYPE="{name}"')
            self.refused(f"{path}: its source has a type that is no name")
        path = self.compile("-DWITHOUT=read")
        self.refused(f"{path}: its source `variant` has no function `read`")
        first, second = self.tiny("a.so"), self.tiny("b.so")
        path.unlink()
        self.refused(f"{second}: its type `tiny` is taken by {first}")


class Headers(unittest.TestCase):
    def test_the_page_quotes_the_project(self):
        page = (ROOT / "docs/plugins.md").read_text()
        for language, name in (("meson", "meson.build"), ("c", "plugin.c")):
            blocks = re.findall(rf"```{language}\n(.*?)```", page, re.S)
            self.assertTrue(blocks)
            for block in blocks:
                self.assertIn(block, (HERE / "project" / name).read_text())

    def test_the_abi_number_counts_up_with_what_compiled_plugins_cannot_follow(self):
        if os.uname().machine != "x86_64":
            self.skipTest("abi.txt has the layouts of x86_64")
        self.assertEqual(abi.problems(), [])
        old = abi.COMMITTED.read_text().splitlines()
        member = next(i for i, line in enumerate(old) if line.startswith("df_message 16 "))
        size = next(i for i, line in enumerate(old) if re.match(r"df_sink_ops \d+ size", line))
        bytes_, longer = int(old[size].split()[1]), list(old)
        longer[size:size + 1] = [f"df_sink_ops {bytes_} int (*)(void) fresh", f"df_sink_ops {bytes_ + 8} size, align 8"]
        grows = abi.growing()
        self.assertEqual(abi.broken(old, longer, grows), [])
        self.assertEqual(abi.broken(old, [*old, "df_new() void (void)", "DF_NEW = 7"], grows), [])
        for what, new in {"a member is gone": old[:member] + old[member + 1:], "a member between": [*old, "df_message 9 char between"],
                          "a fixed struct is longer": [line.replace("df_message 1", "df_message 9", 1) for line in old],
                          "another type": [line.replace("df_base_use() int", "df_base_use() void") for line in old],
                          "another value": [line.replace("DF_ERR_AUTH = -3", "DF_ERR_AUTH = -4") for line in old]}.items():
            self.assertTrue(abi.broken(old, new, grows), what)

    def test_what_was_installed_has_the_same_facts_and_the_package_says_its_number(self):
        self.assertEqual(abi.describe(INSTALLED.cflags), abi.describe())
        self.assertEqual(INSTALLED.variable("abi"), str(abi.number()))
        self.assertTrue(INSTALLED.variable("plugindir").endswith("/dataflow/connectors"))
        self.assertTrue((INSTALLED.root / INSTALLED.variable("plugindir").lstrip("/")).is_dir() or
                        pathlib.Path(INSTALLED.variable("plugindir")).is_dir())

    def test_the_program_exports_what_the_headers_declare_and_no_more(self):
        functions, variables, _ = abi.declared(INSTALLED.cflags)
        exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", cli.DATAFLOW).splitlines()}
        self.assertEqual({name for name in exported if name.startswith("df_")}, set(functions) | set(variables))
        self.assertLessEqual({name.split("@")[0] for name in exported if not name.startswith(("df_", "__"))},
                             {"stdin", "stdout", "stderr", "environ", "jv_load_file"})  # what libraries asked the program for

    def test_a_plugin_that_takes_the_address_of_everything_is_loaded(self):
        functions, variables, _ = abi.declared(INSTALLED.cflags)
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "all.c"
            source.write_text("#include <dataflow/connector.h>\nconst void *const all[] = {\n" +
                              "".join(f"(const void *){name},\n" for name in sorted(functions)) +
                              "".join(f"&{name},\n" for name in sorted(variables)) + "};\n")
            run("cc", "-std=gnu17", "-D_GNU_SOURCE", "-fPIC", "-shared", *INSTALLED.cflags, source, HERE / "project/plugin.c",
                HERE / "project/tiny.c", '-DVERSION="1"', "-o", f"{folder}/all.so")
            self.assertRegex(run(cli.DATAFLOW, "connectors", "--connector-dir", folder), rf"(?m)^tiny +1 +{folder}/all\.so$")

    def test_each_header_stands_alone_with_both_compilers(self):
        floors = next(INSTALLED.root.rglob("floors"))
        names = sorted(path.relative_to(floors).as_posix() for path in floors.rglob("*.h"))
        self.assertGreater(len(names), 30)
        with tempfile.TemporaryDirectory() as folder:
            sources = []
            for name in names:
                sources.append(pathlib.Path(folder) / (name.replace("/", "_") + ".c"))
                sources[-1].write_text(f'#include "{name}"\n#include "{name}"\n')
            for compiler in ("gcc", "clang"):
                run(compiler, "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wstrict-prototypes", "-Werror",
                    *INSTALLED.cflags, *sources)

    def test_no_header_can_hide_one_of_the_system(self):
        """Include directories hold folders alone, named as no folder of the system's headers, or as none of the same file."""
        floors = next(INSTALLED.root.rglob("floors"))
        self.assertEqual([path.name for path in floors.iterdir() if not path.is_dir()], [])
        self.assertEqual([path.name for path in floors.parent.iterdir() if not path.is_dir()], ["connector.h"])
        verbose = subprocess.run(["cc", "-E", "-v", "-x", "c", "/dev/null"], capture_output=True, text=True).stderr
        system = re.findall(r"^ (/\S+)$", verbose, re.M)
        self.assertTrue(system)
        for header in floors.rglob("*.h"):
            for folder in system:
                self.assertFalse((pathlib.Path(folder) / header.relative_to(floors)).exists(), header)

    def test_every_installed_header_says_so(self):
        for header in INSTALLED.root.rglob("floors/*/*.h"):
            self.assertEqual(len(re.findall(r"^#pragma GCC visibility (?:push\(default\)|pop)", header.read_text(), re.M)), 2, header)


if __name__ == "__main__":
    unittest.main()
