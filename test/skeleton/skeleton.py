"""What the tests of `connector new` share: running it, and the conformance suite on what it wrote."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATAFLOW = pathlib.Path(os.environ.get("DATAFLOW", ROOT / "build/src/cmd/dataflow")).resolve()


def run(*command, cwd=None, env=None, timeout=600):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          cwd=cwd, timeout=timeout, env=dict(os.environ, **(env or {})))


def must(*command, **more):
    done = run(*command, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout[-6000:]}")
    return done.stdout


class SkeletonTest(unittest.TestCase):
    """Each class has a folder of its own, `self.dir`, and in it `store`, where the connectors keep what they are given."""

    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="df-skeleton-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        (cls.dir / "store").mkdir()

    def manifest(self, folder, **types):
        """The flow.yaml that was written, on our store; with source= and sink= of other types."""
        flow = (folder / "flow.yaml").read_text().replace("path: /tmp", f"path: {self.dir}/store")
        source, sink = flow.split("  sink:\n")
        for kind, text in (("source", source), ("sink", sink)):
            if kind in types:
                flow = flow.replace(text, text.replace(f"    type: {folder.name}\n", f"    type: {types[kind]}\n"))
        path = self.dir / f"{folder.name}.yaml"
        path.write_text(flow)
        return path

    def passes(self, manifest, *options, program=DATAFLOW, at_least, env=None):
        """Runs the suite: nothing fails, and so many rules apply."""
        report = manifest.with_suffix(".json")
        done = run(program, "connector", "test", "--quick", "--patience", "10", "--report", report, "--cleanup", f"rm -rf {self.dir}/store/*",
                   *options, manifest, env=env)
        self.assertTrue(report.exists(), done.stdout)
        rules = json.loads(report.read_text())["rules"]
        self.assertEqual([f"{r['rule']}: {r.get('seen', '')}" for r in rules if r["verdict"] == "fail"], [])
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertGreaterEqual(sum(r["verdict"] == "pass" for r in rules), at_least)

    def flow(self, name, source, sink):
        path = self.dir / f"{name}.yaml"
        path.write_text(json.dumps({"apiVersion": "dataflow.dataflow.io/v1", "kind": "DataFlow", "metadata": {"name": name},
                                    "spec": {"source": source, "sink": sink}}))
        return path

    def same_store(self, source_type, sink_type, collection):
        """Connectors in C keep the collection of each type in a file of its own, named by it."""
        (self.dir / f"store/{collection}.{source_type}").symlink_to(f"{collection}.{sink_type}")

    def copies(self, source_type, sink_type, config, program=DATAFLOW, env=None):
        """A pipeline writes rows with the sink, another one reads them with the source; the second goes on where it stood."""
        env = dict(env or {}, DATAFLOW_STATE_DIR=str(self.dir / "state"))
        out = self.dir / f"{source_type}.jsonl"
        if source_type != sink_type:
            self.same_store(source_type, sink_type, config["collection"])
        for first, total in ((0, 100), (100, 150)):
            rows = self.dir / "rows.jsonl"
            rows.write_text("".join(json.dumps({"id": i, "name": f"row {i}"}) + "\n" for i in range(first, total)))
            write = self.flow(f"write-{source_type}-{first}".replace("_", "-"), {"type": "file", "config": {"path": str(rows)}}, {"type": sink_type, "config": config})
            read = self.flow(f"read-{source_type}".replace("_", "-"), {"type": source_type, "config": config}, {"type": "file", "config": {"path": str(out), "mode": "append"}})
            for flow in (write, read):
                done = run(program, "run", "--once", flow, env=env)
                self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual([json.loads(line)["id"] for line in out.read_text().splitlines()], list(range(total)))


if __name__ == "__main__":
    sys.exit("see test/run.py skeleton")
