"""The image that scripts/image makes: its bytes, its layout, and its files run with nothing else around them.

The layers are unpacked as a container runtime does and entered with chroot, which root may do, and others in a user namespace of
theirs."""
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test"))
from ports import free_port  # noqa: E402

DATAFLOW = os.environ.get("DATAFLOW", str(ROOT / "build/src/cmd/dataflow"))


def setUpModule():
    """The archive, its content by name, and the unpacked root."""
    global HOLDER, ARCHIVE, FILES, MANIFEST, CONFIG, RUN
    HOLDER = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory()))
    ARCHIVE = HOLDER / "image.tar"
    make(ARCHIVE)
    with tarfile.open(ARCHIVE) as archive:
        FILES = {entry.name: archive.extractfile(entry).read() for entry in archive}
    index = json.loads(FILES["index.json"])
    MANIFEST = json.loads(content(index["manifests"][0]))
    CONFIG = json.loads(content(MANIFEST["config"]))
    RUN = HOLDER / "root"
    RUN.mkdir()
    for layer in MANIFEST["layers"]:
        (HOLDER / "layer.tar").write_bytes(gzip.decompress(content(layer)))
        with tarfile.open(HOLDER / "layer.tar") as archive:
            archive.extractall(RUN)


def make(target):
    done = subprocess.run([sys.executable, ROOT / "scripts/image", "--binary", DATAFLOW, "--output", target, "--tag", "registry.example/dataflow:9",
                           "--epoch", "1700000000"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout)


def content(descriptor):
    """A blob; its digest and size must be what the descriptor says."""
    blob = FILES["blobs/" + descriptor["digest"].replace(":", "/")]
    assert hashlib.sha256(blob).hexdigest() == descriptor["digest"].partition(":")[2]
    assert len(blob) == descriptor["size"]
    return blob


def start(*command, manifest=None):
    """Starts a program of the image with the image as its root and its environment, as the image's user where that can be."""
    enter = ["chroot", "--userspec", CONFIG["config"]["User"], "--groups=", RUN] if os.geteuid() == 0 else ["unshare", "-r", "chroot", RUN]
    if manifest:
        file = f"tmp/{manifest['metadata']['name']}.json"
        (RUN / file).write_text(json.dumps(manifest))
        command = [*command, f"/{file}"]
    return subprocess.Popen([shutil.which(enter[0]), *enter[1:], *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=dict(entry.split("=", 1) for entry in CONFIG["config"]["Env"]), cwd="/")


def finish(program, seconds=30):
    """Its exit code and all it said."""
    try:
        return (lambda said: (program.returncode, "".join(said)))(program.communicate(timeout=seconds))
    finally:
        program.kill()


def flow(source, sink):
    return {"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": f"f{time.monotonic_ns()}"}, "spec": {
        "source": source, "sink": sink,
        "transformations": [{"type": "timezone", "config": {"timezone": "Europe/Berlin", "fields": ["at"]}}]}}


GENERATE = {"type": "generate", "config": {"count": 10, "template": '{"id": ${counter}, "at": "${now}"}'}}


class Layout(unittest.TestCase):
    def test_same_input_same_bytes(self):
        make(HOLDER / "again.tar")
        self.assertEqual(hashlib.sha256(ARCHIVE.read_bytes()).hexdigest(), hashlib.sha256((HOLDER / "again.tar").read_bytes()).hexdigest())

    def test_oci_layout(self):
        self.assertEqual({"imageLayoutVersion": "1.0.0"}, json.loads(FILES["oci-layout"]))
        layers = [content(layer) for layer in MANIFEST["layers"]]
        self.assertEqual([f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}" for layer in layers], CONFIG["rootfs"]["diff_ids"])
        self.assertEqual(len(layers), len(CONFIG["history"]))
        self.assertIn(CONFIG["architecture"], ("amd64", "arm64"))

    def test_docker_archive(self):
        docker, = json.loads(FILES["manifest.json"])
        self.assertEqual(["registry.example/dataflow:9"], docker["RepoTags"])
        self.assertEqual(CONFIG, json.loads(FILES[docker["Config"]]))
        self.assertEqual([FILES[name] for name in docker["Layers"]], [content(layer) for layer in MANIFEST["layers"]])

    def test_runs_as_nobody_in_particular(self):
        self.assertEqual(("65532:65532", ["/dataflow"]), (CONFIG["config"]["User"], CONFIG["config"]["Entrypoint"]))

    def test_dockerfile_says_the_same(self):
        text = (ROOT / "Dockerfile").read_text()
        self.assertIn(f"USER {CONFIG['config']['User']}\n", text)
        self.assertIn(f"WORKDIR {CONFIG['config']['WorkingDir']}\n", text)
        self.assertIn(f"ENTRYPOINT {json.dumps(CONFIG['config']['Entrypoint'])}\n", text)
        self.assertIn(f"CMD {json.dumps(CONFIG['config']['Cmd'])}\n", text)
        self.assertIn(f"ENV {' '.join(CONFIG['config']['Env'])}\n", text)
        self.assertRegex(text, r"(?m)^FROM scratch$")
        self.assertIn("scripts/stage", text)

    def test_skopeo(self):
        if not shutil.which("skopeo"):
            self.skipTest("skopeo is not installed")
        done = subprocess.run(["skopeo", "inspect", f"oci-archive:{ARCHIVE}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(2, len(json.loads(done.stdout)["Layers"]))
        for source in ("oci-archive", "docker-archive"):
            done = subprocess.run(["skopeo", "--insecure-policy", "copy", f"{source}:{ARCHIVE}", f"dir:{HOLDER}/{source}"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertEqual(0, done.returncode, done.stderr)


class Files(unittest.TestCase):
    def test_nothing_but_what_is_needed(self):
        top = sorted(path.name for path in RUN.iterdir())
        self.assertEqual(["dataflow", "etc", "lib", "lib64", "manager", "processor", "tmp", "usr"], top)
        for path in RUN.rglob("*"):
            self.assertNotIn(path.name, ("sh", "bash", "busybox", "apt", "dpkg", "perl"))
            mode = path.lstat().st_mode
            self.assertFalse(mode & 0o6000, f"{path} runs as somebody else")
            if path.is_file() and not path.is_symlink():
                self.assertFalse(mode & 0o022, f"{path} can be changed by others")
        self.assertEqual(0o1777, (RUN / "tmp").stat().st_mode & 0o7777)

    def test_links(self):
        for name in ("processor", "manager"):
            self.assertEqual("dataflow", os.readlink(RUN / name))

    def test_every_library_has_its_license(self):
        libraries = [path for path in (RUN / "usr/lib").rglob("*.so*") if path.is_file()]
        notices = list((RUN / "usr/share/doc").rglob("copyright"))
        self.assertGreater(len(libraries), 10)
        self.assertGreater(len(notices), 10)
        self.assertIn(RUN / "usr/share/doc/dataflow/copyright", notices)


class Alone(unittest.TestCase):
    """With the image as its root a program has only what the image has."""

    def test_version(self):
        code, said = finish(start("/dataflow", "version"))
        self.assertEqual(0, code, said)
        self.assertIn(re.search(r"^  version: '([^']+)'", (ROOT / "meson.build").read_text(), re.M)[1], said)

    def test_what_pods_run(self):
        """The commands that Deployments and Jobs have: the links are the subcommands, and the preStop hook needs no shell."""
        for command, text in ((("/processor", "--help"), "--spec-path"), (("/manager", "--help"), "--health-probe-bind-address"),
                              (("/dataflow", "sleep", "0"), "")):
            code, said = finish(start(*command))
            self.assertEqual(0, code, said)
            self.assertIn(text, said)

    def test_a_pipeline(self):
        """Made-up messages into SQLite, by way of a time zone."""
        sink = {"type": "sqlite", "config": {"path": "/tmp/x.db", "table": "t", "autoCreateTable": True}}
        code, said = finish(start("/dataflow", "run", manifest=flow(GENERATE, sink)))
        self.assertEqual(0, code, said)
        with sqlite3.connect(RUN / "tmp/x.db") as database:
            rows = database.execute("SELECT id, at FROM t ORDER BY id").fetchall()
        database.close()
        self.assertEqual(list(range(1, 11)), [row[0] for row in rows])
        self.assertTrue((RUN / "tmp/.local/state/dataflow").is_dir(), "positions are kept where a container may write")
        for _, at in rows:
            self.assertRegex(at, r"\+0[12]:00$")

    def test_metrics(self):
        """libmicrohttpd is there, and what it needs."""
        port = free_port()
        source = {"type": "generate", "config": {"rate": 10, "template": GENERATE["config"]["template"]}}
        program = start("/dataflow", "run", "--metrics", f"127.0.0.1:{port}", manifest=flow(source, {"type": "discard"}))
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
                    break
                except OSError:
                    self.assertIsNone(program.poll())
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
        finally:
            program.terminate()
            said = finish(program)[1]
        self.assertIn("dataflow_build_info", text, said)

    def test_what_is_loaded_by_name(self):
        """libpq and libcurl are there: what fails is the connection, to a port where nobody listens."""
        port = free_port()
        sinks = ({"type": "postgresql", "config": {"connectionString": f"postgres://u:p@127.0.0.1:{port}/d", "table": "t"}},
                 {"type": "clickhouse", "config": {"connectionString": f"http://u:p@127.0.0.1:{port}/d", "table": "t"}},
                 {"type": "trino", "config": {"serverURL": f"https://127.0.0.1:{port}", "catalog": "c", "schema": "s", "table": "t"}})
        programs = [start("/dataflow", "run", manifest=flow(GENERATE, sink)) for sink in sinks]
        for sink, program in zip(sinks, programs):
            limit = threading.Timer(30, program.kill)
            limit.start()
            said = []
            for line in program.stderr:  # until it says so, or ends
                said.append(line)
                if "refused" in line or "Failed to connect" in line:
                    program.terminate()
            limit.cancel()
            finish(program)
            with self.subTest(sink["type"]):
                self.assertRegex("".join(said), "refused|Failed to connect")
                self.assertNotRegex("".join(said), "Debian: package|shared object")


if __name__ == "__main__":
    unittest.main()
