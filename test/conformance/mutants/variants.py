"""Builds the skeleton's connector as a shared object, as it is or with one thing broken, and runs the conformance suite on it."""
import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATAFLOW = pathlib.Path(os.environ.get("DATAFLOW", ROOT / "build/src/cmd/dataflow"))
SECRET = "open sesame"
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", '-DVERSION="1.0.0"', "-fPIC", "-fvisibility=hidden", "-pthread", f"-I{ROOT}/src/dataflow", f"-I{ROOT}/src"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla", "-Wwrite-strings", "-Wundef", "-Wformat=2",
            "-Wimplicit-fallthrough", "-Werror"]


def run(*command, timeout=120, **more):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
                          **more)


def skeleton(folder, *options, name="kv"):
    """The files of `dataflow connector new`, in a folder of this name below `folder`."""
    done = run(DATAFLOW, "connector", "new", name, "--plugin", "--out", folder, *options)
    if done.returncode:
        raise RuntimeError(done.stdout)
    return folder / name


def compiler(name="gcc"):
    return (["ccache"] if shutil.which("ccache") else []) + [name]


def compile_file(source, out, *flags, compiler_name="gcc"):
    done = run(*compiler(compiler_name), *FLAGS, *flags, "-c", source.name, "-o", out, cwd=source.parent)
    if done.returncode:
        raise RuntimeError(f"{source}: {done.stdout}")


def link(objects, out):
    done = run("gcc", "-shared", "-pthread", "-o", out, *objects)
    if done.returncode:
        raise RuntimeError(done.stdout)


class Workshop:
    """A folder with the sources and objects of both bases, and one folder a variant: its sources, object and store."""

    def __init__(self, folder):
        self.folder = folder
        self.bases = {}

    def base(self, base):
        """(sources, objects by file name) of the connector as it is; made once, by one thread."""
        if base not in self.bases:
            parent = self.folder / f"kv-{base}"
            parent.mkdir()
            sources = skeleton(parent, "--base", base)
            objects = {file.name: file.with_suffix(".o") for file in sorted(sources.glob("*.c"))}
            for name, out in objects.items():
                compile_file(sources / name, out, "-g", "-O1", *WARNINGS)
            self.bases[base] = sources, objects
        return self.bases[base]

    def build(self, name, base, file=None, changes=()):
        """The shared object, in a folder of its own."""
        sources, objects = self.base(base)
        folder = self.folder / name
        folder.mkdir()
        objects = dict(objects)
        if file:
            text = (sources / file).read_text()
            for old, new in changes:
                if text.count(old) != 1:
                    raise RuntimeError(f"{name}: this stands {text.count(old)} times in {file}:\n{old}")
                text = text.replace(old, new)
            changed = folder / file
            changed.write_text(text)
            objects[file] = folder / (changed.stem + ".o")
            compile_file(changed, objects[file], "-g", "-O1", "-w", f"-I{sources}")
        link(objects.values(), folder / "kv.so")
        return folder / "kv.so"

    def manifest(self, folder, upsert=True):
        store = folder / "store"
        store.mkdir()
        (store / "kv.token").write_text(SECRET + "\n")
        connection = {"path": str(store), "collection": "{name}", "token": SECRET}
        flow = {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": "kv"},
                "spec": {"source": {"type": "kv", "config": connection},
                         "sink": {"type": "kv", "config": dict(connection, upsertMode=upsert)}}}
        path = folder / "flow.yaml"
        path.write_text(json.dumps(flow, indent=1))
        return path

    def test(self, plugin, upsert=True, quick=True, rules=(), patience=1, timeout=300):
        """What the suite says: [(verdict, rule, seen)], and its output."""
        folder = plugin.parent
        report = folder / "report.json"
        done = run(DATAFLOW, "connector", "test", "--patience", patience, "--against", plugin, "--report", report, *(["--quick"] if quick else []),
                   *[part for rule in rules for part in ("--rule", rule)],
                   "--wrong-credentials", "source.config.token=wrong", "--wrong-credentials", "sink.config.token=wrong",
                   "--cleanup", f"rm -rf {folder}/store/*.kv", self.manifest(folder, upsert), timeout=timeout)
        if not report.exists():
            raise RuntimeError(done.stdout)
        results = [(r["verdict"], r["rule"], r.get("seen", "")) for r in json.loads(report.read_text())["rules"]]
        return results, done.stdout
